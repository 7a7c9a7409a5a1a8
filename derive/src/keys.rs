//! Every key that KMS calls name, with the facts that the logs give of it.
//! In: KMS calls that name a key, in any order. Out: one row a key, by its ARN; NULL for facts that the logs lack.
//! Never takes a failed change for one that happened, gives no row for a key that was never found, draws no conclusion
//! from an event behind which others may lie that were not read or whose log is bad, and gives no state that a later
//! use contradicts.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Bool, Int, Text, Timestamp};
use keytrail_rows::time::MICROS_PER_SECOND;
use xxhash_rust::xxh3::xxh3_128;

use super::input::{FlagCells, InputBatch, TextCells, TimeCells};
use super::key_state::{KeyState, StateChange, changed_state};
use super::moment::{EventMoment, LatestValue, TimeSpan};
use super::output::{OutputCell, OutputRows, column};
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const KEYS: DerivedTable = DerivedTable {
    name: "keys",
    columns: COLUMNS,
    // The keys of a multi-Region family rotate together.
    by: &["key_family"],
    unique: &["key_arn"],
    time: RowTime::None,
    start: |interval| Box::new(AllKeys { interval: *interval, ..AllKeys::default() }),
};

const COLUMNS: &[OutputColumn] = &[
    column("key_arn", Text),
    column("key_id", Text),
    column("key_account_id", Text),
    column("key_region", Text),
    column("key_family", Text),
    column("key_kind", Text),
    column("state", Text),
    column("origin", Text),
    column("multi_region", Bool),
    column("created_at", Timestamp),
    column("rotation_setting", Text),
    column("last_rotated", Timestamp),
    column("deletion_date", Text),
    column("first_use", Timestamp),
    column("last_use", Timestamp),
    column("uses", Int),
    column("denied", Int),
    column("failed", Int),
];

/// KMS takes a while until a change holds everywhere.
const CHANGE_SLACK: i64 = 300 * MICROS_PER_SECOND;

/// Rough sizes of a key, a call and a change, with their places in a tree and a half-full table.
const KEY_BYTES: usize = 1024;
const CALL_BYTES: usize = 40;
const CHANGE_BYTES: usize = 32;

/// All keys so far.
#[derive(Default)]
struct AllKeys {
    interval: AskedInterval,
    keys: BTreeMap<String, KeyFacts>,
    /// By family, where some change tells it.
    rotations: HashMap<String, RotationSetting>,
    /// Of denied and failed calls.
    calls: usize,
    changes: usize,
}

/// One key, as far as the calls so far tell of it.
#[derive(Default)]
struct KeyFacts {
    id: Option<String>,
    account_id: Option<String>,
    region: Option<String>,
    family: Option<String>,
    origin: Option<String>,
    is_aws_managed: bool,
    is_customer_managed: bool,
    is_found: bool,
    created: TimeSpan,
    rotated: TimeSpan,
    used: TimeSpan,
    used_in_interval: TimeSpan,
    uses: i64,
    /// Calls, by the hashes of their ids.
    denied: HashSet<u128>,
    failed: HashSet<u128>,
    changes: Vec<(Option<i64>, StateChange)>,
    bad_until: Option<i64>,
    /// As the last scheduling of a deletion tells it.
    deletion_date: LatestValue<Option<String>>,
}

/// The last change of automatic rotation: that of one second, or several.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct RotationSetting {
    at: Option<i64>,
    is_made: bool,
    is_on: bool,
    is_off: bool,
    /// Of the account and Region in which it was set.
    bad_until: Option<i64>,
}

impl RotationSetting {
    /// What a successful call says of it; `None` for the others. A key is made without rotation; only the primary of a
    /// family says so, since a replica has the setting of its family. KMS rotates by itself only where it is on.
    fn of(call: &KmsCall<'_>) -> Option<RotationSetting> {
        let none = RotationSetting { at: call.at.0, bad_until: call.bad_until, ..RotationSetting::default() };
        match call.event_name {
            "CreateKey" => (!call.is_replica).then_some(RotationSetting { is_made: true, ..none }),
            "EnableKeyRotation" => Some(RotationSetting { is_on: true, ..none }),
            "DisableKeyRotation" => Some(RotationSetting { is_off: true, ..none }),
            "RotateKey" if call.is_automatic => Some(RotationSetting { is_on: true, ..none }),
            // Only an answer from beside the logs has it: CloudTrail logs none.
            "GetKeyRotationStatus" => match call.answered_state {
                Some("on") => Some(RotationSetting { is_on: true, ..none }),
                Some("off") => Some(RotationSetting { is_off: true, ..none }),
                _ => None,
            },
            _ => None,
        }
    }

    fn add(&mut self, other: RotationSetting) {
        *self = match self.at.cmp(&other.at) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => return,
            std::cmp::Ordering::Equal => RotationSetting {
                at: self.at,
                is_made: self.is_made || other.is_made,
                is_on: self.is_on || other.is_on,
                is_off: self.is_off || other.is_off,
                bad_until: self.bad_until.max(other.bad_until),
            },
        };
    }

    fn word(self) -> &'static str {
        match (self.is_on, self.is_off, self.is_made) {
            _ if may_hide_changes(self.bad_until, self.at) => "unknown",
            (true, false, _) => "on",
            (false, true, _) | (false, false, true) => "off",
            _ => "unknown",
        }
    }
}

/// True where a change after this time may be lost: in an hour of which a log is missing or could not be read, or in
/// which KMS was not logged.
fn may_hide_changes(bad_until: Option<i64>, after: Option<i64>) -> bool {
    bad_until.is_some() && after < bad_until
}

/// One call, as the input has it.
struct KmsCall<'a> {
    at: EventMoment<'a>,
    call_id: &'a str,
    event_name: &'a str,
    /// `None` if the row has none; it then proves neither that the key was found nor that the call failed.
    outcome: Option<&'a str>,
    is_crypto: bool,
    in_interval: bool,
    is_aws_managed: bool,
    /// True of a call that KMS allows on no key of AWS's.
    is_customer_managed: bool,
    /// Of a CreateKey: it made a replica.
    is_replica: bool,
    /// Of a RotateKey: KMS did it by itself.
    is_automatic: bool,
    /// As a creation, an import or a rotation tells it.
    origin: Option<&'a str>,
    /// The state that the answer of a CreateKey or ScheduleKeyDeletion names.
    answered_state: Option<&'a str>,
    deletion_date: Option<&'a str>,
    /// The end of the last bad hour of the key's account and Region.
    bad_until: Option<i64>,
}

impl KeyFacts {
    fn take(&mut self, call: &KmsCall<'_>, interval: AskedInterval) {
        self.is_found |= call.outcome.is_some_and(|outcome| outcome != "not_found");
        self.is_aws_managed |= call.is_aws_managed;
        self.bad_until = self.bad_until.max(call.bad_until);
        // A key is created once. If rows still differ, the greatest answer is taken, so that their order does not
        // matter.
        self.origin = self.origin.take().max(call.origin.map(str::to_owned));
        match call.outcome {
            None => {}
            Some("success") => self.take_success(call, interval),
            Some(_) if !call.in_interval => {}
            Some("denied") => drop(self.denied.insert(xxh3_128(call.call_id.as_bytes()))),
            // Every outcome but these two is a failure of some kind.
            Some(_) => drop(self.failed.insert(xxh3_128(call.call_id.as_bytes()))),
        }
    }

    fn take_success(&mut self, call: &KmsCall<'_>, interval: AskedInterval) {
        let time = call.at.0;
        self.is_customer_managed |= call.is_customer_managed;
        if call.event_name == "CreateKey" {
            self.created.note(time);
        }
        if call.is_crypto {
            self.used.note(time);
            if call.in_interval {
                self.used_in_interval.note(time);
                self.uses += 1;
            }
        }
        if !interval.has_all_from(time) {
            return;
        }
        if matches!(call.event_name, "RotateKey" | "RotateKeyOnDemand") {
            self.rotated.note(time);
        }
        if call.event_name == "ScheduleKeyDeletion" {
            self.deletion_date.add(call.at, call.deletion_date.map(str::to_owned));
        }
        if let Some(change) = StateChange::of(call.event_name, call.answered_state) {
            self.changes.push((time, change));
        }
    }

    /// Denied and failed ones, which are held.
    fn calls(&self) -> usize {
        self.denied.len() + self.failed.len()
    }

    /// `None` if the logs do not tell.
    fn kind(&self) -> Option<&'static str> {
        if self.is_aws_managed { Some("aws_managed") } else { self.is_customer_managed.then_some("customer") }
    }

    /// The state after all changes, unless a later use contradicts it or a later change may be lost. Nothing changes a
    /// key that is deleted.
    fn state(&self, interval: AskedInterval) -> KeyState {
        let mut changes = self.changes.clone();
        changes.sort_unstable();
        let tied = changes.chunk_by(|(left, _), (right, _)| left == right);
        let state = tied.fold(KeyState::Unknown, |state, tied| {
            let changes: Vec<StateChange> = tied.iter().map(|(_, change)| *change).collect();
            changed_state(state, &changes, interval).0
        });
        let changed = changes.last().and_then(|(at, _)| *at);
        let used = self.used.last();
        let state = changed.zip(used).map_or(state, |(changed, used)| state_when_used(state, used - changed));
        let proved = if state == KeyState::Enabled { changed.max(used) } else { changed };
        match state {
            KeyState::Deleted => state,
            _ if may_hide_changes(self.bad_until, proved) => KeyState::Unknown,
            _ => state,
        }
    }
}

/// The state of a key that was used so long after the change that led to it. A use proves that the key was enabled
/// then.
fn state_when_used(state: KeyState, after: i64) -> KeyState {
    match state {
        // Nothing else tells when a replica is ready.
        KeyState::Creating if after >= 0 => KeyState::Enabled,
        KeyState::Disabled
        | KeyState::PendingImport
        | KeyState::PendingDeletion
        | KeyState::PendingReplicaDeletion
        | KeyState::Unavailable
            if after > CHANGE_SLACK =>
        {
            KeyState::Unknown
        }
        state => state,
    }
}

/// The columns of one batch of the input.
struct CallColumns<'a> {
    key_arn: TextCells<'a>,
    key_id: TextCells<'a>,
    key_account_id: TextCells<'a>,
    key_region: TextCells<'a>,
    key_family: TextCells<'a>,
    event_time: TimeCells<'a>,
    event_id: TextCells<'a>,
    call_id: TextCells<'a>,
    event_name: TextCells<'a>,
    outcome: TextCells<'a>,
    operation_class: TextCells<'a>,
    in_interval: FlagCells<'a>,
    is_aws_managed: FlagCells<'a>,
    is_customer_managed: FlagCells<'a>,
    is_replica: FlagCells<'a>,
    is_automatic: FlagCells<'a>,
    origin: TextCells<'a>,
    answered_state: TextCells<'a>,
    deletion_date: TextCells<'a>,
    bad_until: TimeCells<'a>,
}

impl<'a> CallColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<CallColumns<'a>, ArrowError> {
        Ok(CallColumns {
            key_arn: rows.texts("key_arn")?,
            key_id: rows.texts("key_id")?,
            key_account_id: rows.texts("key_account_id")?,
            key_region: rows.texts("key_region")?,
            key_family: rows.texts("key_family")?,
            event_time: rows.times("event_time")?,
            event_id: rows.texts("event_id")?,
            call_id: rows.texts("call_id")?,
            event_name: rows.texts("event_name")?,
            outcome: rows.texts("outcome")?,
            operation_class: rows.texts("operation_class")?,
            in_interval: rows.flags("in_interval")?,
            is_aws_managed: rows.flags("is_aws_managed")?,
            is_customer_managed: rows.flags("is_customer_managed")?,
            is_replica: rows.flags("is_replica")?,
            is_automatic: rows.flags("is_automatic")?,
            origin: rows.texts("origin")?,
            answered_state: rows.texts("answered_state")?,
            deletion_date: rows.texts("deletion_date")?,
            bad_until: rows.times("bad_until")?,
        })
    }

    fn call(&self, row: usize) -> KmsCall<'a> {
        KmsCall {
            at: (self.event_time.get(row), self.event_id.get(row).unwrap_or_default()),
            call_id: self.call_id.get(row).unwrap_or_default(),
            event_name: self.event_name.get(row).unwrap_or_default(),
            outcome: self.outcome.get(row),
            is_crypto: self.operation_class.get(row) == Some("crypto"),
            in_interval: self.in_interval.is_set(row),
            is_aws_managed: self.is_aws_managed.is_set(row),
            is_customer_managed: self.is_customer_managed.is_set(row),
            is_replica: self.is_replica.is_set(row),
            is_automatic: self.is_automatic.is_set(row),
            origin: self.origin.get(row),
            answered_state: self.answered_state.get(row),
            deletion_date: self.deletion_date.get(row),
            bad_until: self.bad_until.get(row),
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
            least(&mut key.family, calls.key_family.get(row));
            let (call, before) = (calls.call(row), (key.calls(), key.changes.len()));
            key.take(&call, self.interval);
            self.calls += key.calls() - before.0;
            self.changes += key.changes.len() - before.1;
            let is_told = call.outcome == Some("success") && self.interval.has_all_from(call.at.0);
            if let Some(setting) = RotationSetting::of(&call).filter(|_| is_told) {
                let family = calls.key_family.get(row).unwrap_or(arn).to_owned();
                self.rotations.entry(family).or_insert(setting).add(setting);
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        (self.keys.len() + self.rotations.len()) * KEY_BYTES + self.calls * CALL_BYTES + self.changes * CHANGE_BYTES
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        for (arn, key) in self.keys.iter().filter(|(_, key)| key.is_found) {
            let state = key.state(self.interval);
            let is_going = state.is_pending_deletion() || state == KeyState::Deleted;
            let setting = self.rotations.get(key.family.as_ref().unwrap_or(arn));
            // KMS rotates the keys that AWS manages each year, and nobody can change that.
            let setting = if key.is_aws_managed { "on" } else { setting.map_or("unknown", |setting| setting.word()) };
            // Of what was not read some use may be earlier than the first, or later than the last.
            let used = if self.interval.lacks_earlier() { &key.used_in_interval } else { &key.used };
            rows.push([
                arn.into(),
                (&key.id).into(),
                (&key.account_id).into(),
                (&key.region).into(),
                (&key.family).into(),
                key.kind().into(),
                Some(state).filter(|state| *state != KeyState::Unknown).map(KeyState::name).into(),
                (&key.origin).into(),
                OutputCell::Flag(key.id.as_deref().map(|id| id.starts_with("mrk-"))),
                OutputCell::Time(key.created.first()),
                setting.into(),
                OutputCell::Time(key.rotated.last()),
                OutputCell::Text(key.deletion_date.get().and_then(Option::as_deref).filter(|_| is_going)),
                OutputCell::Time(used.first().filter(|_| !self.interval.lacks_earlier())),
                OutputCell::Time(used.last()),
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
    use super::super::EarlierHistory;
    use super::super::testing::{assert_order_free, batch, lines};
    use super::*;

    /// Calls of one key, `TIME NAME OUTCOME ANSWERED` each; `-` is NULL.
    fn state_after(calls: &[&str]) -> (&'static str, Option<&'static str>) {
        let mut key = KeyFacts::default();
        for (number, call) in calls.iter().enumerate() {
            let words: Vec<&str> = call.split(' ').collect();
            let id = format!("id-{number}");
            let call = KmsCall {
                at: (words[0].parse().ok(), &id),
                call_id: &id,
                event_name: words[1],
                outcome: (words[2] != "-").then_some(words[2]),
                is_crypto: false,
                in_interval: true,
                is_aws_managed: false,
                is_customer_managed: words[1] == "CreateKey",
                is_replica: false,
                is_automatic: false,
                origin: None,
                answered_state: words.get(3).copied(),
                deletion_date: None,
                bad_until: None,
            };
            key.take(&call, AskedInterval::default());
        }
        (key.state(AskedInterval::default()).name(), key.kind())
    }

    #[test]
    fn a_state_follows_from_the_changes_in_order_of_time() {
        for (calls, state, kind) in [
            (&["1 CreateKey success"][..], "Enabled", Some("customer")),
            (&["1 CreateKey success PendingImport"], "PendingImport", Some("customer")),
            (&["1 CreateKey denied"], "unknown", None),
            (&["1 CreateKey success", "2 DisableKey success"], "Disabled", Some("customer")),
            (&["2 DisableKey success", "1 CreateKey success"], "Disabled", Some("customer")),
            (&["1 DisableKey success", "2 EnableKey denied"], "Disabled", None),
            // KMS enables no key that is to be deleted: the cancelling is not in the logs.
            (&["1 ScheduleKeyDeletion success", "2 EnableKey success"], "Enabled", None),
            (&["1 ScheduleKeyDeletion success", "2 EnableKey key_unavailable"], "PendingDeletion", None),
            (&["1 ScheduleKeyDeletion success", "2 CancelKeyDeletion success"], "Disabled", None),
            (&["1 ScheduleKeyDeletion success PendingReplicaDeletion"], "PendingReplicaDeletion", None),
            (&["1 DisableKey success", "2 ImportKeyMaterial success"], "Disabled", None),
            (&["1 ImportKeyMaterial success"], "unknown", None),
            (&["1 DeleteImportedKeyMaterial success", "2 ImportKeyMaterial success"], "Enabled", None),
            (&["1 ImportKeyMaterial success", "2 DeleteImportedKeyMaterial success"], "PendingImport", None),
            (&["- DisableKey success", "1 EnableKey success"], "Enabled", None),
            (&["1 DisableKey success", "1 EnableKey success"], "unknown", None),
            (&["1 DescribeKey success"], "unknown", None),
            (&["1 DisableKey -"], "unknown", None),
        ] {
            assert_eq!(state_after(calls), (state, kind), "{calls:?}");
        }
    }

    fn keys(interval: AskedInterval, calls: &str) -> RecordBatch {
        keys_beside(None, interval, calls)
    }

    /// The end of the last bad hour, and calls, `TIME NAME OUTCOME KEY FAMILY FLAGS [ANSWERED]` each. The flags are letters: `i` in the interval, `a`
    /// AWS's, `c` the customer's, `r` a replica, `u` automatic.
    fn keys_beside(bad_until: Option<i64>, interval: AskedInterval, calls: &str) -> RecordBatch {
        let calls = calls.split(", ").enumerate().map(|(place, call)| {
            let words: Vec<&str> = call.split(' ').collect();
            let (id, nothing) = (format!("e{place}"), OutputCell::Text(None));
            let flag = |letter: char| OutputCell::Flag(Some(words[5].contains(letter)));
            let is_crypto = matches!(words[1], "Decrypt" | "Encrypt");
            let is_scheduled = words[1] == "ScheduleKeyDeletion";
            batch(&[
                ("key_arn", words[3].into()),
                ("key_id", words[3].into()),
                ("key_account_id", "111122223333".into()),
                ("key_region", "eu-west-1".into()),
                ("key_family", words[4].into()),
                ("event_time", OutputCell::Time(words[0].parse().ok())),
                ("event_id", (&id).into()),
                ("call_id", (&id).into()),
                ("event_name", words[1].into()),
                ("outcome", words[2].into()),
                ("operation_class", OutputCell::Text(is_crypto.then_some("crypto"))),
                ("in_interval", flag('i')),
                ("is_aws_managed", flag('a')),
                ("is_customer_managed", flag('c')),
                ("is_replica", flag('r')),
                ("is_automatic", flag('u')),
                ("origin", nothing),
                ("answered_state", OutputCell::Text(words.get(6).copied())),
                ("deletion_date", OutputCell::Text(is_scheduled.then_some("Mar 1, 2026"))),
                ("bad_until", OutputCell::Time(bad_until)),
            ])
        });
        assert_order_free(&KEYS, interval, &calls.collect::<Vec<_>>())
    }

    fn cells(rows: &RecordBatch, columns: &[&str]) -> String {
        let places: Vec<usize> = columns.iter().map(|name| rows.schema().index_of(name).unwrap()).collect();
        lines(&rows.project(&places).unwrap())
    }

    #[test]
    fn counts_and_facts_are_of_calls_that_happened() {
        let rows = keys(
            AskedInterval::default(),
            "3 DisableKey success mrk-1 f ic, 1 CreateKey success mrk-1 f ic, 2 Decrypt denied mrk-1 f i, \
             4 Decrypt success mrk-1 f i, 5 Encrypt success mrk-1 f i, 6 Decrypt throttled mrk-1 f i, \
             7 DescribeKey not_found k k i",
        );
        let columns = [
            "key_arn",
            "key_kind",
            "state",
            "multi_region",
            "created_at",
            "first_use",
            "last_use",
            "uses",
            "denied",
            "failed",
        ];
        assert_eq!(cells(&rows, &columns), "mrk-1 customer Disabled true 1 4 5 2 1 1");
        // A column that is not there is an error, never a guess.
        assert!(AllKeys::default().take(&rows).is_err());
    }

    #[test]
    fn a_use_proves_that_a_key_was_enabled() {
        // Times are microseconds.
        let (soon, late) = (CHANGE_SLACK + 1, CHANGE_SLACK + 2);
        for (change, state) in [
            ("DisableKey success k k i", "Disabled"),
            ("ScheduleKeyDeletion success k k i", "PendingDeletion"),
            ("ScheduleKeyDeletion success k k i PendingReplicaDeletion", "PendingReplicaDeletion"),
            ("DeleteImportedKeyMaterial success k k i", "PendingImport"),
        ] {
            let used = |at: i64, outcome: &str| {
                let calls = format!("1 {change}, {at} Decrypt {outcome} k k i");
                cells(&keys(AskedInterval::default(), &calls), &["state"])
            };
            assert_eq!((used(0, "success"), used(soon, "success")), (state.to_owned(), state.to_owned()), "{change}");
            assert_eq!((used(late, "success"), used(late, "denied")), ("-".to_owned(), state.to_owned()), "{change}");
        }
        for (calls, state) in [
            ("5 CreateKey success k k i Creating, 6 Decrypt success k k i", "Enabled"),
            ("5 CreateKey success k k i Creating, 6 Decrypt denied k k i", "Creating"),
            ("5 CreateKey success k k i Creating", "Creating"),
            ("5 CreateKey success k k i, 900000000 Decrypt success k k i", "Enabled"),
            // It was disabled after its use.
            (
                "1 EnableKey success k k i, 900000000 Decrypt success k k i, 900000001 DisableKey success k k i",
                "Disabled",
            ),
        ] {
            assert_eq!(cells(&keys(AskedInterval::default(), calls), &["state"]), state, "{calls}");
        }
    }

    #[test]
    fn the_date_of_a_deletion_stands_while_it_is_scheduled() {
        let columns = ["state", "deletion_date"];
        for (calls, wanted) in [
            ("1 ScheduleKeyDeletion success k k i", "PendingDeletion Mar 1, 2026"),
            ("1 ScheduleKeyDeletion success k k i, 2 CancelKeyDeletion success k k i", "Disabled -"),
            ("1 ScheduleKeyDeletion denied k k i", "- -"),
            ("1 ScheduleKeyDeletion success k k i, 2 DeleteKey success k k i", "Deleted Mar 1, 2026"),
        ] {
            assert_eq!(cells(&keys(AskedInterval::default(), calls), &columns), wanted, "{calls}");
        }
    }

    #[test]
    fn a_change_that_may_be_lost_leaves_no_state() {
        let columns = ["state", "deletion_date", "rotation_setting"];
        for (calls, bad_until, wanted) in [
            ("10 CreateKey success k k i", None, "Enabled - off"),
            ("10 CreateKey success k k i", Some(10), "Enabled - off"),
            ("10 CreateKey success k k i", Some(11), "- - unknown"),
            ("10 EnableKeyRotation success k k i, 20 CancelKeyDeletion success k k i", Some(15), "Disabled - unknown"),
            ("10 ScheduleKeyDeletion success k k i", Some(10), "PendingDeletion Mar 1, 2026 unknown"),
            ("10 ScheduleKeyDeletion success k k i", Some(11), "- - unknown"),
            // A use proves that the key is enabled, whatever lies before it; a refusal proves nothing.
            ("10 EnableKey success k k i, 30 Decrypt success k k i", Some(30), "Enabled - unknown"),
            ("10 EnableKey success k k i, 30 Decrypt denied k k i", Some(30), "- - unknown"),
            ("10 EnableKey success k k i, 30 Decrypt success k k i", Some(31), "- - unknown"),
            ("10 DisableKey success k k i, 30 Decrypt success k k i", Some(30), "- - unknown"),
            // Nothing follows the end of a key.
            (
                "10 ScheduleKeyDeletion success k k i, 20 DeleteKey success k k i",
                Some(30),
                "Deleted Mar 1, 2026 unknown",
            ),
            // The answer of a later time tells of it.
            ("10 EnableKeyRotation success k k i, 30 GetKeyRotationStatus success k k - off", Some(30), "- - off"),
        ] {
            assert_eq!(cells(&keys_beside(bad_until, AskedInterval::default(), calls), &columns), wanted, "{calls}");
        }
    }

    #[test]
    fn the_rotation_of_a_family_is_set_at_its_primary() {
        for (calls, wanted) in [
            ("1 CreateKey success k k i", "k off -"),
            ("1 CreateKey success k k i, 2 EnableKeyRotation success k k i", "k on -"),
            // By one template, within a second.
            ("1 EnableKeyRotation success k k i, 1 CreateKey success k k i", "k on -"),
            ("1 EnableKeyRotation success k k i, 2 DisableKeyRotation success k k i", "k off -"),
            ("1 EnableKeyRotation success k k i, 2 DisableKeyRotation denied k k i", "k on -"),
            ("1 EnableKeyRotation success k k i, 1 DisableKeyRotation success k k i", "k unknown -"),
            ("1 Decrypt success k k i", "k unknown -"),
            // A call that is logged has no answer; one from beside the logs tells the setting of its time.
            ("1 GetKeyRotationStatus success k k i", "k unknown -"),
            ("1 GetKeyRotationStatus success k k - on", "k on -"),
            ("1 GetKeyRotationStatus success k k - off", "k off -"),
            ("1 GetKeyRotationStatus success k k - on, 2 DisableKeyRotation success k k i", "k off -"),
            ("1 DisableKeyRotation success k k i, 2 GetKeyRotationStatus success k k - on", "k on -"),
            ("1 Decrypt success k k ia", "k on -"),
            // KMS rotates by itself only where it is on; on demand it does so anyway.
            ("5 RotateKey success k k iu", "k on 5"),
            ("5 RotateKey success k k i, 4 RotateKeyOnDemand success k k i", "k unknown 5"),
            // A replica has the setting of its family, and its own rotations.
            ("1 EnableKeyRotation success mrk-1 f i, 2 CreateKey success mrk-2 f ir", "mrk-1 on -; mrk-2 on -"),
            ("2 CreateKey success mrk-2 f ir", "mrk-2 unknown -"),
            (
                "3 DisableKeyRotation success mrk-2 f i, 1 EnableKeyRotation success mrk-1 f i, 5 RotateKey success mrk-2 f i",
                "mrk-1 off -; mrk-2 off 5",
            ),
        ] {
            let columns = ["key_arn", "rotation_setting", "last_rotated"];
            assert_eq!(cells(&keys(AskedInterval::default(), calls), &columns), wanted, "{calls}");
        }
    }

    #[test]
    fn unread_history_leaves_facts_out_and_changes_none() {
        let unread = AskedInterval { since: Some(10), until: None, earlier: EarlierHistory::NotRead };
        let read = AskedInterval { earlier: EarlierHistory::Read, ..unread };
        let columns =
            ["state", "created_at", "rotation_setting", "last_rotated", "first_use", "last_use", "uses", "denied"];
        for (calls, without, with) in [
            // Counts are of the interval; the first use may lie in what was not read.
            (
                "1 Decrypt success k k -, 2 Decrypt denied k k -, 12 Decrypt success k k i, 13 Decrypt denied k k i",
                "- - unknown - - 12 1 1",
                "- - unknown - 1 12 1 1",
            ),
            (
                "1 CreateKey success k k c, 2 RotateKey success k k u, 3 Decrypt success k k -",
                "- 1 unknown - - - 0 0",
                "Enabled 1 on 2 3 3 0 0",
            ),
            (
                "1 CreateKey success k k c, 12 DisableKey success k k i",
                "Disabled 1 unknown - - - 0 0",
                "Disabled 1 off - - - 0 0",
            ),
        ] {
            assert_eq!(cells(&keys(unread, calls), &columns), without, "{calls}");
            assert_eq!(cells(&keys(read, calls), &columns), with, "{calls}");
        }
    }

    #[test]
    fn a_million_calls_of_one_key_are_one_entry() {
        let mut key = KeyFacts::default();
        let call = KmsCall {
            at: (Some(1), "e"),
            call_id: "e",
            event_name: "Decrypt",
            outcome: Some("success"),
            is_crypto: true,
            in_interval: true,
            is_aws_managed: false,
            is_customer_managed: false,
            is_replica: false,
            is_automatic: false,
            origin: None,
            answered_state: None,
            deletion_date: None,
            bad_until: None,
        };
        (0..1_000_000).for_each(|_| key.take(&call, AskedInterval::default()));
        assert_eq!((key.uses, key.calls(), key.changes.len()), (1_000_000, 0, 0));
    }
}
