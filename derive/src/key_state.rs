//! The states of a KMS key, and the changes that lead from one to another.
//! In: successful calls that change a key's state, with their times. Out: the state after each second that has some.
//! Never says which of two changes of one second came first, unless only one order could have succeeded.

use super::AskedInterval;

/// A key state as KMS names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyState {
    /// The logs do not tell it.
    Unknown,
    Creating,
    Enabled,
    Disabled,
    PendingImport,
    PendingDeletion,
    PendingReplicaDeletion,
    Unavailable,
    Updating,
    Deleted,
}

const NAMED_STATES: &[(KeyState, &str)] = &[
    (KeyState::Creating, "Creating"),
    (KeyState::Enabled, "Enabled"),
    (KeyState::Disabled, "Disabled"),
    (KeyState::PendingImport, "PendingImport"),
    (KeyState::PendingDeletion, "PendingDeletion"),
    (KeyState::PendingReplicaDeletion, "PendingReplicaDeletion"),
    (KeyState::Unavailable, "Unavailable"),
    (KeyState::Updating, "Updating"),
    (KeyState::Deleted, "Deleted"),
];

impl KeyState {
    /// The word of KMS; `unknown` is ours.
    pub fn name(self) -> &'static str {
        NAMED_STATES.iter().find(|(state, _)| *state == self).map_or("unknown", |(_, name)| name)
    }

    fn named(name: &str) -> KeyState {
        NAMED_STATES.iter().find(|(_, known)| *known == name).map_or(KeyState::Unknown, |(state, _)| *state)
    }

    /// True of a key that waits for its end.
    pub fn is_pending_deletion(self) -> bool {
        matches!(self, KeyState::PendingDeletion | KeyState::PendingReplicaDeletion)
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }

    fn of_bits(bits: u16) -> impl Iterator<Item = KeyState> {
        let all = std::iter::once(KeyState::Unknown).chain(NAMED_STATES.iter().map(|(state, _)| *state));
        all.filter(move |state| bits & state.bit() != 0)
    }
}

/// A change of a key's state by a call that succeeded. UpdatePrimaryRegion, ReplicateKey and
/// SynchronizeMultiRegionKey are none: the state of a multi-Region key is of its Region alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StateChange {
    /// With the state that the answer tells.
    Create(KeyState),
    Enable,
    Disable,
    /// With the state that the answer tells.
    ScheduleDeletion(KeyState),
    CancelDeletion,
    ImportMaterial,
    /// By a call, or because the material expired.
    LoseMaterial,
    Delete,
}

impl StateChange {
    /// The change that a successful operation makes; `None` for those that change no state. `answered` is the state
    /// that the answer of a CreateKey or ScheduleKeyDeletion names.
    pub fn of(event_name: &str, answered: Option<&str>) -> Option<StateChange> {
        let or = |usual| answered.map_or(usual, KeyState::named);
        Some(match event_name {
            "CreateKey" => StateChange::Create(or(KeyState::Enabled)),
            "EnableKey" => StateChange::Enable,
            "DisableKey" => StateChange::Disable,
            "ScheduleKeyDeletion" => StateChange::ScheduleDeletion(or(KeyState::PendingDeletion)),
            "CancelKeyDeletion" => StateChange::CancelDeletion,
            "ImportKeyMaterial" => StateChange::ImportMaterial,
            "DeleteImportedKeyMaterial" | "DeleteExpiredKeyMaterial" => StateChange::LoseMaterial,
            "DeleteKey" => StateChange::Delete,
            _ => return None,
        })
    }

    /// The state after the change; `None` where it cannot have succeeded (KMS's table of key states).
    fn after(self, before: KeyState) -> Option<KeyState> {
        use KeyState::{Deleted, Disabled, Enabled, PendingImport, Unknown};
        let is_going = before.is_pending_deletion();
        if before == Deleted {
            return None;
        }
        match self {
            StateChange::Create(state) => (before == Unknown).then_some(state),
            StateChange::Enable => (!is_going && before != PendingImport).then_some(Enabled),
            StateChange::Disable => (!is_going && before != PendingImport).then_some(Disabled),
            StateChange::ScheduleDeletion(state) => (!is_going).then_some(state),
            StateChange::CancelDeletion => (is_going || before == Unknown).then_some(Disabled),
            // It ends the lack of material, and does not enable a disabled key.
            StateChange::ImportMaterial => match before {
                Unknown | Disabled => Some(before),
                _ => (!is_going).then_some(Enabled),
            },
            StateChange::LoseMaterial => Some(if is_going { before } else { PendingImport }),
            StateChange::Delete => Some(Deleted),
        }
    }

    /// True if the state was another just before; the rest succeed also where they change nothing.
    pub fn proves_a_start(self) -> bool {
        use StateChange::{CancelDeletion, Create, Delete, ScheduleDeletion};
        matches!(self, Create(_) | ScheduleDeletion(_) | CancelDeletion | Delete)
    }

    fn may_repeat(self) -> bool {
        !self.proves_a_start()
    }
}

/// The state after all changes of one second, and the place of the change that led to it where that is told.
pub(crate) fn changed_state(
    before: KeyState,
    changes: &[StateChange],
    interval: AskedInterval,
) -> (KeyState, Option<usize>) {
    // Unread changes may have left the key waiting for its end, where the loss of material changes nothing.
    let may_be_going = before == KeyState::Unknown && interval.lacks_earlier();
    if may_be_going && changes.iter().all(|change| *change == StateChange::LoseMaterial) {
        return (KeyState::Unknown, None);
    }
    settled(before, changes)
}

/// More changes of one key in one second have no order that we look for.
const TIED_CHANGES_MAX: usize = 8;

fn settled(before: KeyState, changes: &[StateChange]) -> (KeyState, Option<usize>) {
    if let [change] = changes {
        // A success is proof: what was before has ended out of sight.
        let state = change.after(before).or_else(|| change.after(KeyState::Unknown)).unwrap_or(KeyState::Unknown);
        return (state, Some(0));
    }
    let mut tied: Vec<usize> = Vec::new();
    for (place, change) in changes.iter().enumerate() {
        if !(change.may_repeat() && tied.iter().any(|known| changes[*known] == *change)) {
            tied.push(place);
        }
    }
    if tied.len() > TIED_CHANGES_MAX {
        return (KeyState::Unknown, None);
    }
    let tied_changes: Vec<StateChange> = tied.iter().map(|place| changes[*place]).collect();
    let mut ends = ends_of_orders(before, &tied_changes);
    if ends.is_empty() {
        ends = ends_of_orders(KeyState::Unknown, &tied_changes);
    }
    match ends.as_slice() {
        [] => (KeyState::Unknown, None),
        [(state, first), rest @ ..] => {
            let is_one_state = rest.iter().all(|(other, _)| other == state);
            let last = rest.iter().all(|(_, other)| other == first).then(|| tied[*first]);
            // Of a repeated change nobody can say which one was it.
            let last = last.filter(|last| changes.iter().filter(|change| **change == changes[*last]).count() == 1);
            if is_one_state { (*state, last) } else { (KeyState::Unknown, None) }
        }
    }
}

/// Every state to which some order of the changes leads in which all can succeed, with the place of its last change.
fn ends_of_orders(before: KeyState, changes: &[StateChange]) -> Vec<(KeyState, usize)> {
    let all = (1_usize << changes.len()) - 1;
    // For each set of changes, the states after them.
    let mut reached = vec![0_u16; all + 1];
    reached[0] = before.bit();
    let mut ends = Vec::new();
    for done in 0..all {
        for (place, change) in changes.iter().enumerate().filter(|(place, _)| done & (1 << place) == 0) {
            for state in KeyState::of_bits(reached[done]).filter_map(|state| change.after(state)) {
                let now = done | (1 << place);
                reached[now] |= state.bit();
                if now == all && !ends.contains(&(state, place)) {
                    ends.push((state, place));
                }
            }
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_one_second_are_in_every_order_that_can_succeed() {
        use KeyState::*;
        for (before, changes, state, last) in [
            // One change: a success is proof, also where its state before is out of sight.
            (Enabled, "DisableKey", Disabled, Some(0)),
            (PendingDeletion, "EnableKey", Enabled, Some(0)),
            (PendingDeletion, "DeleteImportedKeyMaterial", PendingDeletion, Some(0)),
            (PendingReplicaDeletion, "CancelKeyDeletion", Disabled, Some(0)),
            (Disabled, "ImportKeyMaterial", Disabled, Some(0)),
            (PendingImport, "ImportKeyMaterial", Enabled, Some(0)),
            (Unknown, "ImportKeyMaterial", Unknown, Some(0)),
            (Unknown, "DeleteExpiredKeyMaterial", PendingImport, Some(0)),
            (PendingDeletion, "DeleteKey", Deleted, Some(0)),
            // Two: only one order can have succeeded.
            (Unknown, "DisableKey CreateKey", Disabled, Some(0)),
            (PendingDeletion, "EnableKey CancelKeyDeletion", Enabled, Some(0)),
            (Enabled, "ScheduleKeyDeletion DisableKey", PendingDeletion, Some(0)),
            (Enabled, "CancelKeyDeletion ScheduleKeyDeletion", Disabled, Some(0)),
            (PendingImport, "DisableKey ImportKeyMaterial", Disabled, Some(0)),
            (PendingDeletion, "ScheduleKeyDeletion CancelKeyDeletion", PendingDeletion, Some(0)),
            // Both orders.
            (Enabled, "EnableKey DisableKey", Unknown, None),
            (Unknown, "ScheduleKeyDeletion CancelKeyDeletion", Unknown, None),
            // The same twice is one change, by one of the two.
            (Enabled, "DisableKey DisableKey", Disabled, None),
            // No order: what was before has ended out of sight.
            (Deleted, "EnableKey EnableKey", Enabled, None),
            (PendingDeletion, "ScheduleKeyDeletion ScheduleKeyDeletion", Unknown, None),
        ] {
            let changes: Vec<StateChange> =
                changes.split(' ').map(|name| StateChange::of(name, None).unwrap()).collect();
            assert_eq!(settled(before, &changes), (state, last), "{before:?} {changes:?}");
        }
        let many: Vec<StateChange> = [StateChange::CancelDeletion; 40].to_vec();
        assert_eq!(settled(PendingDeletion, &many), (Unknown, None));
    }

    #[test]
    fn operations_that_change_no_state_are_no_change() {
        for name in
            ["UpdatePrimaryRegion", "SynchronizeMultiRegionKey", "ReplicateKey", "RotateKey", "PutKeyPolicy", ""]
        {
            assert_eq!(StateChange::of(name, None), None, "{name}");
        }
        let answered = |word| StateChange::of("CreateKey", Some(word));
        assert_eq!(answered("PendingImport"), Some(StateChange::Create(KeyState::PendingImport)));
        assert_eq!(answered("a word of tomorrow"), Some(StateChange::Create(KeyState::Unknown)));
        assert!(NAMED_STATES.iter().all(|(state, name)| KeyState::named(name) == *state && state.name() == *name));
    }
}
