"""How good the networks are: against the data, the best of all networks, and the exact posterior."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import expit, logsumexp

from qhn_core.bits import Bits, Float, Index, bits_to_words, index_to_bits, words_to_bits
from qhn_core.circuits import Draws, Shallow, seed_keys
from qhn_core.config import RunConfig
from qhn_core.datasets import Dataset
from qhn_core.network import BinaryNetwork
from qhn_core.problem import SCORES, LargeProblem, Problem, training_problem
from qhn_core.product import most_probable_bits
from qhn_core.simulators import get_simulator, row_blocks

NETWORKS_AT_ONCE = 2048
SUMMARY_SHOTS = 1000
"""Networks that stand for a distribution without a table."""


@dataclass(frozen=True)
class Scores:
    """BCE in nats and accuracy in [0, 1] on both sets."""

    train_bce: float
    train_accuracy: float
    test_bce: float
    test_accuracy: float


def network_scores(problem: Problem, index: int) -> Scores:
    """The scores of one network, by its basis state."""
    return Scores(
        float(problem.train_bce[index]),
        float(problem.train_accuracy[index]),
        float(problem.test_bce[index]),
        float(problem.test_accuracy[index]),
    )


def exhaustive_search(problem: Problem) -> tuple[int, Scores]:
    """The network with the lowest training BCE of all 2**n ("MLE E.S."): its basis state and scores.

    Several bitstrings can be the same function (hidden neurons swap); the first is named.

    >>> from qhn_core.problem import build_problem
    >>> exhaustive_search(build_problem(RunConfig()))[1].test_accuracy > 0.95
    True
    """
    best = int(np.argmin(problem.train_bce))
    return best, network_scores(problem, best)


def log_evidence(problem: Problem) -> float:
    """log p(Y | X) in nats: the log of the mean over all networks of exp(log-likelihood)."""
    scores = problem.train_log_likelihood
    return float(logsumexp(scores) - np.log(scores.size))


def exact_posterior(problem: Problem) -> Float:
    """p(network | training data) of all 2**n networks under the uniform prior."""
    return np.exp(problem.train_log_likelihood - log_evidence(problem)) / problem.train_log_likelihood.size


def mixture_scores(problem: Problem, probabilities: Float) -> dict[str, Float]:
    """Scores (B,) of the predictive mixture sum_s q_s p(y | x, s), q (B, 2**n)."""
    out: dict[str, Float] = {}
    data = problem.dataset
    for name, x, y in (("train", data.x_train, data.y_train), ("test", data.x_test, data.y_test)):
        ones = predictive_mean(problem, probabilities, x)
        right = np.clip(np.where(y == 1, ones, 1 - ones), np.finfo(float).tiny, 1)
        out[f"{name}_bce"] = -np.log(right).mean(axis=1)
        out[f"{name}_accuracy"] = ((ones > 0.5) == y).mean(axis=1)
    return out


def predictive_mean(problem: Problem, probabilities: Float, x: Float) -> Float:
    """P(y = 1 | x) (B, n) of mixtures with weights (B, 2**n) at points x (n, 2)."""
    count = len(problem.functions)
    weights = np.array([np.bincount(problem.function_of, q, count) for q in probabilities])
    out = np.zeros((len(probabilities), len(x)))
    for start in range(0, count, NETWORKS_AT_ONCE):
        some = slice(start, start + NETWORKS_AT_ONCE)
        bits = index_to_bits(problem.functions[some], problem.network.n_bits)
        out += weights[:, some] @ expit(problem.network.logits(bits, x))
    return out


def summarize(config: RunConfig, history: pd.DataFrame, best_angles: Float) -> pd.DataFrame:
    """Mean and standard deviation over seeds of BCE and accuracy, one row per way to predict.

    "last epoch": average over the networks sampled in the last epoch (as the paper's tables).
    The next three are at theta*, from exact probabilities: "average" over networks, predictive
    "mixture", and "most probable" network. "exhaustive search": the best of all networks on the
    training set. Columns: {train,test}_{bce,accuracy}_{mean,std}.

    Of networks with too many bits for a table, "average" and "mixture" are over SUMMARY_SHOTS samples,
    and the yardstick is logistic regression on the same points.
    """
    table = {
        row: {f"{name}_{f}": getattr(np, f)(values[name]) for name in SCORES for f in ("mean", "std")}
        for row, values in seed_scores(config, history, best_angles).items()
        if len(values["test_bce"])
    }
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("network")


def seed_scores(
    config: RunConfig, history: pd.DataFrame, best_angles: Float
) -> dict[str, dict[str, Float]]:
    """The rows of `summarize` before they are averaged: scores (S,) of the seeds, (1,) of a yardstick."""
    problem = training_problem(config)
    last = last_epochs(history)
    at_best = (
        _sampled_scores_at(config, problem, best_angles)
        if isinstance(problem, LargeProblem)
        else _scores_at(config, problem, best_angles)
    )
    return {"last epoch": {name: last[name].to_numpy() for name in SCORES}, **at_best}


def last_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """The last row of each seed: of a seed that diverged, the last one before that."""
    return history[history.epoch == history.groupby("seed").epoch.transform("max")]


def _scores_at(config: RunConfig, problem: Problem, angles: Float) -> dict[str, dict[str, Float]]:
    """Scores (S,) of the average, the mixture and the most probable network at angles (S, L, 2, n)."""
    simulator = get_simulator(config.simulator, config.n_qubits)
    tables = {name: getattr(problem, name) for name in SCORES}
    parts = []
    for block in row_blocks(len(angles), config.n_qubits):
        q = simulator.probabilities(angles[block])
        top = q.argmax(axis=1)
        parts.append(
            {
                "average": {name: q @ table for name, table in tables.items()},
                "mixture": mixture_scores(problem, q),
                "most probable": {name: table[top] for name, table in tables.items()},
            }
        )
    best = vars(exhaustive_search(problem)[1])
    return {
        way: {name: np.concatenate([part[way][name] for part in parts]) for name in SCORES}
        for way in ("average", "mixture", "most probable")
    } | {"exhaustive search": {name: np.array([value]) for name, value in best.items()}}


def _sampled_scores_at(
    config: RunConfig, problem: LargeProblem, angles: Float
) -> dict[str, dict[str, Float]]:
    """The same for one or two layers and many qubits, from samples of an epoch that no training reaches."""
    keys = seed_keys(config.seed, np.arange(len(angles)))
    samples = Shallow(config, angles).samples(Draws(keys, config.epochs + 1, SUMMARY_SHOTS))
    top = bits_to_words(most_probable_bits(angles)[:, None])
    mixtures = [_mixture_of(problem, words_to_bits(words, config.n_qubits)) for words in samples]
    return {
        "average": problem.mean_scores(samples),
        "mixture": {name: np.array([mixture[name] for mixture in mixtures]) for name in SCORES},
        "most probable": problem.mean_scores(top),
        "logistic regression": logistic_regression(problem.dataset),
    }


def _mixture_of(problem: LargeProblem, bits: Bits) -> dict[str, float]:
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


@lru_cache(maxsize=8)
def logistic_regression(data: Dataset) -> dict[str, Float]:
    """Scores, each (1,), of scikit-learn's logistic regression: what a linear model does."""
    from sklearn.linear_model import LogisticRegression  # 1 s to import

    model = LogisticRegression(max_iter=10_000).fit(data.x_train, data.y_train)
    parts = (("train", data.x_train, data.y_train), ("test", data.x_test, data.y_test))
    scores = _prediction_scores({part: (model.predict_proba(x)[:, 1], y) for part, x, y in parts})
    return {name: np.array([value]) for name, value in scores.items()}


def decision_surfaces(problem: Problem, samples: Index, top: int, axes: tuple[Float, Float]) -> list[Float]:
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


def plot_axes(problem: Problem | LargeProblem, points: int = 29) -> tuple[Float, Float]:
    """Axes of a wide grid of square cells around all data: 7 points across for 4 of `points` upwards."""
    everything = np.concatenate([problem.dataset.x_train, problem.dataset.x_test])
    low, high = everything.min(axis=0), everything.max(axis=0)
    (x, y), half = (low + high) / 2, (high - low).max() / 2 * 1.08
    across = (points - 1) * 7 // 4 + 1
    return np.linspace(x - 1.75 * half, x + 1.75 * half, across), np.linspace(y - half, y + half, points)
