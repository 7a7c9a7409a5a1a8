//! Every rule against records of its own: those that must match, and near-misses that must not.
//! In: `tests/rules/RULE.json`, cases of records that are changes of those in `tests/rules/base`. Out: the findings of one
//! run over all of them, by case. Each case has accounts of its own, so no case sees another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::child::{keytrail, root};

/// The begin of the interval; records before it are history.
const SINCE: &str = "2026-06-01T00:00:00Z";

/// The least number of cases of each side.
const CASES_MIN: usize = 3;

/// One case of a rule.
struct RuleCase {
    rule: String,
    /// The rule, the side and the number.
    name: String,
    /// The names that stand for placeholders.
    names: BTreeMap<&'static str, String>,
    records: Vec<Value>,
    /// Columns that the findings must have, one entry a finding; none for a near-miss.
    finds: Vec<Value>,
}

fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

/// A UUID of version 4 that follows from a text.
fn uuid(text: &str) -> String {
    let mut hex: String = hash(text)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    hex.replace_range(12..13, "4");
    hex.replace_range(16..17, "8");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// An account that follows from a text.
fn account(text: &str) -> String {
    let number = hash(text)[..8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{:012}", 100_000_000_000 + number % 800_000_000_000)
}

/// Applies a JSON merge patch (RFC 7396).
fn merged(base: Option<Value>, change: &Value) -> Value {
    let Some(changes) = change.as_object() else { return change.clone() };
    let mut members = match base {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    for (name, change) in changes {
        let before = members.remove(name);
        if !change.is_null() {
            members.insert(name.clone(), merged(before, change));
        }
    }
    Value::Object(members)
}

/// Puts names in the place of `{name}`.
fn filled(value: &Value, names: &BTreeMap<&'static str, String>) -> Value {
    let text =
        |text: &str| names.iter().fold(text.to_owned(), |text, (name, is)| text.replace(&format!("{{{name}}}"), is));
    match value {
        Value::String(given) => Value::String(text(given)),
        Value::Array(items) => items.iter().map(|item| filled(item, names)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (text(name), filled(value, names))).collect())
        }
        other => other.clone(),
    }
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// A record of a case: its base with its changes, and an id of its own.
fn record(bases: &BTreeMap<String, Value>, given: &Value, id: &str) -> Value {
    let mut changes = given.as_object().unwrap_or_else(|| panic!("{id}: a record is an object")).clone();
    let base = changes.remove("of").map(|name| {
        let name = name.as_str().unwrap().to_owned();
        bases.get(&name).unwrap_or_else(|| panic!("{id}: no base `{name}`")).clone()
    });
    let mut record = merged(base, &Value::Object(changes));
    let is_of_service = record["eventType"] == "AwsServiceEvent";
    for (name, wanted) in [("eventID", true), ("requestID", !is_of_service)] {
        if wanted && record.get(name).is_none() {
            record[name] = Value::String(uuid(&format!("{id} {name}")));
        }
    }
    record
}

fn cases() -> Vec<RuleCase> {
    let folder = root().join("tests/rules");
    let bases = files(&folder.join("base")).into_iter().map(|path| (stem(&path), json(&path))).collect();
    let mut cases = Vec::new();
    for path in files(&folder) {
        let (rule, book) = (stem(&path), json(&path));
        for side in ["matches", "near_misses"] {
            let given = book[side].as_array().unwrap_or_else(|| panic!("{rule} has no {side}"));
            assert!(given.len() >= CASES_MIN, "{rule} has {} {side}", given.len());
            for (number, case) in given.iter().enumerate() {
                let name = format!("{rule}/{side}/{}", number + 1);
                assert!(case["says"].as_str().is_some_and(|says| !says.is_empty()), "{name} says nothing");
                let names: BTreeMap<&'static str, String> = [
                    ("account", account(&format!("{name} account"))),
                    ("other", account(&format!("{name} other"))),
                    ("key", uuid(&format!("{name} key"))),
                    ("key2", uuid(&format!("{name} key2"))),
                    ("key3", uuid(&format!("{name} key3"))),
                    ("table", format!("orders-{}", &uuid(&name)[..6])),
                ]
                .into();
                let records = case["records"].as_array().unwrap();
                let records = records
                    .iter()
                    .enumerate()
                    .map(|(place, given)| filled(&record(&bases, given, &format!("{name} {place}")), &names))
                    .collect();
                let one = || if side == "matches" { vec![Value::Object(Map::new())] } else { Vec::new() };
                let finds = case["finds"].as_array().cloned().unwrap_or_else(one);
                assert_eq!(finds.is_empty(), side == "near_misses", "{name}");
                let finds = finds.iter().map(|find| filled(find, &names)).collect();
                cases.push(RuleCase { rule: rule.clone(), name, records, finds, names });
            }
        }
    }
    cases
}

/// Writes logs as AWS files them: one a day, account and Region.
fn write_logs(cases: &[RuleCase], folder: &Path) {
    let mut logs: BTreeMap<[String; 3], Vec<&Value>> = BTreeMap::new();
    for record in cases.iter().flat_map(|case| &case.records) {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let account = record["recipientAccountId"].as_str().expect("a record of a case has an account").to_owned();
        logs.entry([account, text("awsRegion"), text("eventTime")[..10].to_owned()]).or_default().push(record);
    }
    for ([account, region, day], records) in logs {
        let place = folder.join(format!("AWSLogs/{account}/CloudTrail/{region}/{}", day.replace('-', "/")));
        fs::create_dir_all(&place).unwrap();
        let (day, id) = (day.replace('-', ""), &uuid(&format!("{account}{region}{day}"))[..8]);
        let log = serde_json::json!({ "Records": records }).to_string();
        fs::write(place.join(format!("{account}_CloudTrail_{region}_{day}T2355Z_{id}00000000.json")), log).unwrap();
    }
}

/// True where a finding has the columns. Its detail says the number of its events behind the rule's words.
fn fits(finding: &Value, columns: &Value) -> bool {
    columns.as_object().unwrap().iter().all(|(name, value)| {
        let said = finding["detail"].as_str().and_then(|detail| detail.strip_prefix(value.as_str()?));
        finding[name] == *value || name == "detail" && said.is_some_and(|more| more.starts_with("; "))
    })
}

/// What is wrong with the findings of a case.
fn fault(case: &RuleCase, found: &[&Value]) -> Option<String> {
    let mut left = found.to_vec();
    let mut missing = Vec::new();
    for columns in &case.finds {
        match left.iter().position(|finding| fits(finding, columns)) {
            Some(place) => drop(left.remove(place)),
            None => missing.push(columns),
        }
    }
    let is_right = missing.is_empty() && left.is_empty();
    (!is_right).then(|| format!("{}: lacks {missing:#?}, has beside {left:#?}", case.name))
}

#[test]
fn rules_find_what_they_must_and_nothing_else() {
    let (cases, folder) = (cases(), tempfile::tempdir().unwrap());
    let (logs, store) = (folder.path().join("logs"), folder.path().join("store"));
    write_logs(&cases, &logs);
    let (logs, store) = (logs.to_str().unwrap(), store.to_str().unwrap());
    let ended = keytrail(["ingest", "-q", logs, "--store", store, "--events", "all"]);
    assert_eq!(ended.code, Some(0), "{}", ended.story());
    let expected = root().join("tests/rules/expect-use.toml");
    let ended = keytrail([
        "audit",
        "-q",
        store,
        "--since",
        SINCE,
        "--rules-set",
        "baseline",
        "-f",
        "json",
        "--expect-use",
        expected.to_str().unwrap(),
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.story());
    let audit: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let mut of_account: BTreeMap<&str, &RuleCase> = BTreeMap::new();
    for case in &cases {
        of_account.extend(["account", "other"].map(|name| (case.names[name].as_str(), case)));
    }
    let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut faults = Vec::new();
    for finding in audit["findings"].as_array().unwrap() {
        match finding["account_id"].as_str().and_then(|account| of_account.get(account)) {
            Some(case) if finding["rule"] == case.rule.as_str() => found.entry(&case.name).or_default().push(finding),
            // Another rule may have found something in a case that is not its own.
            Some(_) => {}
            None => faults.push(format!("a finding of no case: {finding:#}")),
        }
    }
    faults
        .extend(cases.iter().filter_map(|case| fault(case, found.get(case.name.as_str()).map_or(&[], Vec::as_slice))));
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

#[test]
fn every_rule_has_cases() {
    let with_cases: BTreeSet<String> = files(&root().join("tests/rules")).iter().map(|path| stem(path)).collect();
    let rules = keytrail::sql::rules::all().iter().map(|rule| rule.name.to_owned());
    // Records alone break no proof: that is a test of its own.
    assert_eq!(with_cases, rules.filter(|rule| rule != "proof-broken").collect());
}

/// The test must see a finding too many and one too few.
#[test]
fn a_wrong_finding_is_a_fault() {
    let case = RuleCase {
        rule: "r".to_owned(),
        name: "r/matches/1".to_owned(),
        names: BTreeMap::new(),
        records: Vec::new(),
        finds: vec![serde_json::json!({"severity": "high"})],
    };
    let (high, low) = (serde_json::json!({"severity": "high"}), serde_json::json!({"severity": "low"}));
    assert_eq!(fault(&case, &[&high]), None);
    for found in [vec![], vec![&low], vec![&high, &high]] {
        assert!(fault(&case, &found).is_some());
    }
}
