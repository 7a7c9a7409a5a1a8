//! Times of a screen without what all of them have: the year, or the day.
//! In: the rows of a screen. Out: short texts, and words for what they leave out.
//! Never rounds: seconds are left out only where all of them are zero.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;

use super::cell;

/// `2026-03-10T`, the day of a time and the letter behind it.
const DAY: usize = 11;
/// `2026-`
const YEAR: usize = 5;

/// The part that all times of a screen have in common.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct ShortTimes {
    /// `2026-` or `2026-03-10T`; empty where they have neither in common.
    common: String,
    has_times: bool,
    has_seconds: bool,
}

impl ShortTimes {
    pub fn of(rows: &[RecordBatch]) -> ShortTimes {
        let mut times = ShortTimes::default();
        let (mut text, mut first) = (String::new(), None::<String>);
        let mut are_many = false;
        for column in rows.iter().flat_map(RecordBatch::columns).filter(|column| is_time(column.data_type())) {
            for row in 0..column.len() {
                text.clear();
                // Times beyond the years of RFC 3339 are numbers.
                if !cell::plain(&mut text, column, row) || !is_shown_short(&text) {
                    continue;
                }
                times.has_times = true;
                times.has_seconds |= !text.ends_with(":00Z");
                let Some(first) = &first else {
                    times.common = text[..DAY].to_owned();
                    first = Some(text.clone());
                    continue;
                };
                are_many |= *first != text;
                while !text.starts_with(&times.common) {
                    times.common.truncate(if times.common.len() == DAY { YEAR } else { 0 });
                }
            }
        }
        if !are_many {
            times.common.clear();
        }
        times
    }

    /// `03-10 14:30:30` of `2026-03-10T14:30:30Z`; a time of another year or day is shown whole.
    pub fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(rest) = text.strip_prefix(&self.common).filter(|_| is_shown_short(text)) else {
            return Cow::Borrowed(text);
        };
        let rest = rest.trim_end_matches('Z');
        let rest = if self.has_seconds { rest } else { rest.strip_suffix(":00").unwrap_or(rest) };
        Cow::Owned(rest.replacen('T', " ", 1))
    }

    /// The common part in words; none where no time was seen.
    pub fn common_words(&self) -> Option<String> {
        let words = match self.common.len() {
            0 => "times in UTC".to_owned(),
            YEAR => format!("times of {}, UTC", &self.common[..YEAR - 1]),
            _ => format!("times of {}, UTC", &self.common[..DAY - 1]),
        };
        self.has_times.then_some(words)
    }
}

/// True for the type of a column of times.
pub fn is_time(ty: &DataType) -> bool {
    matches!(ty, DataType::Timestamp(..))
}

/// A shown time without its seconds, where it ends in some.
pub fn to_the_minute(shown: &str) -> &str {
    let is_clock = |text: &str| text.len() >= 8 && text.is_ascii() && text.as_bytes()[text.len() - 6] == b':';
    if is_clock(shown) && shown.as_bytes()[shown.len() - 3] == b':' { &shown[..shown.len() - 3] } else { shown }
}

/// True for `2026-03-10T14:30:30Z`, also with a fraction of the second.
fn is_shown_short(text: &str) -> bool {
    text.len() >= 20 && text.ends_with('Z') && text.is_ascii() && text.as_bytes()[DAY - 1] == b'T'
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, TimestampSecondArray};

    use super::*;
    use crate::time::parse_rfc3339;

    fn of(texts: &[&str]) -> ShortTimes {
        let seconds = texts.iter().map(|text| parse_rfc3339(text).unwrap() / 1_000_000);
        let column = TimestampSecondArray::from_iter_values(seconds).with_timezone("UTC");
        ShortTimes::of(&[RecordBatch::try_from_iter([("t", Arc::new(column) as ArrayRef)]).unwrap()])
    }

    #[test]
    fn times_leave_out_the_year_or_the_day_that_all_have() {
        for (texts, shown, words) in [
            (&["2026-03-10T14:30:30Z", "2026-04-10T14:30:30Z"][..], "03-10 14:30:30", "times of 2026, UTC"),
            (&["2026-03-10T14:30:30Z", "2026-03-10T15:00:00Z"], "14:30:30", "times of 2026-03-10, UTC"),
            (&["2026-03-10T14:00:00Z", "2026-03-10T15:00:00Z"], "14:00", "times of 2026-03-10, UTC"),
            (&["2026-03-10T14:30:30Z", "2025-03-10T14:30:30Z"], "2026-03-10 14:30:30", "times in UTC"),
            (&["2026-03-10T14:30:30Z"], "2026-03-10 14:30:30", "times in UTC"),
        ] {
            let times = of(texts);
            assert_eq!((&*times.shown(texts[0]), times.common_words().as_deref()), (shown, Some(words)), "{texts:?}");
        }
        assert_eq!(of(&[]).common_words(), None);
    }

    #[test]
    fn a_time_of_another_year_is_whole() {
        let times = of(&["2026-03-10T14:30:30Z", "2026-04-10T14:30:30Z"]);
        assert_eq!(times.shown("2027-03-10T14:30:30Z"), "2027-03-10T14:30:30Z");
    }

    #[test]
    fn minutes_are_cut_from_clocks_alone() {
        for (shown, minute) in [
            ("03-10 14:30:30", "03-10 14:30"),
            ("14:30:30", "14:30"),
            ("03-10 14:30", "03-10 14:30"),
            ("é", "é"),
            ("", ""),
        ] {
            assert_eq!(to_the_minute(shown), minute);
        }
    }
}
