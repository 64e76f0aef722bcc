# SPDX-License-Identifier: Apache-2.0
"""What an operator may do to the loop while it runs: reload, break or remove files, train
anew. The daemon goes on serving, and its log says what is wrong."""
import json
import os
import shutil
import signal
import time

from conftest import SLOW, run
# pylint: disable=unused-import, redefined-outer-name
from test_jobs import finish
from test_loop import loop, slow_loop, start_job, trained, trained_slowly  # noqa: F401


def scores(one, features=4):
    answer = one.server.request("POST", "/v1/models/m/score", {"samples": [[0] * features]})
    assert answer.status == 200, answer.text
    return answer.json["version"]


def reload(one):
    """SIGHUP, and waits for the line that tells its end."""
    before = sum("reloaded" in line for line in one.server.stderr)
    one.server.signal(signal.SIGHUP)
    limit = time.monotonic() + 10 * SLOW
    while sum("reloaded" in line for line in one.server.stderr) == before:
        assert time.monotonic() < limit, "".join(one.server.stderr)
        time.sleep(0.01)


def test_a_reload_does_not_disturb_a_running_job(slow_loop):  # noqa: F811
    one = slow_loop()
    start_job(one)
    for _ in range(3):
        reload(one)
    ended = one.wait(1, timeout=60)
    assert ended["state"] == "promoted", ended
    assert one.version() == ended["version"] == scores(one)


def test_a_model_directory_removed_while_its_job_runs(slow_loop):  # noqa: F811
    one = slow_loop()
    before = one.version()
    start_job(one)
    shutil.rmtree(one.models / "m")
    ended = one.wait(1, timeout=60)
    assert ended["state"] == "failed" and str(one.models / "m") in ended["reason"], ended
    assert scores(one) == before


def test_a_queued_job_of_a_model_that_is_removed_has_failed(slow_loop, make_model):  # noqa: F811
    one = slow_loop()
    make_model(one.models, "early", features=3)
    reload(one)
    running = start_job(one)
    answer = one.server.request("POST", "/v1/models/early/retrain")
    assert answer.json["state"] == "queued", answer.text
    shutil.rmtree(one.models / "early")
    reload(one)
    one.server.request("DELETE", "/v1/jobs/" + running["job"])
    job = finish(one.server, answer.json["job"])
    one.server.wait_for('"model":"early","job"')
    assert job["state"] == "failed" and "removed" in job["reason"], job


def test_rolling_back_while_a_job_runs_holds_what_comes_of_it(slow_loop):  # noqa: F811
    one = slow_loop()
    shutil.copytree(one.models / "m" / "2", one.models / "m" / "3")
    reload(one)
    start_job(one)
    answer = one.server.request("POST", "/v1/models/m/versions/2/activate")
    assert answer.status == 200 and answer.json["hold"], answer.text
    ended = one.wait(1, timeout=60)
    assert ended["state"] == "waiting" and "held" in ended["reason"], ended
    assert one.version() == "2"
    assert one.server.request("POST", "/v1/models/m/release").status == 200
    assert one.version() == "2"  # what waits is activated by somebody, or comes again


def test_a_policy_broken_while_a_job_runs_changes_nothing(slow_loop):  # noqa: F811
    one = slow_loop()
    start_job(one)
    (one.models / "m" / "model.yaml").write_text("retraining:\n  mode: perhaps\n")
    ended = one.wait(1, timeout=60)
    assert ended["state"] == "promoted", ended
    assert one.version() == ended["version"] == scores(one)
    told = one.server.request("GET", "/v1/models/m").json
    assert "retraining.mode" in json.dumps(told)


def test_labels_of_other_features_do_not_stop_a_model_trained_anew(
        loop, make_model):  # noqa: F811
    one = loop(min_labels=1000)
    one.judge(one.truth(6, 4))
    make_model(one.models, "m", features=5)
    reload(one)
    assert scores(one, 5) == "2"
    job = one.retrain()
    assert job["state"] == "promoted" and job["labels"]["new"] == 0, job
    assert scores(one, 5) == job["version"] == "3"
    for path in ("/review?limit=5", "/labels?limit=5", "/samples/r1", "/versions"):
        one.get(path)


def test_a_database_removed_while_it_runs_is_told_and_scoring_goes_on(loop):  # noqa: F811
    one = loop(min_labels=1000)
    state = one.server.process.args[one.server.process.args.index("--state") + 1]
    for name in ("deepsad.db", "deepsad.db-wal", "deepsad.db-shm"):
        os.unlink(f"{state}/{name}")
    verdict = {"labels": [{"sample_id": "r1", "verdict": "normal"}]}
    answer = one.server.request("POST", "/v1/models/m/labels", verdict)
    assert answer.status == 503 and answer.headers["Retry-After"], answer.text
    answer = one.server.request("POST", "/v1/models/m/retrain")
    assert answer.status == 503, answer.text
    one.server.wait_for("label store failed")
    assert scores(one) == "1"


def test_a_state_directory_that_cannot_be_written_is_refused(deepsadd, models, tmp_path):
    done = run(deepsadd, "--listen", "127.0.0.1:0", "--models", models, "--state",
               "/proc/self", check=False)
    assert done.returncode != 0 and "/proc/self" in done.stderr, done.stderr
