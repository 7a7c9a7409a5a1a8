//! The times in which DynamoDB asked KMS for a principal and a table again and again.
//! In: successful uses of keys through DynamoDB, in any order. Out: one row a principal, table, key and window.
//! Never says that a window began in the interval where it may have begun before, and counts no use from outside it.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Bool, Int, Text, Timestamp};
use keytrail_rows::time::MICROS_PER_SECOND;

use super::input::InputBatch;
use super::output::{OutputCell, OutputRows, column};
use super::text_tuple::TextTuple;
use super::{AskedInterval, Derivation, DerivedTable, EarlierHistory, OutputColumn, RowTime};

pub(super) const DYNAMODB_ACCESS_WINDOWS: DerivedTable = DerivedTable {
    name: "dynamodb_access_windows",
    columns: COLUMNS,
    by: &["principal", "table_arn", "table_name", "key_arn"],
    unique: &[],
    time: RowTime::Through("started", "ended"),
    start: |interval| Box::new(AllWindows::of(*interval)),
};

const COLUMNS: &[OutputColumn] = &[
    column("principal", Text),
    column("table_arn", Text),
    column("table_name", Text),
    column("key_arn", Text),
    column("started", Timestamp),
    column("ended", Timestamp),
    column("open_until", Timestamp),
    column("key_calls", Int),
    column("carried_in", Bool),
];

/// Uses that lie further apart are of two windows.
pub(super) const APART_MAX: i64 = 360 * MICROS_PER_SECOND;
/// DynamoDB keeps a table's key for so long.
const KEPT: i64 = 300 * MICROS_PER_SECOND;

/// Rough size of a group without its texts.
const GROUP_BYTES: usize = 256;
/// Of a use, in a list that is half full.
const USE_BYTES: usize = 2 * size_of::<i64>();

/// A principal, the ARN and the name of a table, and a key.
type WindowGroupTexts = [Option<String>; 4];

/// The uses of one group.
#[derive(Debug, Default)]
struct GroupUses {
    texts: WindowGroupTexts,
    times: Vec<i64>,
    without_time: i64,
}

/// One window.
#[derive(Debug, PartialEq, Eq)]
struct AccessWindow {
    started: i64,
    ended: i64,
    key_calls: i64,
    carried_in: Option<bool>,
}

/// The windows of the interval, of uses in order of time.
fn windows(times: &[i64], interval: AskedInterval) -> Vec<AccessWindow> {
    let is_inside = |at: i64| interval.since.is_none_or(|since| since <= at);
    let mut windows: Vec<AccessWindow> = Vec::new();
    let mut last = None;
    for &at in times {
        let goes_on = last.is_some_and(|last| at - last <= APART_MAX);
        let began_outside = goes_on && last.is_some_and(|last| !is_inside(last));
        last = Some(at);
        if !is_inside(at) {
            continue;
        }
        if let Some(window) = windows.last_mut().filter(|_| goes_on && !began_outside) {
            window.ended = at;
            window.key_calls += 1;
            continue;
        }
        let may_be_older =
            interval.earlier == EarlierHistory::NotRead && interval.since.is_some_and(|since| at - since <= APART_MAX);
        let carried_in = if began_outside { Some(true) } else { (!may_be_older).then_some(false) };
        windows.push(AccessWindow { started: at, ended: at, key_calls: 1, carried_in });
    }
    windows
}

/// All uses so far.
#[derive(Debug)]
struct AllWindows {
    interval: AskedInterval,
    groups: HashMap<String, GroupUses>,
    tuple: TextTuple,
    /// Of the texts of all groups.
    text_bytes: usize,
    uses: usize,
}

impl AllWindows {
    fn of(interval: AskedInterval) -> AllWindows {
        AllWindows { interval, groups: HashMap::new(), tuple: TextTuple::default(), text_bytes: 0, uses: 0 }
    }
}

impl Derivation for AllWindows {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let rows = InputBatch::new("dynamodb_access_windows", rows);
        let columns =
            [rows.texts("principal")?, rows.texts("table_arn")?, rows.texts("table_name")?, rows.texts("key_arn")?];
        let times = rows.times("event_time")?;
        for row in 0..rows.len() {
            let texts = columns.map(|column| column.get(row));
            let place = self.tuple.of(&texts);
            if !self.groups.contains_key(place) {
                // They are in the group, and in its place.
                self.text_bytes += 2 * place.len();
                let texts = texts.map(|text| text.map(str::to_owned));
                self.groups.insert(place.to_owned(), GroupUses { texts, ..GroupUses::default() });
            }
            let group = self.groups.get_mut(place).expect("it was just put there");
            match times.get(row) {
                Some(at) => group.times.push(at),
                None => group.without_time += 1,
            }
        }
        self.uses += rows.len();
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.groups.len() * GROUP_BYTES + self.text_bytes + self.uses * USE_BYTES
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let groups: BTreeMap<WindowGroupTexts, (Vec<i64>, i64)> =
            self.groups.into_values().map(|group| (group.texts, (group.times, group.without_time))).collect();
        let mut rows = OutputRows::new(COLUMNS);
        for ([principal, table_arn, table_name, key_arn], (mut times, without_time)) in groups {
            times.sort_unstable();
            let mut push = |window: Option<&AccessWindow>, key_calls: i64| {
                rows.push([
                    (&principal).into(),
                    (&table_arn).into(),
                    (&table_name).into(),
                    (&key_arn).into(),
                    OutputCell::Time(window.map(|window| window.started)),
                    OutputCell::Time(window.map(|window| window.ended)),
                    OutputCell::Time(window.and_then(|window| window.ended.checked_add(KEPT))),
                    OutputCell::Count(Some(key_calls)),
                    OutputCell::Flag(window.and_then(|window| window.carried_in)),
                ])
            };
            for window in windows(&times, self.interval) {
                push(Some(&window), window.key_calls)?;
            }
            if without_time > 0 {
                push(None, without_time)?;
            }
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = MICROS_PER_SECOND;

    /// `STARTED..ENDED CALLS CARRIED_IN` for each window, in seconds.
    fn told(times: &[i64], since: Option<i64>, earlier: EarlierHistory) -> Vec<String> {
        let times: Vec<i64> = times.iter().map(|at| at * SECOND).collect();
        let interval = AskedInterval { since: since.map(|since| since * SECOND), until: None, earlier };
        let told = |window: &AccessWindow| {
            let carried_in = window.carried_in.map_or("?", |carried_in| if carried_in { "yes" } else { "no" });
            format!("{}..{} {} {carried_in}", window.started / SECOND, window.ended / SECOND, window.key_calls)
        };
        windows(&times, interval).iter().map(told).collect()
    }

    #[test]
    fn a_window_ends_after_360_seconds_of_silence() {
        for (times, expected) in [
            (&[0, 360][..], &["0..360 2 no"][..]),
            (&[0, 361], &["0..0 1 no", "361..361 1 no"]),
            (&[0, 0, 360, 720, 1081], &["0..720 4 no", "1081..1081 1 no"]),
            (&[], &[]),
        ] {
            assert_eq!(told(times, None, EarlierHistory::NotRead), expected, "{times:?}");
        }
    }

    #[test]
    fn a_window_tells_if_it_began_before_the_interval() {
        use EarlierHistory::{NotRead, Read};
        for (times, earlier, expected) in [
            // Long before the interval, and just before it.
            (&[100, 1000, 1100][..], Read, &["1000..1100 2 no"][..]),
            (&[100, 1000, 1100], NotRead, &["1000..1100 2 ?"]),
            (&[700, 1000, 1100], Read, &["1000..1100 2 yes"]),
            (&[640, 1000], Read, &["1000..1000 1 yes"]),
            (&[639, 1000], Read, &["1000..1000 1 no"]),
            (&[700, 1000, 1100], NotRead, &["1000..1100 2 yes"]),
            // Earlier uses in the same files tell of a window, and their absence tells nothing.
            (&[1360], NotRead, &["1360..1360 1 ?"]),
            (&[1361], NotRead, &["1361..1361 1 no"]),
            (&[1000, 1361], NotRead, &["1000..1000 1 ?", "1361..1361 1 no"]),
            (&[999], Read, &[]),
            (&[999, 1359, 1720], Read, &["1359..1359 1 yes", "1720..1720 1 no"]),
        ] {
            assert_eq!(told(times, Some(1000), earlier), expected, "{times:?} {earlier:?}");
        }
    }
}
