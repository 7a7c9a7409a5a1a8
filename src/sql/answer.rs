//! The answer to one question: its rows as they come, and what was read for it.
//! In: a plan that runs, and the evidence it rests on. Out: batches, then the accounts of this question and no other.
//! Never reads the accounts of another question, also when both read the same logs at once.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use futures::TryStreamExt;

use super::{Engine, SqlError};
use crate::table::{Accounting, LogTable, ScanReport};

/// Where the accounts of an answer come from.
#[derive(Clone)]
pub(super) enum Evidence {
    /// A scan that runs as the rows are taken.
    Scan { logs: Arc<LogTable>, report: Arc<ScanReport> },
    /// A scan that is over, or a store, which accounts for all its logs.
    Known(Accounting),
}

/// The rows of one answer, as they come.
pub struct Answer {
    batches: SendableRecordBatchStream,
    evidence: Evidence,
}

impl Answer {
    pub(super) fn new(batches: SendableRecordBatchStream, evidence: Evidence) -> Answer {
        Answer { batches, evidence }
    }

    /// The columns of all batches.
    pub fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }

    /// The next rows, `None` after the last.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        Ok(self.batches.try_next().await?)
    }

    /// All rows that are left, in one batch.
    pub async fn rows(&mut self) -> Result<RecordBatch, SqlError> {
        let batches: Vec<RecordBatch> = (&mut self.batches).try_collect().await?;
        Ok(concat_batches(&self.schema(), &batches).map_err(DataFusionError::from)?)
    }

    /// The accounts of what was read for this answer; `None` where it needed no logs, such as `SELECT 1`. Rows that
    /// were not taken yet are lost, and a scan that still runs is stopped.
    pub async fn finish(self) -> Option<Accounting> {
        drop(self.batches);
        match self.evidence {
            Evidence::Scan { logs, report } => Some(report.finished().await?.accounting(&logs)),
            Evidence::Known(accounting) => Some(accounting),
        }
    }
}

/// Statements that were planned together, so that the logs were read once for all of them.
pub struct Prepared<'e> {
    engine: &'e Engine,
    plans: Vec<LogicalPlan>,
    /// Of the one reading that all of them answer from.
    pub accounting: Accounting,
}

impl<'e> Prepared<'e> {
    pub(super) fn new(engine: &'e Engine, plans: Vec<LogicalPlan>, accounting: Accounting) -> Prepared<'e> {
        Prepared { engine, plans, accounting }
    }

    /// All rows of one of the statements, by its place among them.
    ///
    /// # Panics
    /// If there is no statement at this place.
    pub async fn rows(&self, place: usize) -> Result<RecordBatch, SqlError> {
        let evidence = Evidence::Known(self.accounting.clone());
        self.engine.run(self.plans[place].clone(), evidence, Instant::now()).await?.rows().await
    }
}
