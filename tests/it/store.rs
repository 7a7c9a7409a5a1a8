//! Stores: their counts, the objects that are read again, and their survival of every disturbance.
//! In: the logs of `tests/store-format` in whole and in parts, runs that are killed or whose system calls fail, several writers at once.
//! Out: always the store of an undisturbed run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use keytrail::store::CheckOptions;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::{BINARY, Ended, has_program, is_exhaustive, keytrail, on_every_core, root};
use crate::cloud::copy_folder;

/// The logs of which the stores of every past format were made: two accounts over four days. `sample-logs` may grow.
pub fn logs() -> PathBuf {
    root().join("tests/store-format/logs/AWSLogs")
}

/// A store in a folder that vanishes.
pub struct Store {
    _folder: TempDir,
    pub path: PathBuf,
}

impl Store {
    pub fn new() -> Store {
        let folder = tempfile::tempdir().unwrap();
        Store { path: folder.path().join("store"), _folder: folder }
    }

    /// A copy of the store that an earlier version wrote.
    pub fn of_format(version: &str) -> Store {
        let (store, fixture) = (Store::new(), root().join("tests/store-format").join(version));
        for file in files(&fixture) {
            copy_as(&file, &store.path.join(file.strip_prefix(&fixture).unwrap()));
        }
        store
    }

    pub fn text(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub fn ingest(&self, logs: &Path, more: &[&str]) -> Ended {
        keytrail([&["ingest", logs.to_str().unwrap(), "--store", self.text()], more].concat())
    }

    /// Ingests and returns the accounts of the run.
    pub fn accounts(&self, logs: &Path, more: &[&str]) -> Value {
        let file = self._folder.path().join("summary.json");
        let ended = self.ingest(logs, &[&["--summary-json", file.to_str().unwrap()], more].concat());
        assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.story());
        let accounts: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!(accounts["exit_code"].as_i64(), ended.code.map(i64::from));
        accounts
    }

    pub fn info(&self) -> Value {
        let ended = keytrail(["store", "info", self.text(), "-f", "json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.story());
        serde_json::from_slice(&ended.stdout).unwrap()
    }

    /// The number of rows and of distinct objects in `objects`, and the sums of its counts.
    fn ledger(&self) -> Value {
        let sums = COUNTS.map(|name| format!("sum({name}) AS {name}")).join(", ");
        let sql = format!("SELECT count(*) AS n, count(DISTINCT uri) AS objects, {sums} FROM objects");
        let ended = keytrail(["query", "-q", "-f", "json", &sql, "--from", self.text()]);
        ended.rows().unwrap().remove(0)
    }

    pub fn hash(&self) -> String {
        self.info()["logical_hash"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn check(&self) {
        let ended = keytrail(["store", "check", self.text()]);
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.text(), ended.story());
    }

    /// The files that a question about events opens.
    pub fn opened(&self, filter: &str) -> BTreeSet<String> {
        let sql = format!("EXPLAIN SELECT event_id, raw FROM events WHERE {filter}");
        let ended = keytrail(["query", "-q", "-f", "json", &sql, "--from", self.text()]);
        assert_eq!(ended.code, Some(0), "{}", ended.story());
        let words = ended.text().split(|c: char| "[],: ".contains(c));
        words.filter(|word| word.ends_with(".parquet")).map(str::to_owned).collect()
    }

    /// The number of parts of its files that a question met, and the number that a metric counts as left.
    fn left(&self, filter: &str, metric: &str) -> (u64, u64) {
        let sql = format!("EXPLAIN ANALYZE SELECT event_id, raw FROM events WHERE {filter}");
        let ended = keytrail(["query", "-q", "-f", "csv", &sql, "--from", self.text(), "--threads", "1"]);
        let value = ended.text().split(", ").find_map(|word| word.strip_prefix(metric)?.strip_prefix('='));
        let told = value.unwrap_or_else(|| panic!("no {metric}: {}\n{}", ended.story(), ended.text()));
        let (total, rest) = told.split_once(" total → ").unwrap();
        (total.parse().unwrap(), rest.split(' ').next().unwrap().parse().unwrap())
    }

    /// The number of events that pass the filter.
    pub fn count(&self, filter: &str) -> u64 {
        let sql = format!("SELECT count(*) AS n FROM events WHERE {filter}");
        keytrail(["query", "-q", "-f", "json", &sql, "--from", self.text()]).rows().unwrap()[0]["n"].as_u64().unwrap()
    }

    /// The data files of the events.
    pub fn files(&self) -> Vec<PathBuf> {
        files(&self.path.join("events")).into_iter().filter(|f| !f.to_str().unwrap().contains("_delta_log")).collect()
    }
}

/// All files below a folder, in order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

/// Copies files of logs to another folder, where they keep their names.
fn copy(files: &[PathBuf], to: &Path) {
    files.iter().for_each(|file| copy_as(file, &to.join(file.strip_prefix(logs()).unwrap())));
}

fn copy_as(file: &Path, target: &Path) {
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(file, target).unwrap();
}

/// The store of an undisturbed run: its hash, and its accounts.
pub fn undisturbed() -> (String, Value) {
    let store = Store::new();
    let accounts = store.accounts(&logs(), &[]);
    (store.hash(), accounts)
}

pub const COUNTS: [&str; 6] = ["records", "kept", "duplicate", "filtered", "quarantined", "conflicts"];

pub fn counts(accounts: &Value) -> BTreeMap<&'static str, u64> {
    COUNTS.map(|name| (name, accounts[name].as_u64().unwrap())).into()
}

/// Numbers that look random but are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

#[test]
fn a_run_accounts_for_what_an_audit_does_and_the_next_reads_nothing() {
    let store = Store::new();
    let audit = keytrail(["audit", logs().to_str().unwrap(), "-f", "json"]);
    let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
    let first = store.accounts(&logs(), &[]);
    assert_eq!(counts(&first), counts(&audit["summary"]));
    assert_eq!(first["objects"], audit["objects"]);
    let info = store.info();
    assert_eq!(info["events"], first["kept"]);
    assert_eq!((info["format_version"].as_u64(), info["filter"].as_str()), (Some(2), Some("key-use")));

    let second = store.accounts(&logs(), &[]);
    assert_eq!(counts(&second).values().sum::<u64>(), 0);
    assert_eq!((second["batches"].as_u64(), second["bytes"].as_u64()), (Some(0), Some(0)));
    assert_eq!(store.info(), info);
    store.check();
}

/// A store answers as its logs do: every question, every scope, and over logs with unusual rows.
#[test]
fn a_store_answers_as_its_logs_do() {
    for logs in [logs(), root().join("tests/logs/near-misses.json")] {
        let store = Store::new();
        store.accounts(&logs, &[]);
        let from_logs = logs.to_str().unwrap();
        let scopes: [&[&str]; 6] = [
            &[],
            &["--since", "2026-03-12"],
            &["--until", "2026-03-12T09:20:16Z"],
            &["--account", "444455556666", "--account", "222222222222"],
            &["--region", "eu-west-1"],
            &["--since", "2030-01-01"],
        ];
        let narrowed = scopes.map(|scope| ("SELECT * EXCLUDE (object_uri) FROM events ORDER BY event_id, raw", scope));
        let filtered = [
            "SELECT count(*), count(DISTINCT raw) FROM events",
            "SELECT event_id FROM events WHERE event_time >= '2026-03-12' AND outcome = 'denied' ORDER BY 1",
            "SELECT event_id FROM events WHERE event_date = '2026-03-11' OR event_time IS NULL ORDER BY 1",
            "SELECT event_id FROM events WHERE event_date IS NULL OR key_arn IS NULL ORDER BY 1",
            "SELECT event_id FROM events WHERE encryption_context['aws:dynamodb:tableName'] = 'orders' ORDER BY 1",
            "SELECT kind, status, kept FROM objects ORDER BY uri",
            "SELECT reason, byte_offset FROM quarantine ORDER BY 1, 2",
        ];
        let named = keytrail::sql::named::all().iter();
        let named = named.filter(|query| query.params.iter().all(|param| !param.is_required)).map(|query| query.name);
        let unscoped = named.chain(filtered).map(|question| (question, &[][..]));
        let asked: Vec<(&str, &[&str])> = narrowed.into_iter().chain(unscoped).collect();
        let wrong = on_every_core(&asked, |(question, scope)| {
            let ask =
                |from: &str| keytrail([&["query", "-q", "-f", "json", question, "--from", from], *scope].concat());
            let (expected, found) = (ask(from_logs), ask(store.text()));
            // Logs without any in scope are incomplete; a store has read its logs.
            let leaves_no_log = scope.contains(&"2030-01-01") && from_logs.ends_with("AWSLogs");
            let codes = if leaves_no_log { (Some(3), Some(0)) } else { (expected.code, expected.code) };
            let same = (expected.code, found.code) == codes && expected.stdout == found.stdout;
            (!same).then(|| format!("{question} {scope:?}\n{}\n{}", expected.story(), found.story()))
        });
        let wrong: Vec<String> = wrong.into_iter().flatten().collect();
        assert!(wrong.is_empty(), "over {from_logs}:\n{}", wrong.join("\n"));
    }
}

/// A store with all events, narrowed to those that concern keys, answers as its logs do.
#[test]
fn a_store_with_all_events_can_be_narrowed() {
    let question = "SELECT * EXCLUDE (object_uri) FROM events ORDER BY event_id, raw";
    for (logs, left_out) in [("sample-logs/AWSLogs", 39), ("tests/logs", 0), ("tests/records", 5)] {
        let logs = root().join(logs);
        let store = Store::new();
        store.accounts(&logs, &["--events", "all"]);
        let ask = |from: &str, events| {
            let ended = keytrail(["query", "-q", "-f", "json", question, "--events", events, "--from", from]);
            assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.story());
            ended.rows().unwrap()
        };
        let (expected, found) = (ask(logs.to_str().unwrap(), "key-use"), ask(store.text(), "key-use"));
        assert!(!found.is_empty() && expected == found, "{}: {} {}", logs.display(), expected.len(), found.len());
        assert_eq!(ask(store.text(), "all").len(), found.len() + left_out, "{}", logs.display());
    }
}

/// A question opens the files whose days and bounds it needs, and no others.
#[test]
fn files_are_pruned_before_they_are_opened() {
    let store = Store::new();
    store.accounts(&logs(), &[]);
    for (filter, files) in [
        ("true", 4),
        ("event_date = '2026-03-11'", 1),
        ("event_time >= '2026-03-12' AND event_time < '2026-03-13'", 1),
        ("event_time >= '2026-03-12' OR event_time IS NULL", 2),
        ("event_id = 'ffffffff-ffff-4fff-bfff-ffffffffffff'", 0),
        ("event_name LIKE '%crypt'", 4),
    ] {
        assert_eq!(store.opened(filter).len(), files, "{filter}");
    }
}

/// An id that gives no order: the ids of each day span those of the others.
pub fn scattered(day: usize, nth: usize) -> String {
    let place = (day * 7 + nth * 5) % 24;
    format!("{:08x}-0000-4000-8000-{day:06}{nth:06}", place * 0x0a00_0000)
}

/// A log of three events of one day of March.
pub fn log_of_day(folder: &Path, day: usize, nths: std::ops::Range<usize>) {
    let record = |nth: usize| {
        serde_json::json!({
            "eventTime": format!("2026-03-{day:02}T09:00:00Z"), "eventSource": "kms.amazonaws.com", "eventName": "Decrypt",
            "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "eventID": scattered(day, nth),
        })
    };
    let (name, records) = (format!("{day}-{}.json", nths.start), nths.map(record).collect::<Vec<_>>());
    fs::write(folder.join(name), serde_json::json!({ "Records": records }).to_string()).unwrap();
}

#[test]
fn the_index_of_ids_leaves_out_files_and_no_event() {
    let (store, logs) = (Store::new(), tempfile::tempdir().unwrap());
    (1..=8).for_each(|day| log_of_day(logs.path(), day, 0..3));
    store.accounts(logs.path(), &[]);
    let all: Vec<String> = (1..=8).flat_map(|day| (0..3).map(move |nth| scattered(day, nth))).collect();
    let is = |id: &str| format!("event_id = '{id}'");
    let by_bounds: usize = all.iter().map(|id| store.opened(&is(id)).len()).sum();
    assert!(by_bounds > 3 * all.len(), "{by_bounds}");
    assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(0));
    store.check();
    for id in &all {
        assert_eq!((store.opened(&is(id)).len(), store.count(&is(id))), (1, 1), "{id}");
    }
    let (one, other, absent) = (&all[0], &all[23], "70000000-0000-4000-8000-000000000000");
    for (filter, files, events) in [
        (is(absent), 0, 0),
        (format!("event_id IN ('{one}', '{other}', '{absent}')"), 2, 2),
        (format!("event_id = '{one}' AND event_date = '2026-03-02'"), 1, 0),
        (format!("event_id = '{one}' AND event_id = '{other}'"), 0, 0),
        (format!("event_id <> '{one}'"), 8, 23),
        (format!("event_id = '{one}' OR event_name = 'Decrypt'"), 8, 24),
        (format!("event_id LIKE '{one}'"), 1, 1),
        (format!("upper(event_id) = upper('{one}')"), 8, 1),
    ] {
        assert_eq!((store.opened(&filter).len(), store.count(&filter)), (files, events), "{filter}");
    }
    // The index does not cover later events, but a query still finds them.
    log_of_day(logs.path(), 3, 3..5);
    store.accounts(logs.path(), &[]);
    let late = is(&scattered(3, 4));
    assert_eq!((store.opened(&late).len(), store.count(&late)), (1, 1));
    assert!(store.opened(&is(one)).len() <= 2);
    // Another compaction makes the index one file again.
    assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(0));
    let index = files(&store.path.join("ids"));
    assert_eq!((index.len(), store.opened(&late).len(), store.count(&late)), (1, 1, 1));
    assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(0));
    assert_eq!(files(&store.path.join("ids")), index, "nothing was new");
    store.check();
    // A damaged or missing index changes no answer; a wrong entry would, so a check finds it.
    let whole = fs::read(&index[0]).unwrap();
    fs::write(&index[0], &whole[..whole.len() / 2]).unwrap();
    assert_eq!((store.count(&late), store.count(&is(one)), store.count(&is(absent))), (1, 1, 0));
    let ended = keytrail(["store", "check", store.text()]);
    assert!((ended.code, ended.text().contains("a file of the index")) == (Some(4), true), "{}", ended.text());
    assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(5));
    rewritten(&whole, &index[0], |_| true, 1);
    let ended = keytrail(["store", "check", store.text()]);
    assert!((ended.code, ended.text().contains("is not as its writer made it")) == (Some(4), true), "{}", ended.text());
    // Nothing proves the entries of an index of an earlier version, so no answer believes them.
    rewritten(&whole, &index[0], |note| note == "keytrail.files", 0);
    for id in all.iter().step_by(5) {
        assert_eq!(store.count(&is(id)), 1, "{id}");
    }
    fs::remove_dir_all(store.path.join("ids")).unwrap();
    assert_eq!((store.count(&late), store.count(&is(one)), store.count(&is(absent))), (1, 1, 0));
    store.check();
}

/// Rewrites a Parquet file with some of its footer's notes, and without its last rows.
fn rewritten(bytes: &[u8], to: &Path, stays: impl Fn(&str) -> bool, left_out: usize) {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let mut notes = builder.metadata().file_metadata().key_value_metadata().cloned();
    notes.iter_mut().for_each(|notes| notes.retain(|note| stays(&note.key)));
    let schema = std::sync::Arc::clone(builder.schema());
    let properties = WriterProperties::builder().set_key_value_metadata(notes).build();
    let mut writer = ArrowWriter::try_new(fs::File::create(to).unwrap(), schema, Some(properties)).unwrap();
    let rows = builder.build().unwrap().next().unwrap().unwrap();
    writer.write(&rows.slice(0, rows.num_rows() - left_out)).unwrap();
    writer.close().unwrap();
}

/// Writes two logs of one day, which together have a page of rows for each of three keys.
fn logs_of_pages(folder: &Path) {
    let record = |nth: usize| {
        // Ids have no order, so that each page spans those of the others.
        let id = format!("{:08x}-0000-4000-8000-{nth:012}", (nth as u32).wrapping_mul(0x9e37_79b1));
        let (key, user) = (nth % 3, nth % 2 * 2);
        serde_json::json!({
            "eventTime": "2026-03-10T09:00:00Z", "eventSource": "kms.amazonaws.com", "eventName": "Decrypt",
            "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "eventID": id,
            "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/{user}")},
            "resources": [{"ARN": format!("arn:aws:kms:eu-west-1:111122223333:key/{key}000")}],
        })
    };
    for (name, nths) in [("a.json", 0..12_288), ("b.json", 12_288..24_576)] {
        let records: Vec<Value> = nths.map(record).collect();
        fs::write(folder.join(name), serde_json::json!({ "Records": records }).to_string()).unwrap();
    }
}

/// Bloom filters and page indexes prune inside a file that its bounds cannot exclude, after a run or a compaction.
#[test]
fn row_groups_and_pages_are_pruned_inside_a_file() {
    let logs = tempfile::tempdir().unwrap();
    logs_of_pages(logs.path());
    let (blooms, pages) = ("row_groups_pruned_bloom_filter", "page_index_pages_pruned");
    let arn = |key: &str| format!("key_arn = 'arn:aws:kms:eu-west-1:111122223333:key/{key}'");
    let user = |user: u32| format!("principal_arn = 'arn:aws:iam::111122223333:user/{user}'");
    for (batch_bytes, files) in [("100000000", 1), ("1", 2)] {
        let store = Store::new();
        store.accounts(logs.path(), &["--batch-bytes", batch_bytes]);
        assert_eq!(store.files().len(), files);
        assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(0));
        assert_eq!(store.info()["files"], 1);
        // The index of ids would leave out the whole file.
        fs::remove_dir_all(store.path.join("ids")).unwrap();
        for (filter, metric, left, events) in [
            ("event_id = '70000000-0000-4000-8000-000000000000'".into(), blooms, (1, 0), 0),
            ("event_id = '9e3779b1-0000-4000-8000-000000000001'".into(), blooms, (1, 1), 1),
            ("key_id = '1500'".into(), blooms, (1, 0), 0),
            ("key_id = '1000'".into(), blooms, (1, 1), 8192),
            (user(1), blooms, (1, 0), 0),
            (user(2), blooms, (1, 1), 12_288),
            (arn("0000"), pages, (3, 1), 8192),
            (arn("1000"), pages, (3, 1), 8192),
            (format!("{} OR {}", arn("0000"), arn("2000")), pages, (3, 2), 16_384),
            (arn("1500"), pages, (3, 0), 0),
            ("event_id >= '80000000'".into(), pages, (3, 3), 12_287),
        ] {
            assert_eq!((store.left(&filter, metric), store.count(&filter)), (left, events), "{batch_bytes}: {filter}");
        }
    }
}

#[test]
fn a_dry_run_reads_and_makes_nothing() {
    let store = Store::new();
    let ended = store.ingest(&logs(), &["--dry-run"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.text().contains("40 to read (40 new, 0 changed, 0 again)"), "{}", ended.text());
    assert!(!store.path.exists());
    store.ingest(&logs(), &[]);
    let planned = keytrail(["audit", store.text(), "--dry-run"]);
    assert!((planned.code, planned.stderr.contains("this is a store")) == (Some(2), true), "{}", planned.stderr);
}

/// Anyone who may put an object can name any day, so the look-back does not count from a day in the future.
#[test]
fn a_future_day_does_not_move_the_look_back() {
    let (store, folder) = (Store::new(), tempfile::tempdir().unwrap());
    let all: Vec<_> = files(&logs()).into_iter().filter(|f| f.to_str().unwrap().contains("/CloudTrail/")).collect();
    copy(&all, folder.path());
    let to_come = "111122223333_CloudTrail_eu-west-1_20990101T0000Z_AbCdEfGhIjKlMnOp.json";
    fs::write(folder.path().join(to_come), r#"{"Records":[]}"#).unwrap();
    store.accounts(folder.path(), &[]);
    fs::copy(&all[1], folder.path().join(all[0].strip_prefix(logs()).unwrap())).unwrap();
    assert_eq!(store.accounts(folder.path(), &[])["objects"]["changed"], 1);
}

/// A store that lost a part counts as damaged, not as absent, and is not made anew.
#[test]
fn a_store_that_lost_a_part_is_damaged() {
    for gone in [
        "events",
        "objects",
        "quarantine",
        "events/_delta_log/00000000000000000000.json",
        "objects/_delta_log/00000000000000000001.json",
    ] {
        let store = Store::new();
        store.ingest(&logs(), &["--batch-bytes", "20000"]);
        let part = store.path.join(gone);
        if part.is_dir() {
            fs::remove_dir_all(part).unwrap()
        } else {
            fs::remove_file(part).unwrap()
        }
        let checked = keytrail(["store", "check", store.text()]);
        assert!((checked.code, checked.stderr.contains("damaged")) == (Some(4), true), "{gone}: {}", checked.story());
        let ingested = store.ingest(&logs(), &[]);
        assert!((ingested.code, ingested.stderr.contains("damaged")) == (Some(4), true), "{gone}: {}", ingested.stderr);
    }
}

/// `gc` removes files of the kinds that a store writes, and no other file in its folders.
#[test]
fn gc_leaves_files_of_others() {
    let store = Store::new();
    store.ingest(&logs(), &[]);
    let others = [
        "events/AWSLogs/a.json.gz",
        "events/mine.parquet",
        "objects/notes.txt",
        "objects/evidence.part",
        "events/event_date=2026-03-10/evidence.part",
        "events/_delta_log/evidence.part",
        "ids/evidence.part",
        "ids/more/b.json",
    ]
    .map(|name| store.path.join(name));
    let lost = store.path.join("events/event_date=2026-03-10/0123456789abcdef0123456789abcdef.parquet");
    for file in others.iter().chain([&lost]) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "x").unwrap();
    }
    let collected = keytrail(["store", "gc", store.text(), "--older-than", "0d"]);
    assert_eq!(collected.code, Some(0), "{}", collected.stderr);
    assert!(others.iter().all(|file| file.exists()) && !lost.exists());
}

#[test]
fn late_changed_and_passing_objects_are_read_and_nothing_else() {
    let (store, folder) = (Store::new(), tempfile::tempdir().unwrap());
    let all: Vec<_> = files(&logs()).into_iter().filter(|f| f.to_str().unwrap().contains("/CloudTrail/")).collect();
    copy(&all[1..], folder.path());
    store.accounts(folder.path(), &[]);
    // A late object is of the oldest day.
    copy(&all[..1], folder.path());
    let late = store.accounts(folder.path(), &["--look-back", "0"]);
    assert_eq!(late["objects"]["read"], 1);
    assert_eq!(store.hash(), undisturbed().0);
    // A changed object has other content under the same name.
    let name = folder.path().join(all[0].strip_prefix(logs()).unwrap());
    fs::copy(&all[1], &name).unwrap();
    let old = store.accounts(folder.path(), &["--look-back", "0"]);
    assert_eq!(old["batches"], 0, "beyond the look-back nothing is compared again");
    let changed = store.accounts(folder.path(), &[]);
    assert_eq!((changed["objects"]["changed"].as_u64(), changed["exit_code"].as_u64()), (Some(1), Some(3)));
    assert_eq!(changed["kept"], 0);
    assert_eq!(store.accounts(folder.path(), &[])["exit_code"], 0);
    assert_eq!(store.hash(), undisturbed().0);
    // Both readings gave records, so both are in the ledger.
    let ledger = store.ledger();
    assert_eq!(
        (ledger["n"].as_u64(), ledger["objects"].as_u64()),
        (Some(all.len() as u64 + 1), Some(all.len() as u64))
    );
    store.check();
}

/// The ledger counts an object as read, so the store must have all its records, whatever the scope was.
#[test]
fn a_scope_leaves_no_record_of_an_object_behind() {
    let (expected, _) = undisturbed();
    let scopes: [&[&[&str]]; 4] = [
        &[
            &["--during", "2026-03-10"],
            &["--during", "2026-03-11"],
            &["--during", "2026-03-12"],
            &["--since", "2026-03-13"],
        ],
        &[&["--since", "2026-03-11T14:03:00Z"], &[]],
        &[&["--account", "444455556666"], &["--account", "111122223333"]],
        &[&["--region", "eu-west-1"], &[]],
    ];
    for scopes in scopes {
        let store = Store::new();
        for scope in scopes {
            assert_eq!(store.ingest(&logs(), scope).code, Some(0), "{scope:?}");
        }
        assert_eq!(store.hash(), expected, "{scopes:?}");
    }
    // The folders of this file say nothing about its scope.
    let (whole, narrowed) = (Store::new(), Store::new());
    let mixed = root().join("tests/logs/near-misses.json");
    whole.ingest(&mixed, &[]);
    narrowed.ingest(&mixed, &["--region", "eu-north-1", "--until", "2020-01-01"]);
    assert_eq!(narrowed.hash(), whole.hash());
    assert!(whole.info()["events"].as_u64() > Some(0));
}

/// A run reads only the listed days of the ledger, including the first.
#[test]
fn a_run_over_some_days_knows_what_a_whole_one_read() {
    let store = Store::new();
    store.ingest(&logs(), &[]);
    let days = ["2026-03-10", "2026-03-11", "2026-03-12", "2026-03-13"];
    let known = days.map(|since| {
        let again = store.accounts(&logs(), &["--since", since]);
        assert_eq!((&again["exit_code"], &again["batches"]), (&Value::from(0), &Value::from(0)), "{since}");
        again["objects_known"].as_u64().unwrap()
    });
    assert!(known.is_sorted_by(|earlier, later| earlier > later), "{known:?}");
}

/// Events without a time pass every interval and are counted, over logs and over a store; a copy does not count.
#[test]
fn events_without_a_time_are_counted_apart() {
    let (store, folder) = (Store::new(), tempfile::tempdir().unwrap());
    let record = |id: u32, time: Value| {
        let id = format!("00000000-0000-4000-8000-{id:012}");
        let source = "kms.amazonaws.com";
        serde_json::json!({"eventSource": source, "eventName": "Decrypt", "eventID": id, "eventTime": time})
    };
    let noon = Value::from("2026-03-10T12:00:00Z");
    let records = [record(1, Value::Null), record(2, "noon".into()), record(2, "noon".into()), record(3, noon)];
    fs::write(folder.path().join("a.json"), serde_json::json!({ "Records": records }).to_string()).unwrap();
    assert_eq!(store.ingest(folder.path(), &[]).code, Some(0));
    for from in [folder.path().to_str().unwrap(), store.text()] {
        for (scope, told) in [
            (&[][..], None),
            (
                &["--since", "2026-03-11", "--account", "111122223333"],
                Some("untimed   2 without a time pass every interval"),
            ),
        ] {
            let ended = keytrail([&["audit", from, "-f", "json"], scope].concat());
            let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
            assert_eq!(report["summary"]["untimed"], 2, "{from}");
            assert_eq!(ended.stderr.lines().find(|line| line.starts_with("untimed")), told, "{from} {scope:?}");
        }
    }
}

/// A later run with `--salvage` gets the whole records of a damaged object, once.
#[test]
fn salvage_reads_damaged_objects_again() {
    let (store, folder) = (Store::new(), tempfile::tempdir().unwrap());
    small_log(folder.path(), 0);
    let log = files(folder.path()).remove(0);
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 4]).unwrap();
    let told = |accounts: Value| (accounts["exit_code"].as_u64(), accounts["kept"].as_u64());
    assert_eq!(told(store.accounts(folder.path(), &[])), (Some(3), Some(0)));
    assert_eq!(told(store.accounts(folder.path(), &[])), (Some(0), Some(0)), "it is in the ledger");
    assert_eq!(told(store.accounts(folder.path(), &["--salvage"])), (Some(3), Some(2)));
    assert_eq!(told(store.accounts(folder.path(), &["--salvage"])), (Some(0), Some(0)));
    assert_eq!((store.info()["events"].as_u64(), store.ledger()["n"].as_u64()), (Some(2), Some(1)));
    store.check();
}

/// An object that failed first and was read later counts as one object, as it does over logs.
#[test]
fn a_failed_attempt_is_forgotten_once_another_succeeds() {
    let (store, folder) = (Store::new(), tempfile::tempdir().unwrap());
    let log = files(&logs()).remove(4);
    let name = folder.path().join(log.file_name().unwrap());
    fs::write(&name, "no gzip").unwrap();
    let first = store.accounts(folder.path(), &[]);
    assert_eq!((first["exit_code"].as_u64(), store.ledger()["n"].as_u64()), (Some(3), Some(1)));
    fs::copy(&log, &name).unwrap();
    let second = store.accounts(folder.path(), &[]);
    assert!(second["records"].as_u64() > Some(0), "{second}");
    let ledger = store.ledger();
    assert_eq!((&ledger["n"], &ledger["records"]), (&Value::from(1), &second["records"]));
    store.check();
}

#[test]
fn batches_threads_order_and_compaction_do_not_matter() {
    let (expected, accounts) = undisturbed();
    for (bytes, threads) in [("1", "1"), ("2500", "3"), ("20000", "2")] {
        let store = Store::new();
        let found = store.accounts(&logs(), &["--batch-bytes", bytes, "--threads", threads]);
        assert_eq!(counts(&found), counts(&accounts), "{bytes}");
        assert_eq!(store.hash(), expected, "{bytes}");
        let before = store.info()["files"].as_u64().unwrap();
        assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(0));
        let compacted = store.info();
        assert_eq!((compacted["files"].as_u64(), &compacted["events"]), (Some(4), &accounts["kept"]));
        assert!(before > 4 && compacted["logical_hash"] == expected.as_str());
        store.check();
        assert_eq!(store.accounts(&logs(), &[])["batches"], 0);
    }
}

/// Files of logs and the names under which they arrive, the last entry first: some come again, with a new
/// suffix or from a second trail, and sometimes the oldest day is late.
fn arrivals(dice: &mut Dice) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for file in files(&logs()) {
        let name = file.strip_prefix(logs()).unwrap().to_str().unwrap().to_owned();
        let (stem, _) = name.rsplit_once('_').unwrap();
        match dice.below(5) {
            _ if !name.contains("/CloudTrail/") => {}
            0 => all.push((file.clone(), format!("{stem}_{:016}.json.gz", dice.below(1_000_000_000)))),
            1 => all.push((file.clone(), format!("second-trail/{name}"))),
            _ => {}
        }
        all.push((file, name));
    }
    dice.shuffle(&mut all);
    if dice.below(2) == 0 {
        all.sort_by_key(|(_, name)| !name.contains("/2026/03/10/"));
    }
    all
}

#[test]
fn any_order_of_arrival_gives_the_same_events() {
    let (expected, accounts) = undisturbed();
    let runs = if is_exhaustive() { 50 } else { 4 };
    for seed in 0..runs {
        let (store, folder, mut dice) = (Store::new(), tempfile::tempdir().unwrap(), Dice(seed));
        let mut all = arrivals(&mut dice);
        let mut total: BTreeMap<&str, u64> = BTreeMap::new();
        while !all.is_empty() {
            let arrived = all.split_off(all.len().saturating_sub(1 + dice.below(20) as usize));
            arrived.iter().for_each(|(file, name)| copy_as(file, &folder.path().join(name)));
            let (bytes, look_back) = ((1 + dice.below(9000)).to_string(), (dice.below(2) * 31).to_string());
            let found = store.accounts(folder.path(), &["--batch-bytes", &bytes, "--look-back", &look_back]);
            let read: u64 = found["objects"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
            assert_eq!(read, arrived.len() as u64, "seed {seed}");
            for (name, n) in counts(&found) {
                *total.entry(name).or_default() += n;
            }
            if dice.below(4) == 0 {
                assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(0));
            }
        }
        assert_eq!(store.hash(), expected, "seed {seed}");
        store.check();
        // A repeated object is counted again, but its events are kept once.
        let at_once = Store::new().accounts(folder.path(), &[]);
        assert_eq!((&total, &counts(&store.ledger())), (&counts(&at_once), &total), "seed {seed}");
        assert_eq!(accounts["kept"], total["kept"], "seed {seed}");
        assert!(accounts["duplicate"].as_u64() < Some(total["duplicate"]), "seed {seed}: nothing came again");
        let of_records = ["kept", "duplicate", "filtered", "quarantined"].map(|name| total[name]);
        assert_eq!(of_records.iter().sum::<u64>(), total["records"], "seed {seed}");
    }
}

pub fn start(logs: &Path, store: &Store, more: &[&str]) -> Child {
    let mut command = Command::new(BINARY);
    command.args(["ingest", logs.to_str().unwrap(), "--store", store.text(), "-q"]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The commits of the events of a store.
fn commits(store: &Store) -> u64 {
    let log = fs::read_dir(store.path.join("events/_delta_log")).into_iter().flatten().flatten();
    log.filter(|entry| entry.path().extension().is_some_and(|end| end == "json")).count() as u64
}

#[test]
fn a_killed_run_is_completed_by_the_next() {
    let (expected, _) = undisturbed();
    let pace = ["--batch-bytes", "3000"];
    let mut dice = Dice(7);
    let mut store = Store::new();
    assert_eq!(store.ingest(&logs(), &pace).code, Some(0));
    let all = commits(&store);
    assert!(all > 5, "only {all} commits to be killed between");
    store = Store::new();
    let kills = if is_exhaustive() { 500 } else { 30 };
    let (mut struck, mut between) = (0, 0);
    for kill in 0..kills {
        // A number of commits and a moment after the last of them, so that no speed of the machine puts all kills in one place.
        let (had, after) = (commits(&store), Duration::from_micros(dice.below(5_000)));
        let goal = had + dice.below(all.saturating_sub(had).max(1));
        let mut child = start(&logs(), &store, &pace);
        while commits(&store) < goal && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(100));
        }
        std::thread::sleep(after);
        child.kill().unwrap();
        let is_struck = child.wait().unwrap().code().is_none();
        struck += u64::from(is_struck);
        between += u64::from(is_struck && commits(&store) > 0 && commits(&store) < all);
        // Sometimes several runs are killed before one may end.
        if dice.below(3) > 0 {
            assert_eq!(store.ingest(&logs(), &pace).code, Some(0), "kill {kill}");
            assert_eq!(store.hash(), expected, "kill {kill}");
            store.check();
            store = Store::new();
        }
    }
    eprintln!("{struck} of {kills} kills struck, {between} between two commits");
    assert!(
        struck * 10 >= kills * 9 && between * 2 >= kills,
        "{struck} of {kills} struck, {between} between two commits"
    );
}

/// True if `strace` and `timeout` work here. Some containers forbid `strace`; `timeout` ends a run that hangs.
pub fn has_strace() -> bool {
    has_program("strace", &["-qq", "-o", "/dev/null", "true"]) && has_program("timeout", &["1", "true"])
}

/// An ingest of 50 objects to be disturbed, and the least number of calls by which it changes files, by kind.
pub struct Disturbed {
    pub logs: TempDir,
    /// The hash of an undisturbed run.
    pub expected: String,
    batch_bytes: &'static str,
    calls: [(&'static str, usize); 6],
}

impl Disturbed {
    /// An ingest to be killed, with many batches, so that there are hundreds of moments.
    fn killed() -> Disturbed {
        let calls = [("mkdir", 9), ("pwrite64", 100), ("fsync", 220), ("linkat", 54), ("rename", 55), ("unlink", 54)];
        Disturbed::new("3000", calls)
    }

    /// An ingest to fail, with fewer batches, since each moment can fail in eight ways.
    pub fn failing() -> Disturbed {
        let calls = [("mkdir", 9), ("pwrite64", 45), ("fsync", 110), ("linkat", 23), ("rename", 23), ("unlink", 23)];
        Disturbed::new("6000", calls)
    }

    /// Makes an ingest over the objects of the logs and some small ones.
    fn new(batch_bytes: &'static str, calls: [(&'static str, usize); 6]) -> Disturbed {
        let (store, folder) = (Store::new(), tempfile::tempdir().unwrap());
        copy(&files(&logs()), folder.path());
        (0..10).for_each(|number| small_log(folder.path(), number));
        store.accounts(folder.path(), &[]);
        assert_eq!(store.ledger()["n"], 50);
        Disturbed { logs: folder, expected: store.hash(), batch_bytes, calls }
    }

    /// Another run completes the store that a disturbed one left.
    #[track_caller]
    pub fn assert_completed(&self, store: &Store, what: &str) {
        assert_eq!(store.ingest(self.logs.path(), &[]).code, Some(0), "{what}");
        assert_eq!(store.hash(), self.expected, "{what}");
        store.check();
    }

    /// Points of all kinds of calls: some of them, or all that an undisturbed run has.
    fn points(&self, step: usize) -> Vec<(&'static str, usize)> {
        let (step, counts) = if is_exhaustive() { (1, self.counted()) } else { (step, self.calls.into()) };
        let all = counts.iter().flat_map(|(&call, &count)| (1..=count).map(move |nth| (call, nth)));
        all.enumerate().filter(|(place, _)| place % step == 0).map(|(_, point)| point).collect()
    }

    /// The number of calls that change files, by kind.
    fn counted(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::from(self.calls);
        counts.iter_mut().for_each(|(call, count)| *count = (*count).max(self.count_of(call)));
        eprintln!("calls that change files: {counts:?}");
        counts
    }

    /// The calls of a kind by the busiest thread of an undisturbed run: `strace` counts each thread apart, and only one
    /// thread changes files.
    fn count_of(&self, call: &str) -> usize {
        let store = Store::new();
        self.traced(call, "delay_enter=1", "1+", &store);
        let trace = fs::read_to_string(store._folder.path().join("trace")).unwrap_or_default();
        let mut of_thread: BTreeMap<&str, usize> = BTreeMap::new();
        for line in trace.lines().filter(|line| line.contains("(DELAYED)")) {
            *of_thread.entry(line.split(' ').next().unwrap_or_default()).or_default() += 1;
        }
        of_thread.into_values().max().unwrap_or_default()
    }

    /// Runs `strace`, which tampers with the nth call of a kind. Returns the exit code, if there is one, and true if a
    /// call was tampered with.
    fn traced(&self, call: &str, what: &str, when: &str, store: &Store) -> (Option<i32>, bool) {
        let trace = store._folder.path().join("trace");
        let inject = format!("inject={call}:{what}:when={when}");
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "60", "strace", "-f", "-qq", "-o", trace.to_str().unwrap()]);
        command.args(["-e", &format!("trace={call}"), "-e", &inject]);
        if !what.starts_with("signal") {
            // With this, other calls do not stop, which is faster; but then no signal is sent.
            command.arg("--seccomp-bpf");
        }
        command.args([BINARY, "ingest", self.logs.path().to_str().unwrap(), "--store", store.text(), "-q"]);
        command.args(["--batch-bytes", self.batch_bytes, "--threads", "1"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().unwrap();
        let injected = fs::read_to_string(trace).unwrap_or_default().contains("INJECTED");
        (status.code().filter(|code| *code != 137), injected)
    }
}

/// Prints the progress of a long test.
pub struct Tally {
    done: AtomicUsize,
    all: usize,
}

impl Tally {
    pub fn of(all: usize) -> Tally {
        Tally { done: 0.into(), all }
    }

    pub fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if is_exhaustive() && (done.is_multiple_of(100) || done == self.all) {
            eprintln!("{done} of {}", self.all);
        }
    }
}

#[test]
fn a_run_killed_at_any_call_is_completed_by_the_next() {
    if !has_strace() {
        return;
    }
    let run = Disturbed::killed();
    let points = run.points(17);
    let tally = Tally::of(points.len());
    let killed = on_every_core(&points, |&(call, nth)| {
        let store = Store::new();
        let (code, _) = run.traced(call, "signal=SIGKILL", &nth.to_string(), &store);
        run.assert_completed(&store, &format!("{call} {nth}"));
        tally.one_more();
        code.is_none()
    });
    let count = killed.iter().filter(|killed| **killed).count();
    assert!(count * 10 >= killed.len() * 9, "only {count} of {} runs were killed", killed.len());
}

/// Some files are opened only to read, and a run may do without one that does not open: then the store must be right.
#[test]
fn unreadable_file_is_reported_or_was_not_needed() {
    if !has_strace() {
        return;
    }
    let run = Disturbed::failing();
    let opened = if is_exhaustive() { run.count_of("openat") } else { 80 };
    let errors = ["EMFILE", "EACCES", "EIO", "ENOSPC"];
    let step = if is_exhaustive() { 1 } else { 9 };
    let points: Vec<(usize, &str, bool)> =
        (1..=opened).step_by(step).map(|nth| (nth, errors[nth % 4], nth / 4 % 2 == 0)).collect();
    let (tally, told, injections) = (Tally::of(points.len()), AtomicUsize::new(0), AtomicUsize::new(0));
    on_every_core(&points, |&(nth, error, for_ever)| {
        let (store, when) = (Store::new(), format!("{nth}{}", if for_ever { "+" } else { "" }));
        let (code, injected) = run.traced("openat", &format!("error={error}"), &when, &store);
        let what = format!("openat {when} {error}: {code:?}");
        injections.fetch_add(usize::from(injected), Ordering::Relaxed);
        // A binary that cannot open its libraries ends with 127.
        assert!(matches!(code, Some(0 | 3 | 5 | 127)), "{what}");
        if code == Some(0) {
            assert_eq!(store.hash(), run.expected, "{what}");
        } else if code != Some(127) {
            told.fetch_add(1, Ordering::Relaxed);
        }
        run.assert_completed(&store, &what);
        tally.one_more();
    });
    eprintln!("{told:?} of {} runs told of a file that did not open", points.len());
    // Each run spreads its files over the threads differently, so the last points may lie beyond all calls.
    assert!(injections.into_inner() * 4 > points.len() * 3, "some calls did not fail");
    // A run can do without many files that it opens, such as the limits of the system.
    assert!(told.into_inner() * 4 > points.len(), "hardly a run told of it");
}

pub fn end_all(children: Vec<Child>) -> Vec<Option<i32>> {
    children.into_iter().map(|mut child| child.wait().unwrap().code()).collect()
}

/// All writers end well even with small batches, and each object is accounted for once.
#[test]
fn writers_at_once_harm_nothing() {
    let (expected, accounts) = undisturbed();
    for (writers, bytes) in [(2, "4000"), (4, "4000"), (4, "1")] {
        let store = Store::new();
        let children = (0..writers).map(|_| start(&logs(), &store, &["--batch-bytes", bytes, "--threads", "1"]));
        let codes = end_all(children.collect());
        assert_eq!(codes, vec![Some(0); writers], "{bytes}");
        assert_eq!(store.accounts(&logs(), &[])["batches"], 0);
        assert_eq!((store.hash(), counts(&store.ledger())), (expected.clone(), counts(&accounts)), "{bytes}");
        assert_eq!(store.ledger()["n"], store.ledger()["objects"], "an object that was read twice");
        store.check();
    }
}

/// Writers that share only the store get their turns too.
#[test]
fn writers_of_other_logs_at_once_all_end_well() {
    let (expected, accounts) = undisturbed();
    let (store, all) = (Store::new(), files(&logs()));
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    for (at, file) in all.iter().enumerate() {
        copy(std::slice::from_ref(file), folders[at % 4].path());
    }
    let children = folders.iter().map(|folder| start(folder.path(), &store, &["--batch-bytes", "1", "--threads", "1"]));
    assert_eq!(end_all(children.collect()), [Some(0); 4]);
    assert_eq!((store.hash(), counts(&store.ledger())), (expected, counts(&accounts)));
    assert_eq!(store.ledger()["n"], all.len());
    store.check();
}

#[test]
fn compactions_at_once_harm_nothing() {
    let (expected, accounts) = undisturbed();
    for _ in 0..if is_exhaustive() { 50 } else { 3 } {
        let store = Store::new();
        store.accounts(&logs(), &["--batch-bytes", "1"]);
        let compact = || Command::new(BINARY).args(["store", "compact", store.text(), "-q"]).spawn().unwrap();
        assert_eq!(end_all((0..3).map(|_| compact()).collect()), [Some(0); 3]);
        assert_eq!((store.hash(), counts(&store.ledger())), (expected.clone(), counts(&accounts)));
        assert_eq!((&store.info()["events"], &store.info()["files"]), (&accounts["kept"], &Value::from(4)));
        store.check();
    }
}

#[test]
fn a_check_during_a_run_finds_nothing_wrong() {
    let store = Store::new();
    let one = files(&logs()).remove(4);
    store.ingest(&one, &[]);
    let mut writer = start(&logs(), &store, &["--batch-bytes", "1"]);
    let mut readings = 0;
    while writer.try_wait().unwrap().is_none() || readings == 0 {
        store.check();
        readings += 1;
    }
    assert!(writer.wait().unwrap().success());
    assert_eq!(store.hash(), undisturbed().0);
}

/// Each commit brings one object of three events, so a reader must see as many objects as batches, and three times as
/// many events. Writers wait for readers, so that some read before, during and after each commit.
#[test]
fn readers_see_whole_commits_only() {
    let (commits, readings) = if is_exhaustive() { (500, 10_000) } else { (30, 300) };
    let (store, folder) = (Store::new(), tempfile::tempdir().unwrap());
    small_log(folder.path(), 0);
    assert_eq!(store.ingest(folder.path(), &[]).code, Some(0));
    let (done, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    let reading = done.fetch_add(1, Ordering::Relaxed);
                    runtime.block_on(look(&store.path, reading % 10 == 0));
                }
            });
        }
        // A failing reader ends the test only at the end of the scope, so the writers must not wait for it for ever.
        let wait_for = |wanted: usize| {
            let (began, before) = (std::time::Instant::now(), done.load(Ordering::Relaxed));
            while done.load(Ordering::Relaxed) < wanted {
                let stuck = began.elapsed() > Duration::from_secs(60) && done.load(Ordering::Relaxed) == before;
                assert!(!stuck, "no reader is left");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for commit in 1..commits {
                small_log(folder.path(), commit);
                assert_eq!(store.ingest(folder.path(), &[]).code, Some(0));
                if commit % 40 == 0 {
                    assert_eq!(keytrail(["store", "compact", store.text()]).code, Some(0));
                }
                wait_for(commit * readings / commits);
            }
            wait_for(readings);
        }));
        is_over.store(true, Ordering::Relaxed);
        written.unwrap();
    });
    let info = store.info();
    assert_eq!((info["batches"].as_u64(), info["events"].as_u64()), (Some(commits as u64), Some(commits as u64 * 3)));
    eprintln!("{} readings during {commits} commits", done.load(Ordering::Relaxed));
}

/// Writes a log of three events that no other log has.
fn small_log(folder: &Path, number: usize) {
    let record = |nth: usize| {
        serde_json::json!({
            "eventTime": format!("2026-03-{:02}T09:00:00Z", number % 3 + 10), "eventSource": "kms.amazonaws.com",
            "eventName": "Decrypt", "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
            "eventID": format!("00000000-0000-4000-8000-{:012}", number * 3 + nth),
        })
    };
    let records: Vec<Value> = (0..3).map(record).collect();
    fs::write(folder.join(format!("{number:05}.json")), serde_json::json!({"Records": records}).to_string()).unwrap();
}

/// Reads the store once: its parts must agree with each other, and sometimes every file is proved.
async fn look(store: &Path, is_thorough: bool) {
    let place = keytrail::store::StoreLocation::local(store).unwrap();
    let mut store = keytrail::store::Store::open(place).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let objects = snapshot.objects().await.unwrap();
    let sum = |rows: &RecordBatch| rows["kept"].as_primitive::<Int64Type>().values().iter().sum::<i64>();
    let kept: i64 = objects.iter().map(sum).sum();
    let entered: usize = objects.iter().map(RecordBatch::num_rows).sum();
    let events: u64 = snapshot.files.iter().map(|file| file.rows).sum();
    let batches = snapshot.batch as u64;
    assert_eq!((events, kept as u64, entered as u64), (batches * 3, batches * 3, batches), "batch {batches}");
    if is_thorough {
        let checked = keytrail::store::check(&store, &CheckOptions::default()).await.unwrap();
        assert_eq!((checked.fault_count, checked.events), (0, batches * 3), "{:?}", checked.faults);
    }
}

#[test]
fn foreign_and_broken_stores_are_refused() {
    let store = Store::new();
    let absent = keytrail(["store", "info", store.text()]);
    assert_eq!(absent.code, Some(5));
    assert!(absent.stderr.contains("there is no store at"), "{}", absent.stderr);
    store.ingest(&logs(), &[]);
    let other = store.ingest(&logs(), &["--events", "all"]);
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("keeps `key-use` events, not `all`"), "{}", other.stderr);
    let wider = keytrail(["query", "SELECT 1", "--events", "all", "--from", store.text()]);
    assert!((wider.code, wider.stderr.contains("read the logs themselves")) == (Some(2), true), "{}", wider.stderr);
    let broken = Store::new();
    broken.ingest(&logs(), &[]);
    fs::remove_file(&broken.files()[0]).unwrap();
    let unreadable = keytrail(["query", "SELECT count(DISTINCT principal) FROM events", "--from", broken.text()]);
    assert_eq!(unreadable.code, Some(5), "{}", unreadable.stderr);
    let commit = store.path.join("events/_delta_log/00000000000000000000.json");
    let text = fs::read_to_string(&commit).unwrap();
    for (from, to, said) in [
        ("\"keytrail.formatVersion\":\"2\"", "\"keytrail.formatVersion\":\"3\"", "has format 3"),
        ("\"keytrail.formatVersion\":\"2\"", "\"keytrail.formatVersion\":\"2b\"", "has format 2b"),
        ("\"keytrail.formatVersion\":\"2\"", "\"else\":\"2\"", "none that keytrail made"),
    ] {
        assert!(text.contains(from), "{text}");
        fs::write(&commit, text.replace(from, to)).unwrap();
        for ended in [store.ingest(&logs(), &[]), keytrail(["store", "check", store.text()])] {
            assert_eq!(ended.code, Some(5));
            assert!(ended.stderr.contains(said), "{}", ended.stderr);
        }
    }
}

/// Events that are lost while the ledger counts them as read would be missed for good, so a run must notice.
#[test]
fn lost_events_are_an_error() {
    let store = Store::new();
    store.accounts(&logs(), &["--batch-bytes", "20000"]);
    let log = files(&store.path.join("events/_delta_log"));
    let last = log.into_iter().filter(|file| file.extension().is_some_and(|e| e == "json")).max();
    fs::remove_file(last.unwrap()).unwrap();
    let ended = store.ingest(&logs(), &[]);
    assert_eq!(ended.code, Some(4), "{}", ended.story());
    assert!(ended.stderr.contains("its ledger has batch"), "{}", ended.stderr);
    assert_eq!(keytrail(["store", "check", store.text()]).code, Some(4));
}

#[test]
fn a_check_notices_lost_quarantined_records() {
    let (store, logs) = (Store::new(), tempfile::tempdir().unwrap());
    fs::write(logs.path().join("a.json"), r#"{"Records":[{"eventID":"1"},{"eventID":"2" "eventName":"x"}]}"#).unwrap();
    assert_eq!(store.ingest(logs.path(), &["--events", "all"]).code, Some(3));
    let quarantine = store.path.join("quarantine/_delta_log");
    let commits = files(&quarantine);
    let checked = keytrail(["store", "check", store.text()]);
    assert_eq!(checked.code, Some(0), "{}", checked.text());
    fs::remove_file(commits.last().unwrap()).unwrap();
    let checked = keytrail(["store", "check", store.text()]);
    let is_seen = checked.stderr.contains("its `objects` follow another commit 1 of `quarantine`");
    assert!((checked.code, is_seen) == (Some(4), true), "{}", checked.story());
}

/// Every record that could not be read is listed, however many there are.
#[test]
fn many_quarantined_records_are_all_listed() {
    let (store, logs) = (Store::new(), tempfile::tempdir().unwrap());
    let records = vec!["{}"; 120_000].join(",");
    fs::write(logs.path().join("a.json"), format!("{{\"Records\":[{records}]}}")).unwrap();
    assert_eq!(store.ingest(logs.path(), &["--events", "all"]).code, Some(3));
    let sql = "SELECT count(*) AS n, count(DISTINCT byte_offset) AS places FROM quarantine";
    let found = keytrail(["query", "-q", "-f", "csv", sql, "--from", store.text()]);
    assert_eq!(found.text(), "n,places\n120000,120000\n", "{}", found.story());
    store.check();
}

/// Whose `gc` and whose readers would take the inner store's files for their own.
#[test]
fn a_store_inside_another_is_refused_and_gc_leaves_what_is_not_its_own() {
    let outer = Store::new();
    outer.accounts(&logs(), &[]);
    for inside in ["x", "events", "objects", "ids", "events/event_date=2026-03-10", "events/event_date=2026-03-10/x/y"]
    {
        let inner = outer.path.join(inside);
        let ended = keytrail(["ingest", logs().to_str().unwrap(), "--store", inner.to_str().unwrap()]);
        assert_eq!(ended.code, Some(2), "{inside}: {}", ended.story());
        assert!(ended.stderr.contains("would lie in the store"), "{}", ended.stderr);
    }
    // One that an earlier version has made there keeps its files.
    for inside in ["events", "objects", "events/event_date=2026-03-10/x"] {
        copy_folder(&root().join("tests/store-format/v2"), &outer.path.join(inside));
    }
    let all = files(&outer.path);
    assert_eq!(keytrail(["store", "gc", outer.text(), "--older-than", "0d"]).code, Some(0));
    assert_eq!(files(&outer.path), all);
}

/// A record of one identity, whose content the Region tells.
fn record_in(region: &str) -> Value {
    serde_json::json!({
        "eventTime": "2026-03-01T09:00:00Z", "eventSource": "kms.amazonaws.com", "eventName": "Decrypt",
        "awsRegion": region, "recipientAccountId": "111122223333", "eventID": "00000000-0000-4000-8000-000000000001",
    })
}

fn document_of(records: &[Value]) -> String {
    serde_json::json!({ "Records": records }).to_string()
}

/// A record that differs from another is in conflict once, in any order of the objects and of the records in them.
#[test]
fn conflicts_do_not_depend_on_the_order_of_arrival() {
    let one = document_of(&[record_in("eu-west-1")]);
    for both in [["eu-west-1", "us-east-1"], ["us-east-1", "eu-west-1"]] {
        let both = document_of(&both.map(record_in));
        for order in [["a.json", "b.json"], ["b.json", "a.json"]] {
            let (store, logs) = (Store::new(), tempfile::tempdir().unwrap());
            for name in order {
                fs::write(logs.path().join(name), if name == "a.json" { &both } else { &one }).unwrap();
                store.accounts(logs.path(), &[]);
            }
            let counts = counts(&store.ledger());
            assert_eq!((counts["kept"], counts["duplicate"], counts["conflicts"]), (2, 1, 1), "{order:?} {both}");
        }
    }
}

/// The store looks at the rows of a batch in runs, here one before the large record and one after it.
#[test]
fn conflicts_count_once_across_runs() {
    let (store, logs) = (Store::new(), tempfile::tempdir().unwrap());
    let write = |name: &str, text: String| fs::write(logs.path().join(name), text).unwrap();
    write("first.json", document_of(&[record_in("eu-west-1")]));
    store.accounts(logs.path(), &[]);
    let mut large = record_in("eu-west-1");
    large["eventID"] = "00000000-0000-4000-8000-000000000002".into();
    large["requestParameters"] = serde_json::json!({ "keyId": "x".repeat(15 << 20) });
    write("a.json", document_of(&[record_in("us-east-1")]));
    write("b.json", document_of(&[large]));
    write("c.json", document_of(&[record_in("us-east-2")]));
    write("d.json", document_of(&[record_in("eu-west-1")]));
    let counts = counts(&store.accounts(logs.path(), &[]));
    assert_eq!((counts["kept"], counts["duplicate"], counts["conflicts"]), (3, 1, 2));
}

/// Each is a legal name of a folder that some library takes for an escape or for the end of a path.
#[test]
fn a_store_may_lie_at_any_path() {
    let (expected, _) = undisturbed();
    on_every_core(&["a%20b", "a%2Fb", "100%", "a#b?c", "a\\b", "a b/\u{e4}"], |name| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let path = path.to_str().unwrap();
        for verb in [&["ingest", logs().to_str().unwrap(), "--store", path][..], &["store", "compact", path]] {
            let ended = keytrail(verb);
            assert_eq!(ended.code, Some(0), "{name}: {}", ended.story());
        }
        let info = keytrail(["store", "info", path, "-f", "json"]);
        let info: Value = serde_json::from_slice(&info.stdout).unwrap();
        assert_eq!(info["logical_hash"], expected.as_str(), "{name}");
        let found = keytrail(["query", "-q", "-f", "csv", "SELECT count(*) AS n FROM events", "--from", path]);
        assert_eq!((found.code, found.text()), (Some(0), "n\n142\n"), "{name}: {}", found.story());
        assert_eq!(keytrail(["store", "check", path]).code, Some(0), "{name}");
        assert_eq!(keytrail(["store", "gc", path, "--older-than", "0d"]).code, Some(0), "{name}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{name}: something lies beside the store");
    });
}

/// Its own log is JSON, and no log of CloudTrail.
#[test]
fn a_store_beside_the_logs_is_not_read_as_logs() {
    let both = tempfile::tempdir().unwrap();
    copy_folder(&logs(), &both.path().join("AWSLogs"));
    let (logs, store) = (both.path().join("AWSLogs"), both.path().join("store"));
    let ended = keytrail(["ingest", logs.to_str().unwrap(), "--store", store.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.story());
    let asked = "SELECT count(*) AS n FROM events";
    let found = keytrail(["query", "-q", "-f", "csv", asked, "--from", both.path().to_str().unwrap()]);
    assert_eq!((found.code, found.text()), (Some(0), "n\n142\n"), "{}", found.story());
}

/// A store that somebody puts among the logs must not answer in their place.
#[test]
fn a_store_among_logs_answers_for_neither() {
    let (store, both) = (Store::new(), tempfile::tempdir().unwrap());
    store.ingest(&logs(), &[]);
    copy_folder(&store.path, both.path());
    let ask = || {
        keytrail([
            "query",
            "-q",
            "-f",
            "csv",
            "SELECT count(*) AS n FROM events",
            "--from",
            both.path().to_str().unwrap(),
        ])
    };
    assert_eq!(ask().code, Some(0), "{}", ask().story());
    fs::write(both.path().join("README"), "whose store this is").unwrap();
    assert_eq!(ask().code, Some(0), "{}", ask().story());
    for beside in ["AWSLogs", "of.json.gz"] {
        let path = both.path().join(beside);
        copy_folder(&logs(), &path);
        let ended = ask();
        assert_eq!(ended.code, Some(2), "{beside}: {}", ended.story());
        assert!(ended.stderr.contains(beside), "{}", ended.stderr);
        fs::remove_dir_all(path).unwrap();
    }
    fs::write(both.path().join("of.json.gz"), "").unwrap();
    assert_eq!(ask().code, Some(2), "{}", ask().story());
}

/// Nobody writes into the pipe, so whoever opens it waits for ever.
#[test]
fn a_pipe_or_a_link_in_place_of_a_file_is_told() {
    for is_pipe in [true, false] {
        let store = Store::new();
        store.ingest(&logs(), &[]);
        let (file, apart) = (store.files()[0].clone(), store.path.with_extension("apart"));
        fs::rename(&file, &apart).unwrap();
        match is_pipe {
            true => assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&file).status().unwrap().success()),
            false => std::os::unix::fs::symlink(&apart, &file).unwrap(),
        }
        for args in
            [&["store", "check", store.text()][..], &["query", "SELECT max(raw) FROM events", "--from", store.text()]]
        {
            let ended = keytrail(args);
            assert!(!ended.timed_out && matches!(ended.code, Some(4 | 5)), "{args:?}: {}", ended.story());
            assert!(ended.stderr.contains("it is no regular file") || ended.text().contains("it is no regular file"));
        }
        fs::remove_file(apart).unwrap();
    }
}

#[test]
fn a_check_finds_damage() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("is missing", |file| fs::remove_file(file).unwrap()),
        ("bytes, not", |file| fs::write(file, &fs::read(file).unwrap()[1..]).unwrap()),
        ("another SHA-256", |file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[100] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
        ("another SHA-256", |file| fs::write(file, vec![0; fs::read(file).unwrap().len()]).unwrap()),
    ];
    for (said, damage) in damages {
        let store = Store::new();
        store.ingest(&logs(), &[]);
        damage(&store.files()[0]);
        let ended = keytrail(["store", "check", store.text()]);
        assert_eq!(ended.code, Some(4), "{}", ended.story());
        assert!(ended.text().contains(said), "{}", ended.text());
    }
}

#[test]
fn garbage_is_removed_when_it_is_old_enough() {
    let store = Store::new();
    store.ingest(&logs(), &["--batch-bytes", "3000"]);
    keytrail(["store", "compact", store.text()]);
    let unique = "0123456789abcdef".repeat(2);
    let orphans = [
        store.path.join("events/event_date=2026-03-10/0123456789abcdef0123456789abcdef.parquet"),
        store.path.join(format!("events/_delta_log/.00000000000000000099.json.{unique}.part")),
        store.path.join(format!("ids/.{unique}.parquet.{unique}.part")),
    ];
    orphans.iter().for_each(|orphan| fs::write(orphan, "x").unwrap());
    let all = files(&store.path).len();
    assert_eq!(keytrail(["store", "gc", store.text()]).code, Some(0));
    assert_eq!(files(&store.path).len(), all);
    let ended = keytrail(["store", "gc", store.text(), "--older-than", "0d"]);
    let kept = files(&store.path).len();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains(&format!("removed   {} files, ", all - kept)), "{}", ended.stderr);
    assert!(orphans.iter().all(|orphan| !orphan.exists()));
    assert_eq!(store.files().len(), 4);
    let checked = keytrail(["store", "check", store.text()]);
    assert!(checked.text().starts_with(&format!("proved    {kept} files, ")), "{kept}: {}", checked.text());
    assert_eq!(keytrail(["store", "gc", store.text(), "--older-than", "soon"]).code, Some(2));
    store.check();
    assert_eq!(store.hash(), undisturbed().0);
}

/// The changes that only one Region logs are there, whatever Region is asked about.
#[test]
fn a_store_of_all_regions_lacks_no_changes() {
    let (store, from) = (Store::new(), root().join("sample-logs"));
    store.ingest(&from, &["--events", "all"]);
    for place in [from.to_str().unwrap(), store.text()] {
        let ended = keytrail(["audit", "-q", "-f", "json", "--region", "eu-west-1", place]);
        let audit: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(audit["summary"]["changes_not_read"], false, "{place}");
    }
}

/// A correction from before the interval stands for its original there as well.
#[test]
fn a_correction_from_before_the_interval_stands() {
    let key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let record = |id: &str, time: &str, sid: &str| {
        let policy = json!({ "Version": "2012-10-17", "Statement": [
            { "Sid": sid, "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*" },
        ] });
        json!({
            "eventTime": time, "eventSource": "kms.amazonaws.com", "eventName": "PutKeyPolicy", "eventID": id,
            "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "eventType": "AwsApiCall",
            "readOnly": false, "managementEvent": true,
            "requestParameters": { "keyId": key, "policyName": "default", "policy": policy.to_string() },
            "resources": [{ "accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key }],
        })
    };
    let original = "10000000-0000-4000-8000-000000000001";
    let mut correction = record("20000000-0000-4000-8000-000000000002", "2026-03-01T09:00:00Z", "b");
    correction["addendum"] = json!({
        "reason": "UPDATED_DATA", "updatedFields": "requestParameters", "originalEventID": original,
    });
    let records = [
        record(original, "2026-03-01T09:00:00Z", "a"),
        correction,
        record("30000000-0000-4000-8000-000000000003", "2026-03-10T09:00:00Z", "c"),
    ];
    let (store, folder) = (Store::new(), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("a.json"), json!({ "Records": records }).to_string()).unwrap();
    store.ingest(folder.path(), &["--events", "all"]);
    let sql = "SELECT version, set_event_id FROM key_policies ORDER BY set_event_id";
    let always: &[&str] = &[];
    for interval in [always, &["--since", "2026-03-05"]] {
        let asked = ["query", sql, "-q", "-f", "csv", "--events", "all", "--from", store.text()];
        let ended = keytrail(asked.iter().chain(interval));
        let expected =
            "version,set_event_id\n1,20000000-0000-4000-8000-000000000002\n2,30000000-0000-4000-8000-000000000003\n";
        assert_eq!(ended.text(), expected, "{interval:?}: {}", ended.story());
    }
}

#[test]
fn stores_of_every_format_open() {
    for (format, number) in [("v1", 1), ("v2", 2)] {
        let expected = fs::read_to_string(root().join(format!("tests/store-format/{format}.hash"))).unwrap();
        let store = Store::of_format(format);
        assert_eq!((store.hash().as_str(), &store.info()["format_version"]), (expected.trim(), &json!(number)));
        store.check();
        // The objects of the fixture lay elsewhere, so all are read again, but their events are duplicates.
        let again = store.accounts(&logs(), &[]);
        assert_eq!((&again["objects"]["read"], &again["upgraded"]), (&json!(38), &json!(number < 2)), "{format}");
        assert_eq!(store.info()["format_version"], 2);
        store.check();
        assert_eq!(store.hash(), undisturbed().0);
        // Its log keeps its commits from now on, and its chain begins with this run.
        let checked = keytrail(["store", "check", store.text()]);
        let version = number + 2;
        assert!(checked.text().contains(&format!("chain     commits {version} to ")), "{}", checked.text());
        for table in ["events", "objects"] {
            let log = files(&store.path.join(table).join("_delta_log"));
            let texts = log.iter().map(|file| fs::read_to_string(file).unwrap());
            assert!(
                texts.into_iter().any(|text| text.contains(r#""delta.enableExpiredLogCleanup":"false""#)),
                "{table}"
            );
        }
    }
}

/// The rows of coverage, and the number of objects whose hours are unknown.
fn coverage(from: &str) -> (Vec<Value>, u64) {
    let sql = "SELECT * FROM coverage ORDER BY account_id, region, hour";
    let rows = keytrail(["query", "-q", "-f", "json", sql, "--from", from]).rows().unwrap();
    let audit = keytrail(["audit", "-q", "-f", "json", from]);
    let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
    (rows, audit["summary"]["objects_without_hours"].as_u64().unwrap())
}

/// A store of the first format says what it lacks; what comes after its upgrade has hours.
#[test]
fn a_store_of_an_earlier_format_says_what_it_does_not_know() {
    let store = Store::of_format("v1");
    let (rows, unknown) = coverage(store.text());
    assert!(rows.is_empty() && unknown >= 38, "{unknown} {rows:?}");
    let asked = keytrail(["query", "SELECT count(*) FROM events", "--from", store.text()]);
    assert!(asked.stderr.contains("objects are unknown: the store had them before"), "{}", asked.stderr);
    let compacted = keytrail(["store", "compact", store.text()]);
    assert!(compacted.stderr.contains("the store is of format 2 now"), "{}", compacted.stderr);
    assert_eq!(store.info()["format_version"], 2);
    assert_eq!(coverage(store.text()), (rows, unknown));
    let again = keytrail(["store", "compact", store.text()]);
    assert!(again.code == Some(0) && !again.stderr.contains("format"), "{}", again.stderr);
    // The same objects in another place: their records are duplicates, and their hours are known.
    store.accounts(&logs(), &[]);
    assert!(!coverage(store.text()).0.is_empty());
    store.check();
}

/// Hours are the same whatever the batches, the order and the merging, and the same as over the logs.
#[test]
fn a_store_covers_what_its_logs_do() {
    let expected = coverage(logs().to_str().unwrap());
    assert!(expected.0.len() > 20 && expected.1 == 0, "{expected:?}");
    let kept: u64 = expected.0.iter().map(|row| row["records"].as_u64().unwrap()).sum();
    for batch_bytes in ["10000", "100000000"] {
        let store = Store::new();
        store.accounts(&logs(), &["--batch-bytes", batch_bytes]);
        assert_eq!(coverage(store.text()), expected, "{batch_bytes}");
        assert!(kept <= store.info()["events"].as_u64().unwrap());
        keytrail(["store", "compact", store.text()]);
        assert_eq!(coverage(store.text()), expected, "{batch_bytes}");
        store.check();
        // A second copy of every log has the same records once more.
        let copies = tempfile::tempdir().unwrap();
        files(&logs()).iter().for_each(|file| copy_as(file, &copies.path().join(file.strip_prefix(logs()).unwrap())));
        store.accounts(copies.path(), &[]);
        let records = |rows: &[Value]| rows.iter().map(|row| row["records"].clone()).collect::<Vec<_>>();
        assert_eq!(records(&coverage(store.text()).0), records(&expected.0));
        store.check();
    }
}

/// A window that began before the interval did so however short the interval is.
#[test]
fn a_short_interval_hides_no_open_window() {
    let store = Store::new();
    let logs = root().join("sample-logs");
    let ended =
        keytrail(["ingest", "-q", logs.to_str().unwrap(), "--store", store.path.to_str().unwrap(), "--events", "all"]);
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.story());
    let sql = "SELECT principal, carried_in FROM dynamodb_access_windows WHERE started < '2026-03-11T16:26:00Z' ORDER BY 1, 2";
    let asked = |until: &str| {
        let place = store.path.to_str().unwrap();
        let interval = ["--since", "2026-03-11T16:25:00Z", "--until", until];
        keytrail([&["query", "-q", "-f", "csv", sql, "--from", place][..], &interval].concat()).stdout
    };
    let (short, long) = (asked("2026-03-11T16:26:00Z"), asked("2026-03-11T16:35:00Z"));
    assert_eq!(String::from_utf8_lossy(&short), String::from_utf8_lossy(&long));
    assert!(String::from_utf8_lossy(&short).contains(",true"), "{}", String::from_utf8_lossy(&short));
}
