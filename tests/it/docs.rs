//! Keeps the generated pages up to date, and the outputs in README.md and docs/questions.md true.
//! In: the code and the binary. Out: a failure that names the page; `KEYTRAIL_BLESS=1` rewrites it instead.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use keytrail::schema::{COLUMNS, ColumnType};
use keytrail::sql::functions::{self, FUNCTIONS, FunctionTopic, SqlFunction};
use keytrail::sql::guard::{self, Refusal};
use keytrail::sql::named::{self, NamedQuery};
use keytrail::sql::plan_size::PlanTooLarge;
use keytrail::sql::rules::{self, FindingRule};
use keytrail::sql::views::{self, ColumnMeaning, View};

use crate::child::{keytrail, root, shell_line};
use crate::golden::is_blessing;

const MADE: &str = "<!-- Made from the code by `just bless`; edits here are lost. -->\n\n";

fn check(path: &str, made: &str) {
    let file = root().join(path);
    if is_blessing() {
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

#[test]
fn rules_page() {
    let mut page = format!(
        "{MADE}# Rules\n\n`keytrail audit` runs the rules of the set `default`; with `--rules-set baseline` also those that compare \
         with what was usual before `--since`, which take history: that of a store, or of `--baseline 30d` over logs. The view \
         [`rules`](views.md#rules) says of each whether the logs let it be evaluated, and [`findings`](views.md#findings) has what \
         they found.\n\n\
         A rule of your own is a file NAME.sql with such a card and one SELECT, in a directory that `--rules` names; \
         `keytrail queries --lint DIR` checks it. `keytrail audit` takes `--suppress FILE` for findings that somebody has looked at, \
         `--expect-use FILE` for who may use a key, and `--fail-on SEVERITY` to end with 1.\n\n\
         | rule | severity | set | title |\n|---|---|---|---|\n"
    );
    for rule in rules::all() {
        writeln!(page, "| [`{0}`](#{0}) | {1} | {2} | {3} |", rule.name, rule.severity, rule.set.name(), rule.title)
            .unwrap();
    }
    rules::all().iter().for_each(|rule| page.push_str(&rule_card(rule)));
    check("docs/rules.md", &page);
}

fn rule_card(rule: &FindingRule) -> String {
    let mut card = format!("\n## {}\n\n{}.\n\n{}\n\n", rule.name, rule.title, rule.why);
    let lines = [
        ("Severity", rule.severity.to_string()),
        ("Set", rule.set.name().to_owned()),
        ("Needs", rule.needs.join(", ")),
        ("Controls", rule.controls.join(", ")),
        ("ATT&CK", rule.attack.join(", ")),
        ("What gives the same", rule.false_positives.clone()),
        ("Next", rule.next.clone()),
    ];
    for (name, text) in lines.iter().filter(|(_, text)| !text.is_empty()) {
        writeln!(card, "- {name}: {text}").unwrap();
    }
    card
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

/// The names and types of every table's and view's columns, in the order of a session.
type TypedColumns = BTreeMap<String, Vec<(String, &'static str)>>;

fn typed_columns() -> TypedColumns {
    let sql = "SELECT table_name, column_name, data_type FROM information_schema.columns \
               WHERE table_schema <> 'information_schema' ORDER BY table_name, ordinal_position";
    let rows = keytrail(["query", sql, "--from", "sample-logs", "-q", "-f", "json"]).rows().unwrap();
    let mut tables = TypedColumns::new();
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let columns = tables.entry(text("table_name")).or_default();
        columns.push((text("column_name"), type_name(&text("data_type"))));
    }
    tables
}

/// The name that docs/schema.md has for a type.
fn type_name(data_type: &str) -> &'static str {
    use ColumnType::{Bool, Date, Int, Map, Text, TextList, Timestamp};
    let known = [Bool, Date, Int, Map, Text, TextList, Timestamp];
    let found = known.into_iter().find(|known| known.data_type().to_string() == data_type);
    found.unwrap_or_else(|| panic!("`{data_type}` is the type of no column of the contract")).name()
}

const VIEWS_HEAD: &str = "# Tables and views

Raw logs and a store have the same tables and views. [`events`](schema.md) has a page of its own. All views but
`call_copies` and `corrections` count a call once: of the copies that several accounts logged the caller's, if it is
there; without the records that VPC endpoints wrote of calls that the service logged as well, and without those that a
later record corrects.

";

/// A column for the page: its name, type and meaning.
type ColumnRow<'r> = (&'r str, &'r str, String);

fn push_columns<'r>(page: &mut String, rows: impl IntoIterator<Item = ColumnRow<'r>>) {
    page.push_str("\n| column | type | what |\n|---|---|---|\n");
    for (name, ty, meaning) in rows {
        writeln!(page, "| `{name}` | {ty} | {meaning} |").unwrap();
    }
}

fn views_page_of(types: &TypedColumns) -> String {
    let mut page = format!("{MADE}{VIEWS_HEAD}");
    for (name, title) in TABLES {
        writeln!(page, "- [`{name}`](#{name}): {title}").unwrap();
    }
    for view in views::all() {
        writeln!(page, "- [`{0}`](#{0}): {1}", view.name, view.title).unwrap();
    }
    write!(page, "\n{}", keytrail::objects::docs_markdown()).unwrap();
    views::all().iter().for_each(|view| push_view(&mut page, view, &types[view.name]));
    page
}

fn push_view(page: &mut String, view: &View, columns: &[(String, &'static str)]) {
    write!(page, "\n## {}\n\n{}. One row per {}.\n", view.name, view.title, view.row).unwrap();
    if !view.description.is_empty() {
        write!(page, "\n{}\n", view.description).unwrap();
    }
    for explained in &view.columns {
        let is_there = columns.iter().any(|(name, _)| name == explained.name);
        assert!(is_there, "the card of `{}` explains `{}`, which is no column of it", view.name, explained.name);
    }
    let has_all = COLUMNS.iter().all(|of_events| columns.iter().any(|(name, _)| name == of_events.name));
    let rows = columns.iter().filter_map(|(name, ty)| match view.meaning(name) {
        Some(ColumnMeaning::AsIn("events")) if has_all => None,
        Some(ColumnMeaning::AsIn(table)) => Some((name.as_str(), *ty, format!("as in `{table}`"))),
        Some(ColumnMeaning::Own(meaning)) => Some((name.as_str(), *ty, meaning.to_owned())),
        None => panic!("the card of `{}` does not explain its column `{name}`", view.name),
    });
    if has_all {
        page.push_str("\nThe columns of [`events`](schema.md#columns), and:\n");
    }
    push_columns(page, rows);
}

#[test]
fn views_page() {
    check("docs/views.md", &views_page_of(&typed_columns()));
}

const SQL_HEAD: &str = "# SQL

One statement at a time that only reads: `SELECT`, also after `WITH`, `VALUES`, `EXPLAIN`, `DESCRIBE`, `SHOW TABLES`,
`SHOW COLUMNS` and `SHOW FUNCTIONS`. It is [DataFusion's SQL](https://datafusion.apache.org/user-guide/sql/index.html)
with its functions for numbers, text, regular expressions, times, lists and maps. A parameter is written `$name` and
given with `-p name=VALUE`.

Integers have 64 bits; [Bounds](#bounds) says what happens where a result has no room in them.

";

#[test]
fn sql_page() {
    let mut page = format!("{MADE}{SQL_HEAD}## Refused\n\n");
    let of_any = [Refusal::NotAQuery, Refusal::Several, Refusal::TooLong, Refusal::TooComplex, Refusal::TooDeep];
    let of_sizes = ["SELECT repeat('a', 1000000000)", "SELECT range(0, 1000000000)"];
    for refusal in of_any.into_iter().chain(of_sizes.map(|sql| guard::check(sql).unwrap_err())) {
        writeln!(page, "- {refusal}").unwrap();
    }
    writeln!(page, "- {}\n- {}", PlanTooLarge::Mentions, PlanTooLarge::Groupings).unwrap();
    let refused = keytrail(["query", "SELECT * FROM generate_series(0, 1000000000)", "--from", "sample-logs"]).stderr;
    let refused = refused.lines().find_map(|line| line.split_once("planning: ")).expect("a long series is refused").1;
    writeln!(page, "- {refused}").unwrap();
    page.push_str(SQL_BOUNDS);
    page.push_str("\n## Tables and views\n\n| name | what |\n|---|---|\n");
    page.push_str("| [`events`](schema.md) | Every event once, as its record says |\n");
    for (name, title) in TABLES {
        writeln!(page, "| [`{name}`](views.md#{name}) | {title} |").unwrap();
    }
    for view in views::all() {
        writeln!(page, "| [`{0}`](views.md#{0}) | {1} |", view.name, view.title).unwrap();
    }
    for (head, topic) in [(JSON_HEAD, FunctionTopic::Json), (NAMES_HEAD, FunctionTopic::Names)] {
        page.push_str(head);
        FUNCTIONS
            .iter()
            .filter(|function| function.topic() == topic)
            .for_each(|function| push_function(&mut page, function));
    }
    page.push_str(DATAFUSION_HEAD);
    for (kind, names) in functions::of_datafusion() {
        writeln!(page, "\n### {kind}\n\n`{}`", names.join("` `")).unwrap();
    }
    check("docs/sql.md", &page);
}

const SQL_BOUNDS: &str = "
## Bounds

A statement that runs into a bound ends with exit code 5 and says which; in the shell the next one is answered, unless the
statement took all memory of the process at once, which ends the shell too. A step that the shell has stopped waiting for goes
on until it is done, keeps its memory for so long, and writes nothing more; while two do so, no other statement is begun.

- Time: `--timeout` counts computing, from the last file or object that was opened; ten minutes unless it is given. Waiting
  for whoever reads the output is no computing.
- Memory: `--memory` bounds the process, by default at three quarters of the machine's. Operators have half of that and at
  most 512 MiB; sorts and groups put more into temporary files without a name, joins and lists of all rows cannot.
- Results: no call of a function makes more than 64 MiB of one batch of rows, which are 8,192 at most, or a constant of more
  than 32 MiB. Functions that make more than they are given, such as `replace` and `array_repeat`, are measured before they
  begin, and so is a large constant that would stand in many rows. What a join repeats is not measured: a large value joined
  with many rows meets the bound of memory, or that of 2 GiB for one column of a batch.
- Numbers: `+`, `-` and `*` of integers, and `-` before one, refuse a result that their type cannot hold (2). `sum` does not
  look; over numbers that clients chose, use `sum(CAST(n AS DECIMAL(38, 0)))`.
- Functions: those below may be called, since they read nothing but their arguments. All others are unknown.
";

const JSON_HEAD: &str = "
## Functions for JSON

For the columns that hold JSON, such as `request_parameters` and `raw`. A key is the name of a member, or the place of
an item, counted from 0; there may be several, each within what the one before leads to. Text that is not JSON, and
keys that lead nowhere, give NULL, and `json_contains` false. There are no operators `->` and `->>` and no JSON paths.
";

const NAMES_HEAD: &str = "
## Functions for names

They decide what a name names, as the flags `--key`, `--principal` and `--table` and the parameters of the named
queries do. Names are compared letter by letter, but for the ids of keys. A name that is NULL asks for nothing, and
everything passes. A name that is written out becomes plain comparisons, which prune like others.
";

const DATAFUSION_HEAD: &str = "
## Functions of DataFusion

All that a statement may call beside those above; `SHOW FUNCTIONS LIKE 'date%'` has types and descriptions. Of some the
size that may be asked for is bounded, as said above.
";

/// Adds a function with its example and the example's answer.
fn push_function(page: &mut String, function: &SqlFunction) {
    let SqlFunction { syntax, description, example, .. } = function;
    let sql = format!("SELECT {example} AS answer");
    let rows = keytrail(["query", &sql, "--from", "sample-logs", "-q", "-f", "json"]).rows().unwrap();
    let answer = match &rows[0]["answer"] {
        serde_json::Value::Null => panic!("the example of `{}` gives nothing", function.name),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    write!(page, "\n### {}\n\n`{syntax}`\n\n{description}\n\n```sql\n{sql} -- {answer}\n```\n", function.name).unwrap();
}

/// Name and title of the tables beside `events`.
const TABLES: [(&str, &str); 2] = [
    ("objects", "Every input object, and what became of its records"),
    ("quarantine", "Records that could not be read"),
];

/// The verbs in the order of the main help.
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

#[test]
fn readme_outputs() {
    check_outputs("README.md");
}

#[test]
fn questions_outputs() {
    check_outputs("docs/questions.md");
}

/// The fenced block after a line `<!-- output -->` is the output of the `sh` block above it.
fn check_outputs(path: &str) {
    let page = fs::read_to_string(root().join(path)).unwrap();
    let (mut made, mut command) = (String::new(), String::new());
    let mut lines = page.lines();
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
    check(path, &made);
}

fn printed(command: &str) -> String {
    let ended = shell_line(command);
    assert!(matches!(ended.code, Some(0 | 3)), "{command}: {}", ended.story());
    ended.text().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
