//! Rows as JSON: one array of objects, or one object a line.

use std::io::{self, Write};

use arrow::array::RecordBatch;

use super::{Sink, cell};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum JsonLayout {
    Array,
    Lines,
}

pub struct JsonSink<W> {
    to: W,
    layout: JsonLayout,
    /// `"name":` of every column, escaped once.
    names: Vec<String>,
    rows: u64,
    line: String,
}

impl<W: Write> JsonSink<W> {
    pub fn new(to: W, names: &[String], layout: JsonLayout) -> JsonSink<W> {
        let quoted = |name: &String| {
            let mut out = String::new();
            cell::json_string(&mut out, name);
            out + ":"
        };
        JsonSink { to, layout, names: names.iter().map(quoted).collect(), rows: 0, line: String::new() }
    }
}

impl<W: Write> Sink for JsonSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            self.line.clear();
            if self.layout == JsonLayout::Array {
                self.line.push_str(if self.rows == 0 { "[\n" } else { ",\n" });
            }
            row_object(&mut self.line, &self.names, batch, row);
            if self.layout == JsonLayout::Lines {
                self.line.push('\n');
            }
            self.to.write_all(self.line.as_bytes())?;
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        match (self.layout, self.rows) {
            (JsonLayout::Lines, _) => {}
            (JsonLayout::Array, 0) => self.to.write_all(b"[]\n")?,
            (JsonLayout::Array, _) => self.to.write_all(b"\n]\n")?,
        }
        self.to.flush()
    }
}

fn row_object(out: &mut String, names: &[String], batch: &RecordBatch, row: usize) {
    out.push('{');
    for (i, (name, column)) in names.iter().zip(batch.columns()).enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(name);
        cell::json(out, column, row);
    }
    out.push('}');
}
