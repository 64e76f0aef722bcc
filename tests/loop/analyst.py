#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plays an analyst over HTTP. No label at the start; the training rows are posted for scoring
and kept; ten rounds of ten verdicts (the truth) on the review list, each round followed by the
retraining that it triggers. Prints the test's AUC-PR (average precision, %) after each round
for the strategies of the review list, mean over sets and seeds.

Fails unless `mixed` is ahead of `top` after 20 verdicts, and at 50 verdicts at least 25 above
its start."""
import sys
import tempfile
import time

import numpy as np

import loop

STRATEGIES = ("mixed", "top", "random")
ROUNDS, VERDICTS = 10, 10
GAIN = 25.0


def play(options, split, trained, strategy):
    """AUC-PR in % after 0, 1, ... rounds; jobs by their state; anomalies found."""
    curve, states, found = [], [], 0
    oracle = loop.Oracle(split.train)
    with loop.fresh(trained) as place, loop.serving(options, place) as service:
        service.keep(split.train.x)
        curve.append(measure(service, split.test))
        for _ in range(ROUNDS):
            ids = service.review(strategy, VERDICTS)
            verdicts = oracle.judge(ids)
            found += sum(verdicts.values())
            states.append(service.teach(verdicts)["state"])
            curve.append(measure(service, split.test))
    return curve, states, found


def measure(service, test):
    scores, _ = service.score(test.x)
    return 100 * loop.average_precision(test.anomalous, scores)


def print_curve(name, strategy, curve, note=""):
    print(f"{name:<12} {strategy:<7}" + "".join(f"{v:7.1f}" for v in curve) + "  " + note,
          flush=True)


def run_set(options, name, seed, curves):
    with tempfile.TemporaryDirectory() as folder, loop.fresh() as trained:
        split = loop.Split(options, name, seed, folder)
        loop.train(options, split, trained, loop.policy(VERDICTS, options.traffic))
        for strategy in options.strategies:
            begin = time.monotonic()
            curve, states, found = play(options, split, trained, strategy)
            curves[strategy].setdefault(name, []).append(curve)
            stopped = [state for state in states if state != "promoted"]
            print_curve(name, strategy, curve, f"{found} found, {time.monotonic() - begin:.0f} s"
                        + (f", not promoted: {stopped}" if stopped else ""))


def summarise(options, curves):
    """Means over seeds, then over sets; the limits missed."""
    print("\nmean over sets and seeds")
    mean = {}
    for strategy in options.strategies:
        mean[strategy] = np.mean([np.mean(runs, axis=0) for runs in curves[strategy].values()],
                                 axis=0)
        print_curve("all", strategy, mean[strategy])
    faults = []
    if "mixed" in mean and "top" in mean and mean["mixed"][2] <= mean["top"][2]:
        faults.append(f"after 20 verdicts mixed {mean['mixed'][2]:.1f}, top {mean['top'][2]:.1f}")
    if "mixed" in mean and mean["mixed"][5] - mean["mixed"][0] < GAIN:
        faults.append(f"mixed gained {mean['mixed'][5] - mean['mixed'][0]:.1f} with 50 verdicts; "
                      f"{GAIN:.0f} are asked")
    return faults


def main():
    parser = loop.arguments(__doc__, ["satellite", "annthyroid", "vowels", "cardio"], 3)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--traffic", type=float, default=0.0,
                        help="share of kept traffic among the unlabeled rows; the default is none: "
                             "the rows kept here are those of the training")
    options = parser.parse_args()
    curves = {strategy: {} for strategy in options.strategies}
    print_curve("verdicts", "", [VERDICTS * i for i in range(ROUNDS + 1)])
    for name in options.sets:
        for seed in range(1, options.seeds + 1):
            run_set(options, name, seed, curves)
    return loop.finish(summarise(options, curves))


if __name__ == "__main__":
    sys.exit(main())
