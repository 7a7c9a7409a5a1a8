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
