//! The proof that the logs can give: hours by account and Region, as strips.
//! In: spans of coverage. Out: a part of the page, and its summary. Never calls an hour with a log alone complete.

use maud::{Markup, html};

use super::facts::{CoverageOfRegion, CoverageSpan};
use super::names::shown;
use super::phrases::{counted, stamp};
use super::pictures::{lane_name, scale, ticks};
use super::pieces::{Ground, PageContext, cut, nothing, source, table};
use super::svg::{self, Axis, Span, Words};
use crate::output::words;

/// One line for the first screen.
pub(super) fn summary(page: &PageContext<'_>) -> Markup {
    let hours = &page.facts.hours;
    html! {
        @if hours.all == 0 { "no hour is told of" } @else {
            (words::count(hours.by_digest + hours.by_objects))
            " of "
            (counted(hours.all, "hour"))
            " good"
            @if hours.bad > 0 {
                ", "
                span.bad-text { (words::count(hours.bad)) " bad" }
            }
            span.place { (words::count(hours.by_digest)) " whole by digest, " (words::count(hours.untold())) " untold" }
        }
    }
}

pub(super) fn part(page: &PageContext<'_>) -> Markup {
    let facts = page.facts;
    let ends = facts.spans.iter().map(|span| span.from).min().zip(facts.spans.iter().map(|span| span.to).max());
    let shown_lanes = facts.spans.last().map(|span| span.lane).unwrap_or(0);
    html! {
        @match ends {
            None => (nothing(page, "coverage")),
            Some((from, to)) => {
                @let axis = Axis::new(from, to, 1);
                (legend())
                div.lanes.coverage {
                    @for lane in 1..=shown_lanes { (one_lane(&facts.spans, axis, lane)) }
                    (scale(axis))
                }
                ({
                    cut(
                        usize::try_from(shown_lanes).unwrap_or(usize::MAX),
                        facts.lanes_in_all,
                        "account and Region",
                        "coverage",
                    )
                })
                (source(page, "coverage", Ground::Counted))
                (regions(page))
            }
        }
        (source(page, "coverage_by_region", Ground::Counted))
    }
}

fn legend() -> Markup {
    html! {
        ul.legend {
            li {
                span.swatch.digest {}
                " whole by digest"
            }
            li {
                span.swatch.objects {}
                " some logs: nobody can say that they are all"
            }
            li {
                span.swatch.untold {}
                " untold: neither a log nor a digest, or KMS may not be among what is logged"
            }
            li {
                span.swatch.bad {}
                " bad: a log is missing or unreadable, KMS was left out, or logging was off"
            }
        }
    }
}

fn one_lane(spans: &[CoverageSpan], axis: Axis, lane: u64) -> Markup {
    let of_lane: Vec<&CoverageSpan> = spans.iter().filter(|span| span.lane == lane).collect();
    let Some(first) = of_lane.first() else { return html! {} };
    let drawn: Vec<Span> = of_lane
        .iter()
        .map(|span| {
            let (class, height) = look(span);
            Span { from: span.from, to: span.to, class, height, says: says(span) }
        })
        .collect();
    let hours =
        |class: &str| -> u64 { of_lane.iter().filter(|span| look(span).0 == class).map(|span| span.hours).sum() };
    let description = format!(
        "{} whole by digest, {} with some logs, {} untold, {} bad.",
        counted(hours("digest"), "hour"),
        words::count(hours("objects")),
        words::count(hours("untold")),
        words::count(hours("bad"))
    );
    let (id, title) = (format!("lane-{lane}"), lane_name(first.account.as_deref(), first.region.as_deref()));
    let name = format!(
        "{}, {}",
        shown(first.account.as_deref().unwrap_or("no account told")),
        shown(first.region.as_deref().unwrap_or("no Region told"))
    );
    html! {
        div.lane {
            p.label { (title) }
            ({
                svg::spans(
                    Words {
                        id: &id,
                        title: &name,
                        description: &description,
                    },
                    axis,
                    &drawn,
                    &ticks(axis),
                )
            })
            @if first.of_lane > of_lane.len() as u64 {
                p.place { (of_lane.len()) " of " (counted(first.of_lane, "span")) }
            }
            @for span in of_lane.iter().filter(|span| look(span).0 == "bad").take(3) {
                p.place.bad-text { (says(span)) }
            }
        }
    }
}

/// The class of a span, and its height in hundredths.
fn look(span: &CoverageSpan) -> (&'static str, u8) {
    match (span.verdict.as_deref(), span.basis.as_str()) {
        (Some("bad"), _) => ("bad", 100),
        (Some("good"), "digest") => ("digest", 84),
        (Some("good"), _) => ("objects", 52),
        _ => ("untold", 18),
    }
}

fn says(span: &CoverageSpan) -> String {
    let why = match (look(span).0, span.kms_logged.as_str(), span.state.as_str()) {
        ("bad", "excluded", _) => "KMS was left out of the trail",
        ("bad", "stopped", _) => "logging was off",
        ("bad", _, "missing") => "a log that a digest names is missing",
        ("bad", ..) => "something could not be read",
        ("digest", _, "quiet") => "whole by digest, and quiet",
        ("digest", ..) => "whole by digest",
        ("objects", ..) => "some logs",
        (_, "unknown", "covered" | "quiet") => "logs or digests, and nothing tells whether KMS was logged",
        _ => "neither a log nor a digest",
    };
    format!("{} to {}, {}: {why}", stamp(span.from), stamp(span.to), counted(span.hours, "hour"))
}

fn regions(page: &PageContext<'_>) -> Markup {
    let regions = &page.facts.regions;
    html! {
        ({
            table(
                "Hours by account and Region",
                &[
                    "Account and Region",
                    "Hours",
                    "Whole by digest",
                    "Some logs",
                    "Untold",
                    "Bad",
                    "Faults",
                ],
                html! {
                    @for row in &regions.rows { (region(row)) }
                },
            )
        })
        ({
            cut(
                regions.rows.len(),
                regions.of_all,
                "account and Region",
                "coverage_by_region",
            )
        })
    }
}

fn region(row: &CoverageOfRegion) -> Markup {
    html! {
        tr {
            th scope="row" { (lane_name(row.account.as_deref(), row.region.as_deref())) }
            td.num { (words::count(row.hours.all)) }
            td.num { (words::count(row.hours.by_digest)) }
            td.num { (words::count(row.hours.by_objects)) }
            td.num { (words::count(row.hours.untold())) }
            td.num { (words::count(row.hours.bad)) }
            td.num { (words::count(row.faults)) }
        }
    }
}
