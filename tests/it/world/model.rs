//! The world: its clock, its records, and the books that the model keeps of what it planted.
//! In: calls and changes, one by one. Out: records as AWS writes them, and facts from which `truth` makes rows.
//! Never reads a record back: every fact is written down when it is planted.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::actors::{
    ACCOUNTS, ActorKind, DYNAMODB, EAST, MAIN, PLAIN, REGIONS, SWITCHED, WorldActor, WorldKey, WorldTable, iso,
};
use super::dice::WorldDice;
use super::documents::WorldStatement;
use super::truth::WorldTruth;

/// Monday, 2 March 2026.
pub const FIRST_SECOND: i64 = 1_772_409_600;
pub const HOURS: i64 = 48;
pub const LAST_SECOND: i64 = FIRST_SECOND + HOURS * 3600 - 1;

/// Account, Region and hour of the world.
pub type LaneHour = (&'static str, &'static str, i64);

pub fn hour_of(time: i64) -> i64 {
    (time - FIRST_SECOND).div_euclid(3600)
}

/// The time that `iso` wrote.
pub fn seconds_of(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).expect("an answer has times in RFC 3339").timestamp()
}

/// Hours in which the logs of some account are not what they are elsewhere. No story plants anything in them.
pub struct OddHours {
    /// Of `MAIN`: the digest names the files, and they are not here.
    pub lost: i64,
    /// Of `MAIN` in the west: nothing happened, as the digest says.
    pub quiet: i64,
    /// Of `PLAIN`: there is nothing.
    pub empty: i64,
    /// Of `SWITCHED`: KMS is left out after minute 40 of the first hour and until minute 10 of the fourth.
    pub excluded: i64,
    /// Of `SWITCHED`: the trail is off after minute 40 of the first hour and until minute 10 of the third.
    pub stopped: i64,
}

impl OddHours {
    fn new(dice: &mut WorldDice) -> OddHours {
        let mut places = [8, 15, 22, 29, 36];
        dice.shuffle(&mut places);
        let [lost, quiet, empty, excluded, stopped] = places.map(|place| place + dice.between(0, 3));
        OddHours { lost, quiet, empty, excluded, stopped }
    }

    pub fn is_odd(&self, hour: i64) -> bool {
        [self.lost, self.quiet, self.empty].contains(&hour)
            || (self.excluded..=self.excluded + 3).contains(&hour)
            || (self.stopped..=self.stopped + 2).contains(&hour)
    }

    /// True if the logs of the hour lost something that was there, or may have.
    pub fn is_bad(&self, (account, _, hour): LaneHour) -> bool {
        match account {
            MAIN => hour == self.lost,
            PLAIN => hour == self.empty,
            _ => hour == self.excluded + 1 || hour == self.excluded + 2 || hour == self.stopped + 1,
        }
    }

    /// The end of the last hour of an account of which the logs show that something may be lost.
    pub fn shown_bad_until(&self, account: &str) -> Option<i64> {
        let last = match account {
            MAIN => self.lost,
            SWITCHED => (self.excluded + 2).max(self.stopped + 1),
            _ => return None,
        };
        Some(FIRST_SECOND + (last + 1) * 3600)
    }

    /// True if no record of the lane's hour is in the logs.
    pub fn has_nothing(&self, (account, region, hour): LaneHour) -> bool {
        match account {
            MAIN => hour == self.lost || hour == self.quiet && region != EAST,
            PLAIN => hour == self.empty,
            _ => hour == self.stopped + 1,
        }
    }

    /// `digest` is the best, `none` the worst. The last files of an hour are named by the digest of the next.
    pub fn basis(&self, (account, _, hour): LaneHour) -> &'static str {
        // Hours of which the trail was on or all of KMS taken for a part; it is made in the first.
        let switched = [0, self.excluded, self.excluded + 3, self.stopped, self.stopped + 2];
        match account {
            PLAIN if hour == self.empty => "none",
            PLAIN => "objects",
            _ if hour == HOURS - 1 => "objects",
            MAIN => "digest",
            _ if hour == self.stopped + 1 => "none",
            _ if switched.contains(&hour) => "objects",
            _ => "digest",
        }
    }
}

pub struct PlantedRecord {
    pub time: i64,
    pub account: &'static str,
    pub region: &'static str,
    pub text: String,
    /// True if the default filter keeps it.
    pub is_kept: bool,
}

pub struct RecordDraft<'a> {
    pub time: i64,
    pub who: &'a WorldActor,
    pub service: &'static str,
    pub name: &'a str,
    pub region: &'static str,
    pub via: Option<&'static str>,
    pub request: Value,
    pub response: Value,
    pub error: Option<(&'static str, String)>,
    pub read_only: bool,
    /// Members that only some records have, or that replace one.
    pub more: Vec<(&'static str, Value)>,
}

impl<'a> RecordDraft<'a> {
    pub fn new(time: i64, who: &'a WorldActor, (service, name): (&'static str, &'a str)) -> RecordDraft<'a> {
        RecordDraft {
            time,
            who,
            service,
            name,
            region: EAST,
            via: None,
            request: Value::Null,
            response: Value::Null,
            error: None,
            read_only: false,
            more: Vec::new(),
        }
    }
}

/// The ids of a record that was planted.
#[derive(Clone)]
pub struct RecordReceipt {
    pub time: i64,
    pub event_id: String,
    pub request_id: String,
}

/// The outcome of a call of KMS.
#[derive(Clone, Copy, PartialEq)]
pub enum KmsAnswer {
    Done,
    Refused(&'static RefusalReason, KeyNaming),
    /// KMS says that the key is disabled.
    Disabled,
}

/// A refusal names the key, or only "this ciphertext".
#[derive(Clone, Copy, PartialEq)]
pub enum KeyNaming {
    Key,
    Nothing,
}

#[derive(PartialEq)]
pub struct RefusalReason {
    pub column: &'static str,
    pub effect: Option<&'static str>,
    /// What stands behind the resource; `{}` is the action.
    pub clause: &'static str,
}

#[derive(Clone)]
pub struct CallFact {
    pub receipt: RecordReceipt,
    pub who: WorldActor,
    /// The account and the Region that log it: the caller's account, or the key's if a service calls.
    pub lane: (&'static str, &'static str),
    pub operation: String,
    pub is_crypto: bool,
    /// NULL where a refusal names none.
    pub key: Option<WorldKey>,
    pub table: Option<WorldTable>,
    pub context: Value,
    pub via: Option<&'static str>,
    pub answer: KmsAnswer,
}

pub struct KmsCall<'a> {
    pub time: i64,
    pub who: &'a WorldActor,
    pub operation: &'a str,
    pub key: &'a WorldKey,
    pub table: Option<&'a WorldTable>,
    pub context: Value,
    pub via: Option<&'static str>,
    pub answer: KmsAnswer,
}

impl<'a> KmsCall<'a> {
    pub fn direct(time: i64, who: &'a WorldActor, operation: &'a str, key: &'a WorldKey) -> KmsCall<'a> {
        KmsCall { time, who, operation, key, table: None, context: Value::Null, via: None, answer: KmsAnswer::Done }
    }

    /// What DynamoDB asks of KMS when somebody reads or writes, or by itself.
    pub fn of_table(time: i64, who: &'a WorldActor, table: &'a WorldTable, key: &'a WorldKey) -> KmsCall<'a> {
        let via = (who.kind != ActorKind::Service).then_some(DYNAMODB);
        let context = table.context();
        KmsCall { table: Some(table), context, via, ..KmsCall::direct(time, who, "Decrypt", key) }
    }

    pub fn answered(self, answer: KmsAnswer) -> KmsCall<'a> {
        KmsCall { answer, ..self }
    }
}

/// A change of a key's policy, grants or state, or of a principal.
pub struct ChangeFact {
    pub receipt: RecordReceipt,
    pub name: String,
    pub by: String,
    pub key: Option<String>,
    pub target: Option<String>,
}

pub struct GrantFact {
    pub key: WorldKey,
    pub grant_id: String,
    pub grantee: String,
    pub retiring: Option<String>,
    pub operations: Vec<String>,
    /// `subset` or `equals`, and the context.
    pub constraint: Option<(&'static str, Value)>,
    pub table: Option<WorldTable>,
    pub created: Option<(RecordReceipt, String, Option<&'static str>)>,
    pub ended: Option<(RecordReceipt, Option<String>, &'static str)>,
}

pub struct PolicyVersion {
    pub key: WorldKey,
    pub receipt: RecordReceipt,
    pub by: String,
    pub statements: Vec<WorldStatement>,
    pub is_whole: bool,
    pub is_first: bool,
}

pub struct StateChange {
    pub key: WorldKey,
    pub receipt: RecordReceipt,
    pub by: String,
    pub state: &'static str,
}

pub struct PlantedWorld {
    pub dice: WorldDice,
    pub odd: OddHours,
    pub records: Vec<PlantedRecord>,
    pub calls: Vec<CallFact>,
    pub changes: Vec<ChangeFact>,
    pub grants: Vec<GrantFact>,
    pub policies: Vec<PolicyVersion>,
    pub states: Vec<StateChange>,
    pub truth: WorldTruth,
    /// Who may change things, by account.
    pub admins: Vec<WorldActor>,
    names: BTreeSet<String>,
}

pub const CRYPTO: [&str; 4] = ["Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"];

impl PlantedWorld {
    pub fn new(seed: u64) -> PlantedWorld {
        let mut dice = WorldDice::new(seed);
        let odd = OddHours::new(&mut dice);
        PlantedWorld {
            dice,
            odd,
            records: Vec::new(),
            calls: Vec::new(),
            changes: Vec::new(),
            grants: Vec::new(),
            policies: Vec::new(),
            states: Vec::new(),
            truth: WorldTruth::default(),
            admins: Vec::new(),
            names: BTreeSet::new(),
        }
    }

    /// A name that nothing in the world has yet.
    pub fn name(&mut self, stem: &str) -> String {
        loop {
            let name = format!("{stem}-{}", self.dice.text(super::dice::HEX, 6));
            if self.names.insert(name.clone()) {
                return name;
            }
        }
    }

    pub fn lanes() -> impl Iterator<Item = (&'static str, &'static str)> {
        ACCOUNTS.into_iter().flat_map(|account| REGIONS.map(|region| (account, region)))
    }

    /// True if a story may plant something at this time: the files of an odd hour hold that hour alone.
    pub fn is_free(&self, time: i64) -> bool {
        let (hour, minute) = (hour_of(time), (time - FIRST_SECOND) % 3600 / 60);
        let near_odd = self.odd.is_odd(hour + 1) && minute > 50;
        (0..HOURS).contains(&hour) && !self.odd.is_odd(hour) && !near_odd && (hour != HOURS - 1 || minute <= 50)
    }

    /// The first free time from `time` on.
    pub fn settle(&self, time: i64) -> i64 {
        let mut settled = time;
        while !self.is_free(settled) {
            assert!(settled <= LAST_SECOND, "the story does not end in the world's hours");
            settled += 60;
        }
        settled
    }

    pub fn admin(&mut self, account: &str) -> WorldActor {
        let all: Vec<WorldActor> = self.admins.iter().filter(|admin| admin.account == account).cloned().collect();
        self.dice.pick(&all).clone()
    }

    /// Plants a record of the caller's account, or of the one that `more` names as recipient.
    pub fn plant(&mut self, draft: RecordDraft) -> RecordReceipt {
        let receipt = RecordReceipt { time: draft.time, event_id: self.dice.uuid(), request_id: self.dice.uuid() };
        let is_made_by_service = draft.via.is_some() || draft.who.kind == ActorKind::Service;
        let address = draft.via.unwrap_or(&draft.who.address);
        let agent =
            if is_made_by_service { address } else { "aws-cli/2.31.0 ua/2.1 os/linux#6.1.0 lang/python#3.13.7" };
        let mut record = json!({
            "eventVersion": "1.11",
            "userIdentity": draft.who.identity(draft.time, draft.via),
            "eventTime": iso(draft.time),
            "eventSource": format!("{}.amazonaws.com", draft.service),
            "eventName": draft.name,
            "awsRegion": draft.region,
            "sourceIPAddress": address,
            "userAgent": agent,
            "requestParameters": draft.request,
            "responseElements": draft.response,
            "requestID": receipt.request_id,
            "eventID": receipt.event_id,
            "readOnly": draft.read_only,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": draft.who.account,
            "eventCategory": "Management",
        });
        if let Some((code, message)) = draft.error {
            record["errorCode"] = json!(code);
            record["errorMessage"] = json!(message);
        }
        if draft.who.kind == ActorKind::Service {
            record["sharedEventID"] = json!(self.dice.uuid());
        }
        for (member, value) in draft.more {
            record[member] = value;
        }
        let recipient = record["recipientAccountId"].as_str().unwrap();
        let account = ACCOUNTS.into_iter().find(|account| *account == recipient).expect("an account of the world");
        self.push(PlantedRecord {
            time: draft.time,
            account,
            region: draft.region,
            text: record.to_string(),
            is_kept: true,
        });
        receipt
    }

    /// Plants a record that the default filter leaves out.
    pub fn plant_beside(&mut self, draft: RecordDraft) {
        self.plant(draft);
        self.records.last_mut().expect("it was just planted").is_kept = false;
    }

    fn push(&mut self, record: PlantedRecord) {
        let lane = (record.account, record.region, hour_of(record.time));
        assert!(!self.odd.has_nothing(lane), "a record is planted where nothing is to be: {}", record.text);
        self.records.push(record);
    }

    /// Plants a use of a key; of another account's key that was used, both copies.
    pub fn use_key(&mut self, call: KmsCall) -> RecordReceipt {
        let mut draft = RecordDraft::new(call.time, call.who, ("kms", call.operation));
        (draft.region, draft.via, draft.read_only) = (call.key.region, call.via, true);
        let is_foreign = call.who.kind != ActorKind::Service && call.who.account != call.key.account;
        let action = format!("kms:{}", call.operation);
        if call.who.kind == ActorKind::Service {
            draft.more.push(("recipientAccountId", json!(call.key.account)));
        }
        if let KmsAnswer::Refused(reason, naming) = call.answer {
            draft.error = Some(("AccessDenied", refusal(&call, (reason, naming), &action)));
        } else {
            draft.request = parameters(&call);
            draft.more.push(("resources", json!([call.key.resource()])));
        }
        match call.answer {
            KmsAnswer::Disabled => draft.error = Some(("DisabledException", format!("{} is disabled.", call.key.arn))),
            KmsAnswer::Done => draft.more.push(("additionalEventData", json!({"keyMaterialId": call.key.material}))),
            KmsAnswer::Refused(..) => {}
        }
        let is_shared = is_foreign && call.answer == KmsAnswer::Done;
        let shared = json!(self.dice.uuid());
        if is_shared {
            draft.more.push(("sharedEventID", shared.clone()));
        }
        let receipt = self.plant(draft);
        if is_shared {
            self.plant_owners_copy(&call, (&receipt, shared));
        }
        let names_key = !matches!(call.answer, KmsAnswer::Refused(_, KeyNaming::Nothing));
        self.calls.push(CallFact {
            receipt: receipt.clone(),
            who: call.who.clone(),
            lane: lane_of(call.who, call.key),
            operation: call.operation.to_owned(),
            is_crypto: CRYPTO.contains(&call.operation),
            key: names_key.then(|| call.key.clone()),
            table: call.table.filter(|_| call.answer == KmsAnswer::Done || call.answer == KmsAnswer::Disabled).cloned(),
            context: call.context,
            via: call.via,
            answer: call.answer,
        });
        receipt
    }

    fn plant_owners_copy(&mut self, call: &KmsCall, (receipt, shared): (&RecordReceipt, Value)) {
        let mut draft = RecordDraft::new(call.time, call.who, ("kms", call.operation));
        (draft.region, draft.via, draft.read_only, draft.request) = (call.key.region, call.via, true, parameters(call));
        draft.more = vec![
            ("recipientAccountId", json!(call.key.account)),
            ("userIdentity", call.who.foreign_identity()),
            ("resources", json!([call.key.resource()])),
            ("sharedEventID", shared),
            ("requestID", json!(receipt.request_id)),
        ];
        self.plant(draft);
    }

    /// Plants a change of a key by KMS's own API. A refused one has neither parameters nor resources.
    pub fn change_key(&mut self, key: &WorldKey, draft: RecordDraft) -> RecordReceipt {
        let (who, name, via) = (draft.who.clone(), draft.name.to_owned(), draft.via);
        let mut draft = RecordDraft { region: key.region, ..draft };
        let is_done = draft.error.is_none();
        if is_done && !draft.more.iter().any(|(member, _)| *member == "resources") {
            draft.more.push(("resources", json!([key.resource()])));
        }
        draft.more.push(("recipientAccountId", json!(key.account)));
        let receipt = self.plant(draft);
        let answer = if is_done { KmsAnswer::Done } else { KmsAnswer::Refused(&UNNAMED_REASON, KeyNaming::Key) };
        let (lane, key, context) = (lane_of(&who, key), Some(key.clone()), Value::Null);
        self.calls.push(CallFact {
            receipt: receipt.clone(),
            who,
            lane,
            operation: name,
            is_crypto: false,
            key,
            table: None,
            context,
            via,
            answer,
        });
        receipt
    }

    /// Books a change that bears on a key or a principal.
    pub fn book_change(
        &mut self,
        receipt: &RecordReceipt,
        (name, by): (&str, &WorldActor),
        on: (Option<&WorldKey>, Option<&WorldActor>),
    ) {
        self.changes.push(ChangeFact {
            receipt: receipt.clone(),
            name: name.to_owned(),
            by: by.principal.clone(),
            key: on.0.map(|key| key.arn.clone()),
            target: on.1.map(|actor| actor.principal.clone()),
        });
    }
}

pub static UNNAMED_REASON: RefusalReason = RefusalReason {
    column: "identity_policy",
    effect: Some("implicit"),
    clause: "because no identity-based policy allows the {} action",
};

fn lane_of(who: &WorldActor, key: &WorldKey) -> (&'static str, &'static str) {
    (if who.kind == ActorKind::Service { key.account } else { who.account }, key.region)
}

fn parameters(call: &KmsCall) -> Value {
    let mut request = Map::new();
    if !call.context.is_null() {
        request.insert("encryptionContext".to_owned(), call.context.clone());
    }
    match call.operation {
        "Decrypt" => request.insert("encryptionAlgorithm".to_owned(), json!("SYMMETRIC_DEFAULT")),
        "Encrypt" => request.insert("keyId".to_owned(), json!(call.key.id)),
        _ => {
            request.insert("keySpec".to_owned(), json!("AES_256"));
            request.insert("keyId".to_owned(), json!(call.key.arn))
        }
    };
    Value::Object(request)
}

fn refusal(call: &KmsCall, (reason, naming): (&RefusalReason, KeyNaming), action: &str) -> String {
    let clause = reason.clause.replace("{}", action);
    if reason.column == "unparsed" {
        return format!("Access to {} is refused to {}", call.key.arn, call.who.caller_arn());
    }
    let place = match naming {
        KeyNaming::Key => format!("on resource: {}", call.key.arn),
        KeyNaming::Nothing => "on the resource associated with this ciphertext".to_owned(),
    };
    format!("User: {} is not authorized to perform: {action} {place} {clause}", call.who.caller_arn())
        .trim_end()
        .to_owned()
}
