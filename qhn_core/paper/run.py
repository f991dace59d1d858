"""Run the whole study: train the runs that the store lacks, on any workers, and collect the results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from qhn_core.config import RunConfig
from qhn_core.jobs.job import Job, Status
from qhn_core.jobs.sweep import run_sweep
from qhn_core.jobs.workers import Workers
from qhn_core.paper.conventions import (
    BEYOND,
    COSTLY_SHARE,
    DATASETS,
    GRADIENTS,
    LIKELIHOODS,
    beyond_configs,
    check_choice,
    is_costly,
    method_config,
    paper_configs,
)
from qhn_core.paper.cost import Meter
from qhn_core.paper.results import (
    PaperResults,
    Provenance,
    curve_rows,
    exhaustive_scores,
    scan_slice,
    score_rows,
)
from qhn_core.storage.runs import RunStore
from qhn_core.versions import current_versions


class FailedRunsError(RuntimeError):
    """Some runs did not finish; the message says how many, and why."""


@dataclass(frozen=True)
class Study:
    """The runs to make. The defaults are all of Section IV under every convention of training.

    Raises ValueError, which names the field and the choices, for an unknown word.
    """

    base: RunConfig
    """The values of all fields that the grids below do not vary."""
    datasets: Sequence[str] = DATASETS
    gradients: Sequence[str] = GRADIENTS
    likelihoods: Sequence[str] = LIKELIHOODS
    parts: Sequence[str] = ()
    """Parts of `BEYOND`."""
    beyond_seeds: int = 20

    def __post_init__(self) -> None:
        allowed = {
            "datasets": DATASETS,
            "gradients": GRADIENTS,
            "likelihoods": LIKELIHOODS,
            "parts": tuple(BEYOND),
        }
        for field, values in allowed.items():
            given = getattr(self, field)
            for value in given:
                check_choice(field, value, values)
            if not given and field != "parts":
                raise ValueError(
                    f"{field}={given!r}: must have at least one of {', '.join(map(repr, values))}"
                )
        if self.beyond_seeds < 1:
            raise ValueError(f"beyond_seeds={self.beyond_seeds}: must be a whole number, 1 or more")

    def paper(self) -> list[RunConfig]:
        """List the runs of Section IV."""
        return paper_configs(self.base, self.datasets, self.gradients, self.likelihoods)

    def beyond(self) -> list[RunConfig]:
        """List the other runs, without those that `paper` has already with as many seeds or more.

        Costly runs (`conventions.is_costly`) have a quarter of `beyond_seeds`, at least 2.
        """
        few = self.base.model_copy(update={"n_seeds": min(self.beyond_seeds, self.base.n_seeds)})
        found: dict[str, RunConfig] = {}
        for part in self.parts:
            found |= {c.hash: c for c in beyond_configs(few, part, self.datasets, self.gradients)}
        have = {c.model_copy(update={"n_seeds": few.n_seeds}).hash for c in self.paper()}
        fewer = {"n_seeds": min(few.n_seeds, max(2, few.n_seeds // COSTLY_SHARE))}
        return [
            c.model_copy(update=fewer) if is_costly(c) else c for h, c in found.items() if h not in have
        ]

    def slice(self) -> RunConfig:
        """Return the run that Figure 6 is drawn for, around theta* of its best seed."""
        changes = {
            "dataset": self.datasets[0],
            "gradient": self.gradients[0],
            "likelihood": self.likelihoods[0],
        }
        return method_config(self.base.model_copy(update=changes), "SELBO λ=1")


def run_study(
    study: Study,
    workers: Workers,
    store: RunStore,
    command: str,
    progress: Callable[[int, int], None] | None = None,
) -> PaperResults:
    """Train what the store lacks, measure the cost, and collect the results.

    command: the command line, for the record. progress(done, total) counts epochs of all runs. Raises
    FailedRunsError if a run failed; what was trained is stored, and the next call goes on from there.
    """
    paper, beyond = study.paper(), study.beyond()
    saved = _saved_epochs([*paper, *beyond], store)
    with Meter() as meter:
        jobs = run_sweep([*paper, *beyond], workers, store, progress)
        _check(jobs)
        runs = [job.result() for job in jobs]
        scores = pd.concat([score_rows(i, run) for i, run in enumerate(runs)], ignore_index=True)
        curves = [curve_rows(i, run) for i, run in enumerate(runs[: len(paper)]) if len(run.history)]
        slice_, landscape = scan_slice(runs[paper.index(study.slice())])
        exhaustive = exhaustive_scores(runs)
    total = sum(job.config.epochs for job in jobs)
    provenance = Provenance(
        command=command,
        made=datetime.now(UTC),
        versions=current_versions(),
        paper=tuple(paper),
        beyond=tuple(beyond),
        exhaustive=exhaustive,
        slice=slice_,
        cost=meter.cost(),
        epochs_computed=total - saved,
        epochs_total=total,
    )
    return PaperResults(provenance, scores, pd.concat(curves, ignore_index=True), landscape)


def _saved_epochs(configs: Sequence[RunConfig], store: RunStore) -> int:
    """Count the epochs that `run_sweep` will find in the store, of whole runs and of parts of runs."""
    parts = [i for i in store.runs() if i.status == Status.INTERRUPTED and not i.imported]
    return sum(
        config.epochs
        if store.find_finished(config)
        else max((i.epoch for i in parts if i.config == config.model_dump()), default=0)
        for config in configs
    )


def _check(jobs: list[Job]) -> None:
    lost = [job for job in jobs if job.status not in (Status.DONE, Status.DIVERGED)]
    if lost:
        raise FailedRunsError(
            f"{len(lost)} of {len(jobs)} runs failed, the first: {lost[0].config.in_words()}: "
            f"{lost[0].message} What was trained is stored; run the command again to go on"
        )
