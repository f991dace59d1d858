"""How good the trained networks are, beside the best of all networks or a linear model."""

import numpy as np
import pandas as pd

from qhn_core.bits import Float, bits_to_words, words_to_bits
from qhn_core.circuits.base import Draws, seed_keys
from qhn_core.circuits.batches import closed_form
from qhn_core.circuits.simulators import get_simulator, row_blocks
from qhn_core.config import RunConfig
from qhn_core.model.predictions import mixture_scores, sampled_mixture_scores
from qhn_core.model.references import exhaustive_search, logistic_regression
from qhn_core.model.scores import SCORES, NetworkScores, ScoreTable, network_scores_for

SUMMARY_SHOTS = 1000
"""Networks sampled to summarise a distribution without a table."""


def summarize(config: RunConfig, history: pd.DataFrame, best_angles: Float) -> pd.DataFrame:
    """Average BCE and accuracy over seeds, with the standard deviation, one row for each way to predict.

    "last epoch": average over the networks sampled in the last epoch (as the paper's tables).
    The next three are at theta*, from exact probabilities: "average" over networks, predictive
    "mixture", and "most probable" network. "exhaustive search": the best of all networks on the
    training set. Columns: {train,test}_{bce,accuracy}_{mean,std}.

    Where networks have too many bits for a table, "average" and "mixture" are over SUMMARY_SHOTS
    samples, and the last row is logistic regression on the same points.
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
    """Compute the rows of `summarize` before averaging: scores (S,) of the seeds, (1,) of the last row."""
    networks, last = network_scores_for(config), last_epochs(history)
    at_best = (
        _sampled_scores_at(config, networks, best_angles)
        if networks.table is None
        else _scores_at(config, networks.table, best_angles)
    )
    return {"last epoch": {name: last[name].to_numpy() for name in SCORES}, **at_best}


def last_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """Select the last row of each seed; for a seed that diverged, the last one before that."""
    return history[history.epoch == history.groupby("seed").epoch.transform("max")]


def _scores_at(config: RunConfig, table: ScoreTable, angles: Float) -> dict[str, dict[str, Float]]:
    """Scores (S,) of the average, the mixture and the most probable network at angles (S, L, 2, n)."""
    simulator = get_simulator(config.simulator, config.n_qubits, config.entangler)
    scores = {name: getattr(table, name) for name in SCORES}
    parts = []
    for block in row_blocks(len(angles), config.n_qubits):
        q = simulator.probabilities(angles[block])
        top = q.argmax(axis=1)
        parts.append(
            {
                "average": {name: q @ values for name, values in scores.items()},
                "mixture": mixture_scores(table, q),
                "most probable": {name: values[top] for name, values in scores.items()},
            }
        )
    best = vars(exhaustive_search(table)[1])
    return {
        way: {name: np.concatenate([part[way][name] for part in parts]) for name in SCORES}
        for way in ("average", "mixture", "most probable")
    } | {"exhaustive search": {name: np.array([value]) for name, value in best.items()}}


def _sampled_scores_at(
    config: RunConfig, networks: NetworkScores, angles: Float
) -> dict[str, dict[str, Float]]:
    """The same without tables, from samples of an epoch that no training reaches."""
    keys = seed_keys(config.seed, np.arange(len(angles)))
    circuits = closed_form(config, angles)
    samples = circuits.samples(Draws(keys, config.epochs + 1, SUMMARY_SHOTS))
    top = bits_to_words(circuits.most_probable_bits()[:, None])
    return {
        "average": networks.mean_scores(samples),
        "mixture": sampled_mixture_scores(networks, words_to_bits(samples, config.n_qubits)),
        "most probable": networks.mean_scores(top),
        "logistic regression": logistic_regression(networks.dataset),
    }
