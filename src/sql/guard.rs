//! Decides which SQL may run here: one statement that only reads.
//! In: the text that a user typed. Out: leave to plan it, or the refusal. Never runs or plans anything.

use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, UnaryOperator, Value,
    visit_expressions, visit_statements,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::plan_size::{self, PlanTooLarge};

/// Longest statement, in bytes.
const SQL_BYTES_MAX: usize = 1 << 20;
const RECURSION_MAX: usize = 64;
/// Most operators and set operations: the planner needs as much stack for a chain of them as it is long.
const OPERATORS_MAX: usize = 1000;
/// Deepest nesting of brackets and CASE: the parser tries each level of a wrong statement twice.
const NESTING_MAX: usize = 10;
/// Largest size that a statement may ask a string or list function for.
const SIZE_MAX: u64 = 10_000;
/// Largest number that a series may reach, and the most rows that it may have as a table.
pub(super) const SERIES_MAX: u64 = 10_000_000;

/// The reason that a statement is not run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("the statement is longer than {SQL_BYTES_MAX} bytes")]
    TooLong,
    #[error("the statement has more than {OPERATORS_MAX} operators; use IN for long lists")]
    TooComplex,
    #[error("the statement nests brackets and CASE more than {NESTING_MAX} deep; name the parts in a WITH clause")]
    TooDeep,
    #[error(transparent)]
    TooLarge(#[from] PlanTooLarge),
    #[error("{0}")]
    Syntax(String),
    #[error("one statement at a time")]
    Several,
    #[error(
        "only queries are answered here: SELECT, EXPLAIN of a query, DESCRIBE NAME, SHOW TABLES, SHOW COLUMNS and SHOW FUNCTIONS"
    )]
    NotAQuery,
    #[error("`{function}` may be asked for at most {max}, written as a number")]
    TooMuch { function: String, max: u64 },
}

/// The next step for a statement.
#[derive(Debug, PartialEq, Eq)]
pub enum CheckedStatement {
    Query,
    /// Nothing but white space and comments.
    Empty,
}

/// Parses a statement and judges it; fails with the reason that it is not run.
pub fn check(sql: &str) -> Result<CheckedStatement, Refusal> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    let syntax = |error: datafusion::common::DataFusionError| Refusal::Syntax(error.strip_backtrace());
    // The parser explains text that cannot be split into tokens.
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    if tokens.iter().filter(|token| deepens(token)).count() > OPERATORS_MAX {
        return Err(Refusal::TooComplex);
    }
    if nesting(&tokens) > NESTING_MAX {
        return Err(Refusal::TooDeep);
    }
    let mut parser = DFParserBuilder::new(sql).with_recursion_limit(RECURSION_MAX).build().map_err(syntax)?;
    let mut statements = parser.parse_statements().map_err(syntax)?;
    match (statements.pop_front(), statements.is_empty()) {
        (None, _) => Ok(CheckedStatement::Empty),
        (Some(_), false) => Err(Refusal::Several),
        (Some(statement), true) => only_reads(&statement).map(|()| CheckedStatement::Query),
    }
}

/// The depth to which brackets and CASE stand within each other.
fn nesting(tokens: &[Token]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for token in tokens {
        let keyword = if let Token::Word(word) = token { word.keyword } else { Keyword::NoKeyword };
        match (token, keyword) {
            (Token::LParen | Token::LBracket | Token::LBrace, _) | (_, Keyword::CASE) => depth += 1,
            (Token::RParen | Token::RBracket | Token::RBrace, _) | (_, Keyword::END) => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// True if a token makes the tree of the statement one level deeper.
fn deepens(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::CASE
                | Keyword::JOIN
                | Keyword::LIKE
                | Keyword::IS
                | Keyword::DIV
        ),
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Whitespace(_) | Token::Comma | Token::Period => false,
        Token::LParen | Token::RParen | Token::Placeholder(_) | Token::SemiColon | Token::EOF => false,
        _ => true,
    }
}

fn only_reads(statement: &DfStatement) -> Result<(), Refusal> {
    match statement {
        DfStatement::Explain(explain) => only_reads(&explain.statement),
        DfStatement::Statement(statement) => match &**statement {
            Statement::Explain { statement, .. } => only_reads(&DfStatement::Statement(statement.clone())),
            statement => {
                // A query may contain other statements, such as an INSERT after WITH.
                let writes = visit_statements(statement, |inner| match is_query(inner) {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                });
                if writes.is_break() {
                    return Err(Refusal::NotAQuery);
                }
                sizes(statement)?;
                Ok(plan_size::check(statement)?)
            }
        },
        _ => Err(Refusal::NotAQuery),
    }
}

fn is_query(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Query(_)
            | Statement::ExplainTable { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowColumns { .. }
            | Statement::ShowFunctions { .. }
    )
}

/// Refuses the calls that would make one huge value out of a small statement.
fn sizes(statement: &Statement) -> Result<(), Refusal> {
    let found = visit_expressions(statement, |expr| match refused_size(expr) {
        Some(refusal) => ControlFlow::Break(refusal),
        None => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(refusal) => Err(refusal),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn refused_size(expr: &Expr) -> Option<Refusal> {
    let Expr::Function(function) = expr else { return None };
    // Quotes or a schema before the name do not change the function.
    let name = function.name.0.last()?.as_ident()?.value.to_ascii_lowercase();
    let FunctionArguments::List(list) = &function.args else { return None };
    let number = |index: usize| list.args.get(index).map(literal);
    let too_much = |max| Some(Refusal::TooMuch { function: name.clone(), max });
    match name.as_str() {
        "repeat" | "lpad" | "rpad" | "array_repeat" | "list_repeat" | "array_resize" | "list_resize" => {
            let asked = number(1)?;
            if asked.is_none_or(|size| size > SIZE_MAX) { too_much(SIZE_MAX) } else { None }
        }
        "range" | "generate_series" | "gen_series" => {
            // A bound that is a column may be anything; times and NULL are bounded by the table function.
            let is_beyond = |argument: &FunctionArg| match magnitude_of(argument) {
                Some(end) => end > SERIES_MAX,
                None => reads_a_column(argument),
            };
            if list.args.iter().any(is_beyond) { too_much(SERIES_MAX) } else { None }
        }
        _ => None,
    }
}

/// The number, if an argument is written as one.
fn literal(argument: &FunctionArg) -> Option<u64> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else { return None };
    number(&value.value)
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(digits, _) => digits.to_string().parse().ok(),
        _ => None,
    }
}

/// True if an argument is a column, or computed from one.
fn reads_a_column(argument: &FunctionArg) -> bool {
    let found = visit_expressions(argument, |expr| match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// The most that an argument can be, whatever its sign, if it is computed from numbers alone.
fn magnitude_of(argument: &FunctionArg) -> Option<u64> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else { return None };
    magnitude(expr)
}

fn magnitude(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Value(value) => number(&value.value),
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
            magnitude(inner)
        }
        Expr::BinaryOp { left, op, right } => {
            let (left, right) = (magnitude(left)?, magnitude(right)?);
            match op {
                BinaryOperator::Plus | BinaryOperator::Minus => Some(left.saturating_add(right)),
                BinaryOperator::Multiply => Some(left.saturating_mul(right)),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pass_and_everything_else_is_refused() {
        for sql in [
            "SELECT 1",
            "EXPLAIN ANALYZE SELECT count(*) FROM events",
            "DESCRIBE events",
            "SHOW TABLES",
            "SELECT repeat('a', 10)",
            "WITH a AS (SELECT 1 AS n) SELECT n FROM a;",
        ] {
            assert_eq!(check(sql), Ok(CheckedStatement::Query), "{sql}");
        }
        for sql in ["", " ;", "-- only a comment"] {
            assert_eq!(check(sql), Ok(CheckedStatement::Empty), "{sql}");
        }
        for sql in [
            "COPY (SELECT 1) TO '/tmp/x.csv' STORED AS CSV",
            "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x.csv' STORED AS CSV",
            "CREATE EXTERNAL TABLE p STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE TABLE t AS SELECT 1",
            "INSERT INTO events SELECT * FROM events",
            "SET datafusion.runtime.memory_limit = '1000G'",
            "PREPARE p AS SELECT 1",
            "DROP TABLE events",
            "SELECT 1; SELECT 2",
            "SELECT repeat('a', 2000000000)",
            "SELECT repeat('a', 1000 * 1000 * 1000)",
            "SELECT \"repeat\"('a', 2000000000)",
            "WITH a AS (SELECT 1) INSERT INTO events SELECT * FROM a",
            "EXPLAIN WITH a AS (SELECT 1) DELETE FROM events",
            "SELECT range(0, 1000000000000)",
            "SELECT range(0, 100000 * (100000 + 1))",
            "SELECT generate_series(-1000000000000, 0)",
        ] {
            assert!(check(sql).is_err(), "{sql}");
        }
        let nested = |open: &str, close: &str, depth| format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
        for (open, close) in [("(", ")"), ("CASE WHEN true THEN ", " END"), ("ARRAY[", "]"), ("abs(", ")")] {
            assert_eq!(check(&nested(open, close, NESTING_MAX)), Ok(CheckedStatement::Query), "{open}");
            assert_eq!(check(&nested(open, close, NESTING_MAX + 1)), Err(Refusal::TooDeep), "{open}");
        }
        for (term, count, refused) in
            [("+1", 1000, false), ("+1", 1001, true), (" OR true", 1001, true), (" UNION ALL SELECT 1", 1001, true)]
        {
            let sql = format!("SELECT 1{}", term.repeat(count));
            assert_eq!(check(&sql) == Err(Refusal::TooComplex), refused, "{term} {count} times");
        }
    }
}
