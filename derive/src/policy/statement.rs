//! One statement of a policy, in a form that is the same in every spelling.
//! In: an item of `Statement`. Out: its effect and elements, and a comparison of their reach.
//! Never drops a member: those that IAM does not have are kept for comparison.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::action::ActionPattern;
use super::condition::PolicyCondition;
use super::principal::PolicyPrincipal;
use super::wildcard;

/// Items of longer lists are compared as they are spelled: nobody writes more patterns than KMS has actions.
const COMPARED_ITEMS_MAX: usize = 256;

/// Conditions whose text is longer are counted.
const CONDITIONS_BYTES_MAX: usize = 1024;

/// The effect of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StatementEffect {
    Allow,
    Deny,
}

/// The member of a statement that may be negated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PolicyElement<T> {
    /// Neither member: policies of an identity name no principal, trust policies no resource.
    Absent,
    /// As `Action`.
    Only(BTreeSet<T>),
    /// As `NotAction`.
    AllBut(BTreeSet<T>),
}

/// The pattern of a resource, as the policy has it.
pub(crate) type ResourcePattern = String;

/// All of a statement but its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StatementBody {
    pub effect: StatementEffect,
    pub principals: PolicyElement<PolicyPrincipal>,
    pub actions: PolicyElement<ActionPattern>,
    pub resources: PolicyElement<ResourcePattern>,
    /// All must be met.
    pub conditions: Vec<PolicyCondition>,
    /// Members that IAM does not have, with their values as JSON.
    pub others: Vec<(String, String)>,
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PolicyStatement {
    pub sid: Option<String>,
    pub body: StatementBody,
}

/// A comparison of two items of an element.
pub(crate) trait CoveringItem: Ord {
    /// True if this item takes in all of the other.
    fn takes_in(&self, other: &Self) -> bool;
    /// True if it takes in all there are.
    fn takes_in_all(&self) -> bool;
}

impl CoveringItem for PolicyPrincipal {
    fn takes_in(&self, other: &PolicyPrincipal) -> bool {
        self.covers(other)
    }

    fn takes_in_all(&self) -> bool {
        *self == PolicyPrincipal::Everyone
    }
}

impl CoveringItem for ActionPattern {
    fn takes_in(&self, other: &ActionPattern) -> bool {
        self.covers(other)
    }

    fn takes_in_all(&self) -> bool {
        self.is_everything()
    }
}

impl CoveringItem for ResourcePattern {
    fn takes_in(&self, other: &ResourcePattern) -> bool {
        wildcard::covers(self, other)
    }

    fn takes_in_all(&self) -> bool {
        self == "*"
    }
}

impl<T: CoveringItem> PolicyElement<T> {
    /// The items, if the element says what is meant rather than what is not.
    pub fn only(&self) -> Option<&BTreeSet<T>> {
        match self {
            PolicyElement::Only(items) => Some(items),
            _ => None,
        }
    }

    /// True for `NotPrincipal`, `NotAction` and `NotResource`.
    pub fn is_negated(&self) -> bool {
        matches!(self, PolicyElement::AllBut(_))
    }

    /// True if some item takes in the other. Of a negated element: never, since that is not decided.
    pub fn takes_in(&self, item: &T) -> bool {
        self.only().is_some_and(|items| holds(items, item))
    }

    /// True if all that the other means is meant by this.
    pub fn covers(&self, other: &PolicyElement<T>) -> bool {
        match (self, other) {
            (PolicyElement::Absent, PolicyElement::Absent) => true,
            (PolicyElement::Only(items), PolicyElement::Only(others)) => others.iter().all(|item| holds(items, item)),
            (PolicyElement::AllBut(items), PolicyElement::AllBut(others)) => {
                items.iter().all(|item| holds(others, item))
            }
            (PolicyElement::Only(items), PolicyElement::AllBut(_)) => items.iter().any(T::takes_in_all),
            _ => false,
        }
    }
}

/// True if an item of the set takes in the other.
fn holds<T: CoveringItem>(items: &BTreeSet<T>, other: &T) -> bool {
    items.contains(other) || (items.len() <= COMPARED_ITEMS_MAX && items.iter().any(|item| item.takes_in(other)))
}

impl StatementBody {
    /// True if this statement means all that the other means. False also where that cannot be told.
    pub fn covers(&self, other: &StatementBody) -> bool {
        self.effect == other.effect
            && self.principals.covers(&other.principals)
            && self.actions.covers(&other.actions)
            && self.covers_circumstances(other)
    }

    /// True if it names the principal, or as a Deny denies it with its account. False of `NotPrincipal`.
    pub fn names(&self, principal: &PolicyPrincipal) -> bool {
        let by_account = |of: &BTreeSet<PolicyPrincipal>| of.iter().any(|named| named.denies(principal));
        self.principals.takes_in(principal)
            || (self.effect == StatementEffect::Deny && self.principals.only().is_some_and(by_account))
    }

    /// The same of resources and conditions alone: fewer conditions mean more.
    pub fn covers_circumstances(&self, other: &StatementBody) -> bool {
        self.others == other.others
            && self.resources.covers(&other.resources)
            && self.conditions.iter().all(|condition| other.conditions.iter().any(|of| condition.covers(of)))
    }

    /// True if the resource with this ARN is meant.
    pub fn means_resource(&self, arn: &str) -> bool {
        match &self.resources {
            PolicyElement::Absent => true,
            PolicyElement::Only(patterns) => patterns.iter().any(|pattern| wildcard::covers(pattern, arn)),
            PolicyElement::AllBut(patterns) => !patterns.iter().any(|pattern| wildcard::covers(pattern, arn)),
        }
    }

    /// The conditions as people read them; `None` without any.
    pub fn conditions_text(&self) -> Option<String> {
        let conditions: Vec<String> = self.conditions.iter().map(PolicyCondition::text).collect();
        let text = conditions.join("; ");
        let is_short = text.len() <= CONDITIONS_BYTES_MAX;
        (!conditions.is_empty()).then(|| if is_short { text } else { format!("{} conditions", conditions.len()) })
    }
}

impl PolicyStatement {
    /// A statement of a policy of this partition; `None` if it is not of the shape that IAM has.
    pub fn of(statement: &Value, partition: &str) -> Option<PolicyStatement> {
        let mut parts = StatementParts { partition, ..StatementParts::default() };
        for (name, value) in statement.as_object()? {
            parts.take(name, value)?;
        }
        parts.others.sort_unstable();
        let body = StatementBody {
            effect: parts.effect?,
            principals: parts.principals.unwrap_or(PolicyElement::Absent),
            actions: parts.actions.unwrap_or(PolicyElement::Absent),
            resources: parts.resources.unwrap_or(PolicyElement::Absent),
            conditions: parts.conditions,
            others: parts.others,
        };
        Some(PolicyStatement { sid: parts.sid, body })
    }

    /// Its name, else its canonical JSON.
    pub fn label(&self) -> String {
        self.sid.clone().unwrap_or_else(|| self.canonical().to_string())
    }

    /// The statement without its name: members in the order of the alphabet, lists sorted, a list of one as its item.
    fn canonical(&self) -> Value {
        let body = &self.body;
        let mut members = Map::new();
        members.insert("Effect".to_owned(), format!("{:?}", body.effect).into());
        insert_element(&mut members, "Action", &body.actions, |items| list(items.iter().map(ActionPattern::text)));
        insert_element(&mut members, "Resource", &body.resources, |items| list(items.iter().map(String::as_str)));
        insert_element(&mut members, "Principal", &body.principals, principals);
        let mut conditions = Map::new();
        for condition in &body.conditions {
            let (operator, key, values) = condition.canonical();
            let keys = conditions.entry(operator).or_insert_with(|| Value::Object(Map::new()));
            keys.as_object_mut().expect("only objects are put there").insert(key.to_owned(), values);
        }
        if !conditions.is_empty() {
            members.insert("Condition".to_owned(), Value::Object(conditions));
        }
        for (name, value) in &body.others {
            members.insert(name.clone(), serde_json::from_str(value).unwrap_or(Value::Null));
        }
        Value::Object(members)
    }
}

fn insert_element<T>(
    members: &mut Map<String, Value>,
    name: &str,
    element: &PolicyElement<T>,
    value_of: impl Fn(&BTreeSet<T>) -> Value,
) {
    let (name, items) = match element {
        PolicyElement::Absent => return,
        PolicyElement::Only(items) => (name.to_owned(), items),
        PolicyElement::AllBut(items) => (format!("Not{name}"), items),
    };
    members.insert(name, value_of(items));
}

fn list<'t>(items: impl Iterator<Item = &'t str>) -> Value {
    let items: Vec<Value> = items.map(Value::from).collect();
    if items.len() == 1 { items[0].clone() } else { Value::Array(items) }
}

fn principals(items: &BTreeSet<PolicyPrincipal>) -> Value {
    let mut kinds: Vec<(&str, Vec<&str>)> = vec![("AWS", Vec::new()), ("Service", Vec::new())];
    for principal in items {
        let (kind, text) = match principal {
            PolicyPrincipal::Everyone => ("AWS", "*"),
            PolicyPrincipal::AccountRoot(text) | PolicyPrincipal::Identity(text) => ("AWS", text.as_str()),
            PolicyPrincipal::Service(text) => ("Service", text.as_str()),
            PolicyPrincipal::Foreign(text) => text.split_once(':').unwrap_or(("", text)),
        };
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, texts)) => texts.push(text),
            None => kinds.push((kind, vec![text])),
        }
    }
    let kinds = kinds.into_iter().filter(|(_, texts)| !texts.is_empty());
    Value::Object(kinds.map(|(kind, texts)| (kind.to_owned(), list(texts.into_iter()))).collect())
}

/// The members of a statement so far.
#[derive(Default)]
struct StatementParts<'a> {
    partition: &'a str,
    sid: Option<String>,
    effect: Option<StatementEffect>,
    principals: Option<PolicyElement<PolicyPrincipal>>,
    actions: Option<PolicyElement<ActionPattern>>,
    resources: Option<PolicyElement<ResourcePattern>>,
    conditions: Vec<PolicyCondition>,
    others: Vec<(String, String)>,
}

impl StatementParts<'_> {
    /// `None` for a value of another shape than IAM has, and for an element that is there twice.
    fn take(&mut self, name: &str, value: &Value) -> Option<()> {
        let actions = |value| Some(texts(value)?.into_iter().map(ActionPattern::of).collect());
        let resources = |value| Some(texts(value)?.into_iter().map(str::to_owned).collect());
        match name.to_ascii_lowercase().as_str() {
            "sid" => self.sid = Some(value.as_str()?.to_owned()).filter(|sid| !sid.is_empty()),
            "effect" => self.effect = Some(effect(value.as_str()?)?),
            "principal" => once(&mut self.principals, PolicyElement::Only(principals_of(value, self.partition)?))?,
            "notprincipal" => once(&mut self.principals, PolicyElement::AllBut(principals_of(value, self.partition)?))?,
            "action" => once(&mut self.actions, PolicyElement::Only(actions(value)?))?,
            "notaction" => once(&mut self.actions, PolicyElement::AllBut(actions(value)?))?,
            "resource" => once(&mut self.resources, PolicyElement::Only(resources(value)?))?,
            "notresource" => once(&mut self.resources, PolicyElement::AllBut(resources(value)?))?,
            "condition" => self.conditions = PolicyCondition::all(value)?,
            _ => self.others.push((name.to_owned(), value.to_string())),
        }
        Some(())
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.is_none().then(|| *place = Some(value))
}

fn effect(text: &str) -> Option<StatementEffect> {
    match text.to_ascii_lowercase().as_str() {
        "allow" => Some(StatementEffect::Allow),
        "deny" => Some(StatementEffect::Deny),
        _ => None,
    }
}

/// A string, or a list of strings.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn principals_of(value: &Value, partition: &str) -> Option<BTreeSet<PolicyPrincipal>> {
    match value {
        Value::String(text) if text == "*" => Some(BTreeSet::from([PolicyPrincipal::Everyone])),
        Value::Object(kinds) => {
            let mut all = BTreeSet::new();
            for (kind, value) in kinds {
                all.extend(texts(value)?.into_iter().map(|text| PolicyPrincipal::of(kind, text, partition)));
            }
            Some(all)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statement(value: Value) -> PolicyStatement {
        PolicyStatement::of(&value, "aws").unwrap()
    }

    #[test]
    fn spellings_of_one_statement_are_equal() {
        let one = statement(json!({"Sid": "A", "Effect": "Allow", "Principal": {"AWS": "111122223333"},
            "Action": "KMS:decrypt", "Resource": ["*"], "Condition": {"Bool": {"aws:SecureTransport": true}}}));
        let other = statement(json!({"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::111122223333:root"]},
            "Action": ["kms:Decrypt", "kms:decrypt"], "Resource": "*",
            "Condition": {"Bool": {"AWS:securetransport": ["true"]}}}));
        assert_eq!(one.body, other.body);
        assert_eq!(one.label(), "A");
        let label = concat!(
            r#"{"Action":"kms:Decrypt","Condition":{"Bool":{"AWS:securetransport":"true"}},"Effect":"Allow","#,
            r#""Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Resource":"*"}"#
        );
        assert_eq!(other.label(), label);
        let odd = statement(json!({"Effect": "Deny", "NotPrincipal": "*", "NotAction": ["b", "a"], "Added": {"x": 1}}));
        assert_eq!(
            odd.label(),
            r#"{"Added":{"x":1},"Effect":"Deny","NotAction":["a","b"],"NotPrincipal":{"AWS":"*"}}"#
        );
    }

    #[test]
    fn other_shapes_are_no_statement() {
        for odd in [
            json!("x"),
            json!({"Action": "*"}),
            json!({"Effect": "Permit", "Action": "*"}),
            json!({"Effect": "Allow", "Action": 1}),
            json!({"Effect": "Allow", "Action": [["*"]]}),
            json!({"Effect": "Allow", "Principal": "111122223333"}),
            json!({"Effect": "Allow", "Principal": {"AWS": null}}),
            json!({"Effect": "Allow", "Action": "*", "NotAction": "*"}),
            json!({"Effect": "Allow", "Condition": "x"}),
            json!({"Effect": "Allow", "Sid": 1}),
        ] {
            assert_eq!(PolicyStatement::of(&odd, "aws"), None, "{odd}");
        }
    }

    #[test]
    fn reach_is_compared_element_by_element() {
        let base =
            json!({"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:Decrypt", "Resource": "*"});
        let with = |name: &str, value: Value| {
            let mut changed = base.clone();
            changed[name] = value;
            statement(changed).body
        };
        let narrow = statement(base.clone()).body;
        for (name, value) in [
            ("Action", json!(["kms:Decrypt", "kms:Encrypt"])),
            ("Action", json!("kms:*")),
            ("Principal", json!("*")),
            ("Principal", json!({"AWS": ["111122223333", "444455556666"]})),
        ] {
            let wide = with(name, value);
            assert!(wide.covers(&narrow) && !narrow.covers(&wide), "{wide:?}");
        }
        let conditioned = with("Condition", json!({"Bool": {"aws:SecureTransport": true}}));
        assert!(narrow.covers(&conditioned) && !conditioned.covers(&narrow));
        for (name, value) in [("Effect", json!("Deny")), ("Action", json!("kms:Encrypt")), ("Added", json!(1))] {
            let other = with(name, value);
            assert!(!other.covers(&narrow) && !narrow.covers(&other), "{other:?}");
        }
    }
}
