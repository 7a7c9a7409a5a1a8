//! One record, one row: every `tests/records/NAME.json` normalizes to exactly the columns of `NAME.row`.
//! `KEYTRAIL_BLESS=1` rewrites the rows, and people review them. The rows leave out columns that only copy JSON.
//! `tests/records/NORMALIZER` records the rows that belong to the present number of the normalizer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use keytrail::json::JsonTree;
use keytrail::normalize::{
    AccountHints, ColumnCondition, ColumnSet, NORMALIZER, Record, Row, RowDemand, RowNeeds, TableNeeds, normalize,
    normalize_needed,
};
use keytrail::schema::{COLUMNS, Column, ColumnType};
use sha2::{Digest, Sha256};

use crate::golden::is_blessing;

/// Columns with the JSON as AWS wrote it, which the `.json` beside the row already shows.
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

/// Days since 1970 and microseconds print as numbers, since the tests of `time` check their meaning.
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

fn row_of(path: &Path, bytes: &[u8]) -> String {
    let mut tree = JsonTree::new();
    let value = tree.parse(bytes).unwrap_or_else(|fault| panic!("{}: {fault:?}", path.display()));
    render(&normalize(&Record::of(value), &AccountHints::default(), ColumnSet::all()))
}

#[test]
fn every_record_has_its_row() {
    let bless = is_blessing();
    let paths = records();
    assert!(paths.len() >= 40, "only {} records found", paths.len());
    let mut wrong = String::new();
    for path in paths {
        let row = row_of(&path, &fs::read(&path).unwrap());
        let golden = path.with_extension("row");
        if bless {
            fs::write(&golden, &row).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != row {
            writeln!(wrong, "{} is now:\n{row}", golden.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The number of a normalizer, and the hash of each row it made, by the name and the hash of the record. A record that
/// is new or changed has no row to compare, so it says nothing about the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ruled {
    number: u32,
    rows: BTreeMap<String, String>,
}

impl Ruled {
    fn now() -> Ruled {
        let hash = |bytes: &[u8]| -> String { Sha256::digest(bytes)[..8].iter().map(|b| format!("{b:02x}")).collect() };
        let rows = records().into_iter().map(|path| {
            let (bytes, name) = (fs::read(&path).unwrap(), path.file_stem().unwrap().to_str().unwrap());
            (format!("{name} {}", hash(&bytes)), hash(row_of(&path, &bytes).as_bytes()))
        });
        Ruled { number: NORMALIZER, rows: rows.collect() }
    }

    /// Reads the text that `Display` wrote.
    fn parse(text: &str) -> Ruled {
        let (number, rows) = text.split_once('\n').unwrap_or((text, ""));
        let rows = rows.lines().filter_map(|line| line.rsplit_once(' '));
        let rows = rows.map(|(record, row)| (record.to_owned(), row.to_owned()));
        Ruled { number: number.parse().expect("the first line is the number"), rows: rows.collect() }
    }

    /// The objection to these rows after the committed ones, if there is one.
    fn objection(&self, committed: &Ruled) -> Option<String> {
        if self.number != committed.number {
            let is_lower = self.number < committed.number;
            return is_lower.then(|| format!("NORMALIZER is {}, and was {}", self.number, committed.number));
        }
        let is_other = |record: &&String| committed.rows.get(*record).is_some_and(|row| *row != self.rows[*record]);
        let changed: Vec<&str> = self.rows.keys().filter(is_other).map(String::as_str).collect();
        let cure = "raise NORMALIZER in rows/src/normalize/mod.rs by one, so that rows of stores are known to be older; \
                    if this change has raised it, take tests/records/NORMALIZER back from git before you bless again";
        (!changed.is_empty()).then(|| format!("other rows of the same number {}: {changed:?}\n{cure}", self.number))
    }
}

impl std::fmt::Display for Ruled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.number)?;
        self.rows.iter().try_for_each(|(record, row)| writeln!(f, "{record} {row}"))
    }
}

/// A change in a derived column must raise `NORMALIZER`, and no blessing gets around that.
#[test]
fn rows_change_only_with_the_number_of_the_normalizer() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/NORMALIZER");
    let (now, committed) = (Ruled::now(), Ruled::parse(&fs::read_to_string(&file).unwrap()));
    if let Some(objection) = now.objection(&committed) {
        panic!("{objection}");
    }
    if is_blessing() {
        fs::write(&file, now.to_string()).unwrap();
    } else {
        assert!(now == committed, "bless tests/records/NORMALIZER: the number was raised, or records came or went");
    }
}

#[test]
fn a_changed_row_needs_another_number() {
    let ruled = |text: &str| Ruled::parse(text);
    let committed = ruled("2\na 00 11\nb 00 11\n");
    assert_eq!(ruled(&committed.to_string()), committed);
    for (now, is_fine) in [
        ("2\na 00 11\nb 00 11\n", true),
        ("2\na 00 11\nb 00 22\n", false),
        ("3\na 00 11\nb 00 22\n", true),
        ("1\na 00 11\nb 00 11\n", false),
        ("2\na 00 11\nb 01 22\nc 00 33\n", true),
        ("2\na 00 11\n", true),
    ] {
        assert_eq!(ruled(now).objection(&committed).is_none(), is_fine, "{now}");
    }
}

/// The value of a column does not depend on the other columns that were asked for.
#[test]
fn a_column_alone_equals_the_column_among_all() {
    for path in records() {
        let bytes = fs::read(&path).unwrap();
        let mut tree = JsonTree::new();
        let record = Record::of(tree.parse(&bytes).unwrap());
        let all = normalize(&record, &AccountHints::default(), ColumnSet::all());
        for column in (0..COLUMNS.len()).map(Column::from_index) {
            let alone = normalize(&record, &AccountHints::default(), ColumnSet::of(&[column]));
            assert_eq!(value(&alone, column), value(&all, column), "{} of {}", column.name(), path.display());
        }
    }
}

/// A table gets every row that it wants, with values that do not depend on the other tables.
#[test]
fn a_table_gets_its_rows_whatever_the_others_want() {
    let table = |column: Column, values: &[&str], columns: &[Column]| {
        let values = (!values.is_empty()).then(|| values.iter().map(|value| (*value).to_owned()).collect());
        let columns = ColumnSet::of(columns).and(ColumnSet::of(&[column]));
        TableNeeds { conditions: vec![ColumnCondition { column, values }], columns, since: None }
    };
    let tables = [
        table(Column::SharedEventId, &[], &[Column::AccountSide, Column::EventCategory, Column::RecipientAccountId]),
        table(Column::ViaService, &["dynamodb"], &[Column::Principal, Column::Outcome, Column::TableArn]),
        table(Column::Outcome, &["denied"], &[Column::DenialReason, Column::KeyArn, Column::RequestedAlias]),
        table(
            Column::OperationClass,
            &["grant", "policy"],
            &[Column::GrantId, Column::PrincipalType, Column::Resources],
        ),
    ];
    let mut wanted_by = [0; 4];
    for path in records() {
        let bytes = fs::read(&path).unwrap();
        let mut tree = JsonTree::new();
        let record = Record::of(tree.parse(&bytes).unwrap());
        let all = normalize(&record, &AccountHints::default(), ColumnSet::all());
        let wants = |table: &TableNeeds| {
            let ColumnCondition { column, values } = &table.conditions[0];
            let text = all.text(*column);
            text.is_some_and(|text| values.as_ref().is_none_or(|values| values.iter().any(|value| value == text)))
        };
        for some in (1..1usize << tables.len()).map(|bits| (0..tables.len()).filter(move |at| bits >> at & 1 == 1)) {
            let asked: Vec<usize> = some.collect();
            let needs = RowNeeds::new(asked.iter().map(|&at| tables[at].clone()));
            normalize_needed(&record, &AccountHints::default(), &needs, &mut |row, demand| {
                let wanting: Vec<usize> = asked.iter().copied().filter(|&at| wants(&tables[at])).collect();
                assert_eq!(demand == RowDemand::Wanted, !wanting.is_empty(), "{asked:?} of {}", path.display());
                for at in wanting {
                    wanted_by[at] += 1;
                    let columns = (0..COLUMNS.len()).map(Column::from_index);
                    for column in columns.filter(|column| tables[at].columns.has(*column)) {
                        let (found, alone) = (value(row, column), value(&all, column));
                        assert_eq!(found, alone, "{} for {asked:?} of {}", column.name(), path.display());
                    }
                }
            });
        }
    }
    assert!(wanted_by.iter().all(|rows| *rows > 0), "a table wants nothing: {wanted_by:?}");
}

/// The account comes from the path or the envelope only if the record has none.
#[test]
fn an_account_from_outside_is_named() {
    let origin = AccountHints { account: Some("111122223333"), envelope_account: None };
    let enveloped = AccountHints { envelope_account: Some("444455556666"), ..origin };
    let mut tree = JsonTree::new();
    let record =
        tree.parse(br#"{"eventID":"0f1e2d3c-0000-4000-8000-000000000001","eventTime":"2024-05-01T00:00:00Z"}"#);
    let record = Record::of(record.unwrap());
    for (origin, account, issue) in [
        (origin, Some("111122223333"), "recipientAccountId: missing, taken from the path"),
        (enveloped, Some("444455556666"), "recipientAccountId: missing, taken from the envelope"),
        (AccountHints::default(), None, "recipientAccountId: missing"),
    ] {
        let row = normalize(&record, &origin, ColumnSet::all());
        assert_eq!(row.recipient_account_id.as_deref(), account);
        assert_eq!(row.issues, [issue]);
    }
}
