# SPDX-License-Identifier: Apache-2.0
"""The gate's decisions, each forced from outside: by false verdicts, or by limits that
nothing passes."""
import signal

import numpy as np

# pylint: disable=unused-import, redefined-outer-name
from test_loop import ODD, ROWS, loop, trained  # noqa: F401

POLICY = """retraining:
  min_labels: 10
gate:
  implausible: 0
"""


def set_limits(one, **limits):
    """Limits of the gate in model.yaml, taken up by a reload."""
    text = POLICY + "".join(f"  {key}: {value}\n" for key, value in limits.items())
    (one.models / "m" / "model.yaml").write_text(text)
    one.server.signal(signal.SIGHUP)
    one.server.wait_for("reloaded")


def taught(loop, count=20):  # noqa: F811
    """A loop that has learnt from so many true verdicts of each kind."""
    one = loop(implausible=0)
    one.judge(one.truth(count, count))
    job = one.wait(1)
    assert job["state"] == "promoted", job
    return one


def quarantined(one):
    return [label for label in one.get("/labels?limit=1000")["labels"] if label["quarantine"]]


def test_verdicts_that_unlearn_older_ones_are_stopped_and_wait(loop):  # noqa: F811
    one = taught(loop, count=20)
    odd = one.x[-ODD:-ODD + 20]  # known for anomalous; now what is much like them is normal
    copies = np.repeat(odd, 45, axis=0) * np.linspace(0.999, 1.001, 45 * len(odd))[:, None]
    one.keep(copies, prefix="c")
    labels = [{"sample_id": f"c{i}", "verdict": "normal", "analyst": "mallory"}
              for i in range(len(copies))]
    answer = one.server.request("POST", "/v1/models/m/labels", {"labels": labels})
    assert answer.status == 201, answer.text
    job = one.wait(2)
    assert job["state"] == "rejected" and job["decision"] == "stopped", job
    assert job["quarantined"] == len(quarantined(one)) == len(copies)
    assert one.version() == "2"
    shown = {v["version"]: v for v in one.get("/versions")["versions"]}
    assert shown[job["version"]]["challenger"] is True


def test_what_moves_the_ranks_is_left_out_and_the_control_goes_live(loop):  # noqa: F811
    one = taught(loop)
    set_limits(one, rank_correlation=1)
    one.judge(one.truth(10, 10))
    job = one.wait(2)
    assert job["state"] == "promoted" and job["decision"] == "control promoted", job
    assert job["quarantined"] == len(quarantined(one)) == 20
    lineage = one.card(one.version())["lineage"]
    assert lineage["labels"]["count"] == 40


def test_labels_taken_back_go_even_where_new_ones_are_stopped(loop):  # noqa: F811
    one = taught(loop)
    set_limits(one, rank_correlation=1)
    ids = [label["label_id"] for label in one.get("/labels?limit=5")["labels"]]
    for label in ids:
        assert one.server.request("DELETE", f"/v1/models/m/labels/{label}").status == 200
    one.judge(one.truth(10, 10))
    job = one.wait(2)
    assert job["decision"] == "control promoted" and job["labels"]["removed"] == 5, job
    assert one.card(one.version())["lineage"]["labels"]["count"] == 35
