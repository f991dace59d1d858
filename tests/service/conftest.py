import pytest

from qhn_core.jobs import scheduler
from qhn_core.jobs.service import JobService

from .helpers import Hand


@pytest.fixture
def serve():
    """serve(workers, store) -> a JobService, ended after the test."""
    services = []

    def make(workers, store=None, **options):
        services.append(JobService(workers, store, **{"pace": False, **options}))
        return services[-1]

    yield make
    for service in services:
        service.shutdown()


@pytest.fixture
def hand(monkeypatch):
    """Workers that work when the test says so, an epoch at a time."""
    monkeypatch.setattr(scheduler, "UNPACED_CHUNK_SECONDS", 0)
    return Hand()
