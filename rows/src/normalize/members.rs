//! A record as the deciders borrow it: its members by name, the service that wrote it, and the list of its issues.
//! In: a record. Out: members, each at its type or as an issue that says why not.
//! Never fills a column, and never decides what a member means.

use std::borrow::Cow;

use super::row::{Text, Wanted};
use crate::json::{Kind, Value, tag};
use crate::schema::Column;
use crate::time;

/// Oddities of a record: JSON paths, and how each is odd. Collected only where the column is asked for.
#[derive(Debug)]
pub(super) struct Issues {
    found: Vec<String>,
    is_wanted: bool,
}

impl Issues {
    pub(super) fn new(wanted: &Wanted) -> Issues {
        Issues { found: Vec::new(), is_wanted: wanted.has(Column::Issues) }
    }

    /// True where finding one is worth any work.
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
        let time = value.text().and_then(|text| time::parse_rfc3339(&text));
        if time.is_none() {
            self.add(path, "not a time");
        }
        time
    }

    /// The JSON of a container, as it was written. The text `"null"`, which some shippers write, is nothing.
    pub(super) fn json<'a>(&mut self, value: Option<Value<'a>>, path: &str, kind: Kind) -> Option<Text<'a>> {
        let value = value.filter(|value| !value.is_null() && value.raw() != b"\"null\"" && value.raw() != b"\"\"")?;
        if value.kind() != kind {
            self.add(path, if kind == Kind::Array { "not an array" } else { "not an object" });
        }
        let text = value.raw_text();
        if matches!(text, Cow::Owned(_)) {
            self.add(path, "not UTF-8");
        }
        Some(text)
    }
}

macro_rules! members {
    ($($field:ident $name:literal,)*) => {
        #[expect(non_upper_case_globals, reason = "named as the members are")]
        mod tags {
            $(pub(super) const $field: u64 = crate::json::tag($name);)*
        }

        /// The members of a record that columns are made of.
        #[derive(Clone, Copy, Default)]
        pub(super) struct Members<'a> {
            $(pub(super) $field: Option<Value<'a>>,)*
        }

        impl<'a> Members<'a> {
            fn of(record: Value<'a>) -> Members<'a> {
                let mut members = Members::default();
                for (name, value) in record.members_by_bytes() {
                    // Tags turn a chain of comparisons into one look-up.
                    match tag(&name) {
                        $(tags::$field if *name == *$name => members.$field = Some(value),)*
                        _ => {}
                    }
                }
                members
            }
        }
    };
}

members! {
    event_id b"eventID",
    event_time b"eventTime",
    event_source b"eventSource",
    event_name b"eventName",
    event_type b"eventType",
    event_category b"eventCategory",
    event_version b"eventVersion",
    aws_region b"awsRegion",
    recipient_account_id b"recipientAccountId",
    read_only b"readOnly",
    management_event b"managementEvent",
    request_id b"requestID",
    shared_event_id b"sharedEventID",
    vpc_endpoint_id b"vpcEndpointId",
    tls_details b"tlsDetails",
    addendum b"addendum",
    source_ip_address b"sourceIPAddress",
    user_agent b"userAgent",
    user_identity b"userIdentity",
    error_code b"errorCode",
    error_message b"errorMessage",
    request_parameters b"requestParameters",
    response_elements b"responseElements",
    additional_event_data b"additionalEventData",
    service_event_details b"serviceEventDetails",
    resources b"resources",
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
}

/// The service that a record is of, as far as the deciders tell them apart.
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
