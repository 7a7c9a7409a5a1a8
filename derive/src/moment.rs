//! The order of events, which all derived tables share.
//! In: times and ids of events, in any order. Out: the second of each, the first and last of them, and the latest
//! value.
//! Never says "before" of two events of one time by anything but their ids.

use keytrail_rows::time::MICROS_PER_SECOND;

/// The second of a time: what happened in one second has no order.
pub(crate) fn second_of(time: i64) -> i64 {
    time.div_euclid(MICROS_PER_SECOND)
}

/// The order of events: those without a time come first, those of one time go by their id.
pub(crate) type EventMoment<'a> = (Option<i64>, &'a str);

/// The first and the last of some times.
#[derive(Debug, Default)]
pub(crate) struct TimeSpan(Option<(i64, i64)>);

impl TimeSpan {
    /// Takes in a time, if the event has one.
    pub fn note(&mut self, at: Option<i64>) {
        if let Some(at) = at {
            let (first, last) = self.0.unwrap_or((at, at));
            self.0 = Some((first.min(at), last.max(at)));
        }
    }

    pub fn first(&self) -> Option<i64> {
        self.0.map(|(first, _)| first)
    }

    pub fn last(&self) -> Option<i64> {
        self.0.map(|(_, last)| last)
    }
}

/// The latest of some values, which may come in any order: its time, the id of its event, and the value.
#[derive(Debug)]
pub(crate) struct LatestValue<T>(Option<(Option<i64>, String, T)>);

impl<T> Default for LatestValue<T> {
    fn default() -> LatestValue<T> {
        LatestValue(None)
    }
}

impl<T: Ord> LatestValue<T> {
    pub fn add(&mut self, (time, id): EventMoment<'_>, value: T) {
        let is_later = |(at, of, known): &(Option<i64>, String, T)| (*at, of.as_str(), known) < (time, id, &value);
        if self.0.as_ref().is_none_or(is_later) {
            self.0 = Some((time, id.to_owned(), value));
        }
    }

    pub fn get(&self) -> Option<&T> {
        self.0.as_ref().map(|(_, _, value)| value)
    }
}
