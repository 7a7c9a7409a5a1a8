//! The hours in which objects have records, by account and Region: the rows of the table of hours.
//! In: rows as they pass the scope, the fates of those that turn out to be copies, and outcomes of objects. Out: one row
//! for each object, account, Region and hour.
//! Never counts a copy as kept, and never leaves out an object that was read: one without a kept record has the hour of its
//! name.

use std::collections::HashMap;

use super::seen::SeenPlace;
use crate::objects::{Counts, Delivery, ObjectOutcome};
use crate::time::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_SECOND, event_day};

/// Records are delivered within minutes and redelivered for a month; one of another time is counted apart.
const BEFORE_DELIVERY_MAX: i64 = 31 * MICROS_PER_DAY;
const AFTER_DELIVERY_MAX: i64 = MICROS_PER_DAY;

/// The time before a delivery in which its records lie, as a rule.
const DELIVERY_TIME: i64 = 15 * 60 * MICROS_PER_SECOND;

/// Hours and places that one object is counted in; what is beyond them is counted apart.
const OBJECT_HOURS_MAX: usize = 1 << 16;
const OBJECT_PLACES_MAX: usize = 64;

/// The hour in which a record counts, since 1970; `None` where it is counted apart.
pub fn counted_hour(time: Option<i64>, delivered: Option<i64>) -> Option<i32> {
    let time = time.filter(|time| event_day(*time).is_some())?;
    let is_near = |delivered: i64| {
        (delivered.saturating_sub(BEFORE_DELIVERY_MAX)..=delivered.saturating_add(AFTER_DELIVERY_MAX)).contains(&time)
    };
    if delivered.is_some_and(|delivered| !is_near(delivered)) {
        return None;
    }
    i32::try_from(time.div_euclid(MICROS_PER_HOUR)).ok()
}

/// One object in one hour of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HourTally {
    pub object: u32,
    /// Number of its place in the list beside it.
    place: u32,
    pub hour: Option<i32>,
    /// `None` where nothing of the object could be read.
    pub records: Option<u32>,
    pub key_reads: u32,
    pub faults: u32,
}

/// Tallies of some objects, and the places that they name.
#[derive(Debug, Default)]
pub struct HourTallies {
    places: Vec<SeenPlace>,
    known: HashMap<SeenPlace, u32>,
    rows: Vec<HourTally>,
}

impl HourTallies {
    fn place(&mut self, place: &SeenPlace) -> u32 {
        if let Some(known) = self.known.get(place) {
            return *known;
        }
        let number = self.places.len() as u32;
        self.places.push(place.clone());
        self.known.insert(place.clone(), number);
        number
    }

    /// The account and the Region of a row.
    pub(super) fn place_of(&self, row: &HourTally) -> &SeenPlace {
        &self.places[row.place as usize]
    }

    /// Adds the rows of a part. Returns the number of the first of them.
    pub(super) fn absorb(&mut self, part: HourTallies) -> usize {
        let places: Vec<u32> = part.places.iter().map(|place| self.place(place)).collect();
        let first = self.rows.len();
        self.rows.extend(part.rows.into_iter().map(|row| HourTally { place: places[row.place as usize], ..row }));
        first
    }

    /// Takes back records that are copies of others.
    pub(super) fn take_back(&mut self, row: usize, copies: u64) {
        let records = &mut self.rows[row].records;
        *records = records.map(|records| records.saturating_sub(u32::try_from(copies).unwrap_or(u32::MAX)));
    }

    /// One row for each object, place and hour, in this order.
    pub(super) fn merged(&self) -> Vec<HourTally> {
        let mut rows = self.rows.clone();
        let key = |row: &HourTally| (row.object, &self.places[row.place as usize], row.hour);
        rows.sort_by(|a, b| key(a).cmp(&key(b)));
        rows.dedup_by(|next, row| {
            let is_same = key(next) == key(row);
            if is_same {
                row.records = row.records.zip(next.records).map(|(a, b)| a + b).or(row.records).or(next.records);
                row.key_reads += next.key_reads;
                row.faults = row.faults.max(next.faults);
            }
            is_same
        });
        rows
    }
}

/// The hours of the rows of a part.
#[derive(Debug, Default)]
pub(super) struct PartHours {
    pub tallies: HourTallies,
    /// The row of the tallies that counts each counted row: of all up to this number, from the last entry on.
    pub runs: Vec<(u32, u32)>,
    counted: u32,
}

/// The rows of the tallies of a part, by the rows that they count.
pub(super) fn counting_rows(runs: &[(u32, u32)]) -> impl Iterator<Item = u32> + '_ {
    let begins = std::iter::once(0).chain(runs.iter().map(|(end, _)| *end));
    begins.zip(runs).flat_map(|(begin, (end, row))| (begin..*end).map(move |_| *row))
}

/// The number of a place of an object, and an hour.
type HourKey = (usize, Option<i32>);

/// The hours of the object under way.
pub(super) struct ObjectHours<'u> {
    object: u32,
    delivery: Option<Delivery<'u>>,
    places: Vec<SeenPlace>,
    /// The part, by its number, and the row there that counts a place and an hour.
    rows: HashMap<HourKey, (u64, u32)>,
    /// The last of them: records mostly follow those of their hour.
    last: Option<(HourKey, (u64, u32))>,
    /// True once a record was left out by the filter: it counts in the hour of the object's name.
    pub is_screened: bool,
}

/// The part under way, and its number.
pub(super) struct PartUnderWay<'p> {
    pub number: u64,
    pub hours: &'p mut PartHours,
}

impl<'u> ObjectHours<'u> {
    pub fn of(object: u32, uri: &'u str) -> ObjectHours<'u> {
        let delivery = Delivery::of(uri);
        ObjectHours { object, delivery, places: Vec::new(), rows: HashMap::new(), last: None, is_screened: false }
    }

    /// Counts a row of an answer.
    pub fn count(&mut self, part: &mut PartUnderWay<'_>, found: &CountedRow<'_>) {
        let row = self.note(part, found);
        let tally = &mut part.hours.tallies.rows[row as usize];
        tally.records = Some(tally.records.unwrap_or(0) + 1);
        part.hours.counted += 1;
        match part.hours.runs.last_mut() {
            Some((end, last)) if *last == row => *end = part.hours.counted,
            _ => part.hours.runs.push((part.hours.counted, row)),
        }
    }

    /// Notes that the object has a row of an hour, which may be of no answer. Returns the row of the part that counts it.
    pub fn note(&mut self, part: &mut PartUnderWay<'_>, found: &CountedRow<'_>) -> u32 {
        let place = self.place(found.account, found.region);
        let hour = counted_hour(found.time, self.delivery.map(|delivery| delivery.micros));
        let row = self.row(part, (place, hour));
        let tally = &mut part.hours.tallies.rows[row as usize];
        tally.records = Some(tally.records.unwrap_or(0));
        tally.key_reads += u32::from(found.is_key_read);
        row
    }

    /// The number of a place. Most rows of an object are of the place of the row before.
    fn place(&mut self, account: Option<&str>, region: Option<&str>) -> usize {
        if let Some(((last, _), _)) = self.last
            && self.places[last].is(account, region)
        {
            return last;
        }
        let known = self.places.iter().position(|place| place.is(account, region));
        known.unwrap_or_else(|| {
            let is_full = self.places.len() >= OBJECT_PLACES_MAX;
            let place = if is_full { SeenPlace::default() } else { SeenPlace::new(account, region) };
            let nowhere = self.places.iter().position(|known| *known == place);
            nowhere.unwrap_or_else(|| {
                self.places.push(place);
                self.places.len() - 1
            })
        })
    }

    /// The row of the part that counts a place and an hour.
    fn row(&mut self, part: &mut PartUnderWay<'_>, (place, hour): HourKey) -> u32 {
        if let Some((key, (number, row))) = self.last
            && (key, number) == ((place, hour), part.number)
        {
            return row;
        }
        let is_apart = self.rows.len() >= OBJECT_HOURS_MAX && !self.rows.contains_key(&(place, hour));
        let key = (place, hour.filter(|_| !is_apart));
        let row = match self.rows.get(&key) {
            Some((number, row)) if *number == part.number => *row,
            _ => self.new_row(part, key),
        };
        self.last = Some((key, (part.number, row)));
        row
    }

    fn new_row(&mut self, part: &mut PartUnderWay<'_>, key: HourKey) -> u32 {
        let tallies = &mut part.hours.tallies;
        let row = tallies.rows.len() as u32;
        let place = tallies.place(&self.places[key.0]);
        tallies.rows.push(HourTally {
            object: self.object,
            place,
            hour: key.1,
            records: None,
            key_reads: 0,
            faults: 0,
        });
        self.rows.insert(key, (part.number, row));
        row
    }

    /// Counts the object itself, once its outcome is known.
    pub fn end(mut self, part: &mut PartUnderWay<'_>, outcome: &ObjectOutcome, counts: &Counts) {
        let status = outcome.status();
        let is_faulty = status.is_problem() || counts.quarantined > 0;
        if status.is_read() && (self.is_screened || self.rows.is_empty()) {
            let key = self.named_hours().pop();
            self.count_hour(part, key, |tally| tally.records = Some(tally.records.unwrap_or(0)));
        }
        if !is_faulty {
            return;
        }
        let mut keys: Vec<HourKey> = self.rows.keys().copied().collect();
        keys.extend(self.named_hours());
        for key in keys {
            self.count_hour(part, Some(key), |tally| tally.faults = 1);
        }
    }

    fn count_hour(&mut self, part: &mut PartUnderWay<'_>, key: Option<HourKey>, count: impl FnOnce(&mut HourTally)) {
        if let Some(key) = key {
            let row = self.row(part, key);
            count(&mut part.hours.tallies.rows[row as usize]);
        }
    }

    /// The hours of its records by its name: that of its delivery is the last. Without a name it has none.
    fn named_hours(&mut self) -> Vec<HourKey> {
        let Some(Delivery { account, region, micros }) = self.delivery else {
            return vec![(self.place(None, None), None)];
        };
        let place = self.place(Some(account), Some(region));
        hours_before(micros).into_iter().map(|hour| (place, hour)).collect()
    }
}

/// The hours of records that were delivered at a time, the last being that of the time itself.
pub(super) fn hours_before(delivered: i64) -> Vec<Option<i32>> {
    let mut hours: Vec<Option<i32>> =
        [delivered.saturating_sub(DELIVERY_TIME), delivered].map(|time| counted_hour(Some(time), None)).to_vec();
    hours.dedup();
    hours
}

/// One row that passed the filter and the scope.
pub(super) struct CountedRow<'r> {
    pub time: Option<i64>,
    pub account: Option<&'r str>,
    pub region: Option<&'r str>,
    /// True of a record of KMS that only reads.
    pub is_key_read: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_rfc3339;

    #[test]
    fn a_record_counts_in_its_hour_unless_its_time_is_far_from_its_delivery() {
        let time = |text: &str| parse_rfc3339(text);
        let hour = |text: &str| time(text).map(|time| (time / MICROS_PER_HOUR) as i32);
        let delivered = time("2026-03-10T10:02:00Z");
        for (at, delivered, expected) in [
            ("2026-03-10T09:59:59Z", delivered, hour("2026-03-10T09:00:00Z")),
            ("2026-02-07T10:02:00Z", delivered, hour("2026-02-07T10:00:00Z")),
            ("2026-02-07T10:01:59Z", delivered, None),
            ("2026-03-11T10:02:00Z", delivered, hour("2026-03-11T10:00:00Z")),
            ("2026-03-11T10:02:01Z", delivered, None),
            ("2020-03-11T10:02:01Z", None, hour("2020-03-11T10:00:00Z")),
            ("2012-12-31T23:59:59Z", None, None),
            ("9999-01-01T00:00:00Z", None, None),
        ] {
            assert_eq!(counted_hour(time(at), delivered), expected, "{at}");
        }
        assert_eq!(counted_hour(None, delivered), None);
    }

    #[test]
    fn fingerprints_find_the_rows_that_count_them() {
        assert_eq!(counting_rows(&[(2, 7), (3, 1), (5, 7)]).collect::<Vec<_>>(), [7, 7, 1, 7, 7]);
    }

    const URI: &str = "111122223333_CloudTrail_eu-west-1_20260310T1002Z_x.json.gz";

    /// The merged rows of one object that was read in parts, as `HOUR RECORDS KEY_READS FAULTS`; hours of that day.
    fn counted(times: &[&str], outcome: ObjectOutcome, counts: Counts, is_screened: bool) -> Vec<String> {
        let (mut object, mut all) = (ObjectHours::of(0, URI), HourTallies::default());
        object.is_screened = is_screened;
        for (number, time) in times.iter().enumerate() {
            // Each row is in a part of its own.
            let mut hours = PartHours::default();
            let mut part = PartUnderWay { number: number as u64, hours: &mut hours };
            let found = CountedRow {
                time: parse_rfc3339(&format!("2026-03-10T{time}:00Z")),
                account: Some("111122223333"),
                region: Some("eu-west-1"),
                is_key_read: true,
            };
            object.count(&mut part, &found);
            all.absorb(hours.tallies);
        }
        let mut hours = PartHours::default();
        object.end(&mut PartUnderWay { number: 99, hours: &mut hours }, &outcome, &counts);
        all.absorb(hours.tallies);
        let day = parse_rfc3339("2026-03-10T00:00:00Z").unwrap() / MICROS_PER_HOUR;
        let told = |row: &HourTally| {
            let hour = row.hour.map_or(-1, |hour| i64::from(hour) - day);
            format!("{hour} {} {} {}", row.records.map_or("-".to_owned(), |n| n.to_string()), row.key_reads, row.faults)
        };
        all.merged().iter().map(told).collect()
    }

    #[test]
    fn an_object_counts_in_the_hours_of_its_records_and_of_its_name() {
        use crate::objects::FaultReason;
        let none = Counts::default();
        let broken = Counts { quarantined: 1, ..none };
        let damaged = ObjectOutcome::Quarantined(FaultReason::GzipCrc);
        let read = ObjectOutcome::Read;
        for (times, outcome, counts, is_screened, expected) in [
            (&["09:59", "09:58"][..], read.clone(), none, false, &["9 2 2 0"][..]),
            (&["09:59", "10:00", "09:58"], read.clone(), none, false, &["9 2 2 0", "10 1 1 0"]),
            (&["09:59"], read.clone(), none, true, &["9 1 1 0", "10 0 0 0"]),
            (&[], read.clone(), none, true, &["10 0 0 0"]),
            (&[], read.clone(), none, false, &["10 0 0 0"]),
            (&["08:00"], read.clone(), broken, false, &["8 1 1 1", "9 - 0 1", "10 - 0 1"]),
            (&[], damaged, none, false, &["9 - 0 1", "10 - 0 1"]),
            (&[], ObjectOutcome::Skipped(crate::objects::SkipReason::NotALog), none, false, &[]),
        ] {
            assert_eq!(counted(times, outcome.clone(), counts, is_screened), expected, "{times:?} {outcome:?}");
        }
    }
}
