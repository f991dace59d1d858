"""Tasks that fail, workers that die, and seeds that diverge."""

from concurrent.futures import BrokenExecutor, ThreadPoolExecutor

import pytest

from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import ServerFullError
from qhn_core.jobs.workers import Workers
from tests import SECONDS
from tests.diverging import DIVERGES, lower_the_bound
from tests.manual_executor import ManualClock, ManualExecutor, Pool
from tests.small_runs import assert_same_run, assert_whole, small


def test_a_chunk_that_fails_three_times_fails_its_job_alone(serve, hand):
    service = serve(hand)
    bad, good = service.submit(small()), service.submit(small(seed=5))
    tries = 0
    while not (bad.status.is_final and good.status.is_final):
        task = hand.next_task()
        if task.config is bad.config:
            tries += 1
            task.fail(RuntimeError("the disc is full"))
        else:
            task.finish()
    assert (bad.status, tries) == (Status.FAILED, 3)
    assert "Epoch 1" in bad.message
    assert "the disc is full" in bad.message
    assert_whole(good)


def test_a_chunk_that_fails_once_is_repeated(serve, hand):
    service = serve(hand)
    job = service.submit(small())
    hand.work()
    hand.next_task().fail(MemoryError())
    hand.work_off()
    assert_whole(job)


def test_an_error_inside_a_worker_reaches_the_visitor(serve):
    service = serve()
    job = service.wait(service.submit(small(simulator="qsim-cuda")).id, SECONDS)
    assert job.status == Status.FAILED
    assert "CUDA" in job.message
    assert service.wait(service.submit(small(epochs=2)).id, SECONDS).status == Status.DONE


def test_a_lost_worker_costs_one_chunk(serve, hand):
    service = serve(hand)
    job = service.submit(small())
    hand.work()
    for _ in range(2):
        hand.next_task().lose()
        assert (job.status, job.epoch) == (Status.RUNNING, 1)
        assert "going on from epoch 1" in job.message
    hand.work()
    assert job.message == ""
    epochs = [1, 2]
    while hand.work():
        epochs.append(job.epoch)
    assert epochs == [1, 2, 3, 4, 5, 6]
    assert_whole(job)


def test_a_chunk_that_kills_its_worker_each_time_is_given_up(serve, hand):
    service = serve(hand)
    deadly, other = service.submit(small()), service.submit(small(seed=5))
    deaths = 0
    while not (deadly.status.is_final and other.status.is_final):
        task = hand.next_task()
        if task.config is deadly.config:
            task.lose()
            deaths += 1
        else:
            task.finish()
    assert deadly.status == Status.FAILED
    assert deaths == 1 + 3  # the first may be another's fault: after it the job is tried alone
    assert "its worker died" in deadly.message
    assert other.message == ""
    assert_whole(other)


def test_two_deaths_at_each_of_many_chunks_end_no_run(serve, hand):
    service = serve(hand)
    job = service.submit(small(epochs=3))
    while not job.status.is_final:
        hand.next_task().lose()
        hand.next_task().lose()
        hand.work()
    assert_whole(job)


def test_one_crash_is_one_failure_however_many_shards_it_took(serve, hand):
    """Seven seeds on seven workers: all seven are lost at once, by one kill."""
    service = serve(hand, count=7)
    job = service.submit(small(n_seeds=7))
    hand.clock.settle()
    assert len(hand.tasks) == 7
    hand.kill()
    hand.work_off()
    assert_whole(job)


def test_a_pool_that_broke_while_idle_is_rebuilt(serve):
    class Broken(Pool):
        def submit(self, function, *arguments):
            raise BrokenExecutor("a worker died")

    pools = [Broken(ManualClock()), ThreadPoolExecutor(1)]
    service = serve(Workers(lambda: pools.pop(0), 1))
    assert_whole(service.wait(service.submit(small()).id, SECONDS))


def test_workers_that_can_not_be_had_any_more_end_a_run_with_the_reason(serve):
    """A Dask client that has lost its scheduler, or a system that has no more processes to give."""

    class Lost(ManualExecutor):
        def make(self):
            if self.pools:
                raise OSError("no more workers")
            return super().make()

    hand = Lost()
    service = serve(hand)
    job = service.submit(small())
    assert hand.work()
    hand.kill()
    assert job.resting, f"{job.status}, but nothing is under way"
    assert "no more workers" in job.message
    assert job.epoch > 0
    assert_same_run(job)


def test_a_cluster_that_is_lost_interrupts_its_runs_and_says_so(serve, hand):
    """Its tasks never come back, not even with an error; one that does come back late changes nothing."""
    reason = []
    workers = Workers(hand.make, 2, lost=lambda: "".join(reason))
    service = serve(workers, clock=hand.clock)
    job = service.submit(small())
    for _ in range(4):
        hand.work()
    hand.clock.settle()
    assert len(hand.tasks) == 2
    reason.append("the cluster is gone")
    hand.clock.advance(1)
    assert job.status == Status.INTERRUPTED
    assert (job.resting, job.message) == (True, "the cluster is gone")
    epoch = job.epoch
    with pytest.raises(ServerFullError, match="the cluster is gone"):
        service.submit(small(seed=12))
    with pytest.raises(ServerFullError, match="the cluster is gone"):
        service.resume(job.id)
    hand.work_one()
    assert (job.status, job.epoch) == (Status.INTERRUPTED, epoch)
    assert_same_run(job)
    reason.clear()
    service.resume(job.id)
    hand.work_off()
    assert_whole(job)


@pytest.mark.parametrize("options", [{}, {"epochs": 200}])
def test_a_diverging_run_says_so_and_keeps_its_history(serve, monkeypatch, options):
    lower_the_bound(monkeypatch)
    service = serve()
    config = small(**{**DIVERGES, **options})
    job = service.wait(service.submit(config).id, SECONDS)
    assert job.status == Status.DIVERGED
    assert "diverged" in job.message
    assert f"epoch {job.state.diverged_at[0]}" in job.message
    assert "Lower the learning rate" in job.message
    assert job.rows()["epoch"].tolist() == list(range(1, job.state.diverged_at[0]))
    assert job.state.diverged_at[0] > 1
    assert_same_run(job)
