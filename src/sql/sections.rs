//! The sections of an audit: files of `queries/sections`.
//! In: their cards. Out: titles, SQL and the sentence of an empty section, in the order of the screen.
//! Never runs the SQL of a section.

use std::sync::LazyLock;

use super::asked_names::NameKind;
use super::cards::{self, Card, CardError, CardKind};
use crate::output::sentence::SentenceTemplate;

/// One section of an audit.
#[derive(Debug, Clone)]
pub struct AuditSection {
    pub name: &'static str,
    pub title: &'static str,
    /// The sentence that a section without rows shows.
    pub none: &'static str,
    /// A row in words; none where the section is no part of the screen.
    pub sentence: Option<SentenceTemplate>,
    /// The columns that people are shown; all of them where it is empty.
    pub shows: Vec<&'static str>,
    pub sql: &'static str,
    place: Option<u32>,
}

impl AuditSection {
    fn of(card: &Card) -> Result<AuditSection, CardError> {
        let place = card.values("place", "a number", |value| value.parse().ok())?;
        let sentence = card.values("sentence", "words with {columns} and [options]", SentenceTemplate::parse)?;
        Ok(AuditSection {
            name: card.name,
            title: card.title(),
            none: card.text("none").unwrap_or_default(),
            sentence: sentence.into_iter().next(),
            shows: card.text("shows").map(|list| list.split(", ").collect()).unwrap_or_default(),
            sql: card.sql,
            place: place.first().copied(),
        })
    }
}

fn read_all() -> Result<Vec<AuditSection>, CardError> {
    let mut sections = cards::each(CardKind::Section, AuditSection::of)?;
    sections.sort_by_key(|section| section.place);
    Ok(sections)
}

/// All sections; those without a place come first.
fn all() -> &'static [AuditSection] {
    static ALL: LazyLock<Vec<AuditSection>> =
        LazyLock::new(|| read_all().expect("a test reads the card of every section and rule that is compiled in"));
    &ALL
}

/// The sections of the screen, in its order.
pub fn shown() -> impl Iterator<Item = &'static AuditSection> {
    all().iter().filter(|section| section.place.is_some())
}

/// The section of refusals.
///
/// # Panics
/// If its file is gone.
pub fn denials() -> &'static AuditSection {
    all().iter().find(|section| section.name == "denials").expect("a test asks for the refusals")
}

/// The section that maps aliases to the keys they were seen to name: columns `alias_arn` and `key_arn`.
///
/// # Panics
/// If its file is gone.
pub fn aliases() -> &'static AuditSection {
    all().iter().find(|section| section.name == "aliases").expect("a test asks for the aliases")
}

/// The section that tells the accounts, Regions and times of the events.
///
/// # Panics
/// If its file is gone.
pub fn seen() -> &'static AuditSection {
    all().iter().find(|section| section.name == "seen").expect("a test asks for what was seen")
}

/// The section that has the spans of coverage.
///
/// # Panics
/// If its file is gone.
pub fn coverage() -> &'static AuditSection {
    all().iter().find(|section| section.name == "coverage").expect("a test asks for the coverage")
}

/// The section that tells the object of each finding: `fingerprint`, `object_uri`.
///
/// # Panics
/// If its file is gone.
pub fn finding_objects() -> &'static AuditSection {
    all().iter().find(|section| section.name == "finding_objects").expect("a test asks for the objects of findings")
}

/// The section that says of each rule whether it could be evaluated.
///
/// # Panics
/// If its file is gone.
pub fn rules() -> &'static AuditSection {
    all().iter().find(|section| section.name == "rules").expect("a test asks for the rules")
}

/// The section that names the logs of digests which are not whole: `account_id`, `region`, `log`, `presence`.
///
/// # Panics
/// If its file is gone.
pub fn missing_logs() -> &'static AuditSection {
    all().iter().find(|section| section.name == "missing_logs").expect("a test asks for the logs that are missing")
}

/// The section that lists the names of a kind which records bear: its columns are the cells of the kind.
///
/// # Panics
/// If its file is gone.
pub fn names(kind: NameKind) -> &'static AuditSection {
    let name = format!("{kind}_names");
    all().iter().find(|section| section.name == name).expect("a test asks for the names of every kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_stand_in_the_order_of_their_places() {
        let sections = read_all().unwrap_or_else(|error| panic!("{error}"));
        let shown: Vec<&AuditSection> = sections.iter().filter(|section| section.place.is_some()).collect();
        let names: Vec<&str> = shown.iter().map(|section| section.name).collect();
        assert_eq!(
            names,
            ["key_use", "dynamodb_key_use", "denials", "access_chains", "coverage_by_region", "findings"]
        );
        for pair in shown.windows(2) {
            assert!(pair[0].place < pair[1].place, "`{}` and `{}` have one place", pair[0].name, pair[1].name);
        }
        assert!(denials().place.is_some());
        assert!(shown.iter().all(|section| !section.none.is_empty() && section.sentence.is_some()));
        assert!(
            [aliases(), seen(), coverage(), missing_logs(), rules(), finding_objects()]
                .iter()
                .all(|section| section.place.is_none())
        );
        assert!(NameKind::ALL.iter().all(|kind| super::names(*kind).place.is_none()));
    }
}
