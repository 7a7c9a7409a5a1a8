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
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use super::objects_read::ObjectsRead;

/// Rows that a scan gave, readable any number of times.
pub struct KeptRows {
    schema: SchemaRef,
    count: usize,
    /// In memory, also of what is spilled.
    bytes: usize,
    batches: Vec<RecordBatch>,
    spilled: Option<Spilled>,
    partitions: usize,
    /// Of the one scan that gave these rows.
    objects: ObjectsRead,
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

/// Collects the rows of a scan, for each of its outputs.
pub struct Keeper {
    tables: Vec<Kept>,
    bytes: usize,
    bytes_max: usize,
}

struct Kept {
    rows: KeptRows,
    writer: Option<(FileWriter<BufWriter<File>>, tempfile::NamedTempFile, usize)>,
}

impl Keeper {
    /// All outputs together hold at most `bytes_max` in memory.
    pub fn new(schemas: impl Iterator<Item = SchemaRef>, bytes_max: usize, partitions: usize) -> Keeper {
        let partitions = partitions.max(1);
        let empty = |schema| KeptRows {
            schema,
            count: 0,
            bytes: 0,
            batches: Vec::new(),
            spilled: None,
            partitions,
            objects: ObjectsRead::default(),
        };
        let tables = schemas.map(|schema| Kept { rows: empty(schema), writer: None }).collect();
        Keeper { tables, bytes: 0, bytes_max }
    }

    /// Keeps a batch of an output, on disk once the budget is spent. Fails only where the disk does.
    pub fn add(&mut self, output: usize, batch: RecordBatch) -> Result<()> {
        let bytes = batch.get_array_memory_size();
        let table = &mut self.tables[output];
        table.rows.count += batch.num_rows();
        table.rows.bytes += bytes;
        if table.writer.is_none() && self.bytes + bytes <= self.bytes_max {
            self.bytes += bytes;
            table.rows.batches.push(batch);
            return Ok(());
        }
        table.spill(&batch)
    }

    /// One table for each output, in their order.
    pub fn finish(self, objects: ObjectsRead) -> Result<Vec<KeptTable>> {
        let kept = |table: Kept| Ok(KeptTable(Arc::new(KeptRows { objects, ..table.finish()? })));
        self.tables.into_iter().map(kept).collect()
    }
}

impl Kept {
    fn spill(&mut self, batch: &RecordBatch) -> Result<()> {
        let (mut writer, file, batches) = match self.writer.take() {
            Some(open) => open,
            None => {
                let file = tempfile::NamedTempFile::new()?;
                (FileWriter::try_new_buffered(file.reopen()?, &self.rows.schema)?, file, 0)
            }
        };
        writer.write(batch)?;
        self.writer = Some((writer, file, batches + 1));
        Ok(())
    }

    fn finish(mut self) -> Result<KeptRows> {
        if let Some((mut writer, file, batches)) = self.writer {
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
#[derive(Debug, Clone)]
pub struct KeptTable(Arc<KeptRows>);

impl KeptTable {
    /// True where the output had no row.
    pub fn is_empty(&self) -> bool {
        self.0.count == 0
    }
}

#[derive(Debug)]
struct KeptExec {
    rows: Arc<KeptRows>,
    projection: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for KeptExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let spilled = self.rows.spilled.as_ref().map_or(0, |spilled| spilled.batches);
        let (rows, batches) = (self.rows.count, self.rows.batches.len());
        let columns: Vec<&str> =
            self.projection.iter().map(|&column| self.rows.schema.field(column).name().as_str()).collect();
        let columns = columns.join(", ");
        let objects = self.rows.objects;
        write!(f, "KeptRowsExec: {objects}, rows={rows}, batches={batches}, spilled={spilled}, columns=[{columns}]")
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

    /// Joins are built on their smaller side, so the planner must know which that is.
    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        if args.partition().is_none() {
            statistics.num_rows = Precision::Exact(self.rows.count);
            statistics.total_byte_size = Precision::Inexact(self.rows.bytes);
        }
        Ok(Arc::new(statistics))
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
