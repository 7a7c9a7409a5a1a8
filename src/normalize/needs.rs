//! Which rows are asked for, as far as the text of single columns tells.
//! In: conditions of the tables that rows go to, and a row under way. Out: whether any of them can still want it.
//! Only saves work: whoever asked judges the rows that it gets.

use super::row::{Row, Wanted};
use crate::schema::Column;

/// What each table that rows go to needs of its rows; a table without conditions wants all.
#[derive(Debug, Clone, Default)]
pub struct Needs(Vec<Vec<Need>>);

/// A text column must have a value, or one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    pub column: Column,
    pub values: Option<Vec<String>>,
}

impl Need {
    fn holds(&self, row: &Row<'_>) -> bool {
        row.text(self.column)
            .is_some_and(|text| self.values.as_ref().is_none_or(|values| values.iter().any(|value| value == text)))
    }
}

impl Needs {
    pub fn new(tables: impl IntoIterator<Item = Vec<Need>>) -> Needs {
        Needs(tables.into_iter().collect())
    }

    /// Needs that every row meets.
    pub fn all() -> Needs {
        Needs(vec![Vec::new()])
    }

    /// Whether a table can want the row, of which these columns are known.
    pub(super) fn may_want(&self, row: &Row<'_>, known: Wanted) -> bool {
        self.0.iter().any(|needs| needs.iter().all(|need| !known.has(need.column) || need.holds(row)))
    }
}
