# SPDX-License-Identifier: Apache-2.0
"""What operators rely on: health, metrics, logs, configuration, reload, drain."""
import json
import os
import pathlib
import re
import signal
import socket
import time

import pytest
from conftest import ENVIRONMENT, ROOT, SLOW, run

ROW = {"samples": [[1, 2, 3]]}


def break_model(models, name="broken"):
    """A model whose only version is damaged."""
    target = models / name / "1"
    target.mkdir(parents=True)
    (target / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")


# ---- Health, models, metrics ----


def test_a_broken_model_is_reported_and_does_not_stop_the_others(daemon, models):
    break_model(models)
    server = daemon(models)
    assert server.request("POST", "/v1/models/m/score", ROW).status == 200
    listed = {m["name"]: m for m in server.request("GET", "/v1/models").json["models"]}
    assert listed["broken"]["state"] == "failed" and "model.safetensors" in listed["broken"]["fault"]
    assert listed["m"]["state"] == "live" and listed["m"]["fault"] is None
    answer = server.request("POST", "/v1/models/broken/score", ROW)
    assert answer.status == 503 and answer.headers["Retry-After"]
    assert server.request("GET", "/v2/health/ready").status == 200
    assert "deepsad_models_faulty 1\n" in server.request("GET", "/metrics").text
    line = json.loads(server.wait_for("does not load"))
    assert line["level"] == "error" and line["model"] == "broken"


def test_without_models_the_daemon_lives_and_is_not_ready(daemon, tmp_path, make_model):
    (tmp_path / "none").mkdir()
    server = daemon(tmp_path / "none")
    assert server.request("GET", "/v2/health/live").json == {"live": True}
    answer = server.request("GET", "/v2/health/ready")
    assert answer.status == 503 and "no model" in answer.json["error"]
    make_model(tmp_path / "none", "m", features=3)
    server.signal(signal.SIGHUP)
    server.wait_for('"reloaded"')
    assert server.request("GET", "/v2/health/ready").json == {
        "ready": True, "store": {"writable": True, "reason": None}}


def parse_metrics(text):
    """{name{labels}: value}; fails on anything that is not the text format 0.0.4."""
    values, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds and kind in ("counter", "gauge", "histogram")
            kinds[name] = kind
            continue
        if line.startswith("# HELP "):
            continue
        match = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)', line)
        assert match, line
        family = re.sub(r"_(bucket|sum|count)$", "", match[1])
        assert match[1] in kinds or kinds.get(family) == "histogram", line
        key = match[1] + (match[2] or "")
        assert key not in values, line
        values[key] = float(match[3])
        assert match[1].startswith("deepsad_")
    for name, kind in kinds.items():
        assert name.endswith("_total") == (kind == "counter"), name
    assert text.endswith("\n")
    return values


def test_metrics_count_what_happened(daemon, models):
    server = daemon(models)
    for _ in range(3):
        server.request("POST", "/v1/models/m/score", {"samples": [[1, 2, 3], [99, -99, 99]]})
    server.request("POST", "/v1/models/m/score", "{")
    server.request("GET", "/nowhere")
    answer = server.request("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    values = parse_metrics(answer.text)
    route = 'route="/v1/models/{model}/score"'
    assert values[f'deepsad_http_requests_total{{{route},status="200"}}'] == 3
    assert values[f'deepsad_http_requests_total{{{route},status="400"}}'] == 1
    assert values['deepsad_http_requests_total{route="none",status="404"}'] == 1
    assert values[f"deepsad_http_request_duration_seconds_count{{{route}}}"] == 4
    assert values[f'deepsad_http_request_duration_seconds_bucket{{{route},le="+Inf"}}'] == 4
    assert values['deepsad_scored_rows_total{model="m"}'] == 6
    assert 0 <= values['deepsad_anomalous_rows_total{model="m"}'] <= 6
    assert values["deepsad_models_live"] == 1
    assert abs(values["deepsad_process_start_time_seconds"] - time.time()) < 60 * SLOW
    assert values["deepsad_process_resident_memory_bytes"] > 1e6
    buckets = [v for k, v in values.items() if k.startswith(
        f"deepsad_http_request_duration_seconds_bucket{{{route}")]
    assert buckets == sorted(buckets)


def test_the_listener_for_operations_serves_nothing_else(daemon, models):
    server = daemon(models, server__operations_listen="127.0.0.1:0")
    address = json.loads(server.wait_for("health and metrics"))["address"]
    port = server.port
    server.port = int(address.split(":")[1])
    assert server.request("GET", "/v2/health/ready").status == 200
    assert server.request("GET", "/metrics").status == 200
    assert server.request("POST", "/v1/models/m/score", ROW).status == 404
    server.port = port


def test_it_starts_fast_and_stays_small(daemon, models, make_model):
    if SLOW > 1:
        pytest.skip("a sanitizer's figures say nothing")
    make_model(models, "second", features=5)
    start = time.monotonic()
    server = daemon(models)
    assert server.request("GET", "/v2/health/ready").status == 200
    assert time.monotonic() - start < 1.0
    assert server.rss() < 16 << 20


def test_ipv6_is_served(daemon, models):
    if not pathlib.Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    server = daemon(models, listen="[::1]:0")
    assert server.url.startswith("http://[::1]:")
    assert server.request("GET", "/v2/health/live").status == 200


# ---- Logs ----


def test_each_request_can_be_logged_with_its_id(daemon, models):
    server = daemon(models, log__access="true", log__format="json")
    server.request("POST", "/v1/models/m/score", ROW, {"X-Request-Id": "find-me"})
    line = json.loads(server.wait_for("find-me"))
    assert line["request_id"] == "find-me" and line["status"] == 200
    assert line["path"] == "/v1/models/m/score" and line["seconds"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_the_first_line_names_the_address(daemon, models):
    server = daemon(models, log__format="text", log__level="debug")
    assert re.fullmatch(r"deepsadd: listening on http://127\.0\.0\.1:\d+\n", server.stderr[0])


def test_journald_gets_priorities(daemon, models):
    break_model(models)
    server = daemon(models, log__format="journal")
    assert server.wait_for("does not load").startswith("<3>error: ")


# ---- Configuration ----


def check(deepsadd, *arguments, environment=None, code=0):
    import subprocess
    done = subprocess.run([deepsadd, *map(str, arguments)], capture_output=True, text=True,
                          timeout=30 * SLOW, env={**ENVIRONMENT, **(environment or {})},
                          check=False)
    assert done.returncode == code, done.stderr
    return done


def test_the_shipped_configuration_holds_every_default(deepsadd):
    shipped = check(deepsadd, "--config", ROOT / "conf/deepsadd.yaml", "--print-config").stdout
    if os.path.exists("/etc/deepsad/deepsadd.yaml"):
        pytest.skip("this machine has a configuration of its own")
    defaults = check(deepsadd, "--print-config").stdout
    assert set(re.findall(r"# (\w+)$", shipped, re.M)) == {"file"}
    assert set(re.findall(r"# (\w+)$", defaults, re.M)) == {"default"}
    assert shipped.replace("# file", "# default") == defaults


def test_flag_wins_over_environment_over_file(deepsadd, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("server:\n  listen: 127.0.0.1:1\nlimits:\n  rows: 7\n  body: 1MiB\n")
    shown = check(deepsadd, "--config", file, "--print-config", "--listen", "127.0.0.1:3",
                  environment={"DEEPSADD_SERVER_LISTEN": "127.0.0.1:2",
                               "DEEPSADD_LIMITS_ROWS": "8"}).stdout
    assert "server.listen: 127.0.0.1:3  # flag\n" in shown
    assert "limits.rows: 8  # environment\n" in shown
    assert "limits.body: 1MiB  # file\n" in shown
    assert "limits.idle_time: 1m  # default\n" in shown


@pytest.mark.parametrize("text,says", [
    ("limits:\n  row: 5\n", "2:"),
    ("limits:\n  rows: many\n", "2:"),
    ("limits:\n  body_time: 30\n", "2:"),
    ("limits:\n  rows: 0\n", "2:"),
    ("limit:\n  rows: 5\n", "1:"),
    ("server:\n  listen: nonsense\n", "ADDRESS:PORT"),
    ("server: [1]\n", "1:"),
])
def test_a_wrong_configuration_is_refused_with_its_place(deepsadd, tmp_path, text, says):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    done = check(deepsadd, "--config", file, "--check", code=1)
    assert done.stderr.startswith("deepsadd: ") and says in done.stderr


def test_check_validates_models_too(deepsadd, models, tmp_path):
    assert "1 model" in check(deepsadd, "--check", "--models", models).stdout
    break_model(models)
    assert "broken" in check(deepsadd, "--check", "--models", models, code=1).stderr
    check(deepsadd, "--check", "--models", tmp_path / "absent", code=1)
    check(deepsadd, "--config", tmp_path / "absent.yaml", "--check", code=1)
    check(deepsadd, "--chek", code=2)
    check(deepsadd, "extra", code=2)
    assert "--print-config" in check(deepsadd, "--help").stdout
    assert check(deepsadd, "--version").stdout.startswith("deepsadd ")


# ---- Reload ----


def test_a_reload_changes_limits_and_keeps_what_is_fixed(daemon, models, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("limits:\n  rows: 2\n")
    server = daemon(models, "--config", file)
    body = {"samples": [[1, 2, 3]] * 3}
    assert server.request("POST", "/v1/models/m/score", body).status == 413
    file.write_text("limits:\n  rows: 3\nserver:\n  threads: 7\n")
    server.signal(signal.SIGHUP)
    server.wait_for('"reloaded"')
    assert server.request("POST", "/v1/models/m/score", body).status == 200
    assert json.loads(server.wait_for("after a restart"))["key"] == "server.threads"


def test_a_failed_reload_keeps_what_runs(daemon, models, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("limits:\n  rows: 2\n")
    server = daemon(models, "--config", file)
    file.write_text("limits:\n  rows: -1\n")
    server.signal(signal.SIGHUP)
    assert "c.yaml:2:" in server.wait_for("reload failed")
    answer = server.request("POST", "/v1/models/m/score", {"samples": [[1, 2, 3]] * 3})
    assert answer.status == 413 and "limit of 2" in answer.json["detail"]
    assert 'deepsad_reloads_total{result="failure"} 1\n' in server.request("GET", "/metrics").text


def test_a_damaged_new_version_leaves_the_old_one_live(daemon, models):
    server = daemon(models)
    break_dir = models / "m" / "2"
    break_dir.mkdir()
    (break_dir / "model.safetensors").write_bytes(b"nonsense")
    server.signal(signal.SIGHUP)
    server.wait_for('"reloaded"')
    answer = server.request("POST", "/v1/models/m/score", ROW)
    assert answer.status == 200 and answer.json["version"] == "1"
    model = server.request("GET", "/v1/models/m").json
    assert model["state"] == "degraded" and model["fault"]


# ---- Shutdown ----


def test_sigterm_finishes_what_runs_and_refuses_what_comes(daemon, models):
    server = daemon(models)
    body = json.dumps(ROW).encode()
    head = ("POST /v1/models/m/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    other = server.connect()
    assert server.request("GET", "/v2/health/live", connection=other).status == 200
    with socket.create_connection((server.host, server.port), 10 * SLOW) as slow:
        slow.sendall(head + body[:5])
        time.sleep(0.3 * SLOW)
        server.signal(signal.SIGTERM)
        server.wait_for("stopping")
        answer = server.request("POST", "/v1/models/m/score", ROW, connection=other)
        assert answer.status == 503 and "shutting down" in answer.json["detail"]
        assert answer.headers["Connection"] == "close" and answer.headers["Retry-After"]
        with pytest.raises(OSError):
            for _ in range(100):
                socket.create_connection((server.host, server.port), 1).close()
                time.sleep(0.05)
        slow.sendall(body[5:])
        got = b""
        while chunk := slow.recv(65536):
            got += chunk
        assert got.startswith(b"HTTP/1.1 200 ") and b'"results"' in got
    assert server.stop() == 0


def test_the_drain_has_an_end(daemon, models):
    server = daemon(models, server__drain_time="500ms")
    with socket.create_connection((server.host, server.port), 10 * SLOW) as slow:
        slow.sendall(b"POST /v1/models/m/score HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
                     b"Content-Type: application/json\r\n\r\n{")
        time.sleep(0.3 * SLOW)
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 5 * SLOW


def test_the_service_manager_is_told(daemon, models, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.bind(path)
        peer.settimeout(10 * SLOW)
        server = daemon(models, environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})
        assert peer.recv(200) == b"READY=1"
        assert peer.recv(200) == b"WATCHDOG=1"
        server.signal(signal.SIGHUP)
        told = [peer.recv(200) for _ in range(4)]
        assert any(re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+\nWATCHDOG_USEC=600000000", one)
                   for one in told)
        assert b"READY=1\nWATCHDOG_USEC=200000" in told
        server.stop()
        peer.settimeout(0.5)
        rest = []
        try:
            while True:
                rest.append(peer.recv(200))
        except socket.timeout:
            pass
        assert b"STOPPING=1" in rest
