//! Bounds the series that a statement may name as a table: `generate_series` and `range`.
//! In: the bounds of a series. Out: DataFusion's own table, or a refusal. Never makes a row itself.

use std::sync::Arc;

use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;

use super::guard::SERIES_MAX;

const NAMES: [&str; 2] = ["generate_series", "range"];
const NANOS_OF_DAY: i128 = 86_400_000_000_000;
/// No month is shorter, so no series is longer than it is taken to be.
const DAYS_OF_MONTH: i128 = 28;

/// Puts bounds on the series of a session.
pub fn bound(context: &SessionContext) -> Result<()> {
    for name in NAMES {
        let function = context.table_function(name)?;
        context.register_udtf(name, Arc::new(BoundedSeries { name, function }));
    }
    Ok(())
}

/// A series that is refused where it would be too long.
#[derive(Debug)]
struct BoundedSeries {
    name: &'static str,
    function: Arc<TableFunction>,
}

impl TableFunctionImpl for BoundedSeries {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        if rows(args.exprs()).is_some_and(|rows| rows > u128::from(SERIES_MAX)) {
            return plan_err!(
                "`{}` may give at most {SERIES_MAX} rows: bring its ends closer, or its steps further apart",
                self.name
            );
        }
        self.function.function().call_with_args(args)
    }
}

/// The rows of a series at most; `None` where DataFusion will refuse its arguments.
pub(super) fn rows(exprs: &[Expr]) -> Option<u128> {
    let places: Vec<SeriesBound> = exprs.iter().map(SeriesBound::of).collect::<Option<_>>()?;
    let (start, end, step) = match places[..] {
        [SeriesBound::Number(end)] => (0, end, 1),
        [SeriesBound::Number(start), SeriesBound::Number(end)] => (start, end, 1),
        [SeriesBound::Number(start), SeriesBound::Number(end), SeriesBound::Number(step)]
        | [SeriesBound::Time(start), SeriesBound::Time(end), SeriesBound::Step(step)] => (start, end, step),
        _ => return None,
    };
    // Series end where they start if the step leads away from the end.
    let is_endless = step == 0 && start != end;
    let is_empty = (end - start).signum() * step.signum() < 0;
    Some(if is_endless {
        u128::MAX
    } else if is_empty || step == 0 {
        1
    } else {
        (end - start).unsigned_abs() / step.unsigned_abs() + 1
    })
}

/// A bound or a step. Times and steps of time are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SeriesBound {
    Number(i128),
    Time(i128),
    Step(i128),
}

impl SeriesBound {
    fn of(expr: &Expr) -> Option<SeriesBound> {
        let Expr::Literal(value, _) = expr else { return None };
        let time = |ticks: i64, nanos: i128| Some(SeriesBound::Time(i128::from(ticks) * nanos));
        match value {
            ScalarValue::Int64(Some(number)) => Some(SeriesBound::Number(i128::from(*number))),
            ScalarValue::TimestampSecond(Some(ticks), _) => time(*ticks, 1_000_000_000),
            ScalarValue::TimestampMillisecond(Some(ticks), _) => time(*ticks, 1_000_000),
            ScalarValue::TimestampMicrosecond(Some(ticks), _) => time(*ticks, 1_000),
            ScalarValue::TimestampNanosecond(Some(ticks), _) => time(*ticks, 1),
            ScalarValue::Date32(Some(day)) => time(i64::from(*day), NANOS_OF_DAY),
            ScalarValue::IntervalMonthDayNano(Some(step)) => {
                let days = i128::from(step.months) * DAYS_OF_MONTH + i128::from(step.days);
                Some(SeriesBound::Step(days * NANOS_OF_DAY + i128::from(step.nanoseconds)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::lit;

    use super::*;

    #[test]
    fn rows_are_counted_without_being_made() {
        let numbers = |numbers: &[i64]| numbers.iter().map(|number| lit(*number)).collect::<Vec<_>>();
        let step = lit(ScalarValue::new_interval_mdn(0, 0, 1_000_000_000));
        let times = |time: fn(i64) -> ScalarValue| vec![lit(time(0)), lit(time(10)), step.clone()];
        for (series, expected) in [
            (numbers(&[5]), Some(6)),
            (numbers(&[1, 10]), Some(10)),
            (numbers(&[1, 10, 3]), Some(4)),
            (numbers(&[10, 1, -3]), Some(4)),
            (numbers(&[10, 1]), Some(1)),
            (numbers(&[1, 10, 0]), Some(u128::MAX)),
            (numbers(&[i64::MIN, i64::MAX]), Some(1 << 64)),
            (times(|ticks| ScalarValue::TimestampSecond(Some(ticks), None)), Some(11)),
            (times(|ticks| ScalarValue::TimestampMillisecond(Some(ticks * 1_000), None)), Some(11)),
            (times(|ticks| ScalarValue::TimestampMicrosecond(Some(ticks * 1_000_000), None)), Some(11)),
            (times(|ticks| ScalarValue::TimestampNanosecond(Some(ticks * 1_000_000_000), None)), Some(11)),
            (vec![lit("a")], None),
        ] {
            assert_eq!(rows(&series), expected, "{series:?}");
        }
    }

    #[tokio::test]
    async fn a_series_without_end_is_refused() {
        let context = SessionContext::new();
        bound(&context).unwrap();
        for (series, is_refused) in [
            ("generate_series(1, 10000000)", false),
            ("range(1, 5)", false),
            ("generate_series(DATE '2000-01-01', DATE '2030-01-01', INTERVAL '1' DAY)", false),
            ("generate_series(1, 10000 * 10000)", true),
            ("range(-1000000000, 0)", true),
            ("generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2100-01-01', INTERVAL '1' SECOND)", true),
        ] {
            let planned = context.state().create_logical_plan(&format!("SELECT * FROM {series}")).await;
            let refused = planned.err().map(|error| error.strip_backtrace()).unwrap_or_default();
            assert_eq!(refused.contains("at most 10000000 rows"), is_refused, "{series}: {refused}");
        }
    }
}
