"""Exact gradients against finite differences on Cirq; sampled ones against the exact ones."""

from functools import lru_cache

import numpy as np
import pytest

from qhn_core import (
    RunConfig,
    get_simulator,
    mmd_squared_to_uniform,
    objective_gradient,
)
from qhn_core.circuits.divergences import kl_to_uniform
from qhn_core.model.scores import score_table
from qhn_core.objectives.gradients import (
    shifted_angles,
    shifted_regularizer_difference,
)
from tests.unit import oracles

OBJECTIVES = pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])
REGULARIZED = pytest.mark.parametrize("objective", ["elbo", "selbo"])
LAYERS = pytest.mark.parametrize("n_layers", [1, 2, 3])
STRENGTH = {"mle": 1.0, "elbo": 100.0, "selbo": 1000.0}  # regularisers about as steep as the likelihood
H = 1.3


def configured(objective, n_layers, **options):
    return RunConfig(
        **{
            "objective": objective,
            "n_layers": n_layers,
            "n_hidden": 1,
            "regularization": STRENGTH[objective],
            "bandwidth": H,
            "shots": None,
            **options,
        }
    )


@lru_cache
def scores(n_hidden, n_train):
    data = score_table(RunConfig(n_hidden=n_hidden, n_train_per_class=n_train)).dataset
    return oracles.all_log_likelihoods(data.x_train, data.y_train, n_hidden)


def regularizer_gradient(config, angles):
    """Of minus the regulariser: the whole gradient without that of the likelihood."""
    mle = config.model_copy(update={"objective": "mle"})
    return objective_gradient(config, angles) - objective_gradient(mle, angles)


def cosine(a, b):
    return a.ravel() @ b.ravel() / np.linalg.norm(a) / np.linalg.norm(b)


@OBJECTIVES
@LAYERS
def test_the_chain_rule_is_the_slope_of_the_objective_on_cirq(objective, n_layers):
    angles = oracles.random_angles(n_layers, n_layers, 2, 6)
    expected = oracles.gradient(objective, angles, scores(1, 150), STRENGTH[objective], H)
    actual = objective_gradient(configured(objective, n_layers), angles[None])[0]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@OBJECTIVES
@pytest.mark.parametrize("n_layers", [1, 2])
def test_the_chain_rule_at_14_qubits(objective, n_layers):
    angles = oracles.random_angles(n_layers, n_layers, 2, 14)
    config = configured(objective, n_layers, n_hidden=3, n_train_per_class=3)
    actual = objective_gradient(config, angles[None])[0]
    for layer, kind, qubit in [(0, 0, 0), (0, 0, 13), (n_layers - 1, 0, 6), (n_layers - 1, 1, 9)]:
        shift = np.zeros_like(angles)
        shift[layer, kind, qubit] = 1e-4
        plus, minus = (
            oracles.objective(
                objective, oracles.probabilities(angles + s), scores(3, 3), STRENGTH[objective], H
            )
            for s in (shift, -shift)
        )
        slope = (plus - minus) / 2e-4
        assert actual[layer, kind, qubit] == pytest.approx(slope, rel=1e-4, abs=1e-5 * np.abs(actual).max())


@OBJECTIVES
def test_the_mean_likelihood_divides_the_likelihood_part_only(objective):
    angles = oracles.random_angles(0, 2, 2, 6)
    expected = oracles.gradient(objective, angles, scores(1, 150) / 300, STRENGTH[objective], H)
    actual = objective_gradient(configured(objective, 2, likelihood="mean"), angles[None])[0]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@OBJECTIVES
@LAYERS
def test_algorithm_1_is_the_shift_of_the_whole_objective(objective, n_layers):
    angles = oracles.random_angles(n_layers, n_layers, 2, 6)
    expected = oracles.algorithm_1(objective, angles, scores(1, 150), STRENGTH[objective], H)
    config = configured(objective, n_layers, gradient="algorithm-1", simulator="cirq")
    actual = objective_gradient(config, angles[None])[0]
    np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())


def test_a_batch_of_angles_gives_each_its_own_gradient():
    angles = oracles.random_angles(0, 3, 2, 2, 6)
    for gradient in ("chain-rule", "algorithm-1"):
        config = configured("selbo", 2, gradient=gradient)
        batch = objective_gradient(config, angles)
        assert batch.shape == angles.shape
        for one, row in zip(angles, batch, strict=True):
            np.testing.assert_array_equal(objective_gradient(config, one[None])[0], row)


@LAYERS
def test_fact_4_the_shift_rule_is_exact_for_the_likelihood(n_layers):
    angles = oracles.random_angles(n_layers, 2, n_layers, 2, 6)
    config = configured("mle", n_layers, simulator="cirq")
    printed = objective_gradient(config.model_copy(update={"gradient": "algorithm-1"}), angles)
    np.testing.assert_allclose(printed, objective_gradient(config, angles), atol=1e-9)


@REGULARIZED
@LAYERS
def test_fact_4_algorithm_1_does_not_see_the_regularizer_in_the_last_layers_ry(objective, n_layers):
    angles = oracles.random_angles(n_layers, 1, n_layers, 2, 6)
    config = configured(objective, n_layers, gradient="algorithm-1", simulator="cirq")
    printed = regularizer_gradient(config, angles)[:, -1, 0]
    true = regularizer_gradient(configured(objective, n_layers), angles)[:, -1, 0]
    np.testing.assert_allclose(printed, 0, atol=1e-9)
    assert np.abs(true).max() > 1


def test_fact_4_at_one_layer_both_shifts_of_any_angle_have_the_same_regularizer():
    """By Cirq's simulator and sums over all 2**14 outcomes."""
    shifted = shifted_angles(oracles.random_angles(0, 2, 1, 2, 14)).reshape(-1, 1, 2, 14)
    q = get_simulator("cirq").probabilities(shifted)
    for values in (kl_to_uniform(q), mmd_squared_to_uniform(q, 3.5), mmd_squared_to_uniform(q, 1.0)):
        plus, minus = values.reshape(-1, 2).T
        np.testing.assert_allclose(plus, minus, rtol=1e-11)
        assert np.ptp(plus) > 1e-3, "shifts do change it, both by the same"


@REGULARIZED
@pytest.mark.parametrize("n_layers", [2, 3])
def test_fact_4_before_the_last_layer_algorithm_1_points_elsewhere(objective, n_layers):
    angles = oracles.random_angles(0, 6, n_layers, 2, 14)
    config = configured(objective, n_layers, n_hidden=3, bandwidth=None)
    true = regularizer_gradient(config, angles)[:, :-1]
    printed = regularizer_gradient(config.model_copy(update={"gradient": "algorithm-1"}), angles)[:, :-1]
    lengths = [np.linalg.norm(p) / np.linalg.norm(t) for p, t in zip(printed, true, strict=True)]
    cosines = [cosine(p, t) for p, t in zip(printed, true, strict=True)]
    assert min(lengths) > 0.05  # not zero
    assert max(cosines) < 0.7
    assert np.mean(cosines) < 0.5


@LAYERS
@OBJECTIVES
@pytest.mark.parametrize("gradient", ["chain-rule", "algorithm-1"])
def test_fact_4_the_first_layers_rz_are_dead(objective, n_layers, gradient):
    angles = oracles.random_angles(n_layers, 1, n_layers, 2, 6)
    config = configured(objective, n_layers, gradient=gradient, simulator="cirq")
    np.testing.assert_allclose(objective_gradient(config, angles)[:, 0, 1], 0, atol=1e-9)
    turned = angles.copy()
    turned[:, 0, 1] += 1
    np.testing.assert_allclose(
        oracles.probabilities(turned[0]), oracles.probabilities(angles[0]), atol=1e-12
    )


@OBJECTIVES
@pytest.mark.parametrize("n_layers", [1, 2])
def test_gradients_are_finite_where_some_networks_are_impossible(objective, n_layers):
    """At multiples of pi every qubit is certain, and every objective is stationary."""
    angles = np.pi * np.random.default_rng(0).integers(3, size=(4, n_layers, 2, 6))
    exact = objective_gradient(configured(objective, n_layers), angles)
    np.testing.assert_allclose(exact, 0, atol=1e-9)


@pytest.mark.parametrize("objective", ["elbo", "selbo"])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_algorithm_1s_exact_regulariser_is_the_oracles(n_layers, objective):
    config, angles = configured(objective, n_layers), oracles.random_angles(0, 3, n_layers, 2, 6)
    actual = shifted_regularizer_difference(config, angles)

    def value(q):
        return oracles.kl(q) if objective == "elbo" else oracles.mmd_squared(q, config.h)

    for theta, found in zip(angles, actual, strict=True):
        plus, minus = oracles.shifted_probabilities(theta, np.pi / 2)
        expected = [(value(p) - value(m)) / 2 for p, m in zip(plus, minus, strict=True)]
        np.testing.assert_allclose(found.ravel(), expected, atol=1e-9)


def test_shifted_angles_are_eq_13():
    angles = oracles.random_angles(0, 2, 2, 2, 3)
    shifted = shifted_angles(angles)
    assert shifted.shape == (2, 12, 2, 2, 2, 3)
    for p, position in enumerate(np.ndindex(2, 2, 3)):
        for side, sign in enumerate((1, -1)):
            expected = angles.copy()
            expected[(slice(None), *position)] += sign * np.pi / 2
            np.testing.assert_array_equal(shifted[:, p, side], expected)


@pytest.mark.parametrize("shape", [(1, 2, 6), (1, 2, 2, 6), (1, 1, 2, 14)])
def test_angles_of_another_config_are_refused(shape):
    with pytest.raises(ValueError, match="this config needs"):
        objective_gradient(configured("mle", 1), np.zeros(shape))


def test_angles_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="finite"):
        objective_gradient(configured("mle", 1), np.full((1, 1, 2, 6), np.nan))
