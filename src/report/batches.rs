//! The rows of one statement as the facts take them.
//! In: a batch of the engine. Out: its cells, of whatever width the engine made them.
//! Never takes a text for a number or a time: a column of another kind is as good as none.

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use super::rows::FactRows;

impl FactRows for RecordBatch {
    fn count(&self) -> usize {
        self.num_rows()
    }

    fn text(&self, row: usize, column: &str) -> Option<String> {
        text_at(cell(self, row, column)?, row)
    }

    fn int(&self, row: usize, column: &str) -> Option<i64> {
        let column = cell(self, row, column)?;
        match column.data_type() {
            DataType::Int8 => number::<Int8Type>(column, row),
            DataType::Int16 => number::<Int16Type>(column, row),
            DataType::Int32 => number::<Int32Type>(column, row),
            DataType::Int64 => number::<Int64Type>(column, row),
            DataType::UInt8 => number::<UInt8Type>(column, row),
            DataType::UInt16 => number::<UInt16Type>(column, row),
            DataType::UInt32 => number::<UInt32Type>(column, row),
            DataType::UInt64 => number::<UInt64Type>(column, row),
            // The engine's type for what is UInt64 on one side of a CASE and Int64 on the other.
            DataType::Decimal128(_, 0) => number::<Decimal128Type>(column, row),
            _ => None,
        }
    }

    fn time(&self, row: usize, column: &str) -> Option<i64> {
        let column = cell(self, row, column)?;
        let DataType::Timestamp(unit, _) = column.data_type() else { return None };
        match unit {
            TimeUnit::Second => number::<TimestampSecondType>(column, row)?.checked_mul(1_000_000),
            TimeUnit::Millisecond => number::<TimestampMillisecondType>(column, row)?.checked_mul(1_000),
            TimeUnit::Microsecond => number::<TimestampMicrosecondType>(column, row),
            TimeUnit::Nanosecond => Some(number::<TimestampNanosecondType>(column, row)?.div_euclid(1_000)),
        }
    }

    fn flag(&self, row: usize, column: &str) -> Option<bool> {
        Some(cell(self, row, column)?.as_boolean_opt()?.value(row))
    }

    fn texts(&self, row: usize, column: &str) -> Option<Vec<String>> {
        let column = cell(self, row, column)?;
        match column.data_type() {
            DataType::List(_) => items(column.as_list_opt::<i32>()?, row),
            DataType::LargeList(_) => items(column.as_list_opt::<i64>()?, row),
            _ => None,
        }
    }
}

/// The column, where it is there and says something in this row.
fn cell<'r>(rows: &'r RecordBatch, row: usize, column: &str) -> Option<&'r ArrayRef> {
    rows.column_by_name(column).filter(|column| column.is_valid(row))
}

fn text_at(column: &ArrayRef, row: usize) -> Option<String> {
    let text = match column.data_type() {
        DataType::Utf8 => column.as_string_opt::<i32>()?.value(row),
        DataType::LargeUtf8 => column.as_string_opt::<i64>()?.value(row),
        DataType::Utf8View => column.as_string_view_opt()?.value(row),
        _ => return None,
    };
    Some(text.to_owned())
}

fn number<T: ArrowPrimitiveType>(column: &ArrayRef, row: usize) -> Option<i64>
where
    T::Native: TryInto<i64>,
{
    column.as_primitive_opt::<T>()?.value(row).try_into().ok()
}

/// The texts of a list; an item that says nothing is left out.
fn items<O: OffsetSizeTrait>(lists: &GenericListArray<O>, row: usize) -> Option<Vec<String>> {
    let items = lists.value(row);
    match items.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let said = (0..items.len()).filter(|item| items.is_valid(*item));
            Some(said.filter_map(|item| text_at(&items, item)).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Decimal128Array, Int32Array, Int64Array, LargeStringArray, ListArray, StringArray,
        StringViewArray, TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
    };

    use super::*;

    #[test]
    fn cells_are_read_in_every_width() {
        let texts = [Some("a"), None];
        let decimals = Decimal128Array::from(vec![Some(7), None]).with_precision_and_scale(20, 0).unwrap();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("utf8", Arc::new(StringArray::from(texts.to_vec()))),
            ("large", Arc::new(LargeStringArray::from(texts.to_vec()))),
            ("view", Arc::new(StringViewArray::from(texts.to_vec()))),
            ("int32", Arc::new(Int32Array::from(vec![Some(7), None]))),
            ("int64", Arc::new(Int64Array::from(vec![Some(7), None]))),
            ("decimal", Arc::new(decimals)),
            ("uint64", Arc::new(UInt64Array::from(vec![Some(7), None]))),
            ("micros", Arc::new(TimestampMicrosecondArray::from(vec![Some(9), None]).with_timezone("UTC"))),
            ("nanos", Arc::new(TimestampNanosecondArray::from(vec![Some(9_999), None]))),
            ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            (
                "list",
                Arc::new(ListArray::from_nested_iter::<arrow::array::StringBuilder, _, _, _>(vec![
                    Some(vec![Some("a"), None]),
                    None,
                ])),
            ),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        for column in ["utf8", "large", "view"] {
            assert_eq!((rows.text(0, column), rows.text(1, column)), (Some("a".to_owned()), None), "{column}");
        }
        for column in ["int32", "int64", "uint64", "decimal"] {
            assert_eq!((rows.int(0, column), rows.int(1, column)), (Some(7), None), "{column}");
        }
        for column in ["micros", "nanos"] {
            assert_eq!((rows.time(0, column), rows.time(1, column)), (Some(9), None), "{column}");
        }
        assert_eq!((rows.flag(0, "flag"), rows.flag(1, "flag")), (Some(true), None));
        assert_eq!((rows.texts(0, "list"), rows.texts(1, "list")), (Some(vec!["a".to_owned()]), None));
        assert_eq!((rows.text(0, "int64"), rows.int(0, "utf8"), rows.time(0, "none")), (None, None, None));
    }
}
