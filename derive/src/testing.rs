//! Inputs of derived tables as data, and their rows as text, for tests.
//! In: cells by column. Out: batches of one row, and the rows of a table as lines. Never in the product.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimestampMicrosecondType};
use keytrail_rows::schema::ColumnType;
use std::cell::Cell;
use std::sync::Arc;

use super::output::{ColumnBuilder, OutputCell};
use super::{AskedInterval, DerivedTable};

/// A batch of one row. A cell without a value has its type all the same.
pub(crate) fn batch(cells: &[(&str, OutputCell<'_>)]) -> RecordBatch {
    let type_of = |cell: &OutputCell<'_>| match cell {
        OutputCell::Text(_) => ColumnType::Text,
        OutputCell::Time(_) => ColumnType::Timestamp,
        OutputCell::Flag(_) => ColumnType::Bool,
        OutputCell::Count(_) => ColumnType::Int,
        OutputCell::Day(_) => ColumnType::Date,
        OutputCell::Texts(_) => ColumnType::TextList,
        OutputCell::Pairs(_) => ColumnType::Map,
    };
    let columns = cells.iter().map(|(_, cell)| {
        let mut column = ColumnBuilder::new(type_of(cell));
        assert!(column.append(cell).unwrap());
        column.finish()
    });
    let columns: Vec<_> = columns.collect();
    let fields =
        cells.iter().zip(&columns).map(|((name, _), column)| Field::new(*name, column.data_type().clone(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
}

/// The rows of a table. They are the same for its input forwards, backwards and in one piece.
pub(crate) fn assert_order_free(table: &DerivedTable, interval: AskedInterval, rows: &[RecordBatch]) -> RecordBatch {
    let derived = |rows: &mut dyn Iterator<Item = &RecordBatch>| {
        let mut derivation = (table.start)(&interval);
        rows.for_each(|rows| derivation.take(rows).unwrap());
        assert!(derivation.bytes_held() < 1 << 20);
        derivation.finish().unwrap()
    };
    let forwards = derived(&mut rows.iter());
    assert_eq!(forwards, derived(&mut rows.iter().rev()));
    if let Some(first) = rows.first() {
        assert_eq!(forwards, derived(&mut [concat_batches(&first.schema(), rows).unwrap()].iter()));
    }
    assert_eq!(forwards.schema(), table.schema());
    forwards
}

/// The rows as text: cells with blanks between, `;` between rows, `-` for NULL, times in microseconds.
pub(crate) fn lines(rows: &RecordBatch) -> String {
    let line = |row| rows.columns().iter().map(|column| cell(column.as_ref(), row)).collect::<Vec<_>>().join(" ");
    (0..rows.num_rows()).map(line).collect::<Vec<_>>().join("; ")
}

fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "-".to_owned();
    }
    let texts = |items: &dyn Array| items.as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>();
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Timestamp(..) => column.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::List(_) => format!("[{}]", texts(&column.as_list::<i32>().value(row)).join(",")),
        DataType::Map(..) => {
            let pairs = column.as_map().value(row);
            let pairs = texts(pairs.column(0)).into_iter().zip(texts(pairs.column(1)));
            format!("{{{}}}", pairs.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","))
        }
        other => unreachable!("no column is {other}"),
    }
}

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// Counts one look at a change, so that tests can tell how work grows without a clock.
pub(crate) fn count_look() {
    LOOKS.set(LOOKS.get() + 1);
}

/// The looks of this thread so far.
pub(crate) fn looks() -> usize {
    LOOKS.get()
}
