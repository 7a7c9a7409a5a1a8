//! Puts the parts of a scan in order and decides about each row.
//! In: parts of runs of objects, in the objects' order. Out: batches without duplicates, and tallies of all objects.
//! Owns the choice of the copy that stays. Never decodes, and holds no row longer than it takes to decide about it.

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::mpsc::Receiver;

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch, UInt32Array};
use arrow::compute::filter_record_batch;
use datafusion::common::DataFusionError;

use super::dedup::{Copy, Fingerprint, Seen};
use super::deferred::Deferred;
use super::part::{Part, RowTaker};
use super::tallies::{ObjectTally, Tallies};

/// Takes parts in order: deduplicates, counts, and gives batches away.
pub(super) struct Consumer {
    seen: Seen,
    identities_max: usize,
    /// Set once the identities have reached their bound.
    deferred: Option<Deferred>,
    /// For each object with deferred rows, its place in the tallies and the ordinal after its last row.
    open_tallies: Vec<(usize, u64)>,
    pub tallies: Tallies,
    /// Of the object under way.
    duplicates: u64,
    conflicts: u64,
}

/// The decision about one row.
#[derive(Clone, Copy)]
enum Fate {
    Give,
    Drop,
    /// Given once all rows are known, under this ordinal.
    Wait(u64),
}

impl Consumer {
    /// Holds at most so many identities in memory; the rows after them wait on disk until all have been seen.
    pub fn new(identities_max: usize) -> Consumer {
        Consumer {
            seen: Seen::default(),
            identities_max,
            deferred: None,
            open_tallies: Vec::new(),
            tallies: Tallies::default(),
            duplicates: 0,
            conflicts: 0,
        }
    }

    /// Takes the parts of every run, run by run, until none come, and settles the rows that waited. On a `Break` of
    /// `taker` the accounts end with the part under way. Fails with the first error of a part, of `taker` or of the
    /// disk.
    pub fn take_all(
        &mut self,
        runs: Receiver<Receiver<Part>>,
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

    fn take(&mut self, part: Part, taker: &mut dyn RowTaker) -> Result<ControlFlow<()>, DataFusionError> {
        if let Some(error) = part.error {
            return Err(error);
        }
        if self.deferred.is_none() && self.seen.len() >= self.identities_max {
            self.deferred = Some(Deferred::new()?);
        }
        self.tallies.parsed += part.parsed;
        let mut fates = Vec::with_capacity(part.fingerprints.len());
        let mut ends = part.ends.into_iter().peekable();
        for (index, &fingerprint) in part.fingerprints.iter().enumerate() {
            while let Some((_, tally)) = ends.next_if(|(end, _)| *end <= index) {
                self.close(tally);
            }
            fates.push(self.fate(fingerprint)?);
        }
        ends.for_each(|(_, tally)| self.close(tally));
        for row in part.untimed {
            match fates[row as usize] {
                Fate::Give => self.tallies.untimed += 1,
                Fate::Drop => {}
                Fate::Wait(ordinal) => self.deferred.iter_mut().for_each(|deferred| deferred.has_no_time(ordinal)),
            }
        }
        part.quarantined.into_iter().for_each(|record| self.tallies.quarantine(record));
        for (output, (batch, row_of)) in part.batches.into_iter().enumerate() {
            let rows = Rest::of(&row_of, &fates);
            if let Some(deferred) = &mut self.deferred {
                let ordinals = row_of.values().iter().filter_map(|&row| match fates[row as usize] {
                    Fate::Wait(ordinal) => Some(ordinal),
                    Fate::Give | Fate::Drop => None,
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

    fn fate(&mut self, row: Fingerprint) -> io::Result<Fate> {
        let copy = match &mut self.deferred {
            None => self.seen.add(row),
            Some(deferred) => match self.seen.judge(row) {
                Copy::Duplicate => Copy::Duplicate,
                undecided => return deferred.add(row, undecided).map(Fate::Wait),
            },
        };
        self.duplicates += u64::from(copy == Copy::Duplicate);
        self.conflicts += u64::from(copy == Copy::Conflict);
        Ok(if copy == Copy::Duplicate { Fate::Drop } else { Fate::Give })
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
        self.seen = Seen::default();
        let verdicts = deferred.judge()?;
        self.tallies.untimed += deferred.untimed(&verdicts);
        let mut first = 0;
        for (object, end) in self.open_tallies.drain(..) {
            let (duplicates, conflicts) = verdicts.counts(first..end);
            let counts = &mut self.tallies.objects[object].counts;
            counts.duplicate += duplicates;
            counts.kept -= duplicates;
            counts.conflicts += conflicts;
            first = end;
        }
        deferred.replay(&verdicts, taker)
    }
}

/// The rows of a batch that are not dropped, as runs of neighbours.
struct Rest {
    rows: usize,
    runs: Vec<Range<usize>>,
}

impl Rest {
    /// Beyond this many runs one copied batch is cheaper than many small ones.
    const PARTS_MAX: usize = 16;

    fn of(row_of: &UInt32Array, fates: &[Fate]) -> Rest {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (at, row) in row_of.values().iter().enumerate() {
            match (fates[*row as usize], runs.last_mut()) {
                (Fate::Drop, _) => {}
                (_, Some(run)) if run.end == at => run.end += 1,
                _ => runs.push(at..at + 1),
            }
        }
        Rest { rows: row_of.len(), runs }
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
        if self.runs.len() > Rest::PARTS_MAX || rows < self.rows / 2 {
            return Ok(vec![self.copied(batch)?]);
        }
        Ok(self.runs.iter().map(|run| batch.slice(run.start, run.len())).collect())
    }
}
