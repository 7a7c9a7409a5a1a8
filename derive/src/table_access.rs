//! Who reached which DynamoDB table by which operation on which day, and what the key's uses say to it.
//! In: DynamoDB's own records and its uses of keys in a principal's name, in any order. Out: one row a principal,
//! table, operation and day. Never joins by access keys or requests, which differ between the two, and takes no silence
//! for a reason.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Date, Int, Text};
use keytrail_rows::time::{MICROS_PER_DAY, MICROS_PER_SECOND};

use super::dynamodb_access_windows::APART_MAX as CACHED_MAX;
use super::input::{InputBatch, TextCells, TimeCells};
use super::output::{OutputCell, OutputRows, column};
use super::text_tuple::TextTuple;
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const TABLE_ACCESS: DerivedTable = DerivedTable {
    name: "table_access",
    columns: COLUMNS,
    by: &[],
    unique: &[],
    time: RowTime::None,
    start: |interval| Box::new(AllAccess::of(interval)),
};

const COLUMNS: &[OutputColumn] = &[
    column("principal", Text),
    column("table_arn", Text),
    column("table_name", Text),
    column("operation", Text),
    column("day", Date),
    column("calls", Int),
    column("denied", Int),
    column("evidence", Text),
    column("orphan", Text),
    column("orphan_reason", Text),
];

/// The record of an access may be so much older than that of the use of the key which it causes.
const CLOCKS_APART_MAX: i64 = 5 * MICROS_PER_SECOND;

/// Rough sizes of a group and a session without their texts, of an operation on a day, and of a moment in a list that
/// is half full.
const GROUP_BYTES: usize = 512;
const OPERATION_BYTES: usize = 256;
const SESSION_BYTES: usize = 64;
const MOMENT_BYTES: usize = 2 * size_of::<SessionMoment>();
/// Lists shorter than this are not looked through for what is there twice.
const REPEATS_MIN: usize = 4096;

/// The number of a session in its group, and a time.
type SessionMoment = (u32, i64);

/// A principal, and the ARN and the name of a table.
type AccessGroupTexts = [Option<String>; 3];

/// Moments of which it matters only that they are there.
#[derive(Debug, Default)]
struct MomentSet {
    moments: Vec<SessionMoment>,
    /// The length at which repeats are removed.
    full: usize,
}

impl MomentSet {
    /// Takes in a moment, and gives by how many the set has grown; less than none where repeats were removed.
    fn add(&mut self, moment: SessionMoment) -> isize {
        let before = self.moments.len() as isize;
        self.moments.push(moment);
        if self.moments.len() > self.full.max(REPEATS_MIN) {
            self.moments.sort_unstable();
            self.moments.dedup();
            self.full = 2 * self.moments.len();
        }
        self.moments.len() as isize - before
    }
}

/// The calls of one operation on one day.
#[derive(Debug, Default)]
struct OperationDay {
    calls: i64,
    denied: i64,
    is_data: bool,
    /// Successful accesses that need the key.
    accesses: MomentSet,
}

/// All of one principal at one table.
#[derive(Debug, Default)]
struct GroupAccess {
    texts: AccessGroupTexts,
    /// The numbers of sessions, by `principal_id` and the time of their start; those without an id are one.
    sessions: HashMap<String, BTreeMap<Option<i64>, u32>>,
    session_count: usize,
    operations: HashMap<String, BTreeMap<Option<i32>, OperationDay>>,
    /// Uses of the key in the interval by operation of KMS, and how many have no time.
    key_uses: BTreeMap<String, (Vec<SessionMoment>, i64)>,
    /// Uses of the key just before the interval.
    earlier_uses: Vec<SessionMoment>,
    /// The times of all data events and changes of the table, whatever came of them, those just before the interval
    /// too.
    causes: MomentSet,
    has_data_events: bool,
    /// Of all operations.
    days: usize,
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct AccessRow<'a> {
    operation: &'a str,
    day: Option<i32>,
    calls: i64,
    denied: i64,
    evidence: &'static str,
    orphan: Option<&'static str>,
    reason: Option<&'static str>,
}

/// One call, as the input has it.
#[derive(Debug, Clone, Copy)]
struct TableCall<'a> {
    kind: CallKind,
    operation: &'a str,
    at: Option<i64>,
    outcome: Option<&'a str>,
}

/// The kinds of calls at a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallKind {
    KeyUse,
    DataEvent,
    TableChange,
    TableRead,
}

impl CallKind {
    fn named(name: &str) -> Option<CallKind> {
        match name {
            "key_use" => Some(CallKind::KeyUse),
            "data_event" => Some(CallKind::DataEvent),
            "table_change" => Some(CallKind::TableChange),
            "table_read" => Some(CallKind::TableRead),
            _ => None,
        }
    }
}

fn day_of(at: Option<i64>) -> Option<i32> {
    i32::try_from(at?.div_euclid(MICROS_PER_DAY)).ok()
}

impl GroupAccess {
    /// Takes in a call of the interval, or one from before it that may be the other side of one; gives the growth in
    /// moments.
    fn take(&mut self, call: TableCall<'_>, session: u32, since: Option<i64>) -> isize {
        if let Some((at, _)) = call.at.zip(since).filter(|(at, since)| at < since) {
            match call.kind {
                CallKind::KeyUse => self.earlier_uses.push((session, at)),
                CallKind::DataEvent | CallKind::TableChange => return self.causes.add((session, at)),
                CallKind::TableRead => return 0,
            }
            return 1;
        }
        if call.kind == CallKind::KeyUse {
            if !self.key_uses.contains_key(call.operation) {
                self.key_uses.insert(call.operation.to_owned(), (Vec::new(), 0));
            }
            let (uses, without_time) = self.key_uses.get_mut(call.operation).expect("it was just put there");
            match call.at {
                Some(at) => uses.push((session, at)),
                None => *without_time += 1,
            }
            return 1;
        }
        self.take_record(call, session)
    }

    fn take_record(&mut self, call: TableCall<'_>, session: u32) -> isize {
        if !self.operations.contains_key(call.operation) {
            self.operations.insert(call.operation.to_owned(), BTreeMap::new());
        }
        let days = self.operations.get_mut(call.operation).expect("it was just put there");
        let day = days.entry(day_of(call.at)).or_default();
        self.days += usize::from(day.calls == 0);
        day.calls += 1;
        day.denied += i64::from(call.outcome == Some("denied"));
        day.is_data |= call.kind == CallKind::DataEvent;
        self.has_data_events |= call.kind == CallKind::DataEvent;
        let Some(at) = call.at.filter(|_| call.kind != CallKind::TableRead) else { return 0 };
        let grown = self.causes.add((session, at));
        match call.outcome {
            Some("success") => grown + day.accesses.add((session, at)),
            _ => grown,
        }
    }

    /// The number of the session of a call, and the size of a new one.
    fn session(&mut self, id: &str, created: Option<i64>) -> (u32, usize) {
        let next = u32::try_from(self.session_count).unwrap_or(u32::MAX);
        if !self.sessions.contains_key(id) {
            self.sessions.insert(id.to_owned(), BTreeMap::new());
        }
        let of_id = self.sessions.get_mut(id).expect("it was just put there");
        if let Some(known) = of_id.get(&created) {
            return (*known, 0);
        }
        of_id.insert(created, next);
        self.session_count += 1;
        (next, SESSION_BYTES + id.len())
    }

    /// Takes the sessions of an id for one where a call does not tell when its session began.
    fn settle(&mut self) {
        let vague = self.sessions.values().filter(|of_id| of_id.len() > 1 && of_id.contains_key(&None));
        let one: HashMap<u32, u32> =
            vague.flat_map(|of_id| of_id.values().map(|session| (*session, of_id[&None]))).collect();
        if one.is_empty() {
            return;
        }
        let days = self.operations.values_mut().flat_map(|days| days.values_mut());
        let uses = self.key_uses.values_mut().map(|(uses, _)| uses).chain([&mut self.earlier_uses]);
        let lists = days.map(|day| &mut day.accesses.moments).chain(uses).chain([&mut self.causes.moments]);
        for (session, _) in lists.flatten() {
            *session = one.get(session).copied().unwrap_or(*session);
        }
    }

    /// The rows of the group, in order.
    fn rows(&self, around: &AccessSurroundings<'_>) -> Vec<AccessRow<'_>> {
        let uses = GroupKeyUses::of(self);
        let mut rows = Vec::new();
        for (operation, days) in &self.operations {
            for (day, calls) in days {
                let matched = uses.matched(calls, around);
                let (alone, orphan) = match calls.is_data {
                    true => ("data_event", matched.orphan.then_some("no_key_use")),
                    false => ("management_event", None),
                };
                rows.push(AccessRow {
                    operation,
                    day: *day,
                    calls: calls.calls,
                    denied: calls.denied,
                    evidence: if matched.any { "both" } else { alone },
                    orphan,
                    reason: matched.reason.filter(|_| orphan.is_some()),
                });
            }
        }
        rows.extend(self.unexplained_uses(around));
        rows.sort_by_key(|row| (row.operation, row.day));
        rows
    }

    /// The uses of the key without a record of DynamoDB's, by operation and day.
    fn unexplained_uses(&self, around: &AccessSurroundings<'_>) -> Vec<AccessRow<'_>> {
        let mut causes = self.causes.moments.clone();
        causes.sort_unstable();
        let is_of_service = self.texts[0].as_deref().is_some_and(|principal| principal.starts_with("service:"));
        let reason = match (is_of_service, self.has_data_events) {
            (true, _) => Some("background_service"),
            (false, false) => Some("data_events_not_logged"),
            (false, true) => None,
        };
        let mut rows = Vec::new();
        for (operation, (uses, without_time)) in &self.key_uses {
            // By day: all, and those among them whose other side was looked for.
            let mut days: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
            for (session, at) in uses {
                if !has_any(&causes, *session, at - CLOCKS_APART_MAX, at + CACHED_MAX) {
                    let (all, orphans) = days.entry(day_of(Some(*at)).unwrap_or_default()).or_default();
                    *all += 1;
                    *orphans += i64::from(!around.is_at_a_border(*at));
                }
            }
            let row = |day: Option<i32>, calls: i64, orphans: i64| {
                let (orphan, reason) = if orphans > 0 { (Some("no_data_event"), reason) } else { (None, None) };
                AccessRow { operation, day, calls, denied: 0, evidence: "key_use", orphan, reason }
            };
            rows.extend(days.into_iter().map(|(day, (calls, orphans))| row(Some(day), calls, orphans)));
            rows.extend((*without_time > 0).then(|| row(None, *without_time, 0)));
        }
        rows
    }
}

/// True if a sorted list has a moment of the session between two times, both included.
fn has_any(moments: &[SessionMoment], session: u32, from: i64, to: i64) -> bool {
    let first = moments.partition_point(|moment| *moment < (session, from));
    moments.get(first).is_some_and(|moment| *moment <= (session, to))
}

/// The uses of the key that accesses of one group are held against, each in order.
struct GroupKeyUses<'a> {
    group: &'a GroupAccess,
    inside: Vec<SessionMoment>,
    before: Vec<SessionMoment>,
    /// Those inside, whatever the session.
    of_any: Vec<SessionMoment>,
}

/// The word of the uses of the key on the accesses of an operation on a day.
#[derive(Debug, Default, PartialEq, Eq)]
struct MatchedAccess {
    any: bool,
    orphan: bool,
    reason: Option<&'static str>,
}

impl<'a> GroupKeyUses<'a> {
    fn of(group: &'a GroupAccess) -> GroupKeyUses<'a> {
        let mut inside: Vec<SessionMoment> = group.key_uses.values().flat_map(|(uses, _)| uses).copied().collect();
        inside.sort_unstable();
        let mut of_any: Vec<SessionMoment> = inside.iter().map(|(_, at)| (0, *at)).collect();
        of_any.sort_unstable();
        let mut before = group.earlier_uses.clone();
        before.sort_unstable();
        GroupKeyUses { group, inside, before, of_any }
    }

    fn matched(&self, calls: &OperationDay, around: &AccessSurroundings<'_>) -> MatchedAccess {
        let mut matched = MatchedAccess::default();
        let mut reasons: Option<Option<&'static str>> = None;
        for (session, at) in &calls.accesses.moments {
            let (from, to) = (at - CACHED_MAX, at + CLOCKS_APART_MAX);
            if has_any(&self.inside, *session, from, to) {
                matched.any = true;
                continue;
            }
            if around.is_before_the_end(*at) {
                continue;
            }
            matched.orphan = true;
            let reason = if has_any(&self.of_any, 0, from, to) {
                Some("key_cached_for_other_session")
            } else if around.is_aws_owned(&self.group.texts, *at) {
                Some("key_is_aws_owned")
            } else if has_any(&self.before, *session, from, to) {
                Some("key_cached_from_before")
            } else {
                around.is_at_the_start(*at).then_some("log_does_not_reach_back")
            };
            // Different reasons are none that the whole day has.
            reasons = Some(reasons.map_or(reason, |known| known.filter(|known| Some(*known) == reason)));
        }
        matched.reason = reasons.flatten();
        matched
    }
}

/// All that the reasons of a group depend on beside its own calls.
struct AccessSurroundings<'a> {
    /// The first moment that was read, where no interval cuts it off.
    first: Option<i64>,
    /// The interval: the other side of a call at its border may lie beyond.
    since: Option<i64>,
    until: Option<i64>,
    /// The times from which and until which a table was under a key that AWS owns, by its ARN, else its name.
    aws_owned: &'a HashMap<String, Vec<(i64, i64)>>,
}

impl AccessSurroundings<'_> {
    fn is_at_the_start(&self, at: i64) -> bool {
        self.first.is_some_and(|first| at - first <= CACHED_MAX)
    }

    /// True at the end of the interval: the record of what such a call needs may be later.
    fn is_before_the_end(&self, at: i64) -> bool {
        self.until.is_some_and(|until| until.saturating_sub(at) <= CLOCKS_APART_MAX)
    }

    fn is_at_a_border(&self, at: i64) -> bool {
        self.is_before_the_end(at) || self.since.is_some_and(|since| at.saturating_sub(since) <= CLOCKS_APART_MAX)
    }

    fn is_aws_owned(&self, [_, table_arn, table_name]: &AccessGroupTexts, at: i64) -> bool {
        let periods = table_arn.as_ref().or(table_name.as_ref()).and_then(|table| self.aws_owned.get(table));
        let Some(periods) = periods else { return false };
        let next = periods.partition_point(|(from, _)| *from <= at);
        next.checked_sub(1).is_some_and(|last| at < periods[last].1)
    }
}

/// All accesses so far.
#[derive(Debug)]
struct AllAccess {
    since: Option<i64>,
    until: Option<i64>,
    groups: HashMap<String, GroupAccess>,
    tuple: TextTuple,
    first: Option<i64>,
    aws_owned: HashMap<String, Vec<(i64, i64)>>,
    moments: isize,
    /// Of groups and sessions, with their texts.
    text_bytes: usize,
    days: usize,
}

impl AllAccess {
    fn of(interval: &AskedInterval) -> AllAccess {
        AllAccess {
            since: interval.since,
            until: interval.until,
            groups: HashMap::new(),
            tuple: TextTuple::default(),
            first: None,
            aws_owned: HashMap::new(),
            moments: 0,
            text_bytes: 0,
            days: 0,
        }
    }

    fn take_call(&mut self, columns: &TableCallColumns<'_>, row: usize, kind: CallKind) {
        let texts = [columns.principal.get(row), columns.table_arn.get(row), columns.table_name.get(row)];
        let call = TableCall {
            kind,
            operation: columns.operation.get(row).unwrap_or_default(),
            at: columns.event_time.get(row),
            outcome: columns.outcome.get(row),
        };
        self.first = self.first.into_iter().chain(call.at).min();
        let place = self.tuple.of(&texts);
        if !self.groups.contains_key(place) {
            // They are in the group, and in its place.
            self.text_bytes += GROUP_BYTES + 2 * place.len();
            let texts = texts.map(|text| text.map(str::to_owned));
            self.groups.insert(place.to_owned(), GroupAccess { texts, ..GroupAccess::default() });
        }
        let group = self.groups.get_mut(place).expect("it was just put there");
        let id = columns.principal_id.get(row).unwrap_or_default();
        let (session, bytes) = group.session(id, columns.session_created.get(row));
        self.text_bytes += bytes;
        let before = group.days;
        self.moments += group.take(call, session, self.since);
        self.days += group.days - before;
    }

    fn take_aws_owned(&mut self, columns: &TableCallColumns<'_>, row: usize) {
        let table = columns.table_arn.get(row).or_else(|| columns.table_name.get(row));
        if let Some((table, from)) = table.zip(columns.event_time.get(row)) {
            let until = columns.ended.get(row).unwrap_or(i64::MAX);
            self.aws_owned.entry(table.to_owned()).or_default().push((from, until));
        }
    }
}

/// The columns of one batch of the input.
struct TableCallColumns<'a> {
    kind: TextCells<'a>,
    principal: TextCells<'a>,
    principal_id: TextCells<'a>,
    session_created: TimeCells<'a>,
    table_arn: TextCells<'a>,
    table_name: TextCells<'a>,
    operation: TextCells<'a>,
    event_time: TimeCells<'a>,
    ended: TimeCells<'a>,
    outcome: TextCells<'a>,
}

impl<'a> TableCallColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<TableCallColumns<'a>, ArrowError> {
        Ok(TableCallColumns {
            kind: rows.texts("kind")?,
            principal: rows.texts("principal")?,
            principal_id: rows.texts("principal_id")?,
            session_created: rows.times("session_created")?,
            table_arn: rows.texts("table_arn")?,
            table_name: rows.texts("table_name")?,
            operation: rows.texts("operation")?,
            event_time: rows.times("event_time")?,
            ended: rows.times("ended")?,
            outcome: rows.texts("outcome")?,
        })
    }
}

impl Derivation for AllAccess {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let columns = TableCallColumns::of(InputBatch::new("table_access", rows))?;
        for row in 0..rows.num_rows() {
            match columns.kind.get(row) {
                Some("aws_owned") => self.take_aws_owned(&columns, row),
                kind => {
                    if let Some(kind) = kind.and_then(CallKind::named) {
                        self.take_call(&columns, row, kind);
                    }
                }
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.text_bytes + self.days * OPERATION_BYTES + usize::try_from(self.moments).unwrap_or_default() * MOMENT_BYTES
    }

    fn finish(mut self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        self.aws_owned.values_mut().for_each(|periods| periods.sort_unstable());
        let around = AccessSurroundings {
            first: self.first.filter(|_| self.since.is_none()),
            since: self.since,
            until: self.until,
            aws_owned: &self.aws_owned,
        };
        self.groups.values_mut().for_each(GroupAccess::settle);
        let mut groups: Vec<&GroupAccess> = self.groups.values().collect();
        groups.sort_unstable_by_key(|group| &group.texts);
        let mut rows = OutputRows::new(COLUMNS);
        for group in groups {
            let [principal, table_arn, table_name] = &group.texts;
            for row in group.rows(&around) {
                rows.push([
                    principal.into(),
                    table_arn.into(),
                    table_name.into(),
                    row.operation.into(),
                    OutputCell::Day(row.day),
                    OutputCell::Count(Some(row.calls)),
                    OutputCell::Count(Some(row.denied)),
                    row.evidence.into(),
                    row.orphan.into(),
                    row.reason.into(),
                ])?;
            }
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::EarlierHistory;
    use super::super::input::tests::{batch, lines};
    use super::*;

    const COLUMNS_OF_INPUT: [&str; 10] = [
        "kind",
        "principal",
        "principal_id",
        "session_created",
        "table_arn",
        "table_name",
        "operation",
        "event_time",
        "ended",
        "outcome",
    ];

    /// Calls are `KIND SESSION[@START] OPERATION SECONDS [OUTCOME]`, and `owned FROM UNTIL` is a period under a key of
    /// AWS's own.
    fn derived(calls: &mut dyn Iterator<Item = &&str>, since: Option<i64>) -> Vec<String> {
        derived_of(calls, (since, None))
    }

    fn derived_of(calls: &mut dyn Iterator<Item = &&str>, interval: (Option<i64>, Option<i64>)) -> Vec<String> {
        let [since, until] = [interval.0, interval.1].map(|bound| bound.map(|bound| bound * MICROS_PER_SECOND));
        let interval = AskedInterval { since, until, earlier: EarlierHistory::NotRead };
        let mut access = Box::new(AllAccess::of(&interval));
        for call in calls {
            let words: Vec<&str> = call.split(' ').collect();
            let cells = match words[0] {
                "owned" => ["aws_owned", "-", "-", "-", "arn", "orders", "-", words[1], words[2], "-"],
                kind => {
                    let principal = if words[1] == "service" { "service:dynamodb.amazonaws.com" } else { "app" };
                    let outcome = words.get(4).copied().unwrap_or("success");
                    let (session, start) = words[1].split_once('@').unwrap_or((words[1], "-"));
                    [kind, principal, session, start, "arn", "orders", words[2], words[3], "-", outcome]
                }
            };
            access.take(&batch(COLUMNS_OF_INPUT, &[cells])).unwrap();
        }
        assert!(access.bytes_held() < 10_000);
        let lines = lines(&access.finish().unwrap());
        lines.into_iter().map(|line| line.replace(" arn orders", "").replace("1970-01-", "")).collect()
    }

    #[test]
    fn one_use_of_a_key_explains_what_follows_it() {
        for (calls, expected) in [
            // The clocks of two services, and the time that DynamoDB keeps a key.
            (&["data_event s GetItem 1000", "key_use s kms:Decrypt 1005"][..], &["app GetItem 01 1 0 both - -"][..]),
            (&["data_event s GetItem 1360", "key_use s kms:Decrypt 1000"], &["app GetItem 01 1 0 both - -"]),
            // A session is its id and its start, as far as both tell it.
            (
                &["data_event s@900 GetItem 1000", "key_use s@100 kms:Decrypt 990"],
                &[
                    "app GetItem 01 1 0 data_event no_key_use key_cached_for_other_session",
                    "app kms:Decrypt 01 1 0 key_use no_data_event -",
                ],
            ),
            (&["data_event s GetItem 1000", "key_use s@100 kms:Decrypt 990"], &["app GetItem 01 1 0 both - -"]),
            (
                &["data_event s GetItem 1361", "key_use s kms:Decrypt 1000"],
                &["app GetItem 01 1 0 data_event no_key_use -", "app kms:Decrypt 01 1 0 key_use no_data_event -"],
            ),
            (
                &["data_event s GetItem 1000", "key_use s kms:Decrypt 1006"],
                &[
                    "app GetItem 01 1 0 data_event no_key_use log_does_not_reach_back",
                    "app kms:Decrypt 01 1 0 key_use no_data_event -",
                ],
            ),
            // Several of one use; one that is not.
            (
                &[
                    "key_use s kms:Decrypt 1000",
                    "data_event s GetItem 1001",
                    "data_event s Query 1200",
                    "data_event s Query 1300 denied",
                    "data_event s Query 2000",
                ],
                &["app GetItem 01 1 0 both - -", "app Query 01 3 1 both no_key_use -"],
            ),
            // Calls that need no key, or never got that far.
            (
                &[
                    "table_read s DescribeTable 1000",
                    "data_event s GetItem 1001 denied",
                    "data_event s GetItem 90000 denied",
                ],
                &[
                    "app DescribeTable 01 1 0 management_event - -",
                    "app GetItem 01 1 1 data_event - -",
                    "app GetItem 02 1 1 data_event - -",
                ],
            ),
            // A call that fails in DynamoDB may have used the key.
            (
                &["data_event s PutItem 1000 other_error", "key_use s kms:Decrypt 1000"],
                &["app PutItem 01 1 0 data_event - -"],
            ),
            // A description explains no use of the key, and a change of the table does.
            (
                &["table_read s DescribeTable 1000", "key_use s kms:Decrypt 1000"],
                &[
                    "app DescribeTable 01 1 0 management_event - -",
                    "app kms:Decrypt 01 1 0 key_use no_data_event data_events_not_logged",
                ],
            ),
            (
                &["table_change s CreateBackup 1000", "key_use s kms:Decrypt 1001"],
                &["app CreateBackup 01 1 0 both - -"],
            ),
            (&["table_change s CreateBackup 1000"], &["app CreateBackup 01 1 0 management_event - -"]),
            (
                &["key_use service kms:Decrypt 1000", "key_use service kms:Decrypt 1000"],
                &["service:dynamodb.amazonaws.com kms:Decrypt 01 2 0 key_use no_data_event background_service"],
            ),
            // Another session's use is told as such.
            (
                &["key_use one kms:Decrypt 1000", "data_event two GetItem 1100", "data_event one GetItem 1001"],
                &["app GetItem 01 2 0 both no_key_use key_cached_for_other_session"],
            ),
            // Different reasons are none.
            (
                &["key_use one kms:Decrypt 1000", "data_event two GetItem 1100", "data_event one GetItem 5000"],
                &["app GetItem 01 2 0 data_event no_key_use -", "app kms:Decrypt 01 1 0 key_use no_data_event -"],
            ),
            (
                &["owned 0 1000", "data_event s GetItem 999", "data_event s PutItem 1000"],
                &[
                    "app GetItem 01 1 0 data_event no_key_use key_is_aws_owned",
                    "app PutItem 01 1 0 data_event no_key_use log_does_not_reach_back",
                ],
            ),
            // Without a time nothing is joined.
            (
                &["data_event s GetItem -", "key_use s kms:Decrypt -"],
                &["app GetItem - 1 0 data_event - -", "app kms:Decrypt - 1 0 key_use - -"],
            ),
        ] {
            assert_eq!(derived(&mut calls.iter(), None), expected, "{calls:?}");
            assert_eq!(derived(&mut calls.iter().rev(), None), expected, "{calls:?}");
        }
    }

    #[test]
    fn facts_are_of_the_interval_and_history_gives_reasons() {
        let inside = ["data_event s GetItem 1100", "key_use s kms:Decrypt 1400"];
        let expected = |reason: &str| {
            [
                format!("app GetItem 01 1 0 data_event no_key_use {reason}"),
                "app kms:Decrypt 01 1 0 key_use no_data_event -".to_owned(),
            ]
        };
        assert_eq!(derived(&mut inside.iter(), Some(1000)), expected("-"));
        for (earlier, reason) in [
            ("key_use s kms:Decrypt 900", "key_cached_from_before"),
            ("key_use s kms:Decrypt 739", "-"),
            ("key_use other kms:Decrypt 900", "-"),
            ("data_event s GetItem 999", "-"),
            ("table_read s DescribeTable 999", "-"),
        ] {
            let all = [earlier].into_iter().chain(inside).collect::<Vec<_>>();
            assert_eq!(derived(&mut all.iter(), Some(1000)), expected(reason), "{earlier}");
        }
    }

    #[test]
    fn the_other_side_of_a_call_may_lie_beyond_the_border() {
        let decrypt = |orphan: &str| format!("app kms:Decrypt 01 1 0 key_use {orphan} -");
        let get = |orphan: &str| format!("app GetItem 01 1 0 data_event {orphan} -");
        let reason = "data_events_not_logged";
        for (calls, expected) in [
            (&["data_event s GetItem 998", "key_use s kms:Decrypt 1001"][..], vec![]),
            (&["table_change s CreateBackup 998", "key_use s kms:Decrypt 1001"], vec![]),
            // A description explains no use of the key, but who knows what else was before.
            (&["table_read s DescribeTable 998", "key_use s kms:Decrypt 1001"], vec![decrypt("-")]),
            (&["key_use s kms:Decrypt 1005"], vec![decrypt("-")]),
            (&["key_use s kms:Decrypt 1006"], vec![decrypt("no_data_event").replace(" -", &format!(" {reason}"))]),
            (
                &["data_event s GetItem 998", "key_use s kms:Decrypt 1006"],
                vec![decrypt("no_data_event").replace(" -", &format!(" {reason}"))],
            ),
            (&["data_event s GetItem 1994"], vec![get("no_key_use")]),
            (&["data_event s GetItem 1995"], vec![get("-")]),
            (&["key_use s kms:Decrypt 1994"], vec![decrypt("no_data_event").replace(" -", &format!(" {reason}"))]),
            (&["key_use s kms:Decrypt 1995"], vec![decrypt("-")]),
        ] {
            assert_eq!(derived_of(&mut calls.iter(), (Some(1000), Some(2000))), expected, "{calls:?}");
        }
    }

    #[test]
    fn many_calls_of_one_second_are_held_once() {
        let mut set = MomentSet::default();
        let grown: isize = (0..1_000_000).map(|number| set.add((0, number % 100))).sum();
        assert!(set.moments.len() <= REPEATS_MIN + 1);
        assert_eq!(usize::try_from(grown), Ok(set.moments.len()));
    }
}
