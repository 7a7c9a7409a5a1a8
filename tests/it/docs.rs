//! Keeps the pages that are made from the code up to date, and the outputs that README.md shows true.
//! In: the code and the binary. Out: a failure that names the page; `KEYTRAIL_BLESS=1` rewrites it instead.

use std::fmt::Write;
use std::fs;

use keytrail::sql::named::{self, NamedQuery};

use crate::child::{keytrail, root, shell_line};

const MADE: &str = "<!-- Made from the code by `just bless`; edits here are lost. -->\n\n";

fn check(path: &str, made: &str) {
    let file = root().join(path);
    if std::env::var_os("KEYTRAIL_BLESS").is_some_and(|v| v == "1") {
        fs::write(&file, made).unwrap();
        return;
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    let differs = there.lines().zip(made.lines()).position(|(a, b)| a != b).unwrap_or(there.lines().count());
    assert!(there == made, "{path} is not what the code says, from line {}: run `just bless`", differs + 1);
}

#[test]
fn schema_page() {
    check("docs/schema.md", &format!("{MADE}{}", keytrail::normalize::docs_markdown()));
}

#[test]
fn queries_page() {
    let mut page = format!("{MADE}# Named queries\n\nRun one with `keytrail query NAME --from LOCATION`.\n\n");
    for query in named::all() {
        writeln!(page, "- [`{0}`](#{0}): {1}", query.name, query.title).unwrap();
    }
    named::all().iter().for_each(|query| page.push_str(&card(query)));
    check("docs/queries.md", &page);
}

fn card(query: &NamedQuery) -> String {
    let mut card = format!("\n## {}\n\n{}\n", query.name, query.title);
    if !query.description.is_empty() {
        write!(card, "\n{}\n", query.description).unwrap();
    }
    if let Some(severity) = query.severity {
        write!(card, "\nSeverity: {severity}\n").unwrap();
    }
    if !query.params.is_empty() {
        card.push_str("\n| parameter | type | default | what |\n|---|---|---|---|\n");
    }
    for p in &query.params {
        let default = p.default.map_or("none".to_owned(), |d| format!("`{d}`"));
        writeln!(card, "| `{}` | {} | {default} | {} |", p.name, p.ty, p.about).unwrap();
    }
    let sql = query.sql.lines().skip_while(|l| l.starts_with("--")).collect::<Vec<_>>().join("\n");
    write!(card, "\n```sql\n{}\n```\n", sql.trim()).unwrap();
    card
}

/// The verbs as the help of the whole lists them.
fn verbs(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    list.filter_map(|l| {
        l.strip_prefix("  ")?.split_whitespace().next().filter(|v| *v != "help" && !l.starts_with("   "))
    })
    .collect()
}

#[test]
fn cli_page() {
    let help = keytrail(["--help"]);
    let mut page = format!("{MADE}# The command line\n\n```text\n{}\n```\n", help.text().trim_end());
    let verbs = verbs(help.text());
    assert!(verbs.len() >= 5, "the help lists no verbs: {}", help.text());
    for verb in verbs {
        let help = keytrail([verb, "--help"]);
        write!(page, "\n## keytrail {verb}\n\n```text\n{}\n```\n", help.text().trim_end()).unwrap();
        for own in self::verbs(help.text()) {
            let help = keytrail([verb, own, "--help"]);
            write!(page, "\n### keytrail {verb} {own}\n\n```text\n{}\n```\n", help.text().trim_end()).unwrap();
        }
    }
    check("docs/cli.md", &page);
}

/// After a line `<!-- output -->` stands a fenced block: what the `sh` block above it prints.
#[test]
fn readme_outputs() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (mut made, mut command) = (String::new(), String::new());
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        writeln!(made, "{line}").unwrap();
        if line == "```sh" {
            command = lines.by_ref().take_while(|l| *l != "```").collect::<Vec<_>>().join("\n");
            writeln!(made, "{command}\n```").unwrap();
        }
        if line == "<!-- output -->" {
            let fence = lines.next().filter(|l| l.starts_with("```")).expect("a fenced block follows an output mark");
            lines.by_ref().find(|l| *l == "```").expect("the block ends");
            writeln!(made, "{fence}\n{}\n```", printed(&command)).unwrap();
        }
    }
    check("README.md", &made);
}

fn printed(command: &str) -> String {
    let ended = shell_line(command);
    assert!(matches!(ended.code, Some(0 | 3)), "{command}: {}", ended.story());
    ended.text().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
