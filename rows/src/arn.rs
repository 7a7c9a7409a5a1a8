//! Takes AWS names apart and compares their shapes: ARNs, account ids, Regions, UUIDs, names of services.
//! In: text of a record. Out: borrowed parts, or `None` where the text has another shape.
//! Never looks anything up and never repairs a name.

use std::borrow::Cow;

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`. Only the partition, service and resource are never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    pub partition: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Takes a text apart at its first five colons, so that a resource may hold more. None where a part is missing.
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        let mut rest = text.strip_prefix("arn:")?;
        // The parts are too short for a search that is made for long texts.
        let mut next = || {
            let (part, after) = rest.split_at(rest.bytes().position(|byte| byte == b':')?);
            rest = &after[1..];
            Some(part)
        };
        let (partition, service, region, account) = (next()?, next()?, next()?, next()?);
        let arn = Arn { partition, service, region, account, resource: rest };
        let complete = !arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty();
        complete.then_some(arn)
    }

    /// The name after `kind` and a `/` or `:` in the resource, as in `key/ID`, `secret:NAME`.
    pub fn resource_of(&self, kind: &str) -> Option<&'a str> {
        let name = self.resource.strip_prefix(kind)?.strip_prefix(['/', ':'])?;
        (!name.is_empty()).then_some(name)
    }

    /// The id in the ARN of a KMS key.
    pub fn kms_key_id(&self) -> Option<&'a str> {
        let id = self.resource.strip_prefix("key/").filter(|_| self.service == "kms")?;
        let located = !self.region.is_empty() && !self.account.is_empty();
        (located && !id.is_empty() && !id.contains(['/', ':', ' '])).then_some(id)
    }

    /// True for the ARN of a KMS alias, whose resource is `alias/NAME`.
    pub fn is_kms_alias(&self) -> bool {
        self.service == "kms" && self.resource.starts_with("alias/")
    }
}

/// True for twelve digits.
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// True for text shaped like a Region's name: `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`, and those of the future.
pub fn is_region(text: impl AsRef<[u8]>) -> bool {
    let text = text.as_ref();
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(words) = text[..text.len() - digits].strip_suffix(b"-").filter(|_| digits > 0) else { return false };
    let (mut dashes, mut before) = (0, b'-');
    for &byte in words {
        match byte {
            b'-' if before != b'-' => dashes += 1,
            b'a'..=b'z' => {}
            _ => return false,
        }
        before = byte;
    }
    dashes > 0 && before != b'-'
}

/// The partition that a Region belongs to.
pub fn partition_of(region: &str) -> &'static str {
    const PARTITIONS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// True for thirty-two hexadecimal digits in AWS's grouping 8-4-4-4-12, of either case.
pub fn is_uuid(text: &str) -> bool {
    let Ok(bytes) = <&[u8; 36]>::try_from(text.as_bytes()) else { return false };
    // Looks at all bytes without leaving early, so that many are looked at at once.
    let digits = bytes.iter().fold(0, |digits, byte| digits + u8::from(byte.is_ascii_hexdigit()));
    digits == 32 && [8, 13, 18, 23].iter().all(|&at| bytes[at] == b'-')
}

/// True for the id of a multi-Region KMS key as AWS makes it: `mrk-` and 32 hexadecimal digits.
pub fn is_multi_region_id(text: &str) -> bool {
    text.strip_prefix("mrk-").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A UUID in lower case; any other text as it is.
pub fn lower_uuid(text: Cow<'_, str>) -> Cow<'_, str> {
    // Nearly all are in lower case already.
    let is_shouted = text.bytes().any(|byte| byte.is_ascii_uppercase()) && is_uuid(&text);
    if is_shouted { Cow::Owned(text.to_ascii_lowercase()) } else { text }
}

/// The short name of the service behind a principal such as `dynamodb.amazonaws.com`,
/// `logs.eu-west-1.amazonaws.com` or `fas.s3.amazonaws.com`: its last label that is not a Region.
pub fn service_of(principal: &str) -> Option<&str> {
    let labels = principal.strip_suffix(".amazonaws.com").or_else(|| principal.strip_suffix(".amazonaws.com.cn"))?;
    let plain = |label: &&str| label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if labels.split('.').any(|label| label.is_empty() || !plain(&label)) {
        return None;
    }
    // `resource-explorer-2` is a service whose name has the shape of a Region's.
    labels.rsplit('.').find(|label| !is_region(label)).or(Some(labels).filter(|labels| !labels.contains('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_need_partition_service_and_resource() {
        let arn = Arn::parse("arn:aws:kms:us-east-1:111122223333:key/1234abcd").unwrap();
        assert_eq!((arn.region, arn.account, arn.kms_key_id()), ("us-east-1", "111122223333", Some("1234abcd")));
        assert_eq!(Arn::parse("arn:aws:s3:::bucket/a:b").unwrap().resource, "bucket/a:b");
        for bad in ["", "arn:aws:kms", "arn:aws:kms:r:a:", "arn::kms:r:a:key/x", "ARN:aws:kms:r:a:key/x"] {
            assert_eq!(Arn::parse(bad), None, "{bad}");
        }
        for not_key in ["arn:aws:kms:r:a:alias/x", "arn:aws:s3:::key/x", "arn:aws:kms:r:a:key/", "arn:aws:kms::a:key/x"]
        {
            assert_eq!(Arn::parse(not_key).and_then(|arn| arn.kms_key_id()), None, "{not_key}");
        }
    }

    #[test]
    fn a_region_ends_in_a_number() {
        for region in ["us-east-1", "us-gov-west-1", "eusc-de-east-1", "xx-y-10"] {
            assert!(is_region(region), "{region}");
        }
        for other in ["", "1", "-1", "us1", "us-east-", "us-east", "us--east-1", "-us-east-1", "us-East-1", "us-east1"]
        {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn a_resource_is_of_its_kind_and_has_a_name() {
        fn arn(resource: &str) -> Arn<'_> {
            Arn { partition: "aws", service: "kms", region: "r", account: "a", resource }
        }
        for (resource, name) in [
            ("role/x", Some("x")),
            ("role:x", Some("x")),
            ("role/path/x", Some("path/x")),
            ("role/", None),
            ("role", None),
            ("rolex", None),
            ("user/x", None),
        ] {
            assert_eq!(arn(resource).resource_of("role"), name, "{resource}");
        }
        for id in ["", "x/y", "x:y", "x y"] {
            assert_eq!(arn(&format!("key/{id}")).kms_key_id(), None, "{id}");
        }
        assert_eq!(Arn { account: "", ..arn("key/x") }.kms_key_id(), None);
        assert!(arn("alias/x").is_kms_alias() && !arn("key/alias/x").is_kms_alias());
        assert!(!Arn { service: "s3", ..arn("alias/x") }.is_kms_alias());
        for bad in ["arn::kms:r:a:key/x", "arn:aws::r:a:key/x", "arn:aws:kms:r:a:"] {
            assert_eq!(Arn::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_digit_of_an_id_counts() {
        for id in ["mrk-0123456789abcdef0123456789abcdeF", "mrk-00000000000000000000000000000000"] {
            assert!(is_multi_region_id(id), "{id}");
        }
        for other in ["mrk-", "mrk-0123456789abcdef0123456789abcde", "mrk-0123456789abcdef0123456789abcdeg"] {
            assert!(!is_multi_region_id(other), "{other}");
        }
        assert!(is_uuid("0f1e2d3c-0000-4000-8000-00000000000A") && is_uuid("0F1E2D3C-0000-4000-8000-000000000001"));
        for other in [
            "0f1e2d3c-0000-4000-8000-00000000000",
            "0f1e2d3c-0000-4000-8000-00000000000g",
            "0f1e2d3c00000-4000-8000-000000000001",
            "0f1e2d3c-0000-4000-8000000-000000001",
        ] {
            assert!(!is_uuid(other), "{other}");
        }
    }

    #[test]
    fn services_lose_regions_and_wrappers() {
        for (principal, service) in [
            ("dynamodb.amazonaws.com", Some("dynamodb")),
            ("fas.s3.amazonaws.com", Some("s3")),
            ("logs.us-gov-west-1.amazonaws.com", Some("logs")),
            ("us-east-1.signin.amazonaws.com", Some("signin")),
            ("replication.dynamodb.amazonaws.com", Some("dynamodb")),
            ("kms.amazonaws.com.cn", Some("kms")),
            ("resource-explorer-2.amazonaws.com", Some("resource-explorer-2")),
            ("AWS Internal", None),
            (".amazonaws.com", None),
            ("<b>.amazonaws.com", None),
            ("dynamodb.amazonaws.com.example", None),
        ] {
            assert_eq!(service_of(principal), service, "{principal}");
        }
    }

    #[test]
    fn account_ids_regions_and_uuids_are_told_by_their_shape() {
        assert!(is_region("us-east-1") && is_region("ap-southeast-10") && is_region("mars-north-1"));
        for other in
            ["us-east", "../../x", "", "ec2-1", "east-1", "us--east-1", "-east-1", "us-east-a1", "us-1-1", "us-east1"]
        {
            assert!(!is_region(other), "{other}");
        }
        assert!(is_account_id("111122223333") && !is_account_id("11112222333") && !is_account_id("anonymous123"));
        assert_eq!(partition_of("us-gov-east-1"), "aws-us-gov");
        assert_eq!(partition_of("us-east-1"), "aws");
        let upper = Cow::Borrowed("0F1E2D3C-0000-4000-8000-000000000001");
        assert_eq!(lower_uuid(upper), "0f1e2d3c-0000-4000-8000-000000000001");
        assert_eq!(lower_uuid(Cow::Borrowed("NOT-A-UUID")), "NOT-A-UUID");
    }
}
