# SPDX-License-Identifier: Apache-2.0
"""The service manager hears WATCHDOG=1 while rows can be scored, and only then."""
import contextlib
import ctypes
import http.client
import os
import pathlib
import socket
import sqlite3
import threading
import time

import pytest

from conftest import BUILD, SLOW, run

PING = b"WATCHDOG=1"
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # ptrace(2)


class Manager:
    """What listens to NOTIFY_SOCKET."""

    def __init__(self, folder, wait):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.environment = {"NOTIFY_SOCKET": str(folder / "notify"),
                            "WATCHDOG_USEC": str(int(wait * 1e6))}

    def pings(self, seconds):
        """How many come in that time."""
        end, count = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(socket.timeout):
                count += self.socket.recv(200) == PING
        return count


@pytest.fixture
def manager(tmp_path):
    """One that waits for half a second."""
    one = Manager(tmp_path, 0.5 * SLOW)
    yield one
    one.socket.close()


def ptrace(request, tid):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(request, tid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


@contextlib.contextmanager
def stopped(tids):
    """These threads stand still, the others do not."""
    for tid in tids:
        try:
            ptrace(SEIZE, tid)
        except PermissionError:
            pytest.skip("ptrace is not allowed here")
        ptrace(INTERRUPT, tid)
        os.waitpid(tid, 0x40000000)  # __WALL
    try:
        yield
    finally:
        for tid in tids:
            ptrace(DETACH, tid)


def http_threads(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return [int(task.name) for task in tasks
            if (task / "comm").read_text(encoding="ascii").startswith("MHD-worker")]


@contextlib.contextmanager
def load(server):
    """Two clients that score large bodies, for as long as it takes."""
    stopping = threading.Event()
    body = '{"samples": [' + ",".join(["[1.25, 2.5, 3.75]"] * 10000) + "]}"

    def client():
        while not stopping.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                server.request("POST", "/v1/models/m/score", body)

    clients = [threading.Thread(target=client) for _ in range(2)]
    for one in clients:
        one.start()
    yield
    stopping.set()
    for one in clients:
        one.join()


@pytest.mark.skipif(BUILD.name in ("asan", "tsan"), reason="sanitizers trace threads themselves")
def test_a_server_whose_threads_stand_still_is_not_called_alive(daemon, models, manager):
    server = daemon(models, environment=manager.environment)
    threads = http_threads(server.process.pid)
    assert threads
    with load(server):
        assert manager.pings(2) >= 4
        for _ in range(10):  # until they are met within a request, not between two
            with stopped(threads):
                manager.pings(1.5)  # twice the manager's time and some
                if (silent := manager.pings(1.5) == 0):
                    break
        assert silent
        assert manager.pings(2) >= 4
    server.wait_for("a thread that serves requests is stuck in one")


def test_a_database_that_hangs_is_no_reason(daemon, models, manager, tmp_path):
    server = daemon(models, environment=manager.environment)
    label = {"labels": [{"features": [1, 2, 3], "verdict": "normal"}]}
    assert server.request("POST", "/v1/models/m/labels", label).status == 201
    database = sqlite3.connect(tmp_path / "state0/deepsad.db", isolation_level=None,
                               check_same_thread=False)
    database.execute("BEGIN EXCLUSIVE")
    writer = threading.Thread(
        target=lambda: server.request("POST", "/v1/models/m/labels", label))
    writer.start()
    assert manager.pings(3 * SLOW) >= 6
    assert server.request("POST", "/v1/models/m/score", {"samples": [[1, 2, 3]]}).status == 200
    database.execute("ROLLBACK")
    database.close()
    writer.join()


# ---- deepsadd --health -------------------------------------------------------------------

@pytest.fixture
def health(deepsadd):
    """health(listen, operations): what deepsadd --health ends with."""
    def ask(listen, operations="", **more):
        return run("env", f"DEEPSADD_SERVER_OPERATIONS_LISTEN={operations}",
                   *(f"{key}={value}" for key, value in more.items()), deepsadd, "--listen",
                   listen, "--health", check=False)
    return ask


def test_health_is_asked_where_the_daemon_listens(daemon, models, health, tmp_path):
    where = f"unix:{tmp_path}/operations"
    server = daemon(models, server__operations_listen=where)
    address = f"{server.host}:{server.port}"
    assert health(address).returncode == 0
    assert health(f"0.0.0.0:{server.port}").returncode == 0  # as in an image
    assert health("127.0.0.1:1", where).returncode == 0
    assert server.stop() == 0
    for refused in (health(address), health(address, where)):
        assert refused.returncode == 1 and "cannot connect" in refused.stderr


def test_health_of_what_is_no_daemon_is_not_good(health):
    answers = [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"", b"HTTP/1.1"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def serve():
            for answer in answers:
                peer, _ = other.accept()
                peer.recv(1000)
                peer.sendall(answer)
                peer.close()

        server = threading.Thread(target=serve)
        server.start()
        for _ in answers:
            done = health(f"127.0.0.1:{other.getsockname()[1]}")
            assert done.returncode == 1 and "not live" in done.stderr
        server.join()


def test_health_does_not_speak_tls(health):
    done = health("127.0.0.1:1", DEEPSADD_TLS_CERTIFICATE="/c.pem", DEEPSADD_TLS_KEY="/k.pem")
    assert done.returncode == 1 and "server.operations_listen" in done.stderr
