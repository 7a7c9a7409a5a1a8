//! `keytrail query`: SQL or a named query over logs; the shell if neither is given and there is a terminal.
//! In: the question and the locations. Out: rows in the requested format, the accounting on stderr.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use super::args::{ExpectArgs, FileArgs, GlobalArgs, ScopeArgs, StateArgs};
use super::exit::{Failure, RunExitCode, say, with_exit_codes};
use super::open::{CliSession, dry_run};
use super::parameters::{self, bounded_text, parameter};
use super::summary::{self, RunSummary, SummaryBlock};
use crate::dataset::DatasetOptions;
use crate::output::visible::visible;
use crate::output::{self, CsvText, Format, OutputTarget, Style, markdown};
use crate::source::Location;
use crate::sql::did_you_mean::did_you_mean;
use crate::sql::named;
use crate::sql::told_names::NamesOfAnswer;
use crate::table::Accounting;

#[derive(Args, Debug, Clone)]
#[command(after_help = with_exit_codes("Examples:
  keytrail query \"SELECT principal, count(*) FROM key_use GROUP BY 1\" --from logs/
  keytrail query denied-attempts --from logs/ --since 7d
  keytrail query \"SELECT * FROM events\" --from logs/ -o events.parquet
  keytrail query key-users -p key=arn:aws:kms:…:key/1234abcd-… --from logs/ -f json
  keytrail query --file report.sql --from logs/ -f csv
  keytrail query                    the interactive shell, on a terminal

`keytrail queries` lists the named queries, `SHOW TABLES` the tables."))]
pub struct QueryArgs {
    /// SQL, the name of a query, or `-` for SQL on stdin
    #[arg(value_name = "SQL|NAME", conflicts_with = "file", allow_hyphen_values = true)]
    pub question: Option<String>,
    /// Where the logs are: a file, a directory, s3://BUCKET/PREFIX, cloudtrail://REGION, `-` for stdin (repeatable)
    /// [default: KEYTRAIL_FROM]
    #[arg(long, value_name = "LOCATION", allow_hyphen_values = true)]
    pub from: Vec<String>,
    /// A parameter of the query, `$name` in SQL (repeatable); @FILE takes the value from a file, @@ is a plain @
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub param: Vec<(String, String)>,
    /// Read the SQL from FILE, `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Format of the rows [default: table, or what FILE ends in]
    #[arg(short, long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<Format>,
    /// CSV for programs: without the sign before texts that a spreadsheet would run as formulas
    #[arg(long, help_heading = "Output")]
    pub csv_exact: bool,
    #[command(flatten)]
    pub to: FileArgs,
    #[command(flatten)]
    pub scope: ScopeArgs,
    #[command(flatten)]
    pub expect: ExpectArgs,
    #[command(flatten)]
    pub state: StateArgs,
}

/// SQL, or the name of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    Sql(String),
    Named(&'static str),
}

/// The source of the question, before anything is read.
pub enum QueryMode {
    Now(QuestionSource),
    /// Neither SQL nor a name was given and there is a terminal, so the shell asks.
    InShell,
}

pub enum QuestionSource {
    Text(String),
    File(PathBuf),
    Stdin,
}

impl QueryArgs {
    /// The format of the rows, and the texts of CSV.
    fn format_and_csv(&self) -> Result<(Format, CsvText), Failure> {
        if !self.csv_exact {
            return Ok((self.to.format(self.format)?, CsvText::Guarded));
        }
        match self.to.format(Some(self.format.or(self.to.by_name()?).unwrap_or(Format::Csv)))? {
            Format::Csv => Ok((Format::Csv, CsvText::Exact)),
            other => Err(Failure::usage(format!("--csv-exact is for CSV, and the format is {}", other.name()))),
        }
    }

    /// All that is read beside the locations.
    fn files(&self) -> Vec<Location> {
        let of_values = parameters::files(&self.param).map(Location::Path);
        let of_sql = match (&self.question, &self.file) {
            (Some(dash), _) if dash == "-" => Some(Location::Stdin),
            (None, Some(path)) if path.as_os_str() == "-" => Some(Location::Stdin),
            (_, path) => path.clone().map(Location::Path),
        };
        self.scope.files().into_iter().chain(self.state.files()).chain(of_values).chain(of_sql).collect()
    }

    pub fn asked(&self) -> Result<QueryMode, Failure> {
        Ok(match (&self.question, &self.file) {
            (Some(dash), _) if dash == "-" => QueryMode::Now(QuestionSource::Stdin),
            (Some(text), _) => QueryMode::Now(QuestionSource::Text(text.clone())),
            (None, Some(path)) if path.as_os_str() == "-" => QueryMode::Now(QuestionSource::Stdin),
            (None, Some(path)) => QueryMode::Now(QuestionSource::File(path.clone())),
            (None, None) if io::stdin().is_terminal() && io::stdout().is_terminal() => QueryMode::InShell,
            (None, None) => {
                let failure = Failure::usage("no query given, and no terminal to ask at");
                return Err(failure
                    .hint("give SQL or the name of a query; `keytrail queries` lists them; `-` reads SQL from stdin"));
            }
        })
    }
}

pub async fn run(args: QueryArgs, source: QuestionSource, global: GlobalArgs) -> Result<RunExitCode, Failure> {
    let expected = args.expect.expected()?;
    let options = args.state.with_state(args.scope.dataset(&args.from, &global)?, &global)?;
    let options = DatasetOptions { expected: expected.clone(), ..options };
    if args.scope.dry_run {
        return dry_run(options, &global).await;
    }
    if matches!(source, QuestionSource::Stdin) && options.locations.contains(&Location::Stdin) {
        return Err(Failure::usage("stdin cannot be both the SQL and the logs"));
    }
    check_given_once(&args.param)?;
    let (format, csv) = args.format_and_csv()?;
    let others = args.files();
    let params = parameters::values(args.param)?;
    let question = read_question(source)?;
    let target = args.to.target(&options.locations, others)?;
    let opened = CliSession::new(options, &global).await?;
    let style = Style { csv, ..global.style(&target) };
    let delivered = answer(&opened, &question, &params, OutputOptions { format, target, style }).await;
    opened.progress.clear();
    let delivered = delivered?;
    let missing = match expected.is_any() {
        true => expected.missing_in(&opened.data.engine, delivered.accounting.as_ref()).await?,
        false => Vec::new(),
    };
    let summary = RunSummary { missing, ..opened.summary(delivered.accounting) };
    if !global.quiet {
        delivered.notes.iter().for_each(|note| say(format_args!("note: {}", visible(note))));
        summary::print(&summary, SummaryBlock::WithRows(delivered.rows), &global);
    }
    Ok(summary.code())
}

/// Refuses a parameter that is given twice: the answer would be of one value only.
fn check_given_once(params: &[(String, String)]) -> Result<(), Failure> {
    let twice =
        params.iter().enumerate().find(|(place, (name, _))| params[..*place].iter().any(|(other, _)| other == name));
    match twice {
        Some((_, (name, _))) => {
            Err(Failure::usage(format!("-p {name} is given twice")).hint("ask once for each value"))
        }
        None => Ok(()),
    }
}

/// The place and the look of the rows.
pub struct OutputOptions {
    pub format: Format,
    pub target: OutputTarget,
    pub style: Style,
}

/// The result of one question.
pub struct QueryOutcome {
    pub rows: u64,
    /// Sentences on the names that were asked for, where the rows are for programs.
    pub notes: Vec<String>,
    /// The accounts of the reading; none if the question needed no logs.
    pub accounting: Option<Accounting>,
}

/// Runs one question and writes its rows.
pub async fn answer(
    opened: &CliSession,
    question: &Question,
    params: &[(String, String)],
    to: OutputOptions,
) -> Result<QueryOutcome, Failure> {
    let engine = &opened.data.engine;
    let mut answer = match question {
        Question::Sql(sql) => engine.query(sql, params).await?,
        Question::Named(name) => engine.named(name, params).await?,
    };
    let asked = match question {
        Question::Named(name) => named::find(name).map(|query| query.asked_names(params)),
        Question::Sql(_) => None,
    };
    let mut names = NamesOfAnswer::new(asked.unwrap_or_default());
    let OutputOptions { format, mut target, style } = to;
    let shares_terminal = target.is_terminal();
    let mut rows = 0;
    {
        let mut sink = output::sink(format, &mut target, &answer.schema(), style)?;
        while let Some(batch) = answer.next().await? {
            if shares_terminal {
                opened.progress.clear();
            }
            rows += batch.num_rows() as u64;
            names.see(&batch);
            sink.write(&batch).map_err(|e| Failure::write(&e))?;
        }
        if shares_terminal {
            opened.progress.clear();
        }
        sink.finish().map_err(|e| Failure::write(&e))?;
    }
    let accounting = answer.finish().await;
    let mut notes = engine.told_names(&names).await?;
    if shares_terminal {
        opened.progress.clear();
    }
    // Rows for people are followed by what there is to say of them; those for programs stay alone.
    if matches!(format, Format::Table | Format::Markdown) && !notes.is_empty() {
        let before = if format == Format::Markdown { "\n" } else { "" };
        let text: String = notes.drain(..).map(|note| format!("{before}{}\n", in_text(&note, format))).collect();
        target.write_all(text.as_bytes()).map_err(|e| Failure::write(&e))?;
    }
    target.commit()?;
    Ok(QueryOutcome { rows, notes, accounting })
}

/// A sentence as the format has it.
fn in_text(sentence: &str, format: Format) -> String {
    let shown = visible(sentence);
    if format == Format::Markdown { markdown::escaped(&shown) } else { shown.into_owned() }
}

/// Reads one word as a name, since SQL has blanks or signs.
pub fn question(text: &str, asker: Asker) -> Result<Question, Failure> {
    let text = text.trim();
    if let Some(query) = named::find(text) {
        return Ok(Question::Named(query.name));
    }
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || "(*;'\"".contains(c)) {
        return Ok(Question::Sql(text.to_owned()));
    }
    Err(unknown_query(text, asker))
}

/// The place where somebody typed a question: its hints are in that place's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    CommandLine,
    Shell,
}

impl Asker {
    fn hint(self) -> &'static str {
        match self {
            Asker::CommandLine => "`keytrail queries` lists them; SQL goes into quotes as one argument",
            Asker::Shell => "`.queries` lists them; `\\?` lists the commands",
        }
    }
}

/// The failure for an unknown name, with the names that were probably meant.
pub fn unknown_query(name: &str, asker: Asker) -> Failure {
    let failure = Failure::usage(format!("no query is named `{}`", visible(name)));
    let failure = match did_you_mean(name, named::all().iter().map(|query| query.name)) {
        Some(hint) => failure.hint(hint),
        None => failure,
    };
    failure.hint(asker.hint())
}

fn read_question(source: QuestionSource) -> Result<Question, Failure> {
    let sql = match source {
        QuestionSource::Text(text) => return question(&text, Asker::CommandLine),
        QuestionSource::Stdin => bounded_text(io::stdin(), "SQL from `stdin`")?,
        QuestionSource::File(path) => {
            let shown = path.to_string_lossy().into_owned();
            let file = fs::File::open(&path).map_err(|e| Failure::world(format!("cannot read `{shown}`: {e}")))?;
            bounded_text(file, &format!("SQL from `{shown}`"))?
        }
    };
    Ok(Question::Sql(sql))
}
