//! The pairs of records that tell of one error of KMS: KMS's own, and that of the service that called for somebody.
//! In: failed calls of both sides, in any order. Out: one row a pair, by the id of the service's record.
//! Never puts a record into two pairs, and pairs none by time where session, action, key or request contradict.

use std::collections::{BTreeMap, HashMap, HashSet};

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

/// One failed call, as its side logged it. The order of the fields is that of the calls.
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
    /// Of KMS's record the service that called, `None` where it does not name itself: then it may be any.
    service: Option<String>,
    /// Of KMS its own, of a service those that its message may name. In lower case.
    request_ids: Vec<String>,
    /// True where one of these is said to be a request.
    tells_request: bool,
}

/// The failed calls for one principal in one Region.
#[derive(Debug, Default)]
struct PrincipalErrors {
    kms: Vec<FailedCall>,
    echoes: Vec<FailedCall>,
}

/// The order of the fields is that of the rows.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EchoPair {
    event_id: String,
    kms_event_id: String,
    service: String,
    how: &'static str,
    outcome: String,
    key_arn: Option<String>,
    table_arn: Option<String>,
}

impl PrincipalErrors {
    fn into_pairs(mut self, pairs: &mut Vec<EchoPair>) {
        self.kms.sort_unstable();
        self.echoes.sort_unstable();
        let mut sides = BothSides::of(&self);
        // A time says less than a request, of whatever service.
        sides.by_request();
        let (kms, echoes) = (places_by_service(&self.kms), places_by_service(&self.echoes));
        for (service, echoes) in &echoes {
            if let Some(kms) = kms.get(service).filter(|_| service.is_some()) {
                sides.by_time(kms, echoes);
            }
        }
        if let Some(kms) = kms.get(&None) {
            sides.by_time(kms, &(0..self.echoes.len()).collect::<Vec<_>>());
        }
        pairs.append(&mut sides.pairs);
    }
}

fn places_by_service(calls: &[FailedCall]) -> BTreeMap<Option<&str>, Vec<usize>> {
    let mut places: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (place, call) in calls.iter().enumerate() {
        places.entry(call.service.as_deref()).or_default().push(place);
    }
    places
}

/// Both sides of what happened to one principal, each sorted.
struct BothSides<'c> {
    kms: &'c [FailedCall],
    echoes: &'c [FailedCall],
    is_kms_paired: Vec<bool>,
    is_echo_paired: Vec<bool>,
    pairs: Vec<EchoPair>,
}

impl<'c> BothSides<'c> {
    fn of(errors: &'c PrincipalErrors) -> BothSides<'c> {
        BothSides {
            kms: &errors.kms,
            echoes: &errors.echoes,
            is_kms_paired: vec![false; errors.kms.len()],
            is_echo_paired: vec![false; errors.echoes.len()],
            pairs: Vec::new(),
        }
    }

    fn pair(&mut self, how: &'static str, kms: usize, echo: usize) {
        (self.is_kms_paired[kms], self.is_echo_paired[echo]) = (true, true);
        let (kms, echo) = (&self.kms[kms], &self.echoes[echo]);
        self.pairs.push(EchoPair {
            event_id: echo.event_id.clone(),
            kms_event_id: kms.event_id.clone(),
            service: echo.service.clone().unwrap_or_default(),
            how,
            outcome: kms.outcome.clone(),
            key_arn: echo.key_arn.clone(),
            table_arn: echo.table_arn.clone(),
        });
    }

    fn by_request(&mut self) {
        let (calls, echoes) = (self.kms, self.echoes);
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (place, call) in calls.iter().enumerate() {
            if let Some(id) = call.request_ids.first() {
                places.entry(id).or_insert(place);
            }
        }
        for (echo, call) in echoes.iter().enumerate() {
            let named = call.request_ids.iter().find_map(|id| places.get(id.as_str()).copied());
            if let Some(kms) = named.filter(|kms| !self.is_kms_paired[*kms]) {
                self.pair("request_id", kms, echo);
            }
        }
    }

    /// Pairs what lies near in time, in its order; those that ended alike go first.
    fn by_time(&mut self, kms: &[usize], echoes: &[usize]) {
        for outcomes in [ComparedOutcomes::Alike, ComparedOutcomes::Any] {
            let mut candidates = KmsCandidates::new(self.kms, kms);
            for &place in echoes.iter().filter(|place| self.echoes[**place].time.is_some()) {
                if !self.is_echo_paired[place]
                    && let Some(kms) = candidates.first(&self.echoes[place], outcomes, &self.is_kms_paired)
                {
                    self.pair("time", kms, place);
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ComparedOutcomes {
    Alike,
    Any,
}

/// The facts that an echo tells, by which KMS's records are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ComparedFacts {
    session: bool,
    action: bool,
    key: bool,
    request: bool,
    outcome: bool,
}

/// A record of KMS's by the facts that are compared; the others are NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct KmsLikeness<'c> {
    compared: ComparedFacts,
    session_created: Option<i64>,
    action: Option<&'c str>,
    key_arn: Option<&'c str>,
    tells_request: bool,
    outcome: Option<&'c str>,
}

impl<'c> KmsLikeness<'c> {
    fn of(call: &'c FailedCall, compared: ComparedFacts) -> KmsLikeness<'c> {
        KmsLikeness {
            compared,
            session_created: call.session_created.filter(|_| compared.session),
            action: call.action.as_deref().filter(|_| compared.action),
            key_arn: call.key_arn.as_deref().filter(|_| compared.key),
            tells_request: call.tells_request && compared.request,
            outcome: compared.outcome.then_some(call.outcome.as_str()),
        }
    }
}

/// The records of KMS's that may be paired by time, so that each is passed once, however many echoes lie near.
struct KmsCandidates<'c> {
    calls: &'c [FailedCall],
    places: &'c [usize],
    indexed: HashSet<ComparedFacts>,
    /// In the order of time, with the number of those that no later echo can have.
    queues: HashMap<KmsLikeness<'c>, (Vec<usize>, usize)>,
}

impl<'c> KmsCandidates<'c> {
    fn new(calls: &'c [FailedCall], places: &'c [usize]) -> KmsCandidates<'c> {
        KmsCandidates { calls, places, indexed: HashSet::new(), queues: HashMap::new() }
    }

    /// The first record near an echo that nothing contradicts. Echoes come in the order of time.
    fn first(&mut self, echo: &'c FailedCall, outcomes: ComparedOutcomes, is_paired: &[bool]) -> Option<usize> {
        let time = echo.time?;
        let compared = ComparedFacts {
            session: echo.session_created.is_some(),
            action: echo.action.is_some(),
            key: echo.key_arn.is_some(),
            request: echo.tells_request,
            outcome: outcomes == ComparedOutcomes::Alike,
        };
        self.index(compared);
        let calls = self.calls;
        // The request that it tells is not that of a record which tells another.
        let whole = KmsLikeness { tells_request: false, ..KmsLikeness::of(echo, compared) };
        let mut first: Option<usize> = None;
        // A record of KMS's may lack each fact.
        for lacking in 0..8 {
            let like = KmsLikeness {
                session_created: whole.session_created.filter(|_| lacking & 1 == 0),
                action: whole.action.filter(|_| lacking & 2 == 0),
                key_arn: whole.key_arn.filter(|_| lacking & 4 == 0),
                ..whole
            };
            let Some((places, passed)) = self.queues.get_mut(&like) else { continue };
            let is_past = |place: &&usize| is_paired[**place] || calls[**place].time < Some(time - APART_MAX);
            *passed += places[*passed..].iter().take_while(is_past).count();
            let near = places.get(*passed).filter(|place| calls[**place].time <= Some(time + APART_MAX));
            first = first.into_iter().chain(near.copied()).min();
        }
        first
    }

    fn index(&mut self, compared: ComparedFacts) {
        if !self.indexed.insert(compared) {
            return;
        }
        for &place in self.places.iter().filter(|place| self.calls[**place].time.is_some()) {
            let like = KmsLikeness::of(&self.calls[place], compared);
            self.queues.entry(like).or_default().0.push(place);
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
        let is_kms = columns.side.get(row) == Some("kms");
        let request = columns.request_id.get(row).unwrap_or_default();
        let request_ids = uuids_in(request);
        let call = FailedCall {
            time: columns.event_time.get(row),
            event_id: columns.event_id.owned(row).unwrap_or_default(),
            outcome: columns.outcome.owned(row).unwrap_or_default(),
            session_created: columns.session_created.get(row).filter(|_| is_role),
            action: columns.action.owned(row),
            key_arn: columns.key_arn.owned(row),
            table_arn: columns.table_arn.owned(row),
            service: columns.service.owned(row),
            tells_request: if is_kms { !request_ids.is_empty() } else { names_request(request) },
            request_ids,
        };
        self.calls += 1;
        let errors = self.by_principal.entry((principal, region)).or_default();
        if is_kms { errors.kms.push(call) } else { errors.echoes.push(call) }
    }
}

/// The UUIDs among the words of a text, in lower case.
fn uuids_in(text: &str) -> Vec<String> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '-');
    words.filter(|word| is_uuid(word)).map(str::to_ascii_lowercase).collect()
}

/// True where a text gives a UUID as that of a request: `Request ID: UUID`. The id of a key is a UUID as well.
fn names_request(text: &str) -> bool {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '-');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let is_word = |place: Option<usize>, name: &str| {
        place.and_then(|place| words.get(place)).is_some_and(|word| word.eq_ignore_ascii_case(name))
    };
    let is_named = |place: usize| {
        let before = place.checked_sub(1);
        is_word(before, "RequestId")
            || is_word(before, "Request-Id")
            || is_word(before, "Id") && is_word(place.checked_sub(2), "Request")
    };
    (0..words.len()).any(|place| is_uuid(words[place]) && is_named(place))
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
        pairs.sort_unstable();
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
            service: Some("s3".to_owned()),
            request_ids: Vec::new(),
            tells_request: false,
        }
    }

    fn pairs(kms: Vec<FailedCall>, echoes: Vec<FailedCall>) -> Vec<(String, String)> {
        let errors = PrincipalErrors { kms, echoes };
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
    }

    #[test]
    fn a_request_of_any_service_goes_before_a_time() {
        let request = |id: &str, request: &str| FailedCall {
            request_ids: vec![request.to_owned()],
            tells_request: true,
            ..call(0, id)
        };
        let of = |service: &str, call: FailedCall| FailedCall { service: Some(service.to_owned()), ..call };
        let unnamed = |call: FailedCall| FailedCall { service: None, ..call };
        for (name, kms, echoes, expected) in [
            (
                "the service that comes first by name",
                vec![unnamed(request("k", "r"))],
                vec![of("athena", call(0, "a")), request("e", "r")],
                vec![("k", "e")],
            ),
            (
                "through another service",
                vec![of("s3", request("k", "r"))],
                vec![of("athena", request("a", "r"))],
                vec![("k", "a")],
            ),
            // An echo that tells its request is of no other.
            ("another request", vec![request("k", "r")], vec![request("e", "other")], vec![]),
            ("a record without a request", vec![call(0, "k")], vec![request("e", "other")], vec![("k", "e")]),
            ("an echo without a request", vec![request("k", "r")], vec![call(0, "e")], vec![("k", "e")]),
            (
                "the nearest has another request",
                vec![request("k1", "r1"), request("k2", "r2")],
                vec![request("e", "r2")],
                vec![("k2", "e")],
            ),
        ] {
            assert_eq!(pairs(kms, echoes), named(&expected), "{name}");
        }
    }

    #[test]
    fn a_message_names_requests() {
        const UUID: &str = "0f1e2d3c-1111-4222-8333-44445555aaaa";
        for (text, is_named) in [
            ("(Service: AWSKMS; Error Code: AccessDeniedException; Request ID: UUID; Proxy: null)", true),
            ("(Service: Kms, Status Code: 400, Request ID: UUID, Extended Request ID: null)", true),
            ("RequestId: UUID", true),
            (
                "is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-west-1:111122223333:key/UUID",
                false,
            ),
            ("Request ID: none, key UUID", false),
        ] {
            let text = text.replace("UUID", &UUID.to_ascii_uppercase());
            assert_eq!((uuids_in(&text), names_request(&text)), (vec![UUID.to_owned()], is_named), "{text}");
        }
    }

    #[test]
    fn many_errors_of_one_moment_pair_each_in_one_step() {
        let many = |side: &str, key_of: fn(u32) -> Option<u32>| -> Vec<FailedCall> {
            let one = |number: u32| FailedCall {
                key_arn: key_of(number).map(|key| key.to_string()),
                ..call(i64::from(number / 4000), &format!("{side}{number:05}"))
            };
            (0..20_000).map(one).collect()
        };
        let expected = |number: u32| (format!("k{number:05}"), format!("e{number:05}"));
        for key_of in [|_| None, Some, |number| Some(number % 7)] {
            let found = pairs(many("k", Some), many("e", |_| None));
            assert_eq!(found, (0..20_000).map(expected).collect::<Vec<_>>());
            let found = pairs(many("k", key_of), many("e", key_of));
            assert_eq!(found, (0..20_000).map(expected).collect::<Vec<_>>());
        }
    }
}
