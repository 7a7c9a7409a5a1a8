//! The short names of the page: a role, a table by its name, a key by its one alias or the head of its id.
//! In: every name that the facts have, and the aliases of keys. Out: a short name for each, and a legend of those that
//! were shown. Never gives two names one short name.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::facts::Facts;
use crate::output::visible::{cut_middle, visible};

/// Columns of the longest value that the page shows.
const VALUE_COLUMNS: usize = 240;
/// Bytes of HTML that it may take: a quotation mark takes six.
const VALUE_BYTES: usize = 320;
/// Ids of keys are cut where their groups end.
const KEY_HEADS: [usize; 5] = [8, 13, 18, 23, 36];

/// A value of a log as text of the page: characters that act are written out, and the middle of a long one is cut.
pub(super) fn shown(text: &str) -> String {
    let head: Cow<'_, str> = match text.char_indices().nth(VALUE_COLUMNS * 4) {
        // Enough for both ends: nobody reads the middle of a megabyte.
        Some((at, _)) => Cow::Owned(format!("{}…{}", &text[..at], last_characters(text, VALUE_COLUMNS))),
        None => Cow::Borrowed(text),
    };
    light(&cut_middle(&visible(&head), VALUE_COLUMNS))
}

/// The text without its middle, where it is too long for the page once it is escaped.
fn light(text: &str) -> String {
    let bytes = |c: char| match c {
        '"' => 6,
        '&' => 5,
        '<' | '>' => 4,
        c => c.len_utf8(),
    };
    if text.chars().map(bytes).sum::<usize>() <= VALUE_BYTES {
        return text.to_owned();
    }
    let within = |chars: &mut dyn Iterator<Item = char>| {
        let mut left = (VALUE_BYTES - '…'.len_utf8()) / 2;
        chars
            .map_while(|c| {
                left = left.checked_sub(bytes(c))?;
                Some(c)
            })
            .collect::<String>()
    };
    let tail: String = within(&mut text.chars().rev()).chars().rev().collect();
    format!("{}…{tail}", within(&mut text.chars()))
}

fn last_characters(text: &str, number: usize) -> &str {
    text.char_indices().nth_back(number).map_or(text, |(at, _)| &text[at..])
}

/// Short names by the whole ones.
pub(super) struct Names {
    given: BTreeMap<String, ShortName>,
    met: RefCell<BTreeSet<String>>,
}

#[derive(Clone)]
struct ShortName {
    text: String,
    /// The name without its place, where that stands beside it.
    bare: String,
    /// Account and Region, or the id of a key that has an alias.
    place: String,
}

impl ShortName {
    fn new(text: &str, place: &str) -> ShortName {
        ShortName { text: shown(text), bare: shown(text), place: shown(place) }
    }

    /// A name that is no name without its place.
    fn with_place(name: &str, place: &str) -> ShortName {
        ShortName { text: shown(&format!("{name} ({place})")), bare: shown(name), place: shown(place) }
    }
}

impl Names {
    pub(super) fn of(facts: &Facts) -> Names {
        let aliases = lone_aliases(&facts.aliases);
        let wholes: BTreeSet<&str> = all(facts).into_iter().collect();
        let mut given = BTreeMap::new();
        let mut left: Vec<&str> = wholes.into_iter().collect();
        for step in 0.. {
            let forms: Vec<(&str, ShortName, bool)> = left
                .iter()
                .map(|whole| {
                    let (name, is_last) = form(whole, &aliases, step);
                    (*whole, name, is_last)
                })
                .collect();
            let mut times: BTreeMap<String, usize> = BTreeMap::new();
            for (_, name, _) in &forms {
                *times.entry(name.text.clone()).or_default() += 1;
            }
            left.clear();
            for (whole, name, is_last) in forms {
                match is_last
                    || times[&name.text] == 1 && !given.values().any(|other: &ShortName| other.text == name.text)
                {
                    true => drop(given.insert(whole.to_owned(), name)),
                    false => left.push(whole),
                }
            }
            if left.is_empty() {
                break;
            }
        }
        Names { given, met: RefCell::default() }
    }

    /// The short name alone, for sentences.
    pub(super) fn short(&self, whole: &str) -> String {
        match self.given.get(whole) {
            Some(name) => {
                if name.text != whole {
                    self.met.borrow_mut().insert(whole.to_owned());
                }
                name.text.clone()
            }
            None => shown(whole),
        }
    }

    /// The short name in a sentence.
    pub(super) fn said(&self, whole: &str) -> Markup {
        html! {
            b.name { (self.short(whole)) }
        }
    }

    /// The name with its place below, for a cell of a table.
    pub(super) fn cell(&self, whole: &str) -> Markup {
        // A name that was shown stands in the legend.
        let short = self.short(whole);
        let (bare, place) = match self.given.get(whole) {
            Some(name) => (name.bare.as_str(), name.place.as_str()),
            None => (short.as_str(), ""),
        };
        html! {
            span.name { (bare) }
            @if !place.is_empty() {
                " "
                span.place { (place) }
            }
        }
    }

    /// The ARNs in a text of ours by their short names.
    pub(super) fn prose(&self, text: &str) -> String {
        let words = text.split(' ').map(|word| {
            let bare = word.trim_end_matches([',', ';', '.', ':', ')']);
            match self.given.contains_key(bare) {
                true => format!("{}{}", self.short(bare), &word[bare.len()..]),
                false => word.to_owned(),
            }
        });
        shown(&words.collect::<Vec<_>>().join(" "))
    }

    /// Short and whole names that were shown until now.
    pub(super) fn legend(&self) -> Vec<(String, String)> {
        let met = self.met.borrow();
        let mut pairs: Vec<(String, String)> =
            met.iter().map(|whole| (self.given[whole].text.clone(), shown(whole))).collect();
        pairs.sort();
        pairs
    }
}

/// Every name of the facts that may be shown short.
fn all(facts: &Facts) -> Vec<&str> {
    let mut names: Vec<Option<&String>> = Vec::new();
    for finding in &facts.findings.rows {
        names.extend([finding.principal.as_ref(), finding.key.as_ref()]);
    }
    for chain in &facts.chains.rows {
        let people = [chain.changed_by.as_ref(), chain.changer_person.as_ref(), chain.subject_person.as_ref()];
        names.extend([Some(&chain.principal), chain.key.as_ref()].into_iter().chain(people));
    }
    names.extend(facts.refused.rows.iter().map(|refused| Some(&refused.principal)));
    for refusal in &facts.refusals.rows {
        names.extend([Some(&refusal.principal), refusal.key.as_ref(), refusal.asked_for.as_ref()]);
    }
    for cell in facts.principals_keys.cells.iter().chain(&facts.principals_tables.cells) {
        names.extend([cell.row_name.as_ref(), cell.column_name.as_ref()]);
    }
    for key in &facts.keys.rows {
        names.push(Some(&key.key));
        names.extend(key.policies.rows.iter().map(|version| version.set_by.as_ref()));
        names.extend(key.grants.rows.iter().flat_map(|grant| [grant.grantee.as_ref(), grant.created_by.as_ref()]));
        names.extend(key.states.rows.iter().map(|state| state.set_by.as_ref()));
        names.extend(key.dependents.rows.iter().map(|dependent| Some(&dependent.name)));
    }
    names.extend(facts.people.rows.iter().flat_map(|person| [Some(&person.person), Some(&person.role)]));
    names.into_iter().flatten().filter(|name| name.starts_with("arn:")).map(String::as_str).collect()
}

/// The alias of each key that has one alias alone.
fn lone_aliases(pairs: &[(String, String)]) -> BTreeMap<&str, &str> {
    let mut aliases: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for (alias, key) in pairs {
        let name = alias.splitn(6, ':').nth(5).filter(|name| name.starts_with("alias/"));
        aliases.entry(key).and_modify(|other| *other = None).or_insert(name);
    }
    aliases.into_iter().filter_map(|(key, alias)| Some((key, alias?))).collect()
}

/// The name of a step, from short to whole, and true where no longer one follows.
fn form(whole: &str, aliases: &BTreeMap<&str, &str>, step: usize) -> (ShortName, bool) {
    let parts: Vec<&str> = whole.splitn(6, ':').collect();
    let [_, _, service, region, account, resource] = parts[..] else {
        return (ShortName::new(whole, ""), true);
    };
    let place = [region, account].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
    let name = match (service, resource.split_once('/'), step) {
        ("kms", Some(("key", id)), 0) => match aliases.get(whole) {
            Some(alias) => ShortName::new(alias, &format!("{} · {place}", head(id, 0))),
            None => ShortName::new(&head(id, 0), &place),
        },
        ("kms", Some(("key", id)), step) if step < KEY_HEADS.len() => ShortName::new(&head(id, step), &place),
        // Keys of one id in several Regions or accounts.
        ("kms", Some(("key", id)), step) if step == KEY_HEADS.len() => ShortName::with_place(&head(id, 0), &place),
        ("iam", Some(("role" | "user", path)), 0) => ShortName::new(last_part(path), account),
        ("iam", Some(("role" | "user", path)), 1) => ShortName::with_place(last_part(path), account),
        ("dynamodb", Some(("table", name)), 0) => ShortName::new(name, &place),
        ("dynamodb", Some(("table", name)), 1) => ShortName::with_place(name, account),
        ("dynamodb", Some(("table", name)), 2) => ShortName::with_place(name, &place),
        ("iam" | "dynamodb", _, 0) if !account.is_empty() => ShortName::new(resource, &place),
        ("iam" | "dynamodb", _, 1 | 2) if !account.is_empty() => ShortName::with_place(resource, account),
        _ => return (ShortName::new(whole, ""), true),
    };
    (name, false)
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn head(id: &str, step: usize) -> String {
    let prefix = if id.starts_with("mrk-") { 4 } else { 0 };
    match id.char_indices().nth(KEY_HEADS[step] + prefix) {
        Some((at, _)) => format!("key {}…", &id[..at]),
        None => format!("key {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::facts::{Listed, Person};

    fn names(wholes: &[&str], aliases: &[(&str, &str)]) -> Names {
        let person = |whole: &&str| Person {
            person: (*whole).to_owned(),
            source: String::new(),
            role: (*whole).to_owned(),
            sessions: 0,
            calls: 0,
            refused: 0,
            first: None,
            last: None,
        };
        let people = Listed { rows: wholes.iter().map(person).collect(), of_all: 0 };
        let aliases = aliases.iter().map(|(alias, key)| ((*alias).to_owned(), (*key).to_owned())).collect();
        Names::of(&Facts { people, aliases, ..Facts::default() })
    }

    #[test]
    fn names_are_as_long_as_they_must_be() {
        let (one, other) = ("arn:aws:iam::111122223333:role/App", "arn:aws:iam::444455556666:role/App");
        let table = "arn:aws:dynamodb:us-east-1:111122223333:table/orders";
        let given = names(&[one, other, table], &[]);
        let short = [one, other, table].map(|whole| given.short(whole));
        assert_eq!(short, ["App (111122223333)", "App (444455556666)", "orders"]);
        assert_eq!(given.prose(&format!("by {table}, twice")), "by orders, twice");
        assert_eq!(given.legend().len(), 3);
    }

    #[test]
    fn a_key_has_the_alias_that_names_it_alone() {
        let key = |head: &str| format!("arn:aws:kms:us-east-1:111122223333:key/{head}-12ab-34cd-56ef-1234567890ab");
        let (one, two, three) = (key("1234abcd"), key("2345bcde"), key("2345bcde").replace("34cd", "34ce"));
        let alias = "arn:aws:kms:us-east-1:111122223333:alias/orders";
        let given = names(&[&one, &two, &three], &[(alias, &one)]);
        let short = [&one, &two, &three].map(|whole| given.short(whole));
        assert_eq!(short, ["alias/orders", "key 2345bcde-12ab-34cd…", "key 2345bcde-12ab-34ce…"]);
        let replica = one.replace("us-east-1", "eu-west-1");
        assert_eq!(names(&[&one, &replica], &[]).short(&replica), "key 1234abcd… (eu-west-1 · 111122223333)");
    }

    #[test]
    fn a_long_value_is_cut_in_its_middle() {
        let long = shown(&"ab".repeat(1_000_000));
        assert!(long.starts_with("abab") && long.ends_with("abab") && long.chars().count() <= VALUE_COLUMNS);
        for heavy in ["\"", "&", "<", "e\u{301}\u{301}\u{301}"] {
            assert!(html! { (shown(&heavy.repeat(1_000))) }.into_string().len() <= VALUE_BYTES, "{heavy}");
        }
    }
}
