"""Which jobs there are: the last ones in memory, and all of them in the store where there is one."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from qhn_core.config import RunConfig
from qhn_core.jobs.clock import Clock
from qhn_core.jobs.cost import shard_seeds
from qhn_core.jobs.job import Job, Shard, Status
from qhn_core.storage.database import RunLostError, StoreBusyError, StoreError
from qhn_core.storage.runs import RunStore
from qhn_core.training.history import join_rows

T = TypeVar("T")

SAVE_WAIT_SECONDS = 0.05
"""How long a save waits for another program: everybody waits with it, and it is tried again."""
JOBS_KEPT = 256
"""Jobs that may rest in memory."""


class Registry:
    """The jobs of one service. Its methods must be called with the lock of the service held.

    workers: over how many workers the seeds of a run from the store are spread.
    check_opening(config): raises ValueError where a stored run is too large to be shown.
    """

    def __init__(
        self,
        store: RunStore | None,
        workers: int,
        clock: Clock,
        check_opening: Callable[[RunConfig], None],
    ) -> None:
        self.store = store
        self.store_problem = ""
        """Why runs are not saved, where they should be."""
        self.jobs: dict[str, Job] = {}
        """Those in memory, by id."""
        self.unsaved: dict[str, Job] = {}
        """Jobs that wait to be saved, while another program is writing to the store."""
        self._workers = workers
        self._clock = clock
        self._check_opening = check_opening

    def moving(self) -> list[Job]:
        """Return all jobs that are being trained, or wait for their turn."""
        return [job for job in self.jobs.values() if job.status.is_moving]

    def get(self, job_id: str) -> Job | None:
        """Return the job with that id, from memory or from the store, or None."""
        return self.jobs.get(job_id) or self._load(job_id)

    def known(self, job_id: str) -> Job:
        """Return the job with that id; raises KeyError where there is none."""
        job = self.get(job_id)
        if job is None:
            raise KeyError(f"run {job_id}: there is no such run")
        return job

    def find(self, config: RunConfig, reuse_finished: bool) -> Job | None:
        """Return a job of this config that runs to its end; with reuse_finished also one that is done."""
        for job in self.jobs.values():
            useful = job.status.is_moving or (reuse_finished and job.status == Status.DONE)
            if job.config == config and useful and job.steps_left is None:
                return job
        found = self.stored_and_finished(config) if reuse_finished else None
        return self._load(found) if found else None

    def stored_and_finished(self, config: RunConfig) -> str | None:
        """Return the id of a finished run of this config in the store, or None."""
        try:
            return None if self.store is None else self._guard(self.store.find_finished, config)
        except StoreBusyError:  # it is trained once more
            return None

    def add(self, job: Job) -> None:
        """Keep a job in memory; of the others that rest unwatched, only the newest JOBS_KEPT stay."""
        has_store = self.store is not None
        idle = [j for j in self.jobs.values() if not j.viewers and j.id not in self.unsaved]
        over = [j.id for j in idle if j.status.is_final or (has_store and j.stored and j.resting)]
        for job_id in over[: max(0, len(over) - JOBS_KEPT)]:
            del self.jobs[job_id]
        self.jobs[job.id] = job

    def save(self, job: Job, wait: float = SAVE_WAIT_SECONDS) -> None:
        """Save where a job stands, if there is a store and the job belongs there.

        Where another program is writing for longer than `wait`, the job waits for `save_unsaved`.
        """
        if self.store is None or not job.stored:
            return
        job.saved_at = self._clock.now()
        rows, count = join_rows(job.chunks[job.saved_chunks :]), len(job.chunks)
        checkpoint = partial(self.store.checkpoint, seconds=job.saved_at - job.begun, wait=wait)
        try:
            self._guard(checkpoint, job.id, job.config, job.status, job.state, rows, job.message)
            job.saved_chunks = count
        except StoreBusyError as error:
            self.unsaved[job.id] = job
            self._say_what_is_unsaved(error)
            return
        except RunLostError as error:  # deleted by another program: this run alone is not saved
            job.stored, job.message = False, str(error)
            job.version += 1
        if self.unsaved.pop(job.id, None) and self.store is not None:
            self._say_what_is_unsaved()

    def save_unsaved(self, wait: float = SAVE_WAIT_SECONDS) -> None:
        """Try again to save the jobs that wait for it, up to the first that has to wait on."""
        for job in list(self.unsaved.values()):
            self.save(job, wait)
            if job.id in self.unsaved:
                return

    def drop(self, job_id: str) -> Job | None:
        """Forget a job, which is then saved no more; returns it, or None where there was none."""
        if self.unsaved.pop(job_id, None):
            self._say_what_is_unsaved()
        return self.jobs.pop(job_id, None)

    def _say_what_is_unsaved(self, error: StoreError | str = "") -> None:
        count = len(self.unsaved)
        runs = "1 run is" if count == 1 else f"{count} runs are"
        self.store_problem = (
            f"{runs} not saved yet; that is tried again every second. {error}" if count else ""
        )

    def _load(self, job_id: str) -> Job | None:
        """The job as it was stored, its seeds dealt out to this server's workers."""
        try:
            run = None if self.store is None else self._guard(self.store.load, job_id)
            status = Status(run.status if run is not None else Status.QUEUED)
            if run is not None:
                self._check_opening(run.config)
        except (
            RunLostError,
            StoreBusyError,
            ValueError,
        ):  # damaged, locked, too large, or newer
            return None
        if run is None:
            return None
        seeds = shard_seeds(run.config, self._workers)
        shards: list[Shard] = [s if run.state is None else run.state.take(s) for s in seeds]
        job = Job(
            run.config,
            shards,
            Status.INTERRUPTED
            if status.is_moving
            else status,  # here it rests; another server may train it
            id=job_id,
            state=run.state,
            chunks=[run.rows] if len(run.rows["epoch"]) else [],
            message=run.message,
            begun=self._clock.now(),
            last_seen=self._clock.now(),
        )
        self.add(job)
        return job

    def _guard(self, work: Callable[..., T], *arguments: Any) -> T | None:
        """Do something with the store; where the store fails, go on without it and say so."""
        try:
            return work(*arguments)
        except (RunLostError, StoreBusyError):
            raise
        except StoreError as error:
            self.store_problem, self.store = f"Runs are not saved: {error}", None
            return None
