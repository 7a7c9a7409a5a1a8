//! The periods of one table under its keys, from what was done to it and from the keys that were seen at it.
//! In: steps with resolved keys, and the times at which DynamoDB used each key for the table. Out: periods.
//! Never gives a period a start that no call shows: a key seen without its setting is a period of its own, and the one
//! before it has no end until a call shows that it is over, which then is the latest that its end can have been.

use std::collections::{BTreeMap, HashMap, HashSet};

use keytrail_rows::time::MICROS_PER_SECOND;

use super::moment::second_of;

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

impl KeySetting {
    /// True if only the answer to a change tells the key: it may still describe the one before.
    fn may_be_old(&self) -> bool {
        self.of == SettingOf::OldTable && self.basis == PeriodBasis::Response
    }
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
    /// DynamoDB said that the table is under this key; `None` is one that AWS owns.
    Stated {
        key: Option<String>,
        basis: PeriodBasis,
    },
    Ended,
}

/// The place of a step among those of its second: answers stand before the calls, or after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum StepPlace {
    BeforeCalls,
    OfCall,
    AfterCalls,
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
    /// `None` where it was not seen set.
    of: Option<SettingOf>,
    /// True if a new key that is seen right then must be the one that the setting did not name.
    may_be_filled: bool,
    /// False while it was only seen so soon after a step, known or before the input, that DynamoDB may finish with it,
    /// and where a table was made that may be the same: then it may have ended with that step.
    is_firm: bool,
    /// The time of the step that went beyond it.
    passed_at: Option<i64>,
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
            of: Some(setting.of),
            may_be_filled: false,
            is_firm: true,
            passed_at: None,
        }
    }

    /// A period whose start was not seen.
    fn observed(key: Option<&str>, basis: PeriodBasis, seen: FirstSeen) -> KeyPeriod {
        KeyPeriod {
            key: key.map(str::to_owned),
            kind: SetKeyKind::Unknown,
            basis,
            valid_from: None,
            valid_to: None,
            set_by: None,
            set_event_id: None,
            seen,
            of: None,
            may_be_filled: false,
            is_firm: true,
            passed_at: None,
        }
    }

    /// True if a key that was first seen then, and may be new, must be the one that the setting did not name.
    fn is_filled_by(&self, seen: FirstSeen) -> bool {
        let right_then = |from: i64| from..=from + SETTING_SLACK;
        let is_right_then = seen.ever.zip(self.valid_from).is_some_and(|(seen, from)| right_then(from).contains(&seen));
        self.key.is_none() && self.may_be_filled && is_right_then
    }
}

/// The sightings of one key between two steps.
#[derive(Debug, Clone)]
struct SeenSpan<'k> {
    key: &'k str,
    seen: FirstSeen,
    /// True if one of them is too late for DynamoDB to finish with a key from before the step.
    is_late: bool,
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
        self.sort_steps();
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
            ..KeyPeriod::observed(setting.key.as_deref(), PeriodBasis::Context, FirstSeen::default())
        }));
        let known: HashSet<&str> = line.done.iter().filter_map(|period| period.key.as_deref()).collect();
        let mut timeless: Vec<&String> =
            self.seen.iter().filter(|(_, times)| times.is_empty()).map(|(key, _)| key).collect();
        timeless.retain(|key| !known.contains(key.as_str()));
        timeless.sort_unstable();
        line.done.extend(
            timeless.into_iter().map(|key| KeyPeriod::observed(Some(key), PeriodBasis::Context, FirstSeen::default())),
        );
        line.done
    }

    /// Puts the steps into the order of time. A call's own steps keep their order. An answer of the second of a setting
    /// may be from before it, unless it tells the key that is set.
    fn sort_steps(&mut self) {
        let set_in = |step: &DatedStep| match &step.step {
            PeriodStep::Set(setting) if setting.key.is_some() || setting.kind == SetKeyKind::AwsOwned => {
                Some((second_of(step.at), setting.key.clone()))
            }
            _ => None,
        };
        let set: HashSet<(i64, Option<String>)> = self.steps.iter().filter_map(set_in).collect();
        self.steps.sort_by_cached_key(|step| {
            let second = second_of(step.at);
            let place = match &step.step {
                PeriodStep::Stated { key, basis: PeriodBasis::Snapshot } => {
                    match set.contains(&(second, key.clone())) {
                        true => StepPlace::AfterCalls,
                        false => StepPlace::BeforeCalls,
                    }
                }
                _ => StepPlace::OfCall,
            };
            (second, place, step.at, step.event_id.clone())
        });
    }

    /// The sightings between the steps, by the number of the step that they come before.
    fn spans(&self, since: Option<i64>) -> BTreeMap<usize, Vec<SeenSpan<'_>>> {
        // Steps before the interval may not be in the input, which has all from its first sighting on.
        let first = self.seen.values().filter_map(|times| times.first()).min();
        let begin = since.map(|since| first.map_or(since, |first| since.min(*first)));
        let mut spans: BTreeMap<usize, Vec<SeenSpan>> = BTreeMap::new();
        for (key, times) in &self.seen {
            for &at in times {
                let gap = self.gap_of(key, at);
                let all = spans.entry(gap).or_default();
                if all.last().is_none_or(|span| span.key != key) {
                    all.push(SeenSpan { key, seen: FirstSeen::default(), is_late: false });
                }
                let span = all.last_mut().expect("one was just put there");
                span.seen.note(at, since);
                let begin = gap.checked_sub(1).map(|before| self.steps[before].at).or(begin);
                span.is_late |= begin.is_none_or(|begin| at - begin > FINISHING_SLACK);
            }
        }
        spans.values_mut().for_each(|spans| spans.sort_by_key(|span| (span.seen.ever, span.key)));
        spans
    }

    /// The number of the first step after a sighting. One shortly before the setting of its key belongs to that, unless
    /// an answer alone tells the key: that may still be the one before.
    fn gap_of(&self, key: &str, at: i64) -> usize {
        let gap = self.steps.partition_point(|step| second_of(step.at) <= second_of(at));
        let sets_it = |step: &&DatedStep| {
            let PeriodStep::Set(setting) = &step.step else { return false };
            step.at - at <= SETTING_SLACK && setting.key.as_deref() == Some(key) && !setting.may_be_old()
        };
        gap + usize::from(self.steps.get(gap).filter(sets_it).is_some())
    }
}

/// The periods so far.
struct PeriodLine {
    since: Option<i64>,
    done: Vec<KeyPeriod>,
    /// The places of the periods that have no end yet: of keys that were seen set, of the others, and of those that
    /// were not firm when a key was set after them.
    open_set: Vec<usize>,
    open_observed: Vec<usize>,
    open_unsure: Vec<usize>,
    /// The place of the period of the last step, if that did not end the table.
    current: Option<usize>,
    /// The number of periods at the last step: those after it began since, without one.
    passed: usize,
    stepped: Option<i64>,
    /// The keys seen since the last step, each with the place of its period.
    known: HashMap<String, (usize, FirstSeen)>,
    /// The places of the periods of all keys that were known between the last step and the one before it.
    before: HashMap<String, usize>,
}

impl PeriodLine {
    fn new(since: Option<i64>) -> PeriodLine {
        PeriodLine {
            since,
            done: Vec::new(),
            open_set: Vec::new(),
            open_observed: Vec::new(),
            open_unsure: Vec::new(),
            current: None,
            passed: 0,
            stepped: None,
            known: HashMap::new(),
            before: HashMap::new(),
        }
    }

    fn take_spans(&mut self, spans: Vec<SeenSpan<'_>>) {
        self.fill(&spans);
        for span in spans {
            let place = self.take_span(&span);
            self.known.entry(span.key.to_owned()).or_insert((place, FirstSeen::default())).1.merge(span.seen);
        }
    }

    /// Gives the period of the last step the key that its call did not name, if it can only be this one.
    fn fill(&mut self, spans: &[SeenSpan<'_>]) {
        let Some(current) = self.current.map(|place| &mut self.done[place]) else { return };
        let may_be_new = |key: &str| current.of != Some(SettingOf::OldTable) || !self.before.contains_key(key);
        let mut fitting = spans.iter().filter(|span| current.is_filled_by(span.seen) && may_be_new(span.key));
        if let (Some(span), None) = (fitting.next(), fitting.next()) {
            current.key = Some(span.key.to_owned());
            current.basis = PeriodBasis::Context;
        }
    }

    /// The place of the period that the sightings belong to.
    fn take_span(&mut self, span: &SeenSpan<'_>) -> usize {
        let is_current = |place: &usize| self.done[*place].key.as_deref() == Some(span.key);
        let fresh = || self.known.get(span.key).map(|(place, _)| *place).filter(|place| *place >= self.passed);
        if let Some(place) = self.current.filter(is_current).or_else(fresh) {
            let period = &mut self.done[place];
            period.seen.merge(span.seen);
            period.is_firm |= span.is_late;
            return place;
        }
        let before = self.before.get(span.key).copied().filter(|_| !span.is_late);
        if let Some(place) = before
            && !self.is_out_of_scope(place, span.seen)
        {
            self.done[place].seen.merge(span.seen);
            return place;
        }
        let period = KeyPeriod::observed(Some(span.key), PeriodBasis::Context, span.seen);
        self.observe(KeyPeriod { is_firm: span.is_late, ..period })
    }

    /// Adds a period whose start was not seen. Returns its place.
    fn observe(&mut self, period: KeyPeriod) -> usize {
        self.open_observed.push(self.done.len());
        self.done.push(period);
        self.done.len() - 1
    }

    /// True where a sighting of the interval would be lost with a period that may have ended before it, or before the
    /// step that ended it at the latest.
    fn is_out_of_scope(&self, place: usize, seen: FirstSeen) -> bool {
        let period = &self.done[place];
        let is_past = period.passed_at.zip(self.since).is_some_and(|(at, since)| at <= since);
        (is_past || !period.is_firm && period.valid_to.is_some() && period.seen.inside.is_none())
            && seen.inside.is_some()
    }

    fn take_step(&mut self, step: &DatedStep) {
        match &step.step {
            PeriodStep::Stated { key, basis } => self.state(step, key.as_deref(), *basis),
            PeriodStep::Set(setting) => self.set(step, setting),
            PeriodStep::Ended => {
                self.end_all(step.at);
                self.pass(step, None);
            }
        }
    }

    fn state(&mut self, step: &DatedStep, key: Option<&str>, basis: PeriodBasis) {
        let known = key.and_then(|key| self.known.get(key).copied());
        let is_current = |place: &usize| {
            let period = &self.done[*place];
            period.key.as_deref() == key && (key.is_some() || period.kind == SetKeyKind::AwsOwned)
        };
        let fresh = known.map(|(place, _)| place).filter(|place| *place >= self.passed);
        let place = self.current.filter(is_current).or(fresh).unwrap_or_else(|| {
            let seen = known.map_or(FirstSeen::default(), |(_, seen)| seen);
            let kind = if key.is_some() { SetKeyKind::Unknown } else { SetKeyKind::AwsOwned };
            self.observe(KeyPeriod { kind, ..KeyPeriod::observed(key, basis, seen) })
        });
        let period = &mut self.done[place];
        period.basis = period.basis.min(basis);
        period.seen.note(step.at, self.since);
        period.is_firm = true;
        self.pass(step, Some(place));
    }

    fn set(&mut self, step: &DatedStep, setting: &KeySetting) {
        if self.repeats(step, setting) {
            return self.repeat(setting);
        }
        let mut period = KeyPeriod::of_setting(step, setting, self.since);
        if setting.may_be_old() && !self.is_new_key(&setting.key) {
            (period.key, period.basis) = (None, PeriodBasis::Request);
        }
        let is_known = self.current.is_some_and(|place| self.done[place].key.is_some());
        let is_settled = self.stepped.is_some_and(|before| step.at - before > FINISHING_SLACK);
        period.may_be_filled =
            setting.kind != SetKeyKind::AwsOwned && (setting.of != SettingOf::OldTable || is_known && is_settled);
        match setting.of {
            SettingOf::OldTable => self.end_for_change(step.at),
            SettingOf::NewReplica => self.end_all(step.at),
            SettingOf::NewTable => self.end_for_making(step.at),
        }
        let place = self.done.len();
        self.open_set.push(place);
        self.done.push(period);
        self.pass(step, Some(place));
    }

    /// True if an answer to a change tells the key that is set, rather than still the one before: that one is known,
    /// and DynamoDB refuses to set it again.
    fn is_new_key(&self, answered: &Option<String>) -> bool {
        let current = self.current.and_then(|place| self.done[place].key.as_ref());
        let is_seen = answered.as_ref().is_none_or(|key| self.known.contains_key(key));
        current.is_some_and(|current| Some(current) != answered.as_ref()) && !is_seen
    }

    /// True if the making of a table only tells again what a request for a replica told. One from before the interval
    /// counts for itself, since it may not be in the input.
    fn repeats(&self, step: &DatedStep, setting: &KeySetting) -> bool {
        let Some(current) = self.current.map(|place| &self.done[place]) else { return false };
        let is_near = |from: i64| step.at - from <= FINISHING_SLACK && self.since.is_none_or(|since| since <= from);
        let contradicts = setting.key.is_some() && current.key.is_some() && setting.key != current.key;
        current.of == Some(SettingOf::NewReplica)
            && setting.of == SettingOf::NewTable
            && !contradicts
            && current.valid_from.is_some_and(is_near)
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

    /// Ends all periods: none outlives its table. One whose own end was not seen ended then at the latest.
    fn end_all(&mut self, at: i64) {
        let Self { done, open_set, open_observed, open_unsure, .. } = self;
        let open = open_set.drain(..).chain(open_observed.drain(..)).chain(open_unsure.drain(..));
        open.for_each(|place| done[place].valid_to = Some(at));
    }

    /// Ends what was before another key is set: at the latest then, if its own end was not seen. One that is not firm
    /// may have ended with the step before it, which earlier history may tell.
    fn end_for_change(&mut self, at: i64) {
        let Self { done, open_set, open_observed, open_unsure, .. } = self;
        for place in open_set.drain(..).chain(open_observed.drain(..)) {
            match done[place].is_firm {
                true => done[place].valid_to = Some(at),
                false => open_unsure.push(place),
            }
        }
    }

    /// Ends what was before the making of a table: one of that name is made where there is none. The making of a
    /// replica is logged twice, the first time perhaps before the interval, and ends nothing the second time.
    fn end_for_making(&mut self, at: i64) {
        let is_near = |from: i64| at - from <= FINISHING_SLACK;
        let Self { since, done, open_set, open_observed, open_unsure, .. } = self;
        let is_replica =
            |period: &KeyPeriod| period.of == Some(SettingOf::NewReplica) && period.valid_from.is_none_or(is_near);
        open_set.retain(|place| {
            let period = &mut done[*place];
            period.valid_to = Some(at).filter(|_| !is_replica(period));
            period.valid_to.is_none()
        });
        match since.is_some_and(is_near) {
            // They may end here, or go on.
            true => {
                open_observed.iter().for_each(|place| done[*place].is_firm = false);
                open_unsure.append(open_observed);
            }
            false => {
                let open = open_observed.drain(..).chain(open_unsure.drain(..));
                open.for_each(|place| done[place].valid_to = Some(at));
            }
        }
    }

    /// Goes beyond a step, to the period that it begins.
    fn pass(&mut self, step: &DatedStep, next: Option<usize>) {
        self.before = self.known.drain().map(|(key, (place, _))| (key, place)).collect();
        if let Some(place) = self.current
            && let Some(key) = &self.done[place].key
        {
            self.before.insert(key.clone(), place);
        }
        let old = self.current.into_iter().filter(|place| *place < self.passed);
        for place in old.chain(self.passed..self.done.len()) {
            self.done[place].passed_at = Some(step.at).filter(|_| next != Some(place));
        }
        (self.current, self.passed, self.stepped) = (next, self.done.len(), Some(step.at));
    }
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

    fn answer_to_change(key: &str) -> PeriodStep {
        let (key, kind) = (Some(key.to_owned()), SetKeyKind::Customer);
        PeriodStep::Set(KeySetting { key, kind, basis: PeriodBasis::Response, of: SettingOf::OldTable })
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
                "answers" => answer_to_change(words[2]),
                "states" => PeriodStep::Stated { key: Some(words[2].to_owned()), basis: PeriodBasis::Response },
                "shows" => PeriodStep::Stated { key: Some(words[2].to_owned()), basis: PeriodBasis::Snapshot },
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
            (&["0 makes A", "9 makes B"], &["A 0..9 seen 0", "B 9..? seen 9"]),
            // A change tells the end of what was there before, though not its start.
            (&["0 sees A", "5 sees A", "90 sets B"], &["A ?..90 seen 0 context", "B 90..? seen 90"]),
            (&["0 sees A", "90 ends -"], &["A ?..90 seen 0 context"]),
            (&["0 sees A", "90 makes B"], &["A ?..90 seen 0 context", "B 90..? seen 90"]),
            // Moves that no call shows.
            (&["0 makes A", "100 sees B"], &["A 0..? seen 0", "B ?..? seen 100 context"]),
            (
                &["0 makes A", "4000 sees B", "9000 sets C"],
                &["A 0..9000 seen 0", "B ?..9000 seen 4000 context", "C 9000..? seen 9000"],
            ),
            // So soon after another was set, it may be one that DynamoDB finished with.
            (
                &["0 makes A", "100 sees B", "900 sets C"],
                &["A 0..900 seen 0", "B ?..? seen 100 context", "C 900..? seen 900"],
            ),
            (
                &["0 makes A", "100 sees B", "200 sees A", "900 sets C"],
                &["A 0..900 seen 0", "B ?..? seen 100 context", "C 900..? seen 900"],
            ),
            // No key outlives its table.
            (&["0 sees A", "0 sees B", "9 ends -"], &["A ?..9 seen 0 context", "B ?..9 seen 0 context"]),
            (
                &["0 sees A", "0 sees B", "9 makes C"],
                &["A ?..9 seen 0 context", "B ?..9 seen 0 context", "C 9..? seen 9"],
            ),
            (&["0 makes A", "7200 sees B", "9000 ends -"], &["A 0..9000 seen 0", "B ?..9000 seen 7200 context"]),
            (
                &["0 makes A", "100 sees B", "900 sets C", "950 ends -"],
                &["A 0..900 seen 0", "B ?..950 seen 100 context", "C 900..950 seen 900"],
            ),
            (&["0 replicates A", "30 replicates B", "40 ends -"], &["A 0..30 seen 0", "B 30..40 seen 30"]),
            (
                &["0 makes owned", "7200 sees A", "9000 sets B"],
                &["A ?..9000 seen 7200 context", "AwsOwned 0..9000 seen 0", "B 9000..? seen 9000"],
            ),
            // DynamoDB refuses to set the same key, so another lay between: the first ended then at the latest.
            (&["0 makes A", "9 sets A", "20 ends -"], &["A 0..9 seen 0", "A 9..20 seen 9"]),
            // Answers.
            (&["0 makes A", "9 states A", "20 sets B"], &["A 0..20 seen 0", "B 20..? seen 20"]),
            (&["0 makes A", "9 states B", "20 ends -"], &["A 0..20 seen 0", "B ?..20 seen 9 response"]),
            (&["0 sees A", "9 states A"], &["A ?..? seen 0 response"]),
            // An answer from beside the logs is better than a sighting, and no better than DynamoDB's own.
            (&["0 sees A", "9 shows A"], &["A ?..? seen 0 snapshot"]),
            (&["0 states A", "9 shows A"], &["A ?..? seen 0 response"]),
            (&["0 makes A", "9 shows A", "20 sets B"], &["A 0..20 seen 0", "B 20..? seen 20"]),
            (&["0 makes A", "9 shows B", "20 ends -"], &["A 0..20 seen 0", "B ?..20 seen 9 snapshot"]),
            (&["0 makes A", "9 answers B"], &["A 0..9 seen 0", "B 9..? seen 9 response"]),
            (&["0 makes A", "9 answers A"], &["A 0..9 seen 0", "Customer 9..? seen 9"]),
            (
                &["0 makes A", "5 sees B", "9 answers B"],
                &["A 0..9 seen 0", "B ?..? seen 5 context", "Customer 9..? seen 9"],
            ),
            (&["0 sees A", "9 answers B"], &["A ?..9 seen 0 context", "Customer 9..? seen 9"]),
            (&["0 answers A", "9 sets B"], &["B 9..? seen 9", "Customer 0..9 seen 0"]),
            // A key that is seen as another is set may be the one before, unless that is known.
            (&["0 sets managed", "9 sees A"], &["A ?..? seen 9 context", "AwsManaged 0..? seen 0"]),
            (
                &["0 makes A", "4000 sets managed", "4009 sees A", "4020 sees B"],
                &["A 0..4000 seen 0", "B 4000..? seen 4000 context"],
            ),
            (
                &["0 makes A", "3600 sets managed", "3609 sees B"],
                &["A 0..3600 seen 0", "AwsManaged 3600..? seen 3600", "B ?..? seen 3609 context"],
            ),
            (
                &["0 makes managed", "9 sees A", "9 sees B"],
                &["A ?..? seen 9 context", "AwsManaged 0..? seen 0", "B ?..? seen 9 context"],
            ),
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
            (&["0 replicates A", "30 makes B", "40 ends -"], &["A 0..40 seen 0", "B 30..40 seen 30"]),
            (&["0 replicates A", "3601 makes A"], &["A 0..3601 seen 0", "A 3601..? seen 3601"]),
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
            // DynamoDB may finish with a key from before the input, though not for as long as this.
            (&["0 sees A"], &["100 sets B"], &["B 100..? seen 100"], &["A ?..? seen 0 context", "B 100..? seen 100"]),
            (
                &["0 sees A"],
                &["3601 sees A", "3700 sets B"],
                &["A ?..? seen 3601 context", "B 3700..? seen 3700"],
                &["A ?..3700 seen 3601 context", "B 3700..? seen 3700"],
            ),
            (
                &[],
                &["3661 sees A", "3700 sets B"],
                &["A ?..3700 seen 3661 context", "B 3700..? seen 3700"],
                &["A ?..3700 seen 3661 context", "B 3700..? seen 3700"],
            ),
            (
                &["0 makes A", "50 sets B"],
                &["100 sees A", "900 sets C"],
                &["A ?..? seen 100 context", "C 900..? seen 900"],
                &["A 0..50 seen 0", "A ?..? seen 100 context", "B 50..900 seen 50", "C 900..? seen 900"],
            ),
            // An answer may tell the key before, of which the interval may know nothing.
            (
                &["0 makes A"],
                &["100 answers B"],
                &["Customer 100..? seen 100"],
                &["A 0..100 seen 0", "B 100..? seen 100 response"],
            ),
            (
                &["0 makes B"],
                &["100 answers B"],
                &["Customer 100..? seen 100"],
                &["B 0..100 seen 0", "Customer 100..? seen 100"],
            ),
            // A replica's own record has the word where the request for it lies before the interval.
            (&["50 replicates A"], &["70 makes A"], &["A 70..? seen 70"], &["A 50..? seen 50", "A 70..? seen 70"]),
        ] {
            assert_eq!(periods(inside, Some(60)), expected_alone, "{inside:?}");
            let all: Vec<&str> = earlier.iter().chain(inside).copied().collect();
            assert_eq!(periods(&all, Some(60)), expected, "{all:?}");
        }
    }

    /// True if one period may be the other, known better: all that the part said of the interval is what the whole
    /// says.
    fn completes(all: &KeyPeriod, part: &KeyPeriod, since: i64) -> bool {
        fn keeps<T: PartialEq>(all: &Option<T>, part: &Option<T>) -> bool {
            part.is_none() || all == part
        }
        // The key of a change may only be known with the history: then its period begins with the change.
        let is_learned = part.valid_from.is_none() && all.of == Some(SettingOf::OldTable);
        // The history may tell an earlier end of a key with which DynamoDB only finished.
        let ended_earlier = !part.is_firm && all.valid_to.is_some() && all.valid_to < part.valid_to;
        keeps(&all.key, &part.key)
            && keeps(&all.valid_from, &part.valid_from)
            && (keeps(&all.valid_to, &part.valid_to) || ended_earlier)
            && keeps(&all.set_event_id, &part.set_event_id)
            && (keeps(&all.seen.inside, &part.seen.inside) || is_learned && all.seen.inside < part.seen.inside)
            && (part.seen.inside.is_none() || all.valid_to.is_none_or(|to| since < to))
    }

    #[test]
    fn no_value_of_an_interval_becomes_another_with_history() {
        let mut random = 7_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        for _ in 0..50_000 {
            let since = (20_000 + next(3) as i64 * 40) * SECOND;
            let is_dense = next(2) == 0;
            let begin = since - [0, 30, 5_000][next(3)] * SECOND;
            let (mut part, mut all, mut told) = (TableLife::default(), TableLife::default(), Vec::new());
            for number in 0..14 {
                // Near each other, and hours apart.
                let spread = if is_dense { next(30) * 900 } else { next(8) * 5_000 };
                let at = (spread + next(3) * 40 + number) as i64 * SECOND;
                let key = ["A", "B", "C"][next(3)];
                let event_id = format!("e{number:02}");
                let asked = ["owned", "managed", key, key, key][next(5)];
                let step = match next(10) {
                    0..=3 => None,
                    4 => Some(setting(SettingOf::NewTable, asked)),
                    5 => Some(setting(SettingOf::OldTable, asked)),
                    6 => Some(PeriodStep::Stated { key: Some(key.to_owned()), basis: PeriodBasis::Response }),
                    7 => Some(setting(SettingOf::NewReplica, asked)),
                    8 => Some(answer_to_change(key)),
                    _ => Some(PeriodStep::Ended),
                };
                told.push(format!("{} {key} {step:?}", at / SECOND));
                for life in [Some(&mut all), (at >= begin).then_some(&mut part)].into_iter().flatten() {
                    match &step {
                        None => life.seen.entry(key.to_owned()).or_default().push(at),
                        Some(step) => {
                            let (event_id, step) = (event_id.clone(), step.clone());
                            life.steps.push(DatedStep { at, event_id, by: None, step });
                        }
                    }
                }
            }
            let (part, all) = (part.periods(Some(since)), all.periods(Some(since)));
            for period in &part {
                assert!(
                    all.iter().any(|whole| completes(whole, period, since)),
                    "{told:#?} {since}\n{period:?}\n{all:#?}"
                );
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
