//! The accounts of a run in words: the block on stderr, and the exit code that follows from it.
//! In: the accounts of an answer. Out: counts in words. Never hides an unusable object: it is named or counted.

use std::collections::BTreeSet;
use std::time::Duration;

use super::args::GlobalArgs;
use super::exit::{RunExitCode, say};
use crate::objects::ObjectStatus;
use crate::output::times;
use crate::output::visible::visible;
use crate::output::words::{bytes, count, seconds};
use crate::source::hint_of;
use crate::store::FORMAT_VERSION;
use crate::table::{Accounting, Completeness, WithoutLogs};

/// Problem objects to name unless `-v` asks for all.
const PROBLEMS_SHOWN: usize = 5;

/// Accounts, and Regions, to name.
const PLACES_SHOWN: usize = 3;

pub struct RunSummary {
    /// None if the question needed no logs, such as `SELECT 1`.
    pub accounting: Option<Accounting>,
    pub interval: String,
    pub lists: ScopeLists,
    pub elapsed: Duration,
    /// The meaning of a run that read no log.
    pub without_logs: WithoutLogs,
    /// Sentences on what is expected and not there.
    pub missing: Vec<String>,
}

/// The accounts and Regions that a scope lists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ScopeLists {
    Absent,
    Given,
}

impl RunSummary {
    /// An answer that needed no logs is complete.
    pub fn code(&self) -> RunExitCode {
        if !self.missing.is_empty() {
            return RunExitCode::Incomplete;
        }
        let verdict = self.accounting.as_ref().map(|a| a.verdict(self.without_logs));
        match verdict {
            None | Some(Completeness::Complete) => RunExitCode::Done,
            Some(Completeness::NoLog | Completeness::Incomplete) => RunExitCode::Incomplete,
        }
    }

    /// The lines of the block that every run has.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let expected = self.missing.iter().map(|missing| format!("expected  {}", visible(missing)));
        let Some(a) = &self.accounting else { return expected.collect() };
        lines.push(format!("interval  {}", self.interval));
        lines.extend(seen(a).map(|seen| format!("seen      {seen}")));
        lines.push(format!("objects   {}", objects(a)));
        if a.history_objects > 0 {
            let objects = count(a.history_objects);
            lines.push(format!("evidence  {objects} of these are event history: no digest covers what they say"));
        }
        if a.lacking.time > 0 && self.interval != times::interval(None, None) {
            lines.push(format!("untimed   {} without a time pass every interval", count(a.lacking.time)));
        }
        if a.lacking.place > 0 && self.lists == ScopeLists::Given {
            lines.push(format!("unplaced  {} without an account or a Region pass every list", count(a.lacking.place)));
        }
        if a.without_organization > 0 {
            lines.push(format!("left out  {}", without_organization(a.without_organization)));
        }
        if a.older_rows > 0 {
            lines.push(format!("older     {}", older(a.older_rows)));
        }
        if a.without_hours > 0 {
            let objects = count(a.without_hours);
            lines.push(format!(
                "hours     of {objects} objects are unknown: the store had them before its format kept hours"
            ));
        }
        if a.accepted.objects > 0 {
            let unit = if a.accepted.objects == 1 { "object" } else { "objects" };
            lines.push(format!("accepted  {} {unit} with a fault, by --accept", count(a.accepted.objects)));
        }
        if a.changes_not_read {
            lines.push(
                "changes   of IAM, STS and Organizations were not all read: no log of their Region is in scope"
                    .to_owned(),
            );
        }
        lines.extend(expected);
        if a.verdict(self.without_logs) == Completeness::NoLog {
            lines.push("records   none: there is no log here, or none in this scope".to_owned());
        } else if a.complete {
            lines.push(format!(
                "records   {} = {} kept + {} duplicate + {} filtered + {} quarantined; {} in conflict",
                count(a.counts.records),
                count(a.counts.kept),
                count(a.counts.duplicate),
                count(a.counts.filtered),
                count(a.counts.quarantined),
                count(a.counts.conflicts)
            ));
        } else {
            lines.push("records   not accounted for: the query pruned objects or stopped early".to_owned());
        }
        lines
    }
}

/// The part of the block that the reader does not know yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SummaryBlock {
    Whole,
    /// The whole block, below the rows of an answer.
    WithRows(u64),
    /// Only time and problems, since the output has the counts.
    Problems,
}

/// Prints the block on stderr.
pub fn print(summary: &RunSummary, block: SummaryBlock, global: &GlobalArgs) {
    let Some(a) = &summary.accounting else {
        return summary.lines().iter().for_each(say);
    };
    if let SummaryBlock::WithRows(rows) = block {
        say(format_args!("rows      {}", count(rows)));
    }
    if block != SummaryBlock::Problems {
        summary.lines().iter().for_each(say);
    }
    if a.is_stored {
        say(format_args!("store     of {} of logs, answered in {}", bytes(a.bytes), seconds(summary.elapsed)));
    } else {
        say(format_args!("read      {} in {}", bytes(a.bytes), seconds(summary.elapsed)));
    }
    let shown = if global.verbose { usize::MAX } else { PROBLEMS_SHOWN };
    for problem in a.problems.iter().take(shown) {
        let (status, error) = (problem.outcome.status().name(), problem.outcome.error().unwrap_or_default());
        say(format_args!("{status:<9} {}: {}", visible(&problem.uri), visible(&error)));
    }
    if a.counts.quarantined > 0 {
        say(
            "          the table `quarantine` names the records: SELECT object_uri, byte_offset, reason FROM quarantine",
        );
    }
    let mut hints: Vec<&str> = a.problems.iter().filter_map(|problem| hint_of(&problem.outcome)).collect();
    hints.sort_unstable();
    hints.dedup();
    hints.iter().for_each(|hint| say(format_args!("hint: {hint}")));
    let hidden = a.problem_count().saturating_sub(a.problems.len().min(shown) as u64);
    if hidden > 0 {
        say(format_args!("          and {} more: keytrail query \"{}\"", count(hidden), problem_sql()));
    }
}

/// The times, accounts and Regions that the answer speaks for, where all of the input was read for it.
fn seen(a: &Accounting) -> Option<String> {
    let (Some(first), Some(last)) = (a.seen.first_event, a.seen.last_event) else { return None };
    let listed = |all: BTreeSet<&str>, unit: &str| match all.len() {
        0 => format!("no {unit} told"),
        listed @ 1..=PLACES_SHOWN => {
            let all: Vec<String> = all.into_iter().map(visible).map(Into::into).collect();
            format!("{unit}{} {}", if listed == 1 { "" } else { "s" }, all.join(", "))
        }
        more => format!("{} {unit}s", count(more as u64)),
    };
    let (accounts, regions) = (listed(a.seen.accounts(), "account"), listed(a.seen.regions(), "Region"));
    let span = [first, last].map(times::rfc3339);
    a.complete.then(|| format!("events from {} to {}; {accounts}; {regions}", span[0], span[1]))
}

/// The query for all problem objects.
fn problem_sql() -> String {
    let usable = ObjectStatus::ALL.iter().filter(|status| !status.is_problem());
    let words: Vec<String> = usable.map(|status| format!("'{}'", status.name())).collect();
    format!("SELECT uri, status, error FROM objects WHERE status NOT IN ({})", words.join(", "))
}

/// The sentence on objects that a scope of organizations cannot place.
pub fn without_organization(objects: u64) -> String {
    format!("{} objects whose path names no organization", count(objects))
}

/// The sentence on rows of an earlier normalizer. It counts whole files, of which an answer may need a part.
pub fn older(rows: u64) -> String {
    format!(
        "{} rows are in files of an earlier normalizer; keytrail store compact --renormalize brings them up to date; \
         what an earlier filter left out cannot come back",
        count(rows)
    )
}

/// The sentence on a store of an earlier format that is of the present one now.
pub fn upgraded() -> String {
    format!(
        "the store is of format {FORMAT_VERSION} now, and earlier versions of keytrail refuse it; the hours of what it had \
         before are unknown"
    )
}

/// `12 (10 read, 2 skipped)`; a question that stopped early may have counted none.
pub fn objects(a: &Accounting) -> String {
    if !a.complete && a.by_status.total() == 0 {
        return "not counted".to_owned();
    }
    let counted = a.by_status.each().filter(|(_, n)| *n > 0);
    let parts: Vec<String> = counted.map(|(status, n)| format!("{} {}", count(n), status.name())).collect();
    if parts.is_empty() { "none".to_owned() } else { format!("{} ({})", count(a.by_status.total()), parts.join(", ")) }
}
