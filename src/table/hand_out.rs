//! Lets several partitions of a plan share the rows of one scan: the next free one takes the next batch as it is.
//! In: plans that deal the batches of a scan to partitions in turn. Out: the same plans with this instead.
//! DataFusion's own operator copies batches together until they have 8,192 rows, and batches of wide columns have
//! fewer. Never gives up an order that the plan keeps.

use std::fmt;
use std::sync::{Arc, Mutex};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::StreamExt;
use futures::stream::{self, Fuse};

use super::provider::ScanExec;

/// Puts an operator that hands batches out in the place of one that deals them, over scans.
#[derive(Debug)]
pub struct HandOutScans;

impl PhysicalOptimizerRule for HandOutScans {
    fn name(&self) -> &'static str {
        "hand_out_scans"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let replaced = plan.transform_up(|node| {
            let Some(dealt) = node.downcast_ref::<RepartitionExec>() else { return Ok(Transformed::no(node)) };
            match dealt.partitioning() {
                Partitioning::RoundRobinBatch(partitions) if dealt.input().downcast_ref::<ScanExec>().is_some() => {
                    Ok(Transformed::yes(Arc::new(HandOutExec::new(Arc::clone(dealt.input()), *partitions))))
                }
                _ => Ok(Transformed::no(node)),
            }
        });
        Ok(replaced?.data)
    }
}

/// Turns the one partition of its input into several, which take its batches as they need them. Runs once, as all plans
/// do unless they are reset.
#[derive(Debug)]
struct HandOutExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    run: Mutex<HandOutRun>,
}

/// One run of the input.
#[derive(Default)]
struct HandOutRun {
    batches: Option<Arc<tokio::sync::Mutex<Fuse<SendableRecordBatchStream>>>>,
    /// Partitions that take part in it.
    begun: Vec<usize>,
}

impl fmt::Debug for HandOutRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOutRun").field("begun", &self.begun).finish_non_exhaustive()
    }
}

impl HandOutExec {
    fn new(input: Arc<dyn ExecutionPlan>, partitions: usize) -> HandOutExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::RoundRobinBatch(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        HandOutExec { input, properties: Arc::new(properties), run: Mutex::default() }
    }
}

impl DisplayAs for HandOutExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "HandOutExec: partitions={}", self.properties.partitioning.partition_count())
    }
}

impl ExecutionPlan for HandOutExec {
    fn name(&self) -> &'static str {
        "HandOutExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = self.properties.partitioning.partition_count();
        let [input] = <[_; 1]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("rows are handed out of one input".to_owned()))?;
        Ok(Arc::new(HandOutExec::new(input, partitions)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut run = self.run.lock().expect("starting a scan does not panic");
        // A partition that begins again belongs to another run of the plan.
        if run.begun.contains(&partition) {
            *run = HandOutRun::default();
        }
        let batches = match &run.batches {
            Some(batches) => Arc::clone(batches),
            None => Arc::new(tokio::sync::Mutex::new(self.input.execute(0, context)?.fuse())),
        };
        run.batches = Some(Arc::clone(&batches));
        run.begun.push(partition);
        if run.begun.len() == self.properties.partitioning.partition_count() {
            // From here on only the readers hold the batches, so that the scan stops when they leave.
            *run = HandOutRun::default();
        }
        let taken = stream::unfold(batches, |batches| async {
            let next = batches.lock().await.next().await;
            next.map(|batch| (batch, batches))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), taken)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::datasource::memory::MemorySourceConfig;

    use super::*;

    /// Batches of three numbers each, from 0 on, for some partitions.
    fn handed_out(batches: i64, partitions: usize) -> HandOutExec {
        let batch = |number: i64| {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(3 * number..3 * number + 3));
            RecordBatch::try_from_iter([("number", numbers)]).unwrap()
        };
        let rows = vec![(0..batches).map(batch).collect::<Vec<_>>()];
        let input = MemorySourceConfig::try_new_exec(&rows, batch(0).schema(), None).unwrap();
        HandOutExec::new(input, partitions)
    }

    fn numbers(batches: &[Result<RecordBatch>]) -> Vec<i64> {
        let column = |batch: &Result<RecordBatch>| batch.as_ref().unwrap().column(0).to_data();
        batches.iter().flat_map(|batch| Int64Array::from(column(batch)).values().to_vec()).collect()
    }

    #[tokio::test]
    async fn each_batch_goes_to_one_partition_as_it_is() {
        let plan = handed_out(20, 3);
        let run = || (0..3).map(|at| plan.execute(at, Arc::default()).unwrap()).collect::<Vec<_>>();
        for _ in 0..2 {
            let [mut first, mut second, third] = <[_; 3]>::try_from(run()).map_err(|_| "three").unwrap();
            let taken = [first.next().await.unwrap(), second.next().await.unwrap(), first.next().await.unwrap()];
            assert_eq!(numbers(&taken), Vec::from_iter(0..9));
            // The third partition takes the rest, although nobody asks the first two.
            let rest: Vec<_> = third.collect().await;
            assert_eq!(numbers(&rest), Vec::from_iter(9..60));
            assert!(first.next().await.is_none() && first.next().await.is_none() && second.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn a_partition_that_begins_again_is_of_another_run() {
        let plan = handed_out(4, 2);
        let first = plan.execute(0, Arc::default()).unwrap();
        let again: Vec<_> = plan.execute(0, Arc::default()).unwrap().collect().await;
        let first: Vec<_> = first.collect().await;
        assert_eq!((numbers(&first), numbers(&again)), (Vec::from_iter(0..12), Vec::from_iter(0..12)));
    }
}
