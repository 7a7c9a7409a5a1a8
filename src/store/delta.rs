//! One Delta table of the store: made, read, and committed to.
//! In: files that are written already. Out: the files that live, and commits that land whole or not at all.
//! Never retries a commit by itself: the loser must first look at the winner's changes.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{Action, Add, EagerSnapshot, MetadataExt, Remove, StructField, StructType, Transaction};
use deltalake::logstore::{LogStoreRef, StorageConfig, get_actions};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTableError, ObjectStore};
use futures::TryStreamExt;
use object_store::prefix::PrefixStore;

use super::StoreError;
use super::durable_files::unique;
use super::location::StoreLocation;
use super::table_id::TableId;

/// The application in the log whose transactions number the batches.
const APP: &str = "keytrail";
/// The note by which a writer knows its own commit again.
const COMMIT_ID: &str = "keytrail.commit";

/// The library's words for a log that contradicts itself, since the types of these errors are those of a broken disk.
const CONTRADICTIONS: [&str; 3] = ["Expected contiguous commit files", "No table metadata or protocol", "Json error"];

/// A table at one version.
#[derive(Clone)]
pub(super) struct StoreTable {
    id: TableId,
    log: LogStoreRef,
    snapshot: EagerSnapshot,
}

/// The content of a commit.
#[derive(Default)]
pub(super) struct CommitContent {
    /// Files that the commit adds.
    pub adds: Vec<Add>,
    /// Files that the commit removes.
    pub removes: Vec<Remove>,
    /// The batch that it carries.
    pub batch: Option<i64>,
    /// Properties that the table has from then on.
    pub properties: Vec<(&'static str, String)>,
    /// Notes in the commit about itself.
    pub notes: HashMap<String, serde_json::Value>,
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
pub(super) fn removal(file: &Add, change: DataChange, now_micros: i64) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change: change == DataChange::Columns,
        deletion_timestamp: Some(now_micros / 1000),
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition_values.clone()),
        size: Some(file.size),
        ..Remove::default()
    }
}

/// The end of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitOutcome {
    Committed,
    /// Somebody else committed first, and nothing of this commit is there.
    Lost,
}

impl StoreTable {
    /// None where there is no table.
    pub async fn open(location: &StoreLocation, id: TableId) -> Result<Option<StoreTable>, StoreError> {
        let name = id.name();
        let log = log_store(location, name);
        if !log.is_delta_table_location().await.map_err(|e| StoreError::delta(name, e))? {
            return Ok(None);
        }
        match EagerSnapshot::try_new(log.as_ref(), None).await {
            Ok(snapshot) => Ok(Some(StoreTable { id, log, snapshot })),
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
        let properties = properties.into_iter().map(|(name, value)| (name, Some(value)));
        let created = CreateBuilder::new()
            .with_log_store(log_store(location, id.name()))
            .with_table_name(id.name())
            .with_columns(schema.fields().cloned().collect::<Vec<StructField>>())
            .with_partition_columns(id.partition())
            .with_configuration(properties)
            .with_raise_if_key_not_exists(false)
            .with_save_mode(SaveMode::ErrorIfExists)
            // Without this the loser of a race would make the table once more, on top of the winner's.
            .with_commit_properties(CommitProperties::default().with_max_retries(0))
            .await;
        match created {
            // The second error is for a table that appeared while this one was being prepared.
            Err(error) if !is_lost_race(&error) && !matches!(error, DeltaTableError::GenericError { .. }) => {
                Err(cannot(error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Goes to the latest version.
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        let latest = EagerSnapshot::try_new(self.log.as_ref(), None).await;
        self.snapshot = latest.map_err(|e| self.cannot(e))?;
        Ok(())
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
    pub async fn batch(&self) -> Result<i64, StoreError> {
        let version = self.snapshot.transaction_version(self.log.as_ref(), APP).await;
        Ok(version.map_err(|e| self.cannot(e))?.unwrap_or(0))
    }

    /// The files that live at this version.
    pub fn files(&self) -> Result<Vec<Add>, StoreError> {
        let files = self.snapshot.try_log_data().map_err(|e| self.cannot(e))?;
        // The tags of a file cannot be had in any other way.
        #[expect(deprecated)]
        let adds = files.iter().map(|file| file.add_action()).collect();
        Ok(adds)
    }

    /// Paths of removed files that the log still names, with the time of their removal in milliseconds.
    pub async fn removed(&self) -> Result<HashMap<String, i64>, StoreError> {
        let state = deltalake::table::state::DeltaTableState::new(self.snapshot.clone());
        let stones = state.all_tombstones(self.log.as_ref());
        let removed = stones.map_ok(|stone| (stone.path().into_owned(), stone.deletion_timestamp().unwrap_or(0)));
        removed.try_collect().await.map_err(|e| self.cannot(e))
    }

    /// Commits on top of this version, or not at all; now and then a checkpoint follows.
    pub async fn commit(&mut self, change: CommitContent) -> Result<CommitOutcome, StoreError> {
        let id = unique();
        let mut notes = change.notes;
        notes.insert(COMMIT_ID.to_owned(), id.clone().into());
        let adds = change.adds.into_iter().map(Action::Add);
        let mut actions: Vec<Action> = adds.chain(change.removes.into_iter().map(Action::Remove)).collect();
        if !change.properties.is_empty() {
            let mut metadata = self.snapshot.metadata().clone();
            for (name, value) in change.properties {
                metadata = metadata.add_config_key(name.to_owned(), value).map_err(|e| self.cannot(e.into()))?;
            }
            actions.push(Action::Metadata(metadata));
        }
        let properties = CommitProperties::default()
            .with_metadata(notes)
            .with_max_retries(0)
            .with_application_transactions(change.batch.map(|n| Transaction::new(APP, n)).into_iter().collect());
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let commit = CommitBuilder::from(properties).with_actions(actions);
        let base = self.snapshot.version();
        let committed = commit.build(Some(&self.snapshot), Arc::clone(&self.log), operation).await;
        match committed {
            Ok(done) => {
                self.snapshot = done.snapshot().snapshot().clone();
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

    async fn has_commit(&self, from: u64, id: &str) -> Result<bool, StoreError> {
        for version in from..=self.version() {
            if self.notes(version).await?.is_some_and(|(_, notes)| notes.get(COMMIT_ID).is_some_and(|n| n == id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The notes of the commit of a batch; None where the log no longer has it.
    pub async fn notes_of(&self, batch: i64) -> Result<Option<HashMap<String, serde_json::Value>>, StoreError> {
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
    async fn notes(
        &self,
        version: u64,
    ) -> Result<Option<(Option<i64>, HashMap<String, serde_json::Value>)>, StoreError> {
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

fn log_store(location: &StoreLocation, table: &str) -> LogStoreRef {
    let own: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(&location.store), location.path(table)));
    let (root, url) = (Arc::clone(&location.store), location.table_url(table));
    deltalake::logstore::default_logstore(own, root, &url, &StorageConfig::default())
}
