//! The threads of one runtime: how many there are, and if anybody still waits for them.
//! In: the start and the end of each thread, the word that they are left behind. Out: both, for whoever starts more work.
//! Never ends a thread: one that computes goes on until it notices by itself.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

thread_local! {
    /// The crew of this thread.
    static HERE: RefCell<Option<Arc<Crew>>> = const { RefCell::new(None) };
}

#[derive(Debug, Default)]
pub struct Crew {
    threads: AtomicUsize,
    is_left: AtomicBool,
}

impl Crew {
    /// Takes this thread into the crew.
    pub fn enter(self: &Arc<Crew>) {
        self.threads.fetch_add(1, Ordering::SeqCst);
        HERE.set(Some(Arc::clone(self)));
    }

    /// Notes that this thread ends.
    pub fn exit() {
        if let Some(crew) = HERE.take() {
            crew.threads.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Notes that nobody waits for these threads any more.
    pub fn leave(&self) {
        self.is_left.store(true, Ordering::SeqCst);
    }

    /// True while a thread of it lives.
    pub fn is_there(&self) -> bool {
        self.threads.load(Ordering::SeqCst) > 0
    }

    /// True if nobody waits for this thread.
    pub fn is_left_here() -> bool {
        let here =
            HERE.try_with(|crew| crew.try_borrow().ok()?.as_ref().map(|crew| crew.is_left.load(Ordering::SeqCst)));
        here.ok().flatten().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn threads_know_that_they_are_left() {
        let (crew, (go, gone), (begin, begun)) = (Arc::new(Crew::default()), channel::<()>(), channel::<()>());
        let runtime = crate::cli::runtime_with(2, &crew).unwrap();
        let busy = runtime.spawn_blocking(move || {
            begin.send(()).unwrap();
            gone.recv().unwrap();
            Crew::is_left_here()
        });
        begun.recv().unwrap();
        crew.leave();
        assert!(crew.is_there() && !Crew::is_left_here());
        go.send(()).unwrap();
        assert!(runtime.block_on(busy).unwrap());
        runtime.shutdown_timeout(Duration::from_secs(60));
        assert!(!crew.is_there());
    }
}
