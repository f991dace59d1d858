"""Jobs that are kept: the last ones in memory, and all of them in a store where there is one."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from qhn_core.jobs.job import FINAL, MOVING, Job, Status, restored
from qhn_core.jobs.scheduler import Scheduler
from qhn_core.jobs.workers import Workers, shard_seeds
from qhn_core.storage.database import RunLostError, StoreError
from qhn_core.storage.runs import RunStore
from qhn_core.training.history import join_rows

T = TypeVar("T")

JOBS_KEPT = 256


class Keeper(Scheduler):
    """A scheduler that saves its jobs where they come to rest, and finds them again.

    All methods that begin with an underscore are called with the lock `_changed` held.
    """

    def __init__(self, workers: Workers, store: RunStore | None, pace: bool) -> None:
        super().__init__(workers, pace)
        self.store = store
        self.store_problem = ""
        """Why runs are not saved, where they should be."""

    def _load(self, job_id: str) -> Job | None:
        try:
            stored = None if self.store is None else self._guard(self.store.load, job_id)
        except RunLostError:
            return None
        if stored is None:
            return None
        parts = shard_seeds(stored.config, self._workers.count)
        # What another server has under way rests here.
        status = Status.INTERRUPTED if stored.status in MOVING else stored.status
        job = restored(stored.config, job_id, status, stored.message, stored.state, stored.rows, parts)
        self._add(job)
        return job

    def _add(self, job: Job) -> None:
        kept = self.store is not None
        idle = [j for j in self._jobs.values() if not j.viewers]
        finished = [j.id for j in idle if j.final or (kept and j.stored and j.resting)]
        for job_id in finished[: max(0, len(finished) - JOBS_KEPT)]:
            del self._jobs[job_id]
        self._jobs[job.id] = job

    def _set(self, job: Job, status: Status) -> None:
        if not job.final:
            if job.status == Status.QUEUED and status in (Status.PAUSED, Status.CANCELLED):
                job.message = ""  # it told what this job waits for
            job.status = status
            self._touch(job)
            if status in (*FINAL, Status.PAUSED, Status.INTERRUPTED):
                self._save(job)

    def _guard(self, work: Callable[..., T], *arguments: Any) -> T | None:
        """Do something with the store; where it fails, go on without one and say so."""
        try:
            return work(*arguments)
        except RunLostError:
            raise
        except StoreError as error:
            self.store_problem, self.store = str(error), None
            return None

    def _save(self, job: Job) -> None:
        if self.store is not None and job.stored:
            new = join_rows(job.chunks[job.saved_chunks :])
            about = (job.id, job.config, job.status, job.state, new, job.message)
            save = partial(self.store.checkpoint, *about, seconds=time.monotonic() - job.begun)
            try:
                self._guard(save)
            except RunLostError as error:  # deleted by another program: this run alone is not saved
                job.stored, job.message = False, str(error)
                self._touch(job)
            job.saved_chunks, job.saved_at = len(job.chunks), time.monotonic()
