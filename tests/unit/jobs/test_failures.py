from concurrent.futures import BrokenExecutor, ThreadPoolExecutor

import pytest

from qhn_core.jobs.job import Status
from qhn_core.jobs.service import JobService
from qhn_core.jobs.workers import Workers
from tests import SECONDS
from tests.diverging import DIVERGES, lower_the_bound
from tests.unit.by_hand import ByHand, assert_same_run, finish, lose, small


def test_a_chunk_that_fails_three_times_fails_its_job_alone(serve, hand):
    service = serve(hand)
    bad, good = service.submit(small()), service.submit(small(seed=5))
    tries = 0
    while not (bad.final and good.final):
        chunk = hand.next_chunk()
        if chunk[2][0] is bad.config:
            tries += 1
            chunk[0].set_exception(RuntimeError("the disc is full"))
        else:
            finish(chunk)
    assert (bad.status, tries) == (Status.FAILED, 3)
    assert "Epoch 1" in bad.message
    assert "the disc is full" in bad.message
    assert good.status == Status.DONE
    assert_same_run(good, good.config)


def test_a_chunk_that_fails_once_is_repeated(serve, hand):
    service, config = serve(hand), small(epochs=3)
    job = service.submit(config)
    hand.run_chunk()
    hand.next_chunk()[0].set_exception(MemoryError())
    hand.run_all(job)
    assert job.status == Status.DONE
    assert_same_run(job, config)


def test_an_error_inside_a_worker_reaches_the_visitor(serve):
    service = serve()
    job = service.wait(service.submit(small(simulator="qsim-cuda")).id, SECONDS)
    assert job.status == Status.FAILED
    assert "CUDA" in job.message
    assert service.wait(service.submit(small(epochs=2)).id, SECONDS).status == Status.DONE


def test_a_lost_worker_costs_one_chunk(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config)
    hand.run_chunk()
    for _ in range(2):
        lose(hand.next_chunk())
        assert (job.status, job.epoch) == (Status.RUNNING, 1)
        assert "going on from epoch 1" in job.message
    hand.run_chunk()
    assert job.message == ""
    epochs = [1, 2]
    while not job.final:
        hand.run_chunk()
        epochs.append(job.epoch)
    assert epochs == list(range(1, 10))
    assert_same_run(job, config)


def test_a_chunk_that_kills_its_worker_each_time_is_given_up(serve, hand):
    service = serve(hand)
    deadly, other = service.submit(small()), service.submit(small(seed=5))
    deaths = 0
    while not (deadly.final and other.final):
        chunk = hand.next_chunk()
        if chunk[2][0] is deadly.config:
            lose(chunk)
            deaths += 1
        else:
            finish(chunk)
    assert deadly.status == Status.FAILED
    assert deaths == 1 + 3  # the first may be another's fault: after it the job is tried alone
    assert "its worker died" in deadly.message
    assert other.status == Status.DONE
    assert other.message == ""
    assert_same_run(other, other.config)


def test_two_deaths_at_each_of_many_chunks_end_no_run(serve, hand):
    service, config = serve(hand), small(epochs=3)
    job = service.submit(config)
    while not job.final:
        lose(hand.next_chunk())
        lose(hand.next_chunk())
        hand.run_chunk()
    assert job.status == Status.DONE
    assert_same_run(job, config)


def test_a_pool_that_broke_while_idle_is_rebuilt():
    class Broken(ByHand):
        def submit(self, function, *arguments):
            raise BrokenExecutor("a worker died")

    pools = [Broken(), ThreadPoolExecutor(1)]
    service = JobService(Workers(lambda: pools.pop(0), 1))
    config = small(epochs=2)
    job = service.wait(service.submit(config).id, SECONDS)
    service.shutdown()
    assert job.status == Status.DONE
    assert_same_run(job, config)


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
    assert_same_run(job, config)
