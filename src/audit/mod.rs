//! The audit as data: who used which key, which use came through DynamoDB, who was denied and what changed, and what
//! needs a look.
//! In: a [`Dataset`] and the subjects that answers are narrowed to. Out: an [`Audit`], whose sections are rows, each
//! the answer of one query of `queries/`, and whose accounts are of the one reading that all of them rest on.
//! Knows no width, no color and no terminal, and drops no row.

mod json;
mod limits;
mod subjects;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use crate::dataset::Dataset;
use crate::source::Scope;
use crate::sql::{SqlError, named};
use crate::table::Accounting;

pub use limits::LIMITS;
pub use subjects::{AskedSubjects, Subject, Subjects, key_head};

/// The sections in the order of the screen: name of the query, title, what an empty one says.
const SECTIONS: [(&str, &str, &str); 4] = [
    ("key_use", "Who used which key", "No use of a key was seen in what was read."),
    ("dynamodb_key_use", "Through DynamoDB", "No use of a key through DynamoDB was seen in what was read."),
    ("denials", "Who was denied, and what changed", "No refusal was seen in what was read."),
    ("findings", "Needs a look", "Nothing of what was read matches a finding."),
];

/// What an empty section says where others than those that were named are in it.
const NONE_NARROWED: &str = "Nothing of it is about what was named; without that there are rows here.";

/// The query that tells which keys an alias names.
const ALIASES: &str = "aliases";

/// Why there is no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Sql(#[from] SqlError),
    #[error("cannot put an answer together: {0}")]
    Rows(#[from] ArrowError),
}

/// One question of an audit, answered.
pub struct Section {
    /// The member of the JSON that has its rows.
    pub name: &'static str,
    pub title: &'static str,
    /// What people read where there are no rows.
    pub none: &'static str,
    pub rows: RecordBatch,
    /// The narrowing flags that this section has no column for.
    pub not_narrowed: Vec<&'static str>,
}

/// Every section of an audit, and what they rest on.
pub struct Audit {
    pub scope: Scope,
    pub accounting: Accounting,
    pub subjects: Subjects,
    pub sections: Vec<Section>,
}

impl Audit {
    /// Reads the data once, then answers section by section.
    ///
    /// # Errors
    /// Where the data cannot be read any further, or a section needs more memory or disk than it may have.
    pub async fn of(data: &Dataset, asked: &AskedSubjects) -> Result<Audit, AuditError> {
        let has_keys = !asked.keys.is_empty();
        let names = SECTIONS.iter().map(|(name, _, _)| *name).chain(has_keys.then_some(ALIASES));
        let prepared = data.engine.prepare(&names.map(named::audit_section).collect::<Vec<_>>()).await?;
        let aliases = if has_keys { Some(prepared.rows(SECTIONS.len()).await?) } else { None };
        let mut subjects = asked.resolved(aliases.as_ref());
        let mut sections = Vec::with_capacity(SECTIONS.len());
        for (place, (name, title, none)) in SECTIONS.into_iter().enumerate() {
            let all = prepared.rows(place).await?;
            let (rows, not_narrowed) = subjects.narrow(&all)?;
            let none = if all.num_rows() > 0 { NONE_NARROWED } else { none };
            sections.push(Section { name, title, none, rows, not_narrowed });
        }
        Ok(Audit { scope: data.scope.clone(), accounting: prepared.accounting, subjects, sections })
    }
}
