"""What mixtures of networks predict, and how good their predictions are."""

import numpy as np
from scipy.special import expit

from qhn_core.bits import Bits, Float, Index, index_to_bits
from qhn_core.model.network import BinaryNetwork
from qhn_core.model.scores import NetworkScores, ScoreTable

NETWORKS_AT_ONCE = 2048
"""Networks that predict at once, so that their predictions stay in the cache."""
TIE = 1e-12
"""A mean prediction of exactly 1/2 counts as class 0; rounding moves it by less than this."""


def mixture_scores(table: ScoreTable, probabilities: Float) -> dict[str, Float]:
    """Score the predictive mixture sum_s q_s p(y | x, s) of each q (B, 2**n): each score (B,)."""
    return prediction_scores(
        {part: (predictive_mean(table, probabilities, x), y) for part, x, y in table.dataset.parts}
    )


def sampled_mixture_scores(networks: NetworkScores, bits: Bits) -> dict[str, Float]:
    """Score the predictive mean of each set of sampled networks, bits (B, shots, n): each score (B,)."""
    return prediction_scores(
        {
            part: (np.array([expit(networks.network.logits(b, x)).mean(axis=0) for b in bits]), y)
            for part, x, y in networks.dataset.parts
        }
    )


def predictive_mean(table: ScoreTable, probabilities: Float, x: Float) -> Float:
    """Compute P(y = 1 | x) (B, n) of mixtures with weights (B, 2**n) at points x (n, n_inputs)."""
    count = len(table.functions)
    weights = np.array([np.bincount(table.function_of, q, count) for q in probabilities])
    out = np.zeros((len(probabilities), len(x)))
    for start in range(0, count, NETWORKS_AT_ONCE):
        some = slice(start, start + NETWORKS_AT_ONCE)
        bits = index_to_bits(table.functions[some], table.network.n_bits)
        out += weights[:, some] @ expit(table.network.logits(bits, x))
    return out


def prediction_scores(predictions: dict[str, tuple[Float, Index]]) -> dict[str, Float]:
    """Score predictions P(y = 1) (B, n) against labels (n,), by part of the data: BCE, accuracy, each (B,).

    >>> scores = prediction_scores({"test": (np.array([[0.5, 0.75]]), np.array([0, 1]))})
    >>> {name: values.round(4).tolist() for name, values in scores.items()}
    {'test_bce': [0.4904], 'test_accuracy': [1.0]}
    """
    out = {}
    for part, (ones, y) in predictions.items():
        right = np.clip(np.where(y == 1, ones, 1 - ones), np.finfo(float).tiny, 1)
        out[f"{part}_bce"] = -np.log(right).mean(axis=1)
        out[f"{part}_accuracy"] = ((ones > 0.5 + TIE) == y).mean(axis=1)
    return out


def decision_surfaces(
    table: ScoreTable, samples: Index, top: int, axes: tuple[Float, Float]
) -> list[Float]:
    """Compute `predictions` on the grid of two axes, each (len(axes[1]), len(axes[0])).

    samples (shots,): basis states of the sampled networks. top: basis state of the single network.
    """
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    networks, counts = np.unique(samples, return_counts=True)
    bits, single = (index_to_bits(i, table.network.n_bits) for i in (networks, np.array([top])))
    shape = (len(axes[1]), len(axes[0]))
    views = predictions(table.network, bits, counts / counts.sum(), single, grid)
    return [surface.reshape(shape) for surface in views]


def predictions(network: BinaryNetwork, bits: Bits, weights: Float, single: Bits, x: Float) -> list[Float]:
    """Compute predictions P(y = 1 | x) at points x (n, n_inputs), in a list of three arrays (n,).

    First their mean over networks, bits (B, n_bits) with weights (B,) that add up to 1; then their
    standard deviation; last the prediction of one network, single (1, n_bits).
    """
    ones = expit(network.logits(bits, x))
    mean = weights @ ones
    return [mean, np.sqrt(weights @ (ones - mean) ** 2), expit(network.logits(single, x))[0]]


def plot_axes(networks: NetworkScores, points: int = 29) -> tuple[Float, Float]:
    """Make the axes of a wide grid of square cells around all data.

    points: cells from bottom to top; for every 4 of them there are 7 from left to right.
    """
    everything = np.concatenate([networks.dataset.x_train, networks.dataset.x_test])
    low, high = everything.min(axis=0), everything.max(axis=0)
    (x, y), half = (low + high) / 2, (high - low).max() / 2 * 1.08
    across = (points - 1) * 7 // 4 + 1
    return np.linspace(x - 1.75 * half, x + 1.75 * half, across), np.linspace(y - half, y + half, points)
