//! The rows that a scope cannot judge, by their lack.
//! In: anything that there is of rows: places, bits, counts. Out: the same for each lack. Never decides what a row lacks.

use std::ops::AddAssign;

/// Rows that pass a scope because it cannot judge them, by their lack. A row may lack both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LackingRows<T> {
    /// Without a time: they pass every interval.
    pub time: T,
    /// Placed in no account or in no Region: they pass every list of these.
    pub place: T,
}

impl AddAssign for LackingRows<u64> {
    fn add_assign(&mut self, more: LackingRows<u64>) {
        self.time += more.time;
        self.place += more.place;
    }
}
