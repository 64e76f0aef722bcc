#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""deepsadd against what its users would pick instead, side by side in one run: Node.js with
onnxruntime, FastAPI with PyTorch (lean, and as in its tutorial); and against the limits: bare
libmicrohttpd and a raw epoll loop, which take the same body and answer fixed bytes.

First what a request costs the server in CPU: servers and client share one core (what waking
another core costs goes to no server's account), short rounds, the servers one after the other
in alternating order; medians, and of each ratio the median and the quartiles of the ratios
within a round. Then latency: the server on one core, the client on another (a third busy thread
would wait for the scheduler, not for the server), 16 connections, at half the rate at which the
server saturates, open loop: a request that had to wait for its turn has waited. Last, memory.
Prints a table; leaves a CSV, the table as Markdown and plots in OUT. Nonzero exit where a limit
is missed.

usage: peers.py BUILD RUNTIME-FOLDER [OUT]      ROUNDS=7 CASES=M1,1,json;... PEERS=node,lean
"""
import csv
import datetime
import http.client
import json
import os
import pathlib
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from serving import BUILD, resident, train, training_rows

HERE = pathlib.Path(__file__).parent
ROUNDS = int(os.environ.get("ROUNDS", "7"))
SECONDS = 0.15  # of one measurement
WIDTHS = {"M1": [9, 32, 16, 8], "M2": [784, 512, 256, 64], "default": [9]}
JSON = "Content-Type: application/json\r\n"
RAW = "Content-Type: application/octet-stream\r\nInference-Header-Content-Length: 0\r\n"
# (model, rows, body, connections)
CASES = [(m, r, b, 1) for m in ("M1", "M2", "default") for b in ("json", "raw")
         for r in (1, 32, 1000)] + [("M1", 1, "json", 16), ("M1", 32, "json", 16),
                                    ("M2", 1, "json", 16), ("M1", 1000, "v2", 1),
                                    ("M2", 1000, "v2", 1)]
LATENCY = [("M1", 1, "json"), ("M1", 32, "json"), ("default", 1, "json"), ("M2", 1, "json")]
# How many times our CPU the others' must be: (peer, model, rows).
LIMITS = {("node", "M1", 1): 7, ("node", "M1", 32): 6, ("node", "M1", 1000): 5,
          ("node", "M2", 1): 4, ("node", "M2", 32): 2.5, ("node", "M2", 1000): 3,
          ("lean", "M1", 1): 14, ("lean", "M1", 32): 12, ("lean", "M1", 1000): 6,
          ("lean", "M2", 1): 5, ("lean", "M2", 32): 3.5, ("lean", "M2", 1000): 4}
# Our CPU at most so many times that of bare libmicrohttpd and the forward pass together.
OVERHEAD = {("M2", 1000, "json"): 1.45, ("M2", 1000, "raw"): 1.17}
ROWS_A_SECOND = 13e6  # ("M1", 1000, "raw")
NAMES = {"ours": "deepsadd", "node": "Node + onnxruntime", "lean": "FastAPI, lean",
         "tutorial": "FastAPI, tutorial", "bare": "bare libmicrohttpd", "epoll": "raw epoll"}


# ---- Statistics -------------------------------------------------------------------------


def quartiles(values):
    """(first quartile, median, third quartile)"""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def ratio(others, ours):
    """Quartiles of the ratios within a round."""
    return quartiles([a / b for a, b in zip(others, ours)])


# ---- Servers ----------------------------------------------------------------------------


class Server:
    """A running one. `ready`: seconds from its start until it answers."""

    def __init__(self, name, command, port=None, stream="stdout"):
        self.name = name
        begin = time.perf_counter()
        self.process = subprocess.Popen([str(w) for w in command], stdin=subprocess.PIPE,
                                        text=True, **{stream: subprocess.PIPE},
                                        env={**os.environ, "OPENBLAS_NUM_THREADS": "1",
                                             "OMP_NUM_THREADS": "1"})
        self.port = str(port) if port else self.read_port(getattr(self.process, stream))
        self.wait()
        self.ready = time.perf_counter() - begin

    @staticmethod
    def read_port(lines):
        for line in lines:
            found = re.search(r"(\d+)\s*$", line)
            if found:
                return found[1]
        raise SystemExit("a server does not start")

    def wait(self):
        for _ in range(1200):
            try:
                socket.create_connection(("127.0.0.1", int(self.port)), 1).close()
                return
            except OSError:
                time.sleep(0.025)
        raise SystemExit(f"{self.name} does not start")

    def request(self, model, rows, body):
        """(path, headers), or None where it does not serve that."""
        name = model.lower()
        if self.name in ("bare", "epoll"):
            return f"/{rows * 109 + 90 if body != 'raw' else rows * 8 + 200}", JSON
        if self.name == "ours":
            return {"json": (f"/v1/models/{name}/score", JSON),
                    "v2": (f"/v2/models/{name}/infer", JSON),
                    "raw": (f"/v2/models/{name}/infer", RAW)}[body]
        if (body == "v2" or (self.name != "node" and model == "default") or
                (self.name == "tutorial" and (body == "raw" or rows * len(WIDTHS[model]) > 200
                                              or (model, rows) == ("M2", 32)))):
            return None
        return f"/{name}/{body}", JSON

    def measure(self, request, body, count, connections=1, rate=0.0):
        """(CPU, wall, p50, p99), microseconds a request"""
        path, headers = request
        done = subprocess.run([BUILD / "bench" / "load", str(self.process.pid), self.port, path,
                               body, str(count), str(connections), f"{rate:.1f}", headers],
                              check=True, capture_output=True, text=True)
        return tuple(map(float, done.stdout.split()))

    def stop(self):
        self.process.kill()
        self.process.wait()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def make_models(folder):
    train(training_rows(folder), folder)  # default, reference
    (folder / "models" / "reference").rename(folder / "models" / "m1")
    np.save(folder / "m2.npy", np.random.default_rng(2).random((3000, 784), np.float32))
    subprocess.run([BUILD / "deepsad", "train", folder / "m2.npy", "--out",
                    folder / "models" / "m2", "--recipe", "reference", "--set", "epochs=1",
                    "--set", "pretrain_epochs=1", "--set", "hidden=512,256,64", "--set",
                    "reservoir=0"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name in ("m1", "m2", "default"):
        subprocess.run([BUILD / "deepsad", "export", folder / "models" / name, "--onnx",
                        folder / f"{name}.onnx"], check=True, stdout=subprocess.DEVNULL)


def start_servers(folder, runtime):
    wanted = os.environ.get("PEERS", "node,lean,tutorial,bare,epoll").split(",")
    (folder / "state").mkdir(exist_ok=True)
    shapes = [f"{name.lower()}={'-'.join(map(str, WIDTHS[name]))}" for name in ("M1", "M2")]
    python = sys.executable
    ports = {name: free_port() for name in ("lean", "tutorial")}
    commands = {
        "ours": ([BUILD / "deepsadd", "--listen", "127.0.0.1:0", "--models", folder / "models",
                  "--state", folder / "state"], None, "stderr"),
        "node": (["node", HERE / "peers" / "node.mjs", runtime,
                  *(f"{n}={folder / n}.onnx:{WIDTHS[m][0]}"
                    for n, m in (("m1", "M1"), ("m2", "M2"), ("default", "default")))],
                 None, "stdout"),
        "lean": ([python, "-B", HERE / "peers" / "fastapi_lean.py", ports["lean"], *shapes],
                 ports["lean"], "stdout"),
        "tutorial": ([python, "-B", HERE / "peers" / "fastapi_tutorial.py", ports["tutorial"],
                      *shapes], ports["tutorial"], "stdout"),
        "bare": ([BUILD / "bench" / "bare_mhd"], None, "stdout"),
        "epoll": ([BUILD / "bench" / "raw_epoll"], None, "stdout"),
    }
    return [Server(name, *commands[name]) for name in commands
            if name == "ours" or name in wanted]


def write_bodies(folder):
    """{(features, rows, kind): path}, six significant digits"""
    paths = {}
    for features in (9, 784):
        for rows in (1, 32, 1000):
            x = np.random.default_rng(rows).random((rows, features))
            values = [[float(f"{v:.6g}") for v in row] for row in x]
            tensor = {"name": "input", "shape": [rows, features], "datatype": "FP32",
                      "data": [v for row in values for v in row]}
            for kind, content in (
                    ("json", json.dumps({"samples": values}, separators=(",", ":")).encode()),
                    ("v2", json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()),
                    ("raw", np.array(values, "<f4").tobytes())):
                path = folder / f"body-{features}-{rows}.{kind}"
                path.write_bytes(content)
                paths[features, rows, kind] = path
    return paths


# ---- CPU --------------------------------------------------------------------------------


def measure_cell(servers, bodies, folder, cell):
    """{server: [(CPU, wall) of each round]}, the forward pass among them"""
    model, rows, kind, connections = cell
    body = bodies[WIDTHS[model][0], rows, kind]
    runs = {}
    for server in servers:
        request = server.request(model, rows, kind)
        if request is not None:
            wall = server.measure(request, body, 2 * connections, connections)[1]
            runs[server] = (request, max(2 * connections, min(3000, int(SECONDS * 1e6 / wall))))
    forward = max(3, int(SECONDS * 1e6 / (rows * {"M1": .1, "M2": 20, "default": 2}[model] + 1)))
    costs = {server.name: [] for server in runs}
    costs["forward"] = []
    for i in range(ROUNDS):
        order = list(runs) if i % 2 == 0 else list(runs)[::-1]
        for server in order:
            costs[server.name].append(server.measure(runs[server][0], body, runs[server][1],
                                                     connections)[:2])
        if connections == 1:
            done = subprocess.run([BUILD / "bench" / "bench_forward",
                                   folder / "models" / model.lower(), str(rows), str(forward)],
                                  check=True, capture_output=True, text=True)
            costs["forward"].append((float(done.stdout), 0.0))
    return costs


def judge(cell, costs):
    """Lines about limits, and whether all are kept."""
    model, rows, kind, connections = cell
    ours = [cpu for cpu, _ in costs["ours"]]
    kept, lines = True, []
    if connections > 1:
        return kept, lines
    if kind == "json":
        for peer in ("node", "lean"):
            limit = LIMITS.get((peer, model, rows))
            if limit and peer in costs:
                found = ratio([cpu for cpu, _ in costs[peer]], ours)[1]
                kept &= found >= limit
                lines.append(f"{NAMES[peer]} {found:.1f}x (at least {limit}x)"
                             f"{'' if found >= limit else ' MISSED'}")
    limit = OVERHEAD.get((model, rows, kind))
    if limit and "bare" in costs:
        least = [a[0] + b[0] for a, b in zip(costs["bare"], costs["forward"])]
        found = ratio(ours, least)[1]
        kept &= found <= limit
        lines.append(f"{found:.2f}x bare libmicrohttpd + forward pass (at most {limit}x)"
                     f"{'' if found <= limit else ' MISSED'}")
    if (model, rows, kind) == ("M1", 1000, "raw"):
        found = rows / statistics.median(ours)
        kept &= found * 1e6 >= ROWS_A_SECOND
        lines.append(f"{found:.1f} million rows/s a core (at least {ROWS_A_SECOND / 1e6:.0f})"
                     f"{'' if found * 1e6 >= ROWS_A_SECOND else ' MISSED'}")
    return kept, lines


def show_cell(cell, costs, writer):
    model, rows, kind, connections = cell
    ours = [cpu for cpu, _ in costs["ours"]]
    parts = []
    for name, values in costs.items():
        if not values:
            continue
        cpu = quartiles([one[0] for one in values])
        wall = quartiles([one[1] for one in values])[1]
        times = ratio([one[0] for one in values], ours)
        writer.writerow([model, rows, kind, connections, name,
                         *(f"{v:.2f}" for v in cpu), *(f"{v:.3f}" for v in times),
                         f"{1e6 / wall:.0f}" if wall else ""])
        text = f"{name} {cpu[1]:.1f}"
        if name != "ours":
            text += f" ({times[1]:.2f}x, {times[0]:.2f}-{times[2]:.2f})"
        parts.append(text)
    print(f"{model:8}{rows:5} {kind:5}{connections:3}  " + "  ".join(parts), flush=True)


# ---- Latency ----------------------------------------------------------------------------


def measure_latency(server, request, body):
    """(saturation, p50, p99): requests/s, microseconds; medians of three"""
    wall = server.measure(request, body, 400, 16)[1]
    wall = server.measure(request, body, int(1e6 / wall), 16)[1]
    rate = 0.5e6 / wall
    found = [server.measure(request, body, int(1.5 * rate) + 50, 16, rate)[2:] for _ in range(3)]
    return 1e6 / wall, *(statistics.median(one[k] for one in found) for k in (0, 1))


def latencies(servers, bodies, writer):
    kept = True
    print("\nlatency, server and client on a core each, 16 connections, open loop at half the "
          "saturation rate, us:")
    for model, rows, kind in LATENCY:
        body = bodies[WIDTHS[model][0], rows, kind]
        for server in servers:
            request = server.request(model, rows, kind)
            if request is None or server.name in ("epoll", "tutorial"):
                continue
            rate, p50, p99 = measure_latency(server, request, body)
            mark = ""
            if server.name == "ours" and p99 > 3 * p50:
                kept, mark = False, "  MISSED (at most 3x)"
            writer.writerow([model, rows, kind, server.name, f"{rate:.0f}", p50, p99])
            print(f"{model:8}{rows:5} {NAMES[server.name]:20} {rate:9.0f}/s  p50 {p50:8.0f}  "
                  f"p99 {p99:8.0f}  {p99 / p50:5.1f}x{mark}", flush=True)
    return kept


# ---- Memory -----------------------------------------------------------------------------


def high_water(pid):
    for line in open(f"/proc/{pid}/status", encoding="ascii"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def long_body(folder):
    """MiB above idle that scoring a body of 64 MiB takes; whether below 48"""
    (folder / "long").mkdir()
    config = folder / "long.yaml"
    config.write_text("limits:\n  body: 65MiB\n  rows: 1000000\n", encoding="ascii")
    server = Server("ours", [BUILD / "deepsadd", "--config", config, "--listen", "127.0.0.1:0",
                             "--models", folder / "models", "--state", folder / "long"],
                    stream="stderr")
    row = "[" + ",".join(["12.3456"] * 5 + ["0.12345"] * 4) + "]"
    rows = (64 << 20) // (len(row) + 1)
    body = '{"samples":[' + ",".join([row] * min(rows, 1000000)) + "]}"
    client = http.client.HTTPConnection("127.0.0.1", int(server.port))
    client.request("POST", "/v1/models/m1/score", '{"samples":[' + row + "]}",
                   {"Content-Type": "application/json"})
    client.getresponse().read()
    idle = resident(server.process.pid)
    client.request("POST", "/v1/models/m1/score", body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    while answer.read(1 << 20):
        pass
    above = high_water(server.process.pid) - idle
    server.stop()
    print(f"\na JSON body of {len(body) / 2**20:.0f} MiB, {min(rows, 1000000)} rows: "
          f"{above:.1f} MiB above idle (at most 48){'' if above < 48 else ' MISSED'}")
    return above < 48 and answer.status == 200


# ---- What is left behind ----------------------------------------------------------------

PLOT = """set datafile separator ','
set terminal svg size 900,420 dynamic enhanced font 'sans,11'
set logscale y
set grid y
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set key outside top center horizontal
set output '{out}/{name}.svg'
set ylabel '{label}'
set title '{title}'
plot {columns}
"""


def plot(out, name, title, label, table, columns):
    """table: [(cell, {column: value})]"""
    with open(out / f"{name}.dat", "w", encoding="ascii") as file:
        for cell, values in table:
            file.write(",".join([cell, *(str(values.get(c, "NaN")) for c in columns)]) + "\n")
    parts = ", ".join(f"'{out}/{name}.dat' using {i + 2}:xtic(1) title '{NAMES.get(c, c)}'"
                      for i, c in enumerate(columns))
    script = PLOT.format(out=out, name=name, title=title, label=label, columns=parts)
    subprocess.run(["gnuplot"], input=script, text=True, check=False)


def machine():
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return platform.machine()


def write_markdown(out, results):
    peers = [p for p in ("node", "lean", "tutorial", "bare", "epoll")
             if any(p in costs for _, costs in results)]
    with open(out / "serving.md", "w", encoding="utf-8") as file:
        file.write(f"{datetime.date.today()}, {machine()}\n\n| model, rows, body | deepsadd | "
                   + " | ".join(NAMES[p] for p in peers) + " |\n|" + "---|" * (len(peers) + 2)
                   + "\n")
        for (model, rows, kind, connections), costs in results:
            ours = [cpu for cpu, _ in costs["ours"]]
            cells = [f"{statistics.median(ours):.1f} us"]
            for peer in peers:
                found = ratio([cpu for cpu, _ in costs[peer]], ours) if peer in costs else None
                cells.append("" if found is None else f"{found[1]:.2f}x")
            more = f", {connections} connections" if connections > 1 else ""
            file.write(f"| {model}, {rows}, {kind}{more} | " + " | ".join(cells) + " |\n")


def chosen_cases():
    text = os.environ.get("CASES")
    if not text:
        return CASES
    words = [one.split(",") for one in text.split(";")]
    return [(w[0], int(w[1]), w[2], int(w[3]) if len(w) > 3 else 1) for w in words]


def compare_all(servers, bodies, folder, out):
    kept, results, judged = True, [], []
    print("server CPU, us a request: median (times ours: median, quartiles)")
    with open(out / "cpu.csv", "w", encoding="ascii", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "rows", "body", "connections", "server", "cpu_q1", "cpu",
                         "cpu_q3", "ratio_q1", "ratio", "ratio_q3", "requests_per_second"])
        for cell in chosen_cases():
            costs = measure_cell(servers, bodies, folder, cell)
            show_cell(cell, costs, writer)
            good, lines = judge(cell, costs)
            kept &= good
            judged += [f"{cell[0]:8}{cell[1]:5} {cell[2]:5} {line}" for line in lines]
            results.append((cell, {n: v for n, v in costs.items() if v}))
    print("\nlimits:\n" + "\n".join(judged))
    write_markdown(out, results)
    plot(out, "cpu", "server CPU of a request", "us",
         [(f"{m} {r} {k}" + (f" x{c}" if c > 1 else ""),
           {n: statistics.median(x[0] for x in v) for n, v in costs.items()})
          for (m, r, k, c), costs in results], ["ours", "node", "lean", "tutorial", "bare"])
    return kept


def main():
    runtime = pathlib.Path(sys.argv[2]).resolve()
    out = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else "build/bench")
    out.mkdir(parents=True, exist_ok=True)
    cores = os.sched_getaffinity(0)
    kept = True
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_models(folder)
        bodies = write_bodies(folder)
        os.sched_setaffinity(0, {max(cores)})  # children, too
        servers = start_servers(folder, runtime)
        try:
            print(machine())
            for server in servers:
                print(f"{NAMES[server.name]:20} ready after {1000 * server.ready:6.0f} ms, "
                      f"{resident(server.process.pid):6.1f} MiB")
            print()
            kept &= compare_all(servers, bodies, folder, out)
            os.sched_setaffinity(0, {min(cores)})
            with open(out / "latency.csv", "w", encoding="ascii", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["model", "rows", "body", "server", "saturation", "p50", "p99"])
                kept &= latencies(servers, bodies, writer)
            print("\nmost memory: " + ", ".join(
                f"{NAMES[s.name]} {high_water(s.process.pid):.0f} MiB" for s in servers))
        finally:
            for server in servers:
                server.stop()
        kept &= long_body(folder)
    print(f"\ntables and plots: {out}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
