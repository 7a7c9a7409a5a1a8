//! One look at the first bytes of an object whose name does not say if it is a log.
//! In: the head of the object. Out: true if it may be a log.
//! Takes damage for a log, so that it is quarantined by name and never passed over; it is sure only of content that
//! begins as no JSON does.

use super::inflate::{InflateStream, NamedEncoding};
use super::split::is_stamped;

/// Bytes of an object that are looked at.
pub const HEAD_BYTES: usize = 4 << 10;

const GZIP: &[u8] = &[0x1f, 0x8b];

/// True if an object that begins with `head` may be a log: it begins as JSON, or as a gzip of what begins so.
/// The head is the whole object if it is shorter than [`HEAD_BYTES`].
pub fn may_be_log(name: &str, head: &[u8]) -> bool {
    if head.starts_with(GZIP) {
        return may_be_log_inside(head);
    }
    // A name that promises a gzip makes anything else damage.
    NamedEncoding::from_path(name) == NamedEncoding::Gzip || begins_as_json(head)
}

fn may_be_log_inside(head: &[u8]) -> bool {
    let mut inflate = InflateStream::new(head, NamedEncoding::Gzip);
    let mut inflated = Vec::new();
    // The head ends before the gzip does, so a fault says nothing; no byte before it says nothing either.
    while inflated.len() < HEAD_BYTES && inflate.read_chunk(&mut inflated) == Ok(true) {}
    inflated.is_empty() || begins_as_json(&inflated)
}

/// True of a document that CloudTrail's records come in, as far as its first bytes tell.
fn begins_as_json(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if is_wide_json(head) || is_stamped(text) {
        return true;
    }
    match text.split_first() {
        // White space alone is no text of another kind while more may follow.
        None => head.len() >= HEAD_BYTES,
        Some((b'{', rest)) => is_next(rest, b"\"}"),
        // JSON as text.
        Some((b'"', rest)) => is_next(rest, b"{["),
        // Lines of a program's own log and sections of settings begin with a bracket too.
        Some((b'[', rest)) => {
            let inner = rest.iter().position(|byte| *byte != b'[' && !byte.is_ascii_whitespace());
            is_next(&rest[inner.unwrap_or(rest.len())..], b"{\"]")
        }
        Some(_) => false,
    }
}

/// True if the next byte that is not white space is one of these, or is not here.
fn is_next(rest: &[u8], expected: &[u8]) -> bool {
    rest.trim_ascii_start().first().is_none_or(|byte| expected.contains(byte))
}

/// JSON in UTF-16 or UTF-32, as shells of Windows save it. It cannot be read, and it is no text of another kind.
fn is_wide_json(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xff\xfe").or_else(|| head.strip_prefix(b"\xfe\xff")).unwrap_or(head);
    let mut bytes = text.iter().take(4).filter(|byte| **byte != 0);
    text.iter().take(4).any(|byte| *byte == 0) && matches!(bytes.next(), Some(b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use super::super::{DamagePolicy, Decoder, ObjectSource, TakenBy};
    use super::*;
    use crate::objects::{FaultReason, ObjectFlag, ObjectOutcome, SkipReason};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const LOGS: [&[u8]; 15] = [
        b"{\"Records\":[]}",
        b" \r\n\t{ \"eventVersion\"",
        b"\xef\xbb\xbf{\"a\":1}",
        b"[{\"eventID\":1}]",
        b"[ [ \"{}\" ] ]",
        b"[]",
        b"{}",
        b"{",
        b"[",
        b"[\n",
        b"\"{\\\"eventVersion\\\":1}\"",
        b"2026-03-10T09:00:00.000Z {\"eventVersion\":\"1.08\"}",
        b"\xff\xfe{\0\"\0",
        b"\xfe\xff\0[\0{",
        b"\0\0\0{",
    ];

    const OTHERS: [&[u8]; 17] = [
        b"eventTime,eventName\n2026-03-10,Decrypt\n",
        b"\"eventTime\",\"eventName\"\n",
        b"Dear reader",
        b"<html>",
        b"<?xml version=\"1.0\"?><Error>",
        b"[2026-03-10 09:00:00] INFO started",
        b"[section]\nkey = 1\n",
        b"[[bin]]\nname = \"x\"\n",
        b"{{ template }}",
        b"[1, 2]",
        b"PAR1\x15\x04",
        b"PK\x03\x04",
        b"\x89PNG\r\n",
        b"\xff\xd8\xff\xe0",
        b"\xff\xfeD\0e\0a\0r\0",
        b"\0\0\0\0",
        b" \n ",
    ];

    #[test]
    fn a_look_tells_json_from_other_content() {
        for head in LOGS {
            let shown = String::from_utf8_lossy(head);
            assert!(may_be_log("notes.txt", head), "{shown}");
            assert!(may_be_log("x.gz", &gzip(head)), "gzip of {shown}");
        }
        for head in OTHERS {
            let shown = String::from_utf8_lossy(head);
            assert!(!may_be_log("notes.txt", head), "{shown}");
            assert!(!may_be_log("x.csv.gz", &gzip(head)), "gzip of {shown}");
            assert!(may_be_log("x.csv.gz", head), "{shown}: the name promises a gzip");
        }
    }

    #[test]
    fn damage_and_what_cannot_be_told_is_taken_for_a_log() {
        let whole = gzip(&b"time,name\n".repeat(100_000));
        assert!(!may_be_log("x", &whole[..HEAD_BYTES.min(whole.len())]), "the head of a larger gzip");
        assert!(may_be_log("x", &whole[..9]), "a gzip that ends in its header");
        assert!(may_be_log("x", &whole[..10]), "a gzip that ends behind its header");
        assert!(may_be_log("x", &[0x1f, 0x8b, 9, 0, 0, 0, 0, 0, 0, 0]), "a gzip of an unknown method");
        assert!(may_be_log("x", &gzip(b"")), "a gzip of nothing");
        let space = [b' '; HEAD_BYTES];
        assert!(may_be_log("x", &space), "white space that may go on");
        assert!(!may_be_log("x", &space[1..]), "white space that is all");
        assert!(may_be_log("x", &[gzip(&space), gzip(b"Dear reader")].concat()), "a gzip of white space that goes on");
        assert!(may_be_log("x", &gzip(&gzip(b"{\"Records\":[]}"))), "a gzip in a gzip");
    }

    #[test]
    fn content_decides_where_the_name_does_not() {
        use FaultReason::{EnvelopeUnknown, JsonTruncated, NotGzip, NotJson};
        use ObjectOutcome::{Quarantined, Skipped};
        let (read, not_a_log) = (|| ObjectOutcome::Read, Skipped(SkipReason::NotALog));
        let settings = &br#"{"compilerOptions":{"strict":true}}"#[..];
        for (name, bytes, by_name, by_content) in [
            ("notes.txt", &br#"{"Records":[{"eventName":"x"}]}"#[..], read(), read()),
            ("notes.txt", br#"{"Records":[]}"#, read(), read()),
            ("notes.txt", br#"{"Records":[{"eventName":"x"}"#, Quarantined(JsonTruncated), Quarantined(JsonTruncated)),
            ("notes.txt", b"Dear reader", Quarantined(NotJson), not_a_log.clone()),
            ("notes.gz", b"Dear reader", Quarantined(NotGzip), Quarantined(NotGzip)),
            ("settings", settings, Quarantined(EnvelopeUnknown), not_a_log.clone()),
            (
                "app.log",
                b"{\"level\":\"info\"}\n{\"level\":\"warn\"}\n",
                ObjectOutcome::Flagged([ObjectFlag::Ndjson].into()),
                not_a_log.clone(),
            ),
            ("cases", br#"{"cases":[{"eventName":"x"}]}"#, Quarantined(EnvelopeUnknown), Quarantined(EnvelopeUnknown)),
        ] {
            let decided = [(TakenBy::Name, by_name), (TakenBy::Content, by_content)];
            for ((taken_by, expected), held_max) in decided.iter().flat_map(|by| [(by, 1 << 20), (by, 4)]) {
                let open = || -> io::Result<Box<dyn Read>> { Ok(Box::new(bytes)) };
                let object = ObjectSource { name, bytes: bytes.len() as u64, taken_by: *taken_by, open: &open };
                let mut pieces = 0;
                let summary =
                    Decoder::new(held_max, DamagePolicy::GivesNothing, None).decode(&object, &mut |_| pieces += 1);
                assert_eq!(summary.outcome, *expected, "{name} by its {taken_by:?}, {held_max}");
                assert!(pieces == 0 || summary.outcome.status().is_read(), "{name} by its {taken_by:?}");
            }
        }
    }
}
