//! The coverage of each account in each Region, hour by hour.
//! In: the facts of `coverage_facts`. Out: one row an hour of the asked interval, by account, Region and time.
//! Never gives a part: where the rows are too many, it says so and gives none.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Int, Text, Timestamp};
use keytrail_rows::time::MICROS_PER_HOUR;

use super::coverage_facts::CoverageFacts;
use super::output::{OutputCell, OutputRows, column};
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const COVERAGE: DerivedTable = DerivedTable {
    name: "coverage",
    columns: COLUMNS,
    by: &[],
    unique: &[],
    // Only hours of the interval are made at all.
    time: RowTime::None,
    start: |interval| Box::new(CoverageHours::new(interval)),
};

const COLUMNS: &[OutputColumn] = &[
    column("account_id", Text),
    column("region", Text),
    column("hour", Timestamp),
    column("objects", Int),
    column("records", Int),
    column("state", Text),
    column("basis", Text),
    column("kms_logged", Text),
];

/// Rows of the table, about 100 bytes each: 57 places for two years.
const ROWS_MAX: i64 = 1_000_000;

/// All facts so far.
struct CoverageHours {
    facts: CoverageFacts,
}

impl CoverageHours {
    fn new(interval: &AskedInterval) -> CoverageHours {
        CoverageHours { facts: CoverageFacts::new(interval) }
    }
}

fn too_many(places: usize, hours: i64) -> ArrowError {
    ArrowError::ComputeError(format!(
        "`coverage` would have {hours} hours of each of {places} accounts and Regions, and has {ROWS_MAX} rows at most: \
         ask for a shorter interval, for one --account or --region, or `coverage_spans`"
    ))
}

impl Derivation for CoverageHours {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        self.facts.take(COVERAGE.name, rows)
    }

    fn bytes_held(&self) -> usize {
        self.facts.bytes_held()
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        let Some((from, until)) = self.facts.asked_hours() else { return rows.finish() };
        let interval = self.facts.interval();
        let places = self.facts.place_count();
        let count = i64::try_from(places).ok().and_then(|places| places.checked_mul(until - from));
        if count.is_none_or(|count| count > ROWS_MAX) {
            return Err(too_many(places, until - from));
        }
        self.facts.each_piece((from, until), &mut |place, run| {
            (run.from..run.until).try_for_each(|hour| {
                rows.push([
                    place.account.into(),
                    place.region.into(),
                    OutputCell::Time(Some(hour * MICROS_PER_HOUR)),
                    OutputCell::Count(Some(run.counts.objects)),
                    OutputCell::Count((!CoverageFacts::is_cut(&interval, hour)).then_some(run.counts.records)),
                    run.verdict.state.into(),
                    run.verdict.basis.into(),
                    run.verdict.kms_logged.into(),
                ])
            })
        })?;
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    /// Objects of one place by hour.
    fn input(hours: &[i64]) -> RecordBatch {
        let texts = |text: Option<&str>| Arc::new(StringArray::from(vec![text; hours.len()])) as ArrayRef;
        let numbers = |number: i64| Arc::new(Int64Array::from(vec![number; hours.len()])) as ArrayRef;
        let times = hours.iter().map(|hour| hour * MICROS_PER_HOUR).collect::<Vec<_>>();
        let times = Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) as ArrayRef;
        RecordBatch::try_from_iter([
            ("kind", texts(Some("object"))),
            ("account_id", texts(Some("111122223333"))),
            ("region", texts(Some("eu-west-1"))),
            ("from_time", Arc::clone(&times)),
            ("until_time", times),
            ("name", texts(None)),
            ("log", texts(None)),
            ("request", texts(None)),
            ("response", texts(None)),
            ("objects", numbers(1)),
            ("records", numbers(2)),
            ("key_reads", numbers(1)),
            ("faults", numbers(0)),
        ])
        .unwrap()
    }

    fn rows(hours: &[i64]) -> Result<RecordBatch, ArrowError> {
        let mut coverage = (COVERAGE.start)(&AskedInterval::default());
        coverage.take(&input(hours)).unwrap();
        coverage.finish()
    }

    #[test]
    fn every_hour_between_the_first_and_the_last_object_has_a_row() {
        let rows = rows(&[5, 5, 8]).unwrap();
        let records: Vec<i64> = rows["records"].as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
        assert_eq!((rows.num_rows(), records), (4, vec![4, 0, 0, 2]));
    }

    #[test]
    fn too_many_hours_are_refused_as_a_whole() {
        assert_eq!(rows(&[0, ROWS_MAX - 1]).map(|rows| rows.num_rows()).ok(), Some(1_000_000));
        assert!(rows(&[0, ROWS_MAX]).unwrap_err().to_string().contains("coverage_spans"));
    }

    /// Logs and stores count different parts of an hour that the interval cuts.
    #[test]
    fn the_records_of_a_cut_hour_are_not_told() {
        let half = MICROS_PER_HOUR / 2;
        let interval = AskedInterval {
            since: Some(5 * MICROS_PER_HOUR + half),
            until: Some(8 * MICROS_PER_HOUR + half),
            ..AskedInterval::default()
        };
        let told = |interval: &AskedInterval| {
            let mut coverage = (COVERAGE.start)(interval);
            coverage.take(&input(&[5, 6, 8])).unwrap();
            let rows = coverage.finish().unwrap();
            rows["records"].as_primitive::<arrow::datatypes::Int64Type>().iter().collect::<Vec<_>>()
        };
        assert_eq!(told(&interval), [None, Some(2), Some(0), None]);
        let whole = AskedInterval {
            since: Some(5 * MICROS_PER_HOUR),
            until: Some(9 * MICROS_PER_HOUR),
            ..AskedInterval::default()
        };
        assert_eq!(told(&whole), [Some(2), Some(2), Some(0), Some(2)]);
    }
}
