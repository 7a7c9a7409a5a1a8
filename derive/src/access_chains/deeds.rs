//! The deed of each change that may let somebody use a key: which policy, grant, attachment or boundary it set to what.
//! In: the name, request and answer of a successful call of KMS, IAM, Organizations, STS or EC2. Out: one deed, or
//! none.
//! Never reads a policy: the text of a document is kept as it came, and one that is not there is an unknown one.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use keytrail_rows::arn::Arn;
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use crate::access_call::{AccessCall, ReadCall, STRING_BYTES};

/// Rough size of a name that a deed holds beyond its letters, there and in the pool.
const POOLED_NAME_BYTES: usize = STRING_BYTES + 96;

/// The policy of an endpoint to which none was given.
const FULL_ACCESS: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;

/// One successful call, as the input has it.
#[derive(Debug, Clone, Copy, Default, Hash)]
pub(super) struct ChangeCall<'a> {
    pub event_name: &'a str,
    pub region: Option<&'a str>,
    pub account_id: Option<&'a str>,
    pub key_arn: Option<&'a str>,
    pub grant_id: Option<&'a str>,
    pub request: Option<&'a str>,
    pub answer: Option<&'a str>,
}

impl ChangeCall<'_> {
    /// A hash of the call with who made it: the principal, its person, and the source of that.
    pub fn content(&self, by: [Option<&str>; 3]) -> u64 {
        let mut content = Xxh3::new();
        (self, by).hash(&mut content);
        content.finish()
    }
}

/// A policy's text; `None` if the call sets one that its record does not hold.
pub(super) type DocumentText = Option<String>;

/// The document that a call leaves in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LeftDocument {
    Written(DocumentText),
    Deleted,
}

/// A grant as it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct GrantTerms {
    pub grantee: String,
    /// As `Decrypt`.
    pub operations: Vec<String>,
    pub is_constrained: bool,
}

/// A thing and another that it may belong to: a user and a group, an entity and a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ChangedLink {
    Begun,
    Ended,
}

/// The fate of a user, role, group or policy that is new, or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnerFate {
    Made,
    Deleted,
}

/// The boundary that a user or role has from its first moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FirstBoundary {
    None,
    Policy(String),
    Unknown,
}

/// The effect of a change. Users, roles and groups are `ACCOUNT:KIND/NAME`, policies are by their ARN or id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChangeDeed {
    KeyPolicy {
        key: String,
        document: DocumentText,
    },
    GrantMade {
        key: String,
        grant: String,
        terms: GrantTerms,
    },
    GrantEnded {
        key: String,
        grant: String,
    },
    Inline {
        owner: String,
        policy: String,
        document: LeftDocument,
    },
    Version {
        policy: String,
        version: Option<String>,
        document: DocumentText,
        link: VersionUse,
    },
    DefaultVersion {
        policy: String,
        version: String,
    },
    /// One of IAM.
    PolicyDeleted {
        policy: String,
    },
    /// Nothing that an owner of the same name had before is its own.
    Owner {
        owner: String,
        fate: OwnerFate,
        /// Of a new one; `Unknown` if the record does not say.
        boundary: FirstBoundary,
    },
    Attachment {
        owner: String,
        policy: String,
        link: ChangedLink,
    },
    Membership {
        user: String,
        group: String,
        link: ChangedLink,
    },
    Boundary {
        owner: String,
        policy: Option<String>,
    },
    OrganizationPolicy {
        policy: String,
        kind: Option<String>,
        document: LeftDocument,
    },
    OrganizationAttachment {
        policy: String,
        target: String,
        link: ChangedLink,
    },
    OrganizationKind {
        kind: String,
        link: ChangedLink,
    },
    /// From one unit or root to another; out of the organization where none is named.
    AccountMoved {
        account: String,
        from: Option<String>,
        to: Option<String>,
    },
    EndpointPolicy {
        endpoint: String,
        document: DocumentText,
    },
    /// By its id, as `AROA…:NAME` for one of a role and `ACCOUNT:NAME` for one of a federated user.
    SessionBegun {
        session: String,
    },
}

/// The use that a new version of a policy is put to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VersionUse {
    /// Of a policy that is made with it.
    First,
    Default,
    Spare,
}

/// A call with its parameters.
struct ReadChange<'a> {
    call: ChangeCall<'a>,
    read: ReadCall<'a>,
}

impl ChangeDeed {
    /// The deed of a call, and its partition; `None` if it does nothing of the kind, or does not tell to whom.
    pub fn of(call: ChangeCall<'_>) -> Option<(ChangeDeed, &'static str)> {
        let read = ReadCall::of(AccessCall {
            event_name: call.event_name,
            region: call.region,
            account_id: call.account_id,
            key_arn: call.key_arn,
            request_parameters: call.request,
            response_elements: call.answer,
            ..AccessCall::default()
        });
        let partition = read.partition;
        ReadChange { call, read }.deed().map(|deed| (deed, partition))
    }

    /// The fate of the user, role, group or policy that it makes or deletes.
    pub fn fate(&self) -> Option<OwnerFate> {
        match self {
            ChangeDeed::Owner { fate, .. } => Some(*fate),
            ChangeDeed::Version { link: VersionUse::First, .. } => Some(OwnerFate::Made),
            ChangeDeed::PolicyDeleted { .. }
            | ChangeDeed::OrganizationPolicy { document: LeftDocument::Deleted, .. } => Some(OwnerFate::Deleted),
            _ => None,
        }
    }

    /// The length of its policy.
    pub fn letters(&self) -> usize {
        let text = match self {
            ChangeDeed::KeyPolicy { document, .. }
            | ChangeDeed::Version { document, .. }
            | ChangeDeed::Inline { document: LeftDocument::Written(document), .. }
            | ChangeDeed::OrganizationPolicy { document: LeftDocument::Written(document), .. }
            | ChangeDeed::EndpointPolicy { document, .. } => document.as_ref(),
            _ => None,
        };
        text.map_or(0, String::len)
    }

    /// Rough size of the texts, names being held once more in the pool.
    pub fn bytes(&self) -> usize {
        let names = |names: &[&String]| names.iter().map(|name| 2 * name.len() + POOLED_NAME_BYTES).sum::<usize>();
        let name = |name: &Option<String>| name.as_ref().map_or(0, |name| names(&[name]));
        let of_names = match self {
            ChangeDeed::KeyPolicy { key, .. } => names(&[key]),
            ChangeDeed::GrantMade { key, grant, terms } => {
                let operations = terms.operations.iter().map(|operation| operation.len() + STRING_BYTES).sum::<usize>();
                names(&[key, grant, &terms.grantee]) + operations
            }
            ChangeDeed::GrantEnded { key, grant } => names(&[key, grant]),
            ChangeDeed::Inline { owner, policy, .. } => names(&[owner, policy]),
            ChangeDeed::Version { policy, version, .. } => names(&[policy]) + name(version),
            ChangeDeed::DefaultVersion { policy, version } => names(&[policy, version]),
            ChangeDeed::PolicyDeleted { policy } => names(&[policy]),
            ChangeDeed::Owner { owner, boundary: FirstBoundary::Policy(policy), .. } => names(&[owner, policy]),
            ChangeDeed::Owner { owner, .. } => names(&[owner]),
            ChangeDeed::Attachment { owner, policy, .. } => names(&[owner, policy]),
            ChangeDeed::Membership { user, group, .. } => names(&[user, group]),
            ChangeDeed::Boundary { owner, policy } => names(&[owner]) + name(policy),
            ChangeDeed::OrganizationPolicy { policy, kind, .. } => names(&[policy]) + name(kind),
            ChangeDeed::OrganizationAttachment { policy, target, .. } => names(&[policy, target]),
            ChangeDeed::OrganizationKind { kind, .. } => names(&[kind]),
            ChangeDeed::AccountMoved { account, from, to } => names(&[account]) + name(from) + name(to),
            ChangeDeed::EndpointPolicy { endpoint, .. } => names(&[endpoint]),
            ChangeDeed::SessionBegun { session } => names(&[session]),
        };
        of_names + self.letters()
    }
}

impl ReadChange<'_> {
    fn deed(&self) -> Option<ChangeDeed> {
        match self.call.event_name {
            "PutKeyPolicy" | "CreateKey" | "ReplicateKey" => self.key_policy(),
            "CreateGrant" => self.grant(),
            "RevokeGrant" | "RetireGrant" => {
                let (key, grant) = (self.call.key_arn?, self.call.grant_id?);
                Some(ChangeDeed::GrantEnded { key: key.to_owned(), grant: grant.to_owned() })
            }
            "AddUserToGroup" => self.membership(ChangedLink::Begun),
            "RemoveUserFromGroup" => self.membership(ChangedLink::Ended),
            "ModifyVpcEndpoint" | "CreateVpcEndpoint" => self.endpoint(),
            "CreateUser" | "CreateRole" | "CreateGroup" => self.owner_fate(OwnerFate::Made),
            "DeleteUser" | "DeleteRole" | "DeleteGroup" => self.owner_fate(OwnerFate::Deleted),
            name if name.starts_with("AssumeRole") => self.session(&["assumedRoleUser", "assumedRoleId"]),
            "GetFederationToken" => self.session(&["federatedUser", "federatedUserId"]),
            name if name.ends_with("PermissionsBoundary") => self.boundary(),
            _ => self.policy_of_iam().or_else(|| self.policy_of_organization()),
        }
    }

    /// The session whose id is at this place of the answer.
    fn session(&self, id: &[&str]) -> Option<ChangeDeed> {
        Some(ChangeDeed::SessionBegun { session: self.read.answered(id)?.to_owned() })
    }

    fn of_request(&self, name: &str) -> Option<String> {
        self.read.parameter(name).map(str::to_owned)
    }

    fn document(&self) -> DocumentText {
        self.read.document_text().map(Cow::into_owned)
    }

    /// A key that is made without a policy gets a default one, which the record does not hold.
    fn key_policy(&self) -> Option<ChangeDeed> {
        let key = if self.call.event_name == "ReplicateKey" { self.read.replica() } else { self.call.key_arn };
        Some(ChangeDeed::KeyPolicy { key: key?.to_owned(), document: self.document() })
    }

    fn grant(&self) -> Option<ChangeDeed> {
        let terms = GrantTerms {
            grantee: self.read.grantee()?.to_owned(),
            operations: self.read.grant_operations()?.into_iter().map(str::to_owned).collect(),
            is_constrained: self
                .read
                .parameter_value("constraints")
                .is_some_and(|constraints| !constraints.as_object().is_some_and(|of| of.values().all(is_nothing))),
        };
        Some(ChangeDeed::GrantMade { key: self.call.key_arn?.to_owned(), grant: self.call.grant_id?.to_owned(), terms })
    }

    /// The user, role or group that the request names, of the account that logs it.
    fn owner(&self) -> Option<String> {
        let named = |(member, kind)| Some((kind, self.read.parameter(member)?));
        let (kind, name) =
            [("userName", "user"), ("roleName", "role"), ("groupName", "group")].into_iter().find_map(named)?;
        self.identity(kind, name)
    }

    fn identity(&self, kind: &str, name: &str) -> Option<String> {
        Some(format!("{}:{kind}/{name}", self.call.account_id?))
    }

    fn membership(&self, link: ChangedLink) -> Option<ChangeDeed> {
        let user = self.identity("user", self.read.parameter("userName")?)?;
        let group = self.identity("group", self.read.parameter("groupName")?)?;
        Some(ChangeDeed::Membership { user, group, link })
    }

    fn owner_fate(&self, fate: OwnerFate) -> Option<ChangeDeed> {
        let boundary = match self.of_request("permissionsBoundary") {
            Some(policy) => FirstBoundary::Policy(policy),
            None if self.read.parameter_value("permissionsBoundary").is_some() => FirstBoundary::Unknown,
            None => FirstBoundary::None,
        };
        Some(ChangeDeed::Owner { owner: self.owner()?, fate, boundary })
    }

    fn boundary(&self) -> Option<ChangeDeed> {
        let policy = self.of_request("permissionsBoundary");
        let is_told = policy.is_some() || self.call.event_name.starts_with("Delete");
        let owner = self.owner().filter(|_| is_told)?;
        Some(ChangeDeed::Boundary { owner, policy })
    }

    fn policy_of_iam(&self) -> Option<ChangeDeed> {
        let name = |member| self.of_request(member);
        let deed = match self.call.event_name {
            "PutUserPolicy" | "PutRolePolicy" | "PutGroupPolicy" => ChangeDeed::Inline {
                owner: self.owner()?,
                policy: name("policyName")?,
                document: LeftDocument::Written(self.document()),
            },
            "DeleteUserPolicy" | "DeleteRolePolicy" | "DeleteGroupPolicy" => ChangeDeed::Inline {
                owner: self.owner()?,
                policy: name("policyName")?,
                document: LeftDocument::Deleted,
            },
            "AttachUserPolicy" | "AttachRolePolicy" | "AttachGroupPolicy" => {
                ChangeDeed::Attachment { owner: self.owner()?, policy: name("policyArn")?, link: ChangedLink::Begun }
            }
            "DetachUserPolicy" | "DetachRolePolicy" | "DetachGroupPolicy" => {
                ChangeDeed::Attachment { owner: self.owner()?, policy: name("policyArn")?, link: ChangedLink::Ended }
            }
            "CreatePolicy" if name("policyName").is_some() || self.read.answered(&["policy", "arn"]).is_some() => {
                ChangeDeed::Version {
                    policy: self.read.target().name?,
                    version: Some(self.read.answered(&["policy", "defaultVersionId"]).unwrap_or("v1").to_owned()),
                    document: self.document(),
                    link: VersionUse::First,
                }
            }
            "CreatePolicyVersion" => ChangeDeed::Version {
                policy: name("policyArn")?,
                version: self.read.made_version().map(str::to_owned),
                document: self.document(),
                link: if self.read.makes_default() { VersionUse::Default } else { VersionUse::Spare },
            },
            "SetDefaultPolicyVersion" => {
                ChangeDeed::DefaultVersion { policy: name("policyArn")?, version: name("versionId")? }
            }
            "DeletePolicy" => ChangeDeed::PolicyDeleted { policy: name("policyArn")? },
            _ => return None,
        };
        Some(deed)
    }

    fn policy_of_organization(&self) -> Option<ChangeDeed> {
        let name = |member| self.of_request(member);
        let link = match self.call.event_name {
            "AttachPolicy" | "EnablePolicyType" => ChangedLink::Begun,
            _ => ChangedLink::Ended,
        };
        let deed = match self.call.event_name {
            "CreatePolicy" | "UpdatePolicy" => ChangeDeed::OrganizationPolicy {
                policy: self.read.organization_policy()?.to_owned(),
                kind: self.read.organization_policy_kind().map(str::to_owned),
                // An update may only give the policy another name.
                document: LeftDocument::Written(Some(self.document()?)),
            },
            "DeletePolicy" => ChangeDeed::OrganizationPolicy {
                policy: self.read.organization_policy()?.to_owned(),
                kind: None,
                document: LeftDocument::Deleted,
            },
            "AttachPolicy" | "DetachPolicy" => {
                ChangeDeed::OrganizationAttachment { policy: name("policyId")?, target: name("targetId")?, link }
            }
            "MoveAccount" => ChangeDeed::AccountMoved {
                account: name("accountId")?,
                from: name("sourceParentId"),
                to: Some(name("destinationParentId")?),
            },
            "RemoveAccountFromOrganization" => {
                ChangeDeed::AccountMoved { account: name("accountId")?, from: None, to: None }
            }
            "EnablePolicyType" | "DisablePolicyType" => {
                ChangeDeed::OrganizationKind { kind: name("policyType")?, link }
            }
            _ => return None,
        };
        Some(deed)
    }

    fn endpoint(&self) -> Option<ChangeDeed> {
        let endpoint = self.read.endpoint()?.to_owned();
        let document = self.document().or_else(|| self.read.is_asked("resetPolicy").then(|| FULL_ACCESS.to_owned()))?;
        Some(ChangeDeed::EndpointPolicy { endpoint, document: Some(document) })
    }
}

/// True for what stands for no constraint.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// The account of an ARN, if it has one.
pub(super) fn account_of(arn: &str) -> Option<&str> {
    Arn::parse(arn).map(|arn| arn.account).filter(|account| !account.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::PARAMETERS_BYTES_MAX;

    /// The deed of a call in account 111122223333, as it is written out.
    fn deed(event_name: &str, request: &str, answer: &str) -> String {
        deed_in("eu-west-1", (event_name, request, answer))
    }

    fn deed_in(region: &str, (event_name, request, answer): (&str, &str, &str)) -> String {
        let call = ChangeCall {
            event_name,
            region: Some(region),
            account_id: Some("111122223333"),
            key_arn: Some("k"),
            grant_id: Some("g"),
            request: Some(request),
            answer: Some(answer),
        };
        ChangeDeed::of(call).map_or_else(|| "-".to_owned(), |(deed, _)| format!("{deed:?}").replace('"', ""))
    }

    #[test]
    fn each_call_has_the_deed_that_its_request_tells() {
        for (name, request, answer, expected) in [
            ("PutKeyPolicy", r#"{"policy":"p"}"#, "null", "KeyPolicy { key: k, document: Some(p) }"),
            // Its text was left out, or the request was: the policy is another one all the same.
            ("PutKeyPolicy", "null", "null", "KeyPolicy { key: k, document: None }"),
            ("PutKeyPolicy", r#"{"omitted":true}"#, "null", "KeyPolicy { key: k, document: None }"),
            ("CreateKey", "{}", "null", "KeyPolicy { key: k, document: None }"),
            ("PutKeyPolicy", r#"{"policy":{"a": 1}}"#, "null", r#"KeyPolicy { key: k, document: Some({\a\:1}) }"#),
            ("PutKeyPolicy", r#"{"policy":null}"#, "null", "KeyPolicy { key: k, document: None }"),
            (
                "ReplicateKey",
                r#"{"replicaRegion":"eu-west-1"}"#,
                r#"{"replicaKeyMetadata":{"arn":"r"},"replicaPolicy":"p"}"#,
                "KeyPolicy { key: r, document: Some(p) }",
            ),
            ("ReplicateKey", r#"{"policy":"p"}"#, "null", "-"),
            ("RetireGrant", "null", "null", "GrantEnded { key: k, grant: g }"),
            (
                "CreateGrant",
                r#"{"granteePrincipal":"r","operations":["Decrypt"],"constraints":{"encryptionContextEquals":{"a":"b"}}}"#,
                "null",
                "GrantMade { key: k, grant: g, terms: GrantTerms { grantee: r, operations: [Decrypt], is_constrained: true } }",
            ),
            (
                "CreateGrant",
                r#"{"granteePrincipal":"r","operations":[],"constraints":{"encryptionContextEquals":null}}"#,
                "null",
                "GrantMade { key: k, grant: g, terms: GrantTerms { grantee: r, operations: [], is_constrained: false } }",
            ),
            (
                "CreateGrant",
                r#"{"granteeServicePrincipal":"dynamodb.amazonaws.com","retiringServicePrincipal":"s3.amazonaws.com","operations":["Decrypt"]}"#,
                "null",
                "GrantMade { key: k, grant: g, terms: GrantTerms { grantee: dynamodb.amazonaws.com, operations: [Decrypt], is_constrained: false } }",
            ),
            ("CreateGrant", r#"{"operations":["Decrypt"]}"#, "null", "-"),
            // A list that is not all of texts is none of operations.
            ("CreateGrant", r#"{"granteePrincipal":"r","operations":["Decrypt",1]}"#, "null", "-"),
            ("CreateGrant", r#"{"retiringServicePrincipal":"s3.amazonaws.com","operations":["Decrypt"]}"#, "null", "-"),
            (
                "PutGroupPolicy",
                r#"{"groupName":"g","policyName":"p","policyDocument":"{}"}"#,
                "null",
                "Inline { owner: 111122223333:group/g, policy: p, document: Written(Some({})) }",
            ),
            (
                "DeleteUserPolicy",
                r#"{"userName":"u","policyName":"p"}"#,
                "null",
                "Inline { owner: 111122223333:user/u, policy: p, document: Deleted }",
            ),
            (
                "DetachRolePolicy",
                r#"{"roleName":"r","policyArn":"a"}"#,
                "null",
                "Attachment { owner: 111122223333:role/r, policy: a, link: Ended }",
            ),
            ("AttachRolePolicy", r#"{"roleName":7,"policyArn":"a"}"#, "null", "-"),
            (
                "AddUserToGroup",
                r#"{"groupName":"g","userName":"u"}"#,
                "null",
                "Membership { user: 111122223333:user/u, group: 111122223333:group/g, link: Begun }",
            ),
            (
                "CreatePolicy",
                r#"{"policyName":"p","path":"/team/","policyDocument":"{}"}"#,
                "null",
                "Version { policy: arn:aws:iam::111122223333:policy/team/p, version: Some(v1), document: Some({}), link: First }",
            ),
            (
                "CreatePolicy",
                r#"{"content":"{}","name":"p","type":"SERVICE_CONTROL_POLICY"}"#,
                r#"{"policy":{"policySummary":{"id":"p-1","type":"SERVICE_CONTROL_POLICY"}}}"#,
                "OrganizationPolicy { policy: p-1, kind: Some(SERVICE_CONTROL_POLICY), document: Written(Some({})) }",
            ),
            // Only its name is new.
            ("UpdatePolicy", r#"{"policyId":"p-1","name":"n"}"#, "null", "-"),
            (
                "CreatePolicyVersion",
                r#"{"policyArn":"a","policyDocument":"{}"}"#,
                r#"{"policyVersion":{"versionId":"v2","isDefaultVersion":false}}"#,
                "Version { policy: a, version: Some(v2), document: Some({}), link: Spare }",
            ),
            (
                "CreatePolicyVersion",
                r#"{"policyArn":"a","policyDocument":"{}"}"#,
                r#"{"policyVersion":{"versionId":"v2","isDefaultVersion":true}}"#,
                "Version { policy: a, version: Some(v2), document: Some({}), link: Default }",
            ),
            (
                "CreatePolicyVersion",
                r#"{"policyArn":"a","policyDocument":"{}","setAsDefault":"true"}"#,
                "null",
                "Version { policy: a, version: None, document: Some({}), link: Default }",
            ),
            ("DeletePolicy", r#"{"policyArn":"a"}"#, "null", "PolicyDeleted { policy: a }"),
            (
                "DeletePolicy",
                r#"{"policyId":"p-1"}"#,
                "null",
                "OrganizationPolicy { policy: p-1, kind: None, document: Deleted }",
            ),
            ("DeletePolicyVersion", r#"{"policyArn":"a","versionId":"v1"}"#, "null", "-"),
            (
                "SetDefaultPolicyVersion",
                r#"{"policyArn":"a","versionId":"v2"}"#,
                "null",
                "DefaultVersion { policy: a, version: v2 }",
            ),
            (
                "PutUserPermissionsBoundary",
                r#"{"userName":"u","permissionsBoundary":"a"}"#,
                "null",
                "Boundary { owner: 111122223333:user/u, policy: Some(a) }",
            ),
            (
                "DeleteRolePermissionsBoundary",
                r#"{"roleName":"r"}"#,
                "null",
                "Boundary { owner: 111122223333:role/r, policy: None }",
            ),
            (
                "CreateRole",
                r#"{"roleName":"r"}"#,
                "null",
                "Owner { owner: 111122223333:role/r, fate: Made, boundary: None }",
            ),
            (
                "CreateUser",
                r#"{"userName":"u","permissionsBoundary":"a"}"#,
                "null",
                "Owner { owner: 111122223333:user/u, fate: Made, boundary: Policy(a) }",
            ),
            ("CreateUser", r#"{"omitted":true}"#, "null", "-"),
            (
                "DeleteGroup",
                r#"{"groupName":"g"}"#,
                "null",
                "Owner { owner: 111122223333:group/g, fate: Deleted, boundary: None }",
            ),
            (
                "DetachPolicy",
                r#"{"policyId":"p-1","targetId":"ou-1"}"#,
                "null",
                "OrganizationAttachment { policy: p-1, target: ou-1, link: Ended }",
            ),
            (
                "DisablePolicyType",
                r#"{"rootId":"r-1","policyType":"SERVICE_CONTROL_POLICY"}"#,
                "null",
                "OrganizationKind { kind: SERVICE_CONTROL_POLICY, link: Ended }",
            ),
            (
                "MoveAccount",
                r#"{"accountId":"444455556666","sourceParentId":"r-1","destinationParentId":"ou-1"}"#,
                "null",
                "AccountMoved { account: 444455556666, from: Some(r-1), to: Some(ou-1) }",
            ),
            ("MoveAccount", r#"{"accountId":"444455556666"}"#, "null", "-"),
            (
                "RemoveAccountFromOrganization",
                r#"{"accountId":"444455556666"}"#,
                "null",
                "AccountMoved { account: 444455556666, from: None, to: None }",
            ),
            ("RemoveAccountFromOrganization", "{}", "null", "-"),
            (
                "ModifyVpcEndpoint",
                r#"{"ModifyVpcEndpointRequest":{"VpcEndpointId":"vpce-1","PolicyDocument":"{}"}}"#,
                r#"{"ModifyVpcEndpointResponse":{"return":true}}"#,
                "EndpointPolicy { endpoint: vpce-1, document: Some({}) }",
            ),
            ("ModifyVpcEndpoint", r#"{"ModifyVpcEndpointRequest":{"VpcEndpointId":"vpce-1"}}"#, "null", "-"),
            (
                "AssumeRoleWithWebIdentity",
                "{}",
                r#"{"assumedRoleUser":{"assumedRoleId":"AROAEXAMPLE:s"}}"#,
                "SessionBegun { session: AROAEXAMPLE:s }",
            ),
            ("AssumeRole", "{}", "null", "-"),
            (
                "GetFederationToken",
                r#"{"name":"bob"}"#,
                r#"{"federatedUser":{"federatedUserId":"111122223333:bob"}}"#,
                "SessionBegun { session: 111122223333:bob }",
            ),
            ("GetFederationToken", r#"{"name":"bob"}"#, "null", "-"),
            ("DescribeKey", "{}", "{}", "-"),
        ] {
            assert_eq!(deed(name, request, answer), expected, "{name} {request}");
        }
    }

    #[test]
    fn a_policy_is_named_in_the_partition_of_its_region() {
        let request = r#"{"policyName":"p","policyDocument":"{}"}"#;
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("us-isof-south-1", "aws-iso-f"),
        ] {
            assert_eq!(
                deed_in(region, ("CreatePolicy", request, "null")),
                format!(
                    "Version {{ policy: arn:{partition}:iam::111122223333:policy/p, version: Some(v1), document: Some({{}}), link: First }}"
                ),
            );
        }
    }

    #[test]
    fn a_deed_counts_all_its_texts() {
        let name = "n".repeat(1000);
        for (event_name, request) in [
            ("PutUserPolicy", format!(r#"{{"userName":"u","policyName":"{name}","policyDocument":"d"}}"#)),
            ("PutUserPolicy", format!(r#"{{"userName":"u","policyName":"p","policyDocument":"{name}"}}"#)),
            ("AttachUserPolicy", format!(r#"{{"userName":"{name}","policyArn":"a"}}"#)),
            ("AddUserToGroup", format!(r#"{{"userName":"u","groupName":"{name}"}}"#)),
            ("CreateUser", format!(r#"{{"userName":"u","permissionsBoundary":"{name}"}}"#)),
            ("CreateGrant", format!(r#"{{"granteePrincipal":"{name}","operations":[]}}"#)),
            ("CreateGrant", format!(r#"{{"granteePrincipal":"r","operations":["{name}"]}}"#)),
            ("AttachPolicy", format!(r#"{{"policyId":"p-1","targetId":"{name}"}}"#)),
            ("SetDefaultPolicyVersion", format!(r#"{{"policyArn":"a","versionId":"{name}"}}"#)),
            ("ModifyVpcEndpoint", format!(r#"{{"vpcEndpointId":"v","policyDocument":"{name}"}}"#)),
        ] {
            let call = ChangeCall {
                event_name,
                account_id: Some("111122223333"),
                key_arn: Some("k"),
                grant_id: Some("g"),
                request: Some(&request),
                ..ChangeCall::default()
            };
            let (deed, _) = ChangeDeed::of(call).unwrap();
            assert!(deed.bytes() >= 1000, "{event_name} {}", deed.bytes());
        }
    }

    #[test]
    fn hostile_parameters_tell_nothing_and_cost_little() {
        let deep = format!("{}{}", r#"{"policy":"#.repeat(200_000), "}".repeat(200_000));
        let wide = format!(r#"{{"policy":"{}"}}"#, "x".repeat(PARAMETERS_BYTES_MAX));
        for request in [&deep, &wide, "[", r#"{"policy":["p"]}"#, "7"] {
            assert_eq!(deed("PutKeyPolicy", request, request), "KeyPolicy { key: k, document: None }");
        }
    }
}
