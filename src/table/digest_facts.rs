//! The digests among the logs, as rows: what each says of its time, and one row for each log that it names.
//! In: a listing with digests, or digests that were read before. Out: batches of the table of digest facts.
//! Reads a digest only when a question takes rows. A digest that says nothing, or something impossible, is a row with
//! its fault, never a missing row.

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

use super::digest::{self, DigestFault, DigestName, DigestStatement, is_backfill};
use super::hours::counted_hour;
use super::{FIRST_LOOK, LogTable};
use crate::objects::{Delivery, SkipReason, organization_of};
use crate::source::{Listing, ListingEntry, ObjectReadError, ReadAhead, Scope};
use crate::time::{MICROS_PER_DAY, day_of, event_day};

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
            text("trail"),
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
    /// The first and the last day of delivery, since 1970.
    pub first_day: Option<i64>,
    pub last_day: Option<i64>,
    pub accounts: Vec<String>,
    pub regions: Vec<String>,
}

impl LookedFor {
    /// The folders that a scope reads.
    pub fn of(scope: &Scope) -> LookedFor {
        let first_day = scope.since.map(day_of);
        let last_day = scope.until.map(|until| day_of(until.saturating_sub(1)) + i64::from(scope.late_days));
        LookedFor { first_day, last_day, accounts: scope.accounts.clone(), regions: scope.regions.clone() }
    }

    fn has_place(&self, account: Option<&str>, region: Option<&str>) -> bool {
        let listed = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_none_or(|value| list.iter().any(|item| item == value))
        };
        listed(&self.accounts, account) && listed(&self.regions, region)
    }

    /// True of a log of an account and a Region that were looked for; one whose name does not tell them always is.
    fn has_place_of(&self, log: Option<Delivery<'_>>) -> bool {
        log.is_none_or(|log| self.has_place(Some(log.account), Some(log.region)))
    }

    /// True of a log of a day that was looked for; one whose name does not tell its delivery always is.
    fn has_day_of(&self, log: Option<Delivery<'_>>) -> bool {
        log.map(|log| day_of(log.micros)).is_none_or(|day| {
            self.first_day.is_none_or(|first| day >= first) && self.last_day.is_none_or(|last| day <= last)
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

/// True of a time as near to another as the time of a record is to its delivery.
fn is_near(time: i64, delivered: i64) -> bool {
    counted_hour(Some(time), Some(delivered)).is_some()
}

/// The digest, if its account and its time are those of its name.
fn fitting<'d>(digest: &'d DigestStatement, named: &DigestName<'_>) -> Result<&'d DigestStatement, DigestFault> {
    let is_of_account = named.account.is_none_or(|account| account == digest.account);
    let is_of_time = named.ended.is_none_or(|ended| is_near(digest.ended, ended));
    if is_of_account && is_of_time { Ok(digest) } else { Err(DigestFault::Format) }
}

/// The trail of a digest by its name, as `[ORGANIZATION/]HOMEREGION/NAME`: a member's own trail may bear the same name
/// as that of its organization.
fn trail_of(digest: &str) -> Option<String> {
    let DigestName { trail, home, .. } = DigestName::of(digest);
    let (trail, home) = (trail?, home?);
    Some(match organization_of(digest) {
        Some(organization) => format!("{organization}/{home}/{trail}"),
        None => format!("{home}/{trail}"),
    })
}

/// Rows of the table so far.
#[derive(Default)]
pub struct DigestFactRows {
    texts: [StringBuilder; 6],
    times: [Option<TimestampMicrosecondBuilder>; 4],
    rows: usize,
}

/// One row of the table.
#[derive(Default)]
struct DigestFact<'a> {
    uri: &'a str,
    account: Option<&'a str>,
    region: Option<&'a str>,
    trail: Option<&'a str>,
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
        let named = DigestName::of(uri);
        let digest = match statement.as_ref().map_err(|fault| *fault).and_then(|digest| fitting(digest, &named)) {
            Ok(digest) => digest,
            Err(fault) => {
                let DigestName { account, region, ended, .. } = named;
                if looked_for.has_place(account, region) {
                    let (ended, fault) = (ended.filter(|ended| event_day(*ended).is_some()), Some(fault.word()));
                    self.push(&DigestFact { uri, account, region, ended, fault, ..DigestFact::default() });
                }
                return;
            }
        };
        let account = Some(digest.account.as_str());
        let region = DigestName::of(&digest.object).region.or(named.region);
        if !looked_for.has_place(account, region) {
            return;
        }
        // Logs of other days were not looked for, so the digest proves nothing there.
        let first = looked_for.first_day.map(|day| day * MICROS_PER_DAY);
        let started = first.map_or(digest.started, |first| first.max(digest.started));
        let end = looked_for.last_day.map(|day| (day + 1).saturating_mul(MICROS_PER_DAY));
        let ended = end.map_or(digest.ended, |end| end.min(digest.ended));
        let trail = trail_of(&digest.object).or_else(|| trail_of(uri));
        let of_digest = || DigestFact {
            uri,
            account,
            region,
            trail: trail.as_deref(),
            span: Some(started),
            ended: Some(ended),
            ..DigestFact::default()
        };
        if !is_backfill(&digest.object) && !is_backfill(uri) {
            self.push(&of_digest());
        }
        let mut is_impossible = false;
        for log in &digest.logs {
            let delivery = Delivery::of(&log.object);
            if !looked_for.has_place_of(delivery) {
                continue;
            }
            let delivered = delivery.map_or(digest.ended, |delivery| delivery.micros);
            let is_delivered = is_near(delivered, digest.ended);
            let told = [log.first_event, log.last_event];
            let [first_event, last_event] = told.map(|time| time.filter(|time| is_near(*time, delivered)));
            is_impossible |= !is_delivered || [first_event, last_event] != told;
            if is_delivered && looked_for.has_day_of(delivery) {
                self.push(&DigestFact { log: Some(&log.object), first_event, last_event, ..of_digest() });
            }
        }
        if is_impossible {
            self.push(&DigestFact { span: None, fault: Some(DigestFault::Format.word()), ..of_digest() });
        }
    }

    fn push(&mut self, fact: &DigestFact<'_>) {
        let texts = [Some(fact.uri), fact.account, fact.region, fact.trail, fact.fault, fact.log];
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
        let [uri, account, region, trail, fault, log] = self.texts.each_mut().map(|cells| Arc::new(cells.finish()));
        let [started, ended, first_event, last_event] = self.times.each_mut().map(|cells| {
            let cells = cells.get_or_insert_with(|| TimestampMicrosecondBuilder::new().with_timezone("UTC"));
            Arc::new(cells.finish().with_timezone("UTC"))
        });
        let columns: Vec<arrow::array::ArrayRef> =
            vec![uri, account, region, trail, started, ended, fault, log, first_event, last_event];
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

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::TimestampMicrosecondType;

    use super::digest::DigestLog;
    use super::*;
    use crate::time::parse_rfc3339;

    const NAME: &str = "111122223333_CloudTrail-Digest_eu-west-1_t_eu-west-1_20260310T140000Z.json.gz";
    const LOG: &str = "111122223333_CloudTrail_eu-west-1_20260310T1335Z_x.json.gz";

    fn time(text: &str) -> i64 {
        parse_rfc3339(text).unwrap_or_else(|| panic!("{text}"))
    }

    /// A digest of 13 to 14 o'clock that names one log, whose events are of a time.
    fn digest(log: &str, events: Option<&str>) -> DigestStatement {
        let events = events.map(time);
        DigestStatement {
            account: "111122223333".to_owned(),
            started: time("2026-03-10T13:00:00Z"),
            ended: time("2026-03-10T14:00:00Z"),
            bucket: None,
            object: NAME.to_owned(),
            previous_bucket: None,
            previous_object: None,
            previous_hash: None,
            previous_signature: None,
            logs: vec![DigestLog { object: log.to_owned(), first_event: events, last_event: events }],
        }
    }

    /// The rows as `LOG FAULT EVENTS`, each a word or `-`; the first is of the digest itself.
    fn facts(name: &str, digest: DigestStatement, looked_for: &LookedFor) -> Vec<String> {
        let mut rows = DigestFactRows::default();
        rows.add(name, &Ok(digest), looked_for);
        let rows = rows.take().unwrap();
        let events = rows["first_event"].as_primitive::<TimestampMicrosecondType>();
        let row = |row: usize| {
            let text = |column: &str| {
                if rows[column].as_string::<i32>().is_valid(row) { column.to_owned() } else { "-".to_owned() }
            };
            format!("{} {} {}", text("log"), text("fault"), if events.is_valid(row) { "events" } else { "-" })
        };
        (0..rows.num_rows()).map(row).collect()
    }

    #[test]
    fn a_digest_is_believed_within_bounds() {
        let all = LookedFor::default();
        let named = ["- - -", "log - events"];
        let at = "2026-03-10T13:30:00Z";
        assert_eq!(facts(NAME, digest(LOG, Some(at)), &all), named);
        assert_eq!(facts("renamed.json.gz", digest("x.json.gz", Some(at)), &all), named);
        // A log of that delivery has no such events.
        for events in ["0001-01-01T00:00:00Z", "2026-02-07T13:34:59Z", "2026-03-11T13:35:01Z"] {
            assert_eq!(facts(NAME, digest(LOG, Some(events)), &all), ["- - -", "log - -", "- fault -"], "{events}");
        }
        for events in ["2026-02-07T13:35:00Z", "2026-03-11T13:35:00Z"] {
            assert_eq!(facts(NAME, digest(LOG, Some(events)), &all), named, "{events}");
        }
        // A digest names no log of years before.
        let old = LOG.replace("2026", "2020");
        assert_eq!(facts(NAME, digest(&old, Some("2020-03-10T13:30:00Z")), &all), ["- - -", "- fault -"]);
        assert_eq!(facts(NAME, digest("x.json.gz", Some("2020-03-10T13:30:00Z")), &all).len(), 3);
        // Its name tells another account or another time.
        for name in [NAME.replace("111122223333", "444455556666"), NAME.replace("0310T", "0308T")] {
            assert_eq!(facts(&name, digest(LOG, Some(at)), &all), ["- fault -"], "{name}");
        }
        assert_eq!(facts(&NAME.replace("0310T14", "0310T23"), digest(LOG, Some(at)), &all), named);
    }

    #[test]
    fn a_backfill_digest_names_logs_and_tells_nothing_of_its_time() {
        let all = LookedFor::default();
        let backfill = NAME.replace(".json", "_backfill.json");
        assert_eq!(facts(&backfill, digest(LOG, None), &all), ["log - -"]);
        let renamed = DigestStatement { object: backfill, ..digest(LOG, None) };
        assert_eq!(facts("renamed.json.gz", renamed, &all), ["log - -"]);
    }

    #[test]
    fn a_digest_tells_its_trail() {
        let folder = "s3://b/AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/03/10";
        assert_eq!(trail_of(&format!("{folder}/{NAME}")).as_deref(), Some("eu-west-1/t"));
        let organization = folder.replace("AWSLogs/", "AWSLogs/o-exampleorg/");
        assert_eq!(trail_of(&format!("{organization}/{NAME}")).as_deref(), Some("o-exampleorg/eu-west-1/t"));
        assert_eq!(trail_of("renamed.json.gz"), None);
    }

    #[test]
    fn logs_of_days_that_nobody_looked_for_are_not_named() {
        let day = day_of(time("2026-03-10T00:00:00Z"));
        let days = |first_day, last_day| LookedFor { first_day, last_day, ..LookedFor::default() };
        for (looked_for, logs) in [
            (days(None, None), 1),
            (days(Some(day), Some(day)), 1),
            (days(Some(day + 1), None), 0),
            (days(None, Some(day - 1)), 0),
            (LookedFor { regions: vec!["us-east-1".to_owned()], ..LookedFor::default() }, 0),
        ] {
            let facts = facts(NAME, digest(LOG, None), &looked_for);
            assert_eq!(facts.iter().filter(|fact| fact.starts_with("log")).count(), logs, "{looked_for:?}");
        }
        let scope = Scope { until: Some(time("2026-03-10T00:00:00Z")), late_days: 2, ..Scope::default() };
        assert_eq!(LookedFor::of(&scope).last_day, Some(day + 1));
        let [begin, end] = ["2026-03-09T23:30:00Z", "2026-03-11T00:30:00Z"].map(time);
        for (looked_for, expected) in [
            (days(None, None), [begin, end]),
            (days(Some(day), Some(day)), ["2026-03-10T00:00:00Z", "2026-03-11T00:00:00Z"].map(time)),
        ] {
            let mut rows = DigestFactRows::default();
            let digest = DigestStatement { started: begin, ended: end, ..digest(LOG, None) };
            rows.add(NAME, &Ok(digest), &looked_for);
            let rows = rows.take().unwrap();
            let time = |column: &str| rows[column].as_primitive::<TimestampMicrosecondType>().value(0);
            assert_eq!(["started", "ended"].map(time), expected, "{looked_for:?}");
        }
    }
}
