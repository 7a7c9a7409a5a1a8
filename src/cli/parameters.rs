//! The parameters of a query as they are typed: `name=value`, and `name=@FILE` for a value that a file holds.
//! In: words. Out: names and texts. Never reads more of a file than a value may have, and never guesses its encoding.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::exit::Failure;

/// A person gives a value, or a file of one answer, so a larger file is the wrong one.
pub const TEXT_BYTES_MAX: u64 = 1 << 20;

/// `name=value` of `-p`.
pub fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.trim_start_matches('$').to_owned(), value.to_owned())),
        _ => Err("write name=value".to_owned()),
    }
}

/// The files that values are read from.
pub fn files(given: &[(String, String)]) -> impl Iterator<Item = PathBuf> {
    let path = |value: &String| value.strip_prefix('@').filter(|rest| !rest.starts_with('@')).map(PathBuf::from);
    given.iter().filter_map(move |(_, value)| path(value))
}

/// The values themselves: `@FILE` is the text of that file without the end of its last line, `@@` a plain `@`.
///
/// # Errors
/// Fails if a file cannot be read, is larger than 1 MiB or is no UTF-8 text.
pub fn values(given: Vec<(String, String)>) -> Result<Vec<(String, String)>, Failure> {
    let value = |(name, value): (String, String)| match value.strip_prefix('@') {
        None => Ok((name, value)),
        Some(rest) if rest.starts_with('@') => Ok((name, rest.to_owned())),
        Some(path) => {
            let what = format!("-p {name} from `{path}`");
            let file = File::open(path).map_err(|e| {
                Failure::world(format!("cannot read {what}: {e}")).hint("@ names a file; write @@ for a plain @")
            })?;
            let text = bounded_text(file, &what)?;
            let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
            Ok((name, text.to_owned()))
        }
    };
    given.into_iter().map(value).collect()
}

/// The text of a small file; `what` says in errors what was read.
///
/// # Errors
/// Fails if it cannot be read, is larger than [`TEXT_BYTES_MAX`] or is no UTF-8 text.
pub fn bounded_text(from: impl Read, what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = from.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => Failure::usage(format!("cannot read {what}: it is not UTF-8 text")),
        _ => Failure::world(format!("cannot read {what}: {e}")),
    })?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(Failure::usage(format!("cannot read {what}: it is larger than 1 MiB")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::exit::RunExitCode;
    use super::*;

    #[test]
    fn splits_parameters_once() {
        assert_eq!(parameter("key=a=b").unwrap(), ("key".to_owned(), "a=b".to_owned()));
        assert_eq!(parameter("$key=").unwrap(), ("key".to_owned(), String::new()));
        assert!(parameter("key").is_err() && parameter("=x").is_err());
    }

    #[test]
    fn a_value_comes_from_a_file_where_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let largest = "x".repeat(TEXT_BYTES_MAX as usize);
        for (name, bytes) in [
            ("line", b"{\"a\":1}\n".as_slice()),
            ("lines", b"a\n\r\n"),
            ("empty", b""),
            ("@at", b"odd"),
            ("bytes", b"\xff"),
            ("largest", largest.as_bytes()),
            ("larger", format!("{largest}y").as_bytes()),
        ] {
            fs::write(path(name), bytes).unwrap();
        }
        let value = |text: String| {
            let read = values(vec![("p".to_owned(), text)]);
            read.map(|all| all[0].1.clone()).map_err(|failure| failure.code())
        };
        let (usage, world) = (Err(RunExitCode::Usage), Err(RunExitCode::World));
        for (text, expected) in [
            ("plain".to_owned(), Ok("plain")),
            ("a@b".to_owned(), Ok("a@b")),
            (String::new(), Ok("")),
            ("@@role".to_owned(), Ok("@role")),
            ("@@@role".to_owned(), Ok("@@role")),
            (format!("@{}", path("line")), Ok("{\"a\":1}")),
            (format!("@{}", path("lines")), Ok("a\n")),
            (format!("@{}", path("empty")), Ok("")),
            (format!("@{}", path("@at")), Ok("odd")),
            (format!("@{}", path("largest")), Ok(largest.as_str())),
            (format!("@{}", path("larger")), usage),
            (format!("@{}", path("bytes")), usage),
            (format!("@{}", path("none")), world),
            ("@".to_owned(), world),
            (format!("@{}", folder.path().display()), world),
        ] {
            assert_eq!(value(text.clone()), expected.map(str::to_owned), "{text}");
        }
    }
}
