# SPDX-License-Identifier: Apache-2.0
"""Sockets of the file system, and sockets that the service manager passes on."""
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from conftest import ENVIRONMENT, SLOW

ROW = json.dumps({"samples": [[1, 2, 3]]})


class UnixConnection(http.client.HTTPConnection):
    """http.client over a socket of the file system."""

    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def ask(connection, method, path, body=None):
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    return answer


@pytest.fixture
def start(deepsadd, models, tmp_path):
    """start(listen, pass_fds=..., **settings): a daemon that need not listen on a port; its
    process, once it serves, with .first, its first line."""
    started = []

    def run(*arguments, sockets=(), names="", **settings):
        variables = {f"DEEPSADD_{k.replace('__', '_').upper()}": str(v)
                     for k, v in settings.items()}
        command = [deepsadd, "--models", str(models), "--state", str(tmp_path / "state"),
                   *map(str, arguments)]

        def adopt():  # in the child: descriptors from 3 on, as the service manager does
            copies = [os.dup(fd) for fd in sockets]
            for i, copy in enumerate(copies):
                os.dup2(copy, 3 + i, inheritable=True)

        if sockets:
            command = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command]
            variables |= {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                                   env={**ENVIRONMENT, **variables},
                                   preexec_fn=adopt if sockets else None, close_fds=not sockets)
        started.append(process)
        process.first = process.stderr.readline()
        process.reader = threading.Thread(target=process.stderr.read, daemon=True)
        if "listening" in process.first:
            process.reader.start()
        return process

    yield run
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(20 * SLOW)


def test_requests_are_served_on_a_socket_of_the_file_system(start, tmp_path):
    path = tmp_path / "socket"
    process = start("--listen", f"unix:{path}")
    assert process.first == f"deepsadd: listening on unix:{path}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    connection = UnixConnection(path)
    for _ in range(3):
        assert ask(connection, "POST", "/v1/models/m/score", ROW).status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert not path.exists()


def test_health_and_metrics_may_have_a_socket_of_their_own(start, tmp_path):
    path = tmp_path / "operations"
    start("--listen", "127.0.0.1:0", server__operations_listen=f"unix:{path}")
    assert ask(UnixConnection(path), "GET", "/v2/health/ready").status == 200
    assert "deepsad_" in ask(UnixConnection(path), "GET", "/metrics").text
    assert ask(UnixConnection(path), "GET", "/v1/models").status == 404


def test_a_socket_that_a_killed_daemon_left_is_taken_over(start, tmp_path):
    path = tmp_path / "socket"
    first = start("--listen", f"unix:{path}")
    first.kill()
    first.wait()
    assert path.exists()
    start("--listen", f"unix:{path}")
    assert ask(UnixConnection(path), "GET", "/v2/health/live").status == 200


def test_a_socket_that_is_in_use_and_a_file_are_left_alone(start, tmp_path):
    path, file = tmp_path / "socket", tmp_path / "file"
    start("--listen", f"unix:{path}")
    file.write_text("mine")
    for other, taken in (("two", path), ("three", file)):
        refused = start("--listen", f"unix:{taken}", "--state", tmp_path / other)
        assert refused.wait(20) == 1 and "Address already in use" in refused.first
    assert ask(UnixConnection(path), "GET", "/v2/health/live").status == 200
    assert file.read_text() == "mine"


@pytest.mark.parametrize("where", ["unix:", "unix:relative", "unix:/" + "x" * 120])
def test_paths_that_are_none(start, where):
    process = start("--listen", where)
    assert process.wait(20) == 1 and "the path of a socket" in process.first


# ---- Passed on ---------------------------------------------------------------------------

def listening(address=("127.0.0.1", 0)):
    own = socket.socket()
    own.bind(address)
    own.listen(100)
    return own


def test_sockets_that_are_passed_on_are_served(start):
    with listening() as clients, listening() as operations:
        process = start(sockets=(operations.fileno(), clients.fileno()), names="operations:http")
        port = clients.getsockname()[1]
        assert process.first == f"deepsadd: listening on http://127.0.0.1:{port}\n"
        for one, path, status in ((clients, "/v1/models", 200),
                                  (operations, "/v2/health/ready", 200),
                                  (operations, "/v1/models", 404)):
            connection = http.client.HTTPConnection(*one.getsockname(), timeout=20)
            assert ask(connection, "GET", path).status == status


def test_no_connection_is_refused_while_it_restarts(start):
    with listening() as clients:
        process = start(sockets=(clients.fileno(),))
        failures, statuses, stopping = [], [], threading.Event()

        def load():
            while not stopping.is_set():
                try:
                    connection = http.client.HTTPConnection(*clients.getsockname(),
                                                            timeout=20 * SLOW)
                    statuses.append(ask(connection, "POST", "/v1/models/m/score", ROW).status)
                    connection.close()
                except OSError as error:
                    failures.append(repr(error))

        client = threading.Thread(target=load)
        client.start()
        for _ in range(3):
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            process.wait(20 * SLOW)
            process = start(sockets=(clients.fileno(),))
        time.sleep(0.2)
        stopping.set()
        client.join()
        assert failures == [] and set(statuses) <= {200, 503} and statuses.count(200) > 20
        assert statuses.count(503) <= 3  # came while it drained


def test_the_address_of_a_socket_that_is_passed_on_counts(start):
    with listening(("0.0.0.0", 0)) as clients:
        process = start(sockets=(clients.fileno(),))
        assert process.wait(20) == 1 and "other machines reach 0.0.0.0" in process.first


@pytest.mark.parametrize("names", ["http:http", "http:what", ""])
def test_sockets_without_a_place_are_refused(start, names):
    with listening() as one, listening() as other:
        process = start(sockets=(one.fileno(), other.fileno()), names=names)
        assert process.wait(20) == 1 and "LISTEN_FDS" in process.first


# ---- Descriptors -------------------------------------------------------------------------

def test_a_low_limit_of_open_files_is_said_and_kept_to(deepsadd, models, tmp_path):
    """More clients than files: those who come later wait, and are served."""
    process = subprocess.Popen(
        ["sh", "-c", 'ulimit -n 300; exec "$@"', "sh", deepsadd, "--listen", "127.0.0.1:0",
         "--models", str(models), "--state", str(tmp_path / "state")],
        stderr=subprocess.PIPE, text=True,
        env={**ENVIRONMENT, "DEEPSADD_SERVER_CONNECTIONS_PER_IP": "0",
             "DEEPSADD_LIMITS_HEAD_TIME": "2s"})
    first = process.stderr.readline()
    lines = [process.stderr.readline() for _ in range(2)]
    assert "listening on" in first
    assert any("the limit of open files is too low" in line for line in lines), lines
    threading.Thread(target=process.stderr.read, daemon=True).start()
    address = ("127.0.0.1", int(first.strip().rsplit(":", 1)[1]))
    try:
        silent = [socket.create_connection(address, 20) for _ in range(400)]
        connection = http.client.HTTPConnection(*address, timeout=30 * SLOW)
        assert ask(connection, "POST", "/v1/models/m/score", ROW).status == 200
        for peer in silent:
            peer.close()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30 * SLOW) == 0
