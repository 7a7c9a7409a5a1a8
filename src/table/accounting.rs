//! The summary of a run: counts of objects and records, the objects that could not be used, and the verdict.
//! In: the tallies of a scan, or rows of the table `objects`. Out: an [`Accounting`].
//! Decides alone whether a run is complete. Never prints, and knows no exit code.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};

use super::accepted::AcceptedObjects;
use super::lacking::LackingRows;
use super::seen::SeenInput;
use super::tallies::Tallies;
use crate::objects::{
    ColumnError, Counts, Delivery, ObjectKind, ObjectOutcome, ObjectRows, ObjectStatus, StatusCounts,
};
use crate::source::{Listing, ObjectPurpose};

/// Most problem objects that a summary names.
const PROBLEMS_MAX: usize = 1000;

/// The summary of a run, for people and for the exit code.
#[derive(Debug, Clone, Default)]
pub struct Accounting {
    pub counts: Counts,
    pub by_status: StatusCounts,
    /// Rows that a scope cannot judge.
    pub lacking: LackingRows<u64>,
    /// Objects that were left out because their path names no organization.
    pub without_organization: u64,
    /// Rows of a store whose derived columns an earlier normalizer made.
    pub older_rows: u64,
    /// Objects of a store whose hours are unknown, since an earlier format did not keep them.
    pub without_hours: u64,
    /// Stored bytes of the objects read.
    pub bytes: u64,
    /// True if the scan read everything in scope; otherwise the counts claim nothing.
    pub complete: bool,
    /// Logs that were read for state alone: they are counted, and have no row in any answer.
    pub read_for_state: u64,
    /// True if a scope of accounts or Regions left out the records of IAM, STS and Organizations.
    pub changes_not_read: bool,
    /// True if the counts are those of a store, whose logs were read earlier.
    pub is_stored: bool,
    /// The first of the objects that could not be used; `by_status` counts all of them.
    pub problems: Vec<ObjectProblem>,
    /// Objects of the event history, whose records no digest covers.
    pub history_objects: u64,
    /// Objects whose fault somebody has accepted; they keep their status.
    pub accepted: AcceptedCounts,
    /// The places and times of what was read.
    pub seen: SeenInput,
    accepts: Arc<AcceptedObjects>,
}

/// Objects with a fault that somebody has accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AcceptedCounts {
    pub objects: u64,
    /// Those of them that could not be used.
    problems: u64,
    /// Their records that could not be read.
    quarantined: u64,
}

/// An object that could not be used.
#[derive(Debug, Clone)]
pub struct ObjectProblem {
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
    /// The summary of a run that has read nothing yet.
    pub fn none() -> Accounting {
        Accounting { complete: true, ..Accounting::default() }
    }

    /// The summary of a run that has read nothing yet, and takes the faults of these objects for accepted.
    pub fn accepting(accepts: &Arc<AcceptedObjects>) -> Accounting {
        Accounting { accepts: Arc::clone(accepts), ..Accounting::none() }
    }

    /// The summary of a run that its reader stopped: it claims nothing.
    pub fn stopped() -> Accounting {
        Accounting::default()
    }

    /// Adds a scan that read everything in scope.
    pub fn with(self, listing: &Listing, tallies: &Tallies) -> Accounting {
        let mut all = self.without_organization_of(listing);
        all.add_scan(listing, tallies);
        all
    }

    /// Notes the objects that a scope of organizations cannot place.
    pub fn without_organization_of(self, listing: &Listing) -> Accounting {
        Accounting { without_organization: listing.pruned().without_organization as u64, ..self }
    }

    fn add_scan(&mut self, listing: &Listing, tallies: &Tallies) {
        self.lacking = tallies.lacking;
        self.seen.add(tallies.seen.clone());
        tallies.for_each(listing, |index, outcome, tally| {
            let is_page = listing.is_history(index) && outcome.status() != ObjectStatus::Skipped;
            self.history_objects += u64::from(is_page);
            if let Some(tally) = tally {
                self.counts += tally.counts;
                self.bytes += if outcome.status() == ObjectStatus::Skipped { 0 } else { listing.bytes(index) };
                match listing.purpose(index) {
                    ObjectPurpose::Answer => self.see(outcome, &listing.uri(index)),
                    ObjectPurpose::State => self.read_for_state += u64::from(outcome.status().is_read()),
                }
            }
            self.note(outcome, tally.map_or(0, |tally| tally.counts.quarantined), || listing.uri(index));
        });
    }

    /// Adds rows of the table `objects`.
    pub fn add_rows(&mut self, batch: &RecordBatch) -> Result<(), ColumnError> {
        let rows = ObjectRows::of(batch)?;
        for row in 0..batch.num_rows() {
            let outcome = rows.outcome(row)?;
            let (kind, status, uri) = (rows.kind.value(row)?, outcome.status(), rows.uri.value(row));
            let is_page = kind == ObjectKind::EventHistory && status != ObjectStatus::Skipped;
            self.history_objects += u64::from(is_page);
            let counts = rows.counts.value(row);
            self.counts += counts;
            if !matches!(status, ObjectStatus::Skipped | ObjectStatus::Refused) {
                self.bytes = self.bytes.saturating_add(rows.bytes.value(row));
            }
            if rows.first_event.is_valid(row) && rows.last_event.is_valid(row) {
                self.seen.see_span((rows.first_event.value(row), rows.last_event.value(row)));
            }
            self.see(&outcome, uri);
            self.note(&outcome, counts.quarantined, || uri.to_owned());
        }
        Ok(())
    }

    /// Notes the place of an object that was read, by its name: it may have given no row.
    fn see(&mut self, outcome: &ObjectOutcome, uri: &str) {
        if matches!(outcome, ObjectOutcome::Read | ObjectOutcome::Flagged(_))
            && let Some(delivery) = Delivery::of(uri)
        {
            self.seen.see_delivery(&delivery);
        }
    }

    /// Counts an object, and names it where it could not be used and nobody has accepted that.
    fn note(&mut self, outcome: &ObjectOutcome, quarantined: u64, uri: impl FnOnce() -> String) {
        let status = outcome.status();
        self.by_status.add(status);
        let is_named = status.is_problem() && self.problems.len() < PROBLEMS_MAX;
        if !is_named && (self.accepts.is_empty() || (!status.is_problem() && quarantined == 0)) {
            return;
        }
        let uri = uri();
        if self.accepts.has(&uri) {
            self.accepted.objects += 1;
            self.accepted.problems += u64::from(status.is_problem());
            self.accepted.quarantined += quarantined;
        } else if is_named {
            self.problems.push(ObjectProblem { uri, outcome: outcome.clone() });
        }
    }

    /// Objects that could not be used, named or not.
    pub fn problem_count(&self) -> u64 {
        self.by_status.problems() - self.accepted.problems
    }

    pub fn verdict(&self, without_logs: WithoutLogs) -> Completeness {
        if self.problem_count() > 0 || self.counts.quarantined > self.accepted.quarantined {
            return Completeness::Incomplete;
        }
        match without_logs {
            WithoutLogs::IsIncomplete if self.complete && self.by_status.read() == self.read_for_state => {
                Completeness::NoLog
            }
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
    fn accepted_objects_keep_their_status_and_make_no_run_incomplete() {
        let broken = Counts { records: 2, kept: 1, quarantined: 1, ..Counts::default() };
        let outcomes = [ObjectOutcome::Read, ObjectOutcome::Refused(FaultReason::Archived)];
        for (pattern, verdict, problems) in [("a*", Completeness::Complete, 0), ("b*", Completeness::Incomplete, 1)] {
            let accepts = Arc::new(AcceptedObjects { patterns: vec![pattern.to_owned()] });
            let mut accounting = Accounting::accepting(&accepts);
            accounting.add_rows(&rows(&outcomes, broken)).unwrap();
            assert_eq!(accounting.verdict(WithoutLogs::IsIncomplete), verdict, "{pattern}");
            assert_eq!((accounting.problem_count(), accounting.problems.len() as u64), (problems, problems));
            assert_eq!(accounting.by_status.of(ObjectStatus::Refused), 1);
            assert_eq!(accounting.accepted.objects, if problems == 0 { 2 } else { 0 });
        }
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
