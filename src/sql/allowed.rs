//! The functions of DataFusion that a statement may call: those that read nothing but their arguments.
//! In: the functions that DataFusion has. Out: those of the lists, bounded where their results may grow.
//! Never lets a function through that nobody has looked at: a new one is unknown until it stands here.

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;

use super::bounded::bounded;
use super::growth::Growth;

/// Whose results are no larger than their arguments, or of a size of their own. Many repeat a constant argument for each
/// row; `constants` bounds that.
const PLAIN: &[&str] = &[
    "abs",
    "acos",
    "acosh",
    "array_any_value",
    "array_avg",
    "array_compact",
    "array_dims",
    "array_distance",
    "array_distinct",
    "array_element",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_length",
    "array_max",
    "array_min",
    "array_ndims",
    "array_normalize",
    "array_pop_back",
    "array_pop_front",
    "array_position",
    "array_positions",
    "array_product",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_reverse",
    "array_scale",
    "array_slice",
    "array_sort",
    "array_sum",
    "arrow_field",
    "arrow_metadata",
    "arrow_typeof",
    "ascii",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bit_length",
    "btrim",
    "cardinality",
    "cbrt",
    "ceil",
    "character_length",
    "chr",
    "coalesce",
    "contains",
    "cos",
    "cosh",
    "cosine_distance",
    "cot",
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "degrees",
    "empty",
    "ends_with",
    "exp",
    "factorial",
    "find_in_set",
    "flatten",
    "floor",
    "from_unixtime",
    "gcd",
    "get_field",
    "greatest",
    "inner_product",
    "isnan",
    "iszero",
    "lcm",
    "least",
    "left",
    "levenshtein",
    "ln",
    "log",
    "log10",
    "log2",
    "ltrim",
    "make_date",
    "make_time",
    "map_entries",
    "map_extract",
    "map_keys",
    "map_values",
    "named_struct",
    "nanvl",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "pi",
    "power",
    "radians",
    "random",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "reverse",
    "right",
    "round",
    "rtrim",
    "signum",
    "sin",
    "sinh",
    "split_part",
    "sqrt",
    "starts_with",
    "strpos",
    "struct",
    "substr",
    "substr_index",
    "tan",
    "tanh",
    "to_date",
    "to_local_time",
    "to_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    "trunc",
    "union_extract",
    "union_tag",
    "uuid",
    "version",
    "with_metadata",
];

/// They fold many rows into one value, which counts as memory of the question.
const AGGREGATES: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

const WINDOWS: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// A session with DataFusion's rules and planners, and the functions of these lists.
pub(super) fn session() -> SessionStateBuilder {
    let mut session = SessionStateBuilder::new_with_default_features().with_higher_order_functions(Vec::new());
    let scalar = session.scalar_functions().take().unwrap_or_default();
    *session.scalar_functions() = Some(scalar.into_iter().filter_map(allowed).collect());
    if let Some(aggregates) = session.aggregate_functions() {
        aggregates.retain(|function| AGGREGATES.contains(&function.name()));
    }
    if let Some(windows) = session.window_functions() {
        windows.retain(|function| WINDOWS.contains(&function.name()));
    }
    session
}

/// The function as a statement may call it.
fn allowed(function: Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
    match Growth::of(function.name()) {
        Some(growth) => Some(bounded(function, growth)),
        None => PLAIN.contains(&function.name()).then_some(function),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::growth::GROWING;
    use super::*;

    /// They tell of files.
    const REFUSED: &[&str] = &["file_row_index", "input_file_name"];

    #[test]
    fn every_function_was_looked_at() {
        let mut all = SessionStateBuilder::new_with_default_features();
        let known = |lists: &[&[&'static str]]| lists.concat().into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        let growing: Vec<&str> = GROWING.iter().map(|(name, _)| *name).collect();
        let scalar = all.scalar_functions().take().unwrap();
        let scalar: BTreeSet<String> = scalar.iter().map(|function| function.name().to_owned()).collect();
        assert_eq!(scalar, known(&[PLAIN, &growing, REFUSED]));
        let aggregates = all.aggregate_functions().take().unwrap();
        let aggregates: BTreeSet<String> = aggregates.iter().map(|function| function.name().to_owned()).collect();
        assert_eq!(aggregates, known(&[AGGREGATES]));
        let windows = all.window_functions().take().unwrap();
        let windows: BTreeSet<String> = windows.iter().map(|function| function.name().to_owned()).collect();
        assert_eq!(windows, known(&[WINDOWS]));
    }
}
