//! An audit or a trace as one JSON object, whose members scripts may rely on.
//! In: an [`Audit`] or a [`Trace`]. Out: text. Never shortens a value and never leaves a row out.

use std::fmt::Write;

use arrow::array::RecordBatch;
use serde_json::{Map, Value, json};

use super::{Audit, Trace, UnknownName, limits};
use crate::output::{cell, times, unique_names};
use crate::source::Scope;
use crate::table::{Accounting, Completeness, SeenInput, WithoutLogs};

impl Audit {
    /// The whole audit, with every row of every section.
    pub fn to_json(&self) -> String {
        let a = &self.accounting;
        let facts = AnswerFacts { scope: &self.scope, accounting: a, seen: &self.seen, missing: &self.missing };
        let mut head = facts.summary();
        head.insert("about".to_owned(), self.subjects.json(&self.sections));
        head.insert("unattributed_refusals".to_owned(), json!(self.unattributed_refusals));
        head.insert("findings".to_owned(), self.findings.json());
        let objects: Map<_, _> = a.by_status.each().map(|(status, n)| (status.name().to_owned(), json!(n))).collect();
        let (head, objects) = (json!(head), json!(objects));
        let mut out = String::new();
        write!(out, "{{\n\"summary\":{head},\n\"coverage\":").expect("writing to a String cannot fail");
        rows_json(&mut out, &self.coverage);
        write!(out, ",\n\"objects\":{objects}").expect("writing to a String cannot fail");
        for section in &self.sections {
            write!(out, ",\n\"{}\":", section.name).expect("writing to a String cannot fail");
            rows_json(&mut out, &section.rows);
        }
        let limits = limits::of(a);
        write!(out, ",\n\"limits\":{}\n}}\n", json!(limits)).expect("writing to a String cannot fail");
        out
    }
}

impl Trace {
    /// The whole life, with every row.
    pub fn to_json(&self) -> String {
        let facts =
            AnswerFacts { scope: &self.scope, accounting: &self.accounting, seen: &self.seen, missing: &self.missing };
        trace_json(&json!({"kind": self.kind.word(), "name": self.name, "seen": true}), &facts, Some(&self.timeline))
    }
}

impl UnknownName {
    /// A life without rows.
    pub fn to_json(&self) -> String {
        let facts =
            AnswerFacts { scope: &self.scope, accounting: &self.accounting, seen: &self.seen, missing: &self.missing };
        trace_json(&json!({"kind": null, "name": self.name, "seen": false, "nearest": self.nearest}), &facts, None)
    }
}

fn trace_json(subject: &Value, facts: &AnswerFacts<'_>, timeline: Option<&RecordBatch>) -> String {
    let summary = json!(facts.summary());
    let mut out = format!("{{\n\"subject\":{subject},\n\"summary\":{summary},\n\"timeline\":");
    match timeline {
        Some(rows) => rows_json(&mut out, rows),
        None => out.push_str("[]"),
    }
    write!(out, ",\n\"limits\":{}\n}}\n", json!(limits::of(facts.accounting)))
        .expect("writing to a String cannot fail");
    out
}

/// The scope, the accounts and the reach of an answer.
struct AnswerFacts<'a> {
    scope: &'a Scope,
    accounting: &'a Accounting,
    seen: &'a SeenInput,
    missing: &'a [String],
}

impl AnswerFacts<'_> {
    fn summary(&self) -> Map<String, Value> {
        let a = self.accounting;
        let is_accounted_for = a.verdict(WithoutLogs::IsIncomplete) == Completeness::Complete;
        let counts = a.counts.each().chain([
            ("untimed", a.lacking.time),
            ("unplaced", a.lacking.place),
            ("unplaced_objects", a.without_organization),
            ("older_rows", a.older_rows),
            ("objects_without_hours", a.without_hours),
            ("bytes", a.bytes),
            ("event_history_objects", a.history_objects),
            ("accepted_objects", a.accepted.objects),
        ]);
        let members = [
            ("since", json!(self.scope.since.map(times::rfc3339))),
            ("until", json!(self.scope.until.map(times::rfc3339))),
            ("accounts", json!(self.scope.accounts)),
            ("regions", json!(self.scope.regions)),
            ("complete", json!(is_accounted_for && self.missing.is_empty())),
            ("input_complete", json!(is_accounted_for)),
            ("changes_not_read", json!(a.changes_not_read)),
            ("seen", seen(self.seen)),
            ("expected_missing", json!(self.missing)),
        ];
        counts.map(|(name, n)| (name, json!(n))).chain(members).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The accounts, Regions and times of what was read.
pub fn seen(seen: &SeenInput) -> Value {
    json!({
        "accounts": seen.accounts(),
        "regions": seen.regions(),
        "first_event": seen.first_event.map(times::rfc3339),
        "last_event": seen.last_event.map(times::rfc3339),
    })
}

fn rows_json(out: &mut String, rows: &RecordBatch) {
    let names = unique_names(&rows.schema());
    out.push('[');
    for row in 0..rows.num_rows() {
        out.push_str(if row == 0 { "\n{" } else { ",\n{" });
        for (i, (name, column)) in names.iter().zip(rows.columns()).enumerate() {
            if i > 0 {
                out.push(',');
            }
            cell::json_string(out, name);
            out.push(':');
            cell::json(out, column, row);
        }
        out.push('}');
    }
    out.push(']');
}
