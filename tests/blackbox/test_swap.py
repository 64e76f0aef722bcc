# SPDX-License-Identifier: Apache-2.0
"""Hot swap: models change on disk and SIGHUP loads them while clients score. No request
fails, no answer mixes versions, memory stays flat. DEEPSAD_SWAPS says how often (30)."""
import collections
import os
import shutil
import signal
import threading
import time

from conftest import SLOW

SWAPS = int(os.environ.get("DEEPSAD_SWAPS", "30"))
CLIENTS = 3
ROWS = [[1, 2, 3, 4, 5], [0.5, None, 2, 3.5, 4], [9, -9, 9, -9, 9]]


class Client(threading.Thread):
    """Scores the same rows until told to stop; what came back, by version."""

    def __init__(self, server, path):
        super().__init__()
        self.server, self.path = server, path
        self.stopping = threading.Event()
        self.answers = collections.Counter()
        self.scores, self.faults = {}, []

    def run(self):
        connection = self.server.connect()
        while not self.stopping.is_set():
            try:
                answer = self.server.request("POST", self.path, {"samples": ROWS},
                                             connection=connection)
            except (OSError, AssertionError) as error:
                self.faults.append(repr(error))
                return
            if answer.status != 200:
                self.faults.append(answer.text)
                return
            self.take(answer.json)

    def take(self, answer):
        version = answer["version"]
        scores = [result["score"] for result in answer["results"]]
        self.answers[version] += 1
        if self.scores.setdefault(version, scores) != scores:
            self.faults.append(f"version {version} scored {scores} and {self.scores[version]}")


def live_version(server):
    return server.request("GET", "/v1/models/m").json["version"]


def wait_for_version(server, version):
    limit = time.monotonic() + 10 * SLOW
    while live_version(server) != version:
        assert time.monotonic() < limit, f"version {version} does not go live"
        time.sleep(0.002)


def swap_once(server, models, number, stock):
    """Publishes version `number`, retires the one three before; returns when it is live."""
    staging = models / "m" / f".{number}.tmp"
    shutil.copytree(stock[number % len(stock)], staging)
    staging.rename(models / "m" / str(number))
    server.signal(signal.SIGHUP)
    wait_for_version(server, str(number))
    old = models / "m" / str(number - 3)
    if old.exists():
        shutil.rmtree(old)


def test_swaps_under_load_fail_no_request_and_mix_no_versions(make_model, daemon, tmp_path):
    stock = [make_model(tmp_path / "stock", "s", seed=seed) for seed in (1, 2, 3)]
    models = tmp_path / "models"
    shutil.copytree(stock[1], models / "m" / "1")
    server = daemon(models, log__level="warning")
    clients = [Client(server, "/v1/models/m/score") for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    sizes = []
    try:
        for number in range(2, SWAPS + 2):
            swap_once(server, models, number, stock)
            sizes.append(server.rss())
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
    faults = [fault for client in clients for fault in client.faults]
    assert not faults, faults[:5]
    check_scores(clients, stock)
    check_memory(sizes)
    requests = sum(sum(client.answers.values()) for client in clients)
    print(f"{SWAPS} swaps, {requests} requests, resident {sizes[0] >> 10} KiB after the first, "
          f"{sizes[-1] >> 10} KiB after the last, {max(sizes) >> 10} KiB at most")


def check_scores(clients, stock):
    """Versions that are copies of one model scored alike, of different ones differently."""
    by_model = collections.defaultdict(set)
    for client in clients:
        for version, scores in client.scores.items():
            by_model[int(version) % len(stock)].add(tuple(scores))
    assert all(len(scores) == 1 for scores in by_model.values()), by_model
    assert len(set.union(*by_model.values())) == len(by_model) > 1


def check_memory(sizes):
    """Flat: what the second half needs beyond the first quarter is no growth per swap."""
    if SLOW == 1 and len(sizes) >= 200:
        assert max(sizes[len(sizes) // 2:]) < max(sizes[:len(sizes) // 4]) + (2 << 20), sizes
