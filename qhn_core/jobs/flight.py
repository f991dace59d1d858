"""A task that a worker has."""

from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TypeAlias

from qhn_core.jobs.job import Job
from qhn_core.training.history import Rows
from qhn_core.training.state import TrainingState

Result: TypeAlias = "Future[tuple[TrainingState, Rows, float]]"


@dataclass(eq=False)
class Flight:
    """A task that a worker has."""

    job: Job
    shard: int
    chunk: int
    executor: Executor
    started: float
    """When the scheduler last saw it wait for its worker to be ready."""
    interrupted: bool = False
    """Whether its worker was ended on purpose."""
