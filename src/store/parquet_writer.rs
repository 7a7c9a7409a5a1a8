//! Writes one Parquet file of a table, and its entry for the log.
//! In: rows, column by column, sorted by the caller. Out: [`EncodedFile`], and the `Add` of a file put in its place.
//! Never sorts, never holds more rows than one part of a column for each thread, and never names a file before it is
//! whole.

use std::cmp::Reverse;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use chrono::DateTime;
use deltalake::kernel::Add;
use object_store::ObjectStoreExt;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::ThreadPoolBuilder;
use rayon::iter::{ParallelBridge, ParallelIterator};

use super::StoreError;
use super::chain::tagged;
use super::column_stats::{ColumnBounds, SUM_TAG, stats, sum_of};
use super::durable_files::unique;
use super::hash::{LogicalHash, sha256_hex};
use super::location::StoreLocation;
use super::proved_tail::{TAIL_TAG, tail_tag};
use crate::batch::CONTENT_HASH;
use crate::time::MICROS_PER_DAY;

/// Rows of a row group, the least that a reader takes to find one key.
pub(super) const GROUP_ROWS_MAX: usize = 128 << 10;
/// Rows of a page, the unit that page indexes can leave out.
const PAGE_ROWS_MAX: usize = 8 << 10;
/// Room for the end of a file, with its indexes and bloom filters, before its buffer must grow.
const FOOTER_BYTES: usize = 512 << 10;

/// The key of a file's footer under which its part of the logical hash stands.
pub(super) const HASH_KEY: &str = "keytrail.logicalHash";
/// The key of a footer, and the tag of an `Add`, for the number of the normalizer that made the derived columns.
pub(super) const NORMALIZER_KEY: &str = "keytrail.normalizer";
/// The tag of an `Add` with the hash of the file's bytes.
pub(super) const SHA256_TAG: &str = "keytrail.sha256";
/// The name of a partition whose rows have no value.
pub(super) const NO_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The choices by which files of a table are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileLayout {
    /// Columns whose least and greatest values the log holds.
    pub bounds: &'static [&'static str],
    /// Columns by which the rows are sorted, NULL first.
    pub sorted_by: &'static [&'static str],
    /// Columns with bloom filters, each with the most distinct values of a row group.
    pub blooms: &'static [(&'static str, u64)],
    /// Columns whose values hardly repeat.
    pub unique: &'static [&'static str],
    /// Long columns that nobody compares.
    pub opaque: &'static [&'static str],
    /// Columns of numbers that are near the one before.
    pub ascending: &'static [&'static str],
    /// Columns of counts whose sums the log holds.
    pub summed: &'static [&'static str],
}

impl FileLayout {
    /// The columns of which the log holds anything.
    pub fn described(&self) -> impl Iterator<Item = &'static str> {
        self.bounds.iter().chain(self.summed).copied()
    }

    /// The layout of rows without an order and with unknown columns.
    pub const PLAIN: FileLayout =
        FileLayout { bounds: &[], sorted_by: &[], blooms: &[], unique: &[], opaque: &[], ascending: &[], summed: &[] };

    fn properties(&self, schema: &SchemaRef) -> Result<WriterProperties, ParquetError> {
        let column = |name: &str| ColumnPath::new(vec![name.to_owned()]);
        let mut builder: WriterPropertiesBuilder = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_created_by(format!("keytrail {}", env!("CARGO_PKG_VERSION")))
            .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
            .set_data_page_row_count_limit(PAGE_ROWS_MAX)
            .set_statistics_enabled(EnabledStatistics::Page)
            // The parts of maps and lists have the names of the format, by which other readers look for them.
            .set_coerce_types(true);
        let sorting = self.sorted_by.iter().filter_map(|name| schema.index_of(name).ok());
        let sorting =
            sorting.map(|index| SortingColumn { column_idx: index as i32, descending: false, nulls_first: true });
        builder = builder.set_sorting_columns(Some(sorting.collect()));
        for (name, values) in self.blooms {
            builder = builder
                .set_column_bloom_filter_enabled(column(name), true)
                .set_column_bloom_filter_max_ndv(column(name), *values);
        }
        for name in self.unique {
            builder = builder.set_column_dictionary_enabled(column(name), false);
        }
        for name in self.ascending {
            builder = builder
                .set_column_dictionary_enabled(column(name), false)
                .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
        }
        for name in self.opaque {
            builder = builder.set_column_statistics_enabled(column(name), EnabledStatistics::None);
        }
        Ok(builder.build())
    }
}

/// Parts of a column, one after the other.
pub(super) type ColumnParts<'a> = Box<dyn Iterator<Item = Result<ArrayRef, StoreError>> + 'a>;

/// The rows of a file, in their order. All columns come in parts of the same lengths.
pub(super) trait ColumnSource: Sync {
    fn rows(&self) -> usize;
    /// A column, by its number in the schema.
    fn column(&self, index: usize) -> Result<ColumnParts<'_>, StoreError>;
    /// A number that grows with the work that a column makes.
    fn weight(&self, index: usize) -> usize;
    /// Other notes for the footer.
    fn notes(&self) -> Vec<KeyValue> {
        Vec::new()
    }
    /// The number of the normalizer that made the derived columns, for rows that have some.
    fn normalizer(&self) -> Option<u32> {
        None
    }
}

impl ColumnSource for RecordBatch {
    fn rows(&self) -> usize {
        self.num_rows()
    }

    fn column(&self, index: usize) -> Result<ColumnParts<'_>, StoreError> {
        Ok(Box::new(std::iter::once(Ok(Arc::clone(RecordBatch::column(self, index))))))
    }

    fn weight(&self, index: usize) -> usize {
        RecordBatch::column(self, index).get_array_memory_size()
    }
}

/// A file that has no place yet.
pub(super) struct EncodedFile {
    bytes: Vec<u8>,
    /// Number of its rows.
    pub rows: usize,
    /// The logical hash of its rows, of a table that has one.
    pub hash: Option<LogicalHash>,
    normalizer: Option<u32>,
    stats: String,
    /// Tags with the sums of columns.
    sums: Vec<(String, Option<String>)>,
}

/// Writes the rows of one file into memory. A thread takes one column after the other, so that it holds only one part
/// in full.
pub(super) fn encode(
    rows: &dyn ColumnSource,
    schema: &SchemaRef,
    layout: &FileLayout,
    threads: usize,
) -> Result<EncodedFile, StoreError> {
    let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(layout.properties(schema)?))?;
    let (mut file, factory) = writer.into_serialized_writer()?;
    let groups = rows.rows().div_ceil(GROUP_ROWS_MAX);
    let mut writers: Vec<GroupWriters> = schema.fields().iter().map(|_| Vec::new()).collect();
    for group in 0..groups {
        writers.iter_mut().for_each(|groups| groups.push(Vec::new()));
        for (leaf, writer) in factory.create_column_writers(group)?.into_iter().enumerate() {
            writers[file.schema_descr().get_column_root_idx(leaf)][group].push(writer);
        }
    }
    let done = FileColumns { rows, schema, layout }.encode_all(writers, threads)?;
    let named = |column: &EncodedColumn| schema.field(column.index).name().as_str();
    let bounded = done.columns.iter().filter_map(|column| Some((named(column), column.bounds.as_ref()?)));
    let stats = stats(rows.rows(), bounded).to_string();
    let sum = |column: &EncodedColumn| Some((format!("{SUM_TAG}{}", named(column)), Some(column.sum?.to_string())));
    let sums = done.columns.iter().filter_map(sum).collect();
    put_together(&mut file, done.columns, groups)?;
    rows.notes().into_iter().for_each(|note| file.append_key_value_metadata(note));
    let normalizer = rows.normalizer();
    if let Some(number) = normalizer {
        file.append_key_value_metadata(KeyValue::new(NORMALIZER_KEY.to_owned(), number.to_string()));
    }
    if let Some(hash) = done.hash {
        file.append_key_value_metadata(KeyValue::new(HASH_KEY.to_owned(), hash.to_string()));
    }
    Ok(EncodedFile { bytes: file.into_inner()?, rows: rows.rows(), hash: done.hash, normalizer, stats, sums })
}

/// The writers of one column: of its leaves, for each row group.
type GroupWriters = Vec<Vec<ArrowColumnWriter>>;

/// A piece of the work that a file makes.
enum EncodeTask {
    /// The logical hash, which needs several columns.
    Hash,
    Column(usize, GroupWriters),
}

/// The result of a task.
enum TaskDone {
    Hash(LogicalHash),
    Column(EncodedColumn),
}

/// Everything of a file that was encoded.
#[derive(Default)]
struct EncodedColumns {
    /// By their number in the schema.
    columns: Vec<EncodedColumn>,
    hash: Option<LogicalHash>,
}

struct EncodedColumn {
    index: usize,
    /// Of each row group, of each leaf.
    chunks: Vec<Vec<ArrowColumnChunk>>,
    bounds: Option<ColumnBounds>,
    sum: Option<u64>,
}

/// The columns of a file and the way of writing them.
struct FileColumns<'a> {
    rows: &'a dyn ColumnSource,
    schema: &'a SchemaRef,
    layout: &'a FileLayout,
}

impl FileColumns<'_> {
    fn encode_all(&self, writers: Vec<GroupWriters>, threads: usize) -> Result<EncodedColumns, StoreError> {
        let mut tasks: Vec<EncodeTask> =
            writers.into_iter().enumerate().map(|(index, writers)| EncodeTask::Column(index, writers)).collect();
        // The longest come first, as threads take them in this order, so that all threads end together.
        tasks.sort_by_key(|task| match task {
            EncodeTask::Column(index, _) => Reverse(self.rows.weight(*index)),
            EncodeTask::Hash => Reverse(0),
        });
        if self.schema.index_of(CONTENT_HASH).is_ok() {
            tasks.insert(0, EncodeTask::Hash);
        }
        let mut all = EncodedColumns::default();
        for done in on_threads(threads, tasks, |task| self.work(task))? {
            match done {
                TaskDone::Hash(hash) => all.hash = Some(hash),
                TaskDone::Column(column) => all.columns.push(column),
            }
        }
        all.columns.sort_by_key(|column| column.index);
        Ok(all)
    }

    fn work(&self, task: EncodeTask) -> Result<TaskDone, StoreError> {
        match task {
            EncodeTask::Hash => self.hash().map(TaskDone::Hash),
            EncodeTask::Column(index, writers) => self.column(index, writers).map(TaskDone::Column),
        }
    }

    fn column(&self, index: usize, groups: GroupWriters) -> Result<EncodedColumn, StoreError> {
        let field = self.schema.field(index);
        let mut bounds = self.layout.bounds.contains(&field.name().as_str()).then(ColumnBounds::default);
        let mut sum = self.layout.summed.contains(&field.name().as_str()).then_some(0);
        let (mut groups, mut chunks, mut under_way, mut room) = (groups.into_iter(), Vec::new(), Vec::new(), 0);
        for part in self.rows.column(index)? {
            let part = part?;
            if let Some(bounds) = &mut bounds {
                bounds.add(&part);
            }
            if let Some(sum) = &mut sum {
                *sum = u64::saturating_add(*sum, sum_of(&part));
            }
            let mut at = 0;
            while at < part.len() {
                if room == 0 {
                    let next = groups.next().ok_or_else(|| uneven(field.name()))?;
                    let full = std::mem::replace(&mut under_way, next);
                    chunks.extend((!full.is_empty()).then(|| closed(full)).transpose()?);
                    room = GROUP_ROWS_MAX;
                }
                let count = room.min(part.len() - at);
                let leaves = compute_leaves(field, &part.slice(at, count))?;
                for (leaf, writer) in leaves.iter().zip(&mut under_way) {
                    writer.write(leaf)?;
                }
                (at, room) = (at + count, room - count);
            }
        }
        chunks.extend((!under_way.is_empty()).then(|| closed(under_way)).transpose()?);
        if groups.next().is_some() {
            return Err(uneven(field.name()).into());
        }
        Ok(EncodedColumn { index, chunks, bounds, sum })
    }

    fn hash(&self) -> Result<LogicalHash, StoreError> {
        let column = |name: &str| self.rows.column(self.schema.index_of(name)?);
        let (mut ids, mut accounts) = (column("event_id")?, column("recipient_account_id")?);
        let mut contents = column(CONTENT_HASH)?;
        let mut hash = LogicalHash::default();
        let mut rows = 0;
        while let (Some(ids), Some(accounts), Some(contents)) = (ids.next(), accounts.next(), contents.next()) {
            let (ids, accounts, contents) = (ids?, accounts?, contents?);
            if ids.len() != contents.len() || ids.len() != accounts.len() {
                return Err(uneven(CONTENT_HASH).into());
            }
            rows += ids.len();
            hash.add_columns(ids.as_string(), accounts.as_string(), contents.as_binary());
        }
        if rows != self.rows.rows() {
            return Err(uneven(CONTENT_HASH).into());
        }
        Ok(hash)
    }
}

/// Does all tasks; the first error ends the rest. Each thread takes the first task that is left, so results come in any
/// order. If one thread is asked for it is this one, which otherwise waits for the others.
fn on_threads<T: Send, R: Send>(
    threads: usize,
    tasks: Vec<T>,
    work: impl Fn(T) -> Result<R, StoreError> + Send + Sync,
) -> Result<Vec<R>, StoreError> {
    if threads <= 1 {
        return tasks.into_iter().map(work).collect();
    }
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().map_err(|_| StoreError::Thread)?;
    // Halves of the list, which rayon makes of a parallel iterator, would not begin with the longest.
    pool.install(|| tasks.into_iter().par_bridge().map(work).collect())
}

fn closed(writers: Vec<ArrowColumnWriter>) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    writers.into_iter().map(ArrowColumnWriter::close).collect()
}

fn uneven(column: &str) -> ParquetError {
    ParquetError::General(format!("`{column}` has not as many rows as its file"))
}

/// Writes the encoded columns as row groups, and frees each column once it is written.
fn put_together(
    file: &mut SerializedFileWriter<Vec<u8>>,
    columns: Vec<EncodedColumn>,
    groups: usize,
) -> Result<(), ParquetError> {
    let all = columns.iter().flat_map(|column| &column.chunks).flatten();
    let bytes: u64 = all.map(|chunk| chunk.close().bytes_written).sum();
    file.inner_mut().reserve_exact(bytes as usize + FOOTER_BYTES);
    let mut columns: Vec<_> = columns.into_iter().map(|column| column.chunks.into_iter()).collect();
    for _ in 0..groups {
        let mut group = file.next_row_group()?;
        for chunk in columns.iter_mut().filter_map(Iterator::next).flatten() {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
    }
    Ok(())
}

impl EncodedFile {
    /// Puts the file into a folder of the store, under a name that nobody else has. `partition` is the column and the
    /// value of its partition, if the table has partitions.
    pub async fn put(
        self,
        location: &StoreLocation,
        folder: &str,
        partition: Option<(&str, Option<String>)>,
        now_micros: i64,
    ) -> Result<Add, StoreError> {
        let of_partition = partition
            .as_ref()
            .map_or(String::new(), |(column, value)| format!("{column}={}/", value.as_deref().unwrap_or(NO_PARTITION)));
        let inside = format!("{of_partition}{}.parquet", unique());
        let bytes = Bytes::from(self.bytes);
        let (size, sha256, tail) = (bytes.len() as i64, sha256_hex(&bytes), tail_tag(&bytes)?);
        let path = location.path(&format!("{folder}/{inside}"));
        let put = location.store.put(&path, bytes.into()).await;
        put.map_err(|source| StoreError::Objects { what: path.to_string(), source })?;
        let normalizer = self.normalizer.map(|number| (NORMALIZER_KEY.to_owned(), Some(number.to_string())));
        let hashes = [(SHA256_TAG, sha256), (TAIL_TAG, tail)].map(|(tag, value)| (tag.to_owned(), Some(value)));
        let tags = hashes.into_iter().chain(normalizer).chain(self.sums);
        Ok(tagged(Add {
            path: inside,
            partition_values: partition.map(|(column, value)| (column.to_owned(), value)).into_iter().collect(),
            size,
            modification_time: now_micros / 1000,
            data_change: true,
            stats: Some(self.stats),
            tags: Some(tags.collect()),
            ..Add::default()
        }))
    }
}

impl EncodedFile {
    /// Puts the file into a folder of the store under a name that follows from its bytes, so that they prove each other.
    pub async fn put_by_content(self, location: &StoreLocation, folder: &str) -> Result<(), StoreError> {
        let path = location.path(&format!("{folder}/{}", name_of(&sha256_hex(&self.bytes))));
        let put = location.store.put(&path, self.bytes.into()).await;
        put.map(drop).map_err(|source| StoreError::Objects { what: path.to_string(), source })
    }
}

/// The name of a file with this SHA-256: as long as all the others.
pub(super) fn name_of(sha256: &str) -> String {
    format!("{}.parquet", &sha256[..32])
}

/// The day of an `event_date`, as the name of a partition.
pub(super) fn day_name(day: i32) -> Option<String> {
    DateTime::from_timestamp_micros(i64::from(day) * MICROS_PER_DAY).map(|time| time.format("%Y-%m-%d").to_string())
}
