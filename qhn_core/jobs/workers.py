"""Where work runs: this process, a pool of processes, or a Dask cluster, behind one interface.

All are `concurrent.futures.Executor`s, so that the caller need not know which it has.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from qhn_core.bits import Index
from qhn_core.config import RunConfig
from qhn_core.jobs.processes import ProcessPool
from qhn_core.training.history import Rows
from qhn_core.training.loop import advance, initial_state
from qhn_core.training.state import TrainingState

SCHEDULER_VARIABLE = "QHN_SCHEDULER"


def _drop_tasks(executor: Executor) -> None:
    executor.shutdown(wait=False, cancel_futures=True)


def _let_it_end(executor: Executor, future: Future[Any]) -> bool:
    """Threads and the workers of a cluster can't be interrupted."""
    return False


@dataclass(frozen=True)
class Workers:
    """How to make an executor (anew after a crash), how to end it, and how many tasks it runs at once."""

    make: Callable[[], Executor]
    count: int
    stop: Callable[[Executor], None] = _drop_tasks
    lost: Callable[[], str] = str
    """Says why no task will ever come back; an empty string while they do."""
    interrupt: Callable[[Executor, Future[Any]], bool] = _let_it_end
    """Ends a task under way, whose future then fails; returns False where it can't be ended."""


def choose_workers(scheduler: str | None = None, count: int | None = None) -> Workers:
    """Choose the Dask cluster that `scheduler` or QHN_SCHEDULER names (tcp://host:8786), else processes."""
    scheduler = scheduler or os.environ.get(SCHEDULER_VARIABLE)
    return dask_workers(scheduler) if scheduler else process_workers(count)


def thread_workers(count: int = 1) -> Workers:
    """Work in threads of this process, which need no time to start: for tests and notebooks."""
    return Workers(lambda: ThreadPoolExecutor(count), count)


def process_workers(count: int | None = None) -> Workers:
    """Work in `count` processes of one thread each, warmed up, which can be interrupted.

    By default there are cores - 1 of them, and at least 2, since one takes no long tasks.
    """
    workers = count or max(2, (os.cpu_count() or 2) - 1)
    return Workers(lambda: ProcessPool(workers, warm_up), workers, interrupt=_interrupt)


def _interrupt(executor: Executor, future: Future[Any]) -> bool:
    return isinstance(executor, ProcessPool) and executor.interrupt(future)


def dask_workers(scheduler: str) -> Workers:
    """Work on a running Dask cluster; raises ValueError where none can be reached."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(
            f"scheduler={scheduler!r} needs Dask: pip install 'qhn-explorer[cluster]'"
        ) from error
    try:
        client = Client(scheduler, timeout="10s", set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ValueError(f"scheduler={scheduler!r}: no Dask scheduler answers there ({error})") from error
    count = sum(client.nthreads().values())
    if not count:
        client.close()
        raise ValueError(
            f"scheduler={scheduler!r} has no workers; start one with `dask worker {scheduler}`"
        )

    def make() -> Executor:
        executor: Any = client.get_executor(pure=False)
        return executor

    def stop(executor: Executor) -> None:
        executor.shutdown(wait=False)
        client.close(timeout=2)

    def lost() -> str:
        gone = client.status != "running"
        return (
            f"scheduler={scheduler!r} is gone; what was trained is saved, run again to go on"
            if gone
            else ""
        )

    return Workers(make, count, stop, lost)


@dataclass(frozen=True)
class Timed:
    """A function that also returns its seconds, measured where it runs: without a wait for the worker."""

    function: Callable[..., tuple[TrainingState, Rows]]

    def __call__(self, *arguments: Any) -> tuple[TrainingState, Rows, float]:
        """Call it, and return (state, rows, seconds)."""
        started = time.monotonic()
        state, rows = self.function(*arguments)
        return state, rows, time.monotonic() - started


def warm_up() -> None:
    """Import, compile and run everything once, so that no visitor waits for it."""
    for gradient in ("chain-rule", "algorithm-1"):
        run_chunk(RunConfig(epochs=1, gradient=gradient), np.arange(1), 1)


def run_chunk(config: RunConfig, start: TrainingState | Index, n_epochs: int) -> tuple[TrainingState, Rows]:
    """Call `advance` on a state, or on the initial state of some seeds. Runs in a worker."""
    state = start if isinstance(start, TrainingState) else initial_state(config, start)
    return advance(config, state, n_epochs)
