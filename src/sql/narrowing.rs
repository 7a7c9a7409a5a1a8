//! Narrows the rows of views to keys, principals and tables that are known only once the data was read.
//! In: plans, the views whose rows are meant, the kinds of what was named, and later the rule. Out: the plans with a
//! filter over each of those views. Never filters while the logs are read: by then nobody knows what an alias names.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::cast::{as_list_array, as_string_array};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference, exec_err};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Filter, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use super::answer::PreparedStatements;
use super::asked_names::NameKind;
use super::views;

/// A statement that comes with keytrail, and the views that it names whose rows are narrowed.
#[derive(Debug, Clone, Copy)]
pub struct NarrowedStatement<'s> {
    pub sql: &'s str,
    pub views: &'s [&'static str],
}

/// Statements that were planned together, and of each the kinds that do not narrow all of it.
pub struct NarrowedStatements<'e> {
    pub prepared: PreparedStatements<'e>,
    pub not_narrowed: Vec<Vec<NameKind>>,
}

/// True of the cells of a row that is about what was named of a kind.
type RowRule = dyn Fn(NameKind, &[Option<&str>]) -> bool + Send + Sync;

/// The column with the ARNs of the tables that a call may have been for, where its own record names none.
const CANDIDATES: &str = "candidate_tables";

/// The narrowing of one answer.
pub struct RowNarrowing {
    kinds: Vec<NameKind>,
    rule: Arc<OnceLock<Box<RowRule>>>,
}

impl RowNarrowing {
    /// A narrowing to things of these kinds; to none of them narrows nothing.
    pub fn to(kinds: Vec<NameKind>) -> RowNarrowing {
        RowNarrowing { kinds, rule: Arc::default() }
    }

    /// Says which rows stay. Only the first word counts.
    pub fn decide(&self, rule: impl Fn(NameKind, &[Option<&str>]) -> bool + Send + Sync + 'static) {
        self.rule.get_or_init(|| Box::new(rule));
    }

    /// The plan with a filter over each mention of these views, and the kinds that narrow some of them not, since they have
    /// no column of it.
    pub(super) fn narrow(&self, plan: LogicalPlan, narrowed_views: &[&str]) -> Result<(LogicalPlan, Vec<NameKind>)> {
        if self.kinds.is_empty() || narrowed_views.is_empty() {
            return Ok((plan, self.kinds.clone()));
        }
        let mut open = Vec::new();
        let narrowed = plan.transform_down_with_subqueries(|node| {
            let Some(name) = name_of(&node).filter(|name| views::find(name.table()).is_some()) else {
                return Ok(Transformed::no(node));
            };
            // Views that a view reads keep their rows.
            if !narrowed_views.contains(&name.table()) {
                return Ok(Transformed::new(node, false, TreeNodeRecursion::Jump));
            }
            let tests: Vec<(NameKind, Option<Expr>)> =
                self.kinds.iter().map(|kind| (*kind, self.test(*kind, &name, node.schema()))).collect();
            open.extend(tests.iter().filter(|(_, test)| test.is_none()).map(|(kind, _)| *kind));
            match conjunction(tests.into_iter().filter_map(|(_, test)| test)) {
                None => Ok(Transformed::new(node, false, TreeNodeRecursion::Jump)),
                Some(test) => {
                    let filter = LogicalPlan::Filter(Filter::try_new(test, Arc::new(node))?);
                    Ok(Transformed::new(filter, true, TreeNodeRecursion::Jump))
                }
            }
        })?;
        let open = self.kinds.iter().copied().filter(|kind| open.contains(kind)).collect();
        Ok((narrowed.data, open))
    }

    fn test(&self, kind: NameKind, view: &TableReference, schema: &DFSchema) -> Option<Expr> {
        let column = |names: &&[&str]| {
            let found = names.iter().find(|name| schema.has_column_with_unqualified_name(name));
            found.map(|name| Expr::Column(Column::new(Some(view.clone()), *name)))
        };
        let cells: Vec<Option<Expr>> = kind.columns().iter().map(column).collect();
        let candidates = if kind == NameKind::Table { column(&&[CANDIDATES][..]) } else { None };
        if cells.iter().all(Option::is_none) && candidates.is_none() {
            return None;
        }
        let nothing = || lit(ScalarValue::Utf8(None));
        let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(nothing)).chain(candidates).collect();
        let signature = Signature::variadic_any(Volatility::Volatile);
        let function = IsAskedFor { kind, rule: Arc::clone(&self.rule), signature };
        Some(ScalarUDF::from(function).call(cells))
    }
}

/// The name of a view at its mention.
fn name_of(node: &LogicalPlan) -> Option<TableReference> {
    match node {
        LogicalPlan::SubqueryAlias(alias) => Some(alias.alias.clone()),
        LogicalPlan::TableScan(scan) => Some(scan.table_name.clone()),
        _ => None,
    }
}

/// The rule as a function. It counts as volatile, so that the planner leaves it where rows are computed: the logs are read
/// before the rule is known.
struct IsAskedFor {
    kind: NameKind,
    rule: Arc<OnceLock<Box<RowRule>>>,
    signature: Signature,
}

impl ScalarUDFImpl for IsAskedFor {
    fn name(&self) -> &str {
        match self.kind {
            NameKind::Key => "is_asked_key",
            NameKind::Principal => "is_asked_principal",
            NameKind::Table => "is_asked_table",
            NameKind::Session => "is_asked_session",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(rule) = self.rule.get() else {
            return exec_err!("rows were asked for before anybody said which stay");
        };
        let (own, lists) = given.args.split_at(self.kind.columns().len());
        let text = |value: &ColumnarValue| value.cast_to(&DataType::Utf8, None)?.into_array(given.number_rows);
        let arrays = own.iter().map(text).collect::<Result<Vec<_>>>()?;
        let texts = arrays.iter().map(|array| as_string_array(array)).collect::<Result<Vec<_>>>()?;
        let lists = lists.iter().map(|list| list.to_array(given.number_rows)).collect::<Result<Vec<_>>>()?;
        let lists = lists.iter().map(|list| as_list_array(list)).collect::<Result<Vec<_>>>()?;
        let stays = |row: usize| {
            let cells = texts.iter().map(|cells| cells.is_valid(row).then(|| cells.value(row)));
            let is_candidate = |arn: &str| {
                let name = arn.split_once(":table/").map(|(_, name)| name);
                rule(self.kind, &[name, Some(arn)])
            };
            rule(self.kind, &cells.collect::<Vec<_>>())
                || lists.iter().filter(|list| list.is_valid(row)).any(|list| {
                    let items = list.value(row);
                    let arns = items.as_string_opt::<i32>();
                    arns.is_some_and(|arns| arns.iter().flatten().any(is_candidate))
                })
        };
        let answers: Vec<bool> = (0..given.number_rows).map(stays).collect();
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(answers))))
    }
}

impl fmt::Debug for IsAskedFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsAskedFor").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl PartialEq for IsAskedFor {
    fn eq(&self, other: &IsAskedFor) -> bool {
        self.kind == other.kind && Arc::ptr_eq(&self.rule, &other.rule)
    }
}

impl Eq for IsAskedFor {}

impl Hash for IsAskedFor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
    use arrow::datatypes::Int64Type;
    use datafusion::prelude::{DataFrame, SessionContext};

    use super::*;

    /// A view over a table of the same columns, and one that reads it.
    async fn session() -> SessionContext {
        let context = SessionContext::new();
        let column = |cells: [Option<&str>; 3]| Arc::new(StringArray::from(cells.to_vec())) as ArrayRef;
        let rows = [
            ("principal", column([Some("a"), Some("b"), None])),
            ("key_arn", column([Some("k"), Some("k"), Some("l")])),
        ];
        context.register_batch("raw", RecordBatch::try_from_iter(rows).unwrap()).unwrap();
        for view in
            ["key_use AS SELECT * FROM raw", "keys AS SELECT key_arn, count(*) AS n FROM key_use GROUP BY key_arn"]
        {
            context.sql(&format!("CREATE VIEW {view}")).await.unwrap();
        }
        context
    }

    #[tokio::test]
    async fn the_views_that_a_statement_names_are_narrowed_and_no_others() {
        let context = session().await;
        for (sql, views, open, count) in [
            ("SELECT count(*) FROM key_use u", &["key_use"][..], &[][..], 1),
            ("SELECT count(*) FROM key_use WHERE key_arn IN (SELECT key_arn FROM key_use)", &["key_use"], &[], 1),
            // The rows that another view reads stay.
            ("SELECT sum(n) FROM keys", &["key_use"], &[], 3),
            ("SELECT sum(n) FROM keys", &["keys"], &[NameKind::Principal], 3),
            ("SELECT count(*) FROM key_use", &[], &[NameKind::Principal], 3),
        ] {
            let narrowing = RowNarrowing::to(vec![NameKind::Principal]);
            let plan = context.state().create_logical_plan(sql).await.unwrap();
            let (plan, not_narrowed) = narrowing.narrow(plan, views).unwrap();
            let plan = context.state().optimize(&plan).unwrap();
            narrowing.decide(|_, cells| cells == [Some("a")]);
            let rows = DataFrame::new(context.state(), plan).collect().await.unwrap();
            let found = rows.iter().find(|rows| rows.num_rows() > 0).unwrap();
            assert_eq!(
                (found.column(0).as_primitive::<Int64Type>().value(0), &not_narrowed[..]),
                (count, open),
                "{sql}"
            );
        }
    }
}
