//! What the scan of one question found, for whoever asked it.
//! In: the scans that a plan runs. Out: what they found, once none of them runs any more.
//! Belongs to one question: two at once on the same logs have a report each, and never see the other's.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::Scanned;

/// A report that the plan of a question fills while it runs.
#[derive(Debug)]
pub struct ScanReport {
    found: Mutex<Option<Arc<Scanned>>>,
    running: watch::Sender<usize>,
}

impl Default for ScanReport {
    fn default() -> ScanReport {
        ScanReport { found: Mutex::new(None), running: watch::Sender::new(0) }
    }
}

impl ScanReport {
    /// Counts a scan as running until what is returned is dropped.
    pub(super) fn begin(self: &Arc<ScanReport>) -> RunningScan {
        self.running.send_modify(|running| *running += 1);
        RunningScan { report: Arc::clone(self) }
    }

    /// The report of a scan that has ended, `None` where the plan never ran one. Waits for scans that still run: the
    /// reader of the rows should be gone by then, or they wait for it in turn.
    pub async fn finished(&self) -> Option<Arc<Scanned>> {
        let mut running = self.running.subscribe();
        // Fails when the sender is gone, which is `self`.
        let ended = running.wait_for(|running| *running == 0).await.is_ok();
        let found = self.found.lock().expect("nothing panics while it holds what was found");
        found.clone().filter(|_| ended)
    }
}

/// A scan under way.
pub(super) struct RunningScan {
    report: Arc<ScanReport>,
}

impl RunningScan {
    pub fn found(&self, scanned: Arc<Scanned>) {
        *self.report.found.lock().expect("nothing panics while it holds what was found") = Some(scanned);
    }
}

impl Drop for RunningScan {
    fn drop(&mut self) {
        self.report.running.send_modify(|running| *running -= 1);
    }
}
