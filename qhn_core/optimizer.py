"""Gradient ascent with plateau decay (Section IV, Table I), vectorised over seeds."""

import numpy as np

from qhn_core.bits import Float, Index


def ascend(angles: Float, gradient: Float, learning_rate: Float) -> Float:
    """One step of each seed: angles + η gradient; angles (S, L, 2, n), learning_rate (S,)."""
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging seed is reported, not warned of
        return angles + learning_rate[:, None, None, None] * gradient


def decay_on_plateau(
    learning_rate: Float,
    stale_epochs: Index,
    improved: np.ndarray,
    patience: int,
    decay_factor: float,
) -> tuple[Float, Index]:
    """New (learning_rate, stale_epochs), each (S,).

    A seed that did not improve for `patience` epochs in a row has its rate multiplied by
    `decay_factor`, and its count starts again.

    >>> decay_on_plateau(np.array([1.0]), np.array([2]), np.array([False]), 3, 0.5)
    (array([0.5]), array([0]))
    """
    stale = np.where(improved, 0, stale_epochs + 1)
    worn_out = stale >= patience
    return np.where(worn_out, learning_rate * decay_factor, learning_rate), np.where(worn_out, 0, stale)
