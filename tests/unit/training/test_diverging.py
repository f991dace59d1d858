import os
from dataclasses import replace

import numpy as np
import pytest

from qhn_core import RunConfig, train
from qhn_core.training import loop
from qhn_core.training.history import join_rows
from qhn_core.training.loop import advance, initial_state
from tests.diverging import HALF_DIVERGES, lower_the_bound
from tests.unit.training_runs import assert_same_rows, assert_same_state, small

DIVERGING = {
    "learning rate": {"learning_rate": 1e308},
    "learning rate, exact": {"learning_rate": 1e308, "shots": None},
    "learning rate, two layers": {"learning_rate": 1e308, "n_layers": 2, "shots": 5},
    "learning rate, two layers, exact": {"learning_rate": 1e308, "n_layers": 2, "shots": None},
    "MMD": {"regularization": 1e300},
    "MMD, exact": {"regularization": 1e300, "shots": None},
    "MMD that overflows": {"regularization": 1e308, "gradient": "algorithm-1"},
    "MMD that overflows, chain rule": {"regularization": 1e308},
    "MMD that overflows, exact": {"regularization": 1e308, "shots": None},
    "MMD that overflows, three layers": {"regularization": 1e308, "n_layers": 3, "shots": 5},
    "MMD that overflows, three layers, exact": {"regularization": 1e308, "n_layers": 3, "shots": None},
    "Algorithm 1 that overflows": {
        "regularization": 1e308,
        "n_layers": 2,
        "gradient": "algorithm-1",
        "shots": None,
    },
    "KL that overflows, Algorithm 1": {
        "regularization": 1e308,
        "n_layers": 2,
        "gradient": "algorithm-1",
        "objective": "elbo",
        "shots": 5,
    },
    "KL": {"regularization": 1e300, "objective": "elbo"},
    "KL that overflows": {"regularization": 1e308, "objective": "elbo"},
    "Adam's rate": {"optimizer": "adam", "learning_rate": 1e308},
    "Adam, gradients whose squares overflow": {"optimizer": "adam", "regularization": 1e300},
    "SPSA": {"optimizer": "spsa", "regularization": 1e308},
    "SPSA, exact": {"optimizer": "spsa", "regularization": 1e308, "shots": None},
    "natural gradient": {"optimizer": "natural-gradient", "regularization": 1e308},
    "natural gradient, two layers": {
        "optimizer": "natural-gradient",
        "regularization": 1e308,
        "n_layers": 2,
    },
    "Rotosolve": {"optimizer": "rotosolve", "regularization": 1e308, "objective": "elbo", "n_hidden": 3},
    "both": {"regularization": 1e300, "learning_rate": 1e10},
}


@pytest.mark.parametrize("case", DIVERGING)
def test_a_run_that_diverges_stops_with_a_reason(case):
    config = small(**DIVERGING[case])
    result = train(config)
    assert (result.state.diverged_at > 0).all()
    reason = result.state.divergence()
    assert reason.startswith("4 of 4 seeds diverged")
    assert "learning rate" in reason
    assert len(result.history) < 4 * config.epochs
    assert np.isfinite(result.history.to_numpy()).all()
    assert np.isfinite(result.best_angles).all()
    assert "average" in result.summary().index


LOPSIDED = {"objective": "mle", "shots": None, "n_seeds": 2, "epochs": 3, "learning_rate": 1e-3}


def lopsided_start(config, seeds=None):
    """Where seed 0 has a rate with which its first step overflows."""
    state = initial_state(config, seeds)
    return replace(state, learning_rate=np.where(state.seeds == 0, 1e308, state.learning_rate))


def test_other_seeds_go_on_where_one_diverges():
    config = small(**LOPSIDED)
    start = lopsided_start(config)
    state, rows = advance(config, start, 3)
    assert state.diverged_at.tolist() == [1, 0]
    assert "1 of 2 seeds diverged, first seed 0 at epoch 1" in state.divergence()
    alone, alone_rows = advance(config, initial_state(config, np.array([1])), 3)
    assert_same_rows(rows, alone_rows)
    assert_same_state(state.take([1]), alone)
    np.testing.assert_array_equal(state.best_angles[0], start.angles[0])


@pytest.mark.parametrize("cores", [1, 2])
def test_train_ends_where_only_one_shard_diverges(cores, monkeypatch):
    config, epochs = small(**LOPSIDED), []

    def watch(state, rows):
        epochs.append(state.epoch)
        assert len(epochs) <= 3, "train goes on for ever"

    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(loop, "initial_state", lopsided_start)
    result = train(config, watch)
    assert epochs == [1, 2, 3]
    assert result.state.diverged_at.tolist() == [1, 0]
    assert result.history.seed.tolist() == [1, 1, 1]


def test_chunks_change_nothing_where_a_seed_diverges():
    config = small(**LOPSIDED)
    state, parts = lopsided_start(config), []
    for _ in range(3):
        state, rows = advance(config, state, 1)
        parts.append(rows)
    expected_state, expected_rows = advance(config, lopsided_start(config), 3)
    assert_same_state(state, expected_state)
    assert_same_rows(join_rows(parts), expected_rows)


def test_a_run_that_is_fine_has_no_divergence():
    assert initial_state(small()).divergence() == ""


def test_training_ends_where_all_seeds_of_its_first_thread_diverge(monkeypatch):
    lower_the_bound(monkeypatch)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    epochs = []

    def progress(state, rows):
        epochs.append(state.epoch)
        assert len(epochs) <= 12, f"epochs: {epochs}"

    result = train(RunConfig(**HALF_DIVERGES), progress)
    assert result.state.epoch == 12
    assert (result.state.diverged_at > 0).tolist() == [True, True, False, False]
