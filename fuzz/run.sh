#!/usr/bin/env bash
# Fuzzes one target for a while, with stable Rust: fuzz/run.sh TARGET [SECONDS], of fuzz/fuzz_targets.
# A finding is kept in fuzz/artifacts; target/debug/fuzz_TARGET FILE shows it again.
set -euo pipefail
target=${1:?a name in fuzz/fuzz_targets}
seconds=${2:-600}
cd "$(dirname "$0")/.."
fuzz/seed.sh
RUSTC_WORKSPACE_WRAPPER="$PWD/fuzz/instrument.sh" cargo build --locked -p keytrail-fuzz --bin "fuzz_$target"
mkdir -p "fuzz/artifacts/$target"
exec "${CARGO_TARGET_DIR:-target}/debug/fuzz_$target" "fuzz/corpus/$target" -dict="fuzz/corpus/$target.dict" \
    -artifact_prefix="fuzz/artifacts/$target/" -max_len=16384 -timeout=60 -rss_limit_mb=2048 \
    -max_total_time="$seconds" -print_final_stats=1
