//! Rows as a Markdown table in which a CommonMark parser sees only the table.

use std::fmt::Write as _;
use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::visible::visible;
use super::{Sink, cell, table};

pub struct MarkdownSink<W> {
    to: W,
    line: String,
    cell: String,
}

impl<W: Write> MarkdownSink<W> {
    pub fn new(mut to: W, names: &[String], schema: &Schema) -> io::Result<MarkdownSink<W>> {
        let mut head = String::from("|");
        let mut rule = String::from("|");
        for (name, field) in names.iter().zip(schema.fields()) {
            write!(head, " {} |", escaped(&visible(name))).expect("writing to a String cannot fail");
            rule.push_str(if table::is_number(field.data_type()) { " ---: |" } else { " --- |" });
        }
        writeln!(to, "{head}\n{rule}")?;
        Ok(MarkdownSink { to, line: String::new(), cell: String::new() })
    }
}

impl<W: Write> Sink for MarkdownSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            self.line.clear();
            self.line.push('|');
            for column in batch.columns() {
                self.cell.clear();
                cell::plain(&mut self.cell, column, row);
                write!(self.line, " {} |", escaped(&visible(&self.cell))).expect("writing to a String cannot fail");
            }
            self.line.push('\n');
            self.to.write_all(self.line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Escapes visible text so that Markdown only shows it. Where parsers disagree on a backslash (a `|` in a table, links
/// that need no brackets), the character becomes an entity.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        match c {
            '`' | '*' | '_' | '[' | ']' | '#' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '|' | '\\' | '<' | '>' | '&' | '@' => entity(&mut out, c),
            ':' if links(&text[..at], &text[at + 1..]) => entity(&mut out, c),
            '.' if ends_with_word(&text[..at], "www") => entity(&mut out, c),
            '{' | '}' | '$' => entity(&mut out, c), // templates and formulas of the sites that show Markdown
            c => out.push(c),
        }
    }
    out
}

/// True if some parser makes a link of the text around this colon: `http://…`, `mailto:…`, `javascript:…`.
fn links(before: &str, after: &str) -> bool {
    let schemes = ["mailto", "xmpp", "javascript", "vbscript", "data", "file", "tel"];
    after.starts_with('/') || schemes.iter().any(|s| ends_with_word(before, s))
}

fn ends_with_word(text: &str, word: &str) -> bool {
    text.len() >= word.len() && text.as_bytes()[text.len() - word.len()..].eq_ignore_ascii_case(word.as_bytes())
}

fn entity(out: &mut String, c: char) {
    write!(out, "&#{};", c as u32).expect("writing to a String cannot fail");
}
