//! Tables that SQL expresses badly, since they follow from the order of events rather than from sets of them.
//! In: batches of an input that is declared as SQL over the views (`queries/derived`). Out: the rows of one table.
//! Pure: Arrow and nothing else of an engine, no IO, no clock. Batches may come in any order and any sizes, and the
//! rows are the same. One file a table.
//!
//! A crate of its own because it folds every row of some questions: it is compiled for speed, and its tests need
//! neither DataFusion nor AWS's SDK.
#![forbid(unsafe_code)]

mod access_call;
mod access_chains;
mod access_change_facts;
mod baseline;
mod compact;
mod coverage;
mod coverage_facts;
mod coverage_spans;
mod denial_facts;
mod dynamodb_access_windows;
mod error_echoes;
mod grant_uses;
mod grants;
mod input;
mod key_aliases;
mod key_dependents;
mod key_policies;
mod key_rotations;
mod key_state;
mod key_states;
mod keys;
mod log_names;
mod missing_logs;
mod moment;
mod output;
mod parameters;
mod period_sweep;
mod policy;
mod role_sessions;
mod rule_findings;
mod session_book;
mod session_origins;
mod session_persons;
mod table_access;
mod table_keys;
mod table_periods;
mod table_settings;
#[cfg(test)]
mod testing;
mod text_tuple;
mod trails;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

pub use output::OutputColumn;

/// A table that is computed from the rows of its input.
#[derive(Debug)]
pub struct DerivedTable {
    /// Of the table, and of the file of `queries/derived` that declares its input.
    pub name: &'static str,
    pub columns: &'static [OutputColumn],
    /// Columns of both the table and its input that split the work: the rows for one value depend on the input rows of
    /// that value alone. A filter on these may be applied to the input.
    pub by: &'static [&'static str],
    /// Columns that together differ in any two rows, NULL being one more value; none where nothing is promised. A left
    /// join on all of them adds no row, and costs nothing where none of its columns is used.
    pub unique: &'static [&'static str],
    /// Tells which rows lie in the interval that was asked for.
    pub time: RowTime,
    /// Begins the computation.
    pub start: fn(&AskedInterval) -> Box<dyn Derivation>,
}

impl DerivedTable {
    /// The Arrow schema of its rows.
    pub fn schema(&self) -> SchemaRef {
        output::schema_of(self.columns)
    }
}

/// The columns that give the time of a derived row. A row lies in an interval if any part of its time does; rows
/// without a time pass every interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowTime {
    /// Rows have no time of their own: they are joined to others, or their input is of the interval.
    None,
    /// A moment.
    At(&'static str),
    /// The first and the last moment.
    Through(&'static str, &'static str),
    /// The first moment, and the first one after: NULL where the start was not seen, and where there is no end yet.
    Until(&'static str, &'static str),
}

/// The interval of a question, half-open, in microseconds since 1970. The input of a derived table has all that is
/// there from before its end; SQL of an input asks `in_interval(event_time)` where a fact is of the interval alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedInterval {
    pub since: Option<i64>,
    pub until: Option<i64>,
    pub earlier: EarlierHistory,
}

impl AskedInterval {
    /// True where the input has everything that the logs have from this time on. The end of a state, or the next change
    /// of something, may be missing behind an earlier time; a fact that nothing takes back needs no such proof.
    pub(crate) fn has_all_from(&self, at: Option<i64>) -> bool {
        !self.lacks_earlier() || at.is_none_or(|at| self.since.is_none_or(|since| at >= since))
    }

    /// True if what happened before the interval is not part of the input.
    pub(crate) fn lacks_earlier(&self) -> bool {
        self.since.is_some() && self.earlier == EarlierHistory::NotRead
    }
}

/// Tells whether what happened before the interval is part of the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EarlierHistory {
    /// Not, or only what lay in the same folders: silence says nothing.
    #[default]
    NotRead,
    /// In a store its whole history, over logs as far as `--baseline` reads.
    Read,
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
pub const TABLES: &[DerivedTable] = &[
    access_chains::ACCESS_CHAINS,
    access_change_facts::ACCESS_CHANGE_FACTS,
    baseline::BASELINE,
    coverage::COVERAGE,
    coverage_spans::COVERAGE_SPANS,
    denial_facts::DENIAL_FACTS,
    dynamodb_access_windows::DYNAMODB_ACCESS_WINDOWS,
    error_echoes::ERROR_ECHOES,
    grants::GRANTS,
    key_aliases::KEY_ALIASES,
    key_dependents::KEY_DEPENDENTS,
    key_policies::KEY_POLICIES,
    key_rotations::KEY_ROTATIONS,
    key_states::KEY_STATES,
    keys::KEYS,
    missing_logs::MISSING_LOGS,
    role_sessions::ROLE_SESSIONS,
    rule_findings::RULE_FINDINGS,
    session_persons::SESSION_PERSONS,
    table_access::TABLE_ACCESS,
    table_keys::TABLE_KEYS,
];
