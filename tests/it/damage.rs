//! Damaged and hostile logs that are made here, so that a clone alone shows the bounds of contract and memory.
//! In: bytes made by a rule. Out: one table of every disagreement between an object and its case.
//! Never counts a case as passed unless it ran, in a child process with little memory and little time.

use std::fs;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use serde_json::Value;

use crate::child::{Ended, Limits, keytrail_within, on_every_core};

/// The address space that a case may take beyond a sound log, which already covers thread stacks and the allocator's
/// reservation.
const ADDRESS_SPACE_ABOVE_KIB: u64 = 512 << 10;
const RESIDENT_KIB_MAX: u64 = 256 << 10;
/// Several objects of 4 GiB are inflated at once, beside other tests.
const TIME_MAX: Duration = Duration::from_secs(300);

const MIB: usize = 1 << 20;
const RECORD_BYTES_MAX: usize = 16 * MIB;
const NESTED_BYTES_MAX: usize = 64 * MIB;
const OBJECT_BYTES_MAX: u64 = 4 << 30;
const DEPTH_MAX: usize = 128;

const OBJECTS: &str = "SELECT status, coalesce(error, '') AS error, coalesce(records, 0) AS records, coalesce(kept, 0) AS kept, \
    coalesce(duplicate, 0) AS duplicate, coalesce(quarantined, 0) AS quarantined FROM objects";

/// A file, and its row of `objects`.
struct Case {
    file: &'static str,
    bytes: Vec<u8>,
    status: &'static str,
    /// The begin of the reason of an object that was not read, or a flag, or the reason of a record.
    reason: &'static str,
    kept: u64,
    duplicate: u64,
    quarantined: u64,
    /// The records that `--salvage` must find, and the most that are whole.
    salvaged: RangeInclusive<u64>,
}

fn read(file: &'static str, bytes: Vec<u8>, kept: u64) -> Case {
    Case { file, bytes, status: "read", reason: "", kept, duplicate: 0, quarantined: 0, salvaged: 0..=0 }
}

fn flagged(file: &'static str, bytes: Vec<u8>, (flag, kept): (&'static str, u64)) -> Case {
    Case { status: "flagged", reason: flag, ..read(file, bytes, kept) }
}

/// An object of which some records are no records.
fn parted(file: &'static str, bytes: Vec<u8>, (reason, kept, quarantined): (&'static str, u64, u64)) -> Case {
    Case { reason, quarantined, ..read(file, bytes, kept) }
}

fn broken(file: &'static str, bytes: Vec<u8>, (reason, salvaged): (&'static str, RangeInclusive<u64>)) -> Case {
    Case { status: "quarantined", reason, salvaged, ..read(file, bytes, 0) }
}

/// The text of a record whose user agent is the given JSON string.
fn record(number: u32, agent: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AWSService","invokedBy":"kms.amazonaws.com"}},"eventTime":"2026-04-01T10:00:00Z","eventSource":"kms.amazonaws.com","eventName":"Encrypt","awsRegion":"eu-central-1","userAgent":{agent},"eventID":"7a000000-0000-4000-8000-{number:012}","recipientAccountId":"444455556666"}}"#
    )
}

fn plain(number: u32) -> String {
    record(number, "\"x\"")
}

/// A record of exactly so many bytes.
fn record_of(number: u32, bytes: usize) -> String {
    let rest = record(number, "\"\"").len();
    record(number, &format!("\"{}\"", "a".repeat(bytes - rest)))
}

/// A record with so many arrays in each other, which is one level more.
fn nested(number: u32, arrays: usize) -> String {
    let arrays = "[".repeat(arrays) + &"]".repeat(arrays);
    plain(number).replace(r#""userAgent":"x""#, &format!(r#""requestParameters":{arrays}"#))
}

fn document(records: &[String]) -> Vec<u8> {
    format!(r#"{{"Records":[{}]}}"#, records.join(",")).into_bytes()
}

/// Three records, the middle one as it is given.
fn around(middle: &str) -> Vec<u8> {
    document(&[plain(1), middle.to_owned(), plain(3)])
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A gzip of a head, a chunk many times over and a tail; the chunk is compressed once.
struct Bomb<'b> {
    head: &'b [u8],
    chunk: &'b [u8],
    times: usize,
    tail: &'b [u8],
}

impl Bomb<'_> {
    fn gzip(&self) -> Vec<u8> {
        let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
        bytes.extend(deflated(self.head));
        bytes.extend(deflated(self.chunk).repeat(self.times));
        let mut end = DeflateEncoder::new(bytes, Compression::best());
        end.write_all(self.tail).unwrap();
        let mut bytes = end.finish().unwrap();
        let (mut crc, mut of_chunk) = (Crc::new(), Crc::new());
        crc.update(self.head);
        of_chunk.update(self.chunk);
        (0..self.times).for_each(|_| crc.combine(&of_chunk));
        crc.update(self.tail);
        bytes.extend(crc.sum().to_le_bytes());
        bytes.extend(((self.head.len() + self.chunk.len() * self.times + self.tail.len()) as u32).to_le_bytes());
        bytes
    }
}

/// Bytes of a deflate stream that goes on.
fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(bytes).unwrap();
    deflate.flush().unwrap();
    deflate.get_ref().clone()
}

/// A document of two records that inflates to exactly so many bytes.
pub fn sparse(bytes: u64) -> Vec<u8> {
    let spaces = vec![b' '; 8 * MIB];
    let (mut head, tail) = (format!(r#"{{"Records":[{},"#, plain(1)), format!("{}]}}", plain(2)));
    let fill = bytes as usize - head.len() - tail.len();
    head.push_str(&" ".repeat(fill % spaces.len()));
    Bomb { head: head.as_bytes(), chunk: &spaces, times: fill / spaces.len(), tail: tail.as_bytes() }.gzip()
}

/// A document whose second of three records is opened by `head`, filled and closed by `tail`.
fn filled(fill: u8, gib: usize) -> Vec<u8> {
    let middle = record(2, "\"@\"");
    let (before, behind) = middle.split_once('@').unwrap();
    let head = format!(r#"{{"Records":[{},{before}"#, plain(1));
    let tail = format!("{behind},{}]}}", plain(3));
    Bomb { head: head.as_bytes(), chunk: &vec![fill; 8 * MIB], times: 128 * gib, tail: tail.as_bytes() }.gzip()
}

fn gzips() -> Vec<Case> {
    let log = document(&[plain(1), plain(2), plain(3)]);
    let more = document(&[plain(4), plain(5)]);
    let g = gz(&log);
    let many: Vec<String> = (0..200).map(plain).collect();
    let long = gz(&document(&many));
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = g.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let end = g.len();
    vec![
        read("control.json.gz", g.clone(), 3),
        read("control.json", log.clone(), 3),
        flagged("plain.json.gz", log.clone(), ("not_compressed", 3)),
        flagged("gzip.json", g.clone(), ("extension_mismatch", 3)),
        broken("empty.json.gz", Vec::new(), ("empty_object", 0..=0)),
        broken("nothing.json.gz", gz(b""), ("empty_document", 0..=0)),
        broken("magic.json.gz", g[..2].to_vec(), ("gzip_truncated", 0..=0)),
        broken("header.json.gz", g[..10].to_vec(), ("gzip_truncated", 0..=0)),
        broken("half.json.gz", long[..long.len() / 2].to_vec(), ("gzip_truncated", 20..=199)),
        broken("no-trailer.json.gz", g[..end - 8].to_vec(), ("gzip_truncated", 3..=3)),
        broken("half-trailer.json.gz", g[..end - 4].to_vec(), ("gzip_truncated", 3..=3)),
        broken("crc.json.gz", changed(end - 8, &[0; 4]), ("gzip_crc", 3..=3)),
        broken("length.json.gz", changed(end - 4, &[255, 255, 255, 127]), ("gzip_isize", 3..=3)),
        broken("method.json.gz", changed(2, &[7]), ("gzip_header", 0..=0)),
        broken("block.json.gz", [&g[..10], &[7; 17]].concat(), ("gzip_corrupt", 0..=0)),
        broken("distance.json.gz", [&g[..10], &[3, 2], &[0; 10]].concat(), ("gzip_corrupt", 0..=0)),
        flagged("two.json.gz", [g.clone(), gz(&more)].concat(), ("multi_member", 5)),
        flagged("over-two.json.gz", [gz(&log[..500]), gz(&log[500..])].concat(), ("multi_member", 3)),
        flagged("many-empty.json.gz", [gz(b"").repeat(100_000), g.clone()].concat(), ("multi_member", 3)),
        broken("second-cut.json.gz", [&g[..], &gz(&more)[..60]].concat(), ("gzip_truncated", 3..=4)),
        broken("second-corrupt.json.gz", [&g[..], &g[..10], &[7; 17]].concat(), ("gzip_corrupt", 3..=3)),
        flagged("tail.json.gz", [&g[..], b"garbage"].concat(), ("trailing_data", 3)),
        flagged("zeros.json.gz", [&g[..], &[0; 512]].concat(), ("trailing_data", 3)),
        broken("head.json.gz", [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &g].concat(), ("not_gzip", 0..=0)),
        flagged("twice.json.gz", gz(&g), ("double_gzip", 3)),
        broken("thrice.json.gz", gz(&gz(&g)), ("gzip_nested", 0..=0)),
    ]
}

fn texts() -> Vec<Case> {
    let log = around(&plain(2));
    let text = String::from_utf8(log.clone()).unwrap();
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with = |agent: &[u8]| {
        let (before, behind) = (document(&[plain(1)]), record(2, "\"@\""));
        let (start, end) = behind.split_once('@').unwrap();
        [&before[..before.len() - 2], b",", start.as_bytes(), agent, end.as_bytes(), b",", plain(3).as_bytes(), b"]}"]
            .concat()
    };
    vec![
        flagged("bom.json", [&b"\xef\xbb\xbf"[..], &log].concat(), ("bom", 3)),
        broken("utf-16.json", [&[255u8, 254][..], &wide].concat(), ("json_encoding", 0..=0)),
        read("latin.json", with(b"caf\xe9"), 3),
        read("surrogate.json", with(br"\ud83d"), 3),
        parted("nul.json", with(b"a\0b"), ("json_control_char", 2, 1)),
        parted("escape.json", with(br"\x41"), ("json_syntax", 2, 1)),
        parted(
            "twice.json",
            around(&plain(2).replacen('{', r#"{"eventName":"Decrypt","#, 1)),
            ("json_duplicate_key", 2, 1),
        ),
        parted("null.json", around("null"), ("record_not_object", 2, 1)),
        parted("nothing.json", around("{}"), ("record_not_cloudtrail", 2, 1)),
        broken("cut.json", log[..log.len() - 1].to_vec(), ("json_truncated", 3..=3)),
        broken("text.json", b"eventID,eventName\n1,Decrypt\n".to_vec(), ("not_json", 0..=0)),
        broken("html.json", b"<!DOCTYPE html><html></html>".to_vec(), ("envelope_html", 0..=0)),
    ]
}

fn bounds() -> Vec<Case> {
    let (at, over) = (RECORD_BYTES_MAX, RECORD_BYTES_MAX + 1);
    let lines = |bytes| [plain(1), record_of(2, bytes), plain(3)].join("\n").into_bytes();
    let spaced = |bytes: usize| {
        let (head, tail) = (format!(r#"{{"Records":[{},"#, plain(1)), format!("{}]}}", plain(2)));
        gz(&gz((head.clone() + &" ".repeat(bytes - head.len() - tail.len()) + &tail).as_bytes()))
    };
    vec![
        read("record-below.json", around(&record_of(2, at - 1)), 3),
        read("record-at.json.gz", gz(&around(&record_of(2, at))), 3),
        parted("record-over.json", around(&record_of(2, over)), ("record_too_large", 2, 1)),
        parted("record-over.json.gz", gz(&around(&record_of(2, over))), ("record_too_large", 2, 1)),
        flagged("line-at.json", lines(at), ("ndjson", 3)),
        Case { quarantined: 1, ..flagged("line-over.json", lines(over), ("ndjson", 2)) },
        read("depth-at.json", around(&nested(2, DEPTH_MAX - 1)), 3),
        parted("depth-over.json", around(&nested(2, DEPTH_MAX)), ("json_depth", 2, 1)),
        flagged("inner-at.json.gz", spaced(NESTED_BYTES_MAX), ("double_gzip", 2)),
        broken("inner-over.json.gz", spaced(NESTED_BYTES_MAX + 1), ("object_too_large", 2..=2)),
        read("object-at.json.gz", sparse(OBJECT_BYTES_MAX), 2),
        broken("object-over.json.gz", sparse(OBJECT_BYTES_MAX + 1), ("object_too_large", 2..=2)),
    ]
}

fn bombs() -> Vec<Case> {
    let copies = plain(2) + ",";
    let chunk = copies.repeat(4 * MIB / copies.len());
    let times = 64;
    let copied = (chunk.len() / copies.len() * times) as u64;
    let head = br#"{"Records":["#;
    let same = Bomb { head, chunk: chunk.as_bytes(), times, tail: format!("{}]}}", plain(1)).as_bytes() }.gzip();
    let open = Bomb { head, chunk: &vec![b'['; 4 * MIB], times: 16, tail: b"" }.gzip();
    let zeros = Bomb { head: b"", chunk: &vec![0; 8 * MIB], times: 128, tail: b"" }.gzip();
    let inner = Bomb { head: b"", chunk: &vec![b' '; 8 * MIB], times: 128, tail: b"[]" }.gzip();
    let mut lying = sparse(512 << 20);
    let end = lying.len();
    lying[end - 4..].copy_from_slice(&[100, 0, 0, 0]);
    vec![
        parted("a-gibibyte-of-text.json.gz", filled(b'a', 1), ("record_too_large", 2, 1)),
        Case { duplicate: copied - 1, ..read("copies.json.gz", same, 2) },
        broken("brackets.json.gz", open, ("json_depth", 0..=0)),
        broken("zeros.json.gz", zeros, ("not_json", 0..=0)),
        broken("inside.json.gz", gz(&inner), ("object_too_large", 0..=0)),
        broken("lying-length.json.gz", lying, ("gzip_isize", 2..=2)),
    ]
}

fn ask(sql: &str, file: &Path, more: &[&str], limits: Limits) -> Ended {
    let words = ["query", "--events", "all", "-f", "json", sql, "--from", file.to_str().unwrap()];
    keytrail_within(words.iter().chain(more), limits)
}

/// The disagreements between a case and its rows.
fn judge(case: &Case, folder: &Path, limits: Limits) -> Vec<String> {
    let file = folder.join(case.file);
    fs::write(&file, &case.bytes).unwrap();
    let mut wrong = Vec::new();
    let object = match one_object(&ask(OBJECTS, &file, &[], limits), is_whole(case)) {
        Ok(object) => object,
        Err(story) => return vec![story],
    };
    let counts = [("kept", case.kept), ("duplicate", case.duplicate), ("quarantined", case.quarantined)];
    let records: u64 = counts.iter().map(|(_, count)| count).sum();
    for (name, expected) in counts.into_iter().chain([("records", records)]) {
        if object[name] != expected {
            wrong.push(format!("{name} is {}, not {expected}", object[name]));
        }
    }
    let error = object["error"].as_str().unwrap();
    let is_named = match case.status {
        "flagged" => error.split(',').any(|flag| flag == case.reason),
        "quarantined" => error.starts_with(case.reason),
        _ => error.is_empty() || case.quarantined > 0,
    };
    if object["status"] != case.status || !is_named {
        wrong.push(format!("{} `{error}`, not {} `{}`", object["status"], case.status, case.reason));
    }
    if case.status == "read" && case.quarantined > 0 {
        let rows = ask("SELECT reason FROM quarantine", &file, &[], limits).rows().unwrap_or_default();
        let is_named = rows.iter().all(|row| row["reason"].as_str().is_some_and(|r| r.starts_with(case.reason)));
        if !is_named || rows.is_empty() {
            wrong.push(format!("{rows:?}, not `{}`", case.reason));
        }
    }
    if case.status == "quarantined" {
        wrong.extend(salvaged(case, &file, limits));
    }
    fs::remove_file(file).unwrap();
    wrong
}

fn is_whole(case: &Case) -> bool {
    case.status != "quarantined" && case.quarantined == 0
}

fn salvaged(case: &Case, file: &Path, limits: Limits) -> Option<String> {
    let object = match one_object(&ask(OBJECTS, file, &["--salvage"], limits), false) {
        Ok(object) => object,
        Err(story) => return Some(format!("salvage: {story}")),
    };
    let is_right =
        object["status"] == "quarantined" && object["kept"].as_u64().is_some_and(|n| case.salvaged.contains(&n));
    (!is_right).then(|| format!("salvage: {object}, not {:?}", case.salvaged))
}

/// The row of the one object of a run that ended as it should, within its bounds.
fn one_object(ended: &Ended, is_whole: bool) -> Result<Value, String> {
    let rows = ended.rows()?;
    let resident = ended.peak_resident_kib;
    match &rows[..] {
        [object] if ended.code == Some(if is_whole { 0 } else { 3 }) && resident <= RESIDENT_KIB_MAX => {
            Ok(object.clone())
        }
        rows => Err(format!("{} objects, {} MiB, {}", rows.len(), resident >> 10, ended.story())),
    }
}

#[track_caller]
fn check(cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("a.json");
    fs::write(&control, around(&plain(2))).unwrap();
    // The highest of several runs counts, since a short-lived child may end between two looks.
    let needs = (0..5).map(|_| ask(OBJECTS, &control, &[], Limits::default()).peak_address_space_kib).max().unwrap();
    assert!(needs > 0, "the address space of a sound log could not be seen");
    let address_space_kib = Some(needs + ADDRESS_SPACE_ABOVE_KIB);
    let limits = Limits { address_space_kib, open_files: Some(256), time: TIME_MAX };
    let wrong = on_every_core(cases, |case| {
        let wrong = judge(case, folder.path(), limits);
        wrong.into_iter().map(|what| format!("{:26} | {what}", case.file)).collect::<Vec<_>>()
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn damaged_gzips_end_as_the_contract_says() {
    check(&gzips());
}

#[test]
fn damaged_texts_end_as_the_contract_says() {
    check(&texts());
}

#[test]
fn bounds_are_exact() {
    check(&bounds());
}

#[test]
fn bombs_take_little_memory() {
    check(&bombs());
}
