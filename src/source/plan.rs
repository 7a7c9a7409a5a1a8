//! The plan of a run, made without reading a log: the answer to `--dry-run`.
//! In: locations and a scope. Out: counts from listing alone, and the least time that the requests take.
//! Downloads no object and asks for no event.

use super::history::{self, LookupWindow};
use super::{Listing, ListingEntry, Location, PrunedCounts, RemoteAccess, Scope, SourceError, list};

/// The work that takes time, known from listing alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadCost {
    /// Requests that the listing took: a run takes them again.
    pub list_requests: u64,
    pub get_requests: u64,
    pub bytes: u64,
    /// The estimate for the event history, in words; none where none is asked for.
    pub history: Option<String>,
}

impl ReadCost {
    /// The least time that a run takes.
    pub fn seconds(&self) -> u64 {
        let requests = self.list_requests + self.get_requests;
        self.bytes.div_ceil(BYTES_PER_SECOND).max(requests.div_ceil(REQUESTS_PER_SECOND))
    }
}

/// Requests and bytes a second that a run can be expected to reach, near the bucket and on few cores.
const REQUESTS_PER_SECOND: u64 = 1_000;
const BYTES_PER_SECOND: u64 = 50_000_000;

/// The objects that a run would read, and those that it would not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadPlan {
    /// Logs that would be read.
    pub objects: u64,
    /// Objects whose content would be looked at, since their names do not say if they are logs.
    pub looked_at: u64,
    pub skipped: u64,
    pub refused: u64,
    pub pruned: PrunedCounts,
    pub cost: ReadCost,
}

/// Lists the locations except event histories, which say nothing before they are asked. Returns the listing and an
/// estimate for the histories.
pub fn list_for_plan(
    locations: &[Location],
    scope: &Scope,
    remote: &RemoteAccess,
) -> Result<(Listing, Option<String>), SourceError> {
    let regions = history::regions_of(locations, scope);
    if !regions.is_empty() && !scope.org_ids.is_empty() {
        return Err(SourceError::OrganizationOfHistory);
    }
    let window = LookupWindow::of(scope, remote.now_micros);
    let history = (!regions.is_empty()).then(|| history::estimate(regions.len(), &window));
    let is_listed = |location: &&Location| !matches!(location, Location::History(_));
    let listed: Vec<Location> = locations.iter().filter(is_listed).cloned().collect();
    Ok((list(&listed, scope, remote)?, history))
}

impl ReadPlan {
    /// Counts the objects of the listing. `history` is the estimate of [`list_for_plan`].
    pub fn of(listing: &Listing, history: Option<String>) -> ReadPlan {
        let cost = ReadCost { list_requests: listing.requests(), history, ..ReadCost::default() };
        let mut plan = ReadPlan { pruned: *listing.pruned(), cost, ..ReadPlan::default() };
        for index in 0..listing.len() {
            let entry = listing.entry(index);
            if entry.is_opened() {
                plan.cost.bytes += listing.bytes(index);
                plan.cost.get_requests += u64::from(listing.is_in_bucket(index));
            }
            match entry {
                ListingEntry::Log => plan.objects += 1,
                ListingEntry::ByContent => plan.looked_at += 1,
                ListingEntry::Skipped(_) => plan.skipped += 1,
                ListingEntry::Refused(_) | ListingEntry::Quarantined(_) | ListingEntry::Missing => plan.refused += 1,
            }
        }
        plan
    }
}
