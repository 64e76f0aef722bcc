# SPDX-License-Identifier: Apache-2.0
"""The shallow methods, on raw features or (hybrid) on the codes of our autoencoder. All train
on the unlabeled rows alone.

  ocsvm    scikit-learn's OneClassSVM, rbf kernel, nu = .1, gamma the best of 2^-7 .. 2^2
           by AUC on a tenth of the test rows with their truth: as in the paper, a known
           advantage
  iforest  scikit-learn's IsolationForest, 100 trees of 256 rows, as in the paper
  kde      Gaussian kernel; bandwidth by 5-fold cross-validation of the log-likelihood over
           2^.5 .. 2^5, as in the paper. The log-density of sklearn.neighbors.KernelDensity,
           but by matrix products, with distances that all bandwidths share: exact, and
           minutes faster in 784 dimensions

ocsvm and kde train on at most `rows` rows, drawn at random (0: all), as their cost grows with
the square. Raw features: pixels / 255; tables standardised, then scaled to [0, 1], fit on the
training rows; codes are taken as they are. Missing values are the training median."""
import numpy as np

import figures
import splits

RAW = ("ocsvm", "iforest", "kde")
HYBRID = ("ocsvm-hybrid", "iforest-hybrid", "kde-hybrid")
CAPPED = ("ocsvm", "kde")
NU = 0.1
GAMMAS = [2.0**e for e in range(-7, 3)]
BANDWIDTHS = [2.0**(e / 2) for e in range(1, 11)]
FOLDS = 5
CHUNK = 1000


def raw_features(train, test):
    if train.dtype == np.uint8:
        return [x.reshape(len(x), -1) / np.float32(255) for x in (train, test)]
    median = np.nanmedian(train, axis=0)
    train, test = (np.where(np.isnan(x), median, x).astype(float) for x in (train, test))
    mean, spread = train.mean(axis=0), train.std(axis=0)
    spread[spread == 0] = 1
    train, test = (train - mean) / spread, (test - mean) / spread
    low, width = train.min(axis=0), np.ptp(train, axis=0)
    width[width == 0] = 1
    return (train - low) / width, (test - low) / width


def squared_distances(a, b):
    products = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
    return np.maximum(products, 0)


def log_density(distances, bandwidth, dimensions):
    """Of each row of distances (rows, trained), squared, a Gaussian kernel's."""
    exponents = -distances / (2 * bandwidth**2)
    top = exponents.max(axis=1)
    total = top + np.log(np.exp(exponents - top[:, None]).sum(axis=1))
    return total - np.log(distances.shape[1]) - dimensions / 2 * np.log(2 * np.pi * bandwidth**2)


def best_bandwidth(train, seed):
    distances = squared_distances(train, train)
    folds = np.array_split(splits.generator("folds", seed).permutation(len(train)), FOLDS)

    def likelihood(bandwidth):
        total = 0
        for fold in folds:
            rest = np.setdiff1d(np.arange(len(train)), fold)
            total += log_density(distances[np.ix_(fold, rest)], bandwidth,
                                 train.shape[1]).mean()
        return total
    return max(BANDWIDTHS, key=likelihood)


def in_parts(function, test, train):
    """function(squared distances of a part of the test rows to the trained ones), joined."""
    parts = np.array_split(test, -(-len(test) // CHUNK))
    return np.concatenate([function(squared_distances(part, train)) for part in parts])


def kde(train, test, _, seed):
    bandwidth = best_bandwidth(train, seed)
    return -in_parts(lambda distances: log_density(distances, bandwidth, train.shape[1]), test,
                     train)


def validation_rows(anomalous, seed):
    """A tenth of the test rows, of both classes alike."""
    shuffled = splits.generator("validation", seed)
    return np.concatenate([
        shuffled.permutation(np.flatnonzero(part))[:max(1, part.sum() // 10)]
        for part in (anomalous, ~anomalous)])


def ocsvm(train, test, anomalous, seed):
    """The rbf kernel is computed here: the distances serve all gammas."""
    from sklearn.svm import OneClassSVM
    rows = validation_rows(anomalous, seed)
    within, between = squared_distances(train, train), squared_distances(test[rows], train)
    best = (-1, None, None)
    for gamma in GAMMAS:
        model = OneClassSVM(kernel="precomputed", nu=NU).fit(np.exp(-gamma * within))
        scores = -model.decision_function(np.exp(-gamma * between))
        auc = figures.auc_roc(scores, anomalous[rows])
        if auc > best[0]:
            best = auc, gamma, model
    _, gamma, model = best
    return in_parts(lambda distances: -model.decision_function(np.exp(-gamma * distances)),
                    test, train)


def iforest(train, test, _, seed):
    from sklearn.ensemble import IsolationForest
    forest = IsolationForest(n_estimators=100, max_samples=min(256, len(train)),
                             random_state=seed, n_jobs=1)
    return -forest.fit(train).score_samples(test)


def scores(method, train, test, anomalous, run):
    """Of the test rows. train: features or codes of the unlabeled rows."""
    train, test = train.astype(float), test.astype(float)
    name = method.removesuffix("-hybrid")
    if name in CAPPED and 0 < run.rows < len(train):
        drawn = splits.generator("drawn", run.seed).permutation(len(train))[:run.rows]
        train = train[drawn]
    return {"ocsvm": ocsvm, "iforest": iforest, "kde": kde}[name](train, test, anomalous,
                                                                  run.seed)
