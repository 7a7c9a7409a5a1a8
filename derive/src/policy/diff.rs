//! The difference of two versions of a policy, statement by statement.
//! In: two documents. Out: the statements that were added, removed and changed. Statements that say the same in other
//! words, or under another name, or in another order, are no difference.
//! Never matches statements of different names, and never evaluates a condition.

use std::collections::{BTreeMap, BTreeSet};

use super::document::PolicyDocument;
use super::statement::{PolicyElement, PolicyStatement, StatementBody};

/// The way in which a statement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeDirection {
    /// It means all that it meant, and more: a Deny then denies more.
    Widened,
    Narrowed,
    /// Neither, or not decided.
    Other,
}

/// A statement before and after.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StatementChange<'d> {
    pub before: &'d PolicyStatement,
    pub after: &'d PolicyStatement,
    pub direction: ChangeDirection,
}

/// The difference of two versions, in the order of their statements.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyDiff<'d> {
    pub added: Vec<&'d PolicyStatement>,
    pub removed: Vec<&'d PolicyStatement>,
    pub changed: Vec<StatementChange<'d>>,
}

/// The statements of two documents that are not matched yet.
struct UnmatchedStatements<'d> {
    before: Vec<&'d PolicyStatement>,
    after: Vec<&'d PolicyStatement>,
    matched: Vec<(&'d PolicyStatement, &'d PolicyStatement)>,
}

impl<'d> PolicyDiff<'d> {
    /// All of the second is added if there is no first.
    pub fn of(before: Option<&'d PolicyDocument>, after: &'d PolicyDocument) -> PolicyDiff<'d> {
        let mut rest = UnmatchedStatements {
            before: before.map(|before| before.statements.iter().collect()).unwrap_or_default(),
            after: after.statements.iter().collect(),
            matched: Vec::new(),
        };
        rest.drop_equal();
        rest.pair_by(|statement| statement.sid.clone().map(StatementTrait::Name));
        for kept_apart in [StatementPart::Actions, StatementPart::Principals, StatementPart::Conditions] {
            rest.pair_by(|statement| kept_apart.all_but(statement));
        }
        let changes =
            rest.matched.iter().map(|(before, after)| (*before, *after, direction(&before.body, &after.body)));
        let changed = changes.filter_map(|(before, after, direction)| {
            direction.map(|direction| StatementChange { before, after, direction })
        });
        PolicyDiff { added: rest.after, removed: rest.before, changed: changed.collect() }
    }
}

/// The direction of a change; `None` if both mean the same.
fn direction(before: &StatementBody, after: &StatementBody) -> Option<ChangeDirection> {
    match (after.covers(before), before.covers(after)) {
        (true, true) => None,
        (true, false) => Some(ChangeDirection::Widened),
        (false, true) => Some(ChangeDirection::Narrowed),
        (false, false) => Some(ChangeDirection::Other),
    }
}

/// The trait by which two statements are one that changed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum StatementTrait {
    Name(String),
    /// Of a statement without a name: all of it but one part, as JSON.
    Rest(String),
}

/// The part in which a statement without a name may change and still be the same.
#[derive(Clone, Copy)]
enum StatementPart {
    Actions,
    Principals,
    Conditions,
}

impl StatementPart {
    fn all_but(self, statement: &PolicyStatement) -> Option<StatementTrait> {
        statement.sid.is_none().then(|| {
            let mut rest = statement.clone();
            match self {
                StatementPart::Actions => rest.body.actions = PolicyElement::Absent,
                StatementPart::Principals => rest.body.principals = PolicyElement::Absent,
                StatementPart::Conditions => rest.body.conditions.clear(),
            }
            StatementTrait::Rest(rest.label())
        })
    }
}

impl<'d> UnmatchedStatements<'d> {
    /// Drops statements that stand in both. One that stands twice says no more than once.
    fn drop_equal(&mut self) {
        let before: BTreeSet<&StatementBody> = self.before.iter().map(|statement| &statement.body).collect();
        let after: BTreeSet<&StatementBody> = self.after.iter().map(|statement| &statement.body).collect();
        self.before.retain(|statement| !after.contains(&statement.body));
        self.after.retain(|statement| !before.contains(&statement.body));
    }

    /// Pairs statements that alone have a trait on each side.
    fn pair_by(&mut self, trait_of: impl Fn(&PolicyStatement) -> Option<StatementTrait>) {
        let places = |statements: &[&PolicyStatement]| {
            let mut places: BTreeMap<StatementTrait, Vec<usize>> = BTreeMap::new();
            for (at, statement) in statements.iter().enumerate() {
                if let Some(by) = trait_of(statement) {
                    places.entry(by).or_default().push(at);
                }
            }
            places
        };
        let of_before = places(&self.before);
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for (by, after) in places(&self.after) {
            if let (Some([before]), [after]) = (of_before.get(&by).map(Vec::as_slice), after.as_slice()) {
                pairs.push((*before, *after));
            }
        }
        pairs.sort_unstable_by_key(|(_, after)| *after);
        self.matched.extend(pairs.iter().map(|&(before, after)| (self.before[before], self.after[after])));
        let paired_before: Vec<usize> = pairs.iter().map(|(before, _)| *before).collect();
        let paired_after: Vec<usize> = pairs.iter().map(|(_, after)| *after).collect();
        drop_places(&mut self.before, paired_before);
        drop_places(&mut self.after, paired_after);
    }
}

fn drop_places<T>(items: &mut Vec<T>, mut places: Vec<usize>) {
    places.sort_unstable();
    let mut at = 0;
    items.retain(|_| {
        at += 1;
        places.binary_search(&(at - 1)).is_err()
    });
}
