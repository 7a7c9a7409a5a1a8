//! Checks that answers are the same bytes for any number of threads and any names of files.
//! In: `sample-logs`. Out: every query whose bytes differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use keytrail::sql::named::{self, NamedQuery, ParamType};

use crate::child::{Ended, keytrail, on_every_core, root};

const THREADS: [&str; 3] = ["1", "2", "8"];

/// Queries whose order leaves no tie to luck.
const ORDERED: [&str; 4] = [
    "select * from events order by object_uri, record_index",
    "select event_time, event_id, principal, outcome from events order by event_time, event_id, recipient_account_id",
    "select principal, key_arn, count(*) as calls from key_use group by 1, 2 order by calls desc, 1, 2",
    "select * from objects order by uri",
];

/// A command line without its location and threads.
type Words = Vec<String>;

fn words(text: &[&str]) -> Words {
    text.iter().map(|w| (*w).to_owned()).collect()
}

/// The query with a value from the sample logs for every parameter that has no default.
fn asked(query: &NamedQuery, samples: &BTreeMap<&str, String>) -> Words {
    let mut words = words(&["query", query.name]);
    for param in query.params.iter().filter(|p| p.default.is_none()) {
        let value = samples.get(param.name).cloned().unwrap_or_else(|| match param.ty {
            ParamType::Timestamp => "2026-03-11T00:00:00Z".to_owned(),
            ParamType::Int | ParamType::Text | ParamType::Name(_) => "1".to_owned(),
        });
        words.extend(["-p".to_owned(), format!("{}={value}", param.name)]);
    }
    words
}

/// Values that occur in the logs, by the names of parameters.
fn samples(logs: &str) -> BTreeMap<&'static str, String> {
    let first = |column: &str| {
        let sql = format!("select min({column}) as value from events");
        let rows = keytrail(["query", "--events", "all", "-f", "json", &sql, "--from", logs]).rows().unwrap();
        rows[0]["value"].as_str().unwrap_or_default().to_owned()
    };
    [
        ("key", "key_arn"),
        ("key_arn", "key_arn"),
        ("principal", "principal"),
        ("principal_arn", "principal_arn"),
        ("table", "table_name"),
        ("table_name", "table_name"),
        ("session", "session_arn"),
        ("session_arn", "session_arn"),
        ("account", "recipient_account_id"),
    ]
    .map(|(param, column)| (param, first(column)))
    .into()
}

fn run(words: &Words, logs: &str, format: &str, threads: &str) -> Ended {
    let location: &[&str] = if words[0] == "audit" { &[logs] } else { &["--from", logs] };
    let words = words.iter().map(String::as_str);
    keytrail(words.chain(location.iter().copied()).chain(["-q", "-f", format, "--threads", threads]))
}

fn commands(logs: &str) -> Vec<(Words, &'static str)> {
    let samples = samples(logs);
    let mut all: Vec<(Words, &str)> = vec![(words(&["audit"]), "json"), (words(&["audit"]), "table")];
    let queries = named::all().iter().map(|q| asked(q, &samples));
    for query in queries.chain(ORDERED.map(|sql| words(&["query", sql, "--events", "all"]))) {
        all.extend(["json", "csv"].map(|format| (query.clone(), format)));
    }
    all
}

#[test]
fn threads_change_no_byte() {
    let logs = root().join("sample-logs").to_str().unwrap().to_owned();
    let wrong = on_every_core(&commands(&logs), |(words, format)| {
        let runs = THREADS.map(|threads| run(words, &logs, format, threads));
        let is_same = |r: &Ended| (r.code, &r.stdout) == (runs[0].code, &runs[0].stdout);
        let has_answer = matches!(runs[0].code, Some(0 | 3)) && !runs[0].stdout.is_empty();
        (!has_answer || !runs.iter().all(is_same)).then(|| format!("{words:?} as {format}: {}", runs[0].story()))
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Copies a tree, but in each folder the compressed logs get each other's names in reverse.
fn copy_renamed(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let entries = fs::read_dir(from).unwrap().map(|e| e.unwrap().path());
    let (dirs, mut files): (Vec<_>, Vec<_>) = entries.partition(|p| p.is_dir());
    dirs.iter().for_each(|dir| copy_renamed(dir, &to.join(dir.file_name().unwrap())));
    files.sort();
    let (logs, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|f| f.extension().is_some_and(|e| e == "gz"));
    for (log, name) in logs.iter().zip(logs.iter().rev()) {
        fs::copy(log, to.join(name.file_name().unwrap())).unwrap();
    }
    for other in others {
        fs::copy(&other, to.join(other.file_name().unwrap())).unwrap();
    }
}

/// Only the choice between two equal copies depends on the names.
#[test]
fn file_names_change_no_answer_that_does_not_show_them() {
    let logs = root().join("sample-logs").to_str().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    copy_renamed(Path::new(&logs), dir.path());
    let renamed = dir.path().to_str().unwrap();
    let commands: Vec<_> = commands(&logs).into_iter().filter(|(_, format)| *format == "json").collect();
    let wrong = on_every_core(&commands, |(words, format)| {
        let (before, after) = (run(words, &logs, format, "2"), run(words, renamed, format, "2"));
        // Digests name files, so what is known of hours rests on names, and with it evidence and verdicts.
        let shows = ["object_uri", "uri", "basis", "hours_good", "holes"].map(|column| format!("\"{column}\":"));
        let shows_names = shows.iter().any(|column| before.text().contains(column.as_str()));
        (!shows_names && before.stdout != after.stdout).then(|| format!("{words:?}: {}", after.story()))
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
