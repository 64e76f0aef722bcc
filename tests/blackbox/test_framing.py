# SPDX-License-Identifier: Apache-2.0
"""How requests are told apart (RFC 9112): whatever a proxy and the daemon might read in two
ways is refused, the connection closed, and what follows is never answered as a request."""
import re
import socket
import time

import pytest

SCORE = "/v1/models/m/score"
BODY = b'{"samples": [[1, 2, 3]]}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
SECOND = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
HOST = b"Host: x\r\n"
TYPE = b"Content-Type: application/json\r\n"


def post(fields, body=BODY, line=f"POST {SCORE} HTTP/1.1".encode()):
    return line + b"\r\n" + TYPE + fields + b"\r\n" + body


def get(target, fields=HOST, version=b"HTTP/1.1"):
    return b"GET " + target + b" " + version + b"\r\n" + fields + b"\r\n"


# Refused with a 4xx or without an answer, and closed.
REFUSED = {
    "two lengths, equal": post(HOST + LENGTH + LENGTH),
    "two lengths, different": post(HOST + LENGTH + b"Content-Length: 5\r\n"),
    "length with a sign": post(HOST + b"Content-Length: +24\r\n"),
    "negative length": post(HOST + b"Content-Length: -1\r\n"),
    "list of lengths": post(HOST + b"Content-Length: 24,24\r\n"),
    "hexadecimal length": post(HOST + b"Content-Length: 0x18\r\n"),
    "length with a fraction": post(HOST + b"Content-Length: 24.0\r\n"),
    "length with a space": post(HOST + b"Content-Length: 2 4\r\n"),
    "empty length": post(HOST + b"Content-Length:\r\n"),
    "length beyond 64 bits": post(HOST + b"Content-Length: 18446744073709551640\r\n"),
    "length and chunked": post(HOST + LENGTH + b"Transfer-Encoding: chunked\r\n"),
    "chunked and length": post(HOST + b"Transfer-Encoding: chunked\r\n" + LENGTH, CHUNKED),
    "xchunked": post(HOST + b"Transfer-Encoding: xchunked\r\n", CHUNKED),
    "chunked twice": post(HOST + b"Transfer-Encoding: chunked, chunked\r\n", CHUNKED),
    "two fields chunked": post(HOST + 2 * b"Transfer-Encoding: chunked\r\n", CHUNKED),
    "gzip, chunked": post(HOST + b"Transfer-Encoding: gzip, chunked\r\n", CHUNKED),
    "chunked, identity": post(HOST + b"Transfer-Encoding: chunked, identity\r\n", CHUNKED),
    "identity": post(HOST + b"Transfer-Encoding: identity\r\n" + LENGTH),
    "chunked in quotes": post(HOST + b'Transfer-Encoding: "chunked"\r\n', CHUNKED),
    "vertical tab before chunked": post(HOST + b"Transfer-Encoding: \x0bchunked\r\n", CHUNKED),
    "space before the colon": post(HOST + b"Content-Length : 24\r\n"),
    "tab before the colon": post(HOST + b"Transfer-Encoding\t: chunked\r\n", CHUNKED),
    "space before the name": post(b"Host: x\r\n Content-Length: 24\r\n"),
    "chunked in HTTP/1.0": post(HOST + b"Transfer-Encoding: chunked\r\n", CHUNKED,
                                f"POST {SCORE} HTTP/1.0".encode()),
    # Of the last field, and of the target, the library shows nothing from the NUL on.
    "NUL in a value": post(HOST + b"X-A: a\x00b\r\n" + LENGTH),
    "NUL behind a length": post(HOST + b"Content-Length: 24\x00 5\r\nX-A: b\r\n"),
    "NUL in a name": post(HOST + LENGTH + b"X\x00A: a\r\n"),
    "no colon": post(HOST + LENGTH + b"Nonsense\r\n"),
    "empty name": post(HOST + b": x\r\n" + LENGTH),
    "folded length": post(HOST + b"Content-Length:\r\n 24\r\n"),
    "folded chunked": post(HOST + b"Transfer-Encoding:\r\n chunked\r\n", CHUNKED),
    "folded field": post(HOST + LENGTH + b"X-A: a\r\n b\r\n"),
    "carriage return alone in a value": post(HOST + LENGTH + b"X-A: a\rb\r\n"),
    "two Hosts": post(HOST + HOST + LENGTH),
    "no Host": post(LENGTH),
    "control in a value": post(HOST + LENGTH + b"X-A: a\x01b\r\n"),
    "chunk of a negative size": post(HOST + b"Transfer-Encoding: chunked\r\n", b"-5\r\nabcde\r\n"),
    "chunk of a huge size": post(HOST + b"Transfer-Encoding: chunked\r\n",
                                 b"fffffffffffffffff\r\nabc"),
    "chunk without a size": post(HOST + b"Transfer-Encoding: chunked\r\n", b"\r\nabcde\r\n"),
    "chunk size with 0x": post(HOST + b"Transfer-Encoding: chunked\r\n", b"0x18\r\n" + BODY),
    "chunk longer than its size": post(HOST + b"Transfer-Encoding: chunked\r\n",
                                       b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": get(b"/v2", version=b"HTTP/9.9"),
    "no version": b"GET /v2\r\nHost: x\r\n\r\n",
    "space in the target": get(b"/v2/health /live"),
    "control in the target": get(b"/v2/\x01"),
    "no method": b" /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "long target": get(b"/" + b"a" * 40000),
    "long field": get(b"/v2", HOST + b"X-A: " + b"a" * 40000 + b"\r\n"),
    "many fields": get(b"/v2", HOST + b"".join(b"X-%d: a\r\n" % i for i in range(5000))),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_read_in_two_ways_is_refused_and_the_connection_closed(server, name):
    got = send_all(server, REFUSED[name] + SECOND)
    statuses = re.findall(rb"HTTP/1\.1 (\d\d\d) ", got)
    assert len(statuses) <= 2, got  # the library sends the head of its own answers twice
    assert all(status[:1] == b"4" or status == b"505" for status in statuses), got
    assert b"smuggled" not in got and server.request("GET", "/v2/health/live").status == 200


def send_all(server, data):
    """All that comes back until the daemon closes, within a second; a reset is an end, too."""
    got = b""
    with socket.create_connection((server.host, server.port), 5) as peer:
        try:
            peer.sendall(data)
            while chunk := peer.recv(65536):
                got += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
    return got


# Taken, as one request; the second on the same connection is another.
TAKEN = {
    "a length": post(HOST + LENGTH),
    "a length with spaces before": post(HOST + b"Content-Length: \t24\r\n"),
    "names in any case": post(b"hOST: x\r\ncONTENT-lENGTH: 24\r\n"),
    "chunked": post(HOST + b"Transfer-Encoding: chunked\r\n", CHUNKED),
    "CHUNKED": post(HOST + b"Transfer-Encoding: CHUNKED\r\n", CHUNKED),
    "chunk with an extension": post(HOST + b"Transfer-Encoding: chunked\r\n",
                                    b"18;a=b;c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "size with zeros": post(HOST + b"Transfer-Encoding: chunked\r\n",
                            b"0018\r\n" + BODY + b"\r\n000\r\n\r\n"),
    "trailer": post(HOST + b"Transfer-Encoding: chunked\r\n",
                    b"18\r\n" + BODY + b"\r\n0\r\nX-A: b\r\n\r\n"),
    "trailer with a length": post(HOST + b"Transfer-Encoding: chunked\r\n",
                                  b"18\r\n" + BODY + b"\r\n0\r\nContent-Length: 500\r\n\r\n"),
    "empty Host": post(b"Host:\r\n" + LENGTH),
    "absolute target": post(HOST + LENGTH, line=f"POST http://y{SCORE} HTTP/1.1".encode()),
    "empty line before": b"\r\n" + post(HOST + LENGTH),
    # RFC 9112, 2.2: a recipient may take a line feed alone for the end of a line.
    "line feeds alone": post(HOST + LENGTH, b"").replace(b"\r\n", b"\n") + BODY,
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_request_ends_where_it_ends(server, name):
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    got = send_all(server, TAKEN[name] + last)
    assert re.findall(rb"HTTP/1\.1 (\d\d\d) ", got) == [b"200", b"200"], got
    assert b'"results"' in got


def test_pipelined_requests_are_answered_in_order(server):
    data = b"".join(post(HOST + LENGTH + b"X-Request-Id: r%d\r\n" % i) for i in range(20))
    got = send_all(server, data + get(b"/v2", HOST + b"Connection: close\r\n"))
    assert re.findall(rb"X-Request-Id: (r\d+)\r\n", got) == [b"r%d" % i for i in range(20)]
    assert got.count(b"HTTP/1.1 200 ") == 21


@pytest.mark.parametrize("fields, status", [
    (b"Content-Encoding: gzip\r\n" + LENGTH, b"415"),
    (b"Content-Encoding: identity, gzip\r\n" + LENGTH, b"415"),
    (b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n" + LENGTH, b"415"),
    (b"Content-Length: 99999999999\r\n", b"413"),
    (b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n", b"413"),
    (b"Expect: 100-continue\r\nContent-Encoding: gzip\r\n" + LENGTH, b"415"),
    (b"Expect: 100-continue\r\nContent-Length: 5\r\nContent-Length: 6\r\n", b"400"),
])
def test_what_the_head_decides_is_answered_before_the_body(server, fields, status):
    with socket.create_connection((server.host, server.port), 10) as peer:
        peer.sendall(post(HOST + fields, b""))
        if b"Expect" not in fields and b"9999" not in fields:
            peer.sendall(BODY)  # a short one is read first, and dropped
        got = peer.recv(65536)
    assert re.match(rb"HTTP/1\.1 " + status, got), got
    assert b"100 Continue" not in got


def test_a_body_that_is_awaited_is_asked_for(server):
    with socket.create_connection((server.host, server.port), 10) as peer:
        peer.sendall(post(HOST + b"Expect: 100-continue\r\n" + LENGTH, b""))
        assert peer.recv(65536).startswith(b"HTTP/1.1 100 ")
        peer.sendall(BODY)
        assert peer.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_chunked_body_beyond_the_limit_is_cut_off(daemon, models):
    server = daemon(models, limits__body="64KiB")
    before = server.rss()
    got = b""
    with socket.create_connection((server.host, server.port), 10) as peer:
        peer.sendall(post(HOST + b"Transfer-Encoding: chunked\r\n", b""))
        try:
            for _ in range(2000):  # 125 MiB
                peer.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            got = peer.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert not got or got.startswith(b"HTTP/1.1 413 "), got
    assert server.rss() < before + (8 << 20)


@pytest.mark.parametrize("path", [SCORE, "/v1/models/m/labels", "/v2/models/m/infer"])
@pytest.mark.parametrize("text", ["[", '{"a":', '{"samples":[', '{"labels":[', '{"inputs":[',
                                  '{"labels":[{"features":['])
def test_deep_nesting_is_refused(server, path, text):
    before = server.rss()
    depth = 100_000
    answer = server.request("POST", path, text * depth)
    assert answer.status in (400, 422), answer.text
    assert server.rss() < before + (16 << 20)


def test_long_strings_and_many_members_are_refused(server):
    for body in ('{"labels": [{"note": "%s"}]}' % ("a" * 5_000_000),
                 '{%s}' % ",".join(f'"m{i}": 1' for i in range(200_000)),
                 '{"labels": [%s]}' % ",".join(["{}"] * 200_000)):
        answer = server.request("POST", "/v1/models/m/labels", body)
        assert answer.status in (400, 413, 422), answer.text


def fill(server, address, count):
    """Connections that send the half of a head, from an address."""
    peers = []
    for _ in range(count):
        peer = socket.create_connection((server.host, server.port), 10, (address, 0))
        peer.sendall(b"GET / HTTP/1.1\r\n")
        peers.append(peer)
    return peers


def test_a_full_table_makes_room_and_operations_are_reachable(daemon, models):
    server = daemon(models, server__connections=64, server__connections_per_ip=32,
                    server__operations_listen="127.0.0.1:0")
    line = server.wait_for("serving health and metrics")
    port = int(re.search(r"127\.0\.0\.1:(\d+)", line)[1])
    peers = [peer for i in range(4) for peer in fill(server, f"127.0.2.{i + 1}", 20)]
    with socket.create_connection((server.host, port), 10) as probe:
        probe.sendall(get(b"/v2/health/ready", HOST + b"Connection: close\r\n"))
        assert probe.recv(100).startswith(b"HTTP/1.1 200 ")
    begin = time.monotonic()
    assert server.request("POST", SCORE, BODY.decode()).status == 200
    assert time.monotonic() - begin < 5  # and not after head_time, 10 s
    metrics = server.request("GET", "/metrics").text
    assert float(re.search(r"^\w+_evicted_total (\S+)", metrics, re.M)[1]) > 0
    for peer in peers:
        peer.close()


def test_uploads_that_do_not_end_make_room(daemon, models):
    server = daemon(models, limits__in_flight=4)
    peers = []
    for _ in range(4):
        peer = socket.create_connection((server.host, server.port), 10)
        peer.sendall(post(HOST + b"Content-Length: 100000\r\n", b" " * 80000))
        peers.append(peer)
    time.sleep(0.3)
    assert server.request("POST", SCORE, BODY.decode()).status == 503
    limit = time.monotonic() + 10
    while server.request("POST", SCORE, BODY.decode()).status == 503:
        assert time.monotonic() < limit
        time.sleep(0.1)
    answers = []
    for peer in peers:
        peer.settimeout(0.2)
        try:
            answers.append(peer.recv(100))
        except TimeoutError:
            pass
        peer.close()
    assert answers and all(text.startswith(b"HTTP/1.1 503 ") for text in answers), answers


def test_who_hangs_up_with_the_last_bytes_is_noticed(daemon, models):
    """Bytes and the end in one: the library reads the bytes only."""
    server = daemon(models, limits__head_time="60s")
    for _ in range(20):
        with socket.create_connection((server.host, server.port), 10) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHo")
    limit = time.monotonic() + 10
    while True:
        metrics = server.request("GET", "/metrics").text
        if float(re.search(r"^deepsad_http_connections (\S+)", metrics, re.M)[1]) <= 1:
            break
        assert time.monotonic() < limit, "connections are left"
        time.sleep(0.2)
