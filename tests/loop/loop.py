# SPDX-License-Identifier: Apache-2.0
"""What the scripts of this folder share: data with its truth, a daemon of their own on a free
port with fresh state, an analyst who knows the truth, and measures as scikit-learn has them."""
import argparse
import contextlib
import csv
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = "m"  # every daemon here serves this one
BATCH = 1000  # rows of a scoring request
ENDED = ("promoted", "rejected", "failed", "cancelled")
PATIENCE = 60  # seconds that a job may take
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("DEEPSADD_")}


def arguments(text, sets, seeds):
    """The parser that all scripts begin with."""
    parser = argparse.ArgumentParser(description=text,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True,
                        help="folder of CSV files: features, then `label`, the truth")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--sets", nargs="+", default=sets)
    parser.add_argument("--seeds", type=int, default=seeds)
    return parser


# ---- Data --------------------------------------------------------------------------------------

class Part:
    """Rows (float32) and whether each is anomalous."""

    def __init__(self, x, anomalous):
        self.x, self.anomalous = x, anomalous


def read_csv(path):
    """(rows, labels as they are written)"""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    at = rows[0].index("label")
    labels = [row.pop(at) for row in rows][1:]
    return np.array(rows[1:], dtype=np.float64).astype(np.float32), labels


def counted(part):
    """How many anomalous and normal rows there are of the same bytes."""
    counts = {}
    for row, anomalous in zip(part.x, part.anomalous):
        counts.setdefault(row.tobytes(), [0, 0])[int(anomalous)] += 1
    return counts


def truth_of(train, whole, test):
    """Whether each row of `train` is anomalous: the labels of `whole` less those of `test`.
    (The tool hides the labels, which is its job.)"""
    left = counted(whole)
    for key, (normal, anomalous) in counted(test).items():
        left[key][0] -= normal
        left[key][1] -= anomalous
    truth = np.zeros(len(train), bool)
    for i, row in enumerate(train):
        pair = left[row.tobytes()]
        truth[i] = pair[1] > 0
        pair[int(truth[i])] -= 1
    return truth


class Split:
    """60/40 per class by `deepsad split`, no label given, all anomalies hidden among the
    training rows: .path of the training file, .train and .test with the truth."""

    def __init__(self, options, name, seed, folder):
        source = options.data / f"{name}.csv"
        subprocess.run([options.build / "deepsad", "split", source, "--out", folder, "--test", "0.4",
                        "--pollution", "natural", "--labeled-anomalies", "0", "--seed", str(seed)],
                       check=True, stdout=subprocess.DEVNULL)
        self.path = pathlib.Path(folder) / "train.csv"
        x, labels = read_csv(source)
        whole = Part(x, np.array([label == "anomalous" for label in labels]))
        x, labels = read_csv(pathlib.Path(folder) / "test.csv")
        self.test = Part(x, np.array([label == "anomalous" for label in labels]))
        x, _ = read_csv(self.path)
        self.train = Part(x, truth_of(x, whole, self.test))


# ---- Measures ----------------------------------------------------------------------------------

def average_precision(anomalous, scores):
    """As sklearn.metrics.average_precision_score: rows of one score enter together."""
    order = np.argsort(-scores, kind="stable")
    scores, anomalous = scores[order], anomalous[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits = np.cumsum(anomalous)[last]
    recall = hits / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * hits / (last + 1)))


def false_alarms(part, p_values, alpha):
    """Share of the normal rows that are called anomalous."""
    return float(np.mean(p_values[~part.anomalous] <= alpha))


# ---- The daemon --------------------------------------------------------------------------------

class Refused(Exception):
    """An answer that was not the expected one."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text[:400]}")
        self.status = status


class Client:
    """One keep-alive connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def call(self, method, path, body=None, expect=(200, 201, 202), headers=None):
        """The answer's JSON (None where there is no body); Refused for another status."""
        data = None if body is None else json.dumps(body)
        extra = {"Content-Type": "application/json"} if data is not None else {}
        self.connection.request(method, path, body=data, headers={**extra, **(headers or {})})
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status not in expect:
            raise Refused(answer.status, text)
        return json.loads(text) if text else None

    def close(self):
        self.connection.close()


class Daemon:
    """A deepsadd of its own. `place` holds models/ and state/, and what it says in log.txt."""

    def __init__(self, options, place, settings=None):
        variables = {"OPENBLAS_NUM_THREADS": "1", "DEEPSADD_LOG_FORMAT": "text", **(settings or {})}
        (place / "state").mkdir(exist_ok=True)
        self.log = place / "log.txt"
        self.began = time.monotonic()
        with open(self.log, "ab") as log:
            self.begin = log.tell()
            self.process = subprocess.Popen(
                [options.build / "deepsadd", "--listen", "127.0.0.1:0", "--models",
                 place / "models", "--state", place / "state"],
                stderr=log, stdout=subprocess.DEVNULL, env={**ENVIRONMENT, **variables})
        self.port = self._wait_for_port()

    def said(self):
        """All that it has written since it started."""
        with open(self.log, "rb") as log:
            log.seek(self.begin)
            return log.read().decode(errors="replace")

    def _wait_for_port(self):
        while time.monotonic() < self.began + PATIENCE:
            found = re.search(r"listening on http://\S+:(\d+)\n", self.said())
            if found:
                return int(found[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.001)
        self.kill()
        raise SystemExit("deepsadd does not serve:\n" + self.said())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        if self.process.wait(PATIENCE) != 0:
            raise SystemExit("deepsadd did not end in peace:\n" + self.said()[-2000:])


# ---- A model being served ------------------------------------------------------------------------

def policy(min_labels=10, traffic=None, gate=True, mode="auto"):
    """Text of a model.yaml."""
    lines = ["alpha: 0.01", "retraining:", f"  mode: {mode}", f"  min_labels: {min_labels}"]
    if traffic is not None:
        lines.append(f"  traffic: {traffic}")
    if not gate:
        lines += ["gate:", "  implausible: 0", "  auc_loss: 1", "  rank_correlation: -1"]
    return "\n".join(lines) + "\n"


def train(options, split, place, text):
    """The first version, without a label, into place/models, with `text` as its policy."""
    subprocess.run([options.build / "deepsad", "train", split.path, "--out",
                    place / "models" / MODEL], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    set_policy(place, text)


def set_policy(place, text):
    (place / "models" / MODEL / "model.yaml").write_text(text)


@contextlib.contextmanager
def fresh(origin=None):
    """A folder for a daemon, a copy of `origin` where that is given; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="deepsad-loop-") as folder:
        place = pathlib.Path(folder) / "place"
        if origin is None:
            place.mkdir()
        else:
            shutil.copytree(origin, place)
        yield place


@contextlib.contextmanager
def serving(options, place, settings=None):
    """A Service on that folder; the daemon ends with the block."""
    daemon = Daemon(options, place, settings)
    try:
        yield Service(daemon)
    except BaseException:
        daemon.kill()
        raise
    daemon.stop()


class Service(Client):
    """What an analyst does with the model, over HTTP."""

    def __init__(self, daemon):
        super().__init__(daemon.port)
        self.daemon = daemon
        self.path = f"/v1/models/{MODEL}"

    def score(self, x, ids=None):
        """(scores, p-values); the rows are kept where `ids` names them."""
        results = []
        for at in range(0, len(x), BATCH):
            body = {"samples": x[at:at + BATCH].astype(float).tolist()}
            if ids is not None:
                body.update(ids=ids[at:at + BATCH], keep=True)
            results += self.call("POST", self.path + "/score", body)["results"]
        return (np.array([r["score"] for r in results]),
                np.array([r["p_value"] for r in results]))

    def keep(self, x, prefix="t"):
        """Posts rows for scoring, to be kept as PREFIX-0, ...; waits until they are."""
        ids = [f"{prefix}-{i}" for i in range(len(x))]
        self.score(x, ids)
        self.call("GET", f"/v1/models/{MODEL}/samples/{ids[-1]}")
        return ids

    def review(self, strategy, limit=10, analyst="kim"):
        """Ids of the samples to be looked at."""
        answer = self.call("GET", f"{self.path}/review?limit={limit}&strategy={strategy}"
                           f"&analyst={analyst}")
        return [sample_id(row) for row in answer["samples"]]

    def say(self, verdicts, analyst="kim"):
        """Posts {sample id: anomalous?} in one request; label ids."""
        labels = [{"sample_id": i, "verdict": "anomalous" if bad else "normal",
                   "analyst": analyst} for i, bad in verdicts.items()]
        answer = self.call("POST", self.path + "/labels", {"labels": labels})
        return [label["label_id"] for label in answer["labels"]]

    def version(self):
        return int(self.call("GET", self.path)["version"])

    def jobs(self, limit=10):
        """Newest first."""
        return self.call("GET", f"{self.path}/jobs?limit={limit}")["jobs"]

    def newest_job(self):
        """Its id; ids rise with time. "" where there is none."""
        return next((job["job"] for job in self.jobs(1)), "")

    def jobs_after(self, since):
        """How many came after the job of that id."""
        return sum(job["job"] > since for job in self.jobs(1000))

    def wait_for_job(self, since):
        """Waits until there is one after that id and none is under way; the newest job."""
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            jobs = self.jobs()
            if jobs and jobs[0]["job"] > since and all(job["state"] in ENDED for job in jobs):
                return jobs[0]
            time.sleep(0.01)
        raise SystemExit(f"no job ended within {PATIENCE} s:\n" + self.daemon.said()[-2000:])

    def retrain(self):
        """By hand, waits; the job. Where one is under way already, that one comes first."""
        while True:
            before = self.newest_job()
            try:
                self.call("POST", self.path + "/retrain", {})
                return self.wait_for_job(before)
            except Refused as refused:
                if refused.status != 409:
                    raise
                time.sleep(0.02)

    def teach(self, verdicts, analyst="kim"):
        """Verdicts, and the retraining that they trigger; the job."""
        before = self.newest_job()
        self.say(verdicts, analyst)
        return self.wait_for_job(before)


def sample_id(row):
    return row.get("sample_id", row.get("id"))


class Oracle:
    """The analyst's eyes: the truth of the kept training rows t-0, t-1, ..."""

    def __init__(self, train_part):
        self.anomalous = train_part.anomalous

    def judge(self, ids):
        return {i: bool(self.anomalous[int(i.split("-")[1])]) for i in ids}


# ---- Printing ------------------------------------------------------------------------------------

def finish(faults):
    """Says what was missed; the exit code."""
    for fault in faults:
        print("MISSED: " + fault)
    print("all limits kept" if not faults else f"{len(faults)} limits missed")
    return 1 if faults else 0
