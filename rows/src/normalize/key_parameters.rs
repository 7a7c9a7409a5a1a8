//! Finds the KMS key that another service's record names in its parameters.
//! In: `requestParameters` of a record that is not KMS's. Out: the one key or alias that it names, as the caller wrote it.
//! Never chooses among several keys, and never takes a key that a policy's text or a tag mentions for one that is used.

use super::key::resolve;
use super::members::Members;
use super::row::{Row, Text};
use crate::arn::{Arn, is_multi_region_id, is_uuid};
use crate::json::{Kind, Value};

/// Names of parameters whose value is a key: ARN, id or alias. In small letters, without `-` and `_`, since services spell
/// one name in many ways.
const KEY_NAMES: &[&str] = &[
    "awskmskey",
    "awskmskeyarn",
    "awskmskeyid",
    "encryptionkeyarn",
    "kmsencryptionkeyarn",
    "kmskey",
    "kmskeyarn",
    "kmskeyid",
    "kmsmasterkeyarn",
    "kmsmasterkeyid",
    "ssekmskeyid",
    "xamzserversideencryptionawskmskeyid",
];

/// Parameters are not looked into deeper than this; AWS's models nest keys up to six levels.
const DEPTH_MAX: usize = 8;

/// A key or an alias as a request names it.
pub(super) struct NamedKey<'a>(Text<'a>);

impl<'a> NamedKey<'a> {
    /// The one key that the parameters name; none where they name several.
    pub(super) fn of(members: &Members<'a>, row: &Row<'_>) -> Option<NamedKey<'a>> {
        let parameters = members.request_parameters()?;
        // What is copied, moved or re-encrypted was under another key than the one that the request names.
        let reads = ["kms:Decrypt", "kms:ReEncryptFrom"];
        let is_about_another = row
            .denied_action
            .as_deref()
            .is_some_and(|action| reads.iter().any(|read| read.eq_ignore_ascii_case(action)));
        if is_about_another || !may_name_kms(parameters.raw()) {
            return None;
        }
        let mut found = Found::None;
        collect(parameters, DEPTH_MAX, &mut found);
        match found {
            Found::One(key) => Some(NamedKey(key)),
            Found::None | Found::Several => None,
        }
    }

    /// Its ARN; none for an alias, whose key takes history to know.
    pub(super) fn into_key(self, row: &Row<'_>) -> Option<Text<'a>> {
        resolve(self.0, row)
    }

    pub(super) fn into_alias(self) -> Option<Text<'a>> {
        is_alias(&self.0).then_some(self.0)
    }
}

enum Found<'a> {
    None,
    One(Text<'a>),
    Several,
}

impl<'a> Found<'a> {
    fn add(&mut self, key: Text<'a>) {
        match self {
            Found::None => *self = Found::One(key),
            Found::One(first) if *first != key => *self = Found::Several,
            Found::One(_) | Found::Several => {}
        }
    }
}

fn may_name_kms(parameters: &[u8]) -> bool {
    memchr::memchr2_iter(b'm', b'M', parameters).any(|at| {
        at > 0
            && parameters[at - 1].eq_ignore_ascii_case(&b'k')
            && at + 1 < parameters.len()
            && parameters[at + 1].eq_ignore_ascii_case(&b's')
    })
}

fn collect<'a>(value: Value<'a>, depth: usize, found: &mut Found<'a>) {
    if depth == 0 {
        return;
    }
    match value.kind() {
        Kind::Object => {
            // SNS and others send an attribute as its name and its value.
            let named = [("attributeName", "attributeValue"), ("key", "value"), ("name", "value")];
            for (name, content) in named {
                if let Some(name) = value.get(name).and_then(Value::text)
                    && is_key_name(&name)
                    && let Some(key) = value.get(content).and_then(key_text)
                {
                    found.add(key);
                }
            }
            for (name, member) in value.members() {
                match key_text(member).filter(|_| is_key_name(&name)) {
                    Some(key) => found.add(key),
                    None => collect(member, depth - 1, found),
                }
            }
        }
        Kind::Array => value.items().for_each(|item| collect(item, depth - 1, found)),
        _ => {}
    }
}

fn is_key_name(name: &str) -> bool {
    let letters = || name.bytes().filter(|byte| !matches!(byte, b'-' | b'_')).map(|byte| byte.to_ascii_lowercase());
    KEY_NAMES.iter().any(|known| known.bytes().eq(letters()))
}

/// The text of a key or alias.
fn key_text(value: Value<'_>) -> Option<Text<'_>> {
    let text = value.text()?;
    let is_key = is_uuid(&text)
        || is_multi_region_id(&text)
        || is_alias(&text)
        || Arn::parse(&text).is_some_and(|arn| arn.kms_key_id().is_some());
    is_key.then_some(text)
}

fn is_alias(text: &str) -> bool {
    text.starts_with("alias/") || Arn::parse(text).is_some_and(|arn| arn.is_kms_alias())
}
