//! The rows of one scan, kept so that many mentions of `events` read the logs once.
//! In: batches. Out: a table. Beyond a budget the batches go to a temporary Arrow file that vanishes with it.

use std::fmt;
use std::io::BufWriter;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
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
use crate::batch::weight;
use crate::source::SpoolFile;

/// Rows that a scan gave, readable any number of times.
pub struct KeptRows {
    schema: SchemaRef,
    count: usize,
    /// The size that all rows have in memory, spilled ones included.
    bytes: usize,
    batches: Vec<RecordBatch>,
    spilled: Option<SpilledRows>,
    partitions: usize,
    from: KeptFrom,
}

/// The one scan that gave the rows of all tables.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeptFrom {
    pub objects: ObjectsRead,
    /// Records that it parsed.
    pub parsed: u64,
    /// Columns that it built for all tables together.
    pub columns: usize,
}

impl fmt::Display for KeptFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, parsed={}, built={}", self.objects, self.parsed, self.columns)
    }
}

struct SpilledRows {
    file: SpoolFile,
    batches: usize,
}

impl fmt::Debug for KeptRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRows").field("batches", &self.batches.len()).finish_non_exhaustive()
    }
}

/// Collects the rows of a scan, for each of its outputs.
pub struct RowKeeper {
    tables: Vec<TableKeeper>,
    /// Of the batches that are put together and in memory, and at most so many.
    bytes: usize,
    bytes_max: usize,
    /// Of the batches of a table that wait to be put together, at most.
    loose_bytes_max: usize,
}

struct TableKeeper {
    rows: KeptRows,
    /// To be put together into one.
    loose: Vec<RecordBatch>,
    loose_bytes: usize,
    writer: Option<(FileWriter<BufWriter<SpoolFile>>, SpoolFile, usize)>,
}

/// Batches are put together until their rows hold about this much, or less where a budget is small.
const TOGETHER_BYTES: usize = 256 << 10;
/// Batches are put together at this number at the latest, since each takes more memory than its rows.
const LOOSE_MAX: usize = 1024;

impl RowKeeper {
    /// All outputs together hold at most `bytes_max` in memory.
    pub fn new(schemas: impl Iterator<Item = SchemaRef>, bytes_max: usize, partitions: usize) -> RowKeeper {
        let partitions = partitions.max(1);
        let empty = |schema| KeptRows {
            schema,
            count: 0,
            bytes: 0,
            batches: Vec::new(),
            spilled: None,
            partitions,
            from: KeptFrom::default(),
        };
        let kept = |schema| TableKeeper { rows: empty(schema), loose: Vec::new(), loose_bytes: 0, writer: None };
        let tables: Vec<TableKeeper> = schemas.map(kept).collect();
        // The batches that wait take a quarter of the budget.
        let loose_bytes_max = TOGETHER_BYTES.min(bytes_max / 4 / tables.len().max(1));
        RowKeeper { bytes: 0, bytes_max: bytes_max - loose_bytes_max * tables.len(), loose_bytes_max, tables }
    }

    /// Keeps a batch of an output, on disk once the budget is spent. Fails only if the disk does.
    pub fn add(&mut self, output: usize, batch: RecordBatch) -> Result<()> {
        let table = &mut self.tables[output];
        table.loose_bytes += weight(&batch);
        table.loose.push(batch);
        let are_enough = table.loose_bytes >= self.loose_bytes_max || table.loose.len() >= LOOSE_MAX;
        if are_enough { self.put_together(output) } else { Ok(()) }
    }

    /// Makes one batch of those of an output that wait for it.
    fn put_together(&mut self, output: usize) -> Result<()> {
        let table = &mut self.tables[output];
        let Some(batch) = table.take_loose()? else { return Ok(()) };
        let bytes = weight(&batch);
        table.rows.count += batch.num_rows();
        table.rows.bytes += bytes;
        if table.writer.is_none() && self.bytes + bytes <= self.bytes_max {
            self.bytes += bytes;
            table.rows.batches.push(batch);
            return Ok(());
        }
        table.spill(&batch)
    }

    /// The bytes of all rows in memory.
    pub fn bytes_held(&self) -> usize {
        self.bytes + self.tables.iter().map(|table| table.loose_bytes).sum::<usize>()
    }

    /// The table of the first output, of rows that come from no scan of logs.
    pub fn alone(self) -> Result<KeptTable> {
        Ok(self.finish(KeptFrom::default())?.remove(0))
    }

    /// One table for each output, in their order.
    pub(super) fn finish(mut self, from: KeptFrom) -> Result<Vec<KeptTable>> {
        (0..self.tables.len()).try_for_each(|output| self.put_together(output))?;
        let kept = |table: TableKeeper| Ok(KeptTable(Arc::new(KeptRows { from, ..table.finish()? })));
        self.tables.into_iter().map(kept).collect()
    }
}

impl TableKeeper {
    fn take_loose(&mut self) -> Result<Option<RecordBatch>> {
        self.loose_bytes = 0;
        let loose = std::mem::take(&mut self.loose);
        match loose.as_slice() {
            [] => Ok(None),
            [alone] => Ok(Some(alone.clone())),
            several => Ok(Some(concat_batches(&self.rows.schema, several)?)),
        }
    }

    fn spill(&mut self, batch: &RecordBatch) -> Result<()> {
        let (mut writer, file, batches) = match self.writer.take() {
            Some(open) => open,
            None => {
                let file = SpoolFile::new()?;
                (FileWriter::try_new_buffered(file.clone(), &self.rows.schema)?, file, 0)
            }
        };
        writer.write(batch)?;
        self.writer = Some((writer, file, batches + 1));
        Ok(())
    }

    fn finish(mut self) -> Result<KeptRows> {
        if let Some((mut writer, file, batches)) = self.writer {
            writer.finish()?;
            self.rows.spilled = Some(SpilledRows { file, batches });
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

    /// The rows of a partition, with the columns at these places.
    pub fn stream(&self, partition: usize, columns: Vec<usize>) -> Result<SendableRecordBatchStream> {
        let (rows, schema) = (Arc::clone(&self.0), Arc::new(self.0.schema.project(&columns)?));
        let in_memory = (partition..rows.batches.len()).step_by(rows.partitions);
        let memory = {
            let (rows, columns) = (Arc::clone(&rows), columns.clone());
            in_memory.map(move |index| rows.batches[index].project(&columns).map_err(DataFusionError::from))
        };
        let spilled: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match &rows.spilled {
            None => Box::new(std::iter::empty()),
            Some(spilled) => {
                let mut reader = FileReader::try_new_buffered(spilled.file.reader(), Some(columns))?;
                let (step, count) = (rows.partitions, spilled.batches);
                Box::new((partition..count).step_by(step).map(move |index| {
                    reader.set_index(index)?;
                    let batch =
                        reader.next().ok_or_else(|| DataFusionError::Internal("a kept batch is gone".into()))?;
                    Ok(batch?)
                }))
            }
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(memory.chain(spilled)))))
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
        let from = self.rows.from;
        write!(f, "KeptRowsExec: {from}, rows={rows}, batches={batches}, spilled={spilled}, columns=[{columns}]")
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

    /// Joins are built on their smaller side, so the planner must know the sizes.
    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        if args.partition().is_none() {
            statistics.num_rows = Precision::Exact(self.rows.count);
            statistics.total_byte_size = Precision::Inexact(self.rows.bytes);
        }
        Ok(Arc::new(statistics))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        KeptTable(Arc::clone(&self.rows)).stream(partition, self.projection.clone())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, ListBuilder, MapBuilder, StringArray, StringBuilder};
    use datafusion::prelude::SessionContext;

    use super::*;

    const ROWS: i64 = 4096;

    /// Rows with a number, a text of a hundred bytes, a map and a list, from `first` on.
    fn rows(first: i64) -> RecordBatch {
        let numbers = Int64Array::from_iter_values(first..first + ROWS);
        let texts = StringArray::from_iter_values((first..first + ROWS).map(|number| format!("{number:0100}")));
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        let mut lists = ListBuilder::new(StringBuilder::new());
        for number in first..first + ROWS {
            maps.keys().append_value("key");
            maps.values().append_value(format!("{number:040}"));
            maps.append(true).unwrap();
            lists.append_value([Some("one"), Some("two")]);
        }
        let columns: [(&str, ArrayRef); 4] = [
            ("number", Arc::new(numbers)),
            ("text", Arc::new(texts)),
            ("map", Arc::new(maps.finish())),
            ("list", Arc::new(lists.finish())),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    /// Keeps some batches, each cut into slices of so many rows.
    fn kept(batches: i64, slice: usize, bytes_max: usize) -> KeptTable {
        let mut keeper = RowKeeper::new([rows(0).schema()].into_iter(), bytes_max, 2);
        for batch in (0..batches).map(|batch| rows(batch * ROWS)) {
            for at in (0..batch.num_rows()).step_by(slice) {
                keeper.add(0, batch.slice(at, slice.min(batch.num_rows() - at))).unwrap();
            }
        }
        keeper.finish(KeptFrom::default()).unwrap().remove(0)
    }

    fn spilled_bytes(table: &KeptTable) -> u64 {
        table.0.spilled.as_ref().map_or(0, |spilled| spilled.file.bytes().unwrap())
    }

    #[test]
    fn slices_count_for_what_they_hold() {
        let whole = 8 * weight(&rows(0));
        for slice in [1, 7, 84, 4096] {
            let table = kept(8, slice, 2 * whole);
            assert_eq!((table.0.count, spilled_bytes(&table)), (32_768, 0));
            assert!(table.0.bytes.abs_diff(whole) < 4096, "{} of {whole} bytes", table.0.bytes);
            assert!(
                table.0.batches.len() <= 2 * whole / TOGETHER_BYTES + 1,
                "{} of {slice} rows each",
                table.0.batches.len()
            );
        }
    }

    #[tokio::test]
    async fn rows_beyond_the_budget_are_spilled_once() {
        let whole = 8 * weight(&rows(0));
        let table = kept(8, 84, whole / 2);
        let spilled = spilled_bytes(&table) as usize;
        assert!((whole / 2..whole * 3 / 4).contains(&spilled), "{spilled} of {whole}");
        assert!(table.0.bytes > whole - 4096);
        let context = SessionContext::new();
        context.register_table("kept", Arc::new(table)).unwrap();
        let sql = "SELECT count(*), sum(number), count(DISTINCT text) FROM kept";
        let answer = context.sql(sql).await.unwrap().collect().await.unwrap();
        let answer = arrow::util::pretty::pretty_format_batches(&answer).unwrap().to_string();
        assert!(answer.contains("| 32768    | 536854528        | 32768 "), "{answer}");
    }

    #[test]
    fn rows_without_columns_are_counted() {
        let mut keeper = RowKeeper::new([SchemaRef::new(arrow::datatypes::Schema::empty())].into_iter(), 1024, 2);
        for _ in 0..3 {
            keeper.add(0, rows(0).project(&[]).unwrap()).unwrap();
        }
        let table = keeper.finish(KeptFrom::default()).unwrap().remove(0);
        assert_eq!((table.0.count, table.0.batches.len()), (12_288, 1));
    }
}
