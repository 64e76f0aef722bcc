# SPDX-License-Identifier: Apache-2.0
"""The tool at the edges: odd data, odd paths, damaged models, full and closed outputs. What
it cannot use it refuses with a reason; what it takes gives finite scores and plain JSON."""
import concurrent.futures
import json
import os
import shutil
import struct
import subprocess

import numpy as np
import pytest
from conftest import ENVIRONMENT, gaussian_rows, refuse_constant, run, write_csv

ROWS, FEATURES, ANOMALIES = 200, 4, 20
LABELS = [""] * (ROWS - ANOMALIES) + ["anomalous"] * ANOMALIES
TRUTH = ["normal"] * (ROWS - ANOMALIES) + ["anomalous"] * ANOMALIES


def rows():
    return gaussian_rows(ROWS, FEATURES, 5, anomalies=ANOMALIES).astype(np.float64)


def parse(text):
    return json.loads(text, parse_constant=refuse_constant)


def fault(*command):
    """The one line said by a command that fails."""
    done = run(*command, check=False)
    assert done.returncode == 1, done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith("deepsad: ")
    return last


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "train.csv"
    write_csv(path, rows(), LABELS)
    return path


@pytest.fixture(scope="module")
def model(deepsad, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "m"
    run(deepsad, "train", data, "--out", out)
    return out


# ---- data ----

def with_column(values):
    x = rows()
    x[:, 1] = values
    return x


ODD = {
    "constant column": with_column(7),
    "column without values": with_column(np.nan),
    "timestamps": with_column(1.7e9 + 60 * np.arange(ROWS)),
    "huge beside tiny": rows() * [1e30, 1e-30, 1, 1e5],
    "subnormal": rows() * 1e-42,
    "two far outliers": with_column([3e38, -3e38] + [0] * (ROWS - 2)),
    "one feature": rows()[:, :1],
    "three rows": rows()[[0, 1, -1]],
}


@pytest.mark.parametrize("recipe", ["default", "reference"])
@pytest.mark.parametrize("name", ODD)
def test_odd_data_gives_finite_scores(deepsad, tmp_path, name, recipe):
    x = ODD[name]
    labels = LABELS if len(x) == ROWS else ["", "", "anomalous"]
    write_csv(tmp_path / "d.csv", x, labels)
    quick = ["--set", "epochs=2", "--set", "pretrain_epochs=2"] if recipe == "reference" else []
    done = run(deepsad, "train", tmp_path / "d.csv", "--out", tmp_path / "m", "--recipe", recipe,
               *quick, "--json")
    summary = [parse(line) for line in done.stdout.splitlines()][-1]
    assert summary["rows"] == len(x)
    parse(run(deepsad, "inspect", tmp_path / "m", "--json").stdout)
    run(deepsad, "score", tmp_path / "m", tmp_path / "d.csv", "--output", tmp_path / "s.npy")
    scores = np.load(tmp_path / "s.npy")
    assert scores.shape == (len(x), 2) and np.isfinite(scores).all()
    assert (scores[:, 1] > 0).all() and (scores[:, 1] <= 1).all()


def test_rows_that_are_all_equal_are_told(deepsad, tmp_path):
    write_csv(tmp_path / "d.csv", np.full((ROWS, FEATURES), 3.5), LABELS)
    done = run(deepsad, "train", tmp_path / "d.csv", "--out", tmp_path / "m")
    assert "all rows are equal" in done.stderr
    done = run(deepsad, "score", tmp_path / "m", tmp_path / "d.csv")
    assert len({line for line in done.stdout.splitlines()[1:]}) == 1


def test_rows_seen_most_often_do_not_score_without_bound(deepsad, tmp_path):
    x = rows()
    x[:ROWS // 2] = x[0]  # each member of the neighbours has one of these
    write_csv(tmp_path / "d.csv", x, [""] * ROWS)
    run(deepsad, "train", tmp_path / "d.csv", "--out", tmp_path / "m")
    run(deepsad, "score", tmp_path / "m", tmp_path / "d.csv", "--output", tmp_path / "s.npy")
    nudged = x * (1 + 1e-7)  # as much as another processor's rounding
    write_csv(tmp_path / "n.csv", nudged, [""] * ROWS)
    run(deepsad, "score", tmp_path / "m", tmp_path / "n.csv", "--output", tmp_path / "n.npy")
    scores, others = np.load(tmp_path / "s.npy")[:, 0], np.load(tmp_path / "n.npy")[:, 0]
    assert scores.argmin() < ROWS // 2
    assert np.abs(scores - others).max() < 0.01


def test_only_anomalies_teach_nothing(deepsad, tmp_path):
    write_csv(tmp_path / "d.csv", rows(), ["anomalous"] * ROWS)
    assert "add unlabeled or normal rows" in fault(deepsad, "train", tmp_path / "d.csv", "--out",
                                                   tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_values_missing_only_later_are_filled_in(deepsad, model, tmp_path):
    x = rows()
    x[::3, 1] = np.nan
    x[5] = np.nan
    write_csv(tmp_path / "d.csv", x, TRUTH)
    measures = parse(run(deepsad, "evaluate", model, tmp_path / "d.csv", "--json").stdout)
    assert measures["rows"] == ROWS and measures["auc_roc"] > 0.9


@pytest.mark.parametrize("labels, says", [
    (["normal"], "evaluation needs the truth"),
    (["anomalous"], "evaluation needs the truth"),
    ([""], "no row is labelled"),
])
def test_evaluation_wants_both_classes(deepsad, model, tmp_path, labels, says):
    write_csv(tmp_path / "d.csv", rows(), labels * ROWS)
    assert f"d.csv: {says}" in fault(deepsad, "evaluate", model, tmp_path / "d.csv")


def test_hiding_labels_wants_some(deepsad, tmp_path):
    write_csv(tmp_path / "d.csv", rows(), [""] * ROWS)
    for words in ["split", "--out", tmp_path / "s"], ["train", "--out", tmp_path / "m"]:
        said = fault(deepsad, words[0], tmp_path / "d.csv", *words[1:], "--labeled-anomalies", "2")
        assert "d.csv: no row is labelled" in said and "--label-column" in said


def test_an_alpha_out_of_reach_is_told(deepsad, model, data, tmp_path):
    write_csv(tmp_path / "d.csv", rows(), TRUTH)
    for words in ["evaluate", model, tmp_path / "d.csv"], ["score", model, data]:
        assert "no row can be called anomalous" in run(deepsad, *words, "--alpha",
                                                       "0.0001").stderr
        assert run(deepsad, *words, "--alpha", "0.1").stderr == ""


def test_columns_too_many_or_too_few_are_named(deepsad, model, tmp_path):
    x = rows()
    write_csv(tmp_path / "more.csv", np.c_[x, x[:, 0]], LABELS, ["f0", "f1", "f2", "f3", "age"])
    said = fault(deepsad, "score", model, tmp_path / "more.csv")
    assert '5 features' in said and '"age" is not one of the model\'s' in said
    run(deepsad, "score", model, tmp_path / "more.csv", "--ignore", "age")
    write_csv(tmp_path / "few.csv", x[:, [0, 1, 3]], LABELS, ["f0", "f1", "f3"])
    assert '"f2" is not there' in fault(deepsad, "evaluate", model, tmp_path / "few.csv")


@pytest.mark.parametrize("spelling", ["Normal", "1", "-1", "nan", "anomaly"])
def test_other_spellings_of_labels_need_a_map(deepsad, model, tmp_path, spelling):
    write_csv(tmp_path / "d.csv", rows()[:3], ["anomalous", spelling, ""])
    said = fault(deepsad, "evaluate", model, tmp_path / "d.csv")
    assert "d.csv:3:" in said and f"--label-map {spelling}=normal" in said
    run(deepsad, "evaluate", model, tmp_path / "d.csv", "--label-map", f"{spelling}=normal")


def test_names_do_not_command_the_terminal(deepsad, tmp_path):
    odd = "\x1b[31mred\x9b1m"
    write_csv(tmp_path / "d.csv", rows()[:, :2], LABELS, ["f0", odd])
    run(deepsad, "train", tmp_path / "d.csv", "--out", tmp_path / "m")
    assert parse(run(deepsad, "inspect", tmp_path / "m", "--json").stdout)["input"]["names"] == \
        ["f0", odd]
    write_csv(tmp_path / "e.csv", rows()[:, :2], LABELS)
    said = run(deepsad, "inspect", tmp_path / "m").stdout + \
        fault(deepsad, "score", tmp_path / "m", tmp_path / "e.csv")
    assert said.count("?[31mred??1m") == 2
    assert "\x1b" not in said and "\x9b" not in said


# ---- models ----

def header_of(model):
    """Header and tensors of the first version."""
    bytes_ = (model / "1" / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", bytes_[:8])[0]
    return json.loads(bytes_[8:8 + length]), bytes_[8 + length:]


def changed(header, tensor="scaler.scale", metadata=None, **fields):
    """The header with fields of a tensor or of the metadata changed."""
    header = json.loads(json.dumps(header))
    (header["__metadata__"] if metadata else header[tensor]).update(metadata or fields)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def damages(header, data):
    whole = changed(header) + data
    flipped = bytearray(whole)
    flipped[-100] ^= 1
    return [
        (b"", "0 bytes are too short"), (whole[:300], "reaches past the end"),
        (whole[:len(whole) // 2], "is the file cut off?"), (whole + b"x", "1 bytes behind"),
        (b"\xff" * 8 + whole[8:], "the limit is"), (bytes(flipped), "SHA-256 digest"),
        (struct.pack("<Q", 3) + b"{no", "header, line 1"),
        (struct.pack("<Q", 2) + b"{}", "not a deepsad model"),
        (changed(header, metadata={"deepsad.format": "99"}) + data, "model format 99"),
        (changed(header, metadata={"deepsad.sha256": 3}) + data, "is not a string"),
        (changed(header, metadata={"deepsad.manifest": "{}"}) + data, "SHA-256 digest"),
        (changed(header, dtype="I32") + data, "dtype I32 is not supported"),
        (changed(header, shape=[1, 2]) + data, "its shape needs 2 floats"),
        (changed(header, shape=[-4]) + data, "not a list of integers"),
        (changed(header, shape=[1 << 40, 1 << 40]) + data, "shape overflows"),
        (changed(header, data_offsets=[8, 0]) + data, "reach outside"),
        (changed(header, data_offsets=header["scaler.offset"]["data_offsets"]) + data,
         "overlaps"),
    ]


def test_each_damage_of_a_model_has_its_message(deepsad, model, tmp_path):
    header, data = header_of(model)
    path = tmp_path / "model.safetensors"
    for bytes_, message in damages(header, data):
        path.write_bytes(bytes_)
        said = fault(deepsad, "inspect", path)
        assert said.startswith(f"deepsad: {path}: ") and message in said


def test_models_are_found_by_any_path(deepsad, model, tmp_path):
    for number in 9, 10:
        shutil.copytree(model / "1", tmp_path / "m" / str(number))
    (tmp_path / "m" / "latest").mkdir()
    (tmp_path / "m" / "11").mkdir()
    os.symlink("m", tmp_path / "link")
    os.symlink("m/9/model.safetensors", tmp_path / "file")
    for path in "m", "m/", "./m//", "link", "m/9", "m/9/", "m/10/model.safetensors", "file":
        run(deepsad, "inspect", path, cwd=tmp_path)
        run(deepsad, "inspect", tmp_path / path)
    (tmp_path / "m" / "9" / "model.safetensors").unlink()  # 10 is newer, by number
    run(deepsad, "inspect", tmp_path / "m")
    assert "No such file" in fault(deepsad, "inspect", tmp_path / "m" / "12")
    assert "no version of a model" in fault(deepsad, "inspect", tmp_path / "m" / "latest")


@pytest.mark.parametrize("name", ["Upper", "a b", "a.b", "_a", "..", "ü", "a" * 65, ""])
def test_bad_names_are_refused(deepsad, data, tmp_path, name):
    said = fault(deepsad, "train", data, "--out", f"{tmp_path}/{name}" if name else "")
    assert "is no model name; use 1 to 64 of a-z" in said
    assert os.listdir(tmp_path) == []


def test_no_model_is_written_into_a_version(deepsad, data, model):
    before = sorted(model.rglob("*"))
    assert "is a version of a model" in fault(deepsad, "train", data, "--out", model / "1")
    assert sorted(model.rglob("*")) == before


def test_trainings_at_the_same_time_get_versions_of_their_own(deepsad, data, tmp_path):
    def train(seed):
        done = run(deepsad, "train", data, "--out", tmp_path / "m", "--seed", seed, "--json")
        return parse(done.stdout.splitlines()[-1])["version"]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        versions = sorted(pool.map(train, range(4)))
    assert versions == ["1", "2", "3", "4"]
    assert sorted(os.listdir(tmp_path / "m")) == [*versions, "model.yaml"]


# ---- outputs ----

def test_the_umask_decides_who_may_read_a_model(deepsad, data, tmp_path):
    run(deepsad, "train", data, "--out", tmp_path / "m", umask=0o077)
    for path in [tmp_path / "m", *(tmp_path / "m").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0


def test_a_split_that_fails_leaves_no_half(deepsad, data, tmp_path):
    write_csv(tmp_path / "d.csv", rows(), TRUTH)
    (tmp_path / "s" / "test.csv").mkdir(parents=True)  # a file cannot replace it
    assert "test.csv: cannot write" in fault(deepsad, "split", tmp_path / "d.csv", "--out",
                                             tmp_path / "s")
    assert os.listdir(tmp_path / "s") == ["test.csv"]


@pytest.mark.parametrize("words", [["score"], ["score", "--json"], ["evaluate"], ["inspect"],
                                   ["inspect", "--json"]])
def test_output_that_goes_nowhere_is_noticed(deepsad, model, tmp_path, words):
    write_csv(tmp_path / "d.csv", rows(), TRUTH)
    operands = [model] if words[0] == "inspect" else [model, tmp_path / "d.csv"]
    command = [str(word) for word in (deepsad, words[0], *operands, *words[1:])]
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full", "wb") as full:
        for output in full, writer:
            done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True,
                                  env=ENVIRONMENT, check=False)
            assert done.returncode == 1 and "cannot write the output" in done.stderr
    os.close(writer)


def test_a_place_that_cannot_be_written_is_told_before_training(deepsad, data, tmp_path):
    (tmp_path / "file").write_text("")
    assert "choose another --out" in fault(deepsad, "train", data, "--out",
                                           tmp_path / "file" / "m")
