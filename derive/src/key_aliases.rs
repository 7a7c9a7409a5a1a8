//! The key that each alias named, over time.
//! In: changes of aliases that succeeded, calls that sent an alias with the key that it named, and deletions of keys,
//! in any order. Out: one row for an alias, a key and a period, by alias and time. Never invents a start or an end: a
//! call proves only that the alias named the key at that time.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Text, Timestamp};

use super::input::InputBatch;
use super::moment::TimeSpan;
use super::output::{OutputCell, OutputRows, column};
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const KEY_ALIASES: DerivedTable = DerivedTable {
    name: "key_aliases",
    columns: COLUMNS,
    // The deletion of a key, which ends its aliases, names none of them.
    by: &[],
    unique: &[],
    time: RowTime::Until("valid_from", "valid_to"),
    start: |interval| Box::new(AllAliases { interval: *interval, ..AllAliases::default() }),
};

const COLUMNS: &[OutputColumn] = &[
    column("alias_arn", Text),
    column("key_arn", Text),
    column("valid_from", Timestamp),
    column("valid_to", Timestamp),
    column("set_by", Text),
    column("set_event_id", Text),
];

/// Rough size of an alias, of a key that it named and of a change, with their places and without their texts.
const ENTRY_BYTES: usize = 128;

/// The aliases so far.
#[derive(Debug, Default)]
struct AllAliases {
    interval: AskedInterval,
    aliases: BTreeMap<String, AliasHistory>,
    /// The deletion of each key, which is the end of its aliases.
    deleted: HashMap<String, i64>,
    bytes: usize,
}

/// One alias.
#[derive(Debug, Default)]
struct AliasHistory {
    changes: Vec<AliasChange>,
    /// The first and the last call that sent the alias, by the key that it named.
    seen: BTreeMap<String, TimeSpan>,
}

/// One change. The order of the fields is that of the changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct AliasChange {
    at: Option<i64>,
    kind: AliasChangeKind,
    event_id: String,
    /// The key that the alias names afterwards, of a deletion the one that it named.
    key_arn: Option<String>,
    by: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum AliasChangeKind {
    Create,
    Update,
    Delete,
}

impl AliasChangeKind {
    fn of(event_name: &str) -> Option<AliasChangeKind> {
        match event_name {
            "CreateAlias" => Some(AliasChangeKind::Create),
            "UpdateAlias" => Some(AliasChangeKind::Update),
            "DeleteAlias" => Some(AliasChangeKind::Delete),
            _ => None,
        }
    }
}

/// A time during which an alias named a key.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct AliasPeriod<'h> {
    from: Option<i64>,
    to: Option<i64>,
    key_arn: Option<&'h str>,
    set: Option<&'h AliasChange>,
}

impl AliasHistory {
    /// The periods in the order of time. Needs sorted changes.
    fn periods(&self) -> Vec<AliasPeriod<'_>> {
        let Some(first) = self.changes.first() else {
            return self
                .seen
                .keys()
                .map(|key| AliasPeriod { from: None, to: None, key_arn: Some(key), set: None })
                .collect();
        };
        let deleted = self.deleted_first(first);
        // An alias is there once: each creation and each deletion turns this over.
        let mut is_there = first.kind != AliasChangeKind::Create || !deleted.is_empty();
        let mut periods = self.periods_before(first, deleted);
        // From here on the next change ends them: after changes of one second there may be several.
        let mut open = 0;
        for tied in self.changes.chunk_by(|left, right| left.at == right.at) {
            for period in periods.iter_mut().skip(open) {
                period.to = tied[0].at;
            }
            open = periods.len();
            let (created, deleted) = tied.iter().fold((0, 0), |(created, deleted), change| match change.kind {
                AliasChangeKind::Create => (created + 1, deleted),
                AliasChangeKind::Update => (created, deleted),
                AliasChangeKind::Delete => (created, deleted + 1),
            });
            is_there = if created == deleted { is_there } else { created > deleted };
            let set = tied.iter().filter(|change| change.kind != AliasChangeKind::Delete);
            periods.extend(set.map(|change| AliasPeriod {
                from: change.at,
                to: change.at.filter(|_| !is_there),
                key_arn: change.key_arn.as_deref(),
                set: Some(change),
            }));
            if !is_there {
                open = periods.len();
            }
        }
        periods.extend(self.contradictions(&periods[open..]));
        periods
    }

    /// The keys that deletions of the first second tell of and no other change of that second made the alias name.
    fn deleted_first(&self, first: &AliasChange) -> Vec<Option<&str>> {
        let (deleted, set): (Vec<&AliasChange>, Vec<_>) = self
            .changes
            .iter()
            .take_while(|change| change.at == first.at)
            .partition(|change| change.kind == AliasChangeKind::Delete);
        let was_before = |change: &&AliasChange| set.iter().all(|other| other.key_arn != change.key_arn);
        deleted.into_iter().filter(was_before).map(|change| change.key_arn.as_deref()).collect()
    }

    /// Periods that the first change ended, with starts that are not here.
    fn periods_before<'h>(&'h self, first: &AliasChange, deleted: Vec<Option<&'h str>>) -> Vec<AliasPeriod<'h>> {
        let is_before = |span: &TimeSpan| span.first().zip(first.at).is_some_and(|(seen, changed)| seen < changed);
        let seen = self.seen.iter().filter(|(_, span)| is_before(span)).map(|(key, _)| Some(key.as_str()));
        let mut keys: Vec<Option<&str>> = seen.collect();
        // A deletion that does not tell its key adds nothing to what calls tell.
        let is_told = !keys.is_empty();
        keys.extend(deleted.into_iter().filter(|key| key.is_some() || !is_told));
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().map(|key_arn| AliasPeriod { from: None, to: None, key_arn, set: None }).collect()
    }

    /// Keys that the alias still named after its last change, by which it named others: a change is not in the logs.
    fn contradictions(&self, open: &[AliasPeriod<'_>]) -> Vec<AliasPeriod<'_>> {
        let last = self.changes.last().and_then(|change| change.at);
        let is_after = |span: &TimeSpan| span.last().zip(last).is_some_and(|(seen, changed)| seen > changed);
        let is_told = |key: &str| open.iter().any(|period| period.key_arn == Some(key));
        let seen = self.seen.iter().filter(|(key, span)| is_after(span) && !is_told(key));
        seen.map(|(key, _)| AliasPeriod { from: None, to: None, key_arn: Some(key), set: None }).collect()
    }
}

impl AllAliases {
    fn alias(&mut self, arn: &str) -> &mut AliasHistory {
        if !self.aliases.contains_key(arn) {
            self.bytes += ENTRY_BYTES + arn.len();
            self.aliases.insert(arn.to_owned(), AliasHistory::default());
        }
        self.aliases.get_mut(arn).expect("it was just put there")
    }

    fn delete_key(&mut self, key_arn: Option<&str>, at: Option<i64>) {
        let Some((key, at)) = key_arn.zip(at).filter(|_| self.interval.has_all_from(at)) else { return };
        self.bytes += ENTRY_BYTES + key.len();
        let first = self.deleted.entry(key.to_owned()).or_insert(at);
        *first = at.min(*first);
    }

    /// The end of a period: a key takes its aliases along.
    fn end_of(&self, period: &AliasPeriod<'_>) -> Option<i64> {
        let deleted = period.key_arn.and_then(|key| self.deleted.get(key).copied());
        let deleted = deleted.filter(|at| period.from.is_none_or(|from| from <= *at));
        period.to.into_iter().chain(deleted).min()
    }

    fn see(&mut self, alias_arn: &str, key_arn: &str, at: Option<i64>) {
        let alias = self.alias(alias_arn);
        if let Some(span) = alias.seen.get_mut(key_arn) {
            return span.note(at);
        }
        let mut span = TimeSpan::default();
        span.note(at);
        alias.seen.insert(key_arn.to_owned(), span);
        self.bytes += ENTRY_BYTES + key_arn.len();
    }
}

impl Derivation for AllAliases {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let batch = InputBatch::new("key_aliases", rows);
        let (aliases, keys) = (batch.texts("alias_arn")?, batch.texts("key_arn")?);
        let (times, ids) = (batch.times("event_time")?, batch.texts("event_id")?);
        let (changes, principals) = (batch.texts("alias_change")?, batch.texts("principal")?);
        for row in 0..batch.len() {
            let at = times.get(row);
            if changes.get(row) == Some("DeleteKey") {
                self.delete_key(keys.get(row), at);
                continue;
            }
            let Some(alias) = aliases.get(row).filter(|_| self.interval.has_all_from(at)) else { continue };
            match (changes.get(row).and_then(AliasChangeKind::of), keys.get(row)) {
                (None, None) => {}
                (None, Some(key)) => self.see(alias, key, at),
                (Some(kind), key) => {
                    let event_id = ids.owned(row).unwrap_or_default();
                    let (key_arn, by) = (key.map(str::to_owned), principals.owned(row));
                    let texts = event_id.len() + [&key_arn, &by].into_iter().flatten().map(String::len).sum::<usize>();
                    self.bytes += ENTRY_BYTES + texts;
                    self.alias(alias).changes.push(AliasChange { at, kind, event_id, key_arn, by });
                }
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes
    }

    fn finish(mut self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        self.aliases.values_mut().for_each(|history| history.changes.sort_unstable());
        for (arn, history) in &self.aliases {
            for period in history.periods() {
                rows.push([
                    arn.as_str().into(),
                    period.key_arn.into(),
                    OutputCell::Time(period.from),
                    OutputCell::Time(self.end_of(&period)),
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

    /// Records of the alias `a`, `TIME WHAT KEY` each, `See` a call that sent it, `Key` the deletion of a key; `-` is
    /// no key. Their ids are their places.
    fn aliases(interval: AskedInterval, records: &str) -> String {
        let records = records.split(", ").enumerate().map(|(place, record)| {
            let words: Vec<&str> = record.split(' ').collect();
            let change = if words[1] == "Key" { "DeleteKey".to_owned() } else { format!("{}Alias", words[1]) };
            batch(&[
                ("alias_arn", OutputCell::Text((words[1] != "Key").then_some("a"))),
                ("key_arn", OutputCell::Text((words[2] != "-").then_some(words[2]))),
                ("event_time", OutputCell::Time(words[0].parse().ok())),
                ("event_id", OutputCell::Text(Some(&format!("e{place}")))),
                ("principal", "p".into()),
                ("alias_change", OutputCell::Text((words[1] != "See").then_some(&change))),
            ])
        });
        lines(&assert_order_free(&KEY_ALIASES, interval, &records.collect::<Vec<_>>()))
    }

    #[test]
    fn an_alias_names_a_key_from_one_change_to_the_next() {
        for (records, wanted) in [
            ("1 Create k1, 5 Update k2, 9 Delete k2", "a k1 1 5 p e0; a k2 5 9 p e1"),
            ("9 Delete k2, 5 Update k2, 1 Create k1", "a k1 1 5 p e2; a k2 5 9 p e1"),
            // Calls prove a key without its start.
            ("3 See k1, 7 See k1", "a k1 - - - -"),
            ("3 See k1, 7 Update k2, 8 See k2", "a k1 - 7 - -; a k2 7 - p e1"),
            ("3 Create k1, 5 See k1", "a k1 3 - p e0"),
            // Seen only as it is deleted.
            ("5 Delete k1", "a k1 - 5 - -"),
            ("5 Delete -", "a - - 5 - -"),
            ("3 See k1, 5 Delete k1", "a k1 - 5 - -"),
            ("3 See k1, 5 Delete -", "a k1 - 5 - -"),
            // A call of the same second is not before the change.
            ("5 See k1, 5 Create k1", "a k1 5 - p e1"),
            ("5 See k1, 5 Update k2", "a k2 5 - p e1"),
            // Moved by deletion and creation within one second.
            ("1 Create k1, 5 Create k2, 5 Delete k1", "a k1 1 5 p e0; a k2 5 - p e1"),
            ("5 Create k2, 5 Delete k1", "a k1 - 5 - -; a k2 5 - p e0"),
            // Made and deleted within one second.
            ("5 Delete k1, 5 Create k1", "a k1 5 5 p e1"),
            // Two moves of one second: nobody can say which was the last, until the next change.
            (
                "1 Create k1, 5 Update k2, 5 Update k3, 9 Update k4",
                "a k1 1 5 p e0; a k2 5 9 p e1; a k3 5 9 p e2; a k4 9 - p e3",
            ),
            // Every change begins a period, also to the same key.
            ("1 Create k1, 5 Update k1", "a k1 1 5 p e0; a k1 5 - p e1"),
            // A change is not in the logs.
            ("1 Create k1, 5 See k2", "a k1 1 - p e0; a k2 - - - -"),
            ("3 See k2, 3 See k1", "a k1 - - - -; a k2 - - - -"),
            ("1 Create k1, 3 Delete k1, 5 See k1", "a k1 1 3 p e0; a k1 - - - -"),
            // A key takes its aliases along, and no other's.
            ("1 Create k1, 5 Key k1", "a k1 1 5 p e0"),
            ("1 Create k1, 5 Key k2", "a k1 1 - p e0"),
            ("3 See k1, 5 Key k1", "a k1 - 5 - -"),
            ("1 Create k1, 5 Key k1, 9 Create k2", "a k1 1 5 p e0; a k2 9 - p e2"),
            ("1 Create k1, 3 Update k2, 5 Key k1", "a k1 1 3 p e0; a k2 3 - p e1"),
        ] {
            assert_eq!(aliases(AskedInterval::default(), records), wanted, "{records}");
        }
    }

    #[test]
    fn unread_history_gives_fewer_rows_and_the_same_values() {
        let unread = AskedInterval { since: Some(10), until: None, earlier: EarlierHistory::NotRead };
        let read = AskedInterval { earlier: EarlierHistory::Read, ..unread };
        let records = "1 Create k1, 3 Update k2, 12 See k2, 15 Update k3";
        assert_eq!(aliases(unread, records), "a k2 - 15 - -; a k3 15 - p e3");
        assert_eq!(aliases(read, records), "a k1 1 3 p e0; a k2 3 15 p e1; a k3 15 - p e3");
    }
}
