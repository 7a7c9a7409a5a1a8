//! Compares present answers with answers that people have read before.
//! In: a folder of questions, and a function that answers one. Out: a failure that shows the changes;
//! `KEYTRAIL_BLESS=1` writes them instead.

use std::fs;

use crate::child::root;

/// True if the test should rewrite its expectations, for people to review.
pub fn is_blessing() -> bool {
    blesses(|name| std::env::var(name).ok())
}

/// Nobody reviews what a run of CI writes, so there it is a mistake to ask.
fn blesses(variable: impl Fn(&str) -> Option<String>) -> bool {
    let asked = variable("KEYTRAIL_BLESS").is_some_and(|value| value == "1");
    let is_ci = variable("CI").is_some_and(|value| !value.is_empty() && value != "false");
    assert!(!(asked && is_ci), "KEYTRAIL_BLESS=1 where CI is set: nobody would review it");
    asked
}

#[test]
fn only_a_person_blesses() {
    let blesses_with = |bless: Option<&str>, ci: Option<&str>| {
        let variable = |name: &str| {
            let given = if name == "CI" { ci } else { bless };
            given.map(str::to_owned)
        };
        std::panic::catch_unwind(|| blesses(variable)).ok()
    };
    for (bless, ci, expected) in [
        (None, None, Some(false)),
        (Some("0"), None, Some(false)),
        (Some(""), Some("true"), Some(false)),
        (Some("true"), None, Some(false)),
        (Some("1"), None, Some(true)),
        (Some("1"), Some("false"), Some(true)),
        (Some("1"), Some(""), Some(true)),
        (Some("1"), Some("true"), None),
    ] {
        assert_eq!(blesses_with(bless, ci), expected, "KEYTRAIL_BLESS={bless:?} CI={ci:?}");
    }
}

/// Compares the answer to each `NAME.sql` of a folder with `NAME.EXTENSION` beside it.
pub fn check_each(folder: &str, extension: &str, said_of: impl Fn(&str) -> String) {
    let folder = root().join(folder);
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "sql")).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in files {
        let (said, golden) = (said_of(fs::read_to_string(&file).unwrap().trim()), file.with_extension(extension));
        if is_blessing() {
            fs::write(&golden, said).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != said {
            wrong.push(format!("{} is now:\n{said}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
