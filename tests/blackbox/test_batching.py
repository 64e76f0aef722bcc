# SPDX-License-Identifier: Apache-2.0
"""Requests of many connections scored together (model.yaml: batching): each gets its own
answer, the same as alone, whatever happens to the others meanwhile."""
import io
import json
import re
import shutil
import signal
import socket
import threading
import time

import numpy as np
import pytest
from conftest import SLOW, gaussian_rows

FEATURES, CLIENTS, REQUESTS = 8, 8, 60
SCORE = "/v1/models/m/score"
ROWS = gaussian_rows(100, FEATURES, seed=5)
POLICY = "batching:\n  delay: {}\n  rows: {}\n"


@pytest.fixture
def served(daemon, make_model, tmp_path):
    """served(delay="20ms", rows=16, ...): a daemon with the model m, whose requests wait."""
    models = tmp_path / "models"

    def start(delay="20ms", rows=16, **settings):
        make_model(models, "m", recipe="reference", features=FEATURES)
        (models / "m" / "model.yaml").write_text(POLICY.format(delay, rows))
        server = daemon(models, **settings)
        server.models = models
        return server

    return start


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def form(kind, rows):
    """(body, Content-Type) of the same rows."""
    if kind == "npy":
        return npy(rows), "application/x-npy"
    if kind == "csv":
        return "\n".join(",".join(map(str, row)) for row in rows.tolist()), "text/csv"
    return json.dumps({"samples": rows.tolist()}), "application/json"


def scores_of(answer):
    assert answer.status == 200, answer.text
    return [(r["score"], r["p_value"]) for r in answer.json["results"]]


def score(server, rows, kind="json", connection=None):
    body, content_type = form(kind, rows)
    return server.request("POST", SCORE, body, {"Content-Type": content_type}, connection)


def counted(server):
    """(batches, requests in them) so far."""
    text = server.request("GET", "/metrics").text
    found = [re.search(rf'^deepsad_{name}_total{{model="m"}} (\d+)$', text, re.M)
             for name in ("batches", "batched_requests")]
    return tuple(int(one[1]) if one else 0 for one in found)


class Client(threading.Thread):
    """Runs a function of (client, i, connection) again and again; what went wrong."""

    def __init__(self, server, number, what, times=REQUESTS):
        super().__init__()
        self.server, self.number, self.what, self.times = server, number, what, times
        self.faults, self.seen = [], []

    def run(self):
        connection = self.server.connect()
        for i in range(self.times):
            try:
                self.what(self, i, connection)
            except (OSError, AssertionError, KeyError) as error:
                self.faults.append(repr(error))
                return


def run_clients(server, what, count=CLIENTS, times=REQUESTS, meanwhile=None):
    clients = [Client(server, number, what, times) for number in range(count)]
    for client in clients:
        client.start()
    if meanwhile:
        meanwhile(clients)
    for client in clients:
        client.join(60 * SLOW)
        assert not client.is_alive() and client.faults == []
    return clients


def test_each_client_gets_the_scores_of_its_own_rows(served):
    server = served()
    want = scores_of(score(server, ROWS))  # more rows than a batch: they do not wait

    def one(client, i, connection):
        first, rows = (7 * i + 13 * client.number) % 90, 1 + (i + client.number) % 3
        kind = ("json", "csv", "npy")[client.number % 3]
        got = scores_of(score(client.server, ROWS[first:first + rows], kind, connection))
        assert np.allclose(got, want[first:first + rows], rtol=1e-5, atol=1e-7), (first, rows)

    run_clients(server, one)
    batches, requests = counted(server)
    assert 0 < batches < requests <= CLIENTS * REQUESTS


def test_options_and_mistakes_are_as_without_batches(served):
    server = served()
    refused = {0: ('{"samples":[[1,2]]}', 422), 1: ("{", 400),
               2: ('{"samples":[[1,2,3,4,5,6,7,8]],"ids":["a","b"]}', 422)}

    def one(client, i, connection):
        if client.number in refused:
            body, status = refused[client.number]
            assert server.request("POST", SCORE, body, None, connection).status == status
            return
        name = f"c{client.number}-{i}"
        answer = server.request("POST", SCORE, {"samples": ROWS[i:i + 1].tolist(), "ids": [name],
                                                "explain": 2, "keep": client.number == 3},
                                None, connection)
        assert answer.status == 200, answer.text
        (result,) = answer.json["results"]
        assert result["id"] == name and len(result["explanation"]) == 2
        assert answer.json.get("kept") == (True if client.number == 3 else None)

    run_clients(server, one)
    batches, requests = counted(server)
    assert 0 < batches < requests


def test_a_single_client_is_served_alone(served):
    server = served(delay="1ms")
    connection = server.connect()
    for i in range(600):
        assert score(server, ROWS[i % 100:i % 100 + 1], "json", connection).status == 200
    batches, requests = counted(server)
    assert 0 < batches == requests < 30  # it tried, rarely, whether others come


def test_without_the_policy_nobody_waits(served):
    server = served(delay="0s")
    run_clients(server, lambda client, i, connection: scores_of(
        score(client.server, ROWS[i:i + 1], "json", connection)))
    assert counted(server) == (0, 0)


def test_clients_that_leave_while_they_wait_do_no_harm(served):
    server = served()

    def one(client, i, connection):
        if client.number % 2:
            with socket.create_connection((server.host, server.port), 10 * SLOW) as peer:
                body = form("json", ROWS[i:i + 1])[0].encode()
                peer.sendall(f"POST {SCORE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
                             f"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            return
        scores_of(score(server, ROWS[i:i + 1], "json", connection))

    run_clients(server, one)
    assert score(server, ROWS[:1]).status == 200


def test_swaps_and_new_policies_lose_no_request(served, make_model):
    server = served()
    stop = threading.Event()

    def one(client, _, connection):
        while not stop.is_set():
            answer = score(server, ROWS[client.number:client.number + 1], "json", connection)
            (got,) = scores_of(answer)
            client.seen.append((answer.json["version"], got[0]))

    def swap(_):
        for turn in range(6):
            make_model(server.models, "m", recipe="reference", features=FEATURES, seed=turn + 2)
            (server.models / "m" / "model.yaml").write_text(
                POLICY.format("0s" if turn == 2 else "5ms", 4 + turn))
            server.signal(signal.SIGHUP)
            limit = time.monotonic() + 20 * SLOW
            while server.request("GET", "/v1/models/m").json["version"] != str(turn + 2):
                assert time.monotonic() < limit
                time.sleep(0.01)
        stop.set()

    clients = run_clients(server, one, times=1, meanwhile=swap)
    assert counted(server)[0] > 0
    for client in clients:
        versions = {version for version, _ in client.seen}
        assert len(versions) > 1
        for version in versions:  # one version, one row: one score
            values = [value for number, value in client.seen if number == version]
            assert np.allclose(values, values[0], rtol=1e-5)


def test_a_model_that_goes_while_requests_wait_answers_them_first(served):
    server = served()

    def one(client, _, connection):
        while True:
            answer = score(server, ROWS[client.number:client.number + 1], "json", connection)
            client.seen.append(answer.status)
            if answer.status != 200:
                return

    def remove(_):
        while counted(server)[0] == 0:
            time.sleep(0.01)
        shutil.rmtree(server.models / "m")
        server.signal(signal.SIGHUP)

    for client in run_clients(server, one, times=1, meanwhile=remove):
        assert set(client.seen) <= {200, 404} and client.seen[-1] == 404


def test_stopping_answers_those_that_wait(served):
    """With a delay of a second, which the stop does not wait for."""
    server = served(delay="1s", rows=64)
    stopping = threading.Event()

    def one(client, _, connection):
        while True:
            try:
                answer = score(server, ROWS[client.number:client.number + 1], "json", connection)
            except OSError:
                assert stopping.is_set()
                return
            client.seen.append(answer.status)
            if answer.status != 200 or answer.headers.get("Connection") == "close":
                return

    def stop(_):
        while counted(server)[0] == 0:
            time.sleep(0.01)
        stopping.set()
        server.signal(signal.SIGTERM)

    for client in run_clients(server, one, times=1, meanwhile=stop):
        assert set(client.seen) <= {200, 503}
    assert server.process.wait(20 * SLOW) == 0
