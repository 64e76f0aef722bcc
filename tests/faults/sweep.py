#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes every call fail once: each write, fsync, open, rename, removal, truncation, mkdir, read,
lock and allocation on the paths of labels, of retraining, of models and of starting, for every k
the k-th; once, from the k-th on, and for writes cut short as well. After each fault:

  the daemon lives (or, where it was starting, has ended with code 1 and a message)
  scores are those of the version that answers, bit for bit
  every acknowledged label and withdrawal is in the database, as a killed daemon would find it; a
  label that was not acknowledged is sent again with its Idempotency-Key and is there once
  without a restart labels, retrainings, activations and loads work again
  no temporary file is left once the next of its kind has gone well

At the end the daemon is killed and started again without faults, and all is compared once more.

    sweep.py --shim build/release/faults/fault_shim.so [--paths labels start] [--stride 1]
"""
import argparse
import collections
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "loop"),
                str(pathlib.Path(__file__).resolve().parent)]
import loop  # noqa: E402  pylint: disable=wrong-import-position
import shim  # noqa: E402  pylint: disable=wrong-import-position

ROWS = [[0.0, 1.0, 2.0], [0.5, None, 2.5], [4.0, 5.0, 6.0]]
RECOVERY = 10  # seconds until all must work again
# A retraining must not wait until a busy machine is idle.
SETTINGS = {"DEEPSADD_LEARNING_PRIORITY": "normal"}
MODEL = f"/v1/models/{loop.MODEL}"
BROKEN = (OSError, http.client.HTTPException)
MISSES = 3  # a pass may make fewer calls than another; the end is where some do not reach k
RECIPE = ("members=1", "epochs=1", "hidden=4,2")


class Fault(Exception):
    """What must not be."""


class World:
    """A daemon under the shim, and what it has answered so far."""

    def __init__(self, options, place):
        self.options, self.place = options, place
        self.control = shim.Control(options.shim, place / "control", place)
        self.labels = {}        # key of the request: label id, acknowledged
        self.withdrawn = set()  # label ids
        self.scores = {}        # version: results of ROWS
        self.number = 0
        self.daemon = self.client = None
        self.inspected = set()

    # ---- The daemon

    def start(self, faults=True):
        self.daemon = loop.Daemon(self.options, self.place,
                                  {**SETTINGS, **(self.control.environment if faults else {})})
        self.client = None

    def ask(self, method, path, body=None, headers=None):
        """(status, JSON); (0, None) where the connection broke."""
        try:
            self.client = self.client or loop.Client(self.daemon.port)
            connection = self.client.connection
            data = None if body is None else json.dumps(body)
            extra = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method, path, body=data, headers={**extra, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else None
        except BROKEN:
            self.client = None
            return 0, None

    def alive(self):
        if self.daemon.process.poll() is not None:
            raise Fault(f"ended with {self.daemon.process.returncode}: "
                        + self.daemon.said()[-600:])

    def until(self, what, action):
        """Repeats the action until it gives something true."""
        limit = time.monotonic() + RECOVERY * self.options.slow
        while True:
            done = action()
            self.alive()
            if done:
                return done
            if time.monotonic() > limit:
                raise Fault(f"{what}: not within {RECOVERY} s: {self.left_over()} "
                            + self.daemon.said()[-600:])
            time.sleep(0.005)

    # ---- Labels

    def label(self, key):
        """Posts the label of that key; its id where it is acknowledged."""
        number = int(key.split("-")[1])
        verdict = "anomalous" if number % 3 == 0 else "normal"
        body = {"labels": [{"features": [number % 7 / 7, number / 1000, 2], "note": key,
                            "verdict": verdict, "analyst": "kim"}]}
        status, answer = self.ask("POST", MODEL + "/labels", body, {"Idempotency-Key": key})
        if status == 201:
            self.labels[key] = answer["labels"][0]["label_id"]
        elif status not in (0, 429, 500, 503):
            raise Fault(f"label: {status} {answer}")
        return self.labels.get(key)

    def withdraw(self, label):
        status, answer = self.ask("DELETE", f"{MODEL}/labels/{label}")
        if status in (200, 204):
            self.withdrawn.add(label)
        elif status not in (0, 404, 409, 429, 500, 503):
            raise Fault(f"withdrawal: {status} {answer}")
        return label in self.withdrawn

    def check_labels(self):
        """Against the file, as another process finds it."""
        with contextlib.closing(sqlite3.connect(self.place / "state/deepsad.db",
                                                timeout=10)) as database:
            rows = database.execute("SELECT kind, label_id, note FROM journal").fetchall()
        notes = collections.Counter(note for kind, _, note in rows if kind == 0)
        found = {label for kind, label, _ in rows if kind == 0}
        gone = {label for kind, label, _ in rows if kind == 1}
        lost = [key for key, label in self.labels.items()
                if notes[key] != 1 or label not in found]
        if lost or self.withdrawn - gone:
            raise Fault(f"lost or doubled: {lost[:5]}, {list(self.withdrawn - gone)[:5]}")

    # ---- Scores

    def score(self, must=True):
        """ROWS scored as before by that version; its number, None where refused."""
        status, answer = self.ask("POST", MODEL + "/score", {"samples": ROWS})
        if status == 200:
            results = [(r["score"], r["p_value"]) for r in answer["results"]]
            if self.scores.setdefault(answer["version"], results) != results:
                raise Fault(f"version {answer['version']} scores {results}")
            return answer["version"]
        if must or status not in (0, 404, 429, 500, 503):
            raise Fault(f"score: {status} {answer}")
        return None

    def keep(self):
        self.number += 1
        status, _ = self.ask("POST", MODEL + "/score", {
            "samples": ROWS, "keep": True, "ids": [f"k-{self.number}-{i}" for i in range(3)]})
        if status not in (0, 200, 429, 500, 503):
            raise Fault(f"keeping: {status}")

    # ---- Models

    def state(self, job):
        status, answer = self.ask("GET", f"/v1/jobs/{job}")
        return answer["state"] if status == 200 and answer["state"] in loop.ENDED else None

    def retrain_faulty(self):
        """Asks for a retraining, and waits a little: its end may not be told for now."""
        status, answer = self.ask("POST", MODEL + "/retrain", {})
        limit = time.monotonic() + 0.3 * self.options.slow
        while status == 202 and time.monotonic() < limit and not self.state(answer["job"]):
            time.sleep(0.005)

    def retrain(self):
        """The state in which the job ended; None where none was begun."""
        status, answer = self.ask("POST", MODEL + "/retrain", {})
        if status == 202:
            return self.until("job", lambda: self.state(answer["job"]))
        if status not in (0, 409, 429, 500, 503):
            raise Fault(f"retrain: {status} {answer}")
        if status in (0, 500, 409):
            self.until("job", self.idle)
        return None

    def idle(self):
        status, answer = self.ask("GET", MODEL + "/jobs?limit=5")
        return status == 200 and all(job["state"] in loop.ENDED for job in answer["jobs"])

    def activate(self, version):
        status, answer = self.ask("POST", f"{MODEL}/versions/{version}/activate", {})
        if status not in (0, 200, 429, 500, 503):
            raise Fault(f"activate: {status} {answer}")
        return status == 200

    def unload_and_load(self):
        self.ask("POST", f"/v2/repository/models/{loop.MODEL}/unload")
        return self.load()

    def load(self):
        status, answer = self.ask("POST", f"/v2/repository/models/{loop.MODEL}/load")
        if status not in (0, 200, 400, 409, 429, 500, 503):
            raise Fault(f"load: {status} {answer}")
        return status == 200

    def reload(self, patience=None):
        """SIGHUP, and waits until it is done, or a little: memory may lack for the line."""
        before = len(re.findall("reload", self.daemon.said()))
        self.daemon.process.send_signal(signal.SIGHUP)
        limit = time.monotonic() + (patience or 0)
        done = lambda: len(re.findall("reload", self.daemon.said())) > before  # noqa: E731
        if patience is None:
            self.until("reload", done)
        while patience and not done() and time.monotonic() < limit:
            time.sleep(0.002)

    def check_files(self):
        """Every version on the disk loads, nothing half-made is left."""
        folder = self.place / "models" / loop.MODEL
        for path in folder.iterdir():
            if path.name.isdigit() and path.name not in self.inspected:
                done = subprocess.run([self.options.build / "deepsad", "inspect", path],
                                      capture_output=True, text=True, check=False)
                if done.returncode != 0 and path.exists():
                    raise Fault(f"version {path.name}: {done.stderr}")
                self.inspected.add(path.name)
        self.until("nothing left over", lambda: not self.left_over())

    def left_over(self):
        """Files that are none of a model; old versions may be on their way out."""
        folder = self.place / "models" / loop.MODEL
        names = [str((pathlib.Path(place) / name).relative_to(folder))
                 for place, folders, files in os.walk(folder) for name in folders + files]
        return [name for name in names if not re.fullmatch(
            r"\d+|\d+/(model\.safetensors|challenger)|(live|model)\.yaml", name)]


# ---- Paths: what is done while the fault is armed, and what must work afterwards ---------------

class Labels:
    """Rows kept, labels, withdrawals, lists."""
    SETTINGS = "retraining:\n  mode: never\n"

    @staticmethod
    def act(world):
        world.number += 1
        world.keep()
        label = world.label(f"a-{world.number}")
        world.label(f"b-{world.number}")
        if label:
            world.withdraw(label)
        world.score(must=False)
        world.ask("GET", MODEL + "/labels?limit=3")

    @staticmethod
    def recover(world):
        for name in "ab":
            key = f"{name}-{world.number}"
            world.until("label", lambda key=key: world.label(key))
        label = world.labels[f"a-{world.number}"]
        world.until("withdrawal", lambda: world.withdraw(label) or world.gone(label))
        world.score()
        world.check_labels()


def gone(world, label):
    """Withdrawn by a request whose answer did not come."""
    with contextlib.closing(sqlite3.connect(world.place / "state/deepsad.db",
                                            timeout=10)) as database:
        return database.execute("SELECT 1 FROM journal WHERE kind = 1 AND label_id = ?",
                                (label,)).fetchone()


World.gone = gone


class Checkpoints:
    """So many labels at once that the log is moved into the database afterwards."""
    SETTINGS = Labels.SETTINGS
    STRIDE = 199  # each label is several writes
    LABELS = 1000

    @classmethod
    def post(cls, world):
        number = world.number
        labels = [{"features": [i / 7, 1, number], "verdict": "normal", "analyst": "kim",
                   "note": f"c-{number}-" + "x" * 3900} for i in range(cls.LABELS)]
        status, answer = world.ask("POST", MODEL + "/labels", {"labels": labels},
                                   {"Idempotency-Key": f"c-{number}"})
        if status not in (0, 201, 429, 500, 503):
            raise Fault(f"labels: {status} {answer}")
        return status == 201

    @classmethod
    def act(cls, world):
        world.number += 1
        world.posted = cls.post(world)
        time.sleep(0.03 * world.options.slow)  # for the checkpoint
        world.score(must=False)

    @classmethod
    def recover(cls, world):
        world.score()
        if world.posted and cls.count(world) != cls.LABELS:
            raise Fault(f"{cls.count(world)} of {cls.LABELS} acknowledged labels are left")
        world.until("labels", lambda: cls.post(world))
        if cls.count(world) != cls.LABELS:
            raise Fault(f"{cls.count(world)} of {cls.LABELS} labels are there")
        world.until("label", lambda: world.label(f"z-{world.number}"))
        world.check_labels()

    @staticmethod
    def count(world):
        with contextlib.closing(sqlite3.connect(world.place / "state/deepsad.db",
                                                timeout=10)) as database:
            return database.execute("SELECT count(*) FROM journal WHERE note LIKE ?",
                                    (f"c-{world.number}-%",)).fetchone()[0]


class Training:
    """Retraining by hand: collect, train, gate, publish, prune."""
    SETTINGS = ("retraining:\n  mode: auto\n  min_labels: 1000000\n  versions: 3\n"
                "gate:\n  auc_loss: 1\n  rank_correlation: -1\n  implausible: 0\n")

    @staticmethod
    def act(world):
        world.retrain_faulty()
        world.score(must=False)

    @staticmethod
    def recover(world):
        world.until("score", lambda: world.score(must=False))
        world.until("retraining", lambda: world.retrain() == "promoted")
        world.score()
        world.check_files()
        world.check_labels()


class Models:
    """Versions made live, loaded, unloaded, read again."""
    SETTINGS = Labels.SETTINGS

    @staticmethod
    def act(world):
        world.wanted = str(1 + world.number % 2)
        world.number += 1
        world.activate(world.wanted)
        world.reload(0.1)
        world.unload_and_load()
        world.score(must=False)

    @staticmethod
    def recover(world):
        world.until("load", world.load)
        world.until("activation", lambda: world.activate(world.wanted))
        if world.score() != world.wanted:
            raise Fault(f"version {world.score()} is live, not {world.wanted}")
        world.reload()
        world.score()
        world.check_files()


class Requests:
    """What only reads: scores in each form, explanations, lists, the review, measures."""
    SETTINGS = Labels.SETTINGS
    INPUT = {"name": "input", "shape": [2, 3], "datatype": "FP32", "data": [0, 1, 2, 3, 4, 5]}
    ASKED = [("POST", MODEL + "/score", {"samples": ROWS, "explain": 2}),
             ("POST", f"/v2/models/{loop.MODEL}/infer", {"inputs": [INPUT]}),
             ("GET", MODEL + "/review?limit=2&analyst=kim", None),
             ("GET", MODEL + "/labels?limit=2", None),
             ("GET", MODEL + "/samples/k-1-0", None),
             ("GET", MODEL + "/jobs?limit=2", None), ("GET", MODEL + "/versions", None),
             ("GET", "/v1/models", None), ("GET", "/v2/models/stats", None),
             ("GET", "/metrics", None)]

    @classmethod
    def ask_all(cls, world, allowed):
        for method, path, body in cls.ASKED:
            status, answer = world.ask(method, path, body)
            if status not in allowed:
                raise Fault(f"{method} {path}: {status} {answer}")

    @classmethod
    def act(cls, world):
        if world.number == 0:
            world.keep()
            world.until("kept", lambda: world.ask("GET", MODEL + "/samples/k-1-0")[0] == 200)
        cls.ask_all(world, (0, 200, 429, 500, 503))

    @classmethod
    def recover(cls, world):
        world.score()
        cls.ask_all(world, (200,))


PATHS = {"labels": Labels, "requests": Requests, "checkpoint": Checkpoints, "training": Training, "models": Models}


def make_origin(options, origin):
    """Two versions of a small model, to be copied."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 3)) + np.arange(3)
    x[-8:] += 4
    origin.mkdir()
    with open(origin / "train.csv", "w", encoding="ascii") as file:
        file.write("a,b,c,label\n")
        for i, row in enumerate(x):
            file.write(",".join(f"{v:.6g}" for v in row) + ("," if i < 112 else ",anomalous") + "\n")
    for seed in ("1", "2"):
        subprocess.run([options.build / "deepsad", "train", origin / "train.csv", "--seed", seed,
                        "--out", origin / "models" / loop.MODEL,
                        *[word for setting in RECIPE for word in ("--set", setting)]],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Report:
    """Points tried, faults found."""

    def __init__(self):
        self.points, self.faults = 0, []
        self.began = time.monotonic()

    def add(self, where, kind, mode, calls, points, faults):
        self.points += points
        self.faults += faults
        line = (f"{where:10} {kind:9} {shim.MODES[mode]:14} calls {calls:6}  points {points:6}"
                f"  faults {len(faults)}  {time.monotonic() - self.began:6.1f} s")
        self.began = time.monotonic()
        print(line, flush=True)
        for fault in faults[:5]:
            print("    " + fault, flush=True)


def modes_of(kind):
    """A lock that is not to be had for long is waited for: that is a test of its own."""
    if kind == "write":
        return shim.ONCE, shim.FROM_THERE_ON, shim.SHORT
    if kind == "lock":
        return (shim.ONCE,)
    return shim.ONCE, shim.FROM_THERE_ON


def step_of(options, path, kind, k):
    """Every k, and of allocations beyond the first `dense` each `stride`-th."""
    if path is Checkpoints and kind in ("write", "memory", "read"):
        return Checkpoints.STRIDE * options.stride
    if kind == "memory" and k > options.dense:
        return options.memory_stride
    return options.stride


def sweep_path(options, report, origin, name):
    """All classes on one path, one daemon for each class and mode."""
    path = PATHS[name]
    for kind in options.classes:
        for mode in modes_of(kind):
            with loop.fresh(origin) as place:
                loop.set_policy(place, path.SETTINGS)
                world = World(options, place)
                sweep_points(world, report, name, path, kind, mode)


def sweep_points(world, report, name, path, kind, mode):
    options = world.options
    world.start()
    faults, points, calls, k, missed = [], 0, 0, 1, 0
    try:
        for key in ("s-1", "s-2", "s-3"):
            world.label(key)
        path.act(world)
        path.recover(world)
        while True:
            world.control.arm(kind, k, mode)
            try:
                path.act(world)
                failed, calls = world.control.get("failed"), max(calls, world.control.count(kind))
                world.control.disarm()
                world.alive()
                path.recover(world)
            except Fault as fault:
                world.control.disarm()
                faults.append(f"{name} {kind} {k} {shim.MODES[mode]}: {fault}")
                failed = 1
                if world.daemon.process.poll() is not None:
                    world.start()
            missed = 0 if failed else missed + 1
            if missed > MISSES or len(faults) > options.faults:
                break
            points += bool(failed)
            k += step_of(options, path, kind, k)
        world.daemon.kill()
        world.start(faults=False)
        world.until("start", lambda: world.score(must=False))
        world.check_labels()
    except Fault as fault:
        faults.append(f"{name} {kind}, restarted: {fault}")
    finally:
        world.daemon.kill()
    report.add(name, kind, mode, calls, points, faults)


# ---- Starting ------------------------------------------------------------------------------------

def begin(world):
    """Starts a daemon whose calls fail as armed; True where it serves, False where it ended in
    good order."""
    with open(world.place / "start.txt", "wb") as log:
        process = subprocess.Popen(
            [world.options.build / "deepsadd", "--listen", "127.0.0.1:0", "--models",
             world.place / "models", "--state", world.place / "state"], stderr=log,
            stdout=subprocess.DEVNULL,
            env={**loop.ENVIRONMENT, "OPENBLAS_NUM_THREADS": "1", "DEEPSADD_LOG_FORMAT": "text",
                 **world.control.environment})
    limit = time.monotonic() + 20 * world.options.slow
    try:
        while time.monotonic() < limit:
            ended = process.poll() is not None
            said = (world.place / "start.txt").read_text(errors="replace")
            found = re.search(r"listening on http://\S+:(\d+)\n", said)
            if ended:
                if process.returncode != 1 or not re.search(r"\w", said):
                    raise Fault(f"ended with {process.returncode}: {said[-600:]}")
                return False
            if found:
                return serve(world, process, int(found[1]))
            time.sleep(0.002)
        raise Fault(f"neither serves nor ends: {said[-600:]}")
    finally:
        process.kill()
        process.wait()


def serve(world, process, port):
    """It serves, whatever failed: then labels and scores are right, at the latest when the
    fault is over."""
    world.control.disarm()
    world.daemon = type("Started", (), {
        "process": process, "port": port,
        "said": lambda self: (world.place / "start.txt").read_text(errors="replace")})()
    world.client = None
    if not world.score(must=False):
        world.reload()  # a model that did not load then is read again
        world.until("score", lambda: world.score(must=False))
    world.number += 1
    world.score()
    world.until("label", lambda: world.label(f"start-{world.number}"))
    world.check_labels()
    return True


def sweep_start(options, report, origin):
    """Each class from the first call of the process on, with a state and without."""
    for kind in options.classes:
        for mode in modes_of(kind):
            for fresh in (True, False):
                with loop.fresh(origin) as place:
                    loop.set_policy(place, Labels.SETTINGS)
                    (place / "state").mkdir()
                    world = World(options, place)
                    if not fresh:
                        begin(world)
                    sweep_starts(world, report, kind, mode, "start, 1st" if fresh else "start")


def sweep_starts(world, report, kind, mode, name):
    """Every start finds the same state."""
    faults, points, calls, k, missed = [], 0, 0, 1, 0
    state, saved, labels = world.place / "state", world.place / "saved", dict(world.labels)
    shutil.copytree(state, saved)
    while True:
        shutil.rmtree(state)
        shutil.copytree(saved, state)
        world.labels = dict(labels)
        world.control.arm(kind, k, mode)
        try:
            begin(world)
        except Fault as fault:
            faults.append(f"start {kind} {k} {shim.MODES[mode]}: {fault}")
        failed, calls = world.control.get("failed"), max(calls, world.control.count(kind))
        world.control.disarm()
        missed = 0 if failed else missed + 1
        if missed > MISSES or len(faults) > world.options.faults:
            break
        try:
            if not begin(world):
                raise Fault("does not start once the fault is over")
        except Fault as fault:
            faults.append(f"start {kind} {k} {shim.MODES[mode]}, afterwards: {fault}")
        points += bool(failed)
        k += step_of(world.options, None, kind, k)
    report.add(name, kind, mode, calls, points, faults)


def sweep(options):
    """The Report."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="deepsad-sweep-") as folder:
        origin = pathlib.Path(folder) / "origin"
        make_origin(options, origin)
        for name in options.paths:
            if name == "start":
                sweep_start(options, report, origin)
            else:
                sweep_path(options, report, origin, name)
    return report


def parser():
    out = argparse.ArgumentParser(description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    out.add_argument("--build", type=pathlib.Path, default=loop.ROOT / "build/release")
    out.add_argument("--shim", type=pathlib.Path)
    out.add_argument("--paths", nargs="+", default=[*PATHS, "start"], choices=[*PATHS, "start"])
    out.add_argument("--classes", nargs="+", default=list(shim.CLASSES), choices=shim.CLASSES)
    out.add_argument("--stride", type=int, default=1)
    out.add_argument("--dense", type=int, default=2000,
                     help="so many allocations of a path are all tried, later ones by a stride")
    out.add_argument("--memory-stride", type=int, default=101)
    out.add_argument("--faults", type=int, default=20, help="then a class is given up")
    out.add_argument("--slow", type=int, default=1, help="factor for time limits")
    return out


def main():
    options = parser().parse_args()
    options.shim = (options.shim or options.build / "faults/fault_shim.so").resolve()
    begin_at = time.monotonic()
    report = sweep(options)
    print(f"{report.points} fault points in {time.monotonic() - begin_at:.0f} s, "
          f"{len(report.faults)} failures")
    return 1 if report.faults or not report.points else 0


if __name__ == "__main__":
    sys.exit(main())
