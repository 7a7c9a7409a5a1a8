//! Corrects the parser's tree of `IS [NOT] DISTINCT FROM`.
//! In: a parsed statement. Out: the same statement, in which AND, OR and IS bind as they do everywhere else.
//! sqlparser 0.62 takes the whole rest as the right side, so `a IS DISTINCT FROM b AND c` compares `a` with
//! `b AND c`. Never moves an operator across a bracket.

use std::mem;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, visit_expressions_mut};

/// The strength with which an operator binds; the first variant binds least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum BindingStrength {
    Or,
    And,
    Not,
    Is,
}

/// Corrects all expressions of a statement.
pub fn mend(statement: &mut DfStatement) {
    match statement {
        DfStatement::Explain(explain) => mend(&mut explain.statement),
        DfStatement::Statement(statement) => {
            // The visit corrects inner expressions before the outer ones.
            let _: ControlFlow<()> = visit_expressions_mut(&mut **statement, |expr| {
                settle(expr);
                ControlFlow::Continue(())
            });
        }
        _ => {}
    }
}

/// Takes from an operator the part of its right side that binds less than the operator.
fn settle(expr: &mut Expr) {
    let Some((strength, right)) = right_side(expr) else { return };
    let mut whole = mem::replace(right, nothing());
    attach(mem::replace(expr, nothing()), strength, &mut whole);
    *expr = whole;
}

/// Attaches an operator to the left end of `whole` and gives it its right side from there.
fn attach(mut operator: Expr, strength: BindingStrength, whole: &mut Expr) {
    if let Some((weaker, left)) = left_side(whole)
        && weaker <= strength
    {
        return attach(operator, strength, left);
    }
    if let Some((_, right)) = right_side(&mut operator) {
        mem::swap(whole, right);
    }
    *whole = operator;
}

fn nothing() -> Expr {
    Expr::value(Value::Null)
}

/// The right side of an operator that may have taken too much.
fn right_side(expr: &mut Expr) -> Option<(BindingStrength, &mut Expr)> {
    match expr {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => Some((BindingStrength::Is, right)),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => Some((BindingStrength::Not, expr)),
        Expr::BinaryOp { op, right, .. } => Some((logical(op)?, right)),
        _ => None,
    }
}

/// The left side of an operator that may bind less than the operator before it.
fn left_side(expr: &mut Expr) -> Option<(BindingStrength, &mut Expr)> {
    match expr {
        Expr::IsDistinctFrom(left, _)
        | Expr::IsNotDistinctFrom(left, _)
        | Expr::IsNull(left)
        | Expr::IsNotNull(left)
        | Expr::IsTrue(left)
        | Expr::IsNotTrue(left)
        | Expr::IsFalse(left)
        | Expr::IsNotFalse(left)
        | Expr::IsUnknown(left)
        | Expr::IsNotUnknown(left) => Some((BindingStrength::Is, left)),
        Expr::BinaryOp { op, left, .. } => Some((logical(op)?, left)),
        _ => None,
    }
}

fn logical(op: &BinaryOperator) -> Option<BindingStrength> {
    match op {
        BinaryOperator::And => Some(BindingStrength::And),
        BinaryOperator::Or => Some(BindingStrength::Or),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParserBuilder;

    use super::*;

    /// Writes an expression with brackets around every operator.
    fn bracketed(expr: &Expr) -> String {
        match expr {
            Expr::BinaryOp { left, op, right } => format!("({} {op} {})", bracketed(left), bracketed(right)),
            Expr::UnaryOp { op, expr } => format!("({op} {})", bracketed(expr)),
            Expr::IsDistinctFrom(left, right) => format!("({} <d> {})", bracketed(left), bracketed(right)),
            Expr::IsNotDistinctFrom(left, right) => format!("({} <n> {})", bracketed(left), bracketed(right)),
            Expr::IsNull(left) => format!("({} <null>)", bracketed(left)),
            Expr::Nested(inner) => format!("[{}]", bracketed(inner)),
            other => other.to_string(),
        }
    }

    #[test]
    fn distinct_from_takes_its_own_right_side_only() {
        for (sql, expected) in [
            ("a IS DISTINCT FROM b AND c", "((a <d> b) AND c)"),
            ("a IS NOT DISTINCT FROM b OR c AND d", "((a <n> b) OR (c AND d))"),
            ("x AND a IS DISTINCT FROM b OR y", "((x AND (a <d> b)) OR y)"),
            ("x OR a IS DISTINCT FROM b AND y", "(x OR ((a <d> b) AND y))"),
            ("x AND a IS DISTINCT FROM b AND y OR z", "(((x AND (a <d> b)) AND y) OR z)"),
            ("NOT a IS DISTINCT FROM b AND c", "((NOT (a <d> b)) AND c)"),
            ("a IS DISTINCT FROM NOT b AND c", "((a <d> (NOT b)) AND c)"),
            ("a IS DISTINCT FROM b IS NULL AND c", "(((a <d> b) <null>) AND c)"),
            ("a IS DISTINCT FROM b AND c IS DISTINCT FROM d OR e", "(((a <d> b) AND (c <d> d)) OR e)"),
            (
                "x AND NOT a IS DISTINCT FROM b OR c IS NOT DISTINCT FROM d AND e",
                "((x AND (NOT (a <d> b))) OR ((c <n> d) AND e))",
            ),
            ("a IS DISTINCT FROM b = c AND d", "((a <d> (b = c)) AND d)"),
            ("a IS DISTINCT FROM (b AND c) AND d", "((a <d> [(b AND c)]) AND d)"),
            ("(a IS DISTINCT FROM b AND c) OR d", "([((a <d> b) AND c)] OR d)"),
            ("a OR b AND NOT c OR d", "((a OR (b AND (NOT c))) OR d)"),
        ] {
            let mut parser = DFParserBuilder::new(sql).build().unwrap();
            let mut expr = parser.parse_expr().unwrap();
            let _: ControlFlow<()> = visit_expressions_mut(&mut expr, |expr| {
                settle(expr);
                ControlFlow::Continue(())
            });
            assert_eq!(bracketed(&expr.expr), expected, "{sql}");
        }
    }
}
