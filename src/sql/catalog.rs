//! The names that a statement may use: the tables of a session, and the views, each planned when first named.
//! In: a session with its tables. Out: the same session, with the views in its schema as well.
//! Never reads a row, and never lets a statement name the table that only views may name.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider,
    TableProvider,
};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, exec_err};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableType, col, ident, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::Statement;
use tokio::sync::OnceCell;

use super::derived::{DerivedView, HeldView};
use super::findings_said::{self, FindingsSaid};
use super::hidden::HiddenTables;
use super::interval::InInterval;
use super::physical::joined;
use super::read_once::COMPANIONS;
use super::rows_of_rules::RowsOfRules;
use super::rules::{self, FindingRule, RULE_ROWS, RuleSet};
use super::state_answers::{self, STATE_ANSWERS};
use super::views::{View, ViewRows};
use super::{allowed, distinct_from, functions, views};
use crate::derive::AskedInterval;
use crate::objects::{OBJECT_COLUMNS, QUARANTINE_COLUMNS};
use crate::schema;

/// The tables that views stand on, beside those of the user.
pub struct ViewTables {
    /// Other records of calls, which only views may name.
    pub companions: Arc<dyn TableProvider>,
    /// Further tables that only views may name, by their names.
    pub hidden: Vec<(&'static str, Arc<dyn TableProvider>)>,
    /// Events and companions from before the interval too, for the inputs of derived tables; `None` where those of the
    /// user are the same.
    pub earlier: Option<EarlierTables>,
    /// What AWS told when it was asked, which only views may name.
    pub state_answers: Arc<dyn TableProvider>,
    pub interval: AskedInterval,
    /// The rules whose rows make up the findings.
    pub rules: Arc<[FindingRule]>,
    pub said: Arc<FindingsSaid>,
}

/// Events and companions from before the interval too.
pub struct EarlierTables {
    pub events: Arc<dyn TableProvider>,
    pub companions: Arc<dyn TableProvider>,
}

const EVENTS: &str = "events";

/// Adds the views to the schema of a session.
pub fn add_views(context: &SessionContext, tables: ViewTables) -> Result<(), DataFusionError> {
    view_plans(context, tables).map(|_| ())
}

fn view_plans(context: &SessionContext, beside: ViewTables) -> Result<Arc<ViewPlans>, DataFusionError> {
    let names = CatalogNames::of(&context.state());
    let catalog = context.catalog(&names.catalog).ok_or_else(|| names.missing())?;
    let tables = catalog.schema(&names.schema).ok_or_else(|| names.missing())?;
    // The views' session has catalogs of its own: else it would hold itself and never be freed.
    let mut session = with_catalogs(context.state(), MemoryCatalogProviderList::new());
    session.register_udf(Arc::new(ScalarUDF::from(InInterval::of(beside.interval))))?;
    for function in findings_said::functions(&beside.said) {
        session.register_udf(Arc::new(function))?;
    }
    let planned = views::all().iter().map(|view| (view.name, Default::default())).collect();
    let plans = Arc::new(ViewPlans { session, names, tables, beside, planned });
    let schema = NamedTables { plans: Arc::clone(&plans), asker: FieldAsker::User };
    catalog.register_schema(&plans.names.schema, Arc::new(schema))?;
    Ok(plans)
}

/// A session over no events at all, for plans that nobody runs.
fn over_nothing(rules: Arc<[FindingRule]>) -> Result<(SessionContext, Arc<ViewPlans>), DataFusionError> {
    let state = allowed::session().with_config(SessionConfig::new().with_information_schema(true)).build();
    let context = SessionContext::new_with_state(state);
    functions::register(&context);
    let empty = |schema| MemTable::try_new(schema, vec![vec![]]).map(Arc::new);
    let events = empty(schema::events_schema())?;
    context.register_table(EVENTS, Arc::clone(&events) as _)?;
    context.register_table("objects", empty(OBJECT_COLUMNS.schema())?)?;
    context.register_table("quarantine", empty(QUARANTINE_COLUMNS.schema())?)?;
    let (companions, state_answers) = (events, empty(state_answers::schema())?);
    let (hidden, interval, said) = (HiddenTables::empty()?.named()?, AskedInterval::default(), Arc::default());
    let tables = ViewTables { companions, hidden, earlier: None, state_answers, interval, rules, said };
    let plans = view_plans(&context, tables)?;
    Ok((context, plans))
}

/// Plans a rule over no events. Fails if its statement cannot be planned or has other columns than a rule has.
pub async fn check_rule(rule: &FindingRule) -> Result<(), DataFusionError> {
    let (_, plans) = over_nothing(Arc::from([rule.clone()]))?;
    plans.rule_rows().await.map(|_| ())
}

fn with_catalogs(state: SessionState, catalogs: MemoryCatalogProviderList) -> SessionState {
    SessionStateBuilder::new_from_existing(state).with_catalog_list(Arc::new(catalogs)).build()
}

/// Plans one statement.
pub async fn planned(state: &SessionState, sql: &str) -> Result<LogicalPlan, DataFusionError> {
    let mut statement = state.sql_to_statement(sql, &state.config_options().sql_parser.dialect)?;
    let lists_tables =
        matches!(&statement, DfStatement::Statement(inner) if matches!(**inner, Statement::ShowTables { .. }));
    distinct_from::mend(&mut statement);
    let plan = state.statement_to_plan(statement).await?;
    if lists_tables { in_order(plan) } else { Ok(plan) }
}

/// Sorts a list of tables by name, those that describe the others last.
fn in_order(list: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let is_description = col("table_schema").eq(lit("information_schema"));
    let order = [is_description, col("table_schema"), col("table_name")].map(|by| by.sort(true, false));
    LogicalPlanBuilder::from(list).sort(order)?.build()
}

/// The given tables with the names of all columns and of our own functions, sorted.
pub fn words(tables: Vec<String>) -> Vec<String> {
    let of_views = views::all().iter().flat_map(|view| &view.columns).map(|column| column.name);
    let of_events = schema::COLUMNS.iter().map(|column| column.name);
    let functions = functions::FUNCTIONS.iter().map(|function| function.name);
    let mut words = tables;
    words.extend(of_events.chain(of_views).chain(functions).map(str::to_owned));
    words.sort_unstable();
    words.dedup();
    words
}

/// The catalog and schema that hold the tables of a session.
#[derive(Debug)]
struct CatalogNames {
    catalog: String,
    schema: String,
}

impl CatalogNames {
    fn of(state: &SessionState) -> CatalogNames {
        let names = &state.config_options().catalog;
        CatalogNames { catalog: names.default_catalog.clone(), schema: names.default_schema.clone() }
    }

    fn missing(&self) -> DataFusionError {
        DataFusionError::Internal(format!("the session has no schema `{}.{}`", self.catalog, self.schema))
    }
}

/// The views of a session, each planned when a statement first names it.
struct ViewPlans {
    /// Has all that planning a view needs, except the names that the view may use.
    session: SessionState,
    names: CatalogNames,
    tables: Arc<dyn SchemaProvider>,
    beside: ViewTables,
    planned: HashMap<&'static str, PlannedView>,
}

/// A view over the events of the interval, and over earlier ones too. Statements that name the same view at once wait
/// for the one that plans it.
#[derive(Default)]
struct PlannedView {
    of_interval: OnceCell<Arc<dyn TableProvider>>,
    with_earlier: OnceCell<Arc<dyn TableProvider>>,
    for_rules: OnceCell<Arc<dyn TableProvider>>,
    /// The plan of what it is computed from, where it is computed.
    input: OnceCell<LogicalPlan>,
}

/// The views that several rules read: their rows are computed once for all rules, as far as any wants them. A rule that wants
/// nearly all uses of keys asks `key_use_groups`, since the uses themselves are too many to hold.
const SHARED_BY_RULES: [&str; 5] = ["calls", "key_calls", "key_removals", "key_use_by_hour", "key_use_groups"];

impl ViewPlans {
    /// A view, planned with the views that it reads; `None` if no view has this name.
    async fn view(
        self: &Arc<ViewPlans>,
        name: &str,
        asker: FieldAsker,
    ) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let (Some(view), Some(planned)) = (views::find(name), self.planned.get(name)) else { return Ok(None) };
        let (cell, asker) = match asker {
            FieldAsker::Rule => (&planned.for_rules, asker),
            FieldAsker::Input if self.beside.earlier.is_some() => (&planned.with_earlier, FieldAsker::Input),
            _ => (&planned.of_interval, FieldAsker::View),
        };
        Ok(Some(Arc::clone(cell.get_or_try_init(|| self.plan(view, asker)).await?)))
    }

    async fn plan(
        self: &Arc<ViewPlans>,
        view: &'static View,
        asker: FieldAsker,
    ) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        if asker == FieldAsker::Rule && SHARED_BY_RULES.contains(&view.name) {
            let mut rows = self.input(view).await?;
            if let "calls" | "key_calls" = view.name {
                let has = |name: &&str| rows.schema().has_column_with_unqualified_name(name);
                let columns: Vec<Expr> = rules::CALL_COLUMNS.into_iter().filter(has).map(ident).collect();
                rows = LogicalPlanBuilder::from(rows).project(columns)?.build()?;
            }
            return Ok(Arc::new(HeldView::new(view, rows)));
        }
        if view.rows == ViewRows::Queried {
            let plan = planned(&self.state(asker)?, view.sql).await?;
            return Ok(Arc::new(ViewTable::new(plan, Some(view.sql.to_owned()))));
        }
        let input = self.input(view).await?;
        let derived = DerivedView::new(view, input, self.beside.interval)?;
        let derived = if asker == FieldAsker::Rule { derived.for_all() } else { derived };
        match derived.in_interval().filter(|_| asker == FieldAsker::View) {
            None => Ok(Arc::new(derived)),
            Some(inside) => {
                let rows = LogicalPlanBuilder::scan(view.name, provider_as_source(Arc::new(derived)), None)?;
                Ok(Arc::new(ViewTable::new(rows.filter(inside)?.build()?, Some(view.sql.to_owned()))))
            }
        }
    }

    /// The plan of what a view is computed from, which sees earlier events too.
    async fn input(self: &Arc<ViewPlans>, view: &'static View) -> Result<LogicalPlan, DataFusionError> {
        let input = &self.planned.get(view.name).expect("all views are there to be planned").input;
        let plan = async || planned(&self.state(FieldAsker::Input)?, view.sql).await;
        Ok(input.get_or_try_init(plan).await?.clone())
    }

    /// The rows of all rules that run. Their state is that of the whole history, their rows are of the interval.
    async fn rule_rows(self: &Arc<ViewPlans>) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let (shared, alone) = (Arc::new(self.state(FieldAsker::Rule)?), Arc::new(self.state(FieldAsker::Input)?));
        let planning = self.beside.rules.iter().cloned().map(|rule| {
            // Whoever compares with what was usual looks at all uses, and so may a user's rule.
            let shares = rule.set == RuleSet::Default && rules::comes_with_keytrail(rule.name);
            let (state, interval) = (Arc::clone(if shares { &shared } else { &alone }), self.beside.interval);
            SpawnedTask::spawn(async move {
                let plan = planned(&state, rule.statement).await;
                let plan =
                    plan.map_err(|error| error.context(format!("the rule `{}` cannot be planned", rule.name)))?;
                state.optimize(&rules::rows_of(&rule, plan, interval)?)
            })
        });
        let planning: Vec<_> = planning.collect();
        let mut plans = Vec::with_capacity(planning.len());
        for plan in planning {
            plans.push(joined(plan).await?);
        }
        Ok(Arc::new(RowsOfRules::new(plans)))
    }

    /// A session for planning a view.
    fn state(self: &Arc<ViewPlans>, asker: FieldAsker) -> Result<SessionState, DataFusionError> {
        let (catalog, catalogs) = (MemoryCatalogProvider::new(), MemoryCatalogProviderList::new());
        let tables = NamedTables { plans: Arc::clone(self), asker };
        catalog.register_schema(&self.names.schema, Arc::new(tables))?;
        catalogs.register_catalog(self.names.catalog.clone(), Arc::new(catalog));
        Ok(with_catalogs(self.session.clone(), catalogs))
    }

    /// A table that this side sees instead of the user's, or that no user sees.
    fn beside(&self, name: &str, asker: FieldAsker) -> Option<&Arc<dyn TableProvider>> {
        match (asker, &self.beside.earlier, name) {
            (FieldAsker::User, ..) => None,
            (FieldAsker::Input | FieldAsker::Rule, Some(earlier), EVENTS) => Some(&earlier.events),
            (FieldAsker::Input | FieldAsker::Rule, Some(earlier), COMPANIONS) => Some(&earlier.companions),
            (_, _, COMPANIONS) => Some(&self.beside.companions),
            (_, _, STATE_ANSWERS) => Some(&self.beside.state_answers),
            _ => self.beside.hidden.iter().find(|(hidden, _)| *hidden == name).map(|(_, table)| table),
        }
    }
}

/// The side that looks a name up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldAsker {
    User,
    View,
    /// A view as part of the input of a derived table.
    Input,
    /// A rule, or a view as part of one.
    Rule,
}

/// The schema: its tables, and the views by their names.
struct NamedTables {
    plans: Arc<ViewPlans>,
    asker: FieldAsker,
}

impl std::fmt::Debug for NamedTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedTables").field("asker", &self.asker).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for NamedTables {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.plans.tables.table_names();
        names.extend(views::all().iter().map(|view| view.name.to_owned()));
        names.sort_unstable();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(table) = self.plans.beside(name, self.asker) {
            return Ok(Some(Arc::clone(table)));
        }
        if name == RULE_ROWS && self.asker != FieldAsker::User {
            return self.plans.rule_rows().await.map(Some);
        }
        match self.plans.tables.table(name).await? {
            Some(table) => Ok(Some(table)),
            None => self.plans.view(name, self.asker).await,
        }
    }

    /// Plans no view, so that a list of all names stays cheap.
    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        match views::find(name) {
            Some(_) => Ok(Some(TableType::View)),
            None => self.plans.tables.table_type(name).await,
        }
    }

    fn register_table(
        &self,
        name: String,
        table: Arc<dyn TableProvider>,
    ) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if views::find(&name).is_some() {
            return exec_err!("`{name}` is a view");
        }
        self.plans.tables.register_table(name, table)
    }

    fn table_exist(&self, name: &str) -> bool {
        views::find(name).is_some() || self.plans.tables.table_exist(name)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use datafusion::prelude::DataFrame;

    use super::*;
    use crate::sql::{cards, report_parts, sections, traces};

    fn session() -> (SessionContext, Arc<ViewPlans>) {
        over_nothing(Arc::from(rules::all())).unwrap()
    }

    fn planned_names(plans: &ViewPlans) -> Vec<&'static str> {
        let planned = plans.planned.iter().filter(|(_, view)| view.of_interval.initialized());
        let mut names: Vec<&str> = planned.map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }

    #[tokio::test]
    async fn a_statement_plans_the_views_that_it_reads_and_no_others() {
        let (context, plans) = session();
        for (sql, expected) in [
            ("SELECT * FROM events", &[][..]),
            ("SHOW TABLES", &[]),
            ("SELECT 1 FROM calls", &["calls", "corrections", "key_calls"]),
            ("SELECT 1 FROM key_use", &["calls", "corrections", "key_attempts", "key_calls", "key_use"]),
        ] {
            planned(&context.state(), sql).await.unwrap();
            assert_eq!(planned_names(&plans), expected, "{sql}");
        }
        let mut tables = plans.tables.table_names();
        tables.sort_unstable();
        assert_eq!(tables, ["events", "objects", "quarantine"]);
    }

    #[tokio::test]
    async fn tables_are_listed_by_name() {
        let (context, _) = session();
        let plan = planned(&context.state(), "SHOW TABLES").await.unwrap();
        let batches = DataFrame::new(context.state(), plan).collect().await.unwrap();
        let cells = |column: &str| -> Vec<String> {
            let texts = batches.iter().flat_map(|batch| batch[column].as_string::<i32>().iter().flatten());
            texts.map(str::to_owned).collect()
        };
        let listed: Vec<(bool, String)> = cells("table_schema")
            .iter()
            .map(|schema| schema == "information_schema")
            .zip(cells("table_name"))
            .collect();
        assert!(listed.len() > views::all().len() && listed.is_sorted(), "{listed:?}");
    }

    #[tokio::test]
    async fn questions_at_once_share_their_views() {
        let (context, plans) = session();
        let state = context.state();
        let names = ["keys", "key_use", "key_attempts", "keys", "principals", "denials"];
        let asked = names.map(|name| format!("SELECT * FROM {name}"));
        let answers = futures::future::join_all(asked.iter().map(|sql| planned(&state, sql))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert!(names.iter().all(|name| planned_names(&plans).contains(name)));
    }

    #[test]
    fn words_are_tables_columns_and_functions() {
        let words = words(vec!["events".to_owned()]);
        for word in ["events", "key_arn", "denied_on_key", "json_get_str"] {
            assert_eq!(words.iter().filter(|found| *found == word).count(), 1, "{word}");
        }
    }

    #[tokio::test]
    async fn only_views_name_the_hidden_table() {
        let (context, _) = session();
        let state = context.state();
        let hidden = format!("SELECT * FROM {COMPANIONS}");
        let (view, statement) = tokio::join!(planned(&state, "SELECT * FROM key_calls"), planned(&state, &hidden));
        assert!(view.is_ok() && statement.is_err());
        assert!(planned(&state, &hidden).await.is_err());
        assert!(planned(&state, &format!("SELECT * FROM {STATE_ANSWERS}")).await.is_err());
        let schema = context.catalog("datafusion").unwrap().schema("public").unwrap();
        assert!(!schema.table_exist(COMPANIONS) && !schema.table_names().iter().any(|name| name == COMPANIONS));
    }

    #[tokio::test]
    async fn every_view_section_and_rule_can_be_planned() {
        let (context, _) = session();
        let state = context.state();
        for view in views::all() {
            let plan = planned(&state, &format!("SELECT * FROM {}", view.name)).await;
            plan.unwrap_or_else(|error| panic!("`{}`: {error}", view.name));
        }
        for section in sections::shown().chain([sections::aliases()]) {
            planned(&state, section.sql).await.unwrap_or_else(|error| panic!("`{}`: {error}", section.name));
        }
        for part in report_parts::all() {
            planned(&state, part.sql).await.unwrap_or_else(|error| panic!("`{}`: {error}", part.name));
        }
        for trace in traces::all() {
            let plan = planned(&state, trace.sql).await.unwrap_or_else(|error| panic!("`{}`: {error}", trace.kind));
            let columns: Vec<&str> = plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
            let expected = ["at", "until", "what", "who", "detail", "key_arn", "table_name", "event_id"];
            assert_eq!(columns, expected, "{}", trace.kind);
        }
    }

    #[tokio::test]
    async fn a_rule_has_the_columns_of_a_rule() {
        let (_, plans) = session();
        let state = plans.state(FieldAsker::Input).unwrap();
        let rows = |columns: &str| {
            let (state, statement) = (state.clone(), format!("SELECT {columns} FROM key_calls"));
            async move {
                let text: &'static str =
                    Box::leak(format!("-- title: x\n-- severity: low\n{statement}").into_boxed_str());
                let rule = FindingRule::of(&cards::Card::read(cards::CardKind::Finding, "x", text).unwrap()).unwrap();
                let plan = planned(&state, rule.statement).await.unwrap();
                rules::rows_of(&rule, plan, AskedInterval::default()).map_err(|error| error.strip_backtrace())
            }
        };
        const WHOLE: &str = "event_time, recipient_account_id AS account_id, aws_region AS region, principal, \
            make_array(session_name) AS sessions, make_array(source_ip_address) AS source_ips, key_arn, NULL AS table_name, \
            outcome, make_array(event_id) AS event_ids, event_name AS detail";
        for columns in [WHOLE.to_owned(), format!("{WHOLE}, 'high' AS severity, 'me' AS subject")] {
            rows(&columns).await.unwrap();
        }
        for (columns, says) in [
            ("event_time, principal".to_owned(), "begins with event_time, account_id"),
            (format!("{WHOLE}, event_id AS whatever"), "a column `whatever`"),
            (format!("{WHOLE}, 1.5 AS event_count"), "`event_count` as Float64"),
        ] {
            let error = rows(&columns).await.unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
