//! The row of `quarantine` that stands for the records of an object which the table has no room for.
//! In: their number. Out: the text of the row, and the number in such a text.
//! Never stands for a record that has a row of its own.

/// The text of the row.
pub fn more_records(count: u64) -> String {
    format!("and {count} more")
}

/// The number in the text of such a row.
pub fn count_of_more(text: &str) -> Option<u64> {
    text.strip_prefix("and ")?.strip_suffix(" more")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_back() {
        for count in [0, 1, 50_000, u64::MAX] {
            assert_eq!(count_of_more(&more_records(count)), Some(count));
        }
        assert_eq!((count_of_more("and some more"), count_of_more("")), (None, None));
    }
}
