"""Compiled kernels on disk are used as long as no kernel's source changes, and no longer."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import qhn_core
from qhn_core.kernels import forget_stale_code, states

pytestmark = pytest.mark.slow

PACKAGE = Path(qhn_core.__file__).parent
WORDS_OF_63_BITS = """
import numpy as np
from qhn_core.kernels import philox
print(philox.uniform_words(63, 1, np.ones((1, 2), dtype=np.uint64), 0, 0).shape[1])
"""
"""`philox` reads WORD_BITS from `hamming`; numba looks at the function's own file only."""


def words_of_63_bits(folder):
    """The answer of the package in `folder`, in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | {
        "PYTHONPATH": str(folder)
    }
    done = subprocess.run(
        [sys.executable, "-c", WORDS_OF_63_BITS],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=environment,
    )
    return int(done.stdout)


def copy_of_the_package(folder):
    """A copy with compiled code in it, from before WORD_BITS changes to 62."""
    shutil.copytree(PACKAGE, folder / "qhn_core", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "qhn_core" / "kernels"


def replace_in(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_constant_that_another_modules_kernel_reads_takes_effect(tmp_path):
    kernels = copy_of_the_package(tmp_path)
    assert [words_of_63_bits(tmp_path) for _ in range(2)] == [1, 1]
    assert list((kernels / "__pycache__").glob("philox.uniform_words*.nbi")), "nothing was kept on disk"
    replace_in(kernels / "hamming.py", "WORD_BITS = 63", "WORD_BITS = 62")
    assert [words_of_63_bits(tmp_path) for _ in range(2)] == [2, 2]


def test_a_file_that_the_digest_misses_leaves_the_old_answer(tmp_path):
    """The test above can fail: it is the digest that brings the new answer, and nothing else."""
    kernels = copy_of_the_package(tmp_path)
    replace_in(kernels / "__init__.py", 'glob("*.py")', 'glob("[!h]*.py")')
    assert words_of_63_bits(tmp_path) == 1
    replace_in(kernels / "hamming.py", "WORD_BITS = 63", "WORD_BITS = 62")
    assert words_of_63_bits(tmp_path) == 1


def test_compiled_code_of_other_sources_is_deleted(tmp_path):
    code = [tmp_path / "states.evolve-1.py311.nbi", tmp_path / "states.evolve-1.py311.1.nbc"]
    for found, kept in (("first", False), ("first", True), ("second", False)):
        for path in code:
            path.touch()
        forget_stale_code(tmp_path, found)
        assert [path.exists() for path in code] == [kept, kept]


def test_the_kernels_code_is_that_of_their_sources_now():
    folder = Path(states.evolve.stats.cache_path)
    sources = sorted(Path(states.__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    assert (folder / "kernels.sha256").read_text() == digest
