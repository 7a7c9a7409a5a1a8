//! Decides which records are CloudTrail's, and which of them the event filter keeps.
//! In: a record. Out: yes or no. Never looks at the clock or at other records.

use std::borrow::Cow;

use memchr::memmem;

use super::members::{EventService, Members, Record};
use crate::arn::{is_multi_region_id, is_uuid};
use crate::json::{JsonKind, Outline, OutlineKeys, Value};

/// `--events key-use|all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EventFilter {
    #[default]
    KeyUse,
    All,
}

/// Services whose changes bear on who may use a key; their writing calls are kept.
const ACCESS_SOURCES: &[&str] = &[
    "iam.amazonaws.com",
    "organizations.amazonaws.com",
    "sso.amazonaws.com",
    "sso-directory.amazonaws.com",
    "identitystore.amazonaws.com",
    "cloudtrail.amazonaws.com",
];

/// Prefixes of operations that only read, for records that do not say so themselves.
const READING: &[&str] = &["Get", "List", "Describe", "Simulate", "Generate", "Lookup", "BatchGet", "Search"];

/// An object with at least one of `eventSource`, `eventName` and `eventTime`, and not a notification by S3, SNS or
/// another service that uses the same names.
pub fn is_cloudtrail(record: &Record<'_>) -> bool {
    let members = &record.members;
    let source = members.event_source();
    let is_notification = source.and_then(Value::text).is_some_and(|source| source.starts_with("aws:"));
    let names = [source, members.event_name(), members.event_time()];
    // A list of values is a pattern that matches events.
    let is_value = |value: Value<'_>| !matches!(value.kind(), JsonKind::Null | JsonKind::Array | JsonKind::Object);
    !is_notification && names.into_iter().flatten().any(is_value)
}

/// True for a count of calls, which CloudTrail makes of data events: no call itself.
pub fn is_aggregated(record: &Record<'_>) -> bool {
    record.members.event_type().and_then(Value::text).as_deref() == Some("AwsAggregatedEvent")
}

/// True if the filter keeps the record.
pub fn passes(filter: EventFilter, record: &Record<'_>) -> bool {
    filter == EventFilter::All || {
        let telling = FilterMembers::of(&record.members);
        telling.is_kept() || telling.naming.into_iter().flatten().any(hides_letters) && hidden_name(&record.members)
    }
}

/// True if [`EventFilter::KeyUse`] certainly drops the record of this outline, and the record is CloudTrail's.
pub fn screens_out(record: &Outline<'_>) -> bool {
    FilterMembers::of_outline(record).is_some_and(|telling| !telling.is_kept())
}

/// The members of a record that tell whether the filter keeps it; but for the first two, as their JSON.
struct FilterMembers<'a> {
    source: Cow<'a, str>,
    name: Cow<'a, str>,
    read_only: Option<&'a [u8]>,
    errors: [Option<&'a [u8]>; 2],
    naming: [Option<&'a [u8]>; 2],
}

const TELLING: OutlineKeys<8> = OutlineKeys::new([
    "eventVersion",
    "eventSource",
    "eventName",
    "readOnly",
    "errorCode",
    "errorMessage",
    "resources",
    "requestParameters",
]);

impl<'a> FilterMembers<'a> {
    fn of(record: &Members<'a>) -> FilterMembers<'a> {
        let text = |value: Option<Value<'a>>| value.and_then(Value::text).unwrap_or_default();
        let raw = |value: Option<Value<'a>>| value.map(Value::raw);
        FilterMembers {
            source: text(record.event_source()),
            name: text(record.event_name()),
            read_only: raw(record.read_only()),
            errors: [record.error_code(), record.error_message()].map(raw),
            naming: [record.resources(), record.request_parameters()].map(raw),
        }
    }

    /// `None` where the outline leaves a doubt, or the object may be another service's notification.
    fn of_outline(record: &Outline<'a>) -> Option<FilterMembers<'a>> {
        // Without its version it may be the wrapper of another record.
        let [Some(_), source, name, read_only, code, message, resources, parameters] = record.values(&TELLING)? else {
            return None;
        };
        let source = string(source?)?;
        let name = name.map_or(Some(""), string)?;
        let read_only = read_only.map(|value| &value[..value.iter().take_while(|byte| is_plain(**byte)).count()]);
        (!source.starts_with("aws:")).then_some(FilterMembers {
            source: Cow::Borrowed(source),
            name: Cow::Borrowed(name),
            read_only,
            errors: [code, message],
            naming: [resources, parameters],
        })
    }

    fn is_kept(&self) -> bool {
        EventService::of(Some(&self.source)).is_kms()
            || self.source == "dynamodb.amazonaws.com"
            || ACCESS_SOURCES.contains(&&*self.source) && self.writes()
            || self.source == "sts.amazonaws.com" && self.starts_session()
            || self.names_kms()
    }

    /// True if a call may change something. Old versions of the format have no `readOnly`, and a dropped change of
    /// access cannot be found again, so an unknown call counts as a write.
    fn writes(&self) -> bool {
        match self.read_only {
            Some(b"true" | b"\"true\"") => false,
            Some(b"false" | b"\"false\"") => true,
            _ => !READING.iter().any(|start| self.name.starts_with(start)),
        }
    }

    fn starts_session(&self) -> bool {
        self.name.starts_with("AssumeRole")
            || matches!(&*self.name, "AssumeRoot" | "GetFederationToken" | "GetSessionToken")
    }

    /// True if resources, parameters or the error name a KMS key, alias or action, or the error is one of KMS.
    fn names_kms(&self) -> bool {
        let is_of_kms = |error: &[u8]| {
            kms_places(error).next().is_some() || OTHER_WORDS.iter().any(|words| memmem::find(error, words).is_some())
        };
        self.errors.into_iter().flatten().any(is_of_kms) || self.naming.into_iter().flatten().any(names_key_or_action)
    }
}

/// Words of errors of KMS that do not name it: KMS's name for a key in its messages until 2021, and codes of CodeCommit, EC2,
/// QuickSight and Secrets Manager.
const OTHER_WORDS: [&[u8]; 6] = [
    b"customer master key",
    b"CustomerKeyHasBeenRevoked",
    b"CustomerManagedKey",
    b"DecryptionFailure",
    b"EncryptionFailure",
    b"EncryptionKey",
];

/// The text of a JSON string at the start of `json`, where it needs no unescaping.
fn string(json: &[u8]) -> Option<&str> {
    let text = json.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', text)?;
    std::str::from_utf8(&text[..end]).ok().filter(|_| text[end] == b'"')
}

/// A byte of a literal, or of one that is quoted.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'"'
}

/// The places of `kms`, in any case of letters.
fn kms_places(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let follows = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|next| next.eq_ignore_ascii_case(b"ms"));
    memchr::memchr2_iter(b'k', b'K', bytes).filter(move |&at| follows(at))
}

/// True if letters of a value may be written as escapes.
fn hides_letters(raw: &[u8]) -> bool {
    memmem::find(raw, b"\\u").is_some() || memmem::find(raw, b"\\/").is_some()
}

/// As [`names_key_or_action`], with the escapes of the texts resolved.
fn hidden_name(record: &Members<'_>) -> bool {
    [record.resources(), record.request_parameters()].into_iter().flatten().any(any_text)
}

fn any_text(value: Value<'_>) -> bool {
    match value.kind() {
        JsonKind::Object => value.members().any(|(key, value)| names_key_or_action(key.as_bytes()) || any_text(value)),
        JsonKind::Array => value.items().any(any_text),
        _ => value.text().is_some_and(|text| names_key_or_action(text.as_bytes())),
    }
}

/// `arn:…:kms:REGION:ACCOUNT:key/…` or `:alias/…`, an action such as `kms:Decrypt` or `kms:*`, or a member such as
/// `"kmsKeyId":"alias/…"`.
fn names_key_or_action(bytes: &[u8]) -> bool {
    kms_places(bytes).any(|at| {
        let before = at.checked_sub(1).map(|at| bytes[at]);
        let Some(after) = bytes[at + 3..].strip_prefix(b":") else {
            return names_key_by_member(&bytes[at + 3..]);
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

/// True if this is the rest of a member's name that speaks of a key, and the member's value an id or an alias.
fn names_key_by_member(rest: &[u8]) -> bool {
    /// `MasterKeyIdentifier` and the hyphens of a header.
    const NAME_BYTES_MAX: usize = 24;
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let length = rest.iter().take(NAME_BYTES_MAX).take_while(is_part).count();
    let name = &rest[..length];
    let is_of_key = name.windows(3).any(|letters| letters.eq_ignore_ascii_case(b"key"));
    let value = || {
        let value = rest[length..].strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        value.strip_prefix(b"\"")
    };
    let is_id = |value: &[u8]| {
        let id = value.split(|byte| *byte == b'"').next().and_then(|id| std::str::from_utf8(id).ok());
        id.is_some_and(|id| id.starts_with("alias/") || is_uuid(id) || is_multi_region_id(id))
    };
    is_of_key && value().is_some_and(is_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Backslashes, JsonTree};

    #[test]
    fn key_use_keeps_what_bears_on_keys() {
        for (record, kept) in [
            (r#"{"eventSource":"kms.amazonaws.com","eventName":"ListKeys"}"#, true),
            (r#"{"eventSource":"dynamodb.amazonaws.com","eventName":"ListTables"}"#, true),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"PutRolePolicy","readOnly":false}"#, true),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"PutRolePolicy","readOnly":"false"}"#, true),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"GetRole","readOnly":true}"#, false),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"PutRolePolicy","eventVersion":"1.02"}"#, true),
            (r#"{"eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","readOnly":null}"#, true),
            (r#"{"eventSource":"cloudtrail.amazonaws.com","eventName":"LookupEvents","readOnly":null}"#, false),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"GetRole","eventVersion":"1.02"}"#, false),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"GetRole","readOnly":false}"#, true),
            (r#"{"eventSource":"ec2.amazonaws.com","eventName":"DeleteVpc","eventVersion":"1.02"}"#, false),
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
                r#"{"eventSource":"rds.amazonaws.com","eventName":"CreateDBInstance","requestParameters":{"kmsKeyId": "alias/orders"}}"#,
                true,
            ),
            (
                r#"{"eventSource":"s3.amazonaws.com","eventName":"PutObject","requestParameters":{"x-amz-server-side-encryption-aws-kms-key-id":"0f1e2d3c-1111-4222-8333-44445555aaaa"}}"#,
                true,
            ),
            (
                r#"{"eventSource":"rds.amazonaws.com","eventName":"CreateDBInstance","requestParameters":{"kmsKeyId":"","engine":"alias/orders"}}"#,
                false,
            ),
            (
                r#"{"eventSource":"sqs.amazonaws.com","eventName":"CreateQueue","requestParameters":{"attributes":{"KmsDataKeyReusePeriodSeconds":"300"}}}"#,
                false,
            ),
            (
                r#"{"eventSource":"s3.amazonaws.com","eventName":"PutBucketPolicy","requestParameters":{"p":"{\"Action\":\"KMS:Decrypt\"}"}}"#,
                true,
            ),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"PutRolePolicy","readOnly":true}"#, false),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"PutRolePolicy","readOnly":"true"}"#, false),
            (r#"{"eventSource":"iam.amazonaws.com","eventName":"GetRole","readOnly":"false"}"#, true),
            (r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"x":"kms:*"}}"#, true),
            (r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"kms:ViaService":1}}"#, true),
            (r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"x":"kms:1"}}"#, false),
            (r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"x":"akms:Decrypt"}}"#, false),
            (r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"x":"-kms:Decrypt"}}"#, false),
            (r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"x":"_kms:Decrypt"}}"#, false),
            (r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"x":"\u0041 text"}}"#, false),
            (r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"x":"a\/text","y":[{"z":null}]}}"#, false),
            (r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"x":[{"y":["\u006bms:Decrypt"]}]}}"#, true),
            (r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"x":{"\u006bms:Decrypt":5}}}"#, true),
            (r#"{"eventSource":"s3.amazonaws.com","resources":["\u006bms:Decrypt"]}"#, true),
            // A member of JSON within a text is no parameter.
            (
                r#"{"eventSource":"s3.amazonaws.com","requestParameters":{"x":"{\"kmsKeyId\":\"alias/orders\"}"}}"#,
                false,
            ),
            (
                r#"{"eventSource":"lambda.amazonaws.com","eventName":"Invoke","errorCode":"KMSAccessDeniedException"}"#,
                true,
            ),
            (
                r#"{"eventSource":"ec2.amazonaws.com","eventName":"AttachVolume","errorCode":"Client.CustomerKeyHasBeenRevoked"}"#,
                true,
            ),
            (
                r#"{"eventSource":"lambda.amazonaws.com","eventName":"Invoke","userAgent":"arn:aws:kms:us-east-1:1:key/1"}"#,
                false,
            ),
        ] {
            let mut tree = JsonTree::new();
            let value = Record::of(tree.parse(record.as_bytes()).unwrap());
            assert_eq!(passes(EventFilter::KeyUse, &value), kept, "{record}");
            assert!(!kept || !screened_out(record), "{record}");
            let versioned = record.replacen('{', r#"{"eventVersion":"1.08","#, 1);
            assert!(!kept || !screened_out(&versioned), "{record}");
            let is_screened =
                if record.contains("eventVersion") { screened_out(record) } else { screened_out(&versioned) };
            assert!(kept || record.contains('\\') || is_screened, "{record}");
            assert!(passes(EventFilter::All, &value));
        }
    }

    #[test]
    fn a_count_of_calls_is_told_by_its_type() {
        for (record, expected) in [
            (r#"{"eventName":"a","eventType":"AwsAggregatedEvent"}"#, true),
            (r#"{"eventName":"a","eventType":"AwsApiCall"}"#, false),
            (r#"{"eventName":"a","eventType":7}"#, false),
            (r#"{"eventName":"AwsAggregatedEvent"}"#, false),
        ] {
            let mut tree = JsonTree::new();
            assert_eq!(is_aggregated(&Record::of(tree.parse(record.as_bytes()).unwrap())), expected, "{record}");
        }
    }

    /// By the places of the colons as a reader of plain JSON finds them.
    fn screened_out(record: &str) -> bool {
        let (mut depth, mut quoted, mut escaped) = (0, false, false);
        let mut colons = Vec::new();
        for (at, byte) in record.bytes().enumerate() {
            match byte {
                _ if std::mem::take(&mut escaped) => {}
                b'\\' => escaped = true,
                b'"' => quoted = !quoted,
                b'{' | b'[' if !quoted => depth += 1,
                b'}' | b']' if !quoted => depth -= 1,
                b':' if !quoted && depth == 1 => colons.push(at as u32),
                _ => {}
            }
        }
        let backslashes = if record.contains('\\') { Backslashes::Present } else { Backslashes::Absent };
        let outline = Outline::new(record.as_bytes(), &colons, backslashes);
        outline.is_some_and(|outline| screens_out(&outline))
    }

    #[test]
    fn a_record_in_doubt_is_not_screened_out() {
        for record in [
            r#"{"eventName":"ObjectCreated:Put","eventSource":"aws:s3"}"#,
            r#"{"eventName":"x"}"#,
            r#"{"eventSource":7,"eventName":"x"}"#,
            r#"{"eventSource":"ec2.amazonaws.com","eventSource":"kms.amazonaws.com"}"#,
            r#"{"eventSource":"ec2.amazonaws.com","eventName":"x","errorMessage":"a \u006bms thing"}"#,
            r#"{"eventSource":"ec2.amazonaws.com","eventName":"x","errorMessage":"the customer master key"}"#,
        ] {
            assert!(!screened_out(record), "{record}");
        }
    }

    #[test]
    fn records_of_cloudtrail_are_told_from_notifications() {
        for (record, is_record) in [
            (r#"{"eventTime":"2026-01-01T00:00:00Z"}"#, true),
            (r#"{"eventName":7}"#, true),
            (r#"{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-01-01T00:00:00Z"}"#, false),
            (r#"{"eventName":null}"#, false),
            (r#"{"digestS3Object":"x"}"#, false),
            ("{}", false),
            ("5", false),
        ] {
            let mut tree = JsonTree::new();
            let value = tree.parse(record.as_bytes()).unwrap();
            assert_eq!(is_cloudtrail(&Record::of(value)), is_record, "{record}");
        }
    }
}
