//! What somebody expects to be there, held against what was read.
//! In: accounts and Regions, and a time. Out: a sentence on each of them that is not there, and on logs of theirs that a
//! digest names. Never takes silence for a sign that nothing is missing.

use arrow::array::{Array, AsArray, RecordBatch};

use crate::output::times;
use crate::output::words::count;
use crate::sql::sections;
use crate::sql::{Engine, SqlError};
use crate::table::{Accounting, SeenInput};

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

    /// Names all that is expected and not there, of the input of an answer with these accounts.
    ///
    /// # Errors
    /// Fails if the data cannot be read any further.
    pub async fn missing_in(&self, data: &Engine, accounting: Option<&Accounting>) -> Result<Vec<String>, SqlError> {
        let mut missing = self.missing(&data.seen(accounting).await?);
        missing.extend(self.missing_logs_in(data).await?);
        Ok(missing)
    }

    /// Names the accounts and Regions of which digests name logs that are not whole here.
    ///
    /// # Errors
    /// Fails if the data cannot be read any further.
    pub async fn missing_logs_in(&self, data: &Engine) -> Result<Vec<String>, SqlError> {
        Ok(self.missing_logs(&data.query(&sections::missing_logs().sql, &[]).await?.rows().await?))
    }

    /// Names the accounts and Regions of which digests name logs that are not whole here: rows of the section
    /// `missing_logs`, which has them by account and Region.
    pub fn missing_logs(&self, logs: &RecordBatch) -> Vec<String> {
        let text = |name: &str, row: usize| {
            let column = logs.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
        };
        let mut found: Vec<MissingLogs<'_>> = Vec::new();
        for row in 0..logs.num_rows() {
            let (account, region) = (text("account_id", row), text("region", row));
            // A log that no account or Region has may be of any.
            let is_place = |place: &ExpectedPlace| {
                account.is_none_or(|account| account == place.account)
                    && region.is_none_or(|region| region == place.region)
            };
            if !self.places.is_empty() && !self.places.iter().any(is_place) {
                continue;
            }
            match found.last_mut() {
                Some(last) if (last.account, last.region) == (account, region) => last.logs += 1,
                _ => found.push(MissingLogs { account, region, logs: 1, first: text("log", row).unwrap_or_default() }),
            }
        }
        found.iter().map(MissingLogs::sentence).collect()
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

/// The logs of one account and Region that digests name and that are not whole here.
struct MissingLogs<'l> {
    account: Option<&'l str>,
    region: Option<&'l str>,
    logs: u64,
    first: &'l str,
}

impl MissingLogs<'_> {
    fn sentence(&self) -> String {
        let (account, region) = (self.account.unwrap_or("?"), self.region.unwrap_or("?"));
        let logs = match self.logs {
            1 => "1 log that a digest names is".to_owned(),
            more => format!("{} logs that digests name are", count(more)),
        };
        let first = if self.logs == 1 { self.first.to_owned() } else { format!("{} and others", self.first) };
        format!("{account}/{region}: {logs} missing or unreadable: {first}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

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

    #[test]
    fn logs_that_digests_name_are_told_by_place() {
        let texts = |texts: &[Option<&str>]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let (one, other) = (Some("111122223333"), Some("444455556666"));
        let logs = RecordBatch::try_from_iter_with_nullable([
            ("account_id", texts(&[one, one, other, None]), true),
            ("region", texts(&[Some("eu-west-1"), Some("eu-west-1"), Some("eu-west-1"), None]), true),
            ("log", texts(&[Some("a"), Some("b"), Some("c"), Some("d")]), true),
        ])
        .unwrap();
        let told = |accounts: &[&str]| {
            let place =
                |account: &&str| ExpectedPlace { account: (*account).to_owned(), region: "eu-west-1".to_owned() };
            ExpectedInput { places: accounts.iter().map(place).collect(), until: None }.missing_logs(&logs)
        };
        let (first, second, third) = (
            "111122223333/eu-west-1: 2 logs that digests name are missing or unreadable: a and others",
            "444455556666/eu-west-1: 1 log that a digest names is missing or unreadable: c",
            "?/?: 1 log that a digest names is missing or unreadable: d",
        );
        assert_eq!(told(&[]), [first, second, third]);
        assert_eq!(told(&["111122223333"]), [first, third]);
        assert_eq!(told(&["222233334444"]), [third]);
    }
}
