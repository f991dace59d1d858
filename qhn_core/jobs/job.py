"""Jobs: a config and a state that move on in chunks of `advance`."""

from collections import deque
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from qhn_core.bits import Index
from qhn_core.config import RunConfig
from qhn_core.jobs.cost import epoch_seconds, setup_seconds
from qhn_core.storage.run_record import new_run_id
from qhn_core.training.history import Rows, join_rows, tidy
from qhn_core.training.loop import RunResult
from qhn_core.training.state import TrainingState, merge_states

LONG_SECONDS = 1.0
"""A task that takes longer is a long one: the last worker is not for it."""


LOST_CHUNKS_ALLOWED = 3
"""A run is given up when one of its chunks has failed so often."""


class Status(StrEnum):
    """Where a job stands.

    >>> Status.QUEUED.is_moving, Status.PAUSED.is_moving, Status.PAUSED.is_final, Status.DONE.is_final
    (True, False, False, True)
    """

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    """The server stopped, or nobody watched any more; resuming goes on from there."""
    DONE = "done"
    DIVERGED = "diverged"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_moving(self) -> bool:
        """Whether the job is being trained, or waits for its turn."""
        return self in (Status.QUEUED, Status.RUNNING)

    @property
    def is_final(self) -> bool:
        """Whether the job is over: nothing more will happen to it."""
        return self in (Status.DONE, Status.DIVERGED, Status.CANCELLED, Status.FAILED)


Shard = TrainingState | Index
"""Some seeds of a run, trained in one task: their numbers, or once they have started, their state."""


@dataclass(eq=False)
class Job:
    """One run. Only its JobService changes it; anybody may read it. Times are of the service's clock."""

    config: RunConfig
    shards: list[Shard]
    status: Status = Status.QUEUED
    id: str = field(default_factory=new_run_id)
    state: TrainingState | None = None
    """All seeds after the last whole chunk."""
    chunks: list[Rows] = field(default_factory=list)
    message: str = ""
    version: int = 0
    """Counts changes, so that views know when to look."""
    steps_left: int | None = None
    """Epochs until the job pauses by itself; None runs to the end."""
    sessions: set[str] = field(default_factory=set)
    """The sessions that have this run on show. The last one that leaves stays, while the run goes on for
    the streams that are open: it counts for the share of that session."""
    address: str = ""
    """Where the visitor is who started the run, or let it go on; empty where that is not known."""
    viewers: int = 0
    """Event streams that are open now."""
    begun: float = 0.0
    last_seen: float = 0.0
    """When a session asked for this job, or a stream of it opened or closed."""
    seconds_left: float | None = None
    """Estimate of the time to the end."""

    # The chunk under way.
    n_epochs: int = 0
    chunk: int = 0
    """Counts the chunks that were planned or given up: a task of an earlier one is of no use any more."""
    waiting: deque[int] = field(default_factory=deque)
    """Shards that no worker has yet."""
    stop_at: float = float("inf")
    """When the chunk is broken off, since the job was stopped."""
    broken_off: bool = False
    """Whether the rest of the chunk waits until the job goes on."""
    long_tasks: bool = False
    """Whether a task holds its worker for more than a moment, as estimated, later as measured."""
    done: dict[int, tuple[TrainingState, Rows]] = field(default_factory=dict)
    in_flight: int = 0
    work_seconds: float = 0.0
    """What all workers together have spent on this chunk."""
    due: float = 0.0
    """When the next chunk may begin."""
    epoch_seconds: float | None = None
    last_crash: object = None
    """The executor that broke last while it had this job: a crash counts once, whatever it took along."""
    suspect: bool = False
    """A worker died while it had this job: the job is tried alone, to see whether it is to blame."""
    lost_chunks: int = 0

    stored: bool = True
    """Whether the store keeps it; not where it has a finished run of the same config already."""
    saved_chunks: int = 0
    saved_at: float = 0.0
    _joined: tuple[int, Rows] = field(default_factory=lambda: (0, join_rows([])))
    """How many of `chunks` are joined into one table already, and that table."""

    def __post_init__(self) -> None:
        first = self.shards[0] if self.shards else np.zeros(0)
        seeds = len(first.seeds if isinstance(first, TrainingState) else first)
        self.long_tasks = setup_seconds(self.config) + seeds * epoch_seconds(self.config) > LONG_SECONDS

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return 0 if self.state is None else self.state.epoch

    @property
    def in_chunk(self) -> bool:
        """Whether a chunk is under way."""
        return bool(self.in_flight or (self.waiting and not self.broken_off))

    @property
    def resting(self) -> bool:
        """Whether the job is over, or goes on only when somebody asks for it."""
        return not self.status.is_moving and not self.in_chunk

    def become(self, status: Status) -> None:
        """Change the status; a job that is over stays as it is."""
        if self.status.is_final:
            return
        if self.status == Status.QUEUED and status in (Status.PAUSED, Status.CANCELLED):
            self.message = ""  # it said what this job waits for
        self.status = status

    def rows(self) -> Rows:
        """The history so far."""
        count, rows = self._joined
        if new := self.chunks[count:]:
            rows = join_rows([rows, *new])
            self._joined = count + len(new), rows
        return rows

    def result(self) -> RunResult:
        """The run as far as it has come; raises ValueError before its first state."""
        if self.state is None:
            raise ValueError("this run has not started yet")
        return RunResult(self.config, tidy(self.rows()), self.state)

    def fork(self) -> "Job":
        """A paused copy that goes its own way; both share their past, since states never change."""
        return Job(
            self.config,
            list(self.shards),
            Status.PAUSED,
            state=self.state,
            chunks=list(self.chunks),
            begun=self.begun,
            last_seen=self.last_seen,
            epoch_seconds=self.epoch_seconds,
        )

    def plan_chunk(self, n_epochs: int) -> None:
        """Lay out the next chunk: every shard by n_epochs."""
        self.n_epochs = n_epochs
        self.chunk += 1
        self.waiting = deque(range(len(self.shards)))
        self.done = {}
        self.work_seconds = 0.0

    def break_off(self) -> None:
        """Start no more of the chunk, and forget it; one of a single epoch keeps the shards that are done.

        So a pause costs a long epoch only the tasks under way, and a step after it is one epoch still.
        """
        self.stop_at, self.broken_off = float("inf"), True
        if self.status.is_final or self.n_epochs > 1:
            self.chunk += 1
            self.waiting.clear()
            self.done = {}

    def count_failure(self, error: BaseException, broken: Executor | None) -> bool:
        """Count a failed task; return whether the run is given up.

        broken: the executor, where it died as a whole and others may be to blame; else None.
        """
        if broken is None or (self.suspect and self.last_crash is not broken):
            self.lost_chunks += 1
        if broken is not None:
            self.suspect, self.last_crash = True, broken
        if self.lost_chunks < LOST_CHUNKS_ALLOWED:
            if not self.status.is_final:
                self.message = f"A worker was lost; going on from epoch {self.epoch}."
            return False
        self.suspect = False
        died = isinstance(error, BrokenExecutor | CancelledError)
        what = "its worker died" if died else f"{type(error).__name__}: {error}"
        if not self.status.is_final:
            self.message = (
                f"Epoch {self.epoch + 1} failed {LOST_CHUNKS_ALLOWED} times ({what}); the run is given up."
            )
        return True

    def finish_chunk(self, workers: int) -> None:
        """Take over the results of all shards as the new state and history."""
        results = [self.done[i] for i in range(len(self.shards))]
        states = [state for state, _ in results]
        self.shards, self.done = [*states], {}
        # Rows first: a reader in another thread may miss the newest state, but never rows that led to one.
        self.chunks.append(join_rows([rows for _, rows in results]))
        self.state = merge_states(states)
        self.message = self.state.divergence() or ("" if self.status.is_moving else self.message)
        self.lost_chunks, self.suspect = 0, False
        if self.n_epochs:
            if self.epoch_seconds is not None:  # the first chunk may have compiled something
                self.long_tasks = self.work_seconds / len(self.shards) > LONG_SECONDS
            self.epoch_seconds = self.work_seconds / min(workers, len(self.shards)) / self.n_epochs
        if self.steps_left is not None:
            self.steps_left -= self.n_epochs
