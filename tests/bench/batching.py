#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""When it pays to score requests of several connections together (model.yaml:
batching.delay): requests of one row each, to a network of 540,000 weights, to an image
network, and to the default model of nine features, without it and with several delays, which
take turns. Closed loops of 1 to 64 connections, and an open loop at half the rate that 64
connections reach without it. Server CPU is its process clock; generator and daemon share the
machine. Medians over the turns; then where it pays: less than 0.9 times the CPU a request,
and, in a closed loop, no fewer answers. Measures, judges nothing: always exits with 0.

usage: batching.py [BUILD] [--turns N] [--seconds S] [--cases big-json,...] [--delays 0s,...]
"""
import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request

import numpy as np

DELAYS = ["0s", "0.2ms", "0.5ms", "1ms", "2ms"]
CONNECTIONS = [1, 4, 16, 64]
BODIES = 64  # different rows, sent in turn
# name: (recipe's settings, shape of a row, training rows)
MODELS = {
    "big": (["--recipe", "reference", "--set", "hidden=512,256,64", "--set", "epochs=1",
             "--set", "pretrain_epochs=0"], (784,), 1200),
    "lenet": (["--recipe", "reference", "--set", "network=fashion-mnist-lenet", "--set",
               "epochs=1", "--set", "pretrain_epochs=0"], (28, 28), 600),
    "default": (["--recipe", "default"], (9,), 5000),
}
CASES = {"big-json": "784-512-256-64, JSON", "big-npy": "784-512-256-64, NPY",
         "lenet-npy": "Fashion-MNIST LeNet, NPY", "default-json": "default, 9 features, JSON"}


class Bench:
    """A daemon with the models, and bodies for them."""

    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        for name in MODELS:
            self.make(name)
        (folder / "state").mkdir()
        self.process = subprocess.Popen(
            [build / "deepsadd", "--listen", "127.0.0.1:0", "--models", folder / "models",
             "--state", folder / "state"], stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "DEEPSADD_LOG_LEVEL": "warning"})
        for line in self.process.stderr:
            found = re.search(r"listening on http://\S+:(\d+)", line)
            if found:
                self.port = found[1]
                break
        else:
            raise SystemExit("deepsadd does not start")
        self.clock = (~self.process.pid << 3) | 2  # of the process, as clock_getcpuclockid(3)

    def make(self, name):
        settings, shape, rows = MODELS[name]
        rng = np.random.default_rng(3)
        x = rng.random((rows, *shape), np.float32)
        np.save(self.folder / "train.npy", x)
        subprocess.run([self.build / "deepsad", "train", self.folder / "train.npy", "--out",
                        self.folder / "models" / name, *settings], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        np.save(self.folder / f"{name}.npy", x[:1])
        lines = [json.dumps({"samples": [[float(f"{v:.6g}") for v in row.ravel()]]},
                            separators=(",", ":")) for row in x[:BODIES]]
        (self.folder / f"{name}.json").write_text("\n".join(lines) + "\n")

    def reloads(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            text = answer.read().decode()
        return int(re.search(r'^deepsad_reloads_total\{result="success"\} (\d+)$', text,
                             re.M)[1])

    def set_delay(self, delay):
        for name in MODELS:
            (self.folder / "models" / name / "model.yaml").write_text(
                f"batching:\n  delay: {delay}\n")
        before = self.reloads()
        self.process.send_signal(signal.SIGHUP)
        while self.reloads() == before:
            time.sleep(0.01)

    def load(self, case, rate, seconds, connections):
        """(answers a second, CPU microseconds a request, p50 and p99 in microseconds)"""
        model, kind = case.split("-")
        cpu, wall = time.clock_gettime(self.clock), time.monotonic()
        done = subprocess.run(
            [self.build / "loop/open_loop", self.port, f"/v1/models/{model}/score",
             self.folder / f"{model}.{kind}", f"{rate:.0f}", str(seconds), str(connections)],
            check=True, capture_output=True, text=True)
        cpu, wall = time.clock_gettime(self.clock) - cpu, time.monotonic() - wall
        count, p50, _, p99, _, _ = map(float, done.stdout.split())
        return count / wall, cpu / count * 1e6, p50, p99

    def stop(self):
        self.process.terminate()
        self.process.wait()


def measure(bench, case, options):
    """{(load, delay): medians}; a load is (connections, rate), at the rate 0 closed."""
    bench.set_delay("0s")
    full = bench.load(case, 0, options.seconds, 64)[0]
    loads = [(connections, 0) for connections in CONNECTIONS] + [(64, full / 2)]
    found = {(load, delay): [] for load in loads for delay in options.delays}
    for _ in range(options.turns):
        for delay in options.delays:
            bench.set_delay(delay)
            for load in loads:
                bench.load(case, load[1], 0.2, load[0])  # what comes together is learned
                found[load, delay].append(
                    bench.load(case, load[1], options.seconds, load[0]))
    return loads, {key: tuple(map(statistics.median, zip(*turns)))
                   for key, turns in found.items()}


def name_of(load):
    connections, rate = load
    return f"open, {rate:.0f}/s" if rate else f"{connections} connections"


def report(case, loads, medians, delays):
    """The table; lines that say where it pays."""
    print(f"\n{CASES[case]}: answers a second / server CPU us a request / p50 us / p99 us")
    print(f"{'':16}" + "".join(f"{delay:>27}" for delay in delays))
    pays = []
    for load in loads:
        cells = [medians[load, delay] for delay in delays]
        print(f"{name_of(load):16}" + "".join(
            f"{rate:11.0f}{cpu:5.0f}{p50:6.0f}{p99:5.0f}" for rate, cpu, p50, p99 in cells))
        rate, cpu, _, p99 = cells[0]
        better = [(delay, cell) for delay, cell in zip(delays[1:], cells[1:])
                  if cell[1] < 0.9 * cpu and cell[0] >= 0.98 * rate]
        if better:
            pays.append(f"  pays at {name_of(load)}: " + "; ".join(
                f"{delay} {cell[0] / rate:.2f}x answers, {cell[1] / cpu:.2f}x CPU, "
                f"{cell[3] / p99:.2f}x p99" for delay, cell in better))
    print("\n".join(pays) if pays else "  does not pay", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", nargs="?", default="build/release", type=pathlib.Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--cases", default=",".join(CASES), type=lambda text: text.split(","))
    parser.add_argument("--delays", default=",".join(DELAYS), type=lambda text: text.split(","))
    options = parser.parse_args()
    if options.delays[0] != "0s":
        options.delays.insert(0, "0s")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(options.build, pathlib.Path(name))
        try:
            for case in options.cases:
                report(case, *measure(bench, case, options), options.delays)
        finally:
            bench.stop()


if __name__ == "__main__":
    main()
