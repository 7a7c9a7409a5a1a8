//! Makes few large files of many small ones.
//! In: a store. Out: commits that replace files of one day and one normalizer by one file with the same rows, in the
//! order of the key.
//! Never changes a row: before a commit, the bytes of the old files must be those of the log, and the logical hash of
//! the old files and the new one must agree.

use arrow::array::{Array, ArrayRef};
use arrow::compute::{cast, interleave};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::Rows;
use deltalake::kernel::Add;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::errors::ParquetError;

use super::backoff::Backoff;
use super::data_file::{DataFile, normalizer_tag};
use super::delta::{CommitContent, CommitOutcome, DataChange, removal};
use super::hash::LogicalHash;
use super::id_index::index_ids;
use super::ledger;
use super::parquet_reader::WholeFile;
use super::parquet_writer::{ColumnParts, ColumnSource, EncodedFile, FileLayout, encode};
use super::proved_file::{proved_file, said_hash};
use super::renormalize::renormalize;
use super::rows::{PART_ROWS, RowOrder};
use super::table_id::TableId;
use super::{Store, StoreError};
use crate::source::Scope;

/// A file that is at least this large is left alone.
const LARGE_BYTES: u64 = 24 << 20;
/// Stored bytes of the files that become one. Both they and the new file are in memory.
const MERGED_BYTES_MAX: u64 = 28 << 20;
/// Files that are open at once; of each, one page of a thread's column is decoded.
const MERGED_FILES_MAX: usize = 12;
/// Rough number of bytes of a column of one file that are decoded at once.
const DECODED_BYTES: i64 = 64 << 10;

/// The choices of a compaction.
#[derive(Debug, Clone, Copy)]
pub struct CompactionOptions {
    /// Threads that encode a file.
    pub threads: usize,
    /// The fate of rows of an earlier normalizer.
    pub older_rows: OlderRows,
}

/// The fate of rows that an earlier normalizer made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OlderRows {
    /// They stay as they are.
    Stay,
    /// Their derived columns are made again from their records.
    Renormalize,
}

/// The counts of a compaction.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CompactionCounts {
    /// Files of all tables before.
    pub files_before: u64,
    /// The same after.
    pub files_after: u64,
    /// Commits of all tables.
    pub commits: u64,
    /// Rows whose derived columns were made again.
    pub renormalized: u64,
    /// Rows that an earlier normalizer made, and that stay so.
    pub older_rows: u64,
    /// True if the store was of an earlier format before.
    pub upgraded: bool,
}

/// Merges small files of all tables, and brings the index of event ids up to date. Fails with [`StoreError::Contended`]
/// if other writers are first for minutes; its commits until then stay.
pub async fn compact(store: &mut Store, compaction: CompactionOptions) -> Result<CompactionCounts, StoreError> {
    store.complete().await?;
    expect_sound(store).await?;
    let mut all = CompactionCounts { files_before: store.tables.file_count()?, ..CompactionCounts::default() };
    if compaction.older_rows == OlderRows::Renormalize {
        let renormalized = renormalize(store, compaction.threads).await?;
        (all.renormalized, all.commits) = (renormalized.rows, renormalized.commits);
    }
    for id in store.tables.present().collect::<Vec<_>>() {
        all.commits += merge_all(store, id, compaction.threads).await?;
    }
    index_ids(store).await?;
    all.upgraded = store.upgrade().await?;
    all.files_after = store.tables.file_count()?;
    all.older_rows = store.as_snapshot()?.older_rows(&Scope::default());
    Ok(all)
}

/// Fails if this version does not understand the log or the ledger: files are not rewritten by guesses.
async fn expect_sound(store: &Store) -> Result<(), StoreError> {
    store.as_snapshot()?;
    let schema = ledger::ledger_schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    store.each_of_ledger(&columns, &mut |rows| Ok(ledger::expect_words(rows)?)).await
}

/// Merges small files of a table; gives the number of commits.
async fn merge_all(store: &mut Store, id: TableId, threads: usize) -> Result<u64, StoreError> {
    let (mut backoff, mut commits) = (Backoff::new(), 0);
    'look: loop {
        let groups = groups(store.tables[id].files()?.to_vec());
        if groups.is_empty() {
            return Ok(commits);
        }
        for group in groups {
            match merge(store, id, &group, threads).await? {
                CommitOutcome::Committed => {
                    commits += 1;
                    backoff.won();
                }
                // Another writer may have replaced files of the groups that are left.
                CommitOutcome::Lost if backoff.lost().await => {
                    store.refresh().await?;
                    continue 'look;
                }
                CommitOutcome::Lost => return Err(store.contended()),
            }
        }
    }
}

/// Replaces a group of files by one.
async fn merge(store: &mut Store, id: TableId, group: &[Add], threads: usize) -> Result<CommitOutcome, StoreError> {
    let (schema, layout) = (id.file_schema(), id.layout());
    let group_files: Vec<DataFile> =
        group.iter().map(|add| DataFile::of(&store.location, id, add)).collect::<Result<_, _>>()?;
    let mut files = Vec::with_capacity(group.len());
    for file in &group_files {
        files.push(proved_file(store, file).await?);
    }
    let before = hash_of(&files);
    // This thread has read the files and frees them too, since memory that another thread frees goes back late. Only
    // the encoding of columns uses more threads. This one waits for them: a compaction has no other work then.
    let normalizer = (id == TableId::Events).then_some(group_files[0].normalizer);
    let merge = FileMerge { order: order(&files, &schema, layout)?, files, schema, normalizer };
    let merged: EncodedFile = encode(&merge, &merge.schema, layout, threads)?;
    drop(merge);
    if merged.hash != before {
        return Err(store.damaged("merged files have another logical hash than before"));
    }
    let rows: u64 = group_files.iter().map(|file| file.rows).sum();
    if merged.rows as u64 != rows {
        return Err(store.damaged(format!("{rows} rows became {}", merged.rows)));
    }
    let partition = group[0].partition_values.iter().next();
    let partition = partition.map(|(column, value)| (column.as_str(), value.clone()));
    let put = merged.put(&store.location, id.name(), partition, store.now_micros).await?;
    let file = Add { data_change: false, ..put };
    let removes = group.iter().map(|add| removal(add, DataChange::None, store.now_micros)).collect();
    let change = CommitContent { adds: vec![file.clone()], removes, ..CommitContent::default() };
    let outcome = store.commit(id, change).await?;
    if outcome == CommitOutcome::Lost {
        store.discard(id, [&file]).await?;
    }
    Ok(outcome)
}

fn hash_of(files: &[WholeFile]) -> Option<LogicalHash> {
    files.iter().filter_map(|file| said_hash(file.metadata())).reduce(|mut sum, hash| {
        sum.add(hash);
        sum
    })
}

/// The file of each row of the merged one: sorted files keep their common order, those of a table without an order
/// follow each other. Either way each file gives its rows in its own order.
fn order(files: &[WholeFile], schema: &SchemaRef, layout: &FileLayout) -> Result<Vec<u8>, StoreError> {
    const { assert!(MERGED_FILES_MAX <= 1 << 8) };
    if layout.sorted_by.is_empty() {
        let each = files.iter().enumerate().flat_map(|(at, file)| std::iter::repeat_n(at as u8, file.rows()));
        return Ok(each.collect());
    }
    let by = RowOrder::new(schema, layout.sorted_by.iter().copied())?;
    let columns = layout.sorted_by.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
    let mut heads = Vec::with_capacity(files.len());
    for (at, file) in files.iter().enumerate() {
        let mut head = MergeHead { file: at as u8, rows: file.read(&columns, PART_ROWS)?, keys: None, at: 0 };
        if head.advance(&by)? {
            heads.push(head);
        }
    }
    let mut order = Vec::with_capacity(files.iter().map(WholeFile::rows).sum());
    while let Some(least) = (0..heads.len()).min_by(|a, b| heads[*a].key().cmp(&heads[*b].key())) {
        order.push(heads[least].file);
        if !heads[least].advance(&by)? {
            heads.remove(least);
        }
    }
    Ok(order)
}

/// The place of the merge in a file.
struct MergeHead {
    file: u8,
    rows: ParquetRecordBatchReader,
    keys: Option<Rows>,
    at: usize,
}

impl MergeHead {
    /// Goes to the next row; returns `false` at the end.
    fn advance(&mut self, by: &RowOrder) -> Result<bool, StoreError> {
        self.at += 1;
        while self.keys.as_ref().is_none_or(|keys| self.at >= keys.num_rows()) {
            let Some(rows) = self.rows.next() else { return Ok(false) };
            (self.keys, self.at) = (Some(by.keys(&rows?)?), 0);
        }
        Ok(true)
    }

    fn key(&self) -> Option<arrow::row::Row<'_>> {
        self.keys.as_ref().map(|keys| keys.row(self.at))
    }
}

/// Files that become one. Each column is merged by itself, so that only its pages are decoded.
struct FileMerge {
    files: Vec<WholeFile>,
    order: Vec<u8>,
    schema: SchemaRef,
    /// The one normalizer of all the files, if they hold events.
    normalizer: Option<u32>,
}

impl ColumnSource for FileMerge {
    fn rows(&self) -> usize {
        self.order.len()
    }

    fn column(&self, index: usize) -> Result<ColumnParts<'_>, StoreError> {
        let mut readers = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let row_bytes = file.column_bytes(index).1 / (file.rows() as i64).max(1);
            let rows = (DECODED_BYTES / row_bytes.max(1)).clamp(16, PART_ROWS as i64);
            readers.push(ColumnReader { rows: file.read(&[index], rows as usize)?, part: None, at: 0 });
        }
        let ty = self.schema.field(index).data_type().clone();
        let mut column = MergedColumn { readers, ty };
        Ok(Box::new(self.order.chunks(PART_ROWS).map(move |files| column.part(files))))
    }

    fn weight(&self, index: usize) -> usize {
        self.files.iter().map(|file| file.column_bytes(index).0 as usize).sum()
    }

    fn normalizer(&self) -> Option<u32> {
        self.normalizer
    }
}

struct MergedColumn {
    readers: Vec<ColumnReader>,
    ty: DataType,
}

/// One column of a file, and its next row.
struct ColumnReader {
    rows: ParquetRecordBatchReader,
    part: Option<ArrayRef>,
    at: usize,
}

impl MergedColumn {
    /// The next rows, each from the named file.
    fn part(&mut self, files: &[u8]) -> Result<ArrayRef, StoreError> {
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut slots: Vec<Option<usize>> = vec![None; self.readers.len()];
        let mut places = Vec::with_capacity(files.len());
        for &file in files {
            let (reader, slot) = (&mut self.readers[usize::from(file)], &mut slots[usize::from(file)]);
            if reader.refill(&self.ty)? {
                *slot = None;
            }
            let slot = match *slot {
                Some(slot) => slot,
                None => {
                    arrays.extend(reader.part.clone());
                    *slot.insert(arrays.len() - 1)
                }
            };
            places.push((slot, reader.at));
            reader.at += 1;
        }
        let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&arrays, &places)?)
    }
}

impl ColumnReader {
    /// Makes sure of a row; returns `true` if that took new ones.
    fn refill(&mut self, ty: &DataType) -> Result<bool, StoreError> {
        let mut is_new = false;
        while self.part.as_ref().is_none_or(|part| self.at >= part.len()) {
            let rows =
                self.rows.next().ok_or_else(|| ParquetError::EOF("a column ends before its file".to_owned()))??;
            // Files name the parts of maps and lists as Parquet does, batches of ours as Arrow does.
            (self.part, self.at, is_new) = (Some(cast(rows.column(0), ty)?), 0, true);
        }
        Ok(is_new)
    }
}

/// Files of one partition, and of one normalizer, that should be one file.
fn groups(mut files: Vec<Add>) -> Vec<Vec<Add>> {
    files.retain(|file| (file.size as u64) < LARGE_BYTES);
    let day = |file: &Add| file.partition_values.values().next().cloned().flatten();
    let kin = |file: &Add| (day(file), normalizer_tag(file).unwrap_or("0").to_owned());
    files.sort_by(|a, b| (kin(a), a.size, &a.path).cmp(&(kin(b), b.size, &b.path)));
    let mut groups: Vec<Vec<Add>> = Vec::new();
    let mut bytes = 0;
    for file in files {
        let size = file.size as u64;
        match groups.last_mut() {
            Some(group)
                if kin(&group[0]) == kin(&file)
                    && group.len() < MERGED_FILES_MAX
                    && bytes + size <= MERGED_BYTES_MAX =>
            {
                bytes += size;
                group.push(file);
            }
            _ => {
                bytes = size;
                groups.push(vec![file]);
            }
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::store::parquet_writer::NORMALIZER_KEY;

    fn add(day: Option<&str>, mebibytes: i64) -> Add {
        let values = [("event_date".to_owned(), day.map(str::to_owned))].into();
        Add { path: format!("{day:?}/{mebibytes}"), partition_values: values, size: mebibytes << 20, ..Add::default() }
    }

    fn of_normalizer(number: u32, file: Add) -> Add {
        let tags = [(NORMALIZER_KEY.to_owned(), Some(number.to_string()))];
        Add { tags: Some(tags.into()), ..file }
    }

    #[test]
    fn groups_are_of_one_day_small_enough_and_more_than_one_file() {
        let (a, b) = (Some("2026-03-10"), Some("2026-03-11"));
        for (files, sizes) in [
            (vec![add(a, 1)], vec![]),
            (vec![add(a, 1), add(b, 1), add(None, 1)], vec![]),
            (vec![add(a, 1), add(b, 1), add(a, 2)], vec![2]),
            (vec![add(a, 24), add(a, 1), add(a, 2)], vec![2]),
            (vec![add(a, 20), add(a, 21), add(a, 22)], vec![]),
            (vec![add(a, 10), add(a, 11), add(a, 12)], vec![2]),
            (vec![add(a, 1); 40], vec![12, 12, 12, 4]),
            (vec![add(a, 3); 12], vec![9, 3]),
            (vec![add(a, 1), of_normalizer(1, add(a, 1)), add(a, 2), of_normalizer(1, add(a, 2))], vec![2, 2]),
            (vec![of_normalizer(2, add(a, 1)), of_normalizer(1, add(a, 1))], vec![]),
        ] {
            let found: Vec<usize> = groups(files).iter().map(Vec::len).collect();
            assert_eq!(found, sizes);
        }
    }

    fn file(uris: &[Option<&str>], numbers: &[i64]) -> WholeFile {
        let columns: [(&str, ArrayRef); 2] = [
            ("uri", Arc::new(uris.iter().copied().collect::<StringArray>())),
            ("n", Arc::new(Int64Array::from(numbers.to_vec()))),
        ];
        let rows =
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let mut bytes = Vec::new();
        let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        WholeFile::open(bytes.into()).unwrap()
    }

    #[test]
    fn rows_of_sorted_files_are_merged_and_those_without_an_order_follow_each_other() {
        let files = || {
            vec![
                file(&[None, Some("b"), Some("b")], &[0, 1, 2]),
                file(&[], &[]),
                file(&[Some("a"), Some("b"), Some("c")], &[3, 4, 5]),
            ]
        };
        let schema = Arc::clone(files()[0].schema());
        for (sorted_by, expected) in [(&["uri"][..], [0, 3, 1, 2, 4, 5]), (&[], [0, 1, 2, 3, 4, 5])] {
            let layout = FileLayout { sorted_by, ..*TableId::Quarantine.layout() };
            let merge = FileMerge {
                order: order(&files(), &schema, &layout).unwrap(),
                files: files(),
                schema: Arc::clone(&schema),
                normalizer: None,
            };
            let parts = merge.column(1).unwrap().map(Result::unwrap).collect::<Vec<_>>();
            assert_eq!(parts.len(), 1);
            assert_eq!(parts[0].as_primitive::<Int64Type>().values(), &expected);
        }
    }
}
