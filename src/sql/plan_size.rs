//! How much the planner would have to do for a statement, before it begins.
//! In: a statement that was parsed. Out: leave to plan it, or the refusal.
//! Counts each part of a WITH clause as often as it is named, since it is planned anew for each mention.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, GroupByWithModifier, ObjectName, Query, Select, Statement, Visit, Visitor,
};

/// Most tables that a statement may name, each as often as it is read: views are large.
const MENTIONS_MAX: u64 = 1000;
/// Most ways of grouping that CUBE, ROLLUP and GROUPING SETS may ask for together.
const GROUPINGS_MAX: u64 = 4096;

/// The reason that a statement is not planned.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanTooLarge {
    #[error(
        "the statement reads more than {MENTIONS_MAX} tables, where a part of its WITH clause counts for all that it reads, \
         each time that it is named"
    )]
    Mentions,
    #[error("the statement groups in more than {GROUPINGS_MAX} ways; name those that you need in GROUPING SETS")]
    Groupings,
}

/// Refuses a statement whose plan would be too large.
pub(super) fn check(statement: &Statement) -> Result<(), PlanTooLarge> {
    match statement.visit(&mut PlanSize::default()) {
        ControlFlow::Break(refusal) => Err(refusal),
        ControlFlow::Continue(()) => Ok(()),
    }
}

#[derive(Default)]
struct PlanSize {
    /// Each part that was read to its end, by its name. Parts of one name count as the larger.
    parts: HashMap<String, PartSize>,
    /// The queries that are being read, from the outside.
    open: Vec<OpenQuery>,
}

/// The work for one part of a statement.
#[derive(Clone, Copy, Default)]
struct PartSize {
    mentions: u64,
    groupings: u64,
}

#[derive(Default)]
struct OpenQuery {
    size: PartSize,
    /// The queries of its WITH clause, by the place that they have in memory.
    parts: Vec<(*const Query, String)>,
}

impl Visitor for PlanSize {
    type Break = PlanTooLarge;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<PlanTooLarge> {
        let parts = query.with.iter().flat_map(|with| &with.cte_tables);
        let parts = parts.map(|part| (std::ptr::from_ref(&*part.query), part.alias.name.value.to_lowercase()));
        self.open.push(OpenQuery { size: PartSize::default(), parts: parts.collect() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<PlanTooLarge> {
        let Some(ended) = self.open.pop() else { return ControlFlow::Continue(()) };
        let Some(around) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        match around.parts.iter().find(|(place, _)| std::ptr::eq(*place, query)) {
            Some((_, name)) => {
                let size = self.parts.entry(name.clone()).or_default();
                size.mentions = ended.size.mentions.max(size.mentions).max(1);
                size.groupings = ended.size.groupings.max(size.groupings);
                ControlFlow::Continue(())
            }
            None => around.size.add(ended.size),
        }
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<PlanTooLarge> {
        let part = name.0.last().and_then(|name| name.as_ident()).map(|name| name.value.to_lowercase());
        let table = PartSize { mentions: 1, groupings: 0 };
        let read = part.and_then(|name| self.parts.get(&name).copied()).unwrap_or(table);
        self.open.last_mut().map_or(ControlFlow::Continue(()), |query| query.size.add(read))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<PlanTooLarge> {
        let (of_columns, columns, modifiers) = match &select.group_by {
            GroupByExpr::Expressions(columns, modifiers) => (ways_together(columns), columns.len(), modifiers),
            GroupByExpr::All(modifiers) => (1, select.projection.len(), modifiers),
        };
        let of_modifiers = modifiers.iter().map(|modifier| match modifier {
            GroupByWithModifier::Cube => subsets(columns),
            GroupByWithModifier::Rollup => columns as u64 + 1,
            GroupByWithModifier::GroupingSets(sets) => ways(sets),
            _ => 1,
        });
        let groupings = of_modifiers.fold(of_columns, u64::saturating_mul);
        // One way is no more than the table that is grouped.
        let read = PartSize { groupings: if groupings > 1 { groupings } else { 0 }, ..PartSize::default() };
        self.open.last_mut().map_or(ControlFlow::Continue(()), |query| query.size.add(read))
    }
}

impl PartSize {
    fn add(&mut self, read: PartSize) -> ControlFlow<PlanTooLarge> {
        self.mentions = self.mentions.saturating_add(read.mentions);
        self.groupings = self.groupings.saturating_add(read.groupings);
        match self {
            PartSize { mentions, .. } if *mentions > MENTIONS_MAX => ControlFlow::Break(PlanTooLarge::Mentions),
            PartSize { groupings, .. } if *groupings > GROUPINGS_MAX => ControlFlow::Break(PlanTooLarge::Groupings),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Groupings beside each other make all their combinations.
fn ways_together(columns: &[Expr]) -> u64 {
    columns.iter().map(ways).fold(1, u64::saturating_mul)
}

/// The ways of grouping that one item of GROUP BY asks for.
fn ways(column: &Expr) -> u64 {
    match column {
        Expr::Cube(columns) => subsets(columns.len()),
        Expr::Rollup(columns) => columns.len() as u64 + 1,
        Expr::GroupingSets(sets) => sets.iter().map(|set| ways_together(set)).fold(0, u64::saturating_add).max(1),
        Expr::Nested(column) => ways(column),
        _ => 1,
    }
}

/// The subsets of so many columns.
fn subsets(columns: usize) -> u64 {
    u32::try_from(columns).ok().and_then(|columns| 1u64.checked_shl(columns)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::guard::{self, Refusal};
    use super::*;

    #[test]
    fn a_part_counts_for_each_mention() {
        let doubling = |parts: usize| {
            let parts: Vec<String> =
                (1..parts).map(|part| format!("p{part} AS (SELECT a.* FROM p{0} a, P{0} b)", part - 1)).collect();
            format!("WITH p0 AS (SELECT 1 AS n), {} SELECT count(*) FROM p{}", parts.join(", "), parts.len())
        };
        for (sql, refused) in [
            (doubling(9), false),
            (doubling(30), true),
            (format!("SELECT 1 FROM {}", ["events"; 1000].join(", ")), false),
            (format!("SELECT 1 FROM {}", ["events"; 1001].join(", ")), true),
            (
                "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r"
                    .to_owned(),
                false,
            ),
            ("SELECT 1 WHERE EXISTS (WITH a AS (SELECT 1) SELECT 1 FROM a, a AS b)".to_owned(), false),
        ] {
            let is_refused = matches!(guard::check(&sql), Err(Refusal::TooLarge(PlanTooLarge::Mentions)));
            assert_eq!(is_refused, refused, "{sql:.80}");
        }
    }

    #[test]
    fn groupings_multiply_within_a_select_and_add_up_beyond() {
        for (grouping, refused) in [
            ("CUBE (a, b, c)", false),
            ("CUBE (a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3)", false),
            ("CUBE (a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4)", true),
            ("CUBE (a1,a2,a3,a4,a5,a6), CUBE (b1,b2,b3,b4,b5,b6,b7)", true),
            ("ROLLUP (a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4)", false),
            ("a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4 WITH CUBE", true),
            ("GROUPING SETS ((a), (b), ())", false),
            ("GROUPING SETS ((a), (b), ()), CUBE (a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2)", true),
        ] {
            let sql = format!("SELECT count(*) FROM events GROUP BY {grouping}");
            assert_eq!(guard::check(&sql) == Err(Refusal::TooLarge(PlanTooLarge::Groupings)), refused, "{grouping}");
        }
        let rollup = "SELECT a, count(*) FROM events GROUP BY ROLLUP (a)";
        let cube = "SELECT count(*) FROM events GROUP BY CUBE (a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2)";
        for (sql, refused) in [
            ([rollup; 13].join(" UNION ALL "), false),
            ([cube; 2].join(" UNION ALL "), false),
            ([cube; 3].join(" UNION ALL "), true),
            (format!("WITH c AS ({cube}) SELECT 1 FROM c a, c b"), false),
            (format!("WITH c AS ({cube}) SELECT 1 FROM c a, c b, c d"), true),
        ] {
            assert_eq!(guard::check(&sql) == Err(Refusal::TooLarge(PlanTooLarge::Groupings)), refused, "{sql:.120}");
        }
    }
}
