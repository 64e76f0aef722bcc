# SPDX-License-Identifier: Apache-2.0
"""Plots by gnuplot (SVG): AUC against a table's parameter, a curve for each method with the
standard deviation as error bars, one plot for each set; latent entropies likewise. Script and
data stay beside the picture as NAME.gp, which gnuplot takes as it is."""
import collections
import shutil
import subprocess

import grid
import summary

HEAD = """set terminal svg size 1000,560 font "sans,13" background "white"
set output "{name}.svg"
set title "{title}" noenhanced
set xlabel "{x}" noenhanced
set ylabel "{y}" noenhanced
set key outside right noenhanced
set grid ytics
set xrange [-0.4:{last}.4]
set yrange [*:{most}]
set xtics ({ticks}) noenhanced
set style data {style}
"""
COLOURS = ("#d62728", "#ff7f0e", "#1f77b4", "#7f7f7f", "#2ca02c", "#9467bd", "#8c564b",
           "#17becf", "#bcbd22", "#e377c2")
DASHED = "default"

# ticks: labels along the x axis; curves: {(method or part, recipe): {tick: (mean, std)}};
# joined: whether lines join a curve's points; most: the y axis' end, "*" as it comes
Plot = collections.namedtuple("Plot", "name title x y ticks curves joined most")


def script(plot):
    """Curves are moved a little aside, so that their error bars do not hide each other. A
    method has its colour; our recipe is dashed."""
    ticks = ", ".join(f'"{tick}" {i}' for i, tick in enumerate(plot.ticks))
    text = HEAD.format(name=plot.name, title=plot.title, x=plot.x, y=plot.y, ticks=ticks,
                       last=len(plot.ticks) - 1, most=plot.most,
                       style="yerrorlines" if plot.joined else "yerrorbars")
    pieces = []
    for number, ((what, recipe), curve) in enumerate(plot.curves.items()):
        aside = (number / max(len(plot.curves) - 1, 1) - 0.5) * (0.3 if plot.joined else 0.7)
        rows = "".join(f"{i + aside:.3f} {curve[tick][0]:.6g} {curve[tick][1]:.6g}\n"
                       for i, tick in enumerate(plot.ticks) if tick in curve)
        text += f"$curve{number} << EOD\n{rows}EOD\n"
        pieces.append(f"$curve{number} {look(what, recipe)}")
    return text + "plot " + ", \\\n     ".join(pieces) + "\n"


def look(what, recipe):
    names = grid.METHODS if what in grid.METHODS else summary.PARTS
    place = names.index(what)
    dashed = recipe.startswith(DASHED)
    title = what + (f" ({recipe})" if recipe else "")
    return (f'lc rgb "{COLOURS[place]}" pt {2 * place + 4 + dashed} ps 0.7 '
            f'dt {2 if dashed else 1} title "{title}"')


def of_table(table, found):
    """Of one table's cells: [Plot]. The classic table has the sets on its axis."""
    plots = collections.defaultdict(lambda: collections.defaultdict(dict))
    for point, cell in found.items():
        values = 100 * summary.column(cell, "auc_roc")
        if len(values):
            classic = table == "classic"
            place = f"gamma_l={point.parameter:g}" if classic else point.set
            tick = point.set if classic else f"{point.parameter:g}"
            plots[place][point.method, point.recipe][tick] = summary.mean_std(values)
    shape = grid.TABLES[table]
    ticks = list(dict.fromkeys(p.set for p in found)) if table == "classic" else [
        f"{value:g}" for value in shape.values if value in {p.parameter for p in found}]
    return [Plot(f"{table}-{place}", f"{place}: {shape.title}",
                 "set" if table == "classic" else shape.parameter, "test AUC in %", ticks, curves,
                 table != "classic", 101)
            for place, curves in plots.items()]


def of_entropies(table, rows):
    """[Plot], one a set and recipe (classic: none, its two gamma_l make no curve)."""
    plots = collections.defaultdict(lambda: collections.defaultdict(dict))
    for name, recipe, gamma_l, _, *spread, _ in rows:
        for i, part in enumerate(summary.PARTS):
            if spread[2 * i] == spread[2 * i]:
                plots[name, recipe][part, ""][f"{gamma_l:g}"] = spread[2 * i:2 * i + 2]
    ticks = list(dict.fromkeys(f"{row[2]:g}" for row in rows))
    return [Plot(f"entropy-{name}-{recipe.replace(', ', '-').replace(' ', '-')}",
                 f"{name}, Deep SAD ({recipe}): latent entropy",
                 "gamma_l", "nats", ticks, curves, True, "*")
            for (name, recipe), curves in plots.items() if table != "classic"]


def draw(plots, folder):
    """The pictures' paths; without gnuplot the scripts alone are written."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for plot in plots:
        path = folder / f"{plot.name}.gp"
        path.write_text(script(plot), encoding="utf-8")
        if shutil.which("gnuplot"):
            done = subprocess.run(["gnuplot", path.name], cwd=folder, capture_output=True,
                                  check=False, text=True)
            if done.returncode:
                raise RuntimeError(f"gnuplot {path}: {done.stderr}")
            drawn.append(folder / f"{plot.name}.svg")
    return drawn
