//! The columns that tell in words what a policy newly allows.
//! In: two versions of a document. Out: `PRINCIPAL ACTION` with the conditions in brackets, what of it is notable, and
//! the actions of KMS that a document allows at all.
//! Never evaluates a condition and never decides about `NotPrincipal` and `NotAction`: they give `undecided`.

use std::collections::BTreeSet;

use super::action::ActionPattern;
use super::document::PolicyDocument;
use super::gains::{PolicyGain, PolicyGains, newly_allowed, no_longer_denied, statements};
use super::principal::PolicyPrincipal;
use super::statement::{CoveringItem, PolicyElement, PolicyStatement, ResourcePattern, StatementBody, StatementEffect};

/// Stands for what is not decided.
pub(crate) const UNDECIDED: &str = "undecided";

/// The text of a longer list is not held: `undecided` stands for the rest of it.
const LIST_BYTES_MAX: usize = 256 * 1024;
/// Comparisons of a Deny that is gone with what stands beside it.
const STEPS_MAX: usize = 500_000;

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
    steps: usize,
    /// Of the key. Its own principals are not notable.
    own_account: Option<&'a str>,
}

impl NewAllowances {
    /// All that a key's policy allows beyond an earlier version, or at all. An entry that names no longer being denied
    /// is allowed by a statement that may be old, and was denied by one that is gone.
    pub fn of(before: Option<&PolicyDocument>, after: &PolicyDocument, own_account: Option<&str>) -> NewAllowances {
        let mut list = AllowanceList { found: NewAllowances::default(), bytes: 0, steps: 0, own_account };
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
            let conditions = statement.body.conditions_text();
            for action in actions {
                self.add(*principal, action, conditions.as_deref());
            }
            self.note_principal(*principal, statement);
        }
        for statement in new.undecided {
            self.add_undecided();
            let principals = statement.body.principals.only().into_iter().flatten();
            principals.for_each(|principal| self.note_principal(Some(principal), statement));
        }
    }

    fn take_given_back(&mut self, before: &PolicyDocument, after: &PolicyDocument) {
        let gone = no_longer_denied(before, after);
        let allowing = statements(after, StatementEffect::Allow);
        let denying = statements(after, StatementEffect::Deny);
        if !gone.undecided.is_empty() && !allowing.is_empty() {
            self.add_undecided();
        }
        for gain in &gone.gains {
            let actions_denied: usize = denying.iter().map(|denial| items(&denial.body.actions)).sum();
            self.steps += denying.len() + gain.actions.len() * actions_denied;
            for statement in &allowing {
                let actions = items(&statement.body.actions);
                self.steps += 1 + items(&statement.body.principals) * (1 + actions) + gain.actions.len() * actions;
                if self.steps > STEPS_MAX {
                    self.add_undecided();
                    return;
                }
                self.add_meeting(gain, statement, &denying);
            }
        }
    }

    /// Adds what an Allow allows again for lack of a Deny.
    fn add_meeting(&mut self, gain: &PolicyGain<'_>, allow: &PolicyStatement, denying: &[&PolicyStatement]) {
        let (Some(principals), Some(actions)) = (allow.body.principals.only(), allow.body.actions.only()) else {
            self.add_undecided();
            return;
        };
        let denied = gain.actions.iter();
        let both: BTreeSet<&ActionPattern> =
            denied.flat_map(|denied| actions.iter().filter_map(move |of| narrower(denied, of))).collect();
        let named: BTreeSet<&PolicyPrincipal> =
            principals.iter().filter_map(|allowed| meeting(gain.principal?, allowed)).collect();
        if both.is_empty() || named.is_empty() {
            return;
        }
        let conditions = allow.body.conditions_text();
        let note = no_longer_denied_note(gain, denying);
        let with_note = conditions.as_ref().map_or(note.clone(), |conditions| format!("{conditions}; {note}"));
        for principal in named {
            for action in &both {
                let is_new = self.found.newly_allows.contains(&entry(Some(principal), action, conditions.as_deref()));
                if !is_new {
                    self.add(Some(principal), action, Some(&with_note));
                    self.note_principal(Some(principal), allow);
                }
            }
        }
    }

    fn add_undecided(&mut self) {
        self.found.newly_allows.insert(UNDECIDED.to_owned());
    }

    fn add(&mut self, principal: Option<&PolicyPrincipal>, action: &ActionPattern, bracket: Option<&str>) {
        if action.administers_keys() {
            self.found.notable.insert("administration".to_owned());
        }
        if self.bytes > LIST_BYTES_MAX {
            self.add_undecided();
            return;
        }
        let entry = entry(principal, action, bracket);
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
                let accounts = conditions.iter().flat_map(|condition| condition.caller_accounts());
                accounts.for_each(|account| self.note_account(account));
            }
            Some(PolicyPrincipal::Service(name)) => drop(self.found.notable.insert(format!("service:{name}"))),
            Some(principal) => principal.account().into_iter().for_each(|account| self.note_account(account)),
            None => {}
        }
    }

    fn note_account(&mut self, account: &str) {
        if Some(account) != self.own_account {
            self.found.notable.insert(format!("account:{account}"));
        }
    }
}

/// One item of `newly_allows`.
fn entry(principal: Option<&PolicyPrincipal>, action: &ActionPattern, bracket: Option<&str>) -> String {
    let principal = principal.map(PolicyPrincipal::text).unwrap_or_default();
    let bracket = bracket.map(|text| format!(" [{text}]")).unwrap_or_default();
    format!("{principal} {}{bracket}", action.text())
}

/// The number of items that an element names.
fn items<T: CoveringItem>(element: &PolicyElement<T>) -> usize {
    element.only().map_or(0, BTreeSet::len)
}

/// Says in which way the actions of a Deny that is gone are free.
fn no_longer_denied_note(gain: &PolicyGain<'_>, denying: &[&PolicyStatement]) -> String {
    let still = |denial: &&PolicyStatement| {
        let body = &denial.body;
        let is_named = gain.principal.is_none_or(|of| body.names(of) || body.principals.is_negated());
        is_named && (body.actions.is_negated() || gain.actions.iter().any(|action| body.actions.takes_in(action)))
    };
    match gain.statement.body.conditions_text() {
        Some(conditions) => format!("no longer denied where {conditions}"),
        None if denying.iter().any(still) => "no longer always denied".to_owned(),
        None => "no longer denied".to_owned(),
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

/// False for the pattern of an ARN that names another service.
fn may_be_of_kms(resource: &ResourcePattern) -> bool {
    let mut parts = resource.splitn(4, ':');
    let (scheme, partition, service) = (parts.next(), parts.next(), parts.next());
    // An asterisk may stand for several parts.
    let is_open = |part: Option<&str>| part.is_none_or(|part| part.contains(['*', '?']));
    is_open(scheme) || is_open(partition) || is_open(service) || service == Some("kms")
}

/// The column `allows_kms`: the actions of KMS that a document allows and does not deny outright, as patterns.
pub(crate) fn allows_kms(document: &PolicyDocument) -> BTreeSet<String> {
    let denials = statements(document, StatementEffect::Deny);
    let mut allowed = BTreeSet::new();
    for statement in statements(document, StatementEffect::Allow) {
        let body = &statement.body;
        // `*` on the objects of a bucket allows nothing of KMS.
        if body.resources.only().is_some_and(|resources| !resources.iter().any(may_be_of_kms)) {
            continue;
        }
        let is_denied = |action: &ActionPattern| {
            denials.iter().map(|denial| &denial.body).any(|denial| {
                denial.conditions.is_empty()
                    && denial.actions.takes_in(action)
                    && denies_all(denial, body)
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

/// True if a Deny means all principals of another statement.
fn denies_all(denial: &StatementBody, body: &StatementBody) -> bool {
    let named = body.principals.only();
    denial.principals.covers(&body.principals)
        || named.is_some_and(|named| named.iter().all(|principal| denial.names(principal)))
}

/// True if none of KMS's actions is left beside it.
fn leaves_kms_out(action: &ActionPattern) -> bool {
    action.covers(&ActionPattern::of("kms:*"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::policy::diff::ChangeDirection;
    use crate::policy::{LoggedPolicy, PolicyDiff};

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
            (r#"[{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::x","arn:aws:s3:::x/*"]}]"#, &[]),
            (r#"[{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::x","arn:aws:kms:*:*:key/*"]}]"#, &["*"]),
            (r#"[{"Effect":"Allow","Action":"*","Resource":"arn:aws:*:eu-west-1:111122223333:*"}]"#, &["*"]),
            (r#"[{"Effect":"Allow","Action":"kms:Sign","Resource":"arn:*"}]"#, &["kms:Sign"]),
            (r#"[{"Effect":"Allow","Action":"kms:Sign","NotResource":"arn:aws:s3:::x"}]"#, &["kms:Sign"]),
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
            (
                r#"[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/a"},"Action":"kms:Sign"},{"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"kms:*"}]"#,
                &[],
            ),
            (
                r#"[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/a"},"Action":"kms:Sign"},{"Effect":"Deny","Principal":{"AWS":"444455556666"},"Action":"kms:*"}]"#,
                &["kms:Sign"],
            ),
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

    #[test]
    fn many_denials_that_are_gone_end_soon() {
        let items = |kind: &str, count: usize| {
            (0..count).map(|number| format!("\"{kind}{number}*\"")).collect::<Vec<_>>().join(",")
        };
        let statement = |effect: &str, number: usize| {
            let (principals, actions) =
                (items("arn:aws:iam::111122223333:role/", 20), items(&format!("kms:{number}"), 20));
            let condition = format!(r#"{{"StringLike":{{{}}}}}"#, items("k", 20).replace(',', ":1,") + ":1");
            format!(
                r#"{{"Effect":"{effect}","Principal":{{"AWS":[{principals}]}},"Action":[{actions}],"Condition":{condition}}}"#
            )
        };
        let policy = |effect: &str| {
            let statements: Vec<String> = (0..40).map(|number| statement(effect, number)).collect();
            version(&serde_json::from_str(&format!("[{}]", statements.join(","))).unwrap())
        };
        let (before, after) = (policy("Deny"), policy("Allow"));
        let start = std::time::Instant::now();
        let new = NewAllowances::of(before.reading.document(), after.reading.document().unwrap(), None);
        assert!(new.newly_allows.contains(UNDECIDED));
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
