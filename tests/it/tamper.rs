//! Stores that somebody has edited: every edit that leaves JSON and Parquet valid is seen by a check.
//! In: copies of two stores, edited by program. Out: faults.
//! Never edits in place: the stores are made once and copied.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StructArray, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Int64Type};
use keytrail::store::{CheckOptions, Store, StoreLocation, check, sha256_hex};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use crate::child::{keytrail, on_every_core};
use crate::cloud::copy_folder;
use crate::store::{self, files, log_of_day, logs};

/// A store of few batches, compacted, with one more batch after that and records in quarantine.
pub fn short() -> &'static store::Store {
    static STORE: OnceLock<store::Store> = OnceLock::new();
    STORE.get_or_init(|| made("20000"))
}

/// The same of so many batches that its logs have checkpoints.
pub fn long() -> &'static store::Store {
    static STORE: OnceLock<store::Store> = OnceLock::new();
    STORE.get_or_init(|| made("1000"))
}

fn made(batch_bytes: &str) -> store::Store {
    let (store, more) = (store::Store::new(), tempfile::tempdir().unwrap());
    store.accounts(&logs(), &["--batch-bytes", batch_bytes]);
    assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(0));
    log_of_day(more.path(), 14, 0..3);
    log_of_day(more.path(), 11, 3..6);
    fs::write(more.path().join("bad.json"), r#"{"Records":[{"eventID":"1"},{}]}"#).unwrap();
    store.accounts(more.path(), &[]);
    store.check();
    store
}

/// A copy of a store that vanishes.
pub struct Edited {
    _folder: TempDir,
    pub path: PathBuf,
}

impl Edited {
    pub fn of(store: &store::Store) -> Edited {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        copy_folder(&store.path, &path);
        Edited { _folder: folder, path }
    }

    /// The faults that a check finds, or the reason for which the store does not open.
    pub fn faults(&self) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let opened = Store::open(StoreLocation::local(&self.path).unwrap()).await;
            let checked = match opened {
                Ok(store) => check(&store, &CheckOptions::default()).await,
                Err(error) => Err(error),
            };
            checked.map_or_else(|error| vec![error.to_string()], |checked| checked.faults)
        })
    }

    fn log(&self, table: &str) -> PathBuf {
        self.path.join(table).join("_delta_log")
    }

    pub fn commit(&self, table: &str, version: usize) -> PathBuf {
        self.log(table).join(format!("{version:020}.json"))
    }

    pub fn versions(&self, table: &str) -> usize {
        let is_commit = |file: &&PathBuf| file.extension().is_some_and(|end| end == "json");
        files(&self.log(table)).iter().filter(is_commit).count()
    }

    pub fn read(&self, table: &str, version: usize) -> Vec<Value> {
        let text = fs::read_to_string(self.commit(table, version)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn write(&self, table: &str, version: usize, lines: &[Value]) {
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        fs::write(self.commit(table, version), lines.join("\n")).unwrap();
    }

    /// The newest commit with this action.
    pub fn newest_with(&self, table: &str, action: &str) -> usize {
        let has = |version: &usize| self.read(table, *version).iter().any(|line| line.get(action).is_some());
        (0..self.versions(table)).rev().find(has).unwrap()
    }
}

/// The care with which an edit is covered up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoverUp {
    Nothing,
    /// The tags of its files are made again.
    Tags,
    /// And the seal of the commit.
    Seal,
    /// And the hash of the state after it.
    State,
}

const COVER_UPS: [CoverUp; 4] = [CoverUp::Nothing, CoverUp::Tags, CoverUp::Seal, CoverUp::State];

/// The hash of an entry, by the words of the documentation: each text preceded by its length.
fn tag_of(add: &Value) -> String {
    let mut bytes = Vec::new();
    let mut put = |text: Option<&str>| {
        bytes.extend(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        bytes.extend(text.unwrap_or_default().bytes());
    };
    put(add["path"].as_str());
    ["size", "modificationTime"].iter().for_each(|name| put(Some(&add[*name].to_string())));
    put(add["stats"].as_str());
    put(Some("false"));
    for pairs in [&add["partitionValues"], &add["tags"]] {
        let pairs: BTreeMap<&String, &Value> = pairs.as_object().unwrap().iter().collect();
        let pairs = pairs.into_iter().filter(|(name, _)| *name != "keytrail.add").collect::<Vec<_>>();
        put(Some(&pairs.len().to_string()));
        for (name, value) in pairs {
            put(Some(name));
            put(value.as_str());
        }
    }
    sha256_hex(&bytes)
}

/// Adds two numbers of 256 bits.
fn sum(one: &str, other: &str) -> String {
    let bytes =
        |text: &str| (0..32).map(|at| u16::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect::<Vec<_>>();
    let (one, other, mut carry) = (bytes(one), bytes(other), 0);
    let mut digits: Vec<String> = Vec::new();
    for (a, b) in one.iter().zip(&other).rev() {
        let all = a + b + carry;
        carry = all >> 8;
        digits.push(format!("{:02x}", all & 0xff));
    }
    digits.into_iter().rev().collect()
}

/// The hash of the state to which the first commits of a table lead.
fn state_of(commits: &[Vec<Value>]) -> String {
    let (mut live, mut batch, mut metadata) = (BTreeMap::new(), json!(0), Value::Null);
    for line in commits.iter().flatten() {
        if let Some(add) = line.get("add") {
            live.insert(add["path"].to_string(), tag_of(add));
        } else if let Some(removed) = line.get("remove") {
            live.remove(&removed["path"].to_string());
        } else if let Some(txn) = line.get("txn") {
            batch = txn["version"].clone();
        } else if let Some(found) = line.get("metaData") {
            metadata = found.clone();
        }
    }
    let all = live.values().fold("0".repeat(64), |all, tag| sum(&all, tag));
    let members = ["id", "schemaString", "partitionColumns", "configuration"].map(|name| metadata[name].clone());
    sha256_hex(json!([all, live.len(), batch, members]).to_string().as_bytes())
}

pub fn cover(edited: &Edited, at: (&str, usize), mut lines: Vec<Value>, cover_up: CoverUp) {
    let (table, version) = at;
    if cover_up != CoverUp::Nothing {
        for add in lines.iter_mut().filter_map(|line| line.get_mut("add")) {
            if add["tags"].is_object() {
                add["tags"]["keytrail.add"] = tag_of(add).into();
            }
        }
    }
    if cover_up == CoverUp::State {
        let mut all: Vec<Vec<Value>> = (0..version).map(|version| edited.read(table, version)).collect();
        all.push(lines.clone());
        lines[0]["commitInfo"]["keytrail.state"] = state_of(&all).into();
    }
    if matches!(cover_up, CoverUp::Seal | CoverUp::State) {
        seal(&mut lines);
    }
    edited.write(table, version, &lines);
}

fn seal(lines: &mut [Value]) {
    if let Some(info) = lines[0].get_mut("commitInfo").and_then(Value::as_object_mut) {
        info.remove("keytrail.self");
        let all: String = lines.iter().map(|line| format!("{line}\n")).collect();
        lines[0]["commitInfo"]["keytrail.self"] = sha256_hex(all.as_bytes()).into();
    }
}

/// Makes the links again by which commits name others, of their own table and of the other tables.
fn link_again(edited: &Edited) {
    let entries = fs::read_dir(&edited.path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let tables: Vec<String> = entries.filter(|table| edited.log(table).is_dir()).collect();
    let sha256 = |table: &str, version: usize| sha256_hex(&fs::read(edited.commit(table, version)).unwrap());
    let mut is_changing = true;
    while is_changing {
        is_changing = false;
        for table in &tables {
            for version in 0..edited.versions(table) {
                let mut lines = edited.read(table, version);
                let before = lines.clone();
                let info = &mut lines[0]["commitInfo"];
                let named = info.get_mut("keytrail.tables").and_then(Value::as_object_mut);
                for (other, link) in named.into_iter().flatten() {
                    let version = link[0].as_u64().unwrap() as usize;
                    link[1] = sha256(other, version).into();
                }
                if info["keytrail.previous"].is_string() {
                    info["keytrail.previous"] = sha256(table, version - 1).into();
                }
                if lines != before {
                    seal(&mut lines);
                    edited.write(table, version, &lines);
                    is_changing = true;
                }
            }
        }
    }
}

/// Changes the lines of a commit; returns false where it has nothing to change.
type Edit = Box<dyn Fn(&mut Vec<Value>) -> bool + Sync>;

fn of_action(name: &'static str, change: impl Fn(&mut Value) + Sync + 'static) -> Edit {
    Box::new(move |lines| match lines.iter_mut().find_map(|line| line.get_mut(name)) {
        Some(action) => {
            change(action);
            true
        }
        None => false,
    })
}

fn of_stats(change: impl Fn(&mut Value) + Sync + 'static) -> Edit {
    of_action("add", move |add| {
        let mut stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
        change(&mut stats);
        add["stats"] = stats.to_string().into();
    })
}

/// Edits after which a file is described otherwise than it is.
fn edits_of_entries() -> Vec<(String, Edit)> {
    let columns = [
        "event_time",
        "event_id",
        "event_source",
        "event_name",
        "aws_region",
        "recipient_account_id",
        "principal",
        "principal_arn",
        "outcome",
        "key_arn",
        "key_id",
        "table_name",
    ];
    let mut edits: Vec<(String, Edit)> = Vec::new();
    for column in columns {
        let (low, high) = match column {
            "event_time" => ("2001-01-01T00:00:00.000Z", "2031-01-01T00:00:00.000Z"),
            _ => ("!", "~"),
        };
        edits.push((format!("least {column}"), of_stats(move |stats| stats["minValues"][column] = high.into())));
        edits.push((format!("greatest {column}"), of_stats(move |stats| stats["maxValues"][column] = low.into())));
        edits.push((
            format!("nulls of {column}"),
            of_stats(move |stats| {
                let nulls = stats["nullCount"][column].as_u64().unwrap();
                stats["nullCount"][column] = (if nulls == 0 { 3 } else { 0 }).into();
            }),
        ));
    }
    let number = |stats: &mut Value, more: i64| {
        stats["numRecords"] = (stats["numRecords"].as_i64().unwrap() + more).into();
    };
    edits.push(("one row more".to_owned(), of_stats(move |stats| number(stats, 1))));
    edits.push(("one row less".to_owned(), of_stats(move |stats| number(stats, -1))));
    edits.push((
        "another day".to_owned(),
        of_action("add", |add| add["partitionValues"]["event_date"] = "2020-02-02".into()),
    ));
    edits.push(("no day".to_owned(), of_action("add", |add| add["partitionValues"]["event_date"] = Value::Null)));
    edits.push(("another size".to_owned(), of_action("add", |add| add["size"] = 4711.into())));
    edits.push((
        "another SHA-256".to_owned(),
        of_action("add", |add| add["tags"]["keytrail.sha256"] = "0".repeat(64).into()),
    ));
    edits.push((
        "another normalizer".to_owned(),
        of_action("add", |add| add["tags"]["keytrail.normalizer"] = "1".into()),
    ));
    edits
}

/// Edits of other actions, which the state or the chain contradicts.
fn edits_of_commits() -> Vec<(&'static str, Edit)> {
    let without = |name: &'static str| -> Edit {
        Box::new(move |lines| {
            let at = lines.iter().position(|line| line.get(name).is_some());
            at.map(|at| lines.remove(at)).is_some()
        })
    };
    let twice: Edit = Box::new(|lines| {
        let add = lines.iter().find(|line| line.get("add").is_some()).cloned();
        lines.extend(add.clone());
        add.is_some()
    });
    let taken_back: Edit = Box::new(|lines| {
        let Some(add) = lines.iter().find_map(|line| line.get("add")).cloned() else { return false };
        lines.push(json!({ "remove": {
            "path": add["path"], "deletionTimestamp": 1, "dataChange": true, "extendedFileMetadata": true,
            "partitionValues": add["partitionValues"], "size": add["size"],
        } }));
        true
    });
    vec![
        ("a file left out", without("add")),
        ("a file put twice", twice),
        ("a file taken out", taken_back),
        ("a removal left out", without("remove")),
        ("a removal of another file", of_action("remove", |removed| removed["path"] = "x.parquet".into())),
        ("a removal with another size", of_action("remove", |removed| removed["size"] = 1.into())),
        ("another batch", of_action("txn", |txn| txn["version"] = 99.into())),
        ("no batch", without("txn")),
        ("another time", of_action("commitInfo", |info| info["timestamp"] = 1.into())),
        ("no information", without("commitInfo")),
        ("another ledger", of_action("commitInfo", |info| info["keytrail.objects"]["size"] = 1.into())),
        ("no link", of_action("commitInfo", |info| info["keytrail.previous"] = Value::Null)),
        ("no state", of_action("commitInfo", |info| info["keytrail.state"] = Value::Null)),
        ("no seal", of_action("commitInfo", |info| drop(info.as_object_mut().unwrap().remove("keytrail.self")))),
        ("no tag", of_action("add", |add| drop(add["tags"].as_object_mut().unwrap().remove("keytrail.add")))),
        ("other tables", of_action("commitInfo", |info| info["keytrail.tables"]["objects"] = json!([0, "0"]))),
        ("another filter", of_action("metaData", |data| data["configuration"]["keytrail.filter"] = "all".into())),
        (
            "another schema",
            of_action("metaData", |data| {
                data["schemaString"] =
                    data["schemaString"].as_str().unwrap().replace("\"key_arn\"", "\"key_brn\"").into();
            }),
        ),
        ("another protocol", of_action("protocol", |protocol| protocol["minWriterVersion"] = 1.into())),
        (
            "a strange action",
            Box::new(|lines| {
                lines.push(json!({ "domainMetadata": { "domain": "x", "configuration": "", "removed": false } }));
                true
            }),
        ),
    ]
}

/// Runs edits, each on a copy, and fails on those that a check does not see.
fn expect_all_seen<T: Sync>(edits: &[T], run: impl Fn(&T) -> Option<(String, Vec<String>)> + Sync, least: usize) {
    let done: Vec<_> = on_every_core(edits, run).into_iter().flatten().collect();
    let unseen: Vec<&String> = done.iter().filter(|(_, faults)| faults.is_empty()).map(|(name, _)| name).collect();
    assert!(unseen.is_empty(), "{} of {} are not seen: {unseen:?}", unseen.len(), done.len());
    assert!(done.len() >= least, "only {} edits", done.len());
    eprintln!("{} edits, all seen", done.len());
}

#[test]
fn a_check_sees_every_edit_of_an_entry() {
    let edits = edits_of_entries();
    let all: Vec<(usize, CoverUp)> = (0..edits.len()).flat_map(|at| COVER_UPS.map(|cover_up| (at, cover_up))).collect();
    expect_all_seen(
        &all,
        |(at, cover_up)| {
            let (edited, (name, edit)) = (Edited::of(short()), &edits[*at]);
            // Of the newest commit nothing but its own words and the rows tells.
            let version = edited.newest_with("events", "add");
            let mut lines = edited.read("events", version);
            let before = lines.clone();
            if !edit(&mut lines) || lines == before {
                return None;
            }
            cover(&edited, ("events", version), lines, *cover_up);
            Some((format!("{name}, covered up by {cover_up:?}"), edited.faults()))
        },
        160,
    );
}

/// Nothing but the rows tells of an edit that all logs agree with: a check holds every entry to its file.
#[test]
fn a_check_sees_by_its_rows_an_edit_that_all_logs_agree_with() {
    let nulls = of_stats(|stats| {
        let nulls = stats["nullCount"].as_object_mut().unwrap().values_mut().next().unwrap();
        *nulls = (nulls.as_u64().unwrap() + 7).into();
    });
    let edits = edits_of_entries();
    let of_events = edits.iter().map(|(name, edit)| ("events", name.as_str(), edit));
    let of_others = ["objects", "hours", "quarantine"].map(|table| (table, "nulls", &nulls));
    let all: Vec<(&str, &str, &Edit)> = of_events.chain(of_others).collect();
    let covered = |table: &str, edit: &dyn Fn(&mut Vec<Value>)| {
        let edited = Edited::of(short());
        let version = edited.newest_with(table, "add");
        assert_eq!(version + 1, edited.versions(table), "{table}");
        let mut lines = edited.read(table, version);
        edit(&mut lines);
        cover(&edited, (table, version), lines, CoverUp::State);
        link_again(&edited);
        edited
    };
    // No file tells the time of its commit.
    let time = |lines: &mut Vec<Value>| lines[0]["commitInfo"]["timestamp"] = 1.into();
    for table in ["events", "objects", "hours", "quarantine"] {
        assert_eq!(covered(table, &time).faults(), [""; 0], "the edits of {table} are not covered up");
    }
    expect_all_seen(
        &all,
        |(table, name, edit)| {
            let edited = covered(table, &|lines| assert!(edit(lines), "{name}"));
            Some((format!("{name} of {table}"), edited.faults()))
        },
        40,
    );
}

#[test]
fn a_check_sees_every_edit_of_a_commit() {
    let edits = edits_of_commits();
    let mut all: Vec<(&str, usize, usize, CoverUp)> = Vec::new();
    let base = Edited::of(short());
    for table in ["events", "objects", "hours", "quarantine"] {
        for version in 0..base.versions(table) {
            for at in 0..edits.len() {
                all.push((table, version, at, [CoverUp::Nothing, CoverUp::Seal][(version + at) % 2]));
            }
        }
    }
    // The last commit of a table is held to nothing but its seal and its state, and a seal that is made again tells of no
    // edit of these. A ledger is named by commits of the events alone.
    let last = |table: &str, version: usize| version + 1 == base.versions(table);
    all.retain(|(table, version, at, cover_up)| {
        let name = edits[*at].0;
        let says_nothing =
            ["another time", "no seal", "no tag"].contains(&name) || (name == "another ledger" && *table != "events");
        !(says_nothing && last(table, *version) && *cover_up == CoverUp::Seal)
    });
    expect_all_seen(
        &all,
        |(table, version, at, cover_up)| {
            let (edited, (name, edit)) = (Edited::of(short()), &edits[*at]);
            let mut lines = edited.read(table, *version);
            let before = lines.clone();
            if !edit(&mut lines) || lines == before {
                return None;
            }
            cover(&edited, (table, *version), lines, *cover_up);
            Some((format!("{name} in commit {version} of {table}, covered up by {cover_up:?}"), edited.faults()))
        },
        100,
    );
}

/// An edit of a store, and what is said of it.
type NamedEdit = (String, Box<dyn Fn(&Edited) + Sync>);

/// What becomes of the files of a log; each edit says what it did.
fn edits_of_logs(edited: &Edited, table: &str) -> Vec<NamedEdit> {
    let versions = edited.versions(table);
    let mut edits: Vec<NamedEdit> = Vec::new();
    let name = table.to_owned();
    for version in 0..versions - 1 {
        let table = name.clone();
        edits.push((
            format!("commit {version} of {table} is gone"),
            Box::new(move |edited| {
                fs::remove_file(edited.commit(&table, version)).unwrap();
            }),
        ));
        let table = name.clone();
        edits.push((
            format!("commit {version} of {table} and the next are swapped"),
            Box::new(move |edited| {
                let (one, other) = (edited.commit(&table, version), edited.commit(&table, version + 1));
                let bytes = fs::read(&one).unwrap();
                fs::copy(&other, &one).unwrap();
                fs::write(&other, bytes).unwrap();
            }),
        ));
        let table = name.clone();
        edits.push((
            format!("commit {version} of {table} left out, the others moved up"),
            Box::new(move |edited| {
                for later in version + 1..edited.versions(&table) {
                    fs::copy(edited.commit(&table, later), edited.commit(&table, later - 1)).unwrap();
                }
                fs::remove_file(edited.commit(&table, edited.versions(&table) - 1)).unwrap();
            }),
        ));
    }
    // Nothing follows the last commit of a ledger, and what it entered is entered again.
    if table != "objects" {
        let table = name.clone();
        edits.push((
            format!("the last commit of {table} is gone"),
            Box::new(move |edited| {
                fs::remove_file(edited.commit(&table, edited.versions(&table) - 1)).unwrap();
            }),
        ));
    }
    for (what, file) in [
        ("a checksum beside", format!("{:020}.crc", versions - 1)),
        ("commits put together", format!("{:020}.{:020}.compacted.json", 0, versions - 1)),
        ("a second checkpoint", format!("{:020}.checkpoint.0000000001.0000000002.parquet", versions - 1)),
    ] {
        let table = name.clone();
        edits.push((
            format!("{what} {table}"),
            Box::new(move |edited| {
                fs::write(edited.log(&table).join(&file), fs::read(edited.commit(&table, 0)).unwrap()).unwrap();
            }),
        ));
    }
    let table = name.clone();
    edits.push((
        format!("one more commit of {table}, without a seal"),
        Box::new(move |edited| {
            let last = edited.versions(&table);
            let txn = json!({ "txn": { "appId": "other", "version": 1 } });
            edited.write(&table, last, &[json!({ "commitInfo": { "timestamp": 1 } }), txn]);
        }),
    ));
    edits
}

#[test]
fn a_check_sees_commits_that_are_dropped_swapped_or_put_beside() {
    let base = Edited::of(short());
    let all: Vec<_> =
        ["events", "objects", "hours", "quarantine"].iter().flat_map(|table| edits_of_logs(&base, table)).collect();
    expect_all_seen(
        &all,
        |(name, edit)| {
            let edited = Edited::of(short());
            edit(&edited);
            Some((name.clone(), edited.faults()))
        },
        40,
    );
}

/// The exit code of a question that asks for all rows, and its words.
fn asked(edited: &Edited) -> (Option<i32>, String) {
    let ended = keytrail(["query", "-q", "SELECT count(*) FROM events", "--from", edited.path.to_str().unwrap()]);
    (ended.code, ended.stderr)
}

/// The last commits of the other tables name it, and are read at every opening.
#[test]
fn a_table_without_its_last_commit_is_refused_by_a_question() {
    for table in ["events", "hours", "quarantine"] {
        let edited = Edited::of(short());
        assert_eq!(asked(&edited).0, Some(3), "its quarantined record makes it incomplete");
        fs::remove_file(edited.commit(table, edited.versions(table) - 1)).unwrap();
        let (code, said) = asked(&edited);
        assert_eq!(code, Some(4), "{table}: {said}");
    }
}

/// A store of so many batches, each a commit of `events`, `objects` and `hours` after their first.
fn batches(count: usize) -> Edited {
    let (store, days) = (store::Store::new(), tempfile::tempdir().unwrap());
    (1..=count).for_each(|day| log_of_day(days.path(), day, 0..1));
    store.accounts(days.path(), &["--batch-bytes", "1"]);
    let edited = Edited::of(&store);
    ["events", "objects", "hours"].iter().for_each(|table| assert_eq!(edited.versions(table), count + 1, "{table}"));
    edited
}

/// Of the commit before it nothing is read, since there is a checkpoint.
#[test]
fn a_commit_without_a_seal_behind_a_checkpoint_is_refused_by_a_question() {
    for table in ["events", "objects", "hours"] {
        let edited = batches(19);
        assert_eq!((checkpoints(&edited, table).len(), asked(&edited).0), (1, Some(0)));
        let txn = json!({ "txn": { "appId": "other", "version": 1 } });
        edited.write(table, 20, &[json!({ "commitInfo": { "timestamp": 1 } }), txn]);
        let (code, said) = asked(&edited);
        assert!(code == Some(4) && said.contains("commit 20 of its"), "{table}: {code:?} {said}");
    }
}

/// Every commit that another names stays, so nothing but the first checkpoint contradicts.
#[test]
fn commits_that_are_gone_before_a_checkpoint_were_not_made_without_a_chain() {
    let edited = batches(20);
    assert!(edited.faults().is_empty());
    let tables = ["events", "objects", "hours"];
    let is_named = |table: &str, version: usize| {
        let mut later = tables.iter().flat_map(|other| (19..=20).flat_map(|later| edited.read(other, later)));
        later.any(|line| line["commitInfo"]["keytrail.tables"][table][0] == version)
    };
    let gone: Vec<PathBuf> = tables
        .iter()
        .flat_map(|table| {
            (0..19).filter(|version| !is_named(table, *version)).map(|version| edited.commit(table, version))
        })
        .collect();
    assert!(gone.len() > 50, "{}", gone.len());
    gone.iter().for_each(|commit| fs::remove_file(commit).unwrap());
    let faults = edited.faults();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults.iter().all(|fault| fault.ends_with("before 19 are gone")), "{faults:?}");
}

/// A sum that has no room is damage, no panic and no other sum.
#[test]
fn a_sum_without_room_is_damage() {
    let edited = Edited::of(short());
    let version = edited.newest_with("objects", "add");
    let mut lines = edited.read("objects", version);
    for add in lines.iter_mut().filter_map(|line| line.get_mut("add")) {
        add["tags"]["keytrail.sum.kept"] = u64::MAX.to_string().into();
    }
    cover(&edited, ("objects", version), lines, CoverUp::State);
    let (code, said) = asked(&edited);
    assert!(code == Some(4) && said.contains("larger than any store is"), "{code:?} {said}");
}

/// Rewrites a Parquet file with its footer's notes; `edit` gives the new rows.
pub fn rewrite(path: &Path, edit: impl Fn(RecordBatch) -> RecordBatch) {
    let bytes = bytes::Bytes::from(fs::read(path).unwrap());
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let mut notes = builder.metadata().file_metadata().key_value_metadata().cloned();
    notes.iter_mut().for_each(|notes| notes.retain(|note| note.key != "ARROW:schema"));
    let edited: Vec<RecordBatch> = builder.build().unwrap().map(|rows| edit(rows.unwrap())).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(notes).build();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, edited[0].schema(), Some(properties)).unwrap();
    edited.iter().for_each(|rows| writer.write(rows).unwrap());
    writer.close().unwrap();
}

/// The entries of files with one more member, as of statistics that a reader of tables may believe.
fn with_parsed_statistics(rows: &RecordBatch) -> RecordBatch {
    let adds = rows["add"].as_struct();
    let more = Field::new("stats_parsed", DataType::Utf8, true);
    let fields: Vec<FieldRef> = adds.fields().iter().cloned().chain([FieldRef::new(more)]).collect();
    let columns = adds.columns().iter().cloned().chain([new_null_array(&DataType::Utf8, adds.len())]).collect();
    let adds: ArrayRef = std::sync::Arc::new(StructArray::new(fields.into(), columns, adds.nulls().cloned()));
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns()).map(|(field, column)| {
        let column = if field.name() == "add" { &adds } else { column };
        (field.name().clone(), std::sync::Arc::clone(column), true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn checkpoints(edited: &Edited, table: &str) -> Vec<PathBuf> {
    let is_checkpoint = |file: &PathBuf| file.to_str().unwrap().ends_with(".checkpoint.parquet");
    files(&edited.log(table)).into_iter().filter(is_checkpoint).collect()
}

/// Moves two entries of one file of the index, so that their sum stays, and makes again all that the index proves of
/// itself. Gives the hash of the event id that it has no more.
fn forge_index(edited: &Edited) -> u64 {
    let path = files(&edited.path.join("ids")).remove(0);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(fs::read(&path).unwrap())).unwrap();
    let notes = builder.metadata().file_metadata().key_value_metadata().unwrap().clone();
    let schema = std::sync::Arc::clone(builder.schema());
    let (mut hashes, mut numbers): (Vec<i64>, Vec<i32>) = (Vec::new(), Vec::new());
    for rows in builder.build().unwrap() {
        let rows = rows.unwrap();
        hashes.extend(rows.column(0).as_primitive::<Int64Type>().values());
        numbers.extend(rows.column(1).as_primitive::<Int32Type>().values());
    }
    let [one, other] = [0, 1].map(|nth| {
        let of_file = (1..hashes.len() - 1).filter(|at| numbers[*at] == numbers[1]);
        of_file.filter(|at| hashes[at - 1] + 1 < hashes[*at] && hashes[*at] + 1 < hashes[at + 1]).nth(nth).unwrap()
    });
    let lost = hashes[one] as u64;
    (hashes[one], hashes[other]) = (hashes[one] + 1, hashes[other] - 1);
    let entries = hashes.iter().zip(&numbers).map(|(hash, number)| (*hash as u64) << 16 | *number as u64);
    let sum = entries.fold(0u64, |sum, entry| sum.wrapping_add(xxh3_64(&entry.to_be_bytes())));
    let groups =
        json!([{ "least": hashes[0], "greatest": hashes.last(), "count": hashes.len(), "sum": sum }]).to_string();
    let covered = notes.iter().find(|note| note.key == "keytrail.files").unwrap().value.clone().unwrap();
    let own = sha256_hex(format!("{covered}\n{groups}").as_bytes());
    let notes = [("keytrail.files", covered), ("keytrail.groups", groups), ("keytrail.self", own)];
    let notes = notes.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(notes)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), std::sync::Arc::clone(&schema), Some(properties)).unwrap();
    let columns: Vec<ArrayRef> =
        vec![std::sync::Arc::new(Int64Array::from(hashes)), std::sync::Arc::new(Int32Array::from(numbers))];
    writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
    let forged = writer.into_inner().unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(path.with_file_name(format!("{}.parquet", &sha256_hex(&forged)[..32])), forged).unwrap();
    lost
}

/// A question believes an index that proves itself, unless it is to hash what it reads. A check holds it to the files.
#[test]
fn a_check_sees_an_index_that_was_forged_and_sealed_again() {
    let edited = Edited::of(long());
    let lost = forge_index(&edited);
    let faults = edited.faults();
    assert!(faults.len() == 1 && faults[0].contains("has not the event ids of"), "{faults:?}");
    let ask = |sql: &str| {
        let place = edited.path.to_str().unwrap();
        let ended = keytrail(["query", "-q", "--verify-files", "-f", "csv", sql, "--from", place]);
        ended.text().lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let ids = ask("SELECT DISTINCT event_id FROM events");
    let id = ids.iter().find(|id| xxh3_64(id.as_bytes()) >> 16 == lost).unwrap();
    assert_eq!(ask(&format!("SELECT DISTINCT event_id FROM events WHERE event_id = '{id}'")), [id.as_str()]);
}

#[test]
fn a_check_sees_edits_of_checkpoints_and_of_the_index() {
    let base = Edited::of(long());
    let mut all: Vec<NamedEdit> = Vec::new();
    for table in ["events", "objects", "hours"] {
        let count = checkpoints(&base, table).len();
        assert!(count > 0, "{table} has no checkpoint");
        for at in 0..count {
            all.push((
                format!("checkpoint {at} of {table} lacks its last row"),
                Box::new(move |edited| {
                    rewrite(&checkpoints(edited, table)[at], |rows| rows.slice(0, rows.num_rows() - 1));
                }),
            ));
            all.push((
                format!("checkpoint {at} of {table} lacks its first row"),
                Box::new(move |edited| {
                    rewrite(&checkpoints(edited, table)[at], |rows| rows.slice(1, rows.num_rows() - 1));
                }),
            ));
            all.push((
                format!("checkpoint {at} of {table} has a member that its writer does not make"),
                Box::new(move |edited| {
                    rewrite(&checkpoints(edited, table)[at], |rows| with_parsed_statistics(&rows));
                }),
            ));
            all.push((
                format!("checkpoint {at} of {table} says another maker, whom no reader asks for"),
                Box::new(move |edited| {
                    let path = &checkpoints(edited, table)[at];
                    let mut bytes = fs::read(path).unwrap();
                    let maker = b"parquet-rs";
                    let place = bytes.windows(maker.len()).rposition(|window| window == maker).unwrap();
                    bytes[place] ^= 1;
                    fs::write(path, bytes).unwrap();
                }),
            ));
            all.push((
                format!("checkpoint {at} of {table} is of another table"),
                Box::new(move |edited| {
                    let other = if table == "events" { "objects" } else { "events" };
                    fs::copy(&checkpoints(edited, other)[0], &checkpoints(edited, table)[at]).unwrap();
                }),
            ));
        }
        type HintEdit = fn(&mut Value);
        let hints: [(&str, HintEdit); 5] = [
            ("another version", |hint| hint["version"] = 0.into()),
            ("another size", |hint| hint["size"] = 1.into()),
            ("another number of files", |hint| hint["numOfAddFiles"] = 1.into()),
            ("another SHA-256", |hint| hint["tags"]["keytrail.sha256"] = "0".into()),
            ("a strange member", |hint| hint["x"] = 1.into()),
        ];
        for (name, edit) in hints {
            all.push((
                format!("the last checkpoint of {table} has {name}"),
                Box::new(move |edited| {
                    let path = edited.log(table).join("_last_checkpoint");
                    let mut hint: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                    edit(&mut hint);
                    fs::write(&path, hint.to_string()).unwrap();
                }),
            ));
        }
    }
    type RowEdit = fn(&RecordBatch) -> RecordBatch;
    let ids: [(&str, RowEdit); 3] = [
        ("lacks an entry", |rows| rows.slice(0, rows.num_rows() - 1)),
        ("lacks its first entry", |rows| rows.slice(1, rows.num_rows() - 1)),
        ("has other files", |rows| {
            let files = Int32Array::from(vec![0; rows.num_rows()]);
            RecordBatch::try_new(rows.schema(), vec![rows.column(0).clone(), std::sync::Arc::new(files)]).unwrap()
        }),
    ];
    for (name, edit) in ids {
        all.push((
            format!("the index {name}"),
            Box::new(move |edited| {
                files(&edited.path.join("ids")).iter().for_each(|file| rewrite(file, |rows| edit(&rows)));
            }),
        ));
    }
    expect_all_seen(
        &all,
        |(name, edit)| {
            let edited = Edited::of(long());
            edit(&edited);
            Some((name.clone(), edited.faults()))
        },
        20,
    );
}
