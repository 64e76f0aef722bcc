#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Attacks on the loop, over HTTP. Kim, who is honest, gives some rounds of ten verdicts on the
review list; from that state on, each on a copy of its own:

  honest  ten more verdicts of Kim
  flip    Mallory judges ten of the review list, all the wrong way round
  random  Mallory calls ten normal rows, drawn at random, anomalous
  scale   Mallory brings ten training rows x 1000 and calls them normal
  traffic rows x 1000, as many as a tenth of the training's, are posted and kept; then a
          retraining by hand

Prints the test's average precision (%) before, after the retraining with the gate, after the
same without it (thresholds that nothing misses), and where Mallory's verdicts are withdrawn
from the latter and the model is retrained; and what the gate said. Then the realised false
alarms on the test's normal rows after the honest loop, over alpha.

Fails where the gate stopped an honest batch."""
import sys
import tempfile

import numpy as np

import loop

ATTACKS = ("honest", "flip", "random", "scale", "traffic")
VERDICTS = 10
ALPHAS = (0.01, 0.05)


class Scene:
    """A split, and the folder of a daemon after the honest start."""

    def __init__(self, options, split, place):
        self.options, self.split, self.place = options, split, place
        self.oracle = loop.Oracle(split.train)
        self.rng = np.random.default_rng(1)

    def policy(self, gate):
        return loop.policy(VERDICTS, self.options.traffic, gate)

    def measure(self, service):
        scores, _ = service.score(self.split.test.x)
        return 100 * loop.average_precision(self.split.test.anomalous, scores)


def start(scene):
    """The honest rounds; (AP, {alpha: false alarms}, batches stopped)."""
    stopped = []
    with loop.serving(scene.options, scene.place) as service:
        service.keep(scene.split.train.x)
        for _ in range(scene.options.rounds):
            ids = service.review("mixed", VERDICTS)
            job = service.teach(scene.oracle.judge(ids))
            if job["state"] != "promoted":
                stopped.append(said(job))
        scores, p_values = service.score(scene.split.test.x)
        ap = 100 * loop.average_precision(scene.split.test.anomalous, scores)
    alarms = {alpha: loop.false_alarms(scene.split.test, p_values, alpha) for alpha in ALPHAS}
    return ap, alarms, stopped


def said(job):
    """What became of a job, in a few words."""
    return f"{job['state']}: {job.get('decision', '-')}, {job.get('reason', '-')}"


def bring(service, x, verdict):
    """Mallory's rows, with their features; the job that follows."""
    before = service.newest_job()
    service.call("POST", service.path + "/labels", {"labels": [
        {"features": row.astype(float).tolist(), "verdict": verdict, "analyst": "mallory"}
        for row in x]})
    return service.wait_for_job(before)


def attack(scene, service, kind):
    """Does it; the job that follows."""
    train = scene.split.train
    if kind == "honest":
        return service.teach(scene.oracle.judge(service.review("mixed", VERDICTS)))
    if kind == "flip":
        truth = scene.oracle.judge(service.review("mixed", VERDICTS, "mallory"))
        return service.teach({i: not bad for i, bad in truth.items()}, "mallory")
    if kind == "random":
        normal = scene.rng.choice(np.flatnonzero(~train.anomalous), VERDICTS, replace=False)
        return service.teach({f"t-{i}": True for i in normal}, "mallory")
    drawn = train.x[scene.rng.choice(len(train.x), len(train.x) // 10, replace=False)] * 1000
    if kind == "scale":
        return bring(service, drawn[:VERDICTS], "normal")
    service.keep(drawn, "scaled")
    return service.retrain()


def one_attack(scene, kind, gate):
    """(AP after it, AP after Mallory's withdrawal, the job)"""
    scene.rng = np.random.default_rng(1)
    with loop.fresh(scene.place) as place:
        loop.set_policy(place, scene.policy(gate))
        with loop.serving(scene.options, place) as service:
            job = attack(scene, service, kind)
            after, undone = scene.measure(service), float("nan")
            if kind in ("flip", "random", "scale") and not gate:
                before = service.newest_job()
                service.call("DELETE", service.path + "/labels?analyst=mallory")
                service.wait_for_job(before)
                undone = scene.measure(service)
    return after, undone, job


def run_set(options, name, seed, tally):
    with tempfile.TemporaryDirectory() as folder, loop.fresh() as place:
        scene = Scene(options, loop.Split(options, name, seed, folder), place)
        loop.train(options, scene.split, place, scene.policy(True))
        before, alarms, stopped = start(scene)
        tally["alarms"].setdefault(name, []).append(alarms)
        tally["batches"] += options.rounds
        tally["stopped"] += [f"{name} {seed}: {text}" for text in stopped]
        for kind in options.attacks:
            gated, _, job = one_attack(scene, kind, True)
            free, undone, _ = one_attack(scene, kind, False)
            figures = (before, gated, free, undone)
            tally["ap"].setdefault(kind, []).append(figures)
            print_row(f"{name} {seed}", kind, figures, said(job))
            if kind == "honest":
                tally["batches"] += 1
                if job["state"] != "promoted":
                    tally["stopped"].append(f"{name} {seed}: {said(job)}")


def print_row(name, kind, figures, note=""):
    cells = "".join("       -" if np.isnan(v) else f"{v:8.1f}" for v in figures)
    print(f"{name:<14}{kind:<8}{cells}   {note}", flush=True)


def print_alarms(options, tally):
    print("\nfalse alarms on the test's normal rows / alpha, mean over seeds, after "
          f"{options.rounds * VERDICTS} honest verdicts")
    for name, runs in tally["alarms"].items():
        print(f"{name:<14}" + "".join(
            f"   {alpha:.2f}: {np.mean([run[alpha] for run in runs]) / alpha:5.2f}"
            for alpha in ALPHAS))


def main():
    parser = loop.arguments(__doc__, ["satellite", "annthyroid", "vowels", "cardio"], 2)
    parser.add_argument("--rounds", type=int, default=5, help="honest ones, before")
    parser.add_argument("--attacks", nargs="+", default=ATTACKS, choices=ATTACKS)
    parser.add_argument("--traffic", type=float, default=None, help="as in model.yaml")
    options = parser.parse_args()
    tally = {"ap": {}, "alarms": {}, "stopped": [], "batches": 0}
    print(f"{'set, seed':<14}{'attack':<8}  before    gate no gate  undone   the gate says")
    for name in options.sets:
        for seed in range(1, options.seeds + 1):
            run_set(options, name, seed, tally)
    for kind, rows in tally["ap"].items():
        print_row("mean", kind, np.mean(rows, axis=0))
    print_alarms(options, tally)
    print(f"\nhonest batches stopped: {len(tally['stopped'])} of {tally['batches']}")
    return loop.finish(tally["stopped"])


if __name__ == "__main__":
    sys.exit(main())
