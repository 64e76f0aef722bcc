# SPDX-License-Identifier: Apache-2.0
"""The image, built from docker/Dockerfile without a Docker engine (buildah) and run without one
(podman): as a user that is not root, with a root it cannot write, without a capability.

  its size over that of the base image
  without tokens it does not start, and says what to do
  it is healthy, asks for a token, scores, takes a label
  stopped, it exits with 0, and the label is there after the next start

Root only; some minutes. The base image is made by debootstrap, as Debian's own is.

    docker_image.py [--base DIR]"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import sys
import time

from debian import ROOT, ask, bootstrap, free_port, run, say, train_plant

STORE = ("--storage-driver", "vfs")
BASE, IMAGE, NAME = "docker.io/library/debian:bookworm-slim", "localhost/deepsadd:test", "deepsadd-test"
GOAL = 60e6  # bytes over the base image


def podman(*command, **options):
    return run("podman", *STORE, "--cgroup-manager=cgroupfs", *command, **options)


def size_of(image):
    return json.loads(podman("image", "inspect", image).stdout)[0]["Size"]


def make_base(folder):
    if run("buildah", *STORE, "inspect", "--type", "image", BASE, check=False).returncode == 0:
        return
    if bootstrap(folder):
        for junk in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man",
                     "usr/share/locale"):
            shutil.rmtree(folder / junk, ignore_errors=True)
        for directory in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial",
                          "usr/share/man/man8"):
            (folder / directory).mkdir(parents=True, exist_ok=True)
    container = run("buildah", *STORE, "from", "scratch").stdout.strip()
    run("buildah", *STORE, "add", container, folder, "/")
    run("buildah", *STORE, "config", "--cmd", "bash", container)
    run("buildah", *STORE, "commit", "--format", "docker", container, BASE)
    run("buildah", *STORE, "rm", container)


def build():
    begin = time.monotonic()
    run("buildah", *STORE, "bud", "--isolation", "chroot", "--format", "docker", "--pull-never",
        "--network", "host", "-t", IMAGE, "-f", ROOT / "docker/Dockerfile", ROOT)
    say("built in", f"{time.monotonic() - begin:.0f} s")
    over = size_of(IMAGE) - size_of(BASE)
    say("size over the base image (goal 60 MB)", f"{over / 1e6:.1f} MB")
    return over


@contextlib.contextmanager
def container(volume, ports):
    podman("rm", "-f", NAME, check=False)
    podman("run", "-d", "--name", NAME, "--network=host", "--cgroups=disabled", "--read-only",
           "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges",
           "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096", "-v",
           f"{volume}:/var/lib/deepsad", "-e", f"DEEPSADD_SERVER_LISTEN=0.0.0.0:{ports[0]}", "-e",
           f"DEEPSADD_SERVER_OPERATIONS_LISTEN=127.0.0.1:{ports[1]}", IMAGE)
    try:
        yield
    finally:
        podman("rm", "-f", NAME, check=False)


def tool(volume, *command):
    return podman("run", "--rm", "--network=none", "--cgroups=disabled", "--read-only",
                  "--cap-drop=all", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096",
                  "-v", f"{volume}:/var/lib/deepsad", IMAGE, *command)


def wait_healthy():
    end = time.monotonic() + 60
    while podman("healthcheck", "run", NAME, check=False).returncode != 0:
        if time.monotonic() > end:
            sys.exit("not healthy: " + podman("logs", NAME, check=False).stderr)
        time.sleep(0.2)


def status_of():
    pid = podman("inspect", "--format", "{{.State.Pid}}", NAME).stdout.strip()
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return dict(re.findall(r"^(\w+):\t(.*)$", text, re.M))


def serve(volume, token, ports, label):
    with container(volume, ports):
        wait_healthy()
        facts = status_of()
        say("healthy; user, capabilities, no new privileges",
            f"{facts['Uid'].split()[0]}, {facts['CapBnd']}, {facts['NoNewPrivs']}")
        assert facts["Uid"].split()[0] == "10001" and int(facts["CapEff"], 16) == 0
        assert podman("exec", NAME, "sh", "-c", "touch /x", check=False).returncode != 0
        assert ask(ports[0], "GET", "/v1/models")[0] == 401
        score = ask(ports[0], "POST", "/v1/models/plant/score", {"samples": [[1, 2]]}, token)
        assert score[0] == 200, score
        path = "/v1/models/plant/labels"
        if label is None:
            verdict = {"labels": [{"features": [1, 2], "verdict": "normal"}]}
            status, answer = ask(ports[0], "POST", path, verdict, token)
            assert status == 201, answer
            label = answer["labels"][0]["label_id"]
        else:
            listed = ask(ports[0], "GET", path, token=token)[1]["labels"]
            assert [one["label_id"] for one in listed] == [label]
            say("label after a new start", "there")
        begin = time.monotonic()
        podman("stop", "-t", "20", NAME)
        code = podman("inspect", "--format", "{{.State.ExitCode}}", NAME).stdout.strip()
        say("stopped", f"exit {code} after {time.monotonic() - begin:.1f} s")
        assert code == "0"
    return label


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=pathlib.Path, default=pathlib.Path("/var/tmp/deepsad-base"))
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("docker_image: needs root")
    if "DEEPSAD_UNSHARED" not in os.environ:  # podman and a mixed hierarchy of cgroups
        os.environ["DEEPSAD_UNSHARED"] = "1"
        os.execvp("unshare", ["unshare", "-m", "sh", "-c",
                              "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"", "sh",
                              sys.executable, "-B", *sys.argv])
    make_base(options.base)
    over = build()
    volume = pathlib.Path("/var/tmp/deepsad-volume")
    shutil.rmtree(volume, ignore_errors=True)
    (volume / "models").mkdir(parents=True)
    train_plant(volume / "train.csv", volume / "models/plant")
    run("chown", "-R", "10001:10001", volume)
    ports = free_port(), free_port()
    with container(volume, ports):
        time.sleep(2)
        said = podman("logs", NAME, check=False)
        assert "deepsad token new" in said.stdout + said.stderr, said
        say("without tokens", "does not start, and says how to make one")
    token = tool(volume, "deepsad", "token", "new", "me", "--role", "admin").stdout.strip()
    label = serve(volume, token, ports, None)
    serve(volume, token, ports, label)
    shutil.rmtree(volume, ignore_errors=True)
    if over > GOAL:
        sys.exit("the image is larger than the goal")
    print("image: all as it should be")


if __name__ == "__main__":
    main()
