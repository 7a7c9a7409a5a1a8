//! Describes the content of a store, and proves that it is whole.
//! In: a snapshot. Out: [`StoreOverview`] from logs and footers alone, and the [`Faults`] that reading every file
//! brings up. Never changes anything.

use std::collections::{HashMap, HashSet};
use std::error::Error;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;

use super::data_file::DataFile;
use super::hash::{LogicalHash, sha256_hex};
use super::id_index::{IdIndex, IdSum};
use super::ledger;
use super::parquet_reader::{StoredFile, WholeFile};
use super::parquet_writer::{HASH_KEY, NORMALIZER_KEY};
use super::snapshot::Snapshot;
use super::table_id::TableId;
use super::{Store, StoreError, filter_name};
use crate::batch::CONTENT_HASH;
use crate::normalize::NORMALIZER;
use crate::objects::{Counts, HOUR_COLUMNS, LEDGER_COLUMNS, OBJECT_COLUMNS, ObjectRows};
use crate::source::Scope;

/// Footers that are read at once.
const FOOTERS_AT_ONCE: usize = 16;
/// Faults that are named; the rest is counted.
const FAULTS_MAX: usize = 100;

/// A store at a glance.
#[derive(Debug, Clone)]
pub struct StoreOverview {
    /// As the user named it.
    pub path: String,
    /// The format of its tables.
    pub format_version: u32,
    /// Commits of the table `events`, of any kind.
    pub commits: u64,
    /// Commits that brought events or accounts.
    pub batches: u64,
    /// Rows of `events`.
    pub events: u64,
    /// Objects that the ledger names, each once.
    pub objects: u64,
    /// Files of `events`.
    pub files: u64,
    /// Least and greatest `event_time`, in microseconds since 1970.
    pub first_event: Option<i64>,
    /// See `first_event`.
    pub last_event: Option<i64>,
    /// Stored bytes of `files`.
    pub bytes: u64,
    /// As `--events` names it.
    pub filter: &'static str,
    /// The least number of a normalizer that made rows of it.
    pub normalizer: u32,
    /// Rows whose normalizer is earlier than this version's.
    pub older_rows: u64,
    /// Of all rows of `events`.
    pub logical_hash: LogicalHash,
}

/// Reads the log and the footers of a store. Fails if a file has no logical hash in its footer.
pub async fn info(store: &Store) -> Result<StoreOverview, StoreError> {
    let snapshot = store.as_snapshot()?;
    let stored = snapshot.files.iter().map(|file| StoredFile::new(&snapshot.object_store, file));
    let hashes = stored.collect::<Vec<_>>().into_iter().map(footer_hash);
    let hashes: Vec<Option<LogicalHash>> =
        futures::stream::iter(hashes).buffered(FOOTERS_AT_ONCE).try_collect().await?;
    let mut logical_hash = LogicalHash::default();
    for (hash, file) in hashes.into_iter().zip(&snapshot.files) {
        logical_hash.add(hash.ok_or_else(|| store.damaged(format!("`{}` has no logical hash", file.path)))?);
    }
    let mut uris: HashSet<u128> = HashSet::new();
    let mut add = |rows: &RecordBatch, is_visible: &BooleanArray| {
        let names = OBJECT_COLUMNS.uri.of(rows)?;
        uris.extend(is_visible.values().set_indices().map(|row| ledger::hash(names.value(row))));
        Ok(())
    };
    snapshot.each_object(&[OBJECT_COLUMNS.uri.name, LEDGER_COLUMNS.batch.name], &mut add).await?;
    Ok(StoreOverview {
        path: store.location.shown.clone(),
        format_version: snapshot.format_version,
        commits: snapshot.version + 1,
        batches: snapshot.batch as u64,
        events: snapshot.files.iter().map(|file| file.rows).sum(),
        objects: uris.len() as u64,
        files: snapshot.files.len() as u64,
        first_event: snapshot.files.iter().filter_map(|file| file.first_event).min(),
        last_event: snapshot.files.iter().filter_map(|file| file.last_event).max(),
        bytes: snapshot.files.iter().map(|file| file.bytes).sum(),
        filter: filter_name(snapshot.filter),
        normalizer: snapshot.files.iter().map(|file| file.normalizer).min().unwrap_or(NORMALIZER),
        older_rows: snapshot.older_rows(&Scope::default()),
        logical_hash,
    })
}

/// Reads every file, and compares its content with the log, the ledger and the file's own footer.
pub async fn check(store: &Store) -> Result<StoreCheck, StoreError> {
    let snapshot = store.as_snapshot()?;
    let mut checked = StoreCheck::default();
    // Files come by day, and equal events have one day.
    let (mut day, mut seen, mut ids) = (None, HashSet::new(), HashMap::new());
    for file in &snapshot.files {
        if day != file.day {
            (day, seen) = (file.day, HashSet::new());
        }
        let Some(bytes) = proved_bytes(store, file, &mut checked).await? else { continue };
        match read_events(bytes, &mut seen) {
            Ok(found) => {
                checked.events(file, &found);
                ids.insert(&file.path, found.ids);
            }
            Err(error) => checked.fault(file, format!("cannot be read: {error}")),
        }
    }
    for id in store.tables.present().filter(|id| *id != TableId::Events) {
        for add in store.tables[id].files()? {
            proved_bytes(store, &DataFile::of(&store.location, id, &add)?, &mut checked).await?;
        }
    }
    if checked.fault_count == 0 {
        check_ledger(&snapshot, &mut checked).await?;
    }
    check_index(&snapshot.index(), &ids, &mut checked).await?;
    Ok(checked)
}

/// The bytes of a file with the length and the hash of the log.
async fn proved_bytes(store: &Store, file: &DataFile, checked: &mut StoreCheck) -> Result<Option<Bytes>, StoreError> {
    checked.files += 1;
    let bytes = match StoredFile::new(&store.location.store, file).whole().await {
        Ok(bytes) => bytes,
        Err(object_store::Error::NotFound { .. }) => {
            checked.fault(file, "is missing");
            return Ok(None);
        }
        Err(source) => return Err(StoreError::Objects { what: file.path.to_string(), source }),
    };
    checked.bytes += bytes.len() as u64;
    if let Some(fault) = fault_of(file, &bytes) {
        checked.fault(file, fault);
        return Ok(None);
    }
    Ok(Some(bytes))
}

/// The difference between the bytes of a file and the log. Logs of every format have the SHA-256 of every file.
fn fault_of(file: &DataFile, bytes: &Bytes) -> Option<String> {
    if bytes.len() as u64 != file.bytes {
        return Some(format!("has {} bytes, not {}", bytes.len(), file.bytes));
    }
    match &file.sha256 {
        Some(expected) if *expected != sha256_hex(bytes) => Some("has another SHA-256".to_owned()),
        Some(_) => None,
        None => Some("has no SHA-256 in the log".to_owned()),
    }
}

/// Reads a file that is about to be replaced. Fails if its bytes are not those of the log: damage would pass into the
/// new file, whose SHA-256 would be right.
pub(super) async fn proved_file(store: &Store, file: &DataFile) -> Result<WholeFile, StoreError> {
    let bytes = StoredFile::new(&store.location.store, file).whole().await;
    let bytes = bytes.map_err(|source| StoreError::Objects { what: file.path.to_string(), source })?;
    match fault_of(file, &bytes) {
        None => Ok(WholeFile::open(bytes)?),
        Some(fault) => Err(store.damaged(format!("`{}` {fault}", file.path))),
    }
}

async fn check_ledger(snapshot: &Snapshot, checked: &mut StoreCheck) -> Result<(), StoreError> {
    let schema = ledger::ledger_schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut total = Counts::default();
    let mut add = |rows: &RecordBatch, is_visible: &BooleanArray| {
        if let Err(error) = ledger::expect_words(rows) {
            checked.note(format!("the ledger cannot be read: {error}"));
        }
        // If these columns cannot be taken, the fault is noted already.
        let Ok(objects) = ObjectRows::of(rows) else { return Ok(()) };
        for row in is_visible.values().set_indices() {
            let counts = objects.counts.value(row);
            total += counts;
            if !counts.adds_up() {
                checked.note(format!("the counts of `{}` do not add up", objects.uri.value(row)));
            }
        }
        Ok(())
    };
    snapshot.each_object(&columns, &mut add).await?;
    check_hours(snapshot, checked).await?;
    let Counts { kept, quarantined, .. } = total;
    if kept != checked.events {
        checked.note(format!("the ledger accounts for {kept} events, and {} are there", checked.events));
    }
    // An object that failed again as before has its records in quarantine again, but no second row in the ledger.
    let rows = match snapshot.quarantine().await {
        Err(StoreError::Damaged { what, .. }) => {
            checked.note(what);
            return Ok(());
        }
        rows => rows?,
    };
    let named: usize = rows.iter().map(RecordBatch::num_rows).sum();
    if (named as u64) < quarantined {
        checked.note(format!("the ledger accounts for {quarantined} quarantined records, and {named} are there"));
    }
    Ok(())
}

/// Holds the hours to the ledger, from the first batch on that has any.
async fn check_hours(snapshot: &Snapshot, checked: &mut StoreCheck) -> Result<(), StoreError> {
    let (store, from) = (snapshot.store(), snapshot.store().hours_from());
    let (mut kept, mut counted) = (0, 0);
    let columns: Vec<&str> = OBJECT_COLUMNS.counts.columns().iter().map(|column| column.name).collect();
    let columns = [columns.as_slice(), &[LEDGER_COLUMNS.batch.name]].concat();
    snapshot
        .each_object(&columns, &mut |rows, is_visible| {
            let (counts, batches) = (OBJECT_COLUMNS.counts.of(rows)?, LEDGER_COLUMNS.batch.of(rows)?);
            let rows = is_visible.values().set_indices().filter(|row| batches.value(*row) >= from);
            kept += rows.map(|row| counts.value(row).kept).sum::<u64>();
            Ok(())
        })
        .await?;
    let columns = [HOUR_COLUMNS.records.name, LEDGER_COLUMNS.batch.name];
    store
        .each_of(TableId::Hours, &columns, &mut |rows| {
            let (records, is_visible) = (HOUR_COLUMNS.records.of(rows)?, ledger::is_visible(rows, snapshot.batch)?);
            let rows = is_visible.values().set_indices().filter(|row| records.is_valid(*row));
            counted += rows.map(|row| records.value(row).unsigned_abs()).sum::<u64>();
            Ok(())
        })
        .await?;
    if kept != counted {
        checked.note(format!("the hours have {counted} records, and the ledger accounts for {kept} events of them"));
    }
    Ok(())
}

/// Holds the index to the ids that the files have.
async fn check_index(index: &IdIndex, ids: &HashMap<&Path, IdSum>, checked: &mut StoreCheck) -> Result<(), StoreError> {
    let told = |error: &StoreError| format!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
    let parts = match index.parts().await {
        Ok(parts) => parts,
        Err(error @ StoreError::Index { .. }) => {
            checked.note(told(&error));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for part in parts {
        let mut sums = vec![IdSum::default(); part.files().len()];
        let add = |hash, file: usize| sums.get_mut(file).into_iter().for_each(|sum| sum.add(hash));
        match index.each_entry(&part, None, add).await {
            Ok(()) => {}
            // A compaction has made a new one of it.
            Err(_) if index.is_gone(part.path()).await => continue,
            Err(error) => {
                checked.note(told(&error));
                continue;
            }
        }
        (checked.files, checked.bytes) = (checked.files + 1, checked.bytes + part.bytes());
        for (file, sum) in part.files().iter().zip(sums) {
            if ids.get(file).is_some_and(|ids| *ids != sum) {
                checked.note(format!("`{}` has not the event ids of `{file}`", part.path()));
            }
        }
    }
    Ok(())
}

/// The findings of a check.
#[derive(Debug, Default)]
pub struct StoreCheck {
    /// Files that were read, of all tables and of the index of event ids.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of `events` that were read.
    pub events: u64,
    /// Faults as sentences; no more than the first hundred.
    pub faults: Vec<String>,
    /// Number of faults; the store is whole where it is 0.
    pub fault_count: u64,
}

impl StoreCheck {
    fn fault(&mut self, file: &DataFile, what: impl AsRef<str>) {
        self.note(format!("`{}` {}", file.path, what.as_ref()));
    }

    fn note(&mut self, what: String) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(what);
        }
    }

    fn events(&mut self, file: &DataFile, found: &FileSums) {
        self.events += found.rows;
        if found.rows != file.rows {
            self.fault(file, format!("has {} rows, not {}", found.rows, file.rows));
        }
        if found.said != Some(found.hash) {
            self.fault(file, "has another logical hash than it says");
        }
        if found.normalizer != file.normalizer {
            let (own, logged) = (found.normalizer, file.normalizer);
            self.fault(file, format!("says normalizer {own}, and the log says {logged}"));
        }
        if found.twice > 0 {
            self.fault(file, format!("has {} events that are there twice", found.twice));
        }
    }
}

/// The sums over the rows of a file.
#[derive(Default)]
struct FileSums {
    rows: u64,
    hash: LogicalHash,
    said: Option<LogicalHash>,
    normalizer: u32,
    twice: u64,
    ids: IdSum,
}

fn read_events(bytes: Bytes, seen: &mut HashSet<u128>) -> Result<FileSums, parquet::errors::ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let (said, normalizer) = (said_hash(builder.metadata()), said_normalizer(builder.metadata()));
    let mut found = FileSums { said, normalizer, ..FileSums::default() };
    let columns = ["event_id", "recipient_account_id", CONTENT_HASH];
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    for rows in builder.with_projection(mask).build()? {
        let rows = rows?;
        found.rows += rows.num_rows() as u64;
        found.hash.add_rows(&rows);
        found.ids.add_rows(&rows);
        found.twice += count_seen(&rows, seen);
    }
    Ok(found)
}

/// Number of rows that were seen before.
fn count_seen(rows: &RecordBatch, seen: &mut HashSet<u128>) -> u64 {
    let (ids, accounts) = (rows["event_id"].as_string::<i32>(), rows["recipient_account_id"].as_string::<i32>());
    let contents = rows[CONTENT_HASH].as_binary::<i32>();
    let mut twice = 0;
    for row in 0..rows.num_rows() {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(contents.value(row));
        hash.update(ids.value(row).as_bytes());
        hash.update(if accounts.is_null(row) { "-" } else { accounts.value(row) }.as_bytes());
        twice += u64::from(!seen.insert(hash.digest128()));
    }
    twice
}

async fn footer_hash(mut file: StoredFile) -> Result<Option<LogicalHash>, StoreError> {
    Ok(said_hash(file.metadata().await?.as_ref()))
}

/// The logical hash of its rows, by the file's own footer.
pub(super) fn said_hash(file: &ParquetMetaData) -> Option<LogicalHash> {
    LogicalHash::parse(said(file, HASH_KEY)?)
}

/// The number of the normalizer that made the rows, by the file's own footer; 0 if it names none.
fn said_normalizer(file: &ParquetMetaData) -> u32 {
    said(file, NORMALIZER_KEY).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The value of a key in a footer; the last counts.
fn said<'a>(file: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let pairs = file.file_metadata().key_value_metadata()?;
    pairs.iter().rev().find(|pair| pair.key == key)?.value.as_deref()
}
