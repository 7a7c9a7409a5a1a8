//! Refusals: by reason, then by principal, action and key.
//! In: refusals and their reasons. Out: a part of the page. Never says why AWS refused but in AWS's own terms.

use maud::{Markup, html};

use super::facts::{Refusal, RefusalReason};
use super::names::shown;
use super::phrases::{counted_as, interval, reason, stamp};
use super::pieces::{Ground, PageContext, cut, nothing, source, table};
use super::svg::{self, Words};
use crate::output::words;

pub(super) fn part(page: &PageContext<'_>) -> Markup {
    let facts = page.facts;
    html! {
        @if facts.reasons.is_empty() { (nothing(page, "refusals")) } @else {
            h3 { "By reason" }
            (by_reason(&facts.reasons))
            p.note {
                span.swatch.let-in {}
                " followed by a success of the same principal at the same action and key, "
                span.swatch.bad {}
                " by none that was seen. "
                (harmless(page))
            }
            (source(page, "refusal_reasons", Ground::Counted))
            h3 { "By principal, action and key" }
            (by_principal(page))
            ({
                cut(
                    facts.refusals.rows.len(),
                    facts.refusals.of_all,
                    "group",
                    "refusals",
                )
            })
        }
        @if page.facts.run.about.iter().any(|about| about.starts_with("table ")) {
            p.note {
                "Refusals seldom name a table: these may have been for it, as the key protected it then or DynamoDB's "
                "own record says."
            }
        }
        @if let Some(number) = page.facts.run.unattributed.filter(|number| *number > 0) {
            p.note {
                (counted_as(number, "more refusal names", "more refusals name"))
                " no key, and may be of what was asked for or not: a report without --key and --table has them."
            }
        }
        (source(page, "refusals", Ground::Counted))
    }
}

fn by_reason(reasons: &[RefusalReason]) -> Markup {
    let most = reasons.iter().map(|row| row.refused).max().unwrap_or(0);
    table(
        "Refusals by reason",
        &["Reason AWS named", "Refusals", "Let in later", "Principals", "Keys"],
        html! {
            @for (at, row) in reasons.iter().enumerate() {
                @let name = reason(row.reason.as_deref());
                @let says = format!(
                    "{} of {} refusals were followed by a success.",
                    row.let_in_later,
                    row.refused,
                );
                tr {
                    th scope="row" {
                        (shown(&name))
                        @if let Some(effect) = &row.effect {
                            span.place { (effect_words(effect)) }
                        }
                    }
                    td.bar-cell {
                        b { (words::count(row.refused)) }
                        ({
                            svg::shares(
                                Words {
                                    id: &format!("reason-{at}"),
                                    title: &name,
                                    description: &says,
                                },
                                &[
                                    ("let-in", row.let_in_later),
                                    ("refused", row.not_let_in),
                                    ("rest", most - row.refused),
                                ],
                            )
                        })
                    }
                    td.num { (words::count(row.let_in_later)) }
                    td.num { (words::count(row.principals)) }
                    td.num { (words::count(row.keys)) }
                }
            }
        },
    )
}

fn effect_words(effect: &str) -> String {
    match effect {
        "implicit" => "implicit: nothing allows it".to_owned(),
        "explicit" => "explicit: something denies it".to_owned(),
        other => shown(other),
    }
}

fn by_principal(page: &PageContext<'_>) -> Markup {
    table(
        "Refusals by principal",
        &["Who", "Action", "Key", "Reason", "Times", "When", "Then"],
        html! {
            @for row in &page.facts.refusals.rows { (one(page, row)) }
        },
    )
}

fn one(page: &PageContext<'_>, row: &Refusal) -> Markup {
    let names = &page.names;
    html! {
        tr {
            th scope="row" { (names.cell(&row.principal)) }
            td {
                code { (shown(&row.operation)) }
            }
            td {
                @match (&row.key, &row.asked_for) {
                    (Some(key), _) => (names.cell(key)),
                    (None, Some(asked)) => (names.cell(asked)),
                    (None, None) => span.place { "not told" },
                }
            }
            td {
                (reason(row.reason.as_deref()))
                @if let Some(effect) = &row.effect {
                    span.place { (shown(effect)) }
                }
            }
            td.num { (words::count(row.refused)) }
            td {
                @match (row.first, row.last) {
                    (Some(first), Some(last)) => (interval(first, last)),
                    _ => "",
                }
            }
            td {
                @match (&row.noise, row.let_in_since) {
                    (Some(noise), _) => { "harmless: " (service(noise)) " does so in every account" }
                    (None, Some(since)) => { "let in since " (stamp(since)) }
                    (None, None) => "no success seen",
                }
            }
        }
    }
}

/// The service of a known harmless refusal.
fn service(noise: &str) -> String {
    match noise {
        "access_analyzer" => "IAM Access Analyzer".to_owned(),
        "audit_manager" => "Audit Manager".to_owned(),
        "aws_config" => "AWS Config".to_owned(),
        "macie" => "Macie".to_owned(),
        "resource_explorer" => "Resource Explorer".to_owned(),
        "security_hub" => "Security Hub".to_owned(),
        "trusted_advisor" => "Trusted Advisor".to_owned(),
        other => shown(other),
    }
}

/// The number of refusals that are known to be harmless.
fn harmless(page: &PageContext<'_>) -> Markup {
    let number = page.facts.harmless_in_all;
    html! {
        @if number > 0 {
            ({
                counted_as(
                    number,
                    "refusal is that of a service that looks at every key, and harmless.",
                    "refusals are those of services that look at every key, and harmless.",
                )
            })
        }
    }
}
