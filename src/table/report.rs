//! The findings of the scan of one question, for its asker.
//! In: the scans that a plan runs, and the end of their rows. Out: their outcome, once none of them runs any more.
//! Belongs to one question: two at once on the same logs have a report each, and never see the other's. Claims nothing
//! of a scan whose reader left before its end: luck decides its progress by then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::ScanResult;

/// A report that the plan of a question fills while it runs.
#[derive(Debug)]
pub struct ScanReport {
    found: Mutex<Option<FoundByScan>>,
    has_begun: AtomicBool,
    is_read_to_end: AtomicBool,
    running: watch::Sender<usize>,
}

#[derive(Debug)]
struct FoundByScan {
    scanned: Arc<ScanResult>,
    end: ScanEnd,
}

/// The reason that a scan gave no more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScanEnd {
    /// It came to the end of its objects, or its reader left.
    OfObjects,
    /// It gave as many rows as it was asked for; threads do not change which row is the last.
    OfLimit,
}

/// The end of the scan of a question.
#[derive(Debug)]
pub enum ScanOutcome {
    /// The plan needed no scan.
    NeverRan,
    /// The reader left before the end, or the scan failed.
    Left,
    Ended(Arc<ScanResult>),
}

impl Default for ScanReport {
    fn default() -> ScanReport {
        ScanReport {
            found: Mutex::new(None),
            has_begun: AtomicBool::new(false),
            is_read_to_end: AtomicBool::new(false),
            running: watch::Sender::new(0),
        }
    }
}

impl ScanReport {
    /// Counts a scan as running until the returned value is dropped.
    pub(super) fn begin(self: &Arc<ScanReport>) -> RunningScan {
        self.has_begun.store(true, Ordering::Relaxed);
        self.running.send_modify(|running| *running += 1);
        RunningScan { report: Arc::clone(self) }
    }

    /// Notes that the reader was told that there are no more rows.
    pub(super) fn read_to_end(&self) {
        self.is_read_to_end.store(true, Ordering::Relaxed);
    }

    /// The end of the scan. Waits for one that still runs: its reader should be gone by then, which stops it.
    pub async fn finished(&self) -> ScanOutcome {
        let mut running = self.running.subscribe();
        // Fails only when the sender is gone, which is `self`.
        let has_ended = running.wait_for(|running| *running == 0).await.is_ok();
        let found = self.found.lock().expect("nothing panics while it holds what was found");
        let is_whole = |found: &&FoundByScan| {
            has_ended && (found.end == ScanEnd::OfLimit || self.is_read_to_end.load(Ordering::Relaxed))
        };
        match found.as_ref().filter(is_whole) {
            Some(found) => ScanOutcome::Ended(Arc::clone(&found.scanned)),
            None if self.has_begun.load(Ordering::Relaxed) => ScanOutcome::Left,
            None => ScanOutcome::NeverRan,
        }
    }
}

/// A scan under way.
pub(super) struct RunningScan {
    report: Arc<ScanReport>,
}

impl RunningScan {
    pub fn found(&self, scanned: Arc<ScanResult>, end: ScanEnd) {
        let mut found = self.report.found.lock().expect("nothing panics while it holds what was found");
        *found = Some(FoundByScan { scanned, end });
    }
}

impl Drop for RunningScan {
    fn drop(&mut self) {
        self.report.running.send_modify(|running| *running -= 1);
    }
}
