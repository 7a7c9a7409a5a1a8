//! An index beside the tables, made by compaction: it finds the files that an event id may be in.
//! In: files of events. Out: files of `ids`, each with the hashes of the ids of some of them, in order.
//! Never needed for an answer: files that it does not cover are searched, so any of its files may go at any time. Its
//! entries stay true, since a file of events never changes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use super::data_file::DataFile;
use super::hash::{finished, sha256_hex};
use super::location::StoreLocation;
use super::panicking::reading_later;
use super::parquet_reader::{RowStream, StoredFile};
use super::parquet_writer::{ColumnParts, ColumnSource, FileLayout, GROUP_ROWS_MAX, encode, name_of};
use super::rows::PART_ROWS;
use super::snapshot::{READ_ROWS, Snapshot};
use super::{Store, StoreError};

/// The folder of the index.
pub(super) const IDS: &str = "ids";
/// The key of an index file's footer that lists the files it covers, by their paths in the store.
const FILES_KEY: &str = "keytrail.files";
/// The key of a footer that tells the hashes of each row group, from the least to the greatest, and a sum of its entries.
const GROUPS_KEY: &str = "keytrail.groups";
/// The key of a footer with the SHA-256 of the two others.
const OWN_KEY: &str = "keytrail.self";

const ID: &str = "event_id";
const ID_HASH: &str = "event_id_hash";
const FILE: &str = "file";

/// The lower bits of an entry are the number of its file, those above the hash of an id.
const FILE_BITS: u32 = 16;
const FILES_MAX: usize = 1 << FILE_BITS;
/// About the ids that a file of the index has; 8 bytes of each are in memory while it is made.
const ENTRIES_MAX: u64 = 16 << 20;
/// A larger file of the index is not merged with later entries.
const LARGE_ENTRIES: u64 = ENTRIES_MAX / 2;
/// Files that are opened at once.
const FILES_AT_ONCE: usize = 8;

const LAYOUT: FileLayout = FileLayout { sorted_by: &[ID_HASH], ascending: &[ID_HASH], ..FileLayout::PLAIN };

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let fields = [Field::new(ID_HASH, DataType::Int64, false), Field::new(FILE, DataType::Int32, false)];
        Arc::new(Schema::new(fields.to_vec()))
    });
    Arc::clone(&SCHEMA)
}

/// The hash of an id in the index: 48 bits of its XXH3.
pub(super) fn hash_of(id: &str) -> u64 {
    xxh3_64(id.as_bytes()) >> FILE_BITS
}

/// The SHA-256 of the hashes of some ids in ascending order. A sum would be cheaper, but other ids can be found for it.
#[derive(Default)]
pub(super) struct IdDigest(Sha256);

impl IdDigest {
    /// Adds the next id, by its hash.
    pub fn add(&mut self, hash: u64) {
        self.0.update(hash.to_be_bytes());
    }

    pub fn finish(self) -> String {
        finished(self.0)
    }
}

/// The hashes of the ids of a file, in any order.
#[derive(Default)]
pub(super) struct IdHashes(Vec<u64>);

impl IdHashes {
    /// Adds the `event_id`s of rows.
    pub fn add_rows(&mut self, rows: &RecordBatch) {
        self.0.extend(rows[ID].as_string::<i32>().iter().flatten().map(hash_of));
    }

    pub fn digest(mut self) -> String {
        self.0.sort_unstable();
        let mut digest = IdDigest::default();
        self.0.into_iter().for_each(|hash| digest.add(hash));
        digest.finish()
    }
}

/// The index of a store.
#[derive(Debug, Clone)]
pub(super) struct IdIndex {
    location: StoreLocation,
}

/// A file of the index.
pub(super) struct IndexFile {
    meta: ObjectMeta,
    metadata: Arc<ParquetMetaData>,
    /// The files of events that it covers, by their number in its entries.
    files: Vec<Path>,
    /// Its row groups.
    groups: Vec<EntrySpan>,
}

/// The entries of a row group. A damaged one must not hide an event, and Parquet has no checksum of its own here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct EntrySpan {
    least: u64,
    greatest: u64,
    count: u64,
    sum: u64,
}

impl EntrySpan {
    const NONE: EntrySpan = EntrySpan { least: u64::MAX, greatest: 0, count: 0, sum: 0 };

    fn add(&mut self, hash: u64, file: u64) {
        (self.least, self.greatest, self.count) = (self.least.min(hash), self.greatest.max(hash), self.count + 1);
        self.sum = self.sum.wrapping_add(xxh3_64(&(hash << FILE_BITS | file).to_be_bytes()));
    }
}

/// The index's answer on some ids.
#[derive(Debug, Default)]
pub(super) struct IdLookup(HashMap<Path, HashSet<u64>>);

impl IdLookup {
    /// True if a file may have one of the ids; `None` for a file that the index does not cover.
    pub fn may_have(&self, file: &Path, mut hashes: impl Iterator<Item = u64>) -> Option<bool> {
        let found = self.0.get(file)?;
        Some(hashes.any(|hash| found.contains(&hash)))
    }
}

impl Snapshot {
    /// The index of its store. It is in no commit, so nothing but itself and a check of the store prove it.
    pub(super) fn index(&self) -> IdIndex {
        IdIndex { location: self.location().clone() }
    }

    /// The index, unless answers are to depend on proved files alone.
    pub(super) fn believed_index(&self) -> Option<IdIndex> {
        (!self.hashes_files).then(|| self.index())
    }
}

impl IdIndex {
    /// Looks up ids by their hashes. A part that cannot be read counts as absent.
    pub async fn look_up(&self, hashes: &HashSet<u64>) -> IdLookup {
        let mut found = IdLookup::default();
        let names = self.names().await.unwrap_or_default();
        let parts = names.into_iter().map(|meta| async move {
            let part = self.part(meta).await?;
            let entries = self.entries_of(&part, hashes).await?;
            Ok::<_, StoreError>((part, entries))
        });
        let mut parts = futures::stream::iter(parts).buffered(FILES_AT_ONCE);
        while let Some(looked) = parts.next().await {
            let Ok((part, entries)) = looked else { continue };
            if part.is_unproved() {
                continue;
            }
            for file in &part.files {
                found.0.entry(file.clone()).or_default();
            }
            for (hash, file) in entries {
                if let Some(file) = part.files.get(file) {
                    found.0.entry(file.clone()).or_default().insert(hash);
                }
            }
        }
        found
    }

    async fn names(&self) -> Result<Vec<ObjectMeta>, StoreError> {
        let folder = self.location.path(IDS);
        let listed = self.location.store.list(Some(&folder)).try_collect::<Vec<_>>().await;
        let mut names = listed.map_err(|source| StoreError::Objects { what: folder.to_string(), source })?;
        names.retain(|meta| meta.location.as_ref().ends_with(".parquet"));
        Ok(names)
    }

    /// All its files that are still there.
    pub async fn parts(&self) -> Result<Vec<IndexFile>, StoreError> {
        let mut parts = Vec::new();
        for meta in self.names().await? {
            let location = meta.location.clone();
            match self.part(meta).await {
                Ok(part) => parts.push(part),
                // A compaction has made a new one of it.
                Err(_) if self.is_gone(&location).await => {}
                Err(error) => return Err(error),
            }
        }
        Ok(parts)
    }

    /// True if another compaction has removed a file of the index.
    pub async fn is_gone(&self, location: &Path) -> bool {
        matches!(self.location.store.head(location).await, Err(object_store::Error::NotFound { .. }))
    }

    async fn part(&self, meta: ObjectMeta) -> Result<IndexFile, StoreError> {
        let what = || meta.location.to_string();
        let mut stored = self.stored(&meta);
        let metadata = reading_later(stored.metadata(), |error| error).await;
        let metadata = metadata.map_err(|source| StoreError::Index { what: what(), source })?;
        let (files, groups) = notes_of(&metadata).ok_or_else(|| StoreError::Index {
            what: what(),
            source: ParquetError::General("its footer is not as its writer made it".to_owned()),
        })?;
        let files = files.iter().map(|file| self.location.path(file)).collect();
        Ok(IndexFile { meta, metadata, files, groups })
    }

    /// All bytes of one of its files.
    pub async fn bytes_of(&self, part: &IndexFile) -> Result<Bytes, StoreError> {
        let bytes = self.stored(&part.meta).whole().await;
        bytes.map_err(|source| StoreError::Objects { what: part.path().to_string(), source })
    }

    fn stored(&self, meta: &ObjectMeta) -> StoredFile {
        StoredFile::at(&self.location.store, &meta.location, meta.size)
    }

    /// Entries with one of the hashes, and perhaps others.
    async fn entries_of(&self, part: &IndexFile, hashes: &HashSet<u64>) -> Result<Vec<(u64, usize)>, StoreError> {
        let may_have = |span: &EntrySpan| hashes.iter().any(|hash| (span.least..=span.greatest).contains(hash));
        let groups = part.groups.iter().enumerate().filter(|(_, span)| may_have(span));
        let mut entries = Vec::new();
        self.each_entry(part, Some(groups.map(|(group, _)| group).collect()), |hash, file| {
            if hashes.contains(&hash) {
                entries.push((hash, file));
            }
        })
        .await?;
        Ok(entries)
    }

    /// Gives the entries of some row groups, or of all, in order: the hash of an id and the number of its file. Fails, at
    /// the latest at the end, if they are not those that were written.
    pub async fn each_entry(
        &self,
        part: &IndexFile,
        groups: Option<Vec<usize>>,
        take: impl FnMut(u64, usize),
    ) -> Result<(), StoreError> {
        let cannot = |source| StoreError::Index { what: part.meta.location.to_string(), source };
        reading_later(self.read_entries(part, groups, take), cannot).await
    }

    async fn read_entries(
        &self,
        part: &IndexFile,
        groups: Option<Vec<usize>>,
        mut take: impl FnMut(u64, usize),
    ) -> Result<(), StoreError> {
        let cannot = |source| StoreError::Index { what: part.meta.location.to_string(), source };
        let builder = ParquetRecordBatchStreamBuilder::new(self.stored(&part.meta)).await.map_err(cannot)?;
        let groups = groups.unwrap_or_else(|| (0..part.groups.len()).collect());
        let mut expected = groups.iter().map(|group| part.groups[*group]).collect::<Vec<_>>().into_iter();
        let builder = builder.with_row_groups(groups);
        let (mut due, mut found) = (expected.next(), EntrySpan::NONE);
        let mut rows: RowStream = builder.with_batch_size(READ_ROWS).build().map_err(cannot)?;
        while let Some(rows) = rows.try_next().await.map_err(cannot)? {
            let [hashes, files] = [&rows[ID_HASH], &rows[FILE]];
            let (Some(hashes), Some(files)) =
                (hashes.as_primitive_opt::<Int64Type>(), files.as_primitive_opt::<Int32Type>())
            else {
                return Err(cannot(ParquetError::General("its columns are not those of an index".to_owned())));
            };
            for (hash, file) in hashes.values().iter().zip(files.values()) {
                found.add(*hash as u64, *file as u64);
                if due.is_some_and(|due| due.count == found.count) {
                    if due != Some(found) {
                        return Err(cannot(not_as_written()));
                    }
                    (due, found) = (expected.next(), EntrySpan::NONE);
                }
                take(*hash as u64, *file as usize);
            }
        }
        if due.is_some() || found.count > 0 {
            return Err(cannot(not_as_written()));
        }
        Ok(())
    }
}

fn not_as_written() -> ParquetError {
    ParquetError::General("its entries are not those that its writer made".to_owned())
}

impl IndexFile {
    /// The full path of the file.
    pub fn path(&self) -> &Path {
        &self.meta.location
    }

    /// Its stored bytes.
    pub fn bytes(&self) -> u64 {
        self.meta.size
    }

    /// The files of events that it covers, by their full paths.
    pub fn files(&self) -> &[Path] {
        &self.files
    }

    /// True of a file of an earlier version. Nothing tells if its entries are those that were written, so no answer
    /// believes it, and the next compaction makes it anew.
    pub fn is_unproved(&self) -> bool {
        self.groups.is_empty()
    }

    /// True if the file, which is named by its content, has these bytes.
    pub fn is_named_by(&self, bytes: &[u8]) -> bool {
        self.meta.location.filename() == Some(&name_of(&sha256_hex(bytes)))
    }

    fn entries(&self) -> u64 {
        self.metadata.file_metadata().num_rows() as u64
    }
}

/// The files that a footer names, and its row groups; `None` if it is not as its writer made it. A footer of an earlier
/// version has no row groups.
fn notes_of(metadata: &ParquetMetaData) -> Option<(Vec<String>, Vec<EntrySpan>)> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    let note = |key: &str| pairs.iter().find(|pair| pair.key == key)?.value.as_deref();
    let files = note(FILES_KEY)?;
    let named = serde_json::from_str(files).ok()?;
    if note(GROUPS_KEY).is_none() && note(OWN_KEY).is_none() {
        return Some((named, Vec::new()));
    }
    let groups = note(GROUPS_KEY).filter(|groups| note(OWN_KEY) == Some(&own_hash(files, groups)))?;
    let groups: Vec<EntrySpan> = serde_json::from_str(groups).ok()?;
    (groups.len() == metadata.num_row_groups()).then_some((named, groups))
}

fn own_hash(files: &str, groups: &str) -> String {
    sha256_hex(format!("{files}\n{groups}").as_bytes())
}

/// Makes the index cover all present files, and removes index files that are superseded or mostly outdated.
pub(super) async fn index_ids(store: &Store) -> Result<(), StoreError> {
    let snapshot = store.as_snapshot()?;
    let index = snapshot.index();
    let live: BTreeMap<&Path, &DataFile> = snapshot.files.iter().map(|file| (&file.path, file)).collect();
    let mut parts = index.parts().await?;
    parts.sort_by(|a, b| (b.entries(), a.path()).cmp(&(a.entries(), b.path())));
    let (mut kept, mut gone, mut covered) = (Vec::new(), Vec::new(), HashSet::new());
    for part in parts {
        let own = part.files.iter().filter(|file| live.contains_key(file) && !covered.contains(*file));
        let own: Vec<Path> = own.cloned().collect();
        let rows: u64 = own.iter().map(|file| live[file].rows).sum();
        if own.is_empty() || rows * 2 < part.entries() || part.is_unproved() {
            gone.push(part);
        } else {
            covered.extend(own);
            kept.push(part);
        }
    }
    let uncovered: Vec<&DataFile> = live.values().copied().filter(|file| !covered.contains(&file.path)).collect();
    if !uncovered.is_empty() {
        let more: u64 = uncovered.iter().map(|file| file.rows).sum();
        let mut room = ENTRIES_MAX.saturating_sub(more);
        let all: u64 = live.values().map(|file| file.rows).sum();
        let mut making = IndexBuilder::with_capacity(all.min(ENTRIES_MAX) as usize);
        // The smallest first.
        for part in kept.into_iter().rev().take_while(|part| part.entries() <= LARGE_ENTRIES) {
            if part.entries() > room || making.files.len() + part.files.len() > FILES_MAX {
                break;
            }
            let taken = making.take_over(&index, &part, |file| live.contains_key(file)).await;
            match taken {
                Ok(()) => {}
                // Another compaction has taken it over already.
                Err(_) if index.is_gone(part.path()).await => continue,
                Err(error) => return Err(error),
            }
            room -= part.entries();
            gone.push(part);
        }
        let ids = uncovered.iter().map(|file| ids_of(&index.location, file));
        let mut ids = futures::stream::iter(ids.collect::<Vec<_>>()).buffered(FILES_AT_ONCE);
        for file in &uncovered {
            let Some(hashes) = ids.try_next().await? else { break };
            if making.is_full(hashes.len()) {
                making.put(&index.location).await?;
            }
            making.add(&file.path, &hashes);
        }
        making.put(&index.location).await?;
    }
    for part in gone {
        match index.location.store.delete(part.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(StoreError::Objects { what: part.path().to_string(), source }),
        }
    }
    Ok(())
}

/// The hashes of the ids of a file.
async fn ids_of(location: &StoreLocation, file: &DataFile) -> Result<Vec<u64>, StoreError> {
    let mut hashes = IdHashes::default();
    let mut rows = StoredFile::new(&location.store, file).rows(Some(&[ID]), READ_ROWS).await?;
    while let Some(rows) = rows.try_next().await? {
        hashes.add_rows(&rows);
    }
    Ok(hashes.0)
}

/// A file of the index that is being made.
struct IndexBuilder {
    files: Vec<Path>,
    /// The hash of an id, and below it the number of its file.
    entries: Vec<u64>,
}

impl IndexBuilder {
    fn with_capacity(entries: usize) -> IndexBuilder {
        IndexBuilder { files: Vec::new(), entries: Vec::with_capacity(entries) }
    }

    fn is_full(&self, more: usize) -> bool {
        let entries = (self.entries.len() + more) as u64;
        !self.files.is_empty() && (entries > ENTRIES_MAX || self.files.len() >= FILES_MAX)
    }

    fn add(&mut self, file: &Path, hashes: &[u64]) {
        let number = self.files.len() as u64;
        self.files.push(file.clone());
        self.entries.extend(hashes.iter().map(|hash| hash << FILE_BITS | number));
    }

    /// Takes over another file's entries for the files that are needed: all of them or, if that fails, none.
    async fn take_over(
        &mut self,
        index: &IdIndex,
        part: &IndexFile,
        is_needed: impl Fn(&Path) -> bool,
    ) -> Result<(), StoreError> {
        let (files, entries) = (self.files.len(), self.entries.len());
        let mut numbers: Vec<Option<u64>> = Vec::with_capacity(part.files.len());
        for file in &part.files {
            numbers.push(is_needed(file).then(|| {
                self.files.push(file.clone());
                self.files.len() as u64 - 1
            }));
        }
        let take = |hash: u64, file: usize| {
            self.entries.extend(numbers.get(file).copied().flatten().map(|number| hash << FILE_BITS | number));
        };
        let taken = index.each_entry(part, None, take).await;
        if taken.is_err() {
            self.files.truncate(files);
            self.entries.truncate(entries);
        }
        taken
    }

    /// Puts the file in its place and begins another one.
    async fn put(&mut self, location: &StoreLocation) -> Result<(), StoreError> {
        if self.files.is_empty() {
            return Ok(());
        }
        self.entries.sort_unstable();
        let base = location.path("");
        let inside = |file: &Path| {
            let parts = file.prefix_match(&base).into_iter().flatten();
            parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/")
        };
        let files: Vec<String> = self.files.iter().map(inside).collect();
        let made = IndexRows { entries: &self.entries, files: serde_json::json!(files).to_string() };
        // This thread encodes, so that it frees the memory that it takes.
        encode(&made, &schema(), &LAYOUT, 1)?.put_by_content(location, IDS).await?;
        self.files.clear();
        self.entries.clear();
        Ok(())
    }
}

/// The rows of a file of the index.
struct IndexRows<'a> {
    entries: &'a [u64],
    files: String,
}

impl ColumnSource for IndexRows<'_> {
    fn rows(&self) -> usize {
        self.entries.len()
    }

    fn column(&self, index: usize) -> Result<ColumnParts<'_>, StoreError> {
        let part = move |entries: &[u64]| -> Result<ArrayRef, StoreError> {
            Ok(match index {
                0 => Arc::new(Int64Array::from_iter_values(entries.iter().map(|entry| (entry >> FILE_BITS) as i64))),
                _ => {
                    let file = |entry: &u64| (entry & ((1 << FILE_BITS) - 1)) as i32;
                    Arc::new(Int32Array::from_iter_values(entries.iter().map(file)))
                }
            })
        };
        Ok(Box::new(self.entries.chunks(PART_ROWS).map(part)))
    }

    fn weight(&self, index: usize) -> usize {
        schema().fields().len() - index
    }

    fn notes(&self) -> Vec<KeyValue> {
        let spans = self.entries.chunks(GROUP_ROWS_MAX).map(|entries| {
            let mut span = EntrySpan::NONE;
            entries.iter().for_each(|entry| span.add(entry >> FILE_BITS, entry & ((1 << FILE_BITS) - 1)));
            span
        });
        let groups = serde_json::json!(spans.collect::<Vec<_>>()).to_string();
        let own = own_hash(&self.files, &groups);
        let notes = [(FILES_KEY, self.files.clone()), (GROUPS_KEY, groups), (OWN_KEY, own)];
        notes.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec()
    }
}
