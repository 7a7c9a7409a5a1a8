//! Looks for records in JSON that shippers and exports put around them: objects in objects, lists, and JSON as text, in any
//! order.
//! In: a value that is no record itself. Out: [`UnwrappedPiece`]s in document order, or that it is not told which record
//! it holds. Never takes a part of a record for a record: where several members of one object hold different records,
//! none is taken.

use super::signs;
use crate::arn::is_account_id;
use crate::json::{JsonKind, JsonTree, Value};
use crate::objects::FaultReason;

/// Texts within texts are read up to here.
const TEXTS_MAX: usize = 8;

/// Names of members by which shippers carry a record, or something that holds one.
const CARRIERS: [&str; 21] = [
    "Body",
    "CloudTrailEvent",
    "Events",
    "Message",
    "Records",
    "_raw",
    "_source",
    "aws",
    "body",
    "cloudtrail",
    "data",
    "detail",
    "event",
    "events",
    "hits",
    "input",
    "logEvents",
    "map",
    "message",
    "original",
    "result",
];

/// Members of a wrapping that name the account of the records in it.
const ACCOUNTS: [&str; 2] = ["account", "owner"];

/// One part of a wrapping that counts as a record.
pub(super) enum UnwrappedPiece {
    /// JSON of a record, and the account that the wrapping names.
    Record(Vec<u8>, Option<String>),
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
pub(super) fn is_complete(value: Value<'_>) -> bool {
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
        return Ok(vec![record(value)]);
    }
    inside(value, texts_left)
}

fn inside(value: Value<'_>, texts_left: usize) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    match value.kind() {
        JsonKind::Object => members_of(value, texts_left),
        JsonKind::Array => items_of(value, texts_left),
        JsonKind::String => text_of(value, texts_left),
        _ => Ok(Vec::new()),
    }
}

/// The records that the members of an object hold, if they hold the same: a record that is a member itself, or what a member
/// of a known name carries. Below other names there is no wrapping.
fn members_of(value: Value<'_>, texts_left: usize) -> Result<Vec<UnwrappedPiece>, Ambiguous> {
    let mut first: Vec<UnwrappedPiece> = Vec::new();
    for (name, member) in value.members() {
        let found = match CARRIERS.binary_search(&&*name) {
            Ok(_) => records_of(member, texts_left)?,
            Err(_) if is_complete(member) => vec![record(member)],
            Err(_) => continue,
        };
        if found.is_empty() || !first.is_empty() && are_same(&first, &found) {
            continue;
        }
        if !first.is_empty() {
            return Err(Ambiguous);
        }
        first = found;
    }
    if first.is_empty() {
        // A few names below a known name are a record if nothing says more.
        first
            .extend(the_one(carriers(value).map(|(_, member)| member).filter(|member| is_dated(*member)))?.map(record));
    }
    let account = ACCOUNTS.iter().find_map(|name| value.get(name)?.text()).filter(|account| is_account_id(account));
    for piece in &mut first {
        if let (UnwrappedPiece::Record(_, named @ None), Some(account)) = (piece, &account) {
            *named = Some(account.to_string());
        }
    }
    Ok(first)
}

/// True if the value is a record or has one anywhere inside, in texts of JSON as well, or such a text that does not parse.
pub(super) fn holds_record(value: Value<'_>) -> bool {
    holds(value, TEXTS_MAX)
}

fn holds(value: Value<'_>, texts_left: usize) -> bool {
    match value.kind() {
        JsonKind::Object => is_record(value) || value.members().any(|(_, member)| holds(member, texts_left)),
        JsonKind::Array => value.items().any(|item| holds(item, texts_left)),
        JsonKind::String => value.text().filter(|text| is_json(text)).is_some_and(|text| {
            signs::may_hold_record(text.as_bytes())
                && (texts_left == 0
                    || JsonTree::new().parse(text.as_bytes()).map_or(true, |value| holds(value, texts_left - 1)))
        }),
        _ => false,
    }
}

/// True if a member is a whole record, not only its text.
pub(super) fn has_record_member(value: Value<'_>) -> bool {
    value.members().any(|(_, member)| is_complete(member))
}

fn record(value: Value<'_>) -> UnwrappedPiece {
    UnwrappedPiece::Record(value.raw().to_vec(), None)
}

/// The first of some values, if all are the same.
fn the_one<'a>(mut values: impl Iterator<Item = Value<'a>>) -> Result<Option<Value<'a>>, Ambiguous> {
    let Some(first) = values.next() else { return Ok(None) };
    let hash = first.canonical_hash(0);
    if values.any(|other| other.canonical_hash(0) != hash) { Err(Ambiguous) } else { Ok(Some(first)) }
}

fn carriers<'a>(value: Value<'a>) -> impl Iterator<Item = (&'static str, Value<'a>)> {
    value.members().filter_map(|(name, member)| Some((CARRIERS[CARRIERS.binary_search(&&*name).ok()?], member)))
}

/// The member that alone can carry records, and its name; none also where a record stands beside it.
pub(super) fn only_carrier<'a>(value: Value<'a>) -> Option<(&'static str, Value<'a>)> {
    let mut all = carriers(value);
    let only = all.next().filter(|_| all.next().is_none())?;
    let is_beside = |name: &str, member| CARRIERS.binary_search(&name).is_err() && is_complete(member);
    (!value.members().any(|(name, member)| is_beside(&name, member))).then_some(only)
}

/// True for the same records in the same order.
fn are_same(left: &[UnwrappedPiece], right: &[UnwrappedPiece]) -> bool {
    let hash = |piece: &UnwrappedPiece| match piece {
        UnwrappedPiece::Record(bytes, _) => JsonTree::new().parse(bytes).ok().map(|value| value.canonical_hash(0)),
        UnwrappedPiece::Fault(..) => None,
    };
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| hash(left).is_some_and(|left| hash(right) == Some(left)))
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
    let has_record = pieces.iter().any(|piece| matches!(piece, UnwrappedPiece::Record(..)));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<Vec<(String, Option<String>)>> {
        let mut tree = JsonTree::new();
        let pieces = records_in(tree.parse(text.as_bytes()).unwrap()).ok()?;
        let shown = |piece: UnwrappedPiece| match piece {
            UnwrappedPiece::Record(bytes, account) => (String::from_utf8(bytes).unwrap(), account),
            UnwrappedPiece::Fault(_, reason) => (reason.name().to_owned(), None),
        };
        Some(pieces.into_iter().map(shown).collect())
    }

    const A: &str = r#"{"eventSource":"a","eventName":"a","eventID":"1"}"#;
    const B: &str = r#"{"eventSource":"b","eventName":"b","eventID":"2"}"#;

    #[test]
    fn carriers_are_sorted() {
        assert!(CARRIERS.is_sorted());
    }

    /// The value as text of JSON, so many times.
    fn nested(value: &str, times: usize) -> String {
        (0..times).fold(value.to_owned(), |text, _| format!("{text:?}"))
    }

    #[test]
    fn a_value_holds_a_record_wherever_one_is() {
        for (text, is_held) in [
            (r#"{"eventName":"a"}"#.to_owned(), true),
            (r#"{"x":{"y":{"eventName":"a"}}}"#.to_owned(), true),
            (r#"{"x":1,"y":[1,[{"eventTime":"a"}]]}"#.to_owned(), true),
            (r#"{"x":"{\"eventName\":\"a\"}"}"#.to_owned(), true),
            (r#"{"x":{"eventName":["a"]}}"#.to_owned(), false),
            (r#"["eventName","{}",5,null]"#.to_owned(), false),
            (r#""the eventName""#.to_owned(), false),
            (r#""{the eventName""#.to_owned(), true),
            (r#""{the name""#.to_owned(), false),
            (r#""[\"eventName\"]""#.to_owned(), false),
            (nested(r#"{"eventName":"a"}"#, TEXTS_MAX), true),
            (nested(r#"["eventName"]"#, TEXTS_MAX), false),
            // No deeper text is looked at, so it may hold one.
            (nested(r#"["eventName"]"#, TEXTS_MAX + 1), true),
            (nested(r#"["name"]"#, TEXTS_MAX + 1), false),
        ] {
            let mut tree = JsonTree::new();
            assert_eq!(holds_record(tree.parse(text.as_bytes()).unwrap()), is_held, "{text}");
        }
    }

    #[test]
    fn texts_in_texts_and_lines_are_read_as_far_as_is_said() {
        let one = Some(vec![(A.to_owned(), None)]);
        let two = Some(vec![(A.to_owned(), None), (B.to_owned(), None)]);
        let none = Some(Vec::new());
        for (text, expected) in [
            (nested(A, 1), &one),
            (nested(A, TEXTS_MAX), &one),
            (nested(A, TEXTS_MAX + 1), &none),
            (nested(&format!("{A}\n{B}"), 1), &two),
            (nested(&format!("\n{A}\n \n{B}\n"), 1), &two),
            (nested(&format!("{A}\n{B}"), TEXTS_MAX), &two),
            (nested(&format!("{A}\n{B}"), TEXTS_MAX + 1), &none),
            (nested(&format!("{}\n{}", nested(A, TEXTS_MAX - 1), nested(B, TEXTS_MAX - 1)), 1), &two),
            (nested(&format!("{}\n{}", nested(A, TEXTS_MAX), nested(B, TEXTS_MAX)), 1), &none),
            // One line that is not all of the text, and lines of which one is no JSON.
            (nested(&format!("SPACE\n{A}"), 1).replace("SPACE", "\\u00a0"), &none),
            (nested(&format!("{A}\nx\n{B}"), 1), &none),
            (nested(&format!("5\n{A}"), 1), &none),
            (nested("{\"a\":1}\n{\"b\":2}", 1), &none),
        ] {
            assert_eq!(found(&text), *expected, "{text}");
        }
    }

    #[test]
    fn an_item_beside_records_is_a_fault_of_its_kind() {
        for (item, reason) in [
            ("{\"a\":1}", "record_not_cloudtrail"),
            ("\"{\\\"a\\\":1}\"", "record_not_cloudtrail"),
            ("\"{\\\"a\\\":\"", "json_truncated"),
            ("\"text\"", "json_syntax"),
            ("5", "record_not_object"),
            ("[5]", "record_not_object"),
            ("null", "record_not_object"),
        ] {
            let expected = Some(vec![(A.to_owned(), None), (reason.to_owned(), None)]);
            assert_eq!(found(&format!("[{A},{item}]")), expected, "{item}");
            if !item.starts_with('"') {
                assert_eq!(found(&format!("{:?}", format!("{A}\n{item}"))), expected, "line of {item}");
            }
        }
    }

    #[test]
    fn a_record_has_names_and_more() {
        for (text, is) in [
            (r#"{"eventVersion":"1","eventName":"a"}"#, [true, true, false]),
            (r#"{"userIdentity":{},"eventSource":"a"}"#, [true, true, false]),
            (r#"{"eventVersion":null,"eventName":"a"}"#, [false, false, false]),
            (r#"{"eventVersion":"1"}"#, [false, false, false]),
            (r#"{"eventVersion":"1","eventName":["a"]}"#, [false, false, false]),
            (r#"{"eventID":"1"}"#, [false, false, false]),
            (r#"{"eventName":"a","eventID":"1"}"#, [false, true, false]),
            (r#"{"eventTime":"1"}"#, [false, true, false]),
            (r#"{"eventName":"a"}"#, [false, false, false]),
            (r#"{"eventSource":"a","eventName":"a"}"#, [false, false, false]),
            (r#"{"eventSource":"a","eventName":"a","eventID":"1"}"#, [false, true, true]),
            (r#"{"eventSource":"a","eventName":"a","eventVersion":"1"}"#, [true, true, true]),
            (r#"{"eventSource":"a","eventTime":"1","eventID":"1"}"#, [false, true, false]),
            (r#"{"eventName":"a","eventTime":"1","eventID":"1"}"#, [false, true, false]),
            (r#"{"eventSource":7,"eventName":"a","eventID":"1"}"#, [false, true, false]),
        ] {
            let mut tree = JsonTree::new();
            let value = tree.parse(text.as_bytes()).unwrap();
            assert_eq!([is_whole(value), is_dated(value), is_complete(value)], is, "{text}");
        }
    }

    #[test]
    fn members_with_different_records_give_none() {
        for text in [
            format!(r#"{{"detail":{A},"message":{B}}}"#),
            format!(r#"{{"x":{A},"y":{B}}}"#),
            format!(r#"{{"detail":{A},"x":{B}}}"#),
            format!(r#"{{"message":{A:?},"x":{B}}}"#),
            r#"{"event":{"eventName":"a","eventID":"1"},"data":{"eventName":"b","eventID":"2"}}"#.to_owned(),
            format!(r#"{{"Records":[{A}],"events":[{B}]}}"#),
            format!(r#"{{"hits":{{"hits":[{{"_source":{A}}}]}},"events":[{B}]}}"#),
        ] {
            assert_eq!(found(&text), None, "{text}");
        }
        let twice = format!(r#"{{"detail":{A},"x":{A},"message":{:?}}}"#, A);
        assert_eq!(found(&twice), Some(vec![(A.to_owned(), None)]));
    }

    #[test]
    fn a_text_without_a_record_hides_none() {
        let text = format!(r#"{{"message":"{{\"level\":1}}","body":{:?}}}"#, A);
        assert_eq!(found(&text), Some(vec![(A.to_owned(), None)]));
    }

    #[test]
    fn the_account_of_a_wrapping_stays_with_its_records() {
        let inner = format!(r#"{{"account":"111122223333","detail":{A}}}"#);
        let text = format!(r#"{{"owner":"444455556666","logEvents":[{{"message":{inner:?}}},{{"message":{:?}}}]}}"#, B);
        let expected = [(A, "111122223333"), (B, "444455556666")];
        assert_eq!(found(&text), Some(expected.map(|(text, of)| (text.to_owned(), Some(of.to_owned()))).to_vec()));
    }

    #[test]
    fn a_record_beside_the_carrier_leaves_no_short_way() {
        for (text, has_short_way) in [
            (format!(r#"{{"account":"1","detail":{A}}}"#), true),
            (format!(r#"{{"detail":{A},"x":{B}}}"#), false),
            (format!(r#"{{"detail":{A},"message":{B:?}}}"#), false),
        ] {
            let mut tree = JsonTree::new();
            assert_eq!(only_carrier(tree.parse(text.as_bytes()).unwrap()).is_some(), has_short_way, "{text}");
        }
    }

    /// A level that is looked at twice doubles the time of all below it.
    #[test]
    fn every_level_is_looked_at_once() {
        for (open, levels) in [(r#"{"result":{"_raw":"#, 60), (r#"{"hits":{"hits":"#, 60), (r#"{"data":{"aws":"#, 60)] {
            let text = format!("{}1{}", open.repeat(levels), "}".repeat(2 * levels));
            assert_eq!(found(&text), Some(Vec::new()), "{open}");
        }
    }
}
