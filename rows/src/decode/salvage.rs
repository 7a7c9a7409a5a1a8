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
pub(super) struct Salvager {
    /// The next byte to look at, outside an attempt.
    at: u64,
    /// An object that has begun and not yet closed.
    attempt: Option<Attempt>,
    tree: JsonTree,
    between: Between,
    vain_bytes: u64,
    vain_bytes_min: u64,
    records: u64,
}

impl Default for Salvager {
    fn default() -> Salvager {
        Salvager {
            at: 0,
            attempt: None,
            tree: JsonTree::new(),
            between: Between::default(),
            vain_bytes: 0,
            vain_bytes_min: VAIN_BYTES_MIN,
            records: 0,
        }
    }
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
        let is_worn_out = self.vain_bytes > self.vain_bytes_min.max(self.at.saturating_mul(VAIN_BYTES_PER_BYTE));
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

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = r#"{"eventName":"a","eventID":"1"}"#;
    const B: &str = r#"{"eventSource":"b","eventName":"b","eventID":"2"}"#;

    /// The records and the stretches between them, each by its place, its length and its first bytes.
    fn salvaged(mut salvager: Salvager, bytes: &[u8], step: usize) -> Vec<(&'static str, u64, u64, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (mut found, mut from, mut to) = (Vec::new(), 0, 0);
        let mut records = 0;
        loop {
            to = bytes.len().min(to + step);
            let follows = if to == bytes.len() { BytesAhead::Nothing } else { BytesAhead::More };
            let mut sink = |piece: Salvaged<'_>| match piece {
                Salvaged::Record(item) => {
                    records += 1;
                    found.push(("record", item.offset, item.length, text(item.bytes)));
                }
                Salvaged::Stretch(stretch) => {
                    found.push(("stretch", stretch.offset, stretch.length, text(&stretch.head)));
                }
            };
            from = salvager.advance(&bytes[from..to], from as u64, follows, &mut sink) as usize;
            if to == bytes.len() {
                assert_eq!(salvager.records(), records);
                return found;
            }
        }
    }

    /// The document of a text in which `A` and `B` stand for records, and what is found in it: the records in round
    /// brackets, and in pointed ones the stretches.
    fn marked(text: &str) -> (String, Vec<(&'static str, u64, u64, String)>) {
        let (mut document, mut found, mut start) = (String::new(), Vec::new(), 0);
        for character in text.chars() {
            let length = document.len() - start;
            match character {
                '(' | '<' => start = document.len(),
                ')' => found.push(("record", start as u64, length as u64, document[start..].to_owned())),
                '>' => {
                    let head = &document[start..][..length.min(STRETCH_HEAD_BYTES)];
                    found.push(("stretch", start as u64, length as u64, head.to_owned()));
                }
                'A' => document.push_str(A),
                'B' => document.push_str(B),
                other => document.push(other),
            }
        }
        (document, found)
    }

    #[test]
    fn records_are_found_wherever_they_stand() {
        let long = "x".repeat(STRETCH_HEAD_BYTES + 10);
        for text in [
            "(A)",
            "(A),(B)",
            r#"{"Records":[(A),(B)]}"#,
            r#"{"Records" : [ (A) , (B)"#,
            r#"{"Events":[(A)],"logEvents":[(B)]}"#,
            "(A) <x> (B)",
            " }],\n<x y {\"z\":[]}>,[ \n (A)",
            "(A) ]}, <e>",
            "<q> [ (A)",
            "(A) <[ , \t Record> (A) <Recordss> (A) Records (A) <logEvent> (A) logEvents (A) <logEventsx> (A)",
            r#"(A) <{"x":5}> (B) <{"eventName":"a"> (B) <{"eventName">"#,
            r#"({"eventName":"a","Records":5,"eventID":"4"})(A)"#,
            r#"<{"x":1}>({"message":"{\"eventSource\":\"b\",\"eventName\":\"b\",\"eventID\":\"2\"}"})"#,
            // The end of a stretch is told only of one that is shown whole.
            &format!("(A) <{long}, >(B)"),
            &format!("(A) <{long}[ ,\n>(B)"),
            &format!("(A) <{}>, (B)", &long[..STRETCH_HEAD_BYTES - 2]),
            "none",
        ] {
            let (document, expected) = marked(text);
            for step in (1..90).chain([usize::MAX / 2]) {
                let found = salvaged(Salvager::default(), document.as_bytes(), step);
                assert_eq!(found, expected, "{document} by {step}");
            }
        }
    }

    #[test]
    fn a_search_in_vain_ends() {
        let text = format!("{{{{{{{A}");
        let vain = 3 * text.len() as u64 - 3;
        for (vain_bytes_min, records) in [(vain, 1), (vain - 1, 0), (0, 0)] {
            let salvager = Salvager { vain_bytes_min, ..Salvager::default() };
            let found = salvaged(salvager, text.as_bytes(), 1000);
            assert_eq!(found.iter().filter(|(kind, ..)| *kind == "record").count(), records, "{vain_bytes_min}");
        }
    }

    #[test]
    fn a_record_is_as_long_as_a_record_may_be() {
        let record = |length: usize| format!(r#"{{"eventName":"{}","eventID":"1"}}"#, "x".repeat(length - 30));
        for (length, is_found) in [(RECORD_BYTES_MAX, true), (RECORD_BYTES_MAX + 1, false)] {
            let text = format!("{}, {A}", record(length));
            assert_eq!(text.len(), length + 2 + A.len());
            for step in [5 << 20, usize::MAX / 2] {
                let found = salvaged(Salvager::default(), text.as_bytes(), step);
                let lengths: Vec<_> = found.iter().map(|(kind, _, length, _)| (*kind, *length)).collect();
                let first = if is_found { ("record", length as u64) } else { ("stretch", length as u64 + 2) };
                assert_eq!(lengths, [first, ("record", A.len() as u64)], "{length} by {step}");
            }
        }
        // What is too long is not asked for again.
        let mut salvager = Salvager::default();
        let begun = format!(r#"{{"a":"{}"#, "x".repeat(RECORD_BYTES_MAX - 5));
        assert_eq!(begun.len(), RECORD_BYTES_MAX + 1);
        let mut advance = |length: usize| {
            salvager.advance(&begun.as_bytes()[..length], 0, BytesAhead::More, &mut |_| panic!("there is no record"))
        };
        assert_eq!(advance(RECORD_BYTES_MAX), 0);
        assert_eq!(advance(RECORD_BYTES_MAX + 1), begun.len() as u64);
    }
}
