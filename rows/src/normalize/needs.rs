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
    /// Any of these; none asks for no more than a value.
    pub values: Option<Vec<String>>,
}

impl Need {
    fn holds(&self, row: &Row<'_>) -> bool {
        row.text(self.column)
            .is_some_and(|text| self.values.as_ref().is_none_or(|values| values.iter().any(|value| value == text)))
    }
}

impl Needs {
    /// One list of conditions for each table; a row must meet all of a list.
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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn a_row_is_wanted_until_every_table_has_refused_it() {
        let row = Row { event_name: Some(Cow::Borrowed("Decrypt")), ..Row::default() };
        let is = |column, value: &str| Need { column, values: Some(vec![value.to_owned()]) };
        let has = |column| Need { column, values: None };
        let (name, outcome) = (Column::EventName, Column::Outcome);
        let known = Wanted::of(&[name]);
        for (tables, wanted) in [
            (vec![vec![]], true),
            (vec![vec![is(name, "Decrypt")]], true),
            (vec![vec![is(name, "Encrypt")]], false),
            (vec![vec![is(name, "Encrypt")], vec![]], true),
            (vec![vec![is(name, "Encrypt")], vec![has(name)]], true),
            (vec![vec![is(name, "Decrypt"), is(outcome, "denied")]], true),
            (vec![vec![is(name, "Encrypt"), is(outcome, "denied")]], false),
            (vec![vec![has(outcome)]], true),
        ] {
            assert_eq!(Needs::new(tables.clone()).may_want(&row, known), wanted, "{tables:?}");
        }
        assert!(!Needs::new([vec![has(outcome)]]).may_want(&row, Wanted::of(&[name, outcome])));
    }
}
