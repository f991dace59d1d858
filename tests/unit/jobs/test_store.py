"""Jobs that outlive their service, and what happens where the store makes trouble."""

import sqlite3

import pytest

from qhn_core.jobs import registry, scheduler, sweep
from qhn_core.jobs import service as service_module
from qhn_core.jobs.job import Status
from qhn_core.jobs.service import JobService
from qhn_core.storage.database import StoreError
from qhn_core.storage.runs import RunStore
from tests.manual_executor import ManualExecutor
from tests.small_runs import assert_whole, small


@pytest.fixture
def checkpoints(monkeypatch):
    """Every chunk is saved."""
    monkeypatch.setattr(scheduler, "CHECKPOINT_SECONDS", -1)


def test_a_finished_run_is_served_at_once_from_memory_and_after_a_restart_from_the_store(
    serve, hand, tmp_path
):
    service = serve(hand, RunStore(tmp_path))
    job = service.submit(small())
    hand.work_off()
    assert service.submit(small()) is job
    later_hand = ManualExecutor()
    later = serve(later_hand, RunStore(tmp_path))
    found = later.submit(small())
    assert found.id == job.id
    assert found is not job
    assert_whole(found)
    assert not later_hand.work()
    again = later.submit(small(), reuse_finished=False)
    later_hand.work_off()
    assert again.id != job.id
    assert_whole(again)


def test_a_run_that_is_killed_before_its_first_checkpoint_leaves_a_trace(serve, hand, tmp_path):
    job = serve(hand, RunStore(tmp_path)).submit(small())
    with RunStore(tmp_path) as store:
        assert store.mark_interrupted() == [job.id]
    later_hand = ManualExecutor()
    later = serve(later_hand, RunStore(tmp_path))
    found = later.get(job.id)
    assert (found.config, found.status, found.epoch) == (job.config, Status.INTERRUPTED, 0)
    later.resume(job.id)
    later_hand.work_off()
    assert_whole(found)


def test_a_run_is_saved_once_a_second_and_where_it_rests(serve, hand, tmp_path):
    service = serve(hand, RunStore(tmp_path))
    job = service.submit(small())
    saved = []
    for seconds in (0, 2, 0, 2):
        hand.clock.advance(seconds)
        hand.work()
        saved.append(service.store.load(job.id).state)
    service.pause(job.id)
    hand.work_off()
    saved.append(service.store.load(job.id).state)
    assert [0 if state is None else state.epoch for state in saved] == [0, 2, 2, 4, 5]


def test_the_oldest_finished_runs_leave_the_memory_and_no_others(serve, hand, monkeypatch):
    monkeypatch.setattr(registry, "JOBS_KEPT", 2)
    service = serve(hand)
    paused = service.submit(small(seed=99))
    service.pause(paused.id)
    ended = [service.submit(small(seed=i)) for i in range(4)]
    for job in ended:
        service.cancel(job.id)
    service.submit(small())
    kept = [service.get(job.id) is not None for job in [paused, *ended]]
    assert kept == [True, False, False, True, True]


# --- trouble -----------------------------------------------------------------------------------------


class FullDisk(RunStore):
    """Fails from the second checkpoint on."""

    saved = 0

    def checkpoint(self, *arguments, **options):
        self.saved += 1
        if self.saved > 1:
            raise StoreError("runs.sqlite3: the disk is full")
        super().checkpoint(*arguments, **options)


def test_a_store_that_fails_is_told_and_the_runs_go_on(serve, hand, tmp_path, checkpoints):
    store = FullDisk(tmp_path)
    service = serve(hand, store)
    jobs = [service.submit(small(seed=seed)) for seed in (1, 2)]
    hand.work_off()
    assert "the disk is full" in service.store_problem
    for job in jobs:
        assert_whole(job)
    assert_whole(service.submit(small(seed=1)))
    store.database.close()


def test_a_run_deleted_by_another_program_takes_the_store_from_nobody_else(
    serve, hand, tmp_path, checkpoints
):
    """`qhn runs delete` while the server trains it."""
    service = serve(hand, RunStore(tmp_path))
    deleted, other = service.submit(small(seed=1)), service.submit(small(seed=2))
    for _ in range(4):
        hand.work()
    with RunStore(tmp_path) as elsewhere:
        assert elsewhere.delete(deleted.id)
    hand.work_off()
    for job in (deleted, other):
        assert_whole(job)
    assert service.store_problem == ""
    with RunStore(tmp_path) as elsewhere:
        assert elsewhere.load(other.id).status == "done"


# --- two programs with one store ---------------------------------------------------------------------


def test_a_second_server_leaves_the_runs_of_the_first_alone_and_says_so(
    tmp_path, monkeypatch, caplog, checkpoints
):
    """`streamlit run app.py` twice, with the same QHN_HOME."""
    monkeypatch.setenv("QHN_HOME", str(tmp_path))
    hands, servers = [], []

    def on_workers_of_its_own(*arguments):
        hands.append(ManualExecutor())
        return JobService(hands[-1].workers(), *arguments[1:], clock=hands[-1].clock)

    monkeypatch.setattr(service_module, "choose_workers", lambda: None)
    monkeypatch.setattr(service_module, "JobService", on_workers_of_its_own)

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
    hands[0].work()
    assert status_in_the_store() == ["running"]
    second = start()
    assert status_in_the_store() == ["running"]
    [warning] = caplog.messages
    assert f"Another server keeps its runs in {tmp_path} too" in warning
    assert second.get(job.id).status == Status.INTERRUPTED, "here it rests"
    for server in servers:
        stop(server)
    with RunStore(tmp_path) as store:
        store.checkpoint(job.id, job.config, "running", None, None)  # as a killed server leaves it
    stop(start())
    assert len(caplog.messages) == 1
    assert status_in_the_store() == ["interrupted"]


def test_a_sweep_beside_a_server_leaves_its_running_runs_alone(
    serve, hand, tmp_path, monkeypatch, checkpoints
):
    """Both use the same store by default. What is under way elsewhere is not "interrupted"."""
    server = serve(hand, RunStore(tmp_path))
    job = server.submit(small())
    for _ in range(2):
        hand.work()
    seen, services, sweeping_hand = [], [server], ManualExecutor()

    def observed(*arguments, **options):
        services.append(JobService(*arguments, clock=sweeping_hand.clock, **options))
        return services[-1]

    def progress(done, total):
        seen.extend(run.status for run in store.runs() if run.id == job.id)
        if sweeping_hand.tasks:
            sweeping_hand.work_one()
        if len(seen) % 2:  # the two go on at different speeds
            hand.work()

    monkeypatch.setattr(sweep, "JobService", observed)

    store = RunStore(tmp_path)
    [swept] = sweep.run_sweep([job.config], sweeping_hand.workers(), store, progress)
    hand.work_off()
    for each in (swept, job):
        assert_whole(each)
    assert [service.store_problem for service in services] == ["", ""]
    assert set(seen) <= {"running", "done"}


def test_a_run_under_way_elsewhere_does_not_hang_here(serve, hand, tmp_path, checkpoints):
    """It was opened on the Runs page of a second server: it rests there, or it moves."""
    here_hand = ManualExecutor()
    here = serve(here_hand, RunStore(tmp_path))
    elsewhere = serve(hand, RunStore(tmp_path))
    job_id = elsewhere.submit(small()).id
    for _ in range(2):
        hand.work()
    job = here.get(job_id)
    here_hand.work_off()
    assert job.resting, f"{job.status}, but nothing is under way"


def test_a_locked_store_holds_nothing_up_and_is_written_when_it_is_free(serve, hand, tmp_path, checkpoints):
    """Another program that keeps the lock ended saving until the server was started anew."""
    store = RunStore(tmp_path)
    service = serve(hand, store)
    other = sqlite3.connect(tmp_path / "runs.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    job = service.submit(small())
    hand.work_off()
    assert_whole(job)
    assert [run.id for run in store.runs()] == []
    assert "1 run is not saved yet" in service.store_problem
    assert service.store is store
    other.execute("ROLLBACK")
    other.close()
    service.registry.save_unsaved()  # as every tick does
    assert service.store_problem == ""
    assert store.load(job.id).status == "done"
    assert len(store.load(job.id).rows["epoch"]) == 18


def test_what_waits_to_be_saved_is_saved_at_the_end(serve, hand, tmp_path, checkpoints, monkeypatch):
    monkeypatch.setattr(scheduler, "TICK_SECONDS", 1e6)
    store = RunStore(tmp_path)
    service = serve(hand, store)
    other = sqlite3.connect(tmp_path / "runs.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    job = service.submit(small())
    hand.work_off()
    other.execute("ROLLBACK")
    other.close()
    service.shutdown()
    assert store.load(job.id).status == "done"


def test_a_run_that_waits_to_be_saved_and_is_deleted_stays_deleted(serve, hand, tmp_path):
    store = RunStore(tmp_path)
    service = serve(hand, store)
    other = sqlite3.connect(tmp_path / "runs.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    job = service.submit(small())
    service.forget(job.id)
    assert service.store_problem == ""
    other.execute("ROLLBACK")
    other.close()
    service.shutdown()
    assert store.load(job.id) is None
