//! Asks the built binary about the story of `sample-logs` and compares its answers with STORY.md.
//! In: `tests/story.sql-checks`: blocks of a title, SQL up to a `;` and the expected CSV, with empty lines between
//! them. Out: every block that differs, with both answers. The expected numbers come from
//! `sample-logs/make.py --numbers`.

use std::fs;

use serde_json::{Value, json};

use crate::child::{keytrail, on_every_core, root};

/// One question and its answer.
struct Check<'t> {
    title: &'t str,
    sql: &'t str,
    expected: &'t str,
}

impl<'t> Check<'t> {
    fn read(block: &'t str) -> Check<'t> {
        let parts = block.strip_prefix("-- ").and_then(|rest| rest.split_once('\n'));
        let (title, rest) = parts.unwrap_or_else(|| panic!("a block opens with `-- title`: {block}"));
        let (sql, expected) = rest.split_once(";\n").unwrap_or_else(|| panic!("the SQL of `{title}` ends with `;`"));
        Check { title, sql, expected: expected.trim_end() }
    }

    /// The difference between the answers, if there is one.
    fn difference(&self) -> Option<String> {
        let ended = keytrail(["query", "--from", "sample-logs", "-f", "csv", "--quiet", self.sql]);
        let (title, expected) = (self.title, self.expected);
        if ended.code != Some(0) {
            return Some(format!("{title}\n{}", ended.story()));
        }
        let found = ended.text().trim_end().replace("\r\n", "\n");
        (found != expected).then(|| format!("{title}\nexpected:\n{expected}\nfound:\n{found}"))
    }
}

#[test]
fn sample_logs_tell_the_story() {
    let text = fs::read_to_string(root().join("tests/story.sql-checks")).unwrap();
    let blocks = text.split("\n\n").map(str::trim).filter(|block| !block.is_empty() && !block.starts_with('#'));
    let checks: Vec<Check> = blocks.map(Check::read).collect();
    assert!(!checks.is_empty(), "no checks were found");
    let differences: Vec<String> = on_every_core(&checks, Check::difference).into_iter().flatten().collect();
    let (found, all) = (differences.len(), checks.len());
    assert!(differences.is_empty(), "{found} of {all} differ:\n\n{}", differences.join("\n\n"));
}

/// The narrowed audit as JSON, and its messages on stderr.
fn audit(narrowed: &[&str]) -> (Value, String) {
    let ended = keytrail([&["audit", "sample-logs", "-f", "json"], narrowed].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.story());
    (serde_json::from_slice(&ended.stdout).unwrap(), ended.stderr)
}

/// Any name of a key gives the same answers; any other name gives none, and the audit says so.
#[test]
fn an_audit_is_narrowed_by_any_name_of_a_key() {
    let arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let (by_arn, said) = audit(&["--key", arn]);
    assert!(!said.contains("note:"), "{said}");
    let (all, _) = audit(&[]);
    for section in ["key_use", "dynamodb_key_use", "denials", "findings"] {
        let rows = |audit: &Value| audit[section].as_array().unwrap().clone();
        let of_key = rows(&all).into_iter().filter(|row| row["key_arn"] == arn);
        assert_eq!(rows(&by_arn), of_key.collect::<Vec<_>>(), "{section}");
    }
    assert!(by_arn["key_use"].as_array().unwrap().len() > 1);
    for name in [
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "1234ABCD-12AB-34CD-56EF-1234567890AB",
        "1234abcd",
        "alias/orders",
        "arn:aws:kms:us-east-1:111122223333:alias/orders",
    ] {
        let (found, said) = audit(&["--key", name]);
        assert_eq!((&found["key_use"], &found["denials"]), (&by_arn["key_use"], &by_arn["denials"]), "{name}");
        // The sample logs also tell of a key that does not exist and whose id begins alike.
        assert_eq!(said.contains("note: the key 1234abcd names 2, all of them meant"), name == "1234abcd", "{said}");
        assert!(!said.contains("no record names"), "{name}: {said}");
    }
    for (flag, name) in [
        ("--key", "alias/order"),
        ("--key", "alias/ORDERS"),
        ("--key", "arn:aws:kms:us-east-1:444455556666:alias/orders"),
        ("--principal", "nobody"),
        ("--principal", "arn:aws:sts::111122223333:assumed-role/orders-app/i-0fedcba0987654321"),
        ("--table", "nope"),
    ] {
        let (found, said) = audit(&[flag, name]);
        assert_eq!(found["dynamodb_key_use"], json!([]), "{name}");
        assert!(said.contains(&format!("note: no record names the {} {name}", &flag[2..])), "{name}: {said}");
        assert_eq!(found["summary"]["about"][&flag[2..]][0]["seen"], json!(false));
    }
    let (found, _) = audit(&["--table", "orders"]);
    let open = ["key_use", "denials", "coverage_by_region", "findings"]
        .map(|section| (section.to_owned(), json!(["--table"])));
    let open = Value::Object(open.into_iter().collect());
    assert_eq!(found["summary"]["about"]["not_narrowed"], open);
    let rows = found["dynamodb_key_use"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["table_arn"].as_str().unwrap().ends_with(":table/orders")));
}
