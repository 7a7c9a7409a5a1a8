//! `--accept FILE`: objects whose faults somebody has accepted, each with reason, owner and an end.
//! In: a TOML file of `[[accept]]` tables. Out: patterns for the accounts, and sentences on entries that have ended.
//! Never accepts without all three: a fault that nobody owns counts.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::exit::Failure;
use crate::output::times;
use crate::table::AcceptedObjects;

/// Largest file of exceptions; a person wrote it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptFile {
    #[serde(default)]
    accept: Vec<Spanned<AcceptEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptEntry {
    uri: String,
    reason: String,
    owner: String,
    expires: EntryEnd,
}

/// A date of TOML, or one as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum EntryEnd {
    Date(Datetime),
    Text(String),
}

/// The entries of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepts {
    pub objects: AcceptedObjects,
    /// A sentence on each entry that has ended.
    pub ended: Vec<String>,
}

impl Accepts {
    /// Reads the file, if one was named.
    pub fn read(path: Option<&Path>, now_micros: i64) -> Result<Accepts, Failure> {
        let Some(path) = path else { return Ok(Accepts::default()) };
        let shown = path.to_string_lossy().into_owned();
        let world = |error: std::io::Error| Failure::world(format!("cannot read `{shown}`: {error}"));
        let mut bytes = Vec::new();
        File::open(path).map_err(world)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(world)?;
        let wrong = |fault: String| {
            Failure::usage(format!("cannot use `{shown}`: {fault}"))
                .hint("an entry is [[accept]] with uri (a pattern), reason, owner and expires")
        };
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(wrong("it is larger than 1 MiB".to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))?;
        Accepts::of(&text, now_micros).map_err(wrong)
    }

    fn of(text: &str, now_micros: i64) -> Result<Accepts, String> {
        let line_of = |offset: usize| 1 + text[..offset.min(text.len())].matches('\n').count();
        let file: AcceptFile = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| format!("line {}: ", line_of(span.start))).unwrap_or_default();
            format!("{line}{}", error.message())
        })?;
        let mut accepts = Accepts::default();
        for entry in &file.accept {
            let line = line_of(entry.span().start);
            let AcceptEntry { uri, reason, owner, expires } = entry.as_ref();
            let empty = [("uri", uri), ("reason", reason), ("owner", owner)]
                .into_iter()
                .find(|(_, text)| text.trim().is_empty());
            if let Some((key, _)) = empty {
                return Err(format!("line {line}: the entry lacks {key}"));
            }
            let expires = match expires {
                EntryEnd::Date(date) => date.to_string(),
                EntryEnd::Text(text) => text.clone(),
            };
            let expires = times::moment(&expires, i64::MAX).map_err(|fault| format!("line {line}: {fault}"))?;
            if expires.micros > now_micros {
                accepts.objects.patterns.push(uri.clone());
            } else {
                let end = times::rfc3339(expires.micros);
                accepts.ended.push(format!("`{uri}` of {owner} ended at {end}: what it names counts again"));
            }
        }
        Ok(accepts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_needs_everything_and_ends() {
        let entry = |expires: &str| {
            format!("[[accept]]\nuri = \"s3://b/*\"\nreason = \"archived\"\nowner = \"audit\"\nexpires = {expires}\n")
        };
        let now = times::moment("2026-06-01", 0).unwrap().micros;
        for (expires, accepted, ended) in
            [("2026-07-01", 1, 0), ("\"2026-07-01T00:00:00Z\"", 1, 0), ("2026-06-01", 0, 1)]
        {
            let accepts = Accepts::of(&entry(expires), now).unwrap();
            assert_eq!((accepts.objects.patterns.len(), accepts.ended.len()), (accepted, ended), "{expires}");
        }
        for (text, fault) in [
            (entry("\"soon\""), "line 1: `soon` is not a time"),
            (entry("2026-07-01").replace("owner = \"audit\"\n", ""), "line 1: missing field `owner`"),
            (entry("2026-07-01").replace("\"audit\"", "\" \""), "line 1: the entry lacks owner"),
            (entry("2026-07-01").replace("uri", "url"), "line 2: unknown field `url`"),
        ] {
            assert!(Accepts::of(&text, now).unwrap_err().starts_with(fault), "{text}");
        }
    }
}
