//! The places of users and of Organizations by time: memberships in groups, and attachments by their target.
//! In: the history. Out: the places of a user or account, and those that held something at some seconds.
//! Never reads a document.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::history::{AccessHistory, AccessPlace, PlaceValue};
use crate::compact::{PooledText, TextPool};

/// Lives that are passed over together where all of them ended before.
const TOGETHER: usize = 128;

/// A time in which a place is known to have held something: after the second of one change, up to that of the next.
#[derive(Debug, Clone, Copy)]
struct PlaceLife {
    after: i64,
    until: i64,
    place: AccessPlace,
}

/// Lives of places, to be asked for those of some seconds.
#[derive(Debug, Default)]
pub(super) struct PlaceLives {
    /// By their beginning.
    lives: Vec<PlaceLife>,
    /// The last end in each run of so many lives as are passed over together.
    last_ends: Vec<i64>,
}

impl PlaceLives {
    fn of(history: &AccessHistory, places: impl Iterator<Item = AccessPlace>) -> PlaceLives {
        let mut lives: Vec<PlaceLife> = places.flat_map(|place| lives_of(history, place)).collect();
        lives.sort_by_key(|life| life.after);
        let last_end = |lives: &[PlaceLife]| lives.iter().map(|life| life.until).max().unwrap_or(i64::MIN);
        let last_ends = lives.chunks(TOGETHER).map(last_end).collect();
        PlaceLives { lives, last_ends }
    }

    /// The places that held something at some second from one to the other, as it was before that second. A place that
    /// lived more than once is given as often.
    pub fn within(&self, from: i64, to: i64) -> impl Iterator<Item = AccessPlace> {
        let begun = self.lives.partition_point(|life| life.after < to);
        let together = self.lives[..begun].chunks(TOGETHER).zip(&self.last_ends);
        let alive = together.filter(move |(_, last_end)| **last_end >= from).flat_map(|(lives, _)| lives);
        alive.filter(move |life| life.until >= from).map(|life| life.place)
    }
}

/// The lives of a place, in the order of time. One that was there before the logs begins with them.
fn lives_of(history: &AccessHistory, place: AccessPlace) -> Vec<PlaceLife> {
    let mut lives = Vec::new();
    let (mut after, mut value) = (i64::MIN, history.value_at_first(place));
    let ends = history.steps(place).iter().map(|step| (step.second, step.value));
    for (second, next) in ends.chain([(i64::MAX, PlaceValue::Nothing)]) {
        // Of an unknown value nothing is ever claimed.
        if matches!(value, PlaceValue::Document(_) | PlaceValue::Linked) {
            lives.push(PlaceLife { after, until: second, place });
        }
        (after, value) = (second, next);
    }
    lives
}

/// The attachments of policies of Organizations.
#[derive(Debug, Default)]
pub(super) struct AttachmentsByTarget {
    pub of_account: HashMap<PooledText, Vec<AccessPlace>>,
    /// To units and roots, which may hold any account, by their policy.
    pub of_units: HashMap<PooledText, Vec<AccessPlace>>,
    unit_lives: RefCell<HashMap<PooledText, Rc<PlaceLives>>>,
    account_lives: RefCell<HashMap<PooledText, Rc<PlaceLives>>>,
}

impl AttachmentsByTarget {
    fn of(history: &AccessHistory, texts: &TextPool) -> AttachmentsByTarget {
        let mut attachments = AttachmentsByTarget::default();
        let mut seen = HashSet::new();
        for place in history.of_organization.iter().filter(|place| seen.insert(**place)) {
            if let AccessPlace::OrganizationAttachment(policy, target) = *place {
                let name = texts.get(target);
                let is_unit = name.starts_with("ou-") || name.starts_with("r-");
                match is_unit {
                    true => attachments.of_units.entry(policy).or_default().push(*place),
                    false => attachments.of_account.entry(target).or_default().push(*place),
                }
            }
        }
        attachments
    }

    /// The attachments to an account before a second.
    pub fn to_account(&self, history: &AccessHistory, account: PooledText, second: i64) -> HashSet<AccessPlace> {
        let Some(places) = self.of_account.get(&account) else { return HashSet::new() };
        let mut lives = self.account_lives.borrow_mut();
        let lives = lives.entry(account).or_insert_with(|| Rc::new(PlaceLives::of(history, places.iter().copied())));
        lives.within(second, second).collect()
    }

    /// True if a policy was attached before a second to a unit or root.
    pub fn is_of_unit(&self, history: &AccessHistory, policy: PooledText, second: i64) -> bool {
        let Some(places) = self.of_units.get(&policy) else { return false };
        let mut lives = self.unit_lives.borrow_mut();
        let lives = lives.entry(policy).or_insert_with(|| Rc::new(PlaceLives::of(history, places.iter().copied())));
        lives.within(second, second).next().is_some()
    }
}

/// The places of all owners that were asked for.
#[derive(Debug, Default)]
pub(super) struct PlacesByOwner {
    memberships: RefCell<HashMap<PooledText, Rc<PlaceLives>>>,
    attachments: OnceCell<AttachmentsByTarget>,
}

impl PlacesByOwner {
    pub fn memberships(&self, history: &AccessHistory, user: PooledText) -> Rc<PlaceLives> {
        let mut known = self.memberships.borrow_mut();
        let places = || history.of_owner.get(&user).map_or(&[][..], Vec::as_slice).iter().copied();
        let memberships = || places().filter(|place| matches!(place, AccessPlace::Membership(..)));
        Rc::clone(known.entry(user).or_insert_with(|| Rc::new(PlaceLives::of(history, memberships()))))
    }

    pub fn attachments(&self, history: &AccessHistory, texts: &TextPool) -> &AttachmentsByTarget {
        self.attachments.get_or_init(|| AttachmentsByTarget::of(history, texts))
    }
}
