//! Controls: those that were seen at work, and for each that rules stand for its population, exceptions and verdict.
//! In: rules, what each needs, and the records that were there. Out: a part of the page.
//! Never calls a control good: at most, no exception was seen in what could be looked at.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::facts::{Facts, Rule};
use super::names::shown;
use super::phrases::{counted, counted_as, reason};
use super::pieces::{Ground, PageContext, source, table};
use crate::output::words;

const RULES_MAX: usize = 6;

pub(super) fn part(page: &PageContext<'_>) -> Markup {
    html! {
        h3 { "Seen at work" }
        (at_work(page))
        (source(page, "refusal_reasons", Ground::Counted))
        h3 { "Population, exceptions and verdict" }
        p.note {
            "A control is what a framework asks for and a rule stands for. Its population is the records that its "
            "rules look at, its exceptions are open findings above info. No exception in logs is not a proof that a "
            "control works: the hours of which nothing is told stand under “What the logs can prove”."
        }
        (verdicts(page))
        (source(page, "rules", Ground::Inferred))
        (source(page, "populations", Ground::Counted))
    }
}

/// Refusals that no success followed, by reason.
fn at_work(page: &PageContext<'_>) -> Markup {
    let stood: Vec<_> = page.facts.reasons.iter().filter(|row| row.not_let_in > 0).collect();
    let info: Vec<&Rule> = page.facts.rules.iter().filter(|rule| rule.open_info > 0).collect();
    html! {
        @if stood.is_empty() && info.is_empty() {
            p.nothing { "No refusal stood: none was seen, or each was followed by a success." }
        } @else {
            ul.plain {
                @for row in stood {
                    li {
                        b { (words::count(row.not_let_in)) " of " (counted(row.refused, "refusal")) }
                        " by "
                        (shown(&reason(row.reason.as_deref())))
                        @if let Some(effect) = &row.effect { " (" (shown(effect)) ")" }
                        " stood: no success of the same principal at the same action and key was seen after it."
                    }
                }
                @for rule in info {
                    li {
                        b { (counted(rule.open_info, "finding")) }
                        " for information: "
                        (shown(&rule.title))
                        ", rule "
                        code { (shown(&rule.rule)) }
                    }
                }
            }
        }
    }
}

/// One control, by the rules that stand for it.
#[derive(Default)]
struct Control<'f> {
    rules: Vec<&'f Rule>,
    needs: BTreeSet<&'f str>,
}

impl Control<'_> {
    fn evaluated(&self) -> usize {
        self.rules.iter().filter(|rule| rule.status == "evaluated").count()
    }

    fn exceptions(&self) -> u64 {
        self.rules.iter().map(|rule| rule.open - rule.open_info.min(rule.open)).sum()
    }

    fn suppressed(&self) -> u64 {
        self.rules.iter().map(|rule| rule.suppressed).sum()
    }

    /// The records of all that its rules need; a record that several need is one.
    fn population(&self, facts: &Facts) -> u64 {
        let needed = facts
            .populations
            .iter()
            .filter(|(need, _)| self.needs.contains("events_all") || self.needs.contains(need.as_str()));
        needed.map(|(_, events)| events).sum()
    }

    fn verdict(&self) -> (&'static str, &'static str) {
        match (self.exceptions(), self.evaluated()) {
            (1.., _) => ("mark bad", "exceptions"),
            (0, 0) => ("mark plain", "not evaluated"),
            (0, some) if some < self.rules.len() => ("mark fair", "none seen, in part"),
            (0, _) => ("mark good", "none seen"),
        }
    }
}

fn controls(facts: &Facts) -> BTreeMap<&str, Control<'_>> {
    let needs: BTreeMap<&str, &Vec<String>> =
        facts.run.needs.iter().map(|(rule, needs)| (rule.as_str(), needs)).collect();
    let mut controls: BTreeMap<&str, Control<'_>> = BTreeMap::new();
    for rule in &facts.rules {
        for name in &rule.controls {
            let control = controls.entry(name).or_default();
            control.rules.push(rule);
            if rule.status == "evaluated" {
                control.needs.extend(
                    needs.get(rule.rule.as_str()).into_iter().flat_map(|needs| needs.iter().map(String::as_str)),
                );
            }
        }
    }
    controls
}

fn verdicts(page: &PageContext<'_>) -> Markup {
    table(
        "Controls",
        &["Control", "Verdict", "Exceptions", "Records", "Rules"],
        html! {
            @for (name, control) in controls(page.facts) {
                @let (class, verdict) = control.verdict();
                tr {
                    th scope="row" { (shown(name)) }
                    td {
                        span class=(class) { (verdict) }
                    }
                    td.num {
                        (words::count(control.exceptions()))
                        @if control.suppressed() > 0 {
                            span.place { (words::count(control.suppressed())) " suppressed" }
                        }
                    }
                    td.num { (words::count(control.population(page.facts))) }
                    td { (rules(&control)) }
                }
            }
        },
    )
}

fn rules(control: &Control<'_>) -> Markup {
    let unread = control.rules.len() - control.evaluated();
    // Those with exceptions first: they are what a reader looks for.
    let mut rules = control.rules.clone();
    rules.sort_by_key(|rule| (rule.open == 0, rule.rule.as_str()));
    html! {
        @for (at, rule) in rules.iter().take(RULES_MAX).enumerate() {
            @if at > 0 { ", " }
            code { (shown(&rule.rule)) }
            @if rule.open > 0 { " (" (words::count(rule.open)) ")" }
        }
        @if rules.len() > RULES_MAX { ", " (RULES_MAX) " of " (rules.len()) }
        @if unread > 0 {
            span.place { (counted_as(unread as u64, "rule", "rules")) " not evaluated" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(status: &str, open: u64, open_info: u64) -> Rule {
        Rule {
            rule: "a".into(),
            title: String::new(),
            severity: "high".into(),
            set: "default".into(),
            controls: vec!["CIS 1".into()],
            status: status.into(),
            lacks: None,
            open,
            open_info,
            suppressed: 0,
        }
    }

    #[test]
    fn a_control_is_never_good_by_silence() {
        for (rules, verdict) in [
            (vec![rule("evaluated", 0, 0)], "none seen"),
            (vec![rule("evaluated", 0, 0), rule("not_evaluated", 0, 0)], "none seen, in part"),
            (vec![rule("not_evaluated", 0, 0)], "not evaluated"),
            (vec![rule("not_evaluated", 0, 0), rule("evaluated", 2, 1)], "exceptions"),
            (vec![rule("evaluated", 1, 1)], "none seen"),
        ] {
            let facts = Facts { rules, ..Facts::default() };
            assert_eq!(controls(&facts)["CIS 1"].verdict().1, verdict);
        }
    }
}
