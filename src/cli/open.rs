//! From arguments to an engine over the logs they name.
//! In: locations and scope as the user wrote them. Out: `Opened`, ready to be asked.
//! Never reads a record: it lists, and the engine reads when a question needs it.

use std::sync::Arc;
use std::time::Instant;

use super::args::{self, Global, ScopeArgs};
use super::dry_run;
use super::exit::{Code, Failure, say};
use super::progress::Line;
use crate::source::{self, AwsOptions, Location, Plan, Remote, Scope};
use crate::sql::{Engine, EngineOptions};
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
        let listed = tokio::task::spawn_blocking(move || self.list()).await;
        listed.unwrap_or_else(|e| Err(Failure::world(format!("cannot list the locations: {e}"))))
    }

    /// Says what a run would read.
    pub async fn dry_run(self) -> Result<Code, Failure> {
        let planned = tokio::task::spawn_blocking(move || Plan::of(&self.locations, &self.scope, &self.remote())).await;
        let plan = planned.map_err(|e| Failure::world(format!("cannot list the locations: {e}")))??;
        dry_run::print(&plan)?;
        Ok(Code::Done)
    }

    fn remote(&self) -> Remote {
        let is_quiet = self.global.quiet;
        Remote {
            aws: self.aws.clone(),
            handle: tokio::runtime::Handle::current(),
            now_micros: self.now_micros,
            note: Arc::new(move |text| {
                if !is_quiet {
                    say(format_args!("note: {text}"));
                }
            }),
        }
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
        let options =
            EngineOptions { threads: self.global.threads(), memory_bytes_max: MEMORY_BYTES_MAX, deadline: None };
        let engine = Engine::new(logs, options)?;
        Ok(Opened { engine, scope: self.scope, progress, started })
    }
}

fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
