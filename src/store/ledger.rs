//! The ledger: the outcome of every object that was ever read, and the records that could not be read.
//! In: tallies of a batch, as rows. Out: rows of the tables `objects` and `quarantine`, and the news in a listing.
//! Never forgets an object, and never concludes from a time that one was read: only its own rows say so.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_128;

use super::parquet_writer::FileLayout;
use crate::objects::{
    ColumnError, Counts, FaultReason, LEDGER_COLUMNS, LedgerBuilder, LedgerRow, LedgerRows, OBJECT_COLUMNS,
    ObjectBuilder, ObjectChange, ObjectKind, ObjectOutcome, ObjectRow, ObjectRows, OutcomeColumns, QUARANTINE_COLUMNS,
    SkipReason, TableColumn,
};
use crate::source::{Listing, ListingEntry, is_history_end};

const URI: &str = OBJECT_COLUMNS.uri.name;
const BATCH: &str = LEDGER_COLUMNS.batch.name;
/// The count of an object's rows.
pub(super) const KEPT: &str = Counts::NAMES[1];

pub(super) const OBJECTS_LAYOUT: FileLayout = FileLayout {
    bounds: &[URI, BATCH, LEDGER_COLUMNS.object_day.name],
    sorted_by: &[URI],
    unique: &[URI],
    summed: &[KEPT],
    ..FileLayout::PLAIN
};
pub(super) const QUARANTINE_LAYOUT: FileLayout = FileLayout {
    bounds: &[QUARANTINE_COLUMNS.object_uri.name, BATCH],
    opaque: &[QUARANTINE_COLUMNS.raw.name],
    ..FileLayout::PLAIN
};

/// The reason that rows of the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    /// keytrail does not write such rows: the store is damaged.
    #[error("{0}")]
    Column(#[from] ColumnError),
    #[error("cannot put rows of the ledger together")]
    Arrow(#[from] ArrowError),
}

/// The columns of the table `objects` in a store.
pub(super) fn ledger_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let columns = [OBJECT_COLUMNS.list(), LEDGER_COLUMNS.list()].concat();
        Arc::new(Schema::new(columns.iter().map(TableColumn::field).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// The columns of the table `quarantine` in a store.
pub(super) fn stored_quarantine_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let columns = [QUARANTINE_COLUMNS.list(), LEDGER_COLUMNS.batch.columns()].concat();
        Arc::new(Schema::new(columns.iter().map(TableColumn::field).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// For each row, true if it is of a batch up to this one.
pub(super) fn is_visible(rows: &RecordBatch, batch: i64) -> Result<BooleanArray, ColumnError> {
    Ok(LEDGER_COLUMNS.batch.of(rows)?.values().iter().map(|n| Some(*n <= batch)).collect())
}

/// The rows of `quarantine` up to a batch. Fails on a reason that this version does not know.
pub(super) fn visible_quarantine(rows: &RecordBatch, batch: i64) -> Result<RecordBatch, LedgerError> {
    let reasons = QUARANTINE_COLUMNS.reason.of(rows)?;
    (0..rows.num_rows()).try_for_each(|row| reasons.value(row).map(drop))?;
    visible_rows(rows, batch, &QUARANTINE_COLUMNS.schema())
}

/// The rows up to a batch, with the columns that `visible` names.
fn visible_rows(rows: &RecordBatch, batch: i64, visible: &SchemaRef) -> Result<RecordBatch, LedgerError> {
    let kept = filter_record_batch(rows, &is_visible(rows, batch)?)?;
    let places = visible.fields().iter().map(|field| kept.schema().index_of(field.name()));
    let columns = kept.project(&places.collect::<Result<Vec<_>, _>>()?)?.columns().to_vec();
    Ok(RecordBatch::try_new(Arc::clone(visible), columns)?)
}

/// The ledger up to a batch, as the table `objects` of logs would be: an attempt without records goes once a later
/// batch has a row of the object. An attempt with records stays, since its events stay.
pub(super) fn visible_objects(rows: &[RecordBatch], batch: i64) -> Result<Vec<RecordBatch>, LedgerError> {
    let mut latest: HashMap<u128, i64> = HashMap::new();
    for rows in rows {
        expect_words(rows)?;
        let (uris, batches) = (OBJECT_COLUMNS.uri.of(rows)?, LEDGER_COLUMNS.batch.of(rows)?);
        for row in (0..rows.num_rows()).filter(|row| batches.value(*row) <= batch) {
            let known = latest.entry(hash(uris.value(row))).or_default();
            *known = batches.value(row).max(*known);
        }
    }
    let kept = rows.iter().map(|rows| {
        let (objects, batches) = (ObjectRows::of(rows)?, LEDGER_COLUMNS.batch.of(rows)?);
        let is_last = |row: usize| latest.get(&hash(objects.uri.value(row))) == Some(&batches.value(row));
        let gave_records = |row: usize| objects.counts.value(row).records > 0;
        let keep: BooleanArray = (0..rows.num_rows()).map(|row| Some(gave_records(row) || is_last(row))).collect();
        visible_rows(&filter_record_batch(rows, &keep)?, batch, &OBJECT_COLUMNS.schema())
    });
    kept.collect()
}

/// Fails on a word that this version does not know, so that it cannot pass for a known one.
pub(super) fn expect_words(rows: &RecordBatch) -> Result<(), ColumnError> {
    let objects = ObjectRows::of(rows)?;
    (0..rows.num_rows()).try_for_each(|row| {
        objects.kind.value(row)?;
        objects.outcome(row).map(drop)
    })
}

/// The last entry of an object that was read before.
#[derive(Debug, Clone, Copy)]
struct EnteredObject {
    version: u64,
    batch: u32,
    /// A hash of its failure, if it should be tried again.
    failed: Option<NonZeroU32>,
}

/// The objects of the listed days that were read before, by hashes of their names: 32 bytes an object.
#[derive(Debug, Default)]
pub(super) struct LedgerIndex {
    objects: HashMap<u128, EnteredObject>,
    /// The first of the listed days; earlier objects are not in the listing.
    first_day: Option<i32>,
    /// The newest day that is not in the future. Anybody who may put an object can name a future day.
    newest_day: Option<i32>,
    /// Objects that were no logs by their content.
    no_logs: HashSet<u128>,
    comparison: LedgerComparison,
}

/// The rules of comparing a listing with the ledger.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LedgerComparison {
    /// The last day that is not in the future, tomorrow included for clocks that differ.
    pub last_day: i32,
    /// True if damaged objects are tried again.
    pub retries_damaged: bool,
}

/// The news that a listed object is to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectFreshness {
    New,
    /// This version of it was read.
    Old,
    /// Another version of it was read.
    Changed,
    /// It could not be read the last time.
    Again,
}

impl LedgerIndex {
    /// The columns of the ledger that it needs.
    pub const COLUMNS: [&str; 6] = [
        URI,
        OBJECT_COLUMNS.status.name,
        OBJECT_COLUMNS.error.name,
        LEDGER_COLUMNS.version.name,
        BATCH,
        LEDGER_COLUMNS.object_day.name,
    ];

    /// Knows nothing yet of the objects of a listing.
    pub fn new(listing: &Listing, comparison: LedgerComparison) -> LedgerIndex {
        let first_day = (0..listing.len()).filter_map(|index| listing.place(index).day).min();
        let objects = HashMap::with_capacity(listing.len());
        LedgerIndex { objects, first_day, comparison, ..LedgerIndex::default() }
    }

    /// Takes in rows of the ledger, of any batches in any order.
    pub fn add(&mut self, rows: &RecordBatch) -> Result<(), ColumnError> {
        let (uris, outcomes) = (OBJECT_COLUMNS.uri.of(rows)?, OutcomeColumns::of(rows)?);
        let ledger = LedgerRows::of(rows)?;
        for row in 0..rows.num_rows() {
            let day = ledger.object_day.is_valid(row).then(|| ledger.object_day.value(row));
            self.newest_day = self.newest_day.max(day.filter(|day| *day <= self.comparison.last_day));
            if day.zip(self.first_day).is_some_and(|(day, first)| day < first) {
                continue;
            }
            let outcome = outcomes.value(row)?;
            let failed = is_passing(&outcome) || (self.comparison.retries_damaged && may_be_salvaged(&outcome));
            let entered = EnteredObject {
                version: hash(ledger.version.value(row)) as u64,
                batch: u32::try_from(ledger.batch.value(row)).unwrap_or(u32::MAX),
                failed: failed.then(|| failure(&outcome)),
            };
            let name = hash(uris.value(row));
            let latest = self.objects.entry(name).or_insert(entered);
            if latest.batch <= entered.batch {
                *latest = entered;
                match outcome {
                    ObjectOutcome::Skipped(SkipReason::NotALog) => self.no_logs.insert(name),
                    _ => self.no_logs.remove(&name),
                };
            }
        }
        Ok(())
    }

    pub fn news(&self, uri: &str, version: &str) -> ObjectFreshness {
        match self.objects.get(&hash(uri)) {
            None => ObjectFreshness::New,
            Some(entered) if entered.failed.is_some() => ObjectFreshness::Again,
            Some(entered) if entered.version == hash(version) as u64 => ObjectFreshness::Old,
            Some(_) => ObjectFreshness::Changed,
        }
    }

    /// True if a listed object is a log, by its name or, if it was read before, by its content.
    pub fn is_log(&self, listing: &Listing, index: usize) -> bool {
        match listing.entry(index) {
            ListingEntry::Log => true,
            ListingEntry::ByContent => {
                let name = hash(&listing.uri(index));
                self.objects.contains_key(&name) && !self.no_logs.contains(&name)
            }
            ListingEntry::Skipped(_)
            | ListingEntry::Refused(_)
            | ListingEntry::Quarantined(_)
            | ListingEntry::Missing => false,
        }
    }

    /// True if this very failure is in the ledger already.
    fn failed_so(&self, uri: &str, version: &str, outcome: &ObjectOutcome) -> bool {
        let entered = self.objects.get(&hash(uri)).filter(|entered| entered.version == hash(version) as u64);
        entered.and_then(|entered| entered.failed) == Some(failure(outcome))
    }

    /// True if an object that was read needs no second look, because its folder is more than so many days older than
    /// the newest one seen.
    pub fn is_settled(&self, uri: &str, day: Option<i32>, look_back_days: u32) -> bool {
        let (Some(day), Some(newest)) = (day, self.newest_day) else { return false };
        let is_old = i64::from(day) < i64::from(newest) - i64::from(look_back_days);
        is_old && self.objects.get(&hash(uri)).is_some_and(|entered| entered.failed.is_none())
    }
}

pub(super) fn hash(text: &str) -> u128 {
    xxh3_128(text.as_bytes())
}

fn failure(outcome: &ObjectOutcome) -> NonZeroU32 {
    let text = format!("{} {}", outcome.status().name(), outcome.error().unwrap_or_default());
    NonZeroU32::MIN | hash(&text) as u32
}

/// The last ends of lookups of event histories in the ledger, by the names of the ends.
#[derive(Debug, Default)]
pub(super) struct HistoryEnds(HashMap<String, (i64, String)>);

impl HistoryEnds {
    pub const COLUMNS: [&str; 3] = [URI, LEDGER_COLUMNS.version.name, BATCH];

    pub fn add(&mut self, rows: &RecordBatch) -> Result<(), ColumnError> {
        let (uris, versions) = (OBJECT_COLUMNS.uri.of(rows)?, LEDGER_COLUMNS.version.of(rows)?);
        let batches = LEDGER_COLUMNS.batch.of(rows)?.values();
        for ((uri, version), batch) in uris.iter().flatten().zip(versions.iter().flatten()).zip(batches) {
            if is_history_end(uri) && self.0.get(uri).is_none_or(|(latest, _)| latest <= batch) {
                self.0.insert(uri.to_owned(), (*batch, version.to_owned()));
            }
        }
        Ok(())
    }

    pub fn versions(self) -> HashMap<String, String> {
        self.0.into_iter().map(|(uri, (_, version))| (uri, version)).collect()
    }
}

/// Event histories with an unreadable page. Their covered span must not be stored, or the gap would never be read.
#[derive(Debug, Default)]
pub(super) struct IncompleteHistories(HashSet<String>);

impl IncompleteHistories {
    /// Takes in the next objects of a run, and drops the covered span of any history that has an unreadable page.
    pub fn hold(&mut self, objects: &RecordBatch, versions: &mut [String]) -> Result<(), ColumnError> {
        let objects = ObjectRows::of(objects)?;
        for (row, version) in versions.iter_mut().enumerate() {
            let uri = objects.uri.value(row);
            let is_whole = objects.status.value(row)?.is_read() && objects.counts.value(row).quarantined == 0;
            let folder = uri.rsplit_once('/').map_or(uri, |(folder, _)| folder);
            if is_history_end(uri) {
                let reason = version.split(' ').next().unwrap_or_default().len();
                version.truncate(if self.0.contains(folder) { reason } else { version.len() });
            } else if objects.kind.value(row)? == ObjectKind::EventHistory && !is_whole {
                self.0.insert(folder.to_owned());
            }
        }
        Ok(())
    }
}

/// Faults of the moment, not of the object: nothing of it was read, and the next run may do better.
fn is_passing(outcome: &ObjectOutcome) -> bool {
    match outcome {
        ObjectOutcome::Missing | ObjectOutcome::Refused(_) | ObjectOutcome::Changed(ObjectChange::WhileRead) => true,
        ObjectOutcome::Quarantined(reason) => {
            matches!(reason, FaultReason::PermissionDenied | FaultReason::Unreadable)
        }
        ObjectOutcome::Read
        | ObjectOutcome::Flagged(_)
        | ObjectOutcome::Skipped(_)
        | ObjectOutcome::Salvaged(_)
        | ObjectOutcome::Changed(ObjectChange::SinceRead) => false,
    }
}

/// True for damage whose whole records were not asked for. A document without records is not damaged.
fn may_be_salvaged(outcome: &ObjectOutcome) -> bool {
    matches!(outcome, ObjectOutcome::Quarantined(reason) if *reason != FaultReason::EnvelopeUnknown)
}

/// Rows that the store has already or has with other content, by object.
#[derive(Debug, Default)]
pub(super) struct TallyCorrections(HashMap<String, TallyCorrection>);

#[derive(Debug, Default)]
struct TallyCorrection {
    duplicates: u64,
    conflicts: i64,
    /// The duplicates by their hours.
    hours: HashMap<HourOfPlace, u64>,
}

/// An account, a Region, and the begin of an hour in microseconds, as far as they are told.
pub(super) type HourOfPlace = (Option<String>, Option<String>, Option<i64>);

impl TallyCorrection {
    fn apply(&self, counts: Counts) -> Counts {
        Counts {
            kept: counts.kept - self.duplicates,
            duplicate: counts.duplicate + self.duplicates,
            conflicts: counts.conflicts.saturating_add_signed(self.conflicts),
            ..counts
        }
    }
}

impl TallyCorrections {
    /// Notes a copy, and the hour in which the scan has counted it.
    pub fn duplicate(&mut self, uri: &str, hour: HourOfPlace) {
        let correction = self.of(uri);
        correction.duplicates += 1;
        *correction.hours.entry(hour).or_default() += 1;
    }

    /// The number of copies of an object.
    pub fn copies_of(&self, uri: &str) -> u64 {
        self.0.get(uri).map_or(0, |correction| correction.duplicates)
    }

    /// The number of copies in an hour of an object.
    pub fn copies_of_hour(&self, uri: &str, hour: &HourOfPlace) -> u64 {
        self.0.get(uri).and_then(|correction| correction.hours.get(hour)).copied().unwrap_or(0)
    }

    pub fn conflict(&mut self, uri: &str) {
        self.of(uri).conflicts += 1;
    }

    /// Takes back a conflict that the scan has counted.
    pub fn no_conflict(&mut self, uri: &str) {
        self.of(uri).conflicts -= 1;
    }

    fn of(&mut self, uri: &str) -> &mut TallyCorrection {
        if !self.0.contains_key(uri) {
            self.0.insert(uri.to_owned(), TallyCorrection::default());
        }
        self.0.get_mut(uri).expect("it was just put there")
    }

    pub fn merge(&mut self, other: TallyCorrections) {
        for (uri, more) in other.0 {
            let correction = self.0.entry(uri).or_default();
            correction.duplicates += more.duplicates;
            correction.conflicts += more.conflicts;
            for (hour, copies) in more.hours {
                *correction.hours.entry(hour).or_default() += copies;
            }
        }
    }

    fn apply(&self, uri: &str, counts: Counts) -> Counts {
        self.0.get(uri).map_or(counts, |correction| correction.apply(counts))
    }
}

/// An object to read, by its number in the listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct ObjectToRead {
    pub index: usize,
    pub news: ObjectFreshness,
}

/// A batch on its way into the ledger.
pub(super) struct LedgerBatch<'a> {
    pub due: &'a [ObjectToRead],
    pub versions: &'a [String],
    pub listing: &'a Listing,
    pub corrections: &'a TallyCorrections,
    pub known: &'a LedgerIndex,
    /// Objects of the listing that failed exactly as last time, beside those that the ledger knows to have.
    pub failed_again: &'a HashSet<usize>,
    pub batch: i64,
}

impl LedgerBatch<'_> {
    /// The rows of all objects, and those of them that the ledger gains: an object that failed exactly as last time is
    /// reported, but not entered again.
    pub fn entries(&self, objects: &RecordBatch) -> Result<(RecordBatch, RecordBatch), LedgerError> {
        let scanned = ObjectRows::of(objects)?;
        let (mut rows, mut ledger) = (ObjectBuilder::default(), LedgerBuilder::default());
        let mut is_news = Vec::with_capacity(self.due.len());
        for (row, (due, version)) in self.due.iter().zip(self.versions).enumerate() {
            let uri = scanned.uri.value(row);
            let outcome = self.outcome(due, scanned.outcome(row)?);
            let is_as_before = self.failed_again.contains(&due.index) || self.known.failed_so(uri, version, &outcome);
            is_news.push(!is_as_before);
            rows.append(ObjectRow {
                uri,
                kind: scanned.kind.value(row)?,
                status: outcome.status(),
                counts: self.corrections.apply(uri, scanned.counts.value(row)),
                bytes: scanned.bytes.value(row),
                sha256: value(scanned.sha256, row),
                first_event: scanned.first_event.is_valid(row).then(|| scanned.first_event.value(row)),
                last_event: scanned.last_event.is_valid(row).then(|| scanned.last_event.value(row)),
                error: outcome.error().as_deref(),
            });
            ledger.append(LedgerRow { version, batch: self.batch, object_day: self.listing.place(due.index).day });
        }
        let columns = [rows.finish().columns(), ledger.finish().columns()].concat();
        let all = RecordBatch::try_new(ledger_schema(), columns)?;
        let entered = filter_record_batch(&all, &BooleanArray::from(is_news))?;
        Ok((all, entered))
    }

    /// The outcome for the ledger. If an object took the place of another, the records of both are in the store.
    fn outcome(&self, due: &ObjectToRead, scanned: ObjectOutcome) -> ObjectOutcome {
        // An event history grows, so another version of it is no loss.
        let is_other = due.news == ObjectFreshness::Changed && !self.listing.is_history(due.index);
        match scanned.status().is_read() && is_other {
            true => ObjectOutcome::Changed(ObjectChange::SinceRead),
            false => scanned,
        }
    }
}

fn value(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

/// Rows of `quarantine` with their batch.
pub(super) fn quarantined(rows: &RecordBatch, batch: i64) -> Result<RecordBatch, ArrowError> {
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(Int64Array::from_value(batch, rows.num_rows())));
    RecordBatch::try_new(stored_quarantine_schema(), columns)
}

/// True if an object of a listing is opened to be read.
pub(super) fn is_opened(listing: &Listing, index: usize) -> bool {
    listing.entry(index).is_opened()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_that_may_do_better_are_read_again() {
        for (outcome, is_again, is_again_salvaging) in [
            (ObjectOutcome::Read, false, false),
            (ObjectOutcome::Missing, true, true),
            (ObjectOutcome::Refused(FaultReason::Archived), true, true),
            (ObjectOutcome::Quarantined(FaultReason::PermissionDenied), true, true),
            (ObjectOutcome::Quarantined(FaultReason::Unreadable), true, true),
            (ObjectOutcome::Quarantined(FaultReason::GzipCrc), false, true),
            (ObjectOutcome::Quarantined(FaultReason::EnvelopeUnknown), false, false),
            (ObjectOutcome::Salvaged(FaultReason::GzipCrc), false, false),
            (ObjectOutcome::Salvaged(FaultReason::Unreadable), false, false),
            (ObjectOutcome::Changed(ObjectChange::WhileRead), true, true),
            (ObjectOutcome::Changed(ObjectChange::SinceRead), false, false),
        ] {
            let again = (is_passing(&outcome), is_passing(&outcome) || may_be_salvaged(&outcome));
            assert_eq!(again, (is_again, is_again_salvaging), "{outcome:?}");
        }
    }
}
