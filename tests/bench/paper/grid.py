# SPDX-License-Identifier: Apache-2.0
"""The paper's tables as lists of runs.

A run is named by its settings alone, so that what two tables ask for is run once. What a
method does not depend on is empty: without labels there is no known class, no gamma_l; the
raw shallow methods have no recipe."""
import collections
import itertools

import core
import journal
import shallow
import splits

Run = collections.namedtuple("Run", journal.KEY)
# One place in a table: the runs that fill it differ in class, known class and seed alone.
# `parameter`: the value on the plot's x axis; `set`: of the plot; `recipe`: as it is shown
Point = collections.namedtuple("Point", "table set parameter method recipe")

RATIOS = (0.0, 0.01, 0.05, 0.1, 0.2)
ETAS = (0.01, 0.1, 1.0, 10.0, 100.0)
REPS = (16, 32, 64, 128, 256, 512)
METHODS = (*core.METHODS, *shallow.RAW, *shallow.HYBRID)
ENCODED = ("deepsad", "autoencoder", *shallow.HYBRID)

Table = collections.namedtuple("Table", "parameter values title methods")
TABLES = {
    "ratio": Table("gamma_l", RATIOS, "ratio of labelled anomalies (no pollution)", METHODS),
    "pollution": Table("gamma_p", RATIOS, "pollution of the unlabeled rows (gamma_l = .05)",
                       METHODS),
    "classes": Table("k_l", (0, 1, 2, 3, 5),
                     "number of known anomaly classes (gamma_l = .05, gamma_p = .1)", METHODS),
    "eta": Table("eta", ETAS, "weight eta of labelled rows (gamma_l = .05, gamma_p = .1)",
                 ("deepsad",)),
    "rep": Table("rep", REPS, "dimension of the representation (gamma_l = .05, gamma_p = .1)",
                 ENCODED),
    "classic": Table("gamma_l", (0.0, 0.01), "classic benchmark (60/40 splits)", METHODS)}


def point_settings(table, value):
    """gamma_l, gamma_p, k_l and what else the value of the table's parameter says."""
    chosen = {"gamma_l": 0.05, "gamma_p": 0.1, "k_l": 1, "eta": 1.0, "rep": ""}
    if table in ("ratio", "classic"):
        chosen["gamma_p"] = 0.0
    chosen[TABLES[table].parameter] = value
    if not chosen["k_l"]:
        chosen["gamma_l"] = 0.0
    return chosen


def canonical(run):
    """Without what the method does not depend on; None where it cannot be run."""
    if run.method == "classifier" and not run.gamma_l:
        return None
    if run.method == "deepsad" and run.recipe == "reference" and not run.gamma_l:
        run = run._replace(method="deepsvdd")
    if run.method not in core.SUPERVISED or not run.gamma_l:
        run = run._replace(known="", k_l=0, gamma_l=0.0)
    if run.method not in ("deepsad", "classifier") or not run.gamma_l:
        run = run._replace(eta="")
    if run.method in shallow.RAW:
        run = run._replace(recipe="", rep="", epochs="")
    if run.method.removesuffix("-hybrid") not in shallow.CAPPED:
        run = run._replace(rows="")
    if run.recipe == "default":
        run = run._replace(epochs="")
    if run.rep == core.OWN_REP.get(run.set) and run.recipe == "reference":
        run = run._replace(rep="")
    return run


def knowns(table, name, normal, k_l, seed, options):
    """What may be the known classes. With one of them (ratio, pollution, eta, rep): each of
    the options' number in turn; else drawn by the seed, as in the paper."""
    if table == "classes":
        return ["-".join(map(str, splits.known_kinds(name, normal, k_l, seed)))]
    return [str((normal + i) % splits.KINDS) for i in range(1, options.known + 1)]


def places(table, name, value, seed, options):
    """(normal, known, k_l) by run."""
    if table == "classic":
        return [("", "", 0)]
    k_l = point_settings(table, value)["k_l"]
    return [(normal, known, k_l) for normal in options.classes
            for known in knowns(table, name, normal, k_l, seed, options)]


def methods_of(table, options):
    """[(method, recipe)]"""
    return [(method, recipe) for method in TABLES[table].methods if method in options.methods
            for recipe in ([""] if method in shallow.RAW else options.recipes)]


def label_of(run):
    """The recipe, and that it was cut short."""
    return run.recipe + (f", {run.epochs} epochs" if run.epochs != "" else "")


def values_of(table, options):
    return [value for value in TABLES[table].values
            if options.values is None or value in options.values]


def table_runs(table, seed, options):
    """(point, run), a run as often as points ask for it."""
    names = options.classic if table == "classic" else options.sets
    for name, value in itertools.product(names, values_of(table, options)):
        for (normal, known, k_l), (method, recipe) in itertools.product(
                places(table, name, value, seed, options), methods_of(table, options)):
            run = canonical(Run(**{
                **point_settings(table, value), "set": name, "normal": normal, "known": known,
                "k_l": k_l, "method": method, "recipe": recipe, "rows": options.rows,
                "epochs": options.epochs_of(name), "seed": seed}))
            if run:
                yield Point(table, name, value, method, label_of(run)), run


def plan(options):
    """[(point, run)], in the order in which they are best run: seed by seed."""
    return [pair for seed in range(1, max(map(options.seeds_of, options.tables)) + 1)
            for table in options.tables if seed <= options.seeds_of(table)
            for pair in table_runs(table, seed, options)]
