//! The part "What needs a look": the findings, the gravest first.
//! In: findings and rules. Out: a part of the page, and the mark of a severity.
//! Never says "no finding" of a rule that could not be evaluated.

use maud::{Markup, html};

use super::facts::Finding;
use super::names::shown;
use super::phrases::{counted, counted_as, interval, stamp};
use super::pieces::{Ground, PageContext, cut, event_ids, source};
use crate::output::words;

pub(super) const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "info"];

pub(super) fn part(page: &PageContext<'_>) -> Markup {
    let facts = page.facts;
    let open: Vec<&Finding> = facts.findings.rows.iter().filter(|finding| finding.suppressed_by.is_none()).collect();
    html! {
        (tally(page))
        @for severity in SEVERITIES {
            @let of_severity: Vec<&&Finding> = open
                .iter()
                .filter(|finding| finding.severity == severity)
                .collect();
            @for finding in of_severity { (one(page, finding)) }
        }
        (cut(facts.findings.rows.len(), facts.findings.of_all, "finding", "findings"))
        (suppressed(page))
        (silent(page))
        (source(page, "findings", Ground::Inferred))
    }
}

/// `HIGH`: a word, and a shape, so that color is not all that tells.
pub(super) fn mark(severity: &str) -> Markup {
    let known = SEVERITIES.iter().find(|known| **known == severity);
    html! {
        span class={ "sev " (known.unwrap_or(&"info")) } { (shown(severity)) }
    }
}

/// The id of a finding in the page.
pub(super) fn anchor(finding: &Finding) -> String {
    let digits: String = finding.fingerprint.chars().take(16).filter(char::is_ascii_hexdigit).collect();
    format!("finding-{digits}")
}

/// The principal of a finding, its key and its table.
pub(super) fn subject(page: &PageContext<'_>, finding: &Finding) -> Markup {
    html! {
        @if let Some(principal) = &finding.principal { (page.names.short(principal)) }
        @if let Some(key) = &finding.key { " on " (page.names.short(key)) }
        @if let Some(table) = &finding.table { " of table " (shown(table)) }
    }
}

fn tally(page: &PageContext<'_>) -> Markup {
    html! {
        ul.tally {
            @for severity in SEVERITIES {
                li {
                    b { (words::count(page.facts.open(severity))) }
                    " "
                    (mark(severity))
                }
            }
        }
    }
}

fn one(page: &PageContext<'_>, finding: &Finding) -> Markup {
    html! {
        article.finding id=(anchor(finding)) {
            (mark(&finding.severity))
            div {
                h3 { (shown(&finding.title)) }
                p { (subject(page, finding)) ": " (page.names.prose(&finding.detail)) "." }
                p.place {
                    @match (finding.first, finding.last) {
                        (Some(first), Some(last)) => (interval(first, last)),
                        (Some(first), None) => (stamp(first)),
                        _ => "at no known time",
                    }
                    @if let Some(account) = &finding.account { " · " (shown(account)) }
                    @if let Some(region) = &finding.region { " · " (shown(region)) }
                    " · rule "
                    code { (shown(&finding.rule)) }
                }
                p.place { (event_ids(&finding.event_ids, finding.events)) }
            }
        }
    }
}

fn suppressed(page: &PageContext<'_>) -> Markup {
    let number = page.facts.suppressed();
    html! {
        @if number > 0 {
            p {
                b { (counted_as(number, "finding is", "findings are")) " suppressed" }
                ", and not shown above:"
            }
            ul.plain {
                @for finding in {
                    page.facts
                        .findings
                        .rows
                        .iter()
                        .filter(|finding| finding.suppressed_by.is_some())
                } {
                    li {
                        (mark(&finding.severity))
                        " "
                        (shown(&finding.title))
                        ", "
                        (subject(page, finding))
                        ": suppressed by "
                        (shown(finding.suppressed_by.as_deref().unwrap_or_default()))
                    }
                }
            }
        }
    }
}

/// The rules that say nothing.
fn silent(page: &PageContext<'_>) -> Markup {
    let with = |status: &str| page.facts.rules.iter().filter(|rule| rule.status == status).count() as u64;
    let (ran, not, unasked) = (with("evaluated"), with("not_evaluated"), with("not_asked"));
    html! {
        p.note {
            (counted_as(ran, "rule was", "rules were"))
            " evaluated. "
            @if not > 0 { (counted_as(not, "rule", "rules")) " could not be, so that their silence says nothing. " }
            @if unasked > 0 { (counted(unasked, "rule")) " of the baseline set did not run. " }
            a href="#rules" { "Every rule" }
        }
    }
}
