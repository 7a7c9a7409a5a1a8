//! The source files of our crates, as text, for the tests that hold the tree to its rules.
//! In: `src`, `rows/src` and `derive/src`. Out: every file but `main.rs` and `lib.rs`, which only name others.
//! Never judges a file: it only gives its place and its text.

use std::fs;
use std::path::{Path, PathBuf};

use crate::child::root;

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let nested = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    nested.filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

/// One of our files, by the folder of its crate and its path in that.
pub struct SourceFile {
    pub folder: &'static str,
    pub place: String,
    pub text: String,
}

/// Every file of our crates.
pub fn source_files() -> Vec<SourceFile> {
    let read = |folder: &'static str, path: PathBuf| SourceFile {
        folder,
        place: path.strip_prefix(root().join(folder)).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(&path).unwrap(),
    };
    let files = ["src", "rows/src", "derive/src"]
        .into_iter()
        .flat_map(|folder| sources(&root().join(folder)).into_iter().map(move |path| read(folder, path)));
    files.filter(|file| !matches!(file.place.as_str(), "main.rs" | "lib.rs")).collect()
}

impl SourceFile {
    /// The folder or file right below the crate's own; `derive` is one layer with all its files.
    pub fn module(&self) -> &str {
        if self.folder == "derive/src" {
            return "derive";
        }
        self.place.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// The text without comments and tests, which may name modules above them.
    pub fn code(&self) -> String {
        let product = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }
}
