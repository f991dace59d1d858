"""Compute the study in the background of a server: one study at a time, in a process of its own.

The process trains with one thread at the lowest priority. It ends when the study is done or the server
ends. The store keeps what it has trained, so the next process goes on from there.
"""

import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import psutil

from qhn_core.config import RunConfig
from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import ServerFullError
from qhn_core.jobs.processes import leave_with_parent, spawn_context, without_main
from qhn_core.jobs.workers import run_chunk, thread_workers
from qhn_core.paper.results import save_results
from qhn_core.paper.run import FailedRunsError, Study, run_study
from qhn_core.storage.database import StoreError, default_folder
from qhn_core.storage.runs import RunStore

LOWEST_PRIORITY = getattr(psutil, "IDLE_PRIORITY_CLASS", 19)
"""Windows names its priorities; Unix counts to 19."""
TRIAL_EPOCHS = 3
TRIAL_SEEDS = 5
SECONDS_TO_SCORE = 0.15
"""To score a trained run on its dataset; a rough number."""


@dataclass(frozen=True)
class Progress:
    """The progress of a study in the background."""

    study: Study
    status: Status
    """RUNNING, DONE, INTERRUPTED (stopped; starting it again goes on) or FAILED."""
    done: int = 0
    """Epochs of all runs, including those that the store had already."""
    total: int = 0
    """Epochs to reach; 0 before the first count."""
    seconds_left: float | None = None
    """An estimate; None before the first one."""
    message: str = ""


@dataclass(frozen=True)
class _Count:
    """A message of the process: epochs of all runs, trained and in all."""

    done: int
    total: int


@dataclass(frozen=True)
class _End:
    """The last message of the process."""

    problem: str
    """"" if the study is done."""


@dataclass(frozen=True)
class _Start:
    """The first count, in which stored epochs were counted already, and its time on the monotonic clock."""

    done: int
    at: float

    def seconds_left(self, count: _Count) -> float | None:
        """Extrapolate the speed since the first count; None before anything was computed."""
        computed, seconds = count.done - self.done, time.monotonic() - self.at
        return (count.total - count.done) * seconds / computed if computed else None


class Background:
    """Run a study in a process of its own, for all visitors of this server. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self.progress: Progress | None = None
        """Of the study that runs now, or of the last one; None before the first."""

    def start(self, study: Study, command: str) -> None:
        """Start to compute a study, from what is stored of it.

        command: the command line that does the same, for the record. Raises ServerFullError while
        another study is being computed.
        """
        with self._lock:
            if self._process is not None:
                raise ServerFullError("A study is being computed already; only one at a time can be.")
            context = spawn_context()
            reader, writer = context.Pipe(duplex=False)
            arguments = (writer, study, command, default_folder())
            self._process = context.Process(target=_compute, args=arguments, daemon=True)
            with without_main():
                self._process.start()
            writer.close()  # only the child holds a writer now, so reading ends when the child does
            self.progress = Progress(study, Status.RUNNING)
            threading.Thread(target=self._listen, args=(reader, self._process), daemon=True).start()

    def stop(self) -> None:
        """Stop the study within a moment; what was trained stays stored."""
        with self._lock:
            if self._process is not None:
                self._process.terminate()

    def wait(self, seconds: float) -> Progress | None:
        """Block until no study runs, for `seconds` at most; return the progress."""
        until = time.monotonic() + seconds
        while self._process is not None and time.monotonic() < until:
            time.sleep(0.02)
        return self.progress

    def _listen(self, reader: Connection, process: BaseProcess) -> None:
        """Follow the process until it ends, and publish its progress."""
        message: _Count | _End | None = None
        start: _Start | None = None
        try:
            while True:
                message = reader.recv()
                if isinstance(message, _Count):
                    start = start or _Start(message.done, time.monotonic())
                    left = start.seconds_left(message)
                    self._report(Status.RUNNING, done=message.done, total=message.total, seconds_left=left)
        except (EOFError, OSError):  # the process has ended, perhaps in the middle of a message
            process.join()
        if isinstance(message, _End):
            status = Status.FAILED if message.problem else Status.DONE
            self._report(status, message=message.problem)
        elif process.exitcode in (0, -signal.SIGTERM):
            self._report(Status.INTERRUPTED)
        else:
            self._report(Status.FAILED, message=f"Its process ended with exit code {process.exitcode}.")
        with self._lock:
            self._process = None

    def _report(self, status: Status, **changes: float | str | None) -> None:
        if self.progress is not None:
            self.progress = replace(self.progress, status=status, **changes)  # type: ignore[arg-type]


def _compute(writer: Connection, study: Study, command: str, home: Path) -> None:
    """Compute in the process: send a `_Count` repeatedly, and an `_End` at last."""
    leave_with_parent()
    # An exit lets `run_sweep` save the runs that are not finished; a kill would not.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    psutil.Process().nice(LOWEST_PRIORITY)
    try:
        with RunStore(home) as store:
            results = run_study(
                study,
                thread_workers(),
                store,
                command,
                lambda done, total: writer.send(_Count(done, total)),
            )
        save_results(results_folder(study.base.n_seeds, home), results)
    except (FailedRunsError, StoreError, OSError) as error:
        writer.send(_End(str(error)))
    else:
        writer.send(_End(""))


def results_folder(n_seeds: int, home: Path | None = None) -> Path:
    """Return the folder of the results of a study with so many seeds; it is below QHN_HOME."""
    return (home or default_folder()) / "paper" / str(n_seeds)


def computed_here() -> dict[int, float]:
    """List the studies that this server has computed: number of seeds -> time, seconds since 1970."""
    files = results_folder(0).parent.glob("*/about.json")
    found = {int(f.parent.name): f.stat().st_mtime for f in files if f.parent.name.isdecimal()}
    return dict(sorted(found.items()))


def seconds_to_compute(study: Study) -> float:
    """Estimate how long one process takes with nothing stored yet, from a few epochs of each kind."""
    base = study.base.model_copy(update={"n_seeds": TRIAL_SEEDS})
    runs = study.paper()
    return SECONDS_TO_SCORE * len(runs) + sum(
        _epoch_seconds(base, config.objective, config.gradient) * config.epochs * config.n_seeds
        for config in runs
    )


@cache
def _epoch_seconds(base: RunConfig, objective: str, gradient: str) -> float:
    """Measure the seconds that an epoch of one seed takes."""
    config = base.model_copy(update={"objective": objective, "gradient": gradient})
    state, _ = run_chunk(config, np.arange(TRIAL_SEEDS), 1)  # compiles, and scores all networks
    started = time.perf_counter()
    run_chunk(config, state, TRIAL_EPOCHS)
    return (time.perf_counter() - started) / TRIAL_EPOCHS / TRIAL_SEEDS


@cache
def background() -> Background:
    """Return the one instance of this process."""
    return Background()
