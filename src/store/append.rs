//! Makes a batch part of the store.
//! In: files of events that are written, and the rows that account for them. Out: a commit, or the news that another
//! writer was first.
//! The commit of the events names the file of their ledger, which is written first; the tables of the ledger take that
//! file in afterwards. If the writer is killed in between, the next writer does it.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use deltalake::kernel::Add;
use object_store::ObjectStoreExt;
use serde_json::Value;

use super::backoff::Backoff;
use super::delta::{CommitContent, CommitOutcome};
use super::parquet_writer::encode;
use super::table_id::TableId;
use super::{Store, StoreError};

/// The tables beside the ledger that a batch has rows of, with the notes by which a commit of events names their files.
const NOTES_BESIDE: [(TableId, &str); 3] = [
    (TableId::Quarantine, "keytrail.quarantine"),
    (TableId::Hours, "keytrail.hours"),
    (TableId::Digests, "keytrail.digests"),
];
/// The note that names the file of the ledger.
const LEDGER_NOTE: &str = "keytrail.objects";

/// The ledger of a batch whose events are committed, but which the ledger's own tables lack.
#[derive(Debug, Clone)]
pub(super) struct PendingLedger {
    /// Its file of the table `objects`, in no commit of it.
    pub objects: Add,
    /// The same of other tables, where the batch has such rows.
    pub beside: Vec<(TableId, Add)>,
}

impl PendingLedger {
    pub(super) async fn of(store: &Store) -> Result<Option<PendingLedger>, StoreError> {
        let entered = store.tables[TableId::Objects].batch();
        if entered >= store.batch {
            return Ok(None);
        }
        if entered + 1 < store.batch {
            return Err(store.damaged(format!("its ledger ends at batch {entered} of {}", store.batch)));
        }
        let notes = store.tables[TableId::Events].notes_of(store.batch).await?;
        let read = |name: &str| notes.as_ref().and_then(|notes| serde_json::from_value(notes.get(name)?.clone()).ok());
        let objects = read(LEDGER_NOTE)
            .ok_or_else(|| store.damaged(format!("nothing tells of the ledger of batch {}", store.batch)))?;
        let mut beside = Vec::new();
        for (id, note) in NOTES_BESIDE {
            let Some(table) = store.tables.get(id) else { continue };
            if table.batch() < store.batch {
                beside.extend(read(note).map(|file| (id, file)));
            }
        }
        Ok(Some(PendingLedger { objects, beside }))
    }

    /// The file that waits to be entered in a table.
    pub fn file_of(&self, id: TableId) -> Option<&Add> {
        if id == TableId::Objects {
            return Some(&self.objects);
        }
        self.beside.iter().find(|(table, _)| *table == id).map(|(_, file)| file)
    }
}

/// Everything of a batch, written and not yet committed.
pub(super) struct WrittenBatch {
    /// One more than that of the batch before it.
    pub number: i64,
    /// Files that are in their places.
    pub events: Vec<Add>,
    /// Rows of the table `objects`, in no file yet.
    pub objects: RecordBatch,
    /// The same of other tables.
    pub beside: Vec<(TableId, RecordBatch)>,
}

impl WrittenBatch {
    /// True if the batch would not change the store.
    pub fn is_empty(&self) -> bool {
        let has_rows = self.beside.iter().any(|(_, rows)| rows.num_rows() > 0);
        self.events.is_empty() && self.objects.num_rows() == 0 && !has_rows
    }
}

impl Store {
    /// Enters the ledger of the last batch, if its writer did not get to it.
    pub(super) async fn complete(&mut self) -> Result<(), StoreError> {
        let mut backoff = Backoff::new();
        while let Some(pending) = self.pending.clone() {
            if self.enter(pending).await? == CommitOutcome::Lost {
                if !backoff.lost().await {
                    return Err(self.contended());
                }
                self.refresh().await?;
            }
        }
        Ok(())
    }

    /// The table `objects` comes last: once it has the batch, all the others have it.
    async fn enter(&mut self, pending: PendingLedger) -> Result<CommitOutcome, StoreError> {
        let batch = Some(self.batch);
        for (id, file) in pending.beside.into_iter().chain([(TableId::Objects, pending.objects)]) {
            let change = CommitContent { adds: vec![file], batch, ..CommitContent::default() };
            if self.commit(id, change).await? == CommitOutcome::Lost {
                return Ok(CommitOutcome::Lost);
            }
        }
        self.settle(self.batch, None);
        Ok(CommitOutcome::Committed)
    }

    pub(super) fn contended(&self) -> StoreError {
        StoreError::Contended { path: self.location.shown.clone() }
    }

    /// Commits a batch. If another batch came first, nothing of this one is in the store.
    pub(super) async fn append(&mut self, batch: &WrittenBatch) -> Result<CommitOutcome, StoreError> {
        let objects = self.put_rows(TableId::Objects, &batch.objects).await?;
        let mut beside = Vec::new();
        for (id, rows) in batch.beside.iter().filter(|(_, rows)| rows.num_rows() > 0) {
            beside.push((*id, self.put_rows(*id, rows).await?));
        }
        let pending = PendingLedger { objects, beside };
        let mut backoff = Backoff::new();
        loop {
            let adds = batch.events.clone();
            let change =
                CommitContent { adds, batch: Some(batch.number), notes: notes(&pending)?, ..CommitContent::default() };
            if self.commit(TableId::Events, change).await? == CommitOutcome::Committed {
                self.settle(batch.number, Some(pending));
                self.complete().await?;
                return Ok(CommitOutcome::Committed);
            }
            if !backoff.lost().await {
                return Err(self.contended());
            }
            self.refresh().await?;
            if self.batch >= batch.number {
                self.remove_files(batch, &pending).await?;
                return Ok(CommitOutcome::Lost);
            }
            // The other commit only rewrote files, so the rows that this batch was compared with are still there.
        }
    }

    async fn put_rows(&self, id: TableId, rows: &RecordBatch) -> Result<Add, StoreError> {
        let file = encode(rows, &rows.schema(), id.layout(), 1)?;
        file.put(&self.location, id.name(), None, self.now_micros).await
    }

    /// Removes the files of a batch that lost; they are in no commit.
    async fn remove_files(&self, batch: &WrittenBatch, pending: &PendingLedger) -> Result<(), StoreError> {
        self.discard(TableId::Events, &batch.events).await?;
        self.discard(TableId::Objects, [&pending.objects]).await?;
        for (id, file) in &pending.beside {
            self.discard(*id, [file]).await?;
        }
        Ok(())
    }

    /// Removes files that are in no commit.
    pub(super) async fn discard<'a>(
        &self,
        id: TableId,
        files: impl IntoIterator<Item = &'a Add>,
    ) -> Result<(), StoreError> {
        for file in files {
            let path = self.location.path(&format!("{}/{}", id.name(), file.path));
            let removed = self.location.store.delete(&path).await;
            removed.map_err(|source| StoreError::Objects { what: path.to_string(), source })?;
        }
        Ok(())
    }
}

fn notes(pending: &PendingLedger) -> Result<HashMap<String, Value>, StoreError> {
    let as_json = |file: &Add| serde_json::to_value(file).map_err(|e| ArrowError::from_external_error(Box::new(e)));
    let mut notes = HashMap::from([(LEDGER_NOTE.to_owned(), as_json(&pending.objects)?)]);
    for (id, note) in NOTES_BESIDE {
        if let Some(file) = pending.file_of(id) {
            notes.insert(note.to_owned(), as_json(file)?);
        }
    }
    Ok(notes)
}
