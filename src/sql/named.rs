//! The named queries: files of `queries/named`, each with a card that names its question and its parameters.
//! In: their cards. Out: the queries and the values of their parameters. Never fills in a template: a file runs as is.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use datafusion::common::ScalarValue;

use super::asked_names::{AskedName, NameKind};
use super::cards::{self, Card, CardError, CardKind, Severity};
use super::did_you_mean::did_you_mean;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    Text,
    Timestamp,
    Int,
    /// The name of a thing, in any of its spellings.
    Name(NameKind),
}

impl fmt::Display for ParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParamType::Text => "text",
            ParamType::Timestamp => "timestamp",
            ParamType::Int => "int",
            ParamType::Name(kind) => kind.word(),
        })
    }
}

impl ParamType {
    fn value(self, text: Option<&str>) -> Result<ScalarValue, String> {
        Ok(match (self, text) {
            (ParamType::Name(kind), Some(text)) if text.trim().is_empty() => {
                return Err(format!("no {kind} has an empty name"));
            }
            (ParamType::Text | ParamType::Name(_), text) => ScalarValue::Utf8(text.map(str::to_owned)),
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
pub struct QueryParam {
    pub name: &'static str,
    pub ty: ParamType,
    pub default: Option<&'static str>,
    /// The query has no answer without it.
    pub is_required: bool,
    pub about: &'static str,
}

/// Why the parameters of a query are refused.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct WrongParam {
    message: String,
    pub hint: Option<String>,
}

impl From<String> for WrongParam {
    fn from(message: String) -> WrongParam {
        WrongParam { message, hint: None }
    }
}

/// One query and its card.
#[derive(Debug, Clone)]
pub struct NamedQuery {
    pub name: &'static str,
    pub title: &'static str,
    pub description: String,
    pub params: Vec<QueryParam>,
    pub severity: Option<Severity>,
    pub sql: &'static str,
}

impl NamedQuery {
    fn of(card: &Card) -> Result<NamedQuery, CardError> {
        Ok(NamedQuery {
            name: card.name,
            title: card.title(),
            description: card.joined("description"),
            params: card.values("param", "`name type [required] [= default] : about`", QueryParam::read)?,
            severity: card.severity()?,
            sql: card.sql,
        })
    }

    /// The values of all parameters: as given, else the default, else NULL.
    pub fn values(&self, given: &[(String, String)]) -> Result<HashMap<String, ScalarValue>, WrongParam> {
        if let Some((name, _)) = given.iter().find(|(name, _)| !self.params.iter().any(|param| param.name == name)) {
            let known: Vec<&str> = self.params.iter().map(|param| param.name).collect();
            let hint = did_you_mean(name, known.iter().copied());
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let message = format!("query `{}` has no parameter `{name}`; it has {known}", self.name);
            return Err(WrongParam { message, hint });
        }
        let mut values = HashMap::new();
        for param in &self.params {
            let text = param.given(given).or(param.default);
            if param.is_required && text.is_none() {
                let message = format!("query `{}` needs its parameter `{}`", self.name, param.name);
                return Err(WrongParam {
                    message,
                    hint: Some(format!("-p {0}=VALUE (in the shell {0}=VALUE): {1}", param.name, param.about)),
                });
            }
            values.insert(param.name.to_owned(), param.ty.value(text)?);
        }
        Ok(values)
    }

    /// The names that the parameters ask for.
    pub fn asked_names(&self, given: &[(String, String)]) -> Vec<AskedName> {
        let name = |param: &QueryParam| match param.ty {
            ParamType::Name(kind) => param.given(given).map(|text| AskedName::new(kind, text)),
            ParamType::Text | ParamType::Timestamp | ParamType::Int => None,
        };
        self.params.iter().filter_map(name).collect()
    }
}

impl QueryParam {
    /// Its value among those that were given, of which the last one counts.
    fn given<'g>(&self, given: &'g [(String, String)]) -> Option<&'g str> {
        given.iter().rev().find(|(name, _)| name == self.name).map(|(_, value)| value.as_str())
    }

    /// Reads `name type [required] [= default] : about`.
    fn read(line: &'static str) -> Option<QueryParam> {
        let (head, about) = line.split_once(" : ")?;
        let (head, default) = head.split_once(" = ").map_or((head, None), |(head, default)| (head, Some(default)));
        let (name, ty) = head.split_once(' ')?;
        let (ty, is_required) = ty.trim().strip_suffix(" required").map_or((ty.trim(), false), |ty| (ty, true));
        let ty = match ty {
            "timestamp" => ParamType::Timestamp,
            "int" => ParamType::Int,
            "text" => ParamType::Text,
            other => ParamType::Name(NameKind::read(other)?),
        };
        Some(QueryParam { name, ty, default, is_required, about })
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
        let since = |text: &str| Some(query.values(&[("since".into(), text.into())]).ok()?["since"].clone());
        assert_eq!(since("2026-03-11"), since("2026-03-11T00:00:00Z"));
        assert!(since("2026-03-11").is_some());
        assert!(since("2026-03-1").is_none() && since("2026-02-30").is_none() && since("").is_none());
        let wrong = query.values(&[("keys".into(), "x".into())]).unwrap_err();
        assert_eq!(wrong.hint.as_deref(), Some("did you mean `key`?"));
        assert!(query.values(&[("key".into(), " ".into())]).is_err());
    }

    #[test]
    fn a_query_says_which_parameter_it_needs() {
        let query = find("role-session").unwrap();
        let wrong = query.values(&[]).unwrap_err();
        assert_eq!(wrong.to_string(), "query `role-session` needs its parameter `session`");
        assert!(wrong.hint.unwrap().starts_with("-p session=VALUE"));
        assert_eq!(query.asked_names(&[("session".into(), "x".into())]).len(), 1);
    }
}
