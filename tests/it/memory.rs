//! Memory over the size of the input: four times the events, or a listing of very many objects, and hardly more memory.
//! In: logs by `examples/make-logs`, and a service that makes keys and logs as it is asked for them and holds none.
//! Out: peaks of resident memory, as the system saw them.

use std::fmt::Write as _;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use url::Url;

use crate::child::{BINARY, Ended, Limits, has_program, is_exhaustive, keytrail_within};
use crate::cloud::{Request, read_request};

const ROOMY: Limits = Limits { address_space_kib: None, open_files: None, time: Duration::from_secs(3600) };

/// Peaks of an audit and of an ingest, in MiB.
fn peaks(folder: &Path, events: usize) -> [u64; 2] {
    let [logs, store] = [format!("{events}"), format!("{events}.store")].map(|name| folder.join(name));
    let made = std::process::Command::new(maker()).args(["--events", &events.to_string(), "--out"]).arg(&logs).output();
    assert!(made.unwrap().status.success());
    let [logs, store] = [logs.to_str().unwrap(), store.to_str().unwrap()];
    [vec!["audit", logs, "-f", "json"], vec!["ingest", logs, "--store", store]].map(|args| {
        let ended = keytrail_within(&args, ROOMY);
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.story());
        ended.peak_resident_kib >> 10
    })
}

fn maker() -> PathBuf {
    Path::new(BINARY).with_file_name("examples").join("make-logs")
}

/// With `KEYTRAIL_EXHAUSTIVE` from 50,000 events to 400,000.
#[test]
fn more_events_take_hardly_more_memory() {
    const GROWTH_MIB_MAX: u64 = 96;
    if !has_program(maker().to_str().unwrap(), &["--help"]) {
        return;
    }
    let sizes: &[usize] = if is_exhaustive() { &[50_000, 100_000, 200_000, 400_000] } else { &[10_000, 40_000] };
    let folder = tempfile::tempdir().unwrap();
    let found: Vec<[u64; 2]> = sizes.iter().map(|events| peaks(folder.path(), *events)).collect();
    println!("peaks in MiB of an audit and an ingest of {sizes:?} events: {found:?}");
    for (verb, name) in ["audit", "ingest"].into_iter().enumerate() {
        let (first, last) = (found[0][verb], found[found.len() - 1][verb]);
        assert!(first > 0, "the memory of a run could not be seen");
        assert!(last <= first + GROWTH_MIB_MAX, "{name}: {found:?} MiB for {sizes:?} events");
    }
}

/// A bucket of so many logs of one event each. It holds none of them: keys and logs follow from their number.
struct MadeBucket {
    objects: usize,
}

const DAYS: usize = 20;

impl MadeBucket {
    fn key(&self, number: usize) -> String {
        let day = 1 + number * DAYS / self.objects;
        format!(
            "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/{day:02}/111122223333_CloudTrail_us-east-1_202603{day:02}T1000Z_{number:016}.json"
        )
    }

    /// The number of a key, by its last digits.
    fn number(key: &str) -> Option<usize> {
        key.strip_suffix(".json")?.rsplit_once('_')?.1.parse().ok()
    }

    fn log(number: usize) -> String {
        format!(
            r#"{{"Records":[{{"eventVersion":"1.11","eventTime":"2026-03-10T10:00:00Z","eventSource":"kms.amazonaws.com","eventName":"Decrypt","awsRegion":"us-east-1","recipientAccountId":"111122223333","eventID":"00000000-0000-4000-8000-{number:012}"}}]}}"#
        )
    }

    /// As that of an upload in parts, which says nothing of the content.
    fn etag(number: usize) -> String {
        format!("\"{number:032x}-1\"")
    }

    /// The first key, in the order of their bytes, that is not before some place.
    fn first(&self, is_before: impl Fn(&str) -> bool) -> usize {
        let (mut low, mut high) = (0, self.objects);
        while low < high {
            let middle = low.midpoint(high);
            match is_before(&self.key(middle)) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// One page; its token is the number of the first key of the next.
    fn page(&self, url: &Url) -> String {
        let asked = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let (prefix, after) = (asked("prefix").unwrap_or_default(), asked("start-after").unwrap_or_default());
        let keys_max: usize = asked("max-keys").map_or(1000, |keys| keys.parse().unwrap());
        let mut at = match asked("continuation-token") {
            Some(token) => token.parse().unwrap(),
            None => self.first(|key| key < &*prefix || key <= &*after),
        };
        let (mut body, mut given) = (String::new(), 0);
        while at < self.objects && self.key(at).starts_with(&prefix) && given < keys_max {
            let key = self.key(at);
            let folder = asked("delimiter").and_then(|sign| key[prefix.len()..].find(&sign));
            match folder.map(|end| &key[..prefix.len() + end + 1]) {
                Some(folder) => {
                    write!(body, "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>").unwrap();
                    at = self.first(|key| key < folder || key.starts_with(folder));
                }
                None => {
                    let (bytes, etag) = (Self::log(at).len(), Self::etag(at));
                    write!(body, "<Contents><Key>{key}</Key><Size>{bytes}</Size><ETag>{etag}</ETag></Contents>")
                        .unwrap();
                    at += 1;
                }
            }
            given += 1;
        }
        let has_more = at < self.objects && self.key(at).starts_with(&prefix);
        let next =
            if has_more { format!("<NextContinuationToken>{at}</NextContinuationToken>") } else { String::new() };
        format!("<ListBucketResult><IsTruncated>{has_more}</IsTruncated>{body}{next}</ListBucketResult>")
    }

    fn answer(&self, request: &Request) -> String {
        let url = Url::parse(&format!("http://localhost{}", request.target)).unwrap();
        let (body, header) = match Self::number(url.path()) {
            Some(number) => (Self::log(number), format!("ETag: {}\r\n", Self::etag(number))),
            None => (self.page(&url), String::new()),
        };
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{header}\r\n{body}", body.len())
    }

    /// Serves until the test process ends.
    fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bucket = Arc::new(self);
        thread::spawn(move || {
            for client in listener.incoming().map(Result::unwrap) {
                let bucket = Arc::clone(&bucket);
                thread::spawn(move || bucket.serve_client(client));
            }
        });
        url
    }

    /// A client may go away at any time.
    fn serve_client(&self, mut client: TcpStream) {
        client.set_nodelay(true).ok();
        while let Ok(Some(request)) = read_request(&mut client) {
            if client.write_all(self.answer(&request).as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Counts the events and the objects of such a bucket.
fn count(objects: usize) -> Ended {
    let url = MadeBucket { objects }.serve();
    let sql = "SELECT count(*) AS objects, sum(kept) AS kept, (SELECT count(*) FROM events) AS events FROM objects";
    let aws = ["--no-sign-request", "--endpoint-url", &url];
    let ended = keytrail_within([&["query", sql, "--from", "s3://made", "-f", "csv"][..], &aws].concat(), ROOMY);
    assert_eq!(ended.code, Some(0), "{}", ended.story());
    assert_eq!(ended.text().lines().nth(1), Some(&*format!("{objects},{objects},{objects}")));
    println!("{objects} objects: {} MiB in {:.0?}", ended.peak_resident_kib >> 10, ended.took);
    ended
}

#[test]
fn many_objects_take_little_memory() {
    const OBJECTS: usize = 8_000;
    const EACH_BYTES_MAX: u64 = 4096;
    let [few, many] = [100, OBJECTS].map(|objects| count(objects).peak_resident_kib);
    assert!(few > 0, "the memory of a run could not be seen");
    let each = (many.saturating_sub(few) << 10) / OBJECTS as u64;
    assert!(each <= EACH_BYTES_MAX, "{each} bytes for each object: {few} KiB for a few, {many} KiB for {OBJECTS}");
}

#[test]
#[ignore = "measures: run it alone, with --ignored --nocapture"]
fn a_million_objects_fit() {
    let ended = count(1_000_000);
    assert!(ended.peak_resident_kib <= 512 << 10, "{} KiB", ended.peak_resident_kib);
}
