//! The cards of the SQL files of `queries/`: the comment lines that open a file and give its purpose.
//! In: every file of the folder, as compiled in. Out: its `Card`, or the mistake in it.
//! Never reads the SQL below a card: a file runs as it stands.

use std::fmt;

/// Top folder of `queries/`, name and text of every file that was there at compile time.
const FILES: &[(&str, &str, &str)] = &include!(concat!(env!("OUT_DIR"), "/queries.rs"));

/// The purpose of a file, given by its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardKind {
    Named,
    View,
    /// The input of a derived table, which users see as a view.
    Derived,
    Section,
    Finding,
    /// The life of a key, a table or a principal.
    Trace,
    /// One question of the report.
    Report,
}

const KINDS: [CardKind; 7] = [
    CardKind::Named,
    CardKind::View,
    CardKind::Derived,
    CardKind::Section,
    CardKind::Finding,
    CardKind::Trace,
    CardKind::Report,
];

/// The number of times that a key may stand in a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyOccurrence {
    Once,
    AtMostOnce,
    AnyNumber,
}

impl CardKind {
    /// The folder of `queries/` whose files are of this kind, at any depth.
    pub fn folder(self) -> &'static str {
        match self {
            CardKind::Named => "named",
            CardKind::View => "views",
            CardKind::Derived => "derived",
            CardKind::Section => "sections",
            CardKind::Finding => "findings",
            CardKind::Trace => "trace",
            CardKind::Report => "report",
        }
    }

    fn keys(self) -> &'static [(&'static str, KeyOccurrence)] {
        use KeyOccurrence::{AnyNumber, AtMostOnce, Once};
        match self {
            CardKind::Named => {
                &[("title", Once), ("description", AnyNumber), ("param", AnyNumber), ("severity", AtMostOnce)]
            }
            CardKind::View | CardKind::Derived => {
                &[("title", Once), ("row", Once), ("description", AnyNumber), ("column", AnyNumber)]
            }
            CardKind::Section => &[
                ("title", Once),
                ("none", AtMostOnce),
                ("place", AtMostOnce),
                ("sentence", AtMostOnce),
                ("shows", AtMostOnce),
                ("description", AnyNumber),
            ],
            CardKind::Trace => &[("title", Once), ("none", Once), ("description", AnyNumber)],
            CardKind::Report => {
                &[("title", Once), ("none", Once), ("rest", Once), ("narrows", AtMostOnce), ("description", AnyNumber)]
            }
            CardKind::Finding => &[
                ("title", Once),
                ("severity", Once),
                ("why", AnyNumber),
                ("controls", AnyNumber),
                ("attack", AnyNumber),
                ("false-positives", AnyNumber),
                ("next", AnyNumber),
                ("set", AtMostOnce),
                ("needs", AnyNumber),
            ],
        }
    }
}

/// A card that cannot be read, or a file that has no place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    #[error(
        "`queries/{folder}` has `{name}.sql`, and no such folder is read: use named, views, derived, sections, findings, trace or report"
    )]
    Folder { folder: &'static str, name: &'static str },
    #[error("two files of `queries/{folder}` are named `{name}.sql`")]
    DoubledName { folder: &'static str, name: &'static str },
    #[error("`{name}.sql` of `queries/{folder}` {fault}")]
    Card { folder: &'static str, name: &'static str, fault: CardFault },
}

/// A mistake in a card.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardFault {
    #[error("opens with `{0}`, and a line of a card is `-- key: value`")]
    Line(&'static str),
    #[error("has the unknown key `{key}`; its card may have {known}")]
    UnknownKey { key: &'static str, known: String },
    #[error("has no `{0}` in its card")]
    Missing(&'static str),
    #[error("has more than one `{0}` in its card")]
    Repeated(&'static str),
    #[error("has a `{key}` that is not {form}: `{value}`")]
    Value { key: &'static str, form: &'static str, value: &'static str },
}

/// The card of one file. Invariant: every key is known, and stands as often as its kind allows.
#[derive(Debug, Clone)]
pub struct Card {
    pub kind: CardKind,
    /// The name of the file, without `.sql`.
    pub name: &'static str,
    /// The whole file.
    pub sql: &'static str,
    lines: Vec<(&'static str, &'static str)>,
}

impl Card {
    /// Reads the comment lines that open a file.
    pub fn read(kind: CardKind, name: &'static str, sql: &'static str) -> Result<Card, CardError> {
        let mut card = Card { kind, name, sql, lines: Vec::new() };
        for line in sql.lines().take_while(|line| line.starts_with("--")) {
            let pair = line.strip_prefix("-- ").and_then(|line| line.split_once(": "));
            let (key, value) = pair.ok_or_else(|| card.fault(CardFault::Line(line)))?;
            if kind.keys().iter().all(|(known, _)| *known != key) {
                let known: Vec<&str> = kind.keys().iter().map(|(known, _)| *known).collect();
                return Err(card.fault(CardFault::UnknownKey { key, known: known.join(", ") }));
            }
            card.lines.push((key, value.trim()));
        }
        for (key, times) in kind.keys() {
            match (times, card.texts(key).count()) {
                (KeyOccurrence::Once, 0) => return Err(card.fault(CardFault::Missing(key))),
                (KeyOccurrence::Once | KeyOccurrence::AtMostOnce, count) if count > 1 => {
                    return Err(card.fault(CardFault::Repeated(key)));
                }
                _ => {}
            }
        }
        Ok(card)
    }

    /// The value of a key that stands in the card once.
    pub fn text(&self, key: &str) -> Option<&'static str> {
        self.texts(key).next()
    }

    /// All values of a key, in the order of the card; none if the card lacks the key.
    pub fn texts<'c>(&'c self, key: &'c str) -> impl Iterator<Item = &'static str> + 'c {
        self.lines.iter().filter(move |(found, _)| *found == key).map(|(_, value)| *value)
    }

    /// The values of a key as one text.
    pub fn joined(&self, key: &str) -> String {
        self.texts(key).collect::<Vec<_>>().join(" ")
    }

    /// The title, which every card has.
    pub fn title(&self) -> &'static str {
        self.text("title").unwrap_or_default()
    }

    /// The severity; `None` if the card has none. Fails if the text is no severity.
    pub fn severity(&self) -> Result<Option<Severity>, CardError> {
        self.values("severity", "one of critical, high, medium, low, info", Severity::read)
            .map(|found| found.first().copied())
    }

    /// The values of a key, each read by `read`; `form` names the expected form in an error.
    pub fn values<T>(
        &self,
        key: &'static str,
        form: &'static str,
        read: impl Fn(&'static str) -> Option<T>,
    ) -> Result<Vec<T>, CardError> {
        let fault = |value| self.fault(CardFault::Value { key, form, value });
        self.texts(key).map(|value| read(value).ok_or_else(|| fault(value))).collect()
    }

    /// A mistake in this card.
    pub fn fault(&self, fault: CardFault) -> CardError {
        CardError::Card { folder: self.kind.folder(), name: self.name, fault }
    }

    /// The SQL without its card.
    pub fn statement(&self) -> &'static str {
        let card: usize = self.sql.split_inclusive('\n').take_while(|line| line.starts_with("--")).map(str::len).sum();
        self.sql[card..].trim()
    }
}

/// Reads every file of a kind, by name.
pub fn each<T>(kind: CardKind, read: impl Fn(&Card) -> Result<T, CardError>) -> Result<Vec<T>, CardError> {
    check_folders()?;
    let mut files: Vec<_> = FILES.iter().filter(|(folder, _, _)| *folder == kind.folder()).collect();
    files.sort_unstable_by_key(|(_, name, _)| name);
    if let Some(pair) = files.windows(2).find(|pair| pair[0].1 == pair[1].1) {
        return Err(CardError::DoubledName { folder: kind.folder(), name: pair[0].1 });
    }
    files.iter().map(|(_, name, sql)| read(&Card::read(kind, name, sql)?)).collect()
}

/// Refuses a file outside the folders of the kinds.
fn check_folders() -> Result<(), CardError> {
    let known = |folder: &str| KINDS.iter().any(|kind| kind.folder() == folder);
    match FILES.iter().find(|(folder, _, _)| !known(folder)) {
        Some((folder, name, _)) => Err(CardError::Folder { folder, name }),
        None => Ok(()),
    }
}

/// The weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// The spelling in cards and answers.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// The severity of this spelling.
    pub fn read(text: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.name() == text)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_stands_in_a_folder_and_has_a_card() {
        for kind in KINDS {
            let cards = each(kind, |card| Ok(card.clone())).unwrap_or_else(|error| panic!("{error}"));
            assert!(!cards.is_empty(), "no file in `queries/{}`", kind.folder());
            for card in cards {
                assert!(!card.title().is_empty() && !card.statement().starts_with("--"), "{}", card.name);
            }
        }
    }

    #[test]
    fn a_wrong_card_is_named_with_its_fault() {
        for (kind, sql, says) in [
            (CardKind::Named, "-- description: x\nSELECT 1", "`x.sql` of `queries/named` has no `title` in its card"),
            (CardKind::Named, "SELECT 1", "has no `title`"),
            (
                CardKind::Named,
                "-- title: x\n-- tilte: y\nSELECT 1",
                "unknown key `tilte`; its card may have title, desc",
            ),
            (CardKind::View, "-- title: x\n-- Only words.\nSELECT 1", "opens with `-- Only words.`"),
            (CardKind::View, "-- title: x\nSELECT 1", "no `row`"),
            (CardKind::Finding, "-- title: x\nSELECT 1", "no `severity`"),
            (CardKind::Finding, "-- title: x\n-- title: y\n-- severity: low\nSELECT 1", "more than one `title`"),
        ] {
            let error = Card::read(kind, "x", sql).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let card = Card::read(CardKind::Finding, "x", "-- title: x\n-- severity: hihg\nSELECT 1").unwrap();
        let error = card.severity().unwrap_err().to_string();
        assert!(error.contains("`severity` that is not one of critical, high") && error.contains("`hihg`"), "{error}");
    }

    #[test]
    fn a_comment_below_the_card_is_sql() {
        let card = Card::read(CardKind::Named, "x", "-- title: x\nSELECT 1\n-- why: because\n").unwrap();
        assert_eq!((card.statement(), card.texts("why").count()), ("SELECT 1\n-- why: because", 0));
    }
}
