//! Columns that are read and written by name and type, never by position.
//! In: a declared column, and a batch or values. Out: the column's array borrowed by its type, or an array of values.
//! A batch that lacks a column, or has it in another type, is a named error.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Date32Array, Date32Builder, Int64Array, Int64Builder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field};

use super::counts::Counts;
use super::words::{UnknownWord, Word};
use crate::schema::ColumnType;

/// A column of a table as it is documented.
#[derive(Debug, Clone, Copy)]
pub struct TableColumn {
    pub name: &'static str,
    pub ty: ColumnType,
    pub is_nullable: bool,
    pub meaning: &'static str,
}

impl TableColumn {
    /// The column as a field of an Arrow schema.
    pub fn field(&self) -> Field {
        Field::new(self.name, self.ty.data_type(), self.is_nullable)
    }
}

/// The reason that a column cannot be taken from a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnError {
    Absent { column: &'static str },
    OtherType { column: &'static str, found: DataType },
    WithoutValue { column: &'static str },
    Negative { column: &'static str },
    Word { column: &'static str, source: UnknownWord },
}

impl fmt::Display for ColumnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnError::Absent { column } => write!(f, "there is no column `{column}`"),
            ColumnError::OtherType { column, found } => write!(f, "the column `{column}` is of the type {found}"),
            ColumnError::WithoutValue { column } => write!(f, "a row has no value in the column `{column}`"),
            ColumnError::Negative { column } => write!(f, "a number in the column `{column}` is below 0"),
            // The message includes its cause, since it is printed as one line of a report.
            ColumnError::Word { column, source } => write!(f, "in the column `{column}`, {source}"),
        }
    }
}

impl Error for ColumnError {}

/// The type of one column, or of a few that belong together.
pub trait TableField: 'static {
    type Array<'b>;
    type Value<'a>;
    type Builder;

    fn columns(name: &'static str, meaning: &'static str) -> Vec<TableColumn>;

    fn of<'b>(rows: &'b RecordBatch, name: &'static str) -> Result<Self::Array<'b>, ColumnError>;

    fn builder() -> Self::Builder;

    fn append(builder: &mut Self::Builder, value: Self::Value<'_>);

    fn finish(builder: Self::Builder) -> Vec<ArrayRef>;
}

/// A declared column.
#[derive(Debug)]
pub struct TypedColumn<F> {
    pub name: &'static str,
    pub meaning: &'static str,
    field: PhantomData<fn() -> F>,
}

impl<F: TableField> TypedColumn<F> {
    pub(super) const fn new(name: &'static str, meaning: &'static str) -> TypedColumn<F> {
        TypedColumn { name, meaning, field: PhantomData }
    }

    /// The column of a batch.
    pub fn of<'b>(&self, rows: &'b RecordBatch) -> Result<F::Array<'b>, ColumnError> {
        F::of(rows, self.name)
    }

    /// As it is documented: one column, or a few that belong together.
    pub fn columns(&self) -> Vec<TableColumn> {
        F::columns(self.name, self.meaning)
    }
}

/// A column as it stands in a batch; in one that must have values, every row has one.
fn column<'b>(rows: &'b RecordBatch, column: &TableColumn) -> Result<&'b ArrayRef, ColumnError> {
    let name = column.name;
    let array = rows.column_by_name(name).ok_or(ColumnError::Absent { column: name })?;
    if *array.data_type() != column.ty.data_type() {
        return Err(ColumnError::OtherType { column: name, found: array.data_type().clone() });
    }
    if !column.is_nullable && array.null_count() > 0 {
        return Err(ColumnError::WithoutValue { column: name });
    }
    Ok(array)
}

const fn required(name: &'static str, ty: ColumnType, meaning: &'static str) -> TableColumn {
    TableColumn { name, ty, is_nullable: false, meaning }
}

const fn optional(name: &'static str, ty: ColumnType, meaning: &'static str) -> TableColumn {
    TableColumn { name, ty, is_nullable: true, meaning }
}

/// Declares the type of one column: its nullability, its Arrow array and its builder.
macro_rules! field {
    ($(#[$doc:meta])* $field:ident $requires:ident $ty:ident $array:ident $value:ty, $builder:ident $append:ident $new:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $field;

        impl TableField for $field {
            type Array<'b> = &'b $array;
            type Value<'a> = $value;
            type Builder = $builder;

            fn columns(name: &'static str, meaning: &'static str) -> Vec<TableColumn> {
                vec![$requires(name, ColumnType::$ty, meaning)]
            }

            fn of<'b>(rows: &'b RecordBatch, name: &'static str) -> Result<&'b $array, ColumnError> {
                let array = column(rows, &$requires(name, ColumnType::$ty, ""))?;
                Ok(array.as_any().downcast_ref().expect("an array is what its type says"))
            }

            fn builder() -> $builder {
                $new
            }

            fn append(builder: &mut $builder, value: Self::Value<'_>) {
                builder.$append(value);
            }

            fn finish(mut builder: $builder) -> Vec<ArrayRef> {
                vec![Arc::new(builder.finish())]
            }
        }
    };
}

field! { TextField required Text StringArray &'a str, StringBuilder append_value StringBuilder::new() }
field! { OptionalTextField optional Text StringArray Option<&'a str>, StringBuilder append_option StringBuilder::new() }
field! { NumberField required Int Int64Array i64, Int64Builder append_value Int64Builder::new() }
field! { OptionalNumberField optional Int Int64Array Option<i64>, Int64Builder append_option Int64Builder::new() }
field! { OptionalDayField optional Date Date32Array Option<i32>, Date32Builder append_option Date32Builder::new() }
field! {
    /// Microseconds since 1970 in UTC.
    OptionalTimeField optional Timestamp TimestampMicrosecondArray Option<i64>,
    TimestampMicrosecondBuilder append_option TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

/// Sizes and offsets, all of them 0 or more.
#[derive(Debug)]
pub struct CountField;

/// Numbers that are all 0 or more.
#[derive(Debug, Clone, Copy)]
pub struct CountColumn<'b>(&'b [i64]);

impl CountColumn<'_> {
    /// The count of a row; `of` has checked that none is negative.
    pub fn value(&self, row: usize) -> u64 {
        self.0[row].unsigned_abs()
    }
}

impl TableField for CountField {
    type Array<'b> = CountColumn<'b>;
    type Value<'a> = u64;
    type Builder = Int64Builder;

    fn columns(name: &'static str, meaning: &'static str) -> Vec<TableColumn> {
        NumberField::columns(name, meaning)
    }

    fn of<'b>(rows: &'b RecordBatch, name: &'static str) -> Result<CountColumn<'b>, ColumnError> {
        let numbers = NumberField::of(rows, name)?.values();
        let is_negative = numbers.iter().any(|number| *number < 0);
        if is_negative { Err(ColumnError::Negative { column: name }) } else { Ok(CountColumn(numbers)) }
    }

    fn builder() -> Int64Builder {
        NumberField::builder()
    }

    fn append(builder: &mut Int64Builder, value: u64) {
        builder.append_value(i64::try_from(value).expect("no object has 2^63 bytes or records"));
    }

    fn finish(builder: Int64Builder) -> Vec<ArrayRef> {
        NumberField::finish(builder)
    }
}

/// The counts of records, as one column each.
#[derive(Debug)]
pub struct CountsField;

/// The columns of the counts.
#[derive(Debug, Clone, Copy)]
pub struct CountsColumns<'b>([CountColumn<'b>; Counts::NAMES.len()]);

impl CountsColumns<'_> {
    /// All counts of a row.
    pub fn value(&self, row: usize) -> Counts {
        Counts::of_values(self.0.map(|column| column.value(row)))
    }
}

impl TableField for CountsField {
    type Array<'b> = CountsColumns<'b>;
    type Value<'a> = Counts;
    type Builder = [Int64Builder; Counts::NAMES.len()];

    fn columns(_: &'static str, _: &'static str) -> Vec<TableColumn> {
        let columns = Counts::NAMES.into_iter().zip(Counts::MEANINGS);
        columns.flat_map(|(name, meaning)| CountField::columns(name, meaning)).collect()
    }

    fn of<'b>(rows: &'b RecordBatch, _: &'static str) -> Result<CountsColumns<'b>, ColumnError> {
        let mut columns = [CountColumn(&[]); Counts::NAMES.len()];
        for (column, name) in columns.iter_mut().zip(Counts::NAMES) {
            *column = CountField::of(rows, name)?;
        }
        Ok(CountsColumns(columns))
    }

    fn builder() -> Self::Builder {
        std::array::from_fn(|_| CountField::builder())
    }

    fn append(builder: &mut Self::Builder, counts: Counts) {
        builder.iter_mut().zip(counts.values()).for_each(|(builder, count)| CountField::append(builder, count));
    }

    fn finish(builder: Self::Builder) -> Vec<ArrayRef> {
        builder.into_iter().flat_map(CountField::finish).collect()
    }
}

/// Words of one of the lists, as text.
#[derive(Debug)]
pub struct WordField<W>(PhantomData<fn() -> W>);

/// A column of words; a row that holds another word is an error of that row.
#[derive(Debug, Clone, Copy)]
pub struct WordColumn<'b, W> {
    name: &'static str,
    texts: &'b StringArray,
    words: PhantomData<fn() -> W>,
}

impl<W: Word> WordColumn<'_, W> {
    /// The word of a row. Fails with [`ColumnError::Word`] where this version does not know it.
    pub fn value(&self, row: usize) -> Result<W, ColumnError> {
        W::parse(self.texts.value(row)).map_err(|source| ColumnError::Word { column: self.name, source })
    }
}

impl<W: Word> TableField for WordField<W> {
    type Array<'b> = WordColumn<'b, W>;
    type Value<'a> = W;
    type Builder = StringBuilder;

    fn columns(name: &'static str, meaning: &'static str) -> Vec<TableColumn> {
        TextField::columns(name, meaning)
    }

    fn of<'b>(rows: &'b RecordBatch, name: &'static str) -> Result<WordColumn<'b, W>, ColumnError> {
        Ok(WordColumn { name, texts: TextField::of(rows, name)?, words: PhantomData })
    }

    fn builder() -> StringBuilder {
        TextField::builder()
    }

    fn append(builder: &mut StringBuilder, word: W) {
        builder.append_value(word.name());
    }

    fn finish(builder: StringBuilder) -> Vec<ArrayRef> {
        TextField::finish(builder)
    }
}
