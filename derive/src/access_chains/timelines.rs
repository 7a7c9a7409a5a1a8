//! The cures of many paths over all time, sorted once so that each run reads only those that stand at its success.
//! In: changes, each with the seconds between which it is a cure. Out: those of one run, the last first, and the
//! strongest Deny that stands at a second.
//! Never reads a policy, and never asks who is named.

use std::collections::BTreeMap;

use super::history::AccessPlace;

/// The lack of an Allow, or a Deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum WantedEffect {
    Allow,
    NoDeny,
}

/// The seconds that count: from the first to before the success.
#[derive(Debug, Clone, Copy)]
pub(super) struct CureSpan {
    pub from: i64,
    pub success: i64,
}

/// The way in which a change names the principal, for evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CureNaming {
    /// By its account or group, by a version, by everyone, or under a condition that is not the success's own; or it is
    /// not known that this is new.
    #[default]
    Loosely,
    /// The principal or its role, freely or under conditions that the success meets.
    Itself,
}

/// Of more cures of one run, the last are kept.
pub(super) const CURES_MAX: usize = 201;

/// Changes by their number, each once, with the closest naming. Invariant: no more than `CURES_MAX`, the last ones.
#[derive(Debug, Default)]
pub(super) struct FoundCures {
    changes: BTreeMap<usize, CureNaming>,
}

impl FoundCures {
    pub fn note(&mut self, change: usize, naming: CureNaming) {
        let known = self.changes.entry(change).or_default();
        *known = naming.max(*known);
        if self.changes.len() > CURES_MAX {
            self.changes.pop_first();
        }
    }

    /// True if no change up to this one could be kept.
    pub fn is_full_after(&self, change: usize) -> bool {
        self.changes.len() == CURES_MAX && self.changes.first_key_value().is_some_and(|(first, _)| *first > change)
    }

    /// The last change. They are numbered in the order of time.
    pub fn last(&self) -> Option<(usize, CureNaming)> {
        self.changes.last_key_value().map(|(change, naming)| (*change, *naming))
    }

    /// All changes but the last, in the order of time.
    pub fn others(&self) -> impl Iterator<Item = usize> {
        let count = self.changes.len().saturating_sub(1);
        self.changes.keys().copied().take(count)
    }

    /// True of a change that names the principal itself.
    pub fn names_itself(&self, change: usize) -> bool {
        self.changes.get(&change) == Some(&CureNaming::Itself)
    }

    pub fn all(self) -> impl Iterator<Item = (usize, CureNaming)> {
        self.changes.into_iter()
    }
}

/// Places that together decide: a policy counts only while all links to it hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PolicyPath {
    pub links: Vec<AccessPlace>,
    pub end: AccessPlace,
}

/// A Deny that stands at the success beside a change, the weakest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StandingDeny {
    #[default]
    None,
    /// Under a condition, or of a statement that may not mean the use.
    Maybe,
    Outright,
}

/// A change of a path that is a cure for each success after its second, up to that of the change which undoes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimedCure {
    pub change: usize,
    pub second: i64,
    pub until: i64,
    /// The second of the change of the path before it.
    pub previous: i64,
    pub as_first: CureNaming,
    /// The naming where the refusal before it says that no such policy allowed the use.
    pub after_silence: CureNaming,
    /// The naming where the change before it is of the same span.
    pub as_later: CureNaming,
}

/// A Deny that stands at each second after one and up to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimedDeny {
    pub after: i64,
    pub until: i64,
    pub strength: StandingDeny,
}

/// The cures and standing Denies of some paths, for uses that are alike to them.
#[derive(Debug, Default)]
pub(super) struct CureTimeline {
    /// By their change.
    cures: Vec<TimedCure>,
    /// A tree over the cures: the latest end of each half, half of a half and so on, the root at 1.
    latest_ends: Vec<i64>,
    /// The strongest Deny from after each second on.
    standing: Vec<(i64, StandingDeny)>,
    /// Paths that change too often to be sorted for each of their owners.
    pub long: Vec<PolicyPath>,
}

impl CureTimeline {
    pub fn of(cures: Vec<TimedCure>, denies: &[TimedDeny], long: Vec<PolicyPath>) -> CureTimeline {
        // One change may cure by many paths: of those that are told alike, the one that stands longest is enough.
        let mut longest: BTreeMap<_, TimedCure> = BTreeMap::new();
        for cure in cures.into_iter().filter(|cure| cure.until > cure.second) {
            let namings = [cure.as_first, cure.after_silence, cure.as_later];
            let previous = (namings != [cure.as_later; 3]).then_some(cure.previous);
            let known = longest.entry((cure.change, namings, previous)).or_insert(cure);
            known.until = known.until.max(cure.until);
        }
        let cures: Vec<TimedCure> = longest.into_values().collect();
        let leaves = cures.len().next_power_of_two();
        let mut latest_ends = vec![i64::MIN; 2 * leaves];
        for (at, cure) in cures.iter().enumerate() {
            latest_ends[leaves + at] = cure.until;
        }
        for node in (1..leaves).rev() {
            latest_ends[node] = latest_ends[2 * node].max(latest_ends[2 * node + 1]);
        }
        CureTimeline { cures, latest_ends, standing: strongest(denies), long }
    }

    /// Rough number of what is held.
    pub fn parts(&self) -> usize {
        1 + self.cures.len() + self.standing.len() + self.long.len()
    }

    /// Notes the cures of a span, none as naming the principal more closely than is said. With the second of a refusal
    /// that says that no such policy allowed the use.
    pub fn note(&self, (span, silent): (CureSpan, Option<i64>), closest: CureNaming, found: &mut FoundCures) {
        let mut end = self.cures.partition_point(|cure| cure.second < span.success);
        while let Some(at) = self.last_standing(end, span.success) {
            #[cfg(test)]
            crate::testing::count_look();
            let cure = &self.cures[at];
            if cure.second < span.from || found.is_full_after(cure.change) {
                return;
            }
            let naming = match cure.previous < span.from {
                true if silent.is_some_and(|refused| refused < cure.second) => cure.as_first.max(cure.after_silence),
                true => cure.as_first,
                false => cure.as_later,
            };
            found.note(cure.change, naming.min(closest));
            end = at;
        }
    }

    /// The last cure before a place among them that stands at a success.
    fn last_standing(&self, end: usize, success: i64) -> Option<usize> {
        let leaves = self.latest_ends.len() / 2;
        // The halves that are still to be searched, the last on top.
        let mut halves = vec![(1, 0, leaves)];
        while let Some((node, from, until)) = halves.pop() {
            if from >= end || self.latest_ends[node] < success {
                continue;
            }
            if until - from == 1 {
                return Some(from);
            }
            let middle = from.midpoint(until);
            halves.extend([(2 * node, from, middle), (2 * node + 1, middle, until)]);
        }
        None
    }

    /// The strongest Deny at a second, as it was before that second.
    pub fn standing(&self, second: i64) -> StandingDeny {
        let begun = self.standing.partition_point(|(after, _)| *after < second);
        begun.checked_sub(1).map_or(StandingDeny::None, |at| self.standing[at].1)
    }
}

/// The strongest of all Denies from after each second on at which one begins or ends.
fn strongest(denies: &[TimedDeny]) -> Vec<(i64, StandingDeny)> {
    let ends = |deny: &TimedDeny| [(deny.after, deny.strength, 1), (deny.until, deny.strength, -1)];
    let mut ends: Vec<(i64, StandingDeny, i32)> =
        denies.iter().filter(|deny| deny.strength != StandingDeny::None).flat_map(ends).collect();
    ends.sort_unstable();
    let (mut maybe, mut outright) = (0, 0);
    let mut standing: Vec<(i64, StandingDeny)> = Vec::new();
    for (second, strength, one) in ends {
        match strength {
            StandingDeny::None => {}
            StandingDeny::Maybe => maybe += one,
            StandingDeny::Outright => outright += one,
        }
        let now = match (outright > 0, maybe > 0) {
            (true, _) => StandingDeny::Outright,
            (false, true) => StandingDeny::Maybe,
            (false, false) => StandingDeny::None,
        };
        match standing.last_mut().filter(|(known, _)| *known == second) {
            Some((_, known)) => *known = now,
            None => standing.push((second, now)),
        }
    }
    standing
}
