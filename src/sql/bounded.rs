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
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
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

use super::growth::{CallSizes, Growth, range_bytes};
use super::operators::{LeftSide, OperatorChain};

/// The most that one call makes of one batch.
const RESULT_BYTES_MAX: u64 = 64 << 20;
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
    let Expr::BinaryExpr(operator) = expr else { return bound_call(expr) };
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

    fn check(&self, bytes: u64) -> Result<()> {
        let (name, size) = (self.function.name(), bytes.div_ceil(1 << 20));
        let made = || format!("`{name}` would make {size} MiB of one batch of rows");
        if bytes > RESULT_BYTES_MAX {
            let most = RESULT_BYTES_MAX >> 20;
            return resources_err!("{}, and at most {most} MiB are allowed", made());
        }
        if !keytrail_limits::has_room_for(bytes as usize) {
            let most = keytrail_limits::allowed() >> 20;
            return resources_err!(
                "{}, beside what the process holds already, and it may take {most} MiB in all",
                made()
            );
        }
        Ok(())
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
        let bound = |row| self.growth.bytes(&sizes, row);
        let is_constant = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        if is_constant {
            self.check(bound(0))?;
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
            ExprSimplifyResult::Simplified(expr) => ExprSimplifyResult::Simplified(expr.transform_up(bound_call)?.data),
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
