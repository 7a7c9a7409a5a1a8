//! The printed IAM policy against the requests of real runs: every request is granted, and every grant is used. A proxy
//! enforces the policy as S3 does; it cannot see the `kms` actions, since S3 makes those calls.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use keytrail::source::{AwsOptions, connect_store};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use serde_json::Value;

use crate::child::root;
use crate::cloud::{Fault, Proxy, Request, code, copy_folder, header, keytrail, run, serve_anyone, stderr, stdout};
use crate::history::{asked, event, nowhere, page};

/// A request as IAM sees it.
#[derive(Debug)]
struct Call {
    action: &'static str,
    bucket: String,
    key: String,
    prefix: Option<String>,
}

impl Call {
    fn of(request: &Request) -> Call {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let path = decoded(path.trim_start_matches('/'));
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        let value = |name: &str| {
            let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs.find(|(found, _)| *found == name).map(|(_, value)| decoded(value))
        };
        let has = |name: &str| value(name).is_some();
        let operation = header(&request.head, "x-amz-target");
        let action = match (request.method.as_str(), key.is_empty()) {
            ("GET", true) if has("list-type") => "s3:ListBucket",
            ("GET" | "HEAD", false) if has("versionId") => "s3:GetObjectVersion",
            ("GET" | "HEAD", false) => "s3:GetObject",
            ("PUT", false) => "s3:PutObject",
            ("POST", false) if has("uploads") || has("uploadId") => "s3:PutObject",
            ("DELETE", false) if has("uploadId") => "s3:AbortMultipartUpload",
            ("DELETE", false) => "s3:DeleteObject",
            ("POST", true) if operation == Some("CloudTrail_20131101.LookupEvents") => "cloudtrail:LookupEvents",
            _ => panic!("what does `{} {}` need?", request.method, request.target),
        };
        Call { action, prefix: value("prefix"), bucket: bucket.to_owned(), key: key.to_owned() }
    }

    fn resource(&self) -> String {
        if self.bucket.is_empty() {
            return "*".to_owned();
        }
        let slash = if self.key.is_empty() { "" } else { "/" };
        format!("arn:aws:s3:::{}{slash}{}", self.bucket, self.key)
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().unwrap(), rest.next().unwrap()];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

/// A statement's name and one of its actions.
type Grant = (String, String);

#[derive(Clone)]
struct Policy(Vec<Value>);

impl Policy {
    fn printed(location: &str, store: &str) -> Policy {
        let printed = run(&["ingest", location, "--store", store, "--print-policy"], "http://127.0.0.1:9");
        assert_eq!(code(&printed), 0, "{}", stderr(&printed));
        let document: Value = serde_json::from_str(&stdout(&printed)).unwrap();
        Policy(document["Statement"].as_array().unwrap().clone())
    }

    /// The grants for calls that the program itself makes.
    fn grants(&self) -> BTreeSet<Grant> {
        let of = |statement: &Value| {
            let sid = statement["Sid"].as_str().unwrap().to_owned();
            texts(&statement["Action"]).into_iter().map(move |action| (sid.clone(), action))
        };
        self.0.iter().flat_map(of).filter(|(_, action)| !action.starts_with("kms:")).collect()
    }

    fn grant(&self, call: &Call) -> Option<Grant> {
        let resource = call.resource();
        let is_right = |statement: &&Value| {
            let condition = &statement["Condition"]["StringLike"]["s3:prefix"];
            let prefix = call.prefix.as_deref();
            texts(&statement["Action"]).iter().any(|action| action == call.action)
                && texts(&statement["Resource"]).iter().any(|pattern| is_like(&resource, pattern))
                && (condition.is_null()
                    || prefix.is_some_and(|prefix| texts(condition).iter().any(|like| is_like(prefix, like))))
        };
        let statement = self.0.iter().find(is_right)?;
        Some((statement["Sid"].as_str().unwrap().to_owned(), call.action.to_owned()))
    }

    /// True if the policy grants a listing without a prefix: only then does S3 admit that an object is absent.
    fn lists_all(&self, bucket: &str) -> bool {
        let call = Call { action: "s3:ListBucket", bucket: bucket.to_owned(), key: String::new(), prefix: None };
        self.grant(&call).is_some()
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().map(|text| text.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

fn is_like(text: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(text == pattern, |start| text.starts_with(start))
}

/// The bucket `logs` with the sample, and the empty bucket `stores`.
fn buckets() -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir_all(top.path().join("stores")).unwrap();
    copy_folder(&root().join("sample-logs"), &top.path().join("logs"));
    top
}

/// The grants that a run used, and the calls that it was refused.
#[derive(Default)]
struct Seen {
    used: BTreeSet<Grant>,
    refused: Vec<String>,
}

/// A proxy that enforces a policy; `before` sees each request first and may answer it.
fn guarded(
    top: PathBuf,
    upstream: std::net::SocketAddr,
    policy: Policy,
    before: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static,
) -> (Proxy, Arc<Mutex<Seen>>) {
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let noted = Arc::clone(&seen);
    let proxy = Proxy::start(upstream, move |request, _| {
        let call = Call::of(request);
        let Some(grant) = policy.grant(&call) else {
            noted.lock().unwrap().refused.push(format!("{call:?}"));
            return Fault::error(403, "AccessDenied");
        };
        noted.lock().unwrap().used.insert(grant);
        let is_there = top.join(&call.bucket).join(&call.key).is_file();
        if call.action == "s3:GetObject" && !is_there && !policy.lists_all(&call.bucket) {
            return Fault::error(403, "AccessDenied");
        }
        before(request).unwrap_or(Fault::Pass)
    });
    (proxy, seen)
}

#[track_caller]
fn assert_exact(policy: &Policy, seen: &Mutex<Seen>) {
    let seen = seen.lock().unwrap();
    assert_eq!(seen.refused, Vec::<String>::new(), "asked for, and not granted");
    assert_eq!(policy.grants(), seen.used, "granted, and asked for");
}

#[test]
fn a_local_store_of_a_bucket_takes_what_the_policy_grants() {
    let (top, folder) = (buckets(), tempfile::tempdir().unwrap());
    let store = folder.path().join("store");
    for location in ["s3://logs/AWSLogs/", "s3://logs"] {
        let policy = Policy::printed(location, store.to_str().unwrap());
        let (proxy, seen) = guarded(top.path().to_owned(), serve_anyone(top.path()), policy.clone(), |_| None);
        let args = ["ingest", location, "--store", store.to_str().unwrap(), "--no-sign-request"];
        let ended = run(&args, &proxy.url);
        assert!(matches!(code(&ended), 0 | 3), "{}", stderr(&ended));
        assert_exact(&policy, &seen);
        fs::remove_dir_all(&store).unwrap();
    }
}

/// Any other request of the run to AWS would reach the same endpoint, so this sees them all.
#[test]
fn an_event_history_takes_what_the_policy_grants() {
    for (location, lookups) in [("cloudtrail://eu-west-1", 4), ("cloudtrail://eu-west-1,us-east-1", 8)] {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let policy = Policy::printed(location, store.to_str().unwrap());
        let events = [event(1, 60), event(2, 61)];
        let (proxy, seen) = guarded(folder.path().to_owned(), nowhere(), policy.clone(), move |request| {
            let is_first = asked(request)["NextToken"].is_null();
            Some(if is_first { page(&events[..1], Some("next")) } else { page(&events[1..], None) })
        });
        let mut command = keytrail(&["ingest", location, "--store", store.to_str().unwrap()], &proxy.url);
        let ended = command.env("AWS_ENDPOINT_URL", &proxy.url).output().unwrap();
        assert_eq!(code(&ended), 0, "{}", stderr(&ended));
        assert_exact(&policy, &seen);
        assert_eq!(proxy.requests().len(), lookups, "{location}");
    }
}

/// One run makes the store, one loses a commit and removes its files, and one writes a checkpoint so large that it goes
/// in parts, and gives it up.
#[test]
fn a_store_in_a_bucket_takes_what_the_policy_grants() {
    for (location, store) in [("s3://logs/AWSLogs", "s3://stores/deep/one"), ("s3://logs/AWSLogs/", "s3://stores")] {
        let top = buckets();
        let upstream = serve_anyone(top.path());
        let policy = Policy::printed(location, store);
        let args = ["ingest", location, "--store", store, "--no-sign-request"];
        let forestalled = AtomicBool::new(false);
        let (proxy, seen) = guarded(top.path().to_owned(), upstream, policy.clone(), move |request| {
            let is_commit = request.method == "PUT" && request.target.contains("/events/_delta_log/");
            if is_commit && request.target.contains("01.json") && !forestalled.swap(true, Ordering::Relaxed) {
                let other = run(&args, &format!("http://{upstream}"));
                assert_eq!(code(&other), 0, "{}", stderr(&other));
            }
            let completes = request.method == "POST" && request.target.contains("uploadId=");
            completes.then(|| Fault::error(400, "InvalidPart"))
        });
        let ended = run(&args, &proxy.url);
        assert_eq!(code(&ended), 0, "{}", stderr(&ended));
        assert!(stderr(&ended).contains("nothing new"), "{}", stderr(&ended));
        give_up_an_upload(store, &proxy.url);
        assert_exact(&policy, &seen);
        let check = run(&["store", "check", store, "--no-sign-request"], &proxy.url);
        assert_eq!(code(&check), 0, "{}", stderr(&check));
    }
}

/// The Region is the one that the location, the environment, the profile or the scope names, in this order.
#[test]
fn the_policy_is_of_the_partition_of_the_region() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    fs::write(&config, "[profile audit]\nregion = us-gov-west-1\n").unwrap();
    let config = config.to_str().unwrap();
    let s3 = ["ingest", "s3://logs/AWSLogs", "--store", "s3://stores/one", "--print-policy"];
    let history = ["ingest", "cloudtrail://us-gov-east-1", "--store", "s3://stores/one", "--print-policy"];
    for (args, environment, partition) in [
        (&s3[..], &[("AWS_REGION", "eu-west-1")][..], "aws"),
        (&s3, &[("AWS_REGION", "cn-north-1")], "aws-cn"),
        (&history, &[("AWS_REGION", "cn-north-1")], "aws-us-gov"),
        (&[&s3[..], &["--profile", "audit"]].concat(), &[("AWS_CONFIG_FILE", config)], "aws-us-gov"),
        (&[&s3[..], &["--region", "cn-northwest-1"]].concat(), &[], "aws-cn"),
        (&s3, &[], "aws"),
    ] {
        let mut command = keytrail(args, "http://127.0.0.1:9");
        command.env_remove("AWS_REGION").envs(environment.iter().copied());
        let printed = command.output().unwrap();
        assert_eq!(code(&printed), 0, "{}", stderr(&printed));
        let (text, arn) = (stdout(&printed), format!("arn:{partition}:s3:::"));
        assert!(text.contains(&arn) && text.matches("arn:").count() == text.matches(&arn).count(), "{args:?} {text}");
        assert_eq!(text.contains(".amazonaws.com.cn"), partition == "aws-cn", "{text}");
        let is_guess = environment.is_empty() && !args.contains(&"--region");
        assert_eq!(stderr(&printed).contains("note: no Region is named"), is_guess, "{args:?} {}", stderr(&printed));
    }
}

fn give_up_an_upload(store: &str, endpoint: &str) {
    let aws = AwsOptions { endpoint_url: Some(endpoint.to_owned()), no_sign_request: true, ..AwsOptions::default() };
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(async {
        let store: Arc<dyn ObjectStore> = connect_store(store, &aws).await.unwrap();
        let path = Key::from("events/_delta_log/00000000000000000020.checkpoint.parquet");
        let mut parts = WriteMultipart::new(store.put_multipart(&path).await.unwrap());
        parts.put(vec![b'x'; 6 << 20].into());
        assert!(parts.finish().await.is_err());
    });
}
