"""Jobs: a config and a state that move on in chunks of `advance`, and who may start them."""

import os
import time
from collections import deque
from dataclasses import dataclass, field, fields
from enum import StrEnum

from qhn_core.bits import Index
from qhn_core.config import RunConfig
from qhn_core.model.capacity import (
    BYTES_PER_NETWORK,
    MOST_TABLE_BITS,
    has_tables,
    largest_network,
    tables_gb,
    way_out,
)
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


class ServerFullError(RuntimeError):
    """This server takes on no more now; the message says why."""


@dataclass(frozen=True)
class Limits:
    """What one server takes on. Each can be set as an environment variable, QHN_ and the name."""

    max_jobs: int = 64
    """Runs under way or waiting, of everybody."""
    max_jobs_per_session: int = 4
    max_seeds: int = 100
    max_epochs: int = 5000
    max_qubits: int = 22
    """Of runs that need all 2**n networks."""
    max_memory_gb: int = 8
    max_qubits_sampled: int = 1000
    """Of runs that are trained from samples alone, without 2**n."""
    grace_seconds: int = 60
    """A run that nobody watches goes on for so long."""

    @classmethod
    def from_environment(cls) -> "Limits":
        """The defaults, with what QHN_MAX_JOBS and so on say; raises ValueError for a bad number."""
        found = {}
        for f in fields(cls):
            variable = f"QHN_{f.name.upper()}"
            if text := os.environ.get(variable):
                if not text.isdigit():
                    raise ValueError(f"{variable}={text!r}: needed is a whole number")
                found[f.name] = int(text)
        return cls(**found)

    def check(self, config: RunConfig) -> None:
        """Raise ValueError where a run is larger than this server takes on."""
        sizes = {"n_seeds": (config.n_seeds, self.max_seeds), "epochs": (config.epochs, self.max_epochs)}
        for name, (value, most) in sizes.items():
            if value > most:
                raise ValueError(f"{name}={value}: this server allows at most {most}")
        tables = has_tables(config)
        most = self.max_qubits if tables else self.max_qubits_sampled
        if config.n_qubits > most:
            change = way_out(config) if tables and config.n_qubits > MOST_TABLE_BITS else ""
            raise ValueError(
                f"n_hidden={config.n_hidden} makes {config.n_qubits} qubits: this server allows at most "
                f"{most} {'with' if tables else 'without'} 2**n numbers, "
                f"{largest_network(config, most)}{change}"
            )
        if tables and BYTES_PER_NETWORK * 2**config.n_qubits > self.max_memory_gb * 10**9:
            raise ValueError(
                f"n_hidden={config.n_hidden} needs {tables_gb(config.n_qubits)} GB of memory: this server "
                f"allows {self.max_memory_gb} GB a run"
            )


def about(seconds: float) -> str:
    """A time for people.

    >>> about(42.3), about(930.0)
    ('about 42 s', 'about 16 min')
    """
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min"


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
