//! The tables that came with format 2: the hours of objects, what digests say, and verdicts.
//! In: rows of a scan, digests that were read, and corrections of copies that the store had. Out: rows as they are stored, and
//! which of the stored rows count.
//! Never gives hours of an object that the ledger does not enter.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;

use super::ledger::{LedgerError, TallyCorrections, hash, is_visible};
use super::parquet_writer::FileLayout;
use crate::objects::{
    ColumnError, DIGEST_COLUMNS, DigestBuilder, DigestRow, HOUR_COLUMNS, HourBuilder, HourRow, HourRows,
    LEDGER_COLUMNS, OBJECT_COLUMNS, TableColumn, VERDICT_COLUMNS,
};
use crate::table::{DigestFault, DigestName, ReadDigest};

const BATCH: &str = LEDGER_COLUMNS.batch.name;

pub(super) const HOURS_LAYOUT: FileLayout = FileLayout {
    bounds: &[HOUR_COLUMNS.object_uri.name, BATCH],
    sorted_by: &[HOUR_COLUMNS.object_uri.name],
    ..FileLayout::PLAIN
};
pub(super) const DIGESTS_LAYOUT: FileLayout = FileLayout {
    bounds: &[DIGEST_COLUMNS.object_uri.name, BATCH],
    sorted_by: &[DIGEST_COLUMNS.object_uri.name],
    unique: &[DIGEST_COLUMNS.object_uri.name, DIGEST_COLUMNS.object.name, DIGEST_COLUMNS.previous_object.name],
    opaque: &[DIGEST_COLUMNS.body.name, DIGEST_COLUMNS.previous_signature.name, DIGEST_COLUMNS.previous_hash.name],
    ..FileLayout::PLAIN
};
pub(super) const VERDICTS_LAYOUT: FileLayout =
    FileLayout { bounds: &[VERDICT_COLUMNS.object_uri.name, BATCH], ..FileLayout::PLAIN };

/// The columns of the table `hours` in a store.
pub(super) fn stored_hours_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| with_batch(HOUR_COLUMNS.list()));
    Arc::clone(&SCHEMA)
}

/// The columns of the table `digests` in a store.
pub(super) fn stored_digests_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| with_batch(DIGEST_COLUMNS.list()));
    Arc::clone(&SCHEMA)
}

fn with_batch(columns: Vec<TableColumn>) -> SchemaRef {
    let columns = [columns, LEDGER_COLUMNS.batch.columns()].concat();
    Arc::new(Schema::new(columns.iter().map(TableColumn::field).collect::<Vec<_>>()))
}

fn of_batch(rows: &RecordBatch, batch: i64, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(Int64Array::from_value(batch, rows.num_rows())));
    RecordBatch::try_new(schema, columns)
}

/// The hours of a scan as a batch stores them: without those of objects that the ledger does not enter, and without
/// records that the store has already.
pub(super) fn entered_hours(
    scanned: &RecordBatch,
    entered: &RecordBatch,
    corrections: &TallyCorrections,
    batch: i64,
) -> Result<RecordBatch, LedgerError> {
    let entered = OBJECT_COLUMNS.uri.of(entered)?;
    let entered: HashSet<&str> = entered.iter().flatten().collect();
    let (hours, mut rows) = (HourRows::of(scanned)?, HourBuilder::default());
    let kept: Vec<usize> =
        (0..scanned.num_rows()).filter(|row| entered.contains(hours.object_uri.value(*row))).collect();
    let mut records: Vec<Option<i64>> =
        kept.iter().map(|row| hours.records.is_valid(*row).then(|| hours.records.value(*row))).collect();
    take_back(&hours, &kept, &mut records, corrections);
    for (row, records) in kept.into_iter().zip(records) {
        rows.append(HourRow {
            object_uri: hours.object_uri.value(row),
            account_id: text(hours.account_id, row),
            region: text(hours.region, row),
            hour: hours.hour.is_valid(row).then(|| hours.hour.value(row)),
            records,
            key_reads: hours.key_reads.value(row),
            faults: hours.faults.value(row),
        });
    }
    Ok(of_batch(&rows.finish(), batch, stored_hours_schema())?)
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// Takes the copies out of the hours in which the scan has counted them. An object with more hours than are counted has
/// some copies apart, which are taken out of whatever hours it has.
fn take_back(hours: &HourRows<'_>, kept: &[usize], records: &mut [Option<i64>], corrections: &TallyCorrections) {
    let mut left: HashMap<&str, i64> = HashMap::new();
    for (row, records) in kept.iter().zip(records.iter_mut()) {
        let uri = hours.object_uri.value(*row);
        let all = || i64::try_from(corrections.copies_of(uri)).unwrap_or(i64::MAX);
        let left = left.entry(uri).or_insert_with(all);
        if *left > 0
            && let Some(records) = records
        {
            let place = [hours.account_id, hours.region].map(|column| text(column, *row).map(str::to_owned));
            let [account, region] = place;
            let hour = (account, region, hours.hour.is_valid(*row).then(|| hours.hour.value(*row)));
            let copies = i64::try_from(corrections.copies_of_hour(uri, &hour)).unwrap_or(i64::MAX).min(*records);
            (*records, *left) = (*records - copies, *left - copies);
        }
    }
    for (row, records) in kept.iter().zip(records.iter_mut()) {
        if let (Some(left), Some(records)) = (left.get_mut(hours.object_uri.value(*row)), records) {
            let copies = (*left).clamp(0, *records);
            (*records, *left) = (*records - copies, *left - copies);
        }
    }
}

/// Digests as a batch stores them. `first_day` is the first day of delivery that was looked at, since 1970.
pub(super) fn entered_digests(
    digests: &[&ReadDigest],
    first_day: Option<i32>,
    batch: i64,
) -> Result<RecordBatch, ArrowError> {
    let mut rows = DigestBuilder::default();
    for ReadDigest { uri, statement, body, .. } in digests {
        let named = DigestName::of(uri);
        let said = statement.as_ref().ok();
        let of_object = said.map(|said| DigestName::of(&said.object)).unwrap_or_default();
        rows.append(DigestRow {
            object_uri: uri,
            account_id: said.map(|said| said.account.as_str()).or(named.account),
            region: of_object.region.or(named.region),
            trail: of_object.trail.or(named.trail),
            started: said.map(|said| said.started),
            ended: said.map(|said| said.ended).or(named.ended),
            bucket: said.and_then(|said| said.bucket.as_deref()),
            object: said.map(|said| said.object.as_str()),
            previous_bucket: said.and_then(|said| said.previous_bucket.as_deref()),
            previous_object: said.and_then(|said| said.previous_object.as_deref()),
            previous_hash: said.and_then(|said| said.previous_hash.as_deref()),
            previous_signature: said.and_then(|said| said.previous_signature.as_deref()),
            logs: said.map_or(0, |said| said.logs.len() as u64),
            fault: statement.as_ref().err().map(|fault| fault.word()),
            first_day,
            body: said.and_then(|_| std::str::from_utf8(body).ok()),
        });
    }
    of_batch(&rows.finish(), batch, stored_digests_schema())
}

/// The digests that a store has read, by hashes of their names.
#[derive(Debug, Default)]
pub(super) struct KnownDigests(HashMap<u128, KnownDigest>);

#[derive(Debug, Clone, Copy)]
struct KnownDigest {
    batch: i64,
    first_day: Option<i32>,
    is_unreadable: bool,
}

impl KnownDigests {
    /// The columns that it needs.
    pub const COLUMNS: [&str; 4] =
        [DIGEST_COLUMNS.object_uri.name, DIGEST_COLUMNS.first_day.name, DIGEST_COLUMNS.fault.name, BATCH];

    /// Takes in stored rows, of any batches in any order.
    pub fn add(&mut self, rows: &RecordBatch) -> Result<(), ColumnError> {
        let (uris, days) = (DIGEST_COLUMNS.object_uri.of(rows)?, DIGEST_COLUMNS.first_day.of(rows)?);
        let (faults, batches) = (DIGEST_COLUMNS.fault.of(rows)?, LEDGER_COLUMNS.batch.of(rows)?);
        for row in 0..rows.num_rows() {
            let known = KnownDigest {
                batch: batches.value(row),
                first_day: days.is_valid(row).then(|| days.value(row)),
                is_unreadable: faults.is_valid(row) && faults.value(row) == DigestFault::Unreadable.word(),
            };
            let latest = self.0.entry(hash(uris.value(row))).or_insert(known);
            if latest.batch <= known.batch {
                *latest = known;
            }
        }
        Ok(())
    }

    /// True of a digest that must be read: the store has none of it, could not read it, or did not look for all the logs
    /// that a run looks for now.
    pub fn lacks(&self, uri: &str, first_day: Option<i32>) -> bool {
        self.0.get(&hash(uri)).is_none_or(|known| {
            known.is_unreadable || known.first_day.is_some_and(|day| first_day.is_none_or(|first| first < day))
        })
    }

    /// True of a digest that the store could not read the last time.
    pub fn is_unreadable(&self, uri: &str) -> bool {
        self.0.get(&hash(uri)).is_some_and(|known| known.is_unreadable)
    }

    /// The batch whose row of a digest counts.
    pub fn batch_of(&self, uri: &str) -> Option<i64> {
        self.0.get(&hash(uri)).map(|known| known.batch)
    }
}

/// The last batches in which the ledger has some objects.
#[derive(Debug, Default)]
pub(super) struct LastAttempts(HashMap<u128, i64>);

impl LastAttempts {
    /// The columns of `hours` by which the objects are chosen.
    pub const HOUR_COLUMNS: [&str; 3] = [HOUR_COLUMNS.object_uri.name, HOUR_COLUMNS.records.name, BATCH];
    /// The columns of the ledger.
    pub const LEDGER_COLUMNS: [&str; 2] = [OBJECT_COLUMNS.uri.name, BATCH];

    /// Notes the objects of which some attempt gave nothing.
    pub fn choose(&mut self, hours: &RecordBatch) -> Result<(), ColumnError> {
        let (uris, records) = (HOUR_COLUMNS.object_uri.of(hours)?, HOUR_COLUMNS.records.of(hours)?);
        let without = (0..hours.num_rows()).filter(|row| records.is_null(*row));
        self.0.extend(without.map(|row| (hash(uris.value(row)), 0)));
        Ok(())
    }

    /// Notes the batches of these objects.
    pub fn add(&mut self, ledger: &RecordBatch) -> Result<(), ColumnError> {
        let (uris, batches) = (OBJECT_COLUMNS.uri.of(ledger)?, LEDGER_COLUMNS.batch.of(ledger)?);
        for row in 0..ledger.num_rows() {
            if let Some(last) = self.0.get_mut(&hash(uris.value(row))) {
                *last = batches.value(row).max(*last);
            }
        }
        Ok(())
    }

    /// The hours up to a batch, as those of logs would be: those of an attempt that gave nothing go once the ledger has a
    /// later one.
    pub fn visible(&self, hours: &RecordBatch, batch: i64) -> Result<RecordBatch, LedgerError> {
        let (uris, batches) = (HOUR_COLUMNS.object_uri.of(hours)?, LEDGER_COLUMNS.batch.of(hours)?);
        let records = HOUR_COLUMNS.records.of(hours)?;
        let is_last = |row: usize| self.0.get(&hash(uris.value(row))).is_none_or(|last| *last <= batches.value(row));
        let is_of_batch = is_visible(hours, batch)?;
        let keep: BooleanArray = (0..hours.num_rows())
            .map(|row| Some(is_of_batch.value(row) && (records.is_valid(row) || is_last(row))))
            .collect();
        let kept = filter_record_batch(hours, &keep)?;
        let columns = HOUR_COLUMNS
            .schema()
            .fields()
            .iter()
            .map(|field| kept.schema().index_of(field.name()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(HOUR_COLUMNS.schema(), kept.project(&columns)?.columns().to_vec())?)
    }
}
