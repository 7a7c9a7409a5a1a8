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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::normalize::EventFilter;
    use crate::source::{Location, Scope, list_local};
    use crate::sql::EngineOptions;
    use crate::table::{IDENTITIES_MAX, ScanOptions};

    /// A streamed answer over all objects, one that is stopped early, one that prunes, one over kept rows, one over all
    /// accounts, and one that needs no logs.
    const QUESTIONS: [&str; 6] = [
        "SELECT event_id, raw FROM events",
        "SELECT event_id FROM events LIMIT 1",
        "SELECT event_id FROM events WHERE event_time < TIMESTAMP '2026-03-11T00:00:00Z'",
        "SELECT count(*) FROM key_use",
        "SELECT count(*) FROM objects",
        "SELECT 1",
    ];

    fn engine() -> Engine {
        let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-logs");
        let listing = list_local(&[Location::Path(logs)], &Scope::default()).unwrap();
        let options = ScanOptions {
            filter: EventFilter::KeyUse,
            scope: Scope::default(),
            threads: 2,
            salvage: false,
            identities_max: IDENTITIES_MAX,
            progress: Arc::new(|_| {}),
        };
        let bounds = EngineOptions { threads: 2, memory_bytes_max: 64 << 20, deadline: None };
        Engine::over_logs(LogTable::new(Arc::new(listing), options), bounds).unwrap()
    }

    /// Rows and accounts of a question, as text.
    async fn answered(engine: &Engine, sql: &str) -> String {
        let mut answer = engine.query(sql, &[]).await.unwrap();
        let mut rows = 0;
        while let Some(batch) = answer.next().await.unwrap() {
            rows += batch.num_rows();
            tokio::task::yield_now().await;
        }
        format!("{rows} {:?}", answer.finish().await)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn questions_at_once_get_their_own_accounts() {
        let engine = Arc::new(engine());
        let mut alone = Vec::new();
        for sql in QUESTIONS {
            alone.push(answered(&engine, sql).await);
        }
        let different: std::collections::HashSet<&String> = alone.iter().collect();
        assert!(different.len() >= 5, "{alone:#?}");
        for round in 0..8 {
            let asked = (0..QUESTIONS.len()).map(|place| (place + round) % QUESTIONS.len());
            let running = asked.map(|place| {
                let engine = Arc::clone(&engine);
                (place, tokio::spawn(async move { answered(&engine, QUESTIONS[place]).await }))
            });
            for (place, running) in running.collect::<Vec<_>>() {
                assert_eq!(running.await.unwrap(), alone[place], "{}", QUESTIONS[place]);
            }
        }
    }

    /// A reader that leaves early is told what was read until then, and not what another question read meanwhile.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_answer_that_waits_keeps_its_accounts() {
        let engine = engine();
        let whole = answered(&engine, QUESTIONS[0]).await;
        let mut waiting = engine.query(QUESTIONS[0], &[]).await.unwrap();
        let mut rows = waiting.next().await.unwrap().unwrap().num_rows();
        assert_eq!(answered(&engine, QUESTIONS[4]).await, answered(&engine, QUESTIONS[4]).await);
        while let Some(batch) = waiting.next().await.unwrap() {
            rows += batch.num_rows();
        }
        assert_eq!(format!("{rows} {:?}", waiting.finish().await), whole);
        let unread = engine.query(QUESTIONS[0], &[]).await.unwrap();
        let finished = tokio::time::timeout(std::time::Duration::from_secs(60), unread.finish()).await;
        assert!(finished.is_ok(), "a scan that nobody reads is not stopped");
    }
}
