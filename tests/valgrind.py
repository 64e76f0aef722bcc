#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""valgrind.py BUILD TEST...: unit tests, and the daemon serving requests of each kind, under
valgrind's memcheck. Ends with 1 at the first wrong access or use of an undefined value, or
a leak of which nothing is left."""
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

MEMCHECK = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
            "--errors-for-leak-kinds=definite", "--num-callers=25"]
# One thread of OpenBLAS: its others wait in assembly that memcheck slows to a standstill.
ENVIRONMENT = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")


def check_tests(tests):
    for test in tests:
        begin = time.monotonic()
        done = subprocess.run(MEMCHECK + [test], env=ENVIRONMENT, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{test}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-6000:]}")
        print(f"{os.path.basename(test):28} clean, {time.monotonic() - begin:.0f} s", flush=True)


def train(build, place):
    rng = random.Random(1)
    data = os.path.join(place, "data.csv")
    with open(data, "w", encoding="ascii") as file:
        file.write("a,b,c,label\n")
        for i in range(150):
            odd = i >= 140
            cells = [f"{rng.gauss(5 if odd else 0, 1):.4f}" for _ in range(3)]
            file.write(",".join(cells) + (",anomalous\n" if odd else ",\n"))
    subprocess.run([build + "/deepsad", "train", data, "--out", place + "/models/m",
                    "--set", "steps=20", "--set", "members=2", "--set", "autoencoder_steps=10"],
                   check=True, capture_output=True, env=ENVIRONMENT)


def requests():
    """What is sent, and the statuses that may come."""
    rows = {"samples": [[1, 2, None], {"a": 5, "b": 5, "c": 5}], "ids": ["s-1", "s-2"],
            "keep": True}
    tensor = {"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 3],
                          "data": [1, 2, 3]}]}
    label = {"labels": [{"sample_id": "s-2", "verdict": "anomalous", "analyst": "kim"}]}
    to_json, to_csv = {"Content-Type": "application/json"}, {"Content-Type": "text/csv"}
    yield "POST", "/v1/models/m/score", json.dumps(rows), to_json, 200
    yield "POST", "/v1/models/m/score", "a,b,c\n1,2,3\n4,5,\n", to_csv, 200
    yield "POST", "/v1/models/m/score", "{\"samples\": [[1, 2", to_json, 400
    yield "POST", "/v2/models/m/infer", json.dumps(tensor), to_json, 200
    yield "POST", "/v1/models/m/labels", json.dumps(label), to_json, 201
    yield "POST", "/v1/models/m/labels", "[]", to_json, 422
    for path in ("/", "/metrics", "/v1/models", "/v1/models/m", "/v1/models/m/labels",
                 "/v1/models/m/review?limit=5", "/v1/models/m/jobs", "/v2",
                 "/v2/health/ready", "/v2/models/m/stats"):
        yield "GET", path, None, {}, 200
    yield "GET", "/nothing", None, {}, 404
    yield "POST", "/v1/models/m/retrain", "{}", to_json, 202


def serve(build, place):
    daemon = subprocess.Popen(
        MEMCHECK + [build + "/deepsadd", "--listen", "127.0.0.1:0", "--models",
                    place + "/models", "--state", place], env=ENVIRONMENT,
        stderr=subprocess.PIPE, text=True)
    said = []
    for line in daemon.stderr:
        said.append(line)
        found = re.search(r"listening on http://127.0.0.1:(\d+)$", line.strip())
        if found:
            break
    else:
        sys.exit("".join(said))
    client = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=300)
    for method, path, body, headers, expected in requests():
        client.request(method, path, body, headers)
        reply = client.getresponse()
        text = reply.read()
        if reply.status != expected:
            daemon.kill()
            sys.exit(f"{method} {path}: {reply.status}, not {expected}: {text[:300]}")
    time.sleep(5)
    daemon.send_signal(signal.SIGTERM)
    rest = daemon.stderr.read()
    if daemon.wait() != 0:
        sys.exit(f"deepsadd ended with {daemon.returncode}:\n{''.join(said)}{rest[-8000:]}")
    print("deepsadd                     clean", flush=True)


def main():
    build, tests = sys.argv[1], sys.argv[2:]
    check_tests(tests)
    with tempfile.TemporaryDirectory() as place:
        train(build, place)
        serve(build, place)


if __name__ == "__main__":
    main()
