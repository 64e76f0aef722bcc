# SPDX-License-Identifier: Apache-2.0
"""What a task does: one run, or those that share a trained autoencoder (its reconstruction
error and the hybrid methods on its codes)."""
import pathlib
import tempfile
import time

import core
import figures
import shallow
import splits


def shared(run):
    """The autoencoder's run that this one needs, or itself."""
    if run.method in shallow.HYBRID:
        return run._replace(method="autoencoder", rows="")
    return run


def tasks(runs):
    """Lists of runs to be done together, in order."""
    groups = {}
    for run in runs:
        groups.setdefault(shared(run), []).append(run)
    return list(groups.values())


def by_core(tool, folder, split, run):
    """Trains, and measures `run` itself."""
    seconds = core.train(tool, folder, split, run)
    found = {"train_seconds": seconds, **figures.of(core.scores(tool, folder, split), split)}
    if run.method in core.ENTROPY_METHODS:
        found.update(core.entropies(tool, folder, split, run.seed))
    return found


def by_shallow(run, features, split):
    train, test = features
    scores = shallow.scores(run.method, train, test, split.truth < 0, run)
    return figures.of(scores, split)


def codes(tool, folder, split):
    unlabeled = split.train_x[split.train_labels == splits.UNLABELED]
    return core.encode(tool, folder, unlabeled), core.encode(tool, folder, split.test_x)


def timed(run, measured, *arguments):
    begin = time.monotonic()
    found = measured(*arguments)
    seconds = time.monotonic() - begin
    return run, {"train_seconds": seconds, **found, "wall_seconds": seconds}


def task(runs, sources, tool, scratch):
    """Yields (run, figures) as they come."""
    first = shared(runs[0])
    split = splits.of(sources, first)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = pathlib.Path(name)
        if first.method in shallow.RAW:
            rows = split.train_labels == splits.UNLABELED
            features = shallow.raw_features(split.train_x[rows], split.test_x)
            yield timed(first, by_shallow, first, features, split)
            return
        done = timed(first, by_core, tool, folder, split, first)
        if first in runs:
            yield done
        if runs != [first]:
            features = codes(tool, folder, split)
        for run in (run for run in runs if run != first):
            yield timed(run, by_shallow, run, features, split)
