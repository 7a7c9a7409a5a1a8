//! keytrail answers who used which AWS KMS key, directly or through DynamoDB, and who was denied and why,
//! from CloudTrail logs.
//!
//! ```text
//!   source ─▶ decode ─▶ normalize ─▶ table ─▶ sql ─▶ cli
//!   bytes     records    rows        Arrow    views   table, json, csv …
//! ```
//!
//! Modules stand in the order in which a log passes them. Broken input becomes a counted, named fault; it never
//! becomes a missing row.
#![forbid(unsafe_code)]

pub use keytrail_rows::{arn, batch, decode, json, normalize, objects, schema, time};

pub mod source;

pub mod table;

pub mod store;

pub mod sql;

pub mod cli;
