//! Reads one JSON value without copying it: a checked, flat tree over borrowed bytes.
//! In: the bytes of one value. Out: a [`Value`] to walk, or the [`JsonFault`] that makes it not JSON.
//! Stricter than most readers where two readers could disagree: duplicate keys (after unescaping) are a fault.
//! Laxer in one place: text that is not UTF-8, or escapes half a surrogate pair, is kept lossily and marked,
//! because clients choose such values and must not be able to make their record vanish.

mod names;
mod outline;
mod parser;
mod slots;

use std::borrow::Cow;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::objects::FaultReason;

pub use names::{KnownNames, NamedMembers};
pub use outline::{Backslashes, Outline, OutlineKeys, RecordScreen};
use parser::{JsonParser, tag};

/// Deepest nesting that is read; AWS's own records stay under ten.
pub const DEPTH_MAX: usize = 128;

/// The reason that bytes are not one JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonFault {
    Syntax,
    ControlChar,
    DuplicateKey,
    Depth,
    Truncated,
}

impl JsonFault {
    /// As it stands in `quarantine.reason` and `objects.error`.
    pub fn reason(self) -> FaultReason {
        match self {
            JsonFault::Syntax => FaultReason::JsonSyntax,
            JsonFault::ControlChar => FaultReason::JsonControlChar,
            JsonFault::DuplicateKey => FaultReason::JsonDuplicateKey,
            JsonFault::Depth => FaultReason::JsonDepth,
            JsonFault::Truncated => FaultReason::JsonTruncated,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonKind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// One value of the tree, in document order: a container is followed by its members, a key by its value.
#[derive(Debug, Clone, Copy)]
struct Node {
    kind: JsonKind,
    /// The string holds a backslash; its text differs from its bytes.
    escaped: bool,
    /// Bytes of the value; of a string without its quotes.
    start: u32,
    end: u32,
    /// Index just past this value's last descendant; of a key, which has none, the lower half of its tag.
    next: u32,
}

impl Node {
    fn key_tag(&self) -> u32 {
        self.next
    }
}

/// The reusable tree: parse into it again and again without allocating.
#[derive(Debug, Default)]
pub struct JsonTree {
    nodes: Vec<Node>,
    keys: Vec<(u64, u32)>,
}

impl JsonTree {
    pub fn new() -> JsonTree {
        JsonTree::default()
    }

    /// Parses exactly one value, white space around it allowed. Values beyond 4 GiB are a fault.
    pub fn parse<'a>(&'a mut self, source: &'a [u8]) -> Result<Value<'a>, JsonFault> {
        self.nodes.clear();
        self.keys.clear();
        if source.len() >= u32::MAX as usize {
            return Err(JsonFault::Syntax);
        }
        JsonParser::new(source, &mut self.nodes, &mut self.keys).document()?;
        // One check of the whole is several times faster than one of each string.
        let source = simdutf8::basic::from_utf8(source).map_or(SourceBytes::Bytes(source), SourceBytes::Text);
        Ok(Value { source, nodes: &self.nodes, at: 0 })
    }
}

/// The bytes that were parsed, as text where they are text.
#[derive(Clone, Copy)]
enum SourceBytes<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// One JSON value within a parsed [`JsonTree`]. Cheap to copy; borrows the source bytes.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    source: SourceBytes<'a>,
    nodes: &'a [Node],
    at: u32,
}

impl<'a> Value<'a> {
    fn node(self) -> &'a Node {
        &self.nodes[self.at as usize]
    }

    fn child(self, at: u32) -> Value<'a> {
        Value { at, ..self }
    }

    fn bytes(self) -> &'a [u8] {
        match self.source {
            SourceBytes::Text(text) => text.as_bytes(),
            SourceBytes::Bytes(bytes) => bytes,
        }
    }

    /// The range of the value's bytes, a string's with its quotes.
    fn span(self) -> Range<usize> {
        let node = self.node();
        let quote = usize::from(node.kind == JsonKind::String);
        node.start as usize - quote..node.end as usize + quote
    }

    /// The bytes between a string's quotes, or the whole of any other value.
    fn inner(self) -> &'a [u8] {
        let node = self.node();
        &self.bytes()[node.start as usize..node.end as usize]
    }

    pub fn kind(self) -> JsonKind {
        self.node().kind
    }

    pub fn is_null(self) -> bool {
        self.kind() == JsonKind::Null
    }

    /// The value's bytes as written, a string with its quotes.
    pub fn raw(self) -> &'a [u8] {
        &self.bytes()[self.span()]
    }

    /// As [`Value::raw`], lossy where the bytes are not text.
    pub fn raw_text(self) -> Cow<'a, str> {
        match self.source {
            SourceBytes::Text(text) => Cow::Borrowed(&text[self.span()]),
            SourceBytes::Bytes(bytes) => String::from_utf8_lossy(&bytes[self.span()]),
        }
    }

    /// A string's text, unescaped, lossy where its bytes are not text. `None` for any other kind.
    pub fn text(self) -> Option<Cow<'a, str>> {
        (self.kind() == JsonKind::String).then(|| self.decoded().0)
    }

    /// True if [`Value::text`] had to replace something.
    pub fn is_lossy(self) -> bool {
        self.kind() == JsonKind::String && self.decoded().1
    }

    fn decoded(self) -> (Cow<'a, str>, bool) {
        let node = self.node();
        let inner = node.start as usize..node.end as usize;
        match self.source {
            _ if node.escaped => unescape(self.inner()),
            SourceBytes::Text(text) => (Cow::Borrowed(&text[inner]), false),
            SourceBytes::Bytes(bytes) => {
                let text = String::from_utf8_lossy(&bytes[inner]);
                let is_lossy = matches!(text, Cow::Owned(_));
                (text, is_lossy)
            }
        }
    }

    /// The member of an object by its exact key.
    #[inline]
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        self.get_tagged(tag(key.as_bytes()), key)
    }

    fn get_tagged(self, tag: u64, key: &str) -> Option<Value<'a>> {
        let is_named = |name: Value| name.node().key_tag() == tag as u32 && name.is_text(key);
        self.pairs().find(|(name, _)| is_named(*name)).map(|(_, value)| value)
    }

    pub fn path(self, keys: &[&str]) -> Option<Value<'a>> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The members of an object, in document order; nothing for other kinds.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Value<'a>)> {
        self.pairs().map(|(key, value)| (key.decoded().0, value))
    }

    /// The items of an array; nothing for other kinds.
    pub fn items(self) -> impl Iterator<Item = Value<'a>> {
        let node = self.node();
        let end = if node.kind == JsonKind::Array { node.next } else { 0 };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let value = self.child(at);
                at = value.node().next;
                value
            })
        })
    }

    fn pairs(self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let node = self.node();
        let end = if node.kind == JsonKind::Object { node.next } else { 0 };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let (key, value) = (self.child(at), self.child(at + 1));
                at = value.node().next;
                (key, value)
            })
        })
    }

    fn is_text(self, text: &str) -> bool {
        if self.node().escaped { self.decoded().0 == text } else { self.inner() == text.as_bytes() }
    }

    /// A hash of the content: the same for any order of keys and any white space, numbers as written.
    pub fn canonical_hash(self, seed: u64) -> u64 {
        let [hash] = self.canonical_hashes([seed]);
        hash
    }

    /// As [`Value::canonical_hash`], with several seeds.
    pub fn canonical_hashes<const N: usize>(self, seeds: [u64; N]) -> [u64; N] {
        let tag = (self.kind() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let tagged = seeds.map(|seed| seed ^ tag);
        match self.kind() {
            JsonKind::Object => {
                let add = |sums, pair| both(sums, pair_hashes(pair, seeds), u64::wrapping_add);
                both(self.pairs().fold([0; N], add), tagged, mix)
            }
            JsonKind::Array => {
                self.items().fold(tagged, |hashes, item| both(hashes, item.canonical_hashes(seeds), mix))
            }
            _ => {
                let bytes = self.hashed_bytes();
                tagged.map(|seed| xxh3_64_with_seed(&bytes, seed))
            }
        }
    }

    /// The bytes that a scalar is hashed and compared by: its text if that is exact, else its bytes as written behind a byte
    /// that no text has, since a text may look as another one is written.
    fn hashed_bytes(self) -> Cow<'a, [u8]> {
        if !self.node().escaped {
            return Cow::Borrowed(self.inner());
        }
        match self.decoded() {
            (text, false) => Cow::Owned(text.into_owned().into_bytes()),
            (_, true) => Cow::Owned([&[INEXACT], self.inner()].concat()),
        }
    }
}

/// Stands before what is no exact text; UTF-8 has no such byte.
const INEXACT: u8 = 0xff;

/// The hashes of a member of an object.
fn pair_hashes<const N: usize>((key, value): (Value, Value), seeds: [u64; N]) -> [u64; N] {
    let (name, content) = (key.node(), value.node());
    let is_plain = !name.escaped && !content.escaped && !matches!(content.kind, JsonKind::Object | JsonKind::Array);
    let quote = u32::from(content.kind == JsonKind::String);
    // The usual `"key":"value"` is hashed in one go.
    if is_plain && name.end + 2 + quote == content.start {
        let bytes = &key.bytes()[name.start as usize..content.end as usize];
        return seeds.map(|seed| xxh3_64_with_seed(bytes, seed));
    }
    let name = key.hashed_bytes();
    let apart = || both(seeds.map(|seed| xxh3_64_with_seed(&name, !seed)), value.canonical_hashes(seeds), mix);
    // Content that can be written as above must have that hash, however it is written.
    if matches!(content.kind, JsonKind::Object | JsonKind::Array) {
        return apart();
    }
    let text = value.hashed_bytes();
    let needs_no_escape = |text: &[u8]| memchr::memchr2(b'"', b'\\', text).is_none();
    if !(needs_no_escape(&name) && needs_no_escape(&text)) {
        return apart();
    }
    let colon: &[u8] = if quote == 1 { b"\":\"" } else { b"\":" };
    let joined = [&name, colon, &text].concat();
    seeds.map(|seed| xxh3_64_with_seed(&joined, seed))
}

/// Two rows of numbers, put together one by one.
fn both<const N: usize>(a: [u64; N], b: [u64; N], with: fn(u64, u64) -> u64) -> [u64; N] {
    std::array::from_fn(|at| with(a[at], b[at]))
}

/// One hash of two, which depends on their order.
fn mix(first: u64, second: u64) -> u64 {
    let product = u128::from(first ^ 0xa076_1d64_78bd_642f) * u128::from(second ^ 0xe703_7ed1_a0b4_28db);
    (product ^ (product >> 64)) as u64
}

/// Resolves the escapes of a string that [`JsonParser::string`] has accepted. The flag: something was replaced.
fn unescape<'a>(bytes: &[u8]) -> (Cow<'a, str>, bool) {
    let mut text = String::with_capacity(bytes.len());
    let mut lossy = false;
    let mut rest = bytes;
    while let Some(backslash) = memchr::memchr(b'\\', rest) {
        let plain = String::from_utf8_lossy(&rest[..backslash]);
        lossy |= matches!(plain, Cow::Owned(_));
        text.push_str(&plain);
        let (character, used) = escape(&rest[backslash..]);
        lossy |= character.is_none();
        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = &rest[backslash + used..];
    }
    let plain = String::from_utf8_lossy(rest);
    lossy |= matches!(plain, Cow::Owned(_));
    text.push_str(&plain);
    (Cow::Owned(text), lossy)
}

/// The character of one escape and the bytes it takes; `None` for half a surrogate pair.
fn escape(bytes: &[u8]) -> (Option<char>, usize) {
    let simple = |character| (Some(character), 2);
    match bytes[1] {
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'u' => {
            let high = hex4(&bytes[2..6]);
            if (0xd800..0xdc00).contains(&high) && bytes.get(6..8) == Some(b"\\u") {
                let low = hex4(&bytes[8..12]);
                if (0xdc00..0xe000).contains(&low) {
                    return (char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12);
                }
            }
            (char::from_u32(high), 6)
        }
        other => simple(char::from(other)),
    }
}

fn hex4(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, &digit| value * 16 + char::from(digit).to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_serde_json_accepts_but_for_duplicate_keys() {
        for text in [
            "{}",
            "[]",
            "[1,2.5,-0,1e9,\"a\\u00e9\\ud83d\\ude00\"]",
            "{\"a\":{\"b\":[null,true,false]}}",
            "01",
            "+1",
            "1.",
            ".5",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "\"\\x\"",
            "\"a\nb\"",
            "nul",
            "[",
            "{\"a\"",
            "\"abc",
            " 7 ",
            "NaN",
            "1 2",
            "",
        ] {
            let expected = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(JsonTree::new().parse(text.as_bytes()).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn faults_are_named() {
        for (text, fault) in [
            ("{\"a\":1,\"\\u0061\":2}", JsonFault::DuplicateKey),
            ("[\"a\u{1}\"]", JsonFault::ControlChar),
            ("{\"a\":", JsonFault::Truncated),
            ("[1,]", JsonFault::Syntax),
        ] {
            assert_eq!(JsonTree::new().parse(text.as_bytes()).err(), Some(fault), "{text}");
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(JsonTree::new().parse(deep(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(JsonTree::new().parse(deep(DEPTH_MAX + 1).as_bytes()).err(), Some(JsonFault::Depth));
        assert!(JsonTree::new().parse(b"{\"a\":1,\"A\":2}").is_ok());
        // Half a pair, and a text that looks as it is written.
        assert!(JsonTree::new().parse(b"{\"\\ud800\":1,\"\\\\ud800\":2}").is_ok());
    }

    #[test]
    fn a_key_that_repeats_is_found_among_any_number() {
        for count in 1..80 {
            let names: Vec<String> = (0..count).map(|number| format!("key-{number}")).collect();
            let object = |names: &[String]| {
                let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":{{\"key-0\":1}}")).collect();
                format!("{{{}}}", members.join(","))
            };
            assert!(JsonTree::new().parse(object(&names).as_bytes()).is_ok(), "{count} keys");
            for again in 0..count {
                let repeated = [names.as_slice(), &names[again..=again]].concat();
                let fault = JsonTree::new().parse(object(&repeated).as_bytes()).err();
                assert_eq!(fault, Some(JsonFault::DuplicateKey), "key {again} of {count}");
            }
        }
    }

    #[test]
    fn halved_surrogates_and_bad_bytes_are_kept_lossily() {
        let mut tree = JsonTree::new();
        for bytes in [&b"\"\\ud83d!\""[..], b"\"\\ude00\\ud83d\"", b"\"caf\xe9\""] {
            let value = tree.parse(bytes).unwrap();
            assert!(value.is_lossy());
            assert!(value.text().unwrap().contains('\u{fffd}'));
        }
        assert_eq!(tree.parse(b"\"\\ud83d\\ude00\"").unwrap().text().unwrap(), "\u{1f600}");
    }

    #[test]
    fn content_hash_ignores_order_and_space_only() {
        let hash = |text: &str| JsonTree::new().parse(text.as_bytes()).unwrap().canonical_hash(7);
        assert_eq!(hash("{\"a\":1,\"b\":[1,2]}"), hash("{ \"b\": [1, 2], \"\\u0061\": 1 }"));
        for other in [
            "{\"a\":1,\"b\":[2,1]}",
            "{\"a\":1.0,\"b\":[1,2]}",
            "{\"a\":\"1\",\"b\":[1,2]}",
            "{\"a\":1,\"b\":[1,2],\"c\":null}",
        ] {
            assert_ne!(hash("{\"a\":1,\"b\":[1,2]}"), hash(other), "{other}");
        }
    }

    /// All texts of at most so many of these parts.
    fn texts(parts: &[&str], parts_max: usize) -> Vec<String> {
        let (mut all, mut begins) = (vec![String::new()], 0);
        for _ in 0..parts_max {
            let end = all.len();
            for at in begins..end {
                all.extend(parts.iter().map(|part| format!("{}{part}", all[at])).collect::<Vec<_>>());
            }
            begins = end;
        }
        all
    }

    fn is_same(value: Value, expected: &serde_json::Value) -> bool {
        use serde_json::Value as Json;
        let is_scalar = |kind| {
            value.kind() == kind && serde_json::from_slice::<Json>(value.raw()).is_ok_and(|found| found == *expected)
        };
        match expected {
            Json::Null => is_scalar(JsonKind::Null) && value.is_null(),
            Json::Bool(_) => is_scalar(JsonKind::Bool) && !value.is_null(),
            Json::Number(_) => is_scalar(JsonKind::Number) && value.text().is_none(),
            Json::String(text) => is_scalar(JsonKind::String) && value.text().unwrap() == *text && !value.is_lossy(),
            Json::Array(items) => {
                let found: Vec<Value> = value.items().collect();
                let are_same = found.iter().zip(items).all(|(found, item)| is_same(*found, item));
                value.kind() == JsonKind::Array && found.len() == items.len() && are_same
            }
            Json::Object(members) => {
                let found: Vec<_> = value.members().collect();
                let are_same = members.iter().all(|(name, member)| {
                    let is_there = found.iter().any(|(key, value)| key == name && is_same(*value, member));
                    is_there && value.get(name).is_some_and(|value| is_same(value, member))
                });
                value.kind() == JsonKind::Object && found.len() == members.len() && are_same
            }
        }
    }

    #[test]
    fn all_short_texts_are_what_serde_json_says() {
        let names = ["\"a\"", "\"\\u0061\""];
        let brackets = ["{", "}", "[", "]", ",", ":", names[0], names[1], "0", " "];
        let words = ["t", "true", "fals", "e", "null", "\r\n\t", "[", ",", "]", "\u{b}", "x"];
        let escapes = [
            "\"",
            "\\",
            "u",
            "0",
            "00e9",
            "\\ud83d",
            "\\uDE00",
            "\\udbff",
            "\\udfff",
            "\\ud7ff",
            "\\ue000",
            "\\n\\t\\r",
            "\\b\\f\\/",
            "é",
            "\t",
            "0123456789abcdef",
        ];
        let quoted = texts(&escapes, 4).into_iter().map(|inner| format!("\"{inner}\""));
        let all = texts(&brackets, 5).into_iter().chain(texts(&words, 4)).chain(quoted);
        let (mut tree, mut valid, mut lossy, mut repeated) = (JsonTree::new(), 0, 0, 0);
        for text in all.chain(texts(&["0", "1", "-", "+", ".", "e", "E"], 5)) {
            let expected = serde_json::from_str::<serde_json::Value>(&text);
            match (tree.parse(text.as_bytes()), expected) {
                (Ok(value), Ok(expected)) => {
                    assert!(is_same(value, &expected), "{text}");
                    valid += 1;
                }
                // Half a surrogate pair stays.
                (Ok(value), Err(_)) => {
                    assert!(value.is_lossy() && text.to_lowercase().contains("\\ud"), "{text}");
                    lossy += 1;
                }
                (Err(JsonFault::DuplicateKey), Ok(_)) => {
                    assert!(names.iter().map(|name| text.matches(name).count()).sum::<usize>() > 1, "{text}");
                    repeated += 1;
                }
                (Err(fault), Ok(_)) => panic!("{fault:?} of {text}"),
                (Err(_), Err(_)) => {}
            }
        }
        assert!(valid > 1000 && lossy > 100, "{valid} {lossy} {repeated}");
    }

    /// Names are looked for by a tag, which names that are alike can share.
    #[test]
    fn names_with_one_tag_are_different_names() {
        let long = ["aaaaaaaaaaaaaaaa", "aaa`aaaaaaaaaaai"];
        assert_eq!(parser::tag(long[0].as_bytes()), parser::tag(long[1].as_bytes()));
        let short = ["aName", "bName"];
        assert_eq!(parser::tag(short[0].as_bytes()) as u32, parser::tag(short[1].as_bytes()) as u32);
        for [one, other] in [long, short, ["xy", "z"]] {
            let text = format!("{{\"{one}\":1,\"{other}\":2}}");
            let mut tree = JsonTree::new();
            let value = tree.parse(text.as_bytes()).unwrap();
            assert_eq!([one, other].map(|name| value.get(name).unwrap().raw()), [b"1", b"2"]);
            let text = format!("{{\"{other}\":2}}");
            assert!(tree.parse(text.as_bytes()).unwrap().get(one).is_none());
        }
    }

    #[test]
    fn each_end_of_a_text_has_its_fault() {
        use JsonFault::{ControlChar, DuplicateKey, Syntax, Truncated};
        for (fault, texts) in [
            (
                Truncated,
                &["", " ", "{", "[", "[1", "[1,", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "\"", "\"\\"][..],
            ),
            (Truncated, &["\"\\u", "\"\\u00e", "\"\\u00e9"]),
            (Syntax, &["{]", "{1:2}", "tru", "-", "1.", "1e", "\"\\x\"", "\"\\u00g0\"", "[1 2]", "{\"a\" 1}", "1 2"]),
            (Syntax, &["{\"a\":1 \"b\":2}", "{\"a\":1]", "[1}", "{,}", "[,]", "00", "-00", "trux", "nul", "falsy"]),
            (ControlChar, &["\"\n\"", "{\"\u{1f}\":1}", "\"0123456789abcdef\u{0}0123456789abcdef\""]),
            (DuplicateKey, &["{\"b\":{\"a\":1,\"a\":2}}", "[{\"\":1,\"\":1}]", "{\"\\u0061\":1,\"\\u0061\":1}"]),
        ] {
            for text in texts {
                assert_eq!(JsonTree::new().parse(text.as_bytes()).err(), Some(fault), "{text:?}");
            }
        }
        let deep = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        assert!(JsonTree::new().parse(deep(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(JsonTree::new().parse(deep(DEPTH_MAX + 1).as_bytes()).err(), Some(JsonFault::Depth));
    }

    #[test]
    fn strings_of_any_length_end_at_their_quote() {
        let mut tree = JsonTree::new();
        for length in 0..40 {
            let plain = "a".repeat(length);
            for byte in 0..0x80u8 {
                let text = format!("[\"{plain}{}{plain}\"]", char::from(byte));
                let found = tree.parse(text.as_bytes()).map(|value| value.items().next().unwrap().text().unwrap());
                match byte {
                    0..0x20 => assert_eq!(found.err(), Some(JsonFault::ControlChar), "{byte} at {length}"),
                    b'"' | b'\\' => assert_ne!(found.ok().as_deref(), Some(&text[2..text.len() - 2]), "{length}"),
                    _ => assert_eq!(found.unwrap(), text[2..text.len() - 2], "{byte} at {length}"),
                }
            }
        }
    }

    #[test]
    fn what_is_not_text_is_lossy_alone() {
        let mut tree = JsonTree::new();
        let value =
            tree.parse(b"[\"caf\xe9\",\"caf\xe9 \\u0041\",\"\\u0041 caf\xe9\",\"caf\\u00e9\",\"caf\",{\"\xe9\":1}]");
        let items: Vec<Value> = value.unwrap().items().collect();
        let found = items.iter().map(|item| (item.text(), item.is_lossy()));
        let expected =
            [("caf\u{fffd}", true), ("caf\u{fffd} A", true), ("A caf\u{fffd}", true), ("café", false), ("caf", false)];
        let expected = expected.map(|(text, is_lossy)| (Some(Cow::Borrowed(text)), is_lossy));
        assert_eq!(found.collect::<Vec<_>>(), [&expected[..], &[(None, false)]].concat());
        assert_eq!(items[0].raw_text(), "\"caf\u{fffd}\"");
        assert_eq!(items[4].raw_text(), "\"caf\"");
        assert_eq!(items[5].raw_text(), "{\"\u{fffd}\":1}");
        assert_eq!(items[5].raw(), b"{\"\xe9\":1}");
        assert_eq!(tree.parse(b"{\"a\":{\"b\":[7]}}").unwrap().path(&["a", "b"]).unwrap().raw(), b"[7]");
        let value = tree.parse(b"{\"a\":{\"b\":7}}").unwrap();
        assert!(value.path(&["a", "c"]).is_none() && value.path(&["b"]).is_none() && value.items().next().is_none());
    }

    #[test]
    fn a_content_has_one_hash_however_it_is_written() {
        let contents = [
            &[
                "{\"a\":\"x\"}",
                "{ \"a\" : \"x\" }",
                "{\"\\u0061\":\"x\"}",
                "{\"a\":\"\\u0078\"}",
                "{\"\\u0061\" :\"\\u0078\"}",
            ][..],
            &["{\"a\":\"x\\\"y\"}", "{\"a\": \"x\\u0022y\"}", "{\"\\u0061\":\"x\\\"y\"}"],
            &["{\"a\":\"b\\\":\\\"c\"}", "{\"a\":\"b\\u0022:\\\"c\"}"],
            &["{\"a\\\":\\\"b\":\"c\"}", "{\"a\\u0022:\\\"b\": \"c\"}"],
            &["{\"a\":\"\\\\\"}", "{\"a\":\"\\u005c\"}"],
            &["{\"a\":\"\\ud800\"}"],
            &["{\"a\":\"\\\\ud800\"}", "{\"a\":\"\\u005cud800\"}"],
            &["{\"a\":\"\"}", "{\"a\" :\"\"}"],
            &["{\"a\":1}", "{\"a\": 1}", "{\"\\u0061\":1}"],
            &["{\"a\":\"1\"}"],
            &["{\"a\":10}"],
            &["{\"a1\":0}"],
            &["{\"a\":true}"],
            &["{\"a\":null}"],
            &["{\"a\":{}}", "{\"a\": { }}", "{\"\\u0061\":{}}"],
            &["{\"a\":[]}", "{\"\\u0061\" : [ ]}"],
            &["{\"a\":[1]}"],
            &["{\"a\":[[1]]}"],
            &["{\"a\":{\"b\":1}}"],
            &["{\"b\":{\"a\":1}}"],
            &["{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"],
            &["{\"a\":2,\"b\":1}"],
            &["{}", " { } "],
            &["[]"],
            &["[{}]"],
            &["[1,2]", "[1 , 2]"],
            &["[2,1]"],
            &["[1,[2]]"],
            &["[\"1\"]"],
            &["\"a\"", "\"\\u0061\""],
            &["\"\\ud800\""],
            &["\"\\ufffd\"", "\"\u{fffd}\""],
            &["null"],
            &["\"null\""],
        ];
        let hash = |text: &str, seed| JsonTree::new().parse(text.as_bytes()).unwrap().canonical_hash(seed);
        let mut seen = std::collections::HashMap::new();
        for (content, texts) in contents.iter().enumerate() {
            for (text, seed) in texts.iter().flat_map(|text| [(text, 0), (text, 7)]) {
                assert_eq!(hash(text, seed), hash(texts[0], seed), "{text}");
                let before = seen.insert(hash(text, seed), (content, seed));
                assert!(before.is_none_or(|before| before == (content, seed)), "{text} {before:?}");
            }
        }
        let mut tree = JsonTree::new();
        let value = tree.parse(b"{\"a\":[1,{\"b\":\"c\"}]}").unwrap();
        assert_eq!(value.canonical_hashes([1, 2]), [1, 2].map(|seed| value.canonical_hash(seed)));
    }
}
