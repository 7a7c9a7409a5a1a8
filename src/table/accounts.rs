//! What became of every object and every record: the tables `objects` and `quarantine`, and the summary of a run.
//! For each object `records = kept + duplicate + filtered + quarantined`.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};

use crate::decode::Status;
use crate::source::{Entry, Listing};

/// Most quarantined bytes that are kept for `quarantine.raw`, per record.
const RAW_BYTES_MAX: usize = 64 << 10;
/// The same, of all records of a scan; later ones have an empty `raw`.
const RAW_BYTES_TOTAL_MAX: usize = 32 << 20;
/// Most rows of `quarantine` that are held; beyond it records are counted, not listed.
const QUARANTINE_ROWS_MAX: usize = 100_000;
/// Most problem objects that a summary names.
const PROBLEMS_MAX: usize = 1000;

/// Counts of one object.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub records: u64,
    pub kept: u64,
    pub duplicate: u64,
    pub filtered: u64,
    pub quarantined: u64,
    pub conflicts: u64,
}

/// What became of one object that was opened.
#[derive(Debug, Clone)]
pub struct ObjectAccount {
    pub object: u32,
    pub status: Status,
    pub error: Option<Box<str>>,
    pub counts: Counts,
    pub bytes: u64,
    /// Of the inflated bytes, where it was asked for.
    pub sha256: Option<Box<[u8; 32]>>,
    pub first_event: Option<i64>,
    pub last_event: Option<i64>,
}

/// One record that could not be read.
#[derive(Debug, Clone)]
pub struct Quarantined {
    pub object: u32,
    pub byte_offset: u64,
    pub length: u64,
    pub reason: &'static str,
    pub raw: Box<str>,
}

impl Quarantined {
    pub fn new(object: u32, byte_offset: u64, length: u64, reason: &'static str, raw: &[u8]) -> Quarantined {
        let raw = String::from_utf8_lossy(&raw[..raw.len().min(RAW_BYTES_MAX)]);
        let raw = raw[..raw.floor_char_boundary(RAW_BYTES_MAX)].into();
        Quarantined { object, byte_offset, length, reason, raw }
    }
}

/// All accounts of one scan, in the order of the objects.
#[derive(Debug, Default)]
pub struct Accounts {
    pub objects: Vec<ObjectAccount>,
    pub quarantine: Vec<Quarantined>,
    pub quarantine_unlisted: u64,
    quarantine_raw_bytes: usize,
    /// Rows without a time, which pass every interval.
    pub untimed: u64,
}

impl Accounts {
    pub fn quarantine(&mut self, mut record: Quarantined) {
        self.quarantine_raw_bytes += record.raw.len();
        if self.quarantine_raw_bytes > RAW_BYTES_TOTAL_MAX {
            record.raw = "".into();
        }
        if self.quarantine.len() < QUARANTINE_ROWS_MAX {
            self.quarantine.push(record);
        } else {
            self.quarantine_unlisted += 1;
        }
    }
}

/// The summary of a run, for people and for the exit code.
#[derive(Debug, Clone, Default)]
pub struct Accounting {
    pub records: u64,
    pub kept: u64,
    pub duplicate: u64,
    pub filtered: u64,
    pub quarantined: u64,
    pub conflicts: u64,
    /// Rows without a time, which pass every interval.
    pub untimed: u64,
    /// Stored bytes of the objects read.
    pub bytes: u64,
    /// Whether the scan read everything in scope; without it the counts claim nothing.
    pub complete: bool,
    /// Whether the counts are those of a store, whose logs were read earlier.
    pub is_stored: bool,
    pub problems: Vec<Problem>,
    pub problem_count: u64,
    /// Objects of the event history: no digest covers what they hold.
    pub history_objects: u64,
    by_status: Vec<(&'static str, u64)>,
}

/// The one decision about a run as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// All input is accounted for.
    Complete,
    /// An object or a record could not be used, or there was no log at all.
    Incomplete,
}

/// The meaning of a run that read no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyInput {
    /// There was none, or none in scope.
    IsIncomplete,
    /// There were logs, and none of them was new.
    IsNothingNew,
}

/// An object that could not be used.
#[derive(Debug, Clone)]
pub struct Problem {
    pub uri: String,
    pub status: &'static str,
    pub reason: String,
}

const STATUSES: [&str; 7] = ["read", "flagged", "skipped", "quarantined", "refused", "missing", "changed"];

impl Accounting {
    pub fn of(listing: &Listing, accounts: &Accounts, complete: bool) -> Accounting {
        let mut all = Accounting { complete, untimed: accounts.untimed, ..Accounting::none() };
        for_each(listing, accounts, |index, status, error, account| {
            all.history_objects += u64::from(listing.is_history(index) && status != "skipped");
            if let Some(account) = account {
                let counts = account.counts;
                all.records += counts.records;
                all.kept += counts.kept;
                all.duplicate += counts.duplicate;
                all.filtered += counts.filtered;
                all.quarantined += counts.quarantined;
                all.conflicts += counts.conflicts;
                all.bytes += listing.bytes(index);
            }
            all.note(status, || (listing.uri(index), error.unwrap_or_default().to_owned()));
        });
        all
    }

    /// The summary of a run that has read nothing yet.
    pub fn none() -> Accounting {
        let by_status = STATUSES.map(|status| (status, 0)).to_vec();
        Accounting { complete: true, by_status, ..Accounting::default() }
    }

    /// Adds rows of the table `objects`.
    pub fn add_rows(&mut self, rows: &RecordBatch) {
        let text = |name: &str| rows[name].as_string::<i32>();
        let sum = |name: &str| rows[name].as_primitive::<Int64Type>().values().iter().sum::<i64>() as u64;
        self.records += sum("records");
        self.kept += sum("kept");
        self.duplicate += sum("duplicate");
        self.filtered += sum("filtered");
        self.quarantined += sum("quarantined");
        self.conflicts += sum("conflicts");
        let kinds = text("kind").iter().zip(text("status"));
        let is_evidence = |(kind, status): &(_, _)| *kind == Some("event_history") && *status != Some("skipped");
        self.history_objects += kinds.filter(is_evidence).count() as u64;
        let (uris, statuses, errors) = (text("uri"), text("status"), text("error"));
        let bytes = rows["bytes"].as_primitive::<Int64Type>();
        for row in 0..rows.num_rows() {
            let status = STATUSES.iter().find(|status| **status == statuses.value(row)).copied().unwrap_or("read");
            if !matches!(status, "skipped" | "refused") {
                self.bytes += bytes.value(row) as u64;
            }
            let reason = if errors.is_null(row) { "" } else { errors.value(row) };
            self.note(status, || (uris.value(row).to_owned(), reason.to_owned()));
        }
    }

    /// Counts an object, and names it where it could not be used.
    fn note(&mut self, status: &'static str, named: impl FnOnce() -> (String, String)) {
        if let Some(slot) = self.by_status.iter_mut().find(|(name, _)| *name == status) {
            slot.1 += 1;
        }
        if matches!(status, "quarantined" | "refused" | "missing" | "changed") {
            self.problem_count += 1;
            if self.problems.len() < PROBLEMS_MAX {
                let (uri, reason) = named();
                self.problems.push(Problem { uri, status, reason });
            }
        }
    }

    /// Incomplete is a run whose input could not be used, or that found no log at all; a query that stopped early is
    /// neither.
    pub fn completeness(&self, empty: EmptyInput) -> Completeness {
        if self.problem_count > 0 || self.quarantined > 0 || self.has_no_log(empty) {
            Completeness::Incomplete
        } else {
            Completeness::Complete
        }
    }

    /// True where everything was looked at, and nothing of it was a log.
    pub fn has_no_log(&self, empty: EmptyInput) -> bool {
        let is_fine = empty == EmptyInput::IsNothingNew;
        !is_fine && self.complete && self.objects_of("read") + self.objects_of("flagged") == 0
    }

    /// How many objects ended in each status, in a fixed order.
    pub fn objects(&self) -> Vec<(&'static str, u64)> {
        self.by_status.clone()
    }

    pub fn objects_of(&self, status: &str) -> u64 {
        self.by_status.iter().find(|(name, _)| *name == status).map_or(0, |(_, count)| *count)
    }
}

fn status_name(account: &ObjectAccount) -> &'static str {
    match account.status {
        Status::Read => "read",
        Status::Flagged => "flagged",
        Status::Skipped => "skipped",
        Status::Quarantined if account.error.as_deref() == Some("changed") => "changed",
        Status::Quarantined => "quarantined",
        Status::Missing => "missing",
        Status::Refused => "refused",
    }
}

/// Walks all objects of a listing with what became of them; those that a stopped scan did not reach are left out.
fn for_each(
    listing: &Listing,
    accounts: &Accounts,
    mut visit: impl FnMut(usize, &'static str, Option<&str>, Option<&ObjectAccount>),
) {
    let mut opened = accounts.objects.iter().peekable();
    for index in 0..listing.len() {
        match listing.entry(index) {
            Entry::Log => {
                if let Some(account) = opened.next_if(|account| account.object as usize == index) {
                    visit(index, status_name(account), account.error.as_deref(), Some(account));
                }
            }
            Entry::Skipped(reason) => visit(index, "skipped", Some(reason), None),
            Entry::Refused("permission_denied") => visit(index, "quarantined", Some("permission_denied"), None),
            Entry::Refused(reason) => visit(index, "refused", Some(reason), None),
            Entry::Missing => visit(index, "missing", Some("missing"), None),
        }
    }
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Columns of the table `objects`.
pub fn objects_schema() -> SchemaRef {
    let mut fields = ["uri", "kind", "status"].map(|name| Field::new(name, DataType::Utf8, false)).to_vec();
    let counts = ["records", "kept", "duplicate", "filtered", "quarantined", "conflicts", "bytes"];
    fields.extend(counts.map(|name| Field::new(name, DataType::Int64, false)));
    fields.push(Field::new("sha256", DataType::Utf8, true));
    fields.extend(["first_event", "last_event"].map(|name| Field::new(name, timestamp(), true)));
    fields.push(Field::new("error", DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

/// Columns of the table `quarantine`.
pub fn quarantine_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("object_uri", DataType::Utf8, false),
        Field::new("byte_offset", DataType::Int64, false),
        Field::new("length", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("raw", DataType::Utf8, false),
    ]))
}

/// The rows of `objects`, one for every object of the listing that is wanted, by index.
pub fn objects_batch(listing: &Listing, accounts: &Accounts, wanted: &dyn Fn(usize) -> bool) -> RecordBatch {
    let mut texts: [StringBuilder; 5] = std::array::from_fn(|_| StringBuilder::new());
    let mut numbers: [Int64Builder; 7] = std::array::from_fn(|_| Int64Builder::new());
    let mut times: [TimestampMicrosecondBuilder; 2] =
        std::array::from_fn(|_| TimestampMicrosecondBuilder::new().with_timezone("UTC"));
    for_each(listing, accounts, |index, status, error, account| {
        if !wanted(index) {
            return;
        }
        let [uri, kind, status_text, sha256, errors] = &mut texts;
        uri.append_value(listing.uri(index));
        let is_history = listing.is_history(index);
        kind.append_value(if is_history { "event_history" } else { kind_of(listing.entry(index), error) });
        status_text.append_value(status);
        sha256.append_option(account.and_then(|account| account.sha256.as_deref()).map(|hash| hex(hash)));
        errors.append_option(error);
        let counts = account.map(|account| account.counts).unwrap_or_default();
        let bytes = listing.bytes(index);
        let all = [
            counts.records,
            counts.kept,
            counts.duplicate,
            counts.filtered,
            counts.quarantined,
            counts.conflicts,
            bytes,
        ];
        for (builder, value) in numbers.iter_mut().zip(all) {
            builder.append_value(value as i64);
        }
        times[0].append_option(account.and_then(|account| account.first_event));
        times[1].append_option(account.and_then(|account| account.last_event));
    });
    let [mut uri, mut kind, mut status, mut sha256, mut error] = texts;
    let mut columns: Vec<ArrayRef> = vec![Arc::new(uri.finish()), Arc::new(kind.finish()), Arc::new(status.finish())];
    columns.extend(numbers.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
    columns.push(Arc::new(sha256.finish()));
    columns.extend(times.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
    columns.push(Arc::new(error.finish()));
    RecordBatch::try_new(objects_schema(), columns).expect("the builders follow the schema")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

fn kind_of(entry: Entry, error: Option<&str>) -> &'static str {
    match (entry, error) {
        (Entry::Skipped("is_digest"), _) | (_, Some("is_digest")) => "digest",
        (Entry::Skipped("is_insight"), _) => "insight",
        (Entry::Skipped("is_aggregated"), _) => "aggregated",
        (Entry::Skipped(_), _) | (_, Some("is_other_log")) => "other",
        _ => "log",
    }
}

/// The rows of `quarantine`.
pub fn quarantine_batch(listing: &Listing, accounts: &Accounts) -> RecordBatch {
    let (mut uri, mut reason, mut raw) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut offset, mut length) = (Int64Builder::new(), Int64Builder::new());
    for record in &accounts.quarantine {
        uri.append_value(listing.uri(record.object as usize));
        offset.append_value(record.byte_offset as i64);
        length.append_value(record.length as i64);
        reason.append_value(record.reason);
        raw.append_value(&record.raw);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(uri.finish()),
        Arc::new(offset.finish()),
        Arc::new(length.finish()),
        Arc::new(reason.finish()),
        Arc::new(raw.finish()),
    ];
    RecordBatch::try_new(quarantine_schema(), columns).expect("the builders follow the schema")
}
