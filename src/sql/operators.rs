//! Operators as functions: an operator cannot be bounded, and DataFusion's arithmetic goes on past the end of a type.
//! In: an expression whose types the planner has decided. Out: a function that gives the same value, or refuses an integer
//! that is too large for its type. Never changes a type or the order of work.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};

/// A chain of operators, computed from the left: `a + b - c` is one function of three values, since functions within
/// functions cost the planner far more than operators within operators.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OperatorChain {
    operators: Vec<Operator>,
    /// The type of its value.
    made: DataType,
    signature: Signature,
}

/// The left side of an operator.
#[derive(Clone, Copy)]
pub(super) enum LeftSide<'c> {
    Chain(&'c OperatorChain),
    Value(&'c DataType),
}

impl OperatorChain {
    /// The chain that an operator begins or goes on with; none if it stays an operator.
    pub fn of(left: LeftSide<'_>, operator: Operator, right: &DataType) -> Option<OperatorChain> {
        let (before, of_left): (&[Operator], &DataType) = match left {
            LeftSide::Chain(chain) => (&chain.operators, &chain.made),
            LeftSide::Value(data_type) => (&[], data_type),
        };
        let is_replaced = match operator {
            Operator::StringConcat => true,
            Operator::Plus | Operator::Minus | Operator::Multiply => of_left.is_integer() && right.is_integer(),
            _ => false,
        };
        let made = is_replaced.then(|| result_type(of_left, operator, right).ok()).flatten()?;
        let operators = [before, &[operator]].concat();
        let signature = Signature::any(operators.len() + 1, Volatility::Immutable);
        Some(OperatorChain { operators, made, signature })
    }

    /// True if the value may be larger than each part of it.
    pub fn grows(&self) -> bool {
        self.operators.contains(&Operator::StringConcat)
    }
}

fn result_type(left: &DataType, operator: Operator, right: &DataType) -> Result<DataType> {
    BinaryTypeCoercer::new(left, &operator, right).get_result_type()
}

impl ScalarUDFImpl for OperatorChain {
    fn name(&self) -> &str {
        match self.operators.last() {
            Some(Operator::Plus) => "+",
            Some(Operator::Minus) => "-",
            Some(Operator::Multiply) => "*",
            _ => "||",
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let mut name = String::new();
        for (place, value) in args.iter().enumerate() {
            if let Some(operator) = place.checked_sub(1).and_then(|before| self.operators.get(before)) {
                name.push_str(&format!(" {operator} "));
            }
            name.push_str(&value.schema_name().to_string());
        }
        Ok(name)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let Some((first, others)) = types.split_first() else {
            return internal_err!("a chain of operators has no values");
        };
        let mut steps = self.operators.iter().zip(others);
        steps.try_fold(first.clone(), |left, (operator, right)| result_type(&left, *operator, right))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, is_nullable)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut values = call.args.into_iter();
        let Some(first) = values.next() else { return internal_err!("a chain of operators has no values") };
        let mut steps = self.operators.iter().zip(values);
        steps.try_fold(first, |left, (operator, right)| applied(*operator, [left, right], call.number_rows))
    }
}

/// The value of one operator.
fn applied(operator: Operator, sides: [ColumnarValue; 2], rows: usize) -> Result<ColumnarValue> {
    let (mut columns, mut fields) = (Vec::new(), Vec::new());
    let [left, right] = sides.map(|side| match side {
        ColumnarValue::Scalar(value) => Arc::new(Literal::new(value)) as Arc<dyn PhysicalExpr>,
        ColumnarValue::Array(column) => {
            let (name, place) = (columns.len().to_string(), columns.len());
            fields.push(Field::new(&name, column.data_type().clone(), true));
            columns.push(column);
            Arc::new(Column::new(&name, place))
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
    BinaryExpr::new(left, operator, right).with_fail_on_overflow(true).evaluate(&batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_texts_are_chained() {
        let (number, text, real) = (DataType::Int64, DataType::Utf8, DataType::Float64);
        let sum = OperatorChain::of(LeftSide::Value(&number), Operator::Plus, &number).unwrap();
        assert!(sum.made == number && !sum.grows());
        let longer = OperatorChain::of(LeftSide::Chain(&sum), Operator::Minus, &number).unwrap();
        assert_eq!(longer.operators, [Operator::Plus, Operator::Minus]);
        assert!(
            OperatorChain::of(LeftSide::Value(&text), Operator::StringConcat, &text).is_some_and(|chain| chain.grows())
        );
        for (left, operator, right) in
            [(&real, Operator::Plus, &real), (&number, Operator::Divide, &number), (&number, Operator::Lt, &number)]
        {
            assert_eq!(OperatorChain::of(LeftSide::Value(left), operator, right), None, "{operator}");
        }
    }
}
