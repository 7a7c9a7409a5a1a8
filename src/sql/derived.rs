//! Derived tables in plans: a view of which the SQL declares an input, and `derive` computes the rows.
//! In: optimized plans that name derived tables. Out: the inputs that must be read for them, and plans over rows that are
//! computed on the first scan, once for a question however often it names the table.
//! A filter on what a derivation falls apart by goes to its input; every other one stays above it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableScan, TableType,
};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::TryStreamExt;
use tokio::sync::OnceCell;

use crate::derive::{self, DerivedTable};

/// A derived table as statements are planned over it: its columns, and the plan of its input.
#[derive(Debug)]
pub(super) struct DerivedView {
    table: &'static DerivedTable,
    input: LogicalPlan,
}

impl DerivedView {
    /// The derived table of this name over a planned input.
    pub fn new(name: &str, input: LogicalPlan) -> Result<DerivedView> {
        let table = derive::TABLES.iter().find(|table| table.name == name);
        let missing = || DataFusionError::Internal(format!("nothing derives the table `{name}`"));
        Ok(DerivedView { table: table.ok_or_else(missing)?, input })
    }

    /// True of a filter that may be applied to the input as well.
    fn is_of_input(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        !columns.is_empty() && columns.iter().all(|column| self.table.by.contains(&column.name()))
    }
}

#[async_trait]
impl TableProvider for DerivedView {
    fn schema(&self) -> SchemaRef {
        (self.table.schema)()
    }

    /// To users it is one of the views.
    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushed = filters.iter().map(|filter| match self.is_of_input(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        });
        Ok(pushed.collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let name = self.table.name;
        Err(DataFusionError::Internal(format!("the input of `{name}` was not planned with its question")))
    }
}

/// One use of a derived table in the plans of a question. Two with the same filters have the same rows.
#[derive(Debug, Clone, PartialEq)]
struct DerivedMention {
    name: &'static str,
    filters: Vec<Expr>,
}

/// What puts rows that were read in the place of the raw tables of a plan.
type ReadPlan<'r> = dyn Fn(LogicalPlan) -> Result<LogicalPlan> + 'r;

/// The derived tables that a question names, each with the input that it is computed from.
#[derive(Debug, Default)]
pub(super) struct Derivations {
    mentions: Vec<DerivedMention>,
    /// Of each mention, in their order.
    inputs: Vec<LogicalPlan>,
    rows: Vec<Option<Arc<DerivedRows>>>,
}

impl Derivations {
    /// The derived tables of some plans, and those that their inputs name in turn.
    pub fn of(plans: &[LogicalPlan], state: &SessionState) -> Result<Derivations> {
        let mut all = Derivations::default();
        plans.iter().try_for_each(|plan| all.add(plan, state))?;
        Ok(all)
    }

    fn add(&mut self, plan: &LogicalPlan, state: &SessionState) -> Result<()> {
        let mut found = Vec::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Some(table) = derived(scan)
            {
                found.push((mention(&table, scan), table));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        for (mention, table) in found {
            if self.mentions.contains(&mention) {
                continue;
            }
            let input = input(&table, &mention.filters, state)?;
            self.mentions.push(mention);
            self.inputs.push(input.clone());
            self.rows.push(None);
            self.add(&input, state)?;
        }
        Ok(())
    }

    /// The inputs, which are to be read with the plans that need them.
    pub fn inputs(&self) -> &[LogicalPlan] {
        &self.inputs
    }

    /// The plans with computed rows in the place of derived tables. `read` puts rows in the place of raw tables.
    pub fn stand_in(mut self, plans: Vec<LogicalPlan>, read: &ReadPlan) -> Result<Vec<LogicalPlan>> {
        plans.into_iter().map(|plan| self.replace(plan, read)).collect()
    }

    fn replace(&mut self, plan: LogicalPlan, read: &ReadPlan) -> Result<LogicalPlan> {
        let replaced = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(mut scan) => match derived(&scan) {
                None => Ok(Transformed::no(LogicalPlan::TableScan(scan))),
                Some(table) => {
                    scan.source = provider_as_source(self.rows_of(&table, &scan, read)?);
                    // They are applied to the input, and stand above this scan as well.
                    scan.filters = Vec::new();
                    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
                }
            },
            other => Ok(Transformed::no(other)),
        })?;
        read(replaced.data)
    }

    fn rows_of(&mut self, table: &DerivedView, scan: &TableScan, read: &ReadPlan) -> Result<Arc<DerivedRows>> {
        let mention = mention(table, scan);
        let place = self.mentions.iter().position(|known| *known == mention);
        let place = place.ok_or_else(|| DataFusionError::Internal("a derived table was not looked for".into()))?;
        if let Some(rows) = &self.rows[place] {
            return Ok(Arc::clone(rows));
        }
        let input = self.replace(self.inputs[place].clone(), read)?;
        let rows = Arc::new(DerivedRows { table: table.table, input, rows: OnceCell::new() });
        self.rows[place] = Some(Arc::clone(&rows));
        Ok(rows)
    }
}

/// The derived table that a scan is of.
fn derived(scan: &TableScan) -> Option<Arc<DerivedView>> {
    let provider = source_as_provider(&scan.source).ok()?;
    (provider as Arc<dyn std::any::Any + Send + Sync>).downcast::<DerivedView>().ok()
}

fn mention(table: &DerivedView, scan: &TableScan) -> DerivedMention {
    DerivedMention { name: table.table.name, filters: scan.filters.clone() }
}

/// The optimized plan of the input rows that pass.
fn input(table: &DerivedView, filters: &[Expr], state: &SessionState) -> Result<LogicalPlan> {
    let mut plan = LogicalPlanBuilder::from(table.input.clone());
    for filter in filters {
        plan = plan.filter(unqualified(filter.clone())?)?;
    }
    state.optimize(&plan.build()?)
}

/// The filter with bare column names, which the input has too.
fn unqualified(filter: Expr) -> Result<Expr> {
    let bare = filter.transform(|expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::from_name(column.name)))),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(bare.data)
}

/// The rows of a derived table for one question, computed when they are first scanned.
#[derive(Debug)]
struct DerivedRows {
    table: &'static DerivedTable,
    input: LogicalPlan,
    rows: OnceCell<RecordBatch>,
}

impl DerivedRows {
    async fn compute(&self, state: &dyn Session) -> Result<RecordBatch> {
        let plan = state.create_physical_plan(&self.input).await?;
        let mut input = execute_stream(plan, state.task_ctx())?;
        let mut derivation = (self.table.start)();
        while let Some(rows) = input.try_next().await? {
            derivation.take(&rows)?;
        }
        Ok(derivation.finish()?)
    }
}

#[async_trait]
impl TableProvider for DerivedRows {
    fn schema(&self) -> SchemaRef {
        (self.table.schema)()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.rows.get_or_try_init(|| self.compute(state)).await?;
        let partitions = [vec![rows.clone()]];
        Ok(MemorySourceConfig::try_new_exec(&partitions, self.schema(), projection.cloned())?)
    }
}
