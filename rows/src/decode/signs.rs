//! The signs without which bytes hold no record.
//! In: bytes of JSON. Out: true if one of the signs is in them.
//! Never says that there is a record; a look at the parsed value does.

/// True if JSON may hold a record: it has the name of one of the members that make an object a record, a
/// name written with escapes, or a payload that hides its text.
pub(super) fn may_hold_record(json: &[u8]) -> bool {
    let signs: [&[u8]; 5] = [b"eventSource", b"eventName", b"eventTime", b"\\u00", b"awslogs"];
    signs.iter().any(|sign| memchr::memmem::find(json, sign).is_some())
}
