//! The IAM policy that a run of `ingest` needs, and no more.
//! In: locations, a store and the partition of AWS. Out: a policy document. Never sends a request to AWS.

use serde_json::{Value, json};

use crate::source::Location;

/// Grants the reads at the locations, and the reads and writes at the store.
pub fn policy(locations: &[Location], store: &Location, partition: &str) -> Value {
    let mut statements = Vec::new();
    let mut encrypted = Vec::new();
    for (number, location) in locations.iter().enumerate() {
        if let Some((bucket, prefix)) = bucket_of(location) {
            let place = format!("arn:{partition}:s3:::{bucket}");
            statements.extend(on_bucket(&format!("Logs{}", number + 1), &place, prefix, &["s3:GetObject"]));
            encrypted.push("kms:Decrypt");
        } else if matches!(location, Location::History(_)) {
            statements.push(json!({
                "Sid": format!("ReadEventHistory{}", number + 1), "Effect": "Allow", "Action": ["cloudtrail:LookupEvents"], "Resource": "*",
            }));
        }
    }
    if let Some((bucket, prefix)) = bucket_of(store) {
        let actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];
        statements.extend(on_bucket("Store", &format!("arn:{partition}:s3:::{bucket}"), prefix, &actions));
        encrypted.extend(["kms:Decrypt", "kms:GenerateDataKey"]);
    }
    encrypted.sort_unstable();
    encrypted.dedup();
    if !encrypted.is_empty() {
        // The name of a bucket does not tell its key, so the statement covers every key, but only for S3's calls.
        statements.push(json!({
            "Sid": "UseKeysOfTheBuckets", "Effect": "Allow", "Action": encrypted, "Resource": "*",
            "Condition": {"StringLike": {"kms:ViaService": names_of_s3(partition)}},
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn bucket_of(location: &Location) -> Option<(&str, &str)> {
    let Location::S3(path) = location else { return None };
    Some((&path.bucket, &path.prefix))
}

/// The names under which S3 calls KMS. AWS documents those of the first two partitions; in China services are seen
/// under both endings.
fn names_of_s3(partition: &str) -> Value {
    match partition {
        "aws" | "aws-us-gov" => json!("s3.*.amazonaws.com"),
        "aws-cn" => json!(["s3.*.amazonaws.com.cn", "s3.*.amazonaws.com"]),
        _ => json!("s3.*"),
    }
}

/// The statements on a bucket, which its ARN names.
fn on_bucket(what: &str, bucket: &str, prefix: &str, actions: &[&str]) -> [Value; 2] {
    let mut list = json!({
        "Sid": format!("List{what}"), "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": bucket,
    });
    // These are the folder and an object with exactly its name, but no name that only begins alike.
    let mut resources = vec![format!("{bucket}/*")];
    if !prefix.is_empty() {
        list["Condition"] = json!({"StringLike": {"s3:prefix": [prefix, format!("{prefix}/*")]}});
        resources = ["", "/*"].map(|end| format!("{bucket}/{prefix}{end}")).to_vec();
    }
    let objects = json!({
        "Sid": format!("Use{what}"), "Effect": "Allow", "Action": actions, "Resource": resources,
    });
    [list, objects]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    #[test]
    fn asks_for_what_the_locations_need() {
        for (locations, store, actions) in [
            (vec!["logs"], "store", ""),
            (vec!["s3://bbb/AWSLogs/"], "store", "s3:ListBucket s3:GetObject kms:Decrypt"),
            (vec!["cloudtrail://eu-west-1"], "store", "cloudtrail:LookupEvents"),
            (
                vec!["logs"],
                "s3://bbb",
                "s3:ListBucket s3:GetObject s3:PutObject s3:DeleteObject s3:AbortMultipartUpload kms:Decrypt \
                 kms:GenerateDataKey",
            ),
        ] {
            let locations: Vec<Location> = locations.into_iter().map(parsed).collect();
            let document = policy(&locations, &parsed(store), "aws");
            let statements = document["Statement"].as_array().unwrap();
            let found: Vec<&str> = statements
                .iter()
                .flat_map(|statement| statement["Action"].as_array().unwrap())
                .map(|action| action.as_str().unwrap())
                .collect();
            assert_eq!(found.join(" "), actions, "{locations:?} {store}");
        }
    }

    #[test]
    fn a_prefix_is_a_folder_and_statements_have_names_of_their_own() {
        let locations = ["s3://bbb/AWSLogs", "s3://ccc/AWSLogs/"].map(parsed);
        let document = policy(&locations, &parsed("store"), "aws");
        let resources = [&document["Statement"][1]["Resource"], &document["Statement"][3]["Resource"]];
        assert_eq!(resources[0], &json!(["arn:aws:s3:::bbb/AWSLogs", "arn:aws:s3:::bbb/AWSLogs/*"]));
        assert_eq!(resources[1], &json!(["arn:aws:s3:::ccc/AWSLogs", "arn:aws:s3:::ccc/AWSLogs/*"]));
        let names: std::collections::HashSet<_> =
            document["Statement"].as_array().unwrap().iter().map(|statement| statement["Sid"].as_str()).collect();
        assert_eq!(names.len(), 5);
    }

    #[test]
    fn every_partition_has_its_own_names() {
        for (partition, via) in [
            ("aws", json!("s3.*.amazonaws.com")),
            ("aws-us-gov", json!("s3.*.amazonaws.com")),
            ("aws-cn", json!(["s3.*.amazonaws.com.cn", "s3.*.amazonaws.com"])),
            ("aws-iso-b", json!("s3.*")),
        ] {
            let document = policy(&[parsed("s3://bbb/AWSLogs")], &parsed("s3://stores/one"), partition);
            let text = document.to_string();
            assert_eq!(text.matches("arn:").count(), text.matches(&format!("arn:{partition}:s3:::")).count());
            let statements = document["Statement"].as_array().unwrap();
            assert_eq!(statements.len(), 5);
            assert_eq!(statements[4]["Condition"]["StringLike"]["kms:ViaService"], via, "{partition}");
        }
    }
}
