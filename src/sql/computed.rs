//! Rows that a question computes once, however often its plans mention them.
//! In: the optimized input of a table, over rows that were read. Out: a table whose first use that runs computes the rows.
//! Never decides what is computed: that is `derived`. `EXPLAIN` shows the reading without doing it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::context::SessionState;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
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

use super::physical::physical_plan;
use crate::derive::{AskedInterval, DerivedTable};
use crate::table::{KeptTable, RowKeeper, unqualified};

/// Rows of a view that is held take this much memory at most; what is beyond goes to disk.
const HELD_BYTES_MAX: usize = 32 << 20;

/// The way from an input to rows.
#[derive(Debug, Clone)]
pub(super) enum RowMaking {
    /// A derivation folds the input.
    Derived { table: &'static DerivedTable, interval: AskedInterval },
    /// The rows are those of the input, which has these columns of the view.
    Held { view: &'static str, schema: SchemaRef, columns: Vec<usize> },
}

impl RowMaking {
    fn name(&self) -> &'static str {
        match self {
            RowMaking::Derived { table, .. } => table.name,
            RowMaking::Held { view, .. } => view,
        }
    }

    /// That of the table, with columns which the rows may lack.
    fn schema(&self) -> SchemaRef {
        match self {
            RowMaking::Derived { table, .. } => table.schema(),
            RowMaking::Held { schema, .. } => Arc::clone(schema),
        }
    }

    /// The places that columns of the table have in the rows.
    fn places(&self, columns: &[usize]) -> Result<Vec<usize>> {
        match self {
            RowMaking::Derived { .. } => Ok(columns.to_vec()),
            RowMaking::Held { columns: held, view, .. } => {
                let lacks = || DataFusionError::Internal(format!("a column of `{view}` is not held"));
                columns.iter().map(|column| held.binary_search(column).map_err(|_| lacks())).collect()
            }
        }
    }

    async fn make(self, input: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<MadeRows> {
        match self {
            RowMaking::Derived { table, interval } => derive(table, interval, input, context).await,
            RowMaking::Held { view, .. } => hold(view, input, context).await,
        }
    }
}

/// Computes the rows of a table from those of its input. Fails if the derivation holds more than a question may.
async fn derive(
    table: &'static DerivedTable,
    interval: AskedInterval,
    input: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<MadeRows> {
    let held = MemoryConsumer::new(format!("derived table `{}`", table.name)).register(context.memory_pool());
    let mut batches = execute_stream(input, context)?;
    let mut derivation = (table.start)(&interval);
    while let Some(rows) = batches.try_next().await? {
        derivation.take(&rows)?;
        held.try_resize(derivation.bytes_held())?;
    }
    Ok(MadeRows::Batch(derivation.finish()?))
}

/// Holds the rows of a view, in memory as far as they may be.
async fn hold(view: &str, input: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<MadeRows> {
    let held = MemoryConsumer::new(format!("rows of `{view}` for the rules")).register(context.memory_pool());
    let mut keeper = RowKeeper::new([input.schema()].into_iter(), HELD_BYTES_MAX, 1);
    let mut batches = execute_stream(input, context)?;
    while let Some(rows) = batches.try_next().await? {
        keeper.add(0, rows)?;
        held.try_resize(keeper.bytes_held())?;
    }
    Ok(MadeRows::Kept(keeper.alone()?))
}

/// Rows that were computed.
#[derive(Debug, Clone)]
enum MadeRows {
    Batch(RecordBatch),
    Kept(KeptTable),
}

/// The rows of a table for one question.
#[derive(Debug)]
pub(super) struct ComputedRows {
    making: RowMaking,
    input: LogicalPlan,
    shows_input: bool,
    /// The first use of the table plans its input, for all.
    planned: OnceCell<Arc<dyn ExecutionPlan>>,
    /// The first use of the table that runs begins to compute these.
    rows: Arc<OnceLock<RowsUnderWay>>,
}

impl ComputedRows {
    /// The rows that come from an input.
    pub fn new(making: RowMaking, input: LogicalPlan, shows_input: bool) -> ComputedRows {
        ComputedRows { making, input, shows_input, planned: OnceCell::default(), rows: Arc::default() }
    }

    /// True if no row of a view that is held passes the filters, which name its columns. The rows are computed for that.
    pub async fn lacks(&self, filters: &[Expr], state: &SessionState) -> Result<bool> {
        let RowMaking::Held { schema, columns, .. } = &self.making else { return Ok(false) };
        let input = self.planned.get_or_try_init(|| physical_plan(state, &self.input)).await?;
        let MadeRows::Kept(rows) = under_way(&self.rows, &self.making, input, state.task_ctx()).await? else {
            return Ok(false);
        };
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(rows.is_empty()) };
        let held = Arc::new(schema.project(columns)?);
        let filter = state.create_physical_expr(unqualified(filter)?, &DFSchema::try_from(Arc::clone(&held))?)?;
        let mut batches = rows.stream(0, (0..columns.len()).collect())?;
        while let Some(batch) = batches.try_next().await? {
            let passes = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
            if as_boolean_array(&passes)?.true_count() > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The rows of a table, which the first caller begins to compute.
fn under_way(
    rows: &OnceLock<RowsUnderWay>,
    making: &RowMaking,
    input: &Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> impl Future<Output = Result<MadeRows>> + use<> {
    let begin = || making.clone().make(Arc::clone(input), context).map_err(Arc::new).boxed().shared();
    let computing = rows.get_or_init(begin).clone();
    async move { computing.await.map_err(DataFusionError::Shared) }
}

/// The rows as they are computed. Whoever waits for them drives the work, so one that gives up does not undo it: a plan can
/// be run only once.
type RowsUnderWay = Shared<BoxFuture<'static, Result<MadeRows, Arc<DataFusionError>>>>;

#[async_trait]
impl TableProvider for ComputedRows {
    fn schema(&self) -> SchemaRef {
        self.making.schema()
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
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema().fields().len()).collect());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(self.schema().project(&columns)?)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Arc::new(ComputedExec {
            places: self.making.places(&columns)?,
            making: self.making.clone(),
            // All rows come in one partition.
            input: Arc::new(CoalescePartitionsExec::new(Arc::clone(input))),
            shows_input: self.shows_input,
            rows: Arc::clone(&self.rows),
            properties: Arc::new(properties),
        }))
    }
}

/// Computes the rows of a table from those of its input.
#[derive(Debug)]
struct ComputedExec {
    making: RowMaking,
    input: Arc<dyn ExecutionPlan>,
    /// Else this plan has no children: its input is planned to its end, and not again for each use.
    shows_input: bool,
    /// Of its columns in the rows.
    places: Vec<usize>,
    rows: Arc<OnceLock<RowsUnderWay>>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for ComputedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: table={}", self.name(), self.making.name())
    }
}

impl ExecutionPlan for ComputedExec {
    fn name(&self) -> &'static str {
        match self.making {
            RowMaking::Derived { .. } => "DerivedExec",
            RowMaking::Held { .. } => "HeldExec",
        }
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
        let (making, places, rows) = (self.making.clone(), self.places.clone(), Arc::clone(&self.rows));
        let (shows_input, properties) = (self.shows_input, Arc::clone(&self.properties));
        Ok(Arc::new(ComputedExec { making, input, shows_input, places, rows, properties }))
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (computing, places) = (under_way(&self.rows, &self.making, &self.input, context), self.places.clone());
        let computed = async move {
            match computing.await? {
                MadeRows::Batch(rows) => {
                    let rows = rows.project(&places)?;
                    let schema = rows.schema();
                    let alone = futures::stream::once(async { Ok(rows) });
                    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, alone)) as SendableRecordBatchStream)
                }
                MadeRows::Kept(rows) => rows.stream(0, places),
            }
        };
        let schema = Arc::clone(self.properties.eq_properties.schema());
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(computed).try_flatten())))
    }
}
