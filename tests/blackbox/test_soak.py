# SPDX-License-Identifier: Apache-2.0
"""The short form of `make soak`: all kinds of requests at once, retrainings, reloads."""
import subprocess

from conftest import BUILD, ENVIRONMENT, ROOT, SLOW


def test_mixed_load_with_retrainings_fails_no_request(tmp_path):
    done = subprocess.run(
        ["/usr/bin/python3", "-B", ROOT / "tests/soak/soak.py", "--build", BUILD, "--seconds", "15",
         "--period", "4", "--interval", "1", "--warm-up", "5", "--csv", tmp_path / "soak.csv"],
        capture_output=True, text=True, timeout=60 * SLOW, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
