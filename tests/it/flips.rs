//! Flipped bits: each in a file in use is seen by a check, and changes no answer in silence.
//! In: copies of two stores, each with one bit another. Out: faults, and answers that are the same or refused.
//! Of the pages of data files only `--verify-files` promises so much, since Parquet has no checksums here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::child::{is_exhaustive, keytrail, on_every_core};
use crate::store::{Dice, Store, Tally, files, logs};
use crate::tamper::{Edited, long, short};

/// Flips whose outcome is looked at together, so that a fault among thousands shows early.
const FLIPS_TOGETHER: usize = 250;

/// The kinds of files, by what a flip in them may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FlipKind {
    Log,
    Checkpoint,
    Ids,
    /// The footers of data files and the indexes before them.
    Footer,
    Data,
}

/// The kind of a file, or of a byte of it.
fn kind_of(path: &Path) -> FlipKind {
    let text = path.to_str().unwrap();
    match text {
        _ if text.contains("checkpoint") => FlipKind::Checkpoint,
        _ if text.contains("_delta_log") => FlipKind::Log,
        _ if text.contains("/ids/") => FlipKind::Ids,
        _ => FlipKind::Data,
    }
}

/// The files that a store names or reads, without those that a compaction has replaced.
fn in_use(edited: &Edited) -> Vec<PathBuf> {
    let mut named: BTreeSet<String> = BTreeSet::new();
    for table in ["events", "objects", "quarantine", "hours", "digests"] {
        for line in (0..edited.versions(table)).flat_map(|version| edited.read(table, version)) {
            if let Some(path) = line.get("add").map(|add| add["path"].as_str().unwrap().to_owned()) {
                named.insert(format!("{table}/{path}"));
            }
            if let Some(path) = line.get("remove").map(|gone| gone["path"].as_str().unwrap().to_owned()) {
                named.remove(&format!("{table}/{path}"));
            }
        }
    }
    let is_used = |file: &PathBuf| {
        let inside = file.strip_prefix(&edited.path).unwrap().to_str().unwrap().to_owned();
        kind_of(file) != FlipKind::Data || named.contains(&inside)
    };
    files(&edited.path).into_iter().filter(is_used).collect()
}

/// The first byte of the end of each data file.
fn tails(edited: &Edited) -> BTreeMap<PathBuf, u64> {
    let mut tails = BTreeMap::new();
    for table in ["events", "objects", "quarantine", "hours", "digests"] {
        for line in (0..edited.versions(table)).flat_map(|version| edited.read(table, version)) {
            let Some(add) = line.get("add") else { continue };
            let length = add["tags"]["keytrail.tail"].as_str().unwrap().split(' ').next().unwrap();
            let start = add["size"].as_u64().unwrap() - length.parse::<u64>().unwrap();
            tails.insert(Path::new(table).join(add["path"].as_str().unwrap()), start);
        }
    }
    tails
}

/// Counts by which files are chosen, and the accounts beside them.
const QUESTION: &str = "
    SELECT 'all' AS what, count(*) AS n, count(DISTINCT principal) AS p FROM events
    UNION ALL SELECT 'denied', count(*), count(DISTINCT event_name) FROM events WHERE outcome = 'denied'
    UNION ALL SELECT 'day', count(*), count(DISTINCT key_arn) FROM events WHERE event_date = '2026-03-11'
    UNION ALL SELECT 'time', count(*), count(DISTINCT key_id) FROM events WHERE event_time >= '2026-03-12'
    UNION ALL SELECT 'table', count(*), count(DISTINCT user_agent) FROM events WHERE table_name = 'orders'
    UNION ALL SELECT 'key', count(*), count(DISTINCT aws_region) FROM events WHERE key_arn >= 'arn:aws:kms:us-east-1'
    UNION ALL SELECT 'id', count(*), count(DISTINCT raw) FROM events WHERE event_id IN
      (SELECT event_id FROM events WHERE event_name = 'Decrypt')
    UNION ALL SELECT 'one', count(*), 0 FROM events WHERE event_id = 'a0000000-0000-4000-8000-000014000000'
    UNION ALL SELECT 'objects', sum(kept), sum(records) FROM objects
    UNION ALL SELECT 'quarantine', count(*), sum(length) FROM quarantine
    UNION ALL SELECT 'hours', count(*), sum(records) FROM coverage
    ORDER BY 1";

fn answer(store: &Path, more: &[&str]) -> (Option<i32>, Vec<u8>) {
    let place = store.to_str().unwrap();
    let ended = keytrail([&["query", "-q", "-f", "csv", QUESTION, "--from", place], more].concat());
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    (ended.code, ended.stdout)
}

/// One bit of a file of a store, of files or of bytes drawn by a seed.
fn flips(edited: &Edited, dice: &mut Dice, count: u64) -> Vec<(PathBuf, u64)> {
    let used = in_use(edited);
    let sizes: Vec<u64> = used.iter().map(|file| fs::metadata(file).unwrap().len()).collect();
    let all: u64 = sizes.iter().sum();
    let mut drawn = Vec::new();
    for number in 0..count {
        let at = match number % 2 {
            0 => dice.below(used.len() as u64) as usize,
            _ => {
                let mut byte = dice.below(all);
                sizes.iter().position(|size| byte.checked_sub(*size).map(|left| byte = left).is_none()).unwrap()
            }
        };
        let inside = used[at].strip_prefix(&edited.path).unwrap().to_owned();
        drawn.push((inside, dice.below(sizes[at] * 8)));
    }
    drawn
}

/// The outcome of one flip.
struct Flip {
    kind: FlipKind,
    what: String,
    /// A check finds no fault.
    is_unseen: bool,
    /// The answer is another one, and nothing says so.
    is_silent: bool,
    /// The same with `--verify-files`.
    is_silent_if_verified: bool,
    /// The question is blamed for it.
    is_usage: bool,
}

impl Flip {
    fn of(base: &Store, inside: &Path, bit: u64, expected: &(Option<i32>, Vec<u8>)) -> Flip {
        let edited = Edited::of(base);
        let path = edited.path.join(inside);
        let mut bytes = fs::read(&path).unwrap();
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        let (answered, kind) = (answer(&edited.path, &[]), kind_of(&path));
        let is_silent = |found: &(Option<i32>, Vec<u8>)| matches!(found.0, Some(0 | 3)) && found != expected;
        Flip {
            kind,
            what: format!("bit {bit} of {}", inside.display()),
            is_unseen: edited.faults().is_empty(),
            is_silent: is_silent(&answered),
            is_silent_if_verified: kind == FlipKind::Data && is_silent(&answer(&edited.path, &["--verify-files"])),
            is_usage: answered.0 == Some(2),
        }
    }

    fn is_wrong(&self) -> bool {
        let may_be_silent = self.kind == FlipKind::Data;
        self.is_unseen || self.is_silent_if_verified || self.is_usage || (self.is_silent && !may_be_silent)
    }
}

#[test]
fn flipped_bits_are_seen_and_change_no_answer_in_silence() {
    let count = if is_exhaustive() { 5_000 } else { 25 };
    for (base, seed) in [(short(), 1), (long(), 2)] {
        let expected = answer(&base.path, &[]);
        assert!(matches!(expected.0, Some(0 | 3)), "{expected:?}");
        assert_eq!(answer(&base.path, &["--verify-files"]), expected);
        let whole = Edited::of(base);
        let (drawn, tails, tally) = (flips(&whole, &mut Dice(seed), count), tails(&whole), Tally::of(count as usize));
        let mut hits: BTreeMap<FlipKind, [usize; 4]> = BTreeMap::new();
        for some in drawn.chunks(FLIPS_TOGETHER) {
            let done = on_every_core(some, |(inside, bit)| {
                let mut flip = Flip::of(base, inside, *bit, &expected);
                if tails.get(inside).is_some_and(|start| bit / 8 >= *start) {
                    flip.kind = FlipKind::Footer;
                }
                tally.one_more();
                flip
            });
            for flip in &done {
                let found = [true, flip.is_unseen, flip.is_silent, flip.is_silent_if_verified];
                hits.entry(flip.kind).or_default().iter_mut().zip(found).for_each(|(sum, is)| *sum += usize::from(is));
            }
            eprintln!("flips, unseen, silent, silent though verified: {hits:?}");
            let wrong: Vec<&String> = done.iter().filter(|flip| flip.is_wrong()).map(|flip| &flip.what).collect();
            assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), done.len());
        }
    }
}

/// A file that is not what the log says gives no answer, and no other file of the store is asked for it.
#[test]
fn files_are_hashed_before_they_are_read_where_asked() {
    let edited = Edited::of(short());
    let place = edited.path.to_str().unwrap().to_owned();
    let is_data = |file: &&PathBuf| kind_of(file) == FlipKind::Data && file.to_str().unwrap().contains("/events/");
    let used = in_use(&edited);
    let file = used.iter().find(is_data).unwrap();
    let mut bytes = fs::read(file).unwrap();
    bytes[100] ^= 1;
    fs::write(file, bytes).unwrap();
    let day = file.parent().unwrap().file_name().unwrap().to_str().unwrap().strip_prefix("event_date=").unwrap();
    let logs = logs();
    for (from, filter, code) in [
        (place.as_str(), "true", 4),
        (&place, &format!("event_date = '{day}'"), 4),
        // Its quarantined record makes a store incomplete.
        (&place, &format!("event_date <> '{day}'"), 3),
        (logs.to_str().unwrap(), "true", 2),
    ] {
        let sql = format!("SELECT sum(length(raw)) FROM events WHERE {filter}");
        let ended = keytrail(["query", "--verify-files", "-q", &sql, "--from", from]);
        assert_eq!(ended.code, Some(code), "{from} {filter}: {}", ended.story());
        assert_eq!(ended.stderr.contains("has another SHA-256 than the log says"), code == 4, "{}", ended.stderr);
    }
}
