//! Checks that go beyond the files of a store: rows made again from their records, and a head that was noted elsewhere.
//! In: a store whose rows were edited with all around them made to fit, and older copies. Out: exit codes and faults.
//! Never tells who wrote a store.

use std::fs;

use arrow::array::{RecordBatch, StringArray};
use keytrail::store::sha256_hex;

use crate::child::keytrail;
use crate::store::{self, log_of_day, logs};
use crate::tamper::{CoverUp, Edited, cover, rewrite, short};

/// Makes commits name those that they follow as these are now. Returns true if there was one to change: others may name it.
fn make_fit(store: &Edited) -> bool {
    let tables = ["events", "objects", "quarantine", "hours", "digests", "verdicts"];
    let hash = |table: &str, version: u64| sha256_hex(&fs::read(store.commit(table, version as usize)).unwrap());
    let mut has_changed = false;
    for table in tables {
        for number in 0..store.versions(table) {
            let mut lines = store.read(table, number);
            let before = lines.clone();
            let info = &mut lines[0]["commitInfo"];
            for other in tables {
                if let Some(named) = info["keytrail.tables"][other][0].as_u64() {
                    info["keytrail.tables"][other][1] = hash(other, named).into();
                }
            }
            if info["keytrail.previous"].is_string() {
                info["keytrail.previous"] = hash(table, number as u64 - 1).into();
            }
            if lines != before {
                cover(store, (table, number), lines, CoverUp::Seal);
                has_changed = true;
            }
        }
    }
    has_changed
}

/// The rows themselves, with everything around them made to fit: only their records tell.
#[test]
fn a_deep_check_makes_the_rows_again_from_their_records() {
    let checked = keytrail(["store", "check", "--deep", short().text()]);
    assert_eq!(checked.code, Some(0), "{}", checked.text());
    assert!(checked.text().contains("deep      148 events were made again"), "{}", checked.text());
    let store = Edited::of(short());
    let version = store.newest_with("events", "add");
    let mut lines = store.read("events", version);
    let add = lines.iter_mut().find_map(|line| line.get_mut("add")).unwrap();
    let path = store.path.join("events").join(add["path"].as_str().unwrap());
    rewrite(&path, |rows| {
        let at = rows.schema().index_of("user_agent").unwrap();
        let mut columns = rows.columns().to_vec();
        columns[at] = std::sync::Arc::new(StringArray::from(vec!["another"; rows.num_rows()]));
        RecordBatch::try_new(rows.schema(), columns).unwrap()
    });
    let bytes = fs::read(&path).unwrap();
    add["size"] = bytes.len().into();
    add["tags"]["keytrail.sha256"] = sha256_hex(&bytes).into();
    drop(add["tags"].as_object_mut().unwrap().remove("keytrail.tail"));
    cover(&store, ("events", version), lines, CoverUp::State);
    while make_fit(&store) {}
    let place = store.path.to_str().unwrap();
    let deep = keytrail(["store", "check", "--deep", place]);
    assert_eq!(deep.code, Some(4), "{}", deep.story());
    assert!(deep.text().contains("has other values of `user_agent` than its records give"), "{}", deep.text());
}

/// The line of a check that begins so.
fn line(store: &store::Store, begin: &str) -> String {
    let checked = keytrail(["store", "check", store.text()]);
    let found = checked.text().lines().find_map(|line| line.strip_prefix(begin)).map(str::trim);
    found.unwrap_or_else(|| panic!("no {begin}: {}", checked.text())).to_owned()
}

/// A head that was noted is in the chain of the store as long as it grows, and in no older copy.
#[test]
fn a_noted_head_tells_an_older_copy() {
    let (store, more) = (store::Store::new(), tempfile::tempdir().unwrap());
    store.accounts(&logs(), &[]);
    let (older, first) = (Edited::of(&store), line(&store, "head"));
    assert_eq!(line(&store, "hash"), store.hash());
    log_of_day(more.path(), 14, 0..3);
    store.accounts(more.path(), &[]);
    let second = line(&store, "head");
    for (place, head, code) in [
        (store.text(), first.as_str(), 0),
        (store.text(), &second, 0),
        (older.path.to_str().unwrap(), &first, 0),
        (older.path.to_str().unwrap(), &second, 4),
        (store.text(), &"0".repeat(64), 4),
        (store.text(), "x", 2),
        (store.text(), &"x".repeat(64), 2),
    ] {
        let ended = keytrail(["store", "check", "--expect-head", head, place]);
        assert_eq!(ended.code, Some(code), "{head} {place}: {}{}", ended.text(), ended.stderr);
    }
}
