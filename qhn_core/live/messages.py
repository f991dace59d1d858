"""The messages to a live view of a job: first a snapshot, then deltas."""

import base64
from typing import Any

import numpy as np
import orjson

from qhn_core.bits import Float
from qhn_core.figures.circuit import circuit_svg
from qhn_core.figures.curves import gradient_figure, objective_figure, pinned_line
from qhn_core.figures.style import Figure, over_seeds
from qhn_core.jobs.job import Job
from qhn_core.live.pictures import picture_changes, pictures, shades
from qhn_core.live.status import last_epoch, status
from qhn_core.model.scores import NetworkScores, network_scores_for
from qhn_core.training.history import Rows

MOST_PINS = 4


def message_text(
    job: Job, seed: int | None, since: int | None, pinned: tuple[Job, ...] = ()
) -> tuple[int, bytes]:
    """Make one message: (epoch, JSON). NaN becomes null.

    seed: whose pictures are drawn; None: those of the best seed so far. since: the last epoch that the
    viewer has; None asks for the snapshot, which alone draws pinned runs.
    """
    epoch, message = snapshot(job, seed, pinned) if since is None else delta(job, seed, since)
    return epoch, orjson.dumps(message)


def snapshot(job: Job, seed: int | None, pinned: tuple[Job, ...] = ()) -> tuple[int, dict[str, Any]]:
    """Return (epoch, {"run", "status", "figures", "circuit", "shades"}): all that a view needs to start.

    Each pinned run adds a line to the curves, after the run's own lines, which alone get the deltas.
    """
    scores = network_scores_for(job.config)
    rows = job.rows()
    figures = {**_curves(job, rows, scores), **pictures(job, scores, seed)}
    for place, pin in enumerate(pinned):
        if pin is not job and pin.epoch:
            stats = over_seeds(pin.rows())
            for name, column in (("objective", "objective"), ("gradient", "gradient_magnitude")):
                figures[name]["data"].append(pinned_line(pin.config, stats, column, place))
    message: dict[str, Any] = {
        "run": job.id,
        "status": status(job, rows, scores, seed),
        "figures": figures,
        "circuit": circuit_svg(job.config.n_qubits, job.config.n_layers, job.config.entangler),
        "shades": shades(job.state),
    }
    return last_epoch(rows), message


def delta(job: Job, seed: int | None, since: int) -> tuple[int, dict[str, Any]]:
    """Return (epoch, {"status", "extend", "restyle", "shades"}): what changed after epoch `since`."""
    scores = network_scores_for(job.config)
    rows = job.rows()
    new = rows["epoch"] > since
    message: dict[str, Any] = {"status": status(job, rows, scores, seed)}
    if new.any():
        curves = _curves(job, {name: column[new] for name, column in rows.items()}, scores)
        message["extend"] = {
            name: {axis: [trace[axis] for trace in figure["data"]] for axis in ("x", "y")}
            for name, figure in curves.items()
        }
    if new.any() or (job.state is not None and job.epoch == 0):
        surfaces, bars = picture_changes(job, scores, seed)
        message["restyle"] = {
            "boundary": [{"z": _hundredths(surface)} for surface in surfaces],
            "histogram": [{k: t[k] for k in ("x", "y", "customdata") if k in t} for t in bars],
        }
        message["shades"] = shades(job.state)
    return max(since, last_epoch(rows)), message


def _hundredths(values: Float) -> dict[str, Any]:
    """Pack values in [0, 1] as bytes of two decimals: a fifth of the text that is most of a delta."""
    packed = np.rint(100 * values).astype(np.uint8)
    text = base64.b64encode(packed.tobytes()).decode()
    return {"dtype": "u1", "bdata": text, "shape": ", ".join(map(str, packed.shape)), "scale": 0.01}


def _curves(job: Job, rows: Rows, scores: NetworkScores) -> dict[str, Figure]:
    stats = over_seeds(rows)
    return {
        "objective": objective_figure(job.config, scores, stats),
        "gradient": gradient_figure(job.config, stats),
    }
