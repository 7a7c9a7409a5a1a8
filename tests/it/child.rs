//! Runs the built binary as a child process.
//! In: arguments. Out: exit code, stdout, stderr, peak memory. A child that does not end in time is killed, and the
//! result says so. Never judges the output of the binary.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub const BINARY: &str = env!("CARGO_BIN_EXE_keytrail");

/// The top of the package, where `sample-logs` and `docs` are.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A path to inputs outside the package, in the folder that `KEYTRAIL_SHARED` names or else in `../shared`.
pub fn beside(path: &str) -> Option<PathBuf> {
    let named = std::env::var_os("KEYTRAIL_SHARED").map(PathBuf::from);
    let folder = named.as_ref().map_or_else(|| root().join("../shared"), |folder| root().join(folder));
    assert!(named.is_none() || folder.is_dir(), "KEYTRAIL_SHARED names no folder: {}", folder.display());
    let found = folder.join(path);
    if found.exists() {
        return Some(found.canonicalize().unwrap());
    }
    skipped(&format!("{} is not here", found.display()), "KEYTRAIL_NEEDS_SHARED");
    None
}

/// A folder with inputs from a registry, which `.ci/run` fetches and names in the variable.
pub fn fetched(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(|folder| root().join(folder));
    assert!(folder.as_ref().is_none_or(|folder| folder.is_dir()), "{variable} names no folder: {folder:?}");
    if folder.is_none() {
        skipped(&format!("{variable} names no folder"), "KEYTRAIL_NEEDS_PROGRAMS");
    }
    folder
}

/// True if the machine has a program, which is run with arguments that make it succeed at once. Only cargo and gcc are
/// sure to be there.
pub fn has_program(name: &str, args: &[&str]) -> bool {
    let mut asked = Command::new(name);
    asked.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let is_here = asked.status().is_ok_and(|status| status.success());
    if !is_here {
        skipped(&format!("{name} does not run here"), "KEYTRAIL_NEEDS_PROGRAMS");
    }
    is_here
}

/// Says that the test of this thread was skipped, so that nobody takes it for a pass; it fails where the variable
/// promises that nothing is missing. Writes straight to standard error, since the test runner hides `eprintln!` in a test
/// that passes.
fn skipped(why: &str, promise: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os(promise).is_none_or(|value| value != "1"), "{promise}=1, but {why}");
    let mut past_the_capture = std::io::stderr();
    writeln!(past_the_capture, "SKIPPED: {test}: {why}").unwrap();
}

/// True if slow tests should do it all: every point instead of some, more kills, minutes instead of seconds.
pub fn is_exhaustive() -> bool {
    std::env::var_os("KEYTRAIL_EXHAUSTIVE").is_some()
}

/// The time in which something must end that has `strict` for it on a machine of its own: more where a child that does
/// nothing takes long at this moment, since other tests keep the machine busy.
pub fn time_max(strict: Duration) -> Duration {
    if is_exhaustive() { strict } else { strict + Duration::from_secs(3) + 30 * keytrail(["--version"]).took }
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Address space in KiB, as `ulimit -v` counts.
    pub address_space_kib: Option<u64>,
    pub open_files: Option<u64>,
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { address_space_kib: None, open_files: None, time: Duration::from_secs(120) }
    }
}

#[derive(Debug)]
pub struct Ended {
    /// `None` if a signal ended the child.
    pub code: Option<i32>,
    pub timed_out: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub took: Duration,
    /// The highest value seen from outside: a child of a few milliseconds may be missed.
    pub peak_resident_kib: u64,
    pub peak_address_space_kib: u64,
}

impl Ended {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("output is UTF-8")
    }

    /// Rows of `-f json`.
    pub fn rows(&self) -> Result<Vec<serde_json::Value>, String> {
        serde_json::from_slice(&self.stdout).map_err(|e| format!("{e}; {}", self.story()))
    }

    /// The end of the child, in one line.
    pub fn story(&self) -> String {
        let last = self.stderr.lines().rev().find(|l| l.contains("error") || l.contains("panicked"));
        let last = last.or(self.stderr.lines().last()).unwrap_or_default();
        match (self.timed_out, self.code) {
            (true, _) => format!("killed after {:.1} s", self.took.as_secs_f64()),
            (_, Some(code)) => format!("exit {code}: {last}"),
            (_, None) => format!("died of a signal: {last}"),
        }
    }
}

/// Runs the binary with `args`, in the package's directory, without the caller's variables that it would read.
pub fn keytrail<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ended {
    keytrail_within(args, Limits::default())
}

pub fn keytrail_within<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, limits: Limits) -> Ended {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(limited(&limits)).arg(BINARY).args(args);
    run(shell, limits.time)
}

/// Runs a shell command line with the binary on the path, as a reader of the README types it.
pub fn shell_line(line: &str) -> Ended {
    shell_line_in(line, root())
}

/// As [`shell_line`], in a folder of its own.
pub fn shell_line_in(line: &str, folder: &Path) -> Ended {
    let bin = Path::new(BINARY).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).env("PATH", path).current_dir(folder);
    run(shell, Limits::default().time)
}

fn limited(limits: &Limits) -> String {
    let mut script = String::new();
    for (flag, value) in [("v", limits.address_space_kib), ("n", limits.open_files)] {
        if let Some(value) = value {
            script.push_str(&format!("ulimit -{flag} {value} || exit 99; "));
        }
    }
    script + r#"exec "$0" "$@""#
}

fn run(mut command: Command, time: Duration) -> Ended {
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    if command.get_current_dir().is_none() {
        command.current_dir(root());
    }
    command.stdin(Stdio::null());
    command.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    command.env_remove("KEYTRAIL_FROM").env("NO_COLOR", "1").env("COLUMNS", "100").env("RUST_BACKTRACE", "0");
    let started = Instant::now();
    let mut child = command.spawn().expect("a shell starts");
    let (mut resident, mut address_space) = (0, 0);
    let (code, timed_out) = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break (status.code(), false);
        }
        let (r, a) = peaks(&child);
        (resident, address_space) = (resident.max(r), address_space.max(a));
        if started.elapsed() > time {
            child.kill().unwrap();
            child.wait().unwrap();
            break (None, true);
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Ended {
        code,
        timed_out,
        stdout: read_back(&mut out),
        stderr: String::from_utf8_lossy(&read_back(&mut err)).into_owned(),
        took: started.elapsed(),
        peak_resident_kib: resident,
        peak_address_space_kib: address_space,
    }
}

fn read_back(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// High-water marks of resident memory and address space, in KiB; zero if the system gives none.
fn peaks(child: &Child) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let mark = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name));
        line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    };
    (mark("VmHWM:"), mark("VmPeak:"))
}

/// Runs `work` over every item on a thread per core and gives the results in the items' order.
pub fn on_every_core<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    at_once(std::thread::available_parallelism().map_or(1, usize::from), items, work)
}

/// As [`on_every_core`], on so many threads, for work that waits more than it computes.
pub fn at_once<T: Sync, R: Send>(threads: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((place, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, items.get(i)?)))
                {
                    let result = work(item);
                    done.lock().unwrap().push((place, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}
