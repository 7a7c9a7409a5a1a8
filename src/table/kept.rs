//! The rows of one scan, kept so that many mentions of `events` read the logs once.
//! In: batches. Out: a table. Beyond a budget the batches go to a temporary Arrow file that vanishes with it.

use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

/// Rows that a scan gave, readable any number of times.
pub struct KeptRows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    spilled: Option<Spilled>,
    partitions: usize,
}

struct Spilled {
    file: tempfile::NamedTempFile,
    batches: usize,
}

impl fmt::Debug for KeptRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRows").field("batches", &self.batches.len()).finish_non_exhaustive()
    }
}

/// Collects the rows of a scan.
pub struct Keeper {
    rows: KeptRows,
    bytes: usize,
    bytes_max: usize,
    writer: Option<(FileWriter<BufWriter<File>>, tempfile::NamedTempFile, usize)>,
}

impl Keeper {
    pub fn new(schema: SchemaRef, bytes_max: usize, partitions: usize) -> Keeper {
        let rows = KeptRows { schema, batches: Vec::new(), spilled: None, partitions: partitions.max(1) };
        Keeper { rows, bytes: 0, bytes_max, writer: None }
    }

    pub fn add(&mut self, batch: RecordBatch) -> Result<()> {
        if self.writer.is_none() && self.bytes + batch.get_array_memory_size() <= self.bytes_max {
            self.bytes += batch.get_array_memory_size();
            self.rows.batches.push(batch);
            return Ok(());
        }
        if self.writer.is_none() {
            let file = tempfile::NamedTempFile::new()?;
            let writer = FileWriter::try_new_buffered(file.reopen()?, &self.rows.schema)?;
            self.writer = Some((writer, file, 0));
        }
        if let Some((writer, _, count)) = &mut self.writer {
            writer.write(&batch)?;
            *count += 1;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<KeptRows> {
        if let Some((mut writer, file, batches)) = self.writer.take() {
            writer.finish()?;
            self.rows.spilled = Some(Spilled { file, batches });
        }
        Ok(self.rows)
    }
}

#[async_trait]
impl TableProvider for KeptTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.0.schema.fields().len()).collect());
        let schema = Arc::new(self.0.schema.project(&projection)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(self.0.partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(KeptExec { rows: Arc::clone(&self.0), projection, properties: Arc::new(properties) }))
    }
}

/// The kept rows as a DataFusion table.
#[derive(Debug)]
pub struct KeptTable(pub Arc<KeptRows>);

#[derive(Debug)]
struct KeptExec {
    rows: Arc<KeptRows>,
    projection: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for KeptExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let spilled = self.rows.spilled.as_ref().map_or(0, |spilled| spilled.batches);
        write!(f, "KeptRowsExec: batches={}, spilled={spilled}", self.rows.batches.len())
    }
}

impl ExecutionPlan for KeptExec {
    fn name(&self) -> &'static str {
        "KeptRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
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

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (rows, projection) = (Arc::clone(&self.rows), self.projection.clone());
        let in_memory = (partition..rows.batches.len()).step_by(rows.partitions);
        let memory = {
            let (rows, projection) = (Arc::clone(&rows), projection.clone());
            in_memory.map(move |index| rows.batches[index].project(&projection).map_err(DataFusionError::from))
        };
        let spilled: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match &rows.spilled {
            None => Box::new(std::iter::empty()),
            Some(spilled) => {
                let mut reader = FileReader::try_new_buffered(spilled.file.reopen()?, Some(projection))?;
                let (step, count) = (rows.partitions, spilled.batches);
                Box::new((partition..count).step_by(step).map(move |index| {
                    reader.set_index(index)?;
                    let batch =
                        reader.next().ok_or_else(|| DataFusionError::Internal("a kept batch is gone".into()))?;
                    Ok(batch?)
                }))
            }
        };
        let schema = Arc::clone(self.properties.eq_properties.schema());
        // The file lives as long as the rows do, so the stream holds on to them.
        let stream = futures::stream::iter(memory.chain(spilled).map(move |batch| (batch, Arc::clone(&rows)).0));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}
