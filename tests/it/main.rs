//! The one integration binary: everything here runs the built `keytrail` or reads the tree it was built from.

// Counts allocations, where a test asks it to.
#[global_allocator]
static ALLOCATOR: keytrail_limits::CountingAllocator = keytrail_limits::CountingAllocator;

mod child;

mod attacks;
mod buckets;
mod cases;
mod cli;
mod cloud;
mod counters;
mod damage;
mod determinism;
mod docs;
mod faults;
mod flips;
mod golden;
mod history;
mod hostile;
mod inputs;
mod json_texts;
mod layers;
mod manifest;
mod memory;
mod names;
mod parameters;
mod places;
mod plans;
mod policy;
mod power;
mod proof;
mod queries;
mod realdata;
mod records;
mod remote;
mod renormalize;
mod report;
mod rules;
mod s3;
mod s3_faults;
mod screens;
mod secrets;
mod service;
mod signals;
mod signatures;
mod slt;
mod store;
mod story;
mod tamper;
mod tree;
mod world;
