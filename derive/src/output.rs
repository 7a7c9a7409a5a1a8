//! The rows of a derived table, put together cell by cell.
//! In: the columns of a table and its rows. Out: one batch. Never changes a value: a cell of another type than its
//! column is an error.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Int64Builder, ListBuilder, MapBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType;

/// A column of a derived table. Any cell may be NULL.
#[derive(Debug, Clone, Copy)]
pub struct OutputColumn {
    pub name: &'static str,
    pub ty: ColumnType,
}

/// A column of this name and type.
pub const fn column(name: &'static str, ty: ColumnType) -> OutputColumn {
    OutputColumn { name, ty }
}

/// The Arrow schema of these columns.
pub(crate) fn schema_of(columns: &[OutputColumn]) -> SchemaRef {
    let fields = columns.iter().map(|column| Field::new(column.name, column.ty.data_type(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// One cell of a row.
#[derive(Debug, Clone)]
pub enum OutputCell<'a> {
    Text(Option<&'a str>),
    /// In microseconds since 1970.
    Time(Option<i64>),
    Flag(Option<bool>),
    Count(Option<i64>),
    /// In days since 1970.
    Day(Option<i32>),
    Texts(Option<&'a [String]>),
    Pairs(Option<&'a [(String, String)]>),
}

impl<'a> From<&'a str> for OutputCell<'a> {
    fn from(text: &'a str) -> OutputCell<'a> {
        OutputCell::Text(Some(text))
    }
}

impl<'a> From<&'a String> for OutputCell<'a> {
    fn from(text: &'a String) -> OutputCell<'a> {
        OutputCell::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for OutputCell<'a> {
    fn from(text: Option<&'a str>) -> OutputCell<'a> {
        OutputCell::Text(text)
    }
}

impl<'a> From<&'a Option<String>> for OutputCell<'a> {
    fn from(text: &'a Option<String>) -> OutputCell<'a> {
        OutputCell::Text(text.as_deref())
    }
}

/// The builder of one column.
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    Text(StringBuilder),
    Time(TimestampMicrosecondBuilder),
    Flag(BooleanBuilder),
    Count(Int64Builder),
    Day(Date32Builder),
    Texts(ListBuilder<StringBuilder>),
    Pairs(MapBuilder<StringBuilder, StringBuilder>),
}

impl ColumnBuilder {
    pub fn new(ty: ColumnType) -> ColumnBuilder {
        match ty {
            ColumnType::Text => ColumnBuilder::Text(StringBuilder::new()),
            ColumnType::Timestamp => {
                ColumnBuilder::Time(TimestampMicrosecondBuilder::new().with_data_type(ty.data_type()))
            }
            ColumnType::Bool => ColumnBuilder::Flag(BooleanBuilder::new()),
            ColumnType::Int => ColumnBuilder::Count(Int64Builder::new()),
            ColumnType::Date => ColumnBuilder::Day(Date32Builder::new()),
            ColumnType::TextList => {
                let item = match ty.data_type() {
                    DataType::List(item) => item,
                    other => unreachable!("a list of texts is no {other}"),
                };
                ColumnBuilder::Texts(ListBuilder::new(StringBuilder::new()).with_field(item))
            }
            ColumnType::Map => ColumnBuilder::Pairs(MapBuilder::new(None, StringBuilder::new(), StringBuilder::new())),
        }
    }

    /// False if the cell is of another type.
    pub fn append(&mut self, cell: &OutputCell<'_>) -> Result<bool, ArrowError> {
        match (self, cell) {
            (ColumnBuilder::Text(cells), OutputCell::Text(text)) => cells.append_option(*text),
            (ColumnBuilder::Time(cells), OutputCell::Time(time)) => cells.append_option(*time),
            (ColumnBuilder::Flag(cells), OutputCell::Flag(flag)) => cells.append_option(*flag),
            (ColumnBuilder::Count(cells), OutputCell::Count(count)) => cells.append_option(*count),
            (ColumnBuilder::Day(cells), OutputCell::Day(day)) => cells.append_option(*day),
            (ColumnBuilder::Texts(cells), OutputCell::Texts(texts)) => {
                texts.iter().copied().flatten().for_each(|text| cells.values().append_value(text));
                cells.append(texts.is_some());
            }
            (ColumnBuilder::Pairs(cells), OutputCell::Pairs(pairs)) => {
                for (key, value) in pairs.iter().copied().flatten() {
                    cells.keys().append_value(key);
                    cells.values().append_value(value);
                }
                cells.append(pairs.is_some())?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub fn finish(self) -> ArrayRef {
        match self {
            ColumnBuilder::Text(mut cells) => Arc::new(cells.finish()),
            ColumnBuilder::Time(mut cells) => Arc::new(cells.finish()),
            ColumnBuilder::Flag(mut cells) => Arc::new(cells.finish()),
            ColumnBuilder::Count(mut cells) => Arc::new(cells.finish()),
            ColumnBuilder::Day(mut cells) => Arc::new(cells.finish()),
            ColumnBuilder::Texts(mut cells) => Arc::new(cells.finish()),
            ColumnBuilder::Pairs(mut cells) => Arc::new(cells.finish()),
        }
    }
}

/// The rows of a table so far.
#[derive(Debug)]
pub struct OutputRows {
    columns: &'static [OutputColumn],
    builders: Vec<ColumnBuilder>,
}

impl OutputRows {
    /// No row yet.
    pub fn new(columns: &'static [OutputColumn]) -> OutputRows {
        OutputRows { columns, builders: columns.iter().map(|column| ColumnBuilder::new(column.ty)).collect() }
    }

    /// Appends a row, its cells in the order of the columns.
    ///
    /// # Errors
    /// Fails if a cell is of another type than its column.
    pub fn push<const N: usize>(&mut self, cells: [OutputCell<'_>; N]) -> Result<(), ArrowError> {
        if N != self.columns.len() {
            return Err(ArrowError::SchemaError(format!("a row has {N} cells for {} columns", self.columns.len())));
        }
        for ((builder, cell), column) in self.builders.iter_mut().zip(&cells).zip(self.columns) {
            if !builder.append(cell)? {
                return Err(ArrowError::SchemaError(format!("`{}` is no {cell:?}", column.name)));
            }
        }
        Ok(())
    }

    /// All rows.
    ///
    /// # Errors
    /// Fails if the columns do not make up a batch.
    pub fn finish(self) -> Result<RecordBatch, ArrowError> {
        let columns = self.builders.into_iter().map(ColumnBuilder::finish).collect();
        RecordBatch::try_new(schema_of(self.columns), columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_their_columns() {
        const COLUMNS: &[OutputColumn] = &[
            column("text", ColumnType::Text),
            column("at", ColumnType::Timestamp),
            column("is", ColumnType::Bool),
            column("calls", ColumnType::Int),
            column("day", ColumnType::Date),
            column("texts", ColumnType::TextList),
            column("pairs", ColumnType::Map),
        ];
        let (texts, pairs) = (["a".to_owned()], [("k".to_owned(), "v".to_owned())]);
        let mut rows = OutputRows::new(COLUMNS);
        for is_full in [true, false] {
            let cells = [
                OutputCell::Text(is_full.then_some("x")),
                OutputCell::Time(is_full.then_some(1)),
                OutputCell::Flag(is_full.then_some(true)),
                OutputCell::Count(is_full.then_some(1)),
                OutputCell::Day(is_full.then_some(1)),
                OutputCell::Texts(is_full.then_some(&texts)),
                OutputCell::Pairs(is_full.then_some(&pairs)),
            ];
            rows.push(cells).unwrap();
        }
        assert!(rows.push(["x".into()]).is_err());
        let rows = rows.finish().unwrap();
        assert_eq!(rows.schema(), schema_of(COLUMNS));
        assert!(rows.columns().iter().all(|column| column.len() == 2 && column.null_count() == 1));
        let mut wrong = OutputRows::new(&COLUMNS[..1]);
        assert!(wrong.push([OutputCell::Count(Some(1))]).is_err());
    }
}
