//! Texts that many rows repeat, each held once.
//! In: texts. Out: numbers that stand for them, and the texts again. Never forgets a text.

use std::collections::HashMap;
use std::sync::Arc;

/// Stands for a text of one pool. Numbers follow the order in which texts came, so rows are never sorted by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PooledText(u32);

/// Every different text, held once.
#[derive(Debug, Default)]
pub(crate) struct TextPool {
    numbers: HashMap<Arc<str>, PooledText>,
    texts: Vec<Arc<str>>,
    text_bytes: usize,
}

/// Rough size of a text beside its bytes: its counts, its place in the list and in a half-full table.
const PLACE_BYTES: usize = 80;

impl TextPool {
    /// The number of a text, a new one if it is new.
    pub fn put(&mut self, text: &str) -> PooledText {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = PooledText(u32::try_from(self.texts.len()).expect("memory ends before the numbers do"));
        let text: Arc<str> = text.into();
        self.text_bytes += text.len();
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    /// The number of the text of a cell.
    pub fn put_cell(&mut self, cell: Option<&str>) -> Option<PooledText> {
        cell.map(|text| self.put(text))
    }

    /// The text of a number that this pool gave.
    pub fn get(&self, number: PooledText) -> &str {
        &self.texts[number.0 as usize]
    }

    /// Roughly the bytes that it holds.
    pub fn bytes_held(&self) -> usize {
        self.text_bytes + self.texts.len() * PLACE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_held_once() {
        let mut pool = TextPool::default();
        let (a, b, again) = (pool.put("a"), pool.put("b"), pool.put("a"));
        assert_eq!((a, pool.get(a), pool.get(b)), (again, "a", "b"));
        assert_ne!(a, b);
        assert_eq!(pool.bytes_held(), 2 + 2 * PLACE_BYTES);
    }
}
