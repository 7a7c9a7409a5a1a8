//! The rows that keytrail must give of a world, and how they are compared with those that it gives.
//! In: the books of the model. Out: rows by view, and the differences in words.
//! Never asks keytrail for what is true: the contract decides a column, and a column that it leaves open is not here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::actors::{WorldKey, WorldTable, iso};
use super::documents::{difference, newly_allowed};
use super::model::{CallFact, GrantFact, KeyNaming, KmsAnswer, PlantedWorld};

pub type TruthRow = Map<String, Value>;

/// A view, and how its rows are told apart.
pub struct ViewShape {
    pub view: &'static str,
    pub keys: &'static [&'static str],
    /// Columns whose list has no order that the contract fixes.
    pub sets: &'static [&'static str],
    /// Columns in which no list is as good as an empty one.
    pub optional: &'static [&'static str],
    /// What stands behind the name of the view.
    pub filter: &'static str,
}

const fn shape(view: &'static str, keys: &'static [&'static str]) -> ViewShape {
    ViewShape { view, keys, sets: &[], optional: &[], filter: "" }
}

pub const KEY_USE: &str = "(SELECT principal, key_arn, count(*) AS calls FROM key_use GROUP BY 1, 2)";
pub const OBJECTS: &str = "(SELECT sum(records) AS records, sum(kept) AS kept, sum(duplicate) AS duplicate, \
                           sum(filtered) AS filtered FROM objects)";

/// Every view that the model knows the truth of.
pub static SHAPES: [ViewShape; 17] = [
    ViewShape {
        sets: &["allows_kms"],
        filter: "WHERE event_name IN ('PutUserPolicy', 'PutRolePolicy', 'PutGroupPolicy', 'AddUserToGroup', \
                 'RemoveUserFromGroup', 'AttachUserPolicy', 'AttachRolePolicy')",
        ..shape("access_changes", &["event_id"])
    },
    ViewShape {
        optional: &["other_changes"],
        ..shape("access_chains", &["principal", "key_arn", "operation", "allowed_event_id"])
    },
    ViewShape {
        filter: "WHERE hour < timestamp '2026-03-04T00:00:00Z'",
        ..shape("coverage", &["account_id", "region", "hour"])
    },
    shape("denials", &["event_id"]),
    shape("dynamodb_access_windows", &["principal", "table_arn", "key_arn", "started"]),
    shape("dynamodb_key_use_by_principal", &["principal", "table_arn", "key_arn"]),
    ViewShape { sets: &["operations"], ..shape("grants", &["key_arn", "grant_id"]) },
    shape("key_aliases", &["alias_arn", "key_arn", "valid_from"]),
    ViewShape { filter: "WHERE event_type = 'AwsApiCall'", ..shape("key_changes", &["event_id"]) },
    ViewShape {
        sets: &["added", "removed", "changed", "newly_allows"],
        ..shape("key_policies", &["key_arn", "set_event_id"])
    },
    shape("key_rotations", &["key_arn", "event_id"]),
    shape("key_states", &["key_arn", "valid_from"]),
    shape(KEY_USE, &["principal", "key_arn"]),
    shape("keys", &["key_arn"]),
    shape(OBJECTS, &[]),
    ViewShape {
        optional: &["chain", "source_ips"],
        filter: "WHERE calls > 0",
        ..shape("role_sessions", &["principal_id", "session_created"])
    },
    shape("table_keys", &["table_arn", "key_arn", "valid_from"]),
];

#[derive(Clone, Default)]
pub struct WorldTruth {
    rows: BTreeMap<&'static str, Vec<TruthRow>>,
    /// Rows of a view that the contract leaves open, by a column and its value.
    open: Vec<(&'static str, &'static str, String)>,
}

/// An object of a row, from a list of columns.
pub fn row(value: Value) -> TruthRow {
    match value {
        Value::Object(row) => row,
        other => panic!("a row is an object, not {other}"),
    }
}

impl WorldTruth {
    pub fn add(&mut self, view: &'static str, of: Value) {
        assert!(SHAPES.iter().any(|shape| shape.view == view), "{view} has no shape");
        self.rows.entry(view).or_default().push(row(of));
    }

    pub fn leave_open(&mut self, view: &'static str, column: &'static str, value: &str) {
        self.open.push((view, column, value.to_owned()));
    }

    /// Takes columns out of the rows of a view.
    pub fn forget(&mut self, view: &str, columns: &[String]) {
        for row in self.rows.get_mut(view).into_iter().flatten() {
            row.retain(|column, _| !columns.contains(column));
        }
    }

    /// The truth of one view, of some of its rows alone.
    pub fn only(&self, view: &'static str, keep: impl Fn(&TruthRow) -> bool) -> WorldTruth {
        let rows = self.rows(view).iter().filter(|row| keep(row)).cloned().collect();
        WorldTruth { rows: BTreeMap::from([(view, rows)]), open: self.open.clone() }
    }

    /// True if the contract leaves open what this row is.
    pub fn is_open(&self, view: &str, row: &TruthRow) -> bool {
        let mut of_view = self.open.iter().filter(|(open, ..)| *open == view);
        of_view.any(|(_, column, value)| row.get(*column).and_then(Value::as_str) == Some(value))
    }

    pub fn rows(&self, view: &str) -> &[TruthRow] {
        self.rows.get(view).map_or(&[], Vec::as_slice)
    }

    /// The question for a view: every column that some row has.
    pub fn question(&self, shape: &ViewShape) -> String {
        let open = self.open.iter().filter(|(view, ..)| *view == shape.view).map(|(_, column, _)| (*column).to_owned());
        let columns: BTreeSet<String> =
            self.rows(shape.view).iter().flat_map(|row| row.keys().cloned()).chain(open).collect();
        let columns: Vec<String> = columns.into_iter().collect();
        format!("SELECT {} FROM {} {}", columns.join(", "), shape.view, shape.filter)
    }

    /// Every difference between the truth and an answer, as sentences; a column that a row of the truth lacks is open.
    pub fn differences(&self, shape: &ViewShape, answer: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut given: BTreeMap<String, &TruthRow> = BTreeMap::new();
        for row in answer.iter().filter_map(Value::as_object).filter(|row| !self.is_open(shape.view, row)) {
            if given.insert(key_of(shape, row), row).is_some() {
                wrong.push(format!("{} has two rows of {}", shape.view, key_of(shape, row)));
            }
        }
        for row in self.rows(shape.view) {
            match given.remove(&key_of(shape, row)) {
                None => wrong.push(format!("{} lacks {}", shape.view, Value::Object(row.clone()))),
                Some(got) => wrong.extend(column_differences(shape, row, got)),
            }
        }
        wrong.extend(given.values().map(|row| format!("{} claims {}", shape.view, Value::Object((*row).clone()))));
        wrong
    }
}

pub fn key_of(shape: &ViewShape, row: &TruthRow) -> String {
    let parts = shape.keys.iter().map(|column| row.get(*column).unwrap_or(&Value::Null).to_string());
    parts.collect::<Vec<_>>().join(" ")
}

fn column_differences(shape: &ViewShape, truth: &TruthRow, got: &TruthRow) -> Vec<String> {
    let differs = |(column, want): &(&String, &Value)| {
        let have = got.get(*column).unwrap_or(&Value::Null);
        let (want, have) = (settled(shape, column, want), settled(shape, column, have));
        (want != have).then(|| format!("{} {}: {column} is {have}, not {want}", shape.view, key_of(shape, truth)))
    };
    truth.iter().filter_map(|pair| differs(&pair)).collect()
}

fn settled(shape: &ViewShape, column: &str, value: &Value) -> Value {
    let mut value = value.clone();
    if let (true, Some(items)) = (shape.sets.contains(&column), value.as_array_mut()) {
        items.sort_by_key(Value::to_string);
    }
    if shape.optional.contains(&column) && value == json!([]) { Value::Null } else { value }
}

/// Fills in the rows that follow from all that was planted.
pub fn conclude(world: &mut PlantedWorld) {
    world.calls.sort_by_key(|call| call.receipt.time);
    world.changes.sort_by_key(|change| change.receipt.time);
    let mut truth = std::mem::take(&mut world.truth);
    add_denials(world, &mut truth);
    add_key_use(world, &mut truth);
    add_windows(world, &mut truth);
    add_sessions(world, &mut truth);
    world.grants.iter().for_each(|grant| add_grant(world, grant, &mut truth));
    add_policies(world, &mut truth);
    add_states(world, &mut truth);
    add_tables(world, &mut truth);
    add_coverage(world, &mut truth);
    add_keys(world, &mut truth);
    add_key_changes(world, &mut truth);
    world.truth = truth;
}

fn add_denials(world: &PlantedWorld, truth: &mut WorldTruth) {
    let mut successes: BTreeMap<(&str, &str, &str), Vec<&CallFact>> = BTreeMap::new();
    for call in world.calls.iter().filter(|call| call.answer == KmsAnswer::Done) {
        let key = call.key.as_ref().map_or("", |key| key.arn.as_str());
        successes.entry((&call.who.principal, &call.operation, key)).or_default().push(call);
    }
    for call in &world.calls {
        let KmsAnswer::Refused(reason, naming) = call.answer else { continue };
        let mut of = row(json!({
            "event_id": call.receipt.event_id, "principal": call.who.principal, "event_name": call.operation,
            "denial_reason": reason.column, "denial_effect": reason.effect,
            "key_arn": call.key.as_ref().map(|key| &key.arn),
        }));
        if naming == KeyNaming::Key {
            let key = call.key.as_ref().expect("it names its key").arn.as_str();
            let all = successes.get(&(call.who.principal.as_str(), call.operation.as_str(), key));
            let after = all.and_then(|all| all.iter().find(|later| later.receipt.time > call.receipt.time));
            of.insert("first_success_after".to_owned(), json!(after.map(|after| iso(after.receipt.time))));
            of.insert("first_success_event_id".to_owned(), json!(after.map(|after| &after.receipt.event_id)));
        }
        if let Some(change) = nearest_change(world, call) {
            of.extend(change);
        }
        truth.add("denials", Value::Object(of));
    }
}

fn add_keys(world: &PlantedWorld, truth: &mut WorldTruth) {
    let mut calls: BTreeMap<&str, Vec<&CallFact>> = BTreeMap::new();
    for call in &world.calls {
        if let Some(key) = &call.key {
            calls.entry(&key.arn).or_default().push(call);
        }
    }
    for (key_arn, calls) in calls {
        let uses: Vec<i64> = calls
            .iter()
            .filter(|call| call.is_crypto && call.answer == KmsAnswer::Done)
            .map(|call| call.receipt.time)
            .collect();
        let count = |of: fn(&KmsAnswer) -> bool| calls.iter().filter(|call| of(&call.answer)).count();
        let created = calls.iter().find(|call| call.operation == "CreateKey").map(|call| iso(call.receipt.time));
        let mut of = row(json!({
            "key_arn": key_arn, "uses": uses.len(), "denied": count(|answer| matches!(answer, KmsAnswer::Refused(..))),
            "failed": count(|answer| *answer == KmsAnswer::Disabled), "first_use": uses.first().copied().map(iso),
            "last_use": uses.last().copied().map(iso), "created_at": created,
        }));
        let states = world.states.iter().filter(|change| change.key.arn == key_arn);
        if let Some(last) = states.max_by_key(|change| change.receipt.time) {
            // A bad hour may hide another change; a use shows that the key was still enabled.
            let is_used = last.state == "Enabled";
            let proved = uses.last().copied().filter(|_| is_used).max(Some(last.receipt.time));
            let is_told = world.odd.shown_bad_until(last.key.account).is_none_or(|until| Some(until) <= proved);
            of.insert("state".to_owned(), json!(is_told.then_some(&last.state)));
        }
        truth.add("keys", Value::Object(of));
    }
}

/// The calls that change a key, with the person behind each.
fn add_key_changes(world: &PlantedWorld, truth: &mut WorldTruth) {
    for call in world.calls.iter().filter(|call| !call.is_crypto && call.operation != "DescribeKey") {
        truth.add(
            "key_changes",
            json!({
                "event_id": call.receipt.event_id, "change": call.operation, "changed_by": call.who.principal,
                "person": call.who.person.as_ref().map(|person| &person.0),
                "person_source": call.who.person.as_ref().map(|person| person.1),
            }),
        );
    }
}

/// The last change before a refusal that bears on its key or its principal. `CreateKey`, which gives a key both its
/// policy and its state, is left open, and so are two changes of one second.
fn nearest_change(world: &PlantedWorld, call: &CallFact) -> Option<TruthRow> {
    let key = call.key.as_ref().map(|key| key.arn.as_str());
    let bears = |change: &&super::model::ChangeFact| {
        change.receipt.time < call.receipt.time
            && (change.key.is_some() && change.key.as_deref() == key
                || change.target.as_deref() == Some(call.who.principal.as_str()))
    };
    let mut all = world.changes.iter().rev().filter(bears);
    let (last, before) = (all.next(), all.next());
    match (last, before) {
        (None, _) => Some(row(json!({"nearest_change_event_id": null, "nearest_change": null}))),
        (Some(last), _) if last.name == "CreateKey" => None,
        (Some(last), Some(before)) if last.receipt.time == before.receipt.time => None,
        (Some(last), _) => Some(row(json!({
            "nearest_change_event_id": last.receipt.event_id, "nearest_change": last.name,
            "nearest_changed_at": iso(last.receipt.time), "nearest_changed_by": last.by,
        }))),
    }
}

fn add_key_use(world: &PlantedWorld, truth: &mut WorldTruth) {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for call in world.calls.iter().filter(|call| call.is_crypto && call.answer == KmsAnswer::Done) {
        let key = call.key.as_ref().expect("a success has a key");
        *counts.entry((&call.who.principal, &key.arn)).or_default() += 1;
    }
    for ((principal, key_arn), calls) in counts {
        truth.add(KEY_USE, json!({"principal": principal, "key_arn": key_arn, "calls": calls}));
    }
}

fn add_windows(world: &PlantedWorld, truth: &mut WorldTruth) {
    let mut times: BTreeMap<(&str, &str, &str), Vec<i64>> = BTreeMap::new();
    for call in world.calls.iter().filter(|call| call.answer == KmsAnswer::Done) {
        if let (Some(table), Some(key)) = (&call.table, &call.key) {
            times.entry((&call.who.principal, &table.arn, &key.arn)).or_default().push(call.receipt.time);
        }
    }
    for ((principal, table_arn, key_arn), times) in times {
        let windows: Vec<&[i64]> = times.chunk_by(|before, after| after - before <= 360).collect();
        for window in &windows {
            let (started, ended) = (window[0], window[window.len() - 1]);
            truth.add(
                "dynamodb_access_windows",
                json!({
                    "principal": principal, "table_arn": table_arn, "key_arn": key_arn,
                    "table_name": table_arn.rsplit('/').next(), "started": iso(started), "ended": iso(ended),
                    "open_until": iso(ended + 300), "key_calls": window.len(),
                }),
            );
        }
        truth.add(
            "dynamodb_key_use_by_principal",
            json!({
                "principal": principal, "table_arn": table_arn, "key_arn": key_arn, "calls": times.len(),
                "first_seen": iso(times[0]), "last_seen": iso(times[times.len() - 1]), "windows": windows.len(),
            }),
        );
    }
}

fn add_sessions(world: &PlantedWorld, truth: &mut WorldTruth) {
    let mut sessions: BTreeMap<(String, i64), Vec<&CallFact>> = BTreeMap::new();
    for call in &world.calls {
        if let Some(session) = &call.who.session {
            sessions.entry((call.who.principal_id(), session.created)).or_default().push(call);
        }
    }
    for ((principal_id, created), calls) in sessions {
        let (who, first, last) = (&calls[0].who, calls[0], calls[calls.len() - 1]);
        let addresses: BTreeSet<&str> =
            calls.iter().filter(|call| call.via.is_none()).map(|call| call.who.address.as_str()).collect();
        let is_refused = |call: &&&CallFact| matches!(call.answer, KmsAnswer::Refused(..));
        let keys = |all: &[&CallFact]| {
            all.iter().filter_map(|call| call.key.as_ref()).map(|key| key.arn.clone()).collect::<BTreeSet<_>>()
        };
        let used: Vec<&CallFact> = calls.iter().filter(|call| call.answer == KmsAnswer::Done).copied().collect();
        let tables: BTreeSet<&str> =
            calls.iter().filter_map(|call| call.table.as_ref()).map(|table| table.arn.as_str()).collect();
        let mut of = row(json!({
            "principal_id": principal_id, "session_created": iso(created), "principal": who.principal,
            "session_name": who.session.as_ref().map(|session| &session.name), "session_arn": who.caller_arn(),
            "assumed_by": who.origin.chain.last(), "assumed_by_event_id": who.origin.event_id,
            "chain": who.origin.chain, "person": who.person.as_ref().map(|person| &person.0),
            "person_source": who.person.as_ref().map(|person| person.1),
            "source_ips": addresses, "calls": calls.len(), "denied": calls.iter().filter(is_refused).count(),
            "first_seen": iso(first.receipt.time), "last_seen": iso(last.receipt.time),
        }));
        // A grant with a table's context names a table that the session need not have used.
        if !calls.iter().any(|call| call.operation == "CreateGrant") {
            of.insert("tables".to_owned(), json!(tables.len()));
        }
        // A refusal that names a key does not say whether the session has to do with it.
        if keys(&calls) == keys(&used) {
            of.insert("keys".to_owned(), json!(keys(&used).len()));
        }
        truth.add("role_sessions", Value::Object(of));
    }
}

fn add_grant(world: &PlantedWorld, grant: &GrantFact, truth: &mut WorldTruth) {
    let mut of = row(json!({
        "key_arn": grant.key.arn, "grant_id": grant.grant_id,
        "created_at": grant.created.as_ref().map(|(receipt, ..)| iso(receipt.time)),
        "created_by": grant.created.as_ref().map(|(_, by, _)| by),
        "create_event_id": grant.created.as_ref().map(|(receipt, ..)| &receipt.event_id),
        "created_via": grant.created.as_ref().and_then(|(.., via)| *via),
        "ended_at": grant.ended.as_ref().map(|(receipt, ..)| iso(receipt.time)),
        "ended_by": grant.ended.as_ref().and_then(|(_, by, _)| by.clone()),
        "end_kind": grant.ended.as_ref().map(|(.., kind)| *kind),
        "end_event_id": grant.ended.as_ref().map(|(receipt, ..)| &receipt.event_id),
        "state": match (&grant.created, &grant.ended) {
            (None, _) => "start_not_seen",
            (_, None) => "open",
            (_, Some(_)) => "ended",
        },
    }));
    if grant.created.is_some() {
        of.extend(row(json!({
            "grantee_principal": grant.grantee, "retiring_principal": grant.retiring, "operations": grant.operations,
            "constraint_kind": grant.constraint.as_ref().map(|(kind, _)| *kind),
            "constraint_context": grant.constraint.as_ref().map(|(_, context)| context.clone()),
            "table_name": grant.table.as_ref().map(|table| &table.name),
        })));
        if let (true, Some(last)) = (grant.grantee.starts_with("arn:"), last_possible_use(world, grant)) {
            of.insert("last_possible_use".to_owned(), json!(last.map(iso)));
        }
    } else {
        of.extend(row(json!({"grantee_principal": null, "created_at": null, "last_possible_use": null})));
    }
    truth.add("grants", Value::Object(of));
}

/// The last success of the grantee in the life of the grant whose operation and context fit. Nothing, if one of the
/// second in which the grant begins or ends fits too: the contract does not say on which side it stands.
fn last_possible_use(world: &PlantedWorld, grant: &GrantFact) -> Option<Option<i64>> {
    let from = grant.created.as_ref()?.0.time;
    let until = grant.ended.as_ref().map_or(i64::MAX, |(receipt, ..)| receipt.time);
    let fits = |context: &Value| match &grant.constraint {
        None => true,
        Some(("equals", wanted)) => context == wanted,
        Some((_, wanted)) => {
            let wanted = wanted.as_object().expect("a context is an object");
            wanted.iter().all(|(name, value)| context.get(name) == Some(value))
        }
    };
    let is_fitting = |call: &&CallFact| {
        call.answer == KmsAnswer::Done
            && call.key.as_ref().is_some_and(|key| key.arn == grant.key.arn)
            && call.who.principal == grant.grantee
            && grant.operations.contains(&call.operation)
            && fits(&call.context)
    };
    let times: Vec<i64> = world.calls.iter().filter(is_fitting).map(|call| call.receipt.time).collect();
    let is_at_the_edge = times.iter().any(|time| *time == from || *time == until);
    (!is_at_the_edge).then(|| times.into_iter().filter(|time| from < *time && *time < until).max())
}

fn add_policies(world: &PlantedWorld, truth: &mut WorldTruth) {
    let mut of_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, version) in world.policies.iter().enumerate() {
        of_key.entry(&version.key.arn).or_default().push(place);
    }
    for (key_arn, mut places) in of_key {
        places.sort_by_key(|place| world.policies[*place].receipt.time);
        let versions: Vec<_> = places.iter().map(|place| &world.policies[*place]).collect();
        for (at, version) in versions.iter().enumerate() {
            let before = at.checked_sub(1).map(|at| versions[at]).filter(|before| before.is_whole);
            let mut of = row(json!({
                "key_arn": key_arn, "set_event_id": version.receipt.event_id, "version": at + 1,
                "valid_from": iso(version.receipt.time), "set_by": version.by,
                "valid_to": versions.get(at + 1).map(|next| iso(next.receipt.time)),
                "reading": if version.is_whole { "whole" } else { "truncated" },
            }));
            match before {
                _ if !version.is_whole => {}
                _ if version.is_first => {
                    let [added, ..] = difference(&[], &version.statements);
                    of.extend(row(json!({"added": added, "removed": [], "changed": []})));
                }
                None => of.extend(row(json!({"added": null, "removed": null, "changed": null, "newly_allows": null}))),
                Some(before) => {
                    let [added, removed, changed] = difference(&before.statements, &version.statements);
                    of.extend(row(json!({"added": added, "removed": removed, "changed": changed})));
                    if let Some(newly) = newly_allowed(&before.statements, &version.statements) {
                        of.insert("newly_allows".to_owned(), json!(newly));
                    }
                }
            }
            truth.add("key_policies", Value::Object(of));
        }
    }
}

fn add_states(world: &PlantedWorld, truth: &mut WorldTruth) {
    let mut of_key: BTreeMap<&str, Vec<&super::model::StateChange>> = BTreeMap::new();
    for change in &world.states {
        of_key.entry(&change.key.arn).or_default().push(change);
    }
    for (key_arn, mut changes) in of_key {
        changes.sort_by_key(|change| change.receipt.time);
        changes.dedup_by(|next, before| next.state == before.state);
        for (at, change) in changes.iter().enumerate() {
            truth.add("key_states", json!({
                "key_arn": key_arn, "state": change.state, "valid_from": iso(change.receipt.time), "set_by": change.by,
                "set_event_id": change.receipt.event_id,
                "valid_to": changes.get(at + 1).map(|next| iso(next.receipt.time)),
            }));
        }
    }
}

/// The tables whose start was not seen: all that the log says is when DynamoDB first named the pair.
fn add_tables(world: &PlantedWorld, truth: &mut WorldTruth) {
    let set: BTreeSet<(String, String)> = truth
        .rows("table_keys")
        .iter()
        .map(|row| {
            let text = |column: &str| row[column].as_str().expect("a period has its table and key").to_owned();
            (text("table_arn"), text("key_arn"))
        })
        .collect();
    let mut seen: BTreeMap<(String, String), (i64, &WorldTable, &WorldKey)> = BTreeMap::new();
    for call in &world.calls {
        if let (Some(table), Some(key)) = (&call.table, &call.key) {
            seen.entry((table.arn.clone(), key.arn.clone())).or_insert((call.receipt.time, table, key));
        }
    }
    for (_, (first, table, key)) in seen.into_iter().filter(|(pair, _)| !set.contains(pair)) {
        truth.add("table_keys", json!({
            "table_arn": table.arn, "table_name": table.name, "key_arn": key.arn, "valid_from": null, "set_by": null,
            "set_event_id": null, "basis": "context", "first_in_scope": iso(first),
        }));
    }
}

fn add_coverage(world: &PlantedWorld, truth: &mut WorldTruth) {
    use super::actors::SWITCHED;
    use super::model::{FIRST_SECOND, HOURS};
    for (account, region) in PlantedWorld::lanes() {
        for hour in 0..HOURS {
            let lane = (account, region, hour);
            let (odd, is_switched) = (&world.odd, account == SWITCHED);
            let state = match odd.basis(lane) {
                "none" => "unknown",
                _ if !odd.has_nothing(lane) => "covered",
                _ if odd.is_bad(lane) => "missing",
                _ => "quiet",
            };
            let kms_logged = match hour {
                _ if is_switched && hour == odd.stopped + 1 => "stopped",
                _ if is_switched && (hour == odd.excluded + 1 || hour == odd.excluded + 2) => "excluded",
                _ => "yes",
            };
            truth.add(
                "coverage",
                json!({
                    "account_id": account, "region": region, "hour": iso(FIRST_SECOND + hour * 3600), "state": state,
                    "basis": odd.basis(lane), "kms_logged": kms_logged,
                }),
            );
        }
    }
}
