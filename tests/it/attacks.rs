//! Runs statements that want too much: each ends by itself, in little memory, and the shell answers the next one.
//! In: `tests/bad/attacks.sql`, each statement with its outcome. Out: one line for every disagreement.
//! A statement that does not end is killed, and that is a failure.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::child::{BINARY, Ended, Limits, has_program, is_exhaustive, keytrail_within, on_every_core, root, time_max};

/// The memory that an attack may take, and what the process may have resident with it: the program itself is mapped.
const MEMORY: &str = "400M";
const RESIDENT_KIB_MAX: u64 = 512 << 10;
/// Nobody waits so long for a statement that may compute for two seconds.
const HUNG: Duration = Duration::from_secs(120);
/// The deadline of a statement, and the time in which it must have ended.
const DEADLINE: &str = "2s";
const END_TIME_MAX: Duration = Duration::from_secs(4);

struct Attack {
    outcome: String,
    /// Always tried in the shell too.
    is_for_shell: bool,
    about: String,
    sql: String,
}

/// The statements of the file.
fn attacks() -> Vec<Attack> {
    let text = fs::read_to_string(root().join("tests/bad/attacks.sql")).unwrap();
    let parts = text.split("\n--> ").skip(1);
    parts
        .map(|part| {
            let (head, sql) = part.split_once('\n').unwrap();
            let (outcome, about) = head.split_once(": ").unwrap();
            let (outcome, is_for_shell) = outcome.strip_suffix(" (shell)").map_or((outcome, false), |o| (o, true));
            let (outcome, about) = (outcome.to_owned(), about.to_owned());
            Attack { outcome, is_for_shell, about, sql: written_out(sql.trim()) }
        })
        .collect()
}

/// The text with the copies that `«TEXT×N»` stands for.
fn written_out(text: &str) -> String {
    let Some((before, rest)) = text.split_once('«') else { return text.to_owned() };
    let (copied, after) = rest.split_once('»').unwrap();
    let (copy, count) = copied.rsplit_once('×').unwrap();
    let copies: String = (0..count.parse::<usize>().unwrap()).map(|n| copy.replace('#', &n.to_string())).collect();
    format!("{before}{copies}{}", written_out(after))
}

/// Runs a statement that may compute for some time.
fn run(sql: &str, timeout: &str) -> Ended {
    // Some of these are too long to be one argument of a command.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(sql.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let args = [
        "query",
        "-f",
        "json",
        "-q",
        "--from",
        "sample-logs",
        "--timeout",
        timeout,
        "--memory",
        MEMORY,
        "--file",
        path,
    ];
    keytrail_within(args, Limits { time: HUNG, ..Limits::default() })
}

/// The exit code of an outcome, and words of which its message has one.
fn sign(outcome: &str) -> (i32, &'static [&'static str]) {
    match outcome {
        "answer" => (0, &[]),
        "refused" => (2, &["error: "]),
        "result" => (5, &[" would make "]),
        "memory" => (5, &TIME_OR_MEMORY_SIGNS[1..]),
        "time" => (5, &TIME_OR_MEMORY_SIGNS[..1]),
        "time or memory" => (5, TIME_OR_MEMORY_SIGNS),
        other => panic!("no outcome is called {other}"),
    }
}

/// The deadline; the pool of the operators, its sorts, the allocator of the process, and the offsets of a column.
const TIME_OR_MEMORY_SIGNS: &[&str] = &[
    "error: stopped after ",
    "Resources exhausted",
    "Not enough memory",
    "of memory that it may take",
    "more than 2 GiB",
];

fn judged(attack: &Attack) -> Option<String> {
    let Attack { outcome, about, sql, .. } = attack;
    let is_answered = outcome == "answer";
    // Whatever ends by itself takes what it takes.
    let has_deadline = outcome.starts_with("time");
    let ended = run(sql, if has_deadline { DEADLINE } else { "1m" });
    let (code, signs) = sign(outcome);
    let says_why = is_answered || signs.iter().any(|sign| ended.stderr.contains(sign));
    let is_right = ended.code == Some(code) && says_why && !ended.stderr.contains("panicked");
    let is_late = has_deadline && ended.took > END_TIME_MAX && ended.took > time_max(END_TIME_MAX);
    let is_small = ended.peak_resident_kib <= RESIDENT_KIB_MAX;
    let cost = format!("{} MiB, {:.1} s", ended.peak_resident_kib >> 10, ended.took.as_secs_f64());
    (!is_right || is_late || !is_small).then(|| format!("{outcome} | {about} | {} | {cost}", ended.story()))
}

#[test]
fn each_statement_ends_as_it_must() {
    let attacks = attacks();
    assert!(attacks.len() >= 100, "{} attacks", attacks.len());
    let wrong: Vec<String> = on_every_core(&attacks, judged).into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attacks.len(), wrong.join("\n"));
}

/// Opens a terminal, types the lines of a file, each once the one before was answered, and prints what the terminal was
/// sent. A line that begins with `^C` is interrupted by that key, once it computes.
const TYPIST: &str = "
import os, pty, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM='dumb', HOME=os.environ['EMPTY'], XDG_STATE_HOME=os.environ['EMPTY'])
    os.umask(0)
    os.execv(sys.argv[2], sys.argv[2:])
shown = b''
def until(sign, count):
    global shown
    while shown.count(sign) < count:
        try:
            sent = os.read(terminal, 65536)
        except OSError:
            sent = b''
        if not sent:
            os.write(1, shown)
            sys.exit(1)
        shown += sent
def computed():
    times = open('/proc/%d/stat' % pid).read().rsplit(')', 1)[1].split()[11:13]
    return sum(map(int, times)) / os.sysconf('SC_CLK_TCK')
for count, line in enumerate(open(sys.argv[1], encoding='utf-8')):
    until(b'keytrail> ', count + 1)
    if line.startswith('^C '):
        os.write(terminal, line[3:].encode())
        # Only while a statement runs the terminal makes a signal of the key.
        while not termios.tcgetattr(terminal)[3] & termios.ISIG:
            time.sleep(0.01)
        # Planning takes less.
        begun = computed()
        while computed() < begun + 2:
            time.sleep(0.01)
        os.write(terminal, b'\\x03')
    else:
        os.write(terminal, line.encode())
until(b'keytrail> ', count + 2)
os.write(terminal, b'.quit\\r')
until(b'nothing is sent like this', 1)
";

/// Types statements into a shell, and gives what its terminal shows.
fn typed(lines: &[String], options: &[&str]) -> String {
    typed_at(tempfile::tempdir().unwrap().path(), lines, options)
}

/// As [`typed`], for a user whose home is this folder and whose umask is 000.
pub fn typed_at(home: &Path, lines: &[String], options: &[&str]) -> String {
    let (script, input) = (home.join("type.py"), home.join("lines"));
    fs::write(&script, TYPIST).unwrap();
    fs::write(&input, lines.join("\n") + "\n").unwrap();
    let shell = [BINARY, "query", "--from", "sample-logs", "--color", "never", "--memory", MEMORY];
    let mut typist = Command::new("python3");
    typist.arg(script).arg(input).args(shell).args(options).env("EMPTY", home).current_dir(root());
    let ended = typist.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

#[test]
fn the_shell_answers_the_next_statement() {
    if !has_program("python3", &["-c", "import pty"]) {
        return;
    }
    // A line that is typed has no more than 4,096 bytes.
    let hard = attacks().into_iter().filter(|a| a.outcome != "answer" && a.sql.len() < 1000);
    let is_tried = |(place, attack): &(usize, Attack)| is_exhaustive() || attack.is_for_shell || place % 8 == 0;
    let hard: Vec<Attack> = hard.enumerate().filter(is_tried).map(|(_, attack)| attack).collect();
    let wrong = on_every_core(&hard, |attack| {
        let shown =
            typed(&[format!("{};", attack.sql), "SELECT 'answer ' || 1 AS a;".to_owned()], &["--timeout", "1s"]);
        (!shown.contains("\nanswer 1")).then(|| format!("after `{}`:\n{shown}", attack.about))
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Computes for longer than anybody waits, and does not notice that nobody does.
const BUSY: &str =
    "SELECT count(*) FROM generate_series(1, 10000000) a JOIN generate_series(1, 10000000) b ON a.value < b.value;";

#[test]
fn the_shell_begins_nothing_beside_two_that_go_on() {
    if !has_program("python3", &["-c", "import pty"]) {
        return;
    }
    // A thread that panics beside those that were left behind is told of all the same.
    let panics = "SELECT x, value FROM (SELECT repeat(repeat('a', 10000), 1000) AS x) a, generate_series(1, 8192);";
    let stopped = format!("^C {BUSY}");
    let lines = [stopped.as_str(), panics, stopped.as_str(), "SELECT 'answer ' || 1 AS a;"].map(str::to_owned);
    let shown = typed(&lines, &["--threads", "1"]);
    assert!(shown.contains("more than 2 GiB") && !shown.contains("panicked"), "{shown}");
    assert!(shown.contains("2 statements that were stopped still compute"), "{shown}");
    assert!(!shown.contains("\nanswer 1"), "{shown}");
}

#[test]
fn ctrl_c_ends_the_statement_and_not_the_shell() {
    if !has_program("python3", &["-c", "import pty"]) {
        return;
    }
    let shown = typed(&[format!("^C {BUSY}"), "SELECT 'answer ' || 1 AS a;".to_owned()], &["--threads", "1"]);
    assert!(shown.contains("\nanswer 1"), "{shown}");
}
