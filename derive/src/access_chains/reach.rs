//! The reach of a document or grant for one use of a key: the statements that allow or deny it to a principal.
//! In: a document, and who asks for what on which key. Out: its reaches, each with the way in which it names the
//! principal, and its conditions.
//! Never evaluates a condition, and never takes a statement with `NotPrincipal`, `NotAction` or `NotResource` for more
//! than one that may reach the use.

use crate::policy::{
    NamedAs, PolicyCaller, PolicyCondition, PolicyDocument, PolicyElement, PolicyPrincipal, PolicyStatement,
    StatementBody, StatementEffect,
};

use super::deeds::GrantTerms;

/// A use of a key that was refused and later allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedUse<'a> {
    pub principal: &'a str,
    /// Of the success.
    pub session_arn: Option<&'a str>,
    pub key: &'a str,
    /// As `kms:Decrypt`; any of them will do.
    pub actions: &'a [String],
    /// The service through which the success came, as `kms:ViaService` has it.
    pub via_service: Option<&'a str>,
    pub caller_account: Option<&'a str>,
    /// The policy that AWS named as the one that denied it.
    pub denied_by: Option<&'a str>,
}

/// A statement that allows or denies the use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatementReach {
    pub named: NamedAs,
    /// True if it names a session alone, and not the role.
    pub is_of_session: bool,
    pub conditions: Vec<PolicyCondition>,
    /// A grant's constraint, which is a condition that is not compared.
    pub is_constrained: bool,
    /// All of a statement that says what it does not mean, so that it may or may not mean the use.
    pub undecided: Option<Box<StatementBody>>,
}

/// All of a document for one use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DocumentReach {
    /// Empty also where the document denies the use outright.
    pub allows: Vec<StatementReach>,
    pub denies: Vec<StatementReach>,
}

impl AskedUse<'_> {
    /// A document that somebody has, or that belongs to a key.
    pub fn of_document(&self, document: &PolicyDocument) -> DocumentReach {
        let of_effect = |effect| document.statements.iter().filter(move |of| of.body.effect == effect);
        let reaches = |effect| of_effect(effect).filter_map(|statement| self.of_statement(statement)).collect();
        let (allows, denies): (Vec<StatementReach>, Vec<StatementReach>) =
            (reaches(StatementEffect::Allow), reaches(StatementEffect::Deny));
        let is_denied = denies.iter().any(StatementReach::is_outright);
        DocumentReach { allows: if is_denied { Vec::new() } else { allows }, denies }
    }

    fn of_statement(&self, statement: &PolicyStatement) -> Option<StatementReach> {
        let body = &statement.body;
        if !means_one_of(body, self.actions) || !body.means_resource(self.key) {
            return None;
        }
        let caller = PolicyCaller::new(self.principal, self.session_arn);
        let any_session = PolicyCaller::new(self.principal, None);
        let names_itself = |principal: &PolicyPrincipal| principal.names(any_session) == Some(NamedAs::Itself);
        let named = match &body.principals {
            // A policy of an identity speaks of whoever has it.
            PolicyElement::Absent => Some(NamedAs::Itself),
            PolicyElement::Only(principals) => principals.iter().filter_map(|principal| principal.names(caller)).min(),
            PolicyElement::AllBut(principals) => {
                let leaves_out = |how| principals.iter().any(|principal| principal.names(caller) == Some(how));
                // To leave a principal out AWS wants its account to be named as well.
                let is_left_out = leaves_out(NamedAs::Itself) && leaves_out(NamedAs::Account);
                (!is_left_out && !leaves_out(NamedAs::Everyone)).then_some(NamedAs::Everyone)
            }
        };
        let is_of_session = named == Some(NamedAs::Itself)
            && body.principals.only().is_some_and(|principals| !principals.iter().any(names_itself));
        let is_undecided = body.principals.is_negated() || body.actions.is_negated() || body.resources.is_negated();
        named.map(|named| StatementReach {
            named,
            is_of_session,
            conditions: body.conditions.clone(),
            is_constrained: false,
            undecided: is_undecided.then(|| Box::new(body.clone())),
        })
    }

    /// A grant on the key.
    pub fn of_grant(&self, terms: &GrantTerms) -> DocumentReach {
        let grants = |action: &String| terms.operations.iter().any(|of| action.strip_prefix("kms:") == Some(of));
        let caller = PolicyCaller::new(self.principal, self.session_arn);
        let kind = if terms.grantee.starts_with("arn:") { "aws" } else { "service" };
        let named = PolicyPrincipal::of(kind, &terms.grantee, "aws").names(caller);
        let named = named.filter(|_| self.actions.iter().any(grants));
        let reach = named.map(|named| StatementReach {
            named,
            is_of_session: false,
            conditions: Vec::new(),
            is_constrained: terms.is_constrained,
            undecided: None,
        });
        DocumentReach { allows: reach.into_iter().collect(), denies: Vec::new() }
    }

    /// True if all conditions of a statement compare the service or the caller's account with those of the success.
    pub fn meets(&self, reach: &StatementReach) -> bool {
        let is_met = |condition: &PolicyCondition| {
            let own = match condition.key() {
                "kms:viaservice" => self.via_service,
                "kms:calleraccount" => self.caller_account,
                _ => None,
            };
            let is_equality = matches!(condition.operator(), "StringEquals" | "StringEqualsIgnoreCase" | "StringLike");
            is_equality && own.is_some_and(|own| condition.values().any(|value| value == own))
        };
        !reach.is_constrained && reach.undecided.is_none() && reach.conditions.iter().all(is_met)
    }

    /// True if a statement of the document leaves the use to the policies of the principal's account.
    pub fn is_delegated_by(&self, document: &PolicyDocument) -> bool {
        let caller = PolicyCaller::new(self.principal, self.session_arn);
        let names_account = |statement: &PolicyStatement| {
            let names = |principal: &PolicyPrincipal| principal.names(caller) == Some(NamedAs::Account);
            statement.body.principals.only().is_some_and(|principals| principals.iter().any(names))
        };
        let allows = |of: &&PolicyStatement| of.body.effect == StatementEffect::Allow && names_account(of);
        let reaches = document.statements.iter().filter(allows).filter_map(|of| self.of_statement(of));
        reaches.into_iter().any(|reach| self.meets(&reach))
    }
}

/// True if a statement means one of the actions, whatever the resource. Members that IAM does not have may mean
/// anything.
pub(super) fn means_one_of(body: &StatementBody, actions: &[String]) -> bool {
    let means = |action: &str| match &body.actions {
        PolicyElement::Absent => false,
        PolicyElement::Only(patterns) => patterns.iter().any(|pattern| pattern.allows(action)),
        PolicyElement::AllBut(patterns) => !patterns.iter().any(|pattern| pattern.allows(action)),
    };
    body.others.is_empty() && actions.iter().any(|action| means(action))
}

impl StatementReach {
    /// A Deny by a policy that AWS named and whose text is not known.
    pub fn denied_by_name() -> StatementReach {
        StatementReach {
            named: NamedAs::Itself,
            is_of_session: false,
            conditions: Vec::new(),
            is_constrained: true,
            undecided: None,
        }
    }

    /// True if it holds under no condition, and is decided.
    pub fn is_outright(&self) -> bool {
        self.conditions.is_empty() && self.undecided.is_none()
    }

    /// True if whoever has this has the other too: it names the principal as closely, under no other conditions. A
    /// statement for the account alone leaves the account's own policies to decide.
    pub fn takes_in(&self, other: &StatementReach) -> bool {
        let is_direct = self.named != NamedAs::Account || other.named == NamedAs::Account;
        let is_as_free = !self.is_constrained || other.is_constrained;
        is_direct && is_as_free && self.denies_all_of(other)
    }

    /// True if it leaves less of another than that one allows, but something of it.
    pub fn narrows(&self, other: &StatementReach) -> bool {
        let is_direct = self.named != NamedAs::Account || other.named == NamedAs::Account;
        is_direct && other.takes_in(self)
    }

    /// True if a Deny takes in another, as one for an account takes in all in it.
    pub fn denies_all_of(&self, other: &StatementReach) -> bool {
        match (&self.undecided, &other.undecided) {
            (None, _) => self.conditions.iter().all(|of| other.conditions.iter().any(|to| of.covers(to))),
            (Some(body), Some(others)) => body.covers(others),
            (Some(_), None) => false,
        }
    }
}
