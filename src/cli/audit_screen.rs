//! An audit for people: in short on a screen, whole where no screen bounds it, and as Markdown.
//! In: an audit and its summary. Out: the sections in one order, each a table, or sentences where no table fits.
//! Never shows more of a section than its share of a screen, and leaves nothing out of a pipe or a file.

use std::io::{self, Write};

use arrow::array::RecordBatch;

use super::exit::Failure;
use super::page;
use super::summary::RunSummary;
use crate::audit::{AnsweredSection, Audit, LIMITS};
use crate::output::fit::{Cuts, FittedTable};
use crate::output::screen::{self, ScreenLook, ScreenValues};
use crate::output::screen_rows::ScreenRows;
use crate::output::short_names::ShortNames;
use crate::output::short_times::ShortTimes;
use crate::output::visible::visible;
use crate::output::words::{count, wrapped};
use crate::output::{self, Format, OutputTarget, Style, markdown};

/// Rows of a section on a screen.
const ROWS_SHOWN: usize = 8;

/// The note on the parts that a screen leaves out.
const SHORT_NOTE: &str =
    "Shown in short: a name alone is a role; -v shows whole values and every row, -f json has everything.";

/// The audit for people.
pub struct AuditScreen<'a> {
    pub style: Style,
    pub summary: &'a RunSummary,
    pub audit: &'a Audit,
}

/// Short names and times that all sections of a screen share.
struct SharedShorts {
    names: ShortNames,
    times: ShortTimes,
}

impl AuditScreen<'_> {
    /// Sections under titles: in short on a screen, whole elsewhere.
    pub fn table(&self, to: &mut OutputTarget) -> Result<(), Failure> {
        match self.style.screen() {
            Some(look) => self.on_screen(to, look).map_err(|e| Failure::write(&e)),
            None => self.whole(to),
        }
    }

    fn on_screen(&self, to: &mut OutputTarget, look: ScreenLook) -> io::Result<()> {
        for line in self.head() {
            wrapped(&line, look.width, "          ").iter().try_for_each(|line| writeln!(to, "{line}"))?;
        }
        let mut shorts = SharedShorts::of(self.audit);
        if let (ScreenValues::Short, Some(words)) = (look.values, shorts.words()) {
            screen::note(to, &words, look)?;
        }
        for section in &self.audit.sections {
            page::title(to, section.title, self.style)?;
            match look.values {
                _ if section.rows.num_rows() == 0 => writeln!(to, "{}", visible(&section.none))?,
                ScreenValues::Short => short(to, section, &mut shorts, look)?,
                ScreenValues::Whole => screen::write_whole(to, &section.for_people(), look, 0)?,
            }
            for line in not_narrowed(section) {
                wrapped(&line, look.width, "  ").iter().try_for_each(|line| writeln!(to, "{line}"))?;
            }
        }
        let mut limits = LIMITS.to_vec();
        if look.values == ScreenValues::Short {
            if shorts.names.has_legend() {
                page::title(to, "Names in full", self.style)?;
                screen::write_legend(to, &mut shorts.names, look)?;
            }
            limits.push(SHORT_NOTE);
        }
        page::limits(to, &limits, (self.style, look.width))
    }

    /// Every row, column and value, for a pipe or a file.
    fn whole(&self, to: &mut OutputTarget) -> Result<(), Failure> {
        let write = |e: io::Error| Failure::write(&e);
        self.head().iter().try_for_each(|line| writeln!(to, "{line}")).map_err(write)?;
        for section in &self.audit.sections {
            page::title(to, section.title, self.style).map_err(write)?;
            self.rows(to, section, Format::Table)?;
            not_narrowed(section).iter().try_for_each(|line| writeln!(to, "{line}")).map_err(write)?;
        }
        page::limits(to, &LIMITS, (self.style, page::TEXT_WIDTH)).map_err(write)
    }

    /// Every row, column and value as Markdown.
    pub fn markdown(&self, to: &mut OutputTarget) -> Result<(), Failure> {
        let write = |e: io::Error| Failure::write(&e);
        writeln!(to, "# Key audit\n").map_err(write)?;
        self.head().iter().try_for_each(|line| writeln!(to, "- {}", markdown::escaped(line))).map_err(write)?;
        for section in &self.audit.sections {
            writeln!(to, "\n## {}\n", section.title).map_err(write)?;
            self.rows(to, section, Format::Markdown)?;
            let notes: Vec<String> = not_narrowed(section).iter().map(|line| markdown::escaped(line)).collect();
            if !notes.is_empty() {
                writeln!(to, "\n{}", notes.join("  \n")).map_err(write)?;
            }
        }
        writeln!(to, "\n## Limits of these logs\n").map_err(write)?;
        LIMITS.iter().try_for_each(|limit| writeln!(to, "- {limit}")).map_err(write)
    }

    fn rows(&self, to: &mut OutputTarget, section: &AnsweredSection, format: Format) -> Result<(), Failure> {
        if section.rows.num_rows() == 0 {
            return self.none(to, section, format).map_err(|e| Failure::write(&e));
        }
        let rows = section.for_people();
        let mut sink = output::sink(format, to, &rows.schema(), self.style)?;
        sink.write(&rows).and_then(|()| sink.finish()).map_err(|e| Failure::write(&e))
    }

    fn none(&self, to: &mut OutputTarget, section: &AnsweredSection, format: Format) -> io::Result<()> {
        match format {
            Format::Markdown => writeln!(to, "{}", markdown::escaped(&visible(&section.none))),
            _ => writeln!(to, "{}", visible(&section.none)),
        }
    }

    /// The interval, objects and records on which the sections rest, and the names that were asked for in vain.
    fn head(&self) -> Vec<String> {
        let names = self.audit.names.iter().map(|sentence| format!("names     {}", visible(sentence)));
        self.summary.lines().into_iter().chain(names).collect()
    }
}

impl SharedShorts {
    /// Of all rows that a screen shows, so that a name means the same in every section.
    fn of(audit: &Audit) -> SharedShorts {
        let rows: Vec<RecordBatch> = audit.sections.iter().map(shown_rows).collect();
        let mut names = audit.aliases.as_ref().map(ShortNames::with_aliases).unwrap_or_default();
        names.meet(&rows);
        SharedShorts { names, times: ShortTimes::of(&rows) }
    }

    fn words(&self) -> Option<String> {
        screen::common_words(&self.names, &self.times)
    }
}

/// The rows of a section that are its share of a screen.
fn shown_rows(section: &AnsweredSection) -> RecordBatch {
    section.for_people().slice(0, section.rows.num_rows().min(ROWS_SHOWN))
}

/// A table where one fits, else sentences.
fn short(
    to: &mut OutputTarget,
    section: &AnsweredSection,
    shorts: &mut SharedShorts,
    look: ScreenLook,
) -> io::Result<()> {
    let mut rows = ScreenRows::short(&shown_rows(section), &mut shorts.names, &shorts.times);
    rows.fold();
    match (FittedTable::of(&rows, look.width, Cuts::None), section.sentence) {
        (None, Some(sentence)) => {
            for row in 0..rows.count {
                let lines = wrapped(&format!("- {}", sentence.filled(&rows, row)), look.width, "  ");
                lines.iter().try_for_each(|line| writeln!(to, "{line}"))?;
            }
        }
        (None, None) => screen::write_whole(to, &section.for_people(), look, 0)?,
        (Some(table), _) => {
            table.above().iter().try_for_each(|text| screen::note(to, text, look))?;
            table.write(to, look.bold())?;
            table.below().iter().try_for_each(|text| screen::note(to, text, look))?;
        }
    }
    screen::untold_keys_note(&rows).iter().try_for_each(|text| screen::note(to, text, look))?;
    match section.rows.num_rows() - rows.count {
        0 => Ok(()),
        more => writeln!(to, "and {} more: -v shows them", count(more as u64)),
    }
}

/// One line for each flag that could not narrow a section, and for rows that may belong to it.
fn not_narrowed(section: &AnsweredSection) -> Vec<String> {
    let flags = section.not_narrowed.iter().map(|flag| format!("not narrowed by {flag}: these rows do not name it"));
    flags.chain(section.beside.iter().map(|said| visible(said).into_owned())).collect()
}
