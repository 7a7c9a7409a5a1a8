//! `keytrail audit`: who used which key, which use came through DynamoDB, the denials, the changes, and the points
//! that need a look.
//! In: arguments. Out: an audit for a screen or a reader of text, as Markdown or as JSON, and an exit code.

use std::io::Write;
use std::sync::Arc;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::args::{ExpectArgs, FileArgs, GlobalArgs, ScopeArgs, StateArgs};
use super::audit_screen::AuditScreen;
use super::exit::{Failure, RunExitCode, say, with_exit_codes};
use super::finding_args::FindingArgs;
use super::open::{CliSession, dry_run};
use super::page::PageFormat;
use super::summary::{self, RunSummary, SummaryBlock};
use crate::audit::{AskedSubjects, Audit, AuditRequest, KeyNaming, SuppressedRows};
use crate::dataset::DatasetOptions;
use crate::output::screen::ScreenValues;
use crate::output::visible::visible;
use crate::source::Location;

#[derive(Args, Debug, Clone)]
#[command(after_help = with_exit_codes("Examples:
  keytrail audit logs/
  keytrail audit logs/ --during 2026-03 --key alias/orders
  keytrail audit logs/ --principal OrdersApp --table orders
  keytrail audit logs/ -f json | jq '.denials[]'
  keytrail audit logs/ -f markdown -o audit.md
  keytrail audit logs/ --fail-on high --suppress suppress.toml -q -o audit.json"))]
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
    pub expect: ExpectArgs,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub about: SubjectArgs,
    #[command(flatten)]
    pub findings: FindingArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum AuditFormat {
    /// Sections for people
    Table,
    /// The same as Markdown
    Markdown,
    /// One object with every row
    Json,
    /// The findings as SARIF 2.1.0, for hosts that show results of tools
    Sarif,
    /// The findings as OCSF Detection Findings, one JSON object a line
    Ocsf,
}

/// What the answers of `audit` and `report` are narrowed to. It never narrows what is read.
#[derive(Args, Debug, Clone)]
pub struct SubjectArgs {
    /// Only answers about this key: ARN, id or alias (repeatable)
    #[arg(long, value_name = "KEY", help_heading = "Scope", value_parser = NonEmptyStringValueParser::new())]
    pub key: Vec<String>,
    /// Only answers about this principal: ARN, role/NAME, user/NAME or NAME (repeatable)
    #[arg(long, value_name = "PRINCIPAL", help_heading = "Scope", value_parser = NonEmptyStringValueParser::new())]
    pub principal: Vec<String>,
    /// Only answers about this table: ARN or name (repeatable)
    #[arg(long, value_name = "TABLE", help_heading = "Scope", value_parser = NonEmptyStringValueParser::new())]
    pub table: Vec<String>,
}

pub async fn run(args: AuditArgs, global: GlobalArgs) -> Result<RunExitCode, Failure> {
    let expected = args.expect.expected()?;
    let options = args.state.with_state(args.scope.dataset(&args.locations, &global)?, &global)?;
    let found = args.findings.options(options.now_micros)?;
    if !global.quiet {
        found.notes.iter().for_each(|note| say(format_args!("note: {}", visible(note))));
    }
    let rules = Arc::clone(&found.rules);
    let options = DatasetOptions { expected: expected.clone(), rules: found.rules, said: found.said, ..options };
    let first_location = options.locations.first().map(named).unwrap_or_default();
    if args.scope.dry_run {
        return dry_run(options, &global).await;
    }
    let format = AuditFormat::chosen(args.format, &args.to)?;
    let read = [args.scope.files(), args.state.files(), args.findings.files()].concat();
    let mut target = args.to.target(&options.locations, read)?;
    let opened = CliSession::new(options, &global).await?;
    let style = global.style(&target);
    let is_short = format == AuditFormat::Table && style.screen().is_some_and(|s| s.values == ScreenValues::Short);
    let naming = if is_short { KeyNaming::ByAlias } else { KeyNaming::ByArn };
    let is_sarif = format == AuditFormat::Sarif;
    // SARIF has a member for those that are suppressed.
    let lists_all = args.findings.show_suppressed || is_sarif;
    let suppressed = if lists_all { SuppressedRows::Listed } else { SuppressedRows::Counted };
    let (subjects, located_in) = (args.about.subjects(), is_sarif.then_some(first_location));
    let request = AuditRequest { subjects: &subjects, expected: &expected, naming, suppressed, rules, located_in };
    let audit = Audit::of(&opened.data, request).await;
    opened.progress.clear();
    let audit = audit?;
    let summary = RunSummary { missing: audit.missing.clone(), ..opened.summary(Some(audit.accounting.clone())) };
    let screen = AuditScreen { style, summary: &summary, audit: &audit };
    match format {
        AuditFormat::Json => target.write_all(audit.to_json().as_bytes()).map_err(|e| Failure::write(&e))?,
        AuditFormat::Sarif => target.write_all(audit.to_sarif().as_bytes()).map_err(|e| Failure::write(&e))?,
        AuditFormat::Ocsf => target.write_all(audit.to_ocsf().as_bytes()).map_err(|e| Failure::write(&e))?,
        AuditFormat::Table => screen.table(&mut target)?,
        AuditFormat::Markdown => screen.markdown(&mut target)?,
    }
    // A terminal has already shown the summary as the head of the sections.
    let is_for_people = matches!(format, AuditFormat::Table | AuditFormat::Markdown);
    let is_said = target.is_terminal() && is_for_people;
    target.commit()?;
    if !global.quiet {
        if !is_for_people {
            audit.names.iter().for_each(|sentence| say(format_args!("note: {}", visible(sentence))));
        }
        let block = if is_said { SummaryBlock::Problems } else { SummaryBlock::Whole };
        summary::print(&summary, block, &global);
    }
    let is_grave = args.findings.fail_on.is_some_and(|least| audit.findings.gravest >= Some(least));
    // Of 1, 3 and 4 the largest wins.
    Ok(if is_grave { summary.code().max(RunExitCode::Findings) } else { summary.code() })
}

/// A location as a path.
pub fn named(location: &Location) -> String {
    match location {
        Location::Path(path) => path.to_string_lossy().into_owned(),
        Location::S3(path) => path.to_string(),
        Location::Stdin => "stdin".to_owned(),
        Location::History(_) => "cloudtrail".to_owned(),
    }
}

impl SubjectArgs {
    pub fn subjects(&self) -> AskedSubjects {
        AskedSubjects { keys: self.key.clone(), principals: self.principal.clone(), tables: self.table.clone() }
    }
}

impl AuditFormat {
    /// `-f`, else the ending of FILE, else a table.
    fn chosen(format: Option<AuditFormat>, to: &FileArgs) -> Result<AuditFormat, Failure> {
        if let Some(format) = format {
            return Ok(format);
        }
        Ok(match PageFormat::chosen(None, to)? {
            PageFormat::Table => AuditFormat::Table,
            PageFormat::Markdown => AuditFormat::Markdown,
            PageFormat::Json => AuditFormat::Json,
        })
    }
}
