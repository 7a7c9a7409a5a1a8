//! `keytrail queries [NAME]`: the named queries, or one of them: its card and its SQL.
//! Never opens a log.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::args::GlobalArgs;
use super::exit::{Failure, RunExitCode, say};
use super::finding_args::user_rules;
use super::query::{Asker, unknown_query};
use crate::output::screen::ScreenLook;
use crate::output::visible::visible;
use crate::output::words::wrapped;
use crate::output::{self, Format, OutputTarget, Style};
use crate::sql::named::{self, NamedQuery};
use crate::sql::{SqlError, check_rule, rules};

#[derive(Args, Debug, Clone)]
#[command(after_help = "Examples:
  keytrail queries
  keytrail queries denied-attempts
  keytrail queries -f json | jq -r '.[].name'
  keytrail queries --lint my-rules/")]
pub struct QueriesArgs {
    /// Show this query: its card and its SQL
    pub name: Option<String>,
    /// Check the rules of findings, keytrail's own and those in DIR: their cards, parameters and columns
    #[arg(long, value_name = "DIR", num_args = 0..=1, conflicts_with = "name")]
    pub lint: Option<Option<PathBuf>>,
    /// Format of the list
    #[arg(short, long, value_name = "FORMAT", default_value = "table", help_heading = "Output")]
    pub format: ListFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ListFormat {
    Table,
    Json,
}

/// Checks every rule; says what is wrong with each that cannot be used.
pub async fn lint(folder: Option<PathBuf>, global: GlobalArgs) -> Result<RunExitCode, Failure> {
    let own = folder.as_deref().map_or(Ok(Vec::new()), user_rules)?;
    let mut faults = 0;
    for rule in rules::all().iter().chain(&own) {
        let missing = rule.missing().map(|key| format!("its card has no `{key}`"));
        let planned = check_rule(rule).await.map_err(|error| SqlError::from(error).to_string());
        for fault in missing.into_iter().chain(planned.err()) {
            faults += 1;
            say(format_args!("{}: {}", visible(rule.name), visible(&fault)));
        }
    }
    let (count, kept) = (rules::all().len() + own.len(), faults == 0);
    if kept && !global.quiet {
        say(format_args!("{count} rules are as they should be"));
    }
    if kept { Ok(RunExitCode::Done) } else { Ok(RunExitCode::Usage) }
}

pub fn run(args: &QueriesArgs, global: &GlobalArgs) -> Result<RunExitCode, Failure> {
    let mut target = OutputTarget::stdout();
    let text = match (&args.name, args.format) {
        (Some(name), format) => {
            let query = named::find(name).ok_or_else(|| unknown_query(name, Asker::CommandLine))?;
            if format == ListFormat::Json { pretty(&as_json(query)) } else { card(query) }
        }
        (None, ListFormat::Json) => pretty(&named::all().iter().map(as_json).collect()),
        (None, ListFormat::Table) => {
            let style = global.style(&target);
            list(&mut target, style)?;
            String::new()
        }
    };
    target.write_all(text.as_bytes()).map_err(|e| Failure::write(&e))?;
    target.commit()?;
    Ok(RunExitCode::Done)
}

/// The table of all named queries.
pub fn list(target: &mut OutputTarget, style: Style) -> Result<(), Failure> {
    if let Some(look) = style.screen() {
        return list_on_screen(target, look).map_err(|e| Failure::write(&e));
    }
    let columns = [
        ("name", text(|q| q.name.to_string())),
        ("title", text(|q| q.title.to_string())),
        ("params", text(|q| q.params.iter().map(|p| p.name.to_string()).collect::<Vec<_>>().join(", "))),
    ];
    let batch =
        RecordBatch::try_from_iter(columns).map_err(|e| Failure::world(format!("cannot list the queries: {e}")))?;
    let mut sink = output::sink(Format::Table, target, &batch.schema(), style)?;
    sink.write(&batch).and_then(|()| sink.finish()).map_err(|e| Failure::write(&e))
}

/// Names and titles, each title in as many lines as the screen needs for it.
fn list_on_screen(target: &mut OutputTarget, look: ScreenLook) -> io::Result<()> {
    let names_width = named::all().iter().map(|query| query.name.len()).max().unwrap_or(0);
    let indent = " ".repeat(names_width + 2);
    for query in named::all() {
        let params: Vec<&str> = query.params.iter().map(|param| param.name).collect();
        let params = if params.is_empty() { String::new() } else { format!(" ({})", params.join(", ")) };
        let lines = wrapped(&format!("{}{params}", query.title), look.width.saturating_sub(indent.len()).max(20), "");
        for (number, line) in lines.iter().enumerate() {
            let name = if number == 0 { query.name } else { "" };
            writeln!(target, "{name:names_width$}  {line}")?;
        }
    }
    Ok(())
}

fn text(of: impl Fn(&NamedQuery) -> String) -> ArrayRef {
    Arc::new(named::all().iter().map(|q| Some(of(q))).collect::<StringArray>())
}

fn card(query: &NamedQuery) -> String {
    let mut out = format!("{}: {}\n", query.name, query.title);
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to a String cannot fail");
    if !query.description.is_empty() {
        line(format!("\n{}", query.description));
    }
    if !query.params.is_empty() {
        line("\nParameters (-p name=value):".to_owned());
    }
    for param in &query.params {
        let default = param.default.as_ref().map(|d| format!(", default {d}")).unwrap_or_default();
        let default = if param.is_required { ", required".to_owned() } else { default };
        line(format!("  {} ({}{default})  {}", param.name, param.ty, param.about));
    }
    line(format!("\n{}", query.sql.trim_end()));
    out
}

fn as_json(query: &NamedQuery) -> Value {
    let params: Vec<Value> = query
        .params
        .iter()
        .map(|p| json!({"name": p.name, "type": p.ty.to_string(), "default": p.default, "required": p.is_required, "about": p.about}))
        .collect();
    let severity = query.severity.as_ref().map(|s| s.to_string());
    json!({"name": query.name, "title": query.title, "description": query.description, "params": params, "severity": severity, "sql": query.sql})
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
