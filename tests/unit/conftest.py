"""Fixtures of the tests of the store, of jobs and of sweeps."""

import pytest

from qhn_core.cli import sweep as sweep_command
from qhn_core.jobs import scheduler, sweep
from qhn_core.jobs.workers import thread_workers
from qhn_core.storage.runs import RunStore
from qhn_core.training.loop import advance, initial_state

from .stored import CONFIG
from .sweeps import Counter


@pytest.fixture(scope="module")
def whole():
    """The uninterrupted run."""
    return advance(CONFIG, initial_state(CONFIG), CONFIG.epochs)


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path) as store:
        yield store


@pytest.fixture
def counted(monkeypatch):
    """counted() -> from now on, the epochs that are computed, by config; an epoch a chunk."""
    monkeypatch.setattr(scheduler, "UNPACED_CHUNK_SECONDS", 0)
    monkeypatch.setattr(scheduler, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.001)

    def start():
        counter = Counter()
        monkeypatch.setattr(scheduler, "run_chunk", counter)
        return counter.epochs

    return start


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty store for the command line, and threads in place of processes."""
    monkeypatch.setenv("QHN_HOME", str(tmp_path))
    monkeypatch.delenv("QHN_SCHEDULER", raising=False)
    monkeypatch.setattr(
        sweep_command, "choose_workers", lambda scheduler, count: thread_workers(count or 1)
    )
    return tmp_path
