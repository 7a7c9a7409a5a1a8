//! The use of keys before the interval, as what was usual.
//! In: the calls of KMS from before the interval, in any order. Out: one row a principal, key, account and VPC endpoint that
//! used a key; the other calls tell on which days there are logs at all. Never holds a call: only first, last and number.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Int, Text, Timestamp};
use keytrail_rows::time::day_of;

use super::input::InputBatch;
use super::output::{OutputCell, OutputRows, column};
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const BASELINE: DerivedTable = DerivedTable {
    name: "baseline",
    columns: COLUMNS,
    by: &[],
    unique: &["principal", "key_arn", "account_id", "vpc_endpoint_id"],
    // Its rows are from before the interval.
    time: RowTime::None,
    start: |_: &AskedInterval| Box::new(UsualUse::default()),
};

const COLUMNS: &[OutputColumn] = &[
    column("principal", Text),
    column("key_arn", Text),
    column("account_id", Text),
    column("vpc_endpoint_id", Text),
    column("first_seen", Timestamp),
    column("last_seen", Timestamp),
    column("calls", Int),
    column("days_covered", Int),
];

/// Rough size of an entry without its texts.
const ENTRY_BYTES: usize = 200;

/// Principal, key, account and VPC endpoint.
type UsualKey = [Option<String>; 4];

/// The uses of one principal so far.
#[derive(Debug, Default)]
struct UsualUses {
    first: Option<i64>,
    last: Option<i64>,
    calls: i64,
}

/// All uses so far, and the days of each account.
#[derive(Debug, Default)]
struct UsualUse {
    uses: BTreeMap<UsualKey, UsualUses>,
    days: BTreeMap<Option<String>, BTreeSet<i64>>,
    bytes: usize,
}

impl Derivation for UsualUse {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let batch = InputBatch::new("baseline", rows);
        let columns = ["principal", "key_arn", "account_id", "vpc_endpoint_id"];
        let [principals, keys, accounts, endpoints] = columns.map(|name| batch.texts(name));
        let (principals, keys, accounts, endpoints) = (principals?, keys?, accounts?, endpoints?);
        let (times, is_use) = (batch.times("event_time")?, batch.flags("is_use")?);
        for row in 0..batch.len() {
            let (account, at) = (accounts.owned(row), times.get(row));
            let is_new = at.is_some_and(|at| self.days.entry(account.clone()).or_default().insert(day_of(at)));
            self.bytes += if is_new { size_of::<i64>() } else { 0 };
            if !is_use.is_set(row) {
                continue;
            }
            let key = [principals.owned(row), keys.owned(row), account, endpoints.owned(row)];
            if !self.uses.contains_key(&key) {
                self.bytes += ENTRY_BYTES + key.iter().flatten().map(String::len).sum::<usize>();
            }
            let uses = self.uses.entry(key).or_default();
            uses.first = [uses.first, at].into_iter().flatten().min();
            uses.last = uses.last.max(at);
            uses.calls += 1;
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.bytes
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        for ([principal, key_arn, account_id, vpc_endpoint_id], uses) in &self.uses {
            let days = self.days.get(account_id).map_or(0, BTreeSet::len);
            rows.push([
                OutputCell::from(principal),
                OutputCell::from(key_arn),
                OutputCell::from(account_id),
                OutputCell::from(vpc_endpoint_id),
                OutputCell::Time(uses.first),
                OutputCell::Time(uses.last),
                OutputCell::Count(Some(uses.calls)),
                OutputCell::Count(Some(days as i64)),
            ])?;
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::BooleanArray;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::input::tests::{batch, lines};
    use crate::testing::assert_order_free;

    /// A batch of one row, and whether it is a use of a key.
    fn of(row: RecordBatch, is_use: bool) -> RecordBatch {
        let (mut fields, mut columns) = (row.schema().fields().to_vec(), row.columns().to_vec());
        fields.push(Arc::new(Field::new("is_use", DataType::Boolean, true)));
        columns.push(Arc::new(BooleanArray::from(vec![is_use])));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    #[test]
    fn uses_are_counted_and_their_days_by_account() {
        let columns = ["principal", "key_arn", "account_id", "vpc_endpoint_id", "event_time"];
        let rows = [
            (["p", "k", "1", "vpce-1", "90000"], true),
            (["p", "k", "1", "vpce-1", "10"], true),
            (["p", "k", "1", "-", "20"], true),
            (["q", "k", "1", "-", "200000"], true),
            (["q", "k", "2", "-", "-"], true),
            // A day with logs in which the principal used nothing.
            (["r", "-", "1", "-", "400000"], false),
        ];
        let batches: Vec<RecordBatch> = rows.iter().map(|(row, is_use)| of(batch(columns, &[*row]), *is_use)).collect();
        let usual = assert_order_free(&BASELINE, AskedInterval::default(), &batches);
        assert_eq!(
            lines(&usual),
            ["p k 1 - 20 20 1 4", "p k 1 vpce-1 10 90000 2 4", "q k 1 - 200000 200000 1 4", "q k 2 - - - 1 0"]
        );
    }
}
