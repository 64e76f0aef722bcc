# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests from outside: the real programs, real files, a real socket. Which build
is tested says DEEPSAD_BUILD (default build/release)."""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("DEEPSAD_BUILD", "build/release")
SLOW = 10 if BUILD.name in ("asan", "tsan", "cov") else 1  # factor for time limits
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("DEEPSADD_")}


@pytest.fixture(scope="session")
def deepsad():
    """Path of the tool."""
    return str(BUILD / "deepsad")


@pytest.fixture(scope="session")
def deepsadd():
    """Path of the daemon."""
    return str(BUILD / "deepsadd")


def run(*command, check=True, timeout=120, **options):
    """Runs a program to its end; its output as text."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                          timeout=timeout * SLOW, env=ENVIRONMENT, check=False, **options)
    assert not check or done.returncode == 0, f"{command}: {done.stderr}"
    return done


def gaussian_rows(rows, features, seed, anomalies=0):
    """Correlated normals around a shifted mean; the last `anomalies` rows lie apart."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(7).normal(size=(features, features)) / features**0.5
    x = rng.normal(size=(rows, features)) @ mix + np.arange(features)
    if anomalies:
        x[-anomalies:] += 4 * rng.choice([-1, 1], size=(anomalies, features))
    return x.astype(np.float32)


def write_csv(path, x, labels, names=None):
    """labels: a text per row: "", "normal" or "anomalous"."""
    names = names or [f"f{j}" for j in range(x.shape[1])]
    with open(path, "w", encoding="utf-8") as file:
        file.write(",".join(names) + ",label\n")
        for row, label in zip(x, labels):
            cells = ["" if np.isnan(v) else f"{v:.9g}" for v in row]
            file.write(",".join(cells) + f",{label}\n")


@pytest.fixture(scope="session")
def make_model(deepsad, tmp_path_factory):
    """make_model(directory, name, recipe="default", features=5, seed=1, rows=600, labeled=20):
    trains and returns the path of the new version. Same arguments: trained once, copied."""
    cache = tmp_path_factory.mktemp("trained")

    def make(directory, name, recipe="default", features=5, seed=1, rows=600, labeled=20,
             settings=()):
        key = f"{recipe}-{features}-{seed}-{rows}-{labeled}-{'-'.join(settings)}"
        trained = cache / key.replace("/", "_").replace("=", "_").lower()
        if not trained.exists():
            data = cache / "train.csv"
            x = gaussian_rows(rows, features, seed, anomalies=labeled)
            write_csv(data, x, [""] * (rows - labeled) + ["anomalous"] * labeled)
            quick = ["--set", "epochs=3", "--set", "pretrain_epochs=3"]
            run(deepsad, "train", data, "--out", trained, "--recipe", recipe, "--seed", seed,
                *(quick if recipe == "reference" else []),
                *[word for setting in settings for word in ("--set", setting)])
        target = pathlib.Path(directory) / name
        target.mkdir(parents=True, exist_ok=True)
        version = max([int(p.name) for p in target.iterdir() if p.name.isdigit()], default=0) + 1
        staging = target / f".{version}.tmp"
        shutil.copytree(trained / "1", staging)
        staging.rename(target / str(version))
        return target / str(version)

    return make


class Daemon:
    """A running deepsadd. stderr: lines so far."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, text=True, env=environment)
        self.pid = self.process.pid
        self.stderr = []
        self.serving = threading.Event()
        self.url = self.host = self.port = None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        limit = time.monotonic() + 20 * SLOW
        while not self.serving.is_set():
            if self.process.poll() is not None or time.monotonic() > limit:
                self.process.kill()
                self.reader.join(2)
                raise AssertionError("deepsadd does not serve:\n" + "".join(self.stderr))
            self.serving.wait(0.01)

    def _read(self):
        for line in self.process.stderr:
            self.stderr.append(line)
            found = re.search(r"listening on (https?://(\S+):(\d+))$", line.strip())
            if found and self.url is None:
                self.url, self.host = found[1], found[2].strip("[]")
                self.port = int(found[3])
                self.serving.set()

    def connect(self):
        """A new keep-alive connection (http.client)."""
        return http.client.HTTPConnection(self.host, self.port, timeout=30 * SLOW)

    def request(self, method, path, body=None, headers=None, connection=None):
        """One request; an object with .status, .headers, .text, .json."""
        own = connection or self.connect()
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if body is not None and not any(k.lower() == "content-type" for k in headers or {}):
            headers = {"Content-Type": "application/json", **(headers or {})}
        own.request(method, path, body=body, headers=headers or {})
        answer = self.take(own.getresponse())
        if connection is None:
            own.close()
        return answer

    @staticmethod
    def take(answer):
        """The whole of an http.client answer, with .text and .json."""
        answer.text = answer.read().decode("utf-8")
        answer.json = None
        if "json" in answer.headers.get("Content-Type", "") and answer.text:
            answer.json = json.loads(answer.text, parse_constant=refuse_constant)
        return answer

    def raw(self, data, timeout=10, shutdown=False):
        """Sends bytes as they are on a connection of its own; all that comes back."""
        with socket.create_connection((self.host, self.port), timeout * SLOW) as peer:
            peer.sendall(data)
            if shutdown:
                peer.shutdown(socket.SHUT_WR)
            got = b""
            while chunk := peer.recv(65536):
                got += chunk
            return got

    def wait_for(self, text, timeout=10):
        """Waits until a line of stderr holds `text`; that line."""
        limit = time.monotonic() + timeout * SLOW
        while time.monotonic() < limit:
            for line in list(self.stderr):
                if text in line:
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no {text!r} in:\n" + "".join(self.stderr))

    def signal(self, number):
        self.process.send_signal(number)

    def rss(self):
        """Resident memory in bytes."""
        for line in open(f"/proc/{self.pid}/status", encoding="ascii"):
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def stop(self, timeout=20):
        """SIGTERM, wait; the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("deepsadd did not stop:\n" + "".join(self.stderr)) from None
        self.reader.join(5)
        return code


def refuse_constant(name):
    raise AssertionError(f"{name} in an answer")


@pytest.fixture
def daemon(deepsadd, tmp_path):
    """daemon(models, listen="127.0.0.1:0", server__max_rows=10, ...): starts one with these
    settings from the environment, section__key; ends it after the test and checks that it
    went in peace."""
    started = []

    def start(models, *arguments, listen="127.0.0.1:0", environment=None, **settings):
        state = tmp_path / f"state{len(started)}"
        state.mkdir()
        variables = {f"DEEPSADD_{k.replace('__', '_').upper()}": str(v)
                     for k, v in settings.items()}
        command = [deepsadd, "--listen", listen, "--models", str(models), "--state", str(state),
                   *map(str, arguments)]
        started.append(Daemon(command, {**ENVIRONMENT, **variables, **(environment or {})}))
        return started[-1]

    yield start
    codes = [(one, one.stop()) for one in started]
    for one, code in codes:
        assert code == 0, f"exit code {code}:\n" + "".join(one.stderr)


@pytest.fixture
def models(make_model, tmp_path):
    """A directory of models with one, m, of three features."""
    make_model(tmp_path / "models", "m", features=3)
    return tmp_path / "models"


@pytest.fixture
def server(daemon, models):
    """A daemon that serves them."""
    return daemon(models)
