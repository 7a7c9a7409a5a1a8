//! Functions that CloudTrail needs beyond DataFusion's own: access to the columns that hold JSON text, and names.
//! In: JSON text and the keys or indexes that lead to a value. Out: that value, or NULL where there is none.
//! Never fails: text that is not JSON gives NULL. Names are asked for in `names_function`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBuilder, Int64Builder, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::prelude::SessionContext;
use serde_json::Value;

use super::asked_names::NameKind;
use super::names_function::NamesFunction;

/// A function of SQL that we add to DataFusion's own.
#[derive(Debug)]
pub struct SqlFunction {
    pub name: &'static str,
    /// The call with its arguments by name.
    pub syntax: &'static str,
    pub description: &'static str,
    /// A call that any session can compute.
    pub example: &'static str,
    work: FunctionWork,
}

#[derive(Debug, Clone, Copy)]
enum FunctionWork {
    Json(Output),
    /// Tells whether a cell bears a name of this kind.
    Names(NameKind),
}

/// The things that functions of ours are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionTopic {
    Json,
    Names,
}

impl FunctionTopic {
    /// What each argument of its functions is.
    fn arguments(self) -> &'static [(&'static str, &'static str)] {
        match self {
            FunctionTopic::Json => &[
                ("json", "JSON text, such as a column of `events` that holds some"),
                ("key", "the name of a member, or the place of an item, counted from 0"),
            ],
            FunctionTopic::Names => &[
                ("asked", "the name that is asked for; NULL asks for nothing, and everything passes"),
                ("cell", "a column that may bear the name"),
            ],
        }
    }

    /// The heading in `SHOW FUNCTIONS`.
    fn label(self) -> &'static str {
        match self {
            FunctionTopic::Json => "JSON Functions",
            FunctionTopic::Names => "Functions of names",
        }
    }
}

/// All our functions. `SHOW FUNCTIONS`, docs/sql.md and completion follow from this list.
pub const FUNCTIONS: &[SqlFunction] = &[
    SqlFunction {
        name: "json_contains",
        syntax: "json_contains(json, key, …)",
        description: "True where the keys lead to a value, be it `null`.",
        example: r#"json_contains('{"keyId": null}', 'keyId')"#,
        work: FunctionWork::Json(Output::Contains),
    },
    SqlFunction {
        name: "json_get_bool",
        syntax: "json_get_bool(json, key, …)",
        description: "The `true` or `false` at the end of the keys.",
        example: r#"json_get_bool('{"keyMetadata": {"enabled": true}}', 'keyMetadata', 'enabled')"#,
        work: FunctionWork::Json(Output::Bool),
    },
    SqlFunction {
        name: "json_get_int",
        syntax: "json_get_int(json, key, …)",
        description: "The whole number at the end of the keys.",
        example: r#"json_get_int('{"pendingWindowInDays": 7}', 'pendingWindowInDays')"#,
        work: FunctionWork::Json(Output::Int),
    },
    SqlFunction {
        name: "json_get_json",
        syntax: "json_get_json(json, key, …)",
        description: "The value at the end of the keys, whatever it is, as JSON.",
        example: r#"json_get_json('{"operations": ["Decrypt", "Encrypt"]}', 'operations')"#,
        work: FunctionWork::Json(Output::Json),
    },
    SqlFunction {
        name: "json_get_str",
        syntax: "json_get_str(json, key, …)",
        description: "The string at the end of the keys, as its text.",
        example: r#"json_get_str('{"operations": ["Decrypt", "Encrypt"]}', 'operations', 1)"#,
        work: FunctionWork::Json(Output::Text),
    },
    SqlFunction {
        name: "names_key",
        syntax: "names_key(asked, key_arn, alias)",
        description: "True where a key or an alias is the one asked for: by ARN, by id or its first 8 characters, or by alias, which needs no account.",
        example: "names_key('alias/orders', NULL, 'arn:aws:kms:eu-west-1:111122223333:alias/orders')",
        work: FunctionWork::Names(NameKind::Key),
    },
    SqlFunction {
        name: "names_principal",
        syntax: "names_principal(asked, principal)",
        description: "True where a principal is one asked for: by ARN, `role/NAME`, `user/NAME` or NAME, all without a path.",
        example: "names_principal('role/App', 'arn:aws:iam::111122223333:role/teams/orders/App')",
        work: FunctionWork::Names(NameKind::Principal),
    },
    SqlFunction {
        name: "names_table",
        syntax: "names_table(asked, table_name, table_arn)",
        description: "True where a table is the one asked for: by ARN or by name.",
        example: "names_table('orders', 'orders', 'arn:aws:dynamodb:eu-west-1:111122223333:table/orders')",
        work: FunctionWork::Names(NameKind::Table),
    },
];

/// Adds the functions to a session.
pub fn register(context: &SessionContext) {
    for function in FUNCTIONS {
        let (name, signature, documentation) = (function.name, function.signature(), function.documentation());
        context.register_udf(match function.work {
            FunctionWork::Json(output) => ScalarUDF::from(JsonGet { name, output, signature, documentation }),
            FunctionWork::Names(kind) => ScalarUDF::from(NamesFunction { name, kind, signature, documentation }),
        });
    }
}

/// The names of DataFusion's own functions, by kind, each sorted.
pub fn of_datafusion() -> [(&'static str, Vec<String>); 4] {
    let state = SessionStateBuilder::new_with_default_features().build();
    let sorted = |names: Vec<&String>| {
        let mut names: Vec<String> = names.into_iter().cloned().collect();
        names.sort_unstable();
        names
    };
    [
        ("scalar", sorted(state.scalar_functions().keys().collect())),
        ("aggregate", sorted(state.aggregate_functions().keys().collect())),
        ("window", sorted(state.window_functions().keys().collect())),
        ("table", sorted(state.table_functions().keys().collect())),
    ]
}

impl SqlFunction {
    /// The thing that its arguments are about.
    pub fn topic(&self) -> FunctionTopic {
        match self.work {
            FunctionWork::Json(_) => FunctionTopic::Json,
            FunctionWork::Names(_) => FunctionTopic::Names,
        }
    }

    fn documentation(&self) -> Documentation {
        let section = DocSection { include: true, label: self.topic().label(), description: None };
        let documentation =
            Documentation::builder(section, self.description, self.syntax).with_sql_example(self.example);
        let arguments = self.topic().arguments().iter();
        arguments.fold(documentation, |built, (name, about)| built.with_argument(*name, *about)).build()
    }

    fn signature(&self) -> Signature {
        // `SHOW FUNCTIONS` leaves out a function without an example of its types. The first alternative takes these as
        // well, so no argument is ever cast to them.
        let examples = match self.work {
            FunctionWork::Names(kind) => vec![vec![DataType::Utf8; 1 + kind.columns().len()]],
            FunctionWork::Json(_) => vec![vec![DataType::Utf8, DataType::Utf8], vec![DataType::Utf8, DataType::Int64]],
        };
        let alternatives =
            [TypeSignature::VariadicAny].into_iter().chain(examples.into_iter().map(TypeSignature::Exact));
        Signature::new(TypeSignature::OneOf(alternatives.collect()), Volatility::Immutable)
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
