//! The report: one HTML file that carries the story to people who decide.
//! In: the rows of `queries/report`, and what the run itself tells. Out: the text of a page without script, that asks
//! for nothing and is the same for the same facts.
//! Never reads a clock or a file, and never shows what a record says but as text.

mod answers;
mod batches;
mod controls;
mod coverage;
mod denials;
mod facts;
mod findings;
mod head;
mod keys;
mod method;
mod names;
mod page;
mod people;
mod phrases;
mod pictures;
mod pieces;
mod rows;
#[cfg(test)]
mod samples;
mod story;
mod svg;

pub use answers::{PageTooLarge, Report, ReportRequest};
