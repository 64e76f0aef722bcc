#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on each target until it has had its executions, CPU time or seconds.

    campaign.py [--runs N] [--cpu-minutes M] [--seconds S] [--table FILE] FUZZER...

Starts from tests/fuzz/corpus/NAME and from what earlier campaigns found, which is kept in
BUILD/corpus/NAME; with tests/fuzz/dict/NAME.dict where there is one. A target is done at
`runs` executions or at `cpu-minutes` of its own CPU time, whichever is first, or after
`seconds`, where given, whatever it has had by then. Ends with 1 if anything was found:
the input is in BUILD/findings. Adding a target: tests/fuzz/fuzz_NAME.c with an
LLVMFuzzerTestOneInput, and real inputs in tests/fuzz/corpus/NAME; nothing else.
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Longer inputs only cost time where the parser has no state that needs them.
MAX_LEN = {"number": 64, "setting_value": 128, "query": 512, "address": 128, "csv": 1024,
           "architecture": 256, "csv_rows": 512, "json_rows": 512, "head": 512}
MAX_LEN_OTHER = 4096
HEAD = ("| target | executions | exec/s | CPU min | edges | corpus | findings |\n"
        "|---|---|---|---|---|---|---|\n")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def command(fuzzer, name, options):
    build = os.path.dirname(os.path.dirname(fuzzer))
    corpus = os.path.join(build, "corpus", name)
    findings = os.path.join(build, "findings", "")
    os.makedirs(corpus, exist_ok=True)
    os.makedirs(findings, exist_ok=True)
    words = [fuzzer, f"-max_len={MAX_LEN.get(name, MAX_LEN_OTHER)}", "-timeout=10",
             "-rss_limit_mb=2048", "-print_final_stats=1", "-entropic=0",
             f"-artifact_prefix={findings}{name}-"]
    if options.runs:
        words.append(f"-runs={options.runs}")
    if options.seconds:
        words.append(f"-max_total_time={options.seconds}")
    dictionary = os.path.join(HERE, "dict", name + ".dict")
    if os.path.exists(dictionary):
        words.append("-dict=" + dictionary)
    return words + [corpus, os.path.join(HERE, "corpus", name)]


def run(fuzzer, name, options):
    """The fuzzer's return code, what it said last, and its CPU seconds."""
    log = os.path.join(os.path.dirname(os.path.dirname(fuzzer)), name + ".log")
    with open(log, "wb") as out:
        process = subprocess.Popen(command(fuzzer, name, options), stdout=out, stderr=out)
    used = 0.0
    while process.poll() is None:
        time.sleep(0.5)
        try:
            used = max(used, cpu_seconds(process.pid))
        except (OSError, IndexError):
            continue
        if options.cpu_minutes and used > 60 * options.cpu_minutes:
            process.send_signal(signal.SIGUSR1)  # libFuzzer then ends as if it were through
            process.wait()
    with open(log, encoding="utf-8", errors="replace") as file:
        return process.returncode, file.read(), used


def number(text, pattern):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def row(name, code, text, used):
    runs = number(text, r"number_of_executed_units:\s+(\d+)") or number(text, r"^#(\d+)")
    edges, files = number(text, r"cov: (\d+)"), number(text, r"corp: (\d+)")
    return (f"| {name} | {runs:,} | {runs / max(used, 0.1):,.0f} | {used / 60:.1f} "
            f"| {edges:,} | {files:,} | {'none' if code == 0 else 'FOUND'} |\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--cpu-minutes", type=float, default=0)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--table", help="append the table here, too")
    parser.add_argument("fuzzers", nargs="+")
    options = parser.parse_args()
    tables = [sys.stdout] + ([open(options.table, "a", encoding="ascii")]
                             if options.table else [])
    found = []
    for line in [HEAD]:
        for table in tables:
            print(line, end="", file=table, flush=True)
    for fuzzer in options.fuzzers:
        name = os.path.basename(fuzzer).removeprefix("fuzz_")
        code, text, used = run(fuzzer, name, options)
        for table in tables:
            print(row(name, code, text, used), end="", file=table, flush=True)
        if code != 0:
            found.append(name)
            print(text[-6000:], file=sys.stderr)
    if found:
        sys.exit("found something: " + " ".join(found))


if __name__ == "__main__":
    main()
