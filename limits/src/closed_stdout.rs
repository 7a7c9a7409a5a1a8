//! Knows if the process began without a standard output.
//! In: the descriptors, before the runtime of Rust opens `/dev/null` in place of one that is closed. Out: true or false.
//! Never changes a descriptor.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// True if nobody can read what is written to standard output, because it was closed when the process began. Always false
/// on systems where this cannot be known.
pub fn stdout_was_closed() -> bool {
    IS_CLOSED.load(Ordering::Relaxed)
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[expect(unsafe_code, reason = "a look at a descriptor before `main`, which only a function of C can have")]
mod before_main {
    use std::sync::atomic::Ordering;

    extern "C" fn look() {
        // SAFETY: it takes no third argument and changes nothing. It fails of a descriptor that is not open.
        let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
        super::IS_CLOSED.store(flags == -1, Ordering::Relaxed);
    }

    #[used]
    // SAFETY: the loader calls the functions of this list before `main`, each once; this one needs nothing set up.
    #[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
    #[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
    static LOOK: extern "C" fn() = look;
}
