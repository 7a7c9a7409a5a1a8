//! The progress line: bytes read, rate and time left, on stderr.
//! In: the scan's progress. Out: one line that is gone when the run is over.
//! Never drawn unless stderr is a terminal, and never with `-q`.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Global;

/// Cheap to clone; all clones are one line.
#[derive(Clone)]
pub struct Line(ProgressBar);

impl Line {
    pub fn new(global: &Global, total_bytes: u64) -> Line {
        // `ProgressDrawTarget::stderr` draws nothing where stderr is not a terminal.
        let target = if global.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total_bytes), target);
        let style = ProgressStyle::with_template("{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} left");
        bar.set_style(style.expect("the template above is well-formed").progress_chars("━╸─"));
        Line(bar)
    }

    pub fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// Takes the line away, before anything else is written to the same terminal.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}
