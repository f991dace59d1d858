"""Jobs: a config and a state that move on in chunks of `advance`, and who may start them."""

import time
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from qhn_core.bits import Index
from qhn_core.config import RunConfig
from qhn_core.storage.run_record import new_run_id
from qhn_core.training.history import Rows, join_rows, tidy
from qhn_core.training.loop import RunResult
from qhn_core.training.state import TrainingState, merge_states


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    """The server, or everybody who watched, went away; resume goes on."""
    DONE = "done"
    DIVERGED = "diverged"
    CANCELLED = "cancelled"
    FAILED = "failed"


FINAL = {Status.DONE, Status.DIVERGED, Status.CANCELLED, Status.FAILED}
MOVING = {Status.QUEUED, Status.RUNNING}


Part = TrainingState | Index
"""What a shard of the seeds goes on from: its seeds, and once it has started its state."""


@dataclass(eq=False)
class Job:
    """One run. Changed only by its JobService; read by anybody."""

    config: RunConfig
    parts: list[Part]
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
    """Who has this run on show."""
    viewers: int = 0
    """Event streams that are open now."""
    last_seen: float = field(default_factory=time.monotonic)
    begun: float = field(default_factory=time.monotonic)
    seconds_left: float | None = None
    """Estimate of the time to the end."""

    # The chunk under way.
    n_epochs: int = 0
    waiting: deque[int] = field(default_factory=deque)
    """Parts that no worker has yet."""
    done: dict[int, tuple[TrainingState, Rows]] = field(default_factory=dict)
    in_flight: int = 0
    work_seconds: float = 0.0
    """Of all workers together, on this chunk."""
    due: float = 0.0
    epoch_seconds: float | None = None
    last_crash: object = None
    """The executor that broke last while it had this job: a crash counts once, whatever it took."""
    suspect: bool = False
    """A worker died while it had this job: it is tried alone, to see who is to blame."""
    lost_chunks: int = 0
    stored: bool = True
    """Whether to keep it in the store: not where a finished run of the same config is there already."""
    _joined: tuple[int, Rows] = field(default_factory=lambda: (0, join_rows([])))
    """How many of `chunks` are joined to one already, and that one."""
    saved_chunks: int = 0
    saved_at: float = 0.0

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return 0 if self.state is None else self.state.epoch

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in FINAL

    @property
    def in_chunk(self) -> bool:
        """Whether a chunk is under way."""
        return bool(self.waiting or self.in_flight)

    @property
    def resting(self) -> bool:
        """Whether the job is over, or waits for somebody to go on."""
        return self.status not in MOVING and not self.in_chunk

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
        """A paused copy that goes its own way: states are never changed, so both share the past."""
        return Job(
            self.config,
            list(self.parts),
            Status.PAUSED,
            state=self.state,
            chunks=list(self.chunks),
            epoch_seconds=self.epoch_seconds,
        )

    def plan_chunk(self, n_epochs: int) -> None:
        """Lay out the next chunk: every part by n_epochs."""
        self.n_epochs = n_epochs
        self.waiting = deque(range(len(self.parts)))
        self.done = {}
        self.work_seconds = 0.0

    def finish_chunk(self, workers: int) -> None:
        """Take over the results of all parts as the new state and history."""
        results = [self.done[i] for i in range(len(self.parts))]
        states = [state for state, _ in results]
        self.parts, self.done = [*states], {}
        # The rows come first: who reads in between misses a state, never its rows.
        self.chunks.append(join_rows([rows for _, rows in results]))
        self.state = merge_states(states)
        self.message = self.state.divergence() or ("" if self.status in MOVING else self.message)
        self.lost_chunks, self.suspect = 0, False
        if self.n_epochs:
            self.epoch_seconds = self.work_seconds / min(workers, len(self.parts)) / self.n_epochs
        if self.steps_left is not None:
            self.steps_left -= self.n_epochs


def restored(
    config: RunConfig,
    job_id: str,
    status: str,
    message: str,
    state: TrainingState | None,
    rows: Rows,
    shards: list[Index],
) -> Job:
    """A job as it was stored, its seeds dealt out to this server's workers."""
    parts: list[Part] = [seeds if state is None else state.take(seeds) for seeds in shards]
    chunks = [rows] if len(rows["epoch"]) else []
    return Job(config, parts, Status(status), id=job_id, state=state, chunks=chunks, message=message)
