//! The columns that tell in words what a policy newly allows.
//! In: two versions of a document. Out: `PRINCIPAL ACTION` with the conditions in brackets, what of it is notable, and
//! the actions of KMS that a document allows at all.
//! Never evaluates a condition and never decides about `NotPrincipal` and `NotAction`: they give `undecided`.

use std::collections::BTreeSet;

use keytrail_rows::arn::is_account_id;

use super::action::ActionPattern;
use super::document::PolicyDocument;
use super::gains::{PolicyGain, PolicyGains, newly_allowed, no_longer_denied, statements};
use super::principal::PolicyPrincipal;
use super::statement::{PolicyElement, PolicyStatement, StatementEffect};

/// Stands for what is not decided.
pub(crate) const UNDECIDED: &str = "undecided";

/// The text of a longer list is not held: `undecided` stands for the rest of it.
const LIST_BYTES_MAX: usize = 256 * 1024;
/// Pairs of a Deny that is gone and an Allow that are looked at.
const PAIRS_MAX: usize = 100_000;

/// Condition keys whose values are accounts of callers, in lower case.
const ACCOUNT_KEYS: [&str; 3] = ["kms:calleraccount", "aws:principalaccount", "aws:sourceaccount"];

/// The columns `newly_allows` and `notable` of a version.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NewAllowances {
    pub newly_allows: BTreeSet<String>,
    pub notable: BTreeSet<String>,
}

/// Allowances under way.
struct AllowanceList<'a> {
    found: NewAllowances,
    bytes: usize,
    /// Of the key. Its own principals are not notable.
    own_account: Option<&'a str>,
}

impl NewAllowances {
    /// All that a key's policy allows beyond an earlier version, or at all. An entry that names no longer being denied
    /// is allowed by a statement that may be old, and was denied by one that is gone.
    pub fn of(before: Option<&PolicyDocument>, after: &PolicyDocument, own_account: Option<&str>) -> NewAllowances {
        let mut list = AllowanceList { found: NewAllowances::default(), bytes: 0, own_account };
        list.take_allowed(newly_allowed(before, after));
        if let Some(before) = before {
            list.take_given_back(before, after);
        }
        list.found
    }
}

impl AllowanceList<'_> {
    fn take_allowed(&mut self, new: PolicyGains<'_>) {
        for PolicyGain { principal, actions, statement } in &new.gains {
            for action in actions {
                self.add(*principal, action, &statement.body.bracket());
            }
            self.note_principal(*principal, statement);
        }
        for statement in new.undecided {
            self.found.newly_allows.insert(UNDECIDED.to_owned());
            let principals = statement.body.principals.only().into_iter().flatten();
            principals.for_each(|principal| self.note_principal(Some(principal), statement));
        }
    }

    fn take_given_back(&mut self, before: &PolicyDocument, after: &PolicyDocument) {
        let gone = no_longer_denied(before, after);
        let allowing = statements(after, StatementEffect::Allow);
        if !gone.undecided.is_empty() && !allowing.is_empty() {
            self.found.newly_allows.insert(UNDECIDED.to_owned());
        }
        let mut pairs = 0;
        for gain in &gone.gains {
            let note = no_longer_denied_note(gain, after);
            for statement in &allowing {
                let body = &statement.body;
                let (Some(principals), Some(actions)) = (body.principals.only(), body.actions.only()) else {
                    self.found.newly_allows.insert(UNDECIDED.to_owned());
                    continue;
                };
                pairs += principals.len() + gain.actions.len() * actions.len();
                if pairs > PAIRS_MAX {
                    self.found.newly_allows.insert(UNDECIDED.to_owned());
                    return;
                }
                let both: BTreeSet<&ActionPattern> = gain
                    .actions
                    .iter()
                    .flat_map(|denied| actions.iter().filter_map(move |of| narrower(denied, of)))
                    .collect();
                let named = principals.iter().filter_map(|allowed| meeting(gain.principal?, allowed));
                for principal in named.collect::<BTreeSet<_>>() {
                    for action in &both {
                        self.add_given_back((principal, action), statement, &note);
                    }
                }
            }
        }
    }

    fn add_given_back(
        &mut self,
        (principal, action): (&PolicyPrincipal, &ActionPattern),
        statement: &PolicyStatement,
        note: &str,
    ) {
        let bracket = statement.body.bracket();
        let is_new = self.found.newly_allows.contains(&format!("{} {}{bracket}", principal.text(), action.text()));
        if !is_new {
            let bracket = match bracket.strip_suffix(']') {
                Some(conditions) => format!("{conditions}; {note}]"),
                None => format!(" [{note}]"),
            };
            self.add(Some(principal), action, &bracket);
            self.note_principal(Some(principal), statement);
        }
    }

    fn add(&mut self, principal: Option<&PolicyPrincipal>, action: &ActionPattern, bracket: &str) {
        if action.administers_keys() {
            self.found.notable.insert("administration".to_owned());
        }
        if self.bytes > LIST_BYTES_MAX {
            self.found.newly_allows.insert(UNDECIDED.to_owned());
            return;
        }
        let principal = principal.map(PolicyPrincipal::text).unwrap_or_default();
        let entry = format!("{principal} {}{bracket}", action.text());
        self.bytes += entry.len();
        let entry = if self.bytes <= LIST_BYTES_MAX { entry } else { UNDECIDED.to_owned() };
        self.found.newly_allows.insert(entry);
    }

    fn note_principal(&mut self, principal: Option<&PolicyPrincipal>, statement: &PolicyStatement) {
        let conditions = &statement.body.conditions;
        match principal {
            Some(PolicyPrincipal::Everyone) => {
                if !conditions.iter().any(|condition| condition.limits_callers()) {
                    self.found.notable.insert("public".to_owned());
                }
                let of_accounts = |key: &str| ACCOUNT_KEYS.contains(&key);
                let named =
                    conditions.iter().filter(|condition| of_accounts(condition.key()) && condition.is_equality());
                named.flat_map(|condition| condition.values()).for_each(|account| self.note_account(account));
            }
            Some(PolicyPrincipal::Service(name)) => drop(self.found.notable.insert(format!("service:{name}"))),
            Some(principal) => principal.account().into_iter().for_each(|account| self.note_account(account)),
            None => {}
        }
    }

    fn note_account(&mut self, account: &str) {
        if is_account_id(account) && Some(account) != self.own_account {
            self.found.notable.insert(format!("account:{account}"));
        }
    }
}

/// Says in which way the actions of a Deny that is gone are free.
fn no_longer_denied_note(gain: &PolicyGain<'_>, after: &PolicyDocument) -> String {
    let conditions: Vec<String> = gain.statement.body.conditions.iter().map(|condition| condition.text()).collect();
    let still = |denial: &&PolicyStatement| {
        let body = &denial.body;
        let is_named = gain.principal.is_none_or(|of| body.principals.takes_in(of) || body.principals.is_negated());
        is_named && (body.actions.is_negated() || gain.actions.iter().any(|action| body.actions.takes_in(action)))
    };
    let is_still_denied = statements(after, StatementEffect::Deny).iter().any(still);
    match (conditions.is_empty(), is_still_denied) {
        (true, false) => "no longer denied".to_owned(),
        (true, true) => "no longer always denied".to_owned(),
        (false, _) => format!("no longer denied where {}", conditions.join(" and ")),
    }
}

/// The narrower of two patterns, if one takes in the other.
fn narrower<'d>(one: &'d ActionPattern, other: &'d ActionPattern) -> Option<&'d ActionPattern> {
    if one.covers(other) { Some(other) } else { other.covers(one).then_some(one) }
}

/// The principal that both a Deny and an Allow name. An account's root allows its own principals by their policies.
fn meeting<'d>(denied: &'d PolicyPrincipal, allowed: &'d PolicyPrincipal) -> Option<&'d PolicyPrincipal> {
    let is_delegated = matches!(allowed, PolicyPrincipal::AccountRoot(_)) && allowed.account() == denied.account();
    let is_of_account = matches!(denied, PolicyPrincipal::AccountRoot(_)) && allowed.account() == denied.account();
    if denied.covers(allowed) || is_of_account {
        return Some(allowed);
    }
    (allowed.covers(denied) || is_delegated).then_some(denied)
}

/// The column `allows_kms`: the actions of KMS that a document allows and does not deny outright, as patterns.
pub(crate) fn allows_kms(document: &PolicyDocument) -> BTreeSet<String> {
    let denials = statements(document, StatementEffect::Deny);
    let mut allowed = BTreeSet::new();
    for statement in statements(document, StatementEffect::Allow) {
        let body = &statement.body;
        let is_denied = |action: &ActionPattern| {
            denials.iter().map(|denial| &denial.body).any(|denial| {
                denial.conditions.is_empty()
                    && denial.actions.takes_in(action)
                    && denial.principals.covers(&body.principals)
                    && denial.resources.covers(&body.resources)
            })
        };
        match &body.actions {
            PolicyElement::Only(actions) => {
                let of_kms = actions.iter().filter(|action| action.bears_on_kms());
                allowed.extend(of_kms.filter(|action| !is_denied(action)).map(|action| action.text().to_owned()));
            }
            PolicyElement::AllBut(actions) if !actions.iter().any(leaves_kms_out) => {
                allowed.insert(UNDECIDED.to_owned());
            }
            _ => {}
        }
    }
    allowed
}

/// True if none of KMS's actions is left beside it.
fn leaves_kms_out(action: &ActionPattern) -> bool {
    action.covers(&ActionPattern::of("kms:*"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::policy::{ChangeDirection, LoggedPolicy, PolicyDiff};

    /// Pairs of versions with the differences that people found in them.
    fn pairs() -> Vec<Value> {
        let text = include_str!("pairs.json");
        let names = serde_json::from_str::<Value>(text).unwrap()["names"].take();
        let with_names =
            |text: String, (name, arn): (&String, &Value)| text.replace(&format!("<{name}>"), arn.as_str().unwrap());
        let text = names.as_object().unwrap().iter().fold(text.to_owned(), with_names);
        serde_json::from_str::<Value>(&text).unwrap()["pairs"].as_array().unwrap().clone()
    }

    fn version(written: &Value) -> LoggedPolicy {
        match written {
            Value::String(text) => LoggedPolicy::read(text, "aws"),
            statements => LoggedPolicy::read(&format!(r#"{{"Statement":{statements}}}"#), "aws"),
        }
    }

    fn texts(value: &Value) -> BTreeSet<String> {
        value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    fn labels(statements: &[&PolicyStatement]) -> BTreeSet<String> {
        statements.iter().map(|statement| statement.label()).collect()
    }

    #[test]
    fn pairs_differ_as_people_say() {
        let pairs = pairs();
        assert!(pairs.len() >= 60);
        for pair in &pairs {
            let name = &pair["name"];
            let (before, after) = (version(&pair["before"]), version(&pair["after"]));
            if let Some(unread) = pair["unread"].as_str() {
                let (side, word) = unread.split_once(' ').unwrap();
                let read = if side == "before" { before } else { after };
                assert_eq!((read.reading.word(), read.reading.document()), (word, None), "{name}");
                continue;
            }
            let after = after.reading.document().unwrap();
            let before = before.reading.document();
            assert_eq!(before.is_none(), pair["before"].is_null(), "{name}");
            let diff = PolicyDiff::of(before, after);
            let directions = diff.changed.iter().map(|change| {
                let direction = match change.direction {
                    ChangeDirection::Widened => "widened",
                    ChangeDirection::Narrowed => "narrowed",
                    ChangeDirection::Other => "other",
                };
                (change.after.label(), Value::from(direction))
            });
            let changed = pair["changed"].as_object().cloned().unwrap_or_default();
            assert_eq!(directions.collect::<serde_json::Map<_, _>>(), changed, "{name}");
            assert_eq!(labels(&diff.added), texts(&pair["added"]), "added: {name}");
            assert_eq!(labels(&diff.removed), texts(&pair["removed"]), "removed: {name}");
            let new = NewAllowances::of(before, after, Some("111122223333"));
            assert_eq!(new.newly_allows, texts(&pair["newly_allows"]), "newly allows: {name}");
            assert_eq!(new.notable, texts(&pair["notable"]), "notable: {name}");
        }
    }

    #[test]
    fn documents_allow_actions_of_kms() {
        for (statements, actions) in [
            (
                r#"[{"Effect":"Allow","Action":["s3:*","KMS:decrypt","kms:Generate*"],"Resource":"*"}]"#,
                &["kms:Decrypt", "kms:Generate*"][..],
            ),
            (r#"[{"Effect":"Allow","Action":"*","Resource":"*"}]"#, &["*"]),
            (r#"[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]"#, &[]),
            (r#"[{"Effect":"Deny","Action":"kms:*","Resource":"*"}]"#, &[]),
            (
                r#"[{"Effect":"Allow","Action":["kms:Decrypt","kms:Sign"],"Resource":"*"},{"Effect":"Deny","Action":"kms:S*","Resource":"*"}]"#,
                &["kms:Decrypt"],
            ),
            (
                r#"[{"Effect":"Allow","Action":"kms:Sign","Resource":"*"},{"Effect":"Deny","Action":"kms:Sign","Resource":"arn:x"}]"#,
                &["kms:Sign"],
            ),
            (
                r#"[{"Effect":"Allow","Action":"kms:Sign","Resource":"*"},{"Effect":"Deny","Action":"kms:Sign","Resource":"*","Condition":{"Bool":{"x":"y"}}}]"#,
                &["kms:Sign"],
            ),
            (r#"[{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}]"#, &["undecided"]),
            (r#"[{"Effect":"Allow","NotAction":["kms:*","iam:*"],"Resource":"*"}]"#, &[]),
            (r#"[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]"#, &[]),
        ] {
            let policy = version(&serde_json::from_str(statements).unwrap());
            let found = allows_kms(policy.reading.document().unwrap());
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), actions, "{statements}");
        }
    }

    #[test]
    fn a_list_that_would_be_too_long_is_cut_and_says_so() {
        let items = |kind: &str| (0..1500).map(|number| format!("\"{kind}{number}\"")).collect::<Vec<_>>().join(",");
        let policy = format!(
            r#"[{{"Effect":"Allow","Principal":{{"AWS":[{}]}},"Action":[{}]}}]"#,
            items("arn:aws:iam::111122223333:role/"),
            items("kms:Action")
        );
        let after = LoggedPolicy::read(&format!(r#"{{"Statement":{policy}}}"#), "aws");
        let new = NewAllowances::of(None, after.reading.document().unwrap(), None);
        assert!(new.newly_allows.contains(UNDECIDED));
        assert!(new.newly_allows.iter().map(String::len).sum::<usize>() <= LIST_BYTES_MAX + UNDECIDED.len());
    }
}
