//! Every named query against rows that people have read and found right: over the sample logs, over logs of
//! near-misses, and with parameters. An extra row fails the test like a missing one.
//! In: `tests/queries/NAME.csv` and `tests/queries/near-misses/NAME.csv`; `tests/queries/parameters` with the answers
//! in `parameters.out`; `tests/queries/findings` with the rows of each rule of a finding; `tests/logs/expect`, which no
//! blessing writes. `KEYTRAIL_BLESS=1` writes the answers.

use std::fs;
use std::path::Path;

use keytrail::sql::named;
use keytrail::sql::named::NamedQuery;

use crate::child::{keytrail, on_every_core, root};
use crate::golden::is_blessing;

const SAMPLE: &str = "sample-logs";
const NEAR_MISSES: &str = "tests/logs";

/// The rows of a named query, with the parameters behind its name, as CSV.
fn rows(words: &[&str], logs: &str) -> String {
    let options = ["--from", logs, "-f", "csv", "-q"];
    let ended = keytrail(["query"].into_iter().chain(words.iter().copied()).chain(options));
    assert_eq!(ended.code, Some(0), "{words:?} over {logs}: {}", ended.story());
    ended.text().to_owned()
}

/// The rows of a named query; of one that needs a parameter, those for every line that gives it one.
fn rows_of(query: &NamedQuery, logs: &str) -> String {
    let ways = words_of(query);
    ways.iter().map(|words| rows(&words.split_whitespace().collect::<Vec<_>>(), logs)).collect()
}

/// The words that ask a named query: its name, or of one that needs a parameter, each line that gives it one.
pub fn words_of(query: &NamedQuery) -> Vec<String> {
    if query.params.iter().all(|param| !param.is_required) {
        return vec![query.name.to_owned()];
    }
    let text = fs::read_to_string(root().join("tests/queries/parameters")).unwrap();
    text.lines().filter(|line| line.split(' ').next() == Some(query.name)).map(str::to_owned).collect()
}

/// The difference from a golden, if there is one. Blessing writes the golden instead.
fn difference(golden: &Path, found: &str) -> Option<String> {
    if is_blessing() {
        fs::write(golden, found).unwrap();
        return None;
    }
    let differs = fs::read_to_string(golden).unwrap_or_default() != found;
    differs.then(|| format!("{} is now:\n{found}", golden.display()))
}

/// Checks that every named query has its golden rows over `logs`, and at least one.
fn check_every_query(logs: &str, goldens: &str) {
    let wrong = on_every_core(named::all(), |query| {
        let found = rows_of(query, logs);
        if found.lines().count() < 2 {
            return Some(format!("{} matches nothing in {logs}", query.name));
        }
        difference(&root().join(goldens).join(format!("{}.csv", query.name)), &found)
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_named_query_gives_its_rows() {
    check_every_query(SAMPLE, "tests/queries");
}

#[test]
fn every_named_query_gives_its_rows_among_near_misses() {
    check_every_query(NEAR_MISSES, "tests/queries/near-misses");
}

/// Asks every line of `parameters` of both logs; a value that matches no row gives the header alone.
#[test]
fn parameters_choose_their_rows() {
    let folder = root().join("tests/queries");
    let text = fs::read_to_string(folder.join("parameters")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for query in named::all() {
        for param in &query.params {
            let (name, given) = (Some(query.name), format!(" -p {}=", param.name));
            let is_given = lines.iter().any(|line| line.split(' ').next() == name && line.contains(&given));
            assert!(is_given, "no line gives `{}` its `{}`", query.name, param.name);
        }
    }
    let asked: Vec<(&str, &str)> = lines.iter().flat_map(|line| [(*line, SAMPLE), (*line, NEAR_MISSES)]).collect();
    let answers = on_every_core(&asked, |(line, logs)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        format!("$ keytrail query {line} --from {logs} -f csv\n{}", rows(&words, logs))
    });
    let wrong = difference(&folder.join("parameters.out"), &answers.join("\n"));
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

/// One line of `tests/logs/expect`: text that stands in a row of the query's answer, or in none.
struct Expected<'t> {
    query: &'t str,
    text: &'t str,
    is_there: bool,
}

impl<'t> Expected<'t> {
    fn read(line: &'t str) -> Expected<'t> {
        let words: Vec<&'t str> = line.split_whitespace().collect();
        match words[..] {
            [query, text, "yes"] => Expected { query, text, is_there: true },
            [query, text, "no"] => Expected { query, text, is_there: false },
            _ => panic!("a line is `query text yes|no`: {line}"),
        }
    }
}

/// No blessing writes these expectations, so they catch a mistake that somebody blessed.
#[test]
fn matches_are_there_and_near_misses_are_not() {
    let read = |name: &str| fs::read_to_string(root().join(NEAR_MISSES).join(name)).unwrap();
    let (records, text) = (read("near-misses.json"), read("expect"));
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let all: Vec<Expected> = lines.map(Expected::read).collect();
    let mut wrong: Vec<String> = Vec::new();
    for Expected { query, text, .. } in &all {
        // An unknown query, or a text that no record has, would be absent for the wrong reason.
        let first_cell = text.split(',').next().unwrap_or_default();
        if named::find(query).is_none() || !records.contains(first_cell) {
            wrong.push(format!("`{query}` is no query, or no record has `{first_cell}`"));
        }
    }
    let found = on_every_core(named::all(), |query| {
        let found = rows_of(query, NEAR_MISSES);
        let expected: Vec<&Expected> = all.iter().filter(|expected| expected.query == query.name).collect();
        let mut wrong: Vec<String> = Vec::new();
        for Expected { text, is_there, .. } in &expected {
            if found.contains(*text) != *is_there {
                wrong.push(format!("{} {} `{text}`", query.name, if *is_there { "lacks" } else { "gives" }));
            }
        }
        if [true, false].iter().any(|side| expected.iter().all(|line| line.is_there != *side)) {
            wrong.push(format!("`expect` has no match or no near-miss of {}", query.name));
        }
        wrong
    });
    wrong.extend(found.into_iter().flatten());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
