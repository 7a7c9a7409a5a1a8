//! Statistics of the columns of a file: those that its log has, and those of rows that were read back.
//! In: columns, a part at a time. Out: least and greatest values, NULLs and sums as the log has them, and a difference.
//! Never keeps a bound that is too long for the log.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use chrono::DateTime;
use deltalake::kernel::Add;
use serde_json::{Map, Value, json};

use crate::time::MICROS_PER_DAY;

/// A longer text is no bound worth keeping in the log.
const BOUND_BYTES_MAX: usize = 256;
/// The begin of the tag of an `Add` with the sum of a column.
pub(super) const SUM_TAG: &str = "keytrail.sum.";

/// The statistics of a file for the log, by the names of its columns.
pub(super) fn stats<'a>(rows: usize, columns: impl Iterator<Item = (&'a str, &'a ColumnBounds)>) -> Value {
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (name, bounds) in columns {
        nulls.insert(name.to_owned(), bounds.nulls.into());
        if let Some((low, high)) = bounds.span.as_ref().filter(|_| !bounds.unbounded) {
            least.insert(name.to_owned(), low.json());
            greatest.insert(name.to_owned(), high.json());
        }
    }
    json!({ "numRecords": rows, "minValues": least, "maxValues": greatest, "nullCount": nulls })
}

/// The statistics of rows that are read back, to be compared with those in the log.
pub(super) struct RowStats {
    /// The columns that have bounds, and those that have sums.
    bounded: &'static [&'static str],
    summed: &'static [&'static str],
    rows: usize,
    bounds: BTreeMap<&'static str, ColumnBounds>,
    sums: BTreeMap<&'static str, u64>,
}

impl RowStats {
    /// The log has bounds of some columns, and sums of others.
    pub fn new(bounded: &'static [&'static str], summed: &'static [&'static str]) -> RowStats {
        RowStats { bounded, summed, rows: 0, bounds: BTreeMap::new(), sums: BTreeMap::new() }
    }

    /// Takes in rows, with those columns as far as their file has them.
    pub fn add(&mut self, rows: &RecordBatch) {
        self.rows += rows.num_rows();
        for name in self.bounded {
            if let Some(column) = rows.column_by_name(name) {
                self.bounds.entry(name).or_default().add(column);
            }
        }
        for name in self.summed {
            if let Some(column) = rows.column_by_name(name).filter(|column| *column.data_type() == DataType::Int64) {
                let sum = self.sums.entry(name).or_default();
                *sum = sum.saturating_add(sum_of(column));
            }
        }
    }

    /// The first thing that the log says otherwise than the rows. Columns that it leaves out are no fault.
    pub fn fault(&self, add: &Add) -> Option<String> {
        let own = stats(self.rows, self.bounds.iter().map(|(name, bounds)| (*name, bounds)));
        let logged: Value = serde_json::from_str(add.stats.as_deref().unwrap_or_default()).unwrap_or_default();
        if logged["numRecords"] != own["numRecords"] {
            return Some(format!("has {} rows, not {}", own["numRecords"], logged["numRecords"]));
        }
        let wrong = ["minValues", "maxValues", "nullCount"].into_iter().find_map(|which| {
            let named = logged[which].as_object().into_iter().flatten();
            named.filter(|(name, value)| own[which][name.as_str()] != **value).map(|(name, _)| (which, name)).next()
        });
        if let Some((which, name)) = wrong {
            return Some(format!("has another {which} of `{name}` than the log says"));
        }
        let tags = add.tags.iter().flatten();
        let mut sums = tags.filter_map(|(tag, value)| Some((tag.strip_prefix(SUM_TAG)?, value.as_deref())));
        let wrong = sums.find(|(name, said)| {
            let sum = self.sums.get(name).copied().unwrap_or(0);
            said.is_none_or(|said| said != sum.to_string())
        });
        wrong.map(|(name, _)| format!("has another sum of `{name}` than the log says"))
    }
}

/// The sum of a column of counts; that of a damaged file may be too large to have one.
pub(super) fn sum_of(column: &ArrayRef) -> u64 {
    let counts = column.as_primitive::<Int64Type>().iter().flatten();
    counts.fold(0, |sum, count| sum.saturating_add(count.unsigned_abs()))
}

/// The least and greatest values of a column, as far as they are known.
#[derive(Default)]
pub(super) struct ColumnBounds {
    span: Option<(BoundValue, BoundValue)>,
    nulls: u64,
    unbounded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum BoundValue {
    Number(i64),
    /// Days since 1970.
    Day(i32),
    /// Microseconds since 1970.
    Time(i64),
    Text(String),
}

impl ColumnBounds {
    /// Takes in values.
    pub fn add(&mut self, column: &ArrayRef) {
        self.nulls += column.null_count() as u64;
        let span = match column.data_type() {
            DataType::Utf8 => {
                let text = column.as_string::<i32>();
                let bound = |text: Option<&str>| text.map(|text| BoundValue::Text(text.to_owned()));
                bound(min_string(text)).zip(bound(max_string(text)))
            }
            DataType::Dictionary(..) => span_of_used(column.as_dictionary()),
            DataType::Int64 => {
                let numbers = column.as_primitive::<Int64Type>();
                min(numbers).map(BoundValue::Number).zip(max(numbers).map(BoundValue::Number))
            }
            DataType::Date32 => {
                let days = column.as_primitive::<Date32Type>();
                min(days).map(BoundValue::Day).zip(max(days).map(BoundValue::Day))
            }
            DataType::Timestamp(..) => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                // The log keeps milliseconds, and no time may lie beyond the greatest.
                let up = |micros: i64| BoundValue::Time(micros.saturating_add(999).div_euclid(1000) * 1000);
                min(times).map(BoundValue::Time).zip(max(times).map(up))
            }
            _ => None,
        };
        let Some((low, high)) = span else { return };
        let is_long = |bound: &BoundValue| matches!(bound, BoundValue::Text(text) if text.len() > BOUND_BYTES_MAX);
        self.unbounded |= is_long(&low) || is_long(&high);
        self.span = Some(match self.span.take() {
            Some((least, greatest)) => (least.min(low), greatest.max(high)),
            None => (low, high),
        });
    }
}

/// The least and greatest of the values that rows have; a dictionary may have others.
fn span_of_used(column: &DictionaryArray<Int32Type>) -> Option<(BoundValue, BoundValue)> {
    let values = column.values().as_string_opt::<i32>()?;
    let mut is_used = vec![false; values.len()];
    column.keys().iter().flatten().for_each(|key| is_used[key as usize] = true);
    let used = || values.iter().zip(&is_used).filter(|(_, is_used)| **is_used).filter_map(|(value, _)| value);
    let bound = |text: &str| BoundValue::Text(text.to_owned());
    Some((bound(used().min()?), bound(used().max()?)))
}

impl BoundValue {
    fn json(&self) -> Value {
        match self {
            BoundValue::Text(text) => text.clone().into(),
            BoundValue::Number(number) => (*number).into(),
            BoundValue::Day(day) => iso(i64::from(*day) * MICROS_PER_DAY, "%Y-%m-%d"),
            BoundValue::Time(micros) => iso(*micros, "%Y-%m-%dT%H:%M:%S%.3fZ"),
        }
    }
}

fn iso(micros: i64, format: &str) -> Value {
    DateTime::from_timestamp_micros(micros).map_or(Value::Null, |time| time.format(format).to_string().into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn bounds_hold_over_batches_and_long_texts_have_none() {
        let long = "x".repeat(BOUND_BYTES_MAX + 1);
        let dictionary: DictionaryArray<Int32Type> = [Some("z"), Some("b"), None, Some("a")].into_iter().collect();
        let columns: [(&str, Vec<ArrayRef>, Value); 5] = [
            (
                "text",
                vec![Arc::new(StringArray::from(vec![Some("b"), None])), Arc::new(StringArray::from(vec!["a"]))],
                json!(["a", "b", 1]),
            ),
            ("long", vec![Arc::new(StringArray::from(vec!["a", &long]))], json!([null, null, 0])),
            ("used", vec![Arc::new(dictionary.slice(1, 3))], json!(["a", "b", 1])),
            ("number", vec![Arc::new(Int64Array::from(vec![3, -1]))], json!([-1, 3, 0])),
            (
                "time",
                vec![Arc::new(TimestampMicrosecondArray::from(vec![1_500_250, 0]))],
                json!(["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.501Z", 0]),
            ),
        ];
        for (name, batches, expected) in columns {
            let mut bounds = ColumnBounds::default();
            batches.iter().for_each(|batch| bounds.add(batch));
            let span = bounds.span.filter(|_| !bounds.unbounded);
            let (low, high) = span.map_or((Value::Null, Value::Null), |(l, h)| (l.json(), h.json()));
            assert_eq!(json!([low, high, bounds.nulls]), expected, "{name}");
        }
    }
}
