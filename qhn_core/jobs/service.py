"""The job service: it does what pages and commands ask for, and lets visitors share runs."""

import logging
import threading
from functools import lru_cache

from qhn_core.config import RunConfig
from qhn_core.jobs.clock import Clock
from qhn_core.jobs.cost import epoch_seconds, shard_seeds
from qhn_core.jobs.job import Job, Status
from qhn_core.jobs.limits import Limits, ServerFullError, duration_in_words
from qhn_core.jobs.registry import Registry
from qhn_core.jobs.scheduler import Scheduler
from qhn_core.jobs.workers import Workers, choose_workers
from qhn_core.model.capacity import check_memory, has_tables
from qhn_core.storage.database import BUSY_SECONDS, StoreError
from qhn_core.storage.runs import RunStore

ANOTHER_SERVER = (
    "Another server keeps its runs in %s too, and they are left as they are. QHN_HOME names another folder."
)
LONG_EPOCH_SECONDS = 5.0
"""Where the first epoch takes so long, the job's message says so."""
logger = logging.getLogger(__name__)


class JobService:
    """Submits, pauses, steps, resumes and cancels jobs, and keeps them in a store if it has one.

    pace: let runs go no faster than eyes can follow. Every public method may be called from any thread.

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
        clock: Clock | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._workers = workers
        self._clock = clock or Clock()
        self._changed = threading.Condition()
        """Held while anything changes, and notified when a job has changed."""
        self.registry = Registry(store, workers.count, self._clock, self.check_opening)
        self._scheduler = Scheduler(workers, self.registry, self._changed, self._tick, pace, self._clock)
        self._scheduler.start()

    # ---- what callers ask for

    def submit(
        self,
        config: RunConfig,
        paused: bool = False,
        session: str = "",
        reuse_finished: bool = True,
        address: str = "",
    ) -> Job:
        """Start a run, or join one of the same config; `paused`: only make its initial state.

        A finished run of the same config is served as it is, unless reuse_finished is False.
        session, address: who asks, and from where; each has a share of the runs under way.
        Raises ValueError where the config does not fit this machine or this server's limits, and
        ServerFullError where too many runs are under way.
        """
        self.check(config)
        with self._changed:
            job = None if paused else self.registry.find(config, reuse_finished)
            if job is not None and job.status.is_final:
                job.message = "This run was trained before; Reset and Play train it again."
                self._scheduler.touch(job)
            if job is None:
                self._check_room(session, address)
                job = self._new_job(config, paused)
                job.address = address
            self._watch(job, session)
            return job

    def check(self, config: RunConfig) -> None:
        """Raise ValueError where a config does not fit this machine or this server's limits."""
        self.limits.check(config, self._workers.count)
        if has_tables(config):
            check_memory(config)

    def check_opening(self, config: RunConfig) -> None:
        """Raise ValueError where a run of this config is too large even to be looked at."""
        self.limits.check_opening(config)
        if has_tables(config):
            check_memory(config)

    def get(self, job_id: str) -> Job | None:
        """Return the job with that id, from memory or from the store, or None."""
        with self._changed:
            return self.registry.get(job_id)

    def jobs(self) -> list[Job]:
        """Return the jobs in memory, the oldest first."""
        with self._changed:
            return list(self.registry.jobs.values())

    @property
    def store(self) -> RunStore | None:
        """Where the jobs are kept; None where there is no store, or none that works."""
        return self.registry.store

    @property
    def store_problem(self) -> str:
        """Why runs are not saved, where they should be."""
        return self.registry.store_problem

    def pause(self, job_id: str, session: str = "") -> Job:
        """Start no further chunk, and break off one that does not end at once; returns the paused job.

        Where others watch the run too, it goes on for them, and this session gets a copy.
        """
        with self._changed:
            job = self._own(self.registry.known(job_id), session)
            self._scheduler.change(job, Status.PAUSED)
            return job

    def resume(self, job_id: str, n_epochs: int | None = None, session: str = "", address: str = "") -> Job:
        """Go on: for n_epochs and then pause, or to the end; returns the job that goes on.

        Raises ValueError and ServerFullError as `submit` does: the run may come from a zip, or from a
        server with other limits.
        """
        with self._changed:
            known = self.registry.known(job_id)
            if not known.status.is_final:
                self.check(known.config)
            job = self._own(known, session)
            if not (job.status.is_final or job.status.is_moving):
                self._check_room(session, address)
                # A chunk that a pause lets finish is not part of the step.
                under_way = job.n_epochs if job.in_chunk and not job.broken_off else 0
                job.steps_left = None if n_epochs is None else under_way + n_epochs
                job.address = address
                self._watch(job, session)
                self._scheduler.change(job, Status.RUNNING if job.epoch else Status.QUEUED)
                self._scheduler.enqueue(job)
            return job

    def cancel(self, job_id: str) -> None:
        """Stop for good; what was trained stays readable."""
        with self._changed:
            self._scheduler.change(self.registry.known(job_id), Status.CANCELLED)

    def leave(self, job_id: str, session: str) -> None:
        """Note that a session turned to another run; a run that nobody else watches is cancelled."""
        with self._changed:
            job = self.registry.jobs.get(job_id)
            if job is not None:
                others = job.sessions - {session}
                alone = not others and job.viewers <= 1
                if alone and (job.status.is_moving or job.status == Status.PAUSED):
                    self._scheduler.change(job, Status.CANCELLED)
                job.sessions = others or job.sessions

    def forget(self, job_id: str) -> None:
        """Stop a run that is about to be deleted, and save it no more."""
        with self._changed:
            job = self.registry.drop(job_id)
            if job is not None:
                job.stored = False
                self._scheduler.change(job, Status.CANCELLED)

    def view(self, job: Job, change: int) -> None:
        """Note that an event stream of the job opened (+1) or closed (-1)."""
        with self._changed:
            job.viewers += change
            job.last_seen = self._clock.now()

    def wait(self, job_id: str, seconds: float) -> Job:
        """Block until the job is over or rests, at most `seconds`."""
        with self._changed:
            job = self.registry.known(job_id)
            self._changed.wait_for(lambda: job.resting, timeout=seconds)
        return job

    def over(self, job: Job, version: int) -> bool:
        """Whether the job is over, and this version includes its last change."""
        with self._changed:
            return job.status.is_final and job.version == version

    def shutdown(self) -> None:
        """Save what runs, stop scheduling and end the workers; the store stays open."""
        with self._changed:
            self._scheduler.close()
            for job in self.registry.moving():
                job.become(Status.INTERRUPTED)
                self.registry.save(job)
            self.registry.save_unsaved(BUSY_SECONDS)
        self._scheduler.join()

    # ---- all below is called with the lock held

    def _new_job(self, config: RunConfig, paused: bool) -> Job:
        now = self._clock.now()
        shards = shard_seeds(config, self._workers.count)
        job = Job(config, [*shards], steps_left=0 if paused else None, begun=now, last_seen=now)
        job.stored = self.registry.stored_and_finished(config) is None
        self.registry.add(job)
        self.registry.save(job)  # a server that is killed now leaves a trace of it
        self._scheduler.enqueue(job)
        return job

    def _check_room(self, session: str, address: str) -> None:
        """Raise ServerFullError where one more run under way would be too many, with when to try again."""
        if reason := self._workers.lost():
            raise ServerFullError(reason)
        moving = self.registry.moving()
        own = [job for job in moving if session and session in job.sessions]
        near = [job for job in moving if address and job.address == address]
        shares = (
            (moving, self.limits.max_jobs, "{} under way on this server"),
            (near, self.limits.max_jobs_per_address, "{} under way from your network address"),
            (own, self.limits.max_jobs_per_session, "{} under way in this tab; pause one, or wait"),
        )
        for jobs, most, text in shares:
            if len(jobs) >= most:
                runs = "1 run is" if len(jobs) == 1 else f"{len(jobs)} runs are"
                raise ServerFullError(f"{text.format(runs)}; try again {self._next_end(jobs)}")

    @staticmethod
    def _next_end(jobs: list[Job]) -> str:
        """Say when the first of some runs may be over."""
        seconds = min((job.seconds_left for job in jobs if job.seconds_left is not None), default=60.0)
        return f"in {duration_in_words(seconds)}"

    def _watch(self, job: Job, session: str) -> None:
        job.last_seen = self._clock.now()
        if session:
            job.sessions.add(session)

    def _own(self, job: Job, session: str) -> Job:
        """The job itself, or a copy that goes its own way where somebody else is watching too."""
        if not session or job.viewers <= 1 or job.status.is_final:
            return job
        copy = job.fork()
        job.sessions = job.sessions - {session} or job.sessions
        copy.sessions.add(session)
        self.registry.add(copy)
        self.registry.save(copy)
        return copy

    def _tick(self, now: float) -> None:
        """Say what each job waits for, and interrupt those that nobody watches or nobody can train."""
        self.registry.save_unsaved()
        if reason := self._workers.lost():
            self._scheduler.interrupt_all(reason)
        for job in self.registry.moving():
            if job.status == Status.QUEUED:
                self._say_what_it_waits_for(job)
            unwatched = job.sessions and not job.viewers
            if unwatched and now - job.last_seen > self.limits.grace_seconds:
                job.message = "Interrupted, because nobody was watching."
                self._scheduler.change(job, Status.INTERRUPTED)

    def _say_what_it_waits_for(self, job: Job) -> None:
        ahead = self._scheduler.tasks_ahead(job)
        if job.in_flight or job.done:
            job.message = self._first_epoch(job)
        elif ahead is not None:
            job.message = f"{ahead} ahead in the queue" if ahead else ""
        else:
            return
        self._scheduler.touch(job)

    def _first_epoch(self, job: Job) -> str:
        """Say how long the first epoch of a large run takes; nothing where that is soon over."""
        seconds = job.config.n_seeds * epoch_seconds(job.config) / min(self._workers.count, len(job.shards))
        if seconds < LONG_EPOCH_SECONDS or not job.n_epochs:
            return ""
        seeds = sum(len(state.seeds) for state, _ in job.done.values())
        done = f" {seeds} of {job.config.n_seeds} seeds are done." if seeds else ""
        return f"Epoch 1 is under way; at this size one takes {duration_in_words(seconds)}.{done}"


@lru_cache(maxsize=1)
def default_service() -> JobService:
    """Return the service of this process, whose workers, store and limits the environment sets."""
    try:
        store, problem = RunStore(), ""
        if store.database.claim():
            store.mark_interrupted()  # what a dead server left running
        else:
            logger.warning(ANOTHER_SERVER, store.database.path.parent)
    except StoreError as error:
        store, problem = None, f"Runs are not saved: {error}"
    service = JobService(choose_workers(), store, Limits.from_environment())
    service.registry.store_problem = problem
    return service
