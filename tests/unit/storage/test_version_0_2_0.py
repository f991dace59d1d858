"""What version 0.2.0 wrote is read as it was: a store, a run's zip and a scan, bit for bit.

The files of tests/data/version_0_2_0 were made by that version, and the hashes of what they hold by it too.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from qhn_core import RunConfig
from qhn_core.landscape.point_terms import PointTerms
from qhn_core.storage.run_record import state_layout
from qhn_core.storage.run_zip import import_zip
from qhn_core.storage.runs import RunStore
from qhn_core.storage.scan_file import load_scan

FOLDER = Path(__file__).parents[2] / "data" / "version_0_2_0"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
RUNS = EXPECTED["runs"]


def sha256(arrays):
    """A hash of the names, types, shapes and bytes of arrays."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def check_run(run, expected):
    assert run.config.model_dump_json() == expected["config"]
    assert run.config.hash == expected["hash"]
    assert sha256(run.rows) == expected["rows"]
    state = {name: np.asarray(getattr(run.state, name)) for name in state_layout(run.config)}
    assert sha256(state) == expected["state"]


@pytest.fixture
def old_store(tmp_path):
    """A copy of the old store: opening one may add tables to it."""
    shutil.copy(FOLDER / "runs.sqlite3", tmp_path)
    with RunStore(tmp_path) as store:
        yield store


@pytest.mark.parametrize("name", ["done", "interrupted"])
def test_the_stored_runs_are_the_same(old_store, name):
    run = old_store.load(name)
    check_run(run, RUNS[name])
    assert run.status == name
    assert run.versions["qhn_core"] == "0.2.0"


def test_the_old_store_lists_its_runs(old_store):
    listed = {info.id: (info.status, info.epoch) for info in old_store.runs()}
    assert listed == {"done": ("done", 6), "interrupted": ("interrupted", 4)}


def test_the_run_of_the_zip_is_the_same():
    check_run(import_zip((FOLDER / "run.zip").read_bytes()), RUNS["zip"])


@pytest.mark.parametrize("name", RUNS)
def test_a_config_is_read_with_the_hash_that_it_had(name):
    assert RunConfig.model_validate_json(RUNS[name]["config"]).hash == RUNS[name]["hash"]


def test_the_scan_file_is_the_same(old_store):
    scan = load_scan(FOLDER / "scan.npz")
    names = (*PointTerms.FIELDS, "axis", "done", "angles")
    assert sha256({name: getattr(scan, name) for name in names}) == EXPECTED["scan"]["grids"]
    if scan.key == EXPECTED["scan"]["key"]:  # a scan of another version is not gone on from
        stored = old_store.scans.load(scan.key)
        assert sha256({name: getattr(stored, name) for name in names}) == EXPECTED["scan"]["grids"]
