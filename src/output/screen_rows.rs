//! Rows as texts of a screen, column by column: in short, or whole.
//! In: Arrow rows, the names and times of the screen. Out: one line of visible text for each cell.
//! Never lets two values of a column look the same where they did not before: such cells stay whole.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::array::{Array, RecordBatch};

use super::short_names::{ShortNames, arn};
use super::short_times::{ShortTimes, is_time};
use super::table::is_number;
use super::visible::visible;
use super::{cell, unique_names};
use crate::arn::is_uuid;

/// The end of the names of AWS's services, which says nothing beside the rest.
const SERVICE_END: &str = ".amazonaws.com";

/// Two columns that say who, which key or which table in one place: where the first says nothing, the second does.
const OF_ONE_THING: [(&str, &str); 3] =
    [("key_arn", "requested_alias"), ("table_arn", "table_name"), ("key_arn", "key_id")];

/// Stands behind an alias in the place of a key that no record tells.
const UNTOLD_KEY: char = '?';

/// Explains that sign.
pub const UNTOLD_KEY_NOTE: &str = "alias/NAME? is a key that its record names by that alias alone.";

/// A column's part in a row, which decides what it gives up for a screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnPart {
    /// Who, which key, which table, or any other name by which rows are told apart.
    Name,
    Number,
    Time,
    /// UUIDs.
    Id,
    Text,
}

/// A column of a screen.
#[derive(Clone)]
pub struct ScreenColumn {
    pub name: String,
    pub part: ColumnPart,
    pub cells: Vec<String>,
    /// The cells before anything was left out of them.
    pub whole: Vec<String>,
}

impl ScreenColumn {
    /// True where no cell says anything.
    pub fn is_empty(&self) -> bool {
        self.cells.iter().all(String::is_empty)
    }

    /// True where different values look different.
    pub fn tells_apart(&self) -> bool {
        let mut wholes: HashMap<&str, &str> = HashMap::new();
        self.cells.iter().zip(&self.whole).all(|(cell, whole)| *wholes.entry(cell).or_insert(whole) == whole)
    }

    /// The same with other cells, where these still tell values apart.
    pub fn changed(&self, change: impl Fn(&str) -> String) -> Option<ScreenColumn> {
        let cells = self.cells.iter().map(|cell| change(cell)).collect();
        let changed = ScreenColumn { name: self.name.clone(), part: self.part, cells, whole: self.whole.clone() };
        changed.tells_apart().then_some(changed)
    }

    /// Values that came to look the same are shown whole, and so are those that look like a whole one.
    fn told_apart(mut self) -> ScreenColumn {
        while !self.tells_apart() {
            let mut wholes: HashMap<&str, Vec<usize>> = HashMap::new();
            for (row, cell) in self.cells.iter().enumerate() {
                wholes.entry(cell).or_default().push(row);
            }
            let mixed = wholes.values().filter(|rows| rows.iter().any(|row| self.whole[*row] != self.whole[rows[0]]));
            let rows: Vec<usize> =
                mixed.flatten().copied().filter(|row| self.cells[*row] != self.whole[*row]).collect();
            if rows.is_empty() {
                return self;
            }
            for row in rows {
                self.cells[row] = self.whole[row].clone();
            }
        }
        self
    }
}

/// Rows as a screen shows them.
#[derive(Clone, Default)]
pub struct ScreenRows {
    pub columns: Vec<ScreenColumn>,
    pub count: usize,
    /// Names of columns that say nothing in any row, and are left out.
    pub empty: Vec<String>,
}

impl ScreenRows {
    /// The rows with every value whole and every column.
    pub fn whole(rows: &RecordBatch) -> ScreenRows {
        let names = unique_names(&rows.schema());
        let columns = names.into_iter().zip(rows.columns()).map(|(name, column)| read(name, column)).collect();
        ScreenRows { columns, count: rows.num_rows(), empty: Vec::new() }
    }

    /// The rows in short, without the columns that say nothing.
    pub fn short(rows: &RecordBatch, names: &mut ShortNames, times: &ShortTimes) -> ScreenRows {
        let ScreenRows { columns, count, .. } = ScreenRows::whole(rows);
        // An answer without a single value has its columns all the same.
        let says_nothing = columns.iter().all(ScreenColumn::is_empty);
        let mut short = ScreenRows { columns: Vec::new(), count, empty: Vec::new() };
        let names_of_columns = unique_names(&rows.schema());
        let is_beside = |second: &str| {
            OF_ONE_THING
                .iter()
                .any(|(first, of_it)| *of_it == second && names_of_columns.iter().any(|name| name == first))
        };
        for (column, source) in columns.into_iter().zip(rows.columns()) {
            if column.is_empty() && !says_nothing {
                // Nobody misses a column that would only stand in for another.
                short.empty.extend((!is_beside(&column.name)).then_some(column.name));
            } else {
                short.columns.push(shortened(column, source, (&mut *names, times)));
            }
        }
        short
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&ScreenColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Puts columns of one thing into one, and gives the names of those that are gone.
    pub fn fold(&mut self) -> Vec<String> {
        let mut folded = Vec::new();
        for (first, second) in OF_ONE_THING {
            let place = |name: &str| self.columns.iter().position(|column| column.name == name);
            let (Some(first), Some(second)) = (place(first), place(second)) else { continue };
            if let Some(one) = united(&self.columns[first], &self.columns[second]) {
                self.columns[first] = one;
                folded.push(self.columns.remove(second).name);
            }
        }
        folded
    }

    /// True where an alias stands for a key that is not told.
    pub fn has_untold_keys(&self) -> bool {
        let of_keys = self.columns.iter().filter(|column| column.name == "key_arn");
        of_keys.flat_map(|column| &column.cells).any(|cell| cell.ends_with(UNTOLD_KEY))
    }
}

/// Two columns as one, where no row has different things in them.
fn united(first: &ScreenColumn, second: &ScreenColumn) -> Option<ScreenColumn> {
    let mut one = first.clone();
    for (row, other) in second.cells.iter().enumerate() {
        let cell = &mut one.cells[row];
        let is_end = || first.whole[row].strip_suffix(&second.whole[row]).is_some_and(|head| head.ends_with('/'));
        if !cell.is_empty() && !other.is_empty() && cell != other && !is_end() {
            return None;
        }
        if cell.is_empty() && !other.is_empty() {
            cell.clone_from(other);
            if second.name == "requested_alias" {
                cell.push(UNTOLD_KEY);
            }
            one.whole[row].clone_from(&second.whole[row]);
        }
    }
    one.tells_apart().then_some(one)
}

fn read(name: String, column: &dyn Array) -> ScreenColumn {
    let mut text = String::new();
    let cells: Vec<String> = (0..column.len())
        .map(|row| {
            text.clear();
            cell::plain(&mut text, column, row);
            visible(&text).into_owned()
        })
        .collect();
    let said = || cells.iter().filter(|cell| !cell.is_empty());
    let part = match column.data_type() {
        ty if is_number(ty) => ColumnPart::Number,
        ty if is_time(ty) => ColumnPart::Time,
        _ if said().next().is_some() && said().all(|cell| is_uuid(cell)) => ColumnPart::Id,
        _ if is_name(&name) || said().any(|cell| arn(cell).is_some()) => ColumnPart::Name,
        _ => ColumnPart::Text,
    };
    ScreenColumn { name: visible(&name).into_owned(), part, whole: cells.clone(), cells }
}

/// True for the columns of the contract that say who, which key and which table.
fn is_name(column: &str) -> bool {
    matches!(column, "principal" | "changed_by" | "person" | "table_name" | "requested_alias" | "alias")
}

fn shortened(
    mut column: ScreenColumn,
    source: &dyn Array,
    (names, times): (&mut ShortNames, &ShortTimes),
) -> ScreenColumn {
    let is_text = cell::kind(source.data_type()) == cell::CellKind::Text;
    let mut text = String::new();
    for (row, cell) in column.cells.iter_mut().enumerate() {
        if column.part == ColumnPart::Time {
            *cell = times.shown(cell).into_owned();
        } else if is_text {
            text.clear();
            cell::plain(&mut text, source, row);
            let short = names.shown(&text);
            let short = if short == text { without_service_end(&text) } else { short };
            *cell = visible(&short).into_owned();
        }
    }
    column.told_apart()
}

/// `dynamodb` of `dynamodb.amazonaws.com`.
fn without_service_end(text: &str) -> Cow<'_, str> {
    let stem = text.strip_suffix(SERVICE_END).filter(|stem| !stem.is_empty() && !stem.contains(char::is_whitespace));
    Cow::Borrowed(stem.unwrap_or(text))
}
