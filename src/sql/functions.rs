//! Functions that CloudTrail needs beyond DataFusion's own: access to the columns that hold JSON text.
//! In: JSON text and the keys or indexes that lead to a value. Out: that value, or NULL where there is none.
//! Never fails: text that is not JSON gives NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBuilder, Int64Builder, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::prelude::SessionContext;
use serde_json::Value;

/// A function of SQL that we add to DataFusion's own.
#[derive(Debug)]
pub struct SqlFunction {
    pub name: &'static str,
    /// The call with its arguments by name.
    pub syntax: &'static str,
    pub description: &'static str,
    /// A call that any session can compute.
    pub example: &'static str,
    output: Output,
}

/// All our functions. `SHOW FUNCTIONS`, docs/sql.md and completion follow from this list.
pub const FUNCTIONS: &[SqlFunction] = &[
    SqlFunction {
        name: "json_contains",
        syntax: "json_contains(json, key, …)",
        description: "True where the keys lead to a value, be it `null`.",
        example: r#"json_contains('{"keyId": null}', 'keyId')"#,
        output: Output::Contains,
    },
    SqlFunction {
        name: "json_get_bool",
        syntax: "json_get_bool(json, key, …)",
        description: "The `true` or `false` at the end of the keys.",
        example: r#"json_get_bool('{"keyMetadata": {"enabled": true}}', 'keyMetadata', 'enabled')"#,
        output: Output::Bool,
    },
    SqlFunction {
        name: "json_get_int",
        syntax: "json_get_int(json, key, …)",
        description: "The whole number at the end of the keys.",
        example: r#"json_get_int('{"pendingWindowInDays": 7}', 'pendingWindowInDays')"#,
        output: Output::Int,
    },
    SqlFunction {
        name: "json_get_json",
        syntax: "json_get_json(json, key, …)",
        description: "The value at the end of the keys, whatever it is, as JSON.",
        example: r#"json_get_json('{"operations": ["Decrypt", "Encrypt"]}', 'operations')"#,
        output: Output::Json,
    },
    SqlFunction {
        name: "json_get_str",
        syntax: "json_get_str(json, key, …)",
        description: "The string at the end of the keys, as its text.",
        example: r#"json_get_str('{"operations": ["Decrypt", "Encrypt"]}', 'operations', 1)"#,
        output: Output::Text,
    },
];

/// Adds the functions to a session.
pub fn register(context: &SessionContext) {
    for function in FUNCTIONS {
        context.register_udf(ScalarUDF::from(JsonGet::new(function)));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Output {
    /// The text of a string.
    Text,
    /// Any value, as JSON.
    Json,
    Int,
    Bool,
    /// True if there is a value.
    Contains,
}

/// `json_get_…(json, key_or_index, …)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonGet {
    name: &'static str,
    output: Output,
    signature: Signature,
    documentation: Documentation,
}

impl JsonGet {
    fn new(function: &SqlFunction) -> JsonGet {
        let section = DocSection { include: true, label: "JSON Functions", description: None };
        let documentation = Documentation::builder(section, function.description, function.syntax)
            .with_sql_example(function.example)
            .with_argument("json", "JSON text, such as a column of `events` that holds some")
            .with_argument("key", "the name of a member, or the place of an item, counted from 0");
        let signature = TypeSignature::OneOf(vec![
            TypeSignature::VariadicAny,
            // `SHOW FUNCTIONS` leaves out a function without an example of its types. The first alternative takes these
            // as well, so no argument is ever cast to them.
            TypeSignature::Exact(vec![DataType::Utf8, DataType::Utf8]),
            TypeSignature::Exact(vec![DataType::Utf8, DataType::Int64]),
        ]);
        JsonGet {
            name: function.name,
            output: function.output,
            signature: Signature::new(signature, Volatility::Immutable),
            documentation: documentation.build(),
        }
    }
}

impl ScalarUDFImpl for JsonGet {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.output {
            Output::Text | Output::Json => DataType::Utf8,
            Output::Int => DataType::Int64,
            Output::Bool | Output::Contains => DataType::Boolean,
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((json, path)) = args.args.split_first() else {
            return exec_err!("{} needs JSON text and the keys that lead to a value", self.name);
        };
        let path = path.iter().map(|step| self.step(step)).collect::<Result<Vec<_>>>()?;
        let json = json.cast_to(&DataType::Utf8, None)?.into_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.output.collect(as_string_array(&json)?, &path)))
    }
}

/// One step into a value.
enum Step {
    Key(String),
    Index(usize),
}

impl JsonGet {
    fn step(&self, value: &ColumnarValue) -> Result<Step> {
        match value {
            ColumnarValue::Scalar(ScalarValue::Int64(Some(index))) if *index >= 0 => Ok(Step::Index(*index as usize)),
            ColumnarValue::Scalar(scalar) if scalar.try_as_str().flatten().is_some() => {
                Ok(Step::Key(scalar.try_as_str().flatten().unwrap_or_default().to_owned()))
            }
            _ => exec_err!("{} takes keys and indexes as constants", self.name),
        }
    }
}

impl Output {
    fn collect(self, json: &StringArray, path: &[Step]) -> ArrayRef {
        let values = json.iter().map(|text| text.and_then(|text| lookup(text, path)));
        match self {
            Output::Text => {
                let mut builder = StringBuilder::with_capacity(json.len(), 0);
                values.for_each(|value| builder.append_option(value.as_ref().and_then(Value::as_str)));
                Arc::new(builder.finish())
            }
            Output::Json => {
                let mut builder = StringBuilder::with_capacity(json.len(), 0);
                values.for_each(|value| builder.append_option(value.map(|value| value.to_string())));
                Arc::new(builder.finish())
            }
            Output::Int => {
                let mut builder = Int64Builder::with_capacity(json.len());
                values.for_each(|value| builder.append_option(value.as_ref().and_then(Value::as_i64)));
                Arc::new(builder.finish())
            }
            Output::Bool => {
                let mut builder = BooleanBuilder::with_capacity(json.len());
                values.for_each(|value| builder.append_option(value.as_ref().and_then(Value::as_bool)));
                Arc::new(builder.finish())
            }
            Output::Contains => {
                let mut builder = BooleanBuilder::with_capacity(json.len());
                values.for_each(|value| builder.append_value(value.is_some()));
                Arc::new(builder.finish())
            }
        }
    }
}

fn lookup(text: &str, path: &[Step]) -> Option<Value> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    for step in path {
        value = match (value, step) {
            (Value::Object(mut members), Step::Key(key)) => members.remove(key)?,
            (Value::Array(mut items), Step::Index(index)) if *index < items.len() => items.swap_remove(*index),
            _ => return None,
        };
    }
    Some(value)
}
