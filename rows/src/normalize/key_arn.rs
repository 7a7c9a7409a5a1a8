//! Names of KMS keys as ARNs: ids put into the account and Region of their record, and ARNs in texts.
//! In: a name as a record has it. Out: the ARN of the key, its id in lower case, or nothing.
//! Never resolves an alias: that takes history, and a record has none.

use std::borrow::Cow;

use super::row::{Row, Text};
use crate::arn::{Arn, is_account_id, is_multi_region_id, is_region, is_uuid, partition_of};

/// A key ARN as it is; an id as the key of that id in the account and Region of the record.
pub(super) fn resolve<'a>(id: Text<'a>, row: &Row<'_>) -> Option<Text<'a>> {
    if !is_uuid(&id) && !is_multi_region_id(&id) {
        return canonical(id);
    }
    let region = row.aws_region.as_deref().filter(|region| is_region(region))?;
    let account = row.recipient_account_id.as_deref().filter(|account| is_account_id(account))?;
    let partition = partition_of(region);
    Some(Cow::Owned(format!("arn:{partition}:kms:{region}:{account}:key/{}", id.to_ascii_lowercase())))
}

/// A key ARN with its id in lower case; nothing for other text.
pub(super) fn canonical(arn: Text<'_>) -> Option<Text<'_>> {
    let id = Arn::parse(&arn)?.kms_key_id()?;
    let is_shouted = id.bytes().any(|byte| byte.is_ascii_uppercase()) && is_uuid(id);
    if !is_shouted {
        return Some(arn);
    }
    let (start, id) = arn.split_at(arn.len() - id.len());
    Some(Cow::Owned(format!("{start}{}", id.to_ascii_lowercase())))
}

/// The whole key ARNs in a text. Half an id, where the text was cut, is no key.
pub(super) fn key_arns_in(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, ':' | '/' | '-');
    text.match_indices("arn:aws").filter_map(move |(at, _)| {
        let rest = &text[at..];
        let arn = &rest[..rest.find(|character| !is_part(character)).unwrap_or(rest.len())];
        let arn = arn.trim_end_matches(':');
        let id = Arn::parse(arn)?.kms_key_id()?;
        (is_uuid(id) || is_multi_region_id(id)).then_some(arn)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_key_is_in_lower_case_and_nothing_else_of_its_name() {
        for (arn, expected) in [
            (
                "arn:aws:kms:us-east-1:111122223333:key/0F1E2D3C-1111-4222-8333-44445555AAAA",
                Some("arn:aws:kms:us-east-1:111122223333:key/0f1e2d3c-1111-4222-8333-44445555aaaa"),
            ),
            (
                "arn:aws:kms:US-East-1:X:key/0F1E2D3C-1111-4222-8333-44445555AAAA",
                Some("arn:aws:kms:US-East-1:X:key/0f1e2d3c-1111-4222-8333-44445555aaaa"),
            ),
            ("arn:aws:kms:us-east-1:111122223333:key/MyKey", Some("arn:aws:kms:us-east-1:111122223333:key/MyKey")),
            ("arn:aws:kms:us-east-1:111122223333:alias/x", None),
        ] {
            assert_eq!(canonical(Cow::Borrowed(arn)).as_deref(), expected, "{arn}");
        }
    }
}
