# SPDX-License-Identifier: Apache-2.0
"""What runs the daemon elsewhere: the unit, the image, compose and Kubernetes say nothing that
the daemon does not understand, and agree with each other."""
import re
import shutil
import subprocess

import pytest
import yaml

from conftest import ENVIRONMENT, ROOT


def settings_of(text):
    """DEEPSADD_... variables."""
    return dict(re.findall(r"\b(DEEPSADD_[A-Z_]+)=(\S+)", text))


@pytest.fixture
def kubernetes():
    documents = yaml.safe_load_all((ROOT / "docker/kubernetes.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}


@pytest.fixture
def image():
    return (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")


def pod_of(kubernetes):
    return kubernetes["StatefulSet"]["spec"]["template"]["spec"]


def test_settings_of_the_image_and_of_the_pod_are_settings(deepsadd, kubernetes, image):
    pod = {one["name"]: one["value"] for one in pod_of(kubernetes)["containers"][0]["env"]}
    done = subprocess.run([deepsadd, "--print-config"], capture_output=True, text=True, check=False,
                          env={**ENVIRONMENT, **settings_of(image), **pod})
    assert done.returncode == 0, done.stderr
    printed = dict(re.findall(r"^(\S+): (\S+)  # environment$", done.stdout, re.M))
    assert printed == {"server.listen": "0.0.0.0:8080", "server.insecure": "cleartext",
                       "server.operations_listen": "0.0.0.0:8081"}


def test_the_image_holds_what_the_programs_are_linked_to(deepsadd, image):
    linked = subprocess.run(["ldd", deepsadd], capture_output=True, text=True, check=True).stdout
    for library, package in (("libmicrohttpd", "libmicrohttpd12"), ("libgnutls", "libgnutls30"),
                             ("libjansson", "libjansson4"), ("libsqlite3", "libsqlite3-0"),
                             ("libyaml", "libyaml-0-2"), ("libnettle", "libnettle8"),
                             ("libprotobuf-c", "libprotobuf-c1"), ("libz", "zlib1g"),
                             ("libopenblas", "libopenblas0-pthread")):
        assert f"{library}" in linked and f"{package}" in image, library


def test_the_pod_may_do_nothing_but_serve(kubernetes):
    pod = pod_of(kubernetes)
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False,
                                            "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}
    assert kubernetes["StatefulSet"]["spec"]["replicas"] == 1
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {"http": 8080, "operations": 8081}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "operations"
        assert container[probe]["httpGet"]["path"].startswith("/v2/health/")


def seconds(text):
    return float(re.fullmatch(r"([\d.]+)s", text)[1])


def test_who_stops_the_daemon_waits_for_its_drain(deepsadd, kubernetes):
    printed = subprocess.run([deepsadd, "--print-config"], capture_output=True, text=True,
                             check=True, env=ENVIRONMENT).stdout
    drain = seconds(re.search(r"^server.drain_time: (\S+)", printed, re.M)[1])
    pause = int(pod_of(kubernetes)["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod_of(kubernetes)["terminationGracePeriodSeconds"] > drain + pause
    compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))
    assert seconds(compose["services"]["deepsadd"]["stop_grace_period"]) > drain
    unit = (ROOT / "systemd/deepsadd.service").read_text(encoding="utf-8")
    assert seconds(re.search(r"^TimeoutStopSec=(\S+)", unit, re.M)[1]) > drain


def test_compose_gives_no_right_that_is_not_needed():
    compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["deepsadd"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_unit_exposes_little():
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15",
                           "--no-pager", ROOT / "systemd/deepsadd.service"], capture_output=True,
                          text=True, check=False)
    if "Unknown" in done.stderr or "unrecognized" in done.stderr:
        pytest.skip("this systemd-analyze cannot look at files")
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_units_say_nothing_that_systemd_does_not_know(deepsadd, tmp_path):
    for name in ("deepsadd.service", "deepsadd.socket"):
        text = (ROOT / "systemd" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/usr/bin/deepsadd", deepsadd), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
                           tmp_path / "deepsadd.service", tmp_path / "deepsadd.socket"],
                          capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "deepsadd" in line]
    assert ours == []


def test_the_image_asks_the_daemon_itself_for_its_health(image):
    assert re.search(r'^HEALTHCHECK .*CMD \["deepsadd", "--health"\]$', image, re.M)
