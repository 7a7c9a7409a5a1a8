//! The pieces that every page for people has: titles, and the limits of logs.
//! In: a style. Out: lines. Never decides what a page says.

use std::io::{self, Write};

use crate::output::words::wrapped;
use crate::output::{OutputTarget, Style};

/// The width of sentences where no screen bounds them.
pub const TEXT_WIDTH: usize = 110;

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
