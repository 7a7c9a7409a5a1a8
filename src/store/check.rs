//! Describes the content of a store, and proves that it is whole.
//! In: a snapshot. Out: [`StoreOverview`] from logs and footers alone, and the [`Faults`] that reading every file
//! brings up. Never changes anything.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType};
use bytes::Bytes;
use deltalake::kernel::Add;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::chain::MADE;
use super::check_log::check_logs;
use super::column_stats::RowStats;
use super::data_file::{DataFile, day_in_log};
use super::delta::StoreTable;
use super::hash::LogicalHash;
use super::id_index::{IdDigest, IdHashes, IdIndex};
use super::ledger;
use super::parquet_reader::StoredFile;
use super::parquet_writer::FileLayout;
use super::proved_file::{fault_of, said_hash, said_normalizer};
use super::renormalize::{RenewedRows, renewed_differences};
use super::snapshot::{READ_ROWS, Snapshot};
use super::store_check::StoreCheck;
use super::table_id::TableId;
use super::{Store, StoreError, filter_name};
use crate::batch::CONTENT_HASH;
use crate::normalize::NORMALIZER;
use crate::objects::{
    ColumnError, Counts, FaultReason, HOUR_COLUMNS, LEDGER_COLUMNS, OBJECT_COLUMNS, ObjectRows, QUARANTINE_COLUMNS,
    count_of_more,
};
use crate::schema::Column;
use crate::source::Scope;
use crate::time::{day_of, event_days};

/// Files that are read at once.
const FILES_AT_ONCE: usize = 2;
/// Footers that are read at once.
const FOOTERS_AT_ONCE: usize = 16;

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

/// The choices of a check.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// Also makes the derived columns of every row again from its record, and compares them.
    pub is_deep: bool,
    /// The SHA-256 of a commit of the events that the store must have.
    pub expected_head: Option<String>,
}

/// Proves the logs of a store, then reads every file and compares its content with the log, the ledger and the file's
/// own footer.
pub async fn check(store: &Store, options: &CheckOptions) -> Result<StoreCheck, StoreError> {
    let snapshot = store.as_snapshot()?;
    let mut checked = StoreCheck::default();
    check_logs(store, &mut checked).await?;
    checked.expect_head(options);
    let of_logs = checked.fault_count;
    // Files come by day, and equal events have one day.
    let (mut day, mut seen, mut ids) = (None, HashSet::new(), HashMap::new());
    let adds = store.tables[TableId::Events].files()?;
    let path_of = |add: &Add| store.location.path(&format!("{}/{}", TableId::Events.name(), add.path));
    let adds: HashMap<Path, &Add> = adds.iter().map(|add| (path_of(add), add)).collect();
    let (is_deep, days) = (options.is_deep, days_of_table(&store.tables[TableId::Events])?);
    let reads = snapshot.files.iter().map(|file| {
        let (add, of_day) = (adds[&file.path].clone(), (is_deep && file.normalizer == NORMALIZER).then_some(file.day));
        let days = days.clone();
        read_proved(store, file, move |bytes| {
            (read_events(bytes.clone(), &add, days), of_day.map(|day| renewed_differences(bytes, day)))
        })
    });
    let mut reads = futures::stream::iter(reads.collect::<Vec<_>>()).buffered(FILES_AT_ONCE);
    for file in &snapshot.files {
        let Some(read) = reads.try_next().await? else { break };
        let Some((found, renewed)) = checked.take(file, read) else { continue };
        if day != file.day {
            (day, seen) = (file.day, HashSet::new());
        }
        match found {
            Ok(found) => {
                checked.events(file, &found, &mut seen);
                ids.insert(&file.path, found.ids);
            }
            Err(error) => checked.fault(file, format!("cannot be read: {error}")),
        }
        renewed.into_iter().for_each(|found| checked.deep(file, found));
    }
    for id in store.tables.present().filter(|id| *id != TableId::Events) {
        for add in store.tables[id].files()?.iter() {
            let file = DataFile::of(&store.location, id, add)?;
            let read = read_proved(store, &file, move |bytes| read_stats(bytes, id.layout())).await?;
            match checked.take(&file, read) {
                Some(Ok(stats)) => stats.fault(add).into_iter().for_each(|fault| checked.fault(&file, fault)),
                Some(Err(error)) => checked.fault(&file, format!("cannot be read: {error}")),
                None => {}
            }
        }
    }
    if checked.fault_count == of_logs {
        check_ledger(&snapshot, &mut checked).await?;
    }
    check_index(&snapshot.index(), &ids, &mut checked).await?;
    Ok(checked)
}

/// A file, or the reason for which nothing in it is believed.
struct ReadFile<T> {
    bytes: u64,
    found: Result<T, String>,
}

/// Reads a file on a thread of its own, if it has the length and the hash of the log.
async fn read_proved<T: Send + 'static>(
    store: &Store,
    file: &DataFile,
    read: impl FnOnce(Bytes) -> T + Send + 'static,
) -> Result<ReadFile<T>, StoreError> {
    let bytes = match StoredFile::new(&store.location.store, file).whole().await {
        Ok(bytes) => bytes,
        Err(object_store::Error::NotFound { .. }) => {
            return Ok(ReadFile { bytes: 0, found: Err("is missing".to_owned()) });
        }
        Err(source) => return Err(StoreError::Objects { what: file.path.to_string(), source }),
    };
    let (length, file) = (bytes.len() as u64, file.clone());
    let found = tokio::task::spawn_blocking(move || match fault_of(&file, &bytes) {
        Some(fault) => Err(fault),
        None => Ok(read(bytes)),
    });
    Ok(ReadFile { bytes: length, found: found.await.map_err(|_| StoreError::Thread)? })
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
    let add = |sum: u64, rows: &RecordBatch| Ok::<_, ColumnError>(sum.saturating_add(count_quarantined(rows)?));
    let named = rows.iter().try_fold(0, add);
    let named = named.map_err(|error| snapshot.store().of_ledger(error.into()))?;
    if named < quarantined {
        checked.note(format!("the ledger accounts for {quarantined} quarantined records, and {named} are there"));
    }
    Ok(())
}

/// The records that rows of `quarantine` stand for.
fn count_quarantined(rows: &RecordBatch) -> Result<u64, ColumnError> {
    let (reasons, raws) = (QUARANTINE_COLUMNS.reason.of(rows)?, QUARANTINE_COLUMNS.raw.of(rows)?);
    let count = |row| match reasons.value(row)? {
        FaultReason::Unlisted => Ok(count_of_more(raws.value(row)).unwrap_or(0)),
        _ => Ok(1),
    };
    (0..rows.num_rows()).map(count).try_fold(0u64, |sum, count| Ok(sum.saturating_add(count?)))
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
            kept = rows.map(|row| counts.value(row).kept).fold(kept, u64::saturating_add);
            Ok(())
        })
        .await?;
    let columns = [HOUR_COLUMNS.records.name, LEDGER_COLUMNS.batch.name];
    store
        .each_of(TableId::Hours, &columns, &mut |rows| {
            let (records, is_visible) = (HOUR_COLUMNS.records.of(rows)?, ledger::is_visible(rows, snapshot.batch)?);
            let rows = is_visible.values().set_indices().filter(|row| records.is_valid(*row));
            counted = rows.map(|row| records.value(row).unsigned_abs()).fold(counted, u64::saturating_add);
            Ok(())
        })
        .await?;
    if kept != counted {
        checked.note(format!("the hours have {counted} records, and the ledger accounts for {kept} events of them"));
    }
    Ok(())
}

/// Holds the index to the ids that the files have.
async fn check_index(
    index: &IdIndex,
    ids: &HashMap<&Path, String>,
    checked: &mut StoreCheck,
) -> Result<(), StoreError> {
    let told = |error: &StoreError| format!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
    let parts = match index.parts().await {
        Ok(parts) => parts,
        Err(error @ StoreError::Index { .. }) => {
            checked.note(told(&error));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for part in parts.into_iter().filter(|part| !part.is_unproved()) {
        match index.bytes_of(&part).await {
            Ok(bytes) if part.is_named_by(&bytes) => {}
            Ok(_) => checked.note(format!("`{}` is not as its writer made it", part.path())),
            Err(_) if index.is_gone(part.path()).await => continue,
            Err(error) => return Err(error),
        }
        let mut digests: Vec<IdDigest> = part.files().iter().map(|_| IdDigest::default()).collect();
        let add = |hash, file: usize| digests.get_mut(file).into_iter().for_each(|digest| digest.add(hash));
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
        for (file, digest) in part.files().iter().zip(digests) {
            if ids.get(file).is_some_and(|ids| *ids != digest.finish()) {
                checked.note(format!("`{}` has not the event ids of `{file}`", part.path()));
            }
        }
    }
    Ok(())
}

impl StoreCheck {
    fn expect_head(&mut self, options: &CheckOptions) {
        if let Some(expected) = &options.expected_head
            && self.chain.commit(expected).is_none()
        {
            self.note(format!("no commit of its `events` has the SHA-256 {expected} that was noted"));
        }
    }

    fn deep(&mut self, file: &DataFile, found: Result<RenewedRows, StoreError>) {
        match found {
            Ok(found) => {
                self.rederived += found.rows;
                if found.other > 0 {
                    self.fault(file, format!("has {} events that are not what their records say", found.other));
                }
                for column in found.columns {
                    self.fault(file, format!("has other values of `{column}` than its records give"));
                }
            }
            Err(error) => self.fault(file, format!("cannot be made again: {error}")),
        }
    }

    fn take<T>(&mut self, file: &DataFile, read: ReadFile<T>) -> Option<T> {
        (self.files, self.bytes) = (self.files + 1, self.bytes + read.bytes);
        match read.found {
            Ok(found) => Some(found),
            Err(fault) => {
                self.fault(file, fault);
                None
            }
        }
    }

    fn events(&mut self, file: &DataFile, found: &FileSums, seen: &mut HashSet<u128>) {
        self.events += found.rows;
        self.logical_hash.add(found.hash);
        if let Some(fault) = &found.fault {
            self.fault(file, fault);
        }
        if found.elsewhere > 0 {
            self.fault(file, format!("has {} events of another day than the log says", found.elsewhere));
        }
        if found.said != Some(found.hash) {
            self.fault(file, "has another logical hash than it says");
        }
        if found.normalizer != file.normalizer {
            let (own, logged) = (found.normalizer, file.normalizer);
            self.fault(file, format!("says normalizer {own}, and the log says {logged}"));
        }
        let twice = found.identities.iter().filter(|identity| !seen.insert(**identity)).count();
        if twice > 0 {
            self.fault(file, format!("has {twice} events that are there twice"));
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
    /// A hash of identity and content of each row.
    identities: Vec<u128>,
    /// The digest of the hashes of its event ids.
    ids: String,
    /// The difference between its rows and the log's statistics.
    fault: Option<String>,
    /// Rows of another day than its partition.
    elsewhere: u64,
}

fn read_events(bytes: Bytes, add: &Add, days: Range<i64>) -> Result<FileSums, parquet::errors::ParquetError> {
    let layout = TableId::Events.layout();
    let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new())?;
    let options = ArrowReaderOptions::new().with_schema(with_dictionaries(metadata.schema(), layout));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata).with_batch_size(READ_ROWS);
    let (said, normalizer) = (said_hash(builder.metadata()), said_normalizer(builder.metadata()));
    let mut found = FileSums { said, normalizer, ..FileSums::default() };
    let columns = layout.described().chain(IDENTITY);
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    let (mut stats, day) = (RowStats::new(layout.bounds, layout.summed), PartitionDay::of(add, days));
    let mut ids = IdHashes::default();
    for rows in builder.with_projection(mask).build()? {
        let rows = rows?;
        found.rows += rows.num_rows() as u64;
        found.hash.add_rows(&rows);
        ids.add_rows(&rows);
        add_identities(&rows, &mut found.identities);
        found.elsewhere += day.count_elsewhere(&rows);
        stats.add(&rows);
    }
    (found.fault, found.ids) = (stats.fault(add), ids.digest());
    Ok(found)
}

/// The columns that tell an event from others.
const IDENTITY: [&str; 3] = ["event_id", "recipient_account_id", CONTENT_HASH];

/// A schema of which texts that are only compared come as dictionaries, each value once.
fn with_dictionaries(schema: &Schema, layout: &FileLayout) -> SchemaRef {
    let is_compared = |field: &Field| {
        let name = field.name().as_str();
        *field.data_type() == DataType::Utf8 && layout.bounds.contains(&name) && !IDENTITY.contains(&name)
    };
    let texts = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let fields = schema.fields().iter().map(|field| match is_compared(field) {
        true => Arc::new(field.as_ref().clone().with_data_type(texts())),
        false => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// The statistics of the rows of a file.
fn read_stats(bytes: Bytes, layout: &'static FileLayout) -> Result<RowStats, parquet::errors::ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), layout.described());
    let mut stats = RowStats::new(layout.bounds, layout.summed);
    for rows in builder.with_projection(mask).build()? {
        stats.add(&rows?);
    }
    Ok(stats)
}

/// The day that a file is of, by the log.
enum PartitionDay {
    Of(i64),
    /// Its rows have no time, or one on none of these days.
    None(Range<i64>),
}

/// The days since 1970 that had a partition when any row of a table was written: those of the time when it was made, since
/// later rows had more.
fn days_of_table(table: &StoreTable) -> Result<Range<i64>, StoreError> {
    let made_millis = table.metadata()?[MADE].as_i64().unwrap_or(0);
    let (first, end) = event_days(made_millis.saturating_mul(1000));
    Ok(first..end)
}

impl PartitionDay {
    fn of(add: &Add, days: Range<i64>) -> PartitionDay {
        match day_in_log(add) {
            Some(day) => PartitionDay::Of(i64::from(day)),
            None => PartitionDay::None(days),
        }
    }

    /// Rows that would have been written into another file.
    fn count_elsewhere(&self, rows: &RecordBatch) -> u64 {
        let times = rows[Column::EventTime.name()].as_primitive::<TimestampMicrosecondType>();
        let is_elsewhere = |time: Option<i64>| match (self, time.map(day_of)) {
            (PartitionDay::Of(day), found) => found != Some(*day),
            (PartitionDay::None(days), Some(found)) => days.contains(&found),
            (PartitionDay::None(_), None) => false,
        };
        times.iter().filter(|time| is_elsewhere(*time)).count() as u64
    }
}

fn add_identities(rows: &RecordBatch, identities: &mut Vec<u128>) {
    let (ids, accounts) = (rows["event_id"].as_string::<i32>(), rows["recipient_account_id"].as_string::<i32>());
    let contents = rows[CONTENT_HASH].as_binary::<i32>();
    identities.extend((0..rows.num_rows()).map(|row| {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(contents.value(row));
        hash.update(ids.value(row).as_bytes());
        hash.update(if accounts.is_null(row) { "-" } else { accounts.value(row) }.as_bytes());
        hash.digest128()
    }));
}

async fn footer_hash(mut file: StoredFile) -> Result<Option<LogicalHash>, StoreError> {
    Ok(said_hash(file.metadata().await?.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::array::{ArrayRef, BinaryArray, StringArray, TimestampMicrosecondArray};

    use super::*;
    use crate::time::parse_rfc3339;

    /// A row that had a day when the table was made is in no file without one, whatever the year.
    #[test]
    fn a_file_without_a_day_has_no_row_of_a_day_that_had_a_partition() {
        let micros = |time: &str| parse_rfc3339(time).unwrap();
        for (made, time, elsewhere) in [
            ("2026-11-30T00:00:00Z", "2027-12-31T23:59:59Z", 1),
            ("2026-11-30T00:00:00Z", "2028-01-01T00:00:00Z", 0),
            ("2031-01-01T00:00:00Z", "2032-12-31T00:00:00Z", 1),
            ("2031-01-01T00:00:00Z", "2012-12-31T00:00:00Z", 0),
        ] {
            let (first, end) = event_days(micros(made));
            let add = Add { partition_values: HashMap::from([("event_date".to_owned(), None)]), ..Add::default() };
            let times = TimestampMicrosecondArray::from(vec![Some(micros(time)), None]).with_timezone("UTC");
            let rows = RecordBatch::try_from_iter([(Column::EventTime.name(), Arc::new(times) as _)]).unwrap();
            assert_eq!(PartitionDay::of(&add, first..end).count_elsewhere(&rows), elsewhere, "{made} {time}");
        }
    }

    /// By these a check finds an event that two files have, or one twice.
    #[test]
    fn rows_have_one_identity_if_id_account_and_content_are_equal() {
        let rows = |id: &str, account: Option<&str>, content: &[u8]| {
            let ids: ArrayRef = Arc::new(StringArray::from(vec![id]));
            let accounts: ArrayRef = Arc::new(StringArray::from(vec![account]));
            let contents: ArrayRef = Arc::new(BinaryArray::from(vec![content]));
            let columns = [("event_id", ids), ("recipient_account_id", accounts), (CONTENT_HASH, contents)];
            RecordBatch::try_from_iter(columns).unwrap()
        };
        let mut identities = Vec::new();
        for (id, account, content) in [
            ("a", Some("111122223333"), b"1"),
            ("a", Some("111122223333"), b"1"),
            ("b", Some("111122223333"), b"1"),
            ("a", Some("444455556666"), b"1"),
            ("a", None, b"1"),
            ("a", Some("111122223333"), b"2"),
        ] {
            add_identities(&rows(id, account, content), &mut identities);
        }
        assert_eq!((identities.len(), identities.iter().collect::<HashSet<_>>().len()), (6, 5));
    }
}
