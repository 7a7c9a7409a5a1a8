//! `keytrail ingest`: reads what is new at the locations into a store, each object once.
//! In: locations, scope, a store. Out: the accounts of the run on stderr, and on demand as JSON in a file.
//! Never reads an object again that the store has as it is.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::accounting::{self, Block, Summary, count};
use super::args::{self, Global, ScopeArgs};
use super::dry_run;
use super::exit::{Code, Failure, say};
use super::open::{remote, store_place, within_reach};
use super::output::{self, Target};
use super::policy::policy;
use super::progress::Line;
use super::times;
use crate::source::{self, Cost, Entry, Listing, Location, Scope};
use crate::store::{self, Ingested, Pace, Place, Plan, Store, StoreError};
use crate::table::{IDENTITIES_MAX, Problem, Progress, ScanOptions, WithoutLogs};
use crate::time::now_micros;

#[derive(Args, Debug, Clone)]
#[command(after_help = "Examples:
  keytrail ingest logs/ --store events.store
  keytrail ingest logs/ --store events.store --dry-run
  keytrail ingest logs/ --store events.store --summary-json last-run.json

Run it as often as you like, also twice at once: an object is counted once.
A run that was killed needs no repair: the next one goes on.
The scope chooses objects by their folders; of an object that is read, all records go in.")]
pub struct IngestArgs {
    /// Where the logs are: files, directories, s3://BUCKET/PREFIX, cloudtrail://REGION [default: KEYTRAIL_FROM]
    #[arg(value_name = "LOCATION")]
    pub locations: Vec<String>,
    /// The store: a directory or s3://BUCKET/PREFIX, made if it is not there
    #[arg(long, value_name = "STORE")]
    pub store: String,
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Days before the newest in the store in which objects are compared again; new ones are read whatever their day
    #[arg(long, value_name = "DAYS", default_value_t = 31, value_parser = clap::value_parser!(u32).range(..=36_600))]
    pub look_back: u32,
    /// Print the IAM policy that the run needs, and read nothing
    #[arg(long)]
    pub print_policy: bool,
    /// Write the accounts of the run to FILE as JSON, `-` for stdout; it is replaced if it exists
    #[arg(long, value_name = "FILE")]
    pub summary_json: Option<PathBuf>,
    /// Stored bytes of a batch
    #[arg(long, hide = true, value_name = "BYTES", default_value_t = 256 << 20)]
    pub batch_bytes: u64,
}

impl IngestArgs {
    fn pace(&self) -> Pace {
        Pace { batch_bytes_max: self.batch_bytes, look_back_days: self.look_back, retries_damaged: self.scope.salvage }
    }
}

/// What was asked for, checked.
struct Asked {
    listing: Arc<Listing>,
    /// What is known of the event history, of a dry run.
    history: Option<String>,
    scope: Scope,
    place: Place,
}

pub async fn run(args: IngestArgs, global: Global) -> Result<Code, Failure> {
    let started = Instant::now();
    if args.print_policy {
        args.scope.resolve(now_micros(), &global)?;
        let (locations, store) = places(&args)?;
        let mut to = Target::stdout();
        writeln!(to, "{:#}", policy(&locations, &store)).map_err(|e| Failure::write(&e))?;
        to.commit()?;
        return Ok(Code::Done);
    }
    let summary_file = args.summary_json.as_deref().map(|path| Target::file(path, output::Existing::Replace));
    let summary_file = summary_file.transpose()?;
    let (locations, _) = places(&args)?;
    let scope = within_reach(args.scope.resolve(now_micros(), &global)?, &locations, now_micros());
    let place = store_place(&args.store, &args.scope.aws.options()?).await?;
    let mut remote = remote(&args.scope.aws.options()?, now_micros(), &global);
    if locations.iter().any(|location| matches!(location, Location::History(_))) {
        remote.covered = ends_of_history(&place).await?;
    }
    let (within, is_dry) = (scope.clone(), args.scope.dry_run);
    let listed = tokio::task::spawn_blocking(move || match is_dry {
        true => source::list_for_plan(&locations, &within, &remote),
        false => Ok((source::list(&locations, &within, &remote)?, None)),
    });
    let (listing, history) = listed.await.map_err(|e| Failure::world(format!("cannot list the locations: {e}")))??;
    let asked = Asked { listing: Arc::new(listing), history, scope, place };
    if args.scope.dry_run {
        return plan_of(&asked, &args).await;
    }
    let has_log = (0..asked.listing.len()).any(|index| asked.listing.entry(index) == Entry::Log);
    let mut store = Store::open_or_create(asked.place, args.scope.asked_filter()).await?;
    let progress = Line::new(&global, asked.listing.total_bytes());
    let line = progress.clone();
    let options = ScanOptions {
        filter: store.filter(),
        // The ledger counts an object as read, so none of its records may be left out.
        scope: Scope::default(),
        threads: global.threads(),
        salvage: args.scope.salvage,
        identities_max: IDENTITIES_MAX,
        progress: Arc::new(move |p: Progress| line.set(p.bytes)),
    };
    let done = store::ingest(&mut store, asked.listing, options, args.pace()).await;
    progress.clear();
    let done = done?;
    let summary = Summary {
        accounting: Some(done.accounting.clone()),
        interval: times::interval(asked.scope.since, asked.scope.until),
        elapsed: started.elapsed(),
        // A run that finds nothing new succeeded; a run that finds no log at all did not.
        without_logs: if has_log { WithoutLogs::IsNothingNew } else { WithoutLogs::IsIncomplete },
    };
    let code = summary.code();
    if !global.quiet {
        accounting::print(&summary, Block::Whole, &global);
        say(format_args!("store     {}", in_words(&done)));
    }
    if let Some(mut file) = summary_file {
        write_summary(&mut file, &done, &summary, code)?;
        file.commit()?;
    }
    Ok(code)
}

fn in_words(done: &Ingested) -> String {
    let batches = match done.batches {
        0 => "nothing new".to_owned(),
        1 => "1 batch".to_owned(),
        n => format!("{} batches", count(n)),
    };
    format!("{batches}; {} objects were there already; version {}", count(done.old), done.version)
}

/// What a store has of event histories; nothing where there is none yet.
async fn ends_of_history(place: &Place) -> Result<HashMap<String, String>, Failure> {
    match Store::open(place.clone()).await {
        Ok(store) => Ok(store.ends_of_history().await?),
        Err(StoreError::Absent { .. }) => Ok(HashMap::new()),
        Err(error) => Err(error.into()),
    }
}

/// The locations and the store, apart from each other.
fn places(args: &IngestArgs) -> Result<(Vec<Location>, Location), Failure> {
    let locations: Vec<Location> = args::locations(&args.locations)?.into_iter().map(in_full).collect();
    if locations.contains(&Location::Stdin) {
        return Err(Failure::usage("cannot ingest stdin: it has no name by which a store could know it again")
            .hint("save it to a file first"));
    }
    let store = Location::parse(&args.store)?;
    if let Location::S3(path) = &store
        && path.prefix.split('/').any(|part| part == "AWSLogs")
    {
        return Err(Failure::usage(format!("the store `{}` lies where AWS delivers logs", args.store))
            .hint("name a prefix without AWSLogs: whatever is below it is read as logs"));
    }
    if locations.iter().any(|logs| lie_together(logs, &store)) {
        return Err(Failure::usage(format!("the store `{}` and the logs lie in one another", args.store))
            .hint("name a directory beside the logs: whatever is among them is read as logs"));
    }
    Ok((locations, store))
}

/// Whether one of two places would be read or written as the other's.
fn lie_together(logs: &Location, store: &Location) -> bool {
    match (logs, store) {
        (Location::Path(logs), Location::Path(store)) => {
            let store = real_path(store);
            store.starts_with(logs) || logs.starts_with(store)
        }
        // A bucket often holds both, each under its own prefix.
        (Location::S3(logs), Location::S3(store)) => logs.holds(store) || store.holds(logs),
        _ => false,
    }
}

/// The ledger names objects by their whole path, so that it does not matter from where a run is started.
fn in_full(location: Location) -> Location {
    match location {
        Location::Path(path) => Location::Path(fs::canonicalize(&path).unwrap_or(path)),
        other => other,
    }
}

/// With links resolved as far as there is something; the rest may be about to be made.
fn real_path(path: &Path) -> PathBuf {
    let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors()
        .find_map(|there| Some(fs::canonicalize(there).ok()?.join(path.strip_prefix(there).ok()?)))
        .unwrap_or_else(|| path.clone())
}

async fn plan_of(asked: &Asked, args: &IngestArgs) -> Result<Code, Failure> {
    let store = match Store::open(asked.place.clone()).await {
        Ok(store) => Some(store),
        Err(StoreError::Absent { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if let (Some(store), Some(filter)) = (&store, args.scope.asked_filter()) {
        store.expect_filter(filter)?;
    }
    let plan = store::plan(store.as_ref(), &asked.listing, args.pace()).await?;
    let mut to = Target::stdout();
    plan_lines(&plan, asked, args)
        .iter()
        .try_for_each(|line| writeln!(to, "{line}"))
        .map_err(|e| Failure::write(&e))?;
    to.commit()?;
    Ok(Code::Done)
}

fn plan_lines(plan: &Plan, asked: &Asked, args: &IngestArgs) -> Vec<String> {
    let pruned = asked.listing.pruned();
    let cost = Cost {
        list_requests: asked.listing.requests(),
        get_requests: plan.get_requests,
        bytes: plan.bytes,
        history: asked.history.clone(),
    };
    let mut lines = vec![
        format!(
            "objects   {} to read ({} new, {} changed, {} again); {} are in the store",
            count(plan.objects()),
            count(plan.new),
            count(plan.changed),
            count(plan.again),
            count(plan.old)
        ),
        format!(
            "bytes     {} in {} batches",
            accounting::bytes(plan.bytes),
            count(plan.batch_count(&asked.listing, args.batch_bytes))
        ),
        format!(
            "pruned    {} folders and {} objects by the scope",
            count(pruned.directories as u64),
            count(pruned.objects as u64)
        ),
    ];
    lines.extend(dry_run::cost_lines(&cost));
    lines
}

fn write_summary(to: &mut Target, done: &Ingested, summary: &Summary, code: Code) -> Result<(), Failure> {
    let a = &done.accounting;
    let objects: serde_json::Map<_, _> =
        a.by_status.each().map(|(status, n)| (status.name().to_owned(), json!(n))).collect();
    let problem = |Problem { uri, outcome }: &Problem| {
        let (status, error) = (outcome.status().name(), outcome.error().unwrap_or_default());
        json!({"uri": uri, "status": status, "error": error})
    };
    let problems: Vec<_> = a.problems.iter().map(problem).collect();
    let mut all = json!({
        "exit_code": code as u8,
        "interval": summary.interval,
        "seconds": summary.elapsed.as_secs_f64(),
        "batches": done.batches,
        "store_version": done.version,
        "objects_known": done.old,
        "objects": objects,
        "bytes": a.bytes,
        "event_history_objects": a.history_objects,
        "problem_count": a.problem_count(),
        "problems": problems,
    });
    a.counts.each().for_each(|(name, n)| all[name] = json!(n));
    writeln!(to, "{all:#}").map_err(|e| Failure::write(&e))
}
