//! The life of a key, a table or a principal: one statement for each, of `queries/trace`.
//! In: their cards. Out: SQL with the one parameter `$subject`, an ARN or a whole name, and rows in order of time: `at`,
//! `until`, `what`, `who`, `detail`, `key_arn`, `table_name`, `event_id`. Never runs it.

use std::sync::LazyLock;

use super::asked_names::NameKind;
use super::cards::{self, Card, CardError, CardKind};

/// One such statement.
#[derive(Debug, Clone)]
pub struct TraceStatement {
    pub kind: NameKind,
    pub title: &'static str,
    /// The sentence of a trace without rows.
    pub none: &'static str,
    pub sql: &'static str,
}

impl TraceStatement {
    fn of(card: &Card) -> Result<Option<TraceStatement>, CardError> {
        let none = card.text("none").unwrap_or_default();
        let statement = |kind| TraceStatement { kind, title: card.title(), none, sql: card.sql };
        Ok(NameKind::read(card.name).map(statement))
    }
}

/// All of them.
pub fn all() -> &'static [TraceStatement] {
    static ALL: LazyLock<Vec<TraceStatement>> = LazyLock::new(|| {
        let read = cards::each(CardKind::Trace, TraceStatement::of);
        read.expect("a test reads the card of every trace that is compiled in").into_iter().flatten().collect()
    });
    &ALL
}

/// The statement for things of a kind; sessions have none.
pub fn of(kind: NameKind) -> Option<&'static TraceStatement> {
    all().iter().find(|statement| statement.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tables_and_principals_have_a_life() {
        for kind in [NameKind::Key, NameKind::Table, NameKind::Principal] {
            let statement = of(kind).unwrap_or_else(|| panic!("`queries/trace/{kind}.sql` is not there"));
            assert!(statement.sql.contains("$subject") && !statement.none.is_empty(), "{kind}");
        }
        assert_eq!(all().len(), 3, "a file that is named after no kind is never asked");
    }
}
