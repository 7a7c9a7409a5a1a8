//! Holds every answer of `tests/queries/parameters.out`, which a blessing writes, to grounds that no blessing touches: the
//! records of the logs, read here by plain code, and the whole answers of the same queries, which people have read.
//! In: those files, the logs. Out: every answer whose rows are not those that the parameters choose.
//! Never runs the binary and knows no SQL: `queries.rs` compares the binary with the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::child::root;

type Row = BTreeMap<String, String>;
/// Some cells of each row, in an order of their own.
type Cells = Vec<Vec<String>>;

fn rows(csv: &str) -> Vec<Row> {
    csv::Reader::from_reader(csv.as_bytes()).deserialize().map(Result::unwrap).collect()
}

fn cells(rows: &[Row], columns: &[&str]) -> Cells {
    let mut cells: Cells = rows.iter().map(|row| columns.iter().map(|name| row[*name].clone()).collect()).collect();
    cells.sort();
    cells
}

/// A question of the file and its answer.
struct Answer<'t> {
    asked: &'t str,
    query: &'t str,
    params: BTreeMap<&'t str, &'t str>,
    rows: Vec<Row>,
}

impl<'t> Answer<'t> {
    fn read(block: &'t str) -> (Answer<'t>, &'t str) {
        let (question, csv) = block.split_once('\n').unwrap();
        let question = question.strip_prefix("$ keytrail query ").unwrap();
        let (asked, logs) = question.strip_suffix(" -f csv").unwrap().split_once(" --from ").unwrap();
        let mut parts = asked.split(" -p ");
        let query = parts.next().unwrap();
        (
            Answer { asked, query, params: parts.map(|part| part.split_once('=').unwrap()).collect(), rows: rows(csv) },
            logs,
        )
    }

    fn param(&self, name: &str) -> Option<&'t str> {
        self.params.get(name).copied()
    }

    fn has_window(&self) -> bool {
        self.param("since").is_some() || self.param("until").is_some()
    }

    /// Times are written alike, so their texts compare as they do.
    fn is_within(&self, time: &str) -> bool {
        self.param("since").is_none_or(|since| since <= time) && self.param("until").is_none_or(|until| time < until)
    }

    fn is_of_key(&self, key: &str, logs: &Logs) -> bool {
        self.param("key").is_none_or(|asked| logs.names_key(asked, key))
    }
}

/// A name stands for a principal by its ARN, or by the last part of a role or user of any path.
fn names_principal(asked: &str, principal: &str) -> bool {
    if asked.starts_with("arn:") {
        return asked == principal;
    }
    let resource = principal.splitn(6, ':').nth(5).unwrap_or(principal);
    let (kind, name) = asked.rsplit_once('/').unwrap_or(("", asked));
    let is_of_kind = kind.is_empty() || resource.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/'));
    is_of_kind && resource.rsplit('/').next() == Some(name)
}

/// An alias that is asked for, and its Region and account where they are said.
struct AskedAlias<'t> {
    alias: &'t str,
    place: [&'t str; 2],
}

impl<'t> AskedAlias<'t> {
    fn read(asked: &'t str) -> Option<AskedAlias<'t>> {
        let (place, alias) = asked.split_at(asked.find("alias/")?);
        let mut parts = place.split(':').skip(3);
        Some(AskedAlias { alias, place: [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()] })
    }

    fn is(&self, alias: &str, place: [&str; 2]) -> bool {
        let is_there = |(asked, there): (&str, &str)| asked.is_empty() || asked == there;
        self.alias == alias && self.place.into_iter().zip(place).all(is_there)
    }
}

fn text<'r>(record: &'r Value, path: &str) -> &'r str {
    record.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn is_of_kms(record: &Value) -> bool {
    text(record, "/eventSource") == "kms.amazonaws.com"
}

fn is_use(record: &Value) -> bool {
    const USES: [&str; 12] = [
        "Decrypt",
        "DeriveSharedSecret",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateMac",
        "ReEncrypt",
        "Sign",
        "Verify",
        "VerifyMac",
    ];
    is_of_kms(record) && USES.contains(&text(record, "/eventName"))
}

/// The keys among the resources of a record.
fn keys(record: &Value) -> BTreeSet<&str> {
    let resources = record["resources"].as_array().into_iter().flatten();
    resources.map(|resource| text(resource, "/ARN")).filter(|arn| arn.contains(":key/")).collect()
}

/// The alias that a record sends.
fn alias(record: &Value) -> Option<&str> {
    let sent = ["/requestParameters/aliasName", "/requestParameters/keyId"].map(|path| text(record, path));
    let sent = sent.into_iter().find(|name| name.contains("alias/"))?;
    sent.find("alias/").map(|at| &sent[at..])
}

/// The caller as records name it: a role for its sessions, a user, or a service.
fn caller(record: &Value) -> String {
    let arns = ["/userIdentity/sessionContext/sessionIssuer/arn", "/userIdentity/arn"].map(|path| text(record, path));
    match arns.into_iter().find(|arn| !arn.is_empty()) {
        Some(arn) => arn.to_owned(),
        None => format!("service:{}", text(record, "/userIdentity/invokedBy")),
    }
}

/// A successful use of one key.
struct Use {
    time: String,
    id: String,
    key: String,
    caller: String,
    operation: String,
}

struct Logs {
    records: Vec<Value>,
    /// The folder with the whole answers.
    goldens: &'static str,
}

impl Logs {
    fn read(name: &str) -> Logs {
        let (goldens, mut documents) = match name {
            "sample-logs" => ("tests/queries", Vec::new()),
            _ => ("tests/queries/near-misses", Vec::new()),
        };
        read_documents(&root().join(name), &mut documents);
        let records = documents.iter_mut().filter_map(|document| document["Records"].as_array_mut());
        let records: Vec<Value> = records.flat_map(std::mem::take).collect();
        let mut known = BTreeSet::new();
        let mut is_new = |record: &Value| {
            known.insert(["/eventID", "/recipientAccountId"].map(|path| text(record, path).to_owned()))
        };
        let records: Vec<Value> = records.into_iter().filter(|record| is_new(record)).collect();
        // A record that another one corrects, and an endpoint's record beside the call's own, are no calls.
        let revised: BTreeSet<String> =
            records.iter().map(|record| text(record, "/addendum/originalEventID").to_owned()).collect();
        let is_call = |record: &Value| {
            !revised.contains(text(record, "/eventID")) && text(record, "/eventType") != "AwsVpceEvent"
        };
        Logs { records: records.into_iter().filter(is_call).collect(), goldens }
    }

    /// The whole answer of a query.
    fn golden(&self, query: &str) -> Vec<Row> {
        rows(&fs::read_to_string(root().join(self.goldens).join(format!("{query}.csv"))).unwrap())
    }

    /// True if a name stands for this key: its ARN, its id or eight digits of it or more, or an alias by which a record
    /// names it.
    fn names_key(&self, asked: &str, key: &str) -> bool {
        let Some(asked_alias) = AskedAlias::read(asked) else {
            let id = key.rsplit('/').next().unwrap();
            return key == asked || id == asked || asked.len() >= 8 && id.starts_with(asked);
        };
        let place: Vec<&str> = key.split(':').skip(3).take(2).collect();
        self.records.iter().any(|record| {
            let is_vain = !text(record, "/errorCode").is_empty()
                && ["CreateAlias", "UpdateAlias"].contains(&text(record, "/eventName"));
            is_of_kms(record)
                && !is_vain
                && keys(record).contains(key)
                && alias(record).is_some_and(|alias| asked_alias.is(alias, [place[0], place[1]]))
        })
    }

    /// True if a record of this row sends the alias that is asked for.
    fn sends_alias(&self, asked: &str, row: &Row) -> bool {
        let Some(asked) = AskedAlias::read(asked) else { return false };
        let cell = |names: [&str; 2]| names.into_iter().find_map(|name| row.get(name));
        let (Some(time), Some(name)) = (cell(["event_time", "first_seen"]), cell(["change", "event_name"])) else {
            return false;
        };
        self.records.iter().any(|record| {
            let place = ["/awsRegion", "/recipientAccountId"].map(|path| text(record, path));
            text(record, "/eventTime") == time
                && text(record, "/eventName") == name
                && alias(record).is_some_and(|alias| asked.is(alias, place))
        })
    }

    /// The uses that succeeded. Of both accounts' copies of a call the one that names its caller counts.
    fn uses(&self) -> Vec<Use> {
        let mut uses: BTreeMap<(&str, &str), Use> = BTreeMap::new();
        for record in self.records.iter().filter(|record| is_use(record) && text(record, "/errorCode").is_empty()) {
            let [id, shared] = ["/eventID", "/sharedEventID"].map(|path| text(record, path));
            let mut named = keys(record);
            if named.is_empty() {
                named.insert("");
            }
            for key in named {
                let call = (if shared.is_empty() { id } else { shared }, key);
                if uses.contains_key(&call) && text(record, "/userIdentity/arn").is_empty() {
                    continue;
                }
                let [time, operation] = ["/eventTime", "/eventName"].map(|path| text(record, path).to_owned());
                let (id, key, caller) = (id.to_owned(), key.to_owned(), caller(record));
                uses.insert(call, Use { time, id, key, caller, operation });
            }
        }
        uses.into_values().collect()
    }
}

fn read_documents(path: &Path, documents: &mut Vec<Value>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        return entries.for_each(|path| read_documents(&path, documents));
    }
    let mut text = Vec::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => drop(MultiGzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut text).unwrap()),
        Some("json") => text = fs::read(path).unwrap(),
        _ => return,
    }
    documents.push(serde_json::from_slice(&text).unwrap());
}

/// Counts and first and last times of groups.
fn grouped<const N: usize>(facts: impl IntoIterator<Item = ([String; N], String, u64)>) -> Cells {
    let mut groups: BTreeMap<[String; N], (u64, BTreeSet<String>)> = BTreeMap::new();
    for (group, time, count) in facts {
        let found = groups.entry(group).or_default();
        found.0 += count;
        found.1.insert(time);
    }
    let cells = |(group, (count, times)): ([String; N], (u64, BTreeSet<String>))| {
        let [first, last] = [times.first(), times.last()].map(|time| time.unwrap().clone());
        group.into_iter().chain([count.to_string(), first, last]).collect()
    };
    groups.into_iter().map(cells).collect()
}

/// The cells of an answer that can be told without it, and what they must be.
fn found_and_expected(answer: &Answer, logs: &Logs) -> (Cells, Cells) {
    let found = |columns: &[&str]| cells(&answer.rows, columns);
    let asked_for = |used: &Use| answer.is_within(&used.time) && answer.is_of_key(&used.key, logs);
    match answer.query {
        "denied-attempts" if answer.has_window() => {
            let refused =
                logs.golden("denials-explained").into_iter().filter(|row| answer.is_within(&row["event_time"]));
            let columns = ["principal", "key_arn", "denial_reason", "denial_effect"];
            let expected =
                grouped(refused.map(|row| (columns.map(|name| row[name].clone()), row["event_time"].clone(), 1)));
            (found(&[&columns[..], &["denied", "first_denied", "last_denied"]].concat()), expected)
        }
        "first-use" => {
            let mut first: BTreeMap<(String, String), [String; 3]> = BTreeMap::new();
            for used in logs.uses().into_iter().filter(asked_for) {
                let of_use = [used.time, used.id, used.operation];
                let known = first.entry((used.caller, used.key)).or_insert_with(|| of_use.clone());
                *known = of_use.min(known.clone());
            }
            let expected =
                first.into_iter().map(|((caller, key), rest)| [caller, key].into_iter().chain(rest).collect());
            (found(&["principal", "key_arn", "first_in_scope", "event_id", "event_name"]), expected.collect())
        }
        "key-users" if answer.has_window() => {
            let uses = logs.uses().into_iter().filter(asked_for);
            let expected = grouped(uses.map(|used| ([used.key, used.caller, used.operation], used.time, 1)));
            (found(&["key_arn", "principal", "event_name", "calls", "first_seen", "last_seen"]), expected)
        }
        "foreign-accounts" => {
            let users = logs.golden("key-users").into_iter().filter(|row| answer.is_of_key(&row["key_arn"], logs));
            let account = |arn: &str| {
                let mut parts = arn.split([':', '/']).filter(|part| part.len() == 12);
                parts.find(|part| part.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or_default().to_owned()
            };
            let accounts = |row: &Row| [account(&row["principal"]), account(&row["key_arn"])];
            let foreign = users.filter(|row| !accounts(row)[0].is_empty() && accounts(row)[0] != accounts(row)[1]);
            let expected = foreign.flat_map(|row| {
                let calls = row["calls"].parse().unwrap();
                [(accounts(&row), row["first_seen"].clone(), calls), (accounts(&row), row["last_seen"].clone(), 0)]
            });
            let columns = ["principal_account_id", "key_account_id", "calls", "first_seen", "last_seen"];
            (found(&columns), grouped(expected))
        }
        "role-session" => {
            let session = answer.param("session").unwrap();
            let is_of_session = |record: &&Value| {
                let arn = text(record, "/userIdentity/arn");
                let name = arn.split_once(":assumed-role/").and_then(|(_, rest)| rest.rsplit('/').next());
                is_of_kms(record) && (arn == session || name == Some(session))
            };
            let paths = ["/eventTime", "/eventID", "/eventName", "/sourceIPAddress"];
            let told = |record: &Value| paths.map(|path| text(record, path).to_owned()).to_vec();
            let mut expected: Cells = logs.records.iter().filter(is_of_session).map(told).collect();
            expected.sort();
            (found(&["event_time", "event_id", "event_name", "source_ip_address"]), expected)
        }
        "last-use" => {
            let mut uses: Vec<Use> = logs.uses().into_iter().filter(asked_for).collect();
            uses.sort_by(|a, b| (&a.time, &a.id).cmp(&(&b.time, &b.id)));
            let last = uses.last().map(|used| [&used.time, &used.operation, &used.id, &used.caller].map(String::clone));
            let count = uses.len().to_string();
            let expected = last.unwrap_or_default().into_iter().chain([count]).collect();
            (found(&["last_use", "operation", "event_id", "principal", "uses"]), vec![expected])
        }
        "key-use-outside" => {
            let expected = answer.param("principals").unwrap();
            let is_other = |caller: &str| !expected.split(',').any(|name| names_principal(name, caller));
            let uses = logs.uses().into_iter().filter(|used| asked_for(used) && is_other(&used.caller)).count();
            let refused = logs.golden("denials-explained").into_iter().filter(|row| {
                let is_use = is_use(&serde_json::json!({
                    "eventSource": "kms.amazonaws.com", "eventName": row["event_name"],
                }));
                is_use && answer.is_of_key(&row["key_arn"], logs) && is_other(&row["principal"])
            });
            (found(&["uses", "refusals"]), vec![vec![uses.to_string(), refused.count().to_string()]])
        }
        _ => (every_cell(&answer.rows), every_cell(&chosen(answer, logs))),
    }
}

/// In the order of the answer, which the choice of rows keeps.
fn every_cell(rows: &[Row]) -> Cells {
    rows.iter().map(|row| row.values().cloned().collect()).collect()
}

/// The rows of the whole answer that the parameters choose.
fn chosen(answer: &Answer, logs: &Logs) -> Vec<Row> {
    let is_chosen = |row: &Row| {
        answer.params.iter().all(|(param, asked)| match *param {
            "principal" if answer.query == "access-given" => names_principal(asked, &row["target"]),
            "principal" => names_principal(asked, &row["principal"]),
            "table" if asked.starts_with("arn:") => row["table_arn"] == *asked,
            "table" => row["table_name"] == *asked,
            // A refusal that names no key may be of any.
            "key" if answer.query == "denials-explained" && row["key_arn"].is_empty() => true,
            "key" => answer.is_of_key(&row["key_arn"], logs) || logs.sends_alias(asked, row),
            "since" | "until" => answer.is_within(&row["event_time"]),
            other => panic!("{}: nobody here knows the parameter `{other}`", answer.asked),
        })
    };
    logs.golden(answer.query).into_iter().filter(is_chosen).collect()
}

#[test]
fn every_answer_with_parameters_follows_from_the_logs() {
    let read = |name: &str| fs::read_to_string(root().join("tests/queries").join(name)).unwrap();
    let (asked, answers) = (read("parameters"), read("parameters.out"));
    let all = ["sample-logs", "tests/logs"].map(|name| (name, Logs::read(name)));
    let mut answered = Vec::new();
    let mut wrong = Vec::new();
    for block in answers.trim_end().split("\n\n") {
        let (mut answer, name) = Answer::read(block);
        let (_, logs) = all.iter().find(|(logs, _)| *logs == name).unwrap();
        answered.push((answer.asked, name));
        let (found, expected) = found_and_expected(&answer, logs);
        if found != expected {
            wrong.push(format!("{} from {name}:\n  {found:?}\n  is not\n  {expected:?}", answer.asked));
        }
        // An answer that lacks a row must not pass.
        if answer.rows.pop().is_some() {
            let (found, expected) = found_and_expected(&answer, logs);
            assert_ne!(found, expected, "{} from {name} passes without its last row", answer.asked);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let lines = asked.lines().filter(|line| !line.starts_with('#'));
    let all: Vec<(&str, &str)> = lines.flat_map(|line| all.iter().map(move |(name, _)| (line, *name))).collect();
    assert_eq!(answered, all);
}

/// The records that are read here are those of the whole answers too.
#[test]
fn the_uses_of_keys_are_those_of_the_records() {
    for name in ["sample-logs", "tests/logs"] {
        let logs = Logs::read(name);
        let uses = logs.uses().into_iter().map(|used| ([used.key, used.operation], used.time, 1));
        let told = logs.golden("key-users").into_iter().flat_map(|row| {
            let group = ["key_arn", "event_name"].map(|column| row[column].clone());
            let calls = row["calls"].parse().unwrap();
            [(group.clone(), row["first_seen"].clone(), calls), (group, row["last_seen"].clone(), 0)]
        });
        assert_eq!(grouped(told), grouped(uses), "{name}");
    }
}
