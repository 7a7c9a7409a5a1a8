//! The one integration binary: everything here runs the built `keytrail` or reads the tree it was built from.

mod child;

mod buckets;
mod cli;
mod cloud;
mod determinism;
mod docs;
mod history;
mod hostile;
mod layers;
mod manifest;
mod plans;
mod policy;
mod queries;
mod realdata;
mod records;
mod remote;
mod renormalize;
mod s3;
mod service;
mod signatures;
mod slt;
mod store;
mod story;
mod tree;
