"""What all tests share: runs are stored in a folder of their own, never in the user's."""

import os
import tempfile

import pytest

from qhn_core.jobs.service import JobService
from qhn_core.jobs.workers import thread_workers
from tests.manual_executor import ManualExecutor

_home = tempfile.TemporaryDirectory(prefix="qhn-tests-")
os.environ["QHN_HOME"] = _home.name


@pytest.fixture
def hand():
    """Workers that work when the test says so; a chunk is an epoch, since no time passes meanwhile."""
    return ManualExecutor()


@pytest.fixture
def serve():
    """serve(hand) -> a JobService on those workers, ended after the test; serve(workers) -> on others."""
    services = []

    def make(workers=None, store=None, count=1, **options):
        if isinstance(workers, ManualExecutor):
            options = {"clock": workers.clock, **options}
            workers = workers.workers(count)
        services.append(JobService(workers or thread_workers(count), store, **{"pace": False, **options}))
        return services[-1]

    yield make
    for service in services:
        service.shutdown()
