//! The changes that the world knows: of keys, grants, tables, people's rights and sessions, each with its record and
//! its line in the books.
//! In: who changes what, and when. Out: receipts. Never decides when something happens.

use serde_json::{Value, json};

use super::actors::{ActorKind, DYNAMODB, SessionOrigin, WorldActor, WorldKey, WorldTable, iso};
use super::dice::{BASE32, HEX};
use super::documents::{WorldStatement, document};
use super::model::{GrantFact, PlantedWorld, PolicyVersion, RecordDraft, RecordReceipt, StateChange};

/// A grant before it is made.
pub struct GrantWish {
    pub grantee: String,
    pub retiring: Option<String>,
    pub operations: Vec<String>,
    pub constraint: Option<(&'static str, Value)>,
    pub table: Option<WorldTable>,
    pub via: Option<&'static str>,
}

impl GrantWish {
    pub fn to(grantee: &str, operations: &[&str]) -> GrantWish {
        let operations = operations.iter().map(|operation| (*operation).to_owned()).collect();
        GrantWish { grantee: grantee.to_owned(), retiring: None, operations, constraint: None, table: None, via: None }
    }
}

/// The text of a policy as it is logged.
#[derive(Clone, Copy, PartialEq)]
pub enum PolicyText {
    Whole,
    /// CloudTrail cut it.
    Cut,
}

/// The statement by which an account's own policies decide.
pub fn delegation(account: &str) -> WorldStatement {
    WorldStatement::allow("Account", &format!("arn:aws:iam::{account}:root"), &["kms:*"])
}

impl PlantedWorld {
    pub fn create_key(
        &mut self,
        time: i64,
        who: &WorldActor,
        (region, statements): (&'static str, &[WorldStatement]),
    ) -> WorldKey {
        let key = WorldKey::new(&mut self.dice, who.account, region);
        let text = document(statements, &mut self.dice);
        let metadata = json!({
            "aWSAccountId": key.account, "keyId": key.id, "arn": key.arn, "creationDate": iso(time), "enabled": true,
            "keyState": "Enabled", "origin": "AWS_KMS", "keyManager": "CUSTOMER", "keySpec": "SYMMETRIC_DEFAULT",
            "keyUsage": "ENCRYPT_DECRYPT", "multiRegion": false,
        });
        let mut draft = RecordDraft::new(time, who, ("kms", "CreateKey"));
        draft.request = json!({
            "policy": text, "description": "", "origin": "AWS_KMS", "keySpec": "SYMMETRIC_DEFAULT",
            "keyUsage": "ENCRYPT_DECRYPT", "multiRegion": false, "bypassPolicyLockoutSafetyCheck": false,
        });
        draft.response = json!({"keyMetadata": metadata});
        let receipt = self.change_key(&key, draft);
        self.book_change(&receipt, ("CreateKey", who), (Some(&key), None));
        self.policies.push(PolicyVersion {
            key: key.clone(),
            receipt: receipt.clone(),
            by: who.principal.clone(),
            statements: statements.to_vec(),
            is_whole: true,
            is_first: true,
        });
        self.book_state(&key, (&receipt, who), "Enabled");
        key
    }

    pub fn put_policy(
        &mut self,
        time: i64,
        who: &WorldActor,
        key: &WorldKey,
        (statements, text): (&[WorldStatement], PolicyText),
    ) -> RecordReceipt {
        let mut policy = document(statements, &mut self.dice);
        if text == PolicyText::Cut {
            policy.truncate(policy.len() * 2 / 3);
        }
        let mut draft = RecordDraft::new(time, who, ("kms", "PutKeyPolicy"));
        draft.request = json!({
            "keyId": key.id, "policyName": "default", "policy": policy, "bypassPolicyLockoutSafetyCheck": false,
        });
        let receipt = self.change_key(key, draft);
        self.book_change(&receipt, ("PutKeyPolicy", who), (Some(key), None));
        self.policies.push(PolicyVersion {
            key: key.clone(),
            receipt: receipt.clone(),
            by: who.principal.clone(),
            statements: statements.to_vec(),
            is_whole: text == PolicyText::Whole,
            is_first: false,
        });
        receipt
    }

    /// A change of a key that KMS refuses: it names the key, and says nothing else of it.
    pub fn fail_to_change(&mut self, time: i64, who: &WorldActor, key: &WorldKey, name: &str) -> RecordReceipt {
        let mut draft = RecordDraft::new(time, who, ("kms", name));
        let reason = format!("because no identity-based policy allows the kms:{name} action");
        let caller = who.caller_arn();
        let message =
            format!("User: {caller} is not authorized to perform: kms:{name} on resource: {} {reason}", key.arn);
        draft.error = Some(("AccessDenied", message));
        self.change_key(key, draft)
    }

    pub fn create_grant(
        &mut self,
        time: i64,
        who: &WorldActor,
        key: &WorldKey,
        wish: GrantWish,
    ) -> (RecordReceipt, String) {
        let grant_id = self.dice.text(HEX, 64);
        let receipt = self.plant_grant((time, who), key, (&grant_id, &wish));
        self.book_change(&receipt, ("CreateGrant", who), (Some(key), None));
        self.grants.push(GrantFact {
            key: key.clone(),
            grant_id: grant_id.clone(),
            grantee: wish.grantee,
            retiring: wish.retiring,
            operations: wish.operations,
            constraint: wish.constraint,
            table: wish.table,
            created: Some((receipt.clone(), who.principal.clone(), wish.via.map(|_| "dynamodb"))),
            ended: None,
        });
        (receipt, grant_id)
    }

    /// The record of a grant; that of a retry has the id of the first.
    pub fn plant_grant(
        &mut self,
        (time, who): (i64, &WorldActor),
        key: &WorldKey,
        (grant_id, wish): (&str, &GrantWish),
    ) -> RecordReceipt {
        let mut draft = RecordDraft::new(time, who, ("kms", "CreateGrant"));
        draft.via = wish.via;
        draft.request = json!({"keyId": key.arn, "granteePrincipal": wish.grantee, "operations": wish.operations});
        if let Some(retiring) = &wish.retiring {
            draft.request["retiringPrincipal"] = json!(retiring);
        }
        if let Some((kind, context)) = &wish.constraint {
            let member = if *kind == "equals" { "encryptionContextEquals" } else { "encryptionContextSubset" };
            draft.request["constraints"] = json!({member: context});
        }
        draft.response = json!({"grantId": grant_id, "keyId": key.arn});
        self.change_key(key, draft)
    }

    pub fn revoke_grant(&mut self, time: i64, who: &WorldActor, key: &WorldKey, grant_id: &str) -> RecordReceipt {
        let mut draft = RecordDraft::new(time, who, ("kms", "RevokeGrant"));
        draft.request = json!({"keyId": key.id, "grantId": grant_id});
        draft.response = json!({"keyId": key.arn});
        let receipt = self.change_key(key, draft);
        self.book_change(&receipt, ("RevokeGrant", who), (Some(key), None));
        self.end_grant((key, grant_id), (&receipt, Some(who.principal.clone())), "revoked");
        receipt
    }

    /// A grant that is retired by its token: only the additional data name it.
    pub fn retire_grant(&mut self, time: i64, who: &WorldActor, key: &WorldKey, grant_id: &str) -> RecordReceipt {
        let mut draft = RecordDraft::new(time, who, ("kms", "RetireGrant"));
        draft.response = json!({"keyId": key.arn});
        draft.more.push(("additionalEventData", json!({"grantId": grant_id})));
        let receipt = self.change_key(key, draft);
        self.book_change(&receipt, ("RetireGrant", who), (Some(key), None));
        self.end_grant((key, grant_id), (&receipt, Some(who.principal.clone())), "retired");
        receipt
    }

    pub fn end_grant(
        &mut self,
        (key, grant_id): (&WorldKey, &str),
        (receipt, by): (&RecordReceipt, Option<String>),
        kind: &'static str,
    ) {
        let known = self.grants.iter_mut().find(|grant| grant.grant_id == grant_id && grant.key.arn == key.arn);
        if let Some(grant) = known {
            grant.ended = Some((receipt.clone(), by, kind));
            return;
        }
        self.grants.push(GrantFact {
            key: key.clone(),
            grant_id: grant_id.to_owned(),
            grantee: String::new(),
            retiring: None,
            operations: Vec::new(),
            constraint: None,
            table: None,
            created: None,
            ended: Some((receipt.clone(), by, kind)),
        });
    }

    /// `DisableKey`, `EnableKey`, `ScheduleKeyDeletion` or `CancelKeyDeletion`.
    pub fn switch_key(&mut self, time: i64, who: &WorldActor, key: &WorldKey, name: &str) -> RecordReceipt {
        let mut draft = RecordDraft::new(time, who, ("kms", name));
        draft.request = json!({"keyId": key.id});
        draft.response = json!({"keyId": key.arn});
        let state = match name {
            "EnableKey" => "Enabled",
            "ScheduleKeyDeletion" => "PendingDeletion",
            _ => "Disabled",
        };
        if name == "ScheduleKeyDeletion" {
            draft.request["pendingWindowInDays"] = json!(7);
            draft.response["keyState"] = json!(state);
            draft.response["deletionDate"] = json!("Mar 12, 2026, 12:00:00 AM");
            draft.response["pendingWindowInDays"] = json!(7);
        }
        let receipt = self.change_key(key, draft);
        self.book_change(&receipt, (name, who), (Some(key), None));
        self.book_state(key, (&receipt, who), state);
        receipt
    }

    pub fn book_state(&mut self, key: &WorldKey, (receipt, who): (&RecordReceipt, &WorldActor), state: &'static str) {
        let by = who.principal.clone();
        self.states.push(StateChange { key: key.clone(), receipt: receipt.clone(), by, state });
    }

    /// A change by IAM, which its one Region logs; `target` is the principal that it names.
    pub fn change_iam(
        &mut self,
        time: i64,
        who: &WorldActor,
        (name, request): (&str, Value),
        target: Option<&WorldActor>,
    ) -> RecordReceipt {
        let mut draft = RecordDraft::new(time, who, ("iam", name));
        draft.request = request;
        let receipt = self.plant(draft);
        self.book_change(&receipt, (name, who), (None, target));
        receipt
    }

    /// The line of a change of rights: what it names, and what its document allows.
    pub fn book_rights(&mut self, receipt: &RecordReceipt, mut of: Value) {
        of["event_id"] = json!(receipt.event_id);
        self.truth.add("access_changes", of);
    }

    /// A change of rights of which the contract does not say how it bears on keys.
    pub fn leave_rights_open(&mut self, receipt: &RecordReceipt) {
        self.truth.leave_open("access_changes", "event_id", &receipt.event_id);
    }

    pub fn fail_to_change_iam(&mut self, time: i64, who: &WorldActor, name: &str) -> RecordReceipt {
        let mut draft = RecordDraft::new(time, who, ("iam", name));
        let message = format!("User: {} is not authorized to perform: iam:{name} on resource: user", who.caller_arn());
        draft.error = Some(("AccessDenied", message));
        self.plant(draft)
    }

    /// A session of `role` whose start is in the logs, by `caller`.
    pub fn assume_role(
        &mut self,
        time: i64,
        caller: &WorldActor,
        (role, session_name): (&WorldActor, &str),
    ) -> WorldActor {
        let mut session = role.in_session(&mut self.dice, session_name, time);
        let key_id = session.session.as_ref().expect("it was just made").access_key.clone();
        let mut draft = RecordDraft::new(time, caller, ("sts", "AssumeRole"));
        (draft.region, draft.read_only) = (super::actors::EAST, true);
        draft.request = json!({"roleArn": role.principal, "roleSessionName": session_name, "durationSeconds": 43200});
        draft.response = json!({
            "credentials": {
                "accessKeyId": key_id, "sessionToken": self.dice.text(BASE32, 40), "expiration": iso(time + 43200),
            },
            "assumedRoleUser": {"assumedRoleId": session.principal_id(), "arn": session.caller_arn()},
        });
        draft
            .more
            .push(("resources", json!([{"accountId": role.account, "type": "AWS::IAM::Role", "ARN": role.principal}])));
        let receipt = self.plant(draft);
        let mut chain = caller.origin.chain.clone();
        chain.push(caller.principal.clone());
        session.origin = SessionOrigin { chain, event_id: Some(receipt.event_id) };
        session.person = caller.person.clone().map(|(person, _)| (person, "chain"));
        session
    }

    /// A DynamoDB call that changes a table, or describes it.
    pub fn change_table(
        &mut self,
        time: i64,
        who: &WorldActor,
        table: &WorldTable,
        (name, request): (&str, Value),
    ) -> RecordReceipt {
        let mut draft = RecordDraft::new(time, who, ("dynamodb", name));
        (draft.region, draft.read_only) = (table.region, name.starts_with("Describe"));
        draft.request = json!({"tableName": table.name});
        let key = request["sSESpecification"]["kMSMasterKeyId"].as_str().map(str::to_owned);
        for (member, value) in request.as_object().into_iter().flatten() {
            draft.request[member] = value.clone();
        }
        if name != "DescribeTable" {
            draft.response = json!({"tableDescription": {
                "tableName": table.name, "tableArn": table.arn, "tableStatus": "UPDATING", "itemCount": 0,
            }});
        }
        if let Some(key) = key {
            draft.response["tableDescription"]["sSEDescription"] =
                json!({"status": "UPDATING", "sSEType": "KMS", "kMSMasterKeyArn": key});
        }
        draft.more = vec![("resources", json!([table.resource()])), ("apiVersion", json!("2012-08-10"))];
        self.plant(draft)
    }

    /// `GetItem`, where data events are logged.
    pub fn get_item(
        &mut self,
        time: i64,
        (who, table): (&WorldActor, &WorldTable),
        error: Option<(&'static str, String)>,
    ) -> RecordReceipt {
        let mut draft = RecordDraft::new(time, who, ("dynamodb", "GetItem"));
        (draft.region, draft.read_only, draft.error) = (table.region, true, error);
        draft.request = json!({"tableName": table.name, "key": {"id": self.dice.text(HEX, 8)}});
        draft.more = vec![
            ("resources", json!([table.resource()])),
            ("apiVersion", json!("2012-08-10")),
            ("managementEvent", json!(false)),
            ("eventCategory", json!("Data")),
        ];
        self.plant(draft)
    }

    /// A table under a key from its creation on: the call, and what DynamoDB then asks of KMS.
    pub fn create_table(
        &mut self,
        time: i64,
        who: &WorldActor,
        (table, key): (&WorldTable, &WorldKey),
    ) -> RecordReceipt {
        let request = json!({"sSESpecification": {"enabled": true, "sSEType": "KMS", "kMSMasterKeyId": key.arn}});
        let receipt = self.change_table(time, who, table, ("CreateTable", request));
        self.grant_to_table(time + 1, who, (table, key));
        receipt
    }

    /// The grant by which DynamoDB works for a table by itself, asked for with the caller's identity.
    pub fn grant_to_table(&mut self, time: i64, who: &WorldActor, (table, key): (&WorldTable, &WorldKey)) -> String {
        let service = format!("dynamodb.{}.amazonaws.com", table.region);
        let operations =
            ["DescribeKey", "GenerateDataKey", "Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "RetireGrant"];
        let wish = GrantWish {
            retiring: Some(service.clone()),
            constraint: Some(("subset", table.context())),
            table: Some(table.clone()),
            via: Some(DYNAMODB),
            ..GrantWish::to(&service, &operations)
        };
        self.create_grant(time, who, key, wish).1
    }

    /// A period of a table under a key that a request began.
    pub fn book_table_key(
        &mut self,
        (table, key): (&WorldTable, &WorldKey),
        (receipt, who): (&RecordReceipt, &WorldActor),
        until: Option<i64>,
    ) {
        assert!(who.kind != ActorKind::Service, "a table is set by somebody");
        self.truth.add(
            "table_keys",
            json!({
                "table_arn": table.arn, "table_name": table.name, "key_arn": key.arn, "key_kind": "customer",
                "valid_from": iso(receipt.time), "valid_to": until.map(iso), "set_by": who.principal,
                "set_event_id": receipt.event_id, "first_in_scope": iso(receipt.time), "basis": "request",
            }),
        );
    }
}
