//! Rows of an earlier normalizer: they are reported, and `store compact --renormalize` makes their columns again.
//! In: the store of an earlier version, and stores of this one whose files are made to look old and wrong. Out: the
//! rows of a fresh ingest, whatever happens on the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use keytrail::normalize::NORMALIZER;

use crate::child::{BINARY, is_exhaustive, keytrail, on_every_core};
use crate::store::{Store, end_all, files, has_strace, log_of_day, logs, scattered, start};

const NUMBER: &str = "keytrail.normalizer";

/// Rows without their origin, since the logs of a fixture lay elsewhere.
const ROWS: &str = "SELECT * EXCLUDE (object_uri) FROM events ORDER BY event_id, raw";

fn rows(from: &str) -> Vec<Value> {
    let ended = keytrail(["query", "-q", "-f", "json", ROWS, "--from", from]);
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.story());
    ended.rows().unwrap()
}

/// `summary.older_rows` of an audit, and the line on the screen.
fn told(from: &str, scope: &[&str]) -> (Value, Option<String>) {
    let ended = keytrail([&["audit", from, "-f", "json"], scope].concat());
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let line = ended.stderr.lines().find(|line| line.starts_with("older")).map(str::to_owned);
    (report["summary"]["older_rows"].clone(), line)
}

/// The number of this version's normalizer, and no row of an earlier one.
const UP_TO_DATE: (Option<u64>, Option<u64>) = (Some(NORMALIZER as u64), Some(0));

fn older(store: &Store) -> (Option<u64>, Option<u64>) {
    let info = store.info();
    (info["normalizer"].as_u64(), info["older_rows"].as_u64())
}

/// Returns its messages.
#[track_caller]
fn renormalize(store: &Store) -> String {
    let ended = keytrail(["store", "compact", "--renormalize", store.text()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stderr
}

#[test]
fn rows_of_an_earlier_version_are_reported_and_made_again() {
    let (store, fresh) = (Store::of_format("v1"), Store::new());
    let hash = store.hash();
    assert_eq!(older(&store), (Some(0), Some(142)));
    let line = "older     142 rows are in files of an earlier normalizer; keytrail store compact --renormalize brings them up \
                to date; what an earlier filter left out cannot come back";
    assert_eq!(told(store.text(), &[]), (json!(142), Some(line.to_owned())));
    assert_eq!(told(store.text(), &["--since", "2030-01-01"]), (json!(0), None), "none of them is in this answer");
    assert_eq!(told(logs().to_str().unwrap(), &[]), (json!(0), None), "logs are read anew");
    let asked = keytrail(["query", "SELECT count(*) FROM events", "--from", store.text()]);
    assert!(asked.stderr.contains(line), "{}", asked.stderr);
    // Merging files does not change the age of their rows.
    assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(0));
    assert_eq!((older(&store), store.info()["files"].as_u64()), ((Some(0), Some(142)), Some(4)));
    store.check();

    let said = renormalize(&store);
    assert!(said.contains("rows      142 brought up to date"), "{said}");
    assert_eq!((older(&store), store.hash()), (UP_TO_DATE, hash));
    assert_eq!(told(store.text(), &[]), (json!(0), None));
    store.check();
    fresh.accounts(&logs(), &[]);
    assert_eq!(rows(store.text()), rows(fresh.text()));
}

#[test]
fn only_older_files_are_rewritten_and_ids_are_found_after_it() {
    let (store, more) = (Store::of_format("v1"), tempfile::tempdir().unwrap());
    let before = store.files();
    log_of_day(more.path(), 20, 0..3);
    store.accounts(more.path(), &[]);
    let present: Vec<_> = store.files().into_iter().filter(|file| !before.contains(file)).collect();
    assert_eq!((present.len(), older(&store)), (1, (Some(0), Some(142))));
    assert_eq!(told(store.text(), &["--since", "2026-03-15"]), (json!(0), None));
    assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(0), "it makes an index of ids");
    let said = renormalize(&store);
    assert!(said.contains("rows      142 brought up to date"), "{said}");
    assert_eq!(keytrail(["store", "gc", "-q", store.text(), "--older-than", "0d"]).code, Some(0));
    let after = store.files();
    assert!(after.contains(&present[0]) && !before.iter().any(|file| after.contains(file)), "{after:?}");
    let old = rows(store.text())[0]["event_id"].as_str().unwrap().to_owned();
    for id in [old, scattered(20, 1)] {
        let filter = format!("event_id = '{id}'");
        assert_eq!((store.opened(&filter).len(), store.count(&filter)), (1, 1), "{id}");
    }
    store.check();
    let commits = store.info()["commits"].clone();
    assert!(renormalize(&store).contains("rows      0 brought up to date"));
    assert_eq!(store.info()["commits"], commits, "there was nothing to do");
}

/// Rewrites a file of events as an earlier normalizer would have written it: its footer has no number, and columns are
/// changed. The log agrees with it.
fn age(store: &Store, file: &Path, change: impl Fn(&str, &ArrayRef) -> Option<ArrayRef>) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap();
    let notes = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap();
    let notes = notes.into_iter().filter(|note| note.key != NUMBER).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(notes)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(builder.schema()), Some(properties)).unwrap();
    for rows in builder.build().unwrap() {
        let rows = rows.unwrap();
        let schema = rows.schema();
        let columns = schema.fields().iter().zip(rows.columns());
        let columns = columns.map(|(field, column)| change(field.name(), column).unwrap_or_else(|| Arc::clone(column)));
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()).unwrap();
    }
    writer.close().unwrap();
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let name = file.file_name().unwrap().to_str().unwrap();
    for commit in files(&store.path.join("events/_delta_log")) {
        let text = fs::read_to_string(&commit).unwrap();
        let lines = text.lines().map(|line| {
            let mut action: Value = serde_json::from_str(line).unwrap();
            if action["add"]["path"].as_str().is_some_and(|path| path.ends_with(name)) {
                action["add"]["size"] = json!(bytes.len());
                action["add"]["tags"] = json!({ "keytrail.sha256": sha256 });
            }
            format!("{action}\n")
        });
        fs::write(&commit, lines.collect::<String>()).unwrap();
    }
    fs::write(file, bytes).unwrap();
    unchain(store);
}

/// Takes out of the logs what earlier versions did not write: the chain of commits, the tags that prove entries, and the
/// words that no commit may go.
fn unchain(store: &Store) {
    let is_commit = |file: &&PathBuf| file.extension().is_some_and(|end| end == "json");
    for commit in files(&store.path).iter().filter(is_commit) {
        let text = fs::read_to_string(commit).unwrap();
        let lines = text.lines().map(|line| {
            let mut action: Value = serde_json::from_str(line).unwrap();
            if let Some(info) = action.get_mut("commitInfo").and_then(Value::as_object_mut) {
                let names = ["keytrail.previous", "keytrail.self", "keytrail.state", "keytrail.tables"];
                info.retain(|name, _| !names.contains(&name.as_str()));
            }
            for (members, name) in
                [("/add/tags", "keytrail.add"), ("/metaData/configuration", "delta.enableExpiredLogCleanup")]
            {
                action.pointer_mut(members).and_then(Value::as_object_mut).and_then(|members| members.remove(name));
            }
            format!("{action}\n")
        });
        fs::write(commit, lines.collect::<String>()).unwrap();
    }
}

/// Puts a wrong text into some columns, and NULL into two others.
fn wrongly(name: &str, column: &ArrayRef) -> Option<ArrayRef> {
    let wrong = || Arc::new(StringArray::from(vec!["wrong"; column.len()])) as ArrayRef;
    match name {
        "principal_type" | "session_name" | "operation_class" => Some(wrong()),
        "request_parameters" | "encryption_context" => {
            Some(arrow::array::new_null_array(column.data_type(), column.len()))
        }
        _ => None,
    }
}

/// Records whose row says more than the kept text: an account from the envelope or from nowhere, bytes that are not
/// UTF-8, an id made from such bytes, a day that does not exist.
fn odd_log(folder: &Path) {
    let kms = r#""eventSource":"kms.amazonaws.com","eventName":"Decrypt""#;
    let mut bytes = Vec::new();
    bytes.extend_from_slice(
        format!("{{\"Records\":[{{{kms},\"eventTime\":\"2026-03-10T01:00:00Z\",\"userAgent\":\"").as_bytes(),
    );
    bytes.extend_from_slice(b"x\xff\"},{");
    bytes.extend_from_slice(format!("{kms},\"eventTime\":\"noon\",\"userAgent\":\"\\ud800\"}},{{").as_bytes());
    bytes.extend_from_slice(format!("{kms},\"eventID\":\"A\",\"eventTime\":\"2090-01-01T00:00:00Z\",").as_bytes());
    bytes.extend_from_slice(b"\"requestParameters\":{\"keyId\":\"\xfe\"}}]}");
    fs::write(folder.join("odd.json"), bytes).unwrap();
    let event = json!({
        "account": "444455556666", "detail-type": "AWS API Call via CloudTrail", "source": "aws.kms", "id": "7",
        "detail": {
            "eventSource": "kms.amazonaws.com", "eventName": "Encrypt", "eventTime": "2026-03-10T02:00:00Z",
            "eventID": "b", "eventVersion": "1.08", "userIdentity": {"type": "Root", "accountId": "444455556666"},
        },
    });
    fs::write(folder.join("envelope.json"), event.to_string()).unwrap();
}

#[test]
fn wrong_columns_are_corrected_and_facts_of_lost_bytes_stay() {
    let (store, odd) = (Store::new(), tempfile::tempdir().unwrap());
    odd_log(odd.path());
    store.accounts(&logs(), &[]);
    store.accounts(odd.path(), &[]);
    let (expected, hash) = (rows(store.text()), store.hash());
    let issues: Vec<String> = expected.iter().map(|row| row["issues"].to_string()).collect();
    for issue in ["not UTF-8", "taken from the envelope", "not a time"] {
        assert!(issues.iter().any(|issues| issues.contains(issue)), "{issue}: {issues:?}");
    }
    assert_eq!(older(&store), UP_TO_DATE);
    store.files().iter().for_each(|file| age(&store, file, wrongly));
    assert_eq!(older(&store), (Some(0), Some(expected.len() as u64)));
    assert_ne!(rows(store.text()), expected);
    store.check();
    renormalize(&store);
    assert_eq!((older(&store), store.hash()), (UP_TO_DATE, hash));
    assert!(rows(store.text()) == expected, "the columns are not those of a fresh ingest");
    store.check();
}

/// A record that cannot be read again, one that would become another event, and one with other content stay as they
/// are, and are reported.
#[test]
fn rows_that_cannot_be_made_again_stay_as_they_were() {
    let (store, more) = (Store::new(), tempfile::tempdir().unwrap());
    log_of_day(more.path(), 20, 0..5);
    store.accounts(more.path(), &[]);
    let hash = store.hash();
    let damaged = |name: &str, column: &ArrayRef| match name {
        "raw" => {
            let records = column.as_string::<i32>().iter().enumerate();
            let records = records.map(|(at, record)| match at {
                0 => Some("{".to_owned()),
                1 => Some(r#"{"eventID":"another"}"#.to_owned()),
                2 => record.map(|record| record.replacen('{', r#"{"userAgent":"another","#, 1)),
                _ => record.map(str::to_owned),
            });
            Some(Arc::new(records.collect::<StringArray>()) as ArrayRef)
        }
        _ => wrongly(name, column),
    };
    store.files().iter().for_each(|file| age(&store, file, damaged));
    let said = renormalize(&store);
    assert!(said.contains("rows      2 brought up to date") && said.contains("older     3 stay as they are"), "{said}");
    assert_eq!((older(&store), store.hash()), ((Some(0), Some(3)), hash));
    assert_eq!((store.count("principal_type = 'wrong'"), store.count("principal_type IS NULL")), (3, 2));
    store.check();
    let commits = store.info()["commits"].clone();
    assert!(renormalize(&store).contains("rows      0 brought up to date"));
    assert_eq!((older(&store), &store.info()["commits"]), ((Some(0), Some(3)), &commits), "they are not written anew");
    store.check();
}

/// A rewrite first checks a file's bytes against the log: else damage would get a correct SHA-256.
#[test]
fn a_file_that_differs_from_the_log_is_not_rewritten() {
    type Damage = fn(&Store, &Path);
    let damages: [(&str, Damage); 2] = [
        ("has another SHA-256", |_, file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[100] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
        ("has no SHA-256 in the log", |store, _| {
            for commit in files(&store.path.join("events/_delta_log")) {
                let text = fs::read_to_string(&commit).unwrap();
                fs::write(commit, text.replace("keytrail.sha256", "else")).unwrap();
            }
        }),
    ];
    for (said, damage) in damages {
        let store = Store::of_format("v1");
        store.files().iter().for_each(|file| damage(&store, file));
        let before = files(&store.path);
        for more in [&["--renormalize"][..], &[]] {
            let ended = keytrail([&["store", "compact", store.text()], more].concat());
            assert!((ended.code, ended.stderr.contains(said)) == (Some(4), true), "{}", ended.story());
            assert_eq!(files(&store.path), before, "nothing was written");
        }
    }
}

/// A file whose rows do not match its hash is noticed only after they are in new files, which must go.
#[test]
fn a_rewrite_that_fails_leaves_no_file() {
    let (store, more) = (Store::new(), tempfile::tempdir().unwrap());
    log_of_day(more.path(), 20, 0..5);
    store.accounts(more.path(), &[]);
    let other_account = |name: &str, column: &ArrayRef| {
        let accounts = || Arc::new(StringArray::from(vec!["999999999999"; column.len()])) as ArrayRef;
        (name == "recipient_account_id").then(accounts)
    };
    store.files().iter().for_each(|file| age(&store, file, other_account));
    let before = files(&store.path);
    let ended = keytrail(["store", "compact", "--renormalize", store.text()]);
    assert!((ended.code, ended.stderr.contains("other rows than it says")) == (Some(4), true), "{}", ended.story());
    assert_eq!(files(&store.path), before);
}

fn renormalizing(store: &Store) -> Child {
    let mut command = Command::new(BINARY);
    command.args(["store", "compact", "--renormalize", "-q", store.text()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills a run at its nth call of a kind; returns the number of rows that are still of the earlier version.
fn kill_at(call: &str, nth: usize, store: &Store) -> u64 {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "60", "strace", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:signal=SIGKILL:when={nth}")]);
    command.args([BINARY, "store", "compact", "--renormalize", "-q", store.text(), "--threads", "1"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    older(store).1.unwrap()
}

#[test]
fn a_renormalization_that_is_killed_is_completed_by_the_next() {
    if !has_strace() {
        return;
    }
    let fresh = Store::new();
    fresh.accounts(&logs(), &[]);
    let expected = (rows(fresh.text()), fresh.hash());
    // Each of seven files is written and named, and then committed by a link.
    let step = if is_exhaustive() { 1 } else { 5 };
    let calls = [("pwrite64", 24), ("fsync", 48), ("linkat", 12), ("rename", 12), ("unlink", 12)];
    let points = calls.iter().flat_map(|&(call, count)| (1..=count).step_by(step).map(move |nth| (call, nth)));
    let left = on_every_core(&points.collect::<Vec<_>>(), |&(call, nth)| {
        let (store, what) = (Store::of_format("v1"), format!("{call} {nth}"));
        let left = kill_at(call, nth, &store);
        store.check();
        assert_eq!(store.hash(), expected.1, "{what}");
        renormalize(&store);
        assert_eq!(older(&store), UP_TO_DATE, "{what}");
        assert!((rows(store.text()), store.hash()) == expected, "{what}");
        store.check();
        left
    });
    // Some runs were killed with a part of the files done.
    assert!(left.contains(&142) && left.iter().any(|rows| (1..142).contains(rows)), "{left:?}");
}

#[test]
fn renormalizations_and_an_ingest_at_once_harm_nothing() {
    let fresh = Store::new();
    let days = tempfile::tempdir().unwrap();
    (1..=8).for_each(|day| log_of_day(days.path(), day, 0..3));
    fresh.accounts(&logs(), &[]);
    fresh.accounts(days.path(), &[]);
    let expected = (rows(fresh.text()), fresh.hash());
    for _ in 0..if is_exhaustive() { 50 } else { 2 } {
        let store = Store::of_format("v1");
        let ingest = start(days.path(), &store, &["--batch-bytes", "1"]);
        let children = vec![renormalizing(&store), ingest, renormalizing(&store)];
        assert_eq!(end_all(children), [Some(0); 3]);
        renormalize(&store);
        assert_eq!(older(&store), UP_TO_DATE);
        assert!((rows(store.text()), store.hash()) == expected);
        store.check();
    }
}

/// The log becomes a checkpoint now and then, which must keep the numbers.
#[test]
fn numbers_outlive_a_checkpoint() {
    let (store, days) = (Store::new(), tempfile::tempdir().unwrap());
    (1..=18).for_each(|day| log_of_day(days.path(), day, 0..1));
    store.accounts(days.path(), &["--batch-bytes", "1"]);
    // The chain begins with the commit of the checkpoint, and logs of earlier versions lose commits after a month.
    unchain(&store);
    log_of_day(days.path(), 19, 0..1);
    store.accounts(days.path(), &[]);
    assert!(store.path.join("events/_delta_log/_last_checkpoint").exists());
    assert_eq!(older(&store), UP_TO_DATE);
    for commit in (0..19).map(|version| store.path.join(format!("events/_delta_log/{version:020}.json"))) {
        fs::remove_file(commit).unwrap();
    }
    assert_eq!(older(&store), UP_TO_DATE, "they are read from the checkpoint");
    store.check();
}
