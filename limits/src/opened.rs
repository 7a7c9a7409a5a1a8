//! The time since something was last opened to be read: work that reads makes progress, work that only computes may not.
//! The time in which the output waits for its reader is no computing.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Milliseconds from there to the last opening, and those of waiting since then.
static LAST: AtomicU64 = AtomicU64::new(0);
/// Milliseconds from there to the wait under way.
static WAITING_SINCE: AtomicU64 = AtomicU64::new(NOT_WAITING);
const NOT_WAITING: u64 = u64::MAX;

fn millis() -> u64 {
    BEGAN.elapsed().as_millis() as u64
}

/// Notes that a file or an object is opened, or a part of one has come.
pub fn opened() {
    LAST.store(millis(), Ordering::Relaxed);
}

/// Does work that waits for others. One thread does so at a time.
pub fn waiting<T>(work: impl FnOnce() -> T) -> T {
    let began = millis();
    WAITING_SINCE.store(began, Ordering::Relaxed);
    let done = work();
    LAST.fetch_add(millis().saturating_sub(began), Ordering::Relaxed);
    WAITING_SINCE.store(NOT_WAITING, Ordering::Relaxed);
    done
}

/// The time since the last opening, or since the process first asked, without that of waiting.
pub fn since_opened() -> Duration {
    let now = millis().min(WAITING_SINCE.load(Ordering::Relaxed));
    Duration::from_millis(now.saturating_sub(LAST.load(Ordering::Relaxed)))
}
