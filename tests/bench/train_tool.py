#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`deepsad train` with the default recipe on one core, from the command's start to its
end: reading a CSV of shuttle's size, training all members, calibrating, writing. Medians
of wall time, CPU time and peak memory; nonzero exit when a limit is missed.

usage: train_tool.py [BUILD]      DATA=folder with shuttle.csv (else rows are made up)
"""
import os
import pathlib
import statistics
import sys
import tempfile
import time

from serving import training_rows

RUNS = 7
SECONDS_MAX, MEBIBYTES_MAX = 0.6, 40


def train(build, data, out):
    """(wall seconds, CPU seconds, peak MiB) of one run, pinned to one core."""
    arguments = [str(build / "deepsad"), "train", str(data), "--out", str(out), "--threads", "1"]
    begin = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.execv(arguments[0], arguments)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit("deepsad train failed: " + " ".join(arguments))
    return (time.perf_counter() - begin, usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss / 1024)


def whole_set(folder):
    """All of shuttle.csv, its labels as they are, or rows of the same shape."""
    shuttle = pathlib.Path(os.environ.get("DATA") or "/nonexistent") / "shuttle.csv"
    return shuttle if shuttle.exists() else training_rows(folder, rows=49097)


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        data = whole_set(folder)
        runs = [train(build, data, folder / "m") for _ in range(RUNS)]
    wall, cpu, peak = (statistics.median(column) for column in zip(*runs))
    kept = cpu < SECONDS_MAX and peak < MEBIBYTES_MAX
    print(f"{wall:.3f} s wall, {cpu:.3f} s CPU (limit {SECONDS_MAX}), peak {peak:.1f} MiB "
          f"(limit {MEBIBYTES_MAX}) {'' if kept else 'MISSED'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
