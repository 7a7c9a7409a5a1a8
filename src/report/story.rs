//! Refused, then let in: each chain in words, with its three events.
//! In: chains. Out: a part of the page. Never calls a sequence a cause.

use maud::{Markup, html};

use super::facts::Chain;
use super::names::shown;
use super::phrases::{counted, duration, moment, reason_clause, times};
use super::pieces::{Ground, PageContext, cut, nothing, source};

pub(super) fn part(page: &PageContext<'_>) -> Markup {
    let chains = &page.facts.chains;
    html! {
        @if chains.rows.is_empty() { (nothing(page, "chains")) } @else {
            p.note {
                "Each is a sequence that the logs show, not a cause: refusals, the last change that could have cured "
                "their reason, and the first success after them."
            }
            @for chain in chains.rows.iter().filter(|chain| chain.change.is_some()) { (one(page, chain)) }
            (unexplained(page))
            (cut(chains.rows.len(), chains.of_all, "run", "chains"))
        }
        (source(page, "chains", Ground::Inferred))
    }
}

fn one(page: &PageContext<'_>, chain: &Chain) -> Markup {
    let names = &page.names;
    html! {
        article.chain {
            h3 {
                (names.short(&chain.principal))
                " at "
                @match (&chain.table, &chain.key) {
                    (Some(table), _) => { "the table " (shown(table)) }
                    (None, Some(key)) => (names.short(key)),
                    (None, None) => "a key that is not told",
                }
                " "
                (evidence_mark(&chain.evidence))
            }
            p.telling { (telling(page, chain)) }
            ol.steps {
                @if let Some(at) = chain.described_since {
                    li.seen {
                        (time(at))
                        p { "It could describe the table " (shown(chain.table.as_deref().unwrap_or_default())) "." }
                    }
                }
                li.refused {
                    (time(chain.last_denied))
                    p {
                        "The last refusal of "
                        code { (shown(&chain.operation)) }
                        ". "
                        (id(chain.denied_id.as_deref()))
                    }
                }
                @if let Some(change) = &chain.change {
                    li.changed {
                        (time(chain.changed_at))
                        p {
                            (by(page, chain))
                            " called "
                            code { (shown(change)) }
                            ". "
                            (id(chain.change_id.as_deref()))
                        }
                    }
                }
                li.used {
                    (time(chain.first_allowed))
                    p { "The first success. " (id(chain.allowed_id.as_deref())) }
                    @if chain.data_id.is_some() {
                        p { "The first data event on the table. " (id(chain.data_id.as_deref())) }
                    }
                }
            }
            (doubt(chain))
        }
    }
}

/// The runs of which no change that could be read explains the end.
fn unexplained(page: &PageContext<'_>) -> Markup {
    let rows: Vec<&Chain> = page.facts.chains.rows.iter().filter(|chain| chain.change.is_none()).collect();
    html! {
        @if !rows.is_empty() {
            h3 { "Without a change that explains it" }
            p.note {
                "The change may lie in another account or before these logs, in a policy whose text is not in them, or "
                "in a record that is not here."
            }
            ul.plain {
                @for chain in rows {
                    li {
                        p.telling { (telling(page, chain)) " " (evidence_mark(&chain.evidence)) }
                        p.place {
                            "Last refusal "
                            (time(chain.last_denied))
                            " "
                            (id(chain.denied_id.as_deref()))
                            "; first success "
                            (time(chain.first_allowed))
                            " "
                            (id(chain.allowed_id.as_deref()))
                        }
                    }
                }
            }
        }
    }
}

/// The sequence as sentences.
fn telling(page: &PageContext<'_>, chain: &Chain) -> Markup {
    let names = &page.names;
    let span =
        chain.first_denied.zip(chain.last_denied).map(|(first, last)| (last - first) / 1_000_000).filter(|s| *s > 0);
    html! {
        (names.said(&chain.principal))
        " was refused "
        b { (shown(&chain.operation)) }
        @if let Some(key) = &chain.key { " with " (names.said(key)) }
        " "
        (times(chain.denied))
        @if chain.denied_unnamed > 0 { ", and " (times(chain.denied_unnamed)) " without a key being named" }
        @if let Some(span) = span { ", over " (duration(span)) }
        ": "
        (reason_clause(chain.reason.as_deref(), chain.effect.as_deref()))
        ". "
        @if let (Some(change), Some(lag)) = (&chain.change, chain.lag_seconds) {
            @if lag < 0 { (duration(lag)) " before the last of them, " } @else {
                (duration(lag))
                " after the last of them, "
            }
            (by(page, chain))
            " called "
            b { (shown(change)) }
            @if let Some(self_words) = changed_by_self(chain) { ", " (self_words) }
            ". "
        }
        @if let (Some(denied), Some(allowed)) = (chain.last_denied, chain.first_allowed) {
            @match chain.changed_at {
                Some(changed) if changed >= denied => {
                    "The first success came "
                    (duration((allowed - changed) / 1_000_000))
                    " after that."
                }
                _ => { "The first success came " (duration((allowed - denied) / 1_000_000)) " after the last refusal." }
            }
        }
        @if let Some(person) = chain.subject_person.as_ref().filter(|person| **person != chain.principal) {
            " Behind it was "
            (names.said(person))
            "."
        }
    }
}

fn by(page: &PageContext<'_>, chain: &Chain) -> Markup {
    html! {
        @match &chain.changed_by {
            Some(by) => (page.names.said(by)),
            None => "somebody",
        }
        @if let Some(person) = {
            chain
                .changer_person
                .as_ref()
                .filter(|person| Some(*person) != chain.changed_by.as_ref())
        } { " (" (page.names.said(person)) " behind it)" }
    }
}

fn changed_by_self(chain: &Chain) -> Option<&'static str> {
    match chain.changed_by_self.as_deref()? {
        "principal" => Some("which is the refused principal itself"),
        "person" => Some("and one person is behind both"),
        _ => None,
    }
}

fn evidence_mark(evidence: &str) -> Markup {
    let class = match evidence {
        "shown" => "mark good",
        "possible" => "mark fair",
        _ => "mark plain",
    };
    html! {
        span class=(class) { (shown(evidence)) }
    }
}

/// Why the sequence is `shown` or only `possible`, and what else may have let the principal in.
fn doubt(chain: &Chain) -> Markup {
    html! {
        p.doubt {
            @match chain.evidence.as_str() {
                "shown" => { "Shown: the logs hold the sequence whole, and nothing in them speaks against it. " }
                "possible" => { "Possible and not shown: " (doubts(chain).join("; ")) ". " }
                other => { (shown(other)) ". " }
            }
            "The hours between rest on "
            b { (shown(&chain.basis)) }
            "."
            @if chain.other_changes > 0 {
                " "
                (counted(chain.other_changes, "other change"))
                " before the success could have cured it as well: column "
                code { "other_changes" }
                " of "
                code { "keytrail query who-got-in" }
                "."
            }
        }
    }
}

/// Each reason as a clause. The last is what is left where none of the others holds.
fn doubts(chain: &Chain) -> Vec<String> {
    let mut said = Vec::new();
    let named = chain.reason.as_deref();
    if matches!(named, None | Some("resource_policy_or_missing" | "unspecified" | "unparsed")) {
        said.push("AWS did not name the one reason of the refusal".to_owned());
    }
    if chain.lag_seconds.is_some_and(|lag| lag < 0) {
        said.push("the change came before the last refusal, which the time that changes need may explain".to_owned());
    }
    match chain.bad_hours {
        None => said.push("what could not be read may be of any hour between".to_owned()),
        Some(0) => {}
        Some(hours) => said.push(format!("the logs of {} between are not whole", counted(hours, "hour"))),
    }
    if chain.basis == "none" {
        said.push("neither a log nor a digest tells of an hour between".to_owned());
    }
    if chain.denied == 0 {
        said.push("no refusal names the key: a record of DynamoDB names the table".to_owned());
    }
    if said.is_empty() {
        said.push(
            "what allows it does not name the principal alone and without a condition, or the key policy that leaves \
             use to IAM is not in these logs"
                .to_owned(),
        );
    }
    said
}

fn time(at: impl Into<Option<i64>>) -> Markup {
    html! {
        span.when {
            @match at.into() {
                Some(at) => (moment(at)),
                None => "at no known time",
            }
        }
    }
}

fn id(id: Option<&str>) -> Markup {
    html! {
        @if let Some(id) = id {
            code.id { (shown(id)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_possible_says_why() {
        let possible =
            |chain: Chain| doubts(&Chain { denied: 1, bad_hours: Some(0), basis: "objects".into(), ..chain });
        let named = || Some("identity_policy".to_owned());
        assert!(possible(Chain { reason: None, ..Chain::default() })[0].starts_with("AWS did not name"));
        assert!(
            possible(Chain { reason: named(), lag_seconds: Some(-5), ..Chain::default() })[0]
                .starts_with("the change came")
        );
        assert!(possible(Chain { reason: named(), ..Chain::default() })[0].starts_with("what allows it"));
        let unread = Chain { denied: 1, reason: named(), basis: "objects".into(), ..Chain::default() };
        assert_eq!(doubts(&unread), ["what could not be read may be of any hour between"]);
    }
}
