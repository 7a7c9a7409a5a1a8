//! The class of a file by its name: taken for a log, left behind by a tool, or neither.
//! In: the last part of a path or key. Out: a [`NameClass`].
//! Never takes an ending for proof that a file is no log: only its content says that.

use super::layout::file_facts;

/// The class of a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameClass {
    /// The name promises records, so anything else in the file is damage.
    Log,
    /// Hidden, or left by a tool that had not finished: never a log.
    Leftover,
    /// The name promises nothing.
    Other,
}

const LOG_ENDINGS: [&[u8]; 4] = [b".json", b".jsonl", b".ndjson", b".cloudtrail"];

/// Endings under which tools write what is not whole yet, or keep what was replaced.
const LEFTOVER_ENDINGS: [&[u8]; 8] =
    [b".part", b".partial", b".filepart", b".crdownload", b".download", b".tmp", b".swp", b"~"];

/// The end of the keys that Hadoop's tools put in place of folders.
const FOLDER_MARK: &[u8] = b"_$folder$";

impl NameClass {
    pub(super) fn of(name: &[u8]) -> NameClass {
        let lower = name.to_ascii_lowercase();
        let plain = lower.strip_suffix(b".gz").unwrap_or(&lower);
        let ends_in = |ending: &&[u8]| plain.len() > ending.len() && plain.ends_with(ending);
        if is_hidden(name) || lower.ends_with(FOLDER_MARK) || LEFTOVER_ENDINGS.iter().any(|end| lower.ends_with(end)) {
            NameClass::Leftover
        } else if LOG_ENDINGS.iter().any(ends_in) || file_facts(name).is_some() {
            NameClass::Log
        } else {
            NameClass::Other
        }
    }
}

pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.is_empty() || name.starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_logs_leftovers_or_neither() {
        for (names, class) in [
            (
                "a.json a.json.gz A.JSON.GZ x.jsonl x.jsonl.gz x.ndjson x.ndjson.gz e.json.cloudtrail e.cloudtrail \
                 111122223333_CloudTrail_us-east-1_20260102T0305Z_AbCdEfGhIjKlMnOp.json.gz.1",
                NameClass::Log,
            ),
            (
                "x.json.gz.part X.JSON.PART ._x.json.gz .json.gz .gz _$folder$ a_$folder$ a.json~ a.json.tmp \
                 111122223333_CloudTrail_us-east-1_20260102T0305Z_AbCdEfGhIjKlMnOp.json.gz.part",
                NameClass::Leftover,
            ),
            (
                "x.log x.log.gz x.gz a.txt a.zip a.csv a.csv.gz a.md gz json a.json~snapshot a.parquet \
                 firehose-1-2026-03-02-10-05-00-f2f4c6ca",
                NameClass::Other,
            ),
        ] {
            for name in names.split_whitespace() {
                assert_eq!(NameClass::of(name.as_bytes()), class, "{name}");
            }
        }
        assert_eq!(NameClass::of(b""), NameClass::Leftover);
    }
}
