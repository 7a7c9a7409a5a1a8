//! The target of each change of access, and what its document allows.
//! In: calls that change who may do what, in any order. Out: one row an event, by its id and time: records that keep no
//! id of their own may share one.
//! Never reads a policy's text out of a later call, and never takes one of the same second for an earlier one, but for
//! the call that made the policy: nobody attaches one that is not there yet.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Text, TextList, Timestamp};

use super::access_call::{
    AccessCall, AccessTarget, BroughtDocument, DocumentReading, PolicyStep, ReadCall, STRING_BYTES,
};
use super::input::{InputBatch, TextCells, TimeCells};
use super::output::{OutputCell, OutputRows, column};
use super::{Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const ACCESS_CHANGE_FACTS: DerivedTable = DerivedTable {
    name: "access_change_facts",
    columns: COLUMNS,
    by: &[],
    unique: &["event_id", "event_time"],
    time: RowTime::None,
    start: |_| Box::new(AccessFacts::default()),
};

const COLUMNS: &[OutputColumn] = &[
    column("event_id", Text),
    column("event_time", Timestamp),
    column("target", Text),
    column("target_kind", Text),
    column("allows_kms", TextList),
    column("reading", Text),
];

/// Rough sizes of an event and of a change of a policy, with their places in trees.
const EVENT_BYTES: usize = 320;
const STEP_BYTES: usize = 160;
/// Rough size of a reading by the event that names its policy.
const NAMED_BYTES: usize = 2 * STRING_BYTES + 64;

/// The changes so far.
#[derive(Default)]
struct AccessFacts {
    events: BTreeMap<EventAtTime, ChangeFacts>,
    /// The changes of each policy, by its ARN or id.
    policies: BTreeMap<String, BTreeSet<TimedStep>>,
    /// The grantee of each grant, by key and id.
    grantees: BTreeMap<(String, String), AccessTarget>,
    bytes: usize,
}

/// The id of an event with its time.
type EventAtTime = (String, Option<i64>);

/// A change of a policy with its time and the id of its event.
type TimedStep = (Option<i64>, String, PolicyStep);

/// One change, as its own record tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ChangeFacts {
    target: AccessTarget,
    /// `None` where two events of one id tell of two.
    document: Option<BroughtDocument>,
    /// Of a grant that ends: its key and id.
    ended_grant: Option<(String, String)>,
}

/// The versions of one policy up to some time.
#[derive(Default)]
struct PolicyState {
    default: Option<DocumentReading>,
    versions: BTreeMap<String, DocumentReading>,
}

impl PolicyState {
    fn take(&mut self, step: &PolicyStep) {
        match step {
            PolicyStep::Made(reading) => {
                *self = PolicyState::default();
                self.versions.insert("v1".to_owned(), reading.clone());
                self.default = Some(reading.clone());
            }
            PolicyStep::Version(id, reading) => self.add(id.as_ref(), reading),
            PolicyStep::DefaultVersion(id, reading) => {
                self.add(id.as_ref(), reading);
                self.default = Some(reading.clone());
            }
            PolicyStep::Default(id) => self.default = self.versions.get(id).cloned(),
            PolicyStep::Deleted => *self = PolicyState::default(),
        }
    }

    fn add(&mut self, id: Option<&String>, reading: &DocumentReading) {
        if let Some(id) = id {
            self.versions.insert(id.clone(), reading.clone());
        }
    }
}

/// The changes of a policy in one second, read once for all events of that second that name it.
struct PolicySecond<'a> {
    time: Option<i64>,
    /// The versions that were made in it, each as it was first.
    made: BTreeMap<&'a str, &'a DocumentReading>,
    first: Option<&'a PolicyStep>,
    /// True if there is no change beside the first.
    is_alone: bool,
}

impl<'a> PolicySecond<'a> {
    fn of(time: Option<i64>, steps: impl Iterator<Item = &'a PolicyStep>) -> PolicySecond<'a> {
        let mut second = PolicySecond { time, made: BTreeMap::new(), first: None, is_alone: true };
        for step in steps {
            #[cfg(test)]
            crate::testing::count_look();
            let made = match step {
                PolicyStep::Version(Some(id), reading) => Some((id.as_str(), reading)),
                PolicyStep::Made(reading) => Some(("v1", reading)),
                _ => None,
            };
            if let Some((id, reading)) = made {
                second.made.entry(id).or_insert(reading);
            }
            second.is_alone = second.first.is_none();
            second.first = second.first.or(Some(step));
        }
        second
    }
}

/// The readings that events name but do not have: those of policies, by the events.
#[derive(Default)]
struct NamedReadings {
    readings: BTreeMap<EventAtTime, DocumentReading>,
}

impl NamedReadings {
    /// Walks once through the changes of a policy and the events that name it, both by time.
    fn take(&mut self, steps: &BTreeSet<TimedStep>, mut naming: Vec<(Option<i64>, &str, Option<&str>)>) {
        naming.sort_unstable();
        let mut state = PolicyState::default();
        let (undated, dated): (Vec<&TimedStep>, Vec<&TimedStep>) = steps.iter().partition(|(at, _, _)| at.is_none());
        let mut steps = dated.into_iter().peekable();
        let mut second: Option<PolicySecond<'_>> = None;
        for (time, event_id, version) in naming {
            while let Some((_, _, step)) = steps.next_if(|(at, _, _)| *at < time) {
                state.take(step);
            }
            if second.as_ref().is_none_or(|known| known.time != time) {
                let here = steps.clone().take_while(|(at, ..)| *at == time).map(|(_, _, step)| step);
                second = Some(PolicySecond::of(time, here));
            }
            let here = second.as_ref().expect("it was read above if it was not known");
            let reading = match version {
                // A version must be there before it becomes the default.
                Some(version) => {
                    let made_now = here.made.get(version).copied();
                    made_now.or_else(|| state.versions.get(version)).cloned()
                }
                None => match (here.first, here.is_alone) {
                    (None, _) => state.default.clone(),
                    (Some(PolicyStep::Made(reading)), true) if state.default.is_none() => Some(reading.clone()),
                    // A version that is no default changes nothing for those who have the policy.
                    (Some(PolicyStep::Version(..)), true) => state.default.clone(),
                    _ => None,
                },
            };
            // A change without a time may stand anywhere.
            let is_sure = |reading: &DocumentReading| undated.iter().all(|(_, _, step)| leaves(step, version, reading));
            if let Some(reading) = reading.filter(is_sure) {
                self.readings.insert((event_id.to_owned(), time), reading);
            }
        }
    }
}

/// True if a policy's version, or its default, has a reading whether or not a change stood before.
fn leaves(step: &PolicyStep, version: Option<&str>, reading: &DocumentReading) -> bool {
    match (step, version) {
        (PolicyStep::Made(made), Some("v1")) => made == reading,
        (PolicyStep::Version(Some(id), made) | PolicyStep::DefaultVersion(Some(id), made), Some(version)) => {
            id != version || made == reading
        }
        (_, Some(_)) | (PolicyStep::Version(..), None) => true,
        (PolicyStep::Made(made) | PolicyStep::DefaultVersion(_, made), None) => made == reading,
        (PolicyStep::Default(_) | PolicyStep::Deleted, None) => false,
    }
}

/// The time and id of an event that names a version of a policy, and the version; `None` for its default.
type NamedVersion<'a> = (Option<i64>, &'a str, Option<&'a str>);

impl ChangeFacts {
    /// Rough size of the texts.
    fn bytes(&self) -> usize {
        let target = self.target.name.as_ref().map_or(0, String::len);
        let grant = self.ended_grant.as_ref().map_or(0, |(key, grant)| key.len() + grant.len());
        let document = self.document.as_ref().map_or(0, |document| match document {
            BroughtDocument::Nothing => 0,
            BroughtDocument::Text(reading) => reading.bytes(),
            // A reading is named by its event once more while rows are made.
            BroughtDocument::OfPolicy(policy) => policy.len() + NAMED_BYTES,
            BroughtDocument::OfVersion(policy, version) => policy.len() + version.len() + NAMED_BYTES,
        });
        target + grant + document
    }
}

impl AccessFacts {
    fn add(&mut self, event: EventAtTime, facts: ChangeFacts) {
        match self.events.get_mut(&event) {
            // Two events of one id and time that tell different things: neither is told.
            Some(known) if *known != facts => {
                known.target = AccessTarget::default();
                known.document = None;
                known.ended_grant = None;
            }
            Some(_) => {}
            None => {
                self.bytes += EVENT_BYTES + event.0.len() + facts.bytes();
                self.events.insert(event, facts);
            }
        }
    }

    fn add_success(&mut self, event: &EventAtTime, facts: &ChangeFacts, call: &ReadCall<'_>) {
        if let Some((policy, step)) = facts.document.as_ref().and_then(|document| call.policy_step(document)) {
            // The step shares its reading with the event, if that is held.
            let own = if self.events.contains_key(event) { facts.bytes() } else { 0 };
            self.bytes += STEP_BYTES + policy.len() + event.0.len() + own;
            self.policies.entry(policy).or_default().insert((event.1, event.0.clone(), step));
        }
    }

    fn named_readings(&self) -> NamedReadings {
        let mut naming: BTreeMap<&str, Vec<NamedVersion<'_>>> = BTreeMap::new();
        for ((event_id, time), facts) in &self.events {
            let (policy, version) = match &facts.document {
                Some(BroughtDocument::OfPolicy(policy)) => (policy, None),
                Some(BroughtDocument::OfVersion(policy, version)) => (policy, Some(version.as_str())),
                _ => continue,
            };
            naming.entry(policy).or_default().push((*time, event_id, version));
        }
        let mut readings = NamedReadings::default();
        for (policy, naming) in naming {
            if let Some(steps) = self.policies.get(policy) {
                readings.take(steps, naming);
            }
        }
        readings
    }
}

/// The columns of one batch of the input.
struct AccessColumns<'a> {
    event_id: TextCells<'a>,
    event_time: TimeCells<'a>,
    outcome: TextCells<'a>,
    service: TextCells<'a>,
    event_name: TextCells<'a>,
    region: TextCells<'a>,
    account_id: TextCells<'a>,
    key_arn: TextCells<'a>,
    grant_id: TextCells<'a>,
    grantee_principal: TextCells<'a>,
    denied_resource: TextCells<'a>,
    request_parameters: TextCells<'a>,
    response_elements: TextCells<'a>,
}

impl<'a> AccessColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<AccessColumns<'a>, ArrowError> {
        Ok(AccessColumns {
            event_id: rows.texts("event_id")?,
            event_time: rows.times("event_time")?,
            outcome: rows.texts("outcome")?,
            service: rows.texts("service")?,
            event_name: rows.texts("event_name")?,
            region: rows.texts("aws_region")?,
            account_id: rows.texts("account_id")?,
            key_arn: rows.texts("key_arn")?,
            grant_id: rows.texts("grant_id")?,
            grantee_principal: rows.texts("grantee_principal")?,
            denied_resource: rows.texts("denied_resource")?,
            request_parameters: rows.texts("request_parameters")?,
            response_elements: rows.texts("response_elements")?,
        })
    }

    fn call(&self, row: usize) -> AccessCall<'a> {
        AccessCall {
            service: self.service.get(row).unwrap_or_default(),
            event_name: self.event_name.get(row).unwrap_or_default(),
            region: self.region.get(row),
            account_id: self.account_id.get(row),
            key_arn: self.key_arn.get(row),
            grantee_principal: self.grantee_principal.get(row),
            denied_resource: self.denied_resource.get(row),
            request_parameters: self.request_parameters.get(row),
            response_elements: self.response_elements.get(row),
        }
    }

    /// The grant that a call makes or ends, by key and id.
    fn grant(&self, row: usize) -> Option<(String, String)> {
        Some((self.key_arn.owned(row)?, self.grant_id.owned(row)?))
    }
}

impl Derivation for AccessFacts {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let calls = AccessColumns::of(InputBatch::new("access_change_facts", rows))?;
        for row in 0..rows.num_rows() {
            let Some(event_id) = calls.event_id.get(row) else { continue };
            let call = calls.call(row);
            let read = ReadCall::of(call);
            let is_success = calls.outcome.get(row) == Some("success");
            let ends_grant = matches!(call.event_name, "RevokeGrant" | "RetireGrant");
            let event = (event_id.to_owned(), calls.event_time.get(row));
            let facts = ChangeFacts {
                target: read.target(),
                document: Some(if is_success { read.document() } else { BroughtDocument::Nothing }),
                ended_grant: calls.grant(row).filter(|_| ends_grant),
            };
            if is_success {
                self.add_success(&event, &facts, &read);
                let made = calls.grant(row).filter(|_| call.event_name == "CreateGrant");
                if let Some(grant) = made {
                    let grantee = facts.target.name.as_ref().map_or(0, String::len);
                    self.bytes += STEP_BYTES + grant.0.len() + grant.1.len() + grantee;
                    // A retry has the same grantee; if records still differ, their order must not matter.
                    let known = self.grantees.entry(grant).or_insert_with(|| facts.target.clone());
                    if facts.target < *known {
                        *known = facts.target.clone();
                    }
                }
            }
            self.add(event, facts);
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        let named = self.named_readings();
        let nothing = DocumentReading { word: "none", allows_kms: None };
        for (event, facts) in &self.events {
            // The grantee of a grant whose making is not here is not known.
            let unknown = AccessTarget::default();
            let target = match &facts.ended_grant {
                Some(grant) => self.grantees.get(grant).unwrap_or(&unknown),
                None => &facts.target,
            };
            let reading = match &facts.document {
                Some(BroughtDocument::Nothing) => Some(&nothing),
                Some(BroughtDocument::Text(reading)) => Some(reading),
                Some(BroughtDocument::OfPolicy(_) | BroughtDocument::OfVersion(..)) => named.readings.get(event),
                None => None,
            };
            rows.push([
                (&event.0).into(),
                OutputCell::Time(event.1),
                (&target.name).into(),
                target.kind.into(),
                OutputCell::Texts(reading.and_then(|reading| reading.allows_kms.as_deref())),
                OutputCell::Text(reading.map(|reading| reading.word)),
            ])?;
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
    use serde_json::{Value, json};

    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1";
    const DECRYPT: &str = r#"{"Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}"#;
    const EVERYTHING: &str = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    const READ_BUCKETS: &str = r#"{"Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}"#;
    const POLICY: &str = "arn:aws:iam::111122223333:policy/p";

    /// A call: `SECOND SERVICE NAME OUTCOME`, its parameters and its answer.
    type Call<'a> = (&'a str, Value, Value);

    fn batch(number: usize, (words, request, response): &Call<'_>) -> RecordBatch {
        let words: Vec<&str> = words.split(' ').collect();
        let text = |value: Option<&str>| Arc::new([value].into_iter().collect::<StringArray>()) as ArrayRef;
        let json = |value: &Value| text(value.is_object().then(|| value.to_string()).as_deref());
        let of = |value: &Value, name: &str| text(value[name].as_str());
        let id = format!("{number:02}");
        let times = TimestampMicrosecondArray::from(vec![words[0].parse::<i64>().ok()]).with_timezone("UTC");
        let is_kms = words[1] == "kms";
        let grant_id = if response["grantId"].is_string() { response } else { request };
        RecordBatch::try_from_iter_with_nullable(
            [
                ("event_id", text(Some(&id))),
                ("event_time", Arc::new(times)),
                ("service", text(Some(words[1]))),
                ("event_name", text(Some(words[2]))),
                ("outcome", text(Some(words.get(3).unwrap_or(&"success")))),
                ("aws_region", text(Some("us-east-1"))),
                ("account_id", text(Some("111122223333"))),
                ("key_arn", text(is_kms.then_some(KEY))),
                ("grant_id", of(grant_id, "grantId")),
                ("grantee_principal", of(request, "granteePrincipal")),
                ("denied_resource", of(response, "denied")),
                ("request_parameters", json(request)),
                ("response_elements", json(response)),
            ]
            .map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    }

    /// A row a call: `TARGET KIND READING ALLOWS`, `-` for NULL.
    fn facts<'a>(calls: impl Iterator<Item = (usize, &'a Call<'a>)>) -> Vec<String> {
        let mut facts = Box::new(AccessFacts::default());
        calls.for_each(|(number, call)| facts.take(&batch(number, call)).unwrap());
        assert!(facts.bytes_held() >= facts.events.len() * EVENT_BYTES);
        let rows = facts.finish().unwrap();
        let text = |name: &str, row: usize| {
            let column = rows[name].as_string::<i32>();
            if column.is_valid(row) { column.value(row).to_owned() } else { "-".to_owned() }
        };
        let allows = |row: usize| {
            let column = rows["allows_kms"].as_list::<i32>();
            let items = column.is_valid(row).then(|| column.value(row));
            let texts = items.map(|items| items.as_string::<i32>().iter().flatten().collect::<Vec<_>>().join(","));
            texts.map_or("-".to_owned(), |texts| format!("[{texts}]"))
        };
        let row = |row| [text("target", row), text("target_kind", row), text("reading", row), allows(row)].join(" ");
        (0..rows.num_rows()).map(row).collect()
    }

    fn assert_facts(calls: &[(Call<'_>, &str)]) {
        let wanted: Vec<_> = calls.iter().map(|(_, row)| row.to_string()).collect();
        assert_eq!(facts(calls.iter().map(|(call, _)| call).enumerate()), wanted);
        let backwards: Vec<_> = calls.iter().map(|(call, _)| call).enumerate().collect();
        assert_eq!(facts(backwards.into_iter().rev()), wanted, "in another order");
    }

    #[test]
    fn calls_tell_their_target_and_what_they_bring() {
        let none = || Value::Null;
        let user = |more: Value| {
            let mut request = json!({"userName": "ann", "policyName": "x"});
            request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            request
        };
        const ANN: &str = "arn:aws:iam::111122223333:user/ann";
        const APP: &str = "arn:aws:iam::111122223333:role/app";
        assert_facts(&[
            (
                ("1 iam PutUserPolicy", user(json!({"policyDocument": DECRYPT})), none()),
                &format!("{ANN} user whole [kms:Decrypt]"),
            ),
            (
                ("1 iam PutUserPolicy", user(json!({"policyDocument": READ_BUCKETS})), none()),
                &format!("{ANN} user whole []"),
            ),
            (
                ("1 iam PutUserPolicy", user(json!({"policyDocument": &DECRYPT[..30]})), none()),
                &format!("{ANN} user truncated -"),
            ),
            (("1 iam PutUserPolicy", user(json!({"policyDocument": "x"})), none()), &format!("{ANN} user unparsed -")),
            (
                ("1 iam PutUserPolicy denied", user(json!({"policyDocument": DECRYPT})), none()),
                &format!("{ANN} user none -"),
            ),
            (("1 iam PutUserPolicy denied", none(), json!({"denied": ANN})), &format!("{ANN} user none -")),
            (("1 iam PutUserPolicy denied", none(), json!({"denied": "user ann"})), &format!("{ANN} user none -")),
            (("1 iam PutUserPolicy denied", none(), json!({"denied": "*"})), "- user none -"),
            (("1 iam PutRolePolicy", json!({"omitted": true, "originalSize": 300_000}), none()), "- role truncated -"),
            (("1 iam DeleteUserPolicy", user(json!({})), none()), &format!("{ANN} user none -")),
            (
                ("1 iam AddUserToGroup", json!({"groupName": "g", "userName": "ann"}), none()),
                &format!("{ANN} user none -"),
            ),
            (
                ("1 iam PutGroupPolicy", json!({"groupName": "g", "policyDocument": DECRYPT}), none()),
                "arn:aws:iam::111122223333:group/g group whole [kms:Decrypt]",
            ),
            (
                (
                    "1 iam CreateRole",
                    json!({"roleName": "app", "path": "/team/", "assumeRolePolicyDocument": DECRYPT}),
                    none(),
                ),
                "arn:aws:iam::111122223333:role/team/app role whole []",
            ),
            (
                (
                    "1 iam CreateRole",
                    json!({"roleName": "app", "assumeRolePolicyDocument": READ_BUCKETS}),
                    json!({"role": {"arn": APP}}),
                ),
                &format!("{APP} role whole []"),
            ),
            // Nobody may use a key by a trust policy, whatever its actions.
            (
                ("1 iam UpdateAssumeRolePolicy", json!({"roleName": "app", "policyDocument": EVERYTHING}), none()),
                &format!("{APP} role whole []"),
            ),
            (
                (
                    "1 iam UpdateAssumeRolePolicy",
                    json!({"roleName": "app", "policyDocument": &EVERYTHING[..30]}),
                    none(),
                ),
                &format!("{APP} role truncated -"),
            ),
            (
                ("1 iam PutRolePolicy", json!({"roleName": "app", "policyDocument": EVERYTHING}), none()),
                &format!("{APP} role whole [*]"),
            ),
            (
                ("1 iam DeleteRolePermissionsBoundary", json!({"roleName": "app"}), none()),
                &format!("{APP} role none -"),
            ),
            (
                ("1 iam DeletePolicyVersion", json!({"policyArn": POLICY, "versionId": "v2"}), none()),
                &format!("{POLICY} policy none -"),
            ),
            (
                (
                    "1 organizations CreatePolicy",
                    json!({"content": DECRYPT, "type": "SERVICE_CONTROL_POLICY"}),
                    json!({"policy": {"policySummary": {"id": "p-1", "arn": "arn:aws:organizations::111122223333:policy/o-1/service_control_policy/p-1"}}}),
                ),
                "arn:aws:organizations::111122223333:policy/o-1/service_control_policy/p-1 scp whole [kms:Decrypt]",
            ),
            (
                (
                    "2 organizations MoveAccount",
                    json!({"accountId": "444455556666", "sourceParentId": "r-ab12", "destinationParentId": "ou-ab12-1"}),
                    none(),
                ),
                "444455556666 account none -",
            ),
            (("2 organizations RemoveAccountFromOrganization denied", none(), none()), "- account none -"),
            (
                ("2 organizations AttachPolicy", json!({"policyId": "p-1", "targetId": "444455556666"}), none()),
                "444455556666 account whole [kms:Decrypt]",
            ),
            (
                ("2 organizations DetachPolicy", json!({"policyId": "p-1", "targetId": "ou-ab12-11111111"}), none()),
                "ou-ab12-11111111 organizational_unit none -",
            ),
            (
                (
                    "2 organizations DisablePolicyType",
                    json!({"rootId": "r-ab12", "policyType": "SERVICE_CONTROL_POLICY"}),
                    none(),
                ),
                "r-ab12 root none -",
            ),
            (
                (
                    "1 ec2 ModifyVpcEndpoint",
                    json!({"ModifyVpcEndpointRequest": {"VpcEndpointId": "vpce-1", "PolicyDocument": DECRYPT}}),
                    none(),
                ),
                "arn:aws:ec2:us-east-1:111122223333:vpc-endpoint/vpce-1 vpc_endpoint whole [kms:Decrypt]",
            ),
            (("1 kms PutKeyPolicy", json!({"policy": DECRYPT}), none()), &format!("{KEY} key whole [kms:Decrypt]")),
            (
                (
                    "1 kms PutKeyPolicy",
                    json!({"policy": {"Statement": [{"Effect": "Allow", "Action": "kms:Sign", "Resource": "*"}]}}),
                    none(),
                ),
                &format!("{KEY} key whole [kms:Sign]"),
            ),
            (("1 kms CreateKey", json!({"description": ""}), none()), &format!("{KEY} key none -")),
            (("1 kms CreateKey", json!({"policy": null}), none()), &format!("{KEY} key none -")),
            (
                (
                    "1 kms CreateGrant",
                    json!({"granteeServicePrincipal": "dynamodb.us-east-1.amazonaws.com", "operations": ["Sign"]}),
                    none(),
                ),
                "dynamodb.us-east-1.amazonaws.com service whole [kms:Sign]",
            ),
            (
                (
                    "1 kms CreateGrant",
                    json!({"granteePrincipal": APP, "operations": ["Sign", "Decrypt"]}),
                    json!({"grantId": "g1"}),
                ),
                &format!("{APP} role whole [kms:Decrypt,kms:Sign]"),
            ),
            (("2 kms RevokeGrant", json!({"grantId": "g1"}), none()), &format!("{APP} role none -")),
            (("2 kms RevokeGrant", json!({"grantId": "g2"}), none()), "- - none -"),
            (
                (
                    "1 kms CreateGrant dry_run",
                    json!({"granteePrincipal": "dynamodb.us-east-1.amazonaws.com", "operations": ["Decrypt"]}),
                    none(),
                ),
                "dynamodb.us-east-1.amazonaws.com service none -",
            ),
        ]);
    }

    #[test]
    fn attachments_have_the_text_that_was_there_before() {
        let attach = |time: &'static str| (time, json!({"userName": "ann", "policyArn": POLICY}), Value::Null);
        let new =
            |time: &'static str, text: &str| (time, json!({"policyName": "p", "policyDocument": text}), Value::Null);
        let version = |time: &'static str, id: &str, text: &str, is_default: bool| {
            let request = json!({"policyArn": POLICY, "policyDocument": text, "setAsDefault": is_default});
            (time, request, json!({"policyVersion": {"versionId": id}}))
        };
        let default = |time: &'static str, id: &str| (time, json!({"policyArn": POLICY, "versionId": id}), Value::Null);
        const ANN: &str = "arn:aws:iam::111122223333:user/ann user";
        const OF_POLICY: &str = "arn:aws:iam::111122223333:policy/p policy";
        let none = format!("{ANN} none -");
        let unknown = format!("{ANN} - -");
        assert_facts(&[
            (attach("1 iam AttachUserPolicy"), &unknown),
            // Nobody attaches a policy in the second of its making before it is made.
            (attach("2 iam AttachUserPolicy"), &format!("{ANN} whole [kms:Decrypt]")),
            (new("2 iam CreatePolicy", DECRYPT), &format!("{OF_POLICY} whole [kms:Decrypt]")),
            (attach("3 iam AttachUserPolicy denied"), &none),
            (version("4 iam CreatePolicyVersion", "v2", READ_BUCKETS, false), &format!("{OF_POLICY} whole []")),
            (attach("4 iam AttachUserPolicy"), &format!("{ANN} whole [kms:Decrypt]")),
            // The default may have changed before or after.
            (attach("5 iam AttachUserPolicy"), &unknown),
            (default("5 iam SetDefaultPolicyVersion", "v2"), &format!("{OF_POLICY} whole []")),
            (attach("6 iam AttachUserPolicy"), &format!("{ANN} whole []")),
            (version("7 iam CreatePolicyVersion", "v3", &DECRYPT[..20], true), &format!("{OF_POLICY} truncated -")),
            (attach("8 iam AttachUserPolicy"), &format!("{ANN} truncated -")),
            (default("9 iam SetDefaultPolicyVersion", "v9"), &format!("{OF_POLICY} - -")),
            (attach("10 iam AttachUserPolicy"), &unknown),
            (default("11 iam SetDefaultPolicyVersion", "v1"), &format!("{OF_POLICY} whole [kms:Decrypt]")),
            (("12 iam DeletePolicy", json!({"policyArn": POLICY}), Value::Null), &format!("{OF_POLICY} none -")),
            (attach("13 iam AttachUserPolicy"), &unknown),
            // Only the answer tells that the version is the default.
            (
                (
                    "14 iam CreatePolicyVersion",
                    json!({"policyArn": POLICY, "policyDocument": EVERYTHING}),
                    json!({"policyVersion": {"versionId": "v4", "isDefaultVersion": true}}),
                ),
                &format!("{OF_POLICY} whole [*]"),
            ),
            (attach("15 iam AttachUserPolicy"), &format!("{ANN} whole [*]")),
            (
                (
                    "13 iam AttachUserPolicy",
                    json!({"userName": "ann", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
                    Value::Null,
                ),
                &unknown,
            ),
        ]);
    }

    #[test]
    fn a_change_without_a_time_takes_only_what_it_may_have_changed() {
        const ANN: &str = "arn:aws:iam::111122223333:user/ann user";
        const OF_POLICY: &str = "arn:aws:iam::111122223333:policy/p policy";
        let version = |time: &'static str, id: &str, text: &str, is_default: bool| {
            let request = json!({"policyArn": POLICY, "policyDocument": text, "setAsDefault": is_default});
            (time, request, json!({"policyVersion": {"versionId": id}}))
        };
        let default = |time: &'static str, id: &str| (time, json!({"policyArn": POLICY, "versionId": id}), Value::Null);
        let undated = |id: &str, text: &str, is_default| version("- iam CreatePolicyVersion", id, text, is_default);
        let (decrypt, buckets) = ("whole [kms:Decrypt]", "whole []");
        for (name, undated, of_undated, [of_attached, of_version]) in [
            ("a spare version", undated("v3", READ_BUCKETS, false), buckets, [decrypt, buckets]),
            ("another default", undated("v3", READ_BUCKETS, true), buckets, ["- -", buckets]),
            ("a default that allows the same", undated("v3", DECRYPT, true), decrypt, [decrypt, buckets]),
            ("the same version", undated("v2", READ_BUCKETS, false), buckets, [decrypt, buckets]),
            ("another text of a version", undated("v2", EVERYTHING, false), "whole [*]", [decrypt, "- -"]),
            ("an older default", default("- iam SetDefaultPolicyVersion", "v1"), "- -", ["- -", buckets]),
            (
                "a deletion",
                ("- iam DeletePolicy", json!({"policyArn": POLICY}), Value::Null),
                "none -",
                ["- -", buckets],
            ),
        ] {
            let calls = [
                ("1 iam CreatePolicy", json!({"policyName": "p", "policyDocument": DECRYPT}), Value::Null),
                version("2 iam CreatePolicyVersion", "v2", READ_BUCKETS, false),
                ("3 iam AttachUserPolicy", json!({"userName": "ann", "policyArn": POLICY}), Value::Null),
                default("4 iam SetDefaultPolicyVersion", "v2"),
                undated,
            ];
            let expected = [
                format!("{OF_POLICY} {decrypt}"),
                format!("{OF_POLICY} {buckets}"),
                format!("{ANN} {of_attached}"),
                format!("{OF_POLICY} {of_version}"),
                format!("{OF_POLICY} {of_undated}"),
            ];
            assert_eq!(facts(calls.iter().enumerate()), expected, "{name}");
            let backwards: Vec<_> = calls.iter().enumerate().collect();
            assert_eq!(facts(backwards.into_iter().rev()), expected, "{name} in another order");
        }
    }

    #[test]
    fn a_second_is_read_once_for_all_that_name_its_policy() {
        const CHANGES: usize = 3000;
        let mut steps: BTreeSet<TimedStep> = BTreeSet::new();
        let ids: Vec<String> = (0..CHANGES).map(|number| format!("{number:05}")).collect();
        steps.extend(ids.iter().map(|id| (Some(1), id.clone(), PolicyStep::Default("v1".to_owned()))));
        let reading = DocumentReading { word: "whole", allows_kms: None };
        steps.insert((Some(0), "made".to_owned(), PolicyStep::Made(reading)));
        let naming = ids.iter().map(|id| (Some(1), id.as_str(), Some("v1"))).collect();
        let mut named = NamedReadings::default();
        let before = crate::testing::looks();
        named.take(&steps, naming);
        assert_eq!(crate::testing::looks() - before, CHANGES);
        assert_eq!(named.readings.len(), CHANGES);
    }

    #[test]
    fn two_events_of_one_id_and_time_that_differ_tell_nothing() {
        let mut facts = Box::new(AccessFacts::default());
        for (call, user) in [("1 iam CreateUser", "ann"), ("1 iam CreateUser", "bob"), ("2 iam CreateUser", "joe")] {
            facts.take(&batch(1, &(call, json!({"userName": user}), Value::Null))).unwrap();
        }
        let rows = facts.finish().unwrap();
        assert_eq!(rows.num_rows(), 2);
        assert!(rows["target"].is_null(0) && rows["reading"].is_null(0));
        // Another time is another event.
        assert_eq!(rows["target"].as_string::<i32>().value(1), "arn:aws:iam::111122223333:user/joe");
    }
}
