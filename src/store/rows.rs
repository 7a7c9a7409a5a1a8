//! The rows of a batch on their way into files: sorted, cut by day, written.
//! In: batches of a scan, in any order. Out: files of `events`, one or more for each day.
//! Never holds more than one run of rows, and never drops one.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::{SortOptions, interleave};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};

use super::StoreError;
use super::ledger::HourOfPlace;
use super::parquet_writer::{ColumnParts, ColumnSource, EncodedFile, FileLayout, day_name, encode};
use crate::batch::{CONTENT_HASH, column_weight};
use crate::objects::Delivery;
use crate::schema::{COLUMNS, Column, events_schema_of};
use crate::table::{LackingRows, counted_hour};
use crate::time::MICROS_PER_HOUR;

/// Rows of a column that are put in order at once: few enough that they are still near when they are encoded.
pub(super) const PART_ROWS: usize = 1024;

pub(super) const LAYOUT: FileLayout = FileLayout {
    bounds: &[
        "event_time",
        "event_id",
        "event_source",
        "event_name",
        "aws_region",
        "recipient_account_id",
        "principal",
        "principal_arn",
        "outcome",
        "key_arn",
        "key_id",
        "table_name",
    ],
    sorted_by: &["key_arn", "event_time", "event_id"],
    blooms: &[("event_id", 128 << 10), ("key_id", 8 << 10), ("principal_arn", 8 << 10)],
    unique: &["event_id", "request_id", "call_id", "shared_event_id", "raw", CONTENT_HASH],
    opaque: &[
        "request_parameters",
        "response_elements",
        "additional_event_data",
        "service_event_details",
        "resources",
        "raw",
    ],
    ascending: &[],
    summed: &[],
};

/// The columns that a scan is asked for, without `integrity`, which readers join.
pub(super) fn scanned_columns() -> Vec<Column> {
    (0..COLUMNS.len()).map(Column::from_index).filter(|column| *column != Column::Integrity).collect()
}

/// The columns of the table, the day of the partition among them.
pub(super) fn table_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = events_schema_of(&scanned_columns()).fields().to_vec();
        fields.push(Arc::new(Field::new(CONTENT_HASH, DataType::Binary, true)));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// The columns of a file: the day is in its path.
pub(super) fn file_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let fields = table_schema();
        let fields = fields.fields().iter().filter(|field| field.name() != Column::EventDate.name());
        Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// Bytes of rows that are sorted into files at once.
pub(super) const RUN_BYTES_MAX: usize = 28 << 20;

/// Some rows of a batch, sorted by day, key, time and id.
pub(super) struct SortedRun {
    batches: Vec<RecordBatch>,
    /// The number of the normalizer that made their derived columns.
    normalizer: u32,
    /// Batch and row, in order.
    order: Vec<(usize, usize)>,
    days: Vec<(Option<i32>, Range<usize>)>,
    /// A number that grows with the work that a column of the table makes.
    weights: Vec<usize>,
}

impl SortedRun {
    /// Sorts rows of the table's schema, and drops those that `keep` leaves out.
    pub fn sort(batches: Vec<RecordBatch>, keep: &[BooleanArray], normalizer: u32) -> Result<SortedRun, ArrowError> {
        let names = [Column::EventDate.name()].into_iter().chain(LAYOUT.sorted_by.iter().copied());
        let order = RowOrder::new(&table_schema(), names)?;
        let keys: Vec<Rows> = batches.iter().map(|batch| order.keys(batch)).collect::<Result<_, _>>()?;
        let kept =
            keep.iter().enumerate().flat_map(|(batch, keep)| keep.values().set_indices().map(move |row| (batch, row)));
        let mut places: Vec<(usize, usize)> = kept.collect();
        places.sort_by(|a, b| keys[a.0].row(a.1).cmp(&keys[b.0].row(b.1)));
        let days = days_of(&batches, &places);
        let weight = |column| batches.iter().map(|batch| column_weight(batch.column(column))).sum();
        let weights = (0..table_schema().fields().len()).map(weight).collect();
        Ok(SortedRun { batches, normalizer, order: places, days, weights })
    }

    /// The rows that a scope cannot judge.
    pub fn lacking(&self) -> LackingRows<u64> {
        let batches: Vec<PlaceColumns> = self.batches.iter().map(PlaceColumns::of).collect();
        let mut lacking = LackingRows::default();
        if batches.iter().all(PlaceColumns::have_values) {
            return lacking;
        }
        for &(batch, row) in &self.order {
            lacking.time += u64::from(batches[batch].time.is_null(row));
            lacking.place += u64::from(!batches[batch].is_placed(row));
        }
        lacking
    }

    /// The days of its rows, ascending.
    pub fn days(&self) -> impl Iterator<Item = Option<i32>> + '_ {
        self.days.iter().map(|(day, _)| *day)
    }

    /// The file of one day; its rows are copied a little at a time.
    pub fn encode(&self, day: Option<i32>, threads: usize) -> Result<EncodedFile, StoreError> {
        let places = self.days.iter().find(|(found, _)| *found == day).map_or(0..0, |(_, range)| range.clone());
        let rows = DayRows { run: self, places: &self.order[places] };
        encode(&rows, &file_schema(), &LAYOUT, threads)
    }
}

/// The columns that place rows in time, account and Region.
pub(super) struct PlaceColumns<'b> {
    time: &'b TimestampMicrosecondArray,
    recipient: &'b StringArray,
    caller: &'b StringArray,
    owner: &'b StringArray,
    region: &'b StringArray,
    key_region: &'b StringArray,
}

impl PlaceColumns<'_> {
    pub fn of(rows: &RecordBatch) -> PlaceColumns<'_> {
        let text = |column: Column| rows[column.name()].as_string();
        PlaceColumns {
            time: rows[Column::EventTime.name()].as_primitive(),
            recipient: text(Column::RecipientAccountId),
            caller: text(Column::PrincipalAccountId),
            owner: text(Column::KeyAccountId),
            region: text(Column::AwsRegion),
            key_region: text(Column::KeyRegion),
        }
    }

    /// True if no row lacks its time, its account or its Region.
    fn have_values(&self) -> bool {
        self.time.null_count() + self.recipient.null_count() + self.region.null_count() == 0
    }

    /// The account of a row, as [`crate::normalize::account_of`] finds it.
    fn account(&self, row: usize) -> Option<&str> {
        if self.recipient.is_valid(row) {
            return Some(self.recipient.value(row));
        }
        let is_of_both = self.caller.is_valid(row) && self.owner.is_valid(row);
        (is_of_both && self.caller.value(row) == self.owner.value(row)).then(|| self.caller.value(row))
    }

    /// The Region of a row, as [`crate::normalize::region_of`] finds it.
    fn region(&self, row: usize) -> Option<&str> {
        let columns = [self.region, self.key_region];
        columns.into_iter().find(|column| column.is_valid(row)).map(|column| column.value(row))
    }

    /// True of a row that has both.
    fn is_placed(&self, row: usize) -> bool {
        self.account(row).is_some() && self.region(row).is_some()
    }

    /// The account, the Region and the hour in which a scan has counted a row of an object.
    pub fn of_hour(&self, row: usize, uri: &str) -> HourOfPlace {
        let time = self.time.is_valid(row).then(|| self.time.value(row));
        let hour = counted_hour(time, Delivery::of(uri).map(|delivery| delivery.micros));
        let hour = hour.map(|hour| i64::from(hour) * MICROS_PER_HOUR);
        (self.account(row).map(str::to_owned), self.region(row).map(str::to_owned), hour)
    }
}

/// Rows of a run, in their order.
struct DayRows<'a> {
    run: &'a SortedRun,
    places: &'a [(usize, usize)],
}

impl DayRows<'_> {
    /// The number in the table of a column of the file.
    fn table_index(index: usize) -> Result<usize, ArrowError> {
        table_schema().index_of(file_schema().field(index).name())
    }
}

impl ColumnSource for DayRows<'_> {
    fn rows(&self) -> usize {
        self.places.len()
    }

    fn column(&self, index: usize) -> Result<ColumnParts<'_>, StoreError> {
        let column = DayRows::table_index(index)?;
        let arrays: Vec<&dyn Array> = self.run.batches.iter().map(|batch| batch.column(column).as_ref()).collect();
        Ok(Box::new(self.places.chunks(PART_ROWS).map(move |places| Ok(interleave(&arrays, places)?))))
    }

    fn weight(&self, index: usize) -> usize {
        DayRows::table_index(index).map_or(0, |column| self.run.weights[column])
    }

    fn normalizer(&self) -> Option<u32> {
        Some(self.run.normalizer)
    }
}

/// The order of rows by some of their columns: nulls first, texts by their bytes.
pub(super) struct RowOrder {
    names: Vec<&'static str>,
    converter: RowConverter,
}

impl RowOrder {
    /// Fails if the schema lacks one of the columns.
    pub fn new(schema: &SchemaRef, names: impl Iterator<Item = &'static str>) -> Result<RowOrder, ArrowError> {
        let names: Vec<&str> = names.collect();
        let options = SortOptions { descending: false, nulls_first: true };
        let field = |name: &&str| {
            let ty = schema.field_with_name(name)?.data_type().clone();
            Ok(SortField::new_with_options(ty, options))
        };
        let fields = names.iter().map(field).collect::<Result<Vec<_>, ArrowError>>()?;
        Ok(RowOrder { names, converter: RowConverter::new(fields)? })
    }

    /// Keys that compare as the rows do.
    pub fn keys(&self, rows: &RecordBatch) -> Result<Rows, ArrowError> {
        let columns: Vec<ArrayRef> = self.names.iter().map(|name| Arc::clone(&rows[*name])).collect();
        self.converter.convert_columns(&columns)
    }
}

/// Cuts the sorted rows by day.
fn days_of(batches: &[RecordBatch], order: &[(usize, usize)]) -> Vec<(Option<i32>, Range<usize>)> {
    let dates: Vec<_> =
        batches.iter().map(|batch| batch[Column::EventDate.name()].as_primitive::<Date32Type>()).collect();
    let mut days: Vec<(Option<i32>, Range<usize>)> = Vec::new();
    for (at, &(batch, row)) in order.iter().enumerate() {
        let day = dates[batch].is_valid(row).then(|| dates[batch].value(row));
        match days.last_mut() {
            Some((last, range)) if *last == day => range.end = at + 1,
            _ => days.push((day, at..at + 1)),
        }
    }
    days
}

/// The value of the partition column, as the log has it.
pub(super) fn partition_of(day: Option<i32>) -> Option<(&'static str, Option<String>)> {
    Some((Column::EventDate.name(), day.and_then(day_name)))
}
