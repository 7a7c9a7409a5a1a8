//! The ledger: what became of every object that was ever read, and which records could not be.
//! In: accounts of a batch. Out: rows of the tables `objects` and `quarantine`, and what of a listing is news.
//! Never forgets an object, and never takes a time for an answer: only the ledger says what has been read.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_128;

use super::parquet_writer::FileLayout;
use crate::decode::SALVAGED;
use crate::source::{Entry, Listing, is_history_end};
use crate::table::{objects_schema, quarantine_schema};

/// Which version of the object was read: its ETag, or its size and time.
const VERSION: &str = "version";
/// The batch that read it.
pub(super) const BATCH: &str = "batch";
/// The day of its folder: that of its delivery.
const OBJECT_DAY: &str = "object_day";

pub(super) const OBJECTS_LAYOUT: FileLayout =
    FileLayout { bounds: &["uri", BATCH, OBJECT_DAY], sorted_by: &["uri"], unique: &["uri"], ..FileLayout::PLAIN };
pub(super) const QUARANTINE_LAYOUT: FileLayout =
    FileLayout { bounds: &["object_uri", BATCH], opaque: &["raw"], ..FileLayout::PLAIN };

/// The status of an object that was replaced by another of the same name since it was read.
const CHANGED: &str = "changed";
const REPLACED: &str = "replaced";

/// The columns of the table `objects` in a store.
pub(super) fn ledger_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = objects_schema().fields().to_vec();
        fields.push(Arc::new(Field::new(VERSION, DataType::Utf8, false)));
        fields.push(Arc::new(Field::new(BATCH, DataType::Int64, false)));
        fields.push(Arc::new(Field::new(OBJECT_DAY, DataType::Date32, true)));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// The columns of the table `quarantine` in a store.
pub(super) fn stored_quarantine_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = quarantine_schema().fields().to_vec();
        fields.push(Arc::new(Field::new(BATCH, DataType::Int64, false)));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// Whether each row is of a batch up to this one.
pub(super) fn is_visible(rows: &RecordBatch, batch: i64) -> BooleanArray {
    let batches = rows[BATCH].as_primitive::<Int64Type>();
    batches.iter().map(|n| Some(n.is_some_and(|n| n <= batch))).collect()
}

/// The rows up to a batch, with the columns that `visible` names.
pub(super) fn visible_rows(rows: &RecordBatch, batch: i64, visible: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let kept = filter_record_batch(rows, &is_visible(rows, batch))?;
    let columns = visible.fields().iter().map(|field| Arc::clone(&kept[field.name().as_str()])).collect();
    RecordBatch::try_new(Arc::clone(visible), columns)
}

/// The ledger up to a batch, as the table `objects` of logs would be: an attempt that read nothing goes, once a later
/// batch has more to say of the object. What gave records stays, since its rows do.
pub(super) fn visible_objects(rows: &[RecordBatch], batch: i64) -> Result<Vec<RecordBatch>, ArrowError> {
    let number = |rows: &RecordBatch, name: &str| rows[name].as_primitive::<Int64Type>().clone();
    let mut latest: HashMap<u128, i64> = HashMap::new();
    for rows in rows {
        let (uris, batches) = (rows["uri"].as_string::<i32>(), number(rows, BATCH));
        for row in (0..rows.num_rows()).filter(|row| batches.value(*row) <= batch) {
            let known = latest.entry(hash(uris.value(row))).or_default();
            *known = batches.value(row).max(*known);
        }
    }
    let kept = rows.iter().map(|rows| {
        let (uris, batches, records) = (rows["uri"].as_string::<i32>(), number(rows, BATCH), number(rows, "records"));
        let is_last = |row: usize| latest.get(&hash(uris.value(row))) == Some(&batches.value(row));
        let keep: BooleanArray = (0..rows.num_rows()).map(|row| Some(records.value(row) > 0 || is_last(row))).collect();
        visible_rows(&filter_record_batch(rows, &keep)?, batch, &objects_schema())
    });
    kept.collect()
}

/// What is known of an object that was read before.
#[derive(Debug, Clone, Copy)]
struct Entered {
    version: u64,
    batch: u32,
    /// How it ended, if it should be tried again.
    failed: Option<NonZeroU32>,
}

/// What was read before of the days that are listed, by hashes of the names: 32 bytes an object.
#[derive(Debug, Default)]
pub(super) struct Known {
    objects: HashMap<u128, Entered>,
    /// The first of the listed days: what lies before is not in the listing.
    first_day: Option<i32>,
    /// The newest day but those to come, which anybody who may put an object can name.
    newest_day: Option<i32>,
    comparison: Comparison,
}

/// How a listing is held to the ledger.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Comparison {
    /// The last day that is not to come, tomorrow included for clocks that differ.
    pub last_day: i32,
    /// True where damaged objects are tried again.
    pub retries_damaged: bool,
}

/// What a listed object is to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    New,
    /// It was read as it is.
    Old,
    /// Another version of it was read.
    Changed,
    /// It could not be read the last time.
    Again,
}

impl Known {
    /// What of the ledger it needs.
    pub const COLUMNS: [&str; 6] = ["uri", "status", "error", VERSION, BATCH, OBJECT_DAY];

    /// Knows nothing yet of the objects of a listing.
    pub fn new(listing: &Listing, comparison: Comparison) -> Known {
        let first_day = (0..listing.len()).filter_map(|index| listing.place(index).day).min();
        let objects = HashMap::with_capacity(listing.len());
        Known { objects, first_day, newest_day: None, comparison }
    }

    /// Takes in rows of the ledger, of any batches in any order.
    pub fn add(&mut self, rows: &RecordBatch) {
        let text = |name: &str| rows[name].as_string::<i32>();
        let (uris, versions, statuses, errors) = (text("uri"), text(VERSION), text("status"), text("error"));
        let batches = rows[BATCH].as_primitive::<Int64Type>();
        let days = rows[OBJECT_DAY].as_primitive::<Date32Type>();
        for row in 0..rows.num_rows() {
            let day = days.is_valid(row).then(|| days.value(row));
            self.newest_day = self.newest_day.max(day.filter(|day| *day <= self.comparison.last_day));
            if day.zip(self.first_day).is_some_and(|(day, first)| day < first) {
                continue;
            }
            let error = if errors.is_null(row) { "" } else { errors.value(row) };
            let status = statuses.value(row);
            let failed =
                is_passing(status, error) || (self.comparison.retries_damaged && may_be_salvaged(status, error));
            let entered = Entered {
                version: hash(versions.value(row)) as u64,
                batch: u32::try_from(batches.value(row)).unwrap_or(u32::MAX),
                failed: failed.then(|| outcome(status, error)),
            };
            let latest = self.objects.entry(hash(uris.value(row))).or_insert(entered);
            if latest.batch <= entered.batch {
                *latest = entered;
            }
        }
    }

    pub fn news(&self, uri: &str, version: &str) -> News {
        match self.objects.get(&hash(uri)) {
            None => News::New,
            Some(entered) if entered.failed.is_some() => News::Again,
            Some(entered) if entered.version == hash(version) as u64 => News::Old,
            Some(_) => News::Changed,
        }
    }

    /// Whether this very failure is in the ledger already.
    fn failed_so(&self, uri: &str, version: &str, status: &str, error: &str) -> bool {
        let entered = self.objects.get(&hash(uri)).filter(|entered| entered.version == hash(version) as u64);
        entered.and_then(|entered| entered.failed) == Some(outcome(status, error))
    }

    /// Whether an object that was read needs no second look, because its folder is older than the newest one that was
    /// seen by more than so many days.
    pub fn is_settled(&self, uri: &str, day: Option<i32>, look_back_days: u32) -> bool {
        let (Some(day), Some(newest)) = (day, self.newest_day) else { return false };
        let is_old = i64::from(day) < i64::from(newest) - i64::from(look_back_days);
        is_old && self.objects.get(&hash(uri)).is_some_and(|entered| entered.failed.is_none())
    }
}

pub(super) fn hash(text: &str) -> u128 {
    xxh3_128(text.as_bytes())
}

fn outcome(status: &str, error: &str) -> NonZeroU32 {
    NonZeroU32::MIN | hash(&format!("{status} {error}")) as u32
}

/// What the ledger says of how far lookups of event histories came, by the names under which they end.
#[derive(Debug, Default)]
pub(super) struct Ends(HashMap<String, (i64, String)>);

impl Ends {
    pub const COLUMNS: [&str; 3] = ["uri", VERSION, BATCH];

    pub fn add(&mut self, rows: &RecordBatch) {
        let (uris, versions) = (rows["uri"].as_string::<i32>(), rows[VERSION].as_string::<i32>());
        let batches = rows[BATCH].as_primitive::<Int64Type>().values();
        for ((uri, version), batch) in uris.iter().flatten().zip(versions.iter().flatten()).zip(batches) {
            if is_history_end(uri) && self.0.get(uri).is_none_or(|(latest, _)| latest <= batch) {
                self.0.insert(uri.to_owned(), (*batch, version.to_owned()));
            }
        }
    }

    pub fn versions(self) -> HashMap<String, String> {
        self.0.into_iter().map(|(uri, (_, version))| (uri, version)).collect()
    }
}

/// Lookups of event histories of which something could not be read: what their end says to be covered would never be
/// asked for again.
#[derive(Debug, Default)]
pub(super) struct Unread(HashSet<String>);

impl Unread {
    /// Takes in the next objects of a run, and takes back what the ends among them claim in vain.
    pub fn hold(&mut self, objects: &RecordBatch, versions: &mut [String]) {
        let (uris, statuses) = (objects["uri"].as_string::<i32>(), objects["status"].as_string::<i32>());
        let (kinds, quarantined) =
            (objects["kind"].as_string::<i32>(), objects["quarantined"].as_primitive::<Int64Type>());
        let is_page = |row: usize| kinds.is_valid(row) && kinds.value(row) == "event_history";
        for (row, version) in versions.iter_mut().enumerate() {
            let (uri, is_read) = (uris.value(row), matches!(statuses.value(row), "read" | "flagged"));
            let folder = uri.rsplit_once('/').map_or(uri, |(folder, _)| folder);
            if is_history_end(uri) {
                let reason = version.split(' ').next().unwrap_or_default().len();
                version.truncate(if self.0.contains(folder) { reason } else { version.len() });
            } else if is_page(row) && (!is_read || quarantined.value(row) > 0) {
                self.0.insert(folder.to_owned());
            }
        }
    }
}

/// Faults of the moment, not of the object: nothing of it was read, and the next run may do better.
fn is_passing(status: &str, error: &str) -> bool {
    match status {
        "missing" | "refused" => true,
        CHANGED => error != REPLACED,
        "quarantined" => matches!(error, "permission_denied" | "unreadable"),
        _ => false,
    }
}

/// Damage that was found when nobody asked for what is whole.
fn may_be_salvaged(status: &str, error: &str) -> bool {
    // What holds no record is whole.
    status == "quarantined" && !error.ends_with(SALVAGED) && error != "envelope_unknown"
}

/// Rows that fell to the store's own copies, by object.
#[derive(Debug, Default)]
pub(super) struct Corrections(HashMap<String, Correction>);

#[derive(Debug, Default, Clone, Copy)]
struct Correction {
    duplicates: i64,
    conflicts: i64,
}

impl Corrections {
    pub fn duplicate(&mut self, uri: &str) {
        self.of(uri).duplicates += 1;
    }

    pub fn conflict(&mut self, uri: &str) {
        self.of(uri).conflicts += 1;
    }

    fn of(&mut self, uri: &str) -> &mut Correction {
        if !self.0.contains_key(uri) {
            self.0.insert(uri.to_owned(), Correction::default());
        }
        self.0.get_mut(uri).expect("it was just put there")
    }

    pub fn merge(&mut self, other: Corrections) {
        for (uri, more) in other.0 {
            let correction = self.0.entry(uri).or_default();
            correction.duplicates += more.duplicates;
            correction.conflicts += more.conflicts;
        }
    }

    fn get(&self, uri: &str) -> Correction {
        self.0.get(uri).copied().unwrap_or_default()
    }
}

/// An object to read, by its number in the listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub index: usize,
    pub news: News,
}

/// What the rows of a batch's objects in the ledger are made of.
pub(super) struct NewEntries<'a> {
    /// Rows of `objects`, one for each of `due`, in the same order; so are `versions`.
    pub objects: &'a RecordBatch,
    pub due: &'a [Due],
    pub versions: StringArray,
    pub listing: &'a Listing,
    pub corrections: &'a Corrections,
    pub known: &'a Known,
    /// The number of the batch.
    pub batch: i64,
}

/// The rows that the ledger gains by a batch, and those of them that are worth a place in it: an object that failed
/// again as before is told of, not entered once more.
pub(super) fn entries(of: NewEntries<'_>) -> Result<(RecordBatch, RecordBatch), ArrowError> {
    let NewEntries { objects, due, versions, listing, corrections, known, batch } = of;
    let rows = objects.num_rows();
    let text = |name: &str| objects[name].as_string::<i32>();
    let number = |name: &str| objects[name].as_primitive::<Int64Type>();
    let uris = text("uri");
    let corrected: Vec<Correction> = (0..rows).map(|row| corrections.get(uris.value(row))).collect();
    let plus = |name: &str, delta: fn(&Correction) -> i64| -> ArrayRef {
        let values = number(name).values().iter().zip(&corrected);
        Arc::new(Int64Array::from_iter_values(values.map(|(value, correction)| value + delta(correction))))
    };
    // An event history grows; that it is another one than before is no loss.
    let is_replaced = |row: usize| {
        due[row].news == News::Changed
            && !listing.is_history(due[row].index)
            && matches!(text("status").value(row), "read" | "flagged")
    };
    let status: StringArray =
        (0..rows).map(|row| Some(if is_replaced(row) { CHANGED } else { text("status").value(row) })).collect();
    let errors = text("error");
    let error: StringArray = (0..rows)
        .map(|row| match is_replaced(row) {
            true => Some(REPLACED),
            false => errors.is_valid(row).then(|| errors.value(row)),
        })
        .collect();
    let fails_as_before: BooleanArray = (0..rows)
        .map(|row| {
            let error = if error.is_null(row) { "" } else { error.value(row) };
            Some(!known.failed_so(uris.value(row), versions.value(row), status.value(row), error))
        })
        .collect();
    let mut columns = objects.columns().to_vec();
    for (name, column) in [
        ("status", Arc::new(status) as ArrayRef),
        ("error", Arc::new(error)),
        ("kept", plus("kept", |correction| -correction.duplicates)),
        ("duplicate", plus("duplicate", |correction| correction.duplicates)),
        ("conflicts", plus("conflicts", |correction| correction.conflicts)),
    ] {
        columns[objects.schema().index_of(name)?] = column;
    }
    let days: Date32Array = due.iter().map(|due| listing.place(due.index).day).collect();
    columns.push(Arc::new(versions));
    columns.push(Arc::new(Int64Array::from_value(batch, rows)));
    columns.push(Arc::new(days));
    let all = RecordBatch::try_new(ledger_schema(), columns)?;
    let entered = filter_record_batch(&all, &fails_as_before)?;
    Ok((all, entered))
}

/// Rows of `quarantine` with their batch.
pub(super) fn quarantined(rows: &RecordBatch, batch: i64) -> Result<RecordBatch, ArrowError> {
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(Int64Array::from_value(batch, rows.num_rows())));
    RecordBatch::try_new(stored_quarantine_schema(), columns)
}

/// Whether an object of a listing has something to read.
pub(super) fn is_log(listing: &Listing, index: usize) -> bool {
    matches!(listing.entry(index), Entry::Log)
}
