# SPDX-License-Identifier: Apache-2.0
"""kill -9: no acknowledged label is lost or doubled, no half-written version is served."""
import pathlib
import sys
import types

from conftest import BUILD, ROOT, SLOW

sys.path.insert(0, str(ROOT / "tests/faults"))
import kill  # noqa: E402  pylint: disable=wrong-import-position

CYCLES = 20


def test_kill_at_any_moment_loses_and_doubles_nothing():
    options = types.SimpleNamespace(build=pathlib.Path(BUILD), cycles=CYCLES, seed=1,
                                    ready=2.0 * SLOW)
    summary, faults = kill.besiege(options)
    print(summary)
    assert not faults, faults[:5]
