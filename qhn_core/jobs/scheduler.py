"""Which task runs next: each chunk of a job is one task for each shard of its seeds.

Tasks of different jobs alternate, so that a run of one seed never waits for more than one task of a
run of a hundred. A task whose worker dies is tried again, first in turn, then alone.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future

from qhn_core.jobs.clock import Clock
from qhn_core.jobs.job import Job, Status
from qhn_core.jobs.registry import Registry
from qhn_core.jobs.workers import Workers, run_chunk
from qhn_core.training.history import Rows
from qhn_core.training.state import TrainingState

EPOCHS_PER_SECOND = 40
"""A paced run goes no faster, so that eyes can follow it: 200 epochs in 5 s."""
CHUNK_SECONDS = 0.05
"""Views get news this often, where an epoch takes no longer."""
UNPACED_CHUNK_SECONDS = 0.5
LOST_CHUNKS_ALLOWED = 3
"""A run is given up when one of its chunks has failed so often."""
CHECKPOINT_SECONDS = 1.0
TICK_SECONDS = 1.0


class Scheduler:
    """One thread that hands tasks of the ready jobs to an executor, in turn.

    registry: the jobs; it saves those that come to rest. changed: the lock that every method must be called
    with, and the condition that is notified when a job changes. tick(now): called once a second.
    pace: whether runs go no faster than eyes can follow.
    """

    def __init__(
        self,
        workers: Workers,
        registry: Registry,
        changed: threading.Condition,
        tick: Callable[[float], None],
        pace: bool,
        clock: Clock,
    ) -> None:
        self._workers = workers
        self._registry = registry
        self._changed = changed
        self._tick = tick
        self._pace = pace
        self._clock = clock
        self._executor = workers.make()
        self._ready: deque[Job] = deque()
        self._flying: set[Future[tuple[TrainingState, Rows]]] = set()
        self._closed = False
        self._next_tick = 0.0
        self._thread = threading.Thread(target=self._schedule, name="qhn-jobs", daemon=True)

    def start(self) -> None:
        """Begin to hand out tasks."""
        self._thread.start()

    def close(self) -> None:
        """Hand out no more tasks; those under way change nothing any more."""
        self._closed = True
        self._changed.notify_all()

    def join(self) -> None:
        """Wait for the end of the thread, without the lock, and end the workers."""
        self._thread.join()
        self._workers.stop(self._executor)

    def touch(self, job: Job) -> None:
        """Tell views, and whoever waits, that the job has changed."""
        if job.epoch_seconds is not None:
            active = sum(j.status == Status.RUNNING for j in self._registry.jobs.values())
            pace = 1 / EPOCHS_PER_SECOND if self._pace else 0.0
            each = max(job.epoch_seconds * max(1.0, active / self._workers.count), pace)
            job.seconds_left = (job.config.epochs - job.epoch) * each
        job.version += 1
        self._changed.notify_all()

    def change(self, job: Job, status: Status) -> None:
        """Change a job's status, tell its views, and save it where it comes to rest."""
        if not job.status.is_final:
            job.become(status)
            self.touch(job)
            if not status.is_moving:
                self._registry.save(job)

    def enqueue(self, job: Job) -> None:
        """Give a job its turn, where it has a task that no worker has yet."""
        if job not in self._ready and (job.waiting or not job.in_flight):
            self._ready.append(job)
            self._changed.notify_all()

    def tasks_ahead(self, job: Job) -> int | None:
        """How many tasks come before a job's next; None where it does not wait for its turn."""
        return self._ready.index(job) + len(self._flying) if job in self._ready else None

    def interrupt_all(self, reason: str) -> None:
        """Stop all runs where they are: there is nothing to train on, and no task will come back."""
        self._flying.clear()
        for job in list(self._registry.jobs.values()):
            job.in_flight = 0
            job.waiting.clear()
            if job.status.is_moving:
                job.message = reason
                self.change(job, Status.INTERRUPTED)

    def _schedule(self) -> None:
        with self._changed:
            while not self._closed:
                now = self._clock.now()
                if now >= self._next_tick:
                    self._next_tick = now + TICK_SECONDS
                    self._tick(now)
                job = self._next_job(now)
                if job is None:
                    soonest = min((j.due for j in self._ready), default=now + TICK_SECONDS)
                    full = len(self._flying) >= self._workers.count
                    seconds = TICK_SECONDS if full else min(TICK_SECONDS, max(0.001, soonest - now))
                    self._clock.wait(self._changed, seconds)
                else:
                    self._start_task(job, now)

    def _next_job(self, now: float) -> Job | None:
        """The job whose task is next: the first in turn that is due; suspects are tried alone."""
        if len(self._flying) >= self._workers.count:
            return None
        suspects = [job for job in self._registry.jobs.values() if job.suspect and job.in_chunk]
        if suspects:
            return next((job for job in suspects if job in self._ready), None) if not self._flying else None
        return next((job for job in self._ready if job.waiting or job.due <= now), None)

    def _start_task(self, job: Job, now: float) -> None:
        self._ready.remove(job)
        if not job.waiting:
            if not job.status.is_moving:
                return
            job.plan_chunk(self._chunk_epochs(job))
            job.due = now + job.n_epochs / EPOCHS_PER_SECOND if self._pace else now
        shard = job.waiting.popleft()
        if job.waiting:
            self._ready.append(job)  # at the end: others come first
        try:
            future = self._executor.submit(run_chunk, job.config, job.shards[shard], job.n_epochs)
        except BrokenExecutor as error:  # a worker died while it was idle
            self._retry(job, shard, error, self._executor)
            self.touch(job)
            return
        executor = self._executor
        self._flying.add(future)
        job.in_flight += 1
        future.add_done_callback(lambda done: self._finish_task(job, shard, done, executor, now))

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
        shard: int,
        done: "Future[tuple[TrainingState, Rows]]",
        executor: Executor,
        started: float,
    ) -> None:
        with self._changed:
            if done not in self._flying:  # all runs were interrupted since
                return
            self._flying.remove(done)
            job.in_flight -= 1
            if self._closed:
                return
            error = CancelledError() if done.cancelled() else done.exception()
            if error is None:
                job.done[shard] = done.result()
                job.work_seconds += self._clock.now() - started
                if len(job.done) == len(job.shards):
                    self._finish_chunk(job)
            else:
                self._retry(job, shard, error, executor)
                self.touch(job)
            self._changed.notify_all()  # a worker is free

    def _retry(self, job: Job, shard: int, error: BaseException, executor: Executor) -> None:
        """Put a failed task back, three times; a dead worker counts only where it had this job alone."""
        died = isinstance(error, BrokenExecutor | CancelledError)
        if died and self._executor is executor and not self._renew():
            return
        if not died or (job.suspect and job.last_crash is not executor):
            job.lost_chunks += 1
        if died:
            job.suspect, job.last_crash = True, executor
        if job.status.is_final:
            job.waiting.clear()
        elif job.lost_chunks >= LOST_CHUNKS_ALLOWED:
            job.waiting.clear()
            job.suspect = False
            what = "its worker died" if died else f"{type(error).__name__}: {error}"
            job.message = (
                f"Epoch {job.epoch + 1} failed {LOST_CHUNKS_ALLOWED} times ({what}); the run is given up."
            )
            self.change(job, Status.FAILED)
        else:
            job.waiting.appendleft(shard)
            job.message = f"A worker was lost; going on from epoch {job.epoch}."
            self.enqueue(job)

    def _renew(self) -> bool:
        """Replace a broken executor; where there can be no new one, stop all runs with the reason."""
        try:
            self._executor = self._workers.make()
        except Exception as error:  # whatever it is, no task can run any more
            self.interrupt_all(f"No workers can be started any more ({error}).")
            return False
        return True

    def _finish_chunk(self, job: Job) -> None:
        job.finish_chunk(self._workers.count)
        if job.status.is_final:
            self.touch(job)
            return
        if job.state is not None and job.state.diverged_at.all():
            job.become(Status.DIVERGED)
        elif job.epoch >= job.config.epochs:
            job.become(Status.DONE)
        elif job.steps_left is not None and job.steps_left <= 0:
            job.become(Status.PAUSED)
        elif job.status.is_moving:
            job.become(Status.RUNNING)
            self.enqueue(job)
        self.touch(job)  # once a chunk, and before it is saved: views need not wait for the disk
        if not job.status.is_moving or self._clock.now() - job.saved_at > CHECKPOINT_SECONDS:
            self._registry.save(job)
