//! Rows as records, one field for each column: for rows that no table of the screen's width can hold.
//! In: rows of a screen and its width. Out: for each row a head with who, which key and which table, and lines of the
//! other fields; a column that says nothing in a row has none there.
//! Never cuts two values of a column so that they look the same.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, Write};

use super::screen_rows::{ScreenColumn, ScreenRows};
use super::visible::{cut_middle, width};
use super::words::{count, wrapped_anywhere};

/// Between a name and its value.
const BAR: &str = " │ ";
/// Between two fields that stand beside each other.
const FIELD_GAP: usize = 3;
/// A wider value has a line of its own.
const FIELD_VALUE_MAX: usize = 20;
/// A value has this much room on however narrow a screen.
const ROOM_MIN: usize = 8;

/// The length that a value may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RecordValues {
    /// One line, as far as that tells values apart.
    Cut,
    /// However many lines it takes: the terminal breaks them.
    Whole,
}

/// The place of records among those of one answer, and their width.
#[derive(Clone, Copy)]
pub struct RecordsLook {
    pub rows_before: u64,
    pub width: usize,
    pub values: RecordValues,
}

/// Writes the rows; `bold` and `plain` are put around the head of each.
pub fn write(to: &mut dyn Write, rows: &ScreenRows, look: RecordsLook, (bold, plain): (&str, &str)) -> io::Result<()> {
    let is_heading = |column: &&ScreenColumn| look.values == RecordValues::Cut && is_heading(column);
    let (headings, columns): (Vec<_>, Vec<_>) = rows.columns.iter().partition(is_heading);
    let names_width = columns.iter().map(|column| width(&column.name)).max().unwrap_or(0);
    let room = look.width.saturating_sub(names_width + width(BAR)).max(ROOM_MIN);
    let shown: Vec<Vec<Cow<'_, str>>> = columns.iter().map(|column| values(column, look.values, room)).collect();
    let field_width = names_width + width(BAR) + beside_width(&shown);
    let fields = match look.values {
        RecordValues::Cut => ((look.width + FIELD_GAP) / (field_width + FIELD_GAP)).max(1),
        RecordValues::Whole => 1,
    };
    for row in 0..rows.count {
        let head = format!("── row {} ──", count(look.rows_before + row as u64 + 1));
        let head = with_headings(head, &headings, row, look.width);
        head.iter().try_for_each(|line| writeln!(to, "{bold}{line}{plain}"))?;
        let mut line = RecordLine { text: String::new(), fields: 0 };
        for (column, shown) in columns.iter().zip(&shown).filter(|(_, shown)| !shown[row].is_empty()) {
            let pad = " ".repeat(names_width - width(&column.name));
            let field = format!("{}{pad}{BAR}{}", column.name, shown[row]);
            let is_wide = width(&field) > field_width;
            if line.fields == fields || is_wide && line.fields > 0 {
                line.end(to)?;
            }
            if is_wide && look.values == RecordValues::Cut {
                wrapped_anywhere(&field, look.width, "    ").iter().try_for_each(|line| writeln!(to, "{line}"))?;
                continue;
            }
            line.push(&field, field_width);
            if is_wide {
                line.end(to)?;
            }
        }
        line.end(to)?;
    }
    Ok(())
}

/// True for what a reader looks for first: who, which key, which table. It stands in the head of each record.
fn is_heading(column: &ScreenColumn) -> bool {
    matches!(column.name.as_str(), "principal" | "changed_by" | "key_arn" | "table_arn" | "table_name")
}

/// The head with those columns of a row, in as many lines as they take. A row that names nobody, no key or no table
/// says that much.
fn with_headings(head: String, columns: &[&ScreenColumn], row: usize, columns_max: usize) -> Vec<String> {
    let mut lines = vec![head];
    for (place, column) in columns.iter().enumerate() {
        let value = if column.cells[row].is_empty() { "not told" } else { &column.cells[row] };
        let comma = if place + 1 < columns.len() { "," } else { "" };
        let field = format!(" {}: {value}{comma}", column.name);
        match lines.last_mut() {
            Some(line) if width(line) + width(&field) <= columns_max => line.push_str(&field),
            _ => lines.push(format!("  {field}")),
        }
    }
    lines
}

/// The widest value that stands beside others; wider ones have lines of their own.
fn beside_width(shown: &[Vec<Cow<'_, str>>]) -> usize {
    let widths = shown.iter().flatten().map(|value| width(value));
    widths.filter(|width| *width <= FIELD_VALUE_MAX).max().unwrap_or(0)
}

/// The fields of a record that stand beside each other.
struct RecordLine {
    text: String,
    fields: usize,
}

impl RecordLine {
    fn push(&mut self, field: &str, field_width: usize) {
        if self.fields > 0 {
            let blanks = (self.fields * (field_width + FIELD_GAP)).saturating_sub(width(&self.text));
            self.text.extend(std::iter::repeat_n(' ', blanks));
        }
        self.text.push_str(field);
        self.fields += 1;
    }

    fn end(&mut self, to: &mut dyn Write) -> io::Result<()> {
        if self.fields > 0 {
            writeln!(to, "{}", self.text.trim_end_matches(' '))?;
        }
        (self.text, self.fields) = (String::new(), 0);
        Ok(())
    }
}

/// The values of a column, each in as many lines as it needs to be told from the others.
fn values(column: &ScreenColumn, values: RecordValues, room: usize) -> Vec<Cow<'_, str>> {
    if values != RecordValues::Cut {
        return column.cells.iter().map(|cell| Cow::Borrowed(cell.as_str())).collect();
    }
    let mut lines = 1;
    loop {
        let cut = |cell: &'_ String| cut_middle(cell, room * lines).into_owned();
        let pairs: HashSet<(String, &String)> = column.cells.iter().map(|cell| (cut(cell), cell)).collect();
        let texts: HashSet<&String> = pairs.iter().map(|(text, _)| text).collect();
        if texts.len() == pairs.len() {
            return column.cells.iter().map(|cell| cut_middle(cell, room * lines)).collect();
        }
        lines *= 2;
    }
}
