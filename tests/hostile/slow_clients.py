#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that hold connections open: 2,000 send a head, 2,000 a body, a byte a second, 500 do
not read their answer. Beside them good clients score, on a connection kept and on new ones, and
probes ask for the health and the metrics.

--run ample: there is room for all of them. Each must be cut at its deadline.
--run default: the daemon as it is configured by default, the slow clients come from 100
addresses and come back whenever they are cut. There is no room for them, and the good ones
must get through all the same.

Good clients' p99 is to be below 50 ms (--p99), none of their requests and no probe of the
operations listener may fail, and memory and descriptors must be back afterwards."""
import argparse
import collections
import http.client
import json
import multiprocessing
import os
import pathlib
import random
import re
import resource
import select
import socket
import subprocess
import sys
import threading
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "loop"))
import loop  # noqa: E402  pylint: disable=wrong-import-position

SCORE = f"/v1/models/{loop.MODEL}/score"
ROWS = 2000  # of a request whose answer is not read
RUNS = {
    "ample": {"DEEPSADD_SERVER_CONNECTIONS": "8192", "DEEPSADD_SERVER_CONNECTIONS_PER_IP": "1024",
              "DEEPSADD_LIMITS_IN_FLIGHT": "8192", "DEEPSADD_LIMITS_HEAD_TIME": "6s",
              "DEEPSADD_LIMITS_BODY_TIME": "8s", "DEEPSADD_LIMITS_REPLY_TIME": "7s"},
    "default": {},
    "crowd": {"DEEPSADD_SERVER_CONNECTIONS": "1024"},
}
DEADLINES = {"head": 6, "body": 8, "read": 7}  # of `ample`
RAMP, AGAIN = 4.0, 1.0  # seconds in which all come, and after which those that are cut come again
EARLY, LATE = 0.3, 1.5  # seconds that a cut may be off its deadline
ADDRESSES = {"ample": 10, "default": 100, "crowd": 100}


class Slow:
    """One slow client. kind: head, body or read."""

    def __init__(self, kind, address, port):
        self.kind, self.address, self.port = kind, address, port
        self.began = self.cut = self.socket = None

    def open(self):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if self.kind == "read":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        self.socket.bind((self.address, 0))
        self.socket.connect_ex(("127.0.0.1", self.port))
        self.pending = self.first()
        self.began = self.cut = None
        self.said = b""

    def first(self):
        head = f"POST {SCORE} HTTP/1.1\r\nHost: x\r\n".encode()
        if self.kind == "head":
            return head + b"X-Slow: "
        if self.kind == "body":
            return head + b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
        body = b"1,2,3,4,5\n" * ROWS
        return (head + b"Content-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % len(body)) + body

    def push(self):
        """Sends what it still has of its first bytes; its time begins when they have gone, or,
        where it does not read its answer, when that begins."""
        while self.pending:
            try:
                self.pending = self.pending[self.socket.send(self.pending):]
            except BlockingIOError:
                return
            except OSError:
                self.cut = time.monotonic()
                return
        if self.began is None and self.kind != "read":
            self.began = time.monotonic()

    def drip(self):
        if self.began is not None and self.cut is None and self.kind != "read":
            try:
                self.socket.send(b"a" if self.kind == "head" else b" ")
            except OSError:
                pass

    def hear(self):
        """True: cut."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self.said = (self.said + data)[:4096]
        return not data

    def end(self):
        if self.cut is None:
            self.cut = time.monotonic()
        self.socket.close()


class Siege(threading.Thread):
    """All slow clients, in one thread."""

    def __init__(self, options, port):
        super().__init__()
        self.options = options
        addresses = [f"127.0.1.{i + 1}" for i in range(ADDRESSES[options.run])]
        kinds = ["head"] * options.heads + ["body"] * options.bodies + ["read"] * options.reads
        random.Random(1).shuffle(kinds)
        self.again = options.run != "ample"
        self.clients = [(kind, addresses[i % len(addresses)]) for i, kind in enumerate(kinds)]
        self.port, self.poll = port, select.epoll()
        self.open, self.done = {}, []
        self.begun = time.monotonic()
        self.over = self.begun + options.seconds
        self.statuses, self.cuts = collections.Counter(), collections.Counter()

    def start_one(self, slow):
        self.open[slow.socket.fileno()] = slow
        self.poll.register(slow.socket.fileno(), select.EPOLLOUT | select.EPOLLIN)

    def run(self):
        dripped = looked = time.monotonic()
        self.launch()
        while (self.open or self.coming) and time.monotonic() < self.over:
            for descriptor, event in self.poll.poll(0.05):
                self.serve(self.open[descriptor], event)
            now = time.monotonic()
            if now - dripped > 1:
                dripped = now
                for slow in list(self.open.values()):
                    slow.drip()
            if now - looked > 0.25:
                looked = now
                self.look_for_orphans()
            while self.coming and self.coming[0][0] <= now:
                slow = self.coming.popleft()[1]
                slow.open()
                self.start_one(slow)
        for slow in list(self.open.values()):
            slow.socket.close()

    def launch(self):
        self.coming = collections.deque()
        begin = time.monotonic()
        for i, (kind, address) in enumerate(self.clients):
            slow = Slow(kind, address, self.port)
            self.coming.append((begin + RAMP * i / len(self.clients), slow))

    def serve(self, slow, event):
        descriptor = slow.socket.fileno()
        if slow.pending:
            slow.push()
            if not slow.pending:
                self.poll.modify(descriptor, select.EPOLLIN)
        elif slow.kind == "read" and slow.began is None and event & select.EPOLLIN:
            slow.began = time.monotonic()
            self.poll.modify(descriptor, 0)
            return
        failed = event & (select.EPOLLHUP | select.EPOLLERR)
        if slow.cut is not None or failed or (event & select.EPOLLIN and slow.hear()):
            self.finish(slow, descriptor)

    def finish(self, slow, descriptor):
        del self.open[descriptor]
        self.poll.unregister(descriptor)
        slow.end()
        found = re.match(rb"HTTP/1.1 (\d+)", slow.said)
        self.statuses[(slow.kind, found[1].decode() if found else "closed")] += 1
        self.cuts[slow.kind] += 1
        self.done.append((slow.kind, slow.began, slow.cut))
        if self.again:
            self.coming.append((time.monotonic() + AGAIN, slow))

    def look_for_orphans(self):
        """Who does not read does not see that it was cut: the daemon's end of its connection
        belongs to no process any more, or is gone."""
        readers = {slow.socket.getsockname()[1]: slow for slow in self.open.values()
                   if slow.kind == "read" and slow.began is not None}
        if not readers:
            return
        held = set()
        with open("/proc/net/tcp", encoding="ascii") as file:
            for line in file:
                fields = line.split()
                if fields[1].endswith(f":{self.port:04X}") and fields[9] != "0":
                    held.add(int(fields[2].split(":")[1], 16))
        for port, slow in readers.items():
            if port not in held:
                self.finish(slow, slow.socket.fileno())


# ---- Good clients, each a process --------------------------------------------------------------

def score(port, over, pipe):
    """Scores until `over`: three requests on a connection kept, one on a new one."""
    body = json.dumps({"samples": [[1, 2, 3, 4, 5]]})
    kept, times, faults = None, [], []
    number = 0
    while time.monotonic() < over:
        fresh = number % 4 == 3
        number += 1
        begin = time.monotonic()
        try:
            if kept is None or fresh:
                one = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            else:
                one = kept
            one.request("POST", SCORE, body=body, headers={"Content-Type": "application/json"})
            answer = one.getresponse()
            answer.read()
            if answer.status != 200:
                faults.append(f"{begin:.2f}: {answer.status}, {'new' if fresh else 'kept'}")
            kept, old = (kept if fresh else one), (one if fresh else None)
            if old is not None:
                old.close()
        except (OSError, http.client.HTTPException) as error:
            faults.append(f"{begin:.2f}: {error!r}, {'new' if fresh else 'kept'}")
            kept = kept if fresh else None
        times.append((begin, time.monotonic() - begin))
        time.sleep(0.004)
    pipe.send((times, faults))


def probe(port, paths, over, pipe):
    """A new connection each time, as probes do."""
    times, faults = [], []
    while time.monotonic() < over:
        for path in paths:
            begin = time.monotonic()
            try:
                one = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                one.request("GET", path)
                answer = one.getresponse()
                answer.read()
                one.close()
                if answer.status != 200:
                    faults.append(f"{path}: {answer.status}")
            except (OSError, http.client.HTTPException) as error:
                faults.append(f"{path}: {error!r}")
            times.append((begin, time.monotonic() - begin))
        time.sleep(0.1)
    pipe.send((times, faults))


class Beside:
    """One of these, running."""

    def __init__(self, function, *arguments):
        self.pipe, end = multiprocessing.Pipe(False)
        self.process = multiprocessing.Process(target=function, args=(*arguments, end))
        self.process.start()

    def result(self):
        got = self.pipe.recv()
        self.process.join()
        return got


# ---- The whole ---------------------------------------------------------------------------------

class Daemon(loop.Daemon):
    """With an operations listener."""

    def __init__(self, options, place, settings):
        super().__init__(options, place,
                         {**settings, "DEEPSADD_SERVER_OPERATIONS_LISTEN": "127.0.0.1:0"})
        self.operations = self.find_operations()

    def find_operations(self):
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            ports = set(re.findall(r"127\.0\.0\.1:(\d+)", self.said())) - {str(self.port)}
            if ports:
                return int(ports.pop())
            time.sleep(0.01)
        raise SystemExit("no operations listener:\n" + self.said())

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def make_model(options, place):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(600, 5)) + np.arange(5)
    x[-20:] += 4
    with open(place / "train.csv", "w", encoding="ascii") as file:
        file.write("f0,f1,f2,f3,f4,label\n")
        for i, row in enumerate(x):
            file.write(",".join(f"{v:.6g}" for v in row))
            file.write(",anomalous\n" if i >= 580 else ",\n")
    subprocess.run([options.build / "deepsad", "train", place / "train.csv", "--out",
                    place / "models" / loop.MODEL], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def figures(name, results, since=0.0):
    """Prints p50, p99, max in ms; (p99 in seconds, faults)."""
    times = [took for times, _ in results for begin, took in times if begin >= since]
    faults = [fault for _, faults in results for fault in faults]
    p50, p99 = np.percentile(times, [50, 99])
    print(f"{name}: {len(times)} requests, p50 {1e3 * p50:.2f} ms, p99 {1e3 * p99:.2f} ms, "
          f"max {1e3 * max(times):.1f} ms, {len(faults)} failed")
    return p99, faults


def check_cuts(options, siege, faults):
    """Of `ample`: how far each cut was off its deadline."""
    for kind, deadline in DEADLINES.items():
        off = np.array([cut - began - deadline for k, began, cut in siege.done
                        if k == kind and began is not None])
        expected = {"head": options.heads, "body": options.bodies, "read": options.reads}[kind]
        if len(off) != expected:
            faults.append(f"of {expected} slow-{kind} clients {len(off)} were cut")
        if len(off):
            print(f"slow {kind}: {len(off)} cut; off the deadline of {deadline} s by "
                  f"{off.min():+.2f} to {off.max():+.2f} s, median {np.median(off):+.2f}, "
                  f"p99 {np.percentile(off, 99):+.2f}")
            wrong = int(np.sum((off < -EARLY) | (off > LATE)))
            if wrong:
                faults.append(f"{wrong} slow-{kind} clients were not cut at their deadline")


def besiege(options, place):
    """The faults."""
    faults = []
    daemon = Daemon(options, place, RUNS[options.run])
    client = loop.Client(daemon.port)
    client.call("POST", SCORE, {"samples": [[1, 2, 3, 4, 5]]})
    quiet = Beside(score, daemon.port, time.monotonic() + 3)
    figures("before the siege", [quiet.result()])
    client.close()
    before = daemon.resident(), daemon.descriptors()
    begin = time.monotonic()
    over = begin + options.seconds
    good = [Beside(score, daemon.port, over) for _ in range(2)]
    main = Beside(probe, daemon.port, ["/v2/health/live", "/v2/health/ready", "/metrics"], over)
    aside = Beside(probe, daemon.operations, ["/v2/health/live", "/v2/health/ready", "/metrics"],
                   over)
    siege = Siege(options, daemon.port)  # after the forks, which must not inherit sockets
    siege.start()
    most = watch(daemon, over)
    p99, failed = figures("good clients", [one.result() for one in good])
    faults += [f"good client: {fault}" for fault in failed]
    if p99 > options.p99 / 1e3:
        faults.append(f"good clients' p99 was {1e3 * p99:.1f} ms")
    faults += [f"main listener: {f}" for f in figures("probes, main listener", [main.result()])[1]]
    faults += [f"operations listener: {fault}"
               for fault in figures("probes, operations listener", [aside.result()])[1]]
    siege.join()
    said = ", ".join(f"{kind} {status} {count}"
                     for (kind, status), count in sorted(siege.statuses.items()))
    print(f"slow clients were told: {said}")
    if options.run == "ample":
        check_cuts(options, siege, faults)
    time.sleep(3)
    after = daemon.resident(), daemon.descriptors()
    metrics = http.client.HTTPConnection("127.0.0.1", daemon.operations, timeout=10)
    metrics.request("GET", "/metrics")
    print("connections " + ", ".join(
        f"{name} {value}" for name, value in re.findall(
            r"deepsad_http_connections_(\w+)_total (\d+)",
            metrics.getresponse().read().decode())))
    metrics.close()
    print(f"resident {before[0] / 1e6:.1f} MB before, {most[0] / 1e6:.1f} at most, "
          f"{after[0] / 1e6:.1f} after; descriptors {before[1]}, {most[1]}, {after[1]}")
    if after[1] > before[1] + 1:
        faults.append(f"{after[1]} descriptors, {before[1]} before")
    if after[0] > before[0] + (64 << 20):
        faults.append(f"{(after[0] - before[0]) / 1e6:.0f} MB more memory than before")
    daemon.stop()
    return faults


def watch(daemon, over):
    """Most (resident bytes, descriptors) until then."""
    most = 0, 0
    while time.monotonic() < over:
        most = max(most[0], daemon.resident()), max(most[1], daemon.descriptors())
        time.sleep(0.25)
    return most


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=loop.ROOT / "build/release")
    parser.add_argument("--run", choices=list(RUNS), default="ample")
    parser.add_argument("--heads", type=int, default=2000)
    parser.add_argument("--bodies", type=int, default=2000)
    parser.add_argument("--reads", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=22)
    parser.add_argument("--p99", type=float, default=50, help="limit in ms")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with loop.fresh() as place:
        make_model(options, place)
        faults = besiege(options, place)
    for fault in faults[:20]:
        print(f"FAULT {fault}")
    print(f"slow clients, {options.run}: {f'{len(faults)} faults' if faults else 'passed'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
