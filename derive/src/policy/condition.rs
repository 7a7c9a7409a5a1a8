//! Conditions of a statement: named and compared, never evaluated.
//! In: the member `Condition`. Out: one condition for each operator and key. Never asks if a condition is met.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use keytrail_rows::arn::{Arn, is_account_id};
use serde_json::Value;

/// Longest list of values that is shown as it stands.
const SHOWN_BYTES_MAX: usize = 200;

/// Keys whose values name accounts, by id or in an ARN, in lower case.
const ACCOUNT_KEYS: [&str; 5] =
    ["aws:principalaccount", "aws:principalarn", "aws:sourceaccount", "aws:sourcearn", "kms:calleraccount"];

/// Other keys that narrow `*` down to organizations, identities, networks or services. `kms:ViaService` is none:
/// through a service anybody may call.
const CALLER_KEYS: [&str; 10] = [
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:principalservicenameslist",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "aws:username",
];

/// One operator with one key and the values to compare with. The case of a key says nothing.
#[derive(Debug, Clone)]
pub(crate) struct PolicyCondition {
    operator: String,
    /// As it was written.
    written_key: String,
    key: String,
    values: BTreeSet<String>,
}

impl PolicyCondition {
    /// The conditions of a statement, in their order; `None` if they are not of the shape that IAM has.
    pub fn all(condition: &Value) -> Option<Vec<PolicyCondition>> {
        let mut conditions = Vec::new();
        for (operator, keys) in condition.as_object()? {
            for (key, values) in keys.as_object()? {
                let values = match values {
                    Value::Array(values) => values.iter().map(scalar_text).collect::<Option<BTreeSet<_>>>()?,
                    value => BTreeSet::from([scalar_text(value)?]),
                };
                let (operator, written_key) = (operator.clone(), key.clone());
                conditions.push(PolicyCondition { operator, written_key, key: key.to_ascii_lowercase(), values });
            }
        }
        conditions.sort_unstable();
        Some(conditions)
    }

    /// As `StringEquals`, with its prefix and `IfExists`.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// In lower case, as `kms:viaservice`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// In their order.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str)
    }

    /// As people read it: `StringEquals kms:ViaService = s3.eu-west-1.amazonaws.com`; long lists are counted.
    pub fn text(&self) -> String {
        let bytes: usize = self.values.iter().map(|value| value.len() + 2).sum();
        let values = match bytes {
            0..=SHOWN_BYTES_MAX => self.values().collect::<Vec<_>>().join(", "),
            _ => format!("{} values", self.values.len()),
        };
        let key: String = self.written_key.chars().take(SHOWN_BYTES_MAX).collect();
        format!("{} {key} = {values}", self.operator.chars().take(SHOWN_BYTES_MAX).collect::<String>())
    }

    /// True if whatever meets the other meets this one too, by their values alone.
    pub fn covers(&self, other: &PolicyCondition) -> bool {
        if (&self.operator, &self.key) != (&other.operator, &other.key) {
            return false;
        }
        // Values of most operators are alternatives; of those that negate, all must differ.
        match self.negates() {
            true => self.values.is_subset(&other.values),
            false => self.values.is_superset(&other.values),
        }
    }

    fn negates(&self) -> bool {
        let operator = self.operator.rsplit(':').next().unwrap_or(&self.operator).to_ascii_lowercase();
        operator.contains("not")
    }

    /// True if it compares for equality or likeness, in a way that a missing key does not meet.
    pub fn is_equality(&self) -> bool {
        let operator = self.operator.strip_prefix("ForAnyValue:").unwrap_or(&self.operator);
        matches!(operator, "StringEquals" | "StringEqualsIgnoreCase" | "StringLike" | "ArnEquals" | "ArnLike")
    }

    /// The accounts that it says callers are of.
    pub fn caller_accounts(&self) -> impl Iterator<Item = &str> {
        let says = ACCOUNT_KEYS.contains(&self.key()) && self.is_equality();
        self.values().filter(move |_| says).filter_map(account_of)
    }

    /// True if it tells who may call, so that `*` is not everyone.
    pub fn limits_callers(&self) -> bool {
        let (key, is_equality) = (self.key(), self.is_equality());
        if ACCOUNT_KEYS.contains(&key) {
            return is_equality && self.values().all(|value| account_of(value).is_some());
        }
        let begins_plain = |value: &str| {
            let first = value.split(['/', ':']).next().unwrap_or(value);
            !first.is_empty() && !first.contains(['*', '?'])
        };
        let is_of_services =
            self.operator == "Bool" && key == "aws:principalisawsservice" && self.values().eq(["true"]);
        is_of_services || (CALLER_KEYS.contains(&key) && is_equality && self.values().all(begins_plain))
    }

    /// The operator, key and values in JSON, for the label of a statement.
    pub fn canonical(&self) -> (&str, &str, Value) {
        let values: Vec<Value> = self.values().map(Value::from).collect();
        let values = if values.len() == 1 { values[0].clone() } else { Value::Array(values) };
        (&self.operator, &self.written_key, values)
    }

    fn order(&self) -> (&str, &str, &BTreeSet<String>) {
        (&self.operator, &self.key, &self.values)
    }
}

impl PartialEq for PolicyCondition {
    fn eq(&self, other: &PolicyCondition) -> bool {
        self.order() == other.order()
    }
}

impl Eq for PolicyCondition {}

impl PartialOrd for PolicyCondition {
    fn partial_cmp(&self, other: &PolicyCondition) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PolicyCondition {
    fn cmp(&self, other: &PolicyCondition) -> Ordering {
        self.order().cmp(&other.order())
    }
}

/// The account that a value names by its id or in an ARN.
fn account_of(value: &str) -> Option<&str> {
    let account = Arn::parse(value).map_or(value, |arn| arn.account);
    is_account_id(account).then_some(account)
}

/// A value as text: `true` and `"true"` are one to IAM.
fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only(operator: &str, key: &str, values: Value) -> PolicyCondition {
        PolicyCondition::all(&json!({ operator: { key: values } })).unwrap().remove(0)
    }

    #[test]
    fn conditions_are_compared_by_operator_key_and_values() {
        let via = |values| only("StringEquals", "kms:ViaService", values);
        assert_eq!(via(json!("a")), only("StringEquals", "KMS:viaservice", json!(["a"])));
        assert_ne!(via(json!("a")), only("StringLike", "kms:ViaService", json!("a")));
        assert_eq!(only("Bool", "x", json!(true)), only("Bool", "x", json!("true")));
        assert!(via(json!(["a", "b"])).covers(&via(json!("a"))) && !via(json!("a")).covers(&via(json!(["a", "b"]))));
        let not = |values| only("ForAnyValue:StringNotEquals", "k", values);
        assert!(not(json!("a")).covers(&not(json!(["a", "b"]))) && !not(json!(["a", "b"])).covers(&not(json!("a"))));
        for odd in [json!([]), json!({"Bool": []}), json!({"Bool": {"k": {}}}), json!({"Bool": {"k": [null]}})] {
            assert_eq!(PolicyCondition::all(&odd), None, "{odd}");
        }
    }

    #[test]
    fn conditions_are_named_for_people() {
        assert_eq!(only("StringLike", "kms:X", json!(["b", "a"])).text(), "StringLike kms:X = a, b");
        let many: Vec<String> = (0..100).map(|number| format!("value-{number}")).collect();
        assert_eq!(only("StringLike", "kms:X", json!(many)).text(), "StringLike kms:X = 100 values");
    }

    #[test]
    fn some_conditions_tell_who_may_call() {
        for (operator, key, value, limits) in [
            ("StringEquals", "kms:CallerAccount", json!("111122223333"), true),
            ("StringEquals", "aws:PrincipalOrgID", json!("o-example"), true),
            ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", json!("o-example/*"), true),
            ("Bool", "aws:PrincipalIsAWSService", json!(true), true),
            ("Bool", "aws:PrincipalIsAWSService", json!(false), false),
            ("ArnLike", "aws:PrincipalArn", json!("arn:aws:iam::111122223333:role/*"), true),
            ("StringLike", "aws:userid", json!("AROAEXAMPLE:*"), true),
            ("ArnLike", "aws:PrincipalArn", json!("arn:aws:iam::*:role/app"), false),
            ("StringLike", "kms:CallerAccount", json!("*"), false),
            ("StringEquals", "kms:CallerAccount", json!(["111122223333", "x"]), false),
            ("StringLike", "aws:PrincipalOrgID", json!("o-*"), false),
            ("StringEquals", "kms:ViaService", json!("s3.eu-west-1.amazonaws.com"), false),
            ("StringEqualsIfExists", "kms:CallerAccount", json!("111122223333"), false),
            ("ForAllValues:StringEquals", "aws:PrincipalOrgPaths", json!("x"), false),
            ("StringNotEquals", "kms:CallerAccount", json!("111122223333"), false),
            ("Bool", "aws:SecureTransport", json!(true), false),
            ("StringEquals", "kms:EncryptionContext:stage", json!("x"), false),
        ] {
            assert_eq!(only(operator, key, value).limits_callers(), limits, "{operator} {key}");
        }
    }
}
