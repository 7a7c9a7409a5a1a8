//! The audit as data: who used which key, which use came through DynamoDB, the denials, the changes, and the points
//! that need a look.
//! In: a [`Dataset`] and the subjects that answers are narrowed to. Out: an [`Audit`]: each section has the rows of one
//! query of `queries/`, and one reading of the data, with its accounts, serves them all.
//! Never knows a width, a color or a terminal, and never drops a row.

mod json;
mod limits;
mod subjects;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use crate::dataset::Dataset;
use crate::output::sentence::SentenceTemplate;
use crate::source::Scope;
use crate::sql::SqlError;
use crate::sql::sections::{self, AuditSection};
use crate::table::Accounting;

pub use limits::LIMITS;
pub use subjects::{AskedSubjects, Subject, Subjects};

/// The sentence of a section that has rows, but none about the named subjects.
const NONE_NARROWED: &str = "Nothing of it is about what was named; without that there are rows here.";

/// The reason that there is no audit.
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
    /// The sentence that a section without rows shows.
    pub none: &'static str,
    /// A row in words, for a screen that is too narrow for a table.
    pub sentence: Option<&'static SentenceTemplate>,
    pub rows: RecordBatch,
    /// The narrowing flags for which this section has no column.
    pub not_narrowed: Vec<&'static str>,
}

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
    /// The ARN of an alias and of a key that it was seen to name; none where nobody asked for it.
    pub aliases: Option<RecordBatch>,
    pub sections: Vec<Section>,
}

impl Audit {
    /// Reads the data once, then answers section by section.
    ///
    /// # Errors
    /// Fails if the data cannot be read any further, or a section needs more memory or disk than it may have.
    pub async fn of(data: &Dataset, asked: &AskedSubjects, naming: KeyNaming) -> Result<Audit, AuditError> {
        let has_aliases = naming == KeyNaming::ByAlias || !asked.keys.is_empty();
        let aliases = has_aliases.then(sections::aliases);
        let statements = sections::shown().chain(aliases).map(|section| section.sql.as_str());
        let prepared = data.engine.prepare(&statements.collect::<Vec<_>>()).await?;
        let aliases = match aliases {
            Some(_) => Some(prepared.rows(sections::shown().count()).await?),
            None => None,
        };
        let mut subjects = asked.resolved(aliases.as_ref());
        let mut answered = Vec::new();
        for (place, AuditSection { name, title, none, sentence, .. }) in sections::shown().enumerate() {
            let all = prepared.rows(place).await?;
            let (rows, not_narrowed) = subjects.narrow(&all)?;
            let none = if all.num_rows() > 0 { NONE_NARROWED } else { none };
            answered.push(Section { name, title, none, sentence: sentence.as_ref(), rows, not_narrowed });
        }
        let scope = data.scope.clone();
        Ok(Audit { scope, accounting: prepared.accounting, subjects, aliases, sections: answered })
    }
}
