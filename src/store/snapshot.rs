//! Reading a store: one version of all its tables, and columns of its files.
//! In: a store. Out: [`Snapshot`]s. Never shows a row without its accounting, or the other way round.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use deltalake::ObjectStore;
use deltalake::kernel::Add;
use futures::{StreamExt, TryStreamExt};

use super::chain::{AddProof, proof_of, unlike_writer};
use super::data_file::{DataFile, sum_in_log};
use super::hashed_files::HashedFiles;
use super::ledger::{self, LedgerError, is_visible, visible_objects, visible_quarantine};
use super::location::StoreLocation;
use super::parquet_reader::{RowStream, StoredFile};
use super::proved_tail::ProvedTails;
use super::read_through::ReadingStore;
use super::rows::file_schema;
use super::table_id::TableId;
use super::{Store, StoreError};
use crate::normalize::{EventFilter, NORMALIZER};
use crate::objects::{LEDGER_COLUMNS, OBJECT_COLUMNS, ObjectStatus};
use crate::source::Scope;

/// Rows that are read at once.
pub(super) const READ_ROWS: usize = 8192;

/// Files of the ledger that are opened at once.
const FILES_AT_ONCE: usize = 8;

/// One version of a store.
#[derive(Clone)]
pub struct Snapshot {
    /// The version of the table `events` in its log, from 0.
    pub version: u64,
    /// The last batch that it holds, from 1; 0 before the first.
    pub batch: i64,
    /// The format of its tables.
    pub format_version: u32,
    /// The choice of events that the store keeps.
    pub filter: EventFilter,
    /// Ascending by day and path.
    pub files: Vec<DataFile>,
    /// The object store of the paths of `files`, which proves their footers as they are read.
    pub object_store: Arc<dyn ObjectStore>,
    /// Nothing is believed that no commit has a hash of.
    pub(super) hashes_files: bool,
    store: Store,
}

impl Store {
    /// The store as it is now.
    pub async fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        self.refresh().await?;
        self.as_snapshot()
    }

    /// The store as it was at the last look.
    pub(super) fn as_snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut files = self.files_of(TableId::Events, None)?;
        files.sort_by(|a, b| (a.day, &a.path).cmp(&(b.day, &b.path)));
        self.expect_rows_of_ledger(&files)?;
        Ok(Snapshot {
            version: self.tables[TableId::Events].version(),
            batch: self.batch,
            format_version: self.format,
            filter: self.filter,
            object_store: Arc::new(proved_tails(&self.location.store, &files)),
            hashes_files: false,
            files,
            store: self.clone(),
        })
    }

    /// Holds the rows of the events to the ledger, as far as the log has the sums of its counts.
    fn expect_rows_of_ledger(&self, events: &[DataFile]) -> Result<(), StoreError> {
        // Any sum over some of the files has room from here on.
        let rows = self.sum(events.iter().map(|file| file.rows))?;
        self.sum(events.iter().map(|file| file.bytes))?;
        let objects = &self.tables[TableId::Objects];
        // It was looked at after the events, and may be ahead.
        if objects.batch() > self.batch {
            return Ok(());
        }
        let waiting = self.pending.as_ref().map(|pending| &pending.objects);
        let entered = objects.files()?;
        let sums = entered.iter().chain(waiting).map(|add| sum_in_log(add, ledger::KEPT));
        let Some(kept) = sums.collect::<Option<Vec<u64>>>() else { return Ok(()) };
        let kept = self.sum(kept.into_iter())?;
        if kept != rows {
            return Err(self.damaged(format!("its ledger accounts for {kept} events, and its log for {rows}")));
        }
        Ok(())
    }

    /// Adds numbers of the log, which may be any.
    fn sum(&self, mut numbers: impl Iterator<Item = u64>) -> Result<u64, StoreError> {
        let sum = numbers.try_fold(0u64, u64::checked_add);
        sum.ok_or_else(|| self.damaged("the numbers of its log are larger than any store is"))
    }

    /// The files of a table, and one that waits to be entered in it.
    fn files_of(&self, id: TableId, waiting: Option<&Add>) -> Result<Vec<DataFile>, StoreError> {
        let entered = self.tables[id].files()?;
        // Those that are entered were proved as the table was looked at.
        if let Some(wrong) = waiting.filter(|add| proof_of(add) == AddProof::Wrong) {
            return Err(self.damaged(unlike_writer(wrong)));
        }
        entered.iter().chain(waiting).map(|add| DataFile::of(&self.location, id, add)).collect()
    }

    /// The rows of the ledger as they are stored, a file at a time, with those not entered yet.
    pub(super) async fn ledger_rows(&self) -> Result<Vec<RecordBatch>, StoreError> {
        self.table_rows(TableId::Objects).await
    }

    /// Some columns of the same rows, which are never held all at once.
    pub(super) async fn each_of_ledger(
        &self,
        columns: &[&str],
        take: &mut (dyn FnMut(&RecordBatch) -> Result<(), LedgerError> + Send),
    ) -> Result<(), StoreError> {
        self.each_of(TableId::Objects, columns, take).await
    }

    /// Some columns of the rows of a table, as far as the store has it.
    pub(super) async fn each_of(
        &self,
        id: TableId,
        columns: &[&str],
        take: &mut (dyn FnMut(&RecordBatch) -> Result<(), LedgerError> + Send),
    ) -> Result<(), StoreError> {
        let mut rows = self.rows_of(id, columns).await?;
        while let Some(rows) = rows.next().await? {
            take(&rows).map_err(|error| self.of_ledger(error))?;
        }
        Ok(())
    }

    /// The same rows, as somebody takes them.
    pub(super) async fn rows_of(&self, id: TableId, columns: &[&str]) -> Result<TableRows, StoreError> {
        let files = self.all_files(id)?;
        let files = files.iter().rev().map(|file| StoredFile::new(&self.location.store, file)).collect();
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Ok(TableRows { files, columns, open: None })
    }

    pub(super) fn of_ledger(&self, error: LedgerError) -> StoreError {
        match error {
            LedgerError::Column(error) => self.damaged(format!("its ledger cannot be read: {error}")),
            LedgerError::Arrow(error) => error.into(),
        }
    }

    pub(super) async fn quarantine_rows(&self) -> Result<Vec<RecordBatch>, StoreError> {
        self.table_rows(TableId::Quarantine).await
    }

    /// The files of a table with one that waits to be entered; none where the format of the store lacks the table.
    pub(super) fn all_files(&self, id: TableId) -> Result<Vec<DataFile>, StoreError> {
        match self.tables.get(id) {
            Some(_) => self.files_of(id, self.pending.as_ref().and_then(|pending| pending.file_of(id))),
            None => Ok(Vec::new()),
        }
    }

    async fn table_rows(&self, id: TableId) -> Result<Vec<RecordBatch>, StoreError> {
        let files = self.all_files(id)?;
        let stored: Vec<StoredFile> = files.iter().map(|file| StoredFile::new(&self.location.store, file)).collect();
        let read = stored.into_iter().map(|file| async move {
            let rows = file.rows(None, READ_ROWS).await?;
            rows.try_collect::<Vec<_>>().await.map_err(StoreError::from)
        });
        let batches: Vec<Vec<RecordBatch>> = futures::stream::iter(read).buffered(FILES_AT_ONCE).try_collect().await?;
        Ok(batches.into_iter().flatten().collect())
    }
}

/// Some columns of the rows of a table, a few at a time.
pub(super) struct TableRows {
    /// Files to come, the next one last.
    files: Vec<StoredFile>,
    columns: Vec<String>,
    open: Option<RowStream>,
}

impl TableRows {
    /// The next rows, `None` after the last.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        loop {
            if let Some(open) = &mut self.open
                && let Some(rows) = open.try_next().await?
            {
                return Ok(Some(rows));
            }
            let Some(file) = self.files.pop() else { return Ok(None) };
            let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
            self.open = Some(file.rows(Some(&columns), READ_ROWS).await?);
        }
    }
}

impl Snapshot {
    /// The same version, of which each file is hashed whole before any part of it is read, and nothing else is believed.
    pub fn hashing_files(mut self) -> Result<Snapshot, StoreError> {
        let tables: Vec<TableId> = self.store.tables.present().collect();
        let files = tables.into_iter().map(|id| self.store.all_files(id)).collect::<Result<Vec<_>, _>>()?;
        let hashed = HashedFiles::of(&self.store.location.store, files.into_iter().flatten());
        self.store.location.store = Arc::new(hashed);
        self.object_store = Arc::new(proved_tails(&self.store.location.store, &self.files));
        self.hashes_files = true;
        Ok(self)
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn location(&self) -> &StoreLocation {
        &self.store.location
    }

    /// Some columns of the rows of the table `objects`, with the batch among them, a few at a time.
    pub(super) async fn each_object(
        &self,
        columns: &[&str],
        take: &mut (dyn FnMut(&RecordBatch, &BooleanArray) -> Result<(), LedgerError> + Send),
    ) -> Result<(), StoreError> {
        self.store.each_of_ledger(columns, &mut |rows| take(rows, &is_visible(rows, self.batch)?)).await
    }

    /// Rows that an earlier normalizer made, in the files that may hold rows of a scope; their derived columns follow
    /// its rules.
    pub fn older_rows(&self, scope: &Scope) -> u64 {
        let is_older = |file: &&DataFile| file.normalizer < NORMALIZER && may_hold(file, scope);
        self.files.iter().filter(is_older).map(|file| file.rows).sum()
    }

    /// The rows of the table `objects`.
    pub async fn objects(&self) -> Result<Vec<RecordBatch>, StoreError> {
        visible_objects(&self.store.ledger_rows().await?, self.batch).map_err(|error| self.store.of_ledger(error))
    }

    /// The objects whose hours are unknown, since they were read into an earlier format.
    pub async fn objects_without_hours(&self) -> Result<u64, StoreError> {
        let (from, mut count) = (self.store.hours_from(), 0);
        if from > 0 {
            let columns = [OBJECT_COLUMNS.status.name, LEDGER_COLUMNS.batch.name];
            self.each_object(&columns, &mut |rows, is_visible| {
                let (statuses, batches) = (OBJECT_COLUMNS.status.of(rows)?, LEDGER_COLUMNS.batch.of(rows)?);
                for row in is_visible.values().set_indices().filter(|row| batches.value(*row) < from) {
                    count += u64::from(statuses.value(row)? != ObjectStatus::Skipped);
                }
                Ok(())
            })
            .await?;
        }
        Ok(count)
    }

    /// The rows of the table `quarantine`.
    pub async fn quarantine(&self) -> Result<Vec<RecordBatch>, StoreError> {
        let rows = self.store.quarantine_rows().await?;
        let visible = rows.iter().map(|rows| visible_quarantine(rows, self.batch));
        visible.collect::<Result<_, _>>().map_err(|error| self.store.of_ledger(error))
    }

    /// The schema of every file of events: that of the table `events` without `event_date`, which is the file's
    /// [`DataFile::day`], and `integrity`, and with `content_hash` at its end.
    pub fn file_schema() -> SchemaRef {
        file_schema()
    }
}

fn proved_tails(store: &Arc<dyn ObjectStore>, files: &[DataFile]) -> ReadingStore<ProvedTails> {
    ProvedTails::of(store, files.iter().filter_map(|file| Some((file.path.clone(), file.tail.clone()?))))
}

/// Only the time of a scope is held to a file: rows without a time are in every scope.
fn may_hold(file: &DataFile, scope: &Scope) -> bool {
    let (Some(first), Some(last)) = (file.first_event, file.last_event) else { return true };
    let begins = scope.until.is_none_or(|until| first < until);
    file.untimed > 0 || (begins && scope.since.is_none_or(|since| last >= since))
}
