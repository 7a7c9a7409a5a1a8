//! The seconds of an event history that a store has, so that a later lookup passes over them.
//! In: the ledger's text under a lookup's end, and the seconds that a lookup walked. Out: the same text with those
//! added. Never covers the last day: its events may still be delivered.

use std::collections::BTreeMap;
use std::fmt;

use super::asked::DAY_SECONDS;

/// An event may be delivered out of order for this many seconds.
const LATE: i64 = DAY_SECONDS;

/// Seconds since 1970, first and last.
pub(super) type SecondSpan = (i64, i64);

/// Spans by account, since credentials change; they ascend and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CoveredSpans(BTreeMap<String, Vec<SecondSpan>>);

impl CoveredSpans {
    /// Reads the text of the ledger. Broken text covers nothing, at the price of asking again.
    pub(super) fn parse(text: &str) -> CoveredSpans {
        let span = |text: &str| {
            let (first, last) = text.split_once('-')?;
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        let account = |text: &str| {
            let (account, spans) = text.split_once(':')?;
            Some((account.to_owned(), spans.split(',').map(span).collect::<Option<_>>()?))
        };
        CoveredSpans(text.split(' ').map(account).collect::<Option<_>>().unwrap_or_default())
    }

    /// The first second of the stored span that holds these seconds.
    pub(super) fn first_with(&self, account: &str, (from, to): SecondSpan) -> Option<i64> {
        let spans = self.0.get(account)?;
        spans.iter().find(|(first, last)| *first <= from && to <= *last).map(|(first, _)| *first)
    }

    /// Adds the spans that a lookup at `now` walked.
    pub(super) fn add(&mut self, account: &str, more: &[SecondSpan], now: i64) {
        let spans = self.0.entry(account.to_owned()).or_default();
        spans.extend(more.iter().map(|(first, last)| (*first, *last.min(&(now - LATE)))));
        spans.retain(|(first, last)| first <= last);
        spans.sort_unstable();
        spans.dedup_by(|next, kept| {
            let touches = next.0 <= kept.1 + 1;
            kept.1 = if touches { kept.1.max(next.1) } else { kept.1 };
            touches
        });
        self.0.retain(|_, spans| !spans.is_empty());
    }
}

impl fmt::Display for CoveredSpans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spans = |spans: &[SecondSpan]| spans.iter().map(|(a, b)| format!("{a}-{b}")).collect::<Vec<_>>().join(",");
        let all: Vec<String> = self.0.iter().map(|(account, all)| format!("{account}:{}", spans(all))).collect();
        f.write_str(&all.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_join_and_leave_the_last_day_open() {
        let now = 1_000_000;
        let mut covered = CoveredSpans::default();
        for (account, more, text) in [
            ("1", (now - 10, now), ""),
            ("1", (500, 600), "1:500-600"),
            ("1", (602, 700), "1:500-600,602-700"),
            ("1", (601, 601), "1:500-700"),
            ("2", (0, now), "1:500-700 2:0-913600"),
            ("1", (100, 550), "1:100-700 2:0-913600"),
        ] {
            covered.add(account, &[more], now);
            assert_eq!((covered.to_string().as_str(), &CoveredSpans::parse(text)), (text, &covered));
        }
        for (account, span, first) in [
            ("1", (100, 700), Some(100)),
            ("1", (99, 100), None),
            ("1", (700, 701), None),
            ("2", (700, 701), Some(0)),
            ("3", (700, 700), None),
        ] {
            assert_eq!(covered.first_with(account, span), first, "{account} {span:?}");
        }
        for broken in ["", "1:", "1:5", "1:a-b", "1:1-2, 2:3-4", "end_of_history"] {
            assert_eq!(CoveredSpans::parse(broken), CoveredSpans::default(), "{broken}");
        }
    }
}
