//! The person behind each session, for joins.
//! In: calls of sessions and of STS, in any order. Out: one row a session of which the person is known, by its id.
//! Never a row without a person.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Text, Timestamp};

use super::output::{OutputCell, OutputRows, column};
use super::session_book::{SessionBook, SessionColumns};
use super::session_origins::SessionOrigins;
use super::{AskedInterval, Derivation, DerivedTable, OutputColumn, RowTime};

pub(super) const SESSION_PERSONS: DerivedTable = DerivedTable {
    name: "session_persons",
    columns: COLUMNS,
    by: &[],
    unique: &["principal_id", "session_created"],
    time: RowTime::None,
    start: |interval| Box::new(AllPersons { book: SessionBook::default(), interval: *interval }),
};

const COLUMNS: &[OutputColumn] = &[
    column("principal_id", Text),
    column("session_created", Timestamp),
    column("person", Text),
    column("person_source", Text),
];

/// All sessions so far.
struct AllPersons {
    book: SessionBook,
    interval: AskedInterval,
}

impl Derivation for AllPersons {
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let columns = SessionColumns::of("session_persons", rows)?;
        for row in 0..rows.num_rows() {
            self.book.take(row, &columns);
        }
        Ok(())
    }

    fn bytes_held(&self) -> usize {
        self.book.bytes_held()
    }

    fn finish(self: Box<Self>) -> Result<RecordBatch, ArrowError> {
        let (origins, texts) = (SessionOrigins::of(&self.book, self.interval), &self.book.texts);
        let known = self.book.sessions.keys().filter_map(|key| Some((*key, origins.trace(*key).person?)));
        let mut known: Vec<_> = known.collect();
        known.sort_unstable_by_key(|(key, _)| (texts.get(key.principal_id), key.created));
        let mut rows = OutputRows::new(COLUMNS);
        for (key, (person, source)) in known {
            rows.push([
                texts.get(key.principal_id).into(),
                OutputCell::Time(key.created),
                texts.get(person).into(),
                source.into(),
            ])?;
        }
        rows.finish()
    }
}
