//! What a run read and what became of it: the block on stderr, and the exit code that follows from it.
//! In: the accounts of an answer. Out: counts in words. Never hides an object that could not be used.

use std::time::Duration;

use super::args::Global;
use super::exit::{Code, say};
use crate::output::times;
use crate::output::visible::visible;
use crate::output::words::{bytes, count, seconds};
use crate::source::hint_of;
use crate::table::{Accounting, Completeness, EmptyInput};

/// Problem objects that are named unless `-v` asks for all.
const PROBLEMS_SHOWN: usize = 5;

pub struct Summary {
    /// None where the question needed no logs, such as `SELECT 1`.
    pub accounting: Option<Accounting>,
    pub interval: String,
    pub elapsed: Duration,
    pub empty: EmptyInput,
}

impl Summary {
    /// An answer that needed no logs is complete.
    pub fn code(&self) -> Code {
        let completeness = self.accounting.as_ref().map(|a| a.completeness(self.empty));
        if completeness == Some(Completeness::Incomplete) { Code::Incomplete } else { Code::Done }
    }

    /// The lines of the block, without what only a run of a query has.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let Some(a) = &self.accounting else { return lines };
        lines.push(format!("interval  {}", self.interval));
        lines.push(format!("objects   {}", objects(a)));
        if a.history_objects > 0 {
            let objects = count(a.history_objects);
            lines.push(format!("evidence  {objects} of these are event history: no digest covers what they say"));
        }
        if a.untimed > 0 && self.interval != times::interval(None, None) {
            lines.push(format!("untimed   {} without a time pass every interval", count(a.untimed)));
        }
        if a.has_no_log(self.empty) && a.problem_count == 0 {
            lines.push("records   none: there is no log here, or none in this scope".to_owned());
        } else if a.complete {
            lines.push(format!(
                "records   {} = {} kept + {} duplicate + {} filtered + {} quarantined; {} in conflict",
                count(a.records),
                count(a.kept),
                count(a.duplicate),
                count(a.filtered),
                count(a.quarantined),
                count(a.conflicts)
            ));
        } else {
            lines.push("records   not accounted for: the query pruned objects or stopped early".to_owned());
        }
        lines
    }
}

/// How much of the block is news to the reader.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Block {
    Whole,
    /// The same, below the rows of an answer.
    WithRows(u64),
    /// Time and problems only: the counts stand in the output.
    Problems,
}

/// Prints the block on stderr.
pub fn print(summary: &Summary, block: Block, global: &Global) {
    let Some(a) = &summary.accounting else { return };
    if let Block::WithRows(rows) = block {
        say(format_args!("rows      {}", count(rows)));
    }
    if block != Block::Problems {
        summary.lines().iter().for_each(say);
    }
    if a.is_stored {
        say(format_args!("store     of {} of logs, answered in {}", bytes(a.bytes), seconds(summary.elapsed)));
    } else {
        say(format_args!("read      {} in {}", bytes(a.bytes), seconds(summary.elapsed)));
    }
    let shown = if global.verbose { usize::MAX } else { PROBLEMS_SHOWN };
    for problem in a.problems.iter().take(shown) {
        say(format_args!("{:<9} {}: {}", problem.status, visible(&problem.uri), visible(&problem.reason)));
    }
    if a.quarantined > 0 {
        say(
            "          the table `quarantine` names the records: SELECT object_uri, byte_offset, reason FROM quarantine",
        );
    }
    let mut hints: Vec<&str> = a.problems.iter().filter_map(|problem| hint_of(&problem.reason)).collect();
    hints.sort_unstable();
    hints.dedup();
    hints.iter().for_each(|hint| say(format_args!("hint: {hint}")));
    let hidden = a.problem_count.saturating_sub(a.problems.len().min(shown) as u64);
    if hidden > 0 {
        say(format_args!(
            "          and {} more: keytrail query \"SELECT uri, status, error FROM objects WHERE status NOT IN ('read', 'flagged', 'skipped')\"",
            count(hidden)
        ));
    }
}

/// `12 (10 read, 2 skipped)`
pub fn objects(a: &Accounting) -> String {
    let parts: Vec<String> =
        a.objects().into_iter().filter(|(_, n)| *n > 0).map(|(status, n)| format!("{} {status}", count(n))).collect();
    let total: u64 = a.objects().into_iter().map(|(_, n)| n).sum();
    if parts.is_empty() { "none".to_owned() } else { format!("{} ({})", count(total), parts.join(", ")) }
}
