# SPDX-License-Identifier: Apache-2.0
"""Requests of very many rows: scored while they arrive, answered in pieces, in little memory."""
import json
import re

import numpy as np
import pytest
from conftest import BUILD, gaussian_rows

FEATURES = 6
DISTINCT, REPEATS = 1000, 1000  # rows, and how often they come
RESULT = re.compile(rb'"score":([^,]+),"p_value":([^,]+),"anomalous":(true|false)\}')
SCORE = "/v1/models/wide/score"
IS_JSON = {"Content-Type": "application/json"}


@pytest.fixture
def served(daemon, make_model, tmp_path):
    """A daemon that takes long requests, with a model of six features."""
    make_model(tmp_path / "models", "wide", recipe="reference", features=FEATURES)
    return daemon(tmp_path / "models", limits__body="128MiB", limits__rows=10**6,
                  limits__reply_time="10m", limits__body_time="10m")


def row_texts(rows):
    x = gaussian_rows(rows, FEATURES, seed=11)
    return ["[" + ",".join(f"{v:.7f}" for v in row) + "]" for row in x]


def memory(server, what):
    """VmRSS or VmHWM in bytes."""
    for line in open(f"/proc/{server.pid}/status", encoding="ascii"):
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise AssertionError(what)


def columns(body):
    """(rows, 2): scores and p-values of an answer's text."""
    return np.array([(float(m[1]), float(m[2])) for m in RESULT.finditer(body)])


def million(texts):
    """The body in parts of a few 10 KiB."""
    yield b'{"samples":['
    part = ",".join(texts).encode()
    for i in range(REPEATS):
        yield part if i == 0 else b"," + part
    yield b"]}"


def test_a_million_rows_take_little_memory_and_score_as_few(served):
    texts = row_texts(DISTINCT)
    want = columns(served.request("POST", SCORE,
                                  '{"samples":[' + ",".join(texts) + "]}").text.encode())
    assert len(want) == DISTINCT
    idle = memory(served, "VmRSS")
    length = sum(len(part) for part in million(texts))
    assert length > 55 << 20
    connection = served.connect()
    connection.request("POST", SCORE, million(texts),
                       {**IS_JSON, "Content-Length": str(length)})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body[:500]
    assert body.endswith(b"}]}")
    got = columns(body).reshape(REPEATS, DISTINCT, 2)
    assert np.allclose(got, want, rtol=1e-5, atol=1e-7)
    if BUILD.name == "release":  # sanitizers have memory of their own
        assert memory(served, "VmHWM") - idle < 48 << 20


def test_a_row_too_many_is_refused_whatever_came_before(served):
    texts = row_texts(DISTINCT)
    parts = list(million(texts))
    parts[-1:] = [b"," + texts[0].encode(), b"]}"]
    connection = served.connect()
    connection.request("POST", SCORE, iter(parts), IS_JSON, encode_chunked=True)
    answer = served.take(connection.getresponse())
    assert answer.status == 413 and answer.json["errors"][0]["pointer"] == f"#/samples/{10**6}"
    assert served.request("POST", SCORE, f'{{"samples":[{texts[0]}]}}').status == 200


@pytest.mark.parametrize("rows", [4096, 4097, 20000])
def test_long_answers_arrive_in_pieces_and_whole(served, rows):
    texts = row_texts(rows)
    ids = [f"r{i}" for i in range(rows)]
    body = f'{{"ids":{json.dumps(ids)},"samples":[{",".join(texts)}]}}'
    answer = served.request("POST", SCORE, body)
    chunked = answer.headers.get("Transfer-Encoding") == "chunked"
    assert answer.status == 200 and chunked == (rows > 4096)
    assert [result["id"] for result in answer.json["results"]] == ids
    half = served.request("POST", SCORE, f'{{"samples":[{",".join(texts[-1000:])}]}}')
    assert np.allclose([r["score"] for r in half.json["results"]],
                       [r["score"] for r in answer.json["results"][-1000:]], rtol=1e-5)


def test_a_client_of_http_1_0_gets_a_long_answer_too(served):
    texts = row_texts(6000)
    body = f'{{"samples":[{",".join(texts)}]}}'.encode()
    head = (f"POST {SCORE} HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    got = served.raw(head + body)  # until the server closes
    got_head, got_body = got.split(b"\r\n\r\n", 1)
    assert b" 200 " in got_head.split(b"\r\n")[0]
    assert b"chunked" not in got_head
    assert len(json.loads(got_body)["results"]) == 6000


def test_a_client_that_leaves_amid_a_long_answer_does_no_harm(served):
    texts = row_texts(DISTINCT)
    idle = memory(served, "VmRSS")
    for _ in range(5):
        connection = served.connect()
        body = ('{"samples":[' + ",".join(texts * 30) + "]}").encode()
        connection.request("POST", SCORE, body, IS_JSON)
        connection.getresponse().read(1000)
        connection.close()
    assert served.request("POST", SCORE, f'{{"samples":[{texts[0]}]}}').status == 200
    if BUILD.name == "release":
        assert memory(served, "VmRSS") - idle < 48 << 20
