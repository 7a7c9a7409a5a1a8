//! One cell of an Arrow array as text: plain for tables and CSV, or as a JSON value.
//! In: an array and a row. Out: text appended to a string; timestamps as RFC 3339 with `Z`, maps with sorted keys.
//! Never changes a value: a parser of JSON undoes the escapes.

use std::fmt::{Display, Write};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::*;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDate, SecondsFormat};

use super::visible::acts;

/// The way to write values of a type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// Text that somebody chose: only this kind can be hostile.
    Text,
    /// Numbers and booleans, without quotes in JSON.
    Bare,
    /// Times, dates, bytes: safe text, quoted in JSON.
    Quoted,
    /// Lists, maps and structs: JSON everywhere.
    Nested,
}

pub fn kind(ty: &DataType) -> CellKind {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => CellKind::Text,
        DataType::Null | DataType::Boolean => CellKind::Bare,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => CellKind::Nested,
        DataType::ListView(_) | DataType::LargeListView(_) | DataType::Map(..) | DataType::Struct(_) => {
            CellKind::Nested
        }
        DataType::Dictionary(_, values) => kind(values),
        ty if ty.is_numeric() => CellKind::Bare,
        // Arrow writes the rest (unions, intervals, run-end arrays), which may carry text.
        ty if ty.is_temporal() || ty.is_binary() => CellKind::Quoted,
        _ => CellKind::Text,
    }
}

/// Appends the cell as plain text, nested values as JSON. A NULL appends nothing and returns false.
pub fn plain(out: &mut String, array: &dyn Array, row: usize) -> bool {
    if array.is_null(row) || array.data_type().is_null() {
        return false;
    }
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            return plain(out, dictionary.values(), dictionary.normalized_keys()[row]);
        }
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => out.push_str(array.as_string_view().value(row)),
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => show(out, array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => show(out, array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => show(out, array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => show(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => show(out, array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => show(out, array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => show(out, array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => show(out, array.as_primitive::<UInt64Type>().value(row)),
        DataType::Date32 => date(out, array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(unit, _) => timestamp(out, timestamp_value(array, row, *unit), *unit),
        ty if kind(ty) == CellKind::Nested => nested(out, array, row),
        _ => formatted(out, array, row),
    }
    true
}

/// The cell as plain text, if it is not NULL.
pub fn text(array: &dyn Array, row: usize) -> Option<String> {
    let mut text = String::new();
    plain(&mut text, array, row).then_some(text)
}

/// Appends the cell as a JSON value.
pub fn json(out: &mut String, array: &dyn Array, row: usize) {
    match kind(array.data_type()) {
        CellKind::Nested if !array.is_null(row) => nested(out, array, row),
        CellKind::Bare => {
            let start = out.len();
            // JSON has no NaN and no infinity, so they become null.
            if !plain(out, array, row) || matches!(&out[start..], "NaN" | "inf" | "-inf") {
                out.truncate(start);
                out.push_str("null");
            }
        }
        _ => {
            let mut text = String::new();
            if plain(&mut text, array, row) {
                json_string(out, &text);
            } else {
                out.push_str("null");
            }
        }
    }
}

/// Appends a JSON string whose parsed value equals `text`, free of characters that a terminal would act on.
pub fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if acts(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("writing to a String cannot fail");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn nested(out: &mut String, array: &dyn Array, row: usize) {
    match array.data_type() {
        DataType::List(_) => list(out, &array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(out, &array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(out, &array.as_fixed_size_list().value(row)),
        DataType::ListView(_) => list(out, &array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => list(out, &array.as_list_view::<i64>().value(row)),
        DataType::Map(..) => map(out, array, row),
        _ => {
            let columns = array.as_struct();
            let members =
                columns.column_names().into_iter().zip(columns.columns()).map(|(name, c)| (name.to_owned(), c, row));
            object(out, members);
        }
    }
}

fn list(out: &mut String, items: &ArrayRef) {
    out.push('[');
    for i in 0..items.len() {
        if i > 0 {
            out.push(',');
        }
        json(out, items, i);
    }
    out.push(']');
}

fn map(out: &mut String, array: &dyn Array, row: usize) {
    let entries = array.as_map().value(row);
    let mut members: Vec<(String, &ArrayRef, usize)> = (0..entries.len())
        .map(|i| {
            let mut key = String::new();
            plain(&mut key, entries.column(0), i);
            (key, entries.column(1), i)
        })
        .collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    object(out, members.into_iter());
}

fn object<'a>(out: &mut String, members: impl Iterator<Item = (String, &'a ArrayRef, usize)>) {
    out.push('{');
    for (i, (name, values, row)) in members.enumerate() {
        if i > 0 {
            out.push(',');
        }
        json_string(out, &name);
        out.push(':');
        json(out, values, row);
    }
    out.push('}');
}

fn show(out: &mut String, value: impl Display) {
    write!(out, "{value}").expect("writing to a String cannot fail");
}

fn date(out: &mut String, days: i32) {
    match NaiveDate::from_epoch_days(days) {
        Some(day) => show(out, day),
        None => show(out, days),
    }
}

fn timestamp_value(array: &dyn Array, row: usize, unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row),
    }
}

/// Writes every time in UTC: the zone of a type changes its display elsewhere, not the time.
fn timestamp(out: &mut String, value: i64, unit: TimeUnit) {
    let at = match unit {
        TimeUnit::Second => DateTime::from_timestamp(value, 0),
        TimeUnit::Millisecond => DateTime::from_timestamp_millis(value),
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(value),
        TimeUnit::Nanosecond => Some(DateTime::from_timestamp_nanos(value)),
    };
    match at {
        Some(at) => out.push_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        None => show(out, value),
    }
}

/// Appends floats, decimals, bytes and the rest as Arrow writes them.
fn formatted(out: &mut String, array: &dyn Array, row: usize) {
    let options = FormatOptions::new();
    match ArrayFormatter::try_new(array, &options) {
        Ok(formatter) => show(out, formatter.value(row)),
        Err(_) => show(out, format_args!("({} has no text form)", array.data_type())),
    }
}
