"""Where work runs: this process, a pool of processes, or a Dask cluster, behind one interface.

All are `concurrent.futures.Executor`s, so that the caller need not know which it has.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from types import ModuleType
from typing import Any

import numpy as np

from qhn_core.bits import Index
from qhn_core.config import RunConfig
from qhn_core.model.capacity import has_tables
from qhn_core.training.history import Rows
from qhn_core.training.loop import advance, initial_state
from qhn_core.training.state import TrainingState

SCHEDULER_VARIABLE = "QHN_SCHEDULER"
EPOCH_SECONDS = 0.3
"""An epoch of one shard should not hold a worker for much longer."""


def _drop_tasks(executor: Executor) -> None:
    executor.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class Workers:
    """How to make an executor (anew after a crash), how to end it, and how many tasks it runs at once."""

    make: Callable[[], Executor]
    count: int
    stop: Callable[[Executor], None] = _drop_tasks
    lost: Callable[[], str] = str
    """Says why no task will ever come back; an empty string while they do."""


def choose_workers(scheduler: str | None = None, count: int | None = None) -> Workers:
    """Choose the Dask cluster that `scheduler` or QHN_SCHEDULER names (tcp://host:8786), else processes."""
    scheduler = scheduler or os.environ.get(SCHEDULER_VARIABLE)
    return dask_workers(scheduler) if scheduler else process_workers(count)


def thread_workers(count: int = 1) -> Workers:
    """Work in threads of this process, which need no time to start: for tests and notebooks."""
    return Workers(lambda: ThreadPoolExecutor(count), count)


def process_workers(count: int | None = None) -> Workers:
    """Work in `count` processes (default: cores - 1, at least 1) of one thread each, warmed up.

    Processes, because qsim holds the interpreter's lock; `spawn`, because a fork after a threaded
    call hangs.
    """
    workers = count or max(1, (os.cpu_count() or 2) - 1)

    def make() -> Executor:
        pool = ProcessPoolExecutor(workers, mp_context=spawn_context(), initializer=leave_with_parent)
        with without_main():
            for _ in range(workers):
                pool.submit(warm_up)  # starts a process each
        return pool

    return Workers(make, workers)


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


def spawn_context() -> SpawnContext:
    """Return the way to start processes of one thread each."""
    for library in ("OMP", "OPENBLAS", "MKL"):  # read by the processes when they start
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    return multiprocessing.get_context("spawn")


@contextmanager
def without_main() -> Iterator[None]:
    """Let spawned processes not run the file of the module `__main__`, as they do by themselves.

    Under Streamlit, that is the page that happens to be drawn.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def leave_with_parent() -> None:
    """End this worker when the server has died, however it died."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def warm_up() -> None:
    """Import, compile and run everything once, so that no visitor waits for it."""
    for gradient in ("chain-rule", "algorithm-1"):
        run_chunk(RunConfig(epochs=1, gradient=gradient), np.arange(1), 1)


def run_chunk(config: RunConfig, start: TrainingState | Index, n_epochs: int) -> tuple[TrainingState, Rows]:
    """Call `advance` on a state, or on the initial state of some seeds. Runs in a worker."""
    state = start if isinstance(start, TrainingState) else initial_state(config, start)
    return advance(config, state, n_epochs)


def shard_seeds(config: RunConfig, workers: int) -> list[Index]:
    """Split the seeds of a run into shards that can be trained apart.

    There are as many shards as workers, and more where an epoch of a shard would hold a worker for longer
    than EPOCH_SECONDS.

    >>> [len(shard) for shard in shard_seeds(RunConfig(n_seeds=7), workers=2)]
    [4, 3]
    """
    shards = max(workers, int(np.ceil(config.n_seeds * epoch_seconds(config) / EPOCH_SECONDS)))
    return np.array_split(np.arange(config.n_seeds), min(shards, config.n_seeds))


def epoch_seconds(config: RunConfig) -> float:
    """Estimate the seconds that an epoch of one seed takes on one core, to a factor of two or three."""
    circuits = 2 * int(np.prod(config.angle_shape)) + 1
    if has_tables(config):
        per_circuit = 1.5e-5 if config.has_closed_form else 3e-4 * config.n_layers / 2
        per_circuit *= 2.0 ** min(max(0, config.n_qubits - 14), 40)
    else:  # most sampled networks are new and have to be scored
        per_circuit = 1e-5 * (config.shots or 0)
    return circuits * per_circuit
