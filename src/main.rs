//! argv in, exit code out; everything else is in the library.
#![forbid(unsafe_code)]

#[global_allocator]
static ALLOCATOR: keytrail_limits::BoundedAllocator = keytrail_limits::BoundedAllocator;

fn main() -> std::process::ExitCode {
    keytrail::cli::run()
}
