//! Runs `tests/slt/*.slt` (sqllogictest) through the binary over `sample-logs`.
//! In: statements and the rows they must give. Out: the first statement of a file that gives other rows.

use std::fs;

use sqllogictest::{DB, DBOutput, DefaultColumnType, Runner};

use crate::child::{keytrail, root};

struct OverSampleLogs;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

impl DB for OverSampleLogs {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let ended = keytrail(["query", "-q", "--events", "all", "-f", "csv", sql, "--from", "sample-logs"]);
        if !matches!(ended.code, Some(0 | 3)) {
            return Err(Refused(ended.stderr));
        }
        let mut reader = csv::Reader::from_reader(ended.stdout.as_slice());
        let types = vec![DefaultColumnType::Any; reader.headers().map_err(|e| Refused(e.to_string()))?.len()];
        let shown = |cell: &str| if cell.is_empty() { "NULL".to_owned() } else { cell.to_owned() };
        let rows: Result<Vec<Vec<String>>, csv::Error> =
            reader.records().map(|r| Ok(r?.iter().map(shown).collect())).collect();
        Ok(DBOutput::Rows { types, rows: rows.map_err(|e| Refused(e.to_string()))? })
    }
}

#[test]
fn statements_give_their_rows() {
    let files = fs::read_dir(root().join("tests/slt")).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "slt")).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let mut runner = Runner::new(|| async { Ok(OverSampleLogs) });
        runner.run_file(&file).unwrap_or_else(|e| panic!("{e}"));
    }
}
