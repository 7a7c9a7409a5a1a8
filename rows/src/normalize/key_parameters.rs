//! Finds the KMS key that another service's record names in its parameters.
//! In: `requestParameters` of a record that is not KMS's. Out: the one key or alias that it names, as the caller wrote it.
//! Never chooses among keys of one rank, or among any where the call failed, and never takes a key that a policy's text, a
//! tag or a finding mentions for one that the call uses. The names are those of AWS's API models (botocore 1.44.8).

use std::borrow::Cow;

use super::key_arn::{key_arns_in, resolve};
use super::members::Members;
use super::row::{Row, Text, part};
use crate::arn::{Arn, is_multi_region_id, is_uuid};
use crate::json::{JsonKind, Value};

/// Ends of the names of parameters that hold a key, where the name speaks of KMS: `kmsKeyId`, `KMSMasterKeyID`,
/// `x-amz-server-side-encryption-aws-kms-key-id`, `performanceInsightsKMSKeyId`.
const KMS_NAME_ENDS: [&str; 7] = ["key", "keyid", "keyarn", "keyidentifier", "kmsarn", "kmsaliasarn", "kmsaliasname"];

/// Names that do not speak of KMS. Only an ARN or an alias there is surely one of KMS.
const OTHER_NAMES: [&str; 21] = [
    "cmkarn",
    "customerencryptionkeyarn",
    "customerencryptionkeyid",
    "customermanagedkey",
    "customermanagedkeyidentifier",
    "defaultencryptionkey",
    "ebsencryptionkeyarn",
    "encryptionkey",
    "encryptionkeyarn",
    "encryptionkeyoverride",
    "keyarn",
    "keyid",
    "keyidupdate",
    "keymanagementservicearn",
    "parametersencryptionkey",
    "resourcekey",
    "s3encryptionkeyid",
    "signkey",
    "sseawskmskey",
    "volumeencryptionkey",
    "xraykeyid",
];

/// Names that hold a key only inside of a member that speaks of encryption.
const NAMES_INSIDE: [&str; 3] = ["arn", "id", "key"];

/// Services whose bare `keyId` is a key of KMS.
const PLAIN_KEY_ID: [&str; 3] = ["kinesis.amazonaws.com", "ssm.amazonaws.com", "xray.amazonaws.com"];

/// Members that hold what clients write, or tell of resources that the call does not touch.
const OF_OTHERS: [&str; 12] = [
    "environment",
    "expressionattributevalues",
    "findings",
    "item",
    "key",
    "labels",
    "metadata",
    "requestitems",
    "tags",
    "tagset",
    "tagspecificationset",
    "variables",
];

/// The names of the one key that a call is about, where others stand beside it.
const PLAIN_NAMES: [&str; 9] = [
    "awskmskey",
    "keyid",
    "kmskey",
    "kmskeyarn",
    "kmskeyid",
    "kmskeyidentifier",
    "kmsmasterkeyid",
    "ssekmskeyid",
    "xamzserversideencryptionawskmskeyid",
];

/// Attributes that are sent as a name and a value.
const ATTRIBUTES: [(&str, &str); 1] = [("attributeName", "attributeValue")];

/// Members whose text is JSON with the ARN of a key in it.
const JSON_TEXTS: [&str; 2] = ["securityconfiguration", "premigrationassessmentsettings"];

/// Parameters are not looked into deeper than this; AWS's models nest keys up to seven levels.
const DEPTH_MAX: usize = 10;

/// A key or an alias as a request names it.
pub(super) struct NamedKey<'a>(Text<'a>);

impl<'a> NamedKey<'a> {
    /// The key that the parameters name; none where it is not told which of several it is.
    pub(super) fn of(members: &Members<'a>, row: &Row<'_>) -> Option<NamedKey<'a>> {
        let parameters = members.request_parameters()?;
        // The data that is copied or moved was under another key than the one that the request names.
        let reads = ["kms:Decrypt", "kms:ReEncryptFrom"];
        let denied = row.denied_action.as_deref().unwrap_or_default();
        if reads.iter().any(|read| read.eq_ignore_ascii_case(denied)) {
            return None;
        }
        let has_plain_id = row.event_source.as_deref().is_some_and(|source| PLAIN_KEY_ID.contains(&source));
        if !has_plain_id && !may_name_kms(parameters.raw()) {
            return None;
        }
        let mut search = Search { has_plain_id, row, found: Vec::new() };
        search.look_into(parameters, &MembersAbove { depth: 0, speaks_of_encryption: false, is_elsewhere: false });
        // Which of several keys was refused is not told. Of a call that succeeded, it is the one in the plainest place.
        let has_failed = row.outcome.as_deref().is_some_and(|outcome| outcome != "success");
        let plainest = search.found.iter().map(|found| found.rank).min()?;
        search.found.retain(|found| has_failed || found.rank == plainest);
        let first = search.found.pop()?;
        search.found.iter().all(|other| other.key == first.key).then_some(NamedKey(first.text))
    }

    /// Its ARN; none for an alias, whose key takes history to know.
    pub(super) fn into_key(self, row: &Row<'_>) -> Option<Text<'a>> {
        resolve(self.0, row)
    }

    pub(super) fn into_alias(self) -> Option<Text<'a>> {
        is_alias(&self.0).then_some(self.0)
    }
}

/// What the members above a value say of it.
struct MembersAbove {
    depth: usize,
    speaks_of_encryption: bool,
    /// In another Region, so that an id or an alias there says nothing of this one.
    is_elsewhere: bool,
}

/// A key among the parameters.
struct FoundKey<'a> {
    text: Text<'a>,
    /// The same as an ARN, so that a key named twice is one.
    key: Text<'a>,
    /// Small for plain names near the top.
    rank: usize,
}

struct Search<'a, 'r> {
    has_plain_id: bool,
    row: &'r Row<'r>,
    found: Vec<FoundKey<'a>>,
}

impl<'a> Search<'a, '_> {
    fn look_into(&mut self, value: Value<'a>, around: &MembersAbove) {
        if around.depth == DEPTH_MAX {
            return;
        }
        match value.kind() {
            JsonKind::Object => {
                for (name, content) in ATTRIBUTES {
                    let attribute = value.get(name).and_then(Value::text);
                    if let (Some(name), Some(content)) = (attribute, value.get(content)) {
                        self.look_at(PlainName::of(&name).text(), content, around);
                    }
                }
                for (name, member) in value.members() {
                    self.look_at_each(PlainName::of(&name).text(), member, around);
                }
            }
            JsonKind::Array => value.items().for_each(|item| self.look_into(item, around)),
            _ => {}
        }
    }

    /// Looks at a member, or at each item of one that is a list of texts.
    fn look_at_each(&mut self, name: &str, value: Value<'a>, around: &MembersAbove) {
        if value.kind() == JsonKind::Array {
            value
                .items()
                .filter(|item| item.kind() == JsonKind::String)
                .for_each(|item| self.look_at(name, item, around));
        }
        self.look_at(name, value, around);
    }

    fn look_at(&mut self, name: &str, value: Value<'a>, around: &MembersAbove) {
        if matches!(value.kind(), JsonKind::Object | JsonKind::Array) {
            if !OF_OTHERS.contains(&name) {
                let words = ["encrypt", "kms", "sse", "provider", "keyregistration"];
                let below = MembersAbove {
                    depth: around.depth + 1,
                    speaks_of_encryption: words.iter().any(|word| name.contains(word)),
                    is_elsewhere: around.is_elsewhere || name.contains("replica") || name.contains("region"),
                };
                self.look_into(value, &below);
            }
            return;
        }
        let Some(text) = value.text() else { return };
        let text = part(&text, |text| Some(text.trim())).unwrap_or_default();
        if JSON_TEXTS.contains(&name) && text.starts_with('{') {
            return key_arns_in(&text).for_each(|arn| self.add(Cow::Owned(arn.to_owned()), around.depth * 2));
        }
        let is_arn = Arn::parse(&text).is_some_and(|arn| arn.kms_key_id().is_some() || arn.is_kms_alias());
        let is_proved = is_arn || text.starts_with("alias/") && !around.is_elsewhere;
        let is_id = (is_uuid(&text) || is_multi_region_id(&text)) && !around.is_elsewhere;
        let says_kms = name.contains("kms") && KMS_NAME_ENDS.iter().any(|end| name.ends_with(end));
        let is_key = says_kms && (is_proved || is_id)
            || OTHER_NAMES.contains(&name) && is_proved
            || NAMES_INSIDE.contains(&name) && around.speaks_of_encryption && is_proved
            || name == "keyid" && self.has_plain_id && (is_proved || is_id);
        if is_key {
            let is_plain = PLAIN_NAMES.contains(&name);
            self.add(text, around.depth * 2 + usize::from(!is_plain));
        }
    }

    fn add(&mut self, text: Text<'a>, rank: usize) {
        let key = resolve(text.clone(), self.row).unwrap_or_else(|| text.clone());
        self.found.push(FoundKey { text, key, rank });
    }
}

/// True where `kms` or `alias/` stands anywhere, without which no parameter names a key.
fn may_name_kms(parameters: &[u8]) -> bool {
    let is_kms = |at: usize| parameters.get(at..at + 3).is_some_and(|word| word.eq_ignore_ascii_case(b"kms"));
    memchr::memchr2_iter(b'k', b'K', parameters).any(is_kms) || memchr::memmem::find(parameters, b"alias/").is_some()
}

/// Longest name of a parameter that is looked at.
const NAME_BYTES_MAX: usize = 64;

/// A name in small letters, without `-` and `_`: services spell one name in many ways. Empty if it is too long for one.
struct PlainName {
    bytes: [u8; NAME_BYTES_MAX],
    length: usize,
}

impl PlainName {
    fn of(name: &str) -> PlainName {
        let mut plain = PlainName { bytes: [0; NAME_BYTES_MAX], length: 0 };
        let kept = name.bytes().filter(|byte| !matches!(byte, b'-' | b'_'));
        for (place, byte) in plain.bytes.iter_mut().zip(kept) {
            *place = byte.to_ascii_lowercase();
            plain.length += 1;
        }
        if name.len() > NAME_BYTES_MAX {
            plain.length = 0;
        }
        plain
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

fn is_alias(text: &str) -> bool {
    text.starts_with("alias/") || Arn::parse(text).is_some_and(|arn| arn.is_kms_alias())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonTree;
    use crate::normalize::{AccountHints, ColumnSet, Record, normalize};

    const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/0f1e2d3c-1111-4222-8333-44445555aaaa";

    fn named(service: &str, parameters: &str) -> [Option<String>; 2] {
        let record = format!(
            r#"{{"eventSource":"{service}.amazonaws.com","eventName":"x","awsRegion":"eu-west-1","recipientAccountId":"111122223333","requestParameters":{parameters}}}"#
        );
        let mut tree = JsonTree::new();
        let record = Record::of(tree.parse(record.as_bytes()).unwrap());
        let row = normalize(&record, &AccountHints::default(), ColumnSet::all());
        assert_eq!(row.key_source.is_some(), row.key_arn.is_some());
        [row.key_arn, row.requested_alias].map(|text| text.map(Cow::into_owned))
    }

    /// One request of each service that documents a context, and of others whose names differ.
    #[test]
    fn services_name_a_key_in_their_own_ways() {
        for (service, parameters) in [
            ("s3", r#"{"bucketName":"b","x-amz-server-side-encryption-aws-kms-key-id":KEY}"#),
            (
                "s3",
                r#"{"ServerSideEncryptionConfiguration":{"Rule":{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":KEY}}}}"#,
            ),
            ("s3", r#"{"InventoryConfiguration":{"Destination":{"Encryption":{"SSEKMS":{"KeyId":KEY}}}}}"#),
            ("ec2", r#"{"blockDeviceMapping":{"items":[{"ebs":{"kmsKeyId":KEY}}]}}"#),
            ("secretsmanager", r#"{"name":"s","kmsKeyId":KEY}"#),
            ("ssm", r#"{"name":"/p","keyId":KEY}"#),
            ("lambda", r#"{"functionName":"f","kMSKeyArn":KEY}"#),
            ("rds", r#"{"dBInstanceIdentifier":"d","kmsKeyId":KEY}"#),
            ("rds", r#"{"performanceInsightsKMSKeyId":KEY}"#),
            ("dsql", r#"{"kmsEncryptionKey":KEY}"#),
            ("sqs", r#"{"attributes":{"KmsMasterKeyId":KEY,"KmsDataKeyReusePeriodSeconds":"300"}}"#),
            ("sns", r#"{"attributeName":"KmsMasterKeyId","attributeValue":KEY}"#),
            ("sns", r#"{"attributes":{"KmsMasterKeyId":KEY}}"#),
            ("logs", r#"{"logGroupName":"g","kmsKeyId":KEY}"#),
            ("kinesis", r#"{"streamName":"s","encryptionType":"KMS","keyId":KEY}"#),
            ("elasticfilesystem", r#"{"encrypted":true,"kmsKeyId":KEY}"#),
            ("redshift", r#"{"clusterIdentifier":"c","kmsKeyId":KEY}"#),
            ("cloudtrail", r#"{"name":"t","kmsKeyId":KEY}"#),
            ("eks", r#"{"encryptionConfig":[{"resources":["secrets"],"provider":{"keyArn":KEY}}]}"#),
            ("appconfig", r#"{"kmsKeyIdentifier":KEY}"#),
            ("datazone", r#"{"kmsKeyIdentifier":KEY}"#),
            ("workmail", r#"{"kmsKeyArn":KEY}"#),
            ("ses", r#"{"rule":{"actions":[{"s3Action":{"kmsKeyArn":KEY}}]}}"#),
            ("workspaces", r#"{"workspaces":[{"volumeEncryptionKey":KEY}]}"#),
            ("aoss", r#"{"encryptionConfig":{"kmsKeyArn":KEY}}"#),
            ("glue", r#"{"encryptionConfiguration":{"s3Encryption":[{"kmsKeyArn":KEY}]}}"#),
            ("glue", r#"{"dataCatalogEncryptionSettings":{"encryptionAtRest":{"sseAwsKmsKeyId":KEY}}}"#),
            ("elasticmapreduce", r#"{"logEncryptionKmsKeyId":KEY}"#),
            (
                "elasticmapreduce",
                r#"{"securityConfiguration":"{\"AtRest\":{\"EncryptionKeyProviderType\":\"AwsKms\",\"AwsKmsKey\":\"ARN\"}}"}"#,
            ),
            ("appfabric", r#"{"customerManagedKeyIdentifier":KEY}"#),
            ("elastictranscoder", r#"{"awsKmsKeyArn":KEY}"#),
            ("dynamodb", r#"{"tableName":"t","sSESpecification":{"enabled":true,"kMSMasterKeyId":KEY}}"#),
            ("backup", r#"{"encryptionKeyArn":KEY}"#),
            ("firehose", r#"{"deliveryStreamEncryptionConfigurationInput":{"keyARN":KEY}}"#),
            ("codepipeline", r#"{"pipeline":{"artifactStore":{"encryptionKey":{"id":KEY,"type":"KMS"}}}}"#),
            ("sagemaker", r#"{"kms_key_arn":KEY}"#),
        ] {
            let parameters = parameters.replace("KEY", &format!("\"{ARN}\"")).replace("\"ARN", &format!("\"{ARN}"));
            let parameters = parameters.replace(r#"\"ARN\"#, &format!(r#"\"{ARN}\"#));
            assert_eq!(named(service, &parameters), [Some(ARN.to_owned()), None], "{service} {parameters}");
        }
    }

    #[test]
    fn ids_and_aliases_are_of_the_records_account_and_region() {
        let alias = Some("alias/orders".to_owned());
        let id = r#"{"kmsKeyId":"0F1E2D3C-1111-4222-8333-44445555AAAA"}"#;
        assert_eq!(named("logs", id), [Some(ARN.to_owned()), None]);
        assert_eq!(named("ssm", r#"{"keyId":"alias/orders"}"#), [None, alias.clone()]);
        let plain = r#"{"keyId":"0f1e2d3c-1111-4222-8333-44445555aaaa"}"#;
        assert_eq!(named("ssm", plain), [Some(ARN.to_owned()), None]);
        assert_eq!(named("backup", r#"{"keyId":"alias/orders"}"#), [None, alias.clone()]);
        assert_eq!(named("backup", r#"{"encryption":{"id":"alias/orders"}}"#), [None, alias.clone()]);
        assert_eq!(named("secretsmanager", r#"{"kmsKeyId":"alias/orders"}"#), [None, alias]);
    }

    #[test]
    fn other_values_and_several_keys_name_none() {
        let other = ARN.replace("aaaa", "bbbb");
        for (service, parameters) in [
            ("s3", r#"{"x-amz-server-side-encryption":"aws:kms"}"#.to_owned()),
            ("logs", r#"{"kmsKeyId":""}"#.to_owned()),
            ("logs", r#"{"kmsKeyId":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#.to_owned()),
            ("apigateway", r#"{"keyId":"0f1e2d3c-1111-4222-8333-44445555aaaa"}"#.to_owned()),
            (
                "payment-cryptography",
                r#"{"keyArn":"arn:aws:payment-cryptography:eu-west-1:111122223333:key/x"}"#.to_owned(),
            ),
            ("iam", format!(r#"{{"policyDocument":"{{\"Resource\":\"{ARN}\"}}"}}"#)),
            ("tagging", format!(r#"{{"resourceARNList":["{ARN}"]}}"#)),
            ("securityhub", format!(r#"{{"findings":[{{"details":{{"kmsKeyId":"{ARN}"}}}}]}}"#)),
            ("ec2", format!(r#"{{"items":[{{"kmsKeyId":"{ARN}"}},{{"kmsKeyId":"{other}"}}]}}"#)),
            // An id in another Region is a key there.
            (
                "secretsmanager",
                r#"{"addReplicaRegions":[{"kmsKeyId":"0f1e2d3c-1111-4222-8333-44445555aaaa"}]}"#.to_owned(),
            ),
            ("kafka", format!(r#"{{"kmsEncryptionContext":"{ARN}"}}"#)),
            ("backup", r#"{"other":{"id":"alias/orders"}}"#.to_owned()),
            ("backup", r#"{"encryption":{"name":"alias/orders"}}"#.to_owned()),
            ("backup", r#"{"encryption":{"id":"kms"}}"#.to_owned()),
            ("ssm", r#"{"name":"0f1e2d3c-1111-4222-8333-44445555aaaa"}"#.to_owned()),
            ("ssm", format!(r#"{{"name":"{ARN}"}}"#)),
            ("ssm", r#"{"keyId":"kms"}"#.to_owned()),
            ("rds", r#"{"replica":{"kmsKeyId":"0f1e2d3c-1111-4222-8333-44445555aaaa"}}"#.to_owned()),
            ("rds", r#"{"regions":{"kmsKeyId":"0f1e2d3c-1111-4222-8333-44445555aaaa"}}"#.to_owned()),
            ("rds", r#"{"regions":{"x":{"kmsKeyId":"0f1e2d3c-1111-4222-8333-44445555aaaa"}}}"#.to_owned()),
            ("rds", r#"{"regions":{"x":{"kmsKeyId":"alias/orders"}}}"#.to_owned()),
            ("rds", format!(r#"{{"{}KmsKeyId":"{ARN}"}}"#, "x".repeat(57))),
        ] {
            assert_eq!(named(service, &parameters), [None, None], "{service} {parameters}");
        }
        for (parameters, key) in [
            (format!(r#"{{"kmsKeyId":"{ARN}","performanceInsightsKMSKeyId":"{other}"}}"#), Some(ARN)),
            (format!(r#"{{"kmsKeyId":"{ARN}","nested":{{"kmsKeyId":"{other}"}}}}"#), Some(ARN)),
            (
                format!(r#"{{"a":{{"kmsKeyId":"{ARN}"}},"b":{{"kmsKeyId":"0f1e2d3c-1111-4222-8333-44445555aaaa"}}}}"#),
                Some(ARN),
            ),
            (format!(r#"{{"x-amz-server-side-encryption-aws-kms-key-id":["{ARN}"]}}"#), Some(ARN)),
            (format!(r#"{{"tags":{{"kmsKeyId":"{ARN}"}}}}"#), None),
            (format!(r#"{{"{}KmsKeyId":"{ARN}"}}"#, "x".repeat(56)), Some(ARN)),
            (format!(r#"{{"region":{{"kmsKeyId":"{ARN}"}}}}"#), Some(ARN)),
            // The plainest place counts: near the top first, and there a plain name.
            (format!(r#"{{"dataKmsKeyId":"{ARN}","x":{{"kmsKeyId":"{other}"}}}}"#), Some(ARN)),
            (format!(r#"{{"x":{{"securityConfiguration":"{{\"k\":\"{other}\"}}"}},"kmsKeyId":"{ARN}"}}"#), Some(ARN)),
            (
                format!(r#"{{"x":{{"securityConfiguration":"{{\"k\":\"{other}\"}}","dataKmsKeyId":"{ARN}"}}}}"#),
                Some(&other),
            ),
            (format!(r#"{{"kmsKeyId":"kms","x":{{"kmsKeyId":"{ARN}"}}}}"#), Some(ARN)),
            (format!(r#"{{"key":{{"kmsKeyId":"{ARN}"}}}}"#), None),
        ] {
            assert_eq!(named("rds", &parameters)[0].as_deref(), key, "{parameters}");
        }
        let twice = format!(r#"{{"items":[{{"kmsKeyId":"{ARN}"}},{{"kmsKeyId":"{ARN}"}}]}}"#);
        assert_eq!(named("ec2", &twice)[0].as_deref(), Some(ARN));
    }
}
