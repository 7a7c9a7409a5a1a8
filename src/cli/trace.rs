//! `keytrail trace`: the life of one key, table or principal, in order of time.
//! In: arguments. Out: a timeline for a screen or a reader of text, as Markdown or as JSON, and an exit code.
//! Never answers for one of several things of a name: it lists them.

use std::io::Write;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::args::{ExpectArgs, FileArgs, GlobalArgs, ScopeArgs, StateArgs};
use super::exit::{Failure, RunExitCode, say, with_exit_codes};
use super::open::{CliSession, dry_run};
use super::page::{self, PageFormat};
use super::summary::{self, RunSummary, SummaryBlock};
use crate::audit::{LIMITS, Trace, TracedName, UnknownName};
use crate::dataset::DatasetOptions;
use crate::output::visible::visible;
use crate::output::words::wrapped;
use crate::output::{self, Format, OutputTarget, Style, markdown};

/// Things that a failure lists.
const LISTED_MAX: usize = 20;

#[derive(Args, Debug, Clone)]
#[command(after_help = with_exit_codes("Examples:
  keytrail trace alias/orders --from logs/
  keytrail trace arn:aws:dynamodb:eu-west-1:111122223333:table/orders --from logs/ --during 2026-03
  keytrail trace user/test-analyst --from logs/ -f markdown -o analyst.md
  keytrail trace 1234abcd-12ab-34cd-56ef-1234567890ab --from logs/ -f json | jq '.timeline[]'"))]
pub struct TraceArgs {
    /// A key (ARN, id or alias), a table (ARN or name) or a principal (ARN, role/NAME, user/NAME or NAME)
    #[arg(value_name = "SUBJECT", value_parser = NonEmptyStringValueParser::new())]
    pub subject: String,
    /// Where the logs are: a file, a directory, s3://BUCKET/PREFIX, cloudtrail://REGION, `-` for stdin (repeatable)
    /// [default: KEYTRAIL_FROM]
    #[arg(long, value_name = "LOCATION", allow_hyphen_values = true)]
    pub from: Vec<String>,
    /// Format [default: table, or what FILE ends in]
    #[arg(short, long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<PageFormat>,
    #[command(flatten)]
    pub to: FileArgs,
    #[command(flatten)]
    pub scope: ScopeArgs,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub expect: ExpectArgs,
}

pub async fn run(args: TraceArgs, global: GlobalArgs) -> Result<RunExitCode, Failure> {
    let expected = args.expect.expected()?;
    let options = args.state.with_state(args.scope.dataset(&args.from, &global)?, &global)?;
    let options = DatasetOptions { expected: expected.clone(), ..options };
    if args.scope.dry_run {
        return dry_run(options, &global).await;
    }
    let format = PageFormat::chosen(args.format, &args.to)?;
    let mut target = args.to.target(&options.locations, [args.scope.files(), args.state.files()].concat())?;
    let opened = CliSession::new(options, &global).await?;
    let traced = Trace::of(&opened.data, &args.subject, &expected).await;
    opened.progress.clear();
    let trace = match traced? {
        TracedName::One(trace) => trace,
        TracedName::Several(things) => {
            let listed: Vec<String> =
                things.iter().take(LISTED_MAX).map(|(kind, name)| format!("{kind} {name}")).collect();
            let more = things.len().saturating_sub(LISTED_MAX);
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            let said = format!("`{}` names {} things: {}{more}", args.subject, things.len(), listed.join(", "));
            return Err(Failure::usage(said).hint("name one of them in full"));
        }
        TracedName::Nothing(unknown) => {
            let summary = opened.summary(Some(unknown.accounting.clone()));
            return unknown_name(&unknown, summary, (format, target), &global);
        }
    };
    let summary = RunSummary { missing: trace.missing.clone(), ..opened.summary(Some(trace.accounting.clone())) };
    let page = TracePage { style: global.style(&target), summary: &summary, trace: &trace };
    match format {
        PageFormat::Json => target.write_all(trace.to_json().as_bytes()).map_err(|e| Failure::write(&e))?,
        PageFormat::Table => page.table(&mut target)?,
        PageFormat::Markdown => page.markdown(&mut target)?,
    }
    let is_said = target.is_terminal() && format != PageFormat::Json;
    target.commit()?;
    if !global.quiet {
        summary::print(&summary, if is_said { SummaryBlock::Problems } else { SummaryBlock::Whole }, &global);
    }
    Ok(summary.code())
}

/// Says that no record bears the name.
fn unknown_name(
    unknown: &UnknownName,
    summary: RunSummary,
    (format, mut target): (PageFormat, OutputTarget),
    global: &GlobalArgs,
) -> Result<RunExitCode, Failure> {
    let near =
        if unknown.nearest.is_empty() { String::new() } else { format!("; nearest: {}", unknown.nearest.join(", ")) };
    let said = format!("no record names a key, a table or a principal {}{near}", unknown.name);
    let answer = match format {
        PageFormat::Json => {
            say(format_args!("note: {}", visible(&said)));
            unknown.to_json()
        }
        PageFormat::Table => format!("{}\n", visible(&said)),
        PageFormat::Markdown => format!("{}\n", markdown::escaped(&visible(&said))),
    };
    target.write_all(answer.as_bytes()).map_err(|e| Failure::write(&e))?;
    target.commit()?;
    let summary = RunSummary { missing: unknown.missing.clone(), ..summary };
    if !global.quiet {
        summary::print(&summary, SummaryBlock::Whole, global);
    }
    Ok(summary.code())
}

/// A trace for people.
struct TracePage<'a> {
    style: Style,
    summary: &'a RunSummary,
    trace: &'a Trace,
}

impl TracePage<'_> {
    fn table(&self, to: &mut OutputTarget) -> Result<(), Failure> {
        let write = |e| Failure::write(&e);
        let width = self.style.screen().map_or(page::TEXT_WIDTH, |look| look.width);
        let head = self.head();
        let head = head.iter().flat_map(|line| wrapped(line, width, "          "));
        head.into_iter().try_for_each(|line| writeln!(to, "{line}")).map_err(write)?;
        page::title(to, self.trace.title(), self.style).map_err(write)?;
        self.rows(to, Format::Table)?;
        page::limits(to, &LIMITS, (self.style, width)).map_err(write)
    }

    fn markdown(&self, to: &mut OutputTarget) -> Result<(), Failure> {
        let write = |e| Failure::write(&e);
        writeln!(to, "# {}\n", self.trace.title()).map_err(write)?;
        self.head().iter().try_for_each(|line| writeln!(to, "- {}", markdown::escaped(line))).map_err(write)?;
        writeln!(to).map_err(write)?;
        self.rows(to, Format::Markdown)?;
        writeln!(to, "\n## Limits of these logs\n").map_err(write)?;
        LIMITS.iter().try_for_each(|limit| writeln!(to, "- {limit}")).map_err(write)
    }

    /// The subject in full, and the accounts that its life rests on.
    fn head(&self) -> Vec<String> {
        let subject = format!("{:<9} {}", self.trace.kind.word(), visible(&self.trace.name));
        [subject].into_iter().chain(self.summary.lines()).collect()
    }

    fn rows(&self, to: &mut OutputTarget, format: Format) -> Result<(), Failure> {
        if self.trace.timeline.num_rows() == 0 {
            return writeln!(to, "{}", self.trace.none()).map_err(|e| Failure::write(&e));
        }
        let mut sink = output::sink(format, to, &self.trace.timeline.schema(), self.style)?;
        sink.write(&self.trace.timeline).and_then(|()| sink.finish()).map_err(|e| Failure::write(&e))
    }
}
