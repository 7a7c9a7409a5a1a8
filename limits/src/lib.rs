//! The allocator: counts a process's allocations, in tests and measurements, and gives unused memory back; and what else
//! takes C to know of the process (`closed_stdout`).
//! In: the calls of a global allocator. Out: the same calls, made to mimalloc, and their number.
//! Never decides about a call. The only crate with `unsafe` in it, since nothing else can be an allocator.
//!
//! ```text
//! #[global_allocator]
//! static ALLOCATOR: keytrail_limits::Counting = keytrail_limits::Counting;
//! ```

mod closed_stdout;

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering};

use mimalloc::MiMalloc;

pub use closed_stdout::stdout_was_closed;

/// mimalloc, with its allocations counted.
pub struct CountingAllocator;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Blocks that were allocated or moved to another size since the process began; 0 where [`CountingAllocator`] does not
/// allocate.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// Gives pages that nobody uses back to the system, also those of threads that have ended.
#[expect(unsafe_code, reason = "a function of C; it takes a flag and may be called at any time")]
pub fn give_back() {
    // SAFETY: it frees no block that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

fn count() {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "an allocator is an unsafe trait; each call is passed on as it came")]
// SAFETY: mimalloc keeps the contract of `GlobalAlloc`, and is given every call unchanged. Counting allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { MiMalloc.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { MiMalloc.dealloc(block, layout) }
    }
}
