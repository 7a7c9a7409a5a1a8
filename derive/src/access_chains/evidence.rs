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
    /// True if something that could not be read may be of any hour.
    has_unplaced_faults: bool,
    bytes: usize,
}

/// The worth of some hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HoursWorth {
    /// That of the worst hour.
    pub basis: HourBasis,
    /// The number of bad hours; `None` where any may be one.
    pub bad: Option<i64>,
}

/// The spans of one lane in the order of time, with the number of each sort and of hours among those before.
#[derive(Debug)]
struct CountedSpans {
    spans: Vec<CoverageSpan>,
    /// The hours of bad ones, the number of those without basis and of those by objects, and the hours of all.
    before: Vec<[i64; 4]>,
}

impl CoveredHours {
    pub fn add(&mut self, lane: CoverageLane, span: CoverageSpan) {
        self.lanes.entry(lane).or_default().push(span);
        self.bytes += SPAN_BYTES;
    }

    /// Notes what could not be read and may be of any hour.
    pub fn add_unplaced_faults(&mut self) {
        self.has_unplaced_faults = true;
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
                    bad + span.bad_hours(span.from, span.until),
                    none + i64::from(span.basis == HourBasis::None),
                    objects + i64::from(span.basis == HourBasis::Objects),
                    hours + span.until - span.from,
                ]);
            }
            self.counted.insert(lane, CountedSpans { spans, before });
        }
    }

    /// The worth of the hours between two times, both of them included, in distinct lanes.
    pub fn worth(&self, lanes: &[CoverageLane], (from, to): (i64, i64)) -> HoursWorth {
        let (from, until) = (from.div_euclid(MICROS_PER_HOUR), to.div_euclid(MICROS_PER_HOUR) + 1);
        let of_lane = |lane: &CoverageLane| match self.counted.get(lane) {
            Some(counted) => counted.worth(from, until),
            None => (HourBasis::None, 0),
        };
        let all = lanes.iter().map(of_lane);
        let (basis, bad) = all.reduce(|a, b| (a.0.min(b.0), a.1 + b.1)).unwrap_or((HourBasis::None, 0));
        HoursWorth { basis, bad: (!self.has_unplaced_faults).then_some(bad) }
    }
}

impl CoverageSpan {
    /// The bad hours of it from one to before another.
    fn bad_hours(&self, from: i64, until: i64) -> i64 {
        if self.is_bad { (self.until.min(until) - self.from.max(from)).max(0) } else { 0 }
    }
}

impl CountedSpans {
    fn worth(&self, from: i64, until: i64) -> (HourBasis, i64) {
        let first = self.spans.partition_point(|span| span.until <= from);
        let end = self.spans.partition_point(|span| span.from < until);
        let among = |sort: usize| self.before[end][sort] - self.before[first][sort];
        let Some(([early, ..], [.., late])) = self.spans.get(first..end).map(|within| (within, within)) else {
            return (HourBasis::None, 0);
        };
        // What of the outer spans lies beyond the hours that are asked for.
        let outside = (from - early.from).max(0) + (late.until - until).max(0);
        let bad_outside = early.bad_hours(early.from, from) + late.bad_hours(until, late.until);
        let basis = match () {
            () if among(3) - outside != until - from || among(1) > 0 => HourBasis::None,
            () if among(2) > 0 => HourBasis::Objects,
            () => HourBasis::Digest,
        };
        (basis, among(0) - bad_outside)
    }
}

/// The Region in which a partition logs IAM and Organizations.
pub(super) fn global_region(partition: &str) -> Option<&'static str> {
    const REGIONS: [(&str, &str); 8] = [
        ("aws", "us-east-1"),
        ("aws-cn", "cn-north-1"),
        ("aws-eusc", "eusc-de-east-1"),
        ("aws-iso", "us-iso-east-1"),
        ("aws-iso-b", "us-isob-east-1"),
        ("aws-iso-e", "eu-isoe-west-1"),
        ("aws-iso-f", "us-isof-south-1"),
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
    fn each_partition_has_its_global_region() {
        for region in ["us-east-1", "us-gov-east-1", "cn-north-1", "us-iso-west-1", "us-isob-east-1", "eu-isoe-west-1"]
        {
            let partition = keytrail_rows::arn::partition_of(region);
            let global = global_region(partition).unwrap();
            assert_eq!(keytrail_rows::arn::partition_of(global), partition);
        }
        assert_eq!(global_region("aws-iso-f"), Some("us-isof-south-1"));
        assert_eq!(global_region("aws-new"), None);
    }

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
            (0, 0, (HourBasis::Digest, 0)),
            (1, 2, (HourBasis::Digest, 0)),
            (2, 3, (HourBasis::None, 0)),
            // Nothing speaks of the fourth hour.
            (4, 4, (HourBasis::None, 0)),
            (4, 5, (HourBasis::None, 0)),
            (5, 5, (HourBasis::Objects, 0)),
            (5, 6, (HourBasis::Objects, 1)),
            (7, 9, (HourBasis::Digest, 1)),
            (5, 9, (HourBasis::Objects, 2)),
            (6, 6, (HourBasis::Digest, 1)),
            (8, 89, (HourBasis::Digest, 0)),
            (20, 20, (HourBasis::Digest, 0)),
            (-1, 1, (HourBasis::None, 0)),
            (89, 90, (HourBasis::None, 0)),
            (95, 99, (HourBasis::None, 0)),
        ] {
            let span = (from * MICROS_PER_HOUR, (to + 1) * MICROS_PER_HOUR - 1);
            let (basis, bad) = expected;
            assert_eq!(hours.worth(&[lane], span), HoursWorth { basis, bad: Some(bad) }, "{from} to {to}");
            assert_eq!(hours.worth(&[lane, other], span).basis, HourBasis::None);
        }
        hours.add_unplaced_faults();
        assert_eq!(hours.worth(&[lane], (0, 0)), HoursWorth { basis: HourBasis::Digest, bad: None });
    }
}
