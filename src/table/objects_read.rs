//! The share of a listing that a scan opens, for plans.
//! In: a listing and the objects that are needed of it. Out: two counts and their text. Never chooses an object.

use std::fmt;

use crate::source::Listing;

/// The logs that a scan opens, and those that it leaves out by their paths.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ObjectsRead {
    read: usize,
    pruned: usize,
}

impl ObjectsRead {
    /// Of a scan of these objects, by index; of all without them.
    pub fn of(listing: &Listing, objects: Option<&[bool]>) -> ObjectsRead {
        let logs = |index: &usize| listing.entry(*index).is_opened();
        let total = (0..listing.len()).filter(logs).count();
        let read = match objects {
            None => total,
            Some(objects) => (0..listing.len()).filter(|&index| objects[index]).filter(logs).count(),
        };
        ObjectsRead { read, pruned: total - read }
    }
}

impl fmt::Display for ObjectsRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "objects={}, pruned={}", self.read, self.pruned)
    }
}
