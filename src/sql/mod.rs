//! The guarded session: SQL over `events`, `objects`, `quarantine` and the views, over logs or over a store.
//! In: one statement, its parameters. Out: a stream of batches, or an error that says whose fault it is.
//! A plan that mentions `events` once streams straight from the scan; any other reads the logs once into kept rows and
//! answers from those. A store is read in place. Never writes a file but a temporary one, and reads only the logs or
//! the store it was opened on.

mod allowed;
mod answer;
pub mod asked_names;
mod bounded;
pub mod cards;
mod catalog;
mod computed;
mod constants;
mod dealing_pool;
mod derived;
pub mod did_you_mean;
pub mod distinct_from;
pub mod findings_said;
pub mod functions;
mod growth;
pub mod guard;
mod hidden;
mod hints;
mod interval;
pub mod named;
mod names_function;
mod narrowing;
mod operators;
mod physical;
pub mod plan_size;
mod read_once;
pub mod report_parts;
mod rows_of_rules;
pub mod rules;
pub mod sections;
mod series;
mod spill;
pub mod state_answers;
mod stored_seen;
pub mod told_names;
pub mod traces;
pub mod views;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::TrackConsumersPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use object_store::ObjectStore;

use crate::derive::{AskedInterval, EarlierHistory};
use crate::objects::{ColumnError, HOUR_COLUMNS, OBJECT_COLUMNS, ObjectKind, ObjectRows, QUARANTINE_COLUMNS};
use crate::source::{ObjectReadError, Scope, SourceError};
use crate::table::{
    AcceptedObjects, Accounting, EventsTable, GlobalChanges, HandOutScans, LackingRows, LogTable, RowReach, ScanExtent,
    ScanReport, ScanResult, SeenInput, digest_facts, hours_batch,
};

pub use answer::{Answer, PreparedStatements};
pub use catalog::check_rule;
pub use narrowing::{NarrowedStatement, NarrowedStatements, RowNarrowing};

use answer::Evidence;
use bounded::BoundResults;
use catalog::{EarlierTables, ViewTables};
use constants::MeasureConstants;
use dealing_pool::DealingPool;
use derived::DerivedInputs;
use did_you_mean::did_you_mean;
use findings_said::FindingsSaid;
use hidden::HiddenTables;
use physical::physical_plan;
pub use read_once::COMPANIONS;
use read_once::{KeptTables, RawMentions, reporting_to};
use rules::FindingRule;
use spill::SpillFiles;
use state_answers::StateAnswer;
use told_names::{BorneNames, NamesOfAnswer};

/// Bytes of `events` rows that are kept in memory; more rows go to a temporary file.
const KEPT_BYTES_MAX: usize = 3 << 20;

/// Memory that a sort reserves for merging what it spilled. It takes more as it needs it.
const SORT_RESERVED_BYTES: usize = 64 << 10;

/// The condition of events that nothing places in an account or in a Region, as `normalize::account_of` and
/// `normalize::region_of` find them.
const UNPLACED: &str = "(recipient_account_id IS NULL AND (principal_account_id IS NULL OR key_account_id IS NULL \
    OR principal_account_id <> key_account_id)) OR (aws_region IS NULL AND key_region IS NULL)";

/// The names under which `information_schema` lists the tables.
const CATALOG: &str = "keytrail";
const SCHEMA: &str = "main";

/// The reason that a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The statement is wrong: it does not parse, names something unknown, or cannot be computed.
    #[error("{message}")]
    Plan { message: String, hint: Option<String> },
    /// The statement asks for something that this session never does.
    #[error("{message}")]
    Refused { message: String },
    /// The statement needs more time, memory or disk than it may have.
    #[error("{message}")]
    Limit { message: String },
    /// A file, the disk or the system failed.
    #[error("{message}")]
    World { message: String },
    /// The logs cannot be read any further.
    #[error("reading the logs stopped")]
    Source { source: Arc<SourceError> },
}

impl SqlError {
    /// True where the statement is at fault, not the world.
    pub fn is_usage(&self) -> bool {
        matches!(self, SqlError::Plan { .. } | SqlError::Refused { .. })
    }

    /// The cure that the user can apply, where we know one.
    pub fn hint(&self) -> Option<&str> {
        match self {
            SqlError::Plan { hint, .. } => hint.as_deref(),
            SqlError::Source { source } => source.hint(),
            SqlError::Refused { .. } | SqlError::Limit { .. } | SqlError::World { .. } => None,
        }
    }
}

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> SqlError {
        let message = told(&error);
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => SqlError::Limit { message },
            DataFusionError::External(cause) => match cause.downcast_ref::<ObjectReadError>() {
                Some(ObjectReadError::Fatal(source)) => SqlError::Source { source: Arc::clone(source) },
                _ if is_of_pattern(&cause.to_string()) => SqlError::Plan { message, hint: None },
                _ => SqlError::World { message },
            },
            DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => {
                SqlError::World { message }
            }
            DataFusionError::ArrowError(arrow, _)
                if matches!(
                    **arrow,
                    ArrowError::IoError(..) | ArrowError::ParquetError(_) | ArrowError::IpcError(_)
                ) =>
            {
                SqlError::World { message }
            }
            _ => SqlError::Plan { message, hint: None },
        }
    }
}

/// True of the words for a regular expression that is wrong or too large; the statement has it.
fn is_of_pattern(message: &str) -> bool {
    message.starts_with("regex parse error") || message.starts_with("Compiled regex exceeds size limit")
}

/// DataFusion's message, without the parts for its own developers.
fn told(error: &DataFusionError) -> String {
    let message = error.strip_backtrace();
    let message = match message.split_once("' failed\ncaused by\n") {
        Some((rule, cause)) if rule.starts_with("Optimizer rule '") => cause.to_owned(),
        _ => message,
    };
    // For wrong argument types DataFusion prints "internal error" before the useful part; keep only the useful part.
    match message.find("No function matches") {
        Some(at) => message[at..].split_whitespace().collect::<Vec<_>>().join(" "),
        None => message,
    }
}

impl From<guard::Refusal> for SqlError {
    fn from(refusal: guard::Refusal) -> SqlError {
        match refusal {
            guard::Refusal::Syntax(message) => SqlError::Plan { message, hint: None },
            refused => SqlError::Refused { message: refused.to_string() },
        }
    }
}

/// Bounds of a session.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    pub threads: usize,
    pub memory_bytes_max: usize,
    /// Accounts and Regions that must be among the input; their hours are told even where nothing of them is here.
    pub expected: Vec<(String, String)>,
    /// Answers of AWS's own, as state.
    pub state_answers: Vec<StateAnswer>,
    /// True where the events are all records, and not those alone that concern keys.
    pub has_all_events: bool,
    /// The rules that run.
    pub rules: Arc<[FindingRule]>,
    /// What teams have said of findings and of the use of keys.
    pub said: Arc<FindingsSaid>,
}

/// The parts of a store that answer questions.
pub struct StoreContents {
    /// The plan of `events`.
    pub events: LogicalPlan,
    /// The same with all that state follows from; none where the scope leaves out none of it.
    pub state_events: Option<LogicalPlan>,
    /// The rows of `objects` and of `quarantine`.
    pub objects: Vec<RecordBatch>,
    pub quarantine: Vec<RecordBatch>,
    /// Objects whose hours are unknown, for any scope.
    pub objects_without_hours: u64,
    /// The hours of objects, and the facts of digests.
    pub hours: Arc<dyn TableProvider>,
    pub digests: Arc<dyn TableProvider>,
    /// Rows without a time in all its files, for any scope.
    pub untimed_max: u64,
    /// Rows that name no account or no Region in all its files, for any scope.
    pub unplaced_max: u64,
    /// Rows whose derived columns come from an earlier normalizer.
    pub older_rows: u64,
    /// The scope that its events are narrowed to.
    pub scope: Scope,
    /// The objects whose faults do not make it incomplete.
    pub accepted: Arc<AcceptedObjects>,
    /// The URL under which the plan looks for its files, and the object store that holds them.
    pub files: (&'static str, Arc<dyn ObjectStore>),
}

/// The source of the raw tables' rows.
enum RowSource {
    Logs(Arc<LogTable>),
    Store {
        events: Arc<dyn TableProvider>,
        state_events: Option<Arc<dyn TableProvider>>,
        accounting: Box<Accounting>,
        scope: Scope,
    },
}

impl RowSource {
    fn events(&self) -> Arc<dyn TableProvider> {
        match self {
            // This report is a placeholder: each question gives its scan one of its own before it runs.
            RowSource::Logs(logs) => Arc::new(EventsTable::new(Arc::clone(logs), Arc::default(), RowReach::Scope)),
            RowSource::Store { events, .. } => Arc::clone(events),
        }
    }

    fn scope(&self) -> &Scope {
        match self {
            RowSource::Logs(logs) => &logs.options.scope,
            RowSource::Store { scope, .. } => scope,
        }
    }

    /// Events for state; none where they are those of the scope.
    fn state_events(&self) -> Option<Arc<dyn TableProvider>> {
        match self {
            RowSource::Logs(logs) => logs.options.scope.has_state_outside().then(|| {
                let events = EventsTable::new(Arc::clone(logs), Arc::default(), RowReach::State);
                Arc::new(events) as Arc<dyn TableProvider>
            }),
            RowSource::Store { state_events, .. } => state_events.clone(),
        }
    }

    fn interval(&self) -> AskedInterval {
        match self {
            // The event history is asked for the interval alone.
            RowSource::Logs(logs) if logs.options.scope.baseline_days() > 0 && !logs.listing.has_history() => {
                interval_of(&logs.options.scope, EarlierHistory::Read)
            }
            RowSource::Logs(logs) => interval_of(&logs.options.scope, EarlierHistory::NotRead),
            RowSource::Store { scope, .. } => interval_of(scope, EarlierHistory::Read),
        }
    }
}

/// True if the logs of a store hold no changes of IAM, STS and Organizations for its scope.
fn changes_not_read(stored: &StoreContents) -> Result<bool, ColumnError> {
    let mut changes = GlobalChanges::of(&stored.scope);
    if !changes.are_missing() {
        return Ok(false);
    }
    for batch in &stored.objects {
        let rows = ObjectRows::of(batch)?;
        for row in 0..batch.num_rows() {
            let is_history = rows.kind.value(row)? == ObjectKind::EventHistory;
            if rows.outcome(row)?.status().is_read() && !is_history {
                changes.see(rows.uri.value(row));
            }
        }
    }
    Ok(changes.are_missing())
}

fn interval_of(scope: &Scope, earlier: EarlierHistory) -> AskedInterval {
    AskedInterval { since: scope.since, until: scope.until, earlier }
}

/// A session over one set of logs, or one store. It answers any number of questions at once.
pub struct Engine {
    context: SessionContext,
    data: RowSource,
}

impl Engine {
    /// Opens a session over raw logs. Fails if DataFusion cannot make one.
    pub fn over_logs(logs: LogTable, options: EngineOptions) -> Result<Engine, SqlError> {
        let logs = Arc::new(logs);
        let hidden = HiddenTables { digests: digest_facts(&logs)?, ..HiddenTables::empty()? };
        Engine::new(RowSource::Logs(logs), (vec![], vec![]), hidden, options)
    }

    /// Opens a session over a store. Counts events without a time or a place here, since every scope
    /// lets them pass.
    pub async fn over_store(stored: StoreContents, options: EngineOptions) -> Result<Engine, SqlError> {
        let mut accounting = Accounting::accepting(&stored.accepted);
        (accounting.is_stored, accounting.older_rows) = (true, stored.older_rows);
        accounting.without_hours = stored.objects_without_hours;
        let damaged = |error: ColumnError| SqlError::World { message: error.to_string() };
        stored.objects.iter().try_for_each(|rows| accounting.add_rows(rows)).map_err(damaged)?;
        accounting.changes_not_read = changes_not_read(&stored).map_err(damaged)?;
        let table = |plan| Arc::new(ViewTable::new(plan, None)) as Arc<dyn TableProvider>;
        let data = RowSource::Store {
            events: table(stored.events),
            state_events: stored.state_events.map(table),
            accounting: Box::new(accounting),
            scope: stored.scope,
        };
        let hidden = HiddenTables { hours: stored.hours, digests: stored.digests, ..HiddenTables::empty()? };
        let mut engine = Engine::new(data, (stored.objects, stored.quarantine), hidden, options)?;
        let (url, files) = stored.files;
        engine.context.runtime_env().register_object_store(ObjectStoreUrl::parse(url)?.as_ref(), files);
        let untimed = engine.count_if(stored.untimed_max, "event_time IS NULL").await?;
        let unplaced = engine.count_if(stored.unplaced_max, UNPLACED).await?;
        if let RowSource::Store { accounting, .. } = &mut engine.data {
            accounting.lacking = LackingRows { time: untimed, place: unplaced };
        }
        Ok(engine)
    }

    /// Counts the events that meet a condition, if so many at most may meet it.
    async fn count_if(&self, at_most: u64, condition: &str) -> Result<u64, SqlError> {
        if at_most == 0 {
            return Ok(0);
        }
        let mut answer = self.query(&format!("SELECT event_id FROM events WHERE {condition}"), &[]).await?;
        let mut found = 0;
        while let Some(batch) = answer.next().await? {
            found += batch.num_rows() as u64;
        }
        Ok(found)
    }

    fn new(
        data: RowSource,
        (objects, quarantine): (Vec<RecordBatch>, Vec<RecordBatch>),
        hidden: HiddenTables,
        options: EngineOptions,
    ) -> Result<Engine, SqlError> {
        let pool = TrackConsumersPool::new(
            DealingPool::new(options.memory_bytes_max),
            std::num::NonZeroUsize::new(3).expect("three is not zero"),
        );
        let spilled = DiskManagerBuilder::default().with_temp_file_factory(Arc::new(SpillFiles::default()));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_disk_manager_builder(spilled);
        let runtime = runtime.build_arc()?;
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_target_partitions(options.threads.max(1))
            .with_information_schema(true)
            // A join holds its small side, which is built once; the other side stays in its partitions.
            .with_repartition_joins(false)
            // Our windows look at few rows, such as corrections: a sort for each partition would only take memory.
            .with_repartition_windows(false);
        // Moving `map['key']` down to the scan renames columns without minding their places, and then a branch of a
        // union gives its values under other columns' names (apache/datafusion#25414, #25448).
        config.options_mut().optimizer.enable_leaf_expression_pushdown = false;
        // An audit of the sample answers alike after one, two and three passes; the third takes a fifth of its planning.
        config.options_mut().optimizer.max_passes = 2;
        // Every sort of every partition reserves this at once, and most of ours sort a handful of rows.
        config.options_mut().execution.sort_spill_reservation_bytes = SORT_RESERVED_BYTES;
        let state = allowed::session().with_config(config).with_runtime_env(runtime);
        let state = state.with_analyzer_rule(Arc::new(BoundResults)).with_optimizer_rule(Arc::new(MeasureConstants));
        let state = state.with_physical_optimizer_rule(Arc::new(HandOutScans));
        let context = SessionContext::new_with_state(state.build());
        functions::register(&context);
        series::bound(&context)?;
        context.register_table("events", data.events())?;
        let objects = MemTable::try_new(OBJECT_COLUMNS.schema(), vec![objects])?;
        let quarantine = MemTable::try_new(QUARANTINE_COLUMNS.schema(), vec![quarantine])?;
        context.register_table("objects", Arc::new(objects))?;
        context.register_table("quarantine", Arc::new(quarantine))?;
        // A user query must not name the companions: the scan prunes them to the days of the other tables.
        let is_narrowed = !data.scope().accounts.is_empty() || !data.scope().regions.is_empty();
        let rule_needs = rules::needs_batch(&options.rules, options.has_all_events)?;
        let hidden = HiddenTables { expected: options.expected.clone(), is_narrowed, rule_needs, ..hidden }.named()?;
        let earlier = data.state_events().map(|events| EarlierTables { companions: Arc::clone(&events), events });
        let answers = state_answers::batch(&state_answers::in_scope(&options.state_answers, data.scope()));
        let state_answers = Arc::new(MemTable::try_new(state_answers::schema(), vec![vec![answers]])?);
        let (companions, interval) = (data.events(), data.interval());
        let (rules, said) = (options.rules, options.said);
        let beside = ViewTables { companions, hidden, earlier, state_answers, interval, rules, said };
        catalog::add_views(&context, beside)?;
        Ok(Engine { context, data })
    }

    /// Answers one statement.
    pub async fn query(&self, sql: &str, params: &[(String, String)]) -> Result<Answer, SqlError> {
        let values = params.iter().map(|(name, value)| (name.clone(), ScalarValue::from(value.as_str()))).collect();
        self.answer(sql, values).await
    }

    /// Answers a named query; a parameter that is not given has the default of the query's card.
    pub async fn named(&self, name: &str, params: &[(String, String)]) -> Result<Answer, SqlError> {
        let query = named::find(name).ok_or_else(|| SqlError::Plan {
            message: format!("there is no query `{name}`"),
            hint: did_you_mean(name, named::all().iter().map(|query| query.name)),
        })?;
        let values = query.values(params);
        let values = values.map_err(|wrong| SqlError::Plan { message: wrong.to_string(), hint: wrong.hint })?;
        self.answer(query.sql, values).await
    }

    /// Says what has to be said of the names that an answer is about. Of a name that no row
    /// answers the records tell, which are read for that.
    pub async fn told_names(&self, names: &NamesOfAnswer) -> Result<Vec<String>, SqlError> {
        let mut said = names.sentences();
        for asked in names.unanswered() {
            let rows = self.query(sections::names(asked.kind).sql, &[]).await?.rows().await?;
            said.extend(names.sentence_of_unanswered(asked, &BorneNames::of(asked.kind, &rows)));
        }
        Ok(said)
    }

    /// Plans these statements and reads the logs once for all of them. A store is read when rows are taken.
    pub async fn prepare(&self, statements: &[&str]) -> Result<PreparedStatements<'_>, SqlError> {
        let mut plans = Vec::with_capacity(statements.len());
        for sql in statements {
            plans.push(self.checked_plan(sql, HashMap::new()).await?);
        }
        self.prepared(plans).await
    }

    /// The same, with the rows of some views narrowed. Who narrows them decides by what before rows are taken.
    pub async fn prepare_narrowed(
        &self,
        statements: &[NarrowedStatement<'_>],
        narrowing: &RowNarrowing,
    ) -> Result<NarrowedStatements<'_>, SqlError> {
        let (mut plans, mut not_narrowed) = (Vec::with_capacity(statements.len()), Vec::new());
        let state = self.context.state();
        for statement in statements {
            let plan = catalog::planned(&state, statement.sql).await;
            let plan = plan.map_err(|error| self.explain(statement.sql, error))?;
            let (plan, open) = narrowing.narrow(plan, statement.views)?;
            plans.push(state.optimize(&plan)?);
            not_narrowed.push(open);
        }
        Ok(NarrowedStatements { prepared: self.prepared(plans).await?, not_narrowed })
    }

    async fn prepared(&self, plans: Vec<LogicalPlan>) -> Result<PreparedStatements<'_>, SqlError> {
        let derivations = DerivedInputs::of(&plans, &self.context.state())?;
        let (plans, accounting) = match &self.data {
            RowSource::Store { accounting, .. } => (derivations.stand_in(plans, &Ok)?, (**accounting).clone()),
            RowSource::Logs(logs) => self.over_kept_rows(logs, plans, derivations).await?,
        };
        Ok(PreparedStatements::new(self, plans, accounting))
    }

    async fn answer(&self, sql: &str, values: HashMap<String, ScalarValue>) -> Result<Answer, SqlError> {
        let plans = vec![self.checked_plan(sql, values).await?];
        let derivations = DerivedInputs::of(&plans, &self.context.state())?;
        let (mut plans, evidence) = match &self.data {
            RowSource::Store { accounting, .. } => {
                (derivations.stand_in(plans, &Ok)?, Evidence::Known(accounting.clone()))
            }
            RowSource::Logs(logs) if RawMentions::of(plans.iter().chain(derivations.inputs()))?.streams() => {
                let (logs, report) = (Arc::clone(logs), Arc::new(ScanReport::default()));
                let plans = derivations.stand_in(plans, &|plan| reporting_to(plan, &logs, &report))?;
                (plans, Evidence::Scan { logs, report })
            }
            RowSource::Logs(logs) => {
                let (plans, accounting) = self.over_kept_rows(logs, plans, derivations).await?;
                (plans, Evidence::Known(Box::new(accounting)))
            }
        };
        self.run(plans.swap_remove(0), evidence).await
    }

    async fn run(&self, plan: LogicalPlan, evidence: Evidence) -> Result<Answer, SqlError> {
        let batches = execute_stream(physical_plan(&self.context.state(), &plan).await?, self.context.task_ctx())?;
        Ok(Answer::new(batches, evidence))
    }

    /// Reads the logs once for all the plans and their derived tables, and returns the plans over the kept rows.
    async fn over_kept_rows(
        &self,
        logs: &Arc<LogTable>,
        plans: Vec<LogicalPlan>,
        derivations: DerivedInputs,
    ) -> Result<(Vec<LogicalPlan>, Accounting), SqlError> {
        let scans = RawMentions::of(plans.iter().chain(derivations.inputs()))?;
        let (tables, scanned) = self.read(logs, scans).await?;
        let plans = derivations.stand_in(plans, &|plan| tables.stand_in(plan))?;
        Ok((plans, scanned.accounting(logs)))
    }

    /// The optimized plan of a statement that only reads; an empty statement has a plan without rows.
    async fn checked_plan(&self, sql: &str, values: HashMap<String, ScalarValue>) -> Result<LogicalPlan, SqlError> {
        match guard::check(sql)? {
            guard::CheckedStatement::Empty => Ok(LogicalPlanBuilder::empty(false).build()?),
            guard::CheckedStatement::Query => self.plan(sql, values).await,
        }
    }

    async fn plan(&self, sql: &str, values: HashMap<String, ScalarValue>) -> Result<LogicalPlan, SqlError> {
        let state = self.context.state();
        let plan = catalog::planned(&state, sql).await.map_err(|error| self.explain(sql, error))?;
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        options.verify_plan(&plan).map_err(|error| SqlError::Refused { message: error.strip_backtrace() })?;
        let is_unset = |name: &String| !values.contains_key(name.trim_start_matches('$'));
        if let Some(name) = plan.get_parameter_names()?.into_iter().filter(is_unset).min() {
            let hint = match name.strip_prefix('$') {
                Some(bare) => format!("give it one with -p {bare}=VALUE"),
                None => "write it as `$name`, and give it one with -p name=VALUE".to_owned(),
            };
            return Err(SqlError::Plan { message: format!("the parameter `{name}` has no value"), hint: Some(hint) });
        }
        let plan = if values.is_empty() { plan } else { plan.with_param_values(values)? };
        state.optimize(&plan).map_err(|error| self.explain(sql, error))
    }

    /// Adds a hint to an error of planning.
    fn explain(&self, sql: &str, error: DataFusionError) -> SqlError {
        if let Some(missing) = hints::MissingColumn::of(&error) {
            return SqlError::Plan { message: missing.message(), hint: Some(missing.hint()) };
        }
        match SqlError::from(error) {
            SqlError::Plan { message, hint: None } => {
                let hint = hints::of(sql, &message, &self.table_names());
                SqlError::Plan { message, hint }
            }
            other => other,
        }
    }

    /// The accounts, Regions and times of the input: as a scan of all of it found them, or as a store has them.
    pub async fn seen(&self, accounting: Option<&Accounting>) -> Result<SeenInput, SqlError> {
        match (&self.data, accounting) {
            (RowSource::Store { scope, .. }, _) => {
                let events = self.query(sections::seen().sql, &[]).await?.rows().await?;
                let objects = self.query(stored_seen::OBJECTS_SQL, &[]).await?.rows().await?;
                Ok(stored_seen::seen(&events, &objects, scope)?)
            }
            (RowSource::Logs(_), Some(accounting)) if accounting.complete => Ok(accounting.seen.clone()),
            // The question left something out. Whoever asks for the accounts reads everything.
            (RowSource::Logs(_), _) => {
                let mut answer = self.query("SELECT count(*) FROM objects", &[]).await?;
                answer.rows().await?;
                Ok(answer.finish().await.unwrap_or_default().seen)
            }
        }
    }

    /// Every table and view.
    pub fn table_names(&self) -> Vec<String> {
        let schema = self.context.catalog(CATALOG).and_then(|catalog| catalog.schema(SCHEMA));
        schema.map(|schema| schema.table_names()).unwrap_or_default()
    }

    /// Reads the logs once for all scans of some plans.
    async fn read(&self, logs: &Arc<LogTable>, scans: RawMentions) -> Result<(KeptTables, Arc<ScanResult>), SqlError> {
        let (logs, state) = (Arc::clone(logs), self.context.state());
        let read = tokio::task::spawn_blocking(move || -> Result<(KeptTables, Arc<ScanResult>), DataFusionError> {
            let events = EventsTable::new(Arc::clone(&logs), Arc::default(), RowReach::Scope);
            let extent = if scans.accounts { ScanExtent::All } else { ScanExtent::Needed };
            let (kept, scanned) = events.keep(&state, &scans.mentions, extent, KEPT_BYTES_MAX)?;
            let (objects, quarantine) = if scans.accounts { scanned.tables(&logs) } else { (vec![], vec![]) };
            let hours = scans
                .hours
                .then(|| hours_batch(&logs.listing, &scanned.tallies, &|index| !logs.listing.is_for_state(index)));
            let tables = KeptTables {
                events: scans.mentions.into_iter().zip(kept).collect(),
                objects: Arc::new(MemTable::try_new(OBJECT_COLUMNS.schema(), vec![objects])?),
                quarantine: Arc::new(MemTable::try_new(QUARANTINE_COLUMNS.schema(), vec![quarantine])?),
                hours: Arc::new(MemTable::try_new(HOUR_COLUMNS.schema(), vec![hours.into_iter().collect()])?),
            };
            Ok((tables, scanned))
        });
        let read = read.await.map_err(|error| SqlError::World { message: format!("the scan stopped: {error}") })?;
        Ok(read?)
    }

    /// The names that a statement may use, for completion.
    pub fn identifiers(&self) -> Vec<String> {
        catalog::words(self.table_names())
    }
}
