//! The findings of an audit: those that are open, those that somebody suppressed, and the rules that say nothing.
//! In: rows of the views `findings` and `rules`. Out: the rows to show, and sentences on what is not shown.
//! Never says "no finding" of a rule that could not be evaluated.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use serde_json::{Map, Value, json};

use crate::output::words::count;
use crate::sql::cards::Severity;

/// The section of findings.
pub(super) const FINDINGS: &str = "findings";

/// What an audit does with findings that are suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SuppressedRows {
    #[default]
    Counted,
    Listed,
}

/// What an audit says of its findings beside their rows.
#[derive(Debug, Clone, Default)]
pub struct FindingsTold {
    /// The gravest that is open.
    pub gravest: Option<Severity>,
    /// Suppressed findings by owner, end and reason.
    suppressed: BTreeMap<String, usize>,
    /// Rules that ran and that the logs let say something.
    evaluated: usize,
    /// Rules that ran in vain, and what the logs lack for them.
    not_evaluated: Vec<(String, String)>,
    /// Rules of a set that was not asked for.
    not_asked: usize,
}

/// A column of texts.
pub(super) fn texts<'r>(rows: &'r RecordBatch, name: &str) -> Result<&'r StringArray, ArrowError> {
    let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| ArrowError::SchemaError(format!("no texts are named `{name}`")))
}

fn text<'r>(column: &'r StringArray, row: usize) -> &'r str {
    if column.is_valid(row) { column.value(row) } else { "" }
}

impl FindingsTold {
    /// Takes the rows of all findings; gives those to show.
    pub(super) fn take(&mut self, rows: &RecordBatch, suppressed: SuppressedRows) -> Result<RecordBatch, ArrowError> {
        let (severities, words) = (texts(rows, "severity")?, texts(rows, "suppressed_by")?);
        let mut shown = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            let is_suppressed = words.is_valid(row);
            if is_suppressed {
                *self.suppressed.entry(words.value(row).to_owned()).or_default() += 1;
            } else {
                self.gravest = self.gravest.max(Severity::read(text(severities, row)));
            }
            shown.push(!is_suppressed || suppressed == SuppressedRows::Listed);
        }
        filter_record_batch(rows, &BooleanArray::from(shown))
    }

    /// Takes the rows of `rules`.
    pub(super) fn take_rules(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let (rules, statuses, lacks) = (texts(rows, "rule")?, texts(rows, "status")?, texts(rows, "lacks")?);
        for row in 0..rows.num_rows() {
            match text(statuses, row) {
                "evaluated" => self.evaluated += 1,
                "not_asked" => self.not_asked += 1,
                _ => self.not_evaluated.push((text(rules, row).to_owned(), text(lacks, row).to_owned())),
            }
        }
        Ok(())
    }

    /// Findings that are suppressed.
    pub fn suppressed_count(&self) -> usize {
        self.suppressed.values().sum()
    }

    /// Sentences on findings that are not shown, and on rules that say nothing.
    pub fn sentences(&self) -> Vec<String> {
        let mut said = Vec::new();
        for (words, number) in &self.suppressed {
            let unit = if *number == 1 { "finding is" } else { "findings are" };
            said.push(format!("{} {unit} suppressed by {words}", count(*number as u64)));
        }
        if !self.not_evaluated.is_empty() {
            let mut by_lack: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (rule, lacks) in &self.not_evaluated {
                by_lack.entry(lacks).or_default().push(rule);
            }
            let words = by_lack.iter().map(|(lacks, rules)| format!("{} for want of {lacks}", rules.join(", ")));
            said.push(format!(
                "{} of {} rules could not be evaluated, so their silence says nothing: {}",
                self.not_evaluated.len(),
                self.evaluated + self.not_evaluated.len(),
                words.collect::<Vec<_>>().join("; ")
            ));
        }
        if self.not_asked > 0 {
            let words = if self.not_asked == 1 { "rule compares" } else { "rules compare" };
            let number = self.not_asked;
            said.push(format!("{number} {words} with what was usual, and nobody asked: --rules-set baseline"));
        }
        said
    }

    /// The same as members of the summary.
    pub(super) fn json(&self) -> Value {
        let suppressed: Map<String, Value> =
            self.suppressed.iter().map(|(words, number)| (words.clone(), json!(number))).collect();
        let lacking: Map<String, Value> =
            self.not_evaluated.iter().map(|(rule, lacks)| (rule.clone(), json!(lacks))).collect();
        json!({
            "suppressed": self.suppressed_count(),
            "suppressed_by": suppressed,
            "rules_evaluated": self.evaluated,
            "rules_not_evaluated": lacking,
            "rules_not_asked": self.not_asked,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;

    use super::*;

    fn batch<const N: usize>(columns: [(&str, Vec<Option<&str>>); N]) -> RecordBatch {
        let columns = columns.map(|(name, cells)| (name, Arc::new(StringArray::from(cells)) as ArrayRef, true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    #[test]
    fn a_suppressed_finding_is_counted_and_fails_nothing() {
        let rows = batch([
            ("severity", vec![Some("high"), Some("critical"), Some("low")]),
            ("suppressed_by", vec![None, Some("sec until 2026-07-01T00:00:00Z: drill"), None]),
        ]);
        for (listed, shown) in [(SuppressedRows::Counted, 2), (SuppressedRows::Listed, 3)] {
            let mut told = FindingsTold::default();
            assert_eq!(told.take(&rows, listed).unwrap().num_rows(), shown);
            assert_eq!((told.gravest, told.suppressed_count()), (Some(Severity::High), 1));
            assert_eq!(told.sentences(), ["1 finding is suppressed by sec until 2026-07-01T00:00:00Z: drill"]);
        }
    }

    #[test]
    fn rules_that_say_nothing_are_named() {
        let mut told = FindingsTold::default();
        let rules = batch([
            ("rule", vec![Some("a"), Some("b"), Some("c"), Some("d")]),
            ("status", vec![Some("evaluated"), Some("not_evaluated"), Some("not_evaluated"), Some("not_asked")]),
            ("lacks", vec![None, Some("iam"), Some("iam"), Some("baseline")]),
        ]);
        told.take_rules(&rules).unwrap();
        assert_eq!(
            told.sentences(),
            [
                "2 of 3 rules could not be evaluated, so their silence says nothing: b, c for want of iam",
                "1 rule compares with what was usual, and nobody asked: --rules-set baseline"
            ]
        );
        assert_eq!(told.json()["rules_not_evaluated"]["c"], "iam");
    }
}
