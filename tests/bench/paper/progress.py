# SPDX-License-Identifier: Apache-2.0
"""How far it is: a bar on a terminal, else a line for each finished run; and how long it will
take, from what runs of the same kind took, in this or an earlier session."""
import collections
import sys
import time

import journal
import measure

WIDTH = 24


def kind(run):
    """What a run's time depends on."""
    settings = (run.set, run.method, run.recipe, run.epochs, run.rows, run.rep)
    return tuple(map(journal.text, settings))


def clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Durations:
    """Mean wall seconds by kind of run."""

    def __init__(self):
        self.seconds = collections.defaultdict(list)

    def add(self, run, figures):
        if figures.get("wall_seconds") is not None:
            self.seconds[kind(run)].append(figures["wall_seconds"])

    def of(self, run):
        """None: no run like this one has finished yet."""
        known = self.seconds.get(kind(run))
        return sum(known) / len(known) if known else None

    def left(self, runs, jobs):
        """(seconds for runs whose like is known, how many are not)"""
        found = [self.of(run) for run in needed(runs)]
        return (sum(s for s in found if s is not None) / jobs, sum(s is None for s in found))


def needed(runs):
    """With the autoencoders that have to be trained again for hybrid runs."""
    return list({run: None for task in measure.tasks(runs)
                 for run in (measure.shared(task[0]), *task)})


class Progress:
    def __init__(self, runs, durations, jobs, out=sys.stderr):
        self.waiting, self.total = dict.fromkeys(runs), len(runs)
        self.durations, self.jobs, self.out = durations, jobs, out
        self.begin, self.terminal = time.monotonic(), out.isatty()

    def estimate(self):
        seconds, unknown = self.durations.left(list(self.waiting), self.jobs)
        if unknown == len(self.waiting) and unknown:
            return "time left unknown"
        return f"{clock(seconds)} left" + (f" + {unknown} fits of unknown length"
                                           if unknown else "")

    def status(self):
        done = self.total - len(self.waiting)
        return f"{done}/{self.total} runs, {clock(time.monotonic() - self.begin)}, " \
               f"{self.estimate()}"

    def draw(self):
        if self.terminal:
            done = (self.total - len(self.waiting)) * WIDTH // max(self.total, 1)
            self.out.write(f"\r[{'#' * done}{'.' * (WIDTH - done)}] {self.status()}\x1b[K")
            self.out.flush()

    def finished(self, run, figures):
        self.waiting.pop(run, None)
        self.durations.add(run, figures)
        if not self.terminal:
            self.line(f"{describe(run)}: AUC {100 * figures['auc_roc']:.2f}, "
                      f"{figures['wall_seconds']:.1f} s   ({self.status()})")
        self.draw()

    def line(self, text):
        """A line of its own, above the bar."""
        self.out.write(("\r\x1b[K" if self.terminal else "") + text + "\n")
        self.out.flush()

    def end(self):
        if self.terminal:
            self.out.write("\n")


def describe(run):
    names = {"normal": "normal class", "known": "known", "gamma_l": "gamma_l",
             "gamma_p": "gamma_p", "eta": "eta", "rep": "rep", "seed": "seed"}
    parts = [f"{word} {getattr(run, name):g}" if isinstance(getattr(run, name), float)
             else f"{word} {getattr(run, name)}"
             for name, word in names.items() if getattr(run, name) != ""]
    recipe = f" ({run.recipe})" if run.recipe else ""
    return f"{run.set} {run.method}{recipe}, {', '.join(parts)}"
