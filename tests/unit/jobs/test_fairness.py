"""Whose turn it is, and what those who wait are told."""

import pytest

from qhn_core.jobs import cost
from qhn_core.jobs import service as service_module
from qhn_core.jobs.scheduler import EPOCHS_PER_SECOND
from tests.diverging import HALF_DIVERGES, lower_the_bound
from tests.small_runs import assert_whole, small


def test_tasks_of_a_long_run_and_a_short_one_alternate(serve, hand, monkeypatch):
    """A hundred seeds are many tasks an epoch; the run of one seed never waits for two of them."""
    monkeypatch.setattr(cost, "EPOCH_SECONDS", 1e-4)
    service = serve(hand)
    long = service.submit(small(n_seeds=100, epochs=2), session="a")
    assert len(long.shards) > 20
    for _ in range(3):
        hand.work()
    short = service.submit(small(n_seeds=1, epochs=8), session="b")
    begun = len(hand.ran)
    while not short.status.is_final:
        hand.work()
    order = ["long" if config is long.config else "short" for config in hand.ran[begun:]]
    first = order.index("short")
    assert first <= 2  # the one under way, and the one whose turn it was
    assert order[first:] == ["short", "long"] * 7 + ["short"]
    hand.work_off()
    for job in (long, short):
        assert_whole(job)


def test_three_runs_take_turns_and_a_fourth_that_comes_later_with_them(serve, hand):
    service = serve(hand)
    for seed in (1, 2, 3):
        service.submit(small(seed=seed, n_seeds=1))
    for _ in range(6):
        hand.work()
    service.submit(small(seed=4, n_seeds=1))
    hand.work_off()
    order = [config.seed for config in hand.ran]
    assert order[:6] == [1, 2, 3] * 2
    assert [sorted(order[i : i + 4]) for i in range(6, 22, 4)] == [[1, 2, 3, 4]] * 4
    assert order[22:] == [4, 4]


# --- speed -------------------------------------------------------------------------------------------


def test_chunks_of_a_live_run_are_short(serve, hand):
    """Two epochs: 50 ms at 40 epochs a second; one where an epoch's cost is not known, or is more."""
    service = serve(hand, pace=True)
    service.submit(small(n_seeds=1, epochs=100))
    sizes = []
    for epoch_seconds in (1e-4, 0.0249, 0.026, 10, 10):
        task = hand.next_task()
        hand.clock.advance(epoch_seconds * task.n_epochs)
        sizes.append(task.n_epochs)
        task.finish()
        hand.clock.advance(1)
    assert sizes == [1, 2, 2, 1, 1]


def test_a_live_run_is_no_faster_than_eyes_can_follow(serve, hand):
    service = serve(hand, pace=True)
    job = service.submit(small(n_seeds=1, epochs=100))
    for _ in range(10):
        hand.work_off()
        hand.clock.advance(1 / EPOCHS_PER_SECOND)
    assert job.epoch == 10
    assert job.seconds_left == pytest.approx(90 / EPOCHS_PER_SECOND)


# --- what those who wait are told --------------------------------------------------------------------


def test_a_visitor_who_waits_is_told_how_many_are_ahead(serve, hand):
    service = serve(hand)
    jobs = [service.submit(small(seed=seed)) for seed in range(3)]
    hand.clock.advance(1)
    assert jobs[2].message == "2 ahead in the queue"
    hand.work_off()
    assert [job.message for job in jobs] == ["", "", ""]


def test_a_visitor_who_waits_for_a_long_first_epoch_is_told_how_long_it_takes(serve, hand, monkeypatch):
    monkeypatch.setattr(service_module, "epoch_seconds", lambda config: 400.0)
    monkeypatch.setattr(cost, "epoch_seconds", lambda config: 400.0)
    service = serve(hand, count=2)
    job = service.submit(small(n_seeds=3))
    hand.clock.advance(1)
    assert job.message == "Epoch 1 is under way; at this size one takes about 10 min."
    for done in (1, 2):
        hand.work()
        hand.clock.advance(1)
        assert job.message.endswith(f" {done} of 3 seeds are done.")
    hand.work()
    assert (job.epoch, job.message) == (1, "")


@pytest.mark.parametrize("stop", ["pause", "cancel"])
def test_a_visitor_who_no_longer_waits_is_told_nothing_of_it(serve, hand, stop):
    service = serve(hand)
    jobs = [service.submit(small(seed=seed)) for seed in range(2)]
    hand.clock.advance(1)
    assert jobs[1].message == "1 ahead in the queue"
    getattr(service, stop)(jobs[1].id)
    assert jobs[1].message == ""


# --- shards ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize(
    "options",
    [{"n_seeds": 7}, {"n_seeds": 7, "shots": None, "objective": "elbo"}, HALF_DIVERGES],
    ids=["sampled", "exact", "half of the seeds diverge"],
)
def test_the_numbers_do_not_depend_on_the_shards(serve, hand, monkeypatch, workers, options):
    if options is HALF_DIVERGES:
        lower_the_bound(monkeypatch)
    service = serve(hand, count=workers)
    job = service.submit(small(**options))
    for _ in range(workers * job.config.epochs):
        hand.work()
    assert_whole(job)
