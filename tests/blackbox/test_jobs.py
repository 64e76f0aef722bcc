# SPDX-License-Identifier: Apache-2.0
"""Review, retraining, versions over HTTP, and a store that cannot be written."""
import resource
import threading
import time

import pytest
from conftest import SLOW, gaussian_rows
from test_errors import check_problem
from test_verdicts import featured, post

MODEL = "/v1/models/m"
ENDED = ("promoted", "rejected", "failed", "cancelled", "waiting")


def set_policy(models, text):
    (models / "m" / "model.yaml").write_text("alpha: 0.05\n" + text)


def keep(server, rows=120, anomalies=20, seed=5):
    """Scores rows that are kept; their ids, the anomalies last."""
    ids = [f"t-{i}" for i in range(rows)]
    body = {"samples": gaussian_rows(rows, 3, seed, anomalies).tolist(), "ids": ids, "keep": True}
    answer = server.request("POST", MODEL + "/score", body)
    assert answer.status == 200, answer.text
    wait_kept(server, ids[-1])
    return ids


def wait_kept(server, sample):
    """Rows are kept in the background; asking for one by its id waits for those before it."""
    assert server.request("GET", f"{MODEL}/samples/{sample}").status == 200


def finish(server, job, timeout=60):
    """Waits for the job's end; the job."""
    limit = time.monotonic() + timeout * SLOW
    while time.monotonic() < limit:
        shown = server.request("GET", f"/v1/jobs/{job}").json
        if shown["state"] in ENDED:
            return shown
        time.sleep(0.02)
    raise AssertionError(f"job {job} does not end: {shown}")


def retrain(server):
    answer = server.request("POST", MODEL + "/retrain")
    assert answer.status == 202, answer.text
    assert answer.headers["Location"] == "/v1/jobs/" + answer.json["job"]
    assert answer.json["state"] in ("queued", "running", *ENDED)
    return answer.json["job"]


def live(server):
    return server.request("GET", MODEL).json["version"]


# ---- Samples and review


def test_a_kept_sample_is_labelled_by_its_id(server):
    keep(server)
    label, = post(server, {"sample_id": "t-119", "verdict": "anomalous", "analyst": "kim"})
    assert label["sample_id"] == "t-119"
    sample = server.request("GET", MODEL + "/samples/t-119").json
    scored = server.request("POST", MODEL + "/score", {
        "samples": [[sample["features"][f"f{i}"] for i in range(3)]]}).json["results"][0]
    assert sample["score"] == pytest.approx(scored["score"], rel=1e-5)
    assert sample["labels"][0]["label_id"] == label["label_id"]


def review(server, query=""):
    answer = server.request("GET", MODEL + "/review" + query)
    assert answer.status == 200, answer.text
    return answer.json["samples"]


def test_the_review_list_says_what_and_why(server):
    ids = keep(server)
    rows = review(server, "?limit=7&strategy=top")
    assert len(rows) == 7
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    for row in rows:
        assert row["sample_id"] in ids and row["why"] and row["reason"] == "highest"
        assert list(row["features"]) == ["f0", "f1", "f2"]
        total = row["base"] + sum(part["contribution"] for part in row["explanation"])
        assert total == pytest.approx(row["score"], rel=0.01, abs=1e-4)
        sizes = [abs(part["contribution"]) for part in row["explanation"]]
        assert sizes == sorted(sizes, reverse=True)
        assert row["labels"] == []


@pytest.mark.parametrize("strategy", ["mixed", "top", "uncertain", "random", "second"])
def test_every_strategy_answers(server, strategy):
    keep(server)
    answer = server.request("GET", f"{MODEL}/review?strategy={strategy}")
    assert answer.status == 200 and answer.json["strategy"] == strategy
    assert (answer.json["samples"] == []) == (strategy == "second")


def test_two_analysts_do_not_get_the_same_rows(server):
    keep(server)
    kim = {row["sample_id"] for row in review(server, "?limit=8&analyst=kim")}
    lee = {row["sample_id"] for row in review(server, "?limit=8&analyst=lee")}
    assert len(kim) == len(lee) == 8 and not kim & lee
    assert {row["sample_id"] for row in review(server, "?limit=8&analyst=kim")} == kim


def test_a_lease_ends(daemon, models):
    server = daemon(models, review__lease="50ms")
    keep(server)
    query = "?limit=5&strategy=top&analyst="
    kim = [row["sample_id"] for row in review(server, query + "kim")]
    time.sleep(0.1)
    assert [row["sample_id"] for row in review(server, query + "lee")] == kim


def test_labelled_rows_leave_the_list_and_conflicts_come_back(server):
    keep(server)
    top = review(server, "?limit=1&strategy=top")[0]["sample_id"]
    post(server, {"sample_id": top, "verdict": "anomalous", "analyst": "kim"})
    assert top not in {row["sample_id"] for row in review(server, "?limit=50&strategy=top")}
    post(server, {"sample_id": top, "verdict": "normal", "analyst": "lee"})
    second, = [row for row in review(server, "?strategy=second") if row["sample_id"] == top]
    assert second["reason"] == "conflict"
    assert {label["verdict"] for label in second["labels"]} == {"normal", "anomalous"}


# ---- Jobs


def test_a_retraining_by_hand_runs_to_its_end(daemon, models):
    set_policy(models, "retraining:\n  mode: manual\n")
    server = daemon(models)
    keep(server)
    job = finish(server, retrain(server))
    assert job["state"] == "waiting" and job["version"] == "2"
    assert job["trigger"] == "hand" and job["reason"] and job["decision"]
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]
    assert live(server) == "1"
    shown = {v["version"]: v for v in server.request("GET", MODEL + "/versions").json["versions"]}
    assert shown["2"]["challenger"] and shown["2"]["record"]["parent"] == "1"
    assert shown["2"]["record"]["job"] == job["job"]
    assert shown["1"]["state"] == "live" and shown["1"]["record"] is None
    model = server.request("GET", MODEL).json
    assert model["retraining"]["last"]["job"] == job["job"]
    assert 'deepsad_retraining_jobs_total{model="m",result="waiting"} 1\n' in server.request(
        "GET", "/metrics").text


def test_labels_start_a_retraining_by_themselves(daemon, models):
    set_policy(models, "retraining:\n  min_labels: 4\n")
    server = daemon(models)
    ids = keep(server)
    model = server.request("GET", MODEL).json
    assert model["policy"] == {"retraining": "auto", "capture": "requested"}
    assert model["retraining"]["labels"] == {"changes": 0, "trigger": 4}
    assert "4 more" in model["retraining"]["next"]["trigger"]
    post(server, *[{"sample_id": i, "verdict": "anomalous"} for i in ids[-4:]])
    limit = time.monotonic() + 30 * SLOW
    jobs = []
    while not jobs and time.monotonic() < limit:
        jobs = server.request("GET", MODEL + "/jobs").json["jobs"]
    job = finish(server, jobs[0]["job"])
    assert job["trigger"] == "labels" and job["state"] == "promoted", job
    assert live(server) == job["version"]


def slow_retraining(server, models):
    """Many rows, so that a retraining lasts."""
    for i in range(4):
        body = {"samples": gaussian_rows(2000, 3, i).tolist(), "keep": True}
        assert server.request("POST", MODEL + "/score", body).status == 200


def test_one_retraining_at_a_time_and_it_can_be_cancelled(daemon, models):
    server = daemon(models)
    slow_retraining(server, models)
    job = retrain(server)
    answer = server.request("POST", MODEL + "/retrain")
    check_problem(answer, 409, job)
    assert answer.headers["Location"] == "/v1/jobs/" + job
    answer = server.request("DELETE", f"/v1/jobs/{job}")
    assert answer.status == 202 and answer.json["job"] == job
    assert finish(server, job)["state"] == "cancelled"
    check_problem(server.request("DELETE", f"/v1/jobs/{job}"), 409, "cancelled")
    assert live(server) == "1"


def test_a_running_job_tells_how_far_it_is(daemon, models):
    server = daemon(models)
    slow_retraining(server, models)
    job, phases, last = retrain(server), set(), 0.0
    while (shown := server.request("GET", f"/v1/jobs/{job}").json)["state"] not in ENDED:
        if shown["state"] == "running" and shown["progress"]:
            phases.add(shown["progress"]["phase"])
            assert 0 <= shown["progress"]["fraction"] <= 1
            last = max(last, shown["progress"]["fraction"])
    assert shown["progress"] is None
    assert "train" in phases and last > 0


def test_stopping_does_not_wait_for_a_retraining(daemon, models):
    server = daemon(models)
    slow_retraining(server, models)
    retrain(server)
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 3 * SLOW


def test_jobs_are_paged_and_filtered(daemon, models):
    set_policy(models, "retraining:\n  mode: manual\n")
    server = daemon(models)
    made = [finish(server, retrain(server))["job"] for _ in range(3)]
    page = server.request("GET", MODEL + "/jobs?limit=2").json
    rest = server.request("GET", f"{MODEL}/jobs?limit=2&cursor={page['next_cursor']}").json
    assert [job["job"] for job in page["jobs"] + rest["jobs"]] == made[::-1]
    assert rest["next_cursor"] is None
    assert server.request("GET", MODEL + "/jobs?state=failed").json["jobs"] == []
    assert len(server.request("GET", MODEL + "/jobs?state=waiting").json["jobs"]) == 3


# ---- Versions


def test_any_version_can_be_made_live_and_an_older_one_holds(daemon, models, make_model):
    make_model(models, "m", features=3)
    server = daemon(models)
    assert live(server) == "2"
    answer = server.request("POST", MODEL + "/versions/1/activate")
    assert answer.status == 200, answer.text
    assert answer.json == {"model": "m", "version": "1", "previous": "2", "hold": True}
    assert live(server) == "1" and server.request("GET", MODEL).json["hold"]
    scored = server.request("POST", MODEL + "/score", {"samples": [[1, 2, 3]]}).json
    assert scored["version"] == "1"
    answer = server.request("POST", MODEL + "/versions/2/activate", {"hold": True})
    assert answer.json["hold"] and live(server) == "2"
    assert server.request("POST", MODEL + "/release").json == {"model": "m", "hold": False}
    assert not server.request("GET", MODEL).json["hold"]
    answer = server.request("POST", MODEL + "/versions/1/activate", {"hold": False})
    assert not answer.json["hold"] and live(server) == "1"


# ---- What is refused


REQUESTS = [  # method, path, body, status, part of the detail
    ("POST", "/v1/models/none/retrain", None, 404, "none"),
    ("POST", MODEL + "/retrain", {"who": 1}, 422, "analyst"),
    ("POST", MODEL + "/retrain", {"analyst": ""}, 422, "1 to"),
    ("POST", MODEL + "/retrain", {"analyst": 7}, 422, "text"),
    ("POST", MODEL + "/retrain", [], 422, "object"),
    ("POST", MODEL + "/retrain", "{", 400, "line 1"),
    ("POST", MODEL + "/retrain?now=1", None, 422, "none is taken"),
    ("GET", MODEL + "/retrain", None, 405, "POST"),
    ("GET", "/v1/models/none/jobs", None, 404, "none"),
    ("GET", MODEL + "/jobs?state=done", None, 422, "queued"),
    ("GET", MODEL + "/jobs?limit=x", None, 422, "whole number"),
    ("GET", MODEL + "/jobs?cursor=x", None, 422, "next_cursor"),
    ("GET", MODEL + "/jobs?model=m", None, 422, "state, limit, cursor"),
    ("GET", "/v1/jobs/nothing", None, 404, "nothing"),
    ("GET", "/v1/jobs/a%2Fb", None, 404, "a%2Fb"),
    ("DELETE", "/v1/jobs/nothing", None, 404, "nothing"),
    ("DELETE", "/v1/jobs/nothing?force=1", None, 422, "none is taken"),
    ("POST", "/v1/jobs/nothing", None, 405, "GET, HEAD, DELETE"),
    ("GET", "/v1/models/none/review", None, 404, "none"),
    ("GET", MODEL + "/review?strategy=best", None, 422, "mixed, top, uncertain, random"),
    ("GET", MODEL + "/review?limit=0", None, 422, "1 to 1000"),
    ("GET", MODEL + "/review?analyst=", None, 422, "analyst"),
    ("GET", MODEL + "/review?cursor=1", None, 422, "limit, strategy, analyst"),
    ("POST", MODEL + "/versions/9/activate", None, 404, "9"),
    ("POST", MODEL + "/versions/01/activate", None, 404, "01"),
    ("POST", "/v1/models/none/versions/1/activate", None, 404, "none"),
    ("POST", MODEL + "/versions/1/activate", {"hold": "yes"}, 422, "true or false"),
    ("POST", MODEL + "/versions/1/activate", {"release": True}, 422, "hold"),
    ("POST", MODEL + "/versions/1/activate?hold=1", None, 422, "none is taken"),
    ("POST", MODEL + "/release", {"hold": False}, 422, "not a member"),
    ("POST", "/v1/models/none/release", None, 404, "none"),
]


def test_every_wrong_request_is_refused(server):
    for method, path, body, status, says in REQUESTS:
        answer = server.request(method, path, body)
        problem = check_problem(answer, status)
        detail = problem["detail"] + answer.headers.get("Allow", "")
        assert says in detail, (method, path, problem)
    kind = {"Content-Type": "text/csv"}
    check_problem(server.request("POST", MODEL + "/retrain", "a", kind), 415)


def test_a_model_that_must_not_retrain_says_why(daemon, models):
    set_policy(models, "retraining:\n  mode: never\n")
    server = daemon(models)
    check_problem(server.request("POST", MODEL + "/retrain"), 422, "never")
    retraining = server.request("GET", MODEL).json["retraining"]
    assert not retraining["can_retrain"] and "never" in retraining["obstacle"]


def test_the_root_lists_all_routes(server):
    shown = {(one["method"], one["path"]) for one in server.request("GET", "/").json["endpoints"]}
    for route in [("POST", "/v1/models/{model}/labels"), ("GET", "/v1/models/{model}/review"),
                  ("DELETE", "/v1/jobs/{job}"), ("POST", "/v1/models/{model}/release")]:
        assert route in shown


# ---- A store that cannot be written, and load


def test_labels_wait_for_a_disk_and_scoring_does_not(server):
    post(server, featured())
    limits = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
    many = {"labels": [featured(x=(i, 1, 2), note="x" * 500) for i in range(50)]}
    answer = server.request("POST", MODEL + "/labels", many)
    check_problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert server.request("POST", MODEL + "/score", {"samples": [[1, 2, 3]]}).status == 200
    ready = server.request("GET", "/v2/health/ready")
    assert ready.status == 200 and not ready.json["store"]["writable"]
    assert ready.json["store"]["reason"]
    assert not server.request("GET", "/v1/models").json["store"]["writable"]
    assert "deepsad_store_up 0\n" in server.request("GET", "/metrics").text
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limits)
    limit = time.monotonic() + 10 * SLOW
    while server.request("POST", MODEL + "/labels", many).status != 201:
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert server.request("GET", "/v2/health/ready").json["store"]["writable"]
    assert server.request("GET", MODEL).json["labels"]["normal"] == 51


def test_many_clients_label_and_retrain_at_once(daemon, models):
    set_policy(models, "retraining:\n  min_labels: 20\n")
    server = daemon(models, server__blocking_threads=4)
    keep(server)
    failures = []

    def work(number):
        try:
            connection = server.connect()
            for i in range(25):
                body = {"labels": [featured(x=(number, i, 1), analyst=f"a{number}")]}
                answer = server.request("POST", MODEL + "/labels", body, connection=connection)
                assert answer.status == 201, answer.text
                for path in ("", "/review?limit=3", "/jobs", "/labels?limit=3"):
                    answer = server.request("GET", MODEL + path, connection=connection)
                    assert answer.status == 200, answer.text
        except Exception as failure:  # told to the test's own thread
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert server.request("GET", MODEL).json["labels"]["normal"] == 200
