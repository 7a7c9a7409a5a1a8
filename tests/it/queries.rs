//! Every named query over the sample logs, against the rows that people have read and found right.
//! In: `tests/queries/NAME.csv`. Each sample holds near misses of every question; a row too many fails like one too few.

use std::fs;

use keytrail::sql::named;

use crate::child::{keytrail, root};

#[test]
fn every_named_query_gives_its_rows() {
    let (folder, logs) = (root().join("tests/queries"), root().join("sample-logs"));
    let bless = std::env::var_os("KEYTRAIL_BLESS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for query in named::all() {
        let answer = keytrail(["query", query.name, "--from", logs.to_str().unwrap(), "-f", "csv", "-q"]);
        let rows = answer.text();
        let file = folder.join(format!("{}.csv", query.name));
        if rows.lines().count() < 2 {
            wrong.push(format!("{} matches nothing in the sample", query.name));
        } else if bless {
            fs::write(&file, rows).unwrap();
        } else if fs::read_to_string(&file).unwrap_or_default() != rows {
            wrong.push(format!("{} differs from {}:\n{rows}", query.name, file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
