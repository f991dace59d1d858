"""kill -9 of a server in the middle of a run, and what the next server makes of it."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qhn_core.jobs import scheduler, service
from qhn_core.jobs.job import Status
from qhn_core.jobs.sweep import run_sweep
from qhn_core.jobs.workers import thread_workers
from qhn_core.storage.runs import RunStore
from tests import SECONDS
from tests.small_runs import assert_same_run, assert_whole, small, until

from .browserless import AppServer, Session, child_processes, events, is_running

pytestmark = pytest.mark.slow


def saved(folder):
    """(status, epoch) of the only run of a store that somebody else may be writing; before it, ("", 0)."""
    with RunStore(folder) as store:
        return next(((run.status, run.epoch) for run in store.runs()), ("", 0))


def wait_for_end_of(processes):
    until(lambda: not any(is_running(process) for process in processes))


@pytest.fixture
def left_behind(tmp_path):
    """(config, run id, epoch, folder): a store whose server was killed in the middle of a run."""
    config = small(epochs=2000)  # 50 s: it is killed long before it ends
    program = Path(__file__).with_name("train_until_killed.py")
    server = subprocess.Popen(
        [sys.executable, program, config.model_dump_json()],
        env={**os.environ, "QHN_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        run_id = server.stdout.readline().strip()
        until(lambda: saved(tmp_path)[1] > 0)
        workers = child_processes(server.pid)
        assert workers
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    wait_for_end_of(workers)
    status, epoch = saved(tmp_path)
    assert status == "running"
    assert 0 < epoch < config.epochs
    return config, run_id, epoch, tmp_path


def test_a_killed_server_leaves_a_run_that_others_resume_to_the_same_result(left_behind, monkeypatch):
    """The next server on that store, and a sweep over that config on a copy of it."""
    config, run_id, epoch, folder = left_behind
    copy = shutil.copytree(folder, folder / "copy")

    monkeypatch.setenv("QHN_HOME", str(folder))
    monkeypatch.setattr(service, "choose_workers", lambda: thread_workers(2))
    monkeypatch.setattr(scheduler, "EPOCHS_PER_SECOND", 1e4)
    server = service.default_service.__wrapped__()  # as the app starts it
    try:
        assert saved(folder) == ("interrupted", epoch)
        job = server.get(run_id)
        assert (job.status, job.epoch) == (Status.INTERRUPTED, epoch)
        assert_same_run(job)
        server.resume(run_id)
        assert_whole(server.wait(run_id, SECONDS))
        assert saved(folder) == ("done", config.epochs)
    finally:
        server.shutdown()

    [swept] = run_sweep([config], thread_workers(2), RunStore(copy))
    assert_whole(swept)


def test_the_killed_app_shows_the_run_again_and_resume_ends_it_as_if_nothing_had_been(serve, tmp_path):
    """Streamlit's server and its pages, seen by a session that speaks its protocol.

    The run takes 50 s, so that none of this comes too late; its end is then trained without the pages.
    """
    config = small(epochs=2000, n_seeds=2, bandwidth=None, shots=100, seed=0)
    link = "n_hidden=1&n_seeds=2&epochs=2000"

    async def watch(port, query, until_epoch, resume=False):
        """(run id, status in the first message, status in the last); a run starts by itself."""
        async with Session(port, query) as session:
            assert session.problems == []
            stream = events(port, session.events_path)
            first = None
            async for event, epoch, data in stream:
                status = json.loads(data).get("status")
                if first is None:
                    first = status
                    if resume:
                        await session.act("play")
                last = status
                if event == "end" or epoch >= until_epoch:
                    break
            await stream.aclose()
            return session.run_id, first, last

    server = AppServer(tmp_path)
    try:
        run_id, _, _ = asyncio.run(watch(server.port, link, until_epoch=20))
        workers = child_processes(server.process.pid)
        assert workers
    finally:
        server.kill()
    wait_for_end_of(workers)
    status, epoch = saved(tmp_path)
    assert status == "running"
    assert 0 < epoch < config.epochs

    server = AppServer(tmp_path)
    try:
        again, first, last = asyncio.run(watch(server.port, f"run={run_id}", epoch + 20, resume=True))
        workers = child_processes(server.process.pid)
    finally:
        server.stop()
    wait_for_end_of(workers)
    assert again == run_id
    assert (first["state"], first["epoch"]) == ("interrupted", epoch)
    assert last["state"] == "running"
    assert saved(tmp_path)[0] == "interrupted"
    assert saved(tmp_path)[1] >= epoch + 20
    later = serve(thread_workers(), RunStore(tmp_path))
    job = later.resume(run_id)
    assert job.config == config
    assert_whole(later.wait(run_id, SECONDS))
    assert "Traceback" not in server.log.read_text()
