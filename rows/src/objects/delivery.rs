//! The delivery that an object's name tells of: its account, Region and minute.
//! In: the URI of an object. Out: a [`Delivery`], where AWS named the object. Never opens it.

use crate::arn::{is_account_id, is_region};
use crate::time::parse_rfc3339;

/// A delivery of CloudTrail's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'u> {
    pub account: &'u str,
    pub region: &'u str,
    /// In microseconds since 1970: nothing in it is later.
    pub micros: i64,
}

impl<'u> Delivery<'u> {
    /// Reads `…/ACCOUNT_CloudTrail_REGION_20260310T1435Z_UNIQUE.json.gz`.
    pub fn of(uri: &'u str) -> Option<Delivery<'u>> {
        let name = uri.rsplit('/').next()?;
        let mut parts = name.split('_');
        let (account, kind, region, stamp) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_right = is_account_id(account) && kind.starts_with("CloudTrail") && is_region(region);
        Some(Delivery { account, region, micros: minute(stamp)? }).filter(|_| is_right)
    }
}

/// The folder of AWS's from which on names are alike in every bucket and every copy.
pub const TOP_FOLDER: &str = "AWSLogs/";

/// The organization under whose folder CloudTrail put an object: `…/AWSLogs/o-ID/ACCOUNT/…`.
pub fn organization_of(uri: &str) -> Option<&str> {
    let at = uri.rfind(TOP_FOLDER).filter(|at| *at == 0 || uri.as_bytes()[at - 1] == b'/')?;
    let (folder, _) = uri[at + TOP_FOLDER.len()..].split_once('/')?;
    folder.starts_with("o-").then_some(folder)
}

/// Reads `20260310T1435Z`.
fn minute(stamp: &str) -> Option<i64> {
    let digits = stamp.strip_suffix('Z').filter(|stamp| stamp.len() == "20260310T1435".len() && stamp.is_ascii())?;
    let (date, time) = digits.split_once('T')?;
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    parse_rfc3339(&format!("{year}-{month}-{day}T{}:{}:00Z", time.get(..2)?, time.get(2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_tells_the_organization() {
        for (uri, expected) in [
            ("s3://b/AWSLogs/o-exampleorg/111122223333/CloudTrail/x.json.gz", Some("o-exampleorg")),
            ("AWSLogs/o-exampleorg/x", Some("o-exampleorg")),
            ("/copies/o-other/AWSLogs/o-exampleorg/x", Some("o-exampleorg")),
            ("s3://b/o-exampleorg/AWSLogs/111122223333/CloudTrail/x.json.gz", None),
            ("s3://b/myAWSLogs/o-exampleorg/x", None),
            ("AWSLogs/o-file.json", None),
            ("x.json", None),
        ] {
            assert_eq!(organization_of(uri), expected, "{uri}");
        }
    }

    #[test]
    fn the_name_of_a_log_tells_its_delivery() {
        let name = "s3://b/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/10/111122223333_CloudTrail_eu-west-1_20260310T1435Z_x.json.gz";
        let found = Delivery::of(name).unwrap();
        assert_eq!((found.account, found.region), ("111122223333", "eu-west-1"));
        assert_eq!(Some(found.micros), parse_rfc3339("2026-03-10T14:35:00Z"));
        for other in [
            "",
            "events.json",
            "111122223333_CloudTrail_eu-west-1_20260310T1435_x.json.gz",
            "11112222333_CloudTrail_eu-west-1_20260310T1435Z_x.json.gz",
            "111122223333_vpcflowlogs_eu-west-1_20260310T1435Z_x.gz",
            "111122223333_CloudTrail_eu-west-1_20269910T1435Z_x.json.gz",
            "111122223333_CloudTrail_eu-west-1_é0260310T143Z_x.json.gz",
        ] {
            assert_eq!(Delivery::of(other), None, "{other}");
        }
    }
}
