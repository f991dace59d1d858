"""The pictures of a live view that are drawn anew: predictions, bitstrings and the shades of the gates."""

from typing import Any

import numpy as np

from qhn_core.bits import Float, Index, words_to_bits
from qhn_core.circuits.base import Draws, as_words, seed_keys
from qhn_core.circuits.simulators import get_simulator
from qhn_core.figures.boundary import boundary_figure
from qhn_core.figures.histogram import histogram_figure
from qhn_core.figures.sampled_networks import (
    Measured,
    networks_figure,
    prediction_surfaces,
    predictions_figure,
)
from qhn_core.figures.style import Figure
from qhn_core.jobs.job import Job
from qhn_core.model.predictions import decision_surfaces, plot_axes
from qhn_core.model.scores import NetworkScores, ScoreTable
from qhn_core.training.state import TrainingState

VIEW_SAMPLES = 200
"""Networks drawn for the decision boundary of a run without shots."""


def pictures(job: Job, problem: NetworkScores, seed: int | None) -> dict[str, Figure]:
    """The decision boundary and the histogram of a seed, or of the best so far."""
    if problem.table is None:
        measured = _measured(job, seed)
        return {
            "boundary": predictions_figure(problem, measured),
            "histogram": networks_figure(problem, measured),
        }
    samples, exact = _distribution(job, seed)
    axes = plot_axes(problem)
    return {
        "boundary": boundary_figure(problem, axes, _surfaces(problem.table, axes, samples, exact)),
        "histogram": histogram_figure(problem.table, samples, exact),
    }


def picture_changes(job: Job, problem: NetworkScores, seed: int | None) -> tuple[list[Float], list[Any]]:
    """(predictions, traces of the histogram): what of the pictures moves."""
    if problem.table is None:
        measured = _measured(job, seed)
        return prediction_surfaces(problem, measured), networks_figure(problem, measured)["data"]
    samples, exact = _distribution(job, seed)
    surfaces = _surfaces(problem.table, plot_axes(problem), samples, exact)
    return surfaces, histogram_figure(problem.table, samples, exact)["data"]


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


def _surfaces(problem: ScoreTable, axes: tuple[Float, Float], samples: Index, exact: Float) -> list[Float]:
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


def shades(state: TrainingState | None) -> list[Any] | None:
    """Mean over seeds of |dL/dtheta| of every gate, (L, 2, n)."""
    if state is None:
        return None
    alive = state.diverged_at == 0
    return np.abs(state.gradient[alive]).mean(axis=0).round(5).tolist() if alive.any() else None
