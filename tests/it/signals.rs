//! Stops runs by signals, at any moment and in any state.
//! In: runs of every kind over logs made here. Out: the exit code, and what is left beside the output and in the
//! temporary folder: nothing. A run is stopped at moments of its own length, so they differ from machine to machine; the seeds do not.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::child::{BINARY, is_exhaustive, on_every_core, time_max};
use crate::cloud::{self, Proxy};
use crate::history;
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

/// A run that is stopped must be over by then.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// True if a child has begun to listen for a signal; before that the signal itself ends it, however late that is.
fn listens(child: &Child, signal: &str) -> bool {
    let number = match signal {
        "HUP" => 1,
        "INT" => 2,
        _ => 15,
    };
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
    caught.is_some_and(|caught| caught & (1 << (number - 1)) != 0)
}

/// Waits until a child has computed for so long, or as long on the clock where the system does not say; gives up after a
/// minute.
fn let_compute(child: &Child, time: Duration) {
    let started = Instant::now();
    let computed = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
        // User and system time in hundredths of a second; the name before them may have blanks.
        let times = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
        times.map(|ticks| ticks.parse::<u64>().ok()).sum::<Option<u64>>().map(|ticks| Duration::from_millis(10 * ticks))
    };
    while computed().unwrap_or(started.elapsed()) < time && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Stops one run at a moment; gives its faults and its exit code, which is none if the signal itself ended it.
fn stopped_at(
    place: &Place,
    (name, args): (&str, &[&str]),
    moment: Duration,
    signal: &str,
) -> (Vec<String>, Option<i32>) {
    let child = place.start(args);
    std::thread::sleep(moment);
    let is_deaf = !listens(&child, signal);
    let idle = std::thread::spawn(|| time_max(END_TIME_MAX));
    send(&child, signal);
    let end = ended(child);
    let time_max = idle.join().unwrap();
    let (code, took) = end.map_or((None, Duration::MAX), |(status, took)| (Some(status.code()), took));
    let is_right = match code {
        // The run may have ended before the signal.
        Some(Some(130 | 0)) => true,
        Some(None) => is_deaf,
        _ => false,
    };
    let what = format!("{name}, {signal} after {moment:?}");
    let (mut faults, left) = (Vec::new(), place.left());
    if !is_right || !left.is_empty() || took > time_max {
        faults.push(format!("{what}: {code:?} in {took:?} of {time_max:?}, left {left:?}"));
    }
    if place.at("store").join("events").is_dir() && place.code(&["store", "check", "store"]) != Some(0) {
        faults.push(format!("{what}: the store is not whole"));
    }
    (faults, code.flatten())
}

/// The most tries to strike a run between its begin and its end.
const TRIES: usize = 10;

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
            // The machine may be faster or slower now than it was, and a signal before or after the run shows nothing.
            let (mut early, mut late) = (Duration::ZERO, 2 * whole);
            for _ in 0..TRIES {
                prepare();
                let (wrong, code) = stopped_at(&place, (name, args), moment, signal);
                faults.extend(wrong);
                match code {
                    Some(0) => late = moment,
                    None => early = moment,
                    _ => {
                        struck += u64::from(code == Some(130));
                        break;
                    }
                }
                moment = (early + late) / 2;
            }
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
    let codes = on_every_core(&SIGNALS, |signal| {
        let child = place.start(&["query", BUSY, "--from", "logs", "--threads", "1"]);
        // Planning takes less.
        let_compute(&child, Duration::from_secs(2));
        send(&child, signal);
        code(child)
    });
    assert_eq!(codes, [Some(130); 3]);
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
    command.args(["query", "SELECT raw FROM events", "--from", "logs", "-f", "jsonl", "--timeout", "5s"]);
    command.current_dir(place.folder.path()).env("TMPDIR", place.at("tmp")).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(9));
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
    let_compute(&child, Duration::from_secs(1));
    send(&child, "HUP");
    assert_eq!(code(child), Some(5));
}

/// The event history comes into files, page by page, and more comes while the run ends.
#[test]
fn a_lookup_that_is_stopped_leaves_no_page() {
    let place = Place::new();
    for signal in SIGNALS {
        let service = Proxy::start(history::nowhere(), |request, _| {
            let place = history::asked(request)["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
            let events: Vec<_> =
                (0..50).map(|n| history::event(place * 50 + n, (60 + place * 50 + n) as i64)).collect();
            history::page(&events, Some(&(place + 1).to_string()))
        });
        let mut command = cloud::keytrail(&["audit", "cloudtrail://eu-west-1,us-east-1,eu-central-1"], &service.url);
        command.env("TMPDIR", place.at("tmp")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let started = Instant::now();
        while service.requests().len() < 4 && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(temporaries(&child, &place.at("tmp")) > 0, "no page has come");
        send(&child, signal);
        assert_eq!((code(child), place.left()), (Some(130), Vec::new()), "{signal}");
    }
}

/// Nobody reads what the end has to say, and it can write no word of it.
#[test]
fn nothing_is_left_where_stderr_is_stuck() {
    let place = Place::new();
    // A pipe takes 64 KiB.
    let line =
        format!("head -c 65536 /dev/zero >&2; exec {BINARY} query \"{BUSY}\" --from logs -o out/rows.csv --timeout 2s");
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(place.folder.path()).env("TMPDIR", place.at("tmp"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let unread = child.stderr.take();
    assert_eq!(code(child), Some(5));
    assert_eq!(place.left(), Vec::<PathBuf>::new());
    drop(unread);
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
    let history = Proxy::start(history::nowhere(), |_, n| {
        history::page(&[history::event(n, 60 + n as i64)], Some(&format!("the page after {n}")))
    });
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
