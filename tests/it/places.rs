//! Places: where an object lies decides if it is opened, and a scope says what it could not place.
//! In: small trees of logs and of what lies among logs, on disk, in a bucket and in a store. Out: the objects that were
//! read, skipped or left out, and the rows that a scope lets pass.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::{Ended, keytrail};
use crate::cloud::{Fault, Proxy, Request, code, header, run, serve, stderr, stdout};
use crate::store::Store;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const FOREIGN_KEY: &str = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A use of a key by a user of 111122223333, with other members instead of its own; NULL takes one away.
fn decrypt(number: usize, others: Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11", "eventTime": "2026-03-02T09:00:00Z", "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt", "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
        "eventID": format!("00000000-0000-4000-8000-{number:012}"), "eventType": "AwsApiCall", "readOnly": true,
        "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "accountId": "111122223333",
            "arn": "arn:aws:iam::111122223333:user/ada", "userName": "ada"},
        "resources": [{"ARN": KEY, "accountId": "111122223333", "type": "AWS::KMS::Key"}],
    });
    for (name, value) in others.as_object().unwrap() {
        match value {
            Value::Null => record.as_object_mut().unwrap().remove(name),
            _ => record.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    record
}

fn document(records: &[Value]) -> Vec<u8> {
    json!({ "Records": records }).to_string().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder of files.
fn tree(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), files);
    folder
}

fn put(folder: &Path, files: &[(&str, Vec<u8>)]) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn audit(from: &str, scope: &[&str]) -> (Value, Ended) {
    let ended = keytrail([&["audit", from, "-f", "json"], scope].concat());
    (serde_json::from_slice(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.story())), ended)
}

/// The numbers of the events that a question gives, in order.
fn events(from: &str, filter: &str, scope: &[&str]) -> Vec<u64> {
    let sql = format!("SELECT event_id FROM events WHERE {filter} ORDER BY event_id");
    let ended = keytrail([&["query", "-q", "-f", "json", &sql, "--from", from], scope].concat());
    let rows = ended.rows().unwrap();
    rows.iter().map(|row| row["event_id"].as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap()).collect()
}

/// Status, kind and error of each object, by its path below the location.
fn objects(from: &str, rows: &str) -> BTreeMap<String, [String; 3]> {
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let shown = |row: &Value| text(row, "uri").trim_start_matches(from).trim_start_matches('/').to_owned();
    rows.iter().map(|row| (shown(row), ["status", "kind", "error"].map(|name| text(row, name)))).collect()
}

const OBJECTS: &str = "SELECT uri, status, kind, error FROM objects ORDER BY uri";

fn found_in(folder: &Path) -> (BTreeMap<String, [String; 3]>, Ended) {
    let from = folder.to_str().unwrap();
    let ended = keytrail(["query", "-f", "jsonl", OBJECTS, "--from", from]);
    (objects(from, ended.text()), ended)
}

fn expected(objects: &[(&str, [&str; 3])]) -> BTreeMap<String, [String; 3]> {
    objects.iter().map(|(name, words)| ((*name).to_owned(), words.map(str::to_owned))).collect()
}

/// Rows by which account and Region they name: 1 names both; the caller and the key place 2 and 4; nothing places 3, 5
/// and 6, of which 3 is there twice.
fn odd_places() -> TempDir {
    let foreign = json!([{"ARN": FOREIGN_KEY, "accountId": "999988887777", "type": "AWS::KMS::Key"}]);
    let by_stranger = decrypt(3, json!({"recipientAccountId": null, "resources": foreign}));
    let records = [
        decrypt(1, json!({})),
        decrypt(2, json!({"recipientAccountId": null})),
        by_stranger.clone(),
        by_stranger,
        decrypt(4, json!({"awsRegion": null})),
        decrypt(5, json!({"awsRegion": null, "resources": null, "eventName": "ListKeys"})),
        decrypt(
            6,
            json!({"recipientAccountId": null, "resources": null, "userIdentity": null, "eventName": "ListKeys"}),
        ),
        decrypt(7, json!({"recipientAccountId": "444455556666", "awsRegion": "us-east-1"})),
    ];
    tree(&[("a.json", document(&records))])
}

#[test]
fn rows_that_nothing_places_pass_every_list_and_are_counted() {
    let (folder, store) = (odd_places(), Store::new());
    let told = |accounts: Value| ["kept", "untimed", "unplaced"].map(|name| accounts[name].as_u64());
    assert_eq!(told(store.accounts(folder.path(), &[])), [7, 0, 3].map(Some));
    assert_eq!(told(store.accounts(folder.path(), &[])), [0, 0, 0].map(Some));
    for from in [folder.path().to_str().unwrap(), store.text()] {
        for (scope, kept, unplaced) in [
            (&[][..], &[1, 2, 3, 4, 5, 6, 7][..], 3),
            (&["--account", "111122223333"], &[1, 2, 3, 4, 5, 6], 3),
            (&["--account", "444455556666"], &[3, 6, 7], 2),
            (&["--account", "999988887777"], &[3, 6], 2),
            (&["--region", "eu-west-1"], &[1, 2, 3, 4, 5, 6], 3),
            (&["--region", "us-east-1"], &[5, 7], 1),
            (&["--account", "111122223333", "--region", "us-east-1"], &[5], 1),
            (&["--account", "444455556666", "--account", "111122223333"], &[1, 2, 3, 4, 5, 6, 7], 3),
        ] {
            assert_eq!(events(from, "true", scope), kept, "{from} {scope:?}");
            let (report, ended) = audit(from, scope);
            assert_eq!(report["summary"]["unplaced"], unplaced, "{from} {scope:?}");
            let told = format!("unplaced  {unplaced} without an account or a Region pass every list");
            let is_told = ended.stderr.lines().any(|line| line == told);
            assert_eq!(is_told, !scope.is_empty(), "{from} {scope:?} {}", ended.stderr);
        }
    }
}

/// A list over a store opens the files of its accounts, and those with a row that nothing places.
#[test]
fn a_list_prunes_the_files_of_a_store() {
    let day = |number: usize, account: Value| {
        let time = format!("2026-03-{number:02}T09:00:00Z");
        decrypt(number, json!({"eventTime": time, "recipientAccountId": account, "resources": null}))
    };
    let accounts = [json!("111122223333"), json!("222233334444"), json!("333344445555"), Value::Null];
    let records: Vec<Value> = accounts.into_iter().enumerate().map(|(at, account)| day(at + 1, account)).collect();
    let store = Store::new();
    for (records, opened) in [(&records[..3], &["2026-03-01"][..]), (&records[3..], &["2026-03-01", "2026-03-04"])] {
        let folder = tree(&[("a.json", document(records))]);
        assert_eq!(store.ingest(folder.path(), &[]).code, Some(0));
        let explain = "EXPLAIN SELECT event_id FROM events";
        let ended =
            keytrail(["query", "-q", explain, "--from", store.text(), "--account", "111122223333", "-f", "csv"]);
        let days = ended.text().split("event_date=").skip(1).map(|rest| &rest[..10]);
        assert_eq!(days.collect::<Vec<_>>(), opened, "{}", ended.text());
    }
}

/// Rows are judged before a predicate may end their making, whatever the predicate needs.
#[test]
fn a_predicate_does_not_change_what_a_scope_places() {
    let folder = odd_places();
    let from = folder.path().to_str().unwrap();
    for (filter, scope, kept) in [
        ("event_name = 'ListKeys'", "444455556666", &[6][..]),
        ("event_name = 'Decrypt'", "444455556666", &[3, 7]),
        ("event_name = 'Decrypt'", "111122223333", &[1, 2, 3, 4]),
        ("event_name = 'Encrypt'", "111122223333", &[]),
        ("outcome = 'denied'", "111122223333", &[]),
        ("user_agent IS NULL AND event_name = 'ListKeys'", "111122223333", &[5, 6]),
    ] {
        assert_eq!(events(from, filter, &["--account", scope]), kept, "{filter} in {scope}");
        let sql = format!("SELECT count(*) AS n FROM events WHERE {filter}");
        let ended = keytrail(["query", &sql, "--from", from, "--account", scope, "-f", "csv"]);
        let records = ended.stderr.lines().find(|line| line.starts_with("records")).unwrap_or_default().to_owned();
        let whole = keytrail(["query", "SELECT count(*) AS n FROM events", "--from", from, "--account", scope]);
        assert!(whole.stderr.contains(&records) && !records.is_empty(), "{filter}: {records}\n{}", whole.stderr);
    }
}

fn log_of(account: &str, number: usize) -> Vec<u8> {
    gzip(&document(&[decrypt(number, json!({"recipientAccountId": account}))]))
}

const DAY: &str = "CloudTrail/eu-west-1/2026/03/02/f.json.gz";

/// One archive with a prefix that repeats the organization, one without, and copies of parts.
fn organizations() -> TempDir {
    let accounts = ["111122223333", "222233334444", "333344445555", "444455556666", "555566667777", "666677778888"];
    let [one, two, three, four, five, six] = accounts;
    let mut numbers = 1..;
    let mut log = |account: &str| log_of(account, numbers.next().unwrap());
    tree(&[
        (&*format!("o-exampleorgid/AWSLogs/o-exampleorgid/{one}/{DAY}"), log(one)),
        (&*format!("o-exampleorgid/AWSLogs/{two}/{DAY}"), log(two)),
        (&*format!("AWSLogs/o-exampleorgid/{three}/{DAY}"), log(three)),
        (&*format!("AWSLogs/o-anotherorgid/{four}/{DAY}"), log(four)),
        (&*format!("AWSLogs/{five}/{DAY}"), log(five)),
        (&*format!("AWSLogs/archive-copy/{six}/{DAY}"), log(six)),
        (&*format!("o-anotherorgid/{six}/{DAY}"), log(six)),
        ("notes.txt", b"Dear reader".to_vec()),
    ])
}

#[test]
fn an_organization_has_only_what_its_paths_prove() {
    let folder = organizations();
    let from = folder.path().to_str().unwrap();
    let left_out = "left out  3 objects whose path names no organization";
    for (scope, kept, without, exit) in [
        (&[][..], &[1, 2, 3, 4, 5, 6, 7][..], 0, 0),
        (&["--org-id", "o-exampleorgid"], &[1, 2, 3], 3, 0),
        (&["--org-id", "o-anotherorgid"], &[4, 7], 3, 0),
        (&["--org-id", "o-someotherorg"], &[], 3, 3),
        (&["--org-id", "o-exampleorgid", "--org-id", "o-anotherorgid"], &[1, 2, 3, 4, 7], 3, 0),
    ] {
        assert_eq!(events(from, "true", scope), kept, "{scope:?}");
        let (report, ended) = audit(from, scope);
        assert_eq!((&report["summary"]["unplaced_objects"], ended.code), (&json!(without), Some(exit)), "{scope:?}");
        assert_eq!(ended.stderr.contains(left_out), without > 0, "{scope:?} {}", ended.stderr);
        let store = Store::new();
        let accounts = store.accounts(folder.path(), scope);
        assert_eq!((&accounts["unplaced_objects"], &accounts["exit_code"]), (&json!(without), &json!(exit)));
        assert_eq!(accounts["kept"], json!(kept.len()), "{scope:?}");
    }
    let planned = keytrail(["audit", from, "--org-id", "o-exampleorgid", "--dry-run"]);
    assert!(planned.text().contains(left_out), "{}", planned.text());
    // The scope narrows what is left out, too.
    let (report, _) = audit(from, &["--org-id", "o-exampleorgid", "--account", "555566667777"]);
    assert_eq!(report["summary"]["unplaced_objects"], 2, "the log of the account and the notes");
    let history = keytrail(["audit", "cloudtrail://eu-west-1", "--org-id", "o-exampleorgid"]);
    assert_eq!(history.code, Some(2), "{}", history.story());
}

/// The files of a trail's bucket, as they are delivered, with what lies among them.
fn among_logs() -> Vec<(&'static str, Vec<u8>)> {
    let csv = b"eventID,eventName,eventSource\n1,Decrypt,kms.amazonaws.com\n".to_vec();
    let json_of_others = json!({"version": "1.0", "files": [{"fileHashValue": "00"}]}).to_string().into_bytes();
    let lines = b"{\"level\":\"info\"}\n{\"level\":\"warn\"}\n".to_vec();
    let one = |number| document(&[decrypt(number, json!({}))]);
    let cut = gzip(&one(90));
    vec![
        ("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/02/f.json.gz", gzip(&one(1))),
        ("AWSLogs/111122223333/CloudTrail-Lake/Query/2026/03/02/id/result_1.csv.gz", gzip(&csv)),
        ("AWSLogs/111122223333/CloudTrail-Lake/Query/2026/03/02/id/result_sign.json", json_of_others.clone()),
        ("AWSLogs/111122223333/CloudTrail-Newer/eu-west-1/a.json.gz", gzip(&one(2))),
        ("AWSLogs/111122223333/CloudTrail-Newer/eu-west-1/b.json", json_of_others.clone()),
        ("AWSLogs/111122223333/CloudTrail-Newer/eu-west-1/c.json.gz", cut[..cut.len() - 4].to_vec()),
        ("AWSLogs/111122223333/BedrockModelInvocationLogs/eu-west-1/x.json.gz", gzip(&lines)),
        ("AWSLogs/111122223333/VPCLattice/eu-west-1/y.json.gz", gzip(&json_of_others)),
        ("AWSLogs/o-exampleorgid/444455556666/s3/eu-west-1/z", csv.clone()),
        ("copies/2026-03-02-10-15-00-ABCDEF", b"79a5 logs [02/Mar/2026:10:15:00 +0000] 192.0.2.3 -\n".to_vec()),
        ("copies/app.log", lines),
        ("copies/cut", cut[..cut.len() - 4].to_vec()),
        ("copies/events.csv", one(3)),
        ("copies/firehose-1-2026-03-02-10-05-00", gzip(&one(4))),
        ("copies/image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        ("copies/logs.zip", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec()),
        ("copies/mark", Vec::new()),
        ("copies/notes.txt", b"[2026-03-02 10:05:00] INFO: what was asked for".to_vec()),
        ("copies/prose.json", b"Dear reader".to_vec()),
        ("copies/saved.txt", one(5)),
        ("copies/settings.conf", b"[section]\nkey = 1\n".to_vec()),
        ("copies/table.csv.gz", gzip(&csv)),
        ("copies/table.parquet", b"PAR1\x15\x04\x15\x10".to_vec()),
        ("copies/tf.tfstate", json_of_others),
        ("copies/x.json.gz.part", gzip(&one(91))),
    ]
}

fn found_among_logs() -> BTreeMap<String, [String; 3]> {
    let (read, other) = (["read", "log", ""], ["skipped", "other", "not_a_log"]);
    let (by_folder, by_name) = (["skipped", "other", "is_other_log"], ["skipped", "other", "not_a_log_name"]);
    let cut = ["quarantined", "log", "gzip_truncated"];
    expected(&[
        ("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/02/f.json.gz", read),
        ("AWSLogs/111122223333/CloudTrail-Lake/Query/2026/03/02/id/result_1.csv.gz", by_folder),
        ("AWSLogs/111122223333/CloudTrail-Lake/Query/2026/03/02/id/result_sign.json", by_folder),
        ("AWSLogs/111122223333/CloudTrail-Newer/eu-west-1/a.json.gz", read),
        ("AWSLogs/111122223333/CloudTrail-Newer/eu-west-1/b.json", other),
        ("AWSLogs/111122223333/CloudTrail-Newer/eu-west-1/c.json.gz", cut),
        ("AWSLogs/111122223333/BedrockModelInvocationLogs/eu-west-1/x.json.gz", by_folder),
        ("AWSLogs/111122223333/VPCLattice/eu-west-1/y.json.gz", by_folder),
        ("AWSLogs/o-exampleorgid/444455556666/s3/eu-west-1/z", by_folder),
        ("copies/2026-03-02-10-15-00-ABCDEF", other),
        ("copies/app.log", other),
        ("copies/cut", cut),
        ("copies/events.csv", read),
        ("copies/firehose-1-2026-03-02-10-05-00", read),
        ("copies/image.png", other),
        ("copies/logs.zip", other),
        ("copies/mark", by_name),
        ("copies/notes.txt", other),
        ("copies/prose.json", ["quarantined", "log", "not_json"]),
        ("copies/saved.txt", read),
        ("copies/settings.conf", other),
        ("copies/table.csv.gz", other),
        ("copies/table.parquet", other),
        ("copies/tf.tfstate", other),
        ("copies/x.json.gz.part", by_name),
    ])
}

#[test]
fn content_decides_where_folder_and_name_do_not() {
    let folder = tree(&among_logs());
    let (found, ended) = found_in(folder.path());
    assert_eq!((found, ended.code), (found_among_logs(), Some(3)));
    assert_eq!(events(folder.path().to_str().unwrap(), "true", &[]), [1, 2, 3, 4, 5]);
    // Without the damage nothing keeps a run from its end.
    for damaged in ["AWSLogs/111122223333/CloudTrail-Newer/eu-west-1/c.json.gz", "copies/cut", "copies/prose.json"] {
        fs::remove_file(folder.path().join(damaged)).unwrap();
    }
    assert_eq!(found_in(folder.path()).1.code, Some(0));
}

/// A bucket answers as its folder does; the first bytes of a large object are asked for alone, and the rest only if
/// they begin a log.
#[test]
fn a_bucket_is_looked_at_with_one_request() {
    let top = tempfile::tempdir().unwrap();
    put(&top.path().join("logs"), &among_logs());
    let (mut expected, row) = (found_among_logs(), |words: [&str; 3]| words.map(str::to_owned));
    let long = json!({"eventName": "Decrypt", "userAgent": "x".repeat(100 << 10)});
    put(
        &top.path().join("logs/large"),
        &[
            ("export", document(&[decrypt(6, long)])),
            ("table.csv", b"a,b,c\n".repeat(1 << 20)),
            ("trail.json", document(&[decrypt(7, json!({"userAgent": "x".repeat(100 << 10)}))])),
        ],
    );
    expected.insert("large/export".into(), row(["read", "log", ""]));
    expected.insert("large/table.csv".into(), row(["skipped", "other", "not_a_log"]));
    expected.insert("large/trail.json".into(), row(["read", "log", ""]));
    let proxy = Proxy::start(serve(top.path()), |_, _| Fault::Pass);
    let output = run(&["query", "-f", "jsonl", OBJECTS, "--from", "s3://logs"], &proxy.url);
    assert_eq!((objects("s3://logs", &stdout(&output)), code(&output)), (expected, 3), "{}", stderr(&output));
    let gets = |name: &str| proxy.count(|request| request.is_get_of(name));
    let heads = |request: &Request| header(&request.head, "range").is_some_and(|range| range == "bytes=0-4095");
    for (name, requests) in [
        ("f.json.gz", 1),
        ("large/trail.json", 1),
        ("large/table.csv", 1),
        ("large/export", 2),
        ("saved.txt", 1),
        ("notes.txt", 1),
        ("result_1.csv.gz", 0),
        ("x.json.gz.part", 0),
        ("copies/mark", 0),
    ] {
        assert_eq!(gets(name), requests, "{name}");
    }
    assert_eq!(proxy.count(heads), 2, "of the large objects whose names promise nothing");
}

/// An object whose first bytes cannot be had is named like any other that cannot be read.
#[test]
fn what_may_not_be_looked_at_is_no_skipped_object() {
    let top = tempfile::tempdir().unwrap();
    let files = [("a.json", document(&[decrypt(1, json!({}))])), ("table.csv", b"a,b,c\n".repeat(1 << 20))];
    put(&top.path().join("logs"), &files);
    for (status, code_of, told) in [(403, "AccessDenied", "access_denied"), (403, "InvalidObjectState", "archived")] {
        let proxy = Proxy::start(serve(top.path()), move |request, _| match request.is_get_of("table.csv") {
            true => Fault::error(status, code_of),
            false => Fault::Pass,
        });
        let output = run(&["query", "-f", "jsonl", OBJECTS, "--from", "s3://logs"], &proxy.url);
        let found = objects("s3://logs", &stdout(&output));
        assert_eq!((&found["table.csv"][0][..], &found["table.csv"][2][..]), ("refused", told), "{}", stderr(&output));
        assert_eq!(code(&output), 3);
    }
}

/// A store looks once: what was no log is settled, and a location without any log is told each time.
#[test]
fn a_store_looks_once() {
    let folder = tree(&[("notes.txt", b"Dear reader".to_vec())]);
    let store = Store::new();
    let told = |accounts: Value| ["exit_code", "kept", "batches", "objects_known"].map(|name| accounts[name].as_u64());
    let [none, some] = [0, 1].map(Some);
    assert_eq!(told(store.accounts(folder.path(), &[])), [Some(3), none, some, none]);
    assert_eq!(told(store.accounts(folder.path(), &[])), [Some(3), none, none, some], "no log is here, still");
    put(folder.path(), &[("saved", document(&[decrypt(1, json!({}))]))]);
    assert_eq!(told(store.accounts(folder.path(), &[])), [none, some, some, some]);
    assert_eq!(told(store.accounts(folder.path(), &[])), [none, none, none, Some(2)]);
    put(folder.path(), &[("notes.txt", document(&[decrypt(2, json!({}))]))]);
    let accounts = store.accounts(folder.path(), &[]);
    assert_eq!(accounts["kept"], 1, "other content under its name: {accounts}");
    store.check();
}
