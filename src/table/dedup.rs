//! Tells first copies from later ones, in the order in which rows are given.
//! In: identity and content of each row, as hashes. Out: first, duplicate or conflict. Knows no record.
//! Identity is (`event_id`, `recipient_account_id`); content is the canonical JSON. Two trails may deliver the same
//! call, so a file name is never part of either.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Identity and content of one row, hashed with a seed of this process, so that nobody can craft a collision.
/// A row is a duplicate if all 128 bits agree; if identities alone agree, both rows stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    pub identity: u64,
    pub content: u64,
}

impl Fingerprint {
    /// `content` is the hash of the record's canonical JSON under `seed`, which must be the same for all rows that are
    /// compared.
    pub fn new(event_id: &str, recipient: Option<&str>, content: u64, seed: u64) -> Fingerprint {
        let id = xxh3_64_with_seed(event_id.as_bytes(), seed);
        // A missing recipient equals only another missing one.
        let recipient = recipient.map_or(0, |account| xxh3_64_with_seed(account.as_bytes(), seed ^ 1));
        Fingerprint { identity: id ^ recipient.rotate_left(1), content }
    }

    /// That of a row for state: it meets no row of an answer, whose counts must not depend on it.
    pub fn for_state(self) -> Fingerprint {
        Fingerprint { identity: self.identity ^ 0x9e37_79b9_7f4a_7c15, ..self }
    }
}

/// The judgement on a row, by the rows before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyKind {
    First,
    Duplicate,
    /// The identity is known with other content: both rows stay.
    Conflict,
}

/// The rows seen so far: about 20 bytes each, up to twice that while the table grows.
#[derive(Default)]
pub struct SeenRows {
    first: HashMap<u64, u64, BuildHasherDefault<AlreadyHashed>>,
    conflicting: HashSet<Fingerprint>,
}

impl SeenRows {
    /// Judges the row by those added before it, and remembers it.
    pub fn add(&mut self, row: Fingerprint) -> CopyKind {
        match self.first.entry(row.identity) {
            Entry::Vacant(slot) => {
                slot.insert(row.content);
                CopyKind::First
            }
            Entry::Occupied(slot) if *slot.get() == row.content => CopyKind::Duplicate,
            Entry::Occupied(_) => self.add_conflicting(row),
        }
    }

    /// Adds a row whose identity the caller knows with other content.
    pub fn add_conflicting(&mut self, row: Fingerprint) -> CopyKind {
        if self.conflicting.insert(row) { CopyKind::Conflict } else { CopyKind::Duplicate }
    }

    /// The judgement that `add` would give, without remembering the row.
    pub fn judge(&self, row: Fingerprint) -> CopyKind {
        match self.first.get(&row.identity) {
            None => CopyKind::First,
            Some(content) if *content == row.content || self.conflicting.contains(&row) => CopyKind::Duplicate,
            Some(_) => CopyKind::Conflict,
        }
    }

    /// Rows that take memory: all but duplicates.
    pub fn len(&self) -> usize {
        self.first.len() + self.conflicting.len()
    }
}

/// Takes a key that is a hash already.
#[derive(Default)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole hashes are keys");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_content_is_a_duplicate_other_content_a_conflict_and_both_are_remembered() {
        let row = |id, account, content| Fingerprint::new(id, account, content, 9);
        let mut seen = SeenRows::default();
        for (row, copy) in [
            (row("a", Some("1"), 1), CopyKind::First),
            (row("a", Some("1"), 1), CopyKind::Duplicate),
            (row("a", Some("2"), 1), CopyKind::First),
            (row("a", None, 1), CopyKind::First),
            (row("a", Some("1"), 2), CopyKind::Conflict),
            (row("a", Some("1"), 2), CopyKind::Duplicate),
            (row("a", Some("1"), 1), CopyKind::Duplicate),
            (row("b", Some("1"), 1), CopyKind::First),
        ] {
            assert_eq!(seen.judge(row), copy);
            assert_eq!(seen.add(row), copy);
        }
    }
}
