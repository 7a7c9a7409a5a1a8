//! Stores in a bucket: runs that are killed at a request, and several writers at once.
//! In: `sample-logs` on disk, a bucket for every store. Out: the store of an undisturbed run, in every case.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::child::{is_exhaustive, on_every_core};
use crate::cloud::{Fault, Proxy, Request, code, header, keytrail, run, serve_anyone, stderr, stdout};
use crate::store::{COUNTS, Tally, counts, logs, undisturbed};

/// An S3 service with a bucket for each store.
struct Service {
    top: TempDir,
    upstream: SocketAddr,
}

impl Service {
    fn new() -> Service {
        let top = tempfile::tempdir().unwrap();
        Service { upstream: serve_anyone(top.path()), top }
    }

    fn store(&self, bucket: &str) -> Store<'_> {
        fs::create_dir(self.top.path().join(bucket)).unwrap();
        Store { service: self, url: format!("s3://{bucket}/the/store") }
    }
}

struct Store<'s> {
    service: &'s Service,
    url: String,
}

impl Store<'_> {
    fn run(&self, args: &[&str]) -> Output {
        run(&[args, &["--no-sign-request"]].concat(), &format!("http://{}", self.service.upstream))
    }

    fn start(&self, endpoint: &str, batch_bytes: &str) -> Child {
        let logs = logs();
        let args =
            ["ingest", logs.to_str().unwrap(), "--store", &self.url, "--no-sign-request", "-q", "--threads", "1"];
        let mut command = keytrail(&[&args[..], &["--batch-bytes", batch_bytes]].concat(), endpoint);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Another run goes on without any repair, and the store is that of an undisturbed run.
    #[track_caller]
    fn assert_completed(&self, (expected, accounts): &(String, Value), what: &str) {
        let ended = self.run(&["ingest", logs().to_str().unwrap(), "--store", &self.url]);
        assert_eq!(code(&ended), 0, "{what}: {}", stderr(&ended));
        let info = self.run(&["store", "info", &self.url, "-f", "json"]);
        let info: Value = serde_json::from_slice(&info.stdout).unwrap();
        assert_eq!(info["logical_hash"], expected.as_str(), "{what}");
        let sums = COUNTS.map(|name| format!("sum({name}) AS {name}")).join(", ");
        let sql = format!("SELECT count(*) AS n, count(DISTINCT uri) AS objects, {sums} FROM objects");
        let ledger = self.run(&["query", &sql, "--from", &self.url, "-f", "jsonl"]);
        let ledger: Value = serde_json::from_slice(&ledger.stdout).unwrap_or_else(|e| panic!("{e}: {ledger:?}"));
        assert_eq!((&ledger["n"], counts(&ledger)), (&ledger["objects"], counts(accounts)), "{what}");
        let checked = self.run(&["store", "check", &self.url]);
        assert_eq!(code(&checked), 0, "{what}: {}{}", stdout(&checked), stderr(&checked));
    }
}

fn is_change(request: &Request) -> bool {
    ["PUT", "POST", "DELETE"].contains(&request.method.as_str())
}

/// The point at which a run is killed: the number of a changing request, and a fault that carries it out or not.
type Point = (usize, Fault);

/// Kills a run before it has the answer; false if it ended before that request.
fn is_killed(store: &Store, batch_bytes: &str, (nth, fault): Point) -> bool {
    let (running, changes): (Arc<Mutex<Option<Child>>>, _) = (Arc::default(), AtomicUsize::new(0));
    let victim = Arc::clone(&running);
    let proxy = Proxy::start(store.service.upstream, move |request, _| {
        if !is_change(request) || changes.fetch_add(1, Ordering::Relaxed) + 1 != nth {
            return Fault::Pass;
        }
        let mut victim = victim.lock().unwrap();
        let victim = victim.as_mut().unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        fault.clone()
    });
    {
        let mut child = running.lock().unwrap();
        *child = Some(store.start(&proxy.url, batch_bytes));
    }
    loop {
        let ended = running.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
        if let Some(status) = ended {
            return status.code().is_none();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_run_killed_at_any_request_is_completed_by_the_next() {
    // If there is time, smaller batches give more moments to kill at.
    let (batch_bytes, step) = if is_exhaustive() { ("6000", 1) } else { ("12000", 5) };
    let (service, expected) = (Service::new(), undisturbed());
    let whole = service.store("whole");
    let proxy = Proxy::start(service.upstream, |_, _| Fault::Pass);
    let ended = whole.start(&proxy.url, batch_bytes).wait_with_output().unwrap();
    assert_eq!(code(&ended), 0, "{}", stderr(&ended));
    whole.assert_completed(&expected, "undisturbed");
    let all = (1..=proxy.count(is_change)).flat_map(|nth| [(nth, Fault::Hangup), (nth, Fault::Swallow)]);
    let points: Vec<Point> = all.step_by(step).collect();
    assert!(points.len() >= 5, "{points:?}");
    let tally = Tally::of(points.len());
    let killed = on_every_core(&points, |(nth, fault)| {
        let store = service.store(&format!("{nth}-{fault:?}").to_lowercase());
        let is_killed = is_killed(&store, batch_bytes, (*nth, fault.clone()));
        store.assert_completed(&expected, &format!("{nth} {fault:?}"));
        tally.one_more();
        is_killed
    });
    let count = killed.iter().filter(|killed| **killed).count();
    assert!(count * 10 >= killed.len() * 9, "only {count} of {} runs were killed", killed.len());
}

/// The service refuses a commit that exists, so the second writer reads the first one's. No writer may make the store
/// before all of them are about to.
#[test]
fn writers_at_once_in_a_bucket_harm_nothing() {
    let (service, expected) = (Service::new(), undisturbed());
    for (bucket, batch_bytes) in [("few-batches", "60000"), ("many-batches", "12000")] {
        let store = service.store(bucket);
        let (gate, changes) = (Barrier::new(4), AtomicUsize::new(0));
        let proxy = Proxy::start(service.upstream, move |request, _| {
            if is_change(request) && changes.fetch_add(1, Ordering::Relaxed) < 4 {
                gate.wait();
            }
            Fault::Pass
        });
        let writers: Vec<Child> = (0..4).map(|_| store.start(&proxy.url, batch_bytes)).collect();
        for ended in writers.into_iter().map(|writer| writer.wait_with_output().unwrap()) {
            let is_contended = stderr(&ended).contains("other writers have been first at");
            assert!(matches!((code(&ended), is_contended), (0, false) | (5, true)), "{bucket}: {}", stderr(&ended));
        }
        store.assert_completed(&expected, bucket);
        let is_commit = |request: &Request| request.method == "PUT" && request.target.contains("/_delta_log/0");
        let mut commits = proxy.requests();
        commits.retain(|request| is_commit(request) && request.target.contains(".json"));
        assert!(commits.iter().all(|request| header(&request.head, "if-none-match") == Some("*")), "{commits:?}");
        let versions: BTreeSet<&str> = commits.iter().map(|request| request.target.as_str()).collect();
        assert!(commits.len() >= versions.len() + 3, "{bucket}: no writer came second");
    }
}
