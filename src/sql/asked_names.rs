//! The one rule by which people name keys, principals, tables and sessions.
//! In: a name as somebody wrote it. Out: tests on the cells that may bear it, for rows here and as SQL there.
//! A key is named by its ARN, its id, the head of the id that a screen shows, or an alias; a principal by ARN, `role/NAME`,
//! `user/NAME` or NAME; a table by ARN or name. Reads no row, and knows no alias's key: that is for who has the logs.

use std::fmt;

use crate::output::short_names::key_head;

/// The kind of thing that a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// Its cells are the key's ARN and an alias, bare or as ARN.
    Key,
    /// Its cell is the principal as keytrail names it.
    Principal,
    /// Its cells are the table's name and its ARN.
    Table,
    /// Its cells are the session's name and its ARN.
    Session,
}

impl NameKind {
    pub const ALL: [NameKind; 4] = [NameKind::Key, NameKind::Principal, NameKind::Table, NameKind::Session];

    /// The spelling in cards, documentation and sentences.
    pub fn word(self) -> &'static str {
        match self {
            NameKind::Key => "key",
            NameKind::Principal => "principal",
            NameKind::Table => "table",
            NameKind::Session => "session",
        }
    }

    /// The kind of this spelling.
    pub fn read(word: &str) -> Option<NameKind> {
        NameKind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The columns that may hold each of the cells, in the cells' order.
    pub fn columns(self) -> &'static [&'static [&'static str]] {
        match self {
            NameKind::Key => &[&["key_arn"], &["alias_arn", "requested_alias"]],
            NameKind::Principal => &[&["principal"]],
            NameKind::Table => &[&["table_name"], &["table_arn"]],
            NameKind::Session => &[&["session_name"], &["session_arn"]],
        }
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A test on the text of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    Is(String),
    Starts(String),
    Ends(String),
    Contains(String),
}

impl TextTest {
    fn passes(&self, text: &str) -> bool {
        match self {
            TextTest::Is(wanted) => text == wanted,
            TextTest::Starts(head) => text.starts_with(head.as_str()),
            TextTest::Ends(tail) => text.ends_with(tail.as_str()),
            TextTest::Contains(part) => text.contains(part.as_str()),
        }
    }
}

/// One way in which a cell bears a name: it passes all these tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameWay {
    /// The place of the cell among those of its kind.
    pub cell: usize,
    pub tests: Vec<TextTest>,
}

/// A name that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedName {
    pub kind: NameKind,
    /// As it was written.
    pub given: String,
    /// Any of these is enough.
    pub ways: Vec<NameWay>,
}

impl AskedName {
    /// Reads a name. Text that is none of its kind has ways all the same, which no cell passes.
    pub fn new(kind: NameKind, given: &str) -> AskedName {
        let name = given.trim();
        let ways = match kind {
            _ if name.is_empty() => Vec::new(),
            NameKind::Key => key_ways(name),
            NameKind::Principal => principal_ways(name),
            NameKind::Table => table_ways(name),
            NameKind::Session => vec![way(0, [is(name)]), way(1, [is(name)])],
        };
        AskedName { kind, given: given.to_owned(), ways }
    }

    /// True where one of the cells, in the order of the kind, bears the name.
    pub fn is_borne_by(&self, cells: &[Option<&str>]) -> bool {
        self.ways.iter().any(|way| {
            let cell = cells.get(way.cell).copied().flatten();
            cell.is_some_and(|text| way.tests.iter().all(|test| test.passes(text)))
        })
    }

    /// True where this text, whichever cell it stands in, bears the name.
    pub fn is_borne_as(&self, text: &str) -> bool {
        (0..self.kind.columns().len()).any(|cell| {
            let cells: Vec<Option<&str>> = (0..=cell).map(|at| (at == cell).then_some(text)).collect();
            self.is_borne_by(&cells)
        })
    }
}

/// `alias/NAME`, of an alias or its ARN.
pub fn alias_of(key: &str) -> Option<&str> {
    let at = key.find("alias/").filter(|at| *at == 0 || key[..*at].ends_with(':'))?;
    Some(&key[at..])
}

fn is(text: &str) -> TextTest {
    TextTest::Is(text.to_owned())
}

fn starts(text: impl Into<String>) -> TextTest {
    TextTest::Starts(text.into())
}

fn ends(text: impl Into<String>) -> TextTest {
    TextTest::Ends(text.into())
}

fn way<const N: usize>(cell: usize, tests: [TextTest; N]) -> NameWay {
    NameWay { cell, tests: tests.into() }
}

fn key_ways(name: &str) -> Vec<NameWay> {
    if let Some(alias) = alias_of(name) {
        return alias_ways(name, alias);
    }
    // The ids of keys are written small; the names of aliases differ by case.
    let name = name.to_ascii_lowercase();
    let head = name.trim_end_matches('…');
    let is_cut = head.len() < name.len();
    if name.starts_with("arn:") {
        return vec![way(0, [if is_cut { starts(head) } else { is(&name) }])];
    }
    let (places, id) = head.rsplit_once(':').unwrap_or(("", head));
    in_places(places, id_ways(id.strip_prefix("key/").unwrap_or(id)))
}

/// The same ways where the partition, Region or account before the name, as a screen may show it, stand in the ARN too.
fn in_places(places: &str, mut ways: Vec<NameWay>) -> Vec<NameWay> {
    for place in places.split(':').filter(|place| !place.is_empty()) {
        let test = match place.strip_prefix('…') {
            Some(end) => format!("{end}:"),
            None => format!(":{place}:"),
        };
        ways.iter_mut().for_each(|way| way.tests.push(TextTest::Contains(test.clone())));
    }
    ways
}

/// A whole id, or as much of one as a screen shows.
fn id_ways(id: &str) -> Vec<NameWay> {
    let tail = format!(":key/{id}");
    vec![way(0, [if id.len() >= key_head(id) { TextTest::Contains(tail) } else { ends(tail) }])]
}

/// An alias with its account and Region, with one of them, or bare: then it may be any account's.
fn alias_ways(name: &str, alias: &str) -> Vec<NameWay> {
    let tail = format!(":{alias}");
    let parts: Vec<&str> = name[..name.len() - alias.len()].split(':').collect();
    match parts[..] {
        ["arn", partition, "kms", region, account, ""] => {
            let (head, tail) = match (region, account) {
                ("", "") => (format!("arn:{partition}:kms:"), tail),
                ("", account) => (format!("arn:{partition}:kms:"), format!(":{account}{tail}")),
                (region, "") => (format!("arn:{partition}:kms:{region}:"), tail),
                _ => return vec![way(1, [is(name)])],
            };
            vec![way(1, [starts(head), ends(tail)])]
        }
        [""] => vec![way(1, [is(alias)]), way(1, [ends(tail)])],
        _ => in_places(&parts.join(":"), vec![way(1, [ends(tail)])]),
    }
}

fn principal_ways(name: &str) -> Vec<NameWay> {
    if name.starts_with("arn:") {
        return vec![way(0, [is(name)])];
    }
    // A principal with a word before it has no ARN: `service:…`, `account:…`, `federated:…`.
    let mut ways = vec![
        way(0, [is(name)]),
        way(0, [is(&format!("{name}.amazonaws.com"))]),
        way(0, [is(&format!("service:{name}.amazonaws.com"))]),
    ];
    let (places, rest) = name.rsplit_once(':').unwrap_or(("", name));
    let kind = rest.split('/').next().unwrap_or_default();
    if matches!(kind, "role" | "user") && rest.len() > kind.len() {
        // The path of a role or a user may stand between.
        let (middle, path) = (format!(":{kind}/"), &rest[kind.len() + 1..]);
        let has_path = path.contains('/') && !path.contains('…');
        let last = rest.rsplit('/').next().unwrap_or_default();
        let tail = if has_path { format!("{middle}{path}") } else { format!("/{last}") };
        let of_path = vec![way(0, [starts("arn:"), TextTest::Contains(middle), ends(tail)])];
        // A federated principal has the ARN of a user within its name.
        return [way(0, [is(name)])].into_iter().chain(in_places(places, of_path)).collect();
    }
    let last = rest.rsplit_once("…/").map_or(rest, |(_, last)| last);
    ways.extend(in_places(places, vec![way(0, [ends(format!("/{last}"))]), way(0, [ends(format!(":{last}"))])]));
    ways
}

fn table_ways(name: &str) -> Vec<NameWay> {
    if name.starts_with("arn:") {
        return vec![way(1, [is(name)])];
    }
    let (places, rest) = name.rsplit_once(':').unwrap_or(("", name));
    let table = rest.strip_prefix("table/").unwrap_or(rest);
    if places.is_empty() {
        return vec![way(0, [is(table)])];
    }
    in_places(places, vec![way(1, [ends(format!(":table/{table}"))])])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const FAMILY: &str = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
    const ALIAS: &str = "arn:aws:kms:eu-west-1:111122223333:alias/app/data";

    #[test]
    fn a_key_is_named_by_arn_id_head_or_alias() {
        let cases: [(&str, &str, &[bool; 3]); 28] = [
            (KEY, "whole", &[true, false, false]),
            ("1234abcd-12ab-34cd-56ef-1234567890ab", "id", &[true, false, false]),
            ("1234ABCD-12AB-34CD-56EF-1234567890AB", "id in capitals", &[true, false, false]),
            ("key/1234abcd-12ab-34cd-56ef-1234567890ab", "resource", &[true, false, false]),
            ("1234abcd", "head", &[true, false, false]),
            ("1234abcd…", "head as shown", &[true, false, false]),
            ("eu-west-1:111122223333:key/1234abcd…", "short as shown", &[true, false, false]),
            ("arn:aws:kms:eu-west-1:111122223333:key/1234abcd…", "ARN as shown", &[true, false, false]),
            ("eu-west-1:1234abcd…", "with the Region, as shown", &[true, false, false]),
            ("111122223333:1234abcd…", "with the account, as shown", &[true, false, false]),
            ("…3333:1234abcd…", "with the end of the account, as shown", &[true, false, false]),
            ("us-east-1:1234abcd…", "in another Region", &[false; 3]),
            ("eu-west-1:alias/app/data", "alias with the Region", &[false, false, true]),
            ("1234abc", "too little of it", &[false; 3]),
            ("1234abce", "another", &[false; 3]),
            ("mrk-1234abcd12ab34cd56ef1234567890ab", "family", &[false, true, false]),
            ("mrk-1234abcd", "head of a family", &[false, true, false]),
            ("mrk-1234", "too little of a family", &[false; 3]),
            ("alias/app/data", "bare", &[false, false, true]),
            (ALIAS, "alias", &[false, false, true]),
            ("arn:aws:kms:eu-west-1::alias/app/data", "without account", &[false, false, true]),
            ("arn:aws:kms:::alias/app/data", "without Region", &[false, false, true]),
            ("eu-west-1:111122223333:alias/app/data", "short", &[false, false, true]),
            ("arn:aws:kms:us-east-1::alias/app/data", "of another Region", &[false; 3]),
            ("alias/data", "the end of an alias", &[false; 3]),
            ("alias/App/data", "another case", &[false; 3]),
            ("app/data", "no alias", &[false; 3]),
            ("", "nothing", &[false; 3]),
        ];
        for (given, about, borne) in cases {
            let asked = AskedName::new(NameKind::Key, given);
            let cells = [[Some(KEY), None], [Some(FAMILY), None], [None, Some(ALIAS)]];
            assert_eq!(&cells.map(|cells| asked.is_borne_by(&cells)), borne, "{about}: {given}");
        }
        assert!(AskedName::new(NameKind::Key, "alias/x").is_borne_by(&[None, Some("alias/x")]));
    }

    #[test]
    fn a_principal_is_named_by_arn_kind_and_name_or_name() {
        let role = "arn:aws:iam::111122223333:role/teams/data/analyst";
        let user = "arn:aws:iam::444455556666:user/analyst";
        for (given, borne) in [
            (role, [true, false]),
            ("role/analyst", [true, false]),
            ("role/teams/data/analyst", [true, false]),
            ("role/data/analyst", [false, false]),
            ("111122223333:role/analyst", [true, false]),
            ("111122223333:role/…/analyst", [true, false]),
            ("444455556666:role/analyst", [false, false]),
            ("444455556666:user/analyst", [false, true]),
            ("111122223333:analyst", [true, false]),
            ("…6666:user/analyst", [false, true]),
            ("user/analyst", [false, true]),
            ("analyst", [true, true]),
            ("data/analyst", [true, false]),
            ("nalyst", [false, false]),
            ("Analyst", [false, false]),
            // A session is not its role: other sessions have it too.
            ("arn:aws:sts::111122223333:assumed-role/analyst/mary", [false, false]),
            ("role/", [false, false]),
            ("%", [false, false]),
        ] {
            let asked = AskedName::new(NameKind::Principal, given);
            assert_eq!([role, user].map(|principal| asked.is_borne_by(&[Some(principal)])), borne, "{given}");
        }
        let service = Some("service:dynamodb.amazonaws.com");
        for name in ["dynamodb", "dynamodb.amazonaws.com", "service:dynamodb", "service:dynamodb.amazonaws.com"] {
            assert!(AskedName::new(NameKind::Principal, name).is_borne_by(&[service]), "{name}");
        }
        let federated = Some("federated:arn:aws:iam::111122223333:user/root-of-it/mary");
        assert!(AskedName::new(NameKind::Principal, "mary").is_borne_by(&[federated]));
        assert!(!AskedName::new(NameKind::Principal, "user/mary").is_borne_by(&[federated]));
        assert!(AskedName::new(NameKind::Principal, "root").is_borne_by(&[Some("arn:aws:iam::111122223333:root")]));
    }

    #[test]
    fn a_table_is_named_by_arn_or_name() {
        let arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/Orders";
        for (given, borne) in [
            (arn, true),
            ("Orders", true),
            ("table/Orders", true),
            ("eu-west-1:Orders", true),
            ("us-east-1:Orders", false),
            ("orders", false),
            ("Order_", false),
        ] {
            let asked = AskedName::new(NameKind::Table, given);
            assert_eq!(asked.is_borne_by(&[Some("Orders"), Some(arn)]), borne, "{given}");
        }
    }
}
