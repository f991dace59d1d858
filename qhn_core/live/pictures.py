"""The pictures of a live view that change as a whole: predictions, bitstrings and shades of the gates."""

from typing import Any

import numpy as np

from qhn_core.bits import Float, Index, words_to_bits
from qhn_core.circuits.base import Draws, as_words, seed_keys
from qhn_core.circuits.batches import closed_form
from qhn_core.circuits.simulators import get_simulator
from qhn_core.figures.boundary import VIEW_SAMPLES, boundary_figure
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


def pictures(job: Job, scores: NetworkScores, seed: int | None) -> dict[str, Figure]:
    """Draw the decision boundary and the histogram of a seed; None: of the best seed so far."""
    if scores.table is None:
        measured = _measured(job, seed)
        return {
            "boundary": predictions_figure(scores, measured),
            "histogram": networks_figure(scores, measured),
        }
    samples, exact = _distribution(job, seed)
    axes = plot_axes(scores)
    return {
        "boundary": boundary_figure(scores, axes, _surfaces(scores.table, axes, samples, exact)),
        "histogram": histogram_figure(scores.table, samples, exact),
    }


def picture_changes(job: Job, scores: NetworkScores, seed: int | None) -> tuple[list[Float], list[Any]]:
    """Return (predictions, traces of the histogram): the parts of the pictures that change."""
    if scores.table is None:
        measured = _measured(job, seed)
        return prediction_surfaces(scores, measured), networks_figure(scores, measured)["data"]
    samples, exact = _distribution(job, seed)
    surfaces = _surfaces(scores.table, plot_axes(scores), samples, exact)
    return surfaces, histogram_figure(scores.table, samples, exact)["data"]


def _measured(job: Job, seed: int | None) -> Measured:
    """Return samples and angles of one seed now, without 2**n; before the start, of the uniform prior."""
    config, state = job.config, job.state
    if state is None:
        draws = Draws(seed_keys(config.seed, np.zeros(1, dtype=np.int64)), 0, config.shots or 0)
        words, angles = draws.prior(config.n_qubits)[0], np.zeros(config.angle_shape)
        angles[0, 0] = np.pi / 2  # every bit is 0 or 1 with even chances, and a CX leaves it so
    else:
        row = shown_row(state, seed)
        words, angles = as_words(state.samples)[row], state.angles[row]
    return Measured(words_to_bits(words, config.n_qubits), closed_form(config, angles[None]))


def _surfaces(scores: ScoreTable, axes: tuple[Float, Float], samples: Index, exact: Float) -> list[Float]:
    networks = samples
    if not len(samples):
        networks = np.random.default_rng(0).choice(exact.size, VIEW_SAMPLES, p=exact)
    return decision_surfaces(scores, networks, int(exact.argmax()), axes)


def _distribution(job: Job, seed: int | None) -> tuple[Index, Float]:
    """Return (samples (shots,), exact q (2**n,)) of one seed now; before the start, of the prior."""
    state = job.state
    if state is None:
        size = 2**job.config.n_qubits
        prior = np.random.default_rng(job.config.seed).integers(size, size=job.config.shots or 0)
        return prior, np.full(size, 1 / size)
    simulator = get_simulator(job.config.simulator, job.config.n_qubits, job.config.entangler)
    row = shown_row(state, seed)
    return state.samples[row], simulator.probabilities(state.angles[row : row + 1])[0]


def shown_row(state: TrainingState, seed: int | None) -> int:
    """Return the row of `state` on show: the seed's, or for None that of the best objective."""
    return int(np.argmax(state.best_objective)) if seed is None else min(max(seed, 0), len(state.seeds) - 1)


def shades(state: TrainingState | None) -> list[Any] | None:
    """Return the mean over seeds of |dL/dtheta| of every gate, (L, 2, n); None before the start."""
    if state is None:
        return None
    alive = state.diverged_at == 0
    return np.abs(state.gradient[alive]).mean(axis=0).round(5).tolist() if alive.any() else None
