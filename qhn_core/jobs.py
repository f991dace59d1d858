"""Running jobs: a config and a state that move on in chunks of `advance`.

One scheduler thread hands chunks to the pool, one at a time from each job in turn, so that
everybody's curves move. Pausing is not submitting the next chunk; a step is a chunk of one.
"""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from qhn_core.config import RunConfig
from qhn_core.execution import make_pool, run_chunk, warm_up
from qhn_core.problem import check_memory
from qhn_core.training import Rows, RunResult, TrainingState, join_rows, tidy

EPOCHS_PER_SECOND = 40
"""A live run goes no faster, so that eyes can follow it: 200 epochs in 5 s."""
CHUNK_SECONDS = 0.05
"""Views get news this often, where an epoch takes no longer."""
MAX_WAITING = 64
KEEP_FINISHED = 256
LOST_CHUNKS_ALLOWED = 2
"""A chunk that kills its worker three times is given up."""


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    DIVERGED = "diverged"
    CANCELLED = "cancelled"
    FAILED = "failed"


FINAL = {Status.DONE, Status.DIVERGED, Status.CANCELLED, Status.FAILED}


class ServerFullError(RuntimeError):
    """Too many jobs are waiting."""


@dataclass(eq=False)
class Job:
    """One run in progress. Changed only by its JobService; read by anybody."""

    config: RunConfig
    status: Status = Status.QUEUED
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: TrainingState | None = None
    chunks: list[Rows] = field(default_factory=list)
    message: str = ""
    version: int = 0
    """Counts changes, so that views know when to look."""
    epoch_seconds: float = CHUNK_SECONDS
    due: float = 0.0
    steps_left: int | None = None
    """Epochs until the job pauses by itself; None runs to the end."""
    in_flight: bool = False
    lost_chunks: int = 0
    """Chunks in a row whose worker died."""

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return 0 if self.state is None else self.state.epoch

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in FINAL

    def rows(self) -> Rows:
        """The history so far."""
        return join_rows(list(self.chunks))

    def result(self) -> RunResult:
        """The run as far as it has come; raises ValueError before its first epoch."""
        if self.state is None:
            raise ValueError("this run has not started yet")
        return RunResult(self.config, tidy(self.rows()), self.state)


class JobService:
    """Submits, pauses, steps, resumes and cancels jobs on one executor.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> service = JobService(lambda: ThreadPoolExecutor(1))
    >>> job = service.submit(RunConfig(epochs=2))
    >>> service.wait(job.id, seconds=60).status
    <Status.DONE: 'done'>
    >>> service.shutdown()
    """

    def __init__(self, make_executor: Callable[[], Executor], workers: int = 1) -> None:
        self._make_executor = make_executor
        self._executor = make_executor()
        self._workers = workers
        self._jobs: dict[str, Job] = {}
        self._ready: deque[Job] = deque()
        self._busy = 0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._schedule, name="qhn-jobs", daemon=True)
        self._thread.start()

    def submit(self, config: RunConfig, paused: bool = False) -> Job:
        """Start a run; `paused`: only make its initial state, for a step or resume to go on from.

        Raises ValueError where the config does not fit this machine, ServerFullError where too
        many runs are waiting.
        """
        check_memory(config)
        with self._changed:
            waiting = sum(not job.final and job.status != Status.PAUSED for job in self._jobs.values())
            if waiting >= MAX_WAITING:
                raise ServerFullError(f"{waiting} runs are under way here; try again in a minute")
            job = Job(config, steps_left=0 if paused else None)
            self._forget_oldest()
            self._jobs[job.id] = job
            self._enqueue(job)
            return job

    def get(self, job_id: str) -> Job | None:
        """The job with that id, or None."""
        return self._jobs.get(job_id)

    def pause(self, job_id: str) -> None:
        """Let the chunk in flight finish and submit no further one."""
        self._set(job_id, Status.PAUSED)

    def resume(self, job_id: str, n_epochs: int | None = None) -> None:
        """Go on: for n_epochs and then pause, or to the end."""
        with self._changed:
            job = self._jobs[job_id]
            if not job.final:
                job.steps_left = n_epochs
                job.status = Status.RUNNING if job.epoch else Status.QUEUED
                self._touch(job)
                self._enqueue(job)

    def cancel(self, job_id: str) -> None:
        """Stop for good; what was trained stays readable."""
        self._set(job_id, Status.CANCELLED)

    def wait(self, job_id: str, seconds: float) -> Job:
        """Block until the job is final or paused, at most `seconds`."""
        job = self._jobs[job_id]
        with self._changed:
            self._changed.wait_for(lambda: job.final or job.status == Status.PAUSED, timeout=seconds)
        return job

    def shutdown(self) -> None:
        """Stop scheduling and end the workers."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _set(self, job_id: str, status: Status) -> None:
        with self._changed:
            job = self._jobs[job_id]
            if not job.final:
                job.status = status
                self._touch(job)

    def _touch(self, job: Job) -> None:
        job.version += 1
        self._changed.notify_all()

    def _enqueue(self, job: Job) -> None:
        if not job.in_flight and job not in self._ready:
            self._ready.append(job)
            self._changed.notify_all()

    def _forget_oldest(self) -> None:
        finished = [job.id for job in self._jobs.values() if job.final]
        for job_id in finished[: max(0, len(finished) - KEEP_FINISHED)]:
            del self._jobs[job_id]

    def _schedule(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                job = next((j for j in self._ready if j.due <= now), None)
                if job is not None and self._busy < self._workers:
                    self._ready.remove(job)
                    if job.status in (Status.QUEUED, Status.RUNNING):
                        self._start_chunk(job, now)
                    continue
                soonest = min((j.due for j in self._ready), default=None)
                full = self._busy >= self._workers
                self._changed.wait(None if soonest is None or full else max(0.001, soonest - now))

    def _start_chunk(self, job: Job, now: float) -> None:
        fits = int(CHUNK_SECONDS / job.epoch_seconds) if job.epoch else 1
        n_epochs = max(1, min(fits, int(EPOCHS_PER_SECOND * CHUNK_SECONDS)))
        if job.steps_left is not None:
            n_epochs = min(n_epochs, job.steps_left)
        job.due = now + n_epochs / EPOCHS_PER_SECOND
        job.in_flight = True
        self._busy += 1
        try:
            future = self._executor.submit(run_chunk, job.config, job.state, n_epochs)
        except BrokenExecutor:  # a worker died while it was idle
            self._executor = self._make_executor()
            future = self._executor.submit(run_chunk, job.config, job.state, n_epochs)
        future.add_done_callback(lambda done: self._finish_chunk(job, done, n_epochs, now))

    def _finish_chunk(
        self, job: Job, done: "Future[tuple[TrainingState, Rows]]", n_epochs: int, started: float
    ) -> None:
        with self._changed:
            self._busy -= 1
            job.in_flight = False
            error = None if done.cancelled() else done.exception()
            if done.cancelled():
                self._fail(job, "The server stopped before the run ended.")
            elif isinstance(error, BrokenExecutor) and job.lost_chunks < LOST_CHUNKS_ALLOWED:
                job.lost_chunks += 1
                job.message = f"A worker died; going on from epoch {job.epoch}."
                self._enqueue(job)
            elif error is not None:
                self._fail(job, f"The run failed: {error}")
            else:
                job.lost_chunks = 0
                self._take_result(job, *done.result(), n_epochs)
                job.epoch_seconds = max(1e-6, (time.monotonic() - started) / max(1, n_epochs))
            self._touch(job)

    def _fail(self, job: Job, message: str) -> None:
        job.status, job.message = Status.FAILED, message

    def _take_result(self, job: Job, state: TrainingState, rows: Rows, n_epochs: int) -> None:
        job.chunks.append(rows)  # before the state: who reads in between misses rows, never a state
        job.state = state
        job.message = state.divergence() or job.message
        if job.steps_left is not None:
            job.steps_left -= n_epochs
        if job.final:
            return
        if state.diverged_at.all():
            job.status = Status.DIVERGED
        elif state.epoch >= job.config.epochs:
            job.status = Status.DONE
        elif job.steps_left is not None and job.steps_left <= 0:
            job.status = Status.PAUSED
        elif job.status != Status.PAUSED:
            job.status = Status.RUNNING
            self._enqueue(job)


@lru_cache(maxsize=1)
def default_service() -> JobService:
    """The service of this process, made and warmed up at first use."""

    def make_executor() -> Executor:
        pool = make_pool()
        pool.submit(warm_up)
        return pool

    return JobService(make_executor)
