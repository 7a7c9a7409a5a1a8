//! The sentences of an answer on the names that were asked for.
//! In: names, the rows of the answer, and where these do not do, the names that records bear. Out: sentences: that no
//! record bears the name, with the nearest that exists; or that it names several things, and which.
//! Never changes a row.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;

use super::asked_names::{AskedName, NameKind, alias_of};
use super::did_you_mean::nearest;
use crate::output::cell;

/// Most things that a sentence lists.
const LISTED_MAX: usize = 10;

/// Most things of one name that are told apart; no name of AWS's has so many.
const THINGS_MAX: usize = 10_000;

/// The names that records bear, of one kind: a row for each combination of the kind's cells.
pub struct BorneNames {
    kind: NameKind,
    rows: Vec<Vec<Option<String>>>,
}

impl BorneNames {
    /// Takes rows of the section of this kind, whose columns are the kind's cells.
    pub fn of(kind: NameKind, rows: &RecordBatch) -> BorneNames {
        let cells = |row| rows.columns().iter().map(|column| cell::text(column, row)).collect();
        let mut rows: Vec<Vec<Option<String>>> = (0..rows.num_rows()).map(cells).collect();
        rows.sort_unstable();
        BorneNames { kind, rows }
    }

    pub fn kind(&self) -> NameKind {
        self.kind
    }

    /// The things that a name names, each in full.
    pub fn named(&self, asked: &AskedName) -> BTreeSet<String> {
        let borne = self.rows.iter().filter(|cells| asked.is_borne_by(&texts(cells)));
        let thing = |cells: &Vec<Option<String>>| match self.kind {
            // The alias or the key, not the key that the alias named.
            NameKind::Key | NameKind::Principal => cells.iter().flatten().find(|cell| asked.is_borne_as(cell)).cloned(),
            // Its ARN, where that is told.
            NameKind::Table | NameKind::Session => cells.iter().rev().flatten().next().cloned(),
        };
        borne.filter_map(thing).collect()
    }

    /// The names most like one that nothing bears, the likeliest first, in the form in which it was asked.
    pub fn nearest(&self, asked: &AskedName) -> Vec<String> {
        // The ARN of a session names its role.
        let role = asked.given.split_once(":assumed-role/").and_then(|(_, named)| named.split('/').next());
        let role = role.filter(|_| self.kind == NameKind::Principal).map(|role| format!("role/{role}"));
        let given = role.as_deref().unwrap_or(asked.given.trim());
        let mut labels: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for text in self.rows.iter().flatten().flatten() {
            if let Some((compared, offered)) = label(self.kind, given, text) {
                labels.entry(compared).or_default().insert(offered);
            }
        }
        let found = nearest(compared(self.kind, given), labels.keys().copied());
        found.into_iter().flat_map(|near| labels[near].iter().cloned()).collect()
    }
}

/// The part of a name that slips are looked for in: what all names of a form begin with would make them alike.
fn compared(kind: NameKind, given: &str) -> &str {
    match kind {
        _ if given.starts_with("arn:") => given,
        NameKind::Key => alias_of(given).map_or(given, |alias| &alias["alias/".len()..]),
        NameKind::Principal => given.rsplit('/').next().unwrap_or(given),
        NameKind::Table | NameKind::Session => given,
    }
}

/// A name that exists, as it is compared with one that was asked for, and as it is offered.
fn label<'t>(kind: NameKind, given: &str, text: &'t str) -> Option<(&'t str, String)> {
    if given.starts_with("arn:") {
        return text.starts_with("arn:").then(|| (text, text.to_owned()));
    }
    match kind {
        NameKind::Key => match (alias_of(text), text.rsplit_once(":key/")) {
            (Some(alias), _) => Some((&alias["alias/".len()..], alias.to_owned())),
            (None, Some((_, id))) if alias_of(given).is_none() => Some((id, id.to_owned())),
            _ => None,
        },
        NameKind::Principal => {
            let Some((_, resource)) = text.strip_prefix("arn:").and_then(|_| text.rsplit_once(':')) else {
                return Some((text, text.to_owned()));
            };
            // Roles and users have paths that nobody writes.
            let (kind, last) = (resource.split('/').next()?, resource.rsplit('/').next()?);
            Some((last, if kind == last { last.to_owned() } else { format!("{kind}/{last}") }))
        }
        // Beside the ARN of a table or a session stands its name.
        NameKind::Table | NameKind::Session => (!text.starts_with("arn:")).then(|| (text, text.to_owned())),
    }
}

fn texts(cells: &[Option<String>]) -> Vec<Option<&str>> {
    cells.iter().map(Option::as_deref).collect()
}

/// Says that nothing bears a name, or which things do.
pub fn sentence(asked: &AskedName, known: &BorneNames) -> Option<String> {
    let named = known.named(asked);
    if !named.is_empty() {
        return several(asked, &named);
    }
    let near = known.nearest(asked);
    let near = if near.is_empty() { String::new() } else { format!("; nearest: {}", near.join(", ")) };
    Some(format!("no record names the {} {}{near}", asked.kind, asked.given))
}

/// Lists the things of a name that has several.
fn several(asked: &AskedName, named: &BTreeSet<String>) -> Option<String> {
    let things = named.len();
    (things > 1)
        .then(|| format!("the {} {} names {things}, all of them meant: {}", asked.kind, asked.given, listed(named)))
}

fn listed(named: &BTreeSet<String>) -> String {
    let mut list: Vec<&str> = named.iter().take(LISTED_MAX).map(String::as_str).collect();
    let more = format!("and {} more", named.len().saturating_sub(LISTED_MAX));
    if named.len() > LISTED_MAX {
        list.push(&more);
    }
    list.join(", ")
}

/// The names that a question was given, held against the rows of its answer: all of these are about them.
pub struct NamesOfAnswer {
    names: Vec<NameInRows>,
    rows: usize,
}

struct NameInRows {
    asked: AskedName,
    /// The things that the rows are about.
    things: BTreeSet<String>,
    /// The answer has a column that tells the thing.
    has_cells: bool,
}

impl NamesOfAnswer {
    pub fn new(asked: impl IntoIterator<Item = AskedName>) -> NamesOfAnswer {
        let names = asked.into_iter().map(|asked| NameInRows { asked, things: BTreeSet::new(), has_cells: false });
        NamesOfAnswer { names: names.collect(), rows: 0 }
    }

    /// Takes rows of the answer.
    pub fn see(&mut self, rows: &RecordBatch) {
        self.rows += rows.num_rows();
        for name in &mut self.names {
            // The first column that tells the thing: of a key or a principal its ARN stands first, of a table last.
            let cells = name.asked.kind.columns();
            let mut columns =
                cells.iter().flat_map(|columns| columns.iter()).filter_map(|column| rows.column_by_name(column));
            let columns: Vec<_> = match name.asked.kind {
                NameKind::Key | NameKind::Principal => columns.take(1).collect(),
                NameKind::Table | NameKind::Session => columns.next_back().into_iter().collect(),
            };
            name.has_cells |= !columns.is_empty();
            for row in 0..rows.num_rows() {
                let thing = columns.iter().find_map(|column| cell::text(column, row));
                name.things.extend(thing.filter(|_| name.things.len() < THINGS_MAX));
            }
        }
    }

    /// The sentences that the rows themselves give.
    pub fn sentences(&self) -> Vec<String> {
        self.names.iter().filter_map(|name| several(&name.asked, &name.things)).collect()
    }

    /// The names that no row of the answer tells a thing of: the records have to tell of them. An answer that is always one
    /// row has such a row for a name that nothing bears.
    pub fn unanswered(&self) -> impl Iterator<Item = &AskedName> {
        self.names
            .iter()
            .filter(|name| self.rows == 0 || name.has_cells && name.things.is_empty())
            .map(|name| &name.asked)
    }

    /// Says of an unanswered name whether the records bear it.
    pub fn sentence_of_unanswered(&self, asked: &AskedName, known: &BorneNames) -> Option<String> {
        let named = known.named(asked);
        if named.is_empty() {
            return sentence(asked, known);
        }
        if self.rows > 0 {
            return None;
        }
        let is_itself = named.len() == 1 && named.contains(asked.given.trim());
        let of = if is_itself { String::new() } else { format!(" ({})", listed(&named)) };
        Some(format!("records name the {} {}{of}, but none of them belongs in this answer", asked.kind, asked.given))
    }
}
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    fn known(kind: NameKind, rows: &[&[Option<&str>]]) -> BorneNames {
        let cells = |row: &&[Option<&str>]| row.iter().map(|cell| cell.map(str::to_owned)).collect();
        BorneNames { kind, rows: rows.iter().map(cells).collect() }
    }

    #[test]
    fn a_name_that_nothing_bears_is_met_with_the_nearest() {
        let principals = known(
            NameKind::Principal,
            &[
                &[Some("arn:aws:iam::111122223333:role/teams/test-analyst")],
                &[Some("arn:aws:iam::444455556666:user/mary")],
                &[Some("service:dynamodb.amazonaws.com")],
            ],
        );
        let keys = known(
            NameKind::Key,
            &[
                &[Some("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"), None],
                &[None, Some("arn:aws:kms:eu-west-1:111122223333:alias/orders")],
            ],
        );
        let tables = known(NameKind::Table, &[&[Some("orders"), Some("arn:aws:dynamodb:eu-west-1:1:table/orders")]]);
        for (known, given, expected) in [
            (&principals, "tset-analyst", "no record names the principal tset-analyst; nearest: role/test-analyst"),
            (
                &principals,
                "role/Test-Analyst",
                "no record names the principal role/Test-Analyst; nearest: role/test-analyst",
            ),
            (&principals, "user/marry", "no record names the principal user/marry; nearest: user/mary"),
            (&keys, "orders", "no record names the key orders; nearest: alias/orders"),
            (&keys, "alias/order", "no record names the key alias/order; nearest: alias/orders"),
            (
                &principals,
                "arn:aws:sts::111122223333:assumed-role/test-analyst/s",
                "no record names the principal arn:aws:sts::111122223333:assumed-role/test-analyst/s; nearest: role/test-analyst",
            ),
            (&tables, "Orders", "no record names the table Orders; nearest: orders"),
        ] {
            assert_eq!(sentence(&AskedName::new(known.kind, given), known).as_deref(), Some(expected));
        }
        let none = known(NameKind::Key, &[]);
        let asked = AskedName::new(NameKind::Key, "nonexist");
        assert_eq!(sentence(&asked, &none).as_deref(), Some("no record names the key nonexist"));
    }

    #[test]
    fn a_name_of_several_things_lists_them() {
        let rows: [&[Option<&str>]; 2] =
            [&[Some("arn:aws:iam::111122223333:role/app")], &[Some("arn:aws:iam::444455556666:user/app")]];
        let known = known(NameKind::Principal, &rows);
        let said = |given| sentence(&AskedName::new(NameKind::Principal, given), &known);
        assert_eq!(
            said("app").as_deref(),
            Some(
                "the principal app names 2, all of them meant: arn:aws:iam::111122223333:role/app, arn:aws:iam::444455556666:user/app"
            )
        );
        assert_eq!(said("user/app"), None);
        let asked = AskedName::new(NameKind::Principal, "user/app");
        let said = NamesOfAnswer::new([]).sentence_of_unanswered(&asked, &known).unwrap();
        assert!(said.starts_with("records name the principal user/app (arn:aws:iam::444455556666:user/app)"), "{said}");
        let mut answer = NamesOfAnswer::new([]);
        answer.see(&row("principal", None));
        assert_eq!(answer.sentence_of_unanswered(&asked, &known), None, "the row may be about it");
    }

    fn row(column: &str, cell: Option<&str>) -> RecordBatch {
        let cells: ArrayRef = Arc::new(StringArray::from(vec![cell]));
        RecordBatch::try_from_iter([(column, cells)]).unwrap()
    }

    #[test]
    fn a_name_is_unanswered_without_rows_or_where_its_column_tells_nothing() {
        let unanswered = |rows: &[RecordBatch]| {
            let mut answer = NamesOfAnswer::new([AskedName::new(NameKind::Principal, "app")]);
            rows.iter().for_each(|rows| answer.see(rows));
            answer.unanswered().count()
        };
        assert_eq!(unanswered(&[]), 1);
        assert_eq!(unanswered(&[row("principal", None)]), 1);
        assert_eq!(unanswered(&[row("principal", Some("arn:aws:iam::111122223333:role/app"))]), 0);
        assert_eq!(unanswered(&[row("events", Some("7"))]), 0, "no column tells of it");
    }
}
