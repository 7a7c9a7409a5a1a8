//! Every key that KMS calls name, with the facts that the logs give of it.
//! In: KMS calls that name a key, in any order. Out: one row a key, by its ARN; NULL for facts that the logs lack.
//! Never takes a failed change for one that happened, and gives no row for a key that was never found.

use std::collections::{BTreeMap, HashSet};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Bool, Int, Text, Timestamp};
use xxhash_rust::xxh3::xxh3_128;

use super::input::{FlagCells, InputBatch, TextCells, TimeCells};
use super::moment::{EventMoment, LatestValue, TimeSpan};
use super::output::{OutputCell, OutputRows, column};
use super::{Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const KEYS: DerivedTable = DerivedTable {
    name: "keys",
    columns: COLUMNS,
    by: &["key_arn"],
    unique: &["key_arn"],
    time: RowTime::None,
    start: |_| Box::new(AllKeys::default()),
};

const COLUMNS: &[OutputColumn] = &[
    column("key_arn", Text),
    column("key_id", Text),
    column("key_account_id", Text),
    column("key_region", Text),
    column("key_kind", Text),
    column("state", Text),
    column("origin", Text),
    column("multi_region", Bool),
    column("created_at", Timestamp),
    column("last_rotated", Timestamp),
    column("deletion_date", Text),
    column("first_use", Timestamp),
    column("last_use", Timestamp),
    column("uses", Int),
    column("denied", Int),
    column("failed", Int),
];

/// Rough sizes of a key and a call, with their places in a tree and a half-full table.
const KEY_BYTES: usize = 1024;
const CALL_BYTES: usize = 40;

/// All keys so far.
#[derive(Default)]
struct AllKeys {
    keys: BTreeMap<String, KeyFacts>,
    /// Of denied and failed calls.
    calls: usize,
}

/// One key, as far as the calls so far tell of it.
#[derive(Default)]
struct KeyFacts {
    id: Option<String>,
    account_id: Option<String>,
    region: Option<String>,
    origin: Option<String>,
    is_aws_managed: bool,
    is_found: bool,
    is_created: bool,
    created: TimeSpan,
    rotated: TimeSpan,
    used: TimeSpan,
    uses: i64,
    /// Calls, by the hashes of their ids.
    denied: HashSet<u128>,
    failed: HashSet<u128>,
    /// The last of creation, scheduled, cancelled and completed deletion.
    removal: LatestValue<KeyState>,
    /// The last change of state. The import of material is left out, since it does not enable a disabled key.
    settled: LatestValue<KeyState>,
    /// True if the last change of state imported material.
    imported_last: LatestValue<bool>,
    /// Of the last of creation, scheduled and cancelled deletion: NULL unless it scheduled one.
    deletion_date: LatestValue<Option<String>>,
}

/// A key state as KMS names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct KeyState(String);

impl KeyState {
    fn named(name: &str) -> KeyState {
        KeyState(name.to_owned())
    }

    /// Only its cancelling undoes a deletion.
    fn is_removal(&self) -> bool {
        matches!(self.0.as_str(), "PendingDeletion" | "PendingReplicaDeletion" | "Deleted")
    }
}

/// One call, as the input has it.
struct KmsCall<'a> {
    at: EventMoment<'a>,
    call_id: &'a str,
    event_name: &'a str,
    /// `None` if the row has none; it then proves neither that the key was found nor that the call failed.
    outcome: Option<&'a str>,
    is_crypto: bool,
    /// True if it lies in the interval, of which uses and failures are told.
    is_in_scope: bool,
    is_aws_managed: bool,
    /// Of a CreateKey, succeeded or not.
    origin: Option<&'a str>,
    /// The state that the answer of a CreateKey or ScheduleKeyDeletion names.
    answered_state: Option<&'a str>,
    deletion_date: Option<&'a str>,
}

impl KmsCall<'_> {
    /// The state of the key after this call, if it succeeds; `None` for calls that change no state.
    fn new_state(&self) -> Option<KeyState> {
        let or = |usual| KeyState::named(self.answered_state.unwrap_or(usual));
        let state = match self.event_name {
            "CreateKey" => or("Enabled"),
            "ScheduleKeyDeletion" => or("PendingDeletion"),
            "EnableKey" | "ImportKeyMaterial" => KeyState::named("Enabled"),
            "DisableKey" | "CancelKeyDeletion" => KeyState::named("Disabled"),
            "DeleteKey" => KeyState::named("Deleted"),
            "DeleteImportedKeyMaterial" | "DeleteExpiredKeyMaterial" => KeyState::named("PendingImport"),
            _ => return None,
        };
        Some(state)
    }
}

impl KeyFacts {
    fn take(&mut self, call: &KmsCall<'_>) {
        let time = call.at.0;
        self.is_found |= call.outcome.is_some_and(|outcome| outcome != "not_found");
        self.is_aws_managed |= call.is_aws_managed;
        // A key is created once. If rows still differ, the greatest answer is taken, so that their order does not
        // matter.
        self.origin = self.origin.take().max(call.origin.map(str::to_owned));
        match call.outcome {
            None => {}
            Some("success") => self.take_success(call, time),
            Some(_) if !call.is_in_scope => {}
            Some("denied") => drop(self.denied.insert(xxh3_128(call.call_id.as_bytes()))),
            // Every outcome but these two is a failure of some kind.
            Some(_) => drop(self.failed.insert(xxh3_128(call.call_id.as_bytes()))),
        }
    }

    fn take_success(&mut self, call: &KmsCall<'_>, time: Option<i64>) {
        match call.event_name {
            "CreateKey" => {
                self.is_created = true;
                self.created.note(time);
            }
            "RotateKey" | "RotateKeyOnDemand" => self.rotated.note(time),
            _ => {}
        }
        if call.is_crypto && call.is_in_scope {
            self.used.note(time);
            self.uses += 1;
        }
        let Some(state) = call.new_state() else { return };
        let name = call.event_name;
        self.imported_last.add(call.at, name == "ImportKeyMaterial");
        if matches!(name, "CreateKey" | "ScheduleKeyDeletion" | "CancelKeyDeletion" | "DeleteKey") {
            self.removal.add(call.at, state.clone());
        }
        if matches!(name, "CreateKey" | "ScheduleKeyDeletion" | "CancelKeyDeletion") {
            self.deletion_date.add(call.at, call.deletion_date.map(str::to_owned));
        }
        if name != "ImportKeyMaterial" {
            self.settled.add(call.at, state);
        }
    }

    /// Denied and failed ones, which are held.
    fn calls(&self) -> usize {
        self.denied.len() + self.failed.len()
    }

    /// `None` if the logs do not tell.
    fn kind(&self) -> Option<&'static str> {
        if self.is_aws_managed { Some("aws_managed") } else { self.is_created.then_some("customer") }
    }

    /// Importing material ends the lack of it, but does not enable a disabled key.
    fn state(&self) -> Option<&str> {
        let settled = self.settled.get();
        if let Some(removal) = self.removal.get().filter(|state| state.is_removal()) {
            return Some(&removal.0);
        }
        if self.imported_last.get() == Some(&true) && settled != Some(&KeyState::named("Disabled")) {
            return Some("Enabled");
        }
        settled.map(|state| state.0.as_str())
    }
}

/// The columns of one batch of the input.
struct CallColumns<'a> {
    key_arn: TextCells<'a>,
    key_id: TextCells<'a>,
    key_account_id: TextCells<'a>,
    key_region: TextCells<'a>,
    event_time: TimeCells<'a>,
    event_id: TextCells<'a>,
    call_id: TextCells<'a>,
    event_name: TextCells<'a>,
    outcome: TextCells<'a>,
    operation_class: TextCells<'a>,
    in_scope: FlagCells<'a>,
    is_aws_managed: FlagCells<'a>,
    origin: TextCells<'a>,
    answered_state: TextCells<'a>,
    deletion_date: TextCells<'a>,
}

impl<'a> CallColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<CallColumns<'a>, ArrowError> {
        Ok(CallColumns {
            key_arn: rows.texts("key_arn")?,
            key_id: rows.texts("key_id")?,
            key_account_id: rows.texts("key_account_id")?,
            key_region: rows.texts("key_region")?,
            event_time: rows.times("event_time")?,
            event_id: rows.texts("event_id")?,
            call_id: rows.texts("call_id")?,
            event_name: rows.texts("event_name")?,
            outcome: rows.texts("outcome")?,
            operation_class: rows.texts("operation_class")?,
            in_scope: rows.flags("in_scope")?,
            is_aws_managed: rows.flags("is_aws_managed")?,
            origin: rows.texts("origin")?,
            answered_state: rows.texts("answered_state")?,
            deletion_date: rows.texts("deletion_date")?,
        })
    }

    fn call(&self, row: usize) -> KmsCall<'a> {
        KmsCall {
            at: (self.event_time.get(row), self.event_id.get(row).unwrap_or_default()),
            call_id: self.call_id.get(row).unwrap_or_default(),
            event_name: self.event_name.get(row).unwrap_or_default(),
            outcome: self.outcome.get(row),
            is_crypto: self.operation_class.get(row) == Some("crypto"),
            is_in_scope: self.in_scope.is_set(row),
            is_aws_managed: self.is_aws_managed.is_set(row),
            origin: self.origin.get(row),
            answered_state: self.answered_state.get(row),
            deletion_date: self.deletion_date.get(row),
        }
    }
}

/// The lesser of the known value and a row's.
fn least(known: &mut Option<String>, said: Option<&str>) {
    if let Some(said) = said.filter(|said| known.as_deref().is_none_or(|known| *said < known)) {
        *known = Some(said.to_owned());
    }
}

impl Derivation for AllKeys {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let calls = CallColumns::of(InputBatch::new("keys", rows))?;
        for row in 0..rows.num_rows() {
            let Some(arn) = calls.key_arn.get(row) else { continue };
            if !self.keys.contains_key(arn) {
                self.keys.insert(arn.to_owned(), KeyFacts::default());
            }
            let key = self.keys.get_mut(arn).expect("it was just put there");
            least(&mut key.id, calls.key_id.get(row));
            least(&mut key.account_id, calls.key_account_id.get(row));
            least(&mut key.region, calls.key_region.get(row));
            let before = key.calls();
            key.take(&calls.call(row));
            self.calls += key.calls() - before;
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.keys.len() * KEY_BYTES + self.calls * CALL_BYTES
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        for (arn, key) in self.keys.iter().filter(|(_, key)| key.is_found) {
            rows.push([
                arn.into(),
                (&key.id).into(),
                (&key.account_id).into(),
                (&key.region).into(),
                key.kind().into(),
                key.state().into(),
                (&key.origin).into(),
                OutputCell::Flag(key.id.as_deref().map(|id| id.starts_with("mrk-"))),
                OutputCell::Time(key.created.first()),
                OutputCell::Time(key.rotated.last()),
                OutputCell::Text(key.deletion_date.get().and_then(Option::as_deref)),
                OutputCell::Time(key.used.first()),
                OutputCell::Time(key.used.last()),
                OutputCell::Count(Some(key.uses)),
                OutputCell::Count(Some(key.denied.len() as i64)),
                OutputCell::Count(Some(key.failed.len() as i64)),
            ])?;
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

    use super::*;

    /// Calls of one key, `TIME NAME OUTCOME ANSWERED` each; `-` is NULL.
    fn state_after(calls: &[&str]) -> (Option<String>, Option<&'static str>) {
        let mut key = KeyFacts::default();
        for (number, call) in calls.iter().enumerate() {
            let words: Vec<&str> = call.split(' ').collect();
            let id = format!("id-{number}");
            key.take(&KmsCall {
                at: (words[0].parse().ok(), &id),
                call_id: &id,
                event_name: words[1],
                outcome: (words[2] != "-").then_some(words[2]),
                is_crypto: false,
                is_in_scope: false,
                is_aws_managed: false,
                origin: None,
                answered_state: words.get(3).copied(),
                deletion_date: None,
            });
        }
        (key.state().map(str::to_owned), key.kind())
    }

    #[test]
    fn a_state_follows_from_the_changes_in_order_of_time() {
        for (calls, state, kind) in [
            (&["1 CreateKey success"][..], Some("Enabled"), Some("customer")),
            (&["1 CreateKey success PendingImport"], Some("PendingImport"), Some("customer")),
            (&["1 CreateKey denied"], None, None),
            (&["1 CreateKey success", "2 DisableKey success"], Some("Disabled"), Some("customer")),
            (&["2 DisableKey success", "1 CreateKey success"], Some("Disabled"), Some("customer")),
            (&["1 DisableKey success", "2 EnableKey denied"], Some("Disabled"), None),
            (&["1 ScheduleKeyDeletion success", "2 EnableKey success"], Some("PendingDeletion"), None),
            (&["1 ScheduleKeyDeletion success", "2 CancelKeyDeletion success"], Some("Disabled"), None),
            (&["1 ScheduleKeyDeletion success PendingReplicaDeletion"], Some("PendingReplicaDeletion"), None),
            (&["1 DisableKey success", "2 ImportKeyMaterial success"], Some("Disabled"), None),
            (&["1 DeleteImportedKeyMaterial success", "2 ImportKeyMaterial success"], Some("Enabled"), None),
            (&["1 ImportKeyMaterial success", "2 DeleteImportedKeyMaterial success"], Some("PendingImport"), None),
            (&["- DisableKey success", "1 EnableKey success"], Some("Enabled"), None),
            (&["1 DescribeKey success"], None, None),
            (&["1 DisableKey -"], None, None),
        ] {
            assert_eq!(state_after(calls), (state.map(str::to_owned), kind), "{calls:?}");
        }
    }

    #[test]
    fn the_order_of_batches_changes_no_row() {
        let texts = |values: &[Option<&str>]| Arc::new(values.iter().copied().collect::<StringArray>()) as ArrayRef;
        // The interval begins at 2.
        let call = |time: i64, id: &str, name: &str, outcome: &str| {
            let (key, nothing) = (Some("arn:aws:kms:eu-west-1:111122223333:key/mrk-1"), texts(&[None]));
            let times = TimestampMicrosecondArray::from(vec![time]).with_timezone("UTC");
            RecordBatch::try_from_iter_with_nullable(
                [
                    ("key_arn", texts(&[key])),
                    ("key_id", texts(&[Some("mrk-1")])),
                    ("key_account_id", texts(&[Some("111122223333")])),
                    ("key_region", texts(&[Some("eu-west-1")])),
                    ("event_time", Arc::new(times)),
                    ("event_id", texts(&[Some(id)])),
                    ("call_id", texts(&[Some(id)])),
                    ("event_name", texts(&[Some(name)])),
                    ("outcome", texts(&[Some(outcome)])),
                    ("operation_class", texts(&[Some("crypto")])),
                    ("in_scope", Arc::new(BooleanArray::from(vec![time >= 2]))),
                    ("is_aws_managed", Arc::new(BooleanArray::from(vec![None]))),
                    ("origin", nothing.clone()),
                    ("answered_state", nothing.clone()),
                    ("deletion_date", nothing),
                ]
                .map(|(name, column)| (name, column, true)),
            )
            .unwrap()
        };
        let calls = [
            call(3, "c", "DisableKey", "success"),
            call(1, "a", "CreateKey", "success"),
            call(3, "b", "EnableKey", "success"),
            call(2, "d", "Decrypt", "denied"),
            call(2, "d", "Decrypt", "denied"),
            call(1, "e", "Decrypt", "denied"),
            call(1, "f", "Decrypt", "not_found"),
        ];
        let derived = |calls: &mut dyn Iterator<Item = &RecordBatch>| {
            let mut keys = Box::new(AllKeys::default());
            calls.for_each(|call| keys.take(call).unwrap());
            keys.finish().unwrap()
        };
        let rows = derived(&mut calls.iter());
        assert_eq!(rows, derived(&mut calls.iter().rev()));
        let text = |name: &str| rows[name].as_string::<i32>().value(0).to_owned();
        let count = |name: &str| rows[name].as_primitive::<Int64Type>().value(0);
        assert_eq!((text("state").as_str(), text("key_kind").as_str()), ("Disabled", "customer"));
        assert_eq!((count("uses"), count("denied"), count("failed")), (2, 1, 0));
        let time = |name: &str| rows[name].as_primitive::<TimestampMicrosecondType>().value(0);
        assert_eq!((time("first_use"), time("last_use"), time("created_at")), (3, 3, 1));
        assert!(rows["multi_region"].as_boolean().value(0));
        let mut keys = AllKeys::default();
        calls.iter().for_each(|call| keys.take(call).unwrap());
        assert_eq!(keys.bytes_held(), KEY_BYTES + CALL_BYTES);
        // A column that is not there is an error, never a guess.
        assert!(AllKeys::default().take(&rows).is_err());
    }
}
