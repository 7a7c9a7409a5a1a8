//! The life of one key, table or principal, from everything that the logs tell of it.
//! In: a [`Dataset`] and a name. Out: rows in order of time; or the things that the name may mean, or those most like it.
//! Never chooses between several things of one name.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;

use super::AuditError;
use super::subjects::keys_of_alias;
use crate::dataset::{Dataset, ExpectedInput};
use crate::source::Scope;
use crate::sql::asked_names::{AskedName, NameKind};
use crate::sql::told_names::BorneNames;
use crate::sql::{sections, traces};
use crate::table::{Accounting, SeenInput};

/// The kinds of things that have a life.
const KINDS: [NameKind; 3] = [NameKind::Key, NameKind::Table, NameKind::Principal];

/// The life of one thing.
pub struct Trace {
    pub kind: NameKind,
    /// In full: an ARN, where the logs tell one.
    pub name: String,
    pub scope: Scope,
    pub accounting: Accounting,
    pub seen: SeenInput,
    /// Sentences on what is expected and not there.
    pub missing: Vec<String>,
    /// `at`, `until`, `what`, `who`, `detail`, `key_arn`, `table_name`, `event_id`, in order of time.
    pub timeline: RecordBatch,
}

/// The answer to a name.
pub enum TracedName {
    /// It names one thing.
    One(Box<Trace>),
    /// It names several: their kinds and whole names.
    Several(Vec<(NameKind, String)>),
    /// No record bears it.
    Nothing(Box<UnknownName>),
}

/// A name that no record bears, and the search for it.
pub struct UnknownName {
    pub name: String,
    /// The names most like it, each after its kind.
    pub nearest: Vec<String>,
    pub scope: Scope,
    pub accounting: Accounting,
    pub seen: SeenInput,
    /// Sentences on what is expected and not there.
    pub missing: Vec<String>,
}

impl Trace {
    /// Finds what the name means, then tells its life.
    ///
    /// # Errors
    /// Fails if the data cannot be read any further, or the answer needs more memory or disk than it may have.
    pub async fn of(data: &Dataset, given: &str, expected: &ExpectedInput) -> Result<TracedName, AuditError> {
        let statements = KINDS.iter().map(|kind| sections::names(*kind)).chain([sections::aliases()]);
        let statements: Vec<&str> = statements.map(|section| section.sql).collect();
        let prepared = data.engine.prepare(&statements).await?;
        let aliases = prepared.rows(KINDS.len()).await?;
        let (mut things, mut nearest) = (BTreeSet::new(), Vec::new());
        for (place, kind) in KINDS.into_iter().enumerate() {
            let (known, asked) = (BorneNames::of(kind, &prepared.rows(place).await?), AskedName::new(kind, given));
            let named = known.named(&asked);
            nearest.extend(known.nearest(&asked).into_iter().map(|near| format!("{kind} {near}")));
            let keys = if kind == NameKind::Key { keys_of_alias(&aliases, &asked) } else { BTreeSet::new() };
            // An alias stands for the keys that it was seen to name, and for itself only if none is known.
            things.extend(if keys.is_empty() { named } else { keys }.into_iter().map(|name| (kind.word(), name)));
        }
        let things = things.into_iter().filter_map(|(word, name)| Some((NameKind::read(word)?, name)));
        let things: Vec<(NameKind, String)> = things.collect();
        let accounting = prepared.accounting;
        let seen = data.engine.seen(Some(&accounting)).await?;
        let coverage = expected.coverage_in(&data.engine, &seen).await?;
        let (mut missing, scope) = (expected.missing(&seen, coverage.as_ref()), data.scope.clone());
        if expected.is_any() {
            missing.extend(expected.missing_logs_in(&data.engine).await?);
        }
        let (kind, name) = match things.as_slice() {
            [one] => one.clone(),
            [] => {
                let name = given.to_owned();
                let unknown = UnknownName { name, nearest, scope, accounting, seen, missing };
                return Ok(TracedName::Nothing(Box::new(unknown)));
            }
            _ => return Ok(TracedName::Several(things)),
        };
        let statement = traces::of(kind).expect("a test asks for the statement of every kind");
        let timeline = data.engine.query(statement.sql, &[("subject".to_owned(), name.clone())]).await?.rows().await?;
        Ok(TracedName::One(Box::new(Trace { kind, name, scope, accounting, seen, missing, timeline })))
    }

    /// The sentence of a trace without rows.
    pub fn none(&self) -> &'static str {
        traces::of(self.kind).map_or("", |statement| statement.none)
    }

    /// Its heading.
    pub fn title(&self) -> &'static str {
        traces::of(self.kind).map_or("", |statement| statement.title)
    }
}
