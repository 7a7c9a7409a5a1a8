//! Finds the end of a JSON value, sixty-four bytes at a time, and notes the places of an object's members.
//! In: bytes from a value's start, in one piece or in several. Out: its length, and its outline if it was one piece.
//! Never checks that the value is JSON: it goes by brackets and quotes alone, and the parser does the rest.

use wide::u8x16;

use crate::json::{Backslashes, Outline};

/// The bytes after those at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BytesAhead {
    /// More bytes may follow.
    More,
    /// The document ends here.
    Nothing,
}

/// A search for the end of a value, by its brackets outside strings; resumable at any byte.
#[derive(Debug, Default)]
pub(super) struct BracketScan {
    depth: u32,
    depth_seen: u32,
    in_string: bool,
    escaped: bool,
    started: bool,
    in_scalar: bool,
    backslashes: Backslashes,
    /// Places of the colons of the value's own members; complete only if it was seen in one piece.
    colons: Vec<u32>,
    in_pieces: bool,
}

const BLOCK: usize = 64;

impl BracketScan {
    /// As [`BracketScan::find_end`], also for numbers and literals, which end before the next separator.
    pub(super) fn find_end_or_scalar(&mut self, bytes: &[u8], follows: BytesAhead) -> Option<usize> {
        if self.started || !self.in_scalar && matches!(bytes.first(), Some(b'{' | b'[' | b'"')) {
            self.started = true;
            return self.find_end(bytes);
        }
        self.in_scalar |= !bytes.is_empty();
        let separator = bytes.iter().position(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t'));
        separator.or_else(|| (follows == BytesAhead::Nothing && self.in_scalar).then_some(bytes.len()))
    }

    /// The deepest nesting so far.
    pub(super) fn depth_seen(&self) -> u32 {
        self.depth_seen
    }

    /// Gets ready for the next value.
    pub(super) fn begin(&mut self) {
        self.colons.clear();
        *self = BracketScan { colons: std::mem::take(&mut self.colons), ..BracketScan::default() };
    }

    /// The outline of the value that has just ended.
    pub(super) fn outline<'b>(&'b self, bytes: &'b [u8]) -> Option<Outline<'b>> {
        if self.in_pieces { None } else { Outline::new(bytes, &self.colons, self.backslashes) }
    }

    /// The length of the object, array or string that `bytes` goes on with, or `None` if it does not end here.
    pub(super) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let (blocks, tail) = bytes.as_chunks::<BLOCK>();
        for (index, block) in blocks.iter().enumerate() {
            if let Some(end) = self.block(block, index * BLOCK) {
                return Some(index * BLOCK + end);
            }
        }
        let end = self.bytes(tail, blocks.len() * BLOCK).map(|end| blocks.len() * BLOCK + end);
        self.in_pieces |= end.is_none();
        end
    }

    /// Sixty-four bytes at once, as bit masks; a block outside all brackets that begins with none goes byte by byte.
    fn block(&mut self, block: &[u8; BLOCK], base: usize) -> Option<usize> {
        let masks = BlockMasks::of(block);
        if self.depth == 0 && (self.in_string || !matches!(block[0], b'{' | b'[')) {
            return self.bytes(block, base);
        }
        let mut quotes = masks.quote;
        if masks.backslash != 0 || self.escaped {
            self.backslashes = if masks.backslash != 0 { Backslashes::Present } else { self.backslashes };
            quotes &= !self.escaped_bytes(masks.backslash);
        }
        let inside = prefix_xor(quotes) ^ (if self.in_string { u64::MAX } else { 0 });
        let colons = masks.colon & !inside;
        let mut brackets = masks.bracket & !inside;
        let mut unseen = u64::MAX;
        while brackets != 0 {
            let bit = brackets.trailing_zeros();
            brackets &= brackets - 1;
            let from_here = u64::MAX << bit;
            self.note(colons & unseen & !from_here, base);
            unseen = from_here;
            if opens(block[bit as usize]) {
                self.depth += 1;
                self.depth_seen = self.depth_seen.max(self.depth);
            } else {
                self.depth -= 1;
                if self.depth == 0 {
                    return Some(bit as usize + 1);
                }
            }
        }
        self.note(colons & unseen, base);
        self.in_string = inside >> 63 == 1;
        None
    }

    /// The bytes after a backslash that is not escaped itself. Backslashes outside strings count too; the parser
    /// refuses those. Remembers if the next block begins with an escaped byte.
    fn escaped_bytes(&mut self, backslashes: u64) -> u64 {
        let mut escaped = u64::from(self.escaped);
        let mut unpaired = backslashes & !escaped;
        self.escaped = false;
        while unpaired != 0 {
            let bit = unpaired.trailing_zeros();
            match 1u64.checked_shl(bit + 1) {
                Some(next) => {
                    escaped |= next;
                    unpaired &= !next & !(1 << bit);
                }
                None => {
                    self.escaped = true;
                    break;
                }
            }
        }
        escaped
    }

    /// Colons of the block at `base`, all at the present depth.
    fn note(&mut self, mut colons: u64, base: usize) {
        if self.depth != 1 {
            return;
        }
        while colons != 0 {
            self.colons.push((base + colons.trailing_zeros() as usize) as u32);
            colons &= colons - 1;
        }
    }

    fn bytes(&mut self, bytes: &[u8], base: usize) -> Option<usize> {
        for (index, &byte) in bytes.iter().enumerate() {
            let escaped = std::mem::take(&mut self.escaped);
            match byte {
                b'\\' if !escaped => (self.escaped, self.backslashes) = (true, Backslashes::Present),
                b'"' if !escaped => {
                    self.in_string = !self.in_string;
                    if !self.in_string && self.depth == 0 {
                        return Some(index + 1);
                    }
                }
                _ if self.in_string => {}
                b':' => self.note(1, base + index),
                b'{' | b'[' => {
                    self.depth += 1;
                    self.depth_seen = self.depth_seen.max(self.depth);
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(index + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// True if a bracket opens: `[` and `{` have a bit that `]` and `}` lack.
fn opens(bracket: u8) -> bool {
    bracket & 2 != 0
}

/// One bit per byte of a block.
struct BlockMasks {
    quote: u64,
    backslash: u64,
    bracket: u64,
    colon: u64,
}

impl BlockMasks {
    fn of(block: &[u8; BLOCK]) -> BlockMasks {
        let mut masks = BlockMasks { quote: 0, backslash: 0, bracket: 0, colon: 0 };
        let lanes = block.as_chunks::<16>().0;
        let is = |lane: u8x16, byte: u8| lane.simd_eq(u8x16::splat(byte));
        let mut any_backslash = u8x16::ZERO;
        for (index, lane) in lanes.iter().enumerate() {
            let bytes = u8x16::new(*lane);
            // `[` and `{`, `]` and `}` differ in this one bit, and no other byte becomes one of them by it.
            let folded = bytes | u8x16::splat(0x20);
            let bits = |lane: u8x16| u64::from(lane.to_bitmask()) << (16 * index);
            any_backslash |= is(bytes, b'\\');
            masks.quote |= bits(is(bytes, b'"'));
            masks.colon |= bits(is(bytes, b':'));
            masks.bracket |= bits(is(folded, b'{') | is(folded, b'}'));
        }
        if any_backslash.to_bitmask() != 0 {
            for (index, lane) in lanes.iter().enumerate() {
                masks.backslash |= u64::from(is(u8x16::new(*lane), b'\\').to_bitmask()) << (16 * index);
            }
        }
        masks
    }
}

/// Each bit becomes the parity of itself and all lower bits: set from an opening quote to before the closing one.
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same search byte by byte: the length, the deepest nesting, and the colons of the value's own members.
    fn plainly(bytes: &[u8]) -> Option<(usize, u32, Vec<u32>)> {
        let (mut depth, mut deepest, mut colons) = (0, 0, Vec::new());
        let (mut in_string, mut is_escaped) = (false, false);
        for (at, byte) in bytes.iter().enumerate() {
            let escaped = std::mem::take(&mut is_escaped);
            match byte {
                b'\\' => is_escaped = !escaped,
                b'"' if escaped => {}
                b'"' if in_string && depth == 0 => return Some((at + 1, deepest, colons)),
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b':' if depth == 1 => colons.push(at as u32),
                b'{' | b'[' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b'}' | b']' if depth == 1 => return Some((at + 1, deepest, colons)),
                b'}' | b']' => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// A value that may end anywhere, of bytes that differ with the number and are the same in every run.
    fn value(number: u64) -> Vec<u8> {
        let mut state = number;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ mixed >> 31) as usize
        };
        let any: Vec<u8> = (0..=255).chain(*b"{{[[{{[[{{[[").collect();
        let kinds =
            [&b"{[{[}]\":\\,a "[..], b"{[{}:::,: \"\"", b"aaaaaaaaaaaaaaaaaaaaaaa\"\\{[}:", b"\\\\\\\\\\\"{{}a", &any];
        let (kind, length, begin) = (kinds[next() % kinds.len()], next() % 400, b"{{[\""[next() % 4]);
        std::iter::once(begin).chain((0..length).map(|_| kind[next() % kind.len()])).collect()
    }

    #[test]
    fn blocks_and_pieces_end_where_single_bytes_do() {
        let (mut scan, mut ended) = (BracketScan::default(), 0);
        for bytes in (0..20_000).map(value) {
            let (expected, shown) = (plainly(&bytes), String::from_utf8_lossy(&bytes).into_owned());
            scan.begin();
            let end = scan.find_end(&bytes);
            assert_eq!(end.map(|end| (end, scan.depth_seen(), scan.colons.clone())), expected, "{shown}");
            let has_backslash = |bytes: &[u8]| bytes.contains(&b'\\');
            assert!(scan.backslashes == Backslashes::Present || !has_backslash(&bytes[..end.unwrap_or(0)]), "{shown}");
            assert!(scan.backslashes == Backslashes::Absent || has_backslash(&bytes), "{shown}");
            let is_object = bytes[0] == b'{' && !has_backslash(&bytes);
            assert!(scan.outline(&bytes).is_some() == is_object || end.is_none() || has_backslash(&bytes), "{shown}");
            ended += usize::from(end.is_some());
            for size in [1, 7, 63, 64, 65, 130] {
                scan.begin();
                let mut pieces = bytes.chunks(size).enumerate();
                let end = pieces.find_map(|(piece, bytes)| Some(piece * size + scan.find_end(bytes)?));
                assert_eq!(end, expected.as_ref().map(|(end, ..)| *end), "{shown} by {size}");
                assert!(expected.as_ref().is_none_or(|(_, depth, _)| *depth == scan.depth_seen()), "{shown} by {size}");
                assert!(scan.outline(&bytes).is_none() || end.is_some_and(|end| end <= size), "{shown} by {size}");
            }
        }
        assert!((5_000..19_000).contains(&ended), "{ended}");
    }

    #[test]
    fn numbers_and_literals_end_before_a_separator() {
        use BytesAhead::{More, Nothing};
        for (pieces, end) in [
            (&[("12,3", Nothing)][..], Some(2)),
            (&[("true]", More)], Some(4)),
            (&[("null}", More)], Some(4)),
            (&[("1 ", More)], Some(1)),
            (&[("1\n", More)], Some(1)),
            (&[("1\r", More)], Some(1)),
            (&[("1\t", More)], Some(1)),
            (&[("12", Nothing)], Some(2)),
            (&[("12", More)], None),
            (&[("12", More), ("3,", More)], Some(1)),
            (&[("12", More), ("", Nothing)], Some(0)),
            (&[("1", More), ("[2,", More)], Some(2)),
            (&[("", Nothing)], None),
            (&[("", More), ("7", Nothing)], Some(1)),
            (&[("{\"a,\":[1,2]},", More)], Some(12)),
            (&[("[1", More), (",2", More), ("],", More)], Some(1)),
            (&[("\"a,", More), ("b\",", More)], Some(2)),
        ] {
            let mut scan = BracketScan::default();
            let ends = pieces.iter().map(|(bytes, follows)| scan.find_end_or_scalar(bytes.as_bytes(), *follows));
            assert_eq!(ends.collect::<Vec<_>>().last(), Some(&end), "{pieces:?}");
        }
    }
}
