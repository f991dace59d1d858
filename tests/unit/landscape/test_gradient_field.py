import numpy as np
import pytest

from qhn_core import LandscapeConfig, RunConfig, objective_gradient, scan_landscape
from qhn_core.landscape.gradient_field import RULES, coarse_points, gradient_field, live_steps
from qhn_core.model.scores import score_table
from qhn_core.objectives.terms import Objective
from tests.unit import oracles

OBJECTIVES = pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])


def scanned(n_layers=1, kind="random", **options):
    config = RunConfig(n_hidden=1, n_layers=n_layers, regularization=20, bandwidth=1.2, **options)
    angles = oracles.random_angles(0, *config.angle_shape)
    return scan_landscape(config, LandscapeConfig(resolution=11, radius=2.0, plane=kind), angles)


def scores_of(config):
    data = score_table(config).dataset
    scale = len(data.y_train) if config.likelihood == "mean" else 1
    return oracles.all_log_likelihoods(data.x_train, data.y_train, 1) / scale


def at(field, scan, i, j):
    first, second = scan.plane.directions
    return scan.plane.center + field.axis[j] * first + field.axis[i] * second


@OBJECTIVES
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("likelihood", ["sum", "mean"])
def test_the_chain_rule_is_the_slope_of_the_objective_on_cirq(objective, n_layers, likelihood):
    scan = scanned(n_layers, likelihood=likelihood)
    field, scores, step = gradient_field(scan, 4), scores_of(scan.config), 1e-4
    for strength, h in ((20, 1.2), (3, 2.7)):  # one field serves every λ and h
        for i, j in ((0, 3), (2, 1)):
            angles = at(field, scan, i, j)
            expected = []
            for direction in scan.plane.directions:
                plus, minus = (
                    oracles.objective(
                        objective, oracles.probabilities(angles + s * direction), scores, strength, h
                    )
                    for s in (step, -step)
                )
                expected.append((plus - minus) / (2 * step))
            found = field.values("chain-rule", Objective(objective, strength, h))[i, j]
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(scores).max() / 50)


@OBJECTIVES
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_algorithm_1_is_the_shifted_objective_on_cirq(objective, n_layers):
    scan = scanned(n_layers)
    field, scores = gradient_field(scan, 4), scores_of(scan.config)
    for strength, h in ((20, 1.2), (3, 2.7)):
        printed = oracles.algorithm_1(objective, at(field, scan, 1, 3), scores, strength, h)
        expected = [(printed * d).sum() for d in scan.plane.directions]
        found = field.values("algorithm-1", Objective(objective, strength, h))[1, 3]
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


@OBJECTIVES
@pytest.mark.parametrize("rule", RULES)
def test_14_qubits_agree_with_the_whole_gradient(objective, rule):
    config = RunConfig(objective=objective, gradient=rule, shots=None, regularization=50, n_layers=2)
    angles = oracles.random_angles(0, *config.angle_shape)
    scan = scan_landscape(config, LandscapeConfig(resolution=11), angles)
    field = gradient_field(scan, 2)
    whole = objective_gradient(config, at(field, scan, 0, 1)[None])[0]
    expected = [(whole * d).sum() for d in scan.plane.directions]
    found = field.values(rule, Objective.of(config))[0, 1]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_fact_4_with_one_layer_algorithm_1_does_not_see_the_regularizer():
    field = gradient_field(scanned(1), 5)
    np.testing.assert_allclose(field.entropy["algorithm-1"], 0, atol=1e-13)
    np.testing.assert_allclose(field.correlators["algorithm-1"], 0, atol=1e-12)
    assert np.abs(field.entropy["chain-rule"]).max() > 0.1
    assert np.abs(field.correlators["chain-rule"]).max() > 0.1
    mle, *others = (field.values("algorithm-1", o) for o in Objective("mle", 1000.0, 1.2).of_each_kind())
    for found in others:
        np.testing.assert_allclose(found, mle, atol=1e-9)
    assert np.abs(gradient_field(scanned(2), 3).entropy["algorithm-1"]).max() > 0.01


def test_the_closed_form_of_one_layer_along_one_gate():
    """Entropy of independent bits: dH/dtheta = -log(p / (1 - p)) sin(theta) / 2, p = sin²(theta/2)."""
    scan = scanned(1, "gates")
    field = gradient_field(scan, 5)
    theta = (scan.plane.center[0, 0, :2] + field.axis[:, None]) / 1.0
    expected = -np.log(np.tan(theta / 2) ** 2) * np.sin(theta) / 2
    for i, j in ((0, 4), (3, 1)):
        slopes = field.entropy["chain-rule"][i, j]
        np.testing.assert_allclose(slopes, [expected[j, 0], expected[i, 1]], rtol=1e-9)


def test_a_point_mass_has_finite_slopes():
    config = RunConfig(n_hidden=1)
    scan = scan_landscape(config, LandscapeConfig(resolution=11), np.zeros(config.angle_shape))
    field = gradient_field(scan, 3)
    for rule in RULES:
        assert np.isfinite(field.values(rule, Objective("elbo", 1, 1.5))).all()
    np.testing.assert_allclose(field.values("chain-rule", Objective("elbo", 1, 1.5))[1, 1], 0, atol=1e-9)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_only_the_rz_of_the_first_layer_are_dead(n_layers):
    steps = live_steps(np.zeros((n_layers, 2, 3)))
    assert len(steps) == (2 * n_layers - 1) * 3
    assert not steps[:, 0, 1].any()
    np.testing.assert_array_equal(steps.sum(axis=(1, 2, 3)), 1)


def test_the_coarse_grid_spans_the_plane():
    scan = scanned()
    axis, points = coarse_points(scan, 3)
    np.testing.assert_allclose(axis, [-2, 0, 2], atol=1e-15)
    np.testing.assert_allclose(points[4], scan.plane.center)
    np.testing.assert_allclose(points[1], scan.plane.center - 2 * scan.plane.directions[1])
    with pytest.raises(ValueError, match=r"resolution=1: must be 2 to 101"):
        coarse_points(scan, 1)


def test_an_exception_in_progress_stops_the_field():
    seen = []

    def stop(done, total):
        seen.append((done, total))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gradient_field(scanned(), 20, stop)
    assert seen == [(1, 400), (2, 400), (3, 400)]
