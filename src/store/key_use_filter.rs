//! Narrows a store that has all events to those that `--events key-use` keeps.
//! In: the records of its rows. Out: an expression that keeps the rows that a scan of the logs would keep.
//! Never drops a row whose record it cannot read again.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::cast::as_string_array;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarUDF, Volatility, col, create_udf};

use crate::json::JsonTree;
use crate::normalize::{EventFilter, Record, passes};
use crate::schema::Column;

/// True if [`EventFilter::KeyUse`] keeps a row.
pub(super) fn bears_on_keys() -> Expr {
    static BEARS_ON_KEYS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let types = (vec![DataType::Utf8], DataType::Boolean);
        Arc::new(create_udf("bears_on_keys", types.0, types.1, Volatility::Immutable, Arc::new(decide)))
    });
    BEARS_ON_KEYS.call(vec![col(Column::Raw.name())])
}

fn decide(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let records = ColumnarValue::values_to_arrays(arguments)?;
    let kept: ArrayRef = Arc::new(kept(as_string_array(&records[0])?));
    Ok(ColumnarValue::Array(kept))
}

fn kept(records: &StringArray) -> BooleanArray {
    let mut tree = JsonTree::new();
    let mut is_kept = |record: &str| {
        tree.parse(record.as_bytes()).map_or(true, |value| passes(EventFilter::KeyUse, &Record::of(value)))
    };
    records.iter().map(|record| Some(record.is_none_or(&mut is_kept))).collect()
}
