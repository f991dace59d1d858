"""Who shares a run with whom, who waits for whom, and what a server does not take on."""

import os

import numpy as np
import pytest

import qhn_core as qhn
from qhn_core.jobs import scheduler, sweep, workers
from qhn_core.jobs import service as service_module
from qhn_core.jobs.job import MOVING, Status
from qhn_core.jobs.limits import Limits, ServerFullError
from qhn_core.jobs.service import JobService
from qhn_core.storage.database import StoreError
from qhn_core.storage.runs import RunStore
from tests.diverging import HALF_DIVERGES, lower_the_bound

from .helpers import Hand, assert_on_course, assert_whole, settle, small, until


@pytest.fixture
def ticks(monkeypatch):
    """What the service does once a second comes a hundred times a second."""
    monkeypatch.setattr(scheduler, "TICK_SECONDS", 0.01)


# --- one run for many --------------------------------------------------------------------------------


def test_the_same_config_is_the_same_run(serve, hand):
    service = serve(hand.workers())
    one = service.submit(small(), session="a")
    assert service.submit(small(), session="b") is one
    hand.work(service)
    assert service.submit(small(), session="c") is one
    assert service.submit(small(seed=12), session="c") is not one
    assert one.sessions == {"a", "b", "c"}


def test_a_finished_run_is_served_at_once_from_memory_and_after_a_restart_from_the_store(
    serve, hand, tmp_path
):
    service = serve(hand.workers(), RunStore(tmp_path))
    job = service.submit(small())
    hand.work_off(service)
    assert service.submit(small()) is job
    later_hand = Hand()
    later = serve(later_hand.workers(), RunStore(tmp_path))
    found = later.submit(small())
    assert found.id == job.id
    assert found is not job
    assert_whole(found)
    assert not later_hand.work(later)
    again = later.submit(small(), reuse_finished=False)
    later_hand.work_off(later)
    assert again.id != job.id
    assert_whole(again)


@pytest.mark.parametrize("call", ["pause", "step"])
def test_who_interferes_with_a_run_that_others_watch_gets_a_copy_and_both_end_the_same(serve, hand, call):
    service = serve(hand.workers())
    job = service.submit(small(), session="a")
    assert service.submit(small(), session="b") is job
    for _ in range(2):
        service.view(job, +1)
    for _ in range(2):
        hand.work(service)
    if call == "pause":
        copy = service.pause(job.id, session="a")
        assert copy.status == Status.PAUSED
    else:
        copy = service.resume(job.id, n_epochs=1, session="a")
    assert copy is not job
    assert (job.status, job.sessions, copy.sessions) == (Status.RUNNING, {"b"}, {"a"})
    hand.work_off(service)
    assert_whole(job)
    assert copy.status == Status.PAUSED
    assert copy.epoch < job.epoch
    service.resume(copy.id, session="a")
    hand.work_off(service)
    assert_whole(copy)


def test_a_finished_run_that_others_watch_can_not_be_paused(serve, hand):
    """The click came too late; it makes no paused copy of a run that is over."""
    service = serve(hand.workers())
    job = service.submit(small(), session="a")
    hand.work_off(service)
    for _ in range(2):
        service.view(job, +1)
    assert service.pause(job.id, session="a") is job
    assert job.status == Status.DONE


def test_a_run_that_its_only_viewer_leaves_is_cancelled(serve, hand):
    service = serve(hand.workers())
    job = service.submit(small(), session="a")
    service.view(job, +1)
    service.leave(job.id, "a")
    hand.work_off(service)
    assert job.status == Status.CANCELLED
    assert job.epoch < job.config.epochs
    assert_on_course(job)


def test_a_run_that_another_watches_goes_on_when_one_leaves(serve, hand):
    service = serve(hand.workers())
    job = service.submit(small(), session="a")
    service.submit(small(), session="b")
    for _ in range(2):
        service.view(job, +1)
    service.leave(job.id, "a")
    hand.work_off(service)
    assert_whole(job)


def test_a_run_that_another_watches_goes_on_when_one_without_a_stream_leaves(serve, hand):
    """Whoever leaves may have closed the stream before: the one that is open is the other's."""
    service = serve(hand.workers())
    job = service.submit(small(), session="a")
    service.submit(small(), session="b")
    service.view(job, +1)
    service.leave(job.id, "a")
    hand.work_off(service)
    assert_whole(job)


def test_leaving_a_finished_run_changes_nothing(serve, hand):
    service = serve(hand.workers())
    job = service.submit(small(), session="a")
    hand.work_off(service)
    service.leave(job.id, "a")
    assert_whole(job)


# --- runs that nobody watches ------------------------------------------------------------------------


def watched_by(session, service, config):
    """A run of a session that is watched from its first moment: there is no grace here."""
    job = service.submit(config)
    service.view(job, +1)
    assert service.submit(config, session=session) is job
    return job


def test_a_run_that_nobody_watches_is_interrupted_and_resumes_to_the_same_result(serve, hand, ticks):
    service = serve(hand.workers(), limits=Limits(grace_seconds=0))
    job = watched_by("a", service, small())
    hand.work(service)
    service.view(job, -1)
    until(lambda: job.status == Status.INTERRUPTED)
    hand.work_off(service)
    assert job.resting
    assert 0 < job.epoch < job.config.epochs
    assert_on_course(job)
    service.view(job, +1)
    service.resume(job.id, session="a")
    hand.work_off(service)
    assert_whole(job)


def test_watched_runs_and_those_of_no_session_are_not_interrupted(serve, hand, ticks):
    service = serve(hand.workers(), limits=Limits(grace_seconds=0))
    watched, unwatched = watched_by("a", service, small()), service.submit(small(seed=1), session="a")
    of_a_sweep = service.submit(small(seed=2))
    until(lambda: unwatched.status == Status.INTERRUPTED)
    hand.work_off(service)
    for job in (watched, of_a_sweep):
        assert_whole(job)


def test_who_comes_back_reads_why_the_run_rests(serve, hand, ticks):
    service = serve(hand.workers(), limits=Limits(grace_seconds=0))
    job = service.submit(small(), session="a")
    until(lambda: job.status == Status.INTERRUPTED)
    assert "nobody was watching" in job.message
    hand.work_off(service)  # the chunk that was under way
    assert "nobody was watching" in job.message


# --- limits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "config", "words"),
    [
        (Limits(max_seeds=2), small(n_seeds=3), ["n_seeds=3", "at most 2"]),
        (Limits(max_epochs=5), small(epochs=6), ["epochs=6", "at most 5"]),
        (Limits(max_memory_gb=0), small(), ["n_hidden=1", "GB of memory", "allows 0 GB"]),
        (
            Limits(max_qubits=9),
            small(n_hidden=2),
            ["n_hidden=2", "10 qubits", "at most 9", "may be 1 to 1"],
        ),
    ],
)
def test_a_run_that_is_too_large_is_refused_with_value_and_limit(serve, hand, limits, config, words):
    service = serve(hand.workers(), limits=limits)
    with pytest.raises(ValueError, match=words[0]) as refused:
        service.submit(config)
    assert [word for word in words if word not in str(refused.value)] == []
    assert not hand.work(service)


def test_a_run_as_large_as_the_limits_is_taken(serve, hand):
    limits = Limits(max_seeds=3, max_epochs=6, max_qubits=6, max_jobs=1, max_jobs_per_session=1)
    service = serve(hand.workers(), limits=limits)
    job = service.submit(small(), session="a")
    hand.work_off(service)
    assert_whole(job)


def test_a_full_server_says_so_and_has_room_again_when_a_run_ends(serve, hand):
    service = serve(hand.workers(), limits=Limits(max_jobs=2))
    for seed in (1, 2):
        service.submit(small(seed=seed))
    with pytest.raises(ServerFullError, match="2 runs are under way on this server"):
        service.submit(small(seed=3))
    service.submit(small(seed=1), session="joins without taking room")
    hand.work_off(service)
    service.submit(small(seed=3))


def test_a_session_has_a_share_of_its_own(serve, hand):
    service = serve(hand.workers(), limits=Limits(max_jobs_per_session=1))
    service.submit(small(seed=1), session="a")
    with pytest.raises(ServerFullError, match="1 of your runs is under way; pause or wait for it"):
        service.submit(small(seed=2), session="a")
    service.submit(small(seed=2), session="b")


def test_resuming_many_paused_runs_is_no_way_round_the_limits(serve, hand):
    service = serve(hand.workers(), limits=Limits(max_jobs=2))
    jobs = []
    for seed in range(4):
        jobs.append(service.submit(small(seed=seed), paused=True, session="a"))
        hand.work_off(service)
    for job in jobs[:2]:
        service.resume(job.id, session="a")
    with pytest.raises(ServerFullError, match="2 runs are under way"):
        service.resume(jobs[2].id, session="a")
    assert sum(job.status in MOVING for job in jobs) == 2


def test_limits_come_from_the_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("QHN_MAX", "QHN_GRACE")):
            monkeypatch.delenv(name)
    assert Limits.from_environment() == Limits()
    monkeypatch.setenv("QHN_MAX_JOBS", "3")
    monkeypatch.setenv("QHN_GRACE_SECONDS", "0")
    assert Limits.from_environment() == Limits(max_jobs=3, grace_seconds=0)


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "1e3", " "])
def test_a_limit_that_is_no_whole_number_is_named(monkeypatch, text):
    monkeypatch.setenv("QHN_MAX_SEEDS", text)
    with pytest.raises(ValueError, match=f"QHN_MAX_SEEDS='{text}'"):
        Limits.from_environment()


# --- fairness ----------------------------------------------------------------------------------------


def test_tasks_of_a_long_run_and_a_short_one_alternate(serve, hand, monkeypatch):
    """A hundred seeds are many tasks an epoch; the run of one seed never waits for two of them."""
    monkeypatch.setattr(workers, "EPOCH_SECONDS", 1e-3)
    service = serve(hand.workers())
    long = service.submit(small(n_seeds=100, epochs=2), session="a")
    assert len(long.parts) > 20
    for _ in range(3):
        hand.work(service)
    short = service.submit(small(n_seeds=1, epochs=8), session="b")
    begun = len(hand.ran)
    while not short.final:
        hand.work(service)
    order = ["long" if config is long.config else "short" for config in hand.ran[begun:]]
    first = order.index("short")
    assert first <= 2  # the one under way, and the one whose turn it was
    assert order[first:] == ["short", "long"] * 7 + ["short"]
    hand.work_off(service)
    for job in (long, short):
        assert_whole(job)


def test_three_runs_take_turns(serve, hand):
    service = serve(hand.workers())
    seeds = [1, 2, 3]
    for seed in seeds:
        service.submit(small(seed=seed, n_seeds=1))
    hand.work_off(service)
    assert [config.seed for config in hand.ran] == seeds * small().epochs


def test_who_waits_is_told_how_many_are_ahead(serve, hand, ticks):
    service = serve(hand.workers())
    jobs = [service.submit(small(seed=seed)) for seed in range(3)]
    until(lambda: jobs[2].message == "2 ahead in the queue")
    hand.work_off(service)
    assert [job.message for job in jobs] == ["", "", ""]


def test_who_waits_for_a_long_first_epoch_is_told_how_long_it_takes(serve, hand, ticks, monkeypatch):
    monkeypatch.setattr(service_module, "epoch_seconds", lambda config: 400.0)
    monkeypatch.setattr(workers, "epoch_seconds", lambda config: 400.0)
    service = serve(hand.workers(2))
    job = service.submit(small(n_seeds=3))
    until(lambda: job.message == "Epoch 1 is under way; at this size one takes about 10 min.")
    for done in (1, 2):
        hand.work(service)
        until(lambda words=f"{done} of 3 seeds are done.": job.message.endswith(words))
    hand.work(service)
    assert (job.epoch, job.message) == (1, "")


@pytest.mark.parametrize("stop", ["pause", "cancel"])
def test_who_no_longer_waits_is_told_nothing_of_it(serve, hand, ticks, stop):
    service = serve(hand.workers())
    jobs = [service.submit(small(seed=seed)) for seed in range(2)]
    until(lambda: jobs[1].message == "1 ahead in the queue")
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
    service = serve(hand.workers(workers))
    job = service.submit(small(**options))
    for _ in range(workers * job.config.epochs):
        hand.work(service)
    assert_whole(job)


def test_train_ends_where_all_seeds_of_its_first_thread_diverge(monkeypatch):
    lower_the_bound(monkeypatch)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    calls = []

    def progress(state, rows):
        calls.append(state.epoch)
        assert len(calls) <= 12, f"epochs: {calls}"

    result = qhn.train(small(**HALF_DIVERGES), progress)
    assert result.state.epoch == 12
    assert (result.state.diverged_at > 0).tolist() == [True, True, False, False]


# --- trouble with the store --------------------------------------------------------------------------


class FullDisk(RunStore):
    """Fails from the second checkpoint on."""

    saved = 0

    def checkpoint(self, *arguments, **options):
        self.saved += 1
        if self.saved > 1:
            raise StoreError("runs.sqlite3: the disk is full")
        super().checkpoint(*arguments, **options)


def test_a_store_that_fails_is_told_and_the_runs_go_on(serve, hand, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "CHECKPOINT_SECONDS", 0)
    store = FullDisk(tmp_path)
    service = serve(hand.workers(), store)
    jobs = [service.submit(small(seed=seed)) for seed in (1, 2)]
    hand.work_off(service)
    assert "the disk is full" in service.store_problem
    for job in jobs:
        assert_whole(job)
    assert_whole(service.submit(small(seed=1)))
    store.database.close()


def test_a_run_deleted_by_another_program_takes_the_store_from_nobody_else(
    serve, hand, tmp_path, monkeypatch
):
    """`qhn runs delete` while the server trains it."""
    monkeypatch.setattr(scheduler, "CHECKPOINT_SECONDS", 0)
    service = serve(hand.workers(), RunStore(tmp_path))
    deleted, other = service.submit(small(seed=1)), service.submit(small(seed=2))
    for _ in range(4):
        hand.work(service)
    with RunStore(tmp_path) as elsewhere:
        assert elsewhere.delete(deleted.id)
    hand.work_off(service)
    for job in (deleted, other):
        assert_whole(job)
    assert service.store_problem == ""
    with RunStore(tmp_path) as elsewhere:
        assert elsewhere.load(other.id).status == "done"


def test_a_second_server_leaves_the_runs_of_the_first_alone_and_says_so(tmp_path, monkeypatch, caplog):
    """`streamlit run app.py` twice, with the same QHN_HOME."""
    monkeypatch.setenv("QHN_HOME", str(tmp_path))
    hand, servers = Hand(), []
    monkeypatch.setattr(service_module, "choose_workers", hand.workers)

    def start():
        servers.append(service_module.default_service.__wrapped__())
        return servers[-1]

    def status_in_the_store():
        with RunStore(tmp_path) as store:
            return [run.status for run in store.runs()]

    def stop(server):
        server.shutdown()
        server.store.database.close()

    first = start()
    assert caplog.messages == []
    job = first.submit(small())
    hand.work(first)
    assert status_in_the_store() == ["running"]
    second = start()
    assert status_in_the_store() == ["running"]
    [warning] = caplog.messages
    assert f"Another server uses {tmp_path}." in warning
    assert second.get(job.id).status == Status.INTERRUPTED, "here it rests"
    for server in servers:
        stop(server)
    with RunStore(tmp_path) as store:
        store.checkpoint(job.id, job.config, "running", None, None)  # as a killed server leaves it
    stop(start())
    assert len(caplog.messages) == 1
    assert status_in_the_store() == ["interrupted"]


def test_a_sweep_beside_a_server_leaves_its_running_runs_alone(serve, hand, tmp_path, monkeypatch):
    """Both use the same store by default. What is under way elsewhere is not "interrupted"."""
    monkeypatch.setattr(scheduler, "CHECKPOINT_SECONDS", 0)
    server = serve(hand.workers(), RunStore(tmp_path))
    job = server.submit(small())
    for _ in range(2):
        hand.work(server)
    seen, services, sweeping_hand = [], [server], Hand()

    def observed(*arguments, **options):
        services.append(JobService(*arguments, **options))
        return services[-1]

    def progress(done, total):
        seen.extend(run.status for run in store.runs() if run.id == job.id)
        if sweeping_hand.in_flight:
            sweeping_hand.work_one()
        if len(seen) % 2:  # the two go on at different speeds
            hand.work(server)

    monkeypatch.setattr(sweep, "JobService", observed)

    store = RunStore(tmp_path)
    [swept] = sweep.run_sweep([job.config], sweeping_hand.workers(), store, progress)
    hand.work_off(server)
    for each in (swept, job):
        assert_whole(each)
    assert [service.store_problem for service in services] == ["", ""]
    assert set(seen) <= {"running", "done"}


def test_a_run_under_way_elsewhere_does_not_hang_here(serve, hand, tmp_path, monkeypatch):
    """It was opened on the Runs page of a second server: it rests there, or it moves."""
    monkeypatch.setattr(scheduler, "CHECKPOINT_SECONDS", 0)
    here_hand = Hand()
    here = serve(here_hand.workers(), RunStore(tmp_path))
    elsewhere = serve(hand.workers(), RunStore(tmp_path))
    job_id = elsewhere.submit(small()).id
    for _ in range(2):
        hand.work(elsewhere)
    job = here.get(job_id)
    here_hand.work_off(here)
    assert job.resting, f"{job.status}, but nothing is under way"


def test_settled_histories_are_those_of_train(serve, hand):
    """The helper that all of these tests compare with agrees with the public function."""
    service = serve(hand.workers(2))
    job = service.submit(small())
    settle(service)
    hand.work_off(service)
    assert_whole(job)
    expected = qhn.train(small())
    np.testing.assert_array_equal(job.result().history.to_numpy(), expected.history.to_numpy())
    np.testing.assert_array_equal(job.state.best_angles, expected.best_angles)
