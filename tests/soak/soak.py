#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Mixed load for an hour, a retraining each minute, and nothing may grow. Clients score rows
as JSON, CSV, NPY and binary tensors, keep some, give verdicts and withdraw them, read review
lists, samples, journals, jobs, versions and metrics, send bad requests, open and close
connections. An operator retrains, rolls back and lets go, loads models again, sends SIGHUP.

Each few seconds all of them pause and the daemon is looked at: resident memory, descriptors
(less those of the connections that the clients have open), threads. Passed if

  no request was answered otherwise than it should be (503 counts as wrong)
  descriptors and threads were the same each time, after the warm-up
  the slope of resident memory after the warm-up (least squares) is below the limit; where
  less than 20 minutes are left to measure, memory must not grow by more than GROWTH instead

All samples are written to a CSV file. Nonzero exit where anything was amiss."""
import argparse
import collections
import contextlib
import csv
import http.client
import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "loop"))
import loop  # noqa: E402  pylint: disable=wrong-import-position

FEATURES = 5
MODELS = {"tabular": "default", "paper": "reference"}  # name: recipe
GROWTH = 8 << 20  # bytes, of a short run
LONG = 1200       # seconds of measuring from which a slope says something
READERS_GROWTH = 12  # descriptors, in a run too short for all readers to be open
# Small, so that what may grow up to a limit has done so by the end of the warm-up.
SETTINGS = {"DEEPSADD_SAMPLES_COUNT": "2000", "DEEPSADD_LEARNING_JOBS": "20",
            "DEEPSADD_LEARNING_PRIORITY": "normal", "DEEPSADD_REVIEW_POOL": "1000",
            "DEEPSADD_REVIEW_LEASE": "1s", "DEEPSADD_LABELS_IDEMPOTENCY_AGE": "60s"}
POLICY = """alpha: 0.01
retraining:
  mode: auto
  min_labels: 1000000
  versions: 4
"""


class Gate:
    """Requests pass it; the sampler closes it, and it is closed when all are through."""

    def __init__(self):
        self.changed = threading.Condition()
        self.inside, self.closed = 0, False

    @contextlib.contextmanager
    def passing(self):
        with self.changed:
            self.changed.wait_for(lambda: not self.closed)
            self.inside += 1
        try:
            yield
        finally:
            with self.changed:
                self.inside -= 1
                self.changed.notify_all()

    @contextlib.contextmanager
    def shut(self):
        with self.changed:
            self.closed = True
            self.changed.wait_for(lambda: self.inside == 0)
        try:
            yield
        finally:
            with self.changed:
                self.closed = False
                self.changed.notify_all()


class Tally:
    """Requests by what they were, and those that went wrong."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts, self.failures = collections.Counter(), []

    def note(self, what, fault=None):
        with self.lock:
            self.counts[what] += 1
            if fault:
                self.failures.append(f"{what}: {fault}")


class Client:
    """One keep-alive connection."""

    def __init__(self, port, tally):
        self.tally = tally
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, what, method, path, body=None, kind="application/json", expect=(200,),
             headers=None):
        """The answer's JSON, its bytes if it is none; None where it was the wrong one."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        fields = {"Content-Type": kind} if body is not None else {}
        try:
            self.connection.request(method, path, body=body, headers={**fields, **(headers or {})})
            answer = self.connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.tally.note(what, repr(error))
            return None
        wrong = answer.status not in expect
        self.tally.note(what, f"{answer.status} {data[:200]!r}" if wrong else None)
        if wrong:
            return None
        is_json = "json" in answer.headers.get("Content-Type", "")
        return json.loads(data) if data and is_json else data


def model_path(name, tail=""):
    return f"/v1/models/{name}{tail}"


class Worker(threading.Thread):
    """One client: requests of all kinds, `rate` a second."""

    def __init__(self, soak, number):
        super().__init__(daemon=True)
        self.soak, self.number = soak, number
        self.random = random.Random(soak.options.seed * 100 + number)
        self.rng = np.random.default_rng(soak.options.seed * 100 + number)
        self.client = Client(soak.daemon.port, soak.tally)
        self.kept = collections.deque(maxlen=20)    # (model, sample id)
        self.labels = collections.deque(maxlen=20)  # (model, label id)
        self.requests = 0
        kinds = {self.json: 20, self.csv: 8, self.npy: 8, self.tensor: 8, self.keep: 4,
                 self.explain: 2, self.label: 1, self.withdraw: 1, self.sample: 4,
                 self.review: 1, self.read: 6, self.bad: 4, self.churn: 4}
        self.kinds, self.weights = list(kinds), list(kinds.values())

    def run(self):
        period = 1 / self.soak.options.rate
        while not self.soak.over.is_set():
            begin = time.monotonic()
            kind = self.random.choices(self.kinds, self.weights)[0]
            with self.soak.gate.passing():
                kind(self.random.choice(list(MODELS)))
            self.soak.over.wait(max(0.0, period - (time.monotonic() - begin)))

    def rows(self, most=40):
        x = self.rng.normal(size=(self.random.randint(1, most), FEATURES)) + np.arange(FEATURES)
        x[self.rng.random(len(x)) < 0.05] += 4
        return x.round(4).astype(np.float32)

    # ---- Scoring ----

    def json(self, model):
        self.client.call("score JSON", "POST", model_path(model, "/score"),
                         {"samples": self.rows().tolist()})

    def csv(self, model):
        text = "\n".join(",".join(map(str, row)) for row in self.rows())
        self.client.call("score CSV", "POST", model_path(model, "/score"), text, "text/csv")

    def npy(self, model):
        file = io.BytesIO()
        np.save(file, self.rows())
        self.client.call("score NPY", "POST", model_path(model, "/score"), file.getvalue(),
                         "application/x-npy")

    def tensor(self, model):
        self.client.call("score tensor", "POST", f"/v2/models/{model}/infer",
                         self.rows(400).tobytes(), "application/octet-stream",
                         headers={"Inference-Header-Content-Length": "0"})

    def explain(self, model):
        self.client.call("explain", "POST", model_path(model, "/score"),
                         {"samples": self.rows(4).tolist(), "explain": 3})

    def keep(self, model):
        self.requests += 1
        rows = self.rows(8).tolist()
        ids = [f"{self.number}-{self.requests}-{i}" for i in range(len(rows))]
        if self.client.call("keep", "POST", model_path(model, "/score"),
                            {"samples": rows, "ids": ids, "keep": True}):
            self.kept.extend((model, one) for one in ids)

    # ---- Verdicts ----

    def label(self, model):
        label = {"verdict": self.random.choice(["normal", "normal", "anomalous", "unsure"]),
                 "analyst": f"a{self.number}", "note": "soak"}
        if self.kept and self.random.random() < 0.5:
            model, label["sample_id"] = self.random.choice(self.kept)
        else:
            label["features"] = self.rows(1)[0].tolist()
        self.requests += 1
        answer = self.client.call("label", "POST", model_path(model, "/labels"),
                                  {"labels": [label]}, expect=(201,),
                                  headers={"Idempotency-Key": f"{self.number}-{self.requests}"})
        if answer:
            self.labels.append((model, answer["labels"][0]["label_id"]))

    def withdraw(self, _):
        if self.labels:
            model, label = self.labels.popleft()
            self.client.call("withdraw", "DELETE", model_path(model, f"/labels/{label}"))

    # ---- Reading ----

    def sample(self, _):
        if self.kept:
            model, one = self.random.choice(self.kept)
            self.client.call("sample", "GET", model_path(model, f"/samples/{one}"))

    def review(self, model):
        strategy = self.random.choice(["mixed", "top", "random"])
        self.client.call("review", "GET", model_path(
            model, f"/review?limit=5&strategy={strategy}&analyst=a{self.number}"))

    def read(self, model):
        self.client.call("read", "GET", self.random.choice([
            model_path(model, "/labels?limit=20"), model_path(model, "/jobs?limit=5"),
            model_path(model), model_path(model, "/versions"), "/v1/models", "/metrics",
            "/v2/models/stats", f"/v2/models/{model}", "/v2/health/ready", "/"]))

    # ---- What must be refused, and connections that come and go ----

    def bad(self, model):
        path = model_path(model, "/score")
        body, kind, status, path = self.random.choice([
            ('{"samples": [[1,2', "application/json", 400, path),
            ('{"samples": [[1,2]]}', "application/json", 422, path),
            ("1,2,x,4,5", "text/csv", 422, path), ("<x/>", "text/xml", 415, path),
            ("[" * 5000, "application/json", 400, path),
            ("{}", "application/json", 404, model_path("nobody", "/score")),
            ('{"labels": [{"verdict": "maybe"}]}', "application/json", 400,
             model_path(model, "/labels"))])
        self.client.call("refused", "POST", path, body, kind, expect=(status, 400, 422))

    def churn(self, model):
        """A connection of its own, now and then cut off in the middle of a request."""
        client = Client(self.soak.daemon.port, self.soak.tally)
        if self.random.random() < 0.3:
            client.connection.connect()
            client.connection.send(b"POST /v1/models/m/score HTTP/1.1\r\nHost: x\r\nContent-")
            self.soak.tally.note("cut off")
        else:
            client.call("new connection", "POST", model_path(model, "/score"),
                        {"samples": self.rows().tolist()})
        client.connection.close()


class Operator(threading.Thread):
    """A retraining each minute; now and then a reload, a roll-back, a model loaded again."""

    def __init__(self, soak):
        super().__init__(daemon=True)
        self.soak = soak
        self.client = Client(soak.daemon.port, soak.tally)
        self.states = collections.Counter()
        self.busy = False
        self.began = time.monotonic()

    def run(self):
        turn, due = 0, time.monotonic()
        while not self.soak.over.wait(max(0.0, due - time.monotonic())):
            due += self.soak.options.period
            turn += 1
            with self.soak.gate.passing():
                self.busy = True  # from here on, until it is done, nobody shuts the gate
            self.retrain("paper" if turn % 5 == 2 else "tabular")
            if turn % 3 == 0:
                self.soak.daemon.process.send_signal(signal.SIGHUP)
            if turn % 7 == 4:
                self.roll_back("tabular")
            if turn % 10 == 5:
                self.client.call("load", "POST", "/v2/repository/models/paper/load", {})
            self.soak.over.wait(0.5)  # what it has started has an end
            self.busy = False

    def retrain(self, model):
        job = self.client.call("retrain", "POST", model_path(model, "/retrain"), {},
                               expect=(202,))
        limit = time.monotonic() + 120
        while job and job["state"] not in loop.ENDED and time.monotonic() < limit:
            time.sleep(0.1)
            job = self.client.call("job", "GET", f"/v1/jobs/{job['job']}")
        state = job["state"] if job else "refused"
        self.states[state] += 1
        if state not in ("promoted", "rejected"):
            self.soak.tally.note("retraining", json.dumps(job))

    def roll_back(self, model):
        """To the oldest version there is, and free again."""
        listed = self.client.call("versions", "GET", model_path(model, "/versions"))
        if listed:
            oldest = min((v["version"] for v in listed["versions"]), key=int)
            self.client.call("activate", "POST",
                             model_path(model, f"/versions/{oldest}/activate"), {})
            self.client.call("release", "POST", model_path(model, "/release"), {})


def make_model(options, place, name):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1000, FEATURES)) + np.arange(FEATURES)
    x[-30:] += 4
    with open(place / "train.csv", "w", encoding="ascii") as file:
        file.write(",".join(f"f{j}" for j in range(FEATURES)) + ",label\n")
        for i, row in enumerate(x):
            file.write(",".join(f"{v:.6g}" for v in row))
            file.write(",anomalous\n" if i >= 970 else ",\n")
    quick = ["--set", "epochs=5", "--set", "pretrain_epochs=5"]
    subprocess.run([options.build / "deepsad", "train", place / "train.csv", "--out",
                    place / "models" / name, "--recipe", MODELS[name],
                    *(quick if MODELS[name] == "reference" else [])],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (place / "models" / name / "model.yaml").write_text(POLICY, encoding="ascii")


class Soak:
    """One daemon and all that is done to it."""

    def __init__(self, options, place):
        self.options = options
        for name in MODELS:
            make_model(options, place, name)
        self.daemon = loop.Daemon(options, place, SETTINGS)
        self.gate, self.tally, self.over = Gate(), Tally(), threading.Event()
        self.operator = Operator(self)
        self.workers = [Worker(self, i) for i in range(options.clients)]
        self.samples = []  # (seconds, bytes, descriptors, threads), at rest
        self.peak = 0

    def status(self):
        """(resident bytes, threads)"""
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["VmRSS"].split()[0]) * 1024, int(fields["Threads"])

    def own_connections(self):
        return sum(one.client.connection.sock is not None
                   for one in [self.operator, *self.workers])

    def descriptors(self):
        """Those that are no client's; the daemon has a moment to close what clients did."""
        counts = []
        for _ in range(10):
            time.sleep(0.03)
            counts.append(len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))
                          - self.own_connections())
            if len(counts) > 2 and counts[-1] == counts[-2] == counts[-3]:
                break
        return counts[-1]

    def look(self, seconds):
        self.peak = max(self.peak, self.status()[0])
        if self.operator.busy:
            return
        with self.gate.shut():
            if not self.operator.busy:
                descriptors = self.descriptors()
                self.samples.append((round(seconds, 2), self.status()[0], descriptors,
                                     self.status()[1]))

    def run(self):
        begin = time.monotonic()
        for thread in [*self.workers, self.operator]:
            thread.start()
        while (seconds := time.monotonic() - begin) < self.options.seconds:
            if self.daemon.process.poll() is not None:
                self.tally.note("daemon", f"ended with {self.daemon.process.returncode}")
                break
            self.look(seconds)
            if len(self.samples) % 60 == 1:
                print(f"{seconds:6.0f} s  {self.samples[-1][1] / 1e6:.2f} MB  "
                      f"{sum(self.tally.counts.values())} requests  "
                      f"{len(self.tally.failures)} failed", flush=True)
            time.sleep(self.options.interval)
        self.over.set()
        for thread in [*self.workers, self.operator]:
            thread.join()
        self.daemon.process.terminate()
        code = self.daemon.process.wait(30)
        if code != 0:
            self.tally.note("daemon", f"ended with {code}")


def slope_of(samples):
    """(bytes an hour, its standard error)"""
    t = np.array([one[0] for one in samples]) / 3600
    y = np.array([one[1] for one in samples], float)
    t -= t.mean()
    slope = float(t @ (y - y.mean()) / (t @ t))
    rest = y - y.mean() - slope * t
    return slope, float(np.sqrt(rest @ rest / max(1, len(t) - 2) / (t @ t)))


def check_memory(soak, samples, faults):
    """Says what the memory did; a fault where that was too much."""
    slope, deviation = slope_of(samples)
    span = samples[-1][0] - samples[0][0]
    growth = samples[-1][1] - samples[0][1]
    sizes = [one[1] / 1e6 for one in samples]
    print(f"resident memory after warm-up, {span:.0f} s, {len(samples)} samples: "
          f"{min(sizes):.2f} to {max(sizes):.2f} MB, highest seen {soak.peak / 1e6:.2f}; "
          f"slope {slope / 1e6:+.3f} MB/h (standard error {deviation / 1e6:.3f})")
    if span >= LONG and slope >= soak.options.slope * 1e6:
        faults.append(f"memory grows by {slope / 1e6:.2f} MB an hour")
    if span < LONG:
        print("(too short for the slope to say anything)")
        if growth > GROWTH:
            faults.append(f"memory has grown by {growth / 1e6:.1f} MB")


def check(soak):
    """The faults; prints the figures."""
    faults = list(soak.tally.failures)
    samples = [one for one in soak.samples if one[0] >= soak.options.warm_up]
    counts = soak.tally.counts
    print(f"{sum(counts.values())} requests, {len(faults)} failed: "
          + ", ".join(f"{what} {count}" for what, count in sorted(counts.items())))
    print("retrainings: " + ", ".join(f"{c} {s}" for s, c in soak.operator.states.items()))
    if len(samples) < 3:
        return faults + [f"only {len(samples)} samples after the warm-up"]
    for number, what in ((2, "descriptors"), (3, "threads")):
        seen = sorted({one[number] for one in samples})
        print(f"{what}: {', '.join(map(str, seen))}")
        # the store opens a reader (three descriptors) whenever more read at once than before
        short = number == 2 and soak.options.seconds < 1200
        if len(seen) > 1 and not (short and seen[-1] - seen[0] <= READERS_GROWTH):
            faults.append(f"{what} are not constant: {seen}")
    if not soak.operator.states["promoted"] + soak.operator.states["rejected"]:
        faults.append("no retraining has come to its end")
    check_memory(soak, samples, faults)
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=loop.ROOT / "build/release")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--warm-up", type=float, help="default: a quarter, at most 900 s")
    parser.add_argument("--period", type=float, default=60, help="seconds between retrainings")
    parser.add_argument("--interval", type=float, default=4, help="seconds between samples")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rate", type=float, default=20, help="requests a second of each")
    parser.add_argument("--slope", type=float, default=1.0, help="limit in MB/h")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--csv", type=pathlib.Path, default=loop.ROOT / "build/soak.csv")
    options = parser.parse_args()
    if options.warm_up is None:
        options.warm_up = min(900, options.seconds / 4)
    with loop.fresh() as place:
        soak = Soak(options, place)
        try:
            soak.run()
        finally:
            soak.daemon.kill()
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    with open(options.csv, "w", encoding="ascii", newline="") as file:
        csv.writer(file).writerows([("seconds", "resident", "descriptors", "threads"),
                                    *soak.samples])
    faults = check(soak)
    for fault in faults[:20]:
        print(f"FAULT {fault}")
    print(f"soak: {'FAILED' if faults else 'passed'}, samples in {options.csv}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
