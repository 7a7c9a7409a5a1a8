//! The end of a run to which the system gives no thread. Libraries panic then; here it is an error like any other.
//! In: the work of a run. Out: its result, or the error. Other panics go on.

use std::panic;

use super::exit::Failure;

/// Runs work, and tells of a thread that it could not start.
pub fn told<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().is_some_and(is_of_threads) {
            print(panic);
        }
    }));
    panic::catch_unwind(panic::AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let told = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
        match told {
            Some(told) if is_of_threads(told) => Err(Failure::world(format!("cannot start threads: {told}"))),
            _ => panic::resume_unwind(payload),
        }
    })
}

/// True of the words with which libraries panic where they get no thread.
fn is_of_threads(told: &str) -> bool {
    told.contains("spawn") && told.contains("thread")
}
