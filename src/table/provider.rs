//! `events` over raw logs, as a DataFusion table: a scan with projection, filters, limit and path pruning pushed down.
//! In: the planner's request. Out: one ordered stream of batches. Never decides about rows; `scan` does.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Poll;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use tokio::sync::mpsc::Sender;

use super::kept::{self, KeptFrom};
use super::objects_read::ObjectsRead;
use super::part::RowTaker;
use super::reach::RowReach;
use super::report::ScanEnd;
use super::scan::{RowHashes, ScanOutput, ScanRequest, scan};
use super::{LogTable, ScanReport, ScanResult};
use crate::normalize::{ColumnCondition, ColumnSet, TableNeeds};
use crate::schema::{self, Column, ColumnType};
use crate::source::Listing;
use crate::time::MICROS_PER_DAY;

/// Redelivery ends after this many days: an object in a later folder holds no event of the day asked for.
const REDELIVERY_DAYS: i32 = 31;

/// The table `events` over raw logs, as one question sees it.
#[derive(Debug)]
pub struct EventsTable {
    logs: Arc<LogTable>,
    report: Arc<ScanReport>,
    reach: RowReach,
}

/// One use that a plan makes of `events`.
#[derive(Debug, Clone, PartialEq)]
pub struct EventsMention {
    /// The columns that it reads, in its own order.
    pub columns: Vec<Column>,
    /// Its rows pass all of these.
    pub filters: Vec<Expr>,
    pub role: MentionRole,
    pub reach: RowReach,
}

/// The purpose of a mention of `events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MentionRole {
    Events,
    /// It looks for other records of the calls that the plan's other mentions give, so it needs their days only.
    Companions,
}

impl EventsMention {
    /// `projection` holds places in the schema of `events`; all columns without it.
    pub fn new(projection: Option<&[usize]>, filters: Vec<Expr>, role: MentionRole, reach: RowReach) -> EventsMention {
        let all: Vec<usize> = (0..schema::COLUMNS.len()).collect();
        let columns = projection.unwrap_or(&all).iter().map(|&index| Column::from_index(index)).collect();
        EventsMention { columns, filters, role, reach }
    }

    /// The columns that it gives, and those that its filters look at.
    fn reads(&self) -> Result<Vec<Column>> {
        let schema = schema::events_schema();
        let filtered = self.filters.iter().flat_map(Expr::column_refs);
        let filtered = filtered.map(|column| Ok(Column::from_index(schema.index_of(column.name())?)));
        self.columns.iter().copied().map(Ok).chain(filtered).collect()
    }
}

impl EventsTable {
    /// A table whose scans put their findings into `report`.
    pub fn new(logs: Arc<LogTable>, report: Arc<ScanReport>, reach: RowReach) -> EventsTable {
        EventsTable { logs, report, reach }
    }

    /// The rows that it has.
    pub fn reach(&self) -> RowReach {
        self.reach
    }

    /// Reads the logs once and keeps the rows that each mention needs, within one budget of memory. Returns the rows in
    /// the mentions' order and the findings of the scan. Opens only objects that a mention can need, unless `extent` is
    /// `All`.
    pub fn keep(
        &self,
        state: &dyn Session,
        mentions: &[EventsMention],
        extent: ScanExtent,
        bytes_max: usize,
    ) -> Result<(Vec<kept::KeptTable>, Arc<ScanResult>)> {
        let mut request = self.request(state, mentions)?;
        request.objects = match extent {
            ScanExtent::Needed => needed(mentions, &self.logs.listing),
            ScanExtent::All => None,
        };
        let schemas = mentions.iter().map(|mention| schema::events_schema_of(&mention.columns));
        let mut keeper = kept::RowKeeper::new(schemas, bytes_max, self.logs.options.threads);
        let scanned = scan(&self.logs, &request, &mut |mention: usize, batch: RecordBatch| {
            keeper.add(mention, batch)?;
            Ok(ControlFlow::Continue(()))
        })?;
        // The memory of the workers is of no use to the plan that reads these rows.
        keytrail_limits::give_back();
        let source = KeptFrom {
            objects: ObjectsRead::of(&self.logs.listing, &request),
            parsed: scanned.tallies.parsed,
            columns: request.columns.len(),
        };
        Ok((keeper.finish(source)?, scanned))
    }

    fn request(&self, state: &dyn Session, mentions: &[EventsMention]) -> Result<ScanRequest> {
        let mut columns = mentions.iter().map(EventsMention::reads).collect::<Result<Vec<_>>>()?.concat();
        columns.sort_unstable_by_key(|column| *column as usize);
        columns.dedup();
        let read = DFSchema::try_from(schema::events_schema_of(&columns))?;
        // Rows before the interval reach a scan only where a mention is about state.
        let has_state = mentions.iter().any(|mention| mention.reach == RowReach::State);
        let since = self.logs.options.scope.since.filter(|_| has_state);
        let outputs = mentions.iter().map(|mention| {
            let filter = conjunction(mention.filters.iter().cloned()).map(unqualified).transpose()?;
            let predicate = filter.map(|filter| state.create_physical_expr(filter, &read)).transpose()?;
            let place = |column: &Column| columns.binary_search_by_key(&(*column as usize), |read| *read as usize);
            let places = mention.columns.iter().map(|column| place(column).expect("all columns are read"));
            let needs = TableNeeds {
                conditions: needs(&mention.filters),
                columns: ColumnSet::of(&mention.reads()?),
                since: since.filter(|_| mention.reach == RowReach::Scope),
            };
            Ok(ScanOutput { predicate, needs, places: places.collect(), reach: mention.reach })
        });
        let outputs = outputs.collect::<Result<_>>()?;
        Ok(ScanRequest { columns, outputs, objects: None, hashes: RowHashes::Absent })
    }
}

/// The objects that a scan for kept rows opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanExtent {
    Needed,
    /// Accounts claim all records in scope, so nothing may be pruned for them.
    All,
}

/// The objects that any of the mentions can need; `None` for all.
fn needed(mentions: &[EventsMention], listing: &Listing) -> Option<Vec<bool>> {
    let of_role = |role| mentions.iter().filter(move |mention| mention.role == role);
    let bounds: Vec<PathBounds> =
        of_role(MentionRole::Events).map(|mention| PathBounds::of(&mention.filters)).collect();
    let has_companions = of_role(MentionRole::Companions).next().is_some();
    let each = bounds.into_iter().map(|bounds| {
        let bounds = if has_companions { bounds.with_companions() } else { bounds };
        bounds.select(listing)
    });
    let each: Option<Vec<Vec<bool>>> = each.collect();
    each?.into_iter().reduce(|any, next| any.iter().zip(next).map(|(&a, b)| a || b).collect())
}

/// The conditions that the filters set on single columns; other filters give none.
fn needs(filters: &[Expr]) -> Vec<ColumnCondition> {
    filters.iter().flat_map(split_conjunction).filter_map(need).collect()
}

fn need(filter: &Expr) -> Option<ColumnCondition> {
    let column = |expr: &Expr| {
        let Expr::Column(column) = expr else { return None };
        let column = Column::from_index(schema::events_schema().index_of(column.name()).ok()?);
        // The normalizer does not know the columns that the table adds.
        let is_known = !matches!(column, Column::ObjectUri | Column::Integrity | Column::Raw);
        (is_known && column.spec().ty == ColumnType::Text).then_some(column)
    };
    let literal = |expr: &Expr| if let Expr::Literal(value, _) = expr { text(value) } else { None };
    match filter {
        Expr::IsNotNull(expr) => Some(ColumnCondition { column: column(expr)?, values: None }),
        Expr::InList(list) if !list.negated => {
            let values = list.list.iter().map(literal).collect::<Option<_>>()?;
            Some(ColumnCondition { column: column(&list.expr)?, values: Some(values) })
        }
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
            let (left, right) = (&*binary.left, &*binary.right);
            let (place, value) = if let Expr::Literal(..) = left { (right, left) } else { (left, right) };
            Some(ColumnCondition { column: column(place)?, values: Some(vec![literal(value)?]) })
        }
        _ => None,
    }
}

/// The filter with bare column names, for rows that have no other of these names.
pub fn unqualified(filter: Expr) -> Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    Ok(filter
        .transform(|expr| {
            Ok(match expr {
                Expr::Column(column) => {
                    Transformed::yes(Expr::Column(datafusion::common::Column::from_name(column.name)))
                }
                other => Transformed::no(other),
            })
        })?
        .data)
}

#[async_trait]
impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        schema::events_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.map(Vec::as_slice);
        let mention = EventsMention::new(projection, filters.to_vec(), MentionRole::Events, self.reach);
        let out_schema = schema::events_schema_of(&mention.columns);
        let mut request = self.request(state, std::slice::from_ref(&mention))?;
        request.objects = PathBounds::of(filters).select(&self.logs.listing);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(out_schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let shown: Vec<String> = filters.iter().map(Expr::to_string).collect();
        Ok(Arc::new(ScanExec {
            logs: Arc::clone(&self.logs),
            report: Arc::clone(&self.report),
            request: Arc::new(request),
            limit,
            filters: shown.join(" AND "),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

/// One scan of the logs within a plan.
pub(super) struct ScanExec {
    logs: Arc<LogTable>,
    report: Arc<ScanReport>,
    request: Arc<ScanRequest>,
    limit: Option<usize>,
    filters: String,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl fmt::Debug for ScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let objects = ObjectsRead::of(&self.logs.listing, &self.request);
        let columns: Vec<&str> = self.request.columns.iter().map(|column| column.name()).collect();
        write!(f, "CloudTrailScanExec: {objects}, columns=[{}]", columns.join(", "))?;
        if !self.filters.is_empty() {
            write!(f, ", filter={}", self.filters)?;
        }
        self.limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "CloudTrailScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let predicates = self.request.outputs.iter().filter_map(|output| output.predicate.as_ref());
        predicates.into_iter().try_fold(TreeNodeRecursion::Continue, |_, predicate| f(predicate))
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(self.properties.eq_properties.schema()), 4);
        let sender = builder.tx();
        let (logs, request) = (Arc::clone(&self.logs), Arc::clone(&self.request));
        let counter = |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, partition);
        let (rows, objects) = (counter("output_rows"), counter("objects_read"));
        let (records, parsed) = (counter("records_read"), counter("records_parsed"));
        let mut reader = ScanReader { rows, left: self.limit.unwrap_or(usize::MAX), sender };
        let running = self.report.begin();
        builder.spawn_blocking(move || {
            let scanned = scan(&logs, &request, &mut reader)?;
            objects.add(scanned.tallies.objects.len());
            records.add(scanned.tallies.objects.iter().map(|object| object.counts.records as usize).sum());
            parsed.add(scanned.tallies.parsed as usize);
            running.found(scanned, if reader.left == 0 { ScanEnd::OfLimit } else { ScanEnd::OfObjects });
            Ok(())
        });
        let (batches, report) = (builder.build(), Arc::clone(&self.report));
        let schema = batches.schema();
        let end = futures::stream::poll_fn(move |_| {
            report.read_to_end();
            Poll::Ready(None)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.chain(end))))
    }
}

/// The reader of the rows of a scan, who may want only some of them, and may leave.
struct ScanReader {
    rows: Count,
    left: usize,
    sender: Sender<Result<RecordBatch>>,
}

impl RowTaker for ScanReader {
    fn take(&mut self, _output: usize, batch: RecordBatch) -> Result<ControlFlow<()>> {
        let take = batch.num_rows().min(self.left);
        self.rows.add(take);
        self.left -= take;
        // Sending fails once the reader has left, and then nobody wants more.
        let is_gone = self.sender.blocking_send(Ok(batch.slice(0, take))).is_err();
        Ok(if is_gone || self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The bounds that filters set on the folders of their rows.
#[derive(Debug, Default)]
struct PathBounds {
    /// Days since 1970: no event is delivered before it happens, or much later than [`REDELIVERY_DAYS`].
    first_day: Option<i32>,
    last_day: Option<i32>,
    account: Option<String>,
    region: Option<String>,
}

impl PathBounds {
    /// Another account's or Region's record of a call is as good, and may be of the end of the day before.
    fn with_companions(self) -> PathBounds {
        let first_day = self.first_day.map(|day| day.saturating_sub(1));
        PathBounds { account: None, region: None, first_day, ..self }
    }

    fn of(filters: &[Expr]) -> PathBounds {
        let mut bounds = PathBounds::default();
        filters.iter().for_each(|filter| bounds.narrow(filter));
        bounds
    }

    fn narrow(&mut self, filter: &Expr) {
        match filter {
            Expr::BinaryExpr(binary) if binary.op == Operator::And => {
                self.narrow(&binary.left);
                self.narrow(&binary.right);
            }
            Expr::BinaryExpr(binary) => match (&*binary.left, &*binary.right) {
                (Expr::Column(column), Expr::Literal(value, _)) => self.compare(&column.name, binary.op, value),
                (Expr::Literal(value, _), Expr::Column(column)) => {
                    if let Some(op) = binary.op.swap() {
                        self.compare(&column.name, op, value);
                    }
                }
                _ => {}
            },
            Expr::Between(between) if !between.negated => {
                if let (Expr::Column(column), Expr::Literal(low, _), Expr::Literal(high, _)) =
                    (&*between.expr, &*between.low, &*between.high)
                {
                    self.compare(&column.name, Operator::GtEq, low);
                    self.compare(&column.name, Operator::LtEq, high);
                }
            }
            _ => {}
        }
    }

    fn compare(&mut self, column: &str, op: Operator, value: &ScalarValue) {
        match (column, op) {
            ("recipient_account_id", Operator::Eq) => self.account = text(value),
            ("aws_region", Operator::Eq) => self.region = text(value),
            ("event_time" | "event_date", _) => {
                let Some(day) = day(value) else { return };
                if matches!(op, Operator::Gt | Operator::GtEq | Operator::Eq) {
                    self.first_day = self.first_day.max(Some(day));
                }
                if matches!(op, Operator::Lt | Operator::LtEq | Operator::Eq) {
                    let last = day.saturating_add(REDELIVERY_DAYS);
                    self.last_day = Some(self.last_day.map_or(last, |known| known.min(last)));
                }
            }
            _ => {}
        }
    }

    /// The objects that can hold such rows, or `None` if all can. An object outside a trail's folders can hold
    /// anything.
    fn select(&self, listing: &Listing) -> Option<Vec<bool>> {
        let mut pruned_any = false;
        let objects = (0..listing.len())
            .map(|index| {
                let place = listing.place(index);
                let keep = place.day.is_none_or(|day| {
                    self.first_day.is_none_or(|first| day >= first) && self.last_day.is_none_or(|last| day <= last)
                }) && matches(&self.account, place.account.as_deref())
                    && matches(&self.region, place.region.as_deref());
                pruned_any |= !keep && listing.entry(index).is_opened();
                keep
            })
            .collect();
        pruned_any.then_some(objects)
    }
}

fn matches(wanted: &Option<String>, found: Option<&str>) -> bool {
    match (wanted, found) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => true,
    }
}

fn text(value: &ScalarValue) -> Option<String> {
    value.try_as_str().flatten().map(str::to_owned)
}

/// The UTC day that a time or date literal falls on.
fn day(value: &ScalarValue) -> Option<i32> {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    match value.cast_to(&micros).ok()? {
        ScalarValue::TimestampMicrosecond(Some(micros), _) => i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    /// A false need would lose rows; an overlooked one only costs time.
    #[test]
    fn needs_are_what_a_row_must_have() {
        let needed = |column, values: &[&str]| ColumnCondition {
            column,
            values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        };
        let (name, outcome) = (Column::EventName, Column::Outcome);
        for (filter, expected) in [
            (col("event_name").eq(lit("Decrypt")), vec![needed(name, &["Decrypt"])]),
            (lit("Decrypt").eq(col("event_name")), vec![needed(name, &["Decrypt"])]),
            (col("event_name").in_list(vec![lit("a"), lit("b")], false), vec![needed(name, &["a", "b"])]),
            (col("event_name").is_not_null(), vec![ColumnCondition { column: name, values: None }]),
            (
                col("event_name").eq(lit("a")).and(col("outcome").eq(lit("denied"))),
                vec![needed(name, &["a"]), needed(outcome, &["denied"])],
            ),
            (col("event_name").eq(lit("a")).or(col("outcome").eq(lit("denied"))), vec![]),
            (col("event_name").not_eq(lit("a")), vec![]),
            (col("event_name").in_list(vec![lit("a")], true), vec![]),
            (col("event_name").in_list(vec![lit("a"), col("outcome")], false), vec![]),
            (col("event_name").is_null(), vec![]),
            (col("event_name").eq(col("outcome")), vec![]),
            (col("object_uri").eq(lit("x")), vec![]),
            (col("record_index").is_not_null(), vec![]),
            (col("read_only").eq(lit(true)), vec![]),
        ] {
            assert_eq!(needs(std::slice::from_ref(&filter)), expected, "{filter}");
        }
    }
}
