//! The keys, principals and tables that an audit is narrowed to, by any of their names.
//! In: names as a user gave them, the aliases that were seen, rows of a section. Out: the rows about those names.
//! Never narrows the reading: the scope does that.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use serde_json::{Value, json};

use super::Section;
use crate::output::cell;
use crate::output::short_names::key_head;

/// The names to which answers are narrowed, as the user wrote them; an empty list narrows nothing.
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
    /// Finds the names that answers use: a key gets all the names it was seen to have.
    pub(super) fn resolved(&self, aliases: Option<&RecordBatch>) -> Subjects {
        let key = |given: &String| {
            let mut names = vec![given.clone()];
            // The ids of keys are in lower case; the names of aliases differ by case.
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

/// Adds to an alias its keys and to a key its aliases, from rows of an alias's ARN and a key.
fn other_names(rows: &RecordBatch, names: &mut Vec<String>) {
    let (aliases, keys) = (rows.column(0).as_string::<i32>(), rows.column(1).as_string::<i32>());
    let given = [names[0].clone()];
    let pairs = (0..rows.num_rows()).map(|row| (row, aliases.value(row), keys.value(row)));
    let others: Vec<String> = match alias_of(&given[0]) {
        // An alias without its ARN may belong to any account, so it gets the keys of all.
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

/// True if the cell names one of these keys, whole or by the head of its id.
fn is_key(column: &dyn Array, row: usize, wanted: &[String]) -> bool {
    names(column, row, wanted) || begins(column, row, wanted)
}

/// A key, principal or table to which answers are narrowed.
pub struct Subject {
    pub given: String,
    /// Any of these names means the subject.
    names: Vec<String>,
    /// True once a row of any section names it.
    is_seen: bool,
}

/// The keys, principals and tables to which the answers are narrowed.
pub struct Subjects {
    keys: Vec<Subject>,
    principals: Vec<Subject>,
    tables: Vec<Subject>,
}

impl Subjects {
    /// The rows about the named subjects, and the flags that narrowed nothing since these rows have no column for them.
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

    /// The subjects that no row names: they are misspelt, or left no trace in the logs.
    pub fn unseen(&self) -> impl Iterator<Item = &Subject> {
        [&self.keys, &self.principals, &self.tables].into_iter().flatten().filter(|named| !named.is_seen)
    }

    /// The subjects as a member of the audit's JSON.
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

/// True if the cell names one of `wanted`: whole, or by the last part of an ARN.
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

/// True if the cell is a key whose id begins with one of `wanted`, as a screen shows it.
fn begins(column: &dyn Array, row: usize, wanted: &[String]) -> bool {
    let mut text = String::new();
    cell::plain(&mut text, column, row);
    let id = text.rsplit_once(":key/").map(|(_, id)| id);
    id.is_some_and(|id| wanted.iter().any(|w| w.len() >= key_head(id) && id.starts_with(w.trim_end_matches('…'))))
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
