//! What the rules found: their rows put together by rule, principal, key, table and subject.
//! In: the rows of all rules, in any order. Out: one row a finding, with a fingerprint that no time enters.
//! Never counts past its bounds in silence: of many event ids the first are kept and the number told, and a list of
//! sessions or addresses that is cut says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Int, Text, TextList, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::input::{InputBatch, ListCells, TextCells};
use super::output::{OutputCell, OutputRows, column};
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const RULE_FINDINGS: DerivedTable = DerivedTable {
    name: "rule_findings",
    columns: COLUMNS,
    by: &[],
    unique: &["fingerprint"],
    // The rows of the rules are of the interval.
    time: RowTime::None,
    start: |_: &AskedInterval| Box::new(AllFindings::default()),
};

const COLUMNS: &[OutputColumn] = &[
    column("fingerprint", Text),
    column("rule", Text),
    column("severity", Text),
    column("event_time", Timestamp),
    column("last_time", Timestamp),
    column("event_count", Int),
    column("account_id", Text),
    column("region", Text),
    column("principal", Text),
    column("sessions", TextList),
    column("source_ips", TextList),
    column("key_arn", Text),
    column("table_name", Text),
    column("subject", Text),
    column("outcome", Text),
    column("event_ids", TextList),
    column("detail", Text),
];

/// Event ids that a finding names, the first in time.
const EVENT_IDS_MAX: usize = 20;

/// Sessions and addresses that a finding names.
const NAMES_MAX: usize = 50;

/// The last item of a list of names that is cut.
const AND_MORE: &str = "and more";

/// Rough size of a finding without its texts.
const FINDING_BYTES: usize = 400;

/// The words of severities, the least first.
const SEVERITIES: [&str; 5] = ["info", "low", "medium", "high", "critical"];

/// The subject of a finding: what its fingerprint is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct FindingKey {
    rule: String,
    principal: Option<String>,
    key_arn: Option<String>,
    table_name: Option<String>,
    subject: Option<String>,
}

impl FindingKey {
    /// Lower-case hexadecimal SHA-256 of the five as a JSON array without blanks, NULL as `null`.
    fn fingerprint(&self) -> String {
        let FindingKey { rule, principal, key_arn, table_name, subject } = self;
        let text = json!([rule, principal, key_arn, table_name, subject]).to_string();
        Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
            hex
        })
    }

    fn bytes(&self) -> usize {
        let optional = [&self.principal, &self.key_arn, &self.table_name, &self.subject];
        self.rule.len() + optional.into_iter().flatten().map(String::len).sum::<usize>()
    }
}

/// The first names in their order, and whether there were more.
#[derive(Debug, Default)]
struct FirstNames {
    names: BTreeSet<String>,
    is_cut: bool,
}

impl FirstNames {
    /// Takes a name; says how many bytes more are held.
    fn take(&mut self, name: &str) -> usize {
        if self.names.contains(name) {
            return 0;
        }
        self.names.insert(name.to_owned());
        if self.names.len() <= NAMES_MAX {
            return name.len() + size_of::<String>();
        }
        self.is_cut = true;
        self.names.pop_last();
        0
    }

    fn list(&self) -> Vec<String> {
        self.names.iter().cloned().chain(self.is_cut.then(|| AND_MORE.to_owned())).collect()
    }
}

/// The words of the row that speaks for a finding: of the gravest the last. The order of the fields decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct FindingWords {
    severity: usize,
    at: Option<i64>,
    detail: Option<String>,
    outcome: Option<String>,
}

/// One finding so far.
#[derive(Debug)]
struct Finding {
    words: FindingWords,
    first: Option<i64>,
    last: Option<i64>,
    events: i64,
    /// Of the first row, in the order of time.
    place: (Option<i64>, Option<String>, Option<String>),
    sessions: FirstNames,
    source_ips: FirstNames,
    /// Time, place in its row, id.
    event_ids: BTreeSet<(Option<i64>, usize, String)>,
}

/// The findings of all rules so far.
#[derive(Debug, Default)]
struct AllFindings {
    findings: BTreeMap<FindingKey, Finding>,
    bytes: usize,
}

/// The columns of one batch.
struct RuleRows<'a> {
    rule: TextCells<'a>,
    severity: TextCells<'a>,
    account_id: TextCells<'a>,
    region: TextCells<'a>,
    principal: TextCells<'a>,
    sessions: ListCells<'a>,
    source_ips: ListCells<'a>,
    key_arn: TextCells<'a>,
    table_name: TextCells<'a>,
    subject: TextCells<'a>,
    outcome: TextCells<'a>,
    event_ids: ListCells<'a>,
    detail: TextCells<'a>,
}

impl<'a> RuleRows<'a> {
    fn of(batch: InputBatch<'a>) -> Result<RuleRows<'a>, ArrowError> {
        Ok(RuleRows {
            rule: batch.texts("rule")?,
            severity: batch.texts("severity")?,
            account_id: batch.texts("account_id")?,
            region: batch.texts("region")?,
            principal: batch.texts("principal")?,
            sessions: batch.text_lists("sessions")?,
            source_ips: batch.text_lists("source_ips")?,
            key_arn: batch.texts("key_arn")?,
            table_name: batch.texts("table_name")?,
            subject: batch.texts("subject")?,
            outcome: batch.texts("outcome")?,
            event_ids: batch.text_lists("event_ids")?,
            detail: batch.texts("detail")?,
        })
    }

    fn key(&self, row: usize) -> Option<FindingKey> {
        Some(FindingKey {
            rule: self.rule.owned(row)?,
            principal: self.principal.owned(row),
            key_arn: self.key_arn.owned(row),
            table_name: self.table_name.owned(row),
            subject: self.subject.owned(row),
        })
    }

    fn words(&self, row: usize, at: Option<i64>) -> FindingWords {
        let severity = self.severity.get(row).and_then(|word| SEVERITIES.iter().position(|known| *known == word));
        let (detail, outcome) = (self.detail.owned(row), self.outcome.owned(row));
        FindingWords { severity: severity.unwrap_or_default(), at, detail, outcome }
    }
}

impl Finding {
    fn new(words: FindingWords, place: (Option<i64>, Option<String>, Option<String>)) -> Finding {
        Finding {
            words,
            first: None,
            last: None,
            events: 0,
            place,
            sessions: FirstNames::default(),
            source_ips: FirstNames::default(),
            event_ids: BTreeSet::new(),
        }
    }

    /// Takes the id of an event; says how many bytes more are held.
    fn take_id(&mut self, at: Option<i64>, place: usize, id: &str) -> usize {
        let entry = (at, place, id.to_owned());
        if let Some(known) = self.event_ids.iter().find(|(_, _, known)| known == id).cloned() {
            if entry < known {
                self.event_ids.remove(&known);
                self.event_ids.insert(entry);
            }
            return 0;
        }
        self.event_ids.insert(entry);
        if self.event_ids.len() <= EVENT_IDS_MAX {
            return id.len() + size_of::<(Option<i64>, usize, String)>();
        }
        self.event_ids.pop_last();
        0
    }
}

impl Derivation for AllFindings {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let batch = InputBatch::new("rule_findings", rows);
        let (times, last_times) = (batch.times("event_time")?, batch.times("last_time")?);
        let (counts, found) = (batch.counts("event_count")?, RuleRows::of(batch)?);
        for row in 0..batch.len() {
            let Some(key) = found.key(row) else { continue };
            let (at, ids) = (times.get(row), found.event_ids.get(row).unwrap_or_default());
            let last = last_times.get(row).max(at);
            let words = found.words(row, last);
            let place = (at, found.account_id.owned(row), found.region.owned(row));
            if !self.findings.contains_key(&key) {
                self.bytes += FINDING_BYTES + key.bytes() + words.detail.as_ref().map_or(0, String::len);
                self.findings.insert(key.clone(), Finding::new(words.clone(), place.clone()));
            }
            let finding = self.findings.get_mut(&key).expect("it was just put there");
            finding.first = [finding.first, at].into_iter().flatten().min();
            finding.last = finding.last.max(last);
            finding.events += counts.get(row).unwrap_or(ids.len() as i64);
            if words > finding.words {
                finding.words = words;
            }
            if place < finding.place {
                finding.place = place;
            }
            for (number, id) in ids.iter().enumerate() {
                self.bytes += finding.take_id(at, number, id);
            }
            for name in found.sessions.get(row).unwrap_or_default() {
                self.bytes += finding.sessions.take(&name);
            }
            for name in found.source_ips.get(row).unwrap_or_default() {
                self.bytes += finding.source_ips.take(&name);
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        for (key, finding) in &self.findings {
            let (_, account_id, region) = &finding.place;
            let ids: Vec<String> = finding.event_ids.iter().map(|(_, _, id)| id.clone()).collect();
            let (sessions, source_ips) = (finding.sessions.list(), finding.source_ips.list());
            rows.push([
                OutputCell::from(&key.fingerprint()),
                OutputCell::from(&key.rule),
                OutputCell::from(SEVERITIES[finding.words.severity]),
                OutputCell::Time(finding.first),
                OutputCell::Time(finding.last),
                OutputCell::Count(Some(finding.events)),
                OutputCell::from(account_id),
                OutputCell::from(region),
                OutputCell::from(&key.principal),
                OutputCell::Texts(Some(&sessions)),
                OutputCell::Texts(Some(&source_ips)),
                OutputCell::from(&key.key_arn),
                OutputCell::from(&key.table_name),
                OutputCell::from(&key.subject),
                OutputCell::from(&finding.words.outcome),
                OutputCell::Texts(Some(&ids)),
                OutputCell::from(&finding.words.detail),
            ])?;
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_order_free, batch, lines};

    /// A row of a rule: its severity, time, id and session, of one principal and key.
    fn row(severity: &str, at: i64, ids: &[String], session: &str, subject: Option<&str>) -> RecordBatch {
        batch(&[
            ("rule", "r".into()),
            ("severity", severity.into()),
            ("event_time", OutputCell::Time(Some(at))),
            ("last_time", OutputCell::Time(None)),
            ("event_count", OutputCell::Count(None)),
            ("account_id", "111122223333".into()),
            ("region", "eu-west-1".into()),
            ("principal", "p".into()),
            ("sessions", OutputCell::Texts(Some(&[session.to_owned()]))),
            ("source_ips", OutputCell::Texts(None)),
            ("key_arn", "k".into()),
            ("table_name", OutputCell::Text(None)),
            ("subject", OutputCell::Text(subject)),
            ("outcome", "success".into()),
            ("event_ids", OutputCell::Texts(Some(ids))),
            ("detail", format!("at {at}").as_str().into()),
        ])
    }

    fn found(rows: &[RecordBatch]) -> String {
        lines(&assert_order_free(&RULE_FINDINGS, AskedInterval::default(), rows))
    }

    fn ids(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn rows_of_one_subject_are_one_finding() {
        let print = FindingKey {
            rule: "r".to_owned(),
            principal: Some("p".to_owned()),
            key_arn: Some("k".to_owned()),
            table_name: None,
            subject: None,
        };
        let other = FindingKey { subject: Some("s".to_owned()), ..print.clone() };
        let rows = [
            row("low", 30, &ids(&["c"]), "s2", None),
            row("high", 10, &ids(&["b", "a"]), "s1", None),
            row("high", 20, &ids(&["a"]), "s1", None),
            row("low", 5, &ids(&["d"]), "s1", Some("s")),
        ];
        assert_eq!(
            found(&rows),
            format!(
                "{} r high 10 30 4 111122223333 eu-west-1 p [s1,s2] [] k - - success [b,a,c] at 20; \
                 {} r low 5 5 1 111122223333 eu-west-1 p [s1] [] k - s success [d] at 5",
                print.fingerprint(),
                other.fingerprint()
            )
        );
        // Whoever wants to can make it again: `printf '["r","p","k",null,null]' | sha256sum`.
        assert!(print.fingerprint().starts_with("5b8aebafdfe60d42"));
    }

    #[test]
    fn what_is_cut_says_so() {
        let rows: Vec<RecordBatch> = (0..60)
            .map(|number| row("low", number, &ids(&[&format!("id-{number:02}")]), &format!("s{number:02}"), None))
            .collect();
        let found = found(&rows);
        assert!(found.contains(" 60 111122223333 ") && found.contains("[id-00,id-01,"), "{found}");
        assert!(found.contains(",id-19]") && found.contains(",s49,and more]"), "{found}");
    }
}
