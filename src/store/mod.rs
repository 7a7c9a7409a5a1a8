//! The store: a Delta table of events, and the ledger that accounts for them.
//! In: batches of whole objects. Out: [`Snapshot`]s, in which every row and its accounting are there together.
//! Every writer first completes the one before it, so the commit of the events alone makes a batch true. Never rolls
//! back, and never trusts a marker: what has been read is what the ledger names.

mod append;
mod check;
mod compact;
mod dedup;
mod delta;
mod file;
mod gc;
mod hash;
mod ids;
mod ingest;
mod ledger;
mod narrow;
mod patience;
mod place;
mod provider;
mod read;
mod reader;
mod rows;

use std::io;

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use deltalake::DeltaTableError;
use parquet::errors::ParquetError;

use crate::normalize::EventFilter;

pub use check::{Checked, Info};
pub use compact::Compacted;
pub use gc::Collected;
pub use hash::LogicalHash;
pub use ingest::{Ingested, Pace, Plan, ingest, plan};
pub use place::Place;
pub use provider::{FILES_URL, events};
pub use read::{DataFile, Snapshot};

use append::Pending;
use delta::{Shape, Table};
use ledger::{OBJECTS, QUARANTINE};
use rows::EVENTS;

/// What this version writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

const FORMAT_PROPERTY: &str = "keytrail.formatVersion";
const FILTER_PROPERTY: &str = "keytrail.filter";

/// Why a store cannot be used.
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
    #[error("other writers have been first at `{path}` again and again")]
    Contended { path: String },
    #[error("the store `{path}` is damaged: {what}")]
    Damaged { path: String, what: String },
    #[error("the path of a store cannot have a `%` before two hex digits: `{path}`")]
    Name { path: String },
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

    /// True where the command line is at fault, not the world.
    pub fn is_usage(&self) -> bool {
        matches!(self, StoreError::OtherFilter { .. } | StoreError::Name { .. })
    }

    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StoreError::Absent { .. } => Some("keytrail ingest LOCATION --store STORE makes one"),
            StoreError::Newer { .. } => Some("use the version of keytrail that wrote it, or a newer one"),
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

/// How `--events` names a filter.
pub fn filter_name(filter: EventFilter) -> &'static str {
    match filter {
        EventFilter::KeyUse => "key-use",
        EventFilter::All => "all",
    }
}

/// A store at the versions that its tables had when it was last looked at.
#[derive(Clone)]
pub struct Store {
    place: Place,
    events: Table,
    objects: Table,
    quarantine: Table,
    filter: EventFilter,
    /// The last batch whose events are committed, and what of it still waits for its ledger.
    batch: i64,
    pending: Option<Pending>,
}

impl Store {
    /// Opens what is there.
    pub async fn open(place: Place) -> Result<Store, StoreError> {
        let gone = |table| StoreError::Damaged { path: place.shown.clone(), what: format!("its `{table}` are gone") };
        // In the order in which a batch is written: what is looked at later only knows more, and that can be left out.
        let Some(events) = Table::open(&place, EVENTS).await? else {
            // They are made last, and may have been just now.
            let has_batches = match Table::open(&place, OBJECTS).await? {
                Some(ledger) => ledger.batch().await? > 0,
                None => false,
            };
            let is_lost = has_batches && Table::open(&place, EVENTS).await?.is_none();
            return Err(if is_lost { gone(EVENTS) } else { StoreError::Absent { path: place.shown } });
        };
        let filter = checked(&place, &events)?;
        let objects = Table::open(&place, OBJECTS).await?.ok_or_else(|| gone(OBJECTS))?;
        let quarantine = Table::open(&place, QUARANTINE).await?.ok_or_else(|| gone(QUARANTINE))?;
        let mut store = Store { place, events, objects, quarantine, filter, batch: 0, pending: None };
        store.look().await?;
        Ok(store)
    }

    /// Opens what is there, or makes it. The events are made last: with them the store exists.
    pub async fn open_or_create(place: Place, asked: Option<EventFilter>) -> Result<Store, StoreError> {
        let store = match Store::open(place.clone()).await {
            Err(StoreError::Absent { .. }) => {
                for shape in [ledger_shape(), quarantine_shape(), events_shape(asked.unwrap_or(EventFilter::KeyUse))] {
                    Table::create(&place, shape).await?;
                }
                Store::open(place).await?
            }
            opened => opened?,
        };
        if let Some(asked) = asked {
            store.expect_filter(asked)?;
        }
        Ok(store)
    }

    /// Fails where the store keeps another choice of events.
    pub fn expect_filter(&self, filter: EventFilter) -> Result<(), StoreError> {
        if self.filter == filter {
            return Ok(());
        }
        let (kept, asked) = (filter_name(self.filter), filter_name(filter));
        Err(StoreError::OtherFilter { path: self.place.shown.clone(), kept, asked })
    }

    pub fn filter(&self) -> EventFilter {
        self.filter
    }

    /// Looks at the tables again, in the same order.
    async fn refresh(&mut self) -> Result<(), StoreError> {
        self.events.refresh().await?;
        self.objects.refresh().await?;
        self.quarantine.refresh().await?;
        self.look().await
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        self.batch = self.events.batch().await?;
        self.expect_events_of_ledger().await?;
        self.pending = Pending::of(self).await?;
        Ok(())
    }

    /// A batch is in the ledger only after its events are committed: where the ledger has one that they do not have even
    /// when they are looked at again, events are gone.
    async fn expect_events_of_ledger(&mut self) -> Result<(), StoreError> {
        let entered = self.objects.batch().await?.max(self.quarantine.batch().await?);
        if entered <= self.batch {
            return Ok(());
        }
        let mut latest = self.events.clone();
        latest.refresh().await?;
        match latest.batch().await? {
            batch if batch < entered => {
                Err(self.damaged(format!("its ledger has batch {entered}, and its events end at batch {batch}")))
            }
            _ => Ok(()),
        }
    }

    fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: self.place.shown.clone(), what: what.into() }
    }
}

fn checked(place: &Place, events: &Table) -> Result<EventFilter, StoreError> {
    let path = || place.shown.clone();
    let Some(format) = events.property(FORMAT_PROPERTY) else { return Err(StoreError::Foreign { path: path() }) };
    if format.parse::<u32>().is_ok_and(|n| n > FORMAT_VERSION) || format.parse::<u32>().is_err() {
        return Err(StoreError::Newer { path: path(), found: format });
    }
    match events.property(FILTER_PROPERTY).as_deref() {
        Some("key-use") => Ok(EventFilter::KeyUse),
        Some("all") => Ok(EventFilter::All),
        other => {
            let what = format!("its filter is `{}`", other.unwrap_or_default());
            Err(StoreError::Damaged { path: path(), what })
        }
    }
}

fn events_shape(filter: EventFilter) -> Shape {
    Shape {
        name: EVENTS,
        schema: rows::table_schema(),
        partition: Some("event_date"),
        properties: vec![
            (FORMAT_PROPERTY, FORMAT_VERSION.to_string()),
            (FILTER_PROPERTY, filter_name(filter).to_owned()),
            ("delta.dataSkippingStatsColumns", rows::LAYOUT.bounds.join(",")),
            ("delta.checkpointInterval", "20".to_owned()),
        ],
    }
}

fn ledger_shape() -> Shape {
    let properties = vec![("delta.checkpointInterval", "20".to_owned())];
    Shape { name: OBJECTS, schema: ledger::ledger_schema(), partition: None, properties }
}

fn quarantine_shape() -> Shape {
    let properties = vec![("delta.checkpointInterval", "20".to_owned())];
    Shape { name: QUARANTINE, schema: ledger::stored_quarantine_schema(), partition: None, properties }
}
