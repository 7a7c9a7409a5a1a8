//! The interval of a question, as SQL of the inputs of derived tables asks for it: `in_interval(event_time)`.
//! In: the interval. Out: a function that planning turns into a plain comparison. A NULL time lies in every interval.
//! It looks at the begin alone: no input has an event from behind the end, and a time that is moved forward, to see what
//! reaches into the interval, may pass the end of a short one.
//! Never a function of the user's: their events are of the interval anyway.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility, lit};

use crate::derive::AskedInterval;

/// A time of the columns of `events`, from microseconds since 1970.
pub(super) fn timestamp(micros: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
}

/// `in_interval(event_time)` of one session.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct InInterval {
    since: Option<i64>,
    signature: Signature,
}

impl InInterval {
    pub fn of(interval: AskedInterval) -> InInterval {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let signature = Signature::exact(vec![time], Volatility::Immutable);
        InInterval { since: interval.since, signature }
    }
}

impl ScalarUDFImpl for InInterval {
    fn name(&self) -> &str {
        "in_interval"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn simplify(&self, arguments: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let [time] = arguments.as_slice() else { return exec_err!("in_interval takes a time") };
        let inside = self.since.map(|since| time.clone().is_null().or(time.clone().gt_eq(timestamp(since))));
        let inside = inside.unwrap_or_else(|| lit(true));
        Ok(ExprSimplifyResult::Simplified(inside))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("in_interval is replaced when a plan is optimized")
    }
}
