//! Turns one CloudTrail record into one row.
//! In: a [`Record`] over a [`json::Value`](crate::json::Value), and where it came from. Out: a [`Row`] that borrows from it.
//! Never fails and never drops a record: an unreadable field becomes NULL, or text as it stands, and an issue that
//! names its JSON path. No IO, no AWS calls; of the clock it asks only which year it is.
//!
//! `record` walks a record's top level once; `identity`, `outcome`, `key` and `context` each decide one group of
//! columns from it; `row` is what they fill.

mod again;
mod context;
mod docs;
mod filter;
mod identity;
mod key;
mod needs;
mod operation;
mod outcome;
mod record;
mod row;

pub use again::{StoredRow, normalize_again};
pub use docs::docs_markdown;
pub use filter::{EventFilter, is_cloudtrail, passes, screens_out};
pub use needs::{Need, Needs};
pub use record::Record;
pub use row::{Row, Wanted};

/// The number of the rules in this folder. Any change that gives some record another value of a derived column raises it
/// by one: files of a store carry it, so that rows of earlier rules are known and can be made again.
pub const NORMALIZER: u32 = 1;

/// What is known of a record from around it. Used only where the record itself does not say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin<'a> {
    /// The account in the object's path.
    pub account: Option<&'a str>,
    /// The account that the envelope names.
    pub envelope_account: Option<&'a str>,
}

/// One record as one row. Columns that are not wanted may stay NULL.
pub fn normalize<'a>(record: &Record<'a>, origin: &Origin<'a>, wanted: &Wanted) -> Row<'a> {
    record::normalize(record, origin, wanted, &Needs::all()).0
}

/// As [`normalize`], and whether anyone can need the row. One that nobody needs has only what was decided till then:
/// at least its identity, its time and its place.
pub fn normalize_needed<'a>(
    record: &Record<'a>,
    origin: &Origin<'a>,
    wanted: &Wanted,
    needs: &Needs,
) -> (Row<'a>, bool) {
    record::normalize(record, origin, wanted, needs)
}
