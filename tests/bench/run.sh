#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make bench` prints. All parts run; fails when a part missed one of its limits.
# DATA=folder of CSV files (shuttle.csv, ...) measures on them, and their accuracy too.
set -u
cd "$(dirname "$0")/../.."
python=${PYTHON:-/usr/bin/python3}
build=build/release
failed=
export OPENBLAS_NUM_THREADS=1

part() {
    echo
    echo "== $1"
    shift
    "$@" || failed="$failed $1"
}

part "scoring kernels: CPU per row" "$build/bench/bench_kernels"
part "scoring images against PyTorch" "$python" tests/bench/score_images.py \
    "$build/bench/bench_score_images"
part "bodies decoded: CPU per value" "$build/bench/bench_rows"
part "explanations against scoring" "$build/bench/bench_explain"
part "serving" "$python" tests/bench/serving.py "$build"
part "serving against peers" "$python" -B tests/bench/peers.py "$build" "$RUNTIME" build/bench
part "where a scoring request's time goes" "$python" tests/bench/profile.py "$build"
part "training against PyTorch" "$python" tests/bench/train.py "$build/bench"
part "deepsad train, default recipe" "$python" tests/bench/train_tool.py "$build"
if [ -n "${DATA:-}" ]; then
    part "accuracy" "$python" tests/bench/accuracy.py "$DATA" --seeds "${SEEDS:-3}"
fi
echo
[ -z "$failed" ] || { echo "a limit was missed in:$failed" >&2; exit 1; }
