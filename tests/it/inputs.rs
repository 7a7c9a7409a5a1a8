//! What is read and what is written: envelopes that hide records, files that change, stores that others may write, and
//! output that would replace evidence.
//! In: `tests/bad/envelopes`, and folders that are made here. Out: statuses, exit codes, modes, words.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::attacks::typed_at;
use crate::child::{BINARY, Ended, Limits, has_program, keytrail, keytrail_within, root, shell_line_in};
use crate::damage::sparse;
use crate::store::{Store, logs};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[track_caller]
fn ends(ended: &Ended, code: i32, says: &str) {
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.story(), ended.stderr);
    assert!(ended.stderr.contains(says), "no `{says}`: {}", ended.stderr);
}

/// A folder with one log.
fn one_log() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(root().join("tests/bad/envelopes/records-only-escaped.json"), folder.path().join("a.json")).unwrap();
    folder
}

const COUNT: &str = "SELECT count(*) AS n FROM events";

#[test]
fn an_envelope_hides_no_record() {
    let folder = root().join("tests/bad/envelopes");
    let expected = fs::read_to_string(folder.join("expect")).unwrap();
    let mut files = 0;
    for line in expected.lines().filter(|line| !line.starts_with('#')) {
        let [file, status, error, records, quarantined] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let sql = "SELECT status, coalesce(error, '-') AS error, coalesce(records, 0) AS records, \
                   coalesce(quarantined, 0) AS quarantined FROM objects";
        let ended = keytrail(["query", sql, "--events", "all", "--csv-exact", "--from", text(&folder.join(file))]);
        let found = ended.text().lines().nth(1).unwrap_or_default().to_owned();
        assert_eq!(found, [status, error, records, quarantined].join(","), "{file}: {}", ended.story());
        let is_whole = status != "quarantined" && quarantined == "0";
        assert_eq!(ended.code, Some(if is_whole { 0 } else { 3 }), "{file}: {}", ended.story());
        files += 1;
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), files + 1, "each file has its line");
}

/// The interval is half-open, in logs and in a store: an event at its start counts, one at its end does not.
#[test]
fn an_interval_has_its_start_and_not_its_end() {
    let (folder, store) = (one_log(), Store::new());
    let log = fs::read_to_string(folder.path().join("a.json")).unwrap();
    let seconds = ["2026-04-01T09:59:59Z", "2026-04-01T10:00:00Z", "2026-04-01T10:00:01Z", "2026-04-02T00:00:00Z"];
    for (number, time) in seconds.iter().enumerate() {
        let log = log.replace("2026-04-01T10:00:00Z", time).replace("000000000001", &format!("00000000000{number}"));
        assert!(log.contains(time));
        fs::write(folder.path().join(format!("{number}.json")), log).unwrap();
    }
    fs::remove_file(folder.path().join("a.json")).unwrap();
    ends(&store.ingest(folder.path(), &["--events", "all"]), 0, "");
    for (interval, expected) in [
        ("", "0123"),
        ("--until 2026-04-01T10:00:00Z", "0"),
        ("--until 2026-04-01T10:00:01Z", "01"),
        ("--since 2026-04-01T10:00:00Z", "123"),
        ("--since 2026-04-01T10:00:01Z", "23"),
        ("--since 2026-04-01T10:00:00Z --until 2026-04-01T10:00:01Z", "1"),
        ("--until 2026-04-02", "012"),
        ("--during 2026-04-01", "012"),
        ("--during 2026-04-02", "3"),
        ("--during 2026-04", "0123"),
    ] {
        for from in [folder.path(), &store.path] {
            let sql = "SELECT right(event_id, 1) AS n FROM events ORDER BY event_id";
            let asked = ["query", sql, "--events", "all", "-q", "-f", "csv", "--from", text(from)];
            let ended = keytrail(asked.into_iter().chain(interval.split_whitespace()));
            let found: String = ended.text().lines().skip(1).collect();
            assert_eq!(found, expected, "{interval} of {}: {}", from.display(), ended.story());
        }
    }
}

#[test]
fn a_file_that_changes_during_the_run_gives_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [large, small] = ["a.json.gz", "b.json"].map(|name| folder.path().join(name));
    for (changed, status) in [(&large, "changed read"), (&small, "read changed")] {
        fs::write(&large, sparse(1 << 30)).unwrap();
        fs::copy(root().join("tests/bad/envelopes/records-only-escaped.json"), &small).unwrap();
        let sql = "SELECT string_agg(status, ' ' ORDER BY uri) AS found, sum(kept) AS kept FROM objects";
        let mut asked = Command::new(BINARY);
        asked.args(["query", sql, "--events", "all", "--threads", "1", "-f", "csv", "--from", text(folder.path())]);
        let mut running = asked.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let opened = format!("/proc/{}/fd", running.id());
        let is_open = || {
            let files = fs::read_dir(&opened).into_iter().flatten().flatten();
            files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file == large.canonicalize().unwrap())
        };
        while !is_open() {
            assert!(running.try_wait().unwrap().is_none(), "the large file was not seen open");
            std::thread::sleep(Duration::from_micros(100));
        }
        fs::File::options().append(true).open(changed).unwrap().write_all(b"\n").unwrap();
        let ended = running.wait_with_output().unwrap();
        let found = String::from_utf8(ended.stdout).unwrap();
        let kept = if changed == &large { 1 } else { 2 };
        assert_eq!(found, format!("found,kept\n{status},{kept}\n"), "{}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(ended.status.code(), Some(3));
    }
}

/// The time of a run counts computing alone: whoever writes to its standard input, or a slow disk below a store, may take
/// longer altogether than `--timeout` says.
#[test]
fn time_that_reading_takes_is_not_counted() {
    std::thread::scope(|scope| {
        scope.spawn(reads_of_a_slow_writer);
        reads_of_a_slow_disk();
    });
}

fn reads_of_a_slow_writer() {
    let log = fs::read(root().join("tests/bad/envelopes/records-only-escaped.json")).unwrap();
    let ask = ["query", COUNT, "--events", "all", "-f", "csv", "--timeout", "4s", "--from", "-"];
    let mut slow = Command::new(BINARY);
    slow.args(ask).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = slow.spawn().unwrap();
    let mut to = running.stdin.take().unwrap();
    for part in log.chunks(log.len() / 6 + 1) {
        // A run that has ended reads no more; its exit code tells.
        to.write_all(part).unwrap_or_else(|error| eprintln!("{error}"));
        std::thread::sleep(Duration::from_secs(1));
    }
    drop(to);
    let ended = running.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn reads_of_a_slow_disk() {
    if !has_program("strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let store = Store::new();
    ends(&store.ingest(&logs(), &[]), 0, "");
    let ask = format!("query 'SELECT sum(length(raw)) FROM events' -q --threads 1 --from {}", store.text());
    // Some eighty reads, each of which begins with a step to its place.
    let slowly = "strace -f -qq -o /dev/null -e trace=lseek -e inject=lseek:delay_exit=130000";
    ends(&shell_line_in(&format!("{slowly} {BINARY} {ask} --timeout 4s"), root()), 0, "");
}

/// Begins a command line of somebody whom modes of files and `ulimit` bind, which root is not. None if that cannot be done.
fn stranger() -> Option<String> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Some(String::new());
    }
    let words = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    has_program("setpriv", &[&words[..], &["true"]].concat()).then(|| format!("setpriv {} ", words.join(" ")))
}

fn as_a_stranger(stranger: &str, args: &[&str]) -> Ended {
    let quoted = args.iter().map(|arg| format!("'{arg}'")).collect::<Vec<_>>().join(" ");
    shell_line_in(&format!("TMPDIR=/tmp {stranger}{BINARY} {quoted}"), root())
}

#[test]
fn a_system_without_a_thread_to_give_is_told() {
    let Some(stranger) = stranger().filter(|_| has_program("prlimit", &["true"])) else { return };
    let from = root().join("tests/bad/envelopes/records-only-escaped.json");
    for threads in [1, 4] {
        let run = format!("{BINARY} audit {} --threads {threads}", from.display());
        let ended = shell_line_in(&format!("{stranger}prlimit --nproc=1 {run}"), root());
        ends(&ended, 5, "error: ");
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

#[test]
fn a_store_that_may_not_be_read_is_no_folder_of_logs() {
    let Some(stranger) = stranger() else { return };
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let [store, other, logs_too] = ["store", "other", "logs"].map(|name| folder.path().join(name));
    fs::create_dir_all(logs_too.join("events")).unwrap();
    fs::copy(root().join("tests/bad/envelopes/records-only-escaped.json"), logs_too.join("a.json")).unwrap();
    let modes = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    ends(&keytrail(["ingest", text(&logs()), "--store", text(&store)]), 0, "");
    for (closed, mode) in
        [(store.clone(), 0o700), (store.join("events"), 0o700), (store.join("events/_delta_log"), 0o600)]
    {
        [&store, &store.join("events"), &store.join("events/_delta_log")].iter().for_each(|open| modes(open, 0o755));
        modes(&closed, if fs::metadata("/proc/self").unwrap().uid() == 0 { mode } else { 0 });
        for args in [
            vec!["query", "SELECT 1", "--from", text(&store)],
            vec!["audit", text(&store)],
            vec!["store", "check", text(&store)],
            vec!["ingest", text(&store), "--store", text(&other)],
        ] {
            // The name of the log is enough to know a store.
            let is_known = args[0] == "ingest" && closed.ends_with("_delta_log");
            let (code, says) = if is_known { (2, "is a store") } else { (5, "ermission denied") };
            ends(&as_a_stranger(&stranger, &args), code, says);
        }
    }
    // A folder of logs with a closed folder in it is read, and what is closed is counted.
    modes(&logs_too.join("events"), 0);
    let asked = ["query", COUNT, "--events", "all", "-f", "csv", "--from", text(&logs_too)];
    let ended = as_a_stranger(&stranger, &asked);
    assert_eq!((ended.text(), ended.code), ("n\n1\n", Some(3)), "{}", ended.stderr);
}

/// With few handles a run fails aloud or answers as ever; with 256 it answers.
#[test]
fn few_handles_change_no_answer() {
    let store = Store::new();
    ends(&store.ingest(&logs(), &["--batch-bytes", "1"]), 0, "");
    let from = text(&store.path);
    let right = keytrail(["audit", from, "-q", "-f", "json"]);
    ends(&right, 0, "");
    for handles in [8, 12, 16, 20, 24, 28, 32, 64, 256] {
        let limits = Limits { open_files: Some(handles), ..Limits::default() };
        // Each thread has files open.
        let ended = keytrail_within(["audit", from, "-q", "-f", "json", "--threads", "4"], limits);
        match ended.code {
            Some(0) => assert!(ended.stdout == right.stdout, "{handles}"),
            code => assert!(
                code == Some(5) && handles < 256 && ended.stderr.contains("error: "),
                "{handles}: {}",
                ended.story()
            ),
        }
    }
}

#[test]
fn a_store_is_its_owners_whatever_the_umask() {
    for (umask, more, folder_mode, file_mode) in [
        ("000", "", 0o700, 0o600),
        ("022", "", 0o700, 0o600),
        ("077", "", 0o700, 0o600),
        ("000", "--store-mode group", 0o2750, 0o640),
        ("077", "--store-mode group", 0o2750, 0o640),
    ] {
        let store = Store::new();
        let line = |more: &str| {
            let (logs, store) = (logs(), store.text());
            shell_line_in(&format!("umask {umask}; keytrail ingest {} --store {store} {more}", logs.display()), root())
        };
        ends(&line(more), 0, "");
        ends(&line(""), 0, "nothing new");
        ends(&shell_line_in(&format!("umask {umask}; keytrail store compact {}", store.text()), root()), 0, "");
        assert_eq!(modes(&store.path), [folder_mode, file_mode], "umask {umask} {more}");
        if more.is_empty() {
            ends(&line("--store-mode group"), 0, "nothing new");
            assert_eq!(modes(&store.path), [0o2750, 0o640], "a store that is there takes the mode");
        }
    }
}

fn mode_of(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn output_is_as_readable_as_its_user_says() {
    let folder = one_log();
    let from = folder.path().display();
    for (umask, mode) in [("000", 0o666), ("022", 0o644), ("077", 0o600)] {
        let out = tempfile::tempdir().unwrap();
        let at = out.path().display();
        for (name, run) in [
            ("query.json", format!("keytrail query '{COUNT}' --from {from} -f json -o")),
            ("audit.md", format!("keytrail audit {from} -o")),
            ("summary.json", format!("keytrail ingest {from} --store {at}/store --events all --summary-json")),
        ] {
            let file = out.path().join(name);
            let line = |more: &str| shell_line_in(&format!("umask {umask}; {run} {at}/{name} {more}"), root());
            ends(&line(""), 0, "");
            assert_eq!(mode_of(&file), mode, "{name}, umask {umask}");
            // What replaces a file is for those whom the file was for.
            let force = if name == "summary.json" { "" } else { "--force" };
            for of_earlier in [0o640, 0o600, 0o666] {
                fs::set_permissions(&file, fs::Permissions::from_mode(of_earlier)).unwrap();
                ends(&line(force), 0, "");
                assert_eq!(mode_of(&file), of_earlier, "{name}, umask {umask}");
            }
        }
    }
}

#[test]
fn files_of_a_run_are_its_owners_while_it_runs() {
    for (umask, mode) in [("000", 0o666), ("022", 0o644), ("077", 0o600)] {
        let out = tempfile::tempdir().unwrap();
        fs::create_dir(out.path().join("tmp")).unwrap();
        let line = format!("umask {umask}; exec {BINARY} query '{COUNT}' --from - -o answer.csv");
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(out.path()).env("TMPDIR", out.path().join("tmp"));
        // It waits for the end of its input, which nobody writes.
        let mut running = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let opened = format!("/proc/{}/fd", running.id());
        let (staged, temporary) = loop {
            assert!(running.try_wait().unwrap().is_none(), "its files were not seen open");
            let handles = fs::read_dir(&opened).into_iter().flatten().flatten().map(|handle| handle.path());
            let handles: Vec<_> = handles.filter_map(|handle| Some((fs::read_link(&handle).ok()?, handle))).collect();
            let is_staged = |file: &Path| file.extension().is_some_and(|end| end == "part");
            let staged = handles.iter().find(|(file, _)| is_staged(file));
            let temporary = handles.iter().find(|(file, _)| file.starts_with(out.path().join("tmp")));
            if let (Some((_, staged)), Some((_, temporary))) = (staged, temporary) {
                break (mode_of(staged), mode_of(temporary));
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!((staged, temporary), (mode, 0o600), "umask {umask}");
        running.kill().unwrap();
        running.wait().unwrap();
    }
}

#[test]
fn the_history_of_the_shell_is_its_users() {
    if !has_program("python3", &["-c", "import pty"]) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let shown = typed_at(home.path(), &["SELECT 'so ' || 'it is' AS a;".to_owned()], &[]);
    assert!(shown.contains("\nso it is"), "{shown}");
    let history = home.path().join("keytrail/history");
    assert!(fs::read_to_string(&history).unwrap().contains("SELECT 'so '"));
    assert_eq!([mode_of(history.parent().unwrap()), mode_of(&history)], [0o700, 0o600]);
}

/// The one mode of all folders of a store, and that of all files.
fn modes(store: &Path) -> [u32; 2] {
    let mut found = [Vec::new(), Vec::new()];
    let mut waiting = vec![store.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        found[usize::from(about.is_file())].push(about.mode() & 0o7777);
        if about.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.map(|mut modes| {
        modes.sort_unstable();
        modes.dedup();
        assert_eq!(modes.len(), 1, "{modes:?}");
        modes[0]
    })
}

#[test]
fn a_store_that_others_may_write_is_refused() {
    let store = Store::new();
    ends(&store.ingest(&logs(), &[]), 0, "");
    let place = store.text();
    let day = store.files()[0].parent().unwrap().to_owned();
    for folder in [store.path.clone(), store.path.join("events"), store.path.join("objects/_delta_log"), day] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o702)).unwrap();
        for args in [
            vec!["audit", place],
            vec!["query", COUNT, "--from", place],
            vec!["store", "check", place],
            vec!["store", "compact", place],
            vec!["ingest", text(&logs()), "--store", place],
        ] {
            ends(&keytrail(&args), 2, "others than its owner may write the store");
            ends(&keytrail([&args[..], &["--allow-shared-store"]].concat()), 0, "");
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
    ends(&keytrail(["store", "check", place]), 0, "");
}

#[test]
fn a_store_is_no_log() {
    let (store, other) = (Store::new(), Store::new());
    ends(&store.ingest(&logs(), &[]), 0, "");
    for more in [&[][..], &["--dry-run"]] {
        ends(&other.ingest(&store.path, more), 2, "is a store, and `ingest` reads logs");
    }
    assert!(!other.path.exists());
}

#[test]
fn output_replaces_no_evidence() {
    let folder = one_log();
    let (from, log) = (folder.path(), folder.path().join("a.json"));
    let before = fs::read(&log).unwrap();
    let out = tempfile::tempdir().unwrap();
    let link = out.path().join("link.json");
    symlink(&log, &link).unwrap();
    symlink(out.path().join("nothing"), out.path().join("dangling.json")).unwrap();
    let hard = out.path().join("hard.json");
    fs::hard_link(&log, &hard).unwrap();
    for (from, to, says) in [
        (from, log.clone(), "it is read"),
        (&log, log.clone(), "it is read"),
        (&log, hard, "it is read"),
        (from, from.join("./a.json"), "it is read"),
        (from, link.clone(), "it is"),
        (out.path(), link, "it is a link"),
        (from, out.path().join("dangling.json"), "it is a link"),
    ] {
        let ended = keytrail(["query", COUNT, "--from", text(from), "-f", "json", "-o", text(&to), "--force"]);
        ends(&ended, 2, says);
    }
    ends(&keytrail(["audit", text(from), "-f", "json", "-o", text(&log), "--force"]), 2, "it is read");
    let store = from.with_extension("store");
    let ingest = |summary: &Path| {
        keytrail(["ingest", text(from), "--store", text(&store), "--events", "all", "--summary-json", text(summary)])
    };
    ends(&ingest(&log), 2, "it is read");
    // A store, whose log a new file may be of as well.
    let summary = out.path().join("summary.json");
    ends(&ingest(&summary), 0, "");
    let commits = store.join("events/_delta_log");
    let first = commits.join(format!("{:020}.json", 0));
    let (commit, next) = (fs::read(&first).unwrap(), commits.join(format!("{:020}.json", 7)));
    for file in [&first, &next, &store.join("ids/x.json"), &store.join("objects/x.json"), &store.join("new.json")] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        ends(&ingest(file), 2, "cannot write");
        let ask = ["query", COUNT, "--from", text(&store), "-f", "json", "-o", text(file), "--force"];
        ends(&keytrail(ask), 2, "cannot write");
    }
    assert!(fs::read(&first).unwrap() == commit && !next.exists());
    ends(&ingest(&summary), 0, "nothing new");
    assert_eq!(fs::read(&log).unwrap(), before);
    ends(&keytrail(["store", "check", text(&store)]), 0, "");
    fs::remove_dir_all(&store).unwrap();
    // A report among the logs is none of them.
    let report = from.join("report.md");
    for more in [&[][..], &["--force"]] {
        ends(&keytrail([&["query", COUNT, "--from", text(from), "-o", text(&report)][..], more].concat()), 0, "");
    }
}

#[test]
fn output_replaces_no_file_of_the_question() {
    let (folder, logs) = (tempfile::tempdir().unwrap(), one_log());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (log, from) = (logs.path().join("a.json"), text(logs.path()));
    fs::write(path("q.sql"), COUNT).unwrap();
    fs::write(path("value"), "x").unwrap();
    fs::write(path("accept.toml"), "").unwrap();
    fs::create_dir(path("state")).unwrap();
    let answer = r#"{"KeyRotationEnabled":true,"KeyId":"arn:aws:kms:eu-west-1:111122223333:key/k"}"#;
    fs::write(path("state/a.json"), answer).unwrap();
    fs::copy(&log, path("log.json")).unwrap();
    let of_value = format!("x=@{}", path("value"));
    for (asked, to) in [
        (vec!["query", "--file", &path("q.sql"), "--from", from], "q.sql"),
        (vec!["query", "SELECT $x AS x", "-p", &of_value, "--from", from], "value"),
        (vec!["query", COUNT, "--accept", &path("accept.toml"), "--from", from], "accept.toml"),
        (vec!["query", COUNT, "--state", &path("state"), "--from", from], "state/a.json"),
        (
            vec!["query", COUNT, "--state", &format!("{}@2026-01-01", path("state/a.json")), "--from", from],
            "state/a.json",
        ),
        (vec!["audit", "--accept", &path("accept.toml"), from], "accept.toml"),
        (vec!["trace", "alias/a", "--state", &path("state/a.json"), "--from", from], "state/a.json"),
    ] {
        let before = fs::read(path(to)).unwrap();
        let ended = keytrail([&asked[..], &["-f", "json", "-o", &path(to), "--force"]].concat());
        ends(&ended, 2, "it is read");
        assert_eq!(fs::read(path(to)).unwrap(), before, "{asked:?}");
    }
    for (line, name) in [
        (format!("keytrail query '{COUNT}' --from - -f json -o log.json --force < log.json"), "log.json"),
        (format!("keytrail query - --from {from} -f json -o q.sql --force < q.sql"), "q.sql"),
    ] {
        let before = fs::read(path(name)).unwrap();
        ends(&shell_line_in(&line, folder.path()), 2, "it is read");
        assert_eq!(fs::read(path(name)).unwrap(), before, "{line}");
    }
}

#[test]
fn a_user_and_hostile_signs_are_not_echoed() {
    let folder = one_log();
    for args in [
        vec!["audit", "https://USER:SECRET@host/x"],
        vec!["audit", "s3://USER:SECRET@bucket"],
        vec!["query", COUNT, "--from", "ftp://SECRET@host"],
        vec!["ingest", text(folder.path()), "--store", "s3://USER:SECRET@bucket/x"],
        vec!["audit", text(folder.path()), "--endpoint-url", "https://USER:SECRET@host"],
        vec!["audit", text(folder.path()), "--endpoint-url", "ftp://USER:SECRET@host"],
        vec!["https://USER:SECRET@host"],
        vec!["audit", "--color", "https://USER:SECRET@host"],
        vec!["audit", "--bogus=https://USER:SECRET@host"],
        vec!["audit", "--\u{202e}\u{1b}[2Jbogus"],
        vec!["\u{202e}bogus"],
    ] {
        let ended = keytrail(&args);
        ends(&ended, 2, "error");
        let is_shown = |c: char| !c.is_control() && c != '\u{202e}' || c == '\n';
        assert!(!ended.stderr.contains("SECRET") && ended.stderr.chars().all(is_shown), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn csv_is_exact_on_demand() {
    let folder = one_log();
    let ask = |more: &[&str]| {
        let sql = "SELECT '=1' AS a, '''=1' AS b, -1 AS n";
        keytrail([&["query", sql, "--from", text(folder.path())], more].concat())
    };
    assert_eq!(ask(&["-f", "csv"]).text(), "a,b,n\n'=1,''=1,-1\n");
    for more in [&["--csv-exact"][..], &["--csv-exact", "-f", "csv"]] {
        assert_eq!(ask(more).text(), "a,b,n\n=1,'=1,-1\n");
    }
    ends(&ask(&["--csv-exact", "-f", "json"]), 2, "--csv-exact is for CSV");
}

#[test]
fn a_closed_stdout_is_told() {
    let folder = one_log();
    let from = folder.path().display();
    for (line, code) in [
        (format!("keytrail query '{COUNT}' --from {from} >&-"), 5),
        (format!("keytrail audit {from} >&-"), 5),
        ("keytrail queries >&-".to_owned(), 5),
        (format!("keytrail query '{COUNT}' --from {from} >/dev/null"), 0),
        (format!("keytrail query '{COUNT}' --from {from} 1<>/dev/null"), 0),
        (format!("keytrail ingest {from} --store {from}.store >&-"), 0),
    ] {
        let ended = shell_line_in(&line, root());
        ends(&ended, code, if code == 5 { "cannot write the output" } else { "" });
    }
    fs::remove_dir_all(format!("{from}.store")).unwrap();
}

#[test]
fn whose_fault_it_is() {
    let store = Store::new();
    ends(&store.ingest(&logs(), &[]), 0, "");
    let from = store.text();
    let large = format!("SELECT regexp_replace(raw, '({}){{1000}}', 'x') FROM events", "a{1000}");
    ends(&keytrail(["query", &large, "--from", from]), 2, "regex");
    ends(&keytrail(["query", "SELECT regexp_replace(raw, '(', 'x') FROM events", "--from", from]), 2, "regex");
    ends(&keytrail(["query", "SELECT 9223372036854775807 + 1", "--from", from]), 2, "verflow");
    // As docs/sql.md says.
    let sum = "SELECT sum(n) AS n FROM (VALUES (9223372036854775807), (1)) AS t (n)";
    assert_eq!(keytrail(["query", sum, "-f", "csv", "--from", from]).text(), "n\n-9223372036854775808\n");
    ends(&keytrail(["query", "SHOW ALL", "--from", from]), 2, "SHOW TABLES, SHOW COLUMNS and SHOW FUNCTIONS");
    // Pages, from the start of the file, and then what stands behind them, of which the log has a hash.
    let file = store.files().remove(0);
    let mut bytes = fs::read(&file).unwrap();
    for (end, code, said) in [(bytes.len() / 4, 5, "error: cannot"), (bytes.len() * 2 / 3, 4, "another SHA-256")] {
        bytes[4..end].fill(0xa5);
        fs::write(&file, &bytes).unwrap();
        ends(&keytrail(["query", "SELECT * FROM events", "--from", from]), code, said);
    }
}
