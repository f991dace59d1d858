"""Fixtures of the tests of the store and of jobs."""

import pytest

from qhn_core import scheduler
from qhn_core.execution import Workers, thread_workers
from qhn_core.service import JobService
from qhn_core.store import RunStore
from qhn_core.training import advance, initial_state

from .by_hand import ByHand
from .stored import CONFIG


@pytest.fixture(scope="module")
def whole():
    """The uninterrupted run."""
    return advance(CONFIG, initial_state(CONFIG), CONFIG.epochs)


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path) as store:
        yield store


@pytest.fixture
def serve():
    """serve(hand) -> a JobService whose chunks run by hand; serve() -> one on a thread."""
    services = []

    def make(hand=None, threads=1, **options):
        workers = thread_workers(threads) if hand is None else Workers(hand.again, 1)
        services.append(JobService(workers, **options))
        return services[-1]

    yield make
    for service in services:
        service.shutdown()


@pytest.fixture
def hand(monkeypatch):
    """Chunks of one epoch that are due at once, and run when the test says so."""
    monkeypatch.setattr(scheduler, "EPOCHS_PER_SECOND", 1e9)
    monkeypatch.setattr(scheduler, "CHUNK_SECONDS", 1e-9)
    return ByHand()
