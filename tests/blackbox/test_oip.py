# SPDX-License-Identifier: Apache-2.0
"""The Open Inference Protocol, statement by statement, by an independent client of it; then
the binary tensor, the statistics and the model repository extension."""
import json
import struct

import numpy as np
import pytest
from oip_client import HEADER, Client, InferenceError, Input

ROWS = np.random.default_rng(5).normal(0, 1, (7, 3)).astype(np.float32)


@pytest.fixture
def client(server):
    return Client(server.host, server.port)


def v1_scores(server, rows, path="/v1/models/m/score"):
    samples = [[None if np.isnan(v) else float(v) for v in row] for row in rows]
    results = server.request("POST", path, {"samples": samples}).json["results"]
    return (np.array([r["score"] for r in results], np.float32),
            np.array([r["p_value"] for r in results], np.float32))


def body(data, shape, datatype="FP32", **members):
    return {"inputs": [{"name": "input", "shape": shape, "datatype": datatype, "data": data}],
            **members}


def refused(server, request, status=400):
    """(message, pointer) of the error that the request gets."""
    answer = server.request("POST", "/v2/models/m/infer", request)
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert isinstance(answer.json["error"], str)
    return answer.json["error"], answer.json.get("errors", [{"pointer": None}])[0]["pointer"]


# ---- Health and metadata ---------------------------------------------------------------


def test_health_200_means_true_and_4xx_false(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("m") and client.is_model_ready("m", "1")
    for path in ("/v2/models/none/ready", "/v2/models/m/versions/2/ready",
                 "/v2/models/m/versions/x/ready"):
        assert 400 <= client.call("GET", path)[0] < 500


def test_a_model_whose_versions_do_not_load_is_not_ready(daemon, make_model, tmp_path):
    make_model(tmp_path / "models", "m", features=3)
    (tmp_path / "models" / "broken" / "1").mkdir(parents=True)
    (tmp_path / "models" / "broken" / "1" / "model.safetensors").write_bytes(b"no model")
    server = daemon(tmp_path / "models")
    status, _, text = Client(server.host, server.port).call("GET", "/v2/models/broken/ready")
    assert 400 <= status < 500 and "broken" in json.loads(text)["error"]


def test_server_metadata_has_name_version_and_extensions(client):
    assert client.server_metadata() == {
        "name": "deepsadd", "version": client.server_metadata()["version"],
        "extensions": ["binary_tensor_data", "model_repository", "statistics"]}


def test_model_metadata_has_name_versions_platform_inputs_and_outputs(client):
    assert client.model_metadata("m") == client.model_metadata("m", "1") == {
        "name": "m", "versions": ["1"], "platform": "deepsad",
        "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "score", "datatype": "FP32", "shape": [-1]},
                    {"name": "p_value", "datatype": "FP32", "shape": [-1]}]}


def test_versions_that_may_be_asked_for_are_those_that_can_score(daemon, make_model, tmp_path):
    for seed in (1, 2, 3):
        make_model(tmp_path / "models", "m", features=3, seed=seed)
    server = daemon(tmp_path / "models", models__versions_loaded=2)
    client = Client(server.host, server.port)
    assert client.model_metadata("m")["versions"] == ["3", "2"]
    answers = {v: client.infer("m", [Input("input", ROWS, "FP32")], version=v)
               for v in (None, "3", "2")}
    assert [a["model_version"] for a, _ in answers.values()] == ["3", "3", "2"]
    assert (answers[None][1]["score"] == answers["3"][1]["score"]).all()
    assert (answers["2"][1]["score"] != answers["3"][1]["score"]).any()


@pytest.mark.parametrize("path", ["/v2/models/none", "/v2/models/m/versions/9"])
def test_a_failed_metadata_request_has_an_error_status_and_an_error_object(client, path):
    with pytest.raises(InferenceError) as caught:
        client.json("GET", path)
    assert caught.value.status == 404 and caught.value.message


# ---- Inference -------------------------------------------------------------------------


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("binary_output", [False, True])
def test_scores_are_those_of_v1(server, client, binary, binary_output):
    want = v1_scores(server, ROWS)
    _, got = client.infer("m", [Input("input", ROWS, "FP32", binary)],
                          parameters={"binary_data_output": binary_output})
    assert np.allclose(got["score"], want[0], rtol=1e-6)
    assert np.array_equal(got["p_value"], want[1])


def test_the_id_given_must_be_returned_and_only_then(client):
    tensor = Input("input", ROWS, "FP32")
    assert client.infer("m", [tensor], id='4"2 \u00fc')[0]["id"] == '4"2 \u00fc'
    assert "id" not in client.infer("m", [tensor])[0]


def test_the_answer_names_model_and_version(client):
    answer, _ = client.infer("m", [Input("input", ROWS, "FP32")])
    assert answer["model_name"] == "m" and answer["model_version"] == "1"


def test_without_outputs_all_are_returned_else_those_asked_for_in_order(client):
    tensor = Input("input", ROWS, "FP32")
    for outputs, names in ((None, ["score", "p_value"]), ([], ["score", "p_value"]),
                           ([{"name": "p_value"}], ["p_value"]),
                           ([{"name": "p_value"}, {"name": "score"}], ["p_value", "score"])):
        answer, _ = client.infer("m", [tensor], outputs=outputs)
        assert [one["name"] for one in answer["outputs"]] == names
        assert all(one["shape"] == [7] and one["datatype"] == "FP32"
                   for one in answer["outputs"])


def test_data_may_be_nested_or_flat_row_major(server, client):
    want = v1_scores(server, ROWS)[0]
    for data in (ROWS.tolist(), ROWS.ravel().tolist()):
        answer = server.request("POST", "/v2/models/m/infer", body(data, [7, 3])).json
        assert np.allclose(answer["outputs"][0]["data"], want, rtol=1e-6)


def test_members_come_in_any_order(server):
    want = server.request("POST", "/v2/models/m/infer", body(ROWS.tolist(), [7, 3])).json
    text = json.dumps(ROWS.tolist())
    for head, tail in (('"shape":[7,3],"name":"input"', '"datatype":"FP32"'),
                       ('"parameters":{}', '"name":"input","shape":[7,3],"datatype":"FP32"'),
                       ('"datatype":"FP32"', '"shape":[7,3],"name":"input"')):
        request = (f'{{"outputs":[],"inputs":[{{{head},"data":{text},{tail}}}],'
                   f'"parameters":{{}}}}')
        assert server.request("POST", "/v2/models/m/infer", request).json == want


def test_unknown_members_and_parameters_are_skipped(server):
    want = server.request("POST", "/v2/models/m/infer", body([[1, 2, 3]], [1, 3])).json
    request = body([[1, 2, 3]], [1, 3], model_name="m", more={"a": [1, {"b": [[]]}]},
                   parameters={"priority": 3, "x": "y", "z": True})
    request["inputs"][0].update(parameters={"content_type": "np"}, extra=[None, {}])
    assert server.request("POST", "/v2/models/m/infer", request).json == want


@pytest.mark.parametrize("datatype", ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8",
                                      "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"])
@pytest.mark.parametrize("binary", [False, True])
def test_every_type_of_numbers_is_taken(server, client, datatype, binary):
    rows = np.array([[0, 1, 1], [1, 0, 1]], np.float32)
    if datatype.startswith(("INT", "FP")):
        rows -= 1
    _, got = client.infer("m", [Input("input", rows, datatype, binary)])
    assert np.allclose(got["score"], v1_scores(server, rows)[0], rtol=1e-6)


def test_null_and_nan_are_missing_values(server, client):
    rows = ROWS.copy()
    rows[2, 1] = np.nan
    want = v1_scores(server, rows)[0]
    assert np.allclose(client.infer("m", [Input("input", rows, "FP32")])[1]["score"], want,
                       rtol=1e-6)
    data = [None if np.isnan(v) else float(v) for v in rows.ravel()]
    answer = server.request("POST", "/v2/models/m/infer", body(data, [7, 3])).json
    assert np.allclose(answer["outputs"][0]["data"], want, rtol=1e-6)


@pytest.mark.parametrize("request_body, says, pointer", [
    ("", "empty", None),
    ("{", "line 1, column 2", None),
    ("[]", "object", "#"),
    ('{"inputs": [}', "line 1, column 13", None),
    ({"id": "1"}, "missing", "#/inputs"),
    ({"inputs": []}, "missing", "#/inputs"),
    ({"inputs": {}}, "an array", "#/inputs"),
    ({"inputs": [3]}, "an object", "#/inputs/0"),
    (body([1, 2, 3], [1, 3], id=3), "a string", "#/id"),
    (body([1, 2, 3], [1, 3], parameters=[]), "an object", "#/parameters"),
    (body([1, 2, 3], [1, 3], outputs=[{"name": "x"}]), "no output", "#/outputs/0/name"),
    (body([1, 2, 3], [1, 3], outputs=[{}]), "missing", "#/outputs/0/name"),
    (body([1, 2, 3], [1, 3], outputs=[{"name": "score"}] * 2), "twice", "#/outputs/1/name"),
    (body([1, 2, 3], [1, 3], outputs=[{"name": "score",
                                       "parameters": {"binary_data": 1}}]),
     "true or false", "#/outputs/0/parameters/binary_data"),
    (body([1, 2, 3], [1, 3], parameters={"binary_data_output": "yes"}), "true or false",
     "#/parameters/binary_data_output"),
    (body([1, 2, 3], [3]), "[rows, 3]", "#/inputs/0/shape"),
    (body([1, 2, 3, 4], [1, 4]), "[1, 4], expected [rows, 3]", "#/inputs/0/shape"),
    (body([1, 2, 3], [1, 3, 1]), "[rows, 3]", "#/inputs/0/shape"),
    (body([], [0, 3]), "no rows", "#/inputs/0/shape"),
    (body([1, 2, 3], [1.5, 3]), "whole number", "#/inputs/0/shape/0"),
    (body([1, 2, 3], [-1, 3]), "whole number", "#/inputs/0/shape/0"),
    (body([1, 2, 3], "1,3"), "an array", "#/inputs/0/shape"),
    (body([1, 2], [1, 3]), "2 values", "#/inputs/0/data"),
    (body([1, 2, 3, 4], [1, 3]), "4 values", "#/inputs/0/data"),
    (body([[1, 2, 3], [4, 5, 6]], [1, 3]), "6 values", "#/inputs/0/data"),
    (body([[1, 2], [3, 4], [5, 6]], [2, 3]), "dimensions", "#/inputs/0/data"),
    (body([[1, 2, 3], [4, 5]], [2, 3]), "different lengths", "#/inputs/0/data"),
    (body([[1, 2, 3], 4, 5, 6], [2, 3]), "side by side", "#/inputs/0/data"),
    (body([1, 2, 3, [4, 5, 6]], [2, 3]), "side by side", "#/inputs/0/data"),
    (body([[], [1, 2, 3]], [2, 3]), "empty array", "#/inputs/0/data"),
    (body([1, "2", 3], [1, 3]), "a number, found a string", "#/inputs/0/data"),
    (body([1, {}, 3], [1, 3]), "a number, found an object", "#/inputs/0/data"),
    (body([1, 1e300, 3], [1, 3]), "out of the range", "#/inputs/0/data"),
    (body([1, True, 3], [1, 3]), "BOOL", "#/inputs/0/data"),
    (body([1, 2.5, 3], [1, 3], "INT32"), "row 0, column 1", "#/inputs/0/data"),
    (body([1, 2, 300], [1, 3], "UINT8"), "row 0, column 2", "#/inputs/0/data"),
    (body([-1, 2, 3], [1, 3], "UINT64"), "row 0, column 0", "#/inputs/0/data"),
    (body([1, None, 3], [1, 3], "INT8"), "row 0, column 1", "#/inputs/0/data"),
    (body(["a"], [1, 3], "BYTES"), "BYTES", "#/inputs/0/datatype"),
    (body([1, 2, 3], [1, 3], "float32"), "float32", "#/inputs/0/datatype"),
    ({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]},
     'no input "x"', "#/inputs/0/name"),
    ({"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP32"}]}, '"data" is missing',
     "#/inputs/0/data"),
    ({"inputs": [{"name": "input", "shape": [1, 3], "data": [1, 2, 3]}]},
     '"datatype" is missing', "#/inputs/0/datatype"),
    ({"inputs": [{"name": "input", "datatype": "FP32", "data": [1, 2, 3]}]},
     '"shape" is missing', "#/inputs/0/shape"),
    ({"inputs": [{"shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]},
     '"name" is missing', "#/inputs/0/name"),
    ({"inputs": body([1, 2, 3], [1, 3])["inputs"] * 2}, "one input", "#/inputs/1"),
    ('{"inputs":[{"name":"input","name":"input"}]}', "twice", "#/inputs/0/name"),
])
def test_a_failed_request_says_where_and_why(server, request_body, says, pointer):
    error, where = refused(server, request_body)
    assert says in error and where == pointer, (error, where)


def test_nan_literals_are_refused(server):
    text = json.dumps(body([1, 2, 3], [1, 3])).replace("2,", "NaN,", 1)
    assert "null" in refused(server, text)[0]


def test_limits_are_held_against_the_shape(daemon, models):
    server = daemon(models, limits__rows=5)
    error, where = refused(server, body(ROWS[:6].tolist(), [6, 3]), 413)
    assert "limits.rows" in error and where is not None
    raw = json.dumps({"inputs": [{"name": "input", "shape": [6, 3], "datatype": "FP32",
                                  "parameters": {"binary_data_size": 72}}]})
    answer = server.request("POST", "/v2/models/m/infer", raw.encode() + bytes(72),
                            {HEADER: str(len(raw))})
    assert answer.status == 413 and "limits.rows" in answer.json["error"]


def test_long_answers_are_whole(daemon, models):
    server = daemon(models, limits__rows=30000)
    rows = np.random.default_rng(1).normal(size=(25000, 3)).astype(np.float32)
    client = Client(server.host, server.port)
    _, flat = client.infer("m", [Input("input", rows, "FP32", binary=False)])
    _, binary = client.infer_raw("m", rows.tobytes())
    assert flat["score"].shape == (25000,)
    assert np.allclose(flat["score"], binary["score"], rtol=1e-6)
    assert np.allclose(flat["score"][-7:], v1_scores(server, rows[-7:])[0], rtol=1e-5)


def test_images_are_taken_in_their_shape(daemon, deepsad, tmp_path):
    from conftest import run
    images = np.random.default_rng(1).random((200, 4, 5)).astype(np.float32)
    np.save(tmp_path / "x.npy", images)
    run(deepsad, "train", tmp_path / "x.npy", "--out", tmp_path / "models" / "m", "--set",
        "epochs=1", "--set", "network=dense")
    server = daemon(tmp_path / "models")
    client = Client(server.host, server.port)
    assert client.model_metadata("m")["inputs"][0]["shape"] == [-1, 20]
    want = client.infer("m", [Input("input", images[:3].reshape(3, 20), "FP32")])[1]["score"]
    for shape in ([3, 4, 5], [3, 1, 4, 5]):
        for binary in (False, True):
            tensor = Input("input", images[:3].reshape(shape), "FP32", binary)
            assert np.array_equal(client.infer("m", [tensor])[1]["score"], want)
        nested = body(images[:3].reshape(shape).astype(float).tolist(), shape)
        answer = server.request("POST", "/v2/models/m/infer", nested).json
        assert np.array_equal(np.float32(answer["outputs"][0]["data"]), want)
    for shape in ([3, 5, 4], [3, 2, 2, 5], [3, 1, 20]):
        with pytest.raises(InferenceError, match="4 x 5"):
            client.infer("m", [Input("input", images[:3].reshape(shape), "FP32")])


# ---- Binary tensors --------------------------------------------------------------------


def test_binary_outputs_are_chosen_one_by_one(client):
    outputs = [{"name": "score", "parameters": {"binary_data": True}}, {"name": "p_value"}]
    answer, got = client.infer("m", [Input("input", ROWS, "FP32")], outputs=outputs)
    assert answer["outputs"][0]["parameters"] == {"binary_data_size": 28}
    assert "data" not in answer["outputs"][0] and "data" in answer["outputs"][1]
    outputs[0]["parameters"]["binary_data"] = False
    answer, again = client.infer("m", [Input("input", ROWS, "FP32")], outputs=outputs,
                                 parameters={"binary_data_output": True})
    assert "data" in answer["outputs"][0] and "data" not in answer["outputs"][1]
    assert np.array_equal(got["score"], again["score"])


def test_the_header_is_there_exactly_when_there_is_binary_data(client):
    request = json.dumps(body(ROWS.tolist(), [7, 3]))
    _, fields, _ = client.call("POST", "/v2/models/m/infer", request)
    assert HEADER not in fields and fields["Content-Type"] == "application/json"
    request = json.dumps(body(ROWS.tolist(), [7, 3], parameters={"binary_data_output": True}))
    _, fields, got = client.call("POST", "/v2/models/m/infer", request)
    assert fields["Content-Type"] == "application/octet-stream"
    assert int(fields["Content-Length"]) == len(got) == int(fields[HEADER]) + 56


def test_header_value_0_is_a_raw_tensor_and_all_outputs_are_binary(server, client):
    answer, got = client.infer_raw("m", ROWS.tobytes())
    assert all("data" not in one for one in answer["outputs"])
    assert np.allclose(got["score"], v1_scores(server, ROWS)[0], rtol=1e-6)
    for data, says in ((ROWS.tobytes()[:-1], "within row 6"), (b"", "no rows"),
                       (struct.pack("<3f", 1, float("inf"), 2), "column 1")):
        with pytest.raises(InferenceError, match=says):
            client.infer_raw("m", data)


@pytest.mark.parametrize("size, sent, says", [
    (84, 80, "ends 4 bytes before the binary_data_size of 84"),
    (84, 88, "bytes behind the input tensor"),
    (80, 80, "binary_data_size is 80, 7 rows of 3 FP32 are 84 bytes"),
])
def test_wrong_sizes_are_told_with_the_input_and_the_numbers(server, size, sent, says):
    text = json.dumps({"inputs": [{"name": "input", "shape": [7, 3], "datatype": "FP32",
                                   "parameters": {"binary_data_size": size}}]})
    answer = server.request("POST", "/v2/models/m/infer", text.encode() + bytes(sent),
                            {HEADER: str(len(text))})
    assert answer.status == 400 and says in answer.json["error"], answer.text


@pytest.mark.parametrize("value, says", [("x", "not a number"), ("-1", "not a number"),
                                         ("1000", "before the JSON")])
def test_a_wrong_header_is_an_error(server, value, says):
    answer = server.request("POST", "/v2/models/m/infer", b"{}", {HEADER: value})
    assert answer.status == 400 and says in answer.json["error"]


def test_binary_data_without_the_header_are_an_error(server):
    request = {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP32",
                           "parameters": {"binary_data_size": 12}}]}
    assert HEADER in refused(server, request)[0]


@pytest.mark.parametrize("kind", [None, "application/octet-stream", "text/plain"])
def test_any_content_type_or_none_is_taken(client, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    status, _, _ = client.call("POST", "/v2/models/m/infer",
                               json.dumps(body(ROWS.tolist(), [7, 3])), headers)
    assert status == 200


def test_bodies_in_chunks_of_any_size_give_the_same(server, client):
    text = json.dumps({"inputs": [Input("input", ROWS, "FP32").describe()]}).encode()
    want = client.infer("m", [Input("input", ROWS, "FP32")])[1]["score"]
    whole = text + ROWS.tobytes()
    for size in (1, 7, len(text) - 1, len(text) + 5):
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(whole[i:i + size]), whole[i:i + size])
                          for i in range(0, len(whole), size))
        head = (f"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                f"Transfer-Encoding: chunked\r\n{HEADER}: {len(text)}\r\n\r\n")
        answer = server.raw(head.encode() + chunks + b"0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        got = json.loads(answer.split(b"\r\n\r\n", 1)[1])["outputs"][0]["data"]
        assert np.allclose(got, want, rtol=1e-6)


def test_rows_are_kept_for_verdicts_where_the_request_or_the_policy_says_so(server, client):
    answer, _ = client.infer("m", [Input("input", ROWS, "FP32")], parameters={"keep": True})
    assert answer["parameters"] == {"kept": True}
    for _ in range(100):
        samples = server.request("GET", "/v1/models/m/review?limit=20").json["samples"]
        if len(samples) == 7:
            break
    assert len(samples) == 7


# ---- Statistics and repository ---------------------------------------------------------


def test_statistics_count_rows_requests_and_times_of_all_endpoints(server, client):
    assert client.statistics("m")["model_stats"][0]["inference_count"] == 0
    client.infer("m", [Input("input", ROWS, "FP32")])
    v1_scores(server, ROWS[:2])
    refused(server, body([1], [1, 3]))
    one, = client.statistics("m", "1")["model_stats"]
    assert one == client.statistics()["model_stats"][0] == client.statistics("m")["model_stats"][0]
    assert (one["name"], one["version"]) == ("m", "1")
    assert one["inference_count"] == 9 and one["execution_count"] == 2
    assert one["last_inference"] > 1.7e12
    counts = {name: stat["count"] for name, stat in one["inference_stats"].items()}
    assert counts == {"success": 2, "fail": 1, "queue": 2, "compute_input": 2,
                      "compute_infer": 2, "compute_output": 2, "cache_hit": 0, "cache_miss": 0}
    for name in ("success", "compute_input", "compute_infer", "compute_output"):
        assert one["inference_stats"][name]["ns"] > 0
    assert [b["batch_size"] for b in one["batch_stats"]] == [7, 2]
    with pytest.raises(InferenceError):
        client.statistics("none")


def test_the_index_lists_every_version_and_whether_it_is_ready(daemon, make_model, tmp_path):
    for seed in (1, 2):
        make_model(tmp_path / "models", "m", features=3, seed=seed)
    server = daemon(tmp_path / "models", models__versions_loaded=1)
    client = Client(server.host, server.port)
    index = client.repository_index()
    assert [(i["name"], i["version"], i["state"]) for i in index] == [
        ("m", "2", "READY"), ("m", "1", "UNAVAILABLE")]
    assert "versions_loaded" in index[1]["reason"]
    assert client.repository_index(ready=True) == index[:1]
    with pytest.raises(InferenceError, match="redy"):
        client.repository_index(redy=True)


def test_an_unloaded_model_is_gone_until_it_is_loaded(server, client):
    server.request("POST", "/v1/models/m/score",
                   {"samples": [[1, 2, 3]], "ids": ["t-1"], "keep": True})
    client.unload_model("m")
    assert not client.is_model_ready("m")
    with pytest.raises(InferenceError, match="unloaded"):
        client.infer("m", [Input("input", ROWS, "FP32")])
    assert client.repository_index() == [{"name": "m", "version": "1", "state": "UNAVAILABLE",
                                          "reason": "unloaded"}]
    server.signal(1)
    server.wait_for("reloaded")
    assert not client.is_model_ready("m")
    assert server.request("GET", "/v1/models/m").json["state"] == "unloaded"
    kept = {"labels": [{"sample_id": "t-1", "verdict": "normal"}]}
    answer = server.request("POST", "/v1/models/m/labels", kept)
    assert answer.status == 404 and "is unloaded" in answer.json["detail"]
    client.load_model("m")
    assert client.is_model_ready("m")
    assert client.infer("m", [Input("input", ROWS, "FP32")])[1]["score"].shape == (7,)
    assert server.request("POST", "/v1/models/m/labels", kept).status == 201


def test_load_takes_up_a_new_model_and_tells_what_does_not_load(server, client, make_model,
                                                                models):
    make_model(models, "new", features=4)
    client.load_model("new")
    assert client.is_model_ready("new")
    (models / "bad" / "1").mkdir(parents=True)
    (models / "bad" / "1" / "model.safetensors").write_bytes(b"x" * 100)
    for name, status in (("bad", 400), ("none", 404)):
        with pytest.raises(InferenceError) as caught:
            client.load_model(name)
        assert caught.value.status == status and name in caught.value.message


def test_loading_can_be_switched_off(daemon, models):
    server = daemon(models, models__control="none")
    client = Client(server.host, server.port)
    for call in (client.load_model, client.unload_model):
        with pytest.raises(InferenceError, match="models.control") as caught:
            call("m")
        assert caught.value.status == 403
    assert client.is_model_ready("m")


def test_a_load_with_a_config_of_tritons_is_refused(server):
    answer = server.request("POST", "/v2/repository/models/m/load",
                            {"parameters": {"config": "{}"}})
    assert answer.status == 400 and "model.yaml" in answer.json["error"]
