//! The interactive shell: SQL until `;`, named queries by name, dot commands, and the backslash commands of `psql`.
//! In: lines of a terminal. Out: rows on stdout; an error ends its query, never the shell.
//! Keeps a history of the typed lines beside the user's other state; never saves an answer.

use std::borrow::Cow;
use std::env;
use std::fs;
use std::future::Future;
use std::os::unix::fs::DirBuilderExt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use futures::FutureExt;
use keytrail_limits::unheard;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use tokio::runtime::Runtime;

use super::args::GlobalArgs;
use super::crew::Crew;
use super::exit::{Failure, RunExitCode, say};
use super::open::{CliSession, dry_run};
use super::panics;
use super::parameters::{self, parameter};
use super::queries;
use super::query::{self, Asker, OutputOptions, QueryArgs, QueryOutcome, Question};
use super::watch::{Stop, Watch};
use super::{QUESTION_TIMEOUT, joined};
use crate::output::visible::visible;
use crate::output::words::{count, seconds};
use crate::output::{Format, OutputStop, OutputTarget};
use crate::sql::did_you_mean::did_you_mean;
use crate::sql::named;

/// Each with its other spellings, and what it does.
const COMMANDS: &[(&str, &[&str], &str)] = &[
    (".tables", &["\\d"], "list tables and views"),
    (".schema", &["\\d NAME"], "columns of all tables, or of one: .schema events"),
    (".queries", &[], "list the named queries; their name runs them: name param=value"),
    (".format", &[], "table, csv, json, jsonl or markdown"),
    (".timing", &[], "on or off: what each answer took and read"),
    (".help", &["\\?", "help"], "this list"),
    (".quit", &["\\q", "quit", "exit"], "leave, as Ctrl-D does"),
];

/// Before the first line of a statement, and before those that go on with it.
const PROMPT: &str = "keytrail> ";
const CONTINUATION_PROMPT: &str = "     ...> ";

/// Words that open a statement of SQL: a line with only such a word waits for the rest.
const OPENING_WORDS: &[&str] = &["select", "with", "show", "describe", "explain", "values", "table"];

/// The time that a stopped statement has to give up, before its threads are left behind.
const GIVING_UP: Duration = Duration::from_millis(200);

/// Stopped statements that may go on beside the next: each may keep every core busy.
const LEFT_MAX: usize = 2;

struct SqlShell<'w> {
    watch: &'w Watch,
    /// Statements compute here. One that is stopped keeps its threads until it notices; the next statement gets others.
    computing: Option<Computing>,
    /// Those of stopped statements.
    left: Vec<Arc<Crew>>,
    opened: Arc<CliSession>,
    global: GlobalArgs,
    format: Format,
    has_timing: bool,
}

pub fn run(watch: &Watch, args: &QueryArgs, global: &GlobalArgs) -> Result<RunExitCode, Failure> {
    // What is opened here serves all statements, so nothing computes on these threads.
    let runtime = super::runtime(global)?;
    let options = args.state.with_state(args.scope.dataset(&args.from, global)?, global)?;
    let asks = global.clone();
    if args.scope.dry_run {
        let _watched = watch.run_under_way(global.timeout(None));
        return joined(runtime.block_on(runtime.spawn(async move { dry_run(options, &asks).await })));
    }
    let opened = {
        let _watched = watch.run_under_way(global.timeout(Some(QUESTION_TIMEOUT)));
        joined(runtime.block_on(runtime.spawn(async move { CliSession::new(options, &asks).await })))?
    };
    watch.is_for_shell();
    let mut shell = SqlShell {
        watch,
        computing: None,
        left: Vec::new(),
        opened: Arc::new(opened),
        global: global.clone(),
        format: args.format.unwrap_or(Format::Table),
        has_timing: !global.quiet,
    };
    let names = shell.names();
    let config = Config::builder().completion_type(CompletionType::List).build();
    let mut editor: Editor<CompletionWords, FileHistory> = Editor::with_config(config).map_err(terminal)?;
    editor.set_helper(Some(CompletionWords { names }));
    let history = history_file();
    if let Some(path) = &history {
        // The first run has no history yet.
        if path.exists() && editor.load_history(path).is_err() {
            say("note: the shell's history could not be read");
        }
    }
    if !global.quiet {
        say("SQL ends with `;`. `\\?` lists commands, Tab completes, Ctrl-D leaves.");
    }
    while let Some(statement) = read_statement(&mut editor)? {
        match Typed::read(&statement) {
            Typed::Quit => break,
            typed => {
                if let Err(failure) = shell.run_typed(typed) {
                    failure.print(global.stderr_style());
                }
            }
        }
    }
    if let Some(path) = &history
        && editor.save_history(path).is_err()
    {
        say("note: the shell's history could not be saved");
    }
    shell.opened.progress.clear();
    shell.leave_behind();
    runtime.shutdown_background();
    Ok(RunExitCode::Done)
}

/// Reads lines until they are a whole statement; `None` ends the shell. Ctrl-C gives up what was begun.
fn read_statement(editor: &mut Editor<CompletionWords, FileHistory>) -> Result<Option<String>, Failure> {
    let mut statement = String::new();
    loop {
        match editor.readline(if statement.is_empty() { PROMPT } else { CONTINUATION_PROMPT }) {
            Ok(line) => {
                statement.push_str(&line);
                if is_complete(&statement) {
                    let statement = statement.trim().to_owned();
                    editor.add_history_entry(statement.as_str()).map_err(terminal)?;
                    return Ok(Some(statement));
                }
                statement.push('\n');
            }
            Err(ReadlineError::Interrupted) => statement.clear(),
            Err(ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(terminal(error)),
        }
    }
}

/// A whole statement, as the shell understands it.
#[derive(Debug, PartialEq, Eq)]
enum Typed<'t> {
    Nothing,
    Quit,
    Help,
    Tables,
    /// The columns of a table, or of all.
    Schema(Option<&'t str>),
    Queries,
    Format(&'t str),
    Timing(&'t str),
    /// It looks like a command and is none.
    NoCommand(&'t str),
    Question(&'t str),
}

impl Typed<'_> {
    fn read(statement: &str) -> Typed<'_> {
        let bare = statement.trim_end_matches(';').trim_end();
        let (command, argument) = bare.split_once(char::is_whitespace).map_or((bare, ""), |(c, a)| (c, a.trim()));
        match (command, argument) {
            ("", _) => Typed::Nothing,
            (".quit" | ".exit" | "\\q" | "quit" | "exit", "") => Typed::Quit,
            (".help" | "\\?" | "\\h", _) | ("help", "") => Typed::Help,
            (".tables" | "\\dt" | "\\dv", _) | ("\\d" | "\\d+", "") => Typed::Tables,
            (".schema", "") => Typed::Schema(None),
            (".schema" | "\\d" | "\\d+", table) => Typed::Schema(Some(table)),
            (".queries", _) => Typed::Queries,
            (".format", name) => Typed::Format(name),
            (".timing", word) => Typed::Timing(word),
            _ if command.starts_with(['.', '\\']) => Typed::NoCommand(command),
            _ => Typed::Question(statement),
        }
    }
}

/// Word for whoever waits for a statement.
enum StatementNews {
    Done(Box<Result<QueryOutcome, Failure>>),
    Stopped(Stop),
    /// Nothing of it is left.
    Gone,
}

/// Gives word of a statement, at the latest when it is dropped. The shell may not wait any more.
struct StatementEnd(Sender<StatementNews>);

impl Drop for StatementEnd {
    fn drop(&mut self) {
        unheard(self.0.send(StatementNews::Gone));
    }
}

/// The threads that statements compute on.
struct Computing {
    runtime: Runtime,
    crew: Arc<Crew>,
}

impl SqlShell<'_> {
    fn run_typed(&mut self, typed: Typed<'_>) -> Result<(), Failure> {
        match typed {
            Typed::Nothing | Typed::Quit => {}
            Typed::Help => help(),
            Typed::Tables => self.ask(Question::Sql(TABLES_SQL.to_owned()), Vec::new())?,
            Typed::Schema(None) => self.ask(Question::Sql(SCHEMA_SQL.to_owned()), Vec::new())?,
            Typed::Schema(Some(table)) => {
                let table = self.known_table(table)?;
                let params = vec![("table".to_owned(), table)];
                self.ask(Question::Sql(SCHEMA_OF_SQL.to_owned()), params)?;
            }
            Typed::Queries => {
                let mut target = OutputTarget::stdout();
                let style = self.global.style(&target);
                queries::list(&mut target, style)?;
                target.commit()?;
            }
            Typed::Format(name) => {
                self.format = Format::from_str(name, true).map_err(|_| {
                    Failure::usage(format!("`{name}` is not a format")).hint("table, csv, json, jsonl or markdown")
                })?;
            }
            Typed::Timing("on") => self.has_timing = true,
            Typed::Timing("off") => self.has_timing = false,
            Typed::Timing(_) => return Err(Failure::usage(".timing is on or off")),
            Typed::NoCommand(command) => {
                return Err(Failure::usage(format!("no command is named `{command}`")).hint("`\\?` lists them"));
            }
            Typed::Question(line) => {
                let (question, params) = read_line(line)?;
                self.ask(question, params)?;
            }
        }
        Ok(())
    }

    /// A table of this name, or the likely ones.
    fn known_table(&self, name: &str) -> Result<String, Failure> {
        let (bare, tables) = (name.trim_matches('"').to_ascii_lowercase(), self.opened.data.engine.table_names());
        if tables.contains(&bare) {
            return Ok(bare);
        }
        let failure = Failure::usage(format!("no table is named `{name}`"));
        let near = did_you_mean(&bare, tables.iter().map(String::as_str));
        Err(failure.hint(near.map(|near| near + " ").unwrap_or_default() + "`\\d` lists them all"))
    }

    fn ask(&mut self, question: Question, params: Vec<(String, String)>) -> Result<(), Failure> {
        let stop = OutputStop::default();
        let target = OutputTarget::stdout_until(&stop);
        let to = OutputOptions { format: self.format, style: self.global.style(&target), target };
        let opened = self.opened.clone();
        let started = Instant::now();
        opened.progress.restart();
        let answered = self.computed(stop, async move { query::answer(&opened, &question, &params, to).await });
        self.opened.progress.clear();
        let delivered = answered?;
        delivered.notes.iter().for_each(|note| say(format_args!("note: {}", visible(note))));
        if self.has_timing {
            let unit = if delivered.rows == 1 { "row" } else { "rows" };
            say(format_args!("{} {unit} in {}", count(delivered.rows), seconds(started.elapsed())));
        }
        if self.opened.summary(delivered.accounting).code() == RunExitCode::Incomplete {
            say(
                "note: the logs are incomplete; SELECT uri, status, error FROM objects WHERE status NOT IN ('read', 'flagged', 'skipped')",
            );
        }
        Ok(())
    }

    /// Computes an answer, until it is there or the watch says to stop.
    fn computed(
        &mut self,
        output: OutputStop,
        work: impl Future<Output = Result<QueryOutcome, Failure>> + Send + 'static,
    ) -> Result<QueryOutcome, Failure> {
        self.check_left()?;
        let computing = match self.computing.take() {
            Some(computing) => computing,
            None => self.threads()?,
        };
        let (told, heard) = channel();
        let (timeout, stopper) = (self.global.timeout(Some(QUESTION_TIMEOUT)), told.clone());
        let waiter = Box::new(move |stop| unheard(stopper.send(StatementNews::Stopped(stop))));
        let _watched = self.watch.statement_under_way(timeout, waiter);
        let end = StatementEnd(told);
        let task = computing.runtime.spawn(async move {
            let done = AssertUnwindSafe(work).catch_unwind().await;
            let done = done.unwrap_or_else(|panic| Err(panics::failure(&*panic)));
            unheard(end.0.send(StatementNews::Done(Box::new(done))));
        });
        let news = heard.recv();
        self.computing = Some(computing);
        match news {
            Ok(StatementNews::Done(answered)) => *answered,
            Ok(StatementNews::Stopped(stop)) => {
                task.abort();
                let last = heard.recv_timeout(GIVING_UP);
                // It may have dropped the question and yet be busy with a part of it.
                output.stop();
                self.leave_behind();
                match last {
                    // It ended in the same moment, so its answer is whole.
                    Ok(StatementNews::Done(answered)) => *answered,
                    _ => Err(stop.failure()),
                }
            }
            Ok(StatementNews::Gone) | Err(_) => Err(Failure::world("cannot finish: a thread failed")),
        }
    }

    /// Threads for the next statements.
    fn threads(&self) -> Result<Computing, Failure> {
        let crew = Arc::default();
        Ok(Computing { runtime: super::runtime_with(self.global.threads(), &crew)?, crew })
    }

    /// Refuses a statement while too many that were stopped go on.
    fn check_left(&mut self) -> Result<(), Failure> {
        let asked = Instant::now();
        loop {
            self.left.retain(|crew| crew.is_there());
            if self.left.len() < LEFT_MAX {
                return Ok(());
            }
            if asked.elapsed() > GIVING_UP {
                return Err(Failure::world(format!("{LEFT_MAX} statements that were stopped still compute"))
                    .hint("wait until they notice, or leave the shell, which ends them"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nobody waits for threads that still compute.
    fn leave_behind(&mut self) {
        if let Some(Computing { runtime, crew }) = self.computing.take() {
            crew.leave();
            self.left.push(crew);
            runtime.shutdown_background();
        }
    }

    /// The names that Tab offers: tables, columns, functions, named queries, commands.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = COMMANDS.iter().map(|(name, _, _)| (*name).to_owned()).collect();
        names.extend(named::all().iter().map(|q| q.name.to_string()));
        names.extend(self.opened.data.engine.identifiers());
        names.sort();
        names.dedup();
        names
    }
}

fn help() {
    for (name, others, about) in COMMANDS {
        say(format_args!("{name:<9} {:<15} {about}", others.join(", ")));
    }
}

const TABLES_SQL: &str = "SELECT table_name, CASE table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END AS kind FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY 1";
const SCHEMA_SQL: &str = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema <> 'information_schema' ORDER BY table_name, ordinal_position";
const SCHEMA_OF_SQL: &str =
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $table ORDER BY ordinal_position";

/// A named query with `param=value` words, or SQL.
fn read_line(line: &str) -> Result<(Question, Vec<(String, String)>), Failure> {
    let bare = line.trim_end_matches(';').trim_end();
    let mut words = bare.split_whitespace();
    let first = words.next().unwrap_or_default();
    if named::find(first).is_some() {
        let params = words.map(parameter).collect::<Result<_, _>>();
        let params = params.map_err(|_| Failure::usage("parameters of a named query are written name=value"))?;
        return Ok((query::question(first, Asker::Shell)?, parameters::values(params)?));
    }
    Ok((query::question(bare, Asker::Shell)?, Vec::new()))
}

fn is_complete(input: &str) -> bool {
    let text = input.trim();
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_one_word = first.len() == text.len();
    text.is_empty()
        || text.starts_with(['.', '\\'])
        || text.ends_with(';')
        || named::find(first).is_some()
        || (is_one_word && !OPENING_WORDS.contains(&first.to_ascii_lowercase().as_str()))
}

/// `$XDG_STATE_HOME/keytrail/history`; a user without a home has no history. Folders that are made for it are the user's
/// own, and so is the file.
fn history_file() -> Option<PathBuf> {
    let state = env::var_os("XDG_STATE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = state.or_else(|| env::home_dir().map(|h| h.join(".local/state")))?.join("keytrail");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder.join("history"))
}

fn terminal(error: ReadlineError) -> Failure {
    Failure::world(format!("cannot use the terminal: {error}"))
}

struct CompletionWords {
    names: Vec<String>,
}

impl Completer for CompletionWords {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let start = line[..at].char_indices().rev().take_while(|(_, c)| is_word(*c)).last().map_or(at, |(i, _)| i);
        // Tab after `e.` completes the column; a dot at the start of the line begins a command.
        let start = line[start..at].rfind('.').filter(|dot| start + dot > 0).map_or(start, |dot| start + dot + 1);
        let word = line[start..at].to_lowercase();
        let found = if word.is_empty() {
            Vec::new()
        } else {
            self.names.iter().filter(|n| n.to_lowercase().starts_with(&word)).cloned().collect()
        };
        Ok((start, found))
    }
}

impl Validator for CompletionWords {}

impl Hinter for CompletionWords {
    type Hint = String;
}

impl Highlighter for CompletionWords {
    fn highlight_candidate<'c>(&self, candidate: &'c str, _: CompletionType) -> Cow<'c, str> {
        Cow::Borrowed(candidate)
    }
}

impl Helper for CompletionWords {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_when_a_statement_is_complete() {
        for (text, complete) in [
            ("", true),
            (".tables", true),
            ("SELECT 1;", true),
            ("SELECT 1", false),
            ("select", false),
            ("SELECT *\nFROM events\n;", true),
            ("no-such-name", true),
            ("\\d events", true),
            ("help", true),
            ("SELECT 'x\n.tables", false),
        ] {
            assert_eq!(is_complete(text), complete, "{text}");
        }
    }

    #[test]
    fn commands_are_known_by_all_their_spellings() {
        for (text, typed) in [
            ("\\d", Typed::Tables),
            (".tables;", Typed::Tables),
            ("\\d key_use", Typed::Schema(Some("key_use"))),
            (".schema", Typed::Schema(None)),
            ("\\?", Typed::Help),
            ("help;", Typed::Help),
            ("\\q", Typed::Quit),
            ("exit", Typed::Quit),
            ("\\x", Typed::NoCommand("\\x")),
            ("help me", Typed::Question("help me")),
            ("SELECT 1;", Typed::Question("SELECT 1;")),
            (" ;", Typed::Nothing),
        ] {
            assert_eq!(Typed::read(text), typed, "{text}");
        }
    }

    #[test]
    fn completes_the_word_at_the_cursor() {
        let words =
            CompletionWords { names: ["event_id", "event_name", "events", ".tables"].map(str::to_owned).to_vec() };
        let history = rustyline::history::DefaultHistory::new();
        for (line, start, count) in
            [("SELECT event_", 7, 2), ("SELECT e.event_i", 9, 1), (".ta", 0, 1), ("SELECT ", 7, 0), ("é EVENTS", 3, 1)]
        {
            let (at, found) = words.complete(line, line.len(), &Context::new(&history)).unwrap();
            assert_eq!((at, found.len()), (start, count), "{line}");
        }
    }
}
