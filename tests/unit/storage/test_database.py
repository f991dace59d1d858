"""Where the file of the store is, and what is wrong with it."""

import errno
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import platformdirs
import pytest
from platformdirs import windows
from platformdirs.macos import MacOS
from platformdirs.unix import Unix

from qhn_core.storage import database
from qhn_core.storage.database import StoreError, default_folder
from qhn_core.storage.runs import RunStore
from tests.unit.stored import CONFIG, ask, bits, path_of, save


@pytest.mark.parametrize(
    ("system", "variables", "folder"),
    [
        (Unix, {}, "~/.local/share/qhn"),
        (Unix, {"XDG_DATA_HOME": "/data"}, "/data/qhn"),
        (MacOS, {}, "~/Library/Application Support/qhn"),
        (windows.Windows, {"LOCALAPPDATA": "/local"}, "/local/qhn"),
        *[(system, {"QHN_HOME": "~/class"}, "~/class") for system in (Unix, MacOS, windows.Windows)],
    ],
)
def test_the_default_folder_is_where_version_0_2_0_had_it(monkeypatch, system, variables, folder):
    monkeypatch.setattr(platformdirs, "PlatformDirs", system)
    monkeypatch.setattr(windows, "get_win_folder", windows.get_win_folder_from_env_vars)
    for name in ("QHN_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_folder() == Path(folder).expanduser()


def test_qhn_home_moves_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("QHN_HOME", str(tmp_path / "not" / "there"))
    with RunStore() as store:
        assert store.database.path == tmp_path / "not" / "there" / "runs.sqlite3"
    assert store.database.path.exists()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(folder, match):
    """Opening the store fails, and leaves the folder as it was."""
    before = contents(folder)
    with pytest.raises(StoreError, match=match) as caught:
        RunStore(folder)
    assert contents(folder) == before
    assert str(folder / "runs.sqlite3") in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"no database at all, " * 500, b"short", b"SQLite format 3\0" + b"x" * 4080]
)
def test_a_file_that_is_no_database_is_left_alone(tmp_path, content):
    (tmp_path / "runs.sqlite3").write_bytes(content)
    refused(tmp_path, "damaged and was left as it is.*move it away.*-wal and -shm")


def test_a_malformed_file_is_left_alone(tmp_path):
    with RunStore(tmp_path) as store:
        for k in range(20):
            save(store, path_of(CONFIG, [2]), f"run {k}")
    path = tmp_path / "runs.sqlite3"
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    refused(tmp_path, "damaged and was left")
    path.write_bytes(good[:8192] + b"\x55" * 8192 + good[16384:])
    refused(tmp_path, "damaged and was left")
    path.write_bytes(good)
    with RunStore(tmp_path) as store:
        assert len(store.runs()) == 20


def test_a_store_from_a_newer_version_is_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db, db:
        db.execute("CREATE TABLE of_the_future (x)")
        db.execute("PRAGMA user_version = 99")
    refused(tmp_path, "newer version of qhn .schema 99; this one knows up to 2.*Update qhn")


def test_the_database_of_another_program_is_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db, db:
        db.execute("CREATE TABLE recipes (x)")
    refused(tmp_path, "another program's")


@pytest.mark.parametrize("column", ["states.npz", "chunks.npz", "runs.config"])
def test_a_damaged_run_is_told_apart(tmp_path, store, column):
    for run_id in ("run", "other"):
        save(store, path_of(CONFIG, [2]), run_id)
    table, name = column.split(".")
    key = "id" if table == "runs" else "run_id"
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db, db:
        (value,) = db.execute(f"SELECT {name} FROM {table} WHERE {key} = 'run'").fetchone()
        at = len(value) // 2 if name == "config" else value.index(b"NUMPY") + 130  # within the array
        flipped = value[:at] + ("?" if name == "config" else bytes([value[at] ^ 1])) + value[at + 1 :]
        db.execute(f"UPDATE {table} SET {name} = ? WHERE {key} = 'run'", (flipped,))
    with pytest.raises(StoreError, match=r"run run, saved with .*, cannot be read"):
        store.load("run")
    assert store.load("other").state.epoch == 2


@contextmanager
def ordinary_user():
    """Root may write anywhere, so not as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def locked_folder():
    """A folder that others may pass but not write to; pytest's own is closed to other users."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o755)
        yield Path(name)
        os.chmod(name, 0o755)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("state", ["empty", "missing", "full"])
def test_a_read_only_folder(locked_folder, state):
    folder = locked_folder / "sub" if state == "missing" else locked_folder
    if state == "full":
        with RunStore(folder) as store:
            save(store, path_of(CONFIG, [2]))
    os.chmod(locked_folder, 0o555)
    if state == "full":
        os.chmod(folder / "runs.sqlite3", 0o444)
        before = contents(folder)
    with ordinary_user(), pytest.raises(StoreError, match=r"runs.sqlite3: .*Make the folder writable"):
        RunStore(folder)
    if state == "full":
        assert contents(folder) == before


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"File exists\. Make the folder writable, or set QHN_HOME"):
        RunStore(tmp_path / "file")


def test_no_home(monkeypatch):
    """As of a user of a container who is not in its list of users: `~` stays as it is."""
    for name in ("QHN_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(StoreError, match=r"no folder for the runs.*Set QHN_HOME"):
        RunStore()


def test_a_full_disk_costs_only_what_did_not_fit(tmp_path, store, whole):
    steps = path_of(CONFIG, [1] * 12)
    save(store, steps[:3])
    before = store.load("run")
    with store.database.writing() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
    k = 3
    with pytest.raises(StoreError, match=r"disk is full\. Free some space, or set QHN_HOME"):  # noqa: PT012
        while True:
            store.checkpoint("run", CONFIG, "running", *steps[k])
            before, k = store.load("run"), k + 1
    after = store.load("run")
    assert bits(after.state) == bits(before.state)
    assert bits(after.rows) == bits(before.rows)
    with store.database.writing() as db:
        db.execute("PRAGMA max_page_count = 100000")
    save(store, steps[k:])
    assert bits(store.load("run").rows) == bits(whole[1])
    assert ask(tmp_path, "PRAGMA integrity_check") == [("ok",)]


def test_an_error_of_the_disk(tmp_path):
    """A limit on the size of files stands for a disk that refuses to write."""
    code = """
import resource, sys
from pathlib import Path
from qhn_core.storage.runs import RunStore
from qhn_core.storage.database import StoreError
from qhn_core import RunConfig
with RunStore(Path(sys.argv[1])) as store:
    store.checkpoint("0", RunConfig(), "queued", None, None)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
    try:
        for k in range(1, 500):
            store.checkpoint(str(k), RunConfig(), "queued", None, None)
    except StoreError as error:
        print(k, error)
"""
    run = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert "disk failed, or is full. Set QHN_HOME" in run.stdout
    with RunStore(tmp_path) as store:
        assert len(store.runs()) == int(run.stdout.split()[0])


def test_no_space_for_the_folder(tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StoreError, match=r"No space left on device. Free some space"):
        RunStore(tmp_path)


def test_another_program_that_writes_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with RunStore(tmp_path) as store, closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked. Another program is writing"):
            save(store, path_of(CONFIG, []))
        db.execute("ROLLBACK")
        save(store, path_of(CONFIG, []))


def test_a_closed_store_says_so(tmp_path):
    store = RunStore(tmp_path)
    store.database.close()
    store.database.close()
    with pytest.raises(StoreError, match="closed"):
        store.runs()
