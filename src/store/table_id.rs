//! The three tables of a store, and all that differs between them.
//! In: a table's name as a value. Out: its folder, columns, layout and partition, each from one match.
//! Never takes an unknown table for a known one: these three are all.

use arrow::datatypes::SchemaRef;

use super::parquet_writer::FileLayout;
use super::{ledger, rows};
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
}

impl TableId {
    /// All of them, events first.
    pub const ALL: [TableId; 3] = [TableId::Events, TableId::Objects, TableId::Quarantine];

    /// Its name, and that of its folder.
    pub fn name(self) -> &'static str {
        match self {
            TableId::Events => "events",
            TableId::Objects => "objects",
            TableId::Quarantine => "quarantine",
        }
    }

    /// The columns of the table, that of its partition among them.
    pub fn schema(self) -> SchemaRef {
        match self {
            TableId::Events => rows::table_schema(),
            TableId::Objects => ledger::ledger_schema(),
            TableId::Quarantine => ledger::stored_quarantine_schema(),
        }
    }

    /// The columns of its files: the value of a partition is in their path.
    pub fn file_schema(self) -> SchemaRef {
        match self {
            TableId::Events => rows::file_schema(),
            TableId::Objects => ledger::ledger_schema(),
            TableId::Quarantine => ledger::stored_quarantine_schema(),
        }
    }

    /// The choices by which its files are written.
    pub fn layout(self) -> &'static FileLayout {
        match self {
            TableId::Events => &rows::LAYOUT,
            TableId::Objects => &ledger::OBJECTS_LAYOUT,
            TableId::Quarantine => &ledger::QUARANTINE_LAYOUT,
        }
    }

    /// The column whose values name the folders of its files.
    pub fn partition(self) -> Option<&'static str> {
        match self {
            TableId::Events => Some(Column::EventDate.name()),
            TableId::Objects | TableId::Quarantine => None,
        }
    }
}
