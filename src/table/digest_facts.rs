//! The digests among the logs, as rows: what each says of its time, and one row for each log that it names.
//! In: a listing with digests, or digests that were read before. Out: batches of the table of digest facts.
//! Reads a digest only when a question takes rows. A digest that says nothing is a row with its fault, never a missing row.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock, Mutex};

use arrow::array::{RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;

use super::digest::{self, DigestFault, DigestName, DigestStatement};
use super::{FIRST_LOOK, LogTable};
use crate::objects::{Delivery, SkipReason};
use crate::source::{Listing, ListingEntry, ObjectReadError, ReadAhead, Scope};
use crate::time::day_of;

/// Rows of a batch; the logs of one digest may be more.
const BATCH_ROWS: usize = 4096;
/// Bytes of rows that are kept for the next use.
const KEPT_BYTES_MAX: usize = 16 << 20;
/// Batches that wait for the reader.
const BATCHES_WAITING_MAX: usize = 2;

/// The columns of the table of digest facts.
pub fn digest_facts_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let time = |name: &str| Field::new(name, time.clone(), true);
        Arc::new(Schema::new(vec![
            text("digest_uri"),
            text("account_id"),
            text("region"),
            time("started"),
            time("ended"),
            text("fault"),
            text("log"),
            time("first_event"),
            time("last_event"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// The part of the logs that was looked for: a digest may name others.
#[derive(Debug, Clone, Default)]
pub struct LookedFor {
    /// The first day of delivery, since 1970.
    pub first_day: Option<i64>,
    pub accounts: Vec<String>,
    pub regions: Vec<String>,
}

impl LookedFor {
    /// The folders that a scope reads.
    pub fn of(scope: &Scope) -> LookedFor {
        let first_day = scope.since.map(day_of);
        LookedFor { first_day, accounts: scope.accounts.clone(), regions: scope.regions.clone() }
    }

    fn has_place(&self, account: Option<&str>, region: Option<&str>) -> bool {
        let listed = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_none_or(|value| list.iter().any(|item| item == value))
        };
        listed(&self.accounts, account) && listed(&self.regions, region)
    }

    fn has_log(&self, log: &str) -> bool {
        Delivery::of(log).is_none_or(|delivery| {
            self.first_day.is_none_or(|first| day_of(delivery.micros) >= first)
                && self.has_place(Some(delivery.account), Some(delivery.region))
        })
    }
}

/// A digest that was read.
#[derive(Debug)]
pub struct ReadDigest {
    /// Its number in the listing.
    pub index: usize,
    pub uri: String,
    pub statement: Result<DigestStatement, DigestFault>,
    /// Its inflated bytes, where there are any.
    pub body: Vec<u8>,
}

/// True of a digest, unless it lies where a scope looks for state alone.
pub fn is_digest(listing: &Listing, index: usize) -> bool {
    listing.entry(index) == ListingEntry::Skipped(SkipReason::Digest) && !listing.is_for_state(index)
}

/// Reads digests of a listing, by their numbers and in their order, until `take` wants no more.
///
/// # Errors
/// Fails if nothing can be read any more. A digest that alone cannot be read is given with its fault.
pub fn each_digest(
    listing: &Arc<Listing>,
    wanted: Vec<u32>,
    take: &mut dyn FnMut(ReadDigest) -> ControlFlow<()>,
) -> Result<()> {
    let ahead = ReadAhead::start(listing, FIRST_LOOK, || wanted.clone());
    for index in wanted.into_iter().map(|index| index as usize) {
        let uri = listing.uri(index);
        let body = match ahead.open(index) {
            Ok(stored) => digest::inflated(&uri, stored),
            Err(error) => match ObjectReadError::of(&error) {
                Some(fatal @ ObjectReadError::Fatal(_)) => return Err(DataFusionError::External(Box::new(fatal))),
                _ => Err(DigestFault::Unreadable),
            },
        };
        ahead.done(index);
        let statement = body.as_ref().map_err(|fault| *fault).and_then(|body| DigestStatement::parse(body));
        if take(ReadDigest { index, uri, statement, body: body.unwrap_or_default() }).is_break() {
            break;
        }
    }
    Ok(())
}

/// Rows of the table so far.
#[derive(Default)]
pub struct DigestFactRows {
    texts: [StringBuilder; 5],
    times: [Option<TimestampMicrosecondBuilder>; 4],
    rows: usize,
}

/// One row of the table.
#[derive(Default)]
struct DigestFact<'a> {
    uri: &'a str,
    account: Option<&'a str>,
    region: Option<&'a str>,
    span: Option<i64>,
    ended: Option<i64>,
    fault: Option<&'a str>,
    log: Option<&'a str>,
    first_event: Option<i64>,
    last_event: Option<i64>,
}

impl DigestFactRows {
    /// Adds what a digest says of the logs that were looked for.
    pub fn add(&mut self, uri: &str, statement: &Result<DigestStatement, DigestFault>, looked_for: &LookedFor) {
        let digest = match statement {
            Ok(digest) => digest,
            Err(fault) => {
                let DigestName { account, region, ended, .. } = DigestName::of(uri);
                if looked_for.has_place(account, region) {
                    let fault = Some(fault.word());
                    self.push(&DigestFact { uri, account, region, ended, fault, ..DigestFact::default() });
                }
                return;
            }
        };
        let account = Some(digest.account.as_str());
        let region = DigestName::of(&digest.object).region.or(DigestName::of(uri).region);
        if !looked_for.has_place(account, region) {
            return;
        }
        // Logs of earlier days were not looked for, so the digest proves nothing there.
        let first = looked_for.first_day.map(|day| day * crate::time::MICROS_PER_DAY);
        let started = first.map_or(digest.started, |first| first.max(digest.started));
        let of_digest = || DigestFact {
            uri,
            account,
            region,
            span: Some(started),
            ended: Some(digest.ended),
            ..DigestFact::default()
        };
        self.push(&of_digest());
        for log in digest.logs.iter().filter(|log| looked_for.has_log(&log.object)) {
            let (first_event, last_event) = (log.first_event, log.last_event);
            self.push(&DigestFact { log: Some(&log.object), first_event, last_event, ..of_digest() });
        }
    }

    fn push(&mut self, fact: &DigestFact<'_>) {
        let texts = [Some(fact.uri), fact.account, fact.region, fact.fault, fact.log];
        self.texts.iter_mut().zip(texts).for_each(|(cells, text)| cells.append_option(text));
        let times = [fact.span, fact.ended, fact.first_event, fact.last_event];
        for (cells, time) in self.times.iter_mut().zip(times) {
            let new = || TimestampMicrosecondBuilder::new().with_timezone("UTC");
            cells.get_or_insert_with(new).append_option(time);
        }
        self.rows += 1;
    }

    /// True once there are enough rows for a batch.
    pub fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows as a batch, and none are left.
    ///
    /// # Errors
    /// Fails if the columns do not make up a batch.
    pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let [uri, account, region, fault, log] = self.texts.each_mut().map(|cells| Arc::new(cells.finish()));
        let [started, ended, first_event, last_event] = self.times.each_mut().map(|cells| {
            let cells = cells.get_or_insert_with(|| TimestampMicrosecondBuilder::new().with_timezone("UTC"));
            Arc::new(cells.finish().with_timezone("UTC"))
        });
        let columns: Vec<arrow::array::ArrayRef> =
            vec![uri, account, region, started, ended, fault, log, first_event, last_event];
        RecordBatch::try_new(digest_facts_schema(), columns)
    }
}

/// The table over the digests of some logs.
///
/// # Errors
/// Fails if DataFusion refuses the schema.
pub fn digest_facts(logs: &Arc<LogTable>) -> Result<Arc<dyn TableProvider>> {
    let digests = DigestPartition(Arc::new(DigestReading { logs: Arc::clone(logs), kept: Mutex::default() }));
    Ok(Arc::new(StreamingTable::try_new(digest_facts_schema(), vec![Arc::new(digests)])?))
}

/// All digests of some logs.
#[derive(Debug)]
struct DigestPartition(Arc<DigestReading>);

impl PartitionStream for DigestPartition {
    fn schema(&self) -> &SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(digest_facts_schema);
        &SCHEMA
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(digest_facts_schema(), BATCHES_WAITING_MAX);
        let (sender, reading) = (builder.tx(), Arc::clone(&self.0));
        // The reader may leave, and then nobody wants more.
        builder.spawn_blocking(move || reading.give(&|rows| sender.blocking_send(Ok(rows)).is_ok()));
        builder.build()
    }
}

/// The rows of digests that were read before, so that a question with several uses of them reads them once.
#[derive(Debug, Default)]
enum KeptFacts {
    #[default]
    Unread,
    All(Vec<RecordBatch>),
    /// Too many to be kept: they are read each time.
    TooMany,
}

/// Reads the digests of some logs.
#[derive(Debug)]
struct DigestReading {
    logs: Arc<LogTable>,
    kept: Mutex<KeptFacts>,
}

impl DigestReading {
    /// Gives all rows, until `give` wants no more.
    fn give(&self, give: &dyn Fn(RecordBatch) -> bool) -> Result<()> {
        let kept = self.kept.lock().expect("nothing panics while it reads digests");
        if let KeptFacts::All(rows) = &*kept {
            let rows = rows.clone();
            drop(kept);
            rows.into_iter().all(give);
            return Ok(());
        }
        if matches!(*kept, KeptFacts::TooMany) {
            drop(kept);
            return self.read(&mut |rows| Ok(give(rows)));
        }
        // Another use waits for the lock, so nothing is given while it is held.
        let (mut rows, mut bytes, mut held) = (Vec::new(), 0, Some(kept));
        self.read(&mut |batch| {
            bytes += batch.get_array_memory_size();
            rows.push(batch);
            if bytes > KEPT_BYTES_MAX
                && let Some(mut kept) = held.take()
            {
                *kept = KeptFacts::TooMany;
            }
            Ok(held.is_some() || rows.drain(..).all(give))
        })?;
        if let Some(mut kept) = held {
            *kept = KeptFacts::All(rows.clone());
        }
        rows.into_iter().all(give);
        Ok(())
    }

    /// Reads all digests, until `take` wants no more.
    fn read(&self, take: &mut dyn FnMut(RecordBatch) -> Result<bool>) -> Result<()> {
        let (listing, looked_for) = (&self.logs.listing, LookedFor::of(&self.logs.options.scope));
        let digests = (0..listing.len()).filter(|index| is_digest(listing, *index)).map(|index| index as u32);
        let (mut rows, mut failed) = (DigestFactRows::default(), None);
        let mut flush = |rows: &mut DigestFactRows| {
            let given = rows.take().map_err(DataFusionError::from).and_then(&mut *take);
            given.unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
        };
        each_digest(listing, digests.collect(), &mut |read| {
            rows.add(&read.uri, &read.statement, &looked_for);
            if rows.is_full() && !flush(&mut rows) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if !rows.is_empty() {
            flush(&mut rows);
        }
        failed.map_or(Ok(()), Err)
    }
}
