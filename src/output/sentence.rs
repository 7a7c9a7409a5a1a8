//! A row as a sentence, for rows that no table of the screen's width can hold.
//! In: a template such as `{principal} used {key_arn|a key}: {calls:call}[, refused {denied:time}]`, and a row.
//! Out: its words. Never says a value that the row does not have.
//!
//! `{a}` is the value of a column, `{a|b|some words}` the first that says something, where what has a blank is words;
//! `{a:call}` a number with its noun, `{a..b}` two times. Text in brackets is left out where a value in it says
//! nothing or is 0.

use super::screen_rows::ScreenRows;

/// A sentence with places for values. Invariant: its brackets and braces are closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentenceTemplate(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Words(String),
    Value(SentencePart),
    /// Left out where a value in it says nothing.
    Optional(Vec<Piece>),
}

/// A place for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SentencePart {
    FirstOf(Vec<String>),
    Counted { column: String, noun: String },
    Interval { from: String, to: String },
}

impl SentenceTemplate {
    /// Reads a template; none where a brace or bracket does not close.
    pub fn parse(text: &str) -> Option<SentenceTemplate> {
        pieces(text).map(SentenceTemplate)
    }

    /// The names of all columns that it has places for.
    pub fn columns(&self) -> Vec<&str> {
        fn of(pieces: &[Piece]) -> Vec<&str> {
            let each = |piece| match piece {
                &Piece::Words(_) => Vec::new(),
                Piece::Optional(pieces) => of(pieces),
                Piece::Value(SentencePart::FirstOf(names)) => {
                    names.iter().filter(|name| !name.contains(' ')).map(String::as_str).collect()
                }
                Piece::Value(SentencePart::Counted { column, .. }) => vec![column.as_str()],
                Piece::Value(SentencePart::Interval { from, to }) => vec![from.as_str(), to.as_str()],
            };
            pieces.iter().flat_map(each).collect()
        }
        of(&self.0)
    }

    /// The sentence of one row. A value that is not there is a question mark, unless it is optional.
    pub fn filled(&self, rows: &ScreenRows, row: usize) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(words) => out.push_str(words),
                Piece::Value(place) => out.push_str(place.value(rows, row).as_deref().unwrap_or("?")),
                Piece::Optional(pieces) => out.push_str(&optional(pieces, rows, row).unwrap_or_default()),
            }
        }
        out
    }
}

/// The pieces as text; none where one of their values says nothing.
fn optional(pieces: &[Piece], rows: &ScreenRows, row: usize) -> Option<String> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Words(words) => out.push_str(words),
            Piece::Value(place) => out.push_str(&place.value(rows, row).filter(|_| !place.is_zero(rows, row))?),
            Piece::Optional(pieces) => out.push_str(&optional(pieces, rows, row).unwrap_or_default()),
        }
    }
    Some(out)
}

impl SentencePart {
    fn read(text: &str) -> SentencePart {
        if let Some((from, to)) = text.split_once("..") {
            return SentencePart::Interval { from: from.to_owned(), to: to.to_owned() };
        }
        match text.split_once(':') {
            Some((column, noun)) => SentencePart::Counted { column: column.to_owned(), noun: noun.to_owned() },
            None => SentencePart::FirstOf(text.split('|').map(str::to_owned).collect()),
        }
    }

    fn value(&self, rows: &ScreenRows, row: usize) -> Option<String> {
        match self {
            SentencePart::FirstOf(names) => names.iter().find_map(|name| match name.contains(' ') {
                true => Some(name.clone()),
                false => cell(rows, name, row).map(str::to_owned),
            }),
            SentencePart::Counted { column, noun } => {
                let count = cell(rows, column, row)?;
                let plural = if count == "1" { "" } else { "s" };
                Some(format!("{count} {noun}{plural}"))
            }
            SentencePart::Interval { from, to } => match (cell(rows, from, row)?, cell(rows, to, row)?) {
                (from, to) if from == to => Some(from.to_owned()),
                (from, to) => Some(format!("{from} to {}", after_common_day(from, to))),
            },
        }
    }

    fn is_zero(&self, rows: &ScreenRows, row: usize) -> bool {
        matches!(self, SentencePart::Counted { column, .. } if cell(rows, column, row) == Some("0"))
    }
}

/// A cell that says something.
fn cell<'r>(rows: &'r ScreenRows, column: &str, row: usize) -> Option<&'r str> {
    rows.column(column).map(|column| column.cells[row].as_str()).filter(|cell| !cell.is_empty())
}

/// The second time without its day, where both have one day.
fn after_common_day<'t>(from: &str, to: &'t str) -> &'t str {
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((day, _)), Some((same, clock))) if day == same => clock,
        _ => to,
    }
}

fn pieces(text: &str) -> Option<Vec<Piece>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(['{', '[', '}', ']']) {
        if at > 0 {
            pieces.push(Piece::Words(rest[..at].to_owned()));
        }
        let inner = &rest[at + 1..];
        let (piece, end) = match &rest[at..=at] {
            "{" => {
                let end = inner.find('}')?;
                (Piece::Value(SentencePart::read(&inner[..end])), end)
            }
            "[" => {
                let end = closing(inner)?;
                (Piece::Optional(self::pieces(&inner[..end])?), end)
            }
            _ => return None,
        };
        pieces.push(piece);
        rest = &inner[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Words(rest.to_owned()));
    }
    Some(pieces)
}

/// The bracket that closes the one before this text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 0 => return Some(at),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::screen_rows::{ColumnPart, ScreenColumn};

    fn rows(cells: &[(&str, &str)]) -> ScreenRows {
        let column = |(name, cell): &(&str, &str)| ScreenColumn {
            name: (*name).to_owned(),
            part: ColumnPart::Text,
            cells: vec![(*cell).to_owned()],
            whole: vec![(*cell).to_owned()],
        };
        ScreenRows { columns: cells.iter().map(column).collect(), count: 1, empty: Vec::new() }
    }

    #[test]
    fn a_template_is_filled_with_what_the_row_has() {
        let text =
            "{who} used {key|a key of no name}: {calls:call}, {from..to}[; refused {denied:time}[ by {reason}]].";
        let template = SentenceTemplate::parse(text).unwrap();
        assert_eq!(template.columns(), ["who", "key", "calls", "from", "to", "denied", "reason"]);
        let all = [("who", "app"), ("key", "k"), ("calls", "1"), ("from", "03-10 14:30"), ("to", "03-10 15:00")];
        let denied = [all.as_slice(), &[("denied", "2"), ("reason", "scp")]].concat();
        for (cells, says) in [
            (&denied[..], "app used k: 1 call, 03-10 14:30 to 15:00; refused 2 times by scp."),
            (&denied[..6], "app used k: 1 call, 03-10 14:30 to 15:00; refused 2 times."),
            (&all[..], "app used k: 1 call, 03-10 14:30 to 15:00."),
            (
                &[("who", "app"), ("calls", "0"), ("from", "x"), ("to", "x"), ("denied", "0")],
                "app used a key of no name: 0 calls, x.",
            ),
        ] {
            assert_eq!(template.filled(&rows(cells), 0), says);
        }
        for wrong in ["{a", "[a", "a}", "[{a]"] {
            assert_eq!(SentenceTemplate::parse(wrong), None, "{wrong}");
        }
    }
}
