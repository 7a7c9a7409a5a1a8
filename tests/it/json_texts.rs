//! JSON texts of every kind, right and wrong: as values within a record, as an item beside records, as a line, and as a whole
//! file. Each is taken where another parser takes the document around it, and refused by name where that one refuses.
//! In: `tests/bad/json/texts.json`, and the public suite of such texts that `.ci/run` fetches. A name begins with `y_` for
//! JSON, `n_` for what is none and `i_` where readers may differ, as the suite has it. Out: every disagreement.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::child::{fetched, keytrail, root};
use crate::hostile::unhex;

struct Text {
    name: String,
    bytes: Vec<u8>,
}

impl Text {
    fn is_json(&self) -> bool {
        serde_json::from_slice::<IgnoredAny>(&self.bytes).is_ok()
    }

    /// Our choice where readers differ. Two members of one name are refused, since two readers would see different
    /// values, and so is nesting beyond 128. What a client may write into a value is taken: numbers of any size, half a
    /// surrogate pair, and within strings bytes that are no UTF-8.
    fn is_refused_by_choice(&self) -> bool {
        ["duplicate", "same_key", "500_nested", "too_deep"].iter().any(|word| self.name.contains(word))
    }

    /// The verdict that the name promises, or, where readers differ, the one that we chose.
    fn promises_json(&self) -> bool {
        let is_marked_or_wide = ["BOM", "UTF-16", "utf16"].iter().any(|word| self.name.contains(word));
        match self.name.split_once('_') {
            Some(("n", _)) => false,
            Some(("i", _)) => !is_marked_or_wide,
            _ => true,
        }
    }
}

/// A text of a list: as it is, in hexadecimal digits where it is no text, or parts that repeat.
#[derive(Deserialize)]
struct Listed {
    name: String,
    #[serde(default)]
    input: String,
    #[serde(default)]
    hex: String,
    #[serde(default)]
    repeat: Vec<(String, usize)>,
}

fn texts(list: &str) -> Vec<Text> {
    let listed: Vec<Listed> = serde_json::from_str(list).unwrap();
    let bytes = |text: &Listed| {
        let repeated: String = text.repeat.iter().map(|(part, times)| part.repeat(*times)).collect();
        [text.input.as_bytes(), &unhex(&text.hex), repeated.as_bytes()].concat()
    };
    listed.into_iter().map(|text| Text { bytes: bytes(&text), name: text.name }).collect()
}

/// A place for a text, between what stands before and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The value of a member of the second of three records.
    Member(&'static str, &'static str),
    /// The second of three records.
    Item,
    /// The second of three lines, of which the others are records.
    Line,
    File,
}

/// The text of the first is read back.
const PLACES: [Place; 13] = [
    Place::Member(r#""requestParameters":{"x":"#, "}"),
    Place::Member(r#""userAgent":"#, ""),
    Place::Member(r#""requestParameters":{"encryptionContext":"#, "}"),
    Place::Member(r#""requestParameters":{"encryptionContext":{"aws:dynamodb:tableName":"#, "}}"),
    Place::Member(r#""additionalEventData":"#, ""),
    Place::Member(r#""errorMessage":"#, r#","errorCode":"AccessDenied""#),
    Place::Member(r#""resources":[{"ARN":"#, "}]"),
    Place::Member(r#""sharedEventID":"#, ""),
    Place::Member(r#""tlsDetails":"#, ""),
    Place::Member(r#""addendum":"#, ""),
    Place::Item,
    Place::Line,
    Place::File,
];

/// A record with a further member.
fn record(number: usize, request: &str, member: &[u8]) -> Vec<u8> {
    let head = r#"{"eventVersion":"1.11","userIdentity":{"type":"AWSService","invokedBy":"kms.amazonaws.com"},"eventTime":"2026-04-01T10:00:00Z","eventSource":"kms.amazonaws.com","eventName":"Encrypt","awsRegion":"eu-central-1","recipientAccountId":"444455556666","#;
    let tail = format!(r#","eventID":"{number:08}-{request}","requestID":"{request}"}}"#);
    [head.as_bytes(), member, tail.as_bytes()].concat()
}

fn document(number: usize, text: &[u8], place: Place) -> Vec<u8> {
    let plain = |request| record(number, request, br#""readOnly":true"#);
    let (before, behind) = (plain("before"), plain("behind"));
    let middle = match place {
        Place::File => return text.to_vec(),
        Place::Line => return [&before[..], text, &behind].join(&b'\n'),
        Place::Item => text.to_vec(),
        Place::Member(open, close) => record(number, "middle", &[open.as_bytes(), text, close.as_bytes()].concat()),
    };
    [&br#"{"Records":["#[..], &[&before[..], &middle, &behind].join(&b','), b"]}"].concat()
}

#[derive(Deserialize)]
struct Log {
    #[serde(rename = "Records")]
    records: Vec<IgnoredAny>,
}

/// One object, and its rows by their requests.
struct Found {
    object: Value,
    rows: BTreeMap<String, Value>,
}

impl Found {
    fn count(&self, name: &str) -> u64 {
        self.object[name].as_u64().unwrap_or_default()
    }

    fn is(&self, status: &str) -> bool {
        self.object["status"] == status
    }

    fn has_fault(&self) -> bool {
        self.is("quarantined") || self.count("quarantined") > 0
    }

    /// The complaints about a text in its place.
    fn judge(&self, text: &Text, place: Place) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut hold = |is_right: bool, what: &str| {
            if !is_right {
                wrong.push(format!("{what}: {}", self.object));
            }
        };
        let parts = ["kept", "duplicate", "filtered", "quarantined"].map(|part| self.count(part));
        hold(self.count("records") == parts.iter().sum::<u64>(), "the counts do not add up");
        hold(self.count("kept") == self.rows.len() as u64, "rows are missing");
        let document = document(0, &text.bytes, place);
        match place {
            Place::File => {
                hold(self.count("kept") == 0, "gives a record");
                hold(text.is_json() || !self.is("read"), "is taken for a log");
            }
            // A bracket may open something that the next line does not close.
            Place::Line => {
                let has_both = ["before", "behind"].iter().all(|line| self.rows.contains_key(*line));
                hold(has_both || self.has_fault(), "a line beside it is lost");
                hold(!self.is("read"), "is taken for a log");
            }
            Place::Item | Place::Member(..) => match serde_json::from_slice::<Log>(&document) {
                Ok(log) if place == Place::Item => {
                    hold(self.is("read") && self.count("kept") == 2, "the records beside it are lost");
                    hold(self.count("records") == log.records.len() as u64, "is not counted");
                }
                // A text that closes its record and opens another.
                Ok(log) if log.records.len() != 3 => {
                    hold(self.count("records") == log.records.len() as u64, "is not counted");
                }
                Ok(_) if !text.is_refused_by_choice() => {
                    hold(self.is("read") && self.count("kept") == 3, "is refused");
                    wrong.extend(self.rows.get("middle").and_then(|row| misread(text, place, row)));
                }
                Ok(_) => {
                    hold(self.is("read") && self.count("kept") == 2, "is taken, or costs its neighbours");
                    hold(self.count("quarantined") == 1, "is not quarantined");
                }
                Err(_) => {
                    hold(self.has_fault(), "is taken");
                    hold(!self.rows.contains_key("middle"), "gives its record");
                }
            },
        }
        wrong
    }
}

/// The complaint about a value that was not kept as it was written.
fn misread(text: &Text, place: Place, row: &Value) -> Option<String> {
    let written = String::from_utf8_lossy(&text.bytes);
    if place == PLACES[0] && row["request_parameters"] != format!("{{\"x\":{written}}}") {
        return Some(format!("request_parameters is {}", row["request_parameters"]));
    }
    if place != PLACES[1] {
        return None;
    }
    let issues = row["issues"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_named = issues.iter().any(|issue| issue.as_str().is_some_and(|issue| issue.contains("userAgent")));
    let is_right = match serde_json::from_slice::<Value>(&text.bytes) {
        Ok(Value::String(agent)) if agent.is_empty() => row["user_agent"].is_null(),
        Ok(Value::String(agent)) => row["user_agent"] == agent && !is_named,
        Ok(Value::Null) => row["user_agent"].is_null() && !is_named,
        // What is no text, or holds what no text can hold.
        _ => is_named,
    };
    (!is_right).then(|| format!("user_agent is {} with {issues:?}", row["user_agent"]))
}

/// Puts every text into every place and asks once for all.
fn check(texts: &[Text]) {
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<(&Text, Place)> = texts.iter().flat_map(|text| PLACES.map(|place| (text, place))).collect();
    for (number, (text, place)) in cases.iter().enumerate() {
        fs::write(folder.path().join(format!("{number:05}.json")), document(number, &text.bytes, *place)).unwrap();
    }
    let found = found(folder.path());
    assert_eq!(found.len(), cases.len());
    let mut wrong: BTreeSet<String> = BTreeSet::new();
    for text in texts {
        if text.promises_json() != text.is_json() {
            wrong.insert(format!("{}: its name promises another verdict than that of the other parser", text.name));
        }
    }
    for ((text, place), found) in cases.iter().zip(&found) {
        wrong.extend(found.judge(text, *place).into_iter().map(|what| format!("{} in {place:?}: {what}", text.name)));
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The objects of a folder in the order of their names.
fn found(folder: &Path) -> Vec<Found> {
    let ask = |sql: &str| {
        let ended = keytrail(["query", "--events", "all", "-f", "json", sql, "--from", folder.to_str().unwrap()]);
        assert_eq!(ended.code, Some(3), "{}", ended.story());
        ended.rows().unwrap()
    };
    let objects =
        ask("SELECT uri, status, error, records, kept, duplicate, filtered, quarantined FROM objects ORDER BY uri");
    let events = ask("SELECT object_uri, request_id, request_parameters, user_agent, issues FROM events");
    let mut rows: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for event in events {
        let [uri, request] =
            ["object_uri", "request_id"].map(|name| event[name].as_str().unwrap_or_default().to_owned());
        assert!(rows.entry(uri).or_default().insert(request, event).is_none(), "a row twice");
    }
    let found =
        |object: Value| Found { rows: rows.remove(object["uri"].as_str().unwrap()).unwrap_or_default(), object };
    objects.into_iter().map(found).collect()
}

#[test]
fn json_is_taken_and_what_is_none_is_refused() {
    let texts = texts(&fs::read_to_string(root().join("tests/bad/json/texts.json")).unwrap());
    assert!(texts.len() >= 60 && ["y_", "n_", "i_"].iter().all(|kind| texts.iter().any(|t| t.name.starts_with(kind))));
    check(&texts);
}

/// The package has its texts as text. Where bytes were none, a replacement stands in their place, and these bytes go in
/// its place again.
#[test]
fn the_public_suite_is_taken_and_refused_as_its_names_say() {
    const NO_TEXT: [&[u8]; 3] = [b"\xe9", b"\xed\xa0\x80", b"\xc0\xaf"];
    let Some(folder) = fetched("KEYTRAIL_JSON_SUITE") else { return };
    let mut all = Vec::new();
    for file in ["parsing.js", "transform.js"] {
        let module = fs::read_to_string(folder.join("data").join(file)).unwrap();
        let (_, list) = module.split_once("export default").expect("a list that a module exports");
        all.extend(texts(list.trim().trim_end_matches(';')));
    }
    assert_eq!(all.len(), 318 + 22);
    let again = all.iter().filter(|text| String::from_utf8_lossy(&text.bytes).contains(char::REPLACEMENT_CHARACTER));
    let replaced: Vec<Text> = again
        .flat_map(|text| {
            let pieces: Vec<&str> = str::from_utf8(&text.bytes).unwrap().split(char::REPLACEMENT_CHARACTER).collect();
            let pieces: Vec<&[u8]> = pieces.into_iter().map(str::as_bytes).collect();
            NO_TEXT.map(|bytes| Text { name: text.name.clone(), bytes: pieces.join(bytes) })
        })
        .collect();
    assert_eq!(replaced.len(), NO_TEXT.len() * 28);
    all.extend(replaced);
    check(&all);
}
