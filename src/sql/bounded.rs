//! Functions whose results are bounded before they are made, so that no call takes more memory than a question has.
//! In: a function of DataFusion and its growth. Out: the same function, which refuses a result that would be too large.
//! Rows whose results may be large are computed a few at a time, so that what is refused is what is there, not a guess.

use std::sync::Arc;

use arrow::array::Array;
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, resources_err};
use datafusion::logical_expr::expr::{BinaryExpr, Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExprSchemable, ExpressionPlacement, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, StructFieldMapping,
};
use datafusion::optimizer::AnalyzerRule;

use super::growth::{CallSizes, Growth, fixed_width, range_bytes};
use super::operators::{LeftSide, OperatorChain};

/// The most that one call makes of one batch.
const RESULT_BYTES_MAX: u64 = 64 << 20;
/// The same of a constant, of which the planner makes several copies.
const CONSTANT_BYTES_MAX: u64 = 32 << 20;
/// The most rows of one batch.
const BATCH_ROWS_MAX: u64 = 8192;
/// Rows are computed at once as long as their results have no more than this.
const PIECE_BYTES: u64 = 8 << 20;

/// A function that refuses results which are too large.
#[derive(Debug, PartialEq, Eq, Hash)]
struct BoundedFunction {
    function: Arc<ScalarUDF>,
    growth: Growth,
}

/// The function with a bound on its results.
pub(super) fn bounded(function: Arc<ScalarUDF>, growth: Growth) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(BoundedFunction { function, growth }))
}

/// The function, computed a few rows at a time where it may repeat a large constant for each row before it begins.
pub(super) fn in_pieces(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let is_bounded = function.inner().is::<BoundedFunction>();
    if is_bounded { function } else { bounded(function, Growth::Nothing) }
}

/// Refuses what would be too large in one batch of rows.
pub(super) fn check_size(maker: &str, bytes: u64) -> Result<()> {
    check_made(&|size| format!("{maker} would make {size} MiB of one batch of rows"), (bytes, RESULT_BYTES_MAX))
}

fn check_made(made: &dyn Fn(u64) -> String, (bytes, most): (u64, u64)) -> Result<()> {
    let made = || made(bytes.div_ceil(1 << 20));
    if bytes > most {
        return resources_err!("{}, and at most {} MiB are allowed", made(), most >> 20);
    }
    if !keytrail_limits::has_room_for(bytes as usize) {
        let most = keytrail_limits::allowed() >> 20;
        return resources_err!("{}, beside what the process holds already, and it may take {most} MiB in all", made());
    }
    Ok(())
}

/// The same call with a bound, if its result may grow and has none.
fn bound_call(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::ScalarFunction(call) => match Growth::of(call.func.name()) {
            Some(growth) if call.func.inner().downcast_ref::<BoundedFunction>().is_none() => {
                let func = bounded(call.func, growth);
                Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: call.args }))
            }
            _ => Transformed::no(Expr::ScalarFunction(call)),
        },
        other => Transformed::no(other),
    })
}

/// The chain of operators that an expression calls.
fn chain_of(expr: &Expr) -> Option<&OperatorChain> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let function = call.func.inner();
    let function = function.downcast_ref::<BoundedFunction>().map_or(function, |bounded| bounded.function.inner());
    function.downcast_ref::<OperatorChain>()
}

/// The same, and operators as functions.
fn bound(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let operator = match expr {
        Expr::BinaryExpr(operator) => operator,
        Expr::Negative(value) => match subtracted(&value, schema) {
            Some(zero) => BinaryExpr::new(Box::new(zero), Operator::Minus, value),
            None => return Ok(Transformed::no(Expr::Negative(value))),
        },
        other => return bound_call(other),
    };
    let Some(chain) = replaced(&operator, schema) else { return Ok(Transformed::no(Expr::BinaryExpr(operator))) };
    let goes_on = chain_of(&operator.left).is_some();
    let mut args = match *operator.left {
        Expr::ScalarFunction(call) if goes_on => call.args,
        left => vec![left],
    };
    args.push(*operator.right);
    let grows = chain.grows();
    let func = Arc::new(ScalarUDF::from(chain));
    let func = if grows { bounded(func, Growth::Sum) } else { func };
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
}

/// The zero from which an integer is taken to change its sign: `-` alone gives the smallest number of a type as it is.
fn subtracted(value: &Expr, schema: &DFSchema) -> Option<Expr> {
    let data_type = value.get_type(schema).ok().filter(DataType::is_signed_integer)?;
    ScalarValue::new_zero(&data_type).ok().map(|zero| Expr::Literal(zero, None))
}

/// The chain that an operator begins, or goes on with.
fn replaced(operator: &BinaryExpr, schema: &DFSchema) -> Option<OperatorChain> {
    // The right side is short, and tells most operators of other types.
    let right = operator.right.get_type(schema).ok()?;
    match chain_of(&operator.left) {
        Some(left) => OperatorChain::of(LeftSide::Chain(left), operator.op, &right),
        None if right.is_integer() || operator.op == Operator::StringConcat => {
            OperatorChain::of(LeftSide::Value(&operator.left.get_type(schema).ok()?), operator.op, &right)
        }
        None => None,
    }
}

/// Bounds the calls of a plan that planners and rules made of operators and of other calls.
#[derive(Debug)]
pub(super) struct BoundResults;

impl AnalyzerRule for BoundResults {
    fn name(&self) -> &str {
        "bound_results"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let bounded = plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(|expr| bound(expr, &schema))?.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(bounded?.data)
    }
}

impl BoundedFunction {
    /// Computes a few rows at a time.
    fn in_pieces(&self, call: &ScalarFunctionArgs, bound: impl Fn(usize) -> u64) -> Result<ColumnarValue> {
        let (mut pieces, mut made, mut from) = (Vec::new(), 0, 0);
        while from < call.number_rows {
            let (mut bytes, mut end) = (bound(from), from + 1);
            while end < call.number_rows && bytes.saturating_add(bound(end)) <= PIECE_BYTES {
                bytes += bound(end);
                end += 1;
            }
            self.check(bytes)?;
            let piece = self.function.invoke_with_args(rows_of(call, from, end - from))?.into_array(end - from)?;
            made += range_bytes(&piece, 0, piece.len());
            self.check(made)?;
            pieces.push(piece);
            from = end;
        }
        let pieces: Vec<&dyn Array> = pieces.iter().map(|piece| &**piece).collect();
        Ok(ColumnarValue::Array(concat(&pieces)?))
    }

    /// Refuses a cast to a type of which every value is large, also NULL.
    fn check_width(&self, simplified: &Expr) -> Result<()> {
        let (Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. })) = simplified else { return Ok(()) };
        self.check(fixed_width(field.data_type()).saturating_mul(BATCH_ROWS_MAX))
    }

    fn check(&self, bytes: u64) -> Result<()> {
        check_size(&format!("`{}`", self.function.name()), bytes)
    }

    fn check_constant(&self, bytes: u64) -> Result<()> {
        let made = |size| format!("`{}` would make a constant of {size} MiB", self.function.name());
        check_made(&made, (bytes, CONSTANT_BYTES_MAX))
    }
}

/// The call with some of its rows.
fn rows_of(call: &ScalarFunctionArgs, from: usize, rows: usize) -> ScalarFunctionArgs {
    let part = |argument: &ColumnarValue| match argument {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(from, rows)),
        ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
    };
    ScalarFunctionArgs { args: call.args.iter().map(part).collect(), number_rows: rows, ..call.clone() }
}

impl ScalarUDFImpl for BoundedFunction {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.function.inner().schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.inner().return_type(types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = Arc::new(self.function.inner().with_updated_config(config)?);
        Some(ScalarUDF::from(BoundedFunction { function, growth: self.growth }))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.inner().return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.function.inner().is_strict()
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let sizes = CallSizes::of(&call.args)?;
        // Many functions repeat a constant for each row before they begin.
        let constants = sizes.constants();
        let bound = |row| self.growth.bytes(&sizes, row).max(constants);
        let is_constant = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        if is_constant {
            self.check_constant(bound(0))?;
            let made = self.function.invoke_with_args(rows_of(&call, 0, 1))?.into_array(1)?;
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?));
        }
        let all = (0..call.number_rows).map(bound).fold(0, u64::saturating_add);
        if all <= PIECE_BYTES {
            return self.function.invoke_with_args(call);
        }
        self.in_pieces(&call, bound)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match self.function.inner().simplify(args, context)? {
            ExprSimplifyResult::Simplified(expr) => {
                self.check_width(&expr)?;
                ExprSimplifyResult::Simplified(expr.transform_up(bound_call)?.data)
            }
            original => original,
        })
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, context: &SimplifyContext) -> Result<PreimageResult> {
        self.function.inner().preimage(args, literal, context)
    }

    fn short_circuits(&self) -> bool {
        self.function.inner().short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.function.inner().conditional_arguments(args)
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.function.inner().evaluate_bounds(input)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.function.inner().propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.function.inner().output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.inner().preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.inner().strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.inner().coerce_types(types)
    }

    fn struct_field_mapping(&self, literals: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.function.inner().struct_field_mapping(literals)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.function.inner().placement(args)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::ColumnarValue;
    use datafusion::prelude::SessionContext;

    use super::super::allowed;
    use super::super::growth::GROWING;
    use super::*;

    /// A call of each function that may make more than it is given, with arguments of which it makes much.
    const CALLS: &[(&str, &[&str])] = &[
        ("array_add", &["[1.0, 2.0]", "[3.0, 4.0]"]),
        ("array_append", &["[1, 2]", "3"]),
        ("array_concat", &["[1, 2]", "[3, 4]"]),
        ("array_prepend", &["1", "[2, 3]"]),
        ("array_repeat", &["'abc'", "100"]),
        ("array_replace", &["['a', 'b']", "'a'", "'0123456789'"]),
        ("array_replace_all", &["['a', 'a']", "'a'", "'0123456789'"]),
        ("array_replace_n", &["['a', 'a']", "'a'", "'0123456789'", "2"]),
        ("array_resize", &["[1]", "100", "7"]),
        ("array_subtract", &["[1.0, 2.0]", "[3.0, 4.0]"]),
        ("array_to_string", &["[1000000, 2000000, 3000000]", "', and '"]),
        ("array_union", &["[1, 2]", "[3, 4]"]),
        ("arrays_zip", &["[1, 2]", "['abc', 'def']"]),
        ("arrow_cast", &["-9223372036854775807", "'Utf8'"]),
        ("arrow_try_cast", &["-9223372036854775807", "'Utf8'"]),
        ("cast_to_type", &["-9223372036854775807", "'a text'"]),
        ("concat", &["'0123456789'", "'0123456789'"]),
        ("concat_ws", &["'0123456789'", "'a'", "'b'", "'c'"]),
        ("decode", &["'6162636465666768696a6b6c6d6e6f70'", "'hex'"]),
        ("digest", &["'a'", "'sha512'"]),
        ("encode", &["'0123456789'", "'hex'"]),
        ("generate_series", &["1", "100"]),
        ("initcap", &["'\u{1f80}\u{1f80} \u{390}\u{390}'"]),
        ("lower", &["'\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}'"]),
        ("lpad", &["'a'", "100", "'€'"]),
        ("make_array", &["'0123456789'", "'0123456789'"]),
        ("map", &["['a', 'b']", "[1, 2]"]),
        ("md5", &["'a'"]),
        ("overlay", &["'0123456789'", "'0123456789'", "10"]),
        ("range", &["0", "100"]),
        ("regexp_match", &["'aaaaaaaaaa'", "'((((a*))))'"]),
        ("regexp_replace", &["'aaaaaaaaaa'", "''", "'0123456789'", "'g'"]),
        ("repeat", &["'abc'", "100"]),
        ("replace", &["'aaaaaaaaaa'", "'a'", "'0123456789'"]),
        ("rpad", &["'a'", "100", "'€'"]),
        ("sha224", &["'a'"]),
        ("sha256", &["'a'"]),
        ("sha384", &["'a'"]),
        ("sha512", &["'a'"]),
        ("string_to_array", &["'abcd,efgh,ijkl'", "','"]),
        ("to_char", &["TIMESTAMP '2026-09-30 00:00:00'", "'%c%c'"]),
        ("to_hex", &["-1"]),
        ("translate", &["'aaaaaaaaaa'", "'a'", "'€'"]),
        ("try_cast_to_type", &["-9223372036854775807", "'a text'"]),
        ("upper", &["'\u{390}\u{390}\u{390}'"]),
    ];

    #[tokio::test]
    async fn no_function_makes_more_than_its_bound() {
        let names: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, GROWING.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        let session = SessionContext::new_with_state(allowed::session().build());
        for ((name, arguments), (_, growth)) in CALLS.iter().zip(GROWING) {
            let columns: String = arguments.iter().zip(0..).map(|(value, n)| format!(", {value} AS a{n}")).collect();
            let sql = format!("SELECT {name}({}) AS made{columns}", arguments.join(", "));
            let rows = session.sql(&sql).await.unwrap().collect().await.unwrap();
            let (made, given) = rows[0].columns().split_first().unwrap();
            let given: Vec<ColumnarValue> = given.iter().cloned().map(ColumnarValue::Array).collect();
            let (bytes, bound) = (range_bytes(made, 0, 1), growth.bytes(&CallSizes::of(&given).unwrap(), 0));
            // Of so few bytes nobody would notice that there is no bound.
            assert!(bytes > 8, "{sql} makes {bytes} bytes");
            assert!(bytes <= bound, "{sql} makes {bytes} bytes, and the bound is {bound}");
        }
    }

    /// The rules of a session of ours, without its tables.
    fn session() -> SessionContext {
        let state = allowed::session().with_analyzer_rule(Arc::new(BoundResults));
        SessionContext::new_with_state(
            state.with_optimizer_rule(Arc::new(super::super::constants::MeasureConstants)).build(),
        )
    }

    async fn said(sql: &str) -> String {
        let answered = match session().sql(sql).await {
            Ok(planned) => planned.collect().await,
            Err(error) => Err(error),
        };
        answered.err().map_or_else(|| "answered".to_owned(), |error| error.to_string())
    }

    #[tokio::test]
    async fn large_constants_are_measured_before_they_are_repeated() {
        const LARGE: &str = "repeat(repeat('a', 10000), 1000)";
        const ROWS: &str = "FROM generate_series(1, 1000)";
        for (sql, refused) in [
            (format!("SELECT {LARGE} AS x"), false),
            (format!("SELECT {LARGE} AS x, value {ROWS}"), true),
            (format!("SELECT CASE WHEN value > 5 THEN {LARGE} END AS x {ROWS}"), true),
            (format!("SELECT max({LARGE}) {ROWS}"), true),
            (format!("SELECT coalesce(nullif(value % 2, 1)::text, {LARGE}) AS x {ROWS}"), true),
            // Of the one row that needs it.
            (format!("SELECT coalesce(nullif(value, 7)::text, {LARGE}) AS x {ROWS}"), false),
            (format!("SELECT left({LARGE}, 1000000 + value) AS x {ROWS}"), true),
            (format!("SELECT count(*) {ROWS} WHERE value::text = {LARGE}"), false),
            (format!("SELECT count(*) {ROWS} WHERE {LARGE} LIKE value::text OR value::text IN ({LARGE}, 'b')"), false),
            (format!("SELECT sum(strpos({LARGE}, value::text)) FROM generate_series(1, 20)"), false),
            (format!("SELECT left({LARGE}, value) AS x FROM generate_series(1, 20)"), false),
            ("SELECT repeat('a', 1000) AS x, value FROM generate_series(1, 10000)".to_owned(), false),
        ] {
            let said = said(&sql).await;
            assert_eq!(said.contains("would make"), refused, "{sql}: {said}");
            assert!(refused || said == "answered", "{sql}: {said}");
        }
    }

    #[tokio::test]
    async fn a_type_may_be_too_wide() {
        for (sql, refused) in [
            ("SELECT arrow_cast(arrow_cast('a', 'Binary'), 'FixedSizeBinary(2000000000)')", true),
            (
                "SELECT arrow_try_cast(arrow_cast(value::text, 'Binary'), 'FixedSizeBinary(1000000)') FROM generate_series(1, 9)",
                true,
            ),
            ("SELECT arrow_try_cast([value], 'FixedSizeList(1000000000, Int64)') FROM generate_series(1, 9)", true),
            ("SELECT arrow_cast(arrow_cast('abcd', 'Binary'), 'FixedSizeBinary(4)')", false),
        ] {
            let said = said(sql).await;
            assert_eq!(said.contains("would make"), refused, "{sql}: {said}");
        }
    }

    #[tokio::test]
    async fn the_sign_of_the_smallest_number_has_no_other() {
        let least = "(VALUES (-9223372036854775807 - 1), (0)) t(v)";
        for sql in [
            format!("SELECT -v FROM {least}"),
            format!("SELECT sum(-v) FROM {least}"),
            "SELECT -(-9223372036854775807 - 1)".to_owned(),
        ] {
            let said = said(&sql).await;
            assert!(said.contains("verflow"), "{sql}: {said}");
        }
        for sql in [
            "SELECT -v FROM (VALUES (9223372036854775807), (0)) t(v)",
            "SELECT -v FROM (VALUES (1.5)) t(v)",
            "SELECT -INTERVAL '1' DAY",
            "SELECT - - v AS v FROM (VALUES (1)) t(v) ORDER BY -v",
        ] {
            assert_eq!(said(sql).await, "answered", "{sql}");
        }
    }
}
