# SPDX-License-Identifier: Apache-2.0
"""Clients that hold connections open: 2,000 send a head a byte a second, 2,000 a body, 500 do
not take their answers. They come from as many addresses of this machine as the limit of one
address makes them need. Meanwhile good clients score from an address of their own, and probes
ask for health, on the operations listener and on the main one.

Shows: every slow connection is cut, and when; the good clients' latency, and that none is
refused; that health answered throughout; that memory and descriptors come back. Twice: with room
for all, and with the daemon's defaults (4096 connections), where the slow ones give way.

    slow_clients.py [--build build/release] [--scale 1.0] [--rate 400] [--only roomy|defaults]

Exit code 0 where all of that is so."""
import argparse
import http.client
import json
import os
import pathlib
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "loop"))
import loop  # noqa: E402  pylint: disable=wrong-import-position

PER_ADDRESS = 400
FEATURES = 4
LIMIT_P99 = 0.050
REFUSED_MAX = 0.001  # share of answers that may be 503, in the moment when an attack begins
KINDS = ("head", "body", "read")
LONG = json.dumps({"samples": [[1] * FEATURES] * 9000}).encode()


def train(build, folder):
    data = folder / "train.csv"
    lines = [",".join(f"f{j}" for j in range(FEATURES)) + ",label"]
    lines += [",".join(str((i * (j + 3)) % 17) for j in range(FEATURES)) + "," for i in range(400)]
    data.write_text("\n".join(lines) + "\n", encoding="ascii")
    subprocess.run([build / "deepsad", "train", data, "--out", folder / "models/m"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Slow:
    """One slow client: what it still has to send, and when it was cut."""

    def __init__(self, kind, address, port):
        self.kind, self.begun, self.cut, self.refused = kind, time.monotonic(), None, False
        self.socket = socket.socket()
        if kind == "read":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        head = ("POST /v1/models/m/score HTTP/1.1\r\nHost: h\r\n"
                "Content-Type: application/json\r\n")
        if kind == "head":
            self.left = (head + "X-Slow: " + "x" * 4000).encode()
        elif kind == "body":
            self.send((head + "Content-Length: 100000\r\n\r\n").encode())
            self.left = b'{"samples": [' + b" " * 4000
        else:
            self.left = (head + f"Content-Length: {len(LONG)}\r\n\r\n").encode() + LONG

    def send(self, data):
        try:
            return self.socket.send(data)
        except (BlockingIOError, ConnectionError):
            return 0

    def step(self):
        """A byte, or of one that reads slowly all that it asks."""
        if self.cut is None and self.left:
            sent = self.send(self.left if self.kind == "read" else self.left[:1])
            self.left = self.left[sent:]

    def look(self):
        """Whether the other side has ended it. One that reads slowly takes a byte."""
        try:
            got = self.socket.recv(1 if self.kind == "read" else 4096)
            self.refused |= b" 503 " in got
            ended = got == b"" or (self.kind != "read" and b"Connection: close" in got)
        except BlockingIOError:
            ended = False
        except ConnectionError:
            ended = True
        if ended and self.cut is None:
            self.cut = time.monotonic() - self.begun
            self.socket.close()
        return ended


class Attack(threading.Thread):
    """All slow clients in one thread; ends when all are cut, or after `patience`."""

    def __init__(self, port, counts, patience, rate):
        super().__init__(daemon=True)
        self.rate, self.stepped = rate, 0.0
        self.port, self.counts, self.patience = port, counts, patience
        self.clients, self.unopened = [], 0
        self.opened = threading.Event()

    def open_all(self):
        number, begin = 0, time.monotonic()
        for kind, count in self.counts.items():
            for _ in range(count):
                address = f"127.0.{1 + number // PER_ADDRESS}.1"
                number += 1
                pause = begin + number / self.rate - time.monotonic()
                if pause > 0:
                    self.step_all()
                    time.sleep(max(0.0, begin + number / self.rate - time.monotonic()))
                try:
                    self.clients.append(Slow(kind, address, self.port))
                except OSError:
                    self.unopened += 1
        self.opened.set()

    def step_all(self):
        """Once a second."""
        if time.monotonic() - self.stepped < 1:
            return
        self.stepped = time.monotonic()
        for client in self.clients:
            if client.cut is None:
                client.step()
                client.look()

    def run(self):
        self.open_all()
        end = time.monotonic() + self.patience
        while any(client.cut is None for client in self.clients) and time.monotonic() < end:
            self.step_all()
            time.sleep(0.05)


def reads_ended(client):
    """A client that reads a byte a second learns late that it was cut: asks the socket."""
    try:
        state = client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except OSError:
        return True
    return state != 1  # ESTABLISHED


class Watcher(threading.Thread):
    """Asks every `pause` seconds on a connection of its own each time, or on one that stays:
    seconds of each, and what failed."""

    def __init__(self, port, method, path, body=None, pause=0.01, fresh=False):
        super().__init__(daemon=True)
        self.port = port
        self.request = method, path, None if body is None else json.dumps(body)
        self.pause, self.fresh = pause, fresh
        self.seconds, self.failures, self.stopping = [], [], False

    def run(self):
        client = None
        while not self.stopping:
            begin = time.monotonic()
            try:
                if client is None or self.fresh:
                    client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                method, path, body = self.request
                client.request(method, path, body, {"Content-Type": "application/json"})
                answer = client.getresponse()
                if answer.read() is None or answer.status != 200:
                    raise OSError(f"status {answer.status}")
                if self.fresh:
                    client.close()
                self.seconds.append(time.monotonic() - begin)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error)[:100])
                client = None
            time.sleep(self.pause)

    def stop(self):
        self.stopping = True
        self.join(60)


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def start(build, folder, name, settings):
    """(process, port, port of operations)"""
    environment = {**loop.ENVIRONMENT, "DEEPSADD_SERVER_OPERATIONS_LISTEN": "127.0.0.1:0",
                   "DEEPSADD_LOG_FORMAT": "json",
                   **{f"DEEPSADD_{key.upper()}": str(value) for key, value in settings.items()}}
    state = folder / name
    state.mkdir()
    process = subprocess.Popen(
        ["timeout", "-s", "KILL", "900", build / "deepsadd", "--listen", "127.0.0.1:0", "--models",
         folder / "models", "--state", state], stderr=subprocess.PIPE, text=True, env=environment)
    ports = []
    for line in process.stderr:
        if "listening on" in line or "health and metrics" in line:
            ports.append(int("".join(c for c in line.strip().rsplit(":", 1)[1] if c.isdigit())))
        if len(ports) == 2:
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    pid = int(subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True,
                             check=True).stdout)
    return process, pid, ports[0], ports[1]


def run(build, folder, name, settings, limits, scale, rate):
    """One attack; prints what it found. Returns the faults."""
    process, pid, port, operations = start(build, folder, name, settings)
    row = {"samples": [[1] * FEATURES]}
    watchers = {
        "good, kept connections": Watcher(port, "POST", "/v1/models/m/score", row),
        "good, new connections": Watcher(port, "POST", "/v1/models/m/score", row, fresh=True),
        "health, main": Watcher(port, "GET", "/v2/health/ready", pause=0.05, fresh=True),
        "health, operations": Watcher(operations, "GET", "/v2/health/ready", pause=0.05,
                                      fresh=True),
        "metrics, operations": Watcher(operations, "GET", "/metrics", pause=0.2, fresh=True),
    }
    loop.Client(port).call("POST", "/v1/models/m/score", row)
    before = resident(pid), descriptors(pid)
    for watcher in watchers.values():
        watcher.start()
    time.sleep(1)
    counts = {"head": int(2000 * scale), "body": int(2000 * scale), "read": int(500 * scale)}
    attack = Attack(port, counts, max(limits.values()) + 30, rate)
    attack.start()
    attack.opened.wait()
    print(f"{name}: {len(attack.clients)} slow connections open, "
          f"{sum(c.kind == 'body' and c.refused for c in attack.clients)} told 503 at once", flush=True)
    end = time.monotonic() + max(limits.values()) + 25
    peak = 0
    while time.monotonic() < end and attack.is_alive():
        peak = max(peak, resident(pid))
        for client in attack.clients:
            if client.kind == "read" and client.cut is None and reads_ended(client):
                client.cut = time.monotonic() - client.begun
        time.sleep(0.2)
    for watcher in watchers.values():
        watcher.stop()
    time.sleep(1)
    after = resident(pid), descriptors(pid)
    faults = report(name, attack, watchers, limits)
    print(f"  memory {before[0]:.1f} MiB, at most {peak:.1f}, then {after[0]:.1f}; descriptors "
          f"{before[1]}, then {after[1]}")
    if after[1] > before[1] + 8:
        faults.append("descriptors did not come back")
    os.kill(pid, 15)
    if process.wait(60) != 0:
        faults.append(f"the daemon ended with {process.returncode}")
    return faults


def report(name, attack, watchers, limits):
    faults = []
    for kind in KINDS:
        clients = [c for c in attack.clients if c.kind == kind]
        cuts = [c.cut for c in clients if c.cut is not None]
        late = [cut for cut in cuts if cut > limits[kind] + 5]
        print(f"  slow {kind}: {len(clients)} open, {len(cuts)} cut, after "
              f"{min(cuts, default=0):.1f} to {max(cuts, default=0):.1f} s (median "
              f"{statistics.median(cuts) if cuts else 0:.1f}; deadline {limits[kind]:g})")
        if len(cuts) < len(clients):
            faults.append(f"{name}: {len(clients) - len(cuts)} of slow {kind} not cut")
        if late:
            faults.append(f"{name}: {len(late)} of slow {kind} cut late")
    for what, watcher in watchers.items():
        p99 = quantile(watcher.seconds, 0.99)
        print(f"  {what}: {len(watcher.seconds)} answers, p50 {quantile(watcher.seconds, 0.5) * 1e3:.2f} "
              f"ms, p99 {p99 * 1e3:.2f} ms, at most {max(watcher.seconds, default=0) * 1e3:.0f} ms; "
              f"failed {len(watcher.failures)} {watcher.failures[:2] or ''}")
        if len(watcher.failures) > REFUSED_MAX * len(watcher.seconds):
            faults.append(f"{name}: {what}: {len(watcher.failures)} failed")
        if what.startswith("good") and not p99 < LIMIT_P99:
            faults.append(f"{name}: {what}: p99 {p99 * 1e3:.1f} ms")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=loop.ROOT / "build/release")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=400, help="connections opened a second")
    parser.add_argument("--only", choices=("roomy", "defaults"))
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    faults = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        train(options.build.resolve(), folder)
        limits = {"head": 8, "body": 8, "read": 8}
        settings = {"server_connections": 6000, "limits_head_time": "8s",
                    "limits_body_time": "8s", "limits_reply_time": "8s",
                    "limits_idle_time": "8s"}
        if options.only != "defaults":
            faults += run(options.build, folder, "roomy", settings, limits, options.scale,
                          options.rate)
        limits = {"head": 10, "body": 30, "read": 60}  # refused with 503: idle
        if options.only != "roomy":
            faults += run(options.build, folder, "defaults", {}, limits, options.scale,
                          options.rate)
    print("\n".join(faults) or "slow clients: all cut, nobody else noticed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
