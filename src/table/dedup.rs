//! Tells first copies from later ones, in the order in which rows are given.
//! In: identity and content of each row, as hashes. Out: first, duplicate or conflict. Knows no record.
//! Identity is (`event_id`, `recipient_account_id`); content is the canonical JSON. Two trails may deliver the same
//! call, so a file name is never part of either.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Identity and content of one row. Hashed with a seed of this process, so that nobody can craft a collision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    pub identity: u128,
    pub content: u128,
}

impl Fingerprint {
    pub fn new(event_id: &str, recipient: Option<&str>, content: u128, seed: u64) -> Fingerprint {
        let id = xxh3_128_with_seed(event_id.as_bytes(), seed);
        // A missing recipient equals only another missing one.
        let recipient = recipient.map_or(0, |account| xxh3_128_with_seed(account.as_bytes(), seed ^ 1));
        Fingerprint { identity: id ^ recipient.rotate_left(1), content }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    First,
    Duplicate,
    /// The identity is known with other content: both rows stay.
    Conflict,
}

/// The rows seen so far.
#[derive(Default)]
pub struct Seen {
    first: HashMap<u128, u128>,
    conflicting: HashSet<Fingerprint>,
}

impl Seen {
    pub fn add(&mut self, row: Fingerprint) -> Copy {
        match self.first.entry(row.identity) {
            Entry::Vacant(slot) => {
                slot.insert(row.content);
                Copy::First
            }
            Entry::Occupied(slot) if *slot.get() == row.content => Copy::Duplicate,
            Entry::Occupied(_) if self.conflicting.insert(row) => Copy::Conflict,
            Entry::Occupied(_) => Copy::Duplicate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_content_is_a_duplicate_other_content_a_conflict_and_both_are_remembered() {
        let row = |id, account, content| Fingerprint::new(id, account, content, 9);
        let mut seen = Seen::default();
        for (row, copy) in [
            (row("a", Some("1"), 1), Copy::First),
            (row("a", Some("1"), 1), Copy::Duplicate),
            (row("a", Some("2"), 1), Copy::First),
            (row("a", None, 1), Copy::First),
            (row("a", Some("1"), 2), Copy::Conflict),
            (row("a", Some("1"), 2), Copy::Duplicate),
            (row("a", Some("1"), 1), Copy::Duplicate),
            (row("b", Some("1"), 1), Copy::First),
        ] {
            assert_eq!(seen.add(row), copy);
        }
    }
}
