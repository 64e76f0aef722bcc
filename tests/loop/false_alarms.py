#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Realised false alarms after the honest loop: the share of the test's normal rows whose
p-value is at most alpha, over alpha, after rounds of ten verdicts on the review list. Training
rows hold all their anomalies, unlabeled, at the start. Mean over seeds, its standard error.

Fails where the mean over the sets of at least 1,000 training rows is not within the limits."""
import sys
import tempfile

import numpy as np

import loop

VERDICTS, LEAST_ROWS = 10, 1000
ALPHAS = (0.01, 0.05)
LIMITS = (0.5, 1.1)


def play(options, name, seed):
    """(training rows, normal test rows, [false alarms / alpha])"""
    with tempfile.TemporaryDirectory() as folder, loop.fresh() as place:
        split = loop.Split(options, name, seed, folder)
        loop.train(options, split, place, loop.policy(VERDICTS, 0))
        oracle = loop.Oracle(split.train)
        with loop.serving(options, place) as service:
            service.keep(split.train.x)
            for _ in range(options.rounds):
                service.teach(oracle.judge(service.review("mixed", VERDICTS)))
            _, p_values = service.score(split.test.x)
    return (len(split.train.x), int(np.sum(~split.test.anomalous)),
            [loop.false_alarms(split.test, p_values, alpha) / alpha for alpha in ALPHAS])


def main():
    parser = loop.arguments(__doc__, ["satellite", "annthyroid", "cardio", "vowels", "pendigits",
                                      "mammography", "shuttle", "optdigits"], 5)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    print(f"{'set':<14}{'training':>9}{'normal test':>13}   false alarms / alpha at .01      at .05")
    means = []
    for name in options.sets:
        runs = [play(options, name, seed) for seed in range(1, options.seeds + 1)]
        ratios = np.array([run[2] for run in runs])
        mean = ratios.mean(axis=0)
        error = ratios.std(axis=0, ddof=min(1, len(runs) - 1)) / len(runs) ** 0.5
        print(f"{name:<14}{runs[0][0]:9}{runs[0][1]:13}   "
              + "".join(f"{m:12.2f} +-{e:4.2f}" for m, e in zip(mean, error)), flush=True)
        if runs[0][0] >= LEAST_ROWS:
            means.append(mean)
    mean = np.mean(means, axis=0)
    print(f"mean of the {len(means)} sets with at least {LEAST_ROWS} training rows"
          + "".join(f"   {alpha:.2f}: {m:.2f}" for alpha, m in zip(ALPHAS, mean)))
    return loop.finish([f"at alpha {alpha}: {m:.2f}" for alpha, m in zip(ALPHAS, mean)
                        if not LIMITS[0] <= m <= LIMITS[1]])


if __name__ == "__main__":
    sys.exit(main())
