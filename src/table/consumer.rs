//! Puts the parts of a scan in order and decides about each row.
//! In: parts of runs of objects, in the objects' order. Out: batches without duplicates, and tallies of all objects.
//! Owns the choice of the copy that stays. Never decodes, and holds no row longer than it takes to decide about it.

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::mpsc::Receiver;

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch, UInt32Array};
use arrow::compute::filter_record_batch;
use datafusion::common::DataFusionError;

use super::dedup::{CopyKind, Fingerprint, SeenRows};
use super::hours::{PartHours, counting_rows};
use super::part::{RowPurpose, RowTaker, ScanPart};
use super::reach::RowReach;
use super::spilled_rows::{DeferredRows, RowBits};
use super::tallies::{ObjectTally, Tallies};

/// Takes parts in order: deduplicates, counts, and gives batches away.
pub(super) struct PartConsumer {
    seen: SeenRows,
    identities_max: usize,
    /// Set once the identities have reached their bound.
    deferred: Option<DeferredRows>,
    /// For each object with deferred rows, its place in the tallies and the ordinal after its last row.
    open_tallies: Vec<(usize, u64)>,
    /// For runs of deferred rows, the row of the hours that counts them and their ordinals.
    open_hours: Vec<(usize, Range<u64>)>,
    pub tallies: Tallies,
    /// Of the object under way.
    duplicates: u64,
    conflicts: u64,
}

/// The decision about one row.
#[derive(Clone, Copy)]
enum RowFate {
    Give,
    Drop,
    /// Given once all rows are known, under this ordinal.
    Wait(u64),
}

impl PartConsumer {
    /// Holds at most so many identities in memory; the rows after them wait on disk until all have been seen.
    pub fn new(identities_max: usize, reach: RowReach) -> PartConsumer {
        PartConsumer {
            seen: SeenRows::default(),
            identities_max,
            deferred: None,
            open_tallies: Vec::new(),
            open_hours: Vec::new(),
            tallies: Tallies::of(reach),
            duplicates: 0,
            conflicts: 0,
        }
    }

    /// Takes the parts of every run, run by run, until none come, and settles the rows that waited. On a `Break` of
    /// `taker` the accounts end with the part under way. Fails with the first error of a part, of `taker` or of the
    /// disk.
    pub fn take_all(
        &mut self,
        runs: Receiver<Receiver<ScanPart>>,
        taker: &mut dyn RowTaker,
    ) -> Result<ControlFlow<()>, DataFusionError> {
        for parts in runs {
            for part in parts {
                if self.take(part, taker)?.is_break() || taker.is_gone() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        self.settle(taker)?;
        Ok(ControlFlow::Continue(()))
    }

    fn take(&mut self, part: ScanPart, taker: &mut dyn RowTaker) -> Result<ControlFlow<()>, DataFusionError> {
        if let Some(error) = part.error {
            return Err(error);
        }
        if self.deferred.is_none() && self.seen.len() >= self.identities_max {
            self.deferred = Some(DeferredRows::new()?);
        }
        self.tallies.parsed += part.parsed;
        self.tallies.seen.add(part.seen);
        let PartHours { tallies, runs, .. } = part.hours;
        let (first_hour, mut hours) = (self.tallies.hours.absorb(tallies), counting_rows(&runs));
        let mut fates = Vec::with_capacity(part.fingerprints.len());
        let mut ends = part.ends.into_iter().peekable();
        let mut for_state = part.for_state.iter().copied().peekable();
        for (index, &fingerprint) in part.fingerprints.iter().enumerate() {
            while let Some((_, tally)) = ends.next_if(|(end, _)| *end <= index) {
                self.close(tally);
            }
            let is_for_state = for_state.next_if_eq(&(index as u32)).is_some();
            let purpose = if is_for_state { RowPurpose::State } else { RowPurpose::Answer };
            let fate = self.fate(fingerprint, purpose)?;
            if purpose == RowPurpose::Answer
                && let Some(hour) = hours.next()
            {
                self.count_hour(first_hour + hour as usize, fate);
            }
            fates.push(fate);
        }
        ends.for_each(|(_, tally)| self.close(tally));
        let mut waiting = self.deferred.as_mut().map(|deferred| &mut deferred.lacking);
        let (found, counts) = (part.lacking, &mut self.tallies.lacking);
        count_lacking(&found.time, &fates, &mut counts.time, waiting.as_mut().map(|bits| &mut bits.time));
        count_lacking(&found.place, &fates, &mut counts.place, waiting.as_mut().map(|bits| &mut bits.place));
        part.quarantined.into_iter().for_each(|record| self.tallies.quarantine(record));
        for (output, (batch, row_of)) in part.batches.into_iter().enumerate() {
            let rows = RemainingRows::of(&row_of, &fates);
            if let Some(deferred) = &mut self.deferred {
                let ordinals = row_of.values().iter().filter_map(|&row| match fates[row as usize] {
                    RowFate::Wait(ordinal) => Some(ordinal),
                    RowFate::Give | RowFate::Drop => None,
                });
                deferred.keep(output, &rows.copied(batch)?, ordinals.collect())?;
                continue;
            }
            for given in rows.parts(batch)? {
                if taker.take(output, given)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn fate(&mut self, row: Fingerprint, purpose: RowPurpose) -> io::Result<RowFate> {
        let copy = match &mut self.deferred {
            None => self.seen.add(row),
            Some(deferred) => match self.seen.judge(row) {
                CopyKind::Duplicate => CopyKind::Duplicate,
                undecided => {
                    let ordinal = deferred.add(row, undecided)?;
                    if purpose == RowPurpose::State {
                        deferred.for_state.set(ordinal);
                    }
                    return Ok(RowFate::Wait(ordinal));
                }
            },
        };
        if purpose == RowPurpose::Answer {
            self.duplicates += u64::from(copy == CopyKind::Duplicate);
            self.conflicts += u64::from(copy == CopyKind::Conflict);
        }
        Ok(if copy == CopyKind::Duplicate { RowFate::Drop } else { RowFate::Give })
    }

    /// Takes a copy out of the hour in which it was counted, or notes that it may be one.
    fn count_hour(&mut self, row: usize, fate: RowFate) {
        match (fate, self.open_hours.last_mut()) {
            (RowFate::Give, _) => {}
            (RowFate::Drop, _) => self.tallies.hours.take_back(row, 1),
            (RowFate::Wait(ordinal), Some((last, run))) if *last == row && run.end == ordinal => run.end += 1,
            (RowFate::Wait(ordinal), _) => self.open_hours.push((row, ordinal..ordinal + 1)),
        }
    }

    fn close(&mut self, mut tally: ObjectTally) {
        tally.counts.duplicate = std::mem::take(&mut self.duplicates);
        tally.counts.conflicts = std::mem::take(&mut self.conflicts);
        tally.counts.kept -= tally.counts.duplicate;
        if let Some(deferred) = &self.deferred {
            self.open_tallies.push((self.tallies.objects.len(), deferred.rows()));
        }
        self.tallies.objects.push(tally);
    }

    /// Decides the rows that had to wait, completes the tallies of their objects, and gives them away.
    fn settle(&mut self, taker: &mut dyn RowTaker) -> Result<(), DataFusionError> {
        let Some(mut deferred) = self.deferred.take() else { return Ok(()) };
        self.seen = SeenRows::default();
        let verdicts = deferred.judge()?;
        self.tallies.lacking.time += verdicts.kept_of(&deferred.lacking.time);
        self.tallies.lacking.place += verdicts.kept_of(&deferred.lacking.place);
        let mut first = 0;
        for (object, end) in self.open_tallies.drain(..) {
            let (duplicates, conflicts) = verdicts.counts(first..end, &deferred.for_state);
            let counts = &mut self.tallies.objects[object].counts;
            counts.duplicate += duplicates;
            counts.kept -= duplicates;
            counts.conflicts += conflicts;
            first = end;
        }
        for (row, run) in self.open_hours.drain(..) {
            self.tallies.hours.take_back(row, verdicts.counts(run, &deferred.for_state).0);
        }
        deferred.replay(&verdicts, taker)
    }
}

/// Counts rows that are given, and notes those that wait.
fn count_lacking(rows: &[u32], fates: &[RowFate], given: &mut u64, mut waiting: Option<&mut RowBits>) {
    for &row in rows {
        match fates[row as usize] {
            RowFate::Give => *given += 1,
            RowFate::Drop => {}
            RowFate::Wait(ordinal) => waiting.iter_mut().for_each(|bits| bits.set(ordinal)),
        }
    }
}

/// The rows of a batch that are not dropped, as runs of neighbours.
struct RemainingRows {
    rows: usize,
    runs: Vec<Range<usize>>,
}

impl RemainingRows {
    /// Beyond this many runs one copied batch is cheaper than many small ones.
    const PARTS_MAX: usize = 16;

    fn of(row_of: &UInt32Array, fates: &[RowFate]) -> RemainingRows {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (at, row) in row_of.values().iter().enumerate() {
            match (fates[*row as usize], runs.last_mut()) {
                (RowFate::Drop, _) => {}
                (_, Some(run)) if run.end == at => run.end += 1,
                _ => runs.push(at..at + 1),
            }
        }
        RemainingRows { rows: row_of.len(), runs }
    }

    /// In one batch.
    fn copied(&self, batch: RecordBatch) -> Result<RecordBatch, DataFusionError> {
        if self.runs.first() == Some(&(0..self.rows)) {
            return Ok(batch);
        }
        let mut keep = BooleanBufferBuilder::new(self.rows);
        for run in &self.runs {
            keep.append_n(run.start - keep.len(), false);
            keep.append_n(run.len(), true);
        }
        keep.append_n(self.rows - keep.len(), false);
        Ok(filter_record_batch(&batch, &BooleanArray::new(keep.finish(), None))?)
    }

    /// Cut into batches that copy nothing, if these are few and hold most of the batch, since each keeps all of it in
    /// memory. Otherwise one copied batch.
    fn parts(&self, batch: RecordBatch) -> Result<Vec<RecordBatch>, DataFusionError> {
        if self.runs.is_empty() {
            return Ok(Vec::new());
        }
        let rows: usize = self.runs.iter().map(Range::len).sum();
        if self.runs.len() > RemainingRows::PARTS_MAX || rows < self.rows / 2 {
            return Ok(vec![self.copied(batch)?]);
        }
        Ok(self.runs.iter().map(|run| batch.slice(run.start, run.len())).collect())
    }
}
