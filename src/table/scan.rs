//! Scans all objects of a listing in parallel and gives their rows in the objects' order.
//! In: a [`ScanRequest`]. Out: batches, as they come, and [`ScanResult`] when done.
//! Workers take runs of objects; the one consumer takes their parts in order. Never decides about a duplicate.
//! Memory is bounded by workers times parts, independent of the size of an object or a listing.

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use arrow::array::{BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::filter_record_batch;
use datafusion::common::DataFusionError;
use datafusion::common::cast::{as_boolean_array, as_uint32_array};
use datafusion::physical_expr::PhysicalExpr;
use rayon::ThreadPoolBuilder;

use super::accounting::Accounting;
use super::changes::GlobalChanges;
use super::consumer::PartConsumer;
use super::dedup::Fingerprint;
use super::hours::{CountedRow, ObjectHours, PartUnderWay};
use super::part::{RowPurpose, RowTaker, ScanPart};
use super::reach::RowReach;
use super::seen::SeenPlace;
use super::tallies::{ObjectTally, QuarantinedRecord, Tallies, objects_batch, quarantine_batch};
use super::{FIRST_LOOK, LogTable, ScanProgress};
use crate::batch::{Provenance, RowBuilder};
use crate::decode::{DamagePolicy, DecodedPiece, Decoder, EnvelopeFault, ObjectDigest, ObjectSource, TakenBy};
use crate::json::{RecordScreen, Value};
use crate::normalize::{self, AccountHints, EventFilter, Record, Row, RowDemand, RowNeeds, TableNeeds};
use crate::objects::{Counts, FaultReason};
use crate::schema::{self, Column};
use crate::source::{Listing, ListingEntry, ObjectPurpose, ObjectReadError, ReadAhead, Scope, SpoolFile};

/// Inflated bytes that all workers together hold at most, as whole documents.
const DOCUMENTS_BYTES_MAX: usize = 128 << 20;
const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// A worker takes objects until their stored bytes reach this, or their number the next.
const RUN_BYTES: u64 = 1 << 20;
const RUN_OBJECTS_MAX: usize = 256;
/// Parts of one run that may wait for the consumer.
const PARTS_WAITING_MAX: usize = 2;
/// Rows that a part accounts for at most, so that a part without columns is bounded too.
const PART_ROWS_MAX: usize = 65_536;
/// Records that a part names as quarantined at most; each has up to 64 KiB of its text.
const PART_QUARANTINED_MAX: usize = 64;

/// The request to a scan.
pub struct ScanRequest {
    /// The columns that any output needs, in the order of the schema.
    pub columns: Vec<Column>,
    pub outputs: Vec<ScanOutput>,
    /// Objects to read, by index; all if `None`.
    pub objects: Option<Vec<bool>>,
    pub hashes: RowHashes,
}

/// The choice of hashes: of each row's content, as one more column after those of the request, and of each object's
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowHashes {
    Absent,
    /// With fixed seeds, so that runs at different times agree.
    Stable,
}

/// One of the tables that a scan gives: some rows, some columns.
pub struct ScanOutput {
    /// Rows must pass this; it reads batches of all the request's columns.
    pub predicate: Option<Arc<dyn PhysicalExpr>>,
    /// The columns that it and its predicate read, and conditions that every row of the predicate meets.
    pub needs: TableNeeds,
    /// Places of its columns in the request, in its own order.
    pub places: Vec<usize>,
    pub reach: RowReach,
}

impl ScanRequest {
    /// The reach of its outputs together.
    pub fn reach(&self) -> RowReach {
        let is_of_state = |output: &ScanOutput| output.reach == RowReach::State;
        if self.outputs.iter().any(is_of_state) { RowReach::State } else { RowReach::Scope }
    }

    /// True of a log that is there for such a request, whether or not a row of it can be needed.
    pub fn is_about(&self, listing: &Listing, index: usize) -> bool {
        let is_there = self.reach() == RowReach::State || !listing.is_for_state(index);
        is_there && listing.entry(index).is_opened()
    }

    /// True of an object that may have rows that are needed.
    pub fn needs(&self, index: usize) -> bool {
        self.objects.as_ref().is_none_or(|objects| objects[index])
    }
}

/// The findings of a scan.
#[derive(Debug)]
pub struct ScanResult {
    pub tallies: Tallies,
    /// True if every object in scope was read to its end.
    pub complete: bool,
}

impl ScanResult {
    /// The rows of `objects` and of `quarantine`.
    pub fn tables(&self, logs: &LogTable) -> (Vec<RecordBatch>, Vec<RecordBatch>) {
        let objects = objects_batch(&logs.listing, &self.tallies, &|_| true);
        (vec![objects], vec![quarantine_batch(&logs.listing, &self.tallies)])
    }

    pub fn accounting(&self, logs: &LogTable) -> Accounting {
        let mut accounts = Accounting::accepting(&logs.options.accepted).with(&logs.listing, &self.tallies);
        accounts.complete = self.complete;
        accounts.changes_not_read =
            GlobalChanges::of_scan(&logs.options.scope, &logs.listing, &self.tallies).are_missing();
        accounts
    }
}

/// Runs a scan on this thread and `options.threads` more. `taker` may stop it.
///
/// # Errors
/// Fails if the logs cannot be read any further, or `taker` fails. A fault of one object is in its tally.
pub fn scan(
    logs: &LogTable,
    request: &ScanRequest,
    taker: &mut dyn RowTaker,
) -> Result<Arc<ScanResult>, DataFusionError> {
    let threads = logs.options.threads.max(1);
    let (order, runs) = sync_channel(threads * 2);
    let shared = SharedScan {
        logs,
        request,
        needs: RowNeeds::new(request.outputs.iter().map(|output| output.needs.clone())),
        queue: Mutex::new(ObjectQueue { next: 0, order: Some(order) }),
        stop: AtomicBool::new(false),
        bytes_done: AtomicU64::new(0),
        ahead: ReadAhead::start(&logs.listing, FIRST_LOOK, || wanted(logs, request)),
        seed: std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0),
        reach: request.reach(),
    };
    let mut consumer = PartConsumer::new(logs.options.identities_max, request.reach());
    // Each scan has its own pool: its workers wait for its consumer, and must not hold up another scan. The threads end
    // with the scan.
    let pool = ThreadPoolBuilder::new().num_threads(threads);
    let outcome = pool.build_scoped(rayon::ThreadBuilder::run, |pool| {
        pool.in_place_scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|_| ScanWorker::new(&shared).work());
            }
            let outcome = consumer.take_all(runs, taker);
            shared.stop.store(true, Ordering::Relaxed);
            shared.ahead.stop();
            outcome
        })
    });
    let outcome = outcome.map_err(|e| DataFusionError::External(e.into()))?;
    let stopped = outcome? == ControlFlow::Break(());
    let complete = !stopped && request.objects.is_none();
    Ok(Arc::new(ScanResult { tallies: consumer.tallies, complete }))
}

struct SharedScan<'a> {
    logs: &'a LogTable,
    request: &'a ScanRequest,
    needs: RowNeeds,
    queue: Mutex<ObjectQueue>,
    stop: AtomicBool,
    bytes_done: AtomicU64,
    ahead: ReadAhead,
    seed: u64,
    reach: RowReach,
}

/// The objects that a request opens, in order.
fn wanted(logs: &LogTable, request: &ScanRequest) -> Vec<u32> {
    (0..logs.listing.len()).filter(|&index| is_wanted(logs, request, index)).map(|index| index as u32).collect()
}

fn is_wanted(logs: &LogTable, request: &ScanRequest, index: usize) -> bool {
    request.needs(index) && request.is_about(&logs.listing, index)
}

/// The objects that come next; `order` tells the consumer which run's parts to take next.
struct ObjectQueue {
    next: usize,
    order: Option<SyncSender<Receiver<ScanPart>>>,
}

impl SharedScan<'_> {
    /// Takes the next run of objects and announces it, in order.
    fn next_run(&self) -> Option<(Vec<u32>, SyncSender<ScanPart>)> {
        let mut queue = self.queue.lock().expect("a worker does not panic while it takes a run");
        let listing = &self.logs.listing;
        let (mut run, mut bytes) = (Vec::new(), 0);
        while queue.next < listing.len() && bytes < RUN_BYTES && run.len() < RUN_OBJECTS_MAX {
            let index = queue.next;
            queue.next += 1;
            if is_wanted(self.logs, self.request, index) {
                run.push(index as u32);
                bytes += listing.bytes(index);
            }
        }
        if run.is_empty() || self.stop.load(Ordering::Relaxed) {
            queue.order = None;
            return None;
        }
        let (parts, receiver) = sync_channel(PARTS_WAITING_MAX);
        // Fails when the consumer has stopped.
        queue.order.as_ref()?.send(receiver).ok()?;
        Some((run, parts))
    }

    fn open(&self, index: usize) -> io::Result<Box<dyn Read>> {
        keytrail_limits::opened();
        if !self.logs.listing.is_stdin(index) {
            return self.ahead.open(index);
        }
        // Stdin is kept on disk while the scan runs, since a large object is read twice.
        let spool = self.logs.stdin.get_or_init(|| {
            let mut spool = SpoolFile::new()?;
            io::copy(&mut ToldReads(io::stdin().lock()), &mut spool)?;
            Ok(spool)
        });
        match spool {
            Ok(spool) => Ok(Box::new(spool.reader())),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
}

/// A reader of which each read counts as an opening: whoever writes to the other end may take as long as it wants.
struct ToldReads<R>(R);

impl<R: Read> Read for ToldReads<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer);
        keytrail_limits::opened();
        read
    }
}

/// Decodes and normalizes runs of objects.
struct ScanWorker<'a> {
    shared: &'a SharedScan<'a>,
    decoder: Decoder,
    rows: PartRows<'a>,
}

/// The rows of the part under way.
struct PartRows<'a> {
    shared: &'a SharedScan<'a>,
    builder: RowBuilder,
    part: ScanPart,
    /// Fingerprint index of each row of the builder.
    row_of: Vec<u32>,
    /// Parts that were handed over.
    sent: u64,
}

impl<'a> ScanWorker<'a> {
    fn new(shared: &'a SharedScan<'a>) -> ScanWorker<'a> {
        let options = &shared.logs.options;
        let document_max = DOCUMENT_BYTES_MAX.min(DOCUMENTS_BYTES_MAX / options.threads.max(1));
        let damaged = if options.salvage { DamagePolicy::Salvage } else { DamagePolicy::GivesNothing };
        let screen: Option<RecordScreen> = match options.filter {
            EventFilter::KeyUse => Some(normalize::screens_out),
            EventFilter::All => None,
        };
        let columns = &shared.request.columns;
        let schema = schema::events_schema_of(columns);
        let builder = match shared.request.hashes {
            RowHashes::Absent => RowBuilder::new(schema, columns),
            RowHashes::Stable => RowBuilder::with_content_hash(&schema, columns),
        };
        let rows = PartRows { shared, builder, part: ScanPart::default(), row_of: Vec::new(), sent: 0 };
        let digest = match shared.request.hashes {
            RowHashes::Absent => ObjectDigest::None,
            RowHashes::Stable => ObjectDigest::Sha256,
        };
        ScanWorker { shared, decoder: Decoder::new(document_max, damaged, screen).with_digest(digest), rows }
    }

    fn work(mut self) {
        while let Some((run, parts)) = self.shared.next_run() {
            for object in run {
                if self.shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                self.object(object, &parts);
            }
            self.rows.send(&parts);
        }
    }

    fn object(&mut self, object: u32, parts: &SyncSender<ScanPart>) {
        let (shared, index) = (self.shared, object as usize);
        let listing = &shared.logs.listing;
        let (uri, account) = (listing.uri(index), listing.account(index));
        let unread = Rc::new(Cell::new(None));
        let note = |error: &io::Error| unread.set(ObjectReadError::of(error));
        let open = || -> io::Result<Box<dyn Read>> {
            let reader = shared.open(index).inspect_err(note)?;
            Ok(Box::new(NotingReader { reader, unread: Rc::clone(&unread) }))
        };
        let rows = &mut self.rows;
        let mut seen = ObjectSoFar {
            object,
            uri: &uri,
            account: account.as_deref(),
            purpose: listing.purpose(index),
            counts: Counts::default(),
            span: None,
            place: None,
            hours: ObjectHours::of(object, &uri),
        };
        let taken_by = match listing.entry(index) {
            ListingEntry::ByContent => TakenBy::Content,
            _ => TakenBy::Name,
        };
        let object_at_hand = ObjectSource { name: &uri, bytes: listing.bytes(index), taken_by, open: &open };
        let summary = self.decoder.decode(&object_at_hand, &mut |decoded| {
            rows.take(decoded, &mut seen);
            if rows.is_full() {
                rows.send(parts);
            }
        });
        rows.leave(&mut seen);
        let (counts, span) = (seen.counts, seen.span);
        shared.ahead.done(index);
        let outcome = match unread.take() {
            None => summary.outcome,
            // The consumer has all it wants.
            Some(ObjectReadError::Stopped) => return,
            Some(unread) => match unread.outcome() {
                Some(outcome) => outcome,
                None => {
                    rows.part.error = Some(DataFusionError::External(Box::new(unread)));
                    return;
                }
            },
        };
        if seen.purpose == ObjectPurpose::Answer {
            seen.hours.end(&mut rows.part_hours(), &outcome, &counts);
        }
        let tally = ObjectTally {
            object,
            outcome,
            counts,
            sha256: summary.sha256,
            first_event: span.map(|(first, _)| first),
            last_event: span.map(|(_, last)| last),
        };
        rows.part.ends.push((rows.part.fingerprints.len(), tally));
        let bytes = listing.bytes(index) + shared.bytes_done.fetch_add(listing.bytes(index), Ordering::Relaxed);
        (shared.logs.options.progress)(ScanProgress { bytes });
    }
}

/// A reader that notes the reason why it cannot go on, which decoders do not know.
struct NotingReader {
    reader: Box<dyn Read>,
    unread: Rc<Cell<Option<ObjectReadError>>>,
}

impl Read for NotingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).inspect_err(|error| {
            if let Some(reason) = ObjectReadError::of(error) {
                self.unread.set(Some(reason));
            }
        })
    }
}

/// A record, and its place in its object.
struct FoundRecord<'v> {
    value: Value<'v>,
    index: u64,
    /// True of a record of KMS that only reads.
    is_key_read: bool,
}

/// The facts about the object under way.
struct ObjectSoFar<'a> {
    object: u32,
    uri: &'a str,
    account: Option<&'a str>,
    purpose: ObjectPurpose,
    counts: Counts,
    span: Option<(i64, i64)>,
    /// The place of the rows since it last changed, with the first and the last of their times.
    place: Option<(SeenPlace, Option<(i64, i64)>)>,
    hours: ObjectHours<'a>,
}

impl PartRows<'_> {
    fn is_full(&self) -> bool {
        self.builder.is_full()
            || self.part.fingerprints.len() >= PART_ROWS_MAX
            || self.part.quarantined.len() >= PART_QUARANTINED_MAX
    }

    fn take(&mut self, decoded: DecodedPiece<'_>, seen: &mut ObjectSoFar) {
        let index = seen.counts.records;
        seen.counts.records += 1;
        match decoded {
            DecodedPiece::Irrelevant => {
                seen.counts.filtered += 1;
                seen.hours.is_screened = true;
            }
            DecodedPiece::Fault(fault) => {
                self.quarantine(&fault, seen);
            }
            DecodedPiece::Record { value, offset, account } => {
                self.part.parsed += 1;
                let record = Record::of(value);
                if normalize::is_cloudtrail(&record) {
                    return self.record(&record, account, index, seen);
                }
                let (bytes, reason) = (value.raw(), FaultReason::RecordNotCloudtrail);
                self.quarantine(&EnvelopeFault { reason, offset, length: bytes.len() as u64, bytes }, seen);
            }
        }
    }

    fn quarantine(&mut self, fault: &EnvelopeFault<'_>, seen: &mut ObjectSoFar) {
        seen.counts.quarantined += 1;
        self.part.quarantined.push(QuarantinedRecord::new(seen.object, fault));
    }

    fn record(&mut self, record: &Record<'_>, envelope_account: Option<&str>, index: u64, seen: &mut ObjectSoFar) {
        let options = &self.shared.logs.options;
        if normalize::is_aggregated(record) || !normalize::passes(options.filter, record) {
            seen.counts.filtered += 1;
            seen.hours.is_screened = true;
            return;
        }
        let origin = AccountHints { account: seen.account, envelope_account };
        let (shared, is_key_read) = (self.shared, record.is_key_read());
        let found = FoundRecord { value: record.value(), index, is_key_read };
        normalize::normalize_needed(record, &origin, &shared.needs, &mut |row, demand| {
            self.row(row, demand, &found, seen);
        });
    }

    fn row(&mut self, row: &Row<'_>, demand: RowDemand, found: &FoundRecord<'_>, seen: &mut ObjectSoFar) {
        let purpose = match purpose(&self.shared.logs.options.scope, row, seen.purpose) {
            Some(RowPurpose::Answer) => {
                seen.counts.kept += 1;
                self.see(row, seen);
                RowPurpose::Answer
            }
            other => {
                // State is no part of an answer, so its rows count as those that nobody wants.
                seen.counts.filtered += 1;
                if seen.purpose == ObjectPurpose::Answer && is_listed(&self.shared.logs.options.scope, row) {
                    seen.hours.note(&mut self.part_hours(), &counted_row(row, found));
                }
                match other.filter(|_| demand == RowDemand::Wanted && self.shared.reach == RowReach::State) {
                    Some(purpose) => purpose,
                    None => return,
                }
            }
        };
        let (value, seed) = (found.value, self.shared.seed);
        let (content, content_hash) = match self.shared.request.hashes {
            RowHashes::Absent => (value.canonical_hash(seed), None),
            RowHashes::Stable => {
                let [content, stable @ ..] = value.canonical_hashes([seed, 0, 1]);
                (content, Some(stable))
            }
        };
        let recipient = row.recipient_account_id.as_deref();
        let fingerprint = self.part.fingerprints.len() as u32;
        let print = Fingerprint::new(&row.event_id, recipient, content, seed);
        match purpose {
            RowPurpose::Answer => {
                self.part.fingerprints.push(print);
                let counted = counted_row(row, found);
                seen.hours.count(&mut self.part_hours(), &counted);
                if row.event_time.is_none() {
                    self.part.lacking.time.push(fingerprint);
                }
                if counted.account.is_none() || counted.region.is_none() {
                    self.part.lacking.place.push(fingerprint);
                }
            }
            RowPurpose::State => {
                self.part.fingerprints.push(print.for_state());
                self.part.for_state.push(fingerprint);
            }
        }
        if demand == RowDemand::Unwanted {
            return;
        }
        self.row_of.push(fingerprint);
        let from = Provenance { object_uri: seen.uri, record_index: found.index as i64, content_hash };
        self.builder.append(row, &from);
    }

    /// Notes the place and the time of a row. An object has rows of one place, as a rule.
    fn see(&mut self, row: &Row<'_>, seen: &mut ObjectSoFar) {
        let (account, region) = (normalize::account_of(row), normalize::region_of(row));
        if !seen.place.as_ref().is_some_and(|(place, _)| place.is(account, region)) {
            self.leave(seen);
        }
        let (_, span) = seen.place.get_or_insert_with(|| (SeenPlace::new(account, region), None));
        if let Some(time) = row.event_time {
            for span in [span, &mut seen.span] {
                let (first, last) = span.unwrap_or((time, time));
                *span = Some((first.min(time), last.max(time)));
            }
        }
    }

    /// Gives the place of the rows so far to the part.
    fn leave(&mut self, seen: &mut ObjectSoFar) {
        if let Some((place, span)) = seen.place.take() {
            self.part.seen.see_rows(place, span);
        }
    }

    fn part_hours(&mut self) -> PartUnderWay<'_> {
        PartUnderWay { number: self.sent, hours: &mut self.part.hours }
    }

    /// Hands the part over. This fails only if the consumer has stopped, and then nobody wants the part.
    fn send(&mut self, parts: &SyncSender<ScanPart>) {
        self.sent += 1;
        let mut part = std::mem::take(&mut self.part);
        let row_of = UInt32Array::from(std::mem::take(&mut self.row_of));
        if !self.builder.is_empty() {
            let batch = self.builder.finish();
            match self.select(&batch, &row_of, &part.for_state) {
                Ok(batches) => part.batches = batches,
                Err(error) => part.error = Some(error),
            }
        }
        if parts.send(part).is_err() {
            self.shared.stop.store(true, Ordering::Relaxed);
        }
    }

    /// The rows and columns of each output.
    fn select(
        &self,
        batch: &RecordBatch,
        row_of: &UInt32Array,
        for_state: &[u32],
    ) -> Result<Vec<(RecordBatch, UInt32Array)>, DataFusionError> {
        let answers = if for_state.is_empty() { None } else { Some(without_state(batch, row_of, for_state)?) };
        let select = |output: &ScanOutput| {
            let (batch, row_of) = match (&answers, output.reach) {
                (Some((batch, row_of)), RowReach::Scope) => (batch, row_of),
                _ => (batch, row_of),
            };
            let projected = batch.project(&output.places)?;
            let Some(predicate) = &output.predicate else { return Ok((projected, row_of.clone())) };
            let wanted = predicate.evaluate(batch)?.into_array(batch.num_rows())?;
            let wanted = as_boolean_array(&wanted)?;
            let row_of = arrow::compute::filter(row_of, wanted)?;
            let row_of = as_uint32_array(&row_of)?.clone();
            Ok((filter_record_batch(&projected, wanted)?, row_of))
        };
        self.shared.request.outputs.iter().map(select).collect()
    }
}

/// The rows of a batch that are part of answers.
fn without_state(
    batch: &RecordBatch,
    row_of: &UInt32Array,
    for_state: &[u32],
) -> Result<(RecordBatch, UInt32Array), DataFusionError> {
    let is_of_answer = |row: &u32| Some(for_state.binary_search(row).is_err());
    let kept: BooleanArray = row_of.values().iter().map(is_of_answer).collect();
    let row_of = arrow::compute::filter(row_of, &kept)?;
    Ok((filter_record_batch(batch, &kept)?, as_uint32_array(&row_of)?.clone()))
}

/// The purpose of a row; none if nobody wants it. Rows without a time pass every interval, rows that nothing places in
/// an account or Region every list of these. An object that is opened for state has no part in answers.
fn purpose(scope: &Scope, row: &Row<'_>, object: ObjectPurpose) -> Option<RowPurpose> {
    let is_after = |bound: Option<i64>| row.event_time.zip(bound).is_none_or(|(time, bound)| time >= bound);
    let is_before_end = row.event_time.zip(scope.until).is_none_or(|(time, until)| time < until);
    let is_listed = is_listed(scope, row);
    match (is_before_end && is_listed && is_after(scope.since), object) {
        (true, ObjectPurpose::Answer) => Some(RowPurpose::Answer),
        (true, ObjectPurpose::State) => None,
        (false, _) => (is_before_end && (is_listed || normalize::is_global(row))).then_some(RowPurpose::State),
    }
}

/// True of a row that is of the accounts and Regions of a scope, as far as it tells them.
fn is_listed(scope: &Scope, row: &Row<'_>) -> bool {
    let listed = |list: &[String], value: Option<&str>| {
        list.is_empty() || value.is_none_or(|value| list.iter().any(|item| item == value))
    };
    listed(&scope.accounts, normalize::account_of(row)) && listed(&scope.regions, normalize::region_of(row))
}

/// The row as its hour counts it.
fn counted_row<'r>(row: &'r Row<'_>, found: &FoundRecord<'_>) -> CountedRow<'r> {
    let (account, region) = (normalize::account_of(row), normalize::region_of(row));
    CountedRow { time: row.event_time, account, region, is_key_read: found.is_key_read }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::normalize::ColumnSet;
    use crate::source::{self, Location, StateReach};
    use crate::table::ScanOptions;
    use crate::time::parse_rfc3339;

    /// One record of each line, `ID TIME REGION SOURCE CONTENT`, below the folder of a Region and a day.
    const OBJECTS: [(&str, &[&str]); 7] = [
        (
            "eu-west-1/2026/03/05/a.json",
            &["old 2026-03-05T10:00:00Z eu-west-1 kms 1", "stray 2026-03-10T10:30:00Z eu-west-1 kms 1"],
        ),
        (
            "eu-west-1/2026/03/05/b.json",
            &[
                "old 2026-03-05T10:00:00Z eu-west-1 kms 1",
                "old 2026-03-05T10:00:00Z eu-west-1 kms 2",
                "early 2026-03-10T05:00:00Z eu-west-1 kms 1",
            ],
        ),
        (
            "eu-west-1/2026/03/10/c.json",
            &[
                "early 2026-03-10T05:00:00Z eu-west-1 kms 1",
                "in 2026-03-10T10:00:00Z eu-west-1 kms 1",
                "in 2026-03-10T10:00:00Z eu-west-1 kms 1",
                "far 2026-03-10T10:00:00Z us-east-1 kms 1",
                "after 2026-03-11T00:00:00Z eu-west-1 kms 1",
            ],
        ),
        // The identity of a row of the answer, which conflicts with nothing there.
        ("eu-west-1/2026/03/09/d.json", &["in 2026-03-09T10:00:00Z eu-west-1 kms 2"]),
        ("us-east-1/2026/03/05/e.json", &["iam-old 2026-03-05T10:00:00Z us-east-1 iam 1"]),
        (
            "us-east-1/2026/03/10/f.json",
            &["iam 2026-03-10T10:00:00Z us-east-1 iam 1", "other 2026-03-10T10:00:00Z us-east-1 kms 1"],
        ),
        ("us-east-2/2026/03/10/g.json", &["unread 2026-03-10T10:00:00Z us-east-2 sts 1"]),
    ];

    fn write_objects(folder: &Path) {
        for (name, lines) in OBJECTS {
            let records = lines.iter().map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                format!(
                    r#"{{"eventID":"{}","eventTime":"{}","awsRegion":"{}","eventSource":"{}.amazonaws.com","recipientAccountId":"111122223333","n":{}}}"#,
                    words[0], words[1], words[2], words[3], words[4]
                )
            });
            let path = folder.join("AWSLogs/111122223333/CloudTrail").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{{\"Records\":[{}]}}", records.collect::<Vec<_>>().join(","))).unwrap();
        }
    }

    /// The ids of each output, sorted, and the counts and the number of the objects.
    fn scanned(folder: &Path, identities_max: usize, reaches: &[RowReach]) -> (Vec<Vec<String>>, Counts, usize) {
        let scope = Scope {
            since: parse_rfc3339("2026-03-10T09:00:00Z"),
            until: parse_rfc3339("2026-03-11T00:00:00Z"),
            regions: vec!["eu-west-1".to_owned()],
            state: Some(StateReach { baseline_days: 10 }),
            ..Scope::default()
        };
        let listing = source::list_local(&[Location::Path(folder.to_owned())], &scope).unwrap();
        let options = ScanOptions {
            filter: EventFilter::All,
            scope,
            threads: 2,
            salvage: false,
            identities_max,
            accepted: Arc::default(),
            progress: Arc::new(|_| {}),
        };
        let logs = LogTable::new(Arc::new(listing), options);
        let columns = vec![Column::EventId];
        let needs = TableNeeds::of_every_row(ColumnSet::of(&columns));
        let output = |&reach| ScanOutput { predicate: None, needs: needs.clone(), places: vec![0], reach };
        let outputs = reaches.iter().map(output).collect();
        let request = ScanRequest { columns, outputs, objects: None, hashes: RowHashes::Absent };
        let mut ids = vec![Vec::new(); reaches.len()];
        let found = scan(&logs, &request, &mut |output: usize, batch: RecordBatch| {
            let column = datafusion::common::cast::as_string_array(batch.column(0))?;
            ids[output].extend(column.iter().map(|id| id.unwrap().to_owned()));
            Ok(ControlFlow::Continue(()))
        });
        let accounting = found.unwrap().accounting(&logs);
        assert!(accounting.complete && accounting.counts.adds_up());
        ids.iter_mut().for_each(|ids| ids.sort());
        (ids, accounting.counts, accounting.by_status.read() as usize)
    }

    #[test]
    fn rows_for_state_change_no_answer_and_no_count_of_it() {
        use RowReach::{Scope as Answer, State};
        let folder = tempfile::tempdir().unwrap();
        write_objects(folder.path());
        let answer = vec!["in"];
        let state = vec!["early", "iam", "iam-old", "in", "in", "old", "old"];
        for identities_max in [0, 1, 1000] {
            for (reaches, expected, filtered, objects) in [
                (&[Answer][..], vec![&answer], 3, 1),
                (&[State], vec![&state], 12, 6),
                (&[Answer, State], vec![&answer, &state], 12, 6),
            ] {
                let (ids, counts, read) = scanned(folder.path(), identities_max, reaches);
                assert_eq!(ids, expected.into_iter().cloned().collect::<Vec<_>>(), "{reaches:?} {identities_max}");
                let kept = (counts.kept, counts.duplicate, counts.conflicts, counts.filtered, read);
                assert_eq!(kept, (1, 1, 0, filtered, objects), "{reaches:?} {identities_max}");
            }
        }
    }
}
