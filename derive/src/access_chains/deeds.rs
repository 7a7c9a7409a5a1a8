//! The deed of each change that may let somebody use a key: which policy, grant, attachment or boundary it set to what.
//! In: the name, request and answer of a successful call of KMS, IAM, Organizations, STS or EC2. Out: one deed, or none.
//! Never reads a policy: the text of a document is kept as it came, and one that is not there is an unknown one.

use keytrail_rows::arn::Arn;
use serde_json::Value;

/// Longest request or answer that is taken apart. AWS allows policies of 32 KiB.
const PARAMETERS_BYTES_MAX: usize = 512 * 1024;

/// The policy of an endpoint to which none was given.
const FULL_ACCESS: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;

/// One successful call, as the input has it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ChangeCall<'a> {
    pub event_name: &'a str,
    pub account_id: Option<&'a str>,
    pub key_arn: Option<&'a str>,
    pub grant_id: Option<&'a str>,
    pub request: Option<&'a str>,
    pub answer: Option<&'a str>,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
        document: DocumentText,
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
    EndpointPolicy {
        endpoint: String,
        document: DocumentText,
    },
    /// By its id with its name, as `AROA…:NAME`.
    SessionBegun {
        session: String,
    },
}

/// The use that a new version of a policy is put to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VersionUse {
    Default,
    Spare,
}

/// The members of a request and its answer.
struct CallMembers<'a> {
    call: ChangeCall<'a>,
    request: Value,
    answer: Value,
}

impl ChangeDeed {
    /// The deed of a call; `None` if it does nothing of the kind, or does not tell to whom.
    pub fn of(call: ChangeCall<'_>) -> Option<ChangeDeed> {
        let parsed = |text: Option<&str>| {
            let text = text.filter(|text| text.len() <= PARAMETERS_BYTES_MAX)?;
            serde_json::from_str(text).ok()
        };
        let (request, answer) = (parsed(call.request), parsed(call.answer));
        let members = CallMembers { call, request: request.unwrap_or_default(), answer: answer.unwrap_or_default() };
        match call.event_name {
            "PutKeyPolicy" | "CreateKey" | "ReplicateKey" => members.key_policy(),
            "CreateGrant" => members.grant(),
            "RevokeGrant" | "RetireGrant" => {
                Some(ChangeDeed::GrantEnded { key: call.key_arn?.to_owned(), grant: call.grant_id?.to_owned() })
            }
            "AddUserToGroup" => members.membership(ChangedLink::Begun),
            "RemoveUserFromGroup" => members.membership(ChangedLink::Ended),
            "ModifyVpcEndpoint" | "CreateVpcEndpoint" => members.endpoint(),
            name if name.starts_with("AssumeRole") => {
                let session = members.answer.get("assumedRoleUser")?.get("assumedRoleId")?.as_str()?;
                Some(ChangeDeed::SessionBegun { session: session.to_owned() })
            }
            name if name.ends_with("PermissionsBoundary") || matches!(name, "CreateUser" | "CreateRole") => {
                members.boundary()
            }
            _ => members.policy_of_iam().or_else(|| members.policy_of_organization()),
        }
    }
}

impl CallMembers<'_> {
    fn of_request(&self, name: &str) -> Option<&str> {
        self.request.get(name)?.as_str()
    }

    fn key_policy(&self) -> Option<ChangeDeed> {
        let call = self.call;
        let (key, document) = match call.event_name {
            "PutKeyPolicy" => (call.key_arn?, self.of_request("policy")),
            // Without one the key gets a default policy, which the record does not hold.
            "CreateKey" => (call.key_arn?, self.of_request("policy")),
            _ => {
                let replica =
                    self.answer.get("replicaKeyMetadata").and_then(|key| key.get("arn")).and_then(Value::as_str);
                (replica?, self.answer.get("replicaPolicy").and_then(Value::as_str).or(self.of_request("policy")))
            }
        };
        Some(ChangeDeed::KeyPolicy { key: key.to_owned(), document: document.map(str::to_owned) })
    }

    fn grant(&self) -> Option<ChangeDeed> {
        let operations = self.request.get("operations")?.as_array()?;
        let operations = operations.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let terms = GrantTerms {
            grantee: self.of_request("granteePrincipal")?.to_owned(),
            operations,
            is_constrained: self.request.get("constraints").is_some_and(|constraints| {
                let is_empty = constraints.as_object().is_some_and(|of| of.values().all(is_nothing));
                !constraints.is_null() && !is_empty
            }),
        };
        Some(ChangeDeed::GrantMade { key: self.call.key_arn?.to_owned(), grant: self.call.grant_id?.to_owned(), terms })
    }

    /// The user, role or group that the request names, of the account that logs it.
    fn owner(&self) -> Option<String> {
        let named = |(member, kind)| Some((kind, self.of_request(member)?));
        let (kind, name) =
            [("userName", "user"), ("roleName", "role"), ("groupName", "group")].into_iter().find_map(named)?;
        self.identity(kind, name)
    }

    fn identity(&self, kind: &str, name: &str) -> Option<String> {
        Some(format!("{}:{kind}/{name}", self.call.account_id?))
    }

    fn membership(&self, link: ChangedLink) -> Option<ChangeDeed> {
        let user = self.identity("user", self.of_request("userName")?)?;
        let group = self.identity("group", self.of_request("groupName")?)?;
        Some(ChangeDeed::Membership { user, group, link })
    }

    /// A user or role that is made has a boundary from its first moment, or none.
    fn boundary(&self) -> Option<ChangeDeed> {
        let policy = self.of_request("permissionsBoundary").map(str::to_owned);
        let is_told = policy.is_some() || self.call.event_name.starts_with("Delete");
        let owner = self.owner().filter(|_| is_told)?;
        Some(ChangeDeed::Boundary { owner, policy })
    }

    fn policy_of_iam(&self) -> Option<ChangeDeed> {
        let name = |member| self.of_request(member).map(str::to_owned);
        let deed = match self.call.event_name {
            "PutUserPolicy" | "PutRolePolicy" | "PutGroupPolicy" => ChangeDeed::Inline {
                owner: self.owner()?,
                policy: name("policyName")?,
                document: LeftDocument::Written(name("policyDocument")),
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
            "CreatePolicy" if name("policyDocument").is_some() || name("content").is_none() => {
                let made = self.answer.get("policy");
                let of_answer = |member: &str| made?.get(member)?.as_str().map(str::to_owned);
                ChangeDeed::Version {
                    policy: of_answer("arn").or_else(|| self.composed_policy())?,
                    version: Some(of_answer("defaultVersionId").unwrap_or_else(|| "v1".to_owned())),
                    document: name("policyDocument"),
                    link: VersionUse::Default,
                }
            }
            "CreatePolicyVersion" => {
                let made = self.answer.get("policyVersion");
                let is_default = [self.request.get("setAsDefault"), made.and_then(|made| made.get("isDefaultVersion"))]
                    .into_iter()
                    .flatten()
                    .any(|value| *value == Value::Bool(true));
                ChangeDeed::Version {
                    policy: name("policyArn")?,
                    version: made.and_then(|made| made.get("versionId")?.as_str().map(str::to_owned)),
                    document: name("policyDocument"),
                    link: if is_default { VersionUse::Default } else { VersionUse::Spare },
                }
            }
            "SetDefaultPolicyVersion" => {
                ChangeDeed::DefaultVersion { policy: name("policyArn")?, version: name("versionId")? }
            }
            _ => return None,
        };
        Some(deed)
    }

    /// The ARN of a new policy by its request, in the partition of ordinary Regions.
    fn composed_policy(&self) -> Option<String> {
        let path = self.of_request("path").unwrap_or("/");
        Some(format!("arn:aws:iam::{}:policy{path}{}", self.call.account_id?, self.of_request("policyName")?))
    }

    fn policy_of_organization(&self) -> Option<ChangeDeed> {
        let name = |member| self.of_request(member).map(str::to_owned);
        let made = self.answer.get("policy").and_then(|policy| policy.get("policySummary"));
        let of_answer = |member: &str| made?.get(member)?.as_str().map(str::to_owned);
        let link = match self.call.event_name {
            "AttachPolicy" | "EnablePolicyType" => ChangedLink::Begun,
            _ => ChangedLink::Ended,
        };
        let deed = match self.call.event_name {
            "CreatePolicy" | "UpdatePolicy" => ChangeDeed::OrganizationPolicy {
                policy: name("policyId").or_else(|| of_answer("id"))?,
                kind: name("type").or_else(|| of_answer("type")),
                // An update may only give the policy another name.
                document: Some(name("content").or_else(|| self.content_of_answer())?),
            },
            "AttachPolicy" | "DetachPolicy" => {
                ChangeDeed::OrganizationAttachment { policy: name("policyId")?, target: name("targetId")?, link }
            }
            "EnablePolicyType" | "DisablePolicyType" => {
                ChangeDeed::OrganizationKind { kind: name("policyType")?, link }
            }
            _ => return None,
        };
        Some(deed)
    }

    fn content_of_answer(&self) -> Option<String> {
        Some(self.answer.get("policy")?.get("content")?.as_str()?.to_owned())
    }

    /// Requests of EC2 stand in a member that is called as the request.
    fn endpoint(&self) -> Option<ChangeDeed> {
        let request = ["ModifyVpcEndpointRequest", "CreateVpcEndpointRequest"]
            .into_iter()
            .find_map(|name| self.request.get(name))
            .unwrap_or(&self.request);
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let member = |upper: &str, lower: &str| text(request.get(upper).or_else(|| request.get(lower)));
        let made = self.answer.get("CreateVpcEndpointResponse").unwrap_or(&self.answer).get("vpcEndpoint");
        let endpoint = member("VpcEndpointId", "vpcEndpointId")
            .or_else(|| text(made.and_then(|made| made.get("vpcEndpointId"))))?;
        let document = member("PolicyDocument", "policyDocument");
        let is_reset = request.get("ResetPolicy").or_else(|| request.get("resetPolicy")) == Some(&Value::Bool(true));
        match (document, is_reset) {
            (None, false) => None,
            (None, true) => Some(ChangeDeed::EndpointPolicy { endpoint, document: Some(FULL_ACCESS.to_owned()) }),
            (document, _) => Some(ChangeDeed::EndpointPolicy { endpoint, document }),
        }
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

    /// The deed of a call in account 111122223333, as it is written out.
    fn deed(event_name: &str, request: &str, answer: &str) -> String {
        let call = ChangeCall {
            event_name,
            account_id: Some("111122223333"),
            key_arn: Some("k"),
            grant_id: Some("g"),
            request: Some(request),
            answer: Some(answer),
        };
        ChangeDeed::of(call).map_or_else(|| "-".to_owned(), |deed| format!("{deed:?}").replace('"', ""))
    }

    #[test]
    fn each_call_has_the_deed_that_its_request_tells() {
        for (name, request, answer, expected) in [
            ("PutKeyPolicy", r#"{"policy":"p"}"#, "null", "KeyPolicy { key: k, document: Some(p) }"),
            // Its text was left out, or the request was: the policy is another one all the same.
            ("PutKeyPolicy", "null", "null", "KeyPolicy { key: k, document: None }"),
            ("PutKeyPolicy", r#"{"omitted":true}"#, "null", "KeyPolicy { key: k, document: None }"),
            ("CreateKey", "{}", "null", "KeyPolicy { key: k, document: None }"),
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
                r#"{"granteePrincipal":"r","operations":["Decrypt",1],"constraints":{"encryptionContextEquals":{"a":"b"}}}"#,
                "null",
                "GrantMade { key: k, grant: g, terms: GrantTerms { grantee: r, operations: [Decrypt], is_constrained: true } }",
            ),
            (
                "CreateGrant",
                r#"{"granteePrincipal":"r","operations":[],"constraints":{"encryptionContextEquals":null}}"#,
                "null",
                "GrantMade { key: k, grant: g, terms: GrantTerms { grantee: r, operations: [], is_constrained: false } }",
            ),
            ("CreateGrant", r#"{"operations":["Decrypt"]}"#, "null", "-"),
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
                "Version { policy: arn:aws:iam::111122223333:policy/team/p, version: Some(v1), document: Some({}), link: Default }",
            ),
            (
                "CreatePolicy",
                r#"{"content":"{}","name":"p","type":"SERVICE_CONTROL_POLICY"}"#,
                r#"{"policy":{"policySummary":{"id":"p-1","type":"SERVICE_CONTROL_POLICY"}}}"#,
                "OrganizationPolicy { policy: p-1, kind: Some(SERVICE_CONTROL_POLICY), document: Some({}) }",
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
            ("CreateRole", r#"{"roleName":"r"}"#, "null", "-"),
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
            ("DescribeKey", "{}", "{}", "-"),
        ] {
            assert_eq!(deed(name, request, answer), expected, "{name} {request}");
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
