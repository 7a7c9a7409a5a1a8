//! Counts of records and of objects, each listed once.
//! In: counts. Out: sums, and the counts by name.

use std::ops::AddAssign;

use super::words::ObjectStatus;

macro_rules! counts {
    ($($count:ident $meaning:literal;)*) => {
        /// Counts of the records of an object or a run: `records = kept + duplicate + filtered + quarantined`.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counts {
            $(#[doc = $meaning] pub $count: u64,)*
        }

        impl Counts {
            /// The names of the counts, in the order of the columns.
            pub const NAMES: [&'static str; [$($meaning),*].len()] = [$(stringify!($count)),*];
            pub(super) const MEANINGS: [&'static str; Counts::NAMES.len()] = [$($meaning),*];

            /// In the order of the names.
            pub fn values(self) -> [u64; Counts::NAMES.len()] {
                [$(self.$count),*]
            }

            /// Counts from numbers in the order of `NAMES`.
            pub fn of_values([$($count),*]: [u64; Counts::NAMES.len()]) -> Counts {
                Counts { $($count),* }
            }
        }
    };
}

counts! {
    records "records, of whatever kind";
    kept "records that are rows of `events`";
    duplicate "records that pass the filter and are there already";
    filtered "records that the filter or the scope leaves out";
    quarantined "records that could not be read: the table `quarantine` has them";
    conflicts "kept records whose identity another record has with other content";
}

impl Counts {
    /// Each count with its name.
    pub fn each(self) -> impl Iterator<Item = (&'static str, u64)> {
        Counts::NAMES.into_iter().zip(self.values())
    }

    /// True if every record is counted exactly once.
    pub fn adds_up(&self) -> bool {
        let parts = [self.duplicate, self.filtered, self.quarantined];
        parts.into_iter().try_fold(self.kept, u64::checked_add) == Some(self.records)
    }
}

impl AddAssign for Counts {
    /// Saturates: the numbers of a damaged ledger may overflow, and must not end the run.
    fn add_assign(&mut self, other: Counts) {
        let (mut sums, others) = (self.values(), other.values());
        sums.iter_mut().zip(others).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        *self = Counts::of_values(sums);
    }
}

/// The number of objects of each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts([u64; ObjectStatus::ALL.len()]);

impl StatusCounts {
    /// Counts one object.
    pub fn add(&mut self, status: ObjectStatus) {
        self.0[status as usize] += 1;
    }

    /// Objects with this status.
    pub fn of(&self, status: ObjectStatus) -> u64 {
        self.0[status as usize]
    }

    /// In the order of the list.
    pub fn each(&self) -> impl Iterator<Item = (ObjectStatus, u64)> {
        ObjectStatus::ALL.iter().copied().zip(self.0)
    }

    /// All objects.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Objects that the answer lacks, as a whole or in part.
    pub fn problems(&self) -> u64 {
        self.sum_of(ObjectStatus::is_problem)
    }

    /// Logs that were read whole.
    pub fn read(&self) -> u64 {
        self.sum_of(ObjectStatus::is_read)
    }

    fn sum_of(&self, is_counted: impl Fn(ObjectStatus) -> bool) -> u64 {
        self.each().filter(|(status, _)| is_counted(*status)).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_under_their_names() {
        let mut counts = Counts { records: 10, kept: 1, duplicate: 2, filtered: 3, quarantined: 4, conflicts: 5 };
        let each: Vec<_> = counts.each().collect();
        let names = ["records", "kept", "duplicate", "filtered", "quarantined", "conflicts"];
        assert_eq!(each, names.into_iter().zip([10, 1, 2, 3, 4, 5]).collect::<Vec<_>>());
        assert!(counts.adds_up());
        counts += Counts { filtered: u64::MAX, conflicts: 1, ..Counts::default() };
        assert_eq!((counts.filtered, counts.conflicts, counts.adds_up()), (u64::MAX, 6, false));
    }

    #[test]
    fn objects_are_counted_by_status() {
        let mut counts = StatusCounts::default();
        ObjectStatus::ALL.iter().for_each(|&status| counts.add(status));
        counts.add(ObjectStatus::Changed);
        assert_eq!((counts.total(), counts.of(ObjectStatus::Changed), counts.read(), counts.problems()), (8, 2, 2, 5));
        assert!(counts.each().map(|(status, _)| status).eq(ObjectStatus::ALL.iter().copied()));
    }
}
