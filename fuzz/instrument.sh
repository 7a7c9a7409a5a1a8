#!/usr/bin/env bash
# The compiler for the packages of this workspace, told to report what runs: cargo calls this in its place for them
# alone (RUSTC_WORKSPACE_WRAPPER), so dependencies stay as they were compiled for everything else.
set -euo pipefail
case " $* " in
*" --crate-name keytrail "* | *" --crate-name keytrail_rows "* | *" --crate-name fuzz_"*)
    set -- "$@" -Cpasses=sancov-module
    for pass in level=4 inline-8bit-counters pc-table trace-compares; do
        set -- "$@" "-Cllvm-args=-sanitizer-coverage-$pass"
    done
    ;;
esac
exec "$@"
