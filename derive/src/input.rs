//! The cells of one batch of a derived table's input, by column and row.
//! In: a batch. Out: typed cells, NULL as `None`. Never guesses a column: one that is missing or of another type is an
//! error that names it.

use arrow::array::{
    Array, AsArray, BooleanArray, Int64Array, ListArray, MapArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;

/// One batch of the input of a table.
#[derive(Debug, Clone, Copy)]
pub struct InputBatch<'a> {
    table: &'static str,
    rows: &'a RecordBatch,
}

impl<'a> InputBatch<'a> {
    /// The batch of the table with this name.
    pub fn new(table: &'static str, rows: &'a RecordBatch) -> InputBatch<'a> {
        InputBatch { table, rows }
    }

    /// The number of rows.
    pub fn len(self) -> usize {
        self.rows.num_rows()
    }

    /// A column of texts.
    ///
    /// # Errors
    /// Fails, as all the others do, if there is no column of this name and type.
    pub fn texts(self, name: &str) -> Result<TextCells<'a>, ArrowError> {
        self.column(name, |column| column.as_string_opt::<i32>()).map(TextCells)
    }

    /// A column of times, in microseconds since 1970.
    pub fn times(self, name: &str) -> Result<TimeCells<'a>, ArrowError> {
        self.column(name, |column| column.as_primitive_opt::<TimestampMicrosecondType>()).map(TimeCells)
    }

    /// A column of true and false.
    pub fn flags(self, name: &str) -> Result<FlagCells<'a>, ArrowError> {
        self.column(name, |column| column.as_boolean_opt()).map(FlagCells)
    }

    /// A column of whole numbers.
    pub fn counts(self, name: &str) -> Result<CountCells<'a>, ArrowError> {
        self.column(name, |column| column.as_primitive_opt::<Int64Type>()).map(CountCells)
    }

    /// A column of lists of texts.
    pub fn text_lists(self, name: &str) -> Result<ListCells<'a>, ArrowError> {
        self.column(name, |column| column.as_list_opt::<i32>()).map(ListCells)
    }

    /// A column of maps from text to text.
    pub fn maps(self, name: &str) -> Result<MapCells<'a>, ArrowError> {
        self.column(name, |column| column.as_map_opt()).map(MapCells)
    }

    fn column<T>(self, name: &str, typed: fn(&'a dyn Array) -> Option<T>) -> Result<T, ArrowError> {
        let missing = || ArrowError::SchemaError(format!("the input of `{}` has no `{name}` of its type", self.table));
        self.rows.column_by_name(name).and_then(|column| typed(column.as_ref())).ok_or_else(missing)
    }
}

/// A column of texts.
#[derive(Debug, Clone, Copy)]
pub struct TextCells<'a>(&'a StringArray);

impl<'a> TextCells<'a> {
    /// The text of a row.
    pub fn get(self, row: usize) -> Option<&'a str> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }

    /// The text of a row, held beyond the batch.
    pub fn owned(self, row: usize) -> Option<String> {
        self.get(row).map(str::to_owned)
    }
}

/// A column of times.
#[derive(Debug, Clone, Copy)]
pub struct TimeCells<'a>(&'a TimestampMicrosecondArray);

impl TimeCells<'_> {
    /// The time of a row.
    pub fn get(self, row: usize) -> Option<i64> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

/// A column of true and false.
#[derive(Debug, Clone, Copy)]
pub struct FlagCells<'a>(&'a BooleanArray);

impl FlagCells<'_> {
    /// The value of a row.
    pub fn get(self, row: usize) -> Option<bool> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }

    /// True where the row says so; NULL is no.
    pub fn is_set(self, row: usize) -> bool {
        self.get(row) == Some(true)
    }
}

/// A column of whole numbers.
#[derive(Debug, Clone, Copy)]
pub struct CountCells<'a>(&'a Int64Array);

impl CountCells<'_> {
    /// The number of a row.
    pub fn get(self, row: usize) -> Option<i64> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

/// A column of lists of texts.
#[derive(Debug, Clone, Copy)]
pub struct ListCells<'a>(&'a ListArray);

impl ListCells<'_> {
    /// The texts of a row, without its NULLs.
    pub fn get(self, row: usize) -> Option<Vec<String>> {
        let items = self.0.is_valid(row).then(|| self.0.value(row))?;
        Some(items.as_string_opt::<i32>()?.iter().flatten().map(str::to_owned).collect())
    }
}

/// A column of maps.
#[derive(Debug, Clone, Copy)]
pub struct MapCells<'a>(&'a MapArray);

impl MapCells<'_> {
    /// The pairs of a row, in its order, without those that lack a value.
    pub fn get(self, row: usize) -> Option<Vec<(String, String)>> {
        let pairs = self.0.is_valid(row).then(|| self.0.value(row))?;
        let (keys, values) = (pairs.column(0).as_string_opt::<i32>()?, pairs.column(1).as_string_opt::<i32>()?);
        let pairs =
            keys.iter().zip(values.iter()).filter_map(|(key, value)| Some((key?.to_owned(), value?.to_owned())));
        Some(pairs.collect())
    }
}

/// Batches of inputs, for the tests of all tables.
#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;

    use super::*;

    /// A batch of texts, `-` for NULL; the columns `event_time` and `ended` have whole seconds.
    pub(crate) fn batch<const N: usize>(columns: [&str; N], rows: &[[&str; N]]) -> RecordBatch {
        let column = |place: usize| {
            let cells = rows.iter().map(|row| (row[place] != "-").then_some(row[place]));
            match columns[place] {
                "event_time" | "ended" | "session_created" => {
                    let times = cells.map(|cell| cell.map(|seconds| seconds.parse::<i64>().unwrap() * 1_000_000));
                    Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC")) as ArrayRef
                }
                _ => Arc::new(cells.collect::<StringArray>()) as ArrayRef,
            }
        };
        let named = columns.iter().enumerate().map(|(place, name)| (*name, column(place), true));
        RecordBatch::try_from_iter_with_nullable(named).unwrap()
    }

    /// The rows of a table as lines: texts, seconds and numbers, `-` for NULL.
    pub(crate) fn lines(rows: &RecordBatch) -> Vec<String> {
        let cell = |column: &ArrayRef, row: usize| {
            if column.is_null(row) {
                return "-".to_owned();
            }
            if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
                return (times.value(row) / 1_000_000).to_string();
            }
            arrow::util::display::array_value_to_string(column, row).unwrap()
        };
        let line = |row| rows.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join(" ");
        (0..rows.num_rows()).map(line).collect()
    }
}
