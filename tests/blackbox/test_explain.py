# SPDX-License-Identifier: Apache-2.0
"""Explanations from outside: base and contributions make the score, over HTTP and by tool."""
import csv
import io
import json

import numpy as np
import pytest
from conftest import gaussian_rows, run, write_csv

FEATURES = 5


@pytest.fixture
def served(daemon, models, make_model):
    """A server with the models d (default), r (reference) and a (with an autoencoder)."""
    make_model(models, "d", features=FEATURES)
    make_model(models, "r", recipe="reference", features=FEATURES)
    make_model(models, "a", features=FEATURES,
               settings=("autoencoder=on", "autoencoder_hidden=4"))
    return daemon(models)


def score(server, model, body):
    answer = server.request("POST", f"/v1/models/{model}/score", body)
    assert answer.status == 200, answer.text
    return answer.json["results"]


def rows_to_explain():
    rows = [[None if j == i % 7 else float(v) for j, v in enumerate(row)]
            for i, row in enumerate(gaussian_rows(40, FEATURES, 3, anomalies=20))]
    extreme = [[1e30, -1e30, 0, 1e9, -1e-30], [3.4e38, 3.4e38, -3.4e38, 0, 1], [None] * FEATURES]
    return rows + extreme


@pytest.mark.parametrize("model", ["d", "r", "a"])
def test_base_and_contributions_sum_to_the_score(served, model):
    rows = rows_to_explain()
    plain = score(served, model, {"samples": rows})
    results = score(served, model, {"samples": rows, "explain": FEATURES})
    assert len({result["base"] for result in results}) == 1
    for row, result, before in zip(rows, results, plain):
        parts = [part["contribution"] for part in result["explanation"]]
        size = max(abs(result["score"]), sum(map(abs, parts)), 1e-3)
        assert result["base"] + sum(parts) == pytest.approx(result["score"], abs=1e-5 * size)
        assert result["score"] == before["score"] and result["p_value"] == before["p_value"]
        assert sorted(map(abs, parts), reverse=True) == [abs(part) for part in parts]
        assert sorted(part["feature"] for part in result["explanation"]) \
            == [f"f{j}" for j in range(FEATURES)]
        for part in result["explanation"]:
            value = row[int(part["feature"][1:])]
            assert (part["value"] is None) == (value is None)
            assert value is None or part["value"] == pytest.approx(value, rel=1e-6)
            assert value is not None or part["contribution"] == 0


def test_the_features_that_contribute_most_come_first(served):
    rows = rows_to_explain()
    whole = score(served, "d", {"samples": rows, "explain": 1000})
    for wanted in (1, 2, 4):
        some = score(served, "d", {"samples": rows, "explain": wanted})
        assert [r["explanation"] for r in some] == [r["explanation"][:wanted] for r in whole]
    none = score(served, "d", {"samples": rows, "explain": 0})
    assert all(set(r) == {"id", "score", "p_value", "anomalous"} for r in none)


def test_the_feature_that_is_odd_is_named(served):
    rows = np.tile(np.arange(FEATURES, dtype=float), (FEATURES, 1))  # the means
    rows += 15 * np.eye(FEATURES)
    results = score(served, "d", {"samples": rows.tolist(), "explain": 1})
    assert [r["explanation"][0]["feature"] for r in results] == [f"f{j}" for j in range(FEATURES)]
    assert all(r["explanation"][0]["contribution"] > 0 for r in results)


def test_a_row_of_missing_values_is_the_base(served):
    result = score(served, "d", {"samples": [[None] * FEATURES], "explain": 9})[0]
    assert result["score"] == result["base"]
    assert all(part["contribution"] == 0 for part in result["explanation"])


def test_keep_without_room_to_keep_is_told(served):
    answer = served.request("POST", "/v1/models/d/score",
                            {"samples": [[0] * FEATURES], "keep": True})
    assert answer.status == 200 and isinstance(answer.json["kept"], bool)


def test_names_are_escaped(deepsad, daemon, models, tmp_path):
    names = ['a "b"', "c\\d", "e,f"]
    quoted = ['"a ""b"""', "c\\d", '"e,f"']
    x = gaussian_rows(200, 3, 1)
    write_csv(tmp_path / "t.csv", x, [""] * 200, quoted)
    run(deepsad, "train", tmp_path / "t.csv", "--out", models / "n")
    results = score(daemon(models), "n", {"samples": x[:3].tolist(), "explain": 3})
    for result in results:
        assert {part["feature"] for part in result["explanation"]} == set(names)
    table = run(deepsad, "score", models / "n", tmp_path / "t.csv", "--explain", "2").stdout
    for row in csv.DictReader(io.StringIO(table)):
        assert row["top1_feature"] in names and row["top2_feature"] in names


def test_the_tool_explains_as_the_server_does(deepsad, served, models, tmp_path):
    x = gaussian_rows(30, FEATURES, 9, anomalies=5)
    x[3, 2] = np.nan
    write_csv(tmp_path / "d.csv", x, [""] * 30)
    body = {"samples": [[None if np.isnan(v) else float(v) for v in row] for row in x],
            "explain": 2}
    results = score(served, "d", body)
    text = run(deepsad, "score", models / "d", tmp_path / "d.csv", "--explain", "2",
               "--json").stdout
    lines = [json.loads(line) for line in text.splitlines()]
    table = list(csv.DictReader(io.StringIO(
        run(deepsad, "score", models / "d", tmp_path / "d.csv", "--explain", "2").stdout)))
    assert list(table[0]) == ["score", "p_value", "anomalous", "base", "top1_feature",
                              "top1_contribution", "top2_feature", "top2_contribution"]
    assert len(lines) == len(table) == 30
    for result, line, row in zip(results, lines, table):
        assert line["base"] == result["base"] == float(row["base"])
        for k, (a, b) in enumerate(zip(line["explanation"], result["explanation"]), 1):
            assert a["feature"] == b["feature"] == row[f"top{k}_feature"]
            assert a["contribution"] == b["contribution"] == float(row[f"top{k}_contribution"])
            assert (a["value"] is None) == (b["value"] is None)


def test_the_tool_takes_all_features_and_refuses_npy(deepsad, served, models, tmp_path):
    write_csv(tmp_path / "d.csv", gaussian_rows(5, FEATURES, 2), [""] * 5)
    out = tmp_path / "s.csv"
    run(deepsad, "score", models / "d", tmp_path / "d.csv", "--explain", "99", "--output", out)
    for row in csv.DictReader(out.open(encoding="utf-8")):
        total = float(row["base"]) + sum(float(row[f"top{k}_contribution"])
                                         for k in range(1, FEATURES + 1))
        assert total == pytest.approx(float(row["score"]), abs=1e-5)
    done = run(deepsad, "score", models / "d", tmp_path / "d.csv", "--explain", "1", "--output",
               tmp_path / "s.npy", check=False)
    assert done.returncode == 2 and "--explain" in done.stderr
    done = run(deepsad, "score", models / "d", tmp_path / "d.csv", "--explain", "-1", check=False)
    assert done.returncode == 2
