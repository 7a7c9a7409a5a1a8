//! The encryption of tables that one call of DynamoDB's sets, states or ends, as its request and answer tell it.
//! In: a successful call with the JSON of both. Out: steps in the life of tables, keys as they were named.
//! Never takes silence for a key that AWS owns: of a new table, request and answer must both lack the encryption. JSON
//! of any shape and size gives steps or none.

use keytrail_rows::arn::{Arn, is_account_id, is_region, partition_of};
use serde_json::Value;

use super::parameters::{member, parsed};

/// Names, ids and ARNs of AWS are shorter.
const NAME_BYTES_MAX: usize = 2048;
/// DynamoDB has fewer Regions.
const REPLICAS_MAX: usize = 64;

/// A successful call of DynamoDB's that may concern the encryption of tables.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TableChange<'a> {
    pub event_name: &'a str,
    pub region: Option<&'a str>,
    pub account_id: Option<&'a str>,
    pub table_arn: Option<&'a str>,
    pub table_name: Option<&'a str>,
    pub request: Option<&'a str>,
    pub answer: Option<&'a str>,
}

/// A table, by its ARN where account and Region are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TableIdentity {
    pub arn: Option<String>,
    pub name: String,
}

impl TableIdentity {
    /// The same table in another Region.
    fn in_region(&self, region: &str) -> Option<TableIdentity> {
        let account = Arn::parse(self.arn.as_deref()?)?.account;
        table_at(&self.name, Some(region), Some(account)).filter(|table| table.arn.is_some())
    }

    /// The ARN of a key or an alias that is given by its id or name at this table; `None` for text that is neither.
    pub(super) fn kms_arn(&self, given: &str) -> Option<String> {
        if let Some(arn) = Arn::parse(given) {
            return (arn.kms_key_id().is_some() || arn.is_kms_alias()).then(|| given.to_owned());
        }
        let place = Arn::parse(self.arn.as_deref()?)?;
        let is_id =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let resource = match given.strip_prefix("alias/") {
            Some(name) if !name.is_empty() => given.to_owned(),
            None if is_id(given) => format!("key/{given}"),
            _ => return None,
        };
        Some(format!("arn:{}:kms:{}:{}:{resource}", place.partition, place.region, place.account))
    }
}

/// The key that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AskedEncryption {
    /// As the caller wrote it: an ARN, an id or an alias.
    Key(String),
    /// That of KMS which AWS manages in the account.
    ManagedByAws,
    /// The request switches to it.
    OwnedByAws,
    /// A new table without a word of encryption, as its description in the answer has none either: DynamoDB documents
    /// that such a table is under a key that AWS owns.
    OwnedByDefault,
    NotTold,
}

/// A change, an end or a statement of the encryption of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TableStep {
    /// The table is made, and its key set.
    Made {
        asked: AskedEncryption,
        answered: Option<String>,
        by: MadeBy,
    },
    /// A key is set at a table that is there.
    Changed {
        asked: AskedEncryption,
        answered: Option<String>,
    },
    /// An answer tells the key that the table is under, while it changes something else.
    Stated {
        key: String,
    },
    /// The answer to somebody who asked, beside the logs, tells it; `None` is a key that AWS owns.
    Shown {
        key: Option<String>,
    },
    Ended,
}

/// The kind of call that makes a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MadeBy {
    OwnRequest,
    /// A request for a replica, in the Region of another.
    ReplicaRequest,
}

/// The steps of a call, in order, each with the table that it is of.
pub(super) fn steps_of(change: TableChange<'_>) -> Vec<(TableIdentity, TableStep)> {
    let request = change.request.and_then(parsed);
    let answer = change.answer.and_then(parsed);
    let (request, answer) = (request.as_ref(), answer.as_ref());
    match change.event_name {
        "CreateGlobalTable" | "UpdateGlobalTable" => global_steps(change, answer),
        "RestoreTableFromBackup" | "RestoreTableToPointInTime" => {
            let Some(table) = restored_table(change, request, answer) else { return Vec::new() };
            let asked = asked_in(request.and_then(|request| member(request, "sseSpecificationOverride")));
            vec![(table, TableStep::Made { asked, answered: described_key(answer), by: MadeBy::OwnRequest })]
        }
        name => {
            let Some(table) = table_of(change) else { return Vec::new() };
            match name {
                "CreateTable" => vec![(table, created(request, answer))],
                "ImportTable" => vec![(table, imported(request, answer))],
                "UpdateTable" => updated(table, request, answer),
                "DeleteTable" => {
                    let stated = described_key(answer).map(|key| (table.clone(), TableStep::Stated { key }));
                    stated.into_iter().chain([(table, TableStep::Ended)]).collect()
                }
                _ => Vec::new(),
            }
        }
    }
}

/// The steps that an answer to `aws dynamodb describe-table` shows, of the table and of its replicas. One that
/// describes a table without encryption is of a table under a key that AWS owns, as the answer to CreateTable is;
/// encryption that is being changed tells nothing.
pub(super) fn shown_steps(table: &TableIdentity, answer: &str) -> Vec<(TableIdentity, TableStep)> {
    let answer = parsed(answer);
    let Some(described) = answer.as_ref().and_then(|answer| member(answer, "table")) else { return Vec::new() };
    let encryption = member(described, "sseDescription");
    let own = match encryption.map(|encryption| text(encryption, "status")) {
        None => text(described, "tableName").map(|_| None),
        Some(Some("DISABLED")) => Some(None),
        Some(Some("ENABLED")) => {
            encryption.and_then(|encryption| text(encryption, "kmsMasterKeyArn")).and_then(key_arn).map(Some)
        }
        Some(_) => None,
    };
    let own = own.map(|key| (table.clone(), TableStep::Shown { key }));
    let replicas = items(Some(described), "replicas").filter_map(|replica| {
        let place = table.in_region(text(replica, "regionName")?).filter(|place| place != table)?;
        text(replica, "replicaStatus").filter(|status| *status == "ACTIVE")?;
        let key = key_arn(&place.kms_arn(text(replica, "kmsMasterKeyId")?)?)?;
        Some((place, TableStep::Shown { key: Some(key) }))
    });
    own.into_iter().chain(replicas).collect()
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    member(value, name)?.as_str().filter(|text| !text.is_empty() && text.len() <= NAME_BYTES_MAX)
}

fn items<'v>(value: Option<&'v Value>, name: &str) -> impl Iterator<Item = &'v Value> {
    value.and_then(|value| member(value, name)?.as_array()).into_iter().flatten().take(REPLICAS_MAX)
}

fn table_at(name: &str, region: Option<&str>, account: Option<&str>) -> Option<TableIdentity> {
    let place = region.filter(|region| is_region(region)).zip(account.filter(|account| is_account_id(account)));
    let arn = |(region, account)| format!("arn:{}:dynamodb:{region}:{account}:table/{name}", partition_of(region));
    (!name.is_empty()).then(|| TableIdentity { arn: place.map(arn), name: name.to_owned() })
}

fn table_of(change: TableChange<'_>) -> Option<TableIdentity> {
    let name = change.table_name?;
    match change.table_arn {
        Some(arn) => Some(TableIdentity { arn: Some(arn.to_owned()), name: name.to_owned() }),
        None => table_at(name, change.region, change.account_id),
    }
}

/// The table that a backup is restored to. The record names its source too.
fn restored_table(change: TableChange<'_>, request: Option<&Value>, answer: Option<&Value>) -> Option<TableIdentity> {
    let described = answer.and_then(|answer| member(answer, "tableDescription"));
    let arn = described.and_then(|table| text(table, "tableArn"));
    if let Some((arn, name)) = arn.and_then(|arn| Some((arn, Arn::parse(arn)?.resource_of("table")?))) {
        return Some(TableIdentity { arn: Some(arn.to_owned()), name: name.to_owned() });
    }
    table_at(text(request?, "targetTableName")?, change.region, change.account_id)
}

/// The key that the description of the table in an answer names.
fn described_key(answer: Option<&Value>) -> Option<String> {
    let described = member(member(answer?, "tableDescription")?, "sseDescription")?;
    key_arn(text(described, "kmsMasterKeyArn")?)
}

fn key_arn(text: &str) -> Option<String> {
    Arn::parse(text)?.kms_key_id().map(|_| text.to_owned())
}

/// The encryption that a specification asks for, if it says any.
fn asked_in(specification: Option<&Value>) -> AskedEncryption {
    let Some(specification) = specification else { return AskedEncryption::NotTold };
    let is_on = match member(specification, "enabled") {
        Some(Value::Bool(is_on)) => Some(*is_on),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    match (is_on, text(specification, "kmsMasterKeyId"), text(specification, "sseType")) {
        (Some(false), None, _) => AskedEncryption::OwnedByAws,
        (_, Some(key), _) if is_on != Some(false) => AskedEncryption::Key(key.to_owned()),
        (Some(true), None, None | Some("KMS")) | (None, None, Some("KMS")) => AskedEncryption::ManagedByAws,
        _ => AskedEncryption::NotTold,
    }
}

fn created(request: Option<&Value>, answer: Option<&Value>) -> TableStep {
    let specification = request.and_then(|request| member(request, "sseSpecification"));
    let is_whole = request.is_some_and(|request| text(request, "tableName").is_some());
    let described = answer.and_then(|answer| member(answer, "tableDescription"));
    let is_described = described.is_some_and(|table| text(table, "tableName").or(text(table, "tableArn")).is_some());
    let lacks_encryption = described.is_some_and(|table| member(table, "sseDescription").is_none());
    let asked = match specification {
        None if is_whole && is_described && lacks_encryption => AskedEncryption::OwnedByDefault,
        specification => asked_in(specification),
    };
    TableStep::Made { asked, answered: described_key(answer), by: MadeBy::OwnRequest }
}

/// The answer to an import repeats the parameters of the request.
fn imported(request: Option<&Value>, answer: Option<&Value>) -> TableStep {
    let parameters = request.and_then(|request| member(request, "tableCreationParameters"));
    let repeated =
        answer.and_then(|answer| member(member(answer, "importTableDescription")?, "tableCreationParameters"));
    let is_plain = |parameters: Option<&Value>| {
        let names_table = |parameters: &Value| text(parameters, "tableName").is_some();
        parameters.is_some_and(|all| names_table(all) && member(all, "sseSpecification").is_none())
    };
    let asked = match is_plain(parameters) && is_plain(repeated) {
        true => AskedEncryption::OwnedByDefault,
        false => asked_in(parameters.and_then(|parameters| member(parameters, "sseSpecification"))),
    };
    TableStep::Made { asked, answered: None, by: MadeBy::OwnRequest }
}

fn updated(table: TableIdentity, request: Option<&Value>, answer: Option<&Value>) -> Vec<(TableIdentity, TableStep)> {
    let mut steps = Vec::new();
    let answered = described_key(answer);
    match asked_in(request.and_then(|request| member(request, "sseSpecification"))) {
        AskedEncryption::NotTold => {
            steps.extend(answered.map(|key| (table.clone(), TableStep::Stated { key })));
        }
        asked => steps.push((table.clone(), TableStep::Changed { asked, answered })),
    }
    let described = answer.and_then(|answer| member(answer, "tableDescription"));
    let mut told: Vec<(&str, TableIdentity, String)> = Vec::new();
    for replica in items(described, "replicas") {
        let Some((region, place)) =
            text(replica, "regionName").and_then(|region| Some((region, table.in_region(region)?)))
        else {
            continue;
        };
        let key = text(replica, "kmsMasterKeyId").and_then(|key| place.kms_arn(key)).and_then(|key| key_arn(&key));
        told.extend(key.map(|key| (region, place, key)));
    }
    for update in items(request, "replicaUpdates") {
        let Some((action, region, key)) = replica_update(update) else { continue };
        let Some(place) = table.in_region(region) else { continue };
        let answered = told.iter().position(|(told, ..)| *told == region).map(|at| told.swap_remove(at).2);
        let asked = key.map_or(AskedEncryption::NotTold, |key| AskedEncryption::Key(key.to_owned()));
        let step = match action {
            ReplicaAction::Create => TableStep::Made { asked, answered, by: MadeBy::ReplicaRequest },
            ReplicaAction::Update if key.is_some() => TableStep::Changed { asked, answered },
            ReplicaAction::Update => continue,
            ReplicaAction::Delete => TableStep::Ended,
        };
        steps.push((place, step));
    }
    steps.extend(told.into_iter().map(|(_, place, key)| (place, TableStep::Stated { key })));
    steps
}

#[derive(Debug, Clone, Copy)]
enum ReplicaAction {
    Create,
    Update,
    Delete,
}

/// The action, the Region, and the key that is named.
fn replica_update(update: &Value) -> Option<(ReplicaAction, &str, Option<&str>)> {
    let actions =
        [("create", ReplicaAction::Create), ("update", ReplicaAction::Update), ("delete", ReplicaAction::Delete)];
    let (replica, action) = actions.into_iter().find_map(|(name, action)| Some((member(update, name)?, action)))?;
    Some((action, text(replica, "regionName")?, text(replica, "kmsMasterKeyId")))
}

/// Global tables of 2017 are made of tables that are there. Their requests name no key, but the answers do.
fn global_steps(change: TableChange<'_>, answer: Option<&Value>) -> Vec<(TableIdentity, TableStep)> {
    let described = answer.and_then(|answer| member(answer, "globalTableDescription"));
    let name = described.and_then(|table| text(table, "globalTableName")).or(change.table_name);
    let stated = |replica: &Value| {
        let table = table_at(name?, text(replica, "regionName"), change.account_id)?;
        table.arn.as_ref()?;
        let key = key_arn(&table.kms_arn(text(replica, "kmsMasterKeyId")?)?)?;
        Some((table, TableStep::Stated { key }))
    };
    items(described, "replicationGroup").filter_map(stated).collect()
}

#[cfg(test)]
mod tests {
    use super::super::parameters::PARAMETERS_BYTES_MAX;
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/0f1e2d3c-1111-4222-8333-44445555aaaa";
    const TABLE: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders";

    /// The steps of a call on the table `orders`, one a line: `REGION/TABLE: STEP`. `KEY` in the JSON is the ARN.
    fn steps(event_name: &str, request: &str, answer: &str) -> Vec<String> {
        let (request, answer) = (request.replace("KEY", KEY), answer.replace("KEY", KEY));
        let change = TableChange {
            event_name,
            region: Some("eu-west-1"),
            account_id: Some("111122223333"),
            table_arn: Some(TABLE),
            table_name: Some("orders"),
            request: (request != "-").then_some(&request),
            answer: (answer != "-").then_some(&answer),
        };
        steps_of(change).into_iter().map(told).collect()
    }

    fn told((table, step): (TableIdentity, TableStep)) -> String {
        let region = Arn::parse(table.arn.as_deref().unwrap()).unwrap().region.to_owned();
        let asked = |asked: AskedEncryption, answered: Option<String>| {
            let answered = answered.map(|key| format!(", answered {key}")).unwrap_or_default();
            format!("{asked:?}{answered}")
        };
        let step = match step {
            TableStep::Made { asked: key, answered, by: MadeBy::OwnRequest } => {
                format!("made {}", asked(key, answered))
            }
            TableStep::Made { asked: key, answered, .. } => format!("replica {}", asked(key, answered)),
            TableStep::Changed { asked: key, answered } => format!("changed {}", asked(key, answered)),
            TableStep::Stated { key } => format!("stated {key}"),
            TableStep::Shown { key } => format!("shown {}", key.unwrap_or_default()),
            TableStep::Ended => "ended".to_owned(),
        };
        format!("{region}/{}: {}", table.name, step.replace(KEY, "KEY"))
    }

    #[test]
    fn a_description_shows_the_keys_of_a_table_and_its_replicas() {
        let table = TableIdentity { arn: Some(TABLE.to_owned()), name: "orders".to_owned() };
        let shown = |described: &str| -> Vec<String> {
            let answer = format!(r#"{{"Table":{{{}}}}}"#, described.replace("KEY", KEY));
            shown_steps(&table, &answer).into_iter().map(told).collect()
        };
        let with = |encryption: &str| shown(&format!(r#""TableName":"orders","SSEDescription":{encryption}"#));
        assert_eq!(
            with(r#"{"Status":"ENABLED","SSEType":"KMS","KMSMasterKeyArn":"KEY"}"#),
            ["eu-west-1/orders: shown KEY"]
        );
        assert_eq!(with(r#"{"Status":"DISABLED"}"#), ["eu-west-1/orders: shown "]);
        assert_eq!(shown(r#""TableName":"orders","TableStatus":"ACTIVE""#), ["eu-west-1/orders: shown "]);
        for silent in [
            r#"{"Status":"UPDATING","KMSMasterKeyArn":"KEY"}"#,
            r#"{"Status":"ENABLING"}"#,
            r#"{"Status":"DISABLING","KMSMasterKeyArn":"KEY"}"#,
            r#"{"Status":"ENABLED"}"#,
            r#"{"Status":"ENABLED","KMSMasterKeyArn":"alias/orders"}"#,
            r#"{"KMSMasterKeyArn":"KEY"}"#,
            "{}",
            "7",
        ] {
            assert!(with(silent).is_empty(), "{silent}");
        }
        // An answer that describes no table.
        assert!(shown("").is_empty() && shown_steps(&table, "{}").is_empty() && shown_steps(&table, "[").is_empty());
        let replicas = r#""TableName":"orders","SSEDescription":{"Status":"ENABLED","KMSMasterKeyArn":"KEY"},"Replicas":[
            {"RegionName":"us-east-1","ReplicaStatus":"ACTIVE","KMSMasterKeyId":"0f1e2d3c"},
            {"RegionName":"us-east-2","ReplicaStatus":"ACTIVE"},
            {"RegionName":"us-west-1","ReplicaStatus":"CREATING","KMSMasterKeyId":"0f1e2d3c"},
            {"RegionName":"us-west-2","ReplicaStatus":"ACTIVE","KMSMasterKeyId":"alias/orders"},
            {"RegionName":"eu-west-1","ReplicaStatus":"ACTIVE","KMSMasterKeyId":"0f1e2d3c"},
            {"RegionName":"nowhere","ReplicaStatus":"ACTIVE","KMSMasterKeyId":"0f1e2d3c"}]"#;
        let replica = "us-east-1/orders: shown arn:aws:kms:us-east-1:111122223333:key/0f1e2d3c";
        assert_eq!(shown(replicas), ["eu-west-1/orders: shown KEY", replica]);
    }

    #[test]
    fn a_request_and_its_answer_tell_the_encryption() {
        for (name, request, answer, expected) in [
            // A key, however the member is spelled.
            (
                "CreateTable",
                r#"{"tableName":"orders","sSESpecification":{"enabled":true,"sSEType":"KMS","kMSMasterKeyId":"KEY"}}"#,
                r#"{"tableDescription":{"tableName":"orders","sSEDescription":{"kMSMasterKeyArn":"KEY"}}}"#,
                &[r#"eu-west-1/orders: made Key("KEY"), answered KEY"#][..],
            ),
            (
                "CreateTable",
                r#"{"tableName":"orders","sseSpecification":{"SSEEnabled":1,"kmsMasterKeyId":"alias/orders"}}"#,
                "-",
                &[r#"eu-west-1/orders: made Key("alias/orders")"#],
            ),
            // The key that AWS manages, and those that it owns.
            (
                "CreateTable",
                r#"{"tableName":"orders","sSESpecification":{"enabled":true}}"#,
                "-",
                &["eu-west-1/orders: made ManagedByAws"],
            ),
            (
                "CreateTable",
                r#"{"tableName":"orders","sSESpecification":{"enabled":false}}"#,
                "-",
                &["eu-west-1/orders: made OwnedByAws"],
            ),
            (
                "CreateTable",
                r#"{"tableName":"orders"}"#,
                r#"{"tableDescription":{"tableName":"orders"}}"#,
                &["eu-west-1/orders: made OwnedByDefault"],
            ),
            // Silence of one side is none: no answer, an answer that describes no table, a request that is cut.
            ("CreateTable", r#"{"tableName":"orders"}"#, "-", &["eu-west-1/orders: made NotTold"]),
            (
                "CreateTable",
                r#"{"tableName":"orders"}"#,
                r#"{"tableDescription":{}}"#,
                &["eu-west-1/orders: made NotTold"],
            ),
            (
                "CreateTable",
                r#"{"tableName":"ord"#,
                r#"{"tableDescription":{"tableName":"orders"}}"#,
                &["eu-west-1/orders: made NotTold"],
            ),
            (
                "CreateTable",
                r#"{"tableName":"orders","sSESpecification":{}}"#,
                r#"{"tableDescription":{"tableName":"orders"}}"#,
                &["eu-west-1/orders: made NotTold"],
            ),
            (
                "CreateTable",
                r#"{"tableName":"orders"}"#,
                r#"{"tableDescription":{"tableName":"orders","sSEDescription":{"kMSMasterKeyArn":"KEY"}}}"#,
                &["eu-west-1/orders: made NotTold, answered KEY"],
            ),
            // A backup is restored to another table, by default with the source's encryption.
            (
                "RestoreTableFromBackup",
                r#"{"targetTableName":"copy","sSESpecificationOverride":{"enabled":true,"kMSMasterKeyId":"KEY"}}"#,
                "-",
                &[r#"eu-west-1/copy: made Key("KEY")"#],
            ),
            (
                "RestoreTableToPointInTime",
                r#"{"sourceTableName":"orders","targetTableName":"copy"}"#,
                r#"{"tableDescription":{"tableName":"copy","tableArn":"arn:aws:dynamodb:eu-west-1:111122223333:table/copy"}}"#,
                &["eu-west-1/copy: made NotTold"],
            ),
            (
                "ImportTable",
                r#"{"tableCreationParameters":{"tableName":"orders","sSESpecification":{"enabled":true,"kMSMasterKeyId":"KEY"}}}"#,
                "-",
                &[r#"eu-west-1/orders: made Key("KEY")"#],
            ),
            (
                "ImportTable",
                r#"{"tableCreationParameters":{"tableName":"orders"}}"#,
                r#"{"importTableDescription":{"tableCreationParameters":{"tableName":"orders"}}}"#,
                &["eu-west-1/orders: made OwnedByDefault"],
            ),
            // An update that says nothing of encryption sets none, and its answer may still tell it.
            (
                "UpdateTable",
                r#"{"tableName":"orders","billingMode":"PROVISIONED"}"#,
                r#"{"tableDescription":{"tableName":"orders"}}"#,
                &[],
            ),
            (
                "UpdateTable",
                r#"{"tableName":"orders","billingMode":"PROVISIONED"}"#,
                r#"{"tableDescription":{"sSEDescription":{"kMSMasterKeyArn":"KEY"}}}"#,
                &["eu-west-1/orders: stated KEY"],
            ),
            (
                "UpdateTable",
                r#"{"tableName":"orders","sSESpecification":{"enabled":true,"kMSMasterKeyId":"KEY"}}"#,
                "-",
                &[r#"eu-west-1/orders: changed Key("KEY")"#],
            ),
            (
                "DeleteTable",
                r#"{"tableName":"orders"}"#,
                r#"{"tableDescription":{"sSEDescription":{"kMSMasterKeyArn":"KEY"}}}"#,
                &["eu-west-1/orders: stated KEY", "eu-west-1/orders: ended"],
            ),
            ("DescribeTable", r#"{"tableName":"orders"}"#, "-", &[]),
        ] {
            assert_eq!(steps(name, request, answer), expected, "{name} {request} {answer}");
        }
    }

    #[test]
    fn replicas_have_keys_of_their_own() {
        let updates = r#"{"tableName":"orders","replicaUpdates":[
            {"create":{"regionName":"us-east-1","kMSMasterKeyId":"alias/orders"}},
            {"create":{"regionName":"us-east-2"}},
            {"update":{"regionName":"us-west-1","kMSMasterKeyId":"KEY"}},
            {"update":{"regionName":"us-west-2"}},
            {"delete":{"regionName":"eu-north-1"}},
            {"create":{"regionName":"nowhere"}}]}"#;
        let other = KEY.replace("eu-west-1", "us-east-2");
        let answer = format!(
            r#"{{"tableDescription":{{"replicas":[{{"regionName":"us-east-2","kMSMasterKeyId":"{other}"}},
                {{"regionName":"eu-west-3","kMSMasterKeyId":"{KEY}"}},{{"regionName":"eu-west-2"}}]}}}}"#
        );
        assert_eq!(
            steps("UpdateTable", updates, &answer),
            [
                r#"us-east-1/orders: replica Key("alias/orders")"#.to_owned(),
                format!("us-east-2/orders: replica NotTold, answered {other}"),
                r#"us-west-1/orders: changed Key("KEY")"#.to_owned(),
                "eu-north-1/orders: ended".to_owned(),
                "eu-west-3/orders: stated KEY".to_owned(),
            ]
        );
        // Global tables of 2017 tell keys in answers alone, and a replica that leaves one stays a table.
        let group = r#"{"globalTableDescription":{"globalTableName":"orders","replicationGroup":[
            {"regionName":"eu-west-1","kMSMasterKeyId":"0f1e2d3c-1111-4222-8333-44445555aaaa"},{"regionName":"us-east-1"}]}}"#;
        let leaves = r#"{"globalTableName":"orders","replicaUpdates":[{"delete":{"regionName":"us-east-1"}}]}"#;
        assert_eq!(steps("UpdateGlobalTable", leaves, group), ["eu-west-1/orders: stated KEY"]);
    }

    #[test]
    fn json_of_any_shape_gives_steps_or_none() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let many = format!(
            r#"{{"tableName":"orders","replicaUpdates":[{}{{}}]}}"#,
            r#"{"delete":{"regionName":"us-east-1"}},"#.repeat(10_000)
        );
        let large = format!(
            r#"{{"tableName":"orders","sSESpecification":{{"enabled":false}},"x":"{}"}}"#,
            "x".repeat(PARAMETERS_BYTES_MAX)
        );
        for (request, expected) in [
            ("null", 0),
            ("[]", 0),
            (r#"{"sSESpecification":[],"replicaUpdates":{"create":1}}"#, 0),
            (r#"{"sSESpecification":{"enabled":"maybe","kMSMasterKeyId":7}}"#, 0),
            (r#"{"replicaUpdates":[1,null,{"create":"x"},{"create":{"regionName":["us-east-1"]}}]}"#, 0),
            (deep.as_str(), 0),
            (large.as_str(), 0),
            (many.as_str(), REPLICAS_MAX),
        ] {
            assert_eq!(steps("UpdateTable", request, "-").len(), expected, "{}", &request[..request.len().min(80)]);
        }
    }

    #[test]
    fn a_key_without_a_place_is_the_tables() {
        let table = TableIdentity { arn: Some(TABLE.to_owned()), name: "orders".to_owned() };
        let unplaced = TableIdentity { arn: None, name: "orders".to_owned() };
        for (given, expected) in [
            (KEY, Some(KEY)),
            ("0f1e2d3c-1111-4222-8333-44445555aaaa", Some(KEY)),
            ("alias/orders", Some("arn:aws:kms:eu-west-1:111122223333:alias/orders")),
            ("arn:aws:kms:us-east-1:111122223333:alias/x", Some("arn:aws:kms:us-east-1:111122223333:alias/x")),
            ("arn:aws:s3:::bucket", None),
            ("alias/", None),
            ("", None),
            ("no key", None),
        ] {
            assert_eq!(table.kms_arn(given).as_deref(), expected, "{given}");
            assert_eq!(unplaced.kms_arn(given).is_some(), expected.is_some() && given.starts_with("arn:"), "{given}");
        }
    }
}
