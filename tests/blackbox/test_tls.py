# SPDX-License-Identifier: Apache-2.0
"""TLS: what is spoken, certificates of clients, and certificates that are replaced."""
import http.client
import json
import signal
import socket
import ssl
import time

import pytest

from conftest import run

SUBJECT = "/CN={}"


class Authority:
    """Makes certificates in a directory."""

    def __init__(self, directory, name="authority"):
        self.directory, self.name = directory, name
        self.path = directory / f"{name}.pem"
        self.key = directory / f"{name}.key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", self.key, "-out", self.path, "-days", "30", "-subj",
            SUBJECT.format(name))

    def sign(self, name, purpose, days=30):
        """Paths of a certificate and its key."""
        stem = self.directory / name
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:localhost,IP:127.0.0.1\n"
                              f"extendedKeyUsage={purpose}\n")
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj",
            SUBJECT.format(name))
        run("openssl", "x509", "-req", "-in", f"{stem}.csr", "-CA", self.path, "-CAkey",
            self.key, "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out",
            f"{stem}.pem")
        return f"{stem}.pem", f"{stem}.key"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def secured(daemon, models, authority):
    """secured(...): a daemon with TLS, as daemon."""
    certificate, key = authority.sign("localhost", "serverAuth")
    return lambda **settings: daemon(models, tls__certificate=certificate, tls__key=key,
                                     **settings)


def connect(server, authority, client=None, context=None):
    context = context or ssl.create_default_context(cafile=str(authority.path))
    if client:
        context.load_cert_chain(*client)
    return http.client.HTTPSConnection(server.host, server.port, timeout=20, context=context)


def get(connection, path="/v1/models"):
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    return answer


ROW = json.dumps({"samples": [[1, 2, 3]]})


def test_requests_are_served_over_tls(secured, authority):
    server = secured()
    assert "https://" in server.stderr[0]
    connection = connect(server, authority)
    for _ in range(3):
        connection.request("POST", "/v1/models/m/score", ROW,
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200 and json.loads(answer.read())["results"]
    assert get(connection).headers["Strict-Transport-Security"]


def test_long_bodies_and_answers_go_through(secured, authority):
    server = secured(limits__rows=100000)
    body = json.dumps({"samples": [[1, 2, 3]] * 60000})
    connection = connect(server, authority)
    connection.request("POST", "/v1/models/m/score", body, {"Content-Type": "application/json"})
    assert len(json.loads(connection.getresponse().read())["results"]) == 60000


@pytest.mark.parametrize("version, spoken", [("TLSv1_3", True), ("TLSv1_2", True),
                                             ("TLSv1_1", False)])
def test_versions_of_tls(secured, authority, version, spoken):
    server = secured()
    context = ssl.create_default_context(cafile=str(authority.path))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion[version]
    connection = connect(server, authority, context=context)
    if spoken:
        assert get(connection).status == 200
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            get(connection)


def test_plain_http_to_it_is_cut_and_harms_nobody(secured, authority):
    server = secured()
    assert b"HTTP" not in server.raw(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert get(connect(server, authority)).status == 200


def test_a_client_that_never_finishes_its_handshake_is_cut(secured):
    server = secured(limits__head_time="1s")
    with socket.create_connection((server.host, server.port), 20) as peer:
        begin = time.monotonic()
        peer.sendall(b"\x16\x03\x01")
        assert peer.recv(100) == b""
        assert 0.5 < time.monotonic() - begin < 10


def test_a_new_certificate_is_shown_after_a_reload(secured, authority):
    server = secured()
    old = connect(server, authority)
    get(old)
    first = old.sock.getpeercert()["serialNumber"]
    authority.sign("localhost", "serverAuth")
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded")
    assert get(old).status == 200  # goes on as it began
    new = connect(server, authority)
    get(new)
    assert new.sock.getpeercert()["serialNumber"] != first


def test_a_broken_certificate_stops_a_reload(secured, authority, tmp_path):
    server = secured()
    key = (tmp_path / "localhost.key").read_bytes()
    authority.sign("other", "serverAuth")
    for content, said in ((b"nothing", "localhost.key"),
                          ((tmp_path / "other.key").read_bytes(), "not the key of")):
        (tmp_path / "localhost.key").write_bytes(content)
        server.stderr.clear()
        server.signal(signal.SIGHUP)
        assert said in server.wait_for("reload failed")
        assert get(connect(server, authority)).status == 200
    (tmp_path / "localhost.key").write_bytes(key)
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded")


def test_a_certificate_that_ends_soon_is_said(daemon, models, authority):
    certificate, key = authority.sign("localhost", "serverAuth", days=3)
    server = daemon(models, tls__certificate=certificate, tls__key=key)
    assert "days_left" in server.wait_for("the certificate ends soon")


# ---- Certificates of clients ------------------------------------------------------------

def works(connection):
    try:
        return get(connection).status == 200
    except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
        return False


@pytest.fixture
def clients(authority, tmp_path):
    (tmp_path / "foreign").mkdir()
    return {"none": None, "good": authority.sign("kim", "clientAuth"),
            "server's": authority.sign("srv", "serverAuth"),
            "foreign": Authority(tmp_path / "foreign", "foreign").sign("eve", "clientAuth")}


@pytest.mark.parametrize("rule, let_in", [
    ("none", {"none", "good", "server's", "foreign"}), ("optional", {"none", "good"}),
    ("required", {"good"})])
def test_whose_certificates_are_let_in(secured, authority, clients, rule, let_in):
    authorities = "" if rule == "none" else authority.path
    server = secured(tls__clients=rule, tls__client_authorities=authorities)
    found = {name for name, client in clients.items()
             if works(connect(server, authority, client))}
    assert found == let_in


def test_required_certificates_are_enough_for_the_network(daemon, models, authority, clients,
                                                          tmp_path):
    certificate, key = authority.sign("localhost", "serverAuth")
    server = daemon(models, listen="0.0.0.0:0", tls__certificate=certificate, tls__key=key,
                    tls__clients="required", tls__client_authorities=authority.path,
                    log__audit=tmp_path / "audit")
    server.host = "127.0.0.1"
    connection = connect(server, authority, clients["good"])
    connection.request("POST", "/v1/models/m/labels",
                       json.dumps({"labels": [{"features": [1, 2, 3], "verdict": "normal"}]}),
                       {"Content-Type": "application/json"})
    assert connection.getresponse().status == 201
    assert json.loads((tmp_path / "audit").read_text())["certificate"] == "kim"
