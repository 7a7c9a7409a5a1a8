//! Checks the binary against real logs of other people, counted independently of it.
//! In: `data/INDEX.md` of the shared folder, whose numbers are the truth, and the folders it lists. Out: every
//! difference. Never lets a difference pass unless `realdata.differences` has it, with its value and a reason, and only
//! while it lasts.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::child::{beside, keytrail, on_every_core, root};

/// `(folder, measure)` to value; the measures are the columns of INDEX.md and one per KMS event name and error.
type Counts = BTreeMap<(String, String), u64>;

const OBJECTS: &str = "select coalesce(sum(kept + duplicate), 0) as records from objects";
const EVENTS: &str = "select count(distinct event_id) as ids, \
    count(*) filter (where event_source = 'kms.amazonaws.com') as kms, \
    count(*) filter (where error_code like '%AccessDenied%' or error_code like '%Unauthorized%') as denied from events";
const KMS: &str = "select event_name, error_code, count(*) as calls from events \
    where event_source = 'kms.amazonaws.com' group by 1, 2 order by 1, 2";

fn index() -> Option<Counts> {
    let text = fs::read_to_string(beside("data/INDEX.md")?).unwrap();
    let mut counts = Counts::new();
    for cells in text.lines().map(|l| l.split('|').map(str::trim).collect::<Vec<_>>()) {
        let [_, folder, _, _, _, records, kms, denied, _, _] = cells.as_slice() else { continue };
        let Some((records, ids)) = records.trim_end_matches(')').split_once(" (") else { continue };
        for (measure, value) in [("records", records), ("ids", ids), ("kms", kms), ("denied", denied)] {
            if let Ok(value) = value.parse() {
                counts.insert(((*folder).to_owned(), measure.to_owned()), value);
            }
        }
    }
    for line in text.lines().filter_map(|l| l.strip_prefix("- ")) {
        let Some((folder, events)) = line.split_once(": ") else { continue };
        for (name, calls) in events.split(", ").filter_map(|e| e.rsplit_once(' ')) {
            counts.insert((folder.to_owned(), name.to_owned()), calls.parse().unwrap());
        }
    }
    Some(counts)
}

fn counted(folder: &str) -> Counts {
    let path = beside("data").unwrap().join(folder);
    let ask = |sql: &str| {
        let ended = keytrail(["query", "--events", "all", "-f", "json", sql, "--from", path.to_str().unwrap()]);
        ended.rows().unwrap_or_else(|e| panic!("{folder}: {e}"))
    };
    let mut counts = Counts::new();
    for row in [&ask(OBJECTS)[0], &ask(EVENTS)[0]] {
        for (measure, value) in row.as_object().unwrap() {
            counts.insert((folder.to_owned(), measure.clone()), value.as_u64().unwrap());
        }
    }
    for row in ask(KMS) {
        let name = row["event_name"].as_str().unwrap();
        let name = match &row["error_code"] {
            Value::String(code) => format!("{name} × {code}"),
            _ => name.to_owned(),
        };
        counts.insert((folder.to_owned(), name), row["calls"].as_u64().unwrap());
    }
    counts
}

/// Lines of `folder | measure | value | reason`.
fn differences() -> BTreeMap<(String, String), u64> {
    let text = fs::read_to_string(root().join("tests/realdata.differences")).unwrap();
    let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let parsed = lines.map(|line| {
        let parts: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
        let [folder, measure, value, reason] = parts[..] else { panic!("not four parts: {line}") };
        assert!(reason.len() > 20, "a difference needs a reason: {line}");
        ((folder.to_owned(), measure.to_owned()), value.parse().unwrap())
    });
    parsed.collect()
}

#[test]
fn real_logs_count_as_the_index_says() {
    let Some(index) = index() else { return };
    let mut folders: Vec<&String> = index.keys().map(|(folder, _)| folder).collect();
    folders.dedup();
    assert!(folders.len() >= 16, "INDEX.md was not understood: {folders:?}");
    let counts: Counts = on_every_core(&folders, |folder| counted(folder)).into_iter().flatten().collect();
    let mut known = differences();
    let mut wrong = Vec::new();
    for key in index.keys().chain(counts.keys().filter(|k| !index.contains_key(*k))) {
        let of = |counts: &Counts| counts.get(key).copied().unwrap_or(0);
        let (expected, got) = (of(&index), of(&counts));
        let documented = known.remove(key);
        let (folder, measure) = key;
        match documented {
            Some(value) if value == got && got != expected => {}
            Some(value) => {
                wrong.push(format!("{folder} | {measure} | {got}: differences say {value}, INDEX.md {expected}"))
            }
            None if got != expected => wrong.push(format!("{folder} | {measure} | {got}: INDEX.md says {expected}")),
            None => {}
        }
    }
    wrong.extend(known.keys().map(|key| format!("{key:?}: in the differences, and nowhere else")));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
