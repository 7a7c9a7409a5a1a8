//! The cost of three fixed questions, counted instead of timed, so that a busy machine cannot upset the test.
//! In: `tests/counters/NAME.sql`. Out: `NAME.counters`, over copies of the sample logs.
//! A process of its own counts allocations, asking the question of a small tree and of a larger one: the common part,
//! such as planning, drops out.

use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use keytrail::normalize::EventFilter;
use keytrail::source::{self, Location, Scope};
use keytrail::sql::{Engine, EngineOptions, rules};
use keytrail::table::{IDENTITIES_MAX, LogTable, ScanOptions};
use serde_json::Value;

use crate::child::{BINARY, keytrail, root};
use crate::golden;
use crate::store::has_strace;

/// The number of copies of its records in each object of a tree, with event ids of their own.
const COPIES: [usize; 2] = [8, 40];

/// The variable that gives a child process its folder and its question.
const ASKED: &str = "KEYTRAIL_COUNTED";

fn logs_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { logs_below(&path) } else { vec![path] }).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == "gz") && !path.to_string_lossy().contains("Digest"));
    found.sort();
    found
}

/// Writes the sample logs to a folder, with this many copies of each object's records. Leaves out damaged samples and
/// files that are no logs.
fn enlarged(folder: &Path, copies: usize) {
    for (object, log) in logs_below(&root().join("sample-logs")).iter().enumerate() {
        let mut text = String::new();
        let read = flate2::read::MultiGzDecoder::new(fs::File::open(log).unwrap()).read_to_string(&mut text);
        let Ok(mut json) = read.map(|_| serde_json::from_str::<Value>(&text).unwrap_or_default()) else { continue };
        let Some(records) = json["Records"].as_array().cloned() else { continue };
        let mut all = Vec::new();
        for copy in 0..copies {
            for (place, mut record) in records.iter().cloned().enumerate() {
                record["eventID"] = format!("{object:08x}-{copy:04x}-4000-8000-{place:012x}").into();
                all.push(record);
            }
        }
        json["Records"] = all.into();
        let mut gzip = Vec::new();
        let text = json.to_string();
        let mut packed = flate2::read::GzEncoder::new(text.as_bytes(), flate2::Compression::fast());
        packed.read_to_end(&mut gzip).unwrap();
        fs::write(folder.join(format!("{object:04}.json.gz")), gzip).unwrap();
    }
}

/// The metrics of the operators that read the logs, once each.
fn operators(sql: &str, folder: &Path) -> Vec<String> {
    let explain = format!("EXPLAIN ANALYZE {sql}");
    let from = folder.to_str().unwrap();
    let ended = keytrail(["query", &explain, "--from", from, "--threads", "1", "-q", "-f", "json"]);
    let rows = ended.rows().unwrap();
    let plan = rows.iter().filter_map(|row| row["plan"].as_str()).collect::<Vec<_>>().join("\n");
    let mut found: Vec<String> = Vec::new();
    for line in plan.lines().map(str::trim).filter(|line| line.contains("KeptRowsExec") || line.contains("ScanExec")) {
        // Times differ from run to run, so only counts stay.
        let (what, metrics) = line.split_once(", metrics=[").unwrap_or((line, ""));
        let counted = |metric: &&str| ["objects_read", "records"].iter().any(|name| metric.starts_with(name));
        let metrics: Vec<&str> = metrics.trim_end_matches(']').split(", ").filter(counted).collect();
        let line = [&[what], metrics.as_slice()].concat().join(", ");
        if !found.contains(&line) {
            found.push(line);
        }
    }
    found
}

/// Calls of `read` for each object, as `strace` sees them.
fn reads_per_object(sql: &str, folder: &Path) -> Option<f64> {
    if !has_strace() {
        return None;
    }
    let beside = tempfile::tempdir().unwrap();
    let trace = beside.path().join("trace");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-y", "-e", "trace=read", "-o"]).arg(&trace).arg(BINARY);
    traced.args(["query", sql, "-q", "-f", "csv", "--from"]).arg(folder);
    assert!(traced.output().unwrap().status.success());
    let trace = fs::read_to_string(trace).unwrap();
    let reads = trace.lines().filter(|line| line.contains("read(") && line.contains(".json.gz>")).count();
    Some(reads as f64 / logs_below(folder).len() as f64)
}

/// Allocations per ten kept records, beyond those that a tree of any size needs. The order in which threads meet makes
/// a few more or less.
fn allocations_per_ten_records(sql: &str, folders: &[PathBuf]) -> u64 {
    let counted = folders.iter().map(|folder| {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "counters::ask_alone", "--ignored", "--nocapture"]);
        let ended = again.env(ASKED, format!("{}\n{sql}", folder.display())).output().unwrap();
        let said = String::from_utf8(ended.stdout).unwrap();
        let numbers = said.lines().find_map(|line| line.split_once("COUNTED ")).unwrap_or_else(|| panic!("{said}")).1;
        let (allocations, kept) = numbers.split_once(' ').unwrap();
        (allocations.parse::<u64>().unwrap(), kept.parse::<u64>().unwrap())
    });
    let counted: Vec<(u64, u64)> = counted.collect();
    let [(few, kept_of_few), (many, kept_of_many)] = counted[..] else { panic!("two folders") };
    let (allocations, kept) = (many - few, kept_of_many - kept_of_few);
    (allocations * 10 + kept / 2) / kept
}

/// Asks the question of [`ASKED`] and prints its number of allocations. Runs alone in its process, so that no other
/// test counts.
#[test]
#[ignore = "asked by `questions_cost_what_they_did`"]
fn ask_alone() {
    let Ok(asked) = std::env::var(ASKED) else { return };
    let (folder, sql) = asked.split_once('\n').unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let before = keytrail_limits::allocations();
    let kept = runtime.block_on(ask(folder, sql));
    println!("COUNTED {} {kept}", keytrail_limits::allocations() - before);
}

/// Returns the number of records that were kept for the answer.
async fn ask(folder: &str, sql: &str) -> u64 {
    let listing = source::list_local(&[Location::Path(folder.into())], &Scope::default()).unwrap();
    let options = ScanOptions {
        filter: EventFilter::KeyUse,
        scope: Scope::default(),
        threads: 1,
        salvage: false,
        identities_max: IDENTITIES_MAX,
        accepted: Arc::default(),
        progress: Arc::new(|_| {}),
    };
    let limits = EngineOptions {
        threads: 1,
        memory_bytes_max: 256 << 20,
        expected: Vec::new(),
        state_answers: Vec::new(),
        has_all_events: false,
        rules: Arc::from(rules::all()),
        said: Arc::default(),
    };
    let engine = Engine::over_logs(LogTable::new(Arc::new(listing), options), limits).unwrap();
    let mut answer = engine.query(sql, &[]).await.unwrap();
    while answer.next().await.unwrap().is_some() {}
    answer.finish().await.unwrap().counts.kept
}

#[test]
fn questions_cost_what_they_did() {
    let folders: Vec<tempfile::TempDir> = COPIES.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    folders.iter().zip(COPIES).for_each(|(folder, copies)| enlarged(folder.path(), copies));
    let paths: Vec<PathBuf> = folders.iter().map(|folder| folder.path().to_owned()).collect();
    golden::check_each("tests/counters", "counters", |sql| {
        let mut said = operators(sql, &paths[1]).join("\n") + "\n";
        writeln!(said, "allocations for ten records: {}", allocations_per_ten_records(sql, &paths)).unwrap();
        if let Some(reads) = reads_per_object(sql, &paths[0]) {
            assert_eq!(reads, 2.0, "calls of read for each object: its bytes, and its end");
        }
        said
    });
}
