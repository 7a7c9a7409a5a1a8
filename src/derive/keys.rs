//! Every key that KMS calls name, with the facts that the logs give of it.
//! In: KMS calls that name a key, in any order. Out: one row a key, by its ARN; NULL for facts that the logs lack.
//! Never takes a failed change for one that happened, and gives no row for a key that was never found.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;

use xxhash_rust::xxh3::xxh3_128;

use super::{Derivation, DerivedTable};
use crate::schema::ColumnType;

pub(super) const KEYS: DerivedTable =
    DerivedTable { name: "keys", schema, by: &["key_arn"], start: || Box::new(AllKeys::default()) };

/// Rough sizes of a key and a call, with their places in a tree and a half-full table.
const KEY_BYTES: usize = 1024;
const CALL_BYTES: usize = 40;

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let (text, time) = (|| DataType::Utf8, || ColumnType::Timestamp.data_type());
        let fields = [
            ("key_arn", text()),
            ("key_id", text()),
            ("key_account_id", text()),
            ("key_region", text()),
            ("key_kind", text()),
            ("state", text()),
            ("origin", text()),
            ("multi_region", DataType::Boolean),
            ("created_at", time()),
            ("last_rotated", time()),
            ("deletion_date", text()),
            ("first_use", time()),
            ("last_use", time()),
        ];
        let mut fields = fields.map(|(name, ty)| Field::new(name, ty, true)).to_vec();
        fields.extend(["uses", "denied", "failed"].map(|name| Field::new(name, DataType::Int64, false)));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

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

/// The first and the last of some times.
#[derive(Default)]
struct TimeSpan(Option<(i64, i64)>);

impl TimeSpan {
    /// Takes in a time, if the event has one.
    fn note(&mut self, at: Option<i64>) {
        if let Some(at) = at {
            let (first, last) = self.0.unwrap_or((at, at));
            self.0 = Some((first.min(at), last.max(at)));
        }
    }

    fn first(&self) -> Option<i64> {
        self.0.map(|(first, _)| first)
    }

    fn last(&self) -> Option<i64> {
        self.0.map(|(_, last)| last)
    }
}

/// The order of events: those without a time come first, those of one time go by their id.
type EventMoment<'a> = (Option<i64>, &'a str);

/// The latest of some values, which may come in any order: its time, the id of its event, and the value.
struct LatestValue<T>(Option<(Option<i64>, String, T)>);

impl<T> Default for LatestValue<T> {
    fn default() -> LatestValue<T> {
        LatestValue(None)
    }
}

impl<T: Ord> LatestValue<T> {
    fn add(&mut self, (time, id): EventMoment<'_>, value: T) {
        let is_later = |(at, of, known): &(Option<i64>, String, T)| (*at, of.as_str(), known) < (time, id, &value);
        if self.0.as_ref().is_none_or(is_later) {
            self.0 = Some((time, id.to_owned(), value));
        }
    }

    fn get(&self) -> Option<&T> {
        self.0.as_ref().map(|(_, _, value)| value)
    }
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
        if call.is_crypto {
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
    key_arn: &'a StringArray,
    key_id: &'a StringArray,
    key_account_id: &'a StringArray,
    key_region: &'a StringArray,
    event_time: &'a TimestampMicrosecondArray,
    event_id: &'a StringArray,
    call_id: &'a StringArray,
    event_name: &'a StringArray,
    outcome: &'a StringArray,
    operation_class: &'a StringArray,
    is_aws_managed: &'a BooleanArray,
    origin: &'a StringArray,
    answered_state: &'a StringArray,
    deletion_date: &'a StringArray,
}

impl<'a> CallColumns<'a> {
    fn of(rows: &'a RecordBatch) -> Result<CallColumns<'a>, ArrowError> {
        let column = |name: &str| {
            let missing = || ArrowError::SchemaError(format!("the input of `keys` has no `{name}` of its type"));
            rows.column_by_name(name).ok_or_else(missing).map(|column| (column, missing()))
        };
        let text = |name: &str| {
            let (column, wrong) = column(name)?;
            column.as_string_opt::<i32>().ok_or(wrong)
        };
        let (times, wrong_times) = column("event_time")?;
        let (flags, wrong_flags) = column("is_aws_managed")?;
        Ok(CallColumns {
            key_arn: text("key_arn")?,
            key_id: text("key_id")?,
            key_account_id: text("key_account_id")?,
            key_region: text("key_region")?,
            event_time: times.as_primitive_opt::<TimestampMicrosecondType>().ok_or(wrong_times)?,
            event_id: text("event_id")?,
            call_id: text("call_id")?,
            event_name: text("event_name")?,
            outcome: text("outcome")?,
            operation_class: text("operation_class")?,
            is_aws_managed: flags.as_boolean_opt().ok_or(wrong_flags)?,
            origin: text("origin")?,
            answered_state: text("answered_state")?,
            deletion_date: text("deletion_date")?,
        })
    }

    fn call(&self, row: usize) -> KmsCall<'a> {
        let time = self.event_time.is_valid(row).then(|| self.event_time.value(row));
        KmsCall {
            at: (time, cell(self.event_id, row).unwrap_or_default()),
            call_id: cell(self.call_id, row).unwrap_or_default(),
            event_name: cell(self.event_name, row).unwrap_or_default(),
            outcome: cell(self.outcome, row),
            is_crypto: cell(self.operation_class, row) == Some("crypto"),
            is_aws_managed: self.is_aws_managed.is_valid(row) && self.is_aws_managed.value(row),
            origin: cell(self.origin, row),
            answered_state: cell(self.answered_state, row),
            deletion_date: cell(self.deletion_date, row),
        }
    }
}

fn cell(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// The lesser of the known value and a row's.
fn least(known: &mut Option<String>, said: Option<&str>) {
    if let Some(said) = said.filter(|said| known.as_deref().is_none_or(|known| *said < known)) {
        *known = Some(said.to_owned());
    }
}

impl Derivation for AllKeys {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let calls = CallColumns::of(rows)?;
        for row in 0..rows.num_rows() {
            let Some(arn) = cell(calls.key_arn, row) else { continue };
            if !self.keys.contains_key(arn) {
                self.keys.insert(arn.to_owned(), KeyFacts::default());
            }
            let key = self.keys.get_mut(arn).expect("it was just put there");
            least(&mut key.id, cell(calls.key_id, row));
            least(&mut key.account_id, cell(calls.key_account_id, row));
            least(&mut key.region, cell(calls.key_region, row));
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
        let keys: Vec<(&String, &KeyFacts)> = self.keys.iter().filter(|(_, key)| key.is_found).collect();
        let text = |of: fn(&KeyFacts) -> Option<&str>| -> ArrayRef {
            Arc::new(keys.iter().map(|(_, key)| of(key)).collect::<StringArray>())
        };
        let time = |of: fn(&KeyFacts) -> Option<i64>| -> ArrayRef {
            let times: TimestampMicrosecondArray = keys.iter().map(|(_, key)| of(key)).collect();
            Arc::new(times.with_timezone("UTC"))
        };
        let count = |of: fn(&KeyFacts) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(keys.iter().map(|(_, key)| of(key))))
        };
        let is_multi_region = |key: &KeyFacts| key.id.as_deref().map(|id| id.starts_with("mrk-"));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(keys.iter().map(|(arn, _)| Some(arn.as_str())).collect::<StringArray>()),
            text(|key| key.id.as_deref()),
            text(|key| key.account_id.as_deref()),
            text(|key| key.region.as_deref()),
            text(|key| key.kind()),
            text(|key| key.state()),
            text(|key| key.origin.as_deref()),
            Arc::new(keys.iter().map(|(_, key)| is_multi_region(key)).collect::<BooleanArray>()),
            time(|key| key.created.first()),
            time(|key| key.rotated.last()),
            text(|key| key.deletion_date.get()?.as_deref()),
            time(|key| key.used.first()),
            time(|key| key.used.last()),
            count(|key| key.uses),
            count(|key| key.denied.len() as i64),
            count(|key| key.failed.len() as i64),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Int64Type;

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
        assert_eq!((count("uses"), count("denied"), count("failed")), (3, 1, 0));
        assert!(rows["multi_region"].as_boolean().value(0));
        let mut keys = AllKeys::default();
        calls.iter().for_each(|call| keys.take(call).unwrap());
        assert_eq!(keys.bytes_held(), KEY_BYTES + CALL_BYTES);
        // A column that is not there is an error, never a guess.
        assert!(AllKeys::default().take(&rows).is_err());
    }
}
