//! The findings of an audit as SARIF 2.1.0, for hosts that show the results of tools beside the code.
//! In: an [`Audit`] with the objects of its findings. Out: one JSON document. Every result has a place, since some hosts
//! refuse a whole file for one without; suppressed findings are in it, with who suppressed them.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Audit;
use super::finding_row::FindingRow;
use crate::output::times;
use crate::sql::cards::Severity;
use crate::sql::rules::FindingRule;

/// The schema of the document, as its makers publish it.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The folder that every log bucket has.
const LOGS_FOLDER: &str = "AWSLogs/";

impl Audit {
    /// All findings, suppressed ones too.
    pub fn to_sarif(&self) -> String {
        let places: HashMap<&str, usize> =
            self.rules.iter().enumerate().map(|(place, rule)| (rule.name, place)).collect();
        let results: Vec<Value> =
            FindingRow::each(self.finding_rows()).map(|finding| self.result(finding, &places)).collect();
        let notes = self.findings.sentences().into_iter().chain(self.missing.clone());
        let notes: Vec<Value> = notes.map(|text| json!({"level": "note", "message": {"text": text}})).collect();
        let run = json!({
            "tool": {"driver": {
                "name": "keytrail",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": self.rules.iter().map(descriptor).collect::<Vec<_>>(),
            }},
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notes}],
            "columnKind": "unicodeCodePoints",
            "results": results,
        });
        format!("{:#}\n", json!({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}))
    }

    fn result(&self, finding: FindingRow<'_>, places: &HashMap<&str, usize>) -> Value {
        let fingerprint = finding.text("fingerprint").unwrap_or_default();
        let uri = self.object_of(fingerprint).map_or_else(|| relative(&self.place), relative);
        let mut result = json!({
            "ruleId": finding.rule(),
            "level": level(finding.severity()),
            "message": {"text": finding.sentence()},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": percent_encoded(&uri)},
                "region": {"startLine": 1},
            }}],
            "partialFingerprints": {"keytrail/v1": fingerprint},
            "occurrenceCount": finding.number("event_count").unwrap_or(1).max(1),
            "suppressions": finding.text("suppressed_by").map(|words| {
                json!({"kind": "external", "status": "accepted", "justification": words})
            }).into_iter().collect::<Vec<_>>(),
            "properties": {
                "severity": finding.severity().name(),
                "firstSeen": finding.time("event_time").map(times::rfc3339),
                "lastSeen": finding.time("last_time").map(times::rfc3339),
                "account": finding.text("account_id"),
                "region": finding.text("region"),
                "principal": finding.text("principal"),
                "sessions": finding.list("sessions"),
                "sourceIps": finding.list("source_ips"),
                "keyArn": finding.text("key_arn"),
                "tableName": finding.text("table_name"),
                "subject": finding.text("subject"),
                "eventIds": finding.list("event_ids"),
            },
        });
        if let Some(place) = places.get(finding.rule()) {
            result["ruleIndex"] = json!(place);
        }
        result
    }
}

/// A rule, as SARIF describes one.
fn descriptor(rule: &FindingRule) -> Value {
    let help =
        format!("{}\n\nWhat gives the same: {}\n\nWhat to do next: {}", rule.why, rule.false_positives, rule.next);
    let tags: Vec<&str> =
        ["security"].into_iter().chain(rule.controls.iter().copied()).chain(rule.attack.iter().copied()).collect();
    json!({
        "id": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": help},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": tags, "security-severity": score(rule.severity)},
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// The number that hosts sort security results by; each within the range that they give the word.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "0.1",
    }
}

/// The path of an object from the folder of all logs on, else without what comes before its path.
fn relative(uri: &str) -> String {
    let inside = match (uri.find(LOGS_FOLDER), uri.split_once("://")) {
        (Some(at), _) => &uri[at..],
        (None, Some((_, path))) => path.split_once('/').map_or(path, |(_, key)| key),
        (None, None) => uri,
    };
    inside.trim_start_matches(['/', '.']).to_owned()
}

/// A path as part of a URI.
fn percent_encoded(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.bytes().fold(String::with_capacity(path.len()), |mut encoded, byte| {
        if is_plain(byte) {
            encoded.push(byte as char);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_relative_path() {
        for (uri, path) in [
            ("s3://b/AWSLogs/1/CloudTrail/a.json.gz", "AWSLogs/1/CloudTrail/a.json.gz"),
            ("/home/me/logs/AWSLogs/1/a b.json", "AWSLogs/1/a%20b.json"),
            ("s3://bucket/other/a.json", "other/a.json"),
            ("/logs/é.json", "logs/%C3%A9.json"),
            ("../x.json", "x.json"),
        ] {
            assert_eq!(percent_encoded(&relative(uri)), path, "{uri}");
        }
    }
}
