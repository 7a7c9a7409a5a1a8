//! Looks for records in JSON that shippers and exports put around them: objects in objects, lists, and JSON as text, in any
//! order.
//! In: a value that is no record itself. Out: [`UnwrappedPiece`]s in document order, or that it is not told which record
//! it holds. Never takes a part of a record for a record: where several members of one object hold different records,
//! none is taken.

use crate::json::{JsonKind, JsonTree, Value};
use crate::objects::FaultReason;

/// Texts within texts are read up to here.
const TEXTS_MAX: usize = 8;

/// Members by which shippers name the record that they carry, the surest first.
const CARRIERS: [&[&str]; 20] = [
    &["detail"],
    &["CloudTrailEvent"],
    &["_source"],
    &["event", "original"],
    &["data", "aws"],
    &["aws", "cloudtrail"],
    &["_raw"],
    &["message"],
    &["input", "message"],
    &["Message"],
    &["body"],
    &["Body"],
    &["hits", "hits"],
    &["result", "_raw"],
    &["map", "_raw"],
    &["result"],
    &["events"],
    &["Records"],
    &["Events"],
    &["logEvents"],
];

/// One part of a wrapping that counts as a record.
pub(super) enum UnwrappedPiece {
    /// JSON of a record.
    Record(Vec<u8>),
    /// An item, beside others that are records, in which none was found.
    Fault(Vec<u8>, FaultReason),
}

/// Several members of one object hold different records.
pub(super) struct Ambiguous;

/// An object with a value for at least one of the fields that only a record has. A list of values is a pattern that
/// matches events, and no event.
pub(super) fn is_record(value: Value<'_>) -> bool {
    let has = |key: &str| {
        value.get(key).is_some_and(|value| !matches!(value.kind(), JsonKind::Null | JsonKind::Array | JsonKind::Object))
    };
    ["eventSource", "eventName", "eventTime"].into_iter().any(has)
}

/// A record that has what no wrapper copies from the record in it.
pub(super) fn is_whole(value: Value<'_>) -> bool {
    has_any(value, &["eventVersion", "userIdentity"]) && is_record(value)
}

/// A record with more than names.
pub(super) fn is_dated(value: Value<'_>) -> bool {
    has_any(value, &["eventVersion", "userIdentity", "eventTime", "eventID"]) && is_record(value)
}

fn has_any(value: Value<'_>, keys: &[&str]) -> bool {
    keys.iter().any(|key| value.get(key).is_some_and(|value| !value.is_null()))
}

/// A record among other things: one that names its event as well.
fn is_complete(value: Value<'_>) -> bool {
    let is_named = |key: &str| value.get(key).is_some_and(|name| name.kind() == JsonKind::String);
    is_named("eventSource") && is_named("eventName") && is_dated(value)
}

/// The records that a value holds; none where there are none.
pub(super) fn records_in(value: Value<'_>) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    inside(value, TEXTS_MAX)
}

/// As [`records_in`], of a value that may be a record itself.
fn records_of(value: Value<'_>, texts_left: usize) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    if is_complete(value) {
        return Ok(vec![UnwrappedPiece::Record(value.raw().to_vec())]);
    }
    inside(value, texts_left)
}

fn inside(value: Value<'_>, texts_left: usize) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    match value.kind() {
        JsonKind::Object => {
            for path in CARRIERS {
                let Some(carried) = value.path(path) else { continue };
                let found = carried_records(carried, texts_left)?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            members_of(value)
        }
        JsonKind::Array => items_of(value, texts_left),
        JsonKind::String => text_of(value, texts_left),
        _ => Ok(Vec::new()),
    }
}

/// The records of a member by which shippers name what they carry: a few names there are a record.
fn carried_records(carried: Value<'_>, texts_left: usize) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    if is_whole(carried) {
        return Ok(vec![UnwrappedPiece::Record(carried.raw().to_vec())]);
    }
    let found = inside(carried, texts_left)?;
    let is_itself = found.is_empty() && is_dated(carried);
    Ok(if is_itself { vec![UnwrappedPiece::Record(carried.raw().to_vec())] } else { found })
}

/// The record that the members of an object hold, if it is one: what lies deeper below names that no shipper is known by
/// is no wrapping.
fn members_of(value: Value<'_>) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    let mut records = value.members().map(|(_, member)| member).filter(|member| is_complete(*member));
    let Some(first) = records.next() else { return Ok(Vec::new()) };
    let hash = first.canonical_hash(0);
    if records.any(|other| other.canonical_hash(0) != hash) {
        return Err(Ambiguous);
    }
    Ok(vec![UnwrappedPiece::Record(first.raw().to_vec())])
}

/// The records of all items. Beside records, an item without one is a fault; alone, a list is just a list.
fn items_of(value: Value<'_>, texts_left: usize) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    let mut pieces = Vec::new();
    let mut records = 0;
    for item in value.items() {
        let found = records_of(item, texts_left)?;
        records += found.len();
        if found.is_empty() {
            pieces.push(UnwrappedPiece::Fault(item.raw().to_vec(), reason_of(item)));
        }
        pieces.extend(found);
    }
    Ok(if records == 0 { Vec::new() } else { pieces })
}

fn text_of(value: Value<'_>, texts_left: usize) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    let text = value.text().filter(|text| texts_left > 0 && is_json(text));
    let Some(text) = text else { return Ok(Vec::new()) };
    let mut tree = JsonTree::new();
    match tree.parse(text.as_bytes()) {
        Ok(value) => records_of(value, texts_left - 1),
        Err(_) => lines_of(&text, texts_left - 1),
    }
}

/// The records of a text that is no JSON, but whose lines are.
pub(super) fn records_in_lines(text: &str) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    lines_of(text, TEXTS_MAX)
}

fn lines_of(text: &str, texts_left: usize) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    let (mut pieces, mut tree) = (Vec::new(), JsonTree::new());
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.len() < 2 {
        return Ok(pieces);
    }
    for line in lines {
        let Ok(value) = tree.parse(line.as_bytes()) else { return Ok(Vec::new()) };
        let found = records_of(value, texts_left)?;
        if found.is_empty() {
            pieces.push(UnwrappedPiece::Fault(line.as_bytes().to_vec(), reason_of(value)));
        }
        pieces.extend(found);
    }
    let has_record = pieces.iter().any(|piece| matches!(piece, UnwrappedPiece::Record(_)));
    Ok(if has_record { pieces } else { Vec::new() })
}

/// True for a text that begins as a list, an object or a text does.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '"'])
}

/// The reason why an item among records is none.
fn reason_of(item: Value<'_>) -> FaultReason {
    match item.kind() {
        JsonKind::Object => FaultReason::RecordNotCloudtrail,
        JsonKind::String => match item.text().map(|text| JsonTree::new().parse(text.as_bytes()).err()) {
            Some(Some(fault)) => fault.reason(),
            _ => FaultReason::RecordNotCloudtrail,
        },
        _ => FaultReason::RecordNotObject,
    }
}
