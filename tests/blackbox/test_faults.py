# SPDX-License-Identifier: Apache-2.0
"""What a year in the field does to a daemon: calls that fail, damaged models and databases,
clocks that jump, locks of others, memory that ends. The sweeps are the short form of
`make faults`."""
import contextlib
import glob
import os
import pathlib
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
import types

import pytest
from conftest import BUILD, ENVIRONMENT, ROOT, SLOW, Daemon, run

sys.path.insert(0, str(ROOT / "tests/faults"))
import sweep  # noqa: E402  pylint: disable=wrong-import-position

SANITIZED = BUILD.name in ("asan", "tsan")
SHIM = BUILD / "faults/fault_shim.so"
PRELOAD = pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first")
ROW = [0.5, 1.0, 2.0]
LABELS = "/v1/models/m/labels"
YEAR = 365 * 24 * 3600


# ---- Sweeps ----------------------------------------------------------------------------------

@PRELOAD
@pytest.mark.parametrize("path, classes, stride, memory_stride", [
    ("labels", ["write", "sync", "read"], 7, 1),
    ("labels", ["memory"], 1, 61),
    ("training", ["sync", "rename", "mkdir"], 3, 1),
    ("models", ["write", "rename", "open", "read"], 5, 1),
    ("start", ["write", "open"], 5, 1),
])
def test_a_call_that_fails_is_survived(path, classes, stride, memory_stride):
    options = types.SimpleNamespace(
        build=pathlib.Path(BUILD), shim=SHIM, paths=[path], classes=classes, stride=stride,
        dense=1, memory_stride=memory_stride, faults=3, slow=SLOW)
    report = sweep.sweep(options)
    assert not report.faults, report.faults[:3]
    assert report.points > 0


def test_a_damaged_model_file_is_rejected_or_scores_the_same(make_model, tmp_path):
    version = make_model(tmp_path, "m", features=3, rows=120, labeled=8,
                         settings=("members=1", "epochs=1", "hidden=4"))
    done = run(BUILD / "faults/damage", version / "model.safetensors", "37", check=False)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) damages", done.stdout)[1]) > 1000


# ---- Restarts on the same state ------------------------------------------------------------------

class Place:
    """A state directory and daemons on it, one after the other."""

    def __init__(self, deepsadd, models, folder):
        self.deepsadd, self.models, self.state = deepsadd, models, folder / "state"
        self.state.mkdir()
        self.running = []

    def command(self, state=None):
        return [self.deepsadd, "--listen", "127.0.0.1:0", "--models", str(self.models),
                "--state", str(state or self.state)]

    def start(self, environment=None):
        self.running.append(Daemon(self.command(), {**ENVIRONMENT, **(environment or {})}))
        return self.running[-1]

    def refused(self, state=None):
        """What a daemon says that does not start."""
        done = subprocess.run(self.command(state), capture_output=True, text=True, check=False,
                              timeout=60 * SLOW, env=ENVIRONMENT)
        assert done.returncode == 1, done.stderr
        return done.stderr

    def database(self):
        return contextlib.closing(sqlite3.connect(self.state / "deepsad.db", timeout=10))


@pytest.fixture
def place(deepsadd, models, tmp_path):
    one = Place(deepsadd, models, tmp_path)
    yield one
    for daemon in one.running:
        if daemon.process.poll() is None:
            assert daemon.stop() == 0, daemon.stderr


def label(daemon, note, **more):
    return daemon.request("POST", LABELS, {"labels": [
        {"features": ROW, "verdict": "normal", "analyst": "kim", "note": note}]}, **more)


def notes(daemon):
    """Of all labels, newest first, few a page."""
    found, cursor = [], ""
    while cursor is not None:
        page = daemon.request("GET", f"{LABELS}?limit=2{cursor}").json
        found += [one["note"] for one in page["labels"]]
        cursor = page.get("next_cursor") and f"&cursor={page['next_cursor']}"
    return found


def scores(daemon):
    answer = daemon.request("POST", "/v1/models/m/score", {"samples": [ROW]})
    assert answer.status == 200
    return answer.json["results"][0]["score"]


def until(what, action, seconds=15):
    limit = time.monotonic() + seconds * SLOW
    while not action():
        assert time.monotonic() < limit, what
        time.sleep(0.02)


# ---- Two daemons ---------------------------------------------------------------------------------

def test_a_second_daemon_on_the_same_state_is_refused(place, tmp_path):
    first = place.start()
    (tmp_path / "alias").symlink_to(place.state)
    for state in (place.state, tmp_path / "alias", f"{place.state}/../state"):
        said = place.refused(state)
        assert f"another deepsadd (process {first.pid}) uses this directory" in said
    assert label(first, "a").status == 201


def test_the_lock_of_a_dead_daemon_holds_nobody_up(place):
    first = place.start()
    label(first, "a")
    first.process.kill()
    first.process.wait()
    assert notes(place.start()) == ["a"]


# ---- Databases -----------------------------------------------------------------------------------

def test_a_database_damaged_while_down_is_refused_and_named(place):
    daemon = place.start()
    assert label(daemon, "a").status == 201
    assert daemon.stop() == 0
    path = place.state / "deepsad.db"
    whole = path.read_bytes()
    path.write_bytes(os.urandom(100) + whole[100:])
    assert re.search(r"deepsad\.db: .*(damaged|not a label store)", place.refused())
    path.write_bytes(whole)
    assert notes(place.start()) == ["a"]


def test_garbage_for_a_log_loses_nothing_that_is_in_the_database(place):
    daemon = place.start()
    assert label(daemon, "a").status == 201
    assert daemon.stop() == 0
    (place.state / "deepsad.db-wal").write_bytes(os.urandom(100_000))
    assert notes(place.start()) == ["a"]


def test_any_bytes_of_the_database_overwritten_end_nothing(place):
    """Each start answers, with or without its labels, or is refused with a message."""
    daemon = place.start()
    for i in range(20):
        label(daemon, f"n-{i}")
    before = scores(daemon)
    assert daemon.stop() == 0
    path = place.state / "deepsad.db"
    whole, rng = path.read_bytes(), random.Random(1)
    for _ in range(12):
        damaged = bytearray(whole)
        at = rng.randrange(len(whole) - 2000)
        damaged[at:at + 2000] = rng.randbytes(2000)
        path.write_bytes(damaged)
        done = start_or_refusal(place)
        if done is not None:
            assert scores(done) == before
            assert done.request("GET", LABELS).status in (200, 503)
            assert label(done, "more").status in (201, 503)
            done.process.kill()
            done.process.wait()
        for log in glob.glob(str(path) + "-*"):
            os.unlink(log)
    path.write_bytes(whole)
    assert len(notes(place.start())) == 20


def start_or_refusal(place):
    try:
        return place.start()
    except AssertionError as error:
        assert re.search(r"deepsad\.db: |label store", str(error)), error
        return None


def test_a_database_damaged_while_up_is_told_and_scoring_goes_on(place):
    daemon = place.start()
    assert label(daemon, "a").status == 201
    before = scores(daemon)
    path = place.state / "deepsad.db"
    with place.database() as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    with open(path, "r+b") as file:
        file.write(b"\x5a" * len(whole))
    answer = label(daemon, "b")
    assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
    assert scores(daemon) == before
    with open(path, "r+b") as file:
        file.write(whole)
    until("labels", lambda: label(daemon, "b", headers={"Idempotency-Key": "b"}).status == 201)
    assert notes(daemon) == ["b", "a"]


def test_a_locked_database_is_waited_for_then_told(place):
    daemon = place.start()
    assert label(daemon, "a").status == 201
    with place.database() as database:
        database.isolation_level = None
        database.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        answer = label(daemon, "b")
        assert answer.status == 503 and "locked" in answer.json["detail"], answer.text
        assert time.monotonic() - begin < 20 * SLOW
        scores(daemon)
        assert daemon.request("GET", LABELS).status == 200
        database.execute("ROLLBACK")
    until("labels", lambda: label(daemon, "b").status == 201)
    assert "a" in notes(daemon) and "b" in notes(daemon)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_refuses_labels_and_recovers(place):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place.state],
                      check=False).returncode != 0:
        pytest.skip("this root may not mount")
    try:
        full_disk(place)
    finally:
        subprocess.run(["umount", "-l", place.state], check=True)


def full_disk(place):
    daemon = place.start()
    before, acknowledged = scores(daemon), []
    for i in range(3000):
        answer = label(daemon, f"{i}-" + "x" * 3000)
        if answer.status != 201:
            break
        acknowledged.append(f"{i}-" + "x" * 3000)
    assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
    assert "full" in answer.json["detail"] and acknowledged
    assert scores(daemon) == before
    assert notes(daemon)[::-1] == acknowledged
    subprocess.run(["mount", "-o", "remount,size=64m", place.state], check=True)
    until("labels", lambda: label(daemon, "more").status == 201)
    assert notes(daemon)[::-1] == acknowledged + ["more"]
    assert daemon.stop() == 0
    assert notes(place.start())[::-1] == acknowledged + ["more"]
    assert place.running[-1].stop() == 0


# ---- Clocks --------------------------------------------------------------------------------------

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)


class Clock:
    """The wall clock of a daemon; its other clock goes on."""

    def __init__(self, path):
        self.path = path
        self.set(0)
        self.environment = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(path),
                            "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}

    def set(self, seconds):
        self.path.write_text(f"{seconds:+d}s\n")


@PRELOAD
@pytest.mark.skipif(FAKETIME is None, reason="needs faketime")
@pytest.mark.parametrize("jump", [10 * YEAR, -10 * YEAR, 60, -60])
def test_a_clock_that_jumps_loses_nothing(place, models, tmp_path, jump):
    (models / "m/model.yaml").write_text("retraining:\n  min_labels: 1000\n")
    clock = Clock(tmp_path / "clock")
    daemon = place.start(clock.environment)
    assert label(daemon, "a", headers={"Idempotency-Key": "a"}).status == 201
    keep = {"samples": [ROW], "ids": ["kept"], "keep": True}
    daemon.request("POST", "/v1/models/m/score", keep)
    until("kept", lambda: daemon.request("GET", "/v1/models/m/samples/kept").status == 200)
    page = daemon.request("GET", "/v1/models/m/review?limit=1&analyst=kim").json
    assert page["samples"]
    clock.set(jump)
    answers = [label(daemon, "b"), label(daemon, "c"), label(daemon, "a", headers={
        "Idempotency-Key": "a"})]
    assert [one.status for one in answers] == [201] * 3
    time.sleep(1.5)  # what is too old would be gone by now
    assert daemon.request("GET", "/v1/models/m/samples/kept").status == 200
    assert notes(daemon) == ["c", "b", "a"]
    job = daemon.request("POST", "/v1/models/m/retrain", {}).json["job"]
    state = lambda: daemon.request("GET", f"/v1/jobs/{job}").json["state"]  # noqa: E731
    until("job", lambda: state() in ("promoted", "rejected", "waiting"), 60)
    clock.set(0)
    assert label(daemon, "d").status == 201
    assert notes(daemon) == ["d", "c", "b", "a"]
    scores(daemon)
    assert daemon.stop() == 0
    assert notes(place.start()) == ["d", "c", "b", "a"]


# ---- Memory --------------------------------------------------------------------------------------

GROUP = pathlib.Path("/sys/fs/cgroup/memory")


@pytest.mark.skipif(SANITIZED or os.geteuid() != 0
                    or not os.access(GROUP / "memory.limit_in_bytes", os.R_OK),
                    reason="needs root and memory cgroups (v1)")
def test_killed_for_its_memory_loses_nothing(place):
    daemon = place.start()
    group = GROUP / f"deepsad-test-{daemon.pid}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("64M")
        (group / "cgroup.procs").write_text(str(daemon.pid))
    except OSError as error:
        pytest.skip(f"no memory cgroup to be made: {error}")
    acknowledged = []
    try:
        for i in range(1000):
            if label(daemon, f"n-{i}").status == 201:
                acknowledged.append(f"n-{i}")
            if i == 20:
                squeeze(group)
            if daemon.process.poll() is not None:
                break
    except OSError:
        pass
    finally:
        daemon.process.kill()
        daemon.process.wait()
        group.rmdir()
    assert daemon.process.returncode == -signal.SIGKILL
    assert len(acknowledged) > 20
    found = notes(place.start())
    assert set(acknowledged) <= set(found) and len(found) == len(set(found))


def squeeze(group):
    """A limit below what the daemon has already; where there is nothing to be freed the system
    does not take it, so it is put into a smaller group around a process that eats."""
    eater = subprocess.Popen([sys.executable, "-c", (
        "import sys; sys.stdin.readline(); x = [bytearray(b'x' * 4096) for _ in range(1 << 20)]")],
        stdin=subprocess.PIPE)
    pathlib.Path(f"/proc/{eater.pid}/oom_score_adj").write_text("-1000")
    (group / "cgroup.procs").write_text(str(eater.pid))
    eater.stdin.write(b"\n")
    eater.stdin.close()
    time.sleep(1)
    eater.kill()
    eater.wait()
