//! `--accept FILE`: objects whose faults somebody has accepted, each with reason, owner and an end.
//! In: a TOML file of `[[accept]]` tables. Out: patterns for the accounts, and sentences on entries that have ended.
//! Never accepts without all three: a fault that nobody owns counts.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::exit::Failure;
use super::toml_file::{self, EntryEnd};
use crate::output::times;
use crate::table::AcceptedObjects;

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
        let hint = "an entry is [[accept]] with uri (a pattern), reason, owner and expires";
        toml_file::read(path, hint, |text| Accepts::of(text, now_micros))
    }

    fn of(text: &str, now_micros: i64) -> Result<Accepts, String> {
        let file: AcceptFile = toml_file::entries(text)?;
        let mut accepts = Accepts::default();
        for entry in &file.accept {
            let line = toml_file::line_of(text, entry.span().start);
            let AcceptEntry { uri, reason, owner, expires } = entry.as_ref();
            toml_file::no_blank(line, &[("uri", uri), ("reason", reason), ("owner", owner)])?;
            let expires = expires.micros().map_err(|fault| format!("line {line}: {fault}"))?;
            if expires > now_micros {
                accepts.objects.patterns.push(uri.clone());
            } else {
                let end = times::rfc3339(expires);
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
