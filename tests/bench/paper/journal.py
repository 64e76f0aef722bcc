# SPDX-License-Identifier: Apache-2.0
"""Results: a CSV file that grows by one line, on disk before the next, for each finished run.
A run is known by all its settings (KEY); whatever asks for it again finds it here."""
import csv
import io
import os

KEY = ("set", "normal", "known", "k_l", "gamma_l", "gamma_p", "eta", "rep", "method", "recipe",
       "epochs", "rows", "seed")
FIGURES = ("auc_roc", "auc_pr", "auc_novel", "train_seconds", "wall_seconds", "entropy_normal",
           "entropy_unlabeled", "entropy_anomalous")
COLUMNS = ("table", *KEY, *FIGURES)


def text(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def key_of(run):
    return tuple(text(getattr(run, name)) for name in KEY)


def as_line(cells):
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


class Journal:
    """`figures` maps a run's key to its figures by name; None where there is none."""

    def __init__(self, path):
        self.path, self.figures = path, {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self.read()
        self.file = open(path, "a", encoding="utf-8")
        if not path.stat().st_size:
            self.write(COLUMNS)

    def read(self):
        """A last line without its end is what a power cut left: it is cut off."""
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data[:data.rfind(b"\n") + 1]
        if whole != data:
            os.truncate(self.path, len(whole))
        lines = list(csv.reader(whole.decode().splitlines()))
        if lines and tuple(lines[0]) != COLUMNS:
            raise ValueError(f"{self.path}:1: columns of another version; move the file away")
        for cells in lines[1:]:
            row = dict(zip(COLUMNS, cells))
            self.figures[tuple(row[name] for name in KEY)] = {
                name: float(row[name]) if row[name] else None for name in FIGURES}

    def write(self, cells):
        self.file.write(as_line(cells))
        self.file.flush()
        os.fsync(self.file.fileno())

    def add(self, table, run, figures):
        values = {name: figures.get(name) for name in FIGURES}
        self.figures[key_of(run)] = values
        self.write([table, *key_of(run),
                    *("" if v is None else f"{v:.6g}" for v in values.values())])

    def of(self, run):
        """The run's figures, or None."""
        return self.figures.get(key_of(run))
