"""How good the networks are: against the data, the best of all networks, and the exact posterior."""

import numpy as np
import pandas as pd

from qhn_core.bits import Float, bits_to_words, words_to_bits
from qhn_core.circuits.base import Draws, seed_keys
from qhn_core.circuits.closed_form import ClosedForm, most_probable_bits
from qhn_core.circuits.simulators import get_simulator, row_blocks
from qhn_core.config import RunConfig
from qhn_core.model.predictions import _mixture_of, mixture_scores
from qhn_core.model.references import exhaustive_search, logistic_regression
from qhn_core.model.scores import SCORES, SampledScores, ScoreTable, network_scores_for

SUMMARY_SHOTS = 1000
"""Networks that stand for a distribution without a table."""


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
    problem = network_scores_for(config)
    last = last_epochs(history)
    at_best = (
        _sampled_scores_at(config, problem, best_angles)
        if isinstance(problem, SampledScores)
        else _scores_at(config, problem, best_angles)
    )
    return {"last epoch": {name: last[name].to_numpy() for name in SCORES}, **at_best}


def last_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """The last row of each seed: of a seed that diverged, the last one before that."""
    return history[history.epoch == history.groupby("seed").epoch.transform("max")]


def _scores_at(config: RunConfig, problem: ScoreTable, angles: Float) -> dict[str, dict[str, Float]]:
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
    config: RunConfig, problem: SampledScores, angles: Float
) -> dict[str, dict[str, Float]]:
    """The same for one or two layers and many qubits, from samples of an epoch that no training reaches."""
    keys = seed_keys(config.seed, np.arange(len(angles)))
    samples = ClosedForm(config, angles).samples(Draws(keys, config.epochs + 1, SUMMARY_SHOTS))
    top = bits_to_words(most_probable_bits(angles)[:, None])
    mixtures = [_mixture_of(problem, words_to_bits(words, config.n_qubits)) for words in samples]
    return {
        "average": problem.mean_scores(samples),
        "mixture": {name: np.array([mixture[name] for mixture in mixtures]) for name in SCORES},
        "most probable": problem.mean_scores(top),
        "logistic regression": logistic_regression(problem.dataset),
    }
