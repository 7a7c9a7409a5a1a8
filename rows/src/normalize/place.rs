//! The account and the Region by which a scope places a row.
//! In: a row. Out: its own account and Region, or those that its caller and its key prove.
//! Never changes a row: the columns stay as logged.

use super::row::{ColumnSet, Row};
use crate::schema::Column;

/// The columns that place a row which names no account or no Region.
pub(super) const PLACE: ColumnSet =
    ColumnSet::of(&[Column::PrincipalAccountId, Column::KeyAccountId, Column::KeyRegion]);

/// The services whose records of changes matter in every Region: they decide about keys everywhere and are logged in one
/// Region of the partition, those of an organization in one account; and CloudTrail's own tell in a trail's home what is
/// logged in all Regions of the trail.
pub const GLOBAL_SOURCES: [&str; 4] =
    ["cloudtrail.amazonaws.com", "iam.amazonaws.com", "organizations.amazonaws.com", "sts.amazonaws.com"];

/// True of a record that a scope of accounts and Regions lets pass for state.
pub fn is_global(row: &Row<'_>) -> bool {
    row.event_source.as_deref().is_some_and(|source| GLOBAL_SOURCES.contains(&source))
}

/// The account of a row; where it names no recipient, that of the caller if the key is in it too.
pub fn account_of<'r>(row: &'r Row<'_>) -> Option<&'r str> {
    let of_both =
        || row.principal_account_id.as_deref().filter(|account| row.key_account_id.as_deref() == Some(account));
    row.recipient_account_id.as_deref().or_else(of_both)
}

/// The Region of a row; where it names none, that of the key.
pub fn region_of<'r>(row: &'r Row<'_>) -> Option<&'r str> {
    row.aws_region.as_deref().or(row.key_region.as_deref())
}

/// True of a row that names its account and its Region itself.
pub(super) fn is_placed(row: &Row<'_>) -> bool {
    row.recipient_account_id.is_some() && row.aws_region.is_some()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn access_is_decided_in_every_region() {
        for (source, expected) in [
            (Some("iam.amazonaws.com"), true),
            (Some("sts.amazonaws.com"), true),
            (Some("kms.amazonaws.com"), false),
            (Some(""), false),
            (None, false),
        ] {
            let row = Row { event_source: source.map(Cow::Borrowed), ..Row::default() };
            assert_eq!(is_global(&row), expected, "{source:?}");
        }
    }

    #[test]
    fn caller_and_key_place_a_row_only_where_it_names_nothing_itself() {
        let text = |value: &'static str| (!value.is_empty()).then_some(Cow::Borrowed(value));
        for (recipient, principal, key, account) in [
            ("1", "2", "2", Some("1")),
            ("", "2", "2", Some("2")),
            ("", "2", "3", None),
            ("", "2", "", None),
            ("", "", "2", None),
            ("", "", "", None),
        ] {
            let row = Row {
                recipient_account_id: text(recipient),
                principal_account_id: text(principal),
                key_account_id: text(key),
                ..Row::default()
            };
            assert_eq!(account_of(&row), account, "{recipient} {principal} {key}");
        }
        for (region, key_region, expected) in
            [("a", "b", Some("a")), ("", "b", Some("b")), ("a", "", Some("a")), ("", "", None)]
        {
            let row = Row { aws_region: text(region), key_region: text(key_region), ..Row::default() };
            assert_eq!(region_of(&row), expected, "{region} {key_region}");
        }
    }
}
