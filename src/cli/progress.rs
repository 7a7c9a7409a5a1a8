//! The progress line: bytes read, rate and time left, on stderr.
//! In: the scan's progress. Out: one line that is gone when the run is over.
//! Never drawn unless stderr is a terminal, and never with `-q`.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Global;

const WITH_END: &str = "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} left";
const WITHOUT_END: &str = "{binary_bytes} {binary_bytes_per_sec}";

/// Cheap to clone; all clones are one line.
#[derive(Clone)]
pub struct Line(ProgressBar);

impl Line {
    pub fn new(global: &Global, total_bytes: u64) -> Line {
        // `ProgressDrawTarget::stderr` draws nothing where stderr is not a terminal.
        let target = if global.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total_bytes), target);
        // Stdin does not say how much will come.
        let template = if total_bytes == 0 { WITHOUT_END } else { WITH_END };
        let style = ProgressStyle::with_template(template).expect("the templates are well-formed");
        bar.set_style(style.progress_chars("━╸─"));
        Line(bar)
    }

    /// Begins again, for the next question of a shell.
    pub fn restart(&self) {
        self.0.reset();
    }

    pub fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// Takes the line away, before anything else is written to the same terminal.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}
