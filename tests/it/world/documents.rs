//! Policy documents of the world: as statements that the model compares, and as the text that AWS would log.
//! In: statements. Out: JSON in one of the wordings that mean the same. Never reads a document back.

use serde_json::{Value, json};

use super::dice::WorldDice;

#[derive(Clone, PartialEq)]
pub struct WorldStatement {
    pub sid: String,
    pub effect: &'static str,
    /// The ARN of a principal or of an account's root, `*`; of an IAM document nothing.
    pub principal: String,
    pub actions: Vec<String>,
    pub resource: String,
    pub condition: Value,
}

impl WorldStatement {
    pub fn allow(sid: &str, principal: &str, actions: &[&str]) -> WorldStatement {
        WorldStatement {
            sid: sid.to_owned(),
            effect: "Allow",
            principal: principal.to_owned(),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            resource: "*".to_owned(),
            condition: Value::Null,
        }
    }

    pub fn deny(sid: &str, principal: &str, actions: &[&str]) -> WorldStatement {
        WorldStatement { effect: "Deny", ..WorldStatement::allow(sid, principal, actions) }
    }

    pub fn on(self, resource: &str) -> WorldStatement {
        WorldStatement { resource: resource.to_owned(), ..self }
    }

    pub fn only_if(self, condition: Value) -> WorldStatement {
        WorldStatement { condition, ..self }
    }

    fn json(&self, dice: &mut WorldDice) -> Value {
        let mut actions = self.actions.clone();
        dice.shuffle(&mut actions);
        let action = if actions.len() == 1 && dice.happens(50) { json!(actions[0]) } else { json!(actions) };
        let mut statement =
            json!({"Sid": self.sid, "Effect": self.effect, "Action": action, "Resource": self.resource});
        if !self.principal.is_empty() {
            statement["Principal"] = principal(&self.principal, dice);
        }
        if !self.condition.is_null() {
            statement["Condition"] = self.condition.clone();
        }
        statement
    }
}

/// The root of an account is its id too, and one name is a list of one.
fn principal(arn: &str, dice: &mut WorldDice) -> Value {
    if arn == "*" && dice.happens(50) {
        return json!("*");
    }
    let id = arn.strip_suffix(":root").map(|root| root.rsplit(':').next().unwrap());
    let name = if dice.happens(50) { id.unwrap_or(arn) } else { arn };
    if dice.happens(50) { json!({"AWS": name}) } else { json!({"AWS": [name]}) }
}

/// The document as text, worded in one of several ways.
pub fn document(statements: &[WorldStatement], dice: &mut WorldDice) -> String {
    let mut all: Vec<Value> = statements.iter().map(|statement| statement.json(dice)).collect();
    dice.shuffle(&mut all);
    let all = if all.len() == 1 && dice.happens(30) { all.remove(0) } else { Value::Array(all) };
    let document = json!({"Version": "2012-10-17", "Statement": all});
    let text =
        if dice.happens(50) { serde_json::to_string(&document) } else { serde_json::to_string_pretty(&document) };
    text.expect("a document of strings is JSON")
}

/// As IAM's answers have it; some records of its requests too.
pub fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What a new version of a policy added, removed and changed, by Sid.
pub fn difference(before: &[WorldStatement], after: &[WorldStatement]) -> [Vec<String>; 3] {
    let of = |all: &[WorldStatement], sid: &str| all.iter().find(|one| one.sid == sid).cloned();
    let sids = |all: &[WorldStatement], keep: &dyn Fn(&WorldStatement) -> bool| -> Vec<String> {
        all.iter().filter(|one| keep(one)).map(|one| one.sid.clone()).collect()
    };
    [
        sids(after, &|one| of(before, &one.sid).is_none()),
        sids(before, &|one| of(after, &one.sid).is_none()),
        sids(after, &|one| of(before, &one.sid).is_some_and(|old| !is_equal(&old, one))),
    ]
}

fn is_equal(one: &WorldStatement, other: &WorldStatement) -> bool {
    let sorted = |all: &[String]| {
        let mut all = all.to_vec();
        all.sort();
        all
    };
    let bare = |of: &WorldStatement| WorldStatement { actions: Vec::new(), ..of.clone() };
    bare(one) == bare(other) && sorted(&one.actions) == sorted(&other.actions)
}

/// `PRINCIPAL ACTION` of what is newly allowed, if it can be said without judging patterns, conditions or a Deny.
pub fn newly_allowed(before: &[WorldStatement], after: &[WorldStatement]) -> Option<Vec<String>> {
    let is_plain = |one: &&WorldStatement| {
        one.effect == "Allow"
            && one.condition.is_null()
            && one.principal.contains(':')
            && !one.principal.ends_with(":root")
    };
    let is_new = |one: &&WorldStatement| !before.iter().any(|old| is_equal(old, one));
    let news: Vec<&WorldStatement> = after.iter().filter(is_new).collect();
    let lost_deny = before.iter().any(|old| old.effect == "Deny" && !after.iter().any(|one| is_equal(one, old)));
    if lost_deny || !news.iter().all(|one| one.effect == "Deny" || is_plain(one)) {
        return None;
    }
    let mut pairs = Vec::new();
    for one in news.iter().filter(|one| one.effect == "Allow") {
        let others = before.iter().filter(|old| old.principal == one.principal && old.sid != one.sid);
        if others.count() > 0 {
            return None;
        }
        let had = before.iter().find(|old| old.sid == one.sid);
        let is_new = |action: &&String| !had.is_some_and(|old| old.actions.contains(*action));
        pairs.extend(one.actions.iter().filter(is_new).map(|action| format!("{} {action}", one.principal)));
    }
    pairs.sort();
    Some(pairs)
}
