"""Many runs at once: a grid over config fields, which can be stopped and resumed, on any workers."""

import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from qhn_core.config import RunConfig
from qhn_core.jobs.job import Job, Status
from qhn_core.jobs.limits import Limits
from qhn_core.jobs.service import JobService
from qhn_core.jobs.workers import Workers
from qhn_core.storage.runs import RunInfo, RunStore
from qhn_core.training.evaluation import last_epochs
from qhn_core.training.history import tidy

POLL_SECONDS = 0.1
NO_LIMITS = Limits(
    max_jobs=10**6,
    max_jobs_per_session=10**6,
    max_jobs_per_address=10**6,
    max_seeds=10**6,
    max_epochs=10**9,
    max_qubits=62,
    max_memory_gb=10**9,
    max_hours=10**9,
    max_qubits_sampled=10**9,
    max_points_per_class=10**9,
    max_layers=10**9,
    max_shots=10**9,
    max_run_mb=10**9,
)


def grid(fields: dict[str, list[Any]]) -> list[RunConfig]:
    """Combine the given values of config fields in all ways; each different run comes once.

    A field that the objective does not read makes no further run: λ, annealing and h for MLE, h for ELBO.

    >>> [c.in_words()[:28] for c in grid({"objective": ["mle", "elbo"], "regularization": [1, 10]})]
    ['gaussian, MLE, chain-rule, 1', 'gaussian, ELBO λ=1, chain-ru', 'gaussian, ELBO λ=10, chain-r']
    """
    configs: dict[str, RunConfig] = {}
    for values in itertools.product(*fields.values()):
        chosen = dict(zip(fields, values, strict=True))
        if chosen.get("objective") == "mle":
            chosen.pop("regularization", None)
            chosen.pop("annealing", None)
        if chosen.get("objective") in ("mle", "elbo"):
            chosen.pop("bandwidth", None)
        config = RunConfig(**chosen)
        configs[config.hash] = config
    return list(configs.values())


def run_sweep(
    configs: Iterable[RunConfig],
    workers: Workers,
    store: RunStore,
    progress: Callable[[int, int], None] | None = None,
) -> list[Job]:
    """Train each config whose finished run the store does not hold; go on with those that it has begun.

    progress(done, total) is told the epochs of all runs together. An exception that it raises stops the
    sweep, and what was trained so far is kept. Returns the finished jobs in the order of the configs.
    Raises ConnectionError where the workers are lost.
    """
    service = JobService(workers, store, NO_LIMITS, pace=False)
    try:
        begun = [run for run in store.runs() if run.status == Status.INTERRUPTED and not run.imported]
        jobs = [_start(service, config, begun) for config in configs]
        total = sum(job.config.epochs for job in jobs)
        while True:
            over = all(job.resting for job in jobs)
            if over and not all(job.status.is_final for job in jobs) and (reason := workers.lost()):
                raise ConnectionError(reason)
            if progress is not None:
                progress(sum(_epochs_done(job) for job in jobs), total)
            if over:
                if service.store_problem:
                    for job in jobs:
                        job.message = f"This run may not be saved. {service.store_problem}"
                return jobs
            time.sleep(POLL_SECONDS)
    finally:
        service.shutdown()


def _epochs_done(job: Job) -> int:
    """A run that is over counts as whole, though it may have ended before its last epoch."""
    return job.config.epochs if job.status.is_final else job.epoch


def _start(service: JobService, config: RunConfig, begun: list[RunInfo]) -> Job:
    for run in begun:
        if run.config == config.model_dump():
            return service.resume(run.id)
    return service.submit(config)


def sweep_table(jobs: list[Job]) -> pd.DataFrame:
    """Make a table of a row per run: the fields that differ, and the last epoch's scores over the seeds."""
    configs = pd.DataFrame([dict(job.config) for job in jobs])
    differing = configs.loc[:, [len({str(v) for v in configs[c]}) > 1 for c in configs]]
    scores = []
    for job in jobs:
        last = last_epochs(tidy(job.rows()))
        scores.append(
            {
                f"{name}_{f}": getattr(np, f)(last[name].to_numpy()) if len(last) else None
                for name in ("test_bce", "test_accuracy")
                for f in ("mean", "std")
            }
        )
    status = pd.DataFrame({"status": [str(job.status) for job in jobs]})
    return pd.concat([differing, pd.DataFrame(scores), status], axis=1)
