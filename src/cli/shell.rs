//! The interactive shell: SQL until `;`, named queries by name, dot commands.
//! In: lines of a terminal. Out: rows on stdout; an error ends its query, never the shell.
//! Keeps a history of the typed lines beside the user's other state; never saves an answer.

use std::borrow::Cow;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::ValueEnum;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::args::{Global, parameter};
use super::exit::{Code, Failure, say};
use super::interruptible;
use super::open::{Opened, dry_run};
use super::queries;
use super::query::{self, Delivery, QueryArgs, Question};
use crate::output::words::{count, seconds};
use crate::output::{Format, Target};
use crate::sql::named;

const DOT_COMMANDS: &[(&str, &str)] = &[
    (".tables", "list tables and views"),
    (".schema", "columns of all tables, or of one: .schema events"),
    (".queries", "list the named queries; their name runs them: name param=value"),
    (".format", "table, csv, json, jsonl or markdown"),
    (".timing", "on or off: what each answer took and read"),
    (".help", "this list"),
    (".quit", "leave, as Ctrl-D does"),
];

/// Words that open a statement of SQL: a line with only such a word waits for the rest.
const OPENING_WORDS: &[&str] = &["select", "with", "show", "describe", "explain", "values", "table"];

struct Shell {
    opened: Arc<Opened>,
    global: Global,
    format: Format,
    has_timing: bool,
}

pub fn run(runtime: &tokio::runtime::Runtime, args: &QueryArgs, global: &Global) -> Result<Code, Failure> {
    let options = args.scope.dataset(&args.from, global)?;
    let asks = global.clone();
    if args.scope.dry_run {
        return interruptible(runtime, async move { dry_run(options, &asks).await });
    }
    let opened = Arc::new(interruptible(runtime, async move { Opened::new(options, &asks).await })?);
    let mut shell = Shell {
        opened,
        global: global.clone(),
        format: args.format.unwrap_or(Format::Table),
        has_timing: !global.quiet,
    };
    let names = shell.names();
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let mut editor: Editor<Words, FileHistory> = Editor::with_config(config).map_err(terminal)?;
    editor.set_helper(Some(Words { names }));
    let history = history_file();
    if let Some(path) = &history {
        // The first run has no history yet.
        if path.exists() && editor.load_history(path).is_err() {
            say("note: the shell's history could not be read");
        }
    }
    if !global.quiet {
        say("SQL ends with `;`. `.help` lists commands, Tab completes, Ctrl-D leaves.");
    }
    loop {
        match editor.readline("keytrail> ") {
            Ok(text) if matches!(text.trim(), ".quit" | ".exit") => break,
            Ok(text) => {
                if let Err(failure) = shell.run_line(runtime, text.trim()) {
                    failure.print(global.stderr_style());
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(terminal(error)),
        }
    }
    if let Some(path) = &history
        && editor.save_history(path).is_err()
    {
        say("note: the shell's history could not be saved");
    }
    shell.opened.progress.clear();
    Ok(Code::Done)
}

impl Shell {
    fn run_line(&mut self, runtime: &tokio::runtime::Runtime, line: &str) -> Result<(), Failure> {
        if line.is_empty() {
            return Ok(());
        }
        if line.starts_with('.') {
            return self.dot(runtime, line);
        }
        let (question, params) = read_line(line)?;
        self.ask(runtime, question, params)
    }

    fn dot(&mut self, runtime: &tokio::runtime::Runtime, line: &str) -> Result<(), Failure> {
        let line = line.trim_end_matches(';').trim_end();
        let (command, argument) = line.split_once(char::is_whitespace).map_or((line, ""), |(c, a)| (c, a.trim()));
        match (command, argument) {
            (".help", _) => DOT_COMMANDS.iter().for_each(|(name, about)| say(format_args!("{name:<9} {about}"))),
            (".tables", _) => self.ask(runtime, Question::Sql(TABLES_SQL.to_owned()), Vec::new())?,
            (".schema", "") => self.ask(runtime, Question::Sql(SCHEMA_SQL.to_owned()), Vec::new())?,
            (".schema", table) => {
                let params = vec![("table".to_owned(), table.to_owned())];
                self.ask(runtime, Question::Sql(SCHEMA_OF_SQL.to_owned()), params)?;
            }
            (".queries", _) => {
                let mut target = Target::stdout();
                let style = self.global.style(&target);
                queries::list(&mut target, style)?;
                target.commit()?;
            }
            (".format", name) => {
                self.format = Format::from_str(name, true).map_err(|_| {
                    Failure::usage(format!("`{name}` is not a format")).hint("table, csv, json, jsonl or markdown")
                })?;
            }
            (".timing", "on") => self.has_timing = true,
            (".timing", "off") => self.has_timing = false,
            (".timing", _) => return Err(Failure::usage(".timing is on or off")),
            _ => return Err(Failure::usage(format!("no command is named `{command}`")).hint("`.help` lists them")),
        }
        Ok(())
    }

    fn ask(
        &self,
        runtime: &tokio::runtime::Runtime,
        question: Question,
        params: Vec<(String, String)>,
    ) -> Result<(), Failure> {
        let target = Target::stdout();
        let to = Delivery { format: self.format, style: self.global.style(&target), target };
        let opened = self.opened.clone();
        let started = Instant::now();
        opened.progress.restart();
        let answered = interruptible(runtime, async move { query::answer(&opened, &question, &params, to).await });
        self.opened.progress.clear();
        let delivered = answered?;
        if self.has_timing {
            let unit = if delivered.rows == 1 { "row" } else { "rows" };
            say(format_args!("{} {unit} in {}", count(delivered.rows), seconds(started.elapsed())));
        }
        if self.opened.summary(delivered.accounting).code() == Code::Incomplete {
            say(
                "note: the logs are incomplete; SELECT uri, status, error FROM objects WHERE status NOT IN ('read', 'flagged', 'skipped')",
            );
        }
        Ok(())
    }

    /// The names that Tab offers: tables, columns, functions, named queries, commands.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = DOT_COMMANDS.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.extend(named::all().iter().map(|q| q.name.to_string()));
        names.extend(self.opened.data.engine.identifiers());
        names.sort();
        names.dedup();
        names
    }
}

const TABLES_SQL: &str =
    "SELECT table_name FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY 1";
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
        return Ok((query::question(first)?, params));
    }
    Ok((query::question(bare)?, Vec::new()))
}

fn is_complete(input: &str) -> bool {
    let text = input.trim();
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_one_word = first.len() == text.len();
    text.is_empty()
        || text.starts_with('.')
        || text.ends_with(';')
        || named::find(first).is_some()
        || (is_one_word && !OPENING_WORDS.contains(&first.to_ascii_lowercase().as_str()))
}

/// `$XDG_STATE_HOME/keytrail/history`; a user without a home has no history.
fn history_file() -> Option<PathBuf> {
    let state = env::var_os("XDG_STATE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = state.or_else(|| env::home_dir().map(|h| h.join(".local/state")))?.join("keytrail");
    fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

fn terminal(error: ReadlineError) -> Failure {
    Failure::world(format!("cannot use the terminal: {error}"))
}

struct Words {
    names: Vec<String>,
}

impl Completer for Words {
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

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_complete(context.input()) { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {
    fn highlight_candidate<'c>(&self, candidate: &'c str, _: CompletionType) -> Cow<'c, str> {
        Cow::Borrowed(candidate)
    }
}

impl Helper for Words {}

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
        ] {
            assert_eq!(is_complete(text), complete, "{text}");
        }
    }

    #[test]
    fn completes_the_word_at_the_cursor() {
        let words = Words { names: ["event_id", "event_name", "events", ".tables"].map(str::to_owned).to_vec() };
        let history = rustyline::history::DefaultHistory::new();
        for (line, start, count) in
            [("SELECT event_", 7, 2), ("SELECT e.event_i", 9, 1), (".ta", 0, 1), ("SELECT ", 7, 0), ("é EVENTS", 3, 1)]
        {
            let (at, found) = words.complete(line, line.len(), &Context::new(&history)).unwrap();
            assert_eq!((at, found.len()), (start, count), "{line}");
        }
    }
}
