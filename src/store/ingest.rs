//! A run of `ingest`: the new and changed objects of a listing, read in batches of whole objects, each committed by
//! itself.
//! In: a listing, a store, and the choices of a scan. Out: the accounts of the objects read.
//! Never reads an object whose present version the ledger has, and never holds more than two runs of rows.

use std::collections::{HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use arrow::array::RecordBatch;
use deltalake::kernel::Add;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::append::WrittenBatch;
use super::backoff::Backoff;
use super::beside::{self, KnownDigests};
use super::dedup::MetIdentities;
use super::delta::CommitOutcome;
use super::ledger::{
    self, HistoryEnds, IncompleteHistories, LedgerBatch, LedgerComparison, LedgerError, LedgerIndex, ObjectFreshness,
    ObjectToRead, TallyCorrections,
};
use super::rows::{self, RUN_BYTES_MAX, SortedRun};
use super::snapshot::Snapshot;
use super::table_id::TableId;
use super::{Store, StoreError, dedup, unheeded};
use crate::batch::weight;
use crate::normalize::{ColumnSet, NORMALIZER, TableNeeds};
use crate::objects::ColumnError;
use crate::source::Listing;
use crate::table::{
    Accounting, DigestFault, LackingRows, LogTable, ReadDigest, RowHashes, RowReach, ScanOptions, ScanOutput,
    ScanProgress, ScanRequest, each_digest, hours_batch, is_digest, objects_batch, quarantine_batch, scan,
};
use crate::time::day_of;

/// Objects of a batch, so that its ledger is bounded too.
const BATCH_OBJECTS_MAX: usize = 20_000;

/// Bytes of digests that a batch holds; the digest that reaches it is its last.
const BATCH_DIGEST_BYTES: usize = 64 << 20;

/// What a store knows of the objects of a listing.
#[derive(Default)]
struct KnownObjects {
    ledger: LedgerIndex,
    digests: KnownDigests,
}

/// The objects that a run would read.
#[derive(Debug, Default)]
pub struct IngestPlan {
    due: Vec<ObjectToRead>,
    /// Stored bytes of the logs to read.
    pub bytes: u64,
    /// Logs to read that lie in a bucket.
    pub get_requests: u64,
    /// Objects whose present version the ledger has.
    pub old: u64,
    /// Objects that the ledger does not have.
    pub new: u64,
    /// Objects with another version in the ledger.
    pub changed: u64,
    /// Objects that could not be read the last time.
    pub again: u64,
    /// True if any listed object is known to be a log, to be read or not.
    has_log: bool,
}

impl IngestPlan {
    fn of(listing: &Listing, known: &KnownObjects, is_done: &[bool], pace: IngestOptions) -> IngestPlan {
        let mut plan = IngestPlan::default();
        for index in (0..listing.len()).filter(|index| !is_done[*index]) {
            let uri = listing.uri(index);
            let ledger = &known.ledger;
            plan.has_log |= ledger.is_log(listing, index);
            let is_lacking = is_digest(listing, index) && known.digests.lacks(&uri, pace.first_day);
            if !is_lacking && ledger.is_settled(&uri, listing.place(index).day, pace.look_back_days) {
                plan.old += 1;
                continue;
            }
            let news = match ledger.news(&uri, &version_of(listing, index)) {
                // Earlier formats have the ledger of a digest, and not what it says.
                ObjectFreshness::Old if is_lacking => ObjectFreshness::Again,
                news => news,
            };
            match news {
                ObjectFreshness::Old => plan.old += 1,
                ObjectFreshness::New => plan.new += 1,
                ObjectFreshness::Changed => plan.changed += 1,
                ObjectFreshness::Again => plan.again += 1,
            }
            if news != ObjectFreshness::Old {
                if ledger::is_opened(listing, index) {
                    plan.bytes += listing.bytes(index);
                    plan.get_requests += u64::from(listing.is_in_bucket(index));
                }
                plan.due.push(ObjectToRead { index, news });
            }
        }
        plan
    }

    /// Whole objects, up to a bound of stored bytes.
    fn batches(&self, listing: &Listing, bytes_max: u64) -> Vec<Range<usize>> {
        let mut batches = Vec::new();
        let (mut first, mut bytes) = (0, 0);
        for (at, due) in self.due.iter().enumerate() {
            let more = if ledger::is_opened(listing, due.index) { listing.bytes(due.index) } else { 0 };
            if at > first && (bytes + more > bytes_max || at - first >= BATCH_OBJECTS_MAX) {
                batches.push(first..at);
                (first, bytes) = (at, 0);
            }
            bytes += more;
        }
        if first < self.due.len() {
            batches.push(first..self.due.len());
        }
        batches
    }

    /// Number of batches, each of about so many stored bytes.
    pub fn batch_count(&self, listing: &Listing, bytes_max: u64) -> u64 {
        self.batches(listing, bytes_max).len() as u64
    }

    /// Objects to read.
    pub fn objects(&self) -> u64 {
        self.due.len() as u64
    }
}

/// An object that cannot be looked at has no version; reading it gives the reason.
fn version_of(listing: &Listing, index: usize) -> String {
    listing.object(index).version().unwrap_or_default()
}

/// The accounts of a run.
#[derive(Debug)]
pub struct IngestOutcome {
    /// Of the objects that were read.
    pub accounting: Accounting,
    /// Batches that were committed.
    pub batches: u64,
    /// Objects whose present version the ledger had.
    pub old: u64,
    /// The version of the events that the run ended at.
    pub version: u64,
    /// True if any listed object is known to be a log, read in this run or before.
    pub has_log: bool,
    /// True if the store was of an earlier format before.
    pub upgraded: bool,
}

impl IngestOutcome {
    fn account_for(&mut self, store: &Store, read: &BatchAccounts) -> Result<(), StoreError> {
        self.accounting.lacking += read.lacking;
        self.accounting.add_rows(&read.objects).map_err(|error| store.of_ledger(error.into()))
    }
}

/// The accounts of one batch.
struct BatchAccounts {
    /// Rows of the table `objects`, also of objects that failed exactly as last time.
    objects: RecordBatch,
    /// Of the rows that are new to the store.
    lacking: LackingRows<u64>,
}

/// The choices of a run.
#[derive(Debug, Clone, Copy)]
pub struct IngestOptions {
    /// Stored bytes of a batch.
    pub batch_bytes_max: u64,
    /// Days before the newest folder seen; objects within them are compared with the ledger again.
    pub look_back_days: u32,
    /// True where objects that were damaged are read again, since now they may give something.
    pub retries_damaged: bool,
    /// The first day of delivery that the listing has, since 1970; `None` where it has all. A digest may name logs from
    /// before.
    pub first_day: Option<i32>,
}

/// Compares a listing with the ledger; with no store yet, everything is new.
pub async fn plan(store: Option<&Store>, listing: &Listing, pace: IngestOptions) -> Result<IngestPlan, StoreError> {
    let known = match store {
        Some(store) => known(store, listing, pace).await?,
        None => KnownObjects::default(),
    };
    Ok(IngestPlan::of(listing, &known, &vec![false; listing.len()], pace))
}

/// Reads the new objects, batch by batch. Fails with [`StoreError::Contended`] if other writers are first for minutes;
/// its
/// batches until then stay.
pub async fn ingest(
    store: &mut Store,
    listing: Arc<Listing>,
    options: ScanOptions,
    pace: IngestOptions,
) -> Result<IngestOutcome, StoreError> {
    let mut run = IngestOutcome {
        accounting: Accounting::accepting(&options.accepted).without_organization_of(&listing),
        batches: 0,
        old: 0,
        version: store.tables[TableId::Events].version(),
        has_log: false,
        upgraded: false,
    };
    let mut is_done = vec![false; listing.len()];
    let (mut bytes_done, mut backoff, mut left) = (0, Backoff::new(), usize::MAX);
    let mut incomplete = IncompleteHistories::default();
    'plan: loop {
        store.complete().await?;
        run.upgraded |= store.upgrade().await?;
        let mut known = known(store, &listing, pace).await?;
        let plan = IngestPlan::of(&listing, &known, &is_done, pace);
        if plan.due.len() < left {
            backoff.relieved();
        }
        (run.old, left) = (plan.old, plan.due.len());
        run.has_log |= plan.has_log;
        for range in plan.batches(&listing, pace.batch_bytes_max) {
            let planned = &plan.due[range];
            let digests = read_digests(&listing, planned).await?;
            // What comes after the digests that fit is of a later batch.
            let due = &planned[..digests.due];
            let options = from_here(&options, bytes_done);
            let reading = BatchReader { listing: Arc::clone(&listing), options, first_day: pace.first_day };
            let found = ReadInput { due, digests: &digests.read, known: &known };
            let (batch, all) = reading.read(store, &found, &mut incomplete).await?;
            if batch.is_empty() {
                // Every object failed exactly as last time: report it, commit nothing.
                due.iter().for_each(|due| is_done[due.index] = true);
                run.account_for(store, &all)?;
                if due.len() < planned.len() {
                    continue 'plan;
                }
                continue;
            }
            if store.append(&batch).await? == CommitOutcome::Lost {
                if !backoff.lost().await {
                    return Err(store.contended());
                }
                store.refresh().await?;
                continue 'plan;
            }
            backoff.won();
            known.add(&batch).map_err(|error| store.of_ledger(error.into()))?;
            due.iter().for_each(|due| is_done[due.index] = true);
            bytes_done += due.iter().map(|due| listing.bytes(due.index)).sum::<u64>();
            run.account_for(store, &all)?;
            run.batches += 1;
            // Another batch came after this one, so the objects planned next may have been read.
            if store.batch != batch.number || due.len() < planned.len() {
                continue 'plan;
            }
        }
        run.version = store.tables[TableId::Events].version();
        return Ok(run);
    }
}

/// The ends of the lookups of event histories, for [`crate::source::RemoteAccess`].
pub async fn ends_of_history(store: &Store) -> Result<HashMap<String, String>, StoreError> {
    let mut ends = HistoryEnds::default();
    store.each_of_ledger(&HistoryEnds::COLUMNS, &mut |rows| Ok(ends.add(rows)?)).await?;
    Ok(ends.versions())
}

impl KnownObjects {
    /// Takes in a batch that was committed.
    fn add(&mut self, batch: &WrittenBatch) -> Result<(), ColumnError> {
        self.ledger.add(&batch.objects)?;
        let digests = batch.beside.iter().filter(|(id, _)| *id == TableId::Digests);
        digests.into_iter().try_for_each(|(_, rows)| self.digests.add(rows))
    }
}

/// Digests of a batch, and the number of its objects up to which they go.
struct BatchDigests {
    read: Vec<ReadDigest>,
    due: usize,
}

/// Reads the digests among some objects, as many as a batch may hold.
async fn read_digests(listing: &Arc<Listing>, due: &[ObjectToRead]) -> Result<BatchDigests, StoreError> {
    let wanted = due.iter().map(|due| due.index).filter(|index| is_digest(listing, *index));
    let wanted: Vec<u32> = wanted.map(|index| index as u32).collect();
    if wanted.is_empty() {
        return Ok(BatchDigests { read: Vec::new(), due: due.len() });
    }
    let listing = Arc::clone(listing);
    let all = wanted.len();
    let reading = tokio::task::spawn_blocking(move || {
        let (mut read, mut bytes) = (Vec::new(), 0);
        let ended = each_digest(&listing, wanted, &mut |digest: ReadDigest| {
            bytes += digest.body.len();
            read.push(digest);
            if bytes < BATCH_DIGEST_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        ended.map(|()| read)
    });
    let read = reading.await.map_err(|_| StoreError::Thread)??;
    let last = read.last().map(|digest| digest.index);
    let due = match last.filter(|_| read.len() < all) {
        Some(last) => due.iter().position(|due| due.index == last).map_or(due.len(), |at| at + 1),
        None => due.len(),
    };
    Ok(BatchDigests { read, due })
}

async fn known(store: &Store, listing: &Listing, pace: IngestOptions) -> Result<KnownObjects, StoreError> {
    let last_day = i32::try_from(day_of(store.now_micros)).unwrap_or(i32::MAX - 1) + 1;
    let mut known = LedgerIndex::new(listing, LedgerComparison { last_day, retries_damaged: pace.retries_damaged });
    store.each_of_ledger(&LedgerIndex::COLUMNS, &mut |rows| Ok(known.add(rows)?)).await?;
    let mut digests = KnownDigests::default();
    if (0..listing.len()).any(|index| is_digest(listing, index)) {
        store.each_of(TableId::Digests, &KnownDigests::COLUMNS, &mut |rows| Ok(digests.add(rows)?)).await?;
    }
    Ok(KnownObjects { ledger: known, digests })
}

/// The same choices, with progress that continues from the end of the last batch.
fn from_here(options: &ScanOptions, bytes_done: u64) -> ScanOptions {
    let progress = Arc::clone(&options.progress);
    ScanOptions {
        progress: Arc::new(move |p: ScanProgress| progress(ScanProgress { bytes: bytes_done + p.bytes })),
        ..options.clone()
    }
}

/// Reads one batch.
struct BatchReader {
    listing: Arc<Listing>,
    options: ScanOptions,
    first_day: Option<i32>,
}

/// The objects of a batch, and what is known of them before the scan.
struct ReadInput<'a> {
    due: &'a [ObjectToRead],
    digests: &'a [ReadDigest],
    known: &'a KnownObjects,
}

impl ReadInput<'_> {
    /// The digests that could not be read, as the last time.
    fn failed_again(&self) -> HashSet<usize> {
        let is_as_before = |digest: &&ReadDigest| {
            digest.statement == Err(DigestFault::Unreadable) && self.known.digests.is_unreadable(&digest.uri)
        };
        self.digests.iter().filter(is_as_before).map(|digest| digest.index).collect()
    }
}

/// The results of a batch's scan.
struct ScannedBatch {
    files: Vec<Add>,
    corrections: TallyCorrections,
    lacking: LackingRows<u64>,
    objects: RecordBatch,
    quarantine: RecordBatch,
    hours: RecordBatch,
}

impl BatchReader {
    /// The batch, and the accounts of all its objects, including those that failed exactly as last time.
    async fn read(
        self,
        store: &Store,
        input: &ReadInput<'_>,
        incomplete: &mut IncompleteHistories,
    ) -> Result<(WrittenBatch, BatchAccounts), StoreError> {
        let (snapshot, number, first_day) = (store.as_snapshot()?, store.batch + 1, self.first_day);
        let (due, failed_again) = (input.due, input.failed_again());
        let mut wanted = vec![false; self.listing.len()];
        due.iter().for_each(|due| wanted[due.index] = true);
        let (handle, listing) = (Handle::current(), Arc::clone(&self.listing));
        let work = store.clone();
        let writing = RunWriter { handle, store: work, snapshot, threads: self.options.threads };
        // Versions are taken before anything is read, so that an object written over later counts as another version.
        let mut versions: Vec<String> = due.iter().map(|due| version_of(&listing, due.index)).collect();
        let read = tokio::task::spawn_blocking(move || self.scan(&writing, wanted));
        let read = read.await.map_err(|_| StoreError::Thread)??;
        let entries = incomplete.hold(&read.objects, &mut versions).map_err(LedgerError::from).and_then(|()| {
            let (versions, corrections, known) = (&versions, &read.corrections, &input.known.ledger);
            let (listing, failed_again) = (&listing, &failed_again);
            let entering = LedgerBatch { due, versions, listing, corrections, known, failed_again, batch: number };
            let (all, objects) = entering.entries(&read.objects)?;
            let hours = beside::entered_hours(&read.hours, &objects, corrections, number)?;
            Ok((all, objects, hours))
        });
        let (all, objects, hours) = entries.map_err(|error| store.of_ledger(error))?;
        let digests: Vec<&ReadDigest> =
            input.digests.iter().filter(|digest| !failed_again.contains(&digest.index)).collect();
        let beside = vec![
            (TableId::Quarantine, ledger::quarantined(&read.quarantine, number)?),
            (TableId::Hours, hours),
            (TableId::Digests, beside::entered_digests(&digests, first_day, number)?),
        ];
        let accounts = BatchAccounts { objects: all, lacking: read.lacking };
        Ok((WrittenBatch { number, events: read.files, objects, beside }, accounts))
    }

    fn scan(self, writing: &RunWriter, wanted: Vec<bool>) -> Result<ScannedBatch, StoreError> {
        let logs = LogTable::new(Arc::clone(&self.listing), self.options);
        let columns = rows::scanned_columns();
        let needs = TableNeeds::of_every_row(ColumnSet::of(&columns));
        let places = (0..=columns.len()).collect();
        let output = ScanOutput { predicate: None, needs, places, reach: RowReach::Scope };
        let objects = Some(wanted.clone());
        let request = ScanRequest { columns, outputs: vec![output], objects, hashes: RowHashes::Stable };
        let (send, runs) = sync_channel(0);
        let (scanned, written) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| writing.write_all(runs));
            let (mut run, mut bytes) = (Vec::new(), 0);
            let scanned = scan(&logs, &request, &mut |_: usize, batch: RecordBatch| {
                bytes += weight(&batch);
                run.push(batch);
                if bytes < RUN_BYTES_MAX {
                    return Ok(std::ops::ControlFlow::Continue(()));
                }
                bytes = 0;
                // Sending fails only if the writer has failed, and then its error is reported.
                Ok(match send.send(std::mem::take(&mut run)) {
                    Ok(()) => std::ops::ControlFlow::Continue(()),
                    Err(_) => std::ops::ControlFlow::Break(()),
                })
            });
            if scanned.is_ok() {
                // The writer's error is the one to report.
                unheeded(send.send(run));
            }
            drop(send);
            (scanned, writer.join())
        });
        let WrittenFiles { files, corrections, lacking } = written.map_err(|_| StoreError::Thread)??;
        let scanned = scanned?;
        let objects = objects_batch(&self.listing, &scanned.tallies, &|index| wanted[index]);
        let quarantine = quarantine_batch(&self.listing, &scanned.tallies);
        let hours = hours_batch(&self.listing, &scanned.tallies, &|index| wanted[index]);
        Ok(ScannedBatch { files, corrections, lacking, objects, quarantine, hours })
    }
}

/// Turns runs of rows into files.
struct RunWriter {
    handle: Handle,
    store: Store,
    snapshot: Snapshot,
    threads: usize,
}

/// The new rows of a batch in their files.
#[derive(Default)]
struct WrittenFiles {
    files: Vec<Add>,
    corrections: TallyCorrections,
    lacking: LackingRows<u64>,
}

impl RunWriter {
    fn write_all(&self, runs: Receiver<Vec<RecordBatch>>) -> Result<WrittenFiles, StoreError> {
        let mut written = WrittenFiles::default();
        let mut met = MetIdentities::default();
        // One file waits for the disk while the next is encoded.
        let mut under_way: Option<JoinHandle<Result<Add, StoreError>>> = None;
        let landed = |put: JoinHandle<_>| self.handle.block_on(put).map_err(|_| StoreError::Thread)?;
        for run in runs {
            let (keep, found) = self.handle.block_on(dedup::new_rows(&self.snapshot, &run, &mut met))?;
            written.corrections.merge(found);
            let run = SortedRun::sort(run, &keep, NORMALIZER)?;
            written.lacking += run.lacking();
            for day in run.days() {
                let file = run.encode(day, self.threads)?;
                written.files.extend(under_way.take().map(landed).transpose()?);
                let (location, now_micros) = (self.store.location.clone(), self.store.now_micros);
                let (folder, partition) = (TableId::Events.name(), rows::partition_of(day));
                let put = async move { file.put(&location, folder, partition, now_micros).await };
                under_way = Some(self.handle.spawn(put));
            }
        }
        written.files.extend(under_way.take().map(landed).transpose()?);
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::super::{CheckOptions, StoreLocation, check};
    use super::*;
    use crate::objects::{
        Counts, FaultReason, LedgerBuilder, LedgerRow, ObjectBuilder, ObjectKind, ObjectRow, ObjectStatus,
        QuarantineBuilder, QuarantineRow,
    };
    use crate::source::{Scope, list_local};

    /// A batch of one object that was read.
    fn ledger_of_one() -> RecordBatch {
        let (mut rows, mut ledger) = (ObjectBuilder::default(), LedgerBuilder::default());
        rows.append(ObjectRow {
            uri: "a.json",
            kind: ObjectKind::Log,
            status: ObjectStatus::Read,
            counts: Counts::default(),
            bytes: 1,
            sha256: None,
            first_event: None,
            last_event: None,
            error: None,
        });
        ledger.append(LedgerRow { version: "1-1", batch: 1, object_day: None });
        let columns = [rows.finish().columns(), ledger.finish().columns()].concat();
        RecordBatch::try_new(ledger::ledger_schema(), columns).unwrap()
    }

    fn with_text(rows: &RecordBatch, column: &str, text: &str) -> RecordBatch {
        let mut columns = rows.columns().to_vec();
        columns[rows.schema().index_of(column).unwrap()] = Arc::new(StringArray::from(vec![text]));
        RecordBatch::try_new(rows.schema(), columns).unwrap()
    }

    fn quarantine_of(reasons: &[FaultReason]) -> RecordBatch {
        let mut rows = QuarantineBuilder::default();
        for reason in reasons {
            rows.append(QuarantineRow { object_uri: "a.json", byte_offset: 0, length: 1, reason: *reason, raw: "{" });
        }
        ledger::quarantined(&rows.finish(), 1).unwrap()
    }

    async fn store_with(folder: &std::path::Path, objects: RecordBatch, quarantine: RecordBatch) -> Store {
        let mut store =
            Store::open_or_create(StoreLocation::local(&folder.join("store")).unwrap(), None).await.unwrap();
        let beside = vec![(TableId::Quarantine, quarantine)];
        store.append(&WrittenBatch { number: 1, events: Vec::new(), objects, beside }).await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_word_that_is_not_known_is_damage() {
        let whole = ledger_of_one();
        for (column, said) in [
            ("status", "`odd` is no status of an object that this version knows"),
            ("kind", "`odd` is no kind of an object"),
            ("error", "`odd` is no error of such an object"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut store = store_with(folder.path(), with_text(&whole, column, "odd"), quarantine_of(&[])).await;
            let error = store.snapshot().await.unwrap().objects().await.unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }) && error.to_string().contains(said), "{error}");
            let checked = check(&store, &CheckOptions::default()).await.unwrap();
            assert!(checked.faults.len() == 1 && checked.faults[0].contains(said), "{:?}", checked.faults);
        }
    }

    #[tokio::test]
    async fn a_reason_that_is_not_known_is_damage() {
        let quarantine = quarantine_of(&[FaultReason::JsonSyntax]);
        for (quarantine, fault) in [
            (quarantine.clone(), None),
            (with_text(&quarantine, "reason", "odd"), Some("`odd` is no reason of a fault that this version knows")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut store = store_with(folder.path(), ledger_of_one(), quarantine).await;
            let (read, faults) = (
                store.snapshot().await.unwrap().quarantine().await,
                check(&store, &CheckOptions::default()).await.unwrap().faults,
            );
            assert_eq!((read.is_err(), faults.len()), (fault.is_some(), usize::from(fault.is_some())), "{faults:?}");
            if let (Err(error), Some(said)) = (read, fault) {
                assert!(matches!(error, StoreError::Damaged { .. }) && error.to_string().contains(said), "{error}");
                assert!(faults[0].contains(said), "{faults:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_run_reads_nothing_by_a_ledger_that_it_does_not_understand() {
        let listing = list_local(&[], &Scope::default()).unwrap();
        let pace = IngestOptions { batch_bytes_max: 1, look_back_days: 0, retries_damaged: false, first_day: None };
        for (objects, is_known) in [(ledger_of_one(), true), (with_text(&ledger_of_one(), "status", "odd"), false)] {
            let folder = tempfile::tempdir().unwrap();
            let store = store_with(folder.path(), objects, quarantine_of(&[])).await;
            let planned = plan(Some(&store), &listing, pace).await;
            assert_eq!(planned.is_ok(), is_known);
            assert!(planned.err().is_none_or(|error| matches!(error, StoreError::Damaged { .. })));
        }
    }
}
