//! `keytrail audit`: who used which key, which use came through DynamoDB, who was denied and what changed, and
//! what needs a look, within a screen or two.
//! In: locations and scope. Out: sections of rows, each the answer of one query. Never shows more of a section
//! than its share of the screen; JSON has every row.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use serde_json::{Value, json};

use super::accounting::{self, Block, Summary, count};
use super::args::{FileArgs, Global, ScopeArgs};
use super::exit::{Code, Failure, say};
use super::open::{Opened, Request};
use super::output::{self, Format, Style, Target, cell, markdown};
use super::times;
use super::visible::visible;
use crate::sql::{SqlError, named};

/// Rows of a section on a screen.
const ROWS_SHOWN: usize = 12;

/// Characters of a key id that are shown, and that are enough to name the key with `--key`.
const KEY_HEAD: usize = 8;

#[derive(Args, Debug, Clone)]
#[command(after_help = "Examples:
  keytrail audit logs/
  keytrail audit logs/ --during 2026-03 --key alias/orders
  keytrail audit logs/ --principal OrdersApp --table orders
  keytrail audit logs/ -f json | jq '.denials[]'
  keytrail audit logs/ -f markdown -o audit.md")]
pub struct AuditArgs {
    /// Where the logs are: files, directories, s3://BUCKET/PREFIX, cloudtrail://REGION, `-` for stdin [default:
    /// KEYTRAIL_FROM]
    #[arg(value_name = "LOCATION")]
    pub locations: Vec<String>,
    /// Format [default: table, or what FILE ends in]
    #[arg(short, long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<AuditFormat>,
    #[command(flatten)]
    pub to: FileArgs,
    #[command(flatten)]
    pub scope: ScopeArgs,
    #[command(flatten)]
    pub about: About,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum AuditFormat {
    /// Sections for people
    Table,
    /// The same as Markdown
    Markdown,
    /// One object with every row
    Json,
}

/// What the answers are narrowed to. It never narrows what is read.
#[derive(Args, Debug, Clone)]
pub struct About {
    /// Only answers about this key: ARN, id or alias (repeatable)
    #[arg(long, value_name = "KEY", help_heading = "Scope")]
    pub key: Vec<String>,
    /// Only answers about this principal: ARN or name (repeatable)
    #[arg(long, value_name = "PRINCIPAL", help_heading = "Scope")]
    pub principal: Vec<String>,
    /// Only answers about this table: ARN or name (repeatable)
    #[arg(long, value_name = "TABLE", help_heading = "Scope")]
    pub table: Vec<String>,
}

/// The sections in the order of the screen: name of the query, title, what an empty one says.
const SECTIONS: [(&str, &str, &str); 4] = [
    ("key_use", "Who used which key", "No use of a key was seen in what was read."),
    ("dynamodb_key_use", "Through DynamoDB", "No use of a key through DynamoDB was seen in what was read."),
    ("denials", "Who was denied, and what changed", "No refusal was seen in what was read."),
    ("findings", "Needs a look", "Nothing of what was read matches a finding."),
];

/// What an empty section says where others than those that were named are in it.
const NONE_NARROWED: &str = "Nothing of it is about what was named; without that there are rows here.";

/// What CloudTrail cannot show, whatever is read.
const LIMITS: [&str; 6] = [
    "Refusals of callers from other accounts are logged in their account, not in the key owner's.",
    "DynamoDB caches a table's key for about five minutes: its calls to KMS are a lower bound of reads, and a table under a key that AWS owns shows none.",
    "Keys that AWS owns appear in no log of yours.",
    "Use of a public key outside AWS (encrypting, verifying) is logged nowhere.",
    "Throttled and malformed calls may be missing: AWS does not log all of them.",
    "Only what the given locations hold was read: an absent file is not an absent call, and earlier history may hold the cause of what is shown.",
];

/// What later parts of keytrail will fill; JSON has the members now so that scripts need not change.
const NOT_YET: &str = "access_chains is empty and coverage is null: this version does not derive them.";

/// Said where any of the locations is event history.
const HISTORY_LIMIT: &str = "Events of cloudtrail:// locations come from the event history: the last 90 days of management events, which no digest covers.";

/// What a screen leaves out.
const SCREEN_NOTE: &str =
    "Shown in short: times in UTC to the minute, ARNs without their prefix; -f json has everything.";

struct Section {
    name: &'static str,
    title: &'static str,
    none: &'static str,
    rows: RecordBatch,
    /// The narrowing flags that this section has no column for.
    not_narrowed: Vec<&'static str>,
}

pub async fn run(args: AuditArgs, global: Global) -> Result<Code, Failure> {
    let request = Request::new(&args.locations, &args.scope, &global)?;
    if args.scope.dry_run {
        return request.dry_run().await;
    }
    let format = args.chosen()?;
    let mut target = args.to.target()?;
    let opened = request.open().await?;
    let answered = answer(&opened, &args.about).await;
    opened.progress.clear();
    let (about, sections) = answered?;
    let summary = Summary::of(&opened);
    let style = global.style(&target);
    match format {
        AuditFormat::Json => as_json(&mut target, &summary, &opened, &about, &sections)?,
        AuditFormat::Table => Screen { style, summary: &summary, sections: &sections }.table(&mut target)?,
        AuditFormat::Markdown => Screen { style, summary: &summary, sections: &sections }.markdown(&mut target)?,
    }
    // On one terminal the head of the sections has said it already.
    let is_said = target.is_terminal() && format != AuditFormat::Json;
    target.commit()?;
    if !global.quiet {
        about.unseen().for_each(|name| say(format_args!("note: no answer names `{}`", visible(&name.given))));
        let block = if is_said { Block::Problems } else { Block::Whole };
        accounting::print(&summary, block, &global);
    }
    Ok(summary.code())
}

impl AuditArgs {
    fn chosen(&self) -> Result<AuditFormat, Failure> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        match self.to.by_name()? {
            None | Some(Format::Table) => Ok(AuditFormat::Table),
            Some(Format::Markdown) => Ok(AuditFormat::Markdown),
            Some(Format::Json) => Ok(AuditFormat::Json),
            Some(_) => Err(Failure::usage("an audit is a table, Markdown or JSON")
                .hint("choose with -f, or query one section: `keytrail queries` lists them")),
        }
    }
}

/// The query that tells which keys an alias names.
const ALIASES: &str = "aliases";

/// Reads the logs once, then answers section by section.
async fn answer(opened: &Opened, about: &About) -> Result<(Subjects, Vec<Section>), Failure> {
    let asked = SECTIONS.iter().map(|(name, _, _)| *name).chain((!about.key.is_empty()).then_some(ALIASES));
    opened.engine.prepare(&asked.map(named::audit_section).collect::<Vec<_>>()).await?;
    let aliases = if about.key.is_empty() { None } else { Some(rows_of(opened, ALIASES).await?) };
    let mut subjects = about.subjects(aliases.as_ref());
    let mut sections = Vec::new();
    for (name, title, none) in SECTIONS {
        let all = rows_of(opened, name).await?;
        let (rows, not_narrowed) = subjects.narrow(&all).map_err(internal)?;
        let none = if all.num_rows() > 0 { NONE_NARROWED } else { none };
        sections.push(Section { name, title, none, rows, not_narrowed });
    }
    Ok((subjects, sections))
}

async fn rows_of(opened: &Opened, name: &str) -> Result<RecordBatch, Failure> {
    let answer = opened.engine.query(named::audit_section(name), &[]).await?;
    let schema = answer.schema.clone();
    let batches: Vec<RecordBatch> = answer.batches.try_collect().await.map_err(|e| Failure::from(SqlError::from(e)))?;
    concat_batches(&schema, &batches).map_err(internal)
}

fn internal(error: ArrowError) -> Failure {
    Failure::world(format!("cannot put an answer together: {error}"))
}

impl About {
    /// What was named, as answers name it: a key by all the names that it was seen to have.
    fn subjects(&self, aliases: Option<&RecordBatch>) -> Subjects {
        let key = |given: &String| {
            let mut names = vec![given.clone()];
            // The ids of keys are written small; the names of aliases differ by case.
            names.extend(alias_of(given).is_none().then(|| given.to_ascii_lowercase()));
            if let Some(rows) = aliases {
                other_names(rows, &mut names);
            }
            Named { given: given.clone(), names, is_seen: false }
        };
        let as_given = |given: &String| Named { given: given.clone(), names: vec![given.clone()], is_seen: false };
        Subjects {
            keys: self.key.iter().map(key).collect(),
            principals: self.principal.iter().map(as_given).collect(),
            tables: self.table.iter().map(as_given).collect(),
        }
    }
}

/// Adds to an alias the keys that it names, to a key the aliases that name it; from rows of an alias's ARN and a key.
fn other_names(rows: &RecordBatch, names: &mut Vec<String>) {
    let (aliases, keys) = (rows.column(0).as_string::<i32>(), rows.column(1).as_string::<i32>());
    let given = [names[0].clone()];
    let pairs = (0..rows.num_rows()).map(|row| (row, aliases.value(row), keys.value(row)));
    let others: Vec<String> = match alias_of(&given[0]) {
        // Without its ARN an alias may be any account's.
        Some(_) => {
            pairs.filter(|(row, _, _)| self::names(aliases, *row, &given)).map(|pair| pair.2.to_owned()).collect()
        }
        None => pairs.filter(|(row, _, _)| is_key(keys, *row, names)).map(|pair| pair.1.to_owned()).collect(),
    };
    names.extend(others);
}

/// `alias/NAME`, of an alias or its ARN.
fn alias_of(key: &str) -> Option<&str> {
    let at = key.find("alias/").filter(|at| *at == 0 || key[..*at].ends_with(':'))?;
    Some(&key[at..])
}

/// Whether the cell names one of these keys, whole or by the head of its id.
fn is_key(column: &dyn Array, row: usize, wanted: &[String]) -> bool {
    names(column, row, wanted) || begins(column, row, wanted)
}

/// A key, principal or table that answers are narrowed to.
struct Named {
    given: String,
    /// Any of these is it.
    names: Vec<String>,
    /// Whether a row of any section names it.
    is_seen: bool,
}

/// What the answers are narrowed to.
struct Subjects {
    keys: Vec<Named>,
    principals: Vec<Named>,
    tables: Vec<Named>,
}

impl Subjects {
    /// The rows about what was named, and the flags that no column of these rows can answer, which are left alone.
    fn narrow(&mut self, rows: &RecordBatch) -> Result<(RecordBatch, Vec<&'static str>), ArrowError> {
        type Names = fn(&dyn Array, usize, &[String]) -> bool;
        let flags: [(&str, &mut Vec<Named>, &[&str], Names); 3] = [
            ("--key", &mut self.keys, &["key_arn", "requested_alias"], is_key),
            ("--principal", &mut self.principals, &["principal"], names),
            ("--table", &mut self.tables, &["table_arn", "table_name"], names),
        ];
        let (mut keep, mut not_narrowed) = (vec![true; rows.num_rows()], Vec::new());
        for (flag, wanted, columns, is_named) in flags {
            if wanted.is_empty() {
                continue;
            }
            let columns: Vec<_> = columns.iter().filter_map(|name| rows.column_by_name(name)).collect();
            if columns.is_empty() {
                not_narrowed.push(flag);
                continue;
            }
            for (row, keep) in keep.iter_mut().enumerate() {
                let mut any = false;
                for named in wanted.iter_mut() {
                    let is_seen = columns.iter().any(|column| is_named(column, row, &named.names));
                    named.is_seen |= is_seen;
                    any |= is_seen;
                }
                *keep &= any;
            }
        }
        Ok((filter_record_batch(rows, &BooleanArray::from(keep))?, not_narrowed))
    }

    /// What no row names: misspelt, or without a trace in what was read.
    fn unseen(&self) -> impl Iterator<Item = &Named> {
        [&self.keys, &self.principals, &self.tables].into_iter().flatten().filter(|named| !named.is_seen)
    }

    /// As the JSON of an audit tells it.
    fn json(&self, sections: &[Section]) -> Value {
        let list = |named: &[Named]| {
            let list = named.iter().map(|named| {
                let others: Vec<&String> = named.names.iter().filter(|name| **name != named.given).collect();
                json!({ "name": named.given, "also": others, "seen": named.is_seen })
            });
            list.collect::<Vec<_>>()
        };
        let open = sections.iter().filter(|section| !section.not_narrowed.is_empty());
        let open: serde_json::Map<_, _> =
            open.map(|section| (section.name.to_owned(), json!(section.not_narrowed))).collect();
        json!({
            "key": list(&self.keys),
            "principal": list(&self.principals),
            "table": list(&self.tables),
            "not_narrowed": open,
        })
    }
}

/// Whether the cell names one of `wanted`: whole, or by the last part of an ARN.
fn names(column: &dyn Array, row: usize, wanted: &[String]) -> bool {
    let mut text = String::new();
    if !cell::plain(&mut text, column, row) {
        return false;
    }
    let last = text.rsplit(['/', ':']).next().unwrap_or_default();
    wanted
        .iter()
        .any(|w| *w == text || w == last || text.strip_suffix(w.as_str()).is_some_and(|head| head.ends_with(':')))
}

/// Whether the cell is a key whose id begins as one of `wanted` does, which is how a screen shows it.
fn begins(column: &dyn Array, row: usize, wanted: &[String]) -> bool {
    let mut text = String::new();
    cell::plain(&mut text, column, row);
    let id = text.rsplit_once(":key/").map(|(_, id)| id);
    id.is_some_and(|id| wanted.iter().any(|w| w.len() >= key_head(id) && id.starts_with(w.trim_end_matches('…'))))
}

/// The audit for people: both layouts, one order.
struct Screen<'a> {
    style: Style,
    summary: &'a Summary,
    sections: &'a [Section],
}

impl Screen<'_> {
    fn table(&self, to: &mut Target) -> Result<(), Failure> {
        let (bold, plain) = if self.style.color { ("\x1b[1;36m", "\x1b[0m") } else { ("", "") };
        self.head(to, "", "").map_err(|e| Failure::write(&e))?;
        for section in self.sections {
            writeln!(to, "\n{bold}{}{plain}", section.title).map_err(|e| Failure::write(&e))?;
            self.rows(to, section, Format::Table)?;
        }
        writeln!(to, "\n{bold}Limits of these logs{plain}").map_err(|e| Failure::write(&e))?;
        let width = to.terminal_width().unwrap_or(110);
        LIMITS
            .iter()
            .chain([&SCREEN_NOTE])
            .try_for_each(|limit| wrapped(to, limit, width))
            .map_err(|e| Failure::write(&e))
    }

    fn markdown(&self, to: &mut Target) -> Result<(), Failure> {
        writeln!(to, "# Key audit\n").and_then(|()| self.head(to, "- ", "")).map_err(|e| Failure::write(&e))?;
        for section in self.sections {
            writeln!(to, "\n## {}\n", section.title).map_err(|e| Failure::write(&e))?;
            self.rows(to, section, Format::Markdown)?;
        }
        writeln!(to, "\n## Limits of these logs\n").map_err(|e| Failure::write(&e))?;
        LIMITS
            .iter()
            .chain([&SCREEN_NOTE])
            .try_for_each(|limit| writeln!(to, "- {limit}"))
            .map_err(|e| Failure::write(&e))
    }

    /// Interval, objects and records: what the rest rests on.
    fn head(&self, to: &mut Target, before: &str, after: &str) -> io::Result<()> {
        self.summary.lines().iter().try_for_each(|line| writeln!(to, "{before}{line}{after}"))
    }

    fn rows(&self, to: &mut Target, section: &Section, format: Format) -> Result<(), Failure> {
        let total = section.rows.num_rows();
        if total == 0 {
            return writeln!(to, "{}", section.none).map_err(|e| Failure::write(&e));
        }
        let shown = shortened(&section.rows.slice(0, total.min(ROWS_SHOWN))).map_err(internal)?;
        {
            let mut sink = output::sink(format, to, &shown.schema(), self.style)?;
            sink.write(&shown).and_then(|()| sink.finish()).map_err(|e| Failure::write(&e))?;
        }
        let mut notes = String::new();
        if total > ROWS_SHOWN {
            let more = count((total - ROWS_SHOWN) as u64);
            writeln!(notes, "and {more} more: keytrail audit -f json has them under {}", section.name)
                .expect("writing to a String cannot fail");
        }
        for flag in &section.not_narrowed {
            writeln!(notes, "not narrowed by {flag}: these rows do not name it")
                .expect("writing to a String cannot fail");
        }
        if format == Format::Markdown && !notes.is_empty() {
            notes = format!("\n{}", markdown::escaped(notes.trim_end()).replace('\n', "  \n")) + "\n";
        }
        to.write_all(notes.as_bytes()).map_err(|e| Failure::write(&e))
    }
}

/// Columns that people can do without on a screen; JSON has them.
const LEFT_OUT: [&str; 5] = ["denial_effect", "first_denied", "requested_alias", "table_name", "windows"];

/// The rows for a screen: fewer columns, ARNs without what all of them begin with, times to the minute.
fn shortened(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns: Vec<Arc<dyn Array>> = Vec::new();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        if LEFT_OUT.contains(&field.name().as_str()) {
            continue;
        }
        let shorten: fn(&str) -> Cow<'_, str> = match field.data_type() {
            DataType::Timestamp(..) => to_the_minute,
            ty if cell::kind(ty) == cell::Kind::Text => short_arn,
            _ => {
                fields.push(field.as_ref().clone());
                columns.push(column.clone());
                continue;
            }
        };
        let mut text = String::new();
        let texts = (0..column.len()).map(|row| {
            text.clear();
            cell::plain(&mut text, column, row).then(|| shorten(&text).into_owned())
        });
        columns.push(Arc::new(texts.collect::<StringArray>()));
        fields.push(Field::new(field.name(), DataType::Utf8, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// `2026-03-10T14:30:30Z` says `2026-03-10 14:30`.
fn to_the_minute(text: &str) -> Cow<'_, str> {
    match text.split_once('T') {
        Some((day, time)) if time.len() >= 5 => Cow::Owned(format!("{day} {}", &time[..5])),
        _ => Cow::Borrowed(text),
    }
}

/// `arn:aws:iam::111122223333:role/path/App` says `111122223333:role/…/App`, a key shows the head of its id;
/// what is no ARN stays as it is.
fn short_arn(text: &str) -> Cow<'_, str> {
    let mut parts = text.splitn(4, ':');
    let (Some("arn"), Some(_), Some(service), Some(rest)) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Cow::Borrowed(text);
    };
    let rest = rest.trim_start_matches(':');
    match (service, rest.split_once('/')) {
        ("kms", Some((head, id))) if head.ends_with(":key") => match id.char_indices().nth(key_head(id)) {
            Some((end, _)) => Cow::Owned(format!("{head}/{}…", &id[..end])),
            None => Cow::Borrowed(rest),
        },
        ("iam", Some((head, path))) => match path.rsplit_once('/') {
            Some((_, name)) => Cow::Owned(format!("{head}/…/{name}")),
            None => Cow::Borrowed(rest),
        },
        ("iam" | "sts" | "kms" | "dynamodb", _) => Cow::Borrowed(rest),
        _ => Cow::Borrowed(text),
    }
}

/// Characters of a key id that tell keys apart; those of a multi-Region key all begin with `mrk-`.
fn key_head(id: &str) -> usize {
    if id.starts_with("mrk-") { KEY_HEAD + 4 } else { KEY_HEAD }
}

fn wrapped(to: &mut Target, text: &str, width: usize) -> io::Result<()> {
    let mut line = String::from("-");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > width && line.len() > 2 {
            writeln!(to, "{line}")?;
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(to, "{line}")
}

/// One object; its members are promises.
fn as_json(
    to: &mut Target,
    summary: &Summary,
    opened: &Opened,
    about: &Subjects,
    sections: &[Section],
) -> Result<(), Failure> {
    let mut head = json!({
        "since": opened.scope.since.map(times::rfc3339),
        "until": opened.scope.until.map(times::rfc3339),
        "accounts": opened.scope.accounts,
        "regions": opened.scope.regions,
        "about": about.json(sections),
    });
    let mut objects = serde_json::Map::new();
    if let (Some(a), Some(members)) = (&summary.accounting, head.as_object_mut()) {
        let others = [("untimed", a.untimed), ("bytes", a.bytes), ("event_history_objects", a.history_objects)];
        for (name, n) in a.counts.each().chain(others) {
            members.insert(name.to_owned(), json!(n));
        }
        members.insert("complete".to_owned(), json!(summary.code() == Code::Done));
        objects = a.by_status.each().map(|(status, n)| (status.name().to_owned(), json!(n))).collect();
    }
    let has_history = summary.accounting.as_ref().is_some_and(|a| a.history_objects > 0);
    let limits: Vec<&str> = LIMITS.into_iter().chain([NOT_YET]).chain(has_history.then_some(HISTORY_LIMIT)).collect();
    let mut out = String::new();
    write!(out, "{{\n\"summary\":{head},\n\"coverage\":null,\n\"objects\":{}", json!(objects))
        .expect("writing to a String cannot fail");
    for section in sections {
        if section.name == "findings" {
            out.push_str(",\n\"access_chains\":[]");
        }
        write!(out, ",\n\"{}\":", section.name).expect("writing to a String cannot fail");
        rows_json(&mut out, &section.rows);
    }
    write!(out, ",\n\"limits\":{}\n}}\n", json!(limits)).expect("writing to a String cannot fail");
    to.write_all(out.as_bytes()).map_err(|e| Failure::write(&e))
}

fn rows_json(out: &mut String, rows: &RecordBatch) {
    let names = output::unique_names(&rows.schema());
    out.push('[');
    for row in 0..rows.num_rows() {
        out.push_str(if row == 0 { "\n{" } else { ",\n{" });
        for (i, (name, column)) in names.iter().zip(rows.columns()).enumerate() {
            if i > 0 {
                out.push(',');
            }
            cell::json_string(out, name);
            out.push(':');
            cell::json(out, column, row);
        }
        out.push('}');
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_only_arns_of_the_story() {
        for (text, short) in [
            ("arn:aws:iam::111122223333:role/App", "111122223333:role/App"),
            ("arn:aws:iam::111122223333:role/a/b/App", "111122223333:role/…/App"),
            ("arn:aws:kms:eu-west-1:111122223333:key/1", "eu-west-1:111122223333:key/1"),
            ("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab", "eu-west-1:111122223333:key/1234abcd…"),
            ("arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab", "eu-west-1:111122223333:key/mrk-1234abcd…"),
            ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket"),
            ("service:dynamodb.amazonaws.com", "service:dynamodb.amazonaws.com"),
            ("arn:aws", "arn:aws"),
        ] {
            assert_eq!(short_arn(text), short);
        }
    }

    #[test]
    fn a_key_is_named_by_the_head_of_its_id() {
        let column = StringArray::from(vec!["arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab"]);
        for (wanted, is_named) in [("1234abcd", true), ("1234abcd…", true), ("1234abc", false), ("1234abce", false)] {
            assert_eq!(begins(&column, 0, &[wanted.to_owned()]), is_named, "{wanted}");
        }
        assert_eq!(to_the_minute("2026-03-10T14:30:30.25Z"), "2026-03-10 14:30");
    }

    #[test]
    fn names_match_whole_or_by_the_last_part() {
        let column = StringArray::from(vec![
            "arn:aws:kms:eu-west-1:111122223333:key/abc",
            "arn:aws:kms:eu-west-1:111122223333:alias/orders",
        ]);
        for (row, wanted, is_named) in [
            (0, "abc", true),
            (0, "arn:aws:kms:eu-west-1:111122223333:key/abc", true),
            (0, "bc", false),
            (1, "alias/orders", true),
            (1, "orders", true),
            (1, "", false),
        ] {
            assert_eq!(names(&column, row, &[wanted.to_owned()]), is_named, "{wanted}");
        }
    }
}
