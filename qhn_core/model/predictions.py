"""What mixtures of networks predict, and how good their predictions are."""

import numpy as np
from scipy.special import expit

from qhn_core.bits import Bits, Float, Index, index_to_bits
from qhn_core.model.network import BinaryNetwork
from qhn_core.model.scores import SampledScores, ScoreTable

NETWORKS_AT_ONCE = 2048


def mixture_scores(problem: ScoreTable, probabilities: Float) -> dict[str, Float]:
    """Scores (B,) of the predictive mixture sum_s q_s p(y | x, s), q (B, 2**n)."""
    out: dict[str, Float] = {}
    data = problem.dataset
    for name, x, y in (("train", data.x_train, data.y_train), ("test", data.x_test, data.y_test)):
        ones = predictive_mean(problem, probabilities, x)
        right = np.clip(np.where(y == 1, ones, 1 - ones), np.finfo(float).tiny, 1)
        out[f"{name}_bce"] = -np.log(right).mean(axis=1)
        out[f"{name}_accuracy"] = ((ones > 0.5) == y).mean(axis=1)
    return out


def predictive_mean(problem: ScoreTable, probabilities: Float, x: Float) -> Float:
    """P(y = 1 | x) (B, n) of mixtures with weights (B, 2**n) at points x (n, 2)."""
    count = len(problem.functions)
    weights = np.array([np.bincount(problem.function_of, q, count) for q in probabilities])
    out = np.zeros((len(probabilities), len(x)))
    for start in range(0, count, NETWORKS_AT_ONCE):
        some = slice(start, start + NETWORKS_AT_ONCE)
        bits = index_to_bits(problem.functions[some], problem.network.n_bits)
        out += weights[:, some] @ expit(problem.network.logits(bits, x))
    return out


def _mixture_of(problem: SampledScores, bits: Bits) -> dict[str, float]:
    """Scores of the predictive mean of networks, bits (B, n_bits)."""
    data = problem.dataset
    parts = (("train", data.x_train, data.y_train), ("test", data.x_test, data.y_test))
    return _prediction_scores(
        {part: (expit(problem.network.logits(bits, x)).mean(axis=0), y) for part, x, y in parts}
    )


def _prediction_scores(predictions: dict[str, tuple[Float, Index]]) -> dict[str, float]:
    """BCE (nats) and accuracy of P(y = 1) (n,) for labels (n,), by part of the data."""
    out = {}
    for part, (ones, y) in predictions.items():
        right = np.clip(np.where(y == 1, ones, 1 - ones), np.finfo(float).tiny, 1)
        out[f"{part}_bce"] = -float(np.log(right).mean())
        out[f"{part}_accuracy"] = float(((ones > 0.5) == y).mean())
    return out


def decision_surfaces(
    problem: ScoreTable, samples: Index, top: int, axes: tuple[Float, Float]
) -> list[Float]:
    """Predictions on a grid, each (len(axes[1]), len(axes[0])).

    Mean and standard deviation of P(y = 1 | x) over the networks `samples` (shots,), and P(y = 1 | x)
    of the network `top`.
    """
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    networks, counts = np.unique(samples, return_counts=True)
    bits, single = (index_to_bits(i, problem.network.n_bits) for i in (networks, np.array([top])))
    shape = (len(axes[1]), len(axes[0]))
    views = predictions(problem.network, bits, counts / counts.sum(), single, grid)
    return [surface.reshape(shape) for surface in views]


def predictions(network: BinaryNetwork, bits: Bits, weights: Float, single: Bits, x: Float) -> list[Float]:
    """Predictions at points x, each (n,).

    Mean and standard deviation of P(y = 1 | x) over networks, bits (B, n_bits) with weights (B,) of sum
    1, and P(y = 1 | x) of one network, single (1, n_bits).
    """
    ones = expit(network.logits(bits, x))
    mean = weights @ ones
    return [mean, np.sqrt(weights @ (ones - mean) ** 2), expit(network.logits(single, x))[0]]


def plot_axes(problem: ScoreTable | SampledScores, points: int = 29) -> tuple[Float, Float]:
    """Axes of a wide grid of square cells around all data: 7 points across for 4 of `points` upwards."""
    everything = np.concatenate([problem.dataset.x_train, problem.dataset.x_test])
    low, high = everything.min(axis=0), everything.max(axis=0)
    (x, y), half = (low + high) / 2, (high - low).max() / 2 * 1.08
    across = (points - 1) * 7 // 4 + 1
    return np.linspace(x - 1.75 * half, x + 1.75 * half, across), np.linspace(y - half, y + half, points)
