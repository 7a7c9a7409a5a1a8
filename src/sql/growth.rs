//! How large the result of a function can be, before it is computed.
//! In: the arguments of a call. Out: for each row, bytes that its result does not exceed. Never computes a result.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, lit};

use super::series;

/// Whose results may be larger than their arguments, and by how much.
pub(super) const GROWING: &[(&str, Growth)] = &[
    ("array_add", Growth::Sum),
    ("array_append", Growth::Sum),
    ("array_concat", Growth::Sum),
    ("array_prepend", Growth::Sum),
    ("array_repeat", Growth::Repeat),
    ("array_replace", Growth::ReplaceItems),
    ("array_replace_all", Growth::ReplaceItems),
    ("array_replace_n", Growth::ReplaceItems),
    ("array_resize", Growth::Resize),
    ("array_subtract", Growth::Sum),
    ("array_to_string", Growth::ListText),
    ("array_union", Growth::Sum),
    ("arrays_zip", Growth::Times(8)),
    ("arrow_cast", Growth::Text),
    ("arrow_try_cast", Growth::Text),
    ("cast_to_type", Growth::Text),
    ("concat", Growth::Text),
    ("concat_ws", Growth::Joined),
    ("decode", Growth::Sum),
    ("digest", Growth::Hash),
    ("encode", Growth::Times(2)),
    ("generate_series", Growth::Series),
    ("initcap", Growth::Times(3)),
    ("lower", Growth::Times(3)),
    ("lpad", Growth::Pad),
    ("make_array", Growth::Sum),
    ("map", Growth::Sum),
    ("md5", Growth::Hash),
    ("overlay", Growth::Sum),
    ("range", Growth::Series),
    ("regexp_match", Growth::Groups),
    ("regexp_replace", Growth::RegexReplace),
    ("repeat", Growth::Repeat),
    ("replace", Growth::Replace),
    ("rpad", Growth::Pad),
    ("sha224", Growth::Hash),
    ("sha256", Growth::Hash),
    ("sha384", Growth::Hash),
    ("sha512", Growth::Hash),
    ("string_to_array", Growth::Times(8)),
    ("to_char", Growth::Times(32)),
    ("to_hex", Growth::Times(4)),
    ("translate", Growth::Times(4)),
    ("try_cast_to_type", Growth::Text),
    ("upper", Growth::Times(3)),
];

/// How the result of a function grows with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Growth {
    /// No larger than its arguments.
    Nothing,
    /// All arguments together.
    Sum,
    /// All arguments, so many times.
    Times(u64),
    /// The text of all arguments.
    Text,
    /// The first argument, as often as the second says.
    Repeat,
    /// As many characters as the second argument says.
    Pad,
    /// The first argument with each match of the second replaced by the third.
    Replace,
    /// The same for a regular expression, where the third may repeat what matched.
    RegexReplace,
    /// A hash of the first argument.
    Hash,
    /// The first argument for each group of the regular expression that is the second: groups may stand in each other.
    Groups,
    /// The first argument between all others.
    Joined,
    /// The items of a list as text, with the other arguments between them.
    ListText,
    /// As many items as the second argument says, new ones like the third.
    Resize,
    /// A list with items replaced by the third argument.
    ReplaceItems,
    /// A list of numbers or times from one end to the other.
    Series,
}

/// Bytes of text that a number, a time or a sign of a list takes at most.
const ITEM_TEXT: u64 = 48;
/// Bytes that a value takes beside its content: its offset and its validity.
const VALUE: u64 = 8;
/// Bytes of a hash, or of its digits.
const HASH: u64 = 128;
/// Bytes of a number in a series.
const NUMBER: u64 = 16;

/// The arguments of a call, measured.
pub(super) struct CallSizes(Vec<ArgumentSize>);

enum ArgumentSize {
    Same { bytes: u64, leaves: u64, items: u64, number: Option<i64>, value: ScalarValue },
    Rows { array: ArrayRef, numbers: Option<Int64Array> },
}

impl CallSizes {
    pub fn of(arguments: &[ColumnarValue]) -> Result<CallSizes> {
        Ok(CallSizes(arguments.iter().map(ArgumentSize::of).collect::<Result<_>>()?))
    }

    fn bytes(&self, place: usize, row: usize) -> u64 {
        self.0.get(place).map_or(0, |argument| argument.bytes(row))
    }

    fn all(&self, row: usize) -> u64 {
        self.0.iter().map(|argument| argument.bytes(row)).fold(0, u64::saturating_add)
    }

    /// The arguments that are the same in all rows.
    pub fn constants(&self) -> u64 {
        let is_constant = |argument: &&ArgumentSize| matches!(argument, ArgumentSize::Same { .. });
        self.0.iter().filter(is_constant).map(|argument| argument.bytes(0)).fold(0, u64::saturating_add)
    }

    fn leaves(&self, row: usize) -> u64 {
        self.0.iter().map(|argument| argument.leaves(row)).fold(0, u64::saturating_add)
    }

    /// A number of times; none is negative.
    fn times(&self, place: usize, row: usize) -> u64 {
        self.0.get(place).and_then(|argument| argument.number(row)).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }
}

impl ArgumentSize {
    fn of(argument: &ColumnarValue) -> Result<ArgumentSize> {
        let is_number = |data_type: &DataType| data_type.is_integer();
        Ok(match argument {
            ColumnarValue::Scalar(value) => {
                let array = value.to_array()?;
                let numbers = if is_number(array.data_type()) { Some(cast(&array, &DataType::Int64)?) } else { None };
                let number = numbers.and_then(|numbers| number(numbers.as_primitive(), 0));
                let (bytes, leaves, items) = (range_bytes(&array, 0, 1), range_leaves(&array, 0, 1), items(&array, 0));
                ArgumentSize::Same { bytes, leaves, items, number, value: value.clone() }
            }
            ColumnarValue::Array(array) => {
                let numbers = is_number(array.data_type()).then(|| cast(array, &DataType::Int64)).transpose()?;
                let numbers = numbers.map(|numbers| numbers.as_primitive::<Int64Type>().clone());
                ArgumentSize::Rows { array: array.clone(), numbers }
            }
        })
    }

    fn bytes(&self, row: usize) -> u64 {
        match self {
            ArgumentSize::Same { bytes, .. } => *bytes,
            ArgumentSize::Rows { array, .. } => range_bytes(array, row, 1),
        }
    }

    fn leaves(&self, row: usize) -> u64 {
        match self {
            ArgumentSize::Same { leaves, .. } => *leaves,
            ArgumentSize::Rows { array, .. } => range_leaves(array, row, 1),
        }
    }

    fn items(&self, row: usize) -> u64 {
        match self {
            ArgumentSize::Same { items, .. } => *items,
            ArgumentSize::Rows { array, .. } => items(array, row),
        }
    }

    fn number(&self, row: usize) -> Option<i64> {
        match self {
            ArgumentSize::Same { number, .. } => *number,
            ArgumentSize::Rows { numbers, .. } => numbers.as_ref().and_then(|numbers| number(numbers, row)),
        }
    }

    /// How often a sign stands in a text.
    fn count(&self, row: usize, sign: char) -> u64 {
        let value = self.value(row);
        let text = value.as_ref().and_then(|value| value.try_as_str()).flatten();
        text.map_or(0, |text| text.matches(sign).count() as u64)
    }

    fn value(&self, row: usize) -> Option<ScalarValue> {
        match self {
            ArgumentSize::Same { value, .. } => Some(value.clone()),
            ArgumentSize::Rows { array, .. } => ScalarValue::try_from_array(array, row).ok(),
        }
    }
}

impl Growth {
    /// The growth of a function that has any.
    pub fn of(name: &str) -> Option<Growth> {
        GROWING.iter().find(|(growing, _)| *growing == name).map(|(_, growth)| *growth)
    }

    /// Bytes that the result in a row does not exceed.
    pub fn bytes(self, call: &CallSizes, row: usize) -> u64 {
        let first = call.bytes(0, row);
        let grown = match self {
            Growth::Nothing => 0,
            Growth::Sum => call.all(row),
            Growth::Times(times) => call.all(row).saturating_mul(times),
            Growth::Text => {
                let signs = call.leaves(row).saturating_mul(ITEM_TEXT);
                call.all(row).saturating_mul(2).saturating_add(signs)
            }
            Growth::Repeat => first.saturating_add(VALUE).saturating_mul(call.times(1, row)),
            Growth::Pad => call.times(1, row).saturating_mul(4),
            Growth::Replace => {
                let matches = first.checked_div(call.bytes(1, row)).unwrap_or(first + 1);
                matches.saturating_mul(call.bytes(2, row)).saturating_add(first)
            }
            Growth::RegexReplace => (first + 1).saturating_mul(call.bytes(2, row).saturating_mul(2) + 1),
            Growth::Hash => HASH,
            Growth::Groups => {
                let groups = call.0.get(1).map_or(0, |pattern| pattern.count(row, '('));
                first.saturating_add(2 * VALUE).saturating_mul(groups.max(1))
            }
            Growth::Joined => first.saturating_mul(call.0.len() as u64).saturating_add(call.all(row)),
            Growth::ListText => {
                let between = call.bytes(1, row) + call.bytes(2, row) + ITEM_TEXT;
                call.leaves(row).saturating_mul(between).saturating_add(first.saturating_mul(2))
            }
            Growth::Resize => {
                let items = call.times(1, row);
                items.saturating_mul(call.bytes(2, row) + VALUE).saturating_add(first)
            }
            Growth::ReplaceItems => {
                let items = call.0.first().map_or(0, |list| list.items(row));
                items.saturating_mul(call.bytes(2, row)).saturating_add(first)
            }
            Growth::Series => {
                let ends: Option<Vec<_>> = call.0.iter().map(|argument| argument.value(row).map(lit)).collect();
                let rows = ends.and_then(|ends| series::rows(&ends)).unwrap_or(0);
                u64::try_from(rows).unwrap_or(u64::MAX).saturating_mul(NUMBER)
            }
        };
        grown.saturating_add(VALUE)
    }
}

fn number(numbers: &Int64Array, row: usize) -> Option<i64> {
    numbers.is_valid(row).then(|| numbers.value(row))
}

/// Bytes that every value of a type takes, whatever it is.
pub(super) fn fixed_width(data_type: &DataType) -> u64 {
    let of_field = |field: &FieldRef| fixed_width(field.data_type());
    let count = |count: i32| u64::try_from(count).unwrap_or(0);
    match data_type {
        DataType::FixedSizeBinary(bytes) => count(*bytes),
        DataType::FixedSizeList(field, items) => count(*items).saturating_mul(of_field(field).max(1)),
        DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => of_field(field),
        DataType::Struct(fields) => fields.iter().map(of_field).fold(0, u64::saturating_add),
        DataType::Dictionary(_, values) => fixed_width(values),
        other => other.primitive_width().unwrap_or(0) as u64,
    }
}

/// The items of the list in a row.
fn items(array: &ArrayRef, row: usize) -> u64 {
    match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value_length(row) as u64,
        DataType::LargeList(_) => array.as_list::<i64>().value_length(row) as u64,
        DataType::FixedSizeList(_, length) => *length as u64,
        DataType::Map(_, _) => array.as_map().value_length(row) as u64,
        _ => 1,
    }
}

/// The part of a list's items that stands in some rows.
fn items_of(array: &ArrayRef, from: usize, rows: usize) -> Option<(ArrayRef, usize, usize)> {
    let part = |values: &ArrayRef, first: i64, end: i64| (values.clone(), first as usize, (end - first) as usize);
    Some(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            part(list.values(), offsets[from].into(), offsets[from + rows].into())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            part(list.values(), offsets[from], offsets[from + rows])
        }
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let (first, end) = (list.value_offset(from), list.value_offset(from) + list.value_length() * rows as i32);
            part(list.values(), first.into(), end.into())
        }
        _ => return None,
    })
}

/// Bytes of the values in some rows.
pub(super) fn range_bytes(array: &ArrayRef, from: usize, rows: usize) -> u64 {
    if let Some((values, first, count)) = items_of(array, from, rows) {
        return range_bytes(&values, first, count) + 4 * rows as u64;
    }
    let offsets = |first: i64, end: i64| (end - first) as u64;
    match array.data_type() {
        DataType::Utf8 => {
            let ends = array.as_string::<i32>().value_offsets();
            offsets(ends[from].into(), ends[from + rows].into())
        }
        DataType::LargeUtf8 => {
            let ends = array.as_string::<i64>().value_offsets();
            offsets(ends[from], ends[from + rows])
        }
        DataType::Binary => {
            let ends = array.as_binary::<i32>().value_offsets();
            offsets(ends[from].into(), ends[from + rows].into())
        }
        DataType::LargeBinary => {
            let ends = array.as_binary::<i64>().value_offsets();
            offsets(ends[from], ends[from + rows])
        }
        // The length of a view is in its lower half.
        DataType::Utf8View => array.as_string_view().views()[from..from + rows].iter().map(length).sum(),
        DataType::BinaryView => array.as_binary_view().views()[from..from + rows].iter().map(length).sum(),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| range_bytes(column, from, rows)).sum(),
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (first, end) = (map.value_offsets()[from] as usize, map.value_offsets()[from + rows] as usize);
            [map.keys(), map.values()].into_iter().map(|column| range_bytes(column, first, end - first)).sum()
        }
        DataType::Null => 0,
        other => match other.primitive_width() {
            Some(width) => (width * rows) as u64,
            None => array.slice(from, rows).get_array_memory_size() as u64,
        },
    }
}

fn length(view: &u128) -> u64 {
    u64::from(*view as u32)
}

/// The values in some rows that are no lists themselves.
fn range_leaves(array: &ArrayRef, from: usize, rows: usize) -> u64 {
    if let Some((values, first, count)) = items_of(array, from, rows) {
        return range_leaves(&values, first, count) + rows as u64;
    }
    match array.data_type() {
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| range_leaves(column, from, rows)).sum(),
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (first, end) = (map.value_offsets()[from] as usize, map.value_offsets()[from + rows] as usize);
            [map.keys(), map.values()].into_iter().map(|column| range_leaves(column, first, end - first)).sum()
        }
        _ => rows as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ListArray, StringArray, StringViewArray};
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn a_result_is_no_larger_than_its_bound() {
        let text = |text: &str| ColumnarValue::Scalar(ScalarValue::from(text));
        let number = |number: i64| ColumnarValue::Scalar(ScalarValue::from(number));
        let list = ColumnarValue::Array(Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([
            Some(1),
            Some(2),
        ])])));
        for (growth, arguments, least, most) in [
            (Growth::Sum, vec![text("abc"), text("de")], 5, 20),
            (Growth::Repeat, vec![text("abc"), number(1000)], 3000, 12_000),
            (Growth::Repeat, vec![text("abc"), number(-1)], 0, 8),
            (Growth::Pad, vec![text("abc"), number(1000), text("€")], 3000, 5000),
            (Growth::Replace, vec![text("aaaa"), text("a"), text("0123456789")], 40, 60),
            (Growth::Replace, vec![text("aaaa"), text(""), text("0123456789")], 54, 70),
            (Growth::RegexReplace, vec![text("aaaa"), text("a*?"), text("0123456789")], 50, 120),
            (Growth::Groups, vec![text("aaaa"), text("a(b")], 4, 40),
            (Growth::Groups, vec![text("aaaa"), text("((((a*))))")], 16, 100),
            (Growth::Nothing, vec![text("abc"), text("de")], 0, 8),
            (Growth::Joined, vec![text(", "), text("a"), text("b")], 4, 20),
            (Growth::ListText, vec![list.clone(), text(", ")], 4 * ITEM_TEXT, 300),
            (Growth::Resize, vec![list.clone(), number(100), number(7)], 800, 2000),
            (Growth::Series, vec![number(1), number(1000)], 8000, 17_000),
        ] {
            let bound = growth.bytes(&CallSizes::of(&arguments).unwrap(), 0);
            assert!((least..=most).contains(&bound), "{growth:?} {arguments:?}: {bound}");
        }
    }

    #[test]
    fn a_type_has_the_width_of_its_least_value() {
        let list = |items, of| DataType::FixedSizeList(Arc::new(Field::new("item", of, true)), items);
        for (data_type, width) in [
            (DataType::Utf8, 0),
            (DataType::Int64, 8),
            (DataType::FixedSizeBinary(1000), 1000),
            (list(10, DataType::FixedSizeBinary(1000)), 10_000),
            (list(1_000_000, DataType::Boolean), 1_000_000),
            (DataType::new_list(DataType::FixedSizeBinary(16), true), 16),
        ] {
            assert_eq!(fixed_width(&data_type), width, "{data_type}");
        }
    }

    #[test]
    fn only_the_rows_of_a_range_count() {
        let texts = ["", "a", "bb", "ccc", "dddd"];
        let arrays: [ArrayRef; 2] =
            [Arc::new(StringArray::from_iter_values(texts)), Arc::new(StringViewArray::from_iter_values(texts))];
        for array in arrays {
            assert_eq!((range_bytes(&array, 0, 5), range_bytes(&array, 1, 2)), (10, 3));
            assert_eq!(range_bytes(&array.slice(2, 3), 1, 1), 3);
        }
    }
}
