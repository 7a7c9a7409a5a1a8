//! The bounds of a process: its allocator, the memory that it may take, and its end when nobody can wait for it.
//! In: the calls of a global allocator, files that are not finished, the time of the last file that was opened. Out: the
//! same calls made to mimalloc, or the end of the process with an exit code and one line.
//! Never unwinds, and decides nothing about a run that keeps within its bounds. The only crate with `unsafe` in it, since
//! nothing else can be an allocator or leave at once.
//!
//! ```text
//! #[global_allocator]
//! static ALLOCATOR: keytrail_limits::BoundedAllocator = keytrail_limits::BoundedAllocator;
//! ```

mod closed_stdout;
mod counting;
mod ending;
mod memory;
mod opened;

pub use closed_stdout::stdout_was_closed;
pub use counting::{CountingAllocator, allocations};
pub use ending::{Unfinished, end, end_saying, exit, is_hangup_ignored, let_large_writes_fail, unheard};
pub use memory::{BoundedAllocator, allow, allowed, give_back, has_room_for, in_use};
pub use opened::{begin_work, opened, since_opened, waiting};
