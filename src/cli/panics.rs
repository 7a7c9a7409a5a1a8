//! The panics of libraries that are ends like any other: no thread is to be had, and some would wait for ever for the
//! threads that they have; or a column would be larger than its kind can be; or a damaged data file, whose pages carry no
//! checksum, makes arrays that contradict themselves.
//! In: the panics of the process. Out: the error, and where there is no thread the end of the process. Others are printed.

use std::any::Any;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use super::crew::Crew;
use super::exit::Failure;
use crate::output::Style;
use crate::store::words_of_panic;

/// True from a panic of Arrow or Parquet until its failure is told.
static ARRAYS_FAILED: AtomicBool = AtomicBool::new(false);

/// From now on a thread that cannot be started ends the process.
pub fn end_some(style: Style) {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| match panic.payload_as_str() {
        // A thread that nobody waits for may panic when others are gone, which the user must not see.
        _ if Crew::is_left_here() => {}
        Some(told) if is_of_threads(told) => {
            let failure = Failure::world(format!("cannot start threads: {told}"));
            keytrail_limits::end_saying(failure.code() as i32, || failure.print(style))
        }
        // Whoever waits for the thread gets the failure.
        Some(told) if is_of_size(told) => {}
        _ if panic.location().is_some_and(|place| is_of_arrays(place.file())) => {
            ARRAYS_FAILED.store(true, Ordering::SeqCst);
        }
        _ => print(panic),
    }));
}

/// The failure of work that panicked.
pub fn failure(panic: &(dyn Any + Send)) -> Failure {
    match words_of_panic(panic) {
        Some(told) if is_of_size(told) => {
            Failure::world("cannot finish: one column would take more than 2 GiB of one batch of rows")
                .hint("repeat no large value in many rows, or take less of it")
        }
        Some(told) if ARRAYS_FAILED.swap(false, Ordering::SeqCst) => {
            Failure::world(format!("cannot finish: rows contradict themselves: {told}"))
                .hint("a damaged data file of a store does this: see `keytrail store check`")
        }
        Some(told) => Failure::world(format!("cannot finish: a thread failed: {told}")),
        None => Failure::world("cannot finish: a thread failed"),
    }
}

/// True of the words with which libraries panic where they get no thread.
fn is_of_threads(told: &str) -> bool {
    told.contains("spawn") && told.contains("thread")
}

/// True of the words with which libraries panic where texts pass the end of their offsets.
fn is_of_size(told: &str) -> bool {
    told.contains("offset overflow")
}

/// True of the files of Arrow's and Parquet's crates.
fn is_of_arrays(file: &str) -> bool {
    file.contains("/arrow-") || file.contains("/parquet-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_told_by_their_crate() {
        assert!(is_of_arrays("/registry/arrow-buffer-59.3.2/src/util/bit_chunk_iterator.rs"));
        assert!(is_of_arrays("/registry/parquet-59.3.2/src/file/reader.rs"));
        assert!(!is_of_arrays("src/sql/mod.rs") && !is_of_arrays("/registry/tokio-1.48.0/src/task.rs"));
    }
}
