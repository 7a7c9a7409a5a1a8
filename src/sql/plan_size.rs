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
    match statement.visit(&mut PlanSize { groupings: 1, ..PlanSize::default() }) {
        ControlFlow::Break(refusal) => Err(refusal),
        ControlFlow::Continue(()) => Ok(()),
    }
}

#[derive(Default)]
struct PlanSize {
    /// The mentions in each part that was read to its end, by its name. Parts of one name count as the larger.
    parts: HashMap<String, u64>,
    /// The queries that are being read, from the outside.
    open: Vec<OpenQuery>,
    groupings: u64,
}

#[derive(Default)]
struct OpenQuery {
    mentions: u64,
    /// The queries of its WITH clause, by the place that they have in memory.
    parts: Vec<(*const Query, String)>,
}

impl Visitor for PlanSize {
    type Break = PlanTooLarge;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<PlanTooLarge> {
        let parts = query.with.iter().flat_map(|with| &with.cte_tables);
        let parts = parts.map(|part| (std::ptr::from_ref(&*part.query), part.alias.name.value.to_lowercase()));
        self.open.push(OpenQuery { mentions: 0, parts: parts.collect() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<PlanTooLarge> {
        let Some(ended) = self.open.pop() else { return ControlFlow::Continue(()) };
        let Some(around) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        match around.parts.iter().find(|(place, _)| std::ptr::eq(*place, query)) {
            Some((_, name)) => {
                let mentions = self.parts.entry(name.clone()).or_default();
                *mentions = ended.mentions.max(*mentions).max(1);
                ControlFlow::Continue(())
            }
            None => add(around, ended.mentions),
        }
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<PlanTooLarge> {
        let part = name.0.last().and_then(|name| name.as_ident()).map(|name| name.value.to_lowercase());
        let mentions = part.and_then(|name| self.parts.get(&name).copied()).unwrap_or(1);
        self.open.last_mut().map_or(ControlFlow::Continue(()), |query| add(query, mentions))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<PlanTooLarge> {
        let (columns, modifiers) = match &select.group_by {
            GroupByExpr::Expressions(columns, modifiers) => (columns.len(), modifiers),
            GroupByExpr::All(modifiers) => (select.projection.len(), modifiers),
        };
        for modifier in modifiers {
            match modifier {
                GroupByWithModifier::Cube => self.group(subsets(columns))?,
                GroupByWithModifier::Rollup => self.group(columns as u64 + 1)?,
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<PlanTooLarge> {
        match expr {
            Expr::Cube(columns) => self.group(subsets(columns.len())),
            Expr::Rollup(columns) => self.group(columns.len() as u64 + 1),
            Expr::GroupingSets(sets) => self.group(sets.len() as u64),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl PlanSize {
    /// Groupings beside each other make all their combinations.
    fn group(&mut self, ways: u64) -> ControlFlow<PlanTooLarge> {
        self.groupings = self.groupings.saturating_mul(ways.max(1));
        if self.groupings > GROUPINGS_MAX {
            ControlFlow::Break(PlanTooLarge::Groupings)
        } else {
            ControlFlow::Continue(())
        }
    }
}

fn add(query: &mut OpenQuery, mentions: u64) -> ControlFlow<PlanTooLarge> {
    query.mentions = query.mentions.saturating_add(mentions);
    if query.mentions > MENTIONS_MAX {
        return ControlFlow::Break(PlanTooLarge::Mentions);
    }
    ControlFlow::Continue(())
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
    fn groupings_multiply() {
        for (grouping, refused) in [
            ("CUBE (a, b, c)", false),
            ("CUBE (a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3)", false),
            ("CUBE (a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4)", true),
            ("CUBE (a1,a2,a3,a4,a5,a6), CUBE (b1,b2,b3,b4,b5,b6,b7)", true),
            ("ROLLUP (a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4)", false),
            ("a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4 WITH CUBE", true),
            ("GROUPING SETS ((a), (b), ())", false),
        ] {
            let sql = format!("SELECT count(*) FROM events GROUP BY {grouping}");
            assert_eq!(guard::check(&sql) == Err(Refusal::TooLarge(PlanTooLarge::Groupings)), refused, "{grouping}");
        }
    }
}
