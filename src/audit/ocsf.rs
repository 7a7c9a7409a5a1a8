//! The findings of an audit as OCSF Detection Findings (class 2004), one JSON object a line.
//! In: an [`Audit`]. Out: lines. What the class has no place for stands in `unmapped`; nothing is dropped.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::Audit;
use super::finding_row::FindingRow;
use crate::arn::Arn;
use crate::sql::cards::Severity;
use crate::sql::rules::FindingRule;

/// The version whose fields are used; later ones have them too.
const OCSF_VERSION: &str = "1.1.0";

impl Audit {
    /// All findings that are shown, suppressed ones by their status.
    pub fn to_ocsf(&self) -> String {
        let mut lines = String::new();
        for finding in FindingRow::each(self.finding_rows()) {
            let rule = self.rules.iter().find(|rule| rule.name == finding.rule());
            writeln!(lines, "{}", detection(finding, rule)).expect("writing to a String cannot fail");
        }
        lines
    }
}

fn detection(finding: FindingRow<'_>, rule: Option<&FindingRule>) -> Value {
    let millis = |name: &str| finding.time(name).map(|micros| micros / 1000);
    let (severity_id, severity) = match finding.severity() {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    let is_suppressed = finding.text("suppressed_by").is_some();
    let (status_id, status) = if is_suppressed { (3, "Suppressed") } else { (1, "New") };
    let mut found = json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "time": millis("last_time").unwrap_or(0),
        "count": finding.number("event_count").unwrap_or(1).max(1),
        "message": finding.sentence(),
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "keytrail", "vendor_name": "keytrail", "version": env!("CARGO_PKG_VERSION")},
        },
        "finding_info": finding_info(finding, rule),
        "cloud": {"provider": "AWS", "account": {"uid": finding.text("account_id")}, "region": finding.text("region")},
        "resources": resources(finding),
        "evidences": evidences(finding),
        "unmapped": {
            "outcome": finding.text("outcome"),
            "subject": finding.text("subject"),
            "sessions": finding.list("sessions"),
            "event_ids": finding.list("event_ids"),
            "controls": rule.map(|rule| rule.controls.clone()).unwrap_or_default(),
        },
    });
    set(&mut found, "start_time", millis("event_time").map(Value::from));
    set(&mut found, "end_time", millis("last_time").map(Value::from));
    set(&mut found, "comment", finding.text("suppressed_by").map(Value::from));
    without_nulls(found)
}

fn finding_info(finding: FindingRow<'_>, rule: Option<&FindingRule>) -> Value {
    let millis = |name: &str| finding.time(name).map(|micros| micros / 1000);
    let attacks: Vec<Value> =
        rule.map(|rule| rule.attack.iter().map(|text| attack(text)).collect()).unwrap_or_default();
    json!({
        "uid": finding.text("fingerprint"),
        "title": finding.text("title"),
        "desc": rule.map(|rule| rule.why.clone()),
        "first_seen_time": millis("event_time"),
        "last_seen_time": millis("last_time"),
        "analytic": {"uid": finding.rule(), "name": finding.text("title"), "type_id": 1, "type": "Rule"},
        "attacks": attacks,
    })
}

/// `T1485 Data Destruction`, as a card has it.
fn attack(text: &str) -> Value {
    let (uid, name) = text.split_once(' ').unwrap_or((text, text));
    json!({"technique": {"uid": uid, "name": name}, "version": "16.1"})
}

fn resources(finding: FindingRow<'_>) -> Vec<Value> {
    let key = finding.text("key_arn").map(|arn| {
        let region = Arn::parse(arn).map(|arn| arn.region.to_owned());
        without_nulls(json!({"uid": arn, "type": "AWS::KMS::Key", "region": region}))
    });
    let table = finding.text("table_name").map(|name| json!({"name": name, "type": "AWS::DynamoDB::Table"}));
    let subject = finding.text("subject").map(|name| json!({"name": name}));
    key.into_iter().chain(table).chain(subject).collect()
}

/// The actor, once for each address.
fn evidences(finding: FindingRow<'_>) -> Vec<Value> {
    let actor = finding.text("principal").map(|principal| json!({"user": {"uid": principal}}));
    let one = |address: Option<&String>| {
        let endpoint = address.map(|address| match address.parse::<std::net::IpAddr>() {
            Ok(ip) => json!({"ip": ip.to_string()}),
            // A service that called in its own name.
            Err(_) => json!({"hostname": address}),
        });
        without_nulls(json!({"actor": actor, "src_endpoint": endpoint}))
    };
    let addresses = finding.list("source_ips");
    match addresses.is_empty() {
        true => vec![one(None)],
        false => addresses.iter().map(|address| one(Some(address))).collect(),
    }
}

fn set(object: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(members), Some(value)) = (object.as_object_mut(), value) {
        members.insert(name.to_owned(), value);
    }
}

/// The same without members that have no value: the class takes no NULL.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}
