//! The progress line: bytes read, rate and time left, on stderr.
//! In: the scan's progress. Out: one line that is gone when the run is over.
//! Never drawn unless stderr is a terminal, and never with `-q`.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Global;
use super::exit::say;
use crate::dataset::Observer;

const WITH_END: &str = "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} left";
const WITHOUT_END: &str = "{binary_bytes} {binary_bytes_per_sec}";

/// The one line on the screen; clones are cheap and share it.
#[derive(Clone)]
pub struct Line {
    bar: ProgressBar,
    is_quiet: bool,
}

impl Line {
    pub fn new(global: &Global) -> Line {
        // `ProgressDrawTarget::stderr` draws nothing unless stderr is a terminal.
        let target = if global.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Line { bar: ProgressBar::with_draw_target(None, target), is_quiet: global.quiet }
    }

    /// Restarts the line for the next question of a shell.
    pub fn restart(&self) {
        self.bar.reset();
    }

    /// Removes the line before anything else is written to the same terminal.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Line {
    fn listed(&self, bytes: u64) {
        // Stdin has no known size.
        let template = if bytes == 0 { WITHOUT_END } else { WITH_END };
        let style = ProgressStyle::with_template(template).expect("the templates are well-formed");
        self.bar.set_style(style.progress_chars("━╸─"));
        self.bar.set_length(bytes);
    }

    fn read(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    fn note(&self, text: &str) {
        if !self.is_quiet {
            say(format_args!("note: {text}"));
        }
    }
}
