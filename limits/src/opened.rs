//! The time since something was last opened to be read: work that reads makes progress, work that only computes may not.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Milliseconds from there to the last opening.
static LAST: AtomicU64 = AtomicU64::new(0);

fn millis() -> u64 {
    BEGAN.elapsed().as_millis() as u64
}

/// Notes that a file or an object is opened, or a part of one has come.
pub fn opened() {
    LAST.store(millis(), Ordering::Relaxed);
}

/// The time since the last opening, or since the process first asked.
pub fn since_opened() -> Duration {
    Duration::from_millis(millis().saturating_sub(LAST.load(Ordering::Relaxed)))
}
