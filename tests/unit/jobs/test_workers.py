import multiprocessing
import os
import subprocess
import sys
import threading
from types import ModuleType

import numpy as np
import pytest

import qhn_core as qhn
from qhn_core.jobs.cost import shard_seeds
from qhn_core.jobs.workers import process_workers, run_chunk, thread_workers, warm_up
from qhn_core.training.loop import advance, initial_state
from tests import SECONDS
from tests.small_runs import small

LIBRARIES = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
PARENT_ONLY = "a module that a forked child would have too"


@pytest.fixture(scope="module")
def pool():
    """One worker process."""
    with pytest.MonkeyPatch.context() as environment:
        for name in LIBRARIES:
            environment.delenv(name, raising=False)
        environment.setitem(sys.modules, PARENT_ONLY, sys)
        with process_workers(1).make() as pool:
            yield pool


def assert_same(one, two):
    (state, rows), (other_state, other_rows) = one, two
    for name, values in vars(state).items():
        np.testing.assert_array_equal(values, getattr(other_state, name), err_msg=name)
    assert list(rows) == list(other_rows)
    for name in rows:
        np.testing.assert_array_equal(rows[name], other_rows[name], err_msg=name)


def test_work_runs_in_another_process(pool):
    [child] = {pool.submit(os.getpid).result(SECONDS) for _ in range(3)}
    assert child != os.getpid()
    assert child in {process.pid for process in multiprocessing.active_children()}


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_worker_uses_one_thread(pool, name):
    assert pool.submit(os.getenv, name).result(SECONDS) == "1"


def test_a_worker_is_a_fresh_process_not_a_fork(pool):
    """A fork after a threaded call hangs."""
    assert PARENT_ONLY in sys.modules
    assert pool.submit(eval, f"{PARENT_ONLY!r} in __import__('sys').modules").result(SECONDS) is False


def test_a_chunk_in_a_worker_has_the_same_numbers_as_here(pool):
    config = small()
    first = pool.submit(run_chunk, config, np.arange(3), 2).result(SECONDS)
    assert_same(first, advance(config, initial_state(config), 2))
    second = pool.submit(run_chunk, config, first[0], 4).result(SECONDS)
    assert_same(second, advance(config, first[0], 4))
    assert second[0].epoch == 6


def test_no_epochs_give_the_initial_state():
    config = small()
    state, rows = run_chunk(config, np.arange(3), 0)
    assert_same((state, rows), (initial_state(config), advance(config, state, 0)[1]))
    assert len(rows["epoch"]) == 0


def test_warming_up_runs_both_gradients(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "qhn_core.jobs.workers.run_chunk", lambda config, state, n: seen.append(config.gradient)
    )
    warm_up()
    assert sorted(seen) == ["algorithm-1", "chain-rule"]


@pytest.mark.parametrize(("cores", "workers"), [(1, 2), (2, 2), (8, 7), (None, 2)])
def test_one_core_is_left_to_the_server_and_one_worker_to_short_tasks(monkeypatch, cores, workers):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert process_workers().count == workers


def test_as_many_tasks_run_at_once_as_are_promised():
    workers = thread_workers(3)
    together = threading.Barrier(workers.count)
    with workers.make() as pool:
        for future in [pool.submit(together.wait, SECONDS) for _ in range(workers.count)]:
            future.result(SECONDS)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_seed_is_in_one_shard(workers):
    for n_seeds in (1, 5, 100):
        parts = shard_seeds(small(n_seeds=n_seeds), workers)
        assert np.concatenate(parts).tolist() == list(range(n_seeds))
        assert len(parts) >= min(workers, n_seeds)


def test_a_worker_ends_when_its_server_is_killed(tmp_path):
    """However the server dies, no process stays behind: they all hold its standard output."""
    program = tmp_path / "server.py"
    program.write_text(
        "import os, sys, time\n"
        "from qhn_core.jobs.workers import process_workers\n"
        "if __name__ == '__main__':\n"
        "    pool = process_workers(1).make()\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    server = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    worker = int(server.stdout.readline())
    server.kill()
    server.communicate(timeout=SECONDS)  # returns when nobody has the pipe open any more
    assert worker != server.pid


def test_workers_do_not_run_the_file_of_the_main_module(tmp_path, monkeypatch):
    """Streamlit makes the page that is drawn the main module; a worker must not draw it too."""
    page = tmp_path / "page.py"
    page.write_text("raise SystemExit('a worker ran the page')")
    main = ModuleType("__main__")
    main.__file__ = str(page)
    monkeypatch.setitem(sys.modules, "__main__", main)
    workers = process_workers(1)
    pool = workers.make()
    try:
        assert pool.submit(abs, -3).result(timeout=SECONDS) == 3
    finally:
        pool.shutdown()
    assert sys.modules["__main__"] is main


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"n_seeds": 8}, 2),
        ({"n_seeds": 8, "dataset": "digits", "n_hidden": 2}, 8),  # half a second each
        ({"n_seeds": 8, "n_hidden": 8}, 4),  # 0.14 s each
        ({"n_seeds": 8, "n_hidden": 10**4}, 8),
        ({"n_seeds": 8, "n_hidden": 10**4, "shots": None}, 8),
    ],
)
def test_no_network_is_too_large_to_estimate_an_epoch(options, parts):
    assert len(shard_seeds(qhn.RunConfig(**options), workers=2)) == parts
