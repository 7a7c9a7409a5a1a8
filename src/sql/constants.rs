//! Constants that stand in many rows: a text of ten megabytes takes eighty gigabytes where each row of a batch has it.
//! In: a plan whose constants are computed. Out: the same plan, where a large constant is measured before it is repeated,
//! and a function that has one computes a few rows at a time. Never changes a value, nor a constant that is only compared.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::bounded::{check_size, in_pieces};

/// A constant of this size takes 8 MiB of one batch of rows, which every step may take.
const SMALL_BYTES: usize = 1 << 10;

/// Gives the constant that it is given, if so many rows of it have room. The planner must not compute it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct MeasuredConstant {
    signature: Signature,
}

static MEASURED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(MeasuredConstant { signature: Signature::any(1, Volatility::Volatile) }))
});

impl ScalarUDFImpl for MeasuredConstant {
    fn name(&self) -> &str {
        "constant"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [data_type] => Ok(data_type.clone()),
            _ => internal_err!("a constant is one value"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [field] => Ok(Arc::new(Field::new(self.name(), field.data_type().clone(), field.is_nullable()))),
            _ => internal_err!("a constant is one value"),
        }
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match call.args.as_slice() {
            [ColumnarValue::Scalar(value)] => {
                check_size("a constant", (value.size() as u64).saturating_mul(call.number_rows as u64))?;
                Ok(ColumnarValue::Scalar(value.clone()))
            }
            _ => internal_err!("a constant is one value"),
        }
    }
}

fn is_large(value: &ScalarValue) -> bool {
    value.size() > SMALL_BYTES
}

fn is_measured(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.inner().is::<MeasuredConstant>())
}

/// The constant alone.
fn bare(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::ScalarFunction(mut call) if call.func.inner().is::<MeasuredConstant>() => match call.args.pop() {
            Some(constant) => Transformed::yes(constant),
            None => return internal_err!("a constant is one value"),
        },
        other => Transformed::no(other),
    })
}

/// The expression with its large constants measured, its parts already being so.
fn measured(expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Literal(value, about) if is_large(&value) => {
            let args = vec![Expr::Literal(value, about)];
            Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: Arc::clone(&MEASURED), args })))
        }
        Expr::ScalarFunction(call) if call.args.iter().any(is_measured) => {
            let func = if call.func.inner().is::<MeasuredConstant>() { call.func } else { in_pieces(call.func) };
            Expr::ScalarFunction(ScalarFunction { func, args: call.args }).map_children(bare)
        }
        // These compare each row with the one constant.
        Expr::BinaryExpr(_) | Expr::Like(_) | Expr::SimilarTo(_) | Expr::InList(_) | Expr::Between(_) => {
            expr.map_children(bare)
        }
        Expr::IsNull(_) | Expr::IsNotNull(_) => expr.map_children(bare),
        other => Ok(Transformed::no(other)),
    }
}

fn has_large(node: &LogicalPlan) -> Result<bool> {
    let mut has_large = false;
    node.apply_expressions(|expr| {
        has_large |= expr.exists(|part| Ok(matches!(part, Expr::Literal(value, _) if is_large(value))))?;
        Ok(if has_large { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(has_large)
}

/// Measures the large constants of a plan. The last rule, since others make constants of expressions.
#[derive(Debug)]
pub(super) struct MeasureConstants;

impl OptimizerRule for MeasureConstants {
    fn name(&self) -> &str {
        "measure_constants"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let mut is_found = false;
        plan.apply_with_subqueries(|node| {
            is_found |= has_large(node)?;
            Ok(if is_found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !is_found {
            return Ok(Transformed::no(plan));
        }
        plan.transform_up_with_subqueries(|node| {
            if !has_large(&node)? {
                return Ok(Transformed::no(node));
            }
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(measured)?.update_data(|expr| name.restore(expr)))
            })
        })
    }
}
