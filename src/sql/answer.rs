//! The answer to one question: its rows as they come, and the accounts of the reading.
//! In: a plan that runs, and the evidence it rests on. Out: batches, then the accounts of this question alone.
//! Never reads the accounts of another question, even when both read the same logs at once.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use futures::TryStreamExt;

use super::{Engine, SqlError};
use crate::table::{Accounting, LogTable, ScanOutcome, ScanReport};

/// The source of an answer's accounts.
pub(super) enum Evidence {
    /// A scan that runs as the rows are taken.
    Scan { logs: Arc<LogTable>, report: Arc<ScanReport> },
    /// The accounts of a finished scan, or of a store, which cover all its logs.
    Known(Box<Accounting>),
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

    /// All remaining rows, in one batch.
    pub async fn rows(&mut self) -> Result<RecordBatch, SqlError> {
        let batches: Vec<RecordBatch> = (&mut self.batches).try_collect().await?;
        Ok(concat_batches(&self.schema(), &batches).map_err(DataFusionError::from)?)
    }

    /// The accounts of the reading for this answer; `None` where it needed no logs, such as `SELECT 1`. Rows that were
    /// not taken yet are lost, and a scan that still runs is stopped. A stopped scan claims nothing, since its progress
    /// is luck.
    pub async fn finish(self) -> Option<Accounting> {
        drop(self.batches);
        match self.evidence {
            Evidence::Known(accounting) => Some(*accounting),
            Evidence::Scan { logs, report } => match report.finished().await {
                ScanOutcome::NeverRan => None,
                ScanOutcome::Left => Some(Accounting::stopped()),
                ScanOutcome::Ended(scanned) => Some(scanned.accounting(&logs)),
            },
        }
    }
}

/// Statements that were planned together, so that the logs were read once for all of them.
pub struct PreparedStatements<'e> {
    engine: &'e Engine,
    plans: Vec<LogicalPlan>,
    /// The accounts of the one reading from which all statements are answered.
    pub accounting: Accounting,
}

impl<'e> PreparedStatements<'e> {
    pub(super) fn new(engine: &'e Engine, plans: Vec<LogicalPlan>, accounting: Accounting) -> PreparedStatements<'e> {
        PreparedStatements { engine, plans, accounting }
    }

    /// All rows of one of the statements, by its place among them.
    ///
    /// # Panics
    /// If there is no statement at this place.
    pub async fn rows(&self, place: usize) -> Result<RecordBatch, SqlError> {
        let evidence = Evidence::Known(Box::new(self.accounting.clone()));
        self.engine.run(self.plans[place].clone(), evidence).await?.rows().await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::normalize::EventFilter;
    use crate::source::{Location, Scope, list_local};
    use crate::sql::EngineOptions;
    use crate::table::{Completeness, IDENTITIES_MAX, ScanOptions, WithoutLogs};

    /// A streamed answer over all objects, one that stops early, one that prunes, one over kept rows, one over all
    /// accounts, one that needs no logs, and two that hand their rows out to partitions.
    const QUESTIONS: [&str; 8] = [
        "SELECT event_id, raw FROM events",
        "SELECT event_id FROM events LIMIT 1",
        "SELECT event_id FROM events WHERE event_time < TIMESTAMP '2026-03-11T00:00:00Z'",
        "SELECT count(*) FROM key_use",
        "SELECT count(*) FROM objects",
        "SELECT 1",
        "SELECT count(raw), count(request_parameters) FROM events",
        "SELECT upper(event_id) FROM events",
    ];

    fn engine() -> Engine {
        engine_over(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-logs"), 2, Arc::default())
    }

    /// An engine that counts the objects it has read.
    fn engine_over(logs: &Path, threads: usize, read: Arc<AtomicU64>) -> Engine {
        let listing = list_local(&[Location::Path(logs.to_owned())], &Scope::default()).unwrap();
        let options = ScanOptions {
            filter: EventFilter::KeyUse,
            scope: Scope::default(),
            threads,
            salvage: false,
            identities_max: IDENTITIES_MAX,
            accepted: Arc::default(),
            progress: Arc::new(move |_| {
                // Later objects come slowly, so that a reader has time to leave before the scan ends.
                if read.fetch_add(1, Ordering::Relaxed) > 500 {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }),
        };
        let bounds = EngineOptions {
            threads,
            memory_bytes_max: 64 << 20,
            expected: Vec::new(),
            state_answers: Vec::new(),
            has_all_events: false,
            rules: Arc::from(crate::sql::rules::all()),
            said: Arc::default(),
        };
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

    /// The same log in two folders, as two trails deliver it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn duplicates_give_no_empty_batch() {
        let folder = tempfile::tempdir().unwrap();
        let record = |number: usize| {
            format!(r#"{{"eventSource":"kms.amazonaws.com","eventName":"Decrypt","eventID":"id-{number}"}}"#)
        };
        let records: Vec<String> = (0..100).map(record).collect();
        let document = format!("{{\"Records\":[{}]}}", records.join(","));
        for name in ["a", "b"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            // The objects make more than one run, so that the second has only copies.
            for object in 0..300 {
                std::fs::write(folder.path().join(name).join(format!("{object:03}.json")), &document).unwrap();
            }
        }
        let engine = engine_over(folder.path(), 2, Arc::default());
        let mut answer = engine.query("SELECT event_id FROM events", &[]).await.unwrap();
        let mut rows = Vec::new();
        while let Some(batch) = answer.next().await.unwrap() {
            rows.push(batch.num_rows());
        }
        assert_eq!(rows, [100]);
    }

    /// A question that is answered meanwhile does not change the accounts of one under way.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_answer_that_waits_keeps_its_accounts() {
        let engine = engine();
        let whole = answered(&engine, QUESTIONS[0]).await;
        let mut waiting = engine.query(QUESTIONS[0], &[]).await.unwrap();
        let mut rows = waiting.next().await.unwrap().unwrap().num_rows();
        let meanwhile = answered(&engine, QUESTIONS[4]).await;
        assert_ne!(meanwhile, whole);
        while let Some(batch) = waiting.next().await.unwrap() {
            rows += batch.num_rows();
        }
        assert_eq!(format!("{rows} {:?}", waiting.finish().await), whole);
    }

    /// One match is followed by many objects without any: a reader who leaves after it stops the scan, and gets no
    /// counts of objects, for any number of threads.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_reader_who_leaves_stops_the_scan_and_is_told_no_counts() {
        const OBJECTS: u64 = 6000;
        let folder = tempfile::tempdir().unwrap();
        let record = |number: u64, name: &str| {
            format!(
                r#"{{"eventSource":"kms.amazonaws.com","eventName":"{name}","eventTime":"2026-01-01T00:00:00Z","eventID":"id-{number}"}}"#
            )
        };
        for object in 0..OBJECTS {
            let name = if object == 0 { "Decrypt" } else { "Encrypt" };
            let document = format!("{{\"Records\":[{}]}}", record(object, name));
            std::fs::write(folder.path().join(format!("{object:04}.json")), document).unwrap();
        }
        let read = Arc::new(AtomicU64::new(0));
        for threads in [1, 2, 4] {
            let engine = engine_over(folder.path(), threads, Arc::clone(&read));
            for column in ["event_id", "upper(event_id)"] {
                read.store(0, Ordering::Relaxed);
                let sql = format!("SELECT {column} FROM events WHERE event_name = 'Decrypt'");
                let mut answer = engine.query(&sql, &[]).await.unwrap();
                assert_eq!(answer.next().await.unwrap().unwrap().num_rows(), 1);
                let accounting = answer.finish().await.unwrap();
                assert!(!accounting.complete && accounting.by_status.total() == 0, "{accounting:?}");
                assert_eq!(accounting.verdict(WithoutLogs::IsIncomplete), Completeness::Complete);
                let read = read.load(Ordering::Relaxed);
                assert!(read < OBJECTS, "{threads} threads read all objects for a reader of {column} who had left");
            }
        }
    }
}
