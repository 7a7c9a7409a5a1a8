//! Reading a store: one version of all its tables, and columns of its files.
//! In: a store. Out: [`Snapshot`]s. Never shows a row without its accounting, or the other way round.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use chrono::NaiveDate;
use deltalake::ObjectStore;
use deltalake::kernel::Add;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use serde_json::Value;

use super::ledger::{LedgerError, OBJECTS, QUARANTINE, is_visible, visible_objects, visible_quarantine};
use super::place::Place;
use super::reader::StoredFile;
use super::rows::{EVENTS, file_schema};
use super::{FORMAT_VERSION, Store, StoreError};
use crate::normalize::EventFilter;
use crate::schema::Column;

/// Rows that are read at once.
pub(super) const READ_ROWS: usize = 8192;

/// Files of the ledger that are opened at once.
const FILES_AT_ONCE: usize = 8;

/// A file of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// The full path in the snapshot's object store.
    pub path: Path,
    pub bytes: u64,
    pub rows: u64,
    /// The value of `event_date` for all its rows, which the file itself does not hold.
    pub day: Option<i32>,
    /// Least and greatest `event_time`, in microseconds since 1970, where known.
    pub first_event: Option<i64>,
    pub last_event: Option<i64>,
    /// Rows without a time.
    pub untimed: u64,
    /// What the log says of its columns: `numRecords`, `minValues`, `maxValues`, `nullCount`, as Delta has them.
    pub stats: Option<String>,
    pub sha256: Option<String>,
}

/// One version of a store.
#[derive(Clone)]
pub struct Snapshot {
    pub version: u64,
    pub batch: i64,
    pub format_version: u32,
    pub filter: EventFilter,
    /// Ascending by day and path.
    pub files: Vec<DataFile>,
    pub object_store: Arc<dyn ObjectStore>,
    store: Store,
}

impl Store {
    /// What the store holds now.
    pub async fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        self.refresh().await?;
        self.as_snapshot()
    }

    /// What the store held when it was last looked at.
    pub(super) fn as_snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut files: Vec<DataFile> =
            self.events.files()?.iter().map(|add| self.data_file(EVENTS, add)).collect::<Result<_, _>>()?;
        files.sort_by(|a, b| (a.day, &a.path).cmp(&(b.day, &b.path)));
        Ok(Snapshot {
            version: self.events.version(),
            batch: self.batch,
            format_version: FORMAT_VERSION,
            filter: self.filter,
            files,
            object_store: Arc::clone(&self.place.store),
            store: self.clone(),
        })
    }

    pub(super) fn data_file(&self, table: &str, add: &Add) -> Result<DataFile, StoreError> {
        let day = add.partition_values.get(Column::EventDate.name()).cloned().flatten();
        let day = day.map(|text| day_of(&text).ok_or_else(|| self.damaged(format!("`{text}` is no day"))));
        let stats: Value = add.stats.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let time = |which: &str| stats[which]["event_time"].as_str().and_then(crate::time::parse_rfc3339);
        let tags = add.tags.as_ref();
        Ok(DataFile {
            path: self.place.path(&format!("{table}/{}", add.path)),
            bytes: add.size as u64,
            rows: stats["numRecords"].as_u64().unwrap_or(0),
            day: day.transpose()?,
            first_event: time("minValues"),
            last_event: time("maxValues"),
            untimed: stats["nullCount"]["event_time"].as_u64().unwrap_or(0),
            stats: add.stats.clone(),
            sha256: tags.and_then(|tags| tags.get(super::file::SHA256_TAG)).cloned().flatten(),
        })
    }

    /// The rows of the ledger as they are stored, a file at a time, with those that wait.
    pub(super) async fn ledger_rows(&self) -> Result<Vec<RecordBatch>, StoreError> {
        let pending = self.pending.as_ref().map(|pending| &pending.objects);
        self.table_rows(OBJECTS, self.objects.files()?, pending).await
    }

    /// Some columns of the same rows, which are never held all at once.
    pub(super) async fn each_of_ledger(
        &self,
        columns: &[&str],
        take: &mut (dyn FnMut(&RecordBatch) -> Result<(), LedgerError> + Send),
    ) -> Result<(), StoreError> {
        let mut files = self.objects.files()?;
        files.extend(self.pending.as_ref().map(|pending| pending.objects.clone()));
        let files: Vec<DataFile> = files.iter().map(|add| self.data_file(OBJECTS, add)).collect::<Result<_, _>>()?;
        let opened = files.iter().map(|file| StoredFile::new(&self.place.store, file));
        let opened = opened.collect::<Vec<_>>().into_iter().map(|file| file.rows(Some(columns), READ_ROWS));
        let mut opened = futures::stream::iter(opened).buffered(FILES_AT_ONCE);
        while let Some(mut rows) = opened.try_next().await? {
            while let Some(rows) = rows.try_next().await? {
                take(&rows).map_err(|error| self.of_ledger(error))?;
            }
        }
        Ok(())
    }

    pub(super) fn of_ledger(&self, error: LedgerError) -> StoreError {
        match error {
            LedgerError::Column(error) => self.damaged(format!("its ledger cannot be read: {error}")),
            LedgerError::Arrow(error) => error.into(),
        }
    }

    pub(super) async fn quarantine_rows(&self) -> Result<Vec<RecordBatch>, StoreError> {
        let pending = self.pending.as_ref().and_then(|pending| pending.quarantine.as_ref());
        self.table_rows(QUARANTINE, self.quarantine.files()?, pending).await
    }

    async fn table_rows(
        &self,
        table: &str,
        mut files: Vec<Add>,
        pending: Option<&Add>,
    ) -> Result<Vec<RecordBatch>, StoreError> {
        files.extend(pending.cloned());
        let files: Vec<DataFile> = files.iter().map(|add| self.data_file(table, add)).collect::<Result<_, _>>()?;
        let stored: Vec<StoredFile> = files.iter().map(|file| StoredFile::new(&self.place.store, file)).collect();
        let read = stored.into_iter().map(|file| async move {
            let rows = file.rows(None, READ_ROWS).await?;
            rows.try_collect::<Vec<_>>().await.map_err(StoreError::from)
        });
        let batches: Vec<Vec<RecordBatch>> = futures::stream::iter(read).buffered(FILES_AT_ONCE).try_collect().await?;
        Ok(batches.into_iter().flatten().collect())
    }
}

impl Snapshot {
    pub(super) fn place(&self) -> &Place {
        &self.store.place
    }

    /// Some columns of the rows of the table `objects`, with the batch among them, a few at a time.
    pub(super) async fn each_object(
        &self,
        columns: &[&str],
        take: &mut (dyn FnMut(&RecordBatch, &BooleanArray) -> Result<(), LedgerError> + Send),
    ) -> Result<(), StoreError> {
        self.store.each_of_ledger(columns, &mut |rows| take(rows, &is_visible(rows, self.batch)?)).await
    }

    /// The rows of the table `objects`.
    pub async fn objects(&self) -> Result<Vec<RecordBatch>, StoreError> {
        visible_objects(&self.store.ledger_rows().await?, self.batch).map_err(|error| self.store.of_ledger(error))
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

fn day_of(text: &str) -> Option<i32> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    i32::try_from((day - NaiveDate::default()).num_days()).ok()
}
