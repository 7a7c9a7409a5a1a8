//! Holds the report to what it promises: one file, the same bytes for the same input, small, and nothing that acts.
//! In: `sample-logs`, hostile values, and where node and a browser are here, `tests/pages/report.mjs`. Out: a failure
//! that names the fault. Never judges the words of the page.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use html5ever::tendril::TendrilSink;
use markup5ever_rcdom::{NodeData, RcDom};
use serde_json::{Value, json};

use crate::child::{Ended, fetched, has_program, keytrail};

/// The elements of a page, and their attributes; none of them loads or runs anything.
const ELEMENTS: [&str; 37] = [
    "a", "article", "b", "body", "code", "dd", "desc", "div", "dl", "dt", "footer", "h1", "h2", "h3", "h4", "head",
    "header", "html", "li", "main", "meta", "nav", "ol", "p", "rect", "section", "span", "style", "svg", "table",
    "tbody", "td", "th", "thead", "title", "tr", "ul",
];
const ATTRIBUTES: [&str; 21] = [
    "aria-describedby",
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "charset",
    "class",
    "content",
    "height",
    "href",
    "http-equiv",
    "id",
    "lang",
    "name",
    "preserveAspectRatio",
    "role",
    "scope",
    "tabindex",
    "viewBox",
    "width",
    "x",
    "y",
];

/// The page of these arguments, and the end of the run.
fn report(args: &[&str]) -> (String, Ended) {
    let ended = keytrail([&["report"], args, &["-o", "-"]].concat());
    (ended.text().to_owned(), ended)
}

/// The texts that a reader sees, in their order, and whatever is in the page that no page may have.
fn read(page: &str) -> (Vec<String>, Vec<String>) {
    let dom = html5ever::parse_document(RcDom::default(), Default::default()).one(page);
    let (mut texts, mut wrong, mut left) = (Vec::new(), Vec::new(), vec![dom.document.clone()]);
    while let Some(node) = left.pop() {
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                let element = name.local.to_string();
                wrong.extend((!ELEMENTS.contains(&element.as_str())).then(|| element.clone()));
                for attribute in attrs.borrow().iter() {
                    let (name, value) = (attribute.name.local.to_string(), attribute.value.to_string());
                    let is_local = name != "href" || value.starts_with('#');
                    wrong
                        .extend((!ATTRIBUTES.contains(&name.as_str()) || !is_local).then(|| format!("{name}={value}")));
                }
                if element == "style" {
                    continue;
                }
            }
            NodeData::Text { contents } => texts.push(contents.borrow().to_string()),
            NodeData::Comment { .. } | NodeData::ProcessingInstruction { .. } => wrong.push("a comment".to_owned()),
            NodeData::Document | NodeData::Doctype { .. } => {}
        }
        left.extend(node.children.borrow().iter().rev().cloned());
    }
    (texts, wrong)
}

/// A folder with one log of these records.
fn logs(records: &[Value]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("log.json"), json!({ "Records": records }).to_string()).unwrap();
    folder
}

/// A refusal of `principal`, or a success, in a second of its own.
fn record(number: usize, principal: &str, error: Option<&str>) -> Value {
    json!({
        "eventVersion": "1.11",
        "eventTime": format!("2026-03-10T09:{:02}:{:02}Z", number / 60 % 60, number % 60),
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "eventID": format!("00000000-0000-4000-8000-{number:012}"),
        "awsRegion": "us-east-1",
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "198.51.100.7",
        "errorCode": error,
        "errorMessage": error.map(|_| format!("User: {principal} is not authorized to perform: kms:Decrypt")),
        "userIdentity": {"type": "IAMUser", "arn": principal, "accountId": "111122223333"},
        "resources": [{"ARN": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}],
    })
}

#[test]
fn the_sample_has_every_part_and_the_same_bytes_twice() {
    let (page, ended) = report(&["sample-logs"]);
    assert_eq!(ended.code, Some(0), "{}", ended.story());
    assert!((40_000..200_000).contains(&page.len()), "{} bytes", page.len());
    let (texts, wrong) = read(&page);
    assert!(wrong.is_empty(), "{wrong:?}");
    for title in [
        "Key use, 10 to 14 March 2026",
        "What needs a look",
        "Refused, then let in",
        "When it happened",
        "Who used what",
        "Keys in question",
        "Refusals",
        "People behind roles",
        "Controls",
        "What the logs can prove",
        "Method and limits",
        "Prepared by",
    ] {
        assert!(texts.iter().any(|text| text == title), "{title}");
    }
    for forbidden in ["<script", " style=", "javascript:", "http://", "https://", "url(", "@import"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(report(&["sample-logs", "--threads", "1"]).0, page);
}

/// A store says what its logs say. It also has a hash of each object, and its objects have whole paths.
#[test]
fn a_store_says_what_its_logs_say() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("sample.store");
    let store = store.to_str().unwrap();
    let ingested = keytrail(["ingest", "sample-logs", "--store", store, "-q"]);
    assert_eq!(ingested.code, Some(0), "{}", ingested.story());
    let (page, ended) = report(&[store]);
    assert_eq!(ended.code, Some(0), "{}", ended.story());
    assert_eq!(report(&[store]).0, page);
    let of_input = ["sample-logs", "sample.store", "SHA-256", "hash of an object"];
    let is_digest = |text: &str| text.len() >= 16 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b' ');
    let said = |page: &str| {
        let (texts, _) = read(page);
        let kept = texts.into_iter().filter(|text| !of_input.iter().any(|of| text.contains(of)) && !is_digest(text));
        kept.collect::<Vec<_>>()
    };
    assert_eq!(said(&page), said(&report(&["sample-logs"]).0));
}

/// The narrowed report counts what the narrowed audit counts.
#[test]
fn a_report_is_narrowed_as_an_audit_is() {
    for narrowed in [
        ["--key", "alias/orders"],
        ["--principal", "user/test-analyst"],
        ["--principal", "no-such-principal"],
    ] {
        let audit = keytrail([&["audit", "sample-logs", "-f", "json", "-q"][..], &narrowed[..]].concat());
        let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
        let rows = |section: &str| audit[section].as_array().unwrap().iter();
        let grave = rows("findings").filter(|row| row["severity"] != "info").count();
        let refused: i64 = rows("denials").map(|row| row["denied"].as_i64().unwrap()).sum();
        let (page, ended) = report(&[&["sample-logs"][..], &narrowed[..]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.story());
        let (texts, _) = read(&page);
        let lede = texts.iter().find(|text| text.starts_with("Only about ")).unwrap_or_else(|| panic!("{narrowed:?}"));
        let told = texts.join(" ");
        let findings = match grave {
            0 => "No rule that could be evaluated found anything that needs a look.".to_owned(),
            1 => "1 finding needs a look".to_owned(),
            more => format!("{more} findings need a look"),
        };
        let refusals = match refused {
            0 => "No refusal was seen.".to_owned(),
            1 => "refused, once".to_owned(),
            2 => "refused, twice".to_owned(),
            more => format!("refused, {more} times"),
        };
        assert!(told.contains(&findings) && told.contains(&refusals), "{narrowed:?}: {findings} {refusals} {lede}");
        // Hours are of accounts and Regions, whoever is asked about.
        assert!(told.contains("not narrowed by"), "{narrowed:?}");
        assert_eq!(
            ended.stderr.contains("note: no record names"),
            narrowed[1] == "no-such-principal",
            "{}",
            ended.stderr
        );
    }
}

/// Records of refusals seldom name a table, so those that may have been for it stay.
#[test]
fn of_a_table_the_refusals_stay_that_may_have_been_for_it() {
    let sql = "SELECT count(*) AS refused FROM denials WHERE array_to_string(candidate_tables, ' ') || ' ' LIKE '%:table/orders %'";
    let refused = keytrail(["query", sql, "--from", "sample-logs", "-q", "-f", "json"]).rows().unwrap();
    let refused = refused[0]["refused"].as_i64().unwrap();
    assert!(refused > 2, "{refused}");
    for (table, told) in
        [("orders", format!("refused, {refused} times")), ("no-such-table", "No refusal was seen.".into())]
    {
        let (page, ended) = report(&["sample-logs", "--table", table]);
        assert_eq!(ended.code, Some(0), "{}", ended.story());
        assert!(read(&page).0.join(" ").contains(&told), "{told}");
    }
}

#[test]
fn a_report_ends_as_an_audit_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let to = file.to_str().unwrap();
    let run = |args: &[&str]| keytrail([&["report"], args].concat());
    for (args, code, says) in [
        (vec!["sample-logs", "-q", "-o", to], 0, ""),
        (vec!["sample-logs", "-q", "-o", to], 2, "--force"),
        (vec!["sample-logs", "-q", "-o", to, "--force", "--fail-on", "high"], 1, ""),
        (vec!["sample-logs", "-q", "-o", to, "--force", "--expect", "999999999999/eu-west-1"], 3, ""),
        (vec!["sample-logs", "-o", to, "--force", "--until", "2019-01-01"], 3, "no log here"),
        (vec!["sample-logs", "-o", to, "--force", "--since", "soon"], 2, "--since"),
        (vec!["no-such-place", "-o", to, "--force"], 5, "no-such-place"),
        (vec!["-o", to, "--force"], 2, "KEYTRAIL_FROM"),
        (vec!["sample-logs", "-o", "sample-logs/STORY.md", "--force", "--dry-run"], 0, ""),
    ] {
        let ended = run(&args);
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.story());
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
    let nothing = fs::read_to_string(&file).unwrap();
    assert!(nothing.contains("Nothing was read"), "the page of a scope without logs");
}

#[test]
fn three_events_make_a_small_page() {
    let principal = "arn:aws:iam::111122223333:user/mary";
    let folder =
        logs(&[record(1, principal, Some("AccessDenied")), record(2, principal, None), record(3, principal, None)]);
    let (page, ended) = report(&[folder.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.story());
    assert!(page.len() < 80_000, "{} bytes", page.len());
    assert!(read(&page).0.iter().any(|text| text == "mary"));
}

/// Whatever a client chose stands in the page as text, without a character that acts.
#[test]
fn hostile_values_stay_text() {
    let payloads = fs::read_to_string(crate::child::root().join("tests/bad/payloads.json")).unwrap();
    let payloads: Vec<Value> = serde_json::from_str(&payloads).unwrap();
    let value = |payload: &Value| {
        let (text, repeat) = (payload["value"].as_str().unwrap(), payload["repeat"].as_str().unwrap_or_default());
        text.to_owned() + &repeat.repeat(payload["times"].as_u64().unwrap_or(0) as usize)
    };
    let named = |(number, payload): (usize, &Value)| {
        record(number, &format!("arn:aws:iam::111122223333:user/{number}-{}", value(payload)), Some("AccessDenied"))
    };
    let records: Vec<Value> = payloads.iter().enumerate().map(named).collect();
    // A page lists sixty of them, so two pages have all.
    for half in records.chunks(records.len().div_ceil(2)) {
        let folder = logs(half);
        let (page, ended) = report(&[folder.path().to_str().unwrap()]);
        assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.story());
        let (texts, wrong) = read(&page);
        assert!(wrong.is_empty(), "{wrong:?}");
        let acting: BTreeSet<char> = texts
            .iter()
            .flat_map(|text| text.chars())
            .filter(|c| keytrail::output::visible::acts(*c) && *c != '\n')
            .collect();
        assert!(acting.is_empty(), "{acting:?}");
        let shown =
            (0..records.len()).filter(|number| texts.iter().any(|text| text.starts_with(&format!("{number}-"))));
        assert!(shown.count() >= 30, "hardly a value is on the page");
    }
}

/// Only a browser can say that a page asks for nothing, fits its screen and paper, and hides nothing from those who do not see.
#[test]
fn a_browser_finds_no_fault() {
    let Some(pages) = fetched("KEYTRAIL_PAGES") else { return };
    let browser = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    if !has_program("node", &["--version"]) || !has_program(&browser, &["--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let made = keytrail(["report", "sample-logs", "-q", "-o", file.to_str().unwrap()]);
    assert_eq!(made.code, Some(0), "{}", made.story());
    let checked = Command::new("node").current_dir(&pages).arg("report.mjs").arg(&file).output().unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&said));
}
