//! Decides which records are CloudTrail's, and which of them the event filter keeps.
//! In: a record. Out: yes or no. Never looks at the clock or at other records.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::memmem;

use super::record::is_kms_source;
use crate::json::{Kind, Value};

/// `--events key-use|all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EventFilter {
    #[default]
    KeyUse,
    All,
}

/// Services whose changes bear on who may use a key: kept where they write.
const ACCESS_SOURCES: &[&str] = &[
    "iam.amazonaws.com",
    "organizations.amazonaws.com",
    "sso.amazonaws.com",
    "sso-directory.amazonaws.com",
    "identitystore.amazonaws.com",
    "cloudtrail.amazonaws.com",
];

/// Texts one of which stands in every record that [`EventFilter::KeyUse`] keeps, unless an escape hides it.
pub const NEEDLES: &[&str] = &[
    "kms",
    "KMS",
    "Kms",
    "kMs",
    "kmS",
    "KMs",
    "KmS",
    "kMS",
    "customer master key",
    "\"dynamodb.amazonaws.com\"",
    "\"iam.amazonaws.com\"",
    "\"organizations.amazonaws.com\"",
    "\"sso.amazonaws.com\"",
    "\"sso-directory.amazonaws.com\"",
    "\"identitystore.amazonaws.com\"",
    "\"cloudtrail.amazonaws.com\"",
    "\"AssumeRo",
    "\"GetFederationToken\"",
    "\"GetSessionToken\"",
];

/// An object with at least one of `eventSource`, `eventName` and `eventTime`, and not a notification by S3, SNS or
/// another service that uses the same names.
pub fn is_cloudtrail(record: Value<'_>) -> bool {
    let present = |key| record.get(key).filter(|value| !value.is_null());
    let source = present("eventSource");
    let is_notification = source.and_then(Value::text).is_some_and(|source| source.starts_with("aws:"));
    !is_notification && (source.is_some() || present("eventName").is_some() || present("eventTime").is_some())
}

/// Whether the filter keeps the record.
pub fn passes(filter: EventFilter, record: Value<'_>) -> bool {
    if filter == EventFilter::All {
        return true;
    }
    let source = record.get("eventSource").and_then(Value::text).unwrap_or_default();
    if is_kms_source(&source) || source == "dynamodb.amazonaws.com" {
        return true;
    }
    if ACCESS_SOURCES.contains(&&*source) && record.get("readOnly").is_some_and(is_false) {
        return true;
    }
    (source == "sts.amazonaws.com" && starts_session(record)) || names_kms(record)
}

fn is_false(value: Value<'_>) -> bool {
    matches!(value.raw(), b"false" | b"\"false\"")
}

fn starts_session(record: Value<'_>) -> bool {
    record.get("eventName").and_then(Value::text).is_some_and(|name| {
        name.starts_with("AssumeRole") || matches!(&*name, "AssumeRoot" | "GetFederationToken" | "GetSessionToken")
    })
}

/// Whether resources, parameters or the error name a KMS key, alias or action, or the error is one of KMS.
fn names_kms(record: Value<'_>) -> bool {
    let error_is_of_kms = ["errorCode", "errorMessage"]
        .into_iter()
        .filter_map(|key| record.get(key))
        .any(|value| contains_kms(value.raw()) || memmem::find(value.raw(), b"customer master key").is_some());
    error_is_of_kms
        || ["resources", "requestParameters"].into_iter().filter_map(|key| record.get(key)).any(mentions_kms)
}

/// `kms` in any case of letters, as bytes.
static KMS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder().ascii_case_insensitive(true).build(["kms"]).expect("one short pattern makes an automaton")
});

fn contains_kms(bytes: &[u8]) -> bool {
    KMS.is_match(bytes)
}

/// Looks at the bytes as written, unless escapes may hide letters in them.
fn mentions_kms(value: Value<'_>) -> bool {
    let raw = value.raw();
    let is_plain = memmem::find(raw, b"\\u").is_none() && memmem::find(raw, b"\\/").is_none();
    if is_plain { names_key_or_action(raw) } else { any_text(value) }
}

fn any_text(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::Object => value.members().any(|(key, value)| names_key_or_action(key.as_bytes()) || any_text(value)),
        Kind::Array => value.items().any(any_text),
        _ => value.text().is_some_and(|text| names_key_or_action(text.as_bytes())),
    }
}

/// `arn:…:kms:REGION:ACCOUNT:key/…` or `:alias/…`, or an action such as `kms:Decrypt` or `kms:*`.
fn names_key_or_action(bytes: &[u8]) -> bool {
    KMS.find_iter(bytes).any(|found| {
        let before = found.start().checked_sub(1).map(|at| bytes[at]);
        let Some(after) = bytes[found.end()..].strip_prefix(b":") else {
            return false;
        };
        if before == Some(b':') {
            let end = after.iter().position(|byte| matches!(byte, b'"' | b'\\' | b' ' | b',')).unwrap_or(after.len());
            let place = &after[..end];
            memmem::find(place, b":key/").is_some() || memmem::find(place, b":alias/").is_some()
        } else {
            let starts_word = before.is_none_or(|byte| !byte.is_ascii_alphanumeric() && byte != b'-' && byte != b'_');
            starts_word && after.first().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'*' | b'?'))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Tree;

    #[test]
    fn what_key_use_keeps() {
        for (record, kept) in [
            (r#"{"eventSource":"kms.amazonaws.com","eventName":"ListKeys"}"#, true),
            (r#"{"eventSource":"dynamodb.amazonaws.com","eventName":"ListTables"}"#, true),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"PutRolePolicy","readOnly":false}"#, true),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"PutRolePolicy","readOnly":"false"}"#, true),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"GetRole","readOnly":true}"#, false),
            (r#"{"eventSource":"sts.amazonaws.com","eventName":"AssumeRoleWithSAML","readOnly":true}"#, true),
            (r#"{"eventSource":"sts.amazonaws.com","eventName":"GetCallerIdentity","readOnly":true}"#, false),
            (
                r#"{"eventSource":"s3.amazonaws.com","eventName":"PutObject","requestParameters":{"x":"arn:aws:kms:us-east-1:111122223333:key/1"}}"#,
                true,
            ),
            (
                r#"{"eventSource":"s3.amazonaws.com","eventName":"PutObject","requestParameters":{"x":"arn:aws:kms:us-east-1:111122223333:key\/1"}}"#,
                true,
            ),
            (
                r#"{"eventSource":"s3.amazonaws.com","eventName":"PutObject","requestParameters":{"x":"arn:aws:\u006bms:us-east-1:111122223333:alias/a"}}"#,
                true,
            ),
            (
                r#"{"eventSource":"s3.amazonaws.com","eventName":"PutObject","requestParameters":{"x-amz-server-side-encryption":"aws:kms"}}"#,
                false,
            ),
            (
                r#"{"eventSource":"s3.amazonaws.com","eventName":"PutObject","requestParameters":{"x":"aws:kms:dsse"}}"#,
                false,
            ),
            (
                r#"{"eventSource":"s3.amazonaws.com","eventName":"PutBucketPolicy","requestParameters":{"p":"{\"Action\":\"KMS:Decrypt\"}"}}"#,
                true,
            ),
            (
                r#"{"eventSource":"lambda.amazonaws.com","eventName":"Invoke","errorCode":"KMSAccessDeniedException"}"#,
                true,
            ),
            (
                r#"{"eventSource":"lambda.amazonaws.com","eventName":"Invoke","userAgent":"arn:aws:kms:us-east-1:1:key/1"}"#,
                false,
            ),
        ] {
            let mut tree = Tree::new();
            let value = tree.parse(record.as_bytes()).unwrap();
            assert_eq!(passes(EventFilter::KeyUse, value), kept, "{record}");
            assert!(
                !kept || record.contains("\\u") || NEEDLES.iter().any(|needle| record.contains(needle)),
                "{record}"
            );
            assert!(passes(EventFilter::All, value));
        }
    }

    #[test]
    fn what_is_cloudtrail() {
        for (record, is_record) in [
            (r#"{"eventTime":"2026-01-01T00:00:00Z"}"#, true),
            (r#"{"eventName":7}"#, true),
            (r#"{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-01-01T00:00:00Z"}"#, false),
            (r#"{"eventName":null}"#, false),
            (r#"{"digestS3Object":"x"}"#, false),
            ("{}", false),
            ("5", false),
        ] {
            assert_eq!(is_cloudtrail(Tree::new().parse(record.as_bytes()).unwrap()), is_record, "{record}");
        }
    }
}
