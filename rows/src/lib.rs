//! From the bytes of CloudTrail's logs to rows of Arrow: every byte of a log passes here, and no clock, file name or
//! question does.
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
pub mod schema;
pub mod time;

pub mod decode;

pub mod normalize;

pub mod batch;
