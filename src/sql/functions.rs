//! Functions that CloudTrail needs beyond DataFusion's own: access to the columns that hold JSON text, and names.
//! In: JSON text and the keys or indexes that lead to a value. Out: that value, or NULL where there is none.
//! Never fails: text that is not JSON gives NULL. Names are asked for in `names_function`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Int64Builder, ListBuilder, MapBuilder, StringArray, StringBuilder,
};
use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::prelude::SessionContext;
use serde_json::Value;

use super::allowed;
use super::asked_names::NameKind;
use super::names_function::NamesFunction;
use crate::schema::ColumnType;

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
    Json(FunctionOutput),
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
    /// The meaning of each argument of its functions.
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
        work: FunctionWork::Json(FunctionOutput::Contains),
    },
    SqlFunction {
        name: "json_get_bool",
        syntax: "json_get_bool(json, key, …)",
        description: "The `true` or `false` at the end of the keys.",
        example: r#"json_get_bool('{"keyMetadata": {"enabled": true}}', 'keyMetadata', 'enabled')"#,
        work: FunctionWork::Json(FunctionOutput::Bool),
    },
    SqlFunction {
        name: "json_get_int",
        syntax: "json_get_int(json, key, …)",
        description: "The whole number at the end of the keys.",
        example: r#"json_get_int('{"pendingWindowInDays": 7}', 'pendingWindowInDays')"#,
        work: FunctionWork::Json(FunctionOutput::Int),
    },
    SqlFunction {
        name: "json_get_json",
        syntax: "json_get_json(json, key, …)",
        description: "The value at the end of the keys, whatever it is, as JSON.",
        example: r#"json_get_json('{"operations": ["Decrypt", "Encrypt"]}', 'operations')"#,
        work: FunctionWork::Json(FunctionOutput::Json),
    },
    SqlFunction {
        name: "json_get_list",
        syntax: "json_get_list(json, key, …)",
        description: "The items at the end of the keys as a list of texts. The key `*` leads to every item and member.",
        example: r#"json_get_list('[{"ARN": "arn:1"}, {"ARN": "arn:2"}]', '*', 'ARN')"#,
        work: FunctionWork::Json(FunctionOutput::List),
    },
    SqlFunction {
        name: "json_get_map",
        syntax: "json_get_map(json, key, …)",
        description: "The object at the end of the keys as a map of texts, as `encryption_context` is one.",
        example: r#"json_get_map('{"encryptionContext": {"stage": "test"}}', 'encryptionContext')"#,
        work: FunctionWork::Json(FunctionOutput::Map),
    },
    SqlFunction {
        name: "json_get_str",
        syntax: "json_get_str(json, key, …)",
        description: "The string at the end of the keys, as its text.",
        example: r#"json_get_str('{"operations": ["Decrypt", "Encrypt"]}', 'operations', 1)"#,
        work: FunctionWork::Json(FunctionOutput::Text),
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
    SqlFunction {
        name: "json_keys",
        syntax: "json_keys(json, key, …)",
        description: "The names of the members of the object at the end of the keys, sorted.",
        example: r#"json_keys('{"requestItems": {"orders": [], "invoices": []}}', 'requestItems')"#,
        work: FunctionWork::Json(FunctionOutput::Keys),
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

/// The names of DataFusion's own functions that a statement may call, by kind, each sorted.
pub fn of_datafusion() -> [(&'static str, Vec<String>); 4] {
    let state = allowed::session().build();
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
enum FunctionOutput {
    /// The text of a string.
    Text,
    /// Any value, as JSON.
    Json,
    Int,
    Bool,
    /// True if there is a value.
    Contains,
    /// Each item as text.
    List,
    /// The names of members.
    Keys,
    /// The members as text, by name.
    Map,
}

/// `json_get_…(json, key_or_index, …)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonGet {
    name: &'static str,
    output: FunctionOutput,
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
            FunctionOutput::Text | FunctionOutput::Json => DataType::Utf8,
            FunctionOutput::Int => DataType::Int64,
            FunctionOutput::Bool | FunctionOutput::Contains => DataType::Boolean,
            FunctionOutput::List | FunctionOutput::Keys => ColumnType::TextList.data_type(),
            FunctionOutput::Map => ColumnType::Map.data_type(),
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
        Ok(ColumnarValue::Array(self.output.collect(as_string_array(&json)?, &path)?))
    }
}

/// One step into a value.
enum JsonStep {
    Key(String),
    Index(usize),
}

impl JsonGet {
    fn step(&self, value: &ColumnarValue) -> Result<JsonStep> {
        match value {
            ColumnarValue::Scalar(ScalarValue::Int64(Some(index))) if *index >= 0 => {
                Ok(JsonStep::Index(*index as usize))
            }
            ColumnarValue::Scalar(scalar) if scalar.try_as_str().flatten().is_some() => {
                Ok(JsonStep::Key(scalar.try_as_str().flatten().unwrap_or_default().to_owned()))
            }
            _ => exec_err!("{} takes keys and indexes as constants", self.name),
        }
    }
}

impl FunctionOutput {
    fn collect(self, json: &StringArray, path: &[JsonStep]) -> Result<ArrayRef> {
        let values = json.iter().map(|text| text.and_then(|text| lookup(text, path)));
        Ok(match self {
            FunctionOutput::Text => {
                let mut builder = StringBuilder::with_capacity(json.len(), 0);
                values.for_each(|value| builder.append_option(value.as_ref().and_then(Value::as_str)));
                Arc::new(builder.finish())
            }
            FunctionOutput::Json => {
                let mut builder = StringBuilder::with_capacity(json.len(), 0);
                values.for_each(|value| builder.append_option(value.map(|value| value.to_string())));
                Arc::new(builder.finish())
            }
            FunctionOutput::Int => {
                let mut builder = Int64Builder::with_capacity(json.len());
                values.for_each(|value| builder.append_option(value.as_ref().and_then(Value::as_i64)));
                Arc::new(builder.finish())
            }
            FunctionOutput::Bool => {
                let mut builder = BooleanBuilder::with_capacity(json.len());
                values.for_each(|value| builder.append_option(value.as_ref().and_then(Value::as_bool)));
                Arc::new(builder.finish())
            }
            FunctionOutput::Contains => {
                let mut builder = BooleanBuilder::with_capacity(json.len());
                values.for_each(|value| builder.append_value(value.is_some()));
                Arc::new(builder.finish())
            }
            FunctionOutput::Keys => {
                let names = |value| Some(members(value)?.into_iter().map(|(name, _)| name).collect());
                lists(json.len(), values.map(|value| value.and_then(names)))
            }
            FunctionOutput::Map => maps(json.len(), values.map(|value| value.and_then(members)))?,
            FunctionOutput::List => lists(json.len(), json.iter().map(|text| every(text?, path))),
        })
    }
}

fn lists(rows: usize, values: impl Iterator<Item = Option<Vec<String>>>) -> ArrayRef {
    let mut builder = ListBuilder::with_capacity(StringBuilder::new(), rows);
    for value in values {
        let is_there = value.is_some();
        value.into_iter().flatten().for_each(|item| builder.values().append_value(item));
        builder.append(is_there);
    }
    Arc::new(builder.finish())
}

fn maps(rows: usize, values: impl Iterator<Item = Option<Vec<(String, Value)>>>) -> Result<ArrayRef> {
    let mut builder = MapBuilder::with_capacity(None, StringBuilder::new(), StringBuilder::new(), rows);
    for value in values {
        let is_there = value.is_some();
        for (name, member) in value.into_iter().flatten() {
            builder.keys().append_value(name);
            builder.values().append_value(text_of(member));
        }
        builder.append(is_there)?;
    }
    Ok(Arc::new(builder.finish()))
}

/// The members of an object, sorted by name.
fn members(value: Value) -> Option<Vec<(String, Value)>> {
    let Value::Object(members) = value else { return None };
    let mut members: Vec<(String, Value)> = members.into_iter().collect();
    members.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    Some(members)
}

/// The text of a string, and the JSON of anything else.
fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Every item that the path leads to, by any way; `None` if there is none.
fn every(text: &str, path: &[JsonStep]) -> Option<Vec<String>> {
    let mut ends: Vec<Value> = vec![serde_json::from_str(text).ok()?];
    for step in path {
        ends = ends.into_iter().flat_map(|value| step.follow_all(value)).collect();
    }
    let items = ends.into_iter().flat_map(|end| match end {
        Value::Array(items) => items,
        other => vec![other],
    });
    let items: Vec<String> = items.filter(|item| !item.is_null()).map(text_of).collect();
    (!items.is_empty()).then_some(items)
}

fn lookup(text: &str, path: &[JsonStep]) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    path.iter().try_fold(value, |value, step| step.follow(value))
}

impl JsonStep {
    fn follow(&self, value: Value) -> Option<Value> {
        match (value, self) {
            (Value::Object(mut members), JsonStep::Key(key)) => members.remove(key),
            (Value::Array(mut items), JsonStep::Index(index)) if *index < items.len() => {
                Some(items.swap_remove(*index))
            }
            _ => None,
        }
    }

    fn follow_all(&self, value: Value) -> Vec<Value> {
        match (value, self) {
            (Value::Array(items), JsonStep::Key(key)) if key == "*" => items,
            (Value::Object(members), JsonStep::Key(key)) if key == "*" => {
                members.into_iter().map(|(_, value)| value).collect()
            }
            (value, step) => step.follow(value).into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(keys: &[&str]) -> Vec<JsonStep> {
        keys.iter().map(|key| JsonStep::Key((*key).to_owned())).collect()
    }

    #[test]
    fn a_list_has_every_item_that_the_keys_lead_to() {
        for (json, keys, expected) in [
            (r#"{"a":["x",1,null,{"b":2}]}"#, &["a"][..], Some(&["x", "1", r#"{"b":2}"#][..])),
            (r#"[{"ARN":"x"},{"arn":"y"},7,{"ARN":"z"}]"#, &["*", "ARN"], Some(&["x", "z"])),
            (r#"{"t":[{"Put":{"n":"x"}},{"get":{"n":"y"}}]}"#, &["t", "*", "*", "n"], Some(&["x", "y"])),
            (r#""x""#, &[], Some(&["x"])),
            (r#"{"a":[]}"#, &["a"], None),
            (r#"{"a":1}"#, &["b"], None),
            ("{", &["a"], None),
        ] {
            let found = every(json, &path(keys));
            let found = found.as_ref().map(|items| items.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{json} {keys:?}");
        }
    }

    #[test]
    fn only_an_object_has_members() {
        let texts = [Some(r#"{"m":{"b":"x","a":1}}"#), Some(r#"{"m":[1]}"#), Some("{}"), Some("{"), None];
        let json = StringArray::from_iter(texts);
        for output in [FunctionOutput::Map, FunctionOutput::Keys] {
            let found = output.collect(&json, &path(&["m"])).unwrap();
            assert_eq!((found.len(), found.null_count()), (5, 4), "{output:?}");
        }
        let maps = FunctionOutput::Map.collect(&json, &path(&["m"])).unwrap();
        assert_eq!(maps.data_type(), &ColumnType::Map.data_type());
        let written = arrow::util::display::array_value_to_string(&maps, 0).unwrap();
        assert_eq!(written, "{a: 1, b: x}");
    }
}
