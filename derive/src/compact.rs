//! Small forms of what many rows repeat or name: ids of events, and texts that stand for themselves by a number.
//! In: texts of the input. Out: values of a few bytes, and the same texts again.
//! Never changes a text: an id that is no UUID as AWS writes it is held as it is.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The id of an event. Orders as its text does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PackedEventId {
    /// A UUID in lower case.
    Uuid([u8; 16]),
    Other(Box<str>),
}

/// The places of the dashes in the text of a UUID.
const DASHES: [usize; 4] = [8, 13, 18, 23];

impl PackedEventId {
    pub fn of(text: &str) -> PackedEventId {
        packed(text.as_bytes()).map_or_else(|| PackedEventId::Other(text.into()), PackedEventId::Uuid)
    }
}

/// The bytes of a UUID in lower case.
fn packed(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 || DASHES.iter().any(|dash| text[*dash] != b'-') {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut digits = (0..36).filter(|place| !DASHES.contains(place)).map(|place| digit(text[place]));
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    Some(bytes)
}

impl fmt::Display for PackedEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PackedEventId::Other(text) => f.write_str(text),
            PackedEventId::Uuid(bytes) => {
                for (place, byte) in bytes.iter().enumerate() {
                    if matches!(place, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

impl Ord for PackedEventId {
    fn cmp(&self, other: &PackedEventId) -> std::cmp::Ordering {
        match (self, other) {
            (PackedEventId::Uuid(left), PackedEventId::Uuid(right)) => left.cmp(right),
            (PackedEventId::Other(left), PackedEventId::Other(right)) => left.cmp(right),
            _ => self.to_string().cmp(&other.to_string()),
        }
    }
}

impl PartialOrd for PackedEventId {
    fn partial_cmp(&self, other: &PackedEventId) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A text of a pool, by its number, which begins with one: so that `None` needs no byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PooledText(NonZeroU32);

/// Texts that many rows repeat, each held once.
#[derive(Debug, Default)]
pub(crate) struct TextPool {
    numbers: HashMap<Arc<str>, PooledText>,
    texts: Vec<Arc<str>>,
    bytes: usize,
}

/// Rough size of a text in its pool beyond its letters, with its places in a list and a half-full table.
const POOLED_BYTES: usize = 96;

impl TextPool {
    /// The number of a text, a new one if the pool does not hold it yet.
    pub fn put(&mut self, text: &str) -> PooledText {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len() + 1).ok().and_then(NonZeroU32::new);
        let number = PooledText(number.expect("four thousand million texts do not fit into memory"));
        let shared: Arc<str> = text.into();
        self.texts.push(Arc::clone(&shared));
        self.numbers.insert(shared, number);
        self.bytes += text.len() + POOLED_BYTES;
        number
    }

    /// The number of a text that the pool holds.
    pub fn find(&self, text: &str) -> Option<PooledText> {
        self.numbers.get(text).copied()
    }

    pub fn put_cell(&mut self, cell: Option<&str>) -> Option<PooledText> {
        cell.map(|text| self.put(text))
    }

    pub fn get(&self, text: PooledText) -> &str {
        &self.texts[text.0.get() as usize - 1]
    }

    pub fn cell(&self, text: Option<PooledText>) -> Option<&str> {
        text.map(|text| self.get(text))
    }

    pub fn bytes_held(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_text_again_and_keeps_its_order() {
        let ids = [
            "",
            "00000000-0000-4000-8000-000000000001",
            "00000000-0000-4000-8000-00000000000A",
            "0f1e2d3c-1111-4222-8333-44445555aaaa",
            "0f1e2d3c-1111-4222-8333-44445555aaab",
            "0f1e2d3c-1111-4222-8333-44445555aaab0",
            "0f1e2d3c11114222833344445555aaab",
            "0f1e2d3c111142-22833344445555aa-ab",
            "synthetic:1",
        ];
        for id in ids {
            assert_eq!(PackedEventId::of(id).to_string(), id);
        }
        let mut sorted = ids.map(PackedEventId::of);
        sorted.sort();
        let mut expected = ids.map(str::to_owned);
        expected.sort();
        assert_eq!(sorted.map(|id| id.to_string()), expected);
        assert!(matches!(PackedEventId::of(ids[1]), PackedEventId::Uuid(_)));
        assert!(matches!(PackedEventId::of(ids[2]), PackedEventId::Other(_)));
        assert_eq!((size_of::<PackedEventId>(), size_of::<Option<PooledText>>()), (24, 4));
    }

    #[test]
    fn a_pool_holds_each_text_once() {
        let mut pool = TextPool::default();
        let (first, second) = (pool.put("a"), pool.put("b"));
        assert_eq!((first, pool.put("a")), (first, first));
        assert_ne!(first, second);
        assert_eq!((pool.get(second), pool.cell(None)), ("b", None));
        assert_eq!(pool.bytes_held(), 2 * (1 + POOLED_BYTES));
    }
}
