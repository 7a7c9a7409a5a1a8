//! Physical plans of questions.
//! In: a logical plan that was optimized before rows stood in for its raw and derived tables. Out: the physical plan.
//! Never optimizes the whole plan again, which would double the time that planning takes.

use std::sync::{Arc, LazyLock};

use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion::physical_plan::ExecutionPlan;

/// A table that turned out to have no rows takes what rests on it along.
static AFTER_READING: LazyLock<Optimizer> =
    LazyLock::new(|| Optimizer::with_rules(vec![Arc::new(PropagateEmptyRelation::new())]));

/// The physical plan of an optimized one.
pub(super) async fn physical_plan(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    if explains(plan) {
        return state.create_physical_plan(plan).await;
    }
    let plan = without_empty(plan.clone(), state)?;
    state.query_planner().create_physical_plan(&plan, state).await
}

/// A plan without the parts that have no rows.
pub(super) fn without_empty(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    AFTER_READING.optimize(plan, state, |_, _| {})
}

/// The result of a task that plans a part of a question beside others.
pub(super) async fn joined<T: Send + 'static>(task: SpawnedTask<Result<T>>) -> Result<T> {
    task.join_unwind().await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?
}

/// True of a question about a plan, not about rows.
pub(super) fn explains(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_))
}
