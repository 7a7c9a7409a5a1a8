//! The Regions and the time to look up, and the most that a lookup takes.
//! In: locations, a scope and the time. Out: Regions, each once, and a window of seconds.
//! Never sends a request: a Region of the list may turn out not to be enabled.

use super::super::regions::COMMERCIAL;
use super::super::{Location, Regions, Scope};
use crate::time::{MICROS_PER_DAY, MICROS_PER_SECOND};

const HISTORY_DAYS: i64 = 90;
pub(super) const DAY_SECONDS: i64 = MICROS_PER_DAY / MICROS_PER_SECOND;
/// Every account has this Region, so a refusal there is about the credentials.
const HOME_REGION: &str = "us-east-1";

/// The time at which the event history begins, in microseconds since 1970.
pub fn begin(now_micros: i64) -> i64 {
    now_micros - HISTORY_DAYS * MICROS_PER_DAY
}

/// A Region to look into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct AskedRegion {
    pub(super) region: String,
    /// Named by the user, not only part of "all".
    is_named: bool,
}

impl AskedRegion {
    /// True if refused credentials may only mean that the account has not enabled the Region.
    pub(super) fn may_be_disabled(&self) -> bool {
        !self.is_named && self.region != HOME_REGION
    }
}

/// The Regions of all locations that are in scope, each once.
pub(in super::super) fn regions_of(locations: &[Location], scope: &Scope) -> Vec<AskedRegion> {
    let mut all: Vec<AskedRegion> = Vec::new();
    for location in locations {
        match location {
            Location::History(Regions::All) => {
                all.extend(COMMERCIAL.map(|region| AskedRegion { region: region.to_owned(), is_named: false }));
            }
            Location::History(Regions::Named(regions)) => {
                all.extend(regions.iter().map(|region| AskedRegion { region: region.clone(), is_named: true }));
            }
            Location::Path(_) | Location::Stdin | Location::S3(_) => {}
        }
    }
    all.retain(|asked| scope.regions.is_empty() || scope.regions.contains(&asked.region));
    // A Region that is named and also part of "all" counts as named.
    all.sort_by(|a, b| (&a.region, !a.is_named).cmp(&(&b.region, !b.is_named)));
    all.dedup_by(|next, kept| next.region == kept.region);
    all
}

/// The bounds of a lookup's time, in words for the user; nothing more is known before the first request.
pub(in super::super) fn estimate(regions: usize, window: &LookupWindow) -> String {
    let days = ((window.until - window.since).max(1) + DAY_SECONDS - 1).div_euclid(DAY_SECONDS);
    let names = if regions == 1 { "1 Region" } else { &format!("{regions} Regions") };
    format!(
        "event history of {names}, up to {days} days: at most 100 events a second in each Region, so that 100,000 events \
         take 17 minutes; how many there are is not known before. No digest covers event history."
    )
}

/// Seconds since 1970, both inclusive as the service takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct LookupWindow {
    pub(super) since: i64,
    pub(super) until: i64,
}

impl LookupWindow {
    pub(in super::super) fn of(scope: &Scope, now_micros: i64) -> LookupWindow {
        let now = now_micros.div_euclid(1_000_000);
        let oldest = now - HISTORY_DAYS * DAY_SECONDS;
        let since = scope.since.map_or(oldest, |micros| micros.div_euclid(1_000_000));
        let until = scope.until.map_or(now, |micros| (micros - 1).div_euclid(1_000_000));
        LookupWindow { since: since.max(oldest), until: until.min(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_come_once_and_within_the_scope() {
        let named = |names: &[&str]| Location::History(Regions::Named(names.iter().map(|n| (*n).into()).collect()));
        let all = Location::History(Regions::All);
        let scope = Scope::default();
        let found = regions_of(&[all.clone(), named(&["eu-west-1", "us-gov-east-1"])], &scope);
        assert_eq!(found.len(), COMMERCIAL.len() + 1);
        assert!(found.iter().filter(|asked| asked.is_named).count() == 2 && found.is_sorted());
        let scope = Scope { regions: vec!["eu-west-1".into(), "xx-none-1".into()], ..scope };
        assert_eq!(regions_of(&[all], &scope).len(), 1);
        assert_eq!(regions_of(&[named(&["us-east-1"])], &scope), []);
    }

    #[test]
    fn the_window_ends_with_the_history() {
        let now = 1_000 * DAY_SECONDS;
        for (since, until, window) in [
            (None, None, (now - 90 * DAY_SECONDS, now)),
            (Some(now - 10), Some(now - 5), (now - 10, now - 6)),
            (Some(0), Some(now + 5), (now - 90 * DAY_SECONDS, now)),
        ] {
            let micros = |seconds: Option<i64>| seconds.map(|seconds| seconds * 1_000_000);
            let scope = Scope { since: micros(since), until: micros(until), ..Scope::default() };
            let found = LookupWindow::of(&scope, now * 1_000_000);
            assert_eq!((found.since, found.until), window);
        }
    }
}
