# SPDX-License-Identifier: Apache-2.0
"""The loop from outside: verdicts change the model for the better only, and can be undone.
A cold-started model, its own training rows kept as traffic, an analyst who knows the truth."""
import json
import signal
import time

import numpy as np
import pytest

from conftest import SLOW, gaussian_rows, run, write_csv

ROWS, ODD, FEATURES = 900, 90, 4
STEPS = 1500 if SLOW == 1 else 200  # of a training that can be caught while it runs
POLICY = """alpha: 0.05
retraining:
  mode: {mode}
  min_labels: {min_labels}
  deadline: {deadline}
  versions: {versions}
gate:
  implausible: {implausible}
"""


class Loop:
    """One daemon, one model; row i is sample r<i>, and the last ODD rows are anomalies."""

    def __init__(self, daemon, models, x):
        self.models, self.x = models, x
        self.server = daemon(models, learning__priority="normal", learning__threads=2)

    def get(self, path):
        answer = self.server.request("GET", "/v1/models/m" + path)
        assert answer.status == 200, answer.text
        return answer.json

    def keep(self, rows=None, prefix="r"):
        rows = self.x if rows is None else rows
        ids = [f"{prefix}{i}" for i in range(len(rows))]
        body = {"samples": rows.tolist(), "ids": ids, "keep": True}
        answer = self.server.request("POST", "/v1/models/m/score", body)
        assert answer.status == 200 and answer.json["kept"], answer.text
        assert self.server.request("GET", f"/v1/models/m/samples/{ids[-1]}").status == 200

    def judge(self, verdicts, analyst="kim"):
        """verdicts: row -> "normal" or "anomalous"; the label ids."""
        labels = [{"sample_id": f"r{i}", "verdict": v, "analyst": analyst}
                  for i, v in verdicts.items()]
        answer = self.server.request("POST", "/v1/models/m/labels", {"labels": labels})
        assert answer.status == 201, answer.text
        return [label["label_id"] for label in answer.json["labels"]]

    def truth(self, odd, normal):
        """Verdicts that are true, on that many rows of each kind not yet judged."""
        taken = {label["sample_id"] for label in self.get("/labels?limit=1000")["labels"]}
        free = [i for i in range(ROWS) if f"r{i}" not in taken]
        anomalies = [i for i in free if i >= ROWS - ODD][:odd]
        return {**{i: "anomalous" for i in anomalies}, **{i: "normal" for i in free[:normal]}}

    def jobs(self):
        return self.get("/jobs")["jobs"]

    def wait(self, count, timeout=30):
        """The newest job, once `count` jobs have ended."""
        limit = time.monotonic() + timeout * SLOW
        while time.monotonic() < limit:
            jobs = self.jobs()
            if len([job for job in jobs if job["state"] not in ("queued", "running")]) >= count:
                return jobs[0]
            time.sleep(0.02)
        raise AssertionError(f"no {count} jobs: {self.jobs()}")

    def retrain(self):
        """By hand, to its end."""
        before = len(self.jobs())
        answer = self.server.request("POST", "/v1/models/m/retrain")
        assert answer.status == 202, answer.text
        return self.wait(before + 1)

    def version(self):
        return self.get("")["version"]

    def card(self, version):
        return self.get(f"/versions/{version}")["card"]


@pytest.fixture(scope="module")
def trained(deepsad, tmp_path_factory):
    """A cold-started model of the rows, trained once."""
    folder = tmp_path_factory.mktemp("cold")
    x = gaussian_rows(ROWS, FEATURES, seed=5, anomalies=ODD)
    write_csv(folder / "train.csv", x, [""] * ROWS)
    run(deepsad, "train", folder / "train.csv", "--out", folder / "m")
    return folder / "m", x


@pytest.fixture
def loop(daemon, trained, tmp_path):
    """loop(mode="auto", min_labels=10, ...): a daemon with a fresh copy of the model."""
    def start(mode="auto", min_labels=10, deadline="10m", implausible=3, versions=100,
              keep=True):
        models = tmp_path / "models"
        run("cp", "-r", trained[0].parent, models)
        run("rm", models / "train.csv")
        (models / "m" / "model.yaml").write_text(POLICY.format(
            mode=mode, min_labels=min_labels, deadline=deadline, implausible=implausible,
            versions=versions))
        one = Loop(daemon, models, trained[1])
        if keep:
            one.keep()
        return one
    return start


def test_ten_verdicts_make_a_version_that_tells_where_it_comes_from(loop):
    one = loop()
    ids = one.judge(one.truth(6, 4))
    job = one.wait(1)
    assert job["state"] == "promoted" and job["trigger"] == "labels", job
    assert job["labels"]["new"] == 10 and job["labels"]["old"] == 0
    assert one.version() == job["version"] == "2"
    card = one.card("2")
    lineage = card["lineage"]
    assert lineage["parent"] == "1" and lineage["scaler_kept"] is True
    assert lineage["labels"]["count"] == 10 and lineage["data"]["anomalous"] == 6
    assert {c["kind"] for c in card["components"]} == {"networks", "neighbours"}
    assert card["gate"]["decision"] == "promoted" and card["gate"]["job"] == job["job"]
    assert len(set(ids)) == 10


def test_the_new_version_finds_what_verdicts_taught(loop):
    one = loop()
    path = "/v1/models/m/score"
    far = {"samples": one.x[-ODD:].tolist()}

    def alarms():
        results = one.server.request("POST", path, far).json["results"]
        return sum(r["anomalous"] for r in results)

    before = alarms()
    one.judge(one.truth(20, 20))
    one.wait(1)
    assert alarms() > before


def test_ordinary_rows_called_anomalous_wait_for_a_second_analyst(loop):
    one = loop()
    scores = one.server.request("POST", "/v1/models/m/score", {"samples": one.x.tolist()}).json
    ordinary = [i for i, r in enumerate(scores["results"]) if r["p_value"] > 0.5][:10]
    one.judge({i: "anomalous" for i in ordinary}, analyst="mallory")
    job = one.wait(1)
    assert job["quarantined"] == job["labels"]["held"] == 10 and job["labels"]["new"] == 0, job
    assert "second verdict" in job["reason"]
    labels = one.get("/labels?limit=20")["labels"]
    assert all("implausible" in label["quarantine"] for label in labels)
    rows = one.get("/review?strategy=second&analyst=kim&limit=20")["samples"]
    assert {row["sample_id"] for row in rows} == {f"r{i}" for i in ordinary}
    assert all("mallory" in row["why"] for row in rows)
    assert one.get("/review?strategy=second&analyst=mallory")["samples"] == []
    one.judge({i: "anomalous" for i in ordinary}, analyst="kim")
    job = one.wait(2)
    assert job["labels"]["new"] == 10 and job["labels"]["held"] == 0, job


def test_a_disputed_sample_teaches_nothing_and_comes_back_for_review(loop):
    one = loop()
    one.judge({ROWS - 1: "anomalous"}, analyst="kim")
    one.judge({ROWS - 1: "normal"}, analyst="lee")
    one.judge(one.truth(5, 4))
    job = one.wait(1)
    assert job["labels"]["new"] == 9, job
    rows = one.get("/review?strategy=second&limit=5")["samples"]
    assert [row["sample_id"] for row in rows] == [f"r{ROWS - 1}"]
    assert rows[0]["reason"] == "conflict"


def test_rolling_back_holds_promotion_until_released(loop):
    one = loop()
    one.judge(one.truth(6, 4))
    assert one.wait(1)["version"] == "2"
    answer = one.server.request("POST", "/v1/models/m/versions/1/activate")
    assert answer.status == 200, answer.text
    assert one.version() == "1" and one.get("")["hold"] is True
    one.judge(one.truth(6, 4))
    job = one.wait(2)
    assert job["state"] == "waiting" and "held" in job["reason"], job
    assert one.version() == "1" and job["version"] == "3"
    assert one.server.request("POST", "/v1/models/m/release").status == 200
    one.judge(one.truth(6, 4))
    job = one.wait(3)
    assert job["state"] == "promoted" and one.version() == job["version"] == "4"


def test_a_rollback_survives_a_restart(loop, daemon):
    one = loop()
    one.judge(one.truth(6, 4))
    one.wait(1)
    one.server.request("POST", "/v1/models/m/versions/1/activate")
    one.server.signal(signal.SIGHUP)
    one.server.wait_for("reloaded")
    assert one.version() == "1"
    again = daemon(one.models)
    assert again.request("GET", "/v1/models/m").json["version"] == "1"


def test_in_manual_mode_somebody_activates(loop):
    one = loop(mode="manual")
    one.judge(one.truth(6, 4))
    job = one.wait(1)
    assert job["state"] == "waiting" and "manual" in job["reason"], job
    assert one.version() == "1"
    states = {v["version"]: v for v in one.get("/versions")["versions"]}
    assert states["2"]["challenger"] is True
    answer = one.server.request("POST", "/v1/models/m/versions/2/activate")
    assert answer.status == 200 and one.version() == "2"
    assert one.get("")["hold"] is False


def test_a_model_that_is_never_retrained_says_so(loop):
    one = loop(mode="never")
    one.judge(one.truth(6, 4))
    answer = one.server.request("POST", "/v1/models/m/retrain")
    assert answer.status == 422 and "never" in answer.json["detail"], answer.text
    status = one.get("")["retraining"]
    assert status["can_retrain"] is False and "never" in status["obstacle"]
    assert one.jobs() == []


def test_what_an_analyst_taught_is_taken_out_as_if_it_had_never_been(loop, deepsad):
    one = loop(implausible=0)
    one.judge(one.truth(6, 4), analyst="kim")
    one.wait(1)
    honest = one.card("2")["lineage"]["labels"]["sha256"]
    one.judge(one.truth(0, 10), analyst="mallory")
    one.wait(2)
    answer = one.server.request("DELETE", "/v1/models/m/labels?analyst=mallory")
    assert answer.status == 200 and answer.json["withdrawn"] == 10, answer.text
    job = one.wait(3)
    assert job["state"] == "promoted" and job["labels"]["removed"] == 10, job
    assert one.card(one.version())["lineage"]["labels"]["sha256"] == honest


def test_a_retrained_version_is_reproduced_bit_for_bit(loop, deepsad):
    one = loop()
    one.judge(one.truth(12, 8))
    one.wait(1)
    done = run(deepsad, "reproduce", one.models / "m" / "2")
    assert "bit-identical" in done.stdout


def test_a_job_by_hand_trains_without_new_labels(loop):
    one = loop(keep=False)
    job = one.retrain()
    assert job["state"] == "promoted" and job["trigger"] == "hand", job


@pytest.fixture(scope="module")
def trained_slowly(deepsad, tmp_path_factory):
    """A model whose recipe takes so long that a job can be caught while it runs."""
    folder = tmp_path_factory.mktemp("slow")
    x = gaussian_rows(400, FEATURES, seed=5, anomalies=20)
    write_csv(folder / "train.csv", x, [""] * 380 + ["anomalous"] * 20)
    run(deepsad, "train", folder / "train.csv", "--out", folder / "m", "--set",
        f"steps={STEPS}", "--set", "hidden=256,64")
    return folder / "m"


@pytest.fixture
def slow_loop(loop, trained_slowly):
    def start(**options):
        one = loop(keep=False, **options)
        run("rm", "-r", one.models / "m" / "1")
        run("cp", "-r", trained_slowly / "1", one.models / "m" / "2")
        one.server.signal(signal.SIGHUP)
        one.server.wait_for("reloaded")
        return one
    return start


def start_job(one):
    """By hand; the job once its training has taken a step."""
    answer = one.server.request("POST", "/v1/models/m/retrain")
    assert answer.status == 202, answer.text
    limit = time.monotonic() + 20 * SLOW
    while time.monotonic() < limit:
        job = one.server.request("GET", answer.headers["Location"]).json
        progress = job["progress"] or {"phase": ""}
        if progress["phase"] == "train" and progress["steps"] > 0:
            return job
        assert job["state"] in ("queued", "running"), job
        time.sleep(0.005)
    raise AssertionError(job)


def test_a_running_job_is_seen_refuses_a_second_and_is_cancelled(slow_loop):
    one = slow_loop()
    version = one.version()
    job = start_job(one)
    assert 0 <= job["progress"]["fraction"] <= 1 and job["progress"]["steps"] == STEPS
    second = one.server.request("POST", "/v1/models/m/retrain")
    assert second.status == 409 and job["job"] in second.json["detail"]
    answer = one.server.request("DELETE", "/v1/jobs/" + job["job"])
    assert answer.status in (200, 202), answer.text
    ended = one.wait(1)
    assert ended["state"] == "cancelled" and one.version() == version, ended
    assert one.server.request("DELETE", "/v1/jobs/" + job["job"]).status == 409


def test_a_job_over_its_deadline_is_given_up(slow_loop):
    one = slow_loop(deadline="100ms")
    ended = one.retrain()
    assert ended["state"] == "cancelled" and "deadline" in ended["reason"], ended


def test_stopping_the_daemon_ends_a_running_job_at_once(slow_loop):
    one = slow_loop()
    start_job(one)
    begin = time.monotonic()
    assert one.server.stop() == 0
    assert time.monotonic() - begin < 3 * SLOW


def test_a_job_that_a_crash_cut_off_is_told_as_failed(slow_loop, daemon, deepsadd):
    one = slow_loop()
    job = start_job(one)
    state = one.server.process.args[one.server.process.args.index("--state") + 1]
    one.server.process.kill()
    one.server.process.wait()
    one.server.process.returncode = 0  # the fixture asks for a peaceful end; this was ours
    again = daemon(one.models, "--state", state)
    told = again.request("GET", "/v1/jobs/" + job["job"]).json
    assert told["state"] == "failed" and "ended" in told["reason"], told
    assert again.request("GET", "/v1/models/m").json["state"] == "live"


def test_old_versions_that_retraining_made_are_removed(loop):
    one = loop(versions=5, keep=False)
    for _ in range(7):
        one.retrain()
    assert one.version() == "8"
    line = json.loads(one.server.wait_for("old versions removed"))
    assert line["model"] == "m" and line["versions"] == 1
    kept = ["1", "5", "6", "7", "8"]  # the first was made by hand
    limit = time.monotonic() + 10 * SLOW
    while [v["version"] for v in one.get("/versions")["versions"]] != kept[::-1]:
        assert time.monotonic() < limit, one.get("/versions")
        time.sleep(0.02)
    names = sorted(p.name for p in (one.models / "m").iterdir())
    assert names == [*kept, "model.yaml"], names
    answer = one.server.request("POST", "/v1/models/m/versions/2/activate")
    assert answer.status == 404, answer.text


def test_metrics_count_the_loop(loop):
    one = loop()
    one.judge(one.truth(6, 4))
    one.wait(1)
    text = one.server.request("GET", "/metrics").text
    assert 'deepsad_retraining_jobs_total{model="m",result="promoted"} 1' in text
    assert 'deepsad_labels_total{model="m",verdict="anomalous"} 6' in text
    assert f"deepsad_samples_kept_total {ROWS}" in text
    assert 'deepsad_gate_decisions_total{model="m",decision="promoted"} 1' in text
    assert 'deepsad_model_version{model="m"} 2' in text


def test_the_log_tells_the_decision_with_its_numbers(loop):
    one = loop()
    one.judge(one.truth(6, 4))
    one.wait(1)
    line = json.loads(one.server.wait_for("retraining ended"))
    assert line["decision"] == "promoted" and line["version"] == 2
    assert json.loads(line["detail"])["labels"]["new"] == 10


def test_nothing_half_written_is_left_in_the_model_directory(loop):
    one = loop()
    one.judge(one.truth(6, 4))
    one.wait(1)
    names = sorted(p.name for p in (one.models / "m").iterdir())
    assert names == ["1", "2", "model.yaml"], names
    assert np.all([(one.models / "m" / n / "model.safetensors").exists() for n in "12"])
