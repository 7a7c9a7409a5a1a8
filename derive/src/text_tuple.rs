//! Several texts as one, so that rows are grouped by them without a new text for each row.
//! In: texts or NULLs. Out: one text that only the same texts give. Never two alike for different ones.

use std::fmt::Write;

/// The texts of the row at hand, in memory that the next row uses again.
#[derive(Debug, Default)]
pub(crate) struct TextTuple(String);

impl TextTuple {
    /// These texts as one.
    pub fn of(&mut self, texts: &[Option<&str>]) -> &str {
        self.0.clear();
        for text in texts {
            match text {
                Some(text) => {
                    write!(self.0, "{}:{text}", text.len()).expect("writing to memory does not fail");
                }
                None => self.0.push('-'),
            }
        }
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_texts_give_different_ones() {
        let all: [&[Option<&str>]; 8] = [
            &[Some("a"), Some("b")],
            &[Some("ab"), Some("")],
            &[Some(""), Some("ab")],
            &[Some("a"), None],
            &[None, Some("a")],
            &[Some("-"), None],
            &[Some("a1:b"), Some("")],
            &[Some("a"), Some("b0:")],
        ];
        let mut tuple = TextTuple::default();
        let texts: std::collections::HashSet<String> = all.iter().map(|texts| tuple.of(texts).to_owned()).collect();
        assert_eq!(texts.len(), all.len());
        assert!(texts.contains(tuple.of(&[Some("a"), Some("b")])));
    }
}
