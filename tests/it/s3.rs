//! Logs in S3: the same answers as from disk, listing that prunes, and a service that fails in every way.
//! A fault either leaves the answer as it was, or the exit code is not 0 and the missing part is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::child::{on_every_core, root};
use crate::cloud::{
    Fault, Proxy, Request, code, copy_folder, header, keytrail, run, serve, serve_under, stderr, stdout,
};
use crate::s3_faults::{Trouble, Victim, troubles};
use crate::service::KeysOfBucket;
use crate::store::Store;

/// A folder with the bucket `logs`, a copy of `sample-logs`.
fn bucket() -> TempDir {
    let top = tempfile::tempdir().unwrap();
    copy_folder(&root().join("sample-logs"), &top.path().join("logs"));
    top
}

fn pass(_: &Request, _: usize) -> Fault {
    Fault::Pass
}

const EVENTS: &str = "SELECT * FROM events ORDER BY object_uri, record_index";
const OBJECTS: &str = "SELECT * FROM objects ORDER BY uri";
const COUNT: &str = "SELECT count(*) AS events FROM events";
/// One of the logs of the sample.
const TARGET: &str = "20260311T1144Z_kCc2BPv0h5Bk59AS";

fn query<'a>(sql: &'a str, from: &'a str) -> Vec<&'a str> {
    vec!["query", sql, "--from", from, "-f", "jsonl"]
}

#[test]
fn a_bucket_gives_what_its_folder_gives() {
    let top = bucket();
    let url = format!("http://{}", serve(top.path()));
    let local = top.path().join("logs").to_str().unwrap().to_owned();
    for args in [
        vec!["audit", "LOGS", "-f", "json"],
        vec!["audit", "LOGS"],
        vec!["audit", "LOGS", "-f", "json", "--account", "444455556666", "--during", "2026-03-11"],
        query(EVENTS, "LOGS"),
        query(OBJECTS, "LOGS"),
        query("SELECT * FROM key_use ORDER BY event_id", "LOGS/AWSLogs/111122223333"),
        vec!["query", "denied-attempts", "--from", "LOGS", "--region", "eu-west-1"],
    ] {
        let at = |place: &str| args.iter().map(|arg| arg.replace("LOGS", place)).collect::<Vec<_>>();
        let (there, here) = (at("s3://logs"), at(&local));
        let there = run(&there.iter().map(String::as_str).collect::<Vec<_>>(), &url);
        let here = run(&here.iter().map(String::as_str).collect::<Vec<_>>(), &url);
        assert_eq!(code(&there), code(&here), "{args:?}: {}", stderr(&there));
        assert_eq!(stdout(&there).replace("s3://logs", &local), stdout(&here), "{args:?}");
        assert!(!here.stdout.is_empty(), "{args:?}: {}", stderr(&here));
    }
}

#[test]
fn an_object_may_be_named_and_counts_once() {
    let top = bucket();
    fs::write(top.path().join("logs/odd name+é.txt"), "{\"Records\":[]}").unwrap();
    let url = format!("http://{}", serve(top.path()));
    let odd = "s3://logs/odd name+é.txt";
    let uris = "SELECT uri, status FROM objects WHERE uri LIKE '%odd%'";
    let alone = run(&query(uris, odd), &url);
    assert_eq!(stdout(&alone), format!("{{\"uri\":\"{odd}\",\"status\":\"read\"}}\n"), "{}", stderr(&alone));
    let args = ["query", "SELECT count(*) AS n, count(DISTINCT uri) AS d FROM objects", "-f", "csv"];
    let from = ["--from", "s3://logs", "--from", odd, "--from", "s3://logs/AWSLogs/", "--from", "s3://logs"];
    let all = run(&[&args[..], &from].concat(), &url);
    assert_eq!(stdout(&all).lines().nth(1), Some("156,156"), "{}", stderr(&all));
}

/// Tiny logs, each with one record.
fn fill(folder: &Path, names: impl Iterator<Item = String>) -> usize {
    let mut number = 0;
    for name in names {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let record = serde_json::json!({
            "eventTime": "2026-03-10T09:00:00Z", "eventSource": "kms.amazonaws.com", "eventName": "Decrypt",
            "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
            "eventID": format!("00000000-0000-4000-8000-{number:012}"),
        });
        fs::write(path, serde_json::json!({"Records": [record]}).to_string()).unwrap();
        number += 1;
    }
    number
}

#[test]
fn listing_goes_on_from_page_to_page() {
    let top = tempfile::tempdir().unwrap();
    let name = |n| format!("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/{:02}/{n:05}.json", n % 2 + 10);
    let objects = fill(&top.path().join("logs"), (0..4_100).map(name));
    let proxy = Proxy::start(serve(top.path()), pass);
    let counted = run(&query(COUNT, "s3://logs"), &proxy.url);
    assert_eq!(stdout(&counted), format!("{{\"events\":{objects}}}\n"), "{}", stderr(&counted));
    assert_eq!(proxy.count(|request| !request.is_list()), objects, "each object is read once");
    let lists = proxy.count(Request::is_list);
    assert!((8..=14).contains(&lists), "{lists} requests for 4,100 keys of one month");
}

#[test]
#[ignore = "measures: run it alone, with --ignored --nocapture"]
fn rate_of_small_objects() {
    let top = tempfile::tempdir().unwrap();
    let name =
        |n| format!("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/{:02}/{:02}/{n:05}.json", n % 3 + 1, n % 28 + 1);
    let objects = fill(&top.path().join("logs"), (0..20_000).map(name));
    let url = format!("http://{}", serve(top.path()));
    let started = Instant::now();
    let planned = run(&["query", COUNT, "--from", "s3://logs", "--dry-run"], &url);
    let listed = started.elapsed();
    assert_eq!(code(&planned), 0, "{}", stderr(&planned));
    let started = Instant::now();
    let counted = run(&query(COUNT, "s3://logs"), &url);
    let read = started.elapsed();
    assert_eq!(stdout(&counted), format!("{{\"events\":{objects}}}\n"), "{}", stderr(&counted));
    println!("{objects} objects listed in {listed:.1?}, listed and read in {read:.1?}");
}

/// Ingests a bucket of so many objects twice; returns the requests and the time of the second run and of a dry run
/// before it.
fn again(objects: usize) -> [(Vec<Request>, Duration); 2] {
    let top = tempfile::tempdir().unwrap();
    let name =
        |n| format!("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/{:02}/{:02}/{n:06}.json", n % 3 + 1, n % 28 + 1);
    fill(&top.path().join("logs"), (0..objects).map(name));
    let upstream = serve(top.path());
    let store = top.path().join("store");
    let args = ["ingest", "s3://logs", "--store", store.to_str().unwrap(), "--summary-json", "-"];
    let timed = |more: &[&str]| {
        let (proxy, started) = (Proxy::start(upstream, pass), Instant::now());
        let ended = run(&[&args[..], more].concat(), &proxy.url);
        assert_eq!(code(&ended), 0, "{}", stderr(&ended));
        (proxy.requests(), started.elapsed(), stdout(&ended))
    };
    let (requests, _, summary) = timed(&[]);
    assert_eq!(requests.iter().filter(|request| !request.is_list()).count(), objects, "each object is read once");
    assert!(summary.contains(&format!("\"kept\": {objects}")), "{summary}");
    let (planned, listing, _) = timed(&["--dry-run"]);
    let (second, idle, summary) = timed(&[]);
    assert!(summary.contains("\"kept\": 0"), "{summary}");
    [(planned, listing), (second, idle)]
}

#[test]
fn a_run_with_nothing_new_lists_and_reads_nothing() {
    let [(planned, _), (second, _)] = again(2_500);
    assert!(second.iter().all(Request::is_list), "{second:?}");
    assert!(second.len() <= planned.len(), "{} requests, where listing takes {}", second.len(), planned.len());
}

#[test]
#[ignore = "measures: run it alone, with --ignored --nocapture"]
fn rate_of_a_run_with_nothing_new() {
    let [(planned, listing), (second, idle)] = again(100_000);
    assert!(second.iter().all(Request::is_list));
    println!(
        "100000 objects: a dry run sends {} requests in {listing:.1?}, a run with nothing new {} in {idle:.1?}",
        planned.len(),
        second.len()
    );
}

#[test]
fn objects_out_of_scope_are_neither_listed_nor_read() {
    let top = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for organization in ["", "o-exampleorgid/"] {
        for account in ["111122223333", "444455556666"] {
            for region in ["eu-west-1", "us-east-1"] {
                for day in 1..=28 {
                    names.push(format!(
                        "trail/AWSLogs/{organization}{account}/CloudTrail/{region}/2026/02/{day:02}/{account}_CloudTrail_{region}_202602{day:02}T0000Z_AbCdEfGhIjKlMnOp.json"
                    ));
                }
            }
        }
    }
    fill(&top.path().join("logs"), names.iter().cloned());
    let upstream = serve(top.path());
    let scope = ["--account", "444455556666", "--region", "us-east-1", "--during", "2026-02-10", "--late-days", "0"];
    // The account's own trail is listed for its count: it is in no organization.
    for (more, objects, lists_max) in
        [(&[][..], 2, 22), (&["--org-id", "o-exampleorgid"], 1, 17), (&["--org-id", "o-otherorgid1"], 0, 11)]
    {
        let proxy = Proxy::start(upstream, pass);
        let args = [&query("SELECT count(*) AS n FROM objects", "s3://logs")[..], &scope, more].concat();
        let counted = run(&args, &proxy.url);
        assert_eq!(stdout(&counted), format!("{{\"n\":{objects}}}\n"), "{more:?} {}", stderr(&counted));
        let lists = proxy.count(Request::is_list);
        assert!(lists <= lists_max, "{lists} for {more:?}");
        assert_eq!(proxy.count(|request| !request.is_list()), objects, "{more:?}");
        let out =
            |request: &Request| ["111122223333", "eu-west-1", "02%2F11"].iter().any(|w| request.target.contains(w));
        assert_eq!(proxy.count(out), 0, "{more:?}");
        assert_eq!(proxy.count(|request| request.method != "GET"), 0, "nothing but what the policy allows");
    }
}

#[test]
fn a_dry_run_reads_nothing() {
    let top = bucket();
    let proxy = Proxy::start(serve(top.path()), pass);
    for args in [
        vec!["audit", "s3://logs", "--dry-run", "--during", "2026-03-11"],
        vec!["query", COUNT, "--from", "s3://logs", "--dry-run"],
        vec!["ingest", "s3://logs", "--store", "/nowhere/store", "--dry-run"],
    ] {
        let planned = run(&args, &proxy.url);
        assert_eq!(code(&planned), 0, "{}", stderr(&planned));
        for part in ["pruned", " LIST (", " GET", "time "] {
            assert!(stdout(&planned).contains(part), "{args:?} {}", stdout(&planned));
        }
    }
    assert_eq!(proxy.count(|request| !request.is_list()), 0);
}

/// A denied folder does not stop a run, even if it comes first or alone is new. A run that can read nothing stops
/// early.
#[test]
fn a_folder_that_is_denied_does_not_stop_the_others() {
    let top = tempfile::tempdir().unwrap();
    let name = |day: usize, n: usize| {
        format!(
            "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/{day:02}/111122223333_CloudTrail_eu-west-1_202603{day:02}T0000Z_{n:016}.json"
        )
    };
    fill(&top.path().join("logs"), (0..203).map(|n| name(if n < 200 { 10 } else { 12 }, n)));
    let upstream = serve(top.path());
    let store = top.path().join("store");
    let ingest = ["ingest", "s3://logs", "--store", store.to_str().unwrap()];
    let count = query(COUNT, "s3://logs");
    for (args, denied, ended, told) in [
        (&count[..], "2026/03/10/", 3, "3 read, 200 refused"),
        (&ingest[..], "2026/03/10/", 3, "3 read, 200 refused"),
        (&ingest[..], "2026/03/10/", 3, "200 refused"),
        (&count[..], "2026/03/", 5, "the last 64 objects could not be read"),
    ] {
        let proxy = Proxy::start(upstream, move |request, _| match request.is_get_of(denied) {
            true => Fault::error(403, "AccessDenied"),
            false => Fault::Pass,
        });
        let output = run(args, &proxy.url);
        assert_eq!(code(&output), ended, "{args:?} {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{args:?} {}", stderr(&output));
        assert!(proxy.count(|request| !request.is_list()) <= 203 + 65 + 1, "{args:?}");
    }
}

/// The folder of global changes is read for a question about state, and for no other. Who may not list it still has an
/// answer, which says so; a baseline that was asked for is no such extra.
#[test]
fn the_changes_of_another_region_are_read_where_they_may_be() {
    let top = bucket();
    let upstream = serve(top.path());
    let audit = ["audit", "s3://logs", "-f", "json", "--region", "eu-west-1", "--since", "2026-03-10"];
    let baseline = [&audit[..], &["--baseline", "5d"]].concat();
    let count = [&query(COUNT, "s3://logs")[..], &["--region", "eu-west-1"]].concat();
    let is_of_changes = |request: &Request| request.target.contains("us-east-1");
    for (args, denied, ended, reads_changes, is_missing) in [
        (&audit[..], "nothing", 0, true, false),
        (&audit[..], "us-east-1", 0, false, true),
        (&baseline[..], "us-east-1", 5, false, true),
        (&count[..], "nothing", 0, false, false),
    ] {
        let proxy =
            Proxy::start(upstream, move |request, _| match request.is_list() && request.target.contains(denied) {
                true => Fault::error(403, "AccessDenied"),
                false => Fault::Pass,
            });
        let output = run(args, &proxy.url);
        assert_eq!(code(&output), ended, "{args:?} {}", stderr(&output));
        let read = proxy.count(|request| !request.is_list() && is_of_changes(request)) > 0;
        assert_eq!(read, reads_changes, "{args:?}");
        if ended == 0 && args[0] == "audit" {
            let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
            assert_eq!(answer["summary"]["changes_not_read"], is_missing, "{args:?}");
        }
    }
}

/// Runs a question and an ingest through a proxy that fails, and the same without it.
struct Faulty {
    top: TempDir,
    upstream: std::net::SocketAddr,
    right: String,
    /// The hash of the store that an undisturbed ingest makes.
    hash: String,
    content: Vec<u8>,
}

type Judge = Arc<dyn Fn(&Request, usize) -> Fault + Send + Sync>;

impl Faulty {
    fn new() -> Faulty {
        let top = bucket();
        let upstream = serve(top.path());
        let right = run(&query(EVENTS, "s3://logs"), &format!("http://{upstream}"));
        assert_eq!(code(&right), 0, "{}", stderr(&right));
        let mut faulty = Faulty { top, upstream, right: stdout(&right), hash: String::new(), content: Vec::new() };
        faulty.content = fs::read(faulty.target()).unwrap();
        let (store, undisturbed) = (Store::new(), Arc::new(pass));
        assert_eq!(faulty.ingest(&store, undisturbed).0, 0);
        faulty.hash = store.hash();
        faulty
    }

    fn target(&self) -> PathBuf {
        let folder = self.top.path().join("logs/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/11");
        folder.join(format!("111122223333_CloudTrail_eu-west-1_{TARGET}.json.gz"))
    }

    /// Brings a trouble to the target.
    fn judge(&self, trouble: &Arc<Trouble>) -> impl Fn(&Request, usize) -> Fault + Send + Sync + 'static {
        let (trouble, victim) = (Arc::clone(trouble), Victim { name: TARGET.to_owned(), path: self.target() });
        move |request, before| trouble.strike(&victim, request, before).unwrap_or(Fault::Pass)
    }

    fn proxy(&self, judge: Judge) -> Proxy {
        Proxy::start(self.upstream, move |request, before| judge(request, before))
    }

    fn run(&self, judge: Judge) -> (i32, String, String) {
        let output = run(&query(EVENTS, "s3://logs"), &self.proxy(judge).url);
        self.restore();
        (code(&output), stdout(&output), stderr(&output))
    }

    /// Ingests in batches, so that some may be in the store before a fault ends the run.
    fn ingest(&self, store: &Store, judge: Judge) -> (i32, String, String) {
        let args = ["ingest", "s3://logs", "--store", store.text(), "--summary-json", "-", "--batch-bytes", "60000"];
        let output = run(&args, &self.proxy(judge).url);
        self.restore();
        (code(&output), stdout(&output), stderr(&output))
    }

    /// Undoes faults that replace or delete their object.
    fn restore(&self) {
        if fs::read(self.target()).ok().as_ref() != Some(&self.content) {
            fs::write(self.target(), &self.content).unwrap();
        }
    }

    /// An ingest either makes the store of an undisturbed one or reports the missing objects; once the fault is gone,
    /// another ingest makes that store.
    fn ingests(&self, what: &str, judge: Judge, (expected, told): (i32, &str)) {
        let store = Store::new();
        let (code, summary, says) = self.ingest(&store, judge);
        assert_eq!(code, expected, "{what}: {says}");
        match code {
            0 => assert_eq!(store.hash(), self.hash, "{what}"),
            3 => {
                let summary: Value = serde_json::from_str(&summary).unwrap();
                let uri = format!("s3://{}", self.target().strip_prefix(self.top.path()).unwrap().display());
                let (status, error) = told.split_once(' ').unwrap();
                let problem = serde_json::json!({"uri": uri, "status": status, "error": error});
                assert_eq!(summary["problems"], serde_json::json!([problem]), "{what}");
            }
            _ => assert!(says.contains(told) && says.contains("s3://logs"), "{what}: {says}"),
        }
        let (code, _, says) = self.ingest(&store, Arc::new(pass));
        assert_eq!(code, 0, "after {what}: {says}");
        assert_eq!(store.hash(), self.hash, "after {what}");
        store.check();
    }

    /// Expects that the run overcomes a fault.
    fn heals(&self, what: &str, judge: impl Fn(&Request, usize) -> Fault + Send + Sync + 'static) {
        let judge: Judge = Arc::new(judge);
        let (code, answer, says) = self.run(Arc::clone(&judge));
        assert_eq!(code, 0, "{what}: {says}");
        assert!(answer == self.right, "{what} changed the answer");
        self.ingests(what, judge, (0, ""));
    }

    /// Expects that a fault of one object is named with this status and reason, and that the others are read.
    fn names(&self, what: &str, told: &str, judge: impl Fn(&Request, usize) -> Fault + Send + Sync + 'static) {
        let judge: Judge = Arc::new(judge);
        let (code, answer, says) = self.run(Arc::clone(&judge));
        assert_eq!(code, 3, "{what}: {says}");
        let (status, reason) = told.split_once(' ').unwrap();
        let named = says.lines().any(|l| l.starts_with(status) && l.contains(TARGET) && l.ends_with(reason));
        assert!(named, "{what}: {says}");
        assert!(
            ["service_error", "missing", "changed", "gzip_crc", "inconsistent_answer"].contains(&reason)
                || says.contains("hint:"),
            "{what}: {says}"
        );
        let others: Vec<&str> = self.right.lines().filter(|line| !line.contains(TARGET)).collect();
        assert_eq!(answer.lines().collect::<Vec<_>>(), others, "{what}");
        self.ingests(what, judge, (3, told));
    }

    /// Expects that a fault of every request stops the run.
    fn stops(&self, what: &str, told: &str, judge: impl Fn(&Request, usize) -> Fault + Send + Sync + 'static) {
        let judge: Judge = Arc::new(judge);
        let (code, _, says) = self.run(Arc::clone(&judge));
        assert_eq!(code, 5, "{what}: {says}");
        assert!(says.contains(told), "{what}: {says}");
        assert!(says.contains("error:"), "{what}: {says}");
        self.ingests(what, judge, (5, told));
    }
}

#[test]
fn faults_that_pass_change_nothing() {
    let faulty = Faulty::new();
    let passing: Vec<Arc<Trouble>> = troubles().into_iter().filter(|t| t.told.is_none()).map(Arc::new).collect();
    on_every_core(&passing, |trouble| faulty.heals(trouble.what, faulty.judge(trouble)));
}

/// Such an ETag has 32 hex digits and is compared with no content.
#[test]
fn an_etag_that_is_no_md5_refuses_nothing() {
    let top = bucket();
    let right = run(&query(EVENTS, "s3://logs"), &format!("http://{}", serve(top.path())));
    for keys in [KeysOfBucket::OfKms, KeysOfBucket::Untold] {
        let found = run(&query(EVENTS, "s3://logs"), &format!("http://{}", serve_under(top.path(), keys)));
        assert_eq!(code(&found), 0, "{keys:?}: {}", stderr(&found));
        assert_eq!(stdout(&found), stdout(&right), "{keys:?}");
    }
}

#[test]
fn a_crawling_body_is_resumed() {
    Faulty::new().heals("a trickle", |request, before| {
        if request.is_get_of(TARGET) && before == 0 { Fault::Trickle } else { Fault::Pass }
    });
}

#[test]
fn unreadable_objects_are_named() {
    let faulty = Faulty::new();
    let lasting = troubles().into_iter().filter(|trouble| trouble.told.is_some()).map(Arc::new);
    let (alone, together): (Vec<_>, Vec<_>) = lasting.partition(|trouble| trouble.changes_the_bucket());
    let names = |t: &Arc<Trouble>| faulty.names(t.what, t.told.unwrap(), faulty.judge(t));
    on_every_core(&together, names);
    alone.iter().for_each(names);
}

/// A later run reads an object that failed; until then every run reports it.
#[test]
fn a_refused_object_is_read_by_a_later_run() {
    let faulty = Faulty::new();
    let store = tempfile::tempdir().unwrap();
    let ingest = |fault: Fault| {
        let proxy = Proxy::start(faulty.upstream, move |request, _| match request.is_get_of(TARGET) {
            true => fault.clone(),
            false => Fault::Pass,
        });
        let path = store.path().join("store");
        let output = run(&["ingest", "s3://logs", "--store", path.to_str().unwrap()], &proxy.url);
        (code(&output), stderr(&output).contains(TARGET), stderr(&output))
    };
    for fault in [
        Fault::error(403, "AccessDenied"),
        Fault::error(403, "InvalidObjectState"),
        Fault::error(503, "SlowDown"),
        Fault::Corrupt,
        Fault::Corrupt,
    ] {
        let (code, is_named, says) = ingest(fault.clone());
        assert_eq!((code, is_named), (3, true), "{fault:?}: {says}");
    }
    let (code, _, says) = ingest(Fault::Pass);
    assert!(code == 0 && says.contains("1 batch"), "{says}");
    let (code, _, says) = ingest(Fault::Pass);
    assert!(code == 0 && says.contains("nothing new"), "{says}");
    let path = store.path().join("store");
    let stored = crate::child::keytrail(["query", COUNT, "--from", path.to_str().unwrap(), "-f", "csv"]);
    let count = stored.text().lines().nth(1).and_then(|line| line.parse().ok());
    assert_eq!((stored.code, count), (Some(0), Some(faulty.right.lines().count())), "{}", stored.stderr);
}

/// A named profile wins over the keys of the environment.
#[test]
fn a_named_profile_signs() {
    let top = bucket();
    let role = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>\
        <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
        </Credentials></AssumeRoleResult></AssumeRoleResponse>";
    let folder = tempfile::tempdir().unwrap();
    let [file, config] = ["credentials", "config"].map(|name| folder.path().join(name));
    fs::write(&file, "[prod]\naws_access_key_id = AKIAPROD\naws_secret_access_key = x\n").unwrap();
    let arn = "arn:aws:iam::111122223333:role/reader";
    fs::write(&config, format!("[profile role]\nrole_arn = {arn}\nsource_profile = prod\n")).unwrap();
    let signed_by = [("prod", Some("Credential=AKIAPROD/")), ("role", Some("Credential=ASIAROLE/")), ("nosuch", None)];
    for (profile, signed) in signed_by {
        let seen =
            Proxy::start(serve(top.path()), move |request, _| match request.body.starts_with(b"Action=AssumeRole") {
                true => Fault::Answer(200, String::new(), role.to_owned()),
                false => Fault::error(403, "InvalidAccessKeyId"),
            });
        let mut command = keytrail(&["query", COUNT, "--from", "s3://logs", "--profile", profile], &seen.url);
        command.env("AWS_SHARED_CREDENTIALS_FILE", &file).env("AWS_CONFIG_FILE", &config);
        let output = command.env("AWS_ENDPOINT_URL", &seen.url).output().unwrap();
        assert_eq!(code(&output), 5, "{}", stderr(&output));
        match signed {
            Some(signed) => {
                let lists = seen.requests().into_iter().filter(Request::is_list).collect::<Vec<_>>();
                assert!(!lists.is_empty());
                assert!(lists.iter().all(|request| request.head.contains(signed)), "{lists:?}");
            }
            None => assert!(stderr(&output).contains("nosuch"), "{}", stderr(&output)),
        }
    }
}

#[test]
fn a_run_that_cannot_work_stops_and_says_why() {
    let faulty = Faulty::new();
    for (code, status, told) in [
        ("AccessDenied", 403, "grant s3:ListBucket"),
        ("NoSuchBucket", 404, "no such bucket"),
        ("InvalidAccessKeyId", 403, "does not accept these credentials"),
        ("ExpiredToken", 400, "have expired"),
        ("RequestTimeTooSkewed", 403, "set the clock"),
        ("PermanentRedirect", 301, "set AWS_REGION"),
        ("SlowDown", 503, "the service is busy"),
    ] {
        faulty.stops(code, told, move |_, _| Fault::error(status, code));
    }
    let reads = AtomicUsize::new(0);
    faulty.stops("credentials that expire in the middle", "have expired", move |request, _| {
        if request.is_list() {
            reads.store(0, Ordering::Relaxed);
            return Fault::Pass;
        }
        let is_late = reads.fetch_add(1, Ordering::Relaxed) > 10;
        if is_late { Fault::error(400, "ExpiredToken") } else { Fault::Pass }
    });
    let missing = run(&query(COUNT, "s3://nowhere"), &format!("http://{}", faulty.upstream));
    assert_eq!(code(&missing), 5, "{}", stderr(&missing));
    let no_store = run(&["store", "check", "s3://nowhere"], &format!("http://{}", faulty.upstream));
    assert_eq!(code(&no_store), 5);
    assert!(stderr(&no_store).contains("cannot use the store: cannot list"), "{}", stderr(&no_store));
    let mut anonymous = keytrail(&query(COUNT, "s3://logs"), "http://127.0.0.1:9");
    let anonymous = anonymous.env_remove("AWS_ACCESS_KEY_ID").output().unwrap();
    assert_eq!(code(&anonymous), 5);
    assert!(stderr(&anonymous).contains("no AWS credentials"), "{}", stderr(&anonymous));
    let unreachable = run(&query(COUNT, "s3://logs"), "http://127.0.0.1:9");
    assert_eq!(code(&unreachable), 5);
    assert!(stderr(&unreachable).contains("network"), "{}", stderr(&unreachable));
    let empty = run(&query(COUNT, "s3://logs/none/"), &format!("http://{}", faulty.upstream));
    assert_eq!(code(&empty), 3, "{}", stderr(&empty));
}

/// A LIST answer with these keys.
fn page(keys: &[&str], next: Option<&str>) -> Fault {
    let contents: String = keys
        .iter()
        .map(|key| format!("<Contents><Key>{key}</Key><Size>5</Size><ETag>\"x\"</ETag></Contents>"))
        .collect();
    let next = next.map_or("<IsTruncated>false</IsTruncated>".to_owned(), |token| {
        format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>")
    });
    Fault::Answer(200, String::new(), format!("<ListBucketResult>{contents}{next}</ListBucketResult>"))
}

#[test]
fn pages_that_repeat_or_lie_are_errors() {
    let faulty = Faulty::new();
    for (what, keys, next) in [
        ("a page that repeats", &["a.json", "b.json"][..], Some("again")),
        ("keys out of order", &["b.json", "a.json"], None),
        ("a key twice", &["b.json", "b.json"], None),
        ("empty pages for ever", &[], Some("again")),
    ] {
        faulty.stops(what, "contradicts itself", move |request, _| {
            if request.is_list() && !request.target.contains("max-keys=1&") { page(keys, next) } else { Fault::Pass }
        });
    }
    faulty.stops("ever new tokens for nothing", "contradicts itself", {
        let tokens = AtomicUsize::new(0);
        move |request, _| match request.target.contains("max-keys=1&") {
            true => Fault::Pass,
            false => page(&[], Some(&tokens.fetch_add(1, Ordering::Relaxed).to_string())),
        }
    });
}

/// Paths and URLs take such a key for another one, so it is never asked for.
#[test]
fn keys_that_are_no_place_are_refused() {
    const REFUSED: [&str; 4] = ["../a.json", "./a.json.gz", "a/../b.json", "a/./c.json"];
    const NEAR: [&str; 4] = ["...json", "..a.json", "a/.../d.json", "a/b..json"];
    let top = bucket();
    let mut keys = [REFUSED, NEAR].concat();
    keys.sort_unstable();
    let proxy = Proxy::start(serve(top.path()), move |request, _| match request.is_list() {
        true => page(&keys, None),
        false => Fault::Pass,
    });
    let asked = run(&query("SELECT uri, status, error FROM objects ORDER BY uri", "s3://logs"), &proxy.url);
    assert_eq!(code(&asked), 3, "{}", stderr(&asked));
    let rows: Vec<Value> = stdout(&asked).lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let found = |key: &str| {
        let row = rows
            .iter()
            .find(|row| row["uri"] == format!("s3://logs/{key}"))
            .unwrap_or_else(|| panic!("{key}: {rows:?}"));
        (row["status"].as_str().unwrap().to_owned(), row["error"].as_str().unwrap_or_default().to_owned())
    };
    for key in REFUSED {
        assert_eq!(found(key), ("refused".to_owned(), "key_refused".to_owned()), "{key}");
    }
    for key in NEAR {
        assert_ne!(found(key).0, "refused", "{key}");
    }
    assert_eq!(proxy.count(|request| request.target.contains("/./") || request.target.contains("/../")), 0);
}

#[test]
fn large_objects_go_through_the_disk() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("logs");
    fill(&folder, (0..3).map(|n| format!("{n}.json")));
    let mut large = String::from("{\"Records\":[");
    let padding = "x".repeat(1 << 20);
    for number in 0..40 {
        let comma = if number > 0 { "," } else { "" };
        large.push_str(&format!(
            "{comma}{{\"eventTime\":\"2026-03-10T09:00:00Z\",\"eventSource\":\"kms.amazonaws.com\",\"eventName\":\"Decrypt\",\"eventID\":\"large-{number}\",\"requestParameters\":{{\"p\":\"{padding}\"}}}}"
        ));
    }
    fs::write(folder.join("large.json"), large + "]}").unwrap();
    let proxy = Proxy::start(serve(top.path()), |request, before| match request.is_get_of("large") && before == 0 {
        true => Fault::CutAt(30 << 20),
        false => Fault::Pass,
    });
    let counted = run(&query(COUNT, "s3://logs"), &proxy.url);
    assert_eq!(stdout(&counted), "{\"events\":43}\n", "{}", stderr(&counted));
    let resumed = |request: &Request| header(&request.head, "range").is_some();
    assert_eq!((proxy.count(|r| r.is_get_of("large")), proxy.count(resumed)), (2, 1));
}
