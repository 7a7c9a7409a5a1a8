//! The Regions of AWS that this version knows.
//! In: a Region's name. Out: whether it is one of them, or could be a newer one.
//! Never decides that a Region unknown here does not exist: where logs are of it, it does.

use crate::arn::{is_region, partition_of};

/// By partition, as the `partitions.json` of botocore 1.44.8 (November 2026) has them.
const KNOWN: [(&str, &[&str]); 8] = [
    ("aws", &COMMERCIAL),
    ("aws-cn", &["cn-north-1", "cn-northwest-1"]),
    ("aws-eusc", &["eusc-de-east-1"]),
    ("aws-iso", &["us-iso-east-1", "us-iso-west-1"]),
    ("aws-iso-b", &["us-isob-east-1", "us-isob-west-1"]),
    ("aws-iso-e", &["eu-isoe-west-1"]),
    ("aws-iso-f", &["us-isof-east-1", "us-isof-south-1"]),
    ("aws-us-gov", &["us-gov-east-1", "us-gov-west-1"]),
];

/// Regions of AWS's commercial partition that take requests; a Region that the account has not enabled refuses them.
pub const COMMERCIAL: [&str; 34] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The Regions in which a partition logs what is of no Region, the changes of IAM, STS and Organizations, as the
/// endpoints of botocore 1.44.8 have them.
const GLOBAL: [(&str, &[&str]); 8] = [
    ("aws", &["us-east-1"]),
    ("aws-cn", &["cn-north-1", "cn-northwest-1"]),
    ("aws-eusc", &["eusc-de-east-1"]),
    ("aws-iso", &["us-iso-east-1"]),
    ("aws-iso-b", &["us-isob-east-1"]),
    ("aws-iso-e", &["eu-isoe-west-1"]),
    ("aws-iso-f", &["us-isof-south-1"]),
    ("aws-us-gov", &["us-gov-west-1"]),
];

/// Regions that AWS has named and that took no requests yet.
const ANNOUNCED: [&str; 2] = ["me-west-1", "sa-west-1"];

/// The directions in the names of all Regions.
const DIRECTIONS: [&str; 9] =
    ["central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west"];

/// Every Region that this version knows.
pub fn known() -> impl Iterator<Item = &'static str> {
    KNOWN.into_iter().flat_map(|(_, regions)| regions.iter().copied()).chain(ANNOUNCED)
}

/// The Regions that log what is of no Region in the partitions of these Regions.
pub fn global_of<'r>(regions: impl IntoIterator<Item = &'r str>) -> Vec<&'static str> {
    let partitions: Vec<&str> = regions.into_iter().map(partition_of).collect();
    GLOBAL.into_iter().filter(|(name, _)| partitions.contains(name)).flat_map(|(_, regions)| regions).copied().collect()
}

/// True for a Region that this version knows.
pub fn is_known(region: &str) -> bool {
    known().any(|known| known == region)
}

/// True for a known Region, and for a name that a newer one may have: shaped like all of them, with a direction in it.
pub fn may_exist(region: &str) -> bool {
    let direction = region.rsplit('-').nth(1).unwrap_or_default();
    is_known(region) || (is_region(region) && DIRECTIONS.contains(&direction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_region_has_its_shape_and_partition() {
        for (partition, regions) in KNOWN {
            for region in regions {
                assert!(is_region(region) && partition_of(region) == partition, "{region}");
            }
        }
        assert!(known().all(may_exist));
    }

    #[test]
    fn each_partition_logs_global_changes_in_regions_of_its_own() {
        for (partition, regions) in GLOBAL {
            assert!(regions.iter().all(|region| is_known(region) && partition_of(region) == partition), "{partition}");
        }
        for (asked, expected) in [
            (&[][..], &[][..]),
            (&["eu-west-1", "us-west-2"], &["us-east-1"]),
            (&["us-gov-east-1"], &["us-gov-west-1"]),
            (&["eu-west-1", "cn-north-1"], &["us-east-1", "cn-north-1", "cn-northwest-1"]),
        ] {
            assert_eq!(global_of(asked.iter().copied()), expected, "{asked:?}");
        }
    }

    #[test]
    fn a_slip_is_no_region() {
        for (region, is_known_here, exists) in [
            ("us-east-1", true, true),
            ("us-east-9", false, true),
            ("nz-south-1", false, true),
            ("us-esat-1", false, false),
            ("us-east", false, false),
        ] {
            assert_eq!((is_known(region), may_exist(region)), (is_known_here, exists), "{region}");
        }
    }
}
