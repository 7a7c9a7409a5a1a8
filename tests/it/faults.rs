//! Calls that fail, and calls that do half of what they were asked, of every run that writes or reads.
//! In: runs under `faults.c`, which disturbs the nth call of a kind on files below a folder. Out: exit codes, words, and
//! what is left: a store at a commit, and an output that is whole or as it was.
//! Never lets a run that was only interrupted fail: such a call is made again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::child::{BINARY, has_program, is_exhaustive, on_every_core, root};
use crate::cloud::copy_folder;
use crate::store::{Dice, Disturbed, Store, Tally};

/// The numbers that Linux gives the errors, but for a few machines of old.
const ERRORS: [(&str, i32); 8] = [
    ("EIO", 5),
    ("ENOSPC", 28),
    ("EACCES", 13),
    ("EMFILE", 24),
    ("EDQUOT", 122),
    ("EROFS", 30),
    ("EFBIG", 27),
    ("EINTR", 4),
];

/// The disturbance of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    Error(&'static str, i32),
    /// Half of the bytes are read or written, as on a full disk or through a pipe.
    Half,
}

/// The calls of a kind that are disturbed.
#[derive(Clone, Copy, Debug)]
struct CallFault {
    call: &'static str,
    nth: usize,
    /// 1 disturbs each call from the nth on, 2 every other one, 0 none but the nth.
    step: usize,
    disturbance: Disturbance,
}

impl CallFault {
    /// True if the system has a way to go on, which the run must take. It makes no such promise for a change of names.
    fn must_pass(&self) -> bool {
        let is_transfer = ["read", "write", "pread64", "pwrite64", "fsync", "open"].contains(&self.call);
        is_transfer && matches!(self.disturbance, Disturbance::Half | Disturbance::Error("EINTR", _))
    }
}

/// Every disturbance that a kind of call can have, with its step.
fn disturbances(call: &str) -> Vec<(Disturbance, usize)> {
    let is_sized = ["read", "write", "pread64", "pwrite64"].contains(&call);
    let half = [(Disturbance::Half, 0), (Disturbance::Half, 1)].into_iter().filter(|_| is_sized);
    let errors = ERRORS.iter().flat_map(|&(name, number)| {
        // A call that is interrupted for ever never ends.
        let steps = if name == "EINTR" { [0, 2] } else { [0, 1] };
        steps.map(|step| (Disturbance::Error(name, number), step))
    });
    errors.chain(half).collect()
}

/// The place of the disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultPlace {
    Store,
    Output,
    Temporary,
}

struct DisturbedRun {
    name: &'static str,
    /// In them STORE, LOGS, LARGE and OUT stand for paths.
    args: &'static [&'static str],
    below: FaultPlace,
    calls: &'static [&'static str],
    /// Points in the usual run for each kind of call.
    points: usize,
}

const CHANGES: &[&str] = &["mkdir", "open", "pwrite64", "fsync", "link", "rename", "unlink"];
const KEPT_TWICE: &str =
    "SELECT a.raw, b.raw FROM events a JOIN events b ON a.event_id = b.event_id ORDER BY a.event_id";
const SORTED: &str = "SELECT raw, value FROM events, generate_series(1, 4) ORDER BY raw DESC, value";

static RUNS: [DisturbedRun; 8] = [
    DisturbedRun {
        name: "ingest",
        args: &["ingest", "LOGS", "--store", "STORE", "--batch-bytes", "6000", "--threads", "1"],
        below: FaultPlace::Store,
        calls: CHANGES,
        points: 2,
    },
    DisturbedRun {
        name: "compact",
        args: &["store", "compact", "STORE"],
        below: FaultPlace::Store,
        calls: CHANGES,
        points: 1,
    },
    DisturbedRun {
        name: "query of a store",
        args: &["query", "SELECT event_id, raw FROM events ORDER BY 1, 2", "--from", "STORE", "-f", "csv", "-o", "OUT"],
        below: FaultPlace::Store,
        calls: &["open", "read"],
        points: 2,
    },
    DisturbedRun {
        name: "audit",
        args: &["audit", "LOGS", "-f", "json", "-o", "OUT"],
        below: FaultPlace::Output,
        calls: &["open", "write"],
        points: 2,
    },
    DisturbedRun {
        name: "query",
        args: &["query", "SELECT raw FROM events ORDER BY raw", "--from", "LARGE", "-f", "jsonl", "-o", "OUT"],
        below: FaultPlace::Output,
        calls: &["open", "write"],
        points: 2,
    },
    DisturbedRun {
        name: "query that replaces",
        args: &[
            "query",
            "SELECT raw FROM events ORDER BY 1",
            "--from",
            "LOGS",
            "-f",
            "parquet",
            "-o",
            "OUT",
            "--force",
        ],
        below: FaultPlace::Output,
        calls: &["open", "write"],
        points: 2,
    },
    DisturbedRun {
        name: "rows that are read twice",
        args: &["query", KEPT_TWICE, "--from", "LARGE", "-f", "csv", "-o", "OUT"],
        below: FaultPlace::Temporary,
        calls: &["open", "write", "pread64"],
        points: 2,
    },
    DisturbedRun {
        name: "sort",
        args: &["query", SORTED, "--from", "LARGE", "-f", "csv", "-o", "OUT", "--memory", "128M", "--threads", "1"],
        below: FaultPlace::Temporary,
        calls: &["open", "write", "pread64"],
        points: 1,
    },
];

/// Content of an output file that is there before its run.
const EARLIER: &[u8] = b"an answer of yesterday";

/// What all runs have in common.
struct FaultsWorld {
    folder: TempDir,
    run: Disturbed,
    /// A store of many batches, made of the logs of `run`.
    store: PathBuf,
}

impl FaultsWorld {
    /// None where nothing can be preloaded.
    fn new() -> Option<FaultsWorld> {
        if !has_program("gcc", &["--version"]) {
            return None;
        }
        let (folder, run) = (tempfile::tempdir().unwrap(), Disturbed::failing());
        let mut compiler = Command::new("gcc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("faults.so"));
        assert!(compiler.arg(root().join("tests/it/faults.c")).status().unwrap().success());
        crate::signals::large_logs(&folder.path().join("large"));
        let store = Store::new();
        store.accounts(run.logs.path(), &["--batch-bytes", "6000"]);
        copy_folder(&store.path, &folder.path().join("store"));
        let store = folder.path().join("store");
        Some(FaultsWorld { folder, run, store })
    }

    /// Makes the folders of a run and runs it, disturbed or not.
    fn play(&self, kind: &DisturbedRun, fault: Option<CallFault>) -> PlayedRun {
        let (store, folder) = (Store::new(), tempfile::tempdir().unwrap());
        if kind.name != "ingest" {
            copy_folder(&self.store, &store.path);
        }
        let [out, temporary, noted] = ["out", "tmp", "noted"].map(|name| folder.path().join(name));
        [&out, &temporary].iter().for_each(|folder| fs::create_dir(folder).unwrap());
        let answer = out.join("answer");
        if kind.args.contains(&"--force") {
            fs::write(&answer, EARLIER).unwrap();
        }
        let below = match kind.below {
            FaultPlace::Store => &store.path,
            FaultPlace::Output => &out,
            FaultPlace::Temporary => &temporary,
        };
        let mut command = Command::new(BINARY);
        command.args(kind.args.iter().map(|arg| match *arg {
            "STORE" => store.path.clone(),
            "LOGS" => self.run.logs.path().to_owned(),
            "LARGE" => self.folder.path().join("large"),
            "OUT" => answer.clone(),
            other => PathBuf::from(other),
        }));
        command.env("LD_PRELOAD", self.folder.path().join("faults.so")).env("TMPDIR", &temporary);
        command.env("FAULTS_BELOW", below).env("FAULTS_NOTED", &noted);
        let (call, nth, step, error) = match fault {
            Some(CallFault { call, nth, step, disturbance: Disturbance::Error(_, error) }) => (call, nth, step, error),
            Some(CallFault { call, nth, step, disturbance: Disturbance::Half }) => (call, nth, step, 0),
            None => ("none", 0, 0, 0),
        };
        command.env("FAULTS_CALL", call).env("FAULTS_NTH", nth.to_string()).env("FAULTS_STEP", step.to_string());
        command.env("FAULTS_ERRNO", error.to_string()).env("RUST_BACKTRACE", "0").env_remove("KEYTRAIL_FROM");
        let ended = command.arg("-q").stdin(Stdio::null()).stdout(Stdio::null()).output().unwrap();
        let mut calls: BTreeMap<String, usize> = BTreeMap::new();
        for line in fs::read_to_string(noted).unwrap_or_default().lines() {
            *calls.entry(line.to_owned()).or_default() += 1;
        }
        let left = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        let left: [Vec<PathBuf>; 2] = [&out, &temporary].map(|folder| left(folder));
        PlayedRun {
            code: ended.status.code(),
            stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
            answer: fs::read(&answer).ok(),
            left: left.concat().into_iter().filter(|path| *path != answer).collect(),
            below: below.clone(),
            calls,
            store,
        }
    }

    /// The faults of a run; none if it went as it must.
    fn fault_of(&self, kind: &DisturbedRun, right: &PlayedRun, fault: CallFault) -> (bool, Option<String>) {
        let played = self.play(kind, Some(fault));
        let struck = played.calls.contains_key(&format!("{}!", fault.call));
        let told = format!("{}, {fault:?}: {:?} {}", kind.name, played.code, played.stderr);
        let is_right = played.answer == right.answer;
        let is_earlier = played.answer.as_deref() == kind.args.contains(&"--force").then_some(EARLIER);
        let place = played.below.to_str().unwrap();
        let wrong = match played.code {
            Some(0) if !is_right => Some("another answer"),
            Some(0) => None,
            _ if !struck => Some("no call was disturbed"),
            _ if fault.must_pass() => Some("a call was not made again"),
            Some(5) if !is_earlier => Some("a part of an answer"),
            Some(5) if !played.stderr.contains(place.trim_start_matches('/')) => Some("the place is not told"),
            Some(5) => None,
            _ => Some("another end"),
        };
        let wrong = wrong.or((!played.left.is_empty()).then_some("files are left"));
        let wrong = wrong.or(played.stderr.contains("panicked").then_some("a panic"));
        if wrong.is_none() && kind.below == FaultPlace::Store && kind.calls == CHANGES {
            if kind.name == "compact" || played.code == Some(0) {
                assert_eq!(played.store.hash(), self.run.expected, "{told}");
            }
            if played.store.path.join("events/_delta_log").exists() && played.code != Some(0) {
                let ended = crate::child::keytrail(["store", "check", played.store.text()]);
                assert!(ended.code == Some(0) || ended.stderr.contains("no store"), "{told}: {}", ended.story());
            }
            self.run.assert_completed(&played.store, &told);
        }
        (struck, wrong.map(|wrong| format!("{wrong}: {told} {:?}", played.left)))
    }
}

/// A run that has ended.
struct PlayedRun {
    code: Option<i32>,
    stderr: String,
    answer: Option<Vec<u8>>,
    left: Vec<PathBuf>,
    below: PathBuf,
    /// The number of calls below the folder by kind; of those that were disturbed under the kind with a `!`.
    calls: BTreeMap<String, usize>,
    store: Store,
}

/// Some points of every kind of call, each with one disturbance, or all of both.
fn faults_of(kind: &DisturbedRun, right: &PlayedRun, dice: &mut Dice) -> Vec<CallFault> {
    let mut all = Vec::new();
    for &call in kind.calls {
        let count = right.calls.get(call).copied().unwrap_or_default();
        assert!(count > 0, "{}: no call of {call} in {:?}", kind.name, right.calls);
        let kinds = disturbances(call);
        let fault = |nth, (disturbance, step)| CallFault { call, nth, step, disturbance };
        if is_exhaustive() {
            all.extend((1..=count).flat_map(|nth| kinds.iter().map(move |kind| fault(nth, *kind))));
            continue;
        }
        for _ in 0..kind.points {
            all.push(fault(1 + dice.below(count as u64) as usize, kinds[dice.below(kinds.len() as u64) as usize]));
        }
    }
    all
}

#[test]
fn a_failed_call_is_reported_and_harms_nothing() {
    let Some(world) = FaultsWorld::new() else { return };
    let mut dice = Dice(11);
    let right: Vec<PlayedRun> = RUNS.iter().map(|kind| world.play(kind, None)).collect();
    let mut faults = Vec::new();
    for (kind, right) in RUNS.iter().zip(&right) {
        assert_eq!(right.code, Some(0), "{}: {}", kind.name, right.stderr);
        eprintln!("{}: {:?}", kind.name, right.calls);
        faults.extend(faults_of(kind, right, &mut dice).into_iter().map(|fault| (kind, right, fault)));
    }
    let tally = Tally::of(faults.len());
    let ends = on_every_core(&faults, |(kind, right, fault)| {
        let end = world.fault_of(kind, right, *fault);
        tally.one_more();
        end
    });
    let struck = ends.iter().filter(|(struck, _)| *struck).count();
    eprintln!("{struck} of {} runs had a call that was disturbed", ends.len());
    let wrong: Vec<String> = ends.into_iter().filter_map(|(_, wrong)| wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(struck * 4 > faults.len() * 3, "{struck} of {} were disturbed", faults.len());
}
