//! Finds the whole records of a document that is damaged, wherever they stand, in one pass and in bounded memory.
//! In: inflated bytes, in one piece or in growing pieces. Out: whole records as [`DocumentItem`]s, and the stretches
//! between them in which none was found.
//! Never takes a part of a record for a record: a record is an object that closes, parses and names its event.

use super::bracket_scan::{BracketScan, BytesAhead};
use super::split::{DocumentItem, ItemContainer, RECORD_BYTES_MAX};
use super::unwrap;
use crate::json::{JsonKind, JsonTree, Value};

/// Bytes that are looked at in vain, for each byte of the document. Brackets without end would else be tried one by one.
const VAIN_BYTES_PER_BYTE: u64 = 8;
/// The same, of any document.
const VAIN_BYTES_MIN: u64 = 64 << 20;

/// Bytes of a stretch without records that are kept to show it.
const STRETCH_HEAD_BYTES: usize = 4 << 10;

/// One piece of a damaged document, in its order.
pub(super) enum Salvaged<'b> {
    Record(DocumentItem<'b>),
    Stretch(Stretch),
}

/// Bytes in which no whole record was found.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    pub offset: u64,
    pub length: u64,
    /// Its first bytes.
    pub head: Vec<u8>,
}

/// The resumable search: call [`Salvager::advance`] with the unconsumed bytes and more, until nothing follows.
#[derive(Default)]
pub(super) struct Salvager {
    /// The next byte to look at, outside an attempt.
    at: u64,
    /// An object that has begun and not yet closed.
    attempt: Option<Attempt>,
    tree: JsonTree,
    between: Between,
    vain_bytes: u64,
    records: u64,
}

struct Attempt {
    start: u64,
    scan: BracketScan,
    scanned_to: u64,
}

impl Salvager {
    /// Whole records found so far.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Looks through `bytes`, whose first stands at `base`. Returns the offset from which bytes must be given again.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        base: u64,
        follows: BytesAhead,
        sink: &mut dyn FnMut(Salvaged<'_>),
    ) -> u64 {
        let end = base + bytes.len() as u64;
        loop {
            let Some(attempt) = self.attempt.as_mut() else {
                if !self.begin_next(bytes, base) {
                    break;
                }
                continue;
            };
            let start = attempt.start;
            // No record is longer, so that no more need be looked at.
            let scan_end = end.min(start + RECORD_BYTES_MAX as u64 + 1);
            let rest = &bytes[(attempt.scanned_to - base) as usize..(scan_end - base) as usize];
            let closed = attempt.scan.find_end(rest).map(|length| attempt.scanned_to + length as u64);
            attempt.scanned_to = closed.unwrap_or(scan_end);
            let length = attempt.scanned_to - start;
            let is_too_long = length > RECORD_BYTES_MAX as u64;
            if closed.is_none() && !is_too_long && follows == BytesAhead::More {
                return start;
            }
            self.attempt = None;
            let found = &bytes[(start - base) as usize..(start + length - base) as usize];
            if closed.is_some() && !is_too_long && self.holds_record(found) {
                self.give(
                    DocumentItem {
                        bytes: found,
                        offset: start,
                        length,
                        around: ItemContainer::Document,
                        fault: None,
                        is_screened_out: false,
                    },
                    sink,
                );
                self.at = start + length;
            } else {
                self.vain_bytes += length;
                self.between.take(&found[..1], start);
                self.at = start + 1;
            }
        }
        if follows == BytesAhead::Nothing && self.records > 0 {
            self.between.end(sink);
        }
        end
    }

    /// Begins with the next bracket, if one is here and any more are to be tried.
    fn begin_next(&mut self, bytes: &[u8], base: u64) -> bool {
        let rest = &bytes[(self.at - base) as usize..];
        let is_worn_out = self.vain_bytes > VAIN_BYTES_MIN.max(self.at.saturating_mul(VAIN_BYTES_PER_BYTE));
        let next = memchr::memchr(b'{', rest).filter(|_| !is_worn_out);
        let skipped = &rest[..next.unwrap_or(rest.len())];
        self.between.take(skipped, self.at);
        self.at += skipped.len() as u64;
        if next.is_some() {
            self.attempt = Some(Attempt { start: self.at, scan: BracketScan::default(), scanned_to: self.at });
        }
        next.is_some()
    }

    /// True for a record, or for what was put around one. Lists of records are taken apart.
    fn holds_record(&mut self, bytes: &[u8]) -> bool {
        let Ok(value) = self.tree.parse(bytes) else { return false };
        let is_list = |key: &str| value.get(key).is_some_and(|list: Value| list.kind() == JsonKind::Array);
        if ["Records", "Events", "logEvents"].into_iter().any(is_list) {
            return false;
        }
        unwrap::is_dated(value) || unwrap::records_in(value).is_ok_and(|records| !records.is_empty())
    }

    fn give(&mut self, item: DocumentItem<'_>, sink: &mut dyn FnMut(Salvaged<'_>)) {
        self.records += 1;
        self.between.end(sink);
        sink(Salvaged::Record(item));
    }
}

/// The bytes since the last record.
#[derive(Default)]
struct Between {
    stretch: Stretch,
    /// Its letters and digits, as far as they tell it from mere brackets.
    words: Vec<u8>,
}

/// Words around records that say nothing.
const EMPTY_WORDS: [&[u8]; 4] = [b"", b"Records", b"Events", b"logEvents"];

impl Between {
    fn take(&mut self, bytes: &[u8], offset: u64) {
        let is_before = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'}');
        let skipped =
            if self.stretch.length == 0 { bytes.iter().take_while(|byte| is_before(byte)).count() } else { 0 };
        let bytes = &bytes[skipped..];
        if bytes.is_empty() {
            return;
        }
        if self.stretch.length == 0 {
            self.stretch.offset = offset + skipped as u64;
        }
        self.stretch.length += bytes.len() as u64;
        let room = STRETCH_HEAD_BYTES - self.stretch.head.len().min(STRETCH_HEAD_BYTES);
        self.stretch.head.extend(&bytes[..bytes.len().min(room)]);
        let longest = EMPTY_WORDS.iter().map(|word| word.len()).max().unwrap_or_default();
        let is_word = |byte: &&u8| !byte.is_ascii_whitespace() && !b"{}[],:\"".contains(byte);
        let room = (longest + 1).saturating_sub(self.words.len());
        self.words.extend(bytes.iter().filter(is_word).take(room));
    }

    fn end(&mut self, sink: &mut dyn FnMut(Salvaged<'_>)) {
        let Between { mut stretch, words } = std::mem::take(self);
        if !EMPTY_WORDS.contains(&words.as_slice()) {
            if stretch.length == stretch.head.len() as u64 {
                let is_after = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'[');
                let trimmed = stretch.head.iter().rev().take_while(|byte| is_after(byte)).count();
                stretch.length -= trimmed as u64;
                stretch.head.truncate(stretch.head.len() - trimmed);
            }
            sink(Salvaged::Stretch(stretch));
        }
    }
}
