#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on each target until it has had its executions, CPU time or seconds.

    campaign.py [--runs N] [--cpu-minutes M] [--seconds S] [--slice M] [--continue]
        [--table FILE] FUZZER...

Starts from tests/fuzz/corpus/NAME and from what earlier campaigns found, which is kept in
BUILD/corpus/NAME; with tests/fuzz/dict/NAME.dict where there is one. A target is done at
`runs` executions or at `cpu-minutes` of its own CPU time, whichever is first, or after
`seconds`, where given, whatever it has had by then. With --continue, what earlier
campaigns of BUILD/totals.json gave it counts, too; with --slice, the targets take turns of
so many CPU minutes. Ends with 1 if anything was found: the input is in BUILD/findings. Adding a target: tests/fuzz/fuzz_NAME.c with an
LLVMFuzzerTestOneInput, and real inputs in tests/fuzz/corpus/NAME; nothing else.
"""
import argparse
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Longer inputs only cost time where the parser has no state that needs them.
MAX_LEN = {"number": 64, "setting_value": 128, "query": 512, "address": 128, "csv": 1024,
           "architecture": 256, "csv_rows": 512, "json_rows": 512, "head": 512, "body": 256,
           "labels": 512, "setting": 1024, "yaml": 1024, "idx": 512, "npy_rows": 1024}
MAX_LEN_OTHER = 4096
HEAD = ("| target | executions | exec/s | CPU min | edges | corpus | findings |\n"
        "|---|---|---|---|---|---|---|\n")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def build_of(fuzzer):
    return os.path.dirname(os.path.dirname(fuzzer))


def totals_add(fuzzer, name, runs, used):
    """Executions and CPU seconds of all campaigns; several may run at once."""
    with open(os.path.join(build_of(fuzzer), "totals.json"), "a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        totals = json.loads(file.read() or "{}")
        entry = totals.setdefault(name, [0, 0])
        entry[0] += runs
        entry[1] += used
        file.seek(0)
        file.truncate()
        json.dump(totals, file)
    return entry


def command(fuzzer, name, options, runs):
    build = build_of(fuzzer)
    corpus = os.path.join(build, "corpus", name)
    findings = os.path.join(build, "findings", "")
    os.makedirs(corpus, exist_ok=True)
    os.makedirs(findings, exist_ok=True)
    words = [fuzzer, f"-max_len={MAX_LEN.get(name, MAX_LEN_OTHER)}", "-timeout=10",
             "-rss_limit_mb=2048", "-print_final_stats=1", "-entropic=0",
             f"-artifact_prefix={findings}{name}-"]
    if runs:
        words.append(f"-runs={runs}")
    if options.seconds:
        words.append(f"-max_total_time={options.seconds}")
    dictionary = os.path.join(HERE, "dict", name + ".dict")
    if os.path.exists(dictionary):
        words.append("-dict=" + dictionary)
    return words + [corpus, os.path.join(HERE, "corpus", name)]


def run(fuzzer, name, options, runs, seconds):
    """The fuzzer's return code, what it said last, and its CPU seconds."""
    log = os.path.join(build_of(fuzzer), name + ".log")
    with open(log, "wb") as out:
        process = subprocess.Popen(command(fuzzer, name, options, runs), stdout=out,
                                   stderr=out)
    used = 0.0
    while process.poll() is None:
        time.sleep(0.5)
        try:
            used = max(used, cpu_seconds(process.pid))
        except (OSError, IndexError):
            continue
        if seconds and used > seconds:
            process.send_signal(signal.SIGUSR1)  # libFuzzer then ends as if it were through
            process.wait()
    with open(log, encoding="utf-8", errors="replace") as file:
        return process.returncode, file.read(), used


def number(text, pattern):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def row(name, code, text, total):
    edges, files = number(text, r"cov: (\d+)"), number(text, r"corp: (\d+)")
    return (f"| {name} | {total[0]:,} | {total[0] / max(total[1], 0.1):,.0f} "
            f"| {total[1] / 60:.1f} | {edges:,} | {files:,} "
            f"| {'none' if code == 0 else 'FOUND'} |\n")


def turn(fuzzer, options, before, say):
    """One turn of a target that has had `before`. Its new total, or None: found."""
    name = os.path.basename(fuzzer).removeprefix("fuzz_")
    seconds = max(60 * options.cpu_minutes - before[1], 0.1) if options.cpu_minutes else 0
    if options.slice:
        seconds = min(seconds or 60 * options.slice, 60 * options.slice)
    runs = max(options.runs - before[0], 1) if options.runs else 0
    code, text, used = run(fuzzer, name, options, runs, seconds)
    done = number(text, r"number_of_executed_units:\s+(\d+)") or number(text, r"(?m)^#(\d+)")
    total = totals_add(fuzzer, name, done, used)
    shown = total if options.resume else [done, used]
    say(row(name, code, text, shown))
    if code != 0:
        print(text[-6000:], file=sys.stderr)
        return None
    return [before[0] + done, before[1] + used]


def is_done(total, options):
    return ((options.runs and total[0] >= options.runs) or
            (options.cpu_minutes and total[1] >= 60 * options.cpu_minutes))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--cpu-minutes", type=float, default=0)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--slice", type=float, default=0)
    parser.add_argument("--continue", dest="resume", action="store_true")
    parser.add_argument("--table", help="append the table here, too")
    parser.add_argument("fuzzers", nargs="+")
    options = parser.parse_args()
    table = open(options.table, "a", encoding="ascii") if options.table else None

    def say(text):
        print(text, end="", flush=True)
        if table:
            print(text, end="", file=table, flush=True)

    totals = {fuzzer: [0, 0] for fuzzer in options.fuzzers}
    if options.resume:
        for fuzzer in totals:
            totals[fuzzer] = totals_add(
                fuzzer, os.path.basename(fuzzer).removeprefix("fuzz_"), 0, 0)
    say(HEAD)
    found, waiting = [], [f for f in options.fuzzers if not is_done(totals[f], options)]
    while waiting:
        fuzzer = waiting.pop(0)
        totals[fuzzer] = turn(fuzzer, options, totals[fuzzer], say)
        if totals[fuzzer] is None:
            found.append(os.path.basename(fuzzer))
        elif options.slice and not is_done(totals[fuzzer], options):
            waiting.append(fuzzer)
    if found:
        sys.exit("found something: " + " ".join(found))


if __name__ == "__main__":
    main()
