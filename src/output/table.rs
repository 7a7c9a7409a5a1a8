//! Rows as an aligned table for a reader without a screen: a file, a pipe. The first rows decide the widths, so that
//! any number of rows streams.
//! Never cuts a value, and never lets a record leave its row: every cell is one line of visible text.

use std::io::{self, Write};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};

use super::visible::{visible, width};
use super::{Sink, cell};

/// Rows that are measured before the first one is written.
const MEASURED_ROWS: usize = 1_000;
/// The widest column; a wider cell moves what follows it in its row.
const COLUMN_WIDTH_MAX: usize = 200;

pub struct TableSink<W> {
    to: W,
    names: Vec<String>,
    numeric: Vec<bool>,
    bold: &'static str,
    plain: &'static str,
    /// Rows that wait until enough are known to decide the widths; None once they are decided.
    waiting: Option<Vec<Vec<String>>>,
    widths: Vec<usize>,
}

impl<W: Write> TableSink<W> {
    /// `bold` and `plain` are put around the head.
    pub fn new(to: W, schema: &Schema, names: &[String], (bold, plain): (&'static str, &'static str)) -> TableSink<W> {
        TableSink {
            to,
            names: names.iter().map(|n| visible(n).into_owned()).collect(),
            numeric: schema.fields().iter().map(|f| is_number(f.data_type())).collect(),
            bold,
            plain,
            waiting: Some(Vec::new()),
            widths: Vec::new(),
        }
    }

    /// Decides the widths, then writes the head and the rows that waited.
    fn settle(&mut self) -> io::Result<()> {
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        self.widths = self.names.iter().map(|n| width(n).min(COLUMN_WIDTH_MAX)).collect();
        for row in &waiting {
            for (w, text) in self.widths.iter_mut().zip(row) {
                *w = (*w).max(width(text).min(COLUMN_WIDTH_MAX));
            }
        }
        let head = self.line(&self.names);
        let rule = self.widths.iter().map(|w| "─".repeat(*w)).collect::<Vec<_>>().join("  ");
        writeln!(self.to, "{}{head}{}\n{rule}", self.bold, self.plain)?;
        waiting.iter().try_for_each(|row| self.put(row))
    }

    fn put(&mut self, row: &[String]) -> io::Result<()> {
        let line = self.line(row);
        writeln!(self.to, "{line}")
    }

    fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (i, text) in row.iter().enumerate() {
            if i > 0 {
                line.push_str("  ");
            }
            let pad = " ".repeat(self.widths[i].saturating_sub(width(text)));
            let cells = if self.numeric[i] { [pad.as_str(), text] } else { [text, pad.as_str()] };
            line.extend(cells);
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }
}

impl<W: Write> Sink for TableSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = batch.columns().iter().map(|c| shown(c, row)).collect();
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

/// Numbers stand to the right.
pub fn is_number(ty: &DataType) -> bool {
    ty.is_numeric()
}

fn shown(column: &dyn Array, row: usize) -> String {
    let mut text = String::new();
    cell::plain(&mut text, column, row);
    visible(&text).into_owned()
}
