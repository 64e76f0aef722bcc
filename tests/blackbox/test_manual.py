# SPDX-License-Identifier: Apache-2.0
"""Man pages and completion say what the programs do."""
import os
import re
import shutil
import subprocess

import pytest
from conftest import BUILD, ENVIRONMENT, ROOT, run

COMMANDS = ["split", "train", "evaluate", "score", "encode", "inspect", "reproduce", "labels"]
TOOL_PAGE = ROOT / "src/tool/man/deepsad.1"
DAEMON_PAGE = ROOT / "src/daemon/man/deepsadd.8"


def words_of(page):
    return page.read_text(encoding="utf-8").replace("\\-", "-")


def test_the_manual_has_every_command_and_option(deepsad):
    manual = words_of(TOOL_PAGE)
    for command in COMMANDS:
        assert f".B {command}\n" in manual
        options = re.findall(r"^  (--[a-z-]+)", run(deepsad, command, "--help").stdout, re.M)
        assert len(options) >= 2
        for option in options:
            assert re.search(re.escape(option) + r"[ \"\n]", manual), (command, option)


def test_the_manual_has_every_key_of_the_configuration(deepsadd, tmp_path):
    (tmp_path / "c.yaml").write_text("")
    manual = words_of(DAEMON_PAGE)
    text = run(deepsadd, "--config", tmp_path / "c.yaml", "--print-config").stdout
    keys = re.findall(r"^([a-z_]+)\.([a-z_]+): ", text, re.M)
    assert len(keys) > 10
    for section, key in keys:
        part = manual.split(f".SS {section}\n")[1].split("\n.S")[0]
        assert re.search(rf"^\.BR? .*\b{key}\b", part, re.M), (section, key)


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("page", [TOOL_PAGE, DAEMON_PAGE])
def test_man_pages_are_clean_roff(page):
    done = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou", "-ww", page], capture_output=True,
                          text=True, check=True)
    assert done.stderr == "" and "SEE ALSO" in done.stdout


@pytest.mark.parametrize("words, expected", [
    (["tr"], {"train"}),
    (["help", "e"], {"evaluate", "encode", "export"}),
    (["train", "--label-"], {"--label-column", "--label-map"}),
    (["train", "d.csv", "--recipe", "ref"], {"reference"}),
    (["split", "--pollution", ""], {"natural"}),
    (["labels", ""], {"export", "import"}),
    (["labels", "import", "--a"], {"--analyst", "--all"}),
])
def test_completion_knows_commands_and_options(words, expected):
    script = (f'. {ROOT}/conf/completion/deepsad; COMP_WORDS=(deepsad "$@"); COMP_CWORD=$#; '
              'COMPREPLY=(); _deepsad; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True,
                          env={**ENVIRONMENT, "PATH": f"{BUILD}:{os.environ['PATH']}"},
                          check=True, cwd="/")
    assert done.stderr == "" and set(done.stdout.split()) == expected
