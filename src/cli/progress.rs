//! The progress line: bytes read, rate and time left, on stderr.
//! In: the scan's progress. Out: one line that is gone when the run is over.
//! Never drawn unless stderr is a terminal and the work lasts longer than half a second, and never with `-q`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::GlobalArgs;
use super::exit::say;
use crate::dataset::RunObserver;

const WITH_END: &str = "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} left";
const WITHOUT_END: &str = "{binary_bytes} {binary_bytes_per_sec}";

/// Work that takes no longer than this shows no line: it would only flicker.
const PATIENCE: Duration = Duration::from_millis(500);

/// The line of this process, for whoever ends it.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Removes the line, if there is one.
pub fn clear_drawn() {
    if let Some(bar) = lock(&DRAWN).as_ref() {
        bar.finish_and_clear();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one line on the screen; clones are cheap and share it.
#[derive(Clone)]
pub struct ProgressLine {
    bar: ProgressBar,
    is_quiet: bool,
    /// The start of the work under way; none once the line is drawn.
    patient_since: Arc<Mutex<Option<Instant>>>,
}

impl ProgressLine {
    pub fn new(global: &GlobalArgs) -> ProgressLine {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        *lock(&DRAWN) = Some(bar.clone());
        ProgressLine { bar, is_quiet: global.quiet, patient_since: Arc::new(Mutex::new(Some(Instant::now()))) }
    }

    /// Restarts the line for the next question of a shell.
    pub fn restart(&self) {
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
        self.bar.reset();
        *lock(&self.patient_since) = Some(Instant::now());
    }

    /// Draws the line from now on, where the work has taken long enough.
    fn draw_if_long(&self) {
        let mut patient_since = lock(&self.patient_since);
        if patient_since.is_some_and(|since| since.elapsed() >= PATIENCE) && !self.is_quiet {
            *patient_since = None;
            // `ProgressDrawTarget::stderr` draws nothing unless stderr is a terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Removes the line before anything else is written to the same terminal.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl RunObserver for ProgressLine {
    fn listed(&self, bytes: u64) {
        // Stdin has no known size.
        let template = if bytes == 0 { WITHOUT_END } else { WITH_END };
        let style = ProgressStyle::with_template(template).expect("the templates are well-formed");
        self.bar.set_style(style.progress_chars("━╸─"));
        self.bar.set_length(bytes);
    }

    fn read(&self, bytes: u64) {
        self.draw_if_long();
        self.bar.set_position(bytes);
    }

    fn note(&self, text: &str) {
        if !self.is_quiet {
            say(format_args!("note: {text}"));
        }
    }
}
