//! Normalizes a record again, from the text that was kept of it.
//! In: the record, and the parts of its row that the text lacks. Out: a row with the same identity.
//! Never gives a row another identity or content, and never loses an issue that only the first reading could see.

use std::borrow::Cow;

use super::members::Record;
use super::row::{ColumnSet, Row};
use super::{AccountHints, normalize};

/// End of the issue about an account that was taken from the path.
const FROM_PATH: &str = ", taken from the path";
/// End of the issues about text that was not UTF-8; the kept copy is UTF-8, so reading it again cannot find them.
const NOT_UTF8: &str = ": not UTF-8";
/// The issue of a record that was not UTF-8 somewhere.
const RAW_NOT_UTF8: &str = "$: not UTF-8";
/// Prefix of the ids that were made from the content of a record without one.
const SYNTHETIC: &str = "synthetic-";

/// The parts of a record's row that its text lacks.
#[derive(Debug, Clone, Copy)]
pub struct StoredRow<'a> {
    /// The row's identity, which stays even if other columns change.
    pub event_id: &'a str,
    /// See `event_id`: the account of the record, or the one around it when it was read.
    pub recipient_account_id: Option<&'a str>,
    /// The canonical hashes of its record with the seeds 0 and 1, before any byte was lost.
    pub content_hash: [u64; 2],
    /// As the column `issues` has them.
    pub issues: &'a [&'a str],
}

/// A record as a row again, with all columns. `None` if the row would get another identity or has another content. The
/// content of a record that was not UTF-8 somewhere cannot be checked by its kept text.
pub fn normalize_again<'a>(record: &Record<'a>, stored: &StoredRow<'a>) -> Option<Row<'a>> {
    let is_of_lost_bytes = stored.issues.contains(&RAW_NOT_UTF8);
    if !is_of_lost_bytes && record.value().canonical_hashes([0, 1]) != stored.content_hash {
        return None;
    }
    let is_from_path = stored.issues.iter().any(|issue| issue.ends_with(FROM_PATH));
    let account = stored.recipient_account_id;
    let origin = match is_from_path {
        true => AccountHints { account, envelope_account: None },
        false => AccountHints { account: None, envelope_account: account },
    };
    let mut row = normalize(record, &origin, ColumnSet::all());
    if row.recipient_account_id.as_deref() != account {
        return None;
    }
    if row.event_id != stored.event_id {
        let are_synthetic = [stored.event_id, &row.event_id].iter().all(|id| id.starts_with(SYNTHETIC));
        if !is_of_lost_bytes || !are_synthetic {
            return None;
        }
        if row.call_id.as_ref() == Some(&row.event_id) {
            row.call_id = Some(Cow::Borrowed(stored.event_id));
        }
        row.event_id = Cow::Borrowed(stored.event_id);
    }
    row.issues = with_issues_of_bytes(row.issues, stored.issues);
    Some(row)
}

/// Issues that were found again, and those about bytes that the kept text no longer has. If these are all the old
/// issues, they stay in their order.
fn with_issues_of_bytes(mut found: Vec<String>, stored: &[&str]) -> Vec<String> {
    let is_lost = |issue: &&&str| issue.ends_with(NOT_UTF8) && !found.iter().any(|again| again == **issue);
    let lost: Vec<String> = stored.iter().filter(is_lost).map(|issue| (*issue).to_owned()).collect();
    if lost.is_empty() {
        return found;
    }
    found.extend(lost);
    let is_same = found.len() == stored.len() && stored.iter().all(|issue| found.iter().any(|again| again == issue));
    if is_same { stored.iter().map(|issue| (*issue).to_owned()).collect() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonTree;

    /// A row of these bytes, and the same made again from its kept text.
    fn twice(bytes: &[u8], origin: &AccountHints<'_>) -> (String, String) {
        let (mut first, mut second) = (JsonTree::new(), JsonTree::new());
        let record = Record::of(first.parse(bytes).unwrap());
        let row = normalize(&record, origin, ColumnSet::all());
        let issues: Vec<&str> = row.issues.iter().map(String::as_str).collect();
        let stored = StoredRow {
            event_id: &row.event_id,
            recipient_account_id: row.recipient_account_id.as_deref(),
            content_hash: record.value().canonical_hashes([0, 1]),
            issues: &issues,
        };
        let again = normalize_again(&Record::of(second.parse(row.raw.as_bytes()).unwrap()), &stored);
        (format!("{row:?}"), format!("{:?}", again.unwrap()))
    }

    #[test]
    fn a_record_gives_the_same_row_again() {
        let from_path = AccountHints { account: Some("111122223333"), envelope_account: None };
        let from_envelope = AccountHints { account: None, envelope_account: Some("444455556666") };
        let both = AccountHints { account: Some("111122223333"), envelope_account: Some("444455556666") };
        let records: [&[u8]; 7] = [
            br#"{"eventID":"A1B2C3D4-0000-4000-8000-000000000001","recipientAccountId":"777788889999"}"#,
            br#"{"eventName":"Decrypt","eventSource":"kms.amazonaws.com","eventTime":"2026-03-10T12:00:00Z"}"#,
            b"{\"eventName\":\"Decrypt\",\"userAgent\":\"x\xff\",\"eventTime\":7}",
            b"{\"eventID\":5,\"requestParameters\":{\"a\":\"\xff\"},\"sharedEventID\":\"b\"}",
            b"{\"eventID\":\"x\xff\",\"userAgent\":\"\\ud800\",\"readOnly\":\"maybe\"}",
            br#"{"recipientAccountId":"x","userAgent":"\ud800"}"#,
            b"{\"eventSource\":\"\xff\",\"eventTime\":7,\"userAgent\":8}",
        ];
        for record in records {
            for origin in [AccountHints::default(), from_path, from_envelope, both] {
                let (first, second) = twice(record, &origin);
                assert_eq!(first, second, "{} {origin:?}", String::from_utf8_lossy(record));
            }
        }
    }

    #[test]
    fn issues_of_lost_bytes_stay_in_their_order_if_all_others_do() {
        for (found, stored, expected) in [
            (&["b: y"][..], &["a: not UTF-8", "b: y"][..], &["a: not UTF-8", "b: y"][..]),
            (&["b: y"], &["b: y"], &["b: y"]),
            (&["b: y", "c: z"], &["c: z", "b: y"], &["b: y", "c: z"]),
            (&["b: y"], &["a: not UTF-8"], &["b: y", "a: not UTF-8"]),
            (&[], &["a: not UTF-8", "b: y"], &["a: not UTF-8"]),
            (&["b: new"], &["a: not UTF-8", "b: old"], &["b: new", "a: not UTF-8"]),
            (
                &["a: not UTF-8", "c: z"],
                &["b: not UTF-8", "a: not UTF-8", "c: z"],
                &["b: not UTF-8", "a: not UTF-8", "c: z"],
            ),
        ] {
            let found = found.iter().map(|issue| (*issue).to_owned()).collect();
            assert_eq!(with_issues_of_bytes(found, stored), expected, "{stored:?}");
        }
    }

    #[test]
    fn a_row_that_would_be_another_is_not_made() {
        let text = r#"{"eventID":"a","recipientAccountId":"1"}"#;
        let synthetic = "synthetic-0000";
        for (text, event_id, account, issues, is_made) in [
            (text, "a", Some("1"), &[][..], true),
            (text, "b", Some("1"), &[], false),
            (text, "a", Some("2"), &[], false),
            (text, "a", None, &[], false),
            (text, synthetic, Some("1"), &[RAW_NOT_UTF8], false),
            ("{}", synthetic, None, &[RAW_NOT_UTF8], true),
            ("{}", synthetic, None, &[], false),
            ("{}", "a", None, &[RAW_NOT_UTF8], false),
        ] {
            let mut tree = JsonTree::new();
            let value = tree.parse(text.as_bytes()).unwrap();
            let content_hash = value.canonical_hashes([0, 1]);
            let stored = StoredRow { event_id, recipient_account_id: account, content_hash, issues };
            let again = normalize_again(&Record::of(value), &stored);
            assert_eq!(
                again.map(|row| row.event_id.into_owned()),
                is_made.then(|| event_id.to_owned()),
                "{text} {event_id}"
            );
        }
    }

    #[test]
    fn a_row_is_not_made_of_another_content() {
        let (text, other) = (r#"{"eventID":"a"}"#, r#"{"eventID":"a","userAgent":"x"}"#);
        let spaced = r#"{ "eventID": "a" }"#;
        for (kept, issues, is_made) in
            [(text, &[][..], true), (spaced, &[], true), (other, &[], false), (other, &[RAW_NOT_UTF8], true)]
        {
            let (mut first, mut second) = (JsonTree::new(), JsonTree::new());
            let content_hash = first.parse(text.as_bytes()).unwrap().canonical_hashes([0, 1]);
            let stored = StoredRow { event_id: "a", recipient_account_id: None, content_hash, issues };
            let again = normalize_again(&Record::of(second.parse(kept.as_bytes()).unwrap()), &stored);
            assert_eq!(again.is_some(), is_made, "{kept} {issues:?}");
        }
    }
}
