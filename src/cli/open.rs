//! From arguments to an engine over the logs they name.
//! In: locations and scope as the user wrote them. Out: `Opened`, ready to be asked.
//! Never reads a record: it lists, and the engine reads when a question needs it.

use std::sync::Arc;
use std::time::Instant;

use super::args::{self, Global, ScopeArgs};
use super::dry_run;
use super::exit::{Code, Failure, say};
use super::progress::Line;
use crate::normalize::EventFilter;
use crate::source::{self, AwsOptions, Location, Plan, Remote, Scope};
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
    aws: AwsOptions,
    now_micros: i64,
    global: Global,
}

impl Request {
    pub fn new(from: &[String], args: &ScopeArgs, global: &Global) -> Result<Request, Failure> {
        let now_micros = now_micros();
        let scope = args.resolve(now_micros, global)?;
        let (locations, aws) = (args::locations(from)?, args.aws.options()?);
        Ok(Request { locations, scope, args: args.clone(), aws, now_micros, global: global.clone() })
    }

    pub fn reads_stdin(&self) -> bool {
        self.locations.iter().any(|l| matches!(l, Location::Stdin))
    }

    /// Lists the locations, which can take a while on a large tree.
    pub async fn open(self) -> Result<Opened, Failure> {
        if let Some(place) = self.store().await? {
            return self.open_store(place).await;
        }
        let listed = tokio::task::spawn_blocking(move || self.list()).await;
        listed.unwrap_or_else(|e| Err(Failure::world(format!("cannot list the locations: {e}"))))
    }

    /// The place of the store, if that is what the location names.
    async fn store(&self) -> Result<Option<Place>, Failure> {
        let mut place = None;
        for location in &self.locations {
            let found = match location {
                Location::Path(path) => Some(Place::local(path)?),
                // Nobody keeps a store below the folder that AWS delivers to.
                Location::S3(path) if !path.prefix.split('/').any(|part| part == "AWSLogs") => {
                    store_place(&path.to_string(), &self.aws).await.ok()
                }
                _ => None,
            };
            match found {
                Some(found) if found.holds_store().await => place = Some(found),
                _ => {}
            }
        }
        if place.is_some() && self.locations.len() > 1 {
            return Err(Failure::usage("a store cannot be read together with other locations")
                .hint("`keytrail ingest` takes more locations into a store"));
        }
        if place.is_some() && !self.scope.org_ids.is_empty() {
            return Err(Failure::usage("a store does not know organizations").hint("leave --org-id out"));
        }
        Ok(place)
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

    /// Says what a run would read.
    pub async fn dry_run(self) -> Result<Code, Failure> {
        let planned = tokio::task::spawn_blocking(move || Plan::of(&self.locations, &self.scope, &self.remote())).await;
        let plan = planned.map_err(|e| Failure::world(format!("cannot list the locations: {e}")))??;
        dry_run::print(&plan)?;
        Ok(Code::Done)
    }

    fn remote(&self) -> Remote {
        remote(&self.aws, self.now_micros, &self.global)
    }

    fn list(self) -> Result<Opened, Failure> {
        let started = Instant::now();
        let listing = Arc::new(source::list(&self.locations, &self.scope, &self.remote())?);
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

/// How the sources reach what is not on this machine, and whom they tell.
pub fn remote(aws: &AwsOptions, now_micros: i64, global: &Global) -> Remote {
    let is_quiet = global.quiet;
    Remote {
        aws: aws.clone(),
        handle: tokio::runtime::Handle::current(),
        now_micros,
        note: Arc::new(move |text| {
            if !is_quiet {
                say(format_args!("note: {text}"));
            }
        }),
    }
}

/// The place of a store: a directory, or `s3://BUCKET/PREFIX`.
pub async fn store_place(named: &str, aws: &AwsOptions) -> Result<Place, Failure> {
    match Location::parse(named)? {
        Location::Path(path) => Ok(Place::local(&path)?),
        Location::S3(_) => Ok(Place::at_root(source::connect_store(named, aws).await?, named)?),
        Location::Stdin | Location::History(_) => {
            Err(Failure::usage(format!("`{named}` cannot hold a store")).hint("name a directory or s3://BUCKET/PREFIX"))
        }
    }
}

fn engine_options(global: &Global) -> EngineOptions {
    EngineOptions { threads: global.threads(), memory_bytes_max: MEMORY_BYTES_MAX, deadline: None }
}

pub fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
