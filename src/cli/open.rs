//! Opens data for questions, with a progress line beside it.
//! In: checked options. Out: [`Opened`], or the plan of a run on stdout.
//! Never lists and never interprets a location; that is `dataset`.

use std::sync::Arc;
use std::time::Instant;

use super::args::Global;
use super::dry_run;
use super::exit::{Code, Failure};
use super::progress::Line;
use super::summary::Summary;
use crate::dataset::{Dataset, DatasetOptions, Observer};
use crate::output::times;
use crate::table::{Accounting, WithoutLogs};

/// Data that is open for questions.
pub struct Opened {
    pub data: Dataset,
    pub progress: Line,
    started: Instant,
}

impl Opened {
    /// Lists the locations, which can take a while on a large tree.
    pub async fn new(options: DatasetOptions, global: &Global) -> Result<Opened, Failure> {
        let (started, progress) = (Instant::now(), Line::new(global));
        let data = Dataset::open(options, observer(&progress)).await?;
        Ok(Opened { data, progress, started })
    }

    /// The summary of one answer.
    pub fn summary(&self, accounting: Option<Accounting>) -> Summary {
        Summary {
            accounting,
            interval: times::interval(self.data.scope.since, self.data.scope.until),
            elapsed: self.started.elapsed(),
            without_logs: WithoutLogs::IsIncomplete,
        }
    }
}

/// The progress line as an observer of a run.
pub fn observer(progress: &Line) -> Arc<dyn Observer> {
    Arc::new(progress.clone())
}

/// Prints the objects that a run would read.
pub async fn dry_run(options: DatasetOptions, global: &Global) -> Result<Code, Failure> {
    dry_run::print(&Dataset::plan(options, observer(&Line::new(global))).await?)?;
    Ok(Code::Done)
}
