//! The end of a run to which the system gives no thread. Libraries panic then, and some would wait for ever for the threads
//! that they have; here it is an error like any other.
//! In: the panics of the process. Out: the error, and the end of the process. Other panics go on.

use std::panic;
use std::process;

use super::exit::Failure;
use crate::output::Style;

/// From now on a thread that cannot be started ends the process.
pub fn end_the_run(style: Style) {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| match panic.payload_as_str() {
        Some(told) if is_of_threads(told) => {
            let failure = Failure::world(format!("cannot start threads: {told}"));
            failure.print(style);
            process::exit(failure.code() as i32);
        }
        _ => print(panic),
    }));
}

/// True of the words with which libraries panic where they get no thread.
fn is_of_threads(told: &str) -> bool {
    told.contains("spawn") && told.contains("thread")
}
