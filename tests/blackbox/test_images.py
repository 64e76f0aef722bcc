# SPDX-License-Identifier: Apache-2.0
"""Images from outside: small convolutional networks, trained by the tool, served, retrained."""
import csv
import io
import json
import os
import threading
import time

import numpy as np
import pytest
from conftest import SLOW, run

SIDE, ROWS, ODD, LABELED = 12, 420, 60, 20
NETWORK = "conv3x3:4,pool,conv:6,pool,dense:16,rep:8"
SHAPES = {"gray": (SIDE, SIDE), "color": (3, SIDE, SIDE)}
NPY = {"Content-Type": "application/x-npy"}


def draw(rows, shape, seed, odd=0):
    """Soft rings; the last `odd` of them are diamonds. Pixels in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images = np.empty((rows, *shape), np.float32)
    for i in range(rows):
        dy, dx = np.abs(y - rng.uniform(4, 7)), np.abs(x - rng.uniform(4, 7))
        distance = dy + dx if i >= rows - odd else np.hypot(dy, dx)
        ring = np.exp(-(distance - 3.5) ** 2 / 1.5)
        images[i] = np.clip(ring + rng.normal(0, 0.05, shape), 0, 1)
    return images


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def numbers(array):
    """Nested lists of what floats are in the shortest decimal text."""
    return [numbers(part) for part in array] if array.ndim else float(str(array))


class Trained:
    """A model of images; rows ROWS - ODD and above are anomalies, LABELED of them labelled."""

    def __init__(self, deepsad, folder, kind):
        self.shape, self.folder = SHAPES[kind], folder
        self.x = draw(ROWS, self.shape, seed=1, odd=ODD)
        self.test = draw(60, self.shape, seed=2, odd=30)
        labels = np.zeros(ROWS, np.int8)
        labels[-LABELED:] = -1
        np.save(folder / "x.npy", self.x)
        np.save(folder / "labels.npy", labels)
        np.save(folder / "test.npy", self.test)
        np.save(folder / "truth.npy", np.repeat([1, -1], 30).astype(np.int8))
        self.train(deepsad, "models/m")

    def train(self, deepsad, out, *words):
        return run(deepsad, "train", self.folder / "x.npy", "--labels",
                   self.folder / "labels.npy", "--out", self.folder / out, "--set",
                   f"network={NETWORK}", "--set", "steps=80", *words)

    def evaluate(self, deepsad, model):
        return json.loads(run(deepsad, "evaluate", self.folder / model, self.folder / "test.npy",
                              "--labels", self.folder / "truth.npy", "--json").stdout)


@pytest.fixture(scope="module")
def trained(deepsad, tmp_path_factory):
    """trained("gray"), trained("color"): trained once."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = Trained(deepsad, tmp_path_factory.mktemp(kind), kind)
        return made[kind]
    return get


@pytest.fixture
def models(trained, tmp_path):
    """A directory with copies of the two models, gray and color."""
    for kind in SHAPES:
        run("cp", "-r", trained(kind).folder / "models/m", tmp_path / kind)
        (tmp_path / "models").mkdir(exist_ok=True)
        run("mv", tmp_path / kind, tmp_path / "models" / kind)
    return tmp_path / "models"


@pytest.fixture
def server(daemon, models):
    return daemon(models)


def score(server, kind, body, headers=None):
    answer = server.request("POST", f"/v1/models/{kind}/score", body, headers)
    assert answer.status == 200, answer.text
    return [result["score"] for result in answer.json["results"]]


def refused(server, kind, body, headers=None):
    answer = server.request("POST", f"/v1/models/{kind}/score", body, headers)
    assert answer.json["detail"], answer.text
    where = answer.json["errors"][0]["pointer"] if "errors" in answer.json else None
    return answer.status, where, answer.json["detail"]


# ---- Scoring -----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", SHAPES)
def test_an_image_scores_alike_in_whatever_form_it_comes(server, deepsad, trained, kind):
    one = trained(kind)
    x = one.test
    flat, full = x.reshape(len(x), -1), x.reshape(len(x), -1, SIDE, SIDE)
    want = score(server, kind, {"samples": numbers(flat)})
    assert len(set(want)) == len(x)
    text = "".join(",".join(str(v) for v in row) + "\n" for row in flat)
    forms = [({"samples": numbers(full)}, None), (text, {"Content-Type": "text/csv"}),
             (npy(flat), NPY), (npy(x), NPY), (npy(full), NPY), (npy(full.astype("f8")), NPY),
             ({"samples": [numbers(a if i % 2 else b) for i, (a, b) in
                           enumerate(zip(flat, full))]}, None)]
    if kind == "gray":
        forms.append(({"samples": numbers(x)}, None))
    for body, headers in forms:
        assert score(server, kind, body, headers) == want
    run(deepsad, "score", one.folder / "models/m", one.folder / "test.npy", "--output",
        one.folder / "scores.npy")
    np.testing.assert_allclose(want, np.load(one.folder / "scores.npy")[:, 0], rtol=1e-6)


def test_bytes_of_images_are_pixels(server, trained):
    pixels = np.round(trained("gray").test * 255).astype("u1")
    want = score(server, "gray", npy((pixels / 255).astype("f4")), NPY)
    for body in (npy(pixels), npy(pixels[:, None])):
        np.testing.assert_allclose(score(server, "gray", body, NPY), want, rtol=1e-5)
    flat = pixels.reshape(len(pixels), -1)
    assert score(server, "gray", npy(flat), NPY) == score(server, "gray", npy(flat * 1.0), NPY)


def test_missing_pixels_are_null_or_nan(server, trained):
    x = trained("gray").test[:2].copy()
    x[1, 3, 5] = np.nan
    rows = numbers(np.nan_to_num(x))
    rows[1][3][5] = None
    assert score(server, "gray", npy(x), NPY) == score(server, "gray", {"samples": rows})


@pytest.mark.parametrize("kind", SHAPES)
def test_base_and_contributions_of_pixels_sum_to_the_score(server, trained, kind):
    x = trained(kind).test
    body = {"samples": numbers(x[::12].reshape(5, -1, SIDE, SIDE)), "explain": x[0].size}
    answer = server.request("POST", f"/v1/models/{kind}/score", body)
    assert answer.status == 200, answer.text
    for result in answer.json["results"]:
        parts = [part["contribution"] for part in result["explanation"]]
        assert len(parts) == x[0].size
        size = max(abs(result["score"]), abs(result["base"]), 0.1)
        assert result["base"] + sum(parts) == pytest.approx(result["score"], abs=0.01 * size)


def test_shapes_that_do_not_fit_are_refused_where_they_are(server, trained):
    x = numbers(trained("gray").test[0])
    short, mixed, deep = ([list(line) for line in x] for _ in range(3))
    short[7] = short[7][:-1]
    mixed[7] = 0.5
    deep[7][2] = [0.5]
    for sample, pointer, says in (
            (short, "#/samples/1/7", "11 values, the model's images are 12 x 12"),
            (x[:-1], "#/samples/1", "11 lines"),
            (mixed, "#/samples/1/7", "expected an array"),
            (deep, "#/samples/1/7/2", "found an array"),
            ([x, x], "#/samples/1", "more than 1 channels"),
            ([[{}]], "#/samples/1/0/0", "found an object"),
            ([v for line in x for v in line][:-1], "#/samples/1", "143 values")):
        assert refused(server, "gray", {"samples": [x, sample]})[:2] == (422, pointer)
        assert says in refused(server, "gray", {"samples": [x, sample]})[2]
    status, where, detail = refused(server, "color", {"samples": [x]})
    assert (status, where) == (422, "#/samples/0") and "3 x 12 x 12" in detail


def test_arrays_that_do_not_fit_are_refused(daemon, models, trained):
    server = daemon(models, limits__rows=50)
    x = trained("gray").test[:50]
    whole = npy(x)
    infinite = x.copy()
    infinite[4, 0, 3] = np.inf
    for body, status, says in (
            (npy(x[:, :-1]), 422, "(50, 11, 12)"), (npy(x[0]), 422, "(12, 12)"),
            (npy(x[:, None].repeat(3, 1)), 422, "as images of 12 x 12"),
            (npy(x.reshape(50, 2, 6, 12)), 422, "(50, 2, 6, 12)"), (npy(x[:0]), 422, "no rows"),
            (npy(infinite), 422, "row 4, column 3"), (npy(x.astype(">f4")), 400, "big-endian"),
            (npy(np.asfortranarray(x)), 400, "Fortran"), (whole[:-1], 400, "announces"),
            (whole + b"x", 400, "announces"), (b"", 400, "ends within its header"),
            (b"{}", 400, "ends within its header"), (b"[" * 100, 400, "not a .npy file"),
            (npy(trained("gray").test), 413, "limits.rows")):
        got = refused(server, "gray", body, NPY)
        assert got[0] == status and says in got[2], (says, got)
    got = refused(server, "gray", "x", {"Content-Type": "image/png"})
    assert got[0] == 415
    assert all(kind in got[2] for kind in ("application/json", "text/csv", "application/x-npy"))
    assert server.request("POST", "/v1/models/gray/labels", whole, NPY).status == 415


@pytest.mark.skipif(SLOW > 1, reason="sanitizers keep what is freed")
def test_memory_of_large_arrays_is_given_back(server):
    """Each of the requests takes 4 MB and, as floats, 17 MB."""
    body = npy(np.zeros((10000, *SHAPES["color"]), "u1"))
    before = server.rss()
    for _ in range(3):
        threads = [threading.Thread(target=score, args=(server, "color", body, NPY))
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert server.rss() - before < 25e6


# ---- The loop ----------------------------------------------------------------------------------
def wait_for_job(server, states, timeout=60):
    limit = time.monotonic() + timeout * SLOW
    while time.monotonic() < limit:
        jobs = server.request("GET", "/v1/models/gray/jobs").json["jobs"]
        if jobs and jobs[0]["state"] in states:
            return jobs[0]
        time.sleep(0.02)
    raise AssertionError(f"no job {states}: {jobs}")


def verdicts(x, odd, normal, nested):
    """Of rows that come along, as nested arrays or flat."""
    rows = [*((row, "anomalous") for row in x[-odd:]), *((row, "normal") for row in x[:normal])]
    return {"labels": [{"features": numbers(row if nested else row.ravel()), "verdict": verdict,
                        "analyst": "kim"} for row, verdict in rows]}


def test_verdicts_on_images_make_a_version_that_can_be_made_again(daemon, deepsad, models,
                                                                  trained):
    text = (models / "gray/model.yaml").read_text().replace("capture: requested", "capture: all")
    (models / "gray/model.yaml").write_text(text)
    server = daemon(models, learning__priority="normal", learning__threads=2)
    x = trained("gray").x
    before = score(server, "gray", npy(x), NPY)
    bad = verdicts(x, 1, 0, nested=True)
    bad["labels"][0]["features"][3].append(0.5)
    answer = server.request("POST", "/v1/models/gray/labels", bad)
    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == "#/labels/0/features/3"
    for body in (verdicts(x[:-LABELED], 4, 2, nested=True),
                 verdicts(x[10:-LABELED - 4], 4, 2, nested=False)):
        answer = server.request("POST", "/v1/models/gray/labels", body)
        assert answer.status == 201, answer.text
    job = wait_for_job(server, ("promoted", "rejected", "failed"))
    assert job["state"] == "promoted" and job["version"] == "2", job
    model = server.request("GET", "/v1/models/gray").json
    assert model["version"] == "2"
    assert score(server, "gray", npy(x), NPY) != before
    server.stop()
    answer = json.loads(run(deepsad, "reproduce", models / "gray/2", "--json").stdout)
    assert answer["result"] == "bit-identical"
    card = json.loads(run(deepsad, "inspect", models / "gray/2", "--json").stdout)
    assert card["input"]["image"] == {"channels": 1, "height": SIDE, "width": SIDE}
    assert card["components"][0]["network"] == NETWORK
    assert card["lineage"]["parent"] == "1" and card["lineage"]["labels"]["count"] == LABELED + 12


def idle_threads(pid):
    """How many of the process's threads run only when nothing else wants to."""
    count = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            count += os.sched_getscheduler(int(task)) == os.SCHED_IDLE
        except ProcessLookupError:
            pass
    return count


def test_a_retraining_of_images_is_quiet_and_can_be_cancelled(daemon, deepsad, models, trained):
    """The threads that share a network's work have the lowest priority, too, and the training
    ends within a batch."""
    one = trained("gray")
    run(deepsad, "train", one.folder / "x.npy", "--labels", one.folder / "labels.npy", "--out",
        models / "gray", "--set", f"network={NETWORK}", "--set", "steps=1500")
    server = daemon(models, learning__priority="idle", learning__threads=2)
    assert server.request("POST", "/v1/models/gray/retrain").status == 202
    limit = time.monotonic() + 60 * SLOW
    job, idle = wait_for_job(server, ("running",)), 0
    progress = {}
    while (idle < 2 or progress.get("steps") != 1500) and time.monotonic() < limit:
        job = server.request("GET", f"/v1/jobs/{job['job']}").json
        progress = job["progress"] or {}
        idle = max(idle, idle_threads(server.pid))
        assert job["state"] == "running", job
    assert idle >= 2 and progress["phase"] == "train" and progress["step"] < 1500, job
    start = time.monotonic()
    assert server.request("DELETE", f"/v1/jobs/{job['job']}").status == 202
    wait_for_job(server, ("cancelled",))
    assert time.monotonic() - start < 2 * SLOW
    assert server.request("GET", "/v1/models/gray").json["version"] == "2"


# ---- The tool ----------------------------------------------------------------------------------
def test_flat_rows_of_the_right_size_are_images_too(deepsad, trained, tmp_path):
    one = trained("gray")
    model = one.folder / "models/m"
    np.save(tmp_path / "flat.npy", one.test.reshape(60, -1))
    np.savetxt(tmp_path / "flat.csv", one.test.reshape(60, -1), fmt="%.9g", delimiter=",")
    want = run(deepsad, "score", model, one.folder / "test.npy").stdout
    for name in ("flat.npy", "flat.csv"):
        assert run(deepsad, "score", model, tmp_path / name).stdout == want
    np.save(tmp_path / "wrong.npy", one.test.reshape(60, 6, 24))
    for words in (("score", model), ("evaluate", model), ("encode", model, "--output", "o.npy")):
        done = run(deepsad, *words[:2], tmp_path / "wrong.npy", *words[2:], check=False)
        assert done.returncode == 1
        assert "wrong.npy: images of 1 x 6 x 24" in done.stderr and "1 x 12 x 12" in done.stderr


def test_codes_are_the_representations_of_rows(deepsad, trained, tmp_path):
    one = trained("color")
    words = ("encode", one.folder / "models/m", one.folder / "test.npy", "--output")
    run(deepsad, *words, tmp_path / "z.npy")
    answer = json.loads(run(deepsad, *words, tmp_path / "z.csv", "--json").stdout)
    assert answer == {"output": str(tmp_path / "z.csv"), "rows": 60, "width": 8}
    z = np.load(tmp_path / "z.npy")
    assert z.shape == (60, 8) and z.dtype == np.float32
    with open(tmp_path / "z.csv", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == [f"z{j}" for j in range(8)]
    assert np.array_equal(np.array(rows[1:], np.float32), z)
    assert len(np.unique(z.round(5), axis=0)) == 60


def test_what_cannot_be_encoded_says_why(deepsad, make_model, tmp_path):
    model = make_model(tmp_path, "cold", labeled=0)
    np.save(tmp_path / "x.npy", np.zeros((3, 5), "f4"))
    for words, code, says in (((), 2, "--output"), (("--output", "z.txt"), 2, "z.txt"),
                              (("--output", tmp_path / "z.npy"), 1, "no encoder")):
        done = run(deepsad, "encode", model, tmp_path / "x.npy", *words, check=False)
        assert done.returncode == code and says in done.stderr, done.stderr
    assert not (tmp_path / "z.npy").exists()


def test_the_card_shows_the_layers(deepsad, trained):
    text = run(deepsad, "inspect", trained("color").folder / "models/m").stdout
    assert NETWORK in text
    layers = text.split("layers of networks")[1].split("layers of")[0]
    for line in (r"input 3 x 12 x 12", "conv 3 x 3, batch norm, leaky ReLU 4 x 12 x 12 108",
                 "pool 2 x 2 4 x 6 x 6", "conv 5 x 5, batch norm, leaky ReLU 6 x 6 x 6 600",
                 "pool 2 x 2 6 x 3 x 3", "dense, batch norm, leaky ReLU 16 864",
                 "dense 8 128", "parameters 1,700"):
        assert line in " ".join(layers.split()), line


@pytest.mark.parametrize("method", ["autoencoder", "classifier"])
def test_the_methods_to_compare_with_train_and_evaluate(deepsad, trained, method):
    one = trained("gray")
    one.train(deepsad, method, "--set", f"method={method}", "--set", "autoencoder_steps=80")
    answer = one.evaluate(deepsad, method)
    assert answer["auc_roc"] > 0.6
    assert one.evaluate(deepsad, "models/m")["auc_roc"] > 0.9


def test_entropies_of_all_three_kinds_of_rows_are_shown(deepsad, trained, tmp_path):
    one = trained("gray")
    labels = np.repeat([1, 0, -1], 20).astype(np.int8)
    np.save(tmp_path / "labels.npy", labels)
    words = ("evaluate", one.folder / "models/m", one.folder / "test.npy", "--labels",
             tmp_path / "labels.npy")
    entropy = json.loads(run(deepsad, *words, "--json").stdout)["latent_entropy"]
    assert set(entropy) == {"normal", "unlabeled", "anomalous"}
    assert all(value is not None for value in entropy.values())
    assert "latent entropy, unlabeled" in run(deepsad, *words).stdout
    assert one.evaluate(deepsad, "models/m")["latent_entropy"]["unlabeled"] is None


@pytest.mark.parametrize("text, place, says", [
    ("base: default\nnetwork: [conv: 16, pol, rep: 8]\n", "2:", '"pol": no such step'),
    ("base: default\nnetwork: conv:16,pool\n", "2:", "the last step must be rep:N"),
    ("network: lenet\n", "1:", "no such network"),
    ("network: [conv4x4: 3, rep: 8]\n", "1:", "odd side"),
    ("network:\n  - conv: 4\n  - dense: 8\n  - pool\n  - rep: 4\n", "", "after a dense step"),
])
def test_a_network_that_is_none_is_an_error_with_its_place(deepsad, trained, tmp_path, text,
                                                           place, says):
    (tmp_path / "r.yaml").write_text(text)
    done = run(deepsad, "train", trained("gray").folder / "x.npy", "--out", tmp_path / "m",
               "--recipe", tmp_path / "r.yaml", check=False)
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert f"r.yaml:{place}" in done.stderr
    assert not (tmp_path / "m").exists()


def test_a_network_as_a_sequence_in_a_file_is_the_one_as_a_text(deepsad, trained, tmp_path):
    one = trained("gray")
    (tmp_path / "r.yaml").write_text("network: [conv3x3: 4, pool, 'conv:6', pool, dense: 16, "
                                     "rep: 8]\nsteps: 80\n")
    run(deepsad, "train", one.folder / "x.npy", "--labels", one.folder / "labels.npy", "--out",
        tmp_path / "m", "--recipe", tmp_path / "r.yaml")
    scores = [run(deepsad, "score", model, one.folder / "test.npy").stdout
              for model in (tmp_path / "m", one.folder / "models/m")]
    assert scores[0] == scores[1]


def test_channels_that_come_last_are_recognised(deepsad, trained, tmp_path):
    one = trained("color")
    np.save(tmp_path / "last.npy", one.test.transpose(0, 2, 3, 1))
    done = run(deepsad, "score", one.folder / "models/m", tmp_path / "last.npy", check=False)
    assert done.returncode == 1
    assert "channels come first: save array.transpose(0, 3, 1, 2)" in done.stderr
    done = run(deepsad, "train", tmp_path / "last.npy", "--out", tmp_path / "m", "--set",
               "autoencoder_steps=5")
    assert "read as 12 channels of 12 x 3: if the array is (n, height, width, ch" in done.stderr


def test_a_network_that_is_not_trained_is_told(deepsad, trained, tmp_path):
    words = ["train", trained("gray").folder / "x.npy", "--out", tmp_path / "m", "--set",
             "autoencoder_steps=5"]
    assert "the network was not trained" not in run(deepsad, *words).stderr
    done = run(deepsad, *words, "--set", f"network={NETWORK}")
    assert "no anomaly is labelled, so the network was not trained" in done.stderr


@pytest.mark.parametrize("factor", [255, 1 / 255])
def test_images_on_another_scale_are_told(deepsad, trained, tmp_path, factor):
    one = trained("gray")
    np.save(tmp_path / "x.npy", one.test * np.float32(factor))
    for command in "score", "encode":
        words = [command, one.folder / "models/m"]
        out = ["--output", tmp_path / "out.npy"]
        assert "another scale" not in run(deepsad, *words, one.folder / "test.npy", *out).stderr
        done = run(deepsad, *words, tmp_path / "x.npy", *out)
        assert "x.npy: most images are on another scale" in done.stderr


def test_a_single_image_without_its_axis_is_told(deepsad, trained, tmp_path):
    one = trained("gray")
    np.save(tmp_path / "x.npy", one.test[0])
    done = run(deepsad, "score", one.folder / "models/m", tmp_path / "x.npy", check=False)
    assert "trained on images of 1 x 12 x 12" in done.stderr and "array[None]" in done.stderr


def test_networks_that_do_not_fit_are_refused_before_training(deepsad, trained, tmp_path):
    one = trained("gray")
    np.save(tmp_path / "flat.npy", one.x.reshape(ROWS, -1))
    for data, setting, code, says in (
            (one.folder / "x.npy", "network=conv:16", 2, "rep:N"),
            (one.folder / "x.npy", "network=pool,pool,pool,pool,rep:4", 1, "step 4, pool"),
            (one.folder / "x.npy", "network=mnist-lenet", 1, "28 x 28"),
            (tmp_path / "flat.npy", "network=conv:4,rep:4", 1, "conv")):
        done = run(deepsad, "train", data, "--out", tmp_path / "m", "--set", setting, check=False)
        assert done.returncode == code and says in done.stderr, (setting, done.stderr)
    assert not (tmp_path / "m").exists()


def test_training_that_the_memory_cannot_hold_is_refused_at_once(deepsad, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(1).random((60, 256, 256), np.float32))
    network = "conv3x3:255," * 23 + "rep:4"  # about 360 GiB
    done = run(deepsad, "train", tmp_path / "x.npy", "--out", tmp_path / "m", "--set",
               f"network={network}", "--set", "cold_start=networks", check=False)
    assert done.returncode == 1 and "GiB" in done.stderr and "pool earlier" in done.stderr
    assert not (tmp_path / "m").exists()
