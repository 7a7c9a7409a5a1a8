//! Which policies of somebody bear on which key, so that a run looks at no other.
//! In: places with their documents, and actions. Out: for a key the places whose documents may mean it, in bundles that
//! name the same resources.
//! Never decides what a document allows: it leaves out those alone that cannot mean the use.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::history::{AccessHistory, AccessPlace, LoggedDocument};
use super::reach::means_one_of;
use super::timelines::{CureTimeline, WantedEffect};
use crate::compact::PooledText;
use crate::policy::{PolicyElement, PolicyPrincipal, StatementBody, pattern_covers};

/// Keys whose patterns are remembered at once.
const KEYS_MAX: usize = 4096;
/// Parts of indexes that are held at once, beside two for each change.
const PARTS_MIN: usize = 16 * 1024;

/// The number of a pattern of resources. Zero is that of statements that may mean any key.
type PatternNumber = u32;

/// Whoever has the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum UseSubject {
    /// A user, role or group.
    Owner(PooledText),
    /// What is attached to an account, or to units and roots that may hold any; all policies, or one.
    Organization { account: Option<PooledText>, policy: Option<PooledText> },
    /// A kind of policy of Organizations, which may be enabled.
    OrganizationKind(PooledText),
}

/// A place with the documents that decide what it means.
pub(super) struct UseUnit {
    pub place: AccessPlace,
    pub documents: Vec<LoggedDocument>,
    /// True if it counts for any use where no document is known.
    pub is_open: bool,
}

/// The effect that a cure has, and the kind of policy of Organizations that has it.
pub(super) type WantedCure = (WantedEffect, Option<&'static str>);

/// Uses for which the places of a bundle have the same cures.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct UseClass {
    pub wanted: WantedCure,
    pub via_service: Option<String>,
    pub caller_account: Option<String>,
    /// Only where a statement names principals.
    pub caller: Option<(String, Option<String>)>,
    matched: Vec<PatternNumber>,
}

/// Places whose documents name the same resources.
#[derive(Debug, Default)]
pub(super) struct UseBundle {
    pub places: Vec<AccessPlace>,
    /// True if a statement names principals other than everyone.
    pub names_callers: bool,
    known: RefCell<HashMap<UseClass, Rc<CureTimeline>>>,
}

/// A bundle that bears on a key, by its number, with those of its patterns that mean the key.
type KeyBundle = (usize, Vec<PatternNumber>);

/// Patterns with wildcards by a part that a key must hold.
type PatternsByPart = HashMap<Vec<u8>, Vec<(String, PatternNumber)>>;

/// The policies of one subject by the resources that they name for some actions.
#[derive(Debug, Default)]
pub(super) struct UseIndex {
    /// Patterns that are whole ARNs.
    exact: HashMap<String, PatternNumber>,
    /// All others by a part of them without wildcards, the rarest among them, by its length: a key holds the part.
    wild: BTreeMap<usize, PatternsByPart>,
    /// The bundles of each pattern.
    of_pattern: Vec<Vec<usize>>,
    pub bundles: Vec<UseBundle>,
    of_key: RefCell<HashMap<String, Rc<Vec<KeyBundle>>>>,
}

impl UseIndex {
    pub fn of(history: &AccessHistory, actions: &[String], units: Vec<UseUnit>) -> UseIndex {
        let mut index = UseIndex { of_pattern: vec![Vec::new()], ..UseIndex::default() };
        let mut numbers: HashMap<String, PatternNumber> = HashMap::new();
        let mut bundles: HashMap<(BTreeSet<PatternNumber>, bool), usize> = HashMap::new();
        for unit in units {
            #[cfg(test)]
            crate::testing::count_look();
            let mut patterns = BTreeSet::new();
            let mut names_callers = false;
            patterns.extend(unit.is_open.then_some(0));
            let documents: BTreeSet<LoggedDocument> = unit.documents.into_iter().collect();
            for document in documents.into_iter().filter_map(|document| history.documents.read(document)) {
                for body in document.statements.iter().map(|statement| &statement.body) {
                    if means_one_of(body, actions) {
                        index.add_patterns(body, &mut numbers, &mut patterns);
                        names_callers |= names_somebody(body);
                    }
                }
            }
            if patterns.is_empty() {
                continue;
            }
            let next = index.bundles.len();
            let number = *bundles.entry((patterns, names_callers)).or_insert_with_key(|(patterns, _)| {
                patterns.iter().for_each(|pattern| index.of_pattern[*pattern as usize].push(next));
                next
            });
            if number == next {
                index.bundles.push(UseBundle { names_callers, ..UseBundle::default() });
            }
            index.bundles[number].places.push(unit.place);
        }
        let (wild, exact): (Vec<_>, Vec<_>) = numbers.into_iter().partition(|(text, _)| text.contains(is_wildcard));
        index.exact = exact.into_iter().collect();
        index.add_wild(wild);
        index
    }

    fn add_patterns(
        &mut self,
        body: &StatementBody,
        numbers: &mut HashMap<String, PatternNumber>,
        patterns: &mut BTreeSet<PatternNumber>,
    ) {
        let texts = match &body.resources {
            PolicyElement::Absent => None,
            PolicyElement::Only(texts) | PolicyElement::AllBut(texts) => Some(texts),
        };
        patterns.extend(body.resources.only().is_none().then_some(0));
        for text in texts.into_iter().flatten() {
            let next = PatternNumber::try_from(self.of_pattern.len()).unwrap_or(PatternNumber::MAX);
            let number = *numbers.entry(text.clone()).or_insert(next);
            if number == next {
                self.of_pattern.push(Vec::new());
            }
            patterns.insert(number);
        }
    }

    fn add_wild(&mut self, patterns: Vec<(String, PatternNumber)>) {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for part in patterns.iter().flat_map(|(text, _)| plain_parts(text)) {
            *counts.entry(part.to_owned()).or_default() += 1;
        }
        for (text, number) in patterns {
            let rarest = plain_parts(&text).min_by_key(|part| (counts[*part], Reverse(part.len())));
            let part = rarest.unwrap_or_default().as_bytes().to_vec();
            self.wild.entry(part.len()).or_default().entry(part).or_default().push((text, number));
        }
    }

    /// The bundles that bear on a key.
    pub fn of_key(&self, key: &str) -> Rc<Vec<KeyBundle>> {
        if let Some(known) = self.of_key.borrow().get(key) {
            return Rc::clone(known);
        }
        let mut bundles: BTreeMap<usize, Vec<PatternNumber>> = BTreeMap::new();
        for pattern in self.patterns_of(key) {
            for bundle in &self.of_pattern[pattern as usize] {
                bundles.entry(*bundle).or_default().push(pattern);
            }
        }
        let bundles = Rc::new(bundles.into_iter().collect::<Vec<KeyBundle>>());
        let mut of_key = self.of_key.borrow_mut();
        if of_key.len() >= KEYS_MAX {
            of_key.clear();
        }
        of_key.insert(key.to_owned(), Rc::clone(&bundles));
        bundles
    }

    /// The patterns that mean a key, in their order.
    fn patterns_of(&self, key: &str) -> BTreeSet<PatternNumber> {
        let mut patterns: BTreeSet<PatternNumber> = [0].into_iter().chain(self.exact.get(key).copied()).collect();
        let letters = key.as_bytes();
        for (length, alike) in &self.wild {
            let parts = (0..=letters.len()).filter_map(|at| letters.get(at..at + length));
            let parts: BTreeSet<&[u8]> = parts.collect();
            for (text, number) in parts.into_iter().filter_map(|part| alike.get(part)).flatten() {
                #[cfg(test)]
                crate::testing::count_look();
                patterns.extend(pattern_covers(text, key).then_some(*number));
            }
        }
        patterns
    }

    /// Rough number of what is held.
    fn parts(&self) -> usize {
        1 + self.of_pattern.len() + self.bundles.iter().map(|bundle| bundle.places.len()).sum::<usize>()
    }
}

fn is_wildcard(sign: char) -> bool {
    matches!(sign, '*' | '?')
}

/// The parts of a pattern between its wildcards.
fn plain_parts(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split(is_wildcard).filter(|part| !part.is_empty())
}

/// True if a statement speaks of some principals and not of others.
fn names_somebody(body: &StatementBody) -> bool {
    match &body.principals {
        PolicyElement::Absent => false,
        PolicyElement::Only(principals) => !principals.contains(&PolicyPrincipal::Everyone) || principals.len() > 1,
        PolicyElement::AllBut(_) => true,
    }
}

/// An index is of a subject for some actions.
type IndexName = (UseSubject, Vec<String>);

/// The indexes that runs asked for lately.
#[derive(Debug, Default)]
pub(super) struct UseIndexes {
    known: RefCell<HashMap<IndexName, Rc<UseIndex>>>,
    parts: Cell<usize>,
}

impl UseIndexes {
    pub fn of(
        &self,
        history: &AccessHistory,
        of: (UseSubject, &[String]),
        units: impl FnOnce() -> Vec<UseUnit>,
    ) -> Rc<UseIndex> {
        let name = (of.0, of.1.to_vec());
        if let Some(known) = self.known.borrow().get(&name) {
            return Rc::clone(known);
        }
        let index = Rc::new(UseIndex::of(history, of.1, units()));
        self.make_room(history, index.parts());
        self.known.borrow_mut().insert(name, Rc::clone(&index));
        index
    }

    /// The timeline of a bundle for a class of uses, which is made if it is not known.
    pub fn timeline(
        &self,
        history: &AccessHistory,
        (bundle, class): (&UseBundle, UseClass),
        make: impl FnOnce() -> CureTimeline,
    ) -> Rc<CureTimeline> {
        if let Some(known) = bundle.known.borrow().get(&class) {
            return Rc::clone(known);
        }
        let timeline = Rc::new(make());
        self.make_room(history, timeline.parts());
        bundle.known.borrow_mut().insert(class, Rc::clone(&timeline));
        timeline
    }

    /// Forgets everything where it would be too much.
    fn make_room(&self, history: &AccessHistory, parts: usize) {
        if self.parts.get() + parts > PARTS_MIN + 2 * history.changes.len() {
            self.known.borrow_mut().clear();
            self.parts.set(0);
        }
        self.parts.set(self.parts.get() + parts);
    }
}

impl UseClass {
    pub fn new(wanted: WantedCure, matched: &[PatternNumber]) -> UseClass {
        let matched = matched.to_vec();
        UseClass { wanted, via_service: None, caller_account: None, caller: None, matched }
    }
}
