//! Principals as policies name them, and the callers that they mean.
//! In: an element of `Principal` or `NotPrincipal`. Out: a principal that is the same in every spelling: an account's
//! id is its root's ARN.
//! Never takes one account's role for another's of that name, and never asks AWS if a principal exists.

use keytrail_rows::arn::{Arn, is_account_id, service_of};

/// One principal of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PolicyPrincipal {
    /// `*`, with or without `AWS` before it.
    Everyone,
    /// An account, by its root's ARN: a key policy thereby lets the account's own policies decide.
    AccountRoot(String),
    /// Any other ARN, or the id of a principal that was deleted.
    Identity(String),
    /// A service, as `dynamodb.amazonaws.com`.
    Service(String),
    /// A principal of another kind, as `federated:ARN`.
    Foreign(String),
}

/// The way in which a policy names a caller, the closest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NamedAs {
    /// The principal itself, its role, or the service.
    Itself,
    /// Its account.
    Account,
    /// `*`.
    Everyone,
}

/// A caller as the columns `principal` and `session_arn` have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PolicyCaller<'a> {
    principal: &'a str,
    session_arn: Option<&'a str>,
}

/// A user, role or session by its account and name, since a name stands once in an account, whatever its path.
#[derive(Debug, PartialEq, Eq)]
struct NamedIdentity<'a> {
    account: &'a str,
    kind: &'a str,
    name: &'a str,
    session: Option<&'a str>,
}

impl<'a> PolicyCaller<'a> {
    pub fn new(principal: &'a str, session_arn: Option<&'a str>) -> PolicyCaller<'a> {
        PolicyCaller { principal, session_arn }
    }

    fn account(self) -> Option<&'a str> {
        let of_arn = |text| Arn::parse(text).map(|arn| arn.account).filter(|account| is_account_id(account));
        let of_word = || self.principal.strip_prefix("account:").map(|rest| rest.split('/').next().unwrap_or(rest));
        of_arn(self.principal).or_else(of_word).or_else(|| self.session_arn.and_then(of_arn))
    }
}

impl<'a> NamedIdentity<'a> {
    fn of(arn: &'a str) -> Option<NamedIdentity<'a>> {
        let arn = Arn::parse(arn)?;
        let (kind, path) = arn.resource.split_once('/')?;
        let last = |path: &'a str| path.rsplit('/').next().unwrap_or(path);
        match (arn.service, kind) {
            ("iam", "role" | "user") => {
                Some(NamedIdentity { account: arn.account, kind, name: last(path), session: None })
            }
            ("sts", "assumed-role") => {
                let (role, session) = path.split_once('/')?;
                Some(NamedIdentity { account: arn.account, kind: "role", name: role, session: Some(session) })
            }
            _ => None,
        }
    }

    /// True if a policy that names this one means the caller: a role means all its sessions.
    fn means(&self, caller: &NamedIdentity<'_>) -> bool {
        let is_same = (self.account, self.kind, self.name) == (caller.account, caller.kind, caller.name);
        is_same && (self.session.is_none() || self.session == caller.session)
    }
}

impl PolicyPrincipal {
    /// The principal that stands under `kind` in a policy (`AWS`, `Service`, …) of this partition.
    pub fn of(kind: &str, written: &str, partition: &str) -> PolicyPrincipal {
        match kind.to_ascii_lowercase().as_str() {
            "aws" | "*" if written == "*" => PolicyPrincipal::Everyone,
            "aws" if is_account_id(written) => {
                PolicyPrincipal::AccountRoot(format!("arn:{partition}:iam::{written}:root"))
            }
            "aws" if account_of_root(written).is_some() => PolicyPrincipal::AccountRoot(written.to_owned()),
            "aws" => PolicyPrincipal::Identity(written.to_owned()),
            "service" => PolicyPrincipal::Service(written.to_owned()),
            kind => PolicyPrincipal::Foreign(format!("{kind}:{written}")),
        }
    }

    /// The word of the column `newly_allows`: an ARN, `*`, `service:NAME` or another kind before its name.
    pub fn text(&self) -> String {
        match self {
            PolicyPrincipal::Everyone => "*".to_owned(),
            PolicyPrincipal::Service(name) => format!("service:{name}"),
            PolicyPrincipal::AccountRoot(text) | PolicyPrincipal::Identity(text) | PolicyPrincipal::Foreign(text) => {
                text.clone()
            }
        }
    }

    /// The account of an ARN.
    pub fn account(&self) -> Option<&str> {
        match self {
            PolicyPrincipal::AccountRoot(arn) | PolicyPrincipal::Identity(arn) => {
                Arn::parse(arn).map(|arn| arn.account).filter(|account| is_account_id(account))
            }
            _ => None,
        }
    }

    /// True if a statement for this one is one for the other too. An account's root does not stand for its roles: it
    /// leaves them to the account's own policies.
    pub fn covers(&self, other: &PolicyPrincipal) -> bool {
        self == other || *self == PolicyPrincipal::Everyone
    }

    /// True if a Deny for this one denies the other too: that for an account's root denies all in the account.
    pub fn denies(&self, other: &PolicyPrincipal) -> bool {
        let is_account = matches!(self, PolicyPrincipal::AccountRoot(_)) && self.account().is_some();
        self.covers(other) || (is_account && self.account() == other.account())
    }

    /// The way in which it names the caller, if it does.
    pub fn names(&self, caller: PolicyCaller<'_>) -> Option<NamedAs> {
        match self {
            PolicyPrincipal::Everyone => Some(NamedAs::Everyone),
            PolicyPrincipal::AccountRoot(_) => {
                (self.account().is_some() && self.account() == caller.account()).then_some(NamedAs::Account)
            }
            PolicyPrincipal::Identity(arn) => {
                let named = NamedIdentity::of(arn);
                let is_meant = |said: &str| match (&named, NamedIdentity::of(said)) {
                    (Some(named), Some(caller)) => named.means(&caller),
                    _ => arn == said,
                };
                [Some(caller.principal), caller.session_arn]
                    .into_iter()
                    .flatten()
                    .any(is_meant)
                    .then_some(NamedAs::Itself)
            }
            PolicyPrincipal::Service(name) => {
                let called_by = caller.principal.strip_prefix("service:")?;
                let is_same =
                    name == called_by || (service_of(name).is_some() && service_of(name) == service_of(called_by));
                is_same.then_some(NamedAs::Itself)
            }
            PolicyPrincipal::Foreign(text) => (text == caller.principal).then_some(NamedAs::Itself),
        }
    }
}

/// The account whose root the ARN names.
fn account_of_root(arn: &str) -> Option<&str> {
    let arn = Arn::parse(arn)?;
    (arn.service == "iam" && arn.resource == "root" && is_account_id(arn.account)).then_some(arn.account)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/app/one";

    fn named(element: (&str, &str), principal: &str, session_arn: Option<&str>) -> Option<NamedAs> {
        PolicyPrincipal::of(element.0, element.1, "aws").names(PolicyCaller::new(principal, session_arn))
    }

    #[test]
    fn a_policy_names_callers_by_role_session_account_service_or_all() {
        const ROLE: &str = "arn:aws:iam::111122223333:role/app";
        for (element, principal, session_arn, how) in [
            (("AWS", "*"), ROLE, None, Some(NamedAs::Everyone)),
            (("AWS", "111122223333"), ROLE, None, Some(NamedAs::Account)),
            (
                ("AWS", "arn:aws:iam::111122223333:root"),
                "account:111122223333/AROAEXAMPLE",
                None,
                Some(NamedAs::Account),
            ),
            (("AWS", "444455556666"), ROLE, None, None),
            (("AWS", ROLE), ROLE, Some(SESSION), Some(NamedAs::Itself)),
            (("AWS", ROLE), "unknown:x", Some(SESSION), Some(NamedAs::Itself)),
            (("AWS", "arn:aws:iam::111122223333:role/team/app"), ROLE, None, Some(NamedAs::Itself)),
            (("AWS", ROLE), "arn:aws:iam::111122223333:role/team/app", None, Some(NamedAs::Itself)),
            (("AWS", ROLE), "arn:aws:iam::444455556666:role/app", None, None),
            (("AWS", ROLE), "arn:aws:iam::111122223333:user/app", None, None),
            (("AWS", ROLE), "arn:aws:iam::111122223333:role/app2", None, None),
            (("AWS", SESSION), ROLE, Some(SESSION), Some(NamedAs::Itself)),
            (("AWS", SESSION), ROLE, Some("arn:aws:sts::111122223333:assumed-role/app/two"), None),
            (("AWS", SESSION), ROLE, None, None),
            (
                ("AWS", "arn:aws:iam::111122223333:user/ann"),
                "arn:aws:iam::111122223333:user/ann",
                None,
                Some(NamedAs::Itself),
            ),
            (("AWS", "AROAEXAMPLE"), ROLE, None, None),
            (("Service", "dynamodb.amazonaws.com"), "service:dynamodb.amazonaws.com", None, Some(NamedAs::Itself)),
            (("Service", "logs.eu-west-1.amazonaws.com"), "service:logs.amazonaws.com", None, Some(NamedAs::Itself)),
            (("Service", "s3.amazonaws.com"), "service:dynamodb.amazonaws.com", None, None),
            (("AWS", "111122223333"), "service:dynamodb.amazonaws.com", None, None),
            (("Federated", "cognito-identity.amazonaws.com"), ROLE, None, None),
        ] {
            assert_eq!(named(element, principal, session_arn), how, "{element:?} {principal} {session_arn:?}");
        }
    }

    #[test]
    fn an_account_is_one_in_both_spellings() {
        let root = PolicyPrincipal::of("AWS", "arn:aws:iam::111122223333:root", "aws");
        assert_eq!(PolicyPrincipal::of("AWS", "111122223333", "aws"), root);
        assert_eq!(PolicyPrincipal::of("AWS", "111122223333", "aws-cn").text(), "arn:aws-cn:iam::111122223333:root");
        assert_ne!(PolicyPrincipal::of("AWS", "444455556666", "aws"), root);
        assert!(PolicyPrincipal::Everyone.covers(&root) && !root.covers(&PolicyPrincipal::Everyone));
        assert_eq!(PolicyPrincipal::of("Service", "*", "aws").text(), "service:*");
        assert_eq!(PolicyPrincipal::of("Federated", "x", "aws").text(), "federated:x");
    }
}
