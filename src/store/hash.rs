//! The logical hash: one number for the content of a store, independent of files, batches and order.
//! In: identity and content of each row. Out: a 256-bit sum of their SHA-256, so that files can be summed apart.
//! Never looks at the origin of a row.

use std::fmt::{self, Write};

use arrow::array::{Array, AsArray, BinaryArray, RecordBatch, StringArray};
use sha2::{Digest, Sha256};

use crate::batch::CONTENT_HASH;

/// A sum of row hashes, modulo 2^256.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogicalHash([u64; 4]);

impl LogicalHash {
    /// Rows with `event_id`, `recipient_account_id` and the content's hash.
    pub(super) fn add_rows(&mut self, rows: &RecordBatch) {
        let text = |name: &str| rows[name].as_string::<i32>();
        self.add_columns(text("event_id"), text("recipient_account_id"), rows[CONTENT_HASH].as_binary());
    }

    /// The same, of columns of one length.
    pub(super) fn add_columns(&mut self, ids: &StringArray, accounts: &StringArray, contents: &BinaryArray) {
        for row in 0..ids.len() {
            let mut hash = Sha256::new();
            hash.update(contents.value(row));
            // A missing account is not an empty one; an id may hold any byte but ends where its length says.
            hash.update([u8::from(accounts.is_valid(row))]);
            hash.update((ids.value(row).len() as u64).to_be_bytes());
            hash.update(ids.value(row));
            hash.update(if accounts.is_valid(row) { accounts.value(row) } else { "" });
            self.add(LogicalHash::of(&hash.finalize().into()));
        }
    }

    pub(super) fn add(&mut self, other: LogicalHash) {
        let mut carry = false;
        // The last limb is the lowest.
        for (limb, more) in self.0.iter_mut().zip(other.0).rev() {
            let (sum, first) = limb.overflowing_add(more);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, first || second);
        }
    }

    /// Takes back what was added.
    pub(super) fn take(&mut self, other: LogicalHash) {
        self.add(LogicalHash(other.0.map(|limb| !limb)));
        self.add(LogicalHash([0, 0, 0, 1]));
    }

    /// A sum of one hash.
    pub(super) fn of(hash: &[u8; 32]) -> LogicalHash {
        let mut limbs = [0; 4];
        for (limb, bytes) in limbs.iter_mut().zip(hash.chunks_exact(8)) {
            *limb = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        LogicalHash(limbs)
    }

    /// Reads the text that `Display` wrote.
    pub(super) fn parse(text: &str) -> Option<LogicalHash> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut limbs = [0; 4];
        for (i, limb) in limbs.iter_mut().enumerate() {
            *limb = u64::from_str_radix(&text[i * 16..(i + 1) * 16], 16).ok()?;
        }
        Some(LogicalHash(limbs))
    }
}

impl fmt::Display for LogicalHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|limb| write!(f, "{limb:016x}"))
    }
}

/// A finished SHA-256 as text.
pub(super) fn finished(hash: Sha256) -> String {
    LogicalHash::of(&hash.finalize().into()).to_string()
}

/// SHA-256 as text.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;

    use super::*;

    fn rows(rows: &[(&str, Option<&str>, &[u8])]) -> RecordBatch {
        let ids: StringArray = rows.iter().map(|(id, _, _)| Some(*id)).collect();
        let accounts: StringArray = rows.iter().map(|(_, account, _)| *account).collect();
        let contents: BinaryArray = rows.iter().map(|(_, _, content)| Some(*content)).collect();
        RecordBatch::try_from_iter([
            ("event_id", Arc::new(ids) as ArrayRef),
            ("recipient_account_id", Arc::new(accounts)),
            (CONTENT_HASH, Arc::new(contents)),
        ])
        .unwrap()
    }

    /// Id, account and content of a row.
    type Row = (&'static str, Option<&'static str>, &'static [u8]);

    fn hash(batches: &[&[Row]]) -> LogicalHash {
        batches.iter().fold(LogicalHash::default(), |mut sum, batch| {
            let mut one = LogicalHash::default();
            one.add_rows(&rows(batch));
            sum.add(one);
            sum
        })
    }

    #[test]
    fn order_and_batches_do_not_matter_content_does() {
        let [a, b, c]: [Row; 3] = [("a", Some("1"), b"x"), ("b", None, b"y"), ("c", Some("2"), b"z")];
        let all = hash(&[&[a, b, c]]);
        assert_eq!(all, hash(&[&[c], &[b, a]]));
        assert_eq!(LogicalHash::parse(&all.to_string()), Some(all));
        for other in [
            hash(&[&[a, b]]),
            hash(&[&[a, b, c, c]]),
            hash(&[&[a, ("b", Some(""), b"y"), c]]),
            hash(&[&[a, b, ("c", Some("2"), b"x")]]),
            hash(&[&[a, b, ("c2", Some(""), b"z")]]),
        ] {
            assert_ne!(all, other);
        }
    }
}
