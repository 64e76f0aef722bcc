#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments. Clients post labels, withdraw some, and ask for retrainings; five
labels that count start one as well. The daemon is killed within 600 ms of being ready, now and
then while it starts, and started again. After each start:

  ready again in under two seconds
  every acknowledged label is there exactly once, by its id and by its note; one that was not
  acknowledged is sent again with its Idempotency-Key, and is there exactly once then
  acknowledged withdrawals are there
  the database passes SQLite's integrity_check (a copy of it, before the start)
  the live version answers, every numbered version loads
  no job of before is still queued or running: what the crash cut off has failed

At the end the whole journal is compared once more. Nonzero exit where anything was amiss."""
import argparse
import collections
import datetime
import http.client
import json
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "loop"))
import loop  # noqa: E402  pylint: disable=wrong-import-position

CLIENTS, FEATURES = 3, 5
MOMENT = 0.6  # seconds after ready, at most
POLICY = """alpha: 0.01
retraining:
  min_labels: 5
"""


class Journal:
    """What the clients were told, and what they do not know. Lock: all of it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.labels = {}       # note: label id, acknowledged
        self.withdrawn = set()  # label ids, acknowledged
        self.unknown = {}      # note: (key, body), sent, no answer yet
        self.fresh = []        # notes acknowledged since the last check
        self.refused = []
        self.answers = collections.Counter()


class Poster(threading.Thread):
    """Posts a label after the other until the connection breaks."""

    def __init__(self, journal, port, name, seed):
        super().__init__(daemon=True)
        self.journal, self.port, self.label = journal, port, name
        self.rng = np.random.default_rng(seed)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def run(self):
        number = 0
        try:
            while True:
                self.post(f"{self.label}-{number}")
                if number % 10 == 5:
                    self.withdraw(f"{self.label}-{number}")
                number += 1
                time.sleep(0.002)
        except (OSError, http.client.HTTPException):
            pass

    def post(self, note):
        bad = self.rng.random() < 0.3
        x = self.rng.normal(size=FEATURES) + np.arange(FEATURES) + (4 if bad else 0)
        verdict = ("anomalous" if bad else "normal") if self.rng.random() < 0.1 else "unsure"
        body = json.dumps({"labels": [{"features": x.round(4).tolist(), "verdict": verdict,
                                       "analyst": self.label.split("-")[-1], "note": note}]})
        with self.journal.lock:
            self.journal.unknown[note] = (f"key-{note}", body)
        deliver(self.journal, self.connection, note)

    def withdraw(self, note):
        label = self.journal.labels.get(note)
        if label is not None:
            self.connection.request("DELETE", f"/v1/models/{loop.MODEL}/labels/{label}")
            answer = self.connection.getresponse()
            answer.read()
            if answer.status in (200, 204):
                with self.journal.lock:
                    self.journal.withdrawn.add(label)


def deliver(journal, connection, note):
    """Sends a label whose answer is not known, and notes the answer."""
    key, body = journal.unknown[note]
    connection.request("POST", f"/v1/models/{loop.MODEL}/labels", body=body, headers={
        "Content-Type": "application/json", "Idempotency-Key": key})
    answer = connection.getresponse()
    text = answer.read().decode()
    with journal.lock:
        journal.answers[answer.status] += 1
        if answer.status == 201:
            journal.labels[note] = json.loads(text)["labels"][0]["label_id"]
            journal.fresh.append(note)
            del journal.unknown[note]
        elif answer.status not in (503, 429):
            journal.refused.append(f"{note}: {answer.status} {text[:200]}")
            del journal.unknown[note]


class Trainer(threading.Thread):
    """Asks for a retraining again and again until the connection breaks."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.client = loop.Client(port)

    def run(self):
        try:
            while True:
                self.client.call("POST", f"/v1/models/{loop.MODEL}/retrain", {},
                                 expect=range(100, 600))
                time.sleep(0.01)
        except (OSError, http.client.HTTPException):
            pass


def make_model(options, place):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(600, FEATURES)) + np.arange(FEATURES)
    x[-20:] += 4
    with open(place / "train.csv", "w", encoding="ascii") as file:
        file.write(",".join(f"f{j}" for j in range(FEATURES)) + ",label\n")
        for row, label in zip(x, [""] * 580 + ["anomalous"] * 20):
            file.write(",".join(f"{v:.6g}" for v in row) + f",{label}\n")
    subprocess.run([options.build / "deepsad", "train", place / "train.csv", "--out",
                    place / "models" / loop.MODEL], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    loop.set_policy(place, POLICY)


class Siege:
    """The daemon through all its lives."""

    def __init__(self, options, place):
        self.options, self.place = options, place
        self.journal, self.rng = Journal(), random.Random(options.seed)
        self.faults, self.ready, self.seen_versions = [], [], set()
        self.resent = 0
        self.states = collections.Counter()  # of jobs, at the end
        self.started_at = None
        self.known = None  # newest label id that the last check saw
        self.daemon = self.client = None

    def fault(self, cycle, text):
        self.faults.append(f"cycle {cycle}: {text}")

    def start(self):
        self.started_at = datetime.datetime.now(datetime.timezone.utc)
        self.daemon = loop.Daemon(self.options, self.place)
        self.client = loop.Client(self.daemon.port)
        while True:
            try:
                self.client.call("GET", "/v2/health/ready")
                break
            except (loop.Refused, OSError):
                if time.monotonic() > self.daemon.began + loop.PATIENCE:
                    raise
                time.sleep(0.002)
        self.ready.append(time.monotonic() - self.daemon.began)

    def cycle(self, number):
        """Load, kill, start, check."""
        threads = [Poster(self.journal, self.daemon.port, f"{number}-{i}", 1000 * number + i)
                   for i in range(CLIENTS)] + [Trainer(self.daemon.port)]
        for thread in threads:
            thread.start()
        time.sleep(self.rng.uniform(0, MOMENT))
        self.daemon.kill()
        for thread in threads:
            thread.join()
        if self.rng.random() < 0.1:
            self.kill_while_starting()
        self.check_database(number)
        self.start()
        self.check(number)

    def kill_while_starting(self):
        with open(self.daemon.log, "ab") as log:
            process = subprocess.Popen(
                [self.options.build / "deepsadd", "--listen", "127.0.0.1:0", "--models",
                 self.place / "models", "--state", self.place / "state"], stderr=log)
        time.sleep(self.rng.uniform(0, 0.05))
        process.kill()
        process.wait()

    def check_database(self, number):
        copy = self.place / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in (self.place / "state").glob("deepsad.db*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, copy)
        connection = sqlite3.connect(copy / "deepsad.db")
        answer = connection.execute("PRAGMA integrity_check").fetchall()
        connection.close()
        if answer != [("ok",)]:
            self.fault(number, f"integrity_check: {answer[:3]}")

    def check(self, number):
        if self.ready[-1] >= self.options.ready:
            self.fault(number, f"ready after {self.ready[-1]:.2f} s")
        self.check_live(number)
        self.check_jobs(number)
        self.check_versions(number)
        before = set(self.journal.fresh)
        self.resend()
        self.check_labels(number, before)
        for text in self.journal.refused:
            self.fault(number, "refused: " + text)
        self.journal.refused.clear()

    def check_live(self, number):
        try:
            self.client.call("POST", f"/v1/models/{loop.MODEL}/score",
                             {"samples": [[0.0] * FEATURES]})
        except loop.Refused as refused:
            self.fault(number, f"the live version does not score: {refused}")

    def check_jobs(self, number):
        """Those of before this start have ended."""
        for job in self.client.call("GET", f"/v1/models/{loop.MODEL}/jobs?limit=20")["jobs"]:
            made = datetime.datetime.fromisoformat(job["created_at"].replace("Z", "+00:00"))
            if made < self.started_at and job["state"] not in loop.ENDED:
                self.fault(number, f"job {job['job']} is still {job['state']}")

    def check_versions(self, number):
        for path in (self.place / "models" / loop.MODEL).iterdir():
            if path.name.isdigit() and path.name not in self.seen_versions:
                done = subprocess.run([self.options.build / "deepsad", "inspect", path],
                                      capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    self.fault(number, f"version {path.name}: {done.stderr}")
                self.seen_versions.add(path.name)

    def resend(self):
        """What has no answer, with the same key."""
        for note in list(self.journal.unknown):
            deliver(self.journal, self.client.connection, note)
            self.resent += 1

    def newest(self, until):
        """Labels, newest first, down to the one with that id."""
        cursor = ""
        while True:
            page = self.client.call("GET", f"/v1/models/{loop.MODEL}/labels?limit=1000{cursor}")
            for label in page["labels"]:
                if label["label_id"] == until:
                    return
                yield label
            if not page.get("next_cursor"):
                return
            cursor = f"&cursor={page['next_cursor']}"

    def check_labels(self, number, notes):
        """Those that were acknowledged since the last check, before the kill and after."""
        found = list(self.newest(self.known))
        by_note = collections.Counter(label["note"] for label in found)
        ids = {label["label_id"] for label in found}
        for note in notes | set(self.journal.fresh):
            if by_note[note] != 1 or self.journal.labels[note] not in ids:
                self.fault(number, f"label {note} is there {by_note[note]} times")
        for label in found:
            if label["label_id"] in self.journal.withdrawn and not label["withdrawn_at"]:
                self.fault(number, f"label {label['note']} is not withdrawn")
        self.journal.fresh.clear()
        self.known = found[0]["label_id"] if found else self.known

    def check_all(self):
        """The whole journal, at the end."""
        found = list(self.newest(None))
        by_note = collections.Counter(label["note"] for label in found)
        ids = collections.Counter(label["label_id"] for label in found)
        for note, label in self.journal.labels.items():
            if by_note[note] != 1 or ids[label] != 1:
                self.fault("end", f"label {note} is there {by_note[note]} times")
        for label in found:
            if label["note"] not in self.journal.labels:
                self.fault("end", f"label {label['note']} was never acknowledged")
        self.count_jobs()

    def count_jobs(self):
        cursor = ""
        while True:
            page = self.client.call("GET", f"/v1/models/{loop.MODEL}/jobs?limit=100{cursor}")
            self.states.update(job["state"] for job in page["jobs"])
            if not page.get("next_cursor"):
                return
            cursor = f"&cursor={page['next_cursor']}"

    def summary(self, cycles):
        jobs = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        return (f"{cycles} kills: {len(self.journal.labels)} labels acknowledged "
                f"({self.resent} of them sent again), {len(self.journal.withdrawn)} withdrawals; "
                f"versions {len(self.seen_versions)}; jobs: {jobs}; ready in at most "
                f"{1000 * max(self.ready):.0f} ms (median {1000 * np.median(self.ready):.0f}); "
                f"{len(self.faults)} faults")


def besiege(options):
    """(summary, faults)"""
    with loop.fresh() as place:
        make_model(options, place)
        siege = Siege(options, place)
        siege.start()
        try:
            for number in range(1, options.cycles + 1):
                siege.cycle(number)
            siege.check_all()
        finally:
            siege.daemon.kill()
        return siege.summary(options.cycles), siege.faults


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=loop.ROOT / "build/release")
    parser.add_argument("--cycles", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ready", type=float, default=2.0, help="limit in seconds")
    summary, faults = besiege(parser.parse_args())
    for fault in faults:
        print(fault)
    print(summary)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
