//! Runs statements that want too much: each ends by itself, in little memory, and the shell answers the next one.
//! In: `tests/bad/attacks.sql`, each statement with its outcome. Out: one line for every disagreement.
//! A statement that does not end is killed, and that is a failure.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::child::{BINARY, Ended, Limits, has_program, is_exhaustive, keytrail_within, on_every_core, root};

/// The memory that an attack may take, and what the process may have resident with it: the program itself is mapped.
const MEMORY: &str = "400M";
const RESIDENT_KIB_MAX: u64 = 512 << 10;
/// Nobody waits so long for a statement that may compute for two seconds.
const HUNG: Duration = Duration::from_secs(120);
/// The deadline of a statement and two seconds; other tests keep the machine busy, unless this one does it all.
fn end_time_max() -> Duration {
    Duration::from_secs(if is_exhaustive() { 4 } else { 12 })
}

struct Attack {
    outcome: String,
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
            Attack { outcome: outcome.to_owned(), about: about.to_owned(), sql: written_out(sql.trim()) }
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

fn judged(attack: &Attack) -> Option<String> {
    // An answer takes what it takes.
    let ended = run(&attack.sql, if attack.outcome == "answer" { "1m" } else { "2s" });
    let codes: &[i32] = match attack.outcome.as_str() {
        "answer" => &[0],
        "refused" => &[2],
        "bound" => &[5],
        other => panic!("no outcome is called {other}"),
    };
    let is_right = ended.code.is_some_and(|code| codes.contains(&code)) && !ended.stderr.contains("panicked");
    let says_why = ended.code == Some(0) || ended.stderr.starts_with("error: ");
    let is_small = ended.peak_resident_kib <= RESIDENT_KIB_MAX && ended.took <= end_time_max();
    let (Attack { outcome, about, .. }, resident) = (attack, ended.peak_resident_kib >> 10);
    let cost = format!("{resident} MiB, {:.1} s", ended.took.as_secs_f64());
    (!(is_right && says_why && is_small)).then(|| format!("{outcome} | {about} | {} | {cost}", ended.story()))
}

#[test]
fn each_statement_ends_as_it_must() {
    let attacks = attacks();
    assert!(attacks.len() >= 100, "{} attacks", attacks.len());
    let wrong: Vec<String> = on_every_core(&attacks, judged).into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attacks.len(), wrong.join("\n"));
}

/// Opens a terminal, types the lines of a file, each once the one before was answered, and prints what the terminal was
/// sent. A line that begins with `^C` is interrupted by that key.
const TYPIST: &str = "
import os, pty, sys, time
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
for count, line in enumerate(open(sys.argv[1], encoding='utf-8')):
    until(b'keytrail> ', count + 1)
    if line.startswith('^C '):
        os.write(terminal, line[3:].encode())
        time.sleep(1)
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
    let hard: Vec<Attack> = hard.step_by(if is_exhaustive() { 1 } else { 5 }).collect();
    let wrong = on_every_core(&hard, |attack| {
        let shown =
            typed(&[format!("{};", attack.sql), "SELECT 'answer ' || 1 AS a;".to_owned()], &["--timeout", "1s"]);
        (!shown.contains("\nanswer 1")).then(|| format!("after `{}`:\n{shown}", attack.about))
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ctrl_c_ends_the_statement_and_not_the_shell() {
    if !has_program("python3", &["-c", "import pty"]) {
        return;
    }
    let busy =
        "SELECT count(*) FROM generate_series(1, 10000000) a JOIN generate_series(1, 10000000) b ON a.value < b.value;";
    let shown = typed(&[format!("^C {busy}"), "SELECT 'answer ' || 1 AS a;".to_owned()], &["--threads", "1"]);
    assert!(shown.contains("\nanswer 1"), "{shown}");
}
