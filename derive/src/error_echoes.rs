//! The pairs of records that tell of one error of KMS: KMS's own, and that of the service that called for somebody.
//! In: failed calls of both sides, in any order. Out: one row a pair, by the id of the service's record.
//! Never puts a record into two pairs, and pairs none where session, action or key contradict.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::arn::is_uuid;
use keytrail_rows::schema::ColumnType::Text;
use keytrail_rows::time::MICROS_PER_SECOND;

use super::input::{InputBatch, TextCells, TimeCells};
use super::output::{OutputRows, column};
use super::{Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const ERROR_ECHOES: DerivedTable = DerivedTable {
    name: "error_echoes",
    columns: COLUMNS,
    by: &[],
    unique: &[],
    time: RowTime::None,
    start: |_| Box::new(AllErrors::default()),
};

const COLUMNS: &[OutputColumn] = &[
    column("kms_event_id", Text),
    column("event_id", Text),
    column("service", Text),
    column("how", Text),
    column("outcome", Text),
    column("key_arn", Text),
    column("table_arn", Text),
];

/// The clocks of two services, and the time that a call takes: measured between -1 and +2 seconds.
const APART_MAX: i64 = 5 * MICROS_PER_SECOND;

/// Rough size of a failed call with its texts.
const ERROR_BYTES: usize = 512;

/// One failed call, as its side logged it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct FailedCall {
    /// Those without a time pair by their request alone.
    time: Option<i64>,
    event_id: String,
    outcome: String,
    /// Of the session of a role; a service gets another for a user or for root.
    session_created: Option<i64>,
    action: Option<String>,
    key_arn: Option<String>,
    /// That DynamoDB's own record names.
    table_arn: Option<String>,
    /// Of KMS its own, of a service those that its message names. In lower case.
    request_ids: Vec<String>,
    is_paired: bool,
}

impl FailedCall {
    /// True unless what both tell contradicts.
    fn fits(&self, kms: &FailedCall) -> bool {
        fn agree<T: PartialEq>(left: &Option<T>, right: &Option<T>) -> bool {
            left.as_ref().zip(right.as_ref()).is_none_or(|(left, right)| left == right)
        }
        agree(&self.session_created, &kms.session_created)
            && agree(&self.action, &kms.action)
            && agree(&self.key_arn, &kms.key_arn)
    }
}

/// The failed calls for one principal in one Region.
#[derive(Debug, Default)]
struct PrincipalErrors {
    /// KMS's, by the service that called; one that does not name itself may be any.
    kms: BTreeMap<Option<String>, Vec<FailedCall>>,
    services: BTreeMap<String, Vec<FailedCall>>,
}

#[derive(Debug)]
struct EchoPair {
    kms_event_id: String,
    event_id: String,
    service: String,
    how: &'static str,
    outcome: String,
    key_arn: Option<String>,
    table_arn: Option<String>,
}

impl PrincipalErrors {
    fn into_pairs(mut self, pairs: &mut Vec<EchoPair>) {
        self.kms.values_mut().chain(self.services.values_mut()).for_each(|calls| calls.sort_unstable());
        for (service, echoes) in &mut self.services {
            for via in [Some(service.clone()), None] {
                let Some(kms) = self.kms.get_mut(&via) else { continue };
                let mut sides = BothSides { service, kms, echoes, pairs };
                sides.by_request();
                sides.by_time(|echo, kms| echo.outcome == kms.outcome);
                sides.by_time(|_, _| true);
            }
        }
    }
}

/// Both sides of what a service did for one principal.
struct BothSides<'a> {
    service: &'a str,
    kms: &'a mut [FailedCall],
    echoes: &'a mut [FailedCall],
    pairs: &'a mut Vec<EchoPair>,
}

impl BothSides<'_> {
    fn pair(&mut self, how: &'static str, kms: usize, echo: usize) {
        let (kms, echo) = (&mut self.kms[kms], &mut self.echoes[echo]);
        (kms.is_paired, echo.is_paired) = (true, true);
        self.pairs.push(EchoPair {
            kms_event_id: kms.event_id.clone(),
            event_id: echo.event_id.clone(),
            service: self.service.to_owned(),
            how,
            outcome: kms.outcome.clone(),
            key_arn: echo.key_arn.clone(),
            table_arn: echo.table_arn.clone(),
        });
    }

    fn by_request(&mut self) {
        let request = |(place, call): (usize, &FailedCall)| Some((call.request_ids.first()?.clone(), place));
        let places: HashMap<String, usize> = self.kms.iter().enumerate().filter_map(request).collect();
        for echo in 0..self.echoes.len() {
            let named = self.echoes[echo].request_ids.iter().find_map(|id| places.get(id).copied());
            if let Some(kms) = named.filter(|kms| !self.kms[*kms].is_paired && !self.echoes[echo].is_paired) {
                self.pair("request_id", kms, echo);
            }
        }
    }

    /// Pairs what lies near in time, in its order: both lists are sorted by it.
    fn by_time(&mut self, is_alike: fn(&FailedCall, &FailedCall) -> bool) {
        let mut first = 0;
        for place in 0..self.echoes.len() {
            let echo = &self.echoes[place];
            let Some(time) = echo.time.filter(|_| !echo.is_paired) else { continue };
            let is_past = |call: &FailedCall| call.is_paired || call.time.is_none_or(|at| at < time - APART_MAX);
            first += self.kms[first..].iter().take_while(|call| is_past(call)).count();
            let is_near = |call: &FailedCall| call.time.is_some_and(|at| at <= time + APART_MAX);
            let mut near = self.kms[first..].iter().take_while(|call| is_near(call));
            let fits = |call: &FailedCall| !call.is_paired && is_alike(echo, call) && echo.fits(call);
            if let Some(kms) = near.position(fits) {
                self.pair("time", first + kms, place);
            }
        }
    }
}

/// All failed calls so far.
#[derive(Default)]
struct AllErrors {
    by_principal: HashMap<(String, String), PrincipalErrors>,
    calls: usize,
}

impl AllErrors {
    fn add(&mut self, row: usize, columns: &ErrorColumns<'_>) {
        let (principal, region) = (columns.principal_id.owned(row), columns.aws_region.owned(row));
        let (Some(principal), Some(region)) = (principal, region) else { return };
        let is_role = columns.principal_type.get(row) == Some("AssumedRole");
        let call = FailedCall {
            time: columns.event_time.get(row),
            event_id: columns.event_id.owned(row).unwrap_or_default(),
            outcome: columns.outcome.owned(row).unwrap_or_default(),
            session_created: columns.session_created.get(row).filter(|_| is_role),
            action: columns.action.owned(row),
            key_arn: columns.key_arn.owned(row),
            table_arn: columns.table_arn.owned(row),
            request_ids: columns.request_id.get(row).map(uuids_in).unwrap_or_default(),
            is_paired: false,
        };
        let service = columns.service.owned(row);
        self.calls += 1;
        let errors = self.by_principal.entry((principal, region)).or_default();
        if columns.side.get(row) == Some("kms") {
            errors.kms.entry(service).or_default().push(call);
        } else {
            errors.services.entry(service.unwrap_or_default()).or_default().push(call);
        }
    }
}

/// The UUIDs among the words of a text, in lower case.
fn uuids_in(text: &str) -> Vec<String> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '-');
    words.filter(|word| is_uuid(word)).map(str::to_ascii_lowercase).collect()
}

/// The columns of one batch of the input.
struct ErrorColumns<'a> {
    side: TextCells<'a>,
    event_id: TextCells<'a>,
    event_time: TimeCells<'a>,
    principal_id: TextCells<'a>,
    aws_region: TextCells<'a>,
    service: TextCells<'a>,
    outcome: TextCells<'a>,
    session_created: TimeCells<'a>,
    principal_type: TextCells<'a>,
    request_id: TextCells<'a>,
    action: TextCells<'a>,
    key_arn: TextCells<'a>,
    table_arn: TextCells<'a>,
}

impl<'a> ErrorColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<ErrorColumns<'a>, ArrowError> {
        Ok(ErrorColumns {
            side: rows.texts("side")?,
            event_id: rows.texts("event_id")?,
            event_time: rows.times("event_time")?,
            principal_id: rows.texts("principal_id")?,
            aws_region: rows.texts("aws_region")?,
            service: rows.texts("service")?,
            outcome: rows.texts("outcome")?,
            session_created: rows.times("session_created")?,
            principal_type: rows.texts("principal_type")?,
            request_id: rows.texts("request_id")?,
            action: rows.texts("action")?,
            key_arn: rows.texts("key_arn")?,
            table_arn: rows.texts("table_arn")?,
        })
    }
}

impl Derivation for AllErrors {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let columns = ErrorColumns::of(InputBatch::new("error_echoes", rows))?;
        (0..rows.num_rows()).for_each(|row| self.add(row, &columns));
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.calls * ERROR_BYTES
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut pairs = Vec::new();
        self.by_principal.into_values().for_each(|errors| errors.into_pairs(&mut pairs));
        pairs.sort_unstable_by(|a, b| (&a.event_id, &a.kms_event_id).cmp(&(&b.event_id, &b.kms_event_id)));
        let mut rows = OutputRows::new(COLUMNS);
        for pair in &pairs {
            let EchoPair { kms_event_id, event_id, service, how, outcome, key_arn, table_arn } = pair;
            rows.push([
                kms_event_id.into(),
                event_id.into(),
                service.into(),
                (*how).into(),
                outcome.into(),
                key_arn.into(),
                table_arn.into(),
            ])?;
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = MICROS_PER_SECOND;

    fn call(seconds: i64, id: &str) -> FailedCall {
        FailedCall {
            time: Some(seconds * SECOND),
            event_id: id.to_owned(),
            outcome: "denied".to_owned(),
            session_created: None,
            action: None,
            key_arn: None,
            table_arn: None,
            request_ids: Vec::new(),
            is_paired: false,
        }
    }

    fn pairs(kms: Vec<FailedCall>, echoes: Vec<FailedCall>) -> Vec<(String, String)> {
        let errors = PrincipalErrors {
            kms: BTreeMap::from([(Some("s3".to_owned()), kms)]),
            services: BTreeMap::from([("s3".to_owned(), echoes)]),
        };
        let mut pairs = Vec::new();
        errors.into_pairs(&mut pairs);
        let mut pairs: Vec<_> = pairs.into_iter().map(|pair| (pair.kms_event_id, pair.event_id)).collect();
        pairs.sort_unstable();
        pairs
    }

    fn named(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(kms, echo)| ((*kms).to_owned(), (*echo).to_owned())).collect()
    }

    #[test]
    fn each_record_is_of_one_pair_in_the_order_of_time() {
        for (kms, echoes, expected) in [
            (vec![(0, "k")], vec![(5, "e")], vec![("k", "e")]),
            (vec![(0, "k")], vec![(6, "e")], vec![]),
            (vec![(0, "k1"), (0, "k2")], vec![(0, "e1"), (0, "e2")], vec![("k1", "e1"), ("k2", "e2")]),
            (vec![(0, "k")], vec![(0, "e1"), (0, "e2")], vec![("k", "e1")]),
            // A record without its twin, long before, moves no other.
            (
                vec![(100, "k1"), (101, "k2")],
                vec![(0, "e0"), (100, "e1"), (101, "e2")],
                vec![("k1", "e1"), ("k2", "e2")],
            ),
            // Retries a second apart, each logged a second later by the service.
            (
                (0..4).map(|at| (at, ["k0", "k1", "k2", "k3"][at as usize])).collect(),
                (0..4).map(|at| (at + 1, ["e0", "e1", "e2", "e3"][at as usize])).collect(),
                vec![("k0", "e0"), ("k1", "e1"), ("k2", "e2"), ("k3", "e3")],
            ),
        ] {
            let calls = |list: &[(i64, &str)]| list.iter().map(|(at, id)| call(*at, id)).collect::<Vec<_>>();
            assert_eq!(pairs(calls(&kms), calls(&echoes)), named(&expected), "{kms:?} {echoes:?}");
        }
    }

    #[test]
    fn what_contradicts_is_no_pair_and_a_request_decides() {
        let key = |id: &str, key: &str| FailedCall { key_arn: Some(key.to_owned()), ..call(0, id) };
        assert_eq!(pairs(vec![key("k", "1")], vec![key("e", "2")]), named(&[]));
        assert_eq!(pairs(vec![key("k", "1")], vec![call(0, "e")]), named(&[("k", "e")]));
        let session = |id: &str, at: i64| FailedCall { session_created: Some(at), ..call(0, id) };
        assert_eq!(pairs(vec![session("k", 1)], vec![session("e", 2)]), named(&[]));
        let request = |id: &str, at: i64| FailedCall { request_ids: vec!["r".to_owned()], ..call(at, id) };
        assert_eq!(pairs(vec![call(0, "k1"), request("k2", 50)], vec![request("e", 0)]), named(&[("k2", "e")]));
        let unlike = FailedCall { outcome: "not_found".to_owned(), ..call(0, "k1") };
        assert_eq!(pairs(vec![unlike.clone(), call(1, "k2")], vec![call(0, "e")]), named(&[("k2", "e")]));
        assert_eq!(pairs(vec![unlike], vec![call(0, "e")]), named(&[("k1", "e")]));
        assert_eq!(
            uuids_in("Request ID: 0F1E2D3C-1111-4222-8333-44445555AAAA; Proxy: null"),
            ["0f1e2d3c-1111-4222-8333-44445555aaaa"]
        );
    }
}
