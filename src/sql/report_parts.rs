//! The questions of the report: files of `queries/report`.
//! In: their cards. Out: SQL, the sentence of a part without rows, the command that gives every row, and the views that
//! flags narrow. Never runs the SQL of a part.

use std::sync::LazyLock;

use super::cards::{self, Card, CardError, CardKind};

/// One question.
#[derive(Debug, Clone)]
pub struct ReportPart {
    pub name: &'static str,
    pub title: &'static str,
    /// The sentence that stands where the part has no row.
    pub none: &'static str,
    /// The command that gives every row.
    pub rest: &'static str,
    /// The views that it names whose rows `--key`, `--principal` and `--table` narrow; none where they narrow nothing.
    pub narrows: Vec<&'static str>,
    pub sql: &'static str,
}

impl ReportPart {
    fn of(card: &Card) -> Result<ReportPart, CardError> {
        Ok(ReportPart {
            name: card.name,
            title: card.title(),
            none: card.text("none").unwrap_or_default(),
            rest: card.text("rest").unwrap_or_default(),
            narrows: card.text("narrows").map(|list| list.split(", ").collect()).unwrap_or_default(),
            sql: card.sql,
        })
    }
}

/// All questions, by name.
pub fn all() -> &'static [ReportPart] {
    static ALL: LazyLock<Vec<ReportPart>> = LazyLock::new(|| {
        let read = cards::each(CardKind::Report, ReportPart::of);
        read.expect("a test reads the card of every part that is compiled in")
    });
    &ALL
}

/// The question of this name.
///
/// # Panics
/// If its file is gone.
pub fn named(name: &str) -> &'static ReportPart {
    all().iter().find(|part| part.name == name).expect("a test makes a page, which asks for every part")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::views;

    #[test]
    fn every_part_has_a_sentence_a_command_and_views_that_it_names() {
        for part in all() {
            assert!(part.none.ends_with('.') && part.rest.starts_with("keytrail query "), "{}", part.name);
            let named = views::table_names(part.sql).unwrap();
            // Else it would hide what it is made of from those who narrow views.
            let hides = views::all().iter().find(|view| part.sql.contains(&format!("{} AS (", view.name)));
            assert!(hides.is_none(), "`{}` names a part of its own as a view: {hides:?}", part.name);
            for view in &part.narrows {
                assert!(views::find(view).is_some(), "`{view}` of `{}` is no view", part.name);
                assert!(named.iter().any(|name| name == view), "`{}` does not read `{view}`", part.name);
            }
        }
    }
}
