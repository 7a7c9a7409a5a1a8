//! keytrail answers who used which AWS KMS key, directly or through DynamoDB, and who was denied and why,
//! from CloudTrail logs.
//!
//! ```text
//!   source ─▶ decode ─▶ normalize ─▶ table ─┬──────────▶ sql ─▶ dataset ─▶ audit ─▶ report ─▶ cli ◀─ output
//!   bytes     records    rows        Arrow └▶ store ─▶  views   engine    sections  page              table, json, csv …
//! ```
//!
//! Modules stand in the order in which a log passes them. Broken input becomes a counted, named fault; it never
//! becomes a missing row.
#![forbid(unsafe_code)]

pub use keytrail_derive as derive;
pub use keytrail_rows::{arn, batch, decode, json, normalize, objects, schema, time};

pub mod glob;

pub mod source;

pub mod table;

pub mod store;

pub mod sql;

pub mod dataset;

pub mod audit;

pub mod report;

pub mod output;

pub mod cli;
