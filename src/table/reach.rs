//! Tells tables of answers from tables of state.
//! In: nothing. Out: the word for both, which the layers of a scan share. Never decides which rows lie in a scope.

/// The rows that a table of events has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RowReach {
    /// Those in the scope.
    #[default]
    Scope,
    /// For state, also those that lie before its interval, and changes that are of no account's Region.
    State,
}
