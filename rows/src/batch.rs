//! Appends rows to the columns that were asked for.
//! In: rows of `normalize` and where they came from. Out: record batches bounded in bytes. Never adds a column.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Builder, Int64Builder, ListBuilder,
    MapBuilder, RecordBatch, RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::normalize::Row;
use crate::schema::{Column, ColumnType};

/// A batch is closed when its rows hold about this much.
pub const BATCH_BYTES: usize = 2 << 20;
const BATCH_ROWS_MAX: usize = 8192;

/// The origin of a row: its object and its place in it.
pub struct Provenance<'a> {
    pub object_uri: &'a str,
    pub record_index: i64,
    /// Wanted by a builder with that column.
    pub content_hash: Option<[u64; 2]>,
}

/// The column after those of `events`: 16 bytes that are equal where the content of two records is.
pub const CONTENT_HASH: &str = "content_hash";

/// Bytes of the batch's own rows: several batches may be parts of one.
pub fn weight(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(|column| column_weight(column)).sum()
}

/// Bytes of the column's own rows.
pub fn column_weight(column: &dyn Array) -> usize {
    // A slice of lists or maps holds on to all items, and Arrow counts them.
    let (offsets, items): (&[i32], ArrayRef) = match column.data_type() {
        DataType::List(_) => (column.as_list::<i32>().value_offsets(), Arc::clone(column.as_list::<i32>().values())),
        DataType::Map(..) => (column.as_map().value_offsets(), Arc::new(column.as_map().entries().clone())),
        DataType::Struct(_) => return column.as_struct().columns().iter().map(|column| column_weight(column)).sum(),
        // Fails for types without a size, and no column is of one.
        _ => return column.to_data().get_slice_memory_size().unwrap_or_default(),
    };
    let (first, last) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    size_of_val(offsets) + column_weight(&items.slice(first, last - first))
}

enum ColumnBuilder {
    Text(StringBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Map(MapBuilder<StringBuilder, StringBuilder>),
    List(ListBuilder<StringBuilder>),
}

impl ColumnBuilder {
    fn new(ty: ColumnType) -> ColumnBuilder {
        match ty {
            ColumnType::Text => ColumnBuilder::Text(StringBuilder::new()),
            ColumnType::Timestamp => ColumnBuilder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            ColumnType::Date => ColumnBuilder::Date(Date32Builder::new()),
            ColumnType::Bool => ColumnBuilder::Bool(BooleanBuilder::new()),
            ColumnType::Int => ColumnBuilder::Int(Int64Builder::new()),
            ColumnType::Map => ColumnBuilder::Map(MapBuilder::new(None, StringBuilder::new(), StringBuilder::new())),
            ColumnType::TextList => ColumnBuilder::List(ListBuilder::new(StringBuilder::new())),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Text(builder) => {
                // The next batch will be about as large.
                let (rows, bytes) = (builder.len(), builder.values_slice().len());
                let next = StringBuilder::with_capacity(rows, bytes + bytes / 8);
                Arc::new(std::mem::replace(builder, next).finish())
            }
            ColumnBuilder::Timestamp(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Date(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Bool(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Map(builder) => Arc::new(builder.finish()),
            ColumnBuilder::List(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Builders of the wanted columns.
pub struct RowBuilder {
    schema: SchemaRef,
    columns: Vec<(Column, ColumnBuilder)>,
    content_hash: Option<BinaryBuilder>,
    rows: usize,
    bytes: usize,
}

impl RowBuilder {
    /// `schema` holds the columns of `columns`, in that order.
    pub fn new(schema: SchemaRef, columns: &[Column]) -> RowBuilder {
        let columns = columns.iter().map(|&column| (column, ColumnBuilder::new(column.spec().ty))).collect();
        RowBuilder { schema, columns, content_hash: None, rows: 0, bytes: 0 }
    }

    /// The same, with the hash of the content as the last column.
    pub fn with_content_hash(schema: &Schema, columns: &[Column]) -> RowBuilder {
        let mut fields = schema.fields().to_vec();
        fields.push(Arc::new(Field::new(CONTENT_HASH, DataType::Binary, true)));
        let builder = RowBuilder::new(Arc::new(Schema::new(fields)), columns);
        RowBuilder { content_hash: Some(BinaryBuilder::new()), ..builder }
    }

    /// True once a batch should be finished: by its rows, or by their bytes.
    pub fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES
    }

    /// True where no row was appended since the last batch.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends the row's values of the wanted columns. A row cannot fail: what it lacks is NULL.
    pub fn append(&mut self, row: &Row<'_>, from: &Provenance) {
        self.rows += 1;
        if let Some(builder) = &mut self.content_hash {
            let bytes = from.content_hash.map(|halves| halves.map(u64::to_be_bytes));
            builder.append_option(bytes.as_ref().map(|halves| halves.as_flattened()));
        }
        for (column, builder) in &mut self.columns {
            match builder {
                ColumnBuilder::Text(builder) => {
                    let text = match column {
                        Column::ObjectUri => Some(from.object_uri),
                        Column::Integrity => Some("unverified"),
                        column => row.text(*column),
                    };
                    self.bytes += text.map_or(0, str::len) + 4;
                    builder.append_option(text);
                }
                ColumnBuilder::Timestamp(builder) => builder.append_option(row.timestamp(*column)),
                ColumnBuilder::Date(builder) => builder.append_option(row.date()),
                ColumnBuilder::Bool(builder) => builder.append_option(row.boolean(*column)),
                ColumnBuilder::Int(builder) => builder.append_value(from.record_index),
                ColumnBuilder::Map(builder) => {
                    let map = row.map(*column);
                    for (key, value) in map.unwrap_or_default() {
                        self.bytes += key.len() + value.len() + 8;
                        builder.keys().append_value(key);
                        builder.values().append_value(value);
                    }
                    builder.append(map.is_some()).expect("keys and values are appended in pairs");
                }
                ColumnBuilder::List(builder) => {
                    let list = row.list(*column);
                    for item in list {
                        self.bytes += item.len() + 4;
                        builder.values().append_value(item);
                    }
                    builder.append(!list.is_empty());
                }
            }
        }
    }

    /// The rows so far, as one batch; the builder starts again.
    pub fn finish(&mut self) -> RecordBatch {
        let mut arrays: Vec<ArrayRef> = self.columns.iter_mut().map(|(_, builder)| builder.finish()).collect();
        arrays.extend(self.content_hash.as_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .expect("the builders follow the schema")
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use arrow::datatypes::{Date32Type, Int64Type, TimestampMicrosecondType};

    use super::*;
    use crate::json::JsonTree;
    use crate::normalize::{AccountHints, ColumnSet, Record, normalize};
    use crate::schema::{COLUMNS, events_schema, events_schema_of};

    const FULL: &str = r#"{"eventID":"a","eventTime":"2026-03-10T12:00:00Z","eventName":"Decrypt","readOnly":true,
        "eventSource":"kms.amazonaws.com","recipientAccountId":"111122223333","userAgent":"\ud800",
        "requestParameters":{"encryptionContext":{"k":"v","l":"w"}}}"#;

    fn texts(array: &dyn Array) -> Vec<Option<String>> {
        array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
    }

    /// Panics if a row of the batch has another value than the row that it was made of.
    fn compare(batch: &RecordBatch, at: usize, row: &Row<'_>) {
        for column in (0..COLUMNS.len()).map(Column::from_index) {
            let (array, name) = (&batch[column.name()], column.name());
            let one = array.slice(at, 1);
            match column.spec().ty {
                ColumnType::Text => {
                    let text = match column {
                        Column::ObjectUri => Some("x.json"),
                        Column::Integrity => Some("unverified"),
                        column => row.text(column),
                    };
                    assert_eq!(texts(&one), [text.map(str::to_owned)], "{name}");
                }
                ColumnType::Timestamp => {
                    let found = one.as_primitive::<TimestampMicrosecondType>().iter().next().unwrap();
                    assert_eq!(found, row.timestamp(column), "{name}");
                }
                ColumnType::Date => assert_eq!(one.as_primitive::<Date32Type>().iter().next().unwrap(), row.date()),
                ColumnType::Bool => assert_eq!(one.as_boolean().iter().next().unwrap(), row.boolean(column), "{name}"),
                ColumnType::Int => assert_eq!(one.as_primitive::<Int64Type>().values(), &[7 + at as i64]),
                ColumnType::Map => {
                    let found = one.as_map();
                    let parts = [found.value(0).column(0), found.value(0).column(1)].map(|part| texts(part));
                    let expected = row.map(column);
                    let entries = expected.unwrap_or_default().iter();
                    let (keys, values): (Vec<_>, Vec<_>) =
                        entries.map(|(key, value)| (Some(key.to_string()), Some(value.to_string()))).unzip();
                    assert_eq!((found.is_valid(0), parts), (expected.is_some(), [keys, values]), "{name}");
                }
                ColumnType::TextList => {
                    let found = one.as_list::<i32>();
                    let expected: Vec<Option<String>> = row.list(column).iter().cloned().map(Some).collect();
                    assert_eq!((found.is_valid(0), texts(&found.value(0))), (!expected.is_empty(), expected), "{name}");
                }
            }
        }
    }

    #[test]
    fn each_column_has_the_values_of_its_rows() {
        let columns: Vec<Column> = (0..COLUMNS.len()).map(Column::from_index).collect();
        let mut builder = RowBuilder::with_content_hash(&events_schema(), &columns);
        let (mut full, mut bare) = (JsonTree::new(), JsonTree::new());
        let records = [Record::of(full.parse(FULL.as_bytes()).unwrap()), Record::of(bare.parse(b"{}").unwrap())];
        let rows = records.each_ref().map(|record| normalize(record, &AccountHints::default(), ColumnSet::all()));
        assert!(rows[0].encryption_context.is_some() && rows.iter().all(|row| !row.issues.is_empty()));
        // After a batch the builder starts again.
        for _ in 0..2 {
            assert!(builder.is_empty() && !builder.is_full());
            for (at, row) in rows.iter().enumerate() {
                let content_hash = (at == 0).then_some([1, 2 << 56]);
                builder.append(row, &Provenance { object_uri: "x.json", record_index: 7 + at as i64, content_hash });
                assert!(!builder.is_empty());
            }
            let batch = builder.finish();
            assert_eq!((batch.num_rows(), batch.num_columns()), (2, COLUMNS.len() + 1));
            rows.iter().enumerate().for_each(|(at, row)| compare(&batch, at, row));
            let hashes = batch[CONTENT_HASH].as_binary::<i32>();
            assert_eq!(hashes.value(0), [0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0]);
            assert!(hashes.is_null(1));
        }
    }

    /// The rows, all alike, after which a builder of one column is full.
    fn rows_until_full(column: Column, row: &Row<'_>, object_uri: &str) -> usize {
        let mut builder = RowBuilder::new(events_schema_of(&[column]), &[column]);
        let from = Provenance { object_uri, record_index: 0, content_hash: None };
        let mut rows = 0;
        while !builder.is_full() {
            builder.append(row, &from);
            rows += 1;
        }
        assert_eq!(builder.finish().num_rows(), rows);
        assert!(!builder.is_full());
        rows
    }

    #[test]
    fn a_batch_is_full_by_its_rows_or_their_bytes() {
        let none = Row::default();
        assert_eq!(rows_until_full(Column::RecordIndex, &none, ""), BATCH_ROWS_MAX);
        assert_eq!(rows_until_full(Column::EventName, &none, ""), BATCH_ROWS_MAX);
        let quarter = BATCH_BYTES / 4;
        for (bytes, rows) in [(quarter, 4), (quarter - 1, 5)] {
            assert_eq!(rows_until_full(Column::ObjectUri, &none, &"x".repeat(bytes - 4)), rows);
            let row =
                Row { issues: vec!["x".repeat(bytes / 2 - 4), "x".repeat(bytes.div_ceil(2) - 4)], ..Row::default() };
            assert_eq!(rows_until_full(Column::Issues, &row, ""), rows);
            let entry = |bytes: usize| (Cow::Borrowed("key"), Cow::Owned("x".repeat(bytes - 3 - 8)));
            let context = Some(vec![entry(bytes / 2), entry(bytes.div_ceil(2))]);
            let row = Row { encryption_context: context, ..Row::default() };
            assert_eq!(rows_until_full(Column::EncryptionContext, &row, ""), rows);
        }
    }

    #[test]
    fn a_part_of_a_batch_weighs_what_its_own_rows_do() {
        let mut lists = ListBuilder::new(StringBuilder::new());
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for texts in [&["ab", "c"][..], &[], &["defg", "h", "ijk"]] {
            for text in texts {
                lists.values().append_value(text);
                maps.keys().append_value(text);
                maps.values().append_value(text);
            }
            lists.append(true);
            maps.append(true).unwrap();
        }
        let (lists, maps) = (lists.finish(), maps.finish());
        for (first, count, items) in [(0, 3, 0..5), (0, 1, 0..2), (1, 1, 2..2), (1, 2, 2..5), (2, 1, 2..5)] {
            let offsets = 4 * (count + 1);
            let texts = column_weight(&lists.values().slice(items.start, items.len()));
            assert_eq!(column_weight(&lists.slice(first, count)), offsets + texts, "{first} {count}");
            assert_eq!(column_weight(&maps.slice(first, count)), offsets + 2 * texts, "{first} {count}");
        }
        let columns: [(&str, ArrayRef); 2] = [("lists", Arc::new(lists.clone())), ("maps", Arc::new(maps.clone()))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(weight(&batch), column_weight(&lists) + column_weight(&maps));
        assert_eq!(weight(&batch.slice(2, 1)), column_weight(&lists.slice(2, 1)) + column_weight(&maps.slice(2, 1)));
        assert!(column_weight(lists.values()) > "abcdefghijk".len());
    }
}
