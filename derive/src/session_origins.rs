//! Who was behind a session: the call of STS that began it, the session that made that call, and so on outward.
//! In: a book of sessions. Out: of each its callers and the person behind it, as far as the records prove them.
//! Never takes the likelier of two calls for the right one, and never takes a name that a caller chose for a person.

use keytrail_rows::arn::Arn;
use keytrail_rows::time::MICROS_PER_SECOND;

use super::compact::PooledText;
use super::session_book::{AgreedText, SessionBook, SessionFacts, SessionKey, SessionStart, StsCaller};
use super::{AskedInterval, EarlierHistory};

/// A session begins in the second in which STS answers; the clocks of the two may differ by a little.
const BEFORE_MAX: i64 = 5 * MICROS_PER_SECOND;

/// The same where the access key says already that the two belong together: documentation and anonymized logs repeat
/// access keys, years apart.
const APART_MAX: i64 = 60 * MICROS_PER_SECOND;

/// Calls of STS that may each have begun one session. Of more none is compared, so that many at once cost little.
const CANDIDATES_MAX: usize = 64;

/// Callers that a chain has at most.
pub(super) const CHAIN_MAX: usize = 16;

/// The people behind the sessions of a book.
pub(super) struct SessionOrigins<'b> {
    book: &'b SessionBook,
    interval: AskedInterval,
    /// Places of starts in the book, by what a session may know of its start, and their time.
    by_id: Vec<(PooledText, Option<i64>, usize)>,
    by_arn: Vec<(PooledText, Option<i64>, usize)>,
    by_access_key: Vec<(u128, usize)>,
}

/// The history of one session.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SessionTrace<'b> {
    /// The caller that began the session.
    pub assumed_by: Option<PooledText>,
    /// The id of the call that began it; `None` too if the caller made several calls of which any may be it.
    pub event_id: Option<&'b str>,
    /// The outermost caller first; `None` if not even one is known.
    pub chain: Option<Vec<PooledText>>,
    /// The person, and the fact that names the person.
    pub person: Option<(PooledText, &'static str)>,
    /// The same without those whom its own calls name in `onBehalfOf`: each of these tells of itself alone.
    pub person_of_all_calls: Option<(PooledText, &'static str)>,
    /// True if a caller may be behind the chain whose call lies before everything that was read.
    pub is_cut: bool,
}

/// The start of one session, as far as it is decided.
#[derive(Debug, Clone, Copy)]
struct FoundStart<'b> {
    caller: StsCaller,
    at: Option<i64>,
    event_id: Option<&'b str>,
    source_identity: Option<PooledText>,
}

/// A session on the way outward.
struct TracedLevel<'b> {
    key: SessionKey,
    facts: &'b SessionFacts,
    given_identity: Option<PooledText>,
    /// For whom it called when it made the call that led inward; of the innermost as far as all its calls agree.
    on_behalf_of: Option<PooledText>,
}

impl<'b> SessionOrigins<'b> {
    pub fn of(book: &'b SessionBook, interval: AskedInterval) -> SessionOrigins<'b> {
        let starts = || book.starts.iter().enumerate();
        let mut by_id: Vec<_> =
            starts().filter_map(|(place, start)| Some((start.session_id?, start.at, place))).collect();
        // An answer that names the id needs no ARN: a role that was made anew has the ARN of the old one.
        let nameless = starts().filter(|(_, start)| start.session_id.is_none());
        let mut by_arn: Vec<_> =
            nameless.filter_map(|(place, start)| Some((start.session_arn?, start.at, place))).collect();
        let mut by_access_key: Vec<_> =
            starts().filter_map(|(place, start)| Some((start.access_key?, place))).collect();
        by_id.sort_unstable();
        by_arn.sort_unstable();
        by_access_key.sort_unstable();
        SessionOrigins { book, interval, by_id, by_arn, by_access_key }
    }

    /// Follows a session to its outermost caller.
    pub fn trace(&self, key: SessionKey) -> SessionTrace<'b> {
        let Some(facts) = self.book.sessions.get(&key) else { return SessionTrace::default() };
        let mut levels = vec![TracedLevel { key, facts, given_identity: None, on_behalf_of: None }];
        let mut callers: Vec<FoundStart<'b>> = Vec::new();
        while let Some(level) = levels.last_mut()
            && let Some(start) = self.start_of(level)
        {
            level.given_identity = start.source_identity;
            callers.push(start);
            let Some(next) = start.caller.session else { break };
            let begins_later = next.created.zip(start.at).is_some_and(|(created, at)| created > at);
            let is_known = levels.iter().any(|level| level.key == next);
            let facts = self.book.sessions.get(&next);
            match facts.filter(|_| !begins_later && !is_known && callers.len() < CHAIN_MAX) {
                Some(facts) => {
                    let on_behalf_of = start.caller.on_behalf_of;
                    levels.push(TracedLevel { key: next, facts, given_identity: None, on_behalf_of });
                }
                None => break,
            }
        }
        let is_cut = levels.len() > callers.len() && levels.last().is_some_and(|level| self.may_begin_earlier(level));
        let chain = callers.iter().rev().map(|start| start.caller.principal).collect::<Vec<_>>();
        let person_of_all_calls = self.person(&levels, callers.last()).filter(|_| !is_cut);
        if let AgreedText::One(user) = facts.on_behalf_of {
            levels[0].on_behalf_of = Some(user);
        }
        SessionTrace {
            assumed_by: callers.first().map(|start| start.caller.principal),
            event_id: callers.first().and_then(|start| start.event_id),
            chain: (!chain.is_empty() && !is_cut).then_some(chain),
            person: self.person(&levels, callers.last()).filter(|_| !is_cut),
            person_of_all_calls,
            is_cut,
        }
    }

    /// The person whom the outermost caller or, if nothing names one there, the next session inward tells.
    fn person(
        &self,
        levels: &[TracedLevel<'b>],
        outermost: Option<&FoundStart<'b>>,
    ) -> Option<(PooledText, &'static str)> {
        if let Some(StsCaller { session: None, principal, is_user, on_behalf_of, source_identity }) =
            outermost.map(|start| start.caller)
            && let Some(person) = is_user.then_some(principal).or(on_behalf_of).or(source_identity)
        {
            return Some((person, "chain"));
        }
        let (person, source) = levels.iter().rev().find_map(|level| self.told_by(level))?;
        Some((person, if outermost.is_some() { "chain" } else { source }))
    }

    /// The person whom the records of a session name.
    fn told_by(&self, level: &TracedLevel<'b>) -> Option<(PooledText, &'static str)> {
        if let Some(user) = level.on_behalf_of {
            return Some((user, "on_behalf_of"));
        }
        match level.facts.source_identity {
            AgreedText::One(identity) => return Some((identity, "source_identity")),
            AgreedText::Several => {}
            AgreedText::Untold => {
                if let Some(identity) = level.given_identity {
                    return Some((identity, "source_identity"));
                }
            }
        }
        let name = level.facts.name.filter(|_| self.is_of_identity_center(level.facts))?;
        Some((name, "sso_session_name"))
    }

    /// True for roles of Identity Center, which names their sessions after its users. Nobody else may make roles under
    /// this path.
    fn is_of_identity_center(&self, facts: &SessionFacts) -> bool {
        let arn = Arn::parse(self.book.texts.get(facts.principal));
        let role = arn.filter(|arn| arn.service == "iam").and_then(|arn| arn.resource_of("role"));
        let name = role.and_then(|role| role.strip_prefix("aws-reserved/sso.amazonaws.com/"));
        name.is_some_and(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("AWSReservedSSO_")))
    }

    /// True if the start may lie before everything that was read. Identity Center alone begins the sessions of its
    /// roles, so that earlier history tells nobody else.
    fn may_begin_earlier(&self, level: &TracedLevel<'b>) -> bool {
        let since = self.interval.since.filter(|_| self.interval.earlier == EarlierHistory::NotRead);
        let is_before = |since: i64| level.key.created.is_none_or(|created| created.saturating_sub(BEFORE_MAX) < since);
        since.is_some_and(is_before) && !self.is_of_identity_center(level.facts)
    }

    /// The call that began a session, or the caller of all that may have.
    fn start_of(&self, level: &TracedLevel<'b>) -> Option<FoundStart<'b>> {
        let candidates = match self.by_access_key(level)? {
            candidates if candidates.is_empty() => self.by_time(level)?,
            candidates => candidates,
        };
        let caller = common_caller(&candidates)?;
        let exact: Vec<_> = candidates.iter().copied().filter(|start| start.at == level.key.created).collect();
        let one = match (candidates.as_slice(), exact.as_slice()) {
            ([one], _) | (_, [one]) => Some(*one),
            _ => None,
        };
        Some(FoundStart {
            caller: one.map_or(caller, |start| start.caller),
            // The latest of several, so that no caller is taken for younger than its call.
            at: candidates.iter().map(|start| start.at).max()?,
            event_id: one.map(|start| &*start.event_id),
            source_identity: one.and_then(|start| start.source_identity),
        })
    }

    /// The calls that gave the access keys of a session; none if no access key is known. `None` if the access keys are
    /// of several sessions and not all of these are known.
    fn by_access_key(&self, level: &TracedLevel<'b>) -> Option<Vec<&'b SessionStart>> {
        let mut found = Vec::new();
        let mut strangers = 0;
        for access_key in level.facts.access_keys.all()? {
            let from = self.by_access_key.partition_point(|(key, _)| key < access_key);
            let places = self.by_access_key[from..].iter().take_while(|(key, _)| key == access_key);
            let starts = places.map(|(_, place)| &self.book.starts[*place]).take(CANDIDATES_MAX + 1);
            let starts: Vec<_> = starts.collect();
            if starts.len() > CANDIDATES_MAX {
                return None;
            }
            let before = found.len();
            found.extend(starts.into_iter().filter(|start| may_begin(start, level)));
            strangers += usize::from(found.len() == before);
        }
        (found.is_empty() || strangers == 0).then_some(found)
    }

    /// The calls from just before a session began that may have begun it. `None` if there are too many.
    fn by_time(&self, level: &TracedLevel<'b>) -> Option<Vec<&'b SessionStart>> {
        let created = level.key.created.filter(|_| !self.may_begin_earlier(level))?;
        let near = |starts: &[(PooledText, Option<i64>, usize)], named: PooledText| {
            let from = starts
                .partition_point(|(name, at, _)| (*name, *at) < (named, Some(created.saturating_sub(BEFORE_MAX))));
            let places = starts[from..].iter().take_while(|(name, at, _)| *name == named && *at <= Some(created));
            places.map(|(_, _, place)| &self.book.starts[*place]).take(CANDIDATES_MAX + 1).collect::<Vec<_>>()
        };
        let mut found = near(&self.by_id, level.key.principal_id);
        found.extend(level.facts.arn.map(|arn| near(&self.by_arn, arn)).unwrap_or_default());
        if found.len() > CANDIDATES_MAX {
            return None;
        }
        // A call that gave another access key than the session used began another session.
        let has_access_key = level.facts.access_keys.all().is_some_and(|keys| !keys.is_empty());
        found.retain(|start| start.access_key.is_none() || !has_access_key);
        Some(found)
    }
}

/// The caller of several calls with what all of them tell of it; `None` if they have several.
fn common_caller(starts: &[&SessionStart]) -> Option<StsCaller> {
    let mut callers = starts.iter().map(|start| start.caller);
    let first = callers.next()?;
    callers.try_fold(first, |known, other| {
        let is_same = (known.principal, known.session) == (other.principal, other.session);
        is_same.then_some(StsCaller {
            is_user: known.is_user && other.is_user,
            on_behalf_of: known.on_behalf_of.filter(|of| other.on_behalf_of == Some(*of)),
            source_identity: known.source_identity.filter(|of| other.source_identity == Some(*of)),
            ..known
        })
    })
}

/// True unless the two contradict, for a call that gave the access key of a session.
fn may_begin(start: &SessionStart, level: &TracedLevel<'_>) -> bool {
    let is_same = match (start.session_id, start.session_arn.zip(level.facts.arn)) {
        (Some(id), _) => id == level.key.principal_id,
        (None, Some((given, known))) => given == known,
        (None, None) => true,
    };
    let apart = start.at.zip(level.key.created).map(|(at, created)| created.abs_diff(at));
    is_same && apart.is_none_or(|apart| apart <= APART_MAX.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow::array::cast::as_list_array;
    use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

    use super::*;
    use crate::TABLES;

    const ACCOUNT: &str = "111122223333";

    /// The principal of a name as the tests write it: `user/NAME`, `service/NAME`, `ROLE:SESSION@SECOND`.
    fn principal(name: &str) -> String {
        match name.split_once(['/', ':']) {
            Some(("user", _)) => format!("arn:aws:iam::{ACCOUNT}:{name}"),
            Some(("service", name)) => format!("service:{name}"),
            Some(("idc", _) | ("saml", _)) => name.to_owned(),
            Some((role, _)) if role.starts_with("SSO") => {
                format!("arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_{role}")
            }
            Some((role, _)) => format!("arn:aws:iam::{ACCOUNT}:role/{role}"),
            None => name.to_owned(),
        }
    }

    /// One row: `start by=CALLER at=SECOND gives=ID …` or `call by=SESSION …`.
    fn batch(line: &str) -> RecordBatch {
        let words: HashMap<&str, &str> = line.split(' ').filter_map(|word| word.split_once('=')).collect();
        let word = |name: &str| words.get(name).copied();
        let by = word("by").unwrap();
        let (id, created) = by.split_once('@').map_or((by, None), |(id, at)| (id, at.parse().ok()));
        let is_session = by.contains('@');
        let session = Some(id).filter(|_| is_session);
        let arn = session.map(|id| format!("sts/{}", id.replace(':', "/")));
        let name = session.and_then(|id| Some(id.split_once(':')?.1));
        let text = |value: Option<&str>| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        let flag = |value: bool| Arc::new(BooleanArray::from(vec![value])) as ArrayRef;
        let time = |seconds: Option<i64>| {
            let micros = seconds.map(|seconds| seconds * MICROS_PER_SECOND);
            Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC")) as ArrayRef
        };
        RecordBatch::try_from_iter_with_nullable(
            [
                ("is_start", flag(line.starts_with("start"))),
                ("is_session", flag(is_session)),
                ("is_user", flag(by.starts_with("user/"))),
                ("event_time", time(word("at").and_then(|at| at.parse().ok()))),
                ("event_id", text(word("id"))),
                ("principal", text(Some(&principal(by)))),
                ("principal_id", text(Some(id))),
                ("session_created", time(created)),
                ("session_arn", text(arn.as_deref())),
                ("session_name", text(name)),
                ("source_identity", text(word("identity"))),
                ("on_behalf_of", text(word("behalf"))),
                ("own_access_key", text(word("key"))),
                ("given_id", text(word("gives"))),
                ("given_arn", text(word("arn"))),
                ("given_access_key", text(word("gives_key"))),
                ("given_identity", text(word("gives_identity"))),
                ("is_used", flag(line.starts_with("call"))),
                ("is_call", flag(!line.contains("source-side"))),
                ("is_denied", flag(line.contains("denied"))),
                ("key_arn", text(word("kms"))),
                ("table_arn", text(word("table"))),
                ("source_ip_address", text(word("from"))),
            ]
            .map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    }

    fn rows_of(table: &str, lines: &[&str], interval: AskedInterval) -> RecordBatch {
        let table = TABLES.iter().find(|known| known.name == table).unwrap();
        let mut derivation = (table.start)(&interval);
        for line in lines {
            derivation.take(&batch(line)).unwrap();
            assert!(derivation.bytes_held() > 0);
        }
        derivation.finish().unwrap()
    }

    /// Each session as `ID: EVENT, CHAIN, PERSON by SOURCE`, with the names of the tests.
    fn stories(rows: &RecordBatch) -> Vec<String> {
        let text = |column: &str, row: usize| {
            let texts = rows[column].as_string::<i32>();
            texts.is_valid(row).then(|| texts.value(row).to_owned())
        };
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let short = |text: String| text.rsplit('/').next().unwrap_or_default().to_owned();
        let chains = as_list_array(&rows["chain"]);
        let story = |row: usize| {
            let chain = chains.is_valid(row).then(|| {
                let callers = chains.value(row);
                let callers = callers.as_string::<i32>().iter().flatten().map(|caller| short(caller.to_owned()));
                callers.collect::<Vec<_>>().join(">")
            });
            if let Some(chain) = &chain {
                assert_eq!(chain.rsplit('>').next(), text("assumed_by", row).map(short).as_deref());
            }
            let person = match (text("person", row), text("person_source", row)) {
                (Some(person), Some(source)) => format!("{} by {source}", short(person)),
                (None, None) => "-".to_owned(),
                told => panic!("{told:?}"),
            };
            let id = or_dash(text("principal_id", row));
            format!("{id}: {}, {}, {person}", or_dash(text("assumed_by_event_id", row)), or_dash(chain))
        };
        (0..rows.num_rows()).map(story).collect()
    }

    fn interval(since: Option<i64>, earlier: EarlierHistory) -> AskedInterval {
        AskedInterval { since: since.map(|since| since * MICROS_PER_SECOND), until: None, earlier }
    }

    #[test]
    fn a_session_is_traced_to_the_call_that_began_it() {
        for (lines, expected) in [
            // By its id and the second in which it began, or a little before.
            (&["start by=user/ann at=100 id=e1 gives=A:s", "call by=A:s@100"][..], "A:s: e1, ann, ann by chain"),
            (&["start by=user/ann at=95 id=e1 gives=A:s", "call by=A:s@100"], "A:s: e1, ann, ann by chain"),
            (&["start by=user/ann at=94 id=e1 gives=A:s", "call by=A:s@100"], "A:s: -, -, -"),
            (&["start by=user/ann at=101 id=e1 gives=A:s", "call by=A:s@100"], "A:s: -, -, -"),
            (&["start by=user/ann at=100 id=e1 gives=B:s", "call by=A:s@100"], "A:s: -, -, -"),
            (&["start by=user/ann at=100 id=e1 gives=A:t", "call by=A:s@100"], "A:s: -, -, -"),
            // By the ARN where the answer tells no id; an id that is another's settles it.
            (&["start by=user/ann at=100 id=e1 arn=sts/A/s", "call by=A:s@100"], "A:s: e1, ann, ann by chain"),
            (&["start by=user/ann at=100 id=e1 arn=sts/A/s gives=OLD:s", "call by=A:s@100"], "A:s: -, -, -"),
            // Without its time, only by the access key.
            (&["start by=user/ann at=100 id=e1 gives=A:s gives_key=K", "call by=A:s@"], "A:s: -, -, -"),
            (
                &["start by=user/ann at=100 id=e1 gives=A:s gives_key=K", "call by=A:s@ key=K"],
                "A:s: e1, ann, ann by chain",
            ),
            // An access key that was never given to it contradicts; a call by a service has none of its own.
            (&["start by=user/ann at=100 id=e1 gives=A:s gives_key=K", "call by=A:s@100 key=L"], "A:s: -, -, -"),
            (
                &["start by=user/ann at=100 id=e1 gives=A:s gives_key=K", "call by=A:s@100"],
                "A:s: e1, ann, ann by chain",
            ),
            (&["start by=user/ann at=100 id=e1 gives=A:s", "call by=A:s@100 key=L"], "A:s: e1, ann, ann by chain"),
        ] {
            assert_eq!(stories(&rows_of("role_sessions", lines, AskedInterval::default())), [expected], "{lines:?}");
        }
    }

    #[test]
    fn of_several_callers_none_is_taken_unless_the_access_key_decides() {
        let two = [
            "start by=user/ann at=100 id=e1 gives=A:s gives_key=K",
            "start by=user/bob at=100 id=e2 gives=A:s gives_key=L",
        ];
        for (call, expected) in [
            ("call by=A:s@100", "A:s: -, -, -"),
            ("call by=A:s@100 key=K", "A:s: e1, ann, ann by chain"),
            ("call by=A:s@100 key=L", "A:s: e2, bob, bob by chain"),
            ("call by=A:s@100 key=M", "A:s: -, -, -"),
        ] {
            let lines = [two[0], two[1], call];
            assert_eq!(stories(&rows_of("role_sessions", &lines, AskedInterval::default())), [expected], "{lines:?}");
        }
        let story = |lines: &[&str]| stories(&rows_of("role_sessions", lines, AskedInterval::default()));
        // Both used it in one second: the row is of two sessions.
        assert_eq!(story(&[two[0], two[1], "call by=A:s@100 key=K", "call by=A:s@100 key=L"]), ["A:s: -, -, -"]);
        assert_eq!(story(&[two[0], "call by=A:s@100 key=K", "call by=A:s@100 key=N"]), ["A:s: -, -, -"]);
        // The same caller twice is the caller, but neither call is the one; the exact second is.
        let again = "start by=user/ann at=100 id=e3 gives=A:s";
        assert_eq!(story(&[two[0], again, "call by=A:s@100"]), ["A:s: -, ann, ann by chain"]);
        let before = "start by=user/ann at=98 id=e3 gives=A:s";
        assert_eq!(story(&[two[0], before, "call by=A:s@100"]), ["A:s: e1, ann, ann by chain"]);
        assert_eq!(story(&[two[1], before, "call by=A:s@100"]), ["A:s: -, -, -"]);
        // Of one caller, only what all its calls tell is known of it; the exact second is of one call again.
        let of_saml =
            |at: u32, identity: &str| format!("start by=saml/bob at={at} id=e6 gives=A:s identity={identity}");
        for (other, expected) in [
            (of_saml(100, "x"), "A:s: -, bob, x by chain"),
            (of_saml(100, "y"), "A:s: -, bob, -"),
            (of_saml(98, "y"), "A:s: e6, bob, x by chain"),
        ] {
            let (known, call) = (of_saml(100, "x"), "call by=A:s@100");
            assert_eq!(story(&[&known, &other, call]), [expected]);
            assert_eq!(story(&[&other, &known, call]), [expected]);
        }
        // Logs without real access keys repeat one for years, and for other sessions.
        let elsewhere = "start by=user/bob at=900 id=e4 gives=A:s gives_key=K";
        assert_eq!(story(&[two[0], elsewhere, "call by=A:s@100 key=K"]), ["A:s: e1, ann, ann by chain"]);
        let other = "start by=user/bob at=100 id=e5 gives=B:s gives_key=K";
        assert_eq!(story(&[two[0], other, "call by=A:s@100 key=K"]), ["A:s: e1, ann, ann by chain"]);
        // One name at two times is two sessions.
        let later = "start by=user/bob at=900 id=e6 gives=A:s";
        assert_eq!(
            story(&[two[0], later, "call by=A:s@100", "call by=A:s@900"]),
            ["A:s: e1, ann, ann by chain", "A:s: e6, bob, bob by chain"]
        );
    }

    #[test]
    fn a_chain_is_followed_to_its_outermost_caller() {
        let to_a = "start by=user/ann at=100 id=e1 gives=A:s gives_key=K";
        let to_b = "start by=A:s@100 at=200 id=e2 key=K gives=B:t gives_key=L";
        for (lines, expected) in [
            (&[to_a, to_b, "call by=B:t@200 key=L"][..], "B:t: e2, ann>A, ann by chain"),
            (&[to_b, "call by=B:t@200 key=L"], "B:t: e2, A, -"),
            (
                &["start by=SSO1:ann@100 at=200 id=e2 gives=B:t", "call by=B:t@200"],
                "B:t: e2, AWSReservedSSO_SSO1, ann by chain",
            ),
            (&["start by=A:s@100 at=200 id=e2 gives=B:t identity=ann", "call by=B:t@200"], "B:t: e2, A, ann by chain"),
            (
                &["start by=A:s@100 at=200 id=e2 gives=B:t behalf=idc:d/ann", "call by=B:t@200"],
                "B:t: e2, A, ann by chain",
            ),
            (
                &["start by=A:s@100 at=200 id=e2 gives=B:t gives_identity=ann", "call by=B:t@200"],
                "B:t: e2, A, ann by chain",
            ),
            (
                &["start by=idc:d/ann at=200 id=e2 gives=B:t behalf=idc:d/ann", "call by=B:t@200"],
                "B:t: e2, ann, ann by chain",
            ),
            (&["start by=service/ec2 at=200 id=e2 gives=B:t", "call by=B:t@200"], "B:t: e2, service:ec2, -"),
            (
                &["start by=saml:x at=200 id=e2 gives=SSO1:ann", "call by=SSO1:ann@200"],
                "SSO1:ann: e2, saml:x, ann by chain",
            ),
            (
                &["start by=A:s@100 at=200 id=e2 gives=B:t", "call by=B:t@200 behalf=idc:d/eve"],
                "B:t: e2, A, eve by chain",
            ),
            // The outermost caller goes before what the session says of itself.
            (&[to_a, to_b, "call by=B:t@200 key=L identity=someone"], "B:t: e2, ann>A, ann by chain"),
            // A session cannot call before it began, and nobody began itself.
            (&[to_a, "start by=A:s@100 at=99 id=e2 gives=B:t", "call by=B:t@99"], "B:t: e2, A, -"),
            (
                &[
                    "start by=B:t@200 at=200 id=e1 gives=A:s",
                    "start by=A:s@200 at=200 id=e2 gives=B:t",
                    "call by=B:t@200",
                ],
                "B:t: e2, B>A, -",
            ),
            (&["start by=B:t@200 at=200 id=e1 gives=B:t", "call by=B:t@200"], "B:t: e1, B, -"),
        ] {
            assert_eq!(stories(&rows_of("role_sessions", lines, AskedInterval::default())), [expected], "{lines:?}");
        }
    }

    #[test]
    fn a_session_names_its_person_itself() {
        for (call, expected) in [
            ("call by=A:ann@100", "-"),
            ("call by=A:s@100 identity=ann", "ann by source_identity"),
            ("call by=A:s@100 identity=ann behalf=idc:d/eve", "eve by on_behalf_of"),
            ("call by=SSO1:ann@100", "ann by sso_session_name"),
            ("call by=SSO1:ann@100 identity=eve", "eve by source_identity"),
        ] {
            let stories = stories(&rows_of("role_sessions", &[call], AskedInterval::default()));
            assert!(stories[0].ends_with(&format!(": -, -, {expected}")), "{call}: {stories:?}");
        }
        let both = ["call by=A:s@100 identity=ann", "call by=A:s@100 identity=eve"];
        assert_eq!(stories(&rows_of("role_sessions", &both, AskedInterval::default())), ["A:s: -, -, -"]);
        let mut book = SessionBook::default();
        let name = book.texts.put("ann");
        for (role, is_sso) in [
            (
                "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef",
                true,
            ),
            (
                "arn:aws-cn:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef",
                true,
            ),
            ("arn:aws:iam::111122223333:role/AWSReservedSSO_Admin_0123456789abcdef", false),
            ("arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/Admin", false),
            ("arn:aws:iam::111122223333:role/mine/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin", false),
            ("account:111122223333/AROA", false),
        ] {
            let facts = SessionFacts {
                principal: book.texts.put(role),
                arn: None,
                name: Some(name),
                on_behalf_of: AgreedText::Untold,
                source_identity: AgreedText::Untold,
                access_keys: Default::default(),
            };
            assert_eq!(
                SessionOrigins::of(&book, AskedInterval::default()).is_of_identity_center(&facts),
                is_sso,
                "{role}"
            );
        }
    }

    #[test]
    fn a_log_that_begins_later_tells_less_and_nothing_else() {
        let lines = [
            "start by=user/ann at=100 id=e1 gives=A:s",
            "start by=A:s@100 at=200 id=e2 gives=B:t gives_identity=dev",
            "call by=B:t@200",
        ];
        for (from, since, earlier, expected) in [
            (0, None, EarlierHistory::NotRead, "B:t: e2, ann>A, ann by chain"),
            (0, Some(150), EarlierHistory::Read, "B:t: e2, ann>A, ann by chain"),
            (0, Some(150), EarlierHistory::NotRead, "B:t: e2, -, -"),
            (1, Some(150), EarlierHistory::NotRead, "B:t: e2, -, -"),
            (2, Some(204), EarlierHistory::NotRead, "B:t: -, -, -"),
            // The store has all, so its silence is one.
            (1, None, EarlierHistory::NotRead, "B:t: e2, A, dev by chain"),
            (1, Some(150), EarlierHistory::Read, "B:t: e2, A, dev by chain"),
            (1, Some(50), EarlierHistory::NotRead, "B:t: e2, A, dev by chain"),
        ] {
            let rows = rows_of("role_sessions", &lines[from..], interval(since, earlier));
            assert_eq!(stories(&rows), [expected], "{from} {since:?} {earlier:?}");
        }
        let rows = rows_of("role_sessions", &["call by=SSO1:ann@200"], interval(Some(300), EarlierHistory::NotRead));
        assert_eq!(stories(&rows), ["SSO1:ann: -, -, ann by sso_session_name"]);
    }

    #[test]
    fn hostile_chains_end() {
        let deep: Vec<String> = (1..40)
            .map(|depth| format!("start by=R{}:s@{} at={depth} id=e{depth} gives=R{depth}:s", depth - 1, depth - 1))
            .chain(["call by=R39:s@39".to_owned()])
            .collect();
        let lines: Vec<&str> = deep.iter().map(String::as_str).collect();
        let rows = rows_of("role_sessions", &lines, AskedInterval::default());
        assert_eq!(as_list_array(&rows["chain"]).value(0).len(), CHAIN_MAX);
        // Many calls of one second for one session.
        let same = "start by=user/ann at=100 id=e gives=A:s";
        for (count, expected) in [(CANDIDATES_MAX, "A:s: -, ann, ann by chain"), (CANDIDATES_MAX + 1, "A:s: -, -, -")] {
            let mut lines = vec![same; count];
            lines.push("call by=A:s@100");
            assert_eq!(stories(&rows_of("role_sessions", &lines, AskedInterval::default())), [expected], "{count}");
        }
    }

    #[test]
    fn the_order_of_batches_changes_no_row() {
        let mut lines = vec![
            "start by=user/ann at=100 id=e1 gives=A:s gives_key=K",
            "start by=A:s@100 at=200 id=e2 key=K gives=B:t",
            "start by=user/bob at=100 id=e3 gives=A:s gives_key=L",
            "call by=B:t@200 at=210 kms=k1 from=192.0.2.9",
            "call by=B:t@200 at=220 kms=k2 denied",
            "call by=A:s@100 at=150 from=dynamodb.amazonaws.com table=t",
            "call by=SSO1:ann@100",
        ];
        for table in ["role_sessions", "session_persons"] {
            let expected = rows_of(table, &lines, AskedInterval::default());
            assert!(expected.num_rows() > 0);
            for _ in 0..lines.len() {
                lines.rotate_left(1);
                assert_eq!(rows_of(table, &lines, AskedInterval::default()), expected, "{table}");
                let mut back = lines.clone();
                back.reverse();
                assert_eq!(rows_of(table, &back, AskedInterval::default()), expected, "{table}");
            }
        }
    }

    #[test]
    fn use_is_counted_and_addresses_are_bounded() {
        let many: Vec<String> =
            (0..30).map(|last| format!("call by=A:s@100 at=300 kms=k from=192.0.2.{last}")).collect();
        let mut lines: Vec<&str> = many.iter().map(String::as_str).collect();
        lines.extend([
            "call by=A:s@100 at=200 kms=k2 table=t from=s3.amazonaws.com denied",
            "call by=A:s@100 at=100 kms=k3 from=2001:db8::1 source-side",
            // Not one of KMS.
            "start by=A:s@100 at=900 id=e gives=B:t",
        ]);
        let rows = rows_of("role_sessions", &lines, AskedInterval::default());
        let count = |column: &str| rows[column].as_primitive::<Int64Type>().value(0);
        assert_eq!(rows.num_rows(), 1);
        assert_eq!(["calls", "denied", "keys", "tables"].map(count), [31, 1, 3, 1]);
        let time = |column: &str| rows[column].as_primitive::<TimestampMicrosecondType>().value(0) / MICROS_PER_SECOND;
        assert_eq!(["first_seen", "last_seen"].map(time), [100, 300]);
        let addresses = as_list_array(&rows["source_ips"]).value(0);
        assert_eq!((addresses.len(), addresses.as_string::<i32>().value(0)), (20, "192.0.2.0"));
        let none = rows_of("role_sessions", &["call by=A:s@100 from=s3.amazonaws.com"], AskedInterval::default());
        assert!(none["source_ips"].is_null(0));
    }

    #[test]
    fn persons_stand_alone_for_joins() {
        let lines = [
            "start by=user/ann at=100 id=e1 gives=A:s",
            "call by=A:s@100",
            "call by=B:nobody@100",
            "start by=user/bob at=100 id=e2 gives=111122223333 gives_key=R",
            "call by=111122223333@101 key=R",
        ];
        let rows = rows_of("session_persons", &lines, AskedInterval::default());
        let texts = |column: &str| -> Vec<String> {
            rows[column].as_string::<i32>().iter().flatten().map(str::to_owned).collect()
        };
        assert_eq!(texts("principal_id"), ["111122223333", "A:s"]);
        assert_eq!(texts("person"), ["user/bob", "user/ann"].map(principal));
        assert_eq!(texts("person_source"), ["chain"; 2]);
    }

    #[test]
    fn a_call_alone_tells_on_whose_behalf_it_was_made() {
        let persons = |lines: &[&str], interval: AskedInterval| {
            let rows = rows_of("session_persons", lines, interval);
            let text = |column: &str, row: usize| {
                let texts = rows[column].as_string::<i32>();
                if texts.is_valid(row) {
                    texts.value(row).rsplit('/').next().unwrap().to_owned()
                } else {
                    "-".to_owned()
                }
            };
            let told = ["principal_id", "person", "person_source"];
            (0..rows.num_rows()).map(|row| told.map(|column| text(column, row)).join(" ")).collect::<Vec<_>>()
        };
        let (one, two) = ("call by=A:s@100 behalf=idc:d/one", "call by=A:s@100 behalf=idc:d/two");
        let to_a = "start by=user/ann at=100 id=e1 gives=A:s";
        let by_role = "start by=R:r@50 at=100 id=e1 gives=A:s";
        for (lines, expected) in [
            // A row without a person says that nobody else is behind the calls.
            (&[one][..], "A:s - -"),
            (&[one, two], "A:s - -"),
            (&[one, "call by=A:s@100"], "A:s - -"),
            (&[one, "call by=A:s@100 identity=ann"], "A:s ann source_identity"),
            (&[one, to_a], "A:s ann chain"),
            (&[one, by_role], "A:s - chain"),
            (&["call by=SSO1:ann@100 behalf=idc:d/one"], "SSO1:ann ann sso_session_name"),
        ] {
            assert_eq!(persons(lines, AskedInterval::default()), [expected], "{lines:?}");
        }
        // Another call of the caller tells nothing of the one that began the session.
        let by_one = ["start by=R:r@50 at=100 id=e1 gives=A:s", "call by=R:r@50 behalf=idc:d/one", "call by=A:s@100"];
        assert_eq!(persons(&by_one, AskedInterval::default()), ["R:r - -"]);
        // An earlier record may tell who was.
        let cut = interval(Some(300), EarlierHistory::NotRead);
        assert_eq!(persons(&[one], cut), Vec::<String>::new());
        assert_eq!(
            stories(&rows_of("role_sessions", &[one], AskedInterval::default())),
            ["A:s: -, -, one by on_behalf_of"]
        );
        assert_eq!(stories(&rows_of("role_sessions", &[one, two], AskedInterval::default())), ["A:s: -, -, -"]);
    }
}
