//! An audit as one JSON object, whose members scripts may rely on.
//! In: an [`Audit`]. Out: text. Never shortens a value and never leaves a row out.

use std::fmt::Write;

use arrow::array::RecordBatch;
use serde_json::{Map, Value, json};

use super::{Audit, limits};
use crate::output::{cell, times, unique_names};
use crate::table::{Completeness, SeenInput, WithoutLogs};

impl Audit {
    /// The whole audit, with every row of every section.
    pub fn to_json(&self) -> String {
        let a = &self.accounting;
        let mut head = json!({
            "since": self.scope.since.map(times::rfc3339),
            "until": self.scope.until.map(times::rfc3339),
            "accounts": self.scope.accounts,
            "regions": self.scope.regions,
            "about": self.subjects.json(&self.sections),
        });
        if let Some(members) = head.as_object_mut() {
            let others = [
                ("untimed", a.lacking.time),
                ("unplaced", a.lacking.place),
                ("unplaced_objects", a.without_organization),
                ("older_rows", a.older_rows),
                ("objects_without_hours", a.without_hours),
                ("bytes", a.bytes),
                ("event_history_objects", a.history_objects),
            ];
            for (name, n) in a.counts.each().chain(others) {
                members.insert(name.to_owned(), json!(n));
            }
            let is_accounted_for = a.verdict(WithoutLogs::IsIncomplete) == Completeness::Complete;
            members.insert("complete".to_owned(), json!(is_accounted_for && self.missing.is_empty()));
            members.insert("input_complete".to_owned(), json!(is_accounted_for));
            members.insert("accepted_objects".to_owned(), json!(a.accepted.objects));
            members.insert("seen".to_owned(), seen(&self.seen));
            members.insert("expected_missing".to_owned(), json!(self.missing));
        }
        let objects: Map<_, _> = a.by_status.each().map(|(status, n)| (status.name().to_owned(), json!(n))).collect();
        let mut out = String::new();
        write!(out, "{{\n\"summary\":{head},\n\"coverage\":").expect("writing to a String cannot fail");
        rows_json(&mut out, &self.coverage);
        write!(out, ",\n\"objects\":{}", json!(objects)).expect("writing to a String cannot fail");
        for section in &self.sections {
            if section.name == "findings" {
                out.push_str(",\n\"access_chains\":[]");
            }
            write!(out, ",\n\"{}\":", section.name).expect("writing to a String cannot fail");
            rows_json(&mut out, &section.rows);
        }
        let limits = limits::of(a);
        write!(out, ",\n\"limits\":{}\n}}\n", json!(limits)).expect("writing to a String cannot fail");
        out
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
