//! The share of a listing that a scan opens, for plans.
//! In: a listing and the objects that are needed of it. Out: two counts and their text. Never chooses an object.

use std::fmt;

use super::scan::ScanRequest;
use crate::source::Listing;

/// The logs that a scan opens, and those that it leaves out by their paths.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ObjectsRead {
    read: usize,
    pruned: usize,
}

impl ObjectsRead {
    /// Of a scan.
    pub fn of(listing: &Listing, request: &ScanRequest) -> ObjectsRead {
        let logs = (0..listing.len()).filter(|&index| request.is_about(listing, index));
        let (total, read) =
            logs.fold((0, 0), |(total, read), index| (total + 1, read + usize::from(request.needs(index))));
        ObjectsRead { read, pruned: total - read }
    }
}

impl fmt::Display for ObjectsRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "objects={}, pruned={}", self.read, self.pruned)
    }
}
