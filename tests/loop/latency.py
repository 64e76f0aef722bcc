#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How soon a verdict changes the model: from the 201 of the verdict that triggers a retraining
to the first answer to a scoring request by the new version, which has passed the gate. One
client scores a row of the live model every 2 ms meanwhile: back to back it would take the cores
from a worker that runs only when nothing else does. Default recipe, first set named.

Fails where the median is over the limit, or a retraining was not promoted."""
import os
import statistics
import sys
import tempfile
import threading
import time

import loop

VERDICTS = 10
LIMIT, GOAL = 1.0, 0.3  # seconds
PAUSE = 0.002  # between two answers


class Watcher(threading.Thread):
    """Scores one row again and again; when each version first answered."""

    def __init__(self, service, row):
        super().__init__(daemon=True)
        self.client = loop.Client(service.daemon.port)
        self.path, self.body = service.path + "/score", {"samples": [row.astype(float).tolist()]}
        self.first, self.stopping = {}, False

    def run(self):
        while not self.stopping:
            version = int(self.client.call("POST", self.path, self.body)["version"])
            self.first.setdefault(version, time.monotonic())
            time.sleep(PAUSE)


def one_round(service, oracle, watcher):
    """(seconds or None, the job)"""
    verdicts = list(oracle.judge(service.review("mixed", VERDICTS)).items())
    before, jobs = max(watcher.first), service.newest_job()
    for verdict in verdicts:
        service.say(dict([verdict]))
    acknowledged = time.monotonic()
    job = service.wait_for_job(jobs)
    limit = time.monotonic() + 2
    while job["state"] == "promoted" and max(watcher.first) == before and time.monotonic() < limit:
        time.sleep(0.001)
    new = [at for version, at in watcher.first.items() if version > before]
    return (new[0] - acknowledged if new else None), job


def measure(options, split, place):
    oracle = loop.Oracle(split.train)
    settings = {"DEEPSADD_LEARNING_PRIORITY": options.priority} if options.priority else None
    with loop.serving(options, place, settings) as service:
        service.keep(split.train.x)
        watcher = Watcher(service, split.test.x[0])
        watcher.start()
        while not watcher.first:
            time.sleep(0.001)
        rounds = [one_round(service, oracle, watcher) for _ in range(options.rounds)]
        watcher.stopping = True
        watcher.join()
    return rounds


def main():
    parser = loop.arguments(__doc__, ["satellite"], 1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--priority", choices=["idle", "nice", "normal"],
                        help="learning.priority; idle, the default, waits for whatever else the "
                             "machine does")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, loop.fresh() as place:
        split = loop.Split(options, options.sets[0], 1, folder)
        loop.train(options, split, place, loop.policy(VERDICTS, 0))
        rounds = measure(options, split, place)
    for number, (seconds, job) in enumerate(rounds, 1):
        print(f"round {number:2}  {job['state']:<9}"
              + (f" {1000 * seconds:6.0f} ms" if seconds is not None else "      - ms")
              + f", the job {1000 * job.get('seconds', float('nan')):.0f} ms")
    times = [seconds for seconds, _ in rounds if seconds is not None]
    faults = [f"round {n}: {job['state']}" for n, (_, job) in enumerate(rounds, 1)
              if job["state"] != "promoted"]
    if not times:
        return loop.finish(faults)
    median = statistics.median(times)
    print(f"load of the machine, mean of the last minute: {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} cores")
    print(f"{options.sets[0]}: verdict to new version: median {1000 * median:.0f} ms, min "
          f"{1000 * min(times):.0f}, max {1000 * max(times):.0f} ({len(times)} rounds; limit "
          f"{1000 * LIMIT:.0f}, goal {1000 * GOAL:.0f}: {'met' if median <= GOAL else 'missed'})")
    if median >= LIMIT:
        faults.append(f"median {median:.2f} s")
    return loop.finish(faults)


if __name__ == "__main__":
    sys.exit(main())
