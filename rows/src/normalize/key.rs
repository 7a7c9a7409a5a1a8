//! Decides which KMS key a record concerns, and fills the columns about that key.
//! In: resources, answer, request, service details and the message of a refusal, in this order of trust.
//! Out: the columns from `key_arn` to `key_material_id`, and those of algorithms, specs and grants.
//! Never resolves an alias: that takes history, and a record has none.

use std::borrow::Cow;

use super::key_arn::{canonical, key_arns_in, resolve};
use super::key_parameters::NamedKey;
use super::members::{EventService, Issues, Members};
use super::outcome::ErrorText;
use super::row::{Row, Text, part};
use crate::arn::{Arn, is_account_id, is_region};
use crate::json::{JsonKind, Value};

/// Fills the columns that name the key.
pub(super) fn fill<'a>(row: &mut Row<'a>, members: &Members<'a>, service: EventService) {
    let found = if service.is_kms() && row.event_name.as_deref() == Some("ReEncrypt") {
        find_reencrypt_keys(row, members)
    } else {
        find_key(row, members, service)
    };
    if let Some((arn, source)) = found {
        set_key(row, arn);
        row.key_source = Some(Cow::Borrowed(source));
    }
}

/// Fills the columns about the key of a KMS record: its alias, its material, its algorithm, its spec, its grants.
pub(super) fn fill_details<'a>(row: &mut Row<'a>, members: &Members<'a>, service: EventService, issues: &mut Issues) {
    if !service.is_kms() {
        row.requested_alias = NamedKey::of(members, row).and_then(NamedKey::into_alias);
        return;
    }
    let event_name = row.event_name.clone().unwrap_or_default();
    row.requested_alias =
        requested_alias(members, &event_name).or_else(|| part(row.error_message.as_ref()?, named_alias));
    copy_details(row, members, &event_name, issues);
}

/// The accounts that own the record's keys, or if it has none, its resources.
pub(super) fn owner_accounts<'r>(row: &'r Row<'_>, members: &Members<'r>) -> [Option<Text<'r>>; 2] {
    let source = row.source_key_arn.as_deref().and_then(Arn::parse).map(|arn| Cow::Borrowed(arn.account));
    // A key that another service is asked to use is no resource of its call, so its owner gets no copy.
    let is_parameter = row.operation_class.is_none() && row.key_source.as_deref() == Some("request");
    match row.key_account_id.as_deref().filter(|_| !is_parameter) {
        Some(account) => [Some(Cow::Borrowed(account)), source],
        None => {
            let accounts = members.resources().into_iter().flat_map(Value::items);
            let first = accounts.filter_map(|resource| resource.get("accountId")?.text()).next();
            [first.filter(|account| is_account_id(account)), source]
        }
    }
}

/// The key and the step that found it.
fn find_key<'a>(row: &Row<'a>, members: &Members<'a>, service: EventService) -> Option<(Text<'a>, &'static str)> {
    let named = || named_key(row).map(|arn| (arn, "error_message"));
    if let Some(arn) = key_arns(members.resources()).next() {
        return Some((arn, "resources"));
    }
    if !service.is_kms() {
        // KMS names in its message the key that it refused; the request may name another.
        return named().or_else(|| Some((NamedKey::of(members, row)?.into_key(row)?, "request")));
    }
    answered_key(row, members)
        .map(|arn| (arn, "response"))
        .or_else(|| {
            let names_target = matches!(row.event_name.as_deref(), Some("CreateAlias" | "UpdateAlias"));
            let key = if names_target { "targetKeyId" } else { "keyId" };
            requested_key(row, members, key).map(|arn| (arn, "request"))
        })
        .or_else(|| {
            let id = members.service_event_details()?.get("keyId")?.text()?;
            resolve(id, row).map(|arn| (arn, "service_event"))
        })
        .or_else(named)
}

/// The key that `ReEncrypt` moved data to, and the step that found it. The key it moved data from goes to its own
/// column; of two resources it is the first.
fn find_reencrypt_keys<'a>(row: &mut Row<'a>, members: &Members<'a>) -> Option<(Text<'a>, &'static str)> {
    let mut keys = key_arns(members.resources());
    let first = keys.next();
    if let Some(second) = keys.next() {
        row.source_key_arn = first;
        return Some((second, "resources"));
    }
    // KMS asks for `kms:ReEncryptFrom` on the source and `kms:ReEncryptTo` on the destination, and names the refused
    // one.
    let denied_action = row.denied_action.as_deref().unwrap_or_default();
    let names_source = denied_action.eq_ignore_ascii_case("kms:ReEncryptFrom");
    let named = named_key(row);
    let source = requested_key(row, members, "sourceKeyId").or_else(|| named.clone().filter(|_| names_source));
    let destination = requested_key(row, members, "destinationKeyId");
    // One key alone is the source if the caller says so, or says that another is the destination.
    let is_source = first.is_some() && (first == source || (destination.is_some() && first != destination));
    row.source_key_arn = if is_source { first.clone() } else { source };
    let is_destination = |arn: &Text| !names_source && row.source_key_arn.as_ref() != Some(arn);
    destination
        .map(|arn| (arn, "request"))
        .or(first.filter(|_| !is_source).map(|arn| (arn, "resources")))
        .or(named.filter(is_destination).map(|arn| (arn, "error_message")))
}

/// The KMS keys among the resources: objects with an `ARN` or `arn`, or plain text, in an array or alone.
fn key_arns<'a>(resources: Option<Value<'a>>) -> impl Iterator<Item = Text<'a>> {
    let alone = resources.filter(|resources| resources.kind() != JsonKind::Array);
    let items = resources.into_iter().flat_map(Value::items);
    alone.into_iter().chain(items).filter_map(|resource| {
        let arn = resource.text().or_else(|| resource.get("ARN").or_else(|| resource.get("arn"))?.text())?;
        canonical(arn)
    })
}

/// The key in the answer: its ARN, or an id in the caller's account and Region.
fn answered_key<'a>(row: &Row<'a>, members: &Members<'a>) -> Option<Text<'a>> {
    let answer = members.response_elements()?;
    let metadata = answer.get("keyMetadata");
    let text = |object: Option<Value<'a>>, key| object?.get(key)?.text();
    let candidates = [text(Some(answer), "keyId"), text(metadata, "arn"), text(metadata, "keyId")];
    candidates.into_iter().flatten().find_map(|id| resolve(id, row))
}

fn requested_key<'a>(row: &Row<'a>, members: &Members<'a>, key: &str) -> Option<Text<'a>> {
    resolve(members.request_parameters()?.get(key)?.text()?, row)
}

/// The first whole key ARN in the error message.
fn named_key<'a>(row: &Row<'a>) -> Option<Text<'a>> {
    key_arns_in(row.error_message.as_deref()?).find_map(|arn| canonical(Cow::Owned(arn.to_owned())))
}

fn set_key<'a>(row: &mut Row<'a>, arn: Text<'a>) {
    row.key_id = part(&arn, |arn| Arn::parse(arn)?.kms_key_id());
    row.key_account_id = part(&arn, |arn| Some(Arn::parse(arn)?.account));
    row.key_region = part(&arn, |arn| Some(Arn::parse(arn)?.region));
    row.key_family = Some(match (&row.key_account_id, &row.key_id) {
        (Some(account), Some(id)) if id.starts_with("mrk-") => Cow::Owned(format!("{account}/{id}")),
        _ => arn.clone(),
    });
    row.key_arn = Some(arn);
}

/// The alias that the caller sent: `alias/NAME` or the ARN of an alias.
fn requested_alias<'a>(members: &Members<'a>, event_name: &str) -> Option<Text<'a>> {
    let parameters = members.request_parameters()?;
    let keys = match event_name {
        "CreateAlias" | "UpdateAlias" | "DeleteAlias" => ["aliasName", "targetKeyId"],
        "ReEncrypt" => ["destinationKeyId", "sourceKeyId"],
        _ => ["keyId", "aliasName"],
    };
    let is_alias = |text: &Text| text.starts_with("alias/") || Arn::parse(text).is_some_and(|arn| arn.is_kms_alias());
    keys.into_iter().filter_map(|key| parameters.get(key)?.text()).find(is_alias)
}

/// The first ARN of an alias in an error message, since a refusal has no parameters. Half a name, where the message was
/// cut, is no alias.
fn named_alias(message: &str) -> Option<&str> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '/' | '_' | '-');
    let may_be_cut = ErrorText::of(message).may_be_cut();
    message.match_indices("arn:aws").find_map(|(at, _)| {
        let rest = &message[at..];
        let arn = Arn::parse(rest).filter(|arn| is_region(arn.region) && is_account_id(arn.account))?;
        let name = arn.resource.strip_prefix("alias/").filter(|_| arn.is_kms_alias())?;
        let length = name.find(|character| !is_part(character)).unwrap_or(name.len());
        let end = rest.len() - name.len() + length;
        let is_whole = length > 0 && !(may_be_cut && end == rest.len());
        is_whole.then(|| &rest[..end])
    })
}

fn copy_details<'a>(row: &mut Row<'a>, members: &Members<'a>, event_name: &str, issues: &mut Issues) {
    let mut first = |places: &[(Option<Value<'a>>, &str, &str)]| {
        places.iter().find_map(|(object, key, path)| issues.text(object.and_then(|object| object.get(key)), path))
    };
    let (request, answer) = (members.request_parameters(), members.response_elements());
    let (extra, details) = (members.additional_event_data(), members.service_event_details());
    row.key_material_id = first(&[
        (extra, "keyMaterialId", "additionalEventData.keyMaterialId"),
        (extra, "destinationKeyMaterialId", "additionalEventData.destinationKeyMaterialId"),
        (answer, "keyMaterialId", "responseElements.keyMaterialId"),
        (details, "currentKeyMaterialId", "serviceEventDetails.currentKeyMaterialId"),
        (details, "keyMaterialId", "serviceEventDetails.keyMaterialId"),
        (request, "keyMaterialId", "requestParameters.keyMaterialId"),
    ]);
    row.encryption_algorithm = first(&[
        (request, "encryptionAlgorithm", "requestParameters.encryptionAlgorithm"),
        (request, "destinationEncryptionAlgorithm", "requestParameters.destinationEncryptionAlgorithm"),
    ]);
    if event_name.starts_with("GenerateDataKey") {
        row.data_key_spec = first(&[
            (request, "keySpec", "requestParameters.keySpec"),
            (request, "keyPairSpec", "requestParameters.keyPairSpec"),
        ]);
    } else {
        let metadata = answer.and_then(|answer| answer.get("keyMetadata"));
        row.key_spec = first(&[
            (request, "keySpec", "requestParameters.keySpec"),
            (request, "customerMasterKeySpec", "requestParameters.customerMasterKeySpec"),
            (metadata, "keySpec", "responseElements.keyMetadata.keySpec"),
        ]);
    }
    row.grant_id = first(&[
        (answer, "grantId", "responseElements.grantId"),
        (request, "grantId", "requestParameters.grantId"),
        (extra, "grantId", "additionalEventData.grantId"),
    ]);
    row.grantee_principal = first(&[
        (request, "granteePrincipal", "requestParameters.granteePrincipal"),
        (request, "granteeServicePrincipal", "requestParameters.granteeServicePrincipal"),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonTree;
    use crate::normalize::{AccountHints, ColumnSet, Record, normalize};

    /// `A`, `B` and `C` stand for keys, the last in another account.
    fn filled(text: &str) -> String {
        let key = |account: &str, end: &str| {
            format!("arn:aws:kms:us-east-1:{account}:key/0f1e2d3c-1111-4222-8333-44445555000{end}")
        };
        let keys =
            [("<A>", key("111122223333", "a")), ("<B>", key("111122223333", "b")), ("<C>", key("444455556666", "c"))];
        keys.iter().fold(text.to_owned(), |text, (name, key)| text.replace(name, key))
    }

    /// The key, the step that found it, the key that data came from, the alias, and whose copy of the call it is.
    fn decided(event: &str, members: &str) -> [Option<String>; 5] {
        let (service, event) = event.split_once(':').unwrap();
        let record = filled(&format!(
            r#"{{"eventSource":"{service}.amazonaws.com","eventName":"{event}","awsRegion":"us-east-1",
                "recipientAccountId":"111122223333","userIdentity":{{"type":"AWSAccount","principalId":"A",
                "accountId":"111122223333"}},{members}}}"#
        ));
        let mut tree = JsonTree::new();
        let record = Record::of(tree.parse(record.as_bytes()).unwrap());
        let row = normalize(&record, &AccountHints::default(), ColumnSet::all());
        [row.key_arn, row.key_source, row.source_key_arn, row.requested_alias, row.account_side]
            .map(|text| text.map(Cow::into_owned))
    }

    #[test]
    fn a_record_names_its_keys_and_its_side() {
        for (event, members, expected) in [
            // The owner of a key gets a copy, unless another service was only asked to use it.
            ("kms:Decrypt", r#""requestParameters":{"keyId":"<A>"}"#, ["<A>", "request", "", "", "same"]),
            ("kms:Decrypt", r#""requestParameters":{"keyId":"<C>"}"#, ["<C>", "request", "", "", "caller"]),
            ("s3:PutObject", r#""requestParameters":{"kmsKeyId":"<C>"}"#, ["<C>", "request", "", "", "same"]),
            ("s3:PutObject", r#""resources":[{"ARN":"<C>"}]"#, ["<C>", "resources", "", "", "caller"]),
            // Of two keys, or of one, the source and the destination.
            ("kms:ReEncrypt", r#""resources":[{"ARN":"<A>"},{"ARN":"<B>"}]"#, ["<B>", "resources", "<A>", "", "same"]),
            ("kms:ReEncrypt", r#""resources":[{"ARN":"<A>"}]"#, ["<A>", "resources", "", "", "same"]),
            (
                "kms:ReEncrypt",
                r#""resources":[{"ARN":"<A>"}],"requestParameters":{"sourceKeyId":"<A>"}"#,
                ["", "", "<A>", "", "same"],
            ),
            (
                "kms:ReEncrypt",
                r#""resources":[{"ARN":"<A>"}],"requestParameters":{"sourceKeyId":"<B>"}"#,
                ["<A>", "resources", "<B>", "", "same"],
            ),
            (
                "kms:ReEncrypt",
                r#""resources":[{"ARN":"<A>"}],"requestParameters":{"destinationKeyId":"<B>"}"#,
                ["<B>", "request", "<A>", "", "same"],
            ),
            (
                "kms:ReEncrypt",
                r#""errorCode":"DisabledException","errorMessage":"<A> is disabled","requestParameters":{"sourceKeyId":"<A>"}"#,
                ["", "", "<A>", "", "same"],
            ),
            (
                "kms:ReEncrypt",
                r#""errorCode":"DisabledException","errorMessage":"<B> is disabled","requestParameters":{"sourceKeyId":"<A>"}"#,
                ["<B>", "error_message", "<A>", "", "same"],
            ),
            (
                "kms:ReEncrypt",
                r#""errorCode":"AccessDenied","errorMessage":"User: x is not authorized to perform: kms:ReEncryptFrom on resource: <B>","requestParameters":{"sourceKeyId":"<A>"}"#,
                ["", "", "<A>", "", "same"],
            ),
            // Aliases.
            (
                "kms:CreateAlias",
                r#""requestParameters":{"aliasName":"alias/a","targetKeyId":"<A>"}"#,
                ["<A>", "request", "", "alias/a", "same"],
            ),
            (
                "kms:UpdateAlias",
                r#""requestParameters":{"aliasName":"a","targetKeyId":"alias/b"}"#,
                ["", "", "", "alias/b", "same"],
            ),
            (
                "kms:Encrypt",
                r#""requestParameters":{"aliasName":"a","targetKeyId":"alias/b"}"#,
                ["", "", "", "", "same"],
            ),
            ("kms:Encrypt", r#""requestParameters":{"keyId":"alias/b"}"#, ["", "", "", "alias/b", "same"]),
        ] {
            let expected = expected.map(|text| (!text.is_empty()).then(|| filled(text)));
            assert_eq!(decided(event, members), expected, "{event} {members}");
        }
    }

    #[test]
    fn an_alias_in_a_message_is_whole() {
        let alias = "arn:aws:kms:us-east-1:111122223333:alias/a";
        let far = "x".repeat(1100);
        for (message, expected) in [
            (alias.to_owned(), Some(alias)),
            (format!("Alias {alias} is not found."), Some(alias)),
            (format!("{far} {alias} is not found."), Some(alias)),
            (format!("{far} {alias}"), None),
            ("arn:aws:kms:us-east-1:111122223333:alias/ is none".to_owned(), None),
            ("arn:aws:kms:us-east-1:1111:alias/a".to_owned(), None),
            ("arn:aws:kms:nowhere:111122223333:alias/a".to_owned(), None),
            ("arn:aws:kms:us-east-1:111122223333:key/a".to_owned(), None),
            (format!("arn:aws:kms:us-east-1:1111:alias/b {alias}"), Some(alias)),
        ] {
            assert_eq!(named_alias(&message), expected, "{message}");
        }
    }
}
