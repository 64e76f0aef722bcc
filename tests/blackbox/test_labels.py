# SPDX-License-Identifier: Apache-2.0
"""deepsad labels: the journal to a file and back, with and without a running daemon."""
import csv
import io
import json

import pytest
from conftest import run

ROWS = [["l-1", "s-1", "anomalous", "kim", "1", "2", "3"],
        ["l-2", "s-2", "normal", "", "0.5", "", "4"],
        ["l-3", "s-1", "normal", "lee", "1", "2", "3"]]
HEADER = ["label_id", "sample_id", "verdict", "analyst", "f0", "f1", "f2"]


@pytest.fixture
def place(models, tmp_path):
    """The model m of three features, a state directory, a file of three labels."""
    (tmp_path / "state").mkdir()
    with open(tmp_path / "labels.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *ROWS])
    return tmp_path


def tool(deepsad, place, word, *arguments, check=True, state="state"):
    return run(deepsad, "labels", word, *arguments, "--state", place / state, check=check)


def load(deepsad, place, file="labels.csv", state="state", **options):
    done = tool(deepsad, place, "import", place / file, place / "models/m", "--json", state=state,
                **options)
    return json.loads(done.stdout) if done.returncode == 0 else done


def exported(deepsad, place, *arguments, state="state"):
    text = tool(deepsad, place, "export", place / "models/m", *arguments, state=state).stdout
    return list(csv.DictReader(io.StringIO(text)))


def told(rows):
    """What must be the same in two journals."""
    return [[row[name] for name in HEADER] for row in rows]


def test_labels_come_back_as_they_went_in(deepsad, place):
    assert load(deepsad, place) == {"rows": 3, "added": 3, "normal": 2, "anomalous": 1,
                                    "unsure": 0, "skipped": 0, "withdrawn": 0}
    assert told(exported(deepsad, place)) == ROWS


def test_importing_again_doubles_nothing(deepsad, place):
    load(deepsad, place)
    assert load(deepsad, place)["skipped"] == 3
    assert len(exported(deepsad, place, "--all")) == 3


@pytest.mark.parametrize("name", ["copy.csv", "copy.jsonl"])
def test_an_export_makes_the_same_labels_in_an_empty_state(deepsad, place, name):
    load(deepsad, place)
    tool(deepsad, place, "export", place / "models/m", "--output", place / name)
    (place / "other").mkdir()
    assert load(deepsad, place, name, "other")["added"] == 3
    assert told(exported(deepsad, place, state="other")) == ROWS


def test_history_comes_along_and_stays_history(deepsad, place, daemon):
    server = daemon(place / "models")
    state = place / "state0"
    labels = [{"features": [1, 2, 3], "verdict": "anomalous", "analyst": "kim"}]
    first = server.request("POST", "/v1/models/m/labels", {"labels": labels}).json["labels"][0]
    again = {"sample_id": first["sample_id"], "verdict": "normal", "analyst": "kim"}
    second = server.request("POST", "/v1/models/m/labels", {"labels": [again]}).json["labels"][0]
    path = f"/v1/models/m/labels/{second['label_id']}"
    assert server.request("DELETE", path).status == 200
    tool(deepsad, place, "export", place / "models/m", "--all", "--output", place / "all.csv",
         state=state.name)
    counts = load(deepsad, place, "all.csv")
    assert counts["added"] == 2 and counts["withdrawn"] == 1
    rows = exported(deepsad, place, "--all")
    assert [row["label_id"] for row in rows] == [first["label_id"], second["label_id"]]
    assert rows[1]["supersedes"] == first["label_id"] and rows[1]["withdrawn_at"]
    assert exported(deepsad, place) == []
    assert load(deepsad, place, "all.csv")["withdrawn"] == 0


def test_a_running_daemon_shows_what_was_imported(deepsad, place, daemon):
    server = daemon(place / "models")
    assert load(deepsad, place, state="state0")["added"] == 3
    labels = server.request("GET", "/v1/models/m/labels").json["labels"]
    assert [label["label_id"] for label in labels] == ["l-3", "l-2", "l-1"]
    assert labels[0]["conflict"] and not labels[1]["conflict"]


def test_names_for_rows_that_have_none(deepsad, place):
    (place / "short.csv").write_text("verdict,f0,f1,f2\nunsure,1,2,3\n")
    tool(deepsad, place, "import", place / "short.csv", place / "models/m", "--analyst", "pat")
    rows = exported(deepsad, place)
    assert rows[0]["analyst"] == "pat" and rows[0]["sample_id"] and rows[0]["label_id"]


@pytest.mark.parametrize("text, message", [
    ("verdict,f0,f1,f2\nnormal,1,2,3\nfine,1,2,3\n", "b.csv:3:1: expected normal, anomalous"),
    ("sample_id,verdict\nnobody,normal\n", 'b.csv:2:1: the sample "nobody" is not kept'),
    ("label_id,verdict,f0,f1,f2\na,normal,1,2,3\na,normal,1,2,3\n", "b.csv:3:"),
])
def test_one_wrong_row_and_none_is_written(deepsad, place, text, message):
    (place / "b.csv").write_text(text)
    done = load(deepsad, place, "b.csv", check=False)
    assert done.returncode == 1 and message in done.stderr, done.stderr
    assert exported(deepsad, place, "--all") == []


@pytest.mark.parametrize("arguments, code, message", [
    ([], 2, "export or import?"),
    (["export"], 2, ""),
    (["export", "m"], 2, "--state DIR"),
    (["export", "models/m", "--state", "none"], 1, "none/deepsad.db"),
    (["export", "models/none", "--state", "state"], 1, "models/none: no such model"),
    (["import", "labels.txt", "models/m", "--state", "state"], 1, ".csv or .jsonl"),
    (["import", "labels.csv", "models/m/1/model.safetensors", "--state", "state"], 0, ""),
])
def test_wrong_calls_say_what_to_do(deepsad, place, arguments, code, message):
    done = run(deepsad, "labels", *arguments, check=False, cwd=place)
    assert done.returncode == code and message in done.stderr, done.stderr
