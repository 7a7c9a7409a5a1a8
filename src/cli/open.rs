//! From arguments to an engine over the logs they name.
//! In: locations and scope as the user wrote them. Out: `Opened`, ready to be asked.
//! Never reads a record: it lists, and the engine reads when a question needs it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::args::{self, Global, ScopeArgs};
use super::dry_run;
use super::exit::{Code, Failure, say};
use super::progress::Line;
use crate::normalize::EventFilter;
use crate::source::{self, AwsOptions, Listing, Location, Plan, Remote, Scope, SourceError};
use crate::sql::{Engine, EngineOptions, SqlError, Stored};
use crate::store::{self, Store, StoreLocation};
use crate::table::{IDENTITIES_MAX, LogTable, Progress, ScanOptions};
use crate::time::now_micros;

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
        let (locations, aws) = (args::locations(from)?, args.aws.options()?);
        let scope = within_reach(args.resolve(now_micros, global)?, &locations, now_micros);
        Ok(Request { locations, scope, args: args.clone(), aws, now_micros, global: global.clone() })
    }

    pub fn reads_stdin(&self) -> bool {
        self.locations.iter().any(|l| matches!(l, Location::Stdin))
    }

    /// Lists the locations, which can take a while on a large tree.
    pub async fn open(self) -> Result<Opened, Failure> {
        let started = Instant::now();
        if self.names_store_on_disk() {
            return self.open_store(started).await;
        }
        let (request, listing) = self.list().await?;
        if request.names_store(&listing) {
            return request.open_store(started).await;
        }
        request.over_logs(listing, started)
    }

    async fn list(self) -> Result<(Request, Arc<Listing>), Failure> {
        let listed = tokio::task::spawn_blocking(move || {
            let listing = source::list(&self.locations, &self.scope, &self.remote())?;
            Ok((self, Arc::new(listing)))
        });
        listed.await.unwrap_or_else(|e| Err(Failure::world(format!("cannot list the locations: {e}"))))
    }

    fn names_store_on_disk(&self) -> bool {
        let is_store =
            |location: &Location| matches!(location, Location::Path(path) if StoreLocation::holds_store(path));
        self.locations.iter().any(is_store)
    }

    /// Whether what was listed in a bucket is a store and not logs. Nobody keeps one below the folder that AWS
    /// delivers to.
    fn names_store(&self, listing: &Listing) -> bool {
        let tops: Vec<String> = self
            .locations
            .iter()
            .filter_map(|location| match location {
                Location::S3(path) if !path.prefix.split('/').any(|part| part == "AWSLogs") => Some(path.to_string()),
                _ => None,
            })
            .collect();
        let is_sign = |index| tops.iter().any(|top| StoreLocation::is_sign_of_store(&listing.uri(index), top));
        !tops.is_empty() && (0..listing.len()).any(is_sign)
    }

    async fn open_store(self, started: Instant) -> Result<Opened, Failure> {
        let place = match self.locations.as_slice() {
            [Location::Path(path)] => StoreLocation::local(path)?,
            [Location::S3(path)] => store_place(&path.to_string(), &self.aws).await?,
            _ => {
                return Err(Failure::usage("a store cannot be read together with other locations")
                    .hint("`keytrail ingest` takes more locations into a store"));
            }
        };
        if !self.scope.org_ids.is_empty() {
            return Err(Failure::usage("a store does not know organizations").hint("leave --org-id out"));
        }
        let mut store = Store::open(place).await?;
        let asked = self.args.asked_filter().unwrap_or(store.filter());
        if asked == EventFilter::All {
            store.expect_filter(asked).map_err(|error| {
                Failure::usage(error.to_string())
                    .hint("what was left out when the logs were read is not there: read the logs themselves")
            })?;
        }
        let snapshot = store.snapshot().await?;
        let stored = Stored {
            events: store::events(&snapshot, &self.scope, asked).map_err(SqlError::from)?,
            objects: snapshot.objects().await?,
            quarantine: snapshot.quarantine().await?,
            older_rows: snapshot.older_rows(&self.scope),
            files: (store::FILES_URL, Arc::clone(&snapshot.object_store)),
        };
        let mut engine = Engine::over_store(stored, engine_options(&self.global))?;
        if snapshot.files.iter().any(|file| file.untimed > 0) {
            engine.count_untimed().await?;
        }
        Ok(Opened { engine, scope: self.scope, progress: Line::new(&self.global, 0), started })
    }

    /// Says what a run would read.
    pub async fn dry_run(self) -> Result<Code, Failure> {
        let listed = tokio::task::spawn_blocking(move || {
            let (listing, history) = source::list_for_plan(&self.locations, &self.scope, &self.remote())?;
            Ok::<_, SourceError>((
                self.names_store_on_disk() || self.names_store(&listing),
                Plan::of(&listing, history),
            ))
        });
        let (is_store, plan) =
            listed.await.map_err(|e| Failure::world(format!("cannot list the locations: {e}")))??;
        if is_store {
            return Err(Failure::usage("a dry run tells what reading logs takes, and this is a store")
                .hint("`keytrail store info STORE` tells what it holds"));
        }
        dry_run::print(&plan)?;
        Ok(Code::Done)
    }

    fn remote(&self) -> Remote {
        remote(&self.aws, self.now_micros, &self.global)
    }

    fn over_logs(self, listing: Arc<Listing>, started: Instant) -> Result<Opened, Failure> {
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

/// The scope, where only event histories are asked, from where those begin: no answer is about more.
pub fn within_reach(scope: Scope, locations: &[Location], now_micros: i64) -> Scope {
    let begin = source::history_begin(now_micros);
    let is_history = |location: &Location| matches!(location, Location::History(_));
    if !locations.iter().all(is_history) || scope.until.is_some_and(|until| until <= begin) {
        return scope;
    }
    Scope { since: scope.since.max(Some(begin)), ..scope }
}

/// How the sources reach what is not on this machine, and whom they tell.
pub fn remote(aws: &AwsOptions, now_micros: i64, global: &Global) -> Remote {
    let is_quiet = global.quiet;
    Remote {
        aws: aws.clone(),
        handle: tokio::runtime::Handle::current(),
        now_micros,
        covered: HashMap::new(),
        note: Arc::new(move |text| {
            if !is_quiet {
                say(format_args!("note: {text}"));
            }
        }),
    }
}

/// The place of a store: a directory, or `s3://BUCKET/PREFIX`.
pub async fn store_place(named: &str, aws: &AwsOptions) -> Result<StoreLocation, Failure> {
    match Location::parse(named)? {
        Location::Path(path) => Ok(StoreLocation::local(&path)?),
        Location::S3(_) => {
            let connected = source::connect_store(named, aws).await;
            let connected = connected.map_err(|error| Failure::of_place("cannot use the store", &error))?;
            Ok(StoreLocation::at_root(connected, named)?)
        }
        Location::Stdin | Location::History(_) => {
            Err(Failure::usage(format!("`{named}` cannot hold a store")).hint("name a directory or s3://BUCKET/PREFIX"))
        }
    }
}

fn engine_options(global: &Global) -> EngineOptions {
    EngineOptions { threads: global.threads(), memory_bytes_max: MEMORY_BYTES_MAX, deadline: None }
}
