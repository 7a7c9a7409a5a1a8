//! The hint below an error of planning: the name or function that was probably meant.
//! In: the statement, the planner's message, the names of the tables. Out: a hint, where one is known.
//! Never changes a statement.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::did_you_mean::did_you_mean;

/// The cure for an error of planning, where we know one: a table of a near name, or our functions for JSON.
pub fn of(sql: &str, message: &str, tables: &[String]) -> Option<String> {
    table(message, tables).or_else(|| reads_json_elsewise(sql).then(json))
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
            (Token::Word(word), _) => word.value.to_ascii_lowercase().starts_with("json_extract"),
            _ => false,
        };
        if is_access {
            return true;
        }
    }
    false
}

fn json() -> String {
    "JSON is read here with json_get_str(column, 'key', …); `SHOW FUNCTIONS LIKE 'json%'` lists its kin".to_owned()
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
            ("SELECT '->' FROM events -- -> 'x'", false),
            ("SELECT array_transform(issues, x -> x + 1) FROM events", false),
        ] {
            assert_eq!(of(sql, "it failed", &[]).is_some(), expected, "{sql}");
        }
    }
}
