//! Who and what would notice the loss of a key.
//! In: successful uses of keys in the interval with those that they name, and open grants, in any order.
//! Out: one row for a key and a dependent, by key, kind and name. It holds one entry a dependent, never a call.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Int, Text, Timestamp};

use super::input::InputBatch;
use super::moment::TimeSpan;
use super::output::{OutputCell, OutputRows, column};
use super::{Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const KEY_DEPENDENTS: DerivedTable = DerivedTable {
    name: "key_dependents",
    columns: COLUMNS,
    by: &["key_arn"],
    unique: &[],
    time: RowTime::None,
    start: |_| Box::new(AllDependents::default()),
};

const COLUMNS: &[OutputColumn] = &[
    column("key_arn", Text),
    column("kind", Text),
    column("dependent", Text),
    column("calls", Int),
    column("first_seen", Timestamp),
    column("last_seen", Timestamp),
];

/// The columns of the input that name a dependent, by its kind.
const KINDS: &[(&str, &str)] = &[
    ("former_table", "former_table"),
    ("grant", "grant_id"),
    ("principal", "principal"),
    ("resource", "resource"),
    ("service", "service"),
    ("table", "table_dependent"),
];

/// Rough size of a key or a dependent, with its place and without its text.
const ENTRY_BYTES: usize = 128;

/// The dependents so far, of each key by kind and name.
#[derive(Debug, Default)]
struct AllDependents {
    keys: BTreeMap<String, Vec<BTreeMap<String, DependentUse>>>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct DependentUse {
    calls: i64,
    first: TimeSpan,
    last: TimeSpan,
}

impl Derivation for AllDependents {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let batch = InputBatch::new("key_dependents", rows);
        let (arns, first, last) = (batch.texts("key_arn")?, batch.times("first_seen")?, batch.times("last_seen")?);
        let names: Vec<_> = KINDS.iter().map(|(_, column)| batch.texts(column)).collect::<Result<_, _>>()?;
        for row in 0..batch.len() {
            let Some(arn) = arns.get(row) else { continue };
            if !self.keys.contains_key(arn) {
                self.bytes += ENTRY_BYTES + arn.len();
                self.keys.insert(arn.to_owned(), KINDS.iter().map(|_| BTreeMap::new()).collect());
            }
            let kinds = self.keys.get_mut(arn).expect("it was just put there");
            for (of_kind, names) in kinds.iter_mut().zip(&names) {
                let Some(name) = names.get(row) else { continue };
                if !of_kind.contains_key(name) {
                    self.bytes += ENTRY_BYTES + name.len();
                    of_kind.insert(name.to_owned(), DependentUse::default());
                }
                let dependent = of_kind.get_mut(name).expect("it was just put there");
                dependent.calls += 1;
                dependent.first.note(first.get(row));
                dependent.last.note(last.get(row));
            }
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        for (arn, kinds) in &self.keys {
            for ((kind, _), of_kind) in KINDS.iter().zip(kinds) {
                for (name, dependent) in of_kind {
                    rows.push([
                        arn.into(),
                        (*kind).into(),
                        name.into(),
                        // AWS does not log which grant allowed a call.
                        OutputCell::Count(Some(dependent.calls).filter(|_| *kind != "grant")),
                        OutputCell::Time(dependent.first.first()),
                        OutputCell::Time(dependent.last.last()),
                    ])?;
                }
            }
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::AskedInterval;
    use super::super::testing::{assert_order_free, batch, lines};
    use super::*;

    /// Uses and grants, `KEY FIRST LAST FORMER GRANT PRINCIPAL RESOURCE SERVICE TABLE` each; `-` is NULL.
    fn dependents(records: &str) -> String {
        let records = records.split(", ").map(|record| {
            let words: Vec<Option<&str>> = record.split(' ').map(|word| (word != "-").then_some(word)).collect();
            let time = |place: usize| OutputCell::Time(words[place].and_then(|time| time.parse().ok()));
            let mut cells = vec![("key_arn", words[0].into()), ("first_seen", time(1)), ("last_seen", time(2))];
            cells.extend(KINDS.iter().zip(&words[3..]).map(|((_, column), word)| (*column, (*word).into())));
            batch(&cells)
        });
        lines(&assert_order_free(&KEY_DEPENDENTS, AskedInterval::default(), &records.collect::<Vec<_>>()))
    }

    #[test]
    fn each_dependent_of_a_key_is_one_row() {
        assert_eq!(
            dependents(
                "k 5 5 - - app - dynamodb orders, k 3 3 - - app - dynamodb orders, k 4 4 - - app - - -, \
                 l 9 9 - - app arn:s3 s3 -, k 7 7 - - - - dynamodb orders, k 1 8 - g - - - -, l 2 - - g - - - -, \
                 k 6 6 old - - - dynamodb -"
            ),
            "k former_table old 1 6 6; k grant g - 1 8; k principal app 3 3 5; k service dynamodb 4 3 7; k table orders 3 3 7; \
             l grant g - 2 -; l principal app 1 9 9; l resource arn:s3 1 9 9; l service s3 1 9 9"
        );
        assert_eq!(dependents("k - - - - app - - -"), "k principal app 1 - -");
    }

    #[test]
    fn a_million_calls_of_one_principal_are_one_entry() {
        let call = batch(&[
            ("key_arn", "k".into()),
            ("first_seen", OutputCell::Time(Some(1))),
            ("last_seen", OutputCell::Time(Some(1))),
            ("former_table", OutputCell::Text(None)),
            ("grant_id", OutputCell::Text(None)),
            ("principal", "app".into()),
            ("resource", OutputCell::Text(None)),
            ("service", OutputCell::Text(None)),
            ("table_dependent", OutputCell::Text(None)),
        ]);
        let calls = arrow::compute::concat_batches(&call.schema(), &vec![call.clone(); 1000]).unwrap();
        let mut all = AllDependents::default();
        (0..1000).for_each(|_| all.take(&calls).unwrap());
        assert_eq!(all.bytes_held(), 2 * ENTRY_BYTES + "kapp".len());
        assert_eq!(lines(&Box::new(all).finish().unwrap()), "k principal app 1000000 1 1");
    }
}
