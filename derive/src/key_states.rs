//! The periods of each key's state.
//! In: successful calls that change the state of a key, in any order. Out: one row a period, by key and time.
//! Never begins a period at a change that may have changed nothing, where what was before is not in the input.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Text, Timestamp};

use super::input::InputBatch;
use super::key_state::{KeyState, StateChange, changed_state};
use super::output::{OutputCell, OutputRows, column};
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const KEY_STATES: DerivedTable = DerivedTable {
    name: "key_states",
    columns: COLUMNS,
    by: &["key_arn"],
    unique: &[],
    time: RowTime::Until("valid_from", "valid_to"),
    start: |interval| Box::new(StateHistory { interval: *interval, ..StateHistory::default() }),
};

const COLUMNS: &[OutputColumn] = &[
    column("key_arn", Text),
    column("state", Text),
    column("valid_from", Timestamp),
    column("valid_to", Timestamp),
    column("set_by", Text),
    column("set_event_id", Text),
];

/// Rough size of a key and of a change, with their places and without their texts.
const ENTRY_BYTES: usize = 128;

/// The changes of all keys so far.
#[derive(Debug, Default)]
struct StateHistory {
    interval: AskedInterval,
    keys: BTreeMap<String, Vec<KeyChange>>,
    bytes: usize,
}

/// One change. The order of the fields is that of the changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct KeyChange {
    at: Option<i64>,
    event_id: String,
    change: StateChange,
    by: Option<String>,
}

/// A state from one change of it to the next.
#[derive(Debug, PartialEq, Eq)]
struct StatePeriod<'c> {
    state: KeyState,
    from: Option<i64>,
    to: Option<i64>,
    /// The change that began it, where that is told.
    set: Option<&'c KeyChange>,
}

/// The periods that follow from the changes of one key, which are sorted.
fn periods(changes: &[KeyChange], interval: AskedInterval) -> Vec<StatePeriod<'_>> {
    let mut periods: Vec<StatePeriod> = Vec::new();
    let mut state = KeyState::Unknown;
    for tied in changes.chunk_by(|left, right| left.at == right.at) {
        let kinds: Vec<StateChange> = tied.iter().map(|change| change.change).collect();
        let is_open = interval.lacks_earlier() && state == KeyState::Unknown;
        let (next, last) = changed_state(state, &kinds, interval);
        if next == state {
            continue;
        }
        if let Some(before) = periods.last_mut() {
            before.to = tied[0].at;
        }
        let is_start = !is_open || !periods.is_empty() || kinds.iter().any(|change| change.proves_a_start());
        periods.push(StatePeriod {
            state: next,
            from: tied[0].at.filter(|_| is_start),
            to: None,
            set: last.map(|last| &tied[last]).filter(|_| is_start),
        });
        state = next;
    }
    periods
}

impl Derivation for StateHistory {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let batch = InputBatch::new("key_states", rows);
        let (arns, times, ids) = (batch.texts("key_arn")?, batch.times("event_time")?, batch.texts("event_id")?);
        let (names, states) = (batch.texts("event_name")?, batch.texts("answered_state")?);
        let principals = batch.texts("principal")?;
        for row in 0..batch.len() {
            let change = names.get(row).and_then(|name| StateChange::of(name, states.get(row)));
            let (Some(arn), Some(change)) = (arns.get(row), change) else { continue };
            let at = times.get(row);
            if !self.interval.has_all_from(at) {
                continue;
            }
            let change =
                KeyChange { at, event_id: ids.owned(row).unwrap_or_default(), change, by: principals.owned(row) };
            self.bytes += ENTRY_BYTES + change.event_id.len() + change.by.as_ref().map_or(0, String::len);
            if !self.keys.contains_key(arn) {
                self.bytes += ENTRY_BYTES + arn.len();
                self.keys.insert(arn.to_owned(), Vec::new());
            }
            self.keys.get_mut(arn).expect("it was just put there").push(change);
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes
    }

    fn finish(mut self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        for (arn, changes) in &mut self.keys {
            changes.sort_unstable();
            for period in periods(changes, self.interval) {
                rows.push([
                    arn.as_str().into(),
                    period.state.name().into(),
                    OutputCell::Time(period.from),
                    OutputCell::Time(period.to),
                    period.set.and_then(|change| change.by.as_deref()).into(),
                    period.set.map(|change| change.event_id.as_str()).into(),
                ])?;
            }
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::EarlierHistory;
    use super::super::testing::{assert_order_free, batch, lines};
    use super::*;

    /// Changes of one key, `TIME NAME [ANSWERED]` each; `-` is no time. Their ids are their names and places.
    fn states(interval: AskedInterval, changes: &str) -> String {
        let changes = changes.split(", ").enumerate().map(|(place, change)| {
            let words: Vec<&str> = change.split(' ').collect();
            batch(&[
                ("key_arn", OutputCell::Text(Some("k"))),
                ("event_time", OutputCell::Time(words[0].parse().ok())),
                ("event_id", OutputCell::Text(Some(&format!("{place}{}", &words[1][..2])))),
                ("event_name", OutputCell::Text(Some(words[1]))),
                ("answered_state", OutputCell::Text(words.get(2).copied())),
                ("principal", OutputCell::Text(Some("p"))),
            ])
        });
        lines(&assert_order_free(&KEY_STATES, interval, &changes.collect::<Vec<_>>()))
    }

    #[test]
    fn periods_follow_from_the_changes() {
        for (changes, wanted) in [
            ("1 CreateKey, 5 DisableKey", "k Enabled 1 5 p 0Cr; k Disabled 5 - p 1Di"),
            // Out of order in the logs.
            ("5 DisableKey, 1 CreateKey", "k Enabled 1 5 p 1Cr; k Disabled 5 - p 0Di"),
            // Equal states in a row are one period, by the first that set it.
            ("1 DisableKey, 5 DisableKey, 7 EnableKey", "k Disabled 1 7 p 0Di; k Enabled 7 - p 2En"),
            (
                "1 CreateKey PendingImport, 2 ImportKeyMaterial, 3 ImportKeyMaterial",
                "k PendingImport 1 2 p 0Cr; k Enabled 2 - p 1Im",
            ),
            ("1 DisableKey, 2 ImportKeyMaterial", "k Disabled 1 - p 0Di"),
            ("2 ImportKeyMaterial, 3 EnableKey", "k Enabled 3 - p 1En"),
            (
                "1 ScheduleKeyDeletion, 2 DeleteImportedKeyMaterial, 3 CancelKeyDeletion",
                "k PendingDeletion 1 3 p 0Sc; k Disabled 3 - p 2Ca",
            ),
            (
                "1 ScheduleKeyDeletion PendingReplicaDeletion, 9 DeleteKey",
                "k PendingReplicaDeletion 1 9 p 0Sc; k Deleted 9 - p 1De",
            ),
            // One second: one order can have succeeded, or nobody can tell.
            ("1 DisableKey, 1 CreateKey", "k Disabled 1 - p 0Di"),
            (
                "1 CreateKey, 4 DisableKey, 4 EnableKey, 6 EnableKey",
                "k Enabled 1 4 p 0Cr; k unknown 4 6 - -; k Enabled 6 - p 3En",
            ),
            ("1 CreateKey, 4 DisableKey, 4 DisableKey", "k Enabled 1 4 p 0Cr; k Disabled 4 - - -"),
            // Without a time it comes first.
            ("- DisableKey, 1 EnableKey", "k Disabled - 1 p 0Di; k Enabled 1 - p 1En"),
            // The end of the waiting is not in the logs.
            ("1 ScheduleKeyDeletion, 3 EnableKey", "k PendingDeletion 1 3 p 0Sc; k Enabled 3 - p 1En"),
            // No change of state.
            ("1 UpdatePrimaryRegion, 2 SynchronizeMultiRegionKey, 3 ReplicateKey", ""),
        ] {
            assert_eq!(states(AskedInterval::default(), changes), wanted, "{changes}");
        }
    }

    #[test]
    fn unread_history_takes_starts_away_and_changes_no_value() {
        let unread = AskedInterval { since: Some(10), until: None, earlier: EarlierHistory::NotRead };
        let read = AskedInterval { earlier: EarlierHistory::Read, ..unread };
        for (changes, without, with) in [
            (
                "1 DisableKey, 12 DisableKey, 15 EnableKey",
                "k Disabled - 15 - -; k Enabled 15 - p 2En",
                "k Disabled 1 15 p 0Di; k Enabled 15 - p 2En",
            ),
            // It was enabled or disabled before, whatever was not read.
            (
                "1 DisableKey, 12 ScheduleKeyDeletion",
                "k PendingDeletion 12 - p 1Sc",
                "k Disabled 1 12 p 0Di; k PendingDeletion 12 - p 1Sc",
            ),
            ("1 CreateKey, 12 LoseNothing", "", "k Enabled 1 - p 0Cr"),
            ("1 ScheduleKeyDeletion, 12 DeleteImportedKeyMaterial", "", "k PendingDeletion 1 - p 0Sc"),
            ("11 CreateKey", "k Enabled 11 - p 0Cr", "k Enabled 11 - p 0Cr"),
        ] {
            assert_eq!(states(unread, changes), without, "{changes}");
            assert_eq!(states(read, changes), with, "{changes}");
        }
    }
}
