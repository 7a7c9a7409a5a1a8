//! Reads one JSON value without copying it: a checked, flat tree over borrowed bytes.
//! In: the bytes of one value. Out: a [`Value`] to walk, or the [`Fault`] that makes it not JSON.
//! Stricter than most readers where two readers could disagree: duplicate keys (after unescaping) are a fault.
//! Laxer in one place: text that is not UTF-8, or escapes half a surrogate pair, is kept lossily and marked,
//! because clients choose such values and must not be able to make their record vanish.

use std::borrow::Cow;

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// Deepest nesting that is read; AWS's own records stay under ten.
pub const DEPTH_MAX: usize = 128;

/// Why bytes are not one JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Syntax,
    ControlChar,
    DuplicateKey,
    Depth,
    Truncated,
}

impl Fault {
    /// The name of the fault in `quarantine.reason` and `objects.error`.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Syntax => "json_syntax",
            Fault::ControlChar => "json_control_char",
            Fault::DuplicateKey => "json_duplicate_key",
            Fault::Depth => "json_depth",
            Fault::Truncated => "json_truncated",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
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
    kind: Kind,
    /// The string holds a backslash; its text differs from its bytes.
    escaped: bool,
    /// Bytes of the value; of a string without its quotes.
    start: u32,
    end: u32,
    /// Index just past this value's last descendant.
    next: u32,
}

/// The reusable tree: parse into it again and again without allocating.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    keys: Vec<(u64, u32)>,
}

impl Tree {
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Parses exactly one value, white space around it allowed. Values beyond 4 GiB are a fault.
    pub fn parse<'a>(&'a mut self, source: &'a [u8]) -> Result<Value<'a>, Fault> {
        self.nodes.clear();
        self.keys.clear();
        if source.len() >= u32::MAX as usize {
            return Err(Fault::Syntax);
        }
        let mut parser = Parser { source, at: 0, nodes: &mut self.nodes, keys: &mut self.keys };
        parser.value(0)?;
        parser.skip_space();
        if parser.at != source.len() {
            return Err(Fault::Syntax);
        }
        Ok(Value { source, nodes: &self.nodes, at: 0 })
    }
}

/// One JSON value within a parsed [`Tree`]. Cheap to copy; borrows the source bytes.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    source: &'a [u8],
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

    /// The bytes between a string's quotes, or the whole of any other value.
    fn inner(self) -> &'a [u8] {
        let node = self.node();
        &self.source[node.start as usize..node.end as usize]
    }

    pub fn kind(self) -> Kind {
        self.node().kind
    }

    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The value's bytes as written, a string with its quotes.
    pub fn raw(self) -> &'a [u8] {
        let node = self.node();
        match node.kind {
            Kind::String => &self.source[node.start as usize - 1..node.end as usize + 1],
            _ => self.inner(),
        }
    }

    /// A string's text, unescaped, lossy where its bytes are not text. `None` for any other kind.
    pub fn text(self) -> Option<Cow<'a, str>> {
        (self.kind() == Kind::String).then(|| self.decoded().0)
    }

    /// Whether [`Value::text`] had to replace something.
    pub fn is_lossy(self) -> bool {
        self.kind() == Kind::String && self.decoded().1
    }

    fn decoded(self) -> (Cow<'a, str>, bool) {
        let bytes = self.inner();
        if self.node().escaped {
            return unescape(bytes);
        }
        // Checking is several times faster than the lossy walk, and nearly all text is text.
        match std::str::from_utf8(bytes) {
            Ok(text) => (Cow::Borrowed(text), false),
            Err(_) => (Cow::Owned(String::from_utf8_lossy(bytes).into_owned()), true),
        }
    }

    /// The member of an object by its exact key.
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        self.pairs().find(|(name, _)| name.is_text(key)).map(|(_, value)| value)
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
        let end = if node.kind == Kind::Array { node.next } else { 0 };
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
        let end = if node.kind == Kind::Object { node.next } else { 0 };
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
    pub fn canonical_hash(self, seed: u64) -> u128 {
        let tagged = seed ^ (self.kind() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match self.kind() {
            Kind::Object => {
                let sum = self.pairs().fold(0u128, |sum, (key, value)| {
                    sum.wrapping_add(value.canonical_hash(xxh3_64_with_seed(&key.hashed_bytes(), tagged)))
                });
                xxh3_128_with_seed(&sum.to_le_bytes(), tagged)
            }
            Kind::Array => self.items().fold(u128::from(tagged), |hash, item| {
                xxh3_128_with_seed(&item.canonical_hash(tagged).to_le_bytes(), (hash ^ (hash >> 64)) as u64)
            }),
            _ => xxh3_128_with_seed(&self.hashed_bytes(), tagged),
        }
    }

    /// What stands for a scalar in a hash: its text where that is exact, else its bytes.
    fn hashed_bytes(self) -> Cow<'a, [u8]> {
        if !self.node().escaped {
            return Cow::Borrowed(self.inner());
        }
        match self.decoded() {
            (text, false) => Cow::Owned(text.into_owned().into_bytes()),
            (_, true) => Cow::Borrowed(self.inner()),
        }
    }
}

/// Resolves the escapes of a string that [`Parser::string`] has accepted. The flag: something was replaced.
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

/// What a byte means inside a string.
const PLAIN: u8 = 0;
const SPECIAL: u8 = 1;
const STRING_BYTE: [u8; 256] = {
    let mut table = [PLAIN; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = SPECIAL;
        byte += 1;
    }
    table[b'"' as usize] = SPECIAL;
    table[b'\\' as usize] = SPECIAL;
    table
};

struct Parser<'a, 't> {
    source: &'a [u8],
    at: usize,
    nodes: &'t mut Vec<Node>,
    keys: &'t mut Vec<(u64, u32)>,
}

impl Parser<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        self.skip_space();
        match self.peek().ok_or(Fault::Truncated)? {
            b'"' => self.string(),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b't' => self.literal(b"true", Kind::Bool),
            b'f' => self.literal(b"false", Kind::Bool),
            b'n' => self.literal(b"null", Kind::Null),
            _ => self.number(),
        }
    }

    /// Opens a node; [`Parser::close`] fills in where it ends.
    fn open(&mut self, kind: Kind) -> usize {
        let start = self.at as u32;
        self.nodes.push(Node { kind, escaped: false, start, end: start, next: 0 });
        self.nodes.len() - 1
    }

    fn close(&mut self, node: usize, end: usize) {
        let next = self.nodes.len() as u32;
        let node = &mut self.nodes[node];
        node.end = end as u32;
        node.next = next;
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::Depth);
        }
        let node = self.open(Kind::Object);
        let keys_before = self.keys.len();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.close(node, self.at);
            return Ok(());
        }
        loop {
            self.skip_space();
            self.key()?;
            self.skip_space();
            if self.next_byte()? != b':' {
                return Err(Fault::Syntax);
            }
            self.value(depth)?;
            self.skip_space();
            match self.next_byte()? {
                b',' => {}
                b'}' => break,
                _ => return Err(Fault::Syntax),
            }
        }
        self.close(node, self.at);
        self.check_keys(keys_before)
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::Depth);
        }
        let node = self.open(Kind::Array);
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            self.close(node, self.at);
            return Ok(());
        }
        loop {
            self.value(depth)?;
            self.skip_space();
            match self.next_byte()? {
                b',' => {}
                b']' => break,
                _ => return Err(Fault::Syntax),
            }
        }
        self.close(node, self.at);
        Ok(())
    }

    fn next_byte(&mut self) -> Result<u8, Fault> {
        let byte = self.peek().ok_or(Fault::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn key(&mut self) -> Result<(), Fault> {
        if self.peek().ok_or(Fault::Truncated)? != b'"' {
            return Err(Fault::Syntax);
        }
        let node = self.nodes.len() as u32;
        self.string()?;
        let key = Value { source: self.source, nodes: self.nodes, at: node };
        let hash = xxh3_64_with_seed(&key.hashed_bytes(), 0);
        self.keys.push((hash, node));
        Ok(())
    }

    /// Refuses an object that names one key twice: two readers would disagree on what it says.
    fn check_keys(&mut self, keys_before: usize) -> Result<(), Fault> {
        const PAIRWISE_MAX: usize = 32;
        let keys = &mut self.keys[keys_before..];
        let value = |node: u32| Value { source: self.source, nodes: self.nodes, at: node }.hashed_bytes();
        let same = |a: (u64, u32), b: (u64, u32)| a.0 == b.0 && value(a.1) == value(b.1);
        let duplicate = if keys.len() <= PAIRWISE_MAX {
            keys.iter().enumerate().any(|(i, &a)| keys[..i].iter().any(|&b| same(a, b)))
        } else {
            keys.sort_unstable();
            keys.windows(2).any(|pair| same(pair[0], pair[1]))
        };
        self.keys.truncate(keys_before);
        if duplicate { Err(Fault::DuplicateKey) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let node = self.open(Kind::String);
        let mut escaped = false;
        loop {
            let rest = &self.source[self.at..];
            let Some(plain) = rest.iter().position(|&byte| STRING_BYTE[usize::from(byte)] == SPECIAL) else {
                return Err(Fault::Truncated);
            };
            self.at += plain;
            match rest[plain] {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Fault::ControlChar),
            }
        }
        self.close(node, self.at);
        self.nodes[node].escaped = escaped;
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.source.get(self.at + 1).ok_or(Fault::Truncated)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = self.source.get(self.at + 2..self.at + 6).ok_or(Fault::Truncated)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Fault::Syntax);
                }
                self.at += 6;
            }
            _ => return Err(Fault::Syntax),
        }
        Ok(())
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<(), Fault> {
        if !self.source[self.at..].starts_with(word) {
            return Err(Fault::Syntax);
        }
        let node = self.open(kind);
        self.at += word.len();
        self.close(node, self.at);
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let node = self.open(Kind::Number);
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let integer = self.digits()?;
        if leading_zero && integer > 1 {
            return Err(Fault::Syntax);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        self.close(node, self.at);
        Ok(())
    }

    fn digits(&mut self) -> Result<usize, Fault> {
        let count = self.source[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(Fault::Syntax) } else { Ok(count) }
    }
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
            assert_eq!(Tree::new().parse(text.as_bytes()).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn faults_are_named() {
        for (text, fault) in [
            ("{\"a\":1,\"\\u0061\":2}", Fault::DuplicateKey),
            ("[\"a\u{1}\"]", Fault::ControlChar),
            ("{\"a\":", Fault::Truncated),
            ("[1,]", Fault::Syntax),
        ] {
            assert_eq!(Tree::new().parse(text.as_bytes()).err(), Some(fault), "{text}");
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Tree::new().parse(deep(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(Tree::new().parse(deep(DEPTH_MAX + 1).as_bytes()).err(), Some(Fault::Depth));
        assert!(Tree::new().parse(b"{\"a\":1,\"A\":2}").is_ok());
    }

    #[test]
    fn halved_surrogates_and_bad_bytes_are_kept_lossily() {
        let mut tree = Tree::new();
        for bytes in [&b"\"\\ud83d!\""[..], b"\"\\ude00\\ud83d\"", b"\"caf\xe9\""] {
            let value = tree.parse(bytes).unwrap();
            assert!(value.is_lossy());
            assert!(value.text().unwrap().contains('\u{fffd}'));
        }
        assert_eq!(tree.parse(b"\"\\ud83d\\ude00\"").unwrap().text().unwrap(), "\u{1f600}");
    }

    #[test]
    fn content_hash_ignores_order_and_space_only() {
        let hash = |text: &str| Tree::new().parse(text.as_bytes()).unwrap().canonical_hash(7);
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
}
