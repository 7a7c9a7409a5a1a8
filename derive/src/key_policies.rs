//! Every version of a key's policy, with its difference from the one before.
//! In: calls that set a policy, and policies that AWS told when it was asked, in any order. Out: one row a version, by
//! key and time.
//! Never compares with a version that may not be the one before, and never takes a cut text for a policy.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::arn::Arn;
use keytrail_rows::schema::ColumnType::{Int, Text, TextList, Timestamp};

use super::input::InputBatch;
use super::moment::second_of;
use super::output::{OutputCell, OutputRows, column};
use super::policy::{LoggedPolicy, NewAllowances, PolicyDiff, PolicyDocument, PolicyReading, PolicyStatement};
use super::{AskedInterval, Derivation, DerivedTable, EarlierHistory, OutputColumn, RowTime};

pub(super) const KEY_POLICIES: DerivedTable = DerivedTable {
    name: "key_policies",
    columns: COLUMNS,
    by: &["key_arn"],
    unique: &[],
    time: RowTime::Until("valid_from", "valid_to"),
    start: |interval| Box::new(PolicyHistory::of(*interval)),
};

const COLUMNS: &[OutputColumn] = &[
    column("key_arn", Text),
    column("version", Int),
    column("valid_from", Timestamp),
    column("valid_to", Timestamp),
    column("set_by", Text),
    column("set_event_id", Text),
    column("policy", Text),
    column("reading", Text),
    column("added", TextList),
    column("removed", TextList),
    column("changed", TextList),
    column("newly_allows", TextList),
    column("notable", TextList),
];

/// Rough size of a version beside its texts.
const VERSION_BYTES: usize = 256;

/// The versions of all keys.
struct PolicyHistory {
    keys: BTreeMap<String, BTreeSet<PolicyVersion>>,
    /// True if versions from before the interval may be missing.
    starts_late: bool,
    bytes: usize,
}

/// One call that set a policy, or one answer that told it. Of calls the order is that of time, a key's creation first;
/// answers come after all calls, and `in_order` puts each into its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct PolicyVersion {
    kind: VersionKind,
    time: Option<i64>,
    event_id: String,
    set_by: Option<String>,
    policy: Option<String>,
    lockout: LockoutCheck,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum VersionKind {
    Creation,
    Change,
    /// AWS told it when it was asked: nobody saw it set.
    Told,
}

/// KMS refuses a policy under which its caller could not change it again, unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LockoutCheck {
    Made,
    Bypassed,
}

/// The version before, as far as it is known.
enum KnownBefore<'d> {
    /// There is none: the key was made with this version.
    Nothing,
    Policy(&'d PolicyDocument),
    Unknown,
}

/// The columns that compare a version with the one before.
#[derive(Debug, Default, PartialEq, Eq)]
struct PolicyDifference {
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    newly_allows: Vec<String>,
    notable: Vec<String>,
}

impl PolicyHistory {
    fn of(interval: AskedInterval) -> PolicyHistory {
        let starts_late = interval.since.is_some() && interval.earlier == EarlierHistory::NotRead;
        PolicyHistory { keys: BTreeMap::new(), starts_late, bytes: 0 }
    }

    fn add(&mut self, key_arn: &str, version: PolicyVersion) {
        let bytes = VERSION_BYTES + version.policy.as_ref().map_or(0, String::len);
        if !self.keys.contains_key(key_arn) {
            self.keys.insert(key_arn.to_owned(), BTreeSet::new());
        }
        let versions = self.keys.get_mut(key_arn).expect("it was just put there");
        // One call is one version, also where its event is here twice.
        if versions.insert(version) {
            self.bytes += bytes;
        }
    }
}

impl PolicyVersion {
    fn second(&self) -> Option<i64> {
        self.time.map(second_of)
    }

    /// True if both policies mean the same.
    fn says(&self, other: &PolicyVersion, partition: &str) -> bool {
        let read = |of: &PolicyVersion| of.policy.as_deref().map(|text| LoggedPolicy::read(text, partition).reading);
        match (read(self), read(other)) {
            (Some(PolicyReading::Whole(one)), Some(PolicyReading::Whole(other))) => {
                let diff = PolicyDiff::of(Some(&one), &other);
                diff.added.is_empty() && diff.removed.is_empty() && diff.changed.is_empty()
            }
            _ => self.policy == other.policy,
        }
    }

    fn difference(&self, before: &KnownBefore<'_>, now: &PolicyDocument, key_arn: &str) -> Option<PolicyDifference> {
        let before = match before {
            KnownBefore::Unknown => return None,
            KnownBefore::Nothing => None,
            KnownBefore::Policy(before) => Some(*before),
        };
        let labels = |statements: &[&PolicyStatement]| statements.iter().map(|of| of.label()).collect();
        let diff = PolicyDiff::of(before, now);
        let new = NewAllowances::of(before, now, Arn::parse(key_arn).map(|arn| arn.account));
        let mut notable = new.notable;
        if self.lockout == LockoutCheck::Bypassed {
            notable.insert("lockout_bypassed".to_owned());
        }
        Some(PolicyDifference {
            added: labels(&diff.added),
            removed: labels(&diff.removed),
            changed: diff.changed.iter().map(|change| change.after.label()).collect(),
            newly_allows: new.newly_allows.into_iter().collect(),
            notable: notable.into_iter().collect(),
        })
    }
}

/// The versions of one key in their order. A key is made once: a replica's making is logged in both Regions. An answer
/// is a version of its own where it says something else than the version before, and than those of its own second.
fn in_order(versions: BTreeSet<PolicyVersion>, partition: &str) -> Vec<PolicyVersion> {
    let mut is_made = false;
    let mut once =
        |version: &PolicyVersion| version.kind == VersionKind::Change || !std::mem::replace(&mut is_made, true);
    let (told, mut logged): (Vec<_>, Vec<_>) = versions.into_iter().partition(|of| of.kind == VersionKind::Told);
    logged.retain(|version| once(version));
    for told in told {
        // Nobody is told of a key before it is made.
        let is_before = |version: &PolicyVersion| match version.kind {
            VersionKind::Creation => version.second() <= told.second(),
            VersionKind::Change | VersionKind::Told => version.second() < told.second(),
        };
        let place = logged.partition_point(is_before);
        let before = place.checked_sub(1).map(|before| &logged[before]);
        let is_known_before = before.is_some_and(|before| before.says(&told, partition));
        let is_in_doubt = place.checked_sub(2).is_some_and(|earlier| shares_second(&logged, earlier));
        let mut of_its_second = logged[place..].iter().take_while(|version| version.second() == told.second());
        let is_of_its_second = of_its_second.any(|version| version.says(&told, partition));
        if !is_of_its_second && (is_in_doubt || !is_known_before) {
            logged.insert(place, told);
        }
    }
    logged
}

/// True if nobody knows which of a version and the next was the first: both are of one second. A creation always is.
fn shares_second(versions: &[PolicyVersion], earlier: usize) -> bool {
    let pair = versions.get(earlier..earlier + 2);
    pair.is_some_and(|pair| pair[0].kind != VersionKind::Creation && pair[0].second() == pair[1].second())
}

/// True if nobody knows which version stood before the one at a place: it shares its second with another one, or the
/// two before it do.
fn is_in_doubt(versions: &[PolicyVersion], at: usize) -> bool {
    let pairs = [at.checked_sub(2), at.checked_sub(1), Some(at)];
    pairs.into_iter().flatten().any(|earlier| shares_second(versions, earlier))
}

/// Appends the rows of one key.
fn push_versions(
    rows: &mut OutputRows,
    key_arn: &str,
    versions: &[PolicyVersion],
    first_number: Option<i64>,
) -> Result<(), ArrowError> {
    let partition = partition(key_arn);
    let mut number = first_number;
    // A change without a time may stand anywhere.
    let is_timed = versions.iter().all(|version| version.time.is_some());
    let mut before: Option<LoggedPolicy> = None;
    for (at, version) in versions.iter().enumerate() {
        let policy = version.policy.as_deref().map(|text| LoggedPolicy::read(text, partition));
        let later = versions.get(at + 1);
        let known = match (version.kind, before.as_ref().and_then(|before| before.reading.document())) {
            (VersionKind::Creation, _) => KnownBefore::Nothing,
            (VersionKind::Change, Some(before)) if is_timed && !is_in_doubt(versions, at) => {
                KnownBefore::Policy(before)
            }
            (VersionKind::Change | VersionKind::Told, _) => KnownBefore::Unknown,
        };
        let now = policy.as_ref().and_then(|policy| policy.reading.document());
        let is_told = version.kind == VersionKind::Told;
        let compared = now.filter(|_| !is_told);
        let difference = compared.and_then(|now| version.difference(&known, now, key_arn));
        let list = |of: fn(&PolicyDifference) -> &Vec<String>| {
            OutputCell::Texts(difference.as_ref().map(|difference| of(difference).as_slice()))
        };
        rows.push([
            key_arn.into(),
            OutputCell::Count(number.filter(|_| !is_told)),
            OutputCell::Time(version.time.filter(|_| !is_told)),
            OutputCell::Time(later.filter(|later| later.kind != VersionKind::Told).and_then(|later| later.time)),
            (&version.set_by).into(),
            OutputCell::Text(Some(version.event_id.as_str()).filter(|_| !is_told)),
            OutputCell::Text(policy.as_ref().map(|policy| policy.text.as_str())),
            policy.as_ref().map_or("unparsed", |policy| policy.reading.word()).into(),
            list(|difference| &difference.added),
            list(|difference| &difference.removed),
            list(|difference| &difference.changed),
            list(|difference| &difference.newly_allows),
            list(|difference| &difference.notable),
        ])?;
        number = number.map(|number| number + i64::from(!is_told));
        before = policy;
    }
    Ok(())
}

fn partition(key_arn: &str) -> &str {
    Arn::parse(key_arn).map_or("aws", |arn| arn.partition)
}

impl Derivation for PolicyHistory {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let rows = InputBatch::new("key_policies", rows);
        let (key_arn, event_id) = (rows.texts("key_arn")?, rows.texts("event_id")?);
        let (event_time, set_by) = (rows.times("event_time")?, rows.texts("set_by")?);
        let (kind, policy) = (rows.texts("kind")?, rows.texts("policy")?);
        let bypasses_lockout_check = rows.flags("bypasses_lockout_check")?;
        for row in 0..rows.len() {
            let Some(key_arn) = key_arn.get(row) else { continue };
            let version_kind = match kind.get(row) {
                Some("creation") => VersionKind::Creation,
                Some("told") => VersionKind::Told,
                _ => VersionKind::Change,
            };
            let policy = policy.get(row).filter(|policy| *policy != "null");
            // KMS then gives its default policy, which no record has.
            if version_kind != VersionKind::Change && policy.is_none() {
                continue;
            }
            let lockout = bypasses_lockout_check.is_set(row);
            let version = PolicyVersion {
                kind: version_kind,
                time: event_time.get(row),
                event_id: event_id.owned(row).unwrap_or_default(),
                set_by: set_by.owned(row),
                policy: policy.map(str::to_owned),
                lockout: if lockout { LockoutCheck::Bypassed } else { LockoutCheck::Made },
            };
            self.add(key_arn, version);
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        for (key_arn, versions) in self.keys {
            let versions = in_order(versions, partition(&key_arn));
            let is_whole = !self.starts_late || versions.first().is_some_and(|of| of.kind == VersionKind::Creation);
            push_versions(&mut rows, &key_arn, &versions, is_whole.then_some(1))?;
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
    use keytrail_rows::time::MICROS_PER_SECOND;

    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1";
    const SINCE: AskedInterval = AskedInterval { since: Some(0), until: None, earlier: EarlierHistory::NotRead };

    /// A policy that lets the account's role of this name decrypt, as many roles as there are letters.
    fn policy(roles: &str) -> String {
        let statement = |role: char| {
            format!(
                r#"{{"Sid":"{role}","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/{role}"}},"Action":"kms:Decrypt","Resource":"*"}}"#
            )
        };
        let statements: Vec<String> = roles.chars().map(statement).collect();
        format!(r#"{{"Statement":[{}]}}"#, statements.join(","))
    }

    /// A call or an answer: `SECOND KIND POLICY`, `-` for NULL; `cut` is a policy that was cut, `bypass` makes the
    /// check be left out.
    fn batch(number: usize, words: &str) -> RecordBatch {
        let words: Vec<&str> = words.split(' ').collect();
        let text = match words[2] {
            "-" => None,
            "cut" => Some(r#"{"Statement":[{"Sid"#.to_owned()),
            roles => Some(policy(roles)),
        };
        let texts = |value: Option<&str>| Arc::new([value].into_iter().collect::<StringArray>()) as ArrayRef;
        let time = words[0].parse::<f64>().ok().map(|seconds| (seconds * MICROS_PER_SECOND as f64) as i64);
        let times = TimestampMicrosecondArray::from(vec![time]).with_timezone("UTC");
        let is_bypassed = BooleanArray::from(vec![words.get(3).map(|word| *word == "bypass")]);
        RecordBatch::try_from_iter_with_nullable(
            [
                ("key_arn", texts(Some(KEY))),
                ("event_time", Arc::new(times)),
                ("event_id", texts(Some(&format!("id-{number}")))),
                ("set_by", texts(Some("arn:aws:iam::111122223333:user/ann"))),
                ("kind", texts(Some(words[1]))),
                ("bypasses_lockout_check", Arc::new(is_bypassed)),
                ("policy", texts(text.as_deref())),
            ]
            .map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    }

    /// A row a version: `VERSION FROM TO READING ADDED REMOVED NOTABLE`, `-` for NULL.
    fn versions(interval: AskedInterval, calls: &mut dyn Iterator<Item = (usize, &&str)>) -> Vec<String> {
        let mut history = Box::new(PolicyHistory::of(interval));
        calls.for_each(|(number, call)| history.take(&batch(number, call)).unwrap());
        let rows = history.finish().unwrap();
        let number = |name: &str, row: usize| match name {
            "version" => {
                Some(&rows[name]).filter(|of| of.is_valid(row)).map(|of| of.as_primitive::<Int64Type>().value(row))
            }
            _ => {
                let column = rows[name].as_primitive::<TimestampMicrosecondType>();
                column.is_valid(row).then(|| column.value(row) / MICROS_PER_SECOND)
            }
        };
        let shown = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
        let list = |name: &str, row: usize| {
            let column = rows[name].as_list::<i32>();
            let items = column.is_valid(row).then(|| column.value(row));
            let texts = items.map(|items| items.as_string::<i32>().iter().flatten().collect::<Vec<_>>().join(","));
            texts.map_or("-".to_owned(), |texts| format!("[{texts}]"))
        };
        let row = |row: usize| {
            let numbers = ["version", "valid_from", "valid_to"].map(|name| shown(number(name, row))).join(" ");
            let lists = ["added", "removed", "notable"].map(|name| list(name, row)).join(" ");
            format!("{numbers} {} {lists}", rows["reading"].as_string::<i32>().value(row))
        };
        (0..rows.num_rows()).map(row).collect()
    }

    #[test]
    fn versions_follow_from_the_calls_in_order_of_time() {
        for (calls, rows) in [
            (&["1 creation a", "2 change ab"][..], &["1 1 2 whole [a] [] []", "2 2 - whole [b] [] []"][..]),
            (&["2 change ab", "1 creation a"], &["1 1 2 whole [a] [] []", "2 2 - whole [b] [] []"]),
            (&["1 change a", "2 change b"], &["1 1 2 whole - - -", "2 2 - whole [b] [a] []"]),
            (&["1 change ab", "2 change ba"], &["1 1 2 whole - - -", "2 2 - whole [] [] []"]),
            // Without a policy of its own the key has KMS's default one, which is not in the logs.
            (&["1 creation -", "2 change a"], &["1 2 - whole - - -"]),
            (
                &["1 creation a", "2 change cut", "3 change b"],
                &["1 1 2 whole [a] [] []", "2 2 3 truncated - - -", "3 3 - whole - - -"],
            ),
            (
                &["1 creation a", "2 change -", "3 change b"],
                &["1 1 2 whole [a] [] []", "2 2 3 unparsed - - -", "3 3 - whole - - -"],
            ),
            // Of two changes in one second nobody knows the first, nor which of them is still there.
            (
                &["1 creation a", "2 change ab", "2 change b", "3 change c", "4 change cd"],
                &[
                    "1 1 2 whole [a] [] []",
                    "2 2 2 whole - - -",
                    "3 2 3 whole - - -",
                    "4 3 4 whole - - -",
                    "5 4 - whole [d] [] []",
                ],
            ),
            (&["1 creation a", "1 change ab"], &["1 1 1 whole [a] [] []", "2 1 - whole [b] [] []"]),
            // A replica's making is logged in both Regions.
            (&["1 creation a", "2 creation a", "3 change b"], &["1 1 3 whole [a] [] []", "2 3 - whole [b] [a] []"]),
            (
                &["- change a", "2 change b", "3 change c"],
                &["1 - 2 whole - - -", "2 2 3 whole - - -", "3 3 - whole - - -"],
            ),
            (&["1 creation a bypass"], &["1 1 - whole [a] [] [lockout_bypassed]"]),
            // An answer stands before the next version, and is one where the logs do not tell it.
            (&["1 told a", "2 change ab"], &["- - 2 whole - - -", "1 2 - whole [b] [] []"]),
            (&["1 creation a", "2 told a", "3 change ab"], &["1 1 3 whole [a] [] []", "2 3 - whole [b] [] []"]),
            (
                &["1 creation a", "2 told ac", "3 told ca", "4 change ab"],
                &["1 1 - whole [a] [] []", "- - 4 whole - - -", "2 4 - whole [b] [c] []"],
            ),
            // An answer of the second of a change may be from before it, or from after it.
            (&["1 creation a", "2 change ab", "2.5 told a"], &["1 1 2 whole [a] [] []", "2 2 - whole [b] [] []"]),
            (&["1 creation a", "2 change ab", "2 told ba"], &["1 1 2 whole [a] [] []", "2 2 - whole [b] [] []"]),
            // If it is neither, nobody knows which was there first.
            (
                &["1 creation a", "2 change ab", "2.5 told ac", "3 change abd", "4 change d"],
                &[
                    "1 1 - whole [a] [] []",
                    "- - 2 whole - - -",
                    "2 2 3 whole - - -",
                    "3 3 4 whole - - -",
                    "4 4 - whole [] [a,b] []",
                ],
            ),
            (
                &["1 creation a", "2 told ab", "2 told ac", "3 change abc"],
                &["1 1 - whole [a] [] []", "- - - whole - - -", "- - 3 whole - - -", "2 3 - whole - - -"],
            ),
            // Nobody is told of a key before it is made.
            (
                &["1 creation a", "1 told ab", "2 change ac"],
                &["1 1 - whole [a] [] []", "- - 2 whole - - -", "2 2 - whole [c] [b] []"],
            ),
            // Two changes of one second leave an earlier answer as it is, and a later one says which of them is there.
            (
                &["1 creation a", "2 told a", "3 change ab", "3 change ac"],
                &["1 1 3 whole [a] [] []", "2 3 3 whole - - -", "3 3 - whole - - -"],
            ),
            (
                &["1 creation a", "2 change ab", "2 change ac", "3 told ac", "4 change acd"],
                &[
                    "1 1 2 whole [a] [] []",
                    "2 2 2 whole - - -",
                    "3 2 - whole - - -",
                    "- - 4 whole - - -",
                    "4 4 - whole [d] [] []",
                ],
            ),
            (
                &["1 creation a", "2 change ab", "2 change ac", "2 told ab"],
                &["1 1 2 whole [a] [] []", "2 2 2 whole - - -", "3 2 - whole - - -"],
            ),
            (&["1 change a", "2 change a bypass"], &["1 1 2 whole - - -", "2 2 - whole [] [] [lockout_bypassed]"]),
        ] {
            let found = versions(AskedInterval::default(), &mut calls.iter().enumerate());
            assert_eq!(found, rows, "{calls:?}");
            let backwards: Vec<_> = calls.iter().enumerate().rev().collect();
            assert_eq!(versions(AskedInterval::default(), &mut backwards.into_iter()), rows, "backwards {calls:?}");
        }
    }

    #[test]
    fn versions_are_not_numbered_where_earlier_ones_may_be_missing() {
        let number = |interval, call: &str| versions(interval, &mut [call].iter().enumerate())[0].clone();
        assert_eq!(number(SINCE, "1 change a"), "- 1 - whole - - -");
        assert_eq!(number(SINCE, "1 creation a"), "1 1 - whole [a] [] []");
        let earlier = AskedInterval { earlier: EarlierHistory::Read, ..SINCE };
        assert_eq!(number(earlier, "1 change a"), "1 1 - whole - - -");
    }

    #[test]
    fn one_call_is_one_version_however_often_its_event_is_here() {
        let mut history = PolicyHistory::of(AskedInterval::default());
        for number in [1, 1, 2] {
            history.take(&batch(number, "1 change a")).unwrap();
        }
        assert_eq!(history.keys[KEY].len(), 2);
        assert_eq!(history.bytes_held(), 2 * (VERSION_BYTES + policy("a").len()));
        assert!(history.take(&RecordBatch::new_empty(KEY_POLICIES.schema())).is_err());
    }
}
