//! Tables in plans whose rows a question computes once: derived tables, of which the SQL declares an input and `derive`
//! computes the rows, and views that the rules share, whose rows are held.
//! In: optimized plans that name such tables. Out: the inputs to read for them, and plans over the rows to compute.
//! A filter on the columns by which a derivation falls apart goes to its input too; of a view that is held, the input has
//! what any mention of a plan wants of it. All filters stay above. Never computes to plan.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Constraint, Constraints, DataFusionError, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableScan, TableType, col,
};
use datafusion::physical_plan::ExecutionPlan;

use super::computed::{ComputedRows, RowMaking};
use super::interval::timestamp;
use super::physical::explains;
use super::rows_of_rules::RowsOfRules;
use super::rules::RULE_ROWS;
use super::views::View;
use crate::derive::{self, AskedInterval, DerivedTable, RowTime};
use crate::table::unqualified;

/// A derived table as planning sees it: its columns, and the plan of its input.
#[derive(Debug)]
pub(super) struct DerivedView {
    table: &'static DerivedTable,
    /// The SQL of the input, shown as the definition of the view.
    sql: &'static str,
    input: LogicalPlan,
    interval: AskedInterval,
    /// False where others ask for the same rows with other filters, so that the rows are computed once.
    narrows: bool,
    /// Lets the planner drop a left join of which no column of this table is used.
    constraints: Constraints,
}

impl DerivedView {
    /// The derived table of a view over its planned input.
    pub fn new(view: &'static View, input: LogicalPlan, interval: AskedInterval) -> Result<DerivedView> {
        let table = derive::TABLES.iter().find(|table| table.name == view.name);
        let missing = || DataFusionError::Internal(format!("nothing derives the table `{}`", view.name));
        let table = table.ok_or_else(missing)?;
        Ok(DerivedView { table, sql: view.sql, input, interval, narrows: true, constraints: constraints(table)? })
    }

    /// The same rows for whoever asks, whatever the filters.
    pub fn for_all(self) -> DerivedView {
        DerivedView { narrows: false, ..self }
    }

    /// The condition of rows of which any part lies in the interval; `None` where all do.
    pub fn in_interval(&self) -> Option<Expr> {
        let AskedInterval { since, until, .. } = self.interval;
        let since = since.map(timestamp);
        let until = until.map(timestamp);
        let or_unknown = |column: &str, holds: Expr| col(column).is_null().or(holds);
        let conditions = match self.table.time {
            RowTime::None => [None, None],
            RowTime::At(at) => [
                since.map(|since| or_unknown(at, col(at).gt_eq(since))),
                until.map(|until| or_unknown(at, col(at).lt(until))),
            ],
            RowTime::Through(first, last) => [
                since.map(|since| or_unknown(last, col(last).gt_eq(since))),
                until.map(|until| or_unknown(first, col(first).lt(until))),
            ],
            RowTime::Until(first, end) => [
                since.map(|since| or_unknown(end, col(end).gt(since))),
                until.map(|until| or_unknown(first, col(first).lt(until))),
            ],
        };
        conjunction(conditions.into_iter().flatten())
    }

    /// True of a filter that may also apply to the input.
    fn is_of_input(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        self.narrows && !columns.is_empty() && columns.iter().all(|column| self.table.by.contains(&column.name()))
    }
}

#[async_trait]
impl TableProvider for DerivedView {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    /// Users see it as one of the views.
    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_table_definition(&self) -> Option<&str> {
        Some(self.sql)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushed = filters.iter().map(|filter| match self.is_of_input(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        });
        Ok(pushed.collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(not_planned(self.table.name))
    }
}

/// A view as the rules see it, who share its rows.
#[derive(Debug)]
pub(super) struct HeldView {
    view: &'static View,
    input: LogicalPlan,
    schema: SchemaRef,
}

impl HeldView {
    /// A view over its plan.
    pub fn new(view: &'static View, input: LogicalPlan) -> HeldView {
        let schema = Arc::clone(input.schema().inner());
        HeldView { view, input, schema }
    }
}

#[async_trait]
impl TableProvider for HeldView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_table_definition(&self) -> Option<&str> {
        Some(self.view.sql)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(not_planned(self.view.name))
    }
}

fn not_planned(name: &str) -> DataFusionError {
    DataFusionError::Internal(format!("the input of `{name}` was not planned with its question"))
}

/// The unique columns of a table, as the planner knows them. They are a primary key to it: of a constraint that is only
/// unique it expects several rows of NULL, and derived tables have one.
fn constraints(table: &DerivedTable) -> Result<Constraints> {
    let schema = table.schema();
    let places: Vec<usize> = table.unique.iter().map(|name| Ok(schema.index_of(name)?)).collect::<Result<_>>()?;
    let key = (!places.is_empty()).then_some(Constraint::PrimaryKey(places));
    Ok(Constraints::new_unverified(key.into_iter().collect()))
}

/// A table whose rows are computed.
#[derive(Debug, Clone)]
enum ComputedTable {
    Derived(Arc<DerivedView>),
    Held(Arc<HeldView>),
    /// Its input is one plan a rule, and its rows are theirs.
    Rules(Arc<RowsOfRules>),
}

impl ComputedTable {
    /// The table that a scan reads; `None` if it is none of these.
    fn of(scan: &TableScan) -> Option<ComputedTable> {
        let provider = source_as_provider(&scan.source).ok()? as Arc<dyn std::any::Any + Send + Sync>;
        let provider = match provider.downcast::<DerivedView>() {
            Ok(derived) => return Some(ComputedTable::Derived(derived)),
            Err(provider) => provider,
        };
        match provider.downcast::<HeldView>() {
            Ok(held) => Some(ComputedTable::Held(held)),
            Err(provider) => provider.downcast::<RowsOfRules>().ok().map(ComputedTable::Rules),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            ComputedTable::Derived(view) => view.table.name,
            ComputedTable::Held(held) => held.view.name,
            ComputedTable::Rules(_) => RULE_ROWS,
        }
    }
}

/// The rows of a table that plans want. Two that are equal have the same rows.
#[derive(Debug, Clone, PartialEq)]
struct ComputedMention {
    name: &'static str,
    filters: Vec<Expr>,
    /// The places of the columns of a view that is held, in order; none of another table, which has all.
    columns: Vec<usize>,
}

impl ComputedMention {
    fn of(table: &ComputedTable, scan: &TableScan) -> ComputedMention {
        let mut columns = match table {
            ComputedTable::Derived(_) | ComputedTable::Rules(_) => Vec::new(),
            ComputedTable::Held(held) => {
                scan.projection.clone().unwrap_or_else(|| (0..held.schema.fields().len()).collect())
            }
        };
        columns.sort_unstable();
        ComputedMention { name: table.name(), filters: scan.filters.clone(), columns }
    }

    /// Takes in what another mention of the same view wants.
    fn widen(&mut self, other: ComputedMention) {
        let either = conjunction(std::mem::take(&mut self.filters)).zip(conjunction(other.filters));
        self.filters = either.and_then(|(one, other)| disjunction([one, other])).into_iter().collect();
        self.columns.extend(other.columns);
        self.columns.sort_unstable();
        self.columns.dedup();
    }
}

/// The tables of some plans whose rows are computed: each mention of a derived table, and one for all mentions of a view that
/// is held.
struct MentionsOfPlans(Vec<(ComputedMention, ComputedTable)>);

impl MentionsOfPlans {
    fn of(plans: &[LogicalPlan]) -> Result<MentionsOfPlans> {
        let mut found: Vec<(ComputedMention, ComputedTable)> = Vec::new();
        for plan in plans {
            plan.apply_with_subqueries(|node| {
                if let LogicalPlan::TableScan(scan) = node
                    && let Some(table) = ComputedTable::of(scan)
                {
                    let mention = ComputedMention::of(&table, scan);
                    let is_held = matches!(table, ComputedTable::Held(_));
                    match found.iter_mut().find(|(known, _)| is_held && known.name == mention.name) {
                        Some((known, _)) => known.widen(mention),
                        None => found.push((mention, table)),
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(MentionsOfPlans(found))
    }

    /// The mention that has the rows for a scan.
    fn of_scan(&self, table: &ComputedTable, scan: &TableScan) -> ComputedMention {
        let own = ComputedMention::of(table, scan);
        match table {
            ComputedTable::Derived(_) | ComputedTable::Rules(_) => own,
            ComputedTable::Held(_) => {
                self.0.iter().find(|(held, _)| held.name == own.name).map_or(own, |(held, _)| held.clone())
            }
        }
    }
}

/// Replaces the raw tables of a plan by rows that were read.
type StandIn<'r> = dyn Fn(LogicalPlan) -> Result<LogicalPlan> + 'r;

/// The computed tables that a question names, each with its input.
#[derive(Debug, Default)]
pub(super) struct DerivedInputs {
    mentions: Vec<ComputedMention>,
    /// The input of each mention, in the order of the mentions: one plan, or one a rule.
    inputs: Vec<Vec<LogicalPlan>>,
    rows: Vec<Option<Arc<dyn TableProvider>>>,
    /// True if a plan is asked for, and so the reading of the inputs.
    explains: bool,
}

impl DerivedInputs {
    /// Finds the computed tables of some plans, and those that their inputs name in turn.
    pub fn of(plans: &[LogicalPlan], state: &SessionState) -> Result<DerivedInputs> {
        let mut all = DerivedInputs::default();
        plans.iter().try_for_each(|plan| all.add(std::slice::from_ref(plan), state))?;
        all.explains = plans.iter().any(explains);
        Ok(all)
    }

    fn add(&mut self, plans: &[LogicalPlan], state: &SessionState) -> Result<()> {
        for (mention, table) in MentionsOfPlans::of(plans)?.0 {
            if self.mentions.contains(&mention) {
                continue;
            }
            let input = inputs(&table, &mention, state)?;
            self.mentions.push(mention);
            self.inputs.push(input.clone());
            self.rows.push(None);
            self.add(&input, state)?;
        }
        Ok(())
    }

    /// The inputs, to be read together with the plans that need them.
    pub fn inputs(&self) -> impl Iterator<Item = &LogicalPlan> {
        self.inputs.iter().flatten()
    }

    /// Replaces the computed tables of the plans by their rows. `read` replaces their raw tables.
    pub fn stand_in(mut self, plans: Vec<LogicalPlan>, read: &StandIn) -> Result<Vec<LogicalPlan>> {
        plans.into_iter().map(|plan| Ok(self.replace(vec![plan], read)?.swap_remove(0))).collect()
    }

    fn replace(&mut self, plans: Vec<LogicalPlan>, read: &StandIn) -> Result<Vec<LogicalPlan>> {
        let mentions = MentionsOfPlans::of(&plans)?;
        let mut replaced = Vec::with_capacity(plans.len());
        for plan in plans {
            let plan = plan.transform_up_with_subqueries(|node| match node {
                LogicalPlan::TableScan(mut scan) => match ComputedTable::of(&scan) {
                    None => Ok(Transformed::no(LogicalPlan::TableScan(scan))),
                    Some(table) => {
                        let mention = mentions.of_scan(&table, &scan);
                        // The filters apply to the input, and the plan repeats them above this scan. Those of a view that is
                        // held tell whether any of its rows is of use.
                        if !matches!(table, ComputedTable::Held(_)) {
                            scan.filters = Vec::new();
                        }
                        scan.source = provider_as_source(self.rows_of(table, &mention, read)?);
                        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
                    }
                },
                other => Ok(Transformed::no(other)),
            })?;
            replaced.push(read(plan.data)?);
        }
        Ok(replaced)
    }

    fn rows_of(
        &mut self,
        table: ComputedTable,
        mention: &ComputedMention,
        read: &StandIn,
    ) -> Result<Arc<dyn TableProvider>> {
        let place = self.mentions.iter().position(|known| known == mention);
        let place = place.ok_or_else(|| DataFusionError::Internal("a computed table was not looked for".into()))?;
        if let Some(rows) = &self.rows[place] {
            return Ok(Arc::clone(rows));
        }
        let mut inputs = self.replace(self.inputs[place].clone(), read)?;
        let making = match table {
            ComputedTable::Rules(_) => None,
            ComputedTable::Derived(view) => Some(RowMaking::Derived { table: view.table, interval: view.interval }),
            ComputedTable::Held(held) => {
                let (view, schema) = (held.view.name, Arc::clone(&held.schema));
                Some(RowMaking::Held { view, schema, columns: mention.columns.clone() })
            }
        };
        let rows: Arc<dyn TableProvider> = match making {
            None => Arc::new(RowsOfRules::new(inputs)),
            Some(making) => Arc::new(ComputedRows::new(making, inputs.swap_remove(0), self.explains)),
        };
        self.rows[place] = Some(Arc::clone(&rows));
        Ok(rows)
    }
}

/// The optimized plans of the input rows that pass the filters.
fn inputs(table: &ComputedTable, mention: &ComputedMention, state: &SessionState) -> Result<Vec<LogicalPlan>> {
    let input = match table {
        ComputedTable::Derived(view) => &view.input,
        ComputedTable::Held(held) => &held.input,
        ComputedTable::Rules(rules) => return Ok(rules.plans.clone()),
    };
    let mut plan = LogicalPlanBuilder::from(input.clone());
    for filter in &mention.filters {
        plan = plan.filter(unqualified(filter.clone())?)?;
    }
    if let ComputedTable::Held(_) = table {
        plan = plan.select(mention.columns.iter().copied())?;
    }
    Ok(vec![state.optimize(&plan.build()?)?])
}
