//! Compares what is said now with what people have read before.
//! In: a folder of questions and what each says. Out: a failure that shows what has changed; `KEYTRAIL_BLESS=1` writes it
//! instead.

use std::fs;

use crate::child::root;

/// Whether expectations are to be written anew, for people to review.
pub fn is_blessing() -> bool {
    std::env::var_os("KEYTRAIL_BLESS").is_some_and(|value| value == "1")
}

/// Holds what each `NAME.sql` of a folder says against `NAME.EXTENSION` beside it.
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
