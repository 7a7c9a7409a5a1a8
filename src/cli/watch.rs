//! What ends work from outside: signals, and the deadline of a computation.
//! In: SIGINT, SIGTERM and SIGHUP, the time since something was last opened. Out: the end of the process, with nothing
//! unfinished left; in the shell, word to whoever waits for the statement.
//! A thread of its own, so that work which keeps all other threads busy is stopped too. It never waits for that work.

use std::io;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keytrail_limits::unheard;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::exit::{Failure, RunExitCode};
use super::progress;
use crate::output::Style;
use crate::output::words::seconds;

/// The watch looks at its clocks no more often than this: while the output waits for its reader, one of them stands still.
const TICK: Duration = Duration::from_millis(20);

/// The time that the end of the process may take to remove unfinished files.
const CLEANUP: Duration = Duration::from_secs(1);

/// The reason that work is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Interrupted,
    /// It has computed for so long without opening anything.
    TooLong(Duration),
}

impl Stop {
    pub fn failure(self) -> Failure {
        match self {
            Stop::Interrupted => Failure::interrupted(),
            Stop::TooLong(timeout) => Failure::world(format!(
                "stopped after {} of computing, counted from the last file or object that was opened",
                seconds(timeout)
            ))
            .hint("narrow the question, or allow more with --timeout 1h; --timeout 0 is no limit"),
        }
    }
}

/// Tells whoever waits for work that it is stopped.
type Waiter = Box<dyn Fn(Stop) + Send>;

/// The work under way.
struct UnderWay {
    since: Instant,
    /// The time that it may compute; none if that has no limit.
    timeout: Option<Duration>,
    /// Whoever is told to stop waiting; without anybody the process ends.
    waiter: Option<Waiter>,
}

#[derive(Default)]
struct WatchState {
    under_way: Option<UnderWay>,
    /// The shell, which outlives an interrupt, with the settings of its terminal.
    terminal: Option<Termios>,
    is_shell: bool,
    /// The time at which the process ends at the latest, and its exit code.
    end: Option<(Instant, RunExitCode)>,
    style: Style,
}

struct Watched {
    state: Mutex<WatchState>,
    changed: Notify,
}

/// The watch over this process; clones share it.
#[derive(Clone)]
pub struct Watch(Arc<Watched>);

/// Work that is watched until this is dropped.
pub struct WatchedWork<'w>(&'w Watch);

impl Watch {
    /// Starts to listen. Fails where the system gives no thread or no signals.
    pub fn start(style: Style) -> io::Result<Watch> {
        let state = Mutex::new(WatchState { style, ..WatchState::default() });
        let watch = Watch(Arc::new(Watched { state, changed: Notify::new() }));
        let (ready, started) = channel();
        let watcher = watch.clone();
        std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
            let listening = Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                let heard = runtime.block_on(async { HeardSignals::listen() })?;
                Ok((runtime, heard))
            });
            match listening {
                Ok((runtime, heard)) => {
                    let is_awaited = ready.send(Ok(())).is_ok();
                    if is_awaited {
                        runtime.block_on(watcher.run(heard));
                    }
                }
                Err(error) => unheard(ready.send(Err(error))),
            }
        })?;
        started.recv().map_err(io::Error::other)??;
        keytrail_limits::let_large_writes_fail();
        Ok(watch)
    }

    /// From now on an interrupt ends the statement under way, not the process.
    pub fn is_for_shell(&self) {
        let mut state = self.state();
        (state.is_shell, state.terminal) = (true, tcgetattr(io::stdin()).ok());
    }

    /// Watches a run: a signal or the deadline ends the process.
    pub fn run_under_way(&self, timeout: Option<Duration>) -> WatchedWork<'_> {
        self.under_way(timeout, None)
    }

    /// Watches a statement of a shell: its waiter is told to stop.
    pub fn statement_under_way(&self, timeout: Option<Duration>, waiter: Waiter) -> WatchedWork<'_> {
        self.under_way(timeout, Some(waiter))
    }

    fn under_way(&self, timeout: Option<Duration>, waiter: Option<Waiter>) -> WatchedWork<'_> {
        keytrail_limits::begin_work();
        self.state().under_way = Some(UnderWay { since: Instant::now(), timeout, waiter });
        self.0.changed.notify_one();
        WatchedWork(self)
    }

    fn state(&self) -> MutexGuard<'_, WatchState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self, mut heard: HeardSignals) {
        loop {
            let left = self.left();
            tokio::select! {
                kind = heard.next() => self.hear(kind),
                () = self.0.changed.notified() => {}
                () = after(left) => self.check_time(),
            }
        }
    }

    /// The time until something may have to be done.
    fn left(&self) -> Option<Duration> {
        let state = self.state();
        let of_work = state.under_way.as_ref().and_then(UnderWay::left);
        let of_end = state.end.map(|(end, _)| end.saturating_duration_since(Instant::now()));
        [of_work, of_end].into_iter().flatten().min().map(|left| left.max(TICK))
    }

    fn hear(&self, kind: SignalKind) {
        let state = self.state();
        if state.end.is_some() {
            keytrail_limits::exit(RunExitCode::Interrupted as i32);
        }
        // Ctrl-C at the prompt is a key; a signal there comes too late for the statement that it was meant for.
        if state.is_shell && kind == SignalKind::interrupt() {
            if let Some(waiter) = state.under_way.as_ref().and_then(|work| work.waiter.as_ref()) {
                waiter(Stop::Interrupted);
            }
            return;
        }
        drop(state);
        self.end(Stop::Interrupted);
    }

    fn check_time(&self) {
        let mut state = self.state();
        if let Some((end, code)) = state.end
            && end <= Instant::now()
        {
            keytrail_limits::exit(code as i32);
        }
        let Some(late) = state.under_way.take_if(|work| work.left() == Some(Duration::ZERO)) else { return };
        drop(state);
        let stop = Stop::TooLong(late.timeout.unwrap_or_default());
        match &late.waiter {
            Some(waiter) => waiter(stop),
            None => self.end(stop),
        }
    }

    /// Ends the process, on another thread, so that a second signal is heard meanwhile.
    fn end(&self, stop: Stop) {
        let failure = stop.failure();
        let code = failure.code();
        let (terminal, style) = {
            let mut state = self.state();
            state.end = Some((Instant::now() + CLEANUP, code));
            (state.terminal.take(), state.style)
        };
        let end = move || {
            if let Some(settings) = terminal {
                // After a hangup it is gone.
                unheard(tcsetattr(io::stdin(), OptionalActions::Now, &settings));
            }
            keytrail_limits::end_saying(code as i32, || {
                progress::clear_drawn();
                failure.print(style);
            })
        };
        if std::thread::Builder::new().spawn(end).is_err() {
            keytrail_limits::end(code as i32);
        }
    }
}

impl Drop for WatchedWork<'_> {
    fn drop(&mut self) {
        self.0.state().under_way = None;
    }
}

impl UnderWay {
    /// The time that it may still compute.
    fn left(&self) -> Option<Duration> {
        let computing = self.since.elapsed().min(keytrail_limits::since_opened());
        self.timeout.map(|timeout| timeout.saturating_sub(computing))
    }
}

async fn after(left: Option<Duration>) {
    match left {
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}

/// The signals that ask a run to end.
struct HeardSignals {
    interrupts: Signal,
    terminations: Signal,
    /// None under `nohup`.
    hangups: Option<Signal>,
}

impl HeardSignals {
    fn listen() -> io::Result<HeardSignals> {
        let hangups = (!keytrail_limits::is_hangup_ignored()).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(HeardSignals {
            interrupts: signal(SignalKind::interrupt())?,
            terminations: signal(SignalKind::terminate())?,
            hangups,
        })
    }

    async fn next(&mut self) -> SignalKind {
        let hangup = async {
            match &mut self.hangups {
                Some(hangups) => hangups.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupts.recv() => SignalKind::interrupt(),
            _ = self.terminations.recv() => SignalKind::terminate(),
            _ = hangup => SignalKind::hangup(),
        }
    }
}
