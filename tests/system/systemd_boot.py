# SPDX-License-Identifier: Apache-2.0
"""The service under a real systemd: a Debian is booted in a container, the package is installed
in it, and what an operator relies on is looked at from outside:

  it is ready by Type=notify, as a user of its own, without a capability, under seccomp
  labels and models survive a restart; a reload goes through systemctl reload
  a daemon that stands still (SIGSTOP) is killed by the watchdog and started again
  it is started by the first connection to its socket, and a restart refuses none
  it stops within its time, with success
  installing the package again restarts it
  removing the package leaves the labels, purging it too
  exposure as systemd-analyze security counts it

Root only; about two minutes. The network is the machine's: the port is a free one.

    systemd_boot.py --package build/deepsad_0.1.0_amd64.deb [--root DIR]"""
import argparse
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from debian import ask, bootstrap, free_port, run, say, train_plant

NAME = "deepsad-boot"


def make_root(root, package):
    """A minimal Debian with systemd, and the package in it."""
    bootstrap(root, "systemd", "systemd-sysv", "dbus", "init-system-helpers", "ca-certificates")
    work = pathlib.Path(tempfile.mkdtemp(prefix="boot.", dir="/var/tmp"))
    run("cp", "-a", f"{root}/.", work)
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", work / "etc" / name)
    shutil.copy(package, work / "deepsad.deb")
    run("chroot", work, "apt-get", "update", "-q")
    run("chroot", work, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
        "--no-install-recommends", "/deepsad.deb")
    return work


class Machine:
    """The booted container; commands run in it by nsenter."""

    def __init__(self, root):
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "-q", "--keep-unit", "--register=no", f"--machine={NAME}", "-D", root,
             "--boot", "--console=pipe"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.init = None
        wait(lambda: self.find_init(), 30, "the container has no init")
        wait(lambda: self.do("systemctl", "is-system-running", check=False)
             in ("running", "degraded"), 60, "systemd does not come up")

    def find_init(self):
        children = run("pgrep", "-P", self.nspawn.pid, check=False).stdout.split()
        self.init = children[0] if children else None
        return self.init

    def do(self, *command, check=True):
        return run("nsenter", "-t", self.init, "-a", *command, check=check).stdout.strip()

    def show(self, *properties):
        return [self.do("systemctl", "show", "deepsadd", "-P", one) for one in properties]

    def pid(self):
        return int(self.show("MainPID")[0])

    def outer_pid(self):
        """The daemon's number outside of the container."""
        mine = run("pgrep", "-x", "deepsadd").stdout.split()
        return next(int(pid) for pid in mine if f"NSpid:\t{pid}\t{self.pid()}" in
                    pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii"))

    def stop(self):
        os.kill(int(self.init), signal.SIGRTMIN + 4)  # poweroff
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.nspawn.wait(60)
        self.nspawn.kill()


def wait(condition, seconds, what):
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            sys.exit(f"{what} after {seconds} s")
        time.sleep(0.05)
    return time.monotonic() - begin


def serves(port):
    try:
        return ask(port, "GET", "/v2/health/live")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def prepare(root, port):
    """A model, and a configuration with the port."""
    train_plant(root / "srv/train.csv", root / "srv/plant")
    config = root / "etc/deepsad/deepsadd.yaml"
    text = config.read_text(encoding="utf-8").replace("listen: 127.0.0.1:8080",
                                                      f"listen: 127.0.0.1:{port}")
    config.write_text(text.replace('operations_listen: ""',
                                   "operations_listen: unix:/run/deepsad/operations"),
                      encoding="utf-8")


LABEL = {"labels": [{"features": [1, 2], "verdict": "normal", "analyst": "kim"}]}


def look_at_start(machine, port):
    wait(lambda: serves(port), 30, "no answer")
    kind, state, user, result = machine.show("Type", "ActiveState", "User", "Result")
    say("type, state", f"{kind}, {state}")
    assert (kind, state, result) == ("notify", "active", "success")
    status = pathlib.Path(f"/proc/{machine.outer_pid()}/status").read_text(encoding="ascii")
    facts = dict(re.findall(r"^(\w+):\t(.*)$", status, re.M))
    say("user, capabilities, seccomp, no new privileges",
        f"{user} ({facts['Uid'].split()[0]}), {facts['CapBnd']}, {facts['Seccomp']}, "
        f"{facts['NoNewPrivs']}")
    assert facts["Uid"].split()[0] != "0" and int(facts["CapBnd"], 16) == 0
    assert facts["Seccomp"] == "2" and facts["NoNewPrivs"] == "1"


def look_at_reload(machine, port):
    """A model is put there as the unit says, and taken up."""
    machine.do("cp", "-r", "/srv/plant", "/var/lib/deepsad/models/plant")
    machine.do("chown", "-R", "--reference=/var/lib/deepsad/models",
               "/var/lib/deepsad/models/plant")
    machine.do("systemctl", "reload", "deepsadd")
    wait(lambda: ask(port, "GET", "/v1/models")[1]["models"], 20, "the model is not taken up")
    status, answer = ask(port, "POST", "/v1/models/plant/score", {"samples": [[1, 2]]})
    assert status == 200, answer
    status, answer = ask(port, "POST", "/v1/models/plant/labels", LABEL)
    assert status == 201, answer
    with socket.socket(socket.AF_UNIX) as operations:
        operations.connect(f"/proc/{machine.init}/root/run/deepsad/operations")
        operations.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert operations.recv(100).startswith(b"HTTP/1.1 200 ")
    say("reload", "a model is taken up, scores, and takes labels")
    return answer["labels"][0]["label_id"]


def labels(port):
    return [one["label_id"] for one in ask(port, "GET", "/v1/models/plant/labels")[1]["labels"]]


def look_at_watchdog(machine, port):
    before = machine.pid()
    begin = time.monotonic()
    machine.do("systemctl", "kill", "--kill-who=main", "-s", "STOP", "deepsadd")
    wait(lambda: machine.pid() not in (0, before) and serves(port), 90, "not restarted")
    say("SIGSTOP to served again (WatchdogSec=30s)", f"{time.monotonic() - begin:.1f} s")
    assert "watchdog" in machine.do("journalctl", "-u", "deepsadd", "--no-pager").lower()


def look_at_crash(machine, port):
    before = machine.pid()
    begin = time.monotonic()
    machine.do("systemctl", "kill", "--kill-who=main", "-s", "KILL", "deepsadd")
    wait(lambda: machine.pid() not in (0, before) and serves(port), 30, "not restarted")
    say("kill -9 to served again (RestartSec=1s)", f"{time.monotonic() - begin:.1f} s")


def look_at_stop(machine):
    begin = time.monotonic()
    machine.do("systemctl", "stop", "deepsadd")
    result, state, code = machine.show("Result", "ActiveState", "ExecMainStatus")
    say("stop", f"{time.monotonic() - begin:.2f} s, {state}, result {result}, exit {code}")
    assert (result, state, code) == ("success", "inactive", "0")


def look_at_socket(machine, port, root):
    """Started by a connection; a restart refuses none."""
    folder = root / "etc/systemd/system/deepsadd.socket.d"
    folder.mkdir(parents=True)
    (folder / "port.conf").write_text(
        f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n", encoding="ascii")
    machine.do("systemctl", "daemon-reload")
    machine.do("systemctl", "start", "deepsadd.socket")
    assert machine.show("ActiveState") == ["inactive"]
    begin = time.monotonic()
    assert ask(port, "GET", "/v2/health/live")[0] == 200
    say("first connection starts it, answered after", f"{time.monotonic() - begin:.2f} s")
    failures, answers, stopping = [], [], threading.Event()

    def load():
        while not stopping.is_set():
            try:
                answers.append(ask(port, "POST", "/v1/models/plant/score",
                                   {"samples": [[1, 2]]})[0])
            except (OSError, http.client.HTTPException) as error:
                failures.append(repr(error))

    client = threading.Thread(target=load)
    client.start()
    for _ in range(3):
        machine.do("systemctl", "restart", "deepsadd")
    stopping.set()
    client.join()
    say("three restarts under load, by socket", f"{len(answers)} answers, "
        f"{answers.count(503)} of them 503, {len(failures)} connections failed")
    assert not failures, failures[:3]


def look_at_upgrade(machine, port, label):
    before = machine.pid()
    machine.do("dpkg", "-i", "/deepsad.deb")
    wait(lambda: machine.pid() not in (0, before) and serves(port), 30, "not restarted")
    assert labels(port) == [label]
    say("installed again", "restarted by it; labels all there")


def look_at_removal(machine, root):
    machine.do("systemctl", "enable", "deepsadd.socket")
    enabled = root / "etc/systemd/system/sockets.target.wants/deepsadd.socket"
    assert enabled.is_symlink()
    machine.do("apt-get", "remove", "-y", "-q", "deepsad")
    database = "/var/lib/private/deepsad/state/deepsad.db"
    assert machine.do("sh", "-c", f"test -s {database} && echo there") == "there"
    machine.do("apt-get", "purge", "-y", "-q", "deepsad")
    assert machine.do("sh", "-c", f"test -s {database} && echo there") == "there"
    assert not (root / "etc/deepsad/deepsadd.yaml").exists() and not enabled.is_symlink()
    say("package removed and purged", "configuration gone, labels left")


def exposure(root):
    unit = root / "lib/systemd/system/deepsadd.service"
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15",
                           "--no-pager", unit], capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level.*: ([\d.]+)", done.stdout)
    say("exposure (at most 1.5)", found[1] if found else "?")
    assert done.returncode == 0, done.stdout[-300:]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=pathlib.Path, required=True)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path("/var/tmp/deepsad-boot"),
                        help="where the bare system is kept from run to run")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("systemd_boot: needs root")
    root = make_root(options.root, options.package)
    port = free_port()
    prepare(root, port)
    exposure(root)
    machine = Machine(root)
    try:
        look_at_start(machine, port)
        label = look_at_reload(machine, port)
        look_at_crash(machine, port)
        look_at_watchdog(machine, port)
        assert labels(port) == [label]
        say("labels after kill -9 and watchdog", "all there")
        look_at_stop(machine)
        look_at_socket(machine, port, root)
        look_at_upgrade(machine, port, label)
        look_at_removal(machine, root)
    except (AssertionError, SystemExit):
        print(machine.do("journalctl", "-u", "deepsadd*", "--no-pager", "-n", "40", check=False))
        raise
    finally:
        machine.stop()
        shutil.rmtree(root, ignore_errors=True)
    print("systemd: all as it should be")


if __name__ == "__main__":
    main()
