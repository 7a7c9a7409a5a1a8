//! The claim that a chain may make: shown, possible or unexplained, and how well the logs cover its hours.
//! In: hours of accounts and Regions, and the facts of one chain. Out: the words of the columns.
//! Never takes an hour that nothing speaks of for a covered one.

use std::collections::HashMap;

use keytrail_rows::time::MICROS_PER_SECOND;

use crate::compact::PooledText;

const MICROS_PER_HOUR: i64 = 3600 * MICROS_PER_SECOND;

/// Rough size of an hour, held twice while it is sorted.
const HOUR_BYTES: usize = 32;

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

/// One hour of an account and Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CoveredHour {
    hour: i64,
    is_bad: bool,
    basis: HourBasis,
}

/// An account and a Region.
pub(super) type CoverageLane = (PooledText, PooledText);

/// The hours of all accounts and Regions.
#[derive(Debug, Default)]
pub(super) struct CoveredHours {
    lanes: HashMap<CoverageLane, Vec<CoveredHour>>,
    counted: HashMap<CoverageLane, CountedHours>,
    bytes: usize,
}

/// The hours of one lane, with the number of each sort among those before.
#[derive(Debug)]
struct CountedHours {
    hours: Vec<i64>,
    /// Bad ones, those without basis, those by objects.
    before: Vec<[u32; 3]>,
}

impl CoveredHours {
    pub fn add(&mut self, lane: CoverageLane, time: i64, (is_bad, basis): (bool, HourBasis)) {
        let hour = time.div_euclid(MICROS_PER_HOUR);
        self.lanes.entry(lane).or_default().push(CoveredHour { hour, is_bad, basis });
        self.bytes += HOUR_BYTES;
    }

    pub fn bytes_held(&self) -> usize {
        self.bytes
    }

    /// Makes questions quick. An hour that is there twice is as the worse says.
    pub fn sort(&mut self) {
        for (lane, mut hours) in self.lanes.drain() {
            hours.sort_unstable_by_key(|of| (of.hour, !of.is_bad, of.basis));
            hours.dedup_by_key(|of| of.hour);
            let mut before = vec![[0; 3]];
            for of in &hours {
                let [bad, none, objects] = *before.last().expect("it begins with one");
                before.push([
                    bad + u32::from(of.is_bad),
                    none + u32::from(of.basis == HourBasis::None),
                    objects + u32::from(of.basis == HourBasis::Objects),
                ]);
            }
            let hours = hours.into_iter().map(|of| of.hour).collect();
            self.counted.insert(lane, CountedHours { hours, before });
        }
    }

    /// The worst basis of the hours of a span, and true if one of them is bad.
    pub fn worst(&self, lanes: &[CoverageLane], (from, to): (i64, i64)) -> (HourBasis, bool) {
        let (from, to) = (from.div_euclid(MICROS_PER_HOUR), to.div_euclid(MICROS_PER_HOUR));
        let of_lane = |lane: &CoverageLane| match self.counted.get(lane) {
            Some(counted) => counted.worst(from, to),
            None => (HourBasis::None, false),
        };
        let all = lanes.iter().map(of_lane);
        all.reduce(|a, b| (a.0.min(b.0), a.1 || b.1)).unwrap_or((HourBasis::None, false))
    }
}

impl CountedHours {
    fn worst(&self, from: i64, to: i64) -> (HourBasis, bool) {
        let place = |hour: i64| self.hours.partition_point(|of| *of < hour);
        let (first, end) = (place(from), place(to + 1));
        let among = |sort: usize| self.before[end][sort] - self.before[first][sort];
        let is_whole = (end - first) as i64 == to - from + 1;
        let basis = match () {
            () if !is_whole || among(1) > 0 => HourBasis::None,
            () if among(2) > 0 => HourBasis::Objects,
            () => HourBasis::Digest,
        };
        (basis, among(0) > 0)
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
        for (hour, is_bad, basis) in [
            (5, false, HourBasis::Objects),
            (1, false, HourBasis::Digest),
            (2, false, HourBasis::Digest),
            (3, false, HourBasis::None),
            (6, true, HourBasis::Digest),
            (6, false, HourBasis::Digest),
        ] {
            hours.add(lane, hour * MICROS_PER_HOUR + 1, (is_bad, basis));
        }
        hours.sort();
        for (from, to, expected) in [
            (1, 2, (HourBasis::Digest, false)),
            (2, 3, (HourBasis::None, false)),
            // Nothing speaks of the fourth hour.
            (4, 5, (HourBasis::None, false)),
            (5, 5, (HourBasis::Objects, false)),
            (5, 6, (HourBasis::Objects, true)),
            (0, 1, (HourBasis::None, false)),
            (6, 7, (HourBasis::None, true)),
        ] {
            let span = (from * MICROS_PER_HOUR, (to + 1) * MICROS_PER_HOUR - 1);
            assert_eq!(hours.worst(&[lane], span), expected, "{from} to {to}");
            assert_eq!(hours.worst(&[lane, other], span).0, HourBasis::None);
        }
    }
}
