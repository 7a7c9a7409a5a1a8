//! Reads the first line of any bytes as the name of a digest and as a location, and the rest as the digest's body. What a
//! name tells stands in it, a user in a location is shown to nobody, and a digest says no more than one can.
#![no_main]

use keytrail::arn::{is_account_id, is_region};
use keytrail::source::{BucketPath, Location, without_secrets};
use keytrail::table::{DigestFault, DigestName, DigestStatement};
use keytrail::time::MICROS_PER_DAY;
use libfuzzer_sys::fuzz_target;

/// Most logs of one digest.
const LOGS_MAX: usize = 10_000;

fn check_name(name: &str) {
    let found = DigestName::of(name);
    let DigestName { account: Some(account), region: Some(region), trail: Some(trail), home: Some(home), ended: _ } =
        found
    else {
        return assert_eq!(found, DigestName::default(), "a part of a name");
    };
    assert!(is_account_id(account) && is_region(region));
    assert!(name.contains(&format!("{account}_CloudTrail-Digest_{region}_{trail}_{home}_")));
}

fn check_location(text: &str) {
    if let Ok(Location::S3(path)) = Location::parse(text) {
        let shown = path.to_string();
        assert_eq!(shown.strip_prefix("s3://").and_then(BucketPath::parse).as_ref(), Some(&path));
        assert!(path.holds(&path));
    }
    let shown = without_secrets(text);
    assert_eq!(without_secrets(&shown), shown, "a secret is left");
    let words = shown.split("://").skip(1).map(|rest| rest.split(char::is_whitespace).next().unwrap_or_default());
    // Behind a quotation mark a new word begins.
    let words = words.map(|word| word.split(['\'', '"', '`']).next().unwrap_or_default());
    for word in words {
        assert!(!word.trim_start_matches("…@").contains('@'), "a user is shown: {shown}");
    }
}

fn check_body(body: &[u8]) {
    match DigestStatement::parse(body) {
        Ok(digest) => {
            assert!(is_account_id(&digest.account) && digest.logs.len() <= LOGS_MAX);
            assert!((1..=MICROS_PER_DAY).contains(&(digest.ended - digest.started)));
        }
        Err(fault) => assert_eq!(DigestFault::of_word(fault.word()), Some(fault)),
    }
}

fuzz_target!(|data: &[u8]| {
    let split = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (name, body) = data.split_at(split);
    if let Ok(name) = std::str::from_utf8(name) {
        check_name(name);
        check_location(name);
    }
    check_body(body);
});
