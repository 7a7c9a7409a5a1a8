//! Takes records out of the wrappings that they travelled in.
//! In: one item of a document. Out: the records in it, or the fault that quarantines it alone.
//! Knows every wrapping of CloudTrail records; never reads a record beyond the names of its fields.

use std::borrow::Cow;

use base64::Engine as _;

use super::inflate;
use super::split::{Around, Item, Shape};
use super::unwrap::{self, is_dated, is_whole};
use crate::json::{Kind, Tree, Value};
use crate::objects::{FaultReason, ObjectFlag, ObjectOutcome, SkipReason};

/// The beginning of the text that CloudWatch Logs sends to test a subscription.
const CONTROL_MESSAGE: &str = "CWL CONTROL MESSAGE:";

/// One piece of an object, in document order.
pub enum Decoded<'a> {
    /// A JSON object that may be a CloudTrail record.
    Record {
        value: Value<'a>,
        offset: u64,
        account: Option<&'a str>,
    },
    /// A record that the screen ruled out; it was not parsed.
    Irrelevant,
    Fault(Fault<'a>),
}

/// An item that gives no record.
pub struct Fault<'a> {
    pub reason: FaultReason,
    pub offset: u64,
    pub length: u64,
    pub bytes: &'a [u8],
}

/// Opens the items of one object after another.
#[derive(Default)]
pub struct Opener {
    outer: Tree,
    inner: Tree,
    shape: Shape,
    wrapped: Vec<ObjectFlag>,
    no_log: Option<ObjectOutcome>,
}

/// The content of an item.
enum Content<'a> {
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

impl Opener {
    /// Starts an object whose document has been proved to have this shape.
    pub fn begin(&mut self, shape: Shape) {
        self.shape = shape;
        self.wrapped.clear();
        self.no_log = None;
    }

    /// The outcome of an object whose one document is no log.
    pub fn no_log(&self) -> Option<&ObjectOutcome> {
        self.no_log.as_ref()
    }

    /// The flags that the document's shape and its wrappings call for.
    pub fn flags(&self, shape: Shape) -> Vec<ObjectFlag> {
        let mut flags = self.wrapped.clone();
        if shape.array {
            flags.push(ObjectFlag::BareArray);
        }
        // A salvaged document may end before its array does.
        let bare = shape.documents.saturating_sub(shape.record_documents + u64::from(shape.array));
        if shape.documents > 1 {
            let is_lines = shape.record_documents == 0 && !shape.array;
            flags.push(if is_lines { ObjectFlag::Ndjson } else { ObjectFlag::MultiDocument });
        } else if bare == 1 && flags.is_empty() {
            flags.push(ObjectFlag::BareEvent);
        }
        flags
    }

    pub fn open(&mut self, item: Item<'_>, sink: &mut dyn FnMut(Decoded<'_>)) {
        if let Some(fault) = item.fault {
            return sink(item_fault(&item, fault.reason()));
        }
        if item.is_screened_out {
            return sink(Decoded::Irrelevant);
        }
        let value = match self.outer.parse(item.bytes) {
            Ok(value) => value,
            Err(fault) => return sink(item_fault(&item, fault.reason())),
        };
        let (content, wrapping, account) = contents(item.around, value);
        if let Some(wrapping) = wrapping {
            note(&mut self.wrapped, wrapping);
        }
        let account = account.as_deref();
        match content {
            Content::Record(value) if is_alone(&item, self.shape) && is_aggregated(value) => {
                self.no_log = Some(ObjectOutcome::Skipped(SkipReason::Aggregated));
            }
            Content::Record(value) => sink(Decoded::Record { value, offset: item.offset, account }),
            Content::Nested => match unwrap::records_in(value) {
                Err(unwrap::Ambiguous) => sink(item_fault(&item, FaultReason::EnvelopeUnknown)),
                Ok(pieces) if !pieces.is_empty() => {
                    note(&mut self.wrapped, ObjectFlag::Wrapped);
                    give_pieces(&mut self.inner, &item, &pieces, sink);
                }
                Ok(_) if unwrap::is_record(value) => sink(Decoded::Record { value, offset: item.offset, account }),
                Ok(_) if is_alone(&item, self.shape) && value.kind() == Kind::Object => {
                    self.no_log = Some(no_log(value));
                }
                Ok(_) => sink(item_fault(&item, no_record(item.around, value))),
            },
            Content::Text(text) => text_records(&mut self.inner, &item, &Carried { text: &text, account }, sink),
            Content::LogsPayload(payload) => match logs_payload(&payload) {
                Some(document) => logs_events(&item, &document, &mut self.inner, sink),
                None => sink(item_fault(&item, FaultReason::EnvelopeUnknown)),
            },
            Content::Control => {}
        }
    }
}

fn note(wrapped: &mut Vec<ObjectFlag>, wrapping: ObjectFlag) {
    if !wrapped.contains(&wrapping) {
        wrapped.push(wrapping);
    }
}

/// True for the one document of an object.
fn is_alone(item: &Item<'_>, shape: Shape) -> bool {
    item.around == Around::Document && shape.documents == 1
}

/// True for a count of calls, which CloudTrail makes of data events.
fn is_aggregated(value: Value<'_>) -> bool {
    value.get("eventType").and_then(Value::text).as_deref() == Some("AwsAggregatedEvent")
}

fn item_fault<'a>(item: &Item<'a>, reason: FaultReason) -> Decoded<'a> {
    Decoded::Fault(Fault { reason, offset: item.offset, length: item.length, bytes: item.bytes })
}

fn no_record(around: Around, value: Value) -> FaultReason {
    match (value.kind(), around) {
        (Kind::Object, Around::Array | Around::Document) if value.members().any(|(_, member)| is_container(member)) => {
            FaultReason::EnvelopeUnknown
        }
        (Kind::Object, _) => FaultReason::RecordNotCloudtrail,
        _ => FaultReason::RecordNotObject,
    }
}

fn is_container(value: Value) -> bool {
    matches!(value.kind(), Kind::Array | Kind::Object)
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
fn contents<'a>(around: Around, value: Value<'a>) -> (Content<'a>, Option<ObjectFlag>, Option<Cow<'a, str>>) {
    let string = |path: &[&str]| value.path(path).and_then(Value::text);
    let text_of = |path: &[&str]| string(path).map_or(Content::Nested, Content::Text);
    if around != Around::Events && around != Around::LogEvents && is_whole(value) {
        return (Content::Record(value), None, None);
    }
    match around {
        Around::Events => return (text_of(&["CloudTrailEvent"]), Some(ObjectFlag::LookupEvents), None),
        Around::LogEvents => {
            let text = text_of(&["message"]);
            let is_control = matches!(&text, Content::Text(text) if text.starts_with(CONTROL_MESSAGE));
            return (if is_control { Content::Control } else { text }, Some(ObjectFlag::CloudwatchLogs), None);
        }
        // Names without a time or a caller may be copies that a wrapper has of those of the record in it.
        Around::Records | Around::Array | Around::Document if unwrap::is_record(value) => {
            return (Content::Nested, None, None);
        }
        Around::Records | Around::Array | Around::Document => {}
    }
    if let Some(detail) = value.get("detail").filter(|detail| is_dated(*detail)) {
        return (Content::Record(detail), Some(ObjectFlag::Eventbridge), string(&["account"]));
    }
    if let Some(record) = value.path(&["aws", "cloudtrail"]).filter(|record| is_dated(*record)) {
        return (Content::Record(record), Some(ObjectFlag::Wrapped), None);
    }
    if let Some(payload) = string(&["awslogs", "data"]) {
        return (Content::LogsPayload(payload), Some(ObjectFlag::CloudwatchLogs), None);
    }
    if let Some(text) = value.text().filter(|text| unwrap::is_json(text)) {
        return (Content::Text(text), Some(ObjectFlag::Wrapped), None);
    }
    for (path, wrapping) in [
        (&["CloudTrailEvent"][..], ObjectFlag::LookupEvents),
        (&["_raw"], ObjectFlag::Wrapped),
        (&["event", "original"], ObjectFlag::Wrapped),
        (&["message"], ObjectFlag::Wrapped),
        (&["input", "message"], ObjectFlag::Wrapped),
    ] {
        if let Some(text) = string(path).filter(|text| unwrap::is_json(text)) {
            return (Content::Text(text), Some(wrapping), None);
        }
    }
    (Content::Nested, None, None)
}

/// A text that stands for records, and the account that its wrapping names.
struct Carried<'t> {
    text: &'t str,
    account: Option<&'t str>,
}

/// Gives the record that a text is, or the records that are further inside.
fn text_records(tree: &mut Tree, item: &Item<'_>, carried: &Carried<'_>, sink: &mut dyn FnMut(Decoded<'_>)) {
    let value = match tree.parse(carried.text.as_bytes()) {
        Ok(value) => value,
        Err(fault) => {
            return match unwrap::records_in_lines(carried.text) {
                Ok(pieces) if !pieces.is_empty() => give_pieces(&mut Tree::new(), item, &pieces, sink),
                _ => sink(item_fault(item, fault.reason())),
            };
        }
    };
    if is_whole(value) {
        return sink(Decoded::Record { value, offset: item.offset, account: carried.account });
    }
    match unwrap::records_in(value) {
        Err(unwrap::Ambiguous) => sink(item_fault(item, FaultReason::EnvelopeUnknown)),
        Ok(pieces) if !pieces.is_empty() => give_pieces(&mut Tree::new(), item, &pieces, sink),
        Ok(_) if value.kind() == Kind::Object => {
            sink(Decoded::Record { value, offset: item.offset, account: carried.account });
        }
        Ok(_) => sink(item_fault(item, FaultReason::RecordNotObject)),
    }
}

fn give_pieces(tree: &mut Tree, item: &Item<'_>, pieces: &[unwrap::Piece], sink: &mut dyn FnMut(Decoded<'_>)) {
    for piece in pieces {
        match piece {
            unwrap::Piece::Record(bytes) => {
                // The bytes are those of a value that was parsed already.
                if let Ok(value) = tree.parse(bytes) {
                    sink(Decoded::Record { value, offset: item.offset, account: None });
                }
            }
            unwrap::Piece::Fault(bytes, reason) => {
                sink(Decoded::Fault(Fault { reason: *reason, offset: item.offset, length: item.length, bytes }));
            }
        }
    }
}

/// The document that a CloudWatch Logs subscription hands over as base64 of gzip.
fn logs_payload(payload: &str) -> Option<Vec<u8>> {
    let stored = base64::engine::general_purpose::STANDARD.decode(payload).ok()?;
    let mut inflate = inflate::Inflate::new(stored.as_slice(), inflate::Named::Gzip);
    let mut document = Vec::new();
    while inflate.read_chunk(&mut document).ok()? {
        if document.len() as u64 > inflate::NESTED_BYTES_MAX {
            return None;
        }
    }
    Some(document)
}

fn logs_events(item: &Item, document: &[u8], tree: &mut Tree, sink: &mut dyn FnMut(Decoded<'_>)) {
    let mut payload = Tree::new();
    let Ok(value) = payload.parse(document) else {
        return sink(item_fault(item, FaultReason::EnvelopeUnknown));
    };
    if value.get("messageType").and_then(Value::text).as_deref() == Some("CONTROL_MESSAGE") {
        return;
    }
    let owner = value.get("owner").and_then(Value::text);
    for event in value.get("logEvents").into_iter().flat_map(Value::items) {
        match event.get("message").and_then(Value::text) {
            Some(text) if text.starts_with(CONTROL_MESSAGE) => {}
            Some(text) => text_records(tree, item, &Carried { text: &text, account: owner.as_deref() }, sink),
            None => sink(item_fault(item, FaultReason::RecordNotCloudtrail)),
        }
    }
}
