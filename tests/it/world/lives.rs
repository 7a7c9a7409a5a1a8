//! The other stories of the world: lives of keys, aliases, rotations and grants, tables that move, windows of access,
//! and people behind chains of roles.
//! In: the world. Out: its records, and rows of truth where the books do not give them.
//! Never touches a key, table or principal of another story.

use serde_json::{Value, json};

use super::actors::{ACCOUNTS, DYNAMODB, REGIONS, WorldActor, WorldKey, WorldTable, iso};
use super::changes::{GrantWish, PolicyText, delegation};
use super::dice::HEX;
use super::documents::WorldStatement;
use super::model::{FIRST_SECOND, KmsAnswer, KmsCall, LAST_SECOND, PlantedWorld, RecordDraft, RecordReceipt};

pub fn play_all(world: &mut PlantedWorld) {
    for _ in 0..4 {
        states(world);
        imported(world);
        aliases(world);
        rotations(world);
        grants(world);
        grants_of_old_times(world);
        policies(world);
        tables(world);
        windows(world);
        chain_of_roles(world);
        marked_sessions(world);
    }
}

/// A time in the first half, and one after another from it; each is free.
struct StoryClock(i64);

impl StoryClock {
    fn start(world: &mut PlantedWorld) -> StoryClock {
        let time = world.dice.between(FIRST_SECOND + 3700, FIRST_SECOND + (LAST_SECOND - FIRST_SECOND) / 2);
        StoryClock(world.settle(time))
    }

    fn next(&mut self, world: &mut PlantedWorld) -> i64 {
        let gap = world.dice.between(30, 4000);
        self.0 = world.settle(self.0 + gap);
        self.0
    }
}

fn lane(world: &mut PlantedWorld) -> (&'static str, &'static str) {
    (*world.dice.pick(&ACCOUNTS), *world.dice.pick(&REGIONS))
}

fn new_key(
    world: &mut PlantedWorld,
    clock: &mut StoryClock,
    (account, region): (&'static str, &'static str),
) -> WorldKey {
    let (time, who) = (clock.next(world), world.admin(account));
    world.create_key(time, &who, (region, &[delegation(account)]))
}

/// Enabled, disabled twice, enabled, to be deleted, and saved; a refused change and a use in vain between.
fn states(world: &mut PlantedWorld) {
    let (lane, mut clock) = (lane(world), StoryClock::start(world));
    let is_old = world.dice.happens(30);
    let key = if is_old { WorldKey::new(&mut world.dice, lane.0, lane.1) } else { new_key(world, &mut clock, lane) };
    let mut names =
        vec!["DisableKey", "DisableKey", "EnableKey", "ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKey"];
    names.truncate(world.dice.between(1, 6) as usize);
    for name in names {
        let (time, who) = (clock.next(world), world.admin(lane.0));
        world.switch_key(time, &who, &key, name);
        if name == "DisableKey" {
            let user_name = world.name("reader");
            let user = WorldActor::user(&mut world.dice, lane.0, &user_name);
            let time = clock.next(world);
            world.use_key(KmsCall::direct(time, &user, "Decrypt", &key).answered(KmsAnswer::Disabled));
        }
        if world.dice.happens(40) {
            let (time, who) = (clock.next(world), world.admin(lane.0));
            world.fail_to_change(time, &who, &key, "EnableKey");
        }
    }
}

/// A key that waits for its material.
fn imported(world: &mut PlantedWorld) {
    let (lane, mut clock) = (lane(world), StoryClock::start(world));
    let key = WorldKey::new(&mut world.dice, lane.0, lane.1);
    let (time, who) = (clock.next(world), world.admin(lane.0));
    let mut draft = RecordDraft::new(time, &who, ("kms", "CreateKey"));
    draft.request = json!({"origin": "EXTERNAL", "keySpec": "SYMMETRIC_DEFAULT", "multiRegion": false});
    draft.response = json!({"keyMetadata": {
        "aWSAccountId": key.account, "keyId": key.id, "arn": key.arn, "enabled": false, "keyState": "PendingImport",
        "origin": "EXTERNAL", "keyManager": "CUSTOMER", "multiRegion": false,
    }});
    let receipt = world.change_key(&key, draft);
    world.book_change(&receipt, ("CreateKey", &who), (Some(&key), None));
    world.book_state(&key, (&receipt, &who), "PendingImport");
    let (time, who) = (clock.next(world), world.admin(lane.0));
    let mut draft = RecordDraft::new(time, &who, ("kms", "ImportKeyMaterial"));
    draft.request = json!({"keyId": key.id, "expirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"});
    draft.response = json!({"keyId": key.arn, "keyMaterialId": key.material});
    let receipt = world.change_key(&key, draft);
    world.book_state(&key, (&receipt, &who), "Enabled");
    world.truth.leave_open("key_rotations", "key_arn", &key.arn);
}

fn change_alias(
    world: &mut PlantedWorld,
    time: i64,
    (name, alias): (&str, &str),
    key: &WorldKey,
) -> (RecordReceipt, WorldActor) {
    let who = world.admin(key.account);
    let mut draft = RecordDraft::new(time, &who, ("kms", name));
    draft.request = json!({"aliasName": alias});
    if name != "DeleteAlias" {
        draft.request["targetKeyId"] = json!(key.id);
    }
    draft.response = json!({"keyId": key.arn});
    let mut resources = vec![key.resource(), key.alias_resource(alias)];
    if name != "CreateAlias" {
        resources.reverse();
    }
    draft.more.push(("resources", Value::Array(resources)));
    (world.change_key(key, draft), who)
}

/// An alias that is made, moved and deleted; and one that is seen only as it is deleted.
fn aliases(world: &mut PlantedWorld) {
    let (lane, mut clock) = (lane(world), StoryClock::start(world));
    let alias = format!("alias/{}", world.name("alias"));
    let mut key = WorldKey::new(&mut world.dice, lane.0, lane.1);
    let mut open: Option<(RecordReceipt, WorldActor)> = None;
    let moves = world.dice.between(1, 3);
    for turn in 0..=moves {
        let time = clock.next(world);
        let before = key.clone();
        let name = match turn {
            0 => "CreateAlias",
            _ if turn == moves => "DeleteAlias",
            _ => "UpdateAlias",
        };
        if name == "UpdateAlias" {
            key = WorldKey::new(&mut world.dice, lane.0, lane.1);
        }
        let made = change_alias(world, time, (name, &alias), &key);
        if let Some(period) = open.take() {
            alias_row(world, (&alias, &before), Some(&period), Some(time));
        }
        open = (name != "DeleteAlias").then_some(made);
    }
    let old = format!("alias/{}", world.name("old"));
    let time = clock.next(world);
    change_alias(world, time, ("DeleteAlias", &old), &key);
    alias_row(world, (&old, &key), None, Some(time));
    let kept = format!("alias/{}", world.name("kept"));
    let time = clock.next(world);
    let made = change_alias(world, time, ("CreateAlias", &kept), &key);
    alias_row(world, (&kept, &key), Some(&made), None);
}

fn alias_row(
    world: &mut PlantedWorld,
    (alias, key): (&str, &WorldKey),
    set: Option<&(RecordReceipt, WorldActor)>,
    until: Option<i64>,
) {
    world.truth.add("key_aliases", json!({
        "alias_arn": key.alias_arn(alias), "key_arn": key.arn, "valid_from": set.map(|(receipt, _)| iso(receipt.time)),
        "valid_to": until.map(iso), "set_by": set.map(|(_, who)| &who.principal),
        "set_event_id": set.map(|(receipt, _)| &receipt.event_id),
    }));
}

/// What KMS itself tells of a key.
fn service_event(world: &mut PlantedWorld, time: i64, key: &WorldKey, (name, details): (&str, Value)) -> RecordReceipt {
    let kms = WorldActor::service("AWS Internal");
    let mut draft = RecordDraft::new(time, &kms, ("kms", name));
    draft.region = key.region;
    draft.more = vec![
        ("userIdentity", json!({"accountId": key.account, "invokedBy": "AWS Internal"})),
        ("recipientAccountId", json!(key.account)),
        ("eventType", json!("AwsServiceEvent")),
        ("serviceEventDetails", details),
        ("resources", json!([key.resource()])),
    ];
    world.plant(draft)
}

fn rotations(world: &mut PlantedWorld) {
    let (lane, mut clock) = (lane(world), StoryClock::start(world));
    let key = new_key(world, &mut clock, lane);
    for turn in 0..world.dice.between(1, 3) {
        let material = world.dice.text(HEX, 64);
        let is_asked = world.dice.happens(50);
        let mut time = clock.next(world);
        let mut asked = None;
        if is_asked {
            let who = world.admin(lane.0);
            let mut draft = RecordDraft::new(time, &who, ("kms", "RotateKeyOnDemand"));
            (draft.request, draft.response) = (json!({"keyId": key.id}), json!({"keyId": key.arn}));
            asked = Some(world.change_key(&key, draft));
            time += world.dice.between(1, 4);
        }
        // The last rotation on demand may be too young to be told by KMS.
        if let (Some(asked), true) = (&asked, turn == 2) {
            rotation_row(world, &key, asked, ("on_demand", None));
            continue;
        }
        let kind = if is_asked { "ON_DEMAND" } else { "AUTOMATIC" };
        let details = json!({
            "rotationType": kind, "keyOrigin": "AWS_KMS", "keyId": key.id, "previousKeyMaterialId": key.material,
            "currentKeyMaterialId": material,
        });
        let receipt = service_event(world, time, &key, ("RotateKey", details));
        rotation_row(world, &key, &receipt, (if is_asked { "on_demand" } else { "automatic" }, Some(&material)));
    }
}

fn rotation_row(
    world: &mut PlantedWorld,
    key: &WorldKey,
    receipt: &RecordReceipt,
    (kind, material): (&str, Option<&str>),
) {
    world.truth.add(
        "key_rotations",
        json!({
            "key_arn": key.arn, "rotated_at": iso(receipt.time), "kind": kind, "key_material_id": material,
            "event_id": receipt.event_id,
        }),
    );
}

/// A grant with its uses: before it, in it, at another operation, in another context, after it.
fn grants(world: &mut PlantedWorld) {
    let (lane, mut clock) = (lane(world), StoryClock::start(world));
    let (key, who) = (new_key(world, &mut clock, lane), world.admin(lane.0));
    let name = world.name("grantee");
    let role = WorldActor::role(&mut world.dice, lane.0, &name);
    let grantee = role.in_session(&mut world.dice, "work", FIRST_SECOND - 60);
    let (right, wrong) = (json!({"purpose": "invoices", "tenant": "7"}), json!({"purpose": "letters", "tenant": "7"}));
    let use_key = |world: &mut PlantedWorld, clock: &mut StoryClock, operation: &str, context: &Value| {
        let time = clock.next(world);
        let context = context.clone();
        world.use_key(KmsCall { context, ..KmsCall::direct(time, &grantee, operation, &key) });
    };
    use_key(world, &mut clock, "Decrypt", &right);
    let mut wish = GrantWish::to(&grantee.principal, &["Decrypt", "DescribeKey"]);
    wish.constraint = match world.dice.below(3) {
        0 => None,
        1 => Some(("equals", right.clone())),
        _ => Some(("subset", json!({"purpose": "invoices"}))),
    };
    wish.retiring = world.dice.happens(40).then(|| format!("arn:aws:iam::{}:role/retires", lane.0));
    let again = GrantWish {
        operations: wish.operations.clone(),
        constraint: wish.constraint.clone(),
        retiring: wish.retiring.clone(),
        ..GrantWish::to(&wish.grantee, &[])
    };
    let time = clock.next(world);
    let (_, grant_id) = world.create_grant(time, &who, &key, wish);
    if world.dice.happens(50) {
        let receipt = world.plant_grant((time + 2, &who), &key, (&grant_id, &again));
        world.book_change(&receipt, ("CreateGrant", &who), (Some(&key), None));
    }
    let time = clock.next(world);
    world.fail_to_change(time, &who, &key, "CreateGrant");
    for (operation, context) in [("Decrypt", &right), ("Decrypt", &right), ("Encrypt", &right), ("Decrypt", &wrong)] {
        if world.dice.happens(80) {
            use_key(world, &mut clock, operation, context);
        }
    }
    let time = clock.next(world);
    match world.dice.below(4) {
        0 => return,
        1 => drop(world.revoke_grant(time, &who, &key, &grant_id)),
        2 => drop(world.retire_grant(time, &grantee, &key, &grant_id)),
        _ => {
            let receipt = service_event(world, time, &key, ("DeleteKey", json!({"keyId": key.id})));
            world.end_grant((&key, &grant_id), (&receipt, None), "key_deleted");
            // The contract does not say how a key that is gone stands among the periods.
            world.truth.leave_open("key_states", "key_arn", &key.arn);
            world.states.retain(|change| change.key.arn != key.arn);
            return;
        }
    }
    use_key(world, &mut clock, "Decrypt", &right);
}

/// Grants of which only the end is in the logs.
fn grants_of_old_times(world: &mut PlantedWorld) {
    let (lane, mut clock) = (lane(world), StoryClock::start(world));
    let key = WorldKey::new(&mut world.dice, lane.0, lane.1);
    let (who, grant_id) = (world.admin(lane.0), world.dice.text(HEX, 64));
    let time = clock.next(world);
    if world.dice.happens(50) {
        world.revoke_grant(time, &who, &key, &grant_id);
    } else {
        world.retire_grant(time, &who, &key, &grant_id);
    }
}

/// Versions that add, remove, change and only reword, with one in vain, and sometimes one that was cut.
fn policies(world: &mut PlantedWorld) {
    let (lane, mut clock) = (lane(world), StoryClock::start(world));
    let is_old = world.dice.happens(40);
    let key = if is_old { WorldKey::new(&mut world.dice, lane.0, lane.1) } else { new_key(world, &mut clock, lane) };
    let mut statements = vec![delegation(lane.0)];
    let turns = world.dice.between(3, 7);
    for turn in 0..turns {
        let reader = format!("arn:aws:iam::{}:role/service/reader-{turn}", lane.0);
        match world.dice.below(5) {
            0 => statements.push(WorldStatement::allow(
                &format!("Reader{turn}"),
                &reader,
                &["kms:Decrypt", "kms:DescribeKey"],
            )),
            1 if statements.len() > 1 => drop(statements.pop()),
            2 if statements.len() > 1 => {
                statements.last_mut().expect("more than one").actions.push(format!("kms:Tag{turn}"))
            }
            3 => statements.push(WorldStatement::deny(&format!("Never{turn}"), "*", &[&format!("kms:Schedule{turn}")])),
            _ => {}
        }
        let text = if world.dice.happens(10) { PolicyText::Cut } else { PolicyText::Whole };
        let (time, who) = (clock.next(world), world.admin(lane.0));
        world.put_policy(time, &who, &key, (&statements, text));
        if world.dice.happens(20) {
            let time = clock.next(world);
            world.fail_to_change(time, &who, &key, "PutKeyPolicy");
        }
    }
}

/// A table that is made under a key, moves to another, and is deleted; DynamoDB names the pair all the while.
fn tables(world: &mut PlantedWorld) {
    let (lane, mut clock) = (lane(world), StoryClock::start(world));
    let keys = [new_key(world, &mut clock, lane), WorldKey::new(&mut world.dice, lane.0, lane.1)];
    let table = WorldTable::new(&world.name("moving"), lane.0, lane.1);
    let (who, name) = (world.admin(lane.0), world.name("app"));
    let role = WorldActor::role(&mut world.dice, lane.0, &name);
    let app = role.in_session(&mut world.dice, "i-0123456789abcdef0", FIRST_SECOND - 3600);
    let made = clock.next(world);
    let created = world.create_table(made, &who, (&table, &keys[0]));
    let first_grant = world.grants.last().expect("the table has its grant").grant_id.clone();
    use_table(world, &mut clock, (&app, &table, &keys[0]));
    let moves = world.dice.happens(70);
    let deleted = world.dice.happens(50);
    let mut period = (created, keys[0].clone());
    if moves {
        let time = clock.next(world);
        let request = json!({"sSESpecification": {"enabled": true, "sSEType": "KMS", "kMSMasterKeyId": keys[1].arn}});
        let moved = world.change_table(time, &who, &table, ("UpdateTable", request));
        world.grant_to_table(time + 1, &who, (&table, &keys[1]));
        let service = WorldActor::service(DYNAMODB);
        world.retire_grant(time + 4, &service, &keys[0], &first_grant);
        world.book_table_key((&table, &keys[0]), (&period.0, &who), Some(time));
        period = (moved, keys[1].clone());
        use_table(world, &mut clock, (&app, &table, &keys[1]));
    }
    let mut until = None;
    if deleted {
        until = Some(clock.next(world));
        world.change_table(until.expect("just set"), &who, &table, ("DeleteTable", json!({})));
    }
    world.book_table_key((&table, &period.1), (&period.0, &who), until);
}

fn use_table(
    world: &mut PlantedWorld,
    clock: &mut StoryClock,
    (app, table, key): (&WorldActor, &WorldTable, &WorldKey),
) {
    let service = WorldActor::service(DYNAMODB);
    let time = clock.next(world);
    world.use_key(KmsCall::of_table(time, &service, table, key));
    for _ in 0..world.dice.between(1, 4) {
        let time = clock.next(world);
        world.use_key(KmsCall::of_table(time, app, table, key));
    }
}

/// Two instances of a role whose calls are as far apart as the rule's edges.
fn windows(world: &mut PlantedWorld) {
    let (lane, name) = (lane(world), world.name("steady"));
    let key = WorldKey::new(&mut world.dice, lane.0, lane.1);
    let table = WorldTable::new(&world.name("steady"), lane.0, lane.1);
    let role = WorldActor::role(&mut world.dice, lane.0, &name);
    let sessions = ["i-0a", "i-0b"].map(|instance| role.in_session(&mut world.dice, instance, FIRST_SECOND - 7200));
    let mut time = StoryClock::start(world).0;
    for _ in 0..30 {
        let gap = *world.dice.pick(&[300, 301, 304, 332, 359, 360, 361, 362, 420, 900, 2000]);
        time = world.settle(time + gap);
        let who = world.dice.pick(&sessions).clone();
        world.use_key(KmsCall::of_table(time, &who, &table, &key));
    }
}

/// A user, as one role, as another; and a near-miss: another user with the same role and session name at another time.
fn chain_of_roles(world: &mut PlantedWorld) {
    let (account, region) = lane(world);
    let stem = world.name("hop");
    let key = WorldKey::new(&mut world.dice, account, region);
    let roles = ["first", "second"].map(|which| WorldActor::role(&mut world.dice, account, &format!("{which}-{stem}")));
    let mut clock = StoryClock::start(world);
    let mut sessions = Vec::new();
    for which in ["one", "two"] {
        let user = WorldActor::user(&mut world.dice, account, &format!("{which}-{stem}"));
        let time = clock.next(world);
        let first = world.assume_role(time, &user, (&roles[0], &format!("{which}-in-{stem}")));
        let time = clock.next(world);
        sessions.push(world.assume_role(time, &first, (&roles[1], "same-name")));
    }
    for _ in 0..6 {
        let (who, time) = (world.dice.pick(&sessions).clone(), clock.next(world));
        world.use_key(KmsCall::direct(time, &who, "Decrypt", &key));
    }
    let forwarded = WorldTable::new(&world.name("people"), account, region);
    let time = clock.next(world);
    world.use_key(KmsCall::of_table(time, &sessions[0], &forwarded, &key));
}

/// Sessions that say themselves who stands behind: Identity Center's, and one with a source identity; and one whose
/// name only looks like a person.
fn marked_sessions(world: &mut PlantedWorld) {
    let (account, region) = lane(world);
    let key = WorldKey::new(&mut world.dice, account, region);
    let (path, id) = ("aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Reader_", world.dice.text(HEX, 16));
    let mail = format!("{}@example.com", world.name("jane"));
    let reader = WorldActor::role(&mut world.dice, account, &format!("{path}{id}"));
    let mut single = reader.in_session(&mut world.dice, &mail, FIRST_SECOND - 600);
    single.person = Some((mail.clone(), "sso_session_name"));
    let name = world.name("marked");
    let mut marked =
        WorldActor::role(&mut world.dice, account, &name).in_session(&mut world.dice, "tool", FIRST_SECOND - 900);
    let source = world.name("source");
    marked.session.as_mut().expect("just made").source_identity = Some(source.clone());
    marked.person = Some((source, "source_identity"));
    let name = world.name("plain");
    let plain =
        WorldActor::role(&mut world.dice, account, &name).in_session(&mut world.dice, &mail, FIRST_SECOND - 1200);
    let mut clock = StoryClock::start(world);
    for who in [&single, &marked, &plain, &single] {
        let time = clock.next(world);
        world.use_key(KmsCall::direct(time, who, "Encrypt", &key));
    }
}
