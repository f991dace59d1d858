"""How λ moves during training: constant, or from λ down to nothing, towards MLE (end of Section III)."""

import math

from qhn_core.config import RunConfig

CYCLES = 4
"""Of the cyclical schedule (Fu et al. 2019, arXiv:1903.10145, with λ falling instead of rising)."""
LAST_OF_EXPONENTIAL = 1e-3


def strength(config: RunConfig, epoch: int) -> float:
    """λ at an epoch, 1 to config.epochs; where there is only one epoch, it is the config's.

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
    """The config with the λ of one epoch: what is climbed then."""
    if config.annealing == "constant":
        return config
    changes = {"regularization": strength(config, epoch), "annealing": "constant"}
    return config.model_copy(update=changes)
