//! The events of a store as a DataFusion table: Parquet files, pruned by day and by the log's statistics of their
//! columns.
//! In: a [`Snapshot`] and a scope. Out: a plan of `events` as the contract has it.
//! Never reads a file to plan, except the index of event ids; DataFusion uses the pages and bloom filters inside files.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Date32Array, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, SchemaRef};
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column as Name, DFSchema, Result, ScalarValue, Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::provider_as_source;
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, col, lit,
};
use datafusion::physical_expr::utils::{Guarantee, LiteralGuarantee};
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;

use super::data_file::{ColumnStats, DataFile};
use super::id_index::{self, IdIndex, IdLookup};
use super::key_use_filter::bears_on_keys;
use super::rows::file_schema;
use super::snapshot::Snapshot;
use crate::normalize::{EventFilter, GLOBAL_SOURCES};
use crate::schema::{COLUMNS, Column};
use crate::source::Scope;

/// The URL under which a session finds the files of the store.
pub const FILES_URL: &str = "keytrail-store://files";

/// A question for more event ids than this does not use the index.
const IDS_MAX: usize = 100;

/// The files of one version, as a table of their columns and the day of each file.
#[derive(Debug)]
struct FilesTable {
    files: Vec<DataFile>,
    index: Option<IdIndex>,
    table: TableSchema,
}

/// The plan of `events` over a snapshot: its rows within the scope, which has no organizations, and of the choice of
/// events asked for.
pub fn events(snapshot: &Snapshot, scope: &Scope, asked: EventFilter) -> Result<LogicalPlan> {
    planned(snapshot, in_scope(scope, &snapshot.files), asked)
}

fn planned(snapshot: &Snapshot, in_scope: Vec<Expr>, asked: EventFilter) -> Result<LogicalPlan> {
    let day = Arc::new(Field::new(Column::EventDate.name(), DataType::Date32, true));
    let table = TableSchema::builder(file_schema()).with_table_partition_cols(vec![day]).build();
    let files = FilesTable { files: snapshot.files.clone(), index: snapshot.believed_index(), table };
    let mut plan = LogicalPlanBuilder::scan("events", provider_as_source(Arc::new(files)), None)?;
    let is_narrower = asked != snapshot.filter && asked == EventFilter::KeyUse;
    for filter in in_scope.into_iter().chain(is_narrower.then(bears_on_keys)) {
        plan = plan.filter(filter)?;
    }
    let columns = (0..COLUMNS.len()).map(Column::from_index).map(|column| match column {
        Column::Integrity => lit("unverified").alias(column.name()),
        column => col(column.name()),
    });
    plan.project(columns)?.build()
}

/// The plan of events for state: as [`events`], but also what lies before the interval, and the changes that are of no
/// Region. None where the scope leaves out none of it.
pub fn state_events(snapshot: &Snapshot, scope: &Scope, asked: EventFilter) -> Result<Option<LogicalPlan>> {
    if !scope.has_state_outside() {
        return Ok(None);
    }
    let lists = Scope { since: None, until: None, ..scope.clone() };
    let until = Scope { until: scope.until, ..Scope::default() };
    let mut filters = in_scope(&until, &snapshot.files);
    let listed = conjunction(in_scope(&lists, &snapshot.files));
    let global = GLOBAL_SOURCES.map(lit).to_vec();
    filters.extend(listed.map(|listed| listed.or(col(Column::EventSource.name()).in_list(global, false))));
    planned(snapshot, filters, asked).map(Some)
}

/// Rows without a time pass every interval, rows that nothing places in an account or Region every list of these.
fn in_scope(scope: &Scope, files: &[DataFile]) -> Vec<Expr> {
    let time = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
    let column = |column: Column| col(column.name());
    let or_untimed = |filter: Expr| filter.or(column(Column::EventTime).is_null());
    let since = scope.since.map(|since| or_untimed(column(Column::EventTime).gt_eq(time(since))));
    let until = scope.until.map(|until| or_untimed(column(Column::EventTime).lt(time(until))));
    let key_region = |regions: &[Expr]| {
        let region = column(Column::KeyRegion);
        region.clone().is_null().or(region.in_list(regions.to_vec(), false))
    };
    let both_accounts = |accounts: &[Expr]| {
        let (caller, owner) = (column(Column::PrincipalAccountId), column(Column::KeyAccountId));
        let is_unknown = caller.clone().is_null().or(owner.clone().is_null());
        is_unknown.or(caller.clone().not_eq(owner)).or(caller.in_list(accounts.to_vec(), false))
    };
    let listed = |by: Column, values: &[String], otherwise: &dyn Fn(&[Expr]) -> Expr| {
        let values: Vec<Expr> = values.iter().map(|value| lit(value.as_str())).collect();
        let is_listed = column(by).in_list(values.clone(), false);
        // Other columns are read only if some row may need them.
        let may_lack = files.iter().any(|file| file.nulls_max(by) > 0);
        let filter = if may_lack { is_listed.or(column(by).is_null().and(otherwise(&values))) } else { is_listed };
        (!values.is_empty()).then_some(filter)
    };
    let accounts = listed(Column::RecipientAccountId, &scope.accounts, &both_accounts);
    let regions = listed(Column::AwsRegion, &scope.regions, &key_region);
    [since, until, accounts, regions].into_iter().flatten().collect()
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.table.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.needed(state, filters).await?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema(), projection)?)));
        }
        let mut statistics = Statistics::new_unknown(self.table.table_schema());
        // Counting needs no file. Elsewhere a guess at the rows that pass would turn the joins of views around, which
        // are written so that the small side is held in memory.
        if projection.is_some_and(Vec::is_empty) && filters.is_empty() {
            statistics.num_rows = Precision::Exact(files.iter().map(|file| file.rows as usize).sum());
        }
        let group = FileGroup::new(files.into_iter().map(partitioned).collect());
        let source = ParquetSource::new(self.table.clone()).with_pushdown_filters(true).with_reorder_filters(true);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(FILES_URL)?, Arc::new(source))
            .with_file_groups(group.split_files(state.config().target_partitions()))
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

impl FilesTable {
    /// The files that can hold passing rows.
    async fn needed(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&DataFile>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(self.files.iter().collect()) };
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(self.schema())?)?;
        let pruning = PruningPredicateBuilder::new().with_file_schema(self.schema()).try_build(filter)?;
        let mut known = KnownOfFiles { files: &self.files, ids: IdLookup::default() };
        let mut kept = pruning.prune(&known)?;
        let ids = ids_of(&pruning);
        let is_of_use = !ids.is_empty() && ids.len() <= IDS_MAX && kept.iter().filter(|keep| **keep).count() > 1;
        if let Some(index) = self.index.as_ref().filter(|_| is_of_use) {
            known.ids = index.look_up(&ids).await;
            kept = pruning.prune(&known)?;
        }
        Ok(self.files.iter().zip(kept).filter(|(_, keep)| *keep).map(|(file, _)| file).collect())
    }
}

/// The hashes of the event ids that the filters allow; every passing row has one of these ids.
fn ids_of(pruning: &PruningPredicate) -> HashSet<u64> {
    let of_id = |guarantee: &&LiteralGuarantee| {
        guarantee.guarantee == Guarantee::In && guarantee.column.name() == Column::EventId.name()
    };
    let guarantees = pruning.literal_guarantees().iter().filter(of_id);
    guarantees.flat_map(|guarantee| &guarantee.literals).filter_map(id_hash).collect()
}

fn id_hash(value: &ScalarValue) -> Option<u64> {
    value.try_as_str().flatten().map(id_index::hash_of)
}

fn partitioned(file: &DataFile) -> PartitionedFile {
    let meta = ObjectMeta {
        location: file.path.clone(),
        last_modified: DateTime::UNIX_EPOCH,
        size: file.bytes,
        e_tag: file.sha256.clone(),
        version: None,
    };
    let mut partitioned = PartitionedFile::new_from_meta(meta);
    partitioned.partition_values = vec![ScalarValue::Date32(file.day)];
    partitioned
}

/// Statistics of all files, by column.
struct KnownOfFiles<'a> {
    files: &'a [DataFile],
    ids: IdLookup,
}

/// One of the two bounds of a column.
type BoundOf = fn(&ColumnStats) -> Option<&str>;

impl KnownOfFiles<'_> {
    fn values(&self, bound: BoundOf, column: &Name) -> Option<ArrayRef> {
        if column.name() == Column::EventDate.name() {
            return Some(Arc::new(Date32Array::from_iter(self.files.iter().map(|file| file.day))));
        }
        let values = self.files.iter().map(|file| file.stats.column(column.name()).and_then(bound));
        let known: ArrayRef = if column.name() == Column::EventTime.name() {
            let times = values.map(|text| text.and_then(crate::time::parse_rfc3339));
            Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC"))
        } else {
            Arc::new(StringArray::from_iter(values))
        };
        (known.null_count() < known.len()).then_some(known)
    }
}

impl PruningStatistics for KnownOfFiles<'_> {
    fn min_values(&self, column: &Name) -> Option<ArrayRef> {
        self.values(|column| column.least.as_deref(), column)
    }

    fn max_values(&self, column: &Name) -> Option<ArrayRef> {
        self.values(|column| column.greatest.as_deref(), column)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Name) -> Option<ArrayRef> {
        if column.name() == Column::EventDate.name() {
            let nulls = self.files.iter().map(|file| if file.day.is_none() { file.rows } else { 0 });
            return Some(Arc::new(UInt64Array::from_iter_values(nulls)));
        }
        let nulls = self.files.iter().map(|file| file.stats.column(column.name()).and_then(|column| column.nulls));
        Some(Arc::new(UInt64Array::from_iter(nulls)))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.files.iter().map(|file| file.rows))))
    }

    fn contained(&self, column: &Name, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        if column.name() != Column::EventId.name() {
            return None;
        }
        let hashes: Vec<u64> = values.iter().map(id_hash).collect::<Option<_>>()?;
        // A possible hit proves nothing; only a sure miss is reported.
        let has_none = |file: &DataFile| self.ids.may_have(&file.path, hashes.iter().copied()).filter(|may| !may);
        Some(self.files.iter().map(has_none).collect())
    }
}
