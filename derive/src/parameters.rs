//! The request and the answer of a call, which a record holds as JSON.
//! In: the text of a cell. Out: its value, and the members of values.
//! Never takes a text apart that is longer than a record can hold, and never tells null from what is not there.

use serde_json::Value;

/// Longest request or answer that is taken apart. AWS allows policies of 32 KiB, and CloudTrail cuts records at 256
/// KiB.
pub(crate) const PARAMETERS_BYTES_MAX: usize = 512 * 1024;

/// The value of a text; `None` if it is no JSON, as one that was cut, or too long.
pub(crate) fn parsed(text: &str) -> Option<Value> {
    let text = Some(text).filter(|text| text.len() <= PARAMETERS_BYTES_MAX)?;
    serde_json::from_str(text).ok()
}

/// A member of an object: services spell one name with small or capital letters.
pub(crate) fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    let in_any_case = || members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    members.get(name).or_else(in_any_case).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_in_any_case_unless_it_is_null() {
        for (text, expected) in [
            (r#"{"name":1}"#, Some(1)),
            (r#"{"NAME":1}"#, Some(1)),
            (r#"{"Name":1,"name":2}"#, Some(2)),
            (r#"{"Name":1,"name":null}"#, None),
            (r#"{"name":null}"#, None),
            (r#"{"names":1}"#, None),
            (r#"["name"]"#, None),
            (r#"{"name":1"#, None),
        ] {
            let value = parsed(text);
            assert_eq!(
                value.as_ref().and_then(|value| member(value, "name")).and_then(Value::as_i64),
                expected,
                "{text}"
            );
        }
        for (letters, is_read) in [(PARAMETERS_BYTES_MAX - 2, true), (PARAMETERS_BYTES_MAX - 1, false)] {
            assert_eq!(parsed(&format!("\"{}\"", "x".repeat(letters))).is_some(), is_read, "{letters}");
        }
    }
}
