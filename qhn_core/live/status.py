"""The words and numbers of a live view: its header, and a line of guidance for each picture."""

from typing import Any

import numpy as np

from qhn_core.bits import Float
from qhn_core.config import RunConfig
from qhn_core.jobs.job import Job, Status
from qhn_core.live.pictures import shown_row
from qhn_core.model.capacity import has_tables
from qhn_core.model.references import exhaustive_search, logistic_regression
from qhn_core.model.scores import NetworkScores
from qhn_core.objectives.terms import upper_bound
from qhn_core.training.history import Rows

SLOW_TABLE_BITS = 18
"""Tables of so many bits or more take a second or longer: 6 s at 22."""
GUIDANCE_AT_REST = {
    "objective": "Solid: as measured. Dotted: exact. Bands: one standard deviation over seeds.",
    "gradient": "Gates shade by |∂L/∂θ|; the RZ of layer 1 act on |0⟩: any shade there is shot noise.",
    "boundary": "Seed {seed}: the average of its sampled networks, over the test points.",
    "histogram": "Seed {seed}: each bar is a network; hover to read its weights.",
}
GUIDANCE_EARLY = {
    "objective": "Watch the measured curve scatter around the exact one.",
    "gradient": "Large at first; the learning rate falls when the objective stalls.",
    "boundary": "Seed {seed}: many different networks still average to pale colours.",
    "histogram": "Seed {seed}: almost every shot is a different network.",
}

GUIDANCE_EXACT = {
    "objective": "Exact expectations, without shot noise. Bands: one standard deviation over seeds.",
    "histogram": "Seed {seed}: the networks with the largest q; hover to read their weights.",
}
GUIDANCE_LARGE = {
    "objective": "Bands: one standard deviation over seeds. No exact value: that needs all 2ⁿ networks.",
    "histogram": "Seed {seed}: each bar is a network, named by a hash of its bits; hover for its scores.",
}
"""Of runs without tables."""
GUIDANCE_IMAGES = "Seed {seed}: each image on the colour of the prediction of its sampled networks."


def opening(config: RunConfig) -> str:
    """Return the placeholder while a large run's first figures are computed; empty for other runs."""
    if config.n_qubits < SLOW_TABLE_BITS or not has_tables(config):
        return ""
    return f"{config.in_words()}: looking at all {2**config.n_qubits:,} networks takes some seconds ..."


def status(job: Job, rows: Rows, scores: NetworkScores, seed: int | None) -> dict[str, Any]:
    """Return the state, the epoch, the header's numbers with their references, and the lines of guidance.

    The references are the best of all networks, or where those cannot be searched, logistic regression on
    the same points. seed: the seed on show; None: the best one so far.
    """
    config = job.config
    epoch = last_epoch(rows)
    early = epoch < 10 and job.status not in (Status.DONE, Status.DIVERGED)
    guidance = GUIDANCE_EARLY if early else GUIDANCE_AT_REST
    if config.shots is None:
        guidance = {**guidance, **GUIDANCE_EXACT}
    if scores.table is None:
        guidance = {**guidance, **GUIDANCE_LARGE}
        if config.n_inputs != 2:
            guidance["boundary"] = GUIDANCE_IMAGES
    shown = (seed or 0) if job.state is None else shown_row(job.state, seed)
    return {
        "state": _state(job),
        "epoch": epoch,
        "epochs": config.epochs,
        "config": config.in_words() + _time_left(job),
        "message": job.message,
        "numbers": _numbers(job, rows, _references(job, scores)),
        "guidance": {name: text.format(seed=shown) for name, text in guidance.items()},
    }


def _state(job: Job) -> str:
    """Return the status; but "pausing" until the chunk under way is done, "running" once it has begun."""
    if job.status == Status.PAUSED and job.in_chunk:
        return "pausing"
    begun = bool(job.in_flight or job.done)
    return str(Status.RUNNING if job.status == Status.QUEUED and begun else job.status)


def last_epoch(rows: Rows) -> int:
    """Return the epoch of the newest rows, or 0."""
    return int(rows["epoch"].max()) if len(rows["epoch"]) else 0


def _time_left(job: Job) -> str:
    if not job.status.is_moving or job.seconds_left is None or job.seconds_left < 10:
        return ""
    minutes, seconds = divmod(round(job.seconds_left), 60)
    return f" · about {minutes} min {seconds} s left" if minutes else f" · about {seconds} s left"


def _references(job: Job, scores: NetworkScores) -> tuple[str, str, str]:
    """Return the references of test BCE, test accuracy and the objective; empty where there is none."""
    if scores.table is None:
        linear = logistic_regression(scores.dataset)
        bce, accuracy = (
            f"logistic regression {linear[name][0]:.3f}" for name in ("test_bce", "test_accuracy")
        )
        return bce, accuracy, ""
    best = exhaustive_search(scores.table)[1]
    level, label = upper_bound(job.config, scores.table)
    return (
        f"exhaustive search {best.test_bce:.3f}",
        f"exhaustive search {best.test_accuracy:.3f}",
        f"{label} {level:.1f}",
    )


def _numbers(job: Job, rows: Rows, references: tuple[str, str, str]) -> list[dict[str, str]]:
    last = rows["epoch"] == last_epoch(rows)

    def number(values: Float, digits: int) -> str:
        if not len(values):
            return "–"
        spread = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
        return f"{values.mean():.{digits}f}{spread}"

    started = job.state is not None
    top = job.state.best_objective[:] if job.state is not None else np.zeros(0)
    return [
        {
            "label": "test BCE",
            "value": number(rows["test_bce"][last], 3),
            "reference": references[0],
        },
        {
            "label": "test accuracy",
            "value": number(rows["test_accuracy"][last], 3),
            "reference": references[1],
        },
        {
            "label": f"best {job.config.objective.upper()}",
            "value": f"{top.max():.1f}" if started else "–",
            "reference": references[2],
        },
    ]
