# SPDX-License-Identifier: Apache-2.0
"""deepsad import: encoders as PyTorch saves them (tests/golden/import, made with PyTorch)
score as PyTorch scores them, and are served as any model."""
import csv
import json
import pathlib
import struct

import numpy as np
import pytest
from conftest import run

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "import"
KINDS = {"mlp": ["--eps", "1e-4"], "sequential": [], "plain": [],
         "lenet": ["--eps", "1e-4", "--network", "conv:3,pool,conv:4,pool,dense:7,rep:4"],
         "conv": ["--network", "conv3x3:3,pool,conv3x3:4,pool,rep:5"]}


def bring(deepsad, kind, folder, *words, **options):
    return run(deepsad, "import", GOLDEN / f"{kind}.safetensors", "--rows",
               GOLDEN / f"{kind}-rows.npy", "--out", folder / "models" / "m", *words, **options)


def complete(deepsad, kind, folder, *words):
    bring(deepsad, kind, folder, "--center", GOLDEN / f"{kind}-center.npy", *KINDS[kind], *words)


def tool_scores(deepsad, folder, rows):
    run(deepsad, "score", folder / "models" / "m", rows, "--output", folder / "scores.csv")
    with open(folder / "scores.csv", encoding="ascii") as file:
        return np.array([float(row["score"]) for row in csv.DictReader(file)])


@pytest.mark.parametrize("kind", KINDS)
def test_the_scores_are_pytorchs(deepsad, tmp_path, kind):
    complete(deepsad, kind, tmp_path)
    want = np.load(GOLDEN / f"{kind}-scores.npy")
    got = tool_scores(deepsad, tmp_path, GOLDEN / f"{kind}-rows.npy")
    assert np.allclose(got, want, rtol=2e-5)


def test_without_a_center_it_is_the_mean_of_the_rows_codes(deepsad, tmp_path):
    bring(deepsad, "plain", tmp_path)
    rows = np.load(GOLDEN / "plain-rows.npy")
    run(deepsad, "encode", tmp_path / "models" / "m", GOLDEN / "plain-rows.npy", "--output",
        tmp_path / "codes.npy")
    codes = np.load(tmp_path / "codes.npy")
    center = codes.mean(0)
    center = np.where(np.abs(center) < 0.1, np.where(center < 0, -0.1, 0.1), center)
    want = ((codes - center) ** 2).sum(1)
    assert np.allclose(tool_scores(deepsad, tmp_path, GOLDEN / "plain-rows.npy"), want,
                       rtol=1e-4, atol=1e-6)
    assert len(rows) == len(want)


def test_mean_and_std_go_before_the_encoder(deepsad, tmp_path):
    rows = np.load(GOLDEN / "mlp-rows.npy")
    mean, std = np.arange(6, dtype=np.float32), np.linspace(1, 3, 6).astype(np.float32)
    np.save(tmp_path / "mean.npy", mean)
    np.save(tmp_path / "std.npy", std)
    np.save(tmp_path / "raw.npy", rows * std + mean)
    run(deepsad, "import", GOLDEN / "mlp.safetensors", "--rows", tmp_path / "raw.npy", "--out",
        tmp_path / "models" / "m", "--center", GOLDEN / "mlp-center.npy", "--eps", "1e-4",
        "--mean", tmp_path / "mean.npy", "--std", tmp_path / "std.npy")
    want = np.load(GOLDEN / "mlp-scores.npy")
    assert np.allclose(tool_scores(deepsad, tmp_path, tmp_path / "raw.npy"), want, rtol=1e-4)


def test_p_values_are_conformal_on_the_rows(deepsad, tmp_path):
    complete(deepsad, "mlp", tmp_path)
    run(deepsad, "score", tmp_path / "models" / "m", GOLDEN / "mlp-rows.npy", "--output",
        tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", encoding="ascii") as file:
        table = list(csv.DictReader(file))
    order = np.argsort([-float(row["score"]) for row in table])
    p_values = np.array([float(table[i]["p_value"]) for i in order])
    assert np.allclose(p_values, np.arange(2, 202) / 201, atol=1e-4)


@pytest.mark.parametrize("kind", ["sequential", "conv"])
def test_it_is_served_explained_and_exported(deepsad, daemon, tmp_path, kind):
    complete(deepsad, kind, tmp_path)
    rows = np.load(GOLDEN / f"{kind}-rows.npy")
    want = np.load(GOLDEN / f"{kind}-scores.npy")
    server = daemon(tmp_path / "models")
    answer = server.request("POST", "/v1/models/m/score",
                            {"samples": rows[:3].reshape(3, -1).astype(float).tolist(),
                             "explain": 1000})
    for result, score in zip(answer.json["results"], want):
        assert np.isclose(result["score"], score, rtol=2e-5)
        total = result["base"] + sum(p["contribution"] for p in result["explanation"])
        assert np.isclose(total, score, rtol=0.02, atol=0.02)
    card = server.request("GET", "/v1/models/m").json["card"]
    assert card["imported"]["file"].endswith(f"{kind}.safetensors")
    assert len(card["imported"]["sha256"]) == 64
    run(deepsad, "export", tmp_path / "models" / "m", "--onnx", tmp_path / "m.onnx")


def test_verdicts_retrain_it(deepsad, daemon, tmp_path):
    complete(deepsad, "mlp", tmp_path)
    server = daemon(tmp_path / "models")
    rows = np.load(GOLDEN / "mlp-rows.npy")[:12].astype(float)
    labels = [{"features": (row * (1 if i % 2 else 4)).tolist(),
               "verdict": "normal" if i % 2 else "anomalous"} for i, row in enumerate(rows)]
    assert server.request("POST", "/v1/models/m/labels", {"labels": labels}).status == 201
    for _ in range(600):
        jobs = server.request("GET", "/v1/models/m/jobs").json["jobs"]
        if jobs and jobs[0]["state"] in ("promoted", "rejected", "failed"):
            break
        __import__("time").sleep(0.05)
    assert jobs[0]["state"] in ("promoted", "rejected"), jobs


def test_it_cannot_be_reproduced_and_says_so(deepsad, tmp_path):
    complete(deepsad, "plain", tmp_path)
    done = run(deepsad, "reproduce", tmp_path / "models" / "m" / "1", check=False)
    assert done.returncode == 1 and "imported from" in done.stderr


def test_inspect_shows_where_it_comes_from(deepsad, tmp_path):
    complete(deepsad, "plain", tmp_path)
    assert "plain.safetensors" in run(deepsad, "inspect", tmp_path / "models" / "m",
                                      "--json").stdout


def tensors(**values):
    header, data = {}, b""
    for name, (dtype, array) in values.items():
        raw = array.tobytes()
        header[name.replace("__", ".")] = {"dtype": dtype, "shape": list(array.shape),
                                           "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


ONE, TWO = np.ones((4, 6), np.float32), np.ones((2, 4), np.float32)
NAN = np.full((4, 6), np.nan, np.float32)


@pytest.mark.parametrize("content, words, says", [
    (b"nothing", [], "short"),
    (tensors(a__weight=("F32", ONE))[:-4], [], "a.weight"),
    (tensors(a__weight=("F32", NAN)), [], "NaN"),
    (tensors(a__weight=("F64", ONE.astype("f8"))), [], "float32"),
    (tensors(a__weight=("F32", ONE), b__weight=("F32", np.ones((2, 5), "f4"))), [],
     "shape (2, 5), the network and its input need (2, 4)"),
    (tensors(a__weight=("F32", np.ones((4, 7), "f4"))), [], "(4, 7)"),
    (tensors(a__vector=("F32", np.ones(4, "f4"))), [], "no layer"),
    (tensors(conv1__weight=("F32", np.ones((2, 1, 5, 5), "f4"))), [], "--network"),
    (tensors(a__weight=("F32", ONE), b__running_mean=("F32", np.ones(3, "f4"))), [],
     "fits behind no layer"),
    (tensors(a__weight=("F32", ONE), b__running_mean=("F32", np.ones(4, "f4"))), [],
     "running_var is missing"),
    (tensors(a__weight=("F32", ONE), b__weight=("F32", TWO)), ["--network", "dense:4,dense:3,rep:2"],
     "(2, 4)"),
    (tensors(a__weight=("F32", ONE), b__weight=("F32", TWO)), ["--network", "rep:4"],
     "fewer layers"),
    (tensors(a__weight=("F32", ONE)), ["--center", GOLDEN / "lenet-scores.npy"],
     "40 values, the representation has 4"),
    (tensors(a__weight=("F32", ONE)), ["--scaler", "odd"], "scaler"),
])
def test_what_is_wrong_is_told(deepsad, tmp_path, content, words, says):
    (tmp_path / "x.safetensors").write_bytes(content)
    done = run(deepsad, "import", tmp_path / "x.safetensors", "--rows", GOLDEN / "mlp-rows.npy",
               "--out", tmp_path / "m", *words, check=False)
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("words, says", [
    ([], "--out"), (["--out", "m"], "--rows"),
    (["--out", "m", "--rows", "r.npy", "--mean", "x.npy"], "go together"),
    (["--out", "m", "--rows", "r.npy", "--mean", "x", "--std", "y", "--scaler", "none"],
     "either")])
def test_wrong_use_is_told(deepsad, words, says):
    done = run(deepsad, "import", "x.safetensors", *words, check=False)
    assert done.returncode == 2 and says in done.stderr
