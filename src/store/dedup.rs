//! Finds the rows of a run that the store has already.
//! In: rows that are about to be written, and the store's files of their days. Out: the rows that stay, and the
//! corrections to the accounts of their objects.
//! Never holds the store's identities: they are streamed past those of the run, and of those that both have a hash stays.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::Date32Type;
use futures::TryStreamExt;
use xxhash_rust::xxh3::Xxh3;

use super::StoreError;
use super::data_file::{ColumnStats, DataFile};
use super::ledger::TallyCorrections;
use super::parquet_reader::StoredFile;
use super::rows::PlaceColumns;
use super::snapshot::Snapshot;
use crate::batch::CONTENT_HASH;
use crate::schema::Column;
use crate::table::AlreadyHashed;

const ID: &str = "event_id";
const ACCOUNT: &str = "recipient_account_id";
/// Rows of the store that are looked at at once.
const STORED_ROWS: usize = 8192;

/// The store's word on a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoreVerdict {
    Unknown,
    /// The store has its identity with other content.
    Conflict,
    Duplicate,
}

/// Identity and content of some rows.
struct RowIdentities<'a> {
    ids: &'a StringArray,
    accounts: &'a StringArray,
    contents: &'a BinaryArray,
}

impl<'a> RowIdentities<'a> {
    fn of(rows: &'a RecordBatch) -> RowIdentities<'a> {
        RowIdentities {
            ids: rows[ID].as_string(),
            accounts: rows[ACCOUNT].as_string(),
            contents: rows[CONTENT_HASH].as_binary(),
        }
    }

    fn account(&self, row: usize) -> Option<&str> {
        self.accounts.is_valid(row).then(|| self.accounts.value(row))
    }

    fn hash(&self, row: usize) -> u64 {
        let mut hash = Xxh3::new();
        hash.update(self.account(row).unwrap_or("-").as_bytes());
        hash.update(self.ids.value(row).as_bytes());
        hash.digest()
    }

    fn is_same(&self, row: usize, other: &RowIdentities, other_row: usize) -> bool {
        self.ids.value(row) == other.ids.value(other_row) && self.account(row) == other.account(other_row)
    }
}

/// Places of the rows of a run, by the hash of their identity.
struct RunPlaces {
    /// The last row of each hash, by its number in `rows`.
    last: HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>,
    /// Batch and row, and the number of the one before with the same hash.
    rows: Vec<(u32, u32, Option<u32>)>,
}

impl RunPlaces {
    fn of(run: &[RowIdentities]) -> RunPlaces {
        let count = run.iter().map(|identities| identities.ids.len()).sum();
        let mut places = RunPlaces {
            last: HashMap::with_capacity_and_hasher(count, Default::default()),
            rows: Vec::with_capacity(count),
        };
        for (batch, identities) in run.iter().enumerate() {
            for row in 0..identities.ids.len() {
                let before = places.last.insert(identities.hash(row), places.rows.len() as u32);
                places.rows.push((batch as u32, row as u32, before));
            }
        }
        places
    }

    fn of_hash(&self, hash: u64) -> impl Iterator<Item = (usize, usize)> {
        let first = self.last.get(&hash).copied();
        let all = std::iter::successors(first, |at| self.rows[*at as usize].2);
        all.map(|at| (self.rows[at as usize].0 as usize, self.rows[at as usize].1 as usize))
    }

    /// True where an earlier row of the run has this one's identity and other content.
    fn has_other_before(&self, run: &[RowIdentities], batch: usize, row: usize) -> bool {
        let own = &run[batch];
        self.of_hash(own.hash(row)).any(|(other, at)| {
            (other, at) < (batch, row)
                && own.is_same(row, &run[other], at)
                && own.contents.value(row) != run[other].contents.value(at)
        })
    }
}

/// Identities of a scan that the store has too, by their hashes.
#[derive(Debug, Default)]
pub(super) struct MetIdentities(HashSet<u64, BuildHasherDefault<AlreadyHashed>>);

/// The rows of each batch that stay, and the corrections to the accounts. `met` is from the earlier runs of the same
/// scan.
pub(super) async fn new_rows(
    snapshot: &Snapshot,
    batches: &[RecordBatch],
    met: &mut MetIdentities,
) -> Result<(Vec<BooleanArray>, TallyCorrections), StoreError> {
    let reach = RunReach::of(batches);
    let run: Vec<RowIdentities> = batches.iter().map(RowIdentities::of).collect();
    let mut verdicts: Vec<Vec<StoreVerdict>> =
        batches.iter().map(|b| vec![StoreVerdict::Unknown; b.num_rows()]).collect();
    let files: Vec<&DataFile> = snapshot.files.iter().filter(|file| reach.touches(file)).collect();
    let places = if files.is_empty() { RunPlaces::of(&[]) } else { RunPlaces::of(&run) };
    for file in files {
        let stored = StoredFile::new(&snapshot.object_store, file);
        let mut rows = stored.rows(Some(&[ID, ACCOUNT, CONTENT_HASH]), STORED_ROWS).await?;
        while let Some(stored) = rows.try_next().await? {
            judge(&run, &places, &RowIdentities::of(&stored), &mut verdicts);
        }
    }
    let is_counted =
        |batch: usize, row| places.has_other_before(&run, batch, row) || met.0.contains(&run[batch].hash(row));
    let settled = settle(batches, &verdicts, &is_counted);
    for (identities, verdicts) in run.iter().zip(&verdicts) {
        let known = (0..verdicts.len()).filter(|row| verdicts[*row] != StoreVerdict::Unknown);
        met.0.extend(known.map(|row| identities.hash(row)));
    }
    Ok(settled)
}

fn judge(run: &[RowIdentities], places: &RunPlaces, stored: &RowIdentities, verdicts: &mut [Vec<StoreVerdict>]) {
    for row in 0..stored.ids.len() {
        for (batch, at) in places.of_hash(stored.hash(row)) {
            let own = &run[batch];
            if !own.is_same(at, stored, row) {
                continue;
            }
            let verdict = &mut verdicts[batch][at];
            if own.contents.value(at) == stored.contents.value(row) {
                *verdict = StoreVerdict::Duplicate;
            } else if *verdict == StoreVerdict::Unknown {
                *verdict = StoreVerdict::Conflict;
            }
        }
    }
}

/// Rows to keep and counts to correct, by the verdicts. The scan has counted each row that differs from one before it
/// as a conflict; it is none if the store has the same row.
fn settle(
    batches: &[RecordBatch],
    verdicts: &[Vec<StoreVerdict>],
    is_counted: &dyn Fn(usize, usize) -> bool,
) -> (Vec<BooleanArray>, TallyCorrections) {
    let mut corrections = TallyCorrections::default();
    let mut keep = Vec::with_capacity(batches.len());
    for (at, (batch, verdicts)) in batches.iter().zip(verdicts).enumerate() {
        let uris = batch[Column::ObjectUri.name()].as_string::<i32>();
        let hours = PlaceColumns::of(batch);
        for (row, verdict) in verdicts.iter().enumerate() {
            match verdict {
                StoreVerdict::Unknown => {}
                StoreVerdict::Conflict if is_counted(at, row) => {}
                StoreVerdict::Conflict => corrections.conflict(uris.value(row)),
                StoreVerdict::Duplicate => {
                    corrections.duplicate(uris.value(row), hours.of_hour(row, uris.value(row)));
                    if is_counted(at, row) {
                        corrections.no_conflict(uris.value(row));
                    }
                }
            }
        }
        keep.push(verdicts.iter().map(|verdict| Some(*verdict != StoreVerdict::Duplicate)).collect());
    }
    (keep, corrections)
}

/// The days and accounts of a run. Equal contents have equal days.
struct RunReach {
    days: HashSet<Option<i32>>,
    accounts: Option<(String, String)>,
    has_no_account: bool,
}

impl RunReach {
    fn of(batches: &[RecordBatch]) -> RunReach {
        let mut reach = RunReach { days: HashSet::new(), accounts: None, has_no_account: false };
        for batch in batches {
            reach.days.extend(batch[Column::EventDate.name()].as_primitive::<Date32Type>().iter());
            let accounts: &StringArray = batch[ACCOUNT].as_string();
            reach.has_no_account |= accounts.null_count() > 0;
            for account in accounts.iter().flatten() {
                match &mut reach.accounts {
                    None => reach.accounts = Some((account.to_owned(), account.to_owned())),
                    Some((least, _)) if account < least.as_str() => *least = account.to_owned(),
                    Some((_, greatest)) if account > greatest.as_str() => *greatest = account.to_owned(),
                    Some(_) => {}
                }
            }
        }
        reach
    }

    /// True if a file may hold an identity of the run. A file without bounds may.
    fn touches(&self, file: &DataFile) -> bool {
        if !self.days.contains(&file.day) {
            return false;
        }
        let Some(ColumnStats { least: Some(least), greatest: Some(greatest), nulls }) = file.stats.column(ACCOUNT)
        else {
            return true;
        };
        let apart = |(from, to): &(String, String)| to.as_str() < &**least || from.as_str() > &**greatest;
        let no_account_there = *nulls == Some(0);
        !(self.accounts.as_ref().is_none_or(apart) && (!self.has_no_account || no_account_there))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array};

    use super::*;

    #[test]
    fn a_run_reaches_from_its_least_account_to_its_greatest() {
        let accounts: ArrayRef = Arc::new(StringArray::from(vec![Some("2"), Some("3"), None, Some("1"), Some("2")]));
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(7), None, Some(7), Some(7), Some(8)]));
        let rows = RecordBatch::try_from_iter([(Column::EventDate.name(), days), (ACCOUNT, accounts)]).unwrap();
        let reach = RunReach::of(&[rows]);
        assert_eq!(reach.accounts, Some(("1".to_owned(), "3".to_owned())));
        assert_eq!((reach.days, reach.has_no_account), (HashSet::from([Some(7), None, Some(8)]), true));
    }
}
