//! Writes the rows of an answer in the requested format, to stdout or to a file.
//! In: record batches as they come. Out: bytes; a file appears whole or not at all.
//! Never overwrites a file unasked, and never sends a terminal a character that it would act on.

mod binary;
pub mod cell;
mod csv;
pub mod fit;
mod json;
pub mod markdown;
mod records;
pub mod screen;
pub mod screen_rows;
pub mod sentence;
pub mod short_names;
pub mod short_times;
mod table;
mod target;
pub mod times;
pub mod visible;
pub mod words;

use std::io::{self, IsTerminal};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

pub use target::{ExistingFile, OutputStop, OutputTarget};

use screen::{ScreenLook, ScreenValues};
use visible::visible;

/// The reason that rows cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("no format is known by the ending `.{ending}`")]
    Ending { ending: String },
    #[error("this format is not text and stdout is a terminal")]
    BinaryOnTerminal,
    #[error("cannot write `{path}`: it is a directory")]
    Directory { path: String },
    #[error("cannot write `{path}`: it is a link")]
    Link { path: String },
    #[error("cannot write `{path}`: it exists")]
    Exists { path: String },
    #[error("cannot write `{path}`: {source}")]
    File { path: String, source: io::Error },
    /// Bytes could not be written, for example because the reader closed the pipe.
    #[error("cannot write the output")]
    Write(#[from] io::Error),
}

impl OutputError {
    /// True if the command line is at fault, not the world.
    pub fn is_usage(&self) -> bool {
        !matches!(self, OutputError::File { .. } | OutputError::Write(_))
    }

    /// The cure that the user can apply, where we know one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            OutputError::Ending { .. } => Some("choose one with -f, whatever the file is called"),
            OutputError::BinaryOnTerminal => Some("write it to a file with -o FILE, or into a pipe"),
            OutputError::Link { .. } => Some("name the file that it leads to, or remove it"),
            OutputError::Exists { .. } => Some("give --force to replace it"),
            OutputError::Directory { .. } | OutputError::File { .. } | OutputError::Write(_) => None,
        }
    }
}

/// The formats of rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Table,
    Csv,
    Json,
    Jsonl,
    Markdown,
    Parquet,
    Arrow,
}

impl Format {
    /// Every format, in the order of the help.
    pub const ALL: [Format; 7] =
        [Format::Table, Format::Csv, Format::Json, Format::Jsonl, Format::Markdown, Format::Parquet, Format::Arrow];

    /// The name that `-f` knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Jsonl => "jsonl",
            Format::Markdown => "markdown",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
        }
    }

    /// One line of help.
    pub fn about(self) -> &'static str {
        match self {
            Format::Table => "Aligned columns for people",
            Format::Csv => "RFC 4180, formulas guarded for readers that split at commas alone",
            Format::Json => "One array of objects",
            Format::Jsonl => "One object a line",
            Format::Markdown => "A Markdown table",
            Format::Parquet => "Parquet, zstd",
            Format::Arrow => "Arrow IPC file",
        }
    }

    /// The format that the file's ending names; none without an ending. Fails at an unknown ending: we do not guess.
    pub fn of_file(path: &Path) -> Result<Option<Format>, OutputError> {
        let Some(ending) = path.extension() else { return Ok(None) };
        Ok(Some(match ending.to_string_lossy().to_ascii_lowercase().as_str() {
            "txt" => Format::Table,
            "csv" => Format::Csv,
            "json" => Format::Json,
            "jsonl" | "ndjson" => Format::Jsonl,
            "md" | "markdown" => Format::Markdown,
            "parquet" => Format::Parquet,
            "arrow" | "feather" => Format::Arrow,
            other => return Err(OutputError::Ending { ending: visible(other).into_owned() }),
        }))
    }

    fn is_binary(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }
}

/// The treatment of texts in CSV that a spreadsheet would run.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum CsvText {
    /// A sign stands before them.
    #[default]
    Guarded,
    /// They stand as they are in the record.
    Exact,
}

/// The look of text.
#[derive(Clone, Copy, Default)]
pub struct Style {
    pub color: bool,
    pub verbose: bool,
    pub csv: CsvText,
    /// Columns that a table may have; `None` where no screen bounds it, and nothing is left out.
    pub width: Option<usize>,
}

impl Style {
    /// The screen that rows are for, where there is one.
    pub fn screen(&self) -> Option<ScreenLook> {
        let values = if self.verbose { ScreenValues::Whole } else { ScreenValues::Short };
        self.width.map(|width| ScreenLook { width, values, color: self.color })
    }

    /// The signs before and after a head.
    fn bold(&self) -> (&'static str, &'static str) {
        if self.color { ("\x1b[1m", "\x1b[0m") } else { ("", "") }
    }
}

/// The reader of a text. Only a program gets characters that act as they are, and only a terminal may get colors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextReader {
    /// A file, a pipe, or a device other than a terminal.
    Program,
    Terminal,
}

impl TextReader {
    pub fn of(stream: &impl IsTerminal) -> TextReader {
        if stream.is_terminal() { TextReader::Terminal } else { TextReader::Program }
    }
}

/// Takes rows, batch by batch.
pub trait Sink {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()>;
    /// Writes pending rows. Without it the output is not whole.
    fn finish(&mut self) -> io::Result<()>;
}

/// Opens `format` over a target for rows of this schema. A table has the width of the style; other formats have none.
pub fn sink<'a>(
    format: Format,
    to: &'a mut OutputTarget,
    schema: &Schema,
    style: Style,
) -> Result<Box<dyn Sink + Send + 'a>, OutputError> {
    let names = unique_names(schema);
    if format.is_binary() && to.is_terminal() {
        return Err(OutputError::BinaryOnTerminal);
    }
    let reader = to.reader();
    let opened: io::Result<Box<dyn Sink + Send + 'a>> = match (format, style.screen()) {
        (Format::Table, Some(look)) => Ok(Box::new(screen::ScreenSink::new(to, look))),
        (Format::Table, None) => Ok(Box::new(table::TableSink::new(to, schema, &names, style.bold()))),
        (Format::Csv, _) => csv::CsvSink::new(to, &names, (reader, style.csv)).map(|s| Box::new(s) as _),
        (Format::Json, _) => Ok(Box::new(json::JsonSink::new(to, &names, json::JsonLayout::Array))),
        (Format::Jsonl, _) => Ok(Box::new(json::JsonSink::new(to, &names, json::JsonLayout::Lines))),
        (Format::Markdown, _) => markdown::MarkdownSink::new(to, &names, schema).map(|s| Box::new(s) as _),
        (Format::Parquet, _) => binary::ParquetSink::new(to, &names, schema).map(|s| Box::new(s) as _),
        (Format::Arrow, _) => binary::ArrowSink::new(to, &names, schema).map(|s| Box::new(s) as _),
    };
    Ok(opened?)
}

/// Column names, with a second `event_id` as `event_id_2`, since the members of an object have distinct names.
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
