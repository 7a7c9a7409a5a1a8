//! Stops runs by signals, at any moment and in any state.
//! In: runs of every kind over logs made here. Out: the exit code, and what is left beside the output and in the
//! temporary folder: nothing. A run is stopped at moments of its own length, so they differ from machine to machine; the seeds do not.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::child::{BINARY, is_exhaustive, on_every_core};
use crate::cloud::{self, Proxy};
use crate::history::{event, nowhere, page};
use crate::store::Dice;

const SIGNALS: [&str; 3] = ["INT", "TERM", "HUP"];

/// Keeps every thread busy in one poll, for longer than anybody waits.
const BUSY: &str =
    "SELECT count(*) FROM generate_series(1, 10000000) a JOIN generate_series(1, 10000000) b ON a.value < b.value";

/// A question that sorts more than fits in memory, so that it spills.
const SPILLING: &str =
    "SELECT e.event_id, a.value FROM events e, generate_series(1, 300) a ORDER BY a.value % 7, e.event_id DESC";

/// Fills a folder with logs of 8,000 calls, ten megabytes.
pub fn large_logs(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for file in 0..20 {
        let mut records = String::new();
        for call in 0..400 {
            let comma = if call == 0 { "" } else { "," };
            write!(
                records,
                r#"{comma}{{"eventVersion":"1.11","eventSource":"kms.amazonaws.com","eventName":"Decrypt","awsRegion":"eu-west-1","recipientAccountId":"111122223333","eventTime":"2026-03-{:02}T09:00:00Z","eventID":"id-{file}-{call}","userAgent":"{:>900}"}}"#,
                1 + file,
                call * 7919
            )
            .unwrap();
        }
        fs::write(folder.join(format!("{file:02}.json")), format!(r#"{{"Records":[{records}]}}"#)).unwrap();
    }
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Logs, and the folders of a run.
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        large_logs(&place.at("logs"));
        ["tmp", "out"].iter().for_each(|name| fs::create_dir(place.at(name)).unwrap());
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, args: &[&str]) -> Child {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.folder.path()).env("TMPDIR", self.at("tmp")).env_remove("KEYTRAIL_FROM");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn code(&self, args: &[&str]) -> Option<i32> {
        self.start(args).wait().unwrap().code()
    }

    /// All that a run has left in the temporary folder and beside its output.
    fn left(&self) -> Vec<PathBuf> {
        let listed =
            |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let outputs = listed(&self.at("out")).into_iter().filter(|path| path.extension().is_some_and(|e| e == "part"));
        listed(&self.at("tmp")).into_iter().chain(outputs).collect()
    }
}

fn send(child: &Child, signal: &str) {
    // The shell has a `kill` of its own, even if no such program is installed.
    let sent =
        Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).stderr(Stdio::null()).status();
    // The run may have ended by itself.
    sent.unwrap();
}

/// The end of a child, and the time that it took; one that does not end in a minute is killed.
fn ended(mut child: Child) -> Option<(ExitStatus, Duration)> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().unwrap() {
            return Some((status, started.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn code(child: Child) -> Option<i32> {
    ended(child).and_then(|(status, _)| status.code())
}

const INGEST: &[&str] = &["ingest", "logs", "--store", "store", "--batch-bytes", "400000"];

/// The runs that are stopped. Each ends by itself after a while; STORE has what the logs had before.
const RUNS: [(&str, &[&str]); 6] = [
    ("audit", &["audit", "logs", "-f", "json"]),
    ("query", &["query", "SELECT principal, count(*), max(raw) FROM key_use GROUP BY 1", "--from", "logs"]),
    ("spill", &["query", SPILLING, "--from", "logs", "-f", "jsonl", "--memory", "128M"]),
    (
        "output",
        &[
            "query",
            "SELECT a.* FROM events a, generate_series(1, 5)",
            "--from",
            "logs",
            "-o",
            "out/rows.csv",
            "--force",
        ],
    ),
    ("ingest", INGEST),
    ("compact", &["store", "compact", "store"]),
];

/// Numbers that look like chance, the same in every run.
fn chance(seed: u64) -> f64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

/// A run that is stopped must be over by then; other tests keep the machine busy, unless this one does it all.
fn end_time_max() -> Duration {
    Duration::from_secs(if is_exhaustive() { 2 } else { 10 })
}

/// A run that has not started to listen is ended by the signal itself; on a busy machine it starts late.
const DEAF: Duration = Duration::from_secs(1);

/// Stops one run at a moment; gives its faults and its exit code, which is none if the signal itself ended it.
fn stopped_at(
    place: &Place,
    (name, args): (&str, &[&str]),
    moment: Duration,
    signal: &str,
) -> (Vec<String>, Option<i32>) {
    let child = place.start(args);
    std::thread::sleep(moment);
    send(&child, signal);
    let end = ended(child);
    let (code, took) = end.map_or((None, Duration::MAX), |(status, took)| (Some(status.code()), took));
    let is_right = match code {
        // The run may have ended before the signal.
        Some(Some(130 | 0)) => true,
        Some(None) => moment < DEAF,
        _ => false,
    };
    let what = format!("{name}, {signal} after {moment:?}");
    let (mut faults, left) = (Vec::new(), place.left());
    if !is_right || !left.is_empty() || took > end_time_max() {
        faults.push(format!("{what}: {code:?} in {took:?}, left {left:?}"));
    }
    if place.at("store").join("events").is_dir() && place.code(&["store", "check", "store"]) != Some(0) {
        faults.push(format!("{what}: the store is not whole"));
    }
    (faults, code.flatten())
}

#[test]
fn a_signal_at_any_moment_leaves_nothing() {
    let rounds: u64 = if is_exhaustive() { 34 } else { 4 };
    let kinds: Vec<usize> = (0..RUNS.len()).collect();
    let faults = on_every_core(&kinds, |kind| {
        let ((name, args), place) = (RUNS[*kind], Place::new());
        let prepare = || {
            if place.at("store").is_dir() {
                fs::remove_dir_all(place.at("store")).unwrap();
            }
            if name == "compact" {
                assert_eq!(place.code(INGEST), Some(0));
            }
        };
        prepare();
        let started = Instant::now();
        assert_eq!(place.code(args), Some(0), "{name}");
        let whole = started.elapsed();
        let (mut faults, mut struck) = (Vec::new(), 0);
        for round in 0..rounds {
            let mut moment = whole.mul_f64(chance(round * 100 + *kind as u64));
            let signal = SIGNALS[(round as usize + kind) % SIGNALS.len()];
            let code = loop {
                prepare();
                let (wrong, code) = stopped_at(&place, (name, args), moment, signal);
                faults.extend(wrong);
                // A run that was over before its signal shows nothing: the machine is faster now than it was.
                if code != Some(0) || moment < DEAF {
                    break code;
                }
                moment /= 2;
            };
            struck += u64::from(code == Some(130));
        }
        if struck < rounds / 4 {
            faults.push(format!("{name}: only {struck} of {rounds} signals struck"));
        }
        faults
    });
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The work is in the middle of one poll on all its threads, which drive nothing else.
#[test]
fn a_signal_is_heard_where_all_threads_are_busy() {
    let place = Place::new();
    let codes: BTreeSet<Option<i32>> = SIGNALS
        .into_iter()
        .map(|signal| {
            let child = place.start(&["query", BUSY, "--from", "logs", "--threads", "1"]);
            std::thread::sleep(Duration::from_millis(1500));
            send(&child, signal);
            code(child)
        })
        .collect();
    assert_eq!(codes, BTreeSet::from([Some(130)]));
}

#[test]
fn a_deadline_ends_work_that_only_computes() {
    let place = Place::new();
    for threads in ["1", "4"] {
        let child = place.start(&["query", BUSY, "--from", "logs", "--threads", threads, "--timeout", "1s"]);
        assert_eq!(code(child), Some(5), "{threads} threads");
    }
    assert_eq!(place.left(), Vec::<PathBuf>::new());
}

/// A reader that takes its time is not the work of the run.
#[test]
fn an_answer_may_wait_for_its_reader() {
    let place = Place::new();
    let mut command = Command::new(BINARY);
    command.args(["query", "SELECT raw FROM events", "--from", "logs", "-f", "jsonl", "--timeout", "1s"]);
    command.current_dir(place.folder.path()).env("TMPDIR", place.at("tmp")).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(4));
    let read = std::io::copy(child.stdout.as_mut().unwrap(), &mut std::io::sink()).unwrap();
    assert_eq!((child.wait().unwrap().code(), read > 4_000_000), (Some(0), true), "{read} bytes");
}

/// A hangup is for those who leave with their terminal.
#[test]
fn nohup_is_respected() {
    let place = Place::new();
    let mut command = Command::new("sh");
    let line = format!("trap '' HUP; exec {BINARY} query \"{BUSY}\" --from logs --timeout 3s");
    command.args(["-c", &line]).current_dir(place.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1000));
    send(&child, "HUP");
    assert_eq!(code(child), Some(5));
}

/// `ulimit -f` is a disk that is full, not a reason to die.
#[test]
fn a_file_that_may_not_grow_is_a_failure() {
    let place = Place::new();
    let line = format!("ulimit -f 100; exec {BINARY} query 'SELECT raw FROM events' --from logs -o out/rows.csv");
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(place.folder.path()).env("TMPDIR", place.at("tmp"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("File too large"), "{said}");
    assert_eq!(place.left(), Vec::<PathBuf>::new());
}

/// The temporary files that a run has open.
fn temporaries(child: &Child, folder: &Path) -> usize {
    let opened = fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
    opened.filter_map(|file| fs::read_link(file.path()).ok()).filter(|file| file.starts_with(folder)).count()
}

/// A run that cannot tidy up has nothing to tidy: its temporary files have no names.
#[test]
fn a_kill_leaves_no_temporary_file() {
    let (place, mut dice) = (Place::new(), Dice(3));
    let history =
        Proxy::start(nowhere(), |_, n| page(&[event(n, 60 + n as i64)], Some(&format!("the page after {n}"))));
    let here = |args: &[&str]| {
        let mut command = Command::new(BINARY);
        command.args(args);
        command
    };
    let twice = "SELECT a.raw, b.raw FROM events a JOIN events b ON a.event_id = b.event_id ORDER BY a.event_id";
    for round in 0..if is_exhaustive() { 40 } else { 2 } {
        for (what, mut run) in [
            ("standard input", here(&["query", "SELECT count(*) FROM events", "--from", "-"])),
            ("rows that are read twice", here(&["query", twice, "--from", "logs", "-f", "csv"])),
            ("sort", here(&["query", SPILLING, "--from", "logs", "-f", "jsonl", "--memory", "128M"])),
            ("event history", cloud::keytrail(&["audit", "cloudtrail://eu-west-1"], &history.url)),
        ] {
            run.current_dir(place.folder.path()).env("TMPDIR", place.at("tmp")).env_remove("KEYTRAIL_FROM");
            // Nobody writes to the pipe, and nobody closes it.
            let mut child = run.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            while temporaries(&child, &place.at("tmp")) == 0 {
                assert!(child.try_wait().unwrap().is_none(), "{what}: no temporary file was seen open");
                std::thread::sleep(Duration::from_micros(100));
            }
            if round > 0 {
                std::thread::sleep(Duration::from_millis(dice.below(100)));
            }
            child.kill().unwrap();
            let is_struck = child.wait().unwrap().code().is_none();
            assert!(is_struck || round > 0, "{what}: over before it was killed");
            assert_eq!(place.left(), Vec::<PathBuf>::new(), "{what}");
        }
    }
}
