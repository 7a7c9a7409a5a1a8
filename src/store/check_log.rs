//! Proves the logs of a store: the chain of commits, every entry in them, and the checkpoints that stand in for them.
//! In: a store. Out: faults, and the [`ChainReport`].
//! Never opens a data file, and claims nothing of commits from before there was a chain.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use deltalake::kernel::Add;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::Value;

use super::chain::{AddProof, CommitLink, MADE, SELF, TableState, canonical, unlike_writer};
use super::checkpoint::Checkpoint;
use super::delta::{APP, CHECKPOINT_TAG, LAST_CHECKPOINT, StoreTable, checkpoint_path, is_last_checkpoint, keeps_log};
use super::durable_files::unfinished_name;
use super::hash::sha256_hex;
use super::log_tap::commit_version;
use super::store_check::{ChainReport, StoreCheck};
use super::table_id::TableId;
use super::{Store, StoreError};

/// Commits that are read at once.
const COMMITS_AT_ONCE: usize = 16;
/// The members that the name of the last checkpoint may have.
const HINT_MEMBERS: [&str; 9] = [
    "version",
    "size",
    "parts",
    "sizeInBytes",
    "numOfAddFiles",
    "checkpointSchema",
    "checksum",
    "tags",
    "v2Checkpoint",
];

/// Proves the logs of all tables.
pub(super) async fn check_logs(store: &Store, checked: &mut StoreCheck) -> Result<(), StoreError> {
    let mut all: BTreeMap<&str, BTreeMap<u64, CommitLink>> = BTreeMap::new();
    for id in store.tables.present() {
        let proof = LogProof::of(store, id).await?;
        let links = proof.run(checked).await?;
        if id == TableId::Events {
            let version = store.tables[id].version();
            let head = links.get(&version).map(|link| link.sha256.clone());
            let first = links.iter().find(|(_, link)| link.own.is_some()).map(|(number, _)| *number);
            let commits = links.iter().map(|(number, link)| (link.sha256.clone(), *number)).collect();
            checked.chain = ChainReport { version, head, first, commits };
        }
        all.insert(id.name(), links);
    }
    for (name, links) in &all {
        for (number, link) in links {
            for (other, (version, sha256)) in &link.tables {
                let known = all.get(other.as_str()).and_then(|links| links.get(version));
                let found = match known {
                    Some(link) => Some(link.sha256.clone()),
                    // A run under way may have made it since.
                    None => commit(store, other, *version).await?.map(|bytes| sha256_hex(&bytes)),
                };
                if found.as_ref() != Some(sha256) {
                    checked.note(format!("commit {number} of `{name}` follows another commit {version} of `{other}`"));
                }
            }
        }
    }
    Ok(())
}

async fn commit(store: &Store, table: &str, version: u64) -> Result<Option<Bytes>, StoreError> {
    bytes_of(store, &store.location.path(&format!("{table}/_delta_log/{version:020}.json"))).await
}

/// The bytes of a file; none if it is not there.
async fn bytes_of(store: &Store, path: &Path) -> Result<Option<Bytes>, StoreError> {
    keytrail_limits::opened();
    let read = async { store.location.store.get(path).await?.bytes().await };
    match read.await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(StoreError::Objects { what: path.to_string(), source }),
    }
}

/// The proof of one table's log.
struct LogProof<'a> {
    store: &'a Store,
    table: &'a StoreTable,
    /// The numbers of its commits and checkpoints, up to the version of the table.
    commits: BTreeSet<u64>,
    checkpoints: BTreeSet<u64>,
    /// Names that keytrail gives to no file.
    strange: Vec<Path>,
}

impl<'a> LogProof<'a> {
    async fn of(store: &'a Store, id: TableId) -> Result<LogProof<'a>, StoreError> {
        let table = &store.tables[id];
        let folder = store.location.path(&format!("{}/_delta_log", id.name()));
        let listed = store.location.store.list(Some(&folder)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|source| StoreError::Objects { what: folder.to_string(), source })?;
        let (commits, checkpoints, strange) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        let mut proof = LogProof { store, table, commits, checkpoints, strange };
        for file in listed {
            let name = file.location.filename().unwrap_or_default();
            let is_direct = file.location.parts_count() == folder.parts_count() + 1;
            let checkpoint =
                name.strip_suffix(".checkpoint.parquet").and_then(|at| commit_version(&format!("{at}.json")));
            match (commit_version(name), checkpoint) {
                _ if !is_direct => proof.strange.push(file.location),
                (Some(number), _) => drop(number <= table.version() && proof.commits.insert(number)),
                (_, Some(number)) => drop(number <= table.version() && proof.checkpoints.insert(number)),
                _ if is_last_checkpoint(name) || unfinished_name(name).is_some() => {}
                _ => proof.strange.push(file.location),
            }
        }
        Ok(proof)
    }

    fn name(&self) -> &'static str {
        self.table.id().name()
    }

    /// Goes through all commits; gives their links.
    async fn run(self, checked: &mut StoreCheck) -> Result<BTreeMap<u64, CommitLink>, StoreError> {
        for path in &self.strange {
            checked.note(format!("`{path}` is no file of the log"));
        }
        let (mut replay, mut checkpoint) = match self.commits.contains(&0) {
            true => (Some(Replay::default()), None),
            // Earlier versions of keytrail let commits go after a month. The oldest checkpoint stands for them.
            false => self.oldest(checked).await?.unzip(),
        };
        let mut links: BTreeMap<u64, CommitLink> = BTreeMap::new();
        let first = replay.as_ref().map_or(self.table.version(), |replay| replay.next);
        let (store, name) = (self.store, self.name());
        let reads = (first..=self.table.version())
            .map(|number| async move { Ok::<_, StoreError>((number, commit(store, name, number).await?)) });
        let mut commits = futures::stream::iter(reads).buffered(COMMITS_AT_ONCE);
        while let Some((number, bytes)) = commits.try_next().await? {
            let Some(bytes) = bytes else {
                checked.note(format!("commit {number} of its `{}` is missing", self.name()));
                replay = None;
                continue;
            };
            (checked.files, checked.bytes) = (checked.files + 1, checked.bytes + bytes.len() as u64);
            let (link, actions) = CommitLink::read(&bytes);
            let before = number.checked_sub(1).and_then(|before| links.get(&before));
            if let Some(fault) = link.fault(before) {
                checked.note(format!("commit {number} of its `{}` {fault}", self.name()));
            }
            if let Some(replay) = &mut replay {
                let faults = replay.apply(&actions, &link);
                for fault in faults {
                    checked.note(format!("commit {number} of its `{}` {fault}", self.name()));
                }
                if link.checkpoint.is_some() && link.checkpoint != checkpoint {
                    checked
                        .note(format!("commit {number} of its `{}` names another checkpoint before it", self.name()));
                }
                checkpoint = match self.checkpoints.contains(&number) {
                    true => self.checkpoint(number, replay, checked).await?,
                    false => None,
                };
            }
            links.insert(number, link);
        }
        if replay.is_some_and(|replay| !replay.is_at(self.table.state(), &self.table.metadata().unwrap_or_default())) {
            checked.note(format!("the files of its `{}` are not those that its commits give", self.name()));
        }
        self.last_checkpoint(checked).await?;
        Ok(links)
    }

    /// The table at its oldest checkpoint. Once its chain has begun no commit may go, so the commits before the checkpoint
    /// may be gone only if the chain begins with it or later.
    async fn oldest(&self, checked: &mut StoreCheck) -> Result<Option<(Replay, String)>, StoreError> {
        let Some(oldest) = self.checkpoints.first().copied() else { return Ok(None) };
        let (Some(replay), hash) = self.table_at(oldest, checked).await? else { return Ok(None) };
        let own = commit(self.store, self.name(), oldest).await?.map(|bytes| CommitLink::read(&bytes).1);
        let begins_there = own.iter().flatten().any(|action| keeps_log(&action["metaData"]));
        if keeps_log(&replay.metadata) && !begins_there {
            checked.note(format!("commits of its `{}` before {oldest} are gone", self.name()));
        }
        Ok(Some((replay, hash)))
    }

    /// Holds a checkpoint to the commits before it; gives its SHA-256, to which the next commit is held.
    async fn checkpoint(
        &self,
        number: u64,
        replay: &Replay,
        checked: &mut StoreCheck,
    ) -> Result<Option<String>, StoreError> {
        let (there, hash) = self.table_at(number, checked).await?;
        if there.is_some_and(|there| !replay.is_at(there.state, &there.metadata)) {
            checked.note(format!("checkpoint {number} of its `{}` is not what its commits give", self.name()));
        }
        Ok(Some(hash))
    }

    /// The table as a checkpoint has it, none of one that cannot be read, which is noted; and the SHA-256 of its bytes.
    async fn table_at(&self, number: u64, checked: &mut StoreCheck) -> Result<(Option<Replay>, String), StoreError> {
        let path = self.store.location.path(&format!("{}/{}", self.name(), checkpoint_path(number)));
        let bytes = bytes_of(self.store, &path).await?.unwrap_or_default();
        (checked.files, checked.bytes) = (checked.files + 1, checked.bytes + bytes.len() as u64);
        let hash = sha256_hex(&bytes);
        let found = Checkpoint::read(bytes).map_err(|error| error.to_string());
        match found.and_then(|checkpoint| Replay::from(number, checkpoint)) {
            Ok(replay) => Ok((Some(replay), hash)),
            Err(error) => {
                checked.note(format!("checkpoint {number} of its `{}` cannot be read: {error}", self.name()));
                Ok((None, hash))
            }
        }
    }

    /// Holds the name of the last checkpoint to its own hash and to the bytes of the checkpoint.
    async fn last_checkpoint(&self, checked: &mut StoreCheck) -> Result<(), StoreError> {
        let path = |inside: &str| self.store.location.path(&format!("{}/{inside}", self.name()));
        let Some(bytes) = bytes_of(self.store, &path(LAST_CHECKPOINT)).await? else { return Ok(()) };
        (checked.files, checked.bytes) = (checked.files + 1, checked.bytes + bytes.len() as u64);
        let mut fault = |what: &str| checked.note(format!("`{}` {what}", path(LAST_CHECKPOINT)));
        let hint = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        let (Some(version), Some(members)) = (hint["version"].as_u64(), hint.as_object()) else {
            fault("cannot be read");
            return Ok(());
        };
        if version > self.table.version() {
            // A run under way has made it since, unless the log has no such commit.
            if commit(self.store, self.name(), version).await?.is_none() {
                fault("names a commit that is not there");
            }
            return Ok(());
        }
        if members.keys().any(|name| !HINT_MEMBERS.contains(&name.as_str())) {
            fault("is not as its writer made it");
        }
        let Some(checkpoint) = bytes_of(self.store, &path(&checkpoint_path(version))).await? else {
            fault("names a checkpoint that is not there");
            return Ok(());
        };
        // A run that was killed, or another writer, has left no tags; then only the content of the checkpoint is proved.
        if let Some(tags) = hint["tags"].as_object() {
            let mut unsealed = hint.clone();
            let own = unsealed["tags"].as_object_mut().and_then(|tags| tags.remove(SELF));
            let is_whole = own == Some(sha256_hex(canonical(&unsealed).as_bytes()).into());
            if !is_whole || canonical(&hint).as_bytes() != bytes {
                fault("is not as its writer made it");
            } else if tags.get(CHECKPOINT_TAG) != Some(&sha256_hex(&checkpoint).into()) {
                fault("has another SHA-256 of its checkpoint");
            }
        }
        Ok(())
    }
}

/// A table as its commits make it, one after the other.
#[derive(Default)]
struct Replay {
    /// The number of the next commit.
    next: u64,
    files: HashMap<String, Add>,
    state: TableState,
    metadata: Value,
}

impl Replay {
    /// A table as a checkpoint has it. Fails on a file that its own tag contradicts.
    fn from(number: u64, checkpoint: Checkpoint) -> Result<Replay, String> {
        let (mut state, metadata) = (TableState::at(checkpoint.batch), checkpoint.metadata);
        if let Some(wrong) = checkpoint.files.iter().find(|add| state.add(add) == AddProof::Wrong) {
            return Err(unlike_writer(wrong));
        }
        let files = checkpoint.files.into_iter().map(|add| (add.path.clone(), add)).collect();
        Ok(Replay { next: number + 1, files, state, metadata })
    }

    fn is_at(&self, state: TableState, metadata: &Value) -> bool {
        self.metadata[MADE] == metadata[MADE] && self.state.hash(&self.metadata) == state.hash(metadata)
    }

    /// Applies a commit; gives its faults.
    fn apply(&mut self, actions: &[Value], link: &CommitLink) -> Vec<String> {
        let mut faults = Vec::new();
        for action in actions {
            let one = action.as_object().filter(|members| members.len() == 1);
            let Some((name, content)) = one.and_then(|members| members.iter().next()) else {
                faults.push("cannot be read".to_owned());
                continue;
            };
            let fault = match name.as_str() {
                "add" => self.add(content, link),
                "remove" => self.remove(content),
                "metaData" => self.metadata(content),
                "txn" if content["appId"] == APP => self.batch(content),
                "protocol" if content["minReaderVersion"] == 1 && content["minWriterVersion"] == 2 => None,
                "commitInfo" => None,
                _ => Some(format!("has an action `{name}` that keytrail does not write")),
            };
            faults.extend(fault);
        }
        self.next += 1;
        if link.state.as_ref().is_some_and(|state| *state != self.state.hash(&self.metadata)) {
            faults.push("leads to other files than it says".to_owned());
        }
        faults
    }

    fn metadata(&mut self, content: &Value) -> Option<String> {
        let before = std::mem::replace(&mut self.metadata, content.clone());
        let is_other = !before.is_null() && before[MADE] != content[MADE];
        is_other.then(|| "says that its table was made at another time".to_owned())
    }

    fn batch(&mut self, content: &Value) -> Option<String> {
        let (before, number) = (self.state.batch, content["version"].as_i64().unwrap_or(0));
        self.state.batch = number;
        (number <= before).then(|| format!("has batch {number} after batch {before}"))
    }

    fn add(&mut self, content: &Value, link: &CommitLink) -> Option<String> {
        let Ok(add) = serde_json::from_value::<Add>(content.clone()) else {
            return Some("adds a file that cannot be read".to_owned());
        };
        let fault = match self.state.add(&add) {
            AddProof::Wrong => Some("otherwise than its writer did"),
            AddProof::Untagged if link.own.is_some() => Some("without its tag"),
            AddProof::Untagged | AddProof::Right => None,
        };
        let fault = fault.map(|fault| format!("adds `{}` {fault}", add.path));
        let path = add.path.clone();
        match self.files.insert(path.clone(), add) {
            Some(_) => Some(format!("adds `{path}` once more")),
            None => fault,
        }
    }

    fn remove(&mut self, content: &Value) -> Option<String> {
        let path = content["path"].as_str().unwrap_or_default();
        let Some(add) = self.files.remove(path) else { return Some(format!("removes `{path}`, which is not there")) };
        self.state.remove(&add);
        let partition = serde_json::to_value(&add.partition_values).unwrap_or_default();
        let is_same = content["size"] == add.size && content["partitionValues"] == partition;
        (!is_same).then(|| format!("removes `{path}` as another file"))
    }
}
