//! Exit codes, and the words for a failure: `error: …` once, `hint: …` where we know the cure.
//! In: errors of every stage. Out: lines on stderr and a code. Never prints a character that a terminal would act on.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use keytrail_limits::unheard;

use crate::audit::AuditError;
use crate::dataset::DatasetError;
use crate::output::visible::visible;
use crate::output::{OutputError, Style};
use crate::source::SourceError;
use crate::sql::SqlError;
use crate::store::{StoreError, UNLIKE_LOG};

/// The end of a run, by the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RunExitCode {
    /// All input is accounted for.
    Done = 0,
    /// A finding is of the severity of `--fail-on` or above.
    Findings = 1,
    Usage = 2,
    /// An object or a record could not be used; the others are printed.
    Incomplete = 3,
    /// The store failed its proof.
    Unproved = 4,
    /// Network, disk, permission, a limit.
    World = 5,
    Interrupted = 130,
}

/// Every code that this version ends with, and its meaning; the help of all verbs and docs/cli.md print this list.
const MEANINGS: [(RunExitCode, &str); 7] = [
    (RunExitCode::Done, "all input is accounted for"),
    (RunExitCode::Findings, "an open finding is as grave as --fail-on says, or graver"),
    (RunExitCode::Usage, "the command line, the SQL or a parameter is wrong"),
    (RunExitCode::Incomplete, "an object or a record could not be used, or there is no log; the results are printed"),
    (RunExitCode::Unproved, "a store is damaged: its log, its counts or its files contradict each other"),
    (RunExitCode::World, "network, disk, permission or a limit; a store stays at its last commit"),
    (RunExitCode::Interrupted, "interrupted, by Ctrl-C, SIGTERM or SIGHUP"),
];

/// The list of exit codes for a help text, behind the text that comes before it.
pub fn with_exit_codes(before: &str) -> String {
    let lines = MEANINGS.iter().map(|(code, meaning)| format!("\n  {:<4} {meaning}", *code as u8));
    format!("{before}\n\nExit codes:{}", lines.collect::<String>())
}

impl From<RunExitCode> for ExitCode {
    fn from(code: RunExitCode) -> ExitCode {
        ExitCode::from(code as u8)
    }
}

/// The reason that a run stopped before its end.
#[derive(Debug)]
pub struct Failure {
    code: RunExitCode,
    message: String,
    hints: Vec<String>,
}

impl Failure {
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure { code: RunExitCode::Usage, message: message.into(), hints: Vec::new() }
    }

    pub fn world(message: impl Into<String>) -> Failure {
        Failure { code: RunExitCode::World, message: message.into(), hints: Vec::new() }
    }

    pub fn interrupted() -> Failure {
        Failure { code: RunExitCode::Interrupted, message: String::new(), hints: Vec::new() }
    }

    /// The output could not be written. A reader that went away has got enough, so a closed pipe is no failure.
    pub fn write(error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure { code: RunExitCode::Done, message: String::new(), hints: Vec::new() };
        }
        Failure::world(format!("cannot write the output: {}", chain(error)))
    }

    /// The logs cannot be read at all, or no further.
    fn of_logs(error: &SourceError) -> Failure {
        let code = if error.is_usage() { RunExitCode::Usage } else { RunExitCode::World };
        Failure { code, message: format!("cannot read the logs: {}", chain(error)), hints: Vec::new() }
            .hints(error.hint())
    }

    fn hints(mut self, hint: Option<&str>) -> Failure {
        self.hints.extend(hint.map(str::to_owned));
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hints.push(hint.into());
        self
    }

    /// The same, as a proof that failed where its cause is a file of a store that is not what the log says.
    fn held_to_log(self) -> Failure {
        let code = if self.message.contains(UNLIKE_LOG) { RunExitCode::Unproved } else { self.code };
        Failure { code, ..self }
    }

    pub fn code(&self) -> RunExitCode {
        self.code
    }

    /// Prints the failure on stderr; a closed pipe and Ctrl-C need no words.
    pub fn print(&self, style: Style) {
        if self.message.is_empty() {
            return;
        }
        let (red, cyan, plain) = if style.color { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
        say(format_args!("{red}error:{plain} {}", visible(self.message.trim_end())));
        for hint in &self.hints {
            say(format_args!("{cyan}hint:{plain} {}", visible(hint)));
        }
    }
}

/// One line on stderr.
pub fn say(line: impl Display) {
    // Where stderr is closed, the data on stdout is still worth finishing.
    unheard(writeln!(io::stderr(), "{line}"));
}

/// An error with its causes, outermost first.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Some errors print their source themselves.
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Failure {
        Failure::of_logs(&error)
    }
}

impl From<DatasetError> for Failure {
    fn from(error: DatasetError) -> Failure {
        let code = if error.is_usage() { RunExitCode::Usage } else { RunExitCode::World };
        match error {
            DatasetError::Store(error) => error.into(),
            DatasetError::Sql(error) => error.into(),
            other => Failure { code, message: chain(&other), hints: Vec::new() }.hints(other.hint()),
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Failure {
        match error {
            AuditError::Sql(error) => error.into(),
            AuditError::Rows(_) => Failure::world(error.to_string()),
        }
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Failure {
        match &error {
            OutputError::Write(cause) => Failure::write(cause),
            other if other.is_usage() => Failure::usage(other.to_string()).hints(other.hint()),
            other => Failure::world(chain(other)).hints(other.hint()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let error = match error {
            StoreError::Scan(error) => match SqlError::from(error) {
                SqlError::Source { source } => return Failure::of_logs(&source),
                other => return Failure::world(format!("cannot read the logs: {}", chain(&other))),
            },
            other => other,
        };
        let code = match &error {
            StoreError::Damaged { .. } => RunExitCode::Unproved,
            error if error.is_usage() => RunExitCode::Usage,
            _ => RunExitCode::World,
        };
        let message = match &error {
            // The lines after the first are for developers of the library.
            StoreError::Delta { .. } | StoreError::Parquet(_) | StoreError::Arrow(_) => {
                chain(&error).lines().next().unwrap_or_default().to_owned()
            }
            other => chain(other),
        };
        Failure { code, message, hints: Vec::new() }.hints(error.hint()).held_to_log()
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        // The planner's line breaks are layout, not text of a log, so they need not be made visible.
        let message = format!("cannot answer the query: {}", chain(&error)).replace('\n', " ");
        let failure = if error.is_usage() { Failure::usage(message) } else { Failure::world(message) };
        failure.hints(error.hint()).held_to_log()
    }
}
