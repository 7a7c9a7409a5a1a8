//! Pictures: use, refusals and changes over time, and who used which key and table.
//! In: moments and crossings. Out: parts of the page. Never shows a picture without its numbers in words.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::facts::{Crossing, Moment};
use super::names::shown;
use super::phrases::{counted, duration, stamp, tick};
use super::pieces::{Ground, PageContext, nothing, source};
use super::svg::{self, Axis, Bar, Words};
use crate::output::words;
use crate::sql::report_parts;

const MICROS: i64 = 1_000_000;
/// Lines between the ends of an axis.
const TICKS: i64 = 6;
/// More columns than these fill the width of a printed page.
const WIDE: usize = 9;

/// A lane of `timeline`.
struct TimeLane {
    name: &'static str,
    title: &'static str,
    /// One of its calls.
    noun: &'static str,
}

const LANES: [TimeLane; 4] = [
    TimeLane { name: "used", title: "Uses of keys", noun: "use" },
    TimeLane { name: "refused", title: "Refusals", noun: "refusal" },
    TimeLane { name: "failed", title: "Other failures", noun: "failure" },
    TimeLane { name: "changed", title: "Changes of keys and access", noun: "change" },
];

pub(super) fn timeline(page: &PageContext<'_>) -> Markup {
    let moments = &page.facts.moments;
    let step = moments.first().map(|moment| moment.seconds).unwrap_or(1);
    let first = moments.iter().map(|moment| moment.from).min();
    let last = moments.iter().map(|moment| moment.from).max();
    let ends = first.zip(last).map(|(first, last)| (first, last + step * MICROS));
    html! {
        @match ends {
            Some((from, to)) => {
                @let axis = Axis::new(from, to, step * MICROS);
                p.note {
                    "Each bar is "
                    (duration(step))
                    ", its height the square root of its number, beside the highest of its lane."
                }
                div.lanes {
                    @for lane in &LANES { (one_lane(lane, moments, axis, step)) }
                    (scale(axis))
                }
            }
            None => (nothing(page, "timeline")),
        }
        (source(page, "timeline", Ground::Counted))
    }
}

fn one_lane(lane: &TimeLane, moments: &[Moment], axis: Axis, step: i64) -> Markup {
    let of_lane: Vec<&Moment> = moments.iter().filter(|moment| moment.lane == lane.name).collect();
    let sum: u64 = of_lane.iter().map(|moment| moment.calls).sum();
    let most = of_lane.iter().max_by_key(|moment| (moment.calls, std::cmp::Reverse(moment.from)));
    let bar = |moment: &&Moment| Bar {
        at: moment.from,
        value: moment.calls,
        says: format!("{}: {}", stamp(moment.from), counted(moment.calls, lane.noun)),
    };
    let bars: Vec<Bar> = of_lane.iter().map(bar).collect();
    let says = match most {
        Some(most) => format!("At most {} in one bar, that from {}.", words::count(most.calls), stamp(most.from)),
        None => "None.".to_owned(),
    };
    let words = Words { id: &format!("lane-{}", lane.name), title: lane.title, description: &says };
    html! {
        div class={ "lane " (lane.name) } {
            p.label {
                (lane.title)
                " "
                b { (words::count(sum)) }
            }
            (svg::bars(words, (axis, step * MICROS), &bars, &ticks(axis)))
            p.place { (says) }
        }
    }
}

/// Points between the ends, at equal distances.
pub(super) fn ticks(axis: Axis) -> Vec<i64> {
    let (from, to) = axis.ends();
    (1..TICKS).map(|part| from + (to - from) / TICKS * part).collect()
}

/// The words below an axis.
pub(super) fn scale(axis: Axis) -> Markup {
    let (from, to) = axis.ends();
    html! {
        div.scale aria-hidden="true" {
            @for part in 0..TICKS {
                span { (tick(from + (to - from) / TICKS * part)) }
            }
        }
    }
}

pub(super) fn crossings(page: &PageContext<'_>) -> Markup {
    html! {
        p.note {
            "A number is the uses or accesses that succeeded; the darker, the more. "
            span.ref { "✕" }
            " stands before the number of refusals."
        }
        h3 { "Principals and keys" }
        (crossing(page, &page.facts.principals_keys, "principals_keys", "key"))
        (source(page, "principals_keys", Ground::Counted))
        h3 { "Principals and DynamoDB tables" }
        (crossing(page, &page.facts.principals_tables, "principals_tables", "table"))
        p.note {
            "A lower bound: DynamoDB keeps a table's key for about five minutes, so that one use of a key may stand "
            "for many accesses."
        }
        (source(page, "principals_tables", Ground::Inferred))
    }
}

/// A crossing by its places.
struct CrossingGrid<'c> {
    /// Names by place; of all others together there is none.
    rows: BTreeMap<u64, Option<&'c str>>,
    columns: BTreeMap<u64, Option<&'c str>>,
    /// The number that succeeded, and the number that was refused.
    cells: BTreeMap<(u64, u64), (u64, u64)>,
}

impl CrossingGrid<'_> {
    fn of(crossing: &Crossing) -> CrossingGrid<'_> {
        let mut grid = CrossingGrid { rows: BTreeMap::new(), columns: BTreeMap::new(), cells: BTreeMap::new() };
        for cell in &crossing.cells {
            grid.rows.insert(cell.row, cell.row_name.as_deref());
            grid.columns.insert(cell.column, cell.column_name.as_deref());
            grid.cells.insert((cell.row, cell.column), (cell.used, cell.refused));
        }
        grid
    }
}

fn crossing(page: &PageContext<'_>, crossing: &Crossing, part: &str, noun: &str) -> Markup {
    if crossing.cells.is_empty() {
        return nothing(page, part);
    }
    let grid = CrossingGrid::of(crossing);
    let rows = grid.rows.values().flatten().count() as u64;
    let columns = grid.columns.values().flatten().count() as u64;
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Principals and " (noun) "s" } {
            (grid_table(page, &grid, noun))
        }
        @if rows < crossing.rows_in_all || columns < crossing.columns_in_all {
            p.cut {
                b {
                    (words::count(rows))
                    " of "
                    (counted(crossing.rows_in_all, "principal"))
                    ", "
                    (words::count(columns))
                    " of "
                    (counted(crossing.columns_in_all, noun))
                    "."
                }
                " The rest: "
                code { (report_parts::named(part).rest) }
            }
        }
    }
}

fn grid_table(page: &PageContext<'_>, grid: &CrossingGrid<'_>, noun: &str) -> Markup {
    // All others together would make every single cell pale.
    let is_named = |place: &(u64, u64)| grid.rows[&place.0].is_some() && grid.columns[&place.1].is_some();
    let named = grid.cells.iter().filter(|(place, _)| is_named(place));
    let most = named.map(|(_, (used, _))| *used).max().unwrap_or(0);
    html! {
        table class=(if grid.columns.len() > WIDE { "crossing wide" } else { "crossing" }) {
            thead {
                tr {
                    th scope="col" {
                        span.vh { "Principal" }
                    }
                    @for name in grid.columns.values() {
                        th scope="col" {
                            span.turned {
                                @match name {
                                    Some(name) => (column_name(page, name)),
                                    None => { "all other " (noun) "s" }
                                }
                            }
                        }
                    }
                }
            }
            tbody {
                @for (row, name) in &grid.rows {
                    tr {
                        th scope="row" {
                            @match name {
                                Some(name) => (page.names.cell(name)),
                                None => "all other principals",
                            }
                        }
                        @for column in grid.columns.keys() {
                            @match grid.cells.get(&(*row, *column)) {
                                Some((used, refused)) => td.lit {
                                    (svg::heat(*used, *refused, most))
                                    (numbers(*used, *refused, most))
                                },
                                None => td {},
                            }
                        }
                    }
                }
            }
        }
    }
}

fn column_name(page: &PageContext<'_>, name: &str) -> String {
    // The part names by these words the calls of which no record tells the key.
    if name == "no key" { "key not told".to_owned() } else { page.names.short(name) }
}

fn numbers(used: u64, refused: u64, most: u64) -> Markup {
    // Words keep their contrast on every color.
    let class = match svg::level(used, most) {
        0..=2 => "n",
        3 => "n mid",
        _ => "n on-dark",
    };
    html! {
        span class=(class) {
            @if used > 0 { (short_count(used)) }
            @if refused > 0 {
                span.ref {
                    span.vh { " refused " }
                    span aria-hidden="true" { "✕" }
                    (short_count(refused))
                }
            }
        }
    }
}

/// `950`, `12.3k`, `4.5M`
fn short_count(number: u64) -> String {
    match number {
        0..10_000 => words::count(number),
        10_000..1_000_000 => format!("{:.1}k", number as f64 / 1e3),
        _ => format!("{:.1}M", number as f64 / 1e6),
    }
}

/// A name of a lane of coverage or of a part of it.
pub(super) fn lane_name(account: Option<&str>, region: Option<&str>) -> Markup {
    html! {
        @match account {
            Some(account) => (shown(account)),
            None => "no account told",
        }
        " · "
        @match region {
            Some(region) => (shown(region)),
            None => "no Region told",
        }
    }
}
