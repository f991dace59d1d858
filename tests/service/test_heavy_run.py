"""A run whose epoch takes hours, beside a small one, on real worker processes."""

import pytest

import qhn_core as qhn
from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import Limits
from qhn_core.jobs.workers import Workers, process_workers
from tests.service.browserless import is_running
from tests.small_runs import assert_whole, small, until

HEAVY = qhn.RunConfig(n_layers=6, n_hidden=5, shots=10_000, n_seeds=100, epochs=2000)


@pytest.mark.parametrize("stop", ["pause", "cancel"])
def test_a_heavy_run_holds_up_nobody_and_leaves_its_worker_when_it_is_stopped(serve, stop):
    pools, workers = [], process_workers(2)

    def make():
        pools.append(workers.make())
        return pools[-1]

    watched = Workers(make, 2, workers.stop, interrupt=workers.interrupt)
    service = serve(watched, pace=True, limits=Limits(max_hours=10**6))
    heavy = service.submit(HEAVY)
    until(lambda: heavy.in_flight)
    light = service.submit(small())
    until(lambda: light.status.is_final)
    assert_whole(light)
    assert (heavy.status, heavy.epoch, heavy.in_flight) == (Status.QUEUED, 0, 1)
    until(lambda: len(pools[0].pids()) == 2)
    before = pools[0].pids()
    getattr(service, stop)(heavy.id)
    until(lambda: heavy.resting)
    assert heavy.epoch == 0  # no epoch was waited for
    until(lambda: sum(is_running(pid) for pid in before) == 1)
    after = service.submit(small(seed=12))
    until(lambda: after.status.is_final)
    assert_whole(after)
