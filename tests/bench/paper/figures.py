# SPDX-License-Identifier: Apache-2.0
"""Measures of scores: area under the ROC curve, average precision. The higher a score, the
more anomalous; `anomalous` is a mask. Ties count one half, and as one step, respectively."""
import numpy as np


def auc_roc(scores, anomalous):
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    positives, negatives = anomalous.sum(), (~anomalous).sum()
    if not positives or not negatives:
        return float("nan")
    above = ranks[anomalous].sum() - positives * (positives + 1) / 2
    return float(above / positives / negatives)


def average_precision(scores, anomalous):
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(anomalous[order])
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    recall = hits[last] / max(hits[-1], 1)
    return float(np.sum(np.diff(recall, prepend=0) * hits[last] / (last + 1)))


def of(scores, split):
    """A run's figures from the scores of its test rows."""
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    anomalous = split.truth < 0
    figures = {"auc_roc": auc_roc(scores, anomalous),
               "auc_pr": average_precision(scores, anomalous)}
    if split.novel is not None and split.novel.any():
        rows = ~anomalous | split.novel
        figures["auc_novel"] = auc_roc(scores[rows], anomalous[rows])
    return figures
