//! The event history, from a service that throttles, loses its place and cuts events short.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child::is_exhaustive;
use crate::cloud::{Fault, Proxy, Request, code, header, run, stderr, stdout};

/// The present, in seconds. Tests give times as seconds before it, within the 90 days of a history.
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

pub fn event(number: usize, seconds_ago: i64) -> Value {
    let time = now() - seconds_ago;
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let shown = chrono::DateTime::from_timestamp(time, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let record = json!({
        "eventVersion": "1.11", "eventTime": shown, "eventSource": "kms.amazonaws.com", "eventName": "Decrypt",
        "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "eventID": id,
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ada", "accountId": "111122223333"},
    });
    json!({"EventId": id, "EventTime": time, "CloudTrailEvent": record.to_string()})
}

/// An address on which nothing listens, since the scripts answer every request.
pub fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub fn page(events: &[Value], next: Option<&str>) -> Fault {
    let mut body = json!({"Events": events});
    if let Some(token) = next {
        body["NextToken"] = json!(token);
    }
    answer(200, &body)
}

fn answer(status: u16, body: &Value) -> Fault {
    Fault::Answer(status, "Content-Type: application/x-amz-json-1.1\r\n".into(), body.to_string())
}

fn refusal(code: &str) -> Fault {
    answer(400, &json!({"__type": code, "message": format!("{code} said the script")}))
}

pub fn asked(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn is_kms(request: &Request) -> bool {
    asked(request)["LookupAttributes"][0]["AttributeValue"] == "kms.amazonaws.com"
}

/// A service that answers KMS lookups by this script, one step a request, and knows nothing of DynamoDB.
fn service(script: impl Fn(&Value, usize) -> Fault + Send + Sync + 'static) -> Proxy {
    let steps = Arc::new(Mutex::new(0));
    Proxy::start(nowhere(), move |request, _| {
        if !is_kms(request) {
            return page(&[], None);
        }
        let mut steps = steps.lock().unwrap();
        *steps += 1;
        script(&asked(request), *steps - 1)
    })
}

const SQL: &str = "SELECT count(*) AS events, count(DISTINCT event_id) AS ids FROM events";
const ARGS: [&str; 6] = ["query", SQL, "--from", "cloudtrail://eu-west-1", "-f", "csv"];

fn counted(proxy: &Proxy) -> (i32, String, String) {
    let output = run(&ARGS, &proxy.url);
    let line = stdout(&output).lines().nth(1).unwrap_or_default().to_owned();
    (code(&output), line, stderr(&output))
}

#[test]
fn pages_become_events_of_weaker_evidence() {
    let all: Vec<Value> = (0..120).map(|n| event(n, 60 + n as i64)).collect();
    let proxy = service(move |_, step| match step {
        0 => page(&all[..50], Some("one")),
        1 => page(&all[50..100], Some("two")),
        _ => page(&all[100..], None),
    });
    let (code_of_count, line, says) = counted(&proxy);
    assert_eq!((code_of_count, line.as_str()), (0, "120,120"), "{says}");
    assert!(says.contains("100,000 events take 17 minutes") && says.contains("no digest covers"), "{says}");
    let first = proxy.requests().into_iter().find(is_kms).unwrap();
    assert_eq!(header(&first.head, "x-amz-target"), Some("CloudTrail_20131101.LookupEvents"));
    let request = asked(&first);
    assert_eq!(request["MaxResults"], 50);
    let days = (request["EndTime"].as_f64().unwrap() - request["StartTime"].as_f64().unwrap()) / 86_400.0;
    assert!((89.9..=90.1).contains(&days), "{days}");

    let proxy = service(|_, _| page(&[event(1, 60)], None));
    let sql = "SELECT uri, kind, status, error FROM objects ORDER BY uri";
    let objects = run(&["query", sql, "--from", "cloudtrail://eu-west-1", "-f", "csv"], &proxy.url);
    let expected = "uri,kind,status,error\n\
        cloudtrail://eu-west-1/dynamodb/00001,event_history,read,\n\
        cloudtrail://eu-west-1/dynamodb/end,event_history,skipped,end_of_history\n\
        cloudtrail://eu-west-1/kms/00001,event_history,flagged,lookup_events\n\
        cloudtrail://eu-west-1/kms/end,event_history,skipped,end_of_history\n";
    assert_eq!(stdout(&objects), expected, "{}", stderr(&objects));
    let audit = run(&["audit", "cloudtrail://eu-west-1", "-f", "json"], &proxy.url);
    let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
    assert_eq!(audit["summary"]["event_history_objects"], 2);
    let limits = audit["limits"].as_array().unwrap();
    assert!(limits.iter().any(|limit| limit.as_str().unwrap().contains("event history")), "{limits:?}");
}

#[test]
fn throttling_is_normal() {
    let (began, throttled) = (Instant::now(), Duration::from_secs(if is_exhaustive() { 150 } else { 0 }));
    let proxy = service(move |asked, step| match step {
        0..=3 | 5..=7 => refusal("ThrottlingException"),
        _ if began.elapsed() < throttled => refusal("ThrottlingException"),
        _ if asked["NextToken"].is_null() => page(&[event(1, 60)], Some("next")),
        _ => page(&[event(2, 61)], None),
    });
    let (code, line, says) = counted(&proxy);
    assert_eq!((code, line.as_str()), (0, "2,2"), "{says}");
    assert!(began.elapsed() >= throttled && proxy.count(is_kms) >= 9);
}

#[test]
fn a_lost_place_is_found_again_by_time() {
    let all: Vec<Value> = (0..6).map(|n| event(n, 60 + 10 * n as i64)).collect();
    let kept = all.clone();
    // The service refuses the token of the third page; a lookup that restarts at the oldest event goes on.
    let invalid = service(move |asked, _| {
        let end = asked["EndTime"].as_f64().unwrap() as i64;
        let left: Vec<Value> = kept.iter().filter(|e| e["EventTime"].as_i64().unwrap() <= end).cloned().collect();
        match asked["NextToken"].as_str() {
            None => page(&left[..left.len().min(2)], (left.len() > 2).then_some("second")),
            Some("second") => page(&left[2..left.len().min(3)], Some("third")),
            Some(_) => refusal("InvalidNextTokenException"),
        }
    });
    let (code, line, says) = counted(&invalid);
    assert_eq!((code, line.as_str()), (0, "6,6"), "{says}");

    let kept = all.clone();
    let repeated = service(move |asked, _| {
        let end = asked["EndTime"].as_f64().unwrap() as i64;
        let left: Vec<Value> = kept.iter().filter(|e| e["EventTime"].as_i64().unwrap() <= end).cloned().collect();
        page(&left[..left.len().min(3)], (left.len() > 3).then_some("same"))
    });
    let (code, line, says) = counted(&repeated);
    assert_eq!((code, line.as_str()), (0, "6,6"), "{says}");
}

#[test]
fn a_region_without_progress_is_named() {
    let events = [event(1, 60), event(2, 60)];
    let proxy = service(move |_, _| page(&events, Some("same")));
    let (code, line, says) = counted(&proxy);
    assert_eq!((code, line.as_str()), (3, "2,2"), "{says}");
    assert!(says.contains("kms.amazonaws.com, is incomplete: the service contradicts itself"), "{says}");
    assert!(says.contains("cloudtrail://eu-west-1/kms/end: history_incomplete"), "{says}");
}

#[test]
fn an_event_cut_short_is_quarantined_alone() {
    let proxy = service(|_, _| {
        let mut cut = event(2, 61);
        let text = cut["CloudTrailEvent"].as_str().unwrap().to_owned();
        cut["CloudTrailEvent"] = json!(&text[..text.len() / 2]);
        page(&[event(1, 60), cut, event(3, 62)], None)
    });
    let (code, line, says) = counted(&proxy);
    assert_eq!((code, line.as_str()), (3, "2,2"), "{says}");
}

#[test]
fn refusals_stop_a_run_or_skip_a_region() {
    for (code_of_refusal, told) in [
        ("AccessDeniedException", "cloudtrail:LookupEvents"),
        ("ExpiredTokenException", "have expired"),
        ("UnrecognizedClientException", "does not accept these credentials"),
    ] {
        let proxy = Proxy::start(nowhere(), move |_, _| refusal(code_of_refusal));
        let (code, _, says) = counted(&proxy);
        assert_eq!(code, 5, "{code_of_refusal}: {says}");
        assert!(says.contains(told), "{code_of_refusal}: {says}");
    }
    let opt_in = Proxy::start(nowhere(), |request, _| {
        let signed = header(&request.head, "authorization").unwrap_or_default().to_owned();
        let is_enabled = signed.contains("/us-east-1/") || signed.contains("/eu-west-1/");
        if is_enabled { page(&[], None) } else { refusal("UnrecognizedClientException") }
    });
    let sql = "SELECT status, count(*) AS n FROM objects GROUP BY 1 ORDER BY 1";
    let output = run(&["query", sql, "--from", "cloudtrail://all", "-f", "csv"], &opt_in.url);
    assert_eq!(stdout(&output), "status,n\nread,4\nskipped,36\n", "{}", stderr(&output));
}

/// The history grows from run to run, and a denied lookup may be allowed later.
#[test]
fn a_store_takes_what_a_history_has_gained() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let store = store.to_str().unwrap();
    let all: Vec<Value> = (0..4).map(|n| event(n, 3600 - n as i64)).collect();
    let ingest = |events: Option<usize>| {
        let all = all.clone();
        let proxy = service(move |_, _| match events {
            Some(count) => page(&all[..count], None),
            None => refusal("AccessDeniedException"),
        });
        let output = run(&["ingest", "cloudtrail://eu-west-1", "--store", store], &proxy.url);
        (code(&output), stderr(&output))
    };
    for (events, expected) in [(Some(1), 0), (Some(3), 0), (Some(3), 0), (None, 3), (None, 3), (Some(4), 0)] {
        let (code, says) = ingest(events);
        assert_eq!(code, expected, "{events:?}: {says}");
        assert_eq!(says.contains("grant cloudtrail:LookupEvents"), events.is_none(), "{says}");
    }
    let stored = crate::child::keytrail(["query", SQL, "--from", store, "-f", "csv"]);
    assert_eq!((stored.code, stored.text()), (Some(0), "events,ids\n4,4\n"), "{}", stored.stderr);
}

/// An interrupted lookup resumes where it stopped, and skips the spans that the store has, but only those of the same
/// account.
#[test]
fn a_lookup_skips_the_spans_of_the_store() {
    const DAY: i64 = 86_400;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let store = store.to_str().unwrap();
    // A page has two events and a day two pages, newest first.
    let of_account = |account: &str, first: usize| -> Vec<Value> {
        let all = (0..20).map(|n| event(first + n, 3_600 + n as i64 * DAY / 4));
        let own = |event: Value| serde_json::from_str(&event.to_string().replace("111122223333", account)).unwrap();
        all.map(own).collect()
    };
    let (ours, others) = (of_account("111122223333", 0), of_account("444455556666", 100));
    let ingest = |all: &[Value], requests_max: usize| {
        let all = all.to_vec();
        let proxy = service(move |asked, step| {
            let until = asked["EndTime"].as_f64().unwrap() as i64;
            let within: Vec<Value> =
                all.iter().filter(|e| e["EventTime"].as_i64().unwrap() <= until).cloned().collect();
            let at: usize = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
            let next = (at + 2 < within.len()).then(|| (at + 2).to_string());
            match step < requests_max {
                true => page(&within[at..within.len().min(at + 2)], next.as_deref()),
                false => refusal("ExpiredTokenException"),
            }
        });
        let output = run(&["ingest", "cloudtrail://eu-west-1", "--store", store], &proxy.url);
        (code(&output), proxy.count(is_kms), stderr(&output))
    };
    for (what, all, requests_max, ended, requests, events) in [
        ("broken off", &ours, 4, 3, 5, 8),
        ("gone on with from the last day to where it stopped", &ours, 1_000, 0, 10, 20),
        ("the last day alone", &ours, 1_000, 0, 3, 20),
        ("another account's", &others, 1_000, 0, 10, 40),
        ("both are known", &ours, 1_000, 0, 3, 40),
        ("both are known", &others, 1_000, 0, 3, 40),
    ] {
        let (code, asked, says) = ingest(all, requests_max);
        assert_eq!((code, asked), (ended, requests), "{what}: {says}");
        assert_eq!(says.contains("cloudtrail://eu-west-1/kms/end: history_incomplete"), ended == 3, "{what}: {says}");
        let stored = crate::child::keytrail(["query", SQL, "--from", store, "-f", "csv"]);
        assert_eq!(stored.text(), format!("events,ids\n{events},{events}\n"), "{what}: {}", stored.stderr);
    }
}

/// A lookup asks again for events that the store may lack: after a page with an unreadable record, and after events
/// that came out of order.
#[test]
fn events_that_a_store_may_lack_are_asked_for_again() {
    const DAY: i64 = 86_400;
    let all: Vec<Value> = (0..6).map(|n| event(n, 3_600 + n as i64 * DAY)).collect();
    let mut cut = all.clone();
    cut[3]["CloudTrailEvent"] = json!("{\"eventSource\":");
    let mut mixed = all.clone();
    mixed.swap(1, 4);
    for (what, first, ended, known) in
        [("cut", &cut, 3, 5), ("mixed", &mixed, 0, 6), ("whole", &all, 0, 6), ("a part", &all[..2].to_vec(), 0, 2)]
    {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let store = store.to_str().unwrap();
        let ingest = |events: &[Value]| {
            let events = events.to_vec();
            let proxy = service(move |asked, _| {
                let at: usize = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                page(&events[at..=at], (at + 1 < events.len()).then(|| (at + 1).to_string()).as_deref())
            });
            let output = run(&["ingest", "cloudtrail://eu-west-1", "--store", store], &proxy.url);
            let stored = crate::child::keytrail(["query", SQL, "--from", store, "-f", "csv"]);
            let events = stored.text().lines().nth(1).map(str::to_owned);
            (code(&output), events, proxy.count(is_kms))
        };
        let counted = |n: usize| Some(format!("{n},{n}"));
        assert_eq!(ingest(first), (ended, counted(known), first.len()), "{what}");
        // The lookup skips all that the store has, except the last day.
        let asked = if what == "whole" { 2 } else { 6 };
        let found = ingest(&all);
        let gained = if what == "a part" { 2 } else { 6 };
        assert_eq!((found.0, found.1), (0, counted(gained)), "{what}");
        assert!(what == "a part" || found.2 == asked, "{what}: {} requests", found.2);
    }
}

/// A lookup keeps the events that came before a refusal and names its end, even if the credentials were accepted before
/// or no other lookup is allowed.
#[test]
fn events_before_a_refusal_are_kept() {
    for (from, refused) in [
        ("cloudtrail://eu-west-1", "AccessDeniedException"),
        ("cloudtrail://eu-west-1", "UnrecognizedClientException"),
        ("cloudtrail://all", "UnrecognizedClientException"),
    ] {
        let is_first = AtomicBool::new(true);
        let proxy = Proxy::start(nowhere(), move |request, _| {
            let is_of = |region| header(&request.head, "authorization").is_some_and(|by| by.contains(region));
            match from == "cloudtrail://all" && is_of("/us-east-1/") {
                true => page(&[], None),
                false if is_of("/eu-west-1/") && is_first.swap(false, Ordering::Relaxed) => {
                    page(&[event(1, 60), event(2, 70)], Some("more"))
                }
                false => refusal(refused),
            }
        });
        let output = run(&["query", SQL, "--from", from, "-f", "csv"], &proxy.url);
        let counted = stdout(&output);
        assert_eq!((code(&output), counted.lines().nth(1)), (3, Some("2,2")), "{from} {refused}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("cloudtrail://eu-west-1/dynamodb/end"),
            "{from} {refused}: {}",
            stderr(&output)
        );
    }
}
