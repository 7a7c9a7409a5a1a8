//! The views of the contract: files of `queries/views`, each with a card that explains its rows and columns.
//! In: their cards. Out: the views, and the views that each reads. Never plans one; that is `catalog`.

use std::sync::LazyLock;

use datafusion::common::DataFusionError;
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::resolve::resolve_table_references;

use super::cards::{self, Card, CardError, CardKind};
use crate::schema;

/// One view and its card.
#[derive(Debug, Clone)]
pub struct View {
    pub name: &'static str,
    pub title: &'static str,
    /// The thing that each row describes.
    pub row: &'static str,
    pub description: String,
    /// The columns that the card explains.
    pub columns: Vec<ViewColumn>,
    /// The SQL of its rows, or of the input from which they are derived.
    pub sql: &'static str,
    pub rows: ViewRows,
    /// The names that its SQL reads.
    reads: Vec<String>,
}

/// The origin of a view's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewRows {
    /// The SQL gives the rows.
    Queried,
    /// `derive` computes the rows from those of the SQL.
    Derived,
}

/// A column that the card of a view explains.
#[derive(Debug, Clone)]
pub struct ViewColumn {
    pub name: &'static str,
    pub meaning: &'static str,
}

/// The place that explains a column of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnMeaning {
    /// The card of the view itself.
    Own(&'static str),
    /// The column of the same name of this table or view.
    AsIn(&'static str),
}

impl View {
    fn of(card: &Card) -> Result<View, CardError> {
        Ok(View {
            name: card.name,
            title: card.title(),
            row: card.text("row").unwrap_or_default(),
            description: card.joined("description"),
            columns: card.values("column", "`name : meaning`", ViewColumn::read)?,
            sql: card.sql,
            rows: if card.kind == CardKind::Derived { ViewRows::Derived } else { ViewRows::Queried },
            // The planner explains SQL that does not parse.
            reads: table_names(card.sql).unwrap_or_default(),
        })
    }

    /// The views that this one reads directly.
    pub fn reads(&self) -> impl Iterator<Item = &'static View> {
        self.reads.iter().filter_map(|name| find(name))
    }

    /// The meaning of one of its columns: from its own card, as in `events`, or as in a view that it reads.
    pub fn meaning(&self, column: &str) -> Option<ColumnMeaning> {
        if let Some(own) = self.columns.iter().find(|own| own.name == column) {
            return Some(ColumnMeaning::Own(own.meaning));
        }
        if schema::COLUMNS.iter().any(|of_events| of_events.name == column) {
            return Some(ColumnMeaning::AsIn("events"));
        }
        self.reads().find_map(|view| match view.meaning(column)? {
            ColumnMeaning::Own(_) => Some(ColumnMeaning::AsIn(view.name)),
            elsewhere => Some(elsewhere),
        })
    }
}

impl ViewColumn {
    /// Reads `name : meaning`.
    fn read(line: &'static str) -> Option<ViewColumn> {
        let (name, meaning) = line.split_once(" : ")?;
        Some(ViewColumn { name, meaning })
    }
}

/// The tables and views that a statement names.
pub(super) fn table_names(sql: &str) -> Result<Vec<String>, DataFusionError> {
    let mut names = Vec::new();
    for statement in DFParserBuilder::new(sql).build()?.parse_statements()? {
        let (tables, _) = resolve_table_references(&statement, true)?;
        names.extend(tables.iter().map(|table| table.table().to_owned()));
    }
    Ok(names)
}

/// All views, by name.
pub fn all() -> &'static [View] {
    static ALL: LazyLock<Vec<View>> =
        LazyLock::new(|| read_all().expect("a test reads the card of every view that is compiled in"));
    &ALL
}

fn read_all() -> Result<Vec<View>, CardError> {
    let mut all = cards::each(CardKind::View, View::of)?;
    all.extend(cards::each(CardKind::Derived, View::of)?);
    all.sort_unstable_by_key(|view| view.name);
    Ok(all)
}

/// The view or derived table of this name.
pub fn find(name: &str) -> Option<&'static View> {
    all().iter().find(|view| view.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if a view reads itself, directly or through others.
    fn check_order(view: &'static View, within: &mut Vec<&'static str>) {
        assert!(!within.contains(&view.name), "`{}` reads itself: {}", view.name, within.join(" reads "));
        within.push(view.name);
        view.reads().for_each(|read| check_order(read, within));
        within.pop();
    }

    #[test]
    fn no_view_reads_itself() {
        let read = read_all().unwrap_or_else(|error| panic!("{error}"));
        assert!(read.windows(2).all(|pair| pair[0].name != pair[1].name), "two views of one name");
        for view in read {
            assert!(!view.reads.is_empty(), "`{}` reads nothing, or does not parse", view.name);
        }
        all().iter().for_each(|view| check_order(view, &mut Vec::new()));
        let reads: Vec<&str> = find("key_use").unwrap().reads().map(|view| view.name).collect();
        assert_eq!(reads, ["key_attempts"]);
    }

    #[test]
    fn a_column_is_explained_once() {
        let meaning = |view: &str, column: &str| find(view).unwrap().meaning(column);
        assert_eq!(meaning("key_use", "key_role"), Some(ColumnMeaning::AsIn("key_calls")));
        assert_eq!(meaning("key_use", "event_id"), Some(ColumnMeaning::AsIn("events")));
        assert!(matches!(meaning("principals", "principal_id"), Some(ColumnMeaning::Own(_))));
        assert_eq!(meaning("keys", "no_such_column"), None);
    }
}
