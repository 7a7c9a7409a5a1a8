//! Calls that change who may do what: whom each changes, and the document that it brings.
//! In: one call of IAM, Organizations, KMS or EC2. Out: its target and its document, as far as its record says.
//! Never looks at other calls: a document that the call only names is named.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use keytrail_rows::arn::{Arn, is_account_id, partition_of, service_of};
use serde_json::Value;

use super::parameters::{member, parsed};
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
    pub allows_kms: Option<Arc<[String]>>,
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
    /// Rough size of the patterns, which clones share.
    pub fn bytes(&self) -> usize {
        self.allows_kms.iter().flat_map(|actions| actions.iter()).map(|action| action.len() + STRING_BYTES).sum()
    }

    /// The reading of a trust policy, whose actions are those of STS and allow nobody a key.
    fn of_trust(self) -> DocumentReading {
        DocumentReading { allows_kms: self.allows_kms.map(|_| Arc::default()), ..self }
    }

    fn of(text: Option<&str>, partition: &str) -> DocumentReading {
        let policy = text.map(|text| LoggedPolicy::read(text, partition).reading);
        let allowed = policy.as_ref().and_then(|policy| policy.document()).map(allows_kms);
        DocumentReading {
            word: policy.map_or("unparsed", |policy| policy.word()),
            allows_kms: allowed.map(|allowed| allowed.into_iter().collect()),
        }
    }
}

/// Rough size of a text beyond its letters.
pub(crate) const STRING_BYTES: usize = 40;

/// A call with its parameters taken apart.
pub(crate) struct ReadCall<'a> {
    call: AccessCall<'a>,
    /// That of the Region in which it was called, else of its key.
    pub partition: &'static str,
    request: Value,
    response: Value,
}

impl<'a> ReadCall<'a> {
    pub fn of(call: AccessCall<'a>) -> ReadCall<'a> {
        let json = |text: Option<&str>| text.and_then(parsed).unwrap_or(Value::Null);
        let mut request: Value = json(call.request_parameters);
        // EC2 wraps the parameters of some calls.
        if let Some(inner) = member(&request, &format!("{}Request", call.event_name)).filter(|inner| inner.is_object())
        {
            request = inner.clone();
        }
        let of_key = || call.key_arn.and_then(Arn::parse).map(|key| key.region);
        let partition = call.region.or_else(of_key).map_or("aws", partition_of);
        ReadCall { call, partition, request, response: json(call.response_elements) }
    }

    /// A text of the request.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameter_value(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A member of the request; `None` if it is null.
    pub fn parameter_value(&self, name: &str) -> Option<&Value> {
        member(&self.request, name)
    }

    /// A text of the answer.
    pub fn answered(&self, path: &[&str]) -> Option<&str> {
        self.answered_value(path)?.as_str().filter(|text| !text.is_empty())
    }

    fn answered_value(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.response, |value, name| member(value, name))
    }

    /// True if the request has the member and it is true.
    pub fn is_asked(&self, name: &str) -> bool {
        self.parameter_value(name).is_some_and(is_true)
    }

    /// True if the new version of a policy is its default at once.
    pub fn makes_default(&self) -> bool {
        let is_answered = self.answered_value(&["policyVersion", "isDefaultVersion"]).is_some_and(is_true);
        self.is_asked("setAsDefault") || is_answered
    }

    /// The id of the new version of a policy.
    pub fn made_version(&self) -> Option<&str> {
        self.answered(&["policyVersion", "versionId"])
    }

    /// The user, role, service or account that gets a grant.
    pub fn grantee(&self) -> Option<&str> {
        let requested = || self.parameter("granteePrincipal").or_else(|| self.parameter("granteeServicePrincipal"));
        self.call.grantee_principal.or_else(requested)
    }

    /// The operations of a grant, as `Decrypt`; `None` if they are not a list of texts.
    pub fn grant_operations(&self) -> Option<Vec<&str>> {
        self.parameter_value("operations")?.as_array()?.iter().map(Value::as_str).collect()
    }

    /// The ARN of the key that is made in another Region.
    pub fn replica(&self) -> Option<&str> {
        self.answered(&["replicaKeyMetadata", "arn"])
    }

    /// The text of the document that the call brings, which may stand there as JSON.
    pub fn document_text(&self) -> Option<Cow<'_, str>> {
        match self.document_value()? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            object @ Value::Object(_) => Some(Cow::Owned(object.to_string())),
            _ => None,
        }
    }

    fn document_value(&self) -> Option<&Value> {
        let requested = |name: &str| self.parameter_value(name);
        match self.call.event_name {
            "PutKeyPolicy" | "CreateKey" => requested("policy"),
            "ReplicateKey" => self.answered_value(&["replicaPolicy"]).or_else(|| requested("policy")),
            "CreateRole" => requested("assumeRolePolicyDocument"),
            // IAM, EC2 and Organizations.
            _ => requested("policyDocument")
                .or_else(|| requested("content"))
                .or_else(|| self.answered_value(&["policy", "content"])),
        }
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
            "MoveAccount" | "RemoveAccountFromOrganization" => {
                AccessTarget { name: self.parameter("accountId").map(str::to_owned), kind: Some("account") }
            }
            _ => {
                let summary = |name| self.answered(&["policy", "policySummary", name]);
                let name = summary("arn").or_else(|| self.organization_policy());
                let kind = match self.organization_policy_kind() {
                    Some("SERVICE_CONTROL_POLICY") => "scp",
                    Some("RESOURCE_CONTROL_POLICY") => "rcp",
                    _ => "policy",
                };
                AccessTarget { name: name.map(str::to_owned), kind: Some(kind) }
            }
        }
    }

    /// The id of a policy of Organizations.
    pub fn organization_policy(&self) -> Option<&str> {
        self.parameter("policyId").or_else(|| self.answered(&["policy", "policySummary", "id"]))
    }

    /// The kind of a policy of Organizations, as `SERVICE_CONTROL_POLICY`.
    pub fn organization_policy_kind(&self) -> Option<&str> {
        self.parameter("type").or_else(|| self.answered(&["policy", "policySummary", "type"]))
    }

    /// The id of an endpoint of a VPC.
    pub fn endpoint(&self) -> Option<&str> {
        let answered = || self.answered(&["CreateVpcEndpointResponse", "vpcEndpoint", "vpcEndpointId"]);
        let id = self.parameter("vpcEndpointId").or_else(answered);
        id.or_else(|| self.answered(&["vpcEndpoint", "vpcEndpointId"]))
    }

    fn target_of_endpoint(&self) -> AccessTarget {
        let name = self.endpoint().and_then(|id| {
            let (region, account) = (self.call.region?, self.call.account_id?);
            Some(format!("arn:{}:ec2:{region}:{account}:vpc-endpoint/{id}", self.partition))
        });
        AccessTarget { name, kind: Some("vpc_endpoint") }
    }

    fn target_of_kms(&self) -> AccessTarget {
        match (self.call.event_name, self.grantee()) {
            ("CreateGrant", Some(grantee)) => named(grantee),
            ("CreateGrant", None) => AccessTarget::default(),
            ("ReplicateKey", _) => {
                let replica = self.replica().or(self.call.key_arn);
                AccessTarget { name: replica.map(str::to_owned), kind: Some("key") }
            }
            _ => AccessTarget { name: self.call.key_arn.map(str::to_owned), kind: Some("key") },
        }
    }

    /// The document that the call brings, if it succeeded.
    pub fn document(&self) -> BroughtDocument {
        let text = || BroughtDocument::Text(self.reading());
        match (self.call.service, self.call.event_name) {
            ("kms", "PutKeyPolicy") => text(),
            ("kms", "CreateKey" | "ReplicateKey") if self.has_document() => text(),
            ("kms", "CreateGrant") => self.granted_operations(),
            ("kms", _) => BroughtDocument::Nothing,
            ("organizations", "CreatePolicy") => text(),
            // An update may only give the policy another name.
            ("organizations", "UpdatePolicy") if self.has_document() => text(),
            ("organizations", "AttachPolicy") => of_policy(self.parameter("policyId")),
            ("organizations", _) => BroughtDocument::Nothing,
            ("ec2", _) if self.has_document() => text(),
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
            (_, "CreateRole" | "UpdateAssumeRolePolicy") => BroughtDocument::Text(self.reading().of_trust()),
            (_, "PutUserPolicy" | "PutRolePolicy" | "PutGroupPolicy" | "CreatePolicy" | "CreatePolicyVersion") => {
                text()
            }
            _ => BroughtDocument::Nothing,
        }
    }

    /// The change of a policy that a successful call with this document makes, with the policy's ARN or id.
    pub fn policy_step(&self, brought: &BroughtDocument) -> Option<(String, PolicyStep)> {
        let reading = match brought {
            BroughtDocument::Text(reading) => Some(reading.clone()),
            _ => None,
        };
        let (policy, step) = match (self.call.service, self.call.event_name) {
            ("iam", "CreatePolicy") => (self.target().name, PolicyStep::Made(reading?)),
            ("iam", "CreatePolicyVersion") => {
                let step = if self.makes_default() { PolicyStep::DefaultVersion } else { PolicyStep::Version };
                (self.target().name, step(self.made_version().map(str::to_owned), reading?))
            }
            ("iam", "SetDefaultPolicyVersion") => {
                (self.target().name, PolicyStep::Default(self.parameter("versionId")?.to_owned()))
            }
            ("iam", "DeletePolicy") => (self.target().name, PolicyStep::Deleted),
            ("organizations", "CreatePolicy" | "UpdatePolicy") => {
                (self.organization_policy().map(str::to_owned), PolicyStep::Made(reading?))
            }
            ("organizations", "DeletePolicy") => (self.organization_policy().map(str::to_owned), PolicyStep::Deleted),
            _ => return None,
        };
        Some((policy?, step))
    }

    /// True if the document is there, or CloudTrail left all parameters out.
    fn has_document(&self) -> bool {
        self.document_value().is_some() || self.is_omitted()
    }

    fn is_omitted(&self) -> bool {
        member(&self.request, "omitted").is_some_and(is_true)
    }

    fn reading(&self) -> DocumentReading {
        if self.document_value().is_none() && self.is_omitted() {
            return DocumentReading { word: "truncated", allows_kms: None };
        }
        DocumentReading::of(self.document_text().as_deref(), self.partition)
    }

    /// The operations of a grant are what it allows.
    fn granted_operations(&self) -> BroughtDocument {
        if self.is_omitted() {
            return BroughtDocument::Text(DocumentReading { word: "truncated", allows_kms: None });
        }
        let operations = self.grant_operations().map(BTreeSet::from_iter);
        let actions = operations.map(|names| {
            let action = |name: &str| ActionPattern::of(&format!("kms:{name}")).text().to_owned();
            names.into_iter().map(action).collect::<Arc<[String]>>()
        });
        let word = if actions.is_some() { "whole" } else { "unparsed" };
        BroughtDocument::Text(DocumentReading { word, allows_kms: actions })
    }
}

fn of_policy(name: Option<&str>) -> BroughtDocument {
    name.map_or(BroughtDocument::Nothing, |name| BroughtDocument::OfPolicy(name.to_owned()))
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
