//! What somebody expects to be there, held against what was read.
//! In: accounts and Regions, and a time. Out: a sentence on each of them that is not there, on logs of theirs that a digest
//! names, and on their digests that say nothing. Never takes silence for a sign that nothing is missing.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

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
        let seen = data.seen(accounting).await?;
        let mut missing = self.missing(&seen, self.coverage_in(data, &seen).await?.as_ref());
        missing.extend(self.missing_logs_in(data).await?);
        Ok(missing)
    }

    /// The spans of coverage, where a time is expected, or a place of which no log is here: its digests may be.
    ///
    /// # Errors
    /// Fails if the data cannot be read any further.
    pub async fn coverage_in(&self, data: &Engine, seen: &SeenInput) -> Result<Option<RecordBatch>, SqlError> {
        match self.until.is_some() || self.places.iter().any(|place| !seen.has(&place.account, &place.region)) {
            true => Ok(Some(data.query(sections::coverage().sql, &[]).await?.rows().await?)),
            false => Ok(None),
        }
    }

    /// Names the accounts and Regions of which digests name logs that are not whole here, or say nothing.
    ///
    /// # Errors
    /// Fails if the data cannot be read any further.
    pub async fn missing_logs_in(&self, data: &Engine) -> Result<Vec<String>, SqlError> {
        Ok(self.missing_logs(&data.query(sections::missing_logs().sql, &[]).await?.rows().await?))
    }

    /// Names the accounts and Regions of which digests name logs that are not whole here, or say nothing: rows of the
    /// section `missing_logs`, which has them by account and Region, digests after logs.
    pub fn missing_logs(&self, logs: &RecordBatch) -> Vec<String> {
        let text = |name: &str, row: usize| text(logs, name, row);
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
            let kind = match text("presence", row) {
                Some("digest_unreadable") => MissingKind::Digest,
                _ => MissingKind::Log,
            };
            match found.last_mut() {
                Some(last) if (last.account, last.region, last.kind) == (account, region, kind) => last.objects += 1,
                _ => {
                    let first = text("log", row).unwrap_or_default();
                    found.push(MissingLogs { account, region, kind, objects: 1, first });
                }
            }
        }
        found.iter().map(MissingLogs::sentence).collect()
    }

    /// Names all that is expected and not there. Hours whose logs digests name are there even where there are no logs; they
    /// are rows of the section `coverage`.
    pub fn missing(&self, seen: &SeenInput, coverage: Option<&RecordBatch>) -> Vec<String> {
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
            let proved = coverage.and_then(|coverage| proved_until(coverage, &|at| at == (account, region)));
            if !seen.has(account, region) && proved.is_none() {
                return Some(format!("nothing of {account}/{region} is here"));
            }
            late(seen.until(account, region).max(proved)).map(|late| format!("{account}/{region} {late}"))
        };
        if self.places.is_empty() {
            let proved = coverage.and_then(|coverage| proved_until(coverage, &|_| true));
            return late(seen.until_anywhere().max(proved))
                .map(|late| format!("what is here {late}"))
                .into_iter()
                .collect();
        }
        self.places.iter().filter_map(place).collect()
    }
}

/// A cell of a column of text; `None` where there is none.
fn text<'r>(rows: &'r RecordBatch, name: &str, row: usize) -> Option<&'r str> {
    let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

/// The end of the last hour of some places of which digests tell and no log is missing.
fn proved_until(coverage: &RecordBatch, is_asked: &dyn Fn((&str, &str)) -> bool) -> Option<i64> {
    let ends = coverage.column_by_name("until_hour")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let is_proved = |row: &usize| {
        let place = text(coverage, "account_id", *row).zip(text(coverage, "region", *row));
        let [state, basis] = ["state", "basis"].map(|name| text(coverage, name, *row));
        place.is_some_and(is_asked) && state != Some("missing") && basis == Some("digest") && ends.is_valid(*row)
    };
    (0..coverage.num_rows()).filter(is_proved).map(|row| ends.value(row)).max()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MissingKind {
    Log,
    Digest,
}

/// The logs of one account and Region that digests name and that are not whole here, or its digests that say nothing.
struct MissingLogs<'l> {
    account: Option<&'l str>,
    region: Option<&'l str>,
    kind: MissingKind,
    objects: u64,
    first: &'l str,
}

impl MissingLogs<'_> {
    fn sentence(&self) -> String {
        let (account, region) = (self.account.unwrap_or("?"), self.region.unwrap_or("?"));
        let what = match (self.kind, self.objects) {
            (MissingKind::Log, 1) => "1 log that a digest names is missing or unreadable".to_owned(),
            (MissingKind::Log, more) => format!("{} logs that digests name are missing or unreadable", count(more)),
            (MissingKind::Digest, 1) => "1 digest cannot be read or believed, whatever logs it names".to_owned(),
            (MissingKind::Digest, more) => {
                format!("{} digests cannot be read or believed, whatever logs they name", count(more))
            }
        };
        let first = if self.objects == 1 { self.first.to_owned() } else { format!("{} and others", self.first) };
        format!("{account}/{region}: {what}: {first}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};

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
            assert_eq!(expected.missing(&seen, None), missing, "{expected:?}");
        }
        assert_eq!(expected(&[], Some(1)).missing(&SeenInput::default(), None).len(), 1);
    }

    #[test]
    fn a_place_of_which_only_digests_are_here_is_there() {
        let texts = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        for (state, basis, is_there) in
            [("quiet", "digest", true), ("missing", "digest", false), ("unknown", "none", false)]
        {
            let until = TimestampMicrosecondArray::from(vec![3_600_000_000]).with_timezone("UTC");
            let coverage = RecordBatch::try_from_iter([
                ("account_id", texts("111122223333")),
                ("region", texts("eu-west-1")),
                ("until_hour", Arc::new(until) as ArrayRef),
                ("state", texts(state)),
                ("basis", texts(basis)),
            ]);
            let place = ExpectedPlace { account: "111122223333".to_owned(), region: "eu-west-1".to_owned() };
            let missing = ExpectedInput { places: vec![place], until: None }
                .missing(&SeenInput::default(), Some(&coverage.unwrap()));
            assert_eq!(missing.is_empty(), is_there, "{state} {basis}: {missing:?}");
        }
    }

    #[test]
    fn a_quiet_account_reaches_as_far_as_its_digests_tell() {
        let (mut seen, hour) = (SeenInput::default(), 3_600_000_000);
        seen.see_rows(SeenPlace::new(Some("111122223333"), Some("eu-west-1")), Some((0, hour)));
        let place = ExpectedPlace { account: "111122223333".to_owned(), region: "eu-west-1".to_owned() };
        for (account, state, basis, is_late) in [
            ("111122223333", "quiet", "digest", false),
            ("111122223333", "covered", "digest", false),
            ("111122223333", "covered", "objects", true),
            ("111122223333", "unknown", "none", true),
            ("111122223333", "missing", "digest", true),
            ("444455556666", "quiet", "digest", true),
        ] {
            let texts = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
            let until = TimestampMicrosecondArray::from(vec![3 * hour]).with_timezone("UTC");
            let coverage = RecordBatch::try_from_iter([
                ("account_id", texts(account)),
                ("region", texts("eu-west-1")),
                ("until_hour", Arc::new(until) as ArrayRef),
                ("state", texts(state)),
                ("basis", texts(basis)),
            ])
            .unwrap();
            let late = |until| {
                let expected = ExpectedInput { places: vec![place.clone()], until: Some(until) };
                !expected.missing(&seen, Some(&coverage)).is_empty()
            };
            assert_eq!((late(3 * hour), late(3 * hour + 1)), (is_late, true), "{account} {state} {basis}");
        }
    }

    #[test]
    fn logs_that_digests_name_are_told_by_place() {
        let texts = |texts: &[Option<&str>]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let (one, other) = (Some("111122223333"), Some("444455556666"));
        let logs = RecordBatch::try_from_iter_with_nullable([
            ("account_id", texts(&[one, one, other, None]), true),
            ("region", texts(&[Some("eu-west-1"), Some("eu-west-1"), Some("eu-west-1"), None]), true),
            ("log", texts(&[Some("a"), Some("b"), Some("c"), Some("d")]), true),
            (
                "presence",
                texts(&[Some("missing"), Some("unreadable"), Some("digest_unreadable"), Some("missing")]),
                true,
            ),
        ])
        .unwrap();
        let told = |accounts: &[&str]| {
            let place =
                |account: &&str| ExpectedPlace { account: (*account).to_owned(), region: "eu-west-1".to_owned() };
            ExpectedInput { places: accounts.iter().map(place).collect(), until: None }.missing_logs(&logs)
        };
        let (first, second, third) = (
            "111122223333/eu-west-1: 2 logs that digests name are missing or unreadable: a and others",
            "444455556666/eu-west-1: 1 digest cannot be read or believed, whatever logs it names: c",
            "?/?: 1 log that a digest names is missing or unreadable: d",
        );
        assert_eq!(told(&[]), [first, second, third]);
        assert_eq!(told(&["111122223333"]), [first, third]);
        assert_eq!(told(&["222233334444"]), [third]);
    }
}
