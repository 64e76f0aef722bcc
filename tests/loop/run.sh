#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make loop DATA=FOLDER` prints. All parts run; fails when a part missed a limit.
set -u
cd "$(dirname "$0")/../.."
python=${PYTHON:-/usr/bin/python3}
failed=

part() {
    echo
    echo "== $1"
    shift
    "$python" "$@" || failed="$failed $1"
}

part "an analyst: AUC-PR after each round" tests/loop/analyst.py --data "$DATA"
part "from verdict to new version" tests/loop/latency.py --data "$DATA"
part "scoring while retraining" tests/loop/swap_p99.py --data "$DATA"
part "labels a second" tests/loop/labels_rate.py
part "attacks" tests/loop/attacks.py --data "$DATA"
part "false alarms after the honest loop" tests/loop/false_alarms.py --data "$DATA"
echo
[ -z "$failed" ] || { echo "a limit was missed in:$failed" >&2; exit 1; }
