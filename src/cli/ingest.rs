//! `keytrail ingest`: reads new and changed objects of the locations into a store, each once.
//! In: locations, scope, a store. Out: the accounts of the run on stderr, and on demand as JSON in a file.
//! Never reads an object again if the store has this version of it.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::args::{GlobalArgs, ScopeArgs, file_beside};
use super::dry_run;
use super::exit::{Failure, RunExitCode, say, with_exit_codes};
use super::open::observer;
use super::policy::policy;
use super::progress::ProgressLine;
use super::summary::{self, RunSummary, ScopeLists, SummaryBlock};
use crate::arn::partition_of;
use crate::audit::seen_json;
use crate::dataset::{DatasetOptions, Intake, IntakePlan, apart};
use crate::output::words::{bytes, count};
use crate::output::{ExistingFile, OutputTarget, times};
use crate::source::{Location, told_region};
use crate::store::{IngestOptions, IngestOutcome, StoreAccess, StoreMode};
use crate::table::{Completeness, ObjectProblem, WithoutLogs};

#[derive(Args, Debug, Clone)]
#[command(after_help = with_exit_codes("Examples:
  keytrail ingest logs/ --store events.store
  keytrail ingest logs/ --store events.store --dry-run
  keytrail ingest logs/ --store events.store --summary-json last-run.json

Run it as often as you like, also twice at once: an object is counted once.
A run that was killed needs no repair: the next one goes on.
A lookup of event history is committed when it has ended: a run that is stopped before has kept nothing of it.
The scope chooses objects by their folders; of an object that is read, all records go in."))]
pub struct IngestArgs {
    /// Where the logs are: files, directories, s3://BUCKET/PREFIX, cloudtrail://REGION [default: KEYTRAIL_FROM]
    #[arg(value_name = "LOCATION")]
    pub locations: Vec<String>,
    /// The store: a directory or s3://BUCKET/PREFIX, made if it is not there
    #[arg(long, value_name = "STORE")]
    pub store: String,
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Who may read the store on this machine [default: private, or as the store is]
    #[arg(long, value_name = "WHO", help_heading = "Store")]
    pub store_mode: Option<StoreReaders>,
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

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum StoreReaders {
    /// Its owner alone
    Private,
    /// Also the group of its folder
    Group,
}

impl IngestArgs {
    /// The access to the store that these arguments ask for.
    fn access(&self) -> StoreAccess {
        let mode = self.store_mode.map(|readers| match readers {
            StoreReaders::Private => StoreMode::Private,
            StoreReaders::Group => StoreMode::Group,
        });
        StoreAccess { mode, ..self.scope.shared.access() }
    }

    fn pace(&self) -> IngestOptions {
        IngestOptions {
            batch_bytes_max: self.batch_bytes,
            look_back_days: self.look_back,
            retries_damaged: self.scope.salvage,
            first_day: None,
        }
    }
}

pub async fn run(args: IngestArgs, global: GlobalArgs) -> Result<RunExitCode, Failure> {
    let started = Instant::now();
    let options = args.scope.dataset(&args.locations, &global)?;
    let options = DatasetOptions { store_access: args.access(), ..options };
    if args.print_policy {
        return print_policy(options, &args.store).await;
    }
    let written = Location::parse(&args.store).into_iter().collect();
    let beside = [options.locations.clone(), args.scope.files(), written].concat();
    let summary_file = args.summary_json.as_deref();
    let summary_file = summary_file.map(|path| file_beside(path, ExistingFile::Replace, &beside)).transpose()?;
    let progress = ProgressLine::new(&global);
    let observer = observer(&progress);
    if args.scope.dry_run {
        return print_plan(&Intake::plan(options, &args.store, args.pace(), &observer).await?);
    }
    let intake = Intake::list(options, &args.store, args.pace(), &observer).await?;
    let interval = times::interval(intake.scope().since, intake.scope().until);
    let done = intake.run(&observer).await;
    progress.clear();
    let done = done?;
    let summary = RunSummary {
        accounting: Some(done.accounting.clone()),
        interval,
        // A store takes all records of an object, so no list leaves any out.
        lists: ScopeLists::Absent,
        elapsed: started.elapsed(),
        // A run that finds nothing new succeeded; a run that finds no log at all did not.
        without_logs: if done.has_log { WithoutLogs::IsNothingNew } else { WithoutLogs::IsIncomplete },
        missing: Vec::new(),
    };
    if !global.quiet {
        summary::print(&summary, SummaryBlock::Whole, &global);
        say(format_args!("store     {}", in_words(&done)));
        if done.upgraded {
            say(format_args!("format    {}", summary::upgraded()));
        }
    }
    if let Some(mut file) = summary_file {
        write_summary(&mut file, &done, &summary)?;
        file.commit()?;
    }
    Ok(summary.code())
}

async fn print_policy(options: DatasetOptions, store: &str) -> Result<RunExitCode, Failure> {
    let (locations, store) = apart(options.locations, store)?;
    let region = match locations.iter().find_map(Location::region) {
        Some(region) => Some(region.to_owned()),
        None => told_region(&options.aws).await.or_else(|| options.scope.regions.first().cloned()),
    };
    if region.is_none() {
        say(
            "note: no Region is named, so this is the policy for the partition `aws`; AWS_REGION or a profile names one",
        );
    }
    let partition = partition_of(region.as_deref().unwrap_or_default());
    let mut to = OutputTarget::stdout();
    writeln!(to, "{:#}", policy(&locations, &store, partition)).map_err(|e| Failure::write(&e))?;
    to.commit()?;
    Ok(RunExitCode::Done)
}

fn in_words(done: &IngestOutcome) -> String {
    let batches = match done.batches {
        0 => "nothing new".to_owned(),
        1 => "1 batch".to_owned(),
        n => format!("{} batches", count(n)),
    };
    format!("{batches}; {} objects were there already; version {}", count(done.old), done.version)
}

fn print_plan(plan: &IntakePlan) -> Result<RunExitCode, Failure> {
    let mut to = OutputTarget::stdout();
    plan_lines(plan).iter().try_for_each(|line| writeln!(to, "{line}")).map_err(|e| Failure::write(&e))?;
    to.commit()?;
    Ok(RunExitCode::Done)
}

fn plan_lines(plan: &IntakePlan) -> Vec<String> {
    let store = &plan.store;
    let mut lines = vec![
        format!(
            "objects   {} to read ({} new, {} changed, {} again); {} are in the store",
            count(store.objects()),
            count(store.new),
            count(store.changed),
            count(store.again),
            count(store.old)
        ),
        format!("bytes     {} in {} batches", bytes(store.bytes), count(plan.batches)),
        format!(
            "pruned    {} folders and {} objects by the scope",
            count(plan.pruned.directories as u64),
            count(plan.pruned.objects as u64)
        ),
    ];
    lines.extend(dry_run::without_organization(&plan.pruned));
    lines.extend(dry_run::cost_lines(&plan.cost));
    lines
}

fn write_summary(to: &mut OutputTarget, done: &IngestOutcome, summary: &RunSummary) -> Result<(), Failure> {
    let a = &done.accounting;
    let objects: serde_json::Map<_, _> =
        a.by_status.each().map(|(status, n)| (status.name().to_owned(), json!(n))).collect();
    let problem = |ObjectProblem { uri, outcome }: &ObjectProblem| {
        let (status, error) = (outcome.status().name(), outcome.error().unwrap_or_default());
        json!({"uri": uri, "status": status, "error": error})
    };
    let problems: Vec<_> = a.problems.iter().map(problem).collect();
    let mut all = json!({
        "exit_code": summary.code() as u8,
        "interval": summary.interval,
        "seconds": summary.elapsed.as_secs_f64(),
        "batches": done.batches,
        "upgraded": done.upgraded,
        "store_version": done.version,
        "objects_known": done.old,
        "objects": objects,
        "bytes": a.bytes,
        "event_history_objects": a.history_objects,
        "accepted_objects": a.accepted.objects,
        "input_complete": a.verdict(summary.without_logs) == Completeness::Complete,
        "seen": seen_json(&a.seen),
        "untimed": a.lacking.time,
        "unplaced": a.lacking.place,
        "unplaced_objects": a.without_organization,
        "problem_count": a.problem_count(),
        "problems": problems,
    });
    a.counts.each().for_each(|(name, n)| all[name] = json!(n));
    writeln!(to, "{all:#}").map_err(|e| Failure::write(&e))
}
