//! Carries rows from the workers of a scan to its one consumer.
//! In: the rows of some objects of a run. Out: the same, taken apart by the consumer, and the batches it gives on.
//! Owns no thread and no channel, and never decides about a row.

use std::ops::ControlFlow;

use arrow::array::{RecordBatch, UInt32Array};
use datafusion::common::DataFusionError;

use super::dedup::Fingerprint;
use super::hours::PartHours;
use super::lacking::LackingRows;
use super::seen::SeenInput;
use super::tallies::{ObjectTally, QuarantinedRecord};

/// Takes the batches of a scan.
pub trait RowTaker {
    /// Takes rows of an output; `Break` says that no more are wanted.
    ///
    /// # Errors
    /// Fails if the rows cannot be kept or given on, which ends the scan.
    fn take(&mut self, output: usize, rows: RecordBatch) -> Result<ControlFlow<()>, DataFusionError>;

    /// True once nobody wants rows any more. A scan asks now and then, also while it finds none to give.
    fn is_gone(&self) -> bool {
        false
    }
}

impl<F: FnMut(usize, RecordBatch) -> Result<ControlFlow<()>, DataFusionError>> RowTaker for F {
    fn take(&mut self, output: usize, rows: RecordBatch) -> Result<ControlFlow<()>, DataFusionError> {
        self(output, rows)
    }
}

/// The use that is made of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowPurpose {
    /// The scope asks for it.
    Answer,
    /// Only state follows from it: it counts as filtered, and is judged among its like.
    State,
}

/// Rows of one run of objects, in order, with their accounts.
#[derive(Default)]
pub(super) struct ScanPart {
    /// One for each row that passed the filters of the run, wanted by the predicate or not.
    pub fingerprints: Vec<Fingerprint>,
    /// The fingerprints of rows for state, ascending.
    pub for_state: Vec<u32>,
    /// The rows of each output, and for each row the place of its fingerprint.
    pub batches: Vec<(RecordBatch, UInt32Array)>,
    /// Records that were parsed. The others were dropped by their outline, or are broken.
    pub parsed: u64,
    /// The fingerprints of each object: an object's tally follows its last fingerprint.
    pub ends: Vec<(usize, ObjectTally)>,
    pub quarantined: Vec<QuarantinedRecord>,
    /// The fingerprints of rows that a scope cannot judge.
    pub lacking: LackingRows<Vec<u32>>,
    /// The places and times of the rows.
    pub seen: SeenInput,
    /// Their hours.
    pub hours: PartHours,
    pub error: Option<DataFusionError>,
}
