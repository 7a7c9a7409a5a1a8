//! The hours of objects and the digests of a store, as tables that a session reads only where a question needs them.
//! In: a [`Snapshot`] and a scope. Out: DataFusion tables. Never reads a file to plan, and holds no more rows than a batch.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;
use tokio::sync::mpsc::Sender;

use super::StoreError;
use super::beside::{KnownDigests, LastAttempts};
use super::ledger::LedgerError;
use super::snapshot::Snapshot;
use super::table_id::TableId;
use crate::objects::{DIGEST_COLUMNS, DigestRows, HOUR_COLUMNS, LEDGER_COLUMNS};
use crate::source::Scope;
use crate::table::{DigestFactRows, DigestFault, DigestStatement, LookedFor, digest_facts_schema};

/// Batches that wait for the reader.
const BATCHES_WAITING_MAX: usize = 2;

/// The table of the hours of objects within the accounts and Regions of a scope.
pub fn hours(snapshot: &Snapshot, scope: &Scope) -> Result<Arc<dyn TableProvider>> {
    table(StoredInput {
        snapshot: snapshot.clone(),
        scope: scope.clone(),
        kind: InputKind::Hours,
        schema: HOUR_COLUMNS.schema(),
    })
}

/// The table of what the digests say of the accounts and Regions of a scope.
pub fn digest_facts(snapshot: &Snapshot, scope: &Scope) -> Result<Arc<dyn TableProvider>> {
    table(StoredInput {
        snapshot: snapshot.clone(),
        scope: scope.clone(),
        kind: InputKind::Digests,
        schema: digest_facts_schema(),
    })
}

fn table(input: StoredInput) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(StreamingTable::try_new(Arc::clone(&input.schema), vec![Arc::new(input)])?))
}

#[derive(Debug, Clone, Copy)]
enum InputKind {
    Hours,
    Digests,
}

/// One of the two tables, over a snapshot.
#[derive(Clone)]
struct StoredInput {
    snapshot: Snapshot,
    scope: Scope,
    kind: InputKind,
    schema: SchemaRef,
}

impl std::fmt::Debug for StoredInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StoredInput").field(&self.kind).finish()
    }
}

impl PartitionStream for StoredInput {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), BATCHES_WAITING_MAX);
        let (to, input) = (builder.tx(), self.clone());
        builder.spawn(async move {
            let given = match input.kind {
                InputKind::Hours => input.give_hours(&to).await,
                InputKind::Digests => input.give_digests(&to).await,
            };
            given.map_err(|error| DataFusionError::External(Box::new(error)))
        });
        builder.build()
    }
}

/// The rows of a stream.
type RowSender = Sender<Result<RecordBatch>>;

impl StoredInput {
    async fn give_hours(&self, to: &RowSender) -> Result<(), StoreError> {
        let (store, mut attempts) = (self.snapshot.store(), LastAttempts::default());
        store.each_of(TableId::Hours, &LastAttempts::HOUR_COLUMNS, &mut |rows| Ok(attempts.choose(rows)?)).await?;
        store.each_of_ledger(&LastAttempts::LEDGER_COLUMNS, &mut |rows| Ok(attempts.add(rows)?)).await?;
        let columns: Vec<&str> =
            HOUR_COLUMNS.list().iter().map(|column| column.name).chain([LEDGER_COLUMNS.batch.name]).collect();
        let batch = self.snapshot.batch;
        self.give(TableId::Hours, &columns, to, &mut |rows| self.in_scope(&attempts.visible(rows, batch)?)).await
    }

    async fn give_digests(&self, to: &RowSender) -> Result<(), StoreError> {
        let (store, mut known) = (self.snapshot.store(), KnownDigests::default());
        store.each_of(TableId::Digests, &KnownDigests::COLUMNS, &mut |rows| Ok(known.add(rows)?)).await?;
        let columns: Vec<&str> =
            DIGEST_COLUMNS.list().iter().map(|column| column.name).chain([LEDGER_COLUMNS.batch.name]).collect();
        self.give(TableId::Digests, &columns, to, &mut |rows| self.facts(rows, &known)).await
    }

    /// Gives the rows of a table, each batch made into another.
    async fn give(
        &self,
        id: TableId,
        columns: &[&str],
        to: &RowSender,
        made: &mut (dyn FnMut(&RecordBatch) -> Result<RecordBatch, LedgerError> + Send),
    ) -> Result<(), StoreError> {
        let mut rows = self.snapshot.store().rows_of(id, columns).await?;
        while let Some(next) = rows.next().await? {
            let batch = made(&next).map_err(|error| self.snapshot.store().of_ledger(error))?;
            // The reader may have left, and then nobody wants the rest.
            if batch.num_rows() > 0 && to.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Rows that nothing places pass every list.
    fn in_scope(&self, rows: &RecordBatch) -> Result<RecordBatch, LedgerError> {
        let (accounts, regions) = (HOUR_COLUMNS.account_id.of(rows)?, HOUR_COLUMNS.region.of(rows)?);
        let listed = |list: &[String], column: &StringArray, row: usize| {
            list.is_empty() || column.is_null(row) || list.iter().any(|item| item == column.value(row))
        };
        let is_inside = |row| listed(&self.scope.accounts, accounts, row) && listed(&self.scope.regions, regions, row);
        let keep: BooleanArray = (0..rows.num_rows()).map(|row| Some(is_inside(row))).collect();
        Ok(filter_record_batch(rows, &keep)?)
    }

    fn facts(&self, rows: &RecordBatch, known: &KnownDigests) -> Result<RecordBatch, LedgerError> {
        let (digests, batches) = (DigestRows::of(rows)?, LEDGER_COLUMNS.batch.of(rows)?);
        let mut facts = DigestFactRows::default();
        for row in 0..rows.num_rows() {
            let (uri, batch) = (digests.object_uri.value(row), batches.value(row));
            if batch > self.snapshot.batch || known.batch_of(uri) != Some(batch) {
                continue;
            }
            let body = digests.body.is_valid(row).then(|| digests.body.value(row));
            let fault = digests.fault.is_valid(row).then(|| DigestFault::of_word(digests.fault.value(row)));
            let statement = match (fault, body) {
                (None, Some(body)) => DigestStatement::parse(body.as_bytes()),
                (fault, _) => Err(fault.flatten().unwrap_or(DigestFault::Format)),
            };
            let looked_for = LookedFor {
                first_day: digests.first_day.is_valid(row).then(|| i64::from(digests.first_day.value(row))),
                last_day: None,
                accounts: self.scope.accounts.clone(),
                regions: self.scope.regions.clone(),
            };
            facts.add(uri, &statement, &looked_for);
        }
        Ok(facts.take()?)
    }
}
