//! Answers of the AWS CLI as state: the key of a table, the policy, the grants and the rotation of a key, as AWS told
//! them when somebody asked.
//! In: the text of a file, its name, and the time of the answer. Out: rows of the table `state_answers`, which only
//! inputs of derived tables may name. Never takes an answer for complete: what it does not tell is not said to be gone.
//!
//! An answer does not say when it was given, and that of GetKeyPolicy not even of which key it is. So the time is told
//! beside it, and a key's id may stand in the name of the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value};

use crate::arn::{Arn, is_account_id, is_multi_region_id, is_region, is_uuid, partition_of};
use crate::source::Scope;
use crate::store::sha256_hex;
use crate::time::{MICROS_PER_SECOND, parse_rfc3339};

/// The table of answers.
pub const STATE_ANSWERS: &str = "state_answers";

/// A file with one answer.
#[derive(Debug, Clone, Copy)]
pub struct AnswerFile<'f> {
    pub uri: &'f str,
    pub text: &'f str,
    /// The time of the answer, in microseconds since 1970.
    pub at: i64,
}

/// One thing that an answer tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateAnswer {
    /// The command of the AWS CLI that gave it.
    pub kind: &'static str,
    /// The ARN of the table or the key; of a key its id alone until [`placed`] finds the rest.
    pub subject: String,
    /// In microseconds since 1970.
    pub at: i64,
    /// The latest date that it tells, such as of the creation of a grant, in microseconds since 1970.
    pub told_at: Option<i64>,
    /// JSON: the answer, or of several grants one.
    pub body: String,
    /// Of the bytes of the file.
    pub sha256: String,
    pub uri: String,
}

/// The reason that a file is no answer to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    #[error("it is not one JSON object")]
    NotJson,
    #[error("it is no answer of describe-table, get-key-policy, list-grants or get-key-rotation-status")]
    UnknownKind,
    #[error("it names no table or key")]
    NoSubject,
    #[error("it tells of {told}, which is after the time that it is given for")]
    AfterItsTime { told: String },
}

impl AnswerFault {
    /// The cure that the user has, where it is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            AnswerFault::NotJson => Some("save it with --output json"),
            AnswerFault::UnknownKind => Some("save the whole answer, without --query"),
            AnswerFault::NoSubject => {
                Some("name the file by its key: 111122223333_eu-west-1_1234abcd-12ab-34cd-56ef-1234567890ab.json")
            }
            AnswerFault::AfterItsTime { .. } => Some("say when AWS gave the answer: --state FILE@2026-03-10T09:00:00Z"),
        }
    }
}

/// Reads an answer.
///
/// # Errors
/// Fails with the reason that it cannot be used.
pub fn read(file: &AnswerFile<'_>) -> Result<Vec<StateAnswer>, AnswerFault> {
    let parsed: Value = serde_json::from_str(file.text).map_err(|_| AnswerFault::NotJson)?;
    let Value::Object(members) = parsed else { return Err(AnswerFault::NotJson) };
    let parts = parts(&members, file)?;
    if let Some((told, _)) = parts.iter().filter_map(|part| part.told_at()).rfind(|(_, at)| *at > file.at) {
        return Err(AnswerFault::AfterItsTime { told });
    }
    let sha256 = sha256_hex(file.text.as_bytes());
    let answer = |part: AnswerPart<'_>| {
        let told_at = part.told_at().map(|(_, at)| at);
        let subject = part.subject.or_else(|| key_in_name(file.uri)).ok_or(AnswerFault::NoSubject)?;
        let (body, sha256, uri) = (Value::Object(part.body.clone()).to_string(), sha256.clone(), file.uri.to_owned());
        Ok(StateAnswer { kind: part.kind, subject, at: file.at, told_at, body, sha256, uri })
    };
    parts.into_iter().map(answer).collect()
}

/// One thing that an answer tells of, as it stands there.
struct AnswerPart<'a> {
    kind: &'static str,
    subject: Option<String>,
    body: &'a Map<String, Value>,
    /// The object that has dates.
    dated: &'a Map<String, Value>,
}

impl AnswerPart<'_> {
    /// The latest of its dates that lie in the past when AWS answers, as it is written.
    fn told_at(&self) -> Option<(String, i64)> {
        let dates = ["CreationDateTime", "CreationDate", "OnDemandRotationStartDate"].iter();
        let told = dates.filter_map(|name| self.dated.get(*name)).filter_map(|date| Some((date, moment(date)?)));
        told.max_by_key(|(_, at)| *at).map(|(date, at)| (date.to_string(), at))
    }
}

fn parts<'a>(answer: &'a Map<String, Value>, file: &AnswerFile<'_>) -> Result<Vec<AnswerPart<'a>>, AnswerFault> {
    let text = |object: &Map<String, Value>, name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(Value::Object(table)) = answer.get("Table") {
        let subject = Some(text(table, "TableArn").ok_or(AnswerFault::NoSubject)?);
        return Ok(vec![AnswerPart { kind: "describe-table", subject, body: answer, dated: table }]);
    }
    if let Some(Value::Array(grants)) = answer.get("Grants") {
        let grant = |grant: &'a Value| {
            let grant = grant.as_object().ok_or(AnswerFault::UnknownKind)?;
            Ok(AnswerPart { kind: "list-grants", subject: text(grant, "KeyId"), body: grant, dated: grant })
        };
        return grants.iter().map(grant).collect();
    }
    if answer.get("KeyRotationEnabled").is_some_and(Value::is_boolean) {
        let subject = text(answer, "KeyId");
        // A bare id is less than a name that tells account and Region too.
        let subject = subject.filter(|id| id.starts_with("arn:") || key_in_name(file.uri).is_none());
        return Ok(vec![AnswerPart { kind: "get-key-rotation-status", subject, body: answer, dated: answer }]);
    }
    if answer.get("Policy").is_some_and(Value::is_string) {
        return Ok(vec![AnswerPart { kind: "get-key-policy", subject: None, body: answer, dated: answer }]);
    }
    Err(AnswerFault::UnknownKind)
}

/// A date as the CLI writes it: RFC 3339, or seconds since 1970.
fn moment(date: &Value) -> Option<i64> {
    match date {
        Value::String(text) => parse_rfc3339(text),
        Value::Number(seconds) => seconds.as_f64().map(|seconds| (seconds * MICROS_PER_SECOND as f64) as i64),
        _ => None,
    }
}

/// The key that the name of a file tells: its ARN where account and Region stand there too, else its id.
fn key_in_name(uri: &str) -> Option<String> {
    let name = uri.rsplit('/').next()?;
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    let id = words.iter().flat_map(|word| suffixes(word)).find_map(key_id)?;
    let account = words.iter().find(|word| is_account_id(word));
    let region = words.iter().find(|word| is_region(word));
    Some(match (account, region) {
        (Some(account), Some(region)) => format!("arn:{}:kms:{region}:{account}:key/{id}", partition_of(region)),
        _ => id.to_owned(),
    })
}

/// A word, and what follows each of its dashes.
fn suffixes(word: &str) -> impl Iterator<Item = &str> {
    std::iter::once(word).chain(word.match_indices('-').map(|(dash, _)| &word[dash + 1..]))
}

/// The id of a key at the beginning of a text.
fn key_id(text: &str) -> Option<&str> {
    let uuid = text.get(..36).filter(|id| is_uuid(id));
    uuid.or_else(|| text.get(..36).filter(|id| is_multi_region_id(id)))
}

/// The same answers, where a key that one names by its id alone is the one of that id that another names.
///
/// # Errors
/// Fails with an answer of which nothing tells the whole ARN.
pub fn placed(answers: Vec<StateAnswer>) -> Result<Vec<StateAnswer>, Box<StateAnswer>> {
    let mut by_id: BTreeMap<String, Option<String>> = BTreeMap::new();
    for answer in &answers {
        let Some(id) = Arn::parse(&answer.subject).and_then(|arn| arn.kms_key_id()) else { continue };
        // The keys of a multi-Region family share their id.
        let known = by_id.entry(id.to_owned()).or_insert_with(|| Some(answer.subject.clone()));
        *known = known.take().filter(|known| *known == answer.subject);
    }
    let place = |answer: StateAnswer| match by_id.get(&answer.subject) {
        Some(Some(arn)) => Ok(StateAnswer { subject: arn.clone(), ..answer }),
        _ if Arn::parse(&answer.subject).is_some() => Ok(answer),
        _ => Err(Box::new(answer)),
    };
    answers.into_iter().map(place).collect()
}

/// The answers that a scope lets pass, sorted: from before its end, of its accounts and Regions.
pub fn in_scope(answers: &[StateAnswer], scope: &Scope) -> Vec<StateAnswer> {
    let listed = |list: &[String], value: &str| list.is_empty() || list.iter().any(|item| item == value);
    let is_wanted = |answer: &&StateAnswer| {
        let place = Arn::parse(&answer.subject);
        scope.until.is_none_or(|until| answer.at < until)
            && place.is_none_or(|arn| listed(&scope.accounts, arn.account) && listed(&scope.regions, arn.region))
    };
    let mut rows: Vec<StateAnswer> = answers.iter().filter(is_wanted).cloned().collect();
    rows.sort_by(|a, b| {
        (a.at, &a.kind, &a.subject, &a.body, &a.uri).cmp(&(b.at, &b.kind, &b.subject, &b.body, &b.uri))
    });
    rows
}

/// The columns of the table.
pub fn schema() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, false);
    let time =
        |name, nullable| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), nullable);
    let (at, told_at) = (time("at", false), time("told_at", true));
    Arc::new(Schema::new(vec![text("kind"), text("subject"), at, told_at, text("body"), text("sha256"), text("uri")]))
}

/// The answers as one batch.
pub fn batch(answers: &[StateAnswer]) -> RecordBatch {
    let texts =
        |of: fn(&StateAnswer) -> &str| Arc::new(StringArray::from_iter_values(answers.iter().map(of))) as ArrayRef;
    let times = TimestampMicrosecondArray::from_iter_values(answers.iter().map(|answer| answer.at));
    let told = TimestampMicrosecondArray::from_iter(answers.iter().map(|answer| answer.told_at));
    let columns = vec![
        texts(|answer| answer.kind),
        texts(|answer| &answer.subject),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(told.with_timezone("UTC")),
        texts(|answer| &answer.body),
        texts(|answer| &answer.sha256),
        texts(|answer| &answer.uri),
    ];
    RecordBatch::try_new(schema(), columns).expect("every column has a cell for each answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    const TABLE: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders";
    /// 10 March 2026, 09:00.
    const AT: i64 = 1_773_133_200_000_000;

    fn found(uri: &str, text: &str) -> Result<Vec<(&'static str, String)>, AnswerFault> {
        let read = read(&AnswerFile { uri, text, at: AT })?;
        Ok(read.into_iter().map(|answer| (answer.kind, answer.subject)).collect())
    }

    #[test]
    fn an_answer_is_known_by_its_members() {
        let table = format!(r#"{{"Table":{{"TableName":"orders","TableArn":"{TABLE}"}}}}"#);
        let policy = r#"{"Policy":"{\"Statement\":[]}","PolicyName":"default"}"#;
        let grant = |key: &str, id: &str| format!(r#"{{"KeyId":"{key}","GrantId":"{id}"}}"#);
        let grants = |all: &[String]| format!(r#"{{"Grants":[{}],"Truncated":true,"NextMarker":"x"}}"#, all.join(","));
        let two = grants(&[grant(KEY, "a"), grant(KEY, "b")]);
        let rotation = |key: &str| format!(r#"{{"KeyRotationEnabled":false,"KeyId":"{key}"}}"#);
        let named = format!("policies/111122223333_eu-west-1_{ID}.json");
        let mrk = "mrk-1234abcd12ab34cd56ef1234567890ab";
        let [of_table, of_policy, of_grants, of_rotation] =
            ["describe-table", "get-key-policy", "list-grants", "get-key-rotation-status"];
        for (uri, text, expected) in [
            ("a.json", table.as_str(), vec![(of_table, TABLE)]),
            ("a.json", &two, vec![(of_grants, KEY), (of_grants, KEY)]),
            ("a.json", &grants(&[]), vec![]),
            ("a.json", &rotation(KEY), vec![(of_rotation, KEY)]),
            ("a.json", &rotation(ID), vec![(of_rotation, ID)]),
            (&named, &rotation(ID), vec![(of_rotation, KEY)]),
            (&named, r#"{"KeyRotationEnabled":true}"#, vec![(of_rotation, KEY)]),
            (&named, policy, vec![(of_policy, KEY)]),
            (&format!("{ID}.json"), policy, vec![(of_policy, ID)]),
            (&format!("policy-of-{ID}-now.json"), policy, vec![(of_policy, ID)]),
            (&format!("{mrk}.json"), policy, vec![(of_policy, mrk)]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(kind, subject)| (kind, subject.to_owned())).collect();
            assert_eq!(found(uri, text), Ok(expected), "{uri} {text}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for (uri, text, fault) in [
            ("a.json", "", AnswerFault::NotJson),
            ("a.json", "[]", AnswerFault::NotJson),
            ("a.json", "{\"Table\":", AnswerFault::NotJson),
            ("a.json", &format!("{table}{table}"), AnswerFault::NotJson),
            ("a.json", &deep, AnswerFault::NotJson),
            ("a.json", "{}", AnswerFault::UnknownKind),
            ("a.json", r#"{"KeyMetadata":{"KeyId":"k"}}"#, AnswerFault::UnknownKind),
            ("a.json", r#"{"Grants":["x"]}"#, AnswerFault::UnknownKind),
            ("a.json", r#"{"Table":{"TableName":"orders"}}"#, AnswerFault::NoSubject),
            ("a.json", policy, AnswerFault::NoSubject),
            ("a.json", r#"{"KeyRotationEnabled":true}"#, AnswerFault::NoSubject),
            // A folder's name is no name of the file.
            (&format!("{ID}/policy.json"), policy, AnswerFault::NoSubject),
            (&format!("{}.json", &ID[1..]), policy, AnswerFault::NoSubject),
        ] {
            assert_eq!(found(uri, text), Err(fault), "{uri} {}", &text[..text.len().min(80)]);
        }
    }

    /// Each grant is a row with its own text; the hash is that of the whole file.
    #[test]
    fn a_row_keeps_its_text_and_the_hash_of_its_file() {
        let text = format!(r#"{{"Grants":[{{"KeyId":"{KEY}","GrantId":"a","Operations":["Decrypt"]}}]}}"#);
        let read = read(&AnswerFile { uri: "g.json", text: &text, at: AT }).unwrap();
        assert_eq!(read[0].body, format!(r#"{{"GrantId":"a","KeyId":"{KEY}","Operations":["Decrypt"]}}"#));
        assert_eq!((read[0].sha256.as_str(), read[0].at), (sha256_hex(text.as_bytes()).as_str(), AT));
        assert_eq!(batch(&read).num_rows(), 1);
    }

    #[test]
    fn an_answer_is_no_older_than_what_it_tells_of() {
        let table = |date: &str| format!(r#"{{"Table":{{"TableArn":"{TABLE}","CreationDateTime":{date}}}}}"#);
        let grants = |date: &str| format!(r#"{{"Grants":[{{"KeyId":"{KEY}","CreationDate":{date}}}]}}"#);
        for (date, is_before) in [
            (r#""2026-03-10T09:00:00Z""#, true),
            (r#""2026-03-10T10:00:00.5+01:00""#, false),
            (r#""2026-03-10T10:00:00+01:00""#, true),
            (r#""2026-03-10T09:00:00-01:00""#, false),
            ("1773133200.0", true),
            ("1773133201", false),
            (r#""no date""#, true),
            ("null", true),
        ] {
            for text in [table(date), grants(date)] {
                let fault = AnswerFault::AfterItsTime { told: date.to_owned() };
                let expected = if is_before { Ok(1) } else { Err(fault) };
                assert_eq!(found("a.json", &text).map(|rows| rows.len()), expected, "{text}");
            }
        }
        // The rotation that is due next lies in the future.
        let rotation =
            format!(r#"{{"KeyRotationEnabled":true,"KeyId":"{KEY}","NextRotationDate":"2027-01-01T00:00:00Z"}}"#);
        assert!(found("a.json", &rotation).is_ok());
    }

    fn answers(subjects: &[&str]) -> Vec<StateAnswer> {
        let answer = |subject: &&str| StateAnswer {
            kind: "get-key-policy",
            subject: (*subject).to_owned(),
            at: 5,
            told_at: None,
            body: "{}".to_owned(),
            sha256: String::new(),
            uri: "a.json".to_owned(),
        };
        subjects.iter().map(answer).collect()
    }

    #[test]
    fn a_key_named_by_its_id_is_the_one_that_another_answer_names() {
        let replica = "arn:aws:kms:us-east-1:111122223333:key/mrk-1";
        let primary = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1";
        for (subjects, expected) in [
            (&[KEY, ID][..], Ok(vec![KEY, KEY])),
            (&[ID], Err(ID)),
            // The keys of a family share an id, so it names none of them.
            (&[primary, replica, "mrk-1"], Err("mrk-1")),
            (&[primary, primary, "mrk-1"], Ok(vec![primary, primary, primary])),
        ] {
            let subject = |answer: StateAnswer| answer.subject;
            let found = placed(answers(subjects)).map(|all| all.into_iter().map(subject).collect::<Vec<_>>());
            let expected = expected.map(|all| all.into_iter().map(str::to_owned).collect()).map_err(str::to_owned);
            assert_eq!(found.map_err(|answer| subject(*answer)), expected, "{subjects:?}");
        }
    }

    #[test]
    fn a_scope_lets_pass_what_is_of_it_and_from_before_its_end() {
        let replica = "arn:aws:kms:us-east-1:111122223333:key/mrk-1";
        let primary = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1";
        let other = "arn:aws:kms:eu-west-1:444455556666:key/other";
        let scope = |accounts: &[&str], regions: &[&str], until| Scope {
            until,
            accounts: accounts.iter().map(|text| (*text).to_owned()).collect(),
            regions: regions.iter().map(|text| (*text).to_owned()).collect(),
            ..Scope::default()
        };
        for (subjects, scope, expected) in [
            (&[KEY, other][..], scope(&["111122223333"], &[], None), vec![KEY]),
            (&[primary, replica], scope(&[], &["us-east-1"], None), vec![replica]),
            (&[KEY], scope(&[], &[], Some(5)), vec![]),
            (&[KEY], scope(&[], &[], Some(6)), vec![KEY]),
        ] {
            let rows = in_scope(&answers(subjects), &scope);
            let found: Vec<&str> = rows.iter().map(|answer| answer.subject.as_str()).collect();
            assert_eq!(found, expected, "{subjects:?}");
        }
    }
}
