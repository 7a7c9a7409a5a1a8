//! The least that AWS must allow for a run: IAM policies for what is read and for a store.
//! In: locations, or the URL of a store. Out: policy documents, each with what it is for.
//! Names no action that no code here calls.

use serde_json::{Value, json};

use super::{BucketPath, Location};

/// A policy document, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub purpose: &'static str,
    pub document: String,
}

/// Stands where only the user knows the key.
const KEY: &str = "arn:aws:kms:REGION:ACCOUNT:key/KEY-ID";

/// What reading these locations needs; nothing where all are on this machine.
pub fn read_policies(locations: &[Location]) -> Vec<Policy> {
    let buckets: Vec<&BucketPath> = locations
        .iter()
        .filter_map(|location| match location {
            Location::S3(path) => Some(path),
            Location::Path(_) | Location::Stdin | Location::History(_) => None,
        })
        .collect();
    let mut statements: Vec<Value> = Vec::new();
    for path in &buckets {
        statements.push(list(path));
        statements.push(objects(path, &["s3:GetObject"]));
    }
    if locations.iter().any(|location| matches!(location, Location::History(_))) {
        statements.push(json!({"Effect": "Allow", "Action": "cloudtrail:LookupEvents", "Resource": "*"}));
    }
    let mut policies = Vec::new();
    if !statements.is_empty() {
        policies.push(policy("for the identity that reads", statements));
    }
    if !buckets.is_empty() {
        policies.push(key_policy("besides, where the log bucket is encrypted with a KMS key", &["kms:Decrypt"]));
    }
    policies
}

/// What writing and reading a store needs; nothing for one on this machine.
pub fn store_policies(url: &str) -> Vec<Policy> {
    let Some(path) = url.strip_prefix("s3://").and_then(BucketPath::parse) else { return Vec::new() };
    let actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];
    vec![
        policy("for the identity that writes the store", vec![list(&path), objects(&path, &actions)]),
        key_policy(
            "besides, where the store's bucket is encrypted with a KMS key",
            &["kms:GenerateDataKey", "kms:Decrypt"],
        ),
    ]
}

fn policy(purpose: &'static str, statements: Vec<Value>) -> Policy {
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    Policy { purpose, document: format!("{document:#}") }
}

fn key_policy(purpose: &'static str, actions: &[&str]) -> Policy {
    policy(purpose, vec![json!({"Effect": "Allow", "Action": actions, "Resource": KEY})])
}

fn list(path: &BucketPath) -> Value {
    let bucket = format!("arn:aws:s3:::{}", path.bucket);
    if path.prefix.is_empty() {
        return json!({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket});
    }
    let prefixes = [path.prefix.clone(), format!("{}/*", path.prefix)];
    json!({
        "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket,
        "Condition": {"StringLike": {"s3:prefix": prefixes}}
    })
}

/// The objects below a prefix, and the one that bears exactly its name.
fn objects(path: &BucketPath, actions: &[&str]) -> Value {
    let resources = match path.prefix.as_str() {
        "" => vec![format!("arn:aws:s3:::{}/*", path.bucket)],
        prefix => ["", "/*"].map(|end| format!("arn:aws:s3:::{}/{prefix}{end}", path.bucket)).to_vec(),
    };
    json!({"Effect": "Allow", "Action": actions, "Resource": resources})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(policies: &[Policy]) -> Vec<String> {
        let mut all = Vec::new();
        for policy in policies {
            let document: Value = serde_json::from_str(&policy.document).unwrap();
            for statement in document["Statement"].as_array().unwrap() {
                match &statement["Action"] {
                    Value::Array(actions) => all.extend(actions.iter().map(|a| a.as_str().unwrap().to_owned())),
                    action => all.push(action.as_str().unwrap().to_owned()),
                }
            }
        }
        all
    }

    #[test]
    fn policies_name_what_a_location_needs() {
        for (locations, expected) in [
            (&["logs"][..], &[][..]),
            (&["s3://logs/AWSLogs"], &["s3:ListBucket", "s3:GetObject", "kms:Decrypt"]),
            (&["cloudtrail://all"], &["cloudtrail:LookupEvents"]),
            (
                &["s3://logs", "-", "cloudtrail://eu-west-1"],
                &["s3:ListBucket", "s3:GetObject", "cloudtrail:LookupEvents", "kms:Decrypt"],
            ),
        ] {
            let locations: Vec<Location> = locations.iter().map(|text| Location::parse(text).unwrap()).collect();
            assert_eq!(actions(&read_policies(&locations)), expected);
        }
        assert_eq!(store_policies("/var/store"), []);
        assert_eq!(actions(&store_policies("s3://logs/store")).len(), 7);
    }

    #[test]
    fn listing_is_bound_to_the_prefix() {
        let whole = list(&BucketPath { bucket: "logs".into(), prefix: String::new() });
        let part = list(&BucketPath { bucket: "logs".into(), prefix: "AWSLogs".into() });
        assert!(whole.get("Condition").is_none());
        assert_eq!(part["Condition"]["StringLike"]["s3:prefix"], json!(["AWSLogs", "AWSLogs/*"]));
    }
}
