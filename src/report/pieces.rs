//! The pieces that every part of the page is made of: where numbers are from, what is left out, tables, ids.
//! In: all facts, and the name of a part. Out: pieces of the page. Never shows a value that [`shown`] did not make harmless.

use maud::{Markup, html};

use super::facts::Facts;
use super::names::{Names, shown};
use super::phrases::{counted, days};
use crate::output::words;
use crate::sql::report_parts;

/// Ids of events that stand beside one row.
const IDS_MAX: usize = 3;

/// Everything that a part of the page is made from.
pub(super) struct PageContext<'f> {
    pub facts: &'f Facts,
    pub names: Names,
    pub id: String,
}

/// The ground of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// Counted from what the logs hold.
    Counted,
    /// Read from several records together.
    Inferred,
}

/// `Key use, 10 to 14 March 2026`
pub(super) fn title(facts: &Facts) -> String {
    match facts.reach() {
        (Some(first), Some(last)) => format!("Key use, {}", days(first, last)),
        _ => "Key use".to_owned(),
    }
}

/// The query that a part's numbers are from, and how sure they are.
pub(super) fn source(page: &PageContext<'_>, part: &str, ground: Ground) -> Markup {
    let part = report_parts::named(part);
    html! {
        p.source {
            "From "
            code { "queries/report/" (part.name) ".sql" }
            "; every row: "
            code { (part.rest) }
            " · strength "
            b {
                (strength(page.facts))
                @if ground == Ground::Inferred { ", inferred" }
            }
            (not_narrowed(page, &[part.name]))
        }
    }
}

/// The same of several parts at once.
pub(super) fn sources(page: &PageContext<'_>, parts: &[&str], ground: Ground) -> Markup {
    html! {
        p.source {
            "From "
            code { "queries/report/" }
            ": "
            @for (at, part) in parts.iter().enumerate() {
                @if at > 0 { ", " }
                code { (report_parts::named(part).name) ".sql" }
            }
            " · strength "
            b {
                (strength(page.facts))
                @if ground == Ground::Inferred { ", inferred" }
            }
            (not_narrowed(page, parts))
        }
    }
}

/// The flags that do not narrow all of these parts.
fn not_narrowed(page: &PageContext<'_>, parts: &[&str]) -> Markup {
    let open = page.facts.run.not_narrowed.iter().filter(|(part, _)| parts.contains(&part.as_str()));
    let said: Vec<String> = open
        .map(|(part, flags)| if parts.len() > 1 { format!("{part} by {}", flags.join(", ")) } else { flags.join(", ") })
        .collect();
    html! {
        @if !said.is_empty() {
            " · "
            b { "not narrowed by " (said.join("; ")) }
        }
    }
}

/// The strength of all hours that were asked for, in a word.
pub(super) fn strength(facts: &Facts) -> &'static str {
    let hours = &facts.hours;
    match hours.all {
        0 => "none",
        all if all == hours.by_digest => "digest",
        _ if hours.by_digest + hours.by_objects == 0 => "none",
        _ if hours.by_digest == 0 => "objects",
        _ => "mixed",
    }
}

/// Says how many of all are shown, and how to see the rest; nothing where all are shown.
pub(super) fn cut(shown: usize, of_all: u64, noun: &str, part: &str) -> Markup {
    let rest = report_parts::named(part).rest;
    html! {
        @if of_all > shown as u64 {
            p.cut {
                b { (words::count(shown as u64)) " of " (counted(of_all, noun)) "." }
                " The rest: "
                code { (rest) }
            }
        }
    }
}

/// The sentence of a part without rows.
pub(super) fn nothing(page: &PageContext<'_>, part: &str) -> Markup {
    let part = report_parts::named(part);
    html! {
        p.nothing {
            (part.none)
            @if !page.facts.run.about.is_empty() && !part.narrows.is_empty() {
                " This is said only of what the report is narrowed to."
            }
        }
    }
}

/// The ids of events, of many the first.
pub(super) fn event_ids(ids: &[String], of_all: u64) -> Markup {
    let of_all = of_all.max(ids.len() as u64);
    html! {
        span.ids {
            @for id in ids.iter().take(IDS_MAX) {
                code.id { (shown(id)) }
                " "
            }
            @if of_all > IDS_MAX as u64 {
                span.place { (IDS_MAX) " of " (counted(of_all, "event")) }
            }
        }
    }
}

/// A table that is scrolled by itself where the screen is narrow.
pub(super) fn table(name: &str, head: &[&str], body: Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name) {
            table {
                thead {
                    tr {
                        @for title in head {
                            th scope="col" { (title) }
                        }
                    }
                }
                tbody { (body) }
            }
        }
    }
}
