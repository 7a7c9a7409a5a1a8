//! Operators as functions: an operator cannot be bounded, and DataFusion's arithmetic goes on past the end of a type.
//! In: an expression whose types the planner has decided. Out: the same value under the same name; or a refusal, where an
//! integer would be too large for its type. Never changes a type or an order of work.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr as PhysicalBinaryExpr, Column, Literal};

/// The operators that are called as functions. Arithmetic is that of integers.
const REPLACED: [(Operator, &str); 4] = [
    (Operator::StringConcat, "||"),
    (Operator::Plus, "+"),
    (Operator::Minus, "-"),
    (Operator::Multiply, "*"),
];

/// The function for an expression with such an operator; none for any other.
pub(super) fn as_function(expr: &BinaryExpr, schema: &DFSchema) -> Option<OperatorFunction> {
    let (op, name) = REPLACED.into_iter().find(|(op, _)| *op == expr.op)?;
    let is_replaced = op == Operator::StringConcat || are_integers(expr, schema);
    // The types are those that the planner has given the operator.
    let signature = Signature::any(2, Volatility::Immutable);
    is_replaced.then_some(OperatorFunction { op, name, signature })
}

fn are_integers(expr: &BinaryExpr, schema: &DFSchema) -> bool {
    [&expr.left, &expr.right].into_iter().all(|side| side.get_type(schema).is_ok_and(|of_side| of_side.is_integer()))
}

/// The call of a function, in the place of an expression.
pub(super) fn call(func: Arc<ScalarUDF>, expr: BinaryExpr) -> Expr {
    Expr::ScalarFunction(ScalarFunction { func, args: vec![*expr.left, *expr.right] })
}

/// An operator with two sides.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OperatorFunction {
    op: Operator,
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for OperatorFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [left, right] => Ok(format!("{} {} {}", left.schema_name(), self.name, right.schema_name())),
            _ => exec_err!("{} has two sides", self.name),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] => BinaryTypeCoercer::new(left, &self.op, right).get_result_type(),
            _ => exec_err!("{} has two sides", self.name),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name, self.return_type(&types)?, is_nullable)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (mut columns, mut fields, mut sides) = (Vec::new(), Vec::new(), Vec::<Arc<dyn PhysicalExpr>>::new());
        for argument in call.args {
            match argument {
                ColumnarValue::Scalar(value) => sides.push(Arc::new(Literal::new(value))),
                ColumnarValue::Array(column) => {
                    let name = columns.len().to_string();
                    sides.push(Arc::new(Column::new(&name, columns.len())));
                    fields.push(Field::new(name, column.data_type().clone(), true));
                    columns.push(column);
                }
            }
        }
        let Ok([left, right]) = <[_; 2]>::try_from(sides) else { return exec_err!("{} has two sides", self.name) };
        let options = RecordBatchOptions::new().with_row_count(Some(call.number_rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
        PhysicalBinaryExpr::new(left, self.op, right).with_fail_on_overflow(true).evaluate(&batch)
    }
}
