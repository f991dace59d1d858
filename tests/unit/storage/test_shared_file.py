"""A store that several threads and programs have open, and one that is killed."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from qhn_core import RunConfig
from qhn_core.storage import database
from qhn_core.storage.run_record import pack_rows, pack_state
from qhn_core.storage.runs import RunStore
from qhn_core.training.history import join_rows
from qhn_core.training.loop import advance, initial_state
from tests import SECONDS
from tests.unit.stored import CONFIG, ask, bits, path_of, save


def test_a_folder_has_one_server_until_its_store_is_closed(tmp_path):
    with RunStore(tmp_path) as first, RunStore(tmp_path) as second:
        assert first.database.claim()
        assert not second.database.claim()
        save(second, path_of(CONFIG, [2]))  # both may write
        first.database.close()
        assert second.database.claim()
    with RunStore(tmp_path) as third:
        assert third.database.claim()


def test_a_killed_server_leaves_its_folder_to_the_next(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from qhn_core.storage.runs import RunStore; "
        "store = RunStore(Path(sys.argv[1])); print(store.database.claim(), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "True\n"
        with RunStore(tmp_path) as store:
            assert not store.database.claim()
            server.kill()
            server.wait()
            assert store.database.claim()


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
    monkeypatch.setattr(database, "BUSY_SECONDS", SECONDS)
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
    monkeypatch.setattr(database, "BUSY_SECONDS", SECONDS)
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
        with other.database.writing() as db:
            db.execute("UPDATE runs SET status = 'half'")
            db.execute("DELETE FROM states")
            assert store.load("run").status == "running"
            assert store.load("run").state is not None
        assert store.load("run").state is None


CRASH_CONFIG = RunConfig(n_hidden=1, n_seeds=40, epochs=150, shots=20, seed=3)
WRITER = """
import os, sys
from pathlib import Path
import numpy as np
from qhn_core.config import RunConfig
from qhn_core.storage.run_record import unpack_rows, unpack_state
from qhn_core.storage.runs import RunStore
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
        (tmp_path / f"{state.epoch}.state").write_bytes(pack_state(CRASH_CONFIG, state))
        (tmp_path / f"{state.epoch}.rows").write_bytes(pack_rows(rows))
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
