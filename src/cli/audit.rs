//! `keytrail audit`: who used which key, which use came through DynamoDB, the denials, the changes, and the points
//! that need a look, within a screen or two.
//! In: arguments. Out: an audit on a screen, as Markdown or as JSON. Never shows more of a section than its share of
//! the screen; JSON has every row.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use clap::{Args, ValueEnum};

use super::args::{FileArgs, Global, ScopeArgs};
use super::exit::{Code, Failure, say};
use super::open::{Opened, dry_run};
use super::summary::{self, Block, Summary};
use crate::audit::{AskedSubjects, Audit, AuditError, LIMITS, Section, key_head};
use crate::output::visible::visible;
use crate::output::words::count;
use crate::output::{self, Format, Style, Target, cell, markdown};

/// Rows of a section on a screen.
const ROWS_SHOWN: usize = 12;

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

/// The note on the parts that a screen leaves out.
const SCREEN_NOTE: &str =
    "Shown in short: times in UTC to the minute, ARNs without their prefix; -f json has everything.";

pub async fn run(args: AuditArgs, global: Global) -> Result<Code, Failure> {
    let options = args.scope.dataset(&args.locations, &global)?;
    if args.scope.dry_run {
        return dry_run(options, &global).await;
    }
    let format = args.chosen()?;
    let mut target = args.to.target()?;
    let opened = Opened::new(options, &global).await?;
    let audit = Audit::of(&opened.data, &args.about.subjects()).await;
    opened.progress.clear();
    let audit = audit?;
    let summary = opened.summary(Some(audit.accounting.clone()));
    let screen = Screen { style: global.style(&target), summary: &summary, sections: &audit.sections };
    match format {
        AuditFormat::Json => target.write_all(audit.to_json().as_bytes()).map_err(|e| Failure::write(&e))?,
        AuditFormat::Table => screen.table(&mut target)?,
        AuditFormat::Markdown => screen.markdown(&mut target)?,
    }
    // A terminal has already shown the summary as the head of the sections.
    let is_said = target.is_terminal() && format != AuditFormat::Json;
    target.commit()?;
    if !global.quiet {
        let unseen = audit.subjects.unseen();
        unseen.for_each(|name| say(format_args!("note: no answer names `{}`", visible(&name.given))));
        let block = if is_said { Block::Problems } else { Block::Whole };
        summary::print(&summary, block, &global);
    }
    Ok(summary.code())
}

impl About {
    fn subjects(&self) -> AskedSubjects {
        AskedSubjects { keys: self.key.clone(), principals: self.principal.clone(), tables: self.table.clone() }
    }
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

    /// The interval, objects and records on which the sections rest.
    fn head(&self, to: &mut Target, before: &str, after: &str) -> io::Result<()> {
        self.summary.lines().iter().try_for_each(|line| writeln!(to, "{before}{line}{after}"))
    }

    fn rows(&self, to: &mut Target, section: &Section, format: Format) -> Result<(), Failure> {
        let total = section.rows.num_rows();
        if total == 0 {
            return writeln!(to, "{}", section.none).map_err(|e| Failure::write(&e));
        }
        let shown = shortened(&section.rows.slice(0, total.min(ROWS_SHOWN))).map_err(AuditError::from)?;
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

/// Columns that a screen leaves out; JSON has them.
const LEFT_OUT: [&str; 5] = ["denial_effect", "first_denied", "requested_alias", "table_name", "windows"];

/// The rows for a screen: fewer columns, ARNs without their common beginning, times to the minute.
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

/// `2026-03-10T14:30:30Z` becomes `2026-03-10 14:30`.
fn to_the_minute(text: &str) -> Cow<'_, str> {
    match text.split_once('T') {
        Some((day, time)) if time.len() >= 5 => Cow::Owned(format!("{day} {}", &time[..5])),
        _ => Cow::Borrowed(text),
    }
}

/// `arn:aws:iam::111122223333:role/path/App` becomes `111122223333:role/…/App`, and a key shows the head of its id;
/// other text stays as it is.
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
    fn times_are_shown_to_the_minute() {
        assert_eq!(to_the_minute("2026-03-10T14:30:30.25Z"), "2026-03-10 14:30");
    }
}
