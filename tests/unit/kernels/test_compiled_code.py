"""Where compiled code is kept when the usual places can't be written, as in a container."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import SECONDS

ROOT = Path(__file__).parents[3]
PROGRAM = """
{before}
import numpy as np
from qhn_core.kernels import transforms
from numba import config
print(config.CACHE_DIR)
import os, pathlib
print(len(list(pathlib.Path(config.CACHE_DIR or "/nowhere").rglob("*.nbi"))))
print(transforms.mean_of_table(np.arange(4.0), np.arange(4)[None]))
print(len(list(pathlib.Path(config.CACHE_DIR or "/nowhere").rglob("*.nbi"))))
"""


@pytest.fixture
def locked(tmp_path):
    """run(before) -> (lines of output, standard error) of a copy that no user may write into.

    Files stand where numba would make its folders, which stops root too.
    """
    shutil.copytree(ROOT / "qhn_core", tmp_path / "qhn_core", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "qhn_core" / "kernels" / "__pycache__").write_text("", encoding="utf-8")
    (tmp_path / "home").write_text("", encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    (tmp_path / "matplotlib").mkdir()  # Cirq imports it, and it asks for a folder too
    own = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "NUMBA_"))}
    own |= {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "PYTHONPATH": str(tmp_path),
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
    }

    def run(before=""):
        command = [sys.executable, "-c", PROGRAM.format(before=before)]
        done = subprocess.run(
            command, cwd=tmp_path, env=own, capture_output=True, encoding="utf-8", timeout=SECONDS
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines(), done.stderr

    return run


def test_a_temporary_folder_is_used_while_the_process_lives(locked, tmp_path):
    (folder, before, answer, after), err = locked()
    assert Path(folder).parent == tmp_path / "temporary"
    assert (before, answer) == ("0", "[1.5]")
    assert int(after) > 0
    assert list((tmp_path / "temporary").iterdir()) == []
    assert err.count("\n") == 1
    assert "set NUMBA_CACHE_DIR" in err


def test_without_a_temporary_folder_nothing_is_kept(locked):
    before = "import tempfile\ndef none(**_): raise FileNotFoundError\ntempfile.mkdtemp = none"
    (folder, _, answer, after), err = locked(before)
    assert (folder, answer, after) == ("", "[1.5]", "0")
    assert "the first run waits for the compiler" in err
