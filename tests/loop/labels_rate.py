#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Labels a second over HTTP, one a request, every answer after its commit is on the disk: 16
connections (label_load.c), beside what they are compared with in the same run:

  one connection     nobody to share a commit with: one fsync for each label
  store, each        the store without HTTP, 16 threads, a commit for each label
  store, group       the same with group commits
  disk               a write of 4 KiB and fsync, one after the other

Made-up rows of nine features; the daemon's model does not retrain. In turns, medians over the
rounds. Fails where the 16 connections reach less than the target."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

import loop

TARGET = 2000
FEATURES, CONNECTIONS = 9, 16


def make_model(options, place):
    """Trained on made-up rows, without a label."""
    data = place / "train.csv"
    x = np.random.default_rng(1).normal(size=(1000, FEATURES))
    with open(data, "w", encoding="ascii") as file:
        file.write(",".join(f"x{j}" for j in range(FEATURES)) + "\n")
        np.savetxt(file, x, delimiter=",", fmt="%.6g")
    subprocess.run([options.build / "deepsad", "train", data, "--out",
                    place / "models" / loop.MODEL], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    loop.set_policy(place, loop.policy(mode="never"))


def write_bodies(place, count):
    """A label a line, each with a row of its own."""
    x = np.round(np.random.default_rng(2).normal(size=(count, FEATURES)), 5)
    path = place / "bodies"
    with open(path, "w", encoding="ascii") as file:
        for number, row in enumerate(x.tolist()):
            label = {"features": row, "verdict": "normal", "analyst": "kim",
                     "note": f"n-{number}"}
            file.write(json.dumps({"labels": [label]}) + "\n")
    return path


def over_http(options, service, bodies, connections):
    """(labels a second, p99 in ms)"""
    done = subprocess.run([options.build / "loop/label_load", str(service.daemon.port), service.path +
                           "/labels", bodies, str(connections), str(options.seconds)],
                          check=True, capture_output=True, text=True)
    labels, seconds, _, p99, _ = map(float, done.stdout.split())
    return labels / seconds, p99 / 1000


def into_store(options, place, how):
    """(labels a second, labels in a commit)"""
    folder = place / f"store-{how}-{time.monotonic_ns()}"
    folder.mkdir()
    done = subprocess.run([options.build / "loop/store_rate", folder, str(CONNECTIONS),
                           str(options.seconds), how], check=True, capture_output=True, text=True)
    labels, seconds, commits = map(float, done.stdout.split())
    return labels / seconds, labels / max(1, commits)


def on_disk(options, place):
    """fsyncs a second"""
    block, count = os.urandom(4096), 0
    with open(place / "disk", "wb", buffering=0) as file:
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            file.write(block)
            os.fsync(file.fileno())
            count += 1
    return count / options.seconds


def kept(service):
    """Labels in force, as the daemon counts them."""
    return service.call("GET", service.path)["labels"]


def measure(options, place):
    """{name: [(rate, other figure), ...]}"""
    figures = {}
    bodies = write_bodies(place, options.bodies)
    with loop.serving(options, place) as service:
        over_http(options, service, bodies, CONNECTIONS)
        for _ in range(options.rounds):
            for name, run in (
                    ("16 connections", lambda: over_http(options, service, bodies, CONNECTIONS)),
                    ("one connection", lambda: over_http(options, service, bodies, 1)),
                    ("store, group", lambda: into_store(options, place, "group")),
                    ("store, each", lambda: into_store(options, place, "each")),
                    ("disk", lambda: (on_disk(options, place), float("nan")))):
                figures.setdefault(name, []).append(run())
        print("labels the daemon holds:", json.dumps(kept(service)))
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=loop.ROOT / "build/release")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bodies", type=int, default=200000)
    options = parser.parse_args()
    with loop.fresh() as place:
        make_model(options, place)
        figures = measure(options, place)
    rate = {}
    for name, runs in figures.items():
        rate[name] = statistics.median(run[0] for run in runs)
        other = statistics.median(run[1] for run in runs)
        note = {"disk": "", "store, group": f"{other:.1f} labels a commit",
                "store, each": f"{other:.1f} labels a commit"}.get(name, f"p99 {other:.2f} ms")
        print(f"{name:<16}{rate[name]:9.0f} a second   {note}")
    print(f"16 connections / one connection {rate['16 connections'] / rate['one connection']:.1f}"
          f", / a commit for each {rate['16 connections'] / rate['store, each']:.1f}")
    return loop.finish([f"{rate['16 connections']:.0f} a second; {TARGET} are asked"]
                       if rate["16 connections"] < TARGET else [])


if __name__ == "__main__":
    sys.exit(main())
