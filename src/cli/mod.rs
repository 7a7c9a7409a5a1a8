//! The command line: arguments, one library call per verb, printing, exit codes.
//! In: argv. Out: data on stdout, everything else on stderr, and an exit code of the contract.
//! Nothing below this module prints.

mod accept;
mod args;
mod audit;
mod audit_screen;
mod completions;
mod dry_run;
mod exit;
mod ingest;
mod man;
mod no_threads;
mod open;
mod page;
mod parameters;
mod policy;
mod progress;
mod queries;
mod query;
mod shell;
mod state_files;
mod store;
mod summary;
mod trace;

use std::future::Future;
use std::pin::pin;
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use args::GlobalArgs;
use exit::{Failure, RunExitCode, say, with_exit_codes};

use crate::output::visible::{acts, visible};
use crate::source::without_user;

/// The time that a stopped run has to remove its unfinished files.
const CLEANUP: Duration = Duration::from_millis(500);

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
    no_threads::end_the_run(style);
    let code = dispatch(cli).unwrap_or_else(|failure| {
        failure.print(style);
        failure.code()
    });
    code.into()
}

fn dispatch(cli: Cli) -> Result<RunExitCode, Failure> {
    let global = cli.global;
    match cli.verb {
        Verb::Audit(args) => with_runtime(&global, |runtime| interruptible(runtime, audit::run(args, global.clone()))),
        Verb::Query(args) => match args.asked()? {
            query::QueryMode::Now(source) => {
                with_runtime(&global, |runtime| interruptible(runtime, query::run(args, source, global.clone())))
            }
            query::QueryMode::InShell => with_runtime(&global, |runtime| shell::run(runtime, &args, &global)),
        },
        Verb::Trace(args) => with_runtime(&global, |runtime| interruptible(runtime, trace::run(args, global.clone()))),
        Verb::Ingest(args) => {
            with_runtime(&global, |runtime| interruptible(runtime, ingest::run(args, global.clone())))
        }
        Verb::Store(args) => with_runtime(&global, |runtime| interruptible(runtime, store::run(args, global.clone()))),
        Verb::Queries(args) => queries::run(&args, &global),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(_) => man::run(),
    }
}

/// `--help` and `--version` are answers on stdout; any other error of clap's is a usage error in its words.
fn refuse(error: &clap::Error) -> ExitCode {
    let is_answer = !error.use_stderr();
    let text = error.render().to_string();
    let is_odd = text.chars().any(|c| c != '\n' && acts(c)) || without_user(&text) != text;
    if !is_answer && is_odd {
        // It repeats an argument; the parts of it that a terminal would act on, or that name a user, are not for the screen.
        text.trim_end().lines().for_each(|line| say(visible(&without_user(line))));
        return RunExitCode::Usage.into();
    }
    match error.print() {
        Err(cause) if is_answer => Failure::write(&cause).code().into(),
        // If stderr is closed, the exit code must say it all.
        _ if is_answer => RunExitCode::Done.into(),
        _ => RunExitCode::Usage.into(),
    }
}

fn with_runtime<T>(global: &GlobalArgs, work: impl FnOnce(&Runtime) -> Result<T, Failure>) -> Result<T, Failure> {
    let built = Builder::new_multi_thread().worker_threads(global.threads()).enable_all().build();
    let runtime = built.map_err(|e| Failure::world(format!("cannot start threads: {e}")))?;
    let result = work(&runtime);
    // Nobody waits for a thread that still reads.
    runtime.shutdown_background();
    result
}

/// Ends at Ctrl-C, or at SIGTERM from a service manager.
async fn stopped() -> std::io::Result<()> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminated.recv() => Ok(()),
    }
}

/// Runs work beside a watch on Ctrl-C and SIGTERM. Stopped work is dropped, and with it its unfinished files.
fn interruptible<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    runtime.block_on(async move {
        let mut pressed = pin!(stopped());
        // The first poll starts the watch, so it comes before any work.
        if let Poll::Ready(Err(error)) = futures::poll!(&mut pressed) {
            say(format_args!("note: signals cannot be watched: {error}"));
            return joined(runtime.spawn(work).await);
        }
        let mut task = runtime.spawn(work);
        tokio::select! {
            biased;
            done = &mut task => return joined(done),
            _ = pressed => {}
        }
        // Threads of libraries may panic when others are gone; the user must not see that.
        std::panic::set_hook(Box::new(|_| {}));
        task.abort();
        match tokio::time::timeout(CLEANUP, task).await {
            // The work finished in the same moment, so its result is whole.
            Ok(Ok(done)) => done,
            _ => Err(Failure::interrupted()),
        }
    })
}

fn joined<T>(done: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    done.unwrap_or_else(|e| Err(Failure::world(format!("cannot finish: a thread failed: {e}"))))
}
