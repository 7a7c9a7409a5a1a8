//! Reads a policy as CloudTrail logs it: JSON text, JSON text in a JSON string, or percent-encoded as IAM answers.
//! In: the text of a parameter. Out: its statements, or the reason why it has none.
//! Never takes a part for the whole: what CloudTrail cut is `truncated`, and what is no policy is `unparsed`.

use std::borrow::Cow;

use serde_json::Value;

use super::statement::{PolicyElement, PolicyStatement};

/// AWS allows 32 KiB for a key's policy and less for all others, white space apart.
const DOCUMENT_BYTES_MAX: usize = 128 * 1024;
/// Percent-encoding makes three bytes of one.
const WRITTEN_BYTES_MAX: usize = 3 * DOCUMENT_BYTES_MAX;
/// Items of all lists of a document: more do not fit into a policy that AWS takes.
const ITEMS_MAX: usize = 4096;
const LAYERS_MAX: usize = 4;

/// Ends of a text that was cut.
const CUT_ENDS: [&str; 4] = ["...", "…", "truncated", "[truncated]"];
/// Stands where CloudTrail left a value out.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// A policy, as far as its text could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedPolicy {
    /// The innermost text: JSON as AWS wrote it, if it is whole.
    pub text: String,
    pub reading: PolicyReading,
}

/// The outcome of reading a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PolicyReading {
    Whole(PolicyDocument),
    /// Cut: JSON that ends too soon, an `omitted` member, a text that ends in `...` or `truncated`, or a hidden value.
    Truncated,
    /// Whole JSON or other text that is no policy, or one that is larger than AWS allows.
    Unparsed,
}

/// The statements of a policy, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PolicyDocument {
    pub statements: Vec<PolicyStatement>,
}

impl PolicyReading {
    /// The word of the column `reading`.
    pub fn word(&self) -> &'static str {
        match self {
            PolicyReading::Whole(_) => "whole",
            PolicyReading::Truncated => "truncated",
            PolicyReading::Unparsed => "unparsed",
        }
    }

    /// The statements of a policy that is whole.
    pub fn document(&self) -> Option<&PolicyDocument> {
        match self {
            PolicyReading::Whole(document) => Some(document),
            _ => None,
        }
    }
}

impl LoggedPolicy {
    /// Reads a policy of this partition, which the ARNs of bare account ids get.
    pub fn read(written: &str, partition: &str) -> LoggedPolicy {
        let mut text = Cow::Borrowed(written.trim());
        let reading = loop_layers(&mut text, partition);
        LoggedPolicy { text: text.into_owned(), reading }
    }
}

/// Leaves the innermost text that could be reached.
fn loop_layers(text: &mut Cow<'_, str>, partition: &str) -> PolicyReading {
    if text.len() > WRITTEN_BYTES_MAX {
        return PolicyReading::Unparsed;
    }
    for _ in 0..LAYERS_MAX {
        if text.starts_with('%') {
            let Some(decoded) = percent_decoded(text) else { return PolicyReading::Unparsed };
            *text = Cow::Owned(decoded.trim().to_owned());
        }
        match serde_json::from_str(text) {
            Ok(Value::String(inner)) => *text = Cow::Owned(inner.trim().to_owned()),
            Ok(value) if text.len() <= DOCUMENT_BYTES_MAX => return reading_of(&value, partition),
            Ok(_) => return PolicyReading::Unparsed,
            Err(error) if error.is_eof() && !text.is_empty() => return PolicyReading::Truncated,
            Err(_) if is_cut(text) => return PolicyReading::Truncated,
            Err(_) => return PolicyReading::Unparsed,
        }
    }
    PolicyReading::Unparsed
}

fn is_cut(text: &str) -> bool {
    let text = text.trim_end_matches([' ', '"', ')', '>']);
    text.contains(HIDDEN) || CUT_ENDS.iter().any(|end| text.ends_with(end))
}

fn reading_of(value: &Value, partition: &str) -> PolicyReading {
    let Some(members) = value.as_object() else { return PolicyReading::Unparsed };
    if members.get("omitted").is_some_and(|omitted| *omitted == Value::Bool(true)) {
        return PolicyReading::Truncated;
    }
    let statements = members.iter().find(|(name, _)| name.eq_ignore_ascii_case("statement")).map(|(_, value)| value);
    let read = |statement| PolicyStatement::of(statement, partition);
    let statements = match statements {
        Some(Value::Array(statements)) => statements.iter().map(read).collect::<Option<Vec<_>>>(),
        Some(statement) => read(statement).map(|statement| vec![statement]),
        None => None,
    };
    match statements.filter(|statements| statements.iter().map(items).sum::<usize>() <= ITEMS_MAX) {
        Some(statements) => PolicyReading::Whole(PolicyDocument { statements }),
        None => PolicyReading::Unparsed,
    }
}

/// Items of all lists of a statement, and one for the statement.
fn items(statement: &PolicyStatement) -> usize {
    fn count<T>(element: &PolicyElement<T>) -> usize {
        match element {
            PolicyElement::Absent => 0,
            PolicyElement::Only(items) | PolicyElement::AllBut(items) => items.len(),
        }
    }
    let body = &statement.body;
    let of_conditions: usize = body.conditions.iter().map(|condition| 1 + condition.values().count()).sum();
    1 + count(&body.principals) + count(&body.actions) + count(&body.resources) + of_conditions
}

/// The text without percent-encoding; a sign that is cut or none stands for itself. `None` if the bytes are no text.
fn percent_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|&digit| (digit as char).to_digit(16));
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

    fn read(text: &str) -> LoggedPolicy {
        LoggedPolicy::read(text, "aws")
    }

    fn encoded(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    #[test]
    fn a_policy_is_read_in_every_wrapping() {
        let plain = read(POLICY);
        assert_eq!(plain.text, POLICY);
        assert_eq!(plain.reading.document().unwrap().statements.len(), 1);
        let string = serde_json::to_string(POLICY).unwrap();
        let statement = POLICY.replace(['[', ']'], "");
        for wrapped in [string.clone(), serde_json::to_string(&string).unwrap(), encoded(POLICY), encoded(&string)] {
            assert_eq!(read(&wrapped), plain, "{wrapped}");
        }
        assert_eq!(read(&statement).reading, plain.reading);
        assert_eq!(read(&format!("\n {POLICY} ")), plain);
    }

    #[test]
    fn what_is_cut_is_told_from_what_is_no_policy() {
        let string = serde_json::to_string(POLICY).unwrap();
        let long = format!("{{\"Statement\":[],\"Id\":\"{}\"}}", "x".repeat(DOCUMENT_BYTES_MAX));
        let many = format!("{{\"Statement\":[{}{{}}]}}", r#"{"Effect":"Deny"},"#.repeat(ITEMS_MAX + 1));
        let deep = "[".repeat(100_000);
        for (text, word) in [
            (&POLICY[..40], "truncated"),
            (&string[..40], "truncated"),
            (&encoded(POLICY)[..100], "truncated"),
            (&encoded(POLICY)[..101], "truncated"),
            (r#"{"omitted":true,"originalSize":300000}"#, "truncated"),
            (r#"{"Statement":[{"Effect":"Al..."#, "truncated"),
            (r#"{"Statement":[x (truncated)"#, "truncated"),
            (HIDDEN, "truncated"),
            ("", "unparsed"),
            ("none", "unparsed"),
            (r#"{"Version":"2012-10-17"}"#, "unparsed"),
            (r#"{"Statement":[{"Effect":"Allow","Action":7}]}"#, "unparsed"),
            ("[1]", "unparsed"),
            ("%FF%FE", "unparsed"),
            (&long, "unparsed"),
            (&many, "unparsed"),
            (&deep, "unparsed"),
        ] {
            assert_eq!(read(text).reading.word(), word, "{}", &text[..text.len().min(80)]);
        }
    }
}
