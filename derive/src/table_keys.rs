//! Which key protected which DynamoDB table when.
//! In: calls that concern the encryption of tables, DynamoDB's own uses of keys for tables, and the keys that aliases
//! named, in any order. Out: one row a table and period.
//! Never follows an alias that moved after it was given, and never says of a key what kind it is where nothing tells.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::arn::Arn;
use keytrail_rows::schema::ColumnType::{Text, Timestamp};
use keytrail_rows::time::MICROS_PER_SECOND;

use super::input::{InputBatch, TextCells, TimeCells};
use super::output::{OutputCell, OutputRows, column};
use super::table_periods::{
    DatedStep, KeyPeriod, KeySetting, PeriodBasis, PeriodStep, SetKeyKind, SettingOf, TableLife,
};
use super::table_settings::{AskedEncryption, MadeBy, TableChange, TableIdentity, TableStep, steps_of};
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const TABLE_KEYS: DerivedTable = DerivedTable {
    name: "table_keys",
    columns: COLUMNS,
    by: &[],
    unique: &[],
    time: RowTime::Until("valid_from", "valid_to"),
    start: |interval| Box::new(AllTables::of(interval)),
};

const COLUMNS: &[OutputColumn] = &[
    column("table_arn", Text),
    column("table_name", Text),
    column("key_arn", Text),
    column("key_kind", Text),
    column("valid_from", Timestamp),
    column("valid_to", Timestamp),
    column("set_by", Text),
    column("set_event_id", Text),
    column("basis", Text),
    column("first_in_scope", Timestamp),
];

/// DynamoDB looks up the key of an alias this long after the call that names it.
const LOOKUP_SLACK: i64 = 60 * MICROS_PER_SECOND;

/// Rough sizes of a table, a step, a key at a table and a fact of an alias, with their texts and places.
const TABLE_BYTES: usize = 512;
const STEP_BYTES: usize = 512;
const KEY_BYTES: usize = 256;
const SIGHTING_BYTES: usize = size_of::<i64>() * 2;

/// A step as its call tells it.
#[derive(Debug)]
struct UnresolvedStep {
    at: Option<i64>,
    event_id: String,
    by: Option<String>,
    step: TableStep,
}

/// One table, as far as the input so far tells of it.
#[derive(Debug)]
struct TableFacts {
    table: TableIdentity,
    steps: Vec<UnresolvedStep>,
    seen: HashMap<String, Vec<i64>>,
}

/// The keys that one alias named.
#[derive(Debug, Default)]
struct AliasHistory {
    /// Its changes, with the key after each.
    changes: Vec<(i64, String, Option<String>)>,
    /// The first time that a call gave the alias and had the key.
    seen: BTreeMap<String, i64>,
}

impl AliasHistory {
    /// The key that the alias named just before a moment. Changes of the same second may be before or after it.
    fn key_at(&self, at: i64) -> Option<&str> {
        let next = self.changes.partition_point(|(changed, ..)| *changed < at);
        let until = self.changes.get(next).map_or(i64::MAX, |(changed, ..)| *changed - 1).min(at + LOOKUP_SLACK);
        let change = next.checked_sub(1).map(|last| &self.changes[last]);
        let from = change.map_or(i64::MIN, |(changed, ..)| *changed);
        let mut seen =
            self.seen.iter().filter(|(_, first)| (from..=until).contains(first)).map(|(key, _)| key.as_str());
        match change {
            // A call that had another key since shows a change that is not here.
            Some((.., key)) => key.as_deref().filter(|key| seen.all(|seen| seen == *key)),
            None => seen.next().filter(|_| seen.next().is_none()),
        }
    }
}

/// All that is known of keys beside tables.
#[derive(Debug, Default)]
struct KeyFacts {
    aliases: HashMap<String, AliasHistory>,
    aws_managed: HashSet<String>,
    customer: HashSet<String>,
}

impl KeyFacts {
    /// The key that a request names at a table, if it can be known.
    fn asked_key(&self, table: &TableIdentity, given: &str, at: Option<i64>) -> Option<String> {
        let arn = table.kms_arn(given)?;
        match is_alias(&arn) {
            true => self.aliases.get(&arn)?.key_at(at?).map(str::to_owned),
            false => Some(arn),
        }
    }

    fn setting(&self, table: &TableIdentity, asked: &AskedEncryption, made: MadeOrChanged<'_>) -> KeySetting {
        let MadeOrChanged { of, at, answered } = made;
        let by_answer = || (answered.map(str::to_owned), PeriodBasis::Response);
        let (key, basis, kind) = match asked {
            AskedEncryption::OwnedByAws => (None, PeriodBasis::Request, SetKeyKind::AwsOwned),
            AskedEncryption::OwnedByDefault => (None, PeriodBasis::Response, SetKeyKind::AwsOwned),
            AskedEncryption::Key(given) => {
                let kind = if is_of_aws(given) { SetKeyKind::AwsManaged } else { SetKeyKind::Customer };
                let named = self.asked_key(table, given, at);
                // Of a new table, the answer cannot tell an older key.
                let is_contradicted = of != SettingOf::OldTable && given.contains("alias/") && answered.is_some();
                let is_contradicted = is_contradicted && named.as_deref() != answered;
                let (key, basis) = match named {
                    Some(key) if !is_contradicted => (Some(key), PeriodBasis::Request),
                    _ => by_answer(),
                };
                (key, basis, kind)
            }
            AskedEncryption::ManagedByAws => {
                let (key, basis) = by_answer();
                (key, basis, SetKeyKind::AwsManaged)
            }
            AskedEncryption::NotTold => {
                let (key, basis) = by_answer();
                (key, basis, SetKeyKind::Unknown)
            }
        };
        let basis = if key.is_none() && basis == PeriodBasis::Response && kind != SetKeyKind::AwsOwned {
            PeriodBasis::Request
        } else {
            basis
        };
        KeySetting { key, kind, basis, of }
    }

    fn kind(&self, table: &TableIdentity, period: &KeyPeriod) -> &'static str {
        let key = period.key.as_deref();
        let is_of_other = |key: &str| {
            let table = table.arn.as_deref().and_then(Arn::parse);
            Arn::parse(key).zip(table).is_some_and(|(key, table)| key.account != table.account)
        };
        match period.kind {
            SetKeyKind::AwsOwned => "aws_owned",
            _ if key.is_some_and(|key| self.aws_managed.contains(key)) => "aws_managed",
            SetKeyKind::Customer => "customer",
            _ if key.is_some_and(|key| self.customer.contains(key) || is_of_other(key)) => "customer",
            SetKeyKind::AwsManaged => "aws_managed",
            SetKeyKind::Unknown => "unknown",
        }
    }
}

/// A setting beside the key that is asked for.
#[derive(Debug, Clone, Copy)]
struct MadeOrChanged<'a> {
    of: SettingOf,
    at: Option<i64>,
    answered: Option<&'a str>,
}

fn is_alias(arn: &str) -> bool {
    Arn::parse(arn).is_some_and(|arn| arn.is_kms_alias())
}

/// True for an alias of a key that AWS manages.
fn is_of_aws(given: &str) -> bool {
    given.starts_with("alias/aws/")
        || given.split_once(":alias/aws/").is_some_and(|(before, _)| before.starts_with("arn:"))
}

impl TableFacts {
    /// Its periods, once all aliases are known.
    fn into_periods(self, keys: &KeyFacts, since: Option<i64>) -> (TableIdentity, Vec<KeyPeriod>) {
        let mut life = TableLife { seen: self.seen, ..TableLife::default() };
        for UnresolvedStep { at, event_id, by, step } in self.steps {
            let setting = |of, asked: &AskedEncryption, answered: &Option<String>| {
                let made = MadeOrChanged { of, at, answered: answered.as_deref() };
                PeriodStep::Set(keys.setting(&self.table, asked, made))
            };
            let step = match &step {
                TableStep::Made { asked, answered, by: MadeBy::OwnRequest } => {
                    setting(SettingOf::NewTable, asked, answered)
                }
                TableStep::Made { asked, answered, .. } => setting(SettingOf::NewReplica, asked, answered),
                TableStep::Changed { asked, answered } => setting(SettingOf::OldTable, asked, answered),
                TableStep::Stated { key } => PeriodStep::Stated(key.clone()),
                TableStep::Ended => PeriodStep::Ended,
            };
            match (at, step) {
                (Some(at), step) => life.steps.push(DatedStep { at, event_id, by, step }),
                (None, PeriodStep::Set(setting)) => life.undated.push((event_id, by, setting)),
                // Without a time it tells nothing that the calls around it do not.
                (None, PeriodStep::Stated(_) | PeriodStep::Ended) => {}
            }
        }
        (self.table, life.periods(since))
    }
}

/// All tables so far.
#[derive(Debug)]
struct AllTables {
    since: Option<i64>,
    /// By their ARNs, and by name where the ARN is not told.
    tables: HashMap<String, TableFacts>,
    keys: KeyFacts,
    bytes: usize,
}

impl AllTables {
    fn of(interval: &AskedInterval) -> AllTables {
        AllTables { since: interval.since, tables: HashMap::new(), keys: KeyFacts::default(), bytes: 0 }
    }

    fn table(&mut self, arn: Option<&str>, name: &str) -> &mut TableFacts {
        let place = arn.unwrap_or(name);
        if !self.tables.contains_key(place) {
            self.bytes += TABLE_BYTES;
            let table = TableIdentity { arn: arn.map(str::to_owned), name: name.to_owned() };
            self.tables.insert(place.to_owned(), TableFacts { table, steps: Vec::new(), seen: HashMap::new() });
        }
        self.tables.get_mut(place).expect("it was just put there")
    }

    fn take_change(&mut self, rows: &FactColumns<'_>, row: usize) {
        let change = TableChange {
            event_name: rows.event_name.get(row).unwrap_or_default(),
            region: rows.aws_region.get(row),
            account_id: rows.account_id.get(row),
            table_arn: rows.table_arn.get(row),
            table_name: rows.table_name.get(row),
            request: rows.request_parameters.get(row),
            answer: rows.response_elements.get(row),
        };
        for (table, step) in steps_of(change) {
            self.bytes += STEP_BYTES;
            if let TableStep::Made { asked: AskedEncryption::Key(given), .. }
            | TableStep::Changed { asked: AskedEncryption::Key(given), .. } = &step
            {
                let key = table.kms_arn(given).filter(|arn| !is_alias(arn));
                self.keys.customer.extend(key);
            }
            let step = UnresolvedStep {
                at: rows.event_time.get(row),
                event_id: rows.event_id.owned(row).unwrap_or_default(),
                by: rows.principal.owned(row),
                step,
            };
            self.table(table.arn.as_deref(), &table.name).steps.push(step);
        }
    }

    fn take_context(&mut self, rows: &FactColumns<'_>, row: usize) {
        let (Some(name), Some(key)) = (rows.table_name.get(row), rows.key_arn.get(row)) else { return };
        let seen = &mut self.table(rows.table_arn.get(row), name).seen;
        let mut bytes = SIGHTING_BYTES;
        if !seen.contains_key(key) {
            bytes += KEY_BYTES;
            seen.insert(key.to_owned(), Vec::new());
        }
        seen.get_mut(key).expect("it was just put there").extend(rows.event_time.get(row));
        self.bytes += bytes;
    }

    fn take_alias(&mut self, rows: &FactColumns<'_>, row: usize) {
        let (Some(alias), Some(at)) = (rows.alias_arn.owned(row), rows.event_time.get(row)) else { return };
        let deletes = rows.event_name.get(row) == Some("DeleteAlias");
        let key = rows.key_arn.owned(row).filter(|_| !deletes);
        let id = rows.event_id.owned(row).unwrap_or_default();
        self.bytes += STEP_BYTES;
        self.keys.aliases.entry(alias).or_default().changes.push((at, id, key));
    }

    fn take_seen_alias(&mut self, rows: &FactColumns<'_>, row: usize) {
        let (Some(alias), Some(key)) = (rows.alias_arn.owned(row), rows.key_arn.owned(row)) else { return };
        self.bytes += STEP_BYTES;
        if is_of_aws(&alias) {
            self.keys.aws_managed.insert(key.clone());
        }
        if let Some(at) = rows.event_time.get(row) {
            let first = self.keys.aliases.entry(alias).or_default().seen.entry(key).or_insert(at);
            *first = (*first).min(at);
        }
    }
}

/// The columns of one batch of the input.
struct FactColumns<'a> {
    kind: TextCells<'a>,
    event_time: TimeCells<'a>,
    event_id: TextCells<'a>,
    event_name: TextCells<'a>,
    principal: TextCells<'a>,
    aws_region: TextCells<'a>,
    account_id: TextCells<'a>,
    table_arn: TextCells<'a>,
    table_name: TextCells<'a>,
    alias_arn: TextCells<'a>,
    key_arn: TextCells<'a>,
    request_parameters: TextCells<'a>,
    response_elements: TextCells<'a>,
}

impl<'a> FactColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<FactColumns<'a>, ArrowError> {
        Ok(FactColumns {
            kind: rows.texts("kind")?,
            event_time: rows.times("event_time")?,
            event_id: rows.texts("event_id")?,
            event_name: rows.texts("event_name")?,
            principal: rows.texts("principal")?,
            aws_region: rows.texts("aws_region")?,
            account_id: rows.texts("account_id")?,
            table_arn: rows.texts("table_arn")?,
            table_name: rows.texts("table_name")?,
            alias_arn: rows.texts("alias_arn")?,
            key_arn: rows.texts("key_arn")?,
            request_parameters: rows.texts("request_parameters")?,
            response_elements: rows.texts("response_elements")?,
        })
    }
}

impl Derivation for AllTables {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let facts = FactColumns::of(InputBatch::new("table_keys", rows))?;
        for row in 0..rows.num_rows() {
            match facts.kind.get(row) {
                Some("change") => self.take_change(&facts, row),
                Some("context") => self.take_context(&facts, row),
                Some("alias") => self.take_alias(&facts, row),
                Some("seen_alias") => self.take_seen_alias(&facts, row),
                Some("new_key") => self.keys.customer.extend(facts.key_arn.owned(row)),
                _ => {}
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes + self.keys.customer.len() * KEY_BYTES
    }

    fn finish(mut self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        self.keys.aliases.values_mut().for_each(|alias| alias.changes.sort_unstable());
        let tables: BTreeMap<TableIdentity, Vec<KeyPeriod>> =
            self.tables.into_values().map(|table| table.into_periods(&self.keys, self.since)).collect();
        let mut rows = OutputRows::new(COLUMNS);
        for (table, mut periods) in tables {
            let place = |period: &KeyPeriod| period.valid_from.or(period.seen.in_scope());
            periods.sort_by(|one, other| {
                let order = |period: &KeyPeriod| (place(period), period.key.clone(), period.set_event_id.clone());
                order(one).cmp(&order(other))
            });
            for period in &periods {
                rows.push([
                    (&table.arn).into(),
                    (&table.name).into(),
                    (&period.key).into(),
                    self.keys.kind(&table, period).into(),
                    OutputCell::Time(period.valid_from),
                    OutputCell::Time(period.valid_to),
                    (&period.set_by).into(),
                    (&period.set_event_id).into(),
                    basis_name(period.basis).into(),
                    OutputCell::Time(period.seen.in_scope()),
                ])?;
            }
        }
        rows.finish()
    }
}

fn basis_name(basis: PeriodBasis) -> &'static str {
    match basis {
        PeriodBasis::Request => "request",
        PeriodBasis::Response => "response",
        PeriodBasis::Context => "context",
    }
}
