//! Method and limits: what was read, which rules ran, what logs cannot show, the names in full, and lines to sign.
//! In: inputs, rules and the run. Out: the last part of the page. Never leaves out a limit.

use maud::{Markup, html};

use super::facts::{Facts, InputKind, InputObject, Rule, SeenPlace};
use super::findings;
use super::names::shown;
use super::phrases::{counted, counted_as, grouped, joined, moment};
use super::pieces::{Ground, PageContext, cut, nothing, source, strength, table};
use crate::output::words;

/// Names and places that the page lists in full.
const NAMES_MAX: usize = 400;
const LIST_MAX: usize = 20;
const RULES_MAX: usize = 100;

pub(super) fn part(page: &PageContext<'_>) -> Markup {
    let facts = page.facts;
    html! {
        (how(page))
        h3 { "What logs cannot show" }
        ul.limits {
            @for limit in &facts.run.limits {
                li { (shown(limit)) }
            }
            @for said in facts.run.beside.iter().take(LIST_MAX) {
                li { (shown(said)) }
            }
        }
        h3 { "Input" }
        (inputs(page))
        h3 #rules { "Rules" }
        (rules(facts))
        ({
            cut(
                facts.rules.len().min(RULES_MAX),
                facts.rules.len() as u64,
                "rule",
                "rules",
            )
        })
        (source(page, "rules", Ground::Counted))
        h3 { "Accounts and Regions" }
        (places(page))
        h3 { "Names in full" }
        (legend(page))
    }
}

fn how(page: &PageContext<'_>) -> Markup {
    let run = &page.facts.run;
    html! {
        p {
            "This report was made by keytrail "
            (shown(&run.version))
            " from "
            @for (at, location) in run.locations.iter().take(LIST_MAX).enumerate() {
                @if at > 0 { ", " }
                code { (shown(location)) }
            }
            @if run.locations.len() > LIST_MAX { " and " (run.locations.len() - LIST_MAX) " more" }
            ". The same input and the same version give the same bytes:"
        }
        p {
            code.line { (shown(&run.command)) }
        }
        @if !run.about.is_empty() {
            p.note {
                "Narrowed to "
                (joined(&run.about.iter().take(LIST_MAX).map(|about| shown(about)).collect::<Vec<_>>()))
                @if run.about.len() > LIST_MAX { " and " (run.about.len() - LIST_MAX) " more" }
                ". A part that this does not narrow says so where it says which query it is from."
            }
        }
        p {
            "Every number names the query that gives it; add "
            code { "--from" }
            " with the location. Its strength is that of the hours "
            "it was counted in, here "
            b { (strength(page.facts)) }
            ":"
        }
        dl.terms {
            div {
                dt { "digest" }
                dd { "CloudTrail's digests name every log of each hour, and all of them are here." }
            }
            div {
                dt { "objects" }
                dd { "Logs are here; whether they are all of them, nothing tells. Numbers are lower bounds." }
            }
            div {
                dt { "mixed" }
                dd { "Some hours are whole by digest, of some there are logs, and of some perhaps neither." }
            }
            div {
                dt { "none" }
                dd { "Neither a log nor a digest tells of an hour that matters." }
            }
            div {
                dt { "inferred" }
                dd {
                    "Read from several records together, by rules that docs/views.md gives; not said by any one record."
                }
            }
        }
    }
}

fn inputs(page: &PageContext<'_>) -> Markup {
    let facts = page.facts;
    let hashed: u64 = facts.inputs.iter().map(|input| input.hashed).sum();
    html! {
        @if facts.inputs.is_empty() { (nothing(page, "inputs")) } @else {
            ({
                table(
                    "Input",
                    &[
                        "Kind",
                        "Status",
                        "Objects",
                        "Bytes",
                        "Records",
                        "Kept",
                        "Duplicate",
                        "Filtered",
                        "Quarantined",
                    ],
                    html! {
                        @for input in &facts.inputs { (one_kind(input)) }
                    },
                )
            })
            p.note {
                "Records are kept, duplicate, filtered or quarantined, and nothing else. "
                @if hashed == 0 { "No hash of an object is known; a store has them." } @else { (counted_as(hashed, "object has", "objects have")) " a known SHA-256." }
            }
        }
        (source(page, "inputs", Ground::Counted))
        (integrity(page))
        (objects(page))
    }
}

fn one_kind(input: &InputKind) -> Markup {
    html! {
        tr {
            th scope="row" { (shown(&input.kind)) }
            td { (shown(&input.status)) }
            td.num { (words::count(input.objects)) }
            td.num { (words::bytes(input.bytes)) }
            td.num { (words::count(input.records)) }
            td.num { (words::count(input.kept)) }
            td.num { (words::count(input.duplicate)) }
            td.num { (words::count(input.filtered)) }
            td.num { (words::count(input.quarantined)) }
        }
    }
}

fn integrity(page: &PageContext<'_>) -> Markup {
    let said: Vec<String> = page
        .facts
        .integrity
        .iter()
        .map(|(integrity, events)| {
            format!("{} {}", counted(*events, "event"), shown(integrity.as_deref().unwrap_or("of no known state")))
        })
        .collect();
    html! {
        @if !said.is_empty() {
            p.note { "Proof by digests: " (said.join(", ")) "." }
        }
    }
}

fn objects(page: &PageContext<'_>) -> Markup {
    let objects = &page.facts.objects;
    html! {
        @if !objects.rows.is_empty() {
            ({
                table(
                    "Objects",
                    &["Object", "Status", "Records", "Bytes"],
                    html! {
                        @for object in &objects.rows { (one_object(object)) }
                    },
                )
            })
            (cut(objects.rows.len(), objects.of_all, "object", "input_objects"))
            (source(page, "input_objects", Ground::Counted))
        }
    }
}

fn one_object(object: &InputObject) -> Markup {
    html! {
        tr {
            th.uri scope="row" {
                (shown(&object.uri))
                @if let Some(hash) = &object.sha256 {
                    span.place {
                        "SHA-256 "
                        code { (shown(hash)) }
                    }
                }
                @if let Some(error) = &object.error {
                    span.place.bad-text { (shown(error)) }
                }
            }
            td { (shown(&object.status)) }
            td.num { (words::count(object.records)) }
            td.num { (words::count(object.bytes)) }
        }
    }
}

fn rules(facts: &Facts) -> Markup {
    let found = |rule: &Rule| match rule.status.as_str() {
        "evaluated" => match (rule.open, rule.suppressed) {
            (0, 0) => "nothing found".to_owned(),
            (open, 0) => counted(open, "finding"),
            (open, suppressed) => format!("{}, {} suppressed", counted(open, "finding"), words::count(suppressed)),
        },
        "not_asked" => "not asked for".to_owned(),
        _ => "could not be evaluated".to_owned(),
    };
    table(
        "Rules",
        &["Rule", "Looks for", "Severity", "Result", "The logs lack"],
        html! {
            @for rule in facts.rules.iter().take(RULES_MAX) {
                tr {
                    th scope="row" {
                        code { (shown(&rule.rule)) }
                    }
                    td { (shown(&rule.title)) }
                    td { (findings::mark(&rule.severity)) }
                    td { (found(rule)) }
                    td { (shown(&lacks(rule))) }
                }
            }
        },
    )
}

/// The things that a rule needs and the logs lack.
fn lacks(rule: &Rule) -> String {
    let words = |need: &str| match need {
        "baseline" => "history to compare with".to_owned(),
        "cloudtrail" => "records of CloudTrail".to_owned(),
        "digests" => "digests".to_owned(),
        "dynamodb" => "records of DynamoDB".to_owned(),
        "events_all" => "what --events all keeps".to_owned(),
        "iam" => "records of IAM".to_owned(),
        "kms_reads" => "uses of keys".to_owned(),
        "kms_writes" => "changes of keys".to_owned(),
        "organizations" => "records of Organizations".to_owned(),
        "sts" => "records of STS".to_owned(),
        other => other.to_owned(),
    };
    let lacks = rule.lacks.as_deref().unwrap_or_default();
    lacks.split(", ").map(words).collect::<Vec<_>>().join(", ")
}

fn places(page: &PageContext<'_>) -> Markup {
    html! {
        ({
            table(
                "Accounts and Regions",
                &["Account", "Region", "Events", "First", "Last"],
                html! {
                    @for seen in page.facts.seen.iter().take(LIST_MAX * 2) { (one_place(seen)) }
                },
            )
        })
        ({
            cut(
                page.facts.seen.len().min(LIST_MAX * 2),
                page.facts.seen.len() as u64,
                "place",
                "seen",
            )
        })
        (source(page, "seen", Ground::Counted))
    }
}

fn one_place(seen: &SeenPlace) -> Markup {
    html! {
        tr {
            th scope="row" { (shown(seen.account.as_deref().unwrap_or("not told"))) }
            td { (shown(seen.region.as_deref().unwrap_or("not told"))) }
            td.num { (words::count(seen.events)) }
            td {
                @if let Some(at) = seen.first_event { (moment(at)) }
            }
            td {
                @if let Some(at) = seen.last_event { (moment(at)) }
            }
        }
    }
}

fn legend(page: &PageContext<'_>) -> Markup {
    let pairs = page.names.legend();
    html! {
        @if pairs.is_empty() {
            p.nothing { "No name was shortened." }
        }
        dl.names {
            @for (short, whole) in pairs.iter().take(NAMES_MAX) {
                div {
                    dt { (short) }
                    dd { (whole) }
                }
            }
        }
        @if pairs.len() > NAMES_MAX {
            p.cut {
                b { (NAMES_MAX) " of " (counted(pairs.len() as u64, "name")) "." }
                " The rest: "
                code { "keytrail query \"SELECT DISTINCT principal FROM events\"" }
            }
        }
    }
}

/// Lines for the hands of people.
pub(super) fn signatures(page: &PageContext<'_>) -> Markup {
    html! {
        footer {
            dl.sign {
                @for line in ["Prepared by", "Reviewed by", "Date"] {
                    div {
                        dt { (line) }
                        dd {}
                    }
                }
            }
            p.source {
                "Report "
                b { (grouped(&page.id)) }
                ": the first digits of the SHA-256 of the facts above, which is "
                code.id { (page.id) }
            }
        }
    }
}
