//! Removes files that nothing names any more: of runs that were killed, of batches that lost, of compaction.
//! In: a store, and how old a file must be. Out: what was removed.
//! Never removes a file of the present version, nor one that left it a shorter time ago than that.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::delta::Table;
use super::ids::IDS;
use super::place::UNFINISHED;
use super::{Store, StoreError};

/// What was removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Collected {
    pub files: u64,
    pub bytes: u64,
    /// Files that nothing names but that are too young.
    pub kept: u64,
}

impl Store {
    /// Removes what has been unneeded for `age_millis`, counted back from `now_millis`.
    pub async fn collect(&mut self, now_millis: i64, age_millis: i64) -> Result<Collected, StoreError> {
        self.complete().await?;
        let mut collected = Collected::default();
        let before = now_millis.saturating_sub(age_millis);
        for table in [&self.events, &self.objects, &self.quarantine] {
            self.collect_table(table, before, &mut collected).await?;
        }
        // Compaction takes away what of the index is not needed.
        let is_needed = |file: &ObjectMeta| !is_unfinished(file);
        self.collect_folder(IDS, before, is_needed, written, &mut collected).await?;
        Ok(collected)
    }

    async fn collect_table(&self, table: &Table, before: i64, collected: &mut Collected) -> Result<(), StoreError> {
        let path_of = |inside: &str| self.place.path(&format!("{}/{inside}", table.name()));
        let live: HashSet<Path> = table.files()?.iter().map(|add| path_of(&add.path)).collect();
        let removed: HashMap<Path, i64> =
            table.removed().await?.into_iter().map(|(inside, when)| (path_of(&inside), when)).collect();
        let log = path_of("_delta_log");
        let is_needed = |file: &ObjectMeta| {
            live.contains(&file.location) || (file.location.prefix_matches(&log) && !is_unfinished(file))
        };
        let unneeded_since = |file: &ObjectMeta| removed.get(&file.location).copied().unwrap_or(written(file));
        self.collect_folder(table.name(), before, is_needed, unneeded_since, collected).await
    }

    async fn collect_folder(
        &self,
        folder: &str,
        before: i64,
        is_needed: impl Fn(&ObjectMeta) -> bool,
        unneeded_since: impl Fn(&ObjectMeta) -> i64,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        let folder = self.place.path(folder);
        let cannot = |what: &Path, source| StoreError::Objects { what: what.to_string(), source };
        let mut found = self.place.store.list(Some(&folder));
        while let Some(file) = found.try_next().await.map_err(|source| cannot(&folder, source))? {
            // Whatever else lies there is not the store's to remove.
            if !is_of_store(&file) || is_needed(&file) {
                continue;
            }
            if unneeded_since(&file) > before {
                collected.kept += 1;
                continue;
            }
            self.place.store.delete(&file.location).await.map_err(|source| cannot(&file.location, source))?;
            collected.files += 1;
            collected.bytes += file.size;
        }
        Ok(())
    }
}

/// By the names that [`super::place::unique`] makes.
fn is_of_store(file: &ObjectMeta) -> bool {
    let name = file.location.filename().unwrap_or_default();
    let is_made = |stem: &str| stem.len() == 32 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.strip_suffix(".parquet").is_some_and(is_made) || is_unfinished(file)
}

fn is_unfinished(file: &ObjectMeta) -> bool {
    file.location.filename().unwrap_or_default().ends_with(UNFINISHED)
}

fn written(file: &ObjectMeta) -> i64 {
    file.last_modified.timestamp_millis()
}
