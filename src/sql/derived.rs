//! Derived tables in plans: the SQL of such a view declares an input, and `derive` computes the rows.
//! In: optimized plans that name derived tables. Out: the inputs to read for them, and plans in which the first use
//! that runs computes the rows, once for a question however often it names the table.
//! A filter on the columns by which a derivation falls apart goes to its input too; all filters stay above it. Never
//! computes to plan: `EXPLAIN` shows the reading without doing it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Constraint, Constraints, DataFusionError, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::context::SessionState;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableScan, TableType, col,
};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, execute_stream,
};
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, TryFutureExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::interval::timestamp;
use super::physical::{explains, physical_plan};
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
    /// Lets the planner drop a left join of which no column of this table is used.
    constraints: Constraints,
}

impl DerivedView {
    /// The derived table of a view over its planned input.
    pub fn new(view: &'static View, input: LogicalPlan, interval: AskedInterval) -> Result<DerivedView> {
        let table = derive::TABLES.iter().find(|table| table.name == view.name);
        let missing = || DataFusionError::Internal(format!("nothing derives the table `{}`", view.name));
        let table = table.ok_or_else(missing)?;
        Ok(DerivedView { table, sql: view.sql, input, interval, constraints: constraints(table)? })
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
        !columns.is_empty() && columns.iter().all(|column| self.table.by.contains(&column.name()))
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
        let name = self.table.name;
        Err(DataFusionError::Internal(format!("the input of `{name}` was not planned with its question")))
    }
}

/// The unique columns of a table, as the planner knows them. They are a primary key to it: of a constraint that is only
/// unique it expects several rows of NULL, and derived tables have one.
fn constraints(table: &DerivedTable) -> Result<Constraints> {
    let schema = table.schema();
    let places: Vec<usize> = table.unique.iter().map(|name| Ok(schema.index_of(name)?)).collect::<Result<_>>()?;
    let key = (!places.is_empty()).then_some(Constraint::PrimaryKey(places));
    Ok(Constraints::new_unverified(key.into_iter().collect()))
}

/// One use of a derived table in the plans of a question. Two uses with the same filters have the same rows.
#[derive(Debug, Clone, PartialEq)]
struct DerivedMention {
    name: &'static str,
    filters: Vec<Expr>,
}

/// Replaces the raw tables of a plan by rows that were read.
type StandIn<'r> = dyn Fn(LogicalPlan) -> Result<LogicalPlan> + 'r;

/// The derived tables that a question names, each with its input.
#[derive(Debug, Default)]
pub(super) struct DerivedInputs {
    mentions: Vec<DerivedMention>,
    /// The input of each mention, in the order of the mentions.
    inputs: Vec<LogicalPlan>,
    rows: Vec<Option<Arc<DerivedRows>>>,
    /// True if a plan is asked for, and so the reading of the inputs.
    explains: bool,
}

impl DerivedInputs {
    /// Finds the derived tables of some plans, and those that their inputs name in turn.
    pub fn of(plans: &[LogicalPlan], state: &SessionState) -> Result<DerivedInputs> {
        let mut all = DerivedInputs::default();
        plans.iter().try_for_each(|plan| all.add(plan, state))?;
        all.explains = plans.iter().any(explains);
        Ok(all)
    }

    fn add(&mut self, plan: &LogicalPlan, state: &SessionState) -> Result<()> {
        let mut found = Vec::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Some(table) = derived(scan)
            {
                found.push((mention(&table, scan), table));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        for (mention, table) in found {
            if self.mentions.contains(&mention) {
                continue;
            }
            let input = input(&table, &mention.filters, state)?;
            self.mentions.push(mention);
            self.inputs.push(input.clone());
            self.rows.push(None);
            self.add(&input, state)?;
        }
        Ok(())
    }

    /// The inputs, to be read together with the plans that need them.
    pub fn inputs(&self) -> &[LogicalPlan] {
        &self.inputs
    }

    /// Replaces the derived tables of the plans by computed rows. `read` replaces their raw tables.
    pub fn stand_in(mut self, plans: Vec<LogicalPlan>, read: &StandIn) -> Result<Vec<LogicalPlan>> {
        plans.into_iter().map(|plan| self.replace(plan, read)).collect()
    }

    fn replace(&mut self, plan: LogicalPlan, read: &StandIn) -> Result<LogicalPlan> {
        let replaced = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(mut scan) => match derived(&scan) {
                None => Ok(Transformed::no(LogicalPlan::TableScan(scan))),
                Some(table) => {
                    scan.source = provider_as_source(self.rows_of(&table, &scan, read)?);
                    // The filters apply to the input, and the plan repeats them above this scan.
                    scan.filters = Vec::new();
                    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
                }
            },
            other => Ok(Transformed::no(other)),
        })?;
        read(replaced.data)
    }

    fn rows_of(&mut self, table: &DerivedView, scan: &TableScan, read: &StandIn) -> Result<Arc<DerivedRows>> {
        let mention = mention(table, scan);
        let place = self.mentions.iter().position(|known| *known == mention);
        let place = place.ok_or_else(|| DataFusionError::Internal("a derived table was not looked for".into()))?;
        if let Some(rows) = &self.rows[place] {
            return Ok(Arc::clone(rows));
        }
        let input = self.replace(self.inputs[place].clone(), read)?;
        let (table, interval, shows_input) = (table.table, table.interval, self.explains);
        let (planned, rows) = (OnceCell::default(), Arc::default());
        let rows = Arc::new(DerivedRows { table, input, interval, shows_input, planned, rows });
        self.rows[place] = Some(Arc::clone(&rows));
        Ok(rows)
    }
}

/// The derived table that a scan reads.
fn derived(scan: &TableScan) -> Option<Arc<DerivedView>> {
    let provider = source_as_provider(&scan.source).ok()?;
    (provider as Arc<dyn std::any::Any + Send + Sync>).downcast::<DerivedView>().ok()
}

fn mention(table: &DerivedView, scan: &TableScan) -> DerivedMention {
    DerivedMention { name: table.table.name, filters: scan.filters.clone() }
}

/// The optimized plan of the input rows that pass the filters.
fn input(table: &DerivedView, filters: &[Expr], state: &SessionState) -> Result<LogicalPlan> {
    let mut plan = LogicalPlanBuilder::from(table.input.clone());
    for filter in filters {
        plan = plan.filter(unqualified(filter.clone())?)?;
    }
    state.optimize(&plan.build()?)
}

/// The rows of a derived table for one question.
#[derive(Debug)]
struct DerivedRows {
    table: &'static DerivedTable,
    input: LogicalPlan,
    interval: AskedInterval,
    shows_input: bool,
    /// The first use of the table plans its input, for all.
    planned: OnceCell<Arc<dyn ExecutionPlan>>,
    /// The first use of the table that runs begins to compute these.
    rows: Arc<OnceLock<ComputedRows>>,
}

/// The rows as they are computed. Whoever waits for them drives the work, so one that gives up does not undo it: a plan can
/// be run only once.
type ComputedRows = Shared<BoxFuture<'static, Result<RecordBatch, Arc<DataFusionError>>>>;

#[async_trait]
impl TableProvider for DerivedRows {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let state = state.as_any().downcast_ref::<SessionState>();
        let state = state.ok_or_else(|| DataFusionError::Internal("a question has no session of ours".into()))?;
        let input = self.planned.get_or_try_init(|| physical_plan(state, &self.input)).await?;
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema().fields().len()).collect());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(self.schema().project(&projection)?)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Arc::new(DerivedExec {
            table: self.table,
            interval: self.interval,
            // A derivation needs all rows in one partition.
            input: Arc::new(CoalescePartitionsExec::new(Arc::clone(input))),
            shows_input: self.shows_input,
            projection,
            rows: Arc::clone(&self.rows),
            properties: Arc::new(properties),
        }))
    }
}

/// Computes a derived table from the rows of its input.
#[derive(Debug)]
struct DerivedExec {
    table: &'static DerivedTable,
    interval: AskedInterval,
    input: Arc<dyn ExecutionPlan>,
    /// Else this plan has no children: its input is planned to its end, and not again for each use.
    shows_input: bool,
    projection: Vec<usize>,
    rows: Arc<OnceLock<ComputedRows>>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for DerivedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "DerivedExec: table={}", self.table.name)
    }
}

impl ExecutionPlan for DerivedExec {
    fn name(&self) -> &'static str {
        "DerivedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.shows_input.then_some(&self.input).into_iter().collect()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition; self.children().len()]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        let (projection, rows) = (self.projection.clone(), Arc::clone(&self.rows));
        let (table, interval, shows_input) = (self.table, self.interval, self.shows_input);
        let properties = Arc::clone(&self.properties);
        Ok(Arc::new(DerivedExec { table, interval, input, shows_input, projection, rows, properties }))
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (table, interval, input) = (self.table, self.interval, Arc::clone(&self.input));
        let (rows, projection) = (Arc::clone(&self.rows), self.projection.clone());
        let computing =
            rows.get_or_init(|| compute(table, interval, input, context).map_err(Arc::new).boxed().shared());
        let computing = computing.clone();
        let computed = async move { Ok(computing.await.map_err(DataFusionError::Shared)?.project(&projection)?) };
        let schema = self.properties.eq_properties.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), futures::stream::once(computed))))
    }
}

/// Computes the rows of a table from those of its input. Fails if the derivation holds more than a question may.
async fn compute(
    table: &'static DerivedTable,
    interval: AskedInterval,
    input: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<RecordBatch> {
    let held = MemoryConsumer::new(format!("derived table `{}`", table.name)).register(context.memory_pool());
    let mut batches = execute_stream(input, context)?;
    let mut derivation = (table.start)(&interval);
    while let Some(rows) = batches.try_next().await? {
        derivation.take(&rows)?;
        held.try_resize(derivation.bytes_held())?;
    }
    Ok(derivation.finish()?)
}
