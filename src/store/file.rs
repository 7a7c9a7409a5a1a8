//! One Parquet file of a table, and what the log must know of it.
//! In: batches of rows, sorted by the caller. Out: [`Encoded`], and the `Add` of a file that was put in its place.
//! Never sorts, and never names a file before it is whole.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Date32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use chrono::DateTime;
use deltalake::kernel::Add;
use object_store::ObjectStoreExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value, json};

use super::StoreError;
use super::hash::{LogicalHash, sha256_hex};
use super::place::{Place, unique};
use crate::table::CONTENT_HASH;

/// Rows of a row group: what a reader must take at least to find one key.
const GROUP_ROWS_MAX: usize = 128 << 10;
/// Rows of a page, the unit that page indexes can leave out.
const PAGE_ROWS_MAX: usize = 8 << 10;
/// A longer text is no bound worth keeping in the log.
const BOUND_BYTES_MAX: usize = 256;

/// The key of a file's footer under which its part of the logical hash stands.
pub(super) const HASH_KEY: &str = "keytrail.logicalHash";
/// The tag of an `Add` with the hash of the file's bytes.
pub(super) const SHA256_TAG: &str = "keytrail.sha256";

/// How the files of a table are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Columns whose least and greatest values the log holds.
    pub bounds: &'static [&'static str],
    pub sorted_by: &'static [&'static str],
    /// Columns with bloom filters, and how many values a row group may hold.
    pub blooms: &'static [(&'static str, u64)],
    /// Columns whose values hardly repeat.
    pub unique: &'static [&'static str],
    /// Long columns that nobody compares.
    pub opaque: &'static [&'static str],
}

impl Layout {
    fn properties(&self, schema: &SchemaRef) -> Result<WriterProperties, ParquetError> {
        let column = |name: &str| ColumnPath::new(vec![name.to_owned()]);
        let mut builder: WriterPropertiesBuilder = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .set_created_by(format!("keytrail {}", env!("CARGO_PKG_VERSION")))
            .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
            .set_data_page_row_count_limit(PAGE_ROWS_MAX)
            .set_statistics_enabled(EnabledStatistics::Page)
            // Maps and lists as the format names their parts, which is how others look for them.
            .set_coerce_types(true);
        let sorting = self.sorted_by.iter().filter_map(|name| schema.index_of(name).ok());
        let sorting =
            sorting.map(|index| SortingColumn { column_idx: index as i32, descending: false, nulls_first: true });
        builder = builder.set_sorting_columns(Some(sorting.collect()));
        for (name, values) in self.blooms {
            builder = builder
                .set_column_bloom_filter_enabled(column(name), true)
                .set_column_bloom_filter_max_ndv(column(name), *values);
        }
        for name in self.unique {
            builder = builder.set_column_dictionary_enabled(column(name), false);
        }
        for name in self.opaque {
            builder = builder.set_column_statistics_enabled(column(name), EnabledStatistics::None);
        }
        Ok(builder.build())
    }
}

/// Writes the rows of one file into memory.
pub(super) struct Encoder {
    writer: ArrowWriter<Vec<u8>>,
    bounds: Vec<(String, Bounds)>,
    hash: Option<LogicalHash>,
    rows: usize,
}

/// A file that has no place yet.
pub(super) struct Encoded {
    bytes: Vec<u8>,
    pub rows: usize,
    stats: String,
}

impl Encoder {
    pub fn new(schema: &SchemaRef, layout: &Layout) -> Result<Encoder, ParquetError> {
        let (bounds, properties) = (layout.bounds.iter(), layout.properties(schema)?);
        Ok(Encoder {
            writer: ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties))?,
            bounds: bounds.map(|name| ((*name).to_owned(), Bounds::default())).collect(),
            hash: schema.index_of(CONTENT_HASH).is_ok().then(LogicalHash::default),
            rows: 0,
        })
    }

    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        self.rows += rows.num_rows();
        for (name, bounds) in &mut self.bounds {
            bounds.add(&rows[name.as_str()]);
        }
        if let Some(hash) = &mut self.hash {
            hash.add_rows(rows);
        }
        self.writer.write(rows)
    }

    /// The logical hash of the rows so far, of a table that has one.
    pub fn hash(&self) -> Option<LogicalHash> {
        self.hash
    }

    pub fn finish(mut self) -> Result<Encoded, ParquetError> {
        if let Some(hash) = self.hash {
            self.writer.append_key_value_metadata(KeyValue::new(HASH_KEY.to_owned(), hash.to_string()));
        }
        let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
        for (name, bounds) in self.bounds {
            nulls.insert(name.clone(), bounds.nulls.into());
            if let Some((low, high)) = bounds.span.filter(|_| !bounds.unbounded) {
                least.insert(name.clone(), low.json(bounds.is_date));
                greatest.insert(name, high.json(bounds.is_date));
            }
        }
        let stats = json!({
            "numRecords": self.rows, "minValues": least, "maxValues": greatest, "nullCount": nulls,
        });
        Ok(Encoded { bytes: self.writer.into_inner()?, rows: self.rows, stats: stats.to_string() })
    }
}

impl Encoded {
    /// Puts the file into a table, under a name that nobody else has.
    pub async fn put(
        self,
        place: &Place,
        table: &str,
        partition: Option<(&str, Option<String>)>,
    ) -> Result<Add, StoreError> {
        let folder = partition.as_ref().map_or(String::new(), |(column, value)| {
            format!("{column}={}/", value.as_deref().unwrap_or("__HIVE_DEFAULT_PARTITION__"))
        });
        let inside = format!("{folder}{}.parquet", unique());
        let (size, sha256) = (self.bytes.len() as i64, sha256_hex(&self.bytes));
        let path = place.path(&format!("{table}/{inside}"));
        let put = place.store.put(&path, self.bytes.into()).await;
        put.map_err(|source| StoreError::Objects { what: path.to_string(), source })?;
        Ok(Add {
            path: inside,
            partition_values: partition.map(|(column, value)| (column.to_owned(), value)).into_iter().collect(),
            size,
            modification_time: crate::time::now_micros() / 1000,
            data_change: true,
            stats: Some(self.stats),
            tags: Some(HashMap::from([(SHA256_TAG.to_owned(), Some(sha256))])),
            ..Add::default()
        })
    }
}

/// The least and greatest values of a column, as far as they can be told.
#[derive(Default)]
struct Bounds {
    span: Option<(Bound, Bound)>,
    nulls: u64,
    unbounded: bool,
    is_date: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Number(i64),
    /// Microseconds since 1970.
    Time(i64),
    Text(String),
}

impl Bounds {
    fn add(&mut self, column: &ArrayRef) {
        self.nulls += column.null_count() as u64;
        let span = match column.data_type() {
            DataType::Utf8 => {
                let text = column.as_string::<i32>();
                let bound = |text: Option<&str>| text.map(|text| Bound::Text(text.to_owned()));
                bound(min_string(text)).zip(bound(max_string(text)))
            }
            DataType::Int64 => {
                let numbers = column.as_primitive::<Int64Type>();
                min(numbers).map(Bound::Number).zip(max(numbers).map(Bound::Number))
            }
            DataType::Date32 => {
                self.is_date = true;
                let days = column.as_primitive::<Date32Type>();
                let bound = |day: i32| Bound::Number(day.into());
                min(days).map(bound).zip(max(days).map(bound))
            }
            DataType::Timestamp(..) => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                // The log keeps milliseconds, and no time may lie beyond the greatest.
                let up = |micros: i64| Bound::Time(micros.saturating_add(999).div_euclid(1000) * 1000);
                min(times).map(Bound::Time).zip(max(times).map(up))
            }
            _ => None,
        };
        let Some((low, high)) = span else { return };
        let is_long = |bound: &Bound| matches!(bound, Bound::Text(text) if text.len() > BOUND_BYTES_MAX);
        self.unbounded |= is_long(&low) || is_long(&high);
        self.span = Some(match self.span.take() {
            Some((least, greatest)) => (least.min(low), greatest.max(high)),
            None => (low, high),
        });
    }
}

impl Bound {
    fn json(self, is_date: bool) -> Value {
        match self {
            Bound::Text(text) => text.into(),
            Bound::Number(day) if is_date => iso(day * 86_400_000_000, "%Y-%m-%d"),
            Bound::Number(number) => number.into(),
            Bound::Time(micros) => iso(micros, "%Y-%m-%dT%H:%M:%S%.3fZ"),
        }
    }
}

fn iso(micros: i64, format: &str) -> Value {
    DateTime::from_timestamp_micros(micros).map_or(Value::Null, |time| time.format(format).to_string().into())
}

/// The day of an `event_date`, as the name of a partition.
pub(super) fn day_name(day: i32) -> Option<String> {
    DateTime::from_timestamp(i64::from(day) * 86_400, 0).map(|time| time.format("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn bounds_hold_over_batches_and_long_texts_have_none() {
        let long = "x".repeat(BOUND_BYTES_MAX + 1);
        let columns: [(&str, Vec<ArrayRef>, Value); 4] = [
            (
                "text",
                vec![Arc::new(StringArray::from(vec![Some("b"), None])), Arc::new(StringArray::from(vec!["a"]))],
                json!(["a", "b", 1]),
            ),
            ("long", vec![Arc::new(StringArray::from(vec!["a", &long]))], json!([null, null, 0])),
            ("number", vec![Arc::new(Int64Array::from(vec![3, -1]))], json!([-1, 3, 0])),
            (
                "time",
                vec![Arc::new(TimestampMicrosecondArray::from(vec![1_500_250, 0]))],
                json!(["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.501Z", 0]),
            ),
        ];
        for (name, batches, expected) in columns {
            let mut bounds = Bounds::default();
            batches.iter().for_each(|batch| bounds.add(batch));
            let span = bounds.span.filter(|_| !bounds.unbounded);
            let (low, high) = span.map_or((Value::Null, Value::Null), |(l, h)| (l.json(false), h.json(false)));
            assert_eq!(json!([low, high, bounds.nulls]), expected, "{name}");
        }
    }
}
