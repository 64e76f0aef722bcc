#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The experiments of the Deep SAD paper (arXiv 1906.02694, section 4 and appendix), with its
methods side by side on the same splits.

usage: /usr/bin/python3 tests/bench/paper/run.py --data FOLDER [options]
       make bench-paper DATA=FOLDER [TABLE=ratio] [FULL=1] [FASHION=FOLDER] [OUT=build/paper]
            [PAPER="further options"]; make bench-paper-ratio DATA=FOLDER and so on

Data, in FOLDER: mnist/ and fashion-mnist/ (IDX, .gz or not; Fashion-MNIST is else taken from
Debian's dataset-fashion-mnist), cifar-10-batches-bin/ (the binary batches), and CSV files
NAME.csv of the classic benchmark: features, then label (normal, anomalous). What is not there
is left out. Tables:

  ratio      gamma_l 0, .01, .05, .10, .20; one known anomaly class, no pollution
  pollution  gamma_p 0, .01, .05, .10, .20 at gamma_l .05; all nine classes pollute
  classes    k_l = 0, 1, 2, 3, 5 known classes, drawn by the seed; gamma_l .05, gamma_p .10
  eta        1e-2 .. 1e2, gamma_l .05, gamma_p .10
  rep        dimension of the representation 16 .. 512, gamma_l .05, gamma_p .10
  classic    six tables, 60/40 of each class, gamma_l 0 and .01

Each of ten classes is normal in turn, all others are anomalies in the test. Methods: core.py
(ours), shallow.py (scikit-learn's). What is asked for without --full is a part that takes
about an hour on two cores (an estimate); --full is the paper's grid, which takes days. Two
minutes of it, all methods on MNIST's zeros without and with labelled anomalies:

  make bench-paper-ratio DATA=FOLDER \\
      PAPER="--sets mnist --classes 0 --values 0,0.05 --recipes default"

Written to OUT: runs.csv, a line for each finished run (a second start goes on from there, also
with other options); of what this start asked for, TABLE.csv (mean, standard deviation, runs,
seeds, wall time), entropy-TABLE.csv, and plots/*.svg. Ctrl-C ends it; what has finished stays.

Latent entropy (Gaussian bound, nats) of Deep SAD's runs: of the test's normal rows, of its
anomalies, and of rows that were unlabeled in training. The paper's claim is that normal is
lower than anomalous."""
import argparse
import os
import pathlib
import signal
import sys
import tempfile

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # before numpy; workers are many
    os.environ[name] = "1"

import core
import grid
import journal
import measure
import plots
import progress
import sets
import shallow
import splits
import summary
import workers

FAIRNESS = """\
What this comparison does not repeat of the authors' code: there, pretrained encoder weights are
never loaded (no key matches), tabular test rows are also training rows, and test data is scaled
by a scaler of its own. Here pretrained weights are the start of the training, training and test
rows are disjoint by index, and test rows are scaled by the scaler of the training rows.
"""
QUICK_SETS = ("mnist", "fashion", "cifar")
# The reference recipe's own 150 would take minutes a run on the larger networks.
QUICK_EPOCHS = {"fashion": 15, "cifar": 5}
CLASSES = {False: [0, 5], True: list(range(splits.KINDS))}
KNOWN = {False: 1, True: splits.KINDS - 1}
SEEDS = {False: {"classic": 3}, True: {"classic": 10, "classes": 10}}
ROWS = {False: 2000, True: 5000}


# ---- Options -------------------------------------------------------------------------------

def names(among):
    def parse(text):
        chosen = text.replace(",", " ").split()
        for name in chosen:
            if name not in among:
                raise argparse.ArgumentTypeError(f"{name}: not one of {', '.join(among)}")
        return chosen
    return parse


def numbers(kind, low, high):
    def parse(text):
        try:
            chosen = [kind(word) for word in text.replace(",", " ").split()]
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text}: not numbers") from error
        if not chosen or not all(low <= number <= high for number in chosen):
            raise argparse.ArgumentTypeError(f"{text}: from {low} to {high}")
        return chosen
    return parse


def number(low, high):
    return lambda text: numbers(int, low, high)(text)[0]


def parser():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", metavar="FOLDER", help="of the sets, see above")
    p.add_argument("--fashion", metavar="FOLDER", help="Fashion-MNIST's, if elsewhere")
    p.add_argument("--out", default="build/paper", type=pathlib.Path, help="default: build/paper")
    p.add_argument("--deepsad", default="build/deepsad", help="the program to be measured")
    p.add_argument("--tables", type=names(tuple(grid.TABLES)), default=list(grid.TABLES),
                   help="default: all")
    p.add_argument("--full", action="store_true", help="the paper's whole grid")
    p.add_argument("--sets", type=names(sets.IMAGES + sets.CLASSIC),
                   help="of " + ", ".join(sets.IMAGES + sets.CLASSIC) + "; default: all that "
                        "are there, but without --full of images the first alone")
    p.add_argument("--classes", type=numbers(int, 0, 9),
                   help="normal classes (default: 0 and 5, with --full all)")
    p.add_argument("--known", type=number(1, 9),
                   help="so many anomaly classes are the known one in turn (default: 1, with "
                        "--full all nine)")
    p.add_argument("--methods", type=names(grid.METHODS), default=grid.METHODS,
                   help="of " + ", ".join(grid.METHODS))
    p.add_argument("--recipes", type=names(core.RECIPES), default=core.RECIPES,
                   help="of our methods: " + ", ".join(core.RECIPES) + " (default: both)")
    p.add_argument("--values", type=numbers(float, 0, 1e6),
                   help="of the tables' parameter, these alone")
    p.add_argument("--seeds", type=number(1, 10**6),
                   help="seeds 1 to this one (default: 1, of classic 3; with --full of classic "
                        "and classes 10)")
    p.add_argument("--epochs", type=number(1, 10**6),
                   help="of the reference recipe (default: its own, 150; without --full 15 for "
                        "Fashion-MNIST and 5 for CIFAR-10)")
    p.add_argument("--rows", type=number(0, 10**6),
                   help="training rows of OC-SVM and KDE at most, 0 = all (default: 2000, with "
                        "--full 5000)")
    p.add_argument("--jobs", type=number(1, 10**6), default=os.cpu_count(),
                   help="runs at once (default: one for each core)")
    p.add_argument("--list", action="store_true", help="only say what would be run")
    return p


def complete(options, sources):
    """The options with what depends on --full and on the data that is there."""
    full = options.full
    options.classes = options.classes or CLASSES[full]
    options.known = options.known or KNOWN[full]
    epochs = options.epochs
    options.epochs_of = lambda name: epochs or ("" if full else QUICK_EPOCHS.get(name, ""))
    options.rows = ROWS[full] if options.rows is None else options.rows
    seeds = options.seeds
    options.seeds_of = lambda table: seeds or SEEDS[full].get(table, 1)
    asked = options.sets
    found = [name for name in sets.IMAGES + sets.CLASSIC
             if (not asked or name in asked) and sources.there(name)]
    for name in asked or []:
        if name not in found:
            raise ValueError(f"{name}: not found in {options.data}")
    options.classic = [name for name in found if name in sets.CLASSIC]
    options.sets = [name for name in found if name in sets.IMAGES]
    if not asked and not full:
        options.sets = [name for name in QUICK_SETS if name in options.sets][:1]
    return options


# ---- Running -------------------------------------------------------------------------------

def read_before_forking(runs, sources):
    """So that workers share the data, and scikit-learn's code."""
    for name in dict.fromkeys(run.set for run in runs):
        if name in sets.CLASSIC:
            sources.table(name)
        else:
            print(f"{name}: {sources.images(name).note}", flush=True)
    if any(run.method in shallow.RAW + shallow.HYBRID for run in runs):
        import sklearn.ensemble  # noqa: F401
        import sklearn.svm  # noqa: F401


def named(options, name):
    epochs = options.epochs_of(name)
    return name + (f" (reference: {epochs} EPOCHS, NOT THE PAPER'S 150)" if epochs else "")


def extent(options, table):
    """What of the paper's grid is asked for."""
    seeds = options.seeds_of(table)
    tail = f", {seeds} seed{'s' if seeds > 1 else ''}"
    classic = table == "classic"
    chosen = ", ".join(named(options, name) for name in
                       (options.classic if classic else options.sets)) or "no set found"
    if classic:
        return chosen + tail
    known = "drawn" if table == "classes" else f"{options.known} of 9"
    return (f"{chosen}; normal class {', '.join(map(str, options.classes))}; known classes: "
            f"{known}{tail}")


def announce(options, wanted, runs, durations):
    seconds, unknown = durations.left(runs, options.jobs)
    print(FAIRNESS)
    for table in options.tables:
        print(f"{table:10} {extent(options, table)}")
    known = f"about {progress.clock(seconds)} by finished runs of their kinds"
    parts = [known] if unknown < len(runs) else []
    parts += [f"{unknown} fits of kinds not yet timed"] if unknown else []
    print(f"{len(wanted)} runs, {len(wanted) - len(runs)} of them finished before; {len(runs)} "
          f"to go on {options.jobs} cores{': ' if parts else ''}{', and '.join(parts)}", flush=True)


def run_all(options, runs, tables, results, sources, durations):
    """How many failed."""
    shown = progress.Progress(runs, durations, options.jobs)
    tool, failed = core.Tool(options.deepsad), []

    def finish(task, result, error):
        if error:
            failed.append(task)
            shown.line(f"{progress.describe(task[0])}: {error}")
        elif result and result[0] in tables and results.of(result[0]) is None:
            run, figures = result
            results.add(tables[run], run, figures)
            shown.finished(run, figures)

    with tempfile.TemporaryDirectory(prefix="deepsad-paper-") as scratch:
        try:
            shown.draw()
            workers.run(measure.tasks(runs),
                        lambda task: measure.task(task, sources, tool, scratch), options.jobs,
                        finish)
        finally:
            shown.end()
    return len(failed)


def report(options, pairs, results):
    """Writes and prints what there is."""
    for table in options.tables:
        found = summary.cells([pair for pair in pairs if pair[0].table == table], results)
        if not any(cell.runs for cell in found.values()):
            continue
        shape = grid.TABLES[table]
        summary.write_csv(options.out / f"{table}.csv", summary.COLUMNS,
                          (summary.row_of(point, cell, shape.parameter)
                           for point, cell in found.items()))
        print(f"\n== {table}: {shape.title}; test AUC in %, mean ± std over runs"
              " (* some runs missing)")
        for name in dict.fromkeys(point.set for point in found):
            print(f"{name}, by {shape.parameter}")
            for line in summary.lines_of({p: c for p, c in found.items() if p.set == name}):
                print(line)
        drawn = plots.of_table(table, found) + report_entropy(options, table, found)
        for path in plots.draw(drawn, options.out / "plots"):
            print(f"plot: {path}")


def report_entropy(options, table, found):
    """The plots."""
    rows = summary.entropy_rows(found)
    if rows:
        summary.write_csv(options.out / f"entropy-{table}.csv", summary.ENTROPY_COLUMNS, rows)
        print("latent entropy of Deep SAD's runs, nats (Gaussian bound), mean ± std over runs")
        for line in summary.entropy_lines(rows):
            print(line)
    return plots.of_entropies(table, rows)


def main():
    options = parser().parse_args()
    sources = sets.Sources(options.data, options.fashion)
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, signal.default_int_handler)
    try:
        options = complete(options, sources)
        pairs = grid.plan(options)
        tables = {}
        for point, run in pairs:
            tables.setdefault(run, point.table)
        results = journal.Journal(options.out / "runs.csv")
    except (ValueError, OSError) as error:
        sys.exit(f"bench-paper: {error}")
    if not tables:
        sys.exit("bench-paper: nothing to run: no data for these tables; name its folder: "
                 "make bench-paper DATA=FOLDER")
    runs = [run for run in tables if results.of(run) is None]
    durations = progress.Durations()
    for key, figures in results.figures.items():
        durations.add(grid.Run(*key), figures)
    announce(options, tables, runs, durations)
    if options.list:
        return
    failed, interrupted = 0, False
    try:
        if runs:
            read_before_forking(runs, sources)
            failed = run_all(options, runs, tables, results, sources, durations)
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted: the same command goes on from here", file=sys.stderr)
    report(options, pairs, results)
    if interrupted or failed:
        sys.exit(f"bench-paper: {failed} tasks failed" if failed else 130)


if __name__ == "__main__":
    main()
