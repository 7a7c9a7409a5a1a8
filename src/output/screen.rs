//! Rows for a screen of a known width: short names and times, a table where one fits, else a record per row.
//! In: record batches as they come. Out: blocks of a thousand rows, each laid out by itself, with what its rows
//! have in common above and the ARNs of short names below.
//! Never shortens where the whole is asked for.

use std::io::{self, Write};
use std::mem;

use arrow::array::RecordBatch;

use super::fit::{Cuts, FittedTable, left_out_words};
use super::records::{self, RecordValues, RecordsLook};
use super::screen_rows::{ScreenRows, UNTOLD_KEY_NOTE};
use super::short_names::ShortNames;
use super::short_times::ShortTimes;
use super::visible::width;
use super::{Sink, words};

/// Rows that are laid out together.
const BLOCK_ROWS: usize = 1_000;
/// ARNs that a legend lists.
const LEGEND_MAX: usize = 40;

/// The part of a value that a screen shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScreenValues {
    Short,
    Whole,
}

/// The screen that rows are for.
#[derive(Clone, Copy)]
pub struct ScreenLook {
    pub width: usize,
    pub values: ScreenValues,
    pub color: bool,
}

impl ScreenLook {
    /// The signs before and after a head.
    pub fn bold(&self) -> (&'static str, &'static str) {
        if self.color { ("\x1b[1m", "\x1b[0m") } else { ("", "") }
    }

    fn dim(&self) -> (&'static str, &'static str) {
        if self.color { ("\x1b[2m", "\x1b[0m") } else { ("", "") }
    }
}

/// The sink for a screen.
pub struct ScreenSink<W> {
    to: W,
    look: ScreenLook,
    names: ShortNames,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    rows_before: u64,
    /// The line above the last block; the next says it only where it differs.
    said_above: Option<String>,
}

impl<W: Write> ScreenSink<W> {
    pub fn new(to: W, look: ScreenLook) -> ScreenSink<W> {
        let names = ShortNames::default();
        ScreenSink { to, look, names, waiting: Vec::new(), waiting_rows: 0, rows_before: 0, said_above: None }
    }

    fn write_block(&mut self) -> io::Result<()> {
        let waiting = mem::take(&mut self.waiting);
        let Some(first) = waiting.first() else { return Ok(()) };
        let rows = arrow::compute::concat_batches(&first.schema(), &waiting).map_err(io::Error::other)?;
        match self.look.values {
            ScreenValues::Short => self.write_short(&rows)?,
            ScreenValues::Whole => write_whole(&mut self.to, &rows, self.look, self.rows_before)?,
        }
        (self.waiting_rows, self.rows_before) = (0, self.rows_before + rows.num_rows() as u64);
        Ok(())
    }

    fn write_short(&mut self, rows: &RecordBatch) -> io::Result<()> {
        let both = std::slice::from_ref(rows);
        self.names.meet(both);
        let times = ShortTimes::of(both);
        let mut screen_rows = ScreenRows::short(rows, &mut self.names, &times);
        let above = common_words(&self.names, &times);
        if above.is_some() && above != self.said_above {
            note(&mut self.to, above.as_deref().unwrap_or_default(), self.look)?;
            self.said_above = above;
        }
        let mut below = Vec::new();
        match FittedTable::of(&screen_rows, self.look.width, Cuts::InTheMiddle) {
            Some(table) => {
                table.above().iter().try_for_each(|text| note(&mut self.to, text, self.look))?;
                table.write(&mut self.to, self.look.bold())?;
                below.extend(table.below());
            }
            None => {
                let folded = screen_rows.fold();
                let values = RecordValues::Cut;
                let look = RecordsLook { rows_before: self.rows_before, width: self.look.width, values };
                records::write(&mut self.to, &screen_rows, look, self.look.bold())?;
                below.extend(left_out_words(&screen_rows.empty, &folded));
            }
        }
        below.extend(untold_keys_note(&screen_rows).map(str::to_owned));
        if !below.is_empty() || self.names.has_legend() {
            writeln!(self.to)?;
        }
        below.iter().try_for_each(|text| note(&mut self.to, text, self.look))?;
        write_legend(&mut self.to, &mut self.names, self.look)
    }
}

impl<W: Write> Sink for ScreenSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let mut from = 0;
        while from < batch.num_rows() {
            let rows = (BLOCK_ROWS - self.waiting_rows).min(batch.num_rows() - from);
            self.waiting.push(batch.slice(from, rows));
            self.waiting_rows += rows;
            from += rows;
            if self.waiting_rows == BLOCK_ROWS {
                self.write_block()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.write_block()?;
        if self.rows_before == 0 {
            writeln!(self.to, "(0 rows)")?;
        }
        self.to.flush()
    }
}

/// Rows with every value whole: a table where one fits, else records.
pub fn write_whole(to: &mut dyn Write, rows: &RecordBatch, look: ScreenLook, rows_before: u64) -> io::Result<()> {
    let rows = ScreenRows::whole(rows);
    match FittedTable::of_whole(&rows, look.width) {
        Some(table) => table.write(to, look.bold()),
        None => {
            let records = RecordsLook { rows_before, width: look.width, values: RecordValues::Whole };
            records::write(to, &rows, records, look.bold())
        }
    }
}

/// One sentence on the place and time that names and times of a screen have in common.
pub fn common_words(names: &ShortNames, times: &ShortTimes) -> Option<String> {
    let parts: Vec<String> = [names.common_words(), times.common_words()].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| words::sentence(&parts.join("; ")))
}

/// A line beside the rows, in as many lines of the screen as it takes.
pub fn note(to: &mut dyn Write, text: &str, look: ScreenLook) -> io::Result<()> {
    let (dim, plain) = look.dim();
    words::wrapped_anywhere(text, look.width, "").iter().try_for_each(|line| writeln!(to, "{dim}{line}{plain}"))
}

/// The ARNs behind the short names that were shown.
pub fn write_legend(to: &mut dyn Write, names: &mut ShortNames, look: ScreenLook) -> io::Result<()> {
    let legend = names.take_legend();
    let names_width = legend.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let (dim, plain) = look.dim();
    for (name, arn) in legend.iter().take(LEGEND_MAX) {
        if names_width + 2 + width(arn) <= look.width {
            let pad = " ".repeat(names_width - width(name));
            writeln!(to, "{dim}{name}{pad}  {arn}{plain}")?;
        } else if name.ends_with('…') {
            // The head of an id is seen in the ARN.
            writeln!(to, "{dim}{arn}{plain}")?;
        } else {
            writeln!(to, "{dim}{name} is\n{arn}{plain}")?;
        }
    }
    match legend.len().checked_sub(LEGEND_MAX + 1) {
        Some(more) => note(to, &format!("and {} more: -v shows them whole", words::count(more as u64 + 1)), look),
        None => Ok(()),
    }
}

/// The note on keys that are known by an alias alone, where there are such.
pub fn untold_keys_note(rows: &ScreenRows) -> Option<&'static str> {
    rows.has_untold_keys().then_some(UNTOLD_KEY_NOTE)
}
