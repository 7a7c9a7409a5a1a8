//! The hint below an error of planning: the name or function that was probably meant.
//! In: the statement, the planner's message, the names of the tables. Out: a hint, where one is known.
//! Never changes a statement.

use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::did_you_mean::{did_you_mean, likeliest};

/// Columns that are offered where one is missing.
const COLUMNS_OFFERED: usize = 5;

/// The cure for an error of planning, where we know one: a table of a near name, or our functions for JSON.
pub fn of(sql: &str, message: &str, tables: &[String]) -> Option<String> {
    table(message, tables).or_else(|| reads_json_elsewise(sql).then(json))
}

/// A column that a statement names and none of its tables has.
pub struct MissingColumn {
    name: String,
    /// The columns that there are, each once.
    columns: Vec<String>,
}

impl MissingColumn {
    /// The column that an error of planning is about.
    pub fn of(error: &DataFusionError) -> Option<MissingColumn> {
        let DataFusionError::SchemaError(fault, _) = error.find_root() else { return None };
        let SchemaError::FieldNotFound { field, valid_fields } = &**fault else { return None };
        let written = |column: &Column| column.quoted_flat_name();
        // In a statement over one table nobody writes its name before each column.
        let has_table = field.relation.is_some();
        let mut columns: Vec<String> = valid_fields
            .iter()
            .map(|column| if has_table { written(column) } else { written(&Column::from_name(&column.name)) })
            .collect();
        columns.sort_unstable();
        columns.dedup();
        Some(MissingColumn { name: written(field), columns })
    }

    pub fn message(&self) -> String {
        format!("No field named {}", self.name)
    }

    /// The columns nearest to it, and the statement that lists the others.
    pub fn hint(&self) -> String {
        let near = likeliest(&self.name, self.columns.iter().map(String::as_str), COLUMNS_OFFERED);
        let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
        match near.as_slice() {
            [] => "no table is named after FROM, so there is no column".to_owned(),
            [one] => format!("there is {one}"),
            _ => format!("the nearest are {}; `DESCRIBE NAME` lists the columns of a table", near.join(", ")),
        }
    }
}

/// The hint for a missing table.
fn table(message: &str, tables: &[String]) -> Option<String> {
    let missing = message.split("table '").nth(1).and_then(|rest| rest.split('\'').next())?;
    let bare = missing.rsplit('.').next().unwrap_or(missing);
    let near = did_you_mean(bare, tables.iter().map(String::as_str));
    Some(near.map(|near| near + " ").unwrap_or_default() + "`SHOW TABLES` lists them all")
}

/// True of a statement that reads JSON as other databases do.
fn reads_json_elsewise(sql: &str) -> bool {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let mut words = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).peekable();
    while let Some(token) = words.next() {
        // The arrow of a lambda is not followed by a bare constant.
        let is_access = match (token, words.peek()) {
            (Token::Arrow | Token::LongArrow, Some(Token::SingleQuotedString(_) | Token::Number(..))) => true,
            (Token::Word(word), Some(Token::LParen)) => is_json_function(&word.value.to_ascii_lowercase()),
            // Operators of PostgreSQL that name a path.
            (Token::HashArrow | Token::HashLongArrow, _) => true,
            _ => false,
        };
        if is_access {
            return true;
        }
    }
    false
}

/// True of a function by which another database reads JSON.
fn is_json_function(name: &str) -> bool {
    name.starts_with("json_extract")
        || name.starts_with("jsonb_")
        || matches!(
            name,
            "json_value" | "json_query" | "json_exists" | "json_object_keys" | "get_json_object" | "parse_json"
        )
}

fn json() -> String {
    "JSON is read here with json_get_str(column, 'key', …), json_get_int, json_get_bool, json_get_json and json_contains; \
     docs/sql.md has an example of each"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_table_is_met_with_likely_ones() {
        let tables = ["events".to_owned(), "key_use".to_owned()];
        let hint = |name| of("SELECT 1", &format!("table 'keytrail.main.{name}' not found"), &tables);
        assert_eq!(hint("event").as_deref(), Some("did you mean `events`? `SHOW TABLES` lists them all"));
        assert_eq!(hint("customers").as_deref(), Some("`SHOW TABLES` lists them all"));
    }

    #[test]
    fn json_of_other_databases_is_met_with_ours() {
        for (sql, expected) in [
            ("SELECT request_parameters -> 'keyId' FROM events", true),
            ("SELECT request_parameters ->> 'keyId' FROM events", true),
            ("SELECT JSON_EXTRACT(request_parameters, '$.keyId') FROM events", true),
            ("SELECT json_extract_path_text(raw, 'keyId') FROM events", true),
            ("SELECT json_value(raw, '$.keyId') FROM events", true),
            ("SELECT raw #>> '{a,b}' FROM events", true),
            ("SELECT json_extract FROM events", false),
            ("SELECT '->' FROM events -- -> 'x'", false),
            ("SELECT array_transform(issues, x -> x + 1) FROM events", false),
        ] {
            assert_eq!(of(sql, "it failed", &[]).is_some(), expected, "{sql}");
        }
    }
}
