//! The rows of one question of the report, whatever engine gave them.
//! In: nothing. Out: the trait that an engine's rows have, and a row of them.
//! Never converts a value: a column of another type is as good as none.

/// Characters of a text that the facts keep at each end: no page shows as many, and a client may have sent a megabyte.
const END_CHARACTERS: usize = 1_000;

/// Rows of one statement.
pub trait FactRows {
    fn count(&self) -> usize;
    /// NULL, and a column that is not there, is `None`.
    fn text(&self, row: usize, column: &str) -> Option<String>;
    fn int(&self, row: usize, column: &str) -> Option<i64>;
    /// Microseconds since 1970, UTC.
    fn time(&self, row: usize, column: &str) -> Option<i64>;
    fn flag(&self, row: usize, column: &str) -> Option<bool>;
    fn texts(&self, row: usize, column: &str) -> Option<Vec<String>>;
}

/// One of the rows.
#[derive(Clone, Copy)]
pub(super) struct FactRow<'r> {
    rows: &'r dyn FactRows,
    row: usize,
}

impl FactRow<'_> {
    pub(super) fn text(&self, column: &str) -> Option<String> {
        self.rows.text(self.row, column).map(bounded)
    }

    /// The text, or none where the column says nothing.
    pub(super) fn text_or_none(&self, column: &str) -> String {
        self.text(column).unwrap_or_default()
    }

    /// The number, or 0 where the column says nothing.
    pub(super) fn count(&self, column: &str) -> u64 {
        self.int(column).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }

    pub(super) fn int(&self, column: &str) -> Option<i64> {
        self.rows.int(self.row, column)
    }

    pub(super) fn time(&self, column: &str) -> Option<i64> {
        self.rows.time(self.row, column)
    }

    pub(super) fn flag(&self, column: &str) -> Option<bool> {
        self.rows.flag(self.row, column)
    }

    pub(super) fn texts(&self, column: &str) -> Option<Vec<String>> {
        Some(self.rows.texts(self.row, column)?.into_iter().map(bounded).collect())
    }
}

/// Reads each row.
pub(super) fn each<T>(rows: &dyn FactRows, read: impl Fn(FactRow<'_>) -> T) -> Vec<T> {
    (0..rows.count()).map(|row| read(FactRow { rows, row })).collect()
}

/// The text without the middle of a very long one.
fn bounded(text: String) -> String {
    let head = text.char_indices().nth(END_CHARACTERS);
    let tail = text.char_indices().nth_back(END_CHARACTERS - 1);
    match (head, tail) {
        (Some((head, _)), Some((tail, _))) if head < tail => format!("{}…{}", &text[..head], &text[tail..]),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_very_long_texts_lose_their_middle() {
        for (number, kept) in [(1, 1), (2_000, 2_000), (2_001, 2_001), (1_000_000, 2_001)] {
            assert_eq!(bounded("é".repeat(number)).chars().count(), kept, "{number}");
        }
    }
}
