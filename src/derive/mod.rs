//! Tables that SQL expresses badly, since they follow from the order of events rather than from sets of them.
//! In: batches of an input that is declared as SQL over the views (`queries/derived`). Out: the rows of one table.
//! Pure: Arrow and nothing else of an engine, no IO, no clock. Batches may come in any order and any sizes, and the
//! rows are the same. One file a table.

mod error_echoes;
mod keys;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

/// A table that is computed from the rows of its input.
#[derive(Debug)]
pub struct DerivedTable {
    /// Of the table, and of the file of `queries/derived` that declares its input.
    pub name: &'static str,
    /// The columns of its rows.
    pub schema: fn() -> SchemaRef,
    /// Columns of both the table and its input that split the work: the rows for one value depend on the input rows of
    /// that value alone. A filter on these may be applied to the input.
    pub by: &'static [&'static str],
    /// Begins the computation.
    pub start: fn() -> Box<dyn Derivation>,
}

/// A computation under way. It holds facts about the rows so far, never the rows.
pub trait Derivation: Send {
    /// Takes some rows of the input.
    ///
    /// # Errors
    /// Fails if a column of the input is missing or of another type than declared.
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError>;

    /// Roughly the bytes that it holds, for the memory that a question may use.
    fn bytes_held(&self) -> usize;

    /// All rows of the table, in a total order.
    ///
    /// # Errors
    /// Fails if the columns do not make up a batch.
    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError>;
}

/// Every derived table.
pub const TABLES: &[DerivedTable] = &[error_echoes::ERROR_ECHOES, keys::KEYS];
