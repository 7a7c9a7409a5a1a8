//! Which key protected which DynamoDB table when.
//! In: calls that concern the encryption of tables, DynamoDB's own uses of keys for tables, and the keys that aliases
//! named, in any order. Out: one row a table and period.
//! Never follows an alias that moved after it was given, and never says of a key what kind it is where nothing tells.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::arn::Arn;
use keytrail_rows::schema::ColumnType::{Text, Timestamp};
use keytrail_rows::time::MICROS_PER_SECOND;
use xxhash_rust::xxh3::Xxh3;

use super::input::{InputBatch, TextCells, TimeCells};
use super::output::{OutputCell, OutputRows, column};
use super::table_periods::{
    DatedStep, KeyPeriod, KeySetting, PeriodBasis, PeriodStep, SetKeyKind, SettingOf, TableLife,
};
use super::table_settings::{AskedEncryption, MadeBy, TableChange, TableIdentity, TableStep, shown_steps, steps_of};
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
    /// A hash of all that its record says here: two records may have one id.
    content: u64,
    by: Option<String>,
    step: TableStep,
}

impl UnresolvedStep {
    fn order(&self) -> (Option<i64>, &str, u64) {
        (self.at, &self.event_id, self.content)
    }
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
    /// The key that the alias named at a moment. A change of the same second may be before or after it: then none is
    /// told.
    fn key_at(&self, at: i64) -> Option<&str> {
        let next = self.changes.partition_point(|(changed, ..)| *changed < at);
        if self.changes.get(next).is_some_and(|(changed, ..)| *changed == at) {
            return None;
        }
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
struct KeyLore {
    aliases: HashMap<String, AliasHistory>,
    aws_managed: HashSet<String>,
    customer: HashSet<String>,
}

impl KeyLore {
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
    fn into_periods(mut self, keys: &KeyLore, since: Option<i64>) -> (TableIdentity, Vec<KeyPeriod>) {
        let mut life = TableLife { seen: self.seen, ..TableLife::default() };
        // A call's own steps keep their order. Without a time or of one id, the order of the rows decides nothing.
        self.steps.sort_by(|one, other| one.order().cmp(&other.order()));
        for UnresolvedStep { at, event_id, by, step, .. } in self.steps {
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
                TableStep::Stated { key } => {
                    PeriodStep::Stated { key: Some(key.clone()), basis: PeriodBasis::Response }
                }
                TableStep::Shown { key } => PeriodStep::Stated { key: key.clone(), basis: PeriodBasis::Snapshot },
                TableStep::Ended => PeriodStep::Ended,
            };
            match (at, step) {
                (Some(at), step) => life.steps.push(DatedStep { at, event_id, by, step }),
                (None, PeriodStep::Set(setting)) => life.undated.push((event_id, by, setting)),
                // Without a time it tells nothing that the calls around it do not.
                (None, PeriodStep::Stated { .. } | PeriodStep::Ended) => {}
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
    keys: KeyLore,
    bytes: usize,
}

impl AllTables {
    fn of(interval: &AskedInterval) -> AllTables {
        AllTables { since: interval.since, tables: HashMap::new(), keys: KeyLore::default(), bytes: 0 }
    }

    fn table(&mut self, arn: Option<&str>, name: &str) -> &mut TableFacts {
        let place = arn.unwrap_or(name);
        if !self.tables.contains_key(place) {
            self.bytes += TABLE_BYTES + 2 * (place.len() + name.len());
            let table = TableIdentity { arn: arn.map(str::to_owned), name: name.to_owned() };
            self.tables.insert(place.to_owned(), TableFacts { table, steps: Vec::new(), seen: HashMap::new() });
        }
        self.tables.get_mut(place).expect("it was just put there")
    }

    fn take_change(&mut self, rows: &TableFactColumns<'_>, row: usize) {
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
                content: rows.content(row),
                by: rows.principal.owned(row),
                step,
            };
            self.table(table.arn.as_deref(), &table.name).steps.push(step);
        }
    }

    /// Takes in a call that had a key, for a table or by an alias.
    fn take_use(&mut self, rows: &TableFactColumns<'_>, row: usize) {
        let Some(key) = rows.key_arn.get(row) else { return };
        let at = rows.event_time.get(row);
        if let Some(name) = rows.table_name.get(row) {
            let seen = &mut self.table(rows.table_arn.get(row), name).seen;
            let mut bytes = SIGHTING_BYTES;
            if !seen.contains_key(key) {
                bytes += KEY_BYTES;
                seen.insert(key.to_owned(), Vec::new());
            }
            seen.get_mut(key).expect("it was just put there").extend(at);
            self.bytes += bytes;
        }
        if let Some(alias) = rows.alias_arn.get(row) {
            self.take_alias_of(alias, key, at);
        }
    }

    fn take_alias_of(&mut self, alias: &str, key: &str, at: Option<i64>) {
        if is_of_aws(alias) && !self.keys.aws_managed.contains(key) {
            self.bytes += KEY_BYTES;
            self.keys.aws_managed.insert(key.to_owned());
        }
        let Some(at) = at else { return };
        if !self.keys.aliases.contains_key(alias) {
            self.bytes += TABLE_BYTES;
            self.keys.aliases.insert(alias.to_owned(), AliasHistory::default());
        }
        let seen = &mut self.keys.aliases.get_mut(alias).expect("it was just put there").seen;
        match seen.get_mut(key) {
            Some(first) => *first = (*first).min(at),
            None => {
                self.bytes += KEY_BYTES;
                seen.insert(key.to_owned(), at);
            }
        }
    }

    /// Takes in an answer of AWS's that tells the key of a table and its replicas at its time.
    fn take_snapshot(&mut self, rows: &TableFactColumns<'_>, row: usize) {
        let (Some(name), Some(answer)) = (rows.table_name.owned(row), rows.response_elements.get(row)) else { return };
        let described = TableIdentity { arn: rows.table_arn.owned(row), name };
        for (table, step) in shown_steps(&described, answer) {
            self.bytes += STEP_BYTES;
            let event_id = rows.event_id.owned(row).unwrap_or_default();
            let (at, content) = (rows.event_time.get(row), rows.content(row));
            let step = UnresolvedStep { at, event_id, content, by: None, step };
            self.table(table.arn.as_deref(), &table.name).steps.push(step);
        }
    }

    fn take_alias(&mut self, rows: &TableFactColumns<'_>, row: usize) {
        let (Some(alias), Some(at)) = (rows.alias_arn.owned(row), rows.event_time.get(row)) else { return };
        let deletes = rows.event_name.get(row) == Some("DeleteAlias");
        let key = rows.key_arn.owned(row).filter(|_| !deletes);
        let id = rows.event_id.owned(row).unwrap_or_default();
        self.bytes += STEP_BYTES;
        self.keys.aliases.entry(alias).or_default().changes.push((at, id, key));
    }
}

/// The columns of one batch of the input.
struct TableFactColumns<'a> {
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

impl<'a> TableFactColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<TableFactColumns<'a>, ArrowError> {
        Ok(TableFactColumns {
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

    /// A hash of what a row tells of a step beside its time and its id.
    fn content(&self, row: usize) -> u64 {
        let mut content = Xxh3::new();
        let of = [&self.event_name, &self.principal, &self.aws_region, &self.account_id, &self.table_arn];
        let of = of.into_iter().chain([&self.table_name, &self.request_parameters, &self.response_elements]);
        of.for_each(|cells| cells.get(row).hash(&mut content));
        content.finish()
    }
}

impl Derivation for AllTables {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let facts = TableFactColumns::of(InputBatch::new("table_keys", rows))?;
        for row in 0..rows.num_rows() {
            match facts.kind.get(row) {
                Some("change") => self.take_change(&facts, row),
                Some("use") => self.take_use(&facts, row),
                Some("snapshot") => self.take_snapshot(&facts, row),
                Some("alias") => self.take_alias(&facts, row),
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
        PeriodBasis::Snapshot => "snapshot",
        PeriodBasis::Context => "context",
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::tests::{batch, lines};
    use super::*;

    const COLUMNS_OF_INPUT: [&str; 13] = [
        "kind",
        "event_time",
        "event_id",
        "event_name",
        "principal",
        "aws_region",
        "account_id",
        "table_arn",
        "table_name",
        "alias_arn",
        "key_arn",
        "request_parameters",
        "response_elements",
    ];
    const TABLE: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders";
    const ALIAS: &str = "arn:aws:kms:eu-west-1:111122223333:alias/orders";

    fn key(letter: &str) -> String {
        format!("arn:aws:kms:eu-west-1:111122223333:key/{letter}")
    }

    /// One row of the input, of these kinds: `context SECONDS KEY`, `snapshot SECONDS KEY` or `snapshot SECONDS owned`,
    /// `alias SECONDS NAME KEY`, `seen_alias SECONDS ALIAS KEY`, `new_key KEY`, `NAME SECONDS REQUEST ANSWER` for
    /// calls. Keys are letters.
    fn row(fact: &str) -> [String; 13] {
        let words: Vec<&str> = fact.split_whitespace().collect();
        let mut cells: [String; 13] = std::array::from_fn(|_| "-".to_owned());
        let mut put = |column: &str, cell: String| {
            cells[COLUMNS_OF_INPUT.iter().position(|name| *name == column).unwrap()] = cell;
        };
        let with_keys =
            |json: &str| json.replace("ORDERS", TABLE).replace("KEY:", "arn:aws:kms:eu-west-1:111122223333:key/");
        put("kind", words[0].to_owned());
        match words[0] {
            "new_key" => put("key_arn", key(words[1])),
            "context" | "snapshot" => {
                put("kind", if words[0] == "context" { "use" } else { "snapshot" }.to_owned());
                put("event_id", "sha".to_owned());
                put("event_time", words[1].to_owned());
                match (words[0], words[2]) {
                    ("context", letter) => put("key_arn", key(letter)),
                    (_, "owned") => put("response_elements", r#"{"Table":{"TableName":"orders"}}"#.to_owned()),
                    (_, letter) => {
                        let answer = r#"{"Table":{"SSEDescription":{"Status":"ENABLED","KMSMasterKeyArn":"KEY"}}}"#;
                        put("response_elements", answer.replace("KEY\"", &format!("{}\"", key(letter))));
                    }
                }
                put("table_arn", TABLE.to_owned());
                put("table_name", "orders".to_owned());
            }
            "alias" => {
                put("event_time", words[1].to_owned());
                put("event_name", words[2].to_owned());
                put("event_id", format!("alias-{}", words[1]));
                put("alias_arn", ALIAS.to_owned());
                put("key_arn", key(words[3]));
            }
            "seen_alias" => {
                put("kind", "use".to_owned());
                put("event_time", words[1].to_owned());
                put("alias_arn", words[2].replace("ALIAS", ALIAS));
                put("key_arn", key(words[3]));
            }
            name => {
                put("kind", "change".to_owned());
                put("event_name", name.to_owned());
                put("event_time", words[1].to_owned());
                put("event_id", format!("event-{}", words[1]));
                put("principal", "deploy".to_owned());
                put("aws_region", "eu-west-1".to_owned());
                put("account_id", "111122223333".to_owned());
                put("table_arn", TABLE.to_owned());
                put("table_name", "orders".to_owned());
                put("request_parameters", with_keys(words[2]));
                put("response_elements", with_keys(words[3]));
            }
        }
        cells
    }

    fn derived(facts: &mut dyn Iterator<Item = &&str>) -> Vec<String> {
        let rows: Vec<[String; 13]> = facts.map(|fact| row(fact)).collect();
        derived_of(&mut rows.iter())
    }

    fn derived_of(rows: &mut dyn Iterator<Item = &[String; 13]>) -> Vec<String> {
        let mut tables = Box::new(AllTables::of(&AskedInterval::default()));
        for cells in rows {
            tables.take(&batch(COLUMNS_OF_INPUT, &[std::array::from_fn(|place| cells[place].as_str())])).unwrap();
        }
        assert!(tables.bytes_held() > 0);
        let lines = lines(&tables.finish().unwrap());
        let short =
            |line: String| line.replace(TABLE, "TABLE").replace("arn:aws:kms:eu-west-1:111122223333:key/", "KEY:");
        lines.into_iter().map(short).collect()
    }

    const NAMED: &str = r#"{"tableName":"orders","sSESpecification":{"enabled":true,"kMSMasterKeyId":"alias/orders"}}"#;

    #[test]
    fn an_alias_is_the_key_that_it_named_when_it_was_given() {
        let make = format!("CreateTable 100 {NAMED} -");
        let answered = format!(
            r#"CreateTable 100 {NAMED} {{"tableDescription":{{"tableName":"orders","sSEDescription":{{"kMSMasterKeyArn":"KEY:c"}}}}}}"#
        );
        for (facts, expected) in [
            // The alias moves later, or before.
            (
                &["alias 50 CreateAlias a", "alias 150 UpdateAlias b", &make][..],
                "KEY:a customer 100 - deploy event-100 request",
            ),
            (
                &["alias 50 CreateAlias a", "alias 99 UpdateAlias b", &make],
                "KEY:b customer 100 - deploy event-100 request",
            ),
            // In the same second it may be either.
            (
                &["alias 50 CreateAlias a", "alias 100 UpdateAlias b", &make],
                "- customer 100 - deploy event-100 request",
            ),
            (&["alias 100 CreateAlias a", &make], "- customer 100 - deploy event-100 request"),
            (&["alias 50 CreateAlias a", "alias 60 DeleteAlias a", &make], "- customer 100 - deploy event-100 request"),
            // Calls that gave the alias tell its key, unless they had several.
            (&["seen_alias 20 ALIAS a", &make], "KEY:a customer 100 - deploy event-100 request"),
            (&["seen_alias 102 ALIAS a", &make], "KEY:a customer 100 - deploy event-100 request"),
            (&["seen_alias 900 ALIAS a", &make], "- customer 100 - deploy event-100 request"),
            (&["seen_alias 20 ALIAS a", "seen_alias 30 ALIAS b", &make], "- customer 100 - deploy event-100 request"),
            (&["alias 50 CreateAlias a", "seen_alias 60 ALIAS b", &make], "- customer 100 - deploy event-100 request"),
            // The answer to the making of a table knows best.
            (&[&answered], "KEY:c customer 100 - deploy event-100 response"),
            (&["alias 50 CreateAlias a", &answered], "KEY:c customer 100 - deploy event-100 response"),
            (&["alias 50 CreateAlias c", &answered], "KEY:c customer 100 - deploy event-100 request"),
        ] {
            let expected = [format!("TABLE orders {expected} 100")];
            assert_eq!(derived(&mut facts.iter()), expected, "{facts:?}");
            assert_eq!(derived(&mut facts.iter().rev()), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_kind_is_told_or_unknown() {
        let given = |key: &str| {
            format!(
                r#"CreateTable 100 {{"tableName":"orders","sSESpecification":{{"enabled":true,"kMSMasterKeyId":"{key}"}}}} -"#
            )
        };
        let of_aws = given("alias/aws/dynamodb");
        let seen_of_aws = "seen_alias 101 arn:aws:kms:eu-west-1:111122223333:alias/aws/dynamodb a";
        let foreign = given("arn:aws:kms:eu-west-1:444455556666:key/x");
        for (facts, expected) in [
            (&["context 5 a"][..], "KEY:a unknown - - - - context 5"),
            (&["context 5 a", "new_key a"], "KEY:a customer - - - - context 5"),
            (&["context 5 a", seen_of_aws], "KEY:a aws_managed - - - - context 5"),
            (&[&of_aws], "- aws_managed 100 - deploy event-100 request 100"),
            (&[&of_aws, seen_of_aws], "KEY:a aws_managed 100 - deploy event-100 request 100"),
            (&[&foreign], "arn:aws:kms:eu-west-1:444455556666:key/x customer 100 - deploy event-100 request 100"),
            // A caller may give the ARN of the key that AWS manages.
            (&[&given("a"), seen_of_aws], "KEY:a aws_managed 100 - deploy event-100 request 100"),
            (
                &[r#"CreateTable 100 {"tableName":"orders"} {"tableDescription":{"tableName":"orders"}}"#],
                "- aws_owned 100 - deploy event-100 response 100",
            ),
            (&[r#"CreateTable 100 {"tableName":"orders"} -"#], "- unknown 100 - deploy event-100 request 100"),
            (
                &[r#"UpdateTable 100 {"tableName":"orders","sSESpecification":{"enabled":false}} -"#],
                "- aws_owned 100 - deploy event-100 request 100",
            ),
            // Without a time there is a setting, though no order.
            (
                &[r#"UpdateTable - {"tableName":"orders","sSESpecification":{"enabled":false}} -"#],
                "- aws_owned - - deploy event-- request -",
            ),
            (&["context - a"], "KEY:a unknown - - - - context -"),
            // An answer of AWS's shows a key whose setting nobody saw, and is better than a sighting.
            (&["snapshot 5 a"], "KEY:a unknown - - - - snapshot 5"),
            (&["snapshot 5 a", "new_key a"], "KEY:a customer - - - - snapshot 5"),
            (&["snapshot 9 a", "context 5 a"], "KEY:a unknown - - - - snapshot 5"),
            (&["context 9 a", "snapshot 5 a"], "KEY:a unknown - - - - snapshot 5"),
            (&[&given("a"), "snapshot 200 a"], "KEY:a customer 100 - deploy event-100 request 100"),
            (&["snapshot 5 owned"], "- aws_owned - - - - snapshot 5"),
            (&["snapshot 5 owned", "snapshot 9 owned"], "- aws_owned - - - - snapshot 5"),
            (
                &[
                    r#"UpdateTable 100 {"tableName":"orders","sSESpecification":{"enabled":false}} -"#,
                    "snapshot 200 owned",
                ],
                "- aws_owned 100 - deploy event-100 request 100",
            ),
        ] {
            assert_eq!(derived(&mut facts.iter()), [format!("TABLE orders {expected}")], "{facts:?}");
        }
    }

    #[test]
    fn an_answer_to_a_change_may_still_tell_the_key_before() {
        let change = |asked: &str, answered: &str| {
            format!(
                r#"UpdateTable 100 {{"tableName":"orders","sSESpecification":{asked}}} {{"tableDescription":{{"sSEDescription":{{"kMSMasterKeyArn":"KEY:{answered}"}}}}}}"#
            )
        };
        let made =
            r#"CreateTable 50 {"tableName":"orders","sSESpecification":{"enabled":true,"kMSMasterKeyId":"KEY:a"}} -"#;
        let before = "TABLE orders KEY:a customer 50 100 deploy event-50 request 50";
        for asked in [r#"{"enabled":true,"kMSMasterKeyId":"alias/orders"}"#, r#"{"enabled":true}"#] {
            let kind = if asked.contains("alias") { "customer" } else { "aws_managed" };
            let untold = format!("TABLE orders - {kind} 100 - deploy event-100 request 100");
            let told = format!("TABLE orders KEY:b {kind} 100 - deploy event-100 response 100");
            assert_eq!(derived(&mut [&change(asked, "b")[..]].iter()), [&untold[..]], "{asked}");
            assert_eq!(derived(&mut [made, &change(asked, "a")].iter()), [before, &untold], "{asked}");
            assert_eq!(derived(&mut [made, &change(asked, "b")].iter()), [before, &told], "{asked}");
        }
        let asked = r#"{"enabled":true,"kMSMasterKeyId":"KEY:c"}"#;
        assert_eq!(
            derived(&mut [&change(asked, "b")[..]].iter()),
            ["TABLE orders KEY:c customer 100 - deploy event-100 request 100"]
        );
    }

    #[test]
    fn an_answer_of_the_second_of_a_setting_is_from_before_it_or_tells_its_key() {
        let set = |at: u32, key: &str| {
            format!(
                r#"UpdateTable {at} {{"tableName":"orders","sSESpecification":{{"enabled":true,"kMSMasterKeyId":"KEY:{key}"}}}} -"#
            )
        };
        let owned = r#"UpdateTable 200 {"tableName":"orders","sSESpecification":{"enabled":false}} -"#.to_owned();
        let first = "TABLE orders KEY:a customer 100 200 deploy event-100 request 100";
        let second = "TABLE orders KEY:b customer 200 - deploy event-200 request 200";
        let to_owned = "TABLE orders - aws_owned 200 - deploy event-200 request 200";
        for (last, answer, expected) in [
            (set(200, "b"), "snapshot 200 a", second),
            (set(200, "b"), "snapshot 200 b", second),
            (owned.clone(), "snapshot 200 a", to_owned),
            (owned, "snapshot 200 owned", to_owned),
        ] {
            // Of one second, ids are luck.
            for id in ["0", "sha"] {
                let facts = [set(100, "a"), last.clone(), answer.to_owned()].map(|fact| row(&fact));
                let facts = facts.map(|mut cells| {
                    cells.iter_mut().filter(|cell| *cell == "sha").for_each(|cell| *cell = id.to_owned());
                    cells
                });
                assert_eq!(derived_of(&mut facts.iter()), [first, expected], "{last} {answer} {id}");
                assert_eq!(derived_of(&mut facts.iter().rev()), [first, expected], "backwards {last} {answer} {id}");
            }
        }
        // Before the deletion of its second.
        let facts = [&set(100, "a")[..], r#"DeleteTable 200 {"tableName":"orders"} -"#, "snapshot 200 a"];
        assert_eq!(derived(&mut facts.iter()), [first]);
    }

    #[test]
    fn two_records_of_one_id_have_one_order() {
        for at in ["100", "-"] {
            let set = |key: &str| {
                format!(
                    r#"UpdateTable {at} {{"tableName":"orders","sSESpecification":{{"enabled":true,"kMSMasterKeyId":"KEY:{key}"}}}} -"#
                )
            };
            let pair = [row(&set("a")), row(&set("b"))];
            assert_eq!(derived_of(&mut pair.iter()), derived_of(&mut pair.iter().rev()), "{at}");
            // They differ in nothing but who called.
            let pair = ["deploy", "other"].map(|by| row(&set("a")).map(|cell| cell.replace("deploy", by)));
            assert_eq!(derived_of(&mut pair.iter()), derived_of(&mut pair.iter().rev()), "{at}");
        }
    }

    #[test]
    fn a_table_goes_from_key_to_key() {
        let to = |at: u32, key: &str| {
            format!(
                r#"UpdateTable {at} {{"tableName":"orders","sSESpecification":{{"enabled":true,"kMSMasterKeyId":"KEY:{key}"}}}} -"#
            )
        };
        let (first, second) = (to(100, "a"), to(200, "b"));
        let facts = [
            "context 50 z",
            &first,
            "context 101 a",
            &second,
            "DeleteTable 300 {\"tableName\":\"orders\"} -",
            "context 9000 c",
            // The table went to another key where the logs do not reach.
            "snapshot 9900 d",
        ];
        let expected = [
            "TABLE orders KEY:z unknown - 100 - - context 50",
            "TABLE orders KEY:a customer 100 200 deploy event-100 request 100",
            "TABLE orders KEY:b customer 200 300 deploy event-200 request 200",
            "TABLE orders KEY:c unknown - - - - context 9000",
            "TABLE orders KEY:d unknown - - - - snapshot 9900",
        ];
        assert_eq!(derived(&mut facts.iter()), expected);
        assert_eq!(derived(&mut facts.iter().rev()), expected);
        // A key that AWS owns ends where a customer's is set, and another that is seen later shows a change that is not
        // here.
        assert_eq!(
            derived(&mut ["snapshot 50 owned", &first[..]].iter()),
            [
                "TABLE orders - aws_owned - 100 - - snapshot 50",
                "TABLE orders KEY:a customer 100 - deploy event-100 request 100",
            ]
        );
        assert_eq!(
            derived(&mut [&first[..], "snapshot 9000 owned"].iter()),
            [
                "TABLE orders KEY:a customer 100 - deploy event-100 request 100",
                "TABLE orders - aws_owned - - - - snapshot 9000",
            ]
        );
        let restored = r#"RestoreTableFromBackup 400 {"targetTableName":"copy"} -"#;
        assert_eq!(
            derived(&mut [restored].iter()),
            ["arn:aws:dynamodb:eu-west-1:111122223333:table/copy copy - unknown 400 - deploy event-400 request 400"]
        );
    }
}
