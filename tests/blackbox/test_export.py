# SPDX-License-Identifier: Apache-2.0
"""deepsad export: models as ONNX graphs that score as deepsad does."""
import csv
import json

import numpy as np
import onnx
import onnx_numpy
import pytest
from conftest import gaussian_rows, run


def tool_scores(deepsad, model, data, tmp_path):
    run(deepsad, "score", model, data, "--output", tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    return (np.array([r["score"] for r in rows], np.float32),
            np.array([r["p_value"] for r in rows], np.float32))


def export(deepsad, model, tmp_path):
    path = tmp_path / "model.onnx"
    run(deepsad, "export", model, "--onnx", path)
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)
    return path


def compare(deepsad, model, rows, tmp_path):
    """The graph gives the tool's scores within 1e-5, and its p-values but for ties."""
    np.save(tmp_path / "rows.npy", rows)
    path = export(deepsad, model, tmp_path)
    score, p_value = tool_scores(deepsad, model, tmp_path / "rows.npy", tmp_path)
    got = onnx_numpy.run(path, rows.reshape(len(rows), -1))
    assert np.all(np.abs(got["score"] - score) <= 1e-5 * np.maximum(1, np.abs(score)))
    assert np.mean(np.abs(got["p_value"] - p_value) > 1e-6) < 0.02
    return path


def hard_rows(features):
    rows = gaussian_rows(60, features, 9, anomalies=10).astype(np.float32)
    rows[3] = np.nan
    rows[4, 0] = np.nan
    rows[5] = 1e30
    rows[6] = -1e30
    rows[7, 1] = 3e38
    rows[8] = 0
    return rows


@pytest.mark.parametrize("recipe, labeled, settings", [
    ("default", 20, ()), ("default", 0, ()), ("reference", 20, ()),
    ("default", 20, ("members=2", "insurance=off")), ("default", 20, ("autoencoder_weight=1",)),
    ("reference", 20, ("method=autoencoder",)), ("reference", 20, ("method=classifier",)),
    ("reference", 20, ("batch_norm=off",)), ("reference", 20, ("scaler=none",)),
    ("reference", 20, ("scaler=global",)),
])
def test_the_graph_scores_as_the_model(deepsad, make_model, tmp_path, recipe, labeled, settings):
    model = make_model(tmp_path / "models", "m", recipe=recipe, labeled=labeled,
                       settings=settings)
    compare(deepsad, model, hard_rows(5), tmp_path)
    compare(deepsad, model, hard_rows(5)[9:10], tmp_path)


@pytest.mark.parametrize("shape, network", [((13, 13), "conv3x3:3,pool,conv:4,pool,dense:8,rep:6"),
                                            ((2, 8, 9), "conv:3,pool,rep:5"),
                                            ((12, 12), "dense")])
@pytest.mark.parametrize("method", ["deepsad", "autoencoder"])
def test_images_are_reshaped_inside(deepsad, tmp_path, shape, network, method):
    images = np.random.default_rng(1).random((260, *shape)).astype(np.float32)
    labels = np.zeros(260, np.int8)
    labels[-20:] = -1
    images[-20:] *= 0.3
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", labels)
    run(deepsad, "train", tmp_path / "x.npy", "--labels", tmp_path / "y.npy", "--out",
        tmp_path / "m", "--recipe", "default" if method == "deepsad" else "reference", "--set",
        f"method={method}", "--set", "epochs=2", "--set", f"network={network}")
    fresh = np.random.default_rng(2).random((60, *shape)).astype(np.float32)
    path = compare(deepsad, tmp_path / "m", fresh, tmp_path)
    dimensions = onnx.load(str(path)).graph.input[0].type.tensor_type.shape.dim
    assert dimensions[1].dim_value == images[0].size and dimensions[0].dim_param == "rows"


def test_metadata_say_what_the_numbers_need(deepsad, make_model, tmp_path):
    path = export(deepsad, make_model(tmp_path / "models", "m", features=3), tmp_path)
    model = onnx.load(str(path))
    facts = {one.key: one.value for one in model.metadata_props}
    assert json.loads(facts["deepsad.features"]) == ["f0", "f1", "f2"]
    assert float(facts["deepsad.alpha"]) == 0.01 and float(facts["deepsad.threshold"]) > 0
    assert json.loads(facts["deepsad.card"])["components"]
    assert model.producer_name == "deepsad" and model.opset_import[0].version == 15


def test_safetensors_score_alike_and_hold_no_rows(deepsad, make_model, tmp_path):
    model = make_model(tmp_path / "models", "m")
    run(deepsad, "export", model, "--safetensors", tmp_path / "bare.safetensors")
    np.save(tmp_path / "rows.npy", hard_rows(5))
    want = tool_scores(deepsad, model, tmp_path / "rows.npy", tmp_path)
    got = tool_scores(deepsad, tmp_path / "bare.safetensors", tmp_path / "rows.npy", tmp_path)
    assert np.array_equal(want[0], got[0]) and np.array_equal(want[1], got[1])
    full = model / "model.safetensors"
    assert (tmp_path / "bare.safetensors").stat().st_size < full.stat().st_size
    assert b"reservoir.x" not in (tmp_path / "bare.safetensors").read_bytes()


@pytest.mark.parametrize("words, code, says", [
    ([], 2, "either --onnx"), (["--onnx", "a", "--safetensors", "b"], 2, "either --onnx"),
    (["--onnx", "/none/a.onnx"], 1, "/none/a.onnx")])
def test_wrong_use_is_told(deepsad, make_model, tmp_path, words, code, says):
    model = make_model(tmp_path / "models", "m")
    done = run(deepsad, "export", model, *words, check=False)
    assert done.returncode == code and says in done.stderr


def test_json_says_what_was_written(deepsad, make_model, tmp_path):
    model = make_model(tmp_path / "models", "m")
    done = run(deepsad, "export", model, "--onnx", tmp_path / "m.onnx", "--json")
    facts = json.loads(done.stdout)
    assert facts == {"output": str(tmp_path / "m.onnx"), "format": "onnx",
                     "bytes": (tmp_path / "m.onnx").stat().st_size}
