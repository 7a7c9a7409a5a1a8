//! The claim that a chain may make: shown, possible or unexplained, and how well the logs cover its hours.
//! In: hours of accounts and Regions, and the facts of one chain. Out: the words of the columns.
//! Never takes an hour that nothing speaks of for a covered one.

use std::collections::HashMap;

use keytrail_rows::time::MICROS_PER_HOUR;

use crate::compact::PooledText;

/// Rough size of a span, held twice while the spans are sorted.
const SPAN_BYTES: usize = 64;

/// The proof that an hour is covered, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HourBasis {
    None,
    Objects,
    Digest,
}

impl HourBasis {
    pub fn of(word: Option<&str>) -> HourBasis {
        match word {
            Some("digest") => HourBasis::Digest,
            Some("objects") => HourBasis::Objects,
            _ => HourBasis::None,
        }
    }

    /// The word of the column `basis`.
    pub fn word(self) -> &'static str {
        match self {
            HourBasis::None => "none",
            HourBasis::Objects => "objects",
            HourBasis::Digest => "digest",
        }
    }
}

/// A run of hours of an account and Region that are alike, from the first to before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CoverageSpan {
    /// In hours since 1970.
    from: i64,
    until: i64,
    is_bad: bool,
    basis: HourBasis,
}

impl CoverageSpan {
    /// Of whole hours, in microseconds since 1970.
    pub fn of(from: i64, until: i64, verdict: Option<&str>, basis: Option<&str>) -> CoverageSpan {
        CoverageSpan {
            from: from.div_euclid(MICROS_PER_HOUR),
            until: until.div_euclid(MICROS_PER_HOUR),
            is_bad: verdict == Some("bad"),
            basis: HourBasis::of(basis),
        }
    }
}

/// An account and a Region.
pub(super) type CoverageLane = (PooledText, PooledText);

/// The hours of all accounts and Regions.
#[derive(Debug, Default)]
pub(super) struct CoveredHours {
    lanes: HashMap<CoverageLane, Vec<CoverageSpan>>,
    counted: HashMap<CoverageLane, CountedSpans>,
    bytes: usize,
}

/// The spans of one lane in the order of time, with the number of each sort and of hours among those before.
#[derive(Debug)]
struct CountedSpans {
    spans: Vec<CoverageSpan>,
    /// Bad ones, those without basis, those by objects, and the hours of all.
    before: Vec<[i64; 4]>,
}

impl CoveredHours {
    pub fn add(&mut self, lane: CoverageLane, span: CoverageSpan) {
        self.lanes.entry(lane).or_default().push(span);
        self.bytes += SPAN_BYTES;
    }

    pub fn bytes_held(&self) -> usize {
        self.bytes
    }

    /// Makes questions quick. No two spans of a lane share an hour.
    pub fn sort(&mut self) {
        for (lane, mut spans) in self.lanes.drain() {
            spans.sort_unstable();
            let mut before = vec![[0; 4]];
            for span in &spans {
                let [bad, none, objects, hours] = *before.last().expect("it begins with one");
                before.push([
                    bad + i64::from(span.is_bad),
                    none + i64::from(span.basis == HourBasis::None),
                    objects + i64::from(span.basis == HourBasis::Objects),
                    hours + span.until - span.from,
                ]);
            }
            self.counted.insert(lane, CountedSpans { spans, before });
        }
    }

    /// The worst basis of the hours between two times, both of them included, and true if one of them is bad.
    pub fn worst(&self, lanes: &[CoverageLane], (from, to): (i64, i64)) -> (HourBasis, bool) {
        let (from, until) = (from.div_euclid(MICROS_PER_HOUR), to.div_euclid(MICROS_PER_HOUR) + 1);
        let of_lane = |lane: &CoverageLane| match self.counted.get(lane) {
            Some(counted) => counted.worst(from, until),
            None => (HourBasis::None, false),
        };
        let all = lanes.iter().map(of_lane);
        all.reduce(|a, b| (a.0.min(b.0), a.1 || b.1)).unwrap_or((HourBasis::None, false))
    }
}

impl CountedSpans {
    fn worst(&self, from: i64, until: i64) -> (HourBasis, bool) {
        let first = self.spans.partition_point(|span| span.until <= from);
        let end = self.spans.partition_point(|span| span.from < until);
        let among = |sort: usize| self.before[end][sort] - self.before[first][sort];
        let beyond = |span: Option<&CoverageSpan>, beyond: fn(&CoverageSpan, i64) -> i64, edge: i64| {
            span.map_or(0, |span| beyond(span, edge).max(0))
        };
        let within = self.spans.get(first..end).unwrap_or(&[]);
        let early = beyond(within.first(), |span, from| from - span.from, from);
        let late = beyond(within.last(), |span, until| span.until - until, until);
        let is_whole = !within.is_empty() && among(3) - early - late == until - from;
        let basis = match () {
            () if !is_whole || among(1) > 0 => HourBasis::None,
            () if among(2) > 0 => HourBasis::Objects,
            () => HourBasis::Digest,
        };
        (basis, !within.is_empty() && among(0) > 0)
    }
}

/// The Region in which a partition logs IAM and Organizations.
pub(super) fn global_region(partition: &str) -> Option<&'static str> {
    const REGIONS: [(&str, &str); 6] = [
        ("aws", "us-east-1"),
        ("aws-cn", "cn-north-1"),
        ("aws-eusc", "eusc-de-east-1"),
        ("aws-iso", "us-iso-east-1"),
        ("aws-iso-b", "us-isob-east-1"),
        ("aws-us-gov", "us-gov-west-1"),
    ];
    REGIONS.iter().find(|(known, _)| *known == partition).map(|(_, region)| *region)
}

/// True of a reason that AWS named, rather than several at once or none.
pub(super) fn is_told(reason: Option<&str>) -> bool {
    !matches!(reason, None | Some("resource_policy_or_missing" | "unspecified" | "unparsed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compact::TextPool;

    #[test]
    fn a_span_is_as_good_as_its_worst_hour() {
        let mut texts = TextPool::default();
        let lane = (texts.put("111122223333"), texts.put("eu-west-1"));
        let other = (texts.put("444455556666"), texts.put("eu-west-1"));
        let mut hours = CoveredHours::default();
        for (from, until, verdict, basis) in [
            (5, 6, None, "objects"),
            (0, 3, Some("good"), "digest"),
            (3, 4, None, "none"),
            (6, 8, Some("bad"), "digest"),
            (8, 90, Some("good"), "digest"),
        ] {
            let (from, until) = (from * MICROS_PER_HOUR, until * MICROS_PER_HOUR);
            hours.add(lane, CoverageSpan::of(from, until, verdict, Some(basis)));
        }
        hours.sort();
        for (from, to, expected) in [
            (0, 0, (HourBasis::Digest, false)),
            (1, 2, (HourBasis::Digest, false)),
            (2, 3, (HourBasis::None, false)),
            // Nothing speaks of the fourth hour.
            (4, 4, (HourBasis::None, false)),
            (4, 5, (HourBasis::None, false)),
            (5, 5, (HourBasis::Objects, false)),
            (5, 6, (HourBasis::Objects, true)),
            (7, 9, (HourBasis::Digest, true)),
            (8, 89, (HourBasis::Digest, false)),
            (20, 20, (HourBasis::Digest, false)),
            (-1, 1, (HourBasis::None, false)),
            (89, 90, (HourBasis::None, false)),
            (95, 99, (HourBasis::None, false)),
        ] {
            let span = (from * MICROS_PER_HOUR, (to + 1) * MICROS_PER_HOUR - 1);
            assert_eq!(hours.worst(&[lane], span), expected, "{from} to {to}");
            assert_eq!(hours.worst(&[lane, other], span).0, HourBasis::None);
        }
    }
}
