//! From arguments to an engine over the logs they name.
//! In: locations and scope as the user wrote them. Out: `Opened`, ready to be asked.
//! Never reads a record: it lists, and the engine reads when a question needs it.

use std::sync::Arc;
use std::time::Instant;

use super::args::{self, Global, ScopeArgs};
use super::exit::Failure;
use super::progress::Line;
use crate::normalize::EventFilter;
use crate::source::{self, Location, Scope};
use crate::sql::{Engine, EngineOptions, SqlError, Stored};
use crate::store::{self, Place, Store};
use crate::table::{IDENTITIES_MAX, LogTable, Progress, ScanOptions};

/// What operators of a query may hold before they spill.
const MEMORY_BYTES_MAX: usize = 128 << 20;

pub struct Opened {
    pub engine: Engine,
    pub scope: Scope,
    pub progress: Line,
    pub started: Instant,
}

/// Checks everything that can be checked before anything is listed.
pub struct Request {
    locations: Vec<Location>,
    scope: Scope,
    args: ScopeArgs,
    global: Global,
}

impl Request {
    pub fn new(from: &[String], args: &ScopeArgs, global: &Global) -> Result<Request, Failure> {
        let scope = args.resolve(now_micros(), global)?;
        Ok(Request { locations: args::locations(from)?, scope, args: args.clone(), global: global.clone() })
    }

    pub fn reads_stdin(&self) -> bool {
        self.locations.iter().any(|l| matches!(l, Location::Stdin))
    }

    /// Lists the locations, which can take a while on a large tree.
    pub async fn open(self) -> Result<Opened, Failure> {
        if let Some(place) = self.store()? {
            return self.open_store(place).await;
        }
        let listed = tokio::task::spawn_blocking(move || self.list()).await;
        listed.unwrap_or_else(|e| Err(Failure::world(format!("cannot list the locations: {e}"))))
    }

    /// The place of the store, if that is what the location names.
    fn store(&self) -> Result<Option<Place>, Failure> {
        let is_store = |location: &Location| matches!(location, Location::Path(path) if Place::holds_store(path));
        if !self.locations.iter().any(is_store) {
            return Ok(None);
        }
        let [Location::Path(path)] = self.locations.as_slice() else {
            return Err(Failure::usage("a store cannot be read together with other locations")
                .hint("`keytrail ingest` takes more locations into a store"));
        };
        if !self.scope.org_ids.is_empty() {
            return Err(Failure::usage("a store does not know organizations").hint("leave --org-id out"));
        }
        Ok(Some(Place::local(path)?))
    }

    async fn open_store(self, place: Place) -> Result<Opened, Failure> {
        let started = Instant::now();
        let mut store = Store::open(place).await?;
        if self.args.filter() == EventFilter::All {
            store.expect_filter(EventFilter::All)?;
        }
        let snapshot = store.snapshot().await?;
        let stored = Stored {
            events: store::events(&snapshot, &self.scope).map_err(SqlError::from)?,
            objects: snapshot.objects().await?,
            quarantine: snapshot.quarantine().await?,
            files: (store::FILES_URL, Arc::clone(&snapshot.object_store)),
        };
        let engine = Engine::over_store(stored, engine_options(&self.global))?;
        Ok(Opened { engine, scope: self.scope, progress: Line::new(&self.global, 0), started })
    }

    fn list(self) -> Result<Opened, Failure> {
        let started = Instant::now();
        let listing = Arc::new(source::list(&self.locations, &self.scope)?);
        let progress = Line::new(&self.global, listing.total_bytes());
        let line = progress.clone();
        let options = ScanOptions {
            filter: self.args.filter(),
            scope: self.scope.clone(),
            threads: self.global.threads(),
            salvage: self.args.salvage,
            identities_max: IDENTITIES_MAX,
            progress: Arc::new(move |p: Progress| line.set(p.bytes)),
        };
        let logs = LogTable::new(listing, options);
        let engine = Engine::over_logs(logs, engine_options(&self.global))?;
        Ok(Opened { engine, scope: self.scope, progress, started })
    }
}

fn engine_options(global: &Global) -> EngineOptions {
    EngineOptions { threads: global.threads(), memory_bytes_max: MEMORY_BYTES_MAX, deadline: None }
}

pub fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
