//! What teams have said of findings: those that are suppressed, and who is expected to use a key.
//! In: patterns. Out: functions that only views and rules may call: `suppressed_by` and `unexpected_use`.
//! Never hides a row: a suppressed finding has a status of its own.

use std::sync::Arc;

use arrow::array::{Array, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use crate::glob;

/// All that was said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FindingsSaid {
    pub suppressed: Vec<SuppressedFindings>,
    pub expected_use: Vec<ExpectedKeyUse>,
}

/// Findings that a team has looked at: all that every pattern fits. A pattern that is not there fits anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SuppressedFindings {
    pub rule: Option<String>,
    pub principal: Option<String>,
    pub key: Option<String>,
    pub table: Option<String>,
    /// Owner, end and reason, in the words that answers show.
    pub words: String,
}

/// The use of keys that is expected; a list that is empty expects anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ExpectedKeyUse {
    pub key: String,
    pub principals: Vec<String>,
    /// Short names of services, such as `dynamodb`; `direct` for calls that no service made.
    pub services: Vec<String>,
    pub tables: Vec<String>,
    pub regions: Vec<String>,
}

/// True where the pattern of a key fits its ARN or its id.
fn fits_key(pattern: &str, key_arn: &str) -> bool {
    glob::fits(pattern, key_arn) || key_arn.rsplit_once('/').is_some_and(|(_, id)| glob::fits(pattern, id))
}

impl SuppressedFindings {
    fn covers(&self, rule: Option<&str>, principal: Option<&str>, key: Option<&str>, table: Option<&str>) -> bool {
        let fits = |pattern: &Option<String>, text: Option<&str>, fits: fn(&str, &str) -> bool| {
            pattern.as_ref().is_none_or(|pattern| text.is_some_and(|text| fits(pattern, text)))
        };
        fits(&self.rule, rule, glob::fits)
            && fits(&self.principal, principal, glob::fits)
            && fits(&self.key, key, fits_key)
            && fits(&self.table, table, glob::fits)
    }
}

impl ExpectedKeyUse {
    /// The part of a use that is not expected; `None` where all is.
    fn unexpected(&self, [_, principal, service, table, region]: [Option<&str>; 5]) -> Option<&'static str> {
        let is_within = |patterns: &[String], text: Option<&str>| {
            patterns.is_empty() || text.is_none_or(|text| patterns.iter().any(|pattern| glob::fits(pattern, text)))
        };
        [
            ("principal", &self.principals, principal),
            ("service", &self.services, service.or(Some("direct"))),
            ("table", &self.tables, table),
            ("region", &self.regions, region),
        ]
        .into_iter()
        .find(|(_, patterns, text)| !is_within(patterns, *text))
        .map(|(part, ..)| part)
    }
}

impl FindingsSaid {
    fn suppressed_by(&self, [rule, principal, key, table]: [Option<&str>; 4]) -> Option<&str> {
        self.suppressed.iter().find(|said| said.covers(rule, principal, key, table)).map(|said| said.words.as_str())
    }

    /// The part of a use that goes beyond what was declared of the key; `None` where nothing was, or the use is within it.
    fn unexpected_use(&self, cells: [Option<&str>; 5]) -> Option<&'static str> {
        let key = cells[0]?;
        let declared: Vec<&ExpectedKeyUse> =
            self.expected_use.iter().filter(|expected| fits_key(&expected.key, key)).collect();
        let mut parts = declared.iter().map(|expected| expected.unexpected(cells));
        let first = parts.next()??;
        parts.all(|part| part.is_some()).then_some(first)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum SaidFunction {
    /// `suppressed_by(rule, principal, key_arn, table_name)`: who suppressed such a finding, until when and why.
    SuppressedBy,
    /// `unexpected_use(key_arn, principal, via_service, table_name, aws_region)`: the part that nobody declared.
    UnexpectedUse,
}

/// A function over what was said in one session.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfSession {
    function: SaidFunction,
    said: Arc<FindingsSaid>,
    signature: Signature,
}

/// The functions of a session.
pub(super) fn functions(said: &Arc<FindingsSaid>) -> [ScalarUDF; 2] {
    [(SaidFunction::SuppressedBy, 4), (SaidFunction::UnexpectedUse, 5)].map(|(function, arguments)| {
        let signature = Signature::exact(vec![DataType::Utf8; arguments], Volatility::Immutable);
        ScalarUDF::from(OfSession { function, said: Arc::clone(said), signature })
    })
}

impl ScalarUDFImpl for OfSession {
    fn name(&self) -> &str {
        match self.function {
            SaidFunction::SuppressedBy => "suppressed_by",
            SaidFunction::UnexpectedUse => "unexpected_use",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    /// Where nothing was said it costs nothing, neither a call nor the rows that only it looks at.
    fn simplify(&self, arguments: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let is_silent = match self.function {
            SaidFunction::SuppressedBy => self.said.suppressed.is_empty(),
            SaidFunction::UnexpectedUse => self.said.expected_use.is_empty(),
        };
        Ok(match is_silent {
            true => ExprSimplifyResult::Simplified(lit(ScalarValue::Utf8(None))),
            false => ExprSimplifyResult::Original(arguments),
        })
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = given.args.iter().map(|value| value.to_array(given.number_rows)).collect::<Result<Vec<_>>>()?;
        let texts = arrays.iter().map(|array| as_string_array(array)).collect::<Result<Vec<_>>>()?;
        let cell = |place: usize, row: usize| texts.get(place).and_then(|texts| text_at(texts, row));
        let mut words = StringBuilder::new();
        for row in 0..given.number_rows {
            words.append_option(match self.function {
                SaidFunction::SuppressedBy => self.said.suppressed_by([0, 1, 2, 3].map(|place| cell(place, row))),
                SaidFunction::UnexpectedUse => self.said.unexpected_use([0, 1, 2, 3, 4].map(|place| cell(place, row))),
            });
        }
        Ok(ColumnarValue::Array(Arc::new(words.finish())))
    }
}

fn text_at(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn a_suppression_covers_what_all_its_patterns_fit() {
        let text = |text: &str| Some(text.to_owned());
        let said = |rule, principal, key, table| FindingsSaid {
            suppressed: vec![SuppressedFindings { rule, principal, key, table, words: "w".to_owned() }],
            ..FindingsSaid::default()
        };
        let of = [Some("root-call"), Some("arn:aws:iam::1:root"), Some(KEY), None];
        for (said, is_suppressed) in [
            (said(text("root-*"), None, None, None), true),
            (said(text("root-call"), text("*:root"), text("1234abcd-*"), None), true),
            (said(text("root-call"), text("*:root"), text("*/1234abcd-*"), None), true),
            (said(text("root-call"), text("*:user/*"), None, None), false),
            // A finding without a table is none on every table.
            (said(text("root-call"), None, None, text("*")), false),
            (said(text("root"), None, None, None), false),
            (FindingsSaid::default(), false),
        ] {
            assert_eq!(said.suppressed_by(of).is_some(), is_suppressed, "{said:?}");
        }
    }

    #[test]
    fn use_beyond_every_declaration_of_the_key_is_unexpected() {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let orders = ExpectedKeyUse {
            key: "1234abcd-*".to_owned(),
            principals: list(&["*:role/Orders*"]),
            services: list(&["dynamodb"]),
            tables: list(&["orders"]),
            regions: list(&["eu-*"]),
        };
        let direct = ExpectedKeyUse { key: KEY.to_owned(), services: list(&["direct"]), ..ExpectedKeyUse::default() };
        let app = Some("arn:aws:iam::1:role/OrdersApp");
        let uses = [
            ([Some(KEY), app, Some("dynamodb"), Some("orders"), Some("eu-west-1")], None, None),
            ([Some(KEY), app, Some("dynamodb"), None, Some("eu-west-1")], None, None),
            (
                [Some(KEY), Some("arn:aws:iam::1:user/ana"), Some("dynamodb"), None, None],
                Some("principal"),
                Some("principal"),
            ),
            ([Some(KEY), app, None, Some("orders"), Some("eu-west-1")], Some("service"), None),
            ([Some(KEY), app, Some("dynamodb"), Some("users"), None], Some("table"), Some("table")),
            ([Some(KEY), app, Some("dynamodb"), Some("orders"), Some("us-east-1")], Some("region"), Some("region")),
            ([Some("arn:aws:kms:eu-west-1:1:key/other"), app, None, None, None], None, None),
            ([None, app, None, None, None], None, None),
        ];
        for (cells, by_one, by_both) in uses {
            let said = |expected_use: &[&ExpectedKeyUse]| FindingsSaid {
                expected_use: expected_use.iter().map(|expected| (*expected).clone()).collect(),
                ..FindingsSaid::default()
            };
            assert_eq!(said(&[&orders]).unexpected_use(cells), by_one, "{cells:?}");
            assert_eq!(said(&[&orders, &direct]).unexpected_use(cells), by_both, "{cells:?}");
        }
    }
}
