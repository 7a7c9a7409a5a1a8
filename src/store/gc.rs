//! Removes files that nothing names any more: of runs that were killed, of batches that lost, of compaction.
//! In: a store, and the least age of a file. Out: the counts of removed files.
//! Never removes a file of the present version, nor one that left it more recently than that age.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::data_file::day_of_name;
use super::delta::{StoreTable, is_last_checkpoint};
use super::durable_files::{is_unique, unfinished_name};
use super::id_index::IDS;
use super::log_tap::commit_version;
use super::parquet_writer::NO_PARTITION;
use super::table_id::TableId;
use super::{Store, StoreError};

/// The folder of a table's log.
const LOG: &str = "_delta_log";

/// The choices of a collection.
#[derive(Debug, Clone, Copy)]
pub struct GcOptions {
    /// The time of the run, since 1970.
    pub now_millis: i64,
    /// The time for which a file must have been unneeded by then.
    pub age_millis: i64,
}

/// The counts of a collection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct GcCounts {
    /// Files that are gone.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that nothing names but that are too young.
    pub kept: u64,
}

/// Removes files that have been unneeded for long enough.
pub async fn collect(store: &mut Store, collection: GcOptions) -> Result<GcCounts, StoreError> {
    store.complete().await?;
    let before = collection.now_millis.saturating_sub(collection.age_millis);
    let mut sweep = GcSweep { store, before, collected: GcCounts::default() };
    for id in store.tables.present() {
        sweep.table(&store.tables[id]).await?;
    }
    // Compaction removes files of the index that are not needed.
    let is_needed = |file: &ObjectMeta| !is_unfinished(file);
    sweep.folder(IDS, is_needed, written).await?;
    Ok(sweep.collected)
}

/// A collection under way.
struct GcSweep<'a> {
    store: &'a Store,
    /// Files that were unneeded at this time, in milliseconds since 1970, go.
    before: i64,
    collected: GcCounts,
}

impl GcSweep<'_> {
    async fn table(&mut self, table: &StoreTable) -> Result<(), StoreError> {
        let (location, folder) = (&self.store.location, table.id().name());
        let path_of = |inside: &str| location.path(&format!("{folder}/{inside}"));
        let live: HashSet<Path> = table.files()?.iter().map(|add| path_of(&add.path)).collect();
        let removed: HashMap<Path, i64> =
            table.removed().await?.into_iter().map(|(inside, when)| (path_of(&inside), when)).collect();
        let log = path_of(LOG);
        let is_needed = |file: &ObjectMeta| {
            live.contains(&file.location) || (file.location.prefix_matches(&log) && !is_unfinished(file))
        };
        let unneeded_since = |file: &ObjectMeta| removed.get(&file.location).copied().unwrap_or(written(file));
        self.folder(folder, is_needed, unneeded_since).await
    }

    async fn folder(
        &mut self,
        folder: &str,
        is_needed: impl Fn(&ObjectMeta) -> bool,
        unneeded_since: impl Fn(&ObjectMeta) -> i64,
    ) -> Result<(), StoreError> {
        let location = &self.store.location;
        let folder = location.path(folder);
        let cannot = |what: &Path, source| StoreError::Objects { what: what.to_string(), source };
        let mut found = location.store.list(Some(&folder));
        while let Some(file) = found.try_next().await.map_err(|source| cannot(&folder, source))? {
            // Other files here are not the store's to remove.
            if !is_of_store(&file, &folder) || is_needed(&file) {
                continue;
            }
            if unneeded_since(&file) > self.before {
                self.collected.kept += 1;
                continue;
            }
            location.store.delete(&file.location).await.map_err(|source| cannot(&file.location, source))?;
            self.collected.files += 1;
            self.collected.bytes += file.size;
        }
        Ok(())
    }
}

/// True if a store has a folder of this name.
pub fn is_folder_of_store(name: &str) -> bool {
    name == IDS || TableId::ALL.into_iter().any(|id| id.name() == name)
}

/// True for files that a writer of this folder names, finished or not, in the places where it puts them. Deeper down, or
/// in other folders, may lie what is not the store's, such as another store.
fn is_of_store(file: &ObjectMeta, folder: &Path) -> bool {
    let inside: Vec<_> = file.location.prefix_match(folder).into_iter().flatten().collect();
    let is_file = |name: &str| name.strip_suffix(".parquet").is_some_and(is_unique);
    let is_name = |name: &str| is_file(name) || unfinished_name(name).is_some_and(is_file);
    let has_partitions = folder.filename() == Some(TableId::Events.name());
    match inside.as_slice() {
        [name] => is_name(name.as_ref()),
        [log, name] if log.as_ref() == LOG => unfinished_name(name.as_ref()).is_some_and(is_of_log),
        [partition, name] => has_partitions && is_partition(partition.as_ref()) && is_name(name.as_ref()),
        _ => false,
    }
}

/// True for the folder of a day, or of rows without one.
fn is_partition(name: &str) -> bool {
    let value = TableId::Events.partition().and_then(|column| name.strip_prefix(column)?.strip_prefix('='));
    value.is_some_and(|value| value == NO_PARTITION || day_of_name(value).is_some())
}

fn is_unfinished(file: &ObjectMeta) -> bool {
    file.location.filename().and_then(unfinished_name).is_some()
}

/// True of the names of a log: a commit, a checkpoint, or the name of the last one.
fn is_of_log(name: &str) -> bool {
    commit_version(name).is_some() || name.ends_with(".checkpoint.parquet") || is_last_checkpoint(name)
}

fn written(file: &ObjectMeta) -> i64 {
    file.last_modified.timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_writer_puts_there_is_the_stores() {
        let unique = "0123456789abcdef".repeat(2);
        let name = format!("{unique}.parquet");
        let part = format!(".{name}.{unique}.part");
        for (folder, inside, is_own) in [
            ("events", format!("event_date=2026-03-10/{name}"), true),
            ("events", format!("event_date=__HIVE_DEFAULT_PARTITION__/{name}"), true),
            ("events", format!("event_date=2026-03-10/{part}"), true),
            ("events", format!("_delta_log/.00000000000000000001.json.{unique}.part"), true),
            ("events", format!("_delta_log/.00000000000000000019.checkpoint.parquet.{unique}.part"), true),
            ("events", format!("_delta_log/._last_checkpoint.{unique}.part"), true),
            ("objects", part.clone(), true),
            ("ids", part.clone(), true),
            ("objects", "evidence.part".to_owned(), false),
            ("objects", format!(".{name}.x.part"), false),
            ("objects", format!(".notes.{unique}.part"), false),
            ("objects", format!("{name}.{unique}.part"), false),
            ("events", "_delta_log/notes.json.part".to_owned(), false),
            ("events", format!("_delta_log/{part}"), false),
            ("objects", name.clone(), true),
            ("ids", name.clone(), true),
            ("events", format!("event_date=2026-03-10/x/{name}"), false),
            ("events", format!("event_date=2026-03-10/objects/{name}"), false),
            ("events", format!("event_date=2026-13-10/{name}"), false),
            ("events", format!("objects/{name}"), false),
            ("events", format!("events/event_date=2026-03-10/{name}"), false),
            ("events", format!("_delta_log/{name}"), false),
            ("objects", format!("event_date=2026-03-10/{name}"), false),
            ("objects", "evidence.parquet".to_owned(), false),
        ] {
            let location = Path::from(format!("{folder}/{inside}"));
            let last_modified = chrono::DateTime::UNIX_EPOCH;
            let meta = ObjectMeta { location, last_modified, size: 1, e_tag: None, version: None };
            assert_eq!(is_of_store(&meta, &Path::from(folder)), is_own, "{folder}/{inside}");
        }
    }
}
