//! The command line as a user meets it: exit codes, formats, files, and the stream of each text.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const HOSTILE: &str = "\u{1b}[31m\u{202e}=1+1";

fn keytrail(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytrail"));
    command.args(args).env_remove("KEYTRAIL_FROM").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    keytrail(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn decrypt(n: usize, agent: &str) -> Value {
    json!({
        "eventVersion": "1.11", "eventTime": format!("2026-03-{:02}T09:00:00Z", n % 28 + 1), "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt", "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
        "eventID": format!("00000000-0000-4000-8000-{n:012}"), "eventType": "AwsApiCall", "readOnly": true, "userAgent": agent,
        "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": "arn:aws:iam::111122223333:user/ada", "accountId": "111122223333", "userName": "ada"},
        "resources": [{"ARN": KEY, "accountId": "111122223333", "type": "AWS::KMS::Key"}],
    })
}

/// A folder with one log file of these records.
fn logs(records: &[Value]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), json!({"Records": records}).to_string()).unwrap();
    folder
}

fn two() -> TempDir {
    logs(&[decrypt(1, "cli"), decrypt(2, HOSTILE)])
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const ROWS: &str = "SELECT event_time, user_agent, record_index FROM events ORDER BY event_time";

#[test]
fn done_is_0() {
    let folder = two();
    for args in [
        vec!["query", "SELECT count(*) FROM events", "--from", text(folder.path())],
        vec!["query", "SELECT 1", "--from", text(folder.path())],
        vec!["audit", text(folder.path())],
        vec![
            "audit",
            text(folder.path()),
            "-f",
            "json",
            "--since",
            "2026-01-01",
            "--account",
            "111122223333",
            "--region",
            "eu-west-1",
        ],
        vec!["queries"],
        vec!["queries", "-f", "json"],
        vec!["man"],
        vec!["--help"],
        vec!["audit", "--help"],
        vec!["--version"],
    ] {
        let output = run(&args);
        assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
        assert!(!output.stdout.is_empty(), "{args:?}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stdout(&run(&["completions", shell])).contains("keytrail"), "{shell}");
    }
}

#[test]
fn usage_is_2_and_reads_nothing() {
    let folder = two();
    let from = text(folder.path());
    let within = folder.path().join("new/store");
    let sheet = folder.path().join("x.xlsx");
    let beside = folder.path().with_extension("store");
    fs::write(&sheet, "[[accept]]\nuri = '*'\nreason = 'x'\nexpires = 2999-01-01\n").unwrap();
    for (args, says) in [
        (vec!["ingest", from, "--store", from], "in one another"),
        (vec!["ingest", from, "--store", text(&within)], "in one another"),
        (vec!["audit"], "KEYTRAIL_FROM"),
        (vec!["query"], "no query given"),
        (vec!["bogus"], "bogus"),
        (vec!["trace", "x"], "KEYTRAIL_FROM"),
        (vec!["trace", "--from", from], "SUBJECT"),
        (vec!["trace", "x", "--from", from, "-f", "csv"], "csv"),
        (vec!["audit", from, "--since", "yesterday"], "--since"),
        (vec!["audit", from, "--until", "2026-02-30"], "--until"),
        (vec!["audit", from, "--during", "2026-13"], "--during"),
        (vec!["audit", from, "--during", "2026", "--since", "7d"], "--since"),
        (vec!["audit", from, "--since", "2026-03-02", "--until", "2026-03-02"], "[since, until)"),
        (vec!["audit", from, "--since", "2026-03-02", "--until", "2026-03-01"], "[since, until)"),
        (vec!["audit", from, "--account", "1234"], "12 digits"),
        (vec!["audit", from, "--region", "Frankfurt"], "eu-west-1"),
        (vec!["audit", from, "--region", "us-esat-1"], "did you mean `us-east-1`"),
        (vec!["audit", from, "--region", "us-east-9"], "no log here is of it"),
        (vec!["query", "SELECT 1", "--from", from, "--region", "us-east-9"], "did you mean `us-east-1`"),
        (vec!["ingest", from, "--store", text(&beside), "--region", "us-east-9"], "no log here is of it"),
        (vec!["audit", "cloudtrail://us-esat-1"], "cloudtrail://REGION"),
        (vec!["audit", from, "--expect", "111122223333"], "111122223333/eu-west-1"),
        (vec!["audit", from, "--expect-until", "soon"], "--expect-until"),
        (vec!["audit", from, "--accept", text(&sheet)], "owner"),
        (vec!["query", "role-session", "--from", from], "-p session=VALUE"),
        (vec!["query", "key-users", "-p", "keys=x", "--from", from], "did you mean `key`?"),
        (vec!["query", "key-users", "-p", "key=", "--from", from], "no key has an empty name"),
        (vec!["audit", from, "--org-id", "acme"], "o-exampleorgid"),
        (vec!["audit", from, "-f", "csv"], "csv"),
        (vec!["audit", "https://bucket.example/prefix"], "hint:"),
        (vec!["audit", "s3://"], "s3://BUCKET/PREFIX"),
        (vec!["ingest", "--store", "s", "--print-policy"], "KEYTRAIL_FROM"),
        (vec!["ingest", "bogus://x", "--store", "s", "--print-policy"], "s3://BUCKET/PREFIX"),
        (vec!["ingest", "s3://logs", "--store", "s3://logs/kt"], "s3://BUCKET/AWSLogs and s3://BUCKET/keytrail"),
        (vec!["ingest", "s3://logs/AWSLogs", "--store", "s3://logs"], "lie in one another"),
        (vec!["ingest", "s3://logs/events/AWSLogs/", "--store", "s3://logs"], "lie in one another"),
        (vec!["ingest", "s3://logs", "--store", "s3://logs/kt", "--print-policy"], "lie in one another"),
        (vec!["ingest", "-", "--store", "kt", "--print-policy"], "cannot ingest stdin"),
        (vec!["ingest", "s3://logs/AWSLogs", "--store", "s3://logs/AWSLogs"], "AWSLogs"),
        (vec!["ingest", "s3://logs/AWSLogs", "--store", "s3://stores/AWSLogs/kt"], "without AWSLogs"),
        (vec!["audit", "cloudtrail://Frankfurt"], "cloudtrail://REGION"),
        (vec!["audit", "s3://bucket", "--endpoint-url", "bucket.example"], "https://"),
        (vec!["query", "SELEC 1", "--from", from], "error:"),
        (vec!["query", "SELECT * FROM nothing", "--from", from], "nothing"),
        (vec!["query", "SELECT * FROM evnts", "--from", from], "did you mean `events`"),
        (vec!["query", "SELECT evnt_id FROM events", "--from", from], "No field named evnt_id"),
        (vec!["query", "SELECT evnt_id FROM events", "--from", from], "the nearest are `event_id`, "),
        (vec!["query", "SELECT raw -> 'a' FROM events", "--from", from], "json_get_str(column, 'key', …)"),
        (vec!["query", "SELECT raw ->> 'a' FROM events", "--from", from], "json_get_str(column, 'key', …)"),
        (vec!["query", "SELECT json_extract(raw, '$.a') FROM events", "--from", from], "json_get_str(column"),
        (vec!["query", "SELECT * FROM event_companions", "--from", from], "`SHOW TABLES`"),
        (vec!["query", "no-such-query", "--from", from], "no-such-query"),
        (vec!["queries", "no-such-query"], "no-such-query"),
        (vec!["queries", "key-user"], "did you mean `key-users`"),
        (vec!["query", "COPY (SELECT 1) TO 'x.csv'", "--from", from], "error:"),
        (vec!["query", "SELECT 1", "--from", from, "-p", "novalue"], "name=value"),
        (vec!["query", "-", "--from", "-"], "stdin"),
        (vec!["query", "SELECT 1", "--from", from, "-q", "-v"], "--verbose"),
        (vec!["query", "SELECT 1", "--from", from, "--threads", "0"], "threads"),
        (vec!["query", "SELECT 1", "--from", from, "--force"], "--output"),
        (vec!["query", "SELECT 1", "--from", from, "-o", from], "directory"),
        (vec!["query", "SELECT 1", "--from", from, "-o", text(&sheet)], "`.xlsx`"),
        (vec!["audit", from, "-o", text(&sheet)], "-f"),
        (vec!["query", "SELECT $who, $when", "--from", from, "-p", "who=x"], "-p when=VALUE"),
        (vec!["query", "SELECT ?", "--from", from], "-p name=VALUE"),
    ] {
        let output = run(&args);
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(stderr(&output).contains(says), "{args:?}: {}", stderr(&output));
        assert!(
            stderr(&output).lines().filter(|l| l.starts_with("error:")).count() == 1,
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

/// A session lists all that it has, even views that no statement has named yet.
#[test]
fn tables_and_functions_are_listed() {
    let folder = two();
    let listed = |sql: &str| -> Vec<Value> {
        let output = run(&["query", sql, "--from", text(folder.path()), "-f", "json"]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let tables = listed("SHOW TABLES");
    let types = |schema: &str, ty: &str| {
        let rows = tables.iter().filter(|row| row["table_schema"] == schema && row["table_type"] == ty);
        rows.map(|row| row["table_name"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(types("main", "BASE TABLE"), ["events", "objects", "quarantine"]);
    let views: Vec<&str> = keytrail::sql::views::all().iter().map(|view| view.name).collect();
    assert_eq!(types("main", "VIEW"), views);
    let functions = [listed("SHOW FUNCTIONS LIKE 'json%'"), listed("SHOW FUNCTIONS LIKE 'names%'")].concat();
    for function in keytrail::sql::functions::FUNCTIONS {
        let row = functions.iter().find(|row| row["function_name"] == function.name);
        let row = row.unwrap_or_else(|| panic!("{} is not listed: {functions:?}", function.name));
        assert_eq!(row["syntax_example"], function.syntax);
        assert_eq!(row["description"], function.description);
    }
}

#[test]
fn request_that_lacked_a_flag_succeeds_with_it() {
    let folder = two();
    let (from, sheet) = (text(folder.path()), folder.path().join("x.xlsx"));
    let sql = "SELECT $who AS who";
    let output = run(&["query", sql, "--from", from, "-p", "who=x", "-o", text(&sheet), "-f", "csv"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&sheet).unwrap(), "who\nx\n");
}

#[test]
fn a_dash_is_stdout() {
    let folder = two();
    let mut command = keytrail(&["query", "SELECT 1 AS n", "--from", text(folder.path()), "-o", "-", "-f", "csv"]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_eq!((code(&output), stdout(&output)), (0, "n\n1\n".to_owned()), "{}", stderr(&output));
    assert!(!folder.path().join("-").exists());
}

#[test]
fn incomplete_is_3_with_results() {
    let broken = logs(&[decrypt(1, "cli"), json!({"not": "a record"})]);
    let damaged = two();
    fs::write(damaged.path().join("b.json.gz"), b"\x1f\x8b\x08\x00 damaged").unwrap();
    for folder in [&broken, &damaged] {
        let output = run(&["query", "SELECT count(*) AS n FROM events", "--from", text(folder.path()), "-f", "csv"]);
        assert_eq!(code(&output), 3, "{}", stderr(&output));
        assert!(stdout(&output).starts_with("n\n"));
        let audit = run(&["audit", text(folder.path()), "-f", "json"]);
        assert_eq!(code(&audit), 3);
        let report: Value = serde_json::from_slice(&audit.stdout).unwrap();
        assert_eq!(report["summary"]["complete"], json!(false));
    }
    let named = stderr(&run(&["audit", text(damaged.path())]));
    assert!(named.contains("b.json.gz"), "{named}");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(code(&run(&["audit", text(empty.path())])), 3, "no log at all");
}

#[test]
fn the_world_is_5() {
    let folder = two();
    let from = text(folder.path());
    let nowhere = folder.path().join("nowhere/out.csv");
    for args in [
        vec!["audit", "no/such/place"],
        vec!["query", "SELECT 1", "--from", "no/such/place"],
        vec!["query", "SELECT 1", "--from", from, "-o", text(&nowhere)],
        vec!["query", "--file", "no/such/file.sql", "--from", from],
    ] {
        let output = run(&args);
        assert_eq!(code(&output), 5, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("error: cannot "), "{}", stderr(&output));
    }
}

/// Asks for far more rows than a pipe holds, for runs that are stopped from outside.
fn endless(folder: &TempDir) -> std::process::Child {
    let sql = "SELECT a.event_id FROM events a CROSS JOIN events b CROSS JOIN events c";
    let mut command = keytrail(&["query", sql, "--from", text(folder.path()), "-f", "jsonl"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn many() -> TempDir {
    logs(&(0..200).map(|n| decrypt(n, "cli")).collect::<Vec<_>>())
}

#[test]
fn a_closed_pipe_is_quiet() {
    let folder = many();
    let mut child = endless(&folder);
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(line.contains("event_id"));
    drop(reader);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!said.contains("error") && !said.contains("panicked"), "{said}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_is_130() {
    let folder = many();
    for signal in ["-INT", "-TERM"] {
        let mut child = endless(&folder);
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        // The shell has a `kill` of its own, even if no such program is installed.
        let kill = format!("kill {signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
    }
}

#[test]
fn formats_are_as_promised() {
    let folder = two();
    let from = text(folder.path());
    let shown = "\\x1b[31m\\u{202e}=1+1";
    let in_json = "\\u001b[31m\\u202e=1+1";
    for (format, expected) in [
        ("csv", format!("event_time,user_agent,record_index\n2026-03-02T09:00:00Z,cli,0\n2026-03-03T09:00:00Z,{HOSTILE},1\n")),
        ("jsonl", format!("{{\"event_time\":\"2026-03-02T09:00:00Z\",\"user_agent\":\"cli\",\"record_index\":0}}\n{{\"event_time\":\"2026-03-03T09:00:00Z\",\"user_agent\":\"{in_json}\",\"record_index\":1}}\n")),
        ("json", format!("[\n{{\"event_time\":\"2026-03-02T09:00:00Z\",\"user_agent\":\"cli\",\"record_index\":0}},\n{{\"event_time\":\"2026-03-03T09:00:00Z\",\"user_agent\":\"{in_json}\",\"record_index\":1}}\n]\n")),
        ("table", format!("event_time            user_agent            record_index\n────────────────────  ────────────────────  ────────────\n2026-03-02T09:00:00Z  cli                              0\n2026-03-03T09:00:00Z  {shown}             1\n")),
        ("markdown", "| event\\_time | user\\_agent | record\\_index |\n| --- | --- | ---: |\n| 2026-03-02T09:00:00Z | cli | 0 |\n| 2026-03-03T09:00:00Z | &#92;x1b\\[31m&#92;u&#123;202e&#125;=1+1 | 1 |\n".to_owned()),
    ] {
        let output = run(&["query", ROWS, "--from", from, "-f", format]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert_eq!(stdout(&output), expected, "{format}");
    }
    assert!(run(&["query", ROWS, "--from", from, "-f", "parquet"]).stdout.starts_with(b"PAR1"));
    assert!(run(&["query", ROWS, "--from", from, "-f", "arrow"]).stdout.starts_with(b"ARROW1"));
}

#[test]
fn csv_guards_formulas_and_keeps_numbers() {
    let folder = logs(&[decrypt(1, "=1+1")]);
    let output = run(&["query", "SELECT user_agent, -1 AS n FROM events", "--from", text(folder.path()), "-f", "csv"]);
    assert_eq!(stdout(&output), "user_agent,n\n'=1+1,-1\n");
}

#[test]
fn files_are_kept_unless_forced() {
    let folder = two();
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("rows.csv");
    let args = ["query", ROWS, "--from", text(folder.path()), "-o", text(&path)];
    assert_eq!(code(&run(&args)), 0);
    assert!(fs::read_to_string(&path).unwrap().starts_with("event_time,user_agent"), "the ending picks the format");
    fs::write(&path, "mine").unwrap();
    let refused = run(&args);
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("--force"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    let forced = run(&[&args[..], &["--force"]].concat());
    assert_eq!(code(&forced), 0, "{}", stderr(&forced));
    assert!(fs::read_to_string(&path).unwrap().starts_with("event_time"));
    // A failing query leaves no file and no part of one.
    let failed = run(&[
        "query",
        "SELECT nope FROM events",
        "--from",
        text(folder.path()),
        "-o",
        text(&out.path().join("x.csv")),
    ]);
    assert_eq!(code(&failed), 2);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
}

#[test]
fn colors_are_asked_for_or_absent() {
    let folder = two();
    let args = ["query", "SELECT 1 AS one", "--from", text(folder.path())];
    assert!(!run(&args).stdout.contains(&0x1b), "a pipe is no terminal");
    assert!(run(&[&args[..], &["--color", "always"]].concat()).stdout.contains(&0x1b));
    let error = keytrail(&["query", "nope", "--color", "never"]).env("NO_COLOR", "1").output().unwrap();
    assert!(!error.stderr.contains(&0x1b));
}

#[test]
fn locations_come_from_the_environment_and_stdin() {
    let folder = two();
    let sql = "SELECT count(*) AS n FROM events";
    let by_env = keytrail(&["query", sql, "-f", "csv"]).env("KEYTRAIL_FROM", folder.path()).output().unwrap();
    assert_eq!(stdout(&by_env), "n\n2\n");
    let file = fs::File::open(folder.path().join("a.json")).unwrap();
    let by_stdin = keytrail(&["query", sql, "--from", "-", "-f", "csv"]).stdin(file).output().unwrap();
    assert_eq!(stdout(&by_stdin), "n\n2\n", "{}", stderr(&by_stdin));
    let mut child = keytrail(&["query", "-", "--from", text(folder.path()), "-f", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), "n\n2\n");
}

#[test]
fn stderr_accounts_and_quiet_is_quiet() {
    let folder = two();
    let from = text(folder.path());
    let said = stderr(&run(&["audit", from, "--until", "2026-04-01"]));
    for part in [
        "note: --until 2026-04-01 leaves out 2026-04-01",
        "interval  before 2026-04-01T00:00:00Z",
        "objects   1 (1 read)",
        "records   2 = 2 kept + 0 duplicate + 0 filtered + 0 quarantined",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(run(&["audit", from, "--until", "2026-04-01", "-q"]).stderr.is_empty());
    let limited = stderr(&run(&["query", "SELECT event_id FROM events LIMIT 0", "--from", from]));
    assert!(!limited.contains(" = 2 kept"), "claims nothing about what it did not read: {limited}");
}

/// A scope with logs is accounted for, and a scope without any log makes the run incomplete.
#[test]
fn a_scope_is_accounted_for() {
    for (scope, expected, part) in [
        (["--since", "2026-03-12"], 0, " + 0 quarantined; 0 in conflict"),
        (["--account", "444455556666"], 0, " + 0 quarantined; 0 in conflict"),
        (["--since", "2030-01-01"], 3, "records   none: there is no log here, or none in this scope"),
        (["--account", "999988887777"], 3, "records   none: there is no log here, or none in this scope"),
        (["--region", "ap-south-1"], 3, "records   none: there is no log here, or none in this scope"),
    ] {
        let output = run(&[&["audit", "sample-logs"][..], &scope].concat());
        assert_eq!(code(&output), expected, "{scope:?}");
        assert!(stderr(&output).contains(part), "{scope:?}: {}", stderr(&output));
    }
    let report = run(&["audit", "sample-logs", "--account", "999988887777", "-f", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["summary"]["complete"], json!(false));
}

/// A refusal that names only an alias is about the key that the alias was seen to name.
#[test]
fn refusals_by_alias_are_answers_about_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let record = |id: u32, user: &str, alias: &str, more: serde_json::Value| {
        let mut record = json!({
            "eventTime": format!("2026-03-10T12:00:{id:02}Z"), "eventSource": "kms.amazonaws.com", "eventName": "Encrypt",
            "awsRegion": "us-east-1", "eventID": format!("00000000-0000-4000-8000-{id:012}"),
            "recipientAccountId": "111122223333", "requestParameters": {"keyId": alias},
            "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/{user}")},
        });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let allowed = json!({"resources": [{"ARN": key, "type": "AWS::KMS::Key"}]});
    let denied = json!({"errorCode": "AccessDenied", "errorMessage": "no"});
    let records = [
        record(1, "a", "alias/orders", allowed),
        record(2, "b", "alias/orders", denied.clone()),
        record(3, "c", "alias/gone", denied.clone()),
        record(4, "d", "arn:aws:kms:us-east-1:444455556666:alias/orders", denied.clone()),
        record(5, "e", "alias/orders", json!({"awsRegion": "eu-west-1", "errorCode": "AccessDenied"})),
        record(6, "f", "alias/unseen", json!({})),
        // A failed UpdateAlias does not give the alias another key.
        record(
            7,
            "g",
            "",
            json!({
                "eventName": "UpdateAlias", "errorCode": "NotFoundException", "readOnly": false,
                "requestParameters": {"aliasName": "alias/orders", "targetKeyId": "5678abcd-12ab-34cd-56ef-1234567890ab"},
            }),
        ),
        record(8, "h", "5678abcd-12ab-34cd-56ef-1234567890ab", denied),
    ];
    fs::write(folder.path().join("a.json"), json!({ "Records": records }).to_string()).unwrap();
    let [b, d, e, h] = ["b", "d", "e", "h"].map(|user| format!("arn:aws:iam::111122223333:user/{user}"));
    let [b, d, e, h] = [&b, &d, &e, &h].map(String::as_str);
    for (name, users) in [
        // A bare alias may belong to anyone; with an account and a Region it is one alias.
        ("alias/orders", &[b, d, e][..]),
        ("arn:aws:kms:us-east-1:444455556666:alias/orders", &[d]),
        ("arn:aws:kms:eu-west-1:111122223333:alias/orders", &[e]),
        ("arn:aws:kms:us-east-1:111122223333:alias/orders", &[b]),
        (key, &[b]),
        ("1234abcd", &[b]),
        ("alias/gone", &["arn:aws:iam::111122223333:user/c"]),
        ("alias/one", &[]),
        ("alias/ORDERS", &[]),
        ("5678abcd", &[h]),
        ("9999abcd", &[]),
    ] {
        let output = run(&["audit", text(folder.path()), "-f", "json", "--key", name]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = report["denials"].as_array().unwrap();
        assert_eq!(rows.iter().map(|row| row["principal"].as_str().unwrap()).collect::<Vec<_>>(), users, "{name}");
        let is_borne = !["alias/one", "alias/ORDERS", "9999abcd"].contains(&name);
        assert_eq!(stderr(&output).contains("note: no record names the key"), !is_borne, "{name}");
        assert_eq!(report["summary"]["about"]["key"][0]["seen"], json!(is_borne), "{name}");
    }
    // A section without rows about a name says something else than a section without rows.
    for (name, says) in
        [("5678abcd", "no rows for 5678abcd (2 without this filter)"), ("1234abcd", "No use of a key through DynamoDB")]
    {
        let output = stdout(&run(&["audit", text(folder.path()), "--key", name]));
        assert!(output.contains(says), "{name}: {output}");
    }
}

/// A call may have several findings, and a call that uses no key is no use of a disabled key.
#[test]
fn findings_do_not_hide_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let record = |id: u32, name: &str, caller: serde_json::Value, more: serde_json::Value| {
        let mut record = json!({
            "eventTime": format!("2026-03-10T12:00:{id:02}Z"), "eventSource": "kms.amazonaws.com", "eventName": name,
            "awsRegion": "us-east-1", "eventID": format!("00000000-0000-4000-8000-{id:012}"), "userIdentity": caller,
            "recipientAccountId": "111122223333", "requestParameters": {"keyId": key},
            "resources": [{"ARN": key, "accountId": "111122223333", "type": "AWS::KMS::Key"}],
        });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let user = |account: &str| json!({"type": "IAMUser", "arn": format!("arn:aws:iam::{account}:user/a"), "accountId": account});
    let root = json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333"});
    let invalid =
        |what: &str| json!({"errorCode": "KMSInvalidStateException", "errorMessage": format!("{key} {what}")});
    let records = [
        record(1, "ScheduleKeyDeletion", root, json!({})),
        record(2, "Decrypt", user("444455556666"), invalid("is pending deletion.")),
        record(3, "CancelKeyDeletion", user("111122223333"), invalid("is not pending deletion.")),
        record(4, "Decrypt", user("111122223333"), json!({})),
    ];
    fs::write(folder.path().join("a.json"), json!({ "Records": records }).to_string()).unwrap();
    let output = run(&["audit", text(folder.path()), "-f", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = report["findings"].as_array().unwrap().iter().map(|row| row["finding"].as_str().unwrap());
    let expected = [
        "key removed from use: ScheduleKeyDeletion",
        "root called ScheduleKeyDeletion",
        "caller of account 444455556666",
        "use of a key that is disabled or unavailable",
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    // A use counts even if no record names its key.
    let unnamed =
        record(5, "Encrypt", user("111122223333"), json!({"requestParameters": {"keyId": "alias/a"}, "resources": []}));
    let random = record(6, "GenerateRandom", user("111122223333"), json!({"requestParameters": null, "resources": []}));
    fs::write(folder.path().join("a.json"), json!({ "Records": [unnamed, random] }).to_string()).unwrap();
    let output = run(&["audit", text(folder.path()), "-f", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let uses = report["key_use"].as_array().unwrap();
    assert_eq!(uses.len(), 1, "{uses:?}");
    assert_eq!(uses[0]["requested_alias"], "arn:aws:kms:us-east-1:111122223333:alias/a");
}

/// The copies of a call may lie on both sides of midnight, and the caller's copy counts.
#[test]
fn a_copy_of_the_day_before_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let key = "arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    for (day, time, id, account) in
        [("11", "2026-03-11T23:59:59Z", "1", "111122223333"), ("12", "2026-03-12T00:00:00Z", "2", "444455556666")]
    {
        let logs = folder.path().join(format!("AWSLogs/{account}/CloudTrail/eu-west-1/2026/03/{day}"));
        fs::create_dir_all(&logs).unwrap();
        let record = json!({
            "eventTime": time, "eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "awsRegion": "eu-west-1",
            "eventID": format!("00000000-0000-4000-8000-00000000000{id}"), "recipientAccountId": account,
            "sharedEventID": "11111111-1111-4111-8111-111111111111",
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/a", "accountId": "111122223333"},
            "resources": [{"ARN": key, "accountId": "444455556666", "type": "AWS::KMS::Key"}],
        });
        let name = format!("{account}_CloudTrail_eu-west-1_202603{day}T0000Z_abcdefghij{id}.json");
        fs::write(logs.join(name), json!({"Records": [record]}).to_string()).unwrap();
    }
    for (filter, n) in [("event_time >= '2026-03-12'", 0), ("event_time < '2026-03-12'", 1), ("true", 1)] {
        let sql = format!("SELECT count(*) AS n FROM calls WHERE {filter}");
        let output = run(&["query", &sql, "--from", text(folder.path()), "-f", "csv"]);
        assert_eq!(stdout(&output), format!("n\n{n}\n"), "{filter}: {}", stderr(&output));
    }
}

#[test]
fn hostile_names_are_visible_in_errors() {
    let output = run(&["audit", "no\u{1b}[2J\u{202e}such\nplace"]);
    assert_eq!(code(&output), 5);
    let said = stderr(&output);
    assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}') && said.lines().count() == 1, "{said}");
    assert!(said.contains("\\x1b[2J\\u{202e}such\\nplace"));
}

#[test]
fn the_audit_is_one_object_with_promised_members() {
    let folder = two();
    let report: Value = serde_json::from_slice(&run(&["audit", text(folder.path()), "-f", "json"]).stdout).unwrap();
    let members: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let mut promised = [
        "summary",
        "coverage",
        "coverage_by_region",
        "objects",
        "key_use",
        "dynamodb_key_use",
        "denials",
        "access_chains",
        "findings",
        "limits",
    ];
    promised.sort_unstable();
    assert_eq!(members, promised);
    assert_eq!(report["summary"]["kept"], json!(2));
    assert_eq!(report["objects"]["read"], json!(1));
    let narrowed = |flag: &str, value: &str| -> usize {
        let output = run(&["audit", text(folder.path()), "-f", "json", flag, value]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["key_use"].as_array().unwrap().len()
    };
    let all = report["key_use"].as_array().unwrap().len();
    assert!(all > 0);
    assert_eq!(narrowed("--principal", "ada"), all);
    assert_eq!(narrowed("--key", KEY), all);
    assert_eq!(narrowed("--key", "1234abcd-12ab-34cd-56ef-1234567890ab"), all);
    assert_eq!(narrowed("--principal", "grace"), 0);
}

#[test]
fn the_audit_for_people_has_its_sections() {
    let folder = two();
    for (format, before) in [("table", ""), ("markdown", "## ")] {
        let shown = stdout(&run(&["audit", text(folder.path()), "-f", format]));
        for title in [
            "Who used which key",
            "Through DynamoDB",
            "Who was denied, and what changed",
            "Needs a look",
            "Limits of these logs",
        ] {
            assert!(shown.lines().any(|l| l == format!("{before}{title}")), "{format} {title}: {shown}");
        }
        assert!(shown.contains("all time"));
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    let folder = many();
    for args in [vec!["audit", text(folder.path())], vec!["query", ROWS, "--from", text(folder.path())]] {
        let with = |threads: &str| run(&[&args[..], &["--threads", threads]].concat()).stdout;
        let one = with("1");
        assert!(!one.is_empty());
        assert!(one == with("2") && one == with("8"), "{args:?}");
    }
}
