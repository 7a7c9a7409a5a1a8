//! The person behind each session, for joins.
//! In: calls of sessions and of STS, in any order. Out: one row a session of which the person is known, or whose calls may
//! name theirs, by its id.
//! Never takes a user whom one call names in `onBehalfOf` for the person behind another.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use keytrail_rows::schema::ColumnType::{Text, Timestamp};

use super::output::{OutputCell, OutputRows, column};
use super::session_book::{AgreedText, SessionBook, SessionColumns, SessionFacts, SessionKey};
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
        let told = |(key, facts): (&SessionKey, &SessionFacts)| {
            let trace = origins.trace(*key);
            let names_users = facts.on_behalf_of != AgreedText::Untold;
            let (person, source) = match trace.person_of_all_calls {
                Some((person, source)) => (Some(person), Some(source)),
                None if names_users && !trace.is_cut => (None, trace.assumed_by.map(|_| "chain")),
                None => return None,
            };
            Some((*key, (person, source)))
        };
        let mut known: Vec<_> = self.book.sessions.iter().filter_map(told).collect();
        known.sort_unstable_by_key(|(key, _)| (texts.get(key.principal_id), key.created));
        let mut rows = OutputRows::new(COLUMNS);
        for (key, (person, source)) in known {
            rows.push([
                texts.get(key.principal_id).into(),
                OutputCell::Time(key.created),
                OutputCell::Text(person.map(|person| texts.get(person))),
                source.into(),
            ])?;
        }
        rows.finish()
    }
}
