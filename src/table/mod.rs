//! Raw logs as a table: the scan that turns objects into batches of `events`, and the accounting of its input.
//! In: a listing. Out: `events`, `objects` and `quarantine` as DataFusion tables.
//! Objects are decoded in parallel and taken in their lexical order, so rows, duplicates and counts depend on the
//! logs alone, never on threads.

mod accepted;
mod accounting;
mod changes;
mod consumer;
mod dedup;
mod digest;
mod digest_facts;
mod hand_out;
mod hours;
mod kept;
mod lacking;
mod objects_read;
mod part;
mod provider;
mod reach;
mod report;
mod scan;
mod seen;
mod spilled_rows;
mod tallies;

use std::io;
use std::sync::{Arc, OnceLock};

use crate::decode;
use crate::normalize::EventFilter;
use crate::source::{FirstLook, Listing, Scope, SpoolFile};

pub use accepted::AcceptedObjects;
pub use accounting::{Accounting, Completeness, ObjectProblem, WithoutLogs};
pub use changes::GlobalChanges;
pub use dedup::AlreadyHashed;
pub use digest::{DigestFault, DigestName, DigestStatement};
pub use digest_facts::{
    DigestFactRows, LookedFor, ReadDigest, digest_facts, digest_facts_schema, each_digest, is_digest,
};
pub use hand_out::HandOutScans;
pub use hours::counted_hour;
pub use kept::{KeptTable, RowKeeper};
pub use lacking::LackingRows;
pub use part::RowTaker;
pub use provider::{EventsMention, EventsTable, MentionRole, ScanExtent, unqualified};
pub use reach::RowReach;
pub use report::{ScanOutcome, ScanReport};
pub use scan::{RowHashes, ScanOutput, ScanRequest, ScanResult, scan};
pub use seen::{SeenInput, SeenPlace};
pub use tallies::{hours_batch, objects_batch, quarantine_batch};

/// The way to tell if an object whose name promises nothing may be a log.
const FIRST_LOOK: FirstLook = FirstLook { bytes: decode::HEAD_BYTES, may_be_log: decode::may_be_log };

/// The progress of a scan.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScanProgress {
    /// Stored bytes of the objects done.
    pub bytes: u64,
}

/// Seven eighths of a hash table of 2^20 places, the most that 18 MB hold; beyond it the table would grow and copy
/// itself.
pub const IDENTITIES_MAX: usize = 917_504;

/// The choices of a scan.
#[derive(Clone)]
pub struct ScanOptions {
    pub filter: EventFilter,
    pub scope: Scope,
    pub threads: usize,
    pub salvage: bool,
    /// Identities of rows that are held in memory; the rows after these wait on disk until all have been seen.
    pub identities_max: usize,
    /// The objects whose faults do not make a run incomplete.
    pub accepted: Arc<AcceptedObjects>,
    pub progress: Arc<dyn Fn(ScanProgress) + Send + Sync>,
}

/// The logs of one run and the choices of their scans. Any number of questions may scan them at once.
pub struct LogTable {
    pub listing: Arc<Listing>,
    pub options: ScanOptions,
    /// Standard input, which only the first of several scans can read from where it comes.
    stdin: OnceLock<io::Result<SpoolFile>>,
}

impl std::fmt::Debug for LogTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogTable").field("objects", &self.listing.len()).finish_non_exhaustive()
    }
}

impl LogTable {
    /// Reads nothing: each question scans for itself.
    pub fn new(listing: Arc<Listing>, options: ScanOptions) -> LogTable {
        LogTable { listing, options, stdin: OnceLock::new() }
    }
}
