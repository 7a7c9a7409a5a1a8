//! Tells if the records of changes that are of no Region are among the logs that a scope of accounts and Regions opens.
//! In: the scope, the names of the objects, and what became of them. Out: a verdict for the summary. Never opens an object:
//! one whose name tells no Region may hold such records, and is not held against the answer once it was read as a log.

use super::tallies::Tallies;
use crate::objects::Delivery;
use crate::source::{Listing, Scope, regions};

/// The logs of IAM, STS and Organizations that a scope of lists needs, and those of them that are here.
#[derive(Debug, Clone, Default)]
pub struct GlobalChanges {
    /// The accounts whose changes were not found yet; of no list, one that any account fits.
    wanted: Vec<Option<String>>,
    regions: Vec<&'static str>,
}

impl GlobalChanges {
    /// The logs that are needed; none without lists, since then the objects are those that the user named.
    pub fn of(scope: &Scope) -> GlobalChanges {
        let regions = match scope.regions.as_slice() {
            [] => regions::global_of(regions::known()),
            listed => regions::global_of(listed.iter().map(String::as_str)),
        };
        let wanted = match scope.accounts.as_slice() {
            [] if scope.regions.is_empty() => Vec::new(),
            [] => vec![None],
            listed => listed.iter().cloned().map(Some).collect(),
        };
        GlobalChanges { wanted, regions }
    }

    /// The same once a scan looked at the objects of a listing. One that the scan did not need counts by its name.
    pub fn of_scan(scope: &Scope, listing: &Listing, tallies: &Tallies) -> GlobalChanges {
        let mut changes = GlobalChanges::of(scope);
        let mut opened = tallies.objects.iter().peekable();
        for index in 0..listing.len() {
            let tally = opened.next_if(|tally| tally.object as usize == index);
            let is_here = |uri: &str| match tally {
                Some(tally) => tally.outcome.status().is_read(),
                None => listing.entry(index).is_opened() && Delivery::of(uri).is_some(),
            };
            // The event history is asked for calls of KMS and DynamoDB alone.
            if changes.are_missing() && !listing.is_history(index) {
                let uri = listing.uri(index);
                if is_here(&uri) {
                    changes.see(&uri);
                }
            }
        }
        changes
    }

    /// Looks at an object that is read, and is no page of the event history.
    pub fn see(&mut self, uri: &str) {
        match Delivery::of(uri) {
            None => self.wanted.clear(),
            Some(delivery) if self.regions.contains(&delivery.region) => {
                self.wanted.retain(|account| account.as_deref().is_some_and(|account| account != delivery.account));
            }
            Some(_) => {}
        }
    }

    /// True if the changes of some account are nowhere among the objects.
    pub fn are_missing(&self) -> bool {
        !self.wanted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_missing_until_a_log_of_their_region_is_seen() {
        let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let log =
            |account: &str, region: &str| format!("AWSLogs/{account}_CloudTrail_{region}_20260310T1435Z_x.json.gz");
        let (one, other) = ("111122223333", "444455556666");
        for (accounts, regions, logs, are_missing) in [
            (&[][..], &[][..], vec![], false),
            (&[], &["eu-west-1"], vec![log(one, "eu-west-1")], true),
            (&[], &["eu-west-1"], vec![log(one, "eu-west-1"), log(other, "us-east-1")], false),
            (&[], &["us-gov-east-1"], vec![log(one, "us-east-1")], true),
            (&[], &["us-gov-east-1"], vec![log(one, "us-gov-west-1")], false),
            (&[one], &["eu-west-1"], vec![log(other, "us-east-1")], true),
            (&[one], &[], vec![log(one, "eu-west-1")], true),
            (&[one], &[], vec![log(one, "us-east-1")], false),
            (&[one, other], &[], vec![log(one, "us-east-1")], true),
            (&[one, other], &[], vec![log(other, "us-east-1"), log(one, "us-east-1")], false),
            (&[one], &["eu-west-1"], vec!["events.json".to_owned()], false),
        ] {
            let scope = Scope { accounts: list(accounts), regions: list(regions), ..Scope::default() };
            let mut changes = GlobalChanges::of(&scope);
            logs.iter().for_each(|uri| changes.see(uri));
            assert_eq!(changes.are_missing(), are_missing, "{accounts:?} {regions:?} {logs:?}");
        }
    }
}
