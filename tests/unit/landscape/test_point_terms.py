import numpy as np
import pytest

from qhn_core import objective_value
from qhn_core.landscape.point_terms import PointTerms
from qhn_core.model.scores import score_table
from qhn_core.objectives.terms import Objective
from tests.unit import oracles

from .small_scans import LAYERS, point, scanned

OBJECTIVES = pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])


@OBJECTIVES
@LAYERS
@pytest.mark.parametrize("likelihood", ["sum", "mean"])
def test_grid_values_are_the_objective_on_cirq(objective, n_layers, likelihood):
    scan = scanned(n_layers=n_layers, likelihood=likelihood)
    data = score_table(scan.config).dataset
    scores = oracles.all_log_likelihoods(data.x_train, data.y_train, 1) / (
        300 if likelihood == "mean" else 1
    )
    values = scan.values(objective)
    assert values.shape == (11, 11)
    for i, j in np.random.default_rng(1).integers(11, size=(6, 2)):
        angles = point(scan, i, j)
        expected = oracles.objective(objective, oracles.probabilities(angles), scores, 20, 1.2)
        assert values[i, j] == pytest.approx(expected, rel=1e-5)


@OBJECTIVES
def test_grid_values_at_14_qubits(objective):
    scan = scanned(n_hidden=3, n_layers=2, bandwidth=None)
    scores = score_table(scan.config).train_log_likelihood
    for i, j in [(0, 3), (10, 10)]:
        angles = point(scan, i, j)
        expected = oracles.objective(objective, oracles.probabilities(angles), scores, 20, 3.5)
        assert scan.values(objective)[i, j] == pytest.approx(expected, rel=1e-5)


@OBJECTIVES
@LAYERS
@pytest.mark.parametrize(("strength", "h"), [(0.0, 0.4), (333.0, 2.9)])
def test_fact_2_a_scan_recombines_to_any_lambda_and_h(objective, n_layers, strength, h):
    recombined = scanned(n_layers=n_layers).values(objective, regularization=strength, bandwidth=h)
    fresh = scanned(n_layers=n_layers, regularization=strength, bandwidth=h, objective=objective)
    np.testing.assert_allclose(recombined, fresh.values(objective), rtol=1e-9)
    angles = point(fresh, 7, 2)
    exact = fresh.config.model_copy(update={"simulator": "cirq"})
    assert recombined[7, 2] == pytest.approx(objective_value(exact, angles[None])[0], rel=1e-9)


@OBJECTIVES
@LAYERS
def test_the_center_of_the_grid_is_theta_star(objective, n_layers):
    scan = scanned(n_layers=n_layers, objective=objective)
    exact = scan.config.model_copy(update={"simulator": "cirq"})
    expected = objective_value(exact, scan.plane.center[None])[0]
    assert scan.axis[5] == 0
    assert scan.values(objective)[5, 5] == pytest.approx(expected, rel=1e-9)


def test_terms_are_those_of_the_distribution():
    scan = scanned(n_layers=2)
    angles = point(scan, 1, 9)
    q = oracles.probabilities(angles)
    assert scan.entropy[1, 9] == pytest.approx(6 * np.log(2) - oracles.kl(q), rel=1e-5)
    assert scan.correlators.shape == (11, 11, 7)
    np.testing.assert_allclose(scan.correlators[..., 0], 1, atol=1e-6)


@pytest.mark.parametrize("likelihood", ["sum", "mean"])
def test_the_test_set_has_its_own_expected_log_likelihood(likelihood):
    scan = scanned(n_layers=2, likelihood=likelihood)
    data = score_table(scan.config).dataset
    scores = oracles.all_log_likelihoods(data.x_test, data.y_test, 1)
    expected = oracles.probabilities(point(scan, 3, 8)) @ scores / (200 if likelihood == "mean" else 1)
    assert scan.expected_test_log_likelihood[3, 8] == pytest.approx(expected, rel=1e-9)


@LAYERS
def test_grid_values_are_those_of_cirq_when_asked_for(n_layers):
    """Two ways to the same numbers, one of them through Cirq's simulator."""
    for name in PointTerms.FIELDS:
        fast, slow = (getattr(scanned(n_layers=n_layers, simulator=s), name) for s in ("auto", "cirq"))
        np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-12)


def test_shots_do_not_matter_since_a_landscape_is_exact():
    one, hundred = scanned(objective="mle", shots=1), scanned(shots=100)
    for objective in ("mle", "elbo", "selbo"):
        np.testing.assert_array_equal(one.values(objective), hundred.values(objective))


def test_values_default_to_the_configs_lambda_and_h():
    scan = scanned()
    np.testing.assert_array_equal(scan.values("selbo"), scan.values("selbo", 20, 1.2))
    assert (scan.values("selbo") != scan.values("selbo", 21, 1.2)).any()
    assert (scan.values("selbo") != scan.values("selbo", 20, 1.3)).any()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("map",), "objective"),
        (("elbo", -1.0), "regularization"),
        (("elbo", np.nan), "regularization"),
        (("selbo", 1.0, 0.0), "bandwidth"),
        (("selbo", 1.0, np.inf), "bandwidth"),
    ],
)
def test_bad_values_are_named(arguments, field):
    with pytest.raises(ValueError, match=field):
        scanned().values(*arguments)


@pytest.mark.parametrize("strength", [0.0, 0.3, 20.0, 777.0])
def test_a_form_is_the_surface_times_a_power_of_two(strength):
    scan = scanned(n_layers=2)
    for objective in Objective("mle", strength, 1.2).of_each_kind():
        ratio = scan.form(objective) / scan.exact(objective)
        mantissa, exponent = np.frexp(ratio.ravel()[0])
        assert (ratio == ratio.ravel()[0]).all()
        assert mantissa == 0.5
        assert exponent <= 1
