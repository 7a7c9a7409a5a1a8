//! `--state PATH`: files of answers of the AWS CLI, or folders of them.
//! In: paths, each with the time of its answers if the user says it (`PATH@TIME`). Out: the answers, and a note where
//! only the files' own times are known. Never passes over a file that it cannot use, and follows no link below a folder.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::exit::Failure;
use crate::output::times;
use crate::output::visible::visible;
use crate::sql::state_answers::{self, AnswerFile, StateAnswer};
use crate::time::micros_of;

/// A list of the grants of a key, the largest answer, has at most 50,000.
const FILE_BYTES_MAX: u64 = 64 << 20;
const FILES_MAX: usize = 10_000;
const ALL_BYTES_MAX: u64 = 256 << 20;

/// The answers of all paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateFiles {
    pub answers: Vec<StateAnswer>,
    /// Files for whose answers nobody told a time, so that the file's own is taken.
    pub dated_by_file: usize,
}

/// A path, and the time that the user says of it.
struct GivenPath {
    path: PathBuf,
    at: Option<i64>,
}

impl GivenPath {
    /// Reads `PATH@TIME`. A path may have an `@` in it, so only a time counts as one.
    fn of(text: &str, now_micros: i64) -> GivenPath {
        let timed = text.rsplit_once('@').and_then(|(path, time)| Some((path, times::moment(time, now_micros).ok()?)));
        match timed {
            Some((path, time)) => GivenPath { path: PathBuf::from(path), at: Some(time.micros) },
            None => GivenPath { path: PathBuf::from(text), at: None },
        }
    }
}

impl StateFiles {
    /// The paths that are given, without their times.
    pub fn paths(given: &[String]) -> impl Iterator<Item = PathBuf> {
        given.iter().map(|text| GivenPath::of(text, 0).path)
    }

    /// Reads every file.
    ///
    /// # Errors
    /// Fails if a file cannot be read, or is no answer to use: nobody would notice that its state is not there.
    pub fn read(given: &[String], now_micros: i64) -> Result<StateFiles, Failure> {
        let mut all = StateFiles::default();
        let (mut files, mut bytes) = (0, 0);
        for given in given.iter().map(|text| GivenPath::of(text, now_micros)) {
            for path in files_at(&given.path)? {
                files += 1;
                bytes += all.take(&path, given.at)?;
                if files > FILES_MAX || bytes > ALL_BYTES_MAX {
                    return Err(Failure::usage(format!("--state names more than {FILES_MAX} files or 256 MiB")));
                }
            }
        }
        let unplaced = |answer: Box<StateAnswer>| {
            let why = format!("nothing tells the account and Region of the key {}", visible(&answer.subject));
            unusable(&answer.uri, &why)
                .hint(format!("name the file by them too: 111122223333_eu-west-1_{}.json", visible(&answer.subject)))
        };
        all.answers = state_answers::placed(std::mem::take(&mut all.answers)).map_err(unplaced)?;
        Ok(all)
    }

    /// Reads one file; returns its size.
    fn take(&mut self, path: &Path, at: Option<i64>) -> Result<u64, Failure> {
        let shown = path.to_string_lossy().into_owned();
        let (text, modified) = text_and_time(path, &shown)?;
        let at = at.or_else(|| {
            self.dated_by_file += 1;
            modified
        });
        let at = at.ok_or_else(|| unusable(&shown, "the system tells no time of it").hint("say --state FILE@TIME"))?;
        let read = state_answers::read(&AnswerFile { uri: &shown, text: &text, at });
        self.answers.extend(read.map_err(|fault| {
            let failure = unusable(&shown, &fault.to_string());
            fault.hint().into_iter().fold(failure, |failure, hint| failure.hint(hint))
        })?);
        Ok(text.len() as u64)
    }

    /// The sentence on answers of which nobody told the time.
    pub fn note(&self) -> Option<String> {
        let files = match self.dated_by_file {
            0 => return None,
            1 => "1 file of --state is".to_owned(),
            more => format!("{more} files of --state are"),
        };
        Some(format!(
            "{files} taken to be as old as the file says, which a copy may change; --state PATH@TIME tells it"
        ))
    }
}

fn unusable(shown: &str, why: &str) -> Failure {
    Failure::usage(format!("cannot use `{}` as state: {why}", visible(shown)))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::world(format!("cannot read `{}`: {error}", visible(&path.to_string_lossy())))
}

/// The file itself, or the files of a folder and of those in it whose names end in `.json`, in the order of their paths.
fn files_at(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let found = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !found.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut files, mut folders) = (Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
            let entry = entry.map_err(|error| unreadable(&folder, &error))?;
            let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), &error))?;
            match kind {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() && entry.path().extension().is_some_and(|end| end == "json") => {
                    files.push(entry.path());
                }
                _ => {}
            }
        }
        if files.len() + folders.len() > FILES_MAX {
            return Err(Failure::usage(format!("`{}` holds more than {FILES_MAX} files", path.display())));
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(unusable(&path.to_string_lossy(), "no file in it ends in .json"));
    }
    Ok(files)
}

fn text_and_time(path: &Path, shown: &str) -> Result<(String, Option<i64>), Failure> {
    let world = |error: std::io::Error| match error.kind() {
        ErrorKind::InvalidData => unusable(shown, "it is not UTF-8 text"),
        _ => unreadable(path, &error),
    };
    let file = File::open(path).map_err(world)?;
    let modified = file.metadata().map_err(world)?.modified().ok().and_then(micros_of);
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(world)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(unusable(shown, "it is larger than 64 MiB"));
    }
    Ok((text, modified))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::exit::RunExitCode;
    use super::*;

    const ANSWER: &str = r#"{"KeyRotationEnabled":true,"KeyId":"arn:aws:kms:eu-west-1:111122223333:key/k"}"#;

    #[test]
    fn a_time_is_told_or_the_files_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for (name, seconds) in [("a.json", 10), ("b@home.json", 20)] {
            fs::write(path(name), ANSWER).unwrap();
            let file = File::options().write(true).open(path(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        }
        fs::write(path("notes.txt"), "no answer").unwrap();
        let top = folder.path().to_str().unwrap();
        for (given, expected, dated_by_file) in [
            (vec![path("a.json")], vec![10], 1),
            (vec![path("b@home.json")], vec![20], 1),
            (vec![format!("{}@1970-01-02", path("a.json"))], vec![86_400], 0),
            (vec![format!("{}@1970-01-01T00:00:30Z", path("b@home.json"))], vec![30], 0),
            (vec![top.to_owned()], vec![10, 20], 2),
            (vec![format!("{top}@1970-01-01T00:00:40+00:00"), path("a.json")], vec![40, 40, 10], 1),
            (vec![], vec![], 0),
        ] {
            let read = StateFiles::read(&given, 0).unwrap();
            let times: Vec<i64> = read.answers.iter().map(|answer| answer.at / 1_000_000).collect();
            assert_eq!((times, read.dated_by_file), (expected, dated_by_file), "{given:?}");
            assert_eq!(read.note().is_some(), dated_by_file > 0);
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::create_dir(path("none")).unwrap();
        fs::create_dir(path("mixed")).unwrap();
        for (name, text) in
            [("mixed/good.json", ANSWER), ("mixed/other.json", "[]"), ("policy.json", r#"{"Policy":"{}"}"#)]
        {
            fs::write(path(name), text).unwrap();
        }
        fs::write(path("bytes.json"), b"{\"a\":\"\xff\"}").unwrap();
        for (name, code) in [
            ("absent", RunExitCode::World),
            ("none", RunExitCode::Usage),
            ("mixed", RunExitCode::Usage),
            ("policy.json", RunExitCode::Usage),
            ("bytes.json", RunExitCode::Usage),
        ] {
            let failure = StateFiles::read(&[path(name)], 0).unwrap_err();
            assert_eq!(failure.code(), code, "{name}");
        }
    }
}
