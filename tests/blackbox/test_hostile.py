# SPDX-License-Identifier: Apache-2.0
"""Hostile bodies: each is refused with a problem that names the place, and the daemon
goes on. DEEPSAD_HOSTILE says how many (1,000), DEEPSAD_SEED which ones."""
import collections
import os
import re

from hostile import JSON, Hostile

COUNT = int(os.environ.get("DEEPSAD_HOSTILE", "1000"))
SEED = int(os.environ.get("DEEPSAD_SEED", "1"))
SCORE = "/v1/models/m/score"
PLACE = re.compile(r"line \d+|row \d+|byte \d+|samples|ids|explain|keep|body|Content-|rows"
                   r"|scoring request", re.I)


def fault_of(kind, answer):
    """What is wrong with the answer to a hostile request, or None."""
    problem = answer.json
    if not 400 <= answer.status < 500:
        return f"answered {answer.status}"
    if answer.headers["Content-Type"] != "application/problem+json":
        return f"is a {answer.headers['Content-Type']}"
    if problem["status"] != answer.status or problem["error"] != problem["detail"]:
        return "is no whole problem"
    pointers = [error["pointer"] for error in problem.get("errors", [])]
    if not PLACE.search(problem["detail"]) and not any(pointers):
        return f"names no place: {problem['detail']}"
    line = r"line \d+" if kind.startswith("csv") else r"line \d+, column \d+"
    if answer.status == 400 and not re.search(line, problem["detail"]):
        return f"names no line or column: {problem['detail']}"
    return None


def test_every_hostile_body_is_refused_with_its_place(make_model, daemon, tmp_path):
    make_model(tmp_path, "m")
    server = daemon(tmp_path, limits__rows=100, log__level="error")
    connection = server.connect()
    kinds, faults = collections.Counter(), []
    for number, (kind, headers, body) in zip(range(COUNT), Hostile(SEED)):
        connection.request("POST", SCORE, body=body, headers=headers)
        answer = server.take(connection.getresponse())
        kinds[kind] += 1
        fault = fault_of(kind, answer)
        if fault:
            faults.append(f"{number} {kind} {headers} {body[:200]!r}: {fault}")
    assert not faults, f"{len(faults)} of {COUNT}:\n" + "\n".join(faults[:20])
    assert len(kinds) > 30 or COUNT < 1000
    print(f"{COUNT} bodies of {len(kinds)} kinds refused")
    good = server.request("POST", SCORE, {"samples": [[1, 2, 3, 4, 5]]}, JSON)
    assert good.status == 200
