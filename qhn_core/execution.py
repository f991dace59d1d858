"""Where work runs: a pool of worker processes behind `concurrent.futures.Executor`."""

import multiprocessing
import os
from concurrent.futures import Executor, ProcessPoolExecutor

from qhn_core.config import RunConfig
from qhn_core.training import Rows, TrainingState, advance, initial_state


def make_pool(workers: int | None = None) -> Executor:
    """A pool of `workers` processes (default: cores - 1, at least 1), one thread each.

    Processes, because qsim holds the interpreter's lock; `spawn`, because a fork after a threaded
    call hangs. Call `warm_up` in each so that the first run need not wait.
    """
    for library in ("OMP", "OPENBLAS", "MKL"):  # read by the workers when they start
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    count = workers or max(1, (os.cpu_count() or 2) - 1)
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def warm_up() -> None:
    """Import, compile and run everything once, off anybody's path."""
    for gradient in ("chain-rule", "algorithm-1"):
        run_chunk(RunConfig(epochs=1, gradient=gradient), None, 1)


def run_chunk(config: RunConfig, state: TrainingState | None, n_epochs: int) -> tuple[TrainingState, Rows]:
    """`advance`, from the initial state where there is none yet. Runs in a worker."""
    return advance(config, initial_state(config) if state is None else state, n_epochs)
