//! The store: a Delta table of events, and the ledger that accounts for them.
//! In: batches of whole objects. Out: [`Snapshot`]s, in which every row and its accounting are there together.
//! Every writer first completes the batch before its own, so the commit of the events alone makes a batch true. Never
//! rolls back, and never trusts a marker: only the ledger says which objects have been read.

mod append;
mod backoff;
mod beside;
mod chain;
mod check;
mod check_log;
mod checkpoint;
mod column_stats;
mod compact;
mod data_file;
mod dedup;
mod delta;
mod durable_files;
mod gc;
mod hash;
mod hashed_files;
mod id_index;
mod ingest;
mod input_tables;
mod key_use_filter;
mod ledger;
mod location;
mod log_tap;
mod panicking;
mod parquet_reader;
mod parquet_writer;
mod proved_file;
mod proved_tail;
mod provider;
mod read_through;
mod renormalize;
mod rows;
mod snapshot;
mod store_check;
mod store_mode;
mod table_id;
mod tables;

use std::io;

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use deltalake::DeltaTableError;
use parquet::errors::ParquetError;

use crate::normalize::EventFilter;
use crate::time::now_micros;

pub use check::{CheckOptions, StoreOverview, check, info};
pub use compact::{CompactionCounts, CompactionOptions, OlderRows, compact};
pub use data_file::{ColumnStats, DataFile, FileStats};
pub use gc::{GcCounts, GcOptions, collect, is_folder_of_store};
pub use hash::LogicalHash;
pub use hash::sha256_hex;
pub use ingest::{IngestOptions, IngestOutcome, IngestPlan, ends_of_history, ingest, plan};
pub use input_tables::{digest_facts, hours};
pub use location::StoreLocation;
pub use panicking::words_of as words_of_panic;
pub use proved_tail::{FileTail, UNLIKE_LOG};
pub use provider::{FILES_URL, events, state_events};
pub use snapshot::Snapshot;
pub use store_check::{ChainReport, StoreCheck};
pub use store_mode::{SharedStore, StoreAccess, StoreMode};

use append::PendingLedger;
use backoff::Backoff;
use delta::{CHECKPOINT_INTERVAL, CommitContent, CommitOutcome, KEPT_LOG, StoreTable};
use table_id::TableId;
use tables::StoreTables;

/// The format that this version writes, and the newest that it reads. The first lacks the tables of hours, digests and
/// verdicts.
pub const FORMAT_VERSION: u32 = 2;

const FORMAT_PROPERTY: &str = "keytrail.formatVersion";
const FILTER_PROPERTY: &str = "keytrail.filter";
/// The first batch that has hours, of a store that was of an earlier format.
const HOURS_PROPERTY: &str = "keytrail.hoursFromBatch";

/// The reason that a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no store at `{path}`")]
    Absent { path: String },
    #[error("`{path}` is a table, but none that keytrail made")]
    Foreign { path: String },
    #[error("the store `{path}` has format {found}, and this version knows formats up to {FORMAT_VERSION}")]
    Newer { path: String, found: String },
    #[error("the store `{path}` keeps `{kept}` events, not `{asked}`")]
    OtherFilter { path: String, kept: &'static str, asked: &'static str },
    #[error("others than its owner may write the store `{path}`")]
    Shared { path: String },
    #[error("other writers have been first at `{path}` again and again")]
    Contended { path: String },
    #[error("the store `{path}` is damaged: {what}")]
    Damaged { path: String, what: String },
    #[error("cannot use the table `{table}` of the store")]
    Delta { table: &'static str, source: Box<DeltaTableError> },
    #[error("cannot use `{what}` of the store")]
    Objects { what: String, source: object_store::Error },
    #[error("cannot read `{what}`, a file of the index of event ids")]
    Index { what: String, source: ParquetError },
    #[error("cannot use `{path}`")]
    File { path: String, source: io::Error },
    #[error("cannot read or write a file of the store")]
    Parquet(#[from] ParquetError),
    #[error("cannot put rows of the store together")]
    Arrow(#[from] ArrowError),
    #[error("cannot read the logs")]
    Scan(#[from] DataFusionError),
    #[error("a thread of the store failed")]
    Thread,
}

impl StoreError {
    fn delta(table: &'static str, source: DeltaTableError) -> StoreError {
        StoreError::Delta { table, source: Box::new(source) }
    }

    /// True if the command line is at fault, not the world.
    pub fn is_usage(&self) -> bool {
        matches!(self, StoreError::OtherFilter { .. } | StoreError::Shared { .. })
    }

    /// The cure, where one is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StoreError::Absent { .. } => Some("keytrail ingest LOCATION --store STORE makes one"),
            StoreError::Newer { .. } => Some("use the version of keytrail that wrote it, or a newer one"),
            StoreError::Shared { .. } => Some(
                "whoever writes it decides what it answers: `chmod -R o-w,g-w STORE`, or --allow-shared-store if all of \
                 them may",
            ),
            StoreError::OtherFilter { .. } => Some("a store keeps one choice of --events; use another store"),
            StoreError::Contended { .. } => {
                Some("nothing is lost: what was committed stays; run it again, with fewer writers at once")
            }
            StoreError::Index { .. } => {
                Some("no answer needs it: remove it if it is damaged, and compact the store to have it made again")
            }
            _ => None,
        }
    }
}

/// Goes on after a step on which nothing depends: its failure is told elsewhere, or costs only time.
fn unheeded<T, E>(_done: Result<T, E>) {}

/// The name of a filter for `--events`.
pub fn filter_name(filter: EventFilter) -> &'static str {
    match filter {
        EventFilter::KeyUse => "key-use",
        EventFilter::All => "all",
    }
}

/// The filter of a name that [`filter_name`] gives.
fn filter_of(name: &str) -> Option<EventFilter> {
    [EventFilter::KeyUse, EventFilter::All].into_iter().find(|filter| filter_name(*filter) == name)
}

/// A store at the versions of its tables at the last look.
#[derive(Clone)]
pub struct Store {
    location: StoreLocation,
    tables: StoreTables,
    filter: EventFilter,
    /// The format of its tables.
    format: u32,
    /// The time of the run, in microseconds since 1970, which the log names as that of its changes.
    now_micros: i64,
    /// The last batch whose events are committed, and its ledger if that is not entered yet.
    batch: i64,
    pending: Option<PendingLedger>,
}

impl Store {
    /// Opens a store. Fails if there is none, or none that this version can read.
    pub async fn open(location: StoreLocation) -> Result<Store, StoreError> {
        let shown = location.shown.clone();
        let damaged = |error: ParquetError| StoreError::Damaged { path: shown, what: error.to_string() };
        panicking::reading_later(Store::opened(location), damaged).await
    }

    async fn opened(location: StoreLocation) -> Result<Store, StoreError> {
        let tables = StoreTables::open(&location).await?;
        let filter = checked(&location, &tables[TableId::Events])?;
        let format = format_of(&location, &tables[TableId::Events])?;
        let mut store = Store { location, tables, filter, format, now_micros: now_micros(), batch: 0, pending: None };
        store.look().await?;
        Ok(store)
    }

    /// Opens a store, or makes it. The table of events is made last: with it the store exists.
    pub async fn open_or_create(location: StoreLocation, asked: Option<EventFilter>) -> Result<Store, StoreError> {
        let store = match Store::open(location.clone()).await {
            Err(StoreError::Absent { .. }) => {
                let filter = asked.unwrap_or(EventFilter::KeyUse);
                let first = TableId::ALL.into_iter().filter(|id| *id != TableId::Events);
                for id in first.chain([TableId::Events]) {
                    StoreTable::create(&location, id, properties(id, filter)).await?;
                }
                Store::open(location).await?
            }
            opened => opened?,
        };
        if let Some(asked) = asked {
            store.expect_filter(asked)?;
        }
        Ok(store)
    }

    /// Fails if the store keeps another choice of events.
    pub fn expect_filter(&self, filter: EventFilter) -> Result<(), StoreError> {
        if self.filter == filter {
            return Ok(());
        }
        let (kept, asked) = (filter_name(self.filter), filter_name(filter));
        Err(StoreError::OtherFilter { path: self.location.shown.clone(), kept, asked })
    }

    /// The choice of events that it keeps.
    pub fn filter(&self) -> EventFilter {
        self.filter
    }

    /// Looks at the tables again.
    async fn refresh(&mut self) -> Result<(), StoreError> {
        self.tables.refresh(&self.location).await?;
        self.format = format_of(&self.location, &self.tables[TableId::Events])?;
        self.look().await
    }

    /// The format of its tables; [`FORMAT_VERSION`] once a run has written to it.
    pub fn format(&self) -> u32 {
        self.format
    }

    /// The first batch that has hours; those before are of an earlier format.
    fn hours_from(&self) -> i64 {
        let said = self.tables[TableId::Events].property(HOURS_PROPERTY).and_then(|batch| batch.parse().ok());
        match self.format {
            1 => i64::MAX,
            _ => said.unwrap_or(0),
        }
    }

    /// Brings a store of an earlier format to the present one. Returns true if it did. The tables come first, so that a
    /// store that says the new format has them.
    async fn upgrade(&mut self) -> Result<bool, StoreError> {
        let mut backoff = Backoff::new();
        while self.format < FORMAT_VERSION {
            for id in TableId::OF_FORMAT_2 {
                StoreTable::create(&self.location, id, properties(id, self.filter)).await?;
            }
            let hours_from = (self.batch + 1).to_string();
            let properties = vec![(FORMAT_PROPERTY, FORMAT_VERSION.to_string()), (HOURS_PROPERTY, hours_from)];
            let change = CommitContent { properties, ..CommitContent::default() };
            let outcome = self.commit(TableId::Events, change).await?;
            self.refresh().await?;
            if outcome == CommitOutcome::Committed {
                return Ok(true);
            }
            if !backoff.lost().await {
                return Err(self.contended());
            }
        }
        Ok(false)
    }

    /// Commits to a table. The commit names the newest ones of the other tables that this writer has seen.
    async fn commit(&mut self, id: TableId, mut change: CommitContent) -> Result<CommitOutcome, StoreError> {
        let mut heads = serde_json::Map::new();
        for other in self.tables.present().filter(|other| *other != id) {
            let table = &self.tables[other];
            if let Some(head) = table.head().await? {
                heads.insert(other.name().to_owned(), serde_json::json!([table.version(), head.sha256]));
            }
        }
        change.notes.insert(chain::TABLES.to_owned(), heads.into());
        self.tables[id].commit(change).await
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        self.batch = self.tables[TableId::Events].batch();
        self.expect_events_of_ledger().await?;
        self.expect_heads_to_agree().await?;
        self.pending = PendingLedger::of(self).await?;
        Ok(())
    }

    /// Notes the last batch whose events are committed, and its ledger if that is not entered yet.
    fn settle(&mut self, batch: i64, pending: Option<PendingLedger>) {
        (self.batch, self.pending) = (batch, pending);
    }

    /// A batch enters the ledger only after its events are committed. If the ledger has a batch that the events lack
    /// even at a second look, events are gone.
    async fn expect_events_of_ledger(&mut self) -> Result<(), StoreError> {
        let mut entered = 0;
        for id in self.tables.present().filter(|id| *id != TableId::Events) {
            entered = self.tables[id].batch().max(entered);
        }
        if entered <= self.batch {
            return Ok(());
        }
        let mut latest = self.tables[TableId::Events].clone();
        latest.refresh().await?;
        let batch = latest.batch();
        if batch < entered {
            let what = format!("its ledger has batch {entered}, and its events end at batch {batch}");
            return Err(self.damaged(what));
        }
        Ok(())
    }

    /// Each table has the commits that the last ones of the others name, at the latest at a second look: one that was
    /// looked at later may be ahead.
    async fn expect_heads_to_agree(&self) -> Result<(), StoreError> {
        for named_by in self.tables.present() {
            let Some(head) = self.tables[named_by].head().await? else { continue };
            for id in self.tables.present() {
                let Some((version, sha256)) = head.tables.get(id.name()) else { continue };
                let mut table = self.tables[id].clone();
                if table.version() < *version {
                    table.refresh().await?;
                }
                if table.version() < *version || table.link(*version).is_some_and(|link| link.sha256 != *sha256) {
                    let (one, other) = (named_by.name(), id.name());
                    return Err(self.damaged(format!("its `{one}` follow another commit {version} of `{other}`")));
                }
            }
        }
        Ok(())
    }

    fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: self.location.shown.clone(), what: what.into() }
    }
}

/// The format that a store says to have. Fails if it is none of ours, or newer than this version.
fn format_of(location: &StoreLocation, events: &StoreTable) -> Result<u32, StoreError> {
    let path = || location.shown.clone();
    let Some(format) = events.property(FORMAT_PROPERTY) else { return Err(StoreError::Foreign { path: path() }) };
    let known = format.parse().ok().filter(|number| *number <= FORMAT_VERSION);
    known.ok_or_else(|| StoreError::Newer { path: path(), found: format })
}

fn checked(location: &StoreLocation, events: &StoreTable) -> Result<EventFilter, StoreError> {
    let path = || location.shown.clone();
    let filter = events.property(FILTER_PROPERTY).unwrap_or_default();
    let unknown = || StoreError::Damaged { path: path(), what: format!("its filter is `{filter}`") };
    filter_of(&filter).ok_or_else(unknown)
}

/// The properties with which a table is made.
fn properties(id: TableId, filter: EventFilter) -> Vec<(&'static str, String)> {
    let checkpoints = ("delta.checkpointInterval", CHECKPOINT_INTERVAL.to_string());
    let kept_log = (KEPT_LOG.0, KEPT_LOG.1.to_owned());
    match id {
        TableId::Objects | TableId::Quarantine | TableId::Hours | TableId::Digests | TableId::Verdicts => {
            vec![checkpoints, kept_log]
        }
        TableId::Events => vec![
            (FORMAT_PROPERTY, FORMAT_VERSION.to_string()),
            (FILTER_PROPERTY, filter_name(filter).to_owned()),
            ("delta.dataSkippingStatsColumns", id.layout().bounds.join(",")),
            checkpoints,
            kept_log,
        ],
    }
}
