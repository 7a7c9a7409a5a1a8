//! Rows as CSV (RFC 4180), with a `'` before each text that a spreadsheet would run as a formula or that begins with `'`:
//! whoever takes one `'` from the beginning of each text has the texts of the rows again. On demand without it. The guard
//! is for readers that split at commas: where another sign separates, the middle of a text may begin a cell.
//! Keeps the values of the record; for a terminal it makes them visible first.

use std::borrow::Cow;
use std::io::{self, Write};

use arrow::array::RecordBatch;

use super::visible::visible;
use super::{CsvText, Sink, TextReader, cell};

pub struct CsvSink<W: Write> {
    to: csv::Writer<W>,
    reader: TextReader,
    text: CsvText,
    cell: String,
}

impl<W: Write> CsvSink<W> {
    pub fn new(to: W, names: &[String], (reader, text): (TextReader, CsvText)) -> io::Result<CsvSink<W>> {
        let mut csv = CsvSink { to: csv::Writer::from_writer(to), reader, text, cell: String::new() };
        for name in names {
            csv.cell.clear();
            csv.cell.push_str(name);
            csv.field(cell::CellKind::Text)?;
        }
        csv.to.write_record(None::<&[u8]>).map_err(broken)?;
        Ok(csv)
    }

    fn field(&mut self, kind: cell::CellKind) -> io::Result<()> {
        let is_guarded = kind == cell::CellKind::Text && self.text == CsvText::Guarded;
        let guarded = if is_guarded { guarded(&self.cell) } else { Cow::Borrowed(self.cell.as_str()) };
        let shown = if self.reader == TextReader::Terminal { visible(&guarded) } else { guarded };
        self.to.write_field(shown.as_bytes()).map_err(broken)
    }
}

impl<W: Write> Sink for CsvSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            for column in batch.columns() {
                self.cell.clear();
                cell::plain(&mut self.cell, column, row);
                self.field(cell::kind(column.data_type()))?;
            }
            self.to.write_record(None::<&[u8]>).map_err(broken)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Guards also behind leading blanks and at full-width signs, since spreadsheets read those as formulas too.
fn guarded(text: &str) -> Cow<'_, str> {
    let starts = |c: char| matches!(c, '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}');
    let control = text.starts_with(['\t', '\r', '\n', '\0', '\'']);
    let blank = |c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}';
    if control || text.trim_start_matches(blank).starts_with(starts) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn broken(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_that_begins_a_formula_is_guarded_and_no_other() {
        let signs = "=+-@＝＋－＠";
        for c in '\0'..=char::MAX {
            let is_odd = "\t\r\n\0'".contains(c);
            for (text, is_guarded) in
                [(format!("{c}1"), is_odd || signs.contains(c)), (format!("1{c}"), false), (format!("a{c}1"), false)]
            {
                assert_eq!(guarded(&text).starts_with('\''), is_guarded, "{text:?}");
                assert!(guarded(&text).ends_with(&text), "{text:?}");
            }
        }
        for blank in [" ", "\u{a0}", "\u{3000}", "\u{2028}", "\u{feff}", " \0 ", "\u{feff} \t"] {
            for sign in signs.chars() {
                let text = format!("{blank}{sign}1");
                assert_eq!(guarded(&text), format!("'{text}"));
            }
            assert!(!guarded(&format!("{blank}1")).starts_with('\''), "{blank:?}");
        }
    }
}
