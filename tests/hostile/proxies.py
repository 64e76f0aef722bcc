#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""deepsadd behind nginx and haproxy, as Debian has them: scoring on a connection kept, bodies of
several MB, chunked bodies, a body over the limit (413), what may be read in two ways, and a
daemon that drains while requests come, with another beside it. Nonzero exit where anything was
amiss; a proxy that is not installed is passed over, and said so."""
import argparse
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import slow_clients  # noqa: E402  pylint: disable=wrong-import-position
from slow_clients import loop, SCORE  # noqa: E402  pylint: disable=wrong-import-position

NGINX = """daemon off; master_process off; worker_processes 1; pid {place}/nginx.pid;
error_log {place}/nginx.log;
events {{ worker_connections 512; }}
http {{
    access_log off; client_max_body_size 0; client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u;
    scgi_temp_path {place}/s;
    upstream deepsad {{ server 127.0.0.1:{a}; server 127.0.0.1:{b}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://deepsad; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_next_upstream error timeout http_503 non_idempotent;
        }}
    }}
}}
"""
HAPROXY = """defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch
    retry-on conn-failure empty-response 503
frontend f
    bind 127.0.0.1:{port}
    default_backend b
backend b
    option httpchk GET /v2/health/ready
    http-check expect status 200
    server a 127.0.0.1:{a} check inter 200ms
    server b 127.0.0.1:{b} check inter 200ms
"""
GOOD = {"samples": [[1, 2, 3, 4, 5]]}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start_proxy(kind, place, a, b):
    """(process, port)"""
    port = free_port()
    text = (NGINX if kind == "nginx" else HAPROXY).format(place=place, a=a, b=b, port=port)
    config = place / f"{kind}.conf"
    config.write_text(text, encoding="ascii")
    command = ["nginx", "-p", place, "-c", config] if kind == "nginx" else ["haproxy", "-db", "-f",
                                                                         config]
    with open(place / f"{kind}.out", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise SystemExit(f"{kind} does not listen:\n" + (place / f"{kind}.out").read_text())


class Check:
    """One proxy before two daemons."""

    def __init__(self, kind, port):
        self.kind, self.port, self.faults = kind, port, []

    def expect(self, what, good, got=""):
        print(f"{self.kind}: {what}: {'ok' if good else f'WRONG {got}'}")
        if not good:
            self.faults.append(f"{self.kind}: {what}: {got}")

    def post(self, connection, body, headers=None):
        connection.request("POST", SCORE, body=body, encode_chunked=not isinstance(body, (str, bytes)),
                           headers={"Content-Type": "text/csv", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def run(self):
        one = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        statuses = [self.post(one, json.dumps(GOOD), {"Content-Type": "application/json"})[0]
                    for _ in range(200)]
        self.expect("200 requests on a connection kept", set(statuses) == {200}, set(statuses))
        rows = b"1,2,3,4,5\n" * 10000
        status, text = self.post(one, rows)
        self.expect("10,000 rows", status == 200 and text.count(b'"score"') == 10000, status)
        long = json.dumps(GOOD) + " " * (8 << 20)
        status, _ = self.post(one, long, {"Content-Type": "application/json"})
        self.expect("a body of 8 MB", status == 200, status)
        status, _ = self.post(one, (part for part in [rows[:50000], rows[50000:]]),
                              {"Transfer-Encoding": "chunked"})
        self.expect("a chunked body", status == 200, status)
        try:
            status, _ = self.post(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30),
                                  b" " * (20 << 20))
        except OSError as error:
            status = repr(error)
        self.expect("a body over the limit", status == 413, status)
        for name, fields in {"two lengths": "Content-Length: 5\r\nContent-Length: 6\r\n",
                             "length and chunked":
                                 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                             "xchunked": "Transfer-Encoding: xchunked\r\n",
                             "folded length": "Content-Length:\r\n 50\r\n",
                             "space before the colon": "Content-Length : 50\r\n"}.items():
            got = self.smuggle(fields)
            self.expect(f"{name}: at most one answer", len(got) <= 1, got)

    def smuggle(self, fields):
        """Statuses of what comes back, where a second request lies in the body."""
        data = (f"POST {SCORE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{fields}\r\n"
                "0\r\n\r\nGET /v2/health/live?s HTTP/1.1\r\nHost: x\r\n\r\n").encode()
        got = b""
        with socket.create_connection(("127.0.0.1", self.port), 2) as peer:
            peer.sendall(data)
            try:
                while chunk := peer.recv(65536):
                    got += chunk
            except OSError:
                pass
        # A second answer is what the proxy itself made a request of; it must not be ours alone.
        return re.findall(rb"HTTP/1.1 (2\d\d)", got)

    def drain(self, daemon):
        """One of two daemons is told to end while requests come."""
        over, statuses, lock = threading.Event(), {}, threading.Lock()

        def load():
            one = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            while not over.is_set():
                try:
                    status = self.post(one, json.dumps(GOOD),
                                       {"Content-Type": "application/json"})[0]
                except (OSError, http.client.HTTPException) as error:
                    status = repr(error)
                    one.close()
                with lock:
                    statuses[status] = statuses.get(status, 0) + 1
                time.sleep(0.005)
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        daemon.process.terminate()
        code = daemon.process.wait(30)
        time.sleep(1)
        over.set()
        for thread in threads:
            thread.join()
        self.expect(f"a daemon drains under load, exit {code}", set(statuses) == {200} and code == 0,
                    statuses)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=loop.ROOT / "build/release")
    options = parser.parse_args()
    faults = []
    for kind in ("nginx", "haproxy"):
        if shutil.which(kind) is None:
            print(f"{kind}: not installed, passed over")
            continue
        with loop.fresh() as place:
            slow_clients.make_model(options, place)
            settings = {"DEEPSADD_SERVER_CONNECTIONS_PER_IP": "0"}
            shutil.copytree(place / "models", place / "two" / "models")
            daemons = [loop.Daemon(options, place, settings),
                       loop.Daemon(options, place / "two", settings)]
            proxy, port = start_proxy(kind, place, daemons[0].port, daemons[1].port)
            try:
                check = Check(kind, port)
                check.run()
                check.drain(daemons[0])
                faults += check.faults
            finally:
                proxy.kill()
                proxy.wait()
                for daemon in daemons:
                    daemon.kill()
    print(f"proxies: {f'{len(faults)} faults' if faults else 'passed'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
