//! Makes the derived columns of older files again, by the rules of this version.
//! In: a store, of which some files are of an earlier normalizer. Out: commits that each replace one of them by files
//! of the present one, and by files of its own number for rows that must stay.
//! Never changes an identity or a content. Before a commit, the bytes of the old file must be those of the log, each
//! row must be made of the record with its content, and the logical hash of the old and the new files must agree.
//! Holds one file and one run of rows at a time.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Int64Array, ListArray};
use arrow::array::{RecordBatch, StringArray, new_null_array};
use arrow::compute::{cast, concat_batches, filter_record_batch, not};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use deltalake::kernel::Add;

use super::backoff::Backoff;
use super::data_file::{DataFile, normalizer_of};
use super::delta::{CommitContent, CommitOutcome, DataChange, removal};
use super::hash::LogicalHash;
use super::parquet_reader::WholeFile;
use super::proved_file::{proved_file, said_hash};
use super::rows::{self, PART_ROWS, RUN_BYTES_MAX, SortedRun, scanned_columns, table_schema};
use super::table_id::TableId;
use super::{Store, StoreError, unheeded};
use crate::batch::{CONTENT_HASH, Provenance, RowBuilder, weight};
use crate::json::JsonTree;
use crate::normalize::{NORMALIZER, Record, StoredRow, normalize_again};
use crate::schema::{Column, events_schema_of};

/// Rough number of bytes of a file's records that are decoded at once.
const DECODED_BYTES: i64 = 2 << 20;

/// The counts of a renormalization.
#[derive(Debug, Default)]
pub(super) struct RenormalizationCounts {
    /// Rows that are now of the present normalizer.
    pub rows: u64,
    /// Files that were rewritten, each in one.
    pub commits: u64,
}

/// Rewrites all files of an earlier normalizer, each in a commit of its own, so that a run that is killed loses one at
/// most. Rows stay as they were if their record cannot be read again or is of another event.
pub(super) async fn renormalize(store: &mut Store, threads: usize) -> Result<RenormalizationCounts, StoreError> {
    let (mut all, mut backoff) = (RenormalizationCounts::default(), Backoff::new());
    'look: loop {
        let files = store.tables[TableId::Events].files()?;
        for add in files.iter() {
            if normalizer_of(&store.location, add)? >= NORMALIZER {
                continue;
            }
            match rewrite(store, add, threads).await? {
                RewriteOutcome::Unchanged => {}
                RewriteOutcome::Committed { rows } => {
                    all.rows += rows;
                    all.commits += 1;
                    backoff.won();
                }
                // The file may be one that another writer has replaced.
                RewriteOutcome::Lost if backoff.lost().await => {
                    store.refresh().await?;
                    continue 'look;
                }
                RewriteOutcome::Lost => return Err(store.contended()),
            }
        }
        return Ok(all);
    }
}

/// The end of rewriting a file.
enum RewriteOutcome {
    /// Not one of its rows can be made again.
    Unchanged,
    /// So many of its rows were made again.
    Committed { rows: u64 },
    /// Somebody else committed first.
    Lost,
}

async fn rewrite(store: &mut Store, add: &Add, threads: usize) -> Result<RewriteOutcome, StoreError> {
    let file = DataFile::of(&store.location, TableId::Events, add)?;
    let written = write_anew(store, &file, threads).await?;
    if written.renewed == 0 {
        store.discard(TableId::Events, &written.adds).await?;
        return Ok(RewriteOutcome::Unchanged);
    }
    let removes = vec![removal(add, DataChange::Columns, store.now_micros)];
    let change = CommitContent { adds: written.adds.clone(), removes, ..CommitContent::default() };
    match store.commit(TableId::Events, change).await? {
        CommitOutcome::Committed => Ok(RewriteOutcome::Committed { rows: written.renewed }),
        CommitOutcome::Lost => {
            store.discard(TableId::Events, &written.adds).await?;
            Ok(RewriteOutcome::Lost)
        }
    }
}

/// Files that hold the rows of an older one, in no commit yet.
#[derive(Default)]
struct RewrittenFiles {
    adds: Vec<Add>,
    hash: LogicalHash,
    rows: u64,
    /// Those of the present normalizer.
    renewed: u64,
}

/// Writes the rows of a file into new ones. If that fails, no new file stays.
async fn write_anew(store: &Store, file: &DataFile, threads: usize) -> Result<RewrittenFiles, StoreError> {
    let mut written = RewrittenFiles::default();
    let Err(error) = written.take_all(store, file, threads).await else { return Ok(written) };
    // A collection will remove the files; the first error is the one to report.
    unheeded(store.discard(TableId::Events, &written.adds).await);
    Err(error)
}

/// Number of rows that are read at once: fewer if records are long.
fn batch_rows(file: &WholeFile) -> usize {
    let raw = file.schema().index_of(Column::Raw.name()).map_or(0, |index| file.column_bytes(index).1);
    let row_bytes = raw / (file.rows() as i64).max(1);
    (DECODED_BYTES / row_bytes.max(1)).clamp(16, PART_ROWS as i64) as usize
}

/// Rows of a file as the table has them: with the day of its folder, and with NULL for columns that came later.
fn in_table(rows: &RecordBatch, day: Option<i32>) -> Result<RecordBatch, StoreError> {
    let schema = table_schema();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match rows.column_by_name(field.name()) {
            _ if field.name() == Column::EventDate.name() => {
                std::sync::Arc::new(Date32Array::from(vec![day; rows.num_rows()]))
            }
            // Files name the parts of maps and lists as Parquet does, batches of ours as Arrow does.
            Some(column) => cast(column, field.data_type())?,
            None => new_null_array(field.data_type(), rows.num_rows()),
        });
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// The rows of a file beside those that their records give.
#[derive(Debug, Default)]
pub(super) struct RenewedRows {
    /// Rows that were compared.
    pub rows: u64,
    /// Rows whose record is of another event.
    pub other: u64,
    /// Columns with a value that the records do not give.
    pub columns: BTreeSet<String>,
}

/// Makes the rows of a file of this normalizer again, and compares them. The day is left out: which days there are
/// depends on the year in which a row was written.
pub(super) fn renewed_differences(bytes: Bytes, day: Option<i32>) -> Result<RenewedRows, StoreError> {
    let (whole, mut found, mut renewer) = (WholeFile::open(bytes)?, RenewedRows::default(), RowRenewer::new());
    let columns: Vec<usize> = (0..whole.schema().fields().len()).collect();
    for rows in whole.read(&columns, batch_rows(&whole))? {
        let (rows, mut renewed) = (in_table(&rows?, day)?, RowPile::default());
        let is_other = renewer.make(&rows, &mut renewed);
        found.rows += rows.num_rows() as u64;
        found.other += is_other.true_count() as u64;
        let stored = filter_record_batch(&rows, &not(&is_other)?)?;
        let renewed = concat_batches(&table_schema(), &renewed.batches)?;
        for (field, (own, again)) in stored.schema().fields().iter().zip(stored.columns().iter().zip(renewed.columns()))
        {
            if own != again && field.name() != Column::EventDate.name() {
                found.columns.insert(field.name().clone());
            }
        }
    }
    Ok(found)
}

/// Rows of one normalizer that wait to be written.
#[derive(Default)]
struct RowPile {
    normalizer: u32,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl RowPile {
    fn add(&mut self, rows: RecordBatch) {
        if rows.num_rows() > 0 {
            self.bytes += weight(&rows);
            self.batches.push(rows);
        }
    }
}

impl RewrittenFiles {
    /// Takes in the rows of a file. As in a compaction, this thread does all but encoding.
    async fn take_all(&mut self, store: &Store, file: &DataFile, threads: usize) -> Result<(), StoreError> {
        let whole = proved_file(store, file).await?;
        let mut renewed = RowPile { normalizer: NORMALIZER, ..RowPile::default() };
        let mut kept = RowPile { normalizer: file.normalizer, ..RowPile::default() };
        let mut renewer = RowRenewer::new();
        let columns: Vec<usize> = (0..whole.schema().fields().len()).collect();
        for rows in whole.read(&columns, batch_rows(&whole))? {
            let rows = in_table(&rows?, file.day)?;
            kept.add(renewer.take(&rows, &mut renewed)?);
            for pile in [&mut renewed, &mut kept] {
                if pile.bytes >= RUN_BYTES_MAX {
                    self.put(store, pile, threads).await?;
                }
            }
        }
        for pile in [&mut renewed, &mut kept] {
            self.put(store, pile, threads).await?;
        }
        if said_hash(whole.metadata()) != Some(self.hash) || self.rows != file.rows {
            return Err(store.damaged(format!("`{}` has other rows than it says, and stays as it is", file.path)));
        }
        Ok(())
    }

    /// Writes the waiting rows into a file for each of their days. A day may differ from before, since an event far in
    /// the future gets its day only when its year comes near.
    async fn put(&mut self, store: &Store, pile: &mut RowPile, threads: usize) -> Result<(), StoreError> {
        let batches = std::mem::take(&mut pile.batches);
        pile.bytes = 0;
        let keep: Vec<_> = batches.iter().map(|batch| BooleanArray::from(vec![true; batch.num_rows()])).collect();
        let run = SortedRun::sort(batches, &keep, pile.normalizer)?;
        for day in run.days() {
            let encoded = run.encode(day, threads)?;
            self.hash.add(encoded.hash.unwrap_or_default());
            self.rows += encoded.rows as u64;
            self.renewed += if pile.normalizer == NORMALIZER { encoded.rows as u64 } else { 0 };
            let (folder, partition) = (TableId::Events.name(), rows::partition_of(day));
            self.adds.push(encoded.put(&store.location, folder, partition, store.now_micros).await?);
        }
        Ok(())
    }
}

/// Makes rows again from their records.
struct RowRenewer {
    tree: JsonTree,
    builder: RowBuilder,
}

impl RowRenewer {
    fn new() -> RowRenewer {
        let columns = scanned_columns();
        RowRenewer {
            tree: JsonTree::new(),
            builder: RowBuilder::with_content_hash(&events_schema_of(&columns), &columns),
        }
    }

    /// Adds the rows that can be made again to a pile, and returns the others.
    fn take(&mut self, rows: &RecordBatch, renewed: &mut RowPile) -> Result<RecordBatch, StoreError> {
        let stays = self.make(rows, renewed);
        Ok(filter_record_batch(rows, &stays)?)
    }

    /// Adds the rows that can be made again to a pile; the others are marked.
    fn make(&mut self, rows: &RecordBatch, renewed: &mut RowPile) -> BooleanArray {
        let stored = StoredColumns::of(rows);
        let mut stays = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            stays.push(!self.renew(&stored, row));
            if self.builder.is_full() {
                renewed.add(self.builder.finish());
            }
        }
        if !self.builder.is_empty() {
            renewed.add(self.builder.finish());
        }
        BooleanArray::from(stays)
    }

    /// Appends one row, made again; returns false if it cannot be made.
    fn renew(&mut self, stored: &StoredColumns<'_>, row: usize) -> bool {
        let Some(content_hash) = stored.content(row) else { return false };
        let issues = stored.issues(row);
        let issues: Vec<&str> = issues.iter().flatten().flatten().collect();
        let known = StoredRow {
            event_id: stored.ids.value(row),
            recipient_account_id: stored.accounts.is_valid(row).then(|| stored.accounts.value(row)),
            content_hash,
            issues: &issues,
        };
        let Ok(value) = self.tree.parse(stored.raws.value(row).as_bytes()) else { return false };
        let Some(again) = normalize_again(&Record::of(value), &known) else { return false };
        let from = Provenance {
            object_uri: stored.uris.value(row),
            record_index: stored.indexes.value(row),
            content_hash: Some(content_hash),
        };
        self.builder.append(&again, &from);
        true
    }
}

/// The columns that stay as they are, and the record from which the others are made.
struct StoredColumns<'a> {
    ids: &'a StringArray,
    accounts: &'a StringArray,
    issues: &'a ListArray,
    uris: &'a StringArray,
    indexes: &'a Int64Array,
    raws: &'a StringArray,
    contents: &'a BinaryArray,
}

impl<'a> StoredColumns<'a> {
    fn of(rows: &'a RecordBatch) -> StoredColumns<'a> {
        let text = |column: Column| rows[column.name()].as_string::<i32>();
        StoredColumns {
            ids: text(Column::EventId),
            accounts: text(Column::RecipientAccountId),
            issues: rows[Column::Issues.name()].as_list(),
            uris: text(Column::ObjectUri),
            indexes: rows[Column::RecordIndex.name()].as_primitive::<Int64Type>(),
            raws: text(Column::Raw),
            contents: rows[CONTENT_HASH].as_binary(),
        }
    }

    fn issues(&self, row: usize) -> Option<StringArray> {
        self.issues.is_valid(row).then(|| self.issues.value(row).as_string::<i32>().clone())
    }

    /// `None` if there is no value, or one that is no hash.
    fn content(&self, row: usize) -> Option<[u64; 2]> {
        let (halves, rest) = self.contents.value(row).as_chunks::<8>();
        let [first, second] = halves else { return None };
        rest.is_empty().then(|| [u64::from_be_bytes(*first), u64::from_be_bytes(*second)])
    }
}
