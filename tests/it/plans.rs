//! Plans of questions against those that people have read: which objects and columns a question reads, and no more.
//! In: `tests/plans/NAME.sql`. Out: `NAME.plan`, over the sample logs; `KEYTRAIL_BLESS=1` writes it.

use std::fs;

use crate::child::{keytrail, root};

/// The plans of a statement, as text.
fn plans(sql: &str) -> String {
    let explain = format!("EXPLAIN {}", sql.trim());
    let ended = keytrail(["query", &explain, "--from", "sample-logs", "--threads", "1", "-q", "-f", "json"]);
    let rows = ended.rows().unwrap_or_else(|error| panic!("{sql}: {error}"));
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().trim_end().to_owned();
    rows.iter().map(|row| format!("{}\n{}\n", text(row, "plan_type"), text(row, "plan"))).collect()
}

#[test]
fn questions_read_what_they_need() {
    let folder = root().join("tests/plans");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "sql")).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in files {
        let (found, golden) = (plans(&fs::read_to_string(&file).unwrap()), file.with_extension("plan"));
        if std::env::var_os("KEYTRAIL_BLESS").is_some_and(|value| value == "1") {
            fs::write(&golden, found).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != found {
            wrong.push(format!("{} is now:\n{found}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
