//! The pieces that every page for people has: titles, and the limits of logs.
//! In: a style. Out: lines. Never decides what a page says.

use std::io::{self, Write};

use clap::ValueEnum;

use super::args::FileArgs;
use super::exit::Failure;
use crate::output::words::wrapped;
use crate::output::{Format, OutputTarget, Style};

/// The width of sentences where no screen bounds them.
pub const TEXT_WIDTH: usize = 110;

/// The formats of an answer that is a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum PageFormat {
    /// Sections for people
    Table,
    /// The same as Markdown
    Markdown,
    /// One object with every row
    Json,
}

impl PageFormat {
    /// `-f`, else the ending of FILE, else a table.
    pub fn chosen(format: Option<PageFormat>, to: &FileArgs) -> Result<PageFormat, Failure> {
        if let Some(format) = format {
            return Ok(format);
        }
        match to.by_name()? {
            None | Some(Format::Table) => Ok(PageFormat::Table),
            Some(Format::Markdown) => Ok(PageFormat::Markdown),
            Some(Format::Json) => Ok(PageFormat::Json),
            Some(_) => Err(Failure::usage("this answer is a table, Markdown or JSON")
                .hint("choose with -f, or ask `keytrail query`: `keytrail queries` lists the named queries")),
        }
    }
}

/// A blank line, then the title of a part.
pub fn title(to: &mut OutputTarget, title: &str, style: Style) -> io::Result<()> {
    let (bold, plain) = if style.color { ("\x1b[1;36m", "\x1b[0m") } else { ("", "") };
    writeln!(to, "\n{bold}{title}{plain}")
}

/// The limits of logs under their title, in lines of this width.
pub fn limits(to: &mut OutputTarget, limits: &[&str], (style, width): (Style, usize)) -> io::Result<()> {
    title(to, "Limits of these logs", style)?;
    let mut lines = limits.iter().flat_map(|limit| wrapped(&format!("- {limit}"), width, "  "));
    lines.try_for_each(|line| writeln!(to, "{line}"))
}
