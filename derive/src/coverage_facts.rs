//! The hours of an account in a Region, and what the logs of each can prove.
//! In: hours of objects, digests, the logs that they name and miss, and changes of trails, in any order.
//! Out: for each place its hours, as runs of equal ones. Memory goes by facts, never by the hours between them.
//! Never takes silence for a proof: an hour without an object is quiet only if the digests of one trail reach over all
//! of it, and over the time in which its last records are delivered; and they prove KMS quiet only if that trail logs
//! KMS.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::objects::organization_of;
use keytrail_rows::time::MICROS_PER_HOUR;

use super::AskedInterval;
use super::input::{CountCells, InputBatch, TextCells, TimeCells};
use super::log_names::{log_hashes, object_hash};
use super::trails::{DigestTrail, JudgedPlace, KmsLogging, TrailCall, TrailHours, TrailPlace, TrailSwitch};

/// Rough sizes of a fact and of a place, each with its share of a tree.
const FACT_BYTES: usize = 96;
const PLACE_BYTES: usize = 512;

/// A log that lasts longer says nothing by its hours: nobody but a forger writes such a one.
const LOG_HOURS_MAX: i64 = 32 * 24;

/// A digest names the logs that were delivered in its time, and records are delivered so much later, as a rule.
const DELIVERY_TIME: i64 = MICROS_PER_HOUR / 4;

/// What is known of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HourVerdict {
    /// `covered`, `quiet`, `missing` or `unknown`.
    pub state: &'static str,
    /// `digest`, `objects` or `none`.
    pub basis: &'static str,
    pub kms_logged: &'static str,
    /// `good` or `bad`; `None` where nothing is proved either way.
    pub verdict: Option<&'static str>,
}

/// The counts of one hour, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HourCounts {
    pub objects: i64,
    pub records: i64,
    /// Objects that could not be used, records that could not be read, digests that say nothing.
    pub faults: i64,
    key_reads: i64,
    /// Logs that a digest names and that are not here, and those that are and could not be read.
    missing: i64,
    unreadable: i64,
}

impl HourCounts {
    /// Adds those of another hour.
    pub fn add(&mut self, more: &HourCounts) {
        self.objects += more.objects;
        self.records += more.records;
        self.faults += more.faults;
        self.key_reads += more.key_reads;
        self.missing += more.missing;
        self.unreadable += more.unreadable;
    }
}

/// An hour in which a log has read-only records of KMS. The log is known by the hash of its name.
#[derive(Debug, Clone, Copy)]
struct KeyReadHour {
    log: u128,
    hour: i64,
}

/// The facts about an account in a Region.
#[derive(Debug, Default)]
struct PlaceFacts {
    hours: BTreeMap<i64, HourCounts>,
    key_reads: Vec<KeyReadHour>,
    /// The times of the digests of each trail, half-open, in microseconds.
    digests: BTreeMap<String, Vec<(i64, i64)>>,
    is_of_organization: bool,
}

/// Equal hours in a row. `from` and `until` are hours since 1970, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HourRun {
    pub from: i64,
    pub until: i64,
    pub counts: HourCounts,
    pub verdict: HourVerdict,
}

/// The accounts and Regions whose changes of trails are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SeenPlaces {
    #[default]
    All,
    /// Some are left out.
    Some,
}

/// All facts so far.
#[derive(Default)]
pub(crate) struct CoverageFacts {
    interval: AskedInterval,
    places: HashMap<(String, String), PlaceFacts>,
    switches: Vec<TrailSwitch>,
    /// The logs that the digests of each trail name, by the hashes that an object of such a log may have.
    named: HashMap<String, HashSet<u128>>,
    seen: SeenPlaces,
    /// What no hour or no place has.
    apart: HourCounts,
    /// The number of hours, digests and logs that are held.
    held: usize,
}

/// The columns of one batch of the input.
struct FactColumns<'a> {
    kind: TextCells<'a>,
    account: TextCells<'a>,
    region: TextCells<'a>,
    from: TimeCells<'a>,
    until: TimeCells<'a>,
    name: TextCells<'a>,
    log: TextCells<'a>,
    request: TextCells<'a>,
    response: TextCells<'a>,
    objects: CountCells<'a>,
    records: CountCells<'a>,
    key_reads: CountCells<'a>,
    faults: CountCells<'a>,
}

impl<'a> FactColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<FactColumns<'a>, ArrowError> {
        Ok(FactColumns {
            kind: rows.texts("kind")?,
            account: rows.texts("account_id")?,
            region: rows.texts("region")?,
            from: rows.times("from_time")?,
            until: rows.times("until_time")?,
            name: rows.texts("name")?,
            log: rows.texts("log")?,
            request: rows.texts("request")?,
            response: rows.texts("response")?,
            objects: rows.counts("objects")?,
            records: rows.counts("records")?,
            key_reads: rows.counts("key_reads")?,
            faults: rows.counts("faults")?,
        })
    }

    fn place(&self, row: usize) -> Option<TrailPlace<'a>> {
        Some(TrailPlace { account: self.account.get(row)?, region: self.region.get(row)? })
    }
}

fn hour_of(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_HOUR)
}

/// The hour that begins at a time or after it.
fn hour_from(micros: i64) -> i64 {
    hour_of(micros) + i64::from(micros.rem_euclid(MICROS_PER_HOUR) != 0)
}

impl CoverageFacts {
    pub fn new(interval: &AskedInterval) -> CoverageFacts {
        CoverageFacts { interval: *interval, ..CoverageFacts::default() }
    }

    /// Takes some rows of the input of `table`.
    pub fn take(&mut self, table: &'static str, rows: &RecordBatch) -> Result<(), ArrowError> {
        let columns = FactColumns::of(InputBatch::new(table, rows))?;
        for row in 0..rows.num_rows() {
            match columns.kind.get(row) {
                Some("object") => self.add_object(row, &columns),
                Some("digest") => self.add_digest(row, &columns),
                Some("named") => self.add_named(row, &columns),
                Some("missing" | "unreadable") => self.add_missing(row, &columns),
                Some("switch") => self.add_switch(row, &columns),
                Some("narrowed") => self.seen = SeenPlaces::Some,
                Some("expected") => {
                    columns.place(row).map(|place| self.place(place));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn place(&mut self, place: TrailPlace<'_>) -> &mut PlaceFacts {
        self.places.entry((place.account.to_owned(), place.region.to_owned())).or_default()
    }

    fn add_counts(&mut self, place: Option<TrailPlace<'_>>, hour: Option<i64>, counts: HourCounts) {
        match place.zip(hour) {
            Some((place, hour)) => {
                let hours = &mut self.place(place).hours;
                let before = hours.len();
                hours.entry(hour).or_default().add(&counts);
                let new = hours.len() - before;
                self.held += new;
            }
            None => self.apart.add(&counts),
        }
    }

    fn add_object(&mut self, row: usize, columns: &FactColumns<'_>) {
        let count = |cells: CountCells<'_>| cells.get(row).unwrap_or(0);
        let counts = HourCounts {
            objects: count(columns.objects),
            records: count(columns.records),
            faults: count(columns.faults),
            key_reads: count(columns.key_reads),
            ..HourCounts::default()
        };
        let (place, hour) = (columns.place(row), columns.from.get(row).map(hour_of));
        self.add_counts(place, hour, counts);
        let (Some(place), Some(log)) = (place, columns.log.get(row)) else { return };
        let facts = self.place(place);
        facts.is_of_organization |= organization_of(log).is_some();
        if let Some(hour) = hour.filter(|_| counts.key_reads > 0) {
            facts.key_reads.push(KeyReadHour { log: object_hash(log), hour });
            self.held += 1;
        }
    }

    fn add_named(&mut self, row: usize, columns: &FactColumns<'_>) {
        let (Some(trail), Some(log)) = (columns.name.get(row), columns.log.get(row)) else { return };
        if !self.named.contains_key(trail) {
            self.named.insert(trail.to_owned(), HashSet::new());
        }
        let named = self.named.get_mut(trail).expect("it was entered above");
        let before = named.len();
        named.extend(log_hashes(log));
        self.held += named.len() - before;
    }

    fn add_digest(&mut self, row: usize, columns: &FactColumns<'_>) {
        let faults = columns.faults.get(row).unwrap_or(0);
        let (place, from, until) = (columns.place(row), columns.from.get(row), columns.until.get(row));
        match (place, from, until) {
            (Some(place), Some(from), Some(until)) if faults == 0 && from < until => {
                let trail = columns.name.get(row).unwrap_or_default();
                self.add_digest_time(place, trail, (from, until));
            }
            // A digest that says nothing would have told of the hours before its end.
            (Some(_), _, Some(until)) if faults > 0 => {
                let last = hour_of(until.saturating_sub(1));
                for hour in [last.saturating_sub(1), last] {
                    self.add_counts(place, Some(hour), HourCounts { faults, ..HourCounts::default() });
                }
            }
            _ => self.apart.faults += faults,
        }
    }

    fn add_digest_time(&mut self, place: TrailPlace<'_>, trail: &str, (from, until): (i64, i64)) {
        let facts = self.place(place);
        facts.is_of_organization |= DigestTrail::read(trail).is_some_and(|trail| trail.is_of_organization);
        if !facts.digests.contains_key(trail) {
            facts.digests.insert(trail.to_owned(), Vec::new());
        }
        let digests = facts.digests.get_mut(trail).expect("it was entered above");
        match digests.last_mut() {
            // They mostly come one after the other, and each begins where the last ended.
            Some(last) if (last.0..=last.1).contains(&from) => last.1 = last.1.max(until),
            _ => {
                digests.push((from, until));
                self.held += 1;
            }
        }
    }

    fn add_missing(&mut self, row: usize, columns: &FactColumns<'_>) {
        let counts = match columns.kind.get(row) {
            Some("missing") => HourCounts { missing: 1, ..HourCounts::default() },
            _ => HourCounts { unreadable: 1, ..HourCounts::default() },
        };
        let (place, first, last) = (columns.place(row), columns.from.get(row), columns.until.get(row));
        let hours = first.zip(last).map(|(first, last)| (hour_of(first), hour_of(last)));
        match hours.filter(|(first, last)| (0..LOG_HOURS_MAX).contains(&(last - first))) {
            Some((first, last)) => (first..=last).for_each(|hour| self.add_counts(place, Some(hour), counts)),
            None => self.apart.faults += 1,
        }
    }

    fn add_switch(&mut self, row: usize, columns: &FactColumns<'_>) {
        let (Some(place), Some(at), Some(event_name)) =
            (columns.place(row), columns.from.get(row), columns.name.get(row))
        else {
            return;
        };
        let (request, response) = (columns.request.get(row), columns.response.get(row));
        let call = TrailCall { place, event_name, request, response };
        self.switches.extend(TrailSwitch::of(at, &call));
    }

    /// Roughly the bytes that all facts take.
    pub fn bytes_held(&self) -> usize {
        self.held * FACT_BYTES + self.switches.len() * TrailSwitch::BYTES + self.places.len() * PLACE_BYTES
    }

    /// The number of places, and what was counted apart from all of them.
    pub fn place_count(&self) -> usize {
        self.places.len()
    }

    /// What no hour of no place has.
    pub fn apart(&self) -> HourCounts {
        self.apart
    }

    /// The hours that rows are about, half-open: those of the interval, else from the first object to the last.
    pub fn asked_hours(&self) -> Option<(i64, i64)> {
        let seen = self.places.values().flat_map(|place| {
            let hours = [place.hours.keys().next(), place.hours.keys().next_back()];
            let wholes = place.digests.values().flatten().map(|(from, until)| (hour_from(*from), hour_of(*until)));
            let wholes = wholes.filter(|(from, until)| from < until).flat_map(|(from, until)| [from, until - 1]);
            hours.into_iter().flatten().copied().chain(wholes)
        });
        let seen = seen.fold(None, |span: Option<(i64, i64)>, hour| {
            let (first, last) = span.unwrap_or((hour, hour));
            Some((first.min(hour), last.max(hour)))
        });
        let from = self.interval.since.map(hour_of).or(seen.map(|(first, _)| first))?;
        let until = self.interval.until.map(hour_from).or(seen.map(|(_, last)| last + 1))?;
        (from < until).then_some((from, until))
    }

    /// True of an hour of which only a part is asked for: its records are not counted, since logs that are read for the
    /// other part are left out.
    pub fn is_cut(interval: &AskedInterval, hour: i64) -> bool {
        let cuts = |bound: Option<i64>| {
            bound.is_some_and(|bound| bound.rem_euclid(MICROS_PER_HOUR) != 0 && hour_of(bound) == hour)
        };
        cuts(interval.since) || cuts(interval.until)
    }

    /// The interval that was asked for.
    pub fn interval(&self) -> AskedInterval {
        self.interval
    }

    /// The hours from the first fact on, or from the asked interval if that begins earlier.
    pub fn known_hours(&self) -> Option<(i64, i64)> {
        let asked = self.asked_hours();
        let first = self.places.values().filter_map(|place| place.hours.keys().next()).min();
        asked.map(|(from, until)| (first.map_or(from, |first| from.min(*first)), until))
    }

    /// Gives the hours of each place one after the other, in the order of places and times: those with counts alone,
    /// others in runs between which nothing changes.
    ///
    /// # Errors
    /// Fails as `give` does.
    pub fn each_piece(
        mut self,
        (from, until): (i64, i64),
        give: &mut dyn FnMut(TrailPlace<'_>, HourRun) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        self.switches.sort_unstable();
        let mut names: Vec<&(String, String)> = self.places.keys().collect();
        names.sort_unstable();
        for name in names {
            let place = TrailPlace { account: &name.0, region: &name.1 };
            let hours = self.hours_of(place, &self.places[name]);
            let mut cuts = hours.changes();
            cuts.extend([from, until]);
            // A run does not reach over the begin of the interval, so that it lies within or without.
            cuts.extend(self.interval.since.map(hour_of));
            let mut begins: Option<i64> = None;
            for &cut in cuts.range(from..=until) {
                if let Some(from) = begins.replace(cut) {
                    give(place, hours.run(from, cut))?;
                }
            }
        }
        Ok(())
    }

    /// The hours of a place. The switches are in their order.
    fn hours_of<'f>(&self, place: TrailPlace<'_>, facts: &'f PlaceFacts) -> PlaceHours<'f> {
        let judged = JudgedPlace { place, is_of_organization: facts.is_of_organization };
        let digests = facts.digests.iter().map(|(name, times)| {
            let trail = DigestTrail::read(name);
            let switches =
                self.switches.iter().filter(|switch| trail.is_some_and(|trail| switch.is_of(trail, place.account)));
            let is_named = |log: &u128| self.named.get(name).is_some_and(|named| named.contains(log));
            let reads = facts.key_reads.iter().filter(|read| is_named(&read.log)).map(|read| read.hour);
            DigestHours {
                whole: whole_hours(times),
                said: TrailHours::of(switches, judged),
                reads: KeyReadHours::of(reads.collect(), self.seen),
            }
        });
        let reads = facts.hours.iter().filter(|(_, counts)| counts.key_reads > 0).map(|(hour, _)| *hour);
        PlaceHours {
            hours: &facts.hours,
            digests: digests.collect(),
            trails: TrailHours::of(&self.switches, judged),
            reads: KeyReadHours::of(reads.collect(), self.seen),
        }
    }

    /// Gives the runs of equal hours of each place, in the order of places and times.
    ///
    /// # Errors
    /// Fails as `give` does.
    pub fn each_run(
        self,
        hours: (i64, i64),
        give: &mut dyn FnMut(TrailPlace<'_>, &HourRun) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        let asked = self.interval.since.map(hour_of);
        let mut open: Option<(String, String, HourRun)> = None;
        self.each_piece(hours, &mut |place, next| {
            if let Some((account, region, run)) = &mut open {
                let is_same = account == place.account && region == place.region && run.until == next.from;
                if is_same && run.verdict == next.verdict && Some(next.from) != asked {
                    run.until = next.until;
                    run.counts.add(&next.counts);
                    return Ok(());
                }
                give(TrailPlace { account, region }, run)?;
            }
            open = Some((place.account.to_owned(), place.region.to_owned(), next));
            Ok(())
        })?;
        open.iter().try_for_each(|(account, region, run)| give(TrailPlace { account, region }, run))
    }
}

/// The hours in which there are read-only records of KMS.
struct KeyReadHours {
    hours: BTreeSet<i64>,
    /// The hour from which on they show that KMS is logged, until somebody switches it.
    first: Option<i64>,
}

impl KeyReadHours {
    fn of(hours: BTreeSet<i64>, places: SeenPlaces) -> KeyReadHours {
        // A record of KMS shows nothing of later hours where a switch between may lie in a place that is left out.
        let first = hours.first().copied().filter(|_| places == SeenPlaces::All);
        KeyReadHours { hours, first }
    }

    /// True if KMS was logged in an hour, as far as its records show.
    fn show(&self, hour: i64) -> bool {
        self.hours.contains(&hour) || self.first.is_some_and(|first| first <= hour)
    }
}

/// The hours of the digests of one trail in one place.
struct DigestHours {
    /// Hours whose logs they name, as half-open runs.
    whole: Vec<(i64, i64)>,
    said: TrailHours,
    reads: KeyReadHours,
}

impl DigestHours {
    fn is_whole(&self, hour: i64) -> bool {
        let at = self.whole.partition_point(|(from, _)| *from <= hour);
        at > 0 && hour < self.whole[at - 1].1
    }

    /// True if the trail is known to log KMS in an hour, by its selectors or by its logs.
    fn has_kms(&self, hour: i64) -> bool {
        match self.said.at(hour) {
            Some(said) => said == KmsLogging::Yes,
            None => self.reads.show(hour),
        }
    }
}

/// The hours of one place.
struct PlaceHours<'a> {
    hours: &'a BTreeMap<i64, HourCounts>,
    /// Those of each trail that has digests here.
    digests: Vec<DigestHours>,
    /// What all trails say together.
    trails: TrailHours,
    reads: KeyReadHours,
}

impl PlaceHours<'_> {
    /// The hours in which something may begin to be otherwise.
    fn changes(&self) -> BTreeSet<i64> {
        let mut changes: BTreeSet<i64> = self.hours.keys().flat_map(|hour| [*hour, hour + 1]).collect();
        for digests in &self.digests {
            changes.extend(digests.whole.iter().flat_map(|(from, until)| [*from, *until]));
            changes.extend(digests.said.changes());
        }
        changes.extend(self.trails.changes());
        changes
    }

    /// Some hours between two changes.
    fn run(&self, from: i64, until: i64) -> HourRun {
        let counts = self.hours.get(&from).copied().unwrap_or_default();
        HourRun { from, until, counts, verdict: self.verdict(from, &counts) }
    }

    fn verdict(&self, hour: i64, counts: &HourCounts) -> HourVerdict {
        let wholes = || self.digests.iter().filter(|digests| digests.is_whole(hour));
        let is_whole = wholes().next().is_some();
        let (state, basis) = if counts.missing > 0 {
            ("missing", "digest")
        } else if counts.objects > 0 {
            ("covered", if is_whole { "digest" } else { "objects" })
        } else if is_whole && counts.unreadable + counts.faults == 0 {
            ("quiet", "digest")
        } else {
            ("unknown", "none")
        };
        let by_records = self.reads.show(hour).then_some(KmsLogging::Yes);
        let by_trails = self.trails.at(hour);
        let kms_logged = match counts.key_reads {
            0 => by_trails.or(by_records).unwrap_or(KmsLogging::Unknown),
            _ => KmsLogging::Yes,
        };
        // A record shows that some calls were logged, and digests show that all were only if they are of a trail that
        // logs KMS, and no trail says otherwise.
        let is_proved =
            by_trails.is_none_or(|said| said == KmsLogging::Yes) && wholes().any(|digests| digests.has_kms(hour));
        let (basis, kms_logged) = match (state, basis, kms_logged) {
            ("covered", "digest", KmsLogging::Yes) if !is_proved => ("objects", kms_logged),
            ("quiet", _, KmsLogging::Yes) if !is_proved => (basis, KmsLogging::Unknown),
            _ => (basis, kms_logged),
        };
        let is_bad = state == "missing"
            || counts.faults + counts.unreadable > 0
            || matches!(kms_logged, KmsLogging::Excluded | KmsLogging::Stopped);
        let is_good = state != "unknown" && kms_logged == KmsLogging::Yes;
        let verdict = if is_bad { Some("bad") } else { is_good.then_some("good") };
        HourVerdict { state, basis, kms_logged: kms_logged.word(), verdict }
    }
}

/// The hours whose logs are named by digests, which need not begin with the hour: with the last records of an hour, its
/// digests end in the next.
fn whole_hours(digests: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut times = digests.to_vec();
    times.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from, until) in times {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => joined.push((from, until)),
        }
    }
    let hours = joined.into_iter().map(|(from, until)| (hour_from(from), hour_of(until.saturating_sub(DELIVERY_TIME))));
    hours.filter(|(from, until)| from < until).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = MICROS_PER_HOUR;
    const MINUTE: i64 = HOUR / 60;
    const HERE: TrailPlace<'static> = TrailPlace { account: "111122223333", region: "eu-west-1" };

    fn object(objects: i64, key_reads: i64, faults: i64) -> HourCounts {
        HourCounts { objects, records: objects * 10, key_reads, faults, ..HourCounts::default() }
    }

    /// The runs of one place, as `HOURS STATE BASIS KMS VERDICT`.
    fn runs(facts: CoverageFacts) -> Vec<String> {
        let mut found = Vec::new();
        let Some(hours) = facts.known_hours() else { return found };
        facts
            .each_run(hours, &mut |_, run| {
                let HourVerdict { state, basis, kms_logged, verdict } = run.verdict;
                let verdict = verdict.unwrap_or("-");
                found.push(format!("{}..{} {state} {basis} {kms_logged} {verdict}", run.from, run.until));
                Ok(())
            })
            .unwrap();
        found
    }

    fn facts(objects: &[(i64, HourCounts)], digests: &[(i64, i64)]) -> CoverageFacts {
        let mut facts = CoverageFacts::default();
        for (hour, counts) in objects {
            facts.add_counts(Some(HERE), Some(*hour), *counts);
            if counts.key_reads > 0 {
                add_key_read(&mut facts, "eu-west-1/t", *hour);
            }
        }
        digests.iter().for_each(|times| facts.add_digest_time(HERE, "eu-west-1/t", *times));
        facts
    }

    /// A log of an hour that has records of KMS, and that the digests of a trail name.
    fn add_key_read(facts: &mut CoverageFacts, trail: &str, hour: i64) {
        let log = format!("log-of-{hour}.json.gz");
        facts.place(HERE).key_reads.push(KeyReadHour { log: object_hash(&log), hour });
        facts.named.entry(trail.to_owned()).or_default().extend(log_hashes(&log));
    }

    #[test]
    fn an_hour_has_what_proves_it() {
        let missing = HourCounts { missing: 1, ..HourCounts::default() };
        let unreadable = HourCounts { unreadable: 1, ..HourCounts::default() };
        for (objects, digests, expected) in [
            (vec![(5, object(1, 1, 0))], vec![], vec!["5..6 covered objects yes good"]),
            (vec![(5, object(1, 0, 0))], vec![], vec!["5..6 covered objects unknown -"]),
            (vec![(5, object(1, 1, 1))], vec![], vec!["5..6 covered objects yes bad"]),
            (vec![(5, object(0, 0, 1))], vec![], vec!["5..6 unknown none unknown bad"]),
            // Nothing is proved of the hours between, and the state of KMS is that of the hour before.
            (
                vec![(5, object(1, 1, 0)), (8, object(1, 0, 0))],
                vec![],
                vec!["5..6 covered objects yes good", "6..8 unknown none yes -", "8..9 covered objects yes good"],
            ),
            // Digests that do not begin with the hour prove the hours within.
            (
                vec![(5, object(1, 1, 0))],
                vec![
                    (4 * HOUR + 20 * MINUTE, 6 * HOUR + 20 * MINUTE),
                    (6 * HOUR + 20 * MINUTE, 8 * HOUR + 15 * MINUTE),
                ],
                vec!["5..6 covered digest yes good", "6..8 quiet digest yes good"],
            ),
            // A gap between two digests leaves its hour unproved.
            (
                vec![(5, object(1, 1, 0))],
                vec![(5 * HOUR, 6 * HOUR + 20 * MINUTE), (6 * HOUR + 21 * MINUTE, 8 * HOUR + 20 * MINUTE)],
                vec!["5..6 covered digest yes good", "6..7 unknown none yes -", "7..8 quiet digest yes good"],
            ),
            // The last records of an hour are delivered in the next, and the digest of that is gone.
            (
                vec![(5, object(1, 1, 0))],
                vec![(5 * HOUR, 7 * HOUR), (8 * HOUR, 9 * HOUR + 14 * MINUTE)],
                vec!["5..6 covered digest yes good", "6..9 unknown none yes -"],
            ),
            (
                vec![(5, object(1, 1, 0)), (6, missing)],
                vec![(5 * HOUR, 8 * HOUR)],
                vec!["5..6 covered digest yes good", "6..7 missing digest yes bad", "7..8 unknown none yes -"],
            ),
            (
                vec![(5, object(1, 1, 0)), (6, unreadable), (7, object(0, 0, 1))],
                vec![(5 * HOUR, 9 * HOUR)],
                vec!["5..6 covered digest yes good", "6..8 unknown none yes bad", "8..9 unknown none yes -"],
            ),
            (vec![], vec![(5 * HOUR, 7 * HOUR)], vec!["5..6 quiet digest unknown -", "6..7 unknown none unknown -"]),
            (vec![], vec![], vec![]),
        ] {
            assert_eq!(runs(facts(&objects, &digests)), expected, "{objects:?} {digests:?}");
        }
    }

    #[test]
    fn rows_are_of_the_interval_and_cut_at_its_begin() {
        let asked = |since: Option<i64>, until: Option<i64>| {
            let mut facts = facts(&[(5, object(1, 1, 0)), (6, object(1, 1, 0))], &[]);
            facts.interval = AskedInterval { since, until, ..AskedInterval::default() };
            (facts.asked_hours(), facts.known_hours())
        };
        assert_eq!(asked(None, None), (Some((5, 7)), Some((5, 7))));
        assert_eq!(asked(Some(6 * HOUR + 1), None), (Some((6, 7)), Some((5, 7))));
        assert_eq!(asked(Some(2 * HOUR), Some(9 * HOUR + 1)), (Some((2, 10)), Some((2, 10))));
        assert_eq!(asked(Some(9 * HOUR), None), (None, None));
        let mut cut = facts(&[(5, object(1, 1, 0)), (6, object(1, 1, 0))], &[]);
        cut.interval.since = Some(6 * HOUR);
        assert_eq!(runs(cut), ["5..6 covered objects yes good", "6..7 covered objects yes good"]);
    }

    #[test]
    fn a_place_that_is_expected_has_hours_too() {
        let mut facts = facts(&[(5, object(1, 1, 0))], &[]);
        facts.place(TrailPlace { region: "us-east-1", ..HERE });
        assert_eq!(runs(facts), ["5..6 covered objects yes good", "5..6 unknown none unknown -"]);
    }

    #[test]
    fn kms_is_logged_by_its_own_records_first_then_by_what_trails_say() {
        let exclude = r#"{"trailName":"t","eventSelectors":[{"excludeManagementEventSources":["kms.amazonaws.com"]}]}"#;
        let include = r#"{"trailName":"t","eventSelectors":[{"readWriteType":"All"}]}"#;
        let mut facts = facts(&[(1, object(1, 1, 0)), (4, object(1, 1, 0)), (8, object(1, 0, 0))], &[]);
        for (minutes, request) in [(61, exclude), (6 * 60 + 1, include)] {
            let call =
                TrailCall { place: HERE, event_name: "PutEventSelectors", request: Some(request), response: None };
            facts.switches.extend(TrailSwitch::of(minutes * MINUTE, &call));
        }
        let expected = [
            "1..2 covered objects yes good",
            "2..4 unknown none excluded bad",
            "4..5 covered objects yes good",
            "5..7 unknown none excluded bad",
            "7..8 unknown none yes -",
            "8..9 covered objects yes good",
        ];
        assert_eq!(runs(facts), expected);
    }

    /// A trail that was off for a part of an hour leaves the hour incomplete, whatever was logged in the rest of it.
    #[test]
    fn an_hour_is_not_complete_if_a_trail_says_that_something_was_left_out() {
        for (names, third) in [
            (&[][..], "3..4 covered digest yes good"),
            (&["StartLogging"], "3..4 covered digest yes good"),
            (&["StopLogging", "StartLogging"], "3..4 covered objects yes good"),
            (&["StopLogging"], "3..4 covered objects yes good"),
        ] {
            let mut facts = facts(&[(2, object(1, 1, 0)), (3, object(1, 1, 0))], &[(2 * HOUR, 5 * HOUR)]);
            for (minute, event_name) in (10..).step_by(10).zip(names) {
                let call = TrailCall { place: HERE, event_name, request: Some(r#"{"name":"t"}"#), response: None };
                facts.switches.extend(TrailSwitch::of(3 * HOUR + minute * MINUTE, &call));
            }
            let found = runs(facts);
            assert!(
                found.iter().any(|run| run == third || run == &third.replace("3..4", "2..4")),
                "{names:?} {found:?}"
            );
        }
    }

    #[test]
    fn a_record_of_kms_shows_nothing_of_later_hours_where_places_are_left_out() {
        for (is_narrowed, second) in [(false, "2..3 quiet digest yes good"), (true, "2..3 quiet digest unknown -")] {
            let mut facts = facts(&[(1, object(1, 1, 0)), (3, object(1, 1, 0))], &[(HOUR, 5 * HOUR)]);
            facts.seen = if is_narrowed { SeenPlaces::Some } else { SeenPlaces::All };
            assert_eq!(runs(facts)[..3], ["1..2 covered digest yes good", second, "3..4 covered digest yes good"]);
        }
    }

    /// Two trails: one logs KMS, and the other has data events alone.
    #[test]
    fn digests_prove_kms_only_of_the_trail_that_logs_it() {
        let hours = (HOUR, 5 * HOUR + 15 * MINUTE);
        let until_two = (HOUR, 2 * HOUR + 15 * MINUTE);
        let good = r#"{"trailName":"data","eventSelectors":[{"readWriteType":"All"}]}"#;
        for (kms_digests, selectors, expected) in [
            (Some(hours), None, ["1..3 covered digest yes good", "3..5 quiet digest yes good", ""]),
            (
                Some(until_two),
                None,
                ["1..2 covered digest yes good", "2..3 covered objects yes good", "3..5 quiet digest unknown -"],
            ),
            (None, None, ["1..3 covered objects yes good", "3..5 quiet digest unknown -", ""]),
            // Its selectors say what its records do not.
            (None, Some(good), ["1..3 covered digest yes good", "3..5 quiet digest yes good", ""]),
        ] {
            let mut facts = CoverageFacts::default();
            facts.add_counts(Some(HERE), Some(1), object(1, 1, 0));
            facts.add_counts(Some(HERE), Some(2), object(1, 0, 0));
            add_key_read(&mut facts, "eu-west-1/kms", 1);
            facts.add_digest_time(HERE, "eu-west-1/data", hours);
            if let Some(times) = kms_digests {
                facts.add_digest_time(HERE, "eu-west-1/kms", times);
            }
            let call = TrailCall { place: HERE, event_name: "PutEventSelectors", request: selectors, response: None };
            facts.switches.extend(selectors.and_then(|_| TrailSwitch::of(0, &call)));
            let expected: Vec<&str> = expected.into_iter().filter(|run| !run.is_empty()).collect();
            assert_eq!(runs(facts), expected, "{kms_digests:?} {selectors:?}");
        }
    }

    /// The times of two trails do not make up one hour.
    #[test]
    fn an_hour_is_whole_by_the_digests_of_one_trail() {
        let mut facts = facts(&[(5, object(1, 1, 0))], &[(5 * HOUR, 5 * HOUR + 30 * MINUTE)]);
        facts.add_digest_time(HERE, "eu-west-1/other", (5 * HOUR + 30 * MINUTE, 7 * HOUR));
        assert_eq!(runs(facts), ["5..6 covered objects yes good", "6..7 unknown none yes -"]);
    }

    /// The trail of an organization is named in its management account, and its logs lie under the organization's
    /// folder.
    #[test]
    fn a_switch_of_another_account_counts_where_logs_are_of_an_organization() {
        let management = TrailPlace { account: "999988887777", ..HERE };
        let exclude = r#"{"trailName":"t","eventSelectors":[{"excludeManagementEventSources":["kms.amazonaws.com"]}]}"#;
        for (is_of_organization, second) in
            [(false, "2..3 covered objects yes good"), (true, "2..3 covered objects unknown -")]
        {
            let mut facts = facts(&[(1, object(1, 1, 0)), (2, object(1, 0, 0))], &[]);
            facts.place(HERE).is_of_organization = is_of_organization;
            let call = TrailCall {
                place: management,
                event_name: "PutEventSelectors",
                request: Some(exclude),
                response: None,
            };
            facts.switches.extend(TrailSwitch::of(HOUR + MINUTE, &call));
            assert_eq!(
                runs(facts).last().map(String::as_str).map(|last| last.replace("1..3", "2..3")).as_deref(),
                Some(second)
            );
        }
    }

    /// A thousand years between two facts cost no more than an hour.
    #[test]
    fn hours_without_facts_cost_nothing() {
        let far = 24 * 365 * 1000;
        let found = runs(facts(&[(0, object(1, 1, 0)), (far, object(1, 1, 0))], &[]));
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
