//! Holds the layers apart: no module names one above it or beside it, and each outside crate stays behind its fence.
//! In: the text of `src` and `rows/src`. Out: a list of arrows that point the wrong way.

use std::fs;
use std::path::{Path, PathBuf};

use crate::child::root;

/// Lowest first. Modules of one layer are ignorant of each other, but for the lowest, which is vocabulary.
const LAYERS: [&[&str]; 7] = [
    &["arn", "json", "objects", "schema", "time"],
    &["source", "decode", "normalize"],
    &["batch"],
    &["table"],
    &["store"],
    &["sql"],
    &["cli"],
];

/// What only some modules may name: there is one door to AWS, and the stages of the pipeline read no clock.
const FENCES: [(&str, &[&str]); 14] = [
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("anyhow", &["cli"]),
    ("println!", &["cli"]),
    ("datafusion", &["table", "store", "sql"]),
    ("deltalake", &["store"]),
    ("aws_config", &["source"]),
    ("aws_sdk_s3", &["source"]),
    ("aws_sdk_cloudtrail", &["source"]),
    ("aws_smithy_http_client", &["source"]),
    ("object_store", &["source", "store", "sql"]),
    ("SystemTime", &["time", "cli"]),
    ("Utc", &["time", "cli"]),
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}

/// Every word that stands right after `prefix`.
fn words_after<'t>(text: &'t str, prefix: &str) -> Vec<&'t str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(prefix).map(|(at, _)| text[at + prefix.len()..].split(|c| !is_word(c)).next().unwrap()).collect()
}

fn names(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let after = &line[at + word.len()..];
        let ends = word.ends_with('!') || after.starts_with("::") || after.starts_with(';');
        ends && !line[..at].ends_with(is_word)
    })
}

fn wrong_arrows(module: &str, place: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
        let mut complain = |what: String| wrong.push(format!("{place}:{}: {what}", number + 1));
        for target in
            ["crate::", "keytrail_rows::"].iter().flat_map(|from| words_after(line, from)).filter(|t| *t != module)
        {
            match (layer(module), layer(target)) {
                (Some(0), Some(0)) => {}
                (Some(from), Some(to)) if to < from => {}
                (_, None) => {}
                _ => complain(format!("`{module}` names `{target}`, which is not below it")),
            }
        }
        for (name, allowed) in FENCES {
            if names(line, name) && !allowed.contains(&module) {
                complain(format!("`{name}` belongs in {allowed:?}"));
            }
        }
    }
    wrong
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let nested = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    nested.filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    let mut unknown = Vec::new();
    let folders = ["src", "rows/src"].map(|folder| root().join(folder));
    for (src, path) in folders.iter().flat_map(|src| sources(src).into_iter().map(move |path| (src, path))) {
        let place = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
        let module = place.split('/').next().unwrap().trim_end_matches(".rs");
        if matches!(module, "main" | "lib") {
            continue;
        }
        if layer(module).is_none() {
            unknown.push(place.clone());
        }
        wrong.extend(wrong_arrows(module, &place, &fs::read_to_string(&path).unwrap()));
    }
    assert!(unknown.is_empty(), "in no layer: {unknown:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_arrow_is_seen() {
    assert_eq!(wrong_arrows("decode", "x", "use crate::normalize::Row;\nuse crate::json;\nuse clap::Args;").len(), 2);
    assert_eq!(wrong_arrows("source", "x", "use keytrail_rows::normalize::Row;\nuse keytrail_rows::json;").len(), 1);
    assert_eq!(wrong_arrows("cli", "x", "use crate::sql::Engine;\nprintln!();\n// use datafusion::x").len(), 0);
}
