//! Takes records out of the wrappings that they travelled in.
//! In: one item of a document. Out: the records in it, or the fault that quarantines it alone.
//! Knows every wrapping of CloudTrail records; never reads a record beyond the names of its fields.

use std::borrow::Cow;

use base64::Engine as _;

use super::inflate;
use super::split::{DocumentItem, DocumentShape, ItemContainer};
use super::unwrap::{self, is_dated, is_whole};
use crate::json::{JsonKind, JsonTree, Value};
use crate::objects::{FaultReason, ObjectFlag, ObjectOutcome, SkipReason};

/// The members that carry a record in answers of LookupEvents, and in events of CloudWatch Logs.
const EVENT_OF_LOOKUP: &str = "CloudTrailEvent";
const MESSAGE: &str = "message";

/// The beginning of the text that CloudWatch Logs sends to test a subscription.
const CONTROL_MESSAGE: &str = "CWL CONTROL MESSAGE:";

/// One piece of an object, in document order.
pub enum DecodedPiece<'a> {
    /// A JSON object that may be a CloudTrail record.
    Record {
        value: Value<'a>,
        offset: u64,
        account: Option<&'a str>,
    },
    /// A record that the screen ruled out; it was not parsed.
    Irrelevant,
    Fault(EnvelopeFault<'a>),
}

/// An item that gives no record.
pub struct EnvelopeFault<'a> {
    pub reason: FaultReason,
    pub offset: u64,
    pub length: u64,
    pub bytes: &'a [u8],
}

/// Opens the items of one object after another.
#[derive(Default)]
pub struct EnvelopeOpener {
    outer: JsonTree,
    inner: JsonTree,
    shape: DocumentShape,
    wrapped: Vec<ObjectFlag>,
    no_log: Option<ObjectOutcome>,
}

/// The content of an item.
enum ItemContent<'a> {
    Record(Value<'a>),
    /// JSON text of a record, within a string.
    Text(Cow<'a, str>),
    /// `logEvents` of a CloudWatch Logs payload, as base64 of gzip.
    LogsPayload(Cow<'a, str>),
    /// A message that a service sends to test the delivery.
    Control,
    /// No record at the first look: one may be further inside.
    Nested,
}

impl EnvelopeOpener {
    /// Starts an object whose document has been proved to have this shape.
    pub fn begin(&mut self, shape: DocumentShape) {
        self.shape = shape;
        self.wrapped.clear();
        self.no_log = None;
    }

    /// The outcome of an object whose one document is no log.
    pub fn no_log(&self) -> Option<&ObjectOutcome> {
        self.no_log.as_ref()
    }

    /// The flags that the document's shape and its wrappings call for.
    pub fn flags(&self, shape: DocumentShape) -> Vec<ObjectFlag> {
        let mut flags = self.wrapped.clone();
        if shape.array {
            flags.push(ObjectFlag::BareArray);
        }
        // A salvaged document may end before its array does.
        let bare = shape.documents.saturating_sub(shape.record_documents + u64::from(shape.array));
        if shape.unknown_member {
            flags.push(ObjectFlag::UnknownMember);
        }
        if shape.documents > 1 {
            let is_lines = shape.record_documents == 0 && !shape.array;
            flags.push(if is_lines { ObjectFlag::Ndjson } else { ObjectFlag::MultiDocument });
        } else if bare == 1 && flags.is_empty() {
            flags.push(ObjectFlag::BareEvent);
        }
        flags
    }

    pub fn open(&mut self, item: DocumentItem<'_>, sink: &mut dyn FnMut(DecodedPiece<'_>)) {
        if let Some(fault) = item.fault {
            return sink(item_fault(&item, fault.reason()));
        }
        if item.is_screened_out {
            return sink(DecodedPiece::Irrelevant);
        }
        if item.around == ItemContainer::Beside {
            if self.holds_record(item.bytes) {
                sink(item_fault(&item, FaultReason::EnvelopeUnknown));
            }
            return;
        }
        let value = match self.outer.parse(item.bytes) {
            Ok(value) => value,
            Err(fault) => return sink(item_fault(&item, fault.reason())),
        };
        let carrier = carrier_of(item.around).filter(|carrier| value.get(carrier).is_some());
        if others(value, carrier).any(|member| !unwrap::is_complete(member) && unwrap::holds_record(member)) {
            sink(item_fault(&item, FaultReason::EnvelopeUnknown));
        }
        let (content, wrapping, account) = contents(item.around, value);
        if let Some(wrapping) = wrapping {
            note(&mut self.wrapped, wrapping);
        }
        let account = account.as_deref();
        match content {
            ItemContent::Record(value) if is_alone(&item, self.shape) && is_aggregated(value) => {
                self.no_log = Some(ObjectOutcome::Skipped(SkipReason::Aggregated));
            }
            ItemContent::Record(value) => sink(DecodedPiece::Record { value, offset: item.offset, account }),
            ItemContent::Nested => match unwrap::records_in(value) {
                Err(unwrap::Ambiguous) => sink(item_fault(&item, FaultReason::EnvelopeUnknown)),
                Ok(pieces) if !pieces.is_empty() => {
                    note(&mut self.wrapped, ObjectFlag::Wrapped);
                    give_pieces(&item, &pieces, account, sink);
                }
                Ok(_) if unwrap::is_record(value) => sink(DecodedPiece::Record { value, offset: item.offset, account }),
                Ok(_) if is_alone(&item, self.shape) && value.kind() == JsonKind::Object => {
                    self.no_log = Some(no_log(value));
                }
                Ok(_) => sink(item_fault(&item, no_record(item.around, value))),
            },
            ItemContent::Text(text) => text_records(&mut self.inner, &item, &Carried { text: &text, account }, sink),
            ItemContent::LogsPayload(payload) => {
                let inside = value.get("awslogs").into_iter().flat_map(|payload| others(payload, Some("data")));
                if others(value, Some("awslogs")).chain(inside).any(unwrap::holds_record) {
                    sink(item_fault(&item, FaultReason::EnvelopeUnknown));
                }
                match logs_payload(&payload, inflate::NESTED_BYTES_MAX) {
                    Some(document) => logs_events(&item, &document, &mut self.inner, sink),
                    None => sink(item_fault(&item, FaultReason::EnvelopeUnknown)),
                }
            }
            ItemContent::Control => {}
        }
    }

    /// True if one of these members, as they are written, is or holds a record, or cannot be parsed.
    fn holds_record(&mut self, members: &[u8]) -> bool {
        let members = members.trim_ascii();
        let object = [b"{", members.strip_suffix(b",").unwrap_or(members), b"}"].concat();
        let Ok(value) = self.outer.parse(&object) else { return true };
        value.members().any(|(name, member)| name == "awslogs" || unwrap::holds_record(member))
    }
}

/// The member of an item that has the record, where the container tells.
fn carrier_of(around: ItemContainer) -> Option<&'static str> {
    match around {
        ItemContainer::Events => Some(EVENT_OF_LOOKUP),
        ItemContainer::LogEvents => Some(MESSAGE),
        ItemContainer::Records | ItemContainer::Array | ItemContainer::Document | ItemContainer::Beside => None,
    }
}

/// The members of an object beside the one that is looked at; none if that is not known.
fn others<'a>(object: Value<'a>, looked_at: Option<&'static str>) -> impl Iterator<Item = Value<'a>> {
    let members = looked_at.map(|looked_at| object.members().filter(move |(name, _)| name != looked_at));
    members.into_iter().flatten().map(|(_, member)| member)
}

fn note(wrapped: &mut Vec<ObjectFlag>, wrapping: ObjectFlag) {
    if !wrapped.contains(&wrapping) {
        wrapped.push(wrapping);
    }
}

/// True for the one document of an object.
fn is_alone(item: &DocumentItem<'_>, shape: DocumentShape) -> bool {
    item.around == ItemContainer::Document && shape.documents == 1
}

/// True for a count of calls, which CloudTrail makes of data events.
fn is_aggregated(value: Value<'_>) -> bool {
    value.get("eventType").and_then(Value::text).as_deref() == Some("AwsAggregatedEvent")
}

fn item_fault<'a>(item: &DocumentItem<'a>, reason: FaultReason) -> DecodedPiece<'a> {
    DecodedPiece::Fault(EnvelopeFault { reason, offset: item.offset, length: item.length, bytes: item.bytes })
}

fn no_record(around: ItemContainer, value: Value) -> FaultReason {
    match (value.kind(), around) {
        (JsonKind::Object, ItemContainer::Array | ItemContainer::Document)
            if value.members().any(|(_, member)| is_container(member)) =>
        {
            FaultReason::EnvelopeUnknown
        }
        (JsonKind::Object, _) => FaultReason::RecordNotCloudtrail,
        _ => FaultReason::RecordNotObject,
    }
}

fn is_container(value: Value) -> bool {
    matches!(value.kind(), JsonKind::Array | JsonKind::Object)
}

/// The outcome of an object whose document holds no record.
fn no_log(value: Value) -> ObjectOutcome {
    if value.get("digestS3Object").is_some() && value.get("logFiles").is_some() {
        ObjectOutcome::Skipped(SkipReason::Digest)
    } else if value.get("configurationItems").is_some() || value.get("configSnapshotId").is_some() {
        ObjectOutcome::Skipped(SkipReason::OtherLog)
    } else {
        ObjectOutcome::Quarantined(FaultReason::EnvelopeUnknown)
    }
}

/// Finds the record in an item, its wrapping, and the account that the wrapping names.
fn contents<'a>(
    around: ItemContainer,
    value: Value<'a>,
) -> (ItemContent<'a>, Option<ObjectFlag>, Option<Cow<'a, str>>) {
    let string = |path: &[&str]| value.path(path).and_then(Value::text);
    let text_of = |path: &[&str]| string(path).map_or(ItemContent::Nested, ItemContent::Text);
    if around != ItemContainer::Events && around != ItemContainer::LogEvents && is_whole(value) {
        return (ItemContent::Record(value), None, None);
    }
    if matches!(around, ItemContainer::Events | ItemContainer::LogEvents) && unwrap::has_record_member(value) {
        return (ItemContent::Nested, None, None);
    }
    match around {
        ItemContainer::Events => return (text_of(&[EVENT_OF_LOOKUP]), Some(ObjectFlag::LookupEvents), None),
        ItemContainer::LogEvents => {
            let text = text_of(&[MESSAGE]);
            let is_control = matches!(&text, ItemContent::Text(text) if text.starts_with(CONTROL_MESSAGE));
            return (if is_control { ItemContent::Control } else { text }, Some(ObjectFlag::CloudwatchLogs), None);
        }
        // Names without a time or a caller may be copies that a wrapper has of those of the record in it.
        ItemContainer::Records | ItemContainer::Array | ItemContainer::Document if unwrap::is_record(value) => {
            return (ItemContent::Nested, None, None);
        }
        ItemContainer::Records | ItemContainer::Array | ItemContainer::Document | ItemContainer::Beside => {}
    }
    if let Some(payload) = string(&["awslogs", "data"]) {
        return (ItemContent::LogsPayload(payload), Some(ObjectFlag::CloudwatchLogs), None);
    }
    if let Some(text) = value.text().filter(|text| unwrap::is_json(text)) {
        return (ItemContent::Text(text), Some(ObjectFlag::Wrapped), None);
    }
    // The usual wrappings carry one record in one member; others are looked through.
    let carried = unwrap::only_carrier(value).map(|(name, member)| (name, member, member.text()));
    match carried {
        Some(("detail", detail, _)) if is_dated(detail) => {
            (ItemContent::Record(detail), Some(ObjectFlag::Eventbridge), string(&["account"]))
        }
        Some((name, _, Some(text))) if unwrap::is_json(&text) => {
            let flag = if name == EVENT_OF_LOOKUP { ObjectFlag::LookupEvents } else { ObjectFlag::Wrapped };
            (ItemContent::Text(text), Some(flag), None)
        }
        _ => (ItemContent::Nested, None, None),
    }
}

/// A text that stands for records, and the account that its wrapping names.
struct Carried<'t> {
    text: &'t str,
    account: Option<&'t str>,
}

/// Gives the record that a text is, or the records that are further inside.
fn text_records(
    tree: &mut JsonTree,
    item: &DocumentItem<'_>,
    carried: &Carried<'_>,
    sink: &mut dyn FnMut(DecodedPiece<'_>),
) {
    let value = match tree.parse(carried.text.as_bytes()) {
        Ok(value) => value,
        Err(fault) => {
            return match unwrap::records_in_lines(carried.text) {
                Ok(pieces) if !pieces.is_empty() => give_pieces(item, &pieces, carried.account, sink),
                _ => sink(item_fault(item, fault.reason())),
            };
        }
    };
    if is_whole(value) {
        return sink(DecodedPiece::Record { value, offset: item.offset, account: carried.account });
    }
    match unwrap::records_in(value) {
        Err(unwrap::Ambiguous) => sink(item_fault(item, FaultReason::EnvelopeUnknown)),
        Ok(pieces) if !pieces.is_empty() => give_pieces(item, &pieces, carried.account, sink),
        Ok(_) if value.kind() == JsonKind::Object => {
            sink(DecodedPiece::Record { value, offset: item.offset, account: carried.account });
        }
        Ok(_) => sink(item_fault(item, FaultReason::RecordNotObject)),
    }
}

/// Gives away unwrapped records; `account` is that of the wrapping further out.
fn give_pieces(
    item: &DocumentItem<'_>,
    pieces: &[unwrap::UnwrappedPiece],
    account: Option<&str>,
    sink: &mut dyn FnMut(DecodedPiece<'_>),
) {
    let mut tree = JsonTree::new();
    for piece in pieces {
        match piece {
            unwrap::UnwrappedPiece::Record(bytes, named) => {
                // The bytes are those of a value that was parsed already.
                if let Ok(value) = tree.parse(bytes) {
                    let account = named.as_deref().or(account);
                    sink(DecodedPiece::Record { value, offset: item.offset, account });
                }
            }
            unwrap::UnwrappedPiece::Fault(bytes, reason) => {
                sink(DecodedPiece::Fault(EnvelopeFault {
                    reason: *reason,
                    offset: item.offset,
                    length: item.length,
                    bytes,
                }));
            }
        }
    }
}

/// The document that a CloudWatch Logs subscription hands over as base64 of gzip; none where it is larger than a bound.
fn logs_payload(payload: &str, bytes_max: u64) -> Option<Vec<u8>> {
    let stored = base64::engine::general_purpose::STANDARD.decode(payload).ok()?;
    let mut inflate = inflate::InflateStream::new(stored.as_slice(), inflate::NamedEncoding::Gzip);
    let mut document = Vec::new();
    while inflate.read_chunk(&mut document).ok()? {
        if document.len() as u64 > bytes_max {
            return None;
        }
    }
    Some(document)
}

fn logs_events(item: &DocumentItem, document: &[u8], tree: &mut JsonTree, sink: &mut dyn FnMut(DecodedPiece<'_>)) {
    let mut payload = JsonTree::new();
    let Ok(value) = payload.parse(document) else {
        return sink(item_fault(item, FaultReason::EnvelopeUnknown));
    };
    if value.get("messageType").and_then(Value::text).as_deref() == Some("CONTROL_MESSAGE") {
        if unwrap::holds_record(value) {
            sink(item_fault(item, FaultReason::EnvelopeUnknown));
        }
        return;
    }
    if others(value, Some("logEvents")).any(unwrap::holds_record) {
        sink(item_fault(item, FaultReason::EnvelopeUnknown));
    }
    let owner = value.get("owner").and_then(Value::text);
    for event in value.get("logEvents").into_iter().flat_map(Value::items) {
        if others(event, Some(MESSAGE)).any(unwrap::holds_record) {
            sink(item_fault(item, FaultReason::EnvelopeUnknown));
        }
        match event.get(MESSAGE).and_then(Value::text) {
            Some(text) if text.starts_with(CONTROL_MESSAGE) => {}
            Some(text) => text_records(tree, item, &Carried { text: &text, account: owner.as_deref() }, sink),
            None => sink(item_fault(item, FaultReason::RecordNotCloudtrail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use super::super::{DamagePolicy, Decoder, ObjectSource, TakenBy};
    use super::*;

    /// Stand-ins in the documents below: a record with what no wrapper copies, one that names its event whole, one with a
    /// name and a time, one with a name alone, and a count of calls. In quotes, its text.
    const RECORDS: [(&str, &str); 5] = [
        ("WHOLE", r#"{"eventVersion":"1.11","eventName":"w"}"#),
        ("COMPLETE", r#"{"eventSource":"c","eventName":"c","eventID":"3"}"#),
        ("DATED", r#"{"eventName":"d","eventTime":"4"}"#),
        ("NAMED", r#"{"eventName":"n"}"#),
        ("COUNT", r#"{"eventVersion":"1.11","eventName":"x","eventType":"AwsAggregatedEvent"}"#),
    ];

    fn filled(text: &str) -> String {
        RECORDS.iter().fold(text.to_owned(), |text, (name, record)| {
            text.replace(&format!("\"{name}\""), &format!("{record:?}")).replace(name, record)
        })
    }

    /// The status of an object with its flags or its reason, and its pieces in order: a record as written, with the
    /// account that its wrapping names, or the reason of a fault. A document that is streamed gives the same.
    fn opened(document: &str) -> (String, Vec<String>) {
        let decoded = |held_max| {
            let open = || -> io::Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(document.as_bytes().to_vec()))) };
            let bytes = document.len() as u64;
            let object = ObjectSource { name: "x.json", bytes, taken_by: TakenBy::Name, open: &open };
            let mut pieces = Vec::new();
            let summary =
                Decoder::new(held_max, DamagePolicy::GivesNothing, None).decode(&object, &mut |piece| match piece {
                    DecodedPiece::Record { value, account: None, .. } => pieces.push(value.raw_text().into_owned()),
                    DecodedPiece::Record { value, account: Some(account), .. } => {
                        pieces.push(format!("{} of {account}", value.raw_text()));
                    }
                    DecodedPiece::Fault(fault) => pieces.push(fault.reason.name().to_owned()),
                    DecodedPiece::Irrelevant => unreachable!("there is no screen"),
                });
            let error = summary.outcome.error().unwrap_or_default();
            (format!("{} {error}", summary.outcome.status().name()).trim_end().to_owned(), pieces)
        };
        let held = decoded(1 << 20);
        assert_eq!(decoded(0), held, "{document}");
        held
    }

    #[test]
    fn a_document_is_opened_as_its_wrappings_say() {
        for (document, status, pieces) in [
            ("WHOLE", "flagged bare_event", &["WHOLE"][..]),
            ("NAMED", "flagged bare_event", &["NAMED"]),
            ("WHOLE\nNAMED", "flagged ndjson", &["WHOLE", "NAMED"]),
            ("[WHOLE]", "flagged bare_array", &["WHOLE"]),
            ("[WHOLE] [NAMED]", "flagged bare_array,multi_document", &["WHOLE", "NAMED"]),
            (r#"{"Records":[WHOLE,NAMED]}"#, "read", &["WHOLE", "NAMED"]),
            (r#"{"Records":[WHOLE]}{"Records":[NAMED]}"#, "flagged multi_document", &["WHOLE", "NAMED"]),
            (r#"{"Records":[WHOLE]} NAMED"#, "flagged multi_document", &["WHOLE", "NAMED"]),
            // A count of calls is no call, where it is all that there is.
            ("COUNT", "skipped is_aggregated", &[]),
            ("COUNT\nCOUNT", "flagged ndjson", &["COUNT", "COUNT"]),
            ("[COUNT]", "flagged bare_array", &["COUNT"]),
            // A record's members are its own, also where one looks as a record. Names alone may be a wrapper's copies.
            (r#"{"eventVersion":"1","eventName":"a","event":COMPLETE}"#, "flagged bare_event", &["OUTER"]),
            (r#"{"Records":[{"eventVersion":"1","eventName":"a","event":COMPLETE}]}"#, "read", &["OUTER"]),
            (r#"{"eventName":"a","event":COMPLETE}"#, "flagged wrapped", &["COMPLETE"]),
            (
                r#"{"eventName":"a","account":"111122223333","detail":DATED}"#,
                "flagged wrapped",
                &["DATED of 111122223333"],
            ),
            // No log.
            ("{}", "quarantined envelope_unknown", &[]),
            (r#"{"digestS3Object":"a","logFiles":[]}"#, "skipped is_digest", &[]),
            (r#"{"digestS3Object":"a"}"#, "quarantined envelope_unknown", &[]),
            (r#"{"logFiles":[]}"#, "quarantined envelope_unknown", &[]),
            (r#"{"configurationItems":[]}"#, "skipped is_other_log", &[]),
            (r#"{"configSnapshotId":"a"}"#, "skipped is_other_log", &[]),
            (r#"{"eventVersion":"1","a":1}"#, "quarantined envelope_unknown", &[]),
            // No records among records.
            (
                r#"[{"a":[1]},{"a":{}},{"a":1},[1],5]"#,
                "flagged bare_array",
                &[
                    "envelope_unknown",
                    "envelope_unknown",
                    "record_not_cloudtrail",
                    "record_not_object",
                    "record_not_object",
                ],
            ),
            (
                r#"{"Records":[{"a":[1]},[1],"x",{"eventVersion":"1","a":1}]}"#,
                "read",
                &["record_not_cloudtrail", "record_not_object", "record_not_object", "record_not_cloudtrail"],
            ),
            (
                "{\"a\":[1]}\n{\"a\":1}\nWHOLE",
                "flagged ndjson",
                &["envelope_unknown", "record_not_cloudtrail", "WHOLE"],
            ),
            // EventBridge.
            (r#"{"account":"111122223333","detail":DATED}"#, "flagged eventbridge", &["DATED of 111122223333"]),
            (r#"{"account":"111122223333","detail":COMPLETE}"#, "flagged eventbridge", &["COMPLETE of 111122223333"]),
            (r#"{"account":"111122223333","detail":NAMED}"#, "quarantined envelope_unknown", &[]),
            (r#"{"detail":{"eventID":"1"}}"#, "quarantined envelope_unknown", &[]),
            ("{\"detail\":DATED}\n{\"detail\":WHOLE}", "flagged eventbridge,ndjson", &["DATED", "WHOLE"]),
            // Shippers.
            (r#"{"message":"WHOLE"}"#, "flagged wrapped", &["WHOLE"]),
            (r#"{"message":"[1]"}"#, "flagged wrapped", &["record_not_object"]),
            (r#"{"message":"hello"}"#, "quarantined envelope_unknown", &[]),
            (r#"{"message":"{hello"}"#, "flagged wrapped", &["json_syntax"]),
            (r#"{"message":COMPLETE}"#, "flagged wrapped", &["COMPLETE"]),
            (r#"{"result":{"_raw":"COMPLETE"}}"#, "flagged wrapped", &["COMPLETE"]),
            (
                r#"[{"message":"COMPLETE"},{"message":"COMPLETE"}]"#,
                "flagged wrapped,bare_array",
                &["COMPLETE", "COMPLETE"],
            ),
            (
                r#"{"message":"{\"detail\":{\"eventSource\":\"c\",\"eventName\":\"c\",\"eventID\":\"3\"}}"}"#,
                "flagged wrapped",
                &["COMPLETE"],
            ),
            (
                r#"{"message":"{\"eventSource\":\"c\",\"eventName\":\"c\",\"eventID\":\"3\"}\n{\"a\":1}"}"#,
                "flagged wrapped",
                &["COMPLETE", "record_not_cloudtrail"],
            ),
            (r#""WHOLE""#, "flagged wrapped", &["WHOLE"]),
            (
                r#"["WHOLE","[]","x"]"#,
                "flagged wrapped,bare_array",
                &["WHOLE", "record_not_object", "record_not_object"],
            ),
            // LookupEvents.
            (
                r#"{"Events":[{"EventId":"1","CloudTrailEvent":"WHOLE","Resources":[]}]}"#,
                "flagged lookup_events",
                &["WHOLE"],
            ),
            (r#"{"EventId":"1","CloudTrailEvent":"WHOLE"}"#, "flagged lookup_events", &["WHOLE"]),
            (
                r#"{"Events":[{"eventVersion":"1","eventName":"a","CloudTrailEvent":"WHOLE"}]}"#,
                "flagged lookup_events",
                &["WHOLE"],
            ),
            (
                r#"{"Events":[WHOLE,NAMED,{"EventId":"1"},{"CloudTrailEvent":7}]}"#,
                "flagged lookup_events",
                &["WHOLE", "NAMED", "record_not_cloudtrail", "record_not_cloudtrail"],
            ),
            (r#"{"Events":[{"CloudTrailEvent":"COMPLETE","Record":COMPLETE}]}"#, "flagged wrapped", &["COMPLETE"]),
            (
                r#"{"Events":[{"CloudTrailEvent":"{\"eventSource\":\"o\",\"eventName\":\"o\",\"eventID\":\"4\"}","Record":COMPLETE}]}"#,
                "read",
                &["envelope_unknown"],
            ),
            (
                r#"{"Events":[{"CloudTrailEvent":"WHOLE","Other":{"x":NAMED}}]}"#,
                "flagged lookup_events",
                &["envelope_unknown", "WHOLE"],
            ),
            (r#"{"Events":[{"Other":{"x":NAMED}}]}"#, "flagged lookup_events", &["record_not_cloudtrail"]),
            // CloudWatch Logs.
            (
                r#"{"logEvents":[{"id":"1","message":"WHOLE"},{"message":"NAMED"}]}"#,
                "flagged cloudwatch_logs",
                &["WHOLE", "NAMED"],
            ),
            (
                r#"{"logEvents":[{"message":"WHOLE","x":["NAMED"]},{"message":"CWL CONTROL MESSAGE:"}]}"#,
                "flagged cloudwatch_logs",
                &["envelope_unknown", "WHOLE"],
            ),
            (
                r#"{"logEvents":[{"eventVersion":"1","eventName":"a","message":"WHOLE"}]}"#,
                "flagged cloudwatch_logs",
                &["WHOLE"],
            ),
            (r#"{"logEvents":[{"message":"COMPLETE","x":COMPLETE}]}"#, "flagged wrapped", &["COMPLETE"]),
            // Members beside the records.
            (r#"{"Records":[WHOLE],"More":[NAMED]}"#, "flagged unknown_member", &["WHOLE", "envelope_unknown"]),
            (r#"{"More":[NAMED],"Records":[WHOLE]}"#, "flagged unknown_member", &["envelope_unknown", "WHOLE"]),
            (r#"{"Records":[WHOLE],"More":"eventName"}"#, "read", &["WHOLE"]),
            (r#"{"Records":[WHOLE],"More":{"x":"eventName"}}"#, "flagged unknown_member", &["WHOLE"]),
            (r#"{"Records":[WHOLE],"More":{"eventName"}}"#, "flagged unknown_member", &["WHOLE", "envelope_unknown"]),
            (r#"{"Records":[WHOLE],"awslogs":{"data":"x"}}"#, "flagged unknown_member", &["WHOLE", "envelope_unknown"]),
            (r#"{"Records":[WHOLE],"other":{"awslogs":"x"}}"#, "flagged unknown_member", &["WHOLE"]),
        ] {
            let outer = filled(r#"{"eventVersion":"1","eventName":"a","event":COMPLETE}"#);
            let pieces = pieces.iter().map(|piece| filled(piece).replace("OUTER", &outer)).collect();
            assert_eq!(opened(&filled(document)), (status.to_owned(), pieces), "{document}");
        }
    }

    #[test]
    fn a_payload_of_logs_is_opened_and_bounded() {
        let event = |more: &str, document: &str| {
            format!(r#"{{{more}"awslogs":{{"data":"{}"}}}}"#, payload(filled(document).as_bytes()))
        };
        for (more, document, pieces) in [
            ("", r#"{"owner":"111122223333","logEvents":[{"message":"WHOLE"}]}"#, &["WHOLE of 111122223333"][..]),
            (
                "",
                r#"{"logEvents":[{"message":"WHOLE"},{"message":7},{}]}"#,
                &["WHOLE", "record_not_cloudtrail", "record_not_cloudtrail"],
            ),
            ("", r#"{"logEvents":[{"message":"NAMED","x":[NAMED]}],"x":1}"#, &["envelope_unknown", "NAMED"]),
            ("", r#"{"logEvents":[{"message":"NAMED"}],"x":"NAMED"}"#, &["envelope_unknown", "NAMED"]),
            (r#""x":[NAMED],"#, r#"{"logEvents":[{"message":"NAMED"}]}"#, &["envelope_unknown", "NAMED"]),
            ("", "{", &["envelope_unknown"]),
        ] {
            let pieces = pieces.iter().map(|piece| filled(piece)).collect();
            let expected = ("flagged cloudwatch_logs".to_owned(), pieces);
            assert_eq!(opened(&event(&filled(more), document)), expected, "{document}");
        }
        let text = "x".repeat(100);
        for (bytes_max, found) in [(99, None), (100, Some(text.clone().into_bytes())), (0, None)] {
            assert_eq!(logs_payload(&payload(text.as_bytes()), bytes_max), found, "{bytes_max}");
        }
        assert_eq!(logs_payload("x", 100), None);
    }

    fn payload(document: &[u8]) -> String {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(document).unwrap();
        base64::engine::general_purpose::STANDARD.encode(encoder.finish().unwrap())
    }
}
