#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs each test program given; shows the output of those that fail, then a count.
passed=0 failed=0
log=$(mktemp)
for test in "$@"; do
    if timeout -s KILL "${TEST_SECONDS:-300}" "$test" >"$log" 2>&1; then
        count=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log")
        passed=$((passed + ${count:-1}))
    else
        echo "FAILED: $test" && cat "$log"
        failed=$((failed + 1))
    fi
done
rm -f "$log"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
