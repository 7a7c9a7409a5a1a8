//! Calls that change who may do what: whom each changes, and the document that it brings.
//! In: one call of IAM, Organizations, KMS or EC2. Out: its target and its document, as far as its record says.
//! Never looks at other calls: a document that the call only names is named.

use std::collections::BTreeSet;

use keytrail_rows::arn::{Arn, is_account_id, partition_of, service_of};
use serde_json::Value;

use super::policy::{ActionPattern, LoggedPolicy, allows_kms};

/// One call, as a record has it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AccessCall<'a> {
    /// The short name of the service.
    pub service: &'a str,
    pub event_name: &'a str,
    pub region: Option<&'a str>,
    /// The account in which it was called.
    pub account_id: Option<&'a str>,
    pub key_arn: Option<&'a str>,
    pub grantee_principal: Option<&'a str>,
    pub denied_resource: Option<&'a str>,
    pub request_parameters: Option<&'a str>,
    pub response_elements: Option<&'a str>,
}

/// Whom or what a call changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccessTarget {
    /// An ARN, or the id that Organizations has. `None` where the record does not say.
    pub name: Option<String>,
    pub kind: Option<&'static str>,
}

/// The actions that a policy allows, as far as its text could be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DocumentReading {
    /// As the column `reading` has it.
    pub word: &'static str,
    /// Patterns of actions; `None` if the text could not be read.
    pub allows_kms: Option<Vec<String>>,
}

/// The document that a successful call brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BroughtDocument {
    Nothing,
    Text(DocumentReading),
    /// The default version of a policy of IAM, or the only one of Organizations, by ARN or id.
    OfPolicy(String),
    /// One version of a policy of IAM.
    OfVersion(String, String),
}

/// A change of a policy that others may name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PolicyStep {
    /// A new policy, with its only version.
    Made(DocumentReading),
    /// A new version, with its id; it may be the default at once.
    Version(Option<String>, DocumentReading),
    DefaultVersion(Option<String>, DocumentReading),
    /// An older version becomes the default.
    Default(String),
    Deleted,
}

impl DocumentReading {
    fn of(text: Option<&str>, partition: &str) -> DocumentReading {
        let policy = text.map(|text| LoggedPolicy::read(text, partition).reading);
        let allowed = policy.as_ref().and_then(|policy| policy.document()).map(allows_kms);
        DocumentReading {
            word: policy.map_or("unparsed", |policy| policy.word()),
            allows_kms: allowed.map(|allowed| allowed.into_iter().collect()),
        }
    }
}

/// A call with its parameters taken apart.
pub(crate) struct ReadCall<'a> {
    call: AccessCall<'a>,
    partition: &'static str,
    request: Value,
    response: Value,
}

impl<'a> ReadCall<'a> {
    pub fn of(call: AccessCall<'a>) -> ReadCall<'a> {
        let json = |text: Option<&str>| text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
        let mut request: Value = json(call.request_parameters);
        // EC2 wraps the parameters of some calls.
        if let Some(inner) = member(&request, &format!("{}Request", call.event_name)).filter(|inner| inner.is_object())
        {
            request = inner.clone();
        }
        let partition = call.region.map_or("aws", partition_of);
        ReadCall { call, partition, request, response: json(call.response_elements) }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        member(&self.request, name)?.as_str().filter(|text| !text.is_empty())
    }

    fn answered(&self, path: &[&str]) -> Option<&str> {
        path.iter().try_fold(&self.response, |value, name| member(value, name))?.as_str()
    }

    /// Whom or what the call changes.
    pub fn target(&self) -> AccessTarget {
        let target = match self.call.service {
            "kms" => self.target_of_kms(),
            "organizations" => self.target_of_organizations(),
            "ec2" => self.target_of_endpoint(),
            _ => self.target_of_iam(),
        };
        // A refused call often has no parameters, but its message names the resource.
        let refused = || self.call.denied_resource.and_then(|resource| self.refused_target(resource));
        if target.name.is_none() { refused().unwrap_or(target) } else { target }
    }

    /// The target that a refusal names: by its ARN, or as IAM writes it, `user ann`.
    fn refused_target(&self, resource: &str) -> Option<AccessTarget> {
        if iam_kind(resource).is_some() {
            return Some(named(resource));
        }
        let (word, name) = resource.split_once(' ')?;
        let kind = ["user", "role", "group", "policy"].into_iter().find(|kind| *kind == word)?;
        Some(AccessTarget { name: self.iam_arn(kind, name), kind: Some(kind) })
    }

    fn target_of_iam(&self) -> AccessTarget {
        let of = |kind: &'static str, parameter: &str| {
            let answered = self.answered(&[kind, "arn"]).map(str::to_owned);
            let name = answered.or_else(|| self.parameter(parameter).and_then(|name| self.iam_arn(kind, name)));
            AccessTarget { name, kind: Some(kind) }
        };
        let name = self.call.event_name;
        if matches!(name, "CreatePolicyVersion" | "SetDefaultPolicyVersion" | "DeletePolicyVersion" | "DeletePolicy") {
            return AccessTarget { name: self.parameter("policyArn").map(str::to_owned), kind: Some("policy") };
        }
        match name {
            "CreatePolicy" => of("policy", "policyName"),
            // A membership is the user's.
            _ if name.contains("User") => of("user", "userName"),
            _ if name.contains("Role") => of("role", "roleName"),
            _ if name.contains("Group") => of("group", "groupName"),
            _ => AccessTarget::default(),
        }
    }

    /// The ARN of what IAM calls by its name. Calls that make one name its path, too.
    fn iam_arn(&self, kind: &str, name: &str) -> Option<String> {
        if name.starts_with("arn:") {
            return Some(name.to_owned());
        }
        let path = self.parameter("path").filter(|path| path.starts_with('/') && path.ends_with('/')).unwrap_or("/");
        Some(format!("arn:{}:iam::{}:{kind}{path}{name}", self.partition, self.call.account_id?))
    }

    fn target_of_organizations(&self) -> AccessTarget {
        let place = |id: Option<&str>| AccessTarget {
            name: id.map(str::to_owned),
            kind: id.and_then(|id| match id {
                _ if is_account_id(id) => Some("account"),
                _ if id.starts_with("ou-") => Some("organizational_unit"),
                _ if id.starts_with("r-") => Some("root"),
                _ => None,
            }),
        };
        match self.call.event_name {
            "AttachPolicy" | "DetachPolicy" => place(self.parameter("targetId")),
            "EnablePolicyType" | "DisablePolicyType" => place(self.parameter("rootId")),
            _ => {
                let summary = |name| self.answered(&["policy", "policySummary", name]);
                let name = summary("arn").or_else(|| self.policy_id());
                let kind = match self.parameter("type").or_else(|| summary("type")) {
                    Some("SERVICE_CONTROL_POLICY") => "scp",
                    Some("RESOURCE_CONTROL_POLICY") => "rcp",
                    _ => "policy",
                };
                AccessTarget { name: name.map(str::to_owned), kind: Some(kind) }
            }
        }
    }

    /// The id of a policy of Organizations.
    fn policy_id(&self) -> Option<&str> {
        self.parameter("policyId").or_else(|| self.answered(&["policy", "policySummary", "id"]))
    }

    fn target_of_endpoint(&self) -> AccessTarget {
        let id = self.parameter("vpcEndpointId");
        let answered = || self.answered(&["CreateVpcEndpointResponse", "vpcEndpoint", "vpcEndpointId"]);
        let id = id.or_else(answered).or_else(|| self.answered(&["vpcEndpoint", "vpcEndpointId"]));
        let name = id.and_then(|id| {
            let (region, account) = (self.call.region?, self.call.account_id?);
            Some(format!("arn:{}:ec2:{region}:{account}:vpc-endpoint/{id}", self.partition))
        });
        AccessTarget { name, kind: Some("vpc_endpoint") }
    }

    fn target_of_kms(&self) -> AccessTarget {
        match (self.call.event_name, self.call.grantee_principal) {
            ("CreateGrant", Some(grantee)) => named(grantee),
            ("CreateGrant", None) => AccessTarget::default(),
            ("ReplicateKey", _) => {
                let replica = self.answered(&["replicaKeyMetadata", "arn"]).or(self.call.key_arn);
                AccessTarget { name: replica.map(str::to_owned), kind: Some("key") }
            }
            _ => AccessTarget { name: self.call.key_arn.map(str::to_owned), kind: Some("key") },
        }
    }

    /// The document that the call brings, if it succeeded.
    pub fn document(&self) -> BroughtDocument {
        let text = |names: &[&str]| BroughtDocument::Text(self.reading(names));
        match (self.call.service, self.call.event_name) {
            ("kms", "PutKeyPolicy") => text(&["policy"]),
            ("kms", "CreateKey") if self.has_text("policy") => text(&["policy"]),
            ("kms", "ReplicateKey") if self.has_text("policy") => text(&["policy"]),
            ("kms", "CreateGrant") => self.grant_operations(),
            ("kms", _) => BroughtDocument::Nothing,
            ("organizations", "CreatePolicy") => text(&["content"]),
            ("organizations", "UpdatePolicy") if self.has_text("content") => text(&["content"]),
            ("organizations", "AttachPolicy") => of_policy(self.parameter("policyId")),
            ("organizations", _) => BroughtDocument::Nothing,
            ("ec2", _) if self.has_text("policyDocument") => text(&["policyDocument"]),
            ("ec2", _) => BroughtDocument::Nothing,
            (_, "AttachUserPolicy" | "AttachRolePolicy" | "AttachGroupPolicy") => {
                of_policy(self.parameter("policyArn"))
            }
            (_, "PutUserPermissionsBoundary" | "PutRolePermissionsBoundary") => {
                of_policy(self.parameter("permissionsBoundary"))
            }
            (_, "SetDefaultPolicyVersion") => match (self.parameter("policyArn"), self.parameter("versionId")) {
                (Some(policy), Some(version)) => BroughtDocument::OfVersion(policy.to_owned(), version.to_owned()),
                _ => BroughtDocument::Nothing,
            },
            (_, "CreateRole") => text(&["assumeRolePolicyDocument"]),
            (_, "PutUserPolicy" | "PutRolePolicy" | "PutGroupPolicy" | "UpdateAssumeRolePolicy") => {
                text(&["policyDocument"])
            }
            (_, "CreatePolicy" | "CreatePolicyVersion") => text(&["policyDocument"]),
            _ => BroughtDocument::Nothing,
        }
    }

    /// The change of a policy that a successful call makes, with the policy's ARN or id.
    pub fn policy_step(&self) -> Option<(String, PolicyStep)> {
        let version = || self.answered(&["policyVersion", "versionId"]).map(str::to_owned);
        let (policy, step) = match (self.call.service, self.call.event_name) {
            ("iam", "CreatePolicy") => (self.target().name, PolicyStep::Made(self.reading(&["policyDocument"]))),
            ("iam", "CreatePolicyVersion") => {
                let reading = self.reading(&["policyDocument"]);
                let is_default = member(&self.request, "setAsDefault").is_some_and(is_true);
                let step = if is_default { PolicyStep::DefaultVersion } else { PolicyStep::Version };
                (self.target().name, step(version(), reading))
            }
            ("iam", "SetDefaultPolicyVersion") => {
                (self.target().name, PolicyStep::Default(self.parameter("versionId")?.to_owned()))
            }
            ("iam", "DeletePolicy") => (self.target().name, PolicyStep::Deleted),
            ("organizations", "CreatePolicy" | "UpdatePolicy") => {
                let is_update = self.call.event_name == "UpdatePolicy";
                if is_update && !self.has_text("content") {
                    return None;
                }
                (self.policy_id().map(str::to_owned), PolicyStep::Made(self.reading(&["content"])))
            }
            ("organizations", "DeletePolicy") => (self.policy_id().map(str::to_owned), PolicyStep::Deleted),
            _ => return None,
        };
        Some((policy?, step))
    }

    /// True if the parameter is there, or CloudTrail left all parameters out.
    fn has_text(&self, name: &str) -> bool {
        member(&self.request, name).is_some_and(|value| !value.is_null()) || self.is_omitted()
    }

    fn is_omitted(&self) -> bool {
        member(&self.request, "omitted").is_some_and(is_true)
    }

    /// The reading of a document in one of these parameters.
    fn reading(&self, names: &[&str]) -> DocumentReading {
        if self.is_omitted() {
            return DocumentReading { word: "truncated", allows_kms: None };
        }
        let text = names.iter().find_map(|name| member(&self.request, name)).map(|value| match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        });
        DocumentReading::of(text.as_deref(), self.partition)
    }

    /// The operations of a grant are what it allows.
    fn grant_operations(&self) -> BroughtDocument {
        if self.is_omitted() {
            return BroughtDocument::Text(DocumentReading { word: "truncated", allows_kms: None });
        }
        let operations = member(&self.request, "operations").and_then(Value::as_array);
        let names = operations.map(|operations| operations.iter().map(Value::as_str).collect::<Option<BTreeSet<_>>>());
        let actions = names.flatten().map(|names| {
            let action = |name: &str| ActionPattern::of(&format!("kms:{name}")).text().to_owned();
            names.into_iter().map(action).collect::<Vec<_>>()
        });
        let word = if actions.is_some() { "whole" } else { "unparsed" };
        BroughtDocument::Text(DocumentReading { word, allows_kms: actions })
    }
}

fn of_policy(name: Option<&str>) -> BroughtDocument {
    name.map_or(BroughtDocument::Nothing, |name| BroughtDocument::OfPolicy(name.to_owned()))
}

/// A member of an object, in any case of its letters.
fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    let in_any_case = || members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    members.get(name).or_else(in_any_case)
}

/// True for `true` and its text.
fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true) || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// A principal by its own name.
fn named(principal: &str) -> AccessTarget {
    let kind = iam_kind(principal).or_else(|| service_of(principal).map(|_| "service"));
    AccessTarget { name: Some(principal.to_owned()), kind }
}

/// The kind of what an ARN of IAM or STS names.
fn iam_kind(arn: &str) -> Option<&'static str> {
    let arn = Arn::parse(arn)?;
    let kind = arn.resource.split('/').next().unwrap_or(arn.resource);
    match (arn.service, kind) {
        ("iam", "user") => Some("user"),
        ("iam", "role") | ("sts", "assumed-role") => Some("role"),
        ("iam", "group") => Some("group"),
        ("iam", "policy") => Some("policy"),
        ("iam", "root") => Some("account"),
        _ => None,
    }
}
