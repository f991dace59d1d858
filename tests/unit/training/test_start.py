from dataclasses import replace

import numpy as np
import pytest

from qhn_core import objective_value, train
from qhn_core.model.scores import score_table
from qhn_core.objectives import estimates
from qhn_core.training.loop import advance, initial_state
from tests.unit import oracles
from tests.unit.training_runs import RUNS, small


def test_angles_start_uniform_on_a_full_turn_from_spawned_seeds():
    config = small(n_seeds=200, n_layers=2, seed=5)
    angles = initial_state(config).angles
    streams = np.random.SeedSequence(5).spawn(200)
    for i in (0, 7, 199):  # seed i, epoch 0
        rng = np.random.default_rng(streams[i].spawn(1)[0])
        np.testing.assert_array_equal(angles[i], rng.uniform(0, 2 * np.pi, (2, 2, 6)))
    assert angles.min() >= 0
    assert angles.max() < 2 * np.pi
    assert angles.mean() == pytest.approx(np.pi, abs=5 * np.pi / np.sqrt(3 * angles.size))


def test_all_objectives_start_from_the_same_angles():
    """Section IV: "initialized identically across all three methods to ensure a fair comparison"."""
    runs = ("MLE, mean", "exact SELBO", "Algorithm 1, SELBO")
    starts = [initial_state(small(**RUNS[run])).angles for run in runs]
    np.testing.assert_array_equal(starts[0], starts[1])
    np.testing.assert_array_equal(starts[0], starts[2])


def test_every_seed_and_epoch_draws_afresh():
    config = small(shots=50, n_seeds=5, epochs=6, learning_rate=1e-300)
    start = initial_state(config)
    state = replace(start, angles=np.tile(start.angles[:1], (5, 1, 1, 1)))
    objectives = advance(config, state, 6)[1]["objective"]
    assert len(np.unique(objectives)) == 30


def test_another_seed_is_another_run():
    one, two = (initial_state(small(seed=s)).angles for s in (0, 1))
    assert not np.isin(one, two).any()


def test_the_first_objective_is_measured_with_eq_21_and_the_whole_prior(monkeypatch):
    """The prior's terms of eq. (21) are sums over all 64 networks, each once."""
    config = small(regularization=2.0, shots=7, n_seeds=1)
    drawn = {}
    original = estimates.sampled_terms

    def spy(config, networks, samples, kl):
        drawn.update(samples=samples)
        return original(config, networks, samples, kl)

    monkeypatch.setattr(estimates, "sampled_terms", spy)
    state = initial_state(config)
    gram, found = oracles.gram(6, 1.5), drawn["samples"][0, 0]
    pairs = [gram[x, y] for i, x in enumerate(found) for y in found[:i]]
    mmd = np.mean(pairs) + gram.mean() - 2 * gram[found].mean()
    likelihood = score_table(config).train_log_likelihood[state.samples[0]].mean()
    assert state.best_objective[0] == pytest.approx(likelihood - 2 * mmd, rel=1e-12)


def test_a_run_from_given_angles_starts_there_with_every_seed():
    first = train(small(n_seeds=2, epochs=4))
    theta = tuple(first.state.angles[1].ravel().tolist())
    again = small(n_seeds=2, epochs=4, initial_angles=theta)
    state = initial_state(again)
    np.testing.assert_array_equal(state.angles, np.stack([first.state.angles[1]] * 2))
    assert not np.array_equal(*state.samples), "the shots of each seed are its own"
    np.testing.assert_allclose(
        objective_value(again, state.angles)[0],
        first.history.query("seed == 1 and epoch == 4")["exact_objective"].item(),
        rtol=1e-12,
    )


def test_a_replaced_angle_is_where_training_goes_on_from():
    config = small(shots=None, objective="mle")
    state = initial_state(config)
    moved = replace(state, angles=state.angles + 2 * np.pi)  # the same circuit
    one, two = (advance(config, s, 1)[1]["objective"] for s in (state, moved))
    np.testing.assert_allclose(one, two, rtol=1e-9)
