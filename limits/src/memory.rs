//! The memory of a process: how much it uses, and how much it may.
//! In: the calls of a global allocator. Out: the same calls, made to mimalloc; where the process would pass its bound, or
//! the system has no more, its end with one line on stderr and exit code 5.
//! Never gives a null pointer, which would end the process by a signal. Memory of C libraries is not counted.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::time::Duration;

use mimalloc::MiMalloc;

use crate::ending::{end_saying, exit, say};

/// mimalloc, within the bound that [`allow`] sets.
pub struct BoundedAllocator;

static IN_USE: AtomicIsize = AtomicIsize::new(0);
static ALLOWED: AtomicIsize = AtomicIsize::new(isize::MAX);
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// The exit code of a run that met one of its bounds.
const LIMIT_CODE: i32 = 5;

/// A thread tells of its allocations once they add up to this, so that threads do not wait for one counter.
const UNTOLD_MAX: isize = 16 << 10;

/// The part of the bound that is left to others than the one who asks for room: an answer is written with it.
const ROOM_KEPT: isize = 4;

thread_local! {
    static UNTOLD: Cell<isize> = const { Cell::new(0) };
    static IS_ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Bounds the memory of this process from now on.
pub fn allow(bytes: usize) {
    ALLOWED.store(isize::try_from(bytes).unwrap_or(isize::MAX), Ordering::Relaxed);
}

/// The bound; the largest number where there is none.
pub fn allowed() -> usize {
    usize::try_from(ALLOWED.load(Ordering::Relaxed)).unwrap_or(0)
}

/// Bytes that are allocated now, but for 16 KiB of each thread; 0 where [`BoundedAllocator`] does not allocate.
pub fn in_use() -> usize {
    usize::try_from(IN_USE.load(Ordering::Relaxed)).unwrap_or(0)
}

/// True if so many more bytes leave a quarter of the bound free.
pub fn has_room_for(bytes: usize) -> bool {
    let allowed = ALLOWED.load(Ordering::Relaxed);
    let wanted = isize::try_from(bytes).unwrap_or(isize::MAX).saturating_add(IN_USE.load(Ordering::Relaxed));
    wanted <= allowed - allowed / ROOM_KEPT
}

/// Gives pages that nobody uses back to the system, also those of threads that have ended.
#[expect(unsafe_code, reason = "a function of C; it takes a flag and may be called at any time")]
pub fn give_back() {
    // SAFETY: it frees no block that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Counts bytes that are taken, or given back where negative.
fn count(bytes: isize) {
    let told = UNTOLD.with(|untold| {
        let sum = untold.get() + bytes;
        let told = if sum.abs() < UNTOLD_MAX { 0 } else { sum };
        untold.set(sum - told);
        told
    });
    if told != 0 {
        let now = IN_USE.fetch_add(told, Ordering::Relaxed) + told;
        if told > 0 && now > ALLOWED.load(Ordering::Relaxed) {
            end_for_want_of_memory();
        }
    }
}

/// A layout never has more bytes than an `isize` holds.
fn taken(layout: Layout) -> isize {
    layout.size() as isize
}

#[cold]
fn end_for_want_of_memory() -> ! {
    if IS_OVER.swap(true, Ordering::Relaxed) {
        if IS_ENDING.get() {
            say(b"error: the system gives no more memory\n");
            exit(LIMIT_CODE);
        }
        // Another thread ends the process.
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    IS_ENDING.set(true);
    let allowed = ALLOWED.swap(isize::MAX, Ordering::Relaxed);
    let mut line = Cursor::new([0; 256]);
    let written = if IN_USE.load(Ordering::Relaxed) > allowed {
        writeln!(
            line,
            "error: this needs more than the {} MiB of memory that it may take\n\
             hint: ask for less at once, or allow more with --memory",
            allowed >> 20
        )
    } else {
        writeln!(
            line,
            "error: the system gives no more memory than the {} MiB in use\nhint: ask for less at once",
            in_use() >> 20
        )
    };
    end_saying(LIMIT_CODE, || {
        // The line is shorter than its buffer, and the exit code says the same.
        if written.is_ok() {
            say(&line.get_ref()[..line.position() as usize]);
        }
    })
}

fn given(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        end_for_want_of_memory();
    }
    block
}

#[expect(unsafe_code, reason = "an allocator is an unsafe trait; each call is passed on as it came")]
// SAFETY: mimalloc keeps the contract of `GlobalAlloc`, and is given every call unchanged. Counting allocates nothing,
// and a call that cannot be answered never returns.
unsafe impl GlobalAlloc for BoundedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(taken(layout));
        given(unsafe { MiMalloc.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(taken(layout));
        given(unsafe { MiMalloc.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - taken(layout));
        given(unsafe { MiMalloc.realloc(block, layout, size) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-taken(layout));
        unsafe { MiMalloc.dealloc(block, layout) }
    }
}
