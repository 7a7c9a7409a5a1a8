//! A record as the deciders borrow it: its members by name, the service that wrote it, and the list of its issues.
//! In: a record. Out: members, each at its type or as an issue that gives the reason.
//! Never fills a column, and never interprets a member.

use std::borrow::Cow;

use super::row::{ColumnSet, Text};
use crate::json::{JsonKind, Value};
use crate::schema::Column;
use crate::time;

/// Oddities of a record: JSON paths with the oddity of each. Collected only if the column is asked for.
#[derive(Debug)]
pub(super) struct Issues {
    found: Vec<String>,
    is_wanted: bool,
}

impl Issues {
    pub(super) fn new(wanted: &ColumnSet) -> Issues {
        Issues { found: Vec::new(), is_wanted: wanted.has(Column::Issues) }
    }

    /// True if the column `issues` is asked for, so that finding one is worth the work.
    pub(super) fn are_wanted(&self) -> bool {
        self.is_wanted
    }

    pub(super) fn into_found(self) -> Vec<String> {
        self.found
    }

    pub(super) fn add(&mut self, path: &str, what: &str) {
        if self.is_wanted {
            self.found.push(format!("{path}: {what}"));
        }
    }

    /// Text as it is; other scalars and containers as their JSON, named as odd; nothing for null and `""`.
    pub(super) fn text<'a>(&mut self, value: Option<Value<'a>>, path: &str) -> Option<Text<'a>> {
        let value = value.filter(|value| !value.is_null())?;
        let Some(text) = value.text() else {
            self.add(path, "not text");
            return Some(value.raw_text());
        };
        if self.is_wanted && matches!(text, Cow::Owned(_)) && value.is_lossy() {
            self.add(path, "not UTF-8");
        }
        (!text.is_empty()).then_some(text)
    }

    /// `true` and `false`, as AWS writes them or as text.
    pub(super) fn boolean(&mut self, value: Option<Value<'_>>, path: &str) -> Option<bool> {
        let value = value.filter(|value| !value.is_null())?;
        match value.raw() {
            b"true" | b"\"true\"" => Some(true),
            b"false" | b"\"false\"" => Some(false),
            b"\"\"" => None,
            _ => {
                self.add(path, "not a boolean");
                None
            }
        }
    }

    pub(super) fn time(&mut self, value: Option<Value<'_>>, path: &str) -> Option<i64> {
        let value = value.filter(|value| !value.is_null())?;
        let text = value.text();
        let time = text.as_deref().and_then(time::parse_rfc3339);
        if time.is_some() {
            return time;
        }
        let exported = text.as_deref().and_then(time::parse_exported);
        self.add(path, if exported.is_some() { "not in the form of RFC 3339, read as UTC" } else { "not a time" });
        exported
    }

    /// The JSON of a container, as it was written. The text `"null"`, which some shippers write, is nothing.
    pub(super) fn json<'a>(&mut self, value: Option<Value<'a>>, path: &str, kind: JsonKind) -> Option<Text<'a>> {
        let value = value.filter(|value| !value.is_null() && value.raw() != b"\"null\"" && value.raw() != b"\"\"")?;
        if value.kind() != kind {
            self.add(path, if kind == JsonKind::Array { "not an array" } else { "not an object" });
        }
        let text = value.raw_text();
        if matches!(text, Cow::Owned(_)) {
            self.add(path, "not UTF-8");
        }
        Some(text)
    }
}

/// Makes two types: one whose methods give members of an object by AWS's names, found in one walk, and one that numbers
/// them.
macro_rules! named_members {
    ($(#[$about:meta])* $list:ident, $one:ident { $($field:ident $name:literal,)* }) => {
        #[expect(non_camel_case_types, reason = "named as the members are")]
        #[derive(Clone, Copy)]
        enum $one {
            $($field,)*
        }

        impl $one {
            const COUNT: usize = [$($one::$field),*].len();
        }

        $(#[$about])*
        #[derive(Clone, Copy)]
        pub(super) struct $list<'a>($crate::json::NamedMembers<'a, { $one::COUNT }>);

        impl<'a> $list<'a> {
            pub(super) fn of(object: $crate::json::Value<'a>) -> $list<'a> {
                static NAMES: $crate::json::KnownNames<{ $one::COUNT }> = $crate::json::KnownNames::new([$($name),*]);
                $list($crate::json::NamedMembers::of(object, &NAMES))
            }

            $(
                pub(super) fn $field(&self) -> Option<$crate::json::Value<'a>> {
                    self.0.get($one::$field as usize)
                }
            )*
        }
    };
}
pub(super) use named_members;

named_members! {
    /// The members of a record that become columns.
    Members, Member {
        event_id "eventID",
        event_time "eventTime",
        event_source "eventSource",
        event_name "eventName",
        event_type "eventType",
        event_category "eventCategory",
        event_version "eventVersion",
        aws_region "awsRegion",
        recipient_account_id "recipientAccountId",
        read_only "readOnly",
        management_event "managementEvent",
        request_id "requestID",
        shared_event_id "sharedEventID",
        vpc_endpoint_id "vpcEndpointId",
        tls_details "tlsDetails",
        addendum "addendum",
        source_ip_address "sourceIPAddress",
        user_agent "userAgent",
        user_identity "userIdentity",
        error_code "errorCode",
        error_message "errorMessage",
        request_parameters "requestParameters",
        response_elements "responseElements",
        additional_event_data "additionalEventData",
        service_event_details "serviceEventDetails",
        resources "resources",
    }
}

/// A record whose top level has been walked.
pub struct Record<'a> {
    pub(super) value: Value<'a>,
    pub(super) members: Members<'a>,
}

impl<'a> Record<'a> {
    /// Walks the top level of `value`, which holds anything that JSON can hold.
    pub fn of(value: Value<'a>) -> Record<'a> {
        Record { value, members: Members::of(value) }
    }

    /// The record as it stands in its object.
    pub fn value(&self) -> Value<'a> {
        self.value
    }

    /// True of a record of KMS that says that the call only read.
    pub fn is_key_read(&self) -> bool {
        let says = self.members.read_only().is_some_and(|value| matches!(value.raw(), b"true" | b"\"true\""));
        let source = self.members.event_source().filter(|_| says).and_then(Value::text);
        EventService::of(source.as_deref()).is_kms()
    }
}

/// The service that wrote a record, as far as the deciders tell services apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventService {
    Kms,
    Other,
}

impl EventService {
    /// The case of an event source does not matter, since no other service differs from KMS by case.
    pub(super) fn of(source: Option<&str>) -> EventService {
        let is_kms = |source: &str| {
            source.eq_ignore_ascii_case("kms.amazonaws.com") || source.eq_ignore_ascii_case("kms.amazonaws.com.cn")
        };
        if source.is_some_and(is_kms) { EventService::Kms } else { EventService::Other }
    }

    pub(super) fn is_kms(self) -> bool {
        self == EventService::Kms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonTree;

    #[test]
    fn a_read_of_kms_says_so() {
        for (record, expected) in [
            (r#"{"eventSource":"kms.amazonaws.com","readOnly":true}"#, true),
            (r#"{"eventSource":"KMS.amazonaws.com","readOnly":"true"}"#, true),
            (r#"{"eventSource":"kms.amazonaws.com","readOnly":false}"#, false),
            (r#"{"eventSource":"kms.amazonaws.com"}"#, false),
            (r#"{"eventSource":"s3.amazonaws.com","readOnly":true}"#, false),
            (r#"{"readOnly":true}"#, false),
        ] {
            let mut tree = JsonTree::new();
            assert_eq!(Record::of(tree.parse(record.as_bytes()).unwrap()).is_key_read(), expected, "{record}");
        }
    }

    #[test]
    fn a_boolean_may_be_text_or_nothing() {
        for (text, expected, issue) in [
            ("true", Some(true), None),
            ("\"true\"", Some(true), None),
            ("false", Some(false), None),
            ("\"false\"", Some(false), None),
            ("null", None, None),
            ("\"\"", None, None),
            ("\"no\"", None, Some("x: not a boolean")),
            ("1", None, Some("x: not a boolean")),
        ] {
            let (mut tree, mut issues) = (JsonTree::new(), Issues::new(&ColumnSet::all()));
            let value = tree.parse(text.as_bytes()).unwrap();
            assert_eq!(issues.boolean(Some(value), "x"), expected, "{text}");
            assert_eq!(issues.into_found(), Vec::from_iter(issue), "{text}");
        }
    }
}
