//! A part for each key in question: state, policy versions and what is new in each, grants, and what depends on it.
//! In: the keys with findings, chains or refusals. Out: a part of the page. Never evaluates a policy.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::facts::{Dependent, Grant, KeyInQuestion, KeyState, Listed, PolicyVersion};
use super::names::shown;
use super::phrases::{counted, counted_as, joined, moment, stamp};
use super::pieces::{Ground, PageContext, nothing, sources};
use crate::output::words;
use crate::sql::report_parts;

/// Statements and grants of a kind that stand with one version.
const LINES_MAX: usize = 8;
const OPERATIONS_MAX: usize = 6;
const ACTIONS_MAX: usize = 12;

pub(super) fn part(page: &PageContext<'_>) -> Markup {
    let keys = &page.facts.keys;
    html! {
        @if keys.rows.is_empty() { (nothing(page, "keys")) }
        @for key in &keys.rows { (one(page, key)) }
        @if keys.of_all > keys.rows.len() as u64 {
            p.cut {
                b { (keys.rows.len()) " of " (counted_as(keys.of_all, "key", "keys")) " in question." }
                " Each in full: "
                code { "keytrail trace KEY" }
            }
        }
        ({
            sources(
                page,
                &["keys", "key_policies", "key_states", "key_grants", "key_dependents"],
                Ground::Counted,
            )
        })
    }
}

fn one(page: &PageContext<'_>, key: &KeyInQuestion) -> Markup {
    html! {
        article.key {
            h3 { (page.names.short(&key.key)) }
            p.arn { (shown(&key.key)) }
            p { (why(key)) }
            dl.facts.small {
                div {
                    dt { "State" }
                    dd { (state(key)) }
                }
                div {
                    dt { "Kind" }
                    dd { (kind(key)) }
                }
                div {
                    dt { "Created" }
                    dd {
                        @match key.created_at {
                            Some(at) => (moment(at)),
                            None => "before these logs, or not in them",
                        }
                    }
                }
                div {
                    dt { "Rotation" }
                    dd { (rotation(key)) }
                }
                div {
                    dt { "Used" }
                    dd {
                        (counted(key.uses, "use"))
                        @if let Some(last) = key.last_use {
                            span.place { "last " (moment(last)) }
                        }
                    }
                }
                @if key.aliases.len() > 1 {
                    div {
                        dt { "Aliases" }
                        dd { ({
                            joined(
                                &key
                                    .aliases
                                    .iter()
                                    .take(LINES_MAX)
                                    .map(|alias| shown(alias))
                                    .collect::<Vec<_>>(),
                            )
                        }) }
                    }
                }
            }
            div.columns {
                (policies(page, &key.policies))
                (states(page, &key.states))
                (grants(page, &key.grants))
                (dependents(page, &key.dependents))
            }
            p.source {
                "All of it: "
                code { "keytrail trace " (argument(&key.key)) }
            }
        }
    }
}

/// The id of a key as a word of a command, or a place for it: nobody is handed a command that a record wrote.
fn argument(key: &str) -> &str {
    let id = key.rsplit_once(":key/").map(|(_, id)| id);
    id.filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !id.starts_with('-')).unwrap_or("KEY")
}

fn why(key: &KeyInQuestion) -> Markup {
    let parts: Vec<String> = [
        (key.findings, counted(key.findings, "finding")),
        (
            key.chains,
            counted_as(key.chains, "run of refusals that a success ended", "runs of refusals that a success ended"),
        ),
        (key.refused, counted(key.refused, "refusal")),
        (key.failed, counted(key.failed, "other failed call")),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(_, words)| words)
    .collect();
    html! {
        (joined(&parts))
        "."
    }
}

fn state(key: &KeyInQuestion) -> Markup {
    html! {
        @match &key.state {
            Some(state) => (shown(state)),
            None => "not told by these logs",
        }
        @if let Some(date) = &key.deletion_date {
            span.place { "to be deleted " (shown(date)) }
        }
    }
}

fn kind(key: &KeyInQuestion) -> Markup {
    html! {
        @match key.kind.as_deref() {
            Some("customer") => "customer key",
            Some("aws_managed") => "managed by AWS",
            _ => "not told",
        }
        @if key.is_multi_region { ", multi-Region" }
        @if let Some(origin) = key.origin.as_deref().filter(|origin| *origin != "AWS_KMS") {
            ", material "
            (shown(origin))
        }
    }
}

fn rotation(key: &KeyInQuestion) -> Markup {
    html! {
        @match key.rotation.as_deref() {
            Some("on") => "on",
            Some("off") => "off",
            _ => "not told",
        }
        @if let Some(at) = key.last_rotated {
            span.place { "last seen " (moment(at)) }
        }
    }
}

fn policies(page: &PageContext<'_>, versions: &Listed<PolicyVersion>) -> Markup {
    html! {
        @if !versions.rows.is_empty() {
            h4 { "Policy" (of(versions.rows.len(), versions.of_all, "version", "key_policies")) }
            ol.versions {
                @for version in &versions.rows {
                    li { (one_version(page, version)) }
                }
            }
        }
    }
}

fn one_version(page: &PageContext<'_>, version: &PolicyVersion) -> Markup {
    html! {
        p {
            b {
                @match version.version {
                    Some(number) => { "Version " (number) }
                    None => "A version",
                }
            }
            @match version.from {
                Some(from) => { " set " (moment(from)) }
                None => " of unknown age",
            }
            @if let Some(by) = &version.set_by { " by " (page.names.said(by)) }
            @if version.reading != "whole" { " (its text is " (shown(&version.reading)) " in the logs)" }
            @for note in version.notable.iter().take(LINES_MAX) {
                " "
                span.mark.fair { (shown(note)) }
            }
        }
        (compared(version))
        (newly_allowed(page, version))
    }
}

/// The statements of a version that the version before had not, or otherwise.
fn compared(version: &PolicyVersion) -> Markup {
    let lists = [
        ("−", "removed", "gone", &version.removed),
        ("+", "added", "new", &version.added),
        ("~", "changed", "changed", &version.changed),
    ];
    html! {
        @if lists.iter().all(|(.., list)| list.is_none()) {
            p.place { "The version before is not known, so nothing is compared." }
        } @else if lists.iter().all(|(.., list)| list.as_ref().is_none_or(Vec::is_empty)) {
            p.place { "It says what the version before said." }
        } @else {
            ul.diff {
                @for (sign, class, word, list) in lists {
                    @for statement in list.iter().flatten().take(LINES_MAX) {
                        li class=(class) {
                            span.sign aria-hidden="true" { (sign) }
                            span.vh { (word) " statement " }
                            code { (shown(statement)) }
                        }
                    }
                    @let all = list.as_ref().map(Vec::len).unwrap_or(0);
                    @if all > LINES_MAX {
                        li.place { (LINES_MAX) " of " (all) " " (word) }
                    }
                }
            }
        }
    }
}

fn newly_allowed(page: &PageContext<'_>, version: &PolicyVersion) -> Markup {
    let by_principal = allowed(version.newly_allows.as_deref().unwrap_or_default());
    let listed = |actions: &[&str]| actions.iter().take(ACTIONS_MAX).map(|action| shown(action)).collect::<Vec<_>>();
    html! {
        @if !by_principal.is_empty() {
            p.place { "Newly allowed:" }
            ul.allows {
                @for ((principal, condition), actions) in by_principal.iter().take(LINES_MAX) {
                    li {
                        (page.names.said(principal))
                        " "
                        (listed(actions).join(", "))
                        @if actions.len() > ACTIONS_MAX {
                            span.place { (ACTIONS_MAX) " of " (counted(actions.len() as u64, "action")) }
                        }
                        @if !condition.is_empty() {
                            span.place { "if " (shown(condition)) }
                        }
                    }
                }
                @if by_principal.len() > LINES_MAX {
                    li.place { (LINES_MAX) " of " (counted(by_principal.len() as u64, "principal")) }
                }
            }
        }
    }
}

/// The actions of each principal under each condition, from texts such as `PRINCIPAL ACTION [CONDITION]`.
fn allowed(texts: &[String]) -> BTreeMap<(&str, &str), Vec<&str>> {
    let mut actions: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for text in texts {
        let bracket = text.strip_suffix(']').and_then(|text| text.split_once(" ["));
        let (allowed, condition) = bracket.unwrap_or((text, ""));
        // An action has no blank, a principal may.
        let (principal, action) = allowed.rsplit_once(' ').unwrap_or((allowed, ""));
        actions.entry((principal, condition)).or_default().push(action);
    }
    actions
}

fn grants(page: &PageContext<'_>, grants: &Listed<Grant>) -> Markup {
    html! {
        @if !grants.rows.is_empty() {
            h4 { "Grants" (of(grants.rows.len(), grants.of_all, "grant", "key_grants")) }
            ul.plain {
                @for grant in &grants.rows {
                    li { (one_grant(page, grant)) }
                }
            }
        }
    }
}

fn one_grant(page: &PageContext<'_>, grant: &Grant) -> Markup {
    let operations: Vec<String> =
        grant.operations.iter().take(OPERATIONS_MAX).map(|operation| shown(operation)).collect();
    html! {
        @match &grant.grantee {
            Some(grantee) => (page.names.said(grantee)),
            None => "somebody who is not told",
        }
        @if !operations.is_empty() {
            " may "
            (operations.join(", "))
            @if grant.operations.len() > OPERATIONS_MAX { " and " (grant.operations.len() - OPERATIONS_MAX) " more" }
        }
        @if let Some(resource) = &grant.resource { " for " (shown(resource)) }
        span.place {
            @match grant.state.as_str() {
                "open" => "open",
                "ended" => "ended",
                _ => "start not seen",
            }
            @if let Some(at) = grant.created_at { "; from " (stamp(at)) }
            @if let Some(by) = &grant.created_by { " by " (page.names.short(by)) }
            @if let Some(at) = grant.ended_at {
                "; "
                @match &grant.end_kind {
                    Some(kind) => (shown(kind)),
                    None => "ended",
                }
                " "
                (stamp(at))
            }
            @if let Some(at) = grant.last_possible_use { "; last possible use " (stamp(at)) }
        }
    }
}

fn states(page: &PageContext<'_>, states: &Listed<KeyState>) -> Markup {
    html! {
        @if !states.rows.is_empty() {
            h4 { "States" (of(states.rows.len(), states.of_all, "period", "key_states")) }
            ul.plain {
                @for state in &states.rows {
                    li {
                        b { (shown(&state.state)) }
                        span.place {
                            @match state.from {
                                Some(from) => { "from " (stamp(from)) }
                                None => "from before these logs",
                            }
                            @if let Some(by) = &state.set_by { " by " (page.names.short(by)) }
                            @if let Some(to) = state.to { " to " (stamp(to)) }
                        }
                    }
                }
            }
        }
    }
}

fn dependents(page: &PageContext<'_>, dependents: &Listed<Dependent>) -> Markup {
    html! {
        @if !dependents.rows.is_empty() {
            h4 {
                "Who would notice its loss"
                ({
                    of(
                        dependents.rows.len(),
                        dependents.of_all,
                        "dependent",
                        "key_dependents",
                    )
                })
            }
            ul.plain {
                @for dependent in &dependents.rows {
                    li {
                        (page.names.said(&dependent.name))
                        span.place {
                            @if dependent.kind == "former_table" { "former table" } @else { (shown(&dependent.kind)) }
                            ", "
                            (counted(dependent.calls, "call"))
                            @if let Some(last) = dependent.last { ", last " (stamp(last)) }
                        }
                    }
                }
            }
        }
    }
}

/// ` · 4 of 12 versions, keytrail …`, where some are left out.
fn of(shown: usize, of_all: u64, noun: &str, part: &str) -> Markup {
    html! {
        @if of_all > shown as u64 {
            span.place {
                (words::count(shown as u64))
                " of "
                (counted(of_all, noun))
                "; the rest: "
                code { (report_parts::named(part).rest) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_no_word_of_a_record() {
        for (key, word) in [
            ("arn:aws:kms:us-east-1:111122223333:key/12ab-34cd", "12ab-34cd"),
            ("a; rm -rf", "KEY"),
            (":key/-x", "KEY"),
            (":key/$(x)", "KEY"),
        ] {
            assert_eq!(argument(key), word);
        }
    }

    #[test]
    fn actions_stand_with_their_principal_and_condition() {
        let texts =
            ["a kms:Decrypt", "a kms:Encrypt", "a kms:Sign [StringEquals aws:x]", "undecided"].map(str::to_owned);
        let grouped: Vec<_> = allowed(&texts).into_iter().collect();
        assert_eq!(grouped[0], (("a", ""), vec!["kms:Decrypt", "kms:Encrypt"]));
        assert_eq!(grouped[1].0, ("a", "StringEquals aws:x"));
        assert_eq!(grouped[2], (("undecided", ""), vec![""]));
    }
}
