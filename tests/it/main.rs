//! The one integration binary: everything here runs the built `keytrail` or reads the tree it was built from.

mod child;

mod cli;
mod determinism;
mod docs;
mod hostile;
mod layers;
mod queries;
mod realdata;
mod records;
mod slt;
mod store;
mod story;
