# SPDX-License-Identifier: Apache-2.0
"""From single runs to a table's points: mean, standard deviation (over runs: classes, known
classes and seeds, as in the paper), number of runs and seeds, wall time."""
import collections
import csv

import numpy as np

import journal

COLUMNS = ("table", "set", "parameter", "value", "method", "recipe", "runs", "missing", "seeds",
           "auc_mean", "auc_std", "ap_mean", "ap_std", "auc_novel_mean", "auc_novel_std",
           "train_seconds_mean", "wall_seconds_mean", "wall_seconds_sum")
ENTROPY_COLUMNS = ("set", "recipe", "gamma_l", "runs", "normal_mean", "normal_std",
                   "unlabeled_mean", "unlabeled_std", "anomalous_mean", "anomalous_std",
                   "normal_lower")
PARTS = ("normal", "unlabeled", "anomalous")

# runs: [(run, figures)] of those that finished; missing: how many have not
Cell = collections.namedtuple("Cell", "runs missing")


def cells(pairs, results):
    """{point: Cell} of [(point, run)], by the journal."""
    runs = collections.defaultdict(dict)
    for point, run in pairs:
        runs[point][run] = results.of(run)
    return {point: Cell([(run, found) for run, found in those.items() if found],
                        sum(found is None for found in those.values()))
            for point, those in runs.items()}


def column(cell, name):
    return np.array([found[name] for _, found in cell.runs if found[name] is not None], float)


def mean_std(values):
    """Standard deviation of a sample; NaN of none, 0 of one."""
    if not len(values):
        return np.nan, np.nan
    return values.mean(), values.std(ddof=1) if len(values) > 1 else 0.0


def row_of(point, cell, parameter):
    wall = column(cell, "wall_seconds")
    return (point.table, point.set, parameter, point.parameter, point.method, point.recipe,
            len(cell.runs), cell.missing, len({run.seed for run, _ in cell.runs}),
            *mean_std(column(cell, "auc_roc")), *mean_std(column(cell, "auc_pr")),
            *mean_std(column(cell, "auc_novel")), mean_std(column(cell, "train_seconds"))[0],
            mean_std(wall)[0], wall.sum())


def cell_text(value):
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6g}"
    return journal.text(value)


def write_csv(path, columns, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([cell_text(value) for value in row] for row in rows)


def lines_of(found):
    """A table to read: a line for each method, a column for each value; AUC in %."""
    values = sorted({point.parameter for point in found})
    methods = list(dict.fromkeys((point.method, point.recipe) for point in found))
    by_place = {(point.method, point.recipe, point.parameter): cell
                for point, cell in found.items()}
    yield f"  {'':37}" + "".join(f"{value:>15g}" for value in values)
    for method, recipe in methods:
        line = f"  {method + (f' ({recipe})' if recipe else ''):37}"
        for value in values:
            cell = by_place.get((method, recipe, value))
            line += f"{auc_text(cell):>15}"
        yield line


def auc_text(cell):
    if not cell or not cell.runs:
        return "-"
    mean, std = mean_std(column(cell, "auc_roc"))
    return f"{100 * mean:.1f} ±{100 * std:4.1f}" + ("*" if cell.missing else " ")


def entropy_row(point, cell):
    """Nothing where no run has both entropies."""
    both = [found for _, found in cell.runs
            if found["entropy_normal"] is not None and found["entropy_anomalous"] is not None]
    if not both:
        return None
    lower = sum(found["entropy_normal"] < found["entropy_anomalous"] for found in both)
    spread = [value for part in PARTS for value in mean_std(column(cell, f"entropy_{part}"))]
    return (point.set, point.recipe, point.parameter, len(both), *spread, lower)


def entropy_rows(found):
    """Of Deep SAD's points in the tables by gamma_l."""
    rows = (entropy_row(point, cell) for point, cell in found.items()
            if point.method == "deepsad" and point.table in ("ratio", "classic"))
    return [row for row in rows if row]


def entropy_text(mean, std):
    return "-" if np.isnan(mean) else f"{mean:.1f} ±{std:5.1f}"


def entropy_lines(rows):
    yield f"  {'':22} gamma_l  {'normal':>16} {'unlabeled':>16} {'anomalous':>16}   normal lower"
    for name, recipe, gamma_l, runs, *spread, lower in rows:
        means = " ".join(f"{entropy_text(*spread[i:i + 2]):>16}" for i in (0, 2, 4))
        yield f"  {f'{name} ({recipe})':22} {gamma_l:7g}  {means}   in {lower} of {runs} runs"
