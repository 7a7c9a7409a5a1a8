//! The command line: arguments, one library call per verb, printing, exit codes.
//! In: argv. Out: data on stdout, everything else on stderr, and an exit code of the contract.
//! Nothing below this module prints.

mod accept;
mod args;
mod audit;
mod audit_screen;
mod completions;
mod crew;
mod dry_run;
mod exit;
mod finding_args;
mod ingest;
mod man;
mod memory;
mod open;
mod page;
mod panics;
mod parameters;
mod policy;
mod progress;
mod queries;
mod query;
mod report;
mod shell;
mod state_files;
mod store;
mod summary;
mod toml_file;
mod trace;
mod watch;

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use args::GlobalArgs;
use crew::Crew;
use exit::{Failure, RunExitCode, say, with_exit_codes};
use watch::Watch;

use crate::output::visible::{acts, visible};
use crate::source::without_secrets;

/// The time that a question may compute unless the user says otherwise.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(600);

/// Who used which AWS KMS key, directly or through DynamoDB, and who was denied and why, from CloudTrail logs.
#[derive(Parser, Debug)]
#[command(
    name = "keytrail",
    version,
    max_term_width = 110,
    after_help = with_exit_codes("Examples:
  keytrail audit logs/
  keytrail audit logs/ --since 7d --account 111122223333 -f markdown -o audit.md
  keytrail query \"SELECT principal, count(*) FROM key_use GROUP BY 1\" --from logs/
  keytrail report logs/ -o report.html
  keytrail queries")
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    global: GlobalArgs,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Who used which key, who was denied and why, what needs a look
    Audit(audit::AuditArgs),
    /// Write one HTML file for people who decide
    Report(report::ReportArgs),
    /// Run SQL or a named query; with neither, on a terminal, the shell
    Query(query::QueryArgs),
    /// Tell the life of one key, table or principal, in order of time
    Trace(trace::TraceArgs),
    /// Read what is new into a store, each object once
    Ingest(ingest::IngestArgs),
    /// Look at a store, prove it, or put it in order
    Store(store::StoreArgs),
    /// List the named queries, or show one
    Queries(queries::QueriesArgs),
    /// Print the completion script of a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual
    Man(man::ManArgs),
}

/// Everything from argv to the exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let style = cli.global.stderr_style();
    panics::end_some(style);
    let code = dispatch(cli).unwrap_or_else(|failure| {
        failure.print(style);
        failure.code()
    });
    code.into()
}

fn dispatch(cli: Cli) -> Result<RunExitCode, Failure> {
    let global = cli.global;
    match cli.verb {
        Verb::Audit(args) => watched(&global, None, audit::run(args, global.clone())),
        Verb::Report(args) => watched(&global, None, report::run(args, global.clone())),
        Verb::Query(args) => match args.asked()? {
            query::QueryMode::Now(source) => {
                watched(&global, Some(QUESTION_TIMEOUT), query::run(args, source, global.clone()))
            }
            query::QueryMode::InShell => {
                let watch = start(&global)?;
                shell::run(&watch, &args, &global)
            }
        },
        Verb::Trace(args) => watched(&global, None, trace::run(args, global.clone())),
        Verb::Ingest(args) => watched(&global, None, ingest::run(args, global.clone())),
        Verb::Store(args) => watched(&global, None, store::run(args, global.clone())),
        Verb::Queries(queries::QueriesArgs { lint: Some(folder), .. }) => {
            watched(&global, None, queries::lint(folder, global.clone()))
        }
        Verb::Queries(args) => queries::run(&args, &global),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(_) => man::run(),
    }
}

/// `--help` and `--version` are answers on stdout; any other error of clap's is a usage error in its words.
fn refuse(error: &clap::Error) -> ExitCode {
    let is_answer = !error.use_stderr();
    let text = error.render().to_string();
    let is_odd = text.chars().any(|c| c != '\n' && acts(c)) || without_secrets(&text) != text;
    if !is_answer && is_odd {
        // It repeats an argument; the parts of it that a terminal would act on, or that are secret, are not for the screen.
        text.trim_end().lines().for_each(|line| say(visible(&without_secrets(line))));
        return RunExitCode::Usage.into();
    }
    match error.print() {
        Err(cause) if is_answer => Failure::write(&cause).code().into(),
        // If stderr is closed, the exit code must say it all.
        _ if is_answer => RunExitCode::Done.into(),
        _ => RunExitCode::Usage.into(),
    }
}

/// Bounds the memory of this process and starts the watch over it.
fn start(global: &GlobalArgs) -> Result<Watch, Failure> {
    if let Some(bytes) = global.memory.or_else(memory::most_of_machine) {
        keytrail_limits::allow(bytes);
    }
    Watch::start(global.stderr_style()).map_err(|e| Failure::world(format!("cannot watch for signals: {e}")))
}

/// Of a thread that plans and computes: a statement may have a thousand operators, each a level of the plan.
const STACK_BYTES: usize = 8 << 20;

/// The threads that work runs on.
fn runtime(global: &GlobalArgs) -> Result<Runtime, Failure> {
    runtime_with(global.threads(), &Arc::default())
}

/// The same, whose threads are a crew.
fn runtime_with(threads: usize, crew: &Arc<Crew>) -> Result<Runtime, Failure> {
    let crew = Arc::clone(crew);
    let built = Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_stack_size(STACK_BYTES)
        .on_thread_start(move || crew.enter())
        .on_thread_stop(Crew::exit)
        .enable_all()
        .build();
    built.map_err(|e| Failure::world(format!("cannot start threads: {e}")))
}

/// Runs work under the watch, which ends the process at a signal or after `timeout` of computing, unless the user says
/// another.
fn watched<T: Send + 'static>(
    global: &GlobalArgs,
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let (watch, runtime) = (start(global)?, runtime(global)?);
    let result = {
        let _watched = watch.run_under_way(global.timeout(timeout));
        joined(runtime.block_on(runtime.spawn(work)))
    };
    // Nobody waits for a thread that still reads.
    runtime.shutdown_background();
    result
}

fn joined<T>(done: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    done.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => Err(panics::failure(&*panic)),
        Err(error) => Err(Failure::world(format!("cannot finish: {error}"))),
    })
}
