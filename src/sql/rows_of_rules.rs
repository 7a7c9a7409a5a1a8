//! The rows of all rules, one rule after the other.
//! In: the optimized plan of each rule. Out: a table over all, for the derivation of findings.
//! A rule runs only if what it asks of the shared views is there at all: most rules have nothing to look at in most logs,
//! and planning them would take longer than reading a small log. Never decides which rules are asked.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::source_as_provider;
use datafusion::execution::context::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, TableScan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, execute_stream,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::computed::ComputedRows;
use super::physical::{physical_plan, without_empty};
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
        let schema = self.schema();
        let columns = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(schema.project(&columns)?)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let (rules, state) = (Arc::from(self.plans.as_slice()), Arc::new(state.clone()));
        Ok(Arc::new(RulesExec { rules, state, columns, properties: Arc::new(properties) }))
    }
}

/// Runs rules in turn, so that only one holds memory.
struct RulesExec {
    rules: Arc<[LogicalPlan]>,
    state: Arc<SessionState>,
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for RulesExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesExec").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

impl DisplayAs for RulesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: rules={}", self.name(), self.rules.len())
    }
}

impl ExecutionPlan for RulesExec {
    fn name(&self) -> &'static str {
        "RulesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None: a rule is planned when its turn comes.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (rules, state, columns) = (Arc::clone(&self.rules), Arc::clone(&self.state), self.columns.clone());
        let in_turn = stream::iter(0..rules.len()).then(move |place| {
            let (rules, state, context) = (Arc::clone(&rules), Arc::clone(&state), Arc::clone(&context));
            async move {
                let rows = match of_use(&rules[place], &state).await? {
                    None => stream::empty().boxed(),
                    Some(rule) => execute_stream(physical_plan(&state, &rule).await?, context)?.boxed(),
                };
                Ok::<_, DataFusionError>(rows)
            }
        });
        let rows = in_turn.try_flatten().map(move |rows| Ok(rows?.project(&columns)?));
        let schema = Arc::clone(self.properties.eq_properties.schema());
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// The plan of a rule without what has no rows; `None` if nothing is left.
async fn of_use(rule: &LogicalPlan, state: &SessionState) -> Result<Option<LogicalPlan>> {
    let mut lacking: Vec<TableScan> = Vec::new();
    for (rows, scan) in scans(rule)? {
        if rows.lacks(&scan.filters, state).await? {
            lacking.push(scan);
        }
    }
    if lacking.is_empty() {
        return Ok(Some(rule.clone()));
    }
    let emptied = rule.clone().transform_up_with_subqueries(|node| match node {
        LogicalPlan::TableScan(scan) if lacking.contains(&scan) => {
            let empty = EmptyRelation { produce_one_row: false, schema: scan.projected_schema };
            Ok(Transformed::yes(LogicalPlan::EmptyRelation(empty)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let left = without_empty(emptied.data, state)?;
    Ok((!matches!(left, LogicalPlan::EmptyRelation(_))).then_some(left))
}

/// The scans of a plan over computed rows.
fn scans(plan: &LogicalPlan) -> Result<Vec<(Arc<ComputedRows>, TableScan)>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Ok(rows) = (provider as Arc<dyn Any + Send + Sync>).downcast::<ComputedRows>()
        {
            found.push((rows, scan.clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
