//! The rows and columns that are asked for, as far as the text of single columns tells.
//! In: conditions and columns of the tables that rows go to, and a row under way. Out: the columns that tables still
//! read of it, or none if no table can want it.
//! Never decides alone: it saves work, and each table judges the rows that it gets.

use super::row::{Row, Wanted};
use crate::schema::Column;

/// The needs of all the tables that rows go to.
#[derive(Debug, Clone)]
pub struct Needs {
    tables: Vec<TableNeeds>,
    columns: Wanted,
}

/// The needs of one table.
#[derive(Debug, Clone)]
pub struct TableNeeds {
    /// A row must meet all of these.
    pub conditions: Vec<Need>,
    /// The columns that it reads, those of the conditions included.
    pub columns: Wanted,
}

/// A text column must have a value, or one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    pub column: Column,
    /// The values that pass; `None` lets any value pass.
    pub values: Option<Vec<String>>,
}

impl Need {
    fn holds(&self, row: &Row<'_>) -> bool {
        row.text(self.column)
            .is_some_and(|text| self.values.as_ref().is_none_or(|values| values.iter().any(|value| value == text)))
    }
}

impl TableNeeds {
    /// Those of a table that wants every row.
    pub fn of_every_row(columns: Wanted) -> TableNeeds {
        TableNeeds { conditions: Vec::new(), columns }
    }
}

impl Needs {
    /// Any number of tables; with none, no row is needed.
    pub fn new(tables: impl IntoIterator<Item = TableNeeds>) -> Needs {
        // An issue must not depend on which other columns were asked for, so its column asks for all.
        let with_all = |columns: Wanted| if columns.has(Column::Issues) { Wanted::all() } else { columns };
        let tables = tables.into_iter().map(|table| TableNeeds { columns: with_all(table.columns), ..table });
        let tables: Vec<TableNeeds> = tables.collect();
        let columns = tables.iter().fold(Wanted::of(&[]), |all, table| all.and(table.columns));
        Needs { tables, columns }
    }

    /// The columns that any table reads.
    pub(super) fn columns(&self) -> Wanted {
        self.columns
    }

    /// The columns read by the tables that can still want the row, judged by its known columns; `None` if no table can.
    pub(super) fn of_row(&self, row: &Row<'_>, known: Wanted) -> Option<Wanted> {
        let meets = |need: &Need| !known.has(need.column) || need.holds(row);
        let wanting = self.tables.iter().filter(|table| table.conditions.iter().all(meets));
        wanting.map(|table| table.columns).reduce(Wanted::and)
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
        let needs = |tables: &[Vec<Need>]| {
            let table =
                |conditions: &Vec<Need>| TableNeeds { conditions: conditions.clone(), columns: Wanted::of(&[]) };
            Needs::new(tables.iter().map(table))
        };
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
            assert_eq!(needs(&tables).of_row(&row, known).is_some(), wanted, "{tables:?}");
        }
        let known = Wanted::of(&[name, outcome]);
        assert!(needs(&[vec![has(outcome)]]).of_row(&row, known).is_none());
    }

    #[test]
    fn a_table_that_refuses_a_row_asks_for_none_of_its_columns() {
        let row = Row { event_name: Some(Cow::Borrowed("Decrypt")), ..Row::default() };
        let named = |name: &str, columns: &[Column]| TableNeeds {
            conditions: vec![Need { column: Column::EventName, values: Some(vec![name.to_owned()]) }],
            columns: Wanted::of(columns),
        };
        let needs = Needs::new([
            named("Decrypt", &[Column::EventName, Column::KeyArn]),
            named("Encrypt", &[Column::EventName, Column::Raw]),
            named("Decrypt", &[Column::EventName, Column::Outcome]),
        ]);
        let wanted = needs.of_row(&row, Wanted::of(&[Column::EventName])).unwrap();
        assert_eq!(wanted, Wanted::of(&[Column::EventName, Column::KeyArn, Column::Outcome]));
        assert!(needs.columns().has(Column::Raw));
        let with_issues = Needs::new([named("Decrypt", &[Column::EventName, Column::Issues])]);
        assert_eq!(with_issues.columns(), Wanted::all());
    }
}
