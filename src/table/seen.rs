//! The accounts, Regions and times that the read input is of.
//! In: rows as they are kept, and deliveries by the names of their objects, which also tell of those without a kept row.
//! Out: a [`SeenInput`]. Never says that nothing is missing in between: that is coverage.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::Delivery;

/// An account and a Region, as far as they are told.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeenPlace {
    pub account: Option<Box<str>>,
    pub region: Option<Box<str>>,
}

impl SeenPlace {
    pub fn new(account: Option<&str>, region: Option<&str>) -> SeenPlace {
        SeenPlace { account: account.map(Box::from), region: region.map(Box::from) }
    }

    /// True if it is this account and this Region.
    pub fn is(&self, account: Option<&str>, region: Option<&str>) -> bool {
        self.account.as_deref() == account && self.region.as_deref() == region
    }
}

/// The places and times of what was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenInput {
    /// Each with the last moment of which something is here, an event or a delivery.
    places: BTreeMap<SeenPlace, Option<i64>>,
    pub first_event: Option<i64>,
    pub last_event: Option<i64>,
}

impl SeenInput {
    /// Takes rows of one place; `span` is the first and the last of their times.
    pub fn see_rows(&mut self, place: SeenPlace, span: Option<(i64, i64)>) {
        self.reach(place, span.map(|(_, last)| last));
        let Some((first, last)) = span else { return };
        self.first_event = Some(self.first_event.map_or(first, |known| known.min(first)));
        self.last_event = self.last_event.max(Some(last));
    }

    /// Takes the events of an object whose place only its name tells.
    pub fn see_span(&mut self, span: (i64, i64)) {
        self.first_event = Some(self.first_event.map_or(span.0, |known| known.min(span.0)));
        self.last_event = self.last_event.max(Some(span.1));
    }

    /// Takes a delivery that was read.
    pub fn see_delivery(&mut self, delivery: &Delivery<'_>) {
        let place = SeenPlace::new(Some(delivery.account), Some(delivery.region));
        self.reach(place, Some(delivery.micros));
    }

    fn reach(&mut self, place: SeenPlace, until: Option<i64>) {
        let known = self.places.entry(place).or_default();
        *known = (*known).max(until);
    }

    /// Adds what another part of the same input has.
    pub fn add(&mut self, other: SeenInput) {
        other.places.into_iter().for_each(|(place, until)| self.reach(place, until));
        if let (Some(first), Some(last)) = (other.first_event, other.last_event) {
            self.see_span((first, last));
        }
    }

    pub fn accounts(&self) -> BTreeSet<&str> {
        self.places.keys().filter_map(|place| place.account.as_deref()).collect()
    }

    pub fn regions(&self) -> BTreeSet<&str> {
        self.places.keys().filter_map(|place| place.region.as_deref()).collect()
    }

    /// True if something of this account and Region is here.
    pub fn has(&self, account: &str, region: &str) -> bool {
        self.places.keys().any(|place| place.is(Some(account), Some(region)))
    }

    /// The last moment of this account and Region of which something is here.
    pub fn until(&self, account: &str, region: &str) -> Option<i64> {
        self.places.iter().find(|(place, _)| place.is(Some(account), Some(region))).and_then(|(_, until)| *until)
    }

    /// The last moment of which anything is here.
    pub fn until_anywhere(&self) -> Option<i64> {
        self.places.values().copied().max().flatten().max(self.last_event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_in_any_order() {
        let place = |account| SeenPlace::new(Some(account), Some("eu-west-1"));
        let (mut first, mut second) = (SeenInput::default(), SeenInput::default());
        first.see_rows(place("111122223333"), Some((5, 9)));
        first.see_rows(SeenPlace::default(), None);
        second.see_rows(place("111122223333"), Some((2, 3)));
        second.see_delivery(&Delivery { account: "444455556666", region: "us-east-1", micros: 20 });
        let mut both = first.clone();
        both.add(second.clone());
        second.add(first);
        assert_eq!(both, second);
        assert_eq!((both.first_event, both.last_event, both.until_anywhere()), (Some(2), Some(9), Some(20)));
        assert_eq!(both.accounts().into_iter().collect::<Vec<_>>(), ["111122223333", "444455556666"]);
        assert_eq!(both.regions().len(), 2);
        assert!(both.has("444455556666", "us-east-1") && !both.has("444455556666", "eu-west-1"));
        assert_eq!(both.until("111122223333", "eu-west-1"), Some(9));
    }
}
