//! The runs of refusals that a success ended: of one principal, on one key, at one operation.
//! In: refusals, each with the first success after it, in any order. Out: runs, in the order of principal, key,
//! operation and time.
//! Never puts a refusal that names no key into a run as its own: those are counted beside it.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::compact::{PackedEventId, PooledText};
use crate::moment::second_of;

/// A refused use of a key with the success after it. Its texts are of the pool.
#[derive(Debug, Clone)]
pub(super) struct RefusedUse {
    pub id: PackedEventId,
    pub time: i64,
    pub principal: PooledText,
    pub operation: PooledText,
    pub action: Option<PooledText>,
    pub key: Option<PooledText>,
    /// Of the table that DynamoDB's own record names, where the refusal names no key.
    pub key_by_table: Option<PooledText>,
    pub reason: Option<PooledText>,
    pub effect: Option<PooledText>,
    /// The policy that AWS named as the one that denied.
    pub denied_by: Option<PooledText>,
    pub account: Option<PooledText>,
    /// The first success after it on its key, or on that of its table.
    pub success: Option<RunSuccess>,
}

/// The call that ended a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunSuccess {
    pub id: PackedEventId,
    pub time: i64,
    pub table_arn: Option<PooledText>,
    pub table_name: Option<PooledText>,
    pub via_service: Option<PooledText>,
    pub account: Option<PooledText>,
    pub principal_id: Option<PooledText>,
    pub endpoint: Option<PooledText>,
    pub person: Option<PooledText>,
    pub person_source: Option<PooledText>,
}

/// A run. The successes after its refusals have one id.
#[derive(Debug)]
pub(super) struct RefusalRun {
    pub key: PooledText,
    pub first_denied: i64,
    pub last: RefusedUse,
    /// Of the last refusal.
    pub success: RunSuccess,
    /// Zero for a run of refusals that name no key.
    pub denied_count: i64,
    pub denied_unnamed: i64,
    later_unnamed: LaterUnnamed,
    /// False if refusals of the last second had other reasons: nobody knows which was the last.
    is_of_one_reason: bool,
}

/// The refusals of a run that name no key, from its last refusal that does until the success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LaterUnnamed {
    /// The second of the last one.
    last: Option<i64>,
    /// True if one was refused for another reason than the last refusal that names the key.
    has_other_reason: bool,
}

impl LaterUnnamed {
    /// True if none of them was refused from the second of a change on, or for a reason that is not the run's.
    fn allows_proof(&self, change: i64) -> bool {
        !self.has_other_reason && self.last.is_none_or(|last| last < change)
    }
}

/// Runs are told apart by principal, operation, key and the success that ended them.
type RunName = (PooledText, PooledText, PooledText, PackedEventId);

/// The reason and effect of a refusal that is compared with one that names no key.
type UnnamedReason = (Option<PooledText>, Option<PooledText>);

/// Refusals that name no key, in the order of time.
#[derive(Debug, Default)]
struct UnnamedRefusals {
    refusals: Vec<(i64, UnnamedReason)>,
    /// For each of them, the number of those up to the last one with another reason.
    others_before: Vec<usize>,
}

impl UnnamedRefusals {
    fn sort(&mut self) {
        self.refusals.sort_unstable();
        let mut others = 0;
        for (at, (_, reason)) in self.refusals.iter().enumerate() {
            if at > 0 && self.refusals[at - 1].1 != *reason {
                others = at;
            }
            self.others_before.push(others);
        }
    }

    /// The number of those before a second.
    fn before(&self, second: i64) -> usize {
        self.refusals.partition_point(|(at, _)| *at < second)
    }

    /// Those from one second to before another, compared with a reason.
    fn later(&self, (from, until): (i64, i64), reason: UnnamedReason) -> LaterUnnamed {
        let (first, end) = (self.before(from), self.before(until));
        let Some(last) = end.checked_sub(1).filter(|last| *last >= first) else { return LaterUnnamed::default() };
        let (second, of_last) = self.refusals[last];
        let has_other_reason = of_last != reason || self.others_before[last] > first;
        LaterUnnamed { last: Some(second), has_other_reason }
    }
}

/// The refusals of one principal at one operation that name no key, by the key of their table.
type UnnamedByTable = HashMap<(PooledText, PooledText), HashMap<Option<PooledText>, UnnamedRefusals>>;

/// The runs of some refusals.
pub(super) fn runs_of(refusals: Vec<RefusedUse>) -> Vec<RefusalRun> {
    let mut unnamed: UnnamedByTable = HashMap::new();
    for refused in refusals.iter().filter(|refused| refused.key.is_none()) {
        let of = unnamed.entry((refused.principal, refused.operation)).or_default();
        let of = of.entry(refused.key_by_table).or_default();
        of.refusals.push((second_of(refused.time), (refused.reason, refused.effect)));
    }
    unnamed.values_mut().flat_map(HashMap::values_mut).for_each(UnnamedRefusals::sort);
    let mut runs: BTreeMap<RunName, RefusalRun> = BTreeMap::new();
    let (named, by_table): (Vec<RefusedUse>, Vec<RefusedUse>) =
        refusals.into_iter().partition(|refused| refused.key.is_some());
    named.into_iter().for_each(|refused| add(&mut runs, refused));
    // Beside a run of refusals that name the key, others of its table are no run of their own.
    let known: HashSet<RunName> = runs.keys().cloned().collect();
    let is_alone = |refused: &RefusedUse| run_name(refused).is_some_and(|name| !known.contains(&name));
    by_table.into_iter().filter(is_alone).for_each(|refused| add(&mut runs, refused));
    let mut runs: Vec<RefusalRun> = runs.into_values().collect();
    runs.iter_mut().for_each(|run| run.count_unnamed(&unnamed));
    runs
}

fn run_name(refused: &RefusedUse) -> Option<RunName> {
    let key = refused.key.or(refused.key_by_table)?;
    Some((refused.principal, refused.operation, key, refused.success.as_ref()?.id.clone()))
}

fn add(runs: &mut BTreeMap<RunName, RefusalRun>, refused: RefusedUse) {
    let Some(name) = run_name(&refused) else { return };
    let Some(success) = refused.success.clone() else { return };
    let counted = i64::from(refused.key.is_some());
    match runs.get_mut(&name) {
        None => {
            let (key, first_denied) = (name.2, refused.time);
            let (denied_unnamed, later_unnamed) = (0, LaterUnnamed::default());
            let run = RefusalRun {
                key,
                first_denied,
                last: refused,
                success,
                denied_count: counted,
                denied_unnamed,
                later_unnamed,
                is_of_one_reason: true,
            };
            runs.insert(name, run);
        }
        Some(run) => {
            run.first_denied = run.first_denied.min(refused.time);
            run.denied_count += counted;
            let (second, last) = (second_of(refused.time), second_of(run.last.time));
            let is_alike = (refused.reason, refused.effect) == (run.last.reason, run.last.effect);
            run.is_of_one_reason = second > last || run.is_of_one_reason && (second < last || is_alike);
            if (refused.time, &refused.id) > (run.last.time, &run.last.id) {
                // Two records of one id may tell of two successes: that of the last refusal counts.
                run.success = success;
                run.last = refused;
            }
        }
    }
}

impl RefusalRun {
    /// True if a change of a second may be shown to come after all refusals of the key, which have one reason at last.
    pub fn allows_proof(&self, change: i64) -> bool {
        self.denied_count > 0
            && self.is_of_one_reason
            && change > second_of(self.last.time)
            && self.later_unnamed.allows_proof(change)
    }

    /// Counts the refusals between the first and the success that may have been of this key.
    fn count_unnamed(&mut self, unnamed: &UnnamedByTable) {
        let Some(of) = unnamed.get(&(self.last.principal, self.last.operation)) else { return };
        let (first, success) = (second_of(self.first_denied), second_of(self.success.time));
        let later = (second_of(self.last.time), success);
        // Those of a table with another key were not of this one.
        for refusals in [None, Some(self.key)].iter().filter_map(|key| of.get(key)) {
            self.denied_unnamed += (refusals.before(success) - refusals.before(first)) as i64;
            let of_table = refusals.later(later, (self.last.reason, self.last.effect));
            self.later_unnamed.last = self.later_unnamed.last.max(of_table.last);
            self.later_unnamed.has_other_reason |= of_table.has_other_reason;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compact::TextPool;

    #[test]
    fn the_success_of_the_last_refusal_ends_a_run_whatever_the_order() {
        let mut texts = TextPool::default();
        let name = texts.put("p");
        let refused = |id: &str, time: i64, success: i64| RefusedUse {
            id: PackedEventId::of(id),
            time,
            principal: name,
            operation: name,
            action: None,
            key: Some(name),
            key_by_table: None,
            reason: None,
            effect: None,
            denied_by: None,
            account: None,
            success: Some(RunSuccess {
                id: PackedEventId::of("s"),
                time: success,
                table_arn: None,
                table_name: None,
                via_service: None,
                account: None,
                principal_id: None,
                endpoint: None,
                person: None,
                person_source: None,
            }),
        };
        let refusals = [refused("a", 1, 10), refused("b", 15, 20)];
        for order in [[0, 1], [1, 0]] {
            let runs = runs_of(order.map(|at: usize| refusals[at].clone()).to_vec());
            let found: Vec<_> = runs.iter().map(|run| (run.first_denied, run.last.time, run.success.time)).collect();
            assert_eq!(found, [(1, 15, 20)], "{order:?}");
        }
    }
}
