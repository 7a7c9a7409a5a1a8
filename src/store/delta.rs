//! One Delta table of the store: made, read, and committed to.
//! In: files that are written already. Out: the files that live, and commits that land whole or not at all.
//! Never retries a commit by itself: the loser must first look at the winner's changes.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{
    Action, Add, EagerSnapshot, Metadata, MetadataExt, Protocol, Remove, StructType, Transaction, new_metadata,
};
use deltalake::logstore::{LogStoreRef, StorageConfig, get_actions};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTableError, ObjectStore};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use serde_json::{Value, json};

use super::chain::{self, AddProof, CommitLink, TableState, canonical};
use super::durable_files::unique;
use super::hash::sha256_hex;
use super::location::StoreLocation;
use super::log_tap::LogTap;
use super::read_through::ReadingStore;
use super::table_id::TableId;
use super::{StoreError, format_of, unheeded};
use crate::time::now_micros;

/// The application in the log whose transactions number the batches.
pub(super) const APP: &str = "keytrail";
/// The note by which a writer knows its own commit again.
const COMMIT_ID: &str = "keytrail.commit";

/// The property that keeps commits for good: without them nothing proves the files.
pub(super) const KEPT_LOG: (&str, &str) = ("delta.enableExpiredLogCleanup", "false");
/// The path of the name of the last checkpoint, in the folder of its table.
pub(super) const LAST_CHECKPOINT: &str = "_delta_log/_last_checkpoint";
/// Commits from one checkpoint to the next.
pub(super) const CHECKPOINT_INTERVAL: u64 = 20;
/// The tag of `_last_checkpoint` with the SHA-256 of the checkpoint's bytes.
pub(super) const CHECKPOINT_TAG: &str = "keytrail.sha256";

/// The library's words for a log that contradicts itself, since the types of these errors are those of a broken disk.
const CONTRADICTIONS: [&str; 3] = ["Expected contiguous commit files", "No table metadata or protocol", "Json error"];

/// A table at one version.
#[derive(Clone)]
pub(super) struct StoreTable {
    id: TableId,
    log: LogStoreRef,
    tap: LogTap,
    snapshot: EagerSnapshot,
    state: TableState,
    /// Its files, since they were proved and as long as nothing was committed.
    files: Option<Arc<Vec<Add>>>,
    /// The store, as the user named it.
    shown: String,
}

/// The content of a commit.
#[derive(Default)]
pub(super) struct CommitContent {
    /// Files that the commit adds.
    pub adds: Vec<Add>,
    /// Files that the commit removes.
    pub removes: Vec<FileRemoval>,
    /// The batch that it carries.
    pub batch: Option<i64>,
    /// Properties that the table has from then on.
    pub properties: Vec<(&'static str, String)>,
    /// Notes in the commit about itself.
    pub notes: HashMap<String, Value>,
}

/// A file that leaves its table.
pub(super) struct FileRemoval {
    add: Add,
    action: Remove,
}

/// The rows after a commit that replaces files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DataChange {
    /// As they were.
    None,
    /// With other values in some columns.
    Columns,
}

/// Takes a file out of its table.
pub(super) fn removal(file: &Add, change: DataChange, now_micros: i64) -> FileRemoval {
    let action = Remove {
        path: file.path.clone(),
        data_change: change == DataChange::Columns,
        deletion_timestamp: Some(now_micros / 1000),
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition_values.clone()),
        size: Some(file.size),
        ..Remove::default()
    };
    FileRemoval { add: file.clone(), action }
}

/// The end of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitOutcome {
    Committed,
    /// Somebody else committed first, and nothing of this commit is there.
    Lost,
}

impl StoreTable {
    /// None where there is no table. Fails where its log contradicts itself.
    pub async fn open(location: &StoreLocation, id: TableId) -> Result<Option<StoreTable>, StoreError> {
        let name = id.name();
        let (log, tap) = log_store(location, name);
        if !log.is_delta_table_location().await.map_err(|e| StoreError::delta(name, e))? {
            return Ok(None);
        }
        match EagerSnapshot::try_new(log.as_ref(), None).await {
            Ok(snapshot) => {
                let (state, shown) = (TableState::default(), location.shown.clone());
                let mut table = StoreTable { id, log, tap, snapshot, state, files: None, shown };
                // A newer format may prove itself otherwise.
                if id == TableId::Events {
                    format_of(location, &table)?;
                }
                table.prove().await?;
                Ok(Some(table))
            }
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(error) => match CONTRADICTIONS.iter().find(|said| error.to_string().contains(**said)) {
                Some(said) => {
                    let what = format!("the log of its `{name}` cannot be followed ({said})");
                    Err(StoreError::Damaged { path: location.shown.clone(), what })
                }
                None => Err(StoreError::delta(name, error)),
            },
        }
    }

    /// Makes the table with these properties, unless it is there, or somebody else makes it at the same time.
    pub async fn create(
        location: &StoreLocation,
        id: TableId,
        properties: Vec<(&'static str, String)>,
    ) -> Result<(), StoreError> {
        if StoreTable::open(location, id).await?.is_some() {
            return Ok(());
        }
        let cannot = |error| StoreError::delta(id.name(), error);
        let schema: StructType =
            id.schema().as_ref().try_into_kernel().map_err(|e: arrow::error::ArrowError| cannot(e.into()))?;
        let metadata = new_metadata(&schema, id.partition(), properties).map_err(|e| cannot(e.into()))?;
        let metadata = metadata.with_name(id.name().to_owned()).map_err(|e| cannot(e.into()))?;
        // Any reader of Delta tables knows these versions.
        let protocol: Protocol = serde_json::from_value(json!({ "minReaderVersion": 1, "minWriterVersion": 2 }))
            .map_err(|e| cannot(e.into()))?;
        let (mode, url) = (SaveMode::ErrorIfExists, location.table_url(id.name()));
        let state = TableState::default().hash(&said(&metadata).map_err(cannot)?);
        let actions = vec![Action::Protocol(protocol.clone()), Action::Metadata(metadata.clone())];
        let operation = DeltaOperation::Create { mode, location: url, protocol, metadata };
        let notes = HashMap::from([(chain::STATE.to_owned(), state.into())]);
        let actions = sealed(&operation, notes, actions).map_err(cannot)?;
        let created = builder().with_actions(actions).build(None, log_store(location, id.name()).0, operation).await;
        match created {
            Err(error) if !is_lost_race(&error) => Err(cannot(error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Goes to the latest version.
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        let latest = EagerSnapshot::try_new(self.log.as_ref(), None).await;
        let before = self.version();
        self.snapshot = latest.map_err(|e| self.cannot(e))?;
        if self.version() == before { Ok(()) } else { self.prove().await }
    }

    /// Takes the state of the table from its files, and holds it to the words of its commits, as far as they were read
    /// anyway.
    async fn prove(&mut self) -> Result<(), StoreError> {
        let batch = self.snapshot.transaction_version(self.log.as_ref(), APP).await;
        let batch = batch.map_err(|e| self.cannot(e))?.unwrap_or(0);
        let files = self.read_files()?;
        self.state = self.state_of(&files, batch)?;
        self.files = Some(files);
        let version = self.version();
        if let Some((number, fault)) = self.tap.fault_until(version) {
            return Err(self.damaged(format!("commit {number} of its `{}` {fault}", self.id.name())));
        }
        let head = self.head().await?;
        // The one before it may not have been read. Nothing writes without a seal into a chain that has begun.
        if head.as_ref().is_none_or(|head| head.own.is_none()) && self.has_chain()? {
            return Err(self.damaged(format!("commit {version} of its `{}`, the last, has no seal", self.id.name())));
        }
        let Some(said) = head.and_then(|head| head.state) else { return Ok(()) };
        if said != self.state.hash(&self.metadata()?) {
            let what = format!("its `{}` are not those of commit {version}, the last", self.id.name());
            return Err(self.damaged(what));
        }
        Ok(())
    }

    /// True if one of its files or its metadata shows that the chain of its commits has begun.
    fn has_chain(&self) -> Result<bool, StoreError> {
        Ok(keeps_log(&self.metadata()?) || self.files()?.iter().any(chain::is_tagged))
    }

    /// The state that files give. Fails on a file that its own tag contradicts.
    fn state_of(&self, files: &[Add], batch: i64) -> Result<TableState, StoreError> {
        let mut state = TableState::at(batch);
        for add in files {
            if state.add(add) == AddProof::Wrong {
                return Err(self.damaged(chain::unlike_writer(add)));
            }
        }
        Ok(state)
    }

    /// The words of the last commit of this version; none where the log no longer has it.
    pub async fn head(&self) -> Result<Option<CommitLink>, StoreError> {
        let version = self.version();
        if let Some(link) = self.tap.link(version) {
            return Ok(Some(link));
        }
        // A checkpoint stood in for it.
        self.log.read_commit_entry(version).await.map_err(|e| self.cannot(e))?;
        Ok(self.tap.link(version))
    }

    /// The words of another commit, where it was read anyway.
    pub fn link(&self, version: u64) -> Option<CommitLink> {
        self.tap.link(version)
    }

    /// Its metadata, as it stands in a log.
    pub fn metadata(&self) -> Result<Value, StoreError> {
        said(self.snapshot.metadata()).map_err(|e| self.cannot(e))
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged { path: self.shown.clone(), what }
    }

    /// The table that it is.
    pub fn id(&self) -> TableId {
        self.id
    }

    fn cannot(&self, error: DeltaTableError) -> StoreError {
        StoreError::delta(self.id.name(), error)
    }

    /// The number of its last commit, from 0.
    pub fn version(&self) -> u64 {
        self.snapshot.version()
    }

    /// A property with which the table was made.
    pub fn property(&self, name: &str) -> Option<String> {
        self.snapshot.table_properties().unknown_properties.get(name).cloned()
    }

    /// The last batch that this version holds; 0 before the first.
    pub fn batch(&self) -> i64 {
        self.state.batch
    }

    /// The files and the last batch of this version.
    pub fn state(&self) -> TableState {
        self.state
    }

    /// The files that live at this version.
    pub fn files(&self) -> Result<Arc<Vec<Add>>, StoreError> {
        match &self.files {
            Some(files) => Ok(Arc::clone(files)),
            None => self.read_files(),
        }
    }

    fn read_files(&self) -> Result<Arc<Vec<Add>>, StoreError> {
        let files = self.snapshot.try_log_data().map_err(|e| self.cannot(e))?;
        // The tags of a file cannot be had in any other way.
        #[expect(deprecated)]
        let adds: Vec<Add> = files.iter().map(|file| file.add_action()).collect();
        Ok(Arc::new(adds))
    }

    /// Paths of removed files that the log still names, with the time of their removal in milliseconds.
    pub async fn removed(&self) -> Result<HashMap<String, i64>, StoreError> {
        let state = deltalake::table::state::DeltaTableState::new(self.snapshot.clone());
        let stones = state.all_tombstones(self.log.as_ref());
        let removed = stones.map_ok(|stone| (stone.path().into_owned(), stone.deletion_timestamp().unwrap_or(0)));
        removed.try_collect().await.map_err(|e| self.cannot(e))
    }

    /// Commits on top of this version, or not at all; now and then a checkpoint follows.
    pub async fn commit(&mut self, mut change: CommitContent) -> Result<CommitOutcome, StoreError> {
        let id = unique();
        let metadata = self.metadata_after(&change).map_err(|e| self.cannot(e))?;
        let said = said(metadata.as_ref().unwrap_or(self.snapshot.metadata())).map_err(|e| self.cannot(e))?;
        let next = self.state_after(&change);
        let mut notes = std::mem::take(&mut change.notes);
        notes.insert(COMMIT_ID.to_owned(), id.clone().into());
        notes.insert(chain::STATE.to_owned(), next.hash(&said).into());
        if let Some(head) = self.head().await? {
            notes.insert(chain::PREVIOUS.to_owned(), head.sha256.into());
        }
        if let Some(checkpoint) = self.checkpoint_hash().await? {
            notes.insert(chain::CHECKPOINT.to_owned(), checkpoint.into());
        }
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let actions = sealed(&operation, notes, change.actions(metadata)).map_err(|e| self.cannot(e))?;
        let base = self.snapshot.version();
        let commit = builder().with_actions(actions).build(Some(&self.snapshot), Arc::clone(&self.log), operation);
        match commit.await {
            Ok(done) => {
                self.snapshot = done.snapshot().snapshot().clone();
                self.files = None;
                self.state = next;
                // The commit has landed. A checkpoint without the note is proved by its content alone.
                unheeded(self.note_checkpoint().await);
                Ok(CommitOutcome::Committed)
            }
            Err(error) if is_lost_race(&error) => {
                self.refresh().await?;
                // A write whose answer got lost finds itself in place when it is sent again.
                self.has_commit(base + 1, &id)
                    .await
                    .map(|mine| if mine { CommitOutcome::Committed } else { CommitOutcome::Lost })
            }
            Err(error) => Err(self.cannot(error)),
        }
    }

    /// The metadata after a change, if it is other than now. Tables of earlier versions learn to keep their commits.
    fn metadata_after(&self, change: &CommitContent) -> Result<Option<Metadata>, DeltaTableError> {
        let now = self.snapshot.metadata();
        let more = (!keeps_log(&said(now)?)).then(|| (KEPT_LOG.0, KEPT_LOG.1.to_owned()));
        let mut properties = change.properties.iter().cloned().chain(more).peekable();
        if properties.peek().is_none() {
            return Ok(None);
        }
        let changed = properties
            .try_fold(now.clone(), |metadata, (name, value)| metadata.add_config_key(name.to_owned(), value))?;
        Ok(Some(changed))
    }

    fn state_after(&self, change: &CommitContent) -> TableState {
        let mut next = self.state;
        change.removes.iter().for_each(|removed| next.remove(&removed.add));
        for add in &change.adds {
            next.add(add);
        }
        next.batch = change.batch.unwrap_or(next.batch);
        next
    }

    /// The SHA-256 of the checkpoint of this version; none where there is none, or its writer has not made it yet.
    async fn checkpoint_hash(&self) -> Result<Option<String>, StoreError> {
        if !(self.version() + 1).is_multiple_of(CHECKPOINT_INTERVAL) {
            return Ok(None);
        }
        let (path, store) = (Path::from(checkpoint_path(self.version())), self.log.object_store(None));
        let read = async { store.get(&path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(sha256_hex(&bytes))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(StoreError::Objects { what: format!("{}/{path}", self.id.name()), source }),
        }
    }

    /// Notes the SHA-256 of a checkpoint that was just made beside the name of the last one.
    async fn note_checkpoint(&self) -> object_store::Result<()> {
        let version = self.version();
        if !(version + 1).is_multiple_of(CHECKPOINT_INTERVAL) {
            return Ok(());
        }
        let store = self.log.object_store(None);
        let read = async |path: &str| store.get(&Path::from(path)).await?.bytes().await;
        let hint = read(LAST_CHECKPOINT).await?;
        let Ok(Value::Object(mut hint)) = serde_json::from_slice(&hint) else { return Ok(()) };
        // Another writer may have made a later one.
        if hint.get("version").and_then(Value::as_u64) != Some(version) {
            return Ok(());
        }
        let checkpoint = read(&checkpoint_path(version)).await?;
        hint.insert("tags".to_owned(), json!({ CHECKPOINT_TAG: sha256_hex(&checkpoint) }));
        let own = sha256_hex(canonical(&Value::Object(hint.clone())).as_bytes());
        hint["tags"][chain::SELF] = own.into();
        store.put(&Path::from(LAST_CHECKPOINT), canonical(&Value::Object(hint)).into()).await.map(drop)
    }

    async fn has_commit(&self, from: u64, id: &str) -> Result<bool, StoreError> {
        for version in from..=self.version() {
            if self.notes(version).await?.is_some_and(|(_, notes)| notes.get(COMMIT_ID).is_some_and(|n| n == id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The notes of the commit of a batch; None where the log no longer has it.
    pub async fn notes_of(&self, batch: i64) -> Result<Option<HashMap<String, Value>>, StoreError> {
        for version in (0..=self.version()).rev() {
            match self.notes(version).await? {
                Some((Some(found), notes)) if found == batch => return Ok(Some(notes)),
                Some((Some(found), _)) if found < batch => return Ok(None),
                Some(_) => {}
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The batch and notes of one commit; none where the log no longer has it.
    async fn notes(&self, version: u64) -> Result<Option<(Option<i64>, HashMap<String, Value>)>, StoreError> {
        let entry = self.log.read_commit_entry(version).await.map_err(|e| self.cannot(e))?;
        let Some(bytes) = entry else { return Ok(None) };
        let (mut batch, mut notes) = (None, HashMap::new());
        for action in get_actions(version, &bytes).map_err(|e| self.cannot(e))? {
            match action {
                Action::Txn(txn) if txn.app_id == APP => batch = Some(txn.version),
                Action::CommitInfo(info) => notes = info.info,
                _ => {}
            }
        }
        Ok(Some((batch, notes)))
    }
}

fn is_lost_race(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::MaxCommitAttempts(_)
                    | TransactionError::VersionAlreadyExists(_)
                    | TransactionError::CommitConflict(_)
            }
    )
}

impl CommitContent {
    /// The actions of the commit, but for its information.
    fn actions(self, metadata: Option<Metadata>) -> Vec<Action> {
        let removes = self.removes.into_iter().map(|removed| Action::Remove(removed.action));
        let batch = self.batch.map(|number| Action::Txn(Transaction::new(APP, number)));
        let adds = self.adds.into_iter().map(Action::Add);
        adds.chain(removes).chain(metadata.map(Action::Metadata)).chain(batch).collect()
    }
}

fn builder() -> CommitBuilder {
    CommitProperties::default().with_max_retries(0).with_cleanup_expired_logs(Some(false)).into()
}

/// The actions of a commit with its sealed information.
fn sealed(
    operation: &DeltaOperation,
    notes: HashMap<String, Value>,
    actions: Vec<Action>,
) -> Result<Vec<Action>, DeltaTableError> {
    let mut info = operation.get_commit_info();
    info.timestamp = Some(now_micros() / 1000);
    info.engine_info = Some(format!("keytrail {}", env!("CARGO_PKG_VERSION")));
    info.info = notes;
    Ok(chain::sealed(info, actions)?)
}

/// Metadata as it stands in a log.
fn said(metadata: &Metadata) -> Result<Value, DeltaTableError> {
    Ok(serde_json::to_value(metadata)?)
}

/// True of the name of the last checkpoint.
pub(super) fn is_last_checkpoint(file: &str) -> bool {
    LAST_CHECKPOINT.rsplit_once('/').is_some_and(|(_, name)| name == file)
}

/// True of metadata by which the log keeps its commits.
pub(super) fn keeps_log(metadata: &Value) -> bool {
    metadata["configuration"][KEPT_LOG.0] == KEPT_LOG.1
}

/// The path of a checkpoint in the folder of its table.
pub(super) fn checkpoint_path(version: u64) -> String {
    format!("_delta_log/{version:020}.checkpoint.parquet")
}

fn log_store(location: &StoreLocation, table: &str) -> (LogStoreRef, LogTap) {
    let tap = LogTap::new(location.path(&format!("{table}/_delta_log")));
    let root: Arc<dyn ObjectStore> = Arc::new(ReadingStore::new(&location.store, tap.clone()));
    let own: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(&root), location.path(table)));
    let url = location.table_url(table);
    (deltalake::logstore::default_logstore(own, root, &url, &StorageConfig::default()), tap)
}
