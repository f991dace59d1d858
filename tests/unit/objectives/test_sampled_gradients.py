"""Gradients and objectives from shots: unbiased, with the noise of independent circuits."""

from dataclasses import replace

import numpy as np
import pytest

from qhn_core import get_simulator, mmd_squared_unbiased, objective_gradient
from qhn_core.circuits.base import Draws, seed_keys
from qhn_core.circuits.batches import circuit_blocks
from qhn_core.kernels import hamming
from qhn_core.model.scores import score_table
from qhn_core.objectives.gradients import mean_kernel, sampled_gradient, shifted_values
from qhn_core.training.loop import advance, initial_state
from tests.unit import oracles
from tests.unit.objectives.test_gradients import LAYERS, OBJECTIVES, STRENGTH, H, configured, scores


def assert_unbiased(draws, expected, regularizer):
    """The mean of draws (S, ...) is `expected`, to within 4 standard errors fine enough to tell."""
    mean, error = draws.mean(axis=0), draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    assert error.max() < 0.1 * np.abs(expected).max()
    if np.abs(regularizer).max() > 1e-6:
        assert error.max() < 0.2 * np.abs(regularizer).max()
    # single precision of qsim: 1e-5
    np.testing.assert_array_less(np.abs(mean - expected), 4 * error + 1e-5 * np.abs(expected).max())


def draw_gradients(config, angles, repeats):
    """Sampled gradients (repeats, L, 2, n) at the same angles, each seed by draws of its own."""
    draws = Draws(seed_keys(0, np.arange(repeats)), 7, config.shots)
    parts = []
    for rows, circuits in circuit_blocks(config, np.tile(angles, (repeats, 1, 1, 1))):
        own, before = draws.take(rows), replace(draws.take(rows), epoch=6)
        parts.append(sampled_gradient(config, score_table(config), circuits, own, circuits.samples(before)))
    return np.concatenate(parts)


@OBJECTIVES
@pytest.mark.parametrize("gradient", ["chain-rule", "algorithm-1"])
@LAYERS
def test_sampled_gradients_are_unbiased(objective, gradient, n_layers):
    repeats, shots = {1: 1500, 2: 1000, 3: 2500}[n_layers], 6
    if objective == "elbo" and gradient == "algorithm-1":
        repeats = 500  # exact KL of every shifted circuit takes its time
    config = configured(objective, n_layers, gradient=gradient, shots=shots)
    angles = oracles.random_angles(n_layers, n_layers, 2, 6)
    draws = draw_gradients(config, angles, repeats)
    oracle = oracles.gradient if gradient == "chain-rule" else oracles.algorithm_1
    expected = oracle(objective, angles, scores(1, 150), STRENGTH[objective], H)
    assert_unbiased(draws, expected, expected - oracle("mle", angles, scores(1, 150), 0, H))


@pytest.mark.parametrize("n_layers", [1, 2])
def test_sampled_algorithm_1_is_eq_21_at_each_shifted_circuit(n_layers):
    config = configured("selbo", n_layers, gradient="algorithm-1", shots=5)
    rng = np.random.default_rng(1)
    samples, prior = rng.integers(64, size=(24, 1, 5)), rng.integers(64, size=(1, 5))
    actual = shifted_values(config, score_table(config), samples, prior, np.zeros((1, 5), dtype=int))
    bits = oracles.all_bits(6)
    mmd = [mmd_squared_unbiased(bits[x], bits[prior[0]], H) for x in samples[:, 0]]
    expected = scores(1, 150)[samples[:, 0]].mean(axis=1) - STRENGTH["selbo"] * np.array(mmd)
    offset = actual - expected  # eq. (21)'s prior-prior term, the same for all, cancels in differences
    np.testing.assert_allclose(offset, offset[0], rtol=1e-9)


def test_the_table_of_kernel_means_is_the_sum_over_pairs():
    """Many circuits look the mean kernel up, few count pairs: both are the double sum."""
    config = configured("selbo", 1, shots=9)
    rng = np.random.default_rng(2)
    samples, others = rng.integers(64, size=(400, 1, 9)), rng.integers(64, size=(1, 9))
    expected = [np.mean([oracles.kernel(x, y, H) for x in row for y in others[0]]) for row in samples[:, 0]]
    for some, mean in ((samples, expected), (samples[:2], expected[:2])):
        found = mean_kernel(config, some, hamming.distinct(some), others)
        np.testing.assert_allclose(found, mean, rtol=1e-12)


@OBJECTIVES
@pytest.mark.parametrize("gradient", ["chain-rule", "algorithm-1"])
def test_a_training_step_draws_unbiased_gradients_and_objectives(objective, gradient):
    """The same, with the draws that training makes: every seed at the same angles."""
    repeats, shots = 1500, 6
    config = configured(objective, 1, gradient=gradient, shots=shots, n_seeds=repeats, learning_rate=1e-300)
    angles = oracles.random_angles(3, 1, 2, 6)
    tiled = np.tile(angles, (repeats, 1, 1, 1))
    samples = get_simulator("qsim").sample_indices(tiled, np.random.default_rng(0).random((repeats, shots)))
    state, rows = advance(config, replace(initial_state(config), angles=tiled, samples=samples), 1)
    oracle = oracles.gradient if gradient == "chain-rule" else oracles.algorithm_1
    expected = oracle(objective, angles, scores(1, 150), STRENGTH[objective], H)
    assert_unbiased(state.gradient, expected, expected - oracle("mle", angles, scores(1, 150), 0, H))

    q = oracles.probabilities(angles)
    exact = oracles.objective(objective, q, scores(1, 150), STRENGTH[objective], H)
    assert_unbiased(rows["objective"], exact, 0)
    assert_unbiased(rows["mmd_squared"], oracles.mmd_squared(q, H), 0)
    np.testing.assert_allclose(rows["exact_objective"], exact, rtol=1e-9)
    np.testing.assert_allclose(rows["kl"], oracles.kl(q), rtol=1e-9)


@pytest.mark.parametrize("gradient", ["chain-rule", "algorithm-1"])
def test_angles_are_not_judged_by_the_samples_that_chose_them(gradient):
    """One set of prior samples for the step and the measurement would be off by 10 nats here, z = 33."""
    config = configured(
        "selbo", 1, gradient=gradient, shots=100, likelihood="mean", n_seeds=1000, epochs=10
    ).model_copy(update={"regularization": 1000.0, "learning_rate": 0.1, "bandwidth": None})
    _, rows = advance(config, initial_state(config), config.epochs)
    error = (rows["objective"] - rows["exact_objective"]).reshape(10, 1000).mean(axis=0)
    standard_error = error.std(ddof=1) / np.sqrt(1000)
    assert standard_error < 0.4
    assert abs(error.mean()) < 4 * standard_error


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_a_training_step_measures_every_shifted_circuit_afresh(n_layers):
    """Then the noise of each angle's gradient is (Var+ + Var-) / (4 shots), and no two share it.

    At three layers and more, too, where all shifted circuits are measured from one state.
    """
    repeats, shots = 2000, 6
    config = configured("mle", n_layers, shots=shots, n_seeds=repeats)
    angles = oracles.random_angles(3, n_layers, 2, 6)
    start = replace(initial_state(config), angles=np.tile(angles, (repeats, 1, 1, 1)))
    draws = advance(config, start, 1)[0].gradient.reshape(repeats, -1)
    x = scores(1, 150)
    plus, minus = oracles.shifted_probabilities(angles, np.pi / 2)
    variance = sum(q @ x**2 - (q @ x) ** 2 for q in (plus, minus)) / (4 * shots)
    np.testing.assert_allclose(draws.var(axis=0), variance, rtol=0.2)
    limit = 5.5 if n_layers > 1 else 5  # up to 1128 pairs of angles
    np.testing.assert_allclose(np.corrcoef(draws.T), np.eye(12 * n_layers), atol=limit / np.sqrt(repeats))


@pytest.mark.parametrize("kind", ["a half everywhere", "one certain bit", "mixed"])
@pytest.mark.parametrize("objective", ["mle", "selbo"])
@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_sampled_gradients_are_unbiased_where_bits_are_certain(objective, kind, n_layers):
    """Training that starts at RY = pi / 2, the uniform prior, shifts exactly to 0 and to pi."""
    angles = np.zeros((n_layers, 2, 6))
    if kind == "mixed":
        turns = [0, np.pi / 2, np.pi, 2 * np.pi, 1e-9, 1e6 + 0.3, 1.0]
        angles = np.random.default_rng(n_layers).choice(turns, angles.shape)
    else:
        angles[0, 0, int(kind == "one certain bit") :] = np.pi / 2
    draws = draw_gradients(configured(objective, n_layers, shots=20), angles, 600)
    exact = objective_gradient(configured(objective, n_layers, simulator="cirq"), angles[None])[0]
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    np.testing.assert_array_less(
        abs(draws.mean(axis=0) - exact), 4.5 * error + 1e-6 * (1 + abs(exact).max())
    )


@pytest.mark.parametrize("n_layers", [1, 2])
def test_the_sampled_elbo_gradient_is_finite_where_some_networks_are_impossible(n_layers):
    angles = np.pi * np.random.default_rng(1).integers(3, size=(n_layers, 2, 6)).astype(float)
    elbo = draw_gradients(configured("elbo", n_layers, shots=5), angles, 1)
    mle = draw_gradients(configured("mle", n_layers, shots=5), angles, 1)
    np.testing.assert_allclose(elbo, mle, atol=1e-9)
