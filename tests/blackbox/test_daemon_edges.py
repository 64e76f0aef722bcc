# SPDX-License-Identifier: Apache-2.0
"""The daemon where requests, files and limits are odd but possible."""
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import time

import numpy as np
import pytest

from conftest import SLOW, gaussian_rows, run, write_csv

SCORE = "/v1/models/m/score"
ROW = '{"samples": [[1, 2, 3]]}'


@pytest.fixture
def models(make_model, tmp_path):
    make_model(tmp_path / "models", "m", features=3)
    return tmp_path / "models"


@pytest.fixture
def server(daemon, models):
    return daemon(models)


def head(*fields, target=SCORE, method="POST"):
    lines = [f"{method} {target} HTTP/1.1", "Host: x", *fields, "", ""]
    return "\r\n".join(lines).encode()


def chunks(parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


def post(peer, fields, body):
    """One request on an open socket; status and body of its answer."""
    peer.sendall(head(*fields) + body)
    answer = http.client.HTTPResponse(peer)
    answer.begin()
    return answer.status, json.loads(answer.read())


def reload(server, count):
    """SIGHUP, and the wait for the end of the count-th."""
    server.signal(signal.SIGHUP)
    limit = time.monotonic() + 20
    while "".join(server.stderr).count('"reloaded"') < count and time.monotonic() < limit:
        time.sleep(0.02)
    assert "".join(server.stderr).count('"reloaded"') == count


def model_states(server):
    return {m["name"]: (m["state"], m["version"])
            for m in server.request("GET", "/v1/models").json["models"]}


# ---- Requests ----

@pytest.mark.parametrize("name", ["Content-Length ", "Content-Length\t", "Con tent-Length"])
def test_a_space_in_the_name_of_a_field_is_refused(server, name):
    smuggled = head("Content-Length: 0", target="/v1/models", method="GET")
    got = server.raw(head(f"{name}: {len(smuggled)}", target="/v1/models", method="GET")
                     + smuggled)
    assert got.startswith(b"HTTP/1.1 400 ") and got.count(b"HTTP/1.1 ") == 1, got


@pytest.mark.parametrize("target,status", [
    ("http://x/v2/health/live", 200), ("HTTPS://x:8080/v2/health/live?a=b", 200),
    ("http://x", 200), ("http://x/nothing", 404), ("*", 404), ("//v2/health/live", 404)])
def test_a_target_may_name_the_host(server, target, status):
    got = server.raw(head("Connection: close", target=target, method="GET"))
    assert got.startswith(b"HTTP/1.1 %d " % status), got


@pytest.mark.parametrize("kind,body", [
    ("application/json", '{ "ids" :["t-\\u0031", "x"],"samples":[[ -1.5e-3,null,1234567890.12345'
                         '6789],{"\\u00661": 1e2,"f0" :-0.0 , "f2":null}] } '),
    ("text/csv", 'f0,"f1",f2\r\n-1.5e-3,,1234567890.123456789\r\n"-0.0",1e2,nan\r\n')])
def test_a_body_may_be_cut_anywhere(server, kind, body):
    body = body.encode()
    cuts = [[body[:i], body[i:]] for i in range(1, len(body))]
    cuts += [[body[i:i + n] for i in range(0, len(body), n)] for n in (1, 2, 3)]
    fields = [f"Content-Type: {kind}", "Transfer-Encoding: chunked"]
    seen = set()
    with socket.create_connection((server.host, server.port), 30) as peer:
        for parts in [[body], *cuts]:
            status, answer = post(peer, fields, chunks(parts))
            assert status == 200, (parts, answer)
            seen.add(tuple((r["score"], r["p_value"]) for r in answer["results"]))
    assert len(seen) == 1


@pytest.mark.parametrize("body", [
    b'{"samples":[[1,2,3],[1,\n 2,x]]}', '{"samples":[{"f0":1,"é":2}]}'.encode(),
    b'{"samples":[[1,2,1e39]]}', b'{"samples":[[1,2,3]],"ids":["\\ud800"]}',
    b'{"samples":[[1,2,3]],"ids":["\xc3("]}', b'{"samples":[[1,2,-]]}',
    b'{"samples":[[1,2,3,4]]}', b'{"samples":[[1,2,NaN]]}', b'{"samples":[[1,2,nulL]]}'])
def test_a_fault_is_told_alike_wherever_the_body_is_cut(server, body):
    fields = ["Content-Type: application/json", "Transfer-Encoding: chunked"]
    seen = set()
    with socket.create_connection((server.host, server.port), 30) as peer:
        for i in range(len(body)):
            status, answer = post(peer, fields, chunks([p for p in (body[:i], body[i:]) if p]))
            assert status in (400, 422)
            seen.add(json.dumps(answer))
    assert len(seen) == 1


def test_numbers_are_read_as_the_nearest_floats(server):
    texts = ["-0", "1e-400", "1E+2", "123456789012345678901234567890", "3.4028235e38", "1e-45",
             "0e99999999999", "1e-99999999999", "0." + "0" * 300 + "1e301", "7.0e-46",
             "16777217", "0.100000001490116119384765625"]
    rng = np.random.default_rng(1)
    texts += [f % v for f in ("%.17g", "%.30f", "%e") for v in rng.normal(size=200)]
    connection = server.connect()
    as_sent = server.request("POST", SCORE, '{"samples":[%s]}' % ",".join(
        f"[1, {t} ,\t3]" for t in texts), connection=connection)
    as_floats = server.request("POST", SCORE, {"samples": [
        [1, float(np.float32(float(t))), 3] for t in texts]}, connection=connection)
    assert as_sent.status == 200, as_sent.text
    assert [r["score"] for r in as_sent.json["results"]] == \
           [r["score"] for r in as_floats.json["results"]]


def test_pointers_escape_what_pointers_and_fragments_must(daemon, deepsad, tmp_path):
    x = gaussian_rows(300, 3, 1)
    write_csv(tmp_path / "t.csv", x, [""] * 300, ["été", "a/b~c", "q u%#"])
    run(deepsad, "train", tmp_path / "t.csv", "--out", tmp_path / "models/m")
    server = daemon(tmp_path / "models")
    for name, pointer in (("été", "%C3%A9t%C3%A9"), ("a/b~c", "a~1b~0c"),
                          ("q u%#", "q%20u%25%23")):
        for spelling in (json.dumps(name), json.dumps(name, ensure_ascii=False)):
            body = '{"samples": [{%s: 1}, {%s: "x"}]}' % (spelling, spelling)
            answer = server.request("POST", SCORE, body.encode())
            assert answer.status == 422
            assert answer.json["errors"][0]["pointer"] == f"#/samples/1/{pointer}"


def test_a_long_content_type_is_told_by_its_beginning(server):
    for length in (99, 128, 5000):
        answer = server.request("POST", SCORE, ROW, {"Content-Type": "x" * length})
        assert answer.status == 415
        assert f"Content-Type {'x' * min(length, 100)} is not" in answer.json["detail"]


def test_pipelined_requests_are_answered_in_order(server):
    good = head("Content-Type: application/json", f"Content-Length: {len(ROW)}") + ROW.encode()
    bad = head("Content-Type: application/json", "Content-Length: 1") + b"{"
    none = head("Content-Length: 0", target="/none")
    last = head("Connection: close", target="/v2/health/live", method="GET")
    got = server.raw(good + bad + none + good + last)
    assert re.findall(rb"HTTP/1\.1 (\d+) ", got) == [b"200", b"400", b"404", b"200", b"200"]


# ---- Scores ----

def test_threshold_p_value_and_verdict_agree_at_the_boundary(server):
    ends = gaussian_rows(600, 3, 1, anomalies=20)[[0, -1]].astype(float)
    rows = [(ends[0] + (ends[1] - ends[0]) * t).tolist() for t in np.linspace(0, 1, 8000)]
    answer = server.request("POST", SCORE, {"samples": rows}).json
    threshold, alpha = answer["threshold"], answer["alpha"]
    for result in answer["results"]:
        assert result["anomalous"] == (result["p_value"] <= alpha), result
        assert result["anomalous"] == (result["score"] >= threshold), result
    assert {r["anomalous"] for r in answer["results"]} == {True, False}
    by_score = sorted(answer["results"], key=lambda r: r["score"])
    assert all(a["p_value"] >= b["p_value"] for a, b in zip(by_score, by_score[1:]))


# ---- Models on disk ----

def test_a_model_whose_files_are_gone_stays_live_until_its_folder_goes(server, models):
    (models / "m/1").rename(models / "m/old")
    reload(server, 1)
    assert model_states(server) == {"m": ("degraded", "1")}
    assert server.request("POST", SCORE, ROW).status == 200
    assert "no version" in server.request("GET", "/v1/models/m").json["fault"]
    (models / "m/1").mkdir()
    (models / "m/1/model.safetensors").write_bytes(b"torn")
    reload(server, 2)
    assert model_states(server) == {"m": ("degraded", "1")}
    shutil.rmtree(models / "m/1")
    (models / "m/old").rename(models / "m/1")
    reload(server, 3)
    assert model_states(server) == {"m": ("live", "1")}
    shutil.rmtree(models / "m")
    reload(server, 4)
    assert model_states(server) == {}
    assert server.request("POST", SCORE, ROW).status == 404


def test_a_models_folder_that_is_gone_changes_nothing(server, models):
    models.rename(models.parent / "away")
    server.signal(signal.SIGHUP)
    assert "cannot open the models directory" in server.wait_for("reload failed")
    assert server.request("POST", SCORE, ROW).status == 200


def test_fifty_models_are_served(daemon, models):
    for i in range(49):
        shutil.copytree(models / "m", models / f"m{i}")
    server = daemon(models)
    connection = server.connect()
    states = model_states(server)
    assert len(states) == 50 and set(states.values()) == {("live", "1")}
    scores = {server.request("POST", f"/v1/models/{name}/score", ROW,
                             connection=connection).json["results"][0]["score"]
              for name in states}
    assert len(scores) == 1


# ---- Limits ----

@pytest.mark.parametrize("target,status,says", [
    (SCORE, 413, b"limit of 1048576 bytes"), ("/v1/models/none/score", 404, b"none")])
def test_a_body_without_end_is_refused_for_its_first_fault(daemon, models, target, status, says):
    server = daemon(models, limits__body="1MiB")
    block = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    with socket.create_connection((server.host, server.port), 10) as peer:
        peer.sendall(head("Content-Type: application/json", "Transfer-Encoding: chunked",
                          target=target))
        with pytest.raises(OSError):
            for _ in range(300):
                peer.sendall(block)
        got = peer.recv(1 << 16)
    assert got.startswith(b"HTTP/1.1 %d " % status) and says in got, got
    metrics = server.request("GET", "/metrics").text
    assert f'status="{status}"}} 1' in metrics
    assert re.search(r"^deepsad_http_connections_expired_total 0$", metrics, re.M)


def test_a_shortage_of_descriptors_passes(daemon, models):
    server = daemon(models)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (32, 32))
    peers = []
    for _ in range(60):
        peers.append(socket.create_connection((server.host, server.port), 10))
    time.sleep(0.3)
    for peer in peers:
        peer.close()
    limit = time.monotonic() + 10
    status = None
    while status != 200 and time.monotonic() < limit:
        try:
            status = server.request("POST", SCORE, ROW).status
        except OSError:
            time.sleep(0.05)
    assert status == 200


def processor_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_an_idle_daemon_does_not_work(server):
    with socket.create_connection((server.host, server.port), 10):  # a client that is silent
        time.sleep(0.1)
        before = processor_seconds(server.pid)
        time.sleep(1)
        assert processor_seconds(server.pid) - before <= 0.03


def test_reloads_leave_no_thread_descriptor_or_memory(server, models):
    def used():
        tasks = len(os.listdir(f"/proc/{server.pid}/task"))
        return tasks, len(os.listdir(f"/proc/{server.pid}/fd"))

    file = models / "m/1/model.safetensors"
    server.request("POST", SCORE, ROW)
    for count in range(1, 21):
        os.utime(file, ns=(count, count))
        reload(server, count)
    before, memory = used(), server.rss()
    for count in range(21, 81):
        os.utime(file, ns=(count, count))
        reload(server, count)
    assert used() == before
    assert SLOW > 1 or server.rss() - memory < 2 << 20  # checkers keep what is freed


def test_a_port_that_is_taken_is_told(server, deepsadd, models, tmp_path):
    done = run(deepsadd, "--listen", f"127.0.0.1:{server.port}", "--models", models,
               "--state", tmp_path, check=False)
    assert done.returncode == 1
    assert f"127.0.0.1:{server.port}" in done.stderr and "in use" in done.stderr
