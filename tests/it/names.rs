//! Names that people ask for, in flags and in parameters: one rule for all, and an answer that says when nothing bears them.
//! In: small logs made here. Out: rows, sentences and exit codes.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::{Ended, keytrail};

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER: &str = "arn:aws:kms:eu-west-1:111122223333:key/5678efab-12ab-34cd-56ef-1234567890ab";

/// A call of KMS in the account 111122223333; `more` replaces members.
fn call(id: u32, principal: &str, more: Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11", "eventTime": format!("2026-03-10T12:00:{id:02}Z"), "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt", "awsRegion": "eu-west-1", "eventID": format!("00000000-0000-4000-8000-{id:012}"),
        "recipientAccountId": "111122223333", "sourceIPAddress": "203.0.113.7", "userAgent": "aws-cli",
        "userIdentity": {"type": "Role", "arn": principal, "accountId": principal.split(':').nth(4)},
        "resources": [{"ARN": KEY, "accountId": "111122223333", "type": "AWS::KMS::Key"}],
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

fn denied(more: Value) -> Value {
    let mut denied = json!({"errorCode": "AccessDenied", "errorMessage": "no", "resources": null});
    denied.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    denied
}

fn logs(records: &[Value]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), json!({ "Records": records }).to_string()).unwrap();
    folder
}

/// Two roles of one name, one of them below a path, and a user.
fn analysts() -> TempDir {
    let role = "arn:aws:iam::111122223333:role/teams/data/analyst";
    let alias = |alias: &str| json!({"requestParameters": {"keyId": alias}});
    logs(&[
        call(1, role, json!({})),
        call(2, role, denied(json!({}))),
        call(3, "arn:aws:iam::444455556666:role/analyst", denied(json!({}))),
        call(4, "arn:aws:iam::111122223333:user/mary", denied(alias("alias/one"))),
        call(5, "arn:aws:iam::111122223333:user/mary", denied(alias("arn:aws:kms:eu-west-1:111122223333:alias/one"))),
        call(6, "arn:aws:iam::111122223333:user/mary", denied(alias("alias/two"))),
        call(7, "arn:aws:iam::111122223333:user/owner", alias("alias/one")),
        call(8, "arn:aws:iam::111122223333:user/owner", json!({"resources": [{"ARN": OTHER}]})),
    ])
}

fn ask(words: &[&str], folder: &Path) -> Ended {
    keytrail(["query"].iter().chain(words).copied().chain(["--from", folder.to_str().unwrap()]))
}

/// The first cells of the rows of a csv.
fn first_cells(ended: &Ended) -> Vec<&str> {
    ended.text().lines().skip(1).map(|line| line.split(',').next().unwrap()).collect()
}

#[test]
fn flags_and_parameters_name_the_same_things() {
    let folder = analysts();
    let from = folder.path().to_str().unwrap();
    let (role, foreign) =
        ("arn:aws:iam::111122223333:role/teams/data/analyst", "arn:aws:iam::444455556666:role/analyst");
    let mary = "arn:aws:iam::111122223333:user/mary";
    for (name, principals) in [
        (role, &[role][..]),
        ("analyst", &[role, foreign]),
        ("role/analyst", &[role, foreign]),
        ("111122223333:role/analyst", &[role]),
        ("role/teams/data/analyst", &[role]),
        ("user/analyst", &[]),
        ("mary", &[mary]),
        ("arn:aws:sts::444455556666:assumed-role/analyst/x", &[]),
        ("Mary", &[]),
    ] {
        let given = format!("principal={name}");
        let answer = ask(&["denied-attempts", "-p", &given, "-f", "csv", "-q"], folder.path());
        let mut found = first_cells(&answer);
        found.dedup();
        assert_eq!(found, principals, "{name}");
        let audit = keytrail(["audit", from, "-f", "json", "-q", "--principal", name]);
        let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
        let rows = audit["denials"].as_array().unwrap();
        let mut found: Vec<&str> = rows.iter().map(|row| row["principal"].as_str().unwrap()).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, principals, "{name}");
    }
}

#[test]
fn an_alias_is_one_thing_however_it_is_spelled() {
    let folder = analysts();
    for name in ["alias/one", "arn:aws:kms:eu-west-1:111122223333:alias/one", "arn:aws:kms:eu-west-1::alias/one"] {
        let given = format!("key={name}");
        let users = ask(&["key-users", "-p", &given, "-f", "csv", "-q"], folder.path());
        assert_eq!(first_cells(&users), [KEY, KEY], "{name}: {}", users.story());
        let hours = ask(&["use-by-hour", "-p", &given, "-f", "csv", "-q"], folder.path());
        assert!(hours.text().contains(",2,2\n"), "{name}: {}", hours.story());
    }
    let denials = ask(&["denied-attempts", "-p", "principal=mary", "-f", "json", "-q"], folder.path()).rows().unwrap();
    let seen: Vec<(&str, i64)> =
        denials.iter().map(|row| (row["alias_arn"].as_str().unwrap(), row["denied"].as_i64().unwrap())).collect();
    let alias = |name: &str| format!("arn:aws:kms:eu-west-1:111122223333:alias/{name}");
    assert_eq!(seen, [(alias("one").as_str(), 2), (alias("two").as_str(), 1)]);
}

#[test]
fn an_answer_says_that_no_record_bears_the_name() {
    let folder = analysts();
    for (words, says) in [
        (
            &["denied-attempts", "-p", "principal=anaylst"][..],
            "no record names the principal anaylst; nearest: role/analyst",
        ),
        (&["key-users", "-p", "key=alias/oen"], "no record names the key alias/oen; nearest: alias/one"),
        (&["key-users", "-p", "key=one"], "no record names the key one; nearest: alias/one"),
        (&["table-users", "-p", "table=Orders"], "no record names the table Orders"),
        (&["role-session", "-p", "session=x"], "no record names the session x"),
        (
            &["denied-attempts", "-p", "principal=owner"],
            "records name the principal owner (arn:aws:iam::111122223333:user/owner), but none of them belongs in this answer",
        ),
    ] {
        let table = ask(words, folder.path());
        assert_eq!(table.code, Some(0), "{}", table.story());
        assert!(table.text().lines().any(|line| line == says), "{}", table.story());
        let markdown = ask(&[words, &["-f", "markdown"]].concat(), folder.path());
        assert!(markdown.text().replace('\\', "").contains(says), "{}", markdown.story());
        // Rows for programs stay alone.
        let csv = ask(&[words, &["-f", "csv"]].concat(), folder.path());
        assert_eq!(csv.text().lines().count(), 1, "{}", csv.story());
        assert!(csv.stderr.lines().any(|line| line == format!("note: {says}")), "{}", csv.story());
    }
    let several = ask(&["denied-attempts", "-p", "principal=analyst"], folder.path());
    let says = "the principal analyst names 2, all of them meant: arn:aws:iam::111122223333:role/teams/data/analyst, \
                arn:aws:iam::444455556666:role/analyst";
    assert!(several.text().lines().any(|line| line == says), "{}", several.story());
    // A hostile name reaches no terminal as it is.
    let hostile = ask(&["denied-attempts", "-p", "principal=\u{1b}[2J"], folder.path());
    assert!(!hostile.text().contains('\u{1b}') && hostile.text().contains("no record names"), "{}", hostile.story());
}

#[test]
fn an_audit_says_what_its_names_leave_out() {
    let folder = analysts();
    let from = folder.path().to_str().unwrap();
    let shown = keytrail(["audit", from, "--principal", "anaylst"]);
    for line in [
        "no rows for anaylst (3 without this filter)",
        "No use of a key through DynamoDB was seen in what was read.",
        "names     no record names the principal anaylst; nearest: role/analyst",
    ] {
        assert!(shown.text().lines().any(|found| found == line), "{line}: {}", shown.story());
    }
    let audit = keytrail([
        "audit",
        from,
        "-f",
        "json",
        "--principal",
        "anaylst",
        "--principal",
        "analyst",
        "--key",
        "alias/one",
    ]);
    assert!(audit.stderr.contains("note: no record names the principal anaylst"), "{}", audit.story());
    let about = &serde_json::from_slice::<Value>(&audit.stdout).unwrap()["summary"]["about"];
    assert_eq!(about["principal"][0]["nearest"], json!(["role/analyst"]));
    assert_eq!(about["principal"][0]["seen"], json!(false));
    assert_eq!(about["principal"][1]["names"].as_array().unwrap().len(), 2);
    assert_eq!(about["key"][0]["also"], json!([KEY]));
}

#[test]
fn an_audit_of_nothing_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let shown = keytrail(["audit", folder.path().to_str().unwrap()]);
    assert_eq!(shown.code, Some(3));
    assert!(!shown.text().contains("was seen in what was read"), "{}", shown.story());
    let lines = shown.text().lines();
    let nothing = "Nothing was read: there is no log here, or none in this scope.";
    assert_eq!(lines.filter(|line| *line == nothing).count(), 6, "{}", shown.story());
}

#[test]
fn what_another_account_did_counts_alike_everywhere() {
    let (own, foreign) = ("arn:aws:iam::111122223333:role/own", "arn:aws:iam::444455556666:role/guest");
    let theirs = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let on_theirs = || json!({"resources": [{"ARN": theirs, "accountId": "999988887777"}]});
    let of_objects = json!({
        "resources": [{"ARN": theirs}], "requestParameters": {"encryptionContext": {"aws:s3:arn": "arn:aws:s3:::files/1"}},
    });
    let mut missing = on_theirs();
    missing.as_object_mut().unwrap().extend(
        json!({"eventName": "DescribeKey", "errorCode": "NotFoundException", "errorMessage": "x"})
            .as_object()
            .unwrap()
            .clone(),
    );
    let folder = logs(&[
        call(1, own, json!({})),
        call(2, own, of_objects),
        call(3, foreign, json!({})),
        call(4, own, missing),
        // Refusals of a key that is told, of an unknown one, of one by a bare alias, and of something that is no key.
        call(5, own, denied(on_theirs())),
        call(6, own, denied(json!({}))),
        call(7, own, denied(json!({"requestParameters": {"keyId": "alias/mine"}}))),
        call(8, own, denied(json!({"eventName": "ListKeys"}))),
        call(9, own, denied(json!({"requestParameters": {"keyId": "arn:aws:kms:eu-west-1:999988887777:alias/x"}}))),
    ]);
    let rows = ask(&["cross-account-use", "-f", "json", "-q"], folder.path()).rows().unwrap();
    let found: Vec<(u64, &str, Option<&str>)> = rows
        .iter()
        .map(|row| {
            let id = row["event_id"].as_str().unwrap().rsplit('0').next().unwrap().parse().unwrap();
            (id, row["outcome"].as_str().unwrap(), row["key_account_id"].as_str())
        })
        .collect();
    let (they, we) = (Some("999988887777"), Some("111122223333"));
    assert_eq!(
        found,
        [(2, "success", they), (3, "success", we), (5, "denied", they), (6, "denied", None), (9, "denied", they)]
    );
    assert_eq!(rows[0]["resource_arn"], json!("arn:aws:s3:::files/1"));
    let audit = keytrail(["audit", folder.path().to_str().unwrap(), "-f", "json", "-q"]);
    let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
    let findings: Vec<(&str, i64)> = audit["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["finding"].as_str().unwrap(), row["calls"].as_i64().unwrap()))
        .collect();
    assert_eq!(findings, [("caller of account 444455556666", 1), ("key of account 999988887777", 1)]);
}

/// Logs as AWS names them, with a record of each.
fn delivered(places: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, (account, region)) in places.iter().enumerate() {
        let below = folder.path().join(format!("AWSLogs/{account}/CloudTrail/{region}/2026/03/10"));
        fs::create_dir_all(&below).unwrap();
        let caller = format!("arn:aws:iam::{account}:role/app");
        let record = call(number as u32, &caller, json!({"recipientAccountId": account, "awsRegion": region}));
        let name = format!("{account}_CloudTrail_{region}_20260310T1205Z_abcdefghijklmnop.json");
        fs::write(below.join(name), json!({"Records": [record]}).to_string()).unwrap();
    }
    folder
}

#[test]
fn what_is_expected_and_not_there_ends_with_3() {
    let folder = delivered(&[("111122223333", "eu-west-1"), ("444455556666", "us-east-1")]);
    let logs = folder.path().join("AWSLogs");
    let store = folder.path().join("s.store");
    assert_eq!(keytrail(["ingest", logs.to_str().unwrap(), "--store", store.to_str().unwrap(), "-q"]).code, Some(0));
    for place in [logs.to_str().unwrap(), store.to_str().unwrap()] {
        for (flags, says) in [
            (&["--expect", "111122223333/eu-west-1", "--expect", "444455556666/us-east-1"][..], None),
            (&["--expect-until", "2026-03-10T12:05:00Z"], None),
            (&["--expect", "444455556666/eu-west-1"], Some("nothing of 444455556666/eu-west-1 is here")),
            (
                &["--expect", "111122223333/eu-west-1", "--expect-until", "2026-03-11"],
                Some("111122223333/eu-west-1 ends at 2026-03-10T12:05:00Z, before 2026-03-11T00:00:00Z"),
            ),
        ] {
            let code = if says.is_some() { Some(3) } else { Some(0) };
            let audit = keytrail(["audit", place, "-f", "json", "-q"].iter().chain(flags));
            assert_eq!(audit.code, code, "{}", audit.story());
            let summary = &serde_json::from_slice::<Value>(&audit.stdout).unwrap()["summary"];
            assert_eq!(summary["expected_missing"], json!(says.iter().collect::<Vec<_>>()), "{place}");
            assert_eq!(summary["seen"]["accounts"], json!(["111122223333", "444455556666"]), "{place}");
            assert_eq!(summary["seen"]["regions"], json!(["eu-west-1", "us-east-1"]), "{place}");
            assert_eq!(summary["seen"]["first_event"], json!("2026-03-10T12:00:00Z"), "{place}");
            assert_eq!(summary["seen"]["last_event"], json!("2026-03-10T12:00:01Z"), "{place}");
            assert_eq!(summary["input_complete"], json!(true), "{place}");
            let shown = keytrail(["audit", place].iter().chain(flags));
            // A question that reads only a part of the logs is judged by all of them.
            let pruned = "SELECT event_id FROM events WHERE event_time < '2020-01-01'";
            let query = keytrail(["query", pruned, "--from", place].iter().chain(flags));
            assert_eq!((shown.code, query.code), (code, code), "{}{}", shown.story(), query.story());
            if let Some(says) = says {
                let line = format!("expected  {says}");
                assert!(shown.text().lines().any(|found| found == line), "{}", shown.story());
                assert!(query.stderr.lines().any(|found| found == line), "{}", query.story());
            }
        }
    }
}

/// A Region that no version knows yet is one where logs are of it.
#[test]
fn a_newer_region_exists_by_its_logs() {
    let folder = delivered(&[("111122223333", "nz-south-1"), ("111122223333", "eu-west-1")]);
    let ask = |region: &str| {
        keytrail(
            ["query", "SELECT count(*) AS n FROM events", "-q", "-f", "csv", "--region", region, "--from"]
                .iter()
                .copied()
                .chain([folder.path().to_str().unwrap()]),
        )
    };
    for (region, code, rows) in [("nz-south-1", 0, "n\n1\n"), ("eu-west-1", 0, "n\n1\n"), ("nz-north-1", 2, "")] {
        let ended = ask(region);
        assert_eq!((ended.code, ended.text()), (Some(code), rows), "{region}: {}", ended.story());
    }
}

#[test]
fn accepted_objects_are_counted_and_do_not_end_with_3() {
    let folder = delivered(&[("111122223333", "eu-west-1")]);
    let logs = folder.path().join("AWSLogs");
    fs::write(logs.join("broken.json"), "{\"Records\":[{").unwrap();
    let (logs, list) = (logs.to_str().unwrap(), folder.path().join("accept.toml"));
    let entry = |uri: &str, expires: &str| {
        format!(
            "[[accept]]\nuri = \"{uri}\"\nreason = \"cut when it was copied\"\nowner = \"audit\"\nexpires = {expires}\n"
        )
    };
    for (text, code, accepted) in [
        (entry("*/broken.json", "2999-01-01"), 0, 1),
        (entry("*/other.json", "2999-01-01"), 3, 0),
        (entry("*/broken.json", "2020-01-01"), 3, 0),
    ] {
        fs::write(&list, &text).unwrap();
        let flags = ["--accept", list.to_str().unwrap()];
        let audit = keytrail(["audit", logs, "-f", "json"].iter().chain(&flags));
        assert_eq!(audit.code, Some(code), "{}", audit.story());
        let audit_json = serde_json::from_slice::<Value>(&audit.stdout).unwrap();
        assert_eq!(audit_json["summary"]["accepted_objects"], json!(accepted));
        assert_eq!(audit_json["summary"]["input_complete"], json!(code == 0));
        assert_eq!(audit_json["objects"]["quarantined"], json!(1));
        assert_eq!(audit.stderr.contains("ended at 2020-01-01T00:00:00Z"), text.contains("2020"), "{}", audit.story());
        let store = folder.path().join(format!("{accepted}{code}{}.store", text.len()));
        let ingest = ["ingest", logs, "--store", store.to_str().unwrap(), "--summary-json", "-"];
        let ingest = keytrail(ingest.iter().chain(&flags));
        assert_eq!(ingest.code, Some(code), "{}", ingest.story());
        let summary = serde_json::from_slice::<Value>(&ingest.stdout).unwrap();
        assert_eq!((&summary["accepted_objects"], &summary["input_complete"]), (&json!(accepted), &json!(code == 0)));
        assert_eq!(summary["seen"]["accounts"], json!(["111122223333"]));
        let query = keytrail(["query", "key-users", "--from", store.to_str().unwrap(), "-q"].iter().chain(&flags));
        assert_eq!(query.code, Some(code), "{}", query.story());
    }
}
