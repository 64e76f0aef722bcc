# SPDX-License-Identifier: Apache-2.0
"""Verdicts over HTTP: what is recorded, what is refused, and how it is read back."""
import json
import re
import signal
import subprocess

import pytest
from test_errors import check_problem

LABELS = "/v1/models/m/labels"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


def post(server, *labels, status=201, headers=None):
    """Posts labels; the answer's labels."""
    answer = server.request("POST", LABELS, {"labels": list(labels)}, headers)
    assert answer.status == status, answer.text
    return answer.json.get("labels")


def featured(verdict="normal", x=(1, 2, 3), **more):
    return {"features": list(x), "verdict": verdict, **more}


def listed(server, query=""):
    answer = server.request("GET", LABELS + query)
    assert answer.status == 200, answer.text
    return answer.json["labels"]


def test_a_verdict_on_features_makes_a_sample(server):
    label, = post(server, {"features": {"f2": 1.5, "f0": -3}, "verdict": "anomalous",
                           "analyst": "kim", "reason": "fraud", "note": "card stolen: \u00f6"})
    assert re.fullmatch(UUID, label["label_id"]) and re.fullmatch(UUID, label["sample_id"])
    assert label["verdict"] == "anomalous" and label["supersedes"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", label["created_at"])
    sample = server.request("GET", f"/v1/models/m/samples/{label['sample_id']}").json
    assert sample["features"] == {"f0": -3, "f1": None, "f2": 1.5}
    scored = server.request("POST", "/v1/models/m/score", {"samples": [[-3, None, 1.5]]}).json
    result = scored["results"][0]
    assert sample["version"] == scored["version"]
    assert sample["score"] == pytest.approx(result["score"], rel=1e-5)
    assert sample["p_value"] == pytest.approx(result["p_value"], rel=1e-5)
    shown, = sample["labels"]
    assert (shown["analyst"], shown["reason"], shown["note"]) == ("kim", "fraud",
                                                                  "card stolen: \u00f6")
    assert shown["state"] == "in_force" and not sample["conflict"]


def test_a_later_verdict_supersedes_the_analysts_earlier_one(server):
    first, = post(server, featured("normal", analyst="kim"))
    sample = first["sample_id"]
    second, = post(server, {"sample_id": sample, "verdict": "anomalous", "analyst": "kim"})
    assert second["supersedes"] == first["label_id"]
    labels = server.request("GET", f"/v1/models/m/samples/{sample}").json["labels"]
    assert [(one["label_id"], one["state"]) for one in labels] == [
        (second["label_id"], "in_force"), (first["label_id"], "superseded")]
    assert [one["label_id"] for one in listed(server, "?state=in_force")] == [second["label_id"]]


def test_analysts_who_disagree_are_in_conflict_until_one_withdraws(server):
    first, = post(server, featured("normal", analyst="kim"))
    sample = first["sample_id"]
    second, = post(server, {"sample_id": sample, "verdict": "anomalous", "analyst": "lee"})
    assert second["supersedes"] is None
    shown = server.request("GET", f"/v1/models/m/samples/{sample}").json
    assert shown["conflict"] and all(label["conflict"] for label in shown["labels"])
    assert server.request("GET", "/v1/models/m").json["labels"]["conflicts"] == 1
    answer = server.request("DELETE", f"{LABELS}/{first['label_id']}?analyst=kim")
    assert answer.status == 200 and answer.json["state"] == "withdrawn"
    assert answer.json["withdrawn_at"]
    shown = server.request("GET", f"/v1/models/m/samples/{sample}").json
    assert not shown["conflict"] and len(shown["labels"]) == 2
    assert server.request("DELETE", f"{LABELS}/{first['label_id']}").status == 200
    counts = server.request("GET", "/v1/models/m").json["labels"]
    assert counts == {"normal": 0, "anomalous": 1, "unsure": 0, "conflicts": 0, "quarantined": 0}


def test_all_labels_of_an_analyst_can_be_withdrawn(server):
    post(server, *[featured(x=(i, 0, 0), analyst="kim") for i in range(5)])
    post(server, *[featured(x=(i, 1, 0)) for i in range(3)])
    assert server.request("DELETE", LABELS + "?analyst=kim").json["withdrawn"] == 5
    assert server.request("DELETE", LABELS + "?analyst=kim").json["withdrawn"] == 0
    assert len(listed(server, "?state=in_force")) == 3
    assert server.request("DELETE", LABELS + "?analyst=").json["withdrawn"] == 3
    check_problem(server.request("DELETE", LABELS), 422, "analyst is missing")


def test_all_labels_of_a_request_are_recorded_or_none(server):
    answer = server.request("POST", LABELS, {"labels": [
        featured(), {"sample_id": "never-seen", "verdict": "normal"}]})
    check_problem(answer, 404, "never-seen", "#/labels/1/sample_id")
    assert listed(server) == []


def test_a_key_replays_the_answer(server):
    body = json.dumps({"labels": [featured()]})
    key = {"Idempotency-Key": "batch-7"}
    first = server.request("POST", LABELS, body, key)
    again = server.request("POST", LABELS, body, key)
    assert first.status == again.status == 201 and first.text == again.text
    assert len(listed(server)) == 1
    other = server.request("POST", LABELS, json.dumps({"labels": [featured("unsure")]}), key)
    check_problem(other, 422)
    assert len(listed(server)) == 1


def test_labels_and_keys_outlive_the_daemon(daemon, models, tmp_path):
    key, body = {"Idempotency-Key": "k"}, {"labels": [featured(analyst="kim")]}
    server = daemon(models, "--state", tmp_path / "kept")
    first = server.request("POST", LABELS, body, key)
    assert first.status == 201 and server.stop() == 0
    again = daemon(models, "--state", tmp_path / "kept")
    assert again.request("POST", LABELS, body, key).text == first.text
    only, = listed(again)
    assert only["label_id"] == first.json["labels"][0]["label_id"]


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "\u00e9"])
def test_bad_keys_are_400(server, key):
    got = server.raw((f"POST {LABELS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                      f"Content-Length: 2\r\nIdempotency-Key: {key}\r\nConnection: close\r\n\r\n"
                      "{}").encode())
    assert got.startswith(b"HTTP/1.1 400 ") and b"Idempotency-Key" in got


def test_lists_are_paged_newest_first(server):
    made = [label["label_id"] for i in range(4)
            for label in post(server, *[featured(x=(i, j, 0)) for j in range(3)])]
    seen, query = [], "?limit=5"
    while True:
        page = server.request("GET", LABELS + query).json
        seen += [label["label_id"] for label in page["labels"]]
        if page["next_cursor"] is None:
            break
        assert len(page["labels"]) == 5
        query = f"?limit=5&cursor={page['next_cursor']}"
        post(server, featured())  # what comes meanwhile does not move the pages
    assert seen == made[::-1]


def test_lists_are_filtered(server):
    post(server, featured("normal", analyst="kim"), featured("anomalous", (4, 5, 6), analyst="lee"),
         featured("unsure", (7, 8, 9), analyst="lee"))
    assert [one["verdict"] for one in listed(server, "?analyst=lee")] == ["unsure", "anomalous"]
    only, = listed(server, "?analyst=lee&verdict=anomalous")
    assert listed(server, f"?sample_id={only['sample_id']}") == [only]
    assert listed(server, "?analyst=nobody") == []


BODIES = [  # body, status, pointer, part of the detail
    ({"labels": []}, 422, "#/labels", "empty"),
    ({}, 422, "#/labels", "expected an array"),
    ([], 422, "#", "expected an object"),
    ({"labels": {}}, 422, "#/labels", "found an object"),
    ({"labels": [featured()], "model": "m"}, 422, "#", "not a member of the body"),
    ({"labels": [1]}, 422, "#/labels/0", "found a number"),
    ({"labels": [featured(), featured("bad")]}, 422, "#/labels/1/verdict", "bad"),
    ({"labels": [{"features": [1, 2, 3]}]}, 422, "#/labels/0/verdict", "missing"),
    ({"labels": [{"features": [1, 2, 3], "verdict": 1}]}, 422, "#/labels/0/verdict", "a number"),
    ({"labels": [{"verdict": "normal"}]}, 422, "#/labels/0", "neither"),
    ({"labels": [featured(sample_id="a")]}, 422, "#/labels/0", "both"),
    ({"labels": [{"sample_id": "a b", "verdict": "normal"}]}, 422, "#/labels/0/sample_id", "letters"),
    ({"labels": [{"sample_id": "", "verdict": "normal"}]}, 422, "#/labels/0/sample_id", "letters"),
    ({"labels": [{"sample_id": 7, "verdict": "normal"}]}, 422, "#/labels/0/sample_id", "a number"),
    ({"labels": [{"sample_id": "a" * 65, "verdict": "normal"}]}, 422, "#/labels/0/sample_id", "64"),
    ({"labels": [{"sample_id": "nope", "verdict": "normal"}]}, 404, "#/labels/0/sample_id", "nope"),
    ({"labels": [featured(x=(1, 2))]}, 422, "#/labels/0/features", "2 features"),
    ({"labels": [featured(x=(1, 2, 3, 4))]}, 422, "#/labels/0/features", "has 3"),
    ({"labels": [featured(x=(1, "2", 3))]}, 422, "#/labels/0/features/1", "a string"),
    ({"labels": [featured(x=(1, True, 3))]}, 422, "#/labels/0/features/1", "true"),
    ({"labels": [featured(x=(1, 1e39, 3))]}, 422, "#/labels/0/features/1", "range of a float"),
    ({"labels": [{"features": {"f0": 1, "a/b": 2}, "verdict": "normal"}]}, 422,
     "#/labels/0/features/a~1b", "not one of the model's"),
    ({"labels": [{"features": {"f1": [1]}, "verdict": "normal"}]}, 422,
     "#/labels/0/features/f1", "an array"),
    ({"labels": [{"features": 5, "verdict": "normal"}]}, 422, "#/labels/0/features", "a number"),
    ({"labels": [featured(who="kim")]}, 422, "#/labels/0/who", "not a member of a label"),
    ({"labels": [featured(analyst=5)]}, 422, "#/labels/0/analyst", "a number"),
    ({"labels": [featured(analyst="")]}, 422, "#/labels/0/analyst", "empty"),
    ({"labels": [featured(note="x" * 4097)]}, 422, "#/labels/0/note", "limits.label_text"),
    ({"labels": [featured(reason=[])]}, 422, "#/labels/0/reason", "an array"),
    ({"labels": [featured()] * 1001}, 413, "#/labels", "limits.labels"),
    ('{"labels": [{"features": [1, NaN, 3], "verdict": "normal"}]}', 422, None, "NaN"),
    ('{"labels": [{"features": [1, 1e999, 3], "verdict": "normal"}]}', 422, None, "overflow"),
    ('{"labels": [}', 400, None, "line 1, column 13"),
    ('{"labels": []} x', 400, None, "line 1, column 16"),
    ('{"labels": [], "labels": []}', 400, None, "duplicate"),
    ('{"labels": []}\0', 400, None, "NUL"),
    ('', 400, None, "empty"),
    ("[" * 50, 400, None, "nested deeper"),
    (b'{"labels": "\xff"}', 400, None, "line 1"),
]


def test_every_wrong_body_is_refused_in_its_place(server):
    for body, status, pointer, says in BODIES:
        check_problem(server.request("POST", LABELS, body), status, says, pointer)
    assert listed(server) == []


QUERIES = [  # method, path, status, part of the detail
    ("GET", "/v1/models/none/labels", 404, "none"),
    ("POST", "/v1/models/none/labels", 404, "none"),
    ("DELETE", "/v1/models/none/labels?analyst=kim", 404, "none"),
    ("GET", LABELS + "?verdict=odd", 422, "normal, anomalous, unsure"),
    ("GET", LABELS + "?state=old", 422, "in_force"),
    ("GET", LABELS + "?limit=0", 422, "1 to 1000"),
    ("GET", LABELS + "?limit=1001", 422, "1 to 1000"),
    ("GET", LABELS + "?limit=ten", 422, "whole number"),
    ("GET", LABELS + "?page=2", 422, "verdict, analyst, sample_id, state, limit, cursor"),
    ("GET", LABELS + "?limit=1&limit=2", 422, "twice"),
    ("GET", LABELS + "?analyst=", 422, "analyst"),
    ("GET", LABELS + "?analyst=%ff", 400, "UTF-8"),
    ("GET", LABELS + "?analyst=%0", 400, "hexadecimal"),
    ("GET", LABELS + "?analyst=a%00b", 400, "NUL"),
    ("GET", LABELS + "?cursor=1", 422, "next_cursor"),
    ("GET", LABELS + "?cursor=00000000123", 422, "next_cursor"),
    ("POST", LABELS + "?dry=1", 422, "none is taken"),
    ("DELETE", LABELS + "/nothing", 404, "nothing"),
    ("DELETE", LABELS + "/a%20b", 404, "a%20b"),
    ("DELETE", LABELS + "?analyst=kim&all=1", 422, "analyst"),
    ("PUT", LABELS, 405, "GET, HEAD, POST, DELETE"),
    ("GET", "/v1/models/m/samples/nothing", 404, "nothing"),
    ("GET", "/v1/models/m/samples/" + "a" * 65, 404, "aaa"),
    ("GET", "/v1/models/none/samples/a", 404, "none"),
    ("GET", "/v1/models/m/samples/a?x=1", 422, "none is taken"),
]


def test_every_wrong_request_is_refused(server):
    for method, path, status, says in QUERIES:
        body = {"labels": [featured()]} if method == "POST" else None
        problem = check_problem(server.request(method, path, body), status)
        allow = server.request(method, path, body).headers.get("Allow")
        assert says in (problem["detail"] + (allow or "")), (method, path, problem)


def test_a_cursor_of_another_list_is_refused(server, make_model, models):
    post(server, featured(), featured())
    cursor = server.request("GET", LABELS + "?limit=1").json["next_cursor"]
    check_problem(server.request("GET", f"/v1/models/m/jobs?cursor={cursor}"), 422, "next_cursor")


def test_labels_are_counted(server):
    post(server, featured(), featured("anomalous", (9, 9, 9)))
    text = server.request("GET", "/metrics").text
    assert 'deepsad_labels_total{model="m",verdict="normal"} 1\n' in text
    assert 'deepsad_labels_total{model="m",verdict="anomalous"} 1\n' in text
    assert "deepsad_store_up 1\n" in text
    assert re.search(r"^deepsad_store_commits_total [1-9]", text, re.M)
    assert re.search(r'requests_total\{route="/v1/models/\{model\}/labels",status="201"\} 1', text)


def test_a_reload_changes_limits_and_names_what_needs_a_restart(daemon, models, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("limits:\n  labels: 2\n  page: 2\n")
    server = daemon(models, "--config", config)
    three = {"labels": [featured(x=(i, 0, 0)) for i in range(3)]}
    check_problem(server.request("POST", LABELS, three), 413, "limits.labels")
    check_problem(server.request("GET", LABELS + "?limit=3"), 422, "1 to 2")
    config.write_text("limits:\n  labels: 3\nsamples:\n  queue: 1MiB\n  count: 5\n"
                      "learning:\n  priority: nice\n")
    server.signal(signal.SIGHUP)
    server.wait_for('"reloaded"')
    assert server.request("POST", LABELS, three).status == 201
    assert len(listed(server, "?limit=3")) == 3
    warned = [line for line in server.stderr if "after a restart" in line]
    assert len(warned) == 2 and "samples.queue" in warned[0] and "learning.priority" in warned[1]


def test_without_a_place_for_its_state_the_daemon_says_so(deepsadd, models, tmp_path):
    (tmp_path / "file").write_text("")
    for state in (tmp_path / "file", tmp_path / "file" / "below"):
        done = subprocess.run([deepsadd, "--listen", "127.0.0.1:0", "--models", models,
                               "--state", state], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "state" in done.stderr, done.stderr
