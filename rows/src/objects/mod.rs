//! The vocabulary of objects: the outcome of each, its reason, and the columns of the tables that hold both.
//! In: nothing. Out: words with one spelling and one meaning each, counts, and the declared columns of `objects`,
//! `quarantine` and a store's ledger.
//! Never decides an outcome; every layer that does so takes its words from here.

mod counts;
mod delivery;
mod docs;
mod fields;
mod outcome;
mod tables;
mod unlisted;
mod words;

pub use counts::{Counts, StatusCounts};
pub use delivery::{Delivery, TOP_FOLDER, organization_of};
pub use docs::docs_markdown;
pub use fields::{ColumnError, CountColumn, CountsColumns, TableColumn, TableField, TypedColumn, WordColumn};
pub use outcome::ObjectOutcome;
pub use tables::{
    DIGEST_COLUMNS, DigestBuilder, DigestColumns, DigestRow, DigestRows, HOUR_COLUMNS, HourBuilder, HourColumns,
    HourRow, HourRows, LEDGER_COLUMNS, LedgerBuilder, LedgerColumns, LedgerRow, LedgerRows, OBJECT_COLUMNS,
    ObjectBuilder, ObjectColumns, ObjectRow, ObjectRows, OutcomeColumns, QUARANTINE_COLUMNS, QuarantineBuilder,
    QuarantineColumns, QuarantineRow, QuarantineRows, VERDICT_COLUMNS, VerdictBuilder, VerdictColumns, VerdictRow,
    VerdictRows,
};
pub use unlisted::{count_of_more, more_records};
pub use words::{FaultReason, ObjectChange, ObjectFlag, ObjectKind, ObjectStatus, SkipReason, UnknownWord, Word};
