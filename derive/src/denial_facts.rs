//! The story of each refused call beyond its own record: tables that it may have been for, the change before it, the
//! success after it, the service's record of it, and if it is a known harmless one.
//! In: refusals, their echoes, successes, changes, and the keys of tables and aliases, in any order. Out: one row a
//! refused call, by its id.
//! Never calls what happened in one second earlier or later, and never hides a refusal for being harmless.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::arn::Arn;
use keytrail_rows::schema::ColumnType::{Text, TextList, Timestamp};

use super::compact::{PackedEventId, PooledText, TextPool};
use super::input::{InputBatch, TextCells, TimeCells};
use super::moment::second_of;
use super::output::{OutputCell, OutputRows, column};
use super::period_sweep::PeriodSweep;
use super::{Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const DENIAL_FACTS: DerivedTable = DerivedTable {
    name: "denial_facts",
    columns: COLUMNS,
    by: &[],
    unique: &["event_id"],
    time: RowTime::None,
    start: |_| Box::new(AllRefusals::default()),
};

const COLUMNS: &[OutputColumn] = &[
    column("event_id", Text),
    column("event_time", Timestamp),
    column("principal", Text),
    column("operation", Text),
    column("action", Text),
    column("key_arn", Text),
    column("key_by_table", Text),
    column("key_by_alias", Text),
    column("denial_reason", Text),
    column("denial_effect", Text),
    column("denial_policy_arn", Text),
    column("account_id", Text),
    column("region", Text),
    column("candidate_tables", TextList),
    column("table_certainty", Text),
    column("nearest_change_event_id", Text),
    column("nearest_change", Text),
    column("nearest_changed_at", Timestamp),
    column("nearest_changed_by", Text),
    column("first_success_after", Timestamp),
    column("first_success_event_id", Text),
    column("success_table_arn", Text),
    column("success_table_name", Text),
    column("success_via_service", Text),
    column("success_account_id", Text),
    column("success_principal_id", Text),
    column("success_session_created", Timestamp),
    column("success_on_behalf_of", Text),
    column("success_vpc_endpoint_id", Text),
    column("noise_class", Text),
    column("noise_evidence", Text),
    column("echo_event_ids", TextList),
    column("echo_basis", Text),
];

/// A refusal names so many candidates at most: a key may protect thousands of tables, and be refused millions of times.
const CANDIDATES_MAX: usize = 20;

/// Rough sizes of the facts about a row of the input, with their places in lists and half-full tables.
const REFUSAL_BYTES: usize = 256;
const SUCCESS_BYTES: usize = 56;
const CHANGE_BYTES: usize = 72;
const ECHO_BYTES: usize = 128;
const PERIOD_BYTES: usize = 192;
const SESSION_BYTES: usize = 128;

/// Services that look at everything in an account, and their names in `noise_class`.
const INVENTORY_SERVICES: [(&str, &str); 9] = [
    ("access-analyzer.amazonaws.com", "access_analyzer"),
    ("auditmanager.amazonaws.com", "audit_manager"),
    ("config-conforms.amazonaws.com", "aws_config"),
    ("config-multiaccountsetup.amazonaws.com", "aws_config"),
    ("config.amazonaws.com", "aws_config"),
    ("macie.amazonaws.com", "macie"),
    ("resource-explorer-2.amazonaws.com", "resource_explorer"),
    ("securityhub.amazonaws.com", "security_hub"),
    ("trustedadvisor.amazonaws.com", "trusted_advisor"),
];

/// The class of a known harmless refusal, and what shows it: the role is the service's own, which nobody else can
/// assume, and the call came from that service.
fn noise(principal_arn: Option<&str>, via: Option<&str>, via_source: Option<&str>) -> Option<(&'static str, String)> {
    let role = Arn::parse(principal_arn?).filter(|arn| arn.service == "iam")?;
    let (service, name) = role.resource.strip_prefix("role/aws-service-role/")?.split_once('/')?;
    let (_, class) = INVENTORY_SERVICES.iter().find(|(known, _)| *known == service)?;
    let said_by = via_source.filter(|source| matches!(*source, "invoked_by" | "source_ip"))?;
    let is_own = name.starts_with("AWSServiceRoleFor") && !name.contains('/');
    let is_from_there = via.is_some_and(|via| service.split_once('.').is_some_and(|(short, _)| short == via));
    (is_own && is_from_there).then(|| (*class, format!("{name} of {service}, called from there ({said_by})")))
}

/// A refused call. Its texts are of the pool.
#[derive(Debug)]
struct RefusedCall {
    id: PackedEventId,
    time: Option<i64>,
    principal: PooledText,
    operation: Option<PooledText>,
    action: Option<PooledText>,
    key: Option<PooledText>,
    /// Of a refusal that names no key.
    alias: Option<PooledText>,
    /// The operation whose successes are later ones of the same: of a ReEncrypt at the refused side.
    success_operation: Option<PooledText>,
    reason: Option<PooledText>,
    effect: Option<PooledText>,
    denied_by: Option<PooledText>,
    account: Option<PooledText>,
    region: Option<PooledText>,
    /// The user or role that is the principal, as changes name it.
    identity: Option<PooledText>,
    /// Of DynamoDB's own record.
    table: Option<PooledText>,
    noise: Option<(PooledText, PooledText)>,
}

/// Records of services that tell of one refusal.
#[derive(Debug, Default)]
struct RefusalEchoes {
    ids: Vec<PackedEventId>,
    named_request: bool,
    table: Option<PooledText>,
}

/// A successful call, by the session that made it.
#[derive(Debug)]
struct LaterSuccess {
    time: i64,
    id: PackedEventId,
    by: u32,
}

/// The facts that the calls of one session share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SuccessOrigin {
    table_arn: Option<PooledText>,
    table_name: Option<PooledText>,
    via_service: Option<PooledText>,
    account: Option<PooledText>,
    principal_id: Option<PooledText>,
    session_created: Option<i64>,
    on_behalf_of: Option<PooledText>,
    vpc_endpoint: Option<PooledText>,
}

/// A successful change that bears on a key or on a principal.
#[derive(Debug)]
struct EarlierChange {
    time: i64,
    id: PackedEventId,
    name: PooledText,
    by: PooledText,
}

/// All rows of the input so far.
#[derive(Debug, Default)]
struct AllRefusals {
    texts: TextPool,
    refusals: Vec<RefusedCall>,
    /// By the id of KMS's record.
    echoes: HashMap<PackedEventId, RefusalEchoes>,
    /// By principal, operation and key; those of ReEncrypt also by the operation of their side.
    successes: HashMap<[PooledText; 3], Vec<LaterSuccess>>,
    origins: HashMap<SuccessOrigin, u32>,
    /// The same once all rows are here.
    origins_by_number: Vec<SuccessOrigin>,
    /// By key or by the name of a user or role.
    changes: HashMap<PooledText, Vec<EarlierChange>>,
    tables_of_keys: HashMap<PooledText, PeriodSweep>,
    keys_of_tables: HashMap<PooledText, PeriodSweep>,
    keys_of_aliases: HashMap<PooledText, PeriodSweep>,
    bytes: usize,
}

impl AllRefusals {
    fn add_refusal(&mut self, row: usize, columns: &RefusalColumns<'_>) {
        let texts = &mut self.texts;
        let principal_arn = columns.principal_arn.get(row);
        let (operation, side) = (columns.operation.get(row), columns.key_role.get(row));
        let side = operation.zip(side).and_then(|(operation, side)| operation_of_side(operation, side));
        let noise = noise(principal_arn, columns.via_service.get(row), columns.via_source.get(row));
        self.refusals.push(RefusedCall {
            id: PackedEventId::of(columns.event_id.get(row).unwrap_or_default()),
            time: columns.event_time.get(row),
            principal: texts.put(columns.principal.get(row).unwrap_or_default()),
            operation: texts.put_cell(operation),
            action: texts.put_cell(columns.action.get(row)),
            key: texts.put_cell(columns.key_arn.get(row)),
            alias: texts.put_cell(columns.alias_arn.get(row).filter(|_| columns.key_arn.get(row).is_none())),
            success_operation: texts.put_cell(side.or(operation)),
            reason: texts.put_cell(columns.denial_reason.get(row)),
            effect: texts.put_cell(columns.denial_effect.get(row)),
            denied_by: texts.put_cell(columns.denial_policy_arn.get(row)),
            account: texts.put_cell(columns.account_id.get(row)),
            region: texts.put_cell(columns.region.get(row)),
            identity: principal_arn.and_then(identity).map(|name| texts.put(&name)),
            table: texts.put_cell(columns.table_arn.get(row)),
            noise: noise.map(|(class, evidence)| (texts.put(class), texts.put(&evidence))),
        });
        self.bytes += REFUSAL_BYTES;
    }

    fn add_echo(&mut self, row: usize, columns: &RefusalColumns<'_>) {
        let Some(echo) = columns.other_event_id.get(row) else { return };
        let table = self.texts.put_cell(columns.table_arn.get(row));
        let refused = PackedEventId::of(columns.event_id.get(row).unwrap_or_default());
        let echoes = self.echoes.entry(refused).or_default();
        echoes.ids.push(PackedEventId::of(echo));
        echoes.named_request |= columns.operation.get(row) == Some("request_id");
        // DynamoDB tells of one refusal once; should two records name two tables, the order of the rows decides
        // nothing.
        let texts = &self.texts;
        echoes.table = [echoes.table, table].into_iter().flatten().max_by_key(|table| texts.get(*table));
        self.bytes += ECHO_BYTES;
    }

    fn add_success(&mut self, row: usize, columns: &RefusalColumns<'_>) {
        let texts = &mut self.texts;
        let of = [columns.principal.get(row), columns.operation.get(row), columns.key_arn.get(row)];
        let ([Some(principal), Some(operation), Some(key)], Some(time)) = (of, columns.event_time.get(row)) else {
            return;
        };
        let side = columns.key_role.get(row).and_then(|side| operation_of_side(operation, side));
        let of = [operation].into_iter().chain(side);
        let of: Vec<_> = of.map(|operation| [texts.put(principal), texts.put(operation), texts.put(key)]).collect();
        let origin = SuccessOrigin {
            table_arn: texts.put_cell(columns.table_arn.get(row)),
            table_name: texts.put_cell(columns.table_name.get(row)),
            via_service: texts.put_cell(columns.via_service.get(row)),
            account: texts.put_cell(columns.account_id.get(row)),
            principal_id: texts.put_cell(columns.principal_id.get(row)),
            session_created: columns.session_created.get(row),
            on_behalf_of: texts.put_cell(columns.on_behalf_of.get(row)),
            vpc_endpoint: texts.put_cell(columns.vpc_endpoint_id.get(row)),
        };
        let next = u32::try_from(self.origins.len()).expect("four thousand million sessions do not fit into memory");
        let by = *self.origins.entry(origin).or_insert(next);
        self.bytes += of.len() * SUCCESS_BYTES + if by == next { SESSION_BYTES } else { 0 };
        for of in of {
            let id = PackedEventId::of(columns.event_id.get(row).unwrap_or_default());
            self.successes.entry(of).or_default().push(LaterSuccess { time, id, by });
        }
    }

    fn add_change(&mut self, row: usize, columns: &RefusalColumns<'_>) {
        let Some(time) = columns.event_time.get(row) else { return };
        let target = columns.target.get(row).and_then(identity);
        let Some(of) = columns.key_arn.get(row).or(target.as_deref()) else { return };
        let of = self.texts.put(of);
        let id = PackedEventId::of(columns.event_id.get(row).unwrap_or_default());
        let name = self.texts.put(columns.operation.get(row).unwrap_or_default());
        let by = self.texts.put(columns.principal.get(row).unwrap_or_default());
        self.changes.entry(of).or_default().push(EarlierChange { time, id, name, by });
        self.bytes += CHANGE_BYTES;
    }

    /// A period in which a key protected a table. One whose start was not seen may reach back.
    fn add_table(&mut self, row: usize, columns: &RefusalColumns<'_>) {
        let (Some(key), Some(table)) = (columns.key_arn.get(row), columns.table_arn.get(row)) else { return };
        let (start, end) = (columns.event_time.get(row), columns.valid_to.get(row));
        let (by_key, by_table) = (self.texts.put(key), self.texts.put(table));
        self.tables_of_keys.entry(by_key).or_default().add(table, start, end);
        self.keys_of_tables.entry(by_table).or_default().add(key, start, end);
        self.bytes += PERIOD_BYTES;
    }

    /// A period in which an alias named a key.
    fn add_alias(&mut self, row: usize, columns: &RefusalColumns<'_>) {
        let (Some(alias), Some(key)) = (columns.alias_arn.get(row), columns.key_arn.get(row)) else { return };
        let (start, end) = (columns.event_time.get(row), columns.valid_to.get(row));
        let alias = self.texts.put(alias);
        self.keys_of_aliases.entry(alias).or_default().add(key, start, end);
        self.bytes += PERIOD_BYTES;
    }

    /// Puts everything into the order of time. The texts decide between two rows of one id, since their numbers are
    /// luck.
    fn sort(&mut self) {
        let texts = &self.texts;
        let by_id = |a: &RefusedCall, b: &RefusedCall| (a.time, &a.id).cmp(&(b.time, &b.id));
        self.refusals.sort_unstable_by(|a, b| by_id(a, b).then_with(|| a.texts(texts).cmp(&b.texts(texts))));
        self.echoes.values_mut().for_each(|echoes| echoes.ids.sort_unstable());
        let mut origins: Vec<(SuccessOrigin, u32)> = self.origins.drain().collect();
        origins.sort_unstable_by_key(|(_, number)| *number);
        self.origins_by_number = origins.into_iter().map(|(origin, _)| origin).collect();
        let (texts, origins) = (&self.texts, &self.origins_by_number);
        let by_text = |success: &LaterSuccess| origins[success.by as usize].texts(texts);
        for successes in self.successes.values_mut() {
            let by_id = |a: &LaterSuccess, b: &LaterSuccess| (a.time, &a.id).cmp(&(b.time, &b.id));
            successes.sort_unstable_by(|a, b| by_id(a, b).then_with(|| by_text(a).cmp(&by_text(b))));
        }
        let by_text = |change: &EarlierChange| [texts.get(change.name), texts.get(change.by)];
        for changes in self.changes.values_mut() {
            let by_id = |a: &EarlierChange, b: &EarlierChange| (a.time, &a.id).cmp(&(b.time, &b.id));
            changes.sort_unstable_by(|a, b| by_id(a, b).then_with(|| by_text(a).cmp(&by_text(b))));
        }
    }

    /// The last change before the second of the refusal that bears on its key or its principal.
    fn nearest_change(&self, refused: &RefusedCall, key: Option<PooledText>) -> Option<&EarlierChange> {
        let now = second_of(refused.time?);
        let last = |of: PooledText| {
            let changes = self.changes.get(&of)?;
            changes[..changes.partition_point(|change| second_of(change.time) < now)].last()
        };
        let found = [key, refused.identity].into_iter().flatten().filter_map(last);
        found.max_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)))
    }

    /// The first success after the second of the refusal, of the same principal at the same operation on the key.
    fn first_success(&self, refused: &RefusedCall, key: PooledText) -> Option<&LaterSuccess> {
        let now = second_of(refused.time?);
        let successes = self.successes.get(&[refused.principal, refused.success_operation?, key])?;
        successes.get(successes.partition_point(|success| second_of(success.time) <= now))
    }

    /// The key of a table at a time, if it had one and only one.
    fn key_of_table(&mut self, table: PooledText, time: i64) -> Option<PooledText> {
        let (keys, count) = self.keys_of_tables.get_mut(&table)?.at(time, 1);
        keys.first().filter(|_| count == 1).map(|key| self.texts.put(key))
    }

    /// The key that an alias named at a time, if it was one and only one.
    fn key_of_alias(&mut self, alias: PooledText, time: i64) -> Option<PooledText> {
        let (keys, count) = self.keys_of_aliases.get_mut(&alias)?.at(time, 1);
        keys.first().filter(|_| count == 1).map(|key| self.texts.put(key))
    }

    /// The tables that were under a key at a time, and how sure it is that a refusal was for one.
    fn candidates(&mut self, key: PooledText, time: i64) -> Option<(Arc<Vec<String>>, &'static str)> {
        let (tables, count) = self.tables_of_keys.get_mut(&key)?.at(time, CANDIDATES_MAX);
        match count {
            0 => None,
            1 => Some((tables, "likely")),
            _ => Some((tables, "possible")),
        }
    }

    /// The tables of all refusals, which are in the order of time.
    fn tables_of(&mut self, refusals: &[RefusedCall]) -> Vec<RefusalTables> {
        let tables_of = |refused: &RefusedCall| {
            let told = refused.table.or_else(|| self.echoes.get(&refused.id)?.table);
            let key_by_alias = refused.alias.zip(refused.time).and_then(|(alias, time)| self.key_of_alias(alias, time));
            let key = refused.key.or(key_by_alias);
            let key_by_table = match (key, told, refused.time) {
                (None, Some(table), Some(time)) => self.key_of_table(table, time),
                _ => None,
            };
            let candidates = match told {
                Some(table) => Some((Arc::new(vec![self.texts.get(table).to_owned()]), "certain")),
                None => key.zip(refused.time).and_then(|(key, time)| self.candidates(key, time)),
            };
            RefusalTables { candidates, key_by_table, key_by_alias }
        };
        refusals.iter().map(tables_of).collect()
    }

    fn push(&self, rows: &mut OutputRows, refused: &RefusedCall, tables: &RefusalTables) -> Result<(), ArrowError> {
        let text = |text: Option<PooledText>| OutputCell::Text(self.texts.cell(text));
        let echoes = self.echoes.get(&refused.id);
        let echo_ids = echoes.map(|echoes| echoes.ids.iter().map(ToString::to_string).collect::<Vec<_>>());
        let basis = echoes.map(|echoes| if echoes.named_request { "request_id" } else { "time" });
        let key = refused.key.or(tables.key_by_alias);
        let change = self.nearest_change(refused, key);
        let change_id = change.map(|change| change.id.to_string());
        let success = key.or(tables.key_by_table).and_then(|key| self.first_success(refused, key));
        let success_id = success.map(|success| success.id.to_string());
        let origin = success.and_then(|success| self.origins_by_number.get(success.by as usize));
        let of_origin = |cell: fn(&SuccessOrigin) -> Option<PooledText>| text(origin.and_then(cell));
        rows.push([
            (&refused.id.to_string()).into(),
            OutputCell::Time(refused.time),
            text(Some(refused.principal)),
            text(refused.operation),
            text(refused.action),
            text(refused.key),
            text(tables.key_by_table),
            text(tables.key_by_alias),
            text(refused.reason),
            text(refused.effect),
            text(refused.denied_by),
            text(refused.account),
            text(refused.region),
            OutputCell::Texts(tables.candidates.as_ref().map(|(tables, _)| &tables[..])),
            OutputCell::Text(tables.candidates.as_ref().map(|(_, certainty)| *certainty)),
            (&change_id).into(),
            text(change.map(|change| change.name)),
            OutputCell::Time(change.map(|change| change.time)),
            text(change.map(|change| change.by)),
            OutputCell::Time(success.map(|success| success.time)),
            (&success_id).into(),
            of_origin(|origin| origin.table_arn),
            of_origin(|origin| origin.table_name),
            of_origin(|origin| origin.via_service),
            of_origin(|origin| origin.account),
            of_origin(|origin| origin.principal_id),
            OutputCell::Time(origin.and_then(|origin| origin.session_created)),
            of_origin(|origin| origin.on_behalf_of),
            of_origin(|origin| origin.vpc_endpoint),
            text(refused.noise.map(|(class, _)| class)),
            text(refused.noise.map(|(_, evidence)| evidence)),
            OutputCell::Texts(echo_ids.as_deref()),
            basis.into(),
        ])
    }
}

/// The tables that a refusal may have been for, and a key that one tells.
struct RefusalTables {
    candidates: Option<(Arc<Vec<String>>, &'static str)>,
    /// The key of the table that DynamoDB's own record names, for a refusal that names no key.
    key_by_table: Option<PooledText>,
    /// The key that the alias named then, for a refusal that names an alias in place of a key.
    key_by_alias: Option<PooledText>,
}

impl RefusedCall {
    /// All that its record tells beside its time and its id.
    fn texts<'t>(&self, texts: &'t TextPool) -> [Option<&'t str>; 15] {
        let (class, evidence) = self.noise.unzip();
        let of = [
            Some(self.principal),
            self.operation,
            self.action,
            self.key,
            self.alias,
            self.success_operation,
            self.reason,
            self.effect,
            self.denied_by,
            self.account,
            self.region,
            self.identity,
            self.table,
            class,
            evidence,
        ];
        of.map(|text| texts.cell(text))
    }
}

/// The operation that KMS allows or refuses at one side of a ReEncrypt.
fn operation_of_side(operation: &str, side: &str) -> Option<&'static str> {
    match (operation, side) {
        ("ReEncrypt", "source") => Some("ReEncryptFrom"),
        ("ReEncrypt", "destination") => Some("ReEncryptTo"),
        _ => None,
    }
}

impl SuccessOrigin {
    fn texts<'t>(&self, texts: &'t TextPool) -> ([Option<&'t str>; 7], Option<i64>) {
        let of = [
            self.table_arn,
            self.table_name,
            self.via_service,
            self.account,
            self.principal_id,
            self.on_behalf_of,
            self.vpc_endpoint,
        ];
        (of.map(|text| texts.cell(text)), self.session_created)
    }
}

/// A user or role of IAM without its path, as requests name it: `ACCOUNT:user/NAME`.
pub(crate) fn identity(arn: &str) -> Option<String> {
    let arn = Arn::parse(arn).filter(|arn| arn.service == "iam")?;
    let (kind, path) = arn.resource.split_once('/').filter(|(kind, _)| matches!(*kind, "user" | "role"))?;
    let name = path.rsplit('/').next().unwrap_or(path);
    Some(format!("{}:{kind}/{name}", arn.account))
}

/// The columns of one batch of the input.
struct RefusalColumns<'a> {
    kind: TextCells<'a>,
    event_id: TextCells<'a>,
    event_time: TimeCells<'a>,
    principal: TextCells<'a>,
    operation: TextCells<'a>,
    action: TextCells<'a>,
    key_arn: TextCells<'a>,
    alias_arn: TextCells<'a>,
    /// Of a ReEncrypt the side that was refused or that succeeded.
    key_role: TextCells<'a>,
    denial_reason: TextCells<'a>,
    denial_effect: TextCells<'a>,
    denial_policy_arn: TextCells<'a>,
    account_id: TextCells<'a>,
    region: TextCells<'a>,
    principal_arn: TextCells<'a>,
    via_service: TextCells<'a>,
    via_source: TextCells<'a>,
    table_arn: TextCells<'a>,
    table_name: TextCells<'a>,
    principal_id: TextCells<'a>,
    session_created: TimeCells<'a>,
    on_behalf_of: TextCells<'a>,
    vpc_endpoint_id: TextCells<'a>,
    other_event_id: TextCells<'a>,
    target: TextCells<'a>,
    valid_to: TimeCells<'a>,
}

impl<'a> RefusalColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<RefusalColumns<'a>, ArrowError> {
        Ok(RefusalColumns {
            kind: rows.texts("kind")?,
            event_id: rows.texts("event_id")?,
            event_time: rows.times("event_time")?,
            principal: rows.texts("principal")?,
            operation: rows.texts("operation")?,
            action: rows.texts("action")?,
            key_arn: rows.texts("key_arn")?,
            alias_arn: rows.texts("alias_arn")?,
            key_role: rows.texts("key_role")?,
            denial_reason: rows.texts("denial_reason")?,
            denial_effect: rows.texts("denial_effect")?,
            denial_policy_arn: rows.texts("denial_policy_arn")?,
            account_id: rows.texts("account_id")?,
            region: rows.texts("region")?,
            principal_arn: rows.texts("principal_arn")?,
            via_service: rows.texts("via_service")?,
            via_source: rows.texts("via_source")?,
            table_arn: rows.texts("table_arn")?,
            table_name: rows.texts("table_name")?,
            principal_id: rows.texts("principal_id")?,
            session_created: rows.times("session_created")?,
            on_behalf_of: rows.texts("on_behalf_of")?,
            vpc_endpoint_id: rows.texts("vpc_endpoint_id")?,
            other_event_id: rows.texts("other_event_id")?,
            target: rows.texts("target")?,
            valid_to: rows.times("valid_to")?,
        })
    }
}

impl Derivation for AllRefusals {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let columns = RefusalColumns::of(InputBatch::new("denial_facts", rows))?;
        for row in 0..rows.num_rows() {
            match columns.kind.get(row) {
                Some("refusal") => self.add_refusal(row, &columns),
                Some("echo") => self.add_echo(row, &columns),
                Some("success") => self.add_success(row, &columns),
                Some("change") => self.add_change(row, &columns),
                Some("table") => self.add_table(row, &columns),
                Some("alias") => self.add_alias(row, &columns),
                other => return Err(ArrowError::SchemaError(format!("a row of `denial_facts` is of kind {other:?}"))),
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes + self.texts.bytes_held()
    }

    fn finish(mut self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        self.sort();
        let refusals = std::mem::take(&mut self.refusals);
        let tables = self.tables_of(&refusals);
        // Two copies of a record under one id give one row, the first's.
        let mut by_id: Vec<(&RefusedCall, &RefusalTables)> = refusals.iter().zip(&tables).collect();
        by_id.sort_by_key(|(refused, _)| &refused.id);
        by_id.dedup_by_key(|(refused, _)| &refused.id);
        let mut rows = OutputRows::new(COLUMNS);
        by_id.into_iter().try_for_each(|(refused, tables)| self.push(&mut rows, refused, tables))?;
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::TimestampMicrosecondType;
    use keytrail_rows::time::MICROS_PER_SECOND;

    use super::*;

    const TEXTS: [&str; 23] = [
        "kind",
        "event_id",
        "principal",
        "operation",
        "action",
        "key_arn",
        "alias_arn",
        "key_role",
        "denial_reason",
        "denial_effect",
        "denial_policy_arn",
        "account_id",
        "region",
        "principal_arn",
        "via_service",
        "via_source",
        "table_arn",
        "table_name",
        "principal_id",
        "on_behalf_of",
        "vpc_endpoint_id",
        "other_event_id",
        "target",
    ];
    const TIMES: [&str; 3] = ["event_time", "session_created", "valid_to"];

    const ROLE: &str = "arn:aws:iam::111122223333:role/app/reader";

    /// A row of the input: its kind, and `NAME=VALUE` for what is not NULL. Times are seconds. `p` is the principal.
    fn row(line: &str) -> RecordBatch {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut cells: BTreeMap<&str, &str> = rest.split(' ').filter_map(|cell| cell.split_once('=')).collect();
        cells.insert("kind", kind);
        let texts = TEXTS.map(|name| {
            let cell = cells.remove(name).map(|cell| if cell == "p" { ROLE } else { cell });
            (name, Arc::new(StringArray::from(vec![cell])) as ArrayRef, true)
        });
        let times = TIMES.map(|name| {
            let time = cells.remove(name).map(|cell| cell.parse::<i64>().unwrap() * MICROS_PER_SECOND);
            (name, Arc::new(TimestampMicrosecondArray::from(vec![time]).with_timezone("UTC")) as ArrayRef, true)
        });
        assert!(cells.is_empty(), "{line} has {cells:?} beside the columns");
        RecordBatch::try_from_iter_with_nullable(texts.into_iter().chain(times)).unwrap()
    }

    fn facts(lines: &[&str]) -> RecordBatch {
        let derived = |lines: &mut dyn Iterator<Item = &&str>| {
            let mut all = Box::new(AllRefusals::default());
            lines.for_each(|line| all.take(&row(line)).unwrap());
            all.finish().unwrap()
        };
        let rows = derived(&mut lines.iter());
        assert_eq!(rows, derived(&mut lines.iter().rev()), "the order of rows counts: {lines:?}");
        rows
    }

    /// The cells of the only row, without NULLs; `-` for no cell.
    fn told(lines: &[&str], names: &[&str]) -> String {
        let rows = facts(lines);
        assert_eq!(rows.num_rows(), 1, "{lines:?}");
        let cell = |name: &&str| {
            let column = &rows[*name];
            if column.is_null(0) {
                return "-".to_owned();
            }
            if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
                return (times.value(0) / MICROS_PER_SECOND).to_string();
            }
            match column.as_string_opt::<i32>() {
                Some(texts) => texts.value(0).to_owned(),
                None => {
                    let list = column.as_list::<i32>().value(0);
                    list.as_string::<i32>().iter().flatten().collect::<Vec<_>>().join(",")
                }
            }
        };
        names.iter().map(cell).collect::<Vec<_>>().join(" ")
    }

    const REFUSED: &str = "refusal event_id=d event_time=100 principal=p principal_arn=p operation=Decrypt key_arn=k";

    #[test]
    fn the_first_later_success_is_of_the_same_principal_operation_and_key() {
        for (name, successes, expected) in [
            ("none", &[][..], "- -"),
            (
                "the first",
                &[
                    "event_id=s2 event_time=300 principal=p operation=Decrypt key_arn=k",
                    "event_id=s1 event_time=200 principal=p operation=Decrypt key_arn=k",
                ],
                "200 s1",
            ),
            (
                "two of one second",
                &[
                    "event_id=s2 event_time=200 principal=p operation=Decrypt key_arn=k",
                    "event_id=s1 event_time=200 principal=p operation=Decrypt key_arn=k",
                ],
                "200 s1",
            ),
            ("of the refusal's second", &["event_id=s event_time=100 principal=p operation=Decrypt key_arn=k"], "- -"),
            ("before", &["event_id=s event_time=99 principal=p operation=Decrypt key_arn=k"], "- -"),
            ("without a time", &["event_id=s principal=p operation=Decrypt key_arn=k"], "- -"),
            ("another's", &["event_id=s event_time=200 principal=q operation=Decrypt key_arn=k"], "- -"),
            ("at another operation", &["event_id=s event_time=200 principal=p operation=Encrypt key_arn=k"], "- -"),
            ("on another key", &["event_id=s event_time=200 principal=p operation=Decrypt key_arn=l"], "- -"),
        ] {
            let lines: Vec<String> = successes.iter().map(|success| format!("success {success}")).collect();
            let lines: Vec<&str> = [REFUSED].into_iter().chain(lines.iter().map(String::as_str)).collect();
            assert_eq!(told(&lines, &["first_success_after", "first_success_event_id"]), expected, "{name}");
        }
    }

    #[test]
    fn a_success_of_a_re_encrypt_is_of_the_refused_side() {
        let success = |role: &str| {
            let role = if role == "-" { String::new() } else { format!(" key_role={role}") };
            format!("success event_id={role}s event_time=200 principal=p operation=ReEncrypt key_arn=k{role}")
        };
        for (refused, succeeded, expected) in [
            ("source", "source", "200"),
            ("source", "destination", "-"),
            ("destination", "destination", "200"),
            ("destination", "source", "-"),
            // The refusal does not tell its side.
            ("-", "source", "200"),
            ("-", "destination", "200"),
        ] {
            let side = if refused == "-" { String::new() } else { format!(" key_role={refused}") };
            let refusal = format!("refusal event_id=d event_time=100 principal=p operation=ReEncrypt key_arn=k{side}");
            let found = told(&[&refusal, &success(succeeded)], &["first_success_after"]);
            assert_eq!(found, expected, "{refused} {succeeded}");
        }
        // From a key to itself: one call, and both its sides.
        let refusal =
            "refusal event_id=d event_time=100 principal=p operation=ReEncrypt key_arn=k key_role=destination";
        let itself = ["source", "destination"].map(|role| {
            format!("success event_id=s event_time=200 principal=p operation=ReEncrypt key_arn=k key_role={role}")
        });
        assert_eq!(told(&[refusal, &itself[0], &itself[1]], &["first_success_event_id"]), "s");
        let other = "success event_id=s event_time=200 principal=p operation=Decrypt key_arn=k key_role=only";
        assert_eq!(told(&[REFUSED, other], &["first_success_after"]), "200");
    }

    #[test]
    fn an_alias_stands_for_the_one_key_that_it_named_then() {
        let by_alias = "refusal event_id=d event_time=100 principal=p operation=Decrypt alias_arn=a";
        let (success, change) = (
            "success event_id=s event_time=200 principal=p operation=Decrypt key_arn=k",
            "change event_id=c event_time=50 operation=PutKeyPolicy principal=admin key_arn=k",
        );
        for (name, periods, expected) in [
            ("none", &[][..], "- - - -"),
            ("one", &["alias alias_arn=a key_arn=k event_time=10"], "- k s c"),
            ("one whose start was not seen", &["alias alias_arn=a key_arn=k"], "- k s c"),
            (
                "moved before",
                &["alias alias_arn=a key_arn=l event_time=10 valid_to=20", "alias alias_arn=a key_arn=k event_time=20"],
                "- k s c",
            ),
            (
                "moved in that second",
                &[
                    "alias alias_arn=a key_arn=l event_time=10 valid_to=100",
                    "alias alias_arn=a key_arn=k event_time=100",
                ],
                "- - - -",
            ),
            ("two keys", &["alias alias_arn=a key_arn=k", "alias alias_arn=a key_arn=l"], "- - - -"),
            ("deleted", &["alias alias_arn=a key_arn=k event_time=10 valid_to=99"], "- - - -"),
            ("made later", &["alias alias_arn=a key_arn=k event_time=101"], "- - - -"),
            ("another alias", &["alias alias_arn=b key_arn=k"], "- - - -"),
        ] {
            let lines: Vec<&str> = [by_alias, success, change].into_iter().chain(periods.iter().copied()).collect();
            let names = ["key_arn", "key_by_alias", "first_success_event_id", "nearest_change_event_id"];
            assert_eq!(told(&lines, &names), expected, "{name}");
        }
        // A record that names a key needs no alias.
        let named = "refusal event_id=d event_time=100 principal=p operation=Decrypt key_arn=l alias_arn=a";
        assert_eq!(told(&[named, "alias alias_arn=a key_arn=k"], &["key_arn", "key_by_alias"]), "l -");
    }

    #[test]
    fn the_nearest_change_is_the_last_of_an_earlier_second() {
        for (name, changes, expected) in [
            ("none", &[][..], "- - -"),
            (
                "the last",
                &[
                    "event_id=a event_time=10 operation=PutKeyPolicy key_arn=k",
                    "event_id=b event_time=20 operation=CreateGrant key_arn=k",
                ],
                "b CreateGrant 20",
            ),
            (
                "of the key or the role",
                &[
                    "event_id=a event_time=10 operation=PutKeyPolicy key_arn=k",
                    "event_id=b event_time=20 operation=PutRolePolicy target=arn:aws:iam::111122223333:role/reader",
                ],
                "b PutRolePolicy 20",
            ),
            ("of the refusal's second", &["event_id=a event_time=100 operation=PutKeyPolicy key_arn=k"], "- - -"),
            ("later", &["event_id=a event_time=101 operation=PutKeyPolicy key_arn=k"], "- - -"),
            ("another key's", &["event_id=a event_time=10 operation=PutKeyPolicy key_arn=l"], "- - -"),
            (
                "another account's role",
                &["event_id=a event_time=10 operation=PutRolePolicy target=arn:aws:iam::444455556666:role/reader"],
                "- - -",
            ),
            (
                "a user of that name",
                &["event_id=a event_time=10 operation=PutUserPolicy target=arn:aws:iam::111122223333:user/reader"],
                "- - -",
            ),
            ("of nobody", &["event_id=a event_time=10 operation=AttachGroupPolicy"], "- - -"),
        ] {
            let lines: Vec<String> = changes.iter().map(|change| format!("change principal=admin {change}")).collect();
            let lines: Vec<&str> = [REFUSED].into_iter().chain(lines.iter().map(String::as_str)).collect();
            let names = ["nearest_change_event_id", "nearest_change", "nearest_changed_at"];
            assert_eq!(told(&lines, &names), expected, "{name}");
        }
    }

    #[test]
    fn tables_are_those_of_the_key_then_unless_a_record_names_one() {
        let unnamed = "refusal event_id=d event_time=100 principal=p operation=Decrypt";
        let echo = "echo event_id=d operation=time other_event_id=e table_arn=t";
        for (name, lines, expected) in [
            ("no table", &[REFUSED][..], "- - -"),
            ("one", &[REFUSED, "table key_arn=k table_arn=t event_time=50"], "t likely -"),
            ("one whose start was not seen", &[REFUSED, "table key_arn=k table_arn=t"], "t likely -"),
            ("one that came later", &[REFUSED, "table key_arn=k table_arn=t event_time=101"], "- - -"),
            ("one that went before", &[REFUSED, "table key_arn=k table_arn=t event_time=50 valid_to=99"], "- - -"),
            (
                "two",
                &[REFUSED, "table key_arn=k table_arn=u", "table key_arn=k table_arn=t event_time=9"],
                "t,u possible -",
            ),
            (
                "two periods of one",
                &[REFUSED, "table key_arn=k table_arn=t event_time=9", "table key_arn=k table_arn=t"],
                "t likely -",
            ),
            ("another key's", &[REFUSED, "table key_arn=l table_arn=t"], "- - -"),
            ("named by DynamoDB", &[REFUSED, echo, "table key_arn=k table_arn=u"], "t certain -"),
            (
                "named by its own record",
                &["refusal event_id=d event_time=100 principal=p operation=Decrypt key_arn=k table_arn=t"],
                "t certain -",
            ),
            ("a key that only the table tells", &[unnamed, echo, "table key_arn=k table_arn=t"], "t certain k"),
            (
                "a table with two keys",
                &[unnamed, echo, "table key_arn=k table_arn=t", "table key_arn=l table_arn=t event_time=10"],
                "t certain -",
            ),
            ("no key and no table", &[unnamed, "table key_arn=k table_arn=t"], "- - -"),
        ] {
            let names = ["candidate_tables", "table_certainty", "key_by_table"];
            assert_eq!(told(lines, &names), expected, "{name}");
        }
        let many: Vec<String> = (10..60).map(|number| format!("table key_arn=k table_arn=t{number}")).collect();
        let many: Vec<&str> = [REFUSED].into_iter().chain(many.iter().map(String::as_str)).collect();
        let tables = told(&many, &["candidate_tables"]);
        assert_eq!((tables.split(',').count(), tables.split(',').next_back()), (CANDIDATES_MAX, Some("t29")));
    }

    #[test]
    fn echoes_are_listed_by_their_best_basis() {
        let (time, request) = (
            "echo event_id=d operation=time other_event_id=f",
            "echo event_id=d operation=request_id other_event_id=e",
        );
        let names = ["echo_event_ids", "echo_basis"];
        assert_eq!(told(&[REFUSED, time], &names), "f time");
        assert_eq!(told(&[REFUSED, time, request], &names), "e,f request_id");
        assert_eq!(told(&[REFUSED, "echo event_id=other operation=time other_event_id=f"], &names), "- -");
    }

    #[test]
    fn only_a_service_with_its_own_role_is_noise() {
        let role = "arn:aws:iam::111122223333:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig";
        for (arn, via, source, expected) in [
            (role, Some("config"), Some("invoked_by"), Some("aws_config")),
            (role, Some("config"), Some("source_ip"), Some("aws_config")),
            // An encryption context is the caller's word.
            (role, Some("config"), Some("context"), None),
            (role, Some("s3"), Some("invoked_by"), None),
            (role, None, None, None),
            (&role.replace("role/aws-service-role/", "role/"), Some("config"), Some("invoked_by"), None),
            (
                &role.replace("role/aws-service-role/", "role/a/aws-service-role/"),
                Some("config"),
                Some("invoked_by"),
                None,
            ),
            (&role.replace("AWSServiceRoleForConfig", "Config"), Some("config"), Some("invoked_by"), None),
            (&role.replace(":role/", ":user/"), Some("config"), Some("invoked_by"), None),
            (&role.replace("config.", "batch."), Some("batch"), Some("invoked_by"), None),
        ] {
            assert_eq!(noise(Some(arn), via, source).map(|(class, _)| class), expected, "{arn} {via:?} {source:?}");
        }
        let evidence = noise(Some(role), Some("config"), Some("invoked_by")).map(|(_, evidence)| evidence);
        let words = "AWSServiceRoleForConfig of config.amazonaws.com, called from there (invoked_by)";
        assert_eq!(evidence.as_deref(), Some(words));
    }

    #[test]
    fn of_two_records_that_differ_in_one_cell_their_order_decides_nothing() {
        let success = "success event_id=s event_time=200 principal=p operation=Decrypt key_arn=k";
        let change = "change event_id=c event_time=50 operation=PutKeyPolicy principal=admin key_arn=k";
        for (record, cell, told_as) in [
            (REFUSED, "principal", "principal"),
            (REFUSED, "operation", "operation"),
            (REFUSED, "action", "action"),
            (REFUSED, "key_arn", "key_arn"),
            (REFUSED, "denial_reason", "denial_reason"),
            (REFUSED, "denial_effect", "denial_effect"),
            (REFUSED, "denial_policy_arn", "denial_policy_arn"),
            (REFUSED, "account_id", "account_id"),
            (REFUSED, "region", "region"),
            (REFUSED, "table_arn", "candidate_tables"),
            (success, "table_arn", "success_table_arn"),
            (success, "table_name", "success_table_name"),
            (success, "via_service", "success_via_service"),
            (success, "account_id", "success_account_id"),
            (success, "principal_id", "success_principal_id"),
            (success, "session_created", "success_session_created"),
            (success, "on_behalf_of", "success_on_behalf_of"),
            (success, "vpc_endpoint_id", "success_vpc_endpoint_id"),
            (change, "operation", "nearest_change"),
            (change, "principal", "nearest_changed_by"),
        ] {
            let [lesser, greater] = ["1", "2"].map(|value| format!("{record} {cell}={value}"));
            // Of refusals and successes the first is told, of changes the last.
            let expected = if record == change { "2" } else { "1" };
            for pair in [[&lesser, &greater], [&greater, &lesser]] {
                let refused = if record == REFUSED { &[][..] } else { &[REFUSED] };
                let lines: Vec<&str> = refused.iter().copied().chain(pair.map(String::as_str)).collect();
                assert_eq!(told(&lines, &[told_as]), expected, "{cell} {record}");
            }
        }
        // None of these is a cell of the answer, but each decides what else is told.
        let tie = |cell: &str, values: [&str; 2], others: &[&str]| {
            let pair = values.map(|value| {
                format!("refusal event_id=d event_time=100 principal=p operation=ReEncrypt {cell}={value}")
            });
            let lines: Vec<&str> = pair.iter().map(String::as_str).chain(others.iter().copied()).collect();
            facts(&lines);
        };
        let by_alias = ["a", "b"].map(|alias| format!("alias alias_arn={alias} key_arn={alias}k"));
        tie("alias_arn", ["a", "b"], &[&by_alias[0], &by_alias[1]]);
        let of_side = ["source", "destination"].map(|side| {
            format!("success event_id={side} event_time=200 principal=p operation=ReEncrypt key_arn=k key_role={side}")
        });
        tie("key_arn=k key_role", ["source", "destination"], &[&of_side[0], &of_side[1]]);
        let of_identity = ["x", "y"].map(|name| format!("arn:aws:iam::111122223333:role/{name}"));
        let changes = of_identity.each_ref().map(|arn| format!("change event_id={arn} event_time=9 target={arn}"));
        let of_identity = of_identity.each_ref().map(String::as_str);
        tie("key_arn=k principal_arn", of_identity, &[&changes[0], &changes[1]]);
    }

    #[test]
    fn an_id_has_one_row_and_a_wrong_input_is_an_error() {
        let again = "refusal event_id=d event_time=90 principal=q operation=Decrypt key_arn=k";
        assert_eq!(told(&[REFUSED, again], &["principal"]), "q");
        // Of one time, the texts decide.
        let again = "refusal event_id=d event_time=100 principal=p principal_arn=p operation=Decrypt key_arn=j";
        assert_eq!(told(&[REFUSED, again], &["key_arn"]), "j");
        let by_policy = format!("{REFUSED} denial_effect=explicit denial_policy_arn=n");
        assert_eq!(told(&[&by_policy], &["denial_effect", "denial_policy_arn"]), "explicit n");
        assert!(AllRefusals::default().take(&row("rumour event_id=d")).is_err());
        assert!(AllRefusals::default().take(&facts(&[REFUSED])).is_err());
    }
}
