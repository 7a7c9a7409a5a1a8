//! The named queries: files of `queries/named`, each with a card that names its question and its parameters.
//! In: their cards. Out: the queries and the values of their parameters. Never fills in a template: a file runs as is.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use datafusion::common::ScalarValue;

use super::cards::{self, Card, CardError, CardKind, Severity};

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    Text,
    Timestamp,
    Int,
}

impl fmt::Display for ParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParamType::Text => "text",
            ParamType::Timestamp => "timestamp",
            ParamType::Int => "int",
        })
    }
}

impl ParamType {
    fn value(self, text: Option<&str>) -> Result<ScalarValue, String> {
        Ok(match (self, text) {
            (ParamType::Text, text) => ScalarValue::Utf8(text.map(str::to_owned)),
            (ParamType::Int, None) => ScalarValue::Int64(None),
            (ParamType::Int, Some(text)) => {
                ScalarValue::Int64(Some(text.parse().map_err(|_| format!("`{text}` is not a whole number"))?))
            }
            (ParamType::Timestamp, text) => {
                // A bare date means the start of that day.
                let time = |text: &str| {
                    let read = crate::time::parse_rfc3339(text);
                    let read = read.or_else(|| crate::time::parse_rfc3339(&format!("{text}T00:00:00Z")));
                    read.ok_or(format!("`{text}` is not a time such as 2026-03-10 or 2026-03-10T09:00:00Z"))
                };
                ScalarValue::TimestampMicrosecond(text.map(time).transpose()?, Some("UTC".into()))
            }
        })
    }
}

/// One parameter of a query.
#[derive(Debug, Clone)]
pub struct Param {
    pub name: &'static str,
    pub ty: ParamType,
    pub default: Option<&'static str>,
    pub about: &'static str,
}

/// One query and its card.
#[derive(Debug, Clone)]
pub struct NamedQuery {
    pub name: &'static str,
    pub title: &'static str,
    pub description: String,
    pub params: Vec<Param>,
    pub severity: Option<Severity>,
    pub sql: &'static str,
}

impl NamedQuery {
    fn of(card: &Card) -> Result<NamedQuery, CardError> {
        Ok(NamedQuery {
            name: card.name,
            title: card.title(),
            description: card.joined("description"),
            params: card.values("param", "`name type [= default] : about`", Param::read)?,
            severity: card.severity()?,
            sql: card.sql,
        })
    }

    /// The values of all parameters: as given, else the default, else NULL.
    pub fn values(&self, given: &[(String, String)]) -> Result<HashMap<String, ScalarValue>, String> {
        if let Some((name, _)) = given.iter().find(|(name, _)| !self.params.iter().any(|param| param.name == name)) {
            let known: Vec<&str> = self.params.iter().map(|param| param.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(format!("query `{}` has no parameter `{name}`; it has {known}", self.name));
        }
        let mut values = HashMap::new();
        for param in &self.params {
            let text = given.iter().rev().find(|(name, _)| name == param.name).map(|(_, value)| value.as_str());
            values.insert(param.name.to_owned(), param.ty.value(text.or(param.default))?);
        }
        Ok(values)
    }
}

impl Param {
    /// Reads `name type [= default] : about`.
    fn read(line: &'static str) -> Option<Param> {
        let (head, about) = line.split_once(" : ")?;
        let (head, default) = head.split_once(" = ").map_or((head, None), |(head, default)| (head, Some(default)));
        let (name, ty) = head.split_once(' ')?;
        let ty = match ty.trim() {
            "timestamp" => ParamType::Timestamp,
            "int" => ParamType::Int,
            "text" => ParamType::Text,
            _ => return None,
        };
        Some(Param { name, ty, default, about })
    }
}

/// All named queries, by name.
pub fn all() -> &'static [NamedQuery] {
    static ALL: LazyLock<Vec<NamedQuery>> = LazyLock::new(|| {
        cards::each(CardKind::Named, NamedQuery::of).expect("a test reads the card of every query that is compiled in")
    });
    &ALL
}

/// The query of this name.
pub fn find(name: &str) -> Option<&'static NamedQuery> {
    all().iter().find(|query| query.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_is_described_and_uses_its_parameters() {
        for query in cards::each(CardKind::Named, NamedQuery::of).unwrap_or_else(|error| panic!("{error}")) {
            assert!(!query.description.is_empty(), "{}", query.name);
            for param in &query.params {
                assert!(query.sql.contains(&format!("${}", param.name)), "{} does not use {}", query.name, param.name);
            }
        }
    }

    #[test]
    fn wrong_parameters_are_refused() {
        let query = find("key-users").unwrap();
        assert!(query.values(&[("kee".into(), "x".into())]).is_err());
        assert!(query.values(&[("since".into(), "yesterday-ish".into())]).is_err());
        assert_eq!(query.values(&[]).unwrap().len(), query.params.len());
        let since = |text: &str| query.values(&[("since".into(), text.into())]).map(|values| values["since"].clone());
        assert_eq!(since("2026-03-11"), since("2026-03-11T00:00:00Z"));
        assert!(since("2026-03-1").is_err() && since("2026-02-30").is_err() && since("").is_err());
    }
}
