"""What a command writes and prints: checked first, printed in any case, readable on any terminal."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qhn_core.cli.main import main
from tests import SECONDS

SMALL = ["--n-hidden", "1", "--epochs", "2", "--n-seeds", "2"]
PLANE = ["--resolution", "11"]
FULL = Path("/dev/full")
full = pytest.mark.skipif(not FULL.exists(), reason="needs a device that is full")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("QHN_HOME", str(tmp_path / "home"))


FILES = [
    ("landscape", "--html"),
    ("landscape", "--npz"),
    ("landscape", "--csv"),
    ("study", "--csv"),
    ("study", "--measured"),
    ("bench", "--json"),
    ("bench", "--growth"),
]
FOLDERS = [("train", "--out"), ("reproduce", "--out"), ("reproduce", "--ship")]
WORK = [
    "qhn_core.cli.train.train",
    "qhn_core.cli.study.measure_planes",
    "qhn_core.cli.bench.race",
    "qhn_core.cli.bench.growth.measure",
    "qhn_core.cli.reproduce.run_study",
]


@pytest.fixture
def no_work(monkeypatch):
    """Fail the test where a command begins its work."""
    for name in WORK:
        monkeypatch.setattr(name, lambda *arguments, **options: pytest.fail("the work has begun"))


@pytest.mark.parametrize(("command", "option"), FILES)
@pytest.mark.parametrize("place", ["missing/folder/file", "folder", "locked/file", "locked file"])
def test_a_file_that_can_not_be_written_is_named_before_the_work(
    no_work, capsys, tmp_path, monkeypatch, command, option, place
):
    for folder in ("folder", "locked"):
        (tmp_path / folder).mkdir()
    (tmp_path / "locked file").touch()
    locked = {tmp_path / "locked", tmp_path / "locked file"}  # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: path not in locked)
    assert main([command, option, str(tmp_path / place)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{option.removeprefix('--')}='{tmp_path / place}'" in err


@pytest.mark.parametrize(
    ("command", "option"), [("train", "--out"), ("reproduce", "--out"), ("reproduce", "--ship")]
)
@pytest.mark.parametrize("place", ["file/folder", "locked"])
def test_a_folder_that_can_not_be_written_is_named_before_the_work(
    no_work, capsys, tmp_path, monkeypatch, command, option, place
):
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "locked")
    assert main([command, option, str(tmp_path / place)]) == 2
    assert f"{option.removeprefix('--')}='{tmp_path / place}'" in capsys.readouterr().err


def test_a_check_leaves_nothing_behind(no_work, tmp_path):
    assert main(["landscape", "--csv", str(tmp_path / "new.csv"), "--html", str(tmp_path)]) == 2
    assert not (tmp_path / "new.csv").exists()


@full
@pytest.mark.parametrize("option", ["--csv", "--html"])
def test_a_landscape_that_can_not_be_written_is_still_printed(capsys, option):
    assert main(["landscape", "--json", *SMALL, *PLANE, option, str(FULL)]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["roughness"]
    assert "No space left on device" in err


@full
def test_a_study_that_can_not_be_written_is_still_printed(capsys):
    assert main(["study", *SMALL, *PLANE, "--csv", str(FULL)]) == 1
    out, err = capsys.readouterr()
    assert "SELBO λ=100" in out
    assert "No space left on device" in err


def test_a_run_that_can_not_be_written_is_still_printed(capsys, tmp_path, monkeypatch):
    def full(folder, result):
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    monkeypatch.setattr("qhn_core.cli.train.save_run", full)
    assert main(["train", "--json", *SMALL, "--out", str(tmp_path / "run")]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["summary"]
    assert "No space left on device" in err


# --- terminals of another encoding -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({"PYTHONIOENCODING": "cp1252"}, "SELBO ?=1"),
        ({"PYTHONIOENCODING": "latin-1"}, "SELBO ?=1"),
        ({"PYTHONIOENCODING": "ascii"}, "SELBO ?=1"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "SELBO ?=1"),
        ({"PYTHONIOENCODING": "utf-8"}, "SELBO λ=1"),
    ],
    ids=["cp1252", "latin-1", "ascii", "LC_ALL=C", "utf-8"],
)
def test_what_a_terminal_can_not_show_is_replaced_and_files_are_utf_8(tmp_path, variables, shown):
    page = tmp_path / "surface.html"
    command = [sys.executable, "-m", "qhn_core.cli.main", "landscape", *SMALL, *PLANE, "--html", str(page)]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHONUTF8"))}
    done = subprocess.run(command, capture_output=True, env=own | variables, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert shown.encode() in done.stdout
    assert "λ" in page.read_text(encoding="utf-8"), "as in assets/landscape.js"
