//! Writes the rows of an answer in the format asked for, to stdout or to a file.
//! In: record batches as they come. Out: bytes; a file appears whole or not at all.
//! Never overwrites a file unasked, and never sends what a terminal would act on to a terminal.

mod binary;
pub mod cell;
mod csv;
mod json;
pub mod markdown;
pub mod table;
mod target;

use std::io;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

pub use target::{Existing, Target};

use super::exit::Failure;
use super::visible::visible;

/// Widest cell of a table that no terminal bounds.
const CELL_COLUMNS_MAX: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns for people
    Table,
    /// RFC 4180, formulas guarded
    Csv,
    /// One array of objects
    Json,
    /// One object a line
    Jsonl,
    /// A Markdown table
    Markdown,
    /// Parquet, zstd
    Parquet,
    /// Arrow IPC file
    Arrow,
}

impl Format {
    /// What the ending of the output file's name says; an ending that says nothing is not guessed at.
    pub fn of_file(path: &Path) -> Result<Option<Format>, Failure> {
        let Some(ending) = path.extension() else { return Ok(None) };
        Ok(Some(match ending.to_string_lossy().to_ascii_lowercase().as_str() {
            "txt" => Format::Table,
            "csv" => Format::Csv,
            "json" => Format::Json,
            "jsonl" | "ndjson" => Format::Jsonl,
            "md" | "markdown" => Format::Markdown,
            "parquet" => Format::Parquet,
            "arrow" | "feather" => Format::Arrow,
            other => {
                let failure = Failure::usage(format!("no format is known by the ending `.{}`", visible(other)));
                return Err(failure.hint("choose one with -f, whatever the file is called"));
            }
        }))
    }

    fn is_binary(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }
}

/// How text is to look.
#[derive(Clone, Copy, Default)]
pub struct Style {
    pub color: bool,
    pub verbose: bool,
}

/// Takes rows, batch by batch.
pub trait Sink {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()>;
    /// Writes what is pending. Without it the output is not whole.
    fn finish(&mut self) -> io::Result<()>;
}

/// Opens `format` over a target for rows of this schema.
pub fn sink<'a>(
    format: Format,
    to: &'a mut Target,
    schema: &Schema,
    style: Style,
) -> Result<Box<dyn Sink + Send + 'a>, Failure> {
    let names = unique_names(schema);
    let terminal_width = to.terminal_width();
    if format.is_binary() && to.is_terminal() {
        return Err(Failure::usage("this format is not text and stdout is a terminal")
            .hint("write it to a file with -o FILE, or into a pipe"));
    }
    let cell_columns_max = if style.verbose { usize::MAX } else { CELL_COLUMNS_MAX };
    let reader = if to.is_terminal() { csv::Reader::Terminal } else { csv::Reader::Program };
    let look = table::Look { terminal_width, cell_columns_max, color: style.color };
    let opened: io::Result<Box<dyn Sink + Send + 'a>> = match format {
        Format::Table => Ok(Box::new(table::Table::new(to, &names, schema, look))),
        Format::Csv => csv::Csv::new(to, &names, reader).map(|s| Box::new(s) as _),
        Format::Json => Ok(Box::new(json::Json::new(to, &names, json::Layout::Array))),
        Format::Jsonl => Ok(Box::new(json::Json::new(to, &names, json::Layout::Lines))),
        Format::Markdown => markdown::Markdown::new(to, &names, schema, cell_columns_max).map(|s| Box::new(s) as _),
        Format::Parquet => binary::Parquet::new(to, &names, schema).map(|s| Box::new(s) as _),
        Format::Arrow => binary::ArrowFile::new(to, &names, schema).map(|s| Box::new(s) as _),
    };
    opened.map_err(|e| Failure::write(&e))
}

/// Column names, the second `event_id` as `event_id_2`: an object has no two members of one name.
pub fn unique_names(schema: &Schema) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let numbered = (2..).map(|n| format!("{}_{n}", field.name()));
        let mut free = std::iter::once(field.name().clone()).chain(numbered).filter(|n| !names.contains(n));
        names.extend(free.next());
    }
    names
}

#[cfg(test)]
mod tests;
