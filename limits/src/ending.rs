//! The end of a process that nobody can wait for: after a signal, a deadline, or for want of memory.
//! In: files that are not finished. Out: an exit code, and none of these files.
//! Never waits for work that is under way, and runs none of its destructors.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::sleep;
use std::time::{Duration, Instant};

static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The time that the end waits for whoever makes or names a file in this moment.
const PATIENCE: Duration = Duration::from_millis(500);

/// A file that is removed if the process ends before it has its name. Dropping this forgets it.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    /// Makes a file, which has the path that `named` gives.
    pub fn make<T>(
        make: impl FnOnce() -> io::Result<T>,
        named: impl FnOnce(&T) -> PathBuf,
    ) -> io::Result<(T, Unfinished)> {
        let mut paths = lock();
        let made = make()?;
        let path = named(&made);
        paths.insert(path.clone());
        Ok((made, Unfinished { path }))
    }

    /// Gives it its name, or removes it: a process that ends does so before or after, but not during that.
    pub fn finish<T>(self, finish: impl FnOnce() -> T) -> T {
        let paths = lock();
        let done = finish();
        drop(paths);
        done
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        lock().remove(&self.path);
    }
}

fn lock() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what is not finished, and ends the process. Nobody makes such a file from then on.
pub fn end(code: i32) -> ! {
    end_saying(code, || {})
}

/// The same, with last words: whoever should hear them may be stuck, so they come when nothing is left.
pub fn end_saying(code: i32, last_words: impl FnOnce()) -> ! {
    let started = Instant::now();
    let paths = loop {
        match UNFINISHED.try_lock() {
            Ok(paths) => break Some(paths),
            Err(TryLockError::Poisoned(paths)) => break Some(paths.into_inner()),
            Err(TryLockError::WouldBlock) if started.elapsed() > PATIENCE => break None,
            Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(2)),
        }
    };
    // One that has its name by now, or cannot be removed, stays, and the process ends all the same.
    paths.iter().flat_map(|paths| paths.iter()).for_each(|path| unheard(fs::remove_file(path)));
    last_words();
    exit(code)
}

/// Passes over a failure that nobody is left to hear of.
pub fn unheard<T, E>(result: Result<T, E>) {
    drop(result);
}

/// Ends the process at once, and leaves everything as it is.
#[expect(unsafe_code, reason = "a function of C; the one of std waits for other threads")]
pub fn exit(code: i32) -> ! {
    // SAFETY: it never returns, so nobody can see anything that it leaves undone.
    unsafe { libc::_exit(code) }
}

/// Writes to stderr without taking memory or a lock.
#[expect(unsafe_code, reason = "a function of C; the one of std takes a lock that another thread may hold")]
pub(crate) fn say(line: &[u8]) {
    // SAFETY: the bytes are borrowed for the whole call. Where stderr is closed, the exit code must say it all.
    unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
}

/// Lets a write beyond `ulimit -f` fail as one to a full disk does, which is told; by default a signal ends the process.
#[expect(unsafe_code, reason = "a function of C")]
pub fn let_large_writes_fail() {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// True where whoever started this process wants it to outlive the terminal, as `nohup` does.
#[expect(unsafe_code, reason = "a function of C")]
pub fn is_hangup_ignored() -> bool {
    // SAFETY: all zeros are a valid `sigaction`, and the call fills it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}
