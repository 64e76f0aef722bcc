# SPDX-License-Identifier: Apache-2.0
"""The bench of the paper's experiments: its splits, its journal, and a tiny grid from end to
end. Without scikit-learn and gnuplot, whose part the bench does without here."""
import argparse
import csv
import os
import pathlib
import sys

import numpy as np
import pytest

from conftest import run

PAPER = pathlib.Path(__file__).parent.parent / "bench" / "paper"
sys.path.insert(0, str(PAPER))

import figures  # noqa: E402
import grid  # noqa: E402
import journal  # noqa: E402
import sets  # noqa: E402
import splits  # noqa: E402

RUN = grid.Run(set="fashion", normal=3, known="1-7", k_l=2, gamma_l=0.05, gamma_p=0.1, eta=1.0,
               rep="", method="deepsad", recipe="default", epochs="", rows=2000, seed=1)


@pytest.fixture
def pictures():
    """Ten classes of 200 training rows; a row's first pixels are its number."""
    x = np.zeros((2000, 4, 4), np.uint8)
    x[:, 0, 0], x[:, 0, 1] = np.divmod(np.arange(2000), 256)
    y = np.arange(2000) % 10
    return sets.Images(x, y, x[:100], y[:100], note="")


def rows_of(x):
    return x[:, 0, 0].astype(int) * 256 + x[:, 0, 1]


def test_a_split_has_the_ratios_of_the_paper_and_labels_known_classes_alone(pictures):
    split = splits.of(argparse.Namespace(images=lambda _: pictures), RUN)
    rows, labelled = rows_of(split.train_x), split.train_labels == splits.ANOMALOUS
    hidden = rows[~labelled][rows[~labelled] % 10 != 3]
    assert len(set(rows)) == len(rows)
    assert len(hidden) / (~labelled).sum() == pytest.approx(0.1, abs=0.003)
    assert labelled.mean() == pytest.approx(0.05, abs=0.003)
    assert set(rows[labelled] % 10) == {1, 7}
    assert len(set(hidden % 10)) > 4
    assert (rows[~labelled] % 10 == 3).sum() == 200


def test_more_labels_contain_the_fewer(pictures):
    source = argparse.Namespace(images=lambda _: pictures)
    few, many = (splits.of(source, RUN._replace(gamma_l=ratio)) for ratio in (0.01, 0.1))
    chosen = [set(rows_of(split.train_x[split.train_labels < 0])) for split in (few, many)]
    assert chosen[0] < chosen[1]


def test_no_row_of_a_table_is_both_trained_on_and_tested():
    table = sets.Table(np.arange(500, dtype=np.float32)[:, None], np.arange(500) % 10 == 0)
    split = splits.of(argparse.Namespace(table=lambda _: table),
                      RUN._replace(set="cardio", normal="", known="", gamma_p=0.0))
    assert not set(split.train_x[:, 0]) & set(split.test_x[:, 0])
    assert len(split.test_x) == 200 and (split.truth < 0).sum() == 20


def test_what_a_method_does_not_depend_on_is_not_in_its_run():
    svdd = grid.canonical(RUN._replace(method="deepsvdd"))
    assert (svdd.known, svdd.gamma_l, svdd.gamma_p, svdd.eta) == ("", 0.0, 0.1, "")
    assert grid.canonical(RUN._replace(method="classifier", gamma_l=0.0)) is None
    unlabelled = RUN._replace(recipe="reference", gamma_l=0.0)
    assert grid.canonical(unlabelled).method == "deepsvdd"


def test_a_journal_goes_on_after_a_line_cut_short(tmp_path):
    path = tmp_path / "runs.csv"
    journal.Journal(path).add("ratio", RUN, {"auc_roc": 0.5, "wall_seconds": 1})
    path.write_bytes(path.read_bytes() + b"ratio,fashion,3,")
    again = journal.Journal(path)
    assert again.of(RUN)["auc_roc"] == 0.5
    again.add("ratio", RUN._replace(seed=2), {"auc_roc": 0.75})
    assert len(journal.Journal(path).figures) == 2


def test_measures_count_ties_as_scikit_learn_does():
    scores, anomalous = np.array([1, 2, 2, 3, 0.0]), np.array([0, 0, 1, 1, 0]) == 1
    assert figures.auc_roc(scores, anomalous) == pytest.approx(5.5 / 6)
    assert figures.average_precision(scores, anomalous) == pytest.approx(0.5 + 0.5 * 2 / 3)


def write_idx(path, array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(head + array.tobytes())


def write_data(folder):
    """Images 8 x 8 of two brightnesses by class, and a table named thyroid."""
    rng = np.random.default_rng(0)
    (folder / "mnist").mkdir()
    for part, count in (("train", 600), ("t10k", 100)):
        y = (np.arange(count) % 10).astype(np.uint8)
        x = rng.integers(0, 60, (count, 8, 8)) + 15 * y[:, None, None]
        write_idx(folder / "mnist" / f"{part}-images-idx3-ubyte", x.astype(np.uint8))
        write_idx(folder / "mnist" / f"{part}-labels-idx1-ubyte", y)
    with open(folder / "thyroid.csv", "w", encoding="utf-8") as file:
        file.write("a,b,label\n")
        for i in range(300):
            a, b = rng.normal(size=2) + (4 if i % 15 == 0 else 0)
            file.write(f"{a},{b},{'anomalous' if i % 15 == 0 else 'normal'}\n")


def run_bench(folder, deepsad):
    return run(sys.executable, "-B", PAPER / "run.py", "--data", folder, "--out", folder / "out",
               "--deepsad", deepsad, "--tables", "ratio,classic", "--sets", "mnist,thyroid",
               "--methods", "deepsad,deepsvdd", "--recipes", "default", "--values", "0,0.01,0.1",
               "--classes", "0", "--seeds", "1", "--jobs", "2")


def test_a_grid_runs_once_and_is_summed_up(tmp_path, deepsad):
    write_data(tmp_path)
    run_bench(tmp_path, deepsad)
    runs = (tmp_path / "out" / "runs.csv").read_bytes()
    with open(tmp_path / "out" / "ratio.csv", encoding="utf-8") as file:
        points = {(row["method"], row["value"]): row for row in csv.DictReader(file)}
    assert set(points) == {(m, v) for m in ("deepsad", "deepsvdd") for v in ("0", "0.01", "0.1")}
    assert float(points["deepsad", "0.1"]["auc_mean"]) > 0.9
    assert os.path.exists(tmp_path / "out" / "plots" / "classic-gamma_l=0.01.gp")
    second = run_bench(tmp_path, deepsad)
    assert "7 runs, 7 of them finished before" in second.stdout
    assert (tmp_path / "out" / "runs.csv").read_bytes() == runs
