#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a scoring request goes: perf samples the daemon under load and their
symbols are summed up by layer. Needs linux-perf and the right to use it; else says so.

usage: profile.py [BUILD]      DATA=folder with shuttle.csv (else rows are made up)
"""
import collections
import pathlib
import re
import subprocess
import sys
import tempfile

from serving import BUILD, measure, start_daemon, train, training_rows, write_body

# First match wins; what none matches is named after its library.
LAYERS = [("decoding rows", r"^(json_|csv_|rows_|number_(parse|convert)|list_commas|cut|convert|"
                            r"take_|step|run$|word_|on_|after)"),
          ("networks", r"^(multiply_|distances?_|packed_|folded_|ensemble_)|gemm"),
          ("neighbours", r"^(score_block|neighbours_|nearest)"),
          ("scaler", r"^(scaler_|affine_rows|asinh)"),
          ("blend and p-values", r"^(model_blend|component_|calibration_|logf|__logf)"),
          ("answer", r"^(number_format|find_decimals|shorten|put_|append_|uuid_|score_|buffer_)"),
          ("copying", r"mem(cpy|move|set|chr|rchr)|strlen")]
CASES = [("reference", 1, 20000), ("reference", 1000, 2000), ("default", 1000, 500)]


def layer_of(symbol, library):
    for layer, pattern in LAYERS:
        if re.search(pattern, symbol):
            return layer
    if "kernel" in library or library.startswith("["):
        return "kernel (sockets, wake-ups)"
    if library.startswith("deepsadd"):
        return "rest of deepsadd"
    return library.split(".so")[0]


def shares(recording):
    """Share of the samples by layer."""
    report = subprocess.run(["perf", "report", "-i", recording, "--stdio", "-q", "-g", "none",
                             "-F", "overhead,dso,symbol"], capture_output=True, text=True,
                            check=True).stdout
    total = collections.Counter()
    for share, library, symbol in re.findall(r"([\d.]+)%\s+(\S+)\s+\[[.k]\]\s+(\S+)", report):
        total[layer_of(symbol, library)] += float(share)
    return total


def main():
    probe = subprocess.run(["perf", "stat", "-e", "task-clock", "true"], capture_output=True,
                           check=False) if pathlib.Path("/usr/bin/perf").exists() else None
    if probe is None or probe.returncode != 0:
        print("perf cannot be used here; install linux-perf, run as root")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        train(training_rows(folder), folder)
        process, port, _ = start_daemon(folder)
        for model, rows, count in CASES:
            recording = folder / f"{model}{rows}"
            recorder = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "4999",
                                         "-p", str(process.pid), "-o", recording],
                                        stderr=subprocess.DEVNULL)
            cpu, wall = measure((process.pid, port), f"/v1/models/{model}/score",
                                write_body(folder, rows), count)
            recorder.terminate()
            recorder.wait()
            print(f"{model}, {rows} rows: {cpu:.1f} us CPU, {wall:.1f} us wall a request")
            for layer, share in shares(recording).most_common(8):
                print(f"    {share:5.1f} %  {layer}")
        process.terminate()
        process.wait()
    return 0


if __name__ == "__main__":
    BUILD.exists() or sys.exit(f"{BUILD}: build it first")
    sys.exit(main())
