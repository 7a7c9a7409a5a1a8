//! The rows of a batch on their way into files: sorted, cut by day, written.
//! In: batches of a scan, in any order. Out: files of `events`, one or more for each day.
//! Never holds more than one run of rows, and never drops one.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{SortColumn, SortOptions, concat, interleave_record_batch, lexsort_to_indices};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::StoreError;
use super::file::{Encoded, Encoder, Layout, day_name};
use crate::schema::{COLUMNS, Column, events_schema_of};
use crate::table::CONTENT_HASH;

pub(super) const EVENTS: &str = "events";

/// Rows that are copied from the run to a file at once.
const COPY_ROWS: usize = 4096;

pub(super) const LAYOUT: Layout = Layout {
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
};

/// The columns that a scan is asked for. `integrity` is not of the record: readers join it.
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

/// Some rows of a batch, sorted by day, key, time and id.
pub(super) struct Run {
    batches: Vec<RecordBatch>,
    /// Batch and row, in order.
    order: Vec<(usize, usize)>,
    days: Vec<(Option<i32>, Range<usize>)>,
}

impl Run {
    /// Sorts rows of the table's schema; those that `keep` leaves out are gone.
    pub fn sort(batches: Vec<RecordBatch>, keep: &[BooleanArray]) -> Result<Run, ArrowError> {
        let places: Vec<(usize, usize)> =
            keep.iter().enumerate().flat_map(|(batch, keep)| (0..keep.len()).map(move |row| (batch, row))).collect();
        let whole = |name: &str| -> Result<ArrayRef, ArrowError> {
            let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch[name].as_ref()).collect();
            concat(&parts)
        };
        if places.is_empty() {
            return Ok(Run { batches, order: Vec::new(), days: Vec::new() });
        }
        let names = [Column::EventDate.name()].into_iter().chain(LAYOUT.sorted_by.iter().copied());
        let columns = names.map(|name| {
            let options = Some(SortOptions { descending: false, nulls_first: true });
            Ok(SortColumn { values: whole(name)?, options })
        });
        let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
        let sorted = lexsort_to_indices(&columns, None)?;
        let is_kept = |&(batch, row): &(usize, usize)| keep[batch].value(row);
        let order: Vec<_> = sorted.values().iter().map(|&at| places[at as usize]).filter(is_kept).collect();
        let days = days_of(&batches, &order);
        Ok(Run { batches, order, days })
    }

    pub fn days(&self) -> impl Iterator<Item = Option<i32>> + '_ {
        self.days.iter().map(|(day, _)| *day)
    }

    /// The file of one day; its rows are copied a little at a time.
    pub fn encode(&self, day: Option<i32>) -> Result<Encoded, StoreError> {
        let schema = file_schema();
        let mut encoder = Encoder::new(&schema, &LAYOUT)?;
        let places = self.days.iter().find(|(found, _)| *found == day).map_or(0..0, |(_, range)| range.clone());
        let batches: Vec<RecordBatch> =
            self.batches.iter().map(|batch| without_day(batch, &schema)).collect::<Result<_, _>>()?;
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        for places in self.order[places].chunks(COPY_ROWS) {
            encoder.write(&interleave_record_batch(&batches, places)?)?;
        }
        Ok(encoder.finish()?)
    }
}

/// How the sorted rows fall to days.
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

fn without_day(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().map(|field| Arc::clone(&batch[field.name().as_str()])).collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// The value of the partition column, as the log has it.
pub(super) fn partition_of(day: Option<i32>) -> Option<(&'static str, Option<String>)> {
    Some((Column::EventDate.name(), day.and_then(day_name)))
}
