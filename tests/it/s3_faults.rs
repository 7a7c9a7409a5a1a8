//! Faults of S3 by name, then in pairs and by chance: over a bucket of a few small logs a run ends with 0 and every record,
//! or with 3 and every unread object named, or with 5 and the reason; never with 0 and less.
//! In: troubles, and schedules drawn by a seed. Out: every run whose answer does not follow from the logs as they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::{at_once, is_exhaustive};
use crate::cloud::{Fault, Proxy, Request, code, header, run, serve, stderr, stdout};
use crate::store::{Dice, Store};

/// One way in which the requests for an object, or all requests, go wrong.
pub struct Trouble {
    pub what: &'static str,
    /// The status and the reason of the object; none where the run overcomes the trouble.
    pub told: Option<&'static str>,
    course: Course,
}

enum Course {
    /// So many requests for the object.
    First(usize, Fault),
    Ever(Fault),
    /// The object is another one when it is asked for, or is gone.
    Replaced,
    Deleted,
    /// The first request of every list and of every log of one day, since a budget of retries bounds those of a run.
    Busy,
    /// The bucket is in another Region.
    Moved,
}

/// The object that a trouble is about.
#[derive(Clone)]
pub struct Victim {
    /// A part of its key that no other has.
    pub name: String,
    pub path: PathBuf,
}

impl Trouble {
    /// True if it changes the bucket for other runs too.
    pub fn changes_the_bucket(&self) -> bool {
        matches!(self.course, Course::Replaced | Course::Deleted)
    }

    /// The fault of one request, if it is struck, with the number of earlier ones that were the same.
    pub fn strike(&self, victim: &Victim, request: &Request, before: usize) -> Option<Fault> {
        let is_struck = match &self.course {
            Course::First(times, _) => request.is_get_of(&victim.name) && before < *times,
            Course::Ever(_) | Course::Replaced | Course::Deleted => request.is_get_of(&victim.name),
            Course::Busy => {
                before == 0 && (request.is_list() || request.target.contains("/CloudTrail/us-east-1/2026/03/10/"))
            }
            Course::Moved => !header(&request.head, "authorization").unwrap_or_default().contains("/eu-west-1/"),
        };
        is_struck.then(|| self.fault(victim))
    }

    fn fault(&self, victim: &Victim) -> Fault {
        match &self.course {
            Course::First(_, fault) | Course::Ever(fault) => return fault.clone(),
            Course::Busy => return Fault::error(503, "SlowDown"),
            Course::Moved => {
                let Fault::Answer(status, _, body) = Fault::error(301, "PermanentRedirect") else { unreachable!() };
                return Fault::Answer(status, "x-amz-bucket-region: eu-west-1\r\n".into(), body);
            }
            Course::Replaced => fs::write(&victim.path, b"{\"Records\":[]}").unwrap(),
            // An earlier request may have done it already.
            Course::Deleted => drop(fs::remove_file(&victim.path)),
        }
        Fault::Pass
    }
}

/// Eleven troubles that pass, and thirteen that leave an object unread.
pub fn troubles() -> Vec<Trouble> {
    let passes = |what, course| Trouble { what, told: None, course };
    let once = |what, fault| passes(what, Course::First(1, fault));
    let stays = |what, told, course| Trouble { what, told: Some(told), course };
    let ever = |what, told, fault| stays(what, told, Course::Ever(fault));
    vec![
        once("503 once", Fault::error(503, "SlowDown")),
        once("500 once", Fault::error(500, "InternalError")),
        once("a reset before the answer", Fault::Hangup),
        once("a body cut at its start", Fault::CutAt(0)),
        once("a body cut in the middle", Fault::CutAt(300)),
        once("a short body", Fault::Resize(-10)),
        once("a long body", Fault::Resize(10)),
        once("wrong bytes", Fault::Corrupt),
        passes("a body cut near its start, again and again", Course::First(3, Fault::CutAt(100))),
        passes("503 for the first answer to every list and every log of a day", Course::Busy),
        passes("a bucket in another Region", Course::Moved),
        ever("503 for ever", "refused service_busy", Fault::error(503, "SlowDown")),
        ever("hangups for ever", "refused network", Fault::Hangup),
        ever("bodies cut for ever", "refused network", Fault::CutAt(10)),
        ever("short bodies for ever", "refused inconsistent_answer", Fault::Resize(-1)),
        ever("long bodies for ever", "refused inconsistent_answer", Fault::Resize(1)),
        ever("wrong bytes for ever", "refused inconsistent_answer", Fault::Corrupt),
        ever("403 on one key", "refused access_denied", Fault::error(403, "AccessDenied")),
        ever("an archived object", "refused archived", Fault::error(403, "InvalidObjectState")),
        ever("a disabled key", "refused kms_key_unusable", Fault::error(400, "KMS.DisabledException")),
        ever("412", "changed changed", Fault::error(412, "PreconditionFailed")),
        ever("404", "missing missing", Fault::error(404, "NoSuchKey")),
        stays("an object replaced after it was listed", "changed changed", Course::Replaced),
        stays("an object deleted after it was listed", "missing missing", Course::Deleted),
    ]
}

/// Runs that wait more than they compute.
const AT_ONCE: usize = 24;
/// Runs through one proxy, which looks through all requests that it has seen.
const OF_ONE_PROXY: usize = 250;
const OBJECTS: usize = 6;
/// Two logs have the copies of one event.
const WITH_COPIES: [usize; 2] = [3, 4];

/// The rows of `objects`, each with the ids of its events.
const ANSWER: &str = "SELECT o.uri, o.status, o.error, o.records, o.kept, o.duplicate, o.filtered, o.quarantined, e.ids \
    FROM objects o LEFT JOIN (SELECT object_uri, string_agg(event_id, ' ' ORDER BY event_id) AS ids FROM events \
    GROUP BY object_uri) e ON e.object_uri = o.uri ORDER BY o.uri";

fn folder(bucket: &str) -> String {
    format!("{bucket}/AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/10")
}

fn name(object: usize) -> String {
    format!("111122223333_CloudTrail_us-east-1_20260310T10{object:02}Z_SixteenSigns{object:04}.json")
}

/// The ids of the events that an object tells of and the default filter keeps.
fn ids(object: usize) -> BTreeSet<String> {
    let own = (1..=3).map(|event| format!("00000000-0000-4000-8000-{object:06}{event:06}"));
    let copy = WITH_COPIES.contains(&object).then(|| "00000000-0000-4000-8000-999999999999".to_owned());
    own.chain(copy).collect()
}

/// A log of the kept events and of one that the filter leaves out.
fn log(object: usize) -> String {
    let record = |id: &str, source: &str| {
        json!({
            "eventVersion": "1.11", "eventTime": "2026-03-10T10:00:00Z", "eventSource": source, "eventName": "Decrypt",
            "awsRegion": "us-east-1", "recipientAccountId": "111122223333", "eventID": id,
        })
    };
    let left_out = record(&format!("00000000-0000-4000-8000-{object:06}000009"), "s3.amazonaws.com");
    let records = ids(object).iter().map(|id| record(id, "kms.amazonaws.com")).chain([left_out]).collect::<Vec<_>>();
    json!({ "Records": records }).to_string()
}

/// Buckets of the same logs on one service; each run has one of its own.
struct Buckets {
    top: TempDir,
    upstream: SocketAddr,
}

impl Buckets {
    fn new() -> Buckets {
        let top = tempfile::tempdir().unwrap();
        Buckets { upstream: serve(top.path()), top }
    }

    fn fill(&self, bucket: &str) {
        let folder = self.top.path().join(folder(bucket));
        fs::create_dir_all(&folder).unwrap();
        (0..OBJECTS).for_each(|object| fs::write(folder.join(name(object)), log(object)).unwrap());
    }

    fn empty(&self, bucket: &str) {
        fs::remove_dir_all(self.top.path().join(bucket)).unwrap();
    }

    fn victim(&self, bucket: &str, object: usize) -> Victim {
        Victim { name: name(object), path: self.top.path().join(folder(bucket)).join(name(object)) }
    }

    /// Works on all, many at once, each with a bucket and a judge of its own.
    fn each<T: Sync>(
        &self,
        all: &[T],
        judge: impl Fn(&T, &str) -> Judge,
        work: impl Fn(&T, &Case) -> Vec<String> + Sync,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for some in all.chunks(OF_ONE_PROXY) {
            let buckets: Vec<String> = (0..some.len()).map(|number| format!("bucket-{number:04}")).collect();
            let judges: Vec<Judge> = some.iter().zip(&buckets).map(|(item, bucket)| judge(item, bucket)).collect();
            let proxy = Proxy::start(self.upstream, move |request, before| {
                let (_, bucket) = request.target.split_once("/bucket-").unwrap();
                judges[bucket[..4].parse::<usize>().unwrap()](request, before)
            });
            let cases: Vec<(&T, Case)> = some
                .iter()
                .zip(&buckets)
                .map(|(item, bucket)| {
                    (item, Case { bucket, url: &proxy.url, healed: format!("http://{}", self.upstream) })
                })
                .collect();
            let found = at_once(AT_ONCE, &cases, |(item, case)| {
                self.fill(case.bucket);
                let wrong = work(item, case);
                self.empty(case.bucket);
                wrong
            });
            wrong.extend(found.into_iter().flatten());
        }
        wrong
    }
}

type Judge = Arc<dyn Fn(&Request, usize) -> Fault + Send + Sync>;

struct Case<'c> {
    bucket: &'c str,
    url: &'c str,
    /// The same service without faults.
    healed: String,
}

/// The end of a run, with what it says of the objects.
struct Told {
    code: i32,
    says: String,
    rows: Vec<Value>,
}

impl Case<'_> {
    fn location(&self) -> String {
        format!("s3://{}", self.bucket)
    }

    fn ask(&self, location: &str) -> Told {
        let output = run(&["query", ANSWER, "--from", location, "-f", "json"], self.url);
        Told {
            code: code(&output),
            says: stderr(&output),
            rows: serde_json::from_str(&stdout(&output)).unwrap_or_default(),
        }
    }

    /// Ingests into a new store, and again without faults. Returns the end of the first run, and the complaint about a
    /// store that then lacks something.
    fn ingest(&self, buckets: &Buckets) -> (Told, Option<String>) {
        let store = Store::new();
        let ingest = |url: &str| {
            let args = ["ingest", &self.location(), "--store", store.text(), "--batch-bytes", "2000"];
            let output = run(&args, url);
            Told { code: code(&output), says: stderr(&output), rows: Vec::new() }
        };
        let first = ingest(self.url);
        buckets.fill(self.bucket);
        let second = ingest(&self.healed);
        let complaint = match self.ask(store.text()).unread(self.bucket) {
            Ok(unread) if second.code == 0 && unread.is_empty() => None,
            told => Some(format!("a store after exit {}, {}: {told:?}", second.code, second.says)),
        };
        (first, complaint)
    }
}

impl Told {
    /// The unread objects with status and error, or the complaint about accounts that do not follow from the logs.
    fn unread(&self, bucket: &str) -> Result<BTreeMap<usize, String>, String> {
        let complaint = |what: &str| Err(format!("{what}: exit {}, {:?}, {}", self.code, self.rows, self.says));
        let uris: Vec<String> =
            (0..OBJECTS).map(|object| format!("s3://{}/{}", folder(bucket), name(object))).collect();
        if self.rows.iter().map(|row| row["uri"].as_str().unwrap()).ne(&uris) {
            return complaint("not the objects of the bucket");
        }
        let (mut unread, mut expected, mut given) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        for (object, row) in self.rows.iter().enumerate() {
            let count = |part: &str| row[part].as_u64().unwrap_or_default();
            let ids_of_row = row["ids"].as_str().unwrap_or_default();
            let (ids_of_row, is_read) = (ids_of_row.split_whitespace().map(str::to_owned), row["status"] == "read");
            let before = given.len();
            given.extend(ids_of_row);
            let parts = ["kept", "duplicate", "filtered", "quarantined"].map(count);
            if count("records") != parts.iter().sum::<u64>() || count("kept") != (given.len() - before) as u64 {
                return complaint("counts that do not add up");
            }
            let own = ids(object);
            let whole = if is_read { (own.len() as u64 + 1, 1) } else { (0, 0) };
            if (count("records"), count("filtered")) != whole || !given[before..].iter().all(|id| own.contains(id)) {
                return complaint("records that are not the log's");
            }
            match is_read {
                true => expected.extend(own),
                false => {
                    let [status, error] = ["status", "error"].map(|part| row[part].as_str().unwrap_or_default());
                    unread.insert(object, format!("{status} {error}"));
                }
            }
        }
        given.sort_unstable();
        if !given.iter().eq(&expected) {
            return complaint("not the events of the objects that were read, each once");
        }
        let is_named = |(object, told): (&usize, &String)| {
            let (status, error) = told.split_once(' ').unwrap();
            let mut lines = self.says.lines();
            lines.any(|line| line.starts_with(status) && line.contains(&name(*object)) && line.ends_with(error))
        };
        if !unread.iter().all(is_named) {
            return complaint("an unread object without a name");
        }
        if self.code != if unread.is_empty() { 0 } else { 3 } {
            return complaint("not the exit code of such accounts");
        }
        Ok(unread)
    }
}

/// Two troubles at once, the first of one object and the second of another.
struct Pair {
    troubles: [Arc<Trouble>; 2],
    struck: Arc<[AtomicUsize; 2]>,
    verb: Verb,
}

#[derive(Clone, Copy)]
enum Verb {
    Query,
    Ingest,
}

impl Pair {
    fn judge(&self, buckets: &Buckets, bucket: &str) -> Judge {
        let victims = [0, 1].map(|object| buckets.victim(bucket, object));
        let (troubles, struck) = (self.troubles.clone(), Arc::clone(&self.struck));
        // A trouble of all requests leaves the first one for an object to a trouble of that object.
        let order = if matches!(troubles[0].course, Course::Busy) { [1, 0] } else { [0, 1] };
        Arc::new(move |request, before| {
            let strikes = |object: usize| {
                let fault = troubles[object].strike(&victims[object], request, before)?;
                struck[object].fetch_add(1, Ordering::Relaxed);
                Some(fault)
            };
            order.into_iter().find_map(strikes).unwrap_or(Fault::Pass)
        })
    }

    /// The objects that must be told as unread.
    fn told(&self) -> BTreeMap<usize, String> {
        let told = self.troubles.iter().enumerate().filter_map(|(object, t)| Some((object, t.told?.to_owned())));
        told.collect()
    }

    fn check(&self, case: &Case, buckets: &Buckets) -> Vec<String> {
        let (told, mut wrong) = (self.told(), Vec::new());
        match self.verb {
            Verb::Query => match case.ask(&case.location()).unread(case.bucket) {
                Ok(unread) if unread == told => {}
                other => wrong.push(format!("{other:?} are unread, not {told:?}")),
            },
            Verb::Ingest => {
                let (first, complaint) = case.ingest(buckets);
                wrong.extend(complaint);
                if first.code != if told.is_empty() { 0 } else { 3 } {
                    wrong.push(format!("an ingest ends with {}, {}", first.code, first.says));
                }
            }
        }
        if self.struck.iter().any(|struck| struck.load(Ordering::Relaxed) == 0) {
            wrong.push("not both came to pass".to_owned());
        }
        let [first, second] = &self.troubles;
        wrong.into_iter().map(|what| format!("{} with {}: {what}", first.what, second.what)).collect()
    }
}

/// Every third pair, and of those every eighth for an ingest too; with `KEYTRAIL_EXHAUSTIVE` all pairs, both ways round, and
/// each for an ingest too.
#[test]
fn pairs_of_faults_end_as_each_alone_does() {
    let troubles: Vec<Arc<Trouble>> = troubles().into_iter().map(Arc::new).collect();
    let mut pairs = Vec::new();
    for second in 0..troubles.len() {
        for first in 0..second {
            let pair = [first, second].map(|number| Arc::clone(&troubles[number]));
            pairs.push(pair.clone());
            if is_exhaustive() {
                let [first, second] = pair;
                pairs.push([second, first]);
            }
        }
    }
    assert_eq!(pairs.len(), if is_exhaustive() { 552 } else { 276 });
    let of_verb =
        |troubles: &[Arc<Trouble>; 2], verb| Pair { troubles: troubles.clone(), struck: Arc::default(), verb };
    let (every, every_for_ingest) = if is_exhaustive() { (1, 1) } else { (3, 24) };
    let mut all: Vec<Pair> = pairs.iter().step_by(every).map(|pair| of_verb(pair, Verb::Query)).collect();
    all.extend(pairs.iter().step_by(every_for_ingest).map(|pair| of_verb(pair, Verb::Ingest)));
    let buckets = Buckets::new();
    let wrong =
        buckets.each(&all, |pair, bucket| pair.judge(&buckets, bucket), |pair, case| pair.check(case, &buckets));
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The fault of a request in the schedule of a seed: none, one that may pass, or a refusal.
fn scheduled(seed: u64, request: &Request, before: usize) -> Fault {
    const PERCENT: [u64; 5] = [3, 10, 25, 50, 80];
    let (_, target) = request.target.split_once("/bucket-").unwrap();
    let mut hasher = DefaultHasher::new();
    (seed, &target[4..], before).hash(&mut hasher);
    let mut dice = Dice(hasher.finish());
    if dice.below(100) >= PERCENT[(seed % 5) as usize] {
        return Fault::Pass;
    }
    let mut one_of = |faults: &[Fault]| faults[dice.below(faults.len() as u64) as usize].clone();
    let (busy, broken) = (Fault::error(503, "SlowDown"), Fault::error(500, "InternalError"));
    let denied = Fault::error(403, "AccessDenied");
    if request.is_list() {
        return one_of(&[busy.clone(), busy, broken, Fault::Hangup, Fault::CutAt(100), Fault::Resize(-10), denied]);
    }
    one_of(&[
        busy,
        broken,
        Fault::Hangup,
        Fault::CutAt(0),
        Fault::CutAt(300),
        Fault::Resize(-10),
        Fault::Resize(10),
        Fault::Corrupt,
        denied,
        Fault::error(403, "InvalidObjectState"),
        Fault::error(412, "PreconditionFailed"),
        Fault::error(404, "NoSuchKey"),
    ])
}

/// A hundred schedules, of which every tenth is an ingest; with `KEYTRAIL_EXHAUSTIVE` ten thousand.
#[test]
fn schedules_of_faults_hide_nothing() {
    let seeds: Vec<u64> = (0..if is_exhaustive() { 10_000 } else { 100 }).collect();
    let (buckets, ends) = (Buckets::new(), Mutex::new(BTreeMap::<i32, usize>::new()));
    let judge = |seed: &u64, _: &str| -> Judge {
        let seed = *seed;
        Arc::new(move |request, before| scheduled(seed, request, before))
    };
    let wrong = buckets.each(&seeds, judge, |seed, case| {
        let mut wrong = Vec::new();
        let told = if seed % 10 == 9 {
            let (first, complaint) = case.ingest(&buckets);
            wrong.extend(complaint);
            first
        } else {
            let told = case.ask(&case.location());
            match told.code {
                0 | 3 => wrong.extend(told.unread(case.bucket).err()),
                _ if told.rows.is_empty() => {}
                _ => wrong.push(format!("an answer beside exit {}", told.code)),
            }
            told
        };
        if !(matches!(told.code, 0 | 3) || told.code == 5 && told.says.contains("error:")) {
            wrong.push(format!("ends with {}: {}", told.code, told.says));
        }
        *ends.lock().unwrap().entry(told.code).or_default() += 1;
        wrong.into_iter().map(|what| format!("seed {seed}: {what}")).collect()
    });
    let ends = ends.into_inner().unwrap();
    println!("{} schedules by exit code: {ends:?}", seeds.len());
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!([0, 3, 5].iter().all(|code| ends.contains_key(code)), "not every end came to pass: {ends:?}");
}
