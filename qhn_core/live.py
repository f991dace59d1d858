"""What a live view is sent of a job: first a snapshot, then deltas, as JSON-ready dictionaries."""

import base64
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from qhn_core.bits import Float, Index, words_to_bits
from qhn_core.boundary_figures import boundary_figure
from qhn_core.circuit_drawing import circuit_svg
from qhn_core.circuits import Draws, seed_keys
from qhn_core.curve_figures import gradient_figure, objective_figure, pinned_line, reference_line
from qhn_core.evaluation import decision_surfaces, exhaustive_search, logistic_regression, plot_axes
from qhn_core.figures import Figure, over_seeds
from qhn_core.histogram_figures import histogram_figure
from qhn_core.history import Rows
from qhn_core.jobs import MOVING, Job, Status
from qhn_core.large_figures import Measured, networks_figure, prediction_surfaces, predictions_figure
from qhn_core.problem import AnyProblem, LargeProblem, Problem, training_problem
from qhn_core.simulators import get_simulator
from qhn_core.training_state import TrainingState, as_words

MOST_PINS = 4
VIEW_SAMPLES = 200
"""Networks drawn for the decision boundary of a run without shots."""
GUIDANCE_AT_REST = {
    "objective": "Solid: as measured. Dotted: exact. Bands: one standard deviation over seeds.",
    "gradient": "Gates shade by |∂L/∂θ|; the RZ of layer 1 act on |0⟩: any shade there is shot noise.",
    "boundary": "Seed {seed}: the average of its sampled networks, over the test points.",
    "histogram": "Seed {seed}: each bar is a network; hover to read its weights.",
}
GUIDANCE_EARLY = {
    "objective": "Watch the measured curve scatter around the exact one.",
    "gradient": "Large at first; the learning rate halves when the objective stalls.",
    "boundary": "Seed {seed}: many different networks still average to pale colours.",
    "histogram": "Seed {seed}: almost every shot is a different network.",
}

GUIDANCE_LARGE = {
    "objective": "Bands: one standard deviation over seeds. No exact value: that needs all 2ⁿ networks.",
    "histogram": "Seed {seed}: each bar is a network, named by a hash of its bits; hover for its scores.",
}
"""Where there are no tables."""
GUIDANCE_IMAGES = "Seed {seed}: each image on the colour of the prediction of its sampled networks."


def message_text(
    job: Job, version: int, seed: int | None, since: int | None, pinned: tuple[Job, ...] = ()
) -> tuple[int, bytes]:
    """(epoch, JSON) of a message; cached, so that many viewers cost as much as one.

    since: the epoch that the viewer has; None asks for the snapshot. `version` is the job's, and
    serves as the cache's key. NaN becomes null.
    """
    with _making:  # who asks at the same moment waits, and makes none
        return _message_text(job, version, seed, since, pinned)


@lru_cache(maxsize=256)
def _message_text(
    job: Job, version: int, seed: int | None, since: int | None, pinned: tuple[Job, ...]
) -> tuple[int, bytes]:
    epoch, message = snapshot(job, seed, pinned) if since is None else delta(job, seed, since)
    return epoch, orjson.dumps(message)


_making = threading.Lock()


def snapshot(job: Job, seed: int | None, pinned: tuple[Job, ...] = ()) -> tuple[int, dict[str, Any]]:
    """(epoch, {"run", "status", "figures", "circuit", "shades"}): all that a view needs to start.

    Pinned runs add a line each to the curves, after the run's own: deltas leave those alone.
    """
    problem = training_problem(job.config)
    rows = job.rows()
    figures = {**_curves(job, rows, problem), **_pictures(job, problem, seed)}
    for place, pin in enumerate(pinned):
        if pin is not job and pin.epoch:
            stats = over_seeds(pin.rows())
            for name, column in (("objective", "objective"), ("gradient", "gradient_magnitude")):
                figures[name]["data"].append(pinned_line(pin.config, stats, column, place))
    message: dict[str, Any] = {
        "run": job.id,
        "status": status(job, rows, problem, seed),
        "figures": figures,
        "circuit": circuit_svg(job.config.n_qubits, job.config.n_layers),
        "shades": _shades(job.state),
    }
    return _last_epoch(rows), message


def delta(job: Job, seed: int | None, since: int) -> tuple[int, dict[str, Any]]:
    """(epoch, {"status", "extend", "restyle", "shades"}): what changed after epoch `since`."""
    problem = training_problem(job.config)
    rows = job.rows()
    new = rows["epoch"] > since
    message: dict[str, Any] = {"status": status(job, rows, problem, seed)}
    if new.any():
        curves = _curves(job, {name: column[new] for name, column in rows.items()}, problem)
        message["extend"] = {
            name: {axis: [trace[axis] for trace in figure["data"]] for axis in ("x", "y")}
            for name, figure in curves.items()
        }
    if new.any() or (job.state is not None and job.epoch == 0):
        surfaces, bars = _picture_changes(job, problem, seed)
        message["restyle"] = {
            "boundary": [{"z": _hundredths(surface)} for surface in surfaces],
            "histogram": [{k: t[k] for k in ("x", "y", "customdata") if k in t} for t in bars],
        }
        message["shades"] = _shades(job.state)
    return max(since, _last_epoch(rows)), message


def _hundredths(values: Float) -> dict[str, Any]:
    """Values in [0, 1] as bytes of two decimals: a fifth of their text, and the bulk of a delta."""
    packed = np.rint(100 * values).astype(np.uint8)
    text = base64.b64encode(packed.tobytes()).decode()
    return {"dtype": "u1", "bdata": text, "shape": ", ".join(map(str, packed.shape)), "scale": 0.01}


def _last_epoch(rows: Rows) -> int:
    return int(rows["epoch"].max()) if len(rows["epoch"]) else 0


def _curves(job: Job, rows: Rows, problem: AnyProblem) -> dict[str, Figure]:
    stats = over_seeds(rows)
    return {
        "objective": objective_figure(job.config, problem, stats),
        "gradient": gradient_figure(job.config, stats),
    }


def _pictures(job: Job, problem: AnyProblem, seed: int | None) -> dict[str, Figure]:
    if isinstance(problem, LargeProblem):
        measured = _measured(job, seed)
        return {
            "boundary": predictions_figure(problem, measured),
            "histogram": networks_figure(problem, measured),
        }
    samples, exact = _distribution(job, seed)
    axes = plot_axes(problem)
    return {
        "boundary": boundary_figure(problem, axes, _surfaces(problem, axes, samples, exact)),
        "histogram": histogram_figure(problem, samples, exact),
    }


def _picture_changes(job: Job, problem: AnyProblem, seed: int | None) -> tuple[list[Float], list[Any]]:
    """(predictions, traces of the histogram): what of the pictures moves."""
    if isinstance(problem, LargeProblem):
        measured = _measured(job, seed)
        return prediction_surfaces(problem, measured), networks_figure(problem, measured)["data"]
    samples, exact = _distribution(job, seed)
    surfaces = _surfaces(problem, plot_axes(problem), samples, exact)
    return surfaces, histogram_figure(problem, samples, exact)["data"]


def _measured(job: Job, seed: int | None) -> Measured:
    """One seed's circuit now, without 2**n; before the start, the uniform prior."""
    config, state = job.config, job.state
    if state is None:
        draws = Draws(seed_keys(config.seed, np.zeros(1, dtype=np.int64)), 0, config.shots or 0)
        words, angles = draws.prior(config.n_qubits)[0], np.zeros(config.angle_shape)
        angles[0, 0] = np.pi / 2  # every bit is 0 or 1 with even chances, and a CX leaves it so
    else:
        row = shown_row(state, seed)
        words, angles = as_words(state.samples)[row], state.angles[row]
    return Measured(words_to_bits(words, config.n_qubits), angles)


def _surfaces(problem: Problem, axes: tuple[Float, Float], samples: Index, exact: Float) -> list[Float]:
    networks = samples
    if not len(samples):
        networks = np.random.default_rng(0).choice(exact.size, VIEW_SAMPLES, p=exact)
    return decision_surfaces(problem, networks, int(exact.argmax()), axes)


def _distribution(job: Job, seed: int | None) -> tuple[Index, Float]:
    """(samples (shots,), exact q (2**n,)) of one seed now; before the start, the uniform prior."""
    state = job.state
    if state is None:
        size = 2**job.config.n_qubits
        prior = np.random.default_rng(job.config.seed).integers(size, size=job.config.shots or 0)
        return prior, np.full(size, 1 / size)
    simulator = get_simulator(job.config.simulator, job.config.n_qubits)
    row = shown_row(state, seed)
    return state.samples[row], simulator.probabilities(state.angles[row : row + 1])[0]


def shown_row(state: TrainingState, seed: int | None) -> int:
    """The row of `state` whose pictures are drawn: that seed's, or the best one's by its objective."""
    return int(np.argmax(state.best_objective)) if seed is None else min(max(seed, 0), len(state.seeds) - 1)


def _shades(state: TrainingState | None) -> list[Any] | None:
    """Mean over seeds of |dL/dtheta| of every gate, (L, 2, n)."""
    if state is None:
        return None
    alive = state.diverged_at == 0
    return np.abs(state.gradient[alive]).mean(axis=0).round(5).tolist() if alive.any() else None


def status(job: Job, rows: Rows, problem: AnyProblem, seed: int | None) -> dict[str, Any]:
    """State, epoch, the numbers of the header with their references, and a line of guidance a view.

    What the numbers are held against: the best of all networks, or where those can't be searched,
    logistic regression on the same points. A paused job is "pausing" until its chunk under way is done.
    """
    config = job.config
    epoch = _last_epoch(rows)
    early = epoch < 10 and job.status not in (Status.DONE, Status.DIVERGED)
    guidance = GUIDANCE_EARLY if early else GUIDANCE_AT_REST
    large = isinstance(problem, LargeProblem)
    if large:
        guidance = {**guidance, **GUIDANCE_LARGE}
        if config.n_inputs != 2:
            guidance["boundary"] = GUIDANCE_IMAGES
    shown = (seed or 0) if job.state is None else shown_row(job.state, seed)
    return {
        "state": "pausing" if job.status == Status.PAUSED and job.in_chunk else str(job.status),
        "epoch": epoch,
        "epochs": config.epochs,
        "config": config.in_words() + _time_left(job),
        "message": job.message,
        "numbers": _numbers(job, rows, _references(job, problem)),
        "reference_label": "logistic regression" if large else "exhaustive search",
        "guidance": {name: text.format(seed=shown) for name, text in guidance.items()},
    }


def _time_left(job: Job) -> str:
    if job.status not in MOVING or job.seconds_left is None or job.seconds_left < 10:
        return ""
    minutes, seconds = divmod(round(job.seconds_left), 60)
    return f" · about {minutes} min {seconds} s left" if minutes else f" · about {seconds} s left"


def _references(job: Job, problem: AnyProblem) -> tuple[str, str, str]:
    """What test BCE, test accuracy and the objective are held against; empty where nothing is known."""
    if isinstance(problem, LargeProblem):
        linear = logistic_regression(problem.dataset)
        return f"{linear['test_bce'][0]:.3f}", f"{linear['test_accuracy'][0]:.3f}", ""
    best = exhaustive_search(problem)[1]
    level, _ = reference_line(job.config, problem)
    return f"{best.test_bce:.3f}", f"{best.test_accuracy:.3f}", f"{level:.1f}"


def _numbers(job: Job, rows: Rows, references: tuple[str, str, str]) -> list[dict[str, str]]:
    last = rows["epoch"] == _last_epoch(rows)

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
