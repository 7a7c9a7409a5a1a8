//! The first screen: period, accounts, complete or not, what needs a look, who was refused.
//! In: all facts. Out: the head of the page. Never says "nothing" of what could not be looked at.

use maud::{Markup, html};

use super::facts::{Facts, Finding};
use super::names::shown;
use super::phrases::{counted, counted_as, joined, moment, times};
use super::pieces::{Ground, PageContext, nothing, sources, title};
use super::{coverage, findings};
use crate::output::{times as clock, words};

/// Findings and principals that the first screen has room for.
const FIRST_MAX: usize = 5;
const PLACES_MAX: usize = 3;
/// Names that the report is narrowed to, and sentences on them.
const NAMES_MAX: usize = 5;

pub(super) fn part(page: &PageContext<'_>) -> Markup {
    let facts = page.facts;
    html! {
        header {
            p.kicker {
                "keytrail report"
                span.id { (page.id[..16]) }
            }
            h1 { (title(facts)) }
            p.lede {
                @for sentence in lede(facts) { (sentence) " " }
            }
            @for said in facts.run.names.iter().take(NAMES_MAX) {
                p.note { (shown(said)) "." }
            }
            dl.facts {
                div.wide {
                    dt { "Period" }
                    dd { (period(facts)) }
                }
                div {
                    dt { "Accounts" }
                    dd { (places(facts, Place::Account)) }
                }
                div {
                    dt { "Regions" }
                    dd { (places(facts, Place::Region)) }
                }
                div.wide {
                    dt { "Input" }
                    dd { (input(facts)) }
                }
                div.wide {
                    dt { "Coverage" }
                    dd { (coverage::summary(page)) }
                }
            }
            div.pair {
                div {
                    h2 {
                        a href="#look" { "Needs a look" }
                    }
                    (first_findings(page))
                }
                div {
                    h2 {
                        a href="#refusals" { "Who was refused" }
                    }
                    (first_refused(page))
                }
            }
            ({
                sources(
                    page,
                    &[
                        "seen",
                        "inputs",
                        "coverage_by_region",
                        "severities",
                        "findings",
                        "refused_principals",
                    ],
                    Ground::Counted,
                )
            })
        }
    }
}

/// The page in three sentences.
fn lede(facts: &Facts) -> Vec<String> {
    let mut said: Vec<String> = about(facts).into_iter().collect();
    if facts.run.has_no_log {
        said.push("Nothing was read: there is no log here, or none in this scope.".to_owned());
        return said;
    }
    let counts = ["critical", "high", "medium", "low"].map(|severity| (severity, facts.open(severity)));
    let open: u64 = counts.iter().map(|(_, count)| count).sum();
    let graded: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(severity, n)| format!("{} {severity}", words::count(*n))).collect();
    let silent = facts.rules.iter().filter(|rule| rule.status == "not_evaluated").count() as u64;
    said.push(match (open, silent) {
        (0, 0) => "No rule found anything that needs a look.".to_owned(),
        (0, _) => "No rule that could be evaluated found anything that needs a look.".to_owned(),
        _ => format!("{} a look: {}.", counted_as(open, "finding needs", "findings need"), joined(&graded)),
    });
    if silent > 0 {
        said.push(format!("{} not be evaluated with these logs.", counted_as(silent, "rule could", "rules could")));
    }
    said.push(match facts.refused.of_all {
        0 => "No refusal was seen.".to_owned(),
        1 => format!("1 principal was refused, {}.", times(facts.refusals_in_all)),
        principals => format!(
            "{} refused, {} in all.",
            counted_as(principals, "principal was", "principals were"),
            times(facts.refusals_in_all)
        ),
    });
    match facts.chains.of_all {
        0 => {}
        1 => said.push("One run of refusals ended in a success.".to_owned()),
        runs => said.push(format!("{} of refusals ended in a success.", counted(runs, "run"))),
    }
    said
}

/// Says what the page is narrowed to, so that nobody takes it for all.
fn about(facts: &Facts) -> Option<String> {
    let names = &facts.run.about;
    let mut listed: Vec<String> = names.iter().take(NAMES_MAX).map(|name| shown(name)).collect();
    if names.len() > NAMES_MAX {
        listed.push(format!("{} more", names.len() - NAMES_MAX));
    }
    (!listed.is_empty()).then(|| format!("Only about {}.", joined(&listed)))
}

fn period(facts: &Facts) -> Markup {
    let run = &facts.run;
    html! {
        @match facts.reach() {
            (Some(first), Some(last)) => { (moment(first)) " to " (moment(last)) " UTC" }
            _ => "no event was kept",
        }
        @if run.since.is_some() || run.until.is_some() {
            span.place {
                "asked for: "
                @match run.since {
                    Some(since) => { "from " (clock::rfc3339(since)) }
                    None => "from the first event",
                }
                @match run.until {
                    Some(until) => { " until before " (clock::rfc3339(until)) }
                    None => " on",
                }
            }
        } @else {
            span.place { "all that the locations hold" }
        }
    }
}

#[derive(Clone, Copy)]
enum Place {
    Account,
    Region,
}

fn places(facts: &Facts, place: Place) -> Markup {
    let mut names: Vec<&str> = facts
        .seen
        .iter()
        .filter_map(|seen| match place {
            Place::Account => seen.account.as_deref(),
            Place::Region => seen.region.as_deref(),
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    html! {
        @if names.is_empty() { "none told" } @else if names.len() > PLACES_MAX {
            (names.len())
            span.place {
                ({
                    names
                        .iter()
                        .take(PLACES_MAX)
                        .map(|name| shown(name))
                        .collect::<Vec<_>>()
                        .join(", ")
                })
                " and "
                (names.len() - PLACES_MAX)
                " more"
            }
        } @else {
            @for (at, name) in names.iter().enumerate() {
                @if at > 0 { ", " }
                span.nowrap { (shown(name)) }
            }
        }
    }
}

fn input(facts: &Facts) -> Markup {
    let records: u64 = facts.inputs.iter().map(|input| input.records).sum();
    html! {
        @if facts.run.is_complete {
            span.mark.good { "complete" }
        } @else {
            span.mark.bad { "incomplete" }
        }
        " "
        (counted(facts.objects_in_all(), "object"))
        ", "
        (counted(records, "record"))
        @if !facts.run.is_complete {
            span.place { "some of it could not be read, or is not there: see “Method and limits”" }
        }
    }
}

fn first_findings(page: &PageContext<'_>) -> Markup {
    let facts = page.facts;
    let open: Vec<&Finding> = facts.findings.rows.iter().filter(|finding| finding.suppressed_by.is_none()).collect();
    let of_all: u64 = findings::SEVERITIES.iter().map(|severity| facts.open(severity)).sum();
    html! {
        @if open.is_empty() {
            (nothing(page, "findings"))
        } @else {
            ol.brief {
                @for finding in open.iter().take(FIRST_MAX) {
                    li {
                        (findings::mark(&finding.severity))
                        div {
                            p {
                                a href={ "#" (findings::anchor(finding)) } { (shown(&finding.title)) }
                            }
                            p.place { (findings::subject(page, finding)) }
                        }
                    }
                }
            }
            @if of_all > FIRST_MAX as u64 {
                p.cut {
                    b { (FIRST_MAX.min(open.len())) " of " (words::count(of_all)) "." }
                    " "
                    a href="#look" { "All of them" }
                }
            }
        }
    }
}

fn first_refused(page: &PageContext<'_>) -> Markup {
    let refused = &page.facts.refused;
    html! {
        @if refused.rows.is_empty() {
            (nothing(page, "refusals"))
        } @else {
            ol.brief {
                @for row in refused.rows.iter().take(FIRST_MAX) {
                    li {
                        span.count { (words::count(row.refused)) }
                        div {
                            p { (page.names.said(&row.principal)) }
                            p.place {
                                @match row.keys {
                                    0 => "at a key that is not told",
                                    keys => { "at " (counted(keys, "key")) }
                                }
                                @if row.not_harmless == 0 { "; known to be harmless" } @else if row.let_in_later > 0 {
                                    "; let in later"
                                } @else if row.explicit > 0 { "; explicitly denied" } @else { "; no success seen" }
                            }
                        }
                    }
                }
            }
            @if refused.of_all > FIRST_MAX as u64 {
                p.cut {
                    b { (FIRST_MAX) " of " (counted(refused.of_all, "principal")) "." }
                    " "
                    a href="#refusals" { "All refusals" }
                }
            }
        }
    }
}
