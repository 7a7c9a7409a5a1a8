//! Policies: read, compared, and told in words.
//! In: the text of a policy as a record has it. Out: its statements, the difference of two versions, what the later one
//! newly allows to whom, and if it names a caller and an operation.
//! Pure, and safe for text from anybody: sizes and steps are bounded, and what is not decided is said to be so.

mod action;
mod allowances;
mod condition;
mod diff;
mod document;
mod gains;
mod principal;
mod statement;
mod wildcard;

pub(crate) use action::ActionPattern;
pub(crate) use allowances::{NewAllowances, allows_kms};
pub(crate) use condition::PolicyCondition;
pub(crate) use diff::PolicyDiff;
pub(crate) use document::{LoggedPolicy, PolicyDocument, PolicyReading};
pub(crate) use principal::{NamedAs, PolicyCaller, PolicyPrincipal};
pub(crate) use statement::{PolicyElement, PolicyStatement, StatementBody, StatementEffect};
pub(crate) use wildcard::covers as pattern_covers;
