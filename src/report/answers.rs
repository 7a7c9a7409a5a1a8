//! Asks every question of the report in one reading of the data.
//! In: a [`Dataset`] and a [`ReportRequest`]. Out: a [`Report`]: the facts of its page, with their accounts.
//! Never asks twice: what decides completeness, and what names mean, is asked beside the parts.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::facts::{Facts, RunFacts};
use super::page;
use super::rows::FactRows;
use crate::audit::{AskedSubjects, AuditError, Subjects, limits_of};
use crate::dataset::{Dataset, ExpectedInput};
use crate::output::words::count;
use crate::source::Scope;
use crate::sql::asked_names::NameKind;
use crate::sql::cards::Severity;
use crate::sql::report_parts::{self, ReportPart};
use crate::sql::rules::FindingRule;
use crate::sql::sections::{self, AuditSection};
use crate::sql::told_names::BorneNames;
use crate::sql::{NarrowedStatement, NarrowedStatements, PreparedStatements, RowNarrowing};
use crate::table::{Accounting, Completeness, WithoutLogs};

/// The largest page. Every list and every value of it has a limit, which together stay below.
const BYTES_MAX: usize = 5 << 20;

/// The question that a report answers.
pub struct ReportRequest<'a> {
    pub subjects: &'a AskedSubjects,
    pub expected: &'a ExpectedInput,
    pub rules: Arc<[FindingRule]>,
    /// The locations, in words.
    pub locations: Vec<String>,
    /// The command that makes the report again.
    pub command: String,
}

/// All that a report says, and the accounts that it rests on.
pub struct Report {
    facts: Facts,
    pub accounting: Accounting,
    /// Sentences on what is expected and not there.
    pub missing: Vec<String>,
    /// Sentences on names that no record bears, or that several things do.
    pub names: Vec<String>,
    /// The gravest finding that is open.
    pub gravest: Option<Severity>,
}

/// A page that is larger than any can be.
#[derive(Debug, thiserror::Error)]
#[error("the page has {bytes} bytes, and its lists and values are bounded so that none has more than {BYTES_MAX}")]
pub struct PageTooLarge {
    bytes: usize,
}

impl Report {
    /// Reads the data once for all parts.
    ///
    /// # Errors
    /// Fails if the data cannot be read any further, or a part needs more memory or disk than it may have.
    pub async fn of(data: &Dataset, request: ReportRequest<'_>) -> Result<Report, AuditError> {
        let beside = QuestionsBeside::of(&request);
        let parts = report_parts::all();
        let part = |part: &'static ReportPart| NarrowedStatement { sql: part.sql, views: &part.narrows };
        let whole = |section: &'static AuditSection| NarrowedStatement { sql: section.sql, views: &[] };
        let statements: Vec<NarrowedStatement<'_>> =
            parts.iter().map(part).chain(beside.sections().map(whole)).collect();
        let narrowing = RowNarrowing::to(beside.kinds.clone());
        let narrowed = data.engine.prepare_narrowed(&statements, &narrowing).await?;
        let NarrowedStatements { prepared, not_narrowed } = narrowed;
        let beside = beside.answered(&prepared, parts.len(), request.subjects).await?;
        let subjects = Arc::clone(&beside.subjects);
        narrowing.decide(move |kind, cells| subjects.has(kind, cells));
        let mut rows = HashMap::new();
        for (place, part) in parts.iter().enumerate() {
            rows.insert(part.name, prepared.rows(place).await?);
        }
        let mut accounting = prepared.accounting.clone();
        let seen = data.engine.seen(Some(&accounting)).await?;
        accounting.seen = seen.clone();
        let ReportRequest { subjects: asked, expected, rules, locations, command } = request;
        let mut missing = expected.missing(&seen, beside.coverage.as_ref());
        missing.extend(beside.missing_logs.iter().flat_map(|logs| expected.missing_logs(logs)));
        let names = beside.subjects.sentences();
        let verdict = accounting.verdict(WithoutLogs::IsIncomplete);
        let open = parts.iter().zip(not_narrowed).filter(|(_, kinds)| !kinds.is_empty());
        let run = RunFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            locations,
            command,
            since: data.scope.since,
            until: data.scope.until,
            is_complete: verdict == Completeness::Complete && missing.is_empty(),
            has_no_log: verdict == Completeness::NoLog,
            beside: sentences(&accounting, &data.scope, &missing),
            about: asked.words(),
            names: names.clone(),
            not_narrowed: open.map(|(part, kinds)| (part.name.to_owned(), flags(&kinds))).collect(),
            unattributed: beside.unattributed,
            limits: limits_of(&accounting).into_iter().map(str::to_owned).collect(),
            needs: rules.iter().map(needs).collect(),
        };
        let facts = Facts::of(run, |name| &rows[name] as &dyn FactRows);
        Ok(Report { gravest: gravest(&facts), facts, accounting, missing, names })
    }

    /// The whole file.
    ///
    /// # Errors
    /// Fails if a list or a value has no limit, which is a fault of ours.
    pub fn to_html(&self) -> Result<String, PageTooLarge> {
        let page = page::html(&self.facts);
        if page.len() > BYTES_MAX { Err(PageTooLarge { bytes: page.len() }) } else { Ok(page) }
    }
}

/// The questions beside the parts, by what was asked for.
struct QuestionsBeside {
    /// The kinds of which anything was named.
    kinds: Vec<NameKind>,
    /// The keys of aliases, where a key was named.
    aliases: Option<&'static AuditSection>,
    /// All refusals, where a key or a table was named: some name neither.
    denials: Option<&'static AuditSection>,
    /// The hours and the logs of digests, where something is expected.
    expected: Option<[&'static AuditSection; 2]>,
}

/// Their answers.
struct AnswersBeside {
    subjects: Arc<Subjects>,
    unattributed: Option<u64>,
    coverage: Option<RecordBatch>,
    missing_logs: Option<RecordBatch>,
}

impl QuestionsBeside {
    fn of(request: &ReportRequest<'_>) -> QuestionsBeside {
        let kinds: Vec<NameKind> = request.subjects.kinds().collect();
        let names = |kind| kinds.contains(&kind);
        QuestionsBeside {
            aliases: names(NameKind::Key).then(sections::aliases),
            denials: (names(NameKind::Key) || names(NameKind::Table)).then(sections::denials),
            expected: request.expected.is_any().then(|| [sections::coverage(), sections::missing_logs()]),
            kinds,
        }
    }

    fn sections(&self) -> impl Iterator<Item = &'static AuditSection> {
        let names = self.kinds.iter().map(|kind| sections::names(*kind));
        names.chain(self.aliases).chain(self.denials).chain(self.expected.into_iter().flatten())
    }

    /// Takes their rows, which stand behind those of `first` other statements.
    async fn answered(
        self,
        prepared: &PreparedStatements<'_>,
        first: usize,
        asked: &AskedSubjects,
    ) -> Result<AnswersBeside, AuditError> {
        let mut rows = Vec::new();
        for place in 0..self.sections().count() {
            rows.push(prepared.rows(first + place).await?);
        }
        let mut rows = rows.into_iter();
        let of_kinds: Vec<RecordBatch> = rows.by_ref().take(self.kinds.len()).collect();
        let aliases = self.aliases.and_then(|_| rows.next());
        let mut subjects = Vec::new();
        for (kind, rows) in self.kinds.iter().zip(&of_kinds) {
            let aliases = aliases.as_ref().filter(|_| *kind == NameKind::Key);
            subjects.extend(asked.resolved(&BorneNames::of(*kind, rows), aliases));
        }
        let subjects = Arc::new(Subjects::new(subjects));
        let denials = self.denials.and_then(|_| rows.next());
        let unattributed = denials.map(|denials| not_among_rows(&subjects, &denials)).transpose()?.flatten();
        Ok(AnswersBeside { subjects, unattributed, coverage: rows.next(), missing_logs: rows.next() })
    }
}

/// The refusals that name no key and may be of what was asked for, without those that the page has by their table.
fn not_among_rows(subjects: &Subjects, denials: &RecordBatch) -> Result<Option<u64>, ArrowError> {
    let (shown, _) = subjects.narrow(denials)?;
    let (all, shown) = (subjects.unattributed(denials)?, subjects.unattributed(&shown)?);
    Ok(all.zip(shown).map(|(all, shown)| all - shown))
}

fn flags(kinds: &[NameKind]) -> Vec<String> {
    kinds.iter().map(|kind| format!("--{kind}")).collect()
}

fn needs(rule: &FindingRule) -> (String, Vec<String>) {
    (rule.name.to_owned(), rule.needs.iter().map(|need| (*need).to_owned()).collect())
}

fn gravest(facts: &Facts) -> Option<Severity> {
    Severity::ALL.into_iter().filter(|severity| facts.open(severity.name()) > 0).max()
}

/// The sentences on the input that a reader must know, beside its counts.
fn sentences(accounting: &Accounting, scope: &Scope, missing: &[String]) -> Vec<String> {
    let a = accounting;
    let has_interval = scope.since.is_some() || scope.until.is_some();
    let has_lists = !scope.accounts.is_empty() || !scope.regions.is_empty();
    let counted = [
        (a.lacking.time, has_interval, "rows have no time, and pass every interval."),
        (a.lacking.place, has_lists, "rows have no account or no Region, and pass every list."),
        (a.without_organization, true, "objects were left out, since their path names no organization."),
        (a.older_rows, true, "rows are in files of an earlier normalizer."),
        (a.without_hours, true, "objects are of hours that nobody kept: the store had them before its format did."),
        (a.accepted.objects, true, "objects have a fault that somebody has accepted, with --accept."),
    ];
    let counted = counted.into_iter().filter(|(number, applies, _)| *number > 0 && *applies);
    let mut said: Vec<String> = missing.iter().map(|missing| format!("Expected, and not there: {missing}.")).collect();
    said.extend(counted.map(|(number, _, words)| format!("{} {words}", count(number))));
    if a.changes_not_read {
        said.push(
            "Changes of IAM, STS and Organizations were not all read: no log of their Region is in scope.".to_owned(),
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::facts::SeverityCount;

    #[test]
    fn a_suppressed_finding_fails_nothing() {
        let count = |severity: &str, status: &str| SeverityCount {
            severity: severity.to_owned(),
            status: status.to_owned(),
            findings: 1,
        };
        for (severities, expected) in [
            (vec![], None),
            (vec![count("critical", "suppressed"), count("medium", "open")], Some(Severity::Medium)),
            (vec![count("low", "open"), count("high", "open")], Some(Severity::High)),
        ] {
            assert_eq!(gravest(&Facts { severities, ..Facts::default() }), expected);
        }
    }

    #[test]
    fn whatever_is_expected_is_said() {
        let said = sentences(&Accounting::none(), &Scope::default(), &["nothing of 1/x is here".to_owned()]);
        assert_eq!(said, ["Expected, and not there: nothing of 1/x is here."]);
        assert!(flags(&[NameKind::Key, NameKind::Table]) == ["--key", "--table"]);
    }
}
