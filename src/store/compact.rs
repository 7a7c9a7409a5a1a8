//! Makes few large files of many small ones.
//! In: a store. Out: commits that replace files of one day by one file with the same rows, in the order of the key.
//! Never changes a row: the logical hash of what goes and what comes must agree before it is committed.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::kernel::{Add, Remove};
use futures::TryStreamExt;
use futures::future::ready;

use super::check::said_hash;
use super::delta::{Change, Landed, Table};
use super::file::{Encoded, Encoder, Layout};
use super::hash::LogicalHash;
use super::ledger::{self, OBJECTS, OBJECTS_LAYOUT, QUARANTINE, QUARANTINE_LAYOUT};
use super::patience::Patience;
use super::reader::{StoredFile, with_types};
use super::rows::{self, EVENTS};
use super::{Store, StoreError};

/// A file that is at least this large is left alone.
const LARGE_BYTES: u64 = 24 << 20;
/// Stored bytes of the files that become one.
const MERGED_BYTES_MAX: u64 = 32 << 20;
/// Files that are open at once.
const MERGED_FILES_MAX: usize = 32;
/// Rows of one file that are decoded at once: all open files together hold a moderate number.
const MERGE_ROWS: usize = 256;

/// What became of the files.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    pub files_before: u64,
    pub files_after: u64,
    pub commits: u64,
}

impl Store {
    /// Merges small files of all tables.
    pub async fn compact(&mut self) -> Result<Compacted, StoreError> {
        self.complete().await?;
        let mut all = Compacted { files_before: self.file_count()?, ..Compacted::default() };
        for table in [EVENTS, OBJECTS, QUARANTINE] {
            let mut patience = Patience::new();
            'look: loop {
                let groups = groups(self.table(table).files()?);
                if groups.is_empty() {
                    break;
                }
                for group in groups {
                    match self.merge(table, &group).await? {
                        Landed::Yes => {
                            all.commits += 1;
                            patience.won();
                        }
                        // What is left of the groups may be of files that another one has replaced.
                        Landed::No if patience.lost().await => {
                            self.refresh().await?;
                            continue 'look;
                        }
                        Landed::No => return Err(self.contended()),
                    }
                }
            }
        }
        all.files_after = self.file_count()?;
        Ok(all)
    }

    fn file_count(&self) -> Result<u64, StoreError> {
        let tables = [&self.events, &self.objects, &self.quarantine];
        tables.iter().try_fold(0, |count, table| Ok(count + table.files()?.len() as u64))
    }

    fn table(&self, name: &str) -> &Table {
        match name {
            OBJECTS => &self.objects,
            QUARANTINE => &self.quarantine,
            _ => &self.events,
        }
    }

    fn table_mut(&mut self, name: &str) -> &mut Table {
        match name {
            OBJECTS => &mut self.objects,
            QUARANTINE => &mut self.quarantine,
            _ => &mut self.events,
        }
    }

    /// Replaces a group of files by one.
    async fn merge(&mut self, table: &'static str, group: &[Add]) -> Result<Landed, StoreError> {
        let (schema, layout) = match table {
            OBJECTS => (ledger::ledger_schema(), &OBJECTS_LAYOUT),
            QUARANTINE => (ledger::stored_quarantine_schema(), &QUARANTINE_LAYOUT),
            _ => (rows::file_schema(), &rows::LAYOUT),
        };
        let merged = self.merged(table, group, &schema, layout).await?;
        let rows: u64 =
            group.iter().map(|add| self.data_file(table, add).map(|file| file.rows)).sum::<Result<_, _>>()?;
        if merged.rows as u64 != rows {
            return Err(self.damaged(format!("{rows} rows became {}", merged.rows)));
        }
        let partition = group[0].partition_values.iter().next();
        let partition = partition.map(|(column, value)| (column.as_str(), value.clone()));
        let file = Add { data_change: false, ..merged.put(&self.place, table, partition).await? };
        let path = self.place.path(&format!("{table}/{}", file.path));
        let removes = group.iter().map(removal).collect();
        let change = Change { adds: vec![file], removes, ..Change::default() };
        let landed = self.table_mut(table).commit(change).await?;
        if landed == Landed::No {
            let removed = object_store::ObjectStoreExt::delete(&self.place.store, &path).await;
            removed.map_err(|source| StoreError::Objects { what: path.to_string(), source })?;
        }
        Ok(landed)
    }

    async fn merged(
        &self,
        table: &str,
        group: &[Add],
        schema: &SchemaRef,
        layout: &Layout,
    ) -> Result<Encoded, StoreError> {
        let mut before = None;
        let mut streams: Vec<SendableRecordBatchStream> = Vec::with_capacity(group.len());
        for add in group {
            let file = self.data_file(table, add)?;
            let mut stored = StoredFile::new(&self.place.store, &file);
            if let Some(hash) = said_hash(stored.metadata().await?.as_ref()) {
                before.get_or_insert_with(LogicalHash::default).add(hash);
            }
            let types = Arc::clone(schema);
            let rows = stored.rows(None, MERGE_ROWS).await?.map_err(DataFusionError::from);
            let rows = rows.and_then(move |rows| ready(with_types(&rows, &types).map_err(DataFusionError::from)));
            streams.push(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), rows)));
        }
        let mut encoder = Encoder::new(schema, layout)?;
        let mut rows = sorted(streams, schema, layout)?;
        while let Some(batch) = rows.try_next().await? {
            encoder.write(&batch)?;
        }
        if encoder.hash() != before {
            return Err(self.damaged("merged files have another logical hash than before"));
        }
        Ok(encoder.finish()?)
    }
}

/// The rows of sorted files in their common order; those of a table without an order follow each other.
fn sorted(
    streams: Vec<SendableRecordBatchStream>,
    schema: &SchemaRef,
    layout: &Layout,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let options = SortOptions { descending: false, nulls_first: true };
    let by = layout.sorted_by.iter().map(|name| Ok(PhysicalSortExpr::new(col(name, schema)?, options)));
    let Some(order) = LexOrdering::new(by.collect::<Result<Vec<_>, DataFusionError>>()?) else {
        let chained = futures::stream::iter(streams.into_iter().map(Ok::<_, DataFusionError>)).try_flatten();
        return Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), chained)));
    };
    // What is open is bounded by the number of files and the rows of each.
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    StreamingMergeBuilder::new()
        .with_streams(streams)
        .with_schema(Arc::clone(schema))
        .with_expressions(&order)
        .with_metrics(BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0))
        .with_batch_size(MERGE_ROWS)
        .with_reservation(MemoryConsumer::new("compact").register(&pool))
        .build()
}

/// Files of one partition that should be one file.
fn groups(mut files: Vec<Add>) -> Vec<Vec<Add>> {
    files.retain(|file| (file.size as u64) < LARGE_BYTES);
    let day = |file: &Add| file.partition_values.values().next().cloned().flatten();
    files.sort_by(|a, b| (day(a), a.size, &a.path).cmp(&(day(b), b.size, &b.path)));
    let mut groups: Vec<Vec<Add>> = Vec::new();
    let mut bytes = 0;
    for file in files {
        let size = file.size as u64;
        match groups.last_mut() {
            Some(group)
                if day(&group[0]) == day(&file)
                    && group.len() < MERGED_FILES_MAX
                    && bytes + size <= MERGED_BYTES_MAX =>
            {
                bytes += size;
                group.push(file);
            }
            _ => {
                bytes = size;
                groups.push(vec![file]);
            }
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn removal(file: &Add) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change: false,
        deletion_timestamp: Some(crate::time::now_micros() / 1000),
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition_values.clone()),
        size: Some(file.size),
        ..Remove::default()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;

    use super::*;

    fn file(day: Option<&str>, mebibytes: i64) -> Add {
        let values = [("event_date".to_owned(), day.map(str::to_owned))].into();
        Add { path: format!("{day:?}/{mebibytes}"), partition_values: values, size: mebibytes << 20, ..Add::default() }
    }

    #[test]
    fn groups_are_of_one_day_small_enough_and_more_than_one_file() {
        let (a, b) = (Some("2026-03-10"), Some("2026-03-11"));
        for (files, sizes) in [
            (vec![file(a, 1)], vec![]),
            (vec![file(a, 1), file(b, 1), file(None, 1)], vec![]),
            (vec![file(a, 1), file(b, 1), file(a, 2)], vec![2]),
            (vec![file(a, 24), file(a, 1), file(a, 2)], vec![2]),
            (vec![file(a, 20), file(a, 21), file(a, 22)], vec![]),
            (vec![file(a, 10), file(a, 11), file(a, 12)], vec![2]),
            (vec![file(a, 1); 40], vec![32, 8]),
        ] {
            let found: Vec<usize> = groups(files).iter().map(Vec::len).collect();
            assert_eq!(found, sizes);
        }
    }

    #[test]
    fn rows_without_an_order_follow_each_other() {
        let schema = ledger::stored_quarantine_schema();
        let empty = || -> SendableRecordBatchStream {
            let none = futures::stream::iter([Ok(RecordBatch::new_empty(ledger::stored_quarantine_schema()))]);
            Box::pin(RecordBatchStreamAdapter::new(ledger::stored_quarantine_schema(), none))
        };
        let rows = sorted(vec![empty(), empty()], &schema, &QUARANTINE_LAYOUT).unwrap();
        let batches = futures::executor::block_on(rows.try_collect::<Vec<_>>()).unwrap();
        assert_eq!(batches.len(), 2);
    }
}
