//! The logs that digests name and that are not here, or could not be read, and the digests that say nothing.
//! In: the names of logs in digests, and the objects that are here. Out: one row a log that is not whole, by its name,
//! then one a digest.
//! Never reads a digest, and never compares hashes: a log is here if an object bears the end of its name and has a
//! record, or the digest tells of none.

use std::collections::{BTreeSet, HashMap};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::objects::Delivery;
use keytrail_rows::schema::ColumnType::{Text, Timestamp};

use super::input::{InputBatch, TextCells, TimeCells};
use super::log_names::{log_hashes, object_hash};
use super::output::{OutputCell, OutputRows, column};
use super::{Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const MISSING_LOGS: DerivedTable = DerivedTable {
    name: "missing_logs",
    columns: COLUMNS,
    by: &[],
    unique: &[],
    time: RowTime::Through("first_event", "last_event"),
    start: |_| Box::new(NamedLogs::default()),
};

const COLUMNS: &[OutputColumn] = &[
    column("account_id", Text),
    column("region", Text),
    column("log", Text),
    column("first_event", Timestamp),
    column("last_event", Timestamp),
    column("digest", Text),
    column("presence", Text),
];

/// Rough size of a log that a digest names, without its texts.
const LOG_BYTES: usize = 224;
/// The same of an object that is here: the hash of its name, in a half-full table.
const OBJECT_BYTES: usize = 40;

/// A log as a digest names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct NamedLog {
    name: String,
    digest: String,
    /// Of the digest, where the name of the log has none.
    account: Option<String>,
    region: Option<String>,
    first_event: Option<i64>,
    last_event: Option<i64>,
}

impl NamedLog {
    fn bytes(&self) -> usize {
        LOG_BYTES + self.name.len() + self.digest.len()
    }
}

/// The state in which an object is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ObjectPresence {
    Unreadable,
    /// It was read, and has no record.
    Empty,
    Read,
}

/// All objects so far, and the logs that none of them is. Both by the hashes of the ends of their names.
#[derive(Default)]
struct NamedLogs {
    named: HashMap<u128, NamedLog>,
    here: HashMap<u128, ObjectPresence>,
    /// Digests that say nothing, each once.
    silent: BTreeSet<NamedLog>,
    /// Of the logs and of these digests.
    bytes: usize,
}

impl NamedLogs {
    fn add_named(&mut self, found: NamedLog) {
        if self.presence(&found.name) == Some(ObjectPresence::Read) {
            return;
        }
        let end = object_hash(&found.name);
        // Two digests may name one log; the first of them, by its own name, stands for both.
        if self.named.get(&end).is_none_or(|known| found < *known) {
            self.bytes += found.bytes();
            self.bytes -= self.named.insert(end, found).map_or(0, |known| known.bytes());
        }
    }

    fn add_silent(&mut self, digest: NamedLog) {
        let bytes = digest.bytes();
        self.bytes += if self.silent.insert(digest) { bytes } else { 0 };
    }

    /// A log that is here needs no memory any more; mostly the objects come first.
    fn add_here(&mut self, uri: &str, presence: ObjectPresence) {
        let end = object_hash(uri);
        let known = self.here.entry(end).or_insert(presence);
        *known = presence.max(*known);
        if *known == ObjectPresence::Read {
            self.bytes -= self.named.remove(&end).map_or(0, |log| log.bytes());
        }
    }

    /// The best state of an object that may be this log.
    fn presence(&self, log: &str) -> Option<ObjectPresence> {
        log_hashes(log).into_iter().filter_map(|name| self.here.get(&name).copied()).max()
    }
}

/// The columns of one batch of the input.
struct NameColumns<'a> {
    kind: TextCells<'a>,
    name: TextCells<'a>,
    account: TextCells<'a>,
    region: TextCells<'a>,
    first_event: TimeCells<'a>,
    last_event: TimeCells<'a>,
    digest: TextCells<'a>,
}

impl Derivation for NamedLogs {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let rows = InputBatch::new("missing_logs", rows);
        let columns = NameColumns {
            kind: rows.texts("kind")?,
            name: rows.texts("name")?,
            account: rows.texts("account_id")?,
            region: rows.texts("region")?,
            first_event: rows.times("first_event")?,
            last_event: rows.times("last_event")?,
            digest: rows.texts("digest")?,
        };
        for row in 0..rows.len() {
            let Some(name) = columns.name.get(row) else { continue };
            match columns.kind.get(row) {
                Some("read") => self.add_here(name, ObjectPresence::Read),
                Some("empty") => self.add_here(name, ObjectPresence::Empty),
                Some("unreadable") => self.add_here(name, ObjectPresence::Unreadable),
                _ => {
                    let log = NamedLog {
                        name: name.to_owned(),
                        account: columns.account.owned(row),
                        region: columns.region.owned(row),
                        first_event: columns.first_event.get(row),
                        last_event: columns.last_event.get(row),
                        digest: columns.digest.owned(row).unwrap_or_default(),
                    };
                    match columns.kind.get(row) {
                        Some("digest") => self.add_silent(log),
                        _ => self.add_named(log),
                    }
                }
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes + self.here.len() * OBJECT_BYTES
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        let mut named: Vec<&NamedLog> = self.named.values().collect();
        named.sort_unstable();
        for found in named {
            let log = found.name.as_str();
            let presence = match self.presence(log) {
                Some(ObjectPresence::Read) => continue,
                // A digest tells times of events only of a log that has some.
                Some(ObjectPresence::Empty) if found.first_event.or(found.last_event).is_none() => continue,
                Some(ObjectPresence::Empty | ObjectPresence::Unreadable) => "unreadable",
                None => "missing",
            };
            let delivery = Delivery::of(log);
            let delivered = delivery.map(|delivery| delivery.micros);
            rows.push([
                OutputCell::Text(delivery.map(|delivery| delivery.account).or(found.account.as_deref())),
                OutputCell::Text(delivery.map(|delivery| delivery.region).or(found.region.as_deref())),
                log.into(),
                // A digest may leave the times out; no event is later than the delivery.
                OutputCell::Time(found.first_event.or(delivered)),
                OutputCell::Time(found.last_event.or(delivered)),
                (&found.digest).into(),
                presence.into(),
            ])?;
        }
        for found in &self.silent {
            rows.push([
                OutputCell::Text(found.account.as_deref()),
                OutputCell::Text(found.region.as_deref()),
                OutputCell::Text(None),
                OutputCell::Time(found.first_event),
                OutputCell::Time(found.last_event),
                (&found.digest).into(),
                "digest_unreadable".into(),
            ])?;
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    const FOLDER: &str = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/10";
    const LOG: &str = "111122223333_CloudTrail_eu-west-1_20260310T1405Z_Du0a4N7J8mU8rWJL.json.gz";

    /// The presence of the log, where it is not whole. A digest tells the time of its last event, or none.
    fn found(objects: &[(String, ObjectPresence)], last_event: Option<i64>) -> Option<String> {
        let mut logs = Box::new(NamedLogs::default());
        let named = |digest: &str| NamedLog {
            name: format!("prefix/{FOLDER}/{LOG}"),
            account: None,
            region: None,
            first_event: None,
            last_event,
            digest: digest.to_owned(),
        };
        // The objects come before, between and after the digests.
        let (first, rest) = objects.split_at(objects.len() / 2);
        first.iter().for_each(|(uri, presence)| logs.add_here(uri, *presence));
        logs.add_named(named("b"));
        rest.iter().for_each(|(uri, presence)| logs.add_here(uri, *presence));
        logs.add_named(named("a"));
        let is_held = logs.named.is_empty() == (logs.bytes == 0);
        assert!(is_held, "{} bytes of {} logs", logs.bytes, logs.named.len());
        let rows = logs.finish().unwrap();
        (rows.num_rows() > 0).then(|| {
            let text = |column: &str| rows[column].as_string::<i32>().value(0).to_owned();
            assert_eq!((text("account_id"), text("digest")), ("111122223333".to_owned(), "a".to_owned()));
            text("presence")
        })
    }

    #[test]
    fn a_log_is_here_by_the_end_of_its_name() {
        use ObjectPresence::{Read, Unreadable};
        let missing = Some("missing".to_owned());
        for (uri, expected) in [
            (format!("s3://another-bucket/x/{FOLDER}/{LOG}"), None),
            (format!("/copies/{FOLDER}/{LOG}"), None),
            (format!("copies/{LOG}"), None),
            (format!("s3://organization/{FOLDER}/{LOG}").replace("AWSLogs/", "AWSLogs/o-exampleorgid/"), None),
            (LOG.to_owned(), None),
            // A copy may be unzipped.
            (format!("/copies/{FOLDER}/{LOG}").replace(".gz", ""), None),
            (LOG.replace(".gz", ""), None),
            (format!("/copies/{FOLDER}/{LOG}").replace(".json.gz", ""), missing.clone()),
            (format!("/copies/{}/{LOG}", FOLDER.replace("/10", "/11")), missing.clone()),
            (format!("/copies/{FOLDER}/x{LOG}"), missing.clone()),
        ] {
            assert_eq!(found(&[(uri.clone(), Read)], None), expected, "{uri}");
            let unreadable = expected.clone().or(Some("unreadable".to_owned()));
            assert_eq!(found(&[(uri.clone(), Unreadable)], None), unreadable, "{uri}");
            assert_eq!(found(&[(uri.clone(), Read), (uri.clone(), Unreadable)], None), expected, "{uri}");
        }
        assert_eq!(found(&[], None), missing);
    }

    #[test]
    fn digests_that_say_nothing_are_told_once() {
        let mut logs = Box::new(NamedLogs::default());
        let silent = |name: &str| NamedLog {
            name: name.to_owned(),
            digest: name.to_owned(),
            account: Some("111122223333".to_owned()),
            region: None,
            first_event: Some(7),
            last_event: Some(7),
        };
        ["b", "a", "b"].into_iter().for_each(|name| logs.add_silent(silent(name)));
        assert_eq!(logs.bytes, 2 * silent("a").bytes());
        let rows = logs.finish().unwrap();
        let texts = |column: &str| rows[column].as_string::<i32>().iter().collect::<Vec<_>>();
        assert_eq!((texts("digest"), texts("log")), (vec![Some("a"), Some("b")], vec![None, None]));
        assert_eq!(texts("presence"), [Some("digest_unreadable"); 2]);
    }

    #[test]
    fn a_log_without_a_record_is_whole_only_if_the_digest_tells_of_none() {
        use ObjectPresence::{Empty, Read, Unreadable};
        let unreadable = Some("unreadable".to_owned());
        for (presence, untold, told) in
            [(Read, None, None), (Empty, None, unreadable.clone()), (Unreadable, unreadable.clone(), unreadable)]
        {
            let objects = [(LOG.to_owned(), presence)];
            assert_eq!((found(&objects, None), found(&objects, Some(7))), (untold, told), "{presence:?}");
        }
        assert_eq!(found(&[(LOG.to_owned(), Empty), (LOG.to_owned(), Read)], Some(7)), None);
    }
}
