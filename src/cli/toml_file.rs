//! Files of TOML that people write: exceptions, suppressions, declarations.
//! In: a path. Out: its entries, or the line and the fault. Never reads more than a person writes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::value::Datetime;

use super::exit::Failure;
use crate::output::times;

/// Largest file; a person wrote it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A date of TOML, or one as text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum EntryEnd {
    Date(Datetime),
    Text(String),
}

impl EntryEnd {
    /// The end in microseconds since 1970.
    pub fn micros(&self) -> Result<i64, String> {
        let text = match self {
            EntryEnd::Date(date) => date.to_string(),
            EntryEnd::Text(text) => text.clone(),
        };
        Ok(times::moment(&text, i64::MAX)?.micros)
    }
}

/// Reads a file by `parse`, whose faults name the line; `hint` shows how an entry looks.
pub fn read<T>(path: &Path, hint: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Failure> {
    let shown = path.to_string_lossy().into_owned();
    let world = |error: std::io::Error| Failure::world(format!("cannot read `{shown}`: {error}"));
    let wrong = |fault: String| Failure::usage(format!("cannot use `{shown}`: {fault}")).hint(hint);
    let mut bytes = Vec::new();
    File::open(path).map_err(world)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(world)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong("it is larger than 1 MiB".to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))?;
    parse(&text).map_err(wrong)
}

/// The entries of a text.
pub fn entries<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| format!("line {}: ", line_of(text, span.start))).unwrap_or_default();
        format!("{line}{}", error.message())
    })
}

/// The number of the line at an offset.
pub fn line_of(text: &str, offset: usize) -> usize {
    1 + text[..offset.min(text.len())].matches('\n').count()
}

/// Refuses an entry in which one of the texts is blank.
pub fn no_blank(line: usize, texts: &[(&str, &str)]) -> Result<(), String> {
    match texts.iter().find(|(_, text)| text.trim().is_empty()) {
        Some((key, _)) => Err(format!("line {line}: the entry lacks {key}")),
        None => Ok(()),
    }
}
