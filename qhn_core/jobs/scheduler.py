"""Which task runs next: every chunk of every job is one task per shard of its seeds.

Tasks of different jobs alternate, so that a run of one seed never waits for more than one task of a
run of a hundred. A task whose worker dies is tried again, first in turn, then alone.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future

from qhn_core.jobs.job import MOVING, Job, Status
from qhn_core.jobs.workers import Workers, run_chunk
from qhn_core.training.history import Rows
from qhn_core.training.state import TrainingState

EPOCHS_PER_SECOND = 40
"""A live run goes no faster, so that eyes can follow it: 200 epochs in 5 s."""
CHUNK_SECONDS = 0.05
"""Views get news this often, where an epoch takes no longer."""
UNPACED_CHUNK_SECONDS = 0.5
LOST_CHUNKS_ALLOWED = 3
"""A chunk that kills its worker so often is given up."""
CHECKPOINT_SECONDS = 1.0
TICK_SECONDS = 1.0


class Scheduler(ABC):
    """One thread that hands tasks of the ready jobs to an executor, in turn.

    All methods that begin with an underscore are called with the lock `_changed` held.
    """

    def __init__(self, workers: Workers, pace: bool) -> None:
        self._workers = workers
        self._executor = workers.make()
        self._pace = pace
        self._jobs: dict[str, Job] = {}
        self._ready: deque[Job] = deque()
        self._flying: set[Future[tuple[TrainingState, Rows]]] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._next_tick = 0.0
        self._thread = threading.Thread(target=self._schedule, name="qhn-jobs", daemon=True)

    @abstractmethod
    def _set(self, job: Job, status: Status) -> None:
        """Change a job's status, save it and tell its views."""

    @abstractmethod
    def _save(self, job: Job) -> None:
        """Keep where the job stands."""

    @abstractmethod
    def _tick(self, now: float) -> None:
        """What is due once a second."""

    def _touch(self, job: Job) -> None:
        """Tell views, and whoever waits, that the job has changed."""
        if job.epoch_seconds is not None:
            active = sum(j.status == Status.RUNNING for j in self._jobs.values())
            pace = 1 / EPOCHS_PER_SECOND if self._pace else 0.0
            each = max(job.epoch_seconds * max(1.0, active / self._workers.count), pace)
            job.seconds_left = (job.config.epochs - job.epoch) * each
        job.version += 1
        self._changed.notify_all()

    def _enqueue(self, job: Job) -> None:
        if job not in self._ready and (job.waiting or not job.in_flight):
            self._ready.append(job)
            self._changed.notify_all()

    def _schedule(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if now >= self._next_tick:
                    self._next_tick = now + TICK_SECONDS
                    self._tick(now)
                job = self._next_job(now)
                if job is None:
                    soonest = min((j.due for j in self._ready), default=now + TICK_SECONDS)
                    full = len(self._flying) >= self._workers.count
                    self._changed.wait(
                        TICK_SECONDS if full else min(TICK_SECONDS, max(0.001, soonest - now))
                    )
                else:
                    self._start_task(job, now)

    def _next_job(self, now: float) -> Job | None:
        """Whose task is next: the first in turn that is due, and suspects alone."""
        if len(self._flying) >= self._workers.count:
            return None
        suspects = [job for job in self._jobs.values() if job.suspect and job.in_chunk]
        if suspects:
            return next((job for job in suspects if job in self._ready), None) if not self._flying else None
        return next((job for job in self._ready if job.waiting or job.due <= now), None)

    def _start_task(self, job: Job, now: float) -> None:
        self._ready.remove(job)
        if not job.waiting:
            if job.status not in MOVING:
                return
            job.plan_chunk(self._chunk_epochs(job))
            job.due = now + job.n_epochs / EPOCHS_PER_SECOND if self._pace else now
        part = job.waiting.popleft()
        if job.waiting:
            self._ready.append(job)  # at the end: others come first
        try:
            future = self._executor.submit(run_chunk, job.config, job.parts[part], job.n_epochs)
        except BrokenExecutor as error:  # a worker died while it was idle
            self._retry(job, part, error, self._executor)
            self._touch(job)
            return
        executor = self._executor
        self._flying.add(future)
        job.in_flight += 1
        future.add_done_callback(lambda done: self._finish_task(job, part, done, executor, now))

    def _chunk_epochs(self, job: Job) -> int:
        seconds = CHUNK_SECONDS if self._pace else UNPACED_CHUNK_SECONDS
        fits = int(seconds / job.epoch_seconds) if job.epoch_seconds else 1
        if self._pace:
            fits = min(fits, int(EPOCHS_PER_SECOND * CHUNK_SECONDS))
        n_epochs = max(1, min(fits, job.config.epochs - job.epoch))
        return n_epochs if job.steps_left is None else min(n_epochs, job.steps_left)

    def _finish_task(
        self,
        job: Job,
        part: int,
        done: "Future[tuple[TrainingState, Rows]]",
        executor: Executor,
        started: float,
    ) -> None:
        with self._changed:
            if done not in self._flying:  # nobody waits for it any more
                return
            self._flying.remove(done)
            job.in_flight -= 1
            if self._closed:
                return
            error = CancelledError() if done.cancelled() else done.exception()
            if error is None:
                job.done[part] = done.result()
                job.work_seconds += time.monotonic() - started
                if len(job.done) == len(job.parts):
                    self._finish_chunk(job)
            else:
                self._retry(job, part, error, executor)
                self._touch(job)
            self._changed.notify_all()  # a worker is free

    def _retry(self, job: Job, part: int, error: BaseException, executor: Executor) -> None:
        """Put a failed task back, three times; a dead worker counts only where it had this job alone."""
        died = isinstance(error, BrokenExecutor | CancelledError)
        if died and self._executor is executor and not self._renew():
            return
        if not died or (job.suspect and job.last_crash is not executor):
            job.lost_chunks += 1
        if died:
            job.suspect, job.last_crash = True, executor
        if job.final:
            job.waiting.clear()
        elif job.lost_chunks >= LOST_CHUNKS_ALLOWED:
            job.waiting.clear()
            job.suspect = False
            what = "its worker died" if died else f"{type(error).__name__}: {error}"
            job.message = (
                f"Epoch {job.epoch + 1} failed {LOST_CHUNKS_ALLOWED} times ({what}); the run is given up."
            )
            self._set(job, Status.FAILED)
        else:
            job.waiting.appendleft(part)
            job.message = f"A worker was lost; going on from epoch {job.epoch}."
            self._enqueue(job)

    def _renew(self) -> bool:
        """Make a new executor for a broken one; where none can be had, all runs stop with the reason."""
        try:
            self._executor = self._workers.make()
        except Exception as error:  # whatever it is, no task can run any more
            self._interrupt_all(f"No workers can be had any more ({error}).")
            return False
        return True

    def _interrupt_all(self, reason: str) -> None:
        """Stop all runs where they are: there is nothing to train on, and no task will come back."""
        self._flying.clear()
        for job in list(self._jobs.values()):
            job.in_flight = 0
            job.waiting.clear()
            if job.status in MOVING:
                job.message = reason
                self._set(job, Status.INTERRUPTED)

    def _finish_chunk(self, job: Job) -> None:
        job.finish_chunk(self._workers.count)
        if job.final:
            self._touch(job)
            return
        if job.state is not None and job.state.diverged_at.all():
            job.status = Status.DIVERGED
        elif job.epoch >= job.config.epochs:
            job.status = Status.DONE
        elif job.steps_left is not None and job.steps_left <= 0:
            job.status = Status.PAUSED
        elif job.status in MOVING:
            job.status = Status.RUNNING
            self._enqueue(job)
        self._touch(job)  # once a chunk, and before the disk: views need not wait for that
        if job.status not in MOVING or time.monotonic() - job.saved_at > CHECKPOINT_SECONDS:
            self._save(job)
