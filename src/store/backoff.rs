//! Makes a writer wait after another one came first, and tells it when to give up.
//! In: commits that were lost and won. Out: waiting, or the end.
//! Never gives up while the work gets less, by this writer or another.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

/// A writer may lose this many commits in a row at any pace.
const LOST_MIN: u32 = 10;
/// After that it gives up once nobody has done any of its work for this long.
const STUCK_TIME_MAX: Duration = Duration::from_secs(600);
const FIRST_WAIT: Duration = Duration::from_millis(10);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The losses of a writer since something of its work last got done.
pub(super) struct Backoff {
    lost: u32,
    since: Instant,
}

impl Backoff {
    /// Nothing was lost yet.
    pub fn new() -> Backoff {
        Backoff { lost: 0, since: Instant::now() }
    }

    /// Forgets all losses after a commit of its own.
    pub fn won(&mut self) {
        *self = Backoff::new();
    }

    /// Puts off giving up after others did some of its work, but keeps the pause between tries.
    pub fn relieved(&mut self) {
        self.since = Instant::now();
    }

    /// Waits for its turn; returns false if the writer should give up.
    pub async fn lost(&mut self) -> bool {
        let Some(wait) = self.wait(self.since.elapsed()) else { return false };
        tokio::time::sleep(wait).await;
        true
    }

    /// A random time below a bound that doubles with each loss, so that losers do not return together.
    fn wait(&mut self, stuck: Duration) -> Option<Duration> {
        self.lost += 1;
        if self.lost > LOST_MIN && stuck > STUCK_TIME_MAX {
            return None;
        }
        let ceiling = FIRST_WAIT.saturating_mul(1 << self.lost.min(16)).min(WAIT_MAX);
        let random = RandomState::new().hash_one(self.lost) % 1024;
        Some(ceiling.mul_f64(random as f64 / 1024.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_after_many_losses_and_a_long_time_only() {
        let (short, long) = (Duration::from_secs(1), STUCK_TIME_MAX + Duration::from_secs(1));
        let mut backoff = Backoff::new();
        assert!((0..1000).all(|_| backoff.wait(short).is_some_and(|wait| wait < WAIT_MAX)));
        assert_eq!(backoff.wait(long), None);
        backoff.won();
        assert!((0..LOST_MIN).all(|_| backoff.wait(long).is_some()));
        assert_eq!(backoff.wait(long), None);
    }
}
