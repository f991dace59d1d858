"""How η and λ change during training: plateau decay (Section IV, Table I) and annealing (Section III)."""

import math

import numpy as np

from qhn_core.bits import Float, Index
from qhn_core.config import RunConfig

CYCLES = 4
"""Cycles of the cyclical schedule (Fu et al. 2019, arXiv:1903.10145, with λ falling instead of rising)."""
LAST_OF_EXPONENTIAL = 1e-3
"""λ of the last epoch of the exponential schedule, relative to that of the first."""


def decay_on_plateau(
    learning_rate: Float,
    stale_epochs: Index,
    improved: np.ndarray,
    patience: int,
    decay_factor: float,
) -> tuple[Float, Index]:
    """Compute the new (learning_rate, stale_epochs), each (S,).

    If a seed did not improve for `patience` epochs in a row, its rate is multiplied by `decay_factor`,
    and its count starts again.

    >>> decay_on_plateau(np.array([1.0]), np.array([2]), np.array([False]), 3, 0.5)
    (array([0.5]), array([0]))
    """
    stale = np.where(improved, 0, stale_epochs + 1)
    decays = stale >= patience
    return np.where(decays, learning_rate * decay_factor, learning_rate), np.where(decays, 0, stale)


def strength(config: RunConfig, epoch: int) -> float:
    """Compute λ at an epoch, 1 to config.epochs; if there is only one epoch, the config's own λ.

    >>> config = RunConfig(annealing="linear", regularization=10, epochs=5)
    >>> [strength(config, epoch) for epoch in range(1, 6)]
    [10.0, 7.5, 5.0, 2.5, 0.0]
    """
    if config.annealing == "constant" or config.epochs == 1:
        return config.regularization
    passed = (max(epoch, 1) - 1) / (config.epochs - 1)
    if config.annealing == "linear":
        return config.regularization * (1 - passed)
    if config.annealing == "exponential":
        return config.regularization * LAST_OF_EXPONENTIAL**passed
    cycle = min(math.floor(CYCLES * passed), CYCLES - 1)
    return config.regularization * (1 - (CYCLES * passed - cycle))


def at_epoch(config: RunConfig, epoch: int) -> RunConfig:
    """Return the config with the λ of one epoch: the objective that this epoch's step climbs."""
    if config.annealing == "constant":
        return config
    changes = {"regularization": strength(config, epoch), "annealing": "constant"}
    return config.model_copy(update=changes)
