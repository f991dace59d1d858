"""A run whose tasks take minutes: nobody waits for it, and it stops when it is told to."""

import pytest

from qhn_core.jobs import cost
from qhn_core.jobs.job import Status
from qhn_core.jobs.scheduler import OVERDUE_SECONDS, STOP_SECONDS, UNPACED_CHUNK_SECONDS
from tests.small_runs import assert_same_run, assert_whole, small

LONG = {"seed": 99, "n_seeds": 4, "epochs": 2}


@pytest.fixture
def long_epochs(monkeypatch):
    """An epoch of a seed takes 100 s, as estimated; that of a run with another seed is short."""

    def epoch_seconds(config):
        return 100.0 if config.seed == LONG["seed"] else 1e-3

    monkeypatch.setattr(cost, "epoch_seconds", epoch_seconds)
    monkeypatch.setattr("qhn_core.jobs.job.epoch_seconds", epoch_seconds)


def seeds_of(hand):
    """The seeds of the configs of the tasks under way, in the order in which they were handed out."""
    hand.clock.settle()
    return [task.config.seed for task in hand.tasks]


def take(hand, seed):
    """Take the first task of the run with that seed from its worker."""
    task = next(task for task in hand.tasks if task.config.seed == seed)
    hand.tasks.remove(task)
    return task


# --- one worker is for short tasks -------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 7])
def test_long_tasks_leave_one_worker_to_a_short_run(serve, hand, long_epochs, count):
    service = serve(hand, count=count, pace=True)
    for epochs in (2, 3):
        service.submit(small(**{**LONG, "n_seeds": 7, "epochs": epochs}))
    assert seeds_of(hand) == [LONG["seed"]] * (count - 1)
    service.submit(small(seed=1, n_seeds=1))
    assert seeds_of(hand) == [LONG["seed"]] * (count - 1) + [1]


def test_short_runs_without_end_do_not_starve_a_long_one(serve, hand, long_epochs):
    service = serve(hand, count=2, pace=True)
    shorts = [service.submit(small(seed=seed, n_seeds=1, epochs=500)) for seed in (1, 2, 3)]
    long = service.submit(small(**LONG))
    tasks = 0
    while not long.status.is_final:
        hand.work()
        hand.clock.advance(0.05)
        tasks += 1
    assert_whole(long)
    assert tasks < 8 * 8  # its eight tasks each had their turn among four runs on two workers
    assert all(job.epoch > 1 for job in shorts)


def test_without_a_pace_all_workers_take_long_tasks(serve, hand, long_epochs):
    """A sweep from the command line has nobody who waits."""
    service = serve(hand, count=3, pace=False)
    service.submit(small(**LONG))
    assert seeds_of(hand) == [LONG["seed"]] * 3


def test_a_single_worker_takes_long_tasks_too(serve, hand, long_epochs):
    service = serve(hand, count=1, pace=True)
    long = service.submit(small(**LONG))
    while hand.work():
        hand.clock.advance(1)
    assert_whole(long)


def test_a_task_that_was_thought_to_be_short_gives_way_and_is_done_again(serve, hand, long_epochs):
    service = serve(hand, count=2, pace=True)
    long = service.submit(small(**LONG))
    misjudged = service.submit(small(seed=1, n_seeds=1, epochs=2))
    assert seeds_of(hand) == [LONG["seed"], 1]
    hand.clock.advance(OVERDUE_SECONDS / 2)
    short = service.submit(small(seed=2, n_seeds=1, epochs=1))
    assert seeds_of(hand) == [LONG["seed"], 1]
    hand.clock.advance(OVERDUE_SECONDS)
    hand.end_interrupted()
    assert seeds_of(hand) == [LONG["seed"], 2]
    while not misjudged.status.is_final or not long.status.is_final:
        hand.work()
        hand.clock.advance(0.05)
    for job in (long, misjudged, short):
        assert_whole(job)
    assert misjudged.lost_chunks == 0


def test_a_task_that_takes_long_while_nobody_waits_is_left_alone(serve, hand, long_epochs):
    service = serve(hand, count=2, pace=True)
    service.submit(small(**LONG))
    service.submit(small(seed=1, n_seeds=1))
    hand.clock.advance(100)
    assert not hand.interrupted


def test_a_run_that_turned_out_short_may_use_all_workers(serve, hand, long_epochs):
    """What its epochs took replaces the estimate; not the first, which may have compiled something."""
    service = serve(hand, count=2, pace=True)
    service.submit(small(**{**LONG, "epochs": 9}))
    for _ in range(2 * 4):
        assert len(seeds_of(hand)) == 1
        hand.work()
        hand.clock.advance(0.1)
    assert len(seeds_of(hand)) == 2


# --- what is stopped, stops --------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["pause", "cancel", "forget"])
def test_a_long_task_is_ended_half_a_second_after_its_run_is_stopped(serve, hand, long_epochs, call):
    service = serve(hand, count=2, pace=True)
    job = service.submit(small(**LONG))
    hand.work()
    getattr(service, call)(job.id)
    hand.clock.advance(STOP_SECONDS * 0.9)
    assert (len(hand.tasks), job.resting) == (1, False)
    hand.clock.advance(STOP_SECONDS * 0.2)
    hand.end_interrupted()
    assert (len(hand.tasks), job.resting, job.message) == (0, True, "")
    assert not hand.work()
    assert job.lost_chunks == 0


def test_a_paused_long_epoch_goes_on_where_it_was(serve, hand, long_epochs):
    """Of its four seeds one was done, and one was under way: only that one is computed again."""
    service = serve(hand, count=2, pace=True)
    job = service.submit(small(**LONG))
    hand.work()
    service.pause(job.id)
    hand.clock.advance(STOP_SECONDS)
    hand.end_interrupted()
    assert job.resting
    service.resume(job.id)
    while hand.work():
        hand.clock.advance(1)
    assert_whole(job)
    assert len(hand.ran) == 4 * 2


def test_a_step_after_a_broken_chunk_is_one_epoch(serve, hand):
    """The chunk that was broken off would have been of several epochs."""
    service = serve(hand, count=2, pace=False)
    job = service.submit(small(n_seeds=2, epochs=50))
    hand.clock.advance(UNPACED_CHUNK_SECONDS / 5)
    for _ in range(2):
        hand.work()
    assert hand.tasks[0].n_epochs == 5
    before = job.epoch
    hand.work()
    service.pause(job.id)
    hand.clock.advance(STOP_SECONDS)
    hand.end_interrupted()
    assert (job.resting, job.epoch) == (True, before)
    service.resume(job.id, n_epochs=1)
    hand.work_off()
    assert (job.status, job.epoch) == (Status.PAUSED, before + 1)
    assert_same_run(job)


def test_a_run_that_goes_on_before_its_worker_has_ended_loses_nothing(serve, hand, long_epochs):
    service = serve(hand, count=2, pace=True)
    job = service.submit(small(**LONG))
    hand.clock.settle()
    service.pause(job.id)
    hand.clock.advance(STOP_SECONDS)
    service.resume(job.id)
    while hand.work():
        hand.clock.advance(1)
    assert_whole(job)


def test_where_workers_can_not_be_interrupted_a_stopped_run_ends_with_its_task(
    serve, hand, long_epochs, monkeypatch
):
    monkeypatch.setattr(hand, "interrupt", lambda pool, future: False)
    service = serve(hand, count=2, pace=True)
    job = service.submit(small(**LONG))
    hand.clock.settle()
    service.cancel(job.id)
    hand.clock.advance(STOP_SECONDS)
    assert (len(hand.tasks), job.resting) == (1, False)
    assert hand.work()
    assert not hand.work()
    assert (job.resting, job.epoch) == (True, 0)


@pytest.mark.parametrize("resumed", [True, False])
def test_a_task_that_ends_just_before_its_worker_does_counts(serve, hand, long_epochs, resumed):
    service = serve(hand, count=2, pace=True)
    job = service.submit(small(**LONG))
    hand.clock.settle()
    service.pause(job.id)
    hand.clock.advance(STOP_SECONDS)
    if resumed:
        service.resume(job.id)
    hand.interrupted.popleft().finish()
    assert len(job.done) == 1
    service.resume(job.id)
    while hand.work():
        hand.clock.advance(1)
    assert_whole(job)
