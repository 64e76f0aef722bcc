# SPDX-License-Identifier: Apache-2.0
"""The methods that our core trains, through the tool alone: `deepsad train`, `score`,
`evaluate` and `encode`, one thread each.

  deepsad      the recipe as it is, on unlabeled rows and labelled anomalies
  deepsvdd     the same without the labelled rows (for `default`, whose cold start is another
               method: its networks alone, cold_start=networks, insurance and autoencoder off)
  autoencoder  reconstruction error of the same encoder with its decoder, unlabeled rows
  classifier   unlabeled against labelled rows, cross-entropy, on the same encoder

The `reference` recipe holds no rows out for its p-values here (calibration=0), as the paper
trains on all; and MNIST has the paper's smaller LeNet. All else is the recipe's own choice."""
import json
import subprocess

import numpy as np

import splits

METHODS = ("deepsad", "deepsvdd", "autoencoder", "classifier")
SUPERVISED = ("deepsad", "classifier")
RECIPES = ("reference", "default")
ENTROPY_METHODS = ("deepsad", "deepsvdd")

NETWORKS = {"mnist": "conv:8,pool,conv:4,pool,rep:{}",
            "fashion": "conv:16,pool,conv:32,pool,dense:128,rep:{}",
            "cifar": "conv:32,pool,conv:64,pool,conv:128,pool,rep:{}"}
OWN_REP = {"mnist": 32, "fashion": 64, "cifar": 128}


class Tool:
    """`program`: path of deepsad; raises RuntimeError with its words where it fails."""

    def __init__(self, program):
        self.program = program

    def run(self, *arguments):
        """The last JSON object that it prints, or None."""
        command = [self.program, *map(str, arguments), "--json"]
        done = subprocess.run(command, check=False, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
        lines = done.stdout.strip().splitlines()
        return json.loads(lines[-1]) if lines else None


def settings(run):
    """What --set says beyond the recipe, by the run."""
    method = "deepsad" if run.method == "deepsvdd" else run.method
    chosen = {"reservoir": 0}
    if method != "deepsad":
        chosen["method"] = method
    if run.method == "deepsvdd" and run.recipe == "default":
        chosen.update(cold_start="networks", insurance="off", autoencoder="off")
    if run.eta not in ("", 1):
        chosen["eta"] = run.eta
    if run.recipe == "reference":
        chosen["calibration"] = 0
        if run.epochs != "":
            chosen.update(epochs=run.epochs, pretrain_epochs=run.epochs)
    if run.rep != "":
        chosen["network"] = NETWORKS[run.set].format(run.rep)
    elif run.recipe == "reference" and run.set == "mnist":
        chosen["network"] = "mnist-lenet"
    return [f"--set={key}={value}" for key, value in chosen.items()]


def train(tool, folder, split, run):
    """Trains into folder/model on what the method may see; the seconds that it took."""
    rows = np.full(len(split.train_labels), True)
    if run.method not in SUPERVISED:
        rows = split.train_labels == splits.UNLABELED
    np.save(folder / "train.npy", split.train_x[rows])
    np.save(folder / "labels.npy", split.train_labels[rows])
    return tool.run("train", folder / "train.npy", "--labels", folder / "labels.npy",
                    "--out", folder / "model", "--recipe", run.recipe, "--seed", run.seed,
                    "--threads", 1, *settings(run))["seconds"]


def scores(tool, folder, split):
    np.save(folder / "test.npy", split.test_x)
    tool.run("score", folder / "model", folder / "test.npy", "--output", folder / "scores.npy")
    return np.load(folder / "scores.npy")[:, 0]


def entropies(tool, folder, split, seed):
    """Of the latent representations: the test's normal rows, its anomalies, and rows that were
    unlabeled in training; as many of each, for a bound by the covariance of few rows is low
    for their number alone."""
    parts = [np.flatnonzero(split.train_labels == splits.UNLABELED),
             np.flatnonzero(split.truth == splits.NORMAL),
             np.flatnonzero(split.truth == splits.ANOMALOUS)]
    count, shuffled = min(map(len, parts)), splits.generator("entropy", seed)
    unlabeled, *tested = [shuffled.permutation(part)[:count] for part in parts]
    np.save(folder / "entropy.npy", np.concatenate([
        split.train_x[unlabeled], split.test_x[np.concatenate(tested)]]))
    np.save(folder / "truth.npy", np.repeat(
        np.array([splits.UNLABELED, splits.NORMAL, splits.ANOMALOUS], np.int8), count))
    measured = tool.run("evaluate", folder / "model", folder / "entropy.npy", "--labels",
                        folder / "truth.npy")["latent_entropy"]
    return {f"entropy_{part}": measured.get(part)
            for part in ("normal", "unlabeled", "anomalous")}


def encode(tool, folder, x):
    """The representations of x by folder/model."""
    np.save(folder / "rows.npy", x)
    tool.run("encode", folder / "model", folder / "rows.npy", "--output", folder / "codes.npy")
    return np.load(folder / "codes.npy")
