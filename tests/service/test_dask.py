"""A sweep on a real Dask cluster: a scheduler and two workers, each a process, on loopback."""

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from qhn_core.jobs import workers
from qhn_core.jobs.sweep import grid, run_sweep
from qhn_core.jobs.workers import choose_workers, thread_workers
from qhn_core.storage.runs import RunStore
from tests import SECONDS
from tests.small_runs import assert_whole, small, until

pytestmark = pytest.mark.slow

if importlib.util.find_spec("distributed") is None and not os.environ.get("CI"):
    pytest.skip("needs Dask: pip install 'qhn-explorer[cluster]'", allow_module_level=True)


class Cluster:
    """The processes of a cluster, with what they print in files."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.address = ""

    def start(self, *command):
        """Start `dask ...` and wait until it says that it is ready."""
        path = self.folder / f"{len(self.processes)}.log"
        with path.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *command, "--no-dashboard", "--host", "127.0.0.1"],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        self.processes.append(process)
        return process, path

    def start_scheduler(self):
        _, log = self.start("scheduler", "--port", "0")
        line = until(lambda: [text for text in log.read_text().splitlines() if "Scheduler at:" in text])
        self.address = line[0].split()[-1]
        assert self.address.startswith("tcp://127.0.0.1:")

    def start_workers(self, count):
        options = ["--no-nanny", "--nthreads", "1", "--local-directory", str(self.folder)]
        started = [self.start("worker", self.address, *options) for _ in range(count)]
        for _, log in started:
            until(lambda log=log: "Registered to" in log.read_text())
        return [process for process, _ in started]

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait(SECONDS)


@contextlib.contextmanager
def cluster_in(folder):
    cluster = Cluster(folder)
    try:
        cluster.start_scheduler()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def impatient(monkeypatch):
    """Clients that wait a second, not ten, for a scheduler that does not listen or has gone."""
    import distributed

    class Impatient(distributed.Client):
        def __init__(self, address, timeout, **options):
            super().__init__(address, timeout=SECONDS if listens(address) else "1s", **options)
            self._timeout = 1

    monkeypatch.setattr(distributed, "Client", Impatient)


def listens(address):
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_a_sweep_on_a_cluster_that_loses_a_worker_has_the_numbers_of_this_process(tmp_path, monkeypatch):
    monkeypatch.delenv("QHN_SCHEDULER", raising=False)
    grid_of_four = {"objective": ["elbo", "selbo"], "regularization": [1, 10]}
    configs = grid({**grid_of_four, "n_hidden": [1], "n_seeds": [4], "epochs": [1000], "shots": [20]})
    assert len(configs) == 4
    total, killed = 4 * 1000, []

    with cluster_in(tmp_path) as cluster:
        with pytest.raises(ValueError, match="has no workers; start one with `dask worker"):
            choose_workers(cluster.address)
        workers = cluster.start_workers(2)
        chosen = choose_workers(cluster.address)
        assert chosen.count == 2

        def kill_a_worker(done, of):
            if done > total / 4 and not killed:
                workers[0].send_signal(signal.SIGKILL)
                killed.append(done)

        jobs = run_sweep(configs, chosen, RunStore(tmp_path), kill_a_worker)
        assert total / 4 < killed[0] < total
        workers[0].wait(SECONDS)
        assert [process.poll() for process in workers] == [-signal.SIGKILL, None]
    for config, job in zip(configs, jobs, strict=True):
        assert job.config == config
        assert_whole(job)


def test_a_sweep_whose_scheduler_dies_ends_and_can_be_resumed_elsewhere(tmp_path, impatient):
    config = small(epochs=2000)
    killed, give_up = [], time.monotonic() + SECONDS

    with cluster_in(tmp_path) as cluster:
        cluster.start_workers(1)

        def kill_the_scheduler(done, total):
            if done > total / 4:
                cluster.processes[0].kill()
                killed.append(done)
            if time.monotonic() > give_up:
                pytest.fail("the sweep goes on for ever")  # passes `suppress`, which assert would not

        with contextlib.suppress(Exception):
            run_sweep([config], choose_workers(cluster.address), RunStore(tmp_path), kill_the_scheduler)
    assert killed
    [job] = run_sweep([config], thread_workers(), RunStore(tmp_path))
    assert_whole(job)


def test_the_scheduler_may_come_from_the_environment(monkeypatch):
    asked = []
    monkeypatch.setattr(workers, "dask_workers", asked.append)
    monkeypatch.setenv("QHN_SCHEDULER", "tcp://one:8786")
    choose_workers()
    choose_workers("tcp://two:8786")
    assert asked == ["tcp://one:8786", "tcp://two:8786"]


def test_a_scheduler_that_does_not_answer_is_named(impatient):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    with pytest.raises(ValueError, match=f"scheduler='{address}': no Dask scheduler answers there"):
        choose_workers(address)


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1:1", "tcp://127.0.0.1:many"])
def test_an_address_that_is_none_is_named(address):
    with pytest.raises(ValueError, match=f"scheduler='{address}'"):
        choose_workers(address)


def test_without_dask_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"needs Dask: pip install 'qhn-explorer\[cluster\]'"):
        choose_workers("tcp://127.0.0.1:8786")


def test_without_a_scheduler_the_workers_are_processes_of_this_machine(monkeypatch):
    monkeypatch.delenv("QHN_SCHEDULER", raising=False)
    assert choose_workers(count=3).count == 3
