# SPDX-License-Identifier: Apache-2.0
"""The tool from outside: split, train, evaluate, score, inspect on data made here."""
import csv
import gzip
import io
import json
import os
import struct

import numpy as np
import pytest
from conftest import gaussian_rows, run, write_csv


def read_table(path):
    """Header, rows of features as floats, labels."""
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    return header, np.array([[float(v) for v in row[:-1]] for row in rows]), \
        [row[-1] for row in rows]


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def area_under_curve(scores, anomalous):
    """AUC-ROC, ties one half, by counting pairs."""
    high, low = scores[anomalous], scores[~anomalous]
    return ((high[:, None] > low).mean() + 0.5 * (high[:, None] == low).mean()).item()


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """600 rows, 60 anomalous, all labelled."""
    path = tmp_path_factory.mktemp("truth") / "truth.csv"
    write_csv(path, gaussian_rows(600, 4, 3, anomalies=60),
              ["normal"] * 540 + ["anomalous"] * 60)
    return path


@pytest.fixture(scope="module")
def parts(deepsad, truth, tmp_path_factory):
    """Directory with train.csv (10 anomalies labelled) and test.csv."""
    out = tmp_path_factory.mktemp("parts")
    run(deepsad, "split", truth, "--out", out, "--labeled-anomalies", 10)
    return out


@pytest.fixture(scope="module")
def model(deepsad, parts, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "blobs"
    run(deepsad, "train", parts / "train.csv", "--out", out)
    return out


# ---- split ----

def test_split_hides_most_labels_and_keeps_the_shares(deepsad, truth, tmp_path):
    done = run(deepsad, "split", truth, "--out", tmp_path / "a" / "b", "--labeled-anomalies",
               "0.05", "--labeled-normals", "0.1", "--pollution", "0.02", "--json")
    header, x, labels = read_table(tmp_path / "a" / "b" / "train.csv")
    assert header == ["f0", "f1", "f2", "f3", "label"]
    rows = len(labels)
    hidden = labels.count("")
    assert abs(labels.count("anomalous") / rows - 0.05) < 0.005
    assert abs(labels.count("normal") / rows - 0.1) < 0.005
    assert hidden + labels.count("anomalous") + labels.count("normal") == rows
    _, x_test, truth_test = read_table(tmp_path / "a" / "b" / "test.csv")
    assert truth_test.count("normal") == 216 and truth_test.count("anomalous") == 24
    assert not {tuple(r) for r in x} & {tuple(r) for r in x_test}
    summary = json.loads(done.stdout)
    assert summary["train"] == {"path": str(tmp_path / "a" / "b" / "train.csv"), "rows": rows,
                                "unlabeled": hidden, "normal": labels.count("normal"),
                                "anomalous": labels.count("anomalous")}
    assert summary["test"]["rows"] == 240 and summary["test"]["unlabeled"] == 0


def test_split_counts_labels_from_one_on_and_keeps_natural_pollution(deepsad, truth, tmp_path):
    run(deepsad, "split", truth, "--out", tmp_path, "--labeled-anomalies", "7", "--pollution",
        "natural")
    _, x, labels = read_table(tmp_path / "train.csv")
    assert labels.count("anomalous") == 7
    assert len(labels) == 324 + 36


def test_split_depends_on_the_seed_alone(deepsad, truth, tmp_path):
    for name, seed in ("a", 1), ("b", 1), ("c", 2):
        run(deepsad, "split", truth, "--out", tmp_path / name, "--seed", seed)
    read = {name: (tmp_path / name / "train.csv").read_bytes() for name in "abc"}
    assert read["a"] == read["b"] != read["c"]


def test_split_prints_a_table_for_people(deepsad, truth, tmp_path):
    lines = run(deepsad, "split", truth, "--out", tmp_path).stdout.splitlines()
    assert lines[0].split() == ["rows", "unlabeled", "normal", "anomalous"]
    assert [line.split()[0] for line in lines[1:]] == ["train.csv", "test.csv"]
    assert lines[2].split()[1:5] == ["240", "0", "216", "24"]


# ---- train ----

def test_train_writes_versions_and_a_policy(deepsad, parts, tmp_path):
    out = tmp_path / "models" / "blobs"
    done = run(deepsad, "train", parts / "train.csv", "--out", out)
    assert f"{out}/1 written" in done.stdout
    assert "10 anomalous" in done.stdout and "calibration" in done.stdout
    (out / "model.yaml").write_text("alpha: 0.05\n")
    done = run(deepsad, "train", parts / "train.csv", "--out", out)
    assert "at alpha 0.05" in done.stdout
    assert sorted(os.listdir(out)) == ["1", "2", "model.yaml"]
    assert os.listdir(out / "2") == ["model.safetensors"]
    assert (out / "model.yaml").read_text() == "alpha: 0.05\n"


def test_train_is_reproducible_for_any_number_of_threads(deepsad, parts, tmp_path):
    def tensors(name, *options):
        run(deepsad, "train", parts / "train.csv", "--out", tmp_path / name, *options)
        data = (tmp_path / name / "1" / "model.safetensors").read_bytes()
        return data[8 + struct.unpack("<Q", data[:8])[0]:]

    one = tensors("one", "--threads", 1)
    assert len(one) > 1000
    assert one == tensors("two", "--threads", 2)
    assert one != tensors("other", "--seed", 2)


def test_train_reports_json_lines_and_a_summary(deepsad, parts, tmp_path):
    out = tmp_path / "blobs"
    done = run(deepsad, "train", parts / "train.csv", "--out", out, "--recipe", "reference",
               "--set", "epochs=60", "--set", "pretrain_epochs=60", "--json")
    *events, summary = json_lines(done.stdout)
    assert done.stderr == ""
    assert len(events) > 1
    for event in events:
        assert event["event"] == "progress"
        assert set(event) == {"event", "phase", "member", "members", "step", "steps", "loss",
                              "fraction", "seconds_left"}
        assert 0 <= event["fraction"] <= 1
    fractions = [event["fraction"] for event in events]
    assert fractions == sorted(fractions)
    assert summary["event"] == "trained" and summary["version"] == "1"
    assert summary["path"] == f"{out}/1/model.safetensors" and os.path.exists(summary["path"])
    assert summary["rows"] == summary["unlabeled"] + summary["anomalous"]
    assert summary["components"][0]["kind"] == "networks"
    assert 0 < summary["calibration"]["alpha_min"] < 0.1
    assert any("no row can be called anomalous" in text for text in summary["warnings"])


def test_train_shows_lines_where_there_is_no_terminal(deepsad, parts, tmp_path):
    done = run(deepsad, "train", parts / "train.csv", "--out", tmp_path / "m", "--recipe",
               "reference")
    *lines, warning = done.stderr.splitlines()
    assert warning.startswith("deepsad: warning: no row can be called anomalous")
    assert 5 <= len(lines) <= 12
    assert all("%" in line for line in lines)
    assert "\r" not in done.stderr and "\x1b" not in done.stderr + done.stdout
    assert any("epoch" in line and "loss" in line for line in lines)


def test_train_selects_labels_where_they_are_the_truth(deepsad, truth, tmp_path):
    done = run(deepsad, "train", truth, "--out", tmp_path / "m", "--labeled-anomalies", 12,
               "--pollution", "natural", "--json")
    summary = json_lines(done.stdout)[-1]
    assert (summary["rows"], summary["anomalous"]) == (600, 12)
    assert (summary["unlabeled"], summary["normal"]) == (588, 0)


def test_train_takes_recipe_files_and_settings(deepsad, parts, tmp_path):
    recipe = tmp_path / "quick.yaml"
    recipe.write_text("base: reference\nepochs: 2\npretrain_epochs: 1\nhidden: [8, 4]\n")
    run(deepsad, "train", parts / "train.csv", "--out", tmp_path / "m", "--recipe", recipe,
        "--set", "hidden=6,3")
    card = json.loads(run(deepsad, "inspect", tmp_path / "m", "--json").stdout)
    assert card["recipe"]["epochs"] == "2" and card["recipe"]["hidden"] == "6,3"
    assert card["score"] == "raw"


@pytest.mark.parametrize("text, message", [
    ("epochs: 5\nepochz: 2\n", ':2:1: unknown key "epochz"; did you mean "epochs"?'),
    ("base: reference\nlearning_rate: fast\n", ":2:16: learning_rate: expected a number"),
    ("trim: 0.9\n", ":1:7: trim: expected a number from 0 to 0.5"),
])
def test_faults_of_recipe_files_are_named_with_their_place(deepsad, parts, tmp_path, text,
                                                           message):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(text)
    done = run(deepsad, "train", parts / "train.csv", "--out", tmp_path / "m", "--recipe",
               recipe, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"deepsad: {recipe}{message}")
    assert not (tmp_path / "m").exists()


def test_train_says_what_is_wrong_before_it_works(deepsad, parts, tmp_path):
    data = parts / "train.csv"

    def fault(*options, code=1):
        done = run(deepsad, "train", data, *options, check=False)
        assert done.returncode == code
        return done.stderr

    assert 'epochz' in fault("--out", tmp_path / "m", "--set", "epochz=1", code=2)
    assert "KEY=VALUE" in fault("--out", tmp_path / "m", "--set", "epochs", code=2)
    assert "is no model name" in fault("--out", tmp_path / "No Name")
    assert "cannot" in fault("--out", "/proc/models/m")
    assert "nosuch" in fault("--out", tmp_path / "m", "--recipe", "nosuch")
    assert os.listdir(tmp_path) == []


# ---- images and arrays ----

def write_idx(path, array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    with gzip.open(path, "wb") as file:
        file.write(header + array.astype(np.uint8).tobytes())


def test_train_reads_idx_images_with_classes(deepsad, tmp_path):
    rng = np.random.default_rng(5)
    classes = np.arange(300) % 3
    images = np.clip(rng.normal(size=(300, 8, 8)) * 20 + 60 + 50 * classes[:, None, None], 0, 255)
    write_idx(tmp_path / "t-images-idx3-ubyte.gz", images)
    write_idx(tmp_path / "t-labels-idx1-ubyte.gz", classes)
    options = ["--labels", tmp_path / "t-labels-idx1-ubyte.gz", "--normal-class", "0"]
    run(deepsad, "train", tmp_path / "t-images-idx3-ubyte.gz", "--out", tmp_path / "m", *options,
        "--anomaly-class", "2", "--labeled-anomalies", "0.1", "--set", "steps=40", "--set",
        "autoencoder_steps=40", "--set", "members=1")
    done = run(deepsad, "evaluate", tmp_path / "m", tmp_path / "t-images-idx3-ubyte.gz",
               *options, "--json")
    measures = json.loads(done.stdout)
    assert (measures["rows"], measures["anomalies"]) == (300, 200)
    assert measures["auc_roc"] > 0.9


def test_train_reads_npy_with_labels(deepsad, tmp_path):
    x = gaussian_rows(300, 3, 4, anomalies=30)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.repeat([0, -1], [270, 30]).astype(np.int8))
    np.save(tmp_path / "t.npy", np.repeat([1, -1], [270, 30]).astype(np.int8))
    run(deepsad, "train", tmp_path / "x.npy", "--labels", tmp_path / "y.npy", "--out",
        tmp_path / "m")
    done = run(deepsad, "evaluate", tmp_path / "m", tmp_path / "x.npy", "--labels",
               tmp_path / "t.npy", "--json")
    assert json.loads(done.stdout)["auc_roc"] > 0.95


# ---- evaluate, score ----

def test_evaluate_has_the_promised_keys_and_agrees_with_the_scores(deepsad, model, parts):
    measures = json.loads(run(deepsad, "evaluate", model, parts / "test.csv", "--json",
                              "--alpha", "0.05").stdout)
    assert set(measures) == {"auc_roc", "auc_pr", "alpha", "recall_at_alpha",
                             "false_alarm_rate", "rows", "anomalies", "latent_entropy"}
    assert set(measures["latent_entropy"]) == {"normal", "unlabeled", "anomalous"}
    assert (measures["rows"], measures["anomalies"]) == (240, 24)
    done = run(deepsad, "score", model, parts / "test.csv", "--alpha", "0.05")
    table = list(csv.DictReader(io.StringIO(done.stdout)))
    scores = np.array([float(row["score"]) for row in table])
    called = np.array([row["anomalous"] == "1" for row in table])
    anomalous = np.array(read_table(parts / "test.csv")[2]) == "anomalous"
    assert measures["auc_roc"] == pytest.approx(area_under_curve(scores, anomalous), abs=1e-9)
    assert measures["auc_roc"] > 0.95
    assert measures["recall_at_alpha"] == pytest.approx(called[anomalous].mean())
    assert measures["false_alarm_rate"] == pytest.approx(called[~anomalous].mean())


def test_evaluate_prints_a_table_for_people(deepsad, model, parts):
    text = run(deepsad, "evaluate", model, parts / "test.csv").stdout
    for word in "AUC-ROC", "AUC-PR", "recall", "false alarms", "latent entropy, normal":
        assert word in text
    assert "240 labelled rows, 24 of them anomalous" in text


def test_evaluate_needs_both_classes(deepsad, model, tmp_path):
    write_csv(tmp_path / "n.csv", gaussian_rows(20, 4, 1), ["normal"] * 20)
    done = run(deepsad, "evaluate", model, tmp_path / "n.csv", check=False)
    assert done.returncode == 1 and str(tmp_path / "n.csv") in done.stderr


def test_scores_are_the_same_in_every_form(deepsad, model, parts, tmp_path):
    data = parts / "test.csv"
    text = run(deepsad, "score", model, data).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["score", "p_value", "anomalous"] and len(rows) == 240
    events = json_lines(run(deepsad, "score", model, data, "--json").stdout)
    done = run(deepsad, "score", model, data, "--output", tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text() == text and "240 rows" in done.stdout
    done = run(deepsad, "score", model, data, "--output", tmp_path / "s.npy", "--json")
    array = np.load(tmp_path / "s.npy")
    assert array.shape == (240, 2) and array.dtype == np.float32
    np.testing.assert_array_equal(array[:, 0], [np.float32(row["score"]) for row in rows])
    np.testing.assert_array_equal(array[:, 1], [np.float32(e["p_value"]) for e in events])
    assert [e["anomalous"] for e in events] == [row["anomalous"] == "1" for row in rows]
    assert all(0 < e["p_value"] <= 1 for e in events)
    summary = json.loads(done.stdout)
    assert summary["rows"] == 240 and summary["alpha"] == 0.01
    assert summary["anomalous"] == sum(e["anomalous"] for e in events)


def test_score_takes_versions_and_files_as_models(deepsad, model, parts):
    data = parts / "test.csv"
    first = run(deepsad, "score", model, data).stdout
    assert run(deepsad, "score", model / "1", data).stdout == first
    assert run(deepsad, "score", model / "1" / "model.safetensors", data).stdout == first


def test_score_takes_missing_values(deepsad, model, tmp_path):
    x = gaussian_rows(5, 4, 9)
    x[1, 2] = x[3, 0] = np.nan
    write_csv(tmp_path / "gaps.csv", x, [""] * 5)
    rows = json_lines(run(deepsad, "score", model, tmp_path / "gaps.csv", "--json").stdout)
    assert len(rows) == 5 and all(np.isfinite(row["score"]) for row in rows)


def test_score_refuses_data_of_another_shape(deepsad, model, tmp_path):
    write_csv(tmp_path / "d.csv", gaussian_rows(5, 3, 1), [""] * 5)
    done = run(deepsad, "score", model, tmp_path / "d.csv", check=False)
    assert done.returncode == 1 and f"deepsad: {tmp_path}/d.csv: " in done.stderr
    assert done.stdout == ""
    write_csv(tmp_path / "e.csv", gaussian_rows(5, 4, 1), [""] * 5, ["f0", "f1", "f3", "f2"])
    done = run(deepsad, "score", model, tmp_path / "e.csv", check=False)
    assert done.returncode == 1 and "f3" in done.stderr


def test_faults_of_data_name_line_and_column(deepsad, model, tmp_path):
    (tmp_path / "bad.csv").write_text("f0,f1,f2,f3\n1,2,3,4\n1,2,x,4\n")
    done = run(deepsad, "score", model, tmp_path / "bad.csv", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"deepsad: {tmp_path}/bad.csv:3:")


# ---- inspect ----

def test_inspect_shows_the_card(deepsad, model):
    card = json.loads(run(deepsad, "inspect", model, "--json").stdout)
    assert card["input"]["features"] == 4 and card["input"]["names"] == ["f0", "f1", "f2", "f3"]
    assert {"components", "recipe", "lineage", "calibration", "measures"} <= set(card)
    assert card["lineage"]["data"]["anomalous"] == 10
    text = run(deepsad, "inspect", model).stdout
    for word in "features", "f0, f1, f2, f3", "calibration", "alpha min", "seed", "networks":
        assert word in text


def test_a_damaged_model_is_refused(deepsad, model, parts, tmp_path):
    data = bytearray((model / "1" / "model.safetensors").read_bytes())
    data[-3] ^= 1
    (tmp_path / "model.safetensors").write_bytes(data)
    done = run(deepsad, "inspect", tmp_path / "model.safetensors", check=False)
    assert done.returncode == 1 and str(tmp_path / "model.safetensors") in done.stderr
    done = run(deepsad, "score", tmp_path / "none", parts / "test.csv", check=False)
    assert done.returncode == 1 and str(tmp_path / "none") in done.stderr
