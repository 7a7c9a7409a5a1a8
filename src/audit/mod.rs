//! The audit as data: who used which key, which use came through DynamoDB, the denials, the changes, and the points
//! that need a look.
//! In: a [`Dataset`] and the subjects that answers are narrowed to. Out: an [`Audit`]: each section has the rows of one
//! query of `queries/`, and one reading of the data, with its accounts, serves them all.
//! Never knows a width, a color or a terminal, and never drops a row.

mod json;
mod limits;
mod subjects;
mod trace;

use std::borrow::Cow;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use crate::dataset::{Dataset, ExpectedInput};
use crate::output::sentence::SentenceTemplate;
use crate::output::words::count;
use crate::source::Scope;
use crate::sql::SqlError;
use crate::sql::asked_names::NameKind;
use crate::sql::sections::{self, AuditSection};
use crate::sql::told_names::BorneNames;
use crate::table::{Accounting, Completeness, SeenInput, WithoutLogs};

pub use json::seen as seen_json;
pub use limits::LIMITS;
pub use subjects::{AskedSubjects, Subject, Subjects};
pub use trace::{Trace, TracedName, UnknownName};

/// The sentence of every section where there was nothing to read.
const NOTHING_READ: &str = "Nothing was read: there is no log here, or none in this scope.";

/// The reason that there is no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Sql(#[from] SqlError),
    #[error("cannot put an answer together: {0}")]
    Rows(#[from] ArrowError),
}

/// One question of an audit, answered.
pub struct AnsweredSection {
    /// The member of the JSON that has its rows.
    pub name: &'static str,
    pub title: &'static str,
    /// The sentence that a section without rows shows.
    pub none: Cow<'static, str>,
    /// A row in words, for a screen that is too narrow for a table.
    pub sentence: Option<&'static SentenceTemplate>,
    pub rows: RecordBatch,
    /// The narrowing flags for which this section has no column.
    pub not_narrowed: Vec<&'static str>,
    /// A sentence on rows that may belong here and do not tell.
    pub beside: Option<String>,
}

/// The section of refusals.
const DENIALS: &str = "denials";

/// The names by which the reader of an audit knows a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyNaming {
    ByArn,
    /// Also by the aliases that were seen to name it, which takes a look at all records that name one.
    ByAlias,
}

/// Every section of an audit, with their scope and accounts.
pub struct Audit {
    pub scope: Scope,
    pub accounting: Accounting,
    pub subjects: Subjects,
    /// The accounts, Regions and times of what was read.
    pub seen: SeenInput,
    /// Sentences on what is expected and not there.
    pub missing: Vec<String>,
    /// Sentences on names that no record bears, or that several things do.
    pub names: Vec<String>,
    /// Refusals that name no key and may be of the key or table that was asked for; `None` where neither was.
    pub unattributed_refusals: Option<u64>,
    /// The spans of coverage.
    pub coverage: RecordBatch,
    /// The ARN of an alias and of a key that it was seen to name; none where nobody asked for it.
    pub aliases: Option<RecordBatch>,
    pub sections: Vec<AnsweredSection>,
}

impl Audit {
    /// Reads the data once, then answers section by section.
    ///
    /// # Errors
    /// Fails if the data cannot be read any further, or a section needs more memory or disk than it may have.
    pub async fn of(
        data: &Dataset,
        asked: &AskedSubjects,
        expected: &ExpectedInput,
        naming: KeyNaming,
    ) -> Result<Audit, AuditError> {
        let has_aliases = naming == KeyNaming::ByAlias || !asked.keys.is_empty();
        let aliases = has_aliases.then(sections::aliases);
        let kinds: Vec<NameKind> = asked.kinds().collect();
        let of_input = [sections::coverage()].into_iter().chain(expected.is_any().then(sections::missing_logs));
        let statements = sections::shown().chain(aliases).chain(kinds.iter().map(|kind| sections::names(*kind)));
        let statements = statements.chain(of_input);
        let statements: Vec<&str> = statements.map(|section| section.sql.as_str()).collect();
        let prepared = data.engine.prepare(&statements).await?;
        let mut place = sections::shown().count();
        let aliases = match aliases {
            Some(_) => Some(prepared.rows(place).await?),
            None => None,
        };
        place += usize::from(aliases.is_some());
        let mut subjects = Vec::new();
        for (number, &kind) in kinds.iter().enumerate() {
            let known = BorneNames::of(kind, &prepared.rows(place + number).await?);
            subjects.extend(asked.resolved(&known, aliases.as_ref().filter(|_| kind == NameKind::Key)));
        }
        let (subjects, mut answered, mut unattributed_refusals) = (Subjects::new(subjects), Vec::new(), None);
        let is_empty = prepared.accounting.verdict(WithoutLogs::IsIncomplete) == Completeness::NoLog;
        for (place, AuditSection { name, title, none, sentence, .. }) in sections::shown().enumerate() {
            let all = prepared.rows(place).await?;
            let (rows, not_narrowed) = subjects.narrow(&all)?;
            let none = match all.num_rows() {
                0 if is_empty => Cow::Borrowed(NOTHING_READ),
                0 => Cow::Borrowed(*none),
                without => Cow::Owned(no_rows(&subjects.asked(&not_narrowed), without)),
            };
            let unattributed = if *name == DENIALS { subjects.unattributed(&all)? } else { None };
            unattributed_refusals = unattributed_refusals.or(unattributed);
            // Where nothing narrows the section, they are among its rows.
            let shown = if unattributed.is_some() { subjects.unattributed(&rows)? } else { None };
            let beside = unattributed.zip(shown).map(|(all, shown)| all - shown);
            let beside = beside.filter(|refusals| *refusals > 0).map(unattributed_words);
            let sentence = sentence.as_ref();
            answered.push(AnsweredSection { name, title, none, sentence, rows, not_narrowed, beside });
        }
        let (names, mut accounting) = (subjects.sentences(), prepared.accounting.clone());
        let seen = data.engine.seen(Some(&accounting)).await?;
        accounting.seen = seen.clone();
        place += kinds.len();
        let (coverage, sections) = (prepared.rows(place).await?, answered);
        let (mut missing, scope) = (expected.missing(&seen, Some(&coverage)), data.scope.clone());
        if expected.is_any() {
            missing.extend(expected.missing_logs(&prepared.rows(place + 1).await?));
        }
        Ok(Audit {
            scope,
            accounting,
            subjects,
            seen,
            missing,
            names,
            unattributed_refusals,
            coverage,
            aliases,
            sections,
        })
    }
}

/// The sentence on refusals that may be of the key or table that was asked for.
fn unattributed_words(refusals: u64) -> String {
    let unit = if refusals == 1 { "refusal names" } else { "refusals name" };
    format!(
        "{} more {unit} no key, and may be of what was asked for or not: audit without --key and --table",
        count(refusals)
    )
}

/// The sentence of a section that has rows, but none about the named subjects.
fn no_rows(asked: &[&str], without: usize) -> String {
    format!("no rows for {} ({} without this filter)", asked.join(", "), count(without as u64))
}
