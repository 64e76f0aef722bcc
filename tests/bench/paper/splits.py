# SPDX-License-Identifier: Apache-2.0
"""The paper's semi-supervised setting: which rows train, which are labelled, which test.

Of n unlabeled rows and m labelled anomalies, gamma_l = m / (n + m); of the unlabeled rows the
share gamma_p is anomalies. All training rows of the normal class are unlabeled rows, so the
other two counts follow. Anomalies of all kinds pollute; only known kinds are labelled; a row
is never both. A split depends on set, seed and setting alone, so all methods get the same
rows; with the same seed, more labels or more pollution contain the fewer.

Training and test rows are disjoint: the image sets' own parts, and 60/40 of each class of a
table by row index."""
import collections
import zlib

import numpy as np

KINDS = 10
TEST_SHARE = 0.4
UNLABELED, NORMAL, ANOMALOUS = 0, 1, -1

# train_labels: UNLABELED or ANOMALOUS; truth: NORMAL or ANOMALOUS;
# novel: test rows that are anomalies of a kind without any label, or None
Split = collections.namedtuple("Split", "train_x train_labels test_x truth novel")


def generator(*what):
    """A random generator for this purpose, independent of all others."""
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


def count_at(ratio, others):
    """How many rows make up the share `ratio` together with `others` others."""
    return round(ratio / (1 - ratio) * others)


def taken(rows, count, what):
    if count > len(rows):
        raise ValueError(f"{what}: {count} rows are needed, there are {len(rows)}")
    return rows[:count]


def known_kinds(name, normal, k_l, seed):
    """k_l of the nine anomaly classes, drawn by the seed."""
    others = [kind for kind in range(KINDS) if kind != normal]
    drawn = generator("kinds", name, normal, seed).permutation(others)[:k_l]
    return tuple(sorted(int(kind) for kind in drawn))


def training_rows(normal, anomalies, known, run):
    """Rows (unlabeled, labelled): `anomalies` are all, shuffled; `known` says which of them
    may be labelled."""
    hidden = taken(anomalies, count_at(run.gamma_p, len(normal)), "pollution")
    unlabeled = np.concatenate([normal, hidden])
    candidates = anomalies[len(hidden):][known[len(hidden):]]
    count = count_at(run.gamma_l, len(unlabeled))
    return unlabeled, taken(candidates, count, "labelled anomalies")


def assemble(x, unlabeled, labelled, seed):
    """(x, labels) in random order, for no trainer may learn from the order."""
    rows = np.concatenate([unlabeled, labelled])
    labels = np.full(len(rows), UNLABELED, np.int8)
    labels[len(unlabeled):] = ANOMALOUS
    order = generator("order", seed).permutation(len(rows))
    return x[rows[order]], labels[order]


def of_images(images, run):
    kinds = [int(kind) for kind in run.known.split("-")] if run.known else []
    y, shuffled = images.train_y, generator("rows", run.set, run.normal, run.seed)
    normal = np.flatnonzero(y == run.normal)
    anomalies = shuffled.permutation(np.flatnonzero(y != run.normal))
    unlabeled, labelled = training_rows(normal, anomalies, np.isin(y[anomalies], kinds), run)
    x, labels = assemble(images.train_x, unlabeled, labelled, run.seed)
    truth = np.where(images.test_y == run.normal, NORMAL, ANOMALOUS).astype(np.int8)
    novel = (truth == ANOMALOUS) & ~np.isin(images.test_y, kinds) if kinds else None
    return Split(x, labels, images.test_x, truth, novel)


def of_table(table, run):
    shuffled = generator("rows", run.set, run.seed)
    parts = []
    for rows in (np.flatnonzero(~table.anomalous), np.flatnonzero(table.anomalous)):
        rows = shuffled.permutation(rows)
        parts.append(np.split(rows, [round(len(rows) * (1 - TEST_SHARE))]))
    (normal, test_normal), (anomalies, test_anomalies) = parts
    unlabeled, labelled = training_rows(normal, anomalies, np.full(len(anomalies), True), run)
    x, labels = assemble(table.x, unlabeled, labelled, run.seed)
    test = np.concatenate([test_normal, test_anomalies])
    truth = np.where(table.anomalous[test], ANOMALOUS, NORMAL).astype(np.int8)
    return Split(x, labels, table.x[test], truth, None)


def of(sources, run):
    """The split of a run, by its set, normal, known, gamma_l, gamma_p and seed."""
    if run.normal == "":
        return of_table(sources.table(run.set), run)
    return of_images(sources.images(run.set), run)
