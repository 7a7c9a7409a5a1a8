//! Opens data for questions, with a progress line beside it.
//! In: checked options. Out: [`CliSession`], or the plan of a run on stdout.
//! Never lists and never interprets a location; that is `dataset`.

use std::sync::Arc;
use std::time::Instant;

use super::args::GlobalArgs;
use super::dry_run;
use super::exit::{Failure, RunExitCode};
use super::progress::ProgressLine;
use super::summary::{RunSummary, ScopeLists};
use crate::dataset::{Dataset, DatasetOptions, RunObserver};
use crate::output::times;
use crate::table::{Accounting, WithoutLogs};

/// Data that is open for questions.
pub struct CliSession {
    pub data: Dataset,
    pub progress: ProgressLine,
    started: Instant,
}

impl CliSession {
    /// Lists the locations, which can take a while on a large tree.
    pub async fn new(options: DatasetOptions, global: &GlobalArgs) -> Result<CliSession, Failure> {
        let (started, progress) = (Instant::now(), ProgressLine::new(global));
        let data = Dataset::open(options, observer(&progress)).await?;
        Ok(CliSession { data, progress, started })
    }

    /// The summary of one answer.
    pub fn summary(&self, accounting: Option<Accounting>) -> RunSummary {
        let scope = &self.data.scope;
        let has_lists = !scope.accounts.is_empty() || !scope.regions.is_empty();
        RunSummary {
            accounting,
            interval: times::interval(scope.since, scope.until),
            lists: if has_lists { ScopeLists::Given } else { ScopeLists::Absent },
            elapsed: self.started.elapsed(),
            without_logs: WithoutLogs::IsIncomplete,
            missing: Vec::new(),
        }
    }
}

/// The progress line as an observer of a run.
pub fn observer(progress: &ProgressLine) -> Arc<dyn RunObserver> {
    Arc::new(progress.clone())
}

/// Prints the objects that a run would read.
pub async fn dry_run(options: DatasetOptions, global: &GlobalArgs) -> Result<RunExitCode, Failure> {
    dry_run::print(&Dataset::plan(options, observer(&ProgressLine::new(global))).await?)?;
    Ok(RunExitCode::Done)
}
