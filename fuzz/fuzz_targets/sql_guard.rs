//! Puts any text to the SQL guard: it must answer, and must let nothing through in which a statement writes. What passes
//! is mended, and mending again must change nothing.
#![no_main]

use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::{Statement, visit_statements};
use keytrail::sql::distinct_from::mend;
use keytrail::sql::guard::{CheckedStatement, check};
use libfuzzer_sys::fuzz_target;

/// As the guard parses.
const RECURSION_MAX: usize = 64;

fn reads(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Query(_)
            | Statement::Explain { .. }
            | Statement::ExplainTable { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowColumns { .. }
            | Statement::ShowFunctions { .. }
    )
}

fn only_reads(statement: &DfStatement) -> bool {
    match statement {
        DfStatement::Explain(explain) => only_reads(&explain.statement),
        // All statements within it too.
        DfStatement::Statement(statement) => visit_statements(&**statement, |inner| match reads(inner) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
        .is_continue(),
        _ => false,
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(sql) = std::str::from_utf8(data) else { return };
    if check(sql) == Ok(CheckedStatement::Query) {
        let mut parser = DFParserBuilder::new(sql).with_recursion_limit(RECURSION_MAX).build().expect("it had tokens");
        let statements = parser.parse_statements().expect("it was parsed");
        assert!(statements.len() == 1 && statements.iter().all(only_reads), "let through: {sql}");
        let mut mended = statements.clone();
        mended.iter_mut().for_each(mend);
        // What is right stays as it is.
        let once = mended.clone();
        mended.iter_mut().for_each(mend);
        assert!(mended == once, "mended twice: {sql}");
    }
});
