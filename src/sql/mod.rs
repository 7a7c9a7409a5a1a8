//! The guarded session: SQL over `events`, `objects`, `quarantine` and the views, over logs or over a store.
//! In: one statement, its parameters. Out: a stream of batches, or whose fault it was that there is none.
//! A plan that mentions `events` once streams straight from the scan; any other reads the logs once into kept rows and
//! answers from those. A store is planned over as it is. Never writes a file, never reads anything but what it was opened on.

pub mod functions;
pub mod guard;
pub mod mend;
pub mod named;
pub mod views;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionState;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan, LogicalPlanBuilder, TableScan};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use object_store::ObjectStore;

use crate::objects::{OBJECT_COLUMNS, QUARANTINE_COLUMNS};
use crate::schema;
use crate::source::{SourceError, Unread};
use crate::table::{Accounting, EventsTable, Extent, KeptTable, LogTable, Mention, Role};

/// Rows of `events` that are kept in memory; more go to a temporary file.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// Under what names the tables stand in `information_schema`.
const CATALOG: &str = "keytrail";
const SCHEMA: &str = "main";

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The statement is wrong: it does not parse, names what is not there, or cannot be computed.
    #[error("{message}")]
    Plan { message: String, hint: Option<String> },
    /// The statement asks for what this session never does.
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

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> SqlError {
        let message = told(&error);
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => SqlError::Limit { message },
            DataFusionError::External(cause) => match cause.downcast_ref::<Unread>() {
                Some(Unread::Fatal(source)) => SqlError::Source { source: Arc::clone(source) },
                _ => SqlError::World { message },
            },
            DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => {
                SqlError::World { message }
            }
            DataFusionError::ArrowError(arrow, _) if matches!(**arrow, arrow::error::ArrowError::IoError(..)) => {
                SqlError::World { message }
            }
            _ => SqlError::Plan { message, hint: None },
        }
    }
}

/// What DataFusion says, without what it says to its own developers.
fn told(error: &DataFusionError) -> String {
    let message = error.strip_backtrace();
    // A function that is given the wrong types is called a bug before it is told well.
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
    pub deadline: Option<Duration>,
}

/// The rows of one answer, as they come.
pub struct Answer {
    pub schema: SchemaRef,
    pub batches: SendableRecordBatchStream,
}

/// What a store answers from.
pub struct Stored {
    /// The plan of `events`.
    pub events: LogicalPlan,
    /// The rows of `objects` and of `quarantine`.
    pub objects: Vec<RecordBatch>,
    pub quarantine: Vec<RecordBatch>,
    /// Where the files are that the plan reads, and the URL under which it looks for them.
    pub files: (&'static str, Arc<dyn ObjectStore>),
}

/// Where the rows of the raw tables come from.
enum Data {
    Logs(Arc<LogTable>),
    Store { events: Arc<dyn TableProvider>, accounting: Accounting },
}

impl Data {
    fn events(&self) -> Arc<dyn TableProvider> {
        match self {
            Data::Logs(logs) => Arc::new(EventsTable::new(Arc::clone(logs))),
            Data::Store { events, .. } => Arc::clone(events),
        }
    }
}

/// A session over one set of logs, or one store.
pub struct Engine {
    context: SessionContext,
    data: Data,
    options: EngineOptions,
    prepared: Mutex<Option<Prepared>>,
}

/// The rows that a set of statements needs, read in one scan.
#[derive(Clone)]
struct Prepared {
    statements: HashSet<String>,
    tables: Tables,
}

/// What stands in for the raw tables in a plan.
#[derive(Clone)]
struct Tables {
    /// Each mention of `events`, and its rows.
    events: Arc<[(Mention, KeptTable)]>,
    objects: Arc<MemTable>,
    quarantine: Arc<MemTable>,
}

impl Engine {
    pub fn over_logs(logs: LogTable, options: EngineOptions) -> Result<Engine, SqlError> {
        Engine::new(Data::Logs(Arc::new(logs)), (vec![], vec![]), options)
    }

    pub fn over_store(stored: Stored, options: EngineOptions) -> Result<Engine, SqlError> {
        let mut accounting = Accounting::none();
        accounting.is_stored = true;
        for rows in &stored.objects {
            accounting.add_rows(rows).map_err(|error| SqlError::World { message: error.to_string() })?;
        }
        let events = Arc::new(ViewTable::new(stored.events, None));
        let engine = Engine::new(Data::Store { events, accounting }, (stored.objects, stored.quarantine), options)?;
        let (url, files) = stored.files;
        engine.context.runtime_env().register_object_store(ObjectStoreUrl::parse(url)?.as_ref(), files);
        Ok(engine)
    }

    /// Counts the events of a store without a time, for its accounts.
    pub async fn count_untimed(&mut self) -> Result<(), SqlError> {
        let mut batches = self.query("SELECT event_id FROM events WHERE event_time IS NULL", &[]).await?.batches;
        let mut untimed = 0;
        while let Some(batch) = batches.next().await.transpose()? {
            untimed += batch.num_rows() as u64;
        }
        if let Data::Store { accounting, .. } = &mut self.data {
            accounting.untimed = untimed;
        }
        Ok(())
    }

    fn new(
        data: Data,
        (objects, quarantine): (Vec<RecordBatch>, Vec<RecordBatch>),
        options: EngineOptions,
    ) -> Result<Engine, SqlError> {
        let pool = TrackConsumersPool::new(
            FairSpillPool::new(options.memory_bytes_max),
            std::num::NonZeroUsize::new(3).expect("three is not zero"),
        );
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?;
        let config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_target_partitions(options.threads.max(1))
            .with_information_schema(true)
            // The side of a join that is held is the small one: it is built once, and the other stays where it is.
            .with_repartition_joins(false);
        let context = SessionContext::new_with_config_rt(config, runtime);
        functions::register(&context);
        context.register_table("events", data.events())?;
        let objects = MemTable::try_new(OBJECT_COLUMNS.schema(), vec![objects])?;
        let quarantine = MemTable::try_new(QUARANTINE_COLUMNS.schema(), vec![quarantine])?;
        context.register_table("objects", Arc::new(objects))?;
        context.register_table("quarantine", Arc::new(quarantine))?;
        Ok(Engine { context, data, options, prepared: Mutex::new(None) })
    }

    /// Plans the views on first use; what a session never asks for costs it nothing.
    async fn with_views(&self) -> Result<&SessionContext, SqlError> {
        if !self.context.table_exist("key_attempts")? {
            // Only views may name it: in a question of a user's it would leave out what its days leave out.
            self.context.register_table(COMPANIONS, self.data.events())?;
            for (name, sql) in views::all() {
                let plan = planned(&self.context.state(), sql).await?;
                self.context.register_table(*name, Arc::new(ViewTable::new(plan, Some((*sql).to_owned()))))?;
            }
            self.context.deregister_table(COMPANIONS)?;
        }
        Ok(&self.context)
    }

    /// Answers one statement.
    pub async fn query(&self, sql: &str, params: &[(String, String)]) -> Result<Answer, SqlError> {
        let values = params.iter().map(|(name, value)| (name.clone(), ScalarValue::from(value.as_str()))).collect();
        self.answer(sql, values).await
    }

    /// Answers a named query; parameters that are not given have the default of the query's card.
    pub async fn named(&self, name: &str, params: &[(String, String)]) -> Result<Answer, SqlError> {
        let query = named::find(name).ok_or_else(|| SqlError::Plan {
            message: format!("there is no query `{name}`"),
            hint: named::suggest(name).map(|near| format!("did you mean `{near}`?")),
        })?;
        let values = query.values(params).map_err(|message| SqlError::Plan { message, hint: None })?;
        self.answer(query.sql, values).await
    }

    /// Reads once what all these statements need; each is then answered from that. A store is read as it is needed.
    pub async fn prepare(&self, statements: &[&str]) -> Result<(), SqlError> {
        let Data::Logs(logs) = &self.data else { return Ok(()) };
        let mut scans = Scans::default();
        for sql in statements {
            scans.add(&self.plan(sql, HashMap::new()).await?)?;
        }
        let tables = self.read(logs, scans).await?;
        let statements = statements.iter().map(|sql| (*sql).to_owned()).collect();
        *self.prepared.lock().expect("nothing panics while it holds the prepared rows") =
            Some(Prepared { statements, tables });
        Ok(())
    }

    async fn answer(&self, sql: &str, values: HashMap<String, ScalarValue>) -> Result<Answer, SqlError> {
        let started = Instant::now();
        if guard::check(sql)? == guard::Checked::Empty {
            let nothing = LogicalPlanBuilder::empty(false).build()?;
            let batches = DataFrame::new(self.context.state(), nothing).execute_stream().await?;
            return Ok(Answer { schema: batches.schema(), batches });
        }
        let plan = self.plan(sql, values).await?;
        let plan = match &self.data {
            Data::Logs(logs) => self.over_kept_rows(logs, sql, plan).await?,
            Data::Store { .. } => plan,
        };
        let batches = DataFrame::new(self.context.state(), plan).execute_stream().await?;
        let schema = batches.schema();
        Ok(Answer { schema, batches: self.bounded(batches, started) })
    }

    /// The plan with what it needs of the logs read, unless it can run straight on the scan.
    async fn over_kept_rows(
        &self,
        logs: &Arc<LogTable>,
        sql: &str,
        plan: LogicalPlan,
    ) -> Result<LogicalPlan, SqlError> {
        let prepared = self.prepared.lock().expect("nothing panics while it holds the prepared rows").clone();
        let mut scans = Scans::default();
        scans.add(&plan)?;
        Ok(match prepared.filter(|prepared| prepared.statements.contains(sql)) {
            Some(prepared) => prepared.tables.stand_in(plan)?,
            None if scans.streams() => plan,
            None => self.read(logs, scans).await?.stand_in(plan)?,
        })
    }

    async fn plan(&self, sql: &str, values: HashMap<String, ScalarValue>) -> Result<LogicalPlan, SqlError> {
        let context = self.with_views().await?;
        let state = context.state();
        let plan = planned(&state, sql).await.map_err(|error| self.explain(error))?;
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
        state.optimize(&plan).map_err(|error| self.explain(error))
    }

    /// An error of planning, with the name that was probably meant.
    fn explain(&self, error: DataFusionError) -> SqlError {
        let message = error.strip_backtrace();
        let missing = message.split("table '").nth(1).and_then(|rest| rest.split('\'').next());
        let hint = missing.and_then(|missing| {
            let bare = missing.rsplit('.').next().unwrap_or(missing);
            let tables = self.context.catalog(CATALOG)?.schema(SCHEMA)?.table_names();
            let near = tables
                .into_iter()
                .max_by(|a, b| strsim::jaro_winkler(a, bare).total_cmp(&strsim::jaro_winkler(b, bare)))?;
            Some(format!("did you mean `{near}`? `SHOW TABLES` lists them all"))
        });
        match SqlError::from(error) {
            SqlError::Plan { message, hint: None } => SqlError::Plan { message, hint },
            other => other,
        }
    }

    /// Reads the logs once for all scans of a plan.
    async fn read(&self, logs: &Arc<LogTable>, scans: Scans) -> Result<Tables, SqlError> {
        let (logs, state) = (Arc::clone(logs), self.context.state());
        let read = tokio::task::spawn_blocking(move || -> Result<Tables, DataFusionError> {
            let events = EventsTable::new(Arc::clone(&logs));
            let extent = if scans.accounts { Extent::All } else { Extent::Needed };
            let kept = events.keep(&state, &scans.mentions, extent, KEPT_BYTES_MAX)?;
            let (objects, quarantine) = match logs.last_scan() {
                Some(scanned) if scans.accounts => scanned.tables(&logs),
                _ => (vec![], vec![]),
            };
            Ok(Tables {
                events: scans.mentions.into_iter().zip(kept).collect(),
                objects: Arc::new(MemTable::try_new(OBJECT_COLUMNS.schema(), vec![objects])?),
                quarantine: Arc::new(MemTable::try_new(QUARANTINE_COLUMNS.schema(), vec![quarantine])?),
            })
        });
        let tables = read.await.map_err(|error| SqlError::World { message: format!("the scan stopped: {error}") })?;
        Ok(tables?)
    }

    /// The stream, ended with an error once the deadline has passed.
    fn bounded(&self, batches: SendableRecordBatchStream, started: Instant) -> SendableRecordBatchStream {
        let Some(deadline) = self.options.deadline else { return batches };
        let schema = batches.schema();
        let checked = batches.map(move |batch| match batch {
            Ok(_) if started.elapsed() > deadline => {
                Err(DataFusionError::ResourcesExhausted(format!("the deadline of {deadline:?} has passed")))
            }
            other => other,
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, checked))
    }

    /// What the last scan found, `None` if no question has read the logs; or what the store accounts for.
    pub fn accounting(&self) -> Option<Accounting> {
        match &self.data {
            Data::Logs(logs) => logs.last_scan().map(|scanned| scanned.accounting(logs)),
            Data::Store { accounting, .. } => Some(accounting.clone()),
        }
    }

    /// Every table and column name, for completion.
    pub async fn identifiers(&self) -> Vec<String> {
        let Ok(context) = self.with_views().await else { return Vec::new() };
        let tables = context.catalog(CATALOG).and_then(|catalog| catalog.schema(SCHEMA));
        let mut names = tables.map(|schema| schema.table_names()).unwrap_or_default();
        names.extend(schema::COLUMNS.iter().map(|column| column.name.to_owned()));
        names.sort_unstable();
        names
    }
}

/// The plan of one statement.
async fn planned(state: &SessionState, sql: &str) -> Result<LogicalPlan, DataFusionError> {
    let mut statement = state.sql_to_statement(sql, &state.config_options().sql_parser.dialect)?;
    mend::mend(&mut statement);
    state.statement_to_plan(statement).await
}

/// The mentions of raw tables in optimized plans.
#[derive(Default)]
struct Scans {
    /// Different ones, in the order of the plans.
    mentions: Vec<Mention>,
    /// How often a plan reads `events`, the same mention or not.
    reads: usize,
    accounts: bool,
}

impl Scans {
    fn add(&mut self, plan: &LogicalPlan) -> Result<(), DataFusionError> {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                let mention = mention(scan);
                self.reads += usize::from(mention.is_some());
                self.accounts |= mention.is_none() && raw_table(scan).is_some();
                self.mentions.extend(mention.filter(|mention| !self.mentions.contains(mention)));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(())
    }

    /// Whether the plan can run straight on the scan.
    fn streams(&self) -> bool {
        self.reads <= 1 && !self.accounts
    }
}

/// The table that the views look for other records of a call in.
pub const COMPANIONS: &str = "event_companions";

/// What a scan of `events` asks for; `None` for other tables.
fn mention(scan: &TableScan) -> Option<Mention> {
    let role = match raw_table(scan)? {
        "events" => Role::Events,
        COMPANIONS => Role::Companions,
        _ => return None,
    };
    Some(Mention::new(scan.projection.as_deref(), scan.filters.clone(), role))
}

/// The name of a raw table that a scan reads. Only these have such names.
fn raw_table(scan: &TableScan) -> Option<&'static str> {
    ["events", COMPANIONS, "objects", "quarantine"].into_iter().find(|name| scan.table_name.table() == *name)
}

impl Tables {
    /// The plan with kept rows in the place of the raw tables.
    fn stand_in(&self, plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        let replaced = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) if raw_table(&scan).is_some() => Ok(Transformed::yes(self.replace(scan)?)),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(replaced.data)
    }

    fn replace(&self, mut scan: TableScan) -> Result<LogicalPlan, DataFusionError> {
        let Some(mention) = mention(&scan) else {
            let table = if raw_table(&scan) == Some("objects") { &self.objects } else { &self.quarantine };
            scan.source = provider_as_source(Arc::clone(table) as _);
            return Ok(LogicalPlan::TableScan(scan));
        };
        let place = self.events.iter().position(|(known, _)| *known == mention);
        let place = place.ok_or_else(|| DataFusionError::Internal("a mention of `events` was not read".into()))?;
        let rows = &self.events[place].1;
        if rows.is_empty() {
            // The planner takes joins with nothing out.
            let empty = EmptyRelation { produce_one_row: false, schema: scan.projected_schema };
            return Ok(LogicalPlan::EmptyRelation(empty));
        }
        // The rows are those of this mention, already filtered and projected. Without its filters it looks like another
        // one of the same columns, and the planner would answer both from either: so each has its own name.
        let kept = LogicalPlanBuilder::scan(format!("kept_{place}"), provider_as_source(Arc::new(rows.clone())), None)?;
        kept.alias(scan.table_name)?.build()
    }
}
