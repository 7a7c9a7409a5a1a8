//! The coverage of each account in each Region, as spans of equal hours.
//! In: the facts of `coverage_facts`. Out: one row a span, by account, Region and time. Never more rows than facts.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Int, Text, Timestamp};
use keytrail_rows::time::MICROS_PER_HOUR;

use super::coverage_facts::CoverageFacts;
use super::output::{OutputCell, OutputRows, column};
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const COVERAGE_SPANS: DerivedTable = DerivedTable {
    name: "coverage_spans",
    columns: COLUMNS,
    by: &[],
    unique: &[],
    time: RowTime::Until("from_hour", "until_hour"),
    start: |interval| Box::new(CoverageSpans::new(interval)),
};

const COLUMNS: &[OutputColumn] = &[
    column("account_id", Text),
    column("region", Text),
    column("from_hour", Timestamp),
    column("until_hour", Timestamp),
    column("hours", Int),
    column("objects", Int),
    column("records", Int),
    column("faults", Int),
    column("state", Text),
    column("basis", Text),
    column("kms_logged", Text),
    column("verdict", Text),
];

/// All facts so far.
struct CoverageSpans {
    facts: CoverageFacts,
}

impl CoverageSpans {
    fn new(interval: &AskedInterval) -> CoverageSpans {
        CoverageSpans { facts: CoverageFacts::new(interval) }
    }
}

impl Derivation for CoverageSpans {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        self.facts.take(COVERAGE_SPANS.name, rows)
    }

    fn bytes_held(&self) -> usize {
        self.facts.bytes_held()
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let mut rows = OutputRows::new(COLUMNS);
        let (apart, interval) = (self.facts.apart(), self.facts.interval());
        let bounds = [interval.since, interval.until].map(|bound| bound.map(|bound| bound.div_euclid(MICROS_PER_HOUR)));
        let cut: Vec<i64> =
            bounds.into_iter().flatten().filter(|hour| CoverageFacts::is_cut(&interval, *hour)).collect();
        if let Some(hours) = self.facts.known_hours() {
            self.facts.each_run(hours, &mut |place, run| {
                rows.push([
                    place.account.into(),
                    place.region.into(),
                    OutputCell::Time(Some(run.from * MICROS_PER_HOUR)),
                    OutputCell::Time(Some(run.until * MICROS_PER_HOUR)),
                    OutputCell::Count(Some(run.until - run.from)),
                    OutputCell::Count(Some(run.counts.objects)),
                    OutputCell::Count(
                        (!cut.iter().any(|hour| (run.from..run.until).contains(hour))).then_some(run.counts.records),
                    ),
                    OutputCell::Count(Some(run.counts.faults)),
                    run.verdict.state.into(),
                    run.verdict.basis.into(),
                    run.verdict.kms_logged.into(),
                    run.verdict.verdict.into(),
                ])
            })?;
        }
        if apart != Default::default() {
            let none = || OutputCell::Text(None);
            rows.push([
                none(),
                none(),
                OutputCell::Time(None),
                OutputCell::Time(None),
                OutputCell::Count(None),
                OutputCell::Count(Some(apart.objects)),
                OutputCell::Count(Some(apart.records)),
                OutputCell::Count(Some(apart.faults)),
                none(),
                none(),
                none(),
                none(),
            ])?;
        }
        rows.finish()
    }
}
