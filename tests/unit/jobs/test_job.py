import string

import numpy as np
import pytest

from qhn_core.jobs.job import Status
from qhn_core.training.loop import advance, initial_state
from tests import SECONDS
from tests.unit.by_hand import assert_same_run, finish, small

# --- a run from start to end -------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("options", [{}, {"shots": None, "objective": "elbo"}, {"n_layers": 2}])
def test_a_finished_job_has_the_numbers_of_train(serve, options, threads):
    service, config = serve(threads=threads), small(**options)
    job = service.wait(service.submit(config).id, SECONDS)
    assert job.status == Status.DONE
    assert_same_run(job, config)


def test_a_new_job_waits_its_turn_and_then_runs(serve, hand):
    job = serve(hand).submit(small(epochs=2))
    assert (job.status, job.epoch, job.state) == (Status.QUEUED, 0, None)
    with pytest.raises(ValueError, match="not started"):
        job.result()
    hand.run_chunk()
    assert (job.status, job.epoch) == (Status.RUNNING, 1)
    hand.run_chunk()
    assert (job.status, job.epoch) == (Status.DONE, 2)
    assert hand.waiting.empty()


def test_every_change_of_a_job_has_a_new_version(serve, hand):
    service = serve(hand)
    job = service.submit(small(epochs=3))
    versions = [job.version]
    for change in (hand.run_chunk, lambda: service.pause(job.id), lambda: service.resume(job.id)):
        change()
        versions.append(job.version)
    hand.run_all(job)
    assert [*versions, job.version] == sorted({*versions, job.version})


def test_a_chunk_is_one_change(serve, hand):
    """However many parts it has: each change is a message to every view."""
    service = serve(hand)
    job = service.submit(small(n_seeds=27, n_layers=3))
    assert len(job.parts) == 3
    for _ in job.parts:  # until then it is told once a second how many are ahead of it
        hand.run_chunk()
    before = job.version
    for _ in job.parts:
        assert job.version == before
        hand.run_chunk()
    assert (job.version, job.epoch) == (before + 1, 2)


def test_a_job_is_found_by_its_id_alone(serve, hand):
    service = serve(hand)
    job = service.submit(small())
    assert service.get(job.id) is job
    assert service.get("another") is None


def test_ids_can_not_be_guessed(serve, hand):
    service = serve(hand)
    ids = {service.submit(small(seed=i)).id for i in range(50)}
    assert len(ids) == 50
    assert {len(i) for i in ids} == {16}  # 96 bits
    assert set("".join(ids)) <= {*string.ascii_letters, *string.digits, "-", "_"}
    assert max(sum(i.startswith(c) for i in ids) for c in string.printable) < 10


# --- pause, step, resume, cancel ---------------------------------------------------------------------


def test_pause_stops_and_resume_goes_on_to_the_same_result(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config)
    hand.run_chunk()
    in_flight = hand.next_chunk()
    service.pause(job.id)
    finish(in_flight)
    assert (job.status, job.epoch) == (Status.PAUSED, 2)
    assert service.wait(job.id, SECONDS).status == Status.PAUSED
    other = service.submit(small(epochs=1))
    assert hand.run_chunk()[0] is other.config  # had the paused job gone on, its chunk would come first
    assert job.epoch == 2
    service.resume(job.id)
    hand.run_all(job)
    assert job.status == Status.DONE
    assert_same_run(job, config)


def test_pause_and_resume_during_a_chunk_repeat_nothing(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config)
    in_flight = hand.next_chunk()
    service.pause(job.id)
    service.resume(job.id)
    finish(in_flight)
    hand.run_all(job)
    assert_same_run(job, config)


def test_a_step_is_one_epoch(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config, paused=True)
    hand.run_chunk()
    for epoch in (1, 2):
        service.resume(job.id, n_epochs=1)
        assert hand.run_chunk()[2] == 1
        assert (job.status, job.epoch) == (Status.PAUSED, epoch)
    service.resume(job.id)
    hand.run_all(job)
    assert_same_run(job, config)


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_step_while_the_chunk_before_it_is_under_way_is_one_epoch_more(serve, hand, epochs):
    service, config = serve(hand), small()
    job = service.submit(config, paused=not epochs)
    before = hand.next_chunk()
    assert before[2][2] == epochs
    service.pause(job.id)
    service.resume(job.id, n_epochs=1)
    finish(before)
    assert (job.status, job.epoch) == (Status.RUNNING, epochs)
    assert hand.run_chunk()[2] == 1
    assert (job.status, job.epoch) == (Status.PAUSED, epochs + 1)
    service.resume(job.id)
    hand.run_all(job)
    assert_same_run(job, config)


def test_a_step_is_one_epoch_at_full_speed(serve):
    service = serve()
    job = service.wait(service.submit(small(), paused=True).id, SECONDS)
    for epoch in (1, 2, 3):
        service.resume(job.id, n_epochs=1)
        assert (service.wait(job.id, SECONDS).status, job.epoch) == (Status.PAUSED, epoch)
    assert job.rows()["epoch"].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_the_last_step_ends_the_run(serve, hand):
    service, config = serve(hand), small(epochs=1)
    job = service.submit(config, paused=True)
    hand.run_chunk()
    service.resume(job.id, n_epochs=1)
    hand.run_chunk()
    assert job.status == Status.DONE
    assert_same_run(job, config)


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
    service, config = serve(hand), small()
    job = service.submit(config)
    hand.run_chunk()
    in_flight = hand.next_chunk()
    service.cancel(job.id)
    finish(in_flight)
    assert job.status == Status.CANCELLED
    service.resume(job.id)
    service.pause(job.id)
    other = service.submit(small(epochs=1))
    assert hand.run_chunk()[0] is other.config
    assert (job.status, job.epoch) == (Status.CANCELLED, 2)
    _, rows = advance(config, initial_state(config), 2)
    for name, values in job.rows().items():
        np.testing.assert_array_equal(values, rows[name], err_msg=name)


def test_a_chunk_that_ends_after_the_last_epoch_is_not_restarted(serve, hand):
    service = serve(hand)
    job = service.submit(small(epochs=1))
    hand.run_chunk()
    for change in (service.pause, service.resume, service.cancel):
        change(job.id)
    assert job.status == Status.DONE


# --- shared runs -------------------------------------------------------------------------------------


def test_two_visitors_who_ask_for_the_same_run_watch_one_job(serve, hand):
    service = serve(hand)
    one = service.submit(small(), session="a")
    assert service.submit(small(), session="b") is one
    assert service.submit(small(seed=12), session="b") is not one
    hand.run_all(one)
    assert service.submit(small(), session="c") is one
    assert service.submit(small(), session="c", reuse_finished=False) is not one


def test_a_reset_is_nobody_elses_run(serve, hand):
    service = serve(hand)
    one = service.submit(small(), paused=True, session="a")
    assert service.submit(small(), paused=True, session="b") is not one
    assert service.submit(small(), session="c") is not one


def test_who_pauses_a_run_that_others_watch_gets_a_copy_that_ends_the_same(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config, session="a")
    service.submit(config, session="b")
    for _ in range(2):
        service.view(job, +1)
    hand.run_chunk()
    copy = service.pause(job.id, session="a")
    assert copy is not job
    assert (copy.status, copy.epoch, job.status) == (Status.PAUSED, 1, Status.RUNNING)
    hand.run_all(job)
    assert copy.epoch == 1
    service.resume(copy.id, session="a")
    hand.run_all(copy)
    for each in (job, copy):
        assert_same_run(each, config)
