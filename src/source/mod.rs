//! Where records are: locations as the user names them, and the list of objects found there.
//! In: paths, `-`, and a scope. Out: a `Listing`, sorted by the bytes of the full path, that names every object once
//! and says of each whether it is a log, skipped, refused or missing.
//! Never reads a log, never follows a link inside a tree, and never leaves a thing out without counting it.

mod layout;
mod listing;
mod local;

use std::io;
use std::path::PathBuf;

pub use listing::{Entry, Listing, ObjectPlace, Pruned};
pub use local::open;

/// What the user can name as a place to read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Path(PathBuf),
    Stdin,
}

impl Location {
    /// Reads a location as it stands on the command line.
    pub fn parse(text: &str) -> Result<Location, SourceError> {
        let unsupported = |hint| Err(SourceError::Unsupported { location: text.to_owned(), hint });
        if text == "-" || text == "/dev/stdin" {
            return Ok(Location::Stdin);
        }
        if text.is_empty() {
            return unsupported("name a file, a folder, or - for stdin");
        }
        // A shell expands an unquoted `~`, so one that arrives here would name a folder called `~`.
        if text == "~" || text.starts_with("~/") {
            return unsupported("the shell expands ~ only where it is not quoted; ./~ names a folder called ~");
        }
        match text.split_once("://") {
            Some(("s3", _)) => {
                unsupported("copy the objects first: aws s3 sync s3://BUCKET/PREFIX FOLDER, then name FOLDER")
            }
            Some(("cloudtrail", _)) => {
                unsupported("save the history first: aws cloudtrail lookup-events > FILE, then name FILE")
            }
            Some(("file", _)) => unsupported("name the path alone, without file://"),
            Some((scheme, _)) if is_scheme(scheme) => unsupported("name a file, a folder, or - for stdin"),
            _ => Ok(Location::Path(PathBuf::from(text))),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// What the user asked for, as far as it decides which folders are opened. Empty lists ask for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Microseconds since 1970 in UTC; an event at this time is inside.
    pub since: Option<i64>,
    /// Microseconds since 1970 in UTC; an event at this time is outside.
    pub until: Option<i64>,
    pub accounts: Vec<String>,
    pub regions: Vec<String>,
    pub org_ids: Vec<String>,
    /// How many days after the last day asked for a delivery can still carry its events.
    pub late_days: u32,
}

/// Why a location cannot be listed at all; anything wrong inside one becomes an `Entry` instead.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("no such file or folder: `{path}`")]
    NotFound { path: String },
    #[error("location `{location}` is not supported")]
    Unsupported { location: String, hint: &'static str },
    #[error("cannot reach `{path}`")]
    Unreachable { path: String, source: io::Error },
    #[error("the locations hold more objects than one listing can name")]
    TooMany,
}

impl SourceError {
    /// True where the command line is at fault, not the world.
    pub fn is_usage(&self) -> bool {
        matches!(self, SourceError::Unsupported { .. })
    }

    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            SourceError::Unsupported { hint, .. } => Some(hint),
            _ => None,
        }
    }
}

/// Lists every object of the locations that the scope does not exclude by its path.
pub fn list(locations: &[Location], scope: &Scope) -> Result<Listing, SourceError> {
    local::list(locations, scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_parse() {
        assert_eq!(Location::parse("-").unwrap(), Location::Stdin);
        for path in ["logs", "/a/b", "./~", "a:b.json.gz", "C:\\x", "~name", "1x://y"] {
            assert_eq!(Location::parse(path).unwrap(), Location::Path(path.into()));
        }
        for bad in ["", "~", "~/logs", "s3://b/p", "cloudtrail://eu-west-1", "https://x/y", "file:///x"] {
            let error = Location::parse(bad).unwrap_err();
            assert!(error.is_usage() && error.hint().is_some(), "{bad}");
        }
    }
}
