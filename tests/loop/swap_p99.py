#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What retraining costs those who score: p99 of scoring one row at a fixed rate, open loop
(open_loop.c: each latency counts from the time at which the request was due), with a model
retraining without pause and idle, in pairs of runs one after the other on one daemon, in
alternating order. Meanwhile one client asks for the jobs fifty times a second, in both runs.

Fails where the median over the pairs of p99 (retraining) / p99 (idle) is over the limit."""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import loop

LIMIT = 1.5
ROWS, CONNECTIONS = 64, 16
PAUSE = 0.02  # seconds between two looks at the jobs


class Operator(threading.Thread):
    """Looks at the jobs; where `training` is set, starts one whenever there is none."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.client = loop.Client(service.daemon.port)
        self.path = service.path
        self.training, self.stopping = threading.Event(), False

    def run(self):
        while not self.stopping:
            if self.training.is_set():
                self.client.call("POST", self.path + "/retrain", {}, expect=(202, 409))
            else:
                self.client.call("GET", self.path + "/jobs?limit=1")
            time.sleep(PAUSE)


def measure(options, service, bodies):
    """p50, p99, p99.9 in microseconds."""
    done = subprocess.run([options.build / "loop/open_loop", str(service.daemon.port), service.path +
                           "/score", bodies, str(options.rate), str(options.seconds),
                           str(CONNECTIONS)], check=True, capture_output=True, text=True)
    figures = [float(word) for word in done.stdout.split()]
    return figures[1], figures[3], figures[4]


def one_run(options, service, operator, bodies, training):
    """(p50, p99, p99.9; jobs that ended meanwhile)"""
    before = service.newest_job()
    if training:
        operator.training.set()
    time.sleep(10 * PAUSE)
    figures = measure(options, service, bodies)
    operator.training.clear()
    while any(job["state"] not in loop.ENDED for job in service.jobs()):
        time.sleep(0.02)
    return figures, service.jobs_after(before)


def pairs(options, service, bodies):
    operator = Operator(service)
    operator.start()
    ratios = []
    print("pair    idle: p50    p99  p99.9    retraining: p50    p99  p99.9   jobs   ratio of p99")
    for number in range(options.pairs):
        runs = {}
        for training in ((False, True) if number % 2 == 0 else (True, False)):
            runs[training] = one_run(options, service, operator, bodies, training)
        (idle, _), (busy, jobs) = runs[False], runs[True]
        ratios.append(busy[1] / idle[1])
        print(f"{number + 1:4}  " + "".join(f"{v:8.0f}" for v in idle) + " " * 10
              + "".join(f"{v:8.0f}" for v in busy) + f"{jobs:7}  {ratios[-1]:8.2f}", flush=True)
    operator.stopping = True
    operator.join()
    return ratios


def prepare(options, folder, place):
    """A trained model that knows some labels; the bodies to be sent; the split."""
    split = loop.Split(options, options.sets[0], 1, folder)
    loop.train(options, split, place, loop.policy(1000000, 0))
    bodies = pathlib.Path(folder) / "bodies"
    bodies.write_text("".join(json.dumps({"samples": [row.astype(float).tolist()]}) + "\n"
                              for row in split.test.x[:ROWS]))
    return split, bodies


def main():
    parser = loop.arguments(__doc__, ["satellite"], 1)
    parser.add_argument("--rate", type=int, default=1000, help="requests a second")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--pairs", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, loop.fresh() as place:
        split, bodies = prepare(options, folder, place)
        with loop.serving(options, place) as service:
            ids = service.keep(split.train.x)
            service.say(loop.Oracle(split.train).judge(ids[:60]))
            service.retrain()
            measure(options, service, bodies)
            ratios = pairs(options, service, bodies)
    quartiles = statistics.quantiles(ratios, n=4)
    print(f"p99 retraining / idle at {options.rate}/s: median {quartiles[1]:.2f}, quartiles "
          f"{quartiles[0]:.2f} and {quartiles[2]:.2f}, min {min(ratios):.2f}, max "
          f"{max(ratios):.2f} ({len(ratios)} pairs; limit {LIMIT})")
    return loop.finish([f"ratio {quartiles[1]:.2f}"] if quartiles[1] > LIMIT else [])


if __name__ == "__main__":
    sys.exit(main())
