//! The SQL functions that ask whether a row bears a name.
//! In: the name that was asked for, and the cells that may bear it. Out: true, false, or NULL where a cell is not told;
//! true for whoever asks for nothing. A name that is written out becomes plain comparisons when the statement is planned,
//! so that it prunes like any other predicate.

use std::sync::Arc;

use arrow::array::{Array, BooleanBuilder, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::common::{Result, exec_err};
use datafusion::functions::expr_fn::{contains, ends_with, starts_with};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, lit};

use super::asked_names::{AskedName, NameKind, TextTest};

/// `names_key(asked, key_arn, alias)` and its kin.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NamesFunction {
    pub name: &'static str,
    pub kind: NameKind,
    pub signature: Signature,
    pub documentation: Documentation,
}

impl NamesFunction {
    /// The name asked for, then the cells of its kind.
    fn arguments(&self) -> usize {
        1 + self.kind.columns().len()
    }
}

impl ScalarUDFImpl for NamesFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        if arguments.len() != self.arguments() {
            return exec_err!("{} takes {} arguments", self.name, self.arguments());
        }
        Ok(DataType::Boolean)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn simplify(&self, arguments: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let asked = match arguments.first() {
            Some(Expr::Literal(value, _)) if value.is_null() => return Ok(ExprSimplifyResult::Simplified(lit(true))),
            Some(Expr::Literal(value, _)) => value.try_as_str().flatten().map(str::to_owned),
            _ => None,
        };
        Ok(match asked {
            Some(asked) => ExprSimplifyResult::Simplified(comparisons(self.kind, &asked, &arguments[1..])),
            None => ExprSimplifyResult::Original(arguments),
        })
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let text = |value: &ColumnarValue| value.cast_to(&DataType::Utf8, None)?.into_array(given.number_rows);
        let arrays = given.args.iter().map(text).collect::<Result<Vec<_>>>()?;
        let texts = arrays.iter().map(|array| as_string_array(array)).collect::<Result<Vec<_>>>()?;
        let Some((asked, cells)) = texts.split_first() else {
            return exec_err!("{} needs a name", self.name);
        };
        let mut answers = BooleanBuilder::with_capacity(given.number_rows);
        let mut last: Option<AskedName> = None;
        for row in 0..given.number_rows {
            let Some(name) = cell(asked, row) else {
                answers.append_value(true);
                continue;
            };
            // It is the same in all rows, but where a column gives it.
            let name = match last.take().filter(|last| last.given == name) {
                Some(last) => last,
                None => AskedName::new(self.kind, name),
            };
            let cells: Vec<Option<&str>> = cells.iter().map(|cells| cell(cells, row)).collect();
            let is_told = name.ways.iter().all(|way| cells.get(way.cell).is_some_and(Option::is_some));
            answers.append_option(if name.is_borne_by(&cells) { Some(true) } else { is_told.then_some(false) });
            last = Some(name);
        }
        Ok(ColumnarValue::Array(Arc::new(answers.finish())))
    }
}

fn cell(cells: &StringArray, row: usize) -> Option<&str> {
    cells.is_valid(row).then(|| cells.value(row))
}

/// The tests of a name on these cells.
fn comparisons(kind: NameKind, asked: &str, cells: &[Expr]) -> Expr {
    let asked = AskedName::new(kind, asked);
    let test = |cell: &Expr, test: &TextTest| match test {
        TextTest::Is(text) => cell.clone().eq(lit(text.as_str())),
        TextTest::Starts(text) => starts_with(cell.clone(), lit(text.as_str())),
        TextTest::Ends(text) => ends_with(cell.clone(), lit(text.as_str())),
        TextTest::Contains(text) => contains(cell.clone(), lit(text.as_str())),
    };
    let ways = asked.ways.iter().filter_map(|way| {
        let cell = cells.get(way.cell).filter(|cell| !matches!(cell, Expr::Literal(value, _) if value.is_null()))?;
        conjunction(way.tests.iter().map(|wanted| test(cell, wanted)))
    });
    disjunction(ways).unwrap_or_else(|| lit(false))
}
