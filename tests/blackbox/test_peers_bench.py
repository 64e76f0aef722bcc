# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of the comparison with other servers (tests/bench/peers.py)."""
import pathlib
import sys

import pytest

BENCH = pathlib.Path(__file__).parents[1] / "bench"


@pytest.fixture(scope="module")
def peers():
    sys.path.insert(0, str(BENCH))
    argv, sys.argv = sys.argv, ["peers.py"]
    try:
        import peers as module
    finally:
        sys.argv = argv
        sys.path.remove(str(BENCH))
    return module


def test_quartiles_are_inclusive_and_ordered(peers):
    assert peers.quartiles([5.0]) == (5.0, 5.0, 5.0)
    assert peers.quartiles([3, 1, 2, 5, 4]) == (2, 3, 4)


def test_a_ratio_is_the_median_of_the_ratios_within_rounds(peers):
    ours, theirs = [1.0, 2.0, 10.0], [4.0, 8.0, 20.0]  # the third round was disturbed
    assert peers.ratio(theirs, ours)[1] == 4.0


def test_missed_limits_are_told(peers):
    costs = {"ours": [(10.0, 1)], "node": [(65.0, 1)], "lean": [(150.0, 1)], "bare": [(5.0, 1)],
             "forward": [(1.0, 0)]}
    kept, lines = peers.judge(("M1", 1, "json", 1), costs)
    assert not kept and len(lines) == 2
    assert "MISSED" in lines[0] and "MISSED" not in lines[1]
    costs = {"ours": [(13.0, 1)], "bare": [(2.0, 1)], "forward": [(8.0, 0)]}
    assert peers.judge(("M2", 1000, "json", 1), costs)[0]
    assert not peers.judge(("M2", 1000, "raw", 1), costs)[0]


def test_a_peer_is_not_asked_for_what_it_does_not_serve(peers):
    server = peers.Server.__new__(peers.Server)
    server.name = "tutorial"
    assert server.request("M1", 1, "raw") is None and server.request("M1", 1, "json")
    server.name = "lean"
    assert server.request("default", 1, "json") is None and server.request("M2", 32, "raw")
