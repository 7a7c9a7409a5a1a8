//! Reads the logs once for a question, however often its plan mentions them.
//! In: optimized plans that scan raw tables. Out: the same plans over kept rows that were read once, or over a scan
//! that reports to this question alone.
//! Never plans a statement and never decides the rows of an answer.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::{MemTable, provider_as_source, source_as_provider};
use datafusion::logical_expr::{EmptyRelation, LogicalPlan, LogicalPlanBuilder, TableScan};

use crate::table::{EventsMention, EventsTable, KeptTable, LogTable, MentionRole, RowReach, ScanReport};

/// The mentions of raw tables in optimized plans.
#[derive(Default)]
pub(super) struct RawMentions {
    /// The distinct mentions of `events`, in the order of the plans.
    pub mentions: Vec<EventsMention>,
    /// The number of scans of `events`, repeated mentions included.
    reads: usize,
    pub accounts: bool,
    /// True if the hours of objects are among them.
    pub hours: bool,
}

impl RawMentions {
    /// The scans of all these plans.
    pub fn of<'p>(plans: impl IntoIterator<Item = &'p LogicalPlan>) -> Result<RawMentions, DataFusionError> {
        let mut scans = RawMentions::default();
        plans.into_iter().try_for_each(|plan| scans.add(plan))?;
        Ok(scans)
    }

    fn add(&mut self, plan: &LogicalPlan) -> Result<(), DataFusionError> {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                match RawTable::of(scan) {
                    None => {}
                    Some(RawTable::Objects | RawTable::Quarantine) => self.accounts = true,
                    Some(RawTable::Hours) => (self.accounts, self.hours) = (true, true),
                    Some(RawTable::Events(role)) => {
                        self.reads += 1;
                        let mention = mention(scan, role);
                        self.mentions.extend((!self.mentions.contains(&mention)).then_some(mention));
                    }
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(())
    }

    /// True if the plan can run straight on the scan.
    pub fn streams(&self) -> bool {
        self.reads <= 1 && !self.accounts
    }
}

/// The table in which the views look for other records of a call.
pub const COMPANIONS: &str = "event_companions";

/// The table of the hours of objects, which only views may name.
pub(super) const OBJECT_HOURS: &str = "object_hours";

/// A table whose rows come from logs. No other table has one of these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RawTable {
    Events(MentionRole),
    Objects,
    Quarantine,
    Hours,
}

impl RawTable {
    const ALL: [(&str, RawTable); 5] = [
        ("events", RawTable::Events(MentionRole::Events)),
        (COMPANIONS, RawTable::Events(MentionRole::Companions)),
        ("objects", RawTable::Objects),
        ("quarantine", RawTable::Quarantine),
        (OBJECT_HOURS, RawTable::Hours),
    ];

    /// The raw table that a scan reads; `None` for other tables.
    fn of(scan: &TableScan) -> Option<RawTable> {
        RawTable::ALL.into_iter().find(|(name, _)| scan.table_name.table() == *name).map(|(_, table)| table)
    }
}

fn mention(scan: &TableScan, role: MentionRole) -> EventsMention {
    EventsMention::new(scan.projection.as_deref(), scan.filters.clone(), role, reach(scan))
}

/// The rows that the scanned table of events has.
fn reach(scan: &TableScan) -> RowReach {
    let provider = source_as_provider(&scan.source).ok();
    let table = provider.and_then(|table| (table as Arc<dyn Any + Send + Sync>).downcast::<EventsTable>().ok());
    table.map_or(RowReach::Scope, |table| table.reach())
}

/// Rows that stand in for the raw tables in the plans of one question.
pub(super) struct KeptTables {
    /// The rows of each mention of `events`.
    pub events: Vec<(EventsMention, KeptTable)>,
    pub objects: Arc<MemTable>,
    pub quarantine: Arc<MemTable>,
    pub hours: Arc<MemTable>,
}

/// Puts a plan that mentions `events` at most once over a scan of the logs that writes to `report`.
pub(super) fn reporting_to(
    plan: LogicalPlan,
    logs: &Arc<LogTable>,
    report: &Arc<ScanReport>,
) -> Result<LogicalPlan, DataFusionError> {
    let replaced = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::TableScan(mut scan) if matches!(RawTable::of(&scan), Some(RawTable::Events(_))) => {
            let table = EventsTable::new(Arc::clone(logs), Arc::clone(report), reach(&scan));
            scan.source = provider_as_source(Arc::new(table));
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

impl KeptTables {
    /// Replaces the raw tables of the plan by kept rows.
    pub fn stand_in(&self, plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        let replaced = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) => match RawTable::of(&scan) {
                Some(table) => Ok(Transformed::yes(self.replace(scan, table)?)),
                None => Ok(Transformed::no(LogicalPlan::TableScan(scan))),
            },
            other => Ok(Transformed::no(other)),
        })?;
        Ok(replaced.data)
    }

    fn replace(&self, scan: TableScan, table: RawTable) -> Result<LogicalPlan, DataFusionError> {
        let role = match table {
            RawTable::Events(role) => role,
            RawTable::Objects => return Ok(over(scan, &self.objects)),
            RawTable::Quarantine => return Ok(over(scan, &self.quarantine)),
            RawTable::Hours => return Ok(over(scan, &self.hours)),
        };
        let mention = mention(&scan, role);
        let place = self.events.iter().position(|(known, _)| *known == mention);
        let place = place.ok_or_else(|| DataFusionError::Internal("a mention of `events` was not read".into()))?;
        let rows = &self.events[place].1;
        if rows.is_empty() {
            // The planner removes a join with an empty relation.
            let empty = EmptyRelation { produce_one_row: false, schema: scan.projected_schema };
            return Ok(LogicalPlan::EmptyRelation(empty));
        }
        // The kept rows are already filtered and projected, so the scan has no filters. Two mentions of the same
        // columns would then look alike, and the planner would answer both from one: so each has its own name.
        let kept = LogicalPlanBuilder::scan(format!("kept_{place}"), provider_as_source(Arc::new(rows.clone())), None)?;
        kept.alias(scan.table_name)?.build()
    }
}

/// The scan over a table in memory.
fn over(mut scan: TableScan, table: &Arc<MemTable>) -> LogicalPlan {
    scan.source = provider_as_source(Arc::clone(table) as _);
    LogicalPlan::TableScan(scan)
}
