//! `keytrail report`: one HTML file for people who decide.
//! In: arguments. Out: the file, a summary on stderr, and an exit code. Never writes a page that is not whole.

use std::io::Write;
use std::sync::Arc;

use clap::Args;

use super::args::{EventChoice, ExpectArgs, FileArgs, GlobalArgs, ScopeArgs, StateArgs};
use super::audit::{SubjectArgs, named};
use super::exit::{Failure, RunExitCode, say, with_exit_codes};
use super::finding_args::{FindingArgs, RulesSet};
use super::open::{CliSession, dry_run};
use super::summary::{self, RunSummary, SummaryBlock};
use crate::dataset::DatasetOptions;
use crate::output::times;
use crate::output::visible::visible;
use crate::report::{Report, ReportRequest};

#[derive(Args, Debug, Clone)]
#[command(after_help = with_exit_codes("Examples:
  keytrail report logs/ -o report.html
  keytrail report logs/ --during 2026-03 --key alias/orders -o orders.html
  keytrail report keytrail.store --since 2026-01-01 -o quarter.html --force
  keytrail report logs/ --fail-on high --suppress suppress.toml -q -o report.html
  keytrail report logs/ -o - > report.html"))]
pub struct ReportArgs {
    /// Where the logs are: files, directories, s3://BUCKET/PREFIX, cloudtrail://REGION, `-` for stdin [default:
    /// KEYTRAIL_FROM]
    #[arg(value_name = "LOCATION")]
    pub locations: Vec<String>,
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

pub async fn run(args: ReportArgs, global: GlobalArgs) -> Result<RunExitCode, Failure> {
    let expected = args.expect.expected()?;
    let options = args.state.with_state(args.scope.dataset(&args.locations, &global)?, &global)?;
    let found = args.findings.options(options.now_micros)?;
    if !global.quiet {
        found.notes.iter().for_each(|note| say(format_args!("note: {}", visible(note))));
    }
    let rules = Arc::clone(&found.rules);
    let options = DatasetOptions { expected: expected.clone(), rules: found.rules, said: found.said, ..options };
    if args.scope.dry_run {
        return dry_run(options, &global).await;
    }
    let read = [args.scope.files(), args.state.files(), args.findings.files()].concat();
    let mut target = args.to.target(&options.locations, read)?;
    if target.is_terminal() {
        return Err(
            Failure::usage("a report is a page of HTML, which no terminal shows").hint("name a file: -o FILE.html")
        );
    }
    let locations: Vec<String> = options.locations.iter().map(named).collect();
    let typed = if args.locations.is_empty() { &locations } else { &args.locations };
    let command = command(&args, typed, (options.scope.since, options.scope.until));
    let opened = CliSession::new(options, &global).await?;
    let subjects = args.about.subjects();
    let request = ReportRequest { subjects: &subjects, expected: &expected, rules, locations, command };
    let report = Report::of(&opened.data, request).await;
    opened.progress.clear();
    let report = report?;
    let page = report.to_html().map_err(|fault| Failure::world(format!("cannot make the report: {fault}")))?;
    target.write_all(page.as_bytes()).map_err(|e| Failure::write(&e))?;
    target.commit()?;
    let summary = RunSummary { missing: report.missing.clone(), ..opened.summary(Some(report.accounting.clone())) };
    if !global.quiet {
        report.names.iter().for_each(|sentence| say(format_args!("note: {}", visible(sentence))));
        summary::print(&summary, SummaryBlock::Whole, &global);
    }
    let is_grave = args.findings.fail_on.is_some_and(|least| report.gravest >= Some(least));
    // Of 1, 3 and 4 the largest wins.
    Ok(if is_grave { summary.code().max(RunExitCode::Findings) } else { summary.code() })
}

/// The command that makes the report again: all that decides what it says. The interval stands as it was resolved, since
/// `7d` is another one tomorrow, and the file is anybody's choice.
fn command(args: &ReportArgs, locations: &[String], (since, until): (Option<i64>, Option<i64>)) -> String {
    let mut words = vec!["keytrail".to_owned(), "report".to_owned()];
    words.extend(locations.iter().map(|location| word(location)));
    let mut add = |flag: &str, values: &[String]| {
        words.extend(values.iter().flat_map(|value| [flag.to_owned(), word(value)]));
    };
    let path = |path: &Option<std::path::PathBuf>| -> Vec<String> {
        path.iter().map(|path| path.to_string_lossy().into_owned()).collect()
    };
    let events = match args.scope.events {
        None => vec![],
        Some(EventChoice::KeyUse) => vec!["key-use".to_owned()],
        Some(EventChoice::All) => vec!["all".to_owned()],
    };
    let late = (args.scope.late_days != 2).then(|| args.scope.late_days.to_string());
    let set = (args.findings.rules_set == RulesSet::Baseline).then(|| "baseline".to_owned());
    let moment = |micros: Option<i64>| micros.map(times::rfc3339).into_iter().collect::<Vec<_>>();
    add("--since", &moment(since));
    add("--until", &moment(until));
    add("--account", &args.scope.account);
    add("--region", &args.scope.region);
    add("--org-id", &args.scope.org_id);
    add("--late-days", late.as_slice());
    add("--events", &events);
    add("--accept", &path(&args.scope.accept));
    add("--baseline", args.state.baseline.as_slice());
    add("--state", &args.state.answers);
    add("--expect", &args.expect.expect);
    add("--expect-until", args.expect.expect_until.as_slice());
    add("--key", &args.about.key);
    add("--principal", &args.about.principal);
    add("--table", &args.about.table);
    add("--rules", &path(&args.findings.rules));
    add("--rules-set", set.as_slice());
    add("--suppress", &path(&args.findings.suppress));
    add("--expect-use", &path(&args.findings.expect_use));
    for (flag, is_given) in [("--salvage", args.scope.salvage), ("--verify-files", args.state.verify_files)] {
        words.extend(is_given.then(|| flag.to_owned()));
    }
    words.extend(["-o", "report.html"].map(str::to_owned));
    words.join(" ")
}

/// One word of a shell.
fn word(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@+,%".contains(&b);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        report: ReportArgs,
    }

    fn command_of(words: &[&str]) -> String {
        let args = Arguments::parse_from([&["report"], words].concat()).report;
        let locations = args.locations.clone();
        command(&args, &locations, (Some(0), None))
    }

    #[test]
    fn a_command_says_what_decides_the_report() {
        assert_eq!(
            command_of(&["logs", "-o", "x.html", "--force", "--since", "7d", "--key", "alias/a b", "--key", "it's"]),
            r"keytrail report logs --since 1970-01-01T00:00:00Z --key 'alias/a b' --key 'it'\''s' -o report.html"
        );
        assert_eq!(
            command_of(&["a", "b", "--rules-set", "baseline", "--salvage", "--fail-on", "high"]),
            "keytrail report a b --since 1970-01-01T00:00:00Z --rules-set baseline --salvage -o report.html"
        );
    }
}
