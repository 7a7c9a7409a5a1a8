//! Asks the built binary about the story of `sample-logs` and compares what it says with what STORY.md tells.
//! In: `tests/story.sql-checks`, blocks of a title, SQL up to a `;` and the CSV expected, apart by empty lines.
//! Out: every block that differs, with both answers. The expected numbers come from `sample-logs/make.py --numbers`.

use std::fs;

use crate::child::{keytrail, on_every_core, root};

/// One question and its answer.
struct Check<'t> {
    title: &'t str,
    sql: &'t str,
    expected: &'t str,
}

impl<'t> Check<'t> {
    fn read(block: &'t str) -> Check<'t> {
        let parts = block.strip_prefix("-- ").and_then(|rest| rest.split_once('\n'));
        let (title, rest) = parts.unwrap_or_else(|| panic!("a block opens with `-- title`: {block}"));
        let (sql, expected) = rest.split_once(";\n").unwrap_or_else(|| panic!("the SQL of `{title}` ends with `;`"));
        Check { title, sql, expected: expected.trim_end() }
    }

    /// What differs, if anything does.
    fn difference(&self) -> Option<String> {
        let ended = keytrail(["query", "--from", "sample-logs", "-f", "csv", "--quiet", self.sql]);
        let (title, expected) = (self.title, self.expected);
        if ended.code != Some(0) {
            return Some(format!("{title}\n{}", ended.story()));
        }
        let found = ended.text().trim_end().replace("\r\n", "\n");
        (found != expected).then(|| format!("{title}\nexpected:\n{expected}\nfound:\n{found}"))
    }
}

#[test]
fn sample_logs_tell_the_story() {
    let text = fs::read_to_string(root().join("tests/story.sql-checks")).unwrap();
    let blocks = text.split("\n\n").map(str::trim).filter(|block| !block.is_empty() && !block.starts_with('#'));
    let checks: Vec<Check> = blocks.map(Check::read).collect();
    assert!(!checks.is_empty(), "no checks were found");
    let differences: Vec<String> = on_every_core(&checks, Check::difference).into_iter().flatten().collect();
    let (found, all) = (differences.len(), checks.len());
    assert!(differences.is_empty(), "{found} of {all} differ:\n\n{}", differences.join("\n\n"));
}
