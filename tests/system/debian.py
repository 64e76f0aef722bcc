# SPDX-License-Identifier: Apache-2.0
"""What the scripts of this folder share: commands, a bare Debian in a folder, a small model, and
requests."""
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
PATIENCE = 1500  # seconds


def say(what, value):
    print(f"{what:46} {value}", flush=True)


def run(*command, check=True, timeout=PATIENCE):
    """Runs it to its end: .returncode, .stdout, .stderr. A failure ends the program."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                          timeout=timeout)
    if check and done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def mirror():
    """Where this machine's packages are from."""
    for path in [pathlib.Path("/etc/apt/sources.list"),
                 *pathlib.Path("/etc/apt/sources.list.d").glob("*")]:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for found in re.findall(r"(?:^deb (?:\[[^]]*\] )?|^URIs: *)(https?://\S+)", text, re.M):
            if found.rstrip("/").endswith("/debian"):
                return found
    return "http://deb.debian.org/debian"


def bootstrap(folder, *packages):
    """A bare Debian with these packages; made once. Whether it was made now."""
    if (folder / ".complete").exists():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    include = [f"--include={','.join(packages)}"] if packages else []
    run("debootstrap", "--variant=minbase", *include, "bookworm", folder, mirror())
    for path in pathlib.Path("/etc/apt/apt.conf.d").glob("*"):
        shutil.copy(path, folder / "etc/apt/apt.conf.d")
    (folder / ".complete").touch()
    return True


def train_plant(data, model):
    """A model of two features."""
    data.write_text("a,b,label\n" + "".join(f"{i % 7},{i % 11},\n" for i in range(300)),
                    encoding="ascii")
    run(BUILD / "deepsad", "train", data, "--out", model)


def free_port():
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


def ask(port, method, path, body=None, token=None):
    """One request on a connection of its own: status, and JSON or text."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json"} if body else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    client.request(method, path, None if body is None else json.dumps(body), headers)
    answer = client.getresponse()
    text = answer.read().decode()
    client.close()
    return answer.status, json.loads(text) if text.startswith(("{", "[")) else text
