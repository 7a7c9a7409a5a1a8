//! One finding of an audit, as other formats need it.
//! In: the rows of the section `findings`. Out: typed cells by name. Never invents a cell: what a row lacks is `None`.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use crate::sql::cards::Severity;

/// A row of the section of findings.
#[derive(Clone, Copy)]
pub(super) struct FindingRow<'r> {
    rows: &'r RecordBatch,
    row: usize,
}

impl<'r> FindingRow<'r> {
    /// All rows, in their order.
    pub fn each(rows: &'r RecordBatch) -> impl Iterator<Item = FindingRow<'r>> {
        (0..rows.num_rows()).map(move |row| FindingRow { rows, row })
    }

    pub fn text(self, name: &str) -> Option<&'r str> {
        let column = self.rows.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(self.row).then(|| column.value(self.row))
    }

    /// In microseconds since 1970.
    pub fn time(self, name: &str) -> Option<i64> {
        let column = self.rows.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        column.is_valid(self.row).then(|| column.value(self.row))
    }

    pub fn number(self, name: &str) -> Option<i64> {
        let column = self.rows.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
        column.is_valid(self.row).then(|| column.value(self.row))
    }

    pub fn list(self, name: &str) -> Vec<String> {
        let cells = self.rows.column_by_name(name).and_then(|column| column.as_list_opt::<i32>());
        let items = cells.filter(|cells| cells.is_valid(self.row)).map(|cells| cells.value(self.row));
        let texts = items.as_ref().and_then(|items| items.as_string_opt::<i32>());
        texts.map(|texts| texts.iter().flatten().map(str::to_owned).collect()).unwrap_or_default()
    }

    pub fn severity(self) -> Severity {
        self.text("severity").and_then(Severity::read).unwrap_or(Severity::Info)
    }

    pub fn rule(self) -> &'r str {
        self.text("rule").unwrap_or_default()
    }

    /// What the finding says, for a reader without its columns.
    pub fn sentence(self) -> String {
        let mut said = String::new();
        for (before, text) in [
            ("", self.text("detail")),
            (": ", self.text("principal")),
            (" on ", self.text("key_arn")),
            (" of table ", self.text("table_name")),
            (", ", self.text("subject")),
        ] {
            if let Some(text) = text {
                said.push_str(before);
                said.push_str(text);
            }
        }
        said
    }
}
