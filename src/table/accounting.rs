//! The summary of a run: counts of objects and records, the objects that could not be used, and the verdict.
//! In: the tallies of a scan, or rows of the table `objects`. Out: an [`Accounting`].
//! Decides alone whether a run is complete. Never prints, and knows no exit code.

use arrow::array::RecordBatch;

use super::tallies::Tallies;
use crate::objects::{ColumnError, Counts, ObjectKind, ObjectOutcome, ObjectRows, ObjectStatus, StatusCounts};
use crate::source::Listing;

/// Most problem objects that a summary names.
const PROBLEMS_MAX: usize = 1000;

/// The summary of a run, for people and for the exit code.
#[derive(Debug, Clone, Default)]
pub struct Accounting {
    pub counts: Counts,
    pub by_status: StatusCounts,
    /// Rows without a time, which pass every interval.
    pub untimed: u64,
    /// Rows of a store whose derived columns an earlier normalizer made.
    pub older_rows: u64,
    /// Stored bytes of the objects read.
    pub bytes: u64,
    /// True if the scan read everything in scope; otherwise the counts claim nothing.
    pub complete: bool,
    /// True if the counts are those of a store, whose logs were read earlier.
    pub is_stored: bool,
    /// The first of the objects that could not be used; `by_status` counts all of them.
    pub problems: Vec<Problem>,
    /// Objects of the event history, whose records no digest covers.
    pub history_objects: u64,
}

/// An object that could not be used.
#[derive(Debug, Clone)]
pub struct Problem {
    pub uri: String,
    pub outcome: ObjectOutcome,
}

/// The meaning of a run that read no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutLogs {
    /// There is none, or none in this scope.
    IsIncomplete,
    /// A store has all of them already.
    IsNothingNew,
}

/// The share of the input that an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// All input is accounted for. A question that stopped early claims nothing, so it is complete too.
    Complete,
    /// Everything was looked at, and nothing of it was a log.
    NoLog,
    /// Some object could not be used, or some record could not be read.
    Incomplete,
}

impl Accounting {
    /// The summary of a scan that read everything in scope.
    pub fn of(listing: &Listing, tallies: &Tallies) -> Accounting {
        let mut all = Accounting { untimed: tallies.untimed, ..Accounting::none() };
        tallies.for_each(listing, |index, outcome, tally| {
            let is_page = listing.is_history(index) && outcome.status() != ObjectStatus::Skipped;
            all.history_objects += u64::from(is_page);
            if let Some(tally) = tally {
                all.counts += tally.counts;
                all.bytes += listing.bytes(index);
            }
            all.note(outcome, || listing.uri(index));
        });
        all
    }

    /// The summary of a run that has read nothing yet.
    pub fn none() -> Accounting {
        Accounting { complete: true, ..Accounting::default() }
    }

    /// Adds rows of the table `objects`.
    pub fn add_rows(&mut self, batch: &RecordBatch) -> Result<(), ColumnError> {
        let rows = ObjectRows::of(batch)?;
        for row in 0..batch.num_rows() {
            let outcome = rows.outcome(row)?;
            let (kind, status) = (rows.kind.value(row)?, outcome.status());
            let is_page = kind == ObjectKind::EventHistory && status != ObjectStatus::Skipped;
            self.history_objects += u64::from(is_page);
            self.counts += rows.counts.value(row);
            if !matches!(status, ObjectStatus::Skipped | ObjectStatus::Refused) {
                self.bytes = self.bytes.saturating_add(rows.bytes.value(row));
            }
            self.note(&outcome, || rows.uri.value(row).to_owned());
        }
        Ok(())
    }

    /// Counts an object, and names it if it could not be used.
    fn note(&mut self, outcome: &ObjectOutcome, uri: impl FnOnce() -> String) {
        self.by_status.add(outcome.status());
        if outcome.status().is_problem() && self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { uri: uri(), outcome: outcome.clone() });
        }
    }

    /// Objects that could not be used, named or not.
    pub fn problem_count(&self) -> u64 {
        self.by_status.problems()
    }

    pub fn verdict(&self, without_logs: WithoutLogs) -> Completeness {
        if self.problem_count() > 0 || self.counts.quarantined > 0 {
            return Completeness::Incomplete;
        }
        match without_logs {
            WithoutLogs::IsIncomplete if self.complete && self.by_status.read() == 0 => Completeness::NoLog,
            WithoutLogs::IsIncomplete | WithoutLogs::IsNothingNew => Completeness::Complete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{FaultReason, ObjectBuilder, ObjectRow, SkipReason};

    fn rows(outcomes: &[ObjectOutcome], counts: Counts) -> RecordBatch {
        let mut rows = ObjectBuilder::default();
        for outcome in outcomes {
            rows.append(ObjectRow {
                uri: "a",
                kind: outcome.kind(),
                status: outcome.status(),
                counts,
                bytes: 5,
                sha256: None,
                first_event: None,
                last_event: None,
                error: outcome.error().as_deref(),
            });
        }
        rows.finish()
    }

    #[test]
    fn a_run_is_complete_when_all_input_is_accounted_for() {
        use Completeness::{Complete, Incomplete, NoLog};
        let (some, none) = (Counts { records: 1, kept: 1, ..Counts::default() }, Counts::default());
        let broken = Counts { records: 1, quarantined: 1, ..none };
        let skipped = ObjectOutcome::Skipped(SkipReason::Digest);
        for (outcomes, counts, verdict, verdict_of_ingest) in [
            (&[ObjectOutcome::Read][..], some, Complete, Complete),
            (&[ObjectOutcome::Read, skipped.clone()], some, Complete, Complete),
            (&[ObjectOutcome::Read], broken, Incomplete, Incomplete),
            (&[ObjectOutcome::Read, ObjectOutcome::Missing], some, Incomplete, Incomplete),
            (&[ObjectOutcome::Salvaged(FaultReason::GzipCrc)], some, Incomplete, Incomplete),
            (&[skipped], none, NoLog, Complete),
            (&[], none, NoLog, Complete),
        ] {
            let mut accounting = Accounting::none();
            accounting.add_rows(&rows(outcomes, counts)).unwrap();
            assert_eq!(accounting.verdict(WithoutLogs::IsIncomplete), verdict, "{outcomes:?}");
            assert_eq!(accounting.verdict(WithoutLogs::IsNothingNew), verdict_of_ingest, "{outcomes:?}");
        }
        // A question that stopped early claims nothing.
        assert_eq!(Accounting::default().verdict(WithoutLogs::IsIncomplete), Complete);
    }

    #[test]
    fn rows_of_objects_are_added_up() {
        let mut accounting = Accounting::none();
        let counts = Counts { records: 3, kept: 2, filtered: 1, ..Counts::default() };
        let outcomes = [ObjectOutcome::Read, ObjectOutcome::Missing, ObjectOutcome::Refused(FaultReason::Archived)];
        accounting.add_rows(&rows(&outcomes, counts)).unwrap();
        assert_eq!((accounting.counts.kept, accounting.bytes, accounting.problem_count()), (6, 10, 2));
        assert_eq!(accounting.problems[1].outcome, ObjectOutcome::Refused(FaultReason::Archived));
    }
}
