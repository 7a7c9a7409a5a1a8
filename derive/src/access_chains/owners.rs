//! The places of users, roles and groups by time, so that a run looks at those alone that changed or held in its span.
//! In: the history, an owner and some seconds. Out: the owner's changes in the order of time, and the places that held
//! something, changed under it, or may have denied.
//! Never reads a document for an owner of whom no Deny is asked.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::history::{AccessHistory, AccessPlace, PlaceValue};
use crate::compact::PooledText;
use crate::policy::StatementEffect;

/// Lives that are passed over together where all of them ended before.
const TOGETHER: usize = 128;

/// A time in which a place is known to have held something: after the second of one change, up to that of the next.
#[derive(Debug, Clone, Copy)]
struct PlaceLife {
    after: i64,
    until: i64,
    place: AccessPlace,
    value: PlaceValue,
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
    fn of(mut lives: Vec<PlaceLife>) -> PlaceLives {
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

/// One change of an owner's place.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnerStep {
    pub second: i64,
    pub change: usize,
    pub place: AccessPlace,
}

/// The places of one owner.
#[derive(Debug, Default)]
pub(super) struct OwnerPlaces {
    /// In the order of time.
    pub steps: Vec<OwnerStep>,
    /// Inline policies and attachments.
    pub policies: PlaceLives,
    /// Memberships, and attachments of policies that changed while they were attached.
    pub moving: PlaceLives,
    denying: OnceCell<PlaceLives>,
}

impl OwnerPlaces {
    fn of(history: &AccessHistory, owner: PooledText) -> OwnerPlaces {
        let (mut steps, mut policies, mut moving) = (Vec::new(), Vec::new(), Vec::new());
        for &place in history.of_owner.get(&owner).map_or(&[][..], Vec::as_slice) {
            let of_place = history.steps(place).iter();
            steps.extend(of_place.map(|step| OwnerStep { second: step.second, change: step.change, place }));
            let lives = lives_of(history, place);
            match place {
                AccessPlace::Membership(..) => moving.extend(lives),
                AccessPlace::Attachment(_, policy) => {
                    let of_policy = history.steps(AccessPlace::Managed(policy));
                    let changes = |life: &&PlaceLife| {
                        let first = of_policy.partition_point(|step| step.second < life.after);
                        of_policy.get(first).is_some_and(|step| step.second <= life.until)
                    };
                    moving.extend(lives.iter().filter(changes));
                    policies.extend(lives);
                }
                AccessPlace::Inline(..) => policies.extend(lives),
                _ => {}
            }
        }
        steps.sort_unstable_by_key(|step| step.change);
        let (policies, moving) = (PlaceLives::of(policies), PlaceLives::of(moving));
        OwnerPlaces { steps, policies, moving, denying: OnceCell::new() }
    }

    /// Inline policies with a Deny, and attachments of policies that have or had one or whose text is not known.
    pub fn denying(&self, history: &AccessHistory) -> &PlaceLives {
        let may_deny = |value: PlaceValue| match value {
            PlaceValue::Document(document) => history.documents.read(document).is_none_or(|document| {
                document.statements.iter().any(|statement| statement.body.effect == StatementEffect::Deny)
            }),
            _ => true,
        };
        let is_one = |life: &&PlaceLife| match life.place {
            AccessPlace::Attachment(_, policy) => {
                let steps = history.steps(AccessPlace::Managed(policy));
                steps.is_empty() || steps.iter().any(|step| may_deny(step.value))
            }
            _ => may_deny(life.value),
        };
        self.denying.get_or_init(|| PlaceLives::of(self.policies.lives.iter().filter(is_one).copied().collect()))
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
            lives.push(PlaceLife { after, until: second, place, value });
        }
        (after, value) = (second, next);
    }
    lives
}

/// The places of all owners that were asked for.
#[derive(Debug, Default)]
pub(super) struct PlacesByOwner {
    known: RefCell<HashMap<PooledText, Rc<OwnerPlaces>>>,
}

impl PlacesByOwner {
    pub fn of(&self, history: &AccessHistory, owner: PooledText) -> Rc<OwnerPlaces> {
        let mut known = self.known.borrow_mut();
        Rc::clone(known.entry(owner).or_insert_with(|| Rc::new(OwnerPlaces::of(history, owner))))
    }
}
