//! The reach that one version of a policy has beyond another's.
//! In: two documents, or one alone. Out: for each statement and principal, the actions that are new.
//! Never evaluates a condition: a statement takes in another only if its own conditions are among the other's. Never
//! guesses about `NotPrincipal` and `NotAction`, and gives up rather than computing for long.

use std::collections::{BTreeMap, BTreeSet};

use super::action::ActionPattern;
use super::document::PolicyDocument;
use super::principal::PolicyPrincipal;
use super::statement::{PolicyElement, PolicyStatement, StatementBody, StatementEffect};

/// Patterns compared in one search, which takes well below a second. Policies that AWS takes need far fewer, unless
/// they are made for this.
const STEPS_MAX: usize = 1_000_000;

/// Actions that a statement reaches for one of its principals, and did not reach before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PolicyGain<'d> {
    /// `None` in a policy of an identity: whoever has the policy.
    pub principal: Option<&'d PolicyPrincipal>,
    pub actions: Vec<&'d ActionPattern>,
    pub statement: &'d PolicyStatement,
}

/// All that is new.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyGains<'d> {
    pub gains: Vec<PolicyGain<'d>>,
    /// Statements of which some or all is new, or maybe not.
    pub undecided: Vec<&'d PolicyStatement>,
}

/// Finds all that a document allows beyond an earlier version, or at all, but for actions that it denies outright
/// itself.
pub(crate) fn newly_allowed<'d>(before: Option<&'d PolicyDocument>, after: &'d PolicyDocument) -> PolicyGains<'d> {
    let known = before.map(|before| statements(before, StatementEffect::Allow)).unwrap_or_default();
    let is_outright = |statement: &&PolicyStatement| statement.body.conditions.is_empty();
    let denials = statements(after, StatementEffect::Deny).into_iter().filter(is_outright).collect();
    ReachSearch { known, denials, steps: 0 }.beyond(&statements(after, StatementEffect::Allow))
}

/// Finds all that an earlier version denied and a document does not any more. The statements are the earlier version's.
pub(crate) fn no_longer_denied<'d>(before: &'d PolicyDocument, after: &'d PolicyDocument) -> PolicyGains<'d> {
    let known = statements(after, StatementEffect::Deny);
    ReachSearch { known, denials: Vec::new(), steps: 0 }.beyond(&statements(before, StatementEffect::Deny))
}

/// The statements of one effect.
pub(super) fn statements(document: &PolicyDocument, effect: StatementEffect) -> Vec<&PolicyStatement> {
    document.statements.iter().filter(|statement| statement.body.effect == effect).collect()
}

/// Statements that a search compares with.
struct ReachSearch<'d> {
    known: Vec<&'d PolicyStatement>,
    /// Without conditions.
    denials: Vec<&'d PolicyStatement>,
    steps: usize,
}

/// The new actions of one statement for some principals, and a sign that there may be more.
#[derive(Debug, Clone, Default)]
struct NewActions<'d> {
    actions: Vec<&'d ActionPattern>,
    is_undecided: bool,
}

/// The comparison of an action with what is known.
enum KnownReach {
    Yes,
    Maybe,
    No,
}

impl<'d> ReachSearch<'d> {
    fn beyond(mut self, statements: &[&'d PolicyStatement]) -> PolicyGains<'d> {
        let mut found = PolicyGains::default();
        let unchanged: BTreeSet<&StatementBody> = self.known.iter().map(|known| &known.body).collect();
        for &statement in statements.iter().filter(|statement| !unchanged.contains(&statement.body)) {
            let body = &statement.body;
            // Nobody knows what a member that IAM does not have does.
            let is_odd = body.principals.is_negated() || !body.others.is_empty();
            let (PolicyElement::Only(actions), false) = (&body.actions, is_odd) else {
                let is_known = self.known.iter().any(|known| known.body.covers(body));
                self.steps += self.known.len();
                if !is_known || self.steps > STEPS_MAX {
                    found.undecided.push(statement);
                }
                continue;
            };
            let others = self.comparable(body);
            let principals: Vec<Option<&PolicyPrincipal>> = match body.principals.only() {
                Some(principals) => principals.iter().map(Some).collect(),
                None => vec![None],
            };
            // Principals that the same statements name have the same new actions.
            let mut alike: BTreeMap<Vec<usize>, NewActions<'d>> = BTreeMap::new();
            let mut is_undecided = false;
            for principal in principals {
                let naming = self.naming(&others, principal);
                let new = match alike.get(&naming) {
                    Some(new) => new.clone(),
                    None => {
                        let named = naming.iter().map(|&at| others[at]).collect::<Vec<_>>();
                        let new = self.new_actions(&named, actions.iter());
                        alike.insert(naming, new.clone());
                        new
                    }
                };
                is_undecided |= new.is_undecided;
                if !new.actions.is_empty() {
                    found.gains.push(PolicyGain { principal, actions: new.actions, statement });
                }
            }
            if is_undecided {
                found.undecided.push(statement);
            }
        }
        found
    }

    /// Known statements whose resources and conditions take in those of the statement.
    fn comparable(&mut self, body: &StatementBody) -> Vec<&'d StatementBody> {
        self.steps += self.known.len() + self.denials.len();
        let known = self.known.iter().filter(|known| known.body.covers_circumstances(body));
        let denials = self.denials.iter().filter(|denial| denial.body.resources.covers(&body.resources));
        known.chain(denials).map(|statement| &statement.body).collect()
    }

    /// Those of them that name the principal, or may do so.
    fn naming(&mut self, others: &[&'d StatementBody], principal: Option<&PolicyPrincipal>) -> Vec<usize> {
        self.steps += others.len();
        let names = |other: &StatementBody| match principal {
            Some(principal) => other.principals.is_negated() || other.names(principal),
            None => other.principals == PolicyElement::Absent,
        };
        (0..others.len()).filter(|&at| names(others[at])).collect()
    }

    fn new_actions(
        &mut self,
        known: &[&StatementBody],
        actions: impl Iterator<Item = &'d ActionPattern>,
    ) -> NewActions<'d> {
        let mut new = NewActions::default();
        for action in actions {
            match self.reach_of(known, action) {
                KnownReach::Yes => {}
                KnownReach::Maybe => new.is_undecided = true,
                KnownReach::No => new.actions.push(action),
            }
        }
        new
    }

    fn reach_of(&mut self, known: &[&StatementBody], action: &ActionPattern) -> KnownReach {
        let mut reach = KnownReach::No;
        for body in known {
            self.steps += 1 + body.actions.only().map_or(0, |actions| actions.len());
            if self.steps > STEPS_MAX {
                return KnownReach::Maybe;
            }
            let is_reached = body.actions.takes_in(action);
            if is_reached && !body.principals.is_negated() {
                return KnownReach::Yes;
            }
            if is_reached || body.actions.is_negated() {
                reach = KnownReach::Maybe;
            }
        }
        reach
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::policy::document::LoggedPolicy;

    fn document(statements: &str) -> PolicyDocument {
        let policy = LoggedPolicy::read(&format!(r#"{{"Statement":[{statements}]}}"#), "aws");
        policy.reading.document().cloned().unwrap_or_else(|| panic!("{statements}"))
    }

    #[test]
    fn a_policy_of_an_identity_has_no_principals() {
        let before = document(r#"{"Effect":"Allow","Action":["kms:Encrypt","s3:*"],"Resource":"*"}"#);
        let after = document(
            r#"{"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*"},
               {"Effect":"Deny","Action":"kms:Sign","Resource":"*"},{"Effect":"Allow","Action":"kms:Sign","Resource":"*"}"#,
        );
        let new = newly_allowed(Some(&before), &after);
        let all: Vec<_> = new.gains.iter().flat_map(|gain| &gain.actions).map(|action| action.text()).collect();
        assert_eq!((all, new.gains[0].principal), (vec!["kms:Decrypt"], None));
        let lost = no_longer_denied(&after, &before);
        assert_eq!(lost.gains.len(), 1);
        assert_eq!(lost.gains[0].statement, &after.statements[1]);
        assert!(no_longer_denied(&after, &after).gains.is_empty());
    }

    #[test]
    fn a_policy_made_to_be_slow_is_given_up() {
        let list = |kind: &str, count: usize| {
            let items: Vec<String> = (0..count).map(|number| format!("\"{kind}{number}*\"")).collect();
            items.join(",")
        };
        let statement = |number: usize| {
            let principals = list("p", 30 + number);
            let actions = list(&format!("kms:{number}*"), 90);
            format!(r#"{{"Effect":"Allow","Principal":{{"AWS":[{principals}]}},"Action":[{actions}]}}"#)
        };
        let before = document(&(0..25).map(statement).collect::<Vec<_>>().join(","));
        let after = document(&format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":[{}]}},"Action":[{}]}}"#,
            list("p", 1500),
            list("kms:a", 1500)
        ));
        let start = Instant::now();
        let new = newly_allowed(Some(&before), &after);
        assert_eq!(new.undecided.len(), 1);
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
