"""Visitors share a run of the same config; a run that nobody watches comes to rest."""

import pytest

from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import Limits, ServerFullError
from qhn_core.storage.runs import RunStore
from tests.manual_executor import ManualExecutor
from tests.small_runs import assert_same_run, assert_whole, small

# --- one run for many --------------------------------------------------------------------------------


def test_the_same_config_is_the_same_run(serve, hand):
    service = serve(hand)
    one = service.submit(small(), session="a")
    assert service.submit(small(), session="b") is one
    hand.work()
    assert service.submit(small(), session="c") is one
    assert service.submit(small(seed=12), session="c") is not one
    assert one.sessions == {"a", "b", "c"}
    hand.work_off()
    assert service.submit(small(), session="d") is one
    assert service.submit(small(), session="d", reuse_finished=False) is not one


def test_a_reset_is_nobody_elses_run(serve, hand):
    service = serve(hand)
    one = service.submit(small(), paused=True, session="a")
    assert service.submit(small(), paused=True, session="b") is not one
    assert service.submit(small(), session="c") is not one


@pytest.mark.parametrize("call", ["pause", "step"])
def test_a_visitor_who_interferes_with_a_run_that_others_watch_gets_a_copy_and_both_end_the_same(
    serve, hand, call
):
    service = serve(hand)
    job = service.submit(small(), session="a")
    assert service.submit(small(), session="b") is job
    for _ in range(2):
        service.view(job, +1)
    for _ in range(2):
        hand.work()
    if call == "pause":
        copy = service.pause(job.id, session="a")
        assert copy.status == Status.PAUSED
    else:
        copy = service.resume(job.id, n_epochs=1, session="a")
    assert copy is not job
    assert (job.status, job.sessions, copy.sessions) == (Status.RUNNING, {"b"}, {"a"})
    hand.work_off()
    assert_whole(job)
    assert copy.status == Status.PAUSED
    assert copy.epoch < job.epoch
    service.resume(copy.id, session="a")
    hand.work_off()
    assert_whole(copy)


def test_a_finished_run_that_others_watch_can_not_be_paused(serve, hand):
    """The click came too late; it makes no paused copy of a run that is over."""
    service = serve(hand)
    job = service.submit(small(), session="a")
    hand.work_off()
    for _ in range(2):
        service.view(job, +1)
    assert service.pause(job.id, session="a") is job
    assert job.status == Status.DONE


def test_a_run_that_its_only_viewer_leaves_is_cancelled(serve, hand):
    service = serve(hand)
    job = service.submit(small(), session="a")
    service.view(job, +1)
    service.leave(job.id, "a")
    hand.work_off()
    assert job.status == Status.CANCELLED
    assert job.epoch < job.config.epochs
    assert_same_run(job)


def test_a_run_that_another_watches_goes_on_when_one_leaves(serve, hand):
    service = serve(hand)
    job = service.submit(small(), session="a")
    service.submit(small(), session="b")
    for _ in range(2):
        service.view(job, +1)
    service.leave(job.id, "a")
    hand.work_off()
    assert_whole(job)


def test_a_run_that_another_watches_goes_on_when_one_without_a_stream_leaves(serve, hand):
    """Whoever leaves may have closed the stream before: the one that is open is the other's."""
    service = serve(hand)
    job = service.submit(small(), session="a")
    service.submit(small(), session="b")
    service.view(job, +1)
    service.leave(job.id, "a")
    hand.work_off()
    assert_whole(job)


def test_leaving_a_finished_run_changes_nothing(serve, hand):
    service = serve(hand)
    job = service.submit(small(), session="a")
    hand.work_off()
    service.leave(job.id, "a")
    assert_whole(job)


# --- runs that nobody watches ------------------------------------------------------------------------


def watched_by(session, service, config):
    """A run of a session that is watched from its first moment: there is no grace here."""
    job = service.submit(config)
    service.view(job, +1)
    assert service.submit(config, session=session) is job
    return job


def test_a_run_that_nobody_watches_is_interrupted_and_resumes_to_the_same_result(serve, hand):
    service = serve(hand, limits=Limits(grace_seconds=0))
    job = watched_by("a", service, small())
    hand.work()
    service.view(job, -1)
    hand.clock.advance(1)
    assert job.status == Status.INTERRUPTED
    hand.work_off()
    assert job.resting
    assert 0 < job.epoch < job.config.epochs
    assert_same_run(job)
    service.view(job, +1)
    service.resume(job.id, session="a")
    hand.work_off()
    assert_whole(job)


def test_watched_runs_and_those_of_no_session_are_not_interrupted(serve, hand):
    service = serve(hand, limits=Limits(grace_seconds=0))
    watched, unwatched = watched_by("a", service, small()), service.submit(small(seed=1), session="a")
    of_a_sweep = service.submit(small(seed=2))
    hand.clock.advance(1)
    assert unwatched.status == Status.INTERRUPTED
    hand.work_off()
    for job in (watched, of_a_sweep):
        assert_whole(job)


def test_a_run_has_its_whole_time_of_grace(serve, hand):
    service = serve(hand, limits=Limits(grace_seconds=60))
    job = service.submit(small(), session="a")
    hand.clock.advance(50)
    service.submit(small(), session="b")  # another visitor looks at it
    hand.clock.advance(60)
    assert job.status == Status.QUEUED
    hand.clock.advance(1)
    assert job.status == Status.INTERRUPTED


def test_a_visitor_who_comes_back_reads_why_the_run_rests(serve, hand):
    service = serve(hand, limits=Limits(grace_seconds=0))
    job = service.submit(small(), session="a")
    hand.clock.advance(1)
    assert job.status == Status.INTERRUPTED
    assert "nobody was watching" in job.message
    hand.work_off()  # the chunk that was under way
    assert "nobody was watching" in job.message


def test_a_run_that_two_visitors_left_rests(serve, hand):
    service = serve(hand, limits=Limits(grace_seconds=60))
    job = service.submit(small(), session="a")
    assert service.submit(small(), session="b") is job
    service.view(job, +1)
    service.view(job, +1)
    for session in ("a", "b"):
        service.leave(job.id, session)
    for _ in range(2):
        service.view(job, -1)
    hand.clock.advance(61)
    assert job.status == Status.INTERRUPTED
    assert "nobody was watching" in job.message


def test_a_run_that_was_left_to_those_who_watch_it_by_its_link_rests_with_them(serve, hand):
    """Whoever pauses it gets a copy, and nobody else ever started it."""
    service = serve(hand, limits=Limits(grace_seconds=60))
    job = service.submit(small(), session="a")
    for _ in range(2):
        service.view(job, +1)
    assert service.pause(job.id, session="a") is not job
    hand.clock.advance(100)
    assert job.status.is_moving
    for _ in range(2):
        service.view(job, -1)
    hand.clock.advance(61)
    assert job.status == Status.INTERRUPTED


@pytest.mark.parametrize("way", ["leave", "pause"])
def test_runs_that_a_session_left_behind_count_for_its_share(serve, hand, way):
    service = serve(hand, limits=Limits(max_jobs_per_session=4))
    for seed in range(4):
        job = service.submit(small(seed=seed), session="a")
        for _ in range(2):
            service.view(job, +1)
        getattr(service, way)(job.id, session="a")
    with pytest.raises(ServerFullError, match="in this tab"):
        service.submit(small(seed=4), session="a")


def test_a_run_that_goes_on_after_a_restart_counts_and_rests_like_any_other(serve, hand, tmp_path):
    with RunStore(tmp_path) as store:
        before = serve(hand, store=store)
        job_id = before.submit(small(), session="a").id
        before.shutdown()
        service = serve(ManualExecutor(), store=store, limits=Limits(max_jobs_per_session=1))
        service.resume(job_id, session="b")
        with pytest.raises(ServerFullError, match="in this tab"):
            service.submit(small(seed=2), session="b")
        service.shutdown()
