//! The findings of a check.
//! In: faults as sentences. Out: [`StoreCheck`], which counts all and names the first.
//! Never decides what a fault is.

use std::collections::HashMap;

use super::data_file::DataFile;
use super::hash::LogicalHash;

/// Faults that are named; the rest is counted.
const FAULTS_MAX: usize = 100;

/// The findings of a check.
#[derive(Debug, Default)]
pub struct StoreCheck {
    /// Files that were read, of all tables and of the index of event ids.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of `events` that were read.
    pub events: u64,
    /// Faults as sentences; no more than the first hundred.
    pub faults: Vec<String>,
    /// Number of faults; the store is whole where it is 0.
    pub fault_count: u64,
    /// The chain of its commits.
    pub chain: ChainReport,
    /// Of all rows of `events` that were read.
    pub logical_hash: LogicalHash,
    /// Rows whose columns were made again from their records.
    pub rederived: u64,
}

impl StoreCheck {
    pub(super) fn fault(&mut self, file: &DataFile, what: impl AsRef<str>) {
        self.note(format!("`{}` {}", file.path, what.as_ref()));
    }

    pub(super) fn note(&mut self, what: String) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(what);
        }
    }
}

/// The chain of commits, as far as it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// The newest commit of the events.
    pub version: u64,
    /// SHA-256 of that commit, where the log has it.
    pub head: Option<String>,
    /// The first commit of the events that is in the chain; of those before nothing is claimed.
    pub first: Option<u64>,
    /// Commits of the events, by their SHA-256.
    pub(super) commits: HashMap<String, u64>,
}

impl ChainReport {
    /// The number of a commit of the events with this SHA-256.
    pub fn commit(&self, sha256: &str) -> Option<u64> {
        self.commits.get(sha256).copied()
    }
}
