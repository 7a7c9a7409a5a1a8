//! Who was refused the use of a key, what changed, and the success that followed.
//! In: refused uses with their first later success, successful changes of access, data events of tables, and spans of
//! coverage, in any order. Out: one row a run of refusals that a success ended, by principal, key, operation and time.
//! Never says that a change was the cause: it says which change could have been, and how much of that the logs show.

mod cures;
mod deeds;
mod evidence;
mod history;
mod owners;
mod reach;
mod runs;
#[cfg(test)]
mod tests;
mod timelines;
mod use_index;

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::arn::{Arn, partition_of};
use keytrail_rows::normalize::OPERATIONS;
use keytrail_rows::schema::ColumnType::{Int, Text, TextList, Timestamp};

use self::cures::{CureKind, CureSearch, KnownAccess, LastRefusal, SuccessRoute};
use self::deeds::{ChangeCall, ChangeDeed};
use self::evidence::{CoverageLane, CoverageSpan, CoveredHours, HourBasis, HoursWorth, global_region, is_told};
use self::history::{AccessHistory, LoggedChange, LoggedChanges};
use self::owners::PlacesByOwner;
use self::reach::AskedUse;
use self::runs::{RefusalRun, RefusedUse, RunSuccess, runs_of};
use self::timelines::{CureNaming, CureSpan};
use self::use_index::UseIndexes;
use super::compact::{PackedEventId, PooledText, TextPool};
use super::input::{InputBatch, TextCells, TimeCells};
use super::moment::second_of;
use super::output::{OutputCell, OutputRows, column};
use super::{Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const ACCESS_CHAINS: DerivedTable = DerivedTable {
    name: "access_chains",
    columns: COLUMNS,
    by: &[],
    unique: &["denied_event_id"],
    time: RowTime::Through("first_denied", "first_allowed"),
    start: |_| Box::new(AllChains::default()),
};

const COLUMNS: &[OutputColumn] = &[
    column("principal", Text),
    column("principal_arn", Text),
    column("key_arn", Text),
    column("operation", Text),
    column("table_name", Text),
    column("denied_count", Int),
    column("denied_unnamed", Int),
    column("first_denied", Timestamp),
    column("last_denied", Timestamp),
    column("denial_reason", Text),
    column("change_event_name", Text),
    column("change_event_id", Text),
    column("changed_at", Timestamp),
    column("changed_by", Text),
    column("changed_by_self", Text),
    column("changer_person", Text),
    column("changer_person_source", Text),
    column("subject_person", Text),
    column("subject_person_source", Text),
    column("other_changes", TextList),
    column("lag_seconds", Int),
    column("first_allowed", Timestamp),
    column("denied_event_id", Text),
    column("allowed_event_id", Text),
    column("first_data_event_id", Text),
    column("evidence", Text),
    column("basis", Text),
    column("bad_hours", Int),
];

/// IAM and KMS take a while: a change this long before the last refusal may not have reached it.
const EFFECT_SECONDS_MAX: i64 = 300;

/// Rough sizes of a refusal and a data event, with their places in lists and half-full tables.
const REFUSAL_BYTES: usize = 512;
const DATA_EVENT_BYTES: usize = 48;

/// All rows of the input so far.
#[derive(Default)]
struct AllChains {
    texts: TextPool,
    refusals: Vec<RefusedUse>,
    changes: LoggedChanges,
    /// Successful data events of a principal on a table.
    data_events: HashMap<(PooledText, PooledText), Vec<(i64, PackedEventId)>>,
    hours: CoveredHours,
    bytes: usize,
}

impl AllChains {
    fn add_refusal(&mut self, row: usize, columns: &ChainColumns<'_>) {
        let texts = &mut self.texts;
        let operation = columns.operation.get(row).filter(|operation| is_use(operation));
        let (Some(time), Some(operation)) = (columns.event_time.get(row), operation) else { return };
        let success = columns.success_time.get(row).map(|time| RunSuccess {
            id: PackedEventId::of(columns.success_event_id.get(row).unwrap_or_default()),
            time,
            table_arn: texts.put_cell(columns.table_arn.get(row)),
            table_name: texts.put_cell(columns.table_name.get(row)),
            via_service: texts.put_cell(columns.via_service.get(row)),
            account: texts.put_cell(columns.success_account_id.get(row)),
            principal_id: texts.put_cell(columns.principal_id.get(row)),
            endpoint: texts.put_cell(columns.vpc_endpoint_id.get(row)),
            person: texts.put_cell(columns.person.get(row)),
            person_source: texts.put_cell(columns.person_source.get(row)),
        });
        self.refusals.push(RefusedUse {
            id: PackedEventId::of(columns.event_id.get(row).unwrap_or_default()),
            time,
            principal: texts.put(columns.principal.get(row).unwrap_or_default()),
            operation: texts.put(operation),
            action: texts.put_cell(columns.action.get(row)),
            key: texts.put_cell(columns.key_arn.get(row)),
            key_by_table: texts.put_cell(columns.key_by_table.get(row)),
            reason: texts.put_cell(columns.denial_reason.get(row)),
            effect: texts.put_cell(columns.denial_effect.get(row)),
            denied_by: texts.put_cell(columns.denial_policy_arn.get(row)),
            account: texts.put_cell(columns.account_id.get(row)),
            success,
        });
        self.bytes += REFUSAL_BYTES;
    }

    fn add_change(&mut self, row: usize, columns: &ChainColumns<'_>) {
        let Some(time) = columns.event_time.get(row) else { return };
        let call = ChangeCall {
            event_name: columns.operation.get(row).unwrap_or_default(),
            region: columns.region.get(row),
            account_id: columns.account_id.get(row),
            key_arn: columns.key_arn.get(row),
            grant_id: columns.grant_id.get(row),
            request: columns.request_parameters.get(row),
            answer: columns.response_elements.get(row),
        };
        let Some((deed, partition)) = ChangeDeed::of(call) else { return };
        let by = [columns.principal.get(row), columns.person.get(row), columns.person_source.get(row)];
        let texts = &mut self.texts;
        self.changes.add(LoggedChange {
            time,
            id: PackedEventId::of(columns.event_id.get(row).unwrap_or_default()),
            content: call.content(by),
            partition,
            name: texts.put(call.event_name),
            by: texts.put(columns.principal.get(row).unwrap_or_default()),
            person: texts.put_cell(columns.person.get(row)),
            person_source: texts.put_cell(columns.person_source.get(row)),
            deed,
        });
    }

    fn add_told_policy(&mut self, row: usize, columns: &ChainColumns<'_>) {
        let of = (columns.key_arn.get(row), columns.event_time.get(row), columns.request_parameters.get(row));
        let (Some(key), Some(time), Some(policy)) = of else { return };
        self.changes.add_told(self.texts.put(key), time, policy);
    }

    fn add_data_event(&mut self, row: usize, columns: &ChainColumns<'_>) {
        let of = (columns.principal.get(row), columns.table_arn.get(row), columns.event_time.get(row));
        let (Some(principal), Some(table), Some(time)) = of else { return };
        let of = (self.texts.put(principal), self.texts.put(table));
        let id = PackedEventId::of(columns.event_id.get(row).unwrap_or_default());
        self.data_events.entry(of).or_default().push((time, id));
        self.bytes += DATA_EVENT_BYTES;
    }

    fn add_span(&mut self, row: usize, columns: &ChainColumns<'_>) {
        let of = (columns.account_id.get(row), columns.region.get(row));
        let times = (columns.event_time.get(row), columns.until_hour.get(row));
        let ((Some(account), Some(region)), (Some(from), Some(until))) = (of, times) else {
            if columns.verdict.get(row) == Some("bad") {
                self.hours.add_unplaced_faults();
            }
            return;
        };
        let lane = (self.texts.put(account), self.texts.put(region));
        let span = CoverageSpan::of(from, until, columns.verdict.get(row), columns.basis.get(row));
        self.hours.add(lane, span);
    }
}

/// True of the operations that use a key.
fn is_use(operation: &str) -> bool {
    let uses = OPERATIONS.iter().find(|(class, _)| *class == "crypto");
    uses.is_some_and(|(_, names)| names.contains(&operation))
}

/// All chains, once every row is here.
struct ChainTable {
    texts: TextPool,
    history: AccessHistory,
    owners: PlacesByOwner,
    indexes: UseIndexes,
    data_events: HashMap<(PooledText, PooledText), Vec<(i64, PackedEventId)>>,
    hours: CoveredHours,
}

/// The parts of one chain beyond its run.
struct ChainStory {
    /// The number of the named change, and how it names the principal.
    named: Option<(usize, CureNaming)>,
    others: Vec<String>,
    evidence: &'static str,
    /// Of the hours between.
    worth: HoursWorth,
}

impl ChainTable {
    fn text(&self, text: Option<PooledText>) -> Option<&str> {
        self.texts.cell(text)
    }

    fn story(&self, run: &RefusalRun) -> ChainStory {
        let (last, success) = (&run.last, &run.success);
        let (principal, key) = (self.texts.get(last.principal), self.texts.get(run.key));
        let session_arn = self.session_arn(run);
        let actions = actions_of(self.text(last.action), self.texts.get(last.operation));
        let via_service = self.text(success.via_service).and_then(|via| via_service(via, key));
        let asked = AskedUse {
            principal,
            session_arn: session_arn.as_deref(),
            key,
            actions: &actions,
            via_service: via_service.as_deref(),
            caller_account: self.text(success.account),
            denied_by: self.text(last.denied_by),
        };
        let last_second = second_of(last.time);
        let (reason, effect) = (self.text(last.reason), self.text(last.effect));
        let span = CureSpan { from: last_second - EFFECT_SECONDS_MAX, success: second_of(success.time) };
        let (history, owners, indexes) = (&self.history, &self.owners, &self.indexes);
        let known = KnownAccess { history, owners, indexes, texts: &self.texts };
        let mut search = CureSearch::new(known, asked, span);
        search.heed(LastRefusal { second: last_second, key: run.key, reason, effect });
        let kind = CureKind::of(reason, effect);
        // Two users who ask for a session of one name get sessions of one id.
        let issuer = federated_user(principal).map(|(issuer, _)| issuer).filter(|issuer| issuer.starts_with("arn:"));
        let route = SuccessRoute { endpoint: success.endpoint, session: success.principal_id, issuer };
        let found = search.cures(kind, run.key, route);
        // The last is after the last refusal if any is.
        let named = found.last();
        let others = found.others().map(|change| self.history.changes[change].id.to_string()).collect();
        let change = named.map(|(change, _)| &self.history.changes[change]);
        let worth = self.hours.worth(&self.lanes(run, change), (run.first_denied, success.time));
        let mut is_shown = |(change, naming): (usize, CureNaming)| {
            naming == CureNaming::Itself
                && run.allows_proof(self.history.changes[change].second())
                && is_told(reason)
                && worth.bad == Some(0)
                && worth.basis != HourBasis::None
                && search.is_enough(change, run.key, reason)
                && search.with_second_of_success().is_none_or(|mut search| {
                    search.cures(kind, run.key, route).names_itself(change) && search.is_enough(change, run.key, reason)
                })
        };
        let evidence = match named {
            None => "unexplained",
            Some(named) if is_shown(named) => "shown",
            Some(_) => "possible",
        };
        ChainStory { named, others, evidence, worth }
    }

    /// The session of the success as policies name it; `None` where a principal has no sessions.
    fn session_arn(&self, run: &RefusalRun) -> Option<String> {
        let principal = self.texts.get(run.last.principal);
        if let Some((issuer, name)) = federated_user(principal) {
            let issuer = Arn::parse(issuer)?;
            return Some(format!("arn:{}:sts::{}:federated-user/{name}", issuer.partition, issuer.account));
        }
        let role = Arn::parse(principal).filter(|arn| arn.service == "iam")?;
        let name = role.resource.strip_prefix("role/")?.rsplit('/').next()?;
        let (_, session) = self.text(run.success.principal_id)?.split_once(':')?;
        Some(format!("arn:{}:sts::{}:assumed-role/{name}/{session}", role.partition, role.account))
    }

    /// The accounts and Regions whose logs must be whole.
    fn lanes(&self, run: &RefusalRun, change: Option<&LoggedChange>) -> Vec<CoverageLane> {
        let key = Arn::parse(self.texts.get(run.key));
        let caller = self.text(run.success.account).or(self.text(run.last.account));
        let accounts = [key.map(|key| key.account), caller];
        let is_global = change.is_some_and(LoggedChange::is_global);
        // The lane of a Region that is not known has no coverage.
        let global = key.filter(|_| is_global).map(|key| global_region(key.partition).unwrap_or_default());
        let regions = [key.map(|key| key.region), global];
        let mut lanes = Vec::new();
        for account in accounts.into_iter().flatten() {
            for region in regions.into_iter().flatten() {
                // A lane that no hour names is one without coverage.
                let named = |text: &str| self.texts.find(text).unwrap_or(self.unnamed_lane());
                let lane = (named(account), named(region));
                lanes.extend((!lanes.contains(&lane)).then_some(lane));
            }
        }
        lanes
    }

    /// No account and no Region.
    fn unnamed_lane(&self) -> PooledText {
        self.texts.find("").expect("it is put there before anything is asked")
    }

    /// The principal's first successful data event on the table of the success, from then on.
    fn first_data_event(&self, run: &RefusalRun) -> Option<String> {
        let events = self.data_events.get(&(run.last.principal, run.success.table_arn?))?;
        let success = second_of(run.success.time);
        let first = events.get(events.partition_point(|(time, _)| second_of(*time) < success))?;
        Some(first.1.to_string())
    }

    fn changed_by_self(&self, run: &RefusalRun, change: &LoggedChange) -> Option<&'static str> {
        match change.by == run.last.principal {
            true => Some("principal"),
            false => self.is_same_person(run, change).then_some("person"),
        }
    }

    /// True if the person behind a change is the one behind the success. A name that a session or an identity provider
    /// gives says who it is within its account alone.
    fn is_same_person(&self, run: &RefusalRun, change: &LoggedChange) -> bool {
        let Some(person) = change.person.filter(|of| Some(*of) == run.success.person) else { return false };
        let is_whole = ["arn:", "idc:"].iter().any(|kind| self.texts.get(person).starts_with(kind));
        let [changer, subject] = [change.by, run.last.principal].map(|of| deeds::account_of(self.texts.get(of)));
        is_whole || (change.person_source == run.success.person_source && changer.is_some() && changer == subject)
    }

    fn push(&self, rows: &mut OutputRows, run: &RefusalRun) -> Result<(), ArrowError> {
        let story = self.story(run);
        let (last, success) = (&run.last, &run.success);
        let change = story.named.map(|(change, _)| &self.history.changes[change]);
        let text = |text: Option<PooledText>| OutputCell::Text(self.text(text));
        let principal = self.texts.get(last.principal);
        let change_id = change.map(|change| change.id.to_string());
        let data_event = self.first_data_event(run);
        rows.push([
            principal.into(),
            OutputCell::Text(Some(principal).filter(|principal| principal.starts_with("arn:"))),
            text(Some(run.key)),
            text(Some(last.operation)),
            text(success.table_name),
            OutputCell::Count(Some(run.denied_count)),
            OutputCell::Count(Some(run.denied_unnamed)),
            OutputCell::Time(Some(run.first_denied)),
            OutputCell::Time(Some(last.time)),
            text(last.reason),
            text(change.map(|change| change.name)),
            (&change_id).into(),
            OutputCell::Time(change.map(|change| change.time)),
            text(change.map(|change| change.by)),
            OutputCell::Text(change.and_then(|change| self.changed_by_self(run, change))),
            text(change.and_then(|change| change.person)),
            text(change.and_then(|change| change.person_source)),
            text(success.person),
            text(success.person_source),
            OutputCell::Texts(Some(&story.others)),
            OutputCell::Count(change.map(|change| change.second() - second_of(last.time))),
            OutputCell::Time(Some(success.time)),
            (&last.id.to_string()).into(),
            (&success.id.to_string()).into(),
            (&data_event).into(),
            story.evidence.into(),
            story.worth.basis.word().into(),
            OutputCell::Count(story.worth.bad),
        ])
    }
}

/// The issuer and the name of a federated user. Of an issuer whose ARN is not told, it is the account.
fn federated_user(principal: &str) -> Option<(&str, &str)> {
    principal.strip_prefix("federated:")?.rsplit_once('/')
}

/// The actions that a policy must allow, any of them: those that the message names, else those of the operation.
fn actions_of(action: Option<&str>, operation: &str) -> Vec<String> {
    match (action, operation) {
        (Some(action), _) => vec![action.to_owned()],
        (None, "ReEncrypt") => vec!["kms:ReEncryptFrom".to_owned(), "kms:ReEncryptTo".to_owned()],
        (None, operation) => vec![format!("kms:{operation}")],
    }
}

/// A service as `kms:ViaService` names it in the Region of a key.
fn via_service(short: &str, key: &str) -> Option<String> {
    let region = Arn::parse(key)?.region;
    let suffix = if partition_of(region) == "aws-cn" { ".cn" } else { "" };
    Some(format!("{short}.{region}.amazonaws.com{suffix}"))
}

/// The columns of one batch of the input.
struct ChainColumns<'a> {
    kind: TextCells<'a>,
    event_id: TextCells<'a>,
    event_time: TimeCells<'a>,
    principal: TextCells<'a>,
    operation: TextCells<'a>,
    key_arn: TextCells<'a>,
    account_id: TextCells<'a>,
    region: TextCells<'a>,
    person: TextCells<'a>,
    person_source: TextCells<'a>,
    table_arn: TextCells<'a>,
    table_name: TextCells<'a>,
    action: TextCells<'a>,
    key_by_table: TextCells<'a>,
    denial_reason: TextCells<'a>,
    denial_effect: TextCells<'a>,
    denial_policy_arn: TextCells<'a>,
    success_event_id: TextCells<'a>,
    success_time: TimeCells<'a>,
    success_account_id: TextCells<'a>,
    via_service: TextCells<'a>,
    principal_id: TextCells<'a>,
    vpc_endpoint_id: TextCells<'a>,
    grant_id: TextCells<'a>,
    request_parameters: TextCells<'a>,
    response_elements: TextCells<'a>,
    until_hour: TimeCells<'a>,
    verdict: TextCells<'a>,
    basis: TextCells<'a>,
}

impl<'a> ChainColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<ChainColumns<'a>, ArrowError> {
        Ok(ChainColumns {
            kind: rows.texts("kind")?,
            event_id: rows.texts("event_id")?,
            event_time: rows.times("event_time")?,
            principal: rows.texts("principal")?,
            operation: rows.texts("operation")?,
            key_arn: rows.texts("key_arn")?,
            account_id: rows.texts("account_id")?,
            region: rows.texts("region")?,
            person: rows.texts("person")?,
            person_source: rows.texts("person_source")?,
            table_arn: rows.texts("table_arn")?,
            table_name: rows.texts("table_name")?,
            action: rows.texts("action")?,
            key_by_table: rows.texts("key_by_table")?,
            denial_reason: rows.texts("denial_reason")?,
            denial_effect: rows.texts("denial_effect")?,
            denial_policy_arn: rows.texts("denial_policy_arn")?,
            success_event_id: rows.texts("success_event_id")?,
            success_time: rows.times("success_time")?,
            success_account_id: rows.texts("success_account_id")?,
            via_service: rows.texts("via_service")?,
            principal_id: rows.texts("principal_id")?,
            vpc_endpoint_id: rows.texts("vpc_endpoint_id")?,
            grant_id: rows.texts("grant_id")?,
            request_parameters: rows.texts("request_parameters")?,
            response_elements: rows.texts("response_elements")?,
            until_hour: rows.times("until_hour")?,
            verdict: rows.texts("verdict")?,
            basis: rows.texts("basis")?,
        })
    }
}

impl Derivation for AllChains {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let columns = ChainColumns::of(InputBatch::new("access_chains", rows))?;
        for row in 0..rows.num_rows() {
            match columns.kind.get(row) {
                Some("refusal") => self.add_refusal(row, &columns),
                Some("change") => self.add_change(row, &columns),
                Some("told_policy") => self.add_told_policy(row, &columns),
                Some("data_event") => self.add_data_event(row, &columns),
                Some("span") => self.add_span(row, &columns),
                other => return Err(ArrowError::SchemaError(format!("a row of `access_chains` is of kind {other:?}"))),
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes + self.texts.bytes_held() + self.changes.bytes_held() + self.hours.bytes_held()
    }

    fn finish(mut self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        self.texts.put("");
        self.hours.sort();
        self.data_events.values_mut().for_each(|events| events.sort_unstable());
        let mut runs = runs_of(self.refusals);
        let mut texts = self.texts;
        let history = AccessHistory::of(self.changes, &mut texts);
        let (owners, indexes) = (PlacesByOwner::default(), UseIndexes::default());
        let table = ChainTable { texts, history, owners, indexes, data_events: self.data_events, hours: self.hours };
        let text = |of: PooledText| table.texts.get(of);
        runs.sort_by_cached_key(|run| {
            let of = [text(run.last.principal), text(run.key), text(run.last.operation)];
            (of.map(str::to_owned), run.first_denied, run.last.id.clone())
        });
        let mut rows = OutputRows::new(COLUMNS);
        runs.iter().try_for_each(|run| table.push(&mut rows, run))?;
        rows.finish()
    }
}
