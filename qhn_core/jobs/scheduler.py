"""Which task runs next: each chunk of a job is one task for each shard of its seeds.

Tasks of different jobs alternate, so that a run of one seed never waits for more than one task of a
run of a hundred. A task whose worker dies is tried again; where one death breaks all workers, first in
turn, then alone.

Nobody holds up the others, by two rules. The last worker is for short tasks: long ones (LONG_SECONDS)
are given the others only, so that a short one waits for short ones alone, and long ones keep their turn
on the others. A task that was thought to be short, turns out to be long and holds the last worker while
a short one waits, is ended, put back and counts as long. And what is paused or cancelled has
STOP_SECONDS to finish its chunk; then its tasks are ended, and done again when the run goes on. Where
there is one worker, the first rule is void; so is the second where workers can't be interrupted.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError

from qhn_core.jobs.clock import Clock
from qhn_core.jobs.flight import Flight, Result
from qhn_core.jobs.job import Job, Status
from qhn_core.jobs.processes import WorkerLostError
from qhn_core.jobs.registry import Registry
from qhn_core.jobs.workers import Timed, Workers, run_chunk

EPOCHS_PER_SECOND = 40
"""A paced run goes no faster, so that eyes can follow it: 200 epochs in 5 s."""
CHUNK_SECONDS = 0.05
"""Views get news this often, where an epoch takes no longer."""
UNPACED_CHUNK_SECONDS = 0.5
CHECKPOINT_SECONDS = 1.0
TICK_SECONDS = 1.0
STOP_SECONDS = 0.5
"""What is paused or cancelled may finish its chunk in this time."""
OVERDUE_SECONDS = 2.0
"""A task that was thought to be short gives way to others that wait when it has taken so long."""


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
        self._flying: dict[Result, Flight] = {}
        reserved = 1 if pace and workers.count > 1 else 0
        self._most_long = workers.count - reserved
        """Long tasks that may be under way at once; without a pace nobody is waiting for a short one."""
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
            stops = not status.is_moving
            job.stop_at = self._clock.now() + STOP_SECONDS * job.in_chunk if stops else float("inf")
            job.broken_off &= stops
            self.touch(job)
            if not status.is_moving:
                self._registry.save(job)

    def enqueue(self, job: Job) -> None:
        """Give a job its turn, where it has a task that no worker has yet."""
        has_task = job.waiting if job.waiting or job.in_flight else job.status.is_moving
        if has_task and not job.broken_off and job not in self._ready:
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
                self._stop_tasks(now)
                self._end_a_misjudged_task(now)
                job = self._next_job(now)
                if job is None:
                    self._clock.wait(self._changed, self._seconds_to_wait(now))
                else:
                    self._start_task(job, now)

    def _seconds_to_wait(self, now: float) -> float:
        """How long there is nothing to do, if nothing happens; jobs that wait for a worker do not count."""
        later = [job.due for job in self._ready if job.due > now]
        stops = [job.stop_at for job in self._active()]
        return min(TICK_SECONDS, max(0.001, min([*later, *stops], default=now + TICK_SECONDS) - now))

    def _active(self) -> set[Job]:
        """The jobs that a worker has, or that wait for one."""
        return {flight.job for flight in self._flying.values()} | {*self._ready}

    def _stop_tasks(self, now: float) -> None:
        """End the tasks of jobs that were stopped."""
        for job in self._active():
            if job.stop_at <= now:
                job.break_off()
                if job in self._ready:
                    self._ready.remove(job)
                for future, flight in self._flying.items():
                    if flight.job is job:
                        self._interrupt(future)
                self.touch(job)

    def _end_a_misjudged_task(self, now: float) -> None:
        """Put a task back that takes longer than was thought, where a short one waits for it."""
        for future, flight in self._flying.items():
            if not future.running():
                flight.started = now
        held = len(self._flying) >= self._workers.count > self._most_long
        if held and any(self._is_due(job, now) and not job.long_tasks for job in self._ready):
            short = {f: flight for f, flight in self._flying.items() if not flight.job.long_tasks}
            if short and all(now - flight.started > OVERDUE_SECONDS for flight in short.values()):
                future, flight = short.popitem()  # the one that has come the shortest way
                flight.job.long_tasks = True
                self._interrupt(future)

    def _interrupt(self, future: Result) -> None:
        flight = self._flying[future]
        if not flight.interrupted:
            flight.interrupted = self._workers.interrupt(flight.executor, future)

    @staticmethod
    def _is_due(job: Job, now: float) -> bool:
        return bool(job.waiting) or job.due <= now

    def _next_job(self, now: float) -> Job | None:
        """The job whose task is next: the first in turn that is due; suspects are tried alone."""
        if len(self._flying) >= self._workers.count:
            return None
        suspects = [job for job in self._registry.jobs.values() if job.suspect and job.in_chunk]
        if suspects:
            return next((job for job in suspects if job in self._ready), None) if not self._flying else None
        long = sum(flight.job.long_tasks for flight in self._flying.values())
        due = (job for job in self._ready if self._is_due(job, now))
        return next((job for job in due if long < self._most_long or not job.long_tasks), None)

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
        flight = Flight(job, shard, job.chunk, self._executor, now)
        try:
            future = self._executor.submit(Timed(run_chunk), job.config, job.shards[shard], job.n_epochs)
        except BrokenExecutor as error:  # a worker died while it was idle
            self._retry(flight, error)
            return
        self._flying[future] = flight
        job.in_flight += 1
        future.add_done_callback(self._finish_task)

    def _chunk_epochs(self, job: Job) -> int:
        seconds = CHUNK_SECONDS if self._pace else UNPACED_CHUNK_SECONDS
        fits = int(seconds / job.epoch_seconds) if job.epoch_seconds else 1
        if self._pace:
            fits = min(fits, int(EPOCHS_PER_SECOND * CHUNK_SECONDS))
        n_epochs = max(1, min(fits, job.config.epochs - job.epoch))
        return n_epochs if job.steps_left is None else min(n_epochs, job.steps_left)

    def _finish_task(self, done: Result) -> None:
        with self._changed:
            flight = self._flying.pop(done, None)
            if flight is None:  # all runs were interrupted since
                return
            job = flight.job
            job.in_flight -= 1
            if self._closed:
                return
            error = CancelledError() if done.cancelled() else done.exception()
            if error is not None:
                self._retry(flight, error)
            elif flight.chunk != job.chunk:
                self._go_on(job)
            else:
                state, rows, seconds = done.result()
                job.done[flight.shard] = state, rows
                job.work_seconds += seconds
                if len(job.done) == len(job.shards):
                    self._finish_chunk(job)
            self._changed.notify_all()  # a worker is free

    def _go_on(self, job: Job) -> None:
        """Give a job its turn after a task that came to nothing, and tell its views."""
        self.enqueue(job)
        self.touch(job)

    def _retry(self, flight: Flight, error: BaseException) -> None:
        """Put a failed task back, three times; those that were ended on purpose do not count.

        Where a death breaks all workers, it counts only where they had this job alone.
        """
        job, executor = flight.job, flight.executor
        died = isinstance(error, BrokenExecutor | CancelledError)
        all_died = died and not isinstance(error, WorkerLostError)
        if all_died and self._executor is executor and not self._renew():
            return
        if flight.chunk == job.chunk:
            if not flight.interrupted and job.count_failure(error, executor if all_died else None):
                self.change(job, Status.FAILED)
            if job.status.is_final:
                job.waiting.clear()
            else:
                job.waiting.appendleft(flight.shard)
        self._go_on(job)

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
