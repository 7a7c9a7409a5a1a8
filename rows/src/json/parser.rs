//! Checks the bytes of one JSON value and lays out its tree.
//! In: bytes. Out: nodes in document order, or the fault that makes the bytes not JSON.

use wide::u8x16;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{DEPTH_MAX, JsonFault, JsonKind, Node, SourceBytes, Value};

/// Bytes before the first quote, backslash or control character.
fn plain_length(bytes: &[u8]) -> usize {
    let (chunks, tail) = bytes.as_chunks::<16>();
    for (index, chunk) in chunks.iter().enumerate() {
        let lane = u8x16::new(*chunk);
        let control = lane.min(u8x16::splat(0x1f)).simd_eq(lane);
        let special = control | lane.simd_eq(u8x16::splat(b'"')) | lane.simd_eq(u8x16::splat(b'\\'));
        let mask = special.to_bitmask();
        if mask != 0 {
            return index * 16 + mask.trailing_zeros() as usize;
        }
    }
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    chunks.len() * 16 + tail.iter().position(is_special).unwrap_or(tail.len())
}

/// Keys that are the same have the same tag; most that differ have different ones.
pub(super) const fn tag(key: &[u8]) -> u64 {
    let (mut first, mut last) = (0u64, 0u64);
    if let (Some(head), Some(tail)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (first, last) = (u64::from_be_bytes(*head), u64::from_be_bytes(*tail));
    } else {
        let mut at = 0;
        while at < key.len() {
            first = first << 8 | key[at] as u64;
            at += 1;
        }
    }
    first ^ last.rotate_left(29) ^ (key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A parser by descent, as deep as [`DEPTH_MAX`].
pub(super) struct JsonParser<'a, 't> {
    source: &'a [u8],
    at: usize,
    nodes: &'t mut Vec<Node>,
    /// Tag and node of each key of the objects under way.
    keys: &'t mut Vec<(u64, u32)>,
}

impl<'a, 't> JsonParser<'a, 't> {
    pub(super) fn new(source: &'a [u8], nodes: &'t mut Vec<Node>, keys: &'t mut Vec<(u64, u32)>) -> JsonParser<'a, 't> {
        JsonParser { source, at: 0, nodes, keys }
    }

    /// Exactly one value, white space around it allowed.
    pub(super) fn document(&mut self) -> Result<(), JsonFault> {
        self.value(0)?;
        self.skip_space();
        if self.at == self.source.len() { Ok(()) } else { Err(JsonFault::Syntax) }
    }

    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), JsonFault> {
        self.skip_space();
        match self.peek().ok_or(JsonFault::Truncated)? {
            b'"' => self.string(),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b't' => self.literal(b"true", JsonKind::Bool),
            b'f' => self.literal(b"false", JsonKind::Bool),
            b'n' => self.literal(b"null", JsonKind::Null),
            _ => self.number(),
        }
    }

    /// Adds a value that nothing stands in, from `start` to here.
    fn leaf(&mut self, kind: JsonKind, start: usize) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { kind, escaped: false, start: start as u32, end: self.at as u32, next });
    }

    /// Opens a container; [`JsonParser::close`] fills in where it ends.
    fn open(&mut self, kind: JsonKind) -> usize {
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

    fn object(&mut self, depth: usize) -> Result<(), JsonFault> {
        if depth > DEPTH_MAX {
            return Err(JsonFault::Depth);
        }
        let node = self.open(JsonKind::Object);
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
                return Err(JsonFault::Syntax);
            }
            self.value(depth)?;
            self.skip_space();
            match self.next_byte()? {
                b',' => {}
                b'}' => break,
                _ => return Err(JsonFault::Syntax),
            }
        }
        self.close(node, self.at);
        self.check_keys(keys_before)
    }

    fn array(&mut self, depth: usize) -> Result<(), JsonFault> {
        if depth > DEPTH_MAX {
            return Err(JsonFault::Depth);
        }
        let node = self.open(JsonKind::Array);
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
                _ => return Err(JsonFault::Syntax),
            }
        }
        self.close(node, self.at);
        Ok(())
    }

    fn next_byte(&mut self) -> Result<u8, JsonFault> {
        let byte = self.peek().ok_or(JsonFault::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn key(&mut self) -> Result<(), JsonFault> {
        if self.peek().ok_or(JsonFault::Truncated)? != b'"' {
            return Err(JsonFault::Syntax);
        }
        let node = self.nodes.len() as u32;
        self.string()?;
        let Node { start, end, escaped, .. } = self.nodes[node as usize];
        let tag = match escaped {
            false => tag(&self.source[start as usize..end as usize]),
            true => tag(&self.value_at(node).hashed_bytes()),
        };
        self.nodes[node as usize].next = tag as u32;
        self.keys.push((tag, node));
        Ok(())
    }

    /// Refuses an object that names one key twice, since two readers would disagree on its value.
    fn check_keys(&mut self, keys_before: usize) -> Result<(), JsonFault> {
        const PAIRWISE_MAX: usize = 32;
        let (source, nodes) = (SourceBytes::Bytes(self.source), &*self.nodes);
        let value = |node: u32| Value { source, nodes, at: node }.hashed_bytes();
        let keys = &mut self.keys[keys_before..];
        let same = |a: (u64, u32), b: (u64, u32)| a.0 == b.0 && value(a.1) == value(b.1);
        let duplicate = if keys.len() <= PAIRWISE_MAX {
            let mut seen = [0u64; 4];
            keys.iter().enumerate().any(|(index, &key)| {
                let place = (key.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize;
                let (word, bit) = (&mut seen[place / 64], 1 << (place % 64));
                let may_repeat = *word & bit != 0;
                *word |= bit;
                may_repeat && keys[..index].iter().any(|&earlier| same(earlier, key))
            })
        } else {
            keys.iter_mut().for_each(|(tag, node)| *tag = xxh3_64_with_seed(&value(*node), 0));
            keys.sort_unstable();
            keys.windows(2).any(|pair| same(pair[0], pair[1]))
        };
        self.keys.truncate(keys_before);
        if duplicate { Err(JsonFault::DuplicateKey) } else { Ok(()) }
    }

    fn value_at(&self, node: u32) -> Value<'_> {
        Value { source: SourceBytes::Bytes(self.source), nodes: self.nodes, at: node }
    }

    fn string(&mut self) -> Result<(), JsonFault> {
        self.at += 1;
        let start = self.at as u32;
        let mut escaped = false;
        loop {
            self.at += plain_length(&self.source[self.at..]);
            match self.peek().ok_or(JsonFault::Truncated)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(JsonFault::ControlChar),
            }
        }
        let (end, next) = (self.at as u32, self.nodes.len() as u32 + 1);
        self.nodes.push(Node { kind: JsonKind::String, escaped, start, end, next });
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), JsonFault> {
        match self.source.get(self.at + 1).ok_or(JsonFault::Truncated)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = self.source.get(self.at + 2..self.at + 6).ok_or(JsonFault::Truncated)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(JsonFault::Syntax);
                }
                self.at += 6;
            }
            _ => return Err(JsonFault::Syntax),
        }
        Ok(())
    }

    fn literal(&mut self, word: &[u8], kind: JsonKind) -> Result<(), JsonFault> {
        if !self.source[self.at..].starts_with(word) {
            return Err(JsonFault::Syntax);
        }
        let start = self.at;
        self.at += word.len();
        self.leaf(kind, start);
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let integer = self.digits()?;
        if leading_zero && integer > 1 {
            return Err(JsonFault::Syntax);
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
        self.leaf(JsonKind::Number, start);
        Ok(())
    }

    fn digits(&mut self) -> Result<usize, JsonFault> {
        let count = self.source[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(JsonFault::Syntax) } else { Ok(count) }
    }
}
