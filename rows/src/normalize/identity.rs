//! Decides who called: the stable identity, its session, and the service that stood between.
//! In: `userIdentity`, and the source address that a service call shows. Out: the columns from `principal_type` to
//! `via_source`. Never NULL: `principal`. Never guesses a person behind a service.

use std::borrow::Cow;

use super::members::{Issues, Members, named_members};
use super::row::{Row, Text, part};
use crate::arn::{Arn, is_account_id, partition_of, service_of};
use crate::json::{JsonKind, Value};

/// `invokedBy` and source address of services that do not name themselves: `AWS Internal`, `AWS Internal/3`, and its form
/// as a host. AWS writes both, so no principal calls from there.
fn is_internal(caller: &str) -> bool {
    caller.starts_with("AWS Internal") || caller == "internal.amazonaws.com"
}

/// The short name of a service that names itself, whichever of its hosts calls.
fn named_service(principal: &str) -> Option<&str> {
    let name = service_of(principal).filter(|_| !is_internal(principal))?;
    Some(HOSTS.iter().find(|(host, _)| *host == name).map_or(name, |(_, service)| *service))
}

/// Hosts that call for a service and are none of their own, by the service. Seen in records and in the principals of AWS's
/// managed policies.
const HOSTS: &[(&str, &str)] = &[
    ("config-conforms", "config"),
    ("datax", "dataexchange"),
    ("ebs", "ec2"),
    ("ec2-frontend-api", "ec2"),
    ("ec2fastlaunch", "ec2"),
    ("ec2fleet", "ec2"),
    ("ec2scheduled", "ec2"),
    ("ecs-tasks", "ecs"),
    ("edgelambda", "lambda"),
    ("eks-connector", "eks"),
    ("eks-nodegroup", "eks"),
    ("fargate", "ecs"),
    ("opensearchservice", "es"),
    ("spot", "ec2"),
    ("spotfleet", "ec2"),
    ("tlsconnectionmanager", "vpc-lattice"),
    ("transitgateway", "ec2"),
    ("vmie", "ec2"),
];

/// The console's old mark of a person's own call: no service stood between.
fn is_console(invoked_by: &str) -> bool {
    service_of(invoked_by) == Some("signin")
}

/// `context_service` is the service that calls KMS with an encryption context such as this record's.
pub(super) fn fill<'a>(
    row: &mut Row<'a>,
    members: &Members<'a>,
    context_service: Option<Text<'a>>,
    issues: &mut Issues,
) {
    let Some(identity) = UserIdentity::read(members.user_identity(), issues) else {
        row.principal = match members.user_identity().and_then(Value::text).filter(|text| !text.is_empty()) {
            Some(text) => Cow::Owned(format!("unknown:{text}")),
            None => Cow::Borrowed("unknown:none"),
        };
        row.caller_class = Some(Cow::Borrowed("unknown"));
        return;
    };
    set_principal(row, &identity, issues);
    set_session(row, &identity);
    set_caller(row, &identity, context_service, issues);
    row.principal_type = identity.kind;
    row.principal_id = identity.principal_id;
    row.principal_account_id = identity.account_id;
    row.session_created = identity.session_created;
    row.access_key_id = identity.access_key_id;
    row.source_identity = identity.source_identity;
    row.on_behalf_of = identity.on_behalf_of;
    row.invoked_by = identity.invoked_by;
    row.mfa_authenticated = match row.principal_type.as_deref() {
        Some("AssumedRole") => identity.mfa_authenticated.filter(|is_true| *is_true),
        _ => identity.mfa_authenticated,
    };
}

named_members! {
    /// The members of `userIdentity`.
    IdentityMembers, IdentityMember {
        kind "type",
        principal_id "principalId",
        arn "arn",
        account_id "accountId",
        access_key_id "accessKeyId",
        user_name "userName",
        invoked_by "invokedBy",
        session_context "sessionContext",
        on_behalf_of "onBehalfOf",
    }
}

/// `userIdentity`, read.
struct UserIdentity<'a> {
    kind: Option<Text<'a>>,
    principal_id: Option<Text<'a>>,
    arn: Option<Text<'a>>,
    account_id: Option<Text<'a>>,
    access_key_id: Option<Text<'a>>,
    user_name: Option<Text<'a>>,
    invoked_by: Option<Text<'a>>,
    issuer_arn: Option<Text<'a>>,
    session_created: Option<i64>,
    mfa_authenticated: Option<bool>,
    source_identity: Option<Text<'a>>,
    on_behalf_of: Option<Text<'a>>,
}

impl<'a> UserIdentity<'a> {
    fn read(value: Option<Value<'a>>, issues: &mut Issues) -> Option<UserIdentity<'a>> {
        let value = value.filter(|value| !value.is_null())?;
        if value.kind() != JsonKind::Object {
            issues.add("userIdentity", "not an object");
            return None;
        }
        let members = IdentityMembers::of(value);
        let session = members.session_context();
        let issuer = session.and_then(|session| session.get("sessionIssuer"));
        let attributes = session.and_then(|session| session.get("attributes"));
        let of = |object: Option<Value<'a>>, key| object.and_then(|object| object.get(key));
        let person = members.on_behalf_of();
        let issuer_arn = issues.text(of(issuer, "arn"), "userIdentity.sessionContext.sessionIssuer.arn");
        let issuer_account =
            issues.text(of(issuer, "accountId"), "userIdentity.sessionContext.sessionIssuer.accountId");
        let store = issues.text(of(person, "identityStoreArn"), "userIdentity.onBehalfOf.identityStoreArn");
        let user = issues.text(of(person, "userId"), "userIdentity.onBehalfOf.userId");
        let arn = issues.text(members.arn(), "userIdentity.arn");
        let account_id = issues
            .text(members.account_id(), "userIdentity.accountId")
            .or(issuer_account)
            .or_else(|| arn.as_deref().or(store.as_deref()).and_then(account_of));
        Some(UserIdentity {
            kind: issues.text(members.kind(), "userIdentity.type"),
            principal_id: issues.text(members.principal_id(), "userIdentity.principalId"),
            account_id,
            access_key_id: issues.text(members.access_key_id(), "userIdentity.accessKeyId"),
            user_name: issues.text(members.user_name(), "userIdentity.userName"),
            invoked_by: issues.text(members.invoked_by(), "userIdentity.invokedBy"),
            session_created: issues
                .time(of(attributes, "creationDate"), "userIdentity.sessionContext.attributes.creationDate"),
            mfa_authenticated: issues
                .boolean(of(attributes, "mfaAuthenticated"), "userIdentity.sessionContext.attributes.mfaAuthenticated"),
            source_identity: issues.text(of(session, "sourceIdentity"), "userIdentity.sessionContext.sourceIdentity"),
            on_behalf_of: user.map(|user| Cow::Owned(identity_center_user(store.as_deref(), &user))),
            arn,
            issuer_arn,
        })
    }

    /// Its type; where AWS calls that unknown, the type that the ARN tells.
    fn acts_as(&self) -> Option<&str> {
        let kind = self.kind.as_deref();
        let Some(arn) = self.arn.as_deref().and_then(Arn::parse).filter(|_| kind == Some("Unknown")) else {
            return kind;
        };
        match (arn.service, arn.resource) {
            ("iam", "root") => Some("Root"),
            ("iam", resource) if resource.starts_with("user/") => Some("IAMUser"),
            ("sts", resource) if resource.starts_with("assumed-role/") => Some("AssumedRole"),
            ("sts", resource) if resource.starts_with("federated-user/") => Some("FederatedUser"),
            _ => kind,
        }
    }

    /// True if the record names an identity of its own beside the service that acts.
    fn names_someone(&self) -> bool {
        self.arn.is_some() || self.principal_id.is_some() || self.issuer_arn.is_some()
    }
}

fn account_of<'a>(arn: &str) -> Option<Text<'a>> {
    let account = Arn::parse(arn)?.account;
    is_account_id(account).then(|| Cow::Owned(account.to_owned()))
}

/// `idc:STORE/USER`, with the id of the identity store.
fn identity_center_user(store_arn: Option<&str>, user: &str) -> String {
    let store = store_arn.unwrap_or_default();
    let id = Arn::parse(store).and_then(|arn| arn.resource_of("identitystore")).unwrap_or(store);
    format!("idc:{id}/{user}")
}

fn set_principal<'a>(row: &mut Row<'a>, identity: &UserIdentity<'a>, issues: &mut Issues) {
    let kind = identity.acts_as();
    let region = row.aws_region.as_deref().unwrap_or_default();
    if let Some(arn) = stable_arn(identity, region, issues) {
        row.principal_arn = Some(arn.clone());
        row.principal = arn;
        return;
    }
    let account = identity.account_id.as_deref();
    let id = identity.principal_id.as_deref();
    let service = identity.invoked_by.as_deref();
    row.principal = Cow::Owned(match (kind, account, id) {
        (Some("AWSService"), ..) => match service.or(source_service(row).map(Cow::as_ref)) {
            Some(service) => format!("service:{service}"),
            None => "unknown:AWSService".to_owned(),
        },
        (None, ..) if service.is_some() && !identity.names_someone() => {
            format!("service:{}", service.unwrap_or_default())
        }
        (Some("FederatedUser"), ..) => {
            let issuer = identity.issuer_arn.as_deref().or(account).unwrap_or_default();
            format!("federated:{issuer}/{}", federated_name(identity).unwrap_or_default())
        }
        (Some("IdentityCenterUser"), ..) if identity.on_behalf_of.is_some() => {
            identity.on_behalf_of.as_deref().unwrap_or_default().to_owned()
        }
        (Some("SAMLUser"), _, Some(id)) => format!("saml:{id}"),
        (Some("WebIdentityUser"), _, Some(id)) => format!("web:{id}"),
        (Some("SAMLUser"), _, None) if identity.user_name.is_some() => {
            format!("saml:{}", identity.user_name.as_deref().unwrap_or_default())
        }
        (Some("WebIdentityUser"), _, None) if identity.user_name.is_some() => {
            format!("web:{}", identity.user_name.as_deref().unwrap_or_default())
        }
        (Some("AWSAccount" | "IAMUser" | "AssumedRole" | "Role"), Some(account), Some(id)) => {
            format!("account:{account}/{}", id.split(':').next().unwrap_or(id))
        }
        (Some("AWSAccount"), Some(account), None) => format!("account:{account}"),
        _ => {
            let any = identity.arn.as_deref().or(id).or(account).or(identity.user_name.as_deref());
            format!("unknown:{}", any.unwrap_or("none"))
        }
    });
}

/// The ARN of the role, user or root that calls, where the record has one.
fn stable_arn<'a>(identity: &UserIdentity<'a>, region: &str, issues: &mut Issues) -> Option<Text<'a>> {
    let text = identity.arn.as_ref();
    let arn = text.and_then(|text| Arn::parse(text));
    match identity.acts_as() {
        Some("Root") => match arn {
            Some(arn) if arn.service == "iam" && arn.resource == "root" => text.cloned(),
            _ => {
                let account = identity.account_id.as_deref().filter(|account| is_account_id(account))?;
                Some(Cow::Owned(format!("arn:{}:iam::{account}:root", partition_of(region))))
            }
        },
        // Their ARN, if any, is of a session that the issuer made, or of the service.
        Some("FederatedUser" | "AWSService") => None,
        // An ARN says what it is of, whatever the type is.
        kind => {
            let issuer = identity.issuer_arn.as_ref().filter(|issuer| is_role(issuer));
            if let Some(issuer) = issuer.filter(|_| kind != Some("IAMUser")) {
                return Some(issuer.clone());
            }
            let Some(arn) = arn else { return user_by_name(identity, region, issues) };
            match (arn.service, arn.resource) {
                (_, "root") => None,
                ("sts", resource) if resource.starts_with("assumed-role/") => {
                    issues.add("userIdentity.sessionContext.sessionIssuer.arn", "missing, path of the role unknown");
                    let role = resource.split('/').nth(1).filter(|role| !role.is_empty())?;
                    Some(Cow::Owned(format!("arn:{}:iam::{}:role/{role}", arn.partition, arn.account)))
                }
                ("iam", resource) if resource.starts_with("user/") || resource.starts_with("role/") => text.cloned(),
                _ => None,
            }
        }
    }
}

/// The ARN of a user whose record has only a name, as sign-ins have.
fn user_by_name<'a>(identity: &UserIdentity<'a>, region: &str, issues: &mut Issues) -> Option<Text<'a>> {
    let name = identity.user_name.as_deref().filter(|_| identity.kind.as_deref() == Some("IAMUser"))?;
    let account = identity.account_id.as_deref().filter(|account| is_account_id(account))?;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    // AWS hides what was typed where no user has that name.
    let is_user = name.bytes().all(is_part) && name != "HIDDEN_DUE_TO_SECURITY_REASONS";
    is_user.then(|| {
        issues.add("userIdentity.arn", "missing, path of the user unknown");
        Cow::Owned(format!("arn:{}:iam::{account}:user/{name}", partition_of(region)))
    })
}

fn is_role(arn: &str) -> bool {
    Arn::parse(arn).is_some_and(|arn| arn.service == "iam" && arn.resource_of("role").is_some())
}

/// The name of a federated user: in its ARN, else behind the account in its id.
fn federated_name<'i>(identity: &'i UserIdentity<'_>) -> Option<&'i str> {
    let by_arn = identity.arn.as_deref().and_then(Arn::parse).and_then(|arn| arn.resource_of("federated-user"));
    by_arn.or_else(|| identity.principal_id.as_deref()?.split_once(':').map(|(_, name)| name))
}

fn set_session<'a>(row: &mut Row<'a>, identity: &UserIdentity<'a>) {
    let in_arn = |kind: &str| identity.arn.as_deref().and_then(Arn::parse)?.resource_of(kind).map(|_| ());
    if in_arn("assumed-role").or_else(|| in_arn("federated-user")).is_some() {
        row.session_arn = identity.arn.clone();
    }
    let after_colon = |id: &Text<'a>| part(id, |id| id.split_once(':').map(|(_, name)| name));
    let by_id = || identity.principal_id.as_ref().and_then(after_colon);
    let name = match identity.acts_as() {
        Some("FederatedUser") => identity
            .arn
            .as_ref()
            .and_then(|arn| part(arn, |arn| Arn::parse(arn)?.resource_of("federated-user")))
            .or_else(by_id),
        Some("AssumedRole" | "AWSAccount") | None => identity
            .arn
            .as_ref()
            .and_then(|arn| part(arn, |arn| Some(Arn::parse(arn)?.resource_of("assumed-role")?.split_once('/')?.1)))
            .or_else(by_id),
        _ => None,
    };
    row.session_name = name.filter(|name| !name.is_empty());
}

/// True if `via_service` is this service, judged without the encryption context.
pub(super) fn is_via(row: &Row<'_>, members: &Members<'_>, service: &str) -> bool {
    let Some(identity) = members.user_identity().filter(|identity| identity.kind() == JsonKind::Object) else {
        return false;
    };
    let invoked_by = identity.get("invokedBy").and_then(Value::text).filter(|service| !is_console(service));
    let by_invoked = invoked_by.as_deref().and_then(named_service);
    let via = by_invoked.or_else(|| source_service(row).and_then(|source| named_service(source)));
    via.is_some_and(|via| via.eq_ignore_ascii_case(service))
}

/// True if the call was made by a service that does not name itself.
pub(super) fn is_by_unnamed_service(row: &Row<'_>, members: &Members<'_>) -> bool {
    let invoked_by = members.user_identity().and_then(|identity| identity.get("invokedBy")?.text());
    is_unnamed(row, invoked_by.as_deref())
}

fn is_unnamed(row: &Row<'_>, invoked_by: Option<&str>) -> bool {
    match invoked_by {
        Some(invoked_by) => is_internal(invoked_by),
        None => row.source_ip_address.as_deref().is_some_and(is_internal),
    }
}

/// In lower case, as nearly all are already.
fn lower(service: Text<'_>) -> Text<'_> {
    if service.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(service.to_ascii_lowercase())
    } else {
        service
    }
}

/// The service that the source address names instead of an address.
fn source_service<'r, 'a>(row: &'r Row<'a>) -> Option<&'r Text<'a>> {
    row.source_ip_address.as_ref().filter(|source| service_of(source).is_some())
}

/// Fills the caller and the service that stood between.
fn set_caller<'a>(
    row: &mut Row<'a>,
    identity: &UserIdentity<'a>,
    context_service: Option<Text<'a>>,
    issues: &mut Issues,
) {
    let said = identity.invoked_by.as_ref().filter(|service| !is_console(service));
    let invoked_by = said.map(Cow::as_ref);
    let by_invoked = said.and_then(|service| part(service, named_service));
    let by_source = source_service(row).filter(|source| !is_console(source));
    let by_source = by_source.and_then(|service| part(service, named_service));
    let is_unnamed = is_unnamed(row, invoked_by);
    let by_context = context_service.filter(|_| is_unnamed);
    let is_service = identity.kind.as_deref() == Some("AWSService")
        || (identity.kind.is_none() && invoked_by.is_some() && !identity.names_someone());
    let class = if is_service {
        "service"
    } else if invoked_by.is_some() || by_source.is_some() || by_context.is_some() {
        "forwarded"
    } else if !is_unnamed && (identity.names_someone() || identity.account_id.is_some()) {
        "direct"
    } else {
        "unknown"
    };
    let places = [(by_invoked, "invoked_by"), (by_source, "source_ip"), (by_context, "context")];
    let said = places.into_iter().find_map(|(service, place)| Some((service?, place)));
    let (via, source) = said.unzip();
    if invoked_by.is_some() && invoked_by.and_then(service_of).is_none() && !invoked_by.is_some_and(is_internal) {
        issues.add("userIdentity.invokedBy", "not a service");
    }
    row.caller_class = Some(Cow::Borrowed(class));
    row.via_service = via.map(lower);
    row.via_source = source.map(Cow::Borrowed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonTree;
    use crate::normalize::{AccountHints, ColumnSet, Record, normalize};

    const USER: &str = "arn:aws:iam::111122223333:user/a";
    const ROLE: &str = "arn:aws:iam::111122223333:role/r";

    /// The caller, its ARN, its account, its session, its class and the service between, with the issues.
    fn called(identity: &str) -> ([Option<String>; 6], Vec<String>) {
        let record = format!(
            r#"{{"eventID":"0f1e2d3c-0000-4000-8000-000000000001","eventTime":"2026-03-10T12:00:00Z",
                "recipientAccountId":"111122223333","userIdentity":{identity}}}"#
        );
        let mut tree = JsonTree::new();
        let record = Record::of(tree.parse(record.as_bytes()).unwrap());
        let row = normalize(&record, &AccountHints::default(), ColumnSet::all());
        let texts = [row.principal_arn, row.principal_account_id, row.session_name, row.caller_class, row.via_service];
        let [arn, account, session, class, via] = texts.map(|text| text.map(Cow::into_owned));
        ([Some(row.principal.into_owned()), arn, account, session, class, via], row.issues)
    }

    #[test]
    fn a_caller_is_told_by_what_the_record_has() {
        let session = |name: &str| format!("arn:aws:sts::111122223333:{name}");
        let issued = |kind: &str, arn: &str, issuer: &str| {
            format!(r#"{{"type":"{kind}","arn":"{arn}","sessionContext":{{"sessionIssuer":{{"arn":"{issuer}"}}}}}}"#)
        };
        let no_role = "userIdentity.sessionContext.sessionIssuer.arn: missing, path of the role unknown";
        let no_user = "userIdentity.arn: missing, path of the user unknown";
        let account = "111122223333";
        for (identity, expected, issues) in [
            // An unknown type is the one that the ARN tells.
            (
                r#"{"type":"Unknown","arn":"arn:aws:iam::111122223333:root"}"#.to_owned(),
                ["arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root", account, "", "direct", ""],
                &[][..],
            ),
            (issued("Unknown", USER, ROLE), [USER, USER, account, "", "direct", ""], &[]),
            (
                issued("Unknown", "arn:aws:iam::111122223333:role/other", ROLE),
                [ROLE, ROLE, account, "", "direct", ""],
                &[],
            ),
            (
                format!(r#"{{"type":"Unknown","arn":"{}"}}"#, session("assumed-role/r/s")),
                [ROLE, ROLE, account, "s", "direct", ""],
                &[no_role],
            ),
            (
                format!(r#"{{"type":"Unknown","arn":"{}"}}"#, session("federated-user/f")),
                ["federated:111122223333/f", "", account, "f", "direct", ""],
                &[],
            ),
            (
                format!(r#"{{"type":"Unknown","arn":"{}"}}"#, session("other/o")),
                ["unknown:arn:aws:sts::111122223333:other/o", "", account, "", "direct", ""],
                &[],
            ),
            (
                format!(r#"{{"type":"New","arn":"{}"}}"#, session("federated-user/f")),
                ["unknown:arn:aws:sts::111122223333:federated-user/f", "", account, "", "direct", ""],
                &[],
            ),
            // Without a type, a service is one that stands alone.
            (
                r#"{"invokedBy":"ec2.amazonaws.com"}"#.to_owned(),
                ["service:ec2.amazonaws.com", "", "", "", "service", "ec2"],
                &[],
            ),
            (
                r#"{"invokedBy":"ec2.amazonaws.com","principalId":"A"}"#.to_owned(),
                ["unknown:A", "", "", "", "forwarded", "ec2"],
                &[],
            ),
            (
                r#"{"accountId":"111122223333"}"#.to_owned(),
                ["unknown:111122223333", "", account, "", "direct", ""],
                &[],
            ),
            ("{}".to_owned(), ["unknown:none", "", "", "", "unknown", ""], &[]),
            (
                r#"{"type":"New","invokedBy":"ec2.amazonaws.com"}"#.to_owned(),
                ["unknown:none", "", "", "", "forwarded", "ec2"],
                &[],
            ),
            // The console is no service between.
            (
                format!(r#"{{"type":"IAMUser","arn":"{USER}","invokedBy":"signin.amazonaws.com"}}"#),
                [USER, USER, account, "", "direct", ""],
                &[],
            ),
            // Callers without an ARN.
            (
                r#"{"type":"IdentityCenterUser","principalId":"p"}"#.to_owned(),
                ["unknown:p", "", "", "", "direct", ""],
                &[],
            ),
            (r#"{"type":"SAMLUser","userName":"u"}"#.to_owned(), ["saml:u", "", "", "", "unknown", ""], &[]),
            (r#"{"type":"SAMLUser"}"#.to_owned(), ["unknown:none", "", "", "", "unknown", ""], &[]),
            (r#"{"type":"WebIdentityUser","userName":"u"}"#.to_owned(), ["web:u", "", "", "", "unknown", ""], &[]),
            (r#"{"type":"WebIdentityUser"}"#.to_owned(), ["unknown:none", "", "", "", "unknown", ""], &[]),
            (
                r#"{"type":"AWSAccount","accountId":"111122223333"}"#.to_owned(),
                ["account:111122223333", "", account, "", "direct", ""],
                &[],
            ),
            // Root has the ARN of root, whatever its record has.
            (
                r#"{"type":"Root","arn":"arn:aws-cn:iam::111122223333:root"}"#.to_owned(),
                ["arn:aws-cn:iam::111122223333:root", "arn:aws-cn:iam::111122223333:root", account, "", "direct", ""],
                &[],
            ),
            (
                format!(r#"{{"type":"Root","arn":"{USER}"}}"#),
                ["arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root", account, "", "direct", ""],
                &[],
            ),
            (
                format!(r#"{{"type":"Root","arn":"{}"}}"#, session("root")),
                ["arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root", account, "", "direct", ""],
                &[],
            ),
            // An ARN that is of no role and of no user.
            (
                r#"{"type":"IAMUser","arn":"arn:aws:iam::111122223333:group/g"}"#.to_owned(),
                ["unknown:arn:aws:iam::111122223333:group/g", "", account, "", "direct", ""],
                &[],
            ),
            (
                issued("AssumedRole", &session("assumed-role/r/s"), USER),
                [ROLE, ROLE, account, "s", "direct", ""],
                &[no_role],
            ),
            (
                issued("AssumedRole", &session("assumed-role/r/s"), &session("role/x")),
                [ROLE, ROLE, account, "s", "direct", ""],
                &[no_role],
            ),
            // A name is one of a user if a user can have it.
            (
                r#"{"type":"IAMUser","accountId":"111122223333","userName":"a"}"#.to_owned(),
                [USER, USER, account, "", "direct", ""],
                &[no_user],
            ),
            (
                r#"{"type":"IAMUser","accountId":"111122223333","userName":"a b"}"#.to_owned(),
                ["unknown:111122223333", "", account, "", "direct", ""],
                &[],
            ),
            (
                r#"{"type":"IAMUser","accountId":"111122223333","userName":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#
                    .to_owned(),
                ["unknown:111122223333", "", account, "", "direct", ""],
                &[],
            ),
        ] {
            let (found, found_issues) = called(&identity);
            assert_eq!(found, expected.map(|text| (!text.is_empty()).then(|| text.to_owned())), "{identity}");
            assert_eq!(found_issues, issues, "{identity}");
        }
    }
}
