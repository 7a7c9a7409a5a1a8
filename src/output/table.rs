//! Rows as an aligned table for people. The first rows decide the widths, so that any number of rows streams.
//! Never lets a cell leave its row: each is one line of visible text, cut if it is too long.

use std::io::{self, Write};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};

use super::visible::{shorten, visible, width};
use super::{Sink, cell};

/// Rows to measure before the first one is written.
const MEASURED_ROWS: usize = 1_000;
/// The least width of a squeezed column; a row that still does not fit is written one column a line.
const COLUMN_WIDTH_MIN: usize = 8;

/// The layout of the table.
#[derive(Clone, Copy)]
pub struct Look {
    /// Width of the terminal; none for a file or a pipe.
    pub terminal_width: Option<usize>,
    pub cell_columns_max: usize,
    pub color: bool,
}

pub struct Table<W> {
    to: W,
    look: Look,
    names: Vec<String>,
    numeric: Vec<bool>,
    /// Rows that wait until the widths are decided; none after that.
    waiting: Option<Vec<Vec<String>>>,
    widths: Vec<usize>,
    rows: u64,
}

impl<W: Write> Table<W> {
    pub fn new(to: W, names: &[String], schema: &Schema, look: Look) -> Table<W> {
        Table {
            to,
            look,
            names: names.iter().map(|n| shorten(&visible(n), look.cell_columns_max).into_owned()).collect(),
            numeric: schema.fields().iter().map(|f| is_number(f.data_type())).collect(),
            waiting: Some(Vec::new()),
            widths: Vec::new(),
            rows: 0,
        }
    }

    /// Decides the widths, then writes the head and the rows that waited.
    fn settle(&mut self) -> io::Result<()> {
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        self.widths = self.names.iter().map(|n| width(n)).collect();
        for row in &waiting {
            for (w, text) in self.widths.iter_mut().zip(row) {
                *w = (*w).max(width(text));
            }
        }
        if let Some(terminal) = self.look.terminal_width {
            squeeze(&mut self.widths, terminal);
        }
        if !self.is_tall() {
            let (bold, plain) = if self.look.color { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
            let head = self.line(&self.names);
            let rule = self.widths.iter().map(|w| "─".repeat(*w)).collect::<Vec<_>>().join("  ");
            writeln!(self.to, "{bold}{head}{plain}\n{rule}")?;
        }
        waiting.iter().try_for_each(|row| self.put(row))
    }

    /// True if a row cannot fit the terminal, so each column gets a line.
    fn is_tall(&self) -> bool {
        self.look.terminal_width.is_some_and(|t| line_width(&self.widths) > t)
    }

    fn put(&mut self, row: &[String]) -> io::Result<()> {
        self.rows += 1;
        if !self.is_tall() {
            let line = self.line(row);
            return writeln!(self.to, "{line}");
        }
        let names_width = self.names.iter().map(|n| width(n)).max().unwrap_or(0);
        let room = self.look.terminal_width.unwrap_or(usize::MAX).saturating_sub(names_width + 3).max(COLUMN_WIDTH_MIN);
        writeln!(self.to, "── row {} ──", self.rows)?;
        for (name, text) in self.names.iter().zip(row).filter(|(_, text)| !text.is_empty()) {
            writeln!(self.to, "{name}{} │ {}", " ".repeat(names_width - width(name)), shorten(text, room))?;
        }
        Ok(())
    }

    fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (i, text) in row.iter().enumerate() {
            if i > 0 {
                line.push_str("  ");
            }
            // Only a terminal cuts cells to the column: in a file, a wider cell pushes the rest of its row aside.
            let text = if self.look.terminal_width.is_some() { shorten(text, self.widths[i]) } else { text.into() };
            let pad = " ".repeat(self.widths[i].saturating_sub(width(&text)));
            let cells = if self.numeric[i] { [pad.as_str(), &text] } else { [&*text, pad.as_str()] };
            line.extend(cells);
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }
}

impl<W: Write> Sink for Table<W> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            let cells: Vec<String> =
                batch.columns().iter().map(|c| shown(c, row, self.look.cell_columns_max)).collect();
            match &mut self.waiting {
                Some(waiting) => {
                    waiting.push(cells);
                    if waiting.len() >= MEASURED_ROWS {
                        self.settle()?;
                    }
                }
                None => self.put(&cells)?,
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.settle()?;
        self.to.flush()
    }
}

/// True of a type of numbers, which are aligned to the right.
pub fn is_number(ty: &DataType) -> bool {
    ty.is_numeric()
}

fn shown(column: &dyn Array, row: usize, columns_max: usize) -> String {
    let mut text = String::new();
    cell::plain(&mut text, column, row);
    shorten(&visible(&text), columns_max).into_owned()
}

fn line_width(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
}

/// Narrows the widest columns until the line fits or all have the least width.
fn squeeze(widths: &mut [usize], terminal: usize) {
    while line_width(widths) > terminal {
        let Some(widest) = widths.iter_mut().max() else { return };
        if *widest <= COLUMN_WIDTH_MIN {
            return;
        }
        *widest -= 1;
    }
}
