//! The rows and columns that are asked for, as far as the text of single columns tells.
//! In: conditions and columns of the tables that rows go to, and a row under way. Out: the columns that tables still
//! read of it, or none if no table can want it.
//! Never decides alone: it saves work, and each table judges the rows that it gets.

use super::place::{PLACE, is_placed};
use super::row::{ColumnSet, Row};
use crate::schema::Column;

/// The needs of all the tables that rows go to.
#[derive(Debug, Clone)]
pub struct RowNeeds {
    tables: Vec<TableNeeds>,
    columns: ColumnSet,
}

/// The needs of one table.
#[derive(Debug, Clone)]
pub struct TableNeeds {
    /// A row must meet all of these.
    pub conditions: Vec<ColumnCondition>,
    /// The columns that it reads, those of the conditions included.
    pub columns: ColumnSet,
    /// A row before this time is not for it, in microseconds since 1970; a row without a time may be.
    pub since: Option<i64>,
}

/// A text column must have a value, or one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnCondition {
    pub column: Column,
    /// The values that pass; `None` lets any value pass.
    pub values: Option<Vec<String>>,
}

impl ColumnCondition {
    fn holds(&self, row: &Row<'_>) -> bool {
        row.text(self.column)
            .is_some_and(|text| self.values.as_ref().is_none_or(|values| values.iter().any(|value| value == text)))
    }
}

impl TableNeeds {
    /// Those of a table that wants every row.
    pub fn of_every_row(columns: ColumnSet) -> TableNeeds {
        TableNeeds { conditions: Vec::new(), columns, since: None }
    }

    /// False of a row that is before its time.
    fn has_time_of(&self, row: &Row<'_>) -> bool {
        self.since.is_none_or(|since| row.event_time.is_none_or(|time| time >= since))
    }
}

impl RowNeeds {
    /// Any number of tables; with none, no row is needed.
    pub fn new(tables: impl IntoIterator<Item = TableNeeds>) -> RowNeeds {
        // An issue must not depend on which other columns were asked for, so its column asks for all.
        let with_all = |columns: ColumnSet| if columns.has(Column::Issues) { ColumnSet::all() } else { columns };
        let tables = tables.into_iter().map(|table| TableNeeds { columns: with_all(table.columns), ..table });
        let tables: Vec<TableNeeds> = tables.collect();
        let columns = tables.iter().fold(ColumnSet::of(&[]), |all, table| all.and(table.columns));
        RowNeeds { tables, columns }
    }

    /// The columns that any table reads.
    pub(super) fn columns(&self) -> ColumnSet {
        self.columns
    }

    /// The columns asked for of a row, judged by its known columns; `None` if nobody asks for any. A row that names no
    /// account or no Region is asked for what places it, also if no table wants it: a scope judges it by that.
    pub(super) fn of_row(&self, row: &Row<'_>, known: ColumnSet) -> Option<AskedColumns> {
        let meets = |need: &ColumnCondition| !known.has(need.column) || need.holds(row);
        let may_want = |table: &&TableNeeds| table.has_time_of(row) && table.conditions.iter().all(meets);
        let wanting = self.tables.iter().filter(may_want);
        let wanted = wanting.map(|table| table.columns).reduce(ColumnSet::and);
        let place = (!is_placed(row)).then_some(PLACE);
        let columns = wanted.into_iter().chain(place).reduce(ColumnSet::and)?;
        Some(AskedColumns { columns, demand: if wanted.is_some() { RowDemand::Wanted } else { RowDemand::Unwanted } })
    }
}

/// The columns asked for of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AskedColumns {
    pub columns: ColumnSet,
    pub demand: RowDemand,
}

/// Says if any table wants a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowDemand {
    Wanted,
    /// The row has only the columns decided so far: at least its identity, its time and its place.
    Unwanted,
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn placed_decrypt() -> Row<'static> {
        let text = |value: &'static str| Some(Cow::Borrowed(value));
        Row {
            event_name: text("Decrypt"),
            recipient_account_id: text("111122223333"),
            aws_region: text("eu-west-1"),
            ..Row::default()
        }
    }

    #[test]
    fn a_row_without_a_place_is_wanted_for_what_places_it() {
        let condition = ColumnCondition { column: Column::EventName, values: Some(vec!["Encrypt".to_owned()]) };
        let columns = ColumnSet::of(&[Column::Raw]);
        let needs = RowNeeds::new([TableNeeds { conditions: vec![condition], columns, since: None }]);
        let known = ColumnSet::of(&[Column::EventName]);
        let placed = placed_decrypt();
        assert_eq!(needs.of_row(&placed, known), None);
        let without_account = Row { recipient_account_id: None, ..placed.clone() };
        let without_region = Row { aws_region: None, ..placed };
        for row in [without_account, without_region] {
            assert_eq!(needs.of_row(&row, known), Some(AskedColumns { columns: PLACE, demand: RowDemand::Unwanted }));
        }
    }

    #[test]
    fn a_row_is_wanted_until_every_table_has_refused_it() {
        let row = placed_decrypt();
        let is = |column, value: &str| ColumnCondition { column, values: Some(vec![value.to_owned()]) };
        let has = |column| ColumnCondition { column, values: None };
        let (name, outcome) = (Column::EventName, Column::Outcome);
        let known = ColumnSet::of(&[name]);
        let needs = |tables: &[Vec<ColumnCondition>]| {
            let table = |conditions: &Vec<ColumnCondition>| TableNeeds {
                conditions: conditions.clone(),
                columns: ColumnSet::of(&[]),
                since: None,
            };
            RowNeeds::new(tables.iter().map(table))
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
        let known = ColumnSet::of(&[name, outcome]);
        assert!(needs(&[vec![has(outcome)]]).of_row(&row, known).is_none());
    }

    #[test]
    fn a_table_of_an_interval_wants_no_earlier_row() {
        let of = |since, columns: &[Column]| TableNeeds { since, ..TableNeeds::of_every_row(ColumnSet::of(columns)) };
        let needs = RowNeeds::new([of(Some(10), &[Column::Raw]), of(None, &[Column::KeyArn])]);
        let alone = RowNeeds::new([of(Some(10), &[Column::Raw])]);
        let both = ColumnSet::of(&[Column::Raw, Column::KeyArn]);
        for (event_time, columns, is_wanted_alone) in
            [(Some(9), ColumnSet::of(&[Column::KeyArn]), false), (Some(10), both, true), (None, both, true)]
        {
            let row = Row { event_time, ..placed_decrypt() };
            let known = ColumnSet::of(&[]);
            assert_eq!(needs.of_row(&row, known).map(|asked| asked.columns), Some(columns), "{event_time:?}");
            assert_eq!(alone.of_row(&row, known).is_some(), is_wanted_alone, "{event_time:?}");
        }
    }

    #[test]
    fn a_table_that_refuses_a_row_asks_for_none_of_its_columns() {
        let row = placed_decrypt();
        let named = |name: &str, columns: &[Column]| TableNeeds {
            conditions: vec![ColumnCondition { column: Column::EventName, values: Some(vec![name.to_owned()]) }],
            columns: ColumnSet::of(columns),
            since: None,
        };
        let needs = RowNeeds::new([
            named("Decrypt", &[Column::EventName, Column::KeyArn]),
            named("Encrypt", &[Column::EventName, Column::Raw]),
            named("Decrypt", &[Column::EventName, Column::Outcome]),
        ]);
        let wanted = needs.of_row(&row, ColumnSet::of(&[Column::EventName])).unwrap().columns;
        assert_eq!(wanted, ColumnSet::of(&[Column::EventName, Column::KeyArn, Column::Outcome]));
        assert!(needs.columns().has(Column::Raw));
        let with_issues = RowNeeds::new([named("Decrypt", &[Column::EventName, Column::Issues])]);
        assert_eq!(with_issues.columns(), ColumnSet::all());
    }
}
