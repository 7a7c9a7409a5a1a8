//! Decides what a key protects: reads encryption contexts, those that grants are bound to, and DynamoDB's own records
//! of one table. In: request parameters, resources, and the message of a refusal. Out: `encryption_context`, the
//! columns of the resource and of the table.
//! A client chooses its context, so a resource is only `claimed` unless the service it belongs to made the call.

use std::borrow::Cow;

use super::identity;
use super::members::{EventService, Issues, Members};
use super::outcome::{Denial, ErrorText, Outcome};
use super::row::{Row, Text, part};
use crate::arn::{Arn, is_account_id, is_region, partition_of};
use crate::json::{JsonKind, Value};

/// The way in which the value of a context key names its resource.
#[derive(Clone, Copy)]
enum ResourceNaming {
    /// An ARN whose resource begins with this kind, or has none.
    Arn(&'static str),
    /// An id or a name.
    Id,
    /// A DynamoDB table's name, its account beside it.
    Table,
    /// A Keyspaces table's name, its keyspace and account beside it.
    KeyspacesTable,
    /// An EBS volume or snapshot.
    Volume,
    /// An S3 object or bucket, sometimes without `arn:aws:s3:::`.
    Object,
    /// A parameter, whose name begins with `/` exactly where it holds another.
    Parameter,
    /// No resource: clients use the key too, so it names only the service, and only if that service made the call.
    Service,
}

struct ContextKey {
    key: &'static str,
    service: &'static str,
    kind: &'static str,
    names: ResourceNaming,
}

const fn context_key(
    key: &'static str,
    service: &'static str,
    kind: &'static str,
    names: ResourceNaming,
) -> ContextKey {
    ContextKey { key, service, kind, names }
}

const TABLE_NAME: &str = "aws:dynamodb:tableName";
const SUBSCRIBER_ID: &str = "aws:dynamodb:subscriberId";
const OBJECT_ARN: &str = "aws:s3:arn";

/// Context keys by which services name their resource. The first that a context holds decides: a database's volume
/// is its database, a trail's object its trail. A key that ends in `*` stands for all that begin so.
const CONTEXT_KEYS: &[ContextKey] = &[
    context_key(TABLE_NAME, "dynamodb", "table", ResourceNaming::Table),
    context_key("SecretARN", "secretsmanager", "secret", ResourceNaming::Arn("secret")),
    context_key("PARAMETER_ARN", "ssm", "parameter", ResourceNaming::Parameter),
    context_key("aws:lambda:FunctionArn", "lambda", "function", ResourceNaming::Arn("function")),
    context_key("LambdaFunctionArn", "lambda", "function", ResourceNaming::Arn("function")),
    context_key("aws:rds:db-id", "rds", "db", ResourceNaming::Id),
    context_key("aws:dsql:ClusterId", "dsql", "cluster", ResourceNaming::Id),
    context_key("aws:sqs:arn", "sqs", "queue", ResourceNaming::Arn("")),
    context_key("aws:sns:topicArn", "sns", "topic", ResourceNaming::Arn("")),
    context_key("aws:logs:arn", "logs", "log-group", ResourceNaming::Arn("log-group")),
    context_key("aws:kinesis:arn", "kinesis", "stream", ResourceNaming::Arn("stream")),
    context_key("aws:elasticfilesystem:filesystem:id", "elasticfilesystem", "file-system", ResourceNaming::Id),
    context_key("aws:redshift:arn", "redshift", "cluster", ResourceNaming::Arn("cluster")),
    context_key("aws:cloudtrail:arn", "cloudtrail", "trail", ResourceNaming::Arn("trail")),
    context_key("aws:eks:context", "eks", "cluster", ResourceNaming::Id),
    context_key("aws:appconfig:deployment:arn", "appconfig", "deployment", ResourceNaming::Arn("")),
    context_key("aws:acm:arn", "acm", "certificate", ResourceNaming::Arn("certificate")),
    context_key(
        "aws:elasticloadbalancing:arn",
        "elasticloadbalancing",
        "loadbalancer",
        ResourceNaming::Arn("loadbalancer"),
    ),
    context_key("aws:datazone:domainId", "datazone", "domain", ResourceNaming::Id),
    context_key("aws:workmail:arn", "workmail", "organization", ResourceNaming::Arn("organization")),
    context_key("aws:aoss:arn", "aoss", "collection", ResourceNaming::Arn("collection")),
    context_key("glue_catalog_id", "glue", "catalog", ResourceNaming::Id),
    context_key("aws:cassandra:tableName", "keyspaces", "table", ResourceNaming::KeyspacesTable),
    context_key("aws:grafana:workspace-id", "grafana", "workspace", ResourceNaming::Id),
    context_key("aws:bedrock:guardrail-id", "bedrock", "guardrail", ResourceNaming::Id),
    context_key("aws:codecommit:id", "codecommit", "repository", ResourceNaming::Id),
    context_key("aws:connect:instanceId", "connect-campaigns", "instance", ResourceNaming::Id),
    context_key("aws:deadline:farmId", "deadline", "farm", ResourceNaming::Id),
    context_key("aws:emrwal:walname", "emrwal", "wal", ResourceNaming::Id),
    context_key("aws:groundstation:ground-station-id", "groundstation", "ground-station", ResourceNaming::Id),
    context_key("aws:guardduty:id", "guardduty", "snapshot", ResourceNaming::Id),
    context_key("aws:m2:app", "m2", "application", ResourceNaming::Id),
    context_key("aws:medical-imaging:datastoreId", "medical-imaging", "datastore", ResourceNaming::Id),
    context_key("aws:network-firewall:resource-id", "network-firewall", "firewall", ResourceNaming::Id),
    context_key("aws:neptune-graph:graphId", "neptune-graph", "graph", ResourceNaming::Id),
    context_key("aws:timestream:database-name", "timestream", "database", ResourceNaming::Id),
    context_key("aws:wickr:network:id", "wickr", "network", ResourceNaming::Id),
    context_key("aws:ecs:clusterName", "ecs", "cluster", ResourceNaming::Id),
    context_key("aws:ses:arn", "ses", "resource", ResourceNaming::Arn("")),
    // The id of a KMS key; the S3 Encryption Client writes it for everybody.
    context_key("kms_cmk_id", "elasticmapreduce", "cluster", ResourceNaming::Service),
    context_key("appBundleArn", "appfabric", "appbundle", ResourceNaming::Arn("appbundle")),
];

/// Context keys that decide only where no key of another service stands beside them.
const LAST_DECODERS: &[ContextKey] = &[
    context_key("aws:ses:*", "ses", "email", ResourceNaming::Id),
    context_key("aws:workspaces:*", "workspaces", "workspace", ResourceNaming::Id),
    context_key(OBJECT_ARN, "s3", "object", ResourceNaming::Object),
    context_key("aws:ebs:id", "ec2", "volume", ResourceNaming::Volume),
];

/// Before the keys of services that encrypt with AWS's own encryption client.
const CLIENT_PREFIX: &str = "aws-crypto-ec:";

/// Elastic Transcoder names only itself.
const TRANSCODER: (&str, &str) = ("service", "elastictranscoder.amazonaws.com");

/// Services that pass on the context of another: EC2 attaches the volumes of databases, S3 reads and writes the
/// objects of trails, CloudWatch Logs writes into streams, load balancers hold certificates.
const MADE_FOR: &[(&str, &str)] = &[
    ("ec2", "rds"),
    ("rds", "ec2"),
    ("s3", "cloudtrail"),
    ("cloudtrail", "s3"),
    ("logs", "kinesis"),
    ("apigateway", "acm"),
    ("cloudfront", "acm"),
    ("elasticloadbalancing", "acm"),
    ("vpc-lattice", "acm"),
    ("cassandra", "keyspaces"),
    ("ec2", "ecs"),
    ("ecs", "ec2"),
    ("ecr", "s3"),
    ("acm", "elasticloadbalancing"),
    ("autoscaling", "ec2"),
];

/// The resource that the key protects, by an encryption context.
struct ProtectedResource<'a> {
    service: Text<'a>,
    kind: Text<'a>,
    arn: Option<Text<'a>>,
    name: Option<Text<'a>>,
}

/// Fills the columns of the context. Says which service calls KMS with such a context.
pub(super) fn fill<'a>(
    row: &mut Row<'a>,
    members: &Members<'a>,
    service: EventService,
    issues: &mut Issues,
) -> Option<Text<'a>> {
    if service.is_kms() {
        return match row.event_name.as_deref() {
            Some("ReEncrypt") => fill_of_reencrypt(row, members, issues),
            Some("CreateGrant") => fill_of_grant(row, members, issues),
            _ => {
                let context = read(members, "requestParameters.encryptionContext", issues)?;
                let service = protected_resource(row, members, &context);
                keep(row, context);
                service
            }
        };
    }
    if row.event_source.as_deref().is_some_and(|source| source == "dynamodb.amazonaws.com") {
        table_of_own_record(row, members, issues);
    }
    None
}

/// Fills `resource_trust`: it says if the service that the resource belongs to made the call.
pub(super) fn judge_trust(row: &mut Row<'_>) {
    let Some(resource) = row.resource_service.as_deref() else {
        return;
    };
    // No role of a customer can have a colon in its name; EC2 reads volumes as this one.
    let by_ec2 = resource == "ec2" && row.principal.ends_with(":role/aws:ec2-infrastructure");
    let is_theirs = match (row.caller_class.as_deref(), row.via_service.as_deref()) {
        // No client stands behind a service that calls for itself.
        (Some("service"), _) => true,
        (_, Some(via)) => via == resource || MADE_FOR.contains(&(via, resource)),
        (_, None) => by_ec2,
    };
    row.resource_trust = Some(Cow::Borrowed(if is_theirs { "service" } else { "claimed" }));
}

struct ContextEntry<'a> {
    key: Text<'a>,
    value: Text<'a>,
    /// True if the record wrote the value as text; only such a value names a resource.
    is_text: bool,
}

/// `ReEncrypt` has two contexts. The data is afterwards under the destination's.
fn fill_of_reencrypt<'a>(row: &mut Row<'a>, members: &Members<'a>, issues: &mut Issues) -> Option<Text<'a>> {
    let source = read(members, "requestParameters.sourceEncryptionContext", issues).unwrap_or_default();
    let destination = read(members, "requestParameters.destinationEncryptionContext", issues);
    let (old, new) = (source.as_slice(), destination.as_deref().unwrap_or_default());
    // A holder of a table's wrapped key may move it under another key and choose the new context. The old context is
    // proved: KMS has checked it against the ciphertext.
    let (first, second) = if names_table(old) { (old, new) } else { (new, old) };
    let service = protected_resource(row, members, first).or_else(|| protected_resource(row, members, second));
    if let Some(destination) = destination {
        keep(row, destination);
    }
    service
}

/// A grant's purpose is in the context that it is bound to, which is not a context of this call.
fn fill_of_grant<'a>(row: &mut Row<'a>, members: &Members<'a>, issues: &mut Issues) -> Option<Text<'a>> {
    let context = read(members, "requestParameters.constraints.encryptionContextSubset", issues)
        .or_else(|| read(members, "requestParameters.constraints.encryptionContextEquals", issues))?;
    protected_resource(row, members, &context)
}

fn keep<'a>(row: &mut Row<'a>, context: Vec<ContextEntry<'a>>) {
    row.encryption_context = Some(context.into_iter().map(|entry| (entry.key, entry.value)).collect());
}

/// The encryption context at a path within `requestParameters`, sorted by key.
fn read<'a>(members: &Members<'a>, path: &str, issues: &mut Issues) -> Option<Vec<ContextEntry<'a>>> {
    let parameters = members.request_parameters()?;
    let context = path.split('.').skip(1).try_fold(parameters, |value, key| value.get(key))?;
    if context.is_null() {
        return None;
    }
    if context.kind() != JsonKind::Object {
        issues.add(path, "not an object");
        return None;
    }
    let mut entries: Vec<ContextEntry> =
        context.members().map(|(key, value)| entry(key, value, path, issues)).collect();
    entries.sort_unstable_by(|left, right| left.key.cmp(&right.key));
    // Keys that differ as bytes may agree once they are made text; the first stands.
    entries.dedup_by(|later, first| later.key == first.key);
    Some(entries)
}

fn entry<'a>(key: Text<'a>, value: Value<'a>, path: &str, issues: &mut Issues) -> ContextEntry<'a> {
    if key.contains(char::REPLACEMENT_CHARACTER) {
        issues.add(path, "key not UTF-8");
    }
    match value.text() {
        Some(text) => {
            if matches!(text, Cow::Owned(_)) && value.is_lossy() {
                issues.add(&format!("{path}.{key}"), "not UTF-8");
            }
            ContextEntry { key, value: text, is_text: true }
        }
        None => {
            issues.add(&format!("{path}.{key}"), "not text");
            ContextEntry { key, value: value.raw_text(), is_text: false }
        }
    }
}

fn find<'c, 'a>(context: &'c [ContextEntry<'a>], key: &str) -> Option<&'c Text<'a>> {
    let matches = |entry: &&ContextEntry| match key.strip_suffix('*') {
        Some(prefix) => entry.key.starts_with(prefix),
        None => entry.key == key,
    };
    context.iter().find(matches).filter(|entry| entry.is_text && !entry.value.is_empty()).map(|entry| &entry.value)
}

/// True if the context is one that DynamoDB makes for a table.
fn names_table(context: &[ContextEntry<'_>]) -> bool {
    find(context, TABLE_NAME).is_some() && find(context, OBJECT_ARN).is_none()
}

/// Fills the columns of the resource that a context names. Says which service calls KMS with such a context.
fn protected_resource<'a>(row: &mut Row<'a>, members: &Members<'a>, context: &[ContextEntry<'a>]) -> Option<Text<'a>> {
    // Clients add pairs of their own to the context that S3 makes, so beside an object only its trail counts, or a service
    // that made the call itself.
    let by_s3 = find(context, OBJECT_ARN).is_some();
    let may_speak = |key: &ContextKey| match (key.service, key.names) {
        ("s3" | "cloudtrail", _) => true,
        _ if by_s3 => false,
        (service, ResourceNaming::Service) => identity::is_via(row, members, service),
        _ => true,
    };
    let spoken = |key: &'static ContextKey| {
        let value = find(context, key.key)?;
        may_speak(key).then_some((key, value))
    };
    let region = row.aws_region.as_deref().unwrap_or_default();
    let by_decoder = |(key, value): (&ContextKey, &Text<'a>)| match key.names {
        ResourceNaming::Table => table_of_context(value, find(context, SUBSCRIBER_ID), region),
        ResourceNaming::KeyspacesTable => keyspaces_table(value, context, region),
        _ => decode(key, value),
    };
    let by_own_arn = || own_arn(context).filter(|(service, _)| !by_s3 || identity::is_via(row, members, service));
    let protected = if let Some(found) = CONTEXT_KEYS.iter().find_map(spoken) {
        by_decoder(found)
    } else if let Some((_, arn)) = by_own_arn() {
        decode_own_arn(arn)
    } else if let Some(found) = LAST_DECODERS.iter().find_map(spoken) {
        by_decoder(found)
    } else if find(context, TRANSCODER.0).is_some_and(|service| service == TRANSCODER.1) {
        protected("elastictranscoder", "job", None, None)
    } else {
        return None;
    };
    if protected.kind == "table" && protected.service == "dynamodb" {
        row.table_name = protected.name.clone();
        row.table_arn = protected.arn.clone();
    }
    row.resource_service = Some(protected.service.clone());
    row.resource_type = Some(protected.kind);
    row.resource_arn = protected.arn;
    row.resource_name = protected.name;
    Some(if by_s3 { Cow::Borrowed("s3") } else { protected.service })
}

fn protected<'a>(
    service: &'static str,
    kind: &'static str,
    arn: Option<Text<'a>>,
    name: Option<Text<'a>>,
) -> ProtectedResource<'a> {
    ProtectedResource { service: Cow::Borrowed(service), kind: Cow::Borrowed(kind), arn, name }
}

/// The service and the ARN of a pair `aws:SERVICE:…arn`. The value says which service it is.
fn own_arn<'c, 'a>(context: &'c [ContextEntry<'a>]) -> Option<(&'c str, &'c Text<'a>)> {
    context.iter().filter(|entry| entry.is_text && entry.key != OBJECT_ARN).find_map(|entry| {
        let key = entry.key.strip_prefix(CLIENT_PREFIX).unwrap_or(&entry.key);
        let ends_in_arn =
            key.len() > 3 && key.is_char_boundary(key.len() - 3) && key[key.len() - 3..].eq_ignore_ascii_case("arn");
        let arn = Arn::parse(&entry.value).filter(|_| key.starts_with("aws:") && ends_in_arn)?;
        Some((arn.service, &entry.value))
    })
}

/// The resource of an ARN, whose kind stands before its name.
fn decode_own_arn<'a>(arn: &Text<'a>) -> ProtectedResource<'a> {
    let kind = |resource: &str| resource.find(['/', ':']).filter(|end| *end > 0);
    let service = part(arn, |arn| Some(Arn::parse(arn)?.service)).unwrap_or_default();
    let resource_kind = part(arn, |arn| {
        let resource = Arn::parse(arn)?.resource;
        Some(&resource[..kind(resource)?])
    });
    let name = part(arn, |arn| {
        let resource = Arn::parse(arn)?.resource;
        Some(kind(resource).map_or(resource, |end| &resource[end + 1..])).filter(|name| !name.is_empty())
    });
    let kind = resource_kind.unwrap_or(Cow::Borrowed("resource"));
    ProtectedResource { service, kind, arn: Some(arn.clone()), name }
}

/// A table of Keyspaces, which is none of DynamoDB's.
fn keyspaces_table<'a>(table: &Text<'a>, context: &[ContextEntry<'a>], region: &str) -> ProtectedResource<'a> {
    let keyspace = find(context, "aws:cassandra:keyspaceName");
    let account = find(context, "aws:cassandra:subscriberId").filter(|account| is_account_id(account));
    let is_placed = is_region(region);
    let arn = keyspace.zip(account).filter(|_| is_placed).map(|(keyspace, account)| {
        Cow::Owned(format!(
            "arn:{}:cassandra:{region}:{account}:/keyspace/{keyspace}/table/{table}",
            partition_of(region)
        ))
    });
    let name = keyspace.map_or_else(|| table.clone(), |keyspace| Cow::Owned(format!("{keyspace}.{table}")));
    protected("keyspaces", "table", arn, Some(name))
}

fn table_of_context<'a>(table: &Text<'a>, subscriber: Option<&Text<'a>>, region: &str) -> ProtectedResource<'a> {
    let (name, arn) = match table_of_arn(table) {
        Some((name, arn)) => (name, Some(arn)),
        None => (table.clone(), subscriber.and_then(|account| compose_table_arn(table, account, region))),
    };
    protected("dynamodb", "table", arn, Some(name))
}

fn decode<'a>(key: &ContextKey, value: &Text<'a>) -> ProtectedResource<'a> {
    let ContextKey { service, kind, names, .. } = *key;
    let arn = Arn::parse(value);
    let given_arn = || arn.is_some().then(|| value.clone());
    let resource = part(value, |value| Some(Arn::parse(value).map_or(value, |arn| arn.resource))).unwrap_or_default();
    match names {
        ResourceNaming::Arn(prefix) => {
            let name = part(&resource, |resource| {
                let name = resource.strip_prefix(prefix).and_then(|name| name.strip_prefix(['/', ':']));
                Some(name.filter(|name| !name.is_empty()).unwrap_or(resource).trim_end_matches(":*"))
            });
            protected(service, kind, given_arn(), name)
        }
        ResourceNaming::Parameter => {
            let flat = part(&resource, |resource| Some(resource.strip_prefix("parameter/").unwrap_or(resource)));
            let name = flat.map(|name| if name.contains('/') { Cow::Owned(format!("/{name}")) } else { name });
            protected(service, kind, given_arn(), name)
        }
        ResourceNaming::Object => {
            let kind = if resource.contains('/') { "object" } else { "bucket" };
            protected(service, kind, given_arn(), Some(resource))
        }
        ResourceNaming::Volume => {
            let kind = if value.starts_with("snap-") { "snapshot" } else { kind };
            protected(service, kind, given_arn(), Some(value.clone()))
        }
        ResourceNaming::Service => protected(service, kind, None, None),
        ResourceNaming::Id | ResourceNaming::Table | ResourceNaming::KeyspacesTable => {
            protected(service, kind, given_arn(), Some(value.clone()))
        }
    }
}

/// The table of a record of DynamoDB's own, if it is of one table.
fn table_of_own_record<'a>(row: &mut Row<'a>, members: &Members<'a>, issues: &mut Issues) {
    let found = match (asked_table(row, members, issues), tables_of(members.resources())) {
        (_, TableResources::One(name, arn)) => Some((name, Some(arn))),
        (_, TableResources::Several) => None,
        (Some(asked), TableResources::None) => match table_of_arn(&asked) {
            Some((name, arn)) => Some((name, Some(arn))),
            None if asked.starts_with("arn:") => None,
            None => {
                let account = row.recipient_account_id.as_deref().unwrap_or_default();
                let arn = compose_table_arn(&asked, account, row.aws_region.as_deref().unwrap_or_default());
                Some((asked, arn))
            }
        },
        (None, TableResources::None) => refused_table(row, members).map(|(name, arn)| (name, Some(arn))),
    };
    if let Some((name, arn)) = found {
        row.table_name = Some(name);
        row.table_arn = arn;
    }
}

/// The table by the request or the answer: its name, or the ARN of it or of a part of it.
fn asked_table<'a>(row: &Row<'a>, members: &Members<'a>, issues: &mut Issues) -> Option<Text<'a>> {
    const PARTS: [&[&str]; 6] = [
        &["backupArn"],
        &["exportArn"],
        &["importArn"],
        &["streamArn"],
        &["globalTableName"],
        &["tableCreationParameters", "tableName"],
    ];
    let text = |object: Option<Value<'a>>, path: &[&str]| object?.path(path)?.text().filter(|text| !text.is_empty());
    let request = members.request_parameters();
    let asked = issues
        .text(request.and_then(|request| request.get("tableName")), "requestParameters.tableName")
        .or_else(|| text(request, &["tableArn"]))
        .or_else(|| text(request, &["resourceArn"]))
        .or_else(|| text(members.response_elements(), &["tableDescription", "tableName"]));
    if restores(row) {
        return asked;
    }
    asked.or_else(|| PARTS.into_iter().find_map(|path| text(request, path)))
}

/// True if a table is made from the backup of another. The record may then name either of them.
fn restores(row: &Row<'_>) -> bool {
    row.event_name.as_deref().is_some_and(|name| name.starts_with("RestoreTable"))
}

/// The table of a refused call. AWS leaves out its parameters, but the message names the resource.
fn refused_table<'a>(row: &Row<'a>, members: &Members<'a>) -> Option<(Text<'a>, Text<'a>)> {
    let has_parameters = members.request_parameters().is_some_and(|parameters| parameters.kind() == JsonKind::Object);
    let message = members.error_message().filter(|_| !has_parameters && !restores(row))?.text()?;
    let code = members.error_code()?.text()?;
    if Outcome::of(Some(&code), Some(&message)) != Outcome::DENIED {
        return None;
    }
    let resource = part(&message, |message| Denial::of(None, Some(ErrorText::of(message))).resource)?;
    // A call on all tables is refused on a resource named `*`, which is no table.
    let is_name = |name: &Text| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    table_of_arn(&resource).filter(|(name, _)| is_name(name))
}

enum TableResources<'a> {
    None,
    One(Text<'a>, Text<'a>),
    Several,
}

/// The tables that `resources` names, themselves or by a stream, an index or a backup.
fn tables_of(resources: Option<Value<'_>>) -> TableResources<'_> {
    let mut one: Option<(Text, Text)> = None;
    for resource in resources.into_iter().flat_map(Value::items) {
        let arn = resource.get("ARN").or_else(|| resource.get("arn")).and_then(Value::text);
        let Some((name, arn)) = arn.as_ref().and_then(table_of_arn) else {
            continue;
        };
        match &one {
            Some((_, first)) if *first != arn => return TableResources::Several,
            _ => one = Some((name, arn)),
        }
    }
    one.map_or(TableResources::None, |(name, arn)| TableResources::One(name, arn))
}

/// The name and the ARN of the table in an ARN of it or of a part of it.
fn table_of_arn<'a>(text: &Text<'a>) -> Option<(Text<'a>, Text<'a>)> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "dynamodb")?;
    let parts = arn.resource_of("table")?.split_once('/').map_or(0, |(_, parts)| parts.len() + 1);
    let whole = part(text, |text| text.get(..text.len() - parts))?;
    let name = part(&whole, |whole| Arn::parse(whole)?.resource_of("table"))?;
    Some((name, whole))
}

fn compose_table_arn<'a>(name: &str, account: &str, region: &str) -> Option<Text<'a>> {
    (is_region(region) && is_account_id(account)).then(|| {
        Cow::Owned(["arn:", partition_of(region), ":dynamodb:", region, ":", account, ":table/", name].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonTree;
    use crate::normalize::{AccountHints, ColumnSet, Record, normalize};

    /// The service, the kind, the ARN, the name and the trust of the resource, then the table's name and its ARN. `more` are
    /// members of the record.
    fn found(event: &str, parameters: &str, more: &str) -> ([Option<String>; 7], Vec<String>) {
        let (service, event) = event.split_once(':').unwrap();
        let record = format!(
            r#"{{{more}"eventID":"0f1e2d3c-0000-4000-8000-000000000001","eventTime":"2026-03-10T12:00:00Z",
                "eventSource":"{service}.amazonaws.com","eventName":"{event}","requestParameters":{parameters}}}"#
        );
        let mut tree = JsonTree::new();
        let record = Record::of(tree.parse(record.as_bytes()).unwrap());
        let row = normalize(&record, &AccountHints::default(), ColumnSet::all());
        let resource =
            [row.resource_service, row.resource_type, row.resource_arn, row.resource_name, row.resource_trust];
        let [service, kind, arn, name, trust] = resource.map(|text| text.map(Cow::into_owned));
        let [table, table_arn] = [row.table_name, row.table_arn].map(|text| text.map(Cow::into_owned));
        ([service, kind, arn, name, trust, table, table_arn], row.issues)
    }

    const PLACE: &str = r#""awsRegion":"us-east-1","recipientAccountId":"111122223333","#;

    #[track_caller]
    fn compare(event: &str, parameters: &str, more: &str, expected: [&str; 7]) {
        let (found, _) = found(event, parameters, &format!("{PLACE}{more}"));
        let expected = expected.map(|text| (!text.is_empty()).then(|| text.to_owned()));
        assert_eq!(found, expected, "{parameters} {more}");
    }

    #[test]
    fn a_context_may_name_any_resource_by_its_arn() {
        const BY_KENDRA: &str = r#""userIdentity":{"type":"IAMUser","invokedBy":"kendra.amazonaws.com"},"#;
        let index = "arn:aws:kendra:us-east-1:111122223333:index/ab";
        let kendra = ["kendra", "index", index, "ab", "claimed", "", ""];
        for (key, arn, expected) in [
            ("aws:kendra:indexArn", index, kendra),
            ("aws:kendra:INDEXARN", index, kendra),
            ("aws-crypto-ec:aws:kendra:arn", index, kendra),
            (
                "aws:x:arn",
                "arn:aws:x:r:a:kind:name",
                ["x", "kind", "arn:aws:x:r:a:kind:name", "name", "claimed", "", ""],
            ),
            ("aws:x:arn", "arn:aws:x:r:a:name", ["x", "resource", "arn:aws:x:r:a:name", "name", "claimed", "", ""]),
            ("aws:x:arn", "arn:aws:x:r:a:/k/n", ["x", "resource", "arn:aws:x:r:a:/k/n", "/k/n", "claimed", "", ""]),
            ("aws:x:arn", "arn:aws:x:r:a:k/", ["x", "k", "arn:aws:x:r:a:k/", "", "claimed", "", ""]),
            ("aws:kendra:index", index, [""; 7]),
            ("my:kendra:arn", index, [""; 7]),
            ("arn", index, [""; 7]),
            ("aws:x:éab", index, [""; 7]),
            ("aws:x:arn", "index/ab", [""; 7]),
        ] {
            compare("kms:Decrypt", &format!(r#"{{"encryptionContext":{{"{key}":"{arn}"}}}}"#), "", expected);
        }
        // Beside an object, only of a service that made the call.
        let beside =
            format!(r#"{{"encryptionContext":{{"aws:s3:arn":"arn:aws:s3:::b/k","aws:kendra:arn":"{index}"}}}}"#);
        compare("kms:Decrypt", &beside, "", ["s3", "object", "arn:aws:s3:::b/k", "b/k", "claimed", "", ""]);
        compare("kms:Decrypt", &beside, BY_KENDRA, ["kendra", "index", index, "ab", "service", "", ""]);
    }

    #[test]
    fn a_context_names_no_more_than_it_says() {
        let emr = ["elasticmapreduce", "cluster", "", "", "service", "", ""];
        let by = |service: &str, source: &str| {
            format!(r#""sourceIPAddress":"{source}","userIdentity":{{"type":"IAMUser","invokedBy":"{service}"}},"#)
        };
        let role = |name: &str| {
            format!(
                r#""userIdentity":{{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/{name}/i"}},"#
            )
        };
        let keyspaces = "arn:aws:cassandra:us-east-1:111122223333:/keyspace/k/table/t";
        for (context, more, expected) in [
            (r#"{"kms_cmk_id":"a"}"#, by("elasticmapreduce.amazonaws.com", "192.0.2.1"), emr),
            (r#"{"kms_cmk_id":"a"}"#, by("signin.amazonaws.com", "elasticmapreduce.amazonaws.com"), emr),
            (r#"{"kms_cmk_id":"a"}"#, by("signin.amazonaws.com", "192.0.2.1"), [""; 7]),
            (r#"{"kms_cmk_id":"a"}"#, by("ec2.amazonaws.com", "elasticmapreduce.amazonaws.com"), [""; 7]),
            (
                r#"{"aws:cassandra:tableName":"t","aws:cassandra:keyspaceName":"k","aws:cassandra:subscriberId":"111122223333"}"#,
                String::new(),
                ["keyspaces", "table", keyspaces, "k.t", "claimed", "", ""],
            ),
            (
                r#"{"aws:dynamodb:tableName":"t","aws:dynamodb:subscriberId":"1"}"#,
                String::new(),
                ["dynamodb", "table", "", "t", "claimed", "t", ""],
            ),
            (
                r#"{"aws:ebs:id":"vol-1"}"#,
                role("aws:ec2-infrastructure"),
                ["ec2", "volume", "", "vol-1", "service", "", ""],
            ),
            (r#"{"aws:ebs:id":"vol-1"}"#, role("mine"), ["ec2", "volume", "", "vol-1", "claimed", "", ""]),
            (
                r#"{"aws:s3:arn":"arn:aws:s3:::b"}"#,
                role("aws:ec2-infrastructure"),
                ["s3", "bucket", "arn:aws:s3:::b", "b", "claimed", "", ""],
            ),
        ] {
            compare("kms:Decrypt", &format!(r#"{{"encryptionContext":{context}}}"#), &more, expected);
        }
    }

    #[test]
    fn an_escape_in_a_context_is_no_issue() {
        for (value, issues) in [
            (r#""a\u0041\"""#, &[][..]),
            (r#""\ud800""#, &["requestParameters.encryptionContext.k: not UTF-8"]),
            ("5", &["requestParameters.encryptionContext.k: not text"]),
        ] {
            let parameters = format!(r#"{{"encryptionContext":{{"k":{value}}}}}"#);
            assert_eq!(found("kms:Decrypt", &parameters, PLACE).1, issues, "{value}");
        }
    }

    #[test]
    fn a_call_of_dynamodb_names_its_table_by_name_or_arn() {
        let arn = "arn:aws:dynamodb:us-east-1:111122223333:table/t";
        for (name, place, table) in [
            ("t", PLACE, ["t", arn]),
            (arn, PLACE, ["t", arn]),
            ("arn:aws:s3:::t", PLACE, ["", ""]),
            ("t", r#""awsRegion":"nowhere","recipientAccountId":"111122223333","#, ["t", ""]),
            ("t", r#""awsRegion":"us-east-1","recipientAccountId":"1","#, ["t", ""]),
        ] {
            let ([.., table_name, table_arn], _) =
                found("dynamodb:GetItem", &format!(r#"{{"tableName":"{name}"}}"#), place);
            let expected = table.map(|text| (!text.is_empty()).then(|| text.to_owned()));
            assert_eq!([table_name, table_arn], expected, "{name} {place}");
        }
    }
}
