//! One record, one row: every `tests/records/NAME.json` normalizes to exactly the columns of `NAME.row`.
//! `KEYTRAIL_BLESS=1` writes the rows anew; people review them. Columns that only copy JSON are left out of them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use keytrail::json::Tree;
use keytrail::normalize::{Origin, Record, Row, Wanted, normalize};
use keytrail::schema::{COLUMNS, Column, ColumnType};

/// The JSON as AWS wrote it, which the `.json` beside the row shows already.
const COPIED: &[Column] = &[
    Column::RequestParameters,
    Column::ResponseElements,
    Column::AdditionalEventData,
    Column::ServiceEventDetails,
    Column::Resources,
    Column::Raw,
];

fn records() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths
}

/// Days since 1970 and microseconds print as numbers: the tests of `time` show that they are right.
fn value(row: &Row<'_>, column: Column) -> Option<String> {
    match column.spec().ty {
        ColumnType::Text => row.text(column).map(str::to_owned),
        ColumnType::Timestamp => row.timestamp(column).map(|micros| micros.to_string()),
        ColumnType::Date => row.date().map(|day| day.to_string()),
        ColumnType::Bool => row.boolean(column).map(|flag| flag.to_string()),
        ColumnType::Map => row.map(column).map(|entries| {
            let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}={value}")).collect();
            entries.join(" ")
        }),
        ColumnType::TextList => Some(row.list(column).join(" | ")).filter(|list| !list.is_empty()),
        ColumnType::Int => None,
    }
}

fn render(row: &Row<'_>) -> String {
    let mut text = String::new();
    for column in (0..COLUMNS.len()).map(Column::from_index).filter(|column| !COPIED.contains(column)) {
        if let Some(value) = value(row, column) {
            writeln!(text, "{}: {}", column.name(), value.escape_debug()).unwrap();
        }
    }
    text
}

#[test]
fn every_record_has_its_row() {
    let bless = std::env::var_os("KEYTRAIL_BLESS").is_some();
    let paths = records();
    assert!(paths.len() >= 40, "only {} records found", paths.len());
    let mut wrong = String::new();
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let mut tree = Tree::new();
        let value = tree.parse(&bytes).unwrap_or_else(|fault| panic!("{}: {fault:?}", path.display()));
        let row = render(&normalize(&Record::of(value), &Origin::default(), &Wanted::all()));
        let golden = path.with_extension("row");
        if bless {
            fs::write(&golden, &row).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != row {
            writeln!(wrong, "{} is now:\n{row}", golden.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What a column holds does not depend on which others were asked for.
#[test]
fn a_column_alone_equals_the_column_among_all() {
    for path in records() {
        let bytes = fs::read(&path).unwrap();
        let mut tree = Tree::new();
        let record = Record::of(tree.parse(&bytes).unwrap());
        let all = normalize(&record, &Origin::default(), &Wanted::all());
        for column in (0..COLUMNS.len()).map(Column::from_index) {
            let alone = normalize(&record, &Origin::default(), &Wanted::of(&[column]));
            assert_eq!(value(&alone, column), value(&all, column), "{} of {}", column.name(), path.display());
        }
    }
}

/// The path and the envelope speak only where the record does not.
#[test]
fn an_account_from_outside_is_named() {
    let origin = Origin { account: Some("111122223333"), envelope_account: None };
    let enveloped = Origin { envelope_account: Some("444455556666"), ..origin };
    let mut tree = Tree::new();
    let record =
        tree.parse(br#"{"eventID":"0f1e2d3c-0000-4000-8000-000000000001","eventTime":"2024-05-01T00:00:00Z"}"#);
    let record = Record::of(record.unwrap());
    for (origin, account, issue) in [
        (origin, Some("111122223333"), "recipientAccountId: missing, taken from the path"),
        (enveloped, Some("444455556666"), "recipientAccountId: missing, taken from the envelope"),
        (Origin::default(), None, "recipientAccountId: missing"),
    ] {
        let row = normalize(&record, &origin, &Wanted::all());
        assert_eq!(row.recipient_account_id.as_deref(), account);
        assert_eq!(row.issues, [issue]);
    }
}
