//! The keys, principals and tables that an audit is narrowed to, by any of their names.
//! In: names as a user gave them, the aliases that were seen, rows of a section. Out: the rows about what was named.
//! Never narrows what is read: that is the scope's.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use serde_json::{Value, json};

use super::Section;
use crate::output::cell;

/// Characters of a key id that a screen shows, and that are enough to name the key.
const KEY_HEAD: usize = 8;

/// The names that the answers are to be narrowed to, as the user wrote them; an empty list narrows nothing.
#[derive(Debug, Clone, Default)]
pub struct AskedSubjects {
    /// ARNs, ids or aliases.
    pub keys: Vec<String>,
    /// ARNs or names.
    pub principals: Vec<String>,
    /// ARNs or names.
    pub tables: Vec<String>,
}

impl AskedSubjects {
    /// The same as answers name it: a key by all the names that it was seen to have.
    pub(super) fn resolved(&self, aliases: Option<&RecordBatch>) -> Subjects {
        let key = |given: &String| {
            let mut names = vec![given.clone()];
            // The ids of keys are written small; the names of aliases differ by case.
            names.extend(alias_of(given).is_none().then(|| given.to_ascii_lowercase()));
            if let Some(rows) = aliases {
                other_names(rows, &mut names);
            }
            Subject { given: given.clone(), names, is_seen: false }
        };
        let as_given = |given: &String| Subject { given: given.clone(), names: vec![given.clone()], is_seen: false };
        Subjects {
            keys: self.keys.iter().map(key).collect(),
            principals: self.principals.iter().map(as_given).collect(),
            tables: self.tables.iter().map(as_given).collect(),
        }
    }
}

/// Adds to an alias the keys that it names, to a key the aliases that name it; from rows of an alias's ARN and a key.
fn other_names(rows: &RecordBatch, names: &mut Vec<String>) {
    let (aliases, keys) = (rows.column(0).as_string::<i32>(), rows.column(1).as_string::<i32>());
    let given = [names[0].clone()];
    let pairs = (0..rows.num_rows()).map(|row| (row, aliases.value(row), keys.value(row)));
    let others: Vec<String> = match alias_of(&given[0]) {
        // Without its ARN an alias may be any account's.
        Some(_) => {
            pairs.filter(|(row, _, _)| self::names(aliases, *row, &given)).map(|pair| pair.2.to_owned()).collect()
        }
        None => pairs.filter(|(row, _, _)| is_key(keys, *row, names)).map(|pair| pair.1.to_owned()).collect(),
    };
    names.extend(others);
}

/// `alias/NAME`, of an alias or its ARN.
fn alias_of(key: &str) -> Option<&str> {
    let at = key.find("alias/").filter(|at| *at == 0 || key[..*at].ends_with(':'))?;
    Some(&key[at..])
}

/// True where the cell names one of these keys, whole or by the head of its id.
fn is_key(column: &dyn Array, row: usize, wanted: &[String]) -> bool {
    names(column, row, wanted) || begins(column, row, wanted)
}

/// A key, principal or table that answers are narrowed to.
pub struct Subject {
    pub given: String,
    /// Any of these is it.
    names: Vec<String>,
    /// True once a row of any section names it.
    is_seen: bool,
}

/// The keys, principals and tables that the answers are narrowed to.
pub struct Subjects {
    keys: Vec<Subject>,
    principals: Vec<Subject>,
    tables: Vec<Subject>,
}

impl Subjects {
    /// The rows about what was named, and the flags that no column of these rows can answer, which are left alone.
    pub(super) fn narrow(&mut self, rows: &RecordBatch) -> Result<(RecordBatch, Vec<&'static str>), ArrowError> {
        type Names = fn(&dyn Array, usize, &[String]) -> bool;
        let flags: [(&str, &mut Vec<Subject>, &[&str], Names); 3] = [
            ("--key", &mut self.keys, &["key_arn", "requested_alias"], is_key),
            ("--principal", &mut self.principals, &["principal"], names),
            ("--table", &mut self.tables, &["table_arn", "table_name"], names),
        ];
        let (mut keep, mut not_narrowed) = (vec![true; rows.num_rows()], Vec::new());
        for (flag, wanted, columns, is_named) in flags {
            if wanted.is_empty() {
                continue;
            }
            let columns: Vec<_> = columns.iter().filter_map(|name| rows.column_by_name(name)).collect();
            if columns.is_empty() {
                not_narrowed.push(flag);
                continue;
            }
            for (row, keep) in keep.iter_mut().enumerate() {
                let mut any = false;
                for named in wanted.iter_mut() {
                    let is_seen = columns.iter().any(|column| is_named(column, row, &named.names));
                    named.is_seen |= is_seen;
                    any |= is_seen;
                }
                *keep &= any;
            }
        }
        Ok((filter_record_batch(rows, &BooleanArray::from(keep))?, not_narrowed))
    }

    /// Those that no row names: misspelt, or without a trace in what was read.
    pub fn unseen(&self) -> impl Iterator<Item = &Subject> {
        [&self.keys, &self.principals, &self.tables].into_iter().flatten().filter(|named| !named.is_seen)
    }

    /// As the JSON of an audit tells it.
    pub(super) fn json(&self, sections: &[Section]) -> Value {
        let list = |named: &[Subject]| {
            let list = named.iter().map(|named| {
                let others: Vec<&String> = named.names.iter().filter(|name| **name != named.given).collect();
                json!({ "name": named.given, "also": others, "seen": named.is_seen })
            });
            list.collect::<Vec<_>>()
        };
        let open = sections.iter().filter(|section| !section.not_narrowed.is_empty());
        let open: serde_json::Map<_, _> =
            open.map(|section| (section.name.to_owned(), json!(section.not_narrowed))).collect();
        json!({
            "key": list(&self.keys),
            "principal": list(&self.principals),
            "table": list(&self.tables),
            "not_narrowed": open,
        })
    }
}

/// True where the cell names one of `wanted`: whole, or by the last part of an ARN.
fn names(column: &dyn Array, row: usize, wanted: &[String]) -> bool {
    let mut text = String::new();
    if !cell::plain(&mut text, column, row) {
        return false;
    }
    let last = text.rsplit(['/', ':']).next().unwrap_or_default();
    wanted
        .iter()
        .any(|w| *w == text || w == last || text.strip_suffix(w.as_str()).is_some_and(|head| head.ends_with(':')))
}

/// True where the cell is a key whose id begins as one of `wanted` does, which is how a screen shows it.
fn begins(column: &dyn Array, row: usize, wanted: &[String]) -> bool {
    let mut text = String::new();
    cell::plain(&mut text, column, row);
    let id = text.rsplit_once(":key/").map(|(_, id)| id);
    id.is_some_and(|id| wanted.iter().any(|w| w.len() >= key_head(id) && id.starts_with(w.trim_end_matches('…'))))
}

/// Characters of a key id that tell keys apart; those of a multi-Region key all begin with `mrk-`.
pub fn key_head(id: &str) -> usize {
    if id.starts_with("mrk-") { KEY_HEAD + 4 } else { KEY_HEAD }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn a_key_is_named_by_the_head_of_its_id() {
        let column = StringArray::from(vec!["arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab"]);
        for (wanted, is_named) in [("1234abcd", true), ("1234abcd…", true), ("1234abc", false), ("1234abce", false)] {
            assert_eq!(begins(&column, 0, &[wanted.to_owned()]), is_named, "{wanted}");
        }
    }

    #[test]
    fn names_match_whole_or_by_the_last_part() {
        let column = StringArray::from(vec![
            "arn:aws:kms:eu-west-1:111122223333:key/abc",
            "arn:aws:kms:eu-west-1:111122223333:alias/orders",
        ]);
        for (row, wanted, is_named) in [
            (0, "abc", true),
            (0, "arn:aws:kms:eu-west-1:111122223333:key/abc", true),
            (0, "bc", false),
            (1, "alias/orders", true),
            (1, "orders", true),
            (1, "", false),
        ] {
            assert_eq!(names(&column, row, &[wanted.to_owned()]), is_named, "{wanted}");
        }
    }
}
