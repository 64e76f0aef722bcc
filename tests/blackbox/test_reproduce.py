# SPDX-License-Identifier: Apache-2.0
"""deepsad reproduce: a version made again from its own file, or from its data."""
import json
import shutil

import numpy as np
import pytest
import tensors
from conftest import gaussian_rows, run, write_csv


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """600 rows of all classes mixed, with missing values."""
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    x = gaussian_rows(600, 4, 3, anomalies=60)
    x[::17, 1] = np.nan
    labels = np.array(["normal"] * 540 + ["anomalous"] * 60, dtype=object)
    order = np.random.default_rng(1).permutation(600)
    labels[order[:500]] = ""
    write_csv(path, x[order], labels[order])
    return path


@pytest.fixture(scope="module")
def model(deepsad, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "blobs"
    run(deepsad, "train", data, "--out", out, "--seed", 5)
    return out


def reproduce(deepsad, *words, **options):
    return json.loads(run(deepsad, "reproduce", *words, "--json", **options).stdout)


@pytest.mark.parametrize("settings", [
    [], ["--threads", "1"], ["--recipe", "reference", "--set", "epochs=3", "--set",
                             "pretrain_epochs=3"],
    ["--set", "autoencoder=on", "--set", "autoencoder_steps=20", "--set", "steps=20"],
])
def test_a_version_is_made_again_bit_for_bit(deepsad, data, tmp_path, settings):
    run(deepsad, "train", data, "--out", tmp_path / "m", *settings)
    for threads in (1, 2):
        answer = reproduce(deepsad, tmp_path / "m" / "1", "--threads", threads)
        assert answer["result"] == "bit-identical" and answer["different"] == 0
        assert answer["tensors"] > 5 and len(answer["sha256"]) == 64


def test_the_table_says_what_was_proven(deepsad, model):
    done = run(deepsad, "reproduce", model / "1")
    answer = reproduce(deepsad, model)  # its live version
    assert "bit-identical" in done.stdout and answer["sha256"] in done.stdout
    assert "warning" not in done.stderr and answer["first_difference"] is None


def test_another_seed_is_another_model(deepsad, model, tmp_path):
    """A card that names another seed than the tensors came of: exit 1, and which differs."""
    shutil.copytree(model, tmp_path / "m")
    file = tmp_path / "m/1/model.safetensors"
    tensors.change_manifest(file, lambda card: card["lineage"].update(seed=6))
    done = run(deepsad, "reproduce", tmp_path / "m/1", check=False)
    assert done.returncode == 1 and "networks.0.encoder.0.weight" in done.stderr
    done = run(deepsad, "reproduce", tmp_path / "m/1", "--json", check=False)
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and answer["result"] == "different"
    assert answer["different"] > 5 and answer["largest_difference"] > 0.01


@pytest.mark.parametrize("change, result", [(1e-6, "within tolerance"), (1e-3, "different")])
def test_on_another_processor_a_tolerance_holds(deepsad, model, tmp_path, change, result):
    shutil.copytree(model, tmp_path / "m")
    file = tmp_path / "m/1/model.safetensors"

    def nudge(values):
        values[0] += change * np.abs(values).max()
    tensors.change_manifest(file, lambda card: card["lineage"].update(blas="another"),
                            {"networks.0.center": nudge})
    done = run(deepsad, "reproduce", tmp_path / "m/1", check=False)
    assert "another" in done.stderr and "tolerance of 1e-05" in done.stderr
    answer = json.loads(run(deepsad, "reproduce", tmp_path / "m/1", "--json",
                            check=False).stdout)
    assert answer["result"] == result and done.returncode == (result == "different")
    assert answer["first_difference"] == "networks.0.center"


def test_a_version_without_its_rows_wants_the_data(deepsad, data, tmp_path):
    run(deepsad, "train", data, "--out", tmp_path / "m", "--set", "reservoir=0")
    run(deepsad, "train", data, "--out", tmp_path / "m", "--set", "reservoir=100")
    for version, part in ((1, "holds none of"), (2, "holds only a part of")):
        place = tmp_path / "m" / str(version)
        done = run(deepsad, "reproduce", place, check=False)
        assert done.returncode == 1 and part in done.stderr and "--data FILE" in done.stderr
        assert reproduce(deepsad, place, "--data", data)["result"] == "bit-identical"


def test_labels_that_were_hidden_are_hidden_again(deepsad, tmp_path):
    truth = tmp_path / "truth.csv"
    write_csv(truth, gaussian_rows(400, 3, 3, anomalies=40),
              ["normal"] * 360 + ["anomalous"] * 40)
    words = ["--labeled-anomalies", 12, "--pollution", "natural"]
    run(deepsad, "train", truth, "--out", tmp_path / "m", "--seed", 4, *words)
    answer = reproduce(deepsad, tmp_path / "m", "--data", truth, *words)
    assert answer["result"] == "bit-identical"
    done = run(deepsad, "reproduce", tmp_path / "m", "--data", truth, check=False)
    assert done.returncode == 1 and "truth.csv: not the data" in done.stderr


def test_other_data_is_refused_before_training(deepsad, model, tmp_path):
    write_csv(tmp_path / "other.csv", gaussian_rows(50, 4, 9), [""] * 50)
    done = run(deepsad, "reproduce", model, "--data", tmp_path / "other.csv", check=False)
    assert done.returncode == 1 and "SHA-256" in done.stderr and done.stdout == ""


def test_a_file_alone_is_enough(deepsad, model, tmp_path):
    shutil.copy(model / "1/model.safetensors", tmp_path / "alone.safetensors")
    assert reproduce(deepsad, tmp_path / "alone.safetensors")["result"] == "bit-identical"


def test_a_recalibrated_version_needs_the_one_before_it(deepsad, model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    shutil.copytree(model / "1", tmp_path / "m/2")
    file = tmp_path / "m/2/model.safetensors"
    tensors.change_manifest(file, lambda card: card.update(recalibrated_from="1"))
    answer = reproduce(deepsad, tmp_path / "m/2", check=False)
    assert answer["recalibrated_from"] == "1"
    assert answer["first_difference"] == "calibration.scores"  # all before it are the same
    shutil.rmtree(tmp_path / "m/1")
    done = run(deepsad, "reproduce", tmp_path / "m/2", check=False)
    assert done.returncode == 1 and "1/model.safetensors" in done.stderr
    shutil.copy(file, tmp_path / "alone.safetensors")
    done = run(deepsad, "reproduce", tmp_path / "alone.safetensors", check=False)
    assert done.returncode == 1 and "MODELS/NAME/<n>" in done.stderr


def test_wrong_usage_is_said(deepsad, model, tmp_path):
    done = run(deepsad, "reproduce", model, "--labeled-anomalies", 3, check=False)
    assert done.returncode == 2 and "--data" in done.stderr
    done = run(deepsad, "reproduce", check=False)
    assert done.returncode == 2
    done = run(deepsad, "reproduce", tmp_path, check=False)
    assert done.returncode == 1 and "no version" in done.stderr


def test_rows_that_were_tampered_with_are_found(deepsad, model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    file = tmp_path / "m/1/model.safetensors"

    def shift(values):
        values[3] += 1
    tensors.change_manifest(file, lambda card: None, {"reservoir.x": shift})
    done = run(deepsad, "reproduce", tmp_path / "m/1", check=False)
    assert done.returncode == 1 and "reservoir.sha256" in done.stderr


def test_training_beside_a_held_version_says_so(deepsad, data, tmp_path):
    run(deepsad, "train", data, "--out", tmp_path / "m")
    (tmp_path / "m/live.yaml").write_text("version: 1\nnewest: 1\nhold: true\n")
    done = run(deepsad, "train", data, "--out", tmp_path / "m")
    assert "/2 written" in done.stdout
    assert "version 1 stays live: held by activate" in done.stdout
    summary = json.loads(run(deepsad, "train", data, "--out", tmp_path / "m",
                             "--json").stdout.splitlines()[-1])
    assert summary["version"] == "3" and summary["live"] == "1"
    assert summary["reservoir"]["complete"] is True
