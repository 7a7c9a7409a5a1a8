//! From the bytes of CloudTrail's logs to rows of Arrow: the stages that every byte of a log passes.
//! In: an object's name, a way to open it, and the columns that are asked for. Out: batches of rows, and named faults.
//! Never finds an object itself, compares two records, or counts kept rows.
//!
//! ```text
//!   decode ─▶ normalize ─▶ batch
//!   records   rows         Arrow
//! ```
//!
//! A crate of its own because it is what must be fast: it is compiled for speed, and needs neither DataFusion nor AWS's
//! SDK. `keytrail` gives its modules on under their own names.
#![forbid(unsafe_code)]

pub mod arn;
pub mod json;
pub mod objects;
pub mod schema;
pub mod time;

pub mod decode;

pub mod normalize;

pub mod batch;
