//! The audit as data: who used which key, which use came through DynamoDB, the denials, the changes, and the points
//! that need a look.
//! In: a [`Dataset`] and the subjects that answers are narrowed to. Out: an [`Audit`]: each section has the rows of one
//! query of `queries/`, and one reading of the data, with its accounts, serves them all.
//! Never knows a width, a color or a terminal, and never drops a row.

mod finding_row;
mod findings;
mod json;
mod limits;
mod ocsf;
mod sarif;
mod subjects;
mod trace;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use crate::dataset::{Dataset, ExpectedInput};
use crate::output::sentence::SentenceTemplate;
use crate::output::words::count;
use crate::source::Scope;
use crate::sql::SqlError;
use crate::sql::asked_names::NameKind;
use crate::sql::rules::FindingRule;
use crate::sql::sections::{self, AuditSection};
use crate::sql::told_names::BorneNames;
use crate::table::{Accounting, Completeness, SeenInput, WithoutLogs};

pub use findings::{FindingsTold, SuppressedRows};
pub use json::seen as seen_json;
pub use limits::{LIMITS, of as limits_of};
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
    /// Sentences on rows that may belong here, or that are not shown.
    pub beside: Vec<String>,
    /// The columns that people are shown; all of them where it is empty.
    shows: &'static [&'static str],
}

impl AnsweredSection {
    /// The rows as people see them.
    pub fn for_people(&self) -> RecordBatch {
        let schema = self.rows.schema();
        let places: Vec<usize> = self.shows.iter().filter_map(|name| schema.index_of(name).ok()).collect();
        match places.is_empty() {
            true => self.rows.clone(),
            false => self.rows.project(&places).expect("the places are of its own schema"),
        }
    }
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
    pub findings: FindingsTold,
    /// The rules whose findings these may be.
    rules: Arc<[FindingRule]>,
    /// The object with the first event of each finding, by fingerprint; empty where nobody asked.
    finding_objects: HashMap<String, String>,
    /// Where the data is, for findings that no event stands for.
    place: String,
}

/// What an audit is asked for.
pub struct AuditRequest<'a> {
    pub subjects: &'a AskedSubjects,
    pub expected: &'a ExpectedInput,
    pub naming: KeyNaming,
    pub suppressed: SuppressedRows,
    pub rules: Arc<[FindingRule]>,
    /// The location, if the object of each finding is asked for.
    pub located_in: Option<String>,
}

impl Audit {
    /// Reads the data once, then answers section by section.
    ///
    /// # Errors
    /// Fails if the data cannot be read any further, or a section needs more memory or disk than it may have.
    pub async fn of(data: &Dataset, request: AuditRequest<'_>) -> Result<Audit, AuditError> {
        let AuditRequest { subjects: asked, expected, naming, suppressed, rules, located_in } = request;
        let has_aliases = naming == KeyNaming::ByAlias || !asked.keys.is_empty();
        let aliases = has_aliases.then(sections::aliases);
        let kinds: Vec<NameKind> = asked.kinds().collect();
        let of_input = [sections::coverage(), sections::rules()].into_iter();
        let of_input = of_input.chain(located_in.is_some().then(sections::finding_objects));
        let of_input = of_input.chain(expected.is_any().then(sections::missing_logs));
        let statements = sections::shown().chain(aliases).chain(kinds.iter().map(|kind| sections::names(*kind)));
        let statements = statements.chain(of_input);
        let statements: Vec<&str> = statements.map(|section| section.sql).collect();
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
        let mut told = FindingsTold::default();
        for (place, AuditSection { name, title, none, sentence, shows, .. }) in sections::shown().enumerate() {
            let all = prepared.rows(place).await?;
            let (mut rows, not_narrowed) = subjects.narrow(&all)?;
            if *name == findings::FINDINGS {
                rows = told.take(&rows, suppressed)?;
            }
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
            let beside = beside.filter(|refusals| *refusals > 0).map(unattributed_words).into_iter().collect();
            let sentence = sentence.as_ref();
            answered.push(AnsweredSection { name, title, none, sentence, rows, not_narrowed, beside, shows });
        }
        let (names, mut accounting) = (subjects.sentences(), prepared.accounting.clone());
        let seen = data.engine.seen(Some(&accounting)).await?;
        accounting.seen = seen.clone();
        place += kinds.len();
        told.take_rules(&prepared.rows(place + 1).await?)?;
        if let Some(section) = answered.iter_mut().find(|section| section.name == findings::FINDINGS) {
            section.beside.extend(told.sentences());
        }
        let (coverage, sections) = (prepared.rows(place).await?, answered);
        place += 2;
        let finding_objects = match &located_in {
            Some(_) => objects_of_findings(&prepared.rows(place).await?)?,
            None => HashMap::new(),
        };
        place += usize::from(located_in.is_some());
        let (mut missing, scope) = (expected.missing(&seen, Some(&coverage)), data.scope.clone());
        if expected.is_any() {
            missing.extend(expected.missing_logs(&prepared.rows(place).await?));
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
            findings: told,
            rules,
            finding_objects,
            place: located_in.unwrap_or_default(),
        })
    }

    fn finding_rows(&self) -> &RecordBatch {
        let section = self.sections.iter().find(|section| section.name == findings::FINDINGS);
        &section.expect("a test asks for the section of findings").rows
    }

    fn object_of(&self, fingerprint: &str) -> Option<&str> {
        self.finding_objects.get(fingerprint).map(String::as_str)
    }
}

/// The URI of an object by the fingerprint of a finding.
fn objects_of_findings(rows: &RecordBatch) -> Result<HashMap<String, String>, ArrowError> {
    let (prints, uris) = (findings::texts(rows, "fingerprint")?, findings::texts(rows, "object_uri")?);
    let pairs = prints.iter().zip(uris.iter());
    Ok(pairs.filter_map(|(print, uri)| Some((print?.to_owned(), uri?.to_owned()))).collect())
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
