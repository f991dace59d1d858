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

from qhn_core.jobs import scheduler
from qhn_core.jobs.job import MOVING, Status
from qhn_core.jobs.limits import ServerFullError
from qhn_core.jobs.scheduler import LOST_CHUNKS_ALLOWED
from qhn_core.jobs.service import JobService
from qhn_core.jobs.workers import Workers, process_workers
from qhn_core.storage.runs import RunStore
from tests import SECONDS

from .deadly import be_there_until_killed, kill_own_worker
from .helpers import Hand, assert_on_course, assert_whole, settle, small, until

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
        self.hand = Hand()
        store = RunStore(Path(self.folder.name))
        self.service = JobService(self.hand.workers(WORKERS), store, pace=False)

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
            assert self.hand.work(self.service), f"{job.status}, but nothing is under way"
        assert self.service.wait(job.id, 0) is job

    # ---- what machines do

    @rule(tasks=st.integers(1, 5))
    def work(self, tasks):
        for _ in range(tasks):
            self.hand.work(self.service)

    @rule(tasks=st.integers(0, 1))
    def kill(self, tasks):
        self.work(tasks)
        settle(self.service)
        for job in self.jobs():
            if job.in_flight:
                at = (job.id, job.state is None, job.epoch)
                self.crashes[at] = self.crashes.get(at, 0) + 1
        self.hand.kill()

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
            assert_on_course(job)

    @invariant()
    def only_what_kills_its_workers_fails(self):
        for job in self.jobs():
            if job.status == Status.FAILED:
                at = (job.id, job.state is None, job.epoch)
                assert self.crashes.get(at, 0) >= LOST_CHUNKS_ALLOWED, job.message

    def teardown(self):
        try:
            self.hand.work_off(self.service)
            for job in self.jobs():
                assert job.status not in MOVING, f"{job.status}, but nothing is under way"
                assert job.resting
                self.service.resume(job.id)
            self.hand.work_off(self.service)
            for job in self.jobs():
                if job.status not in (Status.CANCELLED, Status.FAILED):
                    assert_whole(job)
            self.all_runs_are_on_course()
        finally:
            self.service.shutdown()
            self.folder.cleanup()


def test_a_hundred_schedules_change_no_number(monkeypatch):
    monkeypatch.setattr(scheduler, "UNPACED_CHUNK_SECONDS", 0)  # an epoch a chunk: the most to go wrong
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


def test_a_worker_process_that_is_killed_costs_one_chunk_and_no_number(serve, monkeypatch):
    """It is stopped before it is killed, so that it surely has a chunk then."""
    monkeypatch.setattr(scheduler, "EPOCHS_PER_SECOND", 1e-6)  # after an epoch each, the runs wait
    service = serve(process_workers(1), pace=True)
    jobs = [service.submit(small(seed=seed, n_seeds=2, epochs=40)) for seed in (1, 2)]
    until(lambda: all(job.epoch for job in jobs))
    pool = service._executor
    [worker] = pool._processes
    os.kill(worker, signal.SIGSTOP)
    monkeypatch.setattr(scheduler, "EPOCHS_PER_SECOND", 1e6)
    with service._changed:
        for job in jobs:
            job.due = 0.0
        service._changed.notify_all()
    until(lambda: any(job.in_flight for job in jobs))
    os.kill(worker, signal.SIGKILL)
    until(lambda: service._executor is not pool)
    assert any("going on from epoch" in job.message for job in jobs)
    for job in jobs:
        assert_whole(service.wait(job.id, SECONDS))


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


def test_one_crash_is_one_failure_however_many_parts_it_took(serve):
    """Seven seeds on seven workers: all seven are lost at once, by one kill."""
    hand = Hand()
    service = serve(hand.workers(7))
    job = service.submit(small(n_seeds=7))
    settle(service)
    assert hand.in_flight == 7
    hand.kill()
    hand.work_off(service)
    assert_whole(job)


def test_workers_that_can_not_be_had_any_more_end_a_run_with_the_reason(serve):
    """A Dask client that has lost its scheduler, or a system that has no more processes to give."""

    class Lost(Hand):
        def make(self):
            if self.pools:
                raise OSError("no more workers")
            return super().make()

    hand = Lost()
    service = serve(hand.workers())
    job = service.submit(small())
    assert hand.work(service)
    hand.kill()
    service.wait(job.id, SECONDS)  # at once, in fact
    assert job.resting, f"{job.status}, but nothing is under way"
    assert "no more workers" in job.message
    assert job.epoch > 0
    assert_on_course(job)


def test_a_cluster_that_is_lost_interrupts_its_runs_and_says_so(serve, monkeypatch):
    """Its tasks never come back, not even with an error; one that does come back late changes nothing."""
    monkeypatch.setattr(scheduler, "UNPACED_CHUNK_SECONDS", 0)
    hand, reason = Hand(), []
    workers = hand.workers(2)
    service = serve(Workers(workers.make, workers.count, lost=lambda: "".join(reason)))
    job = service.submit(small())
    for _ in range(4):
        hand.work(service)
    settle(service)
    assert hand.in_flight == 2
    reason.append("the cluster is gone")
    until(lambda: job.status == Status.INTERRUPTED)
    assert (job.resting, job.message) == (True, "the cluster is gone")
    epoch = job.epoch
    with pytest.raises(ServerFullError, match="the cluster is gone"):
        service.submit(small(seed=12))
    with pytest.raises(ServerFullError, match="the cluster is gone"):
        service.resume(job.id)
    hand.work_one()
    assert (job.status, job.epoch) == (Status.INTERRUPTED, epoch)
    assert_on_course(job)
    reason.clear()
    service.resume(job.id)
    hand.work_off(service)
    assert_whole(job)
