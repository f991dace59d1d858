import re
from itertools import combinations

import numpy as np
import pytest

from qhn_core import LandscapeConfig, RunConfig, mmd_squared_unbiased, scan_landscape
from qhn_core.kernels.hamming import distances_between, distances_within
from qhn_core.landscape.gradient_field import RULES, coarse_points, gradient_field, live_steps
from qhn_core.landscape.shot_noise import Shots, draws, mean_and_error, sample_landscape
from qhn_core.model.scores import score_table
from qhn_core.objectives.terms import Objective
from tests.unit import oracles

OBJECTIVES = pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])


def scanned(n_layers=1):
    config = RunConfig(n_hidden=1, n_layers=n_layers, regularization=20, bandwidth=1.2)
    angles = oracles.random_angles(0, *config.angle_shape)
    return scan_landscape(config, LandscapeConfig(resolution=11, radius=2.0), angles)


@pytest.fixture(scope="module", params=[1, 2])
def both(request):
    scan = scanned(request.param)
    return scan, sample_landscape(scan, shots=30, repeats=8, resolution=3, seed=5)


def bits_of(q, uniforms):
    """The inverse CDF, in numpy: measured bits (shots, n)."""
    index = np.searchsorted(np.cumsum(q), uniforms * q.sum(), side="right")
    return oracles.all_bits(6)[index]


def test_distances_are_counted():
    rng = np.random.default_rng(0)
    x, y = rng.integers(64, size=(3, 7)), rng.integers(64, size=(3, 5))
    for row in range(3):
        within = [oracles.hamming(a, b) for a, b in combinations(x[row], 2)]
        between = [oracles.hamming(a, b) for a in x[row] for b in y[row]]
        for found, distances in (
            (distances_within(x, 6)[row], within),
            (distances_between(x, y, 6)[row], between),
        ):
            np.testing.assert_allclose(found, np.bincount(distances, minlength=7) / len(distances))


@pytest.mark.parametrize("h", [0.5, 1.2, 3.5])
def test_every_estimate_is_eq_21_of_its_own_samples(both, h):
    scan, sampled = both
    _, points = coarse_points(scan, 3)
    data = score_table(scan.config).dataset
    scores = oracles.all_log_likelihoods(data.x_train, data.y_train, 1)
    circuits = 2 * len(live_steps(scan.plane.center)) + 1
    for point, repeat in ((0, 0), (5, 7)):
        q = oracles.probabilities(points[point])
        drawn = draws(scan.config, circuits, Shots(30, 8, 5), point)
        x, y = bits_of(q, drawn.uniforms[0, repeat]), oracles.all_bits(6)[drawn.prior[repeat]]
        index = x @ (1 << np.arange(6)[::-1])
        expected = scores[index].mean() - 7 * mmd_squared_unbiased(x, y, h)
        found = sampled.values(Objective("selbo", 7, h))[point // 3, point % 3, repeat]
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("h", [0.5, 2.0])
def test_every_slope_is_the_rules_estimate_from_its_own_samples(both, rule, h):
    """Algorithm 1: eq. (21) at both shifts; chain rule: kernels between shifts and center."""
    scan, sampled = both
    _, points = coarse_points(scan, 3)
    data = score_table(scan.config).dataset
    scores = oracles.all_log_likelihoods(data.x_train, data.y_train, 1)
    gram, theta, repeat = oracles.gram(6, h), points[2], 3
    steps = live_steps(theta)
    drawn = draws(scan.config, 2 * len(steps) + 1, Shots(30, 8, 5), 2)
    prior, uniforms = drawn.prior[repeat], drawn.uniforms

    def measure(angles, circuit):
        q = oracles.probabilities(angles)
        return np.searchsorted(np.cumsum(q), uniforms[circuit, repeat] * q.sum(), side="right")

    def estimate(x):
        if rule == "chain-rule":
            return scores[x].mean() - 7 * 2 * gram[np.ix_(x, middle)].mean()
        return scores[x].mean() - 7 * mmd_squared_unbiased(
            oracles.all_bits(6)[x], oracles.all_bits(6)[prior], h
        )

    middle = measure(theta, 0)
    slopes = np.zeros(2)
    for p, step in enumerate(steps):
        plus, minus = (
            estimate(measure(theta + sign * np.pi / 2 * step, 1 + 2 * p + k))
            for k, sign in enumerate((1, -1))
        )
        slopes += [(plus - minus) / 2 * (step * d).sum() for d in scan.plane.directions]
    found = sampled.slopes(rule, Objective("selbo", 7, h))[0, 2, repeat]
    np.testing.assert_allclose(found, slopes, rtol=1e-9)


@OBJECTIVES
@pytest.mark.parametrize("n_layers", [1, 2])
def test_means_are_the_exact_values_within_their_errors(objective, n_layers):
    """Unbiased, all of them: 9 points, some hundred repeats, less than 5 standard errors away."""
    scan = scanned(n_layers)
    sampled = sample_landscape(scan, shots=20, repeats=300, resolution=3)
    mean, error = mean_and_error(sampled.values(Objective(objective, 500, 1.0)))
    exact = scan.values(objective, 500, 1.0)[::5, ::5]
    assert (np.abs(mean - exact) < 5 * error).all()
    assert (np.abs(mean - exact) > 0.01 * error).any()
    field = gradient_field(scan, 3)
    for rule in RULES:
        mean, error = mean_and_error(sampled.slopes(rule, Objective(objective, 500, 1.0)))
        assert (np.abs(mean - field.values(rule, Objective(objective, 500, 1.0))) < 5 * error).all()


def test_the_error_falls_with_shots_and_repeats():
    scan = scanned()

    def error(**plan):
        sampled = sample_landscape(scan, resolution=3, **plan)
        return mean_and_error(sampled.expected_log_likelihood)[1].mean()

    few = error(shots=10, repeats=100)
    assert error(shots=90, repeats=100) == pytest.approx(few / 3, rel=0.15)
    assert error(shots=10, repeats=900) == pytest.approx(few / 3, rel=0.15)


def test_points_and_repeats_have_their_own_streams():
    scan = scanned()
    whole = sample_landscape(scan, shots=10, repeats=6, resolution=3, seed=1)
    fewer = sample_landscape(scan, shots=10, repeats=4, resolution=3, seed=1)
    other = sample_landscape(scan, shots=10, repeats=6, resolution=3, seed=2)
    np.testing.assert_array_equal(whole.distances[:, :, :4], fewer.distances)
    for rule in RULES:
        own = Objective("selbo", 20, 1.2)
        np.testing.assert_array_equal(whole.slopes(rule, own)[:, :, :4], fewer.slopes(rule, own))
    assert (whole.distances != other.distances).any()
    estimates = whole.expected_log_likelihood.reshape(-1)
    assert len(set(estimates)) > 40


@pytest.mark.parametrize(("shots", "repeats"), [(1, 5), (5, 1), (1000, 101)])
def test_bad_plans_are_named(shots, repeats):
    with pytest.raises(ValueError, match=f"shots={shots}, repeats={repeats}: each must be at least 2"):
        sample_landscape(scanned(), shots, repeats)


@pytest.mark.parametrize("strength", [1e200, 1e308])
def test_a_lambda_at_which_spreads_overflow_is_named(both, strength):
    scan, sampled = both
    field, objective = gradient_field(scan, 3), Objective("elbo", strength, 1.2)
    for compute in (
        lambda: sampled.values(objective),
        lambda: sampled.slopes("chain-rule", objective),
        lambda: field.values("chain-rule", objective),
    ):
        with pytest.raises(ValueError, match=re.escape(f"regularization={strength:g}: λ")):
            compute()
    assert np.isfinite(sampled.values(Objective("mle", strength, 1.2))).all()
