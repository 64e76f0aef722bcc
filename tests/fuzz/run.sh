#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fuzzes targets one after the other, each until RUNS executions or SECONDS, whichever comes
# first, and prints a line a target: what `make fuzz` does.
#     run.sh FOLDER SECONDS RUNS TARGET...      FOLDER: for inputs that were found
set -eu
folder=$1 seconds=$2 runs=$3
shift 3
status=0
for target in "$@"; do
    name=$(basename "$target" | sed s/^fuzz_//)
    found=$folder/$name
    log=$folder/$name.log
    mkdir -p "$found"
    result=clean
    case $name in model | safetensors | import) longest=8192 ;; *) longest=1024 ;; esac
    "$target" -max_total_time="$seconds" -runs="$runs" -timeout=20 -max_len=$longest -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$folder/$name-" "$found" \
        "tests/fuzz/corpus/$name" >"$log" 2>&1 || { result=FOUND; status=1; }
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    each=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    printf '%-12s %-6s %12s executions, %8s a second, %6s edges\n' "$name" "$result" \
        "${executions:-?}" "${each:-?}" "${edges:-?}"
    [ "$result" = clean ] || { tail -n 40 "$log"; ls "$folder/$name-"*; }
done
exit $status
