//! Tallies of the objects and records of a scan: the rows of the tables `objects`, `quarantine` and of the hours of
//! objects. In: the findings of decoding and deduplication, in the objects' order. Out: batches of these tables. For
//! each object `records = kept + duplicate + filtered + quarantined`. Never decides whether a run is complete.

use std::collections::BTreeMap;
use std::fmt::Write;

use arrow::array::RecordBatch;

use super::hours::{HourTallies, hours_before};
use super::lacking::LackingRows;
use super::reach::RowReach;
use super::seen::SeenInput;
use crate::decode::EnvelopeFault;
use crate::objects::{
    Counts, Delivery, FaultReason, HourBuilder, HourRow, ObjectBuilder, ObjectFlag, ObjectKind, ObjectOutcome,
    ObjectRow, QuarantineBuilder, QuarantineRow, more_records,
};
use crate::source::{Listing, ObjectPurpose};
use crate::time::MICROS_PER_HOUR;

/// Most quarantined bytes that are kept for `quarantine.raw`, per record.
const RAW_BYTES_MAX: usize = 64 << 10;
/// The same, of all records of a scan; later ones have an empty `raw`.
const RAW_BYTES_TOTAL_MAX: usize = 32 << 20;
/// Bytes of the rows of `quarantine` that are held, raw text among them; beyond it records are counted, not listed.
const QUARANTINE_BYTES_MAX: usize = 64 << 20;
/// Bytes of such a row beside its raw text, most of them the name of its object.
const QUARANTINE_ROW_BYTES: usize = 128;

/// The outcome of one object that was opened.
#[derive(Debug, Clone)]
pub struct ObjectTally {
    pub object: u32,
    pub outcome: ObjectOutcome,
    pub counts: Counts,
    /// Of the inflated bytes, where it was asked for.
    pub sha256: Option<Box<[u8; 32]>>,
    pub first_event: Option<i64>,
    pub last_event: Option<i64>,
}

/// One record that could not be read.
#[derive(Debug, Clone)]
pub struct QuarantinedRecord {
    pub object: u32,
    pub byte_offset: u64,
    pub length: u64,
    pub reason: FaultReason,
    pub raw: Box<str>,
}

impl QuarantinedRecord {
    pub fn new(object: u32, fault: &EnvelopeFault<'_>) -> QuarantinedRecord {
        let raw = String::from_utf8_lossy(&fault.bytes[..fault.bytes.len().min(RAW_BYTES_MAX)]);
        let raw = raw[..raw.floor_char_boundary(RAW_BYTES_MAX)].into();
        QuarantinedRecord { object, byte_offset: fault.offset, length: fault.length, reason: fault.reason, raw }
    }
}

/// Records of an object that `quarantine` does not list.
#[derive(Debug, Clone, Copy)]
struct UnlistedRecords {
    /// The first of them.
    byte_offset: u64,
    count: u64,
}

/// All tallies of one scan, in the order of the objects.
#[derive(Debug, Default)]
pub struct Tallies {
    pub objects: Vec<ObjectTally>,
    pub quarantine: Vec<QuarantinedRecord>,
    /// Objects with more of them than `quarantine` has room for.
    unlisted: BTreeMap<u32, UnlistedRecords>,
    quarantine_raw_bytes: usize,
    /// Records that were parsed. The others were dropped by their outline, or are broken.
    pub parsed: u64,
    /// Rows that a scope cannot judge.
    pub lacking: LackingRows<u64>,
    /// The places and times of the kept and duplicate rows.
    pub seen: SeenInput,
    /// The hours of the same rows.
    pub hours: HourTallies,
    /// Tells if the objects that are there for state are among those of the scan.
    pub reach: RowReach,
}

impl Tallies {
    /// No object yet, of a scan with this reach.
    pub fn of(reach: RowReach) -> Tallies {
        Tallies { reach, ..Tallies::default() }
    }

    pub fn quarantine(&mut self, mut record: QuarantinedRecord) {
        if self.quarantine_raw_bytes + record.raw.len() > RAW_BYTES_TOTAL_MAX {
            record.raw = "".into();
        }
        self.quarantine_raw_bytes += record.raw.len();
        let bytes = self.quarantine_raw_bytes + (self.quarantine.len() + 1) * QUARANTINE_ROW_BYTES;
        // Objects come one after the other, so that of one object the first records are listed.
        if bytes <= QUARANTINE_BYTES_MAX {
            self.quarantine.push(record);
        } else {
            let first = UnlistedRecords { byte_offset: record.byte_offset, count: 0 };
            self.unlisted.entry(record.object).or_insert(first).count += 1;
        }
    }

    /// Walks all objects of a listing with their outcome, and the tally of those that were opened. Leaves out objects
    /// that a stopped scan did not reach, and those that are there for state if the scan was not about it.
    pub fn for_each(&self, listing: &Listing, mut visit: impl FnMut(usize, &ObjectOutcome, Option<&ObjectTally>)) {
        let mut opened = self.objects.iter().peekable();
        let is_there = |index: &usize| self.reach == RowReach::State || !listing.is_for_state(*index);
        for index in (0..listing.len()).filter(is_there) {
            if let Some(outcome) = listing.entry(index).outcome() {
                visit(index, &outcome, None);
            } else if let Some(tally) = opened.next_if(|tally| tally.object as usize == index) {
                visit(index, &tally.outcome, Some(tally));
            }
        }
    }
}

/// The rows of `objects`, one for every object of the listing that is wanted, by index.
pub fn objects_batch(listing: &Listing, tallies: &Tallies, wanted: &dyn Fn(usize) -> bool) -> RecordBatch {
    let mut rows = ObjectBuilder::default();
    tallies.for_each(listing, |index, outcome, tally| {
        if !wanted(index) {
            return;
        }
        rows.append(ObjectRow {
            uri: &listing.uri(index),
            kind: if listing.is_history(index) { ObjectKind::EventHistory } else { outcome.kind() },
            status: outcome.status(),
            counts: tally.map(|tally| tally.counts).unwrap_or_default(),
            bytes: listing.bytes(index),
            sha256: tally.and_then(|tally| tally.sha256.as_deref()).map(|hash| hex(hash)).as_deref(),
            first_event: tally.and_then(|tally| tally.first_event),
            last_event: tally.and_then(|tally| tally.last_event),
            error: outcome.error().as_deref(),
        });
    });
    rows.finish()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// The rows of `quarantine`.
pub fn quarantine_batch(listing: &Listing, tallies: &Tallies) -> RecordBatch {
    let mut rows = QuarantineBuilder::default();
    for record in &tallies.quarantine {
        rows.append(QuarantineRow {
            object_uri: &listing.uri(record.object as usize),
            byte_offset: record.byte_offset,
            length: record.length,
            reason: record.reason,
            raw: &record.raw,
        });
    }
    for (object, more) in &tallies.unlisted {
        rows.append(QuarantineRow {
            object_uri: &listing.uri(*object as usize),
            byte_offset: more.byte_offset,
            length: 0,
            reason: FaultReason::Unlisted,
            raw: &more_records(more.count),
        });
    }
    rows.finish()
}

/// The rows of the table of hours, of the objects of a listing that are wanted, by index.
pub fn hours_batch(listing: &Listing, tallies: &Tallies, wanted: &dyn Fn(usize) -> bool) -> RecordBatch {
    let mut rows = HourBuilder::default();
    let time = |hour: i32| i64::from(hour) * MICROS_PER_HOUR;
    let is_for_answers = |index| listing.purpose(index) == ObjectPurpose::Answer;
    let merged = tallies.hours.merged();
    let mut counted = merged.iter().peekable();
    tallies.for_each(listing, |index, outcome, tally| {
        let uri = if wanted(index) { listing.uri(index) } else { Default::default() };
        // The event history has all calls, whatever the selectors of trails leave out.
        let is_of_history = listing.is_history(index) || outcome.has_flag(ObjectFlag::LookupEvents);
        while let Some(row) = counted.next_if(|row| row.object as usize <= index) {
            if !wanted(index) || row.object as usize != index {
                continue;
            }
            let place = tallies.hours.place_of(row);
            rows.append(HourRow {
                object_uri: &uri,
                account_id: place.account.as_deref(),
                region: place.region.as_deref(),
                hour: row.hour.map(time),
                records: row.records.map(i64::from),
                key_reads: if is_of_history { 0 } else { u64::from(row.key_reads) },
                faults: u64::from(row.faults),
            });
        }
        // An object that nobody opened is told by its name alone.
        if tally.is_none() && outcome.status().is_problem() && wanted(index) && is_for_answers(index) {
            let delivery = Delivery::of(&uri);
            for hour in delivery.map_or(vec![None], |delivery| hours_before(delivery.micros)) {
                rows.append(HourRow {
                    object_uri: &uri,
                    account_id: delivery.map(|delivery| delivery.account),
                    region: delivery.map(|delivery| delivery.region),
                    hour: hour.map(time),
                    records: None,
                    key_reads: 0,
                    faults: 1,
                });
            }
        }
    });
    rows.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every record is listed, or counted as one more of its object.
    #[test]
    fn what_is_not_listed_is_counted() {
        let limit = QUARANTINE_BYTES_MAX / QUARANTINE_ROW_BYTES;
        for (records, raw_bytes, listed) in
            [(1, 10, 1), (limit, 0, limit), (limit + 7, 0, limit), (3000, 64 << 10, 3000)]
        {
            let mut tallies = Tallies::default();
            for number in 0..records {
                let raw = "x".repeat(raw_bytes).into();
                let (object, byte_offset) = ((number * 2 / records) as u32, number as u64);
                let reason = FaultReason::JsonSyntax;
                tallies.quarantine(QuarantinedRecord { object, byte_offset, length: 1, reason, raw });
            }
            let more: u64 = tallies.unlisted.values().map(|more| more.count).sum();
            assert_eq!((tallies.quarantine.len(), more), (listed, (records - listed) as u64), "{records}");
            let raw: usize = tallies.quarantine.iter().map(|record| record.raw.len()).sum();
            assert!(
                raw <= RAW_BYTES_TOTAL_MAX && (raw_bytes < RAW_BYTES_MAX || raw > RAW_BYTES_TOTAL_MAX / 2),
                "{raw}"
            );
        }
    }
}
