//! The tables of a store, and all that differs between them.
//! In: a table's name as a value. Out: its folder, columns, layout and partition, each from one match.
//! Never takes an unknown table for a known one: these are all.

use arrow::datatypes::SchemaRef;

use super::parquet_writer::FileLayout;
use super::{beside, ledger, rows};
use crate::objects::VERDICT_COLUMNS;
use crate::schema::Column;

/// A table of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TableId {
    /// The rows of `events`.
    Events,
    /// The ledger: the outcome of every object.
    Objects,
    /// Records that could not be read.
    Quarantine,
    /// The hours of objects, from format 2 on.
    Hours,
    /// What digests say, from format 2 on.
    Digests,
    /// The verdicts of proofs, from format 2 on; none are written yet.
    Verdicts,
}

impl TableId {
    /// All of them, events first.
    pub const ALL: [TableId; 6] =
        [TableId::Events, TableId::Objects, TableId::Quarantine, TableId::Hours, TableId::Digests, TableId::Verdicts];

    /// Those that stores of the first format lack.
    pub const OF_FORMAT_2: [TableId; 3] = [TableId::Hours, TableId::Digests, TableId::Verdicts];

    /// Its name, and that of its folder.
    pub fn name(self) -> &'static str {
        match self {
            TableId::Events => "events",
            TableId::Objects => "objects",
            TableId::Quarantine => "quarantine",
            TableId::Hours => "hours",
            TableId::Digests => "digests",
            TableId::Verdicts => "verdicts",
        }
    }

    /// The columns of the table, that of its partition among them.
    pub fn schema(self) -> SchemaRef {
        match self {
            TableId::Events => rows::table_schema(),
            TableId::Objects => ledger::ledger_schema(),
            TableId::Quarantine => ledger::stored_quarantine_schema(),
            TableId::Hours => beside::stored_hours_schema(),
            TableId::Digests => beside::stored_digests_schema(),
            TableId::Verdicts => VERDICT_COLUMNS.schema(),
        }
    }

    /// The columns of its files: the value of a partition is in their path.
    pub fn file_schema(self) -> SchemaRef {
        match self {
            TableId::Events => rows::file_schema(),
            TableId::Objects | TableId::Quarantine | TableId::Hours | TableId::Digests | TableId::Verdicts => {
                self.schema()
            }
        }
    }

    /// The choices by which its files are written.
    pub fn layout(self) -> &'static FileLayout {
        match self {
            TableId::Events => &rows::LAYOUT,
            TableId::Objects => &ledger::OBJECTS_LAYOUT,
            TableId::Quarantine => &ledger::QUARANTINE_LAYOUT,
            TableId::Hours => &beside::HOURS_LAYOUT,
            TableId::Digests => &beside::DIGESTS_LAYOUT,
            TableId::Verdicts => &beside::VERDICTS_LAYOUT,
        }
    }

    /// The column whose values name the folders of its files.
    pub fn partition(self) -> Option<&'static str> {
        match self {
            TableId::Events => Some(Column::EventDate.name()),
            TableId::Objects | TableId::Quarantine | TableId::Hours | TableId::Digests | TableId::Verdicts => None,
        }
    }
}
