"""The job service: what pages and the command line ask for, who shares a run, and what is stored."""

import logging
import time
from functools import lru_cache

from qhn_core.config import RunConfig
from qhn_core.jobs.job import MOVING, Job, Status
from qhn_core.jobs.limits import Limits, ServerFullError, duration_in_words
from qhn_core.jobs.registry import Keeper
from qhn_core.jobs.workers import Workers, choose_workers, epoch_seconds, shard_seeds
from qhn_core.model.capacity import check_memory, has_tables
from qhn_core.storage.database import StoreError
from qhn_core.storage.runs import RunStore

ANOTHER_SERVER = (
    "Another server uses %s. Both keep their runs there; this one leaves those of the other as they are. "
    "For a folder of its own, set QHN_HOME."
)
LONG_EPOCH_SECONDS = 5.0
"""Who waits so long for the first numbers is told."""
logger = logging.getLogger(__name__)


class JobService(Keeper):
    """Submits, pauses, steps, resumes and cancels jobs, and keeps them in a store if it has one.

    >>> from qhn_core.jobs.workers import thread_workers
    >>> service = JobService(thread_workers())
    >>> job = service.submit(RunConfig(epochs=2))
    >>> service.wait(job.id, seconds=600).status
    <Status.DONE: 'done'>
    >>> service.shutdown()
    """

    def __init__(
        self,
        workers: Workers,
        store: RunStore | None = None,
        limits: Limits | None = None,
        pace: bool = True,
    ) -> None:
        super().__init__(workers, store, pace)
        self._limits = limits or Limits()
        self._thread.start()

    # ---- what callers ask for

    def submit(
        self, config: RunConfig, paused: bool = False, session: str = "", reuse_finished: bool = True
    ) -> Job:
        """Start a run, or join one of the same config; `paused`: only make its initial state.

        A finished run of the same config is served as it is, unless reuse_finished is False.
        Raises ValueError where the config does not fit this machine or this server's limits,
        ServerFullError where too many runs are under way.
        """
        self.check(config)
        with self._changed:
            job = None if paused else self._same(config, reuse_finished)
            if job is not None and job.final:
                job.message = "This run was trained before; Reset and Resume train it again."
                self._touch(job)
            if job is None:
                self._check_room(session)
                parts = shard_seeds(config, self._workers.count)
                job = Job(config, [*parts], steps_left=0 if paused else None)
                job.stored = not (self.store and self._guard(self.store.find_finished, config))
                self._add(job)
                self._enqueue(job)
            self._watch(job, session)
            return job

    def check(self, config: RunConfig) -> None:
        """Raise ValueError where a config does not fit this machine or this server's limits."""
        self._limits.check(config)
        if has_tables(config):
            check_memory(config)

    def get(self, job_id: str) -> Job | None:
        """The job with that id, from memory or from the store, or None."""
        with self._changed:
            if job_id not in self._jobs and self.store is not None:
                self._load(job_id)
            return self._jobs.get(job_id)

    def pause(self, job_id: str, session: str = "") -> Job:
        """Let the chunk under way finish and start no further one; returns the paused job.

        Where others watch the run too, it goes on for them, and this session gets a copy.
        """
        with self._changed:
            job = self._own(self._known(job_id), session)
            self._set(job, Status.PAUSED)
            return job

    def resume(self, job_id: str, n_epochs: int | None = None, session: str = "") -> Job:
        """Go on: for n_epochs and then pause, or to the end; returns the job that goes on."""
        with self._changed:
            job = self._own(self._known(job_id), session)
            if not job.final and job.status not in MOVING:
                self._check_room(session)
                # A chunk that a pause lets finish is not part of the step.
                under_way = job.n_epochs if job.in_chunk else 0
                job.steps_left = None if n_epochs is None else under_way + n_epochs
                job.last_seen = time.monotonic()
                self._set(job, Status.RUNNING if job.epoch else Status.QUEUED)
                self._enqueue(job)
            return job

    def cancel(self, job_id: str) -> None:
        """Stop for good; what was trained stays readable."""
        with self._changed:
            self._set(self._known(job_id), Status.CANCELLED)

    def leave(self, job_id: str, session: str) -> None:
        """A session turns to another run; where nobody else watches this one, it is cancelled."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None:
                job.sessions.discard(session)
                alone = not job.sessions and job.viewers <= 1
                if alone and job.status in (*MOVING, Status.PAUSED):
                    self._set(job, Status.CANCELLED)

    def forget(self, job_id: str) -> None:
        """Stop a run that is about to be deleted, and let go of it."""
        with self._changed:
            if job_id in self._jobs:
                job = self._jobs.pop(job_id)
                if not job.final:
                    job.status = Status.CANCELLED
                    self._touch(job)

    def view(self, job: Job, change: int) -> None:
        """An event stream of the job opened (+1) or closed (-1)."""
        with self._changed:
            job.viewers += change
            job.last_seen = time.monotonic()

    def wait(self, job_id: str, seconds: float) -> Job:
        """Block until the job is final or rests, at most `seconds`."""
        with self._changed:
            job = self._known(job_id)
            self._changed.wait_for(lambda: job.resting, timeout=seconds)
        return job

    def over(self, job: Job, version: int) -> bool:
        """Whether who has seen that version of a job has seen the last."""
        with self._changed:
            return job.final and job.version == version

    def shutdown(self) -> None:
        """Save what runs, stop scheduling and end the workers; the store stays open."""
        with self._changed:
            self._closed = True
            for job in self._jobs.values():
                if job.status in MOVING:
                    job.status = Status.INTERRUPTED
                    self._save(job)
            self._changed.notify_all()
        self._thread.join()
        self._workers.stop(self._executor)

    # ---- who has which job; all below is called with the lock held

    def _same(self, config: RunConfig, reuse_finished: bool) -> Job | None:
        alive = {*MOVING, Status.DONE} if reuse_finished else MOVING
        for job in self._jobs.values():
            if job.config == config and job.status in alive and job.steps_left is None:
                return job
        if reuse_finished and self.store is not None:
            found = self._guard(self.store.find_finished, config)
            return self._load(found) if found else None
        return None

    def _known(self, job_id: str) -> Job:
        job = self._jobs.get(job_id) or self._load(job_id)
        if job is None:
            raise KeyError(f"run {job_id}: there is no such run")
        return job

    def _check_room(self, session: str) -> None:
        if reason := self._workers.lost():
            raise ServerFullError(reason)
        moving = [job for job in self._jobs.values() if job.status in MOVING]
        if len(moving) >= self._limits.max_jobs:
            verb = "run is" if len(moving) == 1 else "runs are"
            raise ServerFullError(f"{len(moving)} {verb} under way on this server; try again in a minute")
        own = sum(session in job.sessions for job in moving) if session else 0
        if own >= self._limits.max_jobs_per_session:
            verb, which = ("is", "it") if own == 1 else ("are", "one of them")
            raise ServerFullError(f"{own} of your runs {verb} under way; pause or wait for {which}")

    def _watch(self, job: Job, session: str) -> None:
        job.last_seen = time.monotonic()
        if session:
            job.sessions.add(session)

    def _own(self, job: Job, session: str) -> Job:
        """The job itself, or a copy that goes its own way where somebody else is watching too."""
        if not session or job.viewers <= 1 or job.final:
            return job
        copy = job.fork()
        job.sessions.discard(session)
        copy.sessions.add(session)
        self._add(copy)
        self._save(copy)
        return copy

    def _tick(self, now: float) -> None:
        """Once a second: tell who waits for what, and rest what nobody watches or nobody can train."""
        if reason := self._workers.lost():
            self._interrupt_all(reason)
        for job in list(self._jobs.values()):
            if job.status == Status.QUEUED and (job.in_flight or job.done):
                job.message = self._first_epoch(job)
                self._touch(job)
            elif job.status == Status.QUEUED and job in self._ready:
                ahead = self._ready.index(job) + len(self._flying)
                job.message = f"{ahead} ahead in the queue" if ahead else ""
                self._touch(job)
            unwatched = job.sessions and not job.viewers and job.status in MOVING
            if unwatched and now - job.last_seen > self._limits.grace_seconds:
                job.message = "Interrupted, because nobody was watching."
                self._set(job, Status.INTERRUPTED)

    def _first_epoch(self, job: Job) -> str:
        """What who waits for the first numbers of a large run may know; empty where they come at once."""
        seconds = job.config.n_seeds * epoch_seconds(job.config) / min(self._workers.count, len(job.parts))
        if seconds < LONG_EPOCH_SECONDS or not job.n_epochs:
            return ""
        seeds = sum(len(state.seeds) for state, _ in job.done.values())
        done = f" {seeds} of {job.config.n_seeds} seeds are done." if seeds else ""
        return f"Epoch 1 is under way; at this size one takes {duration_in_words(seconds)}.{done}"


@lru_cache(maxsize=1)
def default_service() -> JobService:
    """The service of this process, made at first use: workers, store and limits from the environment."""
    try:
        store, problem = RunStore(), ""
        if store.database.claim():
            store.mark_interrupted()  # what a dead server left running
        else:
            logger.warning(ANOTHER_SERVER, store.database.path.parent)
    except StoreError as error:
        store, problem = None, str(error)
    service = JobService(choose_workers(), store, Limits.from_environment())
    service.store_problem = problem
    return service
