//! The life of each grant: creation, what it allows, its end, and the last call that it may have allowed.
//! In: calls that create or end grants, deletions of keys, successful calls of those who hold grants, and grants that
//! AWS told when it was asked, in any order. Out: one row a grant, by key and id. Never says that a grant was used, and
//! never that one is open whose end may lie in what was not read.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::arn::{Arn, service_of};
use keytrail_rows::schema::ColumnType::{Map, Text, TextList, Timestamp};

use super::grant_uses::{GrantConstraint, GrantScope, GrantUses, pair_hashes};
use super::input::{FlagCells, InputBatch, ListCells, MapCells, TextCells, TimeCells};
use super::output::{OutputCell, OutputRows, column};
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const GRANTS: DerivedTable = DerivedTable {
    name: "grants",
    columns: COLUMNS,
    by: &["key_arn"],
    unique: &[],
    time: RowTime::Until("created_at", "ended_at"),
    start: |interval| Box::new(AllGrants { interval: *interval, ..AllGrants::default() }),
};

const COLUMNS: &[OutputColumn] = &[
    column("key_arn", Text),
    column("grant_id", Text),
    column("grantee_principal", Text),
    column("retiring_principal", Text),
    column("operations", TextList),
    column("constraint_kind", Text),
    column("constraint_context", Map),
    column("resource_service", Text),
    column("resource_arn", Text),
    column("table_name", Text),
    column("created_at", Timestamp),
    column("created_by", Text),
    column("created_via", Text),
    column("ended_at", Timestamp),
    column("ended_by", Text),
    column("end_kind", Text),
    column("state", Text),
    column("create_event_id", Text),
    column("end_event_id", Text),
    column("last_possible_use", Timestamp),
];

/// The operation of a grant that AWS told when it was asked.
const TOLD: &str = "told";

/// Rough size of a grant, with its place and without its texts.
const GRANT_BYTES: usize = 512;
/// Rough size of an end, with its place and without its texts.
const END_BYTES: usize = 160;

/// The grants so far.
#[derive(Debug, Default)]
struct AllGrants {
    interval: AskedInterval,
    /// By key and id; one whose answer names no id by its event.
    grants: BTreeMap<GrantName, GrantFacts>,
    /// The deletion of each key.
    deleted: HashMap<String, GrantEnd>,
    uses: GrantUses,
    bytes: usize,
}

/// The order of the fields is that of the rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct GrantName {
    key_arn: String,
    grant_id: Option<String>,
    /// Only of a grant without an id.
    create_event_id: Option<String>,
}

/// One grant.
#[derive(Debug, Default)]
struct GrantFacts {
    /// The first call that created it; the others asked again under the same name.
    created: Option<GrantCreation>,
    ended: Option<GrantEnd>,
    /// The last time that AWS told of it.
    told: Option<i64>,
}

/// A call that created a grant. The order of the fields decides which one was the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct GrantCreation {
    source: CreationSource,
    at: Option<i64>,
    /// Only of a call.
    event_id: Option<String>,
    by: Option<String>,
    via: Option<String>,
    grantee: Option<String>,
    retiring: Option<String>,
    operations: Option<Vec<String>>,
    subset: Vec<(String, String)>,
    equals: Option<Vec<(String, String)>>,
    resource_service: Option<String>,
    resource_arn: Option<String>,
    table_name: Option<String>,
    /// A grant with a name may be there already.
    is_named: bool,
}

/// The source of what is known of a creation; the first tells more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum CreationSource {
    Call,
    Answer,
}

/// The end of a grant. The order of the fields decides which one was the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct GrantEnd {
    at: Option<i64>,
    event_id: String,
    by: Option<String>,
    kind: &'static str,
}

impl GrantCreation {
    /// The context that it is bound to, by its kind. An empty subset binds nothing.
    fn constraint(&self) -> Option<(&'static str, &[(String, String)])> {
        match &self.equals {
            Some(equals) => Some(("equals", equals)),
            None => (!self.subset.is_empty()).then_some(("subset", self.subset.as_slice())),
        }
    }

    fn bytes(&self) -> usize {
        let texts = [&self.by, &self.via, &self.grantee, &self.retiring, &self.resource_service];
        let texts = texts.into_iter().chain([&self.resource_arn, &self.table_name]).flatten().map(String::len);
        let pairs = self.subset.iter().chain(self.equals.iter().flatten());
        let pairs = pairs.map(|(key, value)| key.len() + value.len() + 2 * size_of::<String>());
        let operations = self.operations.iter().flatten().map(|name| name.len() + size_of::<String>());
        GRANT_BYTES
            + self.event_id.as_ref().map_or(0, String::len)
            + texts.chain(pairs).chain(operations).sum::<usize>()
    }
}

/// The first of two.
fn keep_first<T: Ord>(known: &mut Option<T>, other: T) {
    if known.as_ref().is_none_or(|known| other < *known) {
        *known = Some(other);
    }
}

/// The name under which calls of a caller are noted, and under which a grant names its grantee: a service without its
/// Region, an account for its root, the ARN of anybody else.
fn caller_name(caller: &str) -> String {
    if let Some(service) = service_of(caller.strip_prefix("service:").unwrap_or(caller)) {
        return format!("service:{service}");
    }
    match Arn::parse(caller).filter(|arn| arn.service == "iam" && arn.resource == "root") {
        Some(arn) => format!("account:{}", arn.account),
        None => caller.to_owned(),
    }
}

impl AllGrants {
    fn take_change(&mut self, rows: &GrantColumns<'_>, row: usize) {
        let (Some(key), Some(operation)) = (rows.key_arn.get(row), rows.operation.get(row)) else { return };
        let (at, event_id) = (rows.event_time.get(row), rows.event_id.owned(row).unwrap_or_default());
        let end = |kind| GrantEnd { at, event_id: event_id.clone(), by: rows.principal.owned(row), kind };
        let grant_id = rows.grant_id.owned(row);
        match (operation, grant_id) {
            ("CreateGrant", grant_id) => {
                let create_event_id = grant_id.is_none().then(|| event_id.clone());
                let creation = rows.creation(row, CreationSource::Call);
                self.note_child(rows, row, &creation);
                self.bytes += creation.bytes();
                let name = GrantName { key_arn: key.to_owned(), grant_id, create_event_id };
                keep_first(&mut self.grants.entry(name).or_default().created, creation);
            }
            (TOLD, Some(grant_id)) => {
                let creation = rows.creation(row, CreationSource::Answer);
                self.bytes += creation.bytes();
                let name = GrantName { key_arn: key.to_owned(), grant_id: Some(grant_id), create_event_id: None };
                let grant = self.grants.entry(name).or_default();
                keep_first(&mut grant.created, creation);
                grant.told = grant.told.max(at);
            }
            ("RetireGrant", Some(id)) => self.take_end(key, id, end("retired")),
            ("RevokeGrant", Some(id)) => self.take_end(key, id, end("revoked")),
            ("DeleteKey", _) => {
                let end = GrantEnd { by: None, ..end("key_deleted") };
                self.bytes += END_BYTES + key.len() + end.event_id.len();
                let known = self.deleted.entry(key.to_owned()).or_insert_with(|| end.clone());
                *known = end.min(known.clone());
            }
            _ => {}
        }
    }

    fn take_end(&mut self, key: &str, id: String, end: GrantEnd) {
        self.bytes += END_BYTES + key.len() + id.len() + end.event_id.len() + end.by.as_ref().map_or(0, String::len);
        let name = GrantName { key_arn: key.to_owned(), grant_id: Some(id), create_event_id: None };
        keep_first(&mut self.grants.entry(name).or_default().ended, end);
    }

    /// A grant may allow the creation of another, bound to no less than itself.
    fn note_child(&mut self, rows: &GrantColumns<'_>, row: usize, child: &GrantCreation) {
        let context = child.constraint().map(|(_, pairs)| pair_hashes(pairs)).unwrap_or_default();
        self.note_use(rows, row, context);
    }

    fn note_use(&mut self, rows: &GrantColumns<'_>, row: usize, context: Vec<u128>) {
        let (Some(key), Some(operation)) = (rows.key_arn.get(row), rows.operation.get(row)) else { return };
        let Some(at) = rows.event_time.get(row).filter(|at| self.interval.has_all_from(Some(*at))) else { return };
        for caller in rows.callers.get(row).unwrap_or_default() {
            self.uses.note((key, &caller_name(&caller)), operation, context.clone(), at);
        }
    }

    /// Ends grants with their keys; drops those that may have ended unseen.
    fn settle(&mut self) {
        let (interval, deleted) = (self.interval, std::mem::take(&mut self.deleted));
        self.grants.retain(|name, grant| {
            let created = grant.created.as_ref().map(|creation| creation.at);
            if grant.ended.is_none() {
                let with_key = deleted.get(&name.key_arn).filter(|end| created.flatten() <= end.at);
                grant.ended = with_key.cloned();
            }
            let is_known_since = |at: Option<i64>| interval.has_all_from(at);
            grant.ended.is_some()
                || created.is_some_and(is_known_since)
                || grant.told.is_some_and(|at| is_known_since(Some(at)))
        });
    }
}

/// A grant as far as it says which calls it may have allowed; `None` if that is not here.
fn scope(name: &GrantName, grant: &GrantFacts) -> Option<GrantScope> {
    let created = grant.created.as_ref()?;
    Some(GrantScope {
        key_arn: name.key_arn.clone(),
        grantee: caller_name(created.grantee.as_deref()?),
        constraint: GrantConstraint {
            subset: pair_hashes(&created.subset),
            equals: created.equals.as_deref().map(pair_hashes),
        },
        operations: created.operations.clone()?,
        from: created.at,
        to: grant.ended.as_ref().and_then(|end| end.at),
    })
}

/// The columns of one batch of the input.
struct GrantColumns<'a> {
    key_arn: TextCells<'a>,
    event_time: TimeCells<'a>,
    /// The creation that AWS told.
    told_at: TimeCells<'a>,
    event_id: TextCells<'a>,
    operation: TextCells<'a>,
    is_change: FlagCells<'a>,
    principal: TextCells<'a>,
    via_service: TextCells<'a>,
    grant_id: TextCells<'a>,
    grantee_principal: TextCells<'a>,
    retiring_principal: TextCells<'a>,
    resource_service: TextCells<'a>,
    resource_arn: TextCells<'a>,
    source_arn: TextCells<'a>,
    table_name: TextCells<'a>,
    is_named: FlagCells<'a>,
    operations: ListCells<'a>,
    /// Of a use the context that it had.
    subset: MapCells<'a>,
    equals: MapCells<'a>,
    callers: ListCells<'a>,
}

impl<'a> GrantColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<GrantColumns<'a>, ArrowError> {
        Ok(GrantColumns {
            key_arn: rows.texts("key_arn")?,
            event_time: rows.times("event_time")?,
            told_at: rows.times("told_at")?,
            event_id: rows.texts("event_id")?,
            operation: rows.texts("operation")?,
            is_change: rows.flags("is_change")?,
            principal: rows.texts("principal")?,
            via_service: rows.texts("via_service")?,
            grant_id: rows.texts("grant_id")?,
            grantee_principal: rows.texts("grantee_principal")?,
            retiring_principal: rows.texts("retiring_principal")?,
            resource_service: rows.texts("resource_service")?,
            resource_arn: rows.texts("resource_arn")?,
            source_arn: rows.texts("source_arn")?,
            table_name: rows.texts("table_name")?,
            is_named: rows.flags("is_named")?,
            operations: rows.text_lists("operations")?,
            subset: rows.maps("subset")?,
            equals: rows.maps("equals")?,
            callers: rows.text_lists("callers")?,
        })
    }

    fn creation(&self, row: usize, source: CreationSource) -> GrantCreation {
        GrantCreation {
            source,
            at: match source {
                CreationSource::Call => self.event_time.get(row),
                CreationSource::Answer => self.told_at.get(row),
            },
            event_id: self.event_id.owned(row),
            by: self.principal.owned(row),
            via: self.via_service.owned(row),
            grantee: self.grantee_principal.owned(row),
            retiring: self.retiring_principal.owned(row),
            operations: self.operations.get(row),
            subset: self.subset.get(row).unwrap_or_default(),
            equals: self.equals.get(row),
            resource_service: self.resource_service.owned(row),
            resource_arn: self.resource_arn.owned(row).or_else(|| self.source_arn.owned(row)),
            table_name: self.table_name.owned(row),
            is_named: self.is_named.is_set(row),
        }
    }
}

/// A grant with all that follows for it.
struct SettledGrant<'g> {
    name: &'g GrantName,
    grant: &'g GrantFacts,
    last_use: Option<i64>,
}

impl SettledGrant<'_> {
    /// Appends its row.
    fn push(&self, rows: &mut OutputRows, interval: AskedInterval) -> Result<(), ArrowError> {
        let (name, created, ended) = (self.name, self.grant.created.as_ref(), self.grant.ended.as_ref());
        let text = |of: fn(&GrantCreation) -> &Option<String>| {
            OutputCell::Text(created.and_then(|created| of(created).as_deref()))
        };
        // The call may be a second one for a grant that was there before.
        let start = created.filter(|created| !(created.is_named && interval.lacks_earlier()));
        let constraint = created.and_then(GrantCreation::constraint);
        let state = match (created, ended) {
            (None, _) => "start_not_seen",
            (Some(_), Some(_)) => "ended",
            (Some(_), None) => "open",
        };
        rows.push([
            (&name.key_arn).into(),
            (&name.grant_id).into(),
            text(|created| &created.grantee),
            text(|created| &created.retiring),
            OutputCell::Texts(created.and_then(|created| created.operations.as_deref())),
            constraint.map(|(kind, _)| kind).into(),
            OutputCell::Pairs(constraint.map(|(_, pairs)| pairs)),
            text(|created| &created.resource_service),
            text(|created| &created.resource_arn),
            text(|created| &created.table_name),
            OutputCell::Time(start.and_then(|start| start.at)),
            start.and_then(|start| start.by.as_deref()).into(),
            start.and_then(|start| start.via.as_deref()).into(),
            OutputCell::Time(ended.and_then(|end| end.at)),
            ended.and_then(|end| end.by.as_deref()).into(),
            ended.map(|end| end.kind).into(),
            state.into(),
            start.and_then(|start| start.event_id.as_deref()).into(),
            ended.map(|end| end.event_id.as_str()).into(),
            OutputCell::Time(self.last_use),
        ])
    }
}

impl Derivation for AllGrants {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let columns = GrantColumns::of(InputBatch::new("grants", rows))?;
        for row in 0..rows.num_rows() {
            if columns.is_change.is_set(row) {
                self.take_change(&columns, row);
            } else {
                let context = columns.subset.get(row).map(|pairs| pair_hashes(&pairs)).unwrap_or_default();
                self.note_use(&columns, row, context);
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes + self.uses.bytes_held()
    }

    fn finish(mut self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        self.settle();
        let scopes: Vec<Option<GrantScope>> = self.grants.iter().map(|(name, grant)| scope(name, grant)).collect();
        let known: Vec<GrantScope> = scopes.iter().flatten().cloned().collect();
        let mut last_uses = self.uses.last_uses(&known).into_iter();
        let mut rows = OutputRows::new(COLUMNS);
        for ((name, grant), scope) in self.grants.iter().zip(&scopes) {
            let last_use = scope.as_ref().and_then(|_| last_uses.next().flatten());
            SettledGrant { name, grant, last_use }.push(&mut rows, self.interval)?;
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::super::EarlierHistory;
    use super::super::testing::{assert_order_free, batch, lines};
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/app";
    const DYNAMODB: &str = "dynamodb.us-east-1.amazonaws.com";

    /// A row of the input by what it says: `TIME OPERATION KEY MEMBER=VALUE …`. Members are `id`, `to` (the grantee),
    /// `ops`, `subset` and `equals` (`k:v,k:v`), `name`, `by`. An operation in lower-case letters' stead begins with
    /// `+`: a use.
    fn input_row((place, text): (usize, &str)) -> RecordBatch {
        let words: Vec<&str> = text.split(' ').collect();
        let member = |name: &str| {
            let found = words[3..].iter().find_map(|word| word.split_once('=').filter(|(key, _)| *key == name));
            found.map(|(_, value)| value)
        };
        let list = |name: &str| {
            member(name)
                .map(|text| text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>())
        };
        let pairs = |name: &str| {
            let pair = |pair: &String| pair.split_once(':').map(|(key, value)| (key.to_owned(), value.to_owned()));
            list(name).map(|parts| parts.iter().filter_map(pair).collect::<Vec<_>>())
        };
        let by = member("by").unwrap_or("admin").to_owned();
        let (operations, subset, equals) = (list("ops"), pairs("subset"), pairs("equals"));
        let (event_id, operation) = (format!("e{place}"), words[1].trim_start_matches('+'));
        let event_id = Some(event_id.as_str()).filter(|_| operation != TOLD);
        let text = |name: &str| OutputCell::Text(member(name));
        batch(&[
            ("key_arn", words[2].into()),
            ("event_time", OutputCell::Time(words[0].parse().ok())),
            ("told_at", OutputCell::Time(member("made").and_then(|at| at.parse().ok()))),
            ("event_id", OutputCell::Text(event_id)),
            ("operation", operation.into()),
            ("is_change", OutputCell::Flag(Some(operation == words[1]))),
            ("principal", (&by).into()),
            ("via_service", text("via")),
            ("grant_id", text("id")),
            ("grantee_principal", text("to")),
            ("retiring_principal", text("retiring")),
            ("resource_service", text("service")),
            ("resource_arn", text("resource")),
            ("source_arn", text("source")),
            ("table_name", text("table")),
            ("is_named", OutputCell::Flag(Some(member("name").is_some()))),
            ("operations", OutputCell::Texts(operations.as_deref())),
            ("subset", OutputCell::Pairs(subset.as_deref())),
            ("equals", OutputCell::Pairs(equals.as_deref())),
            ("callers", OutputCell::Texts(Some(std::slice::from_ref(&by)))),
        ])
    }

    fn grants(interval: AskedInterval, records: &str) -> RecordBatch {
        let records: Vec<RecordBatch> = records.split("; ").enumerate().map(input_row).collect();
        assert_order_free(&GRANTS, interval, &records)
    }

    /// Key, id, time and event of creation, of the end with its kind and doer, the state, and the last possible use.
    fn lives(interval: AskedInterval, records: &str) -> String {
        let rows = grants(interval, records);
        let columns = [
            "key_arn",
            "grant_id",
            "created_at",
            "create_event_id",
            "ended_at",
            "end_kind",
            "ended_by",
            "state",
            "last_possible_use",
        ];
        let places: Vec<usize> = columns.iter().map(|name| rows.schema().index_of(name).unwrap()).collect();
        lines(&rows.project(&places).unwrap())
    }

    #[test]
    fn a_grant_lives_from_its_creation_to_its_first_end() {
        for (records, wanted) in [
            ("1 CreateGrant k id=g", "k g 1 e0 - - - open -"),
            ("1 CreateGrant k id=g; 5 RevokeGrant k id=g by=bob", "k g 1 e0 5 revoked bob ended -"),
            ("5 RetireGrant k id=g by=bob; 1 CreateGrant k id=g", "k g 1 e1 5 retired bob ended -"),
            ("5 RevokeGrant k id=g by=bob", "k g - - 5 revoked bob start_not_seen -"),
            // A retry is the same grant; a second end ends nothing.
            (
                "1 CreateGrant k id=g name=n; 3 CreateGrant k id=g name=n; 5 RevokeGrant k id=g; 6 RetireGrant k id=g",
                "k g 1 e0 5 revoked admin ended -",
            ),
            // What AWS told is a grant whose creation nobody saw; a call that is here tells more.
            ("9 told k id=g made=2", "k g 2 - - - - open -"),
            ("9 told k id=g made=2; 5 RevokeGrant k id=g", "k g 2 - 5 revoked admin ended -"),
            ("9 told k id=g made=2; 1 CreateGrant k id=g; 10 told k id=g made=2", "k g 1 e1 - - - open -"),
            ("9 told k id=g", "k g - - - - - open -"),
            // The same id on two keys is two grants.
            (
                "1 CreateGrant k1 id=g; 2 CreateGrant k2 id=g; 5 RevokeGrant k2 id=g",
                "k1 g 1 e0 - - - open -; k2 g 2 e1 5 revoked admin ended -",
            ),
            // With its key, unless it had ended; one that is only known by a later deletion of the key is not there.
            (
                "1 CreateGrant k id=a; 2 CreateGrant k id=b; 5 RevokeGrant k id=a; 9 DeleteKey k; 1 CreateGrant l id=a",
                "k a 1 e0 5 revoked admin ended -; k b 2 e1 9 key_deleted - ended -; l a 1 e4 - - - open -",
            ),
            // The answer names no id.
            ("1 CreateGrant k; 2 CreateGrant k", "k - 1 e0 - - - open -; k - 2 e1 - - - open -"),
            // An end that names no grant ends none.
            ("1 CreateGrant k id=g; 5 RetireGrant k", "k g 1 e0 - - - open -"),
            ("1 ScheduleKeyDeletion k", ""),
        ] {
            assert_eq!(lives(AskedInterval::default(), records), wanted, "{records}");
        }
    }

    #[test]
    fn the_last_possible_use_is_of_the_grantee_within_the_life() {
        let grant = format!("1 CreateGrant k id=g to={ROLE} ops=Decrypt,ReEncryptFrom subset=a:1");
        let by_role = format!("by={ROLE} subset=a:1,b:2");
        for (calls, last) in [
            (format!("3 +Decrypt k {by_role}; 4 +ReEncryptFrom k {by_role}"), "- - - open 4"),
            (format!("3 +Decrypt k {by_role}; 4 +Encrypt k {by_role}"), "- - - open 3"),
            (format!("3 +Decrypt k by={ROLE} subset=a:2"), "- - - open -"),
            (format!("3 +Decrypt other {by_role}"), "- - - open -"),
            ("3 +Decrypt k by=arn:aws:iam::111122223333:role/other subset=a:1".to_owned(), "- - - open -"),
            (
                format!("3 +Decrypt k {by_role}; 6 RevokeGrant k id=g; 7 +Decrypt k {by_role}"),
                "6 revoked admin ended 3",
            ),
            (format!("6 RevokeGrant k id=g; 6 +Decrypt k {by_role}"), "6 revoked admin ended 6"),
        ] {
            let lives = lives(AskedInterval::default(), &format!("{grant}; {calls}"));
            assert_eq!(lives, format!("k g 1 e0 {last}"), "{calls}");
        }
    }

    #[test]
    fn grantees_are_services_accounts_sessions_and_principals() {
        let session = "arn:aws:sts::111122223333:assumed-role/app/i-1";
        for (grantee, caller, is_theirs) in [
            (DYNAMODB, "service:dynamodb.amazonaws.com", true),
            (DYNAMODB, "service:replication.dynamodb.amazonaws.com", true),
            ("dynamodb.amazonaws.com", "service:dynamodb.eu-west-1.amazonaws.com", true),
            (DYNAMODB, "service:s3.amazonaws.com", false),
            (DYNAMODB, "service:AWS Internal", false),
            (ROLE, ROLE, true),
            (session, session, true),
            (session, ROLE, false),
            ("arn:aws:iam::444455556666:root", "account:444455556666", true),
            ("arn:aws:iam::444455556666:root", "account:111122223333", false),
            // Known by an id alone.
            ("arn:aws:iam::444455556666:role/app", "account:444455556666/AROAEXAMPLE", false),
        ] {
            let caller = caller.replace(' ', "%");
            let records = format!("1 CreateGrant k id=g to={grantee} ops=Decrypt; 3 +Decrypt k by={caller}");
            let last = if is_theirs { "3" } else { "-" };
            assert_eq!(
                lives(AskedInterval::default(), &records),
                format!("k g 1 e0 - - - open {last}"),
                "{grantee} {caller}"
            );
        }
    }

    #[test]
    fn a_child_grant_is_bound_to_no_less() {
        let parent = format!("1 CreateGrant k id=g to={ROLE} ops=CreateGrant subset=a:1");
        for (child, last) in [("subset=a:1,b:2", "5"), ("equals=a:1", "5"), ("subset=b:2", "-"), ("", "-")] {
            let lives = lives(AskedInterval::default(), &format!("{parent}; 5 CreateGrant k id=h by={ROLE} {child}"));
            assert_eq!(lives.split(';').next(), Some(format!("k g 1 e0 - - - open {last}").as_str()), "{child}");
        }
    }

    #[test]
    fn what_a_grant_allows_is_from_its_creation() {
        let rows = grants(
            AskedInterval::default(),
            "1 CreateGrant k id=a to=r ops=Encrypt,Decrypt subset=t:1 service=dynamodb resource=arn:t table=t \
             via=dynamodb; 1 CreateGrant k id=b ops= subset= source=arn:s retiring=x; 1 CreateGrant k id=c equals=; \
             2 RevokeGrant k id=d",
        );
        let columns = [
            "grant_id",
            "grantee_principal",
            "retiring_principal",
            "operations",
            "constraint_kind",
            "constraint_context",
            "resource_service",
            "resource_arn",
            "table_name",
            "created_via",
        ];
        let places: Vec<usize> = columns.iter().map(|name| rows.schema().index_of(name).unwrap()).collect();
        assert_eq!(
            lines(&rows.project(&places).unwrap()),
            "a r - [Encrypt,Decrypt] subset {t=1} dynamodb arn:t t dynamodb; \
             b - x [] - - - arn:s - -; c - - - equals {} - - - -; d - - - - - - - - -"
        );
        assert!(rows["constraint_context"].as_map().is_valid(2));
    }

    #[test]
    fn unread_history_takes_starts_away_and_opens_nothing() {
        let unread = AskedInterval { since: Some(10), until: None, earlier: EarlierHistory::NotRead };
        let read = AskedInterval { earlier: EarlierHistory::Read, ..unread };
        let role = format!("to={ROLE} ops=Decrypt");
        for (records, without, with) in [
            // Its end may lie in what was not read.
            (format!("1 CreateGrant k id=g {role}"), "", "k g 1 e0 - - - open -"),
            (
                format!("1 CreateGrant k id=g {role}; 12 RevokeGrant k id=g"),
                "k g 1 e0 12 revoked admin ended -",
                "k g 1 e0 12 revoked admin ended -",
            ),
            // The second call under a name.
            (
                format!("1 CreateGrant k id=g name=n {role}; 12 RevokeGrant k id=g"),
                "k g - - 12 revoked admin ended -",
                "k g 1 e0 12 revoked admin ended -",
            ),
            (format!("12 CreateGrant k id=g {role}"), "k g 12 e0 - - - open -", "k g 12 e0 - - - open -"),
            // A use before the interval may not be the last.
            (
                format!("1 CreateGrant k id=g {role}; 5 +Decrypt k by={ROLE}; 12 RevokeGrant k id=g"),
                "k g 1 e0 12 revoked admin ended -",
                "k g 1 e0 12 revoked admin ended 5",
            ),
        ] {
            assert_eq!(lives(unread, &records), without, "{records}");
            assert_eq!(lives(read, &records), with, "{records}");
        }
    }
}
