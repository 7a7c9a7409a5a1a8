//! Every session that called KMS or had KMS called for it, and who was behind it.
//! In: KMS calls of sessions and calls of STS, in any order. Out: one row a session with KMS calls in the interval.
//! Never counts a call outside the interval, and takes no name of a service for an address.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Int, Text, TextList, Timestamp};

use super::compact::{PooledText, TextPool};
use super::input::{FlagCells, InputBatch, TextCells, TimeCells};
use super::moment::TimeSpan;
use super::output::{OutputCell, OutputRows, column};
use super::session_book::{SessionBook, SessionColumns, SessionKey};
use super::session_origins::SessionOrigins;
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const ROLE_SESSIONS: DerivedTable = DerivedTable {
    name: "role_sessions",
    columns: COLUMNS,
    by: &[],
    unique: &["principal_id", "session_created"],
    time: RowTime::Through("first_seen", "last_seen"),
    start: |interval| Box::new(AllSessions::over(*interval)),
};

const COLUMNS: &[OutputColumn] = &[
    column("principal", Text),
    column("session_arn", Text),
    column("session_name", Text),
    column("principal_id", Text),
    column("session_created", Timestamp),
    column("assumed_by", Text),
    column("assumed_by_event_id", Text),
    column("chain", TextList),
    column("person", Text),
    column("person_source", Text),
    column("source_ips", TextList),
    column("calls", Int),
    column("denied", Int),
    column("keys", Int),
    column("tables", Int),
    column("first_seen", Timestamp),
    column("last_seen", Timestamp),
];

/// Addresses that a row has at most: the first in the order of their text.
const ADDRESSES_MAX: usize = 20;

/// Rough sizes of the use of one session, and of one thing in its sets.
const USE_BYTES: usize = 320;
const ITEM_BYTES: usize = 16;

/// What one session did with KMS in the interval.
#[derive(Debug, Default)]
struct SessionUse {
    calls: i64,
    denied: i64,
    keys: HashSet<PooledText>,
    tables: HashSet<PooledText>,
    addresses: BTreeSet<Box<str>>,
    seen: TimeSpan,
}

impl SessionUse {
    fn take(&mut self, row: usize, columns: &UseColumns<'_>, texts: &mut TextPool) {
        self.calls += i64::from(columns.is_call.is_set(row));
        self.denied += i64::from(columns.is_denied.is_set(row));
        self.keys.extend(columns.key_arn.get(row).map(|key| texts.put(key)));
        self.tables.extend(columns.table_arn.get(row).map(|table| texts.put(table)));
        self.seen.note(columns.event_time.get(row));
        let source = columns.source_ip_address.get(row).filter(|source| source.parse::<IpAddr>().is_ok());
        if let Some(address) = source.filter(|address| !self.addresses.contains(*address)) {
            self.addresses.insert(address.into());
            if self.addresses.len() > ADDRESSES_MAX {
                self.addresses.pop_last();
            }
        }
    }

    fn items(&self) -> usize {
        self.keys.len() + self.tables.len()
    }
}

/// All sessions so far.
struct AllSessions {
    book: SessionBook,
    used: HashMap<SessionKey, SessionUse>,
    /// In the sets of all sessions.
    items: usize,
    interval: AskedInterval,
}

impl AllSessions {
    fn over(interval: AskedInterval) -> AllSessions {
        AllSessions { book: SessionBook::default(), used: HashMap::new(), items: 0, interval }
    }
}

/// The columns of one batch of the input that tell of KMS calls.
struct UseColumns<'a> {
    is_used: FlagCells<'a>,
    is_call: FlagCells<'a>,
    is_denied: FlagCells<'a>,
    event_time: TimeCells<'a>,
    key_arn: TextCells<'a>,
    table_arn: TextCells<'a>,
    source_ip_address: TextCells<'a>,
}

impl<'a> UseColumns<'a> {
    fn of(rows: InputBatch<'a>) -> Result<UseColumns<'a>, ArrowError> {
        Ok(UseColumns {
            is_used: rows.flags("is_used")?,
            is_call: rows.flags("is_call")?,
            is_denied: rows.flags("is_denied")?,
            event_time: rows.times("event_time")?,
            key_arn: rows.texts("key_arn")?,
            table_arn: rows.texts("table_arn")?,
            source_ip_address: rows.texts("source_ip_address")?,
        })
    }
}

impl Derivation for AllSessions {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let sessions = SessionColumns::of("role_sessions", rows)?;
        let columns = UseColumns::of(InputBatch::new("role_sessions", rows))?;
        for row in 0..rows.num_rows() {
            let session = self.book.take(row, &sessions);
            if let Some(key) = session.filter(|_| columns.is_used.is_set(row)) {
                let used = self.used.entry(key).or_default();
                let before = used.items();
                used.take(row, &columns, &mut self.book.texts);
                self.items += used.items() - before;
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.book.bytes_held() + self.used.len() * USE_BYTES + self.items * ITEM_BYTES
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let AllSessions { book, used, interval, .. } = *self;
        let (origins, texts) = (SessionOrigins::of(&book, interval), &book.texts);
        let mut used: Vec<_> = used.into_iter().map(|(key, used)| (key, &book.sessions[&key], used)).collect();
        used.sort_unstable_by_key(|(key, facts, _)| {
            (texts.get(facts.principal), texts.get(key.principal_id), key.created)
        });
        let mut rows = OutputRows::new(COLUMNS);
        for (key, facts, used) in used {
            let trace = origins.trace(key);
            let text = |number: Option<PooledText>| OutputCell::Text(number.map(|number| texts.get(number)));
            let chain: Option<Vec<String>> =
                trace.chain.map(|chain| chain.into_iter().map(|caller| texts.get(caller).to_owned()).collect());
            let addresses: Vec<String> = used.addresses.into_iter().map(String::from).collect();
            rows.push([
                texts.get(facts.principal).into(),
                text(facts.arn),
                text(facts.name),
                texts.get(key.principal_id).into(),
                OutputCell::Time(key.created),
                text(trace.assumed_by),
                trace.event_id.into(),
                OutputCell::Texts(chain.as_deref()),
                text(trace.person.map(|(person, _)| person)),
                trace.person.map(|(_, source)| source).into(),
                OutputCell::Texts(Some(addresses.as_slice()).filter(|addresses| !addresses.is_empty())),
                OutputCell::Count(Some(used.calls)),
                OutputCell::Count(Some(used.denied)),
                OutputCell::Count(Some(used.keys.len() as i64)),
                OutputCell::Count(Some(used.tables.len() as i64)),
                OutputCell::Time(used.seen.first()),
                OutputCell::Time(used.seen.last()),
            ])?;
        }
        rows.finish()
    }
}
