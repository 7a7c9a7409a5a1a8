//! The keys, principals and tables that an audit is narrowed to, by any of their names.
//! In: names as a user gave them, the names that records bear, rows of a section. Out: the rows about what was named, and
//! sentences on names that nothing bears or several things do. The rule of names itself is `sql::asked_names`.
//! Never narrows the input; the scope does.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use serde_json::{Value, json};

use super::AnsweredSection;
use crate::output::cell;
use crate::sql::asked_names::{AskedName, NameKind, alias_of};
use crate::sql::told_names::{self, BorneNames};

/// The names that answers are narrowed to, as the user wrote them; an empty list narrows nothing.
#[derive(Debug, Clone, Default)]
pub struct AskedSubjects {
    /// ARNs, ids or aliases.
    pub keys: Vec<String>,
    /// ARNs or names.
    pub principals: Vec<String>,
    /// ARNs or names.
    pub tables: Vec<String>,
}

/// The flags that narrow an audit, with their kinds.
const FLAGS: [(&str, NameKind); 3] =
    [("--key", NameKind::Key), ("--principal", NameKind::Principal), ("--table", NameKind::Table)];

impl AskedSubjects {
    fn given(&self, kind: NameKind) -> &[String] {
        match kind {
            NameKind::Key => &self.keys,
            NameKind::Principal => &self.principals,
            NameKind::Table => &self.tables,
            // No flag narrows an audit to a session.
            NameKind::Session => &[],
        }
    }

    /// The kinds of which anything was named.
    pub fn kinds(&self) -> impl Iterator<Item = NameKind> {
        FLAGS.into_iter().map(|(_, kind)| kind).filter(|kind| !self.given(*kind).is_empty())
    }

    /// Everything that was named, in words: its kind and its name.
    pub fn words(&self) -> Vec<String> {
        let words = |kind: NameKind| self.given(kind).iter().map(move |given| format!("{kind} {given}"));
        FLAGS.into_iter().flat_map(|(_, kind)| words(kind)).collect()
    }

    /// Everything that was named of one kind, as the records bear it.
    pub fn resolved(&self, known: &BorneNames, aliases: Option<&RecordBatch>) -> Vec<Subject> {
        let subject = |given: &String| {
            let asked = AskedName::new(known.kind(), given);
            Subject {
                also: aliases.map(|rows| other_names(rows, &asked)).unwrap_or_default(),
                named: known.named(&asked),
                sentence: told_names::sentence(&asked, known),
                nearest: known.nearest(&asked),
                asked,
            }
        };
        self.given(known.kind()).iter().map(subject).collect()
    }
}

/// For an alias, the keys that it names; for a key, the aliases that name it. The rows pair an alias's ARN and a key.
fn other_names(rows: &RecordBatch, asked: &AskedName) -> BTreeSet<String> {
    let (aliases, keys) = (rows.column(0).as_string::<i32>(), rows.column(1).as_string::<i32>());
    let pairs = (0..rows.num_rows()).map(|row| (aliases.value(row), keys.value(row)));
    let other = |(alias, key): (&str, &str)| {
        let by_alias = asked.is_borne_by(&[None, Some(alias)]).then(|| key.to_owned());
        by_alias.or_else(|| asked.is_borne_by(&[Some(key), None]).then(|| alias.to_owned()))
    };
    pairs.filter_map(other).collect()
}

/// The keys that an alias was seen to name. The rows pair an alias's ARN and a key.
pub(super) fn keys_of_alias(rows: &RecordBatch, asked: &AskedName) -> BTreeSet<String> {
    alias_of(&asked.given).map(|_| other_names(rows, asked)).unwrap_or_default()
}

/// A key, principal or table that answers are narrowed to.
pub struct Subject {
    asked: AskedName,
    /// The things that records name so, each in full.
    named: BTreeSet<String>,
    /// The keys of an alias, or the aliases of a key.
    also: BTreeSet<String>,
    /// Says that nothing bears the name, or that several things do.
    sentence: Option<String>,
    /// The names most like it.
    nearest: Vec<String>,
}

impl Subject {
    /// True where a row's cells are about it.
    fn is_in(&self, cells: &[Option<&str>]) -> bool {
        if self.asked.is_borne_by(cells) {
            return true;
        }
        // An alias says which key is meant only where the key itself is not told.
        let first = cells.iter().copied().flatten().next();
        self.asked.kind == NameKind::Key && first.is_some_and(|text| self.also.contains(text))
    }

    /// True if records bear the name, or told earlier which key it stands for.
    fn is_seen(&self) -> bool {
        !self.named.is_empty() || (alias_of(&self.asked.given).is_some() && !self.also.is_empty())
    }

    fn json(&self) -> Value {
        let nearest: &[String] = if self.is_seen() { &[] } else { &self.nearest };
        json!({
            "name": self.asked.given,
            "also": self.also,
            "seen": self.is_seen(),
            "names": self.named,
            "nearest": nearest,
        })
    }

    /// The sentence that an answer has to say of it.
    fn sentence(&self) -> Option<String> {
        if self.also.len() > 1 && alias_of(&self.asked.given).is_some() {
            let keys: Vec<&str> = self.also.iter().map(String::as_str).collect();
            return Some(format!(
                "{} names {} keys, all of them meant: {}",
                self.asked.given,
                keys.len(),
                keys.join(", ")
            ));
        }
        self.sentence.clone().filter(|_| !self.named.is_empty() || !self.is_seen())
    }
}

/// The keys, principals and tables that the answers are narrowed to.
pub struct Subjects(Vec<Subject>);

impl Subjects {
    pub fn new(subjects: Vec<Subject>) -> Subjects {
        Subjects(subjects)
    }

    /// True where a row with these cells of a kind is about one of the subjects of that kind.
    pub fn has(&self, kind: NameKind, cells: &[Option<&str>]) -> bool {
        self.of(kind).any(|subject| subject.is_in(cells))
    }

    fn of(&self, kind: NameKind) -> impl Iterator<Item = &Subject> {
        self.0.iter().filter(move |subject| subject.asked.kind == kind)
    }

    /// The names as they were written, of the kinds that rows have columns for.
    pub(super) fn asked(&self, not_narrowed: &[&str]) -> Vec<&str> {
        let narrowing = FLAGS.into_iter().filter(|(flag, _)| !not_narrowed.contains(flag));
        narrowing.flat_map(|(_, kind)| self.of(kind)).map(|subject| subject.asked.given.as_str()).collect()
    }

    /// The rows about the subjects, and the flags that have no column here; those narrow nothing.
    pub fn narrow(&self, rows: &RecordBatch) -> Result<(RecordBatch, Vec<&'static str>), ArrowError> {
        let (mut keep, mut not_narrowed) = (vec![true; rows.num_rows()], Vec::new());
        for (flag, kind) in FLAGS {
            if self.of(kind).next().is_none() {
                continue;
            }
            let columns = kind.columns().iter().map(|names| names.iter().find_map(|name| rows.column_by_name(name)));
            let columns: Vec<Option<&dyn Array>> = columns.map(|column| column.map(AsRef::as_ref)).collect();
            if columns.iter().all(Option::is_none) {
                not_narrowed.push(flag);
                continue;
            }
            for (row, keep) in keep.iter_mut().enumerate() {
                let texts: Vec<Option<String>> = columns.iter().map(|column| cell::text((*column)?, row)).collect();
                let cells: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
                *keep &= self.has(kind, &cells);
            }
        }
        Ok((filter_record_batch(rows, &BooleanArray::from(keep))?, not_narrowed))
    }

    /// Where a key or a table is asked for: the refusals that name no key, neither by ARN nor by alias, and so may be of it
    /// or not. `None` where neither is asked for.
    pub fn unattributed(&self, denials: &RecordBatch) -> Result<Option<u64>, ArrowError> {
        let names = |kind| self.of(kind).next().is_some();
        if !names(NameKind::Key) && !names(NameKind::Table) {
            return Ok(None);
        }
        let column = |name: &str| {
            denials.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("the denials have no `{name}`")))
        };
        let named = NameKind::Key.columns().iter().flat_map(|names| names.iter());
        let named: Vec<&ArrayRef> = named.filter_map(|name| denials.column_by_name(name)).collect();
        let (principals, counts) = (column("principal")?, column("denied")?.as_primitive::<Int64Type>());
        let is_asked = |row| {
            let principal = cell::text(principals, row);
            !names(NameKind::Principal) || self.has(NameKind::Principal, &[principal.as_deref()])
        };
        let rows =
            (0..denials.num_rows()).filter(|row| named.iter().all(|column| column.is_null(*row)) && is_asked(*row));
        Ok(Some(rows.map(|row| counts.value(row).unsigned_abs()).sum()))
    }

    /// The sentences on names that nothing bears, or that several things do.
    pub fn sentences(&self) -> Vec<String> {
        self.0.iter().filter_map(Subject::sentence).collect()
    }

    /// The subjects as members of the audit's JSON.
    pub(super) fn json(&self, sections: &[AnsweredSection]) -> Value {
        let list = |kind| self.of(kind).map(Subject::json).collect::<Vec<_>>();
        let open = sections.iter().filter(|section| !section.not_narrowed.is_empty());
        let open: serde_json::Map<_, _> =
            open.map(|section| (section.name.to_owned(), json!(section.not_narrowed))).collect();
        json!({
            "key": list(NameKind::Key),
            "principal": list(NameKind::Principal),
            "table": list(NameKind::Table),
            "not_narrowed": open,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn a_key_is_meant_by_its_alias_where_no_key_is_told() {
        let column = |cells: &[Option<&str>]| -> Arc<dyn Array> { Arc::new(StringArray::from(cells.to_vec())) };
        let (key, other) = (Some("arn:aws:kms:eu-west-1:1:key/a"), Some("arn:aws:kms:eu-west-1:1:key/b"));
        let alias = Some("arn:aws:kms:eu-west-1:1:alias/x");
        let aliases =
            RecordBatch::try_from_iter([("alias_arn", column(&[alias])), ("key_arn", column(&[key]))]).unwrap();
        let rows =
            [("key_arn", column(&[key, other, None, None])), ("requested_alias", column(&[None, alias, alias, None]))];
        let rows = RecordBatch::try_from_iter(rows).unwrap();
        let known = BorneNames::of(NameKind::Key, &rows);
        for (given, kept) in [("alias/x", 3), ("a", 2), ("b", 1), ("alias/y", 0)] {
            let asked = AskedSubjects { keys: vec![given.to_owned()], ..AskedSubjects::default() };
            let subjects = Subjects::new(asked.resolved(&known, Some(&aliases)));
            assert_eq!(subjects.narrow(&rows).unwrap().0.num_rows(), kept, "{given}");
            assert_eq!(subjects.sentences().is_empty(), kept > 0, "{given}");
        }
    }
}
