//! The periods of one table under its keys, from what was done to it and from the keys that were seen at it.
//! In: steps with resolved keys, and the times at which DynamoDB used each key for the table. Out: periods.
//! Never gives a period a start or an end that no call shows: a key seen without its setting is a period of its own, and
//! the one before it stays without an end.

use std::collections::{BTreeMap, HashMap, HashSet};

use keytrail_rows::time::MICROS_PER_SECOND;

/// DynamoDB uses a key this long before or after the time of the call that sets it.
const SETTING_SLACK: i64 = 60 * MICROS_PER_SECOND;
/// DynamoDB may use a key this long after another was set or the table deleted, while it finishes.
const FINISHING_SLACK: i64 = 3600 * MICROS_PER_SECOND;

/// A kind of key, as far as the call that sets it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SetKeyKind {
    Customer,
    AwsManaged,
    AwsOwned,
    Unknown,
}

/// The source that tells the key of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeriodBasis {
    Request,
    Response,
    /// An answer to somebody who asked, beside the logs.
    Snapshot,
    Context,
}

/// The setting of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeySetting {
    pub key: Option<String>,
    pub kind: SetKeyKind,
    pub basis: PeriodBasis,
    pub of: SettingOf,
}

/// The table that a key is set at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettingOf {
    NewTable,
    /// One that a request in another Region makes. The Region may log its making as well.
    NewReplica,
    OldTable,
}

/// One step in the life of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PeriodStep {
    Set(KeySetting),
    /// DynamoDB said that the table is under this key.
    Stated {
        key: String,
        basis: PeriodBasis,
    },
    Ended,
}

/// A step with its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatedStep {
    pub at: i64,
    pub event_id: String,
    pub by: Option<String>,
    pub step: PeriodStep,
}

/// The first time at all, and the first in the interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FirstSeen {
    ever: Option<i64>,
    inside: Option<i64>,
}

impl FirstSeen {
    pub fn note(&mut self, at: i64, since: Option<i64>) {
        let lesser = |known: Option<i64>| Some(known.map_or(at, |known| known.min(at)));
        self.ever = lesser(self.ever);
        if since.is_none_or(|since| since <= at) {
            self.inside = lesser(self.inside);
        }
    }

    /// In the interval, else before it.
    pub fn in_scope(self) -> Option<i64> {
        self.inside.or(self.ever)
    }

    fn merge(&mut self, other: FirstSeen) {
        let lesser = |one: Option<i64>, other: Option<i64>| one.into_iter().chain(other).min();
        *self = FirstSeen { ever: lesser(self.ever, other.ever), inside: lesser(self.inside, other.inside) };
    }
}

/// A period of a table under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPeriod {
    pub key: Option<String>,
    pub kind: SetKeyKind,
    pub basis: PeriodBasis,
    pub valid_from: Option<i64>,
    pub valid_to: Option<i64>,
    pub set_by: Option<String>,
    pub set_event_id: Option<String>,
    pub seen: FirstSeen,
    /// The last moment at which the key is known to be that of the table.
    last: i64,
    is_replica: bool,
    /// True if the key was only seen so soon after a step that it may be one which DynamoDB finished with.
    may_be_over: bool,
}

impl KeyPeriod {
    fn of_setting(step: &DatedStep, setting: &KeySetting, since: Option<i64>) -> KeyPeriod {
        let mut seen = FirstSeen::default();
        seen.note(step.at, since);
        KeyPeriod {
            key: setting.key.clone(),
            kind: setting.kind,
            basis: setting.basis,
            valid_from: Some(step.at),
            valid_to: None,
            set_by: step.by.clone(),
            set_event_id: Some(step.event_id.clone()),
            seen,
            last: step.at,
            is_replica: setting.of == SettingOf::NewReplica,
            may_be_over: false,
        }
    }

    /// A period whose start was not seen.
    fn observed(key: Option<&str>, basis: PeriodBasis, seen: FirstSeen, last: i64) -> KeyPeriod {
        KeyPeriod {
            key: key.map(str::to_owned),
            kind: SetKeyKind::Unknown,
            basis,
            valid_from: None,
            valid_to: None,
            set_by: None,
            set_event_id: None,
            seen,
            last,
            is_replica: false,
            may_be_over: false,
        }
    }

    /// True where a setting changes nothing: DynamoDB refuses those, so something else lay between.
    fn is_same_as(&self, next: &KeyPeriod) -> bool {
        match (&self.key, &next.key) {
            (Some(key), Some(next)) => key == next,
            (None, None) => self.kind == next.kind && self.kind != SetKeyKind::Unknown,
            _ => false,
        }
    }

    /// True if a key that is seen shortly after the setting must be the one that the setting did not name.
    fn may_be_filled(&self) -> bool {
        self.key.is_none() && self.valid_from.is_some() && self.kind != SetKeyKind::AwsOwned
    }
}

/// The sightings of one key between two steps.
#[derive(Debug, Clone)]
struct SeenSpan<'k> {
    key: &'k str,
    seen: FirstSeen,
    /// Of these the ones that the step before may explain, and those that are too late for that.
    early: FirstSeen,
    late: FirstSeen,
    last: i64,
}

/// One table's life.
#[derive(Debug, Default)]
pub(super) struct TableLife {
    pub steps: Vec<DatedStep>,
    /// Settings by calls without a time, each with its event and its principal: they have no place among the others.
    pub undated: Vec<(String, Option<String>, KeySetting)>,
    /// The times at which each key was seen at the table, in any order. Empty where no sighting has a time.
    pub seen: HashMap<String, Vec<i64>>,
}

impl TableLife {
    /// All periods, in order of their first moments. `since` is the start of the interval.
    pub fn periods(mut self, since: Option<i64>) -> Vec<KeyPeriod> {
        // A call's own steps keep their order.
        self.steps.sort_by(|one, other| (one.at, &one.event_id).cmp(&(other.at, &other.event_id)));
        self.seen.values_mut().for_each(|times| times.sort_unstable());
        let mut spans = self.spans(since);
        let mut line = PeriodLine::new(since);
        for (gap, step) in self.steps.iter().enumerate() {
            line.take_spans(spans.remove(&gap).unwrap_or_default());
            line.take_step(step);
        }
        line.take_spans(spans.remove(&self.steps.len()).unwrap_or_default());
        line.done.extend(self.undated.iter().map(|(event_id, by, setting)| KeyPeriod {
            set_by: by.clone(),
            set_event_id: Some(event_id.clone()),
            basis: setting.basis,
            kind: setting.kind,
            ..KeyPeriod::observed(setting.key.as_deref(), PeriodBasis::Context, FirstSeen::default(), i64::MIN)
        }));
        let known: HashSet<&str> = line.done.iter().filter_map(|period| period.key.as_deref()).collect();
        let mut timeless: Vec<&String> =
            self.seen.iter().filter(|(_, times)| times.is_empty()).map(|(key, _)| key).collect();
        timeless.retain(|key| !known.contains(key.as_str()));
        timeless.sort_unstable();
        line.done.extend(
            timeless
                .into_iter()
                .map(|key| KeyPeriod::observed(Some(key), PeriodBasis::Context, FirstSeen::default(), i64::MIN)),
        );
        line.done
    }

    /// The sightings between the steps, by the number of the step that they come before.
    fn spans(&self, since: Option<i64>) -> BTreeMap<usize, Vec<SeenSpan<'_>>> {
        let mut spans: BTreeMap<usize, Vec<SeenSpan>> = BTreeMap::new();
        for (key, times) in &self.seen {
            for &at in times {
                let gap = self.gap_of(key, at);
                let all = spans.entry(gap).or_default();
                if all.last().is_none_or(|span| span.key != key) {
                    let none = FirstSeen::default();
                    all.push(SeenSpan { key, seen: none, early: none, late: none, last: at });
                }
                let span = all.last_mut().expect("one was just put there");
                span.seen.note(at, since);
                match self.is_late(gap, at, since) {
                    true => span.late.note(at, since),
                    false => span.early.note(at, since),
                }
                span.last = span.last.max(at);
            }
        }
        spans.values_mut().for_each(|spans| spans.sort_by_key(|span| (span.seen.ever, span.key)));
        spans
    }

    /// The number of the first step after a sighting. One shortly before the setting of its key belongs to that.
    fn gap_of(&self, key: &str, at: i64) -> usize {
        let gap = self.steps.partition_point(|step| step.at <= at);
        let sets_it = |step: &&DatedStep| {
            let is_near = step.at - at <= SETTING_SLACK;
            is_near && matches!(&step.step, PeriodStep::Set(setting) if setting.key.as_deref() == Some(key))
        };
        gap + usize::from(self.steps.get(gap).filter(sets_it).is_some())
    }

    /// True where the step before the gap does not explain that the key before it is still used. Steps from before
    /// the interval explain nothing, since the answer must not depend on how far back the input goes.
    fn is_late(&self, gap: usize, at: i64, since: Option<i64>) -> bool {
        let Some(step) = gap.checked_sub(1).and_then(|before| self.steps.get(before)) else { return true };
        at - step.at > FINISHING_SLACK || since.is_some_and(|since| step.at < since)
    }
}

/// The periods so far.
struct PeriodLine {
    since: Option<i64>,
    done: Vec<KeyPeriod>,
    /// The place of the period of the last step, if that did not end the table.
    current: Option<usize>,
    /// The places of periods that began since the last step without one.
    strangers: Vec<usize>,
    /// The places of the periods before the last step, by their keys.
    before: HashMap<String, usize>,
}

impl PeriodLine {
    fn new(since: Option<i64>) -> PeriodLine {
        PeriodLine { since, done: Vec::new(), current: None, strangers: Vec::new(), before: HashMap::new() }
    }

    fn take_spans(&mut self, spans: Vec<SeenSpan<'_>>) {
        for span in spans {
            if let Some(current) = self.current.map(|place| &mut self.done[place])
                && (current.key.as_deref() == Some(span.key) || fill(current, &span))
            {
                current.seen.merge(span.seen);
                current.last = current.last.max(span.last);
                continue;
            }
            let seen = match self.before.get(span.key) {
                None => span.seen,
                Some(place) => {
                    // DynamoDB still finishes with it.
                    self.done[*place].seen.merge(span.early);
                    span.late
                }
            };
            if seen != FirstSeen::default() {
                self.strangers.push(self.done.len());
                let period = KeyPeriod::observed(Some(span.key), PeriodBasis::Context, seen, span.last);
                self.done.push(KeyPeriod { may_be_over: span.late == FirstSeen::default(), ..period });
            }
        }
    }

    fn take_step(&mut self, step: &DatedStep) {
        match &step.step {
            PeriodStep::Stated { key, basis } => self.state(step, key, *basis),
            PeriodStep::Set(setting) => self.set(step, setting),
            PeriodStep::Ended => {
                self.end_at(step.at, |_| true);
                self.pass();
                self.current = None;
            }
        }
    }

    fn state(&mut self, step: &DatedStep, key: &str, basis: PeriodBasis) {
        let mut known = self.current.into_iter().chain(self.strangers.iter().copied());
        let place = known.find(|place| self.done[*place].key.as_deref() == Some(key));
        let place = place.unwrap_or_else(|| {
            self.done.push(KeyPeriod::observed(Some(key), basis, FirstSeen::default(), step.at));
            self.done.len() - 1
        });
        let period = &mut self.done[place];
        period.basis = period.basis.min(basis);
        period.seen.note(step.at, self.since);
        (period.last, period.may_be_over) = (step.at, false);
        self.pass();
        self.current = Some(place);
    }

    fn set(&mut self, step: &DatedStep, setting: &KeySetting) {
        if let Some(current) = self.current.map(|place| &self.done[place])
            && current.is_replica
            && setting.of == SettingOf::NewTable
            && setting.key.as_deref().is_none_or(|key| current.key.as_deref().is_none_or(|known| known == key))
            && current
                .valid_from
                .is_some_and(|from| step.at - from <= FINISHING_SLACK && self.since.is_none_or(|since| since <= from))
        {
            return self.repeat(setting);
        }
        let mut period = KeyPeriod::of_setting(step, setting, self.since);
        if setting.of == SettingOf::OldTable && setting.basis == PeriodBasis::Response && !self.is_new_key(&setting.key)
        {
            (period.key, period.basis) = (None, PeriodBasis::Request);
        }
        if setting.of == SettingOf::OldTable {
            self.end_at(step.at, |ending| !ending.is_same_as(&period));
        }
        self.pass();
        self.current = Some(self.done.len());
        self.done.push(period);
    }

    /// True if an answer to a change tells the key that is set, rather than still the one before: that one is known, and
    /// DynamoDB refuses to set it again.
    fn is_new_key(&self, answered: &Option<String>) -> bool {
        let known = self.current.is_some_and(|place| self.done[place].key.is_some());
        let places = || self.current.into_iter().chain(self.strangers.iter().copied());
        known && places().all(|place| self.done[place].key != *answered)
    }

    /// The replica's own Region logs what another's request made.
    fn repeat(&mut self, setting: &KeySetting) {
        let current = &mut self.done[self.current.expect("a replica is the table now")];
        if current.key.is_none() {
            current.key.clone_from(&setting.key);
            current.basis = setting.basis;
        }
        if current.kind == SetKeyKind::Unknown {
            current.kind = setting.kind;
        }
    }

    /// Ends the period whose key was the last that is known, if one was and it may end.
    fn end_at(&mut self, at: i64, may_end: impl Fn(&KeyPeriod) -> bool) {
        let places = || self.current.into_iter().chain(self.strangers.iter().copied());
        let Some(last) = places().map(|place| self.done[place].last).max() else { return };
        let mut latest = places().filter(|place| self.done[*place].last == last);
        let (first, second) = (latest.next(), latest.next());
        let may_end = |period: &KeyPeriod| !period.may_be_over && may_end(period);
        if let Some(place) = first.filter(|place| second.is_none() && may_end(&self.done[*place])) {
            self.done[place].valid_to = Some(at);
        }
    }

    /// Goes beyond a step.
    fn pass(&mut self) {
        let places = self.current.into_iter().chain(self.strangers.drain(..));
        self.before = places.filter_map(|place| Some((self.done[place].key.clone()?, place))).collect();
    }
}

/// Gives a period the key that the call which set it did not name, if this one is seen right then.
fn fill(period: &mut KeyPeriod, span: &SeenSpan<'_>) -> bool {
    let is_right_then =
        span.seen.ever.zip(period.valid_from).is_some_and(|(seen, from)| (from..=from + SETTING_SLACK).contains(&seen));
    if !period.may_be_filled() || !is_right_then {
        return false;
    }
    period.key = Some(span.key.to_owned());
    period.basis = PeriodBasis::Context;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = MICROS_PER_SECOND;

    fn setting(of: SettingOf, key: &str) -> PeriodStep {
        let (key, kind) = match key {
            "owned" => (None, SetKeyKind::AwsOwned),
            "managed" => (None, SetKeyKind::AwsManaged),
            key => (Some(key.to_owned()), SetKeyKind::Customer),
        };
        PeriodStep::Set(KeySetting { key, kind, basis: PeriodBasis::Request, of })
    }

    /// Steps are `SECONDS WORD [KEY]`, sightings `SECONDS sees KEY`. Periods are `KEY FROM..TO seen SECONDS [BASIS]`.
    fn periods(story: &[&str], since: Option<i64>) -> Vec<String> {
        let mut life = TableLife::default();
        for (number, line) in story.iter().enumerate() {
            let words: Vec<&str> = line.split(' ').collect();
            let at = words[0].parse::<i64>().unwrap() * SECOND;
            let step = match words[1] {
                "sees" => {
                    life.seen.entry(words[2].to_owned()).or_default().push(at);
                    continue;
                }
                "makes" => setting(SettingOf::NewTable, words[2]),
                "replicates" => setting(SettingOf::NewReplica, words[2]),
                "sets" => setting(SettingOf::OldTable, words[2]),
                "answers" => PeriodStep::Set(KeySetting {
                    key: Some(words[2].to_owned()),
                    kind: SetKeyKind::Customer,
                    basis: PeriodBasis::Response,
                    of: SettingOf::OldTable,
                }),
                "states" => PeriodStep::Stated { key: words[2].to_owned(), basis: PeriodBasis::Response },
                "shows" => PeriodStep::Stated { key: words[2].to_owned(), basis: PeriodBasis::Snapshot },
                "ends" => PeriodStep::Ended,
                other => panic!("no word `{other}`"),
            };
            life.steps.push(DatedStep { at, event_id: format!("e{number:02}"), by: None, step });
        }
        let told = |period: &KeyPeriod| {
            let moment = |at: Option<i64>| at.map_or("?".to_owned(), |at| (at / SECOND).to_string());
            let key = period.key.clone().unwrap_or_else(|| format!("{:?}", period.kind));
            let basis = match period.basis {
                PeriodBasis::Request => "",
                PeriodBasis::Response => " response",
                PeriodBasis::Snapshot => " snapshot",
                PeriodBasis::Context => " context",
            };
            let (from, to, seen) = (moment(period.valid_from), moment(period.valid_to), moment(period.seen.in_scope()));
            format!("{key} {from}..{to} seen {seen}{basis}")
        };
        let mut told: Vec<String> = life.periods(since.map(|since| since * SECOND)).iter().map(told).collect();
        told.sort_unstable();
        told
    }

    #[test]
    fn periods_begin_and_end_with_the_calls_that_are_seen() {
        for (story, expected) in [
            (&["0 makes A"][..], &["A 0..? seen 0"][..]),
            (&["0 makes A", "100 sees A", "200 sets B", "300 sees B"], &["A 0..200 seen 0", "B 200..? seen 200"]),
            // The second before the setting belongs to it, and DynamoDB finishes with the key before.
            (
                &["0 makes A", "9999 sees B", "10000 sets B", "10050 sees A"],
                &["A 0..10000 seen 0", "B 10000..? seen 9999"],
            ),
            // Long after, the key before is used again: nobody saw it set.
            (
                &["0 makes A", "10000 sets B", "13601 sees A"],
                &["A 0..10000 seen 0", "A ?..? seen 13601 context", "B 10000..? seen 10000"],
            ),
            (&["0 makes A", "10000 sets B", "13600 sees A"], &["A 0..10000 seen 0", "B 10000..? seen 10000"]),
            // Deleted and made again.
            (&["0 makes A", "5 ends -", "9 makes A"], &["A 0..5 seen 0", "A 9..? seen 9"]),
            (&["0 makes A", "5 ends -", "4000 sees A"], &["A 0..5 seen 0", "A ?..? seen 4000 context"]),
            (&["0 makes A", "9 makes B"], &["A 0..? seen 0", "B 9..? seen 9"]),
            // A change tells the end of what was there before, though not its start.
            (&["0 sees A", "5 sees A", "90 sets B"], &["A ?..90 seen 0 context", "B 90..? seen 90"]),
            (&["0 sees A", "90 ends -"], &["A ?..90 seen 0 context"]),
            (&["0 sees A", "90 makes B"], &["A ?..? seen 0 context", "B 90..? seen 90"]),
            // Moves that no call shows.
            (&["0 makes A", "100 sees B"], &["A 0..? seen 0", "B ?..? seen 100 context"]),
            (
                &["0 makes A", "4000 sees B", "9000 sets C"],
                &["A 0..? seen 0", "B ?..9000 seen 4000 context", "C 9000..? seen 9000"],
            ),
            // So soon after another was set, it may be one that DynamoDB finished with.
            (
                &["0 makes A", "100 sees B", "900 sets C"],
                &["A 0..? seen 0", "B ?..? seen 100 context", "C 900..? seen 900"],
            ),
            (
                &["0 makes A", "100 sees B", "200 sees A", "900 sets C"],
                &["A 0..900 seen 0", "B ?..? seen 100 context", "C 900..? seen 900"],
            ),
            // The last is not told.
            (&["0 sees A", "0 sees B", "9 ends -"], &["A ?..? seen 0 context", "B ?..? seen 0 context"]),
            // DynamoDB refuses to set the same key, so another lay between.
            (&["0 makes A", "9 sets A"], &["A 0..? seen 0", "A 9..? seen 9"]),
            // Answers.
            (&["0 makes A", "9 states A", "20 sets B"], &["A 0..20 seen 0", "B 20..? seen 20"]),
            (&["0 makes A", "9 states B", "20 ends -"], &["A 0..? seen 0", "B ?..20 seen 9 response"]),
            (&["0 sees A", "9 states A"], &["A ?..? seen 0 response"]),
            // An answer from beside the logs is better than a sighting, and no better than DynamoDB's own.
            (&["0 sees A", "9 shows A"], &["A ?..? seen 0 snapshot"]),
            (&["0 states A", "9 shows A"], &["A ?..? seen 0 response"]),
            (&["0 makes A", "9 shows A", "20 sets B"], &["A 0..20 seen 0", "B 20..? seen 20"]),
            (&["0 makes A", "9 shows B", "20 ends -"], &["A 0..? seen 0", "B ?..20 seen 9 snapshot"]),
            (&["0 makes A", "9 answers B"], &["A 0..9 seen 0", "B 9..? seen 9 response"]),
            (&["0 makes A", "9 answers A"], &["A 0..9 seen 0", "Customer 9..? seen 9"]),
            (
                &["0 makes A", "5 sees B", "9 answers B"],
                &["A 0..? seen 0", "B ?..? seen 5 context", "Customer 9..? seen 9"],
            ),
            (&["0 sees A", "9 answers B"], &["A ?..9 seen 0 context", "Customer 9..? seen 9"]),
            // Keys that no request names.
            (
                &["0 makes owned", "9 sets A", "20 sets owned"],
                &["A 9..20 seen 9", "AwsOwned 0..9 seen 0", "AwsOwned 20..? seen 20"],
            ),
            (&["0 makes owned", "9 sees A"], &["A ?..? seen 9 context", "AwsOwned 0..? seen 0"]),
            (&["0 makes managed", "60 sees A"], &["A 0..? seen 0 context"]),
            (&["0 makes managed", "61 sees A"], &["A ?..? seen 61 context", "AwsManaged 0..? seen 0"]),
            // A replica that its own Region logs too.
            (&["0 replicates A", "30 makes A", "99 sets B"], &["A 0..99 seen 0", "B 99..? seen 99"]),
            (&["0 replicates A", "30 makes B"], &["A 0..? seen 0", "B 30..? seen 30"]),
            (&["0 replicates A", "3601 makes A"], &["A 0..? seen 0", "A 3601..? seen 3601"]),
        ] {
            assert_eq!(periods(story, None), expected, "{story:?}");
            let turned: Vec<&str> = story.iter().rev().copied().collect();
            // Events of one second go by their ids, which follow the story.
            let is_tied = story.windows(2).any(|two| two[0].split(' ').next() == two[1].split(' ').next());
            if !is_tied {
                assert_eq!(periods(&turned, None), expected, "{turned:?}");
            }
        }
    }

    #[test]
    fn history_adds_to_what_the_interval_shows() {
        for (earlier, inside, expected_alone, expected) in [
            (&["0 makes A"][..], &["100 sees A"][..], &["A ?..? seen 100 context"][..], &["A 0..? seen 100"][..]),
            // The change before the interval does not explain a key away that is seen in it.
            (
                &["0 makes A", "50 sets B"],
                &["100 sees A"],
                &["A ?..? seen 100 context"],
                &["A 0..50 seen 0", "A ?..? seen 100 context", "B 50..? seen 50"],
            ),
            (&["0 sees A"], &["100 sets B"], &["B 100..? seen 100"], &["A ?..100 seen 0 context", "B 100..? seen 100"]),
        ] {
            assert_eq!(periods(inside, Some(60)), expected_alone, "{inside:?}");
            let all: Vec<&str> = earlier.iter().chain(inside).copied().collect();
            assert_eq!(periods(&all, Some(60)), expected, "{all:?}");
        }
    }

    /// True if one period may be the other, known better: all that the part said is what the whole says.
    fn completes(all: &KeyPeriod, part: &KeyPeriod) -> bool {
        fn keeps<T: PartialEq>(all: &Option<T>, part: &Option<T>) -> bool {
            part.is_none() || all == part
        }
        keeps(&all.key, &part.key)
            && keeps(&all.valid_from, &part.valid_from)
            && keeps(&all.valid_to, &part.valid_to)
            && keeps(&all.set_event_id, &part.set_event_id)
    }

    #[test]
    fn no_value_of_an_interval_becomes_another_with_history() {
        const SINCE: i64 = 20_000 * SECOND;
        let mut random = 7_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        for _ in 0..5_000 {
            let (mut part, mut all, mut told) = (TableLife::default(), TableLife::default(), Vec::new());
            for number in 0..14 {
                // Near each other, and hours apart.
                let at = (next(8) * 5_000 + next(3) * 40 + number) as i64 * SECOND;
                let key = ["A", "B", "C"][next(3)];
                let event_id = format!("e{number:02}");
                let step = match next(9) {
                    0..=3 => None,
                    4 => Some(setting(SettingOf::NewTable, key)),
                    5 => Some(setting(SettingOf::OldTable, if next(4) == 0 { "owned" } else { key })),
                    6 => Some(PeriodStep::Stated(key.to_owned())),
                    7 => Some(setting(SettingOf::NewReplica, key)),
                    _ => Some(PeriodStep::Ended),
                };
                told.push(format!("{} {key} {step:?}", at / SECOND));
                for life in [Some(&mut all), (at >= SINCE).then_some(&mut part)].into_iter().flatten() {
                    match &step {
                        None => life.seen.entry(key.to_owned()).or_default().push(at),
                        Some(step) => {
                            let (event_id, step) = (event_id.clone(), step.clone());
                            life.steps.push(DatedStep { at, event_id, by: None, step });
                        }
                    }
                }
            }
            let (part, all) = (part.periods(Some(SINCE)), all.periods(Some(SINCE)));
            for period in &part {
                assert!(all.iter().any(|whole| completes(whole, period)), "{told:#?}\n{period:?}\n{all:#?}");
            }
        }
    }

    #[test]
    fn many_keys_and_steps_take_no_longer_than_there_are() {
        let mut life = TableLife::default();
        for number in 0..20_000 {
            let key = format!("key-{number}");
            let at = number * 10 * SECOND;
            life.seen.insert(key.clone(), vec![at, at + 100_000 * SECOND]);
            let step = setting(SettingOf::OldTable, &key);
            life.steps.push(DatedStep { at, event_id: key, by: None, step });
        }
        assert!(life.periods(None).len() >= 20_000);
    }
}
