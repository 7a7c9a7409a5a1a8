//! Who acts in the world: users, roles with their sessions, services, and the keys and tables that they act on.
//! In: names and chance. Out: identities as CloudTrail logs them. Never decides who may do what.

use serde_json::{Value, json};

use super::dice::{BASE32, WorldDice};

pub const EAST: &str = "us-east-1";
pub const WEST: &str = "eu-west-1";
pub const REGIONS: [&str; 2] = [EAST, WEST];

/// The account of the organization, whose trail has digests.
pub const MAIN: &str = "111122223333";
/// An account whose trail has no digests.
pub const PLAIN: &str = "444455556666";
/// An account whose trail is switched: KMS left out for some hours, and off for some.
pub const SWITCHED: &str = "777788889999";
pub const ACCOUNTS: [&str; 3] = [MAIN, PLAIN, SWITCHED];

pub const DYNAMODB: &str = "dynamodb.amazonaws.com";

/// A time in RFC 3339, as CloudTrail and keytrail write it.
pub fn iso(time: i64) -> String {
    let time = chrono::DateTime::from_timestamp(time, 0).expect("a time of the world is a date");
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    User,
    Role,
    Service,
}

#[derive(Clone)]
pub struct ActorSession {
    pub name: String,
    pub created: i64,
    pub access_key: String,
    pub source_identity: Option<String>,
}

/// The principals that assumed a session, outermost first, and the event in which the last one did.
#[derive(Clone, Default)]
pub struct SessionOrigin {
    pub chain: Vec<String>,
    pub event_id: Option<String>,
}

#[derive(Clone)]
pub struct WorldActor {
    pub account: &'static str,
    pub kind: ActorKind,
    pub name: String,
    /// The ARN of the user or role, with its path; of a service its name with `service:` before it.
    pub principal: String,
    pub unique_id: String,
    pub access_key: String,
    pub session: Option<ActorSession>,
    pub origin: SessionOrigin,
    /// The person behind, and how the log says so.
    pub person: Option<(String, &'static str)>,
    pub address: String,
}

impl WorldActor {
    pub fn user(dice: &mut WorldDice, account: &'static str, name: &str) -> WorldActor {
        let principal = format!("arn:aws:iam::{account}:user/{name}");
        WorldActor {
            account,
            kind: ActorKind::User,
            name: name.to_owned(),
            person: Some((principal.clone(), "principal")),
            principal,
            unique_id: format!("AIDA{}", dice.text(BASE32, 17)),
            access_key: format!("AKIA{}", dice.text(BASE32, 16)),
            session: None,
            origin: SessionOrigin::default(),
            address: format!("198.51.100.{}", dice.between(1, 254)),
        }
    }

    /// A role without a session; `path` ends with a slash if there is one.
    pub fn role(dice: &mut WorldDice, account: &'static str, path_and_name: &str) -> WorldActor {
        WorldActor {
            account,
            kind: ActorKind::Role,
            name: path_and_name.rsplit('/').next().unwrap().to_owned(),
            principal: format!("arn:aws:iam::{account}:role/{path_and_name}"),
            unique_id: format!("AROA{}", dice.text(BASE32, 17)),
            access_key: String::new(),
            session: None,
            origin: SessionOrigin::default(),
            person: None,
            address: format!("192.0.2.{}", dice.between(1, 254)),
        }
    }

    pub fn service(name: &str) -> WorldActor {
        WorldActor {
            account: "",
            kind: ActorKind::Service,
            name: name.to_owned(),
            principal: format!("service:{name}"),
            unique_id: String::new(),
            access_key: String::new(),
            session: None,
            origin: SessionOrigin::default(),
            person: None,
            address: name.to_owned(),
        }
    }

    /// The same role in a session whose start nobody logged.
    pub fn in_session(&self, dice: &mut WorldDice, name: &str, created: i64) -> WorldActor {
        let access_key = format!("ASIA{}", dice.text(BASE32, 16));
        let session = ActorSession { name: name.to_owned(), created, access_key, source_identity: None };
        WorldActor { session: Some(session), address: format!("192.0.2.{}", dice.between(1, 254)), ..self.clone() }
    }

    /// The ARN by which AWS's messages name the caller.
    pub fn caller_arn(&self) -> String {
        match &self.session {
            Some(session) => format!("arn:aws:sts::{}:assumed-role/{}/{}", self.account, self.name, session.name),
            None => self.principal.clone(),
        }
    }

    pub fn principal_id(&self) -> String {
        match &self.session {
            Some(session) => format!("{}:{}", self.unique_id, session.name),
            None => self.unique_id.clone(),
        }
    }

    /// `userIdentity` in the caller's own account. A service that calls for someone has credentials of its own.
    pub fn identity(&self, time: i64, via: Option<&str>) -> Value {
        let mut identity = match (self.kind, &self.session) {
            (ActorKind::Service, _) => return json!({"type": "AWSService", "invokedBy": self.name}),
            (ActorKind::User, _) => self.user_identity(time, via),
            (ActorKind::Role, None) => panic!("the role {} calls without a session", self.name),
            (ActorKind::Role, Some(session)) => self.session_identity(session, via),
        };
        if let Some(via) = via {
            identity["invokedBy"] = json!(via);
        }
        identity
    }

    fn user_identity(&self, time: i64, via: Option<&str>) -> Value {
        let mut identity = json!({
            "type": "IAMUser", "principalId": self.unique_id, "arn": self.principal, "accountId": self.account,
            "accessKeyId": via.map_or(self.access_key.clone(), |_| format!("ASIA{}", &self.unique_id[4..20])),
            "userName": self.name,
        });
        if via.is_some() {
            identity["sessionContext"] = json!({
                "sessionIssuer": {}, "webIdFederationData": {},
                "attributes": {"creationDate": iso(time), "mfaAuthenticated": "false"},
            });
        }
        identity
    }

    fn session_identity(&self, session: &ActorSession, via: Option<&str>) -> Value {
        let mut context = json!({
            "sessionIssuer": {
                "type": "Role", "principalId": self.unique_id, "arn": self.principal, "accountId": self.account,
                "userName": self.name,
            },
            "webIdFederationData": {},
            "attributes": {"creationDate": iso(session.created), "mfaAuthenticated": "false"},
        });
        if let Some(source) = &session.source_identity {
            context["sourceIdentity"] = json!(source);
        }
        let access_key = via.map_or(session.access_key.clone(), |_| format!("ASIA{}", &self.unique_id[4..20]));
        json!({
            "type": "AssumedRole", "principalId": self.principal_id(), "arn": self.caller_arn(),
            "accountId": self.account, "accessKeyId": access_key, "sessionContext": context,
        })
    }

    /// What another account sees whose key this one uses.
    pub fn foreign_identity(&self) -> Value {
        json!({"type": "AWSAccount", "principalId": self.principal_id(), "accountId": self.account})
    }
}

#[derive(Clone)]
pub struct WorldKey {
    pub account: &'static str,
    pub region: &'static str,
    pub id: String,
    pub arn: String,
    pub material: String,
}

impl WorldKey {
    pub fn new(dice: &mut WorldDice, account: &'static str, region: &'static str) -> WorldKey {
        let id = dice.uuid();
        let material = dice.text(super::dice::HEX, 64);
        WorldKey { account, region, arn: format!("arn:aws:kms:{region}:{account}:key/{id}"), id, material }
    }

    pub fn resource(&self) -> Value {
        json!({"accountId": self.account, "type": "AWS::KMS::Key", "ARN": self.arn})
    }

    pub fn alias_resource(&self, alias: &str) -> Value {
        json!({"accountId": self.account, "type": "AWS::KMS::Key", "ARN": self.alias_arn(alias)})
    }

    pub fn alias_arn(&self, alias: &str) -> String {
        format!("arn:aws:kms:{}:{}:{alias}", self.region, self.account)
    }
}

#[derive(Clone)]
pub struct WorldTable {
    pub name: String,
    pub arn: String,
    pub account: &'static str,
    pub region: &'static str,
}

impl WorldTable {
    pub fn new(name: &str, account: &'static str, region: &'static str) -> WorldTable {
        let arn = format!("arn:aws:dynamodb:{region}:{account}:table/{name}");
        WorldTable { name: name.to_owned(), arn, account, region }
    }

    pub fn context(&self) -> Value {
        json!({"aws:dynamodb:tableName": self.name, "aws:dynamodb:subscriberId": self.account})
    }

    pub fn resource(&self) -> Value {
        json!({"accountId": self.account, "type": "AWS::DynamoDB::Table", "ARN": self.arn})
    }
}
