//! The time since something was last opened to be read: work that reads makes progress, work that only computes may not.
//! The time in which the output waits for its reader is no computing.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

static CLOCK: LazyLock<Mutex<Clock>> =
    LazyLock::new(|| Mutex::new(Clock { last: Instant::now(), work: 0, waits: 0, waiting_since: Instant::now() }));

struct Clock {
    /// The last opening, moved on by the time of waiting since.
    last: Instant,
    /// The number of the work under way. A wait of work that was left behind stops no clock.
    work: u64,
    /// The waits of this work that are under way, and the begin of the first of them.
    waits: u32,
    waiting_since: Instant,
}

fn clock() -> MutexGuard<'static, Clock> {
    CLOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that other work begins.
pub fn begin_work() {
    let mut clock = clock();
    (clock.last, clock.work, clock.waits) = (Instant::now(), clock.work + 1, 0);
}

/// Notes that a file or an object is opened, or a part of one has come.
pub fn opened() {
    clock().last = Instant::now();
}

/// Does work that waits for others. The clock stands still while any thread does so.
pub fn waiting<T>(work: impl FnOnce() -> T) -> T {
    let of_work = {
        let mut clock = clock();
        if clock.waits == 0 {
            clock.waiting_since = Instant::now();
        }
        clock.waits += 1;
        clock.work
    };
    let done = work();
    let mut clock = clock();
    if clock.work == of_work {
        clock.waits -= 1;
        if clock.waits == 0 {
            let began = clock.waiting_since.max(clock.last);
            clock.last += began.elapsed();
        }
    }
    done
}

/// The time since the last opening, or since the process first asked, without that of waiting.
pub fn since_opened() -> Duration {
    let clock = clock();
    let now = if clock.waits > 0 { clock.waiting_since } else { Instant::now() };
    now.saturating_duration_since(clock.last)
}
