//! Stories of refusals, changes and successes, with the chain that each may claim.
//! In: acts as data. Out: the row of the chain, or the first story that ends otherwise.
//! Never reads SQL: the rows are as the input of the table has them.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use keytrail_rows::time::MICROS_PER_SECOND;
use serde_json::{Value, json};

use super::deeds::VersionUse;
use super::history::{AccessPlace, PlaceValue};
use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/app/reader";
const USER: &str = "arn:aws:iam::111122223333:user/analyst";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER_KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
const POLICY: &str = "arn:aws:iam::111122223333:policy/use-keys";

/// One act, at a second.
#[derive(Clone)]
enum ChainAct {
    Deny(i64),
    /// Another of that second, for another reason.
    DenyFor(i64, &'static str),
    /// Without the key's name; with the key of its table.
    DenyUnnamed(i64, Option<&'static str>),
    /// The same for another reason.
    DenyUnnamedFor(i64, &'static str),
    /// The call, its key or account, its request and its answer.
    Change(i64, &'static str, Value),
    Allow(i64),
    Data(i64),
}

use ChainAct::{Allow, Change, Data, Deny, DenyFor, DenyUnnamed, DenyUnnamedFor};

/// A story: how the refusal reads, who was refused, and the acts. Changes are `c0`, `c1`, … in their order.
struct ToldRefusals {
    principal: &'static str,
    reason: Option<&'static str>,
    effect: Option<&'static str>,
    denied_by: Option<&'static str>,
    acts: Vec<ChainAct>,
}

fn story(reason: &'static str, effect: &'static str, acts: &[ChainAct]) -> ToldRefusals {
    let effect = Some(effect).filter(|effect| !effect.is_empty());
    ToldRefusals { principal: ROLE, reason: Some(reason), effect, denied_by: None, acts: acts.to_vec() }
}

/// The named change, the others, and the evidence of each row.
type ToldClaim = (Option<&'static str>, &'static [&'static str], &'static str);

const NOTHING: ToldClaim = (None, &[], "unexplained");

fn micros(second: i64) -> i64 {
    second * MICROS_PER_SECOND
}

/// The batch that a story gives, by the code that takes rows.
fn chains_of(story: &ToldRefusals) -> RecordBatch {
    chains_of_acts(story, &mut numbered(story).into_iter())
}

/// The acts of a story, each with the number of changes before it.
fn numbered(story: &ToldRefusals) -> Vec<(usize, &ChainAct)> {
    let mut changes = 0;
    let number = |act| {
        let number = changes;
        changes += usize::from(matches!(act, &Change(..)));
        (number, act)
    };
    story.acts.iter().map(number).collect()
}

fn chains_of_acts(story: &ToldRefusals, acts: &mut dyn Iterator<Item = (usize, &ChainAct)>) -> RecordBatch {
    Box::new(rows_of_acts(story, acts)).finish().unwrap()
}

/// The rows of a story.
fn rows_of(story: &ToldRefusals) -> AllChains {
    rows_of_acts(story, &mut numbered(story).into_iter())
}

fn rows_of_acts(story: &ToldRefusals, acts: &mut dyn Iterator<Item = (usize, &ChainAct)>) -> AllChains {
    let mut all = AllChains::default();
    let texts = &mut all.texts;
    let mut successes: Vec<i64> =
        story.acts.iter().filter_map(|act| if let Allow(at) = act { Some(*at) } else { None }).collect();
    successes.sort_unstable();
    let session = federated_user(story.principal)
        .map_or_else(|| "AROAEXAMPLE:session".to_owned(), |(_, name)| format!("111122223333:{name}"));
    let success_after = |at: i64| successes.get(successes.partition_point(|success| *success <= at));
    let refusal = |texts: &mut TextPool, at: i64, key: Option<&str>, by_table: Option<&str>| RefusedUse {
        id: PackedEventId::of(&format!("d{at}")),
        time: micros(at),
        principal: texts.put(story.principal),
        operation: texts.put("Decrypt"),
        action: Some(texts.put("kms:Decrypt")),
        key: texts.put_cell(key),
        key_by_table: texts.put_cell(by_table),
        reason: texts.put_cell(story.reason),
        effect: texts.put_cell(story.effect),
        denied_by: texts.put_cell(story.denied_by),
        account: Some(texts.put("111122223333")),
        success: success_after(at).filter(|_| key.is_some() || by_table.is_some()).map(|success| RunSuccess {
            id: PackedEventId::of(&format!("a{success}")),
            time: micros(*success),
            table_arn: Some(texts.put("arn:aws:dynamodb:eu-west-1:111122223333:table/orders")),
            table_name: Some(texts.put("orders")),
            via_service: Some(texts.put("dynamodb")),
            account: Some(texts.put("111122223333")),
            principal_id: Some(texts.put(&session)),
            endpoint: Some(texts.put("vpce-1")),
            person: None,
            person_source: None,
        }),
    };
    for (number, act) in acts {
        match act {
            Deny(at) => {
                let refused = refusal(texts, *at, Some(KEY), None);
                all.refusals.push(refused);
            }
            DenyFor(at, reason) => {
                let mut refused = refusal(texts, *at, Some(KEY), None);
                (refused.id, refused.reason) = (PackedEventId::of(&format!("b{at}")), Some(texts.put(reason)));
                all.refusals.push(refused);
            }
            DenyUnnamed(at, key) => {
                let refused = refusal(texts, *at, None, *key);
                all.refusals.push(refused);
            }
            DenyUnnamedFor(at, reason) => {
                let mut refused = refusal(texts, *at, None, None);
                refused.reason = Some(texts.put(reason));
                all.refusals.push(refused);
            }
            Change(at, name, members) => {
                let of = |member: &str| members.get(member).map(|value| value.to_string());
                let text = |member: &str| members.get(member).and_then(Value::as_str);
                let (request, answer) = (of("request"), of("answer"));
                let call = ChangeCall {
                    event_name: name,
                    region: Some("eu-west-1"),
                    account_id: Some(text("account").unwrap_or("111122223333")),
                    key_arn: Some(text("key").unwrap_or(KEY)),
                    grant_id: text("grant"),
                    request: request.as_deref(),
                    answer: answer.as_deref(),
                };
                let (deed, partition) = ChangeDeed::of(call).unwrap_or_else(|| panic!("{name} {members} does nothing"));
                let content = call.content([None; 3]);
                let id = PackedEventId::of(&format!("c{number}"));
                let by = text("by").unwrap_or("arn:aws:iam::111122223333:role/admin");
                let (name, by) = (texts.put(name), texts.put(by));
                let [person, person_source] = ["person", "person_source"].map(|of| texts.put_cell(text(of)));
                let time = micros(*at);
                all.changes.add(LoggedChange { time, id, content, partition, name, by, person, person_source, deed });
            }
            Data(at) => {
                let of =
                    (texts.put(story.principal), texts.put("arn:aws:dynamodb:eu-west-1:111122223333:table/orders"));
                all.data_events.entry(of).or_default().push((micros(*at), PackedEventId::of(&format!("e{at}"))));
            }
            Allow(_) => {}
        }
    }
    for region in ["eu-west-1", "us-east-1"] {
        let lane = (texts.put("111122223333"), texts.put(region));
        all.hours.add(lane, CoverageSpan::of(0, micros(10 * 3600), Some("good"), Some("digest")));
    }
    all
}

fn claims(rows: &RecordBatch) -> Vec<(Option<String>, Vec<String>, String)> {
    let text = |name: &str, row: usize| {
        let cells = rows[name].as_string::<i32>();
        cells.is_valid(row).then(|| cells.value(row).to_owned())
    };
    let others = |row: usize| {
        let list = rows["other_changes"].as_list::<i32>().value(row);
        list.as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    (0..rows.num_rows())
        .map(|row| (text("change_event_id", row), others(row), text("evidence", row).unwrap()))
        .collect()
}

fn assert_claims(name: &str, story: &ToldRefusals, expected: &[ToldClaim]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(named, others, evidence)| {
            (named.map(str::to_owned), others.iter().map(|id| (*id).to_owned()).collect(), (*evidence).to_owned())
        })
        .collect();
    let rows = chains_of(story);
    assert_eq!(claims(&rows), expected, "{name}");
    assert_eq!(chains_of_acts(story, &mut numbered(story).into_iter().rev()), rows, "{name}, read backwards");
}

fn allow(principal: Value, action: &str) -> Value {
    json!({"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"})
}

fn root() -> Value {
    allow(json!({"AWS": "arn:aws:iam::111122223333:root"}), "kms:*")
}

fn named(principal: &str) -> Value {
    allow(json!({"AWS": principal}), "kms:Decrypt")
}

fn with(mut statement: Value, member: &str, value: Value) -> Value {
    statement[member] = value;
    statement
}

fn document(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn put_key_policy(at: i64, statements: &[Value]) -> ChainAct {
    Change(at, "PutKeyPolicy", json!({"request": {"policyName": "default", "policy": document(statements)}}))
}

fn own(action: &str, resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": resource})
}

fn put_role_policy(at: i64, statements: &[Value]) -> ChainAct {
    let request = json!({"roleName": "reader", "policyName": "keys", "policyDocument": document(statements)});
    Change(at, "PutRolePolicy", json!({"request": request}))
}

fn create_grant(at: i64, id: &str, grantee: &str, operations: &[&str]) -> ChainAct {
    let request = json!({"granteePrincipal": grantee, "operations": operations, "keyId": KEY});
    Change(at, "CreateGrant", json!({"grant": id, "request": request}))
}

fn attach(at: i64, name: &'static str, policy: &str) -> ChainAct {
    Change(at, name, json!({"request": {"roleName": "reader", "policyArn": policy}}))
}

fn create_policy(at: i64, statements: &[Value]) -> ChainAct {
    let members = json!({
        "request": {"policyName": "use-keys", "policyDocument": document(statements)},
        "answer": {"policy": {"arn": POLICY, "defaultVersionId": "v1"}},
    });
    Change(at, "CreatePolicy", members)
}

fn new_version(at: i64, statements: &[Value], version: VersionUse) -> ChainAct {
    let is_default = version == VersionUse::Default;
    let members = json!({
        "request": {"policyArn": POLICY, "policyDocument": document(statements), "setAsDefault": is_default},
        "answer": {"policyVersion": {"versionId": format!("v{at}"), "isDefaultVersion": is_default}},
    });
    Change(at, "CreatePolicyVersion", members)
}

const IMPLICIT: (&str, &str) = ("identity_policy", "implicit");

#[test]
fn a_key_policy_or_grant_that_newly_allows_is_named() {
    let shown: &[ToldClaim] = &[(Some("c1"), &[], "shown")];
    let possible: &[ToldClaim] = &[(Some("c1"), &[], "possible")];
    let nothing: &[ToldClaim] = &[NOTHING];
    let via = json!({"StringEquals": {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}});
    let other_via = json!({"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}});
    let organization = json!({"StringEquals": {"aws:PrincipalOrgID": "o-example"}});
    let session = "arn:aws:sts::111122223333:assumed-role/reader/session";
    for (name, change, expected) in [
        ("the role by its ARN", put_key_policy(500, &[root(), named(ROLE)]), shown),
        (
            "the role without its path",
            put_key_policy(500, &[root(), named("arn:aws:iam::111122223333:role/reader")]),
            shown,
        ),
        ("the session of the success", put_key_policy(500, &[root(), named(session)]), shown),
        ("another session", put_key_policy(500, &[root(), named(&session.replace("session", "x"))]), nothing),
        ("everyone", put_key_policy(500, &[root(), named("*")]), possible),
        ("through the service that called", put_key_policy(500, &[root(), with(named(ROLE), "Condition", via)]), shown),
        (
            "through another service",
            put_key_policy(500, &[root(), with(named(ROLE), "Condition", other_via)]),
            possible,
        ),
        ("a condition", put_key_policy(500, &[root(), with(named(ROLE), "Condition", organization)]), possible),
        ("another role", put_key_policy(500, &[root(), named("arn:aws:iam::111122223333:role/writer")]), nothing),
        (
            "another account's role",
            put_key_policy(500, &[root(), named("arn:aws:iam::444455556666:role/reader")]),
            nothing,
        ),
        ("another action", put_key_policy(500, &[root(), allow(json!({"AWS": ROLE}), "kms:Describe*")]), nothing),
        ("a pattern of actions", put_key_policy(500, &[root(), allow(json!({"AWS": ROLE}), "kms:De*")]), shown),
        (
            "all actions but one",
            {
                let statement = json!({"Effect": "Allow", "Principal": {"AWS": ROLE}, "NotAction": "kms:PutKeyPolicy", "Resource": "*"});
                put_key_policy(500, &[root(), statement])
            },
            possible,
        ),
        (
            "all actions but this one",
            {
                let statement =
                    json!({"Effect": "Allow", "Principal": {"AWS": ROLE}, "NotAction": "kms:De*", "Resource": "*"});
                put_key_policy(500, &[root(), statement])
            },
            nothing,
        ),
        ("an added Deny", put_key_policy(500, &[root(), with(named(ROLE), "Effect", json!("Deny"))]), nothing),
        (
            "an Allow beside a Deny",
            put_key_policy(500, &[root(), named(ROLE), with(named("*"), "Effect", json!("Deny"))]),
            nothing,
        ),
        ("only other words", put_key_policy(500, &[with(root(), "Sid", json!("Root"))]), nothing),
        (
            "the root as an account id",
            put_key_policy(500, &[allow(json!({"AWS": ["111122223333"]}), "kms:*")]),
            nothing,
        ),
        (
            "a cut policy",
            Change(
                500,
                "PutKeyPolicy",
                json!({"request": {"policy": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Eff"}}),
            ),
            nothing,
        ),
        ("a policy that is left out", Change(500, "PutKeyPolicy", json!({"request": {"omitted": true}})), nothing),
        (
            "another key's policy",
            Change(500, "PutKeyPolicy", json!({"key": OTHER_KEY, "request": {"policy": document(&[named(ROLE)])}})),
            nothing,
        ),
        ("a grant", create_grant(500, "g", ROLE, &["Decrypt", "DescribeKey"]), shown),
        ("a grant for another", create_grant(500, "g", USER, &["Decrypt"]), nothing),
        ("a grant of another operation", create_grant(500, "g", ROLE, &["DescribeKey"]), nothing),
        (
            "a grant with a constraint",
            Change(
                500,
                "CreateGrant",
                json!({"grant": "g", "request": {
            "granteePrincipal": ROLE, "operations": ["Decrypt"],
            "constraints": {"encryptionContextSubset": {"a": "b"}}}}),
            ),
            possible,
        ),
        (
            "a grant with an empty constraint",
            Change(
                500,
                "CreateGrant",
                json!({"grant": "g", "request": {
            "granteePrincipal": ROLE, "operations": ["Decrypt"], "constraints": {"encryptionContextSubset": {}}}}),
            ),
            shown,
        ),
        ("the second of the success", put_key_policy(900, &[root(), named(ROLE)]), nothing),
        ("a second before the success", put_key_policy(899, &[root(), named(ROLE)]), shown),
        ("after the success", put_key_policy(901, &[root(), named(ROLE)]), nothing),
        ("the second of the refusal", put_key_policy(400, &[root(), named(ROLE)]), possible),
        ("300 seconds before the refusal", put_key_policy(100, &[root(), named(ROLE)]), possible),
        ("301 seconds before the refusal", put_key_policy(99, &[root(), named(ROLE)]), nothing),
    ] {
        let acts = [put_key_policy(10, &[root()]), Deny(300), Deny(400), change, Allow(900), Allow(950)];
        assert_claims(name, &story(IMPLICIT.0, IMPLICIT.1, &acts), expected);
    }
}

#[test]
fn a_change_that_is_undone_before_the_success_is_not_named() {
    let allowed = put_key_policy(500, &[root(), named(ROLE)]);
    for (name, acts, expected) in [
        ("taken back", vec![allowed.clone(), put_key_policy(600, &[root()])], NOTHING),
        (
            "taken back in the second of the success",
            vec![allowed.clone(), put_key_policy(900, &[root()])],
            (Some("c1"), &[][..], "possible"),
        ),
        (
            "put again in the second of the success",
            vec![allowed.clone(), put_key_policy(900, &[named(ROLE), root()])],
            (Some("c1"), &[], "shown"),
        ),
        (
            "denied in the second of the success",
            vec![allowed.clone(), put_role_policy(900, &[with(own("kms:*", "*"), "Effect", json!("Deny"))])],
            (Some("c1"), &[], "possible"),
        ),
        (
            "taken back after the success",
            vec![allowed.clone(), put_key_policy(901, &[root()])],
            (Some("c1"), &[], "shown"),
        ),
        (
            "cut after",
            vec![allowed.clone(), Change(600, "PutKeyPolicy", json!({"request": {"omitted": true}}))],
            NOTHING,
        ),
        (
            "narrowed after",
            vec![
                allowed.clone(),
                put_key_policy(
                    600,
                    &[root(), with(named(ROLE), "Condition", json!({"Bool": {"aws:SecureTransport": "true"}}))],
                ),
            ],
            (Some("c1"), &[], "possible"),
        ),
        (
            "a role's policy that is narrowed after",
            vec![
                put_role_policy(500, &[own("kms:Decrypt", "*")]),
                put_role_policy(
                    600,
                    &[with(own("kms:*", "*"), "Condition", json!({"Bool": {"aws:SecureTransport": "true"}}))],
                ),
            ],
            (Some("c1"), &[], "possible"),
        ),
        (
            "narrowed to another role",
            vec![allowed.clone(), put_key_policy(600, &[root(), named("arn:aws:iam::111122223333:role/writer")])],
            NOTHING,
        ),
        (
            "narrowed after and taken back",
            vec![
                allowed.clone(),
                put_key_policy(
                    600,
                    &[root(), with(named(ROLE), "Condition", json!({"Bool": {"aws:SecureTransport": "true"}}))],
                ),
                put_key_policy(700, &[root()]),
            ],
            NOTHING,
        ),
        (
            "narrowed to what stood before",
            {
                let narrow = with(named(ROLE), "Condition", json!({"Bool": {"aws:SecureTransport": "true"}}));
                vec![
                    put_key_policy(50, &[root(), narrow.clone()]),
                    put_key_policy(500, &[root(), named(ROLE)]),
                    put_key_policy(600, &[root(), narrow]),
                ]
            },
            NOTHING,
        ),
        (
            "put again in other words",
            vec![allowed.clone(), put_key_policy(600, &[named(ROLE), root()])],
            (Some("c1"), &[], "shown"),
        ),
        (
            "taken back and given again",
            vec![allowed.clone(), put_key_policy(600, &[root()]), put_key_policy(700, &[named(ROLE)])],
            (Some("c3"), &[], "shown"),
        ),
        ("two in one second", vec![allowed.clone(), put_key_policy(500, &[root()])], NOTHING),
        (
            "a grant that is revoked",
            vec![create_grant(500, "g", ROLE, &["Decrypt"]), Change(600, "RevokeGrant", json!({"grant": "g"}))],
            NOTHING,
        ),
        (
            "a grant of which another is revoked",
            vec![create_grant(500, "g", ROLE, &["Decrypt"]), Change(600, "RevokeGrant", json!({"grant": "h"}))],
            (Some("c1"), &[], "shown"),
        ),
        (
            "a grant that is asked for twice",
            vec![create_grant(500, "g", ROLE, &["Decrypt"]), create_grant(600, "g", ROLE, &["Decrypt"])],
            (Some("c1"), &[], "shown"),
        ),
        (
            "two that allow",
            vec![create_grant(500, "g", ROLE, &["Decrypt"]), put_key_policy(600, &[root(), named(ROLE)])],
            (Some("c2"), &["c1"], "shown"),
        ),
        (
            "a role's policy and the key's",
            vec![put_role_policy(500, &[own("kms:Decrypt", "*")]), put_key_policy(600, &[root(), named(ROLE)])],
            (Some("c2"), &["c1"], "shown"),
        ),
        (
            "one before the last refusal and one after",
            vec![create_grant(350, "g", ROLE, &["Decrypt"]), put_key_policy(600, &[root(), named(ROLE)])],
            (Some("c2"), &["c1"], "shown"),
        ),
        (
            "a role's policy that is deleted",
            vec![
                put_role_policy(500, &[own("kms:Decrypt", "*")]),
                Change(600, "DeleteRolePolicy", json!({"request": {"roleName": "reader", "policyName": "keys"}})),
            ],
            NOTHING,
        ),
        (
            "another policy of that name is deleted",
            vec![
                put_role_policy(500, &[own("kms:Decrypt", "*")]),
                Change(600, "DeleteRolePolicy", json!({"request": {"roleName": "writer", "policyName": "keys"}})),
            ],
            (Some("c1"), &[], "shown"),
        ),
    ] {
        let mut all = vec![put_key_policy(10, &[root()]), Deny(300), Deny(400)];
        all.extend(acts);
        all.push(Allow(900));
        assert_claims(name, &story(IMPLICIT.0, IMPLICIT.1, &all), &[expected]);
    }
}

#[test]
fn what_is_deleted_or_made_anew_has_nothing_of_before() {
    let call = |at, name, request: Value| Change(at, name, json!({"request": request}));
    let user = |at, name, of: &str| call(at, name, json!({"userName": of}));
    let group = |at, name| call(at, name, json!({"groupName": "readers"}));
    let put = |at| {
        let text = document(&[own("kms:*", "*")]);
        call(at, "PutUserPolicy", json!({"userName": "analyst", "policyName": "p", "policyDocument": text}))
    };
    let put_group = |at| {
        let text = document(&[own("kms:*", "*")]);
        call(at, "PutGroupPolicy", json!({"groupName": "readers", "policyName": "p", "policyDocument": text}))
    };
    let join = |at| call(at, "AddUserToGroup", json!({"groupName": "readers", "userName": "analyst"}));
    let attach = |at| call(at, "AttachUserPolicy", json!({"userName": "analyst", "policyArn": POLICY}));
    let create_policy = |at| create_policy(at, &[own("kms:*", "*")]);
    let delete_policy = |at, policy: &str| call(at, "DeletePolicy", json!({"policyArn": policy}));
    for (name, acts, expected) in [
        (
            "deleted and made",
            vec![put(500), user(600, "DeleteUser", "analyst"), user(650, "CreateUser", "analyst")],
            NOTHING,
        ),
        ("made", vec![put(500), user(650, "CreateUser", "analyst")], NOTHING),
        ("deleted in the second of the change", vec![put(500), user(500, "DeleteUser", "analyst")], NOTHING),
        (
            "another is deleted",
            vec![put(500), user(600, "DeleteUser", "reader"), user(650, "CreateUser", "reader")],
            (Some("c1"), &[][..], "shown"),
        ),
        (
            "made in the second of the change",
            vec![put(500), user(500, "CreateUser", "analyst")],
            (Some("c1"), &[], "shown"),
        ),
        ("made before", vec![user(500, "CreateUser", "analyst"), put(500)], (Some("c2"), &[], "shown")),
        (
            "made, with two policies of one second",
            vec![
                user(500, "CreateUser", "analyst"),
                put(500),
                call(500, "DeleteUserPolicy", json!({"userName": "analyst", "policyName": "p"})),
            ],
            NOTHING,
        ),
        (
            "deleted, made and given anew in one second",
            vec![user(500, "DeleteUser", "analyst"), user(500, "CreateUser", "analyst"), put(500)],
            NOTHING,
        ),
        (
            "given, deleted and made in one second",
            vec![put(500), user(500, "DeleteUser", "analyst"), user(500, "CreateUser", "analyst")],
            NOTHING,
        ),
        (
            "given anew",
            vec![user(500, "DeleteUser", "analyst"), user(501, "CreateUser", "analyst"), put(502)],
            (Some("c3"), &[], "shown"),
        ),
        (
            "a policy made and deleted in one second",
            vec![attach(20), create_policy(500), delete_policy(500, POLICY), attach(600)],
            NOTHING,
        ),
        (
            "deleted a second time",
            vec![
                put(450),
                user(500, "DeleteUser", "analyst"),
                user(501, "CreateUser", "analyst"),
                put(600),
                user(601, "DeleteUser", "analyst"),
            ],
            NOTHING,
        ),
        ("a policy deleted", vec![create_policy(20), attach(500), delete_policy(600, POLICY)], NOTHING),
        (
            "another policy deleted",
            vec![create_policy(20), attach(500), delete_policy(600, &POLICY.replace("use", "no"))],
            (Some("c2"), &[], "shown"),
        ),
        (
            "a policy deleted and made, attached to nobody",
            vec![create_policy(20), attach(500), delete_policy(600, POLICY), create_policy(650)],
            NOTHING,
        ),
        ("a policy made where it is attached", vec![attach(500), create_policy(500)], (Some("c1"), &[], "shown")),
        (
            "a group deleted and made",
            vec![put_group(20), join(500), group(600, "DeleteGroup"), group(610, "CreateGroup"), put_group(620)],
            NOTHING,
        ),
        ("a group joined", vec![group(10, "CreateGroup"), put_group(20), join(500)], (Some("c3"), &[], "possible")),
    ] {
        let mut all = vec![put_key_policy(10, &[root()]), Deny(300), Deny(400)];
        all.extend(acts);
        all.push(Allow(900));
        let story = ToldRefusals { principal: USER, ..story(IMPLICIT.0, IMPLICIT.1, &all) };
        assert_claims(name, &story, &[expected]);
    }
    let deny = || with(own("kms:*", "*"), "Effect", json!("Deny"));
    let role = |at, name| call(at, name, json!({"roleName": "reader"}));
    let scp = |at, name, members: Value| Change(at, name, json!({"request": members}));
    for (name, reason, acts, expected) in [
        (
            "a Deny of a role that is made anew",
            "identity_policy",
            vec![put_role_policy(20, &[deny()]), role(500, "DeleteRole"), role(510, "CreateRole")],
            (Some("c2"), &[][..], "shown"),
        ),
        (
            "a boundary of a role that is made anew",
            "permissions_boundary",
            vec![
                call(20, "PutRolePermissionsBoundary", json!({"roleName": "reader", "permissionsBoundary": POLICY})),
                role(500, "CreateRole"),
            ],
            (Some("c2"), &[], "possible"),
        ),
        (
            "an SCP deleted",
            "scp",
            vec![
                scp(20, "AttachPolicy", json!({"policyId": "p-1", "targetId": "111122223333"})),
                scp(30, "UpdatePolicy", json!({"policyId": "p-1", "content": document(&[deny()])})),
                scp(500, "DeletePolicy", json!({"policyId": "p-1"})),
            ],
            (Some("c3"), &[], "possible"),
        ),
        (
            "another SCP deleted",
            "scp",
            vec![
                scp(20, "AttachPolicy", json!({"policyId": "p-1", "targetId": "111122223333"})),
                scp(30, "UpdatePolicy", json!({"policyId": "p-1", "content": document(&[deny()])})),
                scp(500, "DeletePolicy", json!({"policyId": "p-2"})),
            ],
            NOTHING,
        ),
    ] {
        let mut all = vec![put_key_policy(10, &[root()]), Deny(300), Deny(400)];
        all.extend(acts);
        all.push(Allow(900));
        assert_claims(name, &story(reason, "explicit", &all), &[expected]);
    }
}

#[test]
fn a_grant_to_an_account_is_of_the_partition_of_its_key() {
    for (partition, account, is_cure) in [
        ("aws", "111122223333", true),
        ("aws-us-gov", "111122223333", true),
        ("aws-cn", "111122223333", true),
        ("aws-us-gov", "444455556666", false),
    ] {
        let mut texts = TextPool::default();
        let key_arn = format!("arn:{partition}:kms:us-gov-west-1:111122223333:key/1");
        let request =
            json!({"granteePrincipal": format!("arn:{partition}:iam::{account}:root"), "operations": ["Decrypt"]});
        let request = request.to_string();
        let call = ChangeCall {
            event_name: "CreateGrant",
            key_arn: Some(&key_arn),
            grant_id: Some("g"),
            request: Some(&request),
            ..ChangeCall::default()
        };
        let mut logged = LoggedChanges::default();
        logged.add(change_at(500, &call, &mut texts));
        let history = AccessHistory::of(logged, &mut texts);
        let principal = format!("arn:{partition}:iam::111122223333:user/ann");
        let asked = AskedUse {
            principal: &principal,
            session_arn: None,
            key: &key_arn,
            actions: &["kms:Decrypt".to_owned()],
            via_service: None,
            caller_account: None,
            denied_by: None,
        };
        let (owners, indexes) = (PlacesByOwner::default(), UseIndexes::default());
        let known = KnownAccess { history: &history, owners: &owners, indexes: &indexes, texts: &texts };
        let mut search = CureSearch::new(known, asked, CureSpan { from: 100, success: 900 });
        let key = texts.find(&key_arn).unwrap();
        let found = search.cures(CureKind::Allowed, key, SuccessRoute::default());
        assert_eq!(found.last().is_some(), is_cure, "{partition} {account}");
    }
}

fn change_at(second: i64, call: &ChangeCall<'_>, texts: &mut TextPool) -> LoggedChange {
    let (deed, partition) = ChangeDeed::of(*call).unwrap();
    LoggedChange {
        time: micros(second),
        id: PackedEventId::of("one"),
        content: call.content([None; 3]),
        partition,
        name: texts.put(call.event_name),
        by: texts.put("admin"),
        person: None,
        person_source: None,
        deed,
    }
}

#[test]
fn changes_of_one_id_that_differ_are_two_in_any_order() {
    let policy = |principal: &str| json!({"policy": document(&[root(), named(principal)])}).to_string();
    let grant = |grantee: &str| json!({"granteePrincipal": grantee, "operations": ["Decrypt"]}).to_string();
    for (name, seconds, requests, changes, expected) in [
        ("PutKeyPolicy", (500, 500), [policy(ROLE), policy(USER)], 2, Some(PlaceValue::Unknown)),
        ("PutKeyPolicy", (500, 600), [policy(ROLE), policy(USER)], 2, None),
        ("PutKeyPolicy", (500, 500), [policy(ROLE), policy(ROLE)], 1, None),
        ("CreateGrant", (500, 500), [grant(ROLE), grant(USER)], 2, Some(PlaceValue::Unknown)),
        ("CreateGrant", (500, 500), [grant(ROLE), grant(ROLE)], 1, None),
    ] {
        let calls = requests.each_ref().map(|request| ChangeCall {
            event_name: name,
            key_arn: Some(KEY),
            grant_id: Some("g"),
            request: Some(request),
            ..ChangeCall::default()
        });
        let values = [[0, 1], [1, 0]].map(|order| {
            let mut texts = TextPool::default();
            let mut logged = LoggedChanges::default();
            for number in order {
                let second = [seconds.0, seconds.1][number];
                logged.add(change_at(second, &calls[number], &mut texts));
            }
            let history = AccessHistory::of(logged, &mut texts);
            assert_eq!(history.changes.len(), changes);
            let key = texts.find(KEY).unwrap();
            let place = match name {
                "PutKeyPolicy" => AccessPlace::KeyPolicy(key),
                _ => AccessPlace::Grant(key, texts.find("g").unwrap()),
            };
            history.value_before(place, 900)
        });
        assert_eq!(values[0], values[1], "{name} {seconds:?}");
        assert_eq!(values[0] == PlaceValue::Unknown, expected.is_some(), "{name} {seconds:?}");
    }
}

#[test]
fn documents_are_read_in_their_partition_and_counted() {
    let request = json!({"policy": document(&[allow(json!({"AWS": "111122223333"}), "kms:*")])}).to_string();
    let mut texts = TextPool::default();
    let mut logged = LoggedChanges::default();
    let keys = ["us-east-1", "us-gov-west-1"].map(|region| format!("arn:aws:kms:{region}:111122223333:key/1"));
    for key in &keys {
        let call = ChangeCall {
            event_name: "PutKeyPolicy",
            key_arn: Some(key),
            request: Some(&request),
            ..ChangeCall::default()
        };
        logged.add(change_at(500, &call, &mut texts));
    }
    // A policy that is read takes more than its text.
    assert!(logged.bytes_held() > 10 * request.len());
    let history = AccessHistory::of(logged, &mut texts);
    let roots = keys.map(|key| {
        let value = history.value_before(AccessPlace::KeyPolicy(texts.find(&key).unwrap()), 900);
        let PlaceValue::Document(document) = value else { panic!("{value:?}") };
        let principals = history.documents.read(document).unwrap().statements[0].body.principals.clone();
        principals.only().unwrap().first().unwrap().text()
    });
    assert_eq!(roots, ["arn:aws:iam::111122223333:root", "arn:aws-us-gov:iam::111122223333:root"]);
}

#[test]
fn changes_of_iam_count_when_their_text_reaches_the_principal() {
    let decrypt = own("kms:Decrypt", KEY);
    let group = |at, name, request| Change(at, name, json!({"request": request}));
    let put_group = |at| {
        group(
            at,
            "PutGroupPolicy",
            json!({"groupName": "readers", "policyName": "p", "policyDocument": document(&[own("kms:*", "*")])}),
        )
    };
    let join = |at, user: &str| group(at, "AddUserToGroup", json!({"groupName": "readers", "userName": user}));
    let leave = |at| group(at, "RemoveUserFromGroup", json!({"groupName": "readers", "userName": "analyst"}));
    let first: ToldClaim = (Some("c1"), &[], "shown");
    let after_another: ToldClaim = (Some("c2"), &[], "shown");
    let other = own("s3:*", "*");
    let second: ToldClaim = (Some("c2"), &[], "possible");
    for (name, principal, acts, expected) in [
        ("an own policy", ROLE, vec![put_role_policy(500, std::slice::from_ref(&decrypt))], first),
        (
            "an own policy that said something else",
            ROLE,
            vec![
                put_role_policy(20, std::slice::from_ref(&other)),
                put_role_policy(500, std::slice::from_ref(&decrypt)),
            ],
            after_another,
        ),
        ("for another key", ROLE, vec![put_role_policy(500, &[own("kms:Decrypt", OTHER_KEY)])], NOTHING),
        ("for a table", ROLE, vec![put_role_policy(500, &[own("dynamodb:GetItem", "*")])], NOTHING),
        (
            "for the keys of a Region",
            ROLE,
            vec![put_role_policy(500, &[own("kms:*", "arn:aws:kms:eu-west-1:*:key/*")])],
            first,
        ),
        (
            "with a condition",
            ROLE,
            vec![put_role_policy(
                500,
                &[with(decrypt.clone(), "Condition", json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}))],
            )],
            (Some("c1"), &[], "possible"),
        ),
        (
            "with a condition, after another",
            ROLE,
            vec![
                put_role_policy(20, std::slice::from_ref(&other)),
                put_role_policy(
                    500,
                    &[with(decrypt.clone(), "Condition", json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}))],
                ),
            ],
            second,
        ),
        (
            "percent-encoded",
            ROLE,
            vec![Change(
                500,
                "PutRolePolicy",
                json!({"request": {"roleName": "reader", "policyName": "p", "policyDocument": "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22kms%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D"}}),
            )],
            first,
        ),
        (
            "a role of that name in another account",
            ROLE,
            vec![Change(
                500,
                "PutRolePolicy",
                json!({"account": "444455556666", "request": {"roleName": "reader", "policyName": "p", "policyDocument": document(&[own("kms:*", "*")])}}),
            )],
            NOTHING,
        ),
        (
            "a user of the role's name",
            ROLE,
            vec![Change(
                500,
                "PutUserPolicy",
                json!({"request": {"userName": "reader", "policyName": "p", "policyDocument": document(&[own("kms:*", "*")])}}),
            )],
            NOTHING,
        ),
        (
            "attached, with its text",
            ROLE,
            vec![create_policy(20, std::slice::from_ref(&decrypt)), attach(500, "AttachRolePolicy", POLICY)],
            (Some("c2"), &[], "shown"),
        ),
        (
            "attached, its text elsewhere",
            ROLE,
            vec![attach(500, "AttachRolePolicy", "arn:aws:iam::aws:policy/AdministratorAccess")],
            NOTHING,
        ),
        (
            "attached and detached",
            ROLE,
            vec![
                create_policy(20, std::slice::from_ref(&decrypt)),
                attach(500, "AttachRolePolicy", POLICY),
                attach(600, "DetachRolePolicy", POLICY),
            ],
            NOTHING,
        ),
        (
            "attached to another account's role",
            ROLE,
            vec![
                create_policy(20, std::slice::from_ref(&decrypt)),
                Change(
                    500,
                    "AttachRolePolicy",
                    json!({"account": "444455556666", "request": {"roleName": "reader", "policyArn": POLICY}}),
                ),
            ],
            NOTHING,
        ),
        (
            "a version of an attached policy",
            ROLE,
            vec![
                attach(20, "AttachRolePolicy", POLICY),
                new_version(500, std::slice::from_ref(&decrypt), VersionUse::Default),
            ],
            second,
        ),
        (
            "a version that is not the default",
            ROLE,
            vec![
                attach(20, "AttachRolePolicy", POLICY),
                new_version(500, std::slice::from_ref(&decrypt), VersionUse::Spare),
            ],
            NOTHING,
        ),
        (
            "a version that becomes the default",
            ROLE,
            vec![
                attach(20, "AttachRolePolicy", POLICY),
                new_version(30, std::slice::from_ref(&decrypt), VersionUse::Spare),
                Change(500, "SetDefaultPolicyVersion", json!({"request": {"policyArn": POLICY, "versionId": "v30"}})),
            ],
            (Some("c3"), &[], "possible"),
        ),
        (
            "a version of a policy that nobody has",
            ROLE,
            vec![
                create_policy(20, &[own("s3:*", "*")]),
                new_version(500, std::slice::from_ref(&decrypt), VersionUse::Default),
            ],
            NOTHING,
        ),
        ("a group joined", USER, vec![put_group(20), join(500, "analyst")], second),
        ("a group joined by another", USER, vec![put_group(20), join(500, "other")], NOTHING),
        ("a group joined and left", USER, vec![put_group(20), join(500, "analyst"), leave(600)], NOTHING),
        ("a group's policy", USER, vec![join(20, "analyst"), put_group(500)], second),
        // Who leaves a group was in it.
        (
            "a group's policy, left after the success",
            USER,
            vec![put_group(500), leave(950)],
            (Some("c1"), &[], "possible"),
        ),
    ] {
        let mut all = vec![put_key_policy(10, &[root()]), Deny(300), Deny(400)];
        all.extend(acts);
        all.push(Allow(900));
        let story = ToldRefusals { principal, ..story(IMPLICIT.0, IMPLICIT.1, &all) };
        assert_claims(name, &story, &[expected]);
    }
    // Without a known key policy that leaves the use to IAM, a change of IAM is possible only.
    for before in [vec![], vec![put_key_policy(10, &[named(USER)])]] {
        let mut all = before;
        let number = all.len();
        all.extend([Deny(400), put_role_policy(500, std::slice::from_ref(&decrypt)), Allow(900)]);
        let expected = (Some(["c0", "c1"][number]), &[][..], "possible");
        assert_claims("no delegation", &story(IMPLICIT.0, IMPLICIT.1, &all), &[expected]);
    }
}

#[test]
fn a_change_must_be_able_to_cure_the_reason() {
    let deny = |principal: &str| with(named(principal), "Effect", json!("Deny"));
    let own_deny = with(own("kms:*", "*"), "Effect", json!("Deny"));
    let boundary = |at, name, policy: Option<&str>| {
        let request = json!({"roleName": "reader", "permissionsBoundary": policy});
        Change(at, name, json!({"request": request}))
    };
    let scp = |at, name, target: &str| Change(at, name, json!({"request": {"policyId": "p-1", "targetId": target}}));
    let of_organization = |at, name, statement: Value, id: &str| {
        Change(
            at,
            name,
            json!({
            "request": {"type": "SERVICE_CONTROL_POLICY", "policyId": if name == "UpdatePolicy" { json!(id) } else { json!(null) }, "content": document(&[statement])},
            "answer": {"policy": {"policySummary": {"id": id, "type": "SERVICE_CONTROL_POLICY"}}}}),
        )
    };
    let all_deny = || with(own("kms:*", "*"), "Effect", json!("Deny"));
    let endpoint = |at, statement: Value| {
        Change(
            at,
            "ModifyVpcEndpoint",
            json!({"request": {"ModifyVpcEndpointRequest": {"VpcEndpointId": "vpce-1", "PolicyDocument": document(&[statement])}}}),
        )
    };
    let begin = |at, session: &str| {
        let answer = json!({"assumedRoleUser": {"assumedRoleId": session}});
        Change(at, "AssumeRole", json!({"answer": answer}))
    };
    let move_account = |at, account: &str, from: &str, to: &str| {
        let request = json!({"accountId": account, "sourceParentId": from, "destinationParentId": to});
        Change(at, "MoveAccount", json!({"account": "999988887777", "request": request}))
    };
    let moved = |at, from: &str, to: &str| move_account(at, "111122223333", from, to);
    let other_moved = move_account(500, "444455556666", "r-1", "ou-1");
    let key_denies = put_key_policy(20, &[root(), deny(ROLE)]);
    let key_allows = put_key_policy(500, &[root(), named(ROLE)]);
    let role_denies = put_role_policy(20, std::slice::from_ref(&own_deny));
    let role_clears = put_role_policy(500, &[own("s3:*", "*")]);
    for (name, (reason, effect), acts, expected) in [
        (
            "the key's Deny",
            ("resource_policy", "explicit"),
            vec![key_denies.clone(), put_key_policy(500, &[root()])],
            (Some("c2"), &[][..], "shown"),
        ),
        (
            "the key's Deny of everyone",
            ("resource_policy", "explicit"),
            vec![put_key_policy(20, &[root(), deny("*")]), put_key_policy(500, &[root()])],
            (Some("c2"), &[], "possible"),
        ),
        (
            "the key's Deny, and back",
            ("resource_policy", "explicit"),
            vec![key_denies.clone(), put_key_policy(500, &[root()]), put_key_policy(600, &[root(), deny(ROLE)])],
            NOTHING,
        ),
        ("an Allow for an explicit Deny", ("resource_policy", "explicit"), vec![key_allows.clone()], NOTHING),
        (
            "a Deny of another's",
            ("resource_policy", "explicit"),
            vec![put_key_policy(20, &[root(), deny(USER)]), put_key_policy(500, &[root()])],
            NOTHING,
        ),
        (
            "IAM's Deny",
            ("identity_policy", "explicit"),
            vec![role_denies.clone(), role_clears.clone()],
            (Some("c2"), &[], "shown"),
        ),
        ("IAM's Deny whose text is not here", ("identity_policy", "explicit"), vec![role_clears.clone()], NOTHING),
        (
            "the key's Deny for IAM's",
            ("identity_policy", "explicit"),
            vec![key_denies.clone(), put_key_policy(500, &[root()])],
            NOTHING,
        ),
        (
            "IAM's Deny for the key's",
            ("resource_policy", "explicit"),
            vec![role_denies.clone(), role_clears.clone()],
            NOTHING,
        ),
        (
            "a Deny of no kind",
            ("unspecified", "explicit"),
            vec![role_denies.clone(), role_clears.clone()],
            (Some("c2"), &[], "possible"),
        ),
        ("no reason", ("unspecified", ""), vec![key_allows.clone()], (Some("c1"), &[], "possible")),
        ("three causes", ("resource_policy_or_missing", ""), vec![key_allows.clone()], (Some("c1"), &[], "possible")),
        ("other words", ("unparsed", ""), vec![key_allows.clone()], (Some("c1"), &[], "possible")),
        ("a session's policy", ("session_policy", "implicit"), vec![key_allows.clone()], NOTHING),
        (
            "a session begun anew",
            ("session_policy", "implicit"),
            vec![begin(350, "AROAEXAMPLE:session"), begin(500, "AROAEXAMPLE:session")],
            (Some("c2"), &[], "possible"),
        ),
        (
            "another session",
            ("session_policy", "implicit"),
            vec![begin(500, "AROAEXAMPLE:other"), begin(900, "AROAEXAMPLE:session")],
            NOTHING,
        ),
        (
            "a boundary taken off",
            ("permissions_boundary", "implicit"),
            vec![boundary(500, "DeleteRolePermissionsBoundary", None)],
            (Some("c1"), &[], "possible"),
        ),
        (
            "a boundary taken off and put back",
            ("permissions_boundary", "implicit"),
            vec![
                boundary(500, "DeleteRolePermissionsBoundary", None),
                boundary(600, "PutRolePermissionsBoundary", Some(POLICY)),
            ],
            (Some("c2"), &[], "possible"),
        ),
        (
            "a boundary that does not allow",
            ("permissions_boundary", "implicit"),
            vec![create_policy(20, &[own("s3:*", "*")]), boundary(500, "PutRolePermissionsBoundary", Some(POLICY))],
            NOTHING,
        ),
        (
            "a boundary whose policy allows now",
            ("permissions_boundary", "implicit"),
            vec![
                create_policy(20, &[own("s3:*", "*")]),
                boundary(30, "PutRolePermissionsBoundary", Some(POLICY)),
                new_version(500, &[own("kms:*", "*")], VersionUse::Default),
            ],
            (Some("c3"), &[], "possible"),
        ),
        ("a key policy for a boundary", ("permissions_boundary", "implicit"), vec![key_allows.clone()], NOTHING),
        (
            "an SCP detached",
            ("scp", "explicit"),
            vec![scp(500, "DetachPolicy", "111122223333")],
            (Some("c1"), &[], "possible"),
        ),
        (
            "an SCP detached from a unit",
            ("scp", "explicit"),
            vec![scp(500, "DetachPolicy", "ou-abcd-1")],
            (Some("c1"), &[], "possible"),
        ),
        (
            "an SCP detached from another account",
            ("scp", "explicit"),
            vec![scp(500, "DetachPolicy", "444455556666")],
            NOTHING,
        ),
        ("an SCP attached for a Deny", ("scp", "explicit"), vec![scp(500, "AttachPolicy", "111122223333")], NOTHING),
        (
            "an SCP detached and attached",
            ("scp", "explicit"),
            vec![scp(500, "DetachPolicy", "111122223333"), scp(600, "AttachPolicy", "111122223333")],
            NOTHING,
        ),
        (
            "an SCP attached that allows",
            ("scp", "implicit"),
            vec![scp(500, "AttachPolicy", "111122223333")],
            (Some("c1"), &[], "possible"),
        ),
        (
            "an SCP that was attached is changed",
            ("scp", "explicit"),
            vec![
                scp(20, "AttachPolicy", "111122223333"),
                of_organization(30, "UpdatePolicy", all_deny(), "p-1"),
                of_organization(500, "UpdatePolicy", own("*", "*"), "p-1"),
            ],
            (Some("c3"), &[], "possible"),
        ),
        (
            "an SCP of which no attachment is here is changed",
            ("scp", "explicit"),
            vec![
                of_organization(30, "UpdatePolicy", all_deny(), "p-1"),
                of_organization(500, "UpdatePolicy", own("*", "*"), "p-1"),
            ],
            NOTHING,
        ),
        (
            "a policy of another kind is detached",
            ("rcp", "explicit"),
            vec![of_organization(30, "CreatePolicy", all_deny(), "p-1"), scp(500, "DetachPolicy", "111122223333")],
            NOTHING,
        ),
        ("moved to another unit", ("scp", "explicit"), vec![moved(500, "r-1", "ou-1")], (Some("c1"), &[], "possible")),
        (
            "moved there and back",
            ("scp", "explicit"),
            vec![moved(500, "r-1", "ou-1"), moved(600, "ou-1", "r-1")],
            NOTHING,
        ),
        (
            "moved there before the last refusal, and back",
            ("scp", "explicit"),
            vec![moved(350, "r-1", "ou-1"), moved(600, "ou-1", "r-1")],
            (Some("c2"), &[], "possible"),
        ),
        ("another account is moved", ("scp", "explicit"), vec![other_moved], NOTHING),
        ("moved for a key's Deny", ("resource_policy", "explicit"), vec![moved(500, "r-1", "ou-1")], NOTHING),
        ("moved for an RCP", ("rcp", "explicit"), vec![moved(500, "r-1", "ou-1")], (Some("c1"), &[], "possible")),
        (
            "removed from the organization",
            ("scp", "implicit"),
            vec![Change(
                500,
                "RemoveAccountFromOrganization",
                json!({"account": "999988887777", "request": {"accountId": "111122223333"}}),
            )],
            (Some("c1"), &[], "possible"),
        ),
        (
            "SCPs are switched off",
            ("scp", "explicit"),
            vec![Change(
                500,
                "DisablePolicyType",
                json!({"request": {"rootId": "r-1", "policyType": "SERVICE_CONTROL_POLICY"}}),
            )],
            (Some("c1"), &[], "possible"),
        ),
        (
            "an endpoint's policy",
            ("vpc_endpoint_policy", "implicit"),
            vec![endpoint(20, named(USER)), endpoint(500, named(ROLE))],
            (Some("c2"), &[], "shown"),
        ),
        (
            "an endpoint's first policy",
            ("vpc_endpoint_policy", "implicit"),
            vec![endpoint(500, named(ROLE))],
            (Some("c1"), &[], "possible"),
        ),
        (
            "an endpoint's policy for another",
            ("vpc_endpoint_policy", "implicit"),
            vec![endpoint(500, named(USER))],
            NOTHING,
        ),
    ] {
        let mut all = vec![put_key_policy(10, &[root()]), Deny(300), Deny(400)];
        all.extend(acts);
        all.push(Allow(900));
        assert_claims(name, &story(reason, effect, &all), &[expected]);
    }
}

#[test]
fn a_run_ends_with_the_first_success_and_counts_what_names_no_key() {
    let numbers = |story: &ToldRefusals| {
        let rows = chains_of(story);
        let count = |name: &str, row: usize| rows[name].as_primitive::<Int64Type>().value(row);
        let text = |name: &str, row: usize| rows[name].as_string::<i32>().value(row).to_owned();
        (0..rows.num_rows())
            .map(|row| {
                let ids =
                    [text("denied_event_id", row), text("allowed_event_id", row), text("first_data_event_id", row)];
                (count("denied_count", row), count("denied_unnamed", row), ids.join(" "))
            })
            .collect::<Vec<_>>()
    };
    for (name, acts, expected) in [
        ("no success", vec![Deny(1)], vec![]),
        ("a success before", vec![Allow(1), Deny(2)], vec![]),
        ("a success in the same second", vec![Deny(2), Allow(2)], vec![]),
        (
            "two runs",
            vec![Deny(1), Deny(2), Allow(3), Allow(4), Deny(5), Allow(6)],
            vec![(2, 0, "d2 a3 "), (1, 0, "d5 a6 ")],
        ),
        // Of the refusal and the success of the second second nobody knows which was first.
        ("a tie", vec![Deny(1), Deny(2), Allow(2), Allow(9)], vec![(1, 0, "d1 a2 "), (1, 0, "d2 a9 ")]),
        (
            "unnamed between",
            vec![Deny(1), DenyUnnamed(2, None), DenyUnnamed(3, Some(KEY)), Deny(4), Allow(9)],
            vec![(2, 2, "d4 a9 ")],
        ),
        ("unnamed after the last", vec![Deny(1), DenyUnnamed(2, None), Allow(9)], vec![(1, 1, "d1 a9 ")]),
        (
            "unnamed outside",
            vec![DenyUnnamed(1, None), Deny(2), Allow(9), DenyUnnamed(9, None), DenyUnnamed(10, None)],
            vec![(1, 0, "d2 a9 ")],
        ),
        (
            "unnamed of another key's table",
            vec![Deny(1), DenyUnnamed(2, Some(OTHER_KEY)), Allow(9)],
            vec![(1, 0, "d1 a9 "), (0, 1, "d2 a9 ")],
        ),
        ("unnamed alone", vec![DenyUnnamed(1, None), Allow(9)], vec![]),
        (
            "unnamed alone, of a table",
            vec![DenyUnnamed(1, Some(KEY)), DenyUnnamed(2, None), Allow(9)],
            vec![(0, 2, "d1 a9 ")],
        ),
        ("data events", vec![Deny(1), Data(4), Allow(9), Data(9), Data(12)], vec![(1, 0, "d1 a9 e9")]),
    ] {
        let mut found = numbers(&story(IMPLICIT.0, IMPLICIT.1, &acts));
        found.sort_by(|a, b| b.0.cmp(&a.0).then(a.2.cmp(&b.2)));
        let expected: Vec<_> =
            expected.iter().map(|(named, unnamed, ids)| (*named, *unnamed, (*ids).to_owned())).collect();
        assert_eq!(found, expected, "{name}");
    }
    // A run of refusals that name no key never shows anything.
    let acts =
        [put_key_policy(10, &[root()]), DenyUnnamed(400, Some(KEY)), put_key_policy(500, &[named(ROLE)]), Allow(900)];
    assert_claims("unnamed", &story(IMPLICIT.0, IMPLICIT.1, &acts), &[(Some("c1"), &[], "possible")]);
}

fn put_user_policy(at: i64, policy: &str, statements: &[Value]) -> ChainAct {
    let request = json!({"userName": "analyst", "policyName": policy, "policyDocument": document(statements)});
    Change(at, "PutUserPolicy", json!({"request": request}))
}

fn delete_user_policy(at: i64, policy: &str) -> ChainAct {
    Change(at, "DeleteUserPolicy", json!({"request": {"userName": "analyst", "policyName": policy}}))
}

/// The claim of a story of the user, whose key policy is known from second 10 on.
fn assert_claim_of_user(name: &str, (reason, effect): (&'static str, &'static str), told: (&[ChainAct], ToldClaim)) {
    let mut all = vec![put_key_policy(10, &[root()]), Deny(300), Deny(400)];
    all.extend(told.0.iter().cloned());
    all.push(Allow(900));
    assert_claims(name, &ToldRefusals { principal: USER, ..story(reason, effect, &all) }, &[told.1]);
}

#[test]
fn a_first_key_policy_is_shown_where_the_refusal_says_that_none_allowed() {
    let (implicit, foreign) = (("resource_policy", "implicit"), "arn:aws:iam::444455556666:role/partner");
    let allowing = |at| put_key_policy(at, &[root(), named(ROLE)]);
    let only = |statement: Value| vec![Deny(400), put_key_policy(500, &[root(), statement])];
    let cut = |at| Change(at, "PutKeyPolicy", json!({"request": {"omitted": true}}));
    let create = |policy: Value| Change(10, "CreateKey", json!({"request": policy}));
    let via = json!({"StringEquals": {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}});
    let account = json!({"StringEquals": {"kms:CallerAccount": "111122223333"}});
    let session = "arn:aws:sts::111122223333:assumed-role/reader/session";
    let but = json!({"Effect": "Allow", "Principal": {"AWS": ROLE}, "NotAction": "iam:*", "Resource": "*"});
    let (shown, possible, nothing) = (Some("shown"), Some("possible"), None);
    for (name, principal, reason, acts, change, evidence) in [
        ("alone", ROLE, implicit, only(named(ROLE)), "c0", shown),
        ("where IAM's policies are silent", ROLE, IMPLICIT, only(named(ROLE)), "c0", shown),
        ("for an explicit Deny", ROLE, ("resource_policy", "explicit"), only(named(ROLE)), "", nothing),
        ("for a Deny of no kind", ROLE, ("unspecified", ""), only(named(ROLE)), "c0", possible),
        ("for another kind", ROLE, ("scp", "implicit"), only(named(ROLE)), "", nothing),
        ("of another account's principal", foreign, implicit, only(named(foreign)), "c0", shown),
        ("of the wrong side", foreign, IMPLICIT, only(named(foreign)), "c0", possible),
        ("for everyone", ROLE, implicit, only(named("*")), "c0", possible),
        ("for a session, which may be another", ROLE, implicit, only(named(session)), "c0", possible),
        (
            "by a service, which may be another",
            ROLE,
            implicit,
            only(with(named(ROLE), "Condition", via)),
            "c0",
            possible,
        ),
        ("by its account", ROLE, implicit, only(with(named(ROLE), "Condition", account)), "c0", shown),
        ("for all actions but some", ROLE, implicit, only(but), "c0", possible),
        ("for its account", ROLE, implicit, only(root()), "", nothing),
        ("before the last refusal", ROLE, implicit, vec![allowing(350), Deny(400)], "c0", possible),
        (
            "after that of its making",
            ROLE,
            implicit,
            vec![create(json!({"policy": document(&[root()])})), Deny(400), allowing(500)],
            "c1",
            shown,
        ),
        ("after a default one", ROLE, implicit, vec![create(json!({})), Deny(400), allowing(500)], "c1", shown),
        ("after a cut one", ROLE, implicit, vec![cut(20), Deny(400), allowing(500)], "c1", shown),
        ("after one that was cut since", ROLE, implicit, vec![Deny(400), cut(450), allowing(500)], "c1", possible),
        (
            "after one that was cut shortly before",
            ROLE,
            implicit,
            vec![cut(200), Deny(400), allowing(500)],
            "c1",
            possible,
        ),
        (
            "after an older one that allowed as well",
            ROLE,
            implicit,
            vec![allowing(10), Deny(400), allowing(500)],
            "",
            nothing,
        ),
    ] {
        let mut acts = acts;
        acts.push(Allow(900));
        let told = ToldRefusals { principal, ..story(reason.0, reason.1, &acts) };
        let expected = evidence.map_or(NOTHING, |evidence| (Some(change), &[], evidence));
        assert_claims(name, &told, &[expected]);
    }
}

#[test]
fn a_first_policy_of_iam_is_shown_where_the_refusal_says_that_none_allowed() {
    let decrypt = || own("kms:Decrypt", "*");
    let attach_user = |at, name| Change(at, name, json!({"request": {"userName": "analyst", "policyArn": POLICY}}));
    let first = || vec![put_user_policy(500, "p", &[decrypt()])];
    let but = json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"});
    let mfa = json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}});
    let of_key = ("resource_policy", "implicit");
    let shown: ToldClaim = (Some("c1"), &[], "shown");
    let possible: ToldClaim = (Some("c1"), &[], "possible");
    for (name, reason, acts, expected) in [
        ("an own policy", IMPLICIT, first(), shown),
        ("where the key's policy is silent", of_key, first(), shown),
        ("for a Deny of no kind", ("unspecified", ""), first(), possible),
        ("for an explicit Deny", ("identity_policy", "explicit"), first(), NOTHING),
        (
            "under a condition",
            IMPLICIT,
            vec![put_user_policy(500, "p", &[with(decrypt(), "Condition", mfa)])],
            possible,
        ),
        ("of all actions but some", IMPLICIT, vec![put_user_policy(500, "p", &[but])], possible),
        (
            "where the key's policy left nothing to IAM then",
            of_key,
            vec![
                put_key_policy(20, &[named(ROLE)]),
                put_key_policy(450, &[root()]),
                put_user_policy(500, "p", &[decrypt()]),
            ],
            (Some("c3"), &["c2"], "possible"),
        ),
        (
            "where the key's policy had just left it to IAM",
            of_key,
            vec![
                put_key_policy(20, &[named(ROLE)]),
                put_key_policy(350, &[root()]),
                put_user_policy(500, "p", &[decrypt()]),
            ],
            (Some("c3"), &["c2"], "possible"),
        ),
        (
            "that was deleted before",
            IMPLICIT,
            vec![delete_user_policy(20, "p"), put_user_policy(500, "p", &[decrypt()])],
            (Some("c2"), &[], "shown"),
        ),
        (
            "beside another own policy",
            IMPLICIT,
            vec![put_user_policy(20, "q", &[own("s3:*", "*")]), put_user_policy(500, "p", &[decrypt()])],
            (Some("c2"), &[], "shown"),
        ),
        (
            "put twice since",
            IMPLICIT,
            vec![put_user_policy(450, "p", &[own("s3:*", "*")]), put_user_policy(500, "p", &[decrypt()])],
            (Some("c2"), &[], "shown"),
        ),
        (
            "cut and put again since",
            IMPLICIT,
            vec![
                Change(450, "PutUserPolicy", json!({"request": {"userName": "analyst", "policyName": "p"}})),
                put_user_policy(500, "p", &[decrypt()]),
            ],
            (Some("c2"), &[], "possible"),
        ),
        (
            "attached, of which no record tells",
            IMPLICIT,
            vec![new_version(20, &[decrypt()], VersionUse::Default), attach_user(500, "AttachUserPolicy")],
            (Some("c2"), &[], "shown"),
        ),
        (
            "attached, for a Deny of no kind",
            ("unspecified", ""),
            vec![new_version(20, &[decrypt()], VersionUse::Default), attach_user(500, "AttachUserPolicy")],
            (Some("c2"), &[], "possible"),
        ),
        (
            "attached, that was detached before",
            IMPLICIT,
            vec![
                new_version(20, &[decrypt()], VersionUse::Default),
                attach_user(30, "DetachUserPolicy"),
                attach_user(500, "AttachUserPolicy"),
            ],
            (Some("c3"), &[], "shown"),
        ),
        (
            "attached, that was made before",
            IMPLICIT,
            vec![create_policy(20, &[decrypt()]), attach_user(500, "AttachUserPolicy")],
            (Some("c2"), &[], "shown"),
        ),
    ] {
        assert_claim_of_user(name, reason, (&acts, expected));
    }
}

#[test]
fn a_deny_that_stands_in_another_document_forbids_proof() {
    let deny = |resource: &str| with(own("kms:*", resource), "Effect", json!("Deny"));
    let mfa = json!({"Bool": {"aws:MultiFactorAuthPresent": "false"}});
    let key_denies = |principal: &str| with(named(principal), "Effect", json!("Deny"));
    let key_allows = || put_key_policy(500, &[root(), named(USER)]);
    let bound = |at| {
        let request = json!({"userName": "analyst", "permissionsBoundary": POLICY});
        Change(at, "PutUserPermissionsBoundary", json!({"request": request}))
    };
    let grant = || create_grant(500, "g", USER, &["Decrypt"]);
    let of_scp = |at, name, target: &str| {
        let request = json!({"policyId": "p-1", "targetId": target, "content": document(&[deny("*")])});
        Change(at, name, json!({"request": request}))
    };
    let scp = |target: &str, then: Vec<ChainAct>| {
        let set_up = vec![of_scp(20, "UpdatePolicy", target), of_scp(21, "AttachPolicy", target)];
        [set_up, then].concat()
    };
    for (name, acts, expected) in [
        ("none", vec![key_allows()], (Some("c1"), &[][..], "shown")),
        ("an own one", vec![put_user_policy(20, "q", &[deny("*")]), key_allows()], (Some("c2"), &[], "possible")),
        (
            "an own one of another key",
            vec![put_user_policy(20, "q", &[deny(OTHER_KEY)]), key_allows()],
            (Some("c2"), &[], "shown"),
        ),
        (
            "an own one under a condition",
            vec![put_user_policy(20, "q", &[with(deny("*"), "Condition", mfa)]), key_allows()],
            (Some("c2"), &[], "shown"),
        ),
        (
            "an own one that is gone",
            vec![put_user_policy(20, "q", &[deny("*")]), key_allows(), delete_user_policy(600, "q")],
            (Some("c2"), &[], "shown"),
        ),
        (
            "an own one after the change",
            vec![key_allows(), put_user_policy(600, "q", &[deny("*")])],
            (Some("c1"), &[], "possible"),
        ),
        ("the key's", vec![put_key_policy(20, &[root(), key_denies(USER)]), grant()], (Some("c2"), &[], "possible")),
        (
            "the key's of another",
            vec![put_key_policy(20, &[root(), key_denies(ROLE)]), grant()],
            (Some("c2"), &[], "shown"),
        ),
        (
            "the boundary's",
            vec![create_policy(20, &[deny("*")]), bound(30), key_allows()],
            (Some("c3"), &[], "possible"),
        ),
        ("an attached SCP's", scp("111122223333", vec![key_allows()]), (Some("c3"), &[], "possible")),
        ("another account's SCP's", scp("444455556666", vec![key_allows()]), (Some("c3"), &[], "shown")),
        (
            "an SCP's that is detached",
            scp("111122223333", vec![key_allows(), of_scp(600, "DetachPolicy", "111122223333")]),
            (Some("c3"), &[], "shown"),
        ),
        ("one that is no boundary's", vec![create_policy(20, &[deny("*")]), key_allows()], (Some("c2"), &[], "shown")),
    ] {
        assert_claim_of_user(name, IMPLICIT, (&acts, expected));
    }
}

#[test]
fn last_refusals_of_one_second_for_two_reasons_forbid_proof() {
    for (name, acts, evidence) in [
        ("one reason", vec![Deny(300), DenyFor(400, "identity_policy"), Deny(400)], "shown"),
        ("two reasons", vec![Deny(300), DenyFor(400, "resource_policy"), Deny(400)], "possible"),
        ("two reasons before", vec![DenyFor(300, "resource_policy"), Deny(300), Deny(400)], "shown"),
        ("another reason a second before", vec![DenyFor(399, "resource_policy"), Deny(400)], "shown"),
    ] {
        let mut all = vec![put_key_policy(10, &[root()])];
        all.extend(acts);
        all.extend([put_key_policy(500, &[root(), named(ROLE)]), Allow(900)]);
        assert_claims(name, &story(IMPLICIT.0, IMPLICIT.1, &all), &[(Some("c1"), &[], evidence)]);
    }
}

#[test]
fn between_two_accounts_a_change_of_the_side_that_aws_names_is_shown() {
    const PARTNER: &str = "arn:aws:iam::444455556666:role/reader";
    let of_key = ("resource_policy", "implicit");
    let partner_root = || allow(json!({"AWS": "444455556666"}), "kms:*");
    let policy = |account: &str, at, statement: Value| {
        let request = json!({"roleName": "reader", "policyName": "p", "policyDocument": document(&[statement])});
        Change(at, "PutRolePolicy", json!({"account": account, "request": request}))
    };
    let iam = || vec![policy("444455556666", 20, own("s3:*", "*")), policy("444455556666", 500, own("kms:*", "*"))];
    let key = || vec![put_key_policy(500, &[root(), partner_root(), named(PARTNER)])];
    let grant = || vec![create_grant(500, "g", PARTNER, &["Decrypt"])];
    for (name, reason, acts, expected) in [
        ("the key's policy, as named", of_key, key(), (Some("c1"), &[][..], "shown")),
        ("the key's policy for IAM's", IMPLICIT, key(), (Some("c1"), &[], "possible")),
        ("a grant, as named", of_key, grant(), (Some("c1"), &[], "shown")),
        ("a grant for IAM's", IMPLICIT, grant(), (Some("c1"), &[], "possible")),
        ("IAM's, as named", IMPLICIT, iam(), (Some("c2"), &[], "shown")),
        ("IAM's for the key's", of_key, iam(), (Some("c2"), &[], "possible")),
        ("IAM's of the key's account", IMPLICIT, vec![policy("111122223333", 500, own("kms:*", "*"))], NOTHING),
    ] {
        let mut all = vec![put_key_policy(10, &[root(), partner_root()]), Deny(400)];
        all.extend(acts);
        all.push(Allow(900));
        assert_claims(name, &ToldRefusals { principal: PARTNER, ..story(reason.0, reason.1, &all) }, &[expected]);
    }
}

#[test]
fn a_change_for_a_role_that_is_made_anew_is_not_shown() {
    let role = |at, name, of: &str| Change(at, name, json!({"request": {"roleName": of}}));
    let anew = |from, to, of: &str| vec![role(from, "DeleteRole", of), role(to, "CreateRole", of)];
    for (name, made, evidence) in [
        ("never", vec![], "shown"),
        ("between", anew(600, 700, "reader"), "possible"),
        ("made alone", vec![role(700, "CreateRole", "reader")], "possible"),
        ("from the second of the change", anew(500, 700, "reader"), "possible"),
        ("in the second of the success", anew(900, 900, "reader"), "possible"),
        ("after the success", anew(901, 902, "reader"), "shown"),
        ("before the change", anew(420, 450, "reader"), "shown"),
        ("another role", anew(600, 700, "writer"), "shown"),
    ] {
        for change in [put_key_policy(500, &[root(), named(ROLE)]), create_grant(500, "g", ROLE, &["Decrypt"])] {
            let mut acts = vec![put_key_policy(10, &[root()]), Deny(400), change];
            acts.extend(made.iter().cloned());
            acts.push(Allow(900));
            let found = claims(&chains_of(&story(IMPLICIT.0, IMPLICIT.1, &acts)));
            assert_eq!(found.iter().map(|(_, _, evidence)| evidence).collect::<Vec<_>>(), [evidence], "{name}");
        }
    }
}

#[test]
fn a_change_by_the_same_person_needs_a_name_that_is_one_persons() {
    let (here, elsewhere) = ("arn:aws:iam::111122223333:role/admin", "arn:aws:iam::444455556666:role/admin");
    let (user, idc) = (USER, "idc:d-1234567890/ann");
    let (session, chain, identity) = ("sso_session_name", "chain", "source_identity");
    for (name, by, of_change, of_success, expected) in [
        ("one name in one account", here, ("ann", session), ("ann", session), Some("person")),
        ("one name in two accounts", elsewhere, ("ann", session), ("ann", session), None),
        ("one name from two sources", here, ("ann", session), ("ann", identity), None),
        ("two names", here, ("ann", session), ("bob", session), None),
        ("a user in two accounts", elsewhere, (user, chain), (user, "principal"), Some("person")),
        ("a user of Identity Center", elsewhere, (idc, "on_behalf_of"), (idc, chain), Some("person")),
        ("two users of Identity Center", here, (idc, chain), ("idc:d-0987654321/ann", chain), None),
        ("whoever has no account", "service:s3", ("ann", session), ("ann", session), None),
        ("itself", ROLE, ("ann", session), ("bob", identity), Some("principal")),
    ] {
        let request = json!({"policy": document(&[root(), named(ROLE)])});
        let members = json!({"request": request, "by": by, "person": of_change.0, "person_source": of_change.1});
        let acts = [put_key_policy(10, &[root()]), Deny(400), Change(500, "PutKeyPolicy", members), Allow(900)];
        let mut all = rows_of(&story(IMPLICIT.0, IMPLICIT.1, &acts));
        let success = all.refusals[0].success.as_mut().unwrap();
        success.person = Some(all.texts.put(of_success.0));
        success.person_source = Some(all.texts.put(of_success.1));
        let rows = Box::new(all).finish().unwrap();
        assert_eq!(rows["changed_by_self"].as_string::<i32>().iter().collect::<Vec<_>>(), [expected], "{name}");
    }
}

#[test]
fn a_later_refusal_that_names_no_key_forbids_proof() {
    let of_other_key: &[ToldClaim] = &[NOTHING, (Some("c1"), &[], "shown")];
    for (name, act, expected) in [
        ("after the change", DenyUnnamed(600, None), &[(Some("c1"), &[][..], "possible")][..]),
        ("in its second", DenyUnnamed(500, None), &[(Some("c1"), &[], "possible")]),
        ("of the table of the key", DenyUnnamed(899, Some(KEY)), &[(Some("c1"), &[], "possible")]),
        ("before the change", DenyUnnamed(450, None), &[(Some("c1"), &[], "shown")]),
        ("of a table of another key", DenyUnnamed(600, Some(OTHER_KEY)), of_other_key),
        ("after the success", DenyUnnamed(901, None), &[(Some("c1"), &[], "shown")]),
        ("for another reason", DenyUnnamedFor(450, "scp"), &[(Some("c1"), &[], "possible")]),
        ("for another reason before the last", DenyUnnamedFor(350, "scp"), &[(Some("c1"), &[], "shown")]),
    ] {
        let allowing = put_key_policy(500, &[root(), named(ROLE)]);
        let acts = [put_key_policy(10, &[root()]), Deny(300), Deny(400), allowing, act, Allow(900)];
        let found = claims(&chains_of(&story(IMPLICIT.0, IMPLICIT.1, &acts)));
        let evidence: Vec<&str> = found.iter().map(|(_, _, evidence)| evidence.as_str()).collect();
        let wanted: Vec<&str> = expected.iter().map(|(_, _, evidence)| *evidence).collect();
        assert_eq!(evidence, wanted, "{name}");
    }
}

#[test]
fn a_deny_is_gone_only_where_no_other_stands() {
    let deny = |resource: &str| with(own("kms:*", resource), "Effect", json!("Deny"));
    let condition = json!({"IpAddress": {"aws:SourceIp": "192.0.2.1/32"}});
    let maybe = || with(deny("*"), "Condition", condition.clone());
    let group = |at, name, members: Value| {
        let mut request = json!({"groupName": "readers"});
        request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Change(at, name, json!({"request": request}))
    };
    let of_group = |at, statement: Value| {
        group(at, "PutGroupPolicy", json!({"policyName": "p", "policyDocument": document(&[statement])}))
    };
    let join = group(22, "AddUserToGroup", json!({"userName": "analyst"}));
    let attach_user = |at, name| Change(at, name, json!({"request": {"userName": "analyst", "policyArn": POLICY}}));
    let (first, gone) = (put_user_policy(20, "p", &[deny("*")]), delete_user_policy(500, "p"));
    let but_s3 = || json!({"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"});
    for (name, acts, expected) in [
        ("alone", vec![first.clone(), gone.clone()], (Some("c2"), &[][..], "shown")),
        ("another one", vec![first.clone(), put_user_policy(21, "q", &[deny("*")]), gone.clone()], NOTHING),
        (
            "another one for another key",
            vec![first.clone(), put_user_policy(21, "q", &[deny(OTHER_KEY)]), gone.clone()],
            (Some("c3"), &[], "shown"),
        ),
        (
            "both are gone",
            vec![first.clone(), put_user_policy(21, "q", &[deny("*")]), gone.clone(), delete_user_policy(600, "q")],
            (Some("c4"), &["c3"], "shown"),
        ),
        (
            "another one under a condition",
            vec![first.clone(), put_user_policy(21, "q", &[maybe()]), gone.clone()],
            (Some("c3"), &[], "possible"),
        ),
        (
            "another one of all actions but some",
            vec![first.clone(), put_user_policy(21, "q", &[but_s3()]), gone.clone()],
            (Some("c3"), &[], "possible"),
        ),
        (
            "under a condition now",
            vec![first.clone(), put_user_policy(500, "p", &[maybe()])],
            (Some("c2"), &[], "possible"),
        ),
        ("a group's", vec![first.clone(), of_group(21, deny("*")), join.clone(), gone.clone()], NOTHING),
        (
            "that of a group that was left",
            vec![
                first.clone(),
                of_group(21, deny("*")),
                join.clone(),
                gone.clone(),
                group(600, "RemoveUserFromGroup", json!({"userName": "analyst"})),
            ],
            (Some("c5"), &["c4"], "possible"),
        ),
        (
            "that of another's group",
            vec![first.clone(), of_group(21, deny("*")), gone.clone()],
            (Some("c3"), &[], "shown"),
        ),
        (
            "an attached one",
            vec![create_policy(18, &[deny("*")]), attach_user(19, "AttachUserPolicy"), first.clone(), gone.clone()],
            NOTHING,
        ),
        (
            "one that was detached",
            vec![
                create_policy(17, &[deny("*")]),
                attach_user(18, "AttachUserPolicy"),
                attach_user(19, "DetachUserPolicy"),
                first.clone(),
                gone.clone(),
            ],
            (Some("c5"), &[], "shown"),
        ),
    ] {
        assert_claim_of_user(name, ("identity_policy", "explicit"), (&acts, expected));
    }
    let key_denies = |statement: Value| with(statement, "Effect", json!("Deny"));
    let acts = [
        put_key_policy(20, &[root(), key_denies(named(USER))]),
        put_key_policy(500, &[root(), with(key_denies(named(USER)), "Condition", condition.clone())]),
    ];
    assert_claim_of_user("a key's", ("resource_policy", "explicit"), (&acts, (Some("c2"), &[], "possible")));
}

#[test]
fn only_the_policy_that_aws_named_is_gone() {
    const OTHER: &str = "arn:aws:iam::111122223333:policy/other";
    const SCP: &str = "arn:aws:organizations::999988887777:policy/o-abcdefghij/service_control_policy/p-1";
    let deny = || with(own("kms:*", "*"), "Effect", json!("Deny"));
    let attach_user =
        |at, name, policy: &str| Change(at, name, json!({"request": {"userName": "analyst", "policyArn": policy}}));
    let scp =
        |at, name, policy: &str| Change(at, name, json!({"request": {"policyId": policy, "targetId": "111122223333"}}));
    let key_denies = with(named(USER), "Effect", json!("Deny"));
    let key_is_gone = [put_key_policy(20, &[root(), key_denies]), put_key_policy(500, &[root()])];
    let own_is_gone = [put_user_policy(20, "p", &[deny()]), delete_user_policy(500, "p")];
    let detached = [
        create_policy(20, &[deny()]),
        attach_user(21, "AttachUserPolicy", POLICY),
        attach_user(500, "DetachUserPolicy", POLICY),
    ];
    let unread = [attach_user(500, "DetachUserPolicy", OTHER)];
    let new = [
        create_policy(20, &[deny()]),
        attach_user(21, "AttachUserPolicy", POLICY),
        new_version(500, &[own("s3:*", "*")], VersionUse::Default),
    ];
    for (name, reason, named, acts, expected) in [
        ("an inline policy for a named one", "identity_policy", POLICY, &own_is_gone[..], NOTHING),
        ("the named one", "identity_policy", POLICY, &detached, (Some("c3"), &[][..], "shown")),
        ("its new version", "identity_policy", POLICY, &new, (Some("c3"), &[], "possible")),
        ("another one", "identity_policy", OTHER, &detached, NOTHING),
        ("one whose text is not here", "identity_policy", OTHER, &unread, (Some("c1"), &[], "possible")),
        ("one whose text is not here, not named", "identity_policy", POLICY, &unread, NOTHING),
        ("a key's for a named one of no kind", "unspecified", POLICY, &key_is_gone, NOTHING),
        ("the named one of no kind", "unspecified", POLICY, &detached, (Some("c3"), &[], "possible")),
        ("the named SCP", "scp", SCP, &[scp(500, "DetachPolicy", "p-1")], (Some("c1"), &[], "possible")),
        ("another SCP", "scp", SCP, &[scp(500, "DetachPolicy", "p-2")], NOTHING),
    ] {
        let mut all = vec![put_key_policy(10, &[root()]), Deny(300), Deny(400)];
        all.extend(acts.iter().cloned());
        all.push(Allow(900));
        let told = ToldRefusals { principal: USER, denied_by: Some(named), ..story(reason, "explicit", &all) };
        assert_claims(name, &told, &[expected]);
    }
}

#[test]
fn statements_that_say_what_they_do_not_mean_are_possible() {
    let but = |effect: &str, member: &str, value: &str| {
        let mut statement = json!({"Effect": effect, "Action": "kms:Decrypt", "Resource": "*"});
        if member == "NotAction" {
            statement.as_object_mut().unwrap().remove("Action");
        } else {
            statement.as_object_mut().unwrap().remove("Resource");
        }
        statement[member] = json!(value);
        statement
    };
    let scp = |at, name, statement: Option<Value>| {
        let content = statement.map(|statement| document(&[statement]));
        Change(
            at,
            name,
            json!({
            "request": {"policyId": "p-1", "targetId": "111122223333", "type": "SERVICE_CONTROL_POLICY", "content": content},
            "answer": {"policy": {"policySummary": {"id": "p-1"}}}}),
        )
    };
    let regions = json!({"StringNotEquals": {"aws:RequestedRegion": ["us-east-1"]}});
    let of_region = |value| with(but("Deny", "NotAction", value), "Condition", regions.clone());
    let boundary = Change(
        500,
        "PutUserPermissionsBoundary",
        json!({"request": {"userName": "analyst", "permissionsBoundary": POLICY}}),
    );
    let not_these = |principals: Value| json!({"Effect": "Deny", "NotPrincipal": {"AWS": principals}, "Action": "kms:*", "Resource": "*"});
    let second: ToldClaim = (Some("c2"), &[], "possible");
    for (name, why, acts, expected) in [
        (
            "an SCP for some Regions is detached",
            ("scp", "explicit"),
            vec![scp(20, "CreatePolicy", Some(of_region("iam:*"))), scp(500, "DetachPolicy", None)],
            second,
        ),
        (
            "an SCP that leaves KMS out is detached",
            ("scp", "explicit"),
            vec![scp(20, "CreatePolicy", Some(of_region("kms:*"))), scp(500, "DetachPolicy", None)],
            NOTHING,
        ),
        (
            "a boundary of all actions but some",
            ("permissions_boundary", "implicit"),
            vec![create_policy(20, &[but("Allow", "NotAction", "iam:*")]), boundary.clone()],
            second,
        ),
        (
            "a boundary of all actions but these",
            ("permissions_boundary", "implicit"),
            vec![create_policy(20, &[but("Allow", "NotAction", "kms:*")]), boundary],
            NOTHING,
        ),
        (
            "an own Deny is deleted",
            ("identity_policy", "explicit"),
            vec![put_user_policy(20, "p", &[but("Deny", "NotAction", "s3:*")]), delete_user_policy(500, "p")],
            second,
        ),
        (
            "an own Allow is added",
            IMPLICIT,
            vec![put_user_policy(20, "p", &[]), put_user_policy(500, "p", &[but("Allow", "NotAction", "iam:*")])],
            second,
        ),
        (
            "an own Allow of all resources but some",
            IMPLICIT,
            vec![
                put_user_policy(20, "p", &[]),
                put_user_policy(500, "p", &[but("Allow", "NotResource", "arn:aws:s3:::x")]),
            ],
            second,
        ),
        (
            "an own Allow of all resources but the key",
            IMPLICIT,
            vec![put_user_policy(20, "p", &[]), put_user_policy(500, "p", &[but("Allow", "NotResource", KEY)])],
            NOTHING,
        ),
        (
            "an Allow of the action itself beside one that may mean it",
            IMPLICIT,
            vec![
                put_user_policy(20, "p", &[but("Allow", "NotAction", "iam:*")]),
                put_user_policy(500, "p", &[but("Allow", "NotAction", "iam:*"), own("kms:Decrypt", KEY)]),
            ],
            second,
        ),
        (
            "a key's Deny of all principals but some",
            ("resource_policy", "explicit"),
            vec![put_key_policy(20, &[root(), not_these(json!(ROLE))]), put_key_policy(500, &[root()])],
            second,
        ),
        (
            "a key's Deny of all principals but this one",
            ("resource_policy", "explicit"),
            vec![
                put_key_policy(20, &[root(), not_these(json!([USER, "111122223333"]))]),
                put_key_policy(500, &[root()]),
            ],
            NOTHING,
        ),
        (
            "a key's Deny that leaves this one out as well now",
            ("resource_policy", "explicit"),
            vec![
                put_key_policy(20, &[root(), not_these(json!(ROLE))]),
                put_key_policy(500, &[root(), not_these(json!([ROLE, USER, "111122223333"]))]),
            ],
            second,
        ),
    ] {
        assert_claim_of_user(name, why, (&acts, expected));
    }
}

#[test]
fn a_resource_control_policy_binds_the_account_of_the_key() {
    for (target, expected) in [("111122223333", (Some("c0"), &[][..], "possible")), ("444455556666", NOTHING)] {
        let request = json!({"policyId": "p-1", "targetId": target});
        let acts = [Deny(400), Change(500, "DetachPolicy", json!({"request": request})), Allow(900)];
        let partner = "arn:aws:iam::444455556666:user/ben";
        let told = ToldRefusals { principal: partner, ..story("rcp", "explicit", &acts) };
        assert_claims(target, &told, &[expected]);
    }
}

#[test]
fn a_federated_user_is_named_by_its_session() {
    let bob = "arn:aws:sts::111122223333:federated-user/bob";
    let shown: ToldClaim = (Some("c1"), &[], "shown");
    for (name, change, expected) in [
        ("a key's policy", put_key_policy(500, &[root(), named(bob)]), shown),
        ("a grant", create_grant(500, "g", bob, &["Decrypt"]), shown),
        ("another user", put_key_policy(500, &[root(), named(&bob.replace("bob", "eve"))]), NOTHING),
        ("another user's grant", create_grant(500, "g", &bob.replace("bob", "eve"), &["Decrypt"]), NOTHING),
        ("another account's", put_key_policy(500, &[root(), named(&bob.replace("1111", "4444"))]), NOTHING),
    ] {
        let acts = [put_key_policy(10, &[root()]), Deny(400), change, Allow(900)];
        let principal = "federated:arn:aws:iam::111122223333:user/team/alice/bob";
        assert_claims(name, &ToldRefusals { principal, ..story("resource_policy", "implicit", &acts) }, &[expected]);
    }
}

#[test]
fn a_session_of_a_federated_user_is_begun_by_its_issuer() {
    let begin = |at: i64, issuer: &str, name: &str| {
        let members = json!({
            "by": format!("arn:aws:iam::111122223333:user/{issuer}"),
            "request": {"name": name},
            "answer": {"federatedUser": {"federatedUserId": format!("111122223333:{name}")}},
        });
        Change(at, "GetFederationToken", members)
    };
    let (alice, account) = ("federated:arn:aws:iam::111122223333:user/alice/bob", "federated:111122223333/bob");
    for (name, principal, changes, expected) in [
        ("by its issuer", alice, vec![begin(500, "alice", "bob")], (Some("c0"), &[][..], "possible")),
        (
            "by its issuer before another user's",
            alice,
            vec![begin(500, "alice", "bob"), begin(600, "eve", "bob")],
            (Some("c0"), &[], "possible"),
        ),
        ("by another user", alice, vec![begin(500, "eve", "bob")], NOTHING),
        ("of another name", alice, vec![begin(500, "alice", "eve")], NOTHING),
        ("after the success", alice, vec![begin(950, "alice", "bob")], NOTHING),
        ("by an issuer that is not told", account, vec![begin(500, "eve", "bob")], (Some("c0"), &[], "possible")),
    ] {
        let acts: Vec<ChainAct> = [Deny(400)].into_iter().chain(changes).chain([Allow(900)]).collect();
        let refusals = ToldRefusals { principal, ..story("session_policy", "implicit", &acts) };
        assert_claims(name, &refusals, &[expected]);
    }
}

#[test]
fn two_answers_of_one_second_that_differ_tell_nothing() {
    let texts = || {
        let mut texts = TextPool::default();
        let key = texts.put(KEY);
        (texts, key)
    };
    for (answers, is_known) in
        [(&["p"][..], true), (&["p", "p"], true), (&["p", "q"], false), (&["q", "p"], false), (&["p", "q", "q"], false)]
    {
        let ((mut texts, key), mut changes) = (texts(), LoggedChanges::default());
        answers.iter().for_each(|answer| changes.add_told(key, micros(10), answer));
        let history = AccessHistory::of(changes, &mut texts);
        let told = history.value_before(AccessPlace::KeyPolicy(key), 11);
        assert_eq!(matches!(told, PlaceValue::Document(_)), is_known, "{answers:?} {told:?}");
    }
}

#[test]
fn many_other_changes_are_the_last_ones() {
    let mut acts = vec![put_key_policy(10, &[root()]), Deny(400)];
    acts.extend((0..300).map(|number| create_grant(500 + number, &format!("g{number}"), ROLE, &["Decrypt"])));
    acts.extend((0..50).map(|number| {
        let request = json!({"roleName": "reader", "policyName": format!("p{number}"), "policyDocument": document(&[own("kms:*", "*")])});
        Change(850 + number, "PutRolePolicy", json!({"request": request}))
    }));
    acts.push(Allow(1000));
    let (named, others, _) = claims(&chains_of(&story(IMPLICIT.0, IMPLICIT.1, &acts))).remove(0);
    let expected: Vec<String> = (150..350).map(|number| format!("c{number}")).collect();
    assert_eq!((named.as_deref(), others), (Some("c350"), expected));
}

/// Users and keys of many runs that all span the same changes.
#[derive(Clone, Copy)]
enum OverlappingRuns {
    /// Of the user, each on a key of its own.
    Keys,
    /// Of a user each, on one key.
    Users,
    /// The same, each user in an account of its own.
    Accounts,
}

/// The looks at changes that so many runs took, and the number of runs with a named change.
fn overlapping(
    (runs, many): (OverlappingRuns, i64),
    why: (&'static str, &'static str),
    acts: &[ChainAct],
) -> [usize; 2] {
    let mut all = rows_of(&ToldRefusals { principal: USER, ..story(why.0, why.1, acts) });
    for number in 0..many {
        let (account, user, key) = match runs {
            OverlappingRuns::Keys => ("111122223333".to_owned(), "analyst".to_owned(), numbered_key(number)),
            OverlappingRuns::Users => ("111122223333".to_owned(), format!("user-{number}"), KEY.to_owned()),
            OverlappingRuns::Accounts => {
                (format!("{:012}", 500_000_000_000 + number), "ann".to_owned(), KEY.to_owned())
            }
        };
        let of_one =
            ToldRefusals { principal: USER, ..story(why.0, why.1, &[Deny(1000 + number), Allow(100_000 + number)]) };
        let mut refused = rows_of(&of_one).refusals.remove(0);
        let texts = &mut all.texts;
        refused.principal = texts.put(&format!("arn:aws:iam::{account}:user/{user}"));
        refused.operation = texts.put("Decrypt");
        refused.action = Some(texts.put("kms:Decrypt"));
        refused.key = Some(texts.put(&key));
        refused.reason = Some(texts.put(why.0));
        refused.effect = Some(texts.put(why.1));
        refused.account = Some(texts.put(&account));
        let nothing = |of: &mut Option<PooledText>| *of = None;
        let success = refused.success.as_mut().unwrap();
        success.id = PackedEventId::of(&format!("a{number}"));
        [&mut success.table_arn, &mut success.table_name, &mut success.via_service].into_iter().for_each(nothing);
        [&mut success.account, &mut success.principal_id, &mut success.endpoint].into_iter().for_each(nothing);
        all.refusals.push(refused);
    }
    let before = crate::testing::looks();
    let found = claims(&Box::new(all).finish().unwrap());
    let named = found.iter().filter(|(named, ..)| named.is_some()).count();
    [crate::testing::looks() - before, named]
}

fn numbered_key(number: i64) -> String {
    format!("arn:aws:kms:eu-west-1:111122223333:key/{number:08}-12ab-34cd-56ef-1234567890ab")
}

fn put_group_policy(at: i64, number: i64, statement: Value) -> ChainAct {
    let request =
        json!({"groupName": "readers", "policyName": format!("p{number}"), "policyDocument": document(&[statement])});
    Change(at, "PutGroupPolicy", json!({"request": request}))
}

/// A policy of Organizations that is made, and attached to a target.
fn attached_scp(at: i64, number: i64, (target, statement): (String, Value)) -> [ChainAct; 2] {
    let (id, kind) = (format!("p-{number}"), "SERVICE_CONTROL_POLICY");
    let made = json!({
        "request": {"type": kind, "content": document(&[statement])},
        "answer": {"policy": {"policySummary": {"id": id, "type": kind}}},
    });
    let attached = json!({"request": {"policyId": id, "targetId": target}});
    [Change(at, "CreatePolicy", made), Change(at + 1, "AttachPolicy", attached)]
}

#[test]
fn runs_that_span_the_same_changes_do_not_look_at_all_of_them() {
    use OverlappingRuns::{Accounts, Keys, Users};
    const IMPLICIT_SCP: (&str, &str) = ("scp", "implicit");
    const DENIED: (&str, &str) = ("identity_policy", "explicit");
    type OneOfMany<'a> = &'a dyn Fn(i64) -> Vec<ChainAct>;
    let put = |at: i64, number: i64, statement: Value| put_user_policy(at, &format!("p{number}"), &[statement]);
    let deny = |resource: &str| with(own("kms:*", resource), "Effect", json!("Deny"));
    let maybe = || with(deny("*"), "Condition", json!({"IpAddress": {"aws:SourceIp": "192.0.2.1/32"}}));
    // One Deny of all keys that is deleted while the others stand.
    let last_deny = || [put_user_policy(20, "all", &[deny("*")]), delete_user_policy(50_000, "all")];
    let of_buckets: OneOfMany<'_> =
        &|number| vec![put(10_000 + number, number, own("s3:GetObject", &format!("arn:aws:s3:::b{number}")))];
    let of_each_key: OneOfMany<'_> = &|number| vec![put(10_000 + number, number, own("kms:*", &numbered_key(number)))];
    let of_a_pattern: OneOfMany<'_> = &|number| {
        let pattern = format!("arn:aws:kms:*:111122223333:key/{number:08}*");
        vec![put(10_000 + number, number, own("kms:*", &pattern))]
    };
    let of_all_keys: OneOfMany<'_> = &|number| vec![put(10_000 + number, number, own("kms:*", "*"))];
    let put_again: OneOfMany<'_> =
        &|number| [20, 10_000].map(|at| put(at + number, number, own("kms:*", "*"))).to_vec();
    let taken_back: OneOfMany<'_> = &|number| {
        vec![
            put(10_000 + number, number, own("kms:*", "*")),
            delete_user_policy(20_000 + number, &format!("p{number}")),
        ]
    };
    let denials_of_others: OneOfMany<'_> =
        &|number| vec![put(100 + number, number, deny(&format!("{}0", numbered_key(number))))];
    let denials_of_each: OneOfMany<'_> = &|number| vec![put(100 + number, number, deny(&numbered_key(number)))];
    let denials_maybe: OneOfMany<'_> = &|number| vec![put(100 + number, number, maybe())];
    let of_group: OneOfMany<'_> = &|number| {
        let user = format!("user-{number}");
        let join = json!({"request": {"groupName": "readers", "userName": user}});
        vec![Change(20, "AddUserToGroup", join), put_group_policy(10_000 + number, number, own("s3:*", "*"))]
    };
    let of_group_for_kms: OneOfMany<'_> = &|number| {
        let user = format!("user-{number}");
        let join = json!({"request": {"groupName": "readers", "userName": user}});
        vec![Change(20, "AddUserToGroup", join), put_group_policy(10_000 + number, number, own("kms:*", "*"))]
    };
    let scps = |target: &dyn Fn(i64) -> String, number: i64, action: &str| {
        attached_scp(10_000 + 2 * number, number, (target(number), own(action, "*"))).to_vec()
    };
    let unit = |number: i64| format!("ou-abcd-{number}");
    let account = |number: i64| format!("{:012}", 500_000_000_000 + number);
    let scps_of_buckets: OneOfMany<'_> = &|number| scps(&unit, number, "s3:*");
    let scps_of_kms: OneOfMany<'_> = &|number| scps(&unit, number, "kms:*");
    let scps_of_accounts: OneOfMany<'_> = &|number| scps(&account, number, "kms:*");
    for (name, runs, why, one, share) in [
        ("policies about buckets", Keys, IMPLICIT, of_buckets, 0),
        ("a policy for each key", Keys, IMPLICIT, of_each_key, 1),
        ("a pattern for each key", Keys, IMPLICIT, of_a_pattern, 1),
        ("policies for all keys", Keys, IMPLICIT, of_all_keys, 1),
        ("policies that are put again", Keys, IMPLICIT, put_again, 0),
        ("policies that are taken back", Keys, IMPLICIT, taken_back, 0),
        ("Denies of other keys", Keys, DENIED, denials_of_others, 1),
        ("a Deny of each key", Keys, DENIED, denials_of_each, 0),
        ("Denies under a condition", Keys, DENIED, denials_maybe, 1),
        ("a group's policies about buckets", Users, IMPLICIT, of_group, 0),
        ("a group's policies for all keys", Users, IMPLICIT, of_group_for_kms, 1),
        ("SCPs about buckets", Users, IMPLICIT_SCP, scps_of_buckets, 0),
        ("SCPs for all keys", Users, IMPLICIT_SCP, scps_of_kms, 1),
        ("an SCP for each account", Accounts, IMPLICIT_SCP, scps_of_accounts, 1),
    ] {
        let [looks, twice] = [300, 600].map(|many| {
            let last = if why == DENIED { last_deny().to_vec() } else { Vec::new() };
            let acts: Vec<ChainAct> = last.into_iter().chain((0..many).flat_map(one)).collect();
            let [looks, named] = overlapping((runs, many), why, &acts);
            assert_eq!(named as i64, share * many, "{name}");
            looks
        });
        // Of each run, no more changes are told than are kept.
        assert!(twice <= 5 * looks / 2, "{name}: {looks} looks, of twice as many {twice}");
    }
}

#[test]
fn many_runs_and_changes_take_no_longer_than_there_are() {
    const RUNS: i64 = 20_000;
    let put = |at: i64, number: i64, statement: Value| {
        let request =
            json!({"roleName": "reader", "policyName": format!("p{number}"), "policyDocument": document(&[statement])});
        Change(at, "PutRolePolicy", json!({"request": request}))
    };
    let delete = |at: i64, number: i64| {
        Change(at, "DeleteRolePolicy", json!({"request": {"roleName": "reader", "policyName": format!("p{number}")}}))
    };
    type RunActs<'a> = &'a dyn Fn(i64, i64) -> Vec<ChainAct>;
    let grants: RunActs<'_> =
        &|at, number| vec![Deny(at), create_grant(at + 1, &format!("g{number}"), ROLE, &["Decrypt"])];
    let policies: RunActs<'_> = &|at, number| vec![Deny(at), put(at + 1, number, own("kms:Decrypt", "*"))];
    let denials: RunActs<'_> = &|at, number| {
        vec![put(at, number, with(own("kms:*", "*"), "Effect", json!("Deny"))), Deny(at + 1), delete(at + 2, number)]
    };
    for (reason, effect, acts) in [
        ("resource_policy", "implicit", grants),
        ("identity_policy", "implicit", policies),
        ("identity_policy", "explicit", denials),
    ] {
        let all: Vec<ChainAct> = (0..RUNS)
            .flat_map(|number| {
                let at = 1000 * (number + 1);
                acts(at, number).into_iter().chain([Allow(at + 9)])
            })
            .collect();
        let found = claims(&chains_of(&story(reason, effect, &all)));
        assert_eq!(found.iter().filter(|(named, ..)| named.is_some()).count(), 20_000);
    }
}
