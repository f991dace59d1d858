"""A run from start to end: pause, step, resume and cancel."""

import string

import numpy as np
import pytest

import qhn_core as qhn
from qhn_core.jobs.job import Job, Status
from qhn_core.training.loop import initial_state
from tests import SECONDS
from tests.small_runs import assert_same_run, assert_whole, small

# --- a run from start to end -------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("options", [{}, {"shots": None, "objective": "elbo"}, {"n_layers": 2}])
def test_a_finished_job_has_the_numbers_of_train(serve, options, threads):
    service, config = serve(count=threads, pace=True), small(**options)
    job = service.wait(service.submit(config).id, SECONDS)
    assert_whole(job)
    expected = qhn.train(config)
    np.testing.assert_array_equal(job.result().history.to_numpy(), expected.history.to_numpy())
    np.testing.assert_array_equal(job.state.best_angles, expected.best_angles)


def test_a_new_job_waits_its_turn_and_then_runs(serve, hand):
    job = serve(hand).submit(small(epochs=2))
    assert (job.status, job.epoch, job.state) == (Status.QUEUED, 0, None)
    with pytest.raises(ValueError, match="not started"):
        job.result()
    hand.work()
    assert (job.status, job.epoch) == (Status.RUNNING, 1)
    hand.work()
    assert (job.status, job.epoch) == (Status.DONE, 2)
    assert not hand.work()


def test_every_change_of_a_job_has_a_new_version(serve, hand):
    service = serve(hand)
    job = service.submit(small(epochs=3))
    versions = [job.version]
    for change in (hand.work, lambda: service.pause(job.id), lambda: service.resume(job.id)):
        change()
        versions.append(job.version)
    hand.work_off()
    assert [*versions, job.version] == sorted({*versions, job.version})


def test_a_chunk_is_one_change(serve, hand):
    """However many shards it has: each change is a message to every view."""
    service = serve(hand, count=3)
    job = service.submit(small())
    assert len(job.shards) == 3
    for _ in job.shards:
        assert job.version == 0
        hand.work()
    assert (job.version, job.epoch) == (1, 1)


def test_a_job_is_found_by_its_id_alone(serve, hand):
    service = serve(hand)
    job = service.submit(small())
    assert service.get(job.id) is job
    assert service.get("another") is None
    with pytest.raises(KeyError, match="run another: there is no such run"):
        service.pause("another")


def test_ids_can_not_be_guessed(serve, hand):
    service = serve(hand)
    ids = {service.submit(small(seed=i)).id for i in range(50)}
    assert len(ids) == 50
    assert {len(i) for i in ids} == {16}  # 96 bits
    assert set("".join(ids)) <= {*string.ascii_letters, *string.digits, "-", "_"}
    assert max(sum(i.startswith(c) for i in ids) for c in string.printable) < 10


@pytest.mark.parametrize("end", [status for status in Status if status.is_final])
def test_a_job_that_is_over_stays_as_it_is(end):
    job = Job(small(), [], end, message="why")
    for status in Status:
        job.become(status)
    assert (job.status, job.message) == (end, "why")


# --- pause, step, resume, cancel ---------------------------------------------------------------------


def test_pause_stops_and_resume_goes_on_to_the_same_result(serve, hand):
    service = serve(hand)
    job = service.submit(small())
    hand.work()
    in_flight = hand.next_task()
    service.pause(job.id)
    in_flight.finish()
    assert (job.status, job.epoch) == (Status.PAUSED, 2)
    assert service.wait(job.id, SECONDS).status == Status.PAUSED
    assert not hand.work()
    service.resume(job.id)
    hand.work_off()
    assert_whole(job)


def test_pause_and_resume_during_a_chunk_repeat_nothing(serve, hand):
    service = serve(hand)
    job = service.submit(small())
    in_flight = hand.next_task()
    service.pause(job.id)
    service.resume(job.id)
    in_flight.finish()
    hand.work_off()
    assert_whole(job)


def test_a_step_is_one_epoch(serve, hand):
    service = serve(hand)
    job = service.submit(small(), paused=True)
    hand.work()
    for epoch in (1, 2):
        service.resume(job.id, n_epochs=1)
        hand.work_off()
        assert (job.status, job.epoch) == (Status.PAUSED, epoch)
    service.resume(job.id)
    hand.work_off()
    assert_whole(job)


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_step_while_the_chunk_before_it_is_under_way_is_one_epoch_more(serve, hand, epochs):
    service = serve(hand)
    job = service.submit(small(), paused=not epochs)
    before = hand.next_task()
    assert before.n_epochs == epochs
    service.pause(job.id)
    service.resume(job.id, n_epochs=1)
    before.finish()
    assert (job.status, job.epoch) == (Status.RUNNING, epochs)
    hand.work_off()
    assert (job.status, job.epoch) == (Status.PAUSED, epochs + 1)
    service.resume(job.id)
    hand.work_off()
    assert_whole(job)


def test_a_step_is_one_epoch_at_full_speed(serve):
    service = serve()
    job = service.wait(service.submit(small(), paused=True).id, SECONDS)
    for epoch in (1, 2, 3):
        service.resume(job.id, n_epochs=1)
        assert (service.wait(job.id, SECONDS).status, job.epoch) == (Status.PAUSED, epoch)
    assert job.rows()["epoch"].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_the_last_step_ends_the_run(serve, hand):
    service = serve(hand)
    job = service.submit(small(epochs=1), paused=True)
    hand.work()
    service.resume(job.id, n_epochs=1)
    hand.work()
    assert_whole(job)


def test_a_paused_start_has_the_initial_angles_and_no_history(serve):
    service, config = serve(), small()
    job = service.wait(service.submit(config, paused=True).id, SECONDS)
    assert (job.status, job.epoch) == (Status.PAUSED, 0)
    np.testing.assert_array_equal(job.state.angles, initial_state(config).angles)
    assert len(job.result().history) == 0


def test_the_initial_angles_do_not_depend_on_the_strength(serve):
    """So Reset after a change of λ is a fair comparison."""
    service = serve()
    weak, strong = (
        service.wait(service.submit(small(regularization=r), paused=True).id, SECONDS).state.angles
        for r in (0.1, 100)
    )
    np.testing.assert_array_equal(weak, strong)


def test_cancel_stops_for_good_and_keeps_the_history(serve, hand):
    service = serve(hand)
    job = service.submit(small())
    hand.work()
    in_flight = hand.next_task()
    service.cancel(job.id)
    in_flight.finish()
    assert job.status == Status.CANCELLED
    service.resume(job.id)
    service.pause(job.id)
    assert not hand.work()
    assert (job.status, job.epoch) == (Status.CANCELLED, 2)
    assert_same_run(job)


def test_a_chunk_that_ends_after_the_last_epoch_is_not_restarted(serve, hand):
    service = serve(hand)
    job = service.submit(small(epochs=1))
    hand.work()
    for change in (service.pause, service.resume, service.cancel):
        change(job.id)
    assert job.status == Status.DONE
    assert not hand.work()
