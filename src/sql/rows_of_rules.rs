//! The rows of all rules, one after the other.
//! In: the optimized plan of each rule. Out: a table over all, for the derivation of findings. Rules are planned each by
//! itself and at once, since planning is most of the time that they take over few events.
//! Never decides which rules run.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::context::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, execute_stream,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::physical::{joined, physical_plan};
use super::rules;

/// The plans of the rules, each with the columns of [`rules::rows_schema`].
#[derive(Debug)]
pub(super) struct RowsOfRules {
    pub plans: Vec<LogicalPlan>,
}

impl RowsOfRules {
    /// The rows of these plans.
    pub fn new(plans: Vec<LogicalPlan>) -> RowsOfRules {
        RowsOfRules { plans }
    }
}

#[async_trait]
impl TableProvider for RowsOfRules {
    fn schema(&self) -> SchemaRef {
        rules::rows_schema()
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
        let state = Arc::new(state.clone());
        let planning = self.plans.iter().cloned().map(|plan| {
            let state = Arc::clone(&state);
            SpawnedTask::spawn(async move { physical_plan(&state, &plan).await })
        });
        let planning: Vec<_> = planning.collect();
        let mut rows = Vec::with_capacity(planning.len());
        for plan in planning {
            rows.push(joined(plan).await?);
        }
        let schema = self.schema();
        let columns = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(schema.project(&columns)?)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(InTurnExec { rules: rows, columns, properties: Arc::new(properties) }))
    }
}

/// Runs the plans of rules in turn, so that only one holds memory.
#[derive(Debug)]
struct InTurnExec {
    rules: Vec<Arc<dyn ExecutionPlan>>,
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for InTurnExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: rules={}", self.name(), self.rules.len())
    }
}

impl ExecutionPlan for InTurnExec {
    fn name(&self) -> &'static str {
        "InTurnExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.rules.iter().collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, rules: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (columns, properties) = (self.columns.clone(), Arc::clone(&self.properties));
        Ok(Arc::new(InTurnExec { rules, columns, properties }))
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let columns = self.columns.clone();
        let in_turn = stream::iter(self.rules.clone()).map(move |rule| execute_stream(rule, Arc::clone(&context)));
        let rows = in_turn.try_flatten().map(move |rows| Ok(rows?.project(&columns)?));
        let schema = Arc::clone(self.properties.eq_properties.schema());
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
