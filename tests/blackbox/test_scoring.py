# SPDX-License-Identifier: Apache-2.0
"""Scores over HTTP: forms of input, form of the answer, many models and versions."""
import json
import re

import numpy as np
from conftest import gaussian_rows, run

UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


def score(server, body, path="/v1/models/m/score", **headers):
    answer = server.request("POST", path, body, headers or None)
    assert answer.status == 200, answer.text
    return answer.json


def scores(answer):
    return [result["score"] for result in answer["results"]]


def test_the_answer_is_as_the_contract_says(server):
    answer = score(server, {"samples": [[0, 1, 2], [9, -9, 9]], "ids": ["t-1", "t:2"]})
    assert answer["model"] == "m" and answer["version"] == "1" and answer["alpha"] == 0.01
    assert [r["id"] for r in answer["results"]] == ["t-1", "t:2"]
    for result in answer["results"]:
        assert set(result) == {"id", "score", "p_value", "anomalous"}
        assert 0 < result["p_value"] <= 1
        assert result["anomalous"] == (result["p_value"] <= answer["alpha"])
        if answer["threshold"] is not None:
            assert result["anomalous"] == (result["score"] >= answer["threshold"])
    assert answer["results"][0]["score"] < answer["results"][1]["score"]


def test_ids_are_made_where_none_are_given(server):
    ids = [r["id"] for r in score(server, {"samples": [[0, 1, 2]] * 500})["results"]]
    assert all(UUID7.match(one) for one in ids)
    assert len(set(ids)) == 500 and ids == sorted(ids)


def test_rows_by_name_and_rows_in_order_score_alike(server):
    one = scores(score(server, {"samples": [[0.5, 1.5, 2.5], [1, None, 3]]}))
    two = scores(score(server, {"samples": [{"f2": 2.5, "f0": 0.5, "f1": 1.5},
                                            {"f0": 1, "f2": 3}]}))
    assert one == two


def test_members_come_in_any_order_and_with_any_space(server):
    want = scores(score(server, '{"samples":[[1,2,3]],"ids":["a"],"explain":0,"keep":false}'))
    body = ' {\t"keep" : false , "ids":[ "\\u0061" ],\r\n"samples": [ [1 , 2e0,\n3.000 ] ] } \n'
    answer = score(server, body)
    assert scores(answer) == want and answer["results"][0]["id"] == "a"


def test_csv_with_and_without_header_scores_as_json(server):
    want = scores(score(server, {"samples": [[1, 2, 3], [None, 5, 6]]}))
    kind = {"Content-Type": "text/csv"}
    plain = scores(score(server, "1,2,3\n,5,6\n", **kind))
    named = scores(score(server, '\ufeff"f2",f0,f1\r\n3,1,"2"\r\n\r\n6,nan,5'.encode(), **kind))
    assert plain == want and named == want
    for body, says in (("1,2\n", "line 1 has 2 cells"), ("1,2,3\n4,x,6\n", "line 2, cell 2"),
                       ("f0,f9\n1,2\n", '"f9" is not one'), ("f0,f0\n1,2\n", "twice"),
                       ("1,2,1e99\n", "range"), ("", "no rows"), ("f0,f1,f2\n", "no rows")):
        answer = server.request("POST", "/v1/models/m/score", body, kind)
        assert answer.status == 422 and says in answer.json["detail"], answer.text
    answer = server.request("POST", "/v1/models/m/score", '1,"2,3\n', kind)
    assert answer.status == 400 and "line 1" in answer.json["detail"]


def test_bodies_in_pieces_of_any_size_score_alike(server):
    body = json.dumps({"samples": gaussian_rows(40, 3, seed=3).tolist()}).encode()
    want = scores(score(server, body))
    for size in (1, 7, 100):
        connection = server.connect()
        pieces = (body[i:i + size] for i in range(0, len(body), size))
        connection.request("POST", "/v1/models/m/score", pieces,
                           {"Content-Type": "application/json"}, encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 200
        assert scores(json.loads(answer.read())) == want
        connection.close()


def test_expect_100_continue_is_answered(server):
    body = b'{"samples": [[1, 2, 3]]}'
    head = ("POST /v1/models/%s/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    got = server.raw((head % "m").encode() + body)
    assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    assert server.raw((head % "none").encode()).startswith(b"HTTP/1.1 404 ")


def test_the_tool_and_the_daemon_agree(server, deepsad, models, tmp_path):
    rows = gaussian_rows(50, 3, seed=5)
    np.save(tmp_path / "rows.npy", rows)
    run(deepsad, "score", models / "m", tmp_path / "rows.npy", "--output", tmp_path / "o.npy")
    tool = np.load(tmp_path / "o.npy").reshape(50, -1)[:, 0]
    answer = score(server, {"samples": [[float(v) for v in row] for row in rows]})
    np.testing.assert_allclose(scores(answer), tool, rtol=1e-6)


def test_several_models_and_versions_are_served_at_once(daemon, make_model, tmp_path):
    make_model(tmp_path / "m", "a", features=3, seed=1)
    make_model(tmp_path / "m", "a", features=3, seed=2)
    make_model(tmp_path / "m", "b", features=5)
    server = daemon(tmp_path / "m")
    body = {"samples": [[1, 2, 3]]}
    live = score(server, body, "/v1/models/a/score")
    old = score(server, body, "/v1/models/a/versions/1/score")
    assert live["version"] == "2" and old["version"] == "1" and scores(live) != scores(old)
    assert scores(score(server, body, "/v1/models/a/versions/2/score")) == scores(live)
    listed = server.request("GET", "/v1/models").json["models"]
    assert [(m["name"], m["state"], m["version"], m["features"]) for m in listed] == \
        [("a", "live", "2", 3), ("b", "live", "1", 5)]
    one = server.request("GET", "/v1/models/a").json
    assert one["feature_names"] == ["f0", "f1", "f2"] and one["card"]
    versions = server.request("GET", "/v1/models/a/versions").json["versions"]
    assert [(v["version"], v["state"]) for v in versions] == [("2", "live"), ("1", "loaded")]
    assert server.request("GET", "/v1/models/a/versions/1").json["version"] == "1"


def test_versions_beyond_those_loaded_are_listed_and_not_scored(daemon, make_model, tmp_path):
    for seed in (1, 2):
        make_model(tmp_path / "m", "a", features=3, seed=seed)
    server = daemon(tmp_path / "m", models__versions_loaded=1)
    versions = server.request("GET", "/v1/models/a/versions").json["versions"]
    assert [(v["version"], v["state"]) for v in versions] == [("2", "live"), ("1", "stored")]
    answer = server.request("POST", "/v1/models/a/versions/1/score", {"samples": [[1, 2, 3]]})
    assert answer.status == 404 and "not loaded" in answer.json["detail"]


def test_head_has_the_headers_and_no_body(server):
    get = server.request("GET", "/v1/models")
    head = server.request("HEAD", "/v1/models")
    assert head.status == 200 and head.text == ""
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_request_ids_are_kept_if_sane_and_made_if_not(server):
    answer = server.request("GET", "/v2/health/live", headers={"X-Request-Id": "abc-1.2:3_4"})
    assert answer.headers["X-Request-Id"] == "abc-1.2:3_4"
    for bad in ("a b", "x" * 65, "<i>"):
        answer = server.request("GET", "/v2/health/live", headers={"X-Request-Id": bad})
        assert UUID7.match(answer.headers["X-Request-Id"])


def test_one_connection_serves_many_requests(server):
    connection = server.connect()
    for _ in range(50):
        assert server.request("GET", "/v2/health/live", connection=connection).status == 200
        bad = server.request("POST", "/v1/models/m/score", "[", connection=connection)
        assert bad.status == 422
    metrics = server.request("GET", "/metrics", connection=connection).text
    assert "deepsad_http_connections 1\n" in metrics
