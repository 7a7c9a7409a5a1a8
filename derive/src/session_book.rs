//! The sessions that records tell of, and the calls of STS that gave their credentials.
//! In: rows of both, in any order. Out: a book of them, from which `session_origins` traces who was behind a session.
//! Never holds a row: a session is one entry however often it calls, and of a call of STS its facts are kept.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_128;

use super::compact::{PooledText, TextPool};
use super::input::{FlagCells, InputBatch, TextCells, TimeCells};

/// A session: its id, as `principal_id`, and the time at which it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SessionKey {
    pub principal_id: PooledText,
    pub created: Option<i64>,
}

/// A value that rows of one session tell, as far as they agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum AgreedText {
    #[default]
    Untold,
    One(PooledText),
    Several,
}

impl AgreedText {
    fn note(&mut self, text: Option<PooledText>) {
        let Some(text) = text else { return };
        *self = match *self {
            AgreedText::Untold => AgreedText::One(text),
            AgreedText::One(known) if known == text => AgreedText::One(text),
            _ => AgreedText::Several,
        };
    }
}

/// Different access keys that are held of one session: by its nature it has one, and more where several began at once.
const ACCESS_KEYS_MAX: usize = 4;

/// The hashes of the access keys with which a session called by itself. A service that calls for it has other ones.
#[derive(Debug, Default)]
pub(super) struct SessionAccessKeys {
    known: Vec<u128>,
    has_more: bool,
}

impl SessionAccessKeys {
    fn note(&mut self, key: u128) {
        match self.known.contains(&key) {
            true => {}
            false if self.known.len() < ACCESS_KEYS_MAX => self.known.push(key),
            false => self.has_more = true,
        }
    }

    /// All of them; `None` if there are more than are held.
    pub fn all(&self) -> Option<&[u128]> {
        (!self.has_more).then_some(&self.known)
    }
}

/// One session, as far as the rows so far tell of it.
#[derive(Debug)]
pub(super) struct SessionFacts {
    pub principal: PooledText,
    pub arn: Option<PooledText>,
    pub name: Option<PooledText>,
    pub on_behalf_of: AgreedText,
    pub source_identity: AgreedText,
    pub access_keys: SessionAccessKeys,
}

/// Whoever asked STS for credentials.
#[derive(Debug, Clone, Copy)]
pub(super) struct StsCaller {
    pub principal: PooledText,
    /// The session that asked, if it was one.
    pub session: Option<SessionKey>,
    pub is_user: bool,
    pub on_behalf_of: Option<PooledText>,
    pub source_identity: Option<PooledText>,
}

/// One call of STS that gave the credentials of a session.
#[derive(Debug)]
pub(super) struct SessionStart {
    pub at: Option<i64>,
    pub event_id: Box<str>,
    pub caller: StsCaller,
    /// The id of the session, as its records have it in `principal_id`.
    pub session_id: Option<PooledText>,
    pub session_arn: Option<PooledText>,
    pub access_key: Option<u128>,
    pub source_identity: Option<PooledText>,
}

/// Rough sizes of a session and of a call of STS, with their places in a table and in the lists that find them.
const SESSION_BYTES: usize = 320;
const START_BYTES: usize = 360;

/// All sessions and calls of STS so far.
#[derive(Debug, Default)]
pub(super) struct SessionBook {
    pub texts: TextPool,
    pub sessions: HashMap<SessionKey, SessionFacts>,
    pub starts: Vec<SessionStart>,
}

impl SessionBook {
    /// Takes the session of a row, and the credentials that it gave if it is a call of STS. Returns the session.
    pub fn take(&mut self, row: usize, columns: &SessionColumns<'_>) -> Option<SessionKey> {
        let principal = self.texts.put(columns.principal.get(row).unwrap_or_default());
        let on_behalf_of = self.texts.put_cell(columns.on_behalf_of.get(row));
        let source_identity = self.texts.put_cell(columns.source_identity.get(row));
        let is_session = columns.is_session.is_set(row);
        let principal_id = columns.principal_id.get(row).filter(|_| is_session);
        let created = columns.session_created.get(row);
        let session = principal_id.map(|id| SessionKey { principal_id: self.texts.put(id), created });
        if let Some(key) = session {
            let (arn, name) =
                (self.texts.put_cell(columns.session_arn.get(row)), self.texts.put_cell(columns.session_name.get(row)));
            let SessionBook { texts, sessions, .. } = self;
            let facts = sessions.entry(key).or_insert_with(|| SessionFacts {
                principal,
                arn,
                name,
                on_behalf_of: AgreedText::Untold,
                source_identity: AgreedText::Untold,
                access_keys: SessionAccessKeys::default(),
            });
            facts.principal = fullest(texts, facts.principal, principal);
            facts.arn = fuller(texts, facts.arn, arn);
            facts.name = fuller(texts, facts.name, name);
            facts.on_behalf_of.note(on_behalf_of);
            facts.source_identity.note(source_identity);
            if let Some(access_key) = columns.own_access_key.get(row) {
                facts.access_keys.note(hash(access_key));
            }
        }
        if columns.is_start.is_set(row) {
            let is_user = columns.is_user.is_set(row);
            let caller = StsCaller { principal, session, is_user, on_behalf_of, source_identity };
            let start = SessionStart {
                at: columns.event_time.get(row),
                event_id: columns.event_id.get(row).unwrap_or_default().into(),
                caller,
                session_id: self.texts.put_cell(columns.given_id.get(row)),
                session_arn: self.texts.put_cell(columns.given_arn.get(row)),
                access_key: columns.given_access_key.get(row).map(hash),
                source_identity: self.texts.put_cell(columns.given_identity.get(row)),
            };
            self.starts.push(start);
        }
        session
    }

    /// Roughly the bytes that it holds.
    pub fn bytes_held(&self) -> usize {
        self.texts.bytes_held() + self.sessions.len() * SESSION_BYTES + self.starts.len() * START_BYTES
    }
}

fn hash(access_key: &str) -> u128 {
    xxh3_128(access_key.as_bytes())
}

/// The longer text, as a role with its path is longer than one whose path is not told; of two as long the lesser.
fn fullest(texts: &TextPool, known: PooledText, said: PooledText) -> PooledText {
    let order = |number| {
        let text = texts.get(number);
        (std::cmp::Reverse(text.len()), text)
    };
    if known == said || order(known) <= order(said) { known } else { said }
}

fn fuller(texts: &TextPool, known: Option<PooledText>, said: Option<PooledText>) -> Option<PooledText> {
    match (known, said) {
        (Some(known), Some(said)) => Some(fullest(texts, known, said)),
        _ => known.or(said),
    }
}

/// The columns of one batch of an input that tell of sessions.
pub(super) struct SessionColumns<'a> {
    is_start: FlagCells<'a>,
    is_session: FlagCells<'a>,
    is_user: FlagCells<'a>,
    event_time: TimeCells<'a>,
    event_id: TextCells<'a>,
    principal: TextCells<'a>,
    principal_id: TextCells<'a>,
    session_created: TimeCells<'a>,
    session_arn: TextCells<'a>,
    session_name: TextCells<'a>,
    source_identity: TextCells<'a>,
    on_behalf_of: TextCells<'a>,
    own_access_key: TextCells<'a>,
    given_id: TextCells<'a>,
    given_arn: TextCells<'a>,
    given_access_key: TextCells<'a>,
    given_identity: TextCells<'a>,
}

impl<'a> SessionColumns<'a> {
    /// # Errors
    /// Fails if a column is missing or of another type.
    pub fn of(table: &'static str, rows: &'a RecordBatch) -> Result<SessionColumns<'a>, ArrowError> {
        let rows = InputBatch::new(table, rows);
        Ok(SessionColumns {
            is_start: rows.flags("is_start")?,
            is_session: rows.flags("is_session")?,
            is_user: rows.flags("is_user")?,
            event_time: rows.times("event_time")?,
            event_id: rows.texts("event_id")?,
            principal: rows.texts("principal")?,
            principal_id: rows.texts("principal_id")?,
            session_created: rows.times("session_created")?,
            session_arn: rows.texts("session_arn")?,
            session_name: rows.texts("session_name")?,
            source_identity: rows.texts("source_identity")?,
            on_behalf_of: rows.texts("on_behalf_of")?,
            own_access_key: rows.texts("own_access_key")?,
            given_id: rows.texts("given_id")?,
            given_arn: rows.texts("given_arn")?,
            given_access_key: rows.texts("given_access_key")?,
            given_identity: rows.texts("given_identity")?,
        })
    }
}
