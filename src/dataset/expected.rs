//! What somebody expects to be there, held against what was read.
//! In: accounts and Regions, and a time. Out: a sentence on each of them that is not there. Never reads anything.

use crate::output::times;
use crate::table::SeenInput;

/// The accounts and Regions that must be among the input, and the time that it must reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedInput {
    pub places: Vec<ExpectedPlace>,
    /// In microseconds since 1970.
    pub until: Option<i64>,
}

/// An account in a Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedPlace {
    pub account: String,
    pub region: String,
}

impl ExpectedInput {
    /// True if anything is expected.
    pub fn is_any(&self) -> bool {
        !self.places.is_empty() || self.until.is_some()
    }

    /// Names all that is expected and not there.
    pub fn missing(&self, seen: &SeenInput) -> Vec<String> {
        let late = |until: Option<i64>| match (self.until, until) {
            (Some(expected), Some(until)) if until < expected => {
                Some(format!("ends at {}, before {}", times::rfc3339(until), times::rfc3339(expected)))
            }
            (Some(expected), None) => {
                Some(format!("tells no time, so nothing shows that it reaches {}", times::rfc3339(expected)))
            }
            _ => None,
        };
        let place = |ExpectedPlace { account, region }: &ExpectedPlace| {
            if !seen.has(account, region) {
                return Some(format!("nothing of {account}/{region} is here"));
            }
            late(seen.until(account, region)).map(|late| format!("{account}/{region} {late}"))
        };
        if self.places.is_empty() {
            return late(seen.until_anywhere()).map(|late| format!("what is here {late}")).into_iter().collect();
        }
        self.places.iter().filter_map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::SeenPlace;

    #[test]
    fn what_is_not_there_is_named() {
        let mut seen = SeenInput::default();
        let hour = 3_600_000_000;
        seen.see_rows(SeenPlace::new(Some("111122223333"), Some("eu-west-1")), Some((0, hour)));
        let place = |account: &str| ExpectedPlace { account: account.to_owned(), region: "eu-west-1".to_owned() };
        let expected =
            |places: &[&str], until| ExpectedInput { places: places.iter().map(|p| place(p)).collect(), until };
        for (expected, missing) in [
            (expected(&[], None), &[][..]),
            (expected(&["111122223333"], Some(hour)), &[]),
            (expected(&["444455556666"], None), &["nothing of 444455556666/eu-west-1 is here"]),
            (
                expected(&["111122223333"], Some(2 * hour)),
                &["111122223333/eu-west-1 ends at 1970-01-01T01:00:00Z, before 1970-01-01T02:00:00Z"],
            ),
            (
                expected(&[], Some(2 * hour)),
                &["what is here ends at 1970-01-01T01:00:00Z, before 1970-01-01T02:00:00Z"],
            ),
        ] {
            assert_eq!(expected.missing(&seen), missing, "{expected:?}");
        }
        assert_eq!(expected(&[], Some(1)).missing(&SeenInput::default()).len(), 1);
    }
}
