//! Fits rows into the width of a screen: gives up what says least, step by step, until every row is one line.
//! In: rows in short and a width. Out: a table that fits, or none; what was given up is in words beside it.
//! Never cuts a text at its end, and never so that two values of a column look the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::screen_rows::{ColumnPart, ScreenColumn, ScreenRows};
use super::short_times::to_the_minute;
use super::visible::{cut_middle, width};
use crate::arn::is_account_id;

/// Characters of an id that are enough, as git takes them.
const ID_HEAD: usize = 8;
/// Prose, words and names are not cut below these.
const PROSE_WIDTH_MIN: usize = 24;
const WORD_WIDTH_MIN: usize = 12;
const NAME_WIDTH_MIN: usize = 20;
/// Digits of an account that are enough beside a line that has them all.
const ACCOUNT_TAIL: usize = 4;
/// Blanks between two columns.
const GAP: usize = 2;

/// A table in which every row is one line of the screen.
pub struct FittedTable {
    columns: Vec<FittedColumn>,
    count: usize,
    /// Names of columns whose content another column has.
    folded: Vec<String>,
    /// Columns that are the same in all rows, with their value.
    shared: Vec<(String, String)>,
    /// Names of columns that say nothing.
    empty: Vec<String>,
    /// Accounts that names show by their last digits.
    accounts: BTreeSet<String>,
    precision: TimePrecision,
}

/// The part of its text that a cell may give up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cuts {
    InTheMiddle,
    /// Rows that would need a cut are better told otherwise.
    None,
}

/// The precision of the times of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TimePrecision {
    AsTheyAre,
    Minutes,
}

struct FittedColumn {
    head: Vec<String>,
    width: usize,
    part: ColumnPart,
    cells: Vec<String>,
}

/// The head of a column on one line, or on as many as its name has words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HeadForm {
    OneLine,
    Wrapped,
}

/// Rows on their way into a width.
struct Fitting {
    rows: ScreenRows,
    width: usize,
    heads: HeadForm,
    folded: Vec<String>,
    /// Columns that are the same in all rows, by their place in the rows.
    shared: BTreeMap<usize, (String, String)>,
    accounts: BTreeSet<String>,
    precision: TimePrecision,
}

impl FittedTable {
    /// The rows in a table of at most `width` columns; none where they do not fit one.
    pub fn of(rows: &ScreenRows, width: usize, cuts: Cuts) -> Option<FittedTable> {
        let steps: [fn(&mut Fitting); 6] = [
            |fitting| fitting.folded = fitting.rows.fold(),
            |fitting| fitting.heads = HeadForm::Wrapped,
            |fitting| fitting.change(ColumnPart::Id, |id| id.get(..ID_HEAD).map(|head| format!("{head}…"))),
            Fitting::round_to_minutes,
            |fitting| fitting.share(|column| column.part != ColumnPart::Name),
            Fitting::shorten_accounts,
        ];
        let cutting: [fn(&mut Fitting); 2] =
            [|fitting| fitting.cut(ColumnPart::Text), |fitting| fitting.cut(ColumnPart::Name)];
        let last: [fn(&mut Fitting); 1] = [|fitting| fitting.share(|_| true)];
        let cutting = if cuts == Cuts::InTheMiddle { &cutting[..] } else { &[] };
        let mut fitting = Fitting::new(rows, width);
        let mut steps = steps.iter().chain(cutting).chain(&last);
        while !fitting.fits() {
            steps.next()?(&mut fitting);
        }
        Some(fitting.table())
    }

    /// The rows with every value whole; none where they do not fit.
    pub fn of_whole(rows: &ScreenRows, width: usize) -> Option<FittedTable> {
        let fitting = Fitting::new(rows, width);
        fitting.fits().then(|| fitting.table())
    }

    /// The line above: the values that all rows have, and the precision of times.
    pub fn above(&self) -> Option<String> {
        let shared: Vec<String> = self.shared.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let shared = (!shared.is_empty()).then(|| format!("In every row: {}.", shared.join(", ")));
        let minutes = (self.precision == TimePrecision::Minutes).then(|| "Times are to the minute.".to_owned());
        let parts: Vec<String> = [shared, minutes].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// The line below: whole accounts, and the columns that were left out.
    pub fn below(&self) -> Option<String> {
        let accounts = self.accounts.iter().map(|account| format!("{} is account {account}.", account_tail(account)));
        let parts: Vec<String> = accounts.chain(left_out_words(&self.empty, &self.folded)).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// Head and rows; `bold` and `plain` are put around the head.
    pub fn write(&self, to: &mut dyn Write, (bold, plain): (&str, &str)) -> io::Result<()> {
        let lines = self.columns.iter().map(|column| column.head.len()).max().unwrap_or(0);
        for line in 0..lines {
            // A short head stands at the rule, as the last line of a long one does.
            let cell = |column: &FittedColumn| {
                let above = lines - column.head.len();
                line.checked_sub(above).map(|line| column.head[line].clone()).unwrap_or_default()
            };
            writeln!(to, "{bold}{}{plain}", self.line(cell))?;
        }
        writeln!(to, "{}", self.columns.iter().map(|c| "─".repeat(c.width)).collect::<Vec<_>>().join("  "))?;
        (0..self.count).try_for_each(|row| writeln!(to, "{}", self.line(|column| column.cells[row].clone())))
    }

    fn line(&self, text: impl Fn(&FittedColumn) -> String) -> String {
        let mut line = String::new();
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                line.push_str("  ");
            }
            let text = text(column);
            let pad = " ".repeat(column.width.saturating_sub(width(&text)));
            let parts = if column.part == ColumnPart::Number { [&pad, &text] } else { [&text, &pad] };
            line.extend(parts.map(String::as_str));
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }
}

impl Fitting {
    fn new(rows: &ScreenRows, width: usize) -> Fitting {
        Fitting {
            rows: rows.clone(),
            width,
            heads: HeadForm::OneLine,
            folded: Vec::new(),
            shared: BTreeMap::new(),
            accounts: BTreeSet::new(),
            precision: TimePrecision::AsTheyAre,
        }
    }

    fn fits(&self) -> bool {
        self.excess() == 0
    }

    /// Columns by which a line is too wide.
    fn excess(&self) -> usize {
        let columns = &self.rows.columns;
        let line = columns.iter().map(|column| self.column_width(column)).sum::<usize>();
        (line + GAP * columns.len().saturating_sub(1)).saturating_sub(self.width)
    }

    fn column_width(&self, column: &ScreenColumn) -> usize {
        cells_width(column).max(self.head_width(column))
    }

    fn head_width(&self, column: &ScreenColumn) -> usize {
        match self.heads {
            HeadForm::OneLine => width(&column.name),
            HeadForm::Wrapped => column.name.split_inclusive('_').map(width).max().unwrap_or(0),
        }
    }

    /// Takes the columns that are the same in all rows out of them, the widest first, until the rest fits.
    fn share(&mut self, may: fn(&ScreenColumn) -> bool) {
        if self.rows.count < 2 {
            return;
        }
        while !self.fits() && self.rows.columns.len() > 1 {
            let is_shared =
                |column: &ScreenColumn| may(column) && column.whole.iter().all(|cell| *cell == column.whole[0]);
            let widest = (0..self.rows.columns.len())
                .filter(|at| is_shared(&self.rows.columns[*at]))
                .max_by_key(|at| self.column_width(&self.rows.columns[*at]));
            let Some(widest) = widest else { return };
            let column = self.rows.columns.remove(widest);
            // Its place among all columns, those that are gone before it included.
            let place = self.shared.keys().fold(widest, |place, gone| place + usize::from(*gone <= place));
            self.shared.insert(place, (column.name, column.cells[0].clone()));
        }
    }

    /// Leaves the seconds out. Times are no names: that two of them look the same is said above.
    fn round_to_minutes(&mut self) {
        for column in self.rows.columns.iter_mut().filter(|column| column.part == ColumnPart::Time) {
            for cell in &mut column.cells {
                let minute = to_the_minute(cell);
                if minute != cell {
                    *cell = minute.to_owned();
                    self.precision = TimePrecision::Minutes;
                }
            }
        }
    }

    /// `444455556666:App` by the last digits of its account, where these tell all accounts apart.
    fn shorten_accounts(&mut self) {
        let names = || self.rows.columns.iter().filter(|column| column.part == ColumnPart::Name);
        let accounts: BTreeSet<String> =
            names().flat_map(|column| &column.cells).filter_map(|cell| account_of(cell)).map(str::to_owned).collect();
        let tails: BTreeSet<String> = accounts.iter().map(|account| account_tail(account)).collect();
        if tails.len() < accounts.len() {
            return;
        }
        self.change(ColumnPart::Name, |name| {
            let account = account_of(name)?;
            Some(name.replacen(account, &account_tail(account), 1))
        });
        self.accounts = accounts;
    }

    /// Changes the cells of all columns of a part, where these still tell their values apart.
    fn change(&mut self, part: ColumnPart, change: fn(&str) -> Option<String>) {
        for column in self.rows.columns.iter_mut().filter(|column| column.part == part) {
            let changed = column.changed(|cell| change(cell).unwrap_or_else(|| cell.to_owned()));
            if let Some(changed) = changed {
                *column = changed;
            }
        }
    }

    /// Cuts columns of a part in the middle, the widest first, until the rest fits or nothing more can be cut. A column
    /// whose values would come to look the same is left wider.
    fn cut(&mut self, part: ColumnPart) {
        let whole = self.rows.columns.clone();
        let widths: Vec<usize> = whole.iter().map(cells_width).collect();
        let least = |column: &ScreenColumn| floor(column).max(self.head_width(column));
        let mut floors: Vec<usize> = whole.iter().map(least).collect();
        for (at, column) in whole.iter().enumerate() {
            if column.part != part {
                floors[at] = widths[at];
            }
        }
        let room = widths.iter().sum::<usize>().saturating_sub(self.excess());
        loop {
            let narrow = narrowed(&widths, &floors, room);
            let cut = |at: usize| match narrow[at] < widths[at] {
                true => whole[at].changed(|cell| cut_middle(cell, narrow[at]).into_owned()),
                false => Some(whole[at].clone()),
            };
            let columns: Vec<Option<ScreenColumn>> = (0..whole.len()).map(cut).collect();
            let Some(alike) = columns.iter().position(Option::is_none) else {
                self.rows.columns = columns.into_iter().flatten().collect();
                return;
            };
            // Far wider than the screen is as wide as whole: then no table fits.
            let wider = narrow[alike] + narrow[alike] / 2 + 1;
            floors[alike] = if wider < self.width { wider.min(widths[alike]) } else { widths[alike] };
        }
    }

    fn table(self) -> FittedTable {
        let heads = self.heads;
        let widths: Vec<usize> = self.rows.columns.iter().map(|column| self.column_width(column)).collect();
        let columns = self.rows.columns.into_iter().zip(widths).map(|(column, width)| {
            let head = match heads {
                HeadForm::OneLine => vec![column.name],
                HeadForm::Wrapped => wrapped_head(&column.name, width),
            };
            FittedColumn { head, width, part: column.part, cells: column.cells }
        });
        FittedTable {
            columns: columns.collect(),
            count: self.rows.count,
            folded: self.folded,
            shared: self.shared.into_values().collect(),
            empty: self.rows.empty,
            accounts: self.accounts,
            precision: self.precision,
        }
    }
}

/// The widths under one cap, no lower than their floors, that together take no more than `room`; the floors where that
/// cannot be.
fn narrowed(widths: &[usize], floors: &[usize], room: usize) -> Vec<usize> {
    let under = |cap: usize| -> Vec<usize> {
        widths.iter().zip(floors).map(|(width, floor)| (*width).min(cap.max(*floor))).collect()
    };
    let (mut low, mut high) = (0, widths.iter().copied().max().unwrap_or(0));
    while low < high {
        let cap = (low + high).div_ceil(2);
        if under(cap).iter().sum::<usize>() <= room { low = cap } else { high = cap - 1 }
    }
    under(low)
}

fn cells_width(column: &ScreenColumn) -> usize {
    column.cells.iter().map(|cell| width(cell)).max().unwrap_or(0)
}

fn floor(column: &ScreenColumn) -> usize {
    match column.part {
        ColumnPart::Name => NAME_WIDTH_MIN,
        _ if column.cells.iter().any(|cell| cell.contains(' ')) => PROSE_WIDTH_MIN,
        _ => WORD_WIDTH_MIN,
    }
}

/// The account before a short name.
fn account_of(name: &str) -> Option<&str> {
    let (place, _) = name.rsplit_once(':')?;
    place.split(':').find(|part| is_account_id(part))
}

fn account_tail(account: &str) -> String {
    format!("…{}", &account[account.len() - ACCOUNT_TAIL..])
}

/// One sentence for each kind of column that is left out.
pub fn left_out_words(empty: &[String], folded: &[String]) -> Vec<String> {
    let list = |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what}: {}.", names.join(", ")));
    [list("Empty in every row", empty), list("In another column", folded)].into_iter().flatten().collect()
}

/// `first_seen` in six columns is `first_` above `seen`.
fn wrapped_head(name: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in name.split_inclusive('_') {
        let line = lines.last_mut().expect("there is a line from the start");
        if !line.is_empty() && width(line) + width(word) > columns {
            lines.push(word.to_owned());
        } else {
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, part: ColumnPart, cells: &[&str]) -> ScreenColumn {
        let cells: Vec<String> = cells.iter().map(|cell| (*cell).to_owned()).collect();
        ScreenColumn { name: name.to_owned(), part, whole: cells.clone(), cells }
    }

    fn rows(columns: Vec<ScreenColumn>) -> ScreenRows {
        ScreenRows { count: columns[0].cells.len(), columns, empty: Vec::new() }
    }

    fn text(rows: &ScreenRows, width: usize) -> Option<String> {
        let table = FittedTable::of(rows, width, Cuts::InTheMiddle)?;
        let mut bytes = Vec::new();
        table.write(&mut bytes, ("", "")).unwrap();
        let notes = [table.above(), table.below()].into_iter().flatten().collect::<Vec<_>>().join("\n");
        Some(format!("{}{notes}", String::from_utf8(bytes).unwrap()))
    }

    #[test]
    fn what_says_least_goes_first() {
        let (app, ada) = ("444455556666:App", "user/Ada");
        let ids = ["00000001-0000-4000-8000-000000000001", "00000002-0000-4000-8000-000000000002"];
        let rows = rows(vec![
            column("principal", ColumnPart::Name, &[app, ada]),
            column("event_time", ColumnPart::Time, &["03-10 14:30:30", "03-10 14:30:40"]),
            column("outcome", ColumnPart::Text, &["success", "success"]),
            column("calls", ColumnPart::Number, &["1", "22"]),
            column("event_id", ColumnPart::Id, &ids),
        ]);
        for (width, expected) in [
            (88, "principal         event_time      outcome  calls  event_id\n"),
            (80, "principal         event_time      outcome  calls  event_id\n"),
            (60, "444455556666:App  03-10 14:30:30  success      1  00000001…\n"),
            (56, "444455556666:App  03-10 14:30  success      1  00000001…\n"),
            (50, "444455556666:App  03-10 14:30      1  00000001…\n"),
            (42, "…6666:App  03-10 14:30      1  00000001…\n"),
            (42, "In every row: outcome success. Times are to the minute.\n…6666 is account 444455556666."),
        ] {
            let text = text(&rows, width).unwrap();
            assert!(text.contains(expected), "{width}: {text}");
            assert!(text.lines().take(4).all(|line| super::width(line) <= width), "{width}: {text}");
        }
        assert_eq!(text(&rows, 30), None);
    }

    #[test]
    fn a_cut_tells_apart() {
        let long = |middle: &str| format!("{}{middle}{}", "a".repeat(40), "z".repeat(40));
        let told = ["x", "y"].map(|end| format!("{}{end}", "a".repeat(80)));
        let alike = [long("1"), long("2")];
        for (cells, fits) in [(told, true), (alike, false)] {
            let rows = rows(vec![column("text", ColumnPart::Text, &cells.each_ref().map(String::as_str))]);
            assert_eq!(text(&rows, 40).is_some(), fits);
        }
    }

    #[test]
    fn columns_of_one_thing_are_one() {
        let tables = |arns: &[&str], names: &[&str]| {
            rows(vec![column("table_arn", ColumnPart::Name, arns), column("table_name", ColumnPart::Name, names)])
        };
        for (arns, names, is_one) in
            [(["orders", ""], ["orders", "half"], true), (["eu:orders", "b"], ["orders", "b"], false)]
        {
            assert_eq!(!tables(&arns, &names).fold().is_empty(), is_one, "{arns:?} {names:?}");
        }
    }
}
