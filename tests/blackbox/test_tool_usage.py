# SPDX-License-Identifier: Apache-2.0
"""The tool's manners: help, wrong usage, signals, terminals, full disks."""
import os
import pty
import re
import signal
import subprocess
import time

import pytest
from conftest import ENVIRONMENT, SLOW, gaussian_rows, run, write_csv

COMMANDS = ["split", "train", "evaluate", "score", "inspect"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    write_csv(path, gaussian_rows(3000, 6, 2, anomalies=40), [""] * 2960 + ["anomalous"] * 40)
    return path


def test_version_and_help_are_answered_on_stdout(deepsad):
    assert re.fullmatch(r"deepsad \d+\.\d+\.\d+\n", run(deepsad, "--version").stdout)
    text = run(deepsad, "--help").stdout
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert max(map(len, text.splitlines())) <= 90


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(deepsad, name):
    text = run(deepsad, name, "--help").stdout
    assert text.startswith(f"usage: deepsad {name} ")
    assert "--json" in text and "--help" in text
    assert max(map(len, text.splitlines())) <= 90
    assert run(deepsad, "help", name).stdout == text


def test_the_settings_of_recipes_are_listed(deepsad):
    text = run(deepsad, "train", "--help-settings").stdout
    assert "learning_rate=" in text and "reference: 150" in text


@pytest.mark.parametrize("words, message", [
    ([], "which command?"),
    (["trian"], 'unknown command "trian"; did you mean train?'),
    (["zzz"], 'unknown command "zzz"; see deepsad --help'),
    (["help", "scor"], "did you mean score?"),
    (["--verbose"], 'unknown option "--verbose"'),
    (["train", "d.csv", "--ot", "m"], "unknown option --ot; did you mean --out?"),
    (["train", "d.csv", "--xyzzy"], "unknown option --xyzzy; see deepsad train --help"),
    (["train", "d.csv", "-z"], "unknown option -z"),
    (["train", "d.csv"], "give --out MODELS/NAME"),
    (["train", "--out", "m"], "something is missing; usage: deepsad train DATA"),
    (["train", "a", "b", "--out", "m"], '"b" is one argument too many'),
    (["train", "d.csv", "--out"], "option --out needs a value"),
    (["train", "d.csv", "--json=1"], "option --json takes no value"),
    (["train", "d.csv", "--out", "m", "--seed", "x"], "--seed: expected a whole number"),
    (["train", "d.csv", "--out", "m", "--seed", "-1"], "--seed: expected a whole number"),
    (["split", "d.csv", "--out", "m", "--test", "1.5"], "--test: expected a number from 0 to"),
    (["split", "d.csv", "--out", "m", "--test", "nan"], "--test: expected a number"),
    (["split", "d.csv", "--out", "m", "--pollution", "2"], "--pollution: expected a ratio"),
    (["evaluate", "m", "d.csv", "--alpha", "0"], "--alpha: expected a number"),
    (["score", "m", "d.csv", "--output", "x.txt"], "ends neither in .csv nor in .npy"),
    (["score", "m", "d.csv", "--lab", "x"], "option --lab may mean several"),
])
def test_wrong_usage_ends_with_2_and_a_way_out(deepsad, words, message):
    done = run(deepsad, *words, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("deepsad: ") and message in done.stderr


def test_a_missing_file_ends_with_1_and_its_name(deepsad, tmp_path):
    for words in (["split", "none.csv", "--out", tmp_path], ["inspect", "none"],
                  ["train", "none.csv", "--out", tmp_path / "m"]):
        done = run(deepsad, *words, check=False)
        assert done.returncode == 1
        assert "none" in done.stderr and "No such file" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["train", "--help-settings"]])
def test_a_full_disk_is_noticed(deepsad, words):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([deepsad, *words], stdout=full, stderr=subprocess.PIPE, text=True,
                              check=False)
    assert done.returncode == 1
    assert "cannot write the output" in done.stderr


def test_a_reader_that_went_away_is_noticed(deepsad):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([deepsad, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True,
                          check=False)
    os.close(writer)
    assert done.returncode == 1 and "cannot write the output" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_and_leaves_nothing(deepsad, rows, tmp_path, number):
    process = subprocess.Popen(
        [deepsad, "train", rows, "--out", tmp_path / "models" / "m", "--recipe", "reference",
         "--set", "epochs=100000", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=ENVIRONMENT)
    assert '"progress"' in process.stdout.readline()
    sent = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1 and "cancelled; nothing was written" in errors
    assert time.monotonic() - sent < 0.5 * SLOW
    assert list(tmp_path.rglob("*")) == []


def on_terminal(command, environment):
    """What the command writes to a terminal of its own."""
    pid, master = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, environment)
    got = b""
    try:
        while chunk := os.read(master, 65536):
            got += chunk
    except OSError:  # the other end is closed
        pass
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return got.decode()


def test_a_terminal_gets_a_bar_and_colours(deepsad, rows, tmp_path):
    command = [deepsad, "train", str(rows), "--out", str(tmp_path / "m"), "--recipe",
               "reference", "--set", "epochs=1000", "--set", "pretrain_epochs=100"]
    environment = {k: v for k, v in ENVIRONMENT.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    text = on_terminal(command, environment)
    assert "\r" in text and "#" in text and "epoch" in text and "\x1b[1m" in text
    assert "/1\x1b[0m written" in text
    plain = on_terminal(command, environment | {"NO_COLOR": "1"})
    assert "#" in plain and re.search(r"\x1b\[\d*m", plain) is None


def test_help_is_quick(deepsad):
    times = []
    for _ in range(5):
        start = time.monotonic()
        run(deepsad, "--help")
        times.append(time.monotonic() - start)
    assert min(times) < 0.1 * SLOW
