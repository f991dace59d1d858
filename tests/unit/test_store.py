import errno
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

import qhn_core as qhn
from qhn_core import RunConfig
from qhn_core import store as store_module
from qhn_core.store import RunStore, StoreError, default_folder, save_run
from qhn_core.training import HISTORY_COLUMNS, advance, initial_state, join_rows, tidy, train
from tests import SECONDS

CONFIG = RunConfig(n_hidden=1, n_seeds=3, epochs=12, shots=20, seed=5)


def bits(thing):
    """All of a state's or a history's numbers, as bytes: nothing is equal but the same."""
    items = thing if isinstance(thing, dict) else {f.name: getattr(thing, f.name) for f in fields(thing)}
    arrays = {name: np.asarray(value) for name, value in items.items()}
    return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


def path_of(config, sizes):
    """(state, rows) after the initial state and after each chunk."""
    steps = [(initial_state(config), None)]
    for size in sizes:
        steps.append(advance(config, steps[-1][0], size))
    return steps


def save(store, steps, run_id="run", config=CONFIG, status="running"):
    for state, rows in steps:
        store.checkpoint(run_id, config, status, state, rows)


@pytest.fixture(scope="module")
def whole():
    """The uninterrupted run."""
    return advance(CONFIG, initial_state(CONFIG), CONFIG.epochs)


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path) as store:
        yield store


def ask(folder, query, *values):
    """What another program reads in the file."""
    with closing(sqlite3.connect(folder / "runs.sqlite3")) as db:
        return db.execute(query, values).fetchall()


@pytest.mark.parametrize("sizes", [[12], [1] * 12, [5, 5, 5], [3, 1, 7, 1]])
def test_chunks_join_to_the_uninterrupted_run(tmp_path, whole, sizes):
    with RunStore(tmp_path) as store:
        save(store, path_of(CONFIG, sizes))
    with RunStore(tmp_path) as store:
        run = store.load("run")
    assert bits(run.state) == bits(whole[0])
    assert bits(run.rows) == bits(whole[1])
    assert list(run.rows) == list(HISTORY_COLUMNS)
    assert run.config == CONFIG
    assert len(ask(tmp_path, "SELECT 1 FROM chunks")) == len(sizes)


@pytest.mark.parametrize(
    "options",
    [
        {"shots": None, "n_layers": 2},
        {"shots": 1, "objective": "mle"},
        {"learning_rate": 1e308},
        {"learning_rate": 0.1, "regularization": 1 / 3, "bandwidth": np.pi, "seed": 2**63 - 1},
    ],
)
def test_every_kind_of_run_comes_back(store, options):
    config = CONFIG.model_copy(update=options)
    steps = path_of(config, [4, 4, 4])
    save(store, steps, config=config)
    run = store.load("run")
    assert run.config == config
    assert bits(run.state) == bits(steps[-1][0])
    assert bits(run.rows) == bits(join_rows([rows for _, rows in steps[1:]]))
    assert bits(dict(run.result().history)) == bits(dict(tidy(run.rows)))


def test_other_programs_can_read_the_file(tmp_path, store):
    steps = path_of(CONFIG, [4, 8])
    save(store, steps)
    header = (tmp_path / "runs.sqlite3").read_bytes()[:100]
    assert header[18:20] == b"\x02\x02"  # write-ahead log, by the SQLite file format
    ((config, hash_, versions),) = ask(tmp_path, "SELECT config, hash, versions FROM runs")
    assert config == CONFIG.model_dump_json()
    assert hash_ == CONFIG.hash
    assert set(json.loads(versions)) == {"qhn_core", "cirq", "qsimcirq", "numpy", "python"}
    ((npz,),) = ask(tmp_path, "SELECT npz FROM states")
    with np.load(BytesIO(npz), allow_pickle=False) as arrays:
        assert bits(dict(arrays)) == bits(steps[-1][0])
    chunks = ask(tmp_path, "SELECT first_epoch, last_epoch, npz FROM chunks ORDER BY first_epoch")
    assert [c[:2] for c in chunks] == [(1, 4), (5, 12)]
    with np.load(BytesIO(chunks[1][2]), allow_pickle=False) as arrays:
        table = arrays["rows"]
    assert bits({c: table[c] for c in table.dtype.names}) == bits(steps[-1][1])


@pytest.mark.parametrize("again", [[1], [2], [1, 2], [2, 1, 2], [0, 1, 2]])
def test_a_retried_chunk_is_not_doubled(store, whole, again):
    steps = path_of(CONFIG, [3, 4, 5])
    save(store, steps[:3])
    save(store, [steps[k] for k in again])
    assert bits(store.load("run").rows) == bits(join_rows([r for _, r in steps[1 : again[-1] + 1]]))
    save(store, steps[again[-1] + 1 :])
    assert bits(store.load("run").rows) == bits(whole[1])


def test_a_chunk_that_overlaps_the_saved_ones_replaces_them(tmp_path, store, whole):
    save(store, path_of(CONFIG, [3, 4]))
    five = advance(CONFIG, initial_state(CONFIG), 5)[0]
    store.checkpoint("run", CONFIG, "running", *advance(CONFIG, five, 7))
    assert bits(store.load("run").rows) == bits(whole[1])
    assert ask(tmp_path, "SELECT first_epoch, last_epoch FROM chunks") == [(1, 3), (4, 12)]


def test_all_rows_at_once_after_failures(store, whole):
    save(store, path_of(CONFIG, [3]))
    store.checkpoint("run", CONFIG, "done", *whole)
    assert bits(store.load("run").rows) == bits(whole[1])


def test_an_earlier_state_cuts_the_history(store):
    steps = path_of(CONFIG, [1, 4])
    save(store, [*steps, (steps[1][0], None)])
    assert bits(store.load("run").rows) == bits(steps[1][1])
    save(store, [steps[0]])
    assert len(store.load("run").rows["epoch"]) == 0
    assert store.runs()[0].test_bce is None


def test_missing_epochs_are_refused_and_nothing_changes(store):
    steps = path_of(CONFIG, [3, 4, 5])
    save(store, steps[:2])
    for state, rows in ((steps[3][0], steps[3][1]), (steps[2][0], None)):
        with pytest.raises(StoreError, match=r"at epoch .*, but its saved history would end at 3"):
            store.checkpoint("run", CONFIG, "done", state, rows)
        assert bits(store.load("run").state) == bits(steps[1][0])
        assert store.load("run").status == "running"
    store.delete("run")
    with pytest.raises(StoreError, match="would end at 0: it was deleted"):
        save(store, steps[2:])
    assert store.load("run") is None


def test_a_run_keeps_its_config(store):
    save(store, path_of(CONFIG, []))
    with pytest.raises(ValueError, match="run: it is saved with another config"):
        store.checkpoint("run", CONFIG.model_copy(update={"seed": 6}), "running", None, None)
    with pytest.raises(ValueError, match="rows without the state"):
        store.checkpoint("run", CONFIG, "running", None, path_of(CONFIG, [1])[1][1])


def test_a_status_alone_leaves_state_and_rows(store):
    store.checkpoint("run", CONFIG, "queued", None, None)
    assert (store.load("run").state, store.runs()[0].epoch) == (None, 0)
    with pytest.raises(ValueError, match="has not started"):
        store.load("run").result()
    steps = path_of(CONFIG, [4])
    save(store, steps)
    store.checkpoint("run", CONFIG, "failed", None, None, "The run failed: no luck")
    run = store.load("run")
    assert (run.status, run.message) == ("failed", "The run failed: no luck")
    assert bits(run.state) == bits(steps[-1][0])
    assert bits(run.rows) == bits(steps[-1][1])


def test_list_of_runs(store):
    before = datetime.now(UTC)
    steps = path_of(CONFIG, [5, 7])
    save(store, steps, "first")
    store.checkpoint("second", CONFIG.model_copy(update={"seed": 1}), "queued", None, None, seconds=2.5)
    store.checkpoint("first", CONFIG, "done", *steps[-1], seconds=1.25)
    second, first = store.runs()
    assert (first.id, second.id) == ("first", "second")
    assert (first.words, first.status, first.epoch) == (CONFIG.in_words(), "done", 12)
    assert RunConfig(**first.config) == CONFIG
    last = tidy(steps[-1][1]).query("epoch == 12")
    assert first.test_bce == pytest.approx(last.test_bce.mean(), abs=1e-15)
    assert first.test_accuracy == pytest.approx(last.test_accuracy.mean(), abs=1e-15)
    assert (second.test_bce, second.epoch) == (None, 0)
    assert (first.seconds, second.seconds) == (1.25, 2.5)
    assert first.versions["qhn_core"] == qhn.__version__
    assert before <= first.created <= first.updated <= datetime.now(UTC)
    assert (store.load("first").created, store.load("first").updated) == (first.created, first.updated)


def test_seconds_count_from_the_first_checkpoint_unless_given(store):
    steps = path_of(CONFIG, [1, 1])
    save(store, steps[:1])
    earlier = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    store._db.execute("UPDATE runs SET created = ?", (earlier,))
    save(store, steps[1:])
    assert store.runs()[0].seconds == pytest.approx(86400, abs=SECONDS)


def test_scores_are_of_the_seeds_that_are_left(store):
    state, rows = advance(CONFIG, initial_state(CONFIG), 4)
    kept = (rows["seed"] != 1) | (rows["epoch"] < 3)
    rows = {name: values[kept] for name, values in rows.items()}
    store.checkpoint("run", CONFIG, "running", replace(state, diverged_at=np.array([0, 3, 0])), rows)
    expected = rows["test_bce"][(rows["epoch"] == 4) & (rows["seed"] != 1)].mean()
    assert store.runs()[0].test_bce == pytest.approx(expected, abs=1e-15)


def test_a_run_whose_seeds_all_diverged(store):
    config = CONFIG.model_copy(update={"learning_rate": 1e308})
    steps = path_of(config, [1, 1, 1])
    assert steps[-1][0].diverged_at.all()
    save(store, steps, config=config, status="diverged")
    assert bits(store.load("run").state) == bits(steps[-1][0])


def test_finished_runs_are_found_by_their_config(tmp_path, store):
    steps = path_of(CONFIG, [12])
    save(store, steps)
    assert store.find_finished(CONFIG) is None
    for run_id in ("older", "newer"):
        save(store, steps, run_id, status="done")
    assert store.find_finished(RunConfig(**CONFIG.model_dump())) == "newer"
    assert store.find_finished(CONFIG.model_copy(update={"seed": 6})) is None
    other = json.dumps({"qhn_core": "0.0.0"})
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db, db:
        db.execute("UPDATE runs SET versions = ? WHERE id = 'newer'", (other,))
    assert store.find_finished(CONFIG) == "older"
    store.delete("older")
    assert store.find_finished(CONFIG) is None


def test_imported_runs_are_kept_apart(store, whole):
    when = datetime(2024, 2, 29, 12, tzinfo=UTC)
    run = store_module.StoredRun(
        CONFIG, "done", *whole, name="theirs", created=when, updated=when, seconds=3.5, imported=True
    )
    run_id = store.add(replace(run, versions={"qhn_core": qhn.__version__}))
    saved = store.load(run_id)
    assert (saved.name, saved.created, saved.seconds, saved.imported) == ("theirs", when, 3.5, True)
    assert bits(saved.rows) == bits(whole[1])
    assert store.find_finished(CONFIG) is None  # anybody may have made up its numbers
    assert store.add(run) != run_id
    store.checkpoint(run_id, CONFIG, "done", *whole)
    assert store.find_finished(CONFIG) is None


def test_rename_and_delete(tmp_path, store):
    for run_id in ("run", "other"):
        save(store, path_of(CONFIG, [2, 2]), run_id)
    store.rename("run", "λ = 10, Gauß")
    save(store, path_of(CONFIG, [4]))
    assert store.load("run").name == "λ = 10, Gauß"
    for bad in ("x" * 121, "two\nlines", "\u202e"):
        with pytest.raises(ValueError, match="120 printable characters"):
            store.rename("run", bad)
    with pytest.raises(ValueError, match="no such run"):
        store.rename("nobody", "x")
    assert store.delete("run")
    assert not store.delete("run")
    assert store.load("run") is None
    for table in ("states", "chunks"):
        assert {run_id for (run_id,) in ask(tmp_path, f"SELECT run_id FROM {table}")} == {"other"}


def test_runs_of_a_dead_server_become_interrupted(tmp_path):
    statuses = ["queued", "running", "paused", "done", "failed", "cancelled", "diverged", "interrupted"]
    with RunStore(tmp_path) as store:
        for status in statuses:
            save(store, path_of(CONFIG, [2]), run_id=f"was {status}", status=status)
    with RunStore(tmp_path) as store:
        assert store.mark_interrupted() == ["was queued", "was running", "was paused"]
        assert [r.status for r in store.runs()][::-1] == ["interrupted"] * 3 + statuses[3:]
        assert store.load("was running").state.epoch == 2
        assert store.mark_interrupted() == []


def test_a_folder_has_one_server_until_its_store_is_closed(tmp_path):
    with RunStore(tmp_path) as first, RunStore(tmp_path) as second:
        assert first.claim()
        assert not second.claim()
        save(second, path_of(CONFIG, [2]))  # both may write
        first.close()
        assert second.claim()
    with RunStore(tmp_path) as third:
        assert third.claim()


def test_a_killed_server_leaves_its_folder_to_the_next(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from qhn_core.store import RunStore; "
        "store = RunStore(Path(sys.argv[1])); print(store.claim(), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "True\n"
        with RunStore(tmp_path) as store:
            assert not store.claim()
            server.kill()
            server.wait()
            assert store.claim()


def test_threads_share_a_store(store, whole):
    steps = path_of(CONFIG, [1] * 12)
    errors = []

    def work(run_id):
        try:
            for state, rows in steps:
                store.checkpoint(run_id, CONFIG, "running", state, rows)
                assert store.load(run_id).state.epoch == state.epoch
                store.runs()
        except BaseException as error:
            errors.append(error)

    run_threads([threading.Thread(target=work, args=(f"run {k}",)) for k in range(8)])
    assert errors == []
    for k in range(8):
        assert bits(store.load(f"run {k}").rows) == bits(whole[1])


def run_threads(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_several_programs_open_a_new_store_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "BUSY_SECONDS", SECONDS)
    for attempt in range(5):
        errors, barrier = [], threading.Barrier(6)

        def work(k, folder=tmp_path / str(attempt), errors=errors, barrier=barrier):
            barrier.wait()
            try:
                with RunStore(folder) as store:
                    save(store, path_of(CONFIG, []), f"run {k}")
            except BaseException as error:
                errors.append(error)

        run_threads([threading.Thread(target=work, args=(k,)) for k in range(6)])
        assert errors == []
        with RunStore(tmp_path / str(attempt)) as store:
            assert len(store.runs()) == 6


def test_opening_waits_for_a_program_that_writes_a_new_file(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "BUSY_SECONDS", SECONDS)
    writer = sqlite3.connect(tmp_path / "runs.sqlite3", isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    end = threading.Timer(0.3, lambda: writer.execute("COMMIT"))
    end.start()
    with RunStore(tmp_path) as store:
        assert store.runs() == []
    end.join()
    writer.close()


def test_a_reader_sees_whole_checkpoints_while_another_program_writes(tmp_path, store):
    save(store, path_of(CONFIG, [2]))
    with RunStore(tmp_path) as other:
        with other._transaction() as db:
            db.execute("UPDATE runs SET status = 'half'")
            db.execute("DELETE FROM states")
            assert store.load("run").status == "running"
            assert store.load("run").state is not None
        assert store.load("run").state is None


def test_default_folder(monkeypatch):
    home = Path.home()
    for name in ("QHN_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_folder() == home / ".local/share/qhn"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_folder() == Path("/data/qhn")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == home / "Library/Application Support/qhn"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert default_folder() == Path("/local/qhn")
    monkeypatch.setenv("QHN_HOME", "~/class")
    assert default_folder() == home / "class"


def test_qhn_home_moves_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("QHN_HOME", str(tmp_path / "not" / "there"))
    with RunStore() as store:
        assert store.path == tmp_path / "not" / "there" / "runs.sqlite3"
    assert store.path.exists()


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
    def fail():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(store_module, "default_folder", fail)
    with pytest.raises(StoreError, match=r"no folder for the runs.*Set QHN_HOME"):
        RunStore()


def test_a_full_disk_costs_only_what_did_not_fit(tmp_path, store, whole):
    steps = path_of(CONFIG, [1] * 12)
    save(store, steps[:3])
    before = store.load("run")
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    k = 3
    with pytest.raises(StoreError, match=r"disk is full\. Free some space, or set QHN_HOME"):  # noqa: PT012
        while True:
            store.checkpoint("run", CONFIG, "running", *steps[k])
            before, k = store.load("run"), k + 1
    after = store.load("run")
    assert bits(after.state) == bits(before.state)
    assert bits(after.rows) == bits(before.rows)
    store._db.execute("PRAGMA max_page_count = 100000")
    save(store, steps[k:])
    assert bits(store.load("run").rows) == bits(whole[1])
    assert ask(tmp_path, "PRAGMA integrity_check") == [("ok",)]


def test_an_error_of_the_disk(tmp_path):
    """A limit on the size of files stands for a disk that refuses to write."""
    code = """
import resource, sys
from pathlib import Path
from qhn_core.store import RunStore, StoreError
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
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    with RunStore(tmp_path) as store, closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked. Another program is writing"):
            save(store, path_of(CONFIG, []))
        db.execute("ROLLBACK")
        save(store, path_of(CONFIG, []))


def test_a_closed_store_says_so(tmp_path):
    store = RunStore(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.runs()


CRASH_CONFIG = RunConfig(n_hidden=1, n_seeds=40, epochs=150, shots=20, seed=3)
WRITER = """
import os, sys
from pathlib import Path
import numpy as np
from qhn_core.config import RunConfig
from qhn_core.exchange import unpack_rows, unpack_state
from qhn_core.store import RunStore
config = RunConfig.model_validate_json(sys.argv[2])
steps = []
for epoch in range(config.epochs + 1):
    state, rows = (Path(f"{sys.argv[1]}/{epoch}.{kind}").read_bytes() for kind in ("state", "rows"))
    steps.append((unpack_state(config, state), unpack_rows(rows, "")))
print("ready", flush=True)
for _ in sys.stdin:  # a line is an order to fork a process that writes until it is killed
    pid = os.fork()
    if pid == 0:
        store = RunStore(Path(sys.argv[1]))
        run = store.load("run")
        epoch = 0 if run is None else run.state.epoch
        print(os.getpid(), flush=True)
        while True:
            epoch = (epoch + 1) % len(steps)  # from the last, the run starts again
            store.checkpoint("run", config, f"at {epoch}", *steps[epoch])
            os.write(1, f"{epoch}\\n".encode())
    os.waitpid(pid, 0)
    print("killed", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="fork and SIGKILL")
def test_a_killed_process_leaves_a_whole_checkpoint(tmp_path):
    steps = path_of(CRASH_CONFIG, [1] * CRASH_CONFIG.epochs)
    steps[0] = (steps[0][0], join_rows([]))
    for state, rows in steps:
        (tmp_path / f"{state.epoch}.state").write_bytes(store_module.pack_state(state))
        (tmp_path / f"{state.epoch}.rows").write_bytes(store_module.pack_rows(rows))
    command = [sys.executable, "-c", WRITER, tmp_path, CRASH_CONFIG.model_dump_json()]
    rng, found = random.Random(1), []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "ready\n"
        for _ in range(12):
            writer.stdin.write("go\n")
            writer.stdin.flush()
            pid = int(writer.stdout.readline())
            acknowledged = None
            for _ in range(rng.randrange(30)):
                acknowledged = int(writer.stdout.readline())
            threading.Event().wait(rng.uniform(0, 0.002))  # anywhere within the next checkpoint
            os.kill(pid, signal.SIGKILL)
            while (line := writer.stdout.readline()) != "killed\n":
                acknowledged = int(line)
            found.append(check_after_crash(tmp_path, steps, acknowledged))
        writer.stdin.close()
    assert len(set(found)) > 3  # it did get on in between
    with RunStore(tmp_path) as store:
        run = store.load("run")
    state, rows = advance(run.config, run.state, run.config.epochs)
    whole = advance(CRASH_CONFIG, initial_state(CRASH_CONFIG), CRASH_CONFIG.epochs)
    assert bits(state) == bits(whole[0])
    assert bits(join_rows([run.rows, rows])) == bits(whole[1])


def check_after_crash(folder, steps, acknowledged):
    """The epoch of the checkpoint that is there, whole."""
    assert ask(folder, "PRAGMA integrity_check") == [("ok",)]
    with RunStore(folder) as store:
        run = store.load("run")
        if run is None:
            assert acknowledged is None
            return 0
    epoch = run.state.epoch
    assert run.status == f"at {epoch}"
    assert bits(run.state) == bits(steps[epoch][0])
    assert bits(run.rows) == bits(join_rows([rows for _, rows in steps[1 : epoch + 1]]))
    if acknowledged is not None:  # what was said to be saved is saved
        assert epoch in (acknowledged, (acknowledged + 1) % len(steps))
    return epoch


def test_save_run_writes_files_for_everybody(tmp_path):
    result = train(CONFIG)
    save_run(tmp_path / "new" / "run", result)
    folder = tmp_path / "new" / "run"
    assert RunConfig.model_validate_json((folder / "config.json").read_text()) == CONFIG
    with np.load(folder / "angles.npz", allow_pickle=False) as angles:
        assert bits(dict(angles)) == bits({"best": result.best_angles, "last": result.state.angles})
    pandas = pytest.importorskip("pandas")
    assert bits(dict(pandas.read_parquet(folder / "history.parquet"))) == bits(dict(result.history))
    with pytest.raises(FileExistsError, match="already holds a run"):
        save_run(folder, result)
