# SPDX-License-Identifier: Apache-2.0
"""Every error of the HTTP contract: its status, its body, the place it names."""
import re
import socket
import threading
import time

import pytest

SCORE = "/v1/models/m/score"


def check_problem(answer, status, says=None, pointer=None):
    """The one body of errors, complete and consistent."""
    assert answer.status == status, answer.text
    problem = answer.json
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status and problem["type"] == "about:blank"
    assert problem["title"] and problem["error"] == problem["detail"]
    if says is not None:
        assert says in problem["detail"], problem
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer, problem
    return problem


POINTERS = [  # body, status, pointer, part of the detail
    ('{"samples": [[1, 2]]}', 422, "#/samples/0", "row 0 has 2 values"),
    ('{"samples": [[1, 2, 3], [1, 2, 3, 4]]}', 422, "#/samples/1/3", "more values"),
    ('{"samples": [[1, "2", 3]]}', 422, "#/samples/0/1", "found a string"),
    ('{"samples": [{"f0": 1}, {"f7": 2}]}', 422, "#/samples/1/f7", "not one of the model's"),
    ('{"samples": [{"f0": 1, "f0": 2}]}', 422, "#/samples/0/f0", "named twice"),
    ('{"samples": [{"f1": [2]}]}', 422, "#/samples/0/f1", "found an array"),
    ('{"samples": [[1, 1e39, 3]]}', 422, "#/samples/0/1", "range of a float"),
    ('{"samples": [[1, NaN, 3]]}', 422, "#/samples/0/1", "null for a missing value"),
    ('{"samples": []}', 422, "#/samples", "no rows"),
    ('{"ids": ["a"]}', 422, "#/samples", "missing"),
    ('{"samples": [[1,2,3]], "ids": ["a", "b"]}', 422, "#/ids", "2 ids for 1 rows"),
    ('{"samples": [[1,2,3],[1,2,3]], "ids": ["a", "a"]}', 422, "#/ids/1", "same as id 0"),
    ('{"samples": [[1,2,3]], "ids": ["a b"]}', 422, "#/ids/0", "letters"),
    ('{"samples": [[1,2,3]], "explain": -1}', 422, "#/explain", "0 or more"),
    ('{"samples": [[1,2,3]], "explain": 1.5}', 422, "#/explain", "0 or more"),
    ('{"samples": [[1,2,3]], "explain": "2"}', 422, "#/explain", "found a string"),
    ('{"samples": [[1,2,3]], "keep": 1}', 422, "#/keep", "true or false"),
    ('{"samples": [[1,2,3]], "samples": []}', 422, "#/samples", "twice"),
    ('{"rows": [[1,2,3]]}', 422, "#", "not a member"),
    ('[[1,2,3]]', 422, "#", "expected an object"),
]


@pytest.mark.parametrize("body,status,pointer,says", POINTERS)
def test_wrong_bodies_are_422_with_a_pointer(daemon, models, body, status, pointer, says):
    check_problem(daemon(models).request("POST", SCORE, body), status, says, pointer)


PLACES = [  # body, line, column
    ('{"samples": [[1,,2]]}', 1, 17),
    ('{"samples":\n [[1, 2, 3,]]}', 2, 12),
    ('{"samples": [[1, 2, 3]]', 1, 24),
    ('', 1, 1),
    ('{"samples": [[01, 2, 3]]}', 1, 15),
    ('{"samples": [[1, 2, 3]]} x', 1, 26),
    ('{"samples": [[1, 2, 3]], "ids": ["\\ud800"]}', 1, 35),
    ('{"samples": [[1, 2, 3]], "ids": ["a\\u0000"]}', 1, 36),
    ("{'samples': [[1, 2, 3]]}", 1, 2),
    ('{"samples"\n: [\n[1 2, 3]]}', 3, 4),
    ('{"samples": [[1, 2, 3]]}\0', 1, 25),
    (b'{"samples": [{"\xff": 1}]}', 1, 16),
]


def test_malformed_json_is_400_with_line_and_column(server):
    for body, line, column in PLACES:
        answer = server.request("POST", SCORE, body)
        problem = check_problem(answer, 400)
        assert f"line {line}, column {column}:" in problem["detail"], (body, problem)


def test_unknown_paths_models_and_versions_are_404(server):
    check_problem(server.request("GET", "/nowhere"), 404, "GET / lists")
    check_problem(server.request("POST", "/v1/models/none/score", "{}"), 404, "none")
    check_problem(server.request("POST", "/v1/models/m/versions/7/score", "{}"), 404, "7")
    check_problem(server.request("GET", "/v1/models/m/versions/01"), 404, "01")
    check_problem(server.request("GET", "/v1/models/%6d"), 404)
    answer = server.request("GET", "/v2/nothing")
    assert answer.status == 404 and answer.headers["Content-Type"] == "application/json"
    assert answer.json["error"]


def test_a_wrong_method_is_405_with_allow(server):
    answer = server.request("GET", SCORE)
    check_problem(answer, 405)
    assert answer.headers["Allow"] == "POST"
    answer = server.request("DELETE", "/v1/models")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"


def test_a_post_without_length_is_411(server):
    got = server.raw(f"POST {SCORE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     "Connection: close\r\n\r\n".encode())
    assert got.startswith(b"HTTP/1.1 411 ")


def test_other_media_types_are_415(server):
    for kind in ("text/plain", "application/json; charset=latin1", "application/xml"):
        check_problem(server.request("POST", SCORE, "{}", {"Content-Type": kind}), 415, kind)
    check_problem(server.request("POST", SCORE, "{}", {"Content-Encoding": "gzip",
                                                       "Content-Type": "application/json"}), 415)
    for kind in ("Application/JSON", "application/json; charset=UTF-8"):
        assert server.request("POST", SCORE, {"samples": [[1, 2, 3]]},
                              {"Content-Type": kind}).status == 200


def test_what_is_too_large_is_413_with_the_limit(daemon, models):
    server = daemon(models, limits__body="4KiB", limits__rows=5, limits__decoded="64KiB")
    rows = {"samples": [[1, 2, 3]] * 6}
    check_problem(server.request("POST", SCORE, rows), 413, "limit of 5", "#/samples/5")
    check_problem(server.request("POST", SCORE, "{" + " " * 5000), 413, "4096 bytes")
    chunks = iter([b" " * 3000, b" " * 3000])
    connection = server.connect()
    connection.request("POST", SCORE, chunks, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 413 and b"4096 bytes" in answer.read()
    head = (f"POST {SCORE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 900000000\r\n\r\n")
    assert server.raw(head.encode()).startswith(b"HTTP/1.1 413 ")


def test_many_narrow_rows_of_a_wide_model_are_413(daemon, make_model, tmp_path):
    make_model(tmp_path / "wide", "m", features=40)
    server = daemon(tmp_path / "wide", limits__decoded="64KiB")
    answer = server.request("POST", SCORE, {"samples": [{}] * 500})
    check_problem(answer, 413, "limits.decoded", "#/samples/409")


def test_a_client_that_is_slow_is_cut_off(daemon, models):
    server = daemon(models, limits__head_time="300ms", limits__body_time="400ms",
                    limits__idle_time="500ms")
    start = time.monotonic()
    assert server.raw(b"GET / HTTP/1.1\r\nHost").startswith(b"HTTP/1.1 408 ")
    head = (f"POST {SCORE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 1000\r\n\r\n{")
    got = server.raw(head.encode())
    assert got.startswith(b"HTTP/1.1 408 ") and b"application/problem+json" in got
    assert time.monotonic() - start < 8
    # one byte now and then does not prolong it
    with socket.create_connection((server.host, server.port), 10) as peer:
        peer.sendall(head.encode())
        start = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - start < 8:
                peer.sendall(b" ")
                time.sleep(0.05)
        assert time.monotonic() - start < 8
    assert server.request("GET", "/v2/health/live").status == 200
    metrics = server.request("GET", "/metrics").text
    assert re.search(r"^deepsad_http_connections_expired_total 3$", metrics, re.M)
    assert 'route="/v1/models/{model}/score",status="408"} 2' in metrics


AMBIGUOUS = [
    b"Host: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    b"Host: x\r\nHost: y\r\nContent-Length: 2\r\n\r\n{}",
    b"Content-Length: 2\r\n\r\n{}",
    b"Host: x\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    b"Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"Host: x\r\nContent-Length: +2\r\n\r\n{}",
    b"Host: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
]


@pytest.mark.parametrize("rest", AMBIGUOUS)
def test_ambiguous_framing_is_refused_and_the_connection_closed(daemon, models, rest):
    server = daemon(models)
    got = server.raw(f"POST {SCORE} HTTP/1.1\r\nContent-Type: application/json\r\n".encode()
                     + rest + f"GET / HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert re.match(rb"HTTP/1\.1 4\d\d ", got), got
    assert b"HTTP/1.1 2" not in got, got  # what follows is not taken for a request
    assert server.request("GET", "/v2/health/live").status == 200


def test_too_many_requests_at_once_are_503_with_retry_after(daemon, models):
    server = daemon(models, limits__in_flight=1, server__threads=4)
    answers, body = [], {"samples": [[1, 2, 3]] * 3000, "explain": 1}

    def ask():
        for _ in range(5):
            answers.append(server.request("POST", SCORE, body))

    clients = [threading.Thread(target=ask) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    refused = [answer for answer in answers if answer.status != 200]
    assert len(answers) == 40 and refused and len(refused) < 40
    for answer in refused:
        check_problem(answer, 503, "limits.in_flight")
        assert int(answer.headers["Retry-After"]) >= 1
    assert server.request("GET", "/v2/health/ready").status == 200


def test_a_body_that_does_not_come_gives_way_to_others(daemon, models):
    server = daemon(models, limits__in_flight=1)
    head = (f"POST {SCORE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 100000\r\n\r\n{")
    with socket.create_connection((server.host, server.port), 10) as slow:
        slow.sendall(head.encode())
        time.sleep(0.3)  # it takes nobody's place before it has sent something
        assert server.request("POST", SCORE, {"samples": [[1, 2, 3]]}).status == 200
        slow.sendall(b" " * 80000)
        time.sleep(0.1)
        answer = server.request("POST", SCORE, {"samples": [[1, 2, 3]]})
        check_problem(answer, 503, "limits.in_flight")
        assert int(answer.headers["Retry-After"]) >= 1
        assert server.request("GET", "/v2/health/ready").status == 200


def test_a_client_over_its_share_of_connections_shuts_nobody_out(daemon, models):
    server = daemon(models, server__connections=16, server__connections_per_ip=4)
    peers = [socket.create_connection((server.host, server.port), 10) for _ in range(12)]
    time.sleep(0.3)
    for peer in peers:
        peer.close()
    time.sleep(0.3)
    assert server.request("GET", "/v2/health/live").status == 200
