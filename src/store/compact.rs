//! Makes few large files of many small ones.
//! In: a store. Out: commits that replace files of one day by one file with the same rows, in the order of the key.
//! Never changes a row: the logical hash of what goes and what comes must agree before it is committed.

use arrow::array::{Array, ArrayRef};
use arrow::compute::{cast, interleave};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::Rows;
use bytes::Bytes;
use deltalake::kernel::{Add, Remove};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::check::said_hash;
use super::delta::{Change, Landed, Table};
use super::file::{Columns, Encoded, Layout, Parts, encode};
use super::hash::LogicalHash;
use super::ledger::{self, OBJECTS, OBJECTS_LAYOUT, QUARANTINE, QUARANTINE_LAYOUT};
use super::patience::Patience;
use super::reader::StoredFile;
use super::rows::{self, EVENTS, Order, PART_ROWS};
use super::{Store, StoreError};

/// A file that is at least this large is left alone.
const LARGE_BYTES: u64 = 24 << 20;
/// Stored bytes of the files that become one; they are in memory, and so is what they become.
const MERGED_BYTES_MAX: u64 = 28 << 20;
/// Files that are open at once: of each, a page of the column that a thread is at is decoded.
const MERGED_FILES_MAX: usize = 12;
/// About what is decoded at once of a column of one file.
const DECODED_BYTES: i64 = 64 << 10;

/// What became of the files.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    pub files_before: u64,
    pub files_after: u64,
    pub commits: u64,
}

impl Store {
    /// Merges small files of all tables, and brings the index of event ids up to date.
    pub async fn compact(&mut self, threads: usize) -> Result<Compacted, StoreError> {
        self.complete().await?;
        let mut all = Compacted { files_before: self.file_count()?, ..Compacted::default() };
        for table in [EVENTS, OBJECTS, QUARANTINE] {
            let mut patience = Patience::new();
            'look: loop {
                let groups = groups(self.table(table).files()?);
                if groups.is_empty() {
                    break;
                }
                for group in groups {
                    match self.merge(table, &group, threads).await? {
                        Landed::Yes => {
                            all.commits += 1;
                            patience.won();
                        }
                        // What is left of the groups may be of files that another one has replaced.
                        Landed::No if patience.lost().await => {
                            self.refresh().await?;
                            continue 'look;
                        }
                        Landed::No => return Err(self.contended()),
                    }
                }
            }
        }
        self.index_ids().await?;
        all.files_after = self.file_count()?;
        Ok(all)
    }

    fn file_count(&self) -> Result<u64, StoreError> {
        let tables = [&self.events, &self.objects, &self.quarantine];
        tables.iter().try_fold(0, |count, table| Ok(count + table.files()?.len() as u64))
    }

    fn table(&self, name: &str) -> &Table {
        match name {
            OBJECTS => &self.objects,
            QUARANTINE => &self.quarantine,
            _ => &self.events,
        }
    }

    fn table_mut(&mut self, name: &str) -> &mut Table {
        match name {
            OBJECTS => &mut self.objects,
            QUARANTINE => &mut self.quarantine,
            _ => &mut self.events,
        }
    }

    /// Replaces a group of files by one.
    async fn merge(&mut self, table: &'static str, group: &[Add], threads: usize) -> Result<Landed, StoreError> {
        let (schema, layout): (_, &'static Layout) = match table {
            OBJECTS => (ledger::ledger_schema(), &OBJECTS_LAYOUT),
            QUARANTINE => (ledger::stored_quarantine_schema(), &QUARANTINE_LAYOUT),
            _ => (rows::file_schema(), &rows::LAYOUT),
        };
        let files = self.whole_files(table, group).await?;
        let before = hash_of(&files);
        // On this thread, which has read them and gives them back: nothing else of a compaction could go on meanwhile, and
        // what one thread allocates and another frees is given back late.
        let merge = Merge { order: order(&files, &schema, layout)?, files, schema };
        let merged: Encoded = encode(&merge, &merge.schema, layout, threads)?;
        drop(merge);
        if merged.hash != before {
            return Err(self.damaged("merged files have another logical hash than before"));
        }
        let rows: u64 =
            group.iter().map(|add| self.data_file(table, add).map(|file| file.rows)).sum::<Result<_, _>>()?;
        if merged.rows as u64 != rows {
            return Err(self.damaged(format!("{rows} rows became {}", merged.rows)));
        }
        let partition = group[0].partition_values.iter().next();
        let partition = partition.map(|(column, value)| (column.as_str(), value.clone()));
        let file = Add { data_change: false, ..merged.put(&self.place, table, partition).await? };
        let path = self.place.path(&format!("{table}/{}", file.path));
        let removes = group.iter().map(removal).collect();
        let change = Change { adds: vec![file], removes, ..Change::default() };
        let landed = self.table_mut(table).commit(change).await?;
        if landed == Landed::No {
            let removed = object_store::ObjectStoreExt::delete(&self.place.store, &path).await;
            removed.map_err(|source| StoreError::Objects { what: path.to_string(), source })?;
        }
        Ok(landed)
    }

    async fn whole_files(&self, table: &str, group: &[Add]) -> Result<Vec<WholeFile>, StoreError> {
        let mut files = Vec::with_capacity(group.len());
        for add in group {
            let file = self.data_file(table, add)?;
            let bytes = StoredFile::new(&self.place.store, &file).whole().await;
            let bytes = bytes.map_err(|source| StoreError::Objects { what: file.path.to_string(), source })?;
            files.push(WholeFile::open(bytes)?);
        }
        Ok(files)
    }
}

/// A file of which all bytes are here.
struct WholeFile {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
}

impl WholeFile {
    fn open(bytes: Bytes) -> Result<WholeFile, ParquetError> {
        let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new())?;
        Ok(WholeFile { bytes, metadata })
    }

    fn rows(&self) -> usize {
        self.metadata.metadata().file_metadata().num_rows() as usize
    }

    /// Stored and inflated bytes of a column.
    fn column_bytes(&self, index: usize) -> (i64, i64) {
        let leaves = self.metadata.parquet_schema();
        let groups = self.metadata.metadata().row_groups().iter();
        let chunks = groups.flat_map(|group| group.columns().iter().enumerate());
        let own = chunks.filter(|(leaf, _)| leaves.get_column_root_idx(*leaf) == index);
        own.fold((0, 0), |(stored, inflated), (_, chunk)| {
            (stored + chunk.compressed_size(), inflated + chunk.uncompressed_size())
        })
    }

    fn read(&self, columns: &[usize], batch_rows: usize) -> Result<ParquetRecordBatchReader, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        builder.with_projection(mask).with_batch_size(batch_rows).build()
    }
}

fn hash_of(files: &[WholeFile]) -> Option<LogicalHash> {
    files.iter().filter_map(|file| said_hash(file.metadata.metadata())).reduce(|mut sum, hash| {
        sum.add(hash);
        sum
    })
}

/// Which file each row of the merged one comes from: sorted files keep their common order, those of a table without an
/// order follow each other. Either way each file gives its rows in its own order.
fn order(files: &[WholeFile], schema: &SchemaRef, layout: &Layout) -> Result<Vec<u8>, StoreError> {
    const { assert!(MERGED_FILES_MAX <= 1 << 8) };
    if layout.sorted_by.is_empty() {
        let each = files.iter().enumerate().flat_map(|(at, file)| std::iter::repeat_n(at as u8, file.rows()));
        return Ok(each.collect());
    }
    let by = Order::new(schema, layout.sorted_by.iter().copied())?;
    let columns = layout.sorted_by.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
    let mut heads = Vec::with_capacity(files.len());
    for (at, file) in files.iter().enumerate() {
        let mut head = Head { file: at as u8, rows: file.read(&columns, PART_ROWS)?, keys: None, at: 0 };
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

/// Where the merge stands in a file.
struct Head {
    file: u8,
    rows: ParquetRecordBatchReader,
    keys: Option<Rows>,
    at: usize,
}

impl Head {
    /// Goes to the next row; `false` at the end.
    fn advance(&mut self, by: &Order) -> Result<bool, StoreError> {
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

/// Files that become one. Each of its columns is put together by itself, so that only pages of that are decoded.
struct Merge {
    files: Vec<WholeFile>,
    order: Vec<u8>,
    schema: SchemaRef,
}

impl Columns for Merge {
    fn rows(&self) -> usize {
        self.order.len()
    }

    fn column(&self, index: usize) -> Result<Parts<'_>, StoreError> {
        let mut readers = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let row_bytes = file.column_bytes(index).1 / (file.rows() as i64).max(1);
            let rows = (DECODED_BYTES / row_bytes.max(1)).clamp(16, PART_ROWS as i64);
            readers.push(Reader { rows: file.read(&[index], rows as usize)?, part: None, at: 0 });
        }
        let ty = self.schema.field(index).data_type().clone();
        let mut column = MergedColumn { readers, ty };
        Ok(Box::new(self.order.chunks(PART_ROWS).map(move |files| column.part(files))))
    }

    fn weight(&self, index: usize) -> usize {
        self.files.iter().map(|file| file.column_bytes(index).0 as usize).sum()
    }
}

struct MergedColumn {
    readers: Vec<Reader>,
    ty: DataType,
}

/// One column of a file, and how far it has been taken.
struct Reader {
    rows: ParquetRecordBatchReader,
    part: Option<ArrayRef>,
    at: usize,
}

impl MergedColumn {
    /// The next rows, each from the file that is named.
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

impl Reader {
    /// Makes sure of a row; `true` where that took new ones.
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

/// Files of one partition that should be one file.
fn groups(mut files: Vec<Add>) -> Vec<Vec<Add>> {
    files.retain(|file| (file.size as u64) < LARGE_BYTES);
    let day = |file: &Add| file.partition_values.values().next().cloned().flatten();
    files.sort_by(|a, b| (day(a), a.size, &a.path).cmp(&(day(b), b.size, &b.path)));
    let mut groups: Vec<Vec<Add>> = Vec::new();
    let mut bytes = 0;
    for file in files {
        let size = file.size as u64;
        match groups.last_mut() {
            Some(group)
                if day(&group[0]) == day(&file)
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

fn removal(file: &Add) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change: false,
        deletion_timestamp: Some(crate::time::now_micros() / 1000),
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition_values.clone()),
        size: Some(file.size),
        ..Remove::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn add(day: Option<&str>, mebibytes: i64) -> Add {
        let values = [("event_date".to_owned(), day.map(str::to_owned))].into();
        Add { path: format!("{day:?}/{mebibytes}"), partition_values: values, size: mebibytes << 20, ..Add::default() }
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
        let schema = Arc::clone(files()[0].metadata.schema());
        for (sorted_by, expected) in [(&["uri"][..], [0, 3, 1, 2, 4, 5]), (&[], [0, 1, 2, 3, 4, 5])] {
            let layout = Layout { sorted_by, ..QUARANTINE_LAYOUT };
            let merge = Merge {
                order: order(&files(), &schema, &layout).unwrap(),
                files: files(),
                schema: Arc::clone(&schema),
            };
            let parts = merge.column(1).unwrap().map(Result::unwrap).collect::<Vec<_>>();
            assert_eq!(parts.len(), 1);
            assert_eq!(parts[0].as_primitive::<Int64Type>().values(), &expected);
        }
    }
}
