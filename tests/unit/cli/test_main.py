import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import qhn_core as qhn
from qhn_core.cli.main import main
from tests import SECONDS

from .small_training import CONFIG, SMALL


@pytest.mark.parametrize("arguments", [["train", "--lambda", "1"], ["fly"], []])
def test_an_unknown_option_or_command_is_bad_input(capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: qhn" in err


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = capsys.readouterr().out
    assert "Train all seeds of one configuration." in out
    assert "List the simulators and say why one is missing." in out


def test_help_of_train_explains_every_option(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    lines = capsys.readouterr().out.splitlines()
    for name, field in qhn.RunConfig.model_fields.items():
        [line] = [text for text in lines if text.lstrip().startswith(f"--{name.replace('_', '-')} ")]
        at = lines.index(line)
        text = " ".join([line, *lines[at + 1 : at + 3]])
        assert field.description in text
        if field.default is not None:
            assert f"default: {field.default}" in text


def test_an_interrupted_run_says_so_and_has_the_code_of_a_signal(capsys, monkeypatch):
    def interrupted(config, progress):
        raise KeyboardInterrupt

    monkeypatch.setattr("qhn_core.cli.train.train", interrupted)
    assert main(["train", *SMALL]) == 130
    assert "stopped" in capsys.readouterr().err


def test_the_installed_command_prints_json_alone():
    command = Path(sys.executable).with_name("qhn")
    done = subprocess.run(
        [command, "train", "--json", *SMALL],
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        env=os.environ,
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["summary"] == qhn.train(CONFIG).summary().to_dict(orient="index")
    bad = subprocess.run(
        [command, "train", "--epochs", "0"], capture_output=True, encoding="utf-8", timeout=SECONDS
    )
    assert (bad.returncode, bad.stdout) == (2, "")
