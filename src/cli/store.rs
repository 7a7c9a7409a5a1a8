//! `keytrail store`: the content of a store, the proof that it is whole, and its upkeep.
//! In: a store. Out: a table or JSON on stdout, an exit code.
//! `info` and `check` change nothing; `compact` and `gc` change no event.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::args::{AwsArgs, GlobalArgs, SharedArgs};
use super::exit::{Failure, RunExitCode, say, with_exit_codes};
use super::summary;
use crate::dataset::store_place;
use crate::output::visible::visible;
use crate::output::words::{bytes, count};
use crate::output::{OutputTarget, times};
use crate::store::{self, CheckOptions, CompactionOptions, GcOptions, OlderRows, Store, StoreCheck, StoreOverview};
use crate::time::now_micros;

#[derive(Args, Debug, Clone)]
pub struct StoreArgs {
    #[command(subcommand)]
    verb: StoreVerb,
}

#[derive(Subcommand, Debug, Clone)]
enum StoreVerb {
    /// What it holds: size, span, versions, and the logical hash of its events
    #[command(after_help = with_exit_codes("Examples:
  keytrail store info events.store
  keytrail store info s3://bucket/store --format json"))]
    Info(InfoArgs),
    /// Prove it: the chain of its commits, and every file with its statistics, hashes and accounts. Prints the head of
    /// the chain and the logical hash, to be noted elsewhere
    #[command(after_help = with_exit_codes("Examples:
  keytrail store check events.store || echo \"damaged or unreadable\"
  keytrail store check --deep --expect-head NOTED_HASH events.store"))]
    Check(CheckArgs),
    /// Merge small files of a day into larger ones; the events stay as they are
    #[command(after_help = with_exit_codes("Examples:
  keytrail store compact events.store
  keytrail store compact --renormalize events.store"))]
    Compact(CompactArgs),
    /// Remove files that no version in use names
    #[command(after_help = with_exit_codes("Examples:
  keytrail store gc events.store
  keytrail store gc events.store --older-than 30d"))]
    Gc(GcArgs),
}

#[derive(Args, Debug, Clone)]
struct StoreArg {
    /// The store: a directory or s3://BUCKET/PREFIX
    #[arg(value_name = "STORE")]
    store: String,
    #[command(flatten)]
    shared: SharedArgs,
    #[command(flatten)]
    aws: AwsArgs,
}

#[derive(Args, Debug, Clone)]
struct CheckArgs {
    #[command(flatten)]
    store: StoreArg,
    /// Also make the columns of every event again from its record, and compare them
    #[arg(long)]
    deep: bool,
    /// The head that an earlier check printed: it must be a commit of this store
    #[arg(long, value_name = "HASH")]
    expect_head: Option<String>,
}

#[derive(Args, Debug, Clone)]
struct InfoArgs {
    #[command(flatten)]
    store: StoreArg,
    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", help_heading = "Output")]
    format: InfoFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum InfoFormat {
    /// Lines for people
    Table,
    /// One object
    Json,
}

#[derive(Args, Debug, Clone)]
struct CompactArgs {
    #[command(flatten)]
    store: StoreArg,
    /// First bring rows of an earlier normalizer up to date: make their columns again from their records. Events that
    /// an earlier filter left out cannot come back
    #[arg(long)]
    renormalize: bool,
}

#[derive(Args, Debug, Clone)]
struct GcArgs {
    #[command(flatten)]
    store: StoreArg,
    /// Only what has been unneeded for this long, such as 7d or 24h; 0d also takes files that a run under way has
    /// written and not yet committed
    #[arg(long, value_name = "AGE", default_value = "7d")]
    older_than: String,
}

pub async fn run(args: StoreArgs, global: GlobalArgs) -> Result<RunExitCode, Failure> {
    match args.verb {
        StoreVerb::Info(args) => info(&store::info(&open(&args.store).await?).await?, args.format),
        StoreVerb::Check(args) => check(&args).await,
        StoreVerb::Compact(args) => compact(&args, &global).await,
        StoreVerb::Gc(args) => gc(&args, &global).await,
    }
}

async fn open(args: &StoreArg) -> Result<Store, Failure> {
    let place = store_place(&args.store, &args.aws.options()?, args.shared.access()).await?;
    Ok(Store::open(place).await?)
}

fn info(info: &StoreOverview, format: InfoFormat) -> Result<RunExitCode, Failure> {
    let time = |micros: Option<i64>| micros.map(times::rfc3339);
    let all: [(&str, Value); 14] = [
        ("path", json!(info.path)),
        ("format_version", json!(info.format_version)),
        ("commits", json!(info.commits)),
        ("batches", json!(info.batches)),
        ("events", json!(info.events)),
        ("objects", json!(info.objects)),
        ("files", json!(info.files)),
        ("first_event", json!(time(info.first_event))),
        ("last_event", json!(time(info.last_event))),
        ("bytes", json!(info.bytes)),
        ("filter", json!(info.filter)),
        ("normalizer", json!(info.normalizer)),
        ("older_rows", json!(info.older_rows)),
        ("logical_hash", json!(info.logical_hash.to_string())),
    ];
    let mut to = OutputTarget::stdout();
    let written = match format {
        InfoFormat::Json => {
            let members: serde_json::Map<_, _> =
                all.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
            writeln!(to, "{:#}", Value::Object(members))
        }
        InfoFormat::Table => all.iter().try_for_each(|(name, value)| writeln!(to, "{name:<15} {}", cell(value))),
    };
    written.map_err(|e| Failure::write(&e))?;
    to.commit()?;
    Ok(RunExitCode::Done)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text).into_owned(),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), count),
        other => other.to_string(),
    }
}

async fn compact(args: &CompactArgs, global: &GlobalArgs) -> Result<RunExitCode, Failure> {
    let older_rows = if args.renormalize { OlderRows::Renormalize } else { OlderRows::Stay };
    let mut store = open(&args.store).await?;
    let done = store::compact(&mut store, CompactionOptions { threads: global.threads(), older_rows }).await?;
    if global.quiet {
        return Ok(RunExitCode::Done);
    }
    if done.upgraded {
        say(format_args!("format    {}", summary::upgraded()));
    }
    if args.renormalize {
        say(format_args!("rows      {} brought up to date", count(done.renormalized)));
    }
    if args.renormalize && done.older_rows > 0 {
        let older = count(done.older_rows);
        say(format_args!("older     {older} stay as they are: their records cannot be read again as the same events"));
    } else if done.older_rows > 0 {
        say(format_args!("older     {}", summary::older(done.older_rows)));
    }
    say(format_args!("files     {} before, {} now", count(done.files_before), count(done.files_after)));
    Ok(RunExitCode::Done)
}

async fn check(args: &CheckArgs) -> Result<RunExitCode, Failure> {
    let expected_head = args.expect_head.as_ref().map(|head| head.to_ascii_lowercase());
    if let Some(head) = expected_head.as_ref().filter(|head| head.len() != 64 || !is_hexadecimal(head)) {
        let refused = Failure::usage(format!("cannot read --expect-head: `{}` is no SHA-256", visible(head)));
        return Err(refused.hint("`keytrail store check` prints it as `head`"));
    }
    let options = CheckOptions { is_deep: args.deep, expected_head };
    let checked = store::check(&open(&args.store).await?, &options).await?;
    let mut to = OutputTarget::stdout();
    report(&mut to, &checked, &options).map_err(|e| Failure::write(&e))?;
    to.commit()?;
    Ok(if checked.fault_count == 0 { RunExitCode::Done } else { RunExitCode::Unproved })
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn report(to: &mut impl Write, checked: &StoreCheck, options: &CheckOptions) -> std::io::Result<()> {
    for fault in &checked.faults {
        writeln!(to, "fault     {}", visible(fault))?;
    }
    let more = checked.fault_count - checked.faults.len() as u64;
    if more > 0 {
        writeln!(to, "          and {} more", count(more))?;
    }
    let verdict = if checked.fault_count == 0 { "proved" } else { "not proved" };
    let read = format!("{} files, {}, {} events", count(checked.files), bytes(checked.bytes), count(checked.events));
    writeln!(to, "{verdict:<9} {read}")?;
    if options.is_deep {
        writeln!(to, "deep      {} events were made again from their records", count(checked.rederived))?;
    }
    let chain = &checked.chain;
    match chain.first {
        Some(0) => writeln!(to, "chain     all commits of the events, 0 to {}", chain.version)?,
        Some(first) => writeln!(
            to,
            "chain     commits {first} to {} of the events; of those before it nothing is claimed",
            chain.version
        )?,
        None => writeln!(to, "chain     none: every commit was made without one; the next run begins it")?,
    }
    if let Some(noted) = options.expected_head.as_ref().and_then(|head| chain.commit(head)) {
        writeln!(to, "noted     the expected head is commit {noted}")?;
    }
    if let Some(head) = &chain.head {
        writeln!(to, "head      {head}")?;
    }
    writeln!(to, "hash      {}", checked.logical_hash)?;
    writeln!(to, "note      keep head and hash elsewhere: an older copy of the whole store proves itself as well")
}

async fn gc(args: &GcArgs, global: &GlobalArgs) -> Result<RunExitCode, Failure> {
    let refuse = || Failure::usage(format!("cannot read --older-than: `{}` is no age", args.older_than));
    let age = times::span(&args.older_than).flatten().ok_or_else(|| refuse().hint("write 7d or 24h"))?;
    if age == 0 && !global.quiet {
        say("note: --older-than 0d also removes what runs under way have written; make sure that there is none");
    }
    let collection = GcOptions { now_millis: now_micros() / 1000, age_millis: age / 1000 };
    let done = store::collect(&mut open(&args.store).await?, collection).await?;
    if !global.quiet {
        say(format_args!("removed   {} files, {}", count(done.files), bytes(done.bytes)));
        if done.kept > 0 {
            say(format_args!(
                "kept      {} files that nothing names, younger than {}",
                count(done.kept),
                visible(&args.older_than)
            ));
        }
    }
    Ok(RunExitCode::Done)
}
