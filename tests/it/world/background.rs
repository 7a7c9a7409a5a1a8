//! Fills the hours of the world with what real accounts are full of: mostly records that name no key, and steady use of
//! keys that no story touches.
//! In: how many records. Out: records, and lines in the books for those that bear on keys.

use serde_json::json;

use super::actors::{DYNAMODB, EAST, SWITCHED, WorldActor, WorldKey, WorldTable, iso};
use super::changes::delegation;
use super::dice::{BASE32, HEX};
use super::model::{FIRST_SECOND, HOURS, KeyNaming, KmsAnswer, KmsCall, PlantedWorld, RecordDraft};
use super::recipes::{IDENTITY, RESOURCE};

/// One account in one Region.
struct BusyLane {
    account: &'static str,
    region: &'static str,
    roles: Vec<WorldActor>,
    /// Roles that are always refused.
    strangers: Vec<WorldActor>,
    keys: Vec<WorldKey>,
    tables: Vec<(WorldTable, usize)>,
}

/// The people who administer, before anything else happens.
pub fn found(world: &mut PlantedWorld) {
    for account in super::actors::ACCOUNTS {
        let custodian = WorldActor::user(&mut world.dice, account, "key-custodian");
        let officer = WorldActor::user(&mut world.dice, account, "security-officer");
        let keeper = WorldActor::role(&mut world.dice, account, "KeyAdmin");
        let keeper = world.assume_role(FIRST_SECOND + 5, &officer, (&keeper, "officer"));
        let deploy = WorldActor::role(&mut world.dice, account, "ci/deploy");
        let deploy = deploy.in_session(&mut world.dice, "pipeline", FIRST_SECOND - 300);
        let path = "aws-reserved/sso.amazonaws.com/AWSReservedSSO_Administrator_0123456789abcdef";
        let single = WorldActor::role(&mut world.dice, account, path);
        let mut single = single.in_session(&mut world.dice, "alex@example.com", FIRST_SECOND - 100);
        single.person = Some(("alex@example.com".to_owned(), "sso_session_name"));
        world.admins.extend([custodian, keeper, deploy, single]);
    }
    switch_trail(world);
}

/// The trail of one account in all Regions: KMS left out for a while, and later off for a while.
fn switch_trail(world: &mut PlantedWorld) {
    let who = world.admin(SWITCHED);
    let arn = format!("arn:aws:cloudtrail:{EAST}:{SWITCHED}:trail/audit");
    let odd = |hour: i64, minute: i64| FIRST_SECOND + hour * 3600 + minute * 60;
    let (excluded, stopped) = (world.odd.excluded, world.odd.stopped);
    let selector = |sources: serde_json::Value| {
        let one = json!({
            "readWriteType": "All", "includeManagementEvents": true, "dataResources": [],
            "excludeManagementEventSources": sources,
        });
        json!({"trailName": arn, "eventSelectors": [one]})
    };
    let create = json!({
        "name": "audit", "s3BucketName": "amzn-s3-demo-trail-logs", "isMultiRegionTrail": true,
        "includeGlobalServiceEvents": true, "enableLogFileValidation": true,
    });
    let made = json!({"name": "audit", "trailARN": arn, "isMultiRegionTrail": true});
    let acts = [
        (odd(0, 1), "CreateTrail", create, made),
        (odd(0, 2), "StartLogging", json!({"name": arn}), json!(null)),
        (odd(excluded, 40), "PutEventSelectors", selector(json!(["kms.amazonaws.com"])), json!(null)),
        (odd(excluded + 3, 10), "PutEventSelectors", selector(json!([])), json!(null)),
        (odd(stopped, 40), "StopLogging", json!({"name": arn}), json!(null)),
        (odd(stopped + 2, 10), "StartLogging", json!({"name": arn}), json!(null)),
    ];
    for (time, name, request, response) in acts {
        let mut draft = RecordDraft::new(time, &who, ("cloudtrail", name));
        (draft.request, draft.response) = (request, response);
        world.plant(draft);
    }
}

pub fn fill(world: &mut PlantedWorld, records: usize) {
    let lanes: Vec<_> = PlantedWorld::lanes().collect();
    let an_hour = (records / (lanes.len() * HOURS as usize)).max(4);
    for (account, region) in lanes {
        let lane = BusyLane::new(world, account, region);
        for hour in 0..HOURS {
            if world.odd.has_nothing((account, region, hour)) {
                continue;
            }
            let count = an_hour + world.dice.below(an_hour / 4 + 1);
            lane.hour(world, (hour, count));
        }
    }
}

impl BusyLane {
    fn new(world: &mut PlantedWorld, account: &'static str, region: &'static str) -> BusyLane {
        let who = world.admin(account);
        let mut roles = Vec::new();
        for number in 0..10 {
            let path = if number % 4 == 0 { "service/" } else { "" };
            let role = WorldActor::role(&mut world.dice, account, &format!("{path}app-{number}-{region}"));
            roles.push(role.in_session(&mut world.dice, &format!("i-0{number}"), FIRST_SECOND - 3600 * (1 + number)));
        }
        let strangers = (0..3).map(|number| {
            let role = WorldActor::role(&mut world.dice, account, &format!("stranger-{number}-{region}"));
            role.in_session(&mut world.dice, "scan", FIRST_SECOND - 50)
        });
        let strangers = strangers.collect();
        let keys: Vec<WorldKey> = (0..6)
            .map(|number| match number % 2 {
                0 => world.create_key(FIRST_SECOND + 20 + number, &who, (region, &[delegation(account)])),
                _ => WorldKey::new(&mut world.dice, account, region),
            })
            .collect();
        let mut tables = Vec::new();
        for (number, name) in ["orders", "customers", "ledger", "events"].into_iter().enumerate() {
            let table = WorldTable::new(name, account, region);
            if number % 2 == 0 {
                let created = world.create_table(FIRST_SECOND + 40 + number as i64 * 5, &who, (&table, &keys[number]));
                world.book_table_key((&table, &keys[number]), (&created, &who), None);
            }
            tables.push((table, number));
        }
        BusyLane { account, region, roles, strangers, keys, tables }
    }

    fn hour(&self, world: &mut PlantedWorld, (hour, count): (i64, usize)) {
        let start = FIRST_SECOND + hour * 3600;
        let (odd, is_switched) = (&world.odd, self.account == SWITCHED);
        // Files of an hour beside an odd one hold that hour alone.
        let last_minute = if odd.is_odd(hour + 1) || odd.is_odd(hour) || hour == HOURS - 1 { 50 } else { 60 };
        let (first_minute, last_minute) = match () {
            () if is_switched && hour == odd.stopped => (0, 40),
            () if is_switched && hour == odd.stopped + 2 => (11, last_minute),
            () => (if hour == 0 { 2 } else { 0 }, last_minute),
        };
        let keys_from = if is_switched && hour == odd.excluded + 3 { 11 } else { 0 };
        let keys_until = match hour - odd.excluded {
            0 if is_switched => 40,
            1 | 2 if is_switched => 0,
            _ => 60,
        };
        for number in 0..count {
            let time = start + world.dice.between(first_minute * 60, last_minute * 60 - 5);
            let minute = (time - start) / 60;
            let may_name_keys = keys_from <= minute && minute < keys_until;
            match world.dice.below(100) {
                _ if number == 0 && keys_until > 0 => {
                    let low = first_minute.max(keys_from);
                    let time = start + world.dice.between(low * 60, last_minute.min(keys_until) * 60 - 5);
                    self.key_use(world, time);
                }
                0..70 => self.other(world, time),
                70..76 => self.data_event(world, time),
                76..80 => self.session_start(world, time),
                _ if may_name_keys => self.key_use(world, time),
                _ => self.other(world, time),
            }
        }
    }

    fn key_use(&self, world: &mut PlantedWorld, time: i64) {
        let service = WorldActor::service(DYNAMODB);
        let role = world.dice.pick(&self.roles).clone();
        let key = world.dice.pick(&self.keys).clone();
        match world.dice.below(20) {
            0..8 => {
                let (table, key) = world.dice.pick(&self.tables).clone();
                world.use_key(KmsCall::of_table(time, &role, &table, &self.keys[key]));
            }
            8 => {
                let (table, key) = world.dice.pick(&self.tables).clone();
                world.use_key(KmsCall::of_table(time, &service, &table, &self.keys[key]));
            }
            9..15 => {
                let operation = *world.dice.pick(&["GenerateDataKey", "Decrypt"]);
                let object = world.dice.text(HEX, 6);
                let context = json!({"aws:s3:arn": format!("arn:aws:s3:::amzn-s3-demo-bucket/{object}")});
                let via = Some("fas.s3.amazonaws.com");
                world.use_key(KmsCall { context, via, ..KmsCall::direct(time, &role, operation, &key) });
            }
            15..18 => drop(world.use_key(KmsCall::direct(time, &role, "Encrypt", &key))),
            18 => {
                let reason = *world.dice.pick(&[&IDENTITY, &RESOURCE]);
                let naming = if world.dice.happens(70) { KeyNaming::Key } else { KeyNaming::Nothing };
                let stranger = world.dice.pick(&self.strangers).clone();
                world.use_key(
                    KmsCall::direct(time, &stranger, "Decrypt", &key).answered(KmsAnswer::Refused(reason, naming)),
                );
            }
            _ => {
                let mut draft = RecordDraft::new(time, &role, ("kms", "DescribeKey"));
                (draft.read_only, draft.request) = (true, json!({"keyId": key.arn}));
                world.change_key(&key, draft);
            }
        }
    }

    fn data_event(&self, world: &mut PlantedWorld, time: i64) {
        let role = world.dice.pick(&self.roles).clone();
        let (table, _) = world.dice.pick(&self.tables).clone();
        if world.dice.happens(80) {
            world.get_item(time, (&role, &table), None);
        } else {
            world.change_table(time, &role, &table, ("DescribeTable", json!({})));
        }
    }

    /// A machine gets its role, which has nothing to do with keys.
    fn session_start(&self, world: &mut PlantedWorld, time: i64) {
        let service = WorldActor::service("ec2.amazonaws.com");
        let mut draft = RecordDraft::new(time, &service, ("sts", "AssumeRole"));
        (draft.region, draft.read_only) = (self.region, true);
        let (name, instance) = (format!("worker-{}", world.dice.below(20)), world.dice.text(HEX, 16));
        let role = format!("arn:aws:iam::{}:role/{name}", self.account);
        draft.request = json!({"roleArn": role, "roleSessionName": format!("i-{instance}")});
        draft.response = json!({
            "credentials": {
                "accessKeyId": format!("ASIA{}", world.dice.text(BASE32, 16)), "expiration": iso(time + 21600),
            },
            "assumedRoleUser": {
                "assumedRoleId": format!("AROA{}:i-{instance}", world.dice.text(BASE32, 17)),
                "arn": format!("arn:aws:sts::{}:assumed-role/{name}/i-{instance}", self.account),
            },
        });
        draft.more.push(("recipientAccountId", json!(self.account)));
        world.plant(draft);
    }

    /// A record that names no key and that the default filter leaves out.
    fn other(&self, world: &mut PlantedWorld, time: i64) {
        let (service, name, request) = world
            .dice
            .pick(&[
                ("ec2", "DescribeInstances", json!({"instancesSet": {}, "filterSet": {}})),
                ("s3", "GetObject", json!({"bucketName": "amzn-s3-demo-bucket", "key": "reports/2026.csv"})),
                ("logs", "CreateLogStream", json!({"logGroupName": "/app/orders", "logStreamName": "2026/03"})),
                ("lambda", "ListFunctions20150331", json!(null)),
                ("sts", "GetCallerIdentity", json!(null)),
                ("elasticloadbalancing", "DescribeTargetHealth", json!({"targetGroupArn": "orders"})),
            ])
            .clone();
        let role = world.dice.pick(&self.roles).clone();
        let mut draft = RecordDraft::new(time, &role, (service, name));
        (draft.region, draft.read_only, draft.request) = (self.region, name != "CreateLogStream", request);
        world.plant_beside(draft);
    }
}
