"""Random schedules of everything that people and machines do to a run: none changes a number."""

import multiprocessing
import os
import signal
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qhn_core.jobs.job import LOST_CHUNKS_ALLOWED, Status
from qhn_core.jobs.service import JobService
from qhn_core.jobs.workers import Workers, process_workers
from qhn_core.storage.runs import RunStore
from tests import SECONDS
from tests.manual_executor import ManualClock, ManualExecutor
from tests.small_runs import assert_same_run, assert_whole, small, until

from .deadly import be_there_until_killed, kill_own_worker

pytestmark = pytest.mark.slow

WORKERS = 3
CONFIGS = [small(), small(seed=12, n_seeds=1), small(shots=None, objective="elbo", epochs=4)]
WHICH = st.integers(0, 5)


class Schedules(RuleBasedStateMachine):
    """Three workers, a store, a few runs, and a server that may restart in between."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.known = []
        """Ids of the runs, each once."""
        self.crashes = {}
        """How often workers died while they had a run at that point."""
        self.start()

    def start(self):
        self.hand = ManualExecutor()
        store = RunStore(Path(self.folder.name))
        self.service = JobService(self.hand.workers(WORKERS), store, pace=False, clock=self.hand.clock)

    def jobs(self):
        return [self.service.get(job_id) for job_id in self.known]

    def chosen(self, which):
        return self.service.get(self.known[which % len(self.known)])

    def know(self, job):
        if job.id not in self.known:
            self.known.append(job.id)

    # ---- what people do

    @rule(config=st.sampled_from(CONFIGS), paused=st.booleans())
    def submit(self, config, paused):
        self.know(self.service.submit(config, paused))

    @precondition(lambda self: self.known)
    @rule(which=WHICH)
    def pause(self, which):
        self.service.pause(self.chosen(which).id)

    @precondition(lambda self: self.known)
    @rule(which=WHICH, n_epochs=st.sampled_from([1, 2, None]))
    def resume(self, which, n_epochs):
        self.service.resume(self.chosen(which).id, n_epochs)

    @precondition(lambda self: self.known)
    @rule(which=WHICH, call=st.sampled_from(["pause", "resume"]))
    def pause_or_resume_what_others_watch(self, which, call):
        job = self.chosen(which)
        self.service.view(job, +2)
        self.know(getattr(self.service, call)(job.id, session="mine"))
        self.service.view(job, -2)

    @precondition(lambda self: self.known)
    @rule(which=WHICH)
    def cancel(self, which):
        self.service.cancel(self.chosen(which).id)

    @precondition(lambda self: self.known)
    @rule(which=WHICH)
    def delete(self, which):
        job_id = self.chosen(which).id
        self.service.forget(job_id)
        self.service.store.delete(job_id)
        self.known.remove(job_id)

    @precondition(lambda self: self.known)
    @rule(which=WHICH)
    def wait(self, which):
        job = self.chosen(which)
        while not job.resting:
            assert self.hand.work(), f"{job.status}, but nothing is under way"
        assert self.service.wait(job.id, 0) is job

    # ---- what machines do

    @rule(tasks=st.integers(1, 5))
    def work(self, tasks):
        for _ in range(tasks):
            self.hand.work()

    @rule(tasks=st.integers(0, 1))
    def kill(self, tasks):
        self.work(tasks)
        self.hand.clock.settle()
        self.hand.end_interrupted()
        for job in self.jobs():
            if job.in_flight:
                at = (job.id, job.state is None, job.epoch)
                self.crashes[at] = self.crashes.get(at, 0) + 1
        self.hand.kill()

    @rule(seconds=st.sampled_from([0.1, 0.6]))
    def time_passes(self, seconds):
        """What was stopped is broken off after half a second."""
        self.hand.clock.advance(seconds)

    @rule()
    def restart(self):
        self.known = [job.id for job in self.jobs() if job.stored]
        self.service.shutdown()
        self.start()

    # ---- what must hold

    @invariant()
    def all_runs_are_on_course(self):
        assert self.service.store_problem == ""
        for job in self.jobs():
            assert_same_run(job)

    @invariant()
    def only_what_kills_its_workers_fails(self):
        for job in self.jobs():
            if job.status == Status.FAILED:
                at = (job.id, job.state is None, job.epoch)
                assert self.crashes.get(at, 0) >= LOST_CHUNKS_ALLOWED, job.message

    def teardown(self):
        try:
            self.hand.work_off()
            for job in self.jobs():
                assert not job.status.is_moving, f"{job.status}, but nothing is under way"
                assert job.resting
                self.service.resume(job.id)
            self.hand.work_off()
            for job in self.jobs():
                if job.status not in (Status.CANCELLED, Status.FAILED):
                    assert_whole(job)
            self.all_runs_are_on_course()
        finally:
            self.service.shutdown()
            self.folder.cleanup()


def test_a_hundred_schedules_change_no_number():
    run_state_machine_as_test(
        Schedules,
        settings=settings(
            max_examples=100,
            stateful_step_count=20,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_worker_process_that_is_killed_costs_one_chunk_and_no_number(serve):
    """It is stopped before it is killed, so that it surely has a chunk then."""
    clock, pools, workers = ManualClock(), [], process_workers(1)

    def make():
        pools.append(workers.make())
        return pools[-1]

    service = serve(Workers(make, 1, workers.stop), pace=True, clock=clock)
    jobs = [service.submit(small(seed=seed, n_seeds=2, epochs=40)) for seed in (1, 2)]
    until(lambda: all(job.epoch for job in jobs))  # after an epoch each they wait for the clock
    [worker] = pools[0].pids()
    os.kill(worker, signal.SIGSTOP)
    clock.advance(1)
    assert any(job.in_flight for job in jobs)
    os.kill(worker, signal.SIGKILL)
    until(lambda: pools[0].pids() not in ([], [worker]))
    assert len(pools) == 1
    assert any("going on from epoch" in job.message for job in jobs)
    until(lambda: clock.advance(1) or all(job.status.is_final for job in jobs))
    for job in jobs:
        assert_whole(job)


def test_a_run_that_kills_its_workers_fails_alone(serve, tmp_path):
    """Three times by itself, after a first time for which the other run could have been to blame."""
    innocent_config, deadly_config = (small(seed=seed, n_seeds=1, epochs=1) for seed in (1, 2))
    tries = []

    class DeadlyPool(ProcessPoolExecutor):
        def __init__(self):
            super().__init__(2, mp_context=multiprocessing.get_context("spawn"))
            for _ in range(2):  # Python may miss the death of a worker that comes before any result
                super().submit(time.sleep, 0)

        def submit(self, function, config, *arguments):
            tries.append(config)
            mark = tmp_path / "the innocent is there"
            if config == deadly_config:
                return super().submit(kill_own_worker, mark)
            if len(tries) == 1:
                return super().submit(be_there_until_killed, mark)
            return super().submit(function, config, *arguments)

    service = serve(Workers(DeadlyPool, 2))
    innocent, deadly = service.submit(innocent_config), service.submit(deadly_config)
    assert service.wait(deadly.id, SECONDS).status == Status.FAILED
    assert "Epoch 1 failed 3 times" in deadly.message
    assert "worker died" in deadly.message
    assert_whole(service.wait(innocent.id, SECONDS))
    assert tries.count(deadly_config) == 1 + LOST_CHUNKS_ALLOWED
    assert tries.count(innocent_config) == 2
