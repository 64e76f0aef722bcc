# SPDX-License-Identifier: Apache-2.0
"""Model files are plain safetensors: Python opens ours, and ours opens Python's."""
import csv

import numpy as np
import pytest
from conftest import gaussian_rows, run, write_csv

import tensors

MODELS = [("reference", ()), ("default", ("insurance=off",))]


def score(deepsad, model, data, out):
    run(deepsad, "score", model, data, "--output", out)
    with open(out, newline="", encoding="utf-8") as file:
        return np.array([float(row["score"]) for row in csv.DictReader(file)])


@pytest.fixture
def rows(tmp_path):
    x = gaussian_rows(50, 5, seed=3, anomalies=5)
    x[4, 2] = np.nan
    write_csv(tmp_path / "rows.csv", x, [""] * 50)
    return x, tmp_path / "rows.csv"


@pytest.mark.parametrize("recipe, settings", MODELS)
def test_numpy_recomputes_the_scores_of_a_model_file(deepsad, make_model, tmp_path, rows,
                                                     recipe, settings):
    x, data = rows
    version = make_model(tmp_path, "m", recipe=recipe, settings=settings)
    ours = score(deepsad, version, data, tmp_path / "scores.csv")
    theirs = tensors.scores(version / "model.safetensors", x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("recipe, settings", MODELS + [("default", ())])
def test_a_file_rewritten_by_python_scores_alike(deepsad, make_model, tmp_path, rows, recipe,
                                                 settings):
    version = make_model(tmp_path, "m", recipe=recipe, settings=settings)
    before = score(deepsad, version, rows[1], tmp_path / "before.csv")
    content, metadata = tensors.read(version / "model.safetensors")
    tensors.write(version / "model.safetensors", content, metadata)
    after = score(deepsad, version, rows[1], tmp_path / "after.csv")
    np.testing.assert_array_equal(before, after)


def test_a_changed_weight_is_found_by_the_digest(deepsad, make_model, tmp_path, rows):
    path = make_model(tmp_path, "m", recipe="reference") / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    done = run(deepsad, "score", path, rows[1], check=False)
    assert done.returncode == 1
    assert "digest" in done.stderr and str(path) in done.stderr


def test_two_tensors_that_changed_places_are_found_by_the_digest(deepsad, make_model, tmp_path,
                                                                  rows):
    path = make_model(tmp_path, "m", recipe="reference") / "model.safetensors"
    data = path.read_bytes()
    for one, other in ((b"scaler.offset", b"scaler.OTHER!"), (b"scaler.impute", b"scaler.offset"),
                       (b"scaler.OTHER!", b"scaler.impute")):
        assert data.count(b'"' + one + b'"') == 1
        data = data.replace(b'"' + one + b'"', b'"' + other + b'"')
    path.write_bytes(data)
    done = run(deepsad, "score", path, rows[1], check=False)
    assert done.returncode == 1
    assert "digest" in done.stderr and str(path) in done.stderr
